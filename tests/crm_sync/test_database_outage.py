"""The database goes away while leads are on their way, and comes back: what the CRM answered meanwhile is not lost."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError

from crm_sync import delivery, draining, routing
from crm_sync.models import Delivery
from tests.crm_sync.sending import Clock, Inline, install, make_destination, make_lead, make_offer, make_route

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("own_database"),
]  # an error may close a connection


def fails(times: int, work: Callable[..., Any]) -> Callable[..., Any]:
    left = iter(range(times))

    def failing(*arguments: Any, **options: Any) -> Any:
        if next(left, None) is not None:
            raise OperationalError("the database system is shutting down")
        return work(*arguments, **options)

    return failing


@pytest.mark.parametrize("idempotent", [True, False])
def test_an_answer_that_came_while_the_database_was_away_is_written_down_when_it_is_back(
    idempotent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "SETTLE_AGAIN", 0.01)
    crm = install(monkeypatch, idempotent=idempotent)
    route, clock = make_route(make_offer(), make_destination()), Clock()
    make_lead(route.offer)
    routing.route_everything(clock())
    for name in ("settle_all", "settle"):
        monkeypatch.setattr(delivery, name, fails(2, getattr(delivery, name)))
    drain = draining.Drain(route.destination_id, Inline(), slots=1, clock=clock)
    for _ in range(4):  # looks at the database, two seconds apart
        drain.run()
        clock.pass_(2)
    assert Delivery.objects.get().state == "delivered"
    assert len(crm.keys) == 1
