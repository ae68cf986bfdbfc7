"""Pure: an action of a Power Automate flow -> rules of a field mapping, and what of it cannot be read.

What is pasted is the JSON that *Code view* (*Peek code*) of the action shows, or a whole exported definition. The
expressions in it are those of the Workflow Definition Language
(https://learn.microsoft.com/azure/logic-apps/workflow-definition-language-functions-reference, 2026-11).
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

from crm_sync.mapping import Rule
from leads.texts import gettext as _

MOST = 1_000_000  # characters of what is pasted
DEPTH = 30  # of nested calls and of nested JSON

_LEAD_VALUES: Mapping[str, str] = MappingProxyType(
    {
        "userdetails/firstname": "first_name",
        "userdetails/lastname": "last_name",
        "userdetails/email": "email",
        "userdetails/phone": "phone",
        "userdetails/country": "country",
        "userdetails/company": "company",
        "userdetails/title": "title",
        "leadsource": "lead_source",
        "actioncode": "action",
        "offertitle": "offer_title",
        "description": "description",
    }
)


class FlowError(ValueError):
    """What was pasted is no action of a flow. The message says what to copy instead."""


@dataclass(frozen=True, slots=True)
class Unread:
    """A field of the flow that no rule can stand for: what it was set to, and why that cannot be read."""

    target: str
    text: str
    why: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What an action gives: rules in its order, and what could not be read."""

    rules: tuple[Rule, ...]
    unread: tuple[Unread, ...]


def _and_where(sentence: str) -> str:
    where = _("In the flow, open the action's menu (...), choose Code view (Peek code), and copy all of it.")
    return f"{sentence} {where}"


def read(text: str) -> Reading:
    """Raises FlowError for what is no action of a flow, or sets no field."""
    if len(text) > MOST:
        raise FlowError(_and_where(_("This is longer than {limit:,} characters.").format(limit=MOST)))
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise FlowError(_and_where(_("This is not JSON."))) from None
    fields = list(_fields(document, 0))
    if not fields:
        raise FlowError(_and_where(_("No action in here sets a field of a record (such as “item/subject”).")))
    rules: list[Rule] = []
    unread: list[Unread] = []
    for target, value in fields:
        try:
            rules.append(_rule(*_named(target, value)))
        except _Unreadable as reason:
            shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            unread.append(Unread(target, shown, str(reason)))
    return Reading(tuple(rules), tuple(unread))


# --- The fields of a record in the JSON --------------------------------------------------------------------


def _fields(node: Any, depth: int) -> Iterator[tuple[str, Any]]:
    """Every field that an action sets, wherever in the document the action stands."""
    if depth > DEPTH:
        return
    if isinstance(node, list):
        for each in node:
            yield from _fields(each, depth + 1)
    if not isinstance(node, dict):
        return
    parameters = node.get("parameters")
    if isinstance(parameters, dict) and _is_record(parameters):
        yield from _of_parameters(parameters)
        return
    if isinstance(node.get("body"), dict) and ("method" in node or "path" in node):
        yield from _flat(node["body"], "")
        return
    for each in node.values():
        yield from _fields(each, depth + 1)


def _is_record(parameters: Mapping[str, Any]) -> bool:
    return "item" in parameters or any(name.startswith("item/") for name in parameters)


def _of_parameters(parameters: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in parameters.items():
        if name.startswith("item/"):
            yield name.removeprefix("item/"), value
        elif name == "item" and isinstance(value, dict):
            yield from _flat(value, "")


def _flat(node: Mapping[str, Any], above: str) -> Iterator[tuple[str, Any]]:
    for name, value in node.items():
        if isinstance(value, dict) and above.count("/") < DEPTH:
            yield from _flat(value, f"{above}{name}/")
        else:
            yield f"{above}{name}", value


_BIND = "@odata.bind"
_REFERENCE = re.compile(r"/?\w+\(([0-9a-fA-F-]{36})\)")


def _named(target: str, value: Any) -> tuple[str, Any]:
    """The field as its mapping names it; a reference to another record is given by that record's id."""
    if not target.endswith(_BIND):
        return target, value
    found = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise _Unreadable(_("It points to another record. Choose that one by its name instead."))
    return target.removesuffix(_BIND), found[1]


# --- Expressions -------------------------------------------------------------------------------------------


class _Unreadable(Exception):  # noqa: N818 - named for what happened
    """Why an expression cannot be a rule, in a sentence."""


@dataclass(frozen=True, slots=True)
class _Text:
    text: str


@dataclass(frozen=True, slots=True)
class _Path:
    """A value of the request: the keys that lead to it."""

    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Call:
    name: str
    arguments: "tuple[_Expression, ...]"


_Expression: TypeAlias = "_Text | _Path | _Call"

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)|(?P<name>[A-Za-z_]\w*)|(?P<sign>[()\[\],.?]))"
)
_BODIES = frozenset({"triggerbody", "triggeroutputs", "body", "outputs", "items"})


