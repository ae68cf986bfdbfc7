"""The configuration as a file, through the command that operators and scripts use.

Alice's file is the example of the design with a webhook in place of the Azure table; Bob edits in the admin.
"""

import copy
import io
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import models, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_sync import config, connectors, demo_data, mapping, publishing, pushing, routing
from crm_sync.mapping import Rule
from crm_sync.models import (
    Delivery,
    Destination,
    DestinationState,
    FieldRule,
    MappingVersion,
    Route,
    effective_rules,
)
from leads import ports
from leads.intake import Received, accept, find_endpoint
from leads.models import Endpoint, Lead, Offer
from leads.samples import sample_body

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KEY = "Kp3-vXo_9QdT5sLwZb7Rf2GhJcNmYtUa"
KINDS = ", ".join(sorted(connectors.REGISTRY))

EXAMPLE: dict[str, Any] = json.loads("""
{
  "offers": [{"publisher_id": "contoso", "offer_id": "backup", "title": "Contoso Backup",
              "endpoint_key": "optional, 32 or more characters"}],
  "destinations": [{"name": "table", "connector": "azure_table",
                    "settings": {"connection_string": "env:AZURE_TABLES"},
                    "mapping": [{"target": "Description", "kind": "field", "source": "description"}]},
                   {"name": "hook", "connector": "webhook", "settings": {"url": "https://example.com/leads"}}],
  "routes": [{"offer": "contoso.backup", "destination": "table"},
             {"offer": "contoso.backup", "destination": "hook", "only_actions": ["INS", "PLT"], "mapping": [
               {"target": "title", "kind": "template", "template": "{{ offer_title }}: {{ full_name }}"},
               {"target": "type", "kind": "constant", "value": "lead"},
               {"target": "country", "kind": "lookup", "source": "country_code", "table": {"US": "United States"}, "fallback": ""},
               {"target": "phone", "kind": "field", "source": "phone", "transform": "e164", "when": {"action": ["PLT"]}},
               {"target": "company", "kind": "omit"}]}]
}
""")


@pytest.fixture
def alices() -> dict[str, Any]:
    """The example with connectors that there are: what each test starts from and changes."""
    document = copy.deepcopy(EXAMPLE)
    del document["offers"][0]["endpoint_key"]
    document["destinations"][0] |= {
        "connector": "webhook",
        "settings": {"url": "https://table.example/leads"},
    }
    return document


def apply(document: Any, now: datetime = NOW, **options: Any) -> config.Result:
    return config.apply(json.dumps(document), now, **options)


def problems(document: Any, **options: Any) -> list[str]:
    """What a document is refused for; nothing may have been changed by it."""
    before = everything()
    with pytest.raises(config.ConfigError) as refusal:
        apply(document, **options)
    assert everything() == before
    assert str(refusal.value).splitlines() == list(refusal.value.problems)
    return list(refusal.value.problems)


def everything() -> dict[str, list[dict[str, Any]]]:
    """Every row that a configuration could change."""
    kinds: tuple[type[models.Model], ...] = (
        Offer,
        Endpoint,
        Destination,
        DestinationState,
        Route,
        MappingVersion,
        FieldRule,
        Lead,
        Delivery,
    )
    return {kind.__name__: list(kind._default_manager.order_by("pk").values()) for kind in kinds}


def lead(offer: Offer, kind: str = "INS", **changes: Any) -> Lead:
    body = json.dumps(sample_body(kind, offer) | changes).encode()
    accepted = accept(
        offer, Received(body=body, content_type="application/json", announced=len(body)), now=NOW
    )
    return Lead.objects.get(pk=accepted.lead_id)


def backup() -> Offer:
    return Offer.objects.get(publisher_id="contoso", offer_id="backup")


def hook() -> Destination:
    return Destination.objects.get(name="hook")


def route_to_hook() -> Route:
    return Route.objects.get(destination__name="hook")


