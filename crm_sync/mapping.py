"""Pure: the rules of a field mapping and the values of a lead -> the CRM's record, or what is wrong."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from types import MappingProxyType
from typing import Any

from crm_sync import templates
from crm_sync.spec import Spec, TargetField
from crm_sync.templates import TemplateError
from crm_sync.transforms import (
    LEAD_VALUES,
    TRANSFORMS,
    Transform,
    as_text,
    is_lead_value,
    nearest,
    unknown_lead_value,
)
from leads.texts import gettext as _

__all__ = (
    "EVERYTHING",
    "KINDS",
    "LEAD_VALUES",
    "TRANSFORMS",
    "Applied",
    "RowProblem",
    "Rule",
    "RuleError",
    "Transform",
    "apply",
    "check",
    "completed",
    "compose",
    "is_lead_value",
    "problems",
    "suggested_rules",
    "unmapped_required",
)

# Target and source of the rule that sends every lead value under its own name.
EVERYTHING = "*"

TEXT_LIMIT = 4_000  # characters of any text of a rule; templates have their own limit
NAME_LIMIT = 200  # characters of a target or a source, as the database holds them
LIST_LIMIT = 1_000  # rows of a table, conditions, values of a condition

# What a rule of each kind may set besides its target and its condition.
SETTINGS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "field": frozenset(("source", "transform", "fallback", "keep_empty")),
        "constant": frozenset(("value", "keep_empty")),
        "template": frozenset(("template", "transform", "fallback", "keep_empty")),
        "lookup": frozenset(("source", "table", "transform", "fallback", "keep_empty")),
        "omit": frozenset[str](),
    }
)
KINDS = tuple(SETTINGS)


class RuleError(ValueError):
    """What is wrong with a rule, in a sentence, and where: "mapping[2].transform"."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path
        self.message = message


@dataclass(frozen=True, slots=True)
class Rule:
    """How one field of the CRM's record is filled.

    `transform` is put on the lead value of a `field`, on the text of a `template`, and on the lead value of a
    `lookup` before its table, which is asked for the value as it was sent too. `fallback` stands in for an
    empty result, which is otherwise left out unless `keep_empty`. Every condition of `when` must hold: the lead
    value of that name is one of the texts, in capitals or not.
    """

    target: str
    kind: str
    source: str = ""
    value: str = ""
    template: str = ""
    table: Mapping[str, str] = field(default_factory=dict)
    transform: str = ""
    fallback: str = ""
    when: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    keep_empty: bool = False

    @classmethod
    def from_config(cls, data: Mapping[str, object], path: str = "") -> "Rule":
        """The rule as a configuration file writes it, at `path` in that file.

        Raises RuleError for what cannot be a rule at all; `check` finds what is wrong with one.
        """
        if not isinstance(data, Mapping):
            raise RuleError(path, _('A rule is an object, {"target": "X", "kind": "omit"} at the least.'))
        for key in data:
            if key not in _READERS:
                raise RuleError(
                    _below(path, str(key)),
                    _("A rule has no “{key}”{hint}").format(key=key, hint=nearest(str(key), _READERS)),
                )
        for key in ("target", "kind"):
            if key not in data:
                raise RuleError(_below(path, key), _("The rule has no “{key}”; add it.").format(key=key))
        return cls(**{key: _READERS[key](value, _below(path, key)) for key, value in data.items()})

    def as_config(self) -> dict[str, object]:
        """The rule as `from_config` reads it: only what is set."""
        config: dict[str, object] = {"target": self.target, "kind": self.kind}
        for key in ("source", "value", "template", "transform", "fallback", "keep_empty"):
            if getattr(self, key):
                config[key] = getattr(self, key)
        if self.table:
            config["table"] = dict(self.table)
        if self.when:
            config["when"] = {name: list(texts) for name, texts in self.when.items()}
        return config


def _below(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _read_text(value: object, path: str) -> str:
    if not isinstance(value, str):
        raise RuleError(path, _("This must be text, in quotes."))
    return value


def _read_flag(value: object, path: str) -> bool:
    if not isinstance(value, bool):
        raise RuleError(path, _("This must be true or false, without quotes."))
    return value


def _read_table(value: object, path: str) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise RuleError(path, _('This must be an object of texts, like {"US": "United States"}.'))
    return {_read_text(key, path): _read_text(text, _below(path, str(key))) for key, text in value.items()}


def _read_when(value: object, path: str) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, Mapping):
        raise RuleError(path, _('This must be an object of lists, like {"action": ["PLT"]}.'))
    return {
        _read_text(name, path): _read_texts(texts, _below(path, str(name))) for name, texts in value.items()
    }


