"""What a person does to many leads at once: a slice at a time, each in one transaction, told on every lead's timeline.

A change leaves alone the leads to which it would do nothing: whoever presses twice changes nothing the second time.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.admin.models import CHANGE
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from leads import ports, work
from leads.models import Lead, Offer
from leads.people import name_of

SLICE = 500
WORKED_IN_CRM = Q(offer__worked_in=Offer.WorkedIn.CRM)


@dataclass(frozen=True, slots=True)
class Change:
    """What is written to leads, to which of them there is something to do, and what their timelines say."""

    takes: Q
    values: dict[str, Any]
    said: Callable[[Lead], str]
    then: Callable[[Sequence[UUID], datetime], int] | None = None
    flag: int = CHANGE  # of the line on the timeline


@dataclass(slots=True)
class Done:
    """How many leads were changed, and what else that did: `further` counts sendings that were taken back."""

    leads: int = 0
    further: int = 0


def assign(owner: Any, by: Any) -> Change:
    """Give leads to a colleague, or to nobody."""
    name, nobody = name_of(owner, _("nobody")), _("nobody")
    return Change(
        ~WORKED_IN_CRM & ~Q(owner=owner),
        {"owner": owner, "assigned_because": work.by_hand(by, owner)},
        lambda lead: _("Owner: %(old)s → %(new)s") % {"old": name_of(lead.owner, nobody), "new": name},
        flag=work.WORK,
    )


def set_status(status: str, reason: str = "") -> Change:
    """Put leads in a state; `reason`: why they are closed."""
    closed = status == Lead.Status.CLOSED
    new = f"{Lead.Status(status).label} ({reason})" if closed else Lead.Status(status).label
    return Change(
        ~WORKED_IN_CRM & ~Q(status=status),
        {"status": status, "closed_reason": reason if closed else "", **work.over(status)},
        lambda lead: _("Status: %(old)s → %(new)s") % {"old": lead.get_status_display(), "new": new},
        flag=work.WORK,
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
            work.log_all(found, by, now, change.said, flag=change.flag)
            done.further += change.then(keys, now) if change.then and keys else 0
        done.leads += len(found)
    return done


def _slices(leads: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
    for start in range(0, len(leads), SLICE):
        yield leads[start : start + SLICE]


def _locked(change: Change, leads: Sequence[UUID]) -> list[Lead]:
    """Those to which there is still something to do, locked in the order of their ids: nobody waits for ever."""
    found = Lead.objects.filter(change.takes, pk__in=leads).select_related("owner").order_by("pk")
    owner = ("owner__username", "owner__first_name", "owner__last_name")
    return list(found.only("status", *work.NAMED_BY, *owner).select_for_update(of=("self",), no_key=True))


def _took_back(leads: Sequence[UUID], now: datetime) -> int:
    return sum(take_back(leads, now) for take_back in ports.ports.became_tests)


def _rung(leads: Sequence[UUID], now: datetime) -> int:
    transaction.on_commit(ports.ring)
    return 0
