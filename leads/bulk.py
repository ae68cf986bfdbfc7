"""What a person does to many leads at once: a slice at a time, each in one transaction, told on every lead's timeline.

A change leaves alone the leads to which it would do nothing: whoever presses twice changes nothing the second time.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from leads import ports
from leads.models import Lead, Offer

SLICE = 500
WORKED_IN_CRM = Q(offer__worked_in=Offer.WorkedIn.CRM)
LONGEST_NAME = 200  # characters of what a lead is called in the log


@dataclass(frozen=True, slots=True)
class Change:
    """What is written to leads, to which of them there is something to do, and what their timelines say."""

    takes: Q
    values: dict[str, Any]
    said: Callable[[Lead], str]
    then: Callable[[Sequence[UUID], datetime], int] | None = None


@dataclass(slots=True)
class Done:
    """How many leads were changed, and what else that did: `further` counts sendings that were taken back."""

    leads: int = 0
    further: int = 0


def assign(owner: Any, by: Any) -> Change:
    """Give leads to a colleague, or to nobody."""
    name = str(owner) if owner else _("nobody")
    because = _("Given by %(person)s") % {"person": by} if owner else ""
    return Change(
        ~WORKED_IN_CRM & ~Q(owner=owner),
        {"owner": owner, "assigned_because": because[:200]},
        lambda lead: _("Owner: %(old)s → %(new)s") % {"old": lead.owner or _("nobody"), "new": name},
    )


def set_status(status: str, reason: str = "") -> Change:
    """Put leads in a state; `reason`: why they are closed."""
    closed = status == Lead.Status.CLOSED
    new = f"{Lead.Status(status).label} ({reason})" if closed else Lead.Status(status).label
    return Change(
        ~WORKED_IN_CRM & ~Q(status=status),
        {"status": status, "closed_reason": reason if closed else ""},
        lambda lead: _("Status: %(old)s → %(new)s") % {"old": lead.get_status_display(), "new": new},
    )


def mark_as_test() -> Change:
    """Make tests of leads: they stay out of the CRM and of the figures."""
    return Change(Q(is_test=False), {"is_test": True}, lambda lead: _("Marked as a test."), _took_back)


def mark_as_real() -> Change:
    """Make real leads of tests: routing looks at them as if they had just come."""
    return Change(
        Q(is_test=True), {"is_test": False, "routed_at": None}, lambda lead: _("Marked as no test."), _rung
    )


def archive(now: datetime) -> Change:
    """Put leads out of sight."""
    return Change(Q(archived_at=None), {"archived_at": now}, lambda lead: _("Archived."))


def bring_back() -> Change:
    """Put archived leads back in sight."""
    return Change(
        ~Q(archived_at=None), {"archived_at": None}, lambda lead: _("Brought back from the archive.")
    )


def carry_out(change: Change, leads: Sequence[UUID], by: Any, now: datetime) -> Done:
    """Change these leads, and say so on their timelines under the name of `by`."""
    done = Done()
    for some in _slices(leads):
        with transaction.atomic():
            found = _locked(change, some)
            keys = [lead.pk for lead in found]
            Lead.objects.filter(pk__in=keys).update(**change.values)
            _log(found, change, by, now)
            done.further += change.then(keys, now) if change.then and keys else 0
        done.leads += len(found)
    return done


def _slices(leads: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
    for start in range(0, len(leads), SLICE):
        yield leads[start : start + SLICE]


def _locked(change: Change, leads: Sequence[UUID]) -> list[Lead]:
    """Those to which there is still something to do, locked in the order of their ids: nobody waits for ever."""
    found = Lead.objects.filter(change.takes, pk__in=leads).select_related("owner").order_by("pk")
    shown = ("status", "first_name", "last_name", "email", "company", "owner__username")
    return list(found.only(*shown).select_for_update(of=("self",), no_key=True))


def _log(leads: Sequence[Lead], change: Change, by: Any, now: datetime) -> None:
    kind = ContentType.objects.get_for_model(Lead)
    LogEntry.objects.bulk_create(
        LogEntry(
            user_id=by.pk,
            content_type=kind,
            object_id=str(lead.pk),
            object_repr=str(lead)[:LONGEST_NAME],
            action_flag=CHANGE,
            action_time=now,
            change_message=change.said(lead),
        )
        for lead in leads
    )


def _took_back(leads: Sequence[UUID], now: datetime) -> int:
    return sum(take_back(leads, now) for take_back in ports.ports.became_tests)


def _rung(leads: Sequence[UUID], now: datetime) -> int:
    transaction.on_commit(ports.ring)
    return 0
