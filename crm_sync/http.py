"""The guarded client: whatever a connector sends to another machine leaves through here.

Three promises. The address is checked after DNS, and exactly the checked address is dialled. An exchange is
over at its deadline, however slowly the far side drips. What was said goes to a recorder.
"""

import json as jsonlib
import math
import os
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import httpcore2
import httpx2

from crm_sync.addresses import NOT_A_URL, Policy, address_problem, is_public, not_allowed
from crm_sync.network_errors import because, name_unknown
from crm_sync.recorder import Recorder
from leads.texts import gettext as _
from leads.texts import gettext_noop

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


# --- The guarded transport ------------------------------------------------------------------------

_KEEP_ALIVE = 5.0  # seconds
_HEADS = 256 * 1024  # bytes of an answer that are no body
_MOST_PIECES = 8192  # of one body: a megabyte in chunks of one byte would be minutes of work

# When the exchange of this thread must be over, on the client's clock. A connection serves one exchange at
# a time, in the thread that asked for it, so the sockets below find the right deadline here.
_expires: ContextVar[float] = ContextVar("expires", default=math.inf)


def _within(timeout: float | None, clock: Clock, late: type[httpcore2.TimeoutException]) -> float:
    """Seconds that the next wait may take: the time-out, or less where the deadline is nearer."""
    left = _expires.get() - clock()
    if left <= 0:
        raise late(_("the deadline has passed"))
    return left if timeout is None else min(timeout, left)


