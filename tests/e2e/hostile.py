"""Hostile bodies, and what a site must do with each: answer in time with a documented status, store what it says it
stored, and neither grow nor crash.

`bodies(seed)` is the same endless sequence for the same seed: first every named case, then mutations of the real
payloads. `attack(site, seed, count)` posts that many and returns what did not hold.
"""

import gzip
import hashlib
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from itertools import count, islice
from pathlib import Path
from subprocess import run
from typing import Any
from uuid import UUID

from tests.e2e.conftest import Site, wait_until

LIMIT = 256 * 1024
PAYLOADS = Path(__file__).resolve().parents[1] / "payloads"
STORED, REFUSED = {200, 201, 202, 400}, {413}
AT_ONCE, TRIES = (
    1.0,
    4,
)  # seconds; one that took longer is tried again alone, as the machine may have been busy
PATIENCE = 30.0
AT_REST = 120.0  # seconds that the worker has to come round to all that was posted
SENDERS = 3
JSON, FORM = "application/json", "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Hostile:
    """A body, and the Content-Type it is sent with."""

    name: str
    body: bytes
    content_type: str = JSON

    @property
    def is_too_large(self) -> bool:
        return len(self.body) > LIMIT


# Bodies


def _in(value: bytes, key: bytes = b"LeadSource") -> bytes:
    return b'{"%s": %s}' % (key, value)


