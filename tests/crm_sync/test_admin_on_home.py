"""What Home tells of each connection: how many leads are on their way there."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from crm_sync import wording
from crm_sync.admin import on_home
from tests.crm_sync.screens import Demo
from tests.staff import person

pytestmark = pytest.mark.django_db


def waiting() -> str:
    request = RequestFactory().get("/")
    request.user = person("bob")
    return next(iter(on_home.connections(request))).waiting


def test_what_waits_and_what_is_being_sent_is_counted_up_to_a_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    demo = Demo()
    assert waiting() == ""
    demo.owe()
    demo.owe(state="held", held_reason="approval")
    lease = {"lease_token": uuid4(), "lease_expires_at": demo.clock.now + timedelta(minutes=1)}
    demo.owe(state="leased", **lease)
    for cap, said in ((2, "2"), (1, "1+")):
        monkeypatch.setattr(on_home, "CAP", cap)
        assert waiting() == said


def test_each_state_is_counted_by_the_index_of_that_state() -> None:
    Demo().owe()
    with CaptureQueriesContext(connection) as asked:
        assert waiting() == "1"
    counts = [query["sql"] for query in asked if "COUNT" in query["sql"]]
    assert len(counts) == 2
    assert not [sql for sql in counts if " IN (" in sql]


def test_a_number_at_its_cap_is_exact_and_above_it_says_so() -> None:
    assert [wording.capped(number, 10_000) for number in (9_999, 10_000, 10_001)] == [
        "9,999",
        "10,000",
        "10,000+",
    ]
