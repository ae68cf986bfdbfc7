"""How many leads a second are stored and answered, in turns with the references on the same database.

*Plain* is the simplest Django view that stores a lead, *bare* is ASGI and asyncpg with one INSERT. Ours has everything
on: the worker that tidies, groups and routes beside it, repeats, rate guards; INTAKE_RATE counts and refuses none.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks.rows import ROOT, Row
from tests.e2e.conftest import Site, free_port, wait_until
from tests.postgres import Cluster, cluster

ROUNDS, SECONDS = 5, 3.0
WARM_UP = 1.5
STORED = 1_000_000
MEMORY = 150  # megabytes of both web processes

Load = dict[str, Any]


def postgres_16() -> list[Row]:
    """16 keep-alive connections, PostgreSQL as durable as it comes."""
    return _postgres(16)


def postgres_64() -> list[Row]:
    return _postgres(64)


def _postgres(connections: int) -> list[Row]:
    name = f"ingest.postgres.{connections}"
    with machines() as machine:
        site = machine.ours_on_postgres()
        urls = [endpoint(site), machine.plain_on_postgres(), machine.bare_on_postgres()]
        ours, plain, bare = _in_turns(urls, connections)
        memory = sum(resident(pid) for pid in web_processes(site))
    return [
        _rate(name, ours, plain, 0.9),
        _p99(name, ours, plain, 1.5),
        Row(f"{name}.bare", _median(bare, "rate"), "rps", _median(plain, "rate"), _ratio(bare, plain)),
        Row(f"{name}.memory", memory, "MB", None, None, f"<= {MEMORY} MB", memory <= MEMORY),
    ]


def sqlite_16() -> list[Row]:
    """16 keep-alive connections, SQLite with synchronous=FULL, beside plain and beside ourselves on PostgreSQL."""
    with machines() as machine:
        urls = [
            endpoint(machine.ours_on_sqlite()),
            machine.plain_on_sqlite(),
            endpoint(machine.ours_on_postgres()),
        ]
        ours, plain, ours_on_postgres = _in_turns(urls, 16)
    share, p99 = _ratio(ours, ours_on_postgres), _median(ours, "p99_ms")
    return [
        Row("ingest.sqlite.16", _median(ours, "rate"), "rps", _median(plain, "rate"), _ratio(ours, plain)),
        Row(
            "ingest.sqlite.16.to_postgres",
            _median(ours, "rate"),
            "rps",
            _median(ours_on_postgres, "rate"),
            share,
            "ratio >= 0.7",
            share >= 0.7,
        ),
        Row(
            "ingest.sqlite.16.p99",
            p99,
            "ms",
            _median(plain, "p99_ms"),
            p99 / _median(plain, "p99_ms"),
            "<= 100 ms",
            p99 <= 100,
        ),
    ]


def growth() -> list[Row]:
    """What one more lead costs where a million are stored, beside what it costs where none is."""
    with machines() as machine:
        empty, full = machine.ours_on_postgres(), machine.ours_on_postgres()
        _fill(full, STORED)
        at_none, at_many = _in_turns([endpoint(empty), endpoint(full)], 16)
    none, many = (1000 / _median(loads, "rate") for loads in (at_none, at_many))
    ratio = 1 / _ratio(at_many, at_none)
    return [Row("ingest.growth", many, "ms", none, ratio, "ratio <= 1.15", ratio <= 1.15)]


def _fill(site: Site, leads: int) -> None:
    command = [sys.executable, "-m", "tests.benchmarks.fill", "--leads", str(leads)]
    subprocess.run(command, cwd=ROOT, env=site.environment, check=True)


def _in_turns(urls: list[str], connections: int) -> list[list[Load]]:
    """The loads of each URL, one after the other in every round: the machine's moods meet all alike."""
    for url in urls:
        load(url, connections, WARM_UP)
    rounds = [[load(url, connections, SECONDS) for url in urls] for _ in range(ROUNDS)]
    return [[turn[place] for turn in rounds] for place in range(len(urls))]


def _median(loads: list[Load], what: str) -> float:
    return statistics.median(one[what] for one in loads)


def _ratio(loads: list[Load], reference: list[Load], what: str = "rate") -> float:
    return statistics.median(one[what] / other[what] for one, other in zip(loads, reference, strict=True))


def _rate(name: str, ours: list[Load], plain: list[Load], target: float) -> Row:
    ratio = _ratio(ours, plain)
    rates = _median(ours, "rate"), "rps", _median(plain, "rate")
    return Row(name, *rates, ratio, f"ratio >= {target}", ratio >= target)


def _p99(name: str, ours: list[Load], plain: list[Load], target: float) -> Row:
    ratio = _ratio(ours, plain, "p99_ms")
    times = _median(ours, "p99_ms"), "ms", _median(plain, "p99_ms")
    return Row(f"{name}.p99", *times, ratio, f"ratio <= {target}", ratio <= target)


