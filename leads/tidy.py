"""Pure: the e-mail address, phone number and country of a lead in the one form that can be compared and dialled.

What a customer typed stays as it came; this stands beside it, "" where there is no telling what was meant.
"""

import re
from urllib.parse import unquote

import email_validator
import phonenumbers

from leads.countries import country_code

_LONGEST = 1_000  # characters: nobody's address with a name before it is longer, and a megabyte costs nothing
_LONGEST_EMAIL = 254  # RFC 5321
_LONGEST_PHONE = 100
_IN_BRACKETS = re.compile(r"<([^<>]*)>$")
_E164 = re.compile(r"\+[1-9][0-9]{1,14}")
_DIALLED_ABROAD = re.compile(r"00\s*(?=[1-9])")


def email(text: str) -> str:
    """The bare address, its domain in small letters; "" for what is no address.

    Takes `Jane <jane@contoso.com>` and `mailto:jane@contoso.com` too. Nobody is asked whether it exists.
    """
    if len(text) > _LONGEST:
        return ""
    try:
        # The "test environment" lets the domains pass that are set aside for tests; nothing else changes.
        found = email_validator.validate_email(_bare(text), check_deliverability=False, test_environment=True)
    except ValueError:  # also what the domain's encoding may raise
        return ""
    return found.normalized if len(found.normalized) <= _LONGEST_EMAIL else ""


def _bare(text: str) -> str:
    text = text.strip()
    if in_brackets := _IN_BRACKETS.search(text):
        text = in_brackets[1].strip()
    if text[:7].casefold() == "mailto:":
        text = unquote(text[7:].partition("?")[0]).strip()
    return text


def phone(text: str, country: str) -> str:
    """The number in E.164, such as +14255550134; "" for what cannot be one.

    `country` is where a number without an international prefix is dialled. An extension is left out.
    """
    text = text.strip()
    if len(text) > _LONGEST_PHONE:
        return ""
    # In North America and a few other places 00 is not how one dials abroad, but it is how everyone writes it.
    text = _DIALLED_ABROAD.sub("+", text, count=1) if text.startswith("00") else text
    try:
        number = phonenumbers.parse(text, country_code(country) or None)
    except phonenumbers.NumberParseException:
        return ""
    # "Possible", not "valid": the library's list of number ranges ages. Only in full, though: a number that can be
    # dialled in its own town alone says nothing to anybody else.
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return ""
    found = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return found if _E164.fullmatch(found) else ""


def spaced(number: str) -> str:
    """An E.164 number for reading: +1 425 555 0134."""
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return number
    shown = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
    return shown.replace("-", " ")


def country(text: str) -> str:
    """The ISO 3166 alpha-2 code, "" for what is no country that we know."""
    return country_code(text)
