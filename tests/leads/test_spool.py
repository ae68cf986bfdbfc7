"""While the database is away, leads go to SPOOL_DIR; afterwards each is taken in, once, in order."""

import json
import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client

from leads import alerts, intake, spool, tally, views
from leads.intake import Received
from leads.models import Endpoint, Lead, Refusal, Submission

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def spool_directory(settings: Any, tmp_path: Path) -> Path:
    settings.SPOOL_DIR = tmp_path / "spool"
    settings.SPOOL_DIR.mkdir()
    return settings.SPOOL_DIR


@pytest.fixture(autouse=True)
def _connection_of_the_test_stays(monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    """The view closes a connection that failed, and with it the transaction that each test runs in."""
    monkeypatch.setattr(connection, "close", lambda: None)


def body(number: int = 1) -> bytes:
    return json.dumps({"UserDetails": {"FirstName": f"No {number}"}}).encode()


def received(content: bytes = b"", **more: Any) -> Received:
    content = content or body()
    return Received(body=content, content_type="application/json", announced=len(content), **more)


def put(endpoint: Endpoint, content: bytes = b"", at: datetime = NOON) -> Any:
    return spool.put(str(endpoint.key), received(content), at)


def away(execute: Callable[..., Any], *arguments: Any) -> Any:
    raise OperationalError("connection refused")


def post(path: str, content: bytes) -> Any:
    return Client().post(path, data=content, content_type="application/json")


def test_a_lead_that_comes_while_the_database_is_away_is_spooled_and_taken_in_later(
    endpoint: Endpoint,
) -> None:
    path = endpoint.path
    with connection.execute_wrapper(away):
        answer = post(path, body())
    assert (answer.status_code, answer.json()["status"]) == (202, "spooled")
    assert not Submission.objects.exists()
    assert spool.take_in() == 1
    submission = Submission.objects.get()
    assert str(submission.pk) == answer.json()["submission"]
    assert (submission.origin, bytes(submission.body)) == (Submission.Origin.SPOOL, body())
    assert submission.endpoint == endpoint
    assert submission.headers["Content-Type"] == "application/json"
    assert submission.leads.get().first_name == "No 1"
    assert spool.waiting() == []


def test_a_spooled_lead_keeps_the_time_it_came(endpoint: Endpoint) -> None:
    put(endpoint, at=NOON)
    spool.take_in()
    assert Lead.objects.get().received_at == NOON


def test_leads_are_taken_in_in_the_order_they_came(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (3, 1, 2):
        put(endpoint, body(number), NOON + number * SECOND)
    order: list[bytes] = []
    accept = intake.accept
    monkeypatch.setattr(
        intake,
        "accept",
        lambda offer, taken, **more: (order.append(taken.body), accept(offer, taken, **more)),
    )
    assert spool.take_in() == 3
    assert order == [body(1), body(2), body(3)]


def test_a_lead_whose_file_outlived_its_commit_is_not_taken_in_again(endpoint: Endpoint) -> None:
    put(endpoint)
    content = spool.waiting()[0].read_bytes()
    name = spool.waiting()[0]
    spool.take_in()
    name.write_bytes(content)  # as if we had died between the commit and the removal
    spool.take_in()
    assert Submission.objects.get().times_received == 1
    assert spool.waiting() == []


def test_copies_in_the_spool_are_one_lead_received_twice(endpoint: Endpoint) -> None:
    put(endpoint, at=NOON)
    put(endpoint, at=NOON + SECOND)
    spool.take_in()
    assert Submission.objects.get().times_received == 2


def test_what_cannot_be_read_goes_from_the_spool_to_quarantine(endpoint: Endpoint) -> None:
    put(endpoint, b"\xff\x00 not json")
    assert spool.take_in() == 1
    assert Submission.objects.get().reason == "not_json"


@pytest.mark.parametrize("closed", [False, True])
def test_an_unknown_or_closed_key_is_turned_away_when_the_database_is_back(
    closed: bool, endpoint: Endpoint
) -> None:
    if closed:
        endpoint.revoke(NOON - SECOND)
    key = str(endpoint.key) if closed else "guessed"
    spool.put(key, received(), NOON)
    spool.take_in()
    assert not Submission.objects.exists()
    assert spool.waiting() == []
    tally.flush()
    refusal = Refusal.objects.get()
    assert refusal.reason == (Refusal.Reason.CLOSED_KEY if closed else Refusal.Reason.UNKNOWN_KEY)


def test_a_url_that_expired_after_the_lead_came_took_it(endpoint: Endpoint) -> None:
    put(endpoint, at=NOON)
    Endpoint.objects.update(expires_at=NOON + SECOND)
    spool.take_in()
    assert Lead.objects.count() == 1


def test_while_the_database_stays_away_everything_waits(endpoint: Endpoint) -> None:
    put(endpoint, body(1))
    put(endpoint, body(2), NOON + SECOND)
    with connection.execute_wrapper(away):
        assert spool.take_in() == 0
    assert len(spool.waiting()) == 2
    assert spool.failed() == []


def test_a_file_that_cannot_be_taken_in_is_set_aside_and_holds_up_nobody(
    endpoint: Endpoint, spool_directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (spool_directory / f"0{spool.WAITING}").write_bytes(b"half a li")
    put(endpoint)
    assert spool.take_in() == 1
    assert [path.read_bytes() for path in spool.failed()] == [b"half a li"]
    assert Lead.objects.count() == 1
    assert "set aside" in caplog.text


def test_only_one_process_takes_in_at_a_time(endpoint: Endpoint) -> None:
    put(endpoint)
    with spool._only_one() as alone:
        assert alone
        assert spool.take_in() == 0
    assert spool.take_in() == 1


def test_the_file_is_for_this_user_alone_and_does_not_give_the_key_away(endpoint: Endpoint) -> None:
    put(endpoint)
    (path,) = spool.waiting()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert str(endpoint.key).encode() not in path.read_bytes()


def test_it_is_on_the_disk_before_the_answer(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bool] = []
    fsync = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda file: (synced.append(stat.S_ISDIR(os.fstat(file).st_mode)), fsync(file))
    )
    put(endpoint)
    assert synced == [False, True]  # the file, then its name


def test_where_nothing_can_be_spooled_the_sender_keeps_the_lead(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    path = endpoint.path
    monkeypatch.setattr(os, "fsync", full)
    with connection.execute_wrapper(away):
        answer = post(path, body())
    assert (answer.status_code, answer.has_header("Retry-After")) == (503, True)
    assert list(spool._directory().iterdir()) == []


def test_a_stranger_cannot_fill_the_spool(db: None) -> None:
    with connection.execute_wrapper(away):
        statuses = [
            post("/in/guessed", body(number)).status_code for number in range(views.STRANGER_BURST + 5)
        ]
    assert statuses[-1] == 429
    assert len(spool.waiting()) <= views.STRANGER_BURST + 1


def test_a_sender_that_is_remembered_is_no_stranger(endpoint: Endpoint) -> None:
    path = endpoint.path
    assert post(path, b"{}").status_code == 201
    with connection.execute_wrapper(away):
        statuses = {post(path, body(number)).status_code for number in range(views.STRANGER_BURST + 5)}
    assert statuses == {202}


def test_without_a_spool_directory_there_is_nothing_to_take_in(settings: Any, db: None) -> None:
    settings.SPOOL_DIR = None
    assert (spool.is_on(), spool.take_in(), spool.waiting(), spool.failed()) == (False, 0, [], [])


# What staff are told


def told(at: datetime) -> list[str]:
    return [notice.text for notice in alerts._spooled(at)]


def test_what_waits_for_long_and_what_cannot_be_taken_in_is_told(
    endpoint: Endpoint, spool_directory: Path
) -> None:
    assert told(NOON) == []
    put(endpoint, at=NOON)
    assert told(NOON + SECOND) == []
    assert "1 request came while the database was away" in told(NOON + 61 * SECOND)[0]
    (spool_directory / f"0{spool.FAILED}").write_bytes(b"")
    assert "1 spooled request could not be taken in" in told(NOON)[0]