def _full(start: bytes, unit: bytes, end: bytes = b"") -> bytes:
    """As large as a body may be."""
    return start + unit * ((LIMIT - len(start) - len(end)) // len(unit)) + end


NAMED: dict[str, bytes] = {
    "nothing": b"",
    "white space": _full(b"", b" \r\n\t"),
    "byte order mark alone": b"\xef\xbb\xbf",
    "half of UTF-16": b"\xff\xfe{\x00}",
    "UTF-16": json.dumps({"LeadSource": "\U0001f600"}).encode("utf-16"),
    "UTF-32": json.dumps({"LeadSource": "x"}).encode("utf-32"),
    "broken UTF-8": _in(b'"\xff\xc3\x28\xed\xa0\x80\xf8\x88\x80\x80\x80"'),
    "overlong UTF-8": _in(b'"\xc0\xaf\xe0\x80\xaf"'),
    "every byte": bytes(range(256)) * 100,
    "lone surrogates": _in(rb'"\ud800 \udfff \udc00\ud800"'),
    "a lone surrogate in a name": rb'{"\ud800": 1, "UserDetails": {"\udfff": "\u0000"}}',
    "NUL": b'{"UserDetails": {"FirstName": "a\x00b\\u0000c"}, "\\u0000": "\x00"}',
    "control characters": _in(b'"' + bytes(range(1, 32)).replace(b"\n", b"") + b'"'),
    "direction of writing": json.dumps({"OfferTitle": "\u202e\u2066abc\u2069\u200b"}).encode(),
    "64 deep": _in(b"[" * 63 + b"]" * 63),
    "65 deep": _in(b"[" * 64 + b"]" * 64),
    "100,000 deep": b"[" * 100_000,
    "deep objects": _full(b"", b'{"a":'),
    "deep and closed": _in(b"[" * 130_000 + b"]" * 130_000),
    "brackets in a text": _full(b'{"Description": "', b"[{", b'"}'),
    "quotes": _full(b'{"', b'\\"', b'": 1}'),
    "backslashes": _full(b'{"a": "', b"\\\\", b'"}'),
    "an open text": _full(b'{"a": "', b"x"),
    "an enormous number": _full(b'{"UserDetails": {"Phone": ', b"9", b"}}"),
    "an enormous fraction": _full(b'{"UserDetails": {"Phone": 0.', b"9", b"}}"),
    "an enormous power": _in(b"[1e999999999, -1e999999999, 1e-999999999]", b"x"),
    "no numbers": _in(b"[NaN, Infinity, -Infinity, -0, -0.0]", b"x"),
    "not quite numbers": _in(b"[01, +1, .5, 1., 0x10, 1_000]", b"x"),
    "the same key": _full(b'{"a":1', b',"a":1', b"}"),
    "the same key in all spellings": _full(b'{"Email":1', b',"e_mail":1,"EMAIL":2,"E_M_A_I_L":""', b"}"),
    "many keys": b"{" + b",".join(b'"k%d":%d' % (n, n) for n in range(16_000)) + b"}",
    "many items": _full(b'{"x":[0', b",0", b"]}"),
    "many objects": _full(b'{"x":[{}', b",{}", b"]}"),
    "a long key": _full(b'{"', b"k", b'": 1}'),
    "a long name": _full(b'{"UserDetails": {"FirstName": "', b"n", b'"}}'),
    "a long e-mail": _full(b'{"UserDetails": {"Email": "', b"a@", b'"}}'),
    "a long host of an e-mail": _full(b'{"UserDetails": {"Email": "a@', b"a.", b'com"}}'),
    "a long phone": _full(b'{"UserDetails": {"Country": "US", "Phone": "', b"+1 (5) ", b'"}}'),
    "a long country": _full(b'{"UserDetails": {"Country": "', b"United ", b'"}}'),
    "a long source": _full(b'{"LeadSource": "', b"SPZA-INS|a.b", b'"}'),
    "bars": _full(b'{"LeadSource": "', b"|-", b'"}'),
    "test marks": _full(b'{"LeadSource": "', b"MSFT_TEST_", b'"}'),
    "a test mark of the far future": _in(b'"MSFT_TEST_' + b"9" * 5000 + b'"'),
    "a long campaign": _full(b'{"Description": "', b"a=b&", b'"}'),
    "a campaign in a campaign": json.dumps(
        {"Description": json.dumps({"a": json.dumps({"b": "[" * 200})})}
    ).encode(),
    "details as text": _in(json.dumps(json.dumps({"Email": "x" * 1000})).encode(), b"UserDetails"),
    "details as a list": _in(b"[[]]", b"UserDetails"),
    "details of details": b'{"UserDetails": ' * 50 + b"1" + b"}" * 50,
    "Python's own names": b'{"__class__": {"__init__": 1}, "__proto__": {"x": 1}, "{}": "%s{0.__class__}"}',
    "a formula": b'{"UserDetails": {"FirstName": "=HYPERLINK(\\"http://evil.example\\")", "Phone": "=1+1"}}',
    "a script": b'{"UserDetails": {"FirstName": "<script>alert(1)</script>", "Email": "\\"><img src=x>"}}',
    "a template": _in(b'"{{ settings.SECRET_KEY }}{% load x %}${7*7}#{7*7}"'),
    "SQL": _in(b'"\'; DROP TABLE leads_lead; --"'),
    "headers": _in(b'"a\\r\\nBcc: everyone@example.com\\r\\n\\r\\n"'),
    "a list": b"[{}]",
    "a word": b"null",
    "HTML": b"<!DOCTYPE html><script>alert(1)</script>",
    "XML that grows": b'<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><a>&c;</a>',
    "compressed": gzip.compress(b"{}" * 10_000),
    "exactly as large as it may be": _full(b'{"a": "', b"x", b'"}'),
    "a byte too large": b"x" * (LIMIT + 1),
    "10 MB": b"[" * 10_000_000,
}
FORMS: dict[str, bytes] = {
    "a form": b"first_name=J%00n&last_name=%FF%FE&email=%ud800",
    "many fields": _full(b"a=b", b"&a=b"),
    "percent signs": _full(b"a=", b"%"),
    "equals signs": _full(b"a", b"="),
    "ampersands": _full(b"a=b", b"&"),
}
_TOKENS = (
    b"\x00", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\\ud800", b"\\u0000", b"\\", b'"', b"'", b"{", b"}", b"[",
    b"]", b",", b":", b"null", b"true", b"-0", b"1e999", b"NaN", b"9" * 400, b"UserDetails", b'"Email":', b"|", b"&",
    b"=", b"%00", b"\r\n", b"<script>", b"=HYPERLINK(", b"\xe2\x80\xae", b"\xf0\x9f\x98\x80", b"//", b"/*", b"MSFT_TEST_",
)  # fmt: skip


def bodies(seed: int) -> Iterator[Hostile]:
    """Every named case, then mutations without end."""
    for name, body in NAMED.items():
        yield Hostile(name, body)
    for name, body in FORMS.items():
        yield Hostile(name, body, FORM)
    chance = random.Random(seed)
    real = [path.read_bytes() for path in sorted(PAYLOADS.iterdir()) if path.name != "expected.json"]
    for number in count():
        body = bytearray(chance.choice(real))
        for _ in range(chance.choice((1, 1, 2, 2, 5))):
            chance.choice(_MUTATIONS)(body, chance)
        yield Hostile(
            f"mutation {number}", bytes(body[:LIMIT]), chance.choice((JSON, JSON, FORM, "text/plain", "\t"))
        )


def _flip(body: bytearray, chance: random.Random) -> None:
    if body:
        body[chance.randrange(len(body))] ^= 1 << chance.randrange(8)


def _slice(body: bytearray, chance: random.Random) -> slice:
    start = chance.randrange(len(body) + 1)
    return slice(start, min(len(body), start + chance.choice((1, 2, 10, 100))))


def _remove(body: bytearray, chance: random.Random) -> None:
    del body[_slice(body, chance)]


def _repeat(body: bytearray, chance: random.Random) -> None:
    part = _slice(body, chance)
    body[part] = body[part] * chance.choice((2, 3, 100))


def _insert(body: bytearray, chance: random.Random) -> None:
    place = chance.randrange(len(body) + 1)
    body[place:place] = chance.choice(_TOKENS)


def _cut(body: bytearray, chance: random.Random) -> None:
    del body[chance.randrange(len(body) + 1) :]


def _noise(body: bytearray, chance: random.Random) -> None:
    body[_slice(body, chance)] = chance.randbytes(8)


def _encode(body: bytearray, chance: random.Random) -> None:
    text = body.decode("utf-8", "replace")
    body[:] = text.encode(chance.choice(("utf-16", "utf-16-le", "utf-32", "latin-1", "utf-8-sig")), "replace")


def _nest(body: bytearray, chance: random.Random) -> None:
    depth = chance.choice((1, 30, 70))
    body[:] = b'{"UserDetails":' * depth + body + b"}" * depth


_MUTATIONS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    _flip, _flip, _remove, _repeat, _insert, _insert, _cut, _noise, _encode, _nest,
)  # fmt: skip


# What must hold


@dataclass
class Report:
    """What came of an attack; `problems` says in sentences what did not hold."""

    seed: int
    statuses: Counter[int] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    slowest: float = 0.0
    slow: list[Hostile] = field(default_factory=list)
    stored: dict[bytes, int] = field(default_factory=dict)  # how often, by the body's digest
    ids: dict[str, str] = field(default_factory=dict)  # that were answered: "id" of a lead, or "submission"
    growth: float = 0.0  # MB

    def __str__(self) -> str:
        statuses = ", ".join(f"{number} x {status}" for status, number in sorted(self.statuses.items()))
        figures = (
            f"seed {self.seed}, {sum(self.statuses.values())} bodies: {statuses}; slowest {self.slowest:.2f} s, "
            f"{len(self.slow)} tried again alone; memory grew by {self.growth:.1f} MB"
        )
        return "\n".join([figures, *(f"BROKEN: {problem}" for problem in self.problems)])


def attack(site: Site, seed: int, number: int, *, warm_up: int, most_growth: float) -> Report:
    """Post that many bodies, several at a time; `warm_up` is after how many memory is first looked at.

    Where memory grew too much, as many bodies are posted again: a leak grows again; what a process keeps of the busiest
    moment that it has seen, more on a busy machine, does not.
    """
    report = Report(seed)
    before = _counted(site)
    source = bodies(seed)
    _fire(site, islice(source, warm_up), report)
    early = _memory_at_rest(site)
    for _ in range(2):
        _fire(site, islice(source, number - warm_up), report)
        late = _memory_at_rest(site)
        if early.keys() != late.keys():
            report.problems.append(f"a process of the site ended: there were {early}, there are {late}")
            break
        report.growth, grown = max((late[pid] - early[pid], pid) for pid in late)
        if report.growth <= most_growth:
            break
        early = late
    else:
        report.problems.append(
            f"a process grew by {report.growth:.1f} MB again: {site.processes().get(grown)}"
        )
    _try_again_alone(site, report)
    _check_rows(site, report, before)
    if "Traceback" in site.log():
        report.problems.append(f"a traceback in the log: {site.log()[-2000:]}")
    return report


def _memory_at_rest(site: Site) -> dict[int, float]:
    """The resident memory of each process of a site, in MB, when its worker has come round to every lead."""
    owed = "SELECT count(*) FROM leads_lead WHERE routed_at IS NULL"
    under_way = "SELECT count(*) FROM crm_sync_delivery WHERE state = 'leased'"
    wait_until(
        lambda: site.rows(owed) == site.rows(under_way) == [(0,)], AT_REST, "coming round to every lead"
    )
    listing = run(["ps", "-A", "-o", "pid=,pgid=,rss="], capture_output=True, text=True, check=True).stdout
    rows = (tuple(map(int, line.split())) for line in listing.splitlines())
    alive = site.processes()
    return {pid: rss / 1024 for pid, group, rss in rows if group == site.pid and pid in alive}


def _fire(site: Site, hostile: Iterator[Hostile], report: Report) -> None:
    lock = threading.Lock()

    def send() -> None:
        connection = HTTPConnection("127.0.0.1", site.port, timeout=PATIENCE)
        while True:
            with lock:
                item = next(hostile, None)
            if item is None:
                break
            try:
                status, seconds, answer = post(connection, site.path, item)
            except (OSError, HTTPException, ValueError) as error:
                connection.close()
                # Whoever is refused while he still sends may find the connection closed before he can read why.
                if not item.is_too_large:
                    with lock:
                        report.problems.append(f"{item.name}: no answer, {error!r}: {item.body[:200]!r}")
                continue
            with lock:
                _note(report, item, status, seconds, answer)
        connection.close()

    senders = [threading.Thread(target=send) for _ in range(SENDERS)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()


def post(connection: HTTPConnection, path: str, item: Hostile) -> tuple[int, float, dict[str, Any]]:
    start = time.monotonic()
    connection.request("POST", path, item.body, {"Content-Type": item.content_type})
    response = connection.getresponse()
    content = response.read()
    return response.status, time.monotonic() - start, json.loads(content)


def _note(report: Report, item: Hostile, status: int, seconds: float, answer: dict[str, Any]) -> None:
    report.statuses[status] += 1
    report.slowest = max(report.slowest, seconds)
    if status not in (REFUSED if item.is_too_large else STORED):
        report.problems.append(f"{item.name}: {status} {answer}: {item.body[:200]!r}")
    if seconds > AT_ONCE:
        report.slow.append(item)
    if status in STORED:
        digest = hashlib.sha256(item.body).digest()
        report.stored[digest] = report.stored.get(digest, 0) + 1
        name = "id" if "id" in answer else "submission"
        report.ids[UUID(answer[name]).hex] = name
        if status == 400 and not answer["errors"]:
            report.problems.append(f"{item.name}: 400 without a reason: {item.body[:200]!r}")


def _try_again_alone(site: Site, report: Report) -> None:
    """Only what is slow on a machine with nothing else to do is slow."""
    connection = HTTPConnection("127.0.0.1", site.port, timeout=PATIENCE)
    for item in report.slow:
        times = []
        limit = AT_ONCE * _slowdown()
        for number in range(TRIES):
            # Not the same body again, which would be answered as a repeat: white space at its end.
            again = Hostile(item.name, item.body[: LIMIT - TRIES] + b" " * (number + 1), item.content_type)
            status, seconds, answer = post(connection, site.path, again)
            _note_again(report, again, status, answer)
            times.append(seconds)
            if seconds <= limit:
                break
        else:
            report.problems.append(f"{item.name}: {min(times):.2f} s at best: {item.body[:200]!r}")
    connection.close()


def _slowdown() -> float:
    """How much longer than on a quiet machine things take just now."""
    wall, processor = time.monotonic(), time.thread_time()
    while time.thread_time() - processor < 0.05:
        pass
    return max(1.0, (time.monotonic() - wall) / 0.05)


def _note_again(report: Report, item: Hostile, status: int, answer: dict[str, Any]) -> None:
    slow, slowest = report.slow, report.slowest
    report.slow = []
    _note(report, item, status, 0.0, answer)
    report.slow, report.slowest = slow, slowest


def _counted(site: Site) -> tuple[int, int]:
    # Of the attacked URL, the demo offer's, which is the first: others may send to other offers meanwhile.
    ((rows, times),) = site.rows(
        "SELECT count(*), coalesce(sum(times_received), 0) FROM leads_submission "
        "WHERE endpoint_id = (SELECT min(id) FROM leads_endpoint)"
    )
    return rows, int(times)


def _check_rows(site: Site, report: Report, before: tuple[int, int]) -> None:
    """Whoever was told that his lead is stored finds it stored; and each body has one row."""
    rows, times = _counted(site)
    wanted = (before[0] + len(report.stored), before[1] + sum(report.stored.values()))
    if (rows, times) != wanted:
        report.problems.append(f"stored are {rows} requests that came {times} times; answered were {wanted}")
    for name, table in (("id", "leads_lead"), ("submission", "leads_submission")):
        there = {row[0] for row in site.rows(f"SELECT id FROM {table}")}
        lost = [key for key, kind in report.ids.items() if kind == name and key not in there]
        if lost:
            report.problems.append(f"{len(lost)} answered ids are not in {table}: {lost[:3]}")
