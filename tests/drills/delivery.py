"""The delivery drill: leads are posted and pushed while workers are killed with SIGKILL and the CRM misbehaves.

    python -m tests.drills.delivery --rounds 50 --engine both

The embedded engine works on SQLite; the other with three worker processes on PostgreSQL, which is restarted too. In
each round something is killed, and the CRM writes and hangs up, answers garbage, 10 MB, one byte a second, a redirect
or "later". In the end each lead must be in the CRM exactly once, none may be missing, and ours must know it of each.
Leases and waits are made to run out, as if the time had gone by. Prints each round and its seed, exits 1 if anything
did not hold. Only processes that it started itself are killed, by their ids.
"""

import argparse
import json
import os
import random
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from tests import postgres, stub_crm
from tests.drills.intake import children
from tests.drills.senders import Promises, Sender
from tests.e2e.conftest import Site
from tests.stub_crm import Rule, StubCrm
from tests.workers import Worker

ENGINES = {"embedded": "sqlite", "procrastinate": "postgresql"}
LATENCY, IN_FLIGHT = 0.03, 8  # seconds; the connection's limit
SENDERS, LEADS_EACH = 1, 20_000  # at most
WORKERS = 3  # processes on PostgreSQL, that of the site included
BEFORE, AFTER = 10, 10  # leads that reach the CRM before each fault, and that show that it is over
BACK_WITHIN, EMPTY_WITHIN = 90.0, 180.0  # seconds; a loaded machine starts slowly
LEASE = 90.0  # seconds, as long as a worker may be silent about a push
UNDER_WAY = 5.0  # seconds that no push takes here, but for one that drips
MID_PUSH_WITHIN = 20.0  # seconds; a CRM that has said "stop" is not called
AWAY = 1.0  # seconds that PostgreSQL is away at least
PAST = "2020-01-01 00:00:00"
SHOWN = 20  # broken promises; there may be thousands

# What the CRM does, a round each. A redirect stops the connection; that it is checked again by itself ends it.
MOODS: dict[str, tuple[Rule, ...]] = {
    "behaves": (),
    "writes and hangs up": ({"do": "drop", "every": 4},),
    "answers garbage": ({"do": "garbage", "every": 5},),
    "answers 10 MB": ({"do": "huge", "every": 6},),
    "fails after it has written": ({"do": "status", "status": 500, "writes": True, "every": 4},),
    "asks to come later": ({"do": "status", "status": 503, "retry_after": 1, "every": 5},),
    "asks to slow down": ({"do": "status", "status": 429, "retry_after": 1, "times": 2},),
    "redirects": ({"do": "redirect", "times": 1},),
    "drips one byte a second": ({"do": "drip", "times": 1},),
}
SLOW_MOODS = {"drips one byte a second"}  # for as long as a push may take, 45 seconds


@dataclass
class Report:
    """What became of it: what did not hold, in sentences, and the figures."""

    engine: str
    seed: int
    rounds: int = 0
    problems: list[str] = field(default_factory=list)
    promises: Promises = field(default_factory=Promises)
    outcomes: Counter[str] = field(default_factory=Counter)  # of all tries
    ledger: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        tries = ", ".join(f"{count} {outcome or 'open'}" for outcome, count in self.outcomes.most_common())
        figures = (
            f"{self.rounds} rounds, seed {self.seed}: {len(self.promises.acknowledged)} leads acknowledged; the CRM "
            f"has {self.ledger.get('written')} records of {self.ledger.get('received')} calls, at most "
            f"{self.ledger.get('most_in_flight')} at once; tries: {tries}"
        )
        broken = [f"BROKEN: {problem}" for problem in self.problems[:SHOWN]]
        more = [f"and {len(self.problems) - SHOWN} more"] if len(self.problems) > SHOWN else []
        return "\n".join([figures, *broken, *more])


