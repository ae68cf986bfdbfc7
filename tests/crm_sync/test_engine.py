"""The engine for one machine: who wakes it, what it does without being woken, and how it ends."""

import os
import select
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.db.backends.signals import connection_created

from crm_sync import delivery, routing
from crm_sync.engine import embedded
from crm_sync.models import Attempt, Delivery, DemoRecord, Destination, Route, Worker
from crm_sync.outcomes import Delivered, DestinationFault, Outcome, RetryLater
from leads import ports
from tests.crm_sync.sending import (
    Crm,
    database_in,
    install,
    make_destination,
    make_lead,
    make_offer,
    make_route,
)

pytestmark = pytest.mark.django_db

SOON = 20.0  # seconds; nothing waits that long unless it is broken


@pytest.fixture(autouse=True)
def data_dir(settings: Any) -> Iterator[Path]:
    """A directory of its own with a short path, as a Unix socket needs it."""
    path = Path(tempfile.mkdtemp(prefix="engine-"))
    settings.DATA_DIR = path
    yield path
    shutil.rmtree(path)


@pytest.fixture
def crm(monkeypatch: pytest.MonkeyPatch) -> Crm:
    return install(monkeypatch)


# --- The bell ------------------------------------------------------------------------------------------------


@contextmanager
def nobody() -> Iterator[None]:
    yield


@contextmanager
def somebody_who_does_not_listen() -> Iterator[None]:
    with embedded._listening() as bell:
        for _ in range(5_000):  # more than any queue of datagrams holds
            embedded.ring()
        yield
        bell.setblocking(False)
        assert bell.recv(1) == b"1"


@contextmanager
def somebody_who_died() -> Iterator[None]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
        bell.bind(str(embedded.socket_path()))
    yield


@contextmanager
def something_that_is_no_bell() -> Iterator[None]:
    embedded.socket_path().mkdir()
    yield


@pytest.mark.parametrize(
    "there", [nobody, somebody_who_does_not_listen, somebody_who_died, something_that_is_no_bell]
)
def test_a_ring_neither_raises_nor_waits_whoever_is_there(there: Callable[[], Any]) -> None:
    with there():
        embedded.ring()


def test_a_ring_to_a_path_too_long_for_a_socket_is_lost_like_any_other(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.DATA_DIR = settings.DATA_DIR / ("x" * 120)
    settings.DATA_DIR.mkdir()
    embedded.ring()
    with embedded._listening():
        assert "No bell at" in caplog.text


def test_a_bell_that_fails_never_reaches_whoever_stored_a_lead(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ports.ports, "bell", [lambda: 1 / 0])
    ports.ring()
    assert "The bell failed" in caplog.text


def test_intake_rings_this_bell() -> None:
    assert embedded.ring in ports.ports.bell


def test_only_this_user_may_ring() -> None:
    with embedded._listening():
        assert stat.S_IMODE(embedded.socket_path().stat().st_mode) == 0o600
    assert not embedded.socket_path().exists()


def test_many_rings_are_one() -> None:
    with embedded._listening() as bell:
        for _ in range(3):
            embedded.ring()
        embedded._wait_for(bell)
        assert select.select([bell], [], [], 0)[0] == []


# --- The only worker -----------------------------------------------------------------------------------------


def test_a_second_worker_is_told_to_go(data_dir: Path) -> None:
    with embedded.only_worker() as first, embedded.only_worker() as second:
        assert (first, second) == (True, False)
        with pytest.raises(CommandError, match="already"):
            call_command("deliver")
    with embedded.only_worker() as third:
        assert third


_HOLDER = """
import django
django.setup()
from crm_sync.engine import embedded
with embedded.only_worker() as alone:
    print(alone, flush=True)
    input()
"""


def test_a_worker_that_is_killed_lets_go_of_the_lock(data_dir: Path) -> None:
    names = ("SECRET_KEY", "FIELD_ENCRYPTION_KEYS", "LEADSITE_ENV_FILE", "PATH")
    environment = {name: os.environ[name] for name in names} | {
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "DATA_DIR": str(data_dir),
        "DATABASE_URL": f"sqlite:///{data_dir}/x.sqlite3",
    }
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER],
        cwd=Path(__file__).resolve().parents[2],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "True\n"
            with embedded.only_worker() as alone:
                assert not alone
        finally:
            holder.send_signal(signal.SIGKILL)
        holder.wait(SOON)
    with embedded.only_worker() as alone:
        assert alone


# --- deliver --drain -----------------------------------------------------------------------------------------


@pytest.fixture
def route(crm: Crm) -> Route:
    return make_route(make_offer(), make_destination())


def told(capsys: pytest.CaptureFixture[str]) -> str:
    call_command("deliver", drain=True)
    return capsys.readouterr().out


