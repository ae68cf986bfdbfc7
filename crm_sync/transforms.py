"""Pure: the values of a lead that a mapping may name, and the transforms that it may put one through."""

import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

import phonenumbers

from leads.countries import country_code, country_name

LEAD_VALUES: Mapping[str, str] = MappingProxyType(
    {
        "id": "Lead id",
        "first_name": "First name",
        "last_name": "Last name",
        "full_name": "Full name",
        "email": "E-mail",
        "phone": "Phone",
        "company": "Company",
        "title": "Job title",
        "country": "Country, as sent",
        "country_code": "Country code (two letters)",
        "lead_source": "Lead source, as sent",
        "source": "Marketplace",
        "action": "Action code",
        "action_label": "Action in words",
        "publisher_id": "Publisher id",
        "offer_id": "Offer id",
        "offer_title": "Offer title",
        "description": "Description",
        "received_at": "Received at (UTC)",
        "is_test": "Test lead",
    }
)
# Any key that a lead brought may follow one of these.
PREFIXES = ("campaign.", "extra.")


def is_lead_value(name: str) -> bool:
    """Whether a rule or a template may name this value, though not every lead has it."""
    return name in LEAD_VALUES or any(name.startswith(prefix) and name != prefix for prefix in PREFIXES)


def unknown_lead_value(name: str) -> str:
    """The sentence that refuses a name which is no lead value."""
    if f"{name}." in PREFIXES:
        return f"“{name}” needs a key after it: “{name}.utm_source”, for instance."
    known = [*LEAD_VALUES, *(f"{prefix}<key>" for prefix in PREFIXES)]
    return f"There is no lead value “{name}”{nearest(name, known)}"


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: a suggestion, or else what there is to choose from."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"; did you mean “{close[0]}”?"
    if not 0 < len(known) <= 25:  # nobody reads a longer list
        return "."
    return f". Choose one of: {', '.join(known)}."


def as_text(value: object) -> str:
    """A lead value as text: "true" or "false" for a flag, "" for None, JSON for what has parts."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool | list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


class Transform(NamedTuple):
    """`label` is for the screen. `apply` takes a text and the values of its lead, and never fails."""

    label: str
    apply: Callable[[str, Mapping[str, object]], str]


def _title(text: str, values: Mapping[str, object]) -> str:
    # Who wrote "McDonald" or "van der Berg" chose the capitals; only text without any choice is changed.
    if text not in (text.lower(), text.upper()):
        return text
    return re.sub(r"[^\s-]+", lambda match: match[0].capitalize(), text)


def _first_word(text: str, values: Mapping[str, object]) -> str:
    return next(iter(text.split(maxsplit=1)), "")


def _digits(text: str, values: Mapping[str, object]) -> str:
    return "".join(str(int(character)) for character in text if character.isdecimal())


def _e164(text: str, values: Mapping[str, object]) -> str:
    try:
        number = phonenumbers.parse(text, as_text(values.get("country_code")).upper() or None)
    except phonenumbers.NumberParseException:
        return text
    # "Possible", not "valid": the library's list of number ranges ages, and a number that it does not know
    # yet is still the customer's.
    if not phonenumbers.is_possible_number(number):
        return text
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _country_name(text: str, values: Mapping[str, object]) -> str:
    code = country_code(text)
    return country_name(code) if code else text


def _date(text: str, values: Mapping[str, object]) -> str:
    try:
        return datetime.fromisoformat(text.strip()).date().isoformat()
    except ValueError:
        return text


TRANSFORMS: Mapping[str, Transform] = MappingProxyType(
    {
        "trim": Transform("Without spaces around it", lambda text, values: text.strip()),
        "upper": Transform("IN CAPITALS", lambda text, values: text.upper()),
        "lower": Transform("in small letters", lambda text, values: text.lower()),
        "title": Transform("With Initial Capitals", _title),
        "first_word": Transform("First word", _first_word),
        "digits": Transform("Digits only", _digits),
        "e164": Transform("Phone number as +14255550100", _e164),
        "iso_country": Transform("Country as two letters", lambda text, values: country_code(text) or text),
        "country_name": Transform("Country by its name", _country_name),
        "date": Transform("Date as 2026-11-22", _date),
    }
)
