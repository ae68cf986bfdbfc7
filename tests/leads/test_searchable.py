"""What leads are found by is written a moment after they came, and goes with them."""

import logging
from importlib import import_module
from typing import Any

import pytest
from django.core.management import CommandError
from django.db import DatabaseError, connection

from crm_sync import routing
from leads import search, searchable
from leads.models import Lead, LeadText, Offer, Submission
from tests.leads.grouping import FABRIKAM, JANE, START, cared, make_lead
from tests.staff import make_offer as offer_with_a_url
from tests.staff import make_searchable, post

pytestmark = pytest.mark.django_db


def found(question: str) -> list[Lead]:
    return list(search.matching(Lead.objects.all(), question))


def text(lead: Lead) -> str | None:
    return LeadText.objects.get(lead=lead).text


# What is in it


def test_it_holds_what_was_sent_what_was_made_of_it_and_the_body(offer: Offer) -> None:
    lead = cared(
        offer,
        **JANE,
        phone="+1 (425) 555-0134",
        company="Straße & Söhne",
        country="Norge",
        title="CTO",
        lead_source="SPZA-PLT|contoso.backup",
        action="PLT",
        campaign={"utm_campaign": "Spring24"},
        extra={"UserDetails.Fax": "0049 30 99", "Seats": {"count": 40}},
        description="Please CALL",
    )
    Submission.objects.filter(pk=lead.submission_id).update(body='{"Only here": "Ünlesbar"'.encode())
    searchable.fill()
    words = "jane doe jane@contoso.com 14255550134 (425) strasse norge cto spza plt spring24 fax seats call ünlesbar"
    for word in words.split():
        assert word in (text(lead) or ""), word


def test_what_the_body_says_is_not_said_twice() -> None:
    (lead,) = post(offer_with_a_url()).leads.all()
    make_searchable()
    assert (text(lead) or "").count("fabrikam.example") == 1


def test_an_escaped_name_is_found_as_it_is_read() -> None:
    post(offer_with_a_url(), rb'{"UserDetails": {"LastName": "M\u00fcller"}}')
    make_searchable()
    assert [lead.last_name for lead in found("müller")] == ["Müller"]


@pytest.mark.parametrize("huge", ["x" * 200_000, "é" * 200_000])
def test_a_huge_lead_leaves_a_bounded_text(huge: str) -> None:
    lead = Lead(description=huge, extra={f"key{number}": huge for number in range(100)})
    made = searchable.text_of(lead, huge.encode())
    assert len(made) <= searchable.LONGEST
    assert len(searchable.text_of(Lead(), huge.encode())) <= searchable.FROM_BODY + 20


# When it is written


def test_routing_leaves_a_row_and_the_worker_writes_it(offer: Offer) -> None:
    lead = make_lead(offer, **JANE)
    routing.route_everything(START)
    assert text(lead) is None
    assert found("jane") == []
    assert searchable.fill() == 1
    assert found("jane") == [lead]
    assert searchable.fill() == 0


def test_the_newest_are_written_first_and_no_more_than_a_slice(offer: Offer) -> None:
    leads = [make_lead(offer, **JANE) for _ in range(5)]
    searchable.owe(leads, START)
    assert searchable.fill(2) == 2
    assert {lead.pk for lead in found("jane")} == {leads[3].pk, leads[4].pk}


def test_a_worker_that_comes_and_goes_writes_all(offer: Offer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searchable, "SLICE", 2)
    leads = [make_lead(offer, **JANE) for _ in range(5)]
    searchable.owe(leads, START)
    searchable.fill_some()
    assert len(found("jane")) == len(leads)


