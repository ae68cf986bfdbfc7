"""Pure: the bytes of a request become the fields of a lead, or where and why they cannot.

Tolerant first, strict second. Microsoft's sender offers no second try, and real bodies differ from the
published sample in case, in nulls and in encoding; so everything that can be understood is brought into
one canonical form, and only that form is held to the offer's schema.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite
from typing import Any, Literal
from urllib.parse import parse_qsl

from leads import lead_source as sources
from leads.schema import DEFAULT_SCHEMA, Problem, problems
from leads.texts import gettext as _
from leads.texts import gettext_noop

MAX_DEPTH = 64
"""Levels of braces and brackets that a body may have, one in another."""

Reason = Literal["empty", "not_json", "not_object", "too_deep", "truncated", "schema"]


@dataclass(frozen=True, slots=True)
class Fields:
    """What a lead says, in the words of this project; what it does not say is "".

    `lead_source` is the text as sent, `source` its first part. `action` has Microsoft's spelling and
    comes from ActionCode or else from LeadSource; `action_in_source` is what LeadSource alone says, so
    that both can be shown where they differ. `campaign` holds the parameters found in Description.
    `extra` holds every key without a field of its own as sent, one inside UserDetails as
    "UserDetails.<key>", and its JSON value. `test_sent_at` is when Microsoft sent a test lead, if it
    says so.
    """

    first_name: str
    last_name: str
    email: str
    phone: str
    company: str
    title: str
    country: str
    lead_source: str
    source: str
    action: str
    action_in_source: str
    offer_title: str
    publisher_id: str
    offer_id: str
    description: str
    campaign: dict[str, str]
    extra: dict[str, object]
    is_test: bool
    test_sent_at: datetime | None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why a body is not a lead: at least one problem, and the decoded text to show beside it."""

    reason: Reason
    problems: tuple[Problem, ...]
    text: str


# Keys in their plain form: without regard to case and underscores. In "leads coming through blank", the
# commonest complaint about bridges, the key was spelt userDetails where UserDetails was expected.
_PERSON_KEYS = {
    "firstname": "FirstName",
    "lastname": "LastName",
    "email": "Email",
    "phone": "Phone",
    "country": "Country",
    "company": "Company",
    "title": "Title",
}
_LEAD_KEYS = {
    "leadsource": "LeadSource",
    "actioncode": "ActionCode",
    "offertitle": "OfferTitle",
    "description": "Description",
    "offerdisplayname": "OfferTitle",  # so called in the Azure table MarketplaceLeads
}
_DETAILS_KEYS = ("userdetails", "customerinfo")  # the latter in the Azure table, as JSON text

