"""What the page of a field mapping shows: its rows, what a lead would send by them, and what to know before saving."""

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from crm_sync import row_forms, rule_words, templates
from crm_sync import wording as words
from crm_sync.admin import tries
from crm_sync.inspection import Caution, cautions, look
from crm_sync.mapping import EVERYTHING, Rule, unmapped_required
from crm_sync.mapping_owner import Owner
from crm_sync.models import Delivery, Route
from crm_sync.row_editing import Editing
from crm_sync.row_forms import RowForm
from crm_sync.rule_words import Row, anchor
from crm_sync.spec import TargetField
from crm_sync.transforms import as_text
from crm_sync.trial import lead_of_body
from leads.models import Lead
from leads.wording import clip, clock

CHANGE = "crm_sync.change_fieldrule"
PUBLISH = "crm_sync.publish_mappingversion"
SEES_LEADS = "leads.view_lead"
SHOWN_LEADS = 20
SHOWN_VALUES = 20
SHOWN_TEXT = 400  # characters


def may_change(request: HttpRequest, owner: Owner) -> bool:
    """Whether this user may edit these rows: those of a connection change what every offer sends."""
    return request.user.has_perms((CHANGE, _change_owner(owner)))


def may_publish(request: HttpRequest, owner: Owner) -> bool:
    """Whether this user may make them live."""
    return request.user.has_perms((PUBLISH, _change_owner(owner)))


def _change_owner(owner: Owner) -> str:
    return "crm_sync.change_route" if owner.route else "crm_sync.change_destination"


def recent(request: HttpRequest, owner: Owner) -> Sequence[Mapping[str, Any]]:
    """The values of the last leads, for who may see leads."""
    return owner.recent if request.user.has_perm(SEES_LEADS) else ()


# --- The lead that the rows are looked at with ---------------------------------------------------------------


@dataclass(frozen=True)
class Looking:
    """One of our leads, or a request body that somebody pasted."""

    values: Mapping[str, Any] | None
    lead: Lead | None = None
    leads: Sequence[Lead] = ()
    number: int = 0
    body: str = ""
    problem: str = ""
    many_offers: bool = False  # the leads may be of several

    @property
    def name(self) -> str:
        return _("the pasted body") if self.body else self.lead.who if self.lead else ""

    @property
    def options(self) -> list[tuple[Lead, str]]:
        """The leads to choose from, told apart: the same person often asks twice."""
        return [(lead, self._label(lead)) for lead in self.leads]

    def _label(self, lead: Lead) -> str:
        where = lead.offer.title if self.many_offers else lead.company
        told = [clip(lead.who, 40), clock(lead.received_at)]
        if where and where != lead.who:
            told.append(clip(where, 40))
        if lead.is_test:
            told.append(_("test"))
        return " · ".join(told)

    @property
    def before(self) -> Lead | None:
        return self.leads[self.number - 1] if self.lead and self.number > 0 else None

    @property
    def after(self) -> Lead | None:
        return self.leads[self.number + 1] if self.lead and self.number + 1 < len(self.leads) else None


def _looking(request: HttpRequest, owner: Owner) -> Looking:
    if not request.user.has_perm(SEES_LEADS):
        return Looking(None, problem=_("The preview shows leads, which your account may not see."))
    data = request.POST or request.GET
    if body := data.get("body", "").strip():
        lead, problem = lead_of_body(body, owner.route.offer if owner.route else None)
        return Looking(lead.values() if lead else None, body=body, problem=problem)
    leads = owner.leads(SHOWN_LEADS)
    if not leads:
        return Looking(None, problem=_("No lead yet. Paste a request body to see what it would send."))
    wanted = data.get("_lead") or data.get("lead", "")
    number = next((number for number, lead in enumerate(leads) if str(lead.pk) == wanted), 0)
    several = owner.route is None
    return Looking(leads[number].values(), leads[number], leads, number, many_offers=several)


