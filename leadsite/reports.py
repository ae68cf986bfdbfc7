"""Reports: a partner manager came to see which offers, sources and campaigns bring leads, and how soon each is served.

One stretch of time, one table for each question, each number leading to its leads where a filter of the list shows
just these; the same numbers as a file. Microsoft's tests, samples and the demo are in none of them.
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
from leads.countries import country_name
from leads.lead_source import ACTIONS, action_label
from leads.models import Offer
from leads.wording import clip, clock
from leadsite.home_figures import Waited, times
from leadsite.lead_links import counted_url

MOST_LEADS = 200_000  # counted for one report
MOST_ROWS = 20  # of a table; what is smaller is added up
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
    """What is counted, how many, how many of 100, and their list where there is one."""

    label: str
    number: int
    share: int
    url: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """One question and its answer."""

    slug: str
    title: str
    rows: Sequence[Row]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    period: Period
    leads: int
    url: str
    repeats: Row
    tables: Sequence[Table]
    waited: Sequence[Waited]
    cut: str  # from when on it counts, in words, where there were too many leads


def report(period: Period) -> Report:
    """Everything that the page shows of a stretch of time."""
    since = figures.midnight_of(period.first)
    until = figures.midnight_of(period.last + timedelta(days=1))
    found = figures.tally(since, until, MOST_LEADS)
    titles = dict(Offer.objects.filter(pk__in=found.offers).values_list("pk", "title"))

    def url(**query: str | int) -> str:
        return "" if found.is_cut else counted_url(period.first, period.last, **query)

    tables = [
        _table(
            "offer", _("By offer"), found.offers, found.leads, titles.get, lambda pk: url(offer__id__exact=pk)
        ),
        _table(
            "source",
            _("By source"),
            found.sources,
            found.leads,
            lambda name: name or _("No source named"),
            lambda name: _source_url(name, url),
        ),
        _table(
            "action", _("By action"), found.actions, found.leads, _action, lambda code: _action_url(code, url)
        ),
        _table(
            "country",
            _("By country"),
            found.countries,
            found.leads,
            _country,
            lambda code: url(country=code or "none"),
        ),
        _table(
            "campaign",
            _("By campaign"),
            found.campaigns,
            found.leads,
            note=_("The %(most)s largest, by the parameter utm_campaign in the description of a lead.")
            % {"most": figures.MOST_CAMPAIGNS},
        ),
    ]
    return Report(
        period,
        found.leads,
        url(),
        Row(
            _("From customers who had sent a lead before"), found.repeats, _share(found.repeats, found.leads)
        ),
        [table for table in tables if table.rows],
        times(found.since, until),
        clock(found.since) if found.is_cut else "",
    )


def _table(
    slug: str,
    title: str,
    counts: Counter[Any],
    leads: int,
    label: Any = None,
    url: Any = None,
    note: str = "",
) -> Table:
    named = [((label(key) if label else key) or "", key, number) for key, number in counts.items()]
    named.sort(key=lambda one: (-one[2], one[0]))
    rows = [
        Row(clip(str(words), LABEL), number, _share(number, leads), url(key) if url else "")
        for words, key, number in named[:MOST_ROWS]
    ]
    if rest := sum(number for *_rest, number in named[MOST_ROWS:]):
        rows.append(Row(_("All others"), rest, _share(rest, leads)))
    return Table(slug, title, rows, note)


def _share(number: int, of: int) -> int:
    return round(100 * number / of) if of else 0


def _action(code: str) -> str:
    return action_label(code) or _("No action named")


def _source_url(name: str, url: Any) -> str:
    """Of the sources that the list can be narrowed to."""
    # Here, because it asks for the site that this module is a part of.
    from leads.admin.inbox_filters import SourceFilter

    known = {label: key for key, (label, _spelt) in SourceFilter.SPELLINGS.items()}
    return url(source=known[name]) if name in known else ""


def _action_url(code: str, url: Any) -> str:
    if code and code not in ACTIONS:
        return ""
    return url(action=code or "none")


def _country(code: str) -> str:
    return country_name(code) or code or _("Not known")


# --- The page ------------------------------------------------------------------------------------------------


def view(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """The page, or with `format=csv` its numbers as a file."""
    if not may_view(request):
        raise PermissionDenied
    period, form = asked_for(request.GET, timezone.localdate())
    found = report(period)
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
        "most": MOST_LEADS,
    }
    return TemplateResponse(request, "admin/reports.html", context)


def _file(found: Report) -> StreamingHttpResponse:
    response = StreamingHttpResponse(sheet.lines(_lines(found)), content_type="text/csv; charset=utf-8")
    name = f"leads-{found.period.first}-to-{found.period.last}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _lines(found: Report) -> Iterator[Sequence[object]]:
    yield [_("Report"), _("What"), _("Leads"), _("Percent")]
    counted = f"{found.period.first} - {found.period.last}"
    yield [_("All"), f"{counted}, {_('since')} {found.cut}" if found.cut else counted, found.leads, 100]
    yield [_("Repeats"), found.repeats.label, found.repeats.number, found.repeats.share]
    for table in found.tables:
        for row in table.rows:
            yield [table.title, row.label, row.number, row.share]
    for one in found.waited:
        yield [one.label, _("Half within %(span)s") % {"span": one.median}, one.number, 50]
        yield [one.label, _("95 of 100 within %(span)s") % {"span": one.slow}, one.number, 95]