def load(url: str, connections: int, seconds: float) -> Load:
    """One run of the load generator. Raises where anything was refused: then it measured something else."""
    command = [sys.executable, "-m", "tests.benchmarks.load", url, str(connections), str(seconds)]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=seconds + 60
    )
    result = json.loads(ended.stdout)
    if result["refused"] or not result["answered"]:
        raise RuntimeError(f"{url}: {result}")
    return result


class BenchSite(Site):
    """Our whole site, and the URL of its database."""

    database = ""


class Machine:
    """Starts what a benchmark asks for, each on a database of its own; all of it ends with the context."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack, self._server = stack, None

    def ours_on_postgres(self, **settings: Any) -> BenchSite:
        return self._ours(self._postgres().create_database(), settings)

    def ours_on_sqlite(self, **settings: Any) -> BenchSite:
        return self._ours("", settings)

    def plain_on_postgres(self) -> str:
        return self._stack.enter_context(_plain(self._postgres().create_database()))

    def plain_on_sqlite(self) -> str:
        return self._stack.enter_context(_plain(f"sqlite:///{self._scratch()}/plain.sqlite3"))

    def bare_on_postgres(self) -> str:
        environment = {"BARE_DATABASE": self._postgres().create_database()}
        _make_table("bare", environment)
        arguments = "--interface asginl --workers 2 tests.benchmarks.bare:application"
        return self._stack.enter_context(_granian(arguments, environment, "bare"))

    def _ours(self, database: str, settings: dict[str, Any]) -> BenchSite:
        settings |= {"INTAKE_RATE": 1_000_000} | ({"DATABASE_URL": database} if database else {})
        site = BenchSite(self._scratch(), settings)
        site.database = database
        self._stack.callback(site.stop)
        site.wait_for_ready()
        return site

    def _postgres(self) -> Cluster:
        if self._server is None:
            self._server = self._stack.enter_context(cluster())
        return self._server

    def _scratch(self) -> Path:
        return Path(self._stack.enter_context(tempfile.TemporaryDirectory()))


@contextmanager
def machines() -> Iterator[Machine]:
    with ExitStack() as stack:
        yield Machine(stack)


def endpoint(site: Site) -> str:
    """The URL of an offer that sends to nobody."""
    config = {"offers": [{"publisher_id": "contoso", "offer_id": "backup", "title": "Contoso Backup"}]}
    applied = site.manage("config", "apply", "-", input=json.dumps(config))
    return json.loads(applied.stdout)["offers"][0]["endpoint_url"]


def web_processes(site: Site) -> list[int]:
    """The two processes that answer: granian's children. Its own and the supervisor's have no requests."""
    listing = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    )
    rows = [line.split(None, 2) for line in listing.stdout.splitlines()]
    master = {row[0] for row in rows if row[1] == str(site.pid) and "leadsite.web" in row[2]}
    return [int(row[0]) for row in rows if row[1] in master and "leadsite.web" in row[2]]


def resident(pid: int) -> float:
    """Megabytes of memory; of what processes share, each counts its part (PSS, Linux)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/{pid}/smaps_rollup does not tell")


def _plain(database: str) -> Any:
    environment = {"PLAIN_DATABASE": database}
    _make_table("plain", environment)
    arguments = "--interface wsgi --workers 2 --blocking-threads 4 tests.benchmarks.plain:application"
    return _granian(arguments, environment, "plain")


def _make_table(reference: str, environment: dict[str, str]) -> None:
    make_table = f"from tests.benchmarks.{reference} import make_table; make_table()"
    subprocess.run([sys.executable, "-c", make_table], cwd=ROOT, env=os.environ | environment, check=True)


@contextmanager
def _granian(arguments: str, environment: dict[str, str], name: str) -> Iterator[str]:
    """A reference server; yields its URL."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "granian",
        "--port",
        str(port),
        "--log-level",
        "warning",
        *arguments.split(),
    ]
    server = subprocess.Popen(command, cwd=ROOT, env=os.environ | environment)
    url = f"http://127.0.0.1:{port}/in/{name}"
    try:
        wait_until(lambda: _answers(url), 30, f"the start of {name}")
        yield url
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(20)


def _answers(url: str) -> bool:
    try:
        load(url, 1, 0.01)
    except (subprocess.CalledProcessError, RuntimeError):
        return False
    return True


BENCHES: dict[str, Callable[[], list[Row]]] = {
    "ingest.postgres.16": postgres_16,
    "ingest.postgres.64": postgres_64,
    "ingest.sqlite.16": sqlite_16,
    "ingest.growth": growth,
}
