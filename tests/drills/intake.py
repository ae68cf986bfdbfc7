"""The intake drill: leads are posted while processes of the site and of PostgreSQL are killed with SIGKILL.

    python -m tests.drills.intake --rounds 20 --database both

Every acknowledged lead must be stored, exactly once; while PostgreSQL is away the answer is a 503 with Retry-After
at once, or a 202 with a spool; and when it is back, leads are taken again without a restart. Prints each round and
its seed, exits 1 if anything did not hold. Only processes that it started itself are killed, by their ids.
"""

import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from tests import postgres
from tests.drills import ledger
from tests.drills.senders import Promises, Reply, Sender, lead, post_once
from tests.e2e.conftest import Site

SENDERS, LEADS_EACH = 6, 5_000  # at most
BEFORE, AFTER = 30, 30  # leads stored before each fault, and that show that it is over
BACK_WITHIN = 90.0  # seconds; a loaded machine starts slowly
AWAY, PROBES = 1.0, 5  # seconds that PostgreSQL is away at least, and leads that are sent meanwhile
AT_ONCE = 1.0  # seconds
SHOWN = 20  # broken promises; there may be thousands


@dataclass
class Report:
    """What became of it: what did not hold, in sentences, and the figures."""

    seed: int
    rounds: int = 0
    problems: list[str] = field(default_factory=list)
    promises: Promises = field(default_factory=Promises)
    away: list[Reply] = field(default_factory=list)  # answers while PostgreSQL was away

    def __str__(self) -> str:
        sent, promises = sum(self.promises.sent.values()), self.promises
        slowest = max((reply.seconds for reply in self.away), default=0.0)
        figures = (
            f"{self.rounds} rounds, seed {self.seed}: {sent} posts, {len(promises.acknowledged)} acknowledged, "
            f"{len(promises.refused)} refused; while PostgreSQL was away the slowest answer took {slowest:.2f} s"
        )
        broken = [f"BROKEN: {problem}" for problem in self.problems[:SHOWN]]
        more = [f"and {len(self.problems) - SHOWN} more"] if len(self.problems) > SHOWN else []
        return "\n".join([figures, *broken, *more])


