"""The values of a record in the types of the CRM's fields, and in the lengths that these hold."""

import re
from collections.abc import Mapping
from typing import Any

from crm_sync.spec import LengthUnit, TargetField
from leads.texts import gettext as _

_YES, _NO = frozenset({"true", "yes", "1", "on"}), frozenset({"false", "no", "0", "off"})
_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ].*)?", re.DOTALL)
_CUT = "…"


class Unfit(ValueError):  # noqa: N818 - named for what happened
    """A value that its field cannot hold. The message is a sentence."""


def typed(value: Any, field: TargetField) -> Any:
    """The value as the field's type has it. Raises Unfit.

    Of a choice or a flag, the CRM's own value, also where the value is one of its labels. Types that are texts to
    every CRM are left alone: what is wrong with an address, the CRM says better.
    """
    if isinstance(value, str):
        match field.type:
            case "flag":
                return _flag(_choice(value, field), field)
            case "number":
                return _number(value, field)
            case "date" if not _DATE.fullmatch(value):
                raise Unfit(
                    _("“{label}” takes a date such as 2026-11-22, and gets “{value}”.").format(
                        label=field.label, value=clipped(value)
                    )
                )
            case "choice":
                return _choice(value, field)
    return value


def _flag(value: str, field: TargetField) -> bool:
    word = value.strip().casefold()
    if word in _YES | _NO:
        return word in _YES
    raise Unfit(
        _("“{label}” takes true or false, and gets “{value}”.").format(
            label=field.label, value=clipped(value)
        )
    )


def _number(value: str, field: TargetField) -> int | float:
    text = value.strip()
    if re.fullmatch(r"[+-]?\d{1,15}", text, re.ASCII):
        return int(text)
    if re.fullmatch(r"[+-]?\d{1,15}\.\d{1,15}", text, re.ASCII):
        return float(text)
    raise Unfit(
        _("“{label}” takes a number, and gets “{value}”.").format(label=field.label, value=clipped(value))
    )


def _choice(value: str, field: TargetField) -> str:
    by_label = {label.casefold(): name for name, label in field.choices}
    known = {name for name, _ in field.choices}
    # One that is not listed goes as it is: the list may be older than the CRM's.
    return value if value in known else by_label.get(value.strip().casefold(), value)


def clipped(text: str) -> str:
    """The beginning of a text, for a sentence."""
    return text if len(text) <= 40 else f"{text[:39]}{_CUT}"


def length(text: str, unit: LengthUnit) -> int:
    """How long a text is, as the CRM counts it."""
    return len(text) if unit == "characters" else len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut(text: str, most: int, unit: LengthUnit) -> str:
    """The text, or its beginning and an ellipsis where it is longer than that. No character is cut in two."""
    if length(text, unit) <= most:
        return text
    if unit == "characters":
        return text[: most - 1] + _CUT
    start = text.encode("utf-16-le", "surrogatepass")[: 2 * (most - 1)]
    return start.decode("utf-16-le", "ignore") + _CUT


def fitted(
    record: Mapping[str, Any], fields: Mapping[str, TargetField], unit: LengthUnit
) -> tuple[dict[str, Any], str]:
    """The record in the types of these fields, texts cut to what they hold, and a note of what was cut.

    Addresses and numbers are never cut: half of one is a wrong one. Raises UnfitField.
    """
    values: dict[str, Any] = {}
    notes = []
    for name, value in record.items():
        field = fields.get(name)
        if field is None:
            values[name] = value
            continue
        try:
            value = typed(value, field)
        except Unfit as error:
            raise UnfitField(name, str(error)) from None
        if field.type == "text" and field.max_length and isinstance(value, str):
            shorter = cut(value, field.max_length, unit)
            if shorter != value:
                notes.append(
                    _(
                        "“{label}” was cut from {length:,} to {most:,} characters, all that the CRM holds; "
                        "the lead here has the whole text."
                    ).format(label=field.label, length=length(value, unit), most=field.max_length)
                )
            value = shorter
        values[name] = value
    return values, " ".join(notes)


class UnfitField(Exception):  # noqa: N818 - named for what happened
    """A record of which one field cannot hold its value: the field's name, and a sentence."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(field, sentence)
        self.field, self.sentence = field, sentence