_BRACKETS_AND_STRINGS = re.compile(r'[\[{]|[\]}]|"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_FORM = re.compile(r"[^=&\s]+=[^&\s]*(?:&[^=&\s]+=[^&\s]*)+")
_QUERY = re.compile(r"\??[A-Za-z_][\w.-]*=(?!=)[^&\s]*(?:&[A-Za-z_][\w.-]*=[^&\s]*)*")
_CAMPAIGNS = re.compile(r"\A\s*Campaigns:", re.IGNORECASE)  # Microsoft's prefix, often with nothing behind it


def read(
    body: bytes,
    *,
    content_type: str = "",
    expected_length: int | None = None,
    schema: dict[str, Any] | None = None,
) -> Fields | Unreadable:
    """Read a request's body as a lead. Never raises, whatever the bytes.

    `content_type` is only a hint: JSON is read as JSON under any. `expected_length` is the announced
    length in bytes, None where nothing was announced. `schema` is the offer's own, None for the default.
    """
    text = decode(body)
    if expected_length is not None and expected_length > len(body):
        cut = _("Only {arrived} of the announced {announced} bytes arrived.")
        return _unreadable("truncated", cut.format(arrived=len(body), announced=expected_length), text)
    if not text.strip():
        return _unreadable("empty", _("The request has no content."), text)
    try:
        data = _parse(text, content_type)
    except _TooDeepError:
        deep = _("The content is nested more than {most} levels deep.")
        return _unreadable("too_deep", deep.format(most=MAX_DEPTH), text)
    except json.JSONDecodeError as error:
        return Unreadable("not_json", (_diagnose(error),), text)
    if not isinstance(data, dict):
        other = _("A lead is an object in braces, {{...}}, but {kind} came.")
        return _unreadable("not_object", other.format(kind=_kind(data)), text)
    parts = _Parts.of(data)
    shape = _DEFAULT_SHAPE if schema is None else _Shape.of(schema)
    found = problems(_canonical(parts, shape), schema)
    if found:
        return Unreadable("schema", tuple(found), text)
    return _fields(parts)


def _unreadable(reason: Reason, message: str, text: str) -> Unreadable:
    return Unreadable(reason, (Problem("", message),), text)


# Bytes to JSON


def decode(body: bytes) -> str:
    """The text of a body as it is read and shown; what no database stores as text has become U+FFFD."""
    return _UNSTORABLE.sub("\ufffd", _decode(body))


def _decode(body: bytes) -> str:
    """The text of a body in UTF-8, UTF-16 or UTF-32, with or without a byte order mark, else in Latin-1."""
    encoding = json.detect_encoding(body)
    try:
        return body.decode(encoding)
    except UnicodeDecodeError:
        if not encoding.startswith("utf-8"):
            return body.decode(encoding, "replace")
    try:
        return body.decode("cp1252")  # what Windows programs mean by Latin-1: curly quotes and the euro too
    except UnicodeDecodeError:
        return body.decode("latin-1")


class _Number(str):
    """A number as its sender wrote it, so that a phone number or an id loses no digit on its way."""

    __slots__ = ()

    def value(self) -> object:
        """The number, or its text where 64 bits would not hold it exactly enough for JSON."""
        if self.lstrip("-").isdigit():
            return int(self) if len(self) <= 18 else str(self)
        number = float(self)
        return number if isfinite(number) else str(self)


class _TooDeepError(Exception):
    """Nested more than MAX_DEPTH levels deep."""


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip()) or value in ({}, [])


def _put(target: dict[str, Any], key: str, value: object) -> None:
    """Of several values for one key the last that is not empty wins. Other readers take the last; but a
    sender that fills a field and then repeats it blank has still told us."""
    if key not in target or not _is_empty(value):
        target[key] = value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    together = dict(pairs)
    if len(together) < len(pairs):
        together = {}
        for key, value in pairs:
            _put(together, key, value)
    return together


# Not strict: line breaks inside a text are forbidden in JSON, but common in what people paste into it.
# NaN and Infinity are not JSON either: they are read as the words they are.
_JSON = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_Number, parse_float=_Number, parse_constant=str, strict=False
)


def _parse(text: str, content_type: str) -> Any:
    """The body as JSON or as a form. Raises JSONDecodeError or _TooDeepError."""
    try:
        return _load(text)
    except json.JSONDecodeError:
        declared = content_type.strip().lower().startswith("application/x-www-form-urlencoded")
        if not _looks_like_form(text.strip(), declared=declared):
            raise
    return _object(_pairs(text.strip()))


def _load(text: str) -> Any:
    if text.count("{") + text.count("[") > MAX_DEPTH and _depth(text) > MAX_DEPTH:
        raise _TooDeepError
    data = _JSON.decode(text)
    # Only an escape can bring back what was cleaned out of the text itself.
    return _clean(data) if "\\u" in text else data


def _depth(text: str) -> int:
    depth = deepest = 0
    for token in _BRACKETS_AND_STRINGS.finditer(text):
        mark = token[0]
        if mark in "{[":
            depth += 1
            deepest = max(deepest, depth)
        elif mark in "}]":
            depth -= 1
    return deepest


def _clean(value: Any) -> Any:
    """The value with U+FFFD in place of NUL and lone surrogates, which no database column takes."""
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value) if _UNSTORABLE.search(value) else value
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return value