class Drill:
    """One site under load, and the faults that can befall it."""

    def __init__(self, server: postgres.Cluster | None, *, spool: bool, seed: int) -> None:
        self.server, self.spool = server, spool
        self.random, self.report = random.Random(seed), Report(seed)
        self.directory = Path(tempfile.mkdtemp(prefix="drill-"))
        settings: dict[str, Any] = {"INTAKE_RATE": 1_000_000}
        if server:
            settings["DATABASE_URL"] = server.create_database()
        if spool:
            settings["SPOOL_DIR"] = self.directory / "spool"
        self.site = Site(self.directory, settings)
        self.url = ""

    # Faults. Each says in a few words what it did.

    def faults(self) -> Iterator[Callable[[], str]]:
        """Without end: each in turn, in any order, PostgreSQL's own end first, which a short drill must not miss."""
        of_the_site = [self.kill_web_process, self.kill_web_server, self.kill_worker, self.kill_everything]
        of_the_database = [self.kill_database, self.kill_backend] if self.server else []
        yield from of_the_database
        while True:
            every = [*of_the_site, *of_the_database]
            yield from self.random.sample(every, len(every))

    def kill_web_process(self) -> str:
        server = self._child("leadsite.web")
        victim = self.random.choice(children(server))
        os.kill(victim, signal.SIGKILL)
        return f"killed web process {victim}"

    def kill_web_server(self) -> str:
        victim = self._child("leadsite.web")
        os.kill(victim, signal.SIGKILL)
        return f"killed the web server {victim}"

    def kill_worker(self) -> str:
        victim = self._child("leadsite.worker")
        os.kill(victim, signal.SIGKILL)
        return f"killed the worker {victim}"

    def kill_everything(self) -> str:
        """As a power cut does; then somebody starts it again."""
        self.site.kill()
        self.site = Site(self.directory, self.site.settings)
        self.site.wait_for_ready()
        return "killed everything and started it again"

    def kill_database(self) -> str:
        assert self.server
        # A killed web server's workers answer a moment longer: not they, but their successors are asked below.
        self._child("leadsite.web")
        self.site.wait_until_it_answers()
        victim = self.server.pid
        self.server.kill()
        since = time.monotonic()
        self._probe()
        time.sleep(max(0.0, since + AWAY - time.monotonic()))
        self.server.start()
        return f"killed PostgreSQL {victim}, away for {time.monotonic() - since:.1f} s"

    def kill_backend(self) -> str:
        """One process of PostgreSQL: it ends the others and recovers."""
        assert self.server
        victim = self.random.choice(self.server.backends())
        os.kill(victim, signal.SIGKILL)
        return f"killed PostgreSQL's process {victim}"

    def _child(self, name: str) -> int:
        """The process of that name whose parent is the supervisor, once there is one."""
        deadline = time.monotonic() + BACK_WITHIN
        while time.monotonic() < deadline:
            commands = self.site.processes()
            for child in children(self.site.pid):
                if commands.get(child, "").endswith(name) and (name != "leadsite.web" or children(child)):
                    return child
            time.sleep(0.1)
        raise RuntimeError(f"There is no {name}:\n{self.site.log()[-3000:]}")

    def _probe(self) -> None:
        """Send a few leads while the database is away: each must be answered at once, and truthfully."""
        for number in range(PROBES):
            body = lead(f"away-{self.report.rounds}-{number}-{self.random.random()}")
            promises = self.report.promises
            promises.sent[body] = 1
            reply = post_once(self.url, body)
            if reply is None:
                self.report.problems.append("While PostgreSQL was away, a lead got no answer")
                continue
            self.report.away.append(reply)
            if self.spool and reply.status == 202:
                promises.acknowledged[body] = reply.json()
            elif self.spool and reply.status == 429:
                promises.refused.append(reply)
            elif self.spool or reply.status != 503 or "retry-after" not in reply.headers:
                self.report.problems.append(f"While PostgreSQL was away, the answer was {reply}")

    # The course of it

    def run(self, rounds: int, *, at_once: float) -> None:
        self.site.wait_for_ready()
        self.url = self.site.endpoint_url
        senders = [Sender(self.url, self.report.promises, LEADS_EACH) for _ in range(SENDERS)]
        for sender in senders:
            sender.start()
        try:
            for number, fault in enumerate(islice(self.faults(), rounds), 1):
                self._round(number, fault)
        finally:
            for sender in senders:
                sender.stop()
            for sender in senders:
                sender.join(60)
        self._finish(at_once)

    def _round(self, number: int, fault: Callable[[], str]) -> None:
        if not self.report.promises.wait_for(BEFORE, BACK_WITHIN):
            raise RuntimeError(f"No leads are taken:\n{self.site.log()[-3000:]}")
        self.report.rounds = number
        since = time.monotonic()
        said = fault()
        if not self.report.promises.wait_for(AFTER, BACK_WITHIN):
            raise RuntimeError(
                f"Round {number}, {said}: not back within {BACK_WITHIN} s\n{self.site.log()[-3000:]}"
            )
        print(f"round {number}: {said}; leads again after {time.monotonic() - since:.1f} s", flush=True)  # noqa: T201

    def _finish(self, at_once: float) -> None:
        report = self.report
        if self.spool:
            self._wait_for_the_spool()
        report.problems += ledger.problems(self.site, report.promises)
        # With a spool, a web process that was started while PostgreSQL was away cannot tell a sender from a stranger.
        honest = {503, 429} if self.spool else {503}
        report.problems += [
            f"a lead was refused with {reply}"
            for reply in report.promises.refused
            if reply.status not in honest or "retry-after" not in reply.headers
        ]
        # The median: on a loaded machine one of them may have waited for its turn.
        if report.away and (took := statistics.median(reply.seconds for reply in report.away)) > at_once:
            report.problems.append(f"While PostgreSQL was away, an answer took {took:.2f} s")

    def _wait_for_the_spool(self) -> None:
        spool, deadline = self.directory / "spool", time.monotonic() + BACK_WITHIN
        while any(spool.glob("*.lead")) and time.monotonic() < deadline:
            time.sleep(0.1)
        if left := sorted(path.name for ending in ("lead", "failed") for path in spool.glob(f"*.{ending}")):
            self.report.problems.append(f"in the spool are left {left[:5]}")


def children(parent: int) -> list[int]:
    listing = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True
    )
    rows = (line.split() for line in listing.stdout.splitlines())
    return sorted(int(row[0]) for row in rows if row[1] == str(parent) and not row[2].startswith("Z"))


@contextmanager
def drill(server: postgres.Cluster | None, *, spool: bool, seed: int) -> Iterator[Drill]:
    drill = Drill(server, spool=spool, seed=seed)
    try:
        yield drill
    finally:
        drill.site.kill()
        drill.site.forget()


def run(database: str, rounds: int, *, seed: int, spool: bool = False, at_once: float = AT_ONCE) -> Report:
    """The whole drill on `sqlite` or `postgresql`, on a database and a server of its own."""
    with ExitStack() as stack:
        server = stack.enter_context(postgres.cluster()) if database == "postgresql" else None
        work = stack.enter_context(drill(server, spool=spool, seed=seed))
        work.run(rounds, at_once=at_once)
        return work.report


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="both")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument(
        "--no-spool", action="store_true", help="on PostgreSQL, only the rounds without SPOOL_DIR"
    )
    asked = parser.parse_args()
    courses = [("sqlite", False), ("postgresql", False), ("postgresql", True)]
    broken = 0
    for database, spool in courses:
        if asked.database not in {database, "both"} or (spool and asked.no_spool):
            continue
        if database == "postgresql" and not postgres.programs():
            print("SKIPPED on PostgreSQL: there is none on this machine")  # noqa: T201
            broken += os.environ.get("REQUIRE_ALL") == "1"
            continue
        print(f"On {database}{' with a spool' if spool else ''}", flush=True)  # noqa: T201
        report = run(database, asked.rounds, seed=asked.seed, spool=spool)
        print(report, flush=True)  # noqa: T201
        broken += len(report.problems)
    return min(broken, 1)


if __name__ == "__main__":
    sys.exit(main())
