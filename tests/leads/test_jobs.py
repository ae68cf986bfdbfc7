"""Long jobs: one worker at a time, slice by slice, wherever they stood; and the pages on which people follow them."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import OperationalError, connections
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leads import jobs, sheet
from leads.models import Job, Offer, new_id
from leads.ports import Figure, JobFailed, JobKind, JobReport, Step, ports
from tests.staff import person, signed_in

START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
LIST = "/admin/leads/job/"
EVIL = "<script>alert(1)</script>"
PERMISSION = "leads.change_offer"  # Bob and Erin have it, Dave and Charlie have not


class Killed(BaseException):
    """The end of a process, which nothing catches."""


class Counting:
    """Makes `of` offers, `at_once` in a slice; undoing removes those. `before` is called ahead of each slice."""

    def __init__(self, of: int = 10, at_once: int = 3) -> None:
        self.of, self.at_once = of, at_once
        self.before: Callable[[str], None] = lambda where: None
        self.report = JobReport()
        self.rows: list[list[object]] = [["Offer"], ["=1+1"]]

    def kind(self, **values: Any) -> JobKind:
        named = {
            "label": "Counting",
            "permission": PERMISSION,
            "reads": PERMISSION,
            "prepare": lambda job: self.before("prepare"),
            "step": self.step,
            "undo": self.undo,
            "report": lambda request, job: self.report,
            "rows": lambda request, job: self.rows,
        }
        return JobKind(**named | values)

    def step(self, job: Job, found: Any, at: datetime) -> Step:
        begin = (job.cursor or {"next": 0})["next"]
        end = min(begin + self.at_once, self.of)
        for number in range(begin, end):
            Offer.objects.create(publisher_id="p", offer_id=f"job{job.pk}-{number}", title=str(number))
        self.before("step")
        return Step({"next": end}, end, self.of, finished=end == self.of, result={"last": end})

    def undo(self, job: Job, at: datetime) -> Step:
        left = Offer.objects.filter(offer_id__startswith=f"job{job.pk}-").order_by("-pk")
        Offer.objects.filter(pk__in=list(left.values_list("pk", flat=True)[: self.at_once])).delete()
        return Step(job.cursor, job.done, job.total, finished=not left.exists())


def made() -> list[str]:
    return sorted(Offer.objects.values_list("title", flat=True), key=int)


def numbers(count: int) -> list[str]:
    return [str(number) for number in range(count)]


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def rings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    rung: list[str] = []
    monkeypatch.setattr(ports, "bell", [lambda: rung.append("ring")])
    return rung


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch, rings: list[str]) -> Counting:
    it = Counting()
    monkeypatch.setattr(ports, "job_kinds", {"counting": it.kind()})
    return it


def begin(**arguments: Any) -> Job:
    return jobs.start("counting", arguments, person("bob"))


def work(clock: Callable[[], datetime] | None = None, stopping: Callable[[], bool] = lambda: False) -> bool:
    return jobs.work("worker", stopping=stopping, now=clock or Clock())


def again(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)


# Work


@pytest.mark.django_db
def test_a_job_is_worked_on_slice_by_slice_to_its_end(counting: Counting) -> None:
    job = begin()
    assert work()
    job = again(job)
    assert (job.state, job.done, job.total, job.result) == ("finished", 10, 10, {"last": 10})
    assert (job.started_at, job.finished_at) == (START, START)
    assert job.lease_token is None
    assert made() == numbers(10)


@pytest.mark.django_db
def test_without_a_job_there_is_nothing_to_do(counting: Counting) -> None:
    assert not work()
    begin()
    work()
    assert not work()


@pytest.mark.django_db
def test_starting_a_job_rings_the_bell_once_it_is_stored(
    counting: Counting, rings: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        begin()
        assert rings == []
    assert rings == ["ring"]


@pytest.mark.django_db
def test_a_kind_that_nobody_registered_cannot_be_started_and_is_left_alone(counting: Counting) -> None:
    with pytest.raises(KeyError):
        jobs.start("unheard_of", {}, person("bob"))
    job = Job.objects.create(kind="unheard_of")
    assert not work()
    assert again(job).state == "waiting"


@pytest.mark.django_db
def test_jobs_are_taken_up_in_the_order_of_their_start(counting: Counting) -> None:
    first, second = begin(), begin()
    work()
    assert (again(first).state, again(second).state) == ("finished", "waiting")


@pytest.mark.django_db
def test_a_worker_that_stops_lets_the_next_go_on_at_once(counting: Counting, rings: list[str]) -> None:
    job = begin()
    looks = iter([False, False, True])
    assert work(stopping=lambda: next(looks))
    assert (again(job).state, again(job).done) == ("waiting", 6)
    assert rings
    assert work()
    assert made() == numbers(10)


@pytest.mark.django_db
@pytest.mark.parametrize("where", ["prepare", "step"])
def test_a_killed_workers_job_is_taken_up_where_it_stood_once_its_lease_has_run_out(
    counting: Counting, where: str
) -> None:
    job, clock = begin(), Clock()
    _killed_at(counting, where, 3)
    with pytest.raises(Killed):
        work(clock)
    assert (again(job).state, again(job).done) == ("leased", 6)
    assert not work(clock), "the lease still runs"
    clock.now += jobs.LEASE
    assert work(clock)
    assert again(job).state == "finished"
    assert again(job).started_at == START
    assert made() == numbers(10)


def _killed_at(counting: Counting, where: str, times: int) -> None:
    met: list[str] = []

    def before(here: str) -> None:
        if here == where:
            met.append(here)
            if len(met) == times:
                raise Killed

    counting.before = before


@pytest.mark.django_db
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kills=st.lists(st.tuples(st.sampled_from(["prepare", "step"]), st.integers(1, 4)), max_size=4),
    of=st.integers(1, 9),
    at_once=st.integers(1, 4),
)
def test_wherever_workers_are_killed_everything_is_done_once(
    counting: Counting, kills: list[tuple[str, int]], of: int, at_once: int
) -> None:
    Job.objects.all().delete()
    Offer.objects.all().delete()
    counting.of, counting.at_once = of, at_once
    job, clock = begin(), Clock()
    for kill in kills:
        _killed_at(counting, *kill)
        try:
            work(clock)
        except Killed:
            clock.now += jobs.LEASE
    counting.before = lambda where: None
    work(clock)
    assert again(job).state == "finished"
    assert made() == numbers(of)


@pytest.mark.django_db
def test_a_worker_whose_lease_ran_out_writes_nothing_more(counting: Counting) -> None:
    job, clock, late = begin(), Clock(), Clock()
    late.now += jobs.LEASE

    def before(where: str) -> None:
        counting.before = lambda where: None
        assert work(late), "another worker takes it up while this one prepares its first slice"

    counting.before = before
    assert work(clock)
    assert made() == numbers(10)
    assert again(job).finished_at == late.now


@pytest.mark.django_db
def test_a_lease_is_renewed_with_each_slice(counting: Counting) -> None:
    job, clock = begin(), Clock()

    def before(where: str) -> None:
        if where == "prepare":
            clock.now += timedelta(seconds=60)
            assert not jobs.waiting(clock.now).exists(), "nobody else may have it"

    counting.before = before
    work(clock)
    assert again(job).state == "finished"
    assert clock.now - START > jobs.LEASE


@pytest.mark.django_db
def test_a_kind_that_fails_ends_the_job_with_a_sentence_and_a_trace_in_the_log(
    counting: Counting, caplog: pytest.LogCaptureFixture
) -> None:
    def before(where: str) -> None:
        if where == "step" and Offer.objects.count() > 6:
            raise ValueError("secret insides")

    counting.before = before
    job = begin()
    assert work()
    job = again(job)
    assert job.state == "failed"
    assert job.error == (
        "An error of this software stopped it. Done by then: 6 of 10; that stays. "
        "The server's log has the details; please report it."
    )
    assert made() == numbers(6), "nothing of the slice that failed"
    assert "secret insides" in caplog.text
    assert not work()


@pytest.mark.django_db
def test_a_kind_may_say_itself_why_it_cannot_go_on(counting: Counting) -> None:
    def before(where: str) -> None:
        raise JobFailed("The file is gone: upload it again.")

    counting.before = before
    job = begin()
    work()
    assert again(job).error == "The file is gone: upload it again. Done by then: 0; that stays."


def test_a_database_that_fails_ends_no_job(own_database: None, counting: Counting) -> None:
    def before(where: str) -> None:
        counting.before = lambda where: None
        raise OperationalError("deadlock detected")

    counting.before = before
    job, clock = begin(), Clock()
    assert work(clock)
    assert again(job).state == "leased"
    assert not work(clock)
    clock.now += jobs.AGAIN_AFTER
    assert work(clock)
    assert again(job).state == "finished"


# A job that kills its workers


def _kills_each(counting: Counting, clock: Clock, times: int, where: str = "step", at: int = 6) -> None:
    """So many workers take it up, one after another, and end where `at` offers are made."""

    def before(here: str) -> None:
        if here == where and Offer.objects.count() >= at:
            raise Killed

    counting.before = before
    for _ in range(times):
        with pytest.raises(Killed):
            work(clock)
        clock.now += jobs.LEASE


@pytest.mark.django_db
@pytest.mark.parametrize(("where", "done"), [("prepare", 6), ("step", 3)])
def test_a_job_that_kills_five_workers_at_one_place_fails_and_says_what_to_do(
    counting: Counting, where: str, done: int, caplog: pytest.LogCaptureFixture
) -> None:
    job, clock = begin(), Clock()
    _kills_each(counting, clock, jobs.MOST_TAKE_UPS, where)
    assert again(job).state == "leased"
    assert work(clock), "to end it, without a sixth worker"
    job = again(job)
    assert (job.state, job.done, job.finished_at, job.lease_token) == ("failed", done, clock.now, None)
    assert job.error == (
        "Its worker ended 5 times at the same place, so it is not taken up again by itself. "
        f"Done by then: {done} of 10; that stays. Have somebody look into the server's log, then press “Go on”."
    )
    assert made() == numbers(done)
    assert not work(clock)
    assert f"Job {job.pk}" in caplog.text


@pytest.mark.django_db
def test_the_jobs_behind_one_that_kills_its_workers_get_their_turn(counting: Counting) -> None:
    clock = Clock()
    first, second = begin(), begin()
    _kills_each(counting, clock, jobs.MOST_TAKE_UPS)
    counting.before = lambda where: None
    while work(clock):
        pass
    assert (again(first).state, again(second).state) == ("failed", "finished")


@pytest.mark.django_db
def test_a_job_that_gets_on_between_two_kills_is_taken_up_as_often_as_it_takes(counting: Counting) -> None:
    counting.at_once = 1
    job, clock = begin(), Clock()
    for done in range(9):
        _kills_each(counting, clock, 1, at=done + 2)
        assert again(job).done == done + 1
    _kills_each(counting, clock, jobs.MOST_TAKE_UPS - 2, at=10)
    counting.before = lambda where: None
    work(clock)
    assert again(job).state == "finished"
    assert made() == numbers(10)


@pytest.mark.django_db
def test_a_worker_that_is_told_to_stop_is_none_that_the_job_killed(counting: Counting) -> None:
    job, clock = begin(), Clock()
    for _ in range(jobs.MOST_TAKE_UPS):
        assert work(clock, stopping=lambda: True)
        assert again(job).state == "waiting"
    work(clock)
    assert again(job).state == "finished"


def test_a_worker_whose_database_fails_is_none_that_the_job_killed(
    own_database: None, counting: Counting
) -> None:
    def before(where: str) -> None:
        raise OperationalError("the database restarts")

    counting.before = before
    job, clock = begin(), Clock()
    for _ in range(jobs.MOST_TAKE_UPS):
        assert work(clock)
        clock.now += jobs.AGAIN_AFTER
    counting.before = lambda where: None
    work(clock)
    assert again(job).state == "finished"


@pytest.mark.django_db
def test_a_failed_job_goes_on_by_hand_where_it_stood(counting: Counting, rings: list[str]) -> None:
    job, clock = begin(), Clock()
    _kills_each(counting, clock, jobs.MOST_TAKE_UPS)
    work(clock)
    assert jobs.may_go_on(again(job))
    assert jobs.go_on(again(job))
    assert not jobs.may_go_on(again(job))
    assert not jobs.go_on(again(job)), "once"
    _kills_each(counting, clock, jobs.MOST_TAKE_UPS - 1)
    counting.before = lambda where: None
    work(clock)
    job = again(job)
    assert (job.state, job.error) == ("finished", "")
    assert made() == numbers(10)


@pytest.mark.django_db
def test_undoing_starts_to_count_anew_and_goes_on_by_hand_too(
    counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, clock = begin(), Clock()
    _kills_each(counting, clock, jobs.MOST_TAKE_UPS - 1)
    jobs.cancel(again(job))

    def undo(job: Job, at: datetime) -> Step:
        raise Killed

    monkeypatch.setitem(ports.job_kinds, "counting", counting.kind(undo=undo))
    _kills_each(counting, clock, jobs.MOST_TAKE_UPS)
    work(clock)
    assert again(job).state == "failed"
    monkeypatch.setitem(ports.job_kinds, "counting", counting.kind())
    assert jobs.go_on(again(job))
    work(clock)
    assert again(job).state == "cancelled"
    assert made() == []


@pytest.mark.django_db
def test_a_job_goes_on_by_hand_only_if_it_failed_and_its_kind_is_known(counting: Counting) -> None:
    job = begin()
    assert not jobs.go_on(job)
    work()
    assert not jobs.go_on(again(job)), "it has finished"
    assert not jobs.may_go_on(Job.objects.create(kind="unheard_of", state="failed"))


def test_two_workers_never_work_on_one_job(
    own_database: None, monkeypatch: pytest.MonkeyPatch, rings: list[str]
) -> None:
    counting = Counting(of=12, at_once=1)
    monkeypatch.setattr(ports, "job_kinds", {"counting": counting.kind()})
    at_work: list[int] = []
    together: list[int] = []

    def step(job: Job, found: Any, at: datetime) -> Step:
        at_work.append(job.pk)
        together.append(at_work.count(job.pk))
        try:
            return counting.step(job, found, at)
        finally:
            at_work.remove(job.pk)

    monkeypatch.setitem(ports.job_kinds, "counting", counting.kind(step=step))
    for _ in range(3):
        jobs.start("counting", {}, None)
    begin_together = threading.Barrier(4)

    def run() -> None:
        begin_together.wait(10)
        try:
            while jobs.work("worker", stopping=lambda: False):
                pass
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert set(Job.objects.values_list("state", flat=True)) == {"finished"}
    assert set(together) == {1}
    assert made() == sorted(numbers(12) * 3, key=int)


# Cancel


@pytest.mark.django_db
def test_a_job_that_nobody_took_up_is_cancelled_at_once(counting: Counting) -> None:
    job = begin()
    assert jobs.cancel(job)
    assert again(job).state == "cancelled"
    assert not work()
    assert made() == []


@pytest.mark.django_db
def test_a_running_job_is_cancelled_before_its_next_slice_and_undone(counting: Counting) -> None:
    job = begin()

    def before(where: str) -> None:
        if Offer.objects.count() == 6 and where == "prepare":
            jobs.cancel(job)

    counting.before = before
    work()
    assert again(job).state == "cancelled"
    assert made() == []


@pytest.mark.django_db
def test_without_an_undo_what_was_done_stays(counting: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ports.job_kinds, "counting", counting.kind(undo=None))
    job = begin()

    def before(where: str) -> None:
        if made():
            jobs.cancel(job)

    counting.before = before
    work()
    assert (again(job).state, again(job).done) == ("cancelled", 3)
    assert made() == numbers(3)
    assert not jobs.may_cancel(again(job))


@pytest.mark.django_db
def test_a_finished_job_is_taken_up_again_to_be_undone(counting: Counting) -> None:
    job = begin()
    work()
    assert jobs.may_cancel(again(job))
    assert jobs.cancel(again(job))
    assert work()
    assert again(job).state == "cancelled"
    assert made() == []
    assert not jobs.cancel(again(job)), "once"


@pytest.mark.django_db
def test_a_worker_killed_in_the_middle_of_undoing_is_followed_by_another(
    counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, clock = begin(), Clock()
    work(clock)
    jobs.cancel(again(job))
    kills = [Killed()]

    def undo(job: Job, at: datetime) -> Step:
        step = counting.undo(job, at)
        if kills and Offer.objects.count() < 5:
            raise kills.pop()
        return step

    monkeypatch.setitem(ports.job_kinds, "counting", counting.kind(undo=undo))
    with pytest.raises(Killed):
        work(clock)
    clock.now += jobs.LEASE
    work(clock)
    assert again(job).state == "cancelled"
    assert made() == []


# Old ones


@pytest.mark.django_db
def test_jobs_that_ended_long_ago_are_forgotten_with_their_results(counting: Counting) -> None:
    ended = {
        state: Job.objects.create(kind="counting", state=state, finished_at=START, result={"last": 10})
        for state in ("finished", "cancelled", "failed")
    }
    later = Job.objects.create(kind="counting", state="finished", finished_at=START + timedelta(seconds=1))
    at_work = Job.objects.create(kind="counting", created_at=START - jobs.KEPT)
    assert jobs.prune(START + jobs.KEPT) == 0
    assert jobs.prune(START + jobs.KEPT + timedelta(seconds=1)) == len(ended)
    assert set(Job.objects.all()) == {later, at_work}
    assert jobs.KEPT.days == 90


@pytest.mark.django_db
def test_one_that_is_being_undone_is_not_forgotten(counting: Counting) -> None:
    job = begin()
    work()
    jobs.cancel(again(job))
    assert jobs.prune(START + 2 * jobs.KEPT) == 0
    assert again(job).state == "waiting"


# The pages


def url_of(job: Job, page: str = "change/") -> str:
    return f"{LIST}{job.pk}/{page}"


def text(name: str, url: str) -> str:
    response = signed_in(name).get(url)
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.django_db
def test_the_page_says_how_far_a_job_is_and_looks_again_until_it_has_ended(counting: Counting) -> None:
    job = begin(about="Every offer")
    assert "Waiting for a worker" in text("bob", url_of(job))
    looks = iter([False, True])
    work(stopping=lambda: next(looks))
    html = text("bob", url_of(job))
    assert "Waiting to go on: 3 of 10" in html
    assert "Every offer" in html
    assert 'hx-trigger="every 3s"' in html
    assert "Download" not in html
    work()
    html = text("bob", url_of(job))
    assert "Finished: 10 of 10" in html
    assert "hx-trigger" not in html
    assert "Download the result" in html


@pytest.mark.django_db
def test_the_page_says_that_a_worker_is_gone(counting: Counting) -> None:
    job = begin()
    lease = {"state": "leased", "lease_token": new_id(), "started_at": START, "done": 3, "total": 10}
    Job.objects.update(**lease, lease_expires_at=timezone.now() + jobs.LEASE)
    assert "Running: 3 of 10" in text("bob", url_of(job))
    Job.objects.update(lease_expires_at=timezone.now())
    assert "Its worker is gone, the next takes it up: 3 of 10" in text("bob", url_of(job))


@pytest.mark.django_db
def test_the_page_says_what_came_of_a_job(counting: Counting) -> None:
    counting.report = JobReport(
        "Ten made.", [Figure("Made", 10, "/admin/leads/offer/", "all of them")], ["No more."],
        [("Next", "/admin/")], moving=True, undo="Take them back",
    )  # fmt: skip
    job = begin()
    work()
    html = text("bob", url_of(job))
    for words in ("Ten made.", '<a href="/admin/leads/offer/">10</a>', "all of them", "No more.", "Next"):
        assert words in html
    assert 'hx-trigger="every 20s"' in html
    assert "Take them back" in html
    assert "Take them back" not in text("dave", url_of(job)), "an auditor may look, no more"


@pytest.mark.django_db
def test_the_page_of_a_failed_job_says_why(counting: Counting) -> None:
    def before(where: str) -> None:
        raise JobFailed(f"{EVIL} is wrong.")

    counting.before = before
    job = begin(about=EVIL)
    work()
    html = text("bob", url_of(job))
    assert "Failed" in html
    assert "is wrong." in html
    assert EVIL not in html
    assert EVIL not in text("bob", LIST)


@pytest.mark.django_db
def test_a_failed_job_goes_on_at_the_press_of_a_button(counting: Counting) -> None:
    job, clock = begin(), Clock()
    _kills_each(counting, clock, jobs.MOST_TAKE_UPS)
    assert "Go on" not in text("bob", url_of(job))
    work(clock)
    html = text("bob", url_of(job))
    assert "Go on where it stopped" in html
    assert "Go on where" not in text("dave", url_of(job))
    assert signed_in("dave").post(url_of(job, "go-on/")).status_code == 403
    assert signed_in("bob").get(url_of(job, "go-on/")).status_code == 405
    assert (
        "It goes on at 3 of 10." in signed_in("bob").post(url_of(job, "go-on/"), follow=True).content.decode()
    )
    assert again(job).state == "waiting"
    assert LogEntry.objects.get().get_change_message() == "Had it go on."
    assert "Left alone" in signed_in("bob").post(url_of(job, "go-on/"), follow=True).content.decode()


@pytest.mark.django_db
def test_the_page_of_a_job_that_ended_says_until_when_it_is_kept(counting: Counting) -> None:
    job = begin()
    assert "Kept until" not in text("bob", url_of(job))
    work()
    assert "Kept until 2027-02-20" in text("bob", url_of(job))


@pytest.mark.django_db
def test_a_job_of_a_kind_that_is_gone_can_still_be_looked_at(counting: Counting) -> None:
    job = Job.objects.create(kind=EVIL[:40], state="finished", started_at=START, finished_at=START)
    html = text("bob", url_of(job))
    assert "not part of this version" in html
    assert EVIL not in html
    assert signed_in("bob").get(url_of(job, "result.csv")).status_code == 404
    assert signed_in("bob").post(url_of(job, "cancel/")).status_code == 403


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "status"),
    [("alice", 200), ("bob", 200), ("erin", 200), ("dave", 200), ("charlie", 403), ("frank", 403)],
)
def test_jobs_of_others_are_for_those_who_may_see_jobs(counting: Counting, name: str, status: int) -> None:
    job = jobs.start("counting", {}, None)
    assert signed_in(name).get(LIST).status_code == status
    assert signed_in(name).get(url_of(job)).status_code == status


@pytest.mark.django_db
def test_whoever_started_a_job_may_always_see_it(counting: Counting) -> None:
    job = jobs.start("counting", {}, person("frank"))
    assert "Counting" in text("frank", url_of(job))
    assert signed_in("frank").get(LIST).status_code == 403


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["dave", "charlie", "frank"])
def test_cancelling_needs_the_permission_of_the_kind(counting: Counting, name: str) -> None:
    job = begin()
    assert signed_in(name).post(url_of(job, "cancel/")).status_code == 403
    assert again(job).state == "waiting"


@pytest.mark.django_db
def test_cancelling_is_pressed_once_and_written_down(counting: Counting) -> None:
    job = begin()
    bob = signed_in("bob")
    assert bob.get(url_of(job, "cancel/")).status_code == 405
    assert "Cancel" in text("bob", url_of(job))
    assert "Cancelled." in bob.post(url_of(job, "cancel/"), follow=True).content.decode()
    assert again(job).state == "cancelled"
    assert LogEntry.objects.get().get_change_message() == "Cancelled."
    assert "Left alone" in bob.post(url_of(job, "cancel/"), follow=True).content.decode()


@pytest.mark.django_db
def test_nobody_adds_changes_or_deletes_a_job(counting: Counting) -> None:
    job = begin()
    alice = signed_in("alice")
    assert alice.get(f"{LIST}add/").status_code == 403
    assert alice.post(url_of(job), {"kind": "x"}).status_code == 403
    assert alice.post(url_of(job, "delete/"), {"post": "yes"}).status_code == 403
    assert again(job).kind == "counting"


@pytest.mark.django_db
def test_a_longer_list_asks_no_more_questions(counting: Counting, django_assert_max_num_queries: Any) -> None:
    for _ in range(3):
        begin(about="Every offer")
    bob = signed_in("bob")
    bob.get(LIST)
    with django_assert_max_num_queries(13):
        assert bob.get(LIST).content.decode().count("Every offer") == 3
    for _ in range(9):
        begin(about="Every offer")
    with django_assert_max_num_queries(13):
        assert bob.get(LIST, {"kind": "counting"}).content.decode().count("Every offer") == 12


# The result as a file


@pytest.mark.django_db
def test_the_result_is_a_file_that_no_spreadsheet_runs(counting: Counting) -> None:
    job = begin()
    work()
    response = signed_in("bob").get(url_of(job, "result.csv"))
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"] == f'attachment; filename="counting-{job.pk}.csv"'
    assert response.content.decode() == "\ufeffOffer\r\n'=1+1\r\n"


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["dave", "charlie", "frank"])
def test_downloading_needs_the_permission_of_the_kind(counting: Counting, name: str) -> None:
    job = begin()
    work()
    assert signed_in(name).get(url_of(job, "result.csv")).status_code == 403


@given(st.text(max_size=20))
def test_no_cell_begins_like_a_formula(text: str) -> None:
    assert not sheet.cell(text).startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert sheet.cell(text).endswith(text.replace("\x00", "\ufffd"))


def test_a_cell_is_no_longer_than_a_spreadsheet_takes() -> None:
    assert len(sheet.cell("x" * 100_000)) < 32_767
