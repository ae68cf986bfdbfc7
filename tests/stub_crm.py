"""A CRM at the far side for benchmarks and drills: a process of its own on loopback that is cheap, slow and wicked.

    with stub_crm.running(latency=0.1) as crm:
        crm.url  # takes a lead by POST, as a webhook does; its key is the webhook-id
        crm.batch_url  # takes {"leads": [{"key", "data"}, ...]}, at most 100
        crm.misbehave({"do": "drop", "every": 7}, {"do": "status", "status": 429, "retry_after": 1, "times": 3})
        crm.ledger()  # what it was sent, see Ledger.as_dict

It answers after its latency, and keeps one record a key: what comes again under a key changes nothing. A write is
carried out whatever becomes of the connection meanwhile, as a CRM does. It ends when its parent does.

What it may be told to `do` with every nth call, or with the next `times`:

    drop       write, and hang up without an answer
    garbage    write, and answer what is not HTTP
    huge       write, and answer with 10 MB
    drip       write, and answer one byte a second
    redirect   write nothing, and answer 302 to itself
    status     answer `status`, with Retry-After where `retry_after` says so; writes where `writes` is true
    field      write nothing, and refuse the field `field`
"""

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LATENCY = 0.1  # seconds
BATCH = 100
HUGE = 10 * 1024 * 1024
Rule = dict[str, Any]


# --- The ledger ----------------------------------------------------------------------------------------------


class Ledger:
    """What came: how often each key, what was written under it, and how many were on their way at once."""

    def __init__(self) -> None:
        self.calls = self.answered = 0
        self.tries: Counter[str] = Counter()
        self.records: dict[str, str] = {}
        self.in_flight = self.most_in_flight = self.most_of_one_key = 0
        self.seconds: Counter[int] = Counter()
        self.first = self.last = 0.0
        self._under_way: Counter[str] = Counter()

    def receive(self, keys: Sequence[str]) -> None:
        now = time.monotonic()
        self.first = self.first or now
        self.calls += 1
        self.seconds[int(now)] += len(keys)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        for key in keys:
            self.tries[key] += 1
            self._under_way[key] += 1
            self.most_of_one_key = max(self.most_of_one_key, self._under_way[key])

    def part(self, keys: Sequence[str]) -> None:
        """The sender has its answer, or is gone."""
        self.in_flight -= 1
        for key in keys:
            self._under_way[key] -= 1

    def answer(self, keys: Sequence[str]) -> None:
        self.answered += len(keys)
        self.last = time.monotonic()

    def write(self, records: dict[str, str]) -> list[bool]:
        """Keep what is new; says of each key whether it was there already."""
        existed = [key in self.records for key in records]
        for key, lead in records.items():
            self.records.setdefault(key, lead)
        return existed

    def as_dict(self, *, brief: bool) -> dict[str, Any]:
        """`records`: the lead's id by key; `tries`: how often each key came. Seconds are of time.monotonic()."""
        named = {} if brief else {"tries": self.tries, "records": self.records}
        return named | {
            "calls": self.calls,
            "received": self.tries.total(),
            "written": len(self.records),
            "answered": self.answered,
            "in_flight": self.in_flight,
            "most_in_flight": self.most_in_flight,
            "most_of_one_key": self.most_of_one_key,
            "most_a_second": max(self.seconds.values(), default=0),
            "first": self.first,
            "last": self.last,
        }


# --- The server ----------------------------------------------------------------------------------------------


class Crm:
    """What all connections share."""

    def __init__(self, latency: float) -> None:
        self.latency, self.ledger = latency, Ledger()
        self.plan: list[Rule] = []

    def misbehaviour(self) -> Rule | None:
        """What to do with this call: the first rule whose turn it is."""
        chosen = None
        for rule in self.plan:
            rule["seen"] = rule.get("seen", 0) + 1
            due = rule["seen"] % rule.get("every", 1) == 0 and rule.get("times", 1) > 0
            if due and chosen is None:
                chosen = rule
                if "times" in rule:
                    rule["times"] -= 1
        return chosen


