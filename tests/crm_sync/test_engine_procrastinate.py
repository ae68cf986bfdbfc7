"""The engine on PostgreSQL: its bell, what its jobs do, and what happens without them.

What both engines promise is in test_engine.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone
from procrastinate.testing import InMemoryConnector

from crm_sync import apps, claiming, clock, routing
from crm_sync.engine import embedded
from crm_sync.models import Delivery, Destination, Route, Worker
from leads import ports
from leads.models import Lead
from tests.crm_sync.engines import SOON, Gate, ring_on_procrastinate, running, sweep_every, wait_until
from tests.crm_sync.sending import Crm, install, make_destination, make_lead, make_offer, make_route

pytestmark = [pytest.mark.django_db, pytest.mark.postgresql, pytest.mark.usefixtures("own_database")]


@pytest.fixture
def crm(monkeypatch: pytest.MonkeyPatch) -> Crm:
    return install(monkeypatch)


@pytest.fixture
def kind(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module of the engine."""
    yield from ring_on_procrastinate(monkeypatch)


@pytest.fixture
def bell(kind: Any) -> Iterator[Any]:
    """A bell that answers when this test does it, in its thread."""
    bell = kind.Bell()
    bell._start = lambda: None  # type: ignore[method-assign]
    yield bell
    if bell._connection is not None:
        bell._connection.close()


