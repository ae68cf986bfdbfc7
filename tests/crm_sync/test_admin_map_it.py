"""From an unknown field to its row in the field mapping: one click, for those who may change rows."""

import re
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from crm_sync import publishing
from crm_sync.mapping import Rule
from crm_sync.models import DemoRecord, Route
from leads import ports, unknown_keys
from leads.models import Lead
from tests.crm_sync.mapping_screen import Screen, confirm, draft_rules
from tests.crm_sync.screens import Demo, html_of, may_only, text_of, url_of
from tests.crm_sync.sending import drain, make_destination, make_route
from tests.staff import signed_in

pytestmark = pytest.mark.django_db

NOTES = Rule("description", "field", source="extra.Notes")


@pytest.fixture(autouse=True)
def _no_bell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports.ports, "bell", [])


def with_notes(demo: Demo, **extra: Any) -> Lead:
    lead = demo.lead(extra={"Notes": "after five"} | extra)
    unknown_keys.count([lead], timezone.now())
    return lead


def link_to(route: Route) -> str:
    return f"{url_of(route, 'mapping')}?map=extra.Notes"


def test_one_click_leads_to_a_new_row_that_takes_the_field_and_publishing_sends_it() -> None:
    demo = Demo()
    lead, bob = with_notes(demo), signed_in("bob")
    for page in (demo.offer, lead):
        assert f'href="{link_to(demo.route)}"' in html_of(bob, url_of(page))
    page = Screen(demo.route, bob, map="extra.Notes")
    assert page.row(0)["source"] == ["extra.Notes"]
    assert (page.row(0)["kind"], page.row(0)["target"]) == (["field"], [""])
    assert page.html.count(" autofocus") == 1
    asked = "Choose the CRM field that gets extra.Notes"
    assert asked in page.text
    assert page.errors() == [set()], "nothing is wrong before anything was typed"
    assert asked not in Screen(demo.route, bob).text
    page.fill(0, target="Description").send("Publish")
    confirm(demo.route, bob)
    assert demo.route.live_mapping is not None
    assert demo.route.live_mapping.as_rules() == (NOTES,)
    delivery = demo.owe()
    delivery.lead.extra = {"Notes": "call at nine"}
    delivery.lead.save()
    drain(demo.destination, demo.clock)
    assert DemoRecord.objects.get().record["description"] == "call at nine"


def test_looking_at_the_prefilled_row_saves_nothing() -> None:
    demo = Demo()
    with_notes(demo)
    page = Screen(demo.route, map="extra.Notes")
    page.press("Preview")
    assert draft_rules(demo.route) == ()


def test_a_row_without_its_crm_field_is_refused_and_kept_on_screen() -> None:
    demo = Demo()
    page = Screen(demo.route, map="extra.Notes").press("Publish")
    assert page.errors() == [{"target"}]
    assert page.row(0)["source"] == ["extra.Notes"]
    assert draft_rules(demo.route) == ()


@pytest.mark.parametrize("state", ["draft", "live"])
@pytest.mark.parametrize(
    "rule",
    [
        NOTES,
        Rule("topic", "template", template='{{ offer_title }}{% if extra["Notes"] %}!{% endif %}'),
        Rule("topic", "template", template="{{ company | default: extra.Notes }}"),
        Rule("topic", "lookup", source="extra.Notes", table={"a": "b"}),
        Rule("topic", "constant", value="x", when={"extra.Notes": ("a",)}),
    ],
)
def test_a_field_that_a_mapping_names_is_mapped_and_no_news(rule: Rule, state: str) -> None:
    demo = Demo()
    with_notes(demo)
    draft = publishing.draft_of(demo.route)
    draft.replace_rules([rule])
    if state == "live":
        publishing.publish(draft, timezone.now())
    bob = signed_in("bob")
    assert "we do not know for" not in text_of(bob, "/admin/")
    page = html_of(bob, url_of(demo.offer))
    assert "<h3>Mapped</h3>" in page
    assert "map=extra.Notes" not in page