def _looks_like_form(text: str, *, declared: bool) -> bool:
    if text[0] in "{[\"'<":
        return False  # JSON gone wrong: what is wrong with it helps more than one odd key
    return "=" in text if declared else _FORM.fullmatch(text) is not None


def _pairs(text: str) -> list[tuple[str, str]]:
    """The pairs of a form or of a query string, in UTF-8 or else in Latin-1."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        pairs = parse_qsl(text, keep_blank_values=True, encoding="latin-1")
    return [(_clean(key), _clean(value)) for key, value in pairs]


# JSON to fields


@dataclass(slots=True)
class _Parts:
    """A body taken apart: known keys in Microsoft's spelling, unknown ones as sent, nulls left out."""

    lead: dict[str, Any] = field(default_factory=dict)
    person: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    person_extra: dict[str, Any] = field(default_factory=dict)
    details: Any = None  # None where UserDetails is absent, {} where it could be taken apart, else as sent

    @classmethod
    def of(cls, data: dict[str, Any]) -> "_Parts":
        parts = cls()
        outside = []
        for key, value in _present(data):
            plain = _plain(key)
            if plain in _LEAD_KEYS:
                _put(parts.lead, _LEAD_KEYS[plain], value if plain == "description" else _trimmed(value))
            elif plain in _PERSON_KEYS:
                outside.append((key, _PERSON_KEYS[plain], value))
            elif plain in _DETAILS_KEYS:
                parts._take_details(value)
            else:
                _put(parts.extra, key, value)
        for key, name, value in outside:
            parts._take_from_outside(key, name, value)
        return parts

    def _take_details(self, value: Any) -> None:
        details = _object_in(value)
        if details is None:
            self.details = self.details if _is_empty(value) else value
            return
        self.details = {}
        for key, item in _present(details):
            name = _PERSON_KEYS.get(_plain(key))
            if name:
                _put(self.person, name, _trimmed(item))
            else:
                _put(self.person_extra, key, item)

    def _take_from_outside(self, key: str, name: str, value: Any) -> None:
        """Flat bodies and web forms have the person beside the rest; UserDetails wins where it speaks."""
        if _is_empty(self.person.get(name)):
            _put(self.person, name, _trimmed(value))
        else:
            _put(self.extra, key, value)


def _plain(key: str) -> str:
    return key.replace("_", "").lower()


