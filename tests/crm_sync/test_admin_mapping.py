"""The page of a field mapping: rows are edited on it, looked at with real leads, and saved as a draft."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from crm_sync import connectors, mapping, publishing
from crm_sync.mapping import Rule
from crm_sync.mapping_owner import Owner
from crm_sync.models import Delivery, Destination, MappingVersion, Route
from crm_sync.spec import TargetField
from leads import ports
from leads.models import Lead
from tests.crm_sync import sending
from tests.crm_sync.mapping_screen import Screen, draft_rules, save
from tests.crm_sync.screens import Demo, html_of, may_only, press, url_of, words
from tests.staff import signed_in

pytestmark = pytest.mark.django_db

EVIL = "<script>alert(1)</script>"
TOPIC = Rule("topic", "constant", value="Hello")
EDITOR = ("crm_sync.view_route", "crm_sync.change_route", "crm_sync.change_fieldrule", "leads.view_lead")


@pytest.fixture(autouse=True)
def _no_bell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports.ports, "bell", [])


# Rows


@pytest.mark.parametrize(
    ("inputs", "rule"),
    [
        (
            {"target": "Email", "kind": "field", "source": "email", "transform": "lower"},
            Rule("email", "field", source="email", transform="lower"),
        ),
        ({"target": "topic", "kind": "constant", "value": " Hi "}, Rule("topic", "constant", value=" Hi ")),
        (
            {"target": "topic", "kind": "template", "template": "{{ company }}\r\n{{ action }}"},
            Rule("topic", "template", template="{{ company }}\n{{ action }}"),
        ),
        (
            {
                "target": "Country",
                "kind": "lookup",
                "source": "country_code",
                "table_key": ["US", "DE", ""],
                "table_value": ["United States", "Germany", ""],
                "fallback": "Elsewhere",
                "when": "action = PLT, INS",
            },
            Rule(
                "country",
                "lookup",
                source="country_code",
                table={"US": "United States", "DE": "Germany"},
                fallback="Elsewhere",
                when={"action": ("PLT", "INS")},
            ),
        ),
        ({"target": "Phone", "kind": "omit"}, Rule("phone", "omit")),
        (
            {"target": "Company", "kind": "field", "source": "campaign.utm_source", "keep_empty": "on"},
            Rule("company", "field", source="campaign.utm_source", keep_empty=True),
        ),
    ],
)
def test_every_kind_of_row_is_saved_and_shown_again(inputs: dict[str, Any], rule: Rule) -> None:
    route = Demo().route
    assert save(route, inputs).status_code == 302
    assert draft_rules(route) == (rule,)
    # Saved once more as the page shows it, nothing is lost on the way.
    assert Screen(route).send("Save draft").status_code == 302
    assert draft_rules(route) == (rule,)


def test_a_bad_row_is_refused_kept_and_told_apart() -> None:
    route = Demo().route
    page = Screen(route).add(target="Phone", kind="omit")
    page = page.add(target="nonsense", kind="constant", value="mine").press("Save draft")
    assert page.errors() == [set(), {"target"}]
    assert "The CRM has no field “nonsense”" in page.text
    assert page.html.count('class="errorlist"') == 1
    assert page.row(1)["value"] == ["mine"]
    assert route.draft is None


@pytest.mark.parametrize(
    ("inputs", "marked"),
    [
        ({"target": "nonsense", "kind": "omit"}, "target"),
        ({"target": "topic", "kind": "constant", "value": "x" * 301}, "value"),
        ({"target": "topic", "kind": "template", "template": "{{ nonsense }}"}, "template"),
        ({"target": "country", "kind": "lookup", "source": "country", "table_paste": "x"}, "table"),
    ],
)
def test_what_the_crm_or_the_language_refuses_is_marked(inputs: dict[str, str], marked: str) -> None:
    page = Screen(Demo().route).add(**inputs).press("Save draft")
    assert page.errors() == [{marked}]


def test_rows_that_were_added_and_left_empty_are_no_rows() -> None:
    route = Demo().route
    page = Screen(route).add(target="Phone", kind="omit").press("Add field").press("Add field")
    assert (page.count, page.errors()) == (3, [set(), set(), set()])
    page.send("Save draft")
    assert draft_rules(route) == (Rule("phone", "omit"),)


def test_a_new_row_that_is_only_begun_is_not_wrong_yet() -> None:
    page = Screen(Demo().route).add(source="email").press("Preview")
    assert page.errors() == [set()]
    assert "errorlist" not in page.html
    assert page.press("Save draft").errors() == [{"target"}]


@pytest.mark.parametrize(
    "button",
    [
        ("_add", "1"),
        ("_remove", "0"),
        ("_up", "1"),
        ("_down", "0"),
        ("_override", "email"),
        ("_leave_out", "email"),
        ("_preview", "1"),
        ("_lead", "x"),
    ],
)
def test_a_button_that_changes_the_page_changes_nothing_that_is_stored(button: tuple[str, str]) -> None:
    demo = Demo(rules=[TOPIC, Rule("topic", "omit", when={"action": ("PLT",)})])
    demo.lead()
    before = MappingVersion.objects.count()
    Screen(demo.route).press(*button)
    assert (MappingVersion.objects.count(), demo.route.draft) == (before, None)
    assert demo.route.live_mapping.as_rules()[0] == TOPIC


@pytest.mark.parametrize("button", ["_remove", "_up", "_down"])
@pytest.mark.parametrize("number", ["", "x", "-1", "99", "9" * 5000])
def test_a_row_that_is_not_there_is_not_touched(button: str, number: str) -> None:
    page = Screen(Demo(rules=[TOPIC]).route).press(button, number)
    assert (page.count, page.row(0)["value"]) == (1, ["Hello"])


def test_rows_of_one_field_are_moved_and_only_these_can_be() -> None:
    first, second = Rule("topic", "omit", when={"action": ("PLT",)}), TOPIC
    route = Demo(rules=[first, Rule("email", "omit"), second]).route
    page = Screen(route)
    assert page.html.count('name="_up"') == 2
    page = page.press("_up", "1")
    page.send("Save draft")
    assert draft_rules(route) == (second, first, Rule("email", "omit"))


def test_a_row_is_removed() -> None:
    route = Demo(rules=[TOPIC, Rule("email", "omit")]).route
    Screen(route).press("_remove", "0").send("Save draft")
    assert draft_rules(route) == (Rule("email", "omit"),)


def test_leads_of_one_name_are_told_apart_by_time_and_company_or_offer() -> None:
    demo = Demo()
    for hour, company in ((9, "Fabrikam"), (10, "Litware")):
        at = datetime(2026, 11, 27, hour, tzinfo=UTC)
        demo.lead(first_name="Ana", last_name="Silva", company=company, received_at=at)
    html = Screen(demo.route).html
    for label in ("Ana Silva · 2026-11-27 10:00 · Litware", "Ana Silva · 2026-11-27 09:00 · Fabrikam"):
        assert f">{label}</option>" in html
    html = Screen(demo.route.destination).html
    assert f">Ana Silva · 2026-11-27 10:00 · {demo.offer.title}</option>" in html


def test_links_to_a_row_find_it_however_many_there_are_of_its_field() -> None:
    rules = [Rule("topic", "omit", when={"action": ("PLT",)}), TOPIC]
    page = Screen(Demo(rules=rules).route)
    assert page.inputs.ids.count("field-topic") == 1
    assert len(page.inputs.ids) == len(set(page.inputs.ids))


def test_sources_are_offered_by_label_with_what_a_recent_lead_brought() -> None:
    demo = Demo()
    demo.lead(campaign={"utm_source": "spring"}, extra={"Notes": "x"}, company="Fabrikam")
    html = Screen(demo.route).press("Add field").html
    for option in (
        '<option value="company">Company: Fabrikam</option>',
        '<option value="campaign.utm_source">campaign.utm_source: spring</option>',
        '<option value="extra.Notes">extra.Notes: x</option>',
    ):
        assert option in html
    assert set(mapping.LEAD_VALUES) <= {part.split('"')[0] for part in html.split('<option value="')}


def test_a_source_that_no_lead_brings_any_more_stays_chosen() -> None:
    page = Screen(Demo(rules=[Rule("topic", "field", source="extra.Old")]).route)
    assert page.row(0)["source"] == ["extra.Old"]


def test_a_row_whose_field_is_gone_stays_and_says_so() -> None:
    route = Demo(rules=[Rule("gone", "field", source="email")]).route
    page = Screen(route)
    assert page.row(0)["target"] == ["gone"]
    assert "The CRM has no field “gone”" in page.text
    assert "gone" in Screen(route, "dave").text


def test_a_crm_that_takes_any_field_takes_any_name_and_every_value() -> None:
    route = sending.make_route(sending.make_offer(), sending.make_destination("webhook"))
    save(route, {"target": "my.own", "kind": "constant", "value": "x"})
    assert draft_rules(route) == (Rule("my.own", "constant", value="x"),)
    save(route, {"target": "", "kind": "field", "source": "*"})
    assert draft_rules(route)[1] == Rule("*", "field", source="*")
    assert Screen(route).row(1)["target"] == ["Every field"]


@pytest.fixture
def rated(monkeypatch: pytest.MonkeyPatch) -> Destination:
    """A CRM with a field that has choices."""
    rating = TargetField("rating", "Rating", "choice", choices=(("1", "Hot"), ("2", "Cold")))
    size = TargetField("size", "Size", "number", max_length=3)
    name = TargetField("name", "Name", required=True, max_length=10)
    sending.install(monkeypatch, fields=(rating, size, name))
    return sending.make_destination("scripted")


def test_a_choice_is_picked_by_its_label_and_sent_as_the_crm_has_it(rated: Destination) -> None:
    route = sending.make_route(sending.make_offer(), rated)
    save(route, {"target": "Rating", "kind": "constant", "value": "Hot"})
    assert draft_rules(route) == (Rule("rating", "constant", value="1"),)
    page = Screen(route)
    assert page.row(0)["value"] == ["Hot"]
    assert '<option value="Cold">2</option>' in page.html


def test_the_facts_of_a_field_stand_beside_it(rated: Destination) -> None:
    route = sending.make_route(sending.make_offer(), rated, [Rule("name", "field", source="company")])
    assert "name · text · required · 10 characters" in Screen(route).text


# What a person should know before it is saved


def test_what_the_crm_would_cut_or_refuse_is_said_at_the_row(rated: Destination) -> None:
    route = sending.make_route(sending.make_offer(), rated)
    for number in range(6):
        sending.make_lead(route.offer, company=f"A company with a name {number}", country="FR")
    page = Screen(route).add(target="Name", kind="field", source="company")
    page = page.add(target="Rating", kind="field", source="country").add(
        target="Size", kind="field", source="phone"
    )
    text = page.press("Preview").text
    assert "23 characters; the CRM allows 10: it is cut." in text
    assert "“FR” is none of the choices of “Rating”." in text
    assert "“Size” takes a number: choose a fixed value or a value list." in text
    assert "None of the last 6 leads brought “Phone”." in text


def test_a_required_field_that_nothing_fills_is_named(rated: Destination) -> None:
    route = sending.make_route(sending.make_offer(), rated)
    assert "Required by the CRM and not mapped: Name." in Screen(route).text
    page = Screen(route).add(target="Name", kind="field", source="company").press("Preview")
    assert "Required and not mapped: none." in page.text


# Value lists


def test_a_value_list_begins_with_the_values_seen_so_far() -> None:
    demo = Demo()
    for code in ("US", "US", "DE"):
        demo.lead(country=code)
    page = Screen(demo.route).add(target="Country", kind="lookup", source="country").press("Preview")
    assert page.row(0)["table_key"] == ["US", "DE", ""]
    assert "2 leads" in page.text
    page = page.fill(0, table_value=["United States", "", ""]).press("Preview")
    assert page.row(0)["table_key"] == ["US", "DE", ""]
    assert "1 lead" in page.text, "what nobody translated is still told"
    page = page.fill(0, table_key=["US", "DE", "XX"]).press("Preview")
    assert page.row(0)["table_key"] == ["US", "XX", "DE", ""], (
        "what was typed stays, though it is half a line"
    )
    assert "Not in the value list: “DE”. They count as empty." in page.text
    page.fill(0, table_paste="DE\tGermany").send("Save draft")
    assert draft_rules(demo.route)[0].table == {"US": "United States", "DE": "Germany"}


# What is inherited


def test_inherited_rows_say_so_and_those_that_are_overridden_are_hidden() -> None:
    page = Screen(Demo(rules=[TOPIC]).route)
    assert page.html.count('<span class="badge">inherited</span>') == 11
    assert page.html.count('class="line inherited" hidden') == 1
    assert 'hidden id="field-topic-2"' in page.html
    assert (
        "suggested for Demo CRM"
        in Screen(sending.make_route(sending.make_offer(), sending.make_destination("demo"), None)).text
    )


def test_an_inherited_row_is_overridden_by_a_copy_of_it() -> None:
    route = Demo().route
    page = Screen(route).press("_override", "topic")
    assert page.row(0)["template"] == ["{{ offer_title }}: {{ full_name }}"]
    page.fill(0, template="{{ company }}").send("Save draft")
    assert draft_rules(route) == (Rule("topic", "template", template="{{ company }}"),)


def test_an_inherited_row_is_left_out() -> None:
    route = Demo().route
    Screen(route).press("_leave_out", "email").send("Save draft")
    assert draft_rules(route) == (Rule("email", "omit"),)


# Preview


def test_the_preview_shows_each_row_for_the_chosen_lead_and_sends_nothing() -> None:
    demo = Demo()
    demo.lead(first_name="Old")
    demo.clock.pass_(60)
    demo.lead(first_name="New")
    page = Screen(demo.route).add(target="First name", kind="template", template="Dear {{ first_name }}")
    page = page.press("Preview")
    assert "Dear New" in page.text
    assert "Contoso Backup: New Doe" in page.text
    assert "Nothing was sent." in page.text
    old = Lead.objects.get(first_name="Old")
    assert "Dear Old" in page.press("Preview", lead=str(old.pk)).text
    assert "Dear Old" in page.press("_lead", str(old.pk)).text
    assert not Delivery.objects.exists()
    assert demo.route.draft is None


def test_a_pasted_body_is_looked_at_and_stored_nowhere() -> None:
    demo = Demo()
    before = Lead.objects.count()
    body = '{"UserDetails": {"FirstName": "Pasted", "Email": "p@contoso.com"}, "ActionCode": "PLT"}'
    page = Screen(demo.route).press("Preview", body=body)
    assert "Contoso Backup: Pasted" in page.text
    assert "Exactly what Demo CRM would get for the pasted body" in page.text
    assert Lead.objects.count() == before
    assert "this is not JSON" in Screen(demo.route).press("Preview", body="nonsense").text


def test_the_row_that_would_fail_says_why() -> None:
    demo = Demo(rules=[Rule("topic", "template", template='{{ description | replace: "a", "bbbbbbbbbb" }}')])
    demo.lead(description="a" * 20_000)
    page = Screen(demo.route)
    assert "This lead would be refused or held" in page.text
    assert page.html.count('class="line own fails"') == 1


def test_without_a_lead_the_preview_says_so() -> None:
    assert "No lead yet. Paste a request body" in Screen(Demo().route).text


def test_who_may_not_see_leads_sees_none_of_their_values_anywhere() -> None:
    demo = Demo(rules=[Rule("company", "lookup", source="company", table={"a": "b"})])
    for number in range(6):
        demo.lead(company=f"Hidden {number}", extra={"Notes": "Hidden"})
    frank = may_only("frank", *(set(EDITOR) - {"leads.view_lead"}))
    page = Screen(demo.route, frank)
    assert "which your account may not see" in page.text
    hidden = page.press("Preview", body='{"Company": "Hidden too"}')
    assert "Hidden" not in page.html
    assert "Hidden" not in hidden.html.replace("&quot;Hidden too&quot;", "")
    assert "Hidden 5" in Screen(demo.route, "bob").html


# While somebody types


def test_a_script_is_answered_with_what_changes_alone_and_nothing_is_saved() -> None:
    demo = Demo()
    demo.lead()
    page = Screen(demo.route).add(target="Topic", kind="template", template="Hello {{ first_name }}")
    response = page.client.post(page.url, {**page.data, "_preview": "1"}, headers={"HX-Request": "true"})
    html = response.content.decode()
    assert "Hello Jane" in html
    assert 'id="row-0-cell"' in html
    assert "hx-swap-oob" in html
    for absent in ("<html", "<form", '<input type="text"', "<textarea", "csrfmiddlewaretoken"):
        assert absent not in html
    assert demo.route.draft is None


def test_a_script_is_sent_of_the_rows_only_what_the_page_does_not_show_yet() -> None:
    demo = Demo(rules=[TOPIC])
    demo.lead(country="US")
    page = Screen(demo.route).press("_override", "country").fill(1, kind="lookup")
    html = page.client.post(page.url, page.data, headers={"HX-Request": "true"}).content.decode()
    assert {"row-1-cell", "row-1-errors", "row-1-seen"} <= {*parts(html)}
    assert not {"row-0-cell", "row-1-facts"} & {*parts(html)}
    page.data["marks"] = [html.split('id="marks"')[1].split('value="')[1].split('"')[0]]
    html = page.fill(1, target="Topic").client.post(page.url, page.data, headers={"HX-Request": "true"})
    assert {"row-1-facts", "row-1-choices"} <= {*parts(html.content.decode())}
    assert "row-1-seen" not in parts(html.content.decode())


def parts(html: str) -> list[str]:
    return [part.split('"')[0] for part in html.split('id="')[1:]]


@pytest.mark.parametrize("button", ["_save", "_publish", "_overwrite", "_discard", "_add", "_remove"])
def test_a_script_that_sends_the_button_which_was_pressed_last_presses_nothing(button: str) -> None:
    demo = Demo(rules=[TOPIC])
    publishing.draft_of(demo.route).replace_rules([TOPIC])
    page = Screen(demo.route).fill(0, value="Typed")
    sent = {**page.data, button: "0", "_preview": "1", "marks": ""}
    response = page.client.post(page.url, sent, headers={"HX-Request": "true"})
    assert response.content.decode().count('-cell"') == 12, "a row of its own, and those that it inherits"
    assert draft_rules(demo.route) == (TOPIC,)


def test_a_script_fills_a_value_list_in_until_somebody_has_begun_to_translate() -> None:
    demo = Demo()
    demo.lead(country="US")
    page = Screen(demo.route).add(target="Country", kind="lookup", source="country")

    def asked() -> str:
        sent = {**page.data, "_preview": "1"}
        return page.client.post(page.url, sent, headers={"HX-Request": "true"}).content.decode()

    assert 'aria-label="To, for US"' in asked()
    page.fill(0, table_key=["US", ""], table_value=["", ""])
    assert 'aria-label="To, for US"' in asked()
    page.fill(0, table_value=["U", ""])
    assert "row-0-seen" not in asked(), "what is being typed is not replaced"


def test_every_part_that_a_script_replaces_is_on_the_page() -> None:
    demo = Demo(rules=[TOPIC])
    demo.lead()
    page = Screen(demo.route).press("Add field")
    response = page.client.post(page.url, {**page.data, "_preview": "1"}, headers={"HX-Request": "true"})
    parts = [part.split('"')[0] for part in response.content.decode().split('id="')[1:]]
    assert parts
    assert set(parts) <= set(page.inputs.ids)


# Two people


def test_the_second_is_told_in_words_and_nothing_is_overwritten() -> None:
    route = Demo().route
    page = Screen(route).add(target="Phone", kind="omit")
    save(route, {"target": "Email", "kind": "omit"}, who="erin")
    told = page.press("Save draft")
    assert "erin saved this mapping while you were editing." in told.text
    assert "Row 1 added: “Phone” is left out" in told.text
    assert "Row 1 removed: “Email”" in told.text
    assert [rule.target for rule in draft_rules(route)] == ["email"]
    assert told.row(0)["target"] == ["Phone"], "the second one's rows are still there"
    again = told.press("Save draft")
    assert "while you were editing" in again.text, "asked for once more, it is still not overwritten"
    response = again.send("_overwrite", again.response.context["editing"].current)
    assert response.status_code == 302
    assert [rule.target for rule in draft_rules(route)] == ["phone"]


def test_what_a_third_one_saved_meanwhile_is_not_overwritten_either() -> None:
    route = Demo().route
    page = Screen(route).add(target="Phone", kind="omit")
    save(route, {"target": "Email", "kind": "omit"}, who="erin")
    told = page.press("Save draft")
    save(route, {"target": "Company", "kind": "omit"}, who="alice")
    assert "while you were editing" in told.press("_overwrite", told.response.context["editing"].current).text
    assert [rule.target for rule in draft_rules(route)] == ["email", "company"]


def test_publishing_what_somebody_else_changed_is_a_conflict_too() -> None:
    route = Demo().route
    page = Screen(route).add(target="Phone", kind="omit")
    save(route, {"target": "Email", "kind": "omit"}, who="erin")
    assert "while you were editing" in page.press("Publish").text
    assert route.live_mapping.as_rules() == ()


# Drafts


def test_saving_a_draft_changes_nothing_that_is_live() -> None:
    demo = Demo()
    save(demo.route, {"target": "Email", "kind": "omit"})
    assert demo.route.live_mapping.as_rules() == ()
    assert "Draft of v2 · live v1" in Screen(demo.route, "dave").text


def test_saving_what_is_live_already_makes_no_draft() -> None:
    route = Demo(rules=[Rule("email", "omit"), TOPIC]).route
    assert Screen(route).send("Save draft").status_code == 302
    assert route.draft is None


def test_a_draft_can_be_thrown_away() -> None:
    demo = Demo()
    save(demo.route, {"target": "Email", "kind": "omit"})
    assert "thrown away" in press(signed_in("bob"), url_of(demo.route, "mapping"), _discard="1")
    assert demo.route.draft is None
    assert demo.route.live_mapping is not None


# Who may


def test_readers_see_the_rows_in_words_and_no_buttons() -> None:
    demo = Demo(rules=[Rule("topic", "lookup", source="action", table={"PLT": "Contact"}, fallback="x")])
    demo.lead(action="PLT")
    page = Screen(demo.route, "dave")
    assert "Topic required Value list Action code: PLT = Contact If empty: “x”. Contact" in page.text
    assert page.data == {}
    for absent in ('name="_save"', 'name="_override"', "Publish…", "Throw the draft away", "Copy from"):
        assert absent not in page.html


@pytest.mark.parametrize("name", ["charlie", "frank"])
def test_who_may_not_see_a_route_sees_no_rows(name: str) -> None:
    assert signed_in(name).get(url_of(Demo().route, "mapping")).status_code == 403


@pytest.mark.parametrize("missing", ["crm_sync.change_route", "crm_sync.change_fieldrule"])
@pytest.mark.parametrize("button", ["_save", "_preview", "_add", "_discard", "_overwrite"])
def test_editing_takes_both_permissions(missing: str, button: str) -> None:
    demo = Demo(rules=[TOPIC])
    publishing.draft_of(demo.route)
    data = Screen(demo.route).data
    client = may_only("frank", *(set(EDITOR) - {missing}))
    assert "You may look at this mapping" in Screen(demo.route, client).text
    assert client.post(url_of(demo.route, "mapping"), {**data, button: "1"}).status_code == 403
    assert demo.route.draft is not None


def test_publishing_needs_its_permission_and_saves_nothing_without() -> None:
    demo = Demo()
    client = may_only("frank", *EDITOR)
    page = Screen(demo.route, client).add(target="Email", kind="omit")
    assert 'name="_publish"' not in page.html
    assert page.send("Publish").status_code == 403
    assert demo.route.draft is None


def test_the_rows_of_a_connection_are_changed_by_who_may_change_connections() -> None:
    destination = Demo().destination
    url = url_of(destination, "mapping")
    assert "You may look at this mapping" in Screen(destination, "dave").text
    assert signed_in("dave").post(url, {"_save": "1", "rows": "0"}).status_code == 403
    for name in ("bob", "erin"):
        assert "Save draft" in Screen(destination, name).text
    assert may_only("frank", "crm_sync.view_route").get(url).status_code == 403


# Many rows


def many(number: int) -> tuple[Route, list[Rule]]:
    offer = sending.make_offer()
    for each in range(5):
        sending.make_lead(offer, campaign={"utm_source": f"spring {each}"})
    rules = [Rule(f"field_{each}", "field", source="company") for each in range(number)]
    return sending.make_route(offer, sending.make_destination("webhook"), rules), rules


def test_two_hundred_rows_are_shown_and_saved() -> None:
    route, rules = many(200)
    page = Screen(route)
    assert page.count == 200
    page.fill(199, source="email").send("Save draft")
    assert draft_rules(route) == (*rules[:199], Rule("field_199", "field", source="email"))


def test_more_rows_ask_no_more_questions(client: Client) -> None:
    few, many_more = many(2)[0], many(60)[0]
    bob = signed_in("bob")
    cost = []
    for route in (few, few, many_more):
        with CaptureQueriesContext(connection) as queries:
            html_of(bob, url_of(route, "mapping"))
        cost.append(len(queries))
    assert cost[2] == cost[1]


def test_more_rows_than_the_page_holds_are_refused_and_none_is_lost() -> None:
    route, rules = many(3)
    data = Screen(route).data | {"rows": "401", "_save": "1"}
    assert signed_in("bob").post(url_of(route, "mapping"), data).status_code == 400
    assert route.live_mapping.as_rules() == tuple(rules)
    assert route.draft is None


# Hostile text


def test_hostile_text_is_text() -> None:
    rule = Rule(
        "topic",
        "lookup",
        source=f"campaign.{EVIL}",
        table={EVIL: EVIL},
        fallback=EVIL,
        when={f"extra.{EVIL}": (EVIL,)},
    )
    demo = Demo(rules=[rule, Rule("email", "template", template=EVIL)])
    publishing.publish_rules(demo.destination, [rule, Rule("phone", "constant", value=EVIL)], demo.clock.now)
    publishing.draft_of(demo.route).replace_rules([Rule("company", "constant", value=EVIL)])
    demo.lead(first_name=EVIL, last_name=EVIL, campaign={EVIL: EVIL}, extra={EVIL: EVIL})
    MappingVersion.objects.update(broken=EVIL, broken_field=EVIL, doubt=EVIL, doubt_field=EVIL, note=EVIL)
    Destination.objects.update(name=EVIL)
    for who in ("alice", "dave"):
        for owner in (demo.route, demo.destination):
            for page in (
                "mapping",
                *(f"mapping_{name}" for name in ("history", "copy", "import", "flow", "publish")),
            ):
                response = signed_in(who).get(Owner(owner).url(page), follow=True)
                assert EVIL not in response.content.decode(), (who, owner, page)
    page = Screen(demo.route)
    response = page.client.post(
        page.url, {**page.data, "_preview": "1", "body": EVIL}, headers={"HX-Request": "true"}
    )
    assert EVIL not in response.content.decode()


def test_the_kinds_of_crm_that_there_are_all_have_a_page() -> None:
    offer = sending.make_offer()
    sending.make_lead(offer)
    for connector in connectors.all():
        route = sending.make_route(offer, sending.make_destination(connector.spec.slug), None)
        text = words(Screen(route).html)
        assert "Nothing is sent until this is published." in text


def test_a_connection_looks_at_the_newest_leads_of_its_offers_each_once_and_at_tests_last() -> None:
    demo, other = Demo(), sending.make_offer()
    sending.make_route(other, demo.destination)
    sending.make_lead(sending.make_offer())  # sent nowhere
    made = [
        sending.make_lead(offer, received_at=sending.START + number * timedelta(minutes=1), is_test=is_test)
        for number, (offer, is_test) in enumerate(
            [(demo.offer, False), (other, False), (other, True), (demo.offer, False), (demo.offer, True)]
        )
    ]
    first, second, test, newest, newest_test = (lead.pk for lead in made)
    owner = Owner(demo.destination)
    assert [lead.pk for lead in owner.leads(9)] == [newest, second, first, newest_test, test]
    assert [lead.pk for lead in owner.leads(2)] == [newest, second]
    assert [lead.pk for lead in owner.real_leads(9)] == [newest, second, first]
    assert [lead.pk for lead in Owner(demo.route).leads(3)] == [newest, first, newest_test]
