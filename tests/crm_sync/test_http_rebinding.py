"""A resolver that changes its answers against the guard: a server stands inside, and no byte may reach it."""

import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crm_sync.addresses import Policy
from crm_sync.http import GuardedClient, Pool, Refused, Unreachable

from .conftest import OPEN, FarSide

OUTSIDE, ALSO_OUTSIDE = "93.184.215.14", "2606:4700::6810:84e5"
CREATED = b'HTTP/1.1 201 Created\r\nContent-Length: 10\r\n\r\n{"id":"1"}'

MakePool = Callable[..., Pool]
MakeFarSide = Callable[..., FarSide]


def created(connection: socket.socket) -> None:
    connection.sendall(CREATED)


class Dns:
    """A resolver that gives its answers in turn, the last one for ever. The system's does for addresses."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    def __call__(self, host: str, port: int, **_: object) -> list[Any]:
        self.asked += 1
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]


@pytest.fixture
def inner(far_side: MakeFarSide) -> Iterator[FarSide]:
    """What must not be reached: not a connection, let alone a request."""
    server = far_side(created)
    yield server
    assert (server.connections, server.requests) == (0, [])


@pytest.fixture
def outer(far_side: MakeFarSide, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> FarSide:
    """A server on the public internet, as far as this process can tell: dialling OUTSIDE leads to it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = far_side(created, context)
    dial = socket.create_connection

    def to_loopback(address: tuple[str, int], *args: Any, **kwargs: Any) -> socket.socket:
        host, _ = address
        if host not in {OUTSIDE, ALSO_OUTSIDE}:
            return dial(address, *args, **kwargs)
        return dial(("127.0.0.1", server.port), *args, **kwargs)

    monkeypatch.setattr(socket, "create_connection", to_loopback)
    return server


def post(client: GuardedClient, inner: FarSide, host: str = "crm.test") -> int:
    return client.request(
        "POST", f"https://{host}:{inner.port}/leads", json={"email": "kim@example.com"}
    ).status


INSIDE = [
    *("127.0.0.1", "169.254.169.254", "10.0.0.7", "0.0.0.0", "::1", "fd00:ec2::254"),
    # IPv4 in disguise: mapped, NAT64, 6to4, compatible.
    *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::", "::127.0.0.1"),
]


@pytest.mark.parametrize("inside", INSIDE)
def test_an_answer_that_leads_inside_is_refused_at_whichever_question_it_comes(
    inside: str, pool: MakePool, outer: FarSide, inner: FarSide
) -> None:
    dns = Dns([OUTSIDE], [inside])
    shared = pool(Policy(), resolver=dns)
    assert post(shared.client(), inner) == 201
    shared.close()  # the connection is gone, as after any silence: the next push asks again
    with pytest.raises(Refused, match="ALLOW_PRIVATE_DESTINATIONS") as refusal:
        post(shared.client(), inner)
    assert not refusal.value.sent
    assert (dns.asked, outer.connections) == (2, 1)


def test_the_name_is_resolved_once_a_connection_and_the_answer_that_was_checked_is_dialled(
    pool: MakePool, outer: FarSide, inner: FarSide
) -> None:
    dns = Dns([OUTSIDE], ["127.0.0.1"])  # public to whoever checks, loopback to whoever dials
    assert post(pool(Policy(), resolver=dns).client(), inner) == 201
    assert (dns.asked, outer.connections) == (1, 1)


def test_a_connection_that_is_kept_alive_stays_where_it_was_checked_whatever_dns_says_by_then(
    pool: MakePool, outer: FarSide, inner: FarSide
) -> None:
    dns = Dns([OUTSIDE], ["127.0.0.1"])
    shared = pool(Policy(), resolver=dns)
    assert [post(shared.client(), inner) for _ in range(3)] == [201] * 3
    assert (dns.asked, outer.connections, len(outer.requests)) == (1, 1, 3)


@pytest.mark.parametrize("inside", INSIDE)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_inner_address_among_public_ones_refuses_them_all(
    place: int, inside: str, pool: MakePool, outer: FarSide, inner: FarSide
) -> None:
    mixed = [OUTSIDE, ALSO_OUTSIDE]
    mixed.insert(place, inside)
    with pytest.raises(Refused, match="leads to"):
        post(pool(Policy(), resolver=Dns(mixed)).client(), inner)
    assert outer.connections == 0


def test_the_next_address_is_tried_only_if_it_was_checked_with_the_first(
    pool: MakePool, inner: FarSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialled: list[str] = []

    def refuse(address: tuple[str, int], *_: Any, **__: Any) -> socket.socket:
        dialled.append(address[0])
        raise ConnectionRefusedError("nobody there")

    monkeypatch.setattr(socket, "create_connection", refuse)
    dns = Dns([OUTSIDE, ALSO_OUTSIDE], ["127.0.0.1"])
    with pytest.raises(Unreachable):
        post(pool(Policy(), resolver=dns).client(), inner)
    assert (dialled, dns.asked) == ([OUTSIDE, ALSO_OUTSIDE], 1)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1", "2130706433", "0x7f000001", "017700000001", "0x7f.0.0.1", "0177.0.0.1", "0"),
        *("127.0.0.1.", "localhost", "localhost.", "LocalHost", "crm.localhost"),
        *("[::1]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::127.0.0.1]"),
        *("[2002:7f00:1::]", "[::127.0.0.1]", "127。0。0。1", "１２７.0.0.1", "ⓛocalhost"),
    ],
)
def test_no_spelling_of_this_machine_is_reached(host: str, pool: MakePool, inner: FarSide) -> None:
    with pytest.raises(Refused) as refusal:
        post(pool(Policy()).client(), inner, host)  # the system's own resolver
    assert not refusal.value.sent


def test_a_server_outside_that_redirects_inside_is_not_followed(
    pool: MakePool, outer: FarSide, inner: FarSide
) -> None:
    for location in (inner.url, "http://169.254.169.254/latest/meta-data/", f"//127.0.0.1:{inner.port}/"):
        answer = f"HTTP/1.1 307 Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
        outer.answer = lambda connection, answer=answer: connection.sendall(answer)  # type: ignore[misc]
        assert post(pool(Policy(), resolver=Dns([OUTSIDE])).client(), inner) == 307


def test_a_proxy_of_the_environment_gets_nothing(
    pool: MakePool, outer: FarSide, inner: FarSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{inner.port}")
    assert post(pool(Policy(), resolver=Dns([OUTSIDE])).client(), inner) == 201


def test_where_the_operator_allows_it_the_same_server_is_reached(
    pool: MakePool, far_side: MakeFarSide
) -> None:
    """So that the tests above fail for no other reason than the guard."""
    server = far_side(created)
    assert pool(OPEN, resolver=Dns(["127.0.0.1"])).client().request("POST", server.url, json={}).status == 201
    assert server.connections == 1
