"""The rows of a field mapping as a form: what the browser sends, as rules; rules, as what the browser shows."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from django import forms
from django.core.exceptions import BadRequest
from django.forms.utils import ErrorDict
from django.http import QueryDict
from django.utils.datastructures import MultiValueDict
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from crm_sync import mapping
from crm_sync.mapping import EVERYTHING, LEAD_VALUES, TRANSFORMS, Rule, problems
from crm_sync.models import FieldRule
from crm_sync.rule_words import EVERY_FIELD
from crm_sync.spec import Spec, TargetField
from crm_sync.transforms import as_text, value_label

MOST_ROWS = 400
KINDS = list(FieldRule._meta.get_field("kind").flatchoices)
TRANSFORM_CHOICES = [
    ("", gettext_lazy("As it is")),
    *((slug, gettext_lazy(transform.label)) for slug, transform in TRANSFORMS.items()),
]

# --- Inputs --------------------------------------------------------------------------------------------------


class Shared:
    """Of a field that all rows have in common: a copy for each of hundreds of rows takes most of a page's time."""

    def __deepcopy__(self, memo: Any) -> Any:
        return self


class PlainTextField(Shared, forms.CharField):
    """Text exactly as typed; browsers send line ends as CR LF, rules have LF."""

    def __init__(self, rows: int = 1, **kwargs: Any) -> None:
        box = forms.Textarea(attrs={"rows": rows, "cols": 20, "spellcheck": "false"})
        super().__init__(required=False, strip=False, widget=box, **kwargs)

    def to_python(self, value: Any) -> Any:
        return (super().to_python(value) or "").replace("\r\n", "\n").replace("\r", "\n")


class Listing:
    """The options of a select as HTML, made once for all rows: a template for each option takes ten times the page."""

    def __init__(self, choices: Sequence[tuple[str, Any]]) -> None:
        self.places: dict[str, int] = {}
        self.parts: list[SafeString] = []
        for value, label in choices:
            if isinstance(label, list | tuple):
                self.parts.append(format_html('<optgroup label="{}">', value))
                for inner in label:
                    self._add(*inner)
                self.parts.append(SafeString("</optgroup>"))
            else:
                self._add(value, label)

    def _add(self, value: str, label: str) -> None:
        self.places[value] = len(self.parts)
        self.parts.append(format_html('<option value="{}">{}</option>', value, label))

    def html(self, chosen: str) -> SafeString:
        """The options with that one chosen; one that is not among them is added at the end."""
        place = self.places.get(chosen)
        if place is None:
            more = _("%(value)s (not seen lately)") % {"value": chosen}
            parts = [*self.parts, format_html('<option value="{}" selected>{}</option>', chosen, more)]
        else:
            whole = self.parts[place].replace("<option ", "<option selected ", 1)
            parts = [*self.parts[:place], SafeString(whole), *self.parts[place + 1 :]]
        return mark_safe("".join(parts))  # noqa: S308 - joined of what format_html made