def test_a_mapping_that_is_history_maps_nothing() -> None:
    demo = Demo([NOTES])
    with_notes(demo)
    publishing.publish_rules(demo.route, [], timezone.now())
    assert "we do not know for Contoso Backup: Notes (1 lead)." in text_of(signed_in("bob"), "/admin/")


def test_what_the_connection_maps_for_every_offer_is_mapped() -> None:
    demo = Demo()
    with_notes(demo)
    publishing.publish_rules(demo.destination, [NOTES], timezone.now())
    assert "we do not know for" not in text_of(signed_in("bob"), "/admin/")


def test_a_mapping_that_sends_every_value_names_none() -> None:
    demo = Demo()
    make_route(demo.offer, make_destination("webhook", settings={"url": "https://example.com/"}))
    with_notes(demo)
    assert "we do not know for" in text_of(signed_in("bob"), "/admin/")


def test_with_several_crms_each_that_does_not_map_the_field_is_offered() -> None:
    demo = Demo([NOTES])
    other = make_route(demo.offer, make_destination("demo", name="Second <CRM>"))
    with_notes(demo)
    page = html_of(signed_in("bob"), url_of(demo.offer))
    assert "Map it to Second &lt;CRM&gt;" in page
    assert link_to(other) in page
    assert link_to(demo.route) not in page


def test_without_a_crm_the_next_step_is_to_connect_one() -> None:
    demo = Demo()
    with_notes(demo)
    demo.route.delete()
    page = html_of(signed_in("bob"), url_of(demo.offer))
    assert "Connect a CRM to map it" in page
    assert f"/admin/crm_sync/route/add/?offer={demo.offer.pk}" in page


@pytest.mark.parametrize("name", ["charlie", "dave"])
def test_who_may_not_change_rows_gets_no_link(name: str) -> None:
    demo = Demo()
    lead = with_notes(demo)
    for page in (demo.offer, lead):
        html = html_of(signed_in(name), url_of(page))
        assert "Notes" in html
        assert "map=extra" not in html
        assert "Connect a CRM" not in html


@pytest.mark.parametrize("missing", ["crm_sync.change_route", "crm_sync.change_fieldrule"])
def test_the_link_takes_both_permissions(missing: str) -> None:
    demo = Demo()
    lead = with_notes(demo)
    both = {"crm_sync.change_route", "crm_sync.change_fieldrule"}
    frank = may_only("frank", "leads.view_lead", *(both - {missing}))
    assert "map=extra" not in html_of(frank, url_of(lead))
    assert "map=extra" in html_of(may_only("frank", missing), url_of(lead))


@pytest.mark.parametrize("name", ["Notes ", "x" * 195, ""])
def test_a_name_that_a_row_cannot_hold_gets_no_link(name: str) -> None:
    demo = Demo()
    lead = demo.lead(extra={name: "x"})
    assert "?map=" not in html_of(signed_in("bob"), url_of(lead))


@pytest.mark.parametrize("name", ["", "nonsense", "extra.", "x" * 5_000, "extra." + "x" * 195, "<script>"])
def test_an_address_that_names_no_lead_value_fills_no_row(name: str) -> None:
    demo = Demo()
    page = Screen(demo.route, map=name)
    assert page.count == 0
    assert "<script>" not in page.html


def test_a_name_with_anything_in_it_finds_its_row() -> None:
    demo = Demo()
    evil = 'a&b=c#d <b>"x"</b>'
    lead = demo.lead(extra={evil: "x"})
    page = html_of(signed_in("bob"), url_of(lead))
    assert "<b>" not in page
    url = next(href for href in re.findall('href="([^"]*)"', page) if "?map=" in href)
    response = signed_in("bob").get(unescape(url))
    assert Screen(demo.route, response=response).row(0)["source"] == [f"extra.{evil}"]


def test_many_fields_cost_what_one_does() -> None:
    demo, bob = Demo(), signed_in("bob")

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            bob.get(url_of(demo.offer))
        return len(queries)

    with_notes(demo)
    cost()
    few = cost()
    with_notes(demo, **{f"Field{number}": 1 for number in range(30)})
    assert cost() == few