def run(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[Any, str]:
    """The JSON on standard output, which is alone there, and standard error."""
    call_command("config", *arguments)
    out, err = capsys.readouterr()
    return json.loads(out), err


# --- The command ---------------------------------------------------------------------------------------------


def test_the_example_is_refused_only_for_what_it_leaves_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_TABLES", "UseDevelopmentStorage=true")
    found = problems(EXAMPLE)
    assert len(found) == 1
    assert found[0].startswith("offers[0].endpoint_key: A key has 32 to 200 letters")


def test_the_example_with_a_key_is_applied_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its table gets the one column that is named, and the lead's day, without which there is no row."""
    monkeypatch.setenv("AZURE_TABLES", "UseDevelopmentStorage=true")
    document = copy.deepcopy(EXAMPLE)
    document["offers"][0]["endpoint_key"] = KEY
    apply(document)
    route = Route.objects.select_related("destination").get(destination__name="table")
    values = lead(backup(), description="Call me").values()
    expected = {"Description": "Call me", "PartitionKey": "2026-03-02T09:30:00Z"}
    assert mapping.apply(effective_rules(route), values).record == expected
    live = route.destination.live_mapping
    assert live is not None
    as_pushed = pushing.rules(None, list(live.rules.all()), route.destination)
    assert mapping.apply(as_pushed, values).record == expected


def test_the_example_does_what_it_says(
    alices: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(alices))
    printed, _ = run("apply", str(file), capsys=capsys)

    url = Endpoint.objects.get(offer=backup()).url
    assert printed == {
        "offers": [{"publisher_id": "contoso", "offer_id": "backup", "endpoint_url": url}],
    }
    assert backup().title == "Contoso Backup"
    assert hook().all_settings() == {"url": "https://example.com/leads"}
    assert route_to_hook().only_actions == ["INS", "PLT"]
    table = Destination.objects.get(name="table")
    assert table.default_rules() == (Rule("Description", "field", source="description"),)
    live = route_to_hook().live_mapping
    assert live is not None
    assert [rule.as_config() for rule in live.as_rules()] == [
        {key: value for key, value in rule.items() if value} for rule in alices["routes"][1]["mapping"]
    ]
    bare = Route.objects.get(destination=table).live_mapping
    assert bare is not None
    assert bare.as_rules() == ()


@pytest.mark.parametrize("stdin", ["bytes", "text"])
def test_a_dash_reads_standard_input(
    stdin: str, alices: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = json.dumps(alices)
    pipe = (
        io.StringIO(text)
        if stdin == "text"
        else io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbf" + text.encode()))
    )
    monkeypatch.setattr(sys, "stdin", pipe)
    printed, _ = run("apply", "-", capsys=capsys)
    assert len(printed["offers"]) == 1


def test_notes_stand_on_standard_error_alone(
    alices: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(alices))
    _, notes = run("apply", str(file), capsys=capsys)
    assert "Offer contoso.backup: added." in notes.splitlines()
    assert "contoso.backup -> hook: mapping v1 published." in notes.splitlines()
    _, notes = run("apply", str(file), capsys=capsys)
    assert notes.splitlines() == ["Nothing to change."]


def test_a_refusal_names_the_file_and_has_one_line_a_problem(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text('{"offers": 1, "route": []}')
    with pytest.raises(CommandError) as refusal:
        call_command("config", "apply", str(file))
    heading, *lines = str(refusal.value).splitlines()
    assert heading == f"{file} cannot be applied; nothing was changed."
    assert lines == [
        "offers: This must be a list in square brackets.",
        "route: There is no key “route” here; did you mean “routes”?",
    ]
    assert refusal.value.returncode == 1


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "none.json", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(CommandError) as refusal:
            call_command("config", "apply", str(path))
        assert str(refusal.value) == f"{path}: {reason}."


# --- All or nothing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"offers": [\n  {"publisher_id": }\n]}', "line 2, column 20: "),
        ("", "line 1, column 1: "),
        ('{"offers": [], "offers": []}', "This is not JSON: “offers” stands twice"),
        ('{"offers": NaN}', "This is not JSON: there is no NaN"),
        ("[" * 100_000, "This is not JSON: "),
        (b'{"offers": "\xff"}', "This is not JSON: "),
        ('{"offers": [{"publisher_id": "a\\u0000b"}]}', "offers[0].publisher_id: This holds a NUL"),
        ('{"offers": [{"schema": {"\\ud800": 1}}]}', "offers[0].schema."),
        ("[]", "This must be an object in braces, with offers, destinations, routes."),
    ],
)  # fmt: skip
def test_what_is_no_document_is_refused_with_its_place(text: str | bytes, place: str) -> None:
    with pytest.raises(config.ConfigError) as refusal:
        config.apply(text, NOW)
    assert str(refusal.value).startswith(place)


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda d: d["offers"][0].update(tittle="x"), "offers[0].tittle: There is no key “tittle” here; did you mean “title”?"),
        (lambda d: d["offers"][0].pop("offer_id"), "offers[0].offer_id: This is missing; add it."),
        (lambda d: d["offers"].append("contoso"), "offers[1]: This must be an object in braces"),
        (lambda d: d["offers"].append(d["offers"][0]), "offers[1]: contoso.backup stands in this file already, at offers[0]."),
        (lambda d: d["offers"][0].update(enabled="yes"), "offers[0].enabled: This must be true or false"),
        (lambda d: d["offers"][0].update(title=""), "offers[0].title: This field cannot be blank."),
        (lambda d: d["offers"][0].update(offer_id="a.b"), "offers[0].offer_id: Letters, digits, dashes"),
        (lambda d: d["offers"][0].update(dnc_policy="holt"), "offers[0].dnc_policy: There is no policy “holt”; did you mean “hold”?"),
        (lambda d: d["offers"][0].update(worked_in="there"), "offers[0].worked_in: Leads are worked on in the"),
        (lambda d: d["offers"][0].update(schema=[]), "offers[0].schema: This must be a JSON schema"),
        (lambda d: d["offers"][0].update(schema={"type": "objekt"}), "offers[0].schema: At /type"),
        (lambda d: d["offers"][0].update(endpoint_key="short"), "offers[0].endpoint_key: A key has 32"),
        (lambda d: d["offers"][0].update(endpoint_key=KEY + "/x"), "offers[0].endpoint_key: A key has 32"),
        (lambda d: d["destinations"][1].pop("connector"), f"destinations[1].connector: This is missing; there are {KINDS}."),
        (lambda d: d["destinations"][1].update(connector="web"), f"destinations[1].connector: There is no connector 'web'; there are {KINDS}."),
        (lambda d: d["destinations"][1].update(name="table"), "destinations[1]: table stands in this file already, at destinations[0]."),
        (lambda d: d["destinations"][1].update(max_in_flight=0), "destinations[1].max_in_flight: At least 1."),
        (lambda d: d["destinations"][1].update(max_in_flight=True), "destinations[1].max_in_flight: This must be a whole number"),
        (lambda d: d["destinations"][1].update(max_per_day=0), "destinations[1].max_per_day: At least 1."),
        (lambda d: d["destinations"][1].update(max_per_second="5"), "destinations[1].max_per_second: This must be a whole number"),
        (lambda d: d["destinations"][1].update(for_new_offers="hook"), "destinations[1].for_new_offers: This must be true or false"),
        (lambda d: d["destinations"][1].pop("settings"), "destinations[1].settings.url: Address is required."),
        (lambda d: d["destinations"][1].update(settings=[]), "destinations[1].settings: This must be an object of texts"),
        (lambda d: d["destinations"][1]["settings"].update(url=7), "destinations[1].settings.url: This must be text in quotes"),
        (lambda d: d["destinations"][1]["settings"].update(ulr="x"), "destinations[1].settings.ulr: Webhook has no setting “ulr”; did you mean “url”?"),
        (lambda d: d["destinations"][1]["settings"].update(secret="x"), "destinations[1].settings.secret: The signing secret must be whsec_"),
        (lambda d: d["destinations"][0]["mapping"][0].update(source="descripton"), "destinations[0].mapping[0].source: There is no lead value “descripton”; did you mean “description”?"),
        (lambda d: d["routes"][0].update(offer="contoso.backups"), "routes[0].offer: There is no offer “contoso.backups”; did you mean “contoso.backup”?"),
        (lambda d: d["routes"][0].update(destination="tabel"), "routes[0].destination: There is no CRM connection “tabel”; did you mean “table”?"),
        (lambda d: d["routes"].append(d["routes"][0]), "routes[2]: contoso.backup -> table stands in this file already, at routes[0]."),
        (lambda d: d["routes"][1].update(only_actions="INS"), "routes[1].only_actions: This must be a list"),
        (lambda d: d["routes"][1].update(only_actions=["INS", 1]), "routes[1].only_actions[1]: This must be text"),
        (lambda d: d["routes"][1].update(mapping={}), "routes[1].mapping: This must be a list"),
        (lambda d: d["routes"][1]["mapping"][3].update(transform="e146"), "routes[1].mapping[3].transform: There is no transform “e146”; did you mean “e164”?"),
        (lambda d: d["routes"][1]["mapping"][4].update(kind=None), "routes[1].mapping[4].kind: This must be text"),
    ],
)  # fmt: skip
def test_each_mistake_is_named_with_its_path(change: Change, problem: str, alices: dict[str, Any]) -> None:
    change(alices)
    found = problems(alices)
    assert any(line.startswith(problem) for line in found), found


