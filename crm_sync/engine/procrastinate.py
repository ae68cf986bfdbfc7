"""The engine on PostgreSQL: any number of `deliver` processes on any number of machines, woken by Procrastinate.

What runs where, and why:

* In each web process a thread, started by the first ring, defers one `route` job for all the rings of a moment. The
  lead is its own outbox: a job is only a wake-up, and its commit does not wait for the disk.
* Each worker has a crew of its own: a drainer for each destination, and a hand, the one thread that routes and
  sweeps. Several workers drain one destination together; the claims lock their rows, so none is taken twice.
* A worker takes one job at a time, and each only wakes its own crew. So a job deferred from within a job goes to a
  worker that has nothing to do, if there is one. That is how others come to help: whoever routed many leads, and the
  sweep, defer a `drain` for each destination that has something due.
* `sweep`, every two seconds on one worker of them all, finds what no ring told of. `tidy`, every minute, puts the jobs
  of workers that are gone back into the queue, and deletes those that have ended.
* Each worker also sweeps by itself, less often. With every job lost, or Procrastinate itself failing, all still
  arrives. What survives a SIGKILL is the lease of each delivery, not a job.
"""

import asyncio
import atexit
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import psycopg
from django.db import close_old_connections, connection
from procrastinate import App, PsycopgConnector, SyncPsycopgConnector
from procrastinate.contrib.django import connector_params
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException, UniqueViolation
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager, NotificationCallback

from crm_sync import clock, draining, routing
from crm_sync.engine.crew import SWEEP, Crew, survive
from crm_sync.models import Worker
from leads import jobs

logger = logging.getLogger(__name__)

T = TypeVar("T")

SWEEPS, TIDYINGS = (
    f"* * * * * */{SWEEP:.0f}",
    "* * * * *",
)  # when, as cron says it; the sixth column is seconds
OWN_SWEEP = 5.0  # seconds between sweeps that a worker makes unasked
MANY = 10  # leads routed at once for which others are called
# Seconds from one wake-up of a web process to its next, at the least, for each ring that it stood for; but for a single
# one. A round of the worker for each lead would compete with intake.
PAUSE_EACH, LONGEST_PAUSE = 0.005, 0.25
CLOSED_WITHIN = 1.0  # seconds that the end of a process waits for its last ring to be answered
AWAY = 1.0  # seconds until Procrastinate is tried again after the database was away
STALLED = 30.0  # seconds without a heartbeat after which Procrastinate's worker counts as gone
ENDED_JOBS_KEPT = 24  # hours, of those that failed; the others are deleted when they are done
POOL: dict[str, Any] = {"min_size": 1, "max_size": 3, "timeout": 5.0}
WORKER: dict[str, Any] = {
    "concurrency": 1,
    "fetch_job_polling_interval": 1.0,  # seconds, for what no notification tells of
    "update_heartbeat_interval": STALLED / 3,
    "stalled_worker_timeout": STALLED,
    "shutdown_graceful_timeout": 1.0,
    "delete_jobs": "successful",
    "install_signal_handlers": False,  # the command has its own
}

# --- The bell ------------------------------------------------------------------------------------------------


class Bell:
    """Wakes a worker from a thread of its own: whoever stored a lead waits for nothing."""

    def __init__(self) -> None:
        self._app = App(
            connector=SyncPsycopgConnector()
        )  # never opened: each job goes over our own connection
        self._connection: psycopg.Connection[Any] | None = None
        self._rung, self._rings = threading.Event(), 0
        self._thread: threading.Thread | None = None
        self._starting, self._closed = threading.Lock(), False

    def ring(self) -> None:
        """Never blocks and never raises: a lost ring costs one sweep."""
        self._rings += 1  # a count lost between threads makes a pause shorter, no more
        self._rung.set()
        if self._thread is None:
            self._start()

    def _start(self) -> None:
        with self._starting, suppress(RuntimeError):  # no thread is to be had while the process ends
            if self._thread is None:
                thread = threading.Thread(target=self._answer_rings, name="bell", daemon=True)
                thread.start()
                self._thread = thread
                atexit.register(self.close)

    def close(self) -> None:
        """Answer the last ring, as that of a command that ends at once, and close the connection."""
        self._closed = True
        self._rung.set()
        if self._thread is not None:
            self._thread.join(CLOSED_WITHIN)

    def _answer_rings(self) -> None:
        while not self._closed or self._rings:
            self._rung.wait()
            if self._rings:
                time.sleep(self.answer())
        if self._connection is not None:
            self._connection.close()

    def answer(self) -> float:
        """Defer one wake-up for all the rings so far. Returns for how many seconds the next ones shall gather."""
        self._rung.clear()
        rings, self._rings = self._rings, 0
        try:
            with suppress(AlreadyEnqueued):  # the job that waits stands for these leads too
                self._defer()
        except (ConnectorException, psycopg.Error) as error:
            logger.warning(
                "No worker could be woken (%s); the next sweep finds the lead", error.__cause__ or error
            )
            return LONGEST_PAUSE
        return min(rings * PAUSE_EACH, LONGEST_PAUSE) if rings > 1 else 0.0

    def _defer(self) -> None:
        used_before = self._connection is not None
        try:
            self._try_to_defer()
        except (ConnectorException, psycopg.Error):
            if not used_before:
                raise
            self._try_to_defer()  # the connection was stale, perhaps

    def _try_to_defer(self) -> None:
        if self._connection is None:
            self._connection = _connect()
        try:
            self._app.configure_task("route", queueing_lock="route", connection=self._connection).defer()
        except (ConnectorException, psycopg.Error):
            broken, self._connection = self._connection, None
            broken.close()
            raise


