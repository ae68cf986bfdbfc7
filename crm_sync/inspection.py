"""Pure: what a field mapping would send for some leads, field by field, and what a person should know before it does.

Nothing here refuses: `mapping.check` says what cannot be saved. This warns of what the CRM would cut or refuse.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from crm_sync import templates
from crm_sync.connectors.values import Unfit, clipped, length, typed
from crm_sync.mapping import EVERYTHING, Applied, Rule, apply, unmapped_required
from crm_sync.spec import LengthUnit, Spec, TargetField
from crm_sync.templates import TemplateError
from crm_sync.transforms import as_text, value_label
from leads.texts import gettext as _
from leads.texts import gettext_noop


@dataclass(frozen=True, slots=True)
class Cell:
    """What one lead gives one field of the CRM. `value` as it would be sent, "" where the field is left out.

    `problem`: a sentence on what the CRM would make of it; `fatal`: the lead would be refused or held.
    """

    value: str
    problem: str = ""
    fatal: bool = False


@dataclass(frozen=True, slots=True)
class Sight:
    """What a mapping makes of one lead: a cell for each field that a rule decides, by the field's name.

    `rows`: the index of the rule that decided it.
    """

    cells: Mapping[str, Cell]
    rows: Mapping[str, int]

    @property
    def fails(self) -> bool:
        """Whether this lead would be refused or held."""
        return any(cell.fatal for cell in self.cells.values())


@dataclass(frozen=True, slots=True)
class Caution:
    """What a person should know of the mapping itself. `row`: the rule's index, None where no rule is to blame."""

    target: str
    message: str
    row: int | None = None


def look(rules: Sequence[Rule], values: Mapping[str, object], spec: Spec) -> Sight:
    """What these rules would send for one lead's values to a CRM with these fields."""
    fields = {field.name: field for field in spec.fields}
    applied = apply(rules, values)
    failed = {problem.target: Cell("", problem.message, fatal=True) for problem in applied.problems}
    cells = {
        target: failed.get(target) or _cell(applied, target, fields.get(target), spec.length_unit)
        for target in applied.used
    }
    for field in spec.fields:
        if field.required and field.name not in applied.record and field.name not in failed:
            cells[field.name] = Cell(
                "", _("The CRM requires “{field}”, and it is empty.").format(field=field.label), fatal=True
            )
    return Sight(cells, applied.used)


def _cell(applied: Applied, target: str, field: TargetField | None, unit: LengthUnit) -> Cell:
    if target not in applied.record:
        return Cell("")
    value = applied.record[target]
    text = as_text(value)
    if field is None:
        return Cell(text)
    try:
        typed(value, field)
    except Unfit as error:
        return Cell(text, str(error), fatal=True)
    if field.type == "choice" and field.choices and _choice(text, field) is None:
        return Cell(
            text,
            _("“{text}” is none of the choices of “{field}”.").format(text=clipped(text), field=field.label),
            fatal=True,
        )
    size = length(text, unit)
    if field.max_length and size > field.max_length:
        cut = field.type == "text"
        said = (
            _("{number:,} characters; the CRM allows {limit:,}: it is cut.")
            if cut
            else _("{number:,} characters; the CRM allows {limit:,}: the CRM may refuse it.")
        )
        return Cell(text, said.format(number=size, limit=field.max_length), fatal=not cut)
    return Cell(text)


def _choice(text: str, field: TargetField) -> str | None:
    """The choice that a text stands for, by its value or its label; None where it is none."""
    wanted = text.strip().casefold()
    return next(
        (value for value, label in field.choices if wanted in (value.casefold(), label.casefold())), None
    )


def cautions(rules: Sequence[Rule], spec: Spec, recent: Sequence[Mapping[str, object]]) -> list[Caution]:
    """What to know before these rules are saved. `recent`: the values of the last leads, at most a hundred or so."""
    fields = {field.name: field for field in spec.fields}
    found = [
        Caution(field.name, _("The CRM requires “{field}”, and no row fills it.").format(field=field.label))
        for field in unmapped_required(rules, spec.fields)
    ]
    seen = {name for values in recent for name, value in values.items() if as_text(value)}
    for index, rule in enumerate(rules):
        field = fields.get(rule.target)
        sentences = [*_unseen(rule, seen, len(recent)), *_wrong_type(rule, field), *_not_listed(rule, recent)]
        found += [Caution(rule.target, sentence, index) for sentence in sentences]
    return found


def _unseen(rule: Rule, seen: set[str], leads: int) -> Iterator[str]:
    if leads < 5:  # too few to say anything by
        return
    for name in _reads(rule):
        if name not in seen and not rule.fallback:
            said = _("None of the last {leads} leads brought “{name}”.")
            yield said.format(leads=leads, name=value_label(name))


def _reads(rule: Rule) -> list[str]:
    """The lead values that a rule takes."""
    if rule.source:
        return [] if rule.source == EVERYTHING else [rule.source]
    if rule.kind != "template":
        return []
    try:
        return sorted(templates.names(rule.template))
    except TemplateError:
        return []  # refused elsewhere, with the place


_NEVER_TEXT = {
    "flag": gettext_noop("“{field}” takes true or false: choose a fixed value or a value list."),
    "number": gettext_noop("“{field}” takes a number: choose a fixed value or a value list."),
    "date": gettext_noop("“{field}” takes a date: choose a fixed value or a value list."),
}


def _wrong_type(rule: Rule, field: TargetField | None) -> Iterator[str]:
    """A field that takes no text is given one that a person typed."""
    if field is None or rule.kind not in ("field", "template") or field.type not in _NEVER_TEXT:
        return
    fits = {"flag": {"is_test"}, "date": {"received_at"}, "number": set[str]()}[field.type]
    if rule.source not in fits and not rule.source.startswith(("extra.", "campaign.")):
        yield _(_NEVER_TEXT[field.type]).format(field=field.label)


def _not_listed(rule: Rule, recent: Sequence[Mapping[str, object]]) -> Iterator[str]:
    """Values of recent leads that a value list does not have."""
    if rule.kind != "lookup" or rule.fallback:
        return
    alone = [replace(rule, when={})]
    missing = sorted(
        {
            text
            for values in recent
            if (text := as_text(values.get(rule.source))) and rule.target not in apply(alone, values).record
        }
    )
    if missing:
        few = ", ".join(f"“{clipped(text)}”" for text in missing[:3])
        more = len(missing) - 3
        said = (
            _("Not in the value list: {few} and {more} more. They count as empty.")
            if more > 0
            else _("Not in the value list: {few}. They count as empty.")
        )
        yield said.format(few=few, more=more)
