"""Requests and answers are kept as long as the operator says, and no longer."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db import connection
from django.test.utils import CaptureQueriesContext

from crm_sync import retention
from crm_sync.models import Attempt, Delivery, Destination
from crm_sync.outcomes import Delivered, Outcome, Rejected, RetryLater
from crm_sync.recorder import Exchange
from crm_sync.retention import forget_old_tries

from .sending import START, Crm, install, make_destination, make_lead, make_offer, make_route

pytestmark = pytest.mark.django_db

EXCHANGE = Exchange("POST", "https://crm.example/", {}, '{"email": "kim@example.com"}', 400, {}, "no", 12)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def crm(monkeypatch: pytest.MonkeyPatch) -> Crm:
    return install(monkeypatch)


Send = Callable[..., Delivery]


@pytest.fixture
def send() -> Send:
    """One lead that was settled at START, with a try for each of these outcomes."""
    offer = make_offer()

    def make(destination: Destination, *outcomes: Outcome, at: datetime = START, **values: Any) -> Delivery:
        route = destination.routes.filter(offer=offer).first() or make_route(offer, destination)
        sending = Delivery.objects.create(
            lead=make_lead(offer), route=route, destination=destination, state="delivered", settled_at=at
        )
        for number, outcome in enumerate(outcomes or (Delivered("1"),), 1):
            Attempt.objects.create(
                delivery=sending,
                number=number,
                token=f"00000000-0000-0000-{number:04}-{sending.pk:012}",
                started_at=at,
                finished_at=at,
                outcome={Delivered: "delivered", Rejected: "rejected"}.get(type(outcome), "retry_later"),
                reason=getattr(outcome, "reason", ""),
                exchanges=[EXCHANGE.as_dict()],
                worker="host:1",
            )
        Delivery.objects.filter(pk=sending.pk).update(**values)
        return sending

    return make


def kept(sending: Delivery) -> list[bool]:
    return [
        bool(exchanges)
        for exchanges in sending.attempts.order_by("number").values_list("exchanges", flat=True)
    ]


def test_requests_and_answers_go_after_ninety_days_and_the_facts_stay(send: Send) -> None:
    sending = send(make_destination(), RetryLater("Busy."), Delivered("1"))
    assert forget_old_tries(START + 90 * DAY - timedelta(seconds=1)) == 0
    assert kept(sending) == [True, True]
    before = list(Attempt.objects.order_by("number").values())
    assert forget_old_tries(START + 90 * DAY) == 2
    assert kept(sending) == [False, False]
    after = list(Attempt.objects.order_by("number").values())
    assert [row | {"exchanges": []} for row in before] == after


@pytest.mark.parametrize(
    ("days", "later", "gone"), [(0, 5000, False), (1, 1, True), (365, 364, False), (2**31 - 1, 5000, False)]
)
def test_each_connection_keeps_them_as_long_as_it_says(days: int, later: int, gone: bool, send: Send) -> None:
    sending = send(make_destination(keep_tries_days=days))
    forget_old_tries(START + later * DAY)
    assert kept(sending) == [not gone]


def test_what_is_not_settled_keeps_its_tries_however_old(send: Send) -> None:
    destination = make_destination()
    held = send(destination, state="held", held_reason="gave_up", settled_at=None)
    waiting = send(destination, state="waiting", settled_at=None)
    forget_old_tries(START + 1000 * DAY)
    assert kept(held) == kept(waiting) == [True]


def test_a_reason_that_quotes_a_person_is_left_as_what_all_of_its_kind_say(send: Send) -> None:
    said = 'The address "kim@example.com" is not valid.'
    sending = send(make_destination(), Rejected(said), state="rejected", reason=said)
    forget_old_tries(START + 90 * DAY)
    sending.refresh_from_db()
    assert sending.reason == sending.attempts.get().reason == "The address … is not valid."


def test_shortening_the_time_reaches_back_and_lengthening_it_brings_nothing_back(send: Send) -> None:
    destination = make_destination(keep_tries_days=30)
    older, newer = send(destination), send(destination, at=START + 20 * DAY)
    assert forget_old_tries(START + 30 * DAY) == 1
    assert (kept(older), kept(newer)) == ([False], [True])
    Destination.objects.update(keep_tries_days=5)
    assert forget_old_tries(START + 30 * DAY) == 1
    assert kept(newer) == [False]


def test_a_lead_that_is_sent_again_keeps_its_tries_until_it_is_settled_anew(send: Send) -> None:
    destination = make_destination()
    sending = send(destination)
    forget_old_tries(START + 89 * DAY)
    Delivery.objects.update(settled_at=START + 89 * DAY)
    assert forget_old_tries(START + 100 * DAY) == 0
    assert forget_old_tries(START + 179 * DAY) == 1
    assert kept(sending) == [False]


def test_one_call_does_no_more_than_its_limit_and_the_next_goes_on(
    send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "SLICE", 2)
    first, second = make_destination(), make_destination()
    for destination in (first, first, first, second, second):
        send(destination)
    now = START + 90 * DAY
    assert [forget_old_tries(now, limit=4) for _ in range(3)] == [4, 1, 0]


def test_with_nothing_to_do_it_looks_once_a_connection_and_only_at_what_became_old_since(send: Send) -> None:
    destination = make_destination()
    send(destination)
    forget_old_tries(START + 90 * DAY)
    late = send(destination, at=START + 10 * DAY)
    with CaptureQueriesContext(connection) as queries:
        assert forget_old_tries(START + 91 * DAY) == 0
    assert len(queries) == 2
    assert '"settled_at" >' in queries[1]["sql"]
    assert forget_old_tries(START + 100 * DAY) == 1
    assert kept(late) == [False]


def test_what_a_person_sends_again_at_that_moment_is_left_alone(
    send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    sending = send(make_destination())
    together = retention._forget_together

    def sent_again(*args: Any) -> int:
        Delivery.objects.update(state="waiting", settled_at=None)
        return together(*args)

    monkeypatch.setattr(retention, "_forget_together", sent_again)
    assert forget_old_tries(START + 90 * DAY) == 0
    assert kept(sending) == [True]


def test_the_secrets_of_a_connection_are_not_needed_for_it(send: Send, settings: Any) -> None:
    sending = send(make_destination(secrets={"account": "hunter2"}))
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    assert forget_old_tries(START + 90 * DAY) == 1
    assert kept(sending) == [False]
