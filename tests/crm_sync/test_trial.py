"""One record without a sending: the dry run sends nothing and says what a push would; a sample is sent once."""

import socket
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from crm_sync import publishing, trial
from crm_sync.mapping import Rule
from crm_sync.models import Delivery, DemoRecord, Destination, DestinationState
from crm_sync.outcomes import Delivered, DestinationFault, RetryLater, Throttled
from crm_sync.pushing import Crashed, Result
from crm_sync.recorder import Exchange
from crm_sync.trial import Wait
from leads.vault import VaultError
from tests.crm_sync import sending
from tests.crm_sync.screens import Demo
from tests.crm_sync.sending import START

pytestmark = pytest.mark.django_db


def test_a_dry_run_shows_what_a_push_then_sends_to_the_letter() -> None:
    demo = Demo([Rule("topic", "constant", value="Grüße")])
    sent = demo.owe()
    run = trial.dry_run(demo.route, sent.lead)
    assert not DemoRecord.objects.exists()
    demo.drain()
    pushed = sent.attempts.get().exchanges[0]
    (shown,) = run.requests
    for part in ("method", "url", "request_headers", "request_body"):
        assert getattr(shown, part) == pushed[part]


def test_what_is_left_out_of_a_lead_is_not_in_its_dry_run() -> None:
    demo = Demo()
    assert "email" not in trial.dry_run(demo.route, demo.lead(), without=["email"]).record


def test_a_mapping_that_fails_is_told_and_makes_no_request() -> None:
    demo = Demo([Rule("topic", "field", source="title", transform="no_such")])
    run = trial.dry_run(demo.route, demo.lead())
    assert run.requests == ()
    assert [problem.target for problem in run.problems] == ["topic"]


def test_before_anything_is_published_the_draft_counts() -> None:
    demo = Demo(None)
    publishing.draft_of(demo.route).replace_rules([Rule("topic", "constant", value="Draft")])
    assert trial.dry_run(demo.route, demo.lead()).record["topic"] == "Draft"


def test_a_sample_goes_by_the_default_rules_of_the_connection() -> None:
    demo = Demo([Rule("topic", "constant", value="Of the route")])
    publishing.publish_rules(demo.destination, [Rule("topic", "template", template="{{ email }}")], START)
    sample = trial.sample_of(demo.destination)
    assert sample.record == {"topic": "sam.sample@example.com"}
    result, exchanges = sent(demo.destination, sample.record)
    assert isinstance(result, Delivered)
    assert len(exchanges) == 1


def sent(
    destination: Destination, record: dict[str, Any] | None = None, at: datetime = START
) -> tuple[Result, Sequence[Exchange]]:
    found = trial.push_sample(destination, record or {}, uuid4(), at=at)
    assert not isinstance(found, Wait)
    return found


def waits(destination: Destination, at: datetime = START) -> Wait | None:
    """Why no sample goes; None where one was sent."""
    found = trial.push_sample(destination, {}, uuid4(), at=at)
    return found if isinstance(found, Wait) else None


def in_state(destination: Destination, state: str, **values: Any) -> None:
    DestinationState.objects.filter(pk=destination.pk).update(state=state, **values)


def test_a_sample_counts_towards_the_limit_a_day_and_waits_for_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    crm = sending.install(monkeypatch)
    destination = sending.make_destination(max_per_day=2)
    assert waits(destination) is None
    assert sending.state_of(destination).pushed_today == 1
    crm.always = RetryLater("Down")
    assert waits(destination) is None
    assert waits(destination) is Wait.SPENT
    assert len(crm.records) == 2, "one that fails counts too"
    assert waits(destination, START + timedelta(days=1)) is None


def test_leads_have_what_samples_left_of_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    crm = sending.install(monkeypatch)
    destination = sending.make_destination(max_per_day=3)
    route = sending.make_route(sending.make_offer(), destination)
    for _ in range(5):
        lead = sending.make_lead(route.offer)
        Delivery.objects.create(lead=lead, route=route, destination=destination, due_at=START)
    sent(destination)
    sending.drain(destination, sending.Clock())
    assert len(crm.records) == 3
    assert waits(destination) is Wait.SPENT


