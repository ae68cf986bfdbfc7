"""Counts of requests: they add up, whoever counts and however often the database is away."""

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import OperationalError, connection
from django.db.models import Sum
from django.test.utils import CaptureQueriesContext

from leads import tally
from leads.models import Endpoint, Offer, Refusal
from leads.tally import Counts, Tally

Reason = Refusal.Reason
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class Clock:
    """A clock that stands until it is told to go on."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now.timestamp()

    def passes(self, **time: float) -> None:
        self.now += timedelta(**time)


class Database:
    """Stands in for the tables: keeps what is written, or is away."""

    def __init__(self) -> None:
        self.away = False
        self.written = Counts()
        self.writes = 0

    def __call__(self, counts: Counts) -> None:
        if self.away:
            raise OperationalError("server closed the connection")
        self.writes += 1
        self.written.add(counts)

    def total(self) -> int:
        return sum(self.written.refused.values())


def counting_into(
    database: Database, clock: Callable[[], float] = time.time, interval: float | None = None
) -> Tally:
    return Tally(clock=clock, interval=interval, ledger=lambda: database)


def rows() -> list[tuple[datetime, str, int | None, int]]:
    return list(
        Refusal.objects.order_by("minute", "reason").values_list("minute", "reason", "endpoint_id", "times")
    )


# Rows


def test_a_flush_writes_what_was_counted_by_minute_reason_and_url(endpoint: Endpoint) -> None:
    clock = Clock()
    counts = Tally(clock=clock, interval=None)
    counts.refused(Reason.UNKNOWN_KEY)
    counts.refused(Reason.UNKNOWN_KEY)
    counts.refused(Reason.CLOSED_KEY, endpoint.pk)
    clock.passes(seconds=59)
    counts.refused(Reason.UNKNOWN_KEY)
    clock.passes(seconds=1)
    counts.refused(Reason.UNKNOWN_KEY)
    counts.flush()
    assert rows() == [
        (NOON, "closed_key", endpoint.pk, 1),
        (NOON, "unknown_key", None, 3),
        (NOON + timedelta(minutes=1), "unknown_key", None, 1),
    ]


def test_flushes_of_one_minute_add_up_in_one_row(endpoint: Endpoint) -> None:
    clock = Clock()
    counts = Tally(clock=clock, interval=None)
    for _ in range(3):
        counts.refused(Reason.NOT_POST)
        counts.flush()
        clock.passes(seconds=2)
    assert rows() == [(NOON, "not_post", None, 3)]
    clock.passes(minutes=1)
    counts.refused(Reason.NOT_POST)
    counts.flush()
    assert [row[-1] for row in rows()] == [3, 1]


def test_rows_of_several_processes_add_up(db: None) -> None:
    for _ in range(2):
        counts = Tally(clock=Clock(), interval=None)
        counts.refused(Reason.TOO_LARGE)
        counts.flush()
    assert Refusal.objects.aggregate(times=Sum("times"))["times"] == 2


def test_a_row_that_was_pruned_meanwhile_is_written_anew(db: None) -> None:
    counts = Tally(clock=Clock(), interval=None)
    counts.refused(Reason.NOT_POST)
    counts.flush()
    Refusal.objects.all().delete()
    counts.refused(Reason.NOT_POST)
    counts.flush()
    assert rows() == [(NOON, "not_post", None, 1)]


def test_hits_are_added_to_the_url_with_the_time_of_the_last(offer: Offer, endpoint: Endpoint) -> None:
    other, clock = Endpoint.make(offer), Clock()
    counts = Tally(clock=clock, interval=None)
    for _ in range(3):
        clock.passes(seconds=1)
        counts.hit(endpoint.pk)
    counts.flush()
    counts.hit(endpoint.pk)
    counts.flush()
    endpoint.refresh_from_db()
    other.refresh_from_db()
    assert (endpoint.hits, endpoint.last_hit_at) == (4, NOON + timedelta(seconds=3))
    assert (other.hits, other.last_hit_at) == (0, None)


def test_the_last_hit_never_goes_back(endpoint: Endpoint) -> None:
    late, early = (
        Tally(clock=Clock(NOON + timedelta(seconds=2)), interval=None),
        Tally(clock=Clock(), interval=None),
    )
    for counts in (late, early):
        counts.hit(endpoint.pk)
        counts.flush()
    endpoint.refresh_from_db()
    assert (endpoint.hits, endpoint.last_hit_at) == (2, NOON + timedelta(seconds=2))


def test_counts_of_a_url_that_is_gone_stop_no_others(offer: Offer, endpoint: Endpoint) -> None:
    counts, gone = Tally(clock=Clock(), interval=None), Endpoint.make(offer)
    counts.refused(Reason.CLOSED_KEY, gone.pk)
    counts.hit(gone.pk)
    counts.hit(endpoint.pk)
    counts.refused(Reason.UNKNOWN_KEY)
    gone.delete()
    counts.flush()
    endpoint.refresh_from_db()
    assert endpoint.hits == 1
    assert rows() == [(NOON, "unknown_key", None, 1)]


def test_counting_asks_no_database(db: None) -> None:
    with CaptureQueriesContext(connection) as queries:
        tally.refused(Reason.UNKNOWN_KEY)
        tally.refused(Reason.TOO_FAST, 7)
        tally.hit(7)
    assert len(queries) == 0


def test_nothing_counted_writes_nothing(db: None) -> None:
    with CaptureQueriesContext(connection) as queries:
        tally.flush()
    assert len(queries) == 0


def test_a_flood_costs_as_many_queries_as_a_trickle(endpoint: Endpoint) -> None:
    def cost(times: int) -> int:
        counts = Tally(clock=Clock(), interval=None)
        for _ in range(times):
            counts.refused(Reason.UNKNOWN_KEY)
            counts.refused(Reason.TOO_FAST, endpoint.pk)
            counts.hit(endpoint.pk)
        with CaptureQueriesContext(connection) as queries:
            counts.flush()
        return len(queries)

    assert cost(1) == cost(1_000) <= 6


def test_refusals_are_forgotten_after_thirty_days(db: None) -> None:
    for days in (29, 31):
        Refusal.objects.create(minute=NOON - timedelta(days=days), reason=Reason.NOT_POST, times=1)
    assert tally.prune(NOON) == 1
    assert [row[0] for row in rows()] == [NOON - timedelta(days=29)]


# Without a database


def test_while_the_database_is_away_counts_stay_and_are_written_later() -> None:
    database, clock = Database(), Clock()
    counts = counting_into(database, clock)
    database.away = True
    for _ in range(3):
        counts.refused(Reason.UNAVAILABLE)
        counts.hit(7)
        with pytest.raises(OperationalError):
            counts.flush()
        clock.passes(minutes=1)
    database.away = False
    counts.flush()
    assert [times for _, times in sorted(database.written.refused.items())] == [1, 1, 1]
    assert database.written.hits == {7: (3, (NOON + timedelta(minutes=2)).timestamp())}
    counts.flush()
    assert database.writes == 1, "what is written is not written again"


def test_what_a_failed_transaction_took_back_is_counted_again(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = Tally(clock=Clock(), interval=None)
    counts.refused(Reason.NOT_POST)
    counts.hit(endpoint.pk)
    with monkeypatch.context() as broken:
        broken.setattr(tally, "_count_hits", lambda *_: (_ for _ in ()).throw(OperationalError("away")))
        with pytest.raises(OperationalError):
            counts.flush()
    assert rows() == []
    counts.refused(Reason.NOT_POST)
    counts.flush()
    endpoint.refresh_from_db()
    assert (rows(), endpoint.hits) == ([(NOON, "not_post", None, 2)], 1)


def test_a_long_outage_costs_bounded_memory_and_forgets_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "MOST", 10)
    database, clock = Database(), Clock()
    counts = counting_into(database, clock)
    database.away = True
    for minute in range(30):
        counts.refused(Reason.UNAVAILABLE)
        if minute % 7 == 0:
            with pytest.raises(OperationalError):
                counts.flush()
        clock.passes(minutes=1)
    database.away = False
    counts.flush()
    newest = int(NOON.timestamp() // 60) + 29
    assert sorted(minute for minute, _, _ in database.written.refused) == list(range(newest - 9, newest + 1))


# Several threads


def test_counts_of_many_threads_add_up_while_others_flush() -> None:
    database = Database()
    counts = counting_into(database)

    def work(_: int) -> None:
        for number in range(500):
            counts.refused(Reason.UNKNOWN_KEY)
            counts.hit(number % 3)
            if number % 50 == 0:
                counts.flush()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    counts.flush()
    assert database.total() == 4_000
    assert sum(times for times, _ in database.written.hits.values()) == 4_000


@pytest.mark.usefixtures("own_database")
def test_flushes_of_several_processes_reach_the_database_whole() -> None:
    offer = Offer.objects.create(publisher_id="contoso", offer_id="backup", title="Contoso Backup")
    urls = [Endpoint.make(offer).pk for _ in range(3)]

    def work(number: int) -> None:
        counts = Tally(interval=None)
        for _ in range(5):
            for pk in urls if number % 2 else reversed(urls):
                counts.hit(pk)
                counts.refused(Reason.TOO_FAST, pk)
            counts.flush()
        connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert set(Endpoint.objects.values_list("hits", flat=True)) == {20}
    assert Refusal.objects.aggregate(times=Sum("times"))["times"] == 60


# The thread that writes


def soon(what: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not (done := what()) and time.monotonic() < deadline:
        time.sleep(0.005)
    return done


def writers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "tally"]


def test_what_is_counted_is_written_soon_and_then_no_thread_is_left(db: None) -> None:
    database = Database()
    counts = counting_into(database, interval=0.01)
    assert writers() == []
    for times in (1, 2):
        counts.refused(Reason.UNKNOWN_KEY)
        assert len(writers()) == 1
        assert soon(lambda: database.total() == times)  # noqa: B023
        assert soon(lambda: not writers())


def test_the_thread_survives_an_outage_and_tells_it_once(db: None, caplog: pytest.LogCaptureFixture) -> None:
    database = Database()
    database.away = True
    counts = counting_into(database, interval=0.01)
    with caplog.at_level(logging.WARNING, logger="leads"):
        counts.refused(Reason.UNAVAILABLE)
        assert soon(lambda: bool(caplog.records))
        time.sleep(0.1)
        assert len(writers()) == 1
        database.away = False
        assert soon(lambda: not writers())
    assert database.total() == 1
    assert len(caplog.records) == 1


def test_a_process_without_room_for_a_thread_counts_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    database = Database()
    counts = counting_into(database, interval=60)
    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", no_room)
        counts.refused(Reason.UNKNOWN_KEY)
        counts.refused(Reason.UNKNOWN_KEY)
    counts.flush()
    assert database.total() == 2


FORKING = """
import multiprocessing, os, time
from leads import tally

parent = os.getpid()

def ledger():
    return lambda counts: print("parent" if os.getpid() == parent else "child", sum(counts.refused.values()), flush=True)

def child():
    for _ in range(3):
        tally.refused("unknown_key")

tally._tally = tally.Tally(ledger=ledger, interval=60)
tally.refused("unknown_key")
worker = multiprocessing.get_context("fork").Process(target=child)
worker.start()
worker.join()
"""


def test_a_forked_process_counts_for_itself_and_both_write_when_they_end() -> None:
    """As the web server forks its workers; they end without atexit."""
    script = "import django; django.setup()\n" + FORKING
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=Path(__file__).resolve().parents[2],
        env={"DJANGO_SETTINGS_MODULE": "tests.settings"},
    )
    assert done.stdout.splitlines() == ["child 3", "parent 1"], done.stderr
