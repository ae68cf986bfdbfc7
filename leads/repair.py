"""Pure: what a text that could not be read as a lead was probably meant to be, and how it was changed.

One pass over the text, each character looked at a few times at the most: whoever sends 256 KiB of brackets must not
keep anybody waiting. Whitespace, order and numbers stay as they were sent, so that a person who compares sees the
mistakes and nothing else. A suggestion is only that: a person releases it.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from leads import payload
from leads.payload import Fields, Unreadable
from leads.texts import gettext as _
from leads.texts import gettext_noop, ngettext

MOST_LEADS = 1_000
"""Leads that one text may hold."""

KNOWN = (
    "first_name", "last_name", "email", "phone", "company", "title", "country", "lead_source", "action",
    "offer_title", "description", "campaign",
)  # fmt: skip
"""Fields that only a key of Microsoft's fills."""

_ANY: dict[str, Any] = {}  # the schema that allows everything
_MOST_NOTES = 12
_MOST_LAYERS = 3  # texts in texts, objects in objects


@dataclass(frozen=True, slots=True)
class Repair:
    """The text as it was probably meant, and a sentence for each kind of change."""

    text: str
    notes: tuple[str, ...]


def leads_in(
    text: str, *, schema: dict[str, Any] | None = None, content_type: str = ""
) -> list[Fields] | Unreadable:
    """The leads that a text holds: one, or as many as stand in its list. All of them can be read, or none."""
    verdict = payload.read(_bytes(text), content_type=content_type, schema=schema)
    if isinstance(verdict, Fields):
        return [verdict]
    parts = _elements(text) if verdict.reason == "not_object" else []
    if not parts:
        return verdict
    if len(parts) > MOST_LEADS:
        many = _("The list holds more than {most} leads: release it in parts.")
        return _refused(verdict, many.format(most=f"{MOST_LEADS:,}"))
    found: list[Fields] = []
    for number, part in enumerate(parts):
        one = payload.read(_bytes(part), schema=schema)
        if isinstance(one, Unreadable):
            return _of_element(one, number, text)
        found.append(one)
    return found


def suggest(text: str, *, schema: dict[str, Any] | None = None, content_type: str = "") -> Repair | None:
    """What the text was probably meant to be; None where it can be read already, or where nothing helps.

    What is suggested is one lead or a list of leads; whether the offer's schema allows them is another question.
    """
    if isinstance(payload.read(_bytes(text), content_type=content_type, schema=schema), Fields):
        return None
    notes = _Notes()
    mended = _unpacked(_decoded_twice(text, notes), notes)
    if not _is_json(mended):
        rewritten = _Rewriter(mended, notes).run()
        if rewritten is None:
            return None
        mended = rewritten
    mended = _unwrapped(mended, notes)
    found = leads_in(mended, schema=_ANY)
    if not isinstance(found, list) or not any(map(_says_something, found)):
        return None
    if notes.cut_in_front and not any(map(_is_known, found)):
        return None  # the style sheet of an error page has braces too
    if mended.lstrip().startswith("["):
        words = ngettext(
            "this is a list with one lead, which becomes a lead",
            "this is a list of {number} leads; each becomes a lead of its own",
            len(found),
        )
        notes.add("list", 1, said=words.format(number=len(found)))
    return Repair(mended, notes.sentences()) if mended != text or len(notes) else None


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _is_json(text: str) -> bool:
    verdict = payload.read(_bytes(text), schema=_ANY)
    return isinstance(verdict, Fields) or verdict.reason in ("not_object", "too_deep")


def _is_known(fields: Fields) -> bool:
    return any(getattr(fields, name) for name in KNOWN)


def _says_something(fields: Fields) -> bool:
    return _is_known(fields) or bool(fields.extra)


def _refused(verdict: Unreadable, message: str) -> Unreadable:
    return replace(verdict, problems=(replace(verdict.problems[0], message=message),))


def _of_element(verdict: Unreadable, number: int, text: str) -> Unreadable:
    """What is wrong with one lead of a list, as wrong with the list."""
    problems = (
        replace(
            problem,
            pointer=f"/{number}{problem.pointer}",
            message=_("Lead {number} of the list: {problem}").format(
                number=number + 1, problem=problem.message
            ),
            line=None,
            column=None,
        )
        for problem in verdict.problems
    )
    return replace(verdict, problems=tuple(problems), text=text)


