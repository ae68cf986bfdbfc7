"""What leads are found by: written by the worker a moment after they came, so that intake and routing pay nothing.

Routing leaves an empty row for each lead; `fill` writes what is owed, the newest first, a bounded number at a time.
Whatever fails is logged and comes round again. `owe_missing` leaves rows for leads that have none: those from before
there was a search, and those that a failure left out.
"""

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from leads import statements
from leads.models import Lead, LeadText
from leads.payload import decode

logger = logging.getLogger(__name__)

FROM_BODY = 2_000  # characters
FROM_FIELD = 2_000
LONGEST = 20_000  # a stranger may send thousands of fields that nobody knows
SLICE = 50  # leads of one transaction: on SQLite whoever stores a lead waits for it
ROUNDS = 100  # slices of a worker that comes and goes
LOOK_AT = 5_000  # leads of one look for those without a row

_FIELDS = (
    "first_name",
    "last_name",
    "email",
    "tidy_email",
    "phone",
    "tidy_phone",
    "company",
    "title",
    "country",
    "tidy_country",
    "lead_source",
    "source",
    "action",
    "offer_title",
    "description",
)


def text_of(lead: Lead, body: bytes) -> str:
    """Everything that is searched, folded; what stands in the body as it was sent is not said twice."""
    found = decode(body)[:FROM_BODY].casefold()
    for value in _said(lead):
        folded = value[:FROM_FIELD].casefold()
        if folded not in found:
            found = f"{found}\n{folded}"
        if len(found) > LONGEST:
            break
    return found[:LONGEST]


def _said(lead: Lead) -> Iterator[str]:
    for name in _FIELDS:
        yield getattr(lead, name)
    yield "".join(filter(str.isdigit, lead.phone))
    for fields in (lead.campaign, lead.extra):
        for key, value in fields.items():
            yield key
            yield value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def owe(leads: Sequence[Lead], now: datetime) -> None:
    """Leave a row for each of these leads, in the caller's transaction: `fill` writes it."""
    _owe([lead.pk for lead in leads])


def fill(most: int = SLICE) -> int:
    """Write the texts of the newest leads that have none. Returns how many were owed, at most `most`."""
    owed = list(LeadText.objects.filter(text=None).order_by("-id")[:most])
    if not owed:
        return 0
    leads = _leads([row.lead_id for row in owed])
    for row in owed:
        lead = leads.get(row.lead_id)
        row.text = _text(lead) if lead else ""  # a lead that is gone takes its row along
    with transaction.atomic():
        # In the order of ids, and past what another worker writes just now: no deadlock.
        still = LeadText.objects.filter(pk__in=[row.pk for row in owed], text=None).order_by("id")
        left = set(still.select_for_update(skip_locked=True).values_list("pk", flat=True))
        statements.update([row for row in owed if row.pk in left], ("text",))
    return len(owed)


def fill_some() -> None:
    """Write what is owed, but for the rest of a great many: for a worker that comes and goes."""
    for _ in range(ROUNDS):
        if fill() < SLICE:
            return


def _leads(ids: Sequence[UUID]) -> dict[UUID, Lead]:
    found = Lead.objects.filter(pk__in=ids).select_related("submission")
    return {lead.pk: lead for lead in found.only(*_FIELDS, "campaign", "extra", "submission__body")}


def _text(lead: Lead) -> str:
    try:
        return text_of(lead, bytes(lead.submission.body))
    except Exception:
        logger.exception("Lead %s cannot be searched", lead.pk)
        return ""


def owe_missing() -> int:
    """Leave a row for every lead that was routed without one, in slices. Returns how many."""
    found, last = 0, None
    while True:
        # Those that routing holds at this moment get theirs from it: two that wait for each other help nobody.
        leads = Lead.objects.exclude(routed_at=None).order_by("id")
        ids = list((leads.filter(pk__gt=last) if last else leads).values_list("pk", flat=True)[:LOOK_AT])
        if not ids:
            return found
        last = ids[-1]
        known = LeadText.objects.filter(lead__gte=ids[0], lead__lte=last).values_list("lead", flat=True)
        missing = sorted(set(ids).difference(known))
        for start in range(0, len(missing), statements.TOGETHER):
            with transaction.atomic():
                _owe(missing[start : start + statements.TOGETHER])
        found += len(missing)


_OWE_ON_POSTGRES = """
    INSERT INTO leads_leadtext (lead_id) SELECT id FROM leads_lead WHERE id = ANY(%s) FOR KEY SHARE
    ON CONFLICT DO NOTHING
"""
_OWE_ON_SQLITE = "INSERT OR IGNORE INTO leads_leadtext (lead_id) SELECT id FROM leads_lead WHERE id = %s"


def _owe(ids: Iterable[UUID]) -> None:
    keys: list[Any] = [statements.adapted(pk) for pk in ids]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_OWE_ON_POSTGRES, [keys])
        else:
            cursor.executemany(_OWE_ON_SQLITE, [(key,) for key in keys])