def _present(data: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((key, value) for key, value in data.items() if value is not None)


def _trimmed(value: Any) -> Any:
    return value.strip() if type(value) is str else value


def _object_in(value: Any) -> dict[str, Any] | None:
    """The value if it is an object, or the object that it holds as JSON text; else None."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = _load(value)
        except (json.JSONDecodeError, _TooDeepError):
            return None
    return value if isinstance(value, dict) else None


def _fields(parts: _Parts) -> Fields:
    person = {name: _text(parts.person.get(name)) for name in _PERSON_KEYS.values()}
    lead_source = _text(parts.lead.get("LeadSource"))
    parsed = sources.parse(lead_source)
    description = _text(parts.lead.get("Description"))
    said = _CAMPAIGNS.sub("", description).strip()
    action, offer_title = _text(parts.lead.get("ActionCode")), _text(parts.lead.get("OfferTitle"))
    texts = (*person.values(), lead_source, parsed.action, parsed.offer_name, said, action, offer_title)
    marked = [text for text in texts if sources.has_test_mark(text)]
    return Fields(
        first_name=person["FirstName"],
        last_name=person["LastName"],
        email=person["Email"],
        phone=person["Phone"],
        company=person["Company"],
        title=person["Title"],
        country=person["Country"],
        lead_source=lead_source,
        source=parsed.source,
        action=sources.canonical_action(action) or parsed.action,
        action_in_source=parsed.action,
        offer_title=offer_title or parsed.offer_name,
        publisher_id=parsed.publisher_id,
        offer_id=parsed.offer_id,
        description=description if said else "",
        campaign=_campaign(said),
        extra=_extra(parts),
        is_test=bool(marked),
        test_sent_at=sources.sent_at(marked),
    )


def _text(value: Any) -> str:
    """A field's text. Only an offer's own schema can let an object or a list come this far."""
    if value is None:
        return ""
    if isinstance(value, str):
        return str(value)
    return json.dumps(_json(value), ensure_ascii=False)


def _json(value: Any) -> Any:
    """The value with its numbers as numbers again."""
    if isinstance(value, _Number):
        return value.value()
    if isinstance(value, dict):
        return {key: _json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_json(item) for item in value]
    return value


def _campaign(said: str) -> dict[str, str]:
    """The listing URL's query parameters that Description holds, as JSON text or as a query string."""
    found = _object_in(said)
    if found is None and _QUERY.fullmatch(said):
        found = _object(_pairs(said.removeprefix("?")))
    return {key: _text(value) for key, value in _present(found or {})}


def _extra(parts: _Parts) -> dict[str, object]:
    inside = {f"UserDetails.{key}": _json(value) for key, value in parts.person_extra.items()}
    return {key: _json(value) for key, value in parts.extra.items()} | inside


# Fields to the canonical body


_Names = Mapping[str, tuple[str, frozenset[str]]]
_TEXT = frozenset(("string",))
_NUMBERS = frozenset(("integer", "number"))


@dataclass(frozen=True, slots=True)
class _Shape:
    """How a schema spells the keys of a lead and of its UserDetails, and the types it gives each."""

    lead: _Names
    person: _Names

    @classmethod
    def of(cls, schema: dict[str, Any]) -> "_Shape":
        properties = schema.get("properties")
        named = properties.items() if isinstance(properties, dict) else ()
        details = [part for name, part in named if _plain(name) == "userdetails"]
        return cls(_names(schema, schema), _names(details[0], schema) if details else {})


def _names(part: Any, schema: dict[str, Any]) -> _Names:
    part = _followed(part, schema)
    required, properties = part.get("required"), part.get("properties")
    names: dict[str, tuple[str, frozenset[str]]] = {}
    for name in required if isinstance(required, list) else ():
        names[_plain(str(name))] = (str(name), frozenset())
    for name, described in properties.items() if isinstance(properties, dict) else ():
        types = _followed(described, schema).get("type")
        several = types if isinstance(types, list) else [types]
        names[_plain(name)] = (name, frozenset(kind for kind in several if isinstance(kind, str)))
    return names


def _followed(part: Any, schema: dict[str, Any]) -> dict[str, Any]:
    """A part of the schema, or the one that it refers to."""
    if isinstance(part, dict) and str(part.get("$ref")).startswith("#/"):
        steps = str(part["$ref"]).split("/")[1:]
        part = schema
        for step in steps:
            part = part.get(step) if isinstance(part, dict) else None
    return part if isinstance(part, dict) else {}


_DEFAULT_SHAPE = _Shape.of(DEFAULT_SCHEMA)


def _canonical(parts: _Parts, shape: _Shape) -> dict[str, Any]:
    """The body as the schema would have spelt it: its keys, text where it says text, and no nulls."""
    body: dict[str, Any] = {}
    person: dict[str, Any] = {}
    for name, value in parts.lead.items():
        _spell(body, shape.lead, name, value, _TEXT)
    for name, value in parts.person.items():
        flat = name.lower() in shape.lead and name.lower() not in shape.person
        _spell(body if flat else person, shape.lead if flat else shape.person, name, value, _TEXT)
    for name, value in parts.person_extra.items():
        _spell(person, shape.person, name, value, frozenset())
    for name, value in parts.extra.items():
        _spell(body, shape.lead, name, value, frozenset())
    details = person if parts.details in (None, {}) else parts.details
    if person or parts.details is not None:
        _spell(body, shape.lead, "UserDetails", details, frozenset())
    return body


def _spell(target: dict[str, Any], names: _Names, name: str, value: Any, unless_told: frozenset[str]) -> None:
    """Put a value under the schema's spelling of its key and in a type that the schema allows there."""
    spelling, types = names.get(_plain(name), (name, unless_told))
    _put(target, spelling, _fit(value, types or unless_told))


def _fit(value: Any, types: frozenset[str]) -> Any:
    if type(value) is str:
        return value
    if isinstance(value, _Number):
        return str(value) if "string" in types and not types & _NUMBERS else value.value()
    if isinstance(value, bool):
        return _text(value) if "string" in types and "boolean" not in types else value
    return _json(value)


# What is wrong, in words that a salesperson can follow


# The first row that fits says it: how the decoder's message begins, the character before the place, what
# stands there. ^ is the beginning of the body; "" fits anything.
_MISTAKES = tuple(
    (message, before, re.compile(there, re.DOTALL), words)
    for message, before, there, words in (
        ("Unterminated string", "", "", gettext_noop("a quotation mark is opened here and never closed")),
        ("Invalid \\", "", "", gettext_noop("a backslash inside a text must be written twice")),
        ("", "", r"\Z", gettext_noop("the text ends here, before its closing bracket: the rest is missing")),
        ("Expecting value", ":", r"[,}\]]", gettext_noop("a value is missing before {found}")),
        ("", "", r",\s*[}\]]", gettext_noop("there is a comma too many before the closing bracket")),
        (
            "",
            "",
            r"[\'\u2018\u2019\u201c\u201d]",
            gettext_noop("names and texts stand in straight double quotes, not in {found}"),
        ),
        ("", "^", r"<", gettext_noop("this is HTML or XML, not JSON")),
        ("Extra data", "", "", gettext_noop("there is more text after the end of the lead: {found}")),
        ("Expecting value", "^", "", gettext_noop("this is not JSON, which would begin with a brace")),
        ("Expecting value", "", ",", gettext_noop("there is a comma too many")),
        ("Expecting value", "", "", gettext_noop("the text {found} must stand in double quotes")),
        ("Expecting property name", "", r",", gettext_noop("there is a comma too many")),
        (
            "Expecting property name",
            "",
            r"[^\W\d]",
            gettext_noop("the name {found} must stand in double quotes"),
        ),
        (
            "Expecting property name",
            "",
            "",
            gettext_noop("a name in double quotes is missing before {found}"),
        ),
        ("Expecting ':'", "", "", gettext_noop("a colon is missing before {found}")),
        ("Expecting ','", "", r"[}\]]", gettext_noop("{found} does not fit the bracket that was opened")),
        ("Expecting ','", '"', r'[^"{\[]', gettext_noop("the quotation marks do not match before {found}")),
        ("Expecting ','", "", "", gettext_noop("a comma is missing before {found}")),
        ("", "", "", gettext_noop("this is not JSON")),
    )
)
_FOUND = re.compile(r'"[^"\n]{0,40}"|[\w.-]{1,40}|.', re.DOTALL)


def _diagnose(error: json.JSONDecodeError) -> Problem:
    """Where the JSON goes wrong, and how, as a person would put it."""
    text = error.doc
    place = len(text) - len(text[error.pos :].lstrip())
    before = text[:place].rstrip()
    # Python 3.13 points at a trailing comma itself, earlier versions at the bracket behind it.
    if before.endswith(",") and text[place : place + 1] in ("}", "]"):
        place = len(before) - 1
        before = before[:-1]
    there = text[place:]
    words = next(
        words
        for message, last, pattern, words in _MISTAKES
        if error.msg.startswith(message) and (before or "^").endswith(last) and pattern.match(there)
    )
    found = _FOUND.match(there)
    line = text.count("\n", 0, place) + 1
    column = place - text.rfind("\n", 0, place)
    mistake = _(words).format(found=found[0] if found else _("the end"))
    said = _("Line {line}, column {column}: {mistake}.")
    return Problem("", said.format(line=line, column=column, mistake=mistake), line, column)


def _kind(data: object) -> str:
    if isinstance(data, list):
        return _("a list")
    if isinstance(data, _Number):
        return _("a number")
    return _("a text") if isinstance(data, str) else _("one word")
