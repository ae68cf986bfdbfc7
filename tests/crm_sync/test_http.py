"""The guarded client against resolvers, servers and answers that mean harm."""

import base64
import gzip
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from crm_sync.addresses import Policy, address_problem, is_public
from crm_sync.http import (
    Broken,
    GuardedClient,
    NoAnswer,
    Pool,
    Refused,
    Response,
    TooSlow,
    Unreachable,
    Unreadable,
    Untrusted,
)
from crm_sync.recorder import Recorder, mask_literals

from .conftest import OPEN, FarSide

PUBLIC = "93.184.215.14"
CREATED = b'HTTP/1.1 201 Created\r\nContent-Length: 10\r\n\r\n{"id":"1"}'

MakePool = Callable[..., Pool]
MakeFarSide = Callable[..., FarSide]


def names(*addresses: str) -> Callable[..., Any]:
    """A resolver that knows the same addresses for every name."""

    def resolve(host: str, port: int, **_: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    return resolve


def created(connection: socket.socket) -> None:
    connection.sendall(CREATED)


# --- Where requests may go ------------------------------------------------------------------------


@pytest.mark.parametrize("address", [PUBLIC, "8.8.8.8", "2606:4700::6810:84e5", "64:ff9b::808:808"])
def test_addresses_of_the_public_internet_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.255.255.254", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1"),
        *("169.254.169.254", "168.63.129.16", "192.0.0.192", "100.100.100.200", "224.0.0.1", "240.0.0.1"),
        *("255.255.255.255", "198.18.0.1", "192.0.2.1"),
        *("::1", "::", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1"),
        *("2001:db8::1", "2001::1", "64:ff9b:1::1"),
        # IPv4 in disguise: mapped, compatible, NAT64, 6to4.
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"),
        *("64:ff9b::a9fe:a9fe", "2002:c0a8:101::1"),
    ],
)
def test_addresses_that_lead_inside_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1", "2130706433", "0x7f000001", "017700000001", "0x7f.0.0.1", "0"),
        *("[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::127.0.0.1]", "127。0。0。1"),
        *("169.254.169.254", "[fe80::1]", "localhost"),
    ],
)
def test_no_spelling_of_an_inner_address_is_dialled(host: str, pool: MakePool) -> None:
    with pytest.raises(Refused, match="ALLOW_PRIVATE_DESTINATIONS") as refusal:
        pool(Policy()).client().request("POST", f"https://{host}/leads", content="{}")
    assert not refusal.value.sent


@pytest.mark.parametrize("host", ["localhost", "localhost.", "LOCALHOST", "leads.localhost"])
def test_a_name_that_is_private_by_definition_is_refused_without_asking_anybody(
    host: str, pool: MakePool
) -> None:
    def resolve(*_: object, **__: object) -> list[Any]:
        raise AssertionError("asked")

    with pytest.raises(Refused, match="ALLOW_PRIVATE_DESTINATIONS"):
        pool(Policy(), resolver=resolve).client().request("GET", f"https://{host}/")


@pytest.mark.parametrize("host", ["crm.example", "bücher.example"])
def test_a_name_is_judged_by_where_it_leads(host: str, pool: MakePool) -> None:
    asked: list[str] = []

    def resolve(host: str, port: int, **_: object) -> list[Any]:
        asked.append(host)
        return names("127.0.0.1")(host, port)  # type: ignore[no-any-return]

    with pytest.raises(Refused, match=r"leads to 127\.0\.0\.1"):
        pool(Policy(), resolver=resolve).client().request("GET", f"https://{host}/")
    assert asked == [host.lower().replace("bücher", "xn--bcher-kva")]


