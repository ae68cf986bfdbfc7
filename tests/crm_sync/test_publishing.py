"""From a draft to the live mapping, and what that means for leads that wait."""

import pytest

from crm_sync import publishing
from crm_sync.mapping import Rule
from crm_sync.models import Delivery, Destination, MappingVersion, Route
from tests.crm_sync.sending import (
    START,
    Clock,
    Crm,
    drain,
    install,
    make_destination,
    make_lead,
    make_offer,
    make_route,
)

pytestmark = pytest.mark.django_db

FIXED = [Rule("title", "constant", value="Someone")]


@pytest.fixture
def crm(monkeypatch: pytest.MonkeyPatch) -> Crm:
    return install(monkeypatch)


@pytest.fixture
def destination(crm: Crm) -> Destination:
    return make_destination()


@pytest.fixture
def route(destination: Destination) -> Route:
    return make_route(make_offer(), destination)


def hold(route: Route, reason: str = "mapping_broken") -> Delivery:
    """A lead of this route that is held, its mapping being broken."""
    route.mappings.published().update(broken="No field title.", broken_field="title")
    sending = Delivery(lead=make_lead(route.offer), route=route, destination=route.destination)
    sending.hold(reason)
    sending.save()
    return sending


def test_a_draft_starts_from_what_is_live(route: Route) -> None:
    publishing.publish_rules(route, FIXED, START)
    draft = publishing.draft_of(route)
    assert (draft.number, draft.as_rules()) == (3, tuple(FIXED))
    assert publishing.draft_of(route) == draft


def test_a_draft_changes_nothing_until_it_is_published(route: Route) -> None:
    draft = publishing.draft_of(route)
    draft.replace_rules(FIXED)
    assert route.live_mapping is not None
    assert route.live_mapping.as_rules() == ()
    publishing.publish(draft, START, note="Titles")
    assert (route.live_mapping, route.draft) == (draft, None)
    assert (draft.published_at, draft.note) == (START, "Titles")


def test_what_is_live_already_is_not_published_again(route: Route) -> None:
    assert publishing.publish_rules(route, FIXED, START)
    assert not publishing.publish_rules(route, FIXED, START)
    assert MappingVersion.objects.filter(route=route).count() == 2


def test_older_versions_stay_as_they_were(route: Route) -> None:
    first = route.live_mapping
    publishing.publish_rules(route, FIXED, START)
    assert first is not None
    first.refresh_from_db()
    assert (first.state, first.as_rules()) == ("published", ())


def test_the_next_push_goes_by_the_new_mapping(route: Route, destination: Destination, crm: Crm) -> None:
    sending = hold(route)
    assert publishing.publish_rules(route, FIXED, START)
    drain(destination, Clock())
    sending.refresh_from_db()
    assert sending.state == "delivered"
    assert crm.records[0]["title"] == "Someone"


def test_publishing_releases_what_the_broken_one_held_on_that_route_only(
    route: Route, destination: Destination
) -> None:
    held, approval = hold(route), hold(route, "approval")
    elsewhere = hold(make_route(make_offer(), destination))
    draft = publishing.draft_of(route)
    assert publishing.publish(draft, START) == 1
    for sending in (held, approval, elsewhere):
        sending.refresh_from_db()
    assert (held.state, held.due_at) == ("waiting", START)
    assert (approval.held_reason, elsewhere.held_reason) == ("approval", "mapping_broken")
    assert not route.mappings.exclude(broken="").exists()


def test_publishing_the_default_rules_releases_every_route_to_there(
    route: Route, destination: Destination
) -> None:
    held = [hold(route), hold(make_route(make_offer(), destination))]
    elsewhere = hold(make_route(make_offer(), make_destination()))
    assert publishing.publish(publishing.draft_of(destination), START) == 2
    for sending in (*held, elsewhere):
        sending.refresh_from_db()
    assert [sending.state for sending in (*held, elsewhere)] == ["waiting", "waiting", "held"]


def test_the_routes_rules_come_before_the_default_ones(
    route: Route, destination: Destination, crm: Crm
) -> None:
    publishing.publish_rules(
        destination, [Rule("title", "constant", value="Default"), Rule("note", "constant", value="x")], START
    )
    publishing.publish_rules(route, FIXED, START)
    Delivery.objects.create(lead=make_lead(route.offer), route=route, destination=destination, due_at=START)
    drain(destination, Clock())
    assert crm.records == [{"title": "Someone", "note": "x"}]
