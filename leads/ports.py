"""What others may plug into leads, which knows none of them: the bell, and parts of the admin's pages."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from django.http import HttpRequest
from django.utils.safestring import SafeString

from leads.models import Lead, Offer

logger = logging.getLogger(__name__)


class LeadColumn(Protocol):
    """A column of the lead list. `prefetch` names what the list must load with its page of leads."""

    short_description: str
    prefetch: Sequence[str]

    def __call__(self, lead: Lead) -> str | SafeString: ...


@dataclass(frozen=True)
class Notice:
    """Something that needs attention: what is wrong, since when, and the one link that leads to mending it.

    `level` is "error" or "warning"; one that is `everywhere` stands on every page, the others on Home.
    """

    level: str
    text: str
    url: str = ""
    link: str = ""
    everywhere: bool = False


@dataclass(frozen=True)
class TimelineEntry:
    """One line of a lead's timeline."""

    at: datetime
    text: str
    url: str = ""


@dataclass
class Ports:
    """The plugs, filled by other apps when they start."""

    bell: list[Callable[[], None]] = field(default_factory=list)
    lead_panels: list[Callable[[HttpRequest, Lead], SafeString]] = field(default_factory=list)
    lead_columns: list[LeadColumn] = field(default_factory=list)
    lead_filters: list[type[Any]] = field(default_factory=list)
    # As the admin takes actions; `permissions` on one names who sees it: ("app.codename", ...).
    lead_actions: list[Callable[..., Any]] = field(default_factory=list)
    timeline: list[Callable[[Lead], Iterable[TimelineEntry]]] = field(default_factory=list)
    offer_panels: list[Callable[[HttpRequest, Offer], SafeString]] = field(default_factory=list)
    notices: list[Callable[[HttpRequest], Iterable[Notice]]] = field(default_factory=list)


ports = Ports()


def ring() -> None:
    """Tell whoever delivers that there is work. Never raises: the lead is stored, and the sweep will find it."""
    for bell in ports.bell:
        try:
            bell()
        except Exception:
            logger.exception("The bell failed; the next sweep finds the lead")