def test_a_sample_takes_its_place_in_the_rhythm_of_the_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    sending.install(monkeypatch)
    destination = sending.make_destination(max_per_second=1)
    sent(destination)
    assert sending.state_of(destination).paced_until == START + timedelta(seconds=1)


def test_no_sample_goes_to_a_connection_that_somebody_paused(monkeypatch: pytest.MonkeyPatch) -> None:
    crm = sending.install(monkeypatch)
    destination = sending.make_destination()
    in_state(destination, "paused")
    assert waits(destination) is Wait.PAUSED
    assert crm.records == []


@pytest.mark.parametrize(
    ("answers", "wait"), [([Throttled("Slow down", 600)], Wait.ASKED), ([RetryLater("Down")] * 5, None)]
)
def test_a_sample_waits_as_long_as_the_crm_asked_and_shows_whether_one_that_failed_works(
    monkeypatch: pytest.MonkeyPatch, answers: list[Any], wait: Wait | None
) -> None:
    crm = sending.install(monkeypatch)
    crm.answers = answers
    destination = sending.make_destination()
    route = sending.make_route(sending.make_offer(), destination)
    for _ in answers:
        lead = sending.make_lead(route.offer)
        Delivery.objects.create(lead=lead, route=route, destination=destination, due_at=START)
    sending.drain(destination, sending.Clock())
    state = sending.state_of(destination)
    assert state.state == "slowed"
    assert state.until is not None
    assert waits(destination) is wait
    assert waits(destination, state.until) is None


def test_a_sample_goes_to_a_connection_that_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    sending.install(monkeypatch)
    destination = sending.make_destination()
    in_state(destination, "stopped", reason="The key is wrong", until=START + timedelta(hours=1))
    assert waits(destination) is None
    assert sending.state_of(destination).state == "stopped", "a test starts it again"


def test_a_connector_that_raises_ends_in_a_result(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sending.install(monkeypatch).always = RuntimeError("oops")
    result, _ = sent(sending.make_destination())
    assert isinstance(result, Crashed)
    assert "oops" in caplog.text


def test_the_dry_run_of_a_mail_shows_the_mail_and_reaches_no_mail_server(settings: Any) -> None:
    settings.PUBLIC_URL = "https://leads.contoso.example"
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "leads", "hidden"
    demo = Demo()
    demo.destination.connector = "email"
    demo.destination.store_settings({"to": "sales@contoso.example", "include_details": "true"})
    demo.destination.save()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings.EMAIL_HOST, settings.EMAIL_PORT = listener.getsockname()
        lead = demo.lead(description="Call me.")
        run = trial.dry_run(demo.route, lead)
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
    (shown,) = run.requests
    assert (shown.method, shown.url) == ("SMTP", f"smtp://127.0.0.1:{settings.EMAIL_PORT}")
    assert shown.request_headers == {"mail-from": "leads@localhost", "rcpt-to": "sales@contoso.example"}
    assert "Subject: New lead: Contoso Backup (Get it now)" in shown.request_body
    assert "Description: Call me." in shown.request_body
    assert f"https://leads.contoso.example/admin/leads/lead/{lead.id}/change/" in shown.request_body.replace(
        "=\n", ""
    )
    assert "hidden" not in str(shown)


def test_the_dry_run_of_a_mail_says_that_there_is_no_mail_server() -> None:
    demo = Demo()
    demo.destination.connector = "email"
    demo.destination.store_settings({"to": "sales@contoso.example"})
    demo.destination.save()
    run = trial.dry_run(demo.route, demo.lead())
    assert run.requests == ()
    assert run.error.startswith("No mail server: set EMAIL_URL")


def test_secrets_that_no_key_opens_are_told_as_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    demo = Demo()

    def closed(destination: Destination) -> None:
        raise VaultError("No key opens it.")

    monkeypatch.setattr(Destination, "all_settings", closed)
    result, exchanges = sent(demo.destination)
    assert (result, exchanges) == (DestinationFault("No key opens it."), [])
    assert trial.dry_run(demo.route, demo.lead()).error == "No key opens it."
