"""What a stored lead gets before it is routed: tidied fields, its customer, a look at fields that nobody knows, a place
among what can be searched, by when it should be answered, and an owner.

It is the worker's, because it can wait; and it can be done without: whatever fails here is logged, and the lead goes
its way all the same.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, transaction

from leads import assignment, customers, searchable, statements, tidy, unknown_keys, work
from leads.models import Lead

logger = logging.getLogger(__name__)

FIELDS = ("tidy_email", "tidy_phone", "tidy_country", "customer", "grouped_by", "answer_due_at")
# What a step sets on a lead.
BY_STEPS = ("customer_id", "grouped_by", "answer_due_at", "owner_id", "assigned_because")
Step = Callable[[Sequence[Lead], datetime], None]


class Tidied(NamedTuple):
    """What was made of the e-mail, the phone number and the country that were sent."""

    email: str = ""
    phone: str = ""
    country: str = ""


def tidied_ahead(sent: Iterable[tuple[UUID, str, str, str]]) -> dict[UUID, Tidied]:
    """By id, what `care` will need of leads given as id, e-mail, phone and country.

    It is half the work and asks no database: done before the transaction, intake does not wait for it on SQLite.
    """
    return {lead_id: _tidied(lead_id, email, phone, country) for lead_id, email, phone, country in sent}


def care(leads: Sequence[Lead], now: datetime, ahead: Mapping[UUID, Tidied] | None = None) -> None:
    """Tidy, group and assign these leads, count their unknown fields, have them made searchable: in the caller's
    transaction.


    `save` comes after it. What was sent stays as it is. If anything fails it is done again lead by lead, so that a
    lead that cannot be cared for costs the others nothing.
    """
    ahead = ahead or {}
    for lead in leads:
        found = ahead.get(lead.pk) or _tidied(lead.pk, lead.email, lead.phone, lead.country)
        lead.tidy_email, lead.tidy_phone, lead.tidy_country = found
    steps: Sequence[Step] = (
        customers.group,
        unknown_keys.count,
        searchable.owe,
        work.start_clocks,
        assignment.assign,
    )
    try:
        with _all_or_nothing(leads):
            for step in steps:
                step(leads, now)
    except Exception:
        logger.exception("Grouping %s leads failed; trying each by itself", len(leads))
        _one_by_one(leads, steps, now)


def save(leads: Sequence[Lead], now: datetime) -> None:
    """Write what `care` found, and that the leads are routed."""
    for lead in leads:
        lead.routed_at = now
    statements.update(leads, (*FIELDS, "routed_at"))


def _tidied(lead_id: UUID, email: str, phone: str, country: str) -> Tidied:
    try:
        code = tidy.country(country)
        return Tidied(tidy.email(email), tidy.phone(phone, code), code)
    except Exception:
        logger.exception("Lead %s could not be tidied; it goes on as it was sent", lead_id)
        return Tidied()


def _one_by_one(leads: Sequence[Lead], steps: Sequence[Step], now: datetime) -> None:
    # One step after the other, as for all at once: workers then lock rows in one order, and none waits for ever.
    for step in steps:
        for lead in leads:
            try:
                with _all_or_nothing([lead]):
                    step([lead], now)
            except Exception:
                if connection.needs_rollback:
                    raise  # the whole transaction is lost: the next sweep begins again
                logger.exception("Lead %s goes on without a part of its care", lead.pk)


@contextmanager
def _all_or_nothing(leads: Sequence[Lead]) -> Iterator[None]:
    """A savepoint, for what is set on the leads too."""
    before: list[list[Any]] = [[getattr(lead, name) for name in BY_STEPS] for lead in leads]
    try:
        with transaction.atomic():
            yield
    except Exception:
        for lead, values in zip(leads, before, strict=True):
            for name, value in zip(BY_STEPS, values, strict=True):
                setattr(lead, name, value)
        raise
