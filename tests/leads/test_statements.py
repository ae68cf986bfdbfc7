"""Statements whose SQL is made once read and write what the ORM would."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from leads import statements
from leads.models import Customer, CustomerKey, Endpoint, Lead, Offer
from leads.statements import Prepared
from tests.staff import make_offer, post

pytestmark = pytest.mark.django_db


def leads_of(**marks: Any) -> Any:
    return (
        Lead.objects.select_related("offer")
        .annotate(said=F("offer__title"))
        .filter(offer_id=marks["offer_id"], received_at__gte=marks["since"], is_test=False)
        .order_by("received_at")[: marks["most"]]
    )


MARKS = {"offer_id": -987_001, "since": timezone.now() + timedelta(days=9_999), "most": 987_002}


def test_a_prepared_query_gives_what_the_orm_gives_and_is_compiled_once() -> None:
    made: list[int] = []

    def make(**marks: Any) -> Any:
        made.append(1)
        return leads_of(**marks)

    prepared = Prepared(make, **MARKS)
    offer, other = make_offer(), make_offer("other")
    for number in range(3):
        post(offer, {"LastName": f"No {number}"})
    post(other, {"LastName": "Elsewhere"})
    for since, most in ((timezone.now() - timedelta(days=1), 2), (timezone.now() + timedelta(days=1), 2)):
        values = {"offer_id": offer.pk, "since": since, "most": most}
        found, expected = prepared(**values), list(leads_of(**values))
        assert found == expected
        for ours, theirs in zip(found, expected, strict=True):
            mine, orm = ours.__dict__ | {"_state": 0}, theirs.__dict__ | {"_state": 0}
            assert mine == orm
            assert ours.said == offer.title
    assert made == [1]
    with CaptureQueriesContext(connection) as queries:
        [first] = prepared(offer_id=other.pk, since=timezone.now() - timedelta(days=1), most=9)
        assert first.offer == other
    assert len(queries) == 1
    first.save()  # a row that is there, not a new one


def test_a_prepared_query_may_lock() -> None:
    prepared = Prepared(lambda key: Offer.objects.select_for_update().filter(pk=key), key=-987_003)
    offer = make_offer()
    with transaction.atomic():
        assert prepared(key=offer.pk) == [offer]
        assert prepared(key=0) == []


def test_new_rows_get_their_ids_and_rows_that_are_there_already_get_none() -> None:
    customer = Customer.objects.create(created_at=timezone.now())
    keys = [CustomerKey(kind="email", value=f"{n}@x.example", customer=customer) for n in range(3)]
    made = statements.insert_new(keys[:2], ("value", "customer_id"))
    assert made == keys[:2]
    assert {(key.pk, key.value) for key in made} == set(CustomerKey.objects.values_list("pk", "value"))
    copies = [CustomerKey(kind="email", value=key.value, customer=customer) for key in keys]
    [new] = statements.insert_new(copies, ("value", "customer_id"))
    assert new.value == "2@x.example"
    assert copies[0].pk is None
    assert CustomerKey.objects.count() == 3


def test_rows_are_inserted_and_updated_as_they_are() -> None:
    offer = Offer(publisher_id="a", offer_id="b", title="Ünicode 'quoted'", schema={"a": [1, None]})
    statements.insert([offer])
    stored = Offer.objects.get(publisher_id="a")
    assert (stored.title, stored.schema) == (offer.title, offer.schema)
    stored.title, stored.schema = "New", None
    statements.update([stored], ["title", "schema"])
    stored.refresh_from_db()
    assert (stored.title, stored.schema) == ("New", None)


def test_nothing_to_write_asks_nothing() -> None:
    with CaptureQueriesContext(connection) as queries:
        statements.insert([])
        statements.update([], ["title"])
        assert statements.insert_new([], ("a", "b")) == []
    assert len(queries) == 0


def test_what_is_secret_goes_in_sealed() -> None:
    endpoint = Endpoint.make(make_offer())
    secret = endpoint.key
    endpoint.key, endpoint.key_digest, endpoint.pk = "another-" + secret, "digest", None
    statements.insert([endpoint])
    endpoint.pk = Endpoint.objects.get(key_digest="digest").pk
    endpoint.key = "a-third-" + secret
    statements.update([endpoint], ["key"])
    with connection.cursor() as cursor:
        cursor.execute('SELECT "key" FROM leads_endpoint')
        assert not [key for (key,) in cursor.fetchall() if secret in key]
    assert Endpoint.objects.get(pk=endpoint.pk).key == "a-third-" + secret
