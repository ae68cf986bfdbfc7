"""A rule of a field mapping for reading, and the place on its page where it stands."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from crm_sync import templates
from crm_sync.mapping import EVERYTHING, TRANSFORMS, Rule
from crm_sync.models import FieldRule
from crm_sync.spec import Spec
from crm_sync.transforms import value_label

# What the screen calls the target of the rule that sends every lead value.
EVERY_FIELD = gettext_lazy("Every field")
PAIRS = 3  # of a value list


def anchor(field: str) -> str:
    """The id of the row of a CRM field on the page of its mapping."""
    return f"field-{slugify(field, allow_unicode=True) or 'other'}"


@dataclass(frozen=True, slots=True)
class Row:
    """One rule for reading."""

    rule: Rule
    target: str
    how: str
    value: str
    extras: str
    made_of: str = ""  # of a text that reads like a program: what it is made of


def row(rule: Rule, spec: Spec) -> Row:
    """A rule in words, by the CRM's labels."""
    labels = {target.name: target.label for target in spec.fields}
    said = by_label(rule, spec)
    return Row(
        rule=rule,
        target=str(EVERY_FIELD) if rule.target == EVERYTHING else labels.get(rule.target, rule.target),
        how=str(_HOW.get(rule.kind, rule.kind)),
        value=_VALUE.get(rule.kind, lambda rule: "")(said),
        extras=" ".join(_extras(said)),
        made_of=_made_of(rule.template) if rule.kind == "template" else "",
    )


def by_label(rule: Rule, spec: Spec) -> Rule:
    """The rule for reading: the CRM's choices by their labels, where it keeps them as numbers or the like."""
    labels = next((dict(field.choices) for field in spec.fields if field.name == rule.target), {})
    if not labels:
        return rule
    return replace(
        rule,
        value=labels.get(rule.value, rule.value),
        fallback=labels.get(rule.fallback, rule.fallback),
        table={key: labels.get(text, text) for key, text in rule.table.items()},
    )


def _made_of(template: str) -> str:
    """Which lead values a text is made of, in its order; "" for one that can be read as it is written."""
    if "{%" not in template and "|" not in template:
        return ""
    try:
        used = sorted(templates.names(template), key=template.find)
    except templates.TemplateError:
        return ""
    return _("Made of %(fields)s.") % {"fields": ", ".join(map(value_label, used))} if used else ""


_HOW = dict(FieldRule._meta.get_field("kind").flatchoices)


def _source(name: str) -> str:
    return _("Every lead value, under its own name") if name == EVERYTHING else value_label(name)


def _table(rule: Rule) -> str:
    pairs = ", ".join(f"{key} = {text}" for key, text in list(rule.table.items())[:PAIRS])
    more = len(rule.table) - PAIRS
    if more > 0:
        said = ngettext("%(pairs)s and %(number)d more", "%(pairs)s and %(number)d more", more)
        pairs = said % {"pairs": pairs, "number": more}
    return f"{_source(rule.source)}: {pairs}"


_VALUE: Mapping[str, Callable[[Rule], str]] = {
    "field": lambda rule: _source(rule.source),
    "constant": lambda rule: f"“{rule.value}”",
    "template": lambda rule: rule.template,
    "lookup": _table,
}


def _extras(rule: Rule) -> list[str]:
    found = []
    if rule.transform:
        transform: Any = TRANSFORMS.get(rule.transform)
        found.append(f"{_(transform.label) if transform else rule.transform}.")
    if rule.fallback:
        found.append(_("If empty: “%(text)s”.") % {"text": rule.fallback})
    if rule.keep_empty:
        found.append(_("Sent even when empty."))
    either = f" {_('or')} "
    found += [
        _("Only when %(value)s is %(texts)s.") % {"value": _source(name), "texts": either.join(texts)}
        for name, texts in rule.when.items()
    ]
    return found