_LENIENT = json.JSONDecoder(strict=False)
_SPACES = re.compile(r"\s*")


def _elements(text: str) -> list[str]:
    """The texts of a list's elements, as they stand in it; none of what is no list, or not nested as leads are."""
    text = text.strip().removeprefix("\ufeff").lstrip()
    if not text.startswith("[") or not text.endswith("]"):
        return []
    return list(islice(_split(text), MOST_LEADS + 1))


def _split(text: str) -> Iterator[str]:
    at = _after_space(text, 1)
    while text[at] != "]":
        _, end = _LENIENT.raw_decode(text, at)
        yield text[at:end]
        at = _after_space(text, end)
        if text[at] == ",":
            at = _after_space(text, at + 1)


def _after_space(text: str, at: int) -> int:
    found = _SPACES.match(text, at)
    return found.end() if found else at


class _Notes:
    """What was changed: each kind of change once, with the line where it first occurs."""

    def __init__(self) -> None:
        self._times: dict[str, int] = {}
        self._first: dict[str, tuple[int, str, str]] = {}
        self.cut_in_front = False

    def __len__(self) -> int:
        return len(self._times)

    def add(self, kind: str, line: int, found: str = "", said: str = "") -> None:
        """`kind` is what follows "Line 3: ", as it is before translation; it may have a {found}. Where it goes by a
        number, `said` is what follows, in words."""
        self._times[kind] = self._times.get(kind, 0) + 1
        if kind not in self._first:
            self._first[kind] = line, found, said

    def sentences(self) -> tuple[str, ...]:
        return tuple(self._sentence(kind, times) for kind, times in list(self._times.items())[:_MOST_NOTES])

    def _sentence(self, kind: str, times: int) -> str:
        line, found, said = self._first[kind]
        change = said or _(kind).replace("{found}", found)
        if times == 1:
            return _("Line {line}: {change}.").format(line=line, change=change)
        several = ngettext(
            "Line {line}: {change} ({times} time).", "Line {line}: {change} ({times} times).", times
        )
        return several.format(line=line, change=change, times=f"{times:,}")


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


# Before the JSON is looked at


def _byte_of(number: int) -> str:
    """The character that a byte becomes where UTF-8 is taken for Windows-1252."""
    return bytes((number,)).decode("cp1252", "ignore") or chr(number)


_AS_BYTE = {_byte_of(number): number for number in range(128, 256)}
_GARBLED = re.compile(f"[{''.join(_AS_BYTE)}]{{2,}}")


def _decoded_twice(text: str, notes: _Notes) -> str:
    """The text with UTF-8 that was taken for Windows-1252 and encoded again made whole: Ã¼ is ü."""

    def whole(run: re.Match[str]) -> str:
        try:
            letters = bytes(_AS_BYTE[char] for char in run[0]).decode("utf-8")
        except UnicodeDecodeError:
            return run[0]
        if letters == "\ufeff":  # a byte order mark, which shows nothing
            marks.append(run.start())
            return ""
        words.append((run.start(), (run[0][:20], letters[:20])))
        return letters

    marks: list[int] = []
    words: list[tuple[int, tuple[str, str]]] = []
    mended = _GARBLED.sub(whole, text)
    if marks:
        notes.add(gettext_noop("a garbled byte order mark was removed"), _line(text, marks[0]))
    if words:
        start, (before, after) = words[0]
        garbled = ngettext(
            "letters were garbled by a wrong encoding: “{before}” is “{after}” again",
            "letters were garbled by a wrong encoding: “{before}” is “{after}” again ({number} places)",
            len(words),
        )
        said = garbled.format(before=before, after=after, number=f"{len(words):,}")
        notes.add("garbled", _line(text, start), said=said)
    return mended


_ESCAPED = re.compile(r'[\[{]\s*\\+"')


def _unpacked(text: str, notes: _Notes) -> str:
    """The JSON that was encoded a second time, as one text."""
    for _layer in range(_MOST_LAYERS):
        inner = _inside(text.strip())
        if inner is None:
            break
        notes.add(gettext_noop("the lead was JSON inside a text, and was taken out of it"), 1)
        text = inner
    return text


