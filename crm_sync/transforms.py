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
from leads.texts import gettext as _
from leads.texts import gettext_noop

# The labels are marked; `value_label` translates them.
LEAD_VALUES: Mapping[str, str] = MappingProxyType(
    {
        "id": gettext_noop("Lead id"),
        "first_name": gettext_noop("First name"),
        "last_name": gettext_noop("Last name"),
        "full_name": gettext_noop("Full name"),
        "email": gettext_noop("E-mail"),
        "phone": gettext_noop("Phone"),
        "company": gettext_noop("Company"),
        "title": gettext_noop("Job title"),
        "country": gettext_noop("Country, as sent"),
        "country_code": gettext_noop("Country code (two letters)"),
        "lead_source": gettext_noop("Lead source, as sent"),
        "source": gettext_noop("Marketplace"),
        "action": gettext_noop("Action code"),
        "action_label": gettext_noop("Action in words"),
        "publisher_id": gettext_noop("Publisher ID"),
        "offer_id": gettext_noop("Offer ID"),
        "offer_title": gettext_noop("Offer title"),
        "description": gettext_noop("Description"),
        "received_at": gettext_noop("Received at (UTC)"),
        "is_test": gettext_noop("Test lead"),
    }
)
# Any key that a lead brought may follow one of these.
PREFIXES = ("campaign.", "extra.")


def is_lead_value(name: str) -> bool:
    """Whether a rule or a template may name this value, though not every lead has it."""
    return name in LEAD_VALUES or any(name.startswith(prefix) and name != prefix for prefix in PREFIXES)


def value_label(name: str) -> str:
    """A lead value in words; a key that a lead brought is its own."""
    return _(LEAD_VALUES[name]) if name in LEAD_VALUES else name


def unknown_lead_value(name: str) -> str:
    """The sentence that refuses a name which is no lead value."""
    if f"{name}." in PREFIXES:
        return _("“{name}” needs a key after it: “{name}.utm_source”, for instance.").format(name=name)
    known = [*LEAD_VALUES, *(f"{prefix}<key>" for prefix in PREFIXES)]
    return _("There is no lead value “{name}”{hint}").format(name=name, hint=nearest(name, known))


def closest(name: str, known: Iterable[str]) -> str:
    """The known name that this one was probably meant to be; "" where none is near."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1)), "")


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: a suggestion, or else what there is to choose from."""
    known = list(known)
    if close := closest(name, known):
        return _("; did you mean “{name}”?").format(name=close)
    if not 0 < len(known) <= 25:  # nobody reads a longer list
        return "."
    return _(". Choose one of: {names}.").format(names=", ".join(known))


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


# Labels are marked, and translated where they are shown.
TRANSFORMS: Mapping[str, Transform] = MappingProxyType(
    {
        "trim": Transform(gettext_noop("Without spaces around it"), lambda text, values: text.strip()),
        "upper": Transform(gettext_noop("IN CAPITALS"), lambda text, values: text.upper()),
        "lower": Transform(gettext_noop("in small letters"), lambda text, values: text.lower()),
        "title": Transform(gettext_noop("With Initial Capitals"), _title),
        "first_word": Transform(gettext_noop("First word"), _first_word),
        "digits": Transform(gettext_noop("Digits only"), _digits),
        "e164": Transform(gettext_noop("Phone number as +14255550100"), _e164),
        "iso_country": Transform(
            gettext_noop("Country as two letters"), lambda text, values: country_code(text) or text
        ),
        "country_name": Transform(gettext_noop("Country by its name"), _country_name),
        "date": Transform(gettext_noop("Date as 2026-11-22"), _date),
    }
)
