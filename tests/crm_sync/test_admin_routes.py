"""The field mapping on screen: rows are edited as a draft, refused where they are wrong, published on purpose."""

from typing import Any

import pytest
from django.urls import reverse

from crm_sync import mapping, publishing
from crm_sync.mapping import Rule
from crm_sync.models import Delivery, MappingVersion, Route
from leads import ports
from leads.models import Lead
from tests.crm_sync import sending
from tests.crm_sync.screens import Demo, html_of, may_only, press, text_of, url_of
from tests.staff import signed_in

pytestmark = pytest.mark.django_db

ADD = "/admin/crm_sync/route/add/"
EVIL = "<script>alert(1)</script>"
TOPIC = Rule("topic", "constant", value="Hello")


@pytest.fixture(autouse=True)
def rings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    rung: list[str] = []
    monkeypatch.setattr(ports.ports, "bell", [lambda: rung.append("ring")])
    return rung


def inputs_of(client: Any, route: Route) -> dict[str, Any]:
    """What the browser would send if nothing was touched."""
    page = client.get(url_of(route))
    formset = page.context["inline_admin_formsets"][0].formset
    data: dict[str, Any] = {f"{formset.prefix}-SEEN": formset.seen}
    data |= {f"{formset.prefix}-{name}": field.value() for name, field in _fields(formset.management_form)}
    for form in formset.forms:
        data |= {f"{form.prefix}-{name}": field.value() for name, field in _fields(form)}
    data["enabled"] = "on" if route.enabled else ""
    return {name: value for name, value in data.items() if value is not None and value is not False}


def _fields(form: Any) -> list[tuple[str, Any]]:
    class Shown:
        def __init__(self, name: str) -> None:
            self.name = name

        def value(self) -> Any:
            return form.fields[self.name].prepare_value(form[self.name].value())

    return [(name, Shown(name)) for name in form.fields]


def row(number: int, **inputs: str) -> dict[str, str]:
    return {f"form-{number}-{name}": value for name, value in inputs.items()}


def save(route: Route, *rows: dict[str, str], who: str = "bob", button: str = "_save", **more: str) -> Any:
    client = signed_in(who)
    data = inputs_of(client, route) | {button: "on"} | more
    for given in rows:
        data |= given
    return client.post(url_of(route), data)


def errors_of(response: Any) -> list[dict[str, Any]]:
    assert response.status_code == 200, "the rows were taken"
    return [dict(form.errors) for form in response.context["inline_admin_formsets"][0].formset.forms]


def draft_rules(route: Route) -> tuple[Rule, ...]:
    draft = route.draft
    return draft.as_rules() if draft else ()


# Rows


