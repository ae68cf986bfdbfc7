"""What the supervisor finds out before it says that the site is ready."""

import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from leadsite import supervisor


class Site(BaseHTTPRequestHandler):
    """Ready, but only for a host that is allowed whatever PUBLIC_URL says."""

    def do_GET(self) -> None:
        allowed = self.headers["Host"] == "localhost" and self.path == "/readyz"
        self.send_response(200 if allowed else 400)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def port() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Site) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_the_site_is_asked_directly_whatever_its_public_name_and_proxy(
    host: str, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert supervisor.is_ready(host, port)


def test_a_site_that_is_not_there_is_not_ready(port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        free = silent.getsockname()[1]
    assert not supervisor.is_ready("127.0.0.1", free)


def test_a_port_is_taken_while_somebody_listens_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert supervisor.port_is_taken("127.0.0.1", port)
    assert not supervisor.port_is_taken("127.0.0.1", port)


def test_ctrl_c_never_reaches_a_child_not_even_while_it_starts(tmp_path: Path) -> None:
    masked = tmp_path / "masked"
    program = (
        "import pathlib, signal, sys; "
        "pathlib.Path(sys.argv[1]).write_text(str(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])))"
    )
    child = supervisor.Child("A child", [sys.executable, "-c", program, str(masked)])
    child.start()
    child.end(time.monotonic() + 20)
    assert masked.read_text() == "True"
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])  # and ours reaches us still