# --- The rows ------------------------------------------------------------------------------------------------


@dataclass
class Line:
    """One row of the page, with what the chosen lead would send by it. One that cannot be changed here has no form."""

    target: str
    number: int  # of this mapping's own rows, or of those that it inherits
    form: RowForm | None = None
    row: Row | None = None
    inherited: bool = False
    overridden: bool = False
    anchor: str = ""
    value: str = ""
    problem: str = ""
    fatal: bool = False
    cautions: Sequence[str] = ()
    movable: bool = False
    focus: bool = False
    new: bool = False
    required: bool = False
    pairs: Sequence[tuple[str, str]] = ()
    # Values of a value list that nobody translated yet, and how often they came.
    seen: Sequence[tuple[str, str]] = ()
    anew: Set[str] = frozenset()  # its parts that the page does not show as they are now

    @property
    def is_untouched(self) -> bool:
        """Whether this is a value list that nobody has begun to fill in: a script may put other values there."""
        is_list = self.form is not None and self.form["kind"].value() == "lookup"
        return is_list and not any(text for _key, text in self.pairs)

    @property
    def id(self) -> str:
        return f"{'inherited' if self.inherited else 'row'}-{self.number}"

    @cached_property
    def marks(self) -> dict[str, str]:
        """What its parts show, in short. To be read once it is known what is sent."""
        parts = {
            "cell": (self.value, self.problem, self.fatal, *self.cautions),
            "errors": [*self.form.problems] if self.form else [],
            "seen": [*self.seen] if self.is_untouched else None,
            "field": self.target,
        }
        return {name: f"{zlib.crc32(repr(part).encode()):x}" for name, part in parts.items()}


