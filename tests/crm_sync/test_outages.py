"""Outages are told to people: once when they start, once when they are over, whatever crashes in between."""

import smtplib
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core import mail
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck
from hypothesis import settings as examples
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from crm_sync import mails, outages
from crm_sync.models import Attempt, Delivery, Destination, DestinationState, Outage
from leads import mailing
from tests.crm_sync.sending import START, Clock, make_destination, make_lead, make_offer, make_route
from tests.staff import person

DOWN = 'The CRM failed (HTTP 503): upstream says "jane@fabrikam.example is Jane Doe"'
WRONG_KEY = "The CRM does not accept the credentials (HTTP 401): no token 4711"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mails leave in the thread that watches."""
    monkeypatch.setattr(mailing, "in_background", lambda work: work())


@pytest.fixture(autouse=True)
def _site(settings: Any) -> None:
    settings.PUBLIC_URL, settings.TIME_ZONE = "https://leads.contoso.example", "Europe/Berlin"


class HubSpot:
    """A CRM that leads are sent to, workers that watch it, and Erin, who is told."""

    def __init__(self, name: str = "HubSpot") -> None:
        self.clock = Clock()
        self.destination = make_destination("demo", name=name)
        self.route = make_route(make_offer(), self.destination)
        User.objects.filter(pk=person("erin").pk).update(email="erin@contoso.example")

    @property
    def state(self) -> DestinationState:
        return DestinationState.objects.get(pk=self.destination.pk)

    @property
    def outage(self) -> Outage:
        return Outage.objects.get()

    def watch(self, **later: float) -> None:
        self.clock.pass_(**later)
        outages.watch(self.clock.now)

    def owe(self, leads: int = 1, **values: Any) -> list[Delivery]:
        came = self.clock.now - timedelta(seconds=1)
        return [
            Delivery.objects.create(
                lead=make_lead(self.route.offer),
                route=self.route,
                destination=self.destination,
                **{"created_at": came, "due_at": came} | values,
            )
            for _ in range(leads)
        ]

    def try_(self, delivery: Delivery, outcome: str) -> None:
        at = self.clock.now
        Attempt.objects.create(
            delivery=delivery, number=1, token=uuid.uuid4(), started_at=at, finished_at=at, outcome=outcome
        )

    def become(self, state: str, reason: str = "", failures: int = 0) -> None:
        row = self.state
        until = self.clock.now + timedelta(minutes=19) if state in ("slowed", "stopped") else None
        row.become(state, reason, self.clock.now, until=until)
        row.failures = failures
        row.save()

    def fail(self, reason: str = DOWN) -> None:
        """The breaker opens."""
        self.try_(self.owe()[0], "retry_later")
        self.become("slowed", reason, failures=5)

    def stop(self) -> None:
        self.become("stopped", WRONG_KEY, failures=1)

    def throttle(self) -> None:
        self.try_(self.owe()[0], "throttled")
        self.become("slowed", "The CRM's limit is reached (HTTP 429).", failures=1)

    def work(self) -> None:
        self.become("working")

    def settle(self, state: str = "delivered", number: int | None = None, **values: Any) -> None:
        owed = Delivery.objects.filter(state__in=["waiting", "leased"]).order_by("pk")
        chosen = list(owed.values_list("pk", flat=True))[:number]
        settled = None if state == "held" else self.clock.now
        Delivery.objects.filter(pk__in=chosen).update(state=state, settled_at=settled, **values)


@pytest.fixture
def crm(db: None) -> HubSpot:
    return HubSpot()


def subjects() -> list[str]:
    return [message.subject for message in mail.outbox]


# What is an outage


def test_an_open_breaker_and_a_stopped_connection_are_told_at_once(crm: HubSpot) -> None:
    crm.watch()
    assert subjects() == []
    crm.fail()
    crm.watch(seconds=2)
    assert subjects() == ["HubSpot takes no leads since 11:00 CET"]
    assert (crm.outage.started_at, crm.outage.reason) == (START, DOWN)

    other = HubSpot("Dynamics")
    other.stop()
    other.watch()
    assert subjects()[1:] == ["Dynamics takes no leads since 11:00 CET"]


def test_a_crm_that_asks_to_slow_down_is_told_after_half_an_hour(crm: HubSpot) -> None:
    crm.throttle()
    crm.watch(minutes=29)
    assert not Outage.objects.exists()
    crm.watch(minutes=1)
    assert subjects() == ["HubSpot takes no leads since 11:00 CET"]


def test_a_connection_that_has_had_its_leads_for_today_is_no_outage(crm: HubSpot) -> None:
    crm.owe()
    crm.become("slowed", "The limit of 100 a day is reached.")
    crm.watch(hours=10)
    assert not Outage.objects.exists()


def test_pausing_by_hand_tells_nobody(crm: HubSpot) -> None:
    crm.owe(3)
    crm.become("paused")
    crm.watch()
    crm.watch(days=2)
    assert not Outage.objects.exists()
    assert mail.outbox == []


def test_an_outage_that_somebody_pauses_goes_on(crm: HubSpot) -> None:
    crm.fail()
    crm.watch()
    crm.become("paused")
    crm.watch(days=1)
    assert crm.outage.recovered_at is None
    crm.work()
    crm.watch(minutes=1)
    assert crm.outage.recovered_at == crm.clock.now - timedelta(minutes=1)


def test_where_nothing_is_wrong_watching_asks_two_questions(crm: HubSpot) -> None:
    crm.fail()
    crm.watch()
    crm.work()
    crm.settle()
    crm.watch()
    crm.watch(days=2)
    with CaptureQueriesContext(connection) as queries:
        crm.watch()
    assert len(queries) == 2


def test_secrets_that_do_not_open_keep_nobody_from_being_told(crm: HubSpot, settings: Any) -> None:
    crm.destination.secrets = {"token": "hunter2"}
    crm.destination.save()
    settings.FIELD_ENCRYPTION_KEYS = ["8Vn3JYF3b8b8vLqYy1XlNcM3cZJz0d7sUzhjmG0yq1E="]
    crm.stop()
    crm.watch()
    crm.work()
    crm.watch()
    assert len(subjects()) == 2


# What the mails say


def test_the_first_mail_says_what_waits_why_and_what_happens_next(crm: HubSpot) -> None:
    crm.owe(13)
    crm.fail()
    crm.watch()
    (message,) = mail.outbox
    assert message.to == ["erin@contoso.example"]
    what, nothing_to_do, link, *_ = message.body.split("\n\n")
    assert what == (
        "HubSpot has refused leads since 11:00 CET (The CRM failed, HTTP 503). 14 leads wait. Intake is fine; "
        "nothing is lost. Next try 11:19 CET."
    )
    assert nothing_to_do.startswith(
        "Nothing has to be done: one lead at a time is tried until one gets through"
    )
    page = f"/admin/crm_sync/destination/{crm.destination.pk}/change/"
    assert link == f"The connection: https://leads.contoso.example{page}"


def test_of_a_stopped_connection_it_says_what_to_do(crm: HubSpot) -> None:
    crm.stop()
    crm.watch()
    body = mail.outbox[0].body
    assert "since 11:00 CET (The CRM does not accept the credentials, HTTP 401). No lead waits yet." in body
    assert "What to do: open the connection, mend its settings and press Test connection." in body


def test_the_last_mail_says_that_all_arrived_and_none_twice(crm: HubSpot) -> None:
    crm.owe(13)
    crm.fail()
    crm.watch()
    crm.clock.pass_(minutes=128)
    crm.settle()
    crm.work()
    crm.watch()
    assert subjects()[1:] == ["HubSpot works again: 14 of 14 delivered"]
    assert mail.outbox[1].body.splitlines()[:3] == [
        "HubSpot works again: 14 of 14 delivered, none twice.",
        "",
        "It took no leads from 11:00 CET to 13:08 CET (The CRM failed, HTTP 503).",
    ]
    assert "Not delivered" not in mail.outbox[1].body
    assert (crm.outage.affected, crm.outage.delivered) == (14, 14)


def test_the_last_mail_names_what_did_not_arrive_and_leads_there(crm: HubSpot) -> None:
    crm.owe(9)
    crm.fail()
    crm.watch()
    crm.clock.pass_(hours=15)
    crm.settle("rejected", 2)
    crm.settle("cancelled", 1)
    crm.settle("delivered", 5)
    crm.work()
    crm.watch(minutes=14)
    assert len(mail.outbox) == 1
    crm.watch(minutes=1)
    body = mail.outbox[1].body
    sendings = f"https://leads.contoso.example/admin/crm_sync/delivery/?destination={crm.destination.pk}"
    assert body.startswith("HubSpot works again: 5 of 10 delivered, none twice.\n")
    assert "from 2026-11-22 11:00 CET to 02:00 CET" in body
    assert f"- 2 were refused: {sendings}&state=rejected\n" in body
    assert f"- 1 was cancelled: {sendings}&state=cancelled\n" in body
    assert f"- 2 still wait: {sendings}&state=waiting\n" in body


def test_leads_before_and_after_an_outage_are_not_counted(crm: HubSpot) -> None:
    crm.owe(2)
    crm.settle()
    crm.owe(1, state="held", held_reason="dnc")
    crm.clock.pass_(hours=1)
    crm.fail()
    crm.watch()
    crm.clock.pass_(hours=1)
    (gave_up,) = crm.owe()
    crm.try_(gave_up, "retry_later")
    crm.settle("held", held_reason="gave_up")
    crm.work()
    crm.clock.pass_(seconds=1)
    crm.owe(3)
    crm.watch()
    assert (crm.outage.affected, crm.outage.delivered) == (2, 0)
    assert mail.outbox[1].body.startswith("HubSpot works again: 0 of 2 delivered.\n")
    assert "- 2 are held until somebody looks at them" in mail.outbox[1].body


def test_an_outage_without_leads_says_so(crm: HubSpot) -> None:
    crm.stop()
    crm.watch()
    crm.work()
    crm.watch()
    assert subjects()[1] == "HubSpot works again; no lead had to wait"


def test_nothing_of_a_customer_is_in_a_mail(crm: HubSpot) -> None:
    crm.fail()
    crm.watch()
    crm.settle()
    crm.work()
    crm.watch()
    for message in mail.outbox:
        raw = message.message().as_string()
        assert "Jane" not in raw
        assert "fabrikam" not in raw


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("The CRM failed (HTTP 503): jane@fabrikam.example", " (The CRM failed, HTTP 503)"),
        ("HTTP 409: Jane Doe (HTTP 200)", " (HTTP 409)"),
        (
            "No answer from crm.example:443 for jane@fabrikam.example.",
            " (No answer from crm.example:443 for …)",
        ),
        ("a\r\nBcc: x", " (a Bcc: x)"),
        ("x" * 999, f" ({'x' * 159}…)"),
        ("", ""),
    ],
)
def test_a_reason_is_told_in_our_words_alone(reason: str, said: str) -> None:
    assert mails.because(reason) == said


def test_a_name_cannot_add_headers(crm: HubSpot) -> None:
    Destination.objects.update(name="Hub\r\nBcc: all@contoso.example\u2028Spot")
    crm.fail()
    crm.watch()
    (message,) = mail.outbox
    assert message.subject == "Hub Bcc: all@contoso.example Spot takes no leads since 11:00 CET"
    assert message.message()["Bcc"] is None


def test_a_zone_without_letters_is_named_as_it_was_set(settings: Any) -> None:
    settings.TIME_ZONE = "America/Sao_Paulo"
    assert mails.clock(START, START) == "07:00 (America/Sao_Paulo)"
    assert mails.clock(START, START + timedelta(days=3)) == "2026-11-22 07:00 (America/Sao_Paulo)"


def test_the_last_mail_is_an_answer_to_the_first(crm: HubSpot) -> None:
    crm.fail()
    crm.watch()
    crm.settle()
    crm.work()
    crm.watch()
    first, last = (message.message() for message in mail.outbox)
    assert last["In-Reply-To"] == last["References"] == first["Message-ID"] != last["Message-ID"]
    assert first["Message-ID"].endswith("-start@leads.contoso.example>")
    assert first["Auto-Submitted"] == "auto-generated"


# Who is told


def test_staff_who_are_to_be_told_and_have_an_address_are(crm: HubSpot) -> None:
    for name in ("alice", "bob", "charlie", "dave", "frank"):
        User.objects.filter(pk=person(name).pk).update(email=f"{name}@contoso.example")
    person("frank").user_permissions.add(Permission.objects.get(codename="be_told_destination"))
    expected = {"alice", "bob", "erin", "frank"}
    assert {address.split("@")[0] for address in outages.recipients()} == expected
    User.objects.filter(username="bob").update(is_active=False)
    User.objects.filter(username="frank").update(is_staff=False)
    User.objects.filter(username="alice").update(email="")
    assert outages.recipients() == ["erin@contoso.example"]


@pytest.mark.parametrize("broken", ["no address", "a@b.example\nBcc: c@d.example", "ERIN@contoso.example"])
def test_an_address_that_is_none_or_known_already_is_left_out(crm: HubSpot, broken: str) -> None:
    User.objects.filter(pk=person("bob").pk).update(email=broken)
    assert len(outages.recipients()) == 1


def test_without_anybody_to_tell_the_news_is_not_kept_for_later(crm: HubSpot) -> None:
    User.objects.update(email="")
    crm.fail()
    crm.watch()
    User.objects.update(email="erin@contoso.example")
    crm.watch(minutes=10)
    assert mail.outbox == []
    assert outages.failing_mails(crm.clock.now) == 0


# Once, whatever happens


def test_a_four_day_outage_sends_two_mails(crm: HubSpot) -> None:
    crm.fail()
    for _ in range(4 * 24):
        crm.watch(hours=1)
        crm.become("slowed", DOWN, failures=9)
    crm.settle()
    crm.work()
    for _ in range(30):
        crm.watch(minutes=1)
    assert subjects() == [
        "HubSpot takes no leads since 11:00 CET",
        "HubSpot works again: 1 of 1 delivered",
    ]
    assert "since 11:00 CET" in mail.outbox[0].body
    assert "from 2026-11-22 11:00 CET to 11:00 CET" in mail.outbox[1].body


def test_from_slowed_to_stopped_and_back_it_is_one_outage(crm: HubSpot) -> None:
    crm.fail()
    crm.watch()
    crm.stop()
    crm.watch(hours=1)
    crm.become("slowed", WRONG_KEY, failures=2)
    crm.watch(hours=1)
    assert len(mail.outbox) == Outage.objects.count() == 1


def test_flapping_sends_no_more_mails(crm: HubSpot) -> None:
    for _ in range(20):
        crm.fail()
        crm.watch(minutes=3)
        crm.work()
        crm.settle()
        crm.watch(minutes=3)
    assert len(mail.outbox) == 2
    assert Outage.objects.count() == 1


def test_failing_again_before_all_has_arrived_is_the_same_outage(crm: HubSpot) -> None:
    crm.fail()
    crm.watch()
    crm.work()
    crm.watch(minutes=12)
    crm.fail()
    crm.watch(minutes=12)
    assert len(mail.outbox) == Outage.objects.count() == 1
    assert crm.outage.closed_at is None


def test_whoever_was_told_that_it_works_is_told_when_it_fails_again_for_long(crm: HubSpot) -> None:
    crm.fail()
    crm.watch()
    crm.settle()
    crm.work()
    crm.watch(minutes=1)
    crm.clock.pass_(minutes=4)
    crm.fail()
    for _ in range(60):
        crm.watch(minutes=1)
    assert subjects()[2:] == ["HubSpot takes no leads since 11:05 CET"]
    second, first = Outage.objects.all()
    assert first.recovered_at == first.closed_at == START + timedelta(minutes=1)
    crm.settle()
    crm.work()
    crm.watch()
    assert subjects()[3:] == ["HubSpot works again: 1 of 1 delivered"]
    assert second.started_at == START + timedelta(minutes=5)


def test_a_new_outage_later_is_told_anew(crm: HubSpot) -> None:
    for _ in range(2):
        crm.fail()
        crm.watch()
        crm.settle()
        crm.work()
        crm.watch()
        crm.clock.pass_(minutes=11)
    assert len(mail.outbox) == 4
    assert len({message.message()["Message-ID"] for message in mail.outbox}) == 4


def test_it_never_works_again_while_tries_go_on_failing(crm: HubSpot) -> None:
    """A person may press Send again now before the CRM works."""
    crm.fail()
    crm.watch()
    crm.become("working", failures=3)
    crm.watch(minutes=20)
    assert len(mail.outbox) == 1
    crm.become("working", failures=0)
    crm.watch()
    assert len(mail.outbox) == 2


def test_two_workers_at_once_open_one_outage_and_send_one_mail_each_time(own_database: None) -> None:
    crm = HubSpot()
    workers = 4
    barrier = threading.Barrier(workers)

    def work(_: int) -> None:
        try:
            barrier.wait(timeout=20)
            outages.watch(crm.clock.now)
        finally:
            connection.close()

    with ThreadPoolExecutor(workers) as threads:
        crm.fail()
        list(threads.map(work, range(workers)))
        assert (Outage.objects.count(), len(mail.outbox)) == (1, 1)
        crm.settle()
        crm.work()
        list(threads.map(work, range(workers)))
    assert (Outage.objects.count(), len(mail.outbox)) == (1, 2)


def test_a_worker_that_dies_before_it_sends_leaves_the_mail_to_another(
    crm: HubSpot, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as dying:
        dying.setattr(mailing, "send", _die)
        crm.fail()
        with pytest.raises(KeyboardInterrupt):
            crm.watch()
    crm.watch(minutes=4)
    assert mail.outbox == []
    crm.watch(minutes=1)
    crm.watch(minutes=10)
    assert len(mail.outbox) == 1


def test_a_copy_after_a_crash_can_be_told_from_a_second_mail(crm: HubSpot) -> None:
    crm.fail()
    crm.watch()
    Outage.objects.update(start_told_at=None)  # it died between the mail server's yes and the mark
    crm.watch(minutes=5)
    crm.watch(minutes=5)
    first, copy = (message.message()["Message-ID"] for message in mail.outbox)
    assert first == copy


def test_a_mail_that_fails_is_logged_and_tried_again_every_five_minutes(
    crm: HubSpot, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried: list[datetime] = []

    def refuse(message: mailing.Mail, to: list[str]) -> None:
        tried.append(crm.clock.now)
        raise smtplib.SMTPServerDisconnected("gone")

    with monkeypatch.context() as broken:
        broken.setattr(mailing, "send", refuse)
        crm.fail()
        for _ in range(120):
            crm.watch(seconds=6)
        assert tried == [START + timedelta(seconds=6 + 300 * number) for number in range(3)]
        assert outages.failing_mails(crm.clock.now) == 1
    assert "“HubSpot takes no leads since 11:00 CET” could not be sent" in caplog.text
    crm.watch(minutes=5)
    assert len(mail.outbox) == 1
    assert outages.failing_mails(crm.clock.now) == 0


def test_an_outage_that_is_over_before_its_first_mail_could_leave_is_told_of_once(
    crm: HubSpot, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(mailing, "send", _refuse)
        crm.fail()
        crm.watch()
    crm.settle()
    crm.work()
    crm.watch(minutes=1)
    crm.watch(minutes=30)
    assert subjects() == ["HubSpot works again: 1 of 1 delivered"]
    assert "It took no leads from 11:00 CET" in mail.outbox[0].body


def test_after_a_day_nobody_is_told_that_it_works_again(
    crm: HubSpot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailing, "send", _refuse)
    crm.fail()
    crm.watch()
    crm.settle()
    crm.work()
    crm.watch()
    monkeypatch.undo()
    crm.watch(days=1)
    assert mail.outbox == []


def _die(message: mailing.Mail, to: list[str]) -> None:
    raise KeyboardInterrupt


def _refuse(message: mailing.Mail, to: list[str]) -> None:
    raise smtplib.SMTPServerDisconnected("gone")


some_minutes = st.sampled_from([0.05, 1, 4, 11, 31, 300])


class Weather(RuleBasedStateMachine):
    """A CRM that fails and works, people, leads, mail servers and workers that do as they like."""

    monkeypatch: pytest.MonkeyPatch

    @initialize()
    def begin(self) -> None:
        self.sandbox = transaction.atomic()
        self.sandbox.__enter__()
        self.crm = HubSpot()
        self.sent: list[tuple[str, str]] = []  # Message-ID's key, and the state at that moment
        self.mail_server = "works"
        self.monkeypatch.setattr(mailing, "send", self.send)

    def teardown(self) -> None:
        if hasattr(self, "sandbox"):
            transaction.set_rollback(True)
            self.sandbox.__exit__(None, None, None)

    def send(self, message: mailing.Mail, to: list[str]) -> None:
        if self.mail_server == "fails":
            raise smtplib.SMTPServerDisconnected("gone")
        if self.mail_server == "kills":
            raise KeyboardInterrupt
        self.sent.append((message.key, self.crm.state.state))

    @rule(state=st.sampled_from(["fail", "stop", "throttle", "work"]))
    def the_crm(self, state: str) -> None:
        if self.crm.state.state != "paused":
            getattr(self.crm, state)()

    @rule()
    def somebody_pauses_or_resumes(self) -> None:
        self.crm.become("working" if self.crm.state.state == "paused" else "paused")

    @rule(leads=st.integers(1, 3))
    def leads_come(self, leads: int) -> None:
        self.crm.owe(leads)

    @precondition(lambda self: self.crm.state.state == "working")
    @rule(number=st.integers(1, 5), state=st.sampled_from(["delivered", "rejected"]))
    def leads_are_settled(self, number: int, state: str) -> None:
        self.crm.settle(state, number)

    @rule(does=st.sampled_from(["works", "fails", "kills"]))
    def the_mail_server(self, does: str) -> None:
        self.mail_server = does

    @rule(minutes=some_minutes)
    def a_worker_watches(self, minutes: float) -> None:
        try:
            self.crm.watch(minutes=minutes)
        except KeyboardInterrupt:
            self.mail_server = "works"  # another worker, another connection

    @invariant()
    def no_mail_is_sent_twice(self) -> None:
        keys = [key for key, _ in self.sent]
        assert len(set(keys)) == len(keys)

    @invariant()
    def the_news_take_turns(self) -> None:
        kinds = [key.rsplit("-", 1)[1] for key, _ in self.sent]
        assert "start start" not in " ".join(kinds)

    @invariant()
    def nobody_is_told_that_a_stopped_crm_works(self) -> None:
        assert ("end", "stopped") not in [(key.rsplit("-", 1)[1], state) for key, state in self.sent]

    @invariant()
    def at_most_one_outage_goes_on(self) -> None:
        assert Outage.objects.filter(recovered_at=None).count() <= 1


@pytest.mark.django_db
def test_whatever_happens_in_whatever_order_each_mail_is_sent_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Weather, "monkeypatch", monkeypatch, raising=False)
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Weather,
        settings=examples(
            max_examples=15,
            stateful_step_count=30,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


# In the background


def background(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    monkeypatch.undo()  # what stands in for it here
    return mailing.in_background


def test_a_mail_server_that_hangs_holds_up_nobody_and_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    in_background = background(monkeypatch)
    asked, answered = threading.Event(), threading.Event()
    done: list[str] = []

    def hang() -> None:
        asked.set()
        answered.wait(20)
        done.append("first")

    in_background(hang)
    assert asked.wait(20)
    in_background(lambda: done.append("second"))
    answered.set()
    with mailing._busy:  # let go of when the first is done
        assert done == ["first"]


def test_what_goes_wrong_in_the_background_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    background(monkeypatch)(lambda: 1 / 0)
    with mailing._busy:
        assert "Mails could not be written; they are tried again" in caplog.text


def test_a_mail_is_one_for_all_and_goes_through_djangos_backend(settings: Any) -> None:
    mailing.send(mailing.Mail("S", "B\n", "key-1"), ["a@contoso.example", "b@contoso.example"])
    (message,) = mail.outbox
    assert (message.to, message.from_email) == (
        ["a@contoso.example", "b@contoso.example"],
        settings.DEFAULT_FROM_EMAIL,
    )
    assert settings.EMAIL_TIMEOUT <= 30


# Credentials


def remind(crm: HubSpot, today: date) -> list[str]:
    """Every hour of a day; what was sent."""
    mail.outbox.clear()
    for hour in range(0, 24, 6):
        outages.remind(datetime(today.year, today.month, today.day, hour, tzinfo=START.tzinfo))
    return subjects()


ENDS = date(2026, 12, 31)


def ends(day: date | None) -> None:
    Destination.objects.update(credentials_expire_on=day)


def test_credentials_are_reminded_of_30_7_and_1_days_before_and_each_time_once(crm: HubSpot) -> None:
    ends(ENDS)
    said = {days: found for days in range(40, -5, -1) if (found := remind(crm, ENDS - timedelta(days=days)))}
    assert said == {
        30: ["The credentials of HubSpot expire in 30 days"],
        7: ["The credentials of HubSpot expire in 7 days"],
        1: ["The credentials of HubSpot expire tomorrow"],
    }


def test_a_reminder_says_what_to_do(crm: HubSpot) -> None:
    ends(ENDS)
    remind(crm, ENDS - timedelta(days=7))
    (message,) = mail.outbox
    assert message.to == ["erin@contoso.example"]
    assert "The credentials of HubSpot expire on 2026-12-31, in 7 days." in message.body
    assert "What to do: make new credentials in the CRM, then enter them here" in message.body
    assert f"/admin/crm_sync/destination/{crm.destination.pk}/change/" in message.body


def test_a_worker_that_was_away_reminds_of_the_days_that_are_left(crm: HubSpot) -> None:
    ends(ENDS)
    assert remind(crm, ENDS - timedelta(days=5)) == ["The credentials of HubSpot expire in 5 days"]
    assert remind(crm, ENDS - timedelta(days=4)) == []
    assert remind(crm, ENDS) == ["The credentials of HubSpot expire today"]


def test_a_day_that_is_moved_starts_anew(crm: HubSpot) -> None:
    ends(ENDS)
    assert remind(crm, ENDS - timedelta(days=1))
    ends(ENDS + timedelta(days=365))
    assert remind(crm, ENDS - timedelta(days=1)) == []
    assert crm.state.reminded_days is None
    assert remind(crm, ENDS + timedelta(days=364))
    ends(ENDS + timedelta(days=365 + 20))
    assert remind(crm, ENDS + timedelta(days=365)) == ["The credentials of HubSpot expire in 20 days"]


def test_the_day_that_the_crm_told_counts_more_than_one_that_was_typed(crm: HubSpot) -> None:
    ends(ENDS)
    DestinationState.objects.update(credentials_expire_on=ENDS + timedelta(days=90))
    assert remind(crm, ENDS - timedelta(days=7)) == []
    ends(None)
    assert remind(crm, ENDS + timedelta(days=83)) == ["The credentials of HubSpot expire in 7 days"]


def test_a_reminder_that_fails_follows_with_the_next_call(
    crm: HubSpot, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends(ENDS)
    with monkeypatch.context() as broken:
        broken.setattr(mailing, "send", _refuse)
        assert remind(crm, ENDS - timedelta(days=7)) == []
    assert len(remind(crm, ENDS - timedelta(days=7))) == 1


def test_of_two_workers_one_reminds(crm: HubSpot, monkeypatch: pytest.MonkeyPatch) -> None:
    ends(ENDS)
    now = datetime(2026, 12, 24, 12, tzinfo=START.tzinfo)
    stale = outages.expiring(now)
    outages.send_reminders(now)
    monkeypatch.setattr(outages, "expiring", lambda now: stale)
    outages.send_reminders(now)
    assert len(mail.outbox) == 1


def test_credentials_without_a_day_are_never_reminded_of(crm: HubSpot) -> None:
    assert remind(crm, ENDS) == []
