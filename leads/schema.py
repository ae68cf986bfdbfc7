"""Pure: the JSON Schema that an offer's leads are held to, and what is wrong with one that is not."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

import jsonschema
from jsonschema import (
    Draft4Validator,
    Draft6Validator,
    Draft7Validator,
    Draft201909Validator,
    Draft202012Validator,
    FormatChecker,
)
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import specification_with

from leads.bounded import UNSUPPORTED, SlowPatternError, TooLongError, bounded, compiled, found, within
from leads.texts import gettext as _
from leads.texts import gettext_noop

LARGEST_SCHEMA = 64 * 1024  # characters of JSON
LONGEST_PATTERN = 2_000  # characters
BUDGET = 0.2  # seconds of processor time that one body may take
_CHECK_BUDGET = 2.0  # the same for a schema that somebody saves
_MOST_PROBLEMS = 20
_LONGEST_MESSAGE = 300  # characters: a validator quotes what it refuses, and that may be the whole body


class SchemaError(ValueError):
    """A schema that leads cannot be held to; the message is a sentence that says where and why."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a body.

    `pointer` is a JSON pointer into the canonical body, "" for the whole; `line` and `column` count
    from 1 and are None where the mistake has no place in the text.
    """

    pointer: str
    message: str
    line: int | None = None
    column: int | None = None

    def as_dict(self) -> dict[str, str | int | None]:
        """The problem as it stands in the answer to the sender."""
        return {
            "pointer": self.pointer,
            "line": self.line,
            "column": self.column,
            "message": self.message,
        }


def _text(pointer: str) -> dict[str, str]:
    return {"id": pointer, "type": "string"}


_TOP = ("ActionCode", "OfferTitle", "LeadSource", "Description")
_PERSON = ("Company", "Country", "Email", "FirstName", "LastName", "Phone", "Title")

# Microsoft Learn, "Configure lead management by using an HTTPS endpoint", plus the Description that
# its schema lacks and its sample has.
DEFAULT_SCHEMA: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-04/schema#",
    "definitions": {},
    "id": "http://example.com/example.json",
    "properties": {
        **{name: _text(f"/properties/{name}") for name in _TOP},
        "UserDetails": {
            "id": "/properties/UserDetails",
            "properties": {name: _text(f"/properties/UserDetails/properties/{name}") for name in _PERSON},
            "type": "object",
        },
    },
    "type": "object",
}

_DRAFT_4 = "http://json-schema.org/draft-04/schema"
_DRAFTS: Mapping[str, Any] = {
    _DRAFT_4: bounded(Draft4Validator),
    "http://json-schema.org/draft-06/schema": bounded(Draft6Validator),
    "http://json-schema.org/draft-07/schema": bounded(Draft7Validator),
    "https://json-schema.org/draft/2019-09/schema": bounded(Draft201909Validator),
    "https://json-schema.org/draft/2020-12/schema": bounded(Draft202012Validator),
}
_SPELLING = {address.partition("://")[2]: address for address in _DRAFTS}

_UNSTORABLE = re.compile(r"(?<!\\)(?:\\\\)*\\u0000|[\ud800-\udfff]")
_REFERENCES = frozenset(("$ref", "$dynamicRef", "$recursiveRef"))

# In the words of the people who read them.
_TYPE_WORDS = {
    "string": gettext_noop("text"),
    "object": gettext_noop("an object in braces"),
    "array": gettext_noop("a list"),
    "integer": gettext_noop("a whole number"),
    "number": gettext_noop("a number"),
    "boolean": gettext_noop("true or false"),
    "null": gettext_noop("nothing"),
}
_VALUE_WORDS = {
    str: _TYPE_WORDS["string"],
    dict: _TYPE_WORDS["object"],
    list: _TYPE_WORDS["array"],
    int: _TYPE_WORDS["number"],
    float: _TYPE_WORDS["number"],
    bool: _TYPE_WORDS["boolean"],
    type(None): _TYPE_WORDS["null"],
}


# Only the "regex" format: which others are checked depends on what else happens to be installed.
_FORMATS = FormatChecker(formats=())


@_FORMATS.checks("regex", raises=ValueError)
def _is_pattern(value: object) -> bool:
    return not isinstance(value, str) or bool(compiled(value))


def check_schema(schema: object) -> None:
    """Raise SchemaError unless leads can be held to this schema.

    It must be a JSON object, valid under the draft its `$schema` names (draft-04 without one), and
    refer to nothing outside itself: a lead must never wait for, or depend on, somebody else's server.
    """
    if not isinstance(schema, dict):
        raise SchemaError(_("A schema is a JSON object in braces."))
    draft = _DRAFTS[_address(schema)]
    try:
        _check_text(schema)
        with within(_CHECK_BUDGET):
            _check_against_its_draft(schema, draft)
            for pointer, keyword, value in _keywords(schema):
                _check_keyword(schema, pointer, keyword, value)
            # Any lead would follow a circle of references for ever, so an empty one finds it.
            list(draft(schema, registry=Registry()).iter_errors({}))
    except RecursionError as error:
        raise SchemaError(_("The schema is nested too deeply, or refers to itself in a circle.")) from error
    except TooLongError as error:
        raise SchemaError(_("The schema takes too long to check: simplify it.")) from error


def _check_text(schema: dict[str, Any]) -> None:
    try:
        text = json.dumps(schema, allow_nan=False, ensure_ascii=False)
    except ValueError as error:
        raise SchemaError(_("A number in the schema is no JSON number, or far too large.")) from error
    if len(text) > LARGEST_SCHEMA:
        raise SchemaError(
            _("A schema may have {most} characters at the most; this one has {number}.").format(
                most=f"{LARGEST_SCHEMA:,}", number=f"{len(text):,}"
            )
        )
    if _UNSTORABLE.search(text):
        raise SchemaError(_("The schema holds a NUL or half a surrogate pair, which cannot be stored."))


def _check_against_its_draft(schema: dict[str, Any], draft: Any) -> None:
    rules = draft(draft.META_SCHEMA, registry=Registry(), format_checker=_FORMATS)
    error = next(rules.iter_errors(schema), None)
    if error is not None:
        where = _pointer(error.absolute_path) or _("the top")
        # With a pattern, the cause says what is wrong with it.
        reason = f"{error.message}: {error.cause}" if error.cause else error.message
        raise _at(where, reason)


def problems(document: object, schema: dict[str, Any] | None) -> list[Problem]:
    """What is wrong with a canonical body under a schema (None: the default), sorted, 20 at the most.

    Never raises, and takes a few tenths of a second at the most: a schema that breaks while it is applied, or
    takes too long, is itself the problem.
    """
    wrong: list[Problem] = []
    try:
        if schema is None or schema is DEFAULT_SCHEMA:
            if _fits_default(document):
                return []
            validator = _DEFAULT_VALIDATOR
        else:
            validator = _validator(json.dumps(schema, sort_keys=True))
        # The first few only, before sorting: a list of 50,000 wrong items is 50,000 problems.
        with within(BUDGET):
            for error in islice(validator.iter_errors(document), _MOST_PROBLEMS):
                wrong.append(_problem(error))  # noqa: PERF401  keeps what was found before time was up
    except TooLongError as error:
        wrong.append(Problem(_short(_pointer(error.path)), _short(str(error))))
    except Exception as error:
        # Loops of references and unheard-of arithmetic come to light only here. Whatever it is, the
        # lead belongs in quarantine with the reason, not in a traceback.
        reason = _("This offer's schema cannot be applied ({error}): correct it in the offer.")
        return [Problem("", reason.format(error=type(error).__name__))]
    return sorted(wrong, key=lambda problem: (problem.pointer, problem.message))


def _fits_default(document: object) -> bool:
    """What the default schema asks, in Python: 50 times faster than the validator, which words what is
    wrong. Nearly every lead stops here."""
    if not isinstance(document, dict):
        return False
    person = document.get("UserDetails", {})
    return (
        isinstance(person, dict)
        and all(isinstance(document.get(name, ""), str) for name in _TOP)
        and all(isinstance(person.get(name, ""), str) for name in _PERSON)
    )


def _address(schema: Mapping[str, Any]) -> str:
    """The address of the draft that a schema is written in, as `_DRAFTS` spells it."""
    named = schema.get("$schema", _DRAFT_4)
    # It occurs with http and with https, with and without the # at the end: all mean the same draft.
    place = named.strip().rstrip("#").partition("://")[2] if isinstance(named, str) else ""
    if place not in _SPELLING:
        wrong = _("$schema is {named}; accepted are {drafts}.")
        raise SchemaError(_short(wrong.format(named=repr(named), drafts=", ".join(_DRAFTS))))
    return _SPELLING[place]


def _keywords(schema: object) -> Iterator[tuple[str, str, object]]:
    """Every key of every object in the schema with its pointer; without recursion, however deep."""
    waiting = [("", schema)]
    while waiting:
        pointer, part = waiting.pop()
        pairs = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
        for key, value in pairs:
            place = pointer + _pointer([key])
            if isinstance(key, str):
                yield place, key, value
            waiting.append((place, value))


def _check_keyword(schema: dict[str, Any], pointer: str, keyword: str, value: object) -> None:
    if keyword in _REFERENCES:
        if not isinstance(value, str) or not value.startswith("#"):
            outside = _("{value} lies outside the schema; only references beginning with # work")
            raise _at(pointer, outside.format(value=repr(value)))
        if not _leads_somewhere(schema, value):
            raise _at(pointer, _("the schema has no part {value}").format(value=repr(value)))
    if keyword in UNSUPPORTED:
        instead = _("{keyword} is not supported here; use {other}")
        raise _at(pointer, instead.format(keyword=keyword, other=f"additional{keyword[11:]}"))
    if keyword == "pattern" and isinstance(value, str):
        _check_pattern(pointer, value)
    if keyword == "patternProperties" and isinstance(value, dict):
        for pattern in value:
            _check_pattern(pointer, pattern)


def _check_pattern(pointer: str, pattern: str) -> None:
    """A pattern must compile, and not explode on the texts that are known to make patterns explode."""
    if len(pattern) > LONGEST_PATTERN:
        long = _("a pattern may have {most} characters at the most")
        raise _at(pointer, long.format(most=f"{LONGEST_PATTERN:,}"))
    try:
        compiled(pattern)
    except ValueError as error:  # draft-04's own schema leaves the names of patternProperties unchecked
        wrong = _("{pattern} is not a 'regex': {error}").format(pattern=repr(pattern), error=error)
        raise _at(pointer, wrong) from error
    letters = dict.fromkeys("a0 " + re.sub(r"\W", "", pattern)[:5])
    try:
        for letter in letters:
            found(pattern, letter * 100 + "!")
    except SlowPatternError as error:
        slow = _("{pattern} takes too long on a text of 100 characters: simplify it")
        raise _at(pointer, slow.format(pattern=repr(pattern))) from error


def _at(where: str, reason: str) -> SchemaError:
    """What is wrong with a part of the schema."""
    return SchemaError(_short(_("At {place}: {reason}.").format(place=where, reason=reason)))


def _leads_somewhere(schema: dict[str, Any], reference: str) -> bool:
    specification = specification_with(_address(schema))
    registry: Registry[Any] = Registry().with_resource("", specification.create_resource(schema))
    try:
        registry.resolver().lookup(reference)
    except (Unresolvable, ValueError):  # ValueError: an id that is no address at all
        return False
    return True


@lru_cache(maxsize=128)
def _validator(text: str) -> Any:
    """The validator of a schema, given as JSON text with sorted keys."""
    # Ids matter to references alone, and each costs a step of the resolver: Microsoft's schema, with
    # an id on every property and no reference at all, validates three times as fast without them.
    plain = not any(f'"{word}"' in text for word in (*_REFERENCES, "enum", "const"))
    schema = json.loads(text, object_hook=_without_id) if plain else json.loads(text)
    # The empty registry, because the library's default one fetches what it does not know.
    return _DRAFTS[_address(schema)](schema, registry=Registry())


def _without_id(part: dict[str, Any]) -> dict[str, Any]:
    """A schema without its id; a property that is called id has a schema, not a text, and stays."""
    return {
        key: value for key, value in part.items() if key not in ("id", "$id") or not isinstance(value, str)
    }


def _problem(error: jsonschema.ValidationError) -> Problem:
    pointer = _pointer(error.absolute_path)
    return Problem(_short(pointer), _short(_sentence(error, pointer)))


def _sentence(error: jsonschema.ValidationError, pointer: str) -> str:
    name = pointer.rpartition("/")[2]
    if error.validator != "type":
        return f"{name}: {error.message}" if name else error.message
    wanted = error.validator_value if isinstance(error.validator_value, list) else [error.validator_value]
    words = _(" or ").join(_(_TYPE_WORDS.get(kind, kind)) for kind in map(str, wanted))
    return _("{name} must be {kinds}, but {kind} came.").format(
        name=name or _("A lead"), kinds=words, kind=_(_VALUE_WORDS[type(error.instance)])
    )


def _pointer(path: Any) -> str:
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_MESSAGE else text[: _LONGEST_MESSAGE - 1] + "…"


_DEFAULT_VALIDATOR = _validator(json.dumps(DEFAULT_SCHEMA, sort_keys=True))