class Pairs(forms.Widget):
    """A value list: two inputs a line, `<name>_key` and `<name>_value`, and a box for a spreadsheet's columns."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        keys, values = data.getlist(f"{name}_key"), data.getlist(f"{name}_value")
        return {"lines": list(zip(keys, values, strict=False)), "pasted": data.get(f"{name}_paste", "")}

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return f"{name}_key" not in data and f"{name}_paste" not in data


class PairsField(Shared, forms.Field):
    """A value list, as a dict of texts. What is pasted joins what is typed: two columns, by tab, or `a = b` a line."""

    widget = Pairs

    def to_python(self, value: Any) -> dict[str, str]:
        table: dict[str, str] = {}
        for key, text in value["lines"]:
            if not text:
                continue  # a value that was seen, and that nobody gave a translation
            if not key.strip():
                raise forms.ValidationError(
                    _("What becomes “%(text)s”? Fill in the left column too.") % {"text": text}
                )
            if key in table:
                raise forms.ValidationError(
                    _("“%(key)s” is there twice. Take one of the two out.") % {"key": key}
                )
            table[key] = text
        return table | dict(_pasted(value["pasted"]))


def _pasted(text: str) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        sign = "\t" if "\t" in line else " = " if " = " in line else "="
        key, found, value = line.partition(sign)
        if not found or not key.strip():
            raise forms.ValidationError(
                _("Line %(number)d of what was pasted has no two columns.") % {"number": number}
            )
        yield key.strip(), value.strip()


class ConditionsField(PlainTextField):
    """When a row holds: a lead value and its texts a line, as a dict of lists; as JSON where lines cannot say it."""

    example = "action = PLT, INS"

    def prepare_value(self, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        conditions = {name: list(texts) for name, texts in value.items()}
        text = "\n".join(f"{name} = {', '.join(texts)}" for name, texts in conditions.items())
        return text if self._parsed(text) == conditions else json.dumps(conditions, ensure_ascii=False)

    def to_python(self, value: Any) -> Any:
        return self._parsed(super().to_python(value))

    def _parsed(self, text: str) -> dict[str, list[str]]:
        if text.lstrip().startswith("{"):
            return self._from_json(text)
        when: dict[str, list[str]] = {}
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip():
                continue
            name, sign, texts = line.partition(" = " if " = " in line else "=")
            if not sign or not name.strip():
                raise forms.ValidationError(
                    _("Line %(number)d is not of the form “%(example)s”.")
                    % {"number": number, "example": self.example}
                )
            when[name.strip()] = [text for piece in texts.split(",") if (text := piece.strip())]
        return when

    def _from_json(self, text: str) -> dict[str, list[str]]:
        try:
            when = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise forms.ValidationError(
                _("This begins with { but is not JSON: %(error)s.") % {"error": error}
            ) from error
        lists = all(isinstance(texts, list) for texts in when.values())
        if not lists or not all(isinstance(each, str) for texts in when.values() for each in texts):
            raise forms.ValidationError(
                _("Each value must be a list of texts, like %(example)s.")
                % {"example": '{"action": ["PLT"]}'}
            )
        return when


# --- One row -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choices:
    """What every row offers: the CRM's fields and the lead values. Made once a page."""

    spec: Spec
    sources: Listing
    fields: Mapping[str, TargetField] = field(init=False)
    by_label: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "fields", {each.name: each for each in self.spec.fields})
        labels: dict[str, list[str]] = {}
        for each in self.spec.fields:
            labels.setdefault(each.label.casefold(), []).append(each.name)
        # A label that two fields have names neither.
        names = {label: found[0] for label, found in labels.items() if len(found) == 1}
        object.__setattr__(self, "by_label", names)

    def shown(self, name: str) -> str:
        """A field as its input shows it: by its label, where that names this field alone."""
        if name == EVERYTHING:
            return str(EVERY_FIELD)
        each = self.fields.get(name)
        return each.label if each and self.name(each.label) == name else name

    def name(self, typed: str) -> str:
        """The field that somebody typed or chose: by its name or its label."""
        typed = typed.strip()
        if typed == str(EVERY_FIELD):
            return EVERYTHING
        return typed if typed in self.fields else self.by_label.get(typed.casefold(), typed)


def choice_shown(value: str, field: TargetField | None) -> str:
    """A choice of the CRM as its input shows it: by its label, where that stands for this choice alone."""
    label = next((label for known, label in field.choices if known == value), "") if field else ""
    return label if label and choice_named(label, field) == value else value


def choice_named(text: str, field: TargetField | None) -> str:
    """What the CRM calls the choice that somebody typed or chose, by its label or as the CRM has it; else the text."""
    if field is None or any(text == value for value, _label in field.choices):
        return text
    wanted = text.strip().casefold()
    meant = {value for value, label in field.choices if label.casefold() == wanted}
    return meant.pop() if len(meant) == 1 else text


class NameField(Shared, forms.CharField):
    """The name of a CRM field or of a lead value."""


class FixedChoiceField(Shared, forms.ChoiceField):
    """One of what this software offers."""


class FlagField(Shared, forms.BooleanField):
    """Yes or no."""


