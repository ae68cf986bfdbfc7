"""What arrives over a real connection: every way to send a body, and every way to get it wrong."""

import json
import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from email.parser import BytesParser
from itertools import count
from typing import Any, NamedTuple

import h2.config
import h2.connection
import h2.events
import httpx2
import pytest

from tests.e2e.conftest import Site, wait_until

pytestmark = pytest.mark.e2e
LIMIT = 256 * 1024
TIMEOUT = 15.0  # seconds; every answer comes much sooner
numbers = count()


def lead(size: int = 0) -> bytes:
    """A lead that nobody sent before, of that many bytes."""
    start, end = b'{"UserDetails": {"FirstName": "No %d"}, "LeadSource": "' % next(numbers), b'"}'
    return start + b"x" * (size - len(start) - len(end)) + end


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        return json.loads(self.body)


class Wire:
    """A connection that says exactly what it is told to, and reads one answer at a time."""

    def __init__(self, site: Site) -> None:
        self._socket = socket.create_connection(("127.0.0.1", site.port), timeout=TIMEOUT)
        self._stream = self._socket.makefile("rb")

    def close(self) -> None:
        self._stream.close()
        self._socket.close()

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self._socket.sendall(piece)

    def end(self) -> None:
        """Close the sending side; the answer can still be read."""
        self._socket.shutdown(socket.SHUT_WR)

    def post(self, path: str, body: bytes, *headers: str, method: str = "POST") -> Answer:
        self.send(head(path, f"Content-Length: {len(body)}", *headers, method=method), body)
        return self.answer(bodyless=method == "HEAD")

    def answer(self, *, bodyless: bool = False) -> Answer:
        line = self._stream.readline()
        assert line, "the connection was closed without an answer"
        lines = iter(self._stream.readline, b"\r\n")
        headers = {name.lower(): value for name, value in BytesParser().parsebytes(b"".join(lines)).items()}
        status = int(line.split()[1])
        length = 0 if bodyless or status < 200 else int(headers["content-length"])
        return Answer(status, headers, self._stream.read(length))


def head(path: str, *headers: str, host: str = "leads.example.com", method: str = "POST") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {host}", *headers, "", ""]).encode()


def chunks(body: bytes, size: int = 1000) -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@pytest.fixture
def wire(site: Site) -> Iterator[Wire]:
    with connected(site) as wire:
        yield wire


@contextmanager
def connected(site: Site) -> Iterator[Wire]:
    wire = Wire(site)
    try:
        yield wire
    finally:
        wire.close()


def stored(site: Site, body: bytes) -> list[tuple[str, str]]:
    """Verdict and reason of every stored request with that body."""
    return site.rows("SELECT verdict, reason FROM leads_submission WHERE body = ?", body)


# Ways to send a lead


def test_a_body_in_chunks_is_a_lead(site: Site, wire: Wire) -> None:
    body = lead(5000)
    wire.send(head(site.path, "Transfer-Encoding: chunked"), chunks(body))
    assert wire.answer().status == 201
    assert stored(site, body) == [("lead", "")]


def in_pieces(body: bytes) -> Iterable[bytes]:
    yield body[:10]
    yield body[10:]


@pytest.mark.parametrize("with_length", [True, False])
def test_a_body_over_http2_is_a_lead(with_length: bool, site: Site) -> None:
    body = lead(30_000)
    with httpx2.Client(http2=True, http1=False, timeout=TIMEOUT) as client:
        answer = client.post(site.endpoint_url, content=body if with_length else in_pieces(body))
    assert (answer.http_version, answer.status_code) == ("HTTP/2", 201)
    assert stored(site, body) == [("lead", "")]


@pytest.mark.parametrize("host", ["evil.example", "not a host", ""])
def test_a_lead_may_be_sent_to_any_host_name(host: str, site: Site, wire: Wire) -> None:
    body = lead()
    wire.send(head(site.path, f"Content-Length: {len(body)}", host=host), body)
    assert wire.answer().status == 201


@pytest.mark.parametrize(
    ("suffix", "header"),
    [("/", ""), ("?format=xyz", ""), ("", "Accept: application/xml"), ("", "Content-Type: nonsense")],
)
def test_neither_slash_nor_query_nor_headers_refuse_a_lead(
    suffix: str, header: str, site: Site, wire: Wire
) -> None:
    headers = [header] if header else []
    assert wire.post(site.path + suffix, lead(), *headers).status == 201


@pytest.mark.parametrize("value", [b"\xff\xfe", "Zürich 東京".encode(), b"caf\xe9", b"", b"\x80" * 8000])
def test_no_bytes_in_a_header_refuse_a_lead(value: bytes, site: Site, wire: Wire) -> None:
    body = lead()
    start = head(site.path, f"Content-Length: {len(body)}").removesuffix(b"\r\n")
    wire.send(start, b"User-Agent: " + value + b"\r\n\r\n", body)
    assert wire.answer().status == 201
    assert stored(site, body) == [("lead", "")]


