"""The application that granian serves: bodies are read on the event loop, and only whole requests take a thread.

Granian's own WSGI interface reads a body in the thread that answers, so that as many stalled senders as there are
threads would hold up every lead. Here a stalled sender costs a socket and what he sent so far. Measured, this is as
fast as the WSGI interface.
"""

import asyncio
import logging
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from queue import SimpleQueue
from threading import Thread
from typing import Any

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest

from leadsite import web
from leadsite.lifeline import end_with_parent

logger = logging.getLogger(__name__)

INTAKE = "/in/"
BODY_SECONDS = 30.0  # that a sender has to send a body; what came by then is stored as cut off
PAGE_BODY_BYTES = 10 * 1024 * 1024  # of a form or an upload in the admin
THREADS = 4  # for leads, and as many for pages, so that no page ever holds up a lead

Headers = list[tuple[str, str]]

_ENVIRON = {
    "SCRIPT_NAME": "",
    "wsgi.version": (1, 0),
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
    "wsgi.input_terminated": True,
}


class Application:
    """Bridges RSGI (https://github.com/emmett-framework/granian/blob/master/docs/spec/RSGI.md) to WSGI."""

    def __init__(self, django: WSGIHandler) -> None:
        self._django = django
        self._intake = Threads(THREADS, "intake")
        self._pages = ThreadPoolExecutor(THREADS, thread_name_prefix="page")

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        environ = _environ(scope)
        if scope.path.startswith(INTAKE):
            await _read_body(environ, protocol, settings.MAX_BODY_BYTES)
            protocol.response_bytes(*await self._intake.run(self._take_lead, environ))
        else:
            await _read_body(environ, protocol, PAGE_BODY_BYTES)
            await self._send(protocol, *await _in_thread(self._pages, self._make_page, environ))

    def _take_lead(self, environ: dict[str, Any]) -> tuple[int, Headers, bytes]:
        """Without Django's signals: on each it would ask a database connection whether it is well, for every lead.
        The view sees to that itself."""
        response: Any = self._django.get_response(WSGIRequest(environ))
        return response.status_code, list(response.items()), response.content

    def _make_page(self, environ: dict[str, Any]) -> tuple[int, Headers, Any]:
        """The answer of Django; its content as bytes, or as the response itself where that streams."""
        started: list[Any] = []
        response: Any = self._django(environ, lambda *arguments: started.extend(arguments))  # type: ignore[arg-type]
        status, headers = int(started[0][:3]), started[1]
        if response.streaming and environ["REQUEST_METHOD"] != "HEAD":
            return status, headers, response
        try:
            return status, headers, b"" if response.streaming else response.content
        finally:
            response.close()

    async def _send(self, protocol: Any, status: int, headers: Headers, content: Any) -> None:
        if isinstance(content, bytes):
            protocol.response_bytes(status, headers, content)
            return
        try:
            transport = protocol.response_stream(status, headers)
            pieces = iter(content)
            while (piece := await _in_thread(self._pages, next, pieces, None)) is not None:
                await transport.send_bytes(piece)
        finally:
            await _in_thread(self._pages, content.close)


class Threads:
    """A few threads that do one thing after the other: a ThreadPoolExecutor without what a lead does not need, such as
    cancelling, at half the cost."""

    def __init__(self, number: int, name: str) -> None:
        self._waiting: SimpleQueue[tuple[asyncio.Future[Any], Callable[[Any], Any], Any]] = SimpleQueue()
        for count in range(number):
            Thread(target=self._work, name=f"{name}-{count}", daemon=True).start()

    async def run(self, work: Callable[[Any], Any], argument: Any) -> Any:
        """What the work returns. Raises what it raises."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.put((future, work, argument))
        return await future

    def _work(self) -> None:
        while True:
            future, work, argument = self._waiting.get()
            try:
                settle, result = future.set_result, work(argument)
            except BaseException as error:  # raised again where it is awaited
                settle, result = future.set_exception, error
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                future.get_loop().call_soon_threadsafe(_settle, future, settle, result)


def _settle(future: "asyncio.Future[Any]", settle: Callable[[Any], None], result: Any) -> None:
    if not future.done():  # who waited may have gone
        settle(result)


async def _in_thread(threads: ThreadPoolExecutor, work: Callable[..., Any], *arguments: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(threads, work, *arguments)


def _environ(scope: Any) -> dict[str, Any]:
    """The request line and the headers in WSGI's terms (PEP 3333)."""
    address, _, port = scope.client.rpartition(":")
    server, _, server_port = scope.server.rpartition(":")
    environ = _ENVIRON | {
        "REQUEST_METHOD": scope.method,
        "PATH_INFO": _latin(scope.path),
        "QUERY_STRING": scope.query_string,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "SERVER_NAME": server,
        "SERVER_PORT": server_port,
        "REMOTE_ADDR": address.strip("[]"),
        "REMOTE_PORT": port,
        "wsgi.url_scheme": scope.scheme,
    }
    if scope.authority:  # HTTP/2 has it instead of a Host header
        environ["HTTP_HOST"] = scope.authority
    for name, value in scope.headers.items():
        key = name.upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
        if key in environ and key != "HTTP_HOST":
            value = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{value}"
        environ[key] = _latin(value)
    return environ


def _latin(text: str) -> str:
    """Text as PEP 3333 wants it: its bytes, each as one character."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("latin-1")


async def _read_body(environ: dict[str, Any], protocol: Any, limit: int) -> None:
    """Put the body into the environment, up to the limit and one byte: enough for the view to tell.

    One that its sender breaks off, or does not finish in time, is handed over as far as it came.
    """
    announced = environ.get("CONTENT_LENGTH", "")
    expected = int(announced) if announced.isdecimal() else None
    if expected is not None and expected > limit:
        environ["wsgi.input"] = BytesIO()  # nobody will look at it
        return
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for piece in protocol:
                body += piece
                if len(body) == expected or len(body) > limit:
                    break
    except Exception:  # whatever the sender or the connection did
        logger.info("A body broke off after %s bytes", len(body), exc_info=True)
    environ["wsgi.input"] = BytesIO(bytes(body[: limit + 1]))


def make_application() -> Application:
    """For granian, in each of its web processes."""
    end_with_parent(web.GRACE)  # granian's workers outlive a killed master, and would keep the port
    from leadsite.wsgi import application

    return Application(application)
