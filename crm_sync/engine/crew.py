"""What a worker process works with, whatever wakes it: a drainer for each destination, and the sweep."""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial

from django.db import close_old_connections, connection

from crm_sync import claiming, clock, delivery, draining, outages, pushing, retention, routing
from crm_sync.engine.librarian import Librarian
from crm_sync.models import Worker
from crm_sync.pushing import Claim
from leads import jobs, mailing, searchable, silence, spool, tally

logger = logging.getLogger(__name__)

SWEEP = 2.0  # seconds between looks at the database when nobody rings
TIDYING = 3600.0  # seconds between times that what is old is forgotten
FORGOTTEN = timedelta(minutes=1)
SKEW = timedelta(seconds=5)
SLOTS = 50  # pushes at once to one destination from this process


class Crew:
    """The threads of one worker process. `route` and `sweep` are called by one thread, `drain` by any."""

    def __init__(self, name: str, *, slots: int | None = None) -> None:
        self.name, self.slots = name, slots or SLOTS
        self._next_tidying = 0.0
        self._known: claiming.Rows = {}
        self._drainers: dict[int, Drainer] = {}
        self._hiring = threading.Lock()
        self._stopping = False
        self._librarian = Librarian(survive)

    def start(self) -> None:
        """Begin what this worker does unasked, in threads of its own."""
        self._librarian.start()

    def route(self) -> int:
        """Route the oldest leads that wait, and have them sent. Returns how many leads were looked at."""
        reserved: dict[int, int] = {}

        def reserve(destination_id: int) -> int:
            drainer = self._drainer(destination_id)
            reserved[destination_id] = drainer.work.reserve() if drainer else 0
            return reserved[destination_id]

        claims = defaultdict(list)
        try:
            routed = routing.route_waiting(clock.now(), slots=reserve, worker=self.name, known=self._known)
            for lease in routed.claims:
                claims[lease.delivery.destination_id].append(lease)
        finally:
            for destination_id, slots in reserved.items():
                self._drainers[destination_id].give(claims[destination_id], slots)
        for destination_id in routed.destinations:
            self.drain(destination_id)
        if routed.leads:
            self._librarian.wake()
        return routed.leads

    def drain(self, destination_id: int) -> None:
        """Send what is due there, in a thread of its own."""
        if drainer := self._drainer(destination_id):
            drainer.wake()

    def _drainer(self, destination_id: int) -> "Drainer | None":
        with self._hiring:
            if self._stopping:
                return None
            drainer = self._drainers.get(destination_id)
            if drainer is None or not drainer.is_alive():
                drainer = self._drainers[destination_id] = Drainer(destination_id, self.name, self.slots)
                drainer.start()
            return drainer

    def sweep(self) -> None:
        """Find by looking what no message told of. Each part fails by itself."""
        now = clock.now()
        for part in (self.report, spool.take_in, _checkpoint, lambda: outages.watch(now)):
            survive(part)
        delivery.expire_leases(at=now)
        for destination_id in draining.destinations_due(now):
            self.drain(destination_id)

    def report(self) -> None:
        """Say that this worker is alive, and forget those that have not said so for a minute."""
        now = clock.now()
        notice_clock(now)
        Worker.objects.update_or_create(
            name=self.name, defaults={"seen_at": now}, create_defaults={"started_at": now, "seen_at": now}
        )
        Worker.objects.filter(seen_at__lt=now - FORGOTTEN).delete()

    def work_jobs(self) -> None:
        """Do what people started and, every hour, forget what is old and renew what is known.

        Takes long: for a thread of its own.
        """
        while jobs.work(self.name, stopping=lambda: self._stopping, now=clock.now):
            pass
        if time.monotonic() >= self._next_tidying:
            self._next_tidying = time.monotonic() + TIDYING
            _tidy(clock.now())

    def stop(self) -> None:
        """Claim nothing more."""
        with self._hiring:
            self._stopping = True
            for drainer in self._drainers.values():
                drainer.stop()
        self._librarian.stop()

    def join(self) -> None:
        """Wait until all that is on its way is settled, and sign off."""
        for drainer in self._drainers.values():
            drainer.join()
        if self._librarian.is_alive():
            self._librarian.join()
        Worker.objects.filter(name=self.name).delete()