class RowForm(forms.Form):
    """One row. What its kind does not use is cleared, so that a change of kind needs no tidying up."""

    target = NameField(label=gettext_lazy("CRM field"), required=False, max_length=200)
    kind = FixedChoiceField(label=gettext_lazy("How"), choices=KINDS)
    source = NameField(label=gettext_lazy("Lead field"), required=False, max_length=200)
    value = PlainTextField(label=gettext_lazy("Fixed value"))
    template = PlainTextField(label=gettext_lazy("Text with fields"), rows=2)
    table = PairsField(label=gettext_lazy("Value list"), required=False)
    transform = FixedChoiceField(
        label=gettext_lazy("Transform"),
        required=False,
        choices=TRANSFORM_CHOICES,
    )
    fallback = PlainTextField(label=gettext_lazy("If empty, send"))
    keep_empty = FlagField(label=gettext_lazy("Send even when empty"), required=False)
    when = ConditionsField(label=gettext_lazy("Only when"))

    rule: Rule | None = None

    def __init__(self, data: Any, *, choices: Choices, unfinished: bool = False, **kwargs: Any) -> None:
        super().__init__(data, label_suffix="", **kwargs)
        self.choices, self.unfinished = choices, unfinished

    def full_clean(self) -> None:
        """Find what is wrong, unless somebody has only begun to fill the row in."""
        super().full_clean()
        if self.unfinished:
            self._errors, self.rule = ErrorDict(), None

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.errors:
            return data
        self.rule = self._rule(data)
        for problem in problems(self.rule, self.choices.spec.fields, self.choices.spec.any_field):
            name = problem.path.split(".", 1)[0]
            message = problem.message
            if name == "table" and not self.rule.table:
                message = _("Give at least one value its translation.")
            self.add_error(name, message)
        return data

    def _rule(self, data: Mapping[str, Any]) -> Rule:
        kind, target = data["kind"], self.choices.name(data["target"])
        used = mapping.SETTINGS[kind]
        if kind == "field" and EVERYTHING in (data["source"], target):
            return Rule(EVERYTHING, "field", source=EVERYTHING, when=_conditions(data))
        values = {name: data[name] for name in used}
        field = self.choices.fields.get(target)
        if field is not None and field.choices:
            self._by_value(values, field)
        return Rule(target=target, kind=kind, when=_conditions(data), **values)

    def _by_value(self, values: dict[str, Any], field: TargetField) -> None:
        """Choices are shown by their labels, and kept by what the CRM calls them."""
        for name in ("value", "fallback"):
            if name in values:
                values[name] = choice_named(values[name], field)
        if "table" in values:
            values["table"] = {key: choice_named(text, field) for key, text in values["table"].items()}

    # For the template

    @property
    def field(self) -> TargetField | None:
        """The CRM's field of this row, where it is one."""
        return self.choices.fields.get(self.target_name)

    @property
    def target_name(self) -> str:
        return self.choices.name(str(self["target"].value() or ""))

    @property
    def problems(self) -> list[tuple[str, str]]:
        """What is wrong: the input's label, and a sentence."""
        return [
            (str(self.fields[name].label), str(sentence))
            for name, sentences in self.errors.items()
            for sentence in sentences
        ]

    @property
    def kinds(self) -> SafeString:
        return _listings(get_language())[0].html(self._chosen("kind") or "field")

    @property
    def sources(self) -> SafeString:
        return self.choices.sources.html(self._chosen("source"))

    @property
    def transforms(self) -> SafeString:
        return _listings(get_language())[1].html(self._chosen("transform"))

    def _chosen(self, name: str) -> str:
        return str(self[name].value() or "")

    @property
    def is_long(self) -> bool:
        """Whether its fixed value has more lines than one."""
        return "\n" in self._chosen("value")

    @property
    def has_more(self) -> bool:
        """Whether the rarer inputs hold anything, so that they are shown at once."""
        return any(
            self[name].value() or self[name].errors
            for name in ("transform", "fallback", "when", "keep_empty")
        )

    @property
    def lines(self) -> list[tuple[str, str]]:
        """The value list's lines, as typed."""
        return [(key, text) for key, text in self["table"].value()["lines"] if key.strip() or text.strip()]


@cache
def _listings(language: str | None) -> tuple[Listing, Listing]:
    """The kinds and the transforms as options, in the language that is active."""
    return Listing(KINDS), Listing(TRANSFORM_CHOICES)


def _conditions(data: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(texts) for name, texts in data["when"].items()}


# --- All rows ------------------------------------------------------------------------------------------------

Raw = dict[str, list[str]]  # what the browser sends of one row, without its prefix

NAMES = (*RowForm.base_fields, "table_key", "table_value", "table_paste", "new")


def raws_of(rules: Iterable[Rule], choices: Choices) -> list[Raw]:
    """Rules as the browser would send them."""
    return [_raw(rule, choices) for rule in rules]


