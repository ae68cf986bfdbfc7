"""Pure: why a connection failed, in words for staff: no number, no name and no repr of an error of the system."""

import errno
import os
import socket
import ssl
from collections.abc import Iterator

from leads.texts import gettext as _
from leads.texts import gettext_noop

_BY_KIND: tuple[tuple[type[OSError], str], ...] = (
    (
        ConnectionRefusedError,
        gettext_noop("the connection was refused: nothing listens there, or a firewall turns it away"),
    ),
    (ConnectionError, gettext_noop("the other side hung up")),
    (ssl.SSLEOFError, gettext_noop("the other side hung up")),
    (TimeoutError, gettext_noop("nothing answered in time")),
    (ssl.SSLError, gettext_noop("what answers there does not speak TLS as we do")),
)
_NO_WAY = gettext_noop("no way leads there from this server")
_FILES = gettext_noop("this server has too many files and connections open: ask whoever hosts it")
_MEMORY = gettext_noop("this server is short of memory: ask whoever hosts it")
_BY_NUMBER = {
    errno.EHOSTUNREACH: _NO_WAY,
    errno.ENETUNREACH: _NO_WAY,
    errno.ENETDOWN: _NO_WAY,
    errno.EHOSTDOWN: _NO_WAY,
    errno.EMFILE: _FILES,
    errno.ENFILE: _FILES,
    errno.ENOBUFS: _MEMORY,
    errno.ENOMEM: _MEMORY,
    errno.EADDRNOTAVAIL: gettext_noop(
        "this server is short of ports, or has no address to connect from: ask whoever hosts it"
    ),
}
_ELSE = gettext_noop("the system of this server says: {words}")
_UNKNOWN = gettext_noop("the system of this server does not say why")


def name_unknown(host: str, error: Exception) -> str:
    """Why DNS gave no address for a name, in a sentence. `error`: what the resolver raised, or IDNA of the name."""
    # https://man7.org/linux/man-pages/man3/getaddrinfo.3.html
    late = isinstance(error, socket.gaierror) and error.errno in {socket.EAI_AGAIN, socket.EAI_FAIL}
    if late or isinstance(error, TimeoutError):
        said = _("DNS gave no answer for {host}: see whether this server can reach its name server.")
    else:
        said = _("The name {host} is not known: check the address for a typing error.")
    return said.format(host=host)


def because(error: BaseException) -> str:
    """Why a connection failed, as the end of a sentence without its full stop; "" where nothing is told.

    A library wraps what the system raised: its cause says what happened, else its own words.
    """
    for cause in _causes(error):
        if isinstance(cause, OSError):
            return _of_the_system(cause)
    return str(error).rstrip(": .")


def _of_the_system(error: OSError) -> str:
    for kind, words in _BY_KIND:
        if isinstance(error, kind):
            return _(words)
    if error.errno in _BY_NUMBER:
        return _(_BY_NUMBER[error.errno])
    if error.errno is not None and error.errno in errno.errorcode:
        return _(_ELSE).format(words=os.strerror(error.errno))
    return _(_UNKNOWN)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
