"""What others may plug into leads, which knows none of them: the bell, parts of the admin's pages, kinds of jobs."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from django.http import HttpRequest
from django.utils.safestring import SafeString

from leads.models import Job, Lead, Offer

logger = logging.getLogger(__name__)


class LeadColumn(Protocol):
    """A column of the lead list. `prefetch` names what the list must load with its page of leads."""

    short_description: str
    prefetch: Sequence[str]

    def __call__(self, request: HttpRequest, lead: Lead) -> str | SafeString: ...


class OfferColumn(Protocol):
    """A column of the list of offers, for users who have the permission that it names."""

    short_description: str
    prefetch: Sequence[str]
    permission: str

    def __call__(self, offer: Offer) -> str | SafeString: ...


class ExportColumn(Protocol):
    """A column of an export of leads, by its heading. `prefetch` names what is loaded with each slice of leads."""

    heading: str
    prefetch: Sequence[str]

    def __call__(self, request: HttpRequest, lead: Lead) -> str: ...


@dataclass(frozen=True)
class Notice:
    """Something that needs attention: what is wrong, since when, and the one link that leads to mending it.

    `level` is "error", "warning" or, for good news, "well"; one that is `everywhere` stands on every page, the others
    on Home. `since` is given where the text does not say it; `leads`: how many it costs or holds up.
    """

    level: str
    text: str
    url: str = ""
    link: str = ""
    everywhere: bool = False
    since: datetime | None = None
    leads: int = 0


@dataclass(frozen=True)
class Connection:
    """How a CRM connection does, for Home: its state as code and in words, and the leads that wait for it, in words.

    `waiting_url`: the list of these; "" for who may not see it.
    """

    name: str | SafeString
    url: str
    state: str
    label: str
    waiting: str
    last_success: str | SafeString
    waiting_url: str = ""


@dataclass(frozen=True)
class Times:
    """How long each of some leads took, in seconds, and the list of just these; "" for who may not see it."""

    seconds: Sequence[float]
    url: str = ""


@dataclass(frozen=True)
class TimelineEntry:
    """One line of a lead's timeline."""

    at: datetime
    text: str
    url: str = ""


@dataclass(frozen=True)
class Answered:
    """What came of a POST to our own public address: the answer, or in a sentence why there is none."""

    status: int = 0
    body: bytes = b""
    problem: str = ""


# --- Long pieces of work -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """Where a job stands after a slice of it.

    `cursor`: plain JSON, from which any worker goes on. `result`: plain JSON, for the job's page; None leaves it.
    """

    cursor: Any
    done: int
    total: int | None = None
    finished: bool = False
    result: Any = None


class JobFailed(Exception):  # noqa: N818 - named for what happened
    """Ends a job; the message is what its page says, a plain sentence with the next step."""


@dataclass(frozen=True)
class Figure:
    """A number on a job's page, what it counts and, where there is one, the list of what it counts."""

    label: str
    number: int
    url: str = ""
    note: str = ""


@dataclass(frozen=True)
class JobReport:
    """What a job's page says of its result. `links`: labels and addresses of what to do next.

    `moving`: the numbers still change, so the page is loaded again. `undo`: the label of the button that takes back
    what has not happened yet; "" where there is nothing to take back.
    """

    sentence: str = ""
    figures: Sequence[Figure] = ()
    notes: Sequence[str] = ()
    links: Sequence[tuple[str, str]] = ()
    moving: bool = False
    undo: str = ""


def _nothing(job: Job) -> None:
    return None