def rows(sql: str, *parameters: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall() if cursor.description else []


def jobs(status: str = "todo") -> list[str]:
    """The tasks of the jobs in that state."""
    found = rows("SELECT task_name FROM procrastinate_jobs WHERE status::text = %s ORDER BY id", status)
    return [name for (name,) in found]


def at_work(kind: Any, work: Callable[[Any], Coroutine[Any, Any, None]]) -> None:
    """Do something in an engine whose connections are open, as they are for its jobs."""
    engine = kind.Engine()

    async def do() -> None:
        with engine._app.replace_connector(kind._connector()) as app:
            async with app.open_async():
                await work(engine)

    try:
        asyncio.run(do())
    finally:
        engine.crew.stop()
        engine._hand.submit(engine.crew.join)
        engine._hand.submit(kind._hang_up)
        engine._hand.shutdown()
        engine._clerk.shutdown()


# --- The bell ------------------------------------------------------------------------------------------------


def test_the_engine_decides_which_bell_intake_rings(kind: Any, settings: Any) -> None:
    settings.DELIVERY_ENGINE = "procrastinate"
    assert apps._bell() is kind.ring
    settings.DELIVERY_ENGINE = "embedded"
    assert apps._bell() is embedded.ring
    assert len(ports.ports.bell) == 1


def test_many_rings_are_one_job(bell: Any) -> None:
    for _ in range(50):
        bell.ring()
    bell.answer()
    bell.ring()
    bell.answer()
    assert jobs() == ["route"]


def test_a_ring_after_a_worker_came_round_is_a_job_of_its_own(bell: Any) -> None:
    bell.answer()
    rows("UPDATE procrastinate_jobs SET status = 'doing'")
    bell.answer()
    assert (jobs("doing"), jobs()) == (["route"], ["route"])


def test_the_faster_leads_come_the_more_of_them_share_a_job(bell: Any) -> None:
    for rings, pause in [(1, 0.0), (2, 0.01), (20, 0.1), (50, 0.25), (5_000, 0.25)]:
        for _ in range(rings):
            bell.ring()
        assert bell.answer() == pytest.approx(pause)


def test_a_lead_alone_makes_no_other_wait_where_a_wake_up_waits_already(bell: Any) -> None:
    for _ in range(2):
        bell.ring()
        assert bell.answer() == 0.0
    assert jobs() == ["route"]


def test_a_wake_up_that_waits_already_breaks_no_transaction(bell: Any) -> None:
    bell.answer()
    offer = make_offer()
    with transaction.atomic():
        make_lead(offer)
        bell.answer()
        make_lead(offer)
    assert Lead.objects.count() == 2
    rows("DELETE FROM procrastinate_jobs")
    bell.answer()  # nor its own connection
    assert jobs() == ["route"]


def test_whoever_rings_waits_for_nothing(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, goes_on = threading.Event(), threading.Event()

    def connect() -> Any:
        asked.set()
        assert goes_on.wait(SOON)
        raise psycopg.OperationalError("not today")

    monkeypatch.setattr(kind, "_connect", connect)
    for _ in range(5_000):
        kind.ring()
    assert asked.wait(SOON)
    kind.ring()  # while its thread hangs in the middle of a connection
    goes_on.set()


def test_a_ring_is_deferred_by_a_thread_of_its_own(kind: Any) -> None:
    kind.ring()
    wait_until(lambda: jobs() == ["route"])
    assert threading.current_thread() is not kind._bell._thread
    assert kind._bell._thread.daemon


def test_while_the_database_is_away_a_ring_is_lost_and_the_next_one_is_not(
    kind: Any, bell: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as away:
        away.setattr(kind, "_connect", lambda: psycopg.connect("host=127.0.0.1 port=1 connect_timeout=2"))
        bell.ring()
        assert bell.answer() > 0
        assert "the next sweep finds the lead" in caplog.text
    bell.ring()
    bell.answer()
    assert jobs() == ["route"]


def test_a_connection_that_has_gone_stale_costs_no_ring(bell: Any) -> None:
    bell.answer()
    rows("DELETE FROM procrastinate_jobs")
    rows("SELECT pg_terminate_backend(%s)", bell._connection.info.backend_pid)
    bell.answer()
    assert jobs() == ["route"]


def test_no_thread_and_no_connection_is_made_before_the_first_ring(kind: Any) -> None:
    bell = kind.Bell()
    assert (bell._thread, bell._connection) == (None, None)


def test_a_forked_process_has_a_bell_of_its_own(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kind, "_of_parent", None)
    kind.ring()
    before = kind._bell
    wait_until(lambda: jobs() == ["route"])
    kind._after_fork()
    try:
        assert kind._bell is not before
        assert kind._bell._thread is None
        assert not before._connection.closed  # it is the parent's still
    finally:
        before._connection.close()


def test_no_wake_up_waits_for_the_disk(kind: Any) -> None:
    with closing(kind._connect()) as own:
        assert own.execute("SHOW synchronous_commit").fetchone() == ("off",)


# --- What jobs do --------------------------------------------------------------------------------------------


@pytest.fixture
def route(crm: Crm) -> Route:
    return make_route(make_offer(), make_destination())


def defer_periodic(kind: Any, at: float) -> None:
    """What a worker does at that time."""
    from procrastinate.periodic import PeriodicDeferrer

    async def defer(engine: Any) -> None:
        deferrer = PeriodicDeferrer(registry=engine._app.periodic_registry)
        await deferrer.defer_jobs(deferrer.get_previous_tasks(at))

    at_work(kind, defer)


def test_the_periodic_sweep_runs_once_however_many_workers_there_are(kind: Any) -> None:
    minute = 1_800_000_000.0
    for late in (0.5, 0.6, 1.9):
        defer_periodic(kind, minute + late)
    assert sorted(jobs()) == ["sweep", "tidy"]
    rows("DELETE FROM procrastinate_jobs")  # as whoever did them does
    defer_periodic(kind, minute + 1.9)
    assert jobs() == []
    defer_periodic(kind, minute + 2.5)
    defer_periodic(kind, minute + 4.5)
    assert jobs() == ["sweep"]  # what nobody comes round to does not pile up


def another_worker() -> None:
    now = timezone.now()
    Worker.objects.create(name="elsewhere:1", started_at=now, seen_at=now)


@pytest.mark.parametrize(("leads", "others", "called"), [(9, True, 0), (10, True, 1), (10, False, 0)])
def test_whoever_routed_many_leads_calls_others_to_help(
    leads: int, others: bool, called: int, kind: Any, route: Route, crm: Crm
) -> None:
    gate = Gate(crm, open=False)  # one is on its way, the others are due
    Destination.objects.update(max_in_flight=1)
    for _ in range(leads):
        make_lead(route.offer)
    if others:
        another_worker()

    async def work(engine: Any) -> None:
        await engine._route()
        if called:
            await engine._call_others()  # while the first call waits, it stands for this one
        gate.may_answer.set()

    at_work(kind, work)
    waiting = rows("SELECT task_name, args::text, queueing_lock FROM procrastinate_jobs")
    number = route.destination_id
    assert waiting == [("drain", f'{{"destination_id": {number}}}', f"drain-{number}")] * called


def test_a_call_for_help_has_this_worker_send_too(kind: Any, route: Route, crm: Crm) -> None:
    gate = Gate(crm)
    make_lead(route.offer)
    routing.route_everything(clock.now())

    async def work(engine: Any) -> None:
        await engine._drain(route.destination_id)
        await asyncio.to_thread(gate.wait_for_a_lead)

    at_work(kind, work)
    assert Delivery.objects.get().state == "delivered"


def test_more_leads_than_one_job_routes_are_the_next_jobs(
    kind: Any, route: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routing, "BATCH", 2)
    monkeypatch.setattr(routing.route_waiting, "__kwdefaults__", {"batch": 2})
    for _ in range(3):
        make_lead(route.offer)
    at_work(kind, lambda engine: engine._route())
    assert jobs() == ["route"]
    assert Lead.objects.unrouted().count() == 1


def leave_jobs(*, status: str, count: int = 1) -> None:
    """Jobs as a worker leaves them."""
    for _ in range(count):
        rows(
            "INSERT INTO procrastinate_jobs (queue_name, task_name, queueing_lock, status) "
            "VALUES ('default', 'route', 'route', %s::procrastinate_job_status)",
            status,
        )
    rows("INSERT INTO procrastinate_events (job_id, type) SELECT id, 'started' FROM procrastinate_jobs")


def tidy(kind: Any) -> None:
    at_work(kind, lambda engine: engine._tidy(0))


def test_a_job_whose_worker_is_gone_is_done_again(kind: Any) -> None:
    leave_jobs(status="doing")
    tidy(kind)
    assert (jobs("doing"), jobs()) == ([], ["route"])


def test_of_jobs_whose_workers_are_gone_one_of_a_kind_is_done_again(kind: Any) -> None:
    leave_jobs(status="doing", count=2)
    tidy(kind)
    assert (jobs("doing"), jobs("aborted"), jobs()) == ([], [], ["route"])


def test_a_job_of_a_worker_that_is_alive_is_left_to_it(kind: Any) -> None:
    leave_jobs(status="doing")
    rows("INSERT INTO procrastinate_workers DEFAULT VALUES")
    rows("UPDATE procrastinate_jobs SET worker_id = (SELECT id FROM procrastinate_workers)")
    tidy(kind)
    assert jobs("doing") == ["route"]
    rows("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '31 seconds'")
    tidy(kind)
    assert jobs() == ["route"]


def test_jobs_that_ended_are_deleted_after_a_day(kind: Any) -> None:
    ends = ("succeeded", "failed", "aborted", "cancelled")
    for status in ends:
        leave_jobs(status=status)
    tidy(kind)
    assert [jobs(status) for status in ends] == [["route"]] * 4
    rows("UPDATE procrastinate_events SET at = at - interval '25 hours'")
    tidy(kind)
    assert [jobs(status) for status in ends] == [[]] * 4


# --- The worker ----------------------------------------------------------------------------------------------


def test_a_job_that_is_done_leaves_nothing_behind(
    kind: Any, route: Route, crm: Crm, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep_every(10 * SOON, kind, monkeypatch)
    gate = Gate(crm)
    with running(kind):
        for _ in range(3):
            make_lead(route.offer)
            kind.ring()
            gate.wait_for_a_lead()
        wait_until(
            lambda: rows("SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'route'") == [(0,)]
        )
    assert rows("SELECT count(*) FROM procrastinate_workers") == [(0,)]


class ComesLate(InMemoryConnector):
    """A database into which a job comes after the first look for one, before the answer is there."""

    late: Callable[[], Coroutine[Any, Any, Any]] | None = None

    async def fetch_job_one(self, queues: Any, worker_id: int) -> dict[str, Any]:
        found = await super().fetch_job_one(queues, worker_id)
        if late := self.late:
            self.late = None
            await late()
        return found


def test_a_job_that_comes_while_a_worker_looks_for_one_is_not_overlooked(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for jobs_that_would_have_it_look_again in ("SWEEPS", "TIDYINGS"):
        monkeypatch.setattr(kind, jobs_that_would_have_it_look_again, "0 0 29 2 *")

    async def look(engine: Any) -> None:
        done = asyncio.Event()

        async def come() -> None:
            done.set()

        connector = ComesLate()
        with engine._app.replace_connector(connector) as app:
            connector.late = app.task(name="come")(come).defer_async
            options = kind.WORKER | {"fetch_job_polling_interval": 10 * SOON}
            async with app.open_async():
                worker = asyncio.create_task(app.run_worker_async(**options))
                await asyncio.wait_for(done.wait(), SOON)
                worker.cancel()
                await asyncio.wait({worker})

    at_work(kind, look)


def fails(*_: Any, **__: Any) -> Any:
    raise psycopg.OperationalError("the database is gone")


async def fails_when_told_to_end(*_: Any, **__: Any) -> None:
    try:
        await asyncio.sleep(10 * SOON)
    except asyncio.CancelledError:
        raise psycopg.OperationalError("the database is gone") from None


@pytest.mark.parametrize("run_worker", [fails, fails_when_told_to_end])
def test_without_procrastinate_all_still_arrives_and_the_worker_ends_when_it_is_told_to(
    run_worker: Any, kind: Any, route: Route, crm: Crm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("procrastinate.App.run_worker_async", run_worker)
    monkeypatch.setattr(kind, "OWN_SWEEP", 0.02)
    monkeypatch.setattr(kind, "AWAY", 0.02)
    gate = Gate(crm)
    with running(kind):
        for _ in range(2):
            make_lead(route.offer)
            kind.ring()
            gate.wait_for_a_lead()
    assert set(Delivery.objects.values_list("state", flat=True)) == {"delivered"}


def test_a_worker_that_is_stopped_while_it_connects_ends(
    kind: Any, crm: Crm, monkeypatch: pytest.MonkeyPatch
) -> None:
    connecting = threading.Event()

    async def slow(own: Any) -> None:
        connecting.set()
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:  # what psycopg makes of one that comes while it connects
            raise psycopg.OperationalError("cancelled") from None

    monkeypatch.setattr(kind, "_configure", slow)
    with running(kind) as engine:
        assert connecting.wait(SOON)
        engine.stop()


def test_a_worker_whose_connections_are_cut_finds_its_way_back(
    kind: Any, route: Route, crm: Crm, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep_every(10 * SOON, kind, monkeypatch)
    monkeypatch.setattr(kind, "AWAY", 0.02)
    monkeypatch.setitem(kind.WORKER, "update_heartbeat_interval", 0.05)  # which notices it first
    gate = Gate(crm)
    with running(kind):
        make_lead(route.offer)
        gate.wait_for_a_lead()
        wait_until(lambda: rows("SELECT count(*) FROM procrastinate_workers") == [(1,)])
        rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'idle'"
        )

        def arrives() -> bool:
            kind.ring()
            return gate.came.acquire(blocking=False)

        make_lead(route.offer)
        wait_until(arrives)


def test_two_workers_drain_one_destination_together(kind: Any, route: Route, crm: Crm) -> None:
    gate = Gate(crm, open=False)
    with running(kind) as first, running(kind) as second:
        second.crew.name = "elsewhere:1"
        for each in (first, second):
            each.crew.slots = 2
        for _ in range(4):
            make_lead(route.offer)
        for _ in range(4):
            kind.ring()
            gate.wait_for_a_lead()  # none is answered before all are on their way, two from each
        gate.may_answer.set()
    shares = rows("SELECT worker, count(*) FROM crm_sync_attempt GROUP BY worker")
    assert sorted(count for _, count in shares) == [2, 2]
    assert set(Delivery.objects.values_list("state", flat=True)) == {"delivered"}


# --- deliver --drain -----------------------------------------------------------------------------------------


@pytest.fixture
def told(settings: Any, capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    settings.DELIVERY_ENGINE = "procrastinate"

    def told() -> str:
        call_command("deliver", drain=True)
        return capsys.readouterr().out

    return told


def leave_in_mid_push(route: Route) -> Any:
    make_lead(route.offer)
    now = clock.now()
    routing.route_everything(now)
    return claiming.claim(route.destination_id, 1, at=now)


def test_drain_works_beside_a_worker_that_holds_the_lock_of_the_other_engine(
    told: Callable[[], str], route: Route
) -> None:
    make_lead(route.offer)
    with embedded.only_worker():
        assert told() == "1 pushed, 0 still owed.\n"


def test_drain_leaves_to_nobody_what_a_worker_that_is_gone_has_in_mid_push(
    told: Callable[[], str], route: Route, crm: Crm
) -> None:
    leave_in_mid_push(route)
    assert told() == "0 pushed, 1 still owed.\n"
    assert crm.records == []


def test_drain_waits_for_what_a_worker_that_is_alive_has_in_mid_push(
    told: Callable[[], str], route: Route, crm: Crm, monkeypatch: pytest.MonkeyPatch
) -> None:
    another_worker()
    leave_in_mid_push(route)
    waited = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        Delivery.objects.update(state="delivered", lease_token=None, lease_expires_at=None)

    monkeypatch.setattr("crm_sync.management.commands.deliver.time.sleep", wait)
    assert told() == "0 pushed, 0 still owed.\n"
    assert len(waited) == 1