class _Parser:
    """One expression, without the @ before it."""

    def __init__(self, source: str) -> None:
        self.tokens = list(self._tokens(source.strip()))
        self.at = 0

    def _tokens(self, source: str) -> Iterator[tuple[str, str]]:
        at = 0
        while at < len(source):
            found = _TOKEN.match(source, at)
            if found is None or found.lastgroup is None:
                raise _Unreadable(_("This expression cannot be read."))
            yield found.lastgroup, found[found.lastgroup]
            at = found.end()

    def whole(self) -> _Expression:
        expression = self.expression(0)
        if self.at < len(self.tokens):
            raise _Unreadable(_("This expression cannot be read."))
        return expression

    def expression(self, depth: int) -> _Expression:
        if depth > DEPTH:
            raise _Unreadable(_("This expression is nested too deep."))
        kind, word = self._next()
        if kind == "text":
            return _Text(word[1:-1].replace("''", "'"))
        if kind == "number":
            return _Text(word)
        if kind != "name":
            raise _Unreadable(_("This expression cannot be read."))
        if word in ("null", "true", "false"):
            return _Text("" if word == "null" else word)
        call = _Call(word, tuple(self._arguments(depth)))
        keys = tuple(self._accessors())
        if word.lower() in _BODIES:
            return _Path(keys)
        if keys:
            raise _Unreadable(_("“{word}” is not the request that came in.").format(word=word))
        return call

    def _arguments(self, depth: int) -> Iterator[_Expression]:
        self._expect("(")
        if self._peek() == ("sign", ")"):
            self.at += 1
            return
        while True:
            yield self.expression(depth + 1)
            word = self._next()[1]
            if word == ")":
                return
            if word != ",":
                raise _Unreadable(_("This expression cannot be read."))

    def _accessors(self) -> Iterator[str]:
        while self._peek() in (("sign", "?"), ("sign", "["), ("sign", ".")):
            word = self._next()[1]
            if word == "?":
                word = self._next()[1]
            kind, key = self._next()
            if word == "[" and kind == "text":
                yield from key[1:-1].replace("''", "'").split("/")
                self._expect("]")
            elif word == "." and kind == "name":
                yield key
            else:
                raise _Unreadable(_("This expression cannot be read."))

    def _peek(self) -> tuple[str, str]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("", "")

    def _next(self) -> tuple[str, str]:
        word = self._peek()
        self.at += 1
        return word

    def _expect(self, sign: str) -> None:
        if self._next() != ("sign", sign):
            raise _Unreadable(_("This expression cannot be read."))


def _parsed(value: str) -> _Expression:
    """A value as a flow writes it: text, `@expression`, or text with `@{expression}` in it. `@@` is an @."""
    if value.startswith("@") and not value.startswith(("@{", "@@")):
        return _Parser(value[1:]).whole()
    parts: list[_Expression] = []
    at = 0
    while (start := value.find("@{", at)) >= 0:
        if value[start - 1 : start] == "@":
            raise _Unreadable(_("This expression cannot be read."))
        end = _end(value, start + 2)
        parts += [_Text(value[at:start]), _Parser(value[start + 2 : end]).whole()]
        at = end + 1
    parts.append(_Text(value[at:].replace("@@", "@")))
    kept = [part for part in parts if part != _Text("")]
    return kept[0] if len(kept) == 1 else _Call("concat", tuple(kept)) if kept else _Text("")


def _end(value: str, start: int) -> int:
    """Where the expression that begins there is closed; a brace in a text does not close it."""
    quoted = False
    for at in range(start, len(value)):
        if value[at] == "'":
            quoted = not quoted
        elif value[at] == "}" and not quoted:
            return at
    raise _Unreadable(_("This expression is not closed."))


# --- From an expression to a rule --------------------------------------------------------------------------


