"""Leads that were here before the worker tidied and grouped get the same as those that come now."""

from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import connection

from leads.models import Customer, CustomerKey, Lead
from tests.leads.grouping import FABRIKAM, JANE, care, cared, make_lead, make_offer

pytestmark = pytest.mark.django_db
MIGRATION = import_module("leads.migrations.0003_tidy")


def migrate() -> None:
    MIGRATION.tidy_and_group(apps, SimpleNamespace(connection=connection))


SENT = [
    {**JANE, **FABRIKAM},
    {"email": "Jane <JANE@contoso.com>", "phone": "00 1 425 555 0134", "country": "USA"},
    {"company": "fabrikam", "phone": "(425) 555-0134", "country": "US", "first_name": "Joe"},
    {"email": "joe@contoso.com"},
    {"first_name": "Nobody"},
    {**JANE, "is_test": True},
    {**JANE, "is_sample": True},
]


def seen() -> list[tuple[str, str, str, str, str | None]]:
    return [
        (
            lead.tidy_email,
            lead.tidy_phone,
            lead.tidy_country,
            lead.grouped_by,
            lead.customer and lead.customer.name,
        )
        for lead in Lead.objects.select_related("customer").order_by("received_at")
    ]


@pytest.mark.parametrize("batch", [1, 3, 200])
def test_old_leads_get_what_new_ones_get(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    offer = make_offer()
    care(*[make_lead(offer, **sent) for sent in SENT])
    as_the_worker_does = seen(), set(CustomerKey.objects.values_list("kind", "value", "customer__email"))
    Lead.objects.all().delete()
    Customer.objects.all().delete()

    monkeypatch.setattr(MIGRATION, "BATCH", batch)
    for sent in SENT:
        make_lead(offer, **sent)
    migrate()
    assert (
        seen(),
        set(CustomerKey.objects.values_list("kind", "value", "customer__email")),
    ) == as_the_worker_does
    before = seen(), Customer.objects.count()
    migrate()  # it may be interrupted, and begun again
    assert (seen(), Customer.objects.count()) == before


def test_a_new_lead_joins_the_customer_of_an_old_one() -> None:
    offer = make_offer()
    old = make_lead(offer, **JANE)
    migrate()
    old.refresh_from_db()
    new = cared(offer, **JANE)
    assert new.customer == old.customer is not None