class Drill:
    """One site that sends to one CRM under load, and what can befall either."""

    def __init__(self, server: postgres.Cluster | None, crm: StubCrm, report: Report) -> None:
        self.server, self.crm, self.report = server, crm, report
        self.random = random.Random(report.seed)
        self.directory = Path(tempfile.mkdtemp(prefix="drill-"))
        settings: dict[str, Any] = {"INTAKE_RATE": 1_000_000, "ALLOW_PRIVATE_DESTINATIONS": "true"}
        settings |= {"DELIVERY_ENGINE": report.engine}
        if server:
            settings["DATABASE_URL"] = server.create_database()
        self.site = Site(self.directory, settings)
        self.others: list[Worker] = []
        self.url, self._hired = "", 0

    # Faults. Each says in a few words what it did.

    def faults(self) -> Iterator[Callable[[], str]]:
        """Without end: each in turn, in any order; the supervisor waits longer with each worker that dies early."""
        every = [self.kill_worker, self.kill_worker, self.kill_everything]
        if self.server:
            every = [self.kill_worker, self.kill_workers, self.restart_database, self.kill_everything]
            yield from (self.kill_worker, self.restart_database)
        while True:
            yield from self.random.sample(every, len(every))

    def kill_worker(self) -> str:
        """One that has a push under way, if there is such a one. The supervisor starts its own again, we ours."""
        pid = self._stop_in_mid_push()
        victim = next((worker for worker in self.others if worker.pid == pid), None)
        if victim is None:
            return f"killed the site's worker {self._kill_the_sites()}"
        victim.kill()
        self._expire(victim.pid)
        self.others[self.others.index(victim)] = self._hire()
        return f"killed worker {victim.pid}"

    def _stop_in_mid_push(self) -> int:
        """Stop workers in any order until one has a try open, which it can no longer end; without one, any.

        A stopped process dies of SIGKILL like any other. Between a look and a kill a push would be over.
        """
        deadline = time.monotonic() + MID_PUSH_WITHIN
        while True:
            pid = self.random.choice([self._the_sites_worker(), *(worker.pid for worker in self.others)])
            os.kill(pid, signal.SIGSTOP)
            if self._has_open_try(pid) or time.monotonic() > deadline:
                return pid
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.02)

    def _has_open_try(self, pid: int) -> bool:
        found = "SELECT worker FROM crm_sync_attempt WHERE finished_at IS NULL"
        return any(worker.endswith(f":{pid}") for (worker,) in self.site.rows(found))

    def kill_workers(self) -> str:
        """All of them at once."""
        killed = [self._kill_the_sites()]
        for worker in self.others:
            worker.kill()
            killed.append(worker.pid)
        for pid in killed:
            self._expire(pid)
        self.others = [self._hire() for _ in self.others]
        return f"killed all workers {killed}"

    def kill_everything(self) -> str:
        """As a power cut does; then somebody starts it again."""
        self.site.kill()
        for worker in self.others:
            worker.kill()
            self._expire(worker.pid)
        self.site = Site(self.directory, self.site.settings)
        self.site.wait_for_ready()
        self.others = [self._hire() for _ in self.others]
        return "killed everything and started it again"

    def restart_database(self) -> str:
        assert self.server
        how = self.random.choice(["stopped", "killed"])
        self.server.stop() if how == "stopped" else self.server.kill()
        time.sleep(AWAY)
        self.server.start()
        return f"{how} PostgreSQL and started it again"

    def _kill_the_sites(self) -> int:
        pid = self._the_sites_worker()
        os.kill(pid, signal.SIGKILL)
        self._expire(pid)
        return pid

    def _the_sites_worker(self) -> int:
        deadline = time.monotonic() + BACK_WITHIN
        while time.monotonic() < deadline:
            commands = self.site.processes()
            for child in children(self.site.pid):
                if commands.get(child, "").endswith("leadsite.worker"):
                    return child
            time.sleep(0.1)
        raise RuntimeError(f"There is no worker:\n{self.site.log()[-3000:]}")

    def _hire(self) -> Worker:
        self._hired += 1
        return Worker(self.site, f"w{self._hired}")

    # Time that goes by

    def _expire(self, pid: int) -> None:
        """Have the leases of a dead worker run out; on SQLite its successor takes them back by itself."""
        if self.server:
            its = "lease_token IN (SELECT token FROM crm_sync_attempt WHERE finished_at IS NULL AND worker LIKE ?)"
            self._change_sendings("lease_expires_at", f"state = 'leased' AND {its}", f"%:{pid}")

    def _let_waits_end(self) -> None:
        """Whatever waits for its next try is due, and a connection that was stopped is checked again."""
        self._change_sendings("due_at", "state = 'waiting'")
        self._change("UPDATE crm_sync_destinationstate SET until = ? WHERE until IS NOT NULL", PAST)

    def _let_old_leases_end(self) -> None:
        """As if a minute and a half had gone by for what a worker could not write down while PostgreSQL was away."""
        if self.server:
            old = f"lease_expires_at < now() + interval '{LEASE - UNDER_WAY} seconds'"
            self._change_sendings("lease_expires_at", f"state = 'leased' AND {old}")

    def _change_sendings(self, column: str, which: str, *parameters: str) -> None:
        """Put a time into the past. What a worker has its hand on is left alone: this must not be what stops it."""
        free = " FOR UPDATE SKIP LOCKED" if self.server else ""
        chosen = f"SELECT id FROM crm_sync_delivery WHERE {which}{free}"
        self._change(
            f"UPDATE crm_sync_delivery SET {column} = ? WHERE id IN ({chosen})",
            PAST,
            *parameters,
        )

    def _change(self, sql: str, *parameters: str) -> None:
        if self.server:
            postgres.rows(self.site.settings["DATABASE_URL"], sql.replace("?", "%s"), *parameters)
            return
        with closing(sqlite3.connect(self.site.data_dir / "leads.sqlite3", timeout=30)) as database, database:
            database.execute(sql, parameters)

    # The course of it

    def run(self, rounds: int, moods: dict[str, tuple[Rule, ...]]) -> None:
        self.site.wait_for_ready()
        self.url = connect(self.site, self.crm.url)
        if self.server:
            self.others = [self._hire() for _ in range(WORKERS - 1)]
        senders = [Sender(self.url, self.report.promises, LEADS_EACH) for _ in range(SENDERS)]
        for sender in senders:
            sender.start()
        try:
            for number, fault in enumerate(islice(self.faults(), rounds), 1):
                self._round(number, fault, *self._mood(number, moods))
        finally:
            for sender in senders:
                sender.stop()
            for sender in senders:
                sender.join(60)
        self.crm.misbehave()
        self._finish()

    def _mood(self, number: int, moods: dict[str, tuple[Rule, ...]]) -> tuple[str, tuple[Rule, ...]]:
        """Each in turn, the first one last."""
        name = list(moods)[number % len(moods)]
        return name, moods[name]

    def _round(self, number: int, fault: Callable[[], str], mood: str, rules: tuple[Rule, ...]) -> None:
        self._wait_for_leads(BEFORE)
        self.crm.misbehave(*rules)
        self._wait_for_calls(BEFORE)
        self.report.rounds = number
        since = time.monotonic()
        said = fault()
        self._let_waits_end()
        self._wait_for_leads(AFTER)
        self.crm.misbehave()
        took = time.monotonic() - since
        print(f"round {number}: the CRM {mood}; {said}; leads arrive again after {took:.1f} s", flush=True)  # noqa: T201

    def _wait_for_leads(self, more: int) -> None:
        """Wait until so many leads more are in the CRM."""
        self._wait_for("written", more)

    def _wait_for_calls(self, more: int) -> None:
        """Wait until the CRM was called so often more, whatever it made of it."""
        try:
            self._wait_for("received", more, within=2.0)
        except TimeoutError:
            return  # it has been told to stop

    def _wait_for(self, what: str, more: int, within: float = BACK_WITHIN) -> None:
        enough, deadline = self.crm.ledger(brief=True)[what] + more, time.monotonic() + within
        while (there := self.crm.ledger(brief=True)[what]) < enough:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what}: {there} and not {enough}\n{self.log()}")
            time.sleep(0.1)
            if within == BACK_WITHIN and time.monotonic() > deadline - within + UNDER_WAY + 1:
                self._let_waits_end()  # what is left waits for its time
                self._let_old_leases_end()

    def log(self) -> str:
        logs = [self.site.log(), *(worker.log() for worker in self.others)]
        return "\n---\n".join(log[-2000:] for log in logs)

    # What must hold in the end

    def _finish(self) -> None:
        report, deadline = self.report, time.monotonic() + EMPTY_WITHIN
        while (left := self._owed()) and time.monotonic() < deadline:
            self._let_waits_end()
            self._let_old_leases_end()
            time.sleep(1.0)
        if left:
            report.problems.append(f"after {EMPTY_WITHIN:.0f} s are left: {left}\n{self.log()}")
        self._let_tries_end()
        report.ledger = self.crm.ledger()
        report.outcomes = Counter(
            dict(self.site.rows("SELECT outcome, count(*) FROM crm_sync_attempt GROUP BY outcome"))
        )
        report.problems += self._broken()

    def _owed(self) -> dict[str, int]:
        """How many leads and sendings are not where they end, by state."""
        unrouted = self.site.rows("SELECT count(*) FROM leads_lead WHERE routed_at IS NULL")[0][0]
        states = self.site.rows("SELECT state, count(*) FROM crm_sync_delivery GROUP BY state")
        owed = {state: count for state, count in states if state in {"waiting", "leased"}}
        return owed | ({"unrouted": unrouted} if unrouted else {})

    def _let_tries_end(self) -> None:
        """A late answer may still be on its way into the record."""
        deadline = time.monotonic() + 10
        while self._open_tries() and time.monotonic() < deadline:
            time.sleep(0.2)

    def _open_tries(self) -> int:
        return self.site.rows("SELECT count(*) FROM crm_sync_attempt WHERE finished_at IS NULL")[0][0]

    def _broken(self) -> Iterator[str]:
        """Every broken promise, in a sentence."""
        stored = {lead for (lead,) in self.site.rows(LEADS)}
        arrived = Counter(lead.replace("-", "") for lead in self.report.ledger["records"].values())
        for answer in self.report.promises.acknowledged.values():
            if answer["id"].replace("-", "") not in stored:
                yield f"lead {answer['id']} was acknowledged and is not stored"
        for lead in stored | arrived.keys():
            if lead not in stored:
                yield f"the CRM has {lead}, which is no lead"
            elif arrived[lead] != 1:
                yield f"lead {lead} is {arrived[lead]} times in the CRM"
        for lead, state, held in self.site.rows(SENDINGS):
            if state != "delivered":
                yield f"lead {lead} is {state} {held}, and the CRM has it {arrived[lead]} times"
        yield from self._badly_recorded()

    def _badly_recorded(self) -> Iterator[str]:
        said, known = self.report.ledger, self.report.outcomes.total()
        if (most := said["most_in_flight"]) > IN_FLIGHT:
            yield f"{most} pushes were under way at once, of {IN_FLIGHT}"
        if said["received"] > known:
            yield f"the CRM was called {said['received']} times, and {known} tries are recorded"
        if count := self._open_tries():
            yield f"{count} tries are open for ever"

    def close(self) -> None:
        self.site.kill()
        for worker in self.others:
            worker.kill()
        self.site.forget()


