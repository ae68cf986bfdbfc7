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
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core import mail as mailbox
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.db.backends.signals import connection_created
from django.utils import timezone

from crm_sync import claiming, clock, delivery, routing
from crm_sync.engine import crew, embedded, librarian
from crm_sync.models import Attempt, Delivery, DemoRecord, Destination, Route, Worker
from crm_sync.outcomes import Delivered, DestinationFault, Rejected, RetryLater
from leads import jobs, ports, search, searchable
from leads.models import Job, Lead, LeadText, Offer
from tests.crm_sync.engines import SOON, Gate, ring_on_procrastinate, running, sweep_every, wait_until
from tests.crm_sync.sending import (
    Crm,
    install,
    make_destination,
    make_lead,
    make_offer,
    make_route,
)
from tests.staff import person

pytestmark = pytest.mark.django_db


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
from crm_sync.engine import crew, embedded
with embedded.only_worker() as alone:
    print(alone, flush=True)
    input()
"""


def other_process(data_dir: Path) -> dict[str, Any]:
    """Where and with which settings another process works on the same data."""
    names = ("SECRET_KEY", "FIELD_ENCRYPTION_KEYS", "LEADSITE_ENV_FILE", "PATH")
    environment = {name: os.environ[name] for name in names} | {
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "DATA_DIR": str(data_dir),
        "DATABASE_URL": f"sqlite:///{data_dir}/x.sqlite3",
    }
    return {"cwd": Path(__file__).resolve().parents[2], "env": environment, "text": True}


def test_a_worker_that_is_killed_lets_go_of_the_lock(data_dir: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        **other_process(data_dir),
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


_RINGER = """
import django
django.setup()
from crm_sync.engine import embedded
embedded.ring()
"""


def test_a_process_that_has_rung_leaves_no_socket_open_at_its_end(data_dir: Path) -> None:
    strict = [sys.executable, "-X", "dev", "-c", _RINGER]
    ended = subprocess.run(strict, capture_output=True, timeout=60, **other_process(data_dir))
    assert (ended.returncode, ended.stderr) == (0, "")


def test_old_jobs_are_forgotten_every_hour() -> None:
    old = Job.objects.create(kind="x", state="finished", finished_at=clock.now() - jobs.KEPT * 2)
    worker = crew.Crew("worker")
    worker.work_jobs()
    assert not Job.objects.filter(pk=old.pk).exists()
    Job.objects.create(kind="x", state="finished", finished_at=clock.now() - jobs.KEPT * 2)
    worker.work_jobs()
    assert Job.objects.exists(), "an hour has not passed"


# --- deliver --drain -----------------------------------------------------------------------------------------


@pytest.fixture
def route(crm: Crm) -> Route:
    return make_route(make_offer(), make_destination())


def told(capsys: pytest.CaptureFixture[str]) -> str:
    call_command("deliver", drain=True)
    return capsys.readouterr().out


@pytest.mark.usefixtures("own_database")  # mails are written by a thread of their own
def test_drain_tells_people_of_an_outage_and_of_its_end_before_it_ends(
    route: Route, crm: Crm, capsys: pytest.CaptureFixture[str]
) -> None:
    type(person("erin")).objects.filter(pk=person("erin").pk).update(email="erin@contoso.example")
    Offer.objects.update(
        quiet_until=timezone.now() + timedelta(days=1)
    )  # its leads are old, and that is no news here
    crm.always = RetryLater("The CRM failed (HTTP 503)")
    for _ in range(5):
        make_lead(route.offer)
    assert told(capsys) == "5 pushed, 5 still owed.\n"
    assert [mail.subject.split(" since")[0] for mail in mailbox.outbox] == [
        f"{route.destination} takes no leads"
    ]
    told(capsys)
    assert len(mailbox.outbox) == 1, "once"
    crm.always = Delivered("1")
    delivery.clock_was_set_back(clock.now())  # its next try, and that of its leads, has come
    assert told(capsys) == "5 pushed, 0 still owed.\n"
    assert mailbox.outbox[1].subject == f"{route.destination} works again: 5 of 5 delivered"


def test_drain_does_what_people_started_and_forgets_what_is_old(
    route: Route, crm: Crm, capsys: pytest.CaptureFixture[str]
) -> None:
    crm.answers = [Rejected("No such country")]
    make_lead(route.offer)
    told(capsys)
    replayed = jobs.start("replay", {"about": "All"}, None)
    old = Job.objects.create(kind="x", state="finished", finished_at=clock.now() - jobs.KEPT * 2)
    assert told(capsys) == "1 pushed, 0 still owed.\n"
    assert Job.objects.get(pk=replayed.pk).state == "finished"
    assert rows() == {"delivered"}
    assert not Job.objects.filter(pk=old.pk).exists()


def test_drain_routes_and_pushes_what_is_due_and_ends(
    route: Route, crm: Crm, capsys: pytest.CaptureFixture[str]
) -> None:
    other = make_route(route.offer, make_destination())
    for _ in range(3):
        make_lead(route.offer)
    assert told(capsys) == "6 pushed, 0 still owed.\n"
    assert not LeadText.objects.filter(text=None).exists(), "and makes leads searchable"
    assert LeadText.objects.count() == 3
    assert other.deliveries.filter(state="delivered").count() == 3
    assert told(capsys) == "0 pushed, 0 still owed.\n"


def test_drain_says_what_is_still_owed(route: Route, crm: Crm, capsys: pytest.CaptureFixture[str]) -> None:
    make_lead(route.offer)
    crm.always = RetryLater("Busy.", delay=60)
    assert told(capsys) == "1 pushed, 1 still owed.\n"


def leave_in_mid_push(route: Route, since: timedelta) -> None:
    """What a worker leaves that was killed that long ago."""
    make_lead(route.offer)
    then = clock.now() - since
    routing.route_everything(then)
    assert claiming.claim(route.destination_id, 1, at=then).leases


@pytest.mark.parametrize(
    "since",
    [pytest.param(timedelta(0), marks=pytest.mark.sqlite), claiming.LEASE],
    ids=["just_now", "a_lease_ago"],
)
def test_drain_takes_back_what_a_killed_worker_left(
    since: timedelta, route: Route, crm: Crm, capsys: pytest.CaptureFixture[str]
) -> None:
    leave_in_mid_push(route, since)
    assert told(capsys) == "1 pushed, 0 still owed.\n"
    assert crm.retries == [True]


@pytest.mark.postgresql
def test_drain_leaves_alone_what_another_machine_may_have_in_mid_push(
    route: Route, crm: Crm, capsys: pytest.CaptureFixture[str]
) -> None:
    leave_in_mid_push(route, timedelta(0))
    assert told(capsys) == "0 pushed, 1 still owed.\n"
    assert crm.records == []


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
        crew.drain_once()  # what the worker does

    monkeypatch.setattr(embedded, "ring", ring)
    with embedded.only_worker():
        assert told(capsys) == "The running worker did it, 0 still owed.\n"
    assert rings


# --- Either engine at work -----------------------------------------------------------------------------------


@pytest.fixture(params=["embedded", pytest.param("procrastinate", marks=pytest.mark.postgresql)])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module of an engine. What they promise is the same, and so are these tests."""
    if request.param == "embedded":
        yield embedded
    else:
        yield from ring_on_procrastinate(monkeypatch)


