"""Reports: a partner manager came to see which offers, sources and campaigns bring leads, and how soon each is served.

One stretch of time, one table for each question, each number leading to the leads it counts; the same numbers as a
file. Microsoft's tests, samples and the demo are in none of them.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads import figures, sheet
from leads.countries import country_in_words
from leads.lead_source import ACTIONS, action_in_words, source_key
from leads.models import Offer
from leads.wording import clip, clock
from leadsite.home_figures import Waited, times
from leadsite.lead_links import counted_between, counted_url

MOST_LEADS = 200_000  # counted for one report
MOST_ROWS = 20  # of a table; smaller ones unfold
LABEL = 80  # characters
DEFAULT = "30"
DAYS = {"7": 7, "30": 30, "90": 90}
PERIODS = (
    ("7", gettext_lazy("7 days")),
    ("30", gettext_lazy("30 days")),
    ("90", gettext_lazy("90 days")),
    ("year", gettext_lazy("This year")),
)


def may_view(request: HttpRequest) -> bool:
    return request.user.has_perm("leads.view_lead")


# --- The stretch of time -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Period:
    """From the beginning of the first day to the end of the last; `name` is "" for days that somebody typed."""

    name: str
    first: date
    last: date

    @property
    def query(self) -> str:
        days = {"from": self.first.isoformat(), "to": self.last.isoformat()}
        return urlencode({"period": self.name} if self.name else days)


class DaysForm(forms.Form):
    """Two days, in the names of the address."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, label in (("from", _("From")), ("to", _("To"))):
            widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
            self.fields[name] = forms.DateField(label=label, widget=widget)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("from") and data.get("to") and data["from"] > data["to"]:
            raise forms.ValidationError(_("The first day is after the last."))
        return data


def named(name: str, today: date) -> Period:
    """One of PERIODS; the default for any other name."""
    if name == "year":
        return Period(name, today.replace(month=1, day=1), today)
    name = name if name in DAYS else DEFAULT
    return Period(name, today - timedelta(days=DAYS[name] - 1), today)


def asked_for(query: Any, today: date) -> tuple[Period, DaysForm]:
    """The stretch of time that an address names, and the form with its days or with what is wrong with them."""
    if "from" in query or "to" in query:
        form = DaysForm(query)
        if form.is_valid():
            return Period("", form.cleaned_data["from"], form.cleaned_data["to"]), form
        return named(DEFAULT, today), form
    period = named(query.get("period", DEFAULT), today)
    return period, DaysForm(initial={"from": period.first, "to": period.last})


# --- The tables ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """What is counted, how many, how many of 100, and their list."""

    label: str
    number: int
    share: int
    url: str

    @property
    def said(self) -> str:
        return f"{self.number:,}"


@dataclass(frozen=True, slots=True)
class Table:
    """One question and its answer: the largest rows, and the others, which unfold."""

    slug: str
    title: str
    rows: Sequence[Row]
    more: Sequence[Row]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    period: Period
    all: Row
    repeats: Row
    tables: Sequence[Table]
    waited: Sequence[Waited]
    cut: str  # from when on it counts, in words, where there were too many leads


OTHERS = None  # in counts: all that strangers made up, where they made up too much


