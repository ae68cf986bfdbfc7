"""Whether PUBLIC_URL leads here, as far as this server can tell: whoever sets it up, or runs it, came to know.

It asks as Microsoft would, from the name to the answer, and stops at the first thing that is wrong. The proof from
outside is Microsoft's test lead: a name may mean another address inside a network, and some networks let no server
reach its own public address.
"""

import queue
import secrets
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from http.client import HTTPException, HTTPResponse, HTTPSConnection
from json import loads
from typing import Any
from urllib.parse import urlsplit

import httpx2
from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from crm_sync.addresses import is_public
from leads.wording import clip
from leadsite import health

SECONDS = 5.0  # for each: the name, the connection, all that is said on it
SOON = 21  # days before its end that a certificate should have been renewed
MOST = 4096  # bytes of an answer that are looked at

Dial = Callable[[str, int], socket.socket]
Resolve = Callable[[str, int], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Reach:
    """What was found, in one sentence, and what to do about it.

    `fix` with `ok`: it works, and something should be done all the same. `uncertain`: no connection came about, which
    may be so from inside alone. `proxy`: one of health.PROXIES, once this installation itself has answered.
    """

    ok: bool
    sentence: str
    fix: str = ""
    tls_days: int | None = None
    proxy: str = ""
    uncertain: bool = False


class _Wrong(Exception):  # noqa: N818 - named for what happened
    """Ends the check with what is wrong."""

    def __init__(self, sentence: str, fix: str, **more: Any) -> None:
        super().__init__(sentence)
        self.reach = Reach(False, sentence, fix, **more)


def dial(address: str, port: int) -> socket.socket:
    """A connection to a literal address. Raises OSError."""
    return socket.create_connection((address, port), SECONDS)


def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a name. Raises OSError; the system's resolver knows no time-out, so it is waited for outside."""
    found: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found.put([answer[4][0] for answer in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)])
        except Exception as error:  # a name that IDNA refuses is no OSError
            found.put(error)

    threading.Thread(target=ask, name="resolve", daemon=True).start()
    try:
        answer = found.get(timeout=SECONDS)
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(answer, OSError):
        raise answer
    if isinstance(answer, Exception):
        raise OSError(str(answer)) from answer
    return list(dict.fromkeys(answer))


def check(
    url: str,
    now: datetime,
    dial: Dial = dial,
    *,
    resolve: Resolve = resolve,
    context: ssl.SSLContext | None = None,
) -> Reach:
    """Ask the address as Microsoft would. Never raises, and takes 15 seconds at most where a name has one address."""
    parsed = urlsplit(url)
    host, port = parsed.hostname or "", parsed.port or 443
    try:
        if parsed.scheme != "https":
            raise _not_https(url)
        addresses = _addresses(host, port, resolve)
        with (
            closing(_connect(host, port, addresses, dial)) as plain,
            _over_in_time(plain),
            closing(_encrypt(plain, host, context or httpx2.create_ssl_context())) as tls,
        ):
            days = _days_left(tls, now)
            proxy = _answer(url, host, port, tls, days)
    except _Wrong as wrong:
        return wrong.reach
    return _well(url, host, addresses, days, proxy)


def _not_https(url: str) -> _Wrong:
    return _Wrong(
        _("Microsoft cannot reach %(url)s: leads only come to a public https address.") % {"url": clip(url)},
        _(
            "Put a TLS proxy in front of this server (docs/operating.md, In front of it), write its address into "
            ".env, PUBLIC_URL=https://leads.example.com for example, and start again."
        ),
    )


def _addresses(host: str, port: int, resolve: Resolve) -> Sequence[str]:
    try:
        addresses = resolve(host, port)
    except OSError as error:
        late = isinstance(error, TimeoutError) or error.errno == socket.EAI_AGAIN
        raise _Wrong(
            (_("DNS gave no answer for %(host)s.") if late else _("DNS does not know %(host)s."))
            % {"host": clip(host)},
            _(
                "Add an A or AAAA record for it that names the public address of your TLS proxy; or correct "
                "PUBLIC_URL in .env and start again."
            ),
        ) from error
    if host in addresses and not is_public(host):
        raise _Wrong(
            _("%(host)s is a private address: Microsoft cannot reach it.") % {"host": host},
            _("Set PUBLIC_URL in .env to a name that public DNS knows, and start again."),
        )
    return addresses


