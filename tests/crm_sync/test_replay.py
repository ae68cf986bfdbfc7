"""Replays: what failed in a range goes out again, what arrived does not, and what was not tried yet can be taken back."""

import random
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.http import HttpRequest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm_sync import by_hand, replay
from crm_sync.admin import replay_jobs
from crm_sync.mapping import Rule
from crm_sync.models import Attempt, Delivery, Destination, Route
from crm_sync.outcomes import Delivered
from crm_sync.replay import Range
from leads import jobs, ports
from leads.models import Job, Lead, new_id
from tests.crm_sync import sending
from tests.crm_sync.sending import START, Clock, Crm, make_destination, make_lead, make_offer, make_route
from tests.staff import person

pytestmark = pytest.mark.django_db

# Every state that a sending can be in, and what a replay does with it.
AGAIN = ("rejected", "mapping_broken", "gave_up", "bug")
LEFT_ALONE = ("delivered", "waiting", "leased", "dnc", "approval", "uncertain", "cancelled")


@pytest.fixture(autouse=True)
def _no_bell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports.ports, "bell", [])


@pytest.fixture
def crm(monkeypatch: pytest.MonkeyPatch) -> Crm:
    return sending.install(monkeypatch)


@pytest.fixture
def route(crm: Crm) -> Route:
    return make_route(make_offer(), make_destination())


def owe(route: Route, what: str, **values: Any) -> Delivery:
    """A sending in that state, for that reason where it is held, of a lead of its own."""
    lead = values.pop("lead", None) or make_lead(route.offer, routed_at=START)
    held = what in Delivery.Held.values
    named: dict[str, Any] = {"state": "held", "held_reason": what} if held else {"state": what}
    if what == "leased":
        named |= {"lease_token": new_id(), "lease_expires_at": START + timedelta(hours=1)}
    if what in {"rejected", "delivered", "cancelled"}:
        named["settled_at"] = START
    return Delivery.objects.create(
        lead=lead,
        route=route,
        destination=route.destination,
        due_at=START,
        **{"tries": 1, "strikes": 2} | named | values,
    )


def start(which: Range | None = None, kind: str = replay.REPLAY) -> Job:
    return jobs.start(kind, (which or Range()).as_arguments(), None)


def work(clock: Callable[[], datetime] | None = None, slices: int = 1_000) -> None:
    """A worker that takes up one job, and stops after so many slices."""
    left = iter([False] * slices + [True])
    assert jobs.work("worker", stopping=lambda: next(left), now=clock or Clock())


def replayed(which: Range | None = None) -> Job:
    job = start(which)
    work()
    return Job.objects.get(pk=job.pk)


def again(obj: Any) -> Any:
    return type(obj).objects.get(pk=obj.pk)


def state(obj: Delivery) -> str:
    now = again(obj)
    return now.held_reason or now.state


def settle(obj: Delivery, what: str, reason: str = "") -> None:
    """What a worker does with a sending whose turn has come."""
    held = what in Delivery.Held.values
    tries = again(obj).tries + 1
    Attempt.objects.create(delivery=obj, number=tries, token=new_id(), started_at=START, finished_at=START)
    Delivery.objects.filter(pk=obj.pk).update(
        state="held" if held else what, held_reason=what if held else "", tries=tries, reason=reason
    )


# What is put back, and what is not


@pytest.mark.parametrize("what", AGAIN)
def test_what_failed_goes_out_again_with_all_its_tries_before_it(route: Route, what: str) -> None:
    failed = owe(route, what)
    job = replayed()
    now = again(failed)
    assert (now.state, now.held_reason, now.strikes, now.due_at) == ("waiting", "", 0, START)
    assert now.job_id == job.pk
    assert (job.state, job.done, job.total) == ("finished", 1, 1)


@pytest.mark.parametrize("what", LEFT_ALONE)
def test_everything_else_is_left_alone(route: Route, what: str) -> None:
    other = owe(route, what)
    before = Delivery.objects.values().get(pk=other.pk)
    job = replayed()
    assert Delivery.objects.values().get(pk=other.pk) == before
    assert (job.state, job.done) == ("finished", 0)