def test_all_mistakes_are_named_at_once(alices: dict[str, Any]) -> None:
    alices["offers"][0]["enabled"] = 1
    alices["destinations"][1]["settings"]["url"] = "env:NO_SUCH_VARIABLE"
    alices["routes"][1]["mapping"][0]["kind"] = 1
    alices["routes"][1]["mapping"][3]["transform"] = "e146"
    paths = [line.partition(": ")[0] for line in problems(alices)]
    assert sorted(paths) == [
        "destinations[1].settings.url",
        "offers[0].enabled",
        "routes[1].mapping[0].kind",
        "routes[1].mapping[3].transform",
    ]


def test_a_rule_keeps_to_the_fields_of_its_connector(alices: dict[str, Any]) -> None:
    alices["destinations"].append({"name": "demo", "connector": "demo", "mapping": []})
    rule = {"target": "Topik", "kind": "constant", "value": "x"}
    alices["routes"].append({"offer": "contoso.backup", "destination": "demo", "mapping": [rule]})
    assert problems(alices) == [
        "routes[2].mapping[0].target: The CRM has no field “Topik”; did you mean “topic”?"
    ]
    del alices["routes"][2]["mapping"]
    assert "contoso.backup -> demo: the CRM requires “topic”, and no rule fills it." in apply(alices).notes