def report(request: HttpRequest, period: Period) -> Report:
    """Everything that the page shows of a stretch of time."""
    since = figures.midnight_of(period.first)
    until = figures.midnight_of(period.last + timedelta(days=1))
    found = figures.tally(since, until, MOST_LEADS)
    titles = dict(Offer.objects.filter(pk__in=found.offers).values_list("pk", "title"))

    def url(**query: str | int) -> str:
        if found.is_cut:
            return counted_between(found.since, until, **query)
        return counted_url(period.first, period.last, **query)

    def table(slug: str, title: str, counts: Counter[Any], label: Any, query: Any, note: str = "") -> Table:
        rows = [
            Row(clip(str(label(key)), LABEL), number, _share(number, found.leads), url(**query(key)))
            for key, number in counts.items()
        ]
        rows.sort(key=lambda row: (-row.number, row.label))
        return Table(slug, title, rows[:MOST_ROWS], rows[MOST_ROWS:], note)

    sources, actions = _bounded(found.sources, source_key), _bounded(found.actions, ACTIONS.get)
    most_campaigns = _(
        "The %(most)s largest, by the parameter utm_campaign in the description of a lead."
    ) % {"most": figures.MOST_CAMPAIGNS}
    tables = [
        table("offer", _("By offer"), found.offers, titles.get, lambda pk: {"offer__id__exact": pk}),
        table("source", _("By source"), sources, _source, _source_query),
        table("action", _("By action"), actions, _action, _action_query),
        table(
            "country", _("By country"), found.countries, _country, lambda code: {"country": code or "none"}
        ),
        table(
            "campaign",
            _("By campaign"),
            found.campaigns,
            str,
            lambda name: {"campaign": name},
            most_campaigns,
        ),
    ]
    return Report(
        period,
        Row(_("All"), found.leads, 100, url()),
        Row(
            _("From customers who had sent a lead before"),
            found.repeats,
            _share(found.repeats, found.leads),
            url(repeat="customer"),
        ),
        [table for table in tables if table.rows],
        times(request, found.since, until),
        clock(found.since) if found.is_cut else "",
    )


def _bounded(counts: Counter[Any], is_known: Any) -> Counter[Any]:
    """Strangers can make up as many as they like: where there are too many, these are one."""
    if len(counts) <= MOST_ROWS:
        return counts
    found: Counter[Any] = Counter()
    for name, number in counts.items():
        found[name if not name or is_known(name) else OTHERS] += number
    return found


def _share(number: int, of: int) -> int:
    return round(100 * number / of) if of else 0


def _source(name: str | None) -> str:
    return _("Other") if name is OTHERS else name or _("No source named")


def _source_query(name: str | None) -> dict[str, str]:
    if name is OTHERS:
        return {"source": "other"}
    return {"source": source_key(name) or (f"is:{name}" if name else "none")}


def _action(code: str | None) -> str:
    return _("Unknown action") if code is OTHERS else action_in_words(code) or _("No action named")


def _action_query(code: str | None) -> dict[str, str]:
    if code is OTHERS:
        return {"action": "other"}
    return {"action": code if code in ACTIONS else f"is:{code}" if code else "none"}


def _country(code: str) -> str:
    return country_in_words(code) or code or _("Not known")


# --- The page ------------------------------------------------------------------------------------------------


def view(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """The page, or with `format=csv` its numbers as a file."""
    if not may_view(request):
        raise PermissionDenied
    period, form = asked_for(request.GET, timezone.localdate())
    found = report(request, period)
    if request.GET.get("format") == "csv":
        return _file(found)
    from django.contrib.admin.sites import site  # it is this package that the site is made from

    context = {
        **site.each_context(request),
        "title": _("Reports"),
        "report": found,
        "periods": [
            (label, named(name, timezone.localdate()).query, name == period.name) for name, label in PERIODS
        ],
        "form": form,
        "csv_url": f"?{period.query}&format=csv",
        "most": f"{MOST_LEADS:,}",
    }
    return TemplateResponse(request, "admin/reports.html", context)


def _file(found: Report) -> StreamingHttpResponse:
    response = StreamingHttpResponse(sheet.lines(list(_lines(found))), content_type="text/csv; charset=utf-8")
    name = f"leads-{found.period.first}-to-{found.period.last}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _lines(found: Report) -> Iterator[Sequence[object]]:
    yield [_("Report"), _("What"), _("Leads"), _("Percent"), _("Seconds")]
    counted = f"{found.period.first} - {found.period.last}"
    yield [
        found.all.label,
        f"{counted}, {_('since')} {found.cut}" if found.cut else counted,
        found.all.number,
        100,
        "",
    ]
    yield [_("Repeats"), found.repeats.label, found.repeats.number, found.repeats.share, ""]
    for table in found.tables:
        for row in (*table.rows, *table.more):
            yield [table.title, row.label, row.number, row.share, ""]
    for one in found.waited:
        half, most, _number = one.shown
        yield [one.label, _("Half within %(span)s") % {"span": half}, one.number, 50, round(one.median, 3)]
        yield [one.label, _("95 of 100 within %(span)s") % {"span": most}, one.number, 95, round(one.slow, 3)]
