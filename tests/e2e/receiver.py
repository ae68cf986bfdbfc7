"""A webhook at the far side, on loopback, which keeps what it is sent and answers when it is told to."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook

SECRET = "whsec_c2lnbmVkIGFuZCBzZWFsZWQgYW5kIGRlbGl2ZXJlZA=="


@dataclass(frozen=True)
class Received:
    """One request that came in whole."""

    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def verified(self) -> Any:
        """What it says. Raises standardwebhooks.WebhookVerificationError where the signature is not good."""
        return Webhook(SECRET).verify(self.body, self.headers)


class Receiver(ThreadingHTTPServer):
    """Keeps every request. While `answering` is clear, it holds its answers back; `dropping`, it hangs up instead."""

    request_queue_size = 128  # of more senders at once than five, some would find nobody
    block_on_close = False  # a request that is held back for ever must not hold back the test

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received: list[Received] = []
        self.answering = threading.Event()
        self.answering.set()
        self.dropping = False
        self._news = threading.Condition()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/leads"

    def keep(self, request: Received) -> None:
        with self._news:
            self.received.append(request)
            self._news.notify_all()

    def wait_until(self, holds: Callable[[list[Received]], bool], within: float = 30.0) -> None:
        """Wait until what has been received satisfies a condition."""
        with self._news:
            arrived = self._news.wait_for(lambda: holds(self.received), within)
        assert arrived, (
            f"after {within} s: {len(self.received)} requests, ids {[r.id for r in self.received]}"
        )

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A sender that was killed is no error of the receiver's."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.keep(Received({name.lower(): value for name, value in self.headers.items()}, body))
        if self.server.dropping:
            self.close_connection = True
            return
        self.server.answering.wait(60)
        self.send_response(204)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        """Silent."""


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver that runs for the length of a test."""
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.answering.set()
        server.shutdown()
        server.server_close()
        thread.join()
