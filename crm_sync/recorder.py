"""What was said to a CRM and back, kept for staff with its secrets masked."""

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "****"

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
        return asdict(self)


class Recorder:
    """Collects the exchanges of one push. `secrets`: literal values that are masked wherever they occur."""

    BODY_LIMIT = 16 * 1024

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self.exchanges: list[Exchange] = []
        self._secrets = tuple(secrets)

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
                request_body=self._body(body),
                status=status,
                response_headers=self._headers(answer_headers),
                response_body=self._body(answer),
                duration_ms=round(duration * 1000),
                error=self._text(error),
            )
        )

    def _text(self, text: str) -> str:
        named = _NAMED_VALUE.sub(_masked_pair, _USERINFO.sub(f"{MASK}@", text))
        return _storable(mask_literals(named, self._secrets))

    def _headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        return {
            name.lower(): MASK if _SECRET_NAME.search(name) else self._text(value)
            for name, value in headers.items()
        }

    def _body(self, body: bytes) -> str:
        text = body.decode("utf-8", "replace")
        try:
            parsed = json.loads(text)
        except (ValueError, RecursionError):
            masked = self._text(text)
        else:
            clean = _masked_json(parsed)
            # Where nothing was masked the text stays as it was, to the last blank: it is evidence.
            unchanged = text if clean == parsed else json.dumps(clean, ensure_ascii=False)
            masked = mask_literals(unchanged, self._secrets)
        # Cut last, or half a secret would survive at the edge.
        return _storable(masked[: self.BODY_LIMIT])


_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")


def _storable(text: str) -> str:
    """The text without what PostgreSQL refuses: a record that cannot be stored would have the lead pushed again."""
    return _UNSTORABLE.sub("\ufffd", text)


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
    """The text with every secret in it replaced, as it is and as URLs, JSON and base64 spell it."""
    spellings = {spelling for secret in secrets if secret.strip() for spelling in _spellings(secret)}
    for spelling in sorted(spellings, key=len, reverse=True):
        text = text.replace(spelling, MASK)
    return text


def _spellings(secret: str) -> Iterator[str]:
    encoded = base64.b64encode(secret.encode("utf-8", "replace")).decode()
    yield from (secret, quote(secret, safe="", errors="replace"), quote_plus(secret, errors="replace"))
    yield from (encoded, encoded.rstrip("="), encoded.translate(str.maketrans("+/", "-_")).rstrip("="))
    yield from (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