def _connect() -> psycopg.Connection[Any]:
    """A connection that carries wake-ups alone: a clash leaves no transaction behind, and no commit waits for the disk.

    Not Django's, over which deferring a job takes half as long again.
    """
    own = psycopg.connect(**connector_params(), autocommit=True)
    own.execute("SET synchronous_commit = off")
    return own


_bell = Bell()


def ring() -> None:
    """Wake a worker. Never blocks and never raises: a lost ring costs one sweep."""
    _bell.ring()


def _after_fork() -> None:
    """A child has none of its parent's threads, and must not close the connection that they share."""
    global _bell, _of_parent
    _of_parent, _bell = _bell, Bell()


_of_parent: Bell | None = None
os.register_at_fork(after_in_child=_after_fork)

# --- The worker ----------------------------------------------------------------------------------------------


class Queue(JobManager):
    """Looks again for a job where a notification came while it looked.

    Procrastinate's worker forgets such a notification (3.10) and sleeps until its next poll, with the job waiting.
    That is no rare moment: the next lead often comes while the job of the last one is being put away.
    """

    _notified = 0

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        while True:
            before = self._notified
            job = await super().fetch_job(queues, worker_id)
            if job is not None or self._notified == before:
                return job

    async def listen_for_jobs(
        self, *, on_notification: NotificationCallback, queues: Iterable[str] | None = None
    ) -> None:
        async def noticed(**notification: Any) -> None:
            self._notified += 1
            await on_notification(**notification)

        await super().listen_for_jobs(on_notification=noticed, queues=queues)