def test_a_percent_encoded_key_is_the_same_key(site: Site, wire: Wire) -> None:
    key = site.path.removeprefix("/in/")
    assert wire.post("/in/" + "".join(f"%{ord(letter):02x}" for letter in key), lead()).status == 201


def test_who_asks_before_sending_the_body_is_told_to_go_on(site: Site, wire: Wire) -> None:
    body = lead()
    wire.send(head(site.path, f"Content-Length: {len(body)}", "Expect: 100-continue"))
    assert wire.answer().status == 100
    wire.send(body)
    assert wire.answer().status == 201


def test_a_slow_sender_gets_his_answer_and_holds_up_nobody(site: Site, wire: Wire) -> None:
    body = lead()
    wire.send(head(site.path, f"Content-Length: {len(body)}"), body[:10])
    with connected(site) as other:
        assert other.post(site.path, lead()).status == 201
    for start in range(10, len(body)):
        wire.send(body[start : start + 1])
    assert wire.answer().status == 201
    assert stored(site, body) == [("lead", "")]


def test_many_stalled_senders_hold_up_nobody(site: Site) -> None:
    with ExitStack() as stack:
        for path in (site.path, "/in/unknown", "/admin/login/") * 16:
            stalled = stack.enter_context(connected(site))
            stalled.send(head(path, "Content-Length: 500"), b"{")
        httpx2.get(f"{site.base_url}/livez", timeout=5)
        with connected(site) as other:
            assert other.post(site.path, lead()).status == 201


def test_leads_sent_one_behind_the_other_are_all_answered_in_order(site: Site, wire: Wire) -> None:
    good, bad = lead(), b"no lead %d" % next(numbers)
    for body in (good, bad, good):
        wire.send(head(site.path, f"Content-Length: {len(body)}"), body)
    assert [wire.answer().status for _ in range(3)] == [201, 400, 200]


# Bodies that end too soon or too late


def test_a_body_cut_off_on_the_way_is_kept_and_quarantined_as_truncated(site: Site, wire: Wire) -> None:
    body = lead(500)[:100]
    wire.send(head(site.path, "Content-Length: 500"), body)
    wire.end()
    answer = wire.answer()
    assert (answer.status, answer.json()["title"]) == (400, "Cut off on the way")
    assert stored(site, body) == [("quarantined", "truncated")]


def test_a_body_whose_sender_vanished_is_kept_too(site: Site) -> None:
    body = lead(500)[:100]
    with connected(site) as wire:
        wire.send(head(site.path, "Content-Length: 500"), body)
    wait_until(lambda: stored(site, body) == [("quarantined", "truncated")], what="storing it")


def test_chunks_cut_off_on_the_way_are_kept_as_far_as_they_came(site: Site, wire: Wire) -> None:
    body = lead(500)[:100]
    wire.send(head(site.path, "Transfer-Encoding: chunked"), chunks(body).removesuffix(b"0\r\n\r\n"))
    wire.end()
    assert wire.answer().status == 400
    assert stored(site, body) == [("quarantined", "not_json")]


def test_an_http2_stream_that_is_reset_leaves_what_came(site: Site) -> None:
    body = lead(500)[:100]
    with http2(site) as (connection, link):
        connection.send_headers(1, [*request(site.path), ("content-length", "500")])
        connection.send_data(1, body)
        connection.reset_stream(1)
        link.sendall(connection.data_to_send())
        wait_until(lambda: stored(site, body) == [("quarantined", "truncated")], what="storing it")


def test_a_request_without_any_body_is_quarantined_as_empty(site: Site, wire: Wire) -> None:
    wire.send(head(site.path))
    answer = wire.answer()
    assert answer.status == 400
    assert answer.json()["title"] == "Empty body"


# Bodies that are too large


def test_a_body_of_exactly_the_limit_is_accepted(site: Site, wire: Wire) -> None:
    assert wire.post(site.path, lead(LIMIT)).status == 201
    wire.send(head(site.path, "Transfer-Encoding: chunked"), chunks(lead(LIMIT), 50_000))
    assert wire.answer().status == 201


@pytest.mark.parametrize("known", [True, False])
def test_too_large_a_body_is_refused_by_its_announcement(known: bool, site: Site, wire: Wire) -> None:
    path = site.path if known else "/in/unknown"
    wire.send(head(path, f"Content-Length: {LIMIT + 1}"))
    answer = wire.answer()
    assert (answer.status, answer.headers["content-type"]) == (413, "application/problem+json")


def test_too_large_a_body_is_not_even_asked_for(site: Site, wire: Wire) -> None:
    wire.send(head(site.path, f"Content-Length: {LIMIT + 1}", "Expect: 100-continue"))
    assert wire.answer().status == 413