def _connect(host: str, port: int, addresses: Sequence[str], dial: Dial) -> socket.socket:
    failure: OSError = OSError("no address")
    for address in addresses:
        try:
            return dial(address, port)
        except OSError as error:
            failure = error
    if isinstance(failure, TimeoutError):
        what = _("From this server, nothing answers at %(host)s (%(address)s), port %(port)d.")
    else:
        what = _("From this server, no connection to %(host)s (%(address)s), port %(port)d, came about.")
    raise _Wrong(
        what % {"host": clip(host), "address": ", ".join(addresses[:2]) or "-", "port": port},
        _(
            "Is the TLS proxy running, and does the firewall let port %(port)d through? Some networks let no server "
            "reach its own public address: then only Microsoft's test lead can tell."
        )
        % {"port": port},
        uncertain=True,
    ) from failure


@contextmanager
def _over_in_time(connection: socket.socket) -> Iterator[None]:
    """A time-out bounds a silence; who sends a byte now and then is cut off here."""
    with closing(connection.dup()) as same:  # TLS takes the original over

        def hang_up() -> None:
            with suppress(OSError):  # it is closed already
                same.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(SECONDS, hang_up)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()


def _encrypt(plain: socket.socket, host: str, context: ssl.SSLContext) -> ssl.SSLSocket:
    plain.settimeout(SECONDS)
    name = clip(host)
    try:
        return context.wrap_socket(plain, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        raise _Wrong(*_distrust(error, name)) from error
    except OSError as error:
        raise _Wrong(
            _("%(host)s takes the connection and speaks no TLS on it.") % {"host": name},
            _("Let the TLS proxy listen on that port, with a certificate for %(host)s.") % {"host": name},
        ) from error


# OpenSSL's numbers, https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/
NOT_YET, EXPIRED, SELF_SIGNED, OWN_AUTHORITY, NO_ISSUER, LEAF_ALONE = 9, 10, 18, 19, 20, 21
OTHER_NAME, OTHER_ADDRESS = 62, 64


def _distrust(error: ssl.SSLCertVerificationError, host: str) -> tuple[str, str]:
    """Why the certificate was not accepted, and what to do."""
    named = {"host": host}
    said: dict[int, tuple[str, str]] = {
        EXPIRED: (
            _("The certificate of %(host)s has expired: Microsoft does not connect.") % named,
            _("Renew it, and let the TLS proxy load the new one; see to it that this happens by itself."),
        ),
        NOT_YET: (
            _("The certificate of %(host)s is not valid yet.") % named,
            _("Set the clock of this machine; if it is right, wait or get another certificate."),
        ),
        SELF_SIGNED: (
            _("The certificate of %(host)s is self-signed: Microsoft does not trust it.") % named,
            _("Get one from a public authority, such as Let's Encrypt; Caddy does so by itself."),
        ),
        OWN_AUTHORITY: (
            _(
                "The certificate of %(host)s comes from an authority that is not publicly known: Microsoft does not "
                "trust it."
            )
            % named,
            _("Get one from a public authority, such as Let's Encrypt; Caddy does so by itself."),
        ),
        OTHER_NAME: (
            _("The certificate that is shown for %(host)s is for another name.") % named,
            _("Get one for %(host)s, or set PUBLIC_URL in .env to the name that it is for.") % named,
        ),
    }
    said[OTHER_ADDRESS] = said[OTHER_NAME]
    said[NO_ISSUER] = said[LEAF_ALONE] = (
        _("The certificate chain of %(host)s is incomplete: the intermediate certificate is missing.")
        % named,
        _(
            "Let the TLS proxy send the whole chain: the file is mostly called fullchain.pem. If it does already, the "
            "authority is not publicly known."
        ),
    )
    return said.get(
        error.verify_code,
        (
            _("The certificate of %(host)s is not accepted: %(reason)s.")
            % {"host": host, "reason": clip(error.verify_message)},
            _("Get another certificate for the TLS proxy."),
        ),
    )


def _days_left(tls: ssl.SSLSocket, now: datetime) -> int:
    ends: Any = (tls.getpeercert() or {})["notAfter"]
    return int((ssl.cert_time_to_seconds(ends) - now.timestamp()) // 86_400)


def _answer(url: str, host: str, port: int, tls: ssl.SSLSocket, days: int) -> str:
    """Through which proxy this installation was reached. Raises _Wrong where anybody else answers, or nobody."""
    nonce = secrets.token_hex(16)
    asked = HTTPSConnection(host, port)
    asked.sock = tls
    try:
        asked.request(
            "GET", f"/livez?nonce={nonce}", headers={"User-Agent": "leadsite", "Connection": "close"}
        )
        answer = asked.getresponse()
        body = answer.read(MOST)
    except (OSError, HTTPException, ValueError) as error:
        raise _Wrong(
            _("%(url)s takes the connection and gives no whole answer.") % {"url": clip(url)},
            _pass_on(),
            tls_days=days,
        ) from error
    if answer.status != 200:
        raise _Wrong(*_other_status(url, answer), tls_days=days)
    try:
        signature = str(loads(body)["signature"])
    except (ValueError, TypeError, KeyError, RecursionError):
        signature = ""
    for proxy in health.PROXIES:
        if secrets.compare_digest(signature.encode(), health.sign(nonce, proxy).encode()):
            return proxy
    raise _Wrong(
        _("Somebody else answers at %(url)s, not this installation.") % {"url": clip(url)},
        _pass_on(),
        tls_days=days,
    )


def _other_status(url: str, answer: HTTPResponse) -> tuple[str, str]:
    shown = {"url": clip(url), "status": answer.status}
    if 300 <= answer.status < 400:
        shown["where"] = clip(answer.getheader("Location", ""))
        return (
            _("%(url)s redirects to %(where)s: Microsoft's leads do not follow.") % shown,
            _(
                "Let the TLS proxy pass requests on instead of redirecting them, or set PUBLIC_URL to where they end."
            ),
        )
    if answer.status in {401, 403}:
        return (
            _("%(url)s lets nobody in (HTTP %(status)d).") % shown,
            _("Let the TLS proxy pass /in/ and /livez on without a sign-in; the admin has its own."),
        )
    return _("%(url)s answers with HTTP %(status)d instead of passing on to this server.") % shown, _pass_on()


def _pass_on() -> str:
    return _(
        "Let the TLS proxy pass every path on, unchanged, to http://%(host)s:%(port)d, and see that it runs."
    ) % {
        "host": settings.HOST,
        "port": settings.PORT,
    }


def _well(url: str, host: str, addresses: Sequence[str], days: int, proxy: str) -> Reach:
    shown = {"url": clip(url), "days": days, "host": clip(host)}
    found = partial(Reach, True, tls_days=days, proxy=proxy)
    private = next((address for address in addresses if not is_public(address)), "")
    if private:
        return found(
            _(
                "%(url)s leads here, but from this server its name means %(address)s, which is no public address."
            )
            % {**shown, "address": private},
            _(
                "Make sure that public DNS gives %(host)s a public address; Microsoft's test lead is the proof."
            )
            % shown,
        )
    if days < SOON:
        return found(
            ngettext(
                "%(url)s leads here, but its certificate ends in %(days)d day.",
                "%(url)s leads here, but its certificate ends in %(days)d days.",
                days,
            )
            % shown,
            _("Renew it now, and find out why that did not happen by itself."),
        )
    return found(
        ngettext(
            "%(url)s leads here over TLS; its certificate is valid for %(days)d day.",
            "%(url)s leads here over TLS; its certificate is valid for %(days)d days.",
            days,
        )
        % shown
    )