def _rule(target: str, value: Any) -> Rule:
    if isinstance(value, bool):
        return Rule(target, "constant", value="true" if value else "false")
    if isinstance(value, int | float):
        return Rule(target, "constant", value=str(value))
    if not isinstance(value, str):
        raise _Unreadable(_("It is not set to a text or a number."))
    expression = _parsed(value)
    match expression:
        case _Text(text=text):
            if not text:
                return Rule(target, "omit")
            return Rule(target, "constant", value=text)
        case _Path():
            return Rule(target, "field", source=_source(expression))
        case _Call():
            return _of_call(target, expression)


_TRANSFORMS = {"tolower": "lower", "toupper": "upper", "trim": "trim"}


def _of_call(target: str, call: _Call) -> Rule:
    name, arguments = call.name.lower(), call.arguments
    if name in _TRANSFORMS and len(arguments) == 1 and isinstance(arguments[0], _Path):
        return Rule(target, "field", source=_source(arguments[0]), transform=_TRANSFORMS[name])
    match name, arguments:
        case "coalesce", (_Path() as path, _Text(text=text)):
            return Rule(target, "field", source=_source(path), fallback=text)
        case "if", (condition, _Text(text=text), _Path() as path) if _is_empty(condition, path):
            return Rule(target, "field", source=_source(path), fallback=text)
        case "if", _:
            return _lookup(target, call)
    return Rule(target, "template", template=_template(call))


def _is_empty(condition: _Expression, path: _Path) -> bool:
    match condition:
        case _Call(arguments=(tested,)) if condition.name.lower() == "empty":
            return tested == path
        case _Call(arguments=(tested, _Text(text=""))) if condition.name.lower() == "equals":
            return tested == path
    return False


def _lookup(target: str, call: _Call) -> Rule:
    """`if(equals(a, 'x'), 'y', if(equals(a, 'z'), ...))`, however many: a value list."""
    source, table = "", dict[str, str]()
    otherwise: _Expression = call
    while isinstance(otherwise, _Call) and otherwise.name.lower() == "if":
        match otherwise.arguments:
            case (
                _Call(arguments=(_Path() as path, _Text(text=key))) as condition,
                _Text(text=text),
                following,
            ) if condition.name.lower() == "equals":
                if source and source != _source(path):
                    raise _Unreadable(
                        _("It decides by more than one value. Use several rows with conditions.")
                    )
                source = _source(path)
                table.setdefault(key, text)
                otherwise = following
            case _:
                raise _Unreadable(_("Its condition cannot be read. Use rows with a condition (Only when)."))
    if not isinstance(otherwise, _Text):
        raise _Unreadable(_("Its condition cannot be read. Use rows with a condition (Only when)."))
    return Rule(target, "lookup", source=source, table=table, fallback=otherwise.text)


def _template(expression: _Expression) -> str:
    match expression:
        case _Text(text=text):
            if "{{" in text or "{%" in text:
                raise _Unreadable(_("Its text has braces that mean something else here."))
            return text
        case _Path():
            return f"{{{{ {_source(expression)} }}}}"
        case _Call():
            return _template_of_call(expression)


def _template_of_call(call: _Call) -> str:
    name, arguments = call.name.lower(), call.arguments
    if name == "concat":
        return "".join(_template(argument) for argument in arguments)
    if name == "coalesce" and arguments and isinstance(arguments[0], _Path):
        first, *others = arguments
        assert isinstance(first, _Path)  # noqa: S101  as just asked
        return f"{{{{ {_source(first)}{''.join(_default(other) for other in others)} }}}}"
    if name in _FILTERS and len(arguments) == 1 and isinstance(arguments[0], _Path):
        return f"{{{{ {_source(arguments[0])} | {_FILTERS[name]} }}}}"
    raise _Unreadable(_("There is no counterpart of “{name}”.").format(name=call.name))


_FILTERS = {"tolower": "downcase", "toupper": "upcase", "trim": "strip"}


def _default(other: _Expression) -> str:
    match other:
        case _Text(text=text) if '"' not in text:
            return f' | default: "{text}"'
        case _Path():
            return f" | default: {_source(other)}"
    raise _Unreadable(_("What stands in for an empty value cannot be read."))


def _source(path: _Path) -> str:
    """The lead value that a path into the request leads to."""
    keys = [key for key in path.keys if key]
    if keys and keys[0].lower() == "body":
        keys = keys[1:]
    known = _LEAD_VALUES.get("/".join(key.lower().replace("_", "") for key in keys))
    if known:
        return known
    if len(keys) == 1:
        return f"extra.{keys[0]}"
    if len(keys) == 2 and keys[0].lower().replace("_", "") == "userdetails":
        return f"extra.UserDetails.{keys[1]}"
    raise _Unreadable(_("It is no value of the lead."))