@dataclass(frozen=True)
class JobKind:
    """A kind of long work that a person starts.

    `permission`: who may start and cancel it; `reads`: who may download its rows, which may be personal data. A slice
    is bounded: seconds, not minutes. `prepare` looks and reckons, outside any transaction; `step` gets what it found
    and writes, in the transaction that moves the cursor, so that a slice happens once or not at all. `undo`, once
    somebody cancelled, takes back slice by slice what can be. `report` and `rows` are for the user of the
    request; `rows`: the headings, then a row each.
    """

    label: str
    permission: str
    reads: str
    step: Callable[[Job, Any, datetime], Step]
    prepare: Callable[[Job], Any] = _nothing
    undo: Callable[[Job, datetime], Step] | None = None
    report: Callable[[HttpRequest, Job], JobReport] = lambda request, job: JobReport()
    rows: Callable[[HttpRequest, Job], Iterable[Sequence[object]]] | None = None


@dataclass
class Ports:
    """The plugs, filled by other apps when they start."""

    bell: list[Callable[[], None]] = field(default_factory=list)
    lead_panels: list[Callable[[HttpRequest, Lead], SafeString]] = field(default_factory=list)
    # Where else a lead is: the name of the place and the address of its record there.
    lead_records: list[Callable[[HttpRequest, Lead], Iterable[tuple[str, str]]]] = field(default_factory=list)
    lead_columns: list[LeadColumn] = field(default_factory=list)
    lead_filters: list[type[Any]] = field(default_factory=list)
    # As the admin takes actions; `permissions` on one names who sees it: ("app.codename", ...).
    lead_actions: list[Callable[..., Any]] = field(default_factory=list)
    export_columns: list[ExportColumn] = field(default_factory=list)
    # Told which leads have just become tests, in the transaction that made them so: takes back what has not been sent
    # of them, and says how much that was.
    became_tests: list[Callable[[Sequence[UUID], datetime], int]] = field(default_factory=list)
    timeline: list[Callable[[HttpRequest, Lead], Iterable[TimelineEntry]]] = field(default_factory=list)
    offer_columns: list[OfferColumn] = field(default_factory=list)
    offer_panels: list[Callable[[HttpRequest, Offer], SafeString]] = field(default_factory=list)
    # Called in the transaction that adds offers; each tells in a notice what it did with them.
    offers_added: list[Callable[[HttpRequest, Sequence[Offer]], Iterable[Notice]]] = field(
        default_factory=list
    )
    # What would become of a lead that is not stored, a sentence for each place that it might go to.
    ways: list[Callable[[Lead], Iterable[str]]] = field(default_factory=list)
    # POSTs a body to an address of PUBLIC_URL, the way that Microsoft takes; one at most.
    post_to_ourselves: list[Callable[[str, bytes, Mapping[str, str]], Answered]] = field(default_factory=list)
    # Where a field that Microsoft sent and nobody knows can be mapped: label and address of each place, for a user.
    map_links: list[Callable[[HttpRequest, Offer, str], Iterable[tuple[str, str]]]] = field(
        default_factory=list
    )
    # By offer id: the lead values ("extra.Notes") that the mappings of these offers name already.
    mapped_values: list[Callable[[Sequence[Offer]], Mapping[int, AbstractSet[str]]]] = field(
        default_factory=list
    )
    notices: list[Callable[[HttpRequest], Iterable[Notice]]] = field(default_factory=list)
    # What Home tells a user of sending: each connection that they may see; whether all leads have arrived, in words, or
    # "" where that cannot be said; and the way from a lead's arrival here to that in the CRM, for a stretch of time.
    connections: list[Callable[[HttpRequest], Iterable[Connection]]] = field(default_factory=list)
    all_sent: list[Callable[[HttpRequest], str | SafeString]] = field(default_factory=list)
    times_to_crm: list[Callable[[HttpRequest, datetime, datetime], Times]] = field(default_factory=list)
    # By the name that Job.kind holds.
    job_kinds: dict[str, JobKind] = field(default_factory=dict)


ports = Ports()


def ring() -> None:
    """Tell whoever delivers that there is work. Never raises: the lead is stored, and the sweep will find it."""
    for bell in ports.bell:
        try:
            bell()
        except Exception:
            logger.exception("The bell failed; the next sweep finds the lead")
