"""From a draft to what is live: what changes is said in words and tried on leads; and a version can be brought back."""

from typing import Any

import pytest

from crm_sync import publishing
from crm_sync.mapping import Rule
from crm_sync.mapping_owner import Owner
from crm_sync.models import Attempt, MappingVersion
from leads import ports
from tests.crm_sync import sending
from tests.crm_sync.mapping_screen import Screen, confirm, draft_rules, publish, save
from tests.crm_sync.screens import Demo, may_only, press, text_of, url_of
from tests.staff import signed_in

pytestmark = pytest.mark.django_db

TOPIC = Rule("topic", "constant", value="Hello")
NO_MAIL = {"target": "Email", "kind": "omit"}


@pytest.fixture(autouse=True)
def rings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    rung: list[str] = []
    monkeypatch.setattr(ports.ports, "bell", [lambda: rung.append("ring")])
    return rung


def read(owner: Any, page: str = "mapping_publish", who: str = "bob") -> str:
    return text_of(signed_in(who), Owner(owner).url(page))


# Publishing


def test_publishing_makes_the_draft_live_with_its_note(
    rings: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    demo = Demo()
    with django_capture_on_commit_callbacks(execute=True):
        response = publish(demo.route, NO_MAIL, note="No e-mail")
    assert response.url == url_of(demo.route, "mapping")
    live = demo.route.live_mapping
    assert live.as_rules() == (Rule("email", "omit"),)
    assert (live.number, live.note, str(live.published_by)) == (2, "No e-mail", "bob")
    assert rings
    assert "v2 published" in Screen(demo.route).text
    assert "by bob: No e-mail" in Screen(demo.route).text


def test_what_changes_is_said_row_by_row_before_it_is_live() -> None:
    demo = Demo(rules=[Rule("phone", "field", source="phone")])
    page = Screen(demo.route).fill(0, transform="e164").add(**NO_MAIL)
    assert page.send("Publish").url == url_of(demo.route, "mapping_publish")
    text = read(demo.route)
    assert "Row 2: “Phone” now “Phone number as +14255550100”" in text
    assert "Row 1 added: “Email” is left out" in text
    assert demo.route.live_mapping.number == 1


def test_the_leads_that_would_fail_are_named_before_it_is_live() -> None:
    demo = Demo()
    for each in range(25):
        demo.clock.pass_(1)
        demo.lead(first_name=f"Jane {each}", description="a" * 20_000 if each in {3, 20} else "x")
    template = '{{ description | replace: "a", "bbbbbbbbbb" }}'
    save(demo.route, {"target": "Topic", "kind": "template", "template": template})
    text = read(demo.route)
    assert "Tried on the last 20 leads" in text
    assert "1 would fail: Jane 20 Doe : Topic:" in text
    assert "Jane 3 Doe" not in text
    save(demo.route, {"target": "Description", "kind": "omit"})
    Screen(demo.route).fill(0, template="Hi").send("Save draft")
    assert "None would fail." in read(demo.route)


def test_a_required_field_that_nothing_fills_is_said_before_it_is_live() -> None:
    route = Demo().route
    save(route, {"target": "Topic", "kind": "omit"})
    assert "The CRM requires Topic , and no row fills it." in read(route)


def test_nothing_changed_is_not_published_again() -> None:
    demo = Demo()
    assert confirm(demo.route, signed_in("bob")).url == url_of(demo.route, "mapping")
    publish(demo.route, NO_MAIL)
    before = MappingVersion.objects.count()
    twice = signed_in("bob").post(url_of(demo.route, "mapping_publish"), {"seen": "x"}, follow=True)
    assert "Nothing to publish: v2 is live" in twice.content.decode()
    assert MappingVersion.objects.count() == before


def test_a_draft_that_somebody_changed_meanwhile_is_looked_at_again() -> None:
    demo = Demo()
    save(demo.route, NO_MAIL)
    seen = signed_in("bob").get(url_of(demo.route, "mapping_publish")).context["seen"]
    save(demo.route, {"target": "Phone", "kind": "omit"}, who="erin")
    said = press(signed_in("bob"), url_of(demo.route, "mapping_publish"), seen=seen)
    assert "The draft changed in the meantime." in said
    assert "“Phone” is left out" in said
    assert demo.route.live_mapping.number == 1


def test_the_first_publication_leads_to_the_question_and_later_ones_to_the_rows() -> None:
    demo = Demo()
    demo.route.mappings.all().delete()
    demo.lead()
    assert publish(demo.route).url == f"{url_of(demo.route)}#question"
    press(signed_in("bob"), url_of(demo.route, "from_now_on"))
    assert publish(demo.route, NO_MAIL).url == url_of(demo.route, "mapping")


def test_a_new_connection_is_published_as_it_is_suggested_in_one_click() -> None:
    route = sending.make_route(sending.make_offer(), sending.make_destination("demo"), None)
    publish(route)
    assert route.live_mapping is not None
    assert route.live_mapping.as_rules() == ()


def test_a_broken_mapping_may_be_published_as_it_is() -> None:
    demo = Demo(rules=[TOPIC])
    held = demo.owe(state="held", held_reason="mapping_broken")
    demo.route.mappings.update(broken="No field topic.", broken_field="topic")
    publish(demo.route)
    held.refresh_from_db()
    assert (demo.route.live_mapping.number, held.state) == (2, "waiting")


# A connection's rows


def test_a_connections_rows_have_a_draft_and_versions_of_their_own() -> None:
    demo = Demo()
    page = Screen(demo.destination, "erin")
    assert page.count == 11, "it begins with what is suggested"
    page.fill(page.row_of("Topic"), template="{{ company }}").send("Save draft")
    assert demo.destination.live_mapping is None
    confirm(demo.destination, signed_in("erin"))
    assert str(demo.destination.live_mapping) == "v1"
    assert "{{ company }}" in Screen(demo.route).text
    assert f"Demo CRM {demo.destination.live_mapping}" == Owner(demo.route).inherited_from
    publish(demo.destination, {"target": "Email", "kind": "omit", "when": "action = PLT"}, who="erin")
    assert str(demo.destination.live_mapping) == "v2"
    assert demo.route.live_mapping.number == 1


def test_publishing_a_connections_rows_says_whom_they_are_about() -> None:
    demo = Demo(rules=[TOPIC])
    for number in range(3):
        rules = [Rule("email", "omit")] if number else []
        sending.make_route(sending.make_offer(), demo.destination, rules)
    publishing.publish_rules(
        sending.make_route(sending.make_offer(), demo.destination), [TOPIC], demo.clock.now
    )
    page = Screen(demo.destination, "erin")
    page.fill(page.row_of("Topic"), template="x").fill(page.row_of("Email"), transform="lower")
    page.send("Publish")
    text = read(demo.destination, who="erin")
    assert "5 offers use these rows." in text
    assert "2 override row 1." in text
    assert "2 override row 4." in text


def test_an_earlier_override_does_not_count() -> None:
    demo = Demo(rules=[TOPIC])
    publishing.publish_rules(demo.route, [], demo.clock.now)
    page = Screen(demo.destination, "erin")
    page.fill(page.row_of("Topic"), template="x").send("Save draft")
    text = read(demo.destination, who="erin")
    assert "1 offer uses these rows." in text
    assert "override row" not in text


def test_a_connections_rows_are_tried_under_the_rows_of_each_offer() -> None:
    demo = Demo(rules=[TOPIC])
    other = sending.make_route(sending.make_offer(), demo.destination)
    demo.lead(first_name="Own topic")
    sending.make_lead(other.offer, first_name="No topic")
    page = Screen(demo.destination, "erin")
    page.press("_remove", str(page.row_of("Topic"))).send("Save draft")
    text = read(demo.destination, who="erin")
    assert "1 would fail: No topic" in text
    assert "Own topic" not in text


def test_a_try_names_both_versions() -> None:
    demo = Demo(rules=[TOPIC])
    publishing.publish_rules(demo.destination, [Rule("email", "omit")], demo.clock.now)
    sent = demo.owe()
    demo.drain()
    made = Attempt.objects.get()
    assert (str(made.route_mapping), str(made.default_mapping)) == ("v1", "v1")
    text = text_of(signed_in("bob"), url_of(sent))
    assert "Field mapping v1 over the connection's v1" in text


# History


def test_history_says_what_changed_when_by_whom_and_why() -> None:
    demo = Demo(rules=[TOPIC])
    publish(demo.route, NO_MAIL, note="They asked")
    text = read(demo.route, "mapping_history", "dave")
    assert "v2 live" in text
    assert "by bob: They asked" in text
    assert "Row 2 added: “Email” is left out" in text
    assert "Row 1 added: “Topic” is always “Hello”" in text
    assert "Restore" not in text, "an auditor reads"


def test_a_version_is_live_again_in_one_click_and_a_draft_outlives_it() -> None:
    demo = Demo(rules=[TOPIC])
    publish(demo.route, NO_MAIL)
    save(demo.route, {"target": "Phone", "kind": "omit"})
    draft = draft_rules(demo.route)
    said = press(signed_in("bob"), url_of(demo.route, "mapping_history"), number="1")
    assert "Live again: v1, as v3." in said
    live = demo.route.live_mapping
    assert (live.number, live.as_rules(), live.note, str(live.published_by)) == (
        3,
        (TOPIC,),
        "Restored v1",
        "bob",
    )
    assert draft_rules(demo.route) == draft
    assert "Draft of v4 · live v3" in Screen(demo.route).text
    confirm(demo.route, signed_in("bob"))
    assert demo.route.live_mapping.as_rules() == draft


def test_restoring_sends_what_the_broken_version_held() -> None:
    demo = Demo(rules=[TOPIC])
    publish(demo.route, NO_MAIL)
    demo.route.mappings.filter(number=2).update(broken="No.")
    held = demo.owe(state="held", held_reason="mapping_broken")
    assert "1 lead that it held goes out now." in press(
        signed_in("bob"), url_of(demo.route, "mapping_history"), number="1"
    )
    held.refresh_from_db()
    assert held.state == "waiting"


def test_what_is_live_is_not_restored_and_what_is_no_version_is_not_found() -> None:
    demo = Demo(rules=[TOPIC])
    save(demo.route, NO_MAIL)
    url = url_of(demo.route, "mapping_history")
    assert "Nothing to restore: v1 is live already." in press(signed_in("bob"), url, number="1")
    for number in ("2", "99", "", "x", "9" * 5000):
        assert signed_in("bob").post(url, {"number": number}).status_code == 404
    assert demo.route.live_mapping.number == 1


# Who may


@pytest.mark.parametrize("missing", ["crm_sync.publish_mappingversion", "crm_sync.change_route"])
def test_publishing_and_restoring_take_their_permission(missing: str) -> None:
    demo = Demo(rules=[TOPIC])
    publish(demo.route, NO_MAIL)
    save(demo.route, {"target": "Phone", "kind": "omit"})
    needed = {"crm_sync.view_route", "crm_sync.change_route", "crm_sync.publish_mappingversion"}
    client = may_only("frank", *(needed - {missing}))
    assert client.get(url_of(demo.route, "mapping_publish")).status_code == 403
    assert client.post(url_of(demo.route, "mapping_publish"), {"seen": "x"}).status_code == 403
    assert client.post(url_of(demo.route, "mapping_history"), {"number": "1"}).status_code == 403
    assert demo.route.live_mapping.number == 2


def test_who_may_publish_and_not_edit_publishes_what_others_drafted() -> None:
    demo = Demo(rules=[TOPIC])
    save(demo.route, NO_MAIL)
    needed = ("crm_sync.view_route", "crm_sync.change_route", "crm_sync.publish_mappingversion")
    client = may_only("frank", *needed)
    page = Screen(demo.route, client)
    assert "Publish…" in page.text
    assert "Save draft" not in page.text
    assert "Trying it shows leads, which your account may not see." in text_of(
        client, url_of(demo.route, "mapping_publish")
    )
    confirm(demo.route, client)
    assert (demo.route.live_mapping.number, str(demo.route.live_mapping.published_by)) == (2, "frank")


def test_a_connections_rows_are_published_by_who_may_change_connections() -> None:
    demo = Demo()
    Screen(demo.destination, "erin").add(**NO_MAIL | {"when": "action = PLT"}).send("Save draft")
    reader = may_only("frank", "crm_sync.view_destination", "crm_sync.publish_mappingversion")
    assert reader.get(url_of(demo.destination, "mapping_publish")).status_code == 403
    assert reader.post(url_of(demo.destination, "mapping_history"), {"number": "1"}).status_code == 403
    assert demo.destination.live_mapping is None