def _inside(text: str) -> str | None:
    if _ESCAPED.match(text):
        text = f'"{text}"'
    if not (text.startswith('"') and text.endswith('"') and "{" in text):
        return None
    try:
        inner = _LENIENT.decode(text)
    except (ValueError, RecursionError):
        return None
    return inner if isinstance(inner, str) else None


# After it is JSON


_ONE_KEY = re.compile(r'\s*\{\s*"(?P<key>[^"\\]{0,100})"\s*:\s*(?=[{\[])')


def _unwrapped(text: str, notes: _Notes) -> str:
    """The lead, or the list of leads, that an object without any field of a lead holds under its only key."""
    for _layer in range(_MOST_LAYERS):
        wrapper = _ONE_KEY.match(text)
        if wrapper is None:
            break
        outside = payload.read(_bytes(text), schema=_ANY)
        if not isinstance(outside, Fields) or _is_known(outside):
            break
        _, end = _LENIENT.raw_decode(text, wrapper.end())
        if text[end:].strip() != "}":
            break
        inner = text[wrapper.end() : end]
        found = leads_in(inner, schema=_ANY)
        if not isinstance(found, list) or not any(map(_is_known, found)):
            break
        wrapped = gettext_noop("the lead was wrapped in “{found}”, and was taken out of it")
        notes.add(wrapped, 1, wrapper["key"][:40])
        text = inner
    return text


# What is not JSON yet


_QUOTES = {
    '"': '"',
    "'": "'",
    **dict.fromkeys("“”„", '“”"'),
    **dict.fromkeys("\u2018\u2019", "\u2018\u2019'"),
}
_ANY_QUOTE = "".join(_QUOTES)
# In a text: what may stand before a quotation mark, a backslash or the end of the line.
_CHUNKS = {closing: re.compile(rf"[^\\\n{closing}]*+") for closing in set(_QUOTES.values())}
_TOKEN = re.compile(
    rf"""
      (?P<space>[\s\ufeff\u200b]++)
    | (?P<comment>//[^\n]*+ | \#[^\n]*+ | /\*.*?(?:\*/|\Z))
    | (?P<mark>[{{}}\[\]:,])
    | (?P<quote>[{_ANY_QUOTE}])
    | (?P<word>[^\s{{}}\[\]:,{_ANY_QUOTE}]++)
    """,
    re.VERBOSE | re.DOTALL,
)
_START = re.compile(r"\[\s*+(?=\{)|\{")
_BEGINS_WITH_KEY = re.compile(r'"[^"\\\n]{1,60}"\s*:')
_ANOTHER_LEAD = re.compile(r"[\s,;]*+(?=\{)")
_ANOTHER_KEY = re.compile(r'\s*+,\s*+"[^"\\\n]{1,60}"\s*+:')
_NEW_LINE_WITH_KEY = re.compile(r'\n[ \t\r]*+"[\w .-]{1,60}"[ \t]*+:')
_KEY = re.compile(r"[\w$@.-]{1,100}+(?=\s*+:)")
_BARE = re.compile(rf"[^,{{}}\[\]\n{_ANY_QUOTE}]++")
_LITERAL = re.compile(
    r"true|false|null|NaN|-?Infinity|-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?"
)
_OTHERWISE = {
    "none": "null",
    "null": "null",
    "nil": "null",
    "undefined": "null",
    "true": "true",
    "false": "false",
}
_ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
_PYTHON_ESCAPE = re.compile(r"\\(?:x[0-9a-fA-F]{2}|U000[0-9a-fA-F]{5}|U0010[0-9a-fA-F]{4})")
_NO_JSON_SPACE = re.compile(r"[^ \t\r\n]")
_AFTER_WORD = re.compile(rf"\s*+(?:[,}}\]]|//|/\*|#|\Z)|[ \t\r]*+\n|\s++[{_ANY_QUOTE}]")
_SHORT_TEXT = re.compile(r'"[^"\n]{0,40}"')
_PAIRS = {"{": "}", "[": "]"}