def test_what_may_have_arrived_at_a_crm_that_cannot_tell_is_never_sent_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sending.install(monkeypatch, "forgetful", idempotent=False)
    route = make_route(make_offer(), make_destination("forgetful"))
    crashed, refused = owe(route, "bug"), owe(route, "rejected")
    assert replay.estimate(Range()).uncertain == 1
    replayed()
    assert (state(crashed), state(refused)) == ("bug", "waiting")


def test_a_delivered_lead_is_never_sent_again_however_often_its_range_is_replayed(route: Route) -> None:
    failed = owe(route, "rejected")
    key = failed.key
    replayed()
    settle(failed, "delivered")
    for _ in range(3):
        replayed(Range(never_sent=True))
        assert state(failed) == "delivered"
    assert Delivery.objects.get().key == key


def test_the_second_try_goes_under_the_key_of_the_first(route: Route, crm: Crm) -> None:
    failed = owe(route, "rejected", uncertain=True)
    replayed()
    crm.always = Delivered("42", existed=True)
    sending.drain(route.destination, Clock())
    assert state(failed) == "delivered"
    assert (crm.keys, crm.retries) == ([failed.key], [True])


def test_what_fails_again_while_a_replay_runs_is_not_put_back_twice(
    route: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "SLICE", 1)
    first, second = owe(route, "rejected"), owe(route, "rejected")
    start()
    work(slices=1)
    settle(first, "rejected")
    work()
    assert (state(first), state(second)) == ("rejected", "waiting")


@pytest.mark.parametrize(
    ("which", "chosen"),
    [
        (lambda route: Range(), "abcdef"),
        (lambda route: Range(offer=route.offer_id), "abcde"),
        (lambda route: Range(destination=route.destination_id), "abcde"),
        (lambda route: Range(since=START + timedelta(hours=1)), "b"),
        (lambda route: Range(until=START + timedelta(hours=1)), "acdef"),
        (lambda route: Range(since=START, until=START), ""),
        (lambda route: Range(why="gave_up"), "c"),
        (lambda route: Range(group="No field …"), "de"),
        (lambda route: Range(why="rejected", group="No field …"), "d"),
        (lambda route: Range(offer=0), ""),
    ],
)
def test_a_range_is_by_offer_connection_dates_and_reason(
    route: Route, which: Callable[[Route], Range], chosen: str
) -> None:
    later = make_lead(route.offer, received_at=START + timedelta(hours=1), routed_at=START)
    made = {
        "a": owe(route, "rejected"),
        "b": owe(route, "rejected", lead=later),
        "c": owe(route, "gave_up"),
        "d": owe(route, "rejected", reason_group="No field …"),
        "e": owe(route, "mapping_broken", reason_group="No field …"),
        "f": owe(make_route(make_offer(), make_destination()), "rejected"),
    }
    replayed(which(route))
    assert "".join(name for name, each in made.items() if state(each) == "waiting") == chosen


def test_a_range_survives_being_written_down(route: Route) -> None:
    which = Range(1, 2, START, START + timedelta(days=1), "rejected", "No", never_sent=True)
    assert Range.of(start(which)) == which
    assert Range.of(start(Range())) == Range()


# Leads that were never sent there


def test_leads_that_were_never_sent_there_are_sent_only_if_asked_for(route: Route) -> None:
    lead = make_lead(route.offer, routed_at=START)
    assert replayed().done == 0
    job = replayed(Range(never_sent=True))
    made = Delivery.objects.get()
    assert (made.lead, made.route, made.state, made.job) == (lead, route, "waiting", job)
    assert job.done == job.total == 1
    assert replayed(Range(never_sent=True)).done == 0, "once"


def test_a_route_that_sends_nothing_gets_nothing(crm: Crm) -> None:
    off = make_route(make_offer(), make_destination(), enabled=False)
    unpublished = make_route(make_offer(), make_destination(), rules=None)
    silent = make_route(make_offer(enabled=False), make_destination())
    from_now_on = make_route(make_offer(), make_destination(), send_from=START + timedelta(days=1))
    for route in (off, unpublished, silent, from_now_on):
        make_lead(route.offer, routed_at=START)
    make_lead(make_route(make_offer(), make_destination()).offer)  # routing has not looked at it yet
    job = replayed(Range(never_sent=True))
    assert (job.done, job.total) == (0, 0)
    assert not Delivery.objects.exists()


