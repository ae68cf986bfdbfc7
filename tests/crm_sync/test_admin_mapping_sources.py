"""Rows that come from elsewhere: another offer, a file, a flow. They make a draft; what is live does not change."""

import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from crm_sync import catalogue, config, connectors, publishing
from crm_sync.connectors.base import Connector, Stopped
from crm_sync.mapping import Rule
from crm_sync.mapping_owner import Owner
from crm_sync.outcomes import RetryLater
from crm_sync.spec import TargetField
from tests.crm_sync import sending
from tests.crm_sync.mapping_screen import Screen, draft_rules, save
from tests.crm_sync.screens import Demo, may_only, press, text_of, url_of
from tests.staff import signed_in

pytestmark = pytest.mark.django_db

TOPIC = Rule("topic", "constant", value="Hello")
MAIL = Rule("email", "field", source="email", transform="lower", when={"action": ("PLT",)})
PAGES = ("mapping_copy", "mapping_import", "mapping_flow")


# From another offer


def test_rows_are_copied_from_another_offer_into_a_draft() -> None:
    demo = Demo(rules=[TOPIC])
    other = sending.make_route(sending.make_offer(title="Vault"), demo.destination, [MAIL])
    text = text_of(signed_in("bob"), url_of(demo.route, "mapping_copy"))
    assert "Vault → Demo CRM v1, 1 row of its own" in text
    said = press(signed_in("bob"), url_of(demo.route, "mapping_copy"), **{"from": str(other.pk)})
    assert "1 row in the draft. What is live has not changed" in said
    assert draft_rules(demo.route) == (MAIL,)
    assert demo.route.live_mapping.as_rules() == (TOPIC,)


def test_only_published_rows_for_the_same_kind_of_crm_are_offered_and_taken() -> None:
    demo = Demo(rules=[TOPIC])
    unpublished = sending.make_route(sending.make_offer(), demo.destination, None)
    hook = sending.make_route(sending.make_offer(), sending.make_destination("webhook"))
    url = url_of(demo.route, "mapping_copy")
    assert "No other offer has a published mapping" in text_of(signed_in("bob"), url)
    for route in (unpublished, hook, demo.route):
        assert "Choose where to copy from." in press(signed_in("bob"), url, **{"from": str(route.pk)})
    assert demo.route.draft is None


def test_what_is_copied_is_what_is_live_there_now() -> None:
    demo = Demo()
    other = sending.make_route(sending.make_offer(), demo.destination, [MAIL])
    publishing.publish_rules(other, [TOPIC], demo.clock.now)
    publishing.draft_of(other).replace_rules([])
    signed_in("bob").post(url_of(demo.route, "mapping_copy"), {"from": str(other.pk)})
    assert draft_rules(demo.route) == (TOPIC,)


# As a file


def export(owner: Any, who: str = "bob") -> bytes:
    response = signed_in(who).get(Owner(owner).url("mapping_export"))
    assert response.headers["Content-Disposition"].startswith('attachment; filename="mapping-')
    return response.content


def test_what_is_exported_is_what_a_configuration_file_says_and_comes_back_whole() -> None:
    demo = Demo(rules=[TOPIC, MAIL])
    text = export(demo.route).decode()
    assert json.loads(text)["mapping"] == config.export().document["routes"][0]["mapping"]
    other = sending.make_route(sending.make_offer(), demo.destination)
    signed_in("bob").post(url_of(other, "mapping_import"), {"text": text})
    assert draft_rules(other) == (TOPIC, MAIL)


def test_a_file_is_imported_and_so_is_a_bare_list() -> None:
    demo = Demo()
    for content in ({"mapping": [TOPIC.as_config()]}, [TOPIC.as_config()]):
        file = SimpleUploadedFile("mapping.json", json.dumps(content).encode())
        response = signed_in("bob").post(url_of(demo.route, "mapping_import"), {"file": file})
        assert response.url == url_of(demo.route, "mapping")
        assert draft_rules(demo.route) == (TOPIC,)


def test_an_export_has_the_draft_where_there_is_one() -> None:
    demo = Demo(rules=[TOPIC])
    save(demo.route, {"target": "Phone", "kind": "omit"})
    assert [rule["target"] for rule in json.loads(export(demo.route))["mapping"]] == ["topic", "phone"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "This is not JSON"),
        ("nonsense", "This is not JSON"),
        ("[" * 100_000, "This is not JSON"),
        ("{}", "Give a list of rules"),
        ("3", "Give a list of rules"),
        ("[1]", "mapping[0]: A rule is an object"),
        ('[{"target": "topic"}]', "mapping[0].kind: The rule has no “kind”"),
        ('[{"target": "topic", "kind": "omit", "x": 1}]', "mapping[0].x: A rule has no “x”"),
        (
            '[{}, {"target": "nonsense", "kind": "omit"}]',
            "mapping[1].target: The CRM has no field “nonsense”",
        ),
        ('[{"target": "email", "kind": "field", "source": "emial"}]', "did you mean “email”?"),
        ('["' + "x" * 1_000_001 + '"]', "This is longer than 1,000,000 characters."),
    ],
)
def test_a_file_that_is_wrong_says_where_and_imports_nothing(text: str, said: str) -> None:
    demo = Demo(rules=[TOPIC])
    assert said in press(signed_in("bob"), url_of(demo.route, "mapping_import"), text=text)
    assert demo.route.draft is None