class Engine:
    """One worker process: routes and drains until told to stop, beside any number of others."""

    def __init__(self) -> None:
        self.crew = Crew(f"{socket.gethostname()}:{os.getpid()}")
        self._app = self._tasks()
        self._stopping = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop_asked: asyncio.Event | None = None
        self._hand = ThreadPoolExecutor(1, thread_name_prefix="hand")
        self._clerk = ThreadPoolExecutor(1, thread_name_prefix="jobs")
        self._long_work: asyncio.Future[None] | None = None

    def stop(self) -> None:
        """Claim nothing more; `run` returns when what is on its way is settled. Callable from a signal handler."""
        # No lock: the main thread, which a signal interrupts anywhere, may hold it.
        self._stopping = True
        loop, asked = self._loop, self._stop_asked
        if loop is not None and asked is not None:
            with suppress(RuntimeError):  # it has ended already
                loop.call_soon_threadsafe(asked.set)

    def run(self) -> None:
        """Work until stopped."""
        asyncio.run(self._work())

    async def _work(self) -> None:
        self._loop, self._stop_asked = asyncio.get_running_loop(), asyncio.Event()
        if self._stopping:
            return
        self.crew.start()
        at_work = [asyncio.create_task(self._sweep_unasked()), asyncio.create_task(self._take_jobs())]
        try:
            await self._stop_asked.wait()
        finally:
            self._stopping = True
            self.crew.stop()
            for task in at_work:
                task.cancel()
            await asyncio.gather(*at_work, return_exceptions=True)
            await self._at_hand(partial(survive, self.crew.join))
            for executor in (self._hand, self._clerk):
                executor.submit(_hang_up)
                executor.shutdown()

    async def _at_hand(self, work: Callable[[], T]) -> T:
        """Do it in the one thread that routes and sweeps."""
        return await asyncio.get_running_loop().run_in_executor(self._hand, _or_reconnect, work)

    # --- What it does unasked ---

    async def _sweep_unasked(self) -> None:
        """The guarantee: whatever became of the jobs, this worker finds what there is to do."""
        while True:
            try:
                await self._at_hand(self._look_round)
                self._begin_long_work()
            except Exception:
                logger.exception("A sweep failed; the next one tries again")
            await asyncio.sleep(OWN_SWEEP)

    def _look_round(self) -> None:
        while not self._stopping and self.crew.route() == routing.BATCH:
            pass
        self.crew.sweep()

    def _begin_long_work(self) -> None:
        """Imports, replays and the like have a thread of their own: they may take hours."""
        if self._long_work is None or self._long_work.done():
            loop = asyncio.get_running_loop()
            self._long_work = loop.run_in_executor(self._clerk, survive, self.crew.work_jobs)

    # --- What jobs ask it for ---

    async def _take_jobs(self) -> None:
        """Run Procrastinate's worker, and run it again: it gives up when the database is away."""
        while (
            not self._stopping
        ):  # where the database is away, an error stands for the end that was asked for
            connector = _connector()
            try:
                with self._app.replace_connector(connector) as app:
                    async with app.open_async():
                        await app.run_worker_async(**WORKER, name=self.crew.name)
            except Exception as error:
                reason = error.__cause__ or error
                logger.warning("No job reaches this worker (%s); it looks by itself meanwhile", reason)
            finally:
                # Whoever is stopped while the pool opens leaves it open, and its task, which a cancellation in mid
                # connect does not end (psycopg_pool 3.3), would keep this process from ending.
                await connector.close_async()
            await asyncio.sleep(AWAY)

    def _tasks(self) -> App:
        app = App(connector=SyncPsycopgConnector())  # replaced where it is opened
        app.job_manager = Queue(app.connector)
        app.task(name="drain")(self._drain)
        app.task(name="jobs", queueing_lock="jobs")(self._jobs)
        app.task(name="route", queueing_lock="route")(self._route)
        sweep = app.task(name="sweep", queueing_lock="sweep")(self._sweep)
        app.periodic(cron=SWEEPS)(sweep)
        tidy = app.task(name="tidy", queueing_lock="tidy")(self._tidy)
        app.periodic(cron=TIDYINGS)(tidy)
        return app

    async def _route(self) -> None:
        """Leads have come."""
        routed = await self._at_hand(self.crew.route)
        if not routed:
            self._begin_long_work()  # whoever rang may have started some
        if routed == routing.BATCH:
            await self._defer("route", "route")  # there is more; whoever is free goes on
        if routed >= MANY:
            await self._call_others()

    async def _drain(self, destination_id: int) -> None:
        """Another worker has more for a destination than it can send alone."""
        self.crew.drain(destination_id)

    async def _sweep(self, timestamp: int) -> None:
        """Find what no ring told of, for all workers."""
        await self._at_hand(self._look_round)
        await self._call_others()
        if await self._at_hand(_is_long_work_waiting):
            await self._defer("jobs", "jobs")

    async def _jobs(self) -> None:
        """Somebody started a long piece of work."""
        self._begin_long_work()

    async def _tidy(self, timestamp: int) -> None:
        """Put the jobs of workers that are gone back into the queue, and delete those that have ended."""
        queue = self._app.job_manager
        for stalled in await queue.get_stalled_jobs(seconds_since_heartbeat=STALLED):
            try:
                await queue.retry_job(stalled)
            except UniqueViolation:  # another one like it waits already
                await queue.finish_job(stalled, Status.ABORTED, delete_job=True)
        await queue.delete_old_jobs(
            ENDED_JOBS_KEPT, include_failed=True, include_cancelled=True, include_aborted=True
        )

    async def _call_others(self) -> None:
        for destination_id in await self._at_hand(self._wants_help):
            await self._defer("drain", f"drain-{destination_id}", destination_id=destination_id)

    def _wants_help(self) -> set[int]:
        """Ids of the destinations that have something due, if there is anybody to help."""
        others = Worker.objects.exclude(name=self.crew.name)
        return draining.destinations_due(clock.now()) if others.exists() else set()

    async def _defer(self, task: str, lock: str, **arguments: int) -> None:
        with suppress(AlreadyEnqueued):  # which harms no transaction: these connections commit by themselves
            await self._app.configure_task(task, queueing_lock=lock).defer_async(**arguments)


def _is_long_work_waiting() -> bool:
    return jobs.waiting(clock.now()).exists()


def _hang_up() -> None:
    """Close this thread's connection."""
    connection.close()


def _or_reconnect(work: Callable[[], T]) -> T:
    try:
        return work()
    except Exception:
        close_old_connections()
        raise


def _connector() -> PsycopgConnector:
    return PsycopgConnector(kwargs=connector_params(), configure=_configure, **POOL)


async def _configure(own: "psycopg.AsyncConnection[Any]") -> None:
    """Jobs are only wake-ups: each statement is a transaction, and no commit waits for the disk."""
    await own.set_autocommit(True)
    await own.execute("SET synchronous_commit = off")
