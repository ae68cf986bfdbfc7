"""The bridge from granian to Django: what a request becomes, and what a stalled sender costs."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.http import HttpResponse, StreamingHttpResponse

from leadsite import rsgi


class Protocol:
    """What granian hands over with a request: its body in pieces, and a way to answer."""

    def __init__(self, *pieces: bytes, stalls: bool = False, breaks: bool = False) -> None:
        self.pieces, self.stalls, self.breaks = pieces, stalls, breaks
        self.status, self.headers, self.sent, self.read = 0, [], [], 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            self.read += 1
            yield piece
        if self.breaks:
            raise ConnectionResetError
        if self.stalls:
            await asyncio.sleep(60)

    def response_bytes(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.status, self.headers, self.sent = status, headers, [content]

    def response_stream(self, status: int, headers: list[tuple[str, str]]) -> "Protocol":
        self.status, self.headers = status, headers
        return self

    async def send_bytes(self, piece: bytes) -> None:
        self.sent.append(piece)


class Django:
    """Stands in for Django's handler, and keeps what it was asked."""

    def __init__(self, response: Any = None) -> None:
        self.response, self.environ = response or HttpResponse(b"done"), {}

    def get_response(self, request: Any) -> Any:
        self.environ = request.META
        return self.response

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        self.environ = environ
        start_response(f"{self.response.status_code} OK", list(self.response.items()))
        return self.response


def scope(path: str = "/in/key", method: str = "POST", headers: Any = (), **more: Any) -> Any:
    items = list(headers.items()) if isinstance(headers, dict) else list(headers)
    values = {
        "path": path,
        "method": method,
        "headers": SimpleNamespace(items=lambda: items),
        "query_string": "a=b",
        "http_version": "1.1",
        "server": "127.0.0.1:8000",
        "client": "203.0.113.7:51234",
        "scheme": "http",
        "authority": None,
    }
    return SimpleNamespace(**(values | more))


def ask(django: Django, asked: Any, protocol: Protocol) -> Protocol:
    asyncio.run(rsgi.Application(django).__rsgi__(asked, protocol))  # type: ignore[arg-type]
    return protocol


def test_a_body_comes_together_from_its_pieces() -> None:
    django = Django()
    answer = ask(django, scope(headers={"content-length": "6"}), Protocol(b"abc", b"def"))
    assert django.environ["wsgi.input"].read() == b"abcdef"
    assert (answer.status, answer.sent) == (200, [b"done"])


def test_a_body_that_is_announced_as_too_large_is_not_read(settings: Any) -> None:
    settings.MAX_BODY_BYTES = 10
    protocol = Protocol(b"x" * 20)
    ask(Django(), scope(headers={"content-length": "20"}), protocol)
    assert protocol.read == 0


def test_of_a_body_without_a_length_one_byte_over_the_limit_is_handed_on(settings: Any) -> None:
    settings.MAX_BODY_BYTES = 10
    django, protocol = Django(), Protocol(*[b"x" * 8] * 1000)
    ask(django, scope(), protocol)
    assert len(django.environ["wsgi.input"].read()) == 11
    assert protocol.read == 2


@pytest.mark.parametrize("how", ["breaks", "stalls"])
def test_of_a_body_that_never_ends_what_came_is_handed_on(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rsgi, "BODY_SECONDS", 0.05)
    django = Django()
    answer = ask(django, scope(headers={"content-length": "500"}), Protocol(b"half", **{how: True}))
    assert django.environ["wsgi.input"].read() == b"half"
    assert answer.status == 200


def test_headers_that_come_twice_are_one_list() -> None:
    django = Django()
    twice = [
        ("x-forwarded-for", "198.51.100.7"),
        ("x-forwarded-for", "10.0.0.1"),
        ("cookie", "a=1"),
        ("cookie", "b=2"),
    ]
    ask(django, scope(headers=twice), Protocol())
    assert django.environ["HTTP_X_FORWARDED_FOR"] == "198.51.100.7,10.0.0.1"
    assert django.environ["HTTP_COOKIE"] == "a=1; b=2"


def test_http2_names_its_host_as_authority() -> None:
    django = Django()
    ask(django, scope(authority="leads.example.com", http_version="2"), Protocol())
    assert django.environ["HTTP_HOST"] == "leads.example.com"
    assert django.environ["SERVER_PROTOCOL"] == "HTTP/2"


@pytest.mark.parametrize(
    ("client", "address"), [("203.0.113.7:5", "203.0.113.7"), ("[2001:db8::7]:5", "2001:db8::7")]
)
def test_the_sender_has_his_address(client: str, address: str) -> None:
    django = Django()
    ask(django, scope(client=client), Protocol())
    assert django.environ["REMOTE_ADDR"] == address


def test_text_beyond_ascii_is_given_as_its_bytes() -> None:
    django = Django()
    ask(django, scope(path="/in/schlüssel", headers={"user-agent": "東京"}), Protocol())
    assert django.environ["PATH_INFO"] == "/in/schlüssel"  # Django has decoded this one already
    assert django.environ["HTTP_USER_AGENT"].encode("latin-1").decode() == "東京"


def pieces() -> Iterator[bytes]:
    yield b"one"
    yield b"two"


def test_a_page_that_streams_is_sent_piece_by_piece() -> None:
    answer = ask(Django(StreamingHttpResponse(pieces())), scope("/admin/", "GET"), Protocol())
    assert answer.sent == [b"one", b"two"]


def test_the_head_of_a_streaming_page_has_no_body() -> None:
    response = StreamingHttpResponse(pieces())
    answer = ask(Django(response), scope("/admin/", "HEAD"), Protocol())
    assert answer.sent == [b""]
    assert response.closed


def test_leads_and_pages_have_threads_of_their_own() -> None:
    """A page that takes long holds up no lead."""
    application = rsgi.Application(Django())  # type: ignore[arg-type]
    assert application._intake is not application._pages
