"""The guarded client: whatever a connector sends to another machine leaves through here.

Three promises. The address is checked after DNS, and exactly the checked address is dialled. An exchange is
over at its deadline, however slowly the far side drips. What was said goes to a recorder.
"""

import ipaddress
import json as jsonlib
import math
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import httpcore2
import httpx2

from crm_sync.recorder import Recorder

USER_AGENT = "leadsite"

Clock = Callable[[], float]
Resolver = Callable[..., Any]


# --- Why no answer came ---------------------------------------------------------------------------


class NoAnswer(Exception):  # noqa: N818 - named for what happened
    """No usable answer came.

    `reason` is a sentence for staff. `sent`: bytes of the request may have reached the far side, so that a
    record may exist there.
    """

    def __init__(self, reason: str, *, sent: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sent = sent


class Refused(NoAnswer):
    """The guard, or the request itself, forbids sending it; a person must change the address or a setting."""


class Untrusted(NoAnswer):
    """The far side's certificate is not valid for its name. Nothing was sent."""


class Unreachable(NoAnswer):
    """No connection came about: DNS, TCP or TLS. Nothing was sent."""


class TooSlow(NoAnswer):
    """The answer was not complete in time."""


class Broken(NoAnswer):
    """The connection ended, or turned to gibberish, before the answer was complete."""


class Unreadable(NoAnswer):
    """The answer came, but is not what was to be expected, or was cut at the size cap."""


# --- Where requests may go ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator allows. Times in seconds.

    `own_hosts`: `host[:port]` of PUBLIC_URL, always allowed; without a port, 80 and 443. `read_timeout`
    bounds a silence, `deadline` one whole exchange, connecting included. Of an answer's decoded body no more
    than `max_response_bytes` are read.
    """

    allow_private: bool = False
    own_hosts: frozenset[str] = frozenset()
    connect_timeout: float = 5
    read_timeout: float = 30
    deadline: float = 60
    max_response_bytes: int = 1024 * 1024

    def trusts(self, host: str, port: int) -> bool:
        """Whether the operator vouches for this host: everything is allowed, or it is PUBLIC_URL's own."""
        name = host.rstrip(".").lower()
        name = f"[{name}]" if ":" in name else name
        names = {f"{name}:{port}", name} if port in _PORTS.values() else {f"{name}:{port}"}
        return self.allow_private or not names.isdisjoint(self.own_hosts)


_PORTS = {"http": 80, "https": 443}


def address_problem(url: str | httpx2.URL, policy: Policy) -> str:
    """Why this URL is refused before DNS is asked, as a sentence; empty where nothing is wrong with it."""
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        return f"This is not a URL: {error}."
    if parsed.scheme not in _PORTS:
        return "The address must start with https://."
    if not parsed.host:
        return "The address names no host."
    if parsed.userinfo:
        return "The address carries a user name or password: remove what stands before the @."
    port = _PORTS[parsed.scheme] if parsed.port is None else parsed.port
    if not 0 < port < 65536:
        return f"There is no port {port}."
    if policy.trusts(parsed.raw_host.decode("ascii"), port):
        return ""
    if _is_private_name(parsed.host):
        return f"{parsed.host} {_NOT_ALLOWED}"
    if parsed.scheme == "http":
        return "The address must start with https://; http:// needs ALLOW_PRIVATE_DESTINATIONS=true."
    return ""


_NOT_ALLOWED = (
    "is not a public address: private, loopback, link-local and metadata addresses are refused unless "
    "ALLOW_PRIVATE_DESTINATIONS=true."
)


def _is_private_name(host: str) -> bool:
    """Whether a host is private by its spelling alone; what other names stand for is told when they are dialled."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return not is_public(name)
    except ValueError:
        return False


_COMPATIBLE = ipaddress.IPv6Network("::/96")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Not public, though `is_global` may say so: Azure's platform address (metadata, DHCP, health), protocol
# assignments (Oracle's metadata service is 192.0.0.192), NAT64 for local use, IPv6 site-local.
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in ("168.63.129.16/32", "192.0.0.0/24", "64:ff9b:1::/48", "fec0::/10")
)


def is_public(address: str) -> bool:
    """Whether this literal address is on the public internet, judged by an IPv4 address it may embed."""
    ip = _effective(ipaddress.ip_address(address))
    if ip.is_multicast or ip.is_reserved:
        return False
    return ip.is_global and not any(ip in network for network in _NOT_PUBLIC)


def _effective(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in _COMPATIBLE or ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


# --- The guarded transport ------------------------------------------------------------------------

# When the exchange of this thread must be over, on the client's clock. A connection serves one exchange at
# a time, in the thread that asked for it, so the sockets below find the right deadline here.
_expires: ContextVar[float] = ContextVar("expires", default=math.inf)


def _within(timeout: float | None, clock: Clock, late: type[httpcore2.TimeoutException]) -> float:
    """Seconds that the next wait may take: the time-out, or less where the deadline is nearer."""
    left = _expires.get() - clock()
    if left <= 0:
        raise late("the deadline has passed")
    return left if timeout is None else min(timeout, left)


class _DeadlineStream(httpcore2.NetworkStream):
    """A socket whose every wait ends at the deadline: a read time-out alone never stops one byte a second."""

    def __init__(self, stream: httpcore2.NetworkStream, clock: Clock) -> None:
        self._stream = stream
        self._clock = clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _within(timeout, self._clock, httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # In pieces, because the time-out of the stream below starts afresh with every partial send.
        for start in range(0, len(buffer), 16384):
            piece = buffer[start : start + 16384]
            self._stream.write(piece, _within(timeout, self._clock, httpcore2.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        wait = _within(timeout, self._clock, httpcore2.ConnectTimeout)
        try:
            stream = self._stream.start_tls(ssl_context, server_hostname, wait)
        except httpcore2.ConnectError as error:
            if isinstance(error.__cause__, ssl.SSLCertVerificationError):
                said = error.__cause__.verify_message
                raise Untrusted(f"The certificate of {server_hostname} was not accepted: {said}") from error
            raise
        return _DeadlineStream(stream, self._clock)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _GuardedBackend(httpcore2.SyncBackend):
    """Dials literal addresses only, all checked first, so that a rebinding resolver can switch nothing."""

    def __init__(self, policy: Policy, resolver: Resolver, clock: Clock) -> None:
        self._policy = policy
        self._resolver = resolver
        self._clock = clock

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        addresses = self._resolve(host, port, timeout)
        if not self._policy.trusts(host, port):
            _refuse_private(host, addresses)
        failure: Exception = httpcore2.ConnectError(f"{host} has no address")
        for address in addresses:
            wait = _within(timeout, self._clock, httpcore2.ConnectTimeout)
            try:
                stream = super().connect_tcp(address, port, wait, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
            else:
                return _DeadlineStream(stream, self._clock)
        raise failure

    def _resolve(self, host: str, port: int, timeout: float | None) -> list[str]:
        """The literal addresses of the host, in the resolver's order.

        The system's resolver knows no time-out, so it is waited for from outside; a straggler ends by itself.
        """
        wait = _within(timeout, self._clock, httpcore2.ConnectTimeout)
        found: queue.SimpleQueue[Any] = queue.SimpleQueue()

        def ask() -> None:
            try:
                found.put(self._resolver(host, port, type=socket.SOCK_STREAM))
            except Exception as error:  # also a name that the IDNA codec inside getaddrinfo refuses
                found.put(error)

        threading.Thread(target=ask, name="resolve", daemon=True).start()
        try:
            answer = found.get(timeout=wait)
        except queue.Empty:
            raise httpcore2.ConnectTimeout(f"DNS gave no answer for {host}") from None
        if isinstance(answer, Exception):
            raise httpcore2.ConnectError(f"{host} was not found in DNS ({answer})") from answer
        return list(dict.fromkeys(sockaddr[0] for *_, sockaddr in answer))


def _refuse_private(host: str, addresses: Iterable[str]) -> None:
    for address in addresses:
        if not is_public(address):
            leads_to = "" if address == host else f" leads to {address}, which"
            raise Refused(f"{host}{leads_to} {_NOT_ALLOWED}")


class GuardedTransport(httpx2.HTTPTransport):
    """HTTP over checked addresses, on connections that all threads share and that are kept alive, 50 at most.

    Ignores proxies of the environment, but honours `SSL_CERT_FILE` for a private certificate authority.
    """

    def __init__(
        self, policy: Policy, *, resolver: Resolver = socket.getaddrinfo, clock: Clock = time.monotonic
    ) -> None:
        context = httpx2.create_ssl_context()
        super().__init__(verify=context, trust_env=False)
        # httpx2 has no argument for how to dial; replacing the pool it has just made is the only hook.
        self._pool = httpcore2.ConnectionPool(
            ssl_context=context,
            max_connections=None,
            max_keepalive_connections=50,
            keepalive_expiry=5,
            network_backend=_GuardedBackend(policy, resolver, clock),
        )
        self._policy = policy

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if problem := address_problem(request.url, self._policy):
            raise Refused(problem)
        return super().handle_request(request)


# --- The client -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, read to its end or to the size cap (`cut`). `headers` are read without regard to case."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    cut: bool = False

    @property
    def text(self) -> str:
        """The body as text; bytes that do not decode become U+FFFD."""
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body's JSON. Raises Unreadable where it is not JSON or was cut."""
        try:
            return jsonlib.loads(self.content)
        except (ValueError, RecursionError):
            size = len(self.content)
            said = f"is larger than {size} bytes" if self.cut else "is not JSON"
            raise Unreadable(f"The answer (HTTP {self.status}) {said}.", sent=True) from None

    def json_object(self) -> dict[str, Any]:
        """The body's JSON object. Raises Unreadable where it is anything else."""
        body = self.json()
        if not isinstance(body, dict):
            raise Unreadable(f"The answer (HTTP {self.status}) is not a JSON object.", sent=True)
        return body


class GuardedClient:
    """Makes the exchanges of one push: bounded, recorded, never following a redirect.

    Cheap; a `Pool` makes one for each push over its shared connections. `deadline`: seconds from now for all
    that this client does; the policy's bounds each exchange. With an explicit `transport` nothing is resolved
    or dialled here, so the address guard does not apply; size cap, deadlines and record do.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        recorder: Recorder | None = None,
        transport: httpx2.BaseTransport | None = None,
        clock: Clock = time.monotonic,
        resolver: Resolver = socket.getaddrinfo,
        deadline: float = math.inf,
    ) -> None:
        self._policy = policy
        self._recorder = recorder or Recorder()
        self._transport = transport or GuardedTransport(policy, resolver=resolver, clock=clock)
        self._clock = clock
        self._end = clock() + deadline

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | str | None = None,
        json: Any = None,
        data: Mapping[str, Any] | None = None,
    ) -> Response:
        """Make one exchange and return its answer, whatever the status.

        `content`: the exact body; `json`: a value to encode; `data`: fields of a form. Raises NoAnswer.
        """
        started = self._clock()
        request: httpx2.Request | None = None
        answer, error = None, ""
        try:
            request = _build(method, url, headers or {}, content=content, json=json, data=data)
            answer = self._exchange(request, min(self._end, started + self._policy.deadline))
        except NoAnswer as failure:
            error = failure.reason
            raise
        finally:
            self._recorder.record(
                method,
                url,
                request.headers if request else headers or {},
                request.content if request else b"",
                status=answer.status if answer else None,
                answer_headers=answer.headers if answer else {},
                answer=answer.content if answer else b"",
                error=error,
                duration=self._clock() - started,
            )
        return answer

    def _exchange(self, request: httpx2.Request, expires: float) -> Response:
        if self._clock() >= expires:
            raise TooSlow("No time was left for this request.")
        read, connect = self._policy.read_timeout, self._policy.connect_timeout
        request.extensions["timeout"] = {"connect": connect, "pool": connect, "read": read, "write": read}
        token = _expires.set(expires)
        try:
            with _own_errors():
                answer = self._transport.handle_request(request)
                try:
                    content, cut = self._read(answer, expires)
                finally:
                    answer.close()
        finally:
            _expires.reset(token)
        return Response(answer.status_code, answer.headers, content, cut)

    def _read(self, answer: httpx2.Response, expires: float) -> tuple[bytes, bool]:
        body = bytearray()
        for chunk in answer.iter_bytes():
            body += chunk
            if len(body) > self._policy.max_response_bytes:
                return bytes(body[: self._policy.max_response_bytes]), True
            if self._clock() >= expires:
                raise TooSlow("The answer was not complete within the time allowed.", sent=True)
        return bytes(body), False


def _build(method: str, url: str, headers: Mapping[str, str], **body: Any) -> httpx2.Request:
    # A compressed answer could be a thousand times its size on the wire: not asked for.
    defaults = {"user-agent": USER_AGENT, "accept-encoding": "identity"}
    try:
        request = httpx2.Request(method, url, headers=defaults, **body)
        request.headers.update(headers)
    except httpx2.InvalidURL as error:
        raise Refused(f"This is not a URL: {error}.") from error
    except UnicodeError:
        raise Refused(_UNSPEAKABLE) from None
    return request


# Without the library's own words, which quote the header and so the secret in it.
_UNSPEAKABLE = "A header cannot carry a line break or a letter outside ASCII: check the settings for one."


@contextmanager
def _own_errors() -> Iterator[None]:
    """Turn the library's errors into ours, which say whether anything may have been sent."""
    try:
        yield
    except (httpx2.LocalProtocolError, httpx2.UnsupportedProtocol):
        raise Refused(_UNSPEAKABLE) from None
    except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
        raise Unreachable(_because("No connection could be made", error)) from error
    except httpx2.TimeoutException as error:
        raise TooSlow("The answer was not complete within the time allowed.", sent=True) from error
    except httpx2.RequestError as error:
        raise Broken(
            _because("The connection broke before the answer was complete", error), sent=True
        ) from error


def _because(sentence: str, error: Exception) -> str:
    return f"{sentence}: {error}".rstrip(": .") + "."


class Pool:
    """The connections to one destination, one pool per process, used from many threads."""

    def __init__(
        self,
        policy: Policy,
        *,
        transport: httpx2.BaseTransport | None = None,
        clock: Clock = time.monotonic,
        resolver: Resolver = socket.getaddrinfo,
    ) -> None:
        self.policy = policy
        self._transport = transport or GuardedTransport(policy, resolver=resolver, clock=clock)
        self._clock = clock

    def client(self, *, recorder: Recorder | None = None, deadline: float = math.inf) -> GuardedClient:
        """The client of one push, which must be over `deadline` seconds from now."""
        return GuardedClient(
            self.policy, recorder=recorder, transport=self._transport, clock=self._clock, deadline=deadline
        )

    def close(self) -> None:
        """Close the idle connections; exchanges under way end with theirs."""
        self._transport.close()