class Lines:
    """All rows of the page: its own, and among them those that it inherits."""

    def __init__(
        self, editing: Editing, looking: Looking, recent: Sequence[Mapping[str, Any]], *, changeable: bool
    ) -> None:
        self.editing, self.owner, self.recent = editing, editing.owner, recent
        self.changeable = changeable
        self.required = {target.name for target in self.owner.spec.fields if target.required}
        self.whole = self.owner.whole(editing.rules)
        self.sight = look(self.whole, looking.values, self.owner.spec) if looking.values is not None else None

    @cached_property
    def all(self) -> list[Line]:
        """In the CRM's order, required fields first; rows that were just added at the end."""
        own = [*self._own(cautions(self.whole, self.owner.spec, self.recent))]
        place = {target.name: number for number, target in enumerate(_by_place(self.owner.spec.fields))}
        settled = [line for line in own if not line.new] + [*self._inherited()]
        settled.sort(key=lambda line: (place.get(line.target, len(place)), line.inherited))
        lines = [*settled, *(line for line in own if line.new)]
        _give_anchors(lines)
        known = _marks_in(self.editing.posted.get("marks", ""))
        for line in lines:
            shown = dict(zip(line.marks, known.get(line.id, ()), strict=False))
            line.anew = {name for name, mark in line.marks.items() if shown.get(name) != mark}
        return lines

    def _own(self, warned: Sequence[Caution]) -> Iterator[Line]:
        indexes = {form.prefix: index for index, form in enumerate(self.editing.counted)}
        targets = [form.target_name for form in self.editing.forms]
        said: dict[int | None, list[str]] = {}
        for caution in warned:
            said.setdefault(caution.row, []).append(caution.message)
        for number, form in enumerate(self.editing.forms):
            index = indexes.get(form.prefix)
            seen = self._values_seen(form)
            untranslated = {text.casefold() for text, _count in seen}
            line = Line(
                target=targets[number],
                number=number,
                form=form if self.changeable else None,
                row=rule_words.row(form.rule, self.owner.spec) if form.rule else None,
                cautions=said.get(index, ()) if index is not None else (),
                movable=bool(targets[number]) and targets.count(targets[number]) > 1,
                focus=number == self.editing.focus,
                new="new" in self.editing.raws[number],
                required=targets[number] in self.required,
                pairs=[
                    (key, text)
                    for key, text in form.lines
                    if text or key.strip().casefold() not in untranslated
                ],
                seen=seen,
            )
            self._look_at(line, index)
            yield line

    def _inherited(self) -> Iterator[Line]:
        own = self.editing.rules
        unfinished = {form.target_name for form in self.editing.forms if form not in self.editing.counted}
        always = {rule.target for rule in own if not rule.when} | unfinished
        for number, rule in enumerate(self.owner.inherited):
            # One that never gets its turn is on the page all the same, hidden: what is typed may bring it back.
            line = Line(
                rule.target,
                number,
                row=rule_words.row(rule, self.owner.spec),
                inherited=True,
                overridden=rule.target in always,
                required=rule.target in self.required,
            )
            self._look_at(line, len(own) + number)
            yield line

    def _look_at(self, line: Line, index: int | None) -> None:
        """Put what the chosen lead would send beside the row that decides it."""
        if self.sight is None or index is None:
            return
        if self.sight.rows.get(line.target) == index and (cell := self.sight.cells.get(line.target)):
            line.value, line.problem, line.fatal = (
                self._shown(line.target, cell.value),
                cell.problem,
                cell.fatal,
            )
            if not cell.value and not cell.problem:
                line.problem = _("Left out for this lead.")
        elif line.target != EVERYTHING:
            line.problem = _("Not for this lead: another row, or its condition, decides.")

    def _shown(self, target: str, value: str) -> str:
        """A value as it is sent; a choice behind its label, where the CRM keeps it as a number or the like."""
        label = self.owner.choices.get(target, {}).get(value, value)
        return clip(value, SHOWN_TEXT) if label == value else f"{label} ({value})"

    def _values_seen(self, form: RowForm) -> list[tuple[str, str]]:
        """Of a value list, what recent leads brought and nobody translated yet, to be filled in."""
        source = str(form["source"].value() or "")
        if str(form["kind"].value()) != "lookup" or not source:
            return []
        listed = {key.strip().casefold() for key, text in form.lines if text}
        counts: dict[str, int] = {}
        for values in self.recent:
            text = as_text(values.get(source)).strip()
            if text and text.casefold() not in listed:
                counts[text] = counts.get(text, 0) + 1
        ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:SHOWN_VALUES]
        return [
            (text, ngettext("%(number)s lead", "%(number)s leads", count) % {"number": f"{count:,}"})
            for text, count in ordered
        ]

    @property
    def missing(self) -> list[TargetField]:
        """What the CRM requires and no row fills."""
        return unmapped_required(self.whole, self.owner.spec.fields)

    @property
    def sent(self) -> list[tuple[str, str]]:
        """The record of the chosen lead, field by field, as it would be sent."""
        labels, cells = self.owner.labels, self.sight.cells if self.sight else {}
        return [
            (labels.get(name, name), self._shown(name, cell.value))
            for name, cell in cells.items()
            if cell.value
        ]


def _marks_of(lines: Iterable[Line]) -> str:
    """What a page shows of its lines, in short, so that a script is sent no more than what changed."""
    return " ".join(":".join((line.id, *line.marks.values())) for line in lines)


def _marks_in(text: str) -> dict[str, list[str]]:
    return {name: marks for name, *marks in (part.split(":") for part in text.split())}


def _by_place(fields: Sequence[TargetField]) -> list[TargetField]:
    return [*(each for each in fields if each.required), *(each for each in fields if not each.required)]


def _give_anchors(lines: Sequence[Line]) -> None:
    """Give each line an id of its own: the first of a field has the one that links name."""
    given: dict[str, int] = {}
    for line in lines:
        name = anchor(line.target)
        given[name] = given.get(name, 0) + 1
        line.anchor = name if given[name] == 1 else f"{name}-{given[name]}"


