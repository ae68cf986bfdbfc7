"""Connections for what is not HTTP: checked like any other, and never longer than the deadline."""

import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crm_sync.addresses import Policy
from crm_sync.http import Pool, Refused, TooSlow, Unreachable, Untrusted

from .conftest import OPEN, FarSide

MakePool = Callable[..., Pool]


def test_a_dialled_connection_reaches_a_host_that_is_allowed(
    pool: MakePool, far_side: Callable[..., FarSide]
) -> None:
    server = far_side(lambda connection: connection.sendall(b"250 ok\r\n"))
    with pool().client().dial("127.0.0.1", server.port) as connection:
        connection.sendall(b"HELO there\r\n\r\n")
        assert connection.recv(100) == b"250 ok\r\n"
        assert connection.gettimeout() == OPEN.read_timeout


def test_a_private_address_is_refused_before_anything_is_dialled(
    pool: MakePool, far_side: Callable[..., FarSide]
) -> None:
    server = far_side(lambda connection: None)
    with pytest.raises(Refused, match="ALLOW_PRIVATE_DESTINATIONS"):
        pool(Policy()).client().dial("127.0.0.1", server.port)
    assert server.connections == 0


def test_a_name_that_leads_to_a_private_address_is_refused(pool: MakePool) -> None:
    def resolver(host: str, port: int, **_: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.7", port))]

    with pytest.raises(Refused, match=r"mail\.example leads to 10\.0\.0\.7"):
        pool(Policy(), resolver=resolver).client().dial("mail.example", 25)


def test_the_operators_own_mail_server_may_stand_inside(
    pool: MakePool, far_side: Callable[..., FarSide]
) -> None:
    server = far_side(lambda connection: None)
    policy = Policy(own_hosts=frozenset({f"127.0.0.1:{server.port}"}))
    with pool(policy).client().dial("127.0.0.1", server.port) as connection:
        assert connection.getpeername() == ("127.0.0.1", server.port)


def test_a_closed_port_and_an_unknown_name_are_unreachable(pool: MakePool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = listener.getsockname()[1]
    with pytest.raises(Unreachable, match="No connection could be made"):
        pool().client().dial("127.0.0.1", closed)

    def unknown(*_: object, **__: object) -> Any:
        raise socket.gaierror("Name or service not known")

    with pytest.raises(Unreachable, match=r"The name mail\.example is not known"):
        pool(resolver=unknown).client().dial("mail.example", 25)


def test_nothing_is_dialled_once_the_deadline_is_over(pool: MakePool) -> None:
    now = [0.0]
    client = pool(clock=lambda: now[0]).client(deadline=10)
    now[0] = 11
    with pytest.raises((TooSlow, Unreachable)):
        client.dial("127.0.0.1", 9)


# --- Encrypted on the way -------------------------------------------------------------------------


def encrypted(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def to_loopback(host: str, port: int, **_: object) -> list[Any]:
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]


def test_a_dialled_connection_is_encrypted_for_the_name_that_was_dialled(
    pool: MakePool, far_side: Callable[..., FarSide], certificate: Path
) -> None:
    server = far_side(lambda connection: connection.sendall(b"250 ok\r\n"), encrypted(certificate))
    client = pool(resolver=to_loopback).client()
    with client.secure(client.dial("crm.test", server.port), "crm.test") as connection:
        connection.sendall(b"HELO there\r\n\r\n")
        assert connection.recv(100) == b"250 ok\r\n"
    with pytest.raises(Untrusted, match=r"The certificate of mail\.test was not accepted: .*\.$"):
        client.secure(client.dial("mail.test", server.port), "mail.test")


def test_what_answers_without_encryption_is_unreachable_and_got_nothing(
    pool: MakePool, far_side: Callable[..., FarSide]
) -> None:
    server = far_side(lambda connection: None)
    client = pool().client()
    connection = client.dial("127.0.0.1", server.port)
    connection.settimeout(0.2)  # a far side that says nothing
    with pytest.raises(
        Unreachable, match=r"No encryption could be agreed on with 127\.0\.0\.1: .*\.$"
    ) as caught:
        client.secure(connection, "127.0.0.1")
    assert not caught.value.sent


def test_a_countdown_ends_with_the_push_or_with_what_one_exchange_may_take(pool: MakePool) -> None:
    now = [0.0]
    client = pool(clock=lambda: now[0]).client(deadline=10)
    left = client.countdown()
    assert left() == OPEN.deadline
    now[0] = 3
    assert left() == OPEN.deadline - 3
    now[0] = 9
    assert client.countdown()() == 1
