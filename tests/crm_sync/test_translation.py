"""Texts of modules that know no Django reach their readers in their language; what is data stays as it is."""

import ast
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import settings
from django.utils import timezone
from django.utils.translation import get_language, override

import crm_sync
from crm_sync import catalogue, connectors, health, pushing, trial
from crm_sync.addresses import Policy
from crm_sync.connectors.answers import Said
from crm_sync.connectors.base import Request
from crm_sync.http import Pool
from crm_sync.mails import because
from crm_sync.models import DestinationState
from crm_sync.outcomes import Delivered, Outcome, Rejected
from crm_sync.personal_data import without_crms_words
from crm_sync.spec import TargetField
from leads.texts import translator
from tests.crm_sync.sending import make_destination
from tests.crm_sync.test_contract import RECORDINGS, Recording, assert_sent, build, staged
from tests.fakes.email import Postbox

TO_CRMS = [path for path in RECORDINGS if connectors.get(path.parent.name).protocol == "HTTP"]


@pytest.fixture(autouse=True)
def _marked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A language in which every text stands in angles, after the code of the one that is active."""
    monkeypatch.setattr(
        translator, "one", lambda message: f"‹{get_language()}: {message}›" if message else ""
    )
    monkeypatch.setattr(
        translator, "count", lambda one, many, number: f"‹{get_language()}: {one if number == 1 else many}›"
    )


@pytest.mark.parametrize("connector", connectors.all(), ids=lambda connector: connector.spec.slug)
def test_what_a_kind_of_crm_declares_is_shown_in_words(connector: type[connectors.Connector]) -> None:
    said, declared = connector.spec.in_words(), connector.spec
    shown = [said.label, *(text for each in said.settings for text in (each.label, each.help))]
    shown += [label for each in said.settings for _value, label in each.choices]
    shown += [each.label for each in said.fields] + [said.idempotent_by]
    assert [text for text in shown if text and not text.startswith("‹")] == []

    assert [each.name for each in said.fields] == [each.name for each in declared.fields]
    assert [each.choices for each in said.fields] == [each.choices for each in declared.fields]
    assert [each.default for each in said.settings] == [each.default for each in declared.settings]


NAMES = {"Dynamics 365 Sales", "HubSpot", "Odoo", "Salesforce"}  # of products: the same in every language


def marked() -> set[str]:
    """Every text that is marked in this app."""
    trees = (ast.parse(path.read_text("utf-8")) for path in Path(crm_sync.__path__[0]).rglob("*.py"))
    calls = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call))
    arguments = (
        call.args for call in calls if getattr(call.func, "id", "") in {"_", "gettext_noop", "ngettext"}
    )
    return {each.value for args in arguments for each in args if isinstance(each, ast.Constant)}


def test_what_a_kind_of_crm_declares_is_marked() -> None:
    declared: set[str] = set()
    for connector in connectors.all():
        spec = connector.spec
        declared |= {spec.label, spec.idempotent_by, *(row.meaning for row in connector.errors)}
        declared |= {text for each in spec.settings for text in (each.label, each.help)}
        declared |= {label for each in spec.settings for _value, label in each.choices}
        declared |= {each.label for each in spec.fields if each.label.split(": ")[-1] != each.name}
    said = {text for text in declared if any(map(str.isalpha, text))}
    assert said - marked() - NAMES == set()


@pytest.mark.django_db
def test_what_a_crm_calls_its_own_fields_stays_its_word() -> None:
    destination = make_destination("salesforce", name="Salesforce")
    assert destination.spec_in_words.fields[0].label == "‹en: Last Name›"
    catalogue.store(destination, [TargetField("LastName", "Last Name")], timezone.now())
    destination.refresh_from_db()
    assert [field.label for field in destination.spec_in_words.fields] == ["Last Name"]
    assert destination.spec_in_words.settings[0].label == "‹en: My Domain address›"


@pytest.mark.django_db
def test_a_field_that_is_ours_among_those_of_the_crm_is_told_in_our_words() -> None:
    destination = make_destination("hubspot", name="HubSpot")
    read = [TargetField("email", "Email"), *(field for field in destination.spec.fields if field.ours)]
    catalogue.store(destination, read, timezone.now())
    destination.refresh_from_db()
    assert [field.label for field in destination.spec_in_words.fields] == [
        "Email",
        "‹en: Title of the note or lead record›",
        "‹en: Unsubscribe from all e-mail›",
    ]


@pytest.mark.django_db
def test_a_sample_mail_is_in_the_language_of_the_installation_as_every_later_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    destination = make_destination("email", name="Sales")
    destination.store_settings({"to": "sales@contoso.example", "include_details": "true"})
    destination.save()
    with Postbox() as postbox:
        monkeypatch.setattr(pushing, "site", postbox.site)
        monkeypatch.setattr(pushing, "_pool", lambda is_demo: Pool(Policy(allow_private=True)))
        with override("de"):
            record = trial.sample_of(destination).record
            sent = trial.push_sample(destination, record, uuid4(), at=timezone.now())
            assert get_language() == "de"
    assert isinstance(sent, tuple)
    assert isinstance(sent[0], Delivered), sent
    (mail,) = postbox.mails
    text = mail.message.get_body(("plain",)).get_content()
    assert f"‹{settings.LANGUAGE_CODE}: " in text
    assert "‹de: " not in text


@pytest.mark.parametrize("path", TO_CRMS, ids=[f"{path.parent.name}-{path.stem}" for path in TO_CRMS])
def test_what_is_sent_and_what_it_comes_to_is_the_same_in_every_language(path: Path) -> None:
    recording = Recording.read(path.parent.name, path.stem)
    stage = staged(recording)
    outcome = build(connectors.get(path.parent.name), recording, stage).push(
        recording.record, key=recording.key, retry=recording.retry
    )

    assert without_texts(outcome) == without_texts(recording.expected())
    for seen, exchange in zip(stage.seen, recording.exchanges, strict=True):
        assert_sent(seen, Request(**exchange["request"]))


def without_texts(outcome: Outcome) -> Outcome:
    return replace(outcome, note="") if isinstance(outcome, Delivered) else replace(outcome, reason="")


def test_a_reason_keeps_its_shape_so_that_the_words_of_the_crm_can_be_told_from_ours() -> None:
    recording = Recording.read("webhook")
    subject = build(connectors.get("webhook"), recording, staged(recording))
    outcome = subject.verdict(422, Said(words="Jane is there already"), write=True)
    assert isinstance(outcome, Rejected)
    assert outcome.reason == "‹en: The CRM refuses this lead› (HTTP 422): Jane is there already"
    assert "Jane" not in without_crms_words(outcome.reason)
    assert because(outcome.reason) == " (‹en: The CRM refuses this lead›, HTTP 422)"


@pytest.mark.django_db
def test_what_a_test_finds_is_kept_in_the_language_of_the_installation() -> None:
    destination = make_destination("demo", name="Demo CRM")
    with override("de"):
        health.check(destination, at=timezone.now())
        assert get_language() == "de"
    found = DestinationState.objects.get(pk=destination.pk).findings
    assert found == [f"‹{settings.LANGUAGE_CODE}: The demo CRM inside this app is ready and takes leads.›"]