def test_one_inner_address_among_public_ones_is_enough_to_refuse(pool: MakePool) -> None:
    with pytest.raises(Refused, match=r"10\.0\.0\.7"):
        pool(Policy(), resolver=names(PUBLIC, "10.0.0.7")).client().request("GET", "https://crm.example/")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://crm.example/", "needs ALLOW_PRIVATE_DESTINATIONS"),
        ("ftp://crm.example/", "must start with https://"),
        ("file:///etc/passwd", "must start with https://"),
        ("crm.example/leads", "must start with https://"),
        ("https:///leads", "names no host"),
        ("https://user:pass@crm.example/", "user name or password"),
        ("https://crm.example\\@169.254.169.254/", "user name or password"),
        ("https://crm.example:0/", "no port 0"),
        ("https://crm.example:99999/", "no port 99999"),
        ("https://①②⑦.⓪.⓪.①/", "not a URL"),
        ("https://crm.example:port/", "not a URL"),
        ("https://[::1/", "not a URL"),
    ],
)
def test_a_url_that_cannot_be_meant_is_refused_before_dns(url: str, words: str, pool: MakePool) -> None:
    def never(*_: object, **__: object) -> None:
        pytest.fail("DNS was asked")

    with pytest.raises(Refused, match=words):
        pool(Policy(), resolver=never).client().request("GET", url)
    assert words in address_problem(url, Policy())


