"""Where a lead would end up, said before it is sent; and the POST to our own address, and to no other."""

from typing import Any

import pytest

from crm_sync import publishing
from crm_sync.admin.ways import post_to_ourselves, ways
from crm_sync.models import DestinationState, MappingVersion, Route
from leads.models import Lead, Offer
from tests.crm_sync.sending import START, make_destination, make_offer

pytestmark = pytest.mark.django_db


def route_to(offer: Offer, name: str = "Demo CRM", *, connector: str = "demo", **more: Any) -> Route:
    route = Route.objects.create(offer=offer, destination=make_destination(connector, name=name), **more)
    publishing.publish_rules(route, (), START)
    return route


def told(offer: Offer, **lead: Any) -> list[str]:
    return list(ways(Lead(offer=offer, **{"action": "INS"} | lead)))


def test_an_offer_without_a_connection_says_nothing() -> None:
    assert told(make_offer()) == []


def test_each_connection_is_named_in_turn() -> None:
    offer = make_offer()
    route_to(offer)
    route_to(offer, "HubSpot EU", connector="hubspot")
    assert told(offer) == [
        "To Demo CRM, which is inside this app.",
        "It will be sent to HubSpot EU as a real record, under the name Sam Sample.",
    ]


@pytest.mark.parametrize(
    ("offer", "route", "lead", "said"),
    [
        ({"enabled": False}, {}, {}, "Nowhere: the offer is off."),
        ({}, {}, {"is_test": True}, "Nowhere: test leads stay out of the CRM."),
        ({"send_test_leads": True}, {}, {"is_test": True}, "To Demo CRM, which is inside this app."),
        ({}, {}, {"action": "DNC"}, "Held before Demo CRM: do not contact."),
        ({"dnc_policy": "push"}, {}, {"action": "DNC"}, "To Demo CRM, which is inside this app."),
        (
            {"dnc_policy": "archive"},
            {},
            {"action": "DNC"},
            "Nowhere: do-not-contact leads of this offer are archived.",
        ),
        ({}, {"enabled": False}, {}, "Not to Demo CRM: sending there is off."),
        ({}, {"only_actions": ["PLT"]}, {}, "Not to Demo CRM, which gets other actions only."),
        ({}, {"needs_approval": True}, {}, "Held before Demo CRM until somebody approves it."),
    ],
)
def test_conditions_and_policies_are_told(
    offer: dict[str, Any], route: dict[str, Any], lead: dict[str, Any], said: str
) -> None:
    made = make_offer(**offer)
    route_to(made, **route)
    assert told(made, **lead) == [said]


def test_without_a_published_mapping_it_waits() -> None:
    route = route_to(make_offer())
    route.mappings.all().delete()
    assert told(route.offer) == ["Not to Demo CRM yet: no field mapping is published, so it waits."]


def test_a_broken_mapping_holds_it() -> None:
    route = route_to(make_offer())
    MappingVersion.objects.update(broken="No such field.", broken_field="x")
    assert told(route.offer) == ["Held before Demo CRM: the field mapping is broken."]


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("paused", "To Demo CRM as a real record, once somebody presses Resume there."),
        ("stopped", "To Demo CRM as a real record, once it works again."),
        ("slowed", "To Demo CRM as a real record, once it works again."),
    ],
)
def test_a_connection_that_does_not_work_is_waited_for(state: str, said: str) -> None:
    route = route_to(make_offer())
    DestinationState.objects.update(state=state)
    assert told(route.offer) == [said]


# To ourselves


def test_our_own_address_is_posted_to_though_it_is_private(far_side: Any, settings: Any) -> None:
    server = far_side(
        lambda connection: connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}")
    )
    settings.PUBLIC_URL = f"http://127.0.0.1:{server.port}"
    answer = post_to_ourselves(f"{settings.PUBLIC_URL}/in/key", b"{}", {"Sample-Lead": "x"})
    assert (answer.status, answer.body, answer.problem) == (201, b"{}", "")
    assert server.requests[0].startswith(b"POST /in/key ")
    assert b"sample-lead: x" in server.requests[0].lower()


def test_no_other_private_address_is_whatever_the_settings_allow(far_side: Any, settings: Any) -> None:
    settings.ALLOW_PRIVATE_DESTINATIONS = True
    settings.PUBLIC_URL = "https://leads.contoso.example"
    server = far_side(lambda connection: None)
    answer = post_to_ourselves(f"http://127.0.0.1:{server.port}/in/key", b"{}", {})
    assert "not a public address" in answer.problem
    assert server.connections == 0


def test_a_redirect_is_an_answer_and_not_followed(far_side: Any, settings: Any) -> None:
    reply = b"HTTP/1.1 302 Found\r\nLocation: https://elsewhere.example/\r\nContent-Length: 0\r\n\r\n"
    server = far_side(lambda connection: connection.sendall(reply))
    settings.PUBLIC_URL = f"http://127.0.0.1:{server.port}"
    assert post_to_ourselves(f"{settings.PUBLIC_URL}/in/key", b"{}", {}).status == 302
    assert len(server.requests) == 1