LEADS = """
    SELECT l.id FROM leads_lead l JOIN leads_offer o ON o.id = l.offer_id WHERE o.offer_id = 'backup' AND NOT o.is_demo
"""
SENDINGS = """
    SELECT d.lead_id, d.state, d.held_reason FROM crm_sync_delivery d
    JOIN crm_sync_destination c ON c.id = d.destination_id WHERE c.name = 'hook'
"""


def connect(site: Site, url: str) -> str:
    """Have an offer's leads sent to that address; returns the URL that takes them."""
    config = {
        "offers": [{"publisher_id": "contoso", "offer_id": "backup", "title": "Contoso Backup"}],
        "destinations": [
            {
                "name": "hook",
                "connector": "webhook",
                "settings": {"url": url},
                "max_in_flight": IN_FLIGHT,
            }
        ],
        "routes": [{"offer": "contoso.backup", "destination": "hook"}],
    }
    applied = site.manage("config", "apply", "-", input=json.dumps(config))
    if applied.returncode:
        raise RuntimeError(applied.stderr)
    return json.loads(applied.stdout)["offers"][0]["endpoint_url"]


def run(engine: str, rounds: int, *, seed: int, moods: dict[str, tuple[Rule, ...]] = MOODS) -> Report:
    """The whole drill with one engine, on a database and a server of its own."""
    report = Report(engine, seed)
    with ExitStack() as stack:
        server = stack.enter_context(postgres.cluster()) if ENGINES[engine] == "postgresql" else None
        crm = stack.enter_context(stub_crm.running(LATENCY))
        drill = Drill(server, crm, report)
        stack.callback(drill.close)
        drill.run(rounds, moods)
    return report


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--engine", choices=[*ENGINES, "both"], default="both")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    asked = parser.parse_args()
    broken = 0
    for engine, database in ENGINES.items():
        if asked.engine not in {engine, "both"}:
            continue
        if database == "postgresql" and not postgres.programs():
            print("SKIPPED on PostgreSQL: there is none on this machine")  # noqa: T201
            broken += os.environ.get("REQUIRE_ALL") == "1"
            continue
        print(f"The {engine} engine on {database}", flush=True)  # noqa: T201
        report = run(engine, asked.rounds, seed=asked.seed)
        print(report, flush=True)  # noqa: T201
        broken += len(report.problems)
    return min(broken, 1)


if __name__ == "__main__":
    sys.exit(main())