def _read_texts(value: object, path: str) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise RuleError(path, _('This must be a list of texts, like ["INS", "PLT"].'))
    return tuple(_read_text(text, f"{path}[{index}]") for index, text in enumerate(value))


_READERS: Mapping[str, Callable[[object, str], Any]] = MappingProxyType(
    {
        "target": _read_text,
        "kind": _read_text,
        "source": _read_text,
        "value": _read_text,
        "template": _read_text,
        "table": _read_table,
        "transform": _read_text,
        "fallback": _read_text,
        "when": _read_when,
        "keep_empty": _read_flag,
    }
)


# Checks, when a mapping is saved.


def check(rules: Sequence[Rule], fields: Sequence[TargetField], any_field: bool) -> list[RuleError]:
    """What is wrong with these rules of one mapping, under paths like "mapping[2].transform"."""
    return [
        RuleError(f"mapping[{index}].{problem.path}", problem.message)
        for index, rule in enumerate(rules)
        for problem in problems(rule, fields, any_field)
    ]


def problems(rule: Rule, fields: Sequence[TargetField], any_field: bool) -> list[RuleError]:
    """What is wrong with one rule, each under the key of the rule that must change.

    `fields` are those of the CRM; `any_field`: it takes others too.
    """
    if rule.kind not in KINDS:
        return [
            RuleError(
                "kind",
                _("There is no kind of rule “{kind}”{hint}").format(
                    kind=rule.kind, hint=nearest(rule.kind, KINDS)
                ),
            )
        ]
    too_long = list(_too_long(rule))
    if too_long:
        return too_long
    if EVERYTHING in (rule.target, rule.source):
        return [*_wrong_everything(rule, any_field), *_wrong_conditions(rule)]
    return [
        *_wrong_target(rule, fields, any_field),
        *_wrong_settings(rule),
        *_wrong_source(rule),
        *_wrong_transform(rule),
        *_wrong_template(rule),
        *_wrong_table(rule),
        *_wrong_conditions(rule),
        *_unfit_texts(rule, fields),
    ]


def unmapped_required(rules: Sequence[Rule], fields: Sequence[TargetField]) -> list[TargetField]:
    """The required fields of the CRM that none of these rules ever sets."""
    return [target for target in fields if target.required and not _may_set(rules, target.name)]


def _may_set(rules: Sequence[Rule], name: str) -> bool:
    for rule in rules:
        if rule.target == name and rule.kind != "omit":
            return True
        if rule.target == name and not rule.when:
            return False  # left out for every lead, whatever follows
    return is_lead_value(name) and any(rule.target == EVERYTHING for rule in rules)


def _too_long(rule: Rule) -> Iterator[RuleError]:
    for key in ("target", "source", "value", "transform", "fallback"):
        limit = NAME_LIMIT if key in ("target", "source") else TEXT_LIMIT
        if len(getattr(rule, key)) > limit:
            yield RuleError(
                key, _("This has more than {limit:,} characters; shorten it.").format(limit=limit)
            )
    for key, entries, texts in (
        ("table", len(rule.table), chain(rule.table, rule.table.values())),
        ("when", max(map(len, (rule.when, *rule.when.values()))), chain(rule.when, *rule.when.values())),
    ):
        if entries > LIST_LIMIT:
            yield RuleError(
                key,
                _("This has more than {limit:,} entries; take some out.").format(limit=LIST_LIMIT),
            )
        if any(len(text) > TEXT_LIMIT for text in texts):
            yield RuleError(
                key,
                _("A text in here has more than {limit:,} characters; shorten it.").format(limit=TEXT_LIMIT),
            )


def _wrong_everything(rule: Rule, any_field: bool) -> Iterator[RuleError]:
    if rule != Rule(EVERYTHING, "field", source=EVERYTHING, when=rule.when):
        yield RuleError(
            "target",
            _(
                'Every lead value under its own name is {"target": "*", "kind": "field", "source": "*"}; '
                "beside “when”, nothing else goes with it."
            ),
        )
    elif not any_field:
        yield RuleError("target", _("This CRM takes only the fields it lists; name one instead of “*”."))


