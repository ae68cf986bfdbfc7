"""How many leads a second are stored and answered, in turns with *plain* on the same kind of database."""

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks.rows import ROOT, Row
from tests.e2e.conftest import Site, free_port, wait_until

ROUNDS, SECONDS = 3, 3.0
WARM_UP = 1.0


def sqlite_16() -> list[Row]:
    """Ours beside *plain*, 16 connections, SQLite. Everything on, the worker too; INTAKE_RATE counts and refuses none."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        ours(Path(scratch)) as our_url,
        plain(Path(scratch)) as plain_url,
    ):
        for url in (our_url, plain_url):
            load(url, 16, WARM_UP)
        rounds = [(load(our_url, 16, SECONDS), load(plain_url, 16, SECONDS)) for _ in range(ROUNDS)]
    our_rate, plain_rate = (statistics.median(pair[i]["rate"] for pair in rounds) for i in (0, 1))
    our_p99, plain_p99 = (statistics.median(pair[i]["p99_ms"] for pair in rounds) for i in (0, 1))
    ratio = statistics.median(mine["rate"] / theirs["rate"] for mine, theirs in rounds)
    return [
        Row("ingest.sqlite.16", our_rate, "rps", plain_rate, ratio, "ratio >= 0.6", ratio >= 0.6),
        Row("ingest.sqlite.16.p99", our_p99, "ms", plain_p99, our_p99 / plain_p99),
    ]


def load(url: str, connections: int, seconds: float) -> dict[str, Any]:
    """One run of the load generator. Raises where anything was refused: then it measured something else."""
    command = [sys.executable, "-m", "tests.benchmarks.load", url, str(connections), str(seconds)]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=seconds + 60
    )
    result = json.loads(ended.stdout)
    if result["refused"] or not result["answered"]:
        raise RuntimeError(f"{url}: {result}")
    return result


@contextmanager
def ours(scratch: Path) -> Iterator[str]:
    """Our whole site with an offer that sends to nobody; yields its endpoint's URL."""
    directory = scratch / "ours"
    directory.mkdir()
    site = Site(directory, {"INTAKE_RATE": 1_000_000})
    try:
        site.wait_for_ready()
        config = {"offers": [{"publisher_id": "contoso", "offer_id": "backup", "title": "Contoso Backup"}]}
        applied = site.manage("config", "apply", "-", input=json.dumps(config))
        yield json.loads(applied.stdout)["offers"][0]["endpoint_url"]
    finally:
        site.stop()


@contextmanager
def plain(scratch: Path) -> Iterator[str]:
    """The reference server; yields its URL."""
    port = free_port()
    environment = os.environ | {"PLAIN_DATABASE": str(scratch / "plain.sqlite3")}
    make_table = "from tests.benchmarks.plain import make_table; make_table()"
    subprocess.run([sys.executable, "-c", make_table], cwd=ROOT, env=environment, check=True)
    granian = f"granian --interface wsgi --workers 2 --blocking-threads 4 --port {port} --log-level warning"
    command = [sys.executable, "-m", *granian.split(), "tests.benchmarks.plain:application"]
    server = subprocess.Popen(command, cwd=ROOT, env=environment)
    url = f"http://127.0.0.1:{port}/in/plain"
    try:
        wait_until(lambda: _answers(url), 30, "the start of the reference server")
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
