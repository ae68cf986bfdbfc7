"""A far side on loopback that keeps what it is told and misbehaves on demand. The fake of each CRM is one.

with FakeHubSpot() as crm:
    crm.url                     # http://127.0.0.1:...; https:// with tls=True
    crm.next("drop")            # the next write is carried out, and its answer lost
    crm.next(Answer(503))       # the next request gets this, and nothing is carried out
    crm.requests                # what came, in order
"""

import json
import ssl
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Literal, Self
from urllib.parse import parse_qs, urlsplit

import trustme


@dataclass(frozen=True)
class Seen:
    """A request as it came. `headers` by their names in small letters; `query` with each name once.

    `target`: path and query exactly as they came.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    target: str = ""

    def json(self) -> Any:
        return json.loads(self.body)

    def form(self) -> dict[str, str]:
        return {
            name: values[0] for name, values in parse_qs(self.body.decode(), keep_blank_values=True).items()
        }

    @property
    def is_write(self) -> bool:
        return self.method not in ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True)
class Answer:
    """An answer. `body`: bytes and text as they are, anything else as JSON."""

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self) -> tuple[bytes, str]:
        if isinstance(self.body, bytes):
            return self.body, "application/octet-stream"
        if isinstance(self.body, str):
            return self.body.encode(), "text/html; charset=utf-8"
        return json.dumps(self.body).encode(), "application/json; charset=utf-8"


# "drop": carry it out and hang up without an answer. "hang up": carry nothing out.
Fault = Literal["drop", "hang up"] | Answer


class FakeCrm:
    """One fake, serving from its making to the end of its `with`. A subclass answers; its state is guarded by `lock`."""

    def __init__(self, *, tls: bool = False) -> None:
        self.lock = threading.RLock()
        self.requests: list[Seen] = []
        self.connections = 0
        self._faults: deque[tuple[Callable[[Seen], bool], Fault]] = deque()
        self._server = _Server(("127.0.0.1", 0), self)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            _authority().issue_cert("127.0.0.1", "localhost").configure_cert(context)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port: int = self._server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.01], daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, request: Seen) -> Answer:
        """What a subclass says to this request, having carried it out. Called under the lock."""
        raise AssertionError(f"nothing answers {request.method} {request.path}")

    def next(self, fault: Fault, *, when: Callable[[Seen], bool] = lambda request: request.is_write) -> None:
        """Do this once, with the next request for which `when` holds: by default the next write."""
        with self.lock:
            self._faults.append((when, fault))

    def handle(self, request: Seen) -> Answer | None:
        """The answer; None to hang up."""
        with self.lock:
            self.requests.append(request)
            fault = self._fault_of(request)
            if isinstance(fault, Answer):
                return fault
            if fault == "hang up":
                return None
            answer = self.answer(request)
            return None if fault == "drop" else answer

    def _fault_of(self, request: Seen) -> Fault | None:
        for number, (when, fault) in enumerate(self._faults):
            if when(request):
                del self._faults[number]
                return fault
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], crm: FakeCrm) -> None:
        self.crm = crm
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.crm.connections += 1
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news; a fake that raises is."""
        import sys
        import traceback

        if not isinstance(sys.exception(), OSError):
            traceback.print_exc()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _serve(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self._chunked() if "chunked" in headers.get("transfer-encoding", "") else self._sized(headers)
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        answer = self.server.crm.handle(Seen(self.command, parts.path, query, headers, body, self.path))
        if answer is None:
            self.close_connection = True
            return
        content, kind = answer.encoded()
        self.send_response(answer.status)
        for name, value in {"content-type": kind, **answer.headers}.items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("content-length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD" and answer.status != 204:
            self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_MERGE = do_OPTIONS = _serve  # noqa: N815

    def _sized(self, headers: Mapping[str, str]) -> bytes:
        return self.rfile.read(int(headers.get("content-length", 0)))

    def _chunked(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def finish(self) -> None:
        with suppress(OSError):  # the client has gone
            super().finish()


@cache
def _authority() -> trustme.CA:
    return trustme.CA()


@cache
def authority_file() -> str:
    """The path of the certificate that whoever is to trust a fake with `tls=True` must know."""
    path = Path(mkdtemp(prefix="fakes-")) / "authority.pem"
    _authority().cert_pem.write_to_path(str(path))
    return str(path)
