"""Pure: what changed between two versions of a field mapping, in sentences for whoever is about to publish it."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from crm_sync.mapping import Rule
from crm_sync.transforms import LEAD_VALUES, TRANSFORMS


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
                found.append(
                    Difference(first, target, "moved", f"the order of the rows of “{label}” changed")
                )
            continue
        earlier = iter(old.get(target, {}).values())
        for number, rule in rows.items():
            was = next(earlier, None)
            if was is None:
                found.append(
                    Difference(number, target, "added", f"row {number} added: “{label}” {_gets(rule)}")
                )
            elif was != rule:
                said = "; ".join(_changes(was, rule))
                found.append(Difference(number, target, "changed", f"row {number}: “{label}” {said}"))
    found.sort(key=lambda difference: difference.row)
    for target, rows in old.items():
        label = labels.get(target, target)
        gone = list(rows)[len(new.get(target, {})) :]
        found += [
            Difference(number, target, "removed", f"row {number} removed: “{label}”") for number in gone
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
            return f"gets {_source(rule.source)}{_as(rule)}"
        case "constant":
            return f"is always “{_short(rule.value)}”"
        case "template":
            return f"gets the text “{_short(rule.template)}”"
        case "lookup":
            return f"gets {_source(rule.source)} by a value list of {len(rule.table)}"
    return "is left out"


def _as(rule: Rule) -> str:
    return f" ({_transform(rule.transform)})" if rule.transform else ""


def _changes(was: Rule, now: Rule) -> Iterator[str]:
    """What of a row changed, each in a few words."""
    if was.kind != now.kind or (was.source, was.value, was.template) != (now.source, now.value, now.template):
        yield f"now {_gets(now)}"
    elif was.transform != now.transform:
        yield f"now {_transform(now.transform)}" if now.transform else "now as it is"
    if was.kind == now.kind == "lookup" and was.table != now.table:
        yield _table(was.table, now.table)
    for name, words in _OTHERS.items():
        if getattr(was, name) != getattr(now, name):
            yield words(now)


def _table(was: Mapping[str, str], now: Mapping[str, str]) -> str:
    added, removed = now.keys() - was.keys(), was.keys() - now.keys()
    changed = {key for key in was.keys() & now.keys() if was[key] != now[key]}
    parts = [(added, "added"), (changed, "changed"), (removed, "removed")]
    return "its value list: " + ", ".join(f"{_some(keys)} {word}" for keys, word in parts if keys)


def _some(keys: set[str]) -> str:
    few = ", ".join(_short(key) for key in sorted(keys)[:3])
    return few if len(keys) <= 3 else f"{few} and {len(keys) - 3} more"


def _fallback(rule: Rule) -> str:
    return f"if empty, “{_short(rule.fallback)}”" if rule.fallback else "if empty, nothing stands in"


def _condition(rule: Rule) -> str:
    if not rule.when:
        return "now always"
    held = " and ".join(f"{_source(name)} is {' or '.join(texts)}" for name, texts in rule.when.items())
    return f"only when {held}"


def _empty(rule: Rule) -> str:
    return "now sent even when empty" if rule.keep_empty else "now left out when empty"


_OTHERS: Mapping[str, Callable[[Rule], str]] = {
    "fallback": _fallback,
    "when": _condition,
    "keep_empty": _empty,
}


def _source(name: str) -> str:
    return "every lead value" if name == "*" else LEAD_VALUES.get(name, name)


def _transform(slug: str) -> str:
    transform = TRANSFORMS.get(slug)
    label = transform.label if transform else slug
    return label[0].lower() + label[1:] if not label.isupper() and not label.startswith("IN ") else label


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"