# --- The page ------------------------------------------------------------------------------------------------


def render(
    page: admin.ModelAdmin, request: HttpRequest, owner: Owner, name: str, context: Mapping[str, Any]
) -> HttpResponse:
    """One of the pages on a field mapping, by the name of its template."""
    return TemplateResponse(
        request,
        f"admin/crm_sync/mapping/{name}.html",
        {
            **page.admin_site.each_context(request),
            "opts": page.opts,
            "media": page.media,
            "owner": owner,
            "route": owner.route,
            "destination": owner.destination,
            "spec": owner.spec,
            "may_publish": may_publish(request, owner),
            **context,
        },
    )


def shown_live(request: HttpRequest, editing: Editing) -> dict[str, Any]:
    """What changes while somebody types."""
    owner, changeable = editing.owner, may_change(request, editing.owner)
    looking = _looking(request, owner)
    lines = Lines(editing, looking, recent(request, owner), changeable=changeable)
    return {
        "route": owner.route,
        "destination": owner.destination,
        "editing": editing,
        "may_change": changeable,
        "looking": looking,
        "lines": lines.all,
        "marks": _marks_of(lines.all),
        "missing": lines.missing,
        "sent": lines.sent,
        "fails": bool(lines.sight and lines.sight.fails),
    }


def shown(request: HttpRequest, editing: Editing) -> dict[str, Any]:
    """All that the page of the rows says."""
    owner = editing.owner
    return {
        "title": owner.title,
        "state": words.mapping_state(owner.obj),
        "differs": editing.conflicting() if editing.conflict else [],
        "users": 0 if owner.route else owner.routes().count(),
        "urls": _urls(owner),
        "troubles": troubles(request, owner),
        "held": held(owner.route).count() if owner.route else 0,
        "asked_for": _asked_for(editing),
        "filters": [(name, _(help_text)) for name, help_text in templates.FILTERS.items()],
        **shown_live(request, editing),
    }


def _urls(owner: Owner) -> dict[str, str]:
    """The pages around this one."""
    pages = ("copy", "import", "flow", "export", "refresh", "history", "publish")
    around = {name: owner.url(f"mapping_{name}") for name in pages}
    return around | {"inherited": Owner(owner.destination).url()}


def _asked_for(editing: Editing) -> str:
    """The lead value of a new row for which somebody came to choose a CRM field."""
    if not editing.is_stored or editing.focus is None:
        return ""
    return "".join(editing.raws[editing.focus].get("source", ()))


@dataclass(frozen=True)
class Trouble:
    """What is wrong with a mapping that is live, and the row to change. `holds`: leads do not go out."""

    what: str
    why: str
    url: str
    holds: bool = False


def troubles(request: HttpRequest, owner: Owner) -> list[Trouble]:
    """What a person should mend of what is live, the worst first, for this user's eyes."""
    live = owner.live
    if live is None:
        return []
    found = []
    if live.broken:
        said = _("Broken at the field %(field)s.") if live.broken_field else _("Broken.")
        url = words.mapping_url(owner.obj, live.broken_field) if live.broken_field else ""
        found.append(
            Trouble(
                said % {"field": live.broken_field},
                words.sentence(tries.of_some_lead(request, live.broken)),
                url,
                holds=True,
            )
        )
    if live.doubt:
        url = words.mapping_url(owner.obj, live.doubt_field)
        found.append(Trouble(_("It no longer fits the CRM."), words.sentence(live.doubt), url))
    return found


def held(route: Route) -> QuerySet[Delivery]:
    """What the broken mapping of a route holds."""
    return Delivery.objects.filter(
        route=route, state=Delivery.State.HELD, held_reason=Delivery.Held.MAPPING_BROKEN
    )


def rules_of(owner: Owner) -> Sequence[Rule]:
    """The rows that editing starts from, in the order of the page."""
    return row_forms.in_order(owner.rules, owner.spec)