def _wrong_target(rule: Rule, fields: Sequence[TargetField], any_field: bool) -> Iterator[RuleError]:
    names = [target.name for target in fields]
    if not rule.target:
        yield RuleError("target", _("Name the field of the CRM that this rule fills."))
    elif not any_field and rule.target not in names:
        yield RuleError(
            "target",
            _("The CRM has no field “{name}”{hint}").format(
                name=rule.target, hint=nearest(rule.target, names)
            ),
        )


def _wrong_settings(rule: Rule) -> Iterator[RuleError]:
    unused = rule.as_config().keys() - SETTINGS[rule.kind] - {"target", "kind", "when"}
    for key in sorted(unused):
        yield RuleError(
            key,
            _("A rule of kind “{kind}” does not use “{key}”; take it out.").format(kind=rule.kind, key=key),
        )


def _wrong_source(rule: Rule) -> Iterator[RuleError]:
    if "source" not in SETTINGS[rule.kind]:
        return
    if not rule.source:
        yield RuleError("source", _("Name the lead value that this rule takes."))
    elif not is_lead_value(rule.source):
        yield RuleError("source", unknown_lead_value(rule.source))


def _wrong_transform(rule: Rule) -> Iterator[RuleError]:
    if rule.transform and rule.transform not in TRANSFORMS:
        yield RuleError(
            "transform",
            _("There is no transform “{name}”{hint}").format(
                name=rule.transform, hint=nearest(rule.transform, TRANSFORMS)
            ),
        )


def _wrong_template(rule: Rule) -> Iterator[RuleError]:
    if rule.kind != "template":
        return
    if not rule.template:
        yield RuleError("template", _("Write the text, with lead values like {{ full_name }} in it."))
    try:
        templates.check(rule.template)
    except TemplateError as error:
        said = "{message}" if error.line is None else _("{message} (line {line}, column {column})")
        yield RuleError("template", said.format(message=error.message, line=error.line, column=error.column))


def _wrong_table(rule: Rule) -> Iterator[RuleError]:
    if rule.kind == "lookup" and not rule.table:
        yield RuleError("table", _('Add at least one row, like {"US": "United States"}.'))


def _wrong_conditions(rule: Rule) -> Iterator[RuleError]:
    for name, texts in rule.when.items():
        if not is_lead_value(name):
            yield RuleError(f"when.{name}", unknown_lead_value(name))
        elif not texts:
            yield RuleError(
                f"when.{name}",
                _("List the values for which the rule holds, or take this out."),
            )


def _unfit_texts(rule: Rule, fields: Sequence[TargetField]) -> Iterator[RuleError]:
    """What the rule itself says but the field of the CRM cannot hold."""
    target = next((target for target in fields if target.name == rule.target), None)
    if target is None:
        return
    texts = [("value", rule.value), ("fallback", rule.fallback)]
    texts += [(f"table.{key}", text) for key, text in rule.table.items()]
    choices = [value for value, _label in target.choices]
    for path, text in texts:
        if target.max_length and len(text) > target.max_length:
            said = _("“{field}” holds {limit:,} characters, this has {number:,}; shorten it.")
            yield RuleError(path, said.format(field=target.label, limit=target.max_length, number=len(text)))
        elif text and target.type == "choice" and choices and text not in choices:
            yield RuleError(
                path,
                _("“{field}” has no choice “{text}”{hint}").format(
                    field=target.label, text=text, hint=nearest(text, choices)
                ),
            )


# From rules to a record.


@dataclass(frozen=True, slots=True)
class RowProblem:
    """Why the rule of that index could not fill its target for this lead."""

    index: int
    target: str
    message: str


@dataclass(frozen=True, slots=True)
class Applied:
    """What a mapping makes of one lead.

    `used` names, for each target that a rule decided, the index of that rule, also where the target was then
    left out of `record`.
    """

    record: dict[str, object]
    problems: tuple[RowProblem, ...]
    used: dict[str, int]


def compose(*layers: Sequence[Rule]) -> tuple[Rule, ...]:
    """One mapping of several layers, the most special first: a route's rules, then those it inherits."""
    return tuple(chain.from_iterable(layers))


def suggested_rules(spec: Spec) -> tuple[Rule, ...]:
    """The mapping that a connector suggests of itself."""
    rules = _suggested(spec.fields, spec)
    if spec.every_value:
        rules.append(Rule(EVERYTHING, "field", source=EVERYTHING))
    return tuple(rules)


