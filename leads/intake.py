"""accept(): one POST becomes a stored submission and, if it can be read, a lead, in one transaction."""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
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


def find_endpoint(key: str, now: datetime | None = None) -> Endpoint | None:
    """The open endpoint of that key with its offer; None for an unknown, revoked or expired key alike."""
    return store.endpoint_by_digest(key_digest(key), now or timezone.now())


def accept(
    offer: Offer,
    received: Received,
    *,
    endpoint: Endpoint | None = None,
    origin: str = Submission.Origin.ENDPOINT,
    now: datetime | None = None,
) -> Accepted:
    """Store a request durably, then ring the bell.

    The same body at the same endpoint within ten minutes is counted on the row of the first. Raises only
    django.db.Error: with it nothing is stored, and the sender must be told so.
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
    lead = _lead(submission, verdict) if isinstance(verdict, payload.Fields) else None
    insertion = store.insertion(submission, lead)
    with transaction.atomic():
        if endpoint is not None:
            _take_turns(endpoint, digest)
            if repeat := _count_repeat(endpoint, digest, now):
                return repeat
        store.run(insertion)
    if lead is not None:
        ring()
    return Accepted(submission, lead and lead.pk, bool(lead and lead.is_test), repeated=False)


def _take_turns(endpoint: Endpoint, digest: str) -> None:
    """Let copies of one body at one endpoint pass one after the other, also on different processes.

    A sliding window is no unique constraint. SQLite's IMMEDIATE transactions take turns by themselves.
    """
    if connection.vendor == "postgresql":
        lock = int.from_bytes(
            hashlib.sha256(f"{endpoint.pk}:{digest}".encode()).digest()[:8], "big", signed=True
        )
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [lock])


def _count_repeat(endpoint: Endpoint, digest: str, now: datetime) -> Accepted | None:
    """Count this body on the row of its first copy, if that came less than ten minutes ago."""
    if not store.has_copy(endpoint, digest, now - REPEAT_WINDOW):
        return None
    copies = Submission.objects.filter(endpoint=endpoint, body_digest=digest)
    first = copies.defer("body", "headers").latest("received_at")
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


def _lead(submission: Submission, fields: payload.Fields) -> Lead:
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