def test_a_file_that_is_no_text_is_refused_in_words() -> None:
    demo = Demo()
    file = SimpleUploadedFile("mapping.json", b"\xff\xfe\x00")
    said = press(signed_in("bob"), url_of(demo.route, "mapping_import"), file=file)
    assert "Nothing was imported." in said


# From a flow


FLOW = json.dumps(
    {
        "inputs": {
            "parameters": {
                "item/topic": "@concat(triggerBody()?['OfferTitle'],' lead')",
                "item/email": "@triggerBody()?['UserDetails']?['Email']",
                "item/budget": "@triggerBody()?['Budget']",
                "item/created": "@utcNow()",
            }
        }
    }
)


def test_what_can_be_read_of_a_flow_is_shown_and_then_taken_and_the_rest_is_listed() -> None:
    demo = Demo(rules=[TOPIC, Rule("phone", "omit")])
    url = url_of(demo.route, "mapping_flow")
    said = press(signed_in("bob"), url, text=FLOW)
    assert "2 rows can be taken" in said
    assert "Topic Text with fields {{ offer_title }} lead" in said
    assert "Not taken: The CRM has no field “budget”" in said
    assert "1 cannot be read" in said
    assert "created : There is no counterpart of “utcNow”." in said
    assert demo.route.draft is None, "reading saves nothing"
    press(signed_in("bob"), url, text=FLOW, _take="1")
    assert draft_rules(demo.route) == (
        Rule("topic", "template", template="{{ offer_title }} lead"),
        Rule("email", "field", source="email"),
        Rule("phone", "omit"),
    )
    assert demo.route.live_mapping.as_rules()[0] == TOPIC


def test_what_is_no_flow_says_what_to_copy() -> None:
    said = press(signed_in("bob"), url_of(Demo().route, "mapping_flow"), text="nonsense", _take="1")
    assert "This is not JSON. In the flow, open the action's menu" in said


# The CRM's own fields


LIVE = (TargetField("last_name", "Surname", required=True, max_length=40), TargetField("budget", "Budget"))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the CRM tells of its fields; an exception is raised."""
    answers: list[Any] = [LIVE]
    sending.install(monkeypatch, describes=True, any_field=True)

    def live_fields(self: Connector) -> Any:
        if isinstance(answers[0], Exception):
            raise answers[0]
        return answers[0]

    monkeypatch.setattr(connectors.REGISTRY["scripted"], "live_fields", live_fields)
    return answers


def test_the_fields_of_the_crm_are_read_on_demand_and_offered(told: list[Any]) -> None:
    route = sending.make_route(sending.make_offer(), sending.make_destination())
    assert "Its fields were not read yet" in Screen(route).text
    assert "2 fields of the CRM were read." in press(signed_in("bob"), url_of(route, "mapping_refresh"))
    route.refresh_from_db()
    page = Screen(route)
    assert "2 fields, read" in page.text
    assert '<option value="Surname">last_name, text, required, 40 characters</option>' in page.html


def test_a_crm_that_does_not_tell_its_fields_now_keeps_those_that_it_told(told: list[Any]) -> None:
    destination = sending.make_destination()
    route = sending.make_route(sending.make_offer(), destination)
    catalogue.store(destination, LIVE, sending.START)
    told[0] = Stopped(RetryLater("No answer."))
    said = press(signed_in("bob"), url_of(route, "mapping_refresh"))
    assert "The CRM does not tell its fields: No answer." in said
    assert "Surname" in Screen(route).html


# Who may


@pytest.mark.parametrize("missing", ["crm_sync.change_route", "crm_sync.change_fieldrule"])
def test_bringing_rows_takes_what_editing_takes(missing: str) -> None:
    demo = Demo(rules=[TOPIC])
    needed = {"crm_sync.view_route", "crm_sync.change_route", "crm_sync.change_fieldrule"}
    client = may_only("frank", *(needed - {missing}))
    for page in PAGES:
        assert client.get(url_of(demo.route, page)).status_code == 403
        posted = client.post(url_of(demo.route, page), {"text": "[]", "from": "1", "_take": "1"})
        assert posted.status_code == 403
    assert client.post(url_of(demo.route, "mapping_refresh")).status_code == 403
    assert demo.route.draft is None


def test_who_may_read_the_rows_may_export_them_and_nobody_else() -> None:
    demo = Demo(rules=[TOPIC])
    assert b"Hello" in export(demo.route, "dave")
    for url in (url_of(demo.route, "mapping_export"), url_of(demo.destination, "mapping_export")):
        assert signed_in("charlie").get(url).status_code == 403


def test_fields_are_read_again_by_a_post_alone() -> None:
    assert signed_in("bob").get(url_of(Demo().route, "mapping_refresh")).status_code == 405
