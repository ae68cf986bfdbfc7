"""What was said to a CRM and back, kept for staff with its secrets masked."""

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, quote_plus, unquote

MASK = "****"
SHORTEST_PART = 8  # characters; less would be masked in the middle of words

_SECRET_NAME = re.compile(
    r"authorization|cookie|signature|token|key|secret|passw|assertion|^(sig|sas|jwt)$", re.IGNORECASE
)
# `"name": "value"` in JSON that does not parse, perhaps because it was cut; `name=value` in queries, forms.
# Possessive, and never starting inside a name, so that a hostile megabyte takes linear time.
_NAMED_VALUE = re.compile(
    r'(?<!\\)(?P<head>"(?P<quoted>(?:[^"\\]|\\.)*+)"\s*+:\s*+)(?:"(?:[^"\\]|\\.)*+"?|[\w.+-]++)'
    r"|(?<![\w.%\[\]-])(?P<prefix>(?P<plain>[\w.%\[\]-]++)=)[^&\s;,\"]++",
    re.DOTALL,
)
_USERINFO = re.compile(r"(?<=://)[^/?#\s@]++@")


@dataclass(slots=True)
class Exchange:
    """One request and its answer as the record keeps them: masked, bodies as text of at most 16 KiB.

    `status` is None where no answer came; `error` then says why. `duration_ms` in milliseconds.
    """

    method: str
    url: str
    request_headers: dict[str, str]
    request_body: str
    status: int | None
    response_headers: dict[str, str]
    response_body: str
    duration_ms: int
    error: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The exchange as JSON has it, by the names of its fields."""
        # Not dataclasses.asdict, which copies deeply: a tenth of what a lead costs (measured).
        return {name: getattr(self, name) for name in self.__slots__}


class Recorder:
    """Collects the exchanges of one push. `secrets`: literal values that are masked wherever they occur."""

    BODY_LIMIT = 16 * 1024

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self.exchanges: list[Exchange] = []
        self._secrets = tuple(secrets)

    def mask(self, secret: str) -> None:
        """Mask this value too, from now on."""
        if secret not in self._secrets:
            self._secrets = (*self._secrets, secret)

    def record(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        status: int | None,
        answer_headers: Mapping[str, str],
        answer: bytes,
        error: str,
        duration: float,
    ) -> None:
        """Keep one exchange, masked. `status` None where no answer came; `duration` in seconds."""
        self.exchanges.append(
            Exchange(
                method=method,
                url=self._text(url),
                request_headers=self._headers(headers),
                request_body=self.masked(body),
                status=status,
                response_headers=self._headers(answer_headers),
                response_body=self.masked(answer),
                duration_ms=round(duration * 1000),
                error=self._text(error),
            )
        )

    def _text(self, text: str) -> str:
        named = _NAMED_VALUE.sub(_masked_pair, _USERINFO.sub(f"{MASK}@", text))
        return _storable(mask_literals(named, self._secrets))

    def _headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """The headers by name; of a flood, those that fit into the limit of a body."""
        kept: dict[str, str] = {}
        size = 0
        for name, value in headers.items():
            masked = MASK if _SECRET_NAME.search(name) else self._text(value)
            size += len(name) + len(masked)
            if size > self.BODY_LIMIT:
                break
            kept[_storable(name.lower())] = masked
        return kept

    def masked(self, body: bytes) -> str:
        """A body as the record keeps it: text, masked and cut."""
        text = body.decode("utf-8", "replace")
        try:
            masked = mask_literals(_masked_body(text), self._secrets)
        except (ValueError, RecursionError):
            masked = self._text(text)
        # Cut last, or half a secret would survive at the edge.
        return _storable(masked[: self.BODY_LIMIT])


_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")


def _storable(text: str) -> str:
    """The text without what PostgreSQL refuses: a record that cannot be stored would have the lead pushed again."""
    return _UNSTORABLE.sub("\ufffd", text)


def _masked_body(text: str) -> str:
    """JSON without its secrets. Raises ValueError where it is none, RecursionError where it is nested too deep."""
    parsed = json.loads(text)
    clean = _masked_json(parsed)
    # Where nothing was masked the text stays as it was, to the last blank: it is evidence.
    return text if clean == parsed else json.dumps(clean, ensure_ascii=False)


def _masked_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: MASK if _SECRET_NAME.search(k) else _masked_json(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_masked_json(item) for item in value]
    return value


def _masked_pair(match: re.Match[str]) -> str:
    name = match["quoted"] if match["head"] else match["plain"]
    if not _SECRET_NAME.search(name):
        return match[0]
    return f'{match["head"]}"{MASK}"' if match["head"] else f"{match['prefix']}{MASK}"


def mask_literals(text: str, secrets: Iterable[str]) -> str:
    """The text with every secret in it replaced, as it is and as URLs, JSON and base64 spell it.

    Of a secret with named parts, such as a signed URL or a connection string, its key or signature alone too.
    """
    whole = [secret for secret in secrets if secret.strip()]
    parts = [part for secret in whole for part in _parts(secret)]
    spellings = {spelling for secret in (*whole, *parts) for spelling in _spellings(secret)}
    for spelling in sorted(spellings, key=len, reverse=True):
        text = text.replace(spelling, MASK)
    return text


def _parts(secret: str) -> Iterator[str]:
    """The values in a secret whose names say that they are secret, also without what a URL makes of them."""
    for found in _NAMED_VALUE.finditer(secret):
        value = found[0].removeprefix(found["prefix"] or found[0])
        if len(value) >= SHORTEST_PART and _SECRET_NAME.search(found["plain"]):
            yield value
            yield unquote(value)


def _spellings(secret: str) -> Iterator[str]:
    encoded = base64.b64encode(secret.encode("utf-8", "replace")).decode()
    yield from (secret, quote(secret, safe="", errors="replace"), quote_plus(secret, errors="replace"))
    yield from (encoded, encoded.rstrip("="), encoded.translate(str.maketrans("+/", "-_")).rstrip("="))
    yield from (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