# What follows the quotation mark at the end of a value. Anything else follows one that stands inside the text.
_AFTER_TEXT = {
    "{": re.compile(
        rf"""
          \s*+ (?: [}}\]] (?![}}\]]*+") | \Z | /[/*] | \# )
        | \s*+ , \s*+ (?: [{_ANY_QUOTE}}}\],] | [\w$]{{1,60}}+\s*+: | \Z | /[/*] )
        | [ \t\r]*+ \n \s*+ (?: [{_ANY_QUOTE}] | [\w$]{{1,60}}+\s*+: )
        | \s*+ "[^"\\\n]{{1,60}}" \s*+ :
        """,
        re.VERBOSE,
    ),
    "[": re.compile(r"\s*+(?:[\]},]|\Z)|[ \t\r]*+\n"),
}


_CUT = gettext_noop("the text ends here, in the middle, and was closed: the rest is missing")
_UNCLOSED = gettext_noop(
    "the text ends here without its closing bracket, which was added: more may be missing"
)
_TOO_MANY = {
    "}": gettext_noop("a closing } too many was removed"),
    "]": gettext_noop("a closing ] too many was removed"),
}
_MISSING = {"}": gettext_noop("a closing } was missing"), "]": gettext_noop("a closing ] was missing")}
_SPELT = {
    "null": gettext_noop("{found} is spelt null in JSON"),
    "true": gettext_noop("{found} is spelt true in JSON"),
    "false": gettext_noop("{found} is spelt false in JSON"),
}


