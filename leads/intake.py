"""accept(): one POST becomes a stored submission and, if it can be read, a lead, in one transaction."""

import hashlib
import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from leads import payload, store
from leads.models import Endpoint, Lead, Offer, Submission, key_digest
from leads.ports import ring

logger = logging.getLogger(__name__)

REPEAT_WINDOW = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Received:
    """One request as the view took it from the wire.

    `announced` is its Content-Length in bytes, None without one; `headers` by their names on the wire.
    """

    body: bytes
    content_type: str = ""
    announced: int | None = None
    headers: Mapping[str, str] | None = None
    remote_addr: str = ""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What was stored: the submission, the id of its lead if it became one, and whether it is a repeat."""

    submission: Submission
    lead_id: Any
    is_test: bool
    repeated: bool


def find_endpoint(key: str) -> Endpoint | None:
    """The endpoint of that key with its offer, open or closed; None for an unknown key.

    One that was open when it was last looked up is given from memory: `accept` notices if that has changed. Nobody is
    refused from memory: of one that would have ended by now the database is asked.
    """
    digest = key_digest(key)
    if (known := _known.get(digest)) is not None and known.is_open(timezone.now()):
        return known
    endpoint = store.endpoint_by_digest(digest)
    if endpoint is not None and endpoint.revoked_at is None:
        _known[digest] = endpoint
    return endpoint


def remembered_endpoint(key: str) -> Endpoint | None:
    """The endpoint of that key if this process remembers it; asks no database."""
    return _known.get(key_digest(key))


def forget_endpoint(key: str) -> None:
    """Have the endpoint of that key looked up again the next time."""
    _known.pop(key_digest(key), None)


# As many as there are endpoints. Nothing is lost if two threads look one up at once.
_known: dict[str, Endpoint] = {}


class EndpointChangedError(Exception):
    """The endpoint was closed, or its offer's schema edited, since it was looked up. Nothing is stored."""


def accept(
    offer: Offer,
    received: Received,
    *,
    endpoint: Endpoint | None = None,
    origin: str = Submission.Origin.ENDPOINT,
    now: datetime | None = None,
    submission_id: uuid.UUID | None = None,
    only_if_unchanged: bool = False,
) -> Accepted:
    """Store a request durably, then ring the bell.

    The same body at the same endpoint within ten minutes is counted on the row of the first. Raises django.db.Error,
    and with `only_if_unchanged` EndpointChangedError; with either nothing is stored, and the sender must be told so.
    """
    now = now or timezone.now()
    digest = hashlib.sha256(received.body).hexdigest()
    verdict = payload.read(
        received.body,
        content_type=received.content_type,
        expected_length=received.announced,
        schema=offer.schema,
    )
    submission = _submission(offer, endpoint, received, digest, verdict, origin, now)
    submission.id = submission_id or submission.id
    lead = lead_of(submission, verdict) if isinstance(verdict, payload.Fields) else None
    if endpoint is None:
        store.write(submission, lead)
    else:
        since = now - REPEAT_WINDOW
        written = store.write_once(submission, lead, since=since, only_if_unchanged=only_if_unchanged)
        if written is store.Written.CHANGED:
            raise EndpointChangedError
        if written is store.Written.REPEATED:
            if repeat := _count_repeat(endpoint, digest, since, now):
                return repeat
            store.write(submission, lead)  # the copy was erased in the meantime
    if lead is not None:
        ring()
    return Accepted(submission, lead and lead.pk, bool(lead and lead.is_test), repeated=False)


def _count_repeat(endpoint: Endpoint, digest: str, since: datetime, now: datetime) -> Accepted | None:
    """Count this body on the row of its first copy; None if that is gone."""
    with transaction.atomic():
        store.lock_copies(endpoint.pk, digest)
        copies = Submission.objects.filter(endpoint=endpoint, body_digest=digest, received_at__gt=since)
        first = copies.defer("body", "headers").order_by("-received_at").first()
        if first is None:
            return None
        Submission.objects.filter(pk=first.pk).update(
            times_received=F("times_received") + 1, last_received_at=now
        )
        lead = first.leads.values_list("pk", "is_test").first()
    return Accepted(first, lead and lead[0], bool(lead and lead[1]), repeated=True)


def _submission(
    offer: Offer,
    endpoint: Endpoint | None,
    received: Received,
    digest: str,
    verdict: payload.Fields | payload.Unreadable,
    origin: str,
    now: datetime,
) -> Submission:
    submission = Submission(
        offer=offer,
        endpoint=endpoint,
        origin=origin,
        received_at=now,
        remote_addr=received.remote_addr[:45],
        headers=dict(received.headers or {}),
        content_type=received.content_type[:200],
        body=received.body,
        body_digest=digest,
    )
    if isinstance(verdict, payload.Unreadable):
        submission.verdict = Submission.Verdict.QUARANTINED
        submission.reason = verdict.reason
        submission.problems = [problem.as_dict() for problem in verdict.problems]
    return submission


def lead_of(submission: Submission, fields: payload.Fields) -> Lead:
    """What a submission says, as a lead that is not stored yet."""
    return Lead(
        submission=submission,
        offer_id=submission.offer_id,
        received_at=submission.received_at,
        first_name=fields.first_name,
        last_name=fields.last_name,
        email=fields.email,
        phone=fields.phone,
        company=fields.company,
        title=fields.title,
        country=fields.country,
        lead_source=fields.lead_source,
        source=fields.source,
        action=fields.action,
        offer_title=fields.offer_title,
        sent_publisher_id=fields.publisher_id,
        sent_offer_id=fields.offer_id,
        description=fields.description,
        campaign=fields.campaign,
        extra=fields.extra,
        is_test=fields.is_test,
        is_sample=submission.origin == Submission.Origin.SAMPLE,
    )
