"""The engine for one machine: one `deliver` process, woken by a datagram, with a sweep as the guarantee."""

import errno
import fcntl
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db import close_old_connections, connection
from django.utils import timezone

from crm_sync import delivery, routing
from crm_sync.models import Worker

logger = logging.getLogger(__name__)

SWEEP = 2.0  # seconds between looks at the database when nobody rings
PAUSE = 0.05  # seconds from one round to the next, at the least, while leads come fast
FORGOTTEN = timedelta(minutes=1)
SLOTS = 50  # pushes at once in this process


def socket_path() -> Path:
    """Where the bell hangs."""
    return settings.DATA_DIR / "bell.sock"


def ring() -> None:
    """Wake the worker. Never blocks and never raises: a lost ring costs one sweep."""
    # No worker, or one that has been rung already and not come round yet: the sweep finds the lead.
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
        bell.setblocking(False)
        bell.sendto(b"1", str(socket_path()))


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
    return delivery.expire_leases(at=delivery.now(), everything=connection.vendor == "sqlite")


class Engine:
    """Routes and drains until told to stop; each destination has threads of its own."""

    def __init__(self) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self._stopping = False
        self._next_sweep, self._routed = 0.0, 0
        self._drainers: dict[int, _Drainer] = {}

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
            self._report()
            try:
                while not self._stopping:
                    started = time.monotonic()
                    _survive(self._round)
                    # Leads that come fast are routed together: a round for each would compete with intake.
                    pause = PAUSE if self._routed > 1 else 0.0
                    time.sleep(max(0.0, started + pause - time.monotonic()))
                    _wait_for(bell)
            finally:
                self._end()
        Worker.objects.filter(name=self.name).delete()

    def _report(self) -> None:
        """Say that this worker is alive, and forget those that have not said so for a minute."""
        now = timezone.now()
        Worker.objects.update_or_create(
            name=self.name, defaults={"seen_at": now}, create_defaults={"started_at": now, "seen_at": now}
        )
        Worker.objects.filter(seen_at__lt=now - FORGOTTEN).delete()

    def _end(self) -> None:
        for drainer in self._drainers.values():
            drainer.stop()
        for drainer in self._drainers.values():
            drainer.join()

    def _round(self) -> None:
        now = delivery.now()
        routed = routing.route_waiting(now)
        self._routed = routed.leads
        if routed.leads == routing.BATCH:
            ring()  # there is more; but first, those destinations are woken
        wake = set(routed.destinations)
        if time.monotonic() >= self._next_sweep:
            self._next_sweep = time.monotonic() + SWEEP
            self._report()
            delivery.expire_leases(at=now)
            wake |= delivery.destinations_due(now)
        for destination_id in wake:
            self._drainer(destination_id).wake()

    def _drainer(self, destination_id: int) -> "_Drainer":
        drainer = self._drainers.get(destination_id)
        if drainer is None or not drainer.is_alive():
            drainer = self._drainers[destination_id] = _Drainer(destination_id, self.name)
            drainer.start()
        return drainer


class _Drainer(threading.Thread):
    """Drains one destination whenever it is woken.

    It has push threads of its own, as many as it may claim leads: no lease runs while its push waits in a queue
    behind those to a CRM that hangs.
    """

    def __init__(self, destination_id: int, worker: str) -> None:
        super().__init__(name=f"drain-{destination_id}")
        self._executor = ThreadPoolExecutor(SLOTS, thread_name_prefix=f"push-{destination_id}")
        self._work = delivery.Drain(destination_id, self._executor, slots=SLOTS, worker=worker)
        self._woken, self._ended = threading.Event(), False

    def wake(self) -> None:
        self._woken.set()
        self._work.wake()

    def stop(self) -> None:
        self._ended = True
        self._work.stop()
        self._woken.set()

    def run(self) -> None:
        try:
            while not self._ended or self._work.under_way:
                # What a database error left under way is come back for.
                self._woken.wait(SWEEP if self._work.under_way else None)
                self._woken.clear()
                _survive(self._work.run)
        finally:
            self._executor.shutdown()
            connection.close()


def _survive(work: Callable[[], object]) -> None:
    """Do it; whatever goes wrong is logged, and the next sweep tries again. A worker must not end over one lead."""
    try:
        work()
    except Exception:
        logger.exception("A round of the worker failed; the next sweep tries again")
        close_old_connections()


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
            logger.warning("No bell at %s (%s): leads are sent up to %s s later", path, error, SWEEP)
        finally:
            os.umask(before)
        try:
            yield bell
        finally:
            path.unlink(missing_ok=True)


def _wait_for(bell: socket.socket) -> None:
    """Wait for a ring or for the time of a sweep; many rings count as one."""
    bell.settimeout(SWEEP)
    with suppress(TimeoutError, BlockingIOError):
        bell.recv(1)
        bell.setblocking(False)
        while True:
            bell.recv(1)


def drain_once() -> int:
    """Route and push what is due, and return how many pushes were settled. For `deliver --drain` and for tests."""
    settled = 0
    with ThreadPoolExecutor(SLOTS, thread_name_prefix="push") as executor:
        while True:
            now = delivery.now()
            routing.route_everything(now)
            delivery.expire_leases(at=now)
            pushed = sum(
                delivery.Drain(destination_id, executor, slots=SLOTS).run()
                for destination_id in delivery.destinations_due(now)
            )
            if not pushed:
                return settled
            settled += pushed