def test_what_a_person_must_let_go_first_is_not_sent_by_a_replay(crm: Crm) -> None:
    asks = make_route(make_offer(), make_destination(), needs_approval=True)
    make_lead(asks.offer, routed_at=START)
    make_lead(asks.offer, routed_at=START, action="DNC")
    assert replay.estimate(Range(never_sent=True)).dnc == 1
    replayed(Range(never_sent=True))
    assert [sent.held_reason for sent in Delivery.objects.all()] == ["approval"]


def test_every_route_of_the_range_gets_its_leads(route: Route, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "SLICE", 2)
    second = make_route(route.offer, make_destination())
    leads = [make_lead(route.offer, routed_at=START) for _ in range(5)]
    owe(route, "delivered", lead=leads[0])
    job = replayed(Range(never_sent=True))
    assert job.done == 9
    assert Delivery.objects.filter(route=second, job=job).count() == 5
    assert Delivery.objects.filter(route=route, job=job).count() == 4


# The estimate


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    states=st.lists(st.sampled_from([*AGAIN, *LEFT_ALONE]), max_size=12),
    unsent=st.lists(st.sampled_from(["INS", "DNC"]), max_size=3),
    never_sent=st.booleans(),
    why=st.sampled_from(["", *replay.WHYS]),
    slice_=st.integers(1, 4),
)
def test_the_estimate_counts_everything_once_and_is_what_is_done(
    route: Route,
    monkeypatch: pytest.MonkeyPatch,
    states: list[str],
    unsent: list[str],
    never_sent: bool,
    why: str,
    slice_: int,
) -> None:
    monkeypatch.setattr(replay, "SLICE", slice_)
    Lead.objects.all().delete()
    for each in states:
        owe(route, each)
    for action in unsent:
        make_lead(route.offer, routed_at=START, action=action)
    which = Range(never_sent=never_sent, why=why)
    counted = replay.estimate(which)
    assert counted.match == len(states) + (len(unsent) if never_sent else 0)
    assert counted.again + counted.other_reason == sum(each in AGAIN for each in states)
    for each in LEFT_ALONE:
        dnc = unsent.count("DNC") if never_sent and each == "dnc" else 0
        assert getattr(counted, each) == states.count(each) + dnc
    assert sum(replay.by_destination(which).values()) == counted.to_send
    job = replayed(which)
    assert job.done == job.total == counted.to_send
    assert replay.number(job.cursor) == counted.to_send
    if not why:
        assert replay.estimate(which).to_send == 0


def test_the_most_frequent_reasons_come_first(route: Route) -> None:
    for group, times in (("Seldom", 1), ("Often", 3), ("", 5)):
        for _ in range(times):
            owe(route, "rejected", reason_group=group)
    owe(route, "delivered", reason_group="Long ago")
    owe(route, "dnc", reason_group="Not this")
    assert replay.reason_groups(5) == [("Often", 3), ("Seldom", 1)]
    assert replay.reason_groups(1) == [("Often", 3)]


# Workers that are killed


def test_a_killed_workers_replay_goes_on_where_it_stood(
    route: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "SLICE", 2)
    failed = [owe(route, "rejected") for _ in range(5)]
    make_lead(route.offer, routed_at=START)
    job, clock = start(Range(never_sent=True)), Clock()
    for _ in range(4):
        with _killed_in_its_second_slice(monkeypatch):
            work(clock)
        clock.now += jobs.LEASE
    work(clock)
    job = again(job)
    assert (job.state, job.done) == ("finished", 6)
    assert Delivery.objects.filter(job=job, state="waiting").count() == 6
    rows = [pk for _, pk, _, _ in replay.put_back(job)]
    assert sorted(rows)[:5] == [each.pk for each in failed]
    assert len(set(rows)) == 6