@pytest.mark.parametrize("known", [True, False])
def test_too_many_chunks_are_refused_though_they_never_end(known: bool, site: Site, wire: Wire) -> None:
    body = lead(LIMIT + 1)
    wire.send(head(site.path if known else "/in/unknown", "Transfer-Encoding: chunked"))
    wire.send(chunks(body, 50_000).removesuffix(b"0\r\n\r\n"))
    assert wire.answer().status == 413
    assert stored(site, body) == []


def request(path: str) -> list[tuple[str, str]]:
    return [(":method", "POST"), (":path", path), (":scheme", "http"), (":authority", "leads.example.com")]


@contextmanager
def http2(site: Site) -> Iterator[tuple[h2.connection.H2Connection, socket.socket]]:
    """A bare HTTP/2 connection, for what a well-behaved client would not send."""
    connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    with socket.create_connection(("127.0.0.1", site.port), timeout=TIMEOUT) as link:
        connection.initiate_connection()
        link.sendall(connection.data_to_send())
        yield connection, link


def test_too_large_a_body_over_http2_without_a_length_is_refused(site: Site) -> None:
    left = LIMIT + 1
    with http2(site) as (connection, link):
        connection.send_headers(1, request(site.path))
        while True:
            # The stream stays open: the answer must not depend on an end that may never come.
            while room := min(
                left, connection.local_flow_control_window(1), connection.max_outbound_frame_size
            ):
                connection.send_data(1, b"x" * room)
                left -= room
            link.sendall(connection.data_to_send())
            events = connection.receive_data(link.recv(65536))
            if answers := [event for event in events if isinstance(event, h2.events.ResponseReceived)]:
                break
    assert dict(answers[0].headers)[":status"] == "413"


# Wrong methods, wrong keys


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "OPTIONS"])
def test_any_other_method_is_refused_with_the_one_that_is_taken(method: str, site: Site, wire: Wire) -> None:
    for path in (site.path, "/in/unknown", site.path + "/"):
        wire.send(head(path, method=method))
        answer = wire.answer(bodyless=method == "HEAD")
        assert (answer.status, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("key", ["%00", "%FF%FE", "a%0D%0Ab", "%", "%zz", "%25", "..", "%2e%2e", "a" * 4000])
def test_a_nonsense_key_is_unknown(key: str, site: Site, wire: Wire) -> None:
    assert wire.post(f"/in/{key}", lead()).status == 404


def test_unknown_revoked_and_expired_keys_look_alike(site: Site) -> None:
    made = site.manage(
        "shell",
        "-c",
        "from django.utils import timezone as t; from leads.models import *; o = Offer.objects.get()\n"
        "for column in ('revoked_at', 'expires_at'):\n"
        "    e = Endpoint.make(o); Endpoint.objects.filter(pk=e.pk).update(**{column: t.now()}); print(e.path)",
    )
    paths = re.findall(r"^/in/\S+$", made.stdout, re.MULTILINE)
    assert len(paths) == 2, made.stderr
    with connected(site) as wire:
        answers = [wire.post(path, lead()) for path in ("/in/unknown", *paths)]
    assert {answer.status for answer in answers} == {404}
    assert len({answer.body for answer in answers}) == 1
    assert len({frozenset(answer.headers) for answer in answers}) == 1


# After an error


@pytest.mark.parametrize(
    ("path", "method", "status"), [("{}", "POST", 400), ("/in/unknown", "POST", 404), ("{}", "PUT", 405)]
)
def test_after_an_error_answer_the_connection_goes_on_or_says_that_it_does_not(
    path: str, method: str, status: int, site: Site, wire: Wire
) -> None:
    bad = b"no lead %d" % next(numbers)
    answer = wire.post(path.format(site.path), bad, method=method)
    assert answer.status == status
    if answer.headers.get("connection") != "close":
        # What was left of a refused body must not be taken for the next request.
        assert wire.post(site.path, lead()).status == 201


def test_who_asks_for_a_websocket_is_answered_like_anybody_else(site: Site, wire: Wire) -> None:
    upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
    wire.send(head(site.path, *upgrade, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", method="GET"))
    assert wire.answer().status == 405


def test_no_endpoint_key_is_ever_logged(site: Site) -> None:
    key = site.path.removeprefix("/in/")
    with httpx2.Client(base_url=site.base_url, timeout=TIMEOUT) as client:
        statuses = [
            client.request(method, path, content=b"no lead either").status_code
            for method, path in (
                ("POST", site.path),
                ("GET", site.path),
                ("GET", f"{site.path}/more"),
                ("GET", f"/%69n/{key}?again=/in/{key}"),
            )
        ]
    assert statuses == [400, 405, 404, 405]
    log = site.log().replace(site.output, "")  # the start itself shows the URL, once
    assert key not in log
