"""Sendings that stand still for one reason, as one line: how many, since when, what the CRM said, and what to do.

Counted over the newest ten thousand of a state, so that a list of a million costs no more.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from crm_sync import sending_words
from crm_sync.admin import tries
from crm_sync.models import Delivery
from crm_sync.reason_groups import group_of
from leads.wording import clip

COUNTED = 10_000
SHOWN = 10
WORDS = 200  # characters of what the CRM said
NONE_GIVEN = "-"  # in an address, where an empty value would mean any reason

State, Held = Delivery.State, Delivery.Held
_PARTS = ("destination_id", "state", "held_reason", "field", "reason_group")


@dataclass(frozen=True, slots=True)
class Like:
    """What sendings of one group share."""

    destination_id: int
    state: str
    held_reason: str = ""
    field: str = ""
    reason_group: str = ""

    @classmethod
    def of(cls, sending: Delivery) -> "Like":
        return cls(*(getattr(sending, name) for name in _PARTS))

    @classmethod
    def asked(cls, query: Mapping[str, str]) -> "Like | None":
        """As an address names it; None where that is no group."""
        destination, state = query.get("destination", ""), query.get("state", "")
        if not (destination.isascii() and destination.isdecimal() and len(destination) < 15):
            return None
        if state not in (State.WAITING, State.REJECTED, State.HELD):
            return None
        group = query.get("reason_group", NONE_GIVEN)
        return cls(
            int(destination),
            state,
            query.get("held_reason", ""),
            query.get("field", ""),
            "" if group == NONE_GIVEN else group,
        )

    @property
    def query(self) -> str:
        """As an address names it, for the list's filters too."""
        named: dict[str, Any] = {
            "destination": self.destination_id,
            "state": self.state,
            "held_reason": self.held_reason,
            "field": self.field,
            "reason_group": self.reason_group or NONE_GIVEN,
        }
        return urlencode({name: value for name, value in named.items() if value})

    def sendings(self) -> QuerySet[Delivery]:
        return Delivery.objects.filter(**{name: getattr(self, name) for name in _PARTS})

    @property
    def url(self) -> str:
        return f"{reverse('admin:crm_sync_delivery_changelist')}?{self.query}"

    @property
    def retry_url(self) -> str:
        return f"{reverse('admin:crm_sync_delivery_like')}?{self.query}"


@dataclass(frozen=True, slots=True)
class Group:
    """A group for the screen. `said`: the newest one's own words."""

    like: Like
    count: int
    newest: Delivery
    what: str
    said: str
    todo: sending_words.Said
    may_retry: bool

    @property
    def approves(self) -> bool:
        return self.like.held_reason == Held.APPROVAL


@dataclass(frozen=True, slots=True)
class Groups:
    """The largest groups first; how many smaller ones there are; and whether there was too much to count."""

    first: list[Group]
    more: int
    capped: bool


def standing_still(request: HttpRequest, destination_id: int | None = None) -> Groups:
    """What was refused or is held, and at one destination also what waits after a try that failed.

    Do-not-contact leads are held on purpose.
    """
    sendings = Delivery.objects.all()
    if destination_id is not None:
        sendings = sendings.filter(destination_id=destination_id)
    parts = [
        sendings.filter(state=State.REJECTED),
        sendings.filter(state=State.HELD).exclude(held_reason=Held.DNC),
    ]
    if destination_id is not None:
        parts.append(sendings.filter(state=State.WAITING).exclude(reason=""))
    return _groups(request, parts)


def _groups(request: HttpRequest, parts: Iterable[QuerySet[Delivery]]) -> Groups:
    rows: list[dict[str, Any]] = []
    capped = False
    for part in parts:
        # Counted here: asked to group the newest of a state, PostgreSQL reads the whole table to find them again.
        found: dict[tuple[Any, ...], dict[str, Any]] = {}
        newest = part.order_by("-created_at").values_list("pk", *_PARTS)[:COUNTED]
        for pk, *like in newest:
            key = tuple(like)
            if key not in found:
                found[key] = dict(zip(_PARTS, like, strict=True), count=0, newest=pk)
            found[key]["count"] += 1
            found[key]["newest"] = max(found[key]["newest"], pk)
        capped = capped or sum(row["count"] for row in found.values()) == COUNTED
        rows += found.values()
    rows.sort(key=lambda row: (-row["count"], -row["newest"]))
    needed = ("lead__offer", "route__offer", "destination__state__paused_by")
    shown = Delivery.objects.select_related(*needed).defer("destination__secrets")
    newest_of = shown.in_bulk([row["newest"] for row in rows[:SHOWN]])
    first = [
        _group(request, row, newest_of[row["newest"]]) for row in rows[:SHOWN] if row["newest"] in newest_of
    ]
    return Groups(first, max(len(rows) - SHOWN, 0), capped)


def _group(request: HttpRequest, row: Mapping[str, Any], newest: Delivery) -> Group:
    sending = tries.discreetly(request, newest)
    return Group(
        like=Like(*(row[name] for name in _PARTS)),
        count=row["count"],
        newest=sending,
        what=sending_words.group_title(sending),
        said=clip(sending.reason or group_of(row["reason_group"]), WORDS),
        todo=sending_words.sending(sending, timezone.now(), tries.may_view(request)),
        may_retry=request.user.has_perm("crm_sync.retry_delivery"),
    )