class Drainer(threading.Thread):
    """Drains one destination whenever it is woken.

    It has push threads of its own, as many as it may claim leads: no lease runs while its push waits in a queue
    behind those to a CRM that hangs.
    """

    def __init__(self, destination_id: int, worker: str, slots: int) -> None:
        super().__init__(name=f"drain-{destination_id}")
        self._executor = ThreadPoolExecutor(slots, thread_name_prefix=f"push-{destination_id}")
        self.work = draining.Drain(destination_id, self._executor, slots=slots, worker=worker)
        self._woken, self._ended = threading.Event(), False

    def wake(self) -> None:
        self._woken.set()
        self.work.wake()

    def give(self, leases: Sequence[Claim], slots: int) -> None:
        self.work.give(leases, slots)
        if leases:
            self._woken.set()

    def stop(self) -> None:
        self._ended = True
        self.work.stop()
        self._woken.set()

    def run(self) -> None:
        try:
            while not self._ended or self.work.under_way:
                # What a database error left under way is come back for.
                self._woken.wait(SWEEP if self.work.under_way else None)
                self._woken.clear()
                survive(lambda: self.work.run(look=False))
        finally:
            self._executor.shutdown()
            connection.close()


def notice_clock(now: datetime) -> None:
    """See from what workers last said whether the clock was set back since, and let nothing wait for the difference."""
    ahead = Worker.objects.filter(seen_at__gt=now + SKEW)
    if ahead.exists():
        logger.warning("The clock was set back: what waits is tried again now")
        delivery.clock_was_set_back(now)
        ahead.update(seen_at=now)


def survive(work: Callable[[], object]) -> None:
    """Do it; whatever goes wrong is logged, and the next sweep tries again. A worker must not end over one lead."""
    try:
        work()
    except Exception:
        logger.exception("A round of the worker failed; the next sweep tries again")
        close_old_connections()


def _checkpoint() -> None:
    """Move SQLite's log into its database here, so that no lead waits while whoever stores it does so."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")


def _tidy(now: datetime) -> None:
    """Forget what is old, tell people what ends soon and which offer is silent, ask CRMs for their fields again, and
    leave no lead unsearched.
    """
    chores = (
        outages.remind,
        silence.watch,
        tally.prune,
        jobs.prune,
        retention.forget_old_tries,
        pushing.read_fields_again,
        _miss_no_lead,
    )
    for part in chores:
        survive(partial(part, now))


def _miss_no_lead(now: datetime) -> None:
    searchable.owe_missing()


def work_once(worker: str) -> int:
    """All that a worker does, once: for `deliver --drain`, behind which there may be no other worker.

    People are told of outages before it returns. Returns how many pushes were settled.
    """
    while jobs.work(worker, stopping=lambda: False, now=clock.now):
        pass
    settled = drain_once()
    now = clock.now()
    for part in (outages.watch, _tidy):
        survive(partial(part, now))
        mailing.finish()
    survive(searchable.fill_some)
    return settled


def drain_once() -> int:
    """Route and push what is due, and return how many pushes were settled."""
    settled = 0
    with ThreadPoolExecutor(SLOTS, thread_name_prefix="push") as executor:
        while True:
            now = clock.now()
            spool.take_in()
            routing.route_everything(now)
            delivery.expire_leases(at=now)
            pushed = sum(
                draining.Drain(destination_id, executor, slots=SLOTS).run()
                for destination_id in draining.destinations_due(now)
            )
            if not pushed:
                return settled
            settled += pushed
