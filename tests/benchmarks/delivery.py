"""How fast waiting leads get to a CRM that takes 100 ms, beside the ideal: so many at once, divided by 100 ms.

The site's own worker processes empty a backlog; the stub CRM's ledger says when the first lead came and when the last
was answered. Their CPU is taken with it. Also what intake keeps of its rate meanwhile.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from tests import stub_crm
from tests.benchmarks.ingest import BenchSite, load, machines
from tests.benchmarks.rows import ROOT, Row
from tests.stub_crm import LATENCY, StubCrm
from tests.workers import Worker

ROUNDS = 3
SECONDS = 6.0  # that a backlog would last at the ideal rate
WAITING = 10_000  # for the batches
ONE_AT_A_TIME = 40  # leads, as a reference for the batches: ten a second
SLOTS = 10  # of each of two workers
INTAKE_SECONDS, CONNECTIONS = 4.0, 16


# --- The rows ------------------------------------------------------------------------------------------------


def embedded() -> list[Row]:
    """The engine of one machine, on SQLite, at 20 and at 50 in flight."""
    with _yard("sqlite") as yard:
        return _against_the_ideal("delivery.embedded", yard)


def procrastinate() -> list[Row]:
    """One worker of the engine for many, on PostgreSQL."""
    with _yard("postgresql") as yard:
        return _against_the_ideal("delivery.procrastinate", yard)


def batch() -> list[Row]:
    """A CRM with a batch call of a hundred, beside one lead after the other at one without."""
    with _yard("postgresql") as yard:
        worker = yard.worker()
        ones = [yard.drain("backup", ONE_AT_A_TIME, 1, worker).rate]
        batches = yard.drain("batch", WAITING, 0, worker)
        ones.append(yard.drain("backup", ONE_AT_A_TIME, 1, worker).rate)
    one = statistics.median(ones)
    ratio = batches.rate / one
    return [
        Row("delivery.batch", batches.rate, "rps", one, ratio, "ratio >= 20", ratio >= 20),
        Row("delivery.batch.cpu", batches.cpu * 1000, "ms"),
    ]


def two_workers() -> list[Row]:
    """Two workers of ten pushes at once each, beside one."""
    rounds: list[tuple[Drained, Drained]] = []
    with _yard("postgresql") as yard:
        first, most = yard.worker(slots=SLOTS), 2 * SLOTS
        leads = round(SLOTS / LATENCY * SECONDS)
        for _ in range(ROUNDS):
            alone = yard.drain("backup", leads, most, first)
            second = yard.worker(slots=SLOTS)
            rounds.append((alone, yard.drain("backup", 2 * leads, most, first, second)))
            second.stop()
    one, two = (statistics.median(drained.rate for drained in side) for side in zip(*rounds, strict=True))
    ratio = statistics.median(two.rate / one.rate for one, two in rounds)
    return [
        Row("delivery.two_workers", two, "rps", one, ratio, "ratio >= 1.7", ratio >= 1.7),
        Row("delivery.two_workers.one", one, "rps", SLOTS / LATENCY, one * LATENCY / SLOTS),
    ]


def draining() -> list[Row]:
    """What intake keeps of its rate while a backlog drains, in turns with nothing to drain, on either database."""
    return [row for database in ("sqlite", "postgresql") for row in _intake_beside_a_drain(database)]


def _against_the_ideal(name: str, yard: "_Yard") -> list[Row]:
    worker = yard.worker()
    rounds = [[yard.drain_at(in_flight, worker) for in_flight in (20, 50)] for _ in range(ROUNDS)]
    at_20, at_50 = zip(*rounds, strict=True)
    return [*_rates(name, at_20, 20, 0.85), *_rates(f"{name}.50", at_50, 50, 0.6)]


def _rates(name: str, rounds: Sequence["Drained"], in_flight: int, target: float) -> list[Row]:
    rate, ideal = statistics.median(drained.rate for drained in rounds), in_flight / LATENCY
    share = rate / ideal
    cpu = statistics.median(drained.cpu for drained in rounds) * 1000
    return [
        Row(name, rate, "rps", ideal, share, f"ratio >= {target}", share >= target),
        Row(f"{name}.cpu", cpu, "ms"),
    ]


def _intake_beside_a_drain(database: str) -> list[Row]:
    with _site(database) as (site, crm):
        url, each = site.endpoints["quiet"], round(20 / LATENCY * INTAKE_SECONDS)
        load(url, CONNECTIONS, 1.5)
        rounds = []
        for _ in range(ROUNDS):
            alone = load(url, CONNECTIONS, INTAKE_SECONDS)
            crm.forget()
            _have_waiting(site, "backup", each * 2, 20)
            crm.wait_until(lambda said: said["answered"] > 0, 30)
            before = crm.ledger(brief=True)["answered"]
            beside = load(url, CONNECTIONS, INTAKE_SECONDS)
            sent = (crm.ledger(brief=True)["answered"] - before) / INTAKE_SECONDS
            crm.wait_until(lambda said: said["answered"] >= each * 2, 300)
            rounds.append((alone["rate"], beside["rate"], sent))
    alone, beside, sent = (statistics.median(side) for side in zip(*rounds, strict=True))
    ratio = statistics.median(beside / alone for alone, beside, _ in rounds)
    name = {"sqlite": "ingest.draining.sqlite", "postgresql": "ingest.draining.postgres"}[database]
    return [
        Row(name, beside, "rps", alone, ratio, "ratio >= 0.8", ratio >= 0.8),
        Row(f"{name}.sent", sent, "rps", 20 / LATENCY, sent * LATENCY / 20),
    ]


# --- Where it is measured --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Drained:
    """Leads a second from the first to the last, and seconds of CPU a lead of all workers together."""

    rate: float
    cpu: float


class _Yard:
    """A site whose own processes have ended, and workers that empty its backlogs instead."""

    def __init__(self, site: "DeliverySite", crm: StubCrm, stack: ExitStack) -> None:
        self._site, self._crm, self._stack = site, crm, stack
        self._workers = 0

    def worker(self, *, slots: int = 0) -> Worker:
        self._workers += 1
        worker = Worker(self._site, f"w{self._workers}", slots=slots)
        self._stack.callback(worker.stop)
        return worker

    def drain_at(self, in_flight: int, *workers: Worker) -> Drained:
        return self.drain("backup", round(in_flight / LATENCY * SECONDS), in_flight, *workers)

    def drain(self, offer: str, leads: int, in_flight: int, *workers: Worker) -> Drained:
        """Have that many leads wait and be sent; returns when all of it is settled."""
        self._crm.forget()
        used = sum(worker.cpu() for worker in workers)
        _have_waiting(self._site, offer, leads, in_flight)
        said = self._crm.wait_until(lambda said: said["answered"] >= leads, 60 + leads * LATENCY)
        _wait_until_settled(self._site)
        used = sum(worker.cpu() for worker in workers) - used
        if said["received"] != leads or (in_flight and said["most_in_flight"] > in_flight):
            raise RuntimeError(f"{leads} leads at {in_flight} in flight, and the CRM has {said}")
        return Drained(leads / (said["last"] - said["first"]), used / leads)


class DeliverySite(BenchSite):
    """Our site, and the URL of each offer's endpoint."""

    endpoints: dict[str, str]