def test_a_rebinding_resolver_cannot_switch_the_address_after_the_check(
    pool: MakePool, far_side: MakeFarSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name leads outside when it is checked and to loopback ever after; loopback is never dialled."""
    inner = far_side(created)
    answers = iter([names(PUBLIC)])
    dialled: list[tuple[str, int]] = []

    def resolve(host: str, port: int, **_: object) -> list[Any]:
        return next(answers, names("127.0.0.1"))(host, port)  # type: ignore[no-any-return]

    def dial(address: tuple[str, int], *_: object, **__: object) -> socket.socket:
        dialled.append(address)
        raise ConnectionRefusedError("nothing is dialled in this test")

    monkeypatch.setattr(socket, "create_connection", dial)
    client = pool(Policy(), resolver=resolve).client()
    with pytest.raises(Unreachable):
        client.request("POST", f"https://rebind.example:{inner.port}/", content="{}")
    assert dialled == [(PUBLIC, inner.port)]
    with pytest.raises(Refused):
        client.request("POST", f"https://rebind.example:{inner.port}/", content="{}")
    assert dialled == [(PUBLIC, inner.port)]
    assert inner.requests == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "localhost."])
def test_the_own_host_of_the_app_is_always_allowed(host: str, pool: MakePool, far_side: MakeFarSide) -> None:
    server = far_side(created)
    own = Policy(own_hosts=frozenset({f"127.0.0.1:{server.port}", f"localhost:{server.port}"}))
    url = f"http://{host}:{server.port}/"
    assert pool(own, resolver=names("127.0.0.1")).client().request("GET", url).status == 201
    with pytest.raises(Refused):
        pool(own).client().request("GET", "http://127.0.0.1:9/")


def test_an_own_host_without_a_port_means_the_usual_ports() -> None:
    policy = Policy(own_hosts=frozenset({"leads.example", "[::1]:8000"}))
    assert policy.trusts("leads.example", 443)
    assert policy.trusts("LEADS.example.", 80)
    assert policy.trusts("::1", 8000)
    assert not policy.trusts("leads.example", 8000)
    assert not policy.trusts("other.example", 443)


def test_every_address_of_a_name_is_tried_in_turn(pool: MakePool, far_side: MakeFarSide) -> None:
    server = far_side(created)
    client = pool(OPEN, resolver=names("127.0.0.2", "127.0.0.1")).client()
    assert client.request("GET", f"http://crm.test:{server.port}/").status == 201


# --- TLS ------------------------------------------------------------------------------------------


def test_the_certificate_is_checked_for_the_name_though_an_address_is_dialled(
    certificate: Path, pool: MakePool, far_side: MakeFarSide
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    asked_for: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: asked_for.append(name)
    server = far_side(created, context)
    client = pool(resolver=names("127.0.0.1")).client()

    assert client.request("POST", f"https://crm.test:{server.port}/leads", content="{}").status == 201
    assert asked_for == ["crm.test"]
    assert f"Host: crm.test:{server.port}".encode() in server.requests[0]

    with pytest.raises(Untrusted, match=r"other\.test") as refusal:
        client.request("POST", f"https://other.test:{server.port}/leads", content="{}")
    assert not refusal.value.sent
    assert len(server.requests) == 1


def test_https_at_a_server_without_tls_sent_nothing(pool: MakePool) -> None:
    def answer_in_plain(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1024)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as server:
        server.submit(answer_in_plain, listener)
        with pytest.raises(Unreachable) as failure:
            pool().client().request("POST", f"https://127.0.0.1:{listener.getsockname()[1]}/", content="{}")
    assert not failure.value.sent


# --- Nothing was sent, or perhaps something -------------------------------------------------------


def test_a_refused_connection_sent_nothing(pool: MakePool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Unreachable, match="refused") as failure:
        pool().client().request("POST", f"http://127.0.0.1:{port}/", content="{}")
    assert not failure.value.sent


@pytest.mark.parametrize(
    "error", [socket.gaierror(-2, "Name or service not known"), UnicodeError("label too long")]
)
def test_a_name_that_dns_does_not_know_sent_nothing(error: Exception, pool: MakePool) -> None:
    def resolve(*_: object, **__: object) -> None:
        raise error

    with pytest.raises(
        Unreachable, match=r"The name nowhere\.example is not known: check the address"
    ) as failure:
        pool(Policy(), resolver=resolve).client().request("POST", "https://nowhere.example/", content="{}")
    assert not failure.value.sent


def test_a_resolver_that_hangs_is_not_waited_for(pool: MakePool) -> None:
    over = threading.Event()
    policy = Policy(connect_timeout=0.05)
    client = pool(policy, resolver=lambda *_, **__: over.wait(3)).client()
    with pytest.raises(Unreachable, match="DNS gave no answer") as failure:
        client.request("POST", "https://crm.example/", content="{}")
    over.set()
    assert not failure.value.sent


def silent(connection: socket.socket) -> None:
    connection.recv(1)


def drop(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)


def reset_mid_answer(connection: socket.socket) -> None:
    connection.sendall(CREATED[:-5])
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()


def gibberish(connection: socket.socket) -> None:
    connection.sendall(b"\x16\x03\x01 no HTTP at all \xff\r\n\r\n")


@pytest.mark.parametrize(
    ("answer", "error"),
    [(silent, TooSlow), (drop, Broken), (reset_mid_answer, Broken), (gibberish, Broken)],
)
def test_after_the_request_is_out_the_record_may_exist(
    answer: Callable[[socket.socket], None], error: type[NoAnswer], pool: MakePool, far_side: MakeFarSide
) -> None:
    server = far_side(answer)
    policy = Policy(allow_private=True, read_timeout=0.1)
    with pytest.raises(error) as failure:
        pool(policy).client().request("POST", server.url, json={"a": 1})
    assert failure.value.sent
    assert server.requests[0].endswith(b'{"a":1}')


def test_a_header_that_http_cannot_carry_is_refused_without_quoting_it(
    pool: MakePool, far_side: MakeFarSide
) -> None:
    server = far_side(created)
    for value in ("s3cret\r\nX-Evil: 1", "s3crét", "s3cret\n"):
        with pytest.raises(Refused, match="line break") as refusal:
            pool().client().request("GET", server.url, headers={"Authorization": value})
        assert "s3cr" not in refusal.value.reason
    assert server.requests == []


# --- Bounds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"])
def test_a_server_that_sends_one_byte_at_a_time_is_cut_at_the_deadline(
    head: bytes, pool: MakePool, far_side: MakeFarSide
) -> None:
    """Every single wait stays far below the read time-out, in the headers as in the body."""

    def drip(connection: socket.socket) -> None:
        connection.sendall(head)
        for byte in b"HTTP/1.1 200 OK\r\nX-Padding: " + b"x" * 500:
            connection.sendall(bytes([byte]))
            time.sleep(0.01)

    server = far_side(drip)
    started = time.monotonic()
    with pytest.raises(TooSlow) as failure:
        pool(Policy(allow_private=True, deadline=0.2)).client().request("POST", server.url, content="{}")
    assert failure.value.sent
    assert 0.15 < time.monotonic() - started < 1.5


def test_a_silence_ends_at_the_deadline_before_the_read_time_out(
    pool: MakePool, far_side: MakeFarSide
) -> None:
    server = far_side(silent)
    started = time.monotonic()
    with pytest.raises(TooSlow):
        pool(Policy(allow_private=True, deadline=0.1)).client().request("POST", server.url, content="{}")
    assert time.monotonic() - started < 1.5


def test_the_deadline_of_a_push_spans_its_exchanges(pool: MakePool) -> None:
    clock = [1000.0]

    def answer(request: httpx2.Request) -> httpx2.Response:
        clock[0] += 8
        return httpx2.Response(200, json={})

    client = pool(Policy(), transport=httpx2.MockTransport(answer), clock=lambda: clock[0]).client(
        deadline=15
    )
    client.request("GET", "https://crm.example/token")
    with pytest.raises(TooSlow):
        client.request("GET", "https://crm.example/lookup")
    with pytest.raises(TooSlow, match="No time was left") as failure:
        client.request("POST", "https://crm.example/leads", content="{}")
    assert not failure.value.sent


def test_an_answer_is_cut_at_the_size_cap(pool: MakePool, far_side: MakeFarSide) -> None:
    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"[" * 65536)

    server = far_side(endless)
    answer = pool(Policy(allow_private=True, max_response_bytes=1000)).client().request("GET", server.url)
    assert (answer.status, len(answer.content), answer.cut) == (200, 1000, True)
    with pytest.raises(Unreadable, match="larger than 1000 bytes"):
        answer.json()


def test_a_compressed_answer_is_measured_unpacked(pool: MakePool, far_side: MakeFarSide) -> None:
    bomb = gzip.compress(b"0" * 50_000_000)

    def explode(connection: socket.socket) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n"
        connection.sendall(head.encode() + bomb)

    answer = pool().client().request("GET", far_side(explode).url)
    assert answer.cut
    assert len(answer.content) == OPEN.max_response_bytes


def test_an_answer_compressed_twice_is_measured_unpacked(pool: MakePool, far_side: MakeFarSide) -> None:
    bomb = gzip.compress(gzip.compress(b"0" * 50_000_000))
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip\r\nContent-Length: {len(bomb)}\r\n\r\n"
    server = far_side(lambda connection: connection.sendall(head.encode() + bomb))
    answer = pool().client().request("GET", server.url)
    assert (answer.cut, len(answer.content)) == (True, OPEN.max_response_bytes)


def test_an_answer_in_crumbs_is_cut_before_it_costs_minutes(pool: MakePool, far_side: MakeFarSide) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    server = far_side(lambda connection: connection.sendall(head + b"1\r\na\r\n" * 20_000 + b"0\r\n\r\n"))
    answer = pool().client().request("GET", server.url)
    assert (answer.status, answer.cut) == (200, True)
    assert len(answer.content) < 10_000


@pytest.mark.parametrize("flood", [b"HTTP/1.1 100 Continue\r\n\r\n", b"X-Padding: x\r\n"])
def test_a_flood_before_the_body_ends_at_a_limit_not_at_the_deadline(
    flood: bytes, pool: MakePool, far_side: MakeFarSide
) -> None:
    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n" if flood.startswith(b"X") else b"")
        while True:
            connection.sendall(flood * 1000)

    policy = Policy(allow_private=True, deadline=600, read_timeout=600, max_response_bytes=1000)
    with pytest.raises(Broken, match=r"does not end|not HTTP") as failure:
        pool(policy).client().request("POST", far_side(endless).url, json={})
    assert failure.value.sent


def test_no_redirect_is_followed(pool: MakePool, far_side: MakeFarSide) -> None:
    target = far_side(created)
    location = f"HTTP/1.1 307 Moved\r\nLocation: {target.url}\r\nContent-Length: 0\r\n\r\n".encode()
    server = far_side(lambda connection: connection.sendall(location))
    assert pool().client().request("POST", server.url, content="{}").status == 307
    assert target.requests == []


def test_proxies_of_the_environment_are_ignored(
    pool: MakePool, far_side: MakeFarSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert pool().client().request("GET", far_side(created).url).status == 201


# --- One pool, many pushes ------------------------------------------------------------------------


def test_a_pool_keeps_connections_but_nothing_else_between_pushes(
    pool: MakePool, far_side: MakeFarSide
) -> None:
    cookie = CREATED.replace(b"Content-Length", b"Set-Cookie: session=1\r\nContent-Length")
    server = far_side(lambda connection: connection.sendall(cookie))
    shared = pool()
    for _ in range(3):
        shared.client().request("GET", server.url)
    assert server.connections == 1
    assert not any(b"ookie" in request for request in server.requests)


@pytest.mark.parametrize(
    "answer",
    [
        CREATED + CREATED.replace(b'"1"', b'"2"'),
        CREATED + b"\r\n",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{}",
    ],
    ids=["a_second_answer", "a_line_break", "a_body_where_none_may_be", "a_length_too_short"],
)
def test_what_a_far_side_says_too_much_is_never_taken_for_the_answer_to_the_next_lead(
    answer: bytes, pool: MakePool, far_side: MakeFarSide
) -> None:
    server = far_side(lambda connection: connection.sendall(answer))
    shared = pool()
    heard = [shared.client().request("POST", server.url, json={}) for _ in range(3)]
    assert len({(each.status, each.content) for each in heard}) == 1
    assert (server.connections, len(server.requests)) == (3, 3)


def test_twenty_threads_share_a_pool_and_each_keeps_its_own_record_and_deadline(
    pool: MakePool, far_side: MakeFarSide
) -> None:
    everyone_here = threading.Barrier(20)

    def together(connection: socket.socket) -> None:
        everyone_here.wait(3)
        created(connection)

    server = far_side(together)
    shared = pool()

    def push(number: int) -> list[str]:
        recorder = Recorder()
        client = shared.client(recorder=recorder, deadline=3 + number)
        client.request("POST", f"{server.url}/{number}", json={"number": number})
        return [exchange.request_body for exchange in recorder.exchanges]

    with ThreadPoolExecutor(20) as threads:
        bodies = list(threads.map(push, range(20)))
    assert bodies == [[f'{{"number":{number}}}'] for number in range(20)]


# --- The record -----------------------------------------------------------------------------------


def recorded(
    request: dict[str, Any], response: httpx2.Response | Exception, *, secrets: tuple[str, ...] = ()
) -> Any:
    """The record of one exchange with a far side that answers so."""

    def answer(_: httpx2.Request) -> httpx2.Response:
        if isinstance(response, Exception):
            raise response
        return response

    recorder = Recorder(secrets)
    client = GuardedClient(Policy(), recorder=recorder, transport=httpx2.MockTransport(answer))
    try:
        client.request("POST", request.pop("url", "https://crm.example/leads"), **request)
    except NoAnswer:
        assert isinstance(response, Exception)
    (exchange,) = recorder.exchanges
    return exchange


def test_an_exchange_is_kept_as_it_was() -> None:
    body = '{ "id":  "1" }'
    exchange = recorded(
        {"content": '{"a" : 1}', "headers": {"X-Trace": "7"}},
        httpx2.Response(201, text=body, headers={"X-Id": "1"}),
    )
    assert (exchange.method, exchange.url) == ("POST", "https://crm.example/leads")
    assert (exchange.status, exchange.error) == (201, "")
    assert (exchange.request_body, exchange.response_body) == ('{"a" : 1}', body)
    assert exchange.request_headers["x-trace"] == "7"
    assert exchange.response_headers["x-id"] == "1"
    assert exchange.duration_ms >= 0
    assert json.loads(json.dumps(exchange.as_dict()))["status"] == 201


def test_an_exchange_without_an_answer_says_why() -> None:
    exchange = recorded({"content": "{}"}, httpx2.ReadError("connection reset"))
    assert exchange.status is None
    assert exchange.error == "The connection broke before the answer was complete: connection reset."
    assert exchange.request_body == "{}"


SECRET_NAMES = ("Authorization", "Cookie", "X-Hub-Signature", "X-Auth-Token", "api-key", "X-Client-Secret")


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_headers_parameters_and_keys_with_secret_names_are_masked(name: str) -> None:
    exchange = recorded(
        {
            "url": f"https://crm.example/leads?{name}=hidden&page=2",
            "headers": {name: "hidden"},
            "json": {"outer": [{name: {"deep": "hidden"}}], "email": "kim@example.com"},
        },
        httpx2.Response(
            200, json={name: "hidden", "id": "1"}, headers={name: "hidden", "Set-Cookie": "hidden"}
        ),
    )
    assert "hidden" not in str(exchange)
    assert exchange.url == f"https://crm.example/leads?{name}=****&page=2"
    assert json.loads(exchange.request_body) == {"outer": [{name: "****"}], "email": "kim@example.com"}
    assert json.loads(exchange.response_body)["id"] == "1"


def test_secrets_are_masked_in_forms_too() -> None:
    exchange = recorded(
        {"data": {"client_id": "app", "client_secret": "hidden", "assertion": "hidden"}}, httpx2.Response(200)
    )
    assert exchange.request_body == "client_id=app&client_secret=****&assertion=****"


def test_secrets_are_masked_in_json_that_was_cut() -> None:
    big = json.dumps({"id": "1", "access_token": 'hidden " too', "rows": ["x" * 2_000_000]})
    exchange = recorded({}, httpx2.Response(200, text=big))
    assert exchange.response_body.startswith('{"id": "1", "access_token": "****", "rows": ["xxx')


def test_a_known_secret_is_masked_wherever_and_however_it_is_spelt() -> None:
    secret = 'pä ss/w+rd"1'
    encoded = base64.b64encode(secret.encode()).decode()
    exchange = recorded(
        {
            "url": f"https://crm.example/{quote(secret, safe='')}",
            "headers": {"X-Plain": encoded},
            "json": {"note": f"it is {secret}!"},
        },
        httpx2.Response(400, text=f"wrong: {secret}, {encoded}, {json.dumps(secret)}"),
        secrets=(secret, ""),
    )
    assert exchange.url == "https://crm.example/****"
    assert exchange.request_headers["x-plain"] == "****"
    assert json.loads(exchange.request_body) == {"note": "it is ****!"}
    assert exchange.response_body == 'wrong: ****, ****, "****"'


def test_user_and_password_in_a_url_are_masked_though_it_is_refused(pool: MakePool) -> None:
    recorder = Recorder()
    with pytest.raises(Refused):
        pool(Policy()).client(recorder=recorder).request("GET", "https://kim:hidden@crm.example/")
    (exchange,) = recorder.exchanges
    assert exchange.url == "https://****@crm.example/"
    assert exchange.error


def test_bodies_are_cut_at_16_kib_after_masking() -> None:
    secret = "0123456789"
    exchange = recorded({}, httpx2.Response(200, text="x" * 16_380 + secret + "y"), secrets=(secret,))
    assert exchange.response_body == "x" * 16_380 + "****"


@pytest.mark.parametrize("text", ["a" * 10**6, '"' + '\\"' * 500_000, '"key":' * 150_000, "://" * 300_000])
def test_a_hostile_body_is_masked_in_linear_time(text: str) -> None:
    started = time.monotonic()
    recorded({}, httpx2.Response(200, text=text))
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("depth", [400, 700, 900, 5000])
@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_an_answer_nested_however_deep_is_recorded_and_masked(depth: int, opening: str) -> None:
    closing = {"[": "]"}.get(opening, "}")
    text = opening * depth + '{"token": "hidden"}' + closing * depth
    exchange = recorded({}, httpx2.Response(200, text=text))
    assert exchange.status == 200
    assert exchange.response_body.startswith(opening[:2])
    assert "hidden" not in exchange.response_body


def test_of_a_flood_of_headers_the_record_keeps_as_much_as_of_a_body() -> None:
    flood = {f"X-{number}": "x" * 100 for number in range(1000)}
    exchange = recorded({}, httpx2.Response(200, headers=flood))
    size = sum(len(name) + len(value) for name, value in exchange.response_headers.items())
    assert 10_000 < size <= Recorder.BODY_LIMIT


def test_masking_nothing_changes_nothing() -> None:
    assert mask_literals("a b", ["", " ", "c"]) == "a b"


def test_an_answer_that_is_no_json_object_says_so() -> None:
    with pytest.raises(Unreadable, match="not JSON") as error:
        Response(200, {}, b"\xff\x00").json()
    assert error.value.sent
    with pytest.raises(Unreadable, match="not JSON"):
        Response(200, {}, b"[" * 100_000).json()
    with pytest.raises(Unreadable, match="not a JSON object"):
        Response(200, {}, b"[1]").json_object()
    assert Response(200, {}, b'{"a": 1}').json_object() == {"a": 1}