def test_a_failure_while_writing_takes_everything_back(
    alices: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything()

    def fail(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Endpoint, "make", fail)
    with pytest.raises(OSError, match="disk full"):
        apply(alices)
    assert everything() == before


def test_applying_again_changes_nothing(alices: dict[str, Any]) -> None:
    alices["offers"][0]["endpoint_key"] = KEY
    alices["destinations"][1]["settings"]["secret"] = SECRET
    first = apply(alices)
    before = everything()
    again = apply(alices, LATER)
    assert everything() == before
    assert again.document == first.document
    assert again.notes == ["Nothing to change."]


def for_new_offers() -> list[str]:
    return list(Destination.objects.filter(for_new_offers=True).values_list("name", flat=True))


def test_new_offers_send_to_the_connection_of_the_file_and_to_no_other(alices: dict[str, Any]) -> None:
    table, hook = alices["destinations"]
    table["for_new_offers"] = True
    apply(alices)
    assert for_new_offers() == ["table"]
    notes = apply({"destinations": [hook | {"for_new_offers": True}]}).notes
    assert for_new_offers() == ["hook"]
    assert "CRM connection table: new offers no longer send to it." in notes
    del table["for_new_offers"]
    apply(alices)
    assert for_new_offers() == ["hook"], "what the file does not mention stays"
    table["for_new_offers"] = True
    apply(alices)
    assert for_new_offers() == ["table"], "also where the file names the one that loses it"
    exported = config.export().document["destinations"]
    assert [(each["name"], each["for_new_offers"]) for each in exported] == [("hook", False), ("table", True)]


def test_new_offers_send_to_one_connection_only(alices: dict[str, Any]) -> None:
    for destination in alices["destinations"]:
        destination["for_new_offers"] = True
    assert problems(alices) == [
        "destinations[1].for_new_offers: New offers send to one connection only, and destinations[0] says so already."
    ]


def test_what_the_file_does_not_mention_stays(alices: dict[str, Any]) -> None:
    alices["offers"][0] |= {
        "always_acknowledge": True,
        "dnc_policy": "push",
        "worked_in": "crm",
        "schema": {"type": "object"},
    }
    alices["destinations"][1] |= {"max_in_flight": 3}
    alices["routes"][1] |= {"needs_approval": True, "enabled": False}
    apply(alices)
    before = everything()
    names = {
        "offers": [{"publisher_id": "contoso", "offer_id": "backup"}],
        "destinations": [{"name": "hook"}],
        "routes": [{"offer": "contoso.backup", "destination": "hook"}],
    }
    for document in ({}, names):
        assert apply(document, LATER).notes == ["Nothing to change."]
        assert everything() == before


def test_a_file_may_build_on_what_is_there(alices: dict[str, Any]) -> None:
    apply(alices)
    backup = {"publisher_id": "contoso", "offer_id": "archive"}
    result = apply({"offers": [backup], "routes": [{"offer": "contoso.archive", "destination": "hook"}]})
    assert [offer["offer_id"] for offer in result.document["offers"]] == ["archive"]
    assert Offer.objects.get(offer_id="archive").title == "archive"
    assert Route.objects.filter(destination=hook()).count() == 2


# --- Endpoint URLs -------------------------------------------------------------------------------------------


def test_urls_are_printed_in_the_order_of_the_file(alices: dict[str, Any]) -> None:
    alices["offers"] += [
        {"publisher_id": "contoso", "offer_id": name, "title": "Another"} for name in ("zebra", "ant")
    ]
    printed = apply(alices).document["offers"]
    assert [offer["offer_id"] for offer in printed] == ["backup", "zebra", "ant"]
    for offer in printed:
        endpoint = find_endpoint(offer["endpoint_url"].rpartition("/")[2])
        assert endpoint is not None
        assert endpoint.offer.offer_id == offer["offer_id"]


def test_a_given_key_is_added_beside_the_old_ones(alices: dict[str, Any]) -> None:
    old = apply(alices).document["offers"][0]["endpoint_url"].rpartition("/")[2]
    alices["offers"][0]["endpoint_key"] = KEY
    for _ in range(2):
        assert apply(alices).document["offers"][0]["endpoint_url"].endswith(f"/in/{KEY}")
    assert Endpoint.objects.count() == 2
    assert find_endpoint(old)


def test_without_a_key_the_newest_open_url_is_printed(alices: dict[str, Any]) -> None:
    apply(alices)
    newest = Endpoint.make(backup())
    assert apply(alices).document["offers"][0]["endpoint_url"] == newest.url
    Endpoint.objects.update(revoked_at=NOW)
    made = apply(alices).document["offers"][0]["endpoint_url"]
    assert made not in {newest.url, ""}
    assert Endpoint.objects.open(NOW).get().url == made


def test_after_a_rotation_the_new_url_is_printed(alices: dict[str, Any]) -> None:
    apply(alices)
    old = backup().endpoints.get()
    new = Endpoint.rotate(backup(), timedelta(days=30), NOW, replacing=old.pk)
    assert apply(alices).document["offers"][0]["endpoint_url"] == new.url
    assert Endpoint.objects.count() == 2


def test_a_key_that_was_rotated_keeps_its_end_and_says_so(alices: dict[str, Any]) -> None:
    alices["offers"][0]["endpoint_key"] = KEY
    apply(alices)
    old = backup().endpoints.get()
    Endpoint.rotate(backup(), timedelta(days=30), NOW, replacing=old.pk)
    again = apply(alices)
    assert again.document["offers"][0]["endpoint_url"] == old.url
    assert any(
        note.startswith("offers[0].endpoint_key: This URL was rotated and takes leads until")
        for note in again.notes
    )
    old.refresh_from_db()
    assert old.expires_at == NOW + timedelta(days=30)


def test_a_key_of_another_offer_is_refused(alices: dict[str, Any]) -> None:
    Endpoint.make(Offer.objects.create(publisher_id="fabrikam", offer_id="vault", title="Vault"), KEY)
    alices["offers"][0]["endpoint_key"] = KEY
    assert problems(alices) == [
        "offers[0].endpoint_key: This key belongs to the offer fabrikam.vault already."
    ]


def test_two_offers_of_a_file_cannot_share_a_key(alices: dict[str, Any]) -> None:
    alices["offers"][0]["endpoint_key"] = KEY
    alices["offers"].append({"publisher_id": "contoso", "offer_id": "other", "endpoint_key": KEY})
    assert problems(alices)[0].startswith(
        "offers[1].endpoint_key: The same key stands at offers[0].endpoint_key;"
    )


def test_a_revoked_key_is_not_opened_again(alices: dict[str, Any]) -> None:
    alices["offers"][0]["endpoint_key"] = KEY
    apply(alices)
    Endpoint.objects.update(revoked_at=NOW)
    assert problems(alices)[0].startswith(
        "offers[0].endpoint_key: The endpoint URL with this key was revoked"
    )


# --- Settings and secrets ------------------------------------------------------------------------------------


def test_settings_are_read_from_the_environment_when_applied(alices: dict[str, Any]) -> None:
    alices["destinations"][1]["settings"]["secret"] = "env:HOOK_SECRET"
    apply(alices, environ={"HOOK_SECRET": SECRET})
    assert hook().secrets == {"secret": SECRET}
    assert hook().settings == {"url": "https://example.com/leads"}


@pytest.mark.parametrize("environ", [{}, {"HOOK_SECRET": ""}], ids=["missing", "empty"])
def test_a_variable_that_is_not_set_is_named(alices: dict[str, Any], environ: dict[str, str]) -> None:
    alices["destinations"][1]["settings"]["secret"] = "env:HOOK_SECRET"
    assert problems(alices, environ=environ) == [
        "destinations[1].settings.secret: The environment variable “HOOK_SECRET” is not set, or empty."
    ]


def test_plain_http_needs_the_operators_word(alices: dict[str, Any], settings: Any) -> None:
    alices["destinations"][1]["settings"]["url"] = "http://10.0.0.7/leads"
    settings.ALLOW_PRIVATE_DESTINATIONS = False
    [problem] = problems(alices)
    assert problem.startswith("destinations[1].settings.url: ")
    assert "ALLOW_PRIVATE_DESTINATIONS=true" in problem
    settings.ALLOW_PRIVATE_DESTINATIONS = True
    apply(alices)


def test_the_connector_of_a_connection_cannot_change(alices: dict[str, Any]) -> None:
    apply(alices)
    alices["destinations"][1]["connector"] = "demo"
    [problem] = problems(alices)
    assert problem.startswith("destinations[1].connector: hook is of kind webhook, and that cannot change")


def test_a_stored_secret_stays_until_another_is_given(alices: dict[str, Any]) -> None:
    apply(alices)
    alices["destinations"][1]["settings"]["secret"] = SECRET
    apply(alices)
    alices["destinations"][1]["settings"] = {"url": "https://example.com/moved"}
    apply(alices)
    assert hook().all_settings() == {"url": "https://example.com/moved", "secret": SECRET}
    alices["destinations"][1]["settings"]["secret"] = ""
    apply(alices)
    assert hook().secrets == {}


def test_a_stopped_connection_is_checked_at_once_after_a_change(alices: dict[str, Any]) -> None:
    apply(alices)
    DestinationState.objects.update(state=DestinationState.State.STOPPED, until=LATER)
    alices["destinations"][1]["settings"]["url"] = "https://example.com/mended"
    apply(alices)
    assert {state.destination.name: state.until for state in DestinationState.objects.all()} == {
        "hook": NOW,
        "table": LATER,
    }


def test_other_settings_forget_the_test_of_the_former_ones(alices: dict[str, Any]) -> None:
    apply(alices)
    DestinationState.objects.update(
        checked_at=NOW, last_success_at=NOW, failures=2, reason="The test failed."
    )
    alices["destinations"][1]["settings"]["url"] = "https://example.com/mended"
    apply(alices)
    assert {state.destination.name: state.is_untested for state in DestinationState.objects.all()} == {
        "hook": True,
        "table": False,
    }


# --- Mappings ------------------------------------------------------------------------------------------------


def test_only_a_changed_mapping_makes_a_version(alices: dict[str, Any]) -> None:
    apply(alices)
    alices["routes"][1]["mapping"][1]["value"] = "prospect"
    assert "contoso.backup -> hook: mapping v2 published." in apply(alices, LATER).notes
    assert MappingVersion.objects.count() == 4
    apply(alices, LATER)
    assert MappingVersion.objects.count() == 4


def test_bobs_mapping_stays_where_the_file_gives_none(alices: dict[str, Any]) -> None:
    apply(alices)
    table = Route.objects.get(destination__name="table")
    publishing.publish_rules(table, [Rule("by", "constant", value="Bob")], NOW)
    apply(alices, LATER)
    live = table.live_mapping
    assert live is not None
    assert [rule.target for rule in live.as_rules()] == ["by"]


def test_bobs_draft_is_not_replaced_in_silence(alices: dict[str, Any]) -> None:
    apply(alices)
    publishing.draft_of(route_to_hook())
    apply(alices)
    assert route_to_hook().draft is not None
    alices["routes"][1]["mapping"] = []
    assert any("An unpublished draft was replaced." in note for note in apply(alices).notes)


def test_an_action_that_microsoft_does_not_document_is_noted(alices: dict[str, Any]) -> None:
    alices["routes"][1]["only_actions"] = ["ins", "PTL"]
    notes = [note for note in apply(alices).notes if "only_actions" in note]
    assert notes == ["routes[1].only_actions[1]: Microsoft documents no action “PTL”; did you mean “PLT”?"]


# --- Leads that wait -----------------------------------------------------------------------------------------


@pytest.fixture
def waiting(alices: dict[str, Any]) -> dict[str, Any]:
    """Alice's file, applied without its routes; then two leads for the hook came in."""
    routes = alices.pop("routes")
    apply(alices)
    for person in ("Jane", "Li"):
        lead(backup(), Description=person)
    return {**alices, "routes": routes[1:]}


@pytest.mark.parametrize("worker_was_faster", [True, False])
def test_nothing_old_is_sent_without_a_word(waiting: dict[str, Any], worker_was_faster: bool) -> None:
    if worker_was_faster:
        routing.route_everything(NOW)
    result = apply(waiting)
    routing.route_everything(NOW)
    assert not Delivery.objects.exists()
    assert route_to_hook().waiting_leads().count() == 2
    assert (
        "2 leads wait for contoso.backup -> hook; apply again with --send-waiting to send them."
        in result.notes
    )


def test_new_leads_go_out_by_themselves(waiting: dict[str, Any]) -> None:
    apply(waiting)
    new = lead(backup(), Description="after the file")
    routing.route_everything(NOW)
    assert [delivery.lead for delivery in Delivery.objects.all()] == [new]


def test_send_waiting_sends_what_waits_once(
    waiting: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(waiting))
    _, notes = run("apply", str(file), "--send-waiting", capsys=capsys)
    assert "2 leads waiting for contoso.backup -> hook will be sent now." in notes.splitlines()
    assert Delivery.objects.count() == 2
    _, notes = run("apply", str(file), "--send-waiting", capsys=capsys)
    assert notes.splitlines() == ["Nothing to change."]
    assert Delivery.objects.count() == 2


def test_nothing_is_said_to_wait_for_a_route_that_is_off(waiting: dict[str, Any]) -> None:
    waiting["routes"][0]["enabled"] = False
    assert not [note for note in apply(waiting).notes if "wait" in note]


def test_the_worker_is_woken_when_everything_is_written(
    alices: dict[str, Any], monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    rung: list[int] = []
    monkeypatch.setattr(ports.ports, "bell", [lambda: rung.append(Route.objects.count())])
    with django_capture_on_commit_callbacks(execute=True):
        apply(alices)
        assert rung == []
    assert rung == [2]


# --- Export --------------------------------------------------------------------------------------------------


def test_export_prints_the_same_document_without_secrets(
    alices: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    alices["offers"][0]["endpoint_key"] = KEY
    alices["destinations"][1]["settings"]["secret"] = SECRET
    apply(alices)
    printed, notes = run("export", capsys=capsys)

    assert SECRET not in json.dumps(printed) + notes
    assert KEY not in json.dumps(printed) + notes
    assert "hook: left out secret; give it where this is to be applied anew." in notes
    del alices["offers"][0]["endpoint_key"], alices["destinations"][1]["settings"]["secret"]
    assert printed["offers"][0].items() >= alices["offers"][0].items()
    assert [each["name"] for each in printed["destinations"]] == ["hook", "table"]
    assert printed["destinations"][0].items() >= alices["destinations"][1].items()
    assert [each["destination"] for each in printed["routes"]] == ["hook", "table"]
    assert printed["routes"][0]["only_actions"] == ["INS", "PLT"]
    assert printed["routes"][1]["mapping"] == []


def test_an_exported_document_makes_the_same_elsewhere(alices: dict[str, Any]) -> None:
    apply(alices)
    document = config.export().document
    for kind in (Route, Destination, Offer):
        kind._default_manager.all().delete()
    apply(document)
    assert config.export().document == document


def test_the_demo_is_left_out() -> None:
    demo_data.seed(NOW)
    assert config.export().document == {"offers": [], "destinations": [], "routes": []}


def test_a_demo_crm_that_a_real_offer_sends_to_is_exported(alices: dict[str, Any]) -> None:
    demo_data.seed(NOW)
    alices["routes"][0]["destination"] = demo_data.DEMO_CRM
    apply(alices)
    document = config.export().document
    assert [each["offer_id"] for each in document["offers"]] == ["backup"]
    assert [each["name"] for each in document["destinations"]] == ["Demo CRM", "hook", "table"]
    assert [each["destination"] for each in document["routes"]] == ["Demo CRM", "hook"]


def test_a_route_that_was_never_published_is_left_out(alices: dict[str, Any]) -> None:
    apply(alices)
    MappingVersion.objects.filter(route=route_to_hook()).delete()
    result = config.export()
    assert [each["destination"] for each in result.document["routes"]] == ["table"]
    assert "contoso.backup -> hook: left out, because its mapping was never published." in result.notes


GUIDE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text("utf-8")


def test_the_guide_explains_every_key() -> None:
    for section, (keys, _) in config._SECTIONS.items():
        chapter = GUIDE.partition(f"## `{section}`")[2].partition("\n## ")[0]
        assert [key for key in keys if f"| `{key}` |" not in chapter] == []


def test_the_example_of_the_guide_applies() -> None:
    example = GUIDE.partition("```json\n")[2].partition("```")[0]
    config.apply(example, NOW, environ={"HOOK_SECRET": SECRET})
    assert hook().secrets == {"secret": SECRET}


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
NAMES = st.text("abcXYZ-_ äé漢", min_size=1, max_size=8).filter(lambda name: name.strip() == name)
IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,5}", fullmatch=True)
LEAD_VALUES = st.sampled_from(["email", "full_name", "campaign.utm_source", "is_test"])
RULES = st.lists(
    st.one_of(
        st.fixed_dictionaries(
            {"target": NAMES, "kind": st.just("field"), "source": LEAD_VALUES},
            optional={"fallback": TEXT, "keep_empty": st.booleans(), "transform": st.just("e164")},
        ),
        st.fixed_dictionaries({"target": NAMES, "kind": st.just("constant"), "value": TEXT}),
        st.fixed_dictionaries(
            {
                "target": NAMES,
                "kind": st.just("lookup"),
                "source": LEAD_VALUES,
                "table": st.dictionaries(TEXT, TEXT, min_size=1, max_size=3),
            }
        ),
        st.fixed_dictionaries(
            {"target": NAMES, "kind": st.just("omit")},
            optional={
                "when": st.dictionaries(LEAD_VALUES, st.lists(TEXT, min_size=1, max_size=2), max_size=2)
            },
        ),
    ),
    max_size=4,
)
OFFERS = st.lists(
    st.fixed_dictionaries(
        {"publisher_id": IDS, "offer_id": IDS},
        optional={
            "title": NAMES,
            "enabled": st.booleans(),
            "always_acknowledge": st.booleans(),
            "dnc_policy": st.sampled_from(Offer.DncPolicy.values),
            "worked_in": st.sampled_from(["", *Offer.WorkedIn.values]),
            "send_test_leads": st.booleans(),
            "schema": st.sampled_from([None, {}, {"type": "object"}]),
        },
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda offer: (offer["publisher_id"], offer["offer_id"]),
)
DESTINATIONS = st.lists(
    st.fixed_dictionaries(
        {
            "name": NAMES,
            "connector": st.just("webhook"),
            "settings": st.fixed_dictionaries(
                {"url": st.just("https://example.com/leads")},
                optional={"secret": st.sampled_from([SECRET, ""])},
            ),
        },
        optional={
            "mapping": RULES,
            "max_in_flight": st.integers(1, 100),
            "max_per_second": st.none() | st.integers(1, 100),
            "max_per_day": st.none() | st.integers(1, 100_000),
            "keep_tries_days": st.integers(0, 1000),
            "for_new_offers": st.just(False),
        },
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda destination: destination["name"],
)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A document that applies."""
    offers, destinations = draw(OFFERS), draw(DESTINATIONS)
    pairs = draw(st.lists(st.tuples(st.sampled_from(offers), st.sampled_from(destinations)), max_size=3))
    names = {(f"{offer['publisher_id']}.{offer['offer_id']}", to["name"]) for offer, to in pairs}
    conditions = st.fixed_dictionaries(
        {},
        optional={
            "mapping": RULES,
            "only_actions": st.lists(st.sampled_from(["INS", "PLT"]), unique=True),
            "enabled": st.booleans(),
            "needs_approval": st.booleans(),
        },
    )
    routes = [{"offer": offer, "destination": to, **draw(conditions)} for offer, to in sorted(names)]
    return {"offers": offers, "destinations": destinations, "routes": routes}


@settings(max_examples=15, deadline=None)
@given(documents())
def test_applying_what_was_exported_changes_nothing(document: dict[str, Any]) -> None:
    with transaction.atomic():
        apply(document)
        before, exported = everything(), config.export().document
        assert apply(exported, LATER).notes == ["Nothing to change."]
        assert everything() == before
        assert config.export().document == exported
        transaction.set_rollback(True)
