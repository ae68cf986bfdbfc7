"""Senders that keep posting, each lead unlike any other, and remember what they were promised."""

import json
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from itertools import count
from urllib.parse import urlsplit

ANSWERED_WITHIN = 30.0  # seconds; whoever waits longer hangs up and sends again, as Microsoft does
PAUSE = 0.02  # seconds between a sender's leads: a steady stream that leaves the machine something to do


@dataclass(frozen=True)
class Reply:
    """What came back for one POST."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float

    def json(self) -> dict[str, str]:
        return json.loads(self.body)


@dataclass
class Promises:
    """What the senders know: of each body, how often it was sent and, once acknowledged, the answer."""

    sent: dict[bytes, int] = field(default_factory=dict)
    acknowledged: dict[bytes, dict[str, str]] = field(default_factory=dict)
    stored: int = 0  # of those acknowledged; the others are in the spool
    refused: list[Reply] = field(default_factory=list)  # neither 2xx nor a lost answer
    news: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, more: int, within: float) -> bool:
        """Wait until that many more leads are stored than now."""
        with self.news:
            enough = self.stored + more
            return self.news.wait_for(lambda: self.stored >= enough, within)


def lead(mark: str) -> bytes:
    """A lead that nobody else sends."""
    details = {
        "FirstName": "Jane",
        "LastName": mark,
        "Email": f"{mark}@contoso.example",
        "Company": "Contoso",
    }
    return json.dumps({"UserDetails": details, "LeadSource": "SPZA-PLT|contoso.backup"}).encode()


class Sender(threading.Thread):
    """Posts one lead after the other over one connection; a lead without an acknowledgement is sent again."""

    def __init__(self, url: str, promises: Promises, limit: int) -> None:
        super().__init__(daemon=True)
        parts = urlsplit(url)
        self._host, self._path = parts.netloc, parts.path
        self._promises, self._limit = promises, limit
        self._stopping = threading.Event()
        self._mark = uuid.uuid4().hex[:12]
        self._connection: HTTPConnection | None = None

    def stop(self) -> None:
        """Leave off. What is on its way is not sent again."""
        self._stopping.set()

    def run(self) -> None:
        for number in count():
            body = lead(f"{self._mark}-{number}")
            while not self._stopping.is_set() and not self._acknowledged(body):
                self._stopping.wait(0.1)
            if self._stopping.wait(PAUSE) or number >= self._limit:
                break
        if self._connection:
            self._connection.close()

    def _acknowledged(self, body: bytes) -> bool:
        with self._promises.news:
            self._promises.sent[body] = self._promises.sent.get(body, 0) + 1
        try:
            self._connection = self._connection or HTTPConnection(self._host, timeout=ANSWERED_WITHIN)
            reply = exchange(self._connection, self._path, body)
        except (OSError, HTTPException):
            # Nobody knows what became of it.
            if self._connection:
                self._connection.close()
            self._connection = None
            return False
        with self._promises.news:
            if not 200 <= reply.status < 300:
                self._promises.refused.append(reply)
                return False
            said = self._promises.acknowledged[body] = reply.json()
            self._promises.stored += said["status"] != "spooled"
            self._promises.news.notify_all()
        return True


def exchange(connection: HTTPConnection, path: str, body: bytes) -> Reply:
    start = time.monotonic()
    connection.request("POST", path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    content = answer.read()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    return Reply(answer.status, headers, content, time.monotonic() - start)


def post_once(url: str, body: bytes) -> Reply | None:
    """One POST over a connection of its own; None where no answer came."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=ANSWERED_WITHIN)
    try:
        with suppress(OSError, HTTPException):
            return exchange(connection, parts.path, body)
    finally:
        connection.close()
    return None