def _raw(rule: Rule, choices: Choices) -> Raw:
    field = choices.fields.get(rule.target)
    values = {name: getattr(rule, name) for name in ("kind", "source", "template", "transform")}
    values |= {name: choice_shown(getattr(rule, name), field) for name in ("value", "fallback")}
    raw = {name: [value] for name, value in values.items() if value}
    raw["target"] = [choices.shown(rule.target)]
    raw["table_key"] = list(rule.table)
    raw["table_value"] = [choice_shown(text, field) for text in rule.table.values()]
    if rule.when:
        raw["when"] = [RowForm.base_fields["when"].prepare_value(rule.when)]
    if rule.keep_empty:
        raw["keep_empty"] = ["on"]
    return raw


def raws_in(data: QueryDict) -> list[Raw]:
    """The rows that a browser sent, in its order. Raises BadRequest for more than the page can hold."""
    count = number_in(data.get("rows", "")) or 0
    if count > MOST_ROWS:
        raise BadRequest(_("More than %(number)s rows") % {"number": MOST_ROWS})
    return [
        {name: data.getlist(key) for name in NAMES if (key := f"row-{number}-{name}") in data}
        for number in range(count)
    ]


def number_in(text: str) -> int | None:
    """A number of rows that a browser sent; None for what is none."""
    return int(text) if re.fullmatch("[0-9]{1,6}", text) else None


def forms_of(raws: Sequence[Raw], choices: Choices, *, finished: bool = True) -> list[RowForm]:
    """A form for each row. `finished`: a new row without its CRM field is wrong, and not just begun."""
    data: MultiValueDict[str, str] = MultiValueDict(
        {f"row-{number}-{name}": values for number, raw in enumerate(raws) for name, values in raw.items()}
    )
    return [
        RowForm(
            data,
            choices=choices,
            prefix=f"row-{number}",
            unfinished=is_blank(raw) or (not finished and _is_begun(raw)),
        )
        for number, raw in enumerate(raws)
    ]


def _is_begun(raw: Raw) -> bool:
    return "new" in raw and not any(value.strip() for value in raw.get("target", ()))


def is_blank(raw: Raw) -> bool:
    """Whether nothing was entered in a row that somebody added."""
    entered = (values for name, values in raw.items() if name not in ("kind", "new"))
    return not any(value.strip() for values in entered for value in values)


def in_order(rules: Sequence[Rule], spec: Spec) -> list[Rule]:
    """The rules as the page lists them: required fields first, then in the CRM's order, then those it does not list.

    Those of one field keep their order, which decides which of them holds.
    """
    required = [field.name for field in spec.fields if field.required]
    others = [field.name for field in spec.fields if not field.required]
    place = {name: number for number, name in enumerate([*required, *others])}
    return sorted(rules, key=lambda rule: place.get(rule.target, len(place) + (rule.target == EVERYTHING)))


def digest(rules: Sequence[Rule]) -> str:
    """A mark of the rows that a page was made from, so that two editors cannot overwrite each other."""
    text = json.dumps([rule.as_config() for rule in rules])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# --- What there is to choose ---------------------------------------------------------------------------------


def source_choices(recent: Sequence[Mapping[str, object]], spec: Spec, extra: Iterable[str] = ()) -> Listing:
    """The lead values for a select, each with what a recent lead brought.

    `recent`: values of the last leads, the newest first. `extra`: keys that are known from elsewhere.
    """
    example: dict[str, str] = {}
    for values in recent:
        for name, value in values.items():
            if value not in ("", None):
                example.setdefault(name, as_text(value))
    choices: list[tuple[str, Any]] = [
        ("", _("Choose")),
        (
            _("Lead"),
            [(name, _with_example(value_label(name), example.get(name, ""))) for name in LEAD_VALUES],
        ),
    ]
    if spec.every_value:
        choices.append((_("All"), [(EVERYTHING, _("Every lead value, under its own name"))]))
    for prefix, title in (("campaign.", _("Campaign")), ("extra.", _("Fields we do not know"))):
        names = {name for name in example if name.startswith(prefix)}
        names |= {name for name in extra if name.startswith(prefix)}
        if names:
            rows = [(name, _with_example(name, example.get(name, ""))) for name in sorted(names)[:100]]
            choices.append((title, rows))
    return Listing(choices)


def _with_example(label: str, value: str) -> str:
    value = " ".join(value.split())
    return f"{label}: {value if len(value) <= 30 else value[:29] + '…'}" if value else label