class _Rewriter:
    """Copies a text token by token, and puts in or leaves out what keeps it from being JSON.

    `state` is what comes next: a key, a colon, a value, or what stands between values. `last` is the index in `out`
    of the last token, behind which a missing mark belongs; `comma` that of a comma with nothing behind it yet.
    """

    def __init__(self, text: str, notes: _Notes) -> None:
        self.text = text
        self.notes = notes
        self.at = 0
        self.out: list[str] = []
        self.open: list[str] = []
        self.state = "value"
        self.last = -1
        self.comma = -1
        self.leads = 1
        self.cut = False  # in the middle of a text
        self._counted = (0, 1)  # up to where lines are counted, and the line there

    def run(self) -> str | None:
        """The JSON, or None where it cannot be guessed."""
        if not self._find_start():
            return None
        while self.at < len(self.text):
            if not self._step():
                return None
            if not self.open and self.state == "next" and not self._goes_on():
                break
        return self._end()

    def _step(self) -> bool:
        token = _TOKEN.match(self.text, self.at)
        if token is None:
            return False
        match token.lastgroup:
            case "space":
                self._space(token[0])
            case "comment":
                self._note(gettext_noop("a comment was removed"))
            case _:
                return self._take(token[0])
        self.at = token.end()
        return True

    def _take(self, token: str) -> bool:
        """One token that is part of the JSON; it moves `at` behind what it took."""
        if len(self.open) > payload.MAX_DEPTH:
            return False
        if token in ("}", "]") and self.state != "colon":
            return self._close(token)
        if self.state == "next":
            return self._between(token)
        if self.state == "key":
            return self._key(token)
        if self.state == "colon":
            return self._colon(token)
        return self._value(token)

    # Where it begins and ends

    def _find_start(self) -> bool:
        if _BEGINS_WITH_KEY.match(self.text.lstrip()):
            self._note(gettext_noop("the opening brace was missing"))
            self._emit("{")
            self._push("{")
            return True
        start = _START.search(self.text)
        if start is None:
            return False
        before = self.text[: start.start()].strip(" \t\r\n\ufeff")
        if before:
            self._note(gettext_noop("the text before the lead was removed: {found}"), _quoted(before))
            self.notes.cut_in_front = True
        else:
            self._space(self.text[: start.start()])
        self.at = start.start()
        return True

    def _goes_on(self) -> bool:
        """After a closing bracket that ends it all: whether it does."""
        if _ANOTHER_KEY.match(self.text, self.at):
            self._note(gettext_noop("a closing bracket too many was removed"))
            self.out[self.last] = ""
            self.open.append("{")
            return True
        another = _ANOTHER_LEAD.match(self.text, self.at)
        if another is None or self.leads >= MOST_LEADS:
            return False
        self.out[self.last] += ","
        self.out.append(" " if another[0] else "")
        self.at = another.end()
        self.state = "value"
        self.leads += 1
        return True

    def _end(self) -> str:
        rest = self.text[self.at :]
        if rest.strip():
            self._note(gettext_noop("the text after the lead was removed: {found}"), _quoted(rest))
        else:
            self._space(rest)
        if self.open:
            self._note(_CUT if self.cut or self.comma >= 0 or self.state != "next" else _UNCLOSED)
            self._drop_comma()
            if self.open[-1] == "{" and self.state in ("colon", "value"):
                self.out.append(": null" if self.state == "colon" else " null")
            self.out.extend(_PAIRS[bracket] for bracket in reversed(self.open))
        text = "".join(self.out)
        if self.leads > 1:
            joined = ngettext(
                "{number} lead was put in a list",
                "{number} leads one after the other were put in a list",
                self.leads,
            )
            self.notes.add("joined", 1, said=joined.format(number=self.leads))
            return f"[{text}]"
        return text

    # Token by token

    def _space(self, space: str) -> None:
        plain = _NO_JSON_SPACE.sub(" ", space)
        if plain != space:
            self._note(gettext_noop("an unusual space was replaced"))
        self.out.append(plain)

    def _close(self, bracket: str) -> bool:
        opening = "{" if bracket == "}" else "["
        if opening not in self.open:
            self._note(_TOO_MANY[bracket])
            self.at += 1
            return True
        if self.state == "value" and self.open[-1] == "{":
            self._put_null()
        if self.comma >= 0:
            self._note(gettext_noop("a comma too many was removed"))
            self._drop_comma()
        while self.open[-1] != opening:
            missing = _PAIRS[self.open.pop()]
            self._note(_MISSING[missing])
            self.out[self.last] += missing
        self.open.pop()
        self._copy(bracket, "next")
        return True

    def _between(self, mark: str) -> bool:
        if mark == ",":
            self._copy(mark, "key" if self.open[-1] == "{" else "value")
            self.comma = self.last
            return True
        found = _SHORT_TEXT.match(self.text, self.at) or _BARE.match(self.text, self.at)
        self._note(
            gettext_noop("a comma was missing before {found}"), found[0].rstrip()[:40] if found else mark
        )
        self.out[self.last] += ","
        self.state = "key" if self.open[-1] == "{" else "value"
        return self._take(mark)

    def _key(self, mark: str) -> bool:
        if mark == ",":
            return self._skip_comma()
        if mark in _QUOTES:
            self._emit(self._text(mark, key=True))
            self.state = "colon"
            return True
        if self._is_prefix(mark):
            self.at += len(mark)
            return True
        name = _KEY.match(self.text, self.at)
        if name is None:
            return False
        self._note(gettext_noop("the name {found} now stands in double quotes"), name[0][:40])
        self._copy_as(name[0], json.dumps(name[0], ensure_ascii=False), "colon")
        return True

    def _colon(self, mark: str) -> bool:
        if mark == ":":
            self._copy(mark, "value")
            return True
        if mark not in _QUOTES:
            return False
        self._note(gettext_noop("a colon was missing"))
        self.out[self.last] += ":"
        self.state = "value"
        return self._take(mark)

    def _value(self, mark: str) -> bool:
        if mark in _PAIRS:
            self._copy(mark, "")
            self._push(mark)
            return True
        if mark in _QUOTES:
            self._emit(self._text(mark, key=False))
            self.state = "next"
            return True
        if mark == ",":
            if self.open[-1] == "[":
                return self._skip_comma()
            self._put_null()
            return True
        if self._is_prefix(mark):
            self.at += len(mark)
            return True
        return mark != ":" and self._word(mark)

    def _word(self, word: str) -> bool:
        """A value without quotes: a number, a constant in whatever spelling, or a text that lacks them."""
        if _LITERAL.fullmatch(word) and self._ends_value(self.at + len(word)):
            self._copy(word, "next")
            return True
        if word.lower() in _OTHERWISE and self._ends_value(self.at + len(word)):
            spelt = _OTHERWISE[word.lower()]
            self._note(_SPELT[spelt], word)
            self._copy_as(word, spelt, "next")
            return True
        bare = _BARE.match(self.text, self.at)
        if bare is None:
            return False
        value = bare[0].rstrip()
        self._note(gettext_noop("the text {found} now stands in double quotes"), value[:40])
        self._copy_as(value, json.dumps(value, ensure_ascii=False), "next")
        if self.text[self.at : self.at + 1] == '"' and self._ends_text(self.at + 1):
            self.at += 1
        return True

    def _ends_value(self, at: int) -> bool:
        return _AFTER_WORD.match(self.text, at) is not None

    def _is_prefix(self, mark: str) -> bool:
        """The u of Python's u'text'."""
        following = self.text[self.at + len(mark) : self.at + len(mark) + 1]
        return mark in ("u", "b") and following in ("'", '"')

    # Texts

    def _text(self, quote: str, *, key: bool) -> str:
        """A text in any quotes, in double ones; an inner quotation mark is told from the last by what follows it."""
        if quote == "'":
            self._note(gettext_noop("single quotes became double quotes"))
        elif quote != '"':
            self._note(gettext_noop("curly quotes became straight ones"))
        closing = _QUOTES[quote]
        parts = ['"']
        self.at += 1
        while True:
            chunk = _CHUNKS[closing].match(self.text, self.at)
            if chunk:
                parts.append(chunk[0].replace('"', '\\"'))
                self.at = chunk.end()
            char = self.text[self.at : self.at + 1]
            if not char:
                self.cut = True
                break
            if char == "\\":
                parts.append(self._escape())
            elif char == "\n" and not key and _NEW_LINE_WITH_KEY.match(self.text, self.at):
                return self._closed_at_line_end("".join(parts))
            elif char in closing and (key or self._ends_text(self.at + 1)):
                self.at += 1
                break
            else:
                parts.append(self._inside_text(char))
        return "".join(parts) + '"'

    def _inside_text(self, char: str) -> str:
        self.at += 1
        if char == '"':
            self._note(gettext_noop("a quotation mark inside a text got a backslash"))
            return '\\"'
        return char

    def _ends_text(self, at: int) -> bool:
        return _AFTER_TEXT[self.open[-1] if self.open else "["].match(self.text, at) is not None

    def _escape(self) -> str:
        good = _ESCAPE.match(self.text, self.at)
        if good:
            self.at = good.end()
            return good[0]
        python = _PYTHON_ESCAPE.match(self.text, self.at)
        if python:
            self.at = python.end()
            return json.dumps(chr(int(python[0][2:], 16)))[1:-1]
        self.at += 1
        following = self.text[self.at : self.at + 1]
        if following and following in _ANY_QUOTE:
            self.at += 1
            return following
        if following:
            self._note(gettext_noop("a backslash inside a text is now written twice"))
            return "\\\\"
        return ""  # the text was cut off in the middle of an escape

    def _closed_at_line_end(self, text: str) -> str:
        """A text whose quotation mark is missing at the end of its line; the comma there is none of it."""
        self._note(gettext_noop("a quotation mark was missing at the end of the line"))
        whole = text.rstrip(" \t\r")
        if whole.endswith(","):
            whole = whole[:-1]
        self.at -= len(text) - len(whole)
        return whole + '"'

    # What all of them need

    def _emit(self, piece: str) -> None:
        self.out.append(piece)
        self.last = len(self.out) - 1
        self.comma = -1

    def _copy(self, token: str, state: str) -> None:
        self._copy_as(token, token, state)

    def _copy_as(self, token: str, piece: str, state: str) -> None:
        self._emit(piece)
        self.at += len(token)
        self.state = state

    def _push(self, bracket: str) -> None:
        self.open.append(bracket)
        self.state = "key" if bracket == "{" else "value"

    def _put_null(self) -> None:
        self._note(gettext_noop("a value was missing; null stands for it"))
        self._emit(" null" if self.out[-1].strip() else "null")
        self.state = "next"

    def _skip_comma(self) -> bool:
        self._note(gettext_noop("a comma too many was removed"))
        self.at += 1
        return True

    def _drop_comma(self) -> None:
        if self.comma >= 0:
            self.out[self.comma] = ""
            self.comma = -1

    def _note(self, kind: str, found: str = "") -> None:
        at, line = self._counted
        if self.at > at:
            line += self.text.count("\n", at, self.at)
            self._counted = (self.at, line)
        self.notes.add(kind, line, found)


def _quoted(text: str) -> str:
    line = " ".join(text[:200].split())
    return f"“{line}”" if len(line) <= 40 else f"“{line[:40]}…”"
