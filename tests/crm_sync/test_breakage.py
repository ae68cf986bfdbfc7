"""A CRM renames, removes or newly requires a field: the mapping is doubted before a lead fails, and no lead is held."""

import itertools
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from crm_sync import catalogue, connectors, health, publishing, pushing
from crm_sync.connectors.base import Connector, Stopped
from crm_sync.engine.crew import Crew
from crm_sync.mapping import Rule
from crm_sync.models import Delivery, Destination, DestinationState, MappingVersion, Route
from crm_sync.outcomes import Rejected, RetryLater
from crm_sync.spec import TargetField
from tests.crm_sync.mapping_screen import Screen
from tests.crm_sync.screens import html_of, text_of, url_of, words
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
from tests.staff import signed_in

pytestmark = pytest.mark.django_db

BUDGET, NAME = TargetField("budget", "Budget"), TargetField("last_name", "Last name", required=True)
RULES = [Rule("budget", "constant", value="1"), Rule("last_name", "field", source="last_name")]
HOME = "/admin/"
_moments = itertools.count(1)


class Telling:
    """What the scripted CRM tells of its fields."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fields: Any = (BUDGET, NAME)
        self.asked = 0
        self.error: Exception | None = None
        telling = self

        def live_fields(self: Connector) -> Any:
            telling.asked += 1
            if telling.error:
                raise telling.error
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
    made = make_destination(name="CRM")
    now_has(made, *telling.fields)
    return made


@pytest.fixture
def route(destination: Destination) -> Route:
    return make_route(make_offer(title="Vault"), destination, RULES)


def now_has(destination: Destination, *fields: TargetField) -> None:
    catalogue.store(destination, fields, START + timedelta(seconds=next(_moments)))


def doubt_of(owner: Route | Destination) -> tuple[str, str]:
    live = owner.live_mapping
    assert live is not None
    return live.doubt_field, live.doubt


# What is doubted


def test_a_mapping_that_fits_is_not_doubted(route: Route, destination: Destination) -> None:
    assert doubt_of(route) == ("", "")
    now_has(destination, BUDGET, NAME)
    assert doubt_of(route) == ("", "")


def test_a_field_that_is_gone_is_named_with_what_may_stand_for_it_now(
    route: Route, destination: Destination
) -> None:
    now_has(destination, TargetField("budgets", "Budgets"), NAME)
    assert doubt_of(route) == (
        "budget",
        "The CRM no longer has the field “budget”; did you mean “budgets”?",
    )


def test_a_field_that_is_newly_required_is_named(route: Route, destination: Destination) -> None:
    now_has(destination, BUDGET, NAME, TargetField("source", "Lead source", required=True))
    assert doubt_of(route) == ("source", "The CRM requires “Lead source”, and no row fills it.")


def test_all_that_no_longer_fits_is_said(route: Route, destination: Destination) -> None:
    now_has(destination, TargetField("x", "X", required=True))
    field, doubt = doubt_of(route)
    assert field == "budget"
    assert doubt.count("The CRM") == 3


@pytest.mark.parametrize(
    "rule", [Rule("budget", "omit"), Rule("*", "field", source="*"), Rule("last_name", "constant", value="x")]
)
def test_a_row_that_fills_no_field_that_is_gone_is_not_doubted(destination: Destination, rule: Rule) -> None:
    rules = [rule, Rule("last_name", "field", source="last_name")]
    route = make_route(make_offer(), destination, rules)
    now_has(destination, NAME)
    assert doubt_of(route) == ("", "")


def test_an_inherited_row_is_doubted_where_it_stands_and_where_it_counts(destination: Destination) -> None:
    publishing.publish_rules(destination, RULES, START)
    inherits = make_route(make_offer(), destination)
    overrides = make_route(make_offer(), destination, [Rule("budget", "omit")])
    sometimes = make_route(make_offer(), destination, [Rule("budget", "omit", when={"action": ("PLT",)})])
    now_has(destination, NAME)
    assert [doubt_of(owner)[0] for owner in (destination, inherits, overrides, sometimes)] == [
        "budget",
        "budget",
        "",
        "budget",
    ]


def test_a_draft_and_an_earlier_version_are_not_doubted(route: Route, destination: Destination) -> None:
    publishing.publish_rules(route, RULES[1:], START)
    publishing.draft_of(route).replace_rules(RULES)
    now_has(destination, NAME)
    assert not MappingVersion.objects.exclude(doubt="").exists()


def test_only_what_the_crm_told_counts() -> None:
    destination = make_destination("demo")
    route = make_route(make_offer(), destination, [Rule("gone", "constant", value="x")])
    publishing.publish_rules(route, [Rule("gone", "constant", value="y")], START)
    assert doubt_of(route) == ("", "")


# What takes it back


def test_a_field_that_is_there_again_ends_the_doubt(route: Route, destination: Destination) -> None:
    now_has(destination, NAME)
    assert doubt_of(route)[0] == "budget"
    now_has(destination, NAME, BUDGET)
    assert doubt_of(route) == ("", "")


def test_a_new_version_that_fits_ends_it_and_one_that_does_not_is_doubted_at_once(
    route: Route, destination: Destination
) -> None:
    now_has(destination, NAME)
    publishing.publish_rules(route, [*RULES, Rule("last_name", "omit", when={"action": ("x",)})], START)
    assert doubt_of(route)[0] == "budget"
    publishing.publish_rules(route, RULES[1:], START)
    assert doubt_of(route) == ("", "")


def test_mending_the_connections_row_ends_the_doubt_of_all_who_inherit_it(destination: Destination) -> None:
    publishing.publish_rules(destination, RULES, START)
    route = make_route(make_offer(), destination)
    now_has(destination, NAME)
    assert doubt_of(route)[0] == "budget"
    publishing.publish_rules(destination, RULES[1:], START)
    assert (doubt_of(route), doubt_of(destination)) == (("", ""), ("", ""))


# Leads go out


def test_a_doubt_holds_no_lead(route: Route, destination: Destination, crm: Crm) -> None:
    now_has(destination, NAME)
    sent = Delivery.objects.create(
        lead=make_lead(route.offer), route=route, destination=destination, due_at=START
    )
    drain(destination, Clock())
    sent.refresh_from_db()
    assert sent.state == "delivered"
    assert crm.records[0]["budget"] == "1"


# When the fields are read


def test_a_connection_test_finds_it(route: Route, destination: Destination, telling: Telling) -> None:
    telling.fields = (NAME,)
    health.check(destination, at=START + timedelta(hours=1))
    assert doubt_of(route)[0] == "budget"


def test_the_worker_finds_it_by_itself_within_a_day_and_asks_no_more_often(
    route: Route, telling: Telling
) -> None:
    telling.fields = (NAME,)
    pushing.read_fields_again(START + timedelta(hours=23))
    assert (telling.asked, doubt_of(route)) == (0, ("", ""))
    pushing.read_fields_again(START + timedelta(hours=25))
    assert (telling.asked, doubt_of(route)[0]) == (1, "budget")
    pushing.read_fields_again(START + timedelta(hours=26))
    assert telling.asked == 1


def test_the_worker_does_it_among_its_hourly_chores(
    route: Route, telling: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    telling.fields = (NAME,)
    monkeypatch.setattr("crm_sync.engine.crew.clock.now", lambda: START + timedelta(days=2))
    crew = Crew("worker")
    crew.work_jobs()
    crew.work_jobs()
    assert telling.asked == 1
    assert doubt_of(route)[0] == "budget"


def test_after_a_refused_field_the_worker_asks_although_nothing_is_pushed(
    route: Route, destination: Destination, crm: Crm, telling: Telling
) -> None:
    crm.always = Rejected("No such field.", field="budget")
    telling.fields = (NAME,)
    Delivery.objects.create(lead=make_lead(route.offer), route=route, destination=destination, due_at=START)
    drain(destination, Clock())
    pushing.read_fields_again(START + timedelta(hours=1))
    assert (telling.asked, doubt_of(route)[0]) == (1, "budget")


@pytest.mark.parametrize("error", [Stopped(RetryLater("No answer.")), RuntimeError("a bug")])
def test_a_crm_that_does_not_tell_is_silent_and_stops_no_other(
    destination: Destination, telling: Telling, error: Exception
) -> None:
    make_destination(name="Other")
    telling.error = error
    pushing.read_fields_again(START + timedelta(days=2))
    assert telling.asked == 2
    assert DestinationState.objects.exclude(state="working").count() == 0


@pytest.mark.parametrize("state", ["stopped", "paused"])
def test_a_crm_that_is_left_alone_is_not_asked(
    destination: Destination, telling: Telling, state: str
) -> None:
    DestinationState.objects.update(state=state)
    pushing.read_fields_again(START + timedelta(days=2))
    assert telling.asked == 0


# Where it is told


def test_it_is_told_on_home_the_offer_the_connection_the_route_and_the_editor_with_the_row(
    route: Route, destination: Destination
) -> None:
    said, row = "The CRM no longer has the field “budget”.", f"{url_of(route, 'mapping')}#field-budget"
    for page in (HOME, url_of(route.offer), url_of(destination), url_of(route), url_of(route, "mapping")):
        assert said not in text_of(signed_in("bob"), page)
    now_has(destination, NAME)
    for page in (HOME, url_of(route.offer), url_of(destination), url_of(route), url_of(route, "mapping")):
        assert said in text_of(signed_in("bob"), page), page
        assert f'href="{row}"' in html_of(signed_in("bob"), page), page
    assert "field-budget" in Screen(route).inputs.ids
    assert "no longer has" not in text_of(signed_in("charlie"), HOME)
    assert "Leads go out all the same" in text_of(signed_in("bob"), url_of(route))


def test_the_list_of_offers_says_where_each_sends_and_what_is_to_be_mended(
    route: Route, destination: Destination
) -> None:
    offers = "/admin/leads/offer/"
    assert "CRM" in text_of(signed_in("bob"), offers)
    make_route(make_offer(title="Backup"), destination, None)
    now_has(destination, NAME)
    html = html_of(signed_in("bob"), offers)
    assert "CRM field mapping no longer fits" in words(html)
    assert "CRM (not published)" in words(html)
    link = f"{url_of(route, 'row')}?field=budget"
    assert f'href="{link}"' in html
    assert signed_in("bob").get(link).url == f"{url_of(route, 'mapping')}#field-budget"
    MappingVersion.objects.filter(route=route).update(broken="No.", broken_field="budget")
    assert "CRM field mapping broken" in text_of(signed_in("bob"), offers)
    assert "field mapping" not in text_of(signed_in("charlie"), offers)


def test_more_offers_ask_no_more_questions(destination: Destination) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            html_of(signed_in("bob"), "/admin/leads/offer/")
        return len(asked)

    make_route(make_offer(), destination, RULES)
    queries()
    few = queries()
    for _ in range(5):
        make_route(make_offer(), destination, RULES)
    assert queries() == few


def test_a_row_that_every_offer_inherits_is_told_once_and_leads_to_the_connection(
    destination: Destination,
) -> None:
    publishing.publish_rules(destination, RULES, START)
    routes = [make_route(make_offer(), destination) for _ in range(3)]
    now_has(destination, NAME)
    html = html_of(signed_in("erin"), HOME)
    assert html.count("no longer has the field") == 1
    row = f"{url_of(destination, 'mapping')}#field-budget"
    assert f'href="{row}"' in html
    assert f'href="{row}"' in html_of(signed_in("erin"), url_of(routes[0]))
    assert "field-budget" in Screen(destination, "erin").inputs.ids


def test_what_several_offers_share_is_told_once(destination: Destination) -> None:
    for _ in range(3):
        make_route(make_offer(), destination, RULES)
    now_has(destination, NAME)
    assert "The field mapping of 3 offers to CRM no longer fits" in text_of(signed_in("bob"), HOME)


def test_more_doubts_ask_no_more_questions_on_home(destination: Destination) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            html_of(signed_in("bob"), HOME)
        # How long PostgreSQL may take over one is told it before and after: no question.
        return len([query for query in asked if query["sql"].startswith("SELECT")])

    for _ in range(2):
        make_route(make_offer(), destination, RULES)
    now_has(destination, NAME)
    queries()
    few = queries()
    for _ in range(10):
        make_route(make_offer(), destination, RULES)
    now_has(destination, NAME)
    assert queries() <= few + 20, "the questions about waiting leads are two queries each"


# From a lead that was refused


def test_a_refused_lead_leads_to_the_row_wherever_it_stands(destination: Destination) -> None:
    publishing.publish_rules(destination, RULES, START)
    own = make_route(make_offer(), destination, RULES)
    inherits = make_route(make_offer(), destination)
    client = signed_in("bob")
    for route, owner in ((own, own), (inherits, destination)):
        refused = Delivery.objects.create(
            lead=make_lead(route.offer),
            route=route,
            destination=destination,
            state="rejected",
            field="budget",
            reason="No such field.",
        )
        page = html_of(client, url_of(refused))
        link = f"{url_of(route, 'row')}?field=budget"
        assert f'href="{link}"' in page
        assert client.get(link).url == f"{url_of(owner, 'mapping')}#field-budget"
