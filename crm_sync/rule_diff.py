"""Pure: what changed between two versions of a field mapping, in sentences for whoever is about to publish it."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from crm_sync.mapping import EVERYTHING, Rule
from crm_sync.transforms import TRANSFORMS, value_label
from leads.texts import gettext as _


@dataclass(frozen=True, slots=True)
class Difference:
    """One row that differs. `row`: its number in the new version, or in the old one where it is gone."""

    row: int
    target: str
    kind: str  # "added", "removed", "changed" or "moved"
    words: str


def differences(before: Sequence[Rule], after: Sequence[Rule], labels: Mapping[str, str]) -> list[Difference]:
    """The rows that differ, in the order of the new version, then those that are gone.

    `labels`: the CRM's words for its fields, by name. Of several rows for one field the first is compared with the
    first, and so on: their order decides which holds.
    """
    old, new = _by_target(before), _by_target(after)
    found = []
    for target, rows in new.items():
        label = labels.get(target, target)
        if sorted(map(repr, rows.values())) == sorted(map(repr, old.get(target, {}).values())):
            if list(rows.values()) != list(old[target].values()):
                first = next(iter(rows))
                words = _("the order of the rows of “{field}” changed").format(field=label)
                found.append(Difference(first, target, "moved", words))
            continue
        earlier = iter(old.get(target, {}).values())
        for number, rule in rows.items():
            was = next(earlier, None)
            if was is None:
                words = _("row {number} added: “{field}” {what}").format(
                    number=number, field=label, what=_gets(rule)
                )
                found.append(Difference(number, target, "added", words))
            elif was != rule:
                words = _("row {number}: “{field}” {what}").format(
                    number=number, field=label, what="; ".join(_changes(was, rule))
                )
                found.append(Difference(number, target, "changed", words))
    found.sort(key=lambda difference: difference.row)
    for target, rows in old.items():
        label = labels.get(target, target)
        gone = list(rows)[len(new.get(target, {})) :]
        removed = _("row {number} removed: “{field}”")
        found += [
            Difference(number, target, "removed", removed.format(number=number, field=label))
            for number in gone
        ]
    return found


def _by_target(rules: Sequence[Rule]) -> dict[str, dict[int, Rule]]:
    found: dict[str, dict[int, Rule]] = defaultdict(dict)
    for number, rule in enumerate(rules, 1):
        found[rule.target][number] = rule
    return dict(found)


def _gets(rule: Rule) -> str:
    """What a row sends, in a few words."""
    match rule.kind:
        case "field":
            said = _("gets {value} ({transform})") if rule.transform else _("gets {value}")
            return said.format(value=_source(rule.source), transform=_transform(rule.transform))
        case "constant":
            return _("is always “{text}”").format(text=_short(rule.value))
        case "template":
            return _("gets the text “{text}”").format(text=_short(rule.template))
        case "lookup":
            said = _("gets {value} by a value list of {number}")
            return said.format(value=_source(rule.source), number=len(rule.table))
    return _("is left out")


def _changes(was: Rule, now: Rule) -> Iterator[str]:
    """What of a row changed, each in a few words."""
    if was.kind != now.kind or (was.source, was.value, was.template) != (now.source, now.value, now.template):
        yield _("now {what}").format(what=_gets(now))
    elif was.transform != now.transform:
        said = _("now “{transform}”") if now.transform else _("now as it is")
        yield said.format(transform=_transform(now.transform))
    if was.kind == now.kind == "lookup" and was.table != now.table:
        yield _table(was.table, now.table)
    for name, words in _OTHERS.items():
        if getattr(was, name) != getattr(now, name):
            yield words(now)


def _table(was: Mapping[str, str], now: Mapping[str, str]) -> str:
    added, removed = now.keys() - was.keys(), was.keys() - now.keys()
    changed = {key for key in was.keys() & now.keys() if was[key] != now[key]}
    parts = [(added, _("{keys} added")), (changed, _("{keys} changed")), (removed, _("{keys} removed"))]
    told = ", ".join(said.format(keys=_some(keys)) for keys, said in parts if keys)
    return _("its value list: {changes}").format(changes=told)


def _some(keys: set[str]) -> str:
    few = ", ".join(_short(key) for key in sorted(keys)[:3])
    more = len(keys) - 3
    return _("{few} and {more} more").format(few=few, more=more) if more > 0 else few


def _fallback(rule: Rule) -> str:
    if not rule.fallback:
        return _("if empty, nothing stands in")
    return _("if empty, “{text}”").format(text=_short(rule.fallback))


def _condition(rule: Rule) -> str:
    if not rule.when:
        return _("now always")
    either, one = f" {_('or')} ", _("{value} is {texts}")
    held = (one.format(value=_source(name), texts=either.join(texts)) for name, texts in rule.when.items())
    return _("only when {conditions}").format(conditions=f" {_('and')} ".join(held))


def _empty(rule: Rule) -> str:
    return _("now sent even when empty") if rule.keep_empty else _("now left out when empty")


_OTHERS: Mapping[str, Callable[[Rule], str]] = {
    "fallback": _fallback,
    "when": _condition,
    "keep_empty": _empty,
}


def _source(name: str) -> str:
    return _("every lead value") if name == EVERYTHING else value_label(name)


def _transform(slug: str) -> str:
    transform = TRANSFORMS.get(slug)
    return _(transform.label) if transform else slug


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"
