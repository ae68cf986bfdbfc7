"""The parts of docs/connectors/*.md that a connector's declaration gives: `make docs` writes them, a test compares.

A page is written by hand, but for what stands between `<!-- generated: NAME -->` and `<!-- end -->`.
"""

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from crm_sync import connectors
from crm_sync.connectors import answers
from crm_sync.connectors.answers import ErrorRow
from crm_sync.connectors.base import Connector
from crm_sync.spec import Setting, Spec, TargetField

_BLOCK = re.compile(r"(<!-- generated: (?P<name>[a-z]+) -->\n)(?P<text>.*?)(<!-- end -->)", re.DOTALL)
_FOLLOWS: Mapping[object, str] = {
    answers.already_there: "Delivered: an earlier try wrote the record",
    answers.duplicate: "As the connection says: ask, write all the same, or skip",
    answers.rejected: "Rejected: this lead, or the field that the CRM names",
    answers.later: "Tried again by itself",
    answers.uncertain: "Tried again by itself, as a repeat: the record may exist",
    answers.throttled: "The connection waits as long as the CRM says, or a growing while",
    answers.fault: "The connection stops until it is mended; its leads wait",
}


def page(text: str, connector: type[Connector]) -> str:
    """A page with its generated parts renewed. Raises KeyError for a part that nobody generates."""
    return _BLOCK.sub(lambda found: f"{found[1]}\n{_PARTS[found['name']](connector)}\n\n{found[4]}", text)


def parts(text: str) -> set[str]:
    """The names of the generated parts of a page."""
    return {found["name"] for found in _BLOCK.finditer(text)}


def _settings(connector: type[Connector]) -> str:
    rows = [
        (f"`{setting.name}`", setting.label, _needed(setting), _setting_help(setting))
        for setting in connector.spec.settings
    ]
    return _table(("setting", "on the screen", "", "what it is, and where to find it"), rows) or "None."


def _needed(setting: Setting) -> str:
    needed = "required" if setting.required and not setting.default else "optional"
    return f"{needed}, kept encrypted" if setting.secret else needed


def _setting_help(setting: Setting) -> str:
    choices = "; ".join(f"`{value}`: {label}" for value, label in setting.choices)
    default = f"Default: `{setting.default}`." if setting.default else ""
    return " ".join(filter(None, (setting.help, f"{choices}." if choices else "", default)))


def _fields(connector: type[Connector]) -> str:
    spec = connector.spec
    rows = [
        (f"`{field.name}`", field.label, field.type, _size(field), _suggestion(field))
        for field in spec.fields
    ]
    note = "The CRM's own fields are read from it and offered in the mapping." if spec.describes else ""
    if spec.every_value:
        note = "Every lead value is sent under its own name, unless a mapping says otherwise."
    table = _table(("field", "label", "type", "holds", "suggested"), rows)
    return "\n\n".join(filter(None, (table, note)))


def _size(field: TargetField) -> str:
    size = f"{field.max_length:,}" if field.max_length else ""
    return f"{size} (required)".strip() if field.required else size


def _suggestion(field: TargetField) -> str:
    rule = field.suggested
    if rule is None:
        return ""
    value = rule.get("source") or rule.get("template") or rule.get("value") or ""
    when = rule.get("when")
    condition = ""
    if isinstance(when, Mapping):
        condition = " when " + ", ".join(f"{name} is {' or '.join(values)}" for name, values in when.items())
    return f"`{value}`{condition}{', also where a mapping does not name it' if field.always else ''}"


def _limits(connector: type[Connector]) -> str:
    spec = connector.spec
    lines = [
        f"- Pushes at once: {spec.max_in_flight}",
        f"- Pushes a second: {spec.max_per_second or 'no limit of ours'}",
        f"- Pushes a day: {f'{spec.max_per_day:,}' if spec.max_per_day else 'no limit of ours'}",
        f"- Leads in one call while a backlog is sent: {spec.batch_size}",
    ]
    if spec.one_per_email:
        lines.append("- Leads with one e-mail address go one after the other.")
    return "\n".join(lines)


def _retry(connector: type[Connector]) -> str:
    return connector.spec.idempotent_by or (
        "This kind cannot tell a repeated push from a new one. A push of which nobody knows whether it arrived is "
        "held as *May have arrived already*, until a person looks and decides."
    )


def _errors(connector: type[Connector]) -> str:
    rows = [
        (_when(row, connector.protocol), _FOLLOWS[row.verdict], row.meaning, f"<{row.page.split(',')[0]}>")
        for row in connector.errors
    ]
    return _table(("answer", "what follows", "what it means", "source"), rows) or (
        "Nothing of its own: [the table of all kinds](README.md#what-an-answer-means)."
    )


def _when(row: ErrorRow, protocol: str) -> str:
    status = f"{protocol} {row.status}" if row.status else "any"
    return f"{status} `{row.pattern}`" if row.pattern else status


_PARTS: Mapping[str, Callable[[type[Connector]], str]] = {
    "settings": _settings,
    "fields": _fields,
    "limits": _limits,
    "retry": _retry,
    "errors": _errors,
}


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [" | ".join(_cell(cell) for cell in row) for row in rows]
    if not lines:
        return ""
    return "\n".join(
        [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {line} |" for line in lines)]
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def overview(text: str, specs: Iterable[Spec]) -> str:
    """The page about all kinds, with its table renewed: each kind, and how a repeated push finds the first record."""
    rows = [
        (
            f"[{spec.label}]({spec.slug}.md)",
            spec.idempotent_by or "It cannot: an uncertain push is held for a person.",
        )
        for spec in specs
    ]
    table = _table(("kind of CRM", "how a repeated push finds the first record"), rows)
    return _BLOCK.sub(lambda found: f"{found[1]}\n{table}\n\n{found[4]}", text)


def main(directory: Path) -> None:
    """Renew the pages in a directory."""
    about_all = directory / "README.md"
    specs = [connector.spec for connector in connectors.all()]
    about_all.write_text(overview(about_all.read_text("utf-8"), specs), "utf-8")
    for slug, connector in connectors.REGISTRY.items():
        path = directory / f"{slug}.md"
        path.write_text(page(path.read_text("utf-8"), connector), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