@contextmanager
def _yard(database: str) -> Iterator[_Yard]:
    with _site(database) as (site, crm), ExitStack() as stack:
        site.stop()
        yield _Yard(site, crm, stack)


@contextmanager
def _site(database: str) -> Iterator[tuple[Any, StubCrm]]:
    """A site that is connected to a stub CRM, each on its own."""
    settings: dict[str, Any] = {
        "ALLOW_PRIVATE_DESTINATIONS": "true",
        "DJANGO_SETTINGS_MODULE": "tests.benchmarks.settings",
        "DELIVERY_ENGINE": ENGINES[database],
    }
    with machines() as ours, stub_crm.running() as crm:
        site: Any = (
            ours.ours_on_sqlite(**settings) if database == "sqlite" else ours.ours_on_postgres(**settings)
        )
        site.endpoints = _connect(site, crm)
        yield site, crm


ENGINES = {"sqlite": "embedded", "postgresql": "procrastinate"}


def _connect(site: BenchSite, crm: StubCrm) -> dict[str, str]:
    """Offers that send to a webhook, to a CRM with batches and to nobody; returns their endpoints' URLs."""
    offers = ("backup", "batch", "quiet")
    config = {
        "offers": [{"publisher_id": "contoso", "offer_id": offer, "title": offer} for offer in offers],
        "destinations": [
            {"name": "hook", "connector": "webhook", "settings": {"url": crm.url}},
            {"name": "batches", "connector": "stub_batch", "settings": {"url": crm.batch_url}},
        ],
        "routes": [
            {"offer": "contoso.backup", "destination": "hook"},
            {"offer": "contoso.batch", "destination": "batches"},
        ],
    }
    applied = site.manage("config", "apply", "-", input=json.dumps(config))
    if applied.returncode:
        raise RuntimeError(applied.stderr)
    said = json.loads(applied.stdout)["offers"]
    return {offer: one["endpoint_url"] for offer, one in zip(offers, said, strict=True)}


def _have_waiting(site: BenchSite, offer: str, leads: int, in_flight: int) -> None:
    command = [sys.executable, "-m", "tests.benchmarks.backlog"]
    command += ["--offer", offer, "--leads", str(leads), "--in-flight", str(in_flight)]
    made = subprocess.run(
        command, cwd=ROOT, env=site.environment, capture_output=True, text=True, timeout=120
    )
    if made.returncode:
        raise RuntimeError(made.stderr)


def _wait_until_settled(site: BenchSite) -> None:
    deadline = time.monotonic() + 60
    while left := site.rows("SELECT count(*) FROM crm_sync_delivery WHERE state IN ('waiting', 'leased')")[0][
        0
    ]:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{left} sendings are not settled")
        time.sleep(0.05)


BENCHES: dict[str, Callable[[], list[Row]]] = {
    "delivery.embedded": embedded,
    "delivery.procrastinate": procrastinate,
    "delivery.batch": batch,
    "delivery.two_workers": two_workers,
    "ingest.draining": draining,
}
