"""What a lead gets before it is routed changes nothing that was sent, and never holds a lead up."""

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import datetime
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connection

from crm_sync import routing
from leads import aftercare, customers, tidy, unknown_keys
from leads.models import Customer, CustomerKey, Lead, Offer
from tests.leads.grouping import FABRIKAM, JANE, START, care, cared, make_lead

pytestmark = pytest.mark.django_db


def test_tidied_values_stand_beside_what_was_sent_and_rules_keep_that(offer: Offer) -> None:
    sent = {"email": "Jane <Jane@CONTOSO.com>", "phone": "(425) 555-0134", "country": "USA"}
    lead = make_lead(offer, **sent)
    before = lead.values()
    care(lead)
    lead.refresh_from_db()
    assert (lead.tidy_email, lead.tidy_phone, lead.tidy_country) == ("Jane@contoso.com", "+14255550134", "US")
    assert {name: getattr(lead, name) for name in sent} == sent
    assert lead.values() == before


def test_the_worker_cares_for_leads_before_it_routes_them(offer: Offer) -> None:
    leads = [make_lead(offer, **JANE), make_lead(offer, **JANE, phone="0049 30 1234567")]
    routing.route_everything(START)
    for lead in leads:
        lead.refresh_from_db()
        assert lead.routed_at == START
        assert lead.tidy_email == "jane@contoso.com"
    assert leads[0].customer == leads[1].customer is not None
    assert leads[1].tidy_phone == "+49301234567"


def test_unknown_fields_are_counted(offer: Offer, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[Lead] = []
    monkeypatch.setattr(unknown_keys, "count", lambda leads, now: counted.extend(leads))
    lead = cared(offer, **JANE)
    assert counted == [lead]


def test_care_is_taken_once_of_what_was_not_tidied_ahead(offer: Offer) -> None:
    lead, late = make_lead(offer, **JANE), make_lead(offer, email="joe@contoso.com")
    ahead = aftercare.tidied_ahead([(lead.pk, "other@contoso.com", "", "")])
    aftercare.care([lead, late], START, ahead)
    assert [lead.tidy_email, late.tidy_email] == ["other@contoso.com", "joe@contoso.com"]


# A lead that cannot be cared for


def failing(real: Any, poison: str, error: Exception) -> Any:
    """Fails whenever a lead or a text of that name is among what it is given."""

    def work(given: Any, *rest: Any) -> Any:
        if poison in ([given] if isinstance(given, str) else [lead.first_name for lead in given]):
            raise error
        return real(given, *rest)

    return work


@pytest.fixture
def batch(offer: Offer) -> list[Lead]:
    """The second is the one that fails."""
    return [
        make_lead(offer, first_name=name, email=f"{name}@contoso.com", **FABRIKAM)
        for name in ("a", "poison", "c")
    ]


def routed(batch: Sequence[Lead]) -> list[Lead]:
    assert routing.route_waiting(START).leads == len(batch)
    found = list(Lead.objects.filter(routed_at=START).order_by("received_at"))
    assert found == list(batch)
    return found


def test_a_lead_that_cannot_be_tidied_loses_only_that(
    batch: list[Lead], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tidy, "email", failing(tidy.email, "poison@contoso.com", RuntimeError("as planned")))
    first, poison, last = routed(batch)
    assert [first.tidy_email, poison.tidy_email, last.tidy_email] == ["a@contoso.com", "", "c@contoso.com"]
    assert first.customer == last.customer is not None
    assert str(poison.pk) in caplog.text
    assert "as planned" in caplog.text


@pytest.mark.parametrize("error", [RuntimeError("as planned"), IntegrityError("as planned")])
def test_a_lead_that_cannot_be_grouped_loses_only_that(
    error: Exception, batch: list[Lead], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(customers, "group", failing(customers.group, "poison", error))
    first, poison, last = routed(batch)
    assert [lead.tidy_email for lead in batch] == ["", "", ""]  # these were not read again
    assert poison.tidy_email == "poison@contoso.com"
    assert (poison.customer, poison.grouped_by) == (None, "")
    assert first.customer == last.customer is not None
    assert last.grouped_by == "company_phone"
    logged = [record for record in caplog.records if record.name == aftercare.logger.name]
    assert [record.levelno for record in logged] == [logging.ERROR] * 2  # the batch, and then the one
    assert all(record.exc_info for record in logged)


def test_what_fails_after_the_grouping_takes_nothing_of_it_along(
    batch: list[Lead], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        unknown_keys, "count", failing(unknown_keys.count, "poison", RuntimeError("as planned"))
    )
    first, poison, last = routed(batch)
    assert first.customer == poison.customer == last.customer is not None
    assert Customer.objects.count() == 1
    assert CustomerKey.objects.count() == 4


def test_what_fails_half_way_leaves_no_rows_behind(offer: Offer, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(leads: Sequence[Lead], now: datetime) -> None:
        Customer.objects.create(name="Half")
        leads[0].customer = Customer.objects.get()
        raise RuntimeError("as planned")

    monkeypatch.setattr(customers, "group", half)
    lead = cared(offer, **JANE)
    lead.refresh_from_db()
    assert lead.customer is None
    assert not Customer.objects.exists()


def test_a_statement_that_the_database_refuses_costs_the_other_leads_nothing(
    batch: list[Lead], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = customers.group

    def refused(leads: Sequence[Lead], now: datetime) -> None:
        if "poison" in [lead.first_name for lead in leads]:
            with connection.cursor() as cursor:
                cursor.execute("SELECT nothing FROM nowhere")
        real(leads, now)

    monkeypatch.setattr(customers, "group", refused)
    first, poison, last = routed(batch)
    assert first.customer == last.customer is not None
    assert poison.customer is None


def test_a_transaction_that_is_lost_is_given_up_as_a_whole(
    offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a connection that broke: its savepoint is gone too."""

    def lost(leads: Sequence[Lead], now: datetime) -> None:
        connection.needs_rollback = True
        raise OperationalError("as planned")

    lead = make_lead(offer, **JANE)
    with monkeypatch.context() as patch:
        patch.setattr(customers, "group", lost)
        patch.setattr(aftercare, "_all_or_nothing", lambda leads: nullcontext())
        with pytest.raises(OperationalError):
            aftercare.care([lead], START)
    connection.needs_rollback = False
    routing.route_waiting(START)  # the next sweep
    lead.refresh_from_db()
    assert lead.customer is not None