class _Connection(asyncio.Protocol):
    def __init__(self, crm: Crm) -> None:
        self.crm, self._buffer = crm, b""
        self._keys: list[Sequence[str]] = []
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        for keys in self._keys:
            self.crm.ledger.part(keys)
        self._keys.clear()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while request := self._next():
            self._serve(*request)

    def _next(self) -> tuple[str, str, dict[str, str], bytes] | None:
        """The next whole request of the buffer: method, path, headers, body."""
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        length = int(headers.get("content-length", 0))
        if len(rest) < length:
            return None
        self._buffer = rest[length:]
        method, path, _ = first.split(" ", 2)
        return method, path, headers, rest[:length]

    def _serve(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        match method, path:
            case "POST", "/leads":
                said = json.loads(body)
                lead = str((said.get("data") or {}).get("id", ""))
                self._take({headers.get("webhook-id", lead): lead})
            case "POST", "/batch":
                items = json.loads(body)["leads"]
                if len(items) > BATCH:
                    return self._answer(413, {"error": {"message": f"More than {BATCH} leads"}})
                self._take({item["key"]: str(item["data"].get("id", "")) for item in items}, batch=True)
            case "POST", "/plan":
                self.crm.plan = json.loads(body)
                self._answer(200, {})
            case "POST", "/settings":
                self.crm.latency = json.loads(body)["latency"]
                self._answer(200, {})
            case "POST", "/forget":
                self.crm.ledger = Ledger()
                self._answer(200, {})
            case "GET", "/ledger" | "/ledger?brief":
                self._answer(200, self.crm.ledger.as_dict(brief=path.endswith("brief")))
            case _:
                self._answer(200, None)  # a HEAD, by which a connection is tested
        return None

    def _take(self, records: dict[str, str], *, batch: bool = False) -> None:
        keys = tuple(records)
        self._keys.append(keys)
        self.crm.ledger.receive(keys)
        self._loop.call_later(self.crm.latency, self._finish, records, keys, batch, self.crm.misbehaviour())

    def _finish(self, records: dict[str, str], keys: Sequence[str], batch: bool, rule: Rule | None) -> None:
        do = rule["do"] if rule else ""
        writes = rule.get("writes", do not in {"redirect", "status", "field"}) if rule else True
        existed = self.crm.ledger.write(records) if writes else []
        if self.transport.is_closing():
            return  # whoever asked is gone
        if rule:
            self._do[do](self, rule)
        else:
            self.crm.ledger.answer(keys)
            states = [{"existed": known} for known in existed]
            self._answer(200, {"leads": states} if batch else states[0])
        if keys in self._keys:
            self._keys.remove(keys)
            self.crm.ledger.part(keys)

    def _answer(self, status: int, body: Any, *headers: str) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        self._head(status, len(content), *headers)
        self.transport.write(content)

    def _head(self, status: int, length: int, *headers: str) -> None:
        lines = [f"HTTP/1.1 {status} Said", "Content-Type: application/json", f"Content-Length: {length}"]
        self.transport.write(("\r\n".join([*lines, *headers]) + "\r\n\r\n").encode())

    # What it does to whoever asks

    def _drop(self, rule: Rule) -> None:
        self.transport.abort()

    def _garbage(self, rule: Rule) -> None:
        self.transport.write(b"\x00\xff\x16\x03 gibberish \r\n\r\n" * 20)
        self.transport.close()

    def _huge(self, rule: Rule) -> None:
        self._head(200, HUGE)
        self.transport.write(b"x" * HUGE)

    def _drip(self, rule: Rule) -> None:
        self._head(200, 3600)
        self._drop_by_drop()

    def _drop_by_drop(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(b" ")
            self._loop.call_later(1.0, self._drop_by_drop)

    def _redirect(self, rule: Rule) -> None:
        self._answer(302, {}, "Location: /leads")

    def _status(self, rule: Rule) -> None:
        later = [f"Retry-After: {rule['retry_after']}"] if "retry_after" in rule else []
        self._answer(rule["status"], {"error": {"message": "Told to."}}, *later)

    def _field(self, rule: Rule) -> None:
        self._answer(422, {"error": {"message": "There is no such field.", "field": rule["field"]}})

    _do: dict[str, Callable[..., None]] = {
        "drop": _drop,
        "garbage": _garbage,
        "huge": _huge,
        "drip": _drip,
        "redirect": _redirect,
        "status": _status,
        "field": _field,
    }


async def serve(latency: float) -> None:
    crm, loop = Crm(latency), asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(crm), "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201
    parent_is_gone = asyncio.Event()
    threading.Thread(
        target=lambda: (sys.stdin.read(), loop.call_soon_threadsafe(parent_is_gone.set)), daemon=True
    ).start()
    await parent_is_gone.wait()


# --- Whoever starts it ---------------------------------------------------------------------------------------


class StubCrm:
    """A running one, as its parent sees it. Use `running()`, which ends it."""

    def __init__(self, latency: float) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.stub_crm", str(latency)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        self.port = int(self._process.stdout.readline())
        self.url, self.batch_url = (f"http://127.0.0.1:{self.port}/{path}" for path in ("leads", "batch"))

    def misbehave(self, *plan: Rule) -> None:
        """From now on; without a rule it behaves."""
        self._ask("POST", "/plan", plan)

    def answer_after(self, latency: float) -> None:
        self._ask("POST", "/settings", {"latency": latency})

    def forget(self) -> None:
        """Start a new ledger."""
        self._ask("POST", "/forget", {})

    def ledger(self, *, brief: bool = False) -> dict[str, Any]:
        """`brief`: without the keys."""
        return self._ask("GET", "/ledger?brief" if brief else "/ledger")

    def wait_until(self, holds: Callable[[dict[str, Any]], bool], within: float) -> dict[str, Any]:
        """Wait until its brief ledger satisfies a condition; returns that."""
        deadline = time.monotonic() + within
        while not holds(said := self.ledger(brief=True)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"after {within:.0f} s the far side has {said}")
            time.sleep(0.05)
        return said

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def stop(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


@contextmanager
def running(latency: float = LATENCY) -> Iterator[StubCrm]:
    """One for the length of a test."""
    crm = StubCrm(latency)
    try:
        yield crm
    finally:
        crm.stop()


def main() -> None:
    run: Callable[..., Any] = asyncio.run
    with suppress(ImportError):  # it is not on every system
        import uvloop

        run = uvloop.run
    run(serve(float(sys.argv[1])))


if __name__ == "__main__":
    main()