def test_a_lead_whose_row_cannot_be_left_is_routed_all_the_same(
    offer: Offer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lead = make_lead(offer, **JANE)

    def fail(*_: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM no_such_table")

    monkeypatch.setattr(searchable, "owe", fail)
    with caplog.at_level(logging.ERROR):
        routing.route_everything(START)
    lead.refresh_from_db()
    assert lead.routed_at
    assert lead.tidy_email == "jane@contoso.com"
    assert "goes on without a part of its care" in caplog.text
    assert searchable.owe_missing() == 1
    searchable.fill()
    assert found("jane") == [lead]


def test_a_lead_that_breaks_the_writer_costs_the_others_nothing(
    offer: Offer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad = make_lead(offer, **JANE), make_lead(offer, **FABRIKAM)
    real = searchable.text_of

    def fail(lead: Lead, body: bytes) -> str:
        if lead.pk == bad.pk:
            raise ValueError("poison")
        return real(lead, body)

    monkeypatch.setattr(searchable, "text_of", fail)
    searchable.owe([good, bad], START)
    with caplog.at_level(logging.ERROR):
        assert searchable.fill() == 2
    assert found("jane") == [good]
    assert f"Lead {bad.pk} cannot be searched" in caplog.text
    assert searchable.fill() == 0


def test_leads_from_before_there_was_a_search_are_found_in_slices(
    offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searchable, "LOOK_AT", 2)
    old = [make_lead(offer, **JANE, routed_at=START) for _ in range(5)]
    make_lead(offer, **JANE)  # routing is about to take it
    known = cared(offer, **JANE)
    assert searchable.owe_missing() == len(old)
    assert searchable.owe_missing() == 0
    searchable.fill()
    assert set(found("jane")) == {*old, known}


# When it goes


def trigrams_left() -> int:
    """Rows that SQLite's index still has anything of."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO leads_leadtext_fts(leads_leadtext_fts) VALUES ('integrity-check')")
        cursor.execute("SELECT count(*) FROM leads_leadtext_fts WHERE leads_leadtext_fts MATCH '\"jan\"'")
        return cursor.fetchone()[0]


@pytest.mark.parametrize("whole_offer", [False, True])
def test_deleting_a_lead_clears_what_it_was_found_by(offer: Offer, whole_offer: bool) -> None:
    lead = cared(offer, **JANE)
    searchable.fill()
    assert found("jane") == [lead]
    (offer if whole_offer else lead).delete()
    assert not LeadText.objects.exists()
    if connection.vendor == "sqlite":
        assert trigrams_left() == 0


def test_forgetting_the_text_alone_has_it_written_again(offer: Offer) -> None:
    lead = cared(offer, **JANE)
    searchable.fill()
    Lead.objects.filter(pk=lead.pk).update(first_name="", last_name="", email="", tidy_email="")
    LeadText.objects.filter(lead=lead).delete()
    searchable.owe_missing()
    searchable.fill()
    assert found("jane") == []


@pytest.mark.sqlite
def test_a_changed_text_is_found_by_its_new_words_only(offer: Offer) -> None:
    lead = cared(offer, **JANE)
    searchable.fill()
    LeadText.objects.filter(lead=lead).update(text="somebody else")
    assert found("somebody") == [lead]
    assert trigrams_left() == 0


# The migration


class _Refusing:
    """A connection whose user may make no extension."""

    vendor, alias, settings_dict = "postgresql", "default", {"NAME": "leads"}

    def __init__(self) -> None:
        self._asked = False

    def cursor(self) -> "_Refusing":
        return self

    def __enter__(self) -> "_Refusing":
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    def execute(self, sql: str) -> None:
        if sql.startswith("CREATE"):
            raise DatabaseError("permission denied to create extension")

    def fetchone(self) -> tuple[bool]:
        return (False,)


def test_where_the_extension_cannot_be_made_the_migration_says_what_to_run() -> None:
    migration = import_module("leads.migrations.0008_search")
    with pytest.raises(CommandError) as caught:
        migration.make_extension(_Refusing())
    said = str(caught.value)
    assert "CREATE EXTENSION pg_trgm;" in said
    assert '"leads"' in said
    assert "permission denied" in said
