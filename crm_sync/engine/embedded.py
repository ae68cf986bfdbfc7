"""The engine for one machine: one `deliver` process, woken by a datagram, with a sweep as the guarantee."""

import atexit
import errno
import fcntl
import logging
import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from django.conf import settings
from django.db import connection

from crm_sync import clock, delivery, routing
from crm_sync.engine import crew
from crm_sync.engine.crew import Crew, survive

logger = logging.getLogger(__name__)

# Seconds from one round to the next, at the least, for each lead that it routed; but for a single one.
PAUSE_EACH, LONGEST_PAUSE = 0.005, 0.25


def socket_path() -> Path:
    """Where the bell hangs."""
    return settings.DATA_DIR / "bell.sock"


def ring() -> None:
    """Wake the worker. Never blocks and never raises: a lost ring costs one sweep."""
    # No worker, or one that has been rung already and not come round yet: the sweep finds the lead.
    with suppress(OSError):
        _clapper().sendto(b"1", str(socket_path()))


@cache
def _clapper() -> socket.socket:
    """A socket to ring with, kept: making one costs more than a ring."""
    clapper = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    clapper.setblocking(False)
    atexit.register(clapper.close)
    return clapper


@contextmanager
def only_worker() -> Iterator[bool]:
    """Hold the lock of the one worker of this data directory; yields False if another process holds it.

    The kernel lets go of it when its holder dies, however it dies.
    """
    with (settings.DATA_DIR / "deliver.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in {errno.EAGAIN, errno.EACCES}:
                raise
            yield False
            return
        yield True


def take_back() -> int:
    """Take back the leases of a worker that is gone; the caller holds `only_worker()`. Returns how many.

    All of them at once where the lock speaks for every worker there can be, which is where the database is a file of
    this machine; of a database that others may work on, only those that have run out.
    """
    return delivery.expire_leases(at=clock.now(), everything=connection.vendor == "sqlite")


class Engine:
    """Routes and drains until told to stop; a ring or the time of a sweep starts a round."""

    def __init__(self) -> None:
        self.crew = Crew(f"{socket.gethostname()}:{os.getpid()}")
        self._stopping = False
        self._next_sweep = 0.0
        self._routed = 0
        self._clerk = ThreadPoolExecutor(1, thread_name_prefix="jobs")
        self._long_work: Future[None] | None = None

    def stop(self) -> None:
        """Claim nothing more; `run` returns when what is on its way is settled. Callable from a signal handler."""
        # No lock: the main thread, which a signal interrupts anywhere, may hold it.
        self._stopping = True
        ring()

    def run(self) -> None:
        """Work until stopped. The caller holds `only_worker()`."""
        with _listening() as bell:
            if taken_back := take_back():
                logger.info("Took back %s sendings that the last worker left in mid-push", taken_back)
            self.crew.report()
            self.crew.start()
            try:
                while not self._stopping:
                    started = time.monotonic()
                    survive(self._round)
                    # Leads that come fast are routed together: a round for each would compete with intake.
                    pause = min(self._routed * PAUSE_EACH, LONGEST_PAUSE) if self._routed > 1 else 0.0
                    time.sleep(max(0.0, started + pause - time.monotonic()))
                    _wait_for(bell)
            finally:
                self.crew.stop()
                self.crew.join()
                self._clerk.submit(lambda: connection.close())  # that thread's own
                self._clerk.shutdown()

    def _round(self) -> None:
        self._routed = self.crew.route()
        if self._routed == routing.BATCH:
            ring()  # there is more; but first, those destinations are woken
        if time.monotonic() >= self._next_sweep:
            self._next_sweep = time.monotonic() + crew.SWEEP
            self.crew.sweep()
        if not self._routed:
            self._begin_long_work()  # whoever rang may have started some

    def _begin_long_work(self) -> None:
        """Replays and the like have a thread of their own: they may take hours."""
        if self._long_work is None or self._long_work.done():
            self._long_work = self._clerk.submit(survive, self.crew.work_jobs)


@contextmanager
def _listening() -> Iterator[socket.socket]:
    path = socket_path()
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
        before = os.umask(0o177)  # created 0600: only this user rings
        try:
            bell.bind(str(path))
        except OSError as error:
            # A path over about 100 characters, or a file system without sockets: the sweep does it all.
            logger.warning("No bell at %s (%s): leads are sent up to %s s later", path, error, crew.SWEEP)
        finally:
            os.umask(before)
        try:
            yield bell
        finally:
            path.unlink(missing_ok=True)


def _wait_for(bell: socket.socket) -> None:
    """Wait for a ring or for the time of a sweep; many rings count as one."""
    bell.settimeout(crew.SWEEP)
    with suppress(TimeoutError, BlockingIOError):
        bell.recv(1)
        bell.setblocking(False)
        while True:
            bell.recv(1)
