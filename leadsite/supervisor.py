"""`manage.py serve`: starts the web server and the worker, restarts either, and stops both cleanly."""

import errno
import logging
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from http.client import HTTPConnection, HTTPException

from leadsite import lifeline
from leadsite.envfile import BASE_DIR

logger = logging.getLogger(__name__)

TICK = 0.1  # seconds
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds before a child that died is started again
STEADY = 60.0  # seconds after which a child counts as healthy
GRACE = 75.0  # seconds to answer requests in progress and settle pushes in progress


class Child:
    """One supervised process."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name, self.command = name, list(command)
        self.process: subprocess.Popen[bytes] | None = None
        self.started = self.start_at = 0.0
        self.pause = FIRST_PAUSE

    def start(self) -> None:
        # In our process group, so that it ends with us; but Ctrl-C, which reaches the whole group, is ours alone, and
        # each child is told by SIGTERM. It inherits this mask: no moment of its start is without it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self.process = subprocess.Popen(self.command, cwd=BASE_DIR, env=lifeline.environment())  # noqa: S603
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self.started = time.monotonic()

    def keep_alive(self) -> None:
        """Start it if it does not run, with a growing pause while it keeps dying."""
        now = time.monotonic()
        if self.process is not None and self.process.poll() is not None:
            if now - self.started > STEADY:
                self.pause = FIRST_PAUSE
            logger.error("%s ended with %s; again in %.1f s", self.name, self.process.returncode, self.pause)
            self.process, self.start_at = None, now + self.pause
            self.pause = min(self.pause * 2, LONGEST_PAUSE)
        if self.process is None and now >= self.start_at:
            self.start()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def end(self, deadline: float) -> None:
        """Wait for it to end by itself until the deadline, then kill it."""
        if self.process is None:
            return
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            logger.error("%s did not stop in %.0f s and is killed", self.name, GRACE)  # noqa: TRY400
            self.process.kill()
            self.process.wait()


def port_is_taken(host: str, port: int) -> bool:
    """Whether something listens there already."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return True
    return False


def run(host: str, port: int, on_ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT; calls `on_ready` once the web server that listens there is ready."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    children = [
        Child("The web server", [sys.executable, "-m", "leadsite.web"]),
        Child("The worker", [sys.executable, "-m", "leadsite.worker"]),
    ]
    announced = False
    while not stopping.is_set():
        for child in children:
            child.keep_alive()
        if not announced and is_ready(host, port):
            announced = True
            on_ready()
        stopping.wait(TICK)
    for child in children:
        child.stop()
    deadline = time.monotonic() + GRACE
    for child in children:
        child.end(deadline)


def is_ready(host: str, port: int) -> bool:
    """Whether the web server that listens there can store leads. Asked without any proxy of the environment."""
    connection = HTTPConnection({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port, timeout=2)  # noqa: S104
    try:
        # By a name that is always allowed, whatever PUBLIC_URL says.
        connection.request("GET", "/readyz", headers={"Host": "localhost"})
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
