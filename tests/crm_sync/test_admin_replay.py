"""The page of replays: what would be sent is said before it is, and nothing starts by accident or by a stranger."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm_sync import replay
from crm_sync.admin import replay as page
from crm_sync.admin import replay_estimate
from crm_sync.models import Attempt, Delivery, DestinationState, MappingVersion
from crm_sync.replay import Estimate, Range
from leads import jobs, ports
from leads.models import Job, Lead, new_id
from tests.crm_sync.screens import Demo, html_of, may_only, press, text_of, url_of, words
from tests.staff import signed_in

pytestmark = pytest.mark.django_db

PAGE = "/admin/crm_sync/delivery/replay/"
LIST = "/admin/crm_sync/delivery/"
EVIL = "<script>alert(1)</script>"
NONE = dict.fromkeys(Estimate.__dataclass_fields__, 0)


@pytest.fixture(autouse=True)
def rings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    rung: list[str] = []
    monkeypatch.setattr(ports.ports, "bell", [lambda: rung.append("ring")])
    return rung


def failed(demo: Demo, many: int = 1, **values: Any) -> list[Delivery]:
    return [demo.owe(**{"state": "rejected", "settled_at": timezone.now()} | values) for _ in range(many)]


def estimated(name: str = "bob", **query: Any) -> str:
    return text_of(signed_in(name), PAGE, estimate="1", **query)


def work() -> None:
    while jobs.work("worker", stopping=lambda: False):
        pass


# The estimate


def test_the_estimate_says_how_many_match_and_what_becomes_of_each(
    django_assert_max_num_queries: Any,
) -> None:
    demo = Demo()
    failed(demo, 31, reason="No such country")
    failed(demo, 7, state="delivered", reason="")
    text = estimated()
    assert "38 match: 31 failed, 7 already there (skipped)" in text
    assert "Not sent a second time." in text
    assert text.count("Jane Doe → Demo CRM") == 10
    assert "Rejected: No such country" in text
    assert "and 21 more" in text
    assert "about" in text
    assert "Replay 31" in text
    assert not Job.objects.exists(), "an estimate starts nothing"


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({}, "0 match"),
        ({"again": 1}, "1 matches: 1 failed"),
        ({"again": 31, "delivered": 7}, "38 match: 31 failed, 7 already there (skipped)"),
        ({"waiting": 1, "leased": 2}, "3 match: 0 failed, 1 going out by itself (skipped), 2 on their way (skipped)"),
        ({"again": 2, "never_sent": 3}, "5 match: 2 failed, 3 never sent there"),
        ({"dnc": 1, "approval": 1}, "2 match: 0 failed, 1 waiting for approval (skipped), 1 not to be contacted (skipped)"),
        ({"again": 1200, "other_reason": 1}, "1,201 match: 1,200 failed, 1 failed otherwise (skipped)"),
        ({"uncertain": 4, "cancelled": 1}, "5 match: 0 failed, 4 may have arrived (skipped), 1 cancelled (skipped)"),
    ],
)  # fmt: skip
def test_the_estimate_in_a_line(counts: dict[str, int], said: str) -> None:
    assert replay_estimate.sentence(Estimate(**NONE | counts)) == said


def test_every_part_of_an_estimate_has_words_and_is_counted_once() -> None:
    counted = Estimate(**dict.fromkeys(NONE, 1))
    shown = replay_estimate.lines(counted, Range(never_sent=True))
    assert sum(line.count for line in shown) == counted.match == len(NONE)
    assert sum(line.count for line in shown if not line.skipped) == counted.to_send


def test_what_is_skipped_leads_to_its_list() -> None:
    demo = Demo()
    failed(demo, 2, state="delivered")
    html = html_of(signed_in("bob"), PAGE, destination=demo.destination.pk)
    assert f"{LIST}?state=delivered&amp;destination={demo.destination.pk}" in html


def test_a_range_may_be_narrowed() -> None:
    demo = Demo()
    failed(demo, 2, reason_group="No field …")
    failed(demo, 3, state="held", held_reason="gave_up", settled_at=None)
    assert "5 match: 5 failed" in estimated()
    assert "5 match: 2 failed, 3 failed otherwise (skipped)" in estimated(why="rejected")
    assert "5 match: 2 failed, 3 failed otherwise (skipped)" in estimated(group="No field …")
    assert "5 match: 5 failed" in estimated(offer=demo.offer.pk, destination=demo.destination.pk)
    tomorrow = (timezone.localtime() + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    text = estimated(since=tomorrow)
    assert "0 match No sending is in this range: choose a longer time, or fewer conditions." in text
    assert "5 match: 5 failed" in estimated(until=tomorrow)


def test_leads_that_were_never_sent_there_count_if_asked_for() -> None:
    demo = Demo()
    demo.lead()
    assert "0 match" in estimated()
    text = estimated(never_sent="on")
    assert "1 matches: 0 failed, 1 never sent there" in text
    assert "Jane Doe → Demo CRM Never sent there" in text


def test_a_first_look_offers_the_last_week_and_counts_nothing() -> None:
    failed(Demo())
    text = text_of(signed_in("bob"), PAGE)
    assert "match" not in text
    html = html_of(signed_in("bob"), PAGE)
    week = timezone.localtime(timezone.now() - timedelta(days=7))
    assert f'value="{week:%Y-%m-%dT}' in html


@pytest.mark.parametrize(
    ("query", "why", "group"),
    [
        ({"state": "rejected"}, "rejected", ""),
        ({"held_reason": "gave_up", "state": "held"}, "gave_up", ""),
        ({"held_reason": "dnc"}, None, None),
        ({"state": "rejected", "reason_group": "No field …"}, "rejected", "No field …"),
        ({"state": "rejected", "reason_group": "-"}, "rejected", ""),
        ({"state": "delivered", "p": "2"}, None, None),
        ({"state": "on_their_way", "destination": "real"}, None, None),
    ],
)
def test_the_filters_of_the_list_are_filled_in(
    query: dict[str, str], why: str | None, group: str | None
) -> None:
    Demo()
    form = signed_in("bob").get(PAGE, query).context["form"]
    if why is None:
        assert not form.is_bound
    else:
        assert form.is_bound
        assert (form.data.get("why", ""), form.data.get("group", "")) == (why, group)


def test_the_page_is_reached_from_the_list_and_from_the_connection() -> None:
    demo = Demo()
    failed(demo)
    link = f"{PAGE}?destination={demo.destination.pk}"
    assert link in html_of(signed_in("bob"), LIST, destination=demo.destination.pk)
    assert link in html_of(signed_in("bob"), url_of(demo.destination))
    for url in (LIST, url_of(demo.destination)):
        assert PAGE not in html_of(signed_in("dave"), url)


@pytest.mark.parametrize(
    ("state", "word"), [("paused", "Paused"), ("stopped", "Stopped"), ("slowed", "Slowed")]
)
def test_a_connection_that_does_not_work_is_warned_of(state: str, word: str) -> None:
    demo = Demo()
    failed(demo)
    DestinationState.objects.update(state=state, reason="As it is")
    text = estimated()
    assert f"Demo CRM: {word}" in text
    assert "Replayed leads wait until it works again." in text


def test_a_broken_field_mapping_is_warned_of() -> None:
    demo = Demo()
    failed(demo)
    MappingVersion.objects.update(broken="No such field", broken_field="topic")
    assert "is broken: mend it first" in estimated()


def test_how_long_it_takes_follows_from_the_limits() -> None:
    demo = Demo()
    attempt = {"started_at": timezone.now(), "finished_at": timezone.now() + timedelta(seconds=2)}
    for sent in failed(demo, 100):
        Attempt.objects.create(delivery=sent, number=1, token=new_id(), **attempt)
    assert "takes about 20 s" in estimated(), "ten at once, two seconds each"
    type(demo.destination).objects.update(max_per_second=1)
    assert "about 100 s" in estimated()
    type(demo.destination).objects.update(max_per_day=20)
    assert "about 4 days" in estimated()


def test_credentials_that_do_not_open_do_not_hide_the_estimate(settings: Any) -> None:
    demo = Demo()
    failed(demo)
    demo.destination.secrets = {"key": "hunter2"}
    demo.destination.save()
    settings.FIELD_ENCRYPTION_KEYS = ["MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="]
    assert "1 matches: 1 failed" in estimated()


def test_a_longer_list_asks_no_more_questions() -> None:
    demo = Demo()

    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            estimated()
        return len(asked)

    failed(demo)
    queries()  # what is asked once a process
    few = queries()
    failed(demo, 9)
    assert queries() == few


# Starting


def test_a_replay_is_started_followed_and_written_down(
    django_capture_on_commit_callbacks: Any, rings: list[str]
) -> None:
    demo = Demo()
    sent = failed(demo, 3, reason="No")
    bob = signed_in("bob")
    with django_capture_on_commit_callbacks(execute=True):
        text = press(bob, PAGE, replay="1", count="3")
    assert rings
    job = Job.objects.get()
    assert (job.kind, job.created_by.username) == (replay.REPLAY, "bob")  # type: ignore[union-attr]
    assert f"Replay {job.pk}" in text
    assert "Every offer → every connection" in text
    assert "Waiting for a worker" in text
    (entry,) = LogEntry.objects.filter(object_id=str(job.pk))
    assert "Started a replay of 3 leads: Every offer → every connection." in entry.get_change_message()
    work()
    text = text_of(bob, url_of(job))
    assert "Finished: 3 of 3" in text
    assert "3 sent again: 3 waiting." in text
    assert "The estimate was: 3 match: 3 failed." in text
    html = html_of(bob, url_of(job))
    assert 'hx-trigger="every 20s"' in html
    assert f"{LIST}?job__exact={job.pk}&amp;state=waiting" in html
    listed = bob.get(LIST, {"job__exact": job.pk, "state": "waiting"}).context["cl"].result_list
    assert {each.pk for each in listed} == {each.pk for each in sent}
    Delivery.objects.update(state="delivered")
    html = html_of(bob, url_of(job))
    assert "hx-trigger" not in html
    assert "3 sent again: 3 delivered." in words(html)


def test_what_has_not_left_yet_can_be_taken_back() -> None:
    demo = Demo()
    arrived, left = failed(demo, 2)
    bob = signed_in("bob")
    press(bob, PAGE, replay="1", count="2")
    work()
    Delivery.objects.filter(pk=arrived.pk).update(state="delivered", tries=1)
    job = Job.objects.get()
    assert "Take back what has not left yet" in text_of(bob, url_of(job))
    bob.post(url_of(job, "cancel"))
    work()
    text = text_of(bob, url_of(job))
    assert "Cancelled: 2 of 2" in text
    assert "Taken back 1" in text
    left.refresh_from_db()
    assert left.state == "rejected"


def test_a_dry_run_is_started_from_the_same_page() -> None:
    failed(Demo(), 2)
    bob = signed_in("bob")
    press(bob, PAGE, dry_run="1", count="2", why="rejected")
    work()
    job = Job.objects.get()
    text = text_of(bob, url_of(job))
    assert "Dry run of a replay" in text
    assert "2 would be sent, with 2 requests; 0 would not. Nothing was sent." in text
    assert f"{PAGE}?why=rejected" in html_of(bob, url_of(job))
    assert set(Delivery.objects.values_list("state", flat=True)) == {"rejected"}


def test_the_button_counts_what_was_seen() -> None:
    demo = Demo()
    failed(demo, 3)
    text = press(signed_in("bob"), PAGE, replay="1", count="2")
    assert "By now it would be 3 leads." in text
    assert "Replay 3" in text
    for count in ("", "x", "3 "):
        press(signed_in("bob"), PAGE, replay="1", count=count)
    assert not Job.objects.exists()


def test_nothing_to_send_and_too_much_to_send_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    demo = Demo()
    assert "Nothing to send again there." in press(signed_in("bob"), PAGE, replay="1", count="0")
    failed(demo, 3)
    monkeypatch.setattr(replay, "MOST", 2)
    assert "At most 2 at once" in press(signed_in("bob"), PAGE, replay="1", count="3")
    assert "Replay 3" not in estimated()
    assert not Job.objects.exists()


def test_earlier_replays_are_named() -> None:
    failed(Demo())
    press(signed_in("bob"), PAGE, replay="1", count="1")
    work()
    text = text_of(signed_in("bob"), PAGE)
    assert f"Replay {Job.objects.get().pk} Every offer → every connection Finished: 1 of 1" in text
    stranger = may_only("frank", page.PERMISSION)
    assert "Finished" not in text_of(stranger, PAGE), "somebody else's, and frank may not see jobs"


# The file


def test_the_result_is_a_file_without_formulas() -> None:
    failed(Demo())
    Lead.objects.update(first_name='=HYPERLINK("http://evil.example")', last_name="")
    press(signed_in("bob"), PAGE, replay="1", count="1")
    work()
    response = signed_in("bob").get(url_of(Job.objects.get(), "result"))
    assert response["Content-Disposition"].startswith("attachment")
    assert ",\"'=HYPERLINK(" in response.content.decode()


# Who may


@pytest.mark.parametrize("name", ["charlie", "dave", "frank"])
def test_replaying_needs_its_permission(name: str) -> None:
    failed(Demo())
    client = signed_in(name)
    assert client.get(PAGE).status_code == 403
    assert client.post(PAGE, {"replay": "1", "count": "1"}).status_code == 403
    assert client.post(PAGE, {"dry_run": "1", "count": "1"}).status_code == 403
    assert not Job.objects.exists()


@pytest.mark.parametrize("name", ["alice", "bob", "erin"])
def test_partner_managers_and_administrators_may_replay(name: str) -> None:
    failed(Demo())
    assert "1 matches" in estimated(name)


def test_who_may_see_no_sendings_reads_numbers_only() -> None:
    failed(Demo(), reason="No")
    client = may_only("frank", page.PERMISSION)
    text = text_of(client, PAGE, estimate="1")
    assert "1 matches: 1 failed" in text
    assert "Jane" not in text
    press(client, PAGE, replay="1", count="1")
    work()
    job = Job.objects.get()
    assert "Jane" not in text_of(client, url_of(job))
    assert client.get(url_of(job, "result")).status_code == 403


# Strangers' words, and hostile addresses


def test_hostile_text_is_harmless() -> None:
    failed(Demo(), reason=EVIL, reason_group=EVIL)
    Lead.objects.update(first_name=EVIL, last_name=EVIL)
    assert EVIL not in html_of(signed_in("bob"), PAGE, estimate="1", group=EVIL)
    press(signed_in("bob"), PAGE, replay="1", count="1", group=EVIL)
    work()
    job = Job.objects.get()
    assert EVIL not in html_of(signed_in("bob"), url_of(job))
    assert EVIL not in html_of(signed_in("bob"), PAGE)


@pytest.mark.parametrize(
    "query",
    [
        {"offer": "1' OR 1=1"},
        {"offer": "9" * 40},
        {"destination": "-1"},
        {"destination": "\x00"},
        {"since": "0001-01-01T00:00"},
        {"until": "9999-12-31T23:59"},
        {"since": "2026-13-45T99:99"},
        {"since": "x" * 10_000},
        {"since": "2026-11-22T10:00", "until": "2026-11-22T10:00"},
        {"why": "delivered"},
        {"why": "__class__"},
        {"group": "x" * 201},
        {"group": "a\x00b"},
    ],
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_nonsense_is_refused_beside_its_box(query: dict[str, str], method: str) -> None:
    failed(Demo())
    ask: Callable[..., Any] = getattr(signed_in("bob"), method)
    response = ask(PAGE, query | {"replay": "1", "count": "1", "estimate": "1"})
    assert response.status_code == 200
    assert "errorlist" in response.content.decode()
    assert not Job.objects.exists()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    query=st.dictionaries(
        st.sampled_from(
            [*page.RangeForm.base_fields, "state", "held_reason", "reason_group", "estimate", "p", "q"]
        ),
        st.text(max_size=30) | st.sampled_from(["1", "rejected", "on", "2026-11-22T10:00"]),
    )
)
def test_no_address_breaks_the_page(query: dict[str, str]) -> None:
    response = signed_in("bob").get(
        PAGE, {name: value.encode("utf-8", "replace") for name, value in query.items()}
    )
    assert response.status_code == 200