def completed(rules: Sequence[Rule], spec: Spec) -> tuple[Rule, ...]:
    """A mapping that somebody made, with what the connector suggests for those fields that every record has."""
    decided = {rule.target for rule in rules if not rule.when}
    missing = (target for target in spec.fields if target.always and target.name not in decided)
    return compose(rules, _suggested(missing, spec))


def _suggested(targets: Iterable[TargetField], spec: Spec) -> list[Rule]:
    return [
        Rule.from_config({"target": target.name, **target.suggested}, f"{spec.slug}.{target.name}")
        for target in targets
        if target.suggested is not None
    ]


def apply(rules: Sequence[Rule], values: Mapping[str, object]) -> Applied:
    """The record for a lead's values by their flat names ("email", "campaign.utm_source").

    The first rule of a target whose condition holds decides it. Targets keep the order in which the rules
    first name them; the values that "*" adds follow, under names that no rule has decided. Never raises:
    a rule that fails leaves its target out and says so in `problems`.
    """
    used = _deciding(rules, values)
    everything = used.pop(EVERYTHING, None)
    record: dict[str, object] = {}
    failed: list[RowProblem] = []
    for target, index in used.items():
        rule = rules[index]
        try:
            result = _result(rule, values)
        except (RuleError, TemplateError) as error:
            failed.append(RowProblem(index, target, error.message))
            continue
        if result != "" or (rule.keep_empty and rule.kind != "omit"):
            record[target] = result
    if everything is not None:
        added = {name: _as_sent(value) for name, value in values.items() if name not in used}
        added = {name: value for name, value in added.items() if value != ""}
        record |= added
        used |= dict.fromkeys(added, everything)
    return Applied(record, tuple(failed), used)


def _deciding(rules: Sequence[Rule], values: Mapping[str, object]) -> dict[str, int]:
    """The index of the first rule that holds, for each target that has one."""
    first: dict[str, int | None] = {}
    for index, rule in enumerate(rules):
        if first.setdefault(rule.target) is None and _holds(rule, values):
            first[rule.target] = index
    return {target: index for target, index in first.items() if index is not None}


def _holds(rule: Rule, values: Mapping[str, object]) -> bool:
    return all(
        as_text(values.get(name)).casefold() in map(str.casefold, texts) for name, texts in rule.when.items()
    )


def _result(rule: Rule, values: Mapping[str, object]) -> object:
    """What the rule puts in its target, "" for nothing. Raises RuleError or TemplateError."""
    make = _MAKERS.get(rule.kind)
    if make is None:
        raise RuleError("kind", _("There is no kind of rule “{kind}”.").format(kind=rule.kind))
    result = make(rule, values)
    return rule.fallback if result == "" else result


def _from_field(rule: Rule, values: Mapping[str, object]) -> object:
    value = values.get(rule.source)
    return _transformed(rule, as_text(value), values) if rule.transform else _as_sent(value)


def _from_template(rule: Rule, values: Mapping[str, object]) -> str:
    return _transformed(rule, templates.render(rule.template, values), values)


def _from_table(rule: Rule, values: Mapping[str, object]) -> str:
    sent = as_text(values.get(rule.source))
    # As it was sent too: a list is made of what leads were seen to bring.
    wanted = (_transformed(rule, sent, values), sent)
    for value in wanted:
        if value in rule.table:
            return rule.table[value]
    for loosely in map(_loosely, wanted):
        for key, text in rule.table.items():
            if _loosely(key) == loosely:
                return text
    return ""


_MAKERS: Mapping[str, Callable[[Rule, Mapping[str, object]], object]] = MappingProxyType(
    {
        "field": _from_field,
        "constant": lambda rule, values: rule.value,
        "template": _from_template,
        "lookup": _from_table,
        "omit": lambda rule, values: "",
    }
)


def _transformed(rule: Rule, text: str, values: Mapping[str, object]) -> str:
    if not rule.transform:
        return text
    transform = TRANSFORMS.get(rule.transform)
    if transform is None:
        raise RuleError("transform", _("There is no transform “{name}”.").format(name=rule.transform))
    return transform.apply(text, values)


def _as_sent(value: object) -> object:
    """A flag stays a flag, everything else is text."""
    return value if isinstance(value, bool) else as_text(value)


def _loosely(text: str) -> str:
    return text.strip().casefold()
