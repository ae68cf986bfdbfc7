"""Sample leads, spelled as Microsoft spells them, for trying out an offer."""

from typing import Any

from leads.lead_source import ACTIONS
from leads.models import Offer

TEST = "test"
_SOURCES = {
    "INS": "AzureMarketplace",
    "PLT": "SPZA",
    "DNC": "SPZA",
    "Create": "AzurePortal",
    "StartTestDrive": "TestDrive",
}
KINDS = (*ACTIONS, TEST)


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
