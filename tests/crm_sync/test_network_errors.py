"""Why a connection failed is told in words: staff who never see a terminal read them."""

import errno
import re
import socket
import ssl
from collections.abc import Callable

import httpcore2
import httpx2
import pytest

from crm_sync.addresses import Policy, address_problem
from crm_sync.http import NoAnswer, Pool
from crm_sync.network_errors import because, name_unknown

# What a system or a library says of itself: error numbers, class names, reprs, names of C and of OpenSSL.
MACHINE = re.compile(
    r"Errno|errno|0x|b'|b\"|bytearray|Error\b|Exception|<.*>|\b[A-Z]+(?:_[A-Z]+)+\b|_ssl|IDNA|\(-?\d"
)


def wrapped(error: OSError) -> httpx2.ConnectError:
    """As the HTTP library wraps it, twice."""
    try:
        try:
            raise httpcore2.ConnectError(str(error)) from error
        except httpcore2.ConnectError as inner:
            raise httpx2.ConnectError(str(inner)) from inner
    except httpx2.ConnectError as outer:
        return outer


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), "the connection was refused: "),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), "the other side hung up"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), "the other side hung up"),
        (TimeoutError("timed out"), "nothing answered in time"),
        (TimeoutError(errno.ETIMEDOUT, "Connection timed out"), "nothing answered in time"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "no way leads there from this server"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "no way leads there from this server"),
        (OSError(errno.ENETDOWN, "Network is down"), "no way leads there from this server"),
        (OSError(errno.EHOSTDOWN, "Host is down"), "no way leads there from this server"),
        (OSError(errno.EMFILE, "Too many open files"), "too many files and connections open: ask whoever"),
        (OSError(errno.ENFILE, "Too many open files in system"), "too many files and connections open"),
        (OSError(errno.ENOBUFS, "No buffer space available"), "short of memory: ask whoever hosts it"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "short of memory: ask whoever hosts it"),
        (
            OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address"),
            "short of ports, or has no address",
        ),
        (PermissionError(errno.EACCES, "[Errno 13]"), "the system of this server says: Permission denied"),
        (OSError("[Errno 99999]"), "does not say why"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] (_ssl.c:1006)"), "does not speak TLS as we do"),
        (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), "the other side hung up"),
    ],
)
def test_what_the_system_raised_is_told_in_words_however_it_is_wrapped(error: OSError, words: str) -> None:
    for raised in (error, wrapped(error)):
        assert words in because(raised)
        assert not MACHINE.search(because(raised))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "check the address for a typing"),
        (UnicodeError("label too long"), "check the address for a typing"),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), "DNS gave no answer"),
        (TimeoutError(), "DNS gave no answer"),
    ],
)
def test_a_name_without_an_address_is_told_in_a_sentence(error: Exception, words: str) -> None:
    said = name_unknown("crm.example.com", error)
    assert "crm.example.com" in said
    assert words in said
    assert not MACHINE.search(said)


def caused(error: Exception, cause: OSError) -> Exception:
    error.__cause__ = cause
    return error


def raising(error: Exception) -> Callable[..., httpx2.Response]:
    def answer(request: httpx2.Request) -> httpx2.Response:
        raise error

    return answer


def badly_compressed(request: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(200, headers={"content-encoding": "gzip"}, stream=httpx2.ByteStream(b"no gzip"))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (raising(wrapped(ConnectionRefusedError(111, "Connection refused"))), "the connection was refused"),
        (
            raising(caused(httpx2.ReadError("[Errno 104]"), ConnectionResetError(104, "Connection reset"))),
            "The connection broke before the answer was complete: the other side hung up.",
        ),
        (
            raising(httpx2.RemoteProtocolError("illegal status line: bytearray(b'\\x16\\x03')")),
            "what came is not HTTP.",
        ),
        (
            raising(httpx2.RemoteProtocolError("Server disconnected without sending a response.")),
            "Server disconnected without sending a response.",
        ),
        (raising(httpx2.LocalProtocolError("Illegal header value b'x '")), "A header cannot carry"),
        (badly_compressed, "compressed in a way that cannot be unpacked"),
    ],
)
def test_no_exchange_fails_in_the_words_of_a_machine(
    answer: Callable[[httpx2.Request], httpx2.Response], words: str
) -> None:
    client = Pool(Policy(), transport=httpx2.MockTransport(answer)).client()
    with pytest.raises(NoAnswer) as failure:
        client.request("POST", "https://crm.example.com/leads", content="{}")
    assert words in failure.value.reason
    assert not MACHINE.search(failure.value.reason)


@pytest.mark.parametrize("url", ["https://crm.example.com:port/", "https://[crm]/", "https://a\x00b/"])
def test_an_address_that_is_none_is_refused_in_words(url: str) -> None:
    problem = address_problem(url, Policy())
    assert problem.startswith("This is not a URL: check it for blanks and typing errors.")
