"""Pure: what was said to a CRM and back, without what a lead says of a person.

For readers who may see what happened but not to whom: the structure of a request, its field names and every word of
the CRM's own stay; each value goes.
"""

import base64
import html
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from crm_sync.reason_groups import group_of
from crm_sync.recorder import MASK

SHORTEST = 3  # characters; shorter ones stand in every other word
# Lead values that name no person.
_IMPERSONAL = frozenset({"id", "is_test", "received_at"})
_GONE = "\0"  # in place of each character that is masked: no text that is stored has one
_EDGE = 4_000  # characters at the end of a text in which the beginning of a value is looked for

_TOKEN = re.compile(
    r'(?P<text>"(?:[^"\\]|\\.)*+(?:"|\\?\Z))(?P<colon>\s*+:)?|(?P<bare>[^\s{}\[\],:"]++)', re.DOTALL
)
_FORM = re.compile(r"[^&=\s]++=")
_OUR_WORDS = re.compile(r"(?:[^(]{0,300}\()?HTTP \d{3}\)?")  # what every answer of a CRM is introduced with


class Discretion:
    """Masks what one lead says of a person, in every text about it.

    `values` are the lead's by name; one that is among `known` (the offer's names, Microsoft's action codes) says
    nothing of a person and stays.
    """

    def __init__(self, values: Mapping[str, object], known: Iterable[str] = ()) -> None:
        self._known = {text.casefold() for text in known}
        named = (value for name, value in values.items() if name not in _IMPERSONAL)
        self._spellings = _spellings(self._personal(text for value in named for text in _texts(value)))

    def text(self, text: str) -> str:
        """A text of the CRM's or of ours, with every value of the lead in it masked."""
        return _masked(text, self._spellings)

    def exchange(self, exchange: Mapping[str, Any]) -> dict[str, Any]:
        """One request and its answer, by the names of `recorder.Exchange`.

        What the request carried is looked for too: the mapping may have spelled it in another way than the lead.
        """
        body = str(exchange.get("request_body") or "")
        sent = _spellings(self._personal(_sent(body)))
        clean = {name: self._each(value, sent) for name, value in exchange.items()}
        return clean | {"request_body": without_values(body)}

    def _personal(self, texts: Iterable[str]) -> Iterator[str]:
        return (text for text in texts if text.casefold() not in self._known)

    def _each(self, value: Any, sent: Collection[str]) -> Any:
        """A text, or headers by name; a status and a duration say nothing."""
        if isinstance(value, Mapping):
            return {name: self._each(inner, sent) for name, inner in value.items()}
        return _masked(value, self._spellings, sent) if isinstance(value, str) else value


def without_values(body: str) -> str:
    """The body of a request with every value masked. JSON, even where it was cut, and forms keep their names."""
    if body.lstrip()[:1] in {"{", "["}:
        return _TOKEN.sub(_without_value, body)
    if _FORM.match(body):
        pairs = (pair.partition("=") for pair in body.split("&"))
        return "&".join(f"{name}={value and MASK}" if sign else name and MASK for name, sign, value in pairs)
    return MASK if body.strip() else body


def _without_value(token: re.Match[str]) -> str:
    if token["bare"]:
        return token[0] if token[0] == "null" else MASK
    return token[0] if token["colon"] else f'"{MASK}"'


def _sent(body: str) -> list[str]:
    """The values that a request of JSON carried."""
    try:
        return list(_texts(json.loads(body)))
    except (ValueError, RecursionError):
        return []


def _texts(value: object) -> Iterator[str]:
    """The texts and numbers in a value of JSON, and all of it where it has parts."""
    found = [value]
    if isinstance(value, dict | list):
        yield json.dumps(value, ensure_ascii=False, default=str)
    while found:
        part = found.pop()
        if isinstance(part, dict):
            found.extend(part.values())
        elif isinstance(part, list):
            found.extend(part)
        elif part is not None and not isinstance(part, bool):
            yield str(part)


def without_crms_words(reason: str) -> str:
    """A reason that some lead was given, nobody knows which: what we say of it stays.

    What the CRM said, which may quote that lead, is masked; of a reason that does not tell the two apart, all that
    differs from lead to lead goes.
    """
    ours = _OUR_WORDS.match(reason)
    if ours is None:
        return group_of(reason)
    return f"{ours[0]}: {MASK}" if reason[ours.end() :].strip(" .:") else f"{ours[0]}."


# --- Finding and masking -------------------------------------------------------------------------------------


def _masked(text: str, spellings: Iterable[str], words: Iterable[str] = ()) -> str:
    """The text without these, in capitals or not.

    `words` only where they stand alone: a fixed value of the mapping, such as "lead", is part of many a word.
    """
    low = _without_beginning(_small(text), spellings)
    for spelling in spellings:
        low = low.replace(spelling, _GONE * len(spelling))
    for word in words:
        low = _without_word(low, word)
    kept = ((match.start(), match.end()) for match in re.finditer(f"{_GONE}++|[^{_GONE}]++", low))
    return "".join(MASK if low[start] == _GONE else text[start:end] for start, end in kept)


def _without_word(low: str, word: str) -> str:
    start = low.find(word)
    while start >= 0:
        stop = start + len(word)
        if not low[:start][-1:].isalnum() and not low[stop : stop + 1].isalnum():
            low = f"{low[:start]}{_GONE * len(word)}{low[stop:]}"
        start = low.find(word, stop)
    return low


def _without_beginning(low: str, spellings: Iterable[str]) -> str:
    """Without the beginning of a value at the end of a text, which may have been cut in the middle of it."""
    longest = max((_overlap(low[-_EDGE:], spelling) for spelling in spellings), default=0)
    return low[: len(low) - longest] + _GONE * longest


def _overlap(tail: str, spelling: str) -> int:
    """How many characters at the end of `tail`, three or more, begin this spelling."""
    start = tail.find(spelling[:SHORTEST], max(len(tail) - len(spelling), 0))
    while start >= 0:
        if spelling.startswith(tail[start:]):
            return len(tail) - start
        start = tail.find(spelling[:SHORTEST], start + 1)
    return 0


def _small(text: str) -> str:
    """In small letters, each in the place that it had."""
    low = text.replace(
        "\u03a3", "\u03c3"
    ).lower()  # sigma: otherwise the only letter that depends on its neighbours
    return low if len(low) == len(text) else "".join(_small(c) if len(c.lower()) == 1 else c for c in text)


def _spellings(values: Iterable[str]) -> list[str]:
    """Each value as it is and as URLs, JSON, HTML and base64 write it, in small letters; the longest first."""
    long = {value for value in values if len(value.strip()) >= SHORTEST}
    return sorted({_small(spelling) for value in long for spelling in _written(value)}, key=len, reverse=True)


def _written(value: str) -> Iterator[str]:
    # On one line too, as reasons are.
    for text in {value, value.strip(), " ".join(value.split())}:
        yield text
        yield quote(text, safe="", errors="replace")
        yield quote(text, safe="@/:+", errors="replace")
        yield quote_plus(text, errors="replace")
        yield html.escape(text)
        yield html.escape(text, quote=False)
        yield json.dumps(text)[1:-1]
        yield json.dumps(text, ensure_ascii=False)[1:-1]
        yield json.dumps(json.dumps(text, ensure_ascii=False)[1:-1])[1:-1]  # JSON that is a text in JSON
        encoded = base64.b64encode(text.encode("utf-8", "replace")).decode().rstrip("=")
        yield encoded
        yield encoded.translate(str.maketrans("+/", "-_"))
