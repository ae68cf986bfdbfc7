"""Sample leads, spelled as Microsoft spells them, for trying out an offer.

One that this server posts to its own public address carries a mark, so that it is a sample from the first moment on.
Nobody else can make the mark: it is signed, for one URL and a few minutes.
"""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.core.signing import BadSignature, TimestampSigner

from leads.lead_source import ACTIONS
from leads.models import Offer, Submission

TEST = "test"
MARK = "Sample-Lead"  # the header
_FRESH = timedelta(minutes=5)
_signer = TimestampSigner(salt="leads.samples")
_SOURCES = {
    "INS": "AzureMarketplace",
    "PLT": "SPZA",
    "DNC": "SPZA",
    "Create": "AzurePortal",
    "StartTestDrive": "TestDrive",
}
KINDS = (*ACTIONS, TEST)


def as_posted(kind: str, offer: Offer) -> bytes:
    """A sample lead as the body of a request."""
    return json.dumps(sample_body(kind, offer)).encode()


def mark(endpoint_id: int) -> str:
    """The value of the header that makes a POST to this endpoint a sample."""
    return _signer.sign(str(endpoint_id))


def origin_of(headers: Mapping[str, str] | None, endpoint_id: int) -> str:
    """Where a POST to an endpoint comes from: out there, or, as its mark says, from here."""
    if not headers or MARK not in headers:
        return Submission.Origin.ENDPOINT
    try:
        marked = _signer.unsign(headers[MARK], max_age=_FRESH)
    except BadSignature:
        return Submission.Origin.ENDPOINT
    return Submission.Origin.SAMPLE if marked == str(endpoint_id) else Submission.Origin.ENDPOINT


def sample_body(kind: str, offer: Offer) -> dict[str, Any]:
    """The JSON body of a sample lead: an action code of Microsoft's, or `test` for its test lead."""
    if kind == TEST:
        return _test_body(offer)
    return {
        "UserDetails": {
            "FirstName": "Sam",
            "LastName": "Sample",
            "Email": "sam.sample@example.com",
            "Phone": "+1 617 555 0100",
            "Country": "US",
            "Company": "Example Ltd",
            "Title": "Head of Samples",
        },
        "LeadSource": f"{_SOURCES[kind]}-{kind}|{offer.slug}",
        "ActionCode": kind,
        "OfferTitle": offer.title,
        "Description": '{"utm_campaign":"sample"}',
    }


def _test_body(offer: Offer) -> dict[str, Any]:
    mark = "MSFT_TEST_636573304831318844"
    return {
        "UserDetails": {
            "FirstName": mark,
            "LastName": mark,
            "Email": f"{mark}@test.com",
            "Phone": "1234567890",
            "Country": "US",
            "Company": mark,
            "Title": mark,
        },
        "LeadSource": f"{mark}-{mark}|{offer.title}",
        "ActionCode": "INS",
        "OfferTitle": offer.title,
        "Description": mark,
    }
