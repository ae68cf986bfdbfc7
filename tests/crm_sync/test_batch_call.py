"""A batch call over real HTTP, to a CRM that keeps count: a hundred leads a call, each in the CRM once."""

from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

import pytest

from crm_sync import backoff, connectors, pushing, routing
from crm_sync.models import Delivery, Route
from tests import stub_crm
from tests.batch_connector import SLUG, BatchConnector
from tests.crm_sync.sending import Clock, drain, make_destination, make_lead, make_offer, make_route, state_of
from tests.stub_crm import BATCH, StubCrm

pytestmark = pytest.mark.django_db
LEADS = 2 * BATCH + 50


@pytest.fixture
def crm() -> Iterator[StubCrm]:
    with stub_crm.running(0.0) as crm:
        yield crm


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def route(crm: StubCrm, clock: Clock, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Route]:
    """Leads on their way to a CRM with a batch call."""
    settings.ALLOW_PRIVATE_DESTINATIONS = True
    monkeypatch.setattr(
        connectors, "REGISTRY", MappingProxyType({**connectors.REGISTRY, SLUG: BatchConnector})
    )
    pushing._pool.cache_clear()
    route = make_route(make_offer(), make_destination(SLUG, settings={"url": crm.batch_url}))
    for _ in range(LEADS):
        make_lead(route.offer)
    routing.route_everything(clock())
    yield route
    pushing._pool(False).close()
    pushing._pool.cache_clear()


def test_a_batch_call_takes_a_hundred_leads_and_each_arrives_once(
    crm: StubCrm, route: Route, clock: Clock
) -> None:
    drain(route.destination, clock)
    said = crm.ledger()
    assert set(Delivery.objects.values_list("state", flat=True)) == {"delivered"}
    assert said["calls"] == 3
    assert len(said["records"]) == len(set(said["records"].values())) == LEADS


def test_a_batch_call_that_is_written_and_not_answered_is_made_again_under_the_same_keys(
    crm: StubCrm, route: Route, clock: Clock
) -> None:
    crm.misbehave({"do": "drop", "times": 1})
    drain(route.destination, clock)
    assert Delivery.objects.filter(state="waiting", uncertain=True).count() == BATCH
    clock.pass_(backoff.CAP)
    drain(route.destination, clock)
    said = crm.ledger()
    assert set(Delivery.objects.values_list("state", flat=True)) == {"delivered"}
    assert len(said["records"]) == LEADS
    assert Delivery.objects.filter(existed=True).count() == BATCH


def test_a_batch_call_that_fails_is_one_failure_and_opens_no_breaker(
    crm: StubCrm, route: Route, clock: Clock
) -> None:
    crm.misbehave({"do": "drop", "times": 1})
    drain(route.destination, clock)
    assert state_of(route.destination).state == "working"