class _BoundedStream(httpcore2.NetworkStream):
    """A socket whose every wait ends at the deadline: a read time-out alone never stops one byte a second.

    Of one answer it reads `most` bytes: the size cap looks at bodies only, and a flood of interim answers
    would keep this process busy to the deadline.
    """

    def __init__(self, stream: httpcore2.NetworkStream, clock: Clock, most: int) -> None:
        self._stream = stream
        self._clock = clock
        self._most = most
        self._taken = 0

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = self._stream.read(max_bytes, _within(timeout, self._clock, httpcore2.ReadTimeout))
        self._taken += len(data)
        if self._taken > self._most:
            raise httpcore2.ReadError(_("the answer does not end"))
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._taken = 0
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
                raise Untrusted(_untrusted(server_hostname or "", error.__cause__)) from error
            raise
        return _BoundedStream(stream, self._clock, self._most)

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
        failure: Exception = httpcore2.ConnectError(_("{host} has no address").format(host=host))
        for address in self.addresses(host, port, timeout):
            wait = _within(timeout, self._clock, httpcore2.ConnectTimeout)
            try:
                stream = super().connect_tcp(address, port, wait, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
            else:
                return _BoundedStream(stream, self._clock, self._policy.max_response_bytes + _HEADS)
        raise failure

    def addresses(self, host: str, port: int, timeout: float | None) -> list[str]:
        """The literal addresses of the host, in the resolver's order. Raises Refused where one may not be dialled."""
        addresses = self._resolve(host, port, timeout)
        if not self._policy.trusts(host, port):
            _refuse_private(host, addresses)
        return addresses

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
            raise httpcore2.ConnectTimeout(_("DNS gave no answer for {host}").format(host=host)) from None
        if isinstance(answer, Exception):
            raise Unreachable(name_unknown(host, answer)) from answer
        return list(dict.fromkeys(sockaddr[0] for *_, sockaddr in answer))


def _refuse_private(host: str, addresses: Iterable[str]) -> None:
    for address in addresses:
        if not is_public(address):
            raise Refused(not_allowed(host, address))


class _Connection(httpcore2.HTTPConnection):
    """A connection that is given up if the far side has said more than its answer.

    What is left over would be taken for the answer to the next lead, which has not even arrived there.
    """

    def has_expired(self) -> bool:
        http11 = self._connection
        if http11 is not None and not http11.is_idle():
            return False  # asked of every connection at every push: most of them are busy
        return super().has_expired() or _has_surplus(http11)


def _has_surplus(connection: httpcore2.ConnectionInterface | None) -> bool:
    # No public way leads to what was read and not used.
    return isinstance(connection, httpcore2.HTTP11Connection) and bool(connection._h11_state.trailing_data[0])


class _GuardedPool(httpcore2.ConnectionPool):
    def __init__(self, context: ssl.SSLContext, backend: httpcore2.NetworkBackend) -> None:
        super().__init__(max_connections=None, max_keepalive_connections=50)
        self._make = partial(
            _Connection, ssl_context=context, keepalive_expiry=_KEEP_ALIVE, network_backend=backend
        )

    def create_connection(self, origin: httpcore2.Origin) -> httpcore2.ConnectionInterface:
        return self._make(origin)


class GuardedTransport(httpx2.HTTPTransport):
    """HTTP over checked addresses, on connections that all threads share and that are kept alive, 50 at most.

    Ignores proxies of the environment, but honours `SSL_CERT_FILE` for a private certificate authority.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        resolver: Resolver = socket.getaddrinfo,
        clock: Clock = time.monotonic,
        context: ssl.SSLContext | None = None,
    ) -> None:
        context = context or httpx2.create_ssl_context()
        super().__init__(verify=context, trust_env=False)
        # httpx2 has no argument for how to dial; replacing the pool it has just made is the only hook.
        self._pool = _GuardedPool(context, _GuardedBackend(policy, resolver, clock))
        self._policy = policy

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if problem := address_problem(request.url, self._policy):
            raise Refused(problem)
        return super().handle_request(request)


class PerThread(httpx2.BaseTransport):
    """A transport for each thread: in a pool that fifty threads share, every push asks after every connection.

    That was a quarter of what a push cost (measured). Those of threads that have ended are closed.
    """

    def __init__(self, make: Callable[[], httpx2.BaseTransport]) -> None:
        self._make = make
        self._own = threading.local()
        self._all: list[tuple[threading.Thread, httpx2.BaseTransport]] = []
        self._listing = threading.Lock()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        transport: httpx2.BaseTransport | None = getattr(self._own, "transport", None)
        if transport is None:
            transport = self._own.transport = self._make()
            with self._listing:
                ended = [(thread, other) for thread, other in self._all if not thread.is_alive()]
                self._all = [pair for pair in self._all if pair not in ended]
                self._all.append((threading.current_thread(), transport))
            for _, other in ended:
                other.close()
        return transport.handle_request(request)

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._listing:
            transports, self._all = [transport for _, transport in self._all], []
            self._own = threading.local()
        for transport in transports:
            transport.close()


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
            said = (
                _("The answer (HTTP {status}) is larger than {size} bytes.")
                if self.cut
                else _("The answer (HTTP {status}) is not JSON.")
            )
            raise Unreadable(said.format(status=self.status, size=len(self.content)), sent=True) from None

    def json_object(self) -> dict[str, Any]:
        """The body's JSON object. Raises Unreadable where it is anything else."""
        body = self.json()
        if not isinstance(body, dict):
            said = _("The answer (HTTP {status}) is not a JSON object.")
            raise Unreadable(said.format(status=self.status), sent=True)
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
        self._clock, self._resolver = clock, resolver
        self._end = clock() + deadline

    def dial(self, host: str, port: int) -> socket.socket:
        """A connection for whoever speaks something else than HTTP: to a checked address, within the deadline.

        Its every wait ends at the read time-out; the caller sees to the deadline of the whole. Raises NoAnswer.
        """
        token = _expires.set(self._clock() + self.seconds_left())
        try:
            with _own_errors():
                return self._dial(host, port)
        finally:
            _expires.reset(token)

    def _dial(self, host: str, port: int) -> socket.socket:
        backend = _GuardedBackend(self._policy, self._resolver, self._clock)
        failure: Exception = httpx2.ConnectError(_("{host} has no address").format(host=host))
        for address in backend.addresses(host, port, self._policy.connect_timeout):
            wait = _within(self._policy.connect_timeout, self._clock, httpcore2.ConnectTimeout)
            try:
                connection = socket.create_connection((address, port), wait)
            except OSError as error:
                failure = httpx2.ConnectError(because(error))
            else:
                connection.settimeout(self._policy.read_timeout)
                return connection
        raise failure

    def secure(self, connection: socket.socket, host: str) -> ssl.SSLSocket:
        """A dialled connection, encrypted from here on, its certificate checked for this host.

        The handshake ends at the connection's time-out. Raises NoAnswer.
        """
        try:
            return _trust(*map(os.environ.get, ("SSL_CERT_FILE", "SSL_CERT_DIR"))).wrap_socket(
                connection, server_hostname=host
            )
        except ssl.SSLCertVerificationError as error:
            raise Untrusted(_untrusted(host, error)) from error
        except OSError as error:
            said = _("No encryption could be agreed on with {host}").format(host=host)
            raise Unreachable(_because(said, error)) from error

    def countdown(self) -> Callable[[], float]:
        """Counts the seconds that are left of what one exchange may take that begins now."""
        end = self._clock() + self.seconds_left()
        return lambda: end - self._clock()

    def note(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | str | None = None,
        json: Any = None,
        status: int | None = None,
        answer: str = "",
        error: str = "",
        duration: float = 0.0,
    ) -> None:
        """Put an exchange on record that is not made here: one that is only shown, or one that is not HTTP."""
        body = content.encode("utf-8", "replace") if isinstance(content, str) else content or b""
        if url.startswith(("http://", "https://")):
            request = _build(method, url, headers or {}, content=content, json=json)
            headers, body = request.headers, request.content
        self._recorder.record(
            method,
            url,
            headers or {},
            body,
            status=status,
            answer_headers={},
            answer=answer.encode("utf-8", "replace"),
            error=error,
            duration=duration,
        )

    def seconds_left(self) -> float:
        """Seconds until all that this client does must be over; at most what one exchange may take."""
        return min(self._end - self._clock(), self._policy.deadline)

    def mask(self, secret: str) -> None:
        """Keep this out of the record too: a token that was asked for on the way."""
        self._recorder.mask(secret)

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
            raise TooSlow(_("No time was left for this request."))
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
        for pieces, chunk in enumerate(answer.iter_bytes()):
            body += chunk
            if len(body) > self._policy.max_response_bytes or pieces > _MOST_PIECES:
                return bytes(body[: self._policy.max_response_bytes]), True
            if self._clock() >= expires:
                raise TooSlow(_("The answer was not complete within the time allowed."), sent=True)
        return bytes(body), False


@cache
def _trust(file: str | None, directory: str | None) -> ssl.SSLContext:
    """Whose certificates are believed; what the environment names beside the usual authorities is a part of it."""
    return httpx2.create_ssl_context()  # once: it reads every certificate authority there is


def _build(method: str, url: str, headers: Mapping[str, str], **body: Any) -> httpx2.Request:
    # A compressed answer costs more than it saves: not asked for. One that comes is measured unpacked.
    defaults = {"user-agent": USER_AGENT, "accept-encoding": "identity"}
    try:
        request = httpx2.Request(method, url, headers=defaults, **body)
        request.headers.update(headers)
    except httpx2.InvalidURL as error:
        raise Refused(_(NOT_A_URL)) from error
    except UnicodeError:
        raise Refused(_(_UNSPEAKABLE)) from None
    return request


# Without the library's own words, which quote the header and so the secret in it.
_UNSPEAKABLE = gettext_noop(
    "A header cannot carry a line break, a blank at either end or a letter outside ASCII: "
    "check the settings for one."
)


@contextmanager
def _own_errors() -> Iterator[None]:
    """Turn the library's errors into ours, which say whether anything may have been sent."""
    try:
        yield
    except (httpx2.LocalProtocolError, httpx2.UnsupportedProtocol):
        raise Refused(_(_UNSPEAKABLE)) from None
    except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
        raise Unreachable(_because(_("No connection could be made"), error)) from error
    except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:  # of a connection that is not HTTP
        raise Unreachable(_because(_("No connection could be made"), error)) from error
    except httpx2.DecodingError as error:
        raise Broken(_("The answer is compressed in a way that cannot be unpacked."), sent=True) from error
    except httpx2.RemoteProtocolError as error:
        # The library's words quote bytes, but where it says that the far side hung up.
        said = str(error) if "disconnected" in str(error) else _("what came is not HTTP")
        raise Broken(f"{_(_BROKE)}: {said.rstrip('.')}.", sent=True) from error
    except httpx2.TimeoutException as error:
        raise TooSlow(_("The answer was not complete within the time allowed."), sent=True) from error
    except httpx2.RequestError as error:
        raise Broken(_because(_(_BROKE), error), sent=True) from error


_BROKE = gettext_noop("The connection broke before the answer was complete")


def _untrusted(host: str, error: ssl.SSLCertVerificationError) -> str:
    return _("The certificate of {host} was not accepted: {error}.").format(
        host=host, error=error.verify_message.rstrip(".")
    )


def _because(sentence: str, error: Exception) -> str:
    return f"{sentence}: {because(error)}".rstrip(": ") + "."


def _guarded_per_thread(policy: Policy, resolver: Resolver, clock: Clock) -> PerThread:
    context = httpx2.create_ssl_context()  # once: it reads every certificate authority there is
    return PerThread(lambda: GuardedTransport(policy, resolver=resolver, clock=clock, context=context))


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
        self.policy, self._clock, self._resolver = policy, clock, resolver
        self._transport = transport or _guarded_per_thread(policy, resolver, clock)

    def client(self, *, recorder: Recorder | None = None, deadline: float = math.inf) -> GuardedClient:
        """The client of one push, which must be over `deadline` seconds from now."""
        return GuardedClient(
            self.policy,
            recorder=recorder,
            transport=self._transport,
            clock=self._clock,
            resolver=self._resolver,
            deadline=deadline,
        )

    def close(self) -> None:
        """Close the idle connections; exchanges under way end with theirs."""
        self._transport.close()