class Killed(BaseException):
    """The end of a process, which nothing catches."""


class _killed_in_its_second_slice:  # noqa: N801 - reads as what happens
    """The worker dies after it wrote, before the transaction ends."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch, self.slices = monkeypatch, 0

    def __enter__(self) -> None:
        self.usual = ports.ports.job_kinds[replay.REPLAY]

        def step(job: Job, found: Any, at: datetime) -> Any:
            done = self.usual.step(job, found, at)
            self.slices += 1
            if self.slices == 2:
                raise Killed
            return done

        kind = ports.JobKind(**{**vars(self.usual), "step": step})
        self.monkeypatch.setitem(ports.ports.job_kinds, replay.REPLAY, kind)

    def __exit__(self, kind: Any, *_: Any) -> bool:
        self.monkeypatch.setitem(ports.ports.job_kinds, replay.REPLAY, self.usual)
        return kind is Killed


# Cancel


def evidence(obj: Delivery) -> dict[str, Any]:
    """A sending, but for what a replay may change for good."""
    row = Delivery.objects.values().get(pk=obj.pk)
    return {name: value for name, value in row.items() if name not in {"strikes", "due_at"}}


@pytest.mark.parametrize("what", AGAIN)
def test_what_was_not_tried_yet_gets_back_the_state_that_it_had(route: Route, what: str) -> None:
    failed = owe(route, what, reason="No", reason_group="No", field="title")
    if what == "rejected":
        Attempt.objects.create(
            delivery=failed, number=1, token=new_id(), started_at=START, finished_at=START, outcome="rejected"
        )
    before = evidence(failed)
    job = replayed()
    jobs.cancel(job)
    work(Clock(START + timedelta(hours=1)))
    assert evidence(failed) == before
    assert again(job).state == "cancelled"
    assert again(job).cursor["taken_back"] == 1


@pytest.mark.parametrize("became", ["delivered", "rejected", "gave_up", "waiting"])
def test_what_was_tried_again_stays_as_it_is(route: Route, became: str) -> None:
    failed = owe(route, "mapping_broken")
    job = replayed()
    settle(failed, became)
    jobs.cancel(job)
    work()
    assert state(failed) == became
    assert again(job).cursor["taken_back"] == 0


def test_what_the_replay_itself_made_and_nobody_tried_is_unmade(route: Route) -> None:
    tried, untried = (make_lead(route.offer, routed_at=START) for _ in range(2))
    job = replayed(Range(never_sent=True))
    settle(Delivery.objects.get(lead=tried), "delivered")
    jobs.cancel(job)
    work()
    assert [sent.lead for sent in Delivery.objects.all()] == [tried]
    assert list(route.waiting_leads()) == [untried]


def test_what_a_colleague_did_meanwhile_is_not_taken_back(route: Route) -> None:
    cancelled, later = owe(route, "rejected"), owe(route, "gave_up")
    first = replayed()
    by_hand.cancel([cancelled.pk], at=START)
    Delivery.objects.filter(pk=later.pk).update(state="held", held_reason="gave_up")
    second = replayed()
    jobs.cancel(first)
    work()
    assert (state(cancelled), state(later)) == ("cancelled", "waiting")
    assert again(later).job == second


def test_cancelling_in_the_middle_stops_there_and_takes_back(
    route: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "SLICE", 2)
    failed = [owe(route, "rejected") for _ in range(7)]
    job = start()
    work(slices=2)
    assert Counter(map(state, failed)) == {"waiting": 4, "rejected": 3}
    settle(failed[0], "delivered")
    jobs.cancel(again(job))
    work(slices=1)
    work()
    assert Counter(map(state, failed)) == {"delivered": 1, "rejected": 6}
    assert (again(job).state, again(job).done) == ("cancelled", 4)


# Live numbers, and the result


def somebody() -> HttpRequest:
    request = HttpRequest()
    request.user = person("bob")
    return request


def test_the_numbers_are_those_of_this_moment(route: Route) -> None:
    failed = [owe(route, "rejected") for _ in range(31)]
    job = replayed()
    assert replay_jobs.report(somebody(), job).sentence == "31 sent again: 31 waiting."
    for each in failed[:25]:
        settle(each, "delivered")
    for each in failed[25:27]:
        settle(each, "rejected")
    report = replay_jobs.report(somebody(), job)
    assert report.sentence == "31 sent again: 25 delivered, 2 refused, 4 waiting."
    assert report.moving
    assert report.undo
    for each in failed[27:]:
        settle(each, "gave_up")
    report = replay_jobs.report(somebody(), job)
    assert report.sentence == "31 sent again: 25 delivered, 2 refused, 4 held."
    assert not report.moving
    assert not report.undo


def test_what_a_later_replay_took_over_is_counted_there_only(route: Route) -> None:
    failed = owe(route, "rejected")
    first = replayed()
    settle(failed, "rejected")
    second = replayed()
    report = replay_jobs.report(somebody(), first)
    assert report.sentence == "1 sent again."
    assert "1 went on with a later replay" in " ".join(report.notes)
    assert replay_jobs.report(somebody(), second).sentence == "1 sent again: 1 waiting."


def test_a_replay_says_what_its_leads_wait_for(route: Route) -> None:
    owe(route, "rejected")
    type(route.destination.state).objects.update(state="stopped", reason="The key is wrong")
    notes = " ".join(replay_jobs.report(somebody(), replayed()).notes)
    assert f"Waiting for {route.destination}. Stopped since" in notes
    assert "The key is wrong." in notes


def rows_of(job: Job) -> list[dict[str, str]]:
    headings, *rows = ports.ports.job_kinds[job.kind].rows(somebody(), job)  # type: ignore[misc]
    return [dict(zip(headings, map(str, row), strict=True)) for row in rows]


def test_the_result_names_each_lead_with_before_and_after(route: Route) -> None:
    arrived, refused = owe(route, "gave_up"), owe(route, "rejected")
    lead = make_lead(route.offer, routed_at=START)
    job = replayed(Range(never_sent=True))
    settle(arrived, "delivered", reason="ignored")
    Delivery.objects.filter(pk=arrived.pk).update(remote_id="R1", remote_url="https://crm.example/R1")
    settle(refused, "rejected", reason="No such country")
    by_lead = {row["Lead"]: row for row in rows_of(job)}
    assert by_lead[str(arrived.lead_id)] == {
        "Lead": str(arrived.lead_id),
        "Name": arrived.lead.who,
        "Offer": route.offer.title,
        "CRM connection": route.destination.name,
        "Before": "Held: given up after about three days",
        "Now": "Delivered",
        "Reason": "",
        "Record in the CRM": "R1",
        "Address of the record": "https://crm.example/R1",
    }
    assert by_lead[str(refused.lead_id)]["Now"] == "Rejected"
    assert by_lead[str(refused.lead_id)]["Reason"] == "No such country"
    assert by_lead[str(lead.pk)]["Before"] == "Never sent there"
    jobs.cancel(job)
    work()
    by_lead = {row["Lead"]: row for row in rows_of(again(job))}
    assert by_lead[str(lead.pk)]["Now"] == "Taken back"
    refused.lead.delete()
    assert "Its lead was deleted" in {row["Now"] for row in rows_of(again(job))}


def test_the_result_says_what_was_taken_back_and_what_went_on_elsewhere(route: Route) -> None:
    owe(route, "rejected")
    first = replayed()
    jobs.cancel(first)
    work()
    assert rows_of(again(first))[0]["Now"] == "Taken back. Rejected"
    second = replayed()
    Delivery.objects.update(state="rejected")
    replayed()
    assert rows_of(second)[0]["Now"] == "In a later replay. Waiting"


# Dry run


def rehearsed(which: Range | None = None) -> Job:
    job = start(which, replay.REHEARSAL)
    work()
    return again(job)


def test_a_dry_run_maps_all_of_them_and_sends_nothing(crm: Crm) -> None:
    by_table = Rule("title", "lookup", source="title", table={"Buyer": "1"}, transform="nonsense")
    good = make_route(make_offer(), make_destination())
    bad = make_route(make_offer(), make_destination(), [by_table])
    fine, wrong = owe(good, "rejected"), owe(bad, "gave_up")
    never = make_lead(good.offer, routed_at=START)
    before = list(Delivery.objects.order_by("pk").values())
    job = rehearsed(Range(never_sent=True))
    assert list(Delivery.objects.order_by("pk").values()) == before
    assert crm.records == []
    assert not Attempt.objects.exists()
    assert (job.state, job.done, job.total) == ("finished", 3, 3)
    report = replay_jobs.rehearsal_report(somebody(), job)
    assert "2 would be sent" in report.sentence
    assert "1 would not" in report.sentence
    by_lead = {row["Lead"]: row for row in rows_of(job)}
    assert by_lead[str(fine.lead_id)]["Would be sent"] == "Yes"
    assert by_lead[str(never.pk)]["Would be sent"] == "Yes"
    assert by_lead[str(wrong.lead_id)]["Would be sent"] == "No"
    assert "title: " in by_lead[str(wrong.lead_id)]["Why not"]


def test_a_dry_run_makes_every_request(route: Route, monkeypatch: pytest.MonkeyPatch) -> None:
    demo = make_route(make_offer(), make_destination("demo", name="Demo CRM"))
    for _ in range(3):
        owe(demo, "rejected", lead=make_lead(demo.offer, routed_at=START, first_name="Jane"))
    monkeypatch.setattr(replay, "MAPPED_AT_ONCE", 2)
    report = replay_jobs.rehearsal_report(somebody(), rehearsed())
    assert report.sentence.startswith("3 would be sent, with 3 requests; 0 would not.")


def test_a_dry_run_respects_what_a_person_left_out_and_names_required_fields(crm: Crm) -> None:
    demo = make_route(make_offer(), make_destination("demo", name="Demo CRM"))
    owe(demo, "rejected", without=["topic"])
    (row,) = rows_of(rehearsed())
    assert row["Why not"] == "Required by the CRM, and empty: Topic."


def test_a_connector_that_raises_fails_that_lead_only(
    route: Route, crm: Crm, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fine, bad = owe(route, "rejected"), owe(route, "rejected")

    def requests(self: Any, record: Any, *, key: str) -> list[Any]:
        if key == bad.key:
            raise ValueError("The secret is hunter2hunter2")
        return []

    Destination.objects.filter(pk=route.destination_id).update(secrets={"key": "hunter2hunter2"})
    monkeypatch.setattr(replay.connectors.get("scripted"), "requests", requests)
    verdicts = {row["Lead"]: row["Why not"] for row in rows_of(rehearsed())}
    assert verdicts[str(fine.lead_id)] == ""
    assert "An error of this software" in verdicts[str(bad.lead_id)]
    assert "hunter2" not in caplog.text


def test_a_kind_of_crm_that_this_version_lacks_is_said(crm: Crm) -> None:
    gone = make_route(make_offer(), make_destination())
    owe(gone, "rejected")
    Destination.objects.update(connector="gone")
    (row,) = rows_of(rehearsed())
    assert "gone" in row["Why not"]


def test_credentials_that_do_not_open_end_a_dry_run_in_plain_words(route: Route, settings: Any) -> None:
    owe(route, "rejected")
    route.destination.secrets = {"key": "hunter2"}
    route.destination.save()
    settings.FIELD_ENCRYPTION_KEYS = ["MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="]
    job = rehearsed()
    assert job.state == "failed"
    assert "FIELD_ENCRYPTION_KEYS" in job.error


def test_too_many_different_reasons_become_one(route: Route, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "MOST_REASONS", 3)
    reasons = [""]
    places = [replay._place(reasons, text) for text in ("a", "b", "c", "d", "a")]
    assert places == [1, 2, 3, 3, 1]
    assert reasons == ["", "a", "b", replay.OTHER_REASONS]


def test_a_dry_run_is_what_a_replay_then_does(route: Route) -> None:
    rng = random.Random(4)
    for _ in range(20):
        owe(route, rng.choice([*AGAIN, *LEFT_ALONE]))
    would = sum(replay.verdicts(rehearsed()).values())
    assert replayed().done == would > 0
