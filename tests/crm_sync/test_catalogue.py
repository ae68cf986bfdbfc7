"""A CRM's own fields: read, kept, used in place of the declared ones, and read again after it refused one."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError

from crm_sync import catalogue, connectors, health, mapping, pushing
from crm_sync.connectors.base import Connector, Stopped
from crm_sync.mapping import Rule
from crm_sync.models import Delivery, Destination
from crm_sync.outcomes import Rejected, RetryLater
from crm_sync.spec import TargetField
from tests.crm_sync.sending import (
    START,
    Clock,
    Crm,
    drain,
    install,
    make_destination,
    make_offer,
    make_route,
    take,
)
from tests.crm_sync.test_delivery import make_sending

pytestmark = pytest.mark.django_db

LIVE = (
    TargetField("last_name", "Surname", required=True, max_length=40),
    TargetField("rating", "Rating", "choice", choices=(("1", "Hot"), ("2", "Cold"))),
)


class Telling:
    """Makes the scripted CRM tell its fields; `down`: it does not answer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fields, self.asked, self.down = LIVE, 0, False
        telling = self

        def live_fields(self: Connector) -> Any:
            telling.asked += 1
            if telling.down:
                raise Stopped(RetryLater("No answer."))
            return telling.fields

        monkeypatch.setattr(connectors.REGISTRY["scripted"], "live_fields", live_fields)


@pytest.fixture
def crm(monkeypatch: pytest.MonkeyPatch) -> Crm:
    return install(monkeypatch, describes=True, any_field=True)


@pytest.fixture
def telling(crm: Crm, monkeypatch: pytest.MonkeyPatch) -> Telling:
    return Telling(monkeypatch)


@pytest.fixture
def destination(telling: Telling) -> Destination:
    return make_destination()


def again(destination: Destination) -> Destination:
    return Destination.objects.get(pk=destination.pk)


def test_a_connection_test_reads_the_fields_and_says_so(destination: Destination) -> None:
    found = health.check(destination, at=START)
    assert found.findings[-1] == "2 fields of the CRM were read; the field mapping offers them."
    live = again(destination).spec
    assert [(field.name, field.label, field.max_length) for field in live.fields] == [
        ("last_name", "Surname", 40),
        ("rating", "Rating", 0),
    ]
    assert live.fields[1].choices == (("1", "Hot"), ("2", "Cold"))


def test_what_the_connector_suggests_stays_with_the_crms_own_fields(destination: Destination) -> None:
    health.check(destination, at=START)
    assert mapping.suggested_rules(again(destination).spec) == (
        Rule("last_name", "field", source="last_name"),
    )


def test_a_field_that_the_crm_does_not_have_is_refused_once_its_own_are_known(
    destination: Destination,
) -> None:
    rule = Rule("colour", "constant", value="red")
    before = again(destination).spec
    assert mapping.problems(rule, before.fields, before.any_field) == []
    health.check(destination, at=START)
    after = again(destination).spec
    (problem,) = mapping.problems(rule, after.fields, after.any_field)
    assert "The CRM has no field “colour”" in problem.message


def test_the_first_push_asks_for_the_fields_and_later_ones_do_not(
    destination: Destination, telling: Telling
) -> None:
    route, clock = make_route(make_offer(), destination), Clock()
    for _ in range(3):
        make_sending(route)
    assert drain(destination, clock) == 3
    assert telling.asked == 1
    assert again(destination).fields_read_at is not None


def test_leads_go_out_although_the_crm_does_not_tell_its_fields(
    destination: Destination, telling: Telling, crm: Crm
) -> None:
    telling.down = True
    route = make_route(make_offer(), destination)
    make_sending(route)
    make_sending(route)
    assert drain(destination, Clock()) == 2
    assert len(crm.records) == 2
    assert telling.asked == 1  # not before every push


def test_after_a_refused_field_the_crm_is_asked_again(destination: Destination, crm: Crm) -> None:
    catalogue.store(destination, LIVE, START)
    make_sending(make_route(make_offer(), destination))
    crm.answers = [Rejected("No such field.", field="title")]
    drain(destination, Clock())
    assert again(destination).fields_read_at is None


def test_other_settings_may_be_another_crm(destination: Destination) -> None:
    catalogue.store(destination, LIVE, START)
    destination.store_settings({"account": "another"})
    destination.save()
    assert again(destination).fields_read_at is None


def test_fields_that_are_read_again_replace_the_first(destination: Destination, telling: Telling) -> None:
    health.check(destination, at=START)
    assert again(destination).spec.fields[0].label == "Surname"
    telling.fields = (TargetField("last_name", "Family name"),)
    health.check(destination, at=START + timedelta(minutes=1))
    assert [field.label for field in again(destination).spec.fields] == ["Family name"]


def test_a_field_list_of_a_connection_goes_with_it(destination: Destination) -> None:
    catalogue.store(destination, LIVE, START)
    destination.delete()
    assert not Destination.objects.exists()


def test_a_push_to_a_crm_whose_fields_are_known_asks_the_database_nothing(
    destination: Destination, django_assert_num_queries: Any
) -> None:
    catalogue.store(destination, LIVE, START)
    pushing.learn_fields(destination)
    with django_assert_num_queries(0):
        pushing.learn_fields(destination)
        assert destination.spec.fields[0].label == "Surname"


def test_a_database_that_is_away_while_a_lead_is_made_ready_is_no_bug_of_the_connector(
    destination: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    sending = make_sending(make_route(make_offer(), destination))
    [lease] = take(destination, START)

    def away(*_: object, **__: object) -> None:
        raise OperationalError("the connection is closed")

    monkeypatch.setattr(catalogue, "store", away)
    assert pushing.prepare(lease) == RetryLater("Our own database was away. Nothing was sent.")
    assert Delivery.objects.get().pk == sending.pk
