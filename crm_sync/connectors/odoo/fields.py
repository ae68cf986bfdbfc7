"""The fields of a lead in Odoo, as fields of ours, and their values as Odoo imports them. Pure."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

from crm_sync.spec import FieldType, TargetField

_TYPES: Mapping[str, FieldType] = {
    **dict.fromkeys(("char", "text", "html", "datetime"), "text"),
    **dict.fromkeys(("integer", "float", "monetary"), "number"),
    **dict.fromkeys(("many2one", "many2many"), "reference"),
    "boolean": "flag",
    "date": "date",
    "selection": "choice",
}
_INNER = ("message_", "activity_")  # of the conversation beside the lead
_NAMED: Mapping[str, FieldType] = {
    "email_from": "email",
    "phone": "phone",
    "mobile": "phone",
    "website": "url",
}
ATTRIBUTES = (
    "string",
    "type",
    "required",
    "readonly",
    "size",
    "selection",
)  # of `fields_get`, that are read here
# With `noupdate` and mode `update`, `load` creates what is not there and never writes what is: a repeated push changes
# nothing that a salesperson changed, not even where the bot may no longer read it. The bot follows no lead, and is told
# in English what is wrong, which the table of errors reads.
CONTEXT = {"mode": "update", "noupdate": True, "mail_create_nosubscribe": True, "lang": "en_US"}


def described(told: Mapping[str, Mapping[str, Any]]) -> list[TargetField]:
    """Those fields of `fields_get` that can be written. Of those required, Odoo itself fills the type."""
    return [
        TargetField(
            name,
            str(about.get("string") or name),
            _NAMED.get(name, _TYPES[about["type"]]),
            required=bool(about.get("required")) and name != "type",
            max_length=about.get("size") or 0,
            choices=tuple((str(value), str(label)) for value, label in about.get("selection") or ()),
        )
        for name, about in told.items()
        if about.get("type") in _TYPES and not about.get("readonly") and not name.startswith(_INNER)
    ]


def cell(name: str, value: Any, kind: str | None) -> Any:
    """A value as it stands in a file that a person imports. `kind`: Odoo's type of the field; None: not known."""
    if isinstance(value, bool):
        return str(value).lower()
    if kind == "html" or (not kind and name == "description"):
        return f"<p>{html.escape(str(value))}</p>".replace("\n", "<br>")
    if kind == "datetime":
        return str(value)[:19].replace("T", " ")
    return value


def loaded(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The arguments of `load`: rows of the same columns."""
    return {"fields": [*rows[0]], "data": [[*row.values()] for row in rows], "context": CONTEXT}


def ids(answer: Mapping[str, Any], rows: int) -> list[int]:
    """The ids that `load` returns for so many rows; none where it refused them."""
    found = answer.get("ids")
    return found if isinstance(found, list) and len(found) == rows else []
