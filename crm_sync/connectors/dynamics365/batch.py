"""Several HTTP requests in one, as OData batches have them, and the answers to each. Pure.

OData 4.0 Part 1: Protocol, section 11.7 (docs.oasis-open.org/odata/odata/v4.0, read 2026-11). Without change sets:
each request succeeds or fails alone.
"""

import json
import re
from collections.abc import Iterable, Mapping

from crm_sync.connectors.base import Request
from crm_sync.http import Response, Unreadable
from leads.texts import gettext as _

_BOUNDARY = re.compile(
    r"""\s*multipart/mixed\s*;(?:[^;"]*;)*\s*boundary=(?:"([^"\r\n]{1,70})"|([^\s;"]{1,70})(?=[\s;]|$))""",
    re.IGNORECASE,
)
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_STATUS = re.compile(r"HTTP/\d\.\d ([1-5]\d\d)(?=\s|$)")


def written(requests: Iterable[Request], boundary: str) -> str:
    """The body of a batch of these requests. JSON without a line break cannot look like the boundary."""
    lines = []
    for request in requests:
        lines += [f"--{boundary}", "Content-Type: application/http", "Content-Transfer-Encoding: binary", ""]
        lines += [f"{request.method} {request.url} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in request.headers.items()]
        lines += ["", json.dumps(request.body, separators=(",", ":"))]
    return "\r\n".join([*lines, f"--{boundary}--", ""])


def read(answer: Response) -> list[Response | None]:
    """The answers in a batch's answer, in the order of its requests; None where one cannot be read.

    One that may have been cut off is not among them. Raises Unreadable where the whole is no batch's answer.
    """
    found = _BOUNDARY.match(answer.headers.get("content-type", ""))
    if not found:
        raise Unreadable(
            _("The answer (HTTP {status}) is not that to a batch.").format(status=answer.status), sent=True
        )
    boundary = (found[1] or found[2]).encode("latin-1", "replace")
    return [_answer(part) for part in _parts(answer.content, b"--" + boundary)]


def _parts(content: bytes, delimiter: bytes) -> list[bytes]:
    parts: list[bytes] = []
    lines: list[bytes] | None = None
    for line in content.split(b"\n"):
        mark = line.rstrip() if line.startswith(delimiter) else b""
        if mark not in (delimiter, delimiter + b"--"):
            if lines is not None:
                lines.append(line)
            continue
        if lines is not None:
            parts.append(b"\n".join(lines))
        if mark != delimiter:
            break
        lines = []
    return parts


def _answer(part: bytes) -> Response | None:
    around, message = _split(part)
    if _headers(around).get("content-type", "").split(";")[0].strip().lower() != "application/http":
        return None
    head, content = _split(message.lstrip(b"\r\n"))
    status = _STATUS.match(head)
    return Response(int(status[1]), _headers(head), content) if status else None


def _split(text: bytes) -> tuple[str, bytes]:
    head, *rest = _BLANK_LINE.split(text, maxsplit=1)
    return head.decode("latin-1"), rest[0] if rest else b""


def _headers(head: str) -> Mapping[str, str]:
    pairs = (line.partition(":") for line in head.splitlines())
    return {name.strip().lower(): value.strip() for name, colon, value in pairs if colon}