def test_drain_routes_and_pushes_what_is_due_and_ends(
    route: Route, crm: Crm, capsys: pytest.CaptureFixture[str]
) -> None:
    other = make_route(route.offer, make_destination())
    for _ in range(3):
        make_lead(route.offer)
    assert told(capsys) == "6 pushed, 0 still owed.\n"
    assert other.deliveries.filter(state="delivered").count() == 3
    assert told(capsys) == "0 pushed, 0 still owed.\n"


def test_drain_says_what_is_still_owed(route: Route, crm: Crm, capsys: pytest.CaptureFixture[str]) -> None:
    make_lead(route.offer)
    crm.always = RetryLater("Busy.", delay=60)
    assert told(capsys) == "1 pushed, 1 still owed.\n"


def test_drain_takes_back_what_a_killed_worker_left(
    route: Route, crm: Crm, capsys: pytest.CaptureFixture[str]
) -> None:
    make_lead(route.offer)
    routing.route_everything(delivery.now())
    assert delivery.claim(route.destination_id, 1, at=delivery.now())
    assert told(capsys) == "1 pushed, 0 still owed.\n"
    assert crm.retries == [True]


@pytest.mark.parametrize("stuck", ["no_slots", "stopped"])
def test_drain_ends_though_something_due_cannot_be_pushed(
    stuck: str, route: Route, crm: Crm, capsys: pytest.CaptureFixture[str]
) -> None:
    make_lead(route.offer)
    if stuck == "no_slots":
        Destination.objects.update(max_in_flight=0)
    else:
        crm.always, crm.healthy = DestinationFault("Wrong key."), False
    assert told(capsys).endswith(" 1 still owed.\n")


