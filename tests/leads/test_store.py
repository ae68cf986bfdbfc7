"""How a lead is written: copies pass one after the other, and threads share transactions where that helps."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction

from leads import intake, store
from leads.intake import EndpointChangedError, Received
from leads.models import Endpoint, Lead, Offer, Submission
from leads.store import Written

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def accept(endpoint: Endpoint, body: bytes = b"{}", **more: Any) -> intake.Accepted:
    return intake.accept(endpoint.offer, Received(body=body), endpoint=endpoint, now=NOON, **more)


# What was remembered of an endpoint


def looked_up(endpoint: Endpoint) -> Endpoint:
    found = intake.find_endpoint(str(endpoint.key))
    assert found is not None
    assert intake.find_endpoint(str(endpoint.key)) is found  # from memory
    return found


@pytest.mark.parametrize(
    "change",
    [
        lambda endpoint: Endpoint.objects.update(revoked_at=NOON),
        lambda endpoint: Endpoint.objects.update(expires_at=NOON - MINUTE),
        lambda endpoint: Offer.objects.update(schema={"required": ["LeadSource"]}),
        lambda endpoint: Offer.objects.update(always_acknowledge=True),
        lambda endpoint: endpoint.delete(),
    ],
    ids=["revoked", "expired", "another schema", "always acknowledge", "deleted"],
)
def test_what_another_process_changed_is_noticed_before_anything_is_stored(
    change: Callable[[Endpoint], object], endpoint: Endpoint
) -> None:
    remembered = looked_up(endpoint)
    change(endpoint)
    with pytest.raises(EndpointChangedError):
        accept(remembered, only_if_unchanged=True)
    assert not Submission.objects.exists()


@pytest.mark.parametrize("schema", [None, {"type": "object", "properties": {"a": {"enum": [1, "é", None]}}}])
def test_an_endpoint_that_is_as_it_was_takes_the_lead(schema: Any, endpoint: Endpoint) -> None:
    Offer.objects.update(schema=schema)
    assert not accept(looked_up(endpoint), only_if_unchanged=True).repeated
    assert Lead.objects.count() == 1


def test_after_a_revocation_elsewhere_the_next_post_is_refused(endpoint: Endpoint, client: Any) -> None:
    path = endpoint.path
    assert client.post(path, b'{"n": 1}', content_type="application/json").status_code == 201
    Endpoint.objects.update(revoked_at=NOON)
    assert client.post(path, b'{"n": 2}', content_type="application/json").status_code == 404
    assert Submission.objects.count() == 1


def test_after_a_new_schema_the_next_post_is_held_to_it(endpoint: Endpoint, client: Any) -> None:
    path = endpoint.path
    assert client.post(path, b'{"n": 1}', content_type="application/json").status_code == 201
    Offer.objects.update(schema={"required": ["LeadSource"]})
    assert client.post(path, b'{"n": 2}', content_type="application/json").status_code == 400


def test_nobody_is_refused_from_memory(endpoint: Endpoint, client: Any) -> None:
    remembered = looked_up(endpoint)
    remembered.expires_at = NOON - 365 * 24 * 60 * MINUTE  # as this process read it; it got more time since
    answer = client.post(endpoint.path, b"{}", content_type="application/json")
    assert answer.status_code == 201


def test_a_closed_endpoint_is_not_remembered(endpoint: Endpoint) -> None:
    endpoint.revoke(NOON)
    assert intake.find_endpoint(str(endpoint.key)) is not None
    assert intake.remembered_endpoint(str(endpoint.key)) is None


def test_a_copy_that_is_erased_while_it_is_counted_is_no_reason_to_lose_the_lead(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "write_once", lambda *arguments, **more: Written.REPEATED)
    accepted = accept(endpoint)
    assert not accepted.repeated
    assert Submission.objects.get().pk == accepted.submission.pk


# Shared transactions


def test_whoever_waits_while_another_commits_shares_the_next_transaction(own_database: None) -> None:
    group = store._Group()
    begun, go_on = threading.Event(), threading.Event()
    transactions: dict[str, object] = {}

    def work(name: str) -> Callable[[], Written]:
        def run() -> Written:
            transactions[name] = connection.connection
            if name == "first":
                begun.set()
                assert go_on.wait(10)
            return Written.STORED

        return run

    def in_thread(name: str) -> Written:
        try:
            return group.run(work(name))
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(in_thread, "first")
        assert begun.wait(10)
        others = [threads.submit(in_thread, name) for name in ("second", "third", "fourth")]
        while len(group._waiting) < 3:
            pass
        go_on.set()
        assert {future.result(10) for future in (first, *others)} == {Written.STORED}
    assert len({id(transactions[name]) for name in ("second", "third", "fourth")}) == 1
    assert transactions["first"] is not transactions["second"]


def test_one_that_fails_in_a_shared_transaction_fails_alone(db: None) -> None:
    group, endpoint = (
        store._Group(),
        Endpoint.make(Offer.objects.create(publisher_id="p", offer_id="o", title="T")),
    )

    def good() -> Written:
        Offer.objects.create(publisher_id="p", offer_id="good", title="Good")
        return Written.STORED

    def bad() -> Written:
        Endpoint.objects.create(offer=endpoint.offer, key="k", key_digest=endpoint.key_digest)
        return Written.STORED

    tickets = [store._Ticket(good), store._Ticket(bad)]
    group._waiting += tickets
    group._lead()
    assert tickets[0].result is Written.STORED
    assert isinstance(tickets[1].error, IntegrityError)
    assert Offer.objects.filter(offer_id="good").count() == 1


def test_if_no_transaction_can_begin_everybody_who_waits_is_told(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = store._Group()
    tickets = [store._Ticket(lambda: Written.STORED) for _ in range(3)]
    group._waiting += tickets

    def locked(*arguments: Any, **more: Any) -> Any:
        raise OperationalError("database is locked")

    monkeypatch.setattr(transaction, "atomic", locked)
    group._lead()
    assert [str(ticket.error) for ticket in tickets] == ["database is locked"] * 3
    assert group._waiting == []


@pytest.mark.usefixtures("own_database")
def test_many_threads_lose_nothing_and_write_nothing_twice() -> None:
    offer = Offer.objects.create(publisher_id="contoso", offer_id="backup", title="Contoso Backup")
    endpoint = Endpoint.make(offer)

    def send(number: int) -> bool:
        return accept(endpoint, b'{"n": %d}' % (number % 60)).repeated

    def in_thread(numbers: range) -> list[bool]:
        try:
            return [send(number) for number in numbers]
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as threads:
        parts = list(threads.map(in_thread, [range(start, start + 20) for start in range(0, 120, 20)]))
    assert sum(sum(part) for part in parts) == 60
    assert Lead.objects.count() == Submission.objects.count() == 60
    assert set(Submission.objects.values_list("times_received", flat=True)) == {2}
