"""A number is told if it can be told at once, and never waited for."""

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models.expressions import RawSQL

from leads import counting
from leads.models import Lead, Offer
from tests.leads.grouping import make_lead

pytestmark = pytest.mark.django_db

# Some ten million steps a row, that neither database can leave out.
SLOW = {
    "postgresql": "SELECT count(*) FROM generate_series(1, 10000000) n",
    "sqlite": "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 10000000) SELECT count(*) FROM s",
}


@pytest.fixture
def leads(offer: Offer) -> list[Lead]:
    return [make_lead(offer) for _ in range(5)]


@pytest.fixture(autouse=True)
def _however_busy_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "PATIENCE", 2.0)


def test_a_number_reads_as_people_write_it(leads: list[Lead], monkeypatch: pytest.MonkeyPatch) -> None:
    count = counting.count(Lead.objects.all())
    assert (count, str(count)) == (5, "5")
    assert str(counting.Count(1_234)) == "1,234"
    monkeypatch.setattr(counting, "MOST", 3)
    count = counting.count(Lead.objects.all())
    assert (count, str(count)) == (3, "3+")


def test_what_takes_too_long_to_count_is_told_as_more_than_was_seen(
    leads: list[Lead], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "PATIENCE", 0.01)
    slow = Lead.objects.alias(steps=RawSQL(SLOW[connection.vendor], [])).filter(steps__gt=0)
    count = counting.count(slow, at_least=50)
    assert (count, str(count)) == (50, "50+")
    # Nothing of it is left for those that come after.
    monkeypatch.setattr(counting, "PATIENCE", 2.0)
    assert counting.count(Lead.objects.all()) == 5
    assert list(Lead.objects.values_list("pk")[:1])


@pytest.mark.postgresql
def test_the_rest_of_a_transaction_has_its_time(leads: list[Lead]) -> None:
    with transaction.atomic():
        counting.count(Lead.objects.all())
        with connection.cursor() as cursor:
            cursor.execute("SHOW statement_timeout")
            assert cursor.fetchone() == ("0",)


def test_another_error_stays_what_it_is(leads: list[Lead]) -> None:
    wrong = Lead.objects.alias(wrong=RawSQL("SELECT no_such_function()", [])).filter(wrong__gt=0)
    with pytest.raises(DatabaseError, match="no_such_function"), transaction.atomic():
        counting.count(wrong)