def rows() -> set[str]:
    return set(Delivery.objects.values_list("state", flat=True))


@pytest.mark.usefixtures("own_database")
def test_with_every_ring_lost_the_sweep_still_finds_the_lead(
    kind: Any, crm: Crm, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep_every(0.02, kind, monkeypatch)
    gate = Gate(crm)
    route = make_route(make_offer(), make_destination())
    with running(kind):
        for _ in range(2):
            make_lead(route.offer)  # without intake, and so without a ring
            gate.wait_for_a_lead()
    assert rows() == {"delivered"}


@pytest.mark.usefixtures("own_database")
def test_a_ring_wakes_it_long_before_the_sweep(kind: Any, crm: Crm, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep_every(10 * SOON, kind, monkeypatch)
    gate = Gate(crm)
    route = make_route(make_offer(), make_destination())
    make_lead(route.offer)
    with running(kind):
        gate.wait_for_a_lead()  # it looks around when it starts
        make_lead(route.offer)
        kind.ring()
        gate.wait_for_a_lead()
    assert rows() == {"delivered"}


@pytest.mark.usefixtures("own_database")
def test_more_leads_than_one_round_routes_all_arrive(
    kind: Any, crm: Crm, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep_every(10 * SOON, kind, monkeypatch)
    monkeypatch.setattr(routing, "BATCH", 2)
    monkeypatch.setattr(routing.route_waiting, "__kwdefaults__", {"batch": 2})
    gate = Gate(crm)
    route = make_route(make_offer(), make_destination())
    for _ in range(5):
        make_lead(route.offer)
    with running(kind):
        for _ in range(5):
            gate.wait_for_a_lead()
    assert rows() == {"delivered"}


@pytest.mark.usefixtures("own_database")
def test_a_lead_that_comes_can_be_searched_within_two_seconds(
    kind: Any, crm: Crm, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep_every(10 * SOON, kind, monkeypatch)
    monkeypatch.setattr(librarian, "EVERY", 10 * SOON)  # woken, or not at all
    route = make_route(make_offer(), make_destination())
    before = make_lead(route.offer, first_name="Before")

    def is_found(lead: Lead) -> bool:
        return lead in search.matching(Lead.objects.all(), lead.first_name)

    with running(kind):
        wait_until(lambda: is_found(before))
        lead = make_lead(route.offer, first_name="Afterwards")
        kind.ring()
        wait_until(lambda: is_found(lead))
    assert librarian.LATER < 2


@pytest.mark.usefixtures("own_database")
def test_leads_are_sent_though_none_can_be_made_searchable(
    kind: Any, crm: Crm, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> int:
        raise OperationalError("no room")

    monkeypatch.setattr(searchable, "fill", fail)
    route = make_route(make_offer(), make_destination())
    make_lead(route.offer)
    with running(kind):
        wait_until(lambda: rows() == {"delivered"})


@pytest.mark.usefixtures("own_database")
def test_what_the_last_worker_left_in_mid_push_is_sent_again_as_a_repeat(kind: Any, crm: Crm) -> None:
    route = make_route(make_offer(), make_destination())
    leave_in_mid_push(route, claiming.LEASE)
    gate = Gate(crm)
    with running(kind):
        gate.wait_for_a_lead()
    assert crm.retries == [True]
    assert list(Attempt.objects.order_by("number").values_list("outcome", flat=True)) == ["lost", "delivered"]


@pytest.mark.usefixtures("own_database")
def test_stopping_settles_what_is_on_its_way_and_claims_nothing_more(kind: Any, crm: Crm) -> None:
    route = make_route(make_offer(), make_destination(max_in_flight=1))
    for _ in range(2):
        make_lead(route.offer)
    gate = Gate(crm, open=False)
    with running(kind) as engine:
        gate.wait_for_a_lead()
        engine.stop()
        wait_until(lambda: engine.crew._drainers[route.destination_id]._ended)
        gate.may_answer.set()
    assert sorted(Delivery.objects.values_list("state", flat=True)) == ["delivered", "waiting"]
    assert not Attempt.objects.filter(finished_at=None).exists()
    assert not Worker.objects.exists()


@pytest.mark.usefixtures("own_database")
def test_a_crm_that_hangs_holds_up_no_other(kind: Any, crm: Crm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "SLOTS", 2)
    hanging, well = Gate(crm, open=False), install(monkeypatch, "well")
    gate = Gate(well)
    offer = make_offer()
    make_route(offer, make_destination())
    for _ in range(3):
        make_lead(offer)
    with running(kind):
        for _ in range(2):
            hanging.wait_for_a_lead()
        other = make_offer()
        make_route(other, make_destination("well"))
        make_lead(other)
        kind.ring()
        gate.wait_for_a_lead()
        hanging.may_answer.set()


@pytest.mark.usefixtures("own_database")
@pytest.mark.parametrize("error", [OperationalError("the database is gone"), ZeroDivisionError("a bug")])
def test_it_survives_a_database_that_does_not_answer_and_whatever_else_goes_wrong(
    kind: Any, error: Exception, crm: Crm, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sweep_every(0.02, kind, monkeypatch)
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
    with running(kind):
        for _ in range(2):
            assert looked.acquire(timeout=SOON)
        failing.clear()
        gate.wait_for_a_lead()
    assert str(error) in caplog.text


@pytest.mark.usefixtures("own_database")
def test_a_drain_that_lost_the_database_comes_back_for_what_is_under_way(
    kind: Any, crm: Crm, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep_every(0.02, kind, monkeypatch)
    gate = Gate(crm, open=False)
    route = make_route(make_offer(), make_destination())
    make_lead(route.offer)
    real, failing, failed = claiming.claim, threading.Event(), threading.Event()

    def claim(*args: Any, **kwargs: Any) -> claiming.Claimed:
        if failing.is_set():
            failing.clear()
            failed.set()
            raise OperationalError("the database is gone")
        return real(*args, **kwargs)

    monkeypatch.setattr(claiming, "claim", claim)
    with running(kind) as engine:
        gate.wait_for_a_lead()
        failing.set()
        engine.crew._drainers[route.destination_id].wake()
        assert failed.wait(SOON)
        gate.may_answer.set()
    assert rows() == {"delivered"}


@pytest.mark.usefixtures("own_database")
def test_it_reports_being_alive_and_leaves_no_connection_open(kind: Any) -> None:
    opened: list[Any] = []

    def note(connection: Any, **_: Any) -> None:
        opened.append(connection.connection)

    connection_created.connect(note)
    try:
        route = make_route(make_offer(), make_destination("demo", max_in_flight=4))
        opened.clear()
        for _ in range(8):
            make_lead(route.offer)
        with running(kind):
            wait_until(lambda: Delivery.objects.filter(state="delivered").count() == 8)
            assert Worker.objects.exists()
    finally:
        connection_created.disconnect(note)
    assert DemoRecord.objects.count() == 8
    assert len(opened) > 2  # the engine's, the drain's, and one for each answer of the demo CRM
    for each in opened:
        with pytest.raises((sqlite3.Error, psycopg.Error), match="closed"):
            each.execute("SELECT 1")