def test_drain_leaves_the_work_to_a_worker_that_runs_and_waits_for_it(
    route: Route, crm: Crm, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_lead(route.offer)
    rings = []

    def ring() -> None:
        rings.append(1)
        embedded.drain_once()  # what the worker does

    monkeypatch.setattr(embedded, "ring", ring)
    with embedded.only_worker():
        assert told(capsys) == "The running worker did it, 0 still owed.\n"
    assert rings


# --- The engine at work --------------------------------------------------------------------------------------


@pytest.fixture
def in_a_file(data_dir: Path, crm: Crm) -> Iterator[None]:
    with database_in(data_dir):
        yield


@contextmanager
def running() -> Iterator[embedded.Engine]:
    """An engine in a thread of its own; stopped and waited for at the end."""
    engine = embedded.Engine()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            engine.run()
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield engine
    finally:
        engine.stop()
        thread.join(SOON)
    assert not thread.is_alive()
    assert errors == []


class Gate:
    """A CRM that says when a lead has come, and answers when it is told."""

    def __init__(self, crm: Crm, *, open: bool = True) -> None:  # noqa: A002
        self.came, self.may_answer = threading.Semaphore(0), threading.Event()
        if open:
            self.may_answer.set()
        crm.always = self

    def __call__(self, record: dict[str, Any]) -> Outcome:
        self.came.release()
        assert self.may_answer.wait(SOON)
        return Delivered("1")

    def wait_for_a_lead(self) -> None:
        assert self.came.acquire(timeout=SOON)


def rows() -> set[str]:
    return set(Delivery.objects.values_list("state", flat=True))


@pytest.mark.usefixtures("in_a_file")
def test_with_every_ring_lost_the_sweep_still_finds_the_lead(
    crm: Crm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "SWEEP", 0.02)
    gate = Gate(crm)
    route = make_route(make_offer(), make_destination())
    with running():
        for _ in range(2):
            make_lead(route.offer)  # without intake, and so without a ring
            gate.wait_for_a_lead()
    assert rows() == {"delivered"}


@pytest.mark.usefixtures("in_a_file")
def test_a_ring_wakes_it_long_before_the_sweep(crm: Crm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "SWEEP", 10 * SOON)
    gate = Gate(crm)
    route = make_route(make_offer(), make_destination())
    make_lead(route.offer)
    with running():
        gate.wait_for_a_lead()  # it looks around when it starts
        make_lead(route.offer)
        embedded.ring()
        gate.wait_for_a_lead()
    assert rows() == {"delivered"}


@pytest.mark.usefixtures("in_a_file")
def test_more_leads_than_one_round_routes_all_arrive(crm: Crm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "SWEEP", 10 * SOON)
    monkeypatch.setattr(routing, "BATCH", 2)
    monkeypatch.setattr(routing.route_waiting, "__kwdefaults__", {"batch": 2})
    gate = Gate(crm)
    route = make_route(make_offer(), make_destination())
    for _ in range(5):
        make_lead(route.offer)
    with running():
        for _ in range(5):
            gate.wait_for_a_lead()
    assert rows() == {"delivered"}


@pytest.mark.usefixtures("in_a_file")
def test_what_the_last_worker_left_in_mid_push_is_sent_again_as_a_repeat(crm: Crm) -> None:
    route = make_route(make_offer(), make_destination())
    make_lead(route.offer)
    routing.route_everything(delivery.now())
    assert delivery.claim(route.destination_id, 1, at=delivery.now())
    gate = Gate(crm)
    with running():
        gate.wait_for_a_lead()
    assert crm.retries == [True]
    assert list(Attempt.objects.order_by("number").values_list("outcome", flat=True)) == ["lost", "delivered"]


@pytest.mark.usefixtures("in_a_file")
def test_stopping_settles_what_is_on_its_way_and_claims_nothing_more(crm: Crm) -> None:
    route = make_route(make_offer(), make_destination(max_in_flight=1))
    for _ in range(2):
        make_lead(route.offer)
    gate = Gate(crm, open=False)
    with running() as engine:
        gate.wait_for_a_lead()
        engine.stop()
        wait_until(lambda: engine._drainers[route.destination_id]._ended)
        gate.may_answer.set()
    assert sorted(Delivery.objects.values_list("state", flat=True)) == ["delivered", "waiting"]
    assert not Attempt.objects.filter(finished_at=None).exists()
    assert not Worker.objects.exists()


@pytest.mark.usefixtures("in_a_file")
def test_a_crm_that_hangs_holds_up_no_other(crm: Crm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "SLOTS", 2)
    hanging, well = Gate(crm, open=False), install(monkeypatch, "well")
    gate = Gate(well)
    offer = make_offer()
    make_route(offer, make_destination())
    for _ in range(3):
        make_lead(offer)
    with running():
        for _ in range(2):
            hanging.wait_for_a_lead()
        other = make_offer()
        make_route(other, make_destination("well"))
        make_lead(other)
        embedded.ring()
        gate.wait_for_a_lead()
        hanging.may_answer.set()


@pytest.mark.usefixtures("in_a_file")
@pytest.mark.parametrize("error", [OperationalError("the database is gone"), ZeroDivisionError("a bug")])
def test_it_survives_a_database_that_does_not_answer_and_whatever_else_goes_wrong(
    error: Exception, crm: Crm, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(embedded, "SWEEP", 0.02)
    failing = threading.Event()
    failing.set()
    looked = threading.Semaphore(0)
    real = routing.route_waiting

    def route_waiting(*args: Any, **kwargs: Any) -> routing.Routed:
        looked.release()
        if failing.is_set():
            raise error
        return real(*args, **kwargs)

    monkeypatch.setattr(routing, "route_waiting", route_waiting)
    gate = Gate(crm)
    route = make_route(make_offer(), make_destination())
    make_lead(route.offer)
    with running():
        for _ in range(2):
            assert looked.acquire(timeout=SOON)
        failing.clear()
        gate.wait_for_a_lead()
    assert str(error) in caplog.text


@pytest.mark.usefixtures("in_a_file")
def test_a_drain_that_lost_the_database_comes_back_for_what_is_under_way(
    crm: Crm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "SWEEP", 0.02)
    gate = Gate(crm, open=False)
    route = make_route(make_offer(), make_destination())
    make_lead(route.offer)
    real, failing, failed = delivery.claim, threading.Event(), threading.Event()

    def claim(*args: Any, **kwargs: Any) -> list[delivery.Claim]:
        if failing.is_set():
            failing.clear()
            failed.set()
            raise OperationalError("the database is gone")
        return real(*args, **kwargs)

    monkeypatch.setattr(delivery, "claim", claim)
    with running() as engine:
        gate.wait_for_a_lead()
        failing.set()
        engine._drainers[route.destination_id].wake()
        assert failed.wait(SOON)
        gate.may_answer.set()
    assert rows() == {"delivered"}


@pytest.mark.usefixtures("in_a_file")
def test_it_reports_being_alive_and_leaves_no_connection_open() -> None:
    opened: list[sqlite3.Connection] = []

    def note(connection: Any, **_: Any) -> None:
        opened.append(connection.connection)

    connection_created.connect(note)
    try:
        route = make_route(make_offer(), make_destination("demo", max_in_flight=4))
        opened.clear()
        for _ in range(8):
            make_lead(route.offer)
        with running(), closing(sqlite3.connect(connection.settings_dict["NAME"])) as watcher:
            wait_until(
                lambda: watcher.execute(
                    "SELECT count(*) = 8 FROM crm_sync_delivery WHERE state = 'delivered'"
                ).fetchone()[0]
            )
            assert watcher.execute("SELECT name FROM crm_sync_worker").fetchall()
    finally:
        connection_created.disconnect(note)
    assert DemoRecord.objects.count() == 8
    assert len(opened) > 2  # the engine's, the drain's, and one for each answer of the demo CRM
    for each in opened:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            each.execute("SELECT 1")


def wait_until(holds: Callable[[], Any]) -> None:
    """For what no event tells, such as what another thread has committed."""
    pause = threading.Event()
    for _ in range(round(SOON / 0.02)):
        if holds():
            return
        pause.wait(0.02)
    pytest.fail("It did not happen.")
