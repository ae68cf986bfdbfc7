"""Every kind of CRM can be set up from a configuration file and in the admin, and its secrets stay secret."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.urls import reverse

from crm_sync import config, connectors, mapping
from crm_sync.connectors.base import Connector
from crm_sync.models import Destination, Route, effective_rules
from tests.crm_sync.screens import press, text_of
from tests.crm_sync.sending import make_lead, make_offer
from tests.crm_sync.test_contract import Recording
from tests.staff import signed_in

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
KINDS = [kind for kind in connectors.all() if kind.spec.slug != "demo"]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=[kind.spec.slug for kind in KINDS])


def settings_of(kind: type[Connector]) -> dict[str, str]:
    """Settings that a recorded push was made with; an address may stand inside."""
    return Recording.read(kind.spec.slug).settings


@every_kind
def test_config_apply_sets_up_each_kind_and_exports_no_secret(
    kind: type[Connector], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, written = settings_of(kind), {}
    for name, value in settings.items():
        if name in kind.spec.secret_names:
            monkeypatch.setenv(f"TEST_{name.upper()}", value)
            value = f"env:TEST_{name.upper()}"
        written[name] = value
    document: dict[str, Any] = {
        "offers": [{"publisher_id": "contoso", "offer_id": "backup", "title": "Contoso Backup"}],
        "destinations": [{"name": "crm", "connector": kind.spec.slug, "settings": written}],
        "routes": [{"offer": "contoso.backup", "destination": "crm"}],
    }
    notes = config.apply(json.dumps(document), NOW).notes
    assert not [note for note in notes if "requires" in note], notes
    stored = Destination.objects.get()
    assert {name: stored.all_settings()[name] for name in settings} == settings
    assert set(stored.settings).isdisjoint(kind.spec.secret_names)
    exported = json.dumps(config.export().document)
    for name in kind.spec.secret_names & settings.keys():
        assert settings[name] not in exported


@every_kind
@pytest.mark.parametrize("action", ["INS", "PLT", "DNC", "Create", "StartTestDrive", ""])
def test_the_suggested_mapping_makes_a_record_of_every_lead(kind: type[Connector], action: str) -> None:
    """Also of one that brings nothing but its action: whatever the CRM requires is filled."""
    destination = Destination.objects.create(name="crm", connector=kind.spec.slug, settings=settings_of(kind))
    route = Route.objects.create(offer=make_offer(), destination=destination)
    bare = make_lead(route.offer, last_name="", title="", action=action)
    full = make_lead(route.offer, first_name="Ada", last_name="Lovelace", email="ada@fabrikam.example")
    for lead in (bare, full):
        applied = mapping.apply(effective_rules(route), lead.values())
        assert not applied.problems
        required = {field.name for field in kind.spec.fields if field.required}
        assert required <= applied.record.keys(), required - applied.record.keys()
        assert None not in applied.record.values()


@every_kind
def test_no_lead_is_too_long_for_a_suggested_mapping(kind: type[Connector]) -> None:
    values = dict.fromkeys((*mapping.LEAD_VALUES, "extra.notes"), "ä" * 20000) | {"action": "DNC"}
    for left_out in ("", "last_name", "company", "country_code"):
        applied = mapping.apply(mapping.suggested_rules(kind.spec), {**values, left_out: ""})
        assert not applied.problems


@every_kind
def test_the_form_of_each_kind_asks_for_its_settings_and_never_shows_a_secret_again(
    kind: type[Connector], settings: Any
) -> None:
    settings.ALLOW_PRIVATE_DESTINATIONS = True
    values, alice = settings_of(kind), signed_in("alice")
    url = f"{reverse('admin:crm_sync_destination_add')}?connector={kind.spec.slug}"
    text = text_of(alice, url)
    for setting in kind.spec.settings:
        assert setting.label in text
    posted = {f"setting_{name}": value for name, value in values.items()}
    limits = {"max_in_flight": "5", "keep_tries_days": "90"}
    press(alice, url, name="Our CRM", **limits, **posted)
    stored = Destination.objects.get()
    kept = {name: value.replace("\r\n", "\n").strip() for name, value in stored.all_settings().items()}
    assert {name: kept[name] for name in values} == {name: value.strip() for name, value in values.items()}
    page = alice.get(reverse("admin:crm_sync_destination_change", args=[stored.pk])).content.decode()
    for name in kind.spec.secret_names & values.keys():
        assert values[name] not in page