@pytest.mark.parametrize(
    ("inputs", "rule"),
    [
        (
            {"target": "email", "kind": "field", "source": "email", "transform": "lower"},
            Rule("email", "field", source="email", transform="lower"),
        ),
        ({"target": "topic", "kind": "constant", "value": " Hi "}, Rule("topic", "constant", value=" Hi ")),
        (
            {"target": "topic", "kind": "template", "template": "{{ company }}\r\n{{ action }}"},
            Rule("topic", "template", template="{{ company }}\n{{ action }}"),
        ),
        (
            {
                "target": "country",
                "kind": "lookup",
                "source": "country_code",
                "table": "US = United States\r\n\r\nDE=Germany",
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
        ({"target": "phone", "kind": "omit"}, Rule("phone", "omit")),
        (
            {"target": "company", "kind": "field", "source": "campaign.utm_source", "keep_empty": "on"},
            Rule("company", "field", source="campaign.utm_source", keep_empty=True),
        ),
    ],
)
def test_every_kind_of_row_is_saved_and_shown_again(inputs: dict[str, str], rule: Rule) -> None:
    route = Demo().route
    assert save(route, row(0, **inputs)).status_code == 302
    assert draft_rules(route) == (rule,)
    # Saved once more as the page shows it, nothing is lost on the way.
    assert save(route).status_code == 302
    assert draft_rules(route) == (rule,)


def test_what_a_kind_does_not_use_is_cleared() -> None:
    route = Demo().route
    used = {"target": "topic", "kind": "constant", "value": "Hi"}
    save(route, row(0, **used, source="email", template="{{ nonsense", table="x", transform="lower"))
    errors = errors_of(save(route, row(0, **used, table="no equals sign")))
    assert set(errors[0]) == {"table"}
    save(route, row(0, **used, source="email", template="{{ nonsense", transform="lower"))
    assert draft_rules(route) == (Rule("topic", "constant", value="Hi"),)


@pytest.mark.parametrize(
    ("inputs", "marked"),
    [
        ({"target": "nonsense", "kind": "omit"}, "target"),
        ({"target": "", "kind": "constant", "value": "x"}, "target"),
        ({"target": "email", "kind": "nonsense"}, "kind"),
        ({"target": "email", "kind": "field", "source": "nonsense"}, "source"),
        ({"target": "email", "kind": "field"}, "source"),
        ({"target": "email", "kind": "field", "source": "email", "transform": "nonsense"}, "transform"),
        ({"target": "email", "kind": "template", "template": "{{ nonsense }}"}, "template"),
        ({"target": "email", "kind": "template", "template": "{% for x in y %}"}, "template"),
        ({"target": "email", "kind": "lookup", "source": "country", "table": ""}, "table"),
        ({"target": "email", "kind": "lookup", "source": "country", "table": "nonsense"}, "table"),
        ({"target": "email", "kind": "lookup", "source": "country", "table": '{"a": 1}'}, "table"),
        ({"target": "email", "kind": "lookup", "source": "country", "table": "{" * 9000}, "table"),
        ({"target": "email", "kind": "omit", "when": "nonsense = x"}, "when"),
        ({"target": "email", "kind": "omit", "when": "action ="}, "when"),
        ({"target": "email", "kind": "omit", "when": '{"action": "PLT"}'}, "when"),
        ({"target": "topic", "kind": "constant", "value": "x" * 301}, "value"),
    ],
)
def test_a_bad_row_is_refused_and_its_input_marked(inputs: dict[str, str], marked: str) -> None:
    route = Demo().route
    errors = errors_of(save(route, row(0, target="phone", kind="omit"), row(1, **inputs)))
    assert set(errors[1]) == {marked}
    assert errors[0] == {}
    assert route.draft is None


def test_the_marked_row_is_told_apart_on_the_page() -> None:
    html = save(Demo().route, row(0, target="email", kind="field", source="nonsense")).content.decode()
    assert html.count('class="rule refused"') == 1
    assert "There is no lead value “nonsense”" in html


def test_rows_go_by_their_numbers_and_go_away() -> None:
    route = Demo().route
    for target in ("email", "phone", "company"):
        number = len(draft_rules(route))
        save(route, row(number, target=target, kind="omit"))
    save(route, {"form-0-ORDER": "9", "form-1-DELETE": "on"})
    assert [rule.target for rule in draft_rules(route)] == ["company", "email"]


def test_two_editors_do_not_overwrite_each_other() -> None:
    route = Demo().route
    client = signed_in("bob")
    before = inputs_of(client, route)
    save(route, row(0, target="email", kind="omit"), who="erin")
    response = client.post(url_of(route), before | row(0, target="phone", kind="omit"))
    assert "Somebody else changed this draft" in response.content.decode()
    assert [rule.target for rule in draft_rules(route)] == ["email"]


def test_tables_and_conditions_that_lines_cannot_say_survive() -> None:
    rule = Rule(
        "country",
        "lookup",
        source="country",
        table={"a = b": "c", " x ": "y"},
        when={"company": ("Contoso, Ltd", "x")},
    )
    route = sending.make_route(sending.make_offer(), sending.make_destination("demo"), [rule])
    save(route, row(1, target="email", kind="omit"))
    assert draft_rules(route)[0] == rule


def test_a_row_whose_field_is_gone_stays_visible() -> None:
    route = sending.make_route(
        sending.make_offer(), sending.make_destination("demo"), [Rule("gone", "field", source="email")]
    )
    assert "gone (not known)" in text_of(signed_in("bob"), url_of(route))


def test_sources_are_offered_by_label_and_from_recent_leads() -> None:
    demo = Demo()
    demo.lead(campaign={"utm_source": "spring"}, extra={"Notes": "x"})
    html = html_of(signed_in("bob"), url_of(demo.route))
    for name, label in (("company", "Company"), ("campaign.utm_source",) * 2, ("extra.Notes",) * 2):
        assert f'<option value="{name}">{label}</option>' in html
    assert set(mapping.LEAD_VALUES) <= {part.split('"')[0] for part in html.split('<option value="')}


def test_a_crm_that_takes_any_field_takes_any_name() -> None:
    route = sending.make_route(sending.make_offer(), sending.make_destination("webhook"))
    assert "<datalist" in html_of(signed_in("bob"), url_of(route))
    save(route, row(0, target="my.own", kind="constant", value="x"))
    assert draft_rules(route) == (Rule("my.own", "constant", value="x"),)
    save(route, row(1, target="", kind="field", source="*"))
    assert draft_rules(route)[1] == Rule("*", "field", source="*")


# What is sent anyway


def test_inherited_rows_are_shown_and_told_from_overridden_ones() -> None:
    route = Demo(rules=[TOPIC]).route
    html = html_of(signed_in("dave"), url_of(route))
    assert "Sent anyway" in html
    assert html.count("a row above wins") == 1
    assert "{{ offer_title }}: {{ full_name }}" in html


def test_an_inherited_row_becomes_a_row_of_the_route() -> None:
    route = Demo().route
    response = save(route, button="_change_inherited", _change_inherited="topic")
    assert response.status_code == 302
    assert "change=topic" in response.url
    page = signed_in("bob").get(response.url)
    form = page.context["inline_admin_formsets"][0].formset.forms[0]
    assert form["template"].value() == "{{ offer_title }}: {{ full_name }}"


def test_a_required_field_that_nothing_fills_is_named() -> None:
    route = Demo().route
    save(route, row(0, target="topic", kind="omit"))
    text = text_of(signed_in("bob"), url_of(route))
    assert "The CRM requires Topic , and no row fills it" in text


# Drafts and publishing


def test_saving_a_draft_changes_nothing_that_is_live() -> None:
    demo = Demo()
    save(demo.route, row(0, target="email", kind="omit"))
    assert demo.route.live_mapping.as_rules() == ()
    assert "Draft of v2 · live v1" in text_of(signed_in("dave"), url_of(demo.route))


def test_publishing_makes_the_draft_live_with_its_note(
    rings: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    demo = Demo()
    with django_capture_on_commit_callbacks(execute=True):
        save(demo.route, row(0, target="email", kind="omit"), button="_publish", note="No e-mail")
    live = demo.route.live_mapping
    assert live.as_rules() == (Rule("email", "omit"),)
    assert (live.number, live.note, str(live.published_by)) == (2, "No e-mail", "bob")
    assert rings


def test_nothing_changed_is_not_published_again() -> None:
    demo = Demo()
    save(demo.route, button="_publish")
    assert MappingVersion.objects.count() == 1
    assert demo.route.draft is None


def test_a_draft_can_be_thrown_away() -> None:
    demo = Demo()
    save(demo.route, row(0, target="email", kind="omit"))
    assert "thrown away" in press(signed_in("bob"), url_of(demo.route, "discard"))
    assert demo.route.draft is None
    assert demo.route.live_mapping is not None


def test_a_broken_mapping_names_the_field_and_leads_to_its_row() -> None:
    demo = Demo()
    demo.switch("refusing_field")
    held = demo.owe()
    demo.drain()
    html = html_of(signed_in("bob"), url_of(demo.route))
    assert "Broken at the field job_title" in html
    assert '#field-job_title"' in html
    assert 'id="field-job_title"' in html
    save(demo.route, row(0, target="job_title", kind="omit"), button="_publish")
    held.refresh_from_db()
    assert held.state == "waiting"
    demo.clock.pass_(60)
    assert demo.drain() == 1
    assert "Broken" not in text_of(signed_in("bob"), url_of(demo.route))


def test_a_crm_that_was_mended_is_tried_with_one_lead(rings: list[str]) -> None:
    demo = Demo()
    demo.switch("refusing_field")
    for _ in range(3):
        demo.owe()
    demo.drain()
    demo.switch("working")
    assert "If it gets through" in press(signed_in("bob"), url_of(demo.route, "retry_held"))
    assert rings
    assert Delivery.objects.filter(state="waiting").count() == 1
    demo.clock.pass_(60)
    demo.drain()
    assert Delivery.objects.filter(state="delivered").count() == 3


# The question


def unpublished() -> tuple[Route, list[Lead]]:
    offer = sending.make_offer(title="Contoso Backup")
    route = sending.make_route(offer, sending.make_destination("demo"), None)
    return route, [sending.make_lead(offer, routed_at=sending.START, first_name="Jane") for _ in range(3)]


def test_leads_wait_until_the_mapping_is_published() -> None:
    route, _ = unpublished()
    text = text_of(signed_in("bob"), url_of(route))
    assert "3 leads wait." in text
    assert "Nothing is sent until the field mapping is published" in text
    assert signed_in("bob").post(url_of(route, "send_waiting"), {"count": "3"}).status_code == 302
    assert not Delivery.objects.exists(), "nothing is sent unpublished, whoever posts"


def test_the_first_publication_asks_and_sends_nothing_by_itself() -> None:
    route, leads = unpublished()
    response = save(route, button="_publish")
    assert response.url.endswith("#question")
    text = text_of(signed_in("bob"), url_of(route))
    assert "3 leads came before and were not sent" in text
    assert leads[0].sentence in text
    assert "Send the 3 waiting" in text
    assert not Delivery.objects.exists()


def test_send_the_waiting(rings: list[str]) -> None:
    route, _ = unpublished()
    save(route, button="_publish")
    assert "3 leads are on the way" in press(signed_in("bob"), url_of(route, "send_waiting"), count="3")
    assert Delivery.objects.count() == 3
    assert rings
    assert "came before" not in text_of(signed_in("bob"), url_of(route))


def test_more_than_was_shown_is_asked_again() -> None:
    route, _ = unpublished()
    save(route, button="_publish")
    sending.make_lead(route.offer, routed_at=sending.START)
    assert "By now 4 leads wait" in press(signed_in("bob"), url_of(route, "send_waiting"), count="3")
    assert not Delivery.objects.exists()


def test_from_now_on() -> None:
    route, _ = unpublished()
    save(route, button="_publish")
    assert "From now on" in press(signed_in("bob"), url_of(route, "from_now_on"))
    assert not Delivery.objects.exists()
    assert "came before" not in text_of(signed_in("bob"), url_of(route))
    route.refresh_from_db()
    assert route.send_from is not None


def test_an_offer_that_is_off_is_not_asked_about_until_it_is_on_again() -> None:
    route, _ = unpublished()
    save(route, button="_publish")
    route.offer.enabled = False
    route.offer.save()
    assert "came before" not in text_of(signed_in("bob"), url_of(route))
    route.offer.enabled = True
    route.offer.save()
    assert "came before" in text_of(signed_in("bob"), url_of(route))


def test_leads_that_the_policy_archives_are_not_asked_about() -> None:
    route, _ = unpublished()
    route.offer.dnc_policy = "archive"
    route.offer.save()
    Lead.objects.update(action="DNC")
    save(route, button="_publish")
    assert "came before" not in text_of(signed_in("bob"), url_of(route))


# Conditions


def test_only_some_actions() -> None:
    demo = Demo()
    save(demo.route, actions="PLT", other_actions="ins, NEW , new2")
    demo.route.refresh_from_db()
    assert demo.route.only_actions == ["PLT", "INS", "NEW", "new2"]
    response = signed_in("bob").get(url_of(demo.route))
    form = response.context["adminform"].form
    assert form["actions"].value() == ["PLT", "INS"]
    assert form["other_actions"].value() == "NEW, new2"


def test_switching_off_and_asking_first() -> None:
    demo = Demo()
    client = signed_in("bob")
    data = inputs_of(client, demo.route) | {"needs_approval": "on"}
    del data["enabled"]
    client.post(url_of(demo.route), data)
    demo.route.refresh_from_db()
    assert (demo.route.enabled, demo.route.needs_approval) == (False, True)
    assert "This route is off" in text_of(client, url_of(demo.route))


def test_a_new_route_begins_at_the_offer_it_was_asked_from() -> None:
    offer, destination = sending.make_offer(), sending.make_destination("demo")
    client = signed_in("bob")
    assert client.get(ADD, {"offer": offer.pk}).context["adminform"].form["offer"].value() == str(offer.pk)
    made = {"offer": offer.pk, "destination": destination.pk, "enabled": "on"}
    response = client.post(ADD, made)
    assert response.url == url_of(Route.objects.get())
    again = client.post(ADD, made).content.decode()
    assert "This offer sends to that CRM connection already" in again


# Preview


def test_the_preview_shows_the_newest_leads_record_with_the_draft_and_sends_nothing() -> None:
    demo = Demo()
    demo.lead(first_name="Old")
    demo.clock.pass_(60)
    demo.lead(first_name="New")
    response = save(
        demo.route,
        row(0, target="first_name", kind="template", template="Dear {{ first_name }}"),
        button="_preview",
    )
    assert response.url.endswith("?preview=newest#preview")
    text = text_of(signed_in("bob"), url_of(demo.route), preview="newest")
    assert "Dear New Row 1" in text
    assert "Contoso Backup: New Doe Inherited" in text
    assert "Nothing was sent" in text
    assert not Delivery.objects.exists()
    old = Lead.objects.get(first_name="Old")
    assert "Dear Old" in text_of(signed_in("bob"), url_of(demo.route), preview=str(old.pk))


def test_the_preview_names_the_row_that_would_fail() -> None:
    demo = Demo(rules=[Rule("topic", "template", template='{{ description | replace: "a", "bbbbbbbbbb" }}')])
    demo.lead(description="a" * 20_000)
    assert "This lead would be held" in text_of(signed_in("bob"), url_of(demo.route), preview="newest")


def test_without_a_lead_the_preview_says_so() -> None:
    assert "No lead of this offer yet" in text_of(signed_in("bob"), url_of(Demo().route), preview="nonsense")


def test_who_may_not_see_leads_sees_none_in_preview_or_question() -> None:
    demo = Demo()
    demo.lead(first_name="Hidden")
    client = may_only("frank", "crm_sync.view_route")
    assert "Hidden" not in text_of(client, url_of(demo.route), preview="newest")


# Who may


def test_readers_see_the_rows_and_no_buttons() -> None:
    route = Demo(rules=[TOPIC]).route
    html = html_of(signed_in("dave"), url_of(route))
    assert "“Hello”" in html
    for absent in ('name="_publish"', 'name="_save"', "form-0-target", "Change for this route", "Throw"):
        assert absent not in html


@pytest.mark.parametrize("button", ["send_waiting", "from_now_on", "discard", "retry_held"])
def test_buttons_need_their_permission_and_a_post(button: str) -> None:
    demo = Demo()
    demo.lead()
    publishing.draft_of(demo.route)
    url = url_of(demo.route, button)
    assert signed_in("dave").post(url, {"count": "1"}).status_code == 403
    assert signed_in("bob").get(url).status_code == 405
    assert demo.route.draft is not None
    demo.route.refresh_from_db()
    assert demo.route.send_from is None
    assert not Delivery.objects.exists()


def test_publishing_needs_its_permission_and_saves_nothing_without() -> None:
    demo = Demo()
    client = may_only("frank", "crm_sync.view_route", "crm_sync.change_route", "crm_sync.change_fieldrule")
    assert 'name="_publish"' not in html_of(client, url_of(demo.route))
    data = inputs_of(client, demo.route) | row(0, target="email", kind="omit") | {"_publish": "on"}
    assert client.post(url_of(demo.route), data).status_code == 403
    assert demo.route.draft is None


def test_who_may_change_conditions_but_not_rows_sees_the_rows() -> None:
    route = Demo(rules=[TOPIC]).route
    client = may_only("frank", "crm_sync.view_route", "crm_sync.change_route")
    assert "“Hello”" in html_of(client, url_of(route))
    assert client.post(url_of(route), {"enabled": "on", "actions": "PLT"}).status_code == 302
    route.refresh_from_db()
    assert route.only_actions == ["PLT"]
    assert route.live_mapping.as_rules() == (TOPIC,)


@pytest.mark.parametrize("name", ["charlie", "dave"])
def test_who_may_not_change_a_route_cannot(name: str) -> None:
    route = Demo().route
    assert signed_in(name).post(url_of(route), {"enabled": ""}).status_code == 403
    assert signed_in(name).post(ADD, {}).status_code == 403


# Deleting


def test_a_route_that_sent_something_stays() -> None:
    demo = Demo()
    demo.owe()
    assert "cannot be deleted" in text_of(signed_in("bob"), url_of(demo.route))
    assert signed_in("bob").post(url_of(demo.route, "delete"), {"post": "yes"}).status_code == 403


def test_a_route_that_sent_nothing_goes() -> None:
    route = Demo().route
    assert "Field mapping v1" in text_of(signed_in("bob"), url_of(route, "delete"))
    assert "is gone" in press(signed_in("bob"), url_of(route, "delete"), post="yes")
    assert not Route.objects.exists()


# The offer's page


def test_the_offer_says_where_its_leads_go() -> None:
    demo = Demo()
    text = text_of(signed_in("dave"), url_of(demo.offer))
    assert "Sends to Demo CRM demo Live v1" in text
    demo.lead()
    assert "1 lead came before and was not sent" in text_of(signed_in("dave"), url_of(demo.offer))


def test_an_offer_without_a_crm_says_that_leads_wait() -> None:
    offer = sending.make_offer()
    sending.make_lead(offer)
    text = text_of(signed_in("bob"), url_of(offer))
    assert "No CRM connected yet: leads are kept here and wait. 1 waits now." in text
    assert f"{ADD}?offer={offer.pk}" in html_of(signed_in("bob"), url_of(offer))
    assert "Send to a CRM" not in text_of(signed_in("dave"), url_of(offer))
    assert "Sends to" not in text_of(signed_in("charlie"), url_of(offer))


# Hostile text


def test_hostile_text_is_harmless() -> None:
    rule = Rule(
        "topic",
        "lookup",
        source=f"campaign.{EVIL}",
        table={EVIL: EVIL},
        fallback=EVIL,
        when={f"extra.{EVIL}": (EVIL,)},
    )
    demo = Demo(rules=[rule, Rule("email", "template", template=EVIL)])
    demo.lead(first_name=EVIL, last_name=EVIL, campaign={EVIL: EVIL}, extra={EVIL: EVIL})
    MappingVersion.objects.update(broken=EVIL, broken_field=EVIL, note=EVIL)
    for who in ("alice", "dave"):
        for url in (
            url_of(demo.route),
            f"{url_of(demo.route)}?preview=newest",
            url_of(demo.offer),
            "/admin/",
            reverse("admin:crm_sync_route_changelist"),
        ):
            assert EVIL not in html_of(signed_in(who), url)
