"""HubSpot: a contact for each person, a note for each further lead, and nothing of anybody's work overwritten."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from crm_sync import connectors
from crm_sync.connectors.base import Item
from crm_sync.connectors.hubspot import HubSpotConnector
from crm_sync.connectors.hubspot.declared import LEAD_SCOPES, SCOPES
from crm_sync.mapping import apply, suggested_rules
from crm_sync.outcomes import Delivered, DestinationFault, Outcome, Rejected, RetryLater, Throttled
from tests.connectors.laws import Connect, assert_a_lost_answer_leaves_one_record, connecting, key, push
from tests.fakes.hubspot import EXPIRED, TOKEN, FakeHubSpot
from tests.fakes.server import Answer, FakeCrm, Seen

ADA = {
    "email": "ada@fabrikam.example",
    "firstname": "Ada",
    "lastname": "Lovelace",
    "phone": "+1 425 555 0100",
    "message": "Offer: Contoso Backup",
    "hs_lead_name": "Contoso Backup: Ada Lovelace (INS)",
}
NOBODY = {"lastname": "Unknown", "message": "Offer: Contoso Backup"}


@pytest.fixture
def crm() -> Iterator[FakeHubSpot]:
    with FakeHubSpot() as crm:
        yield crm


@pytest.fixture
def connect(crm: FakeHubSpot) -> Iterator[Connect]:
    with connecting(HubSpotConnector, {"url": crm.url, "access_token": TOKEN}) as connect:
        yield connect


def writes(crm: FakeHubSpot) -> list[str]:
    return [f"{request.method} {request.path}" for request in crm.requests if request.is_write]


def only_id(crm: FakeHubSpot) -> str:
    (own,) = crm.kept["contacts"]
    return own


def is_creation(request: Seen) -> bool:
    return request.method == "POST" and request.path.endswith("/objects/contacts")


def is_note(request: Seen) -> bool:
    return request.method == "POST" and request.path.endswith("/objects/notes")


# --- The first lead of a person -------------------------------------------------------------------


def test_the_first_lead_of_a_person_is_a_contact_made_in_one_call(crm: FakeHubSpot, connect: Connect) -> None:
    outcome = push(connect, ADA)
    assert isinstance(outcome, Delivered)
    assert not outcome.existed
    properties = {name: value for name, value in ADA.items() if name != "hs_lead_name"}
    assert crm.contacts() == [{**properties, "leadsite_id": key(1)}]
    assert writes(crm) == ["POST /crm/v3/objects/contacts"]


def test_the_outcome_leads_to_the_contact_and_the_account_is_asked_once(
    crm: FakeHubSpot, connect: Connect
) -> None:
    first = push(connect, ADA)
    push(connect, {**ADA, "email": "bob@fabrikam.example"}, 2)
    assert isinstance(first, Delivered)
    assert first.remote_url == f"https://app.hubspot.com/contacts/62515/record/0-1/{first.remote_id}"
    assert [request.path for request in crm.requests].count("/account-info/v3/details") == 1


def test_a_lead_is_delivered_though_the_account_does_not_tell_its_address(
    crm: FakeHubSpot, connect: Connect
) -> None:
    crm.next(Answer(500), when=lambda request: request.path.startswith("/account-info"))
    assert push(connect, ADA) == Delivered(only_id(crm))


def test_a_lost_answer_leaves_one_contact(crm: FakeHubSpot, connect: Connect) -> None:
    """Also where the lead has no e-mail address: our key is unique to HubSpot."""
    assert_a_lost_answer_leaves_one_record(crm, connect, NOBODY, lambda: len(crm.kept["contacts"]))


def test_a_repeat_finds_the_contact_that_the_first_try_made(crm: FakeHubSpot, connect: Connect) -> None:
    for record in (ADA, NOBODY):
        crm.kept["contacts"].clear()
        crm.next("drop")
        first = push(connect, record)
        assert isinstance(first, RetryLater)
        assert first.uncertain
        outcome = push(connect, record, retry=True)
        assert isinstance(outcome, Delivered)
        assert (outcome.remote_id, outcome.existed) == (only_id(crm), True)
        assert crm.kept["notes"] == {}


def test_a_repeat_overwrites_nothing_that_salespeople_changed(crm: FakeHubSpot, connect: Connect) -> None:
    crm.next("drop")
    push(connect, ADA)
    crm.kept["contacts"][only_id(crm)]["properties"]["phone"] = "+1 425 555 0199"
    assert isinstance(push(connect, ADA, retry=True), Delivered)
    assert crm.contacts()[0]["phone"] == "+1 425 555 0199"


@pytest.mark.parametrize("named", [True, False])
def test_a_repeat_finds_its_contact_though_salespeople_changed_the_address(
    crm: FakeHubSpot, connect: Connect, named: bool
) -> None:
    crm.next("drop")
    push(connect, ADA)
    crm.kept["contacts"][only_id(crm)]["properties"]["email"] = "ada.lovelace@fabrikam.example"
    if not named:
        crm.next(Answer(409, {"message": "The contact exists.", "category": "CONFLICT"}))
    outcome = push(connect, ADA, retry=True)
    assert isinstance(outcome, Delivered)
    assert (outcome.remote_id, outcome.existed) == (only_id(crm), True)


def test_leads_without_an_e_mail_address_are_contacts_of_their_own(
    crm: FakeHubSpot, connect: Connect
) -> None:
    for number in (1, 2):
        assert isinstance(push(connect, NOBODY, number), Delivered)
    assert [contact["leadsite_id"] for contact in crm.contacts()] == [key(1), key(2)]


@pytest.mark.parametrize("unique", [False, None], ids=["not unique", "missing"])
def test_no_lead_without_an_address_is_written_where_hubspot_would_not_recognise_a_repeat(
    crm: FakeHubSpot, connect: Connect, unique: bool | None
) -> None:
    if unique is None:
        del crm.definitions["contacts"]["leadsite_id"]
    else:
        crm.definitions["contacts"]["leadsite_id"]["hasUniqueValue"] = unique
    outcome = push(connect, NOBODY)
    assert isinstance(outcome, DestinationFault)
    assert "Require unique values for this property" in outcome.reason
    assert crm.contacts() == []


def test_a_missing_property_for_our_key_stops_the_connection_and_says_how_to_make_it(
    crm: FakeHubSpot, connect: Connect
) -> None:
    definition = crm.definitions["contacts"].pop("leadsite_id")
    outcome = push(connect, ADA)
    assert isinstance(outcome, DestinationFault)
    assert "Settings > Properties > Create property, internal name leadsite_id" in outcome.reason
    crm.definitions["contacts"]["leadsite_id"] = definition
    assert isinstance(push(connect, ADA), Delivered)


# --- A person whom HubSpot has already --------------------------------------------------------------


def test_a_person_of_the_salespeople_is_held_for_a_decision(crm: FakeHubSpot, connect: Connect) -> None:
    theirs = crm.add_contact(email="ADA@fabrikam.example", phone="1")
    outcome = push(connect, ADA)
    assert isinstance(outcome, Rejected)
    assert outcome.duplicate_of == theirs
    assert crm.contacts() == [{"email": "ADA@fabrikam.example", "phone": "1"}]
    assert crm.notes_of(theirs) == []


def test_a_person_of_the_salespeople_is_skipped_where_the_connection_says_so(
    crm: FakeHubSpot, connect: Connect
) -> None:
    theirs = crm.add_contact(email="ada@fabrikam.example")
    outcome = push(connect, ADA, duplicates="skip")
    assert isinstance(outcome, Delivered)
    assert outcome.remote_id == theirs
    assert outcome.remote_url.endswith(f"/record/0-1/{theirs}")
    assert "Nothing was written" in outcome.note
    assert crm.contacts() == [{"email": "ada@fabrikam.example"}]


def test_a_lead_that_is_written_all_the_same_fills_what_is_empty_and_leaves_a_note(
    crm: FakeHubSpot, connect: Connect
) -> None:
    theirs = crm.add_contact(email="ada@fabrikam.example", phone="1")
    outcome = push(connect, ADA, duplicates="create")
    assert isinstance(outcome, Delivered)
    assert (outcome.remote_id, outcome.existed) == (theirs, False)
    (contact,) = crm.contacts()
    assert contact["phone"] == "1"
    assert (contact["firstname"], contact["leadsite_id"]) == ("Ada", key(1))
    (note,) = crm.notes_of(theirs)
    assert note.startswith("<strong>Contoso Backup: Ada Lovelace (INS)</strong><br>")
    assert "Phone number: +1 425 555 0100<br>" in note
    assert note.endswith(f"<br>Lead {key(1)}")


def test_a_further_lead_of_our_own_contact_is_a_note_without_a_question(
    crm: FakeHubSpot, connect: Connect
) -> None:
    push(connect, ADA)
    outcome = push(connect, {**ADA, "message": "Offer: Contoso Archive"}, 2)
    assert isinstance(outcome, Delivered)
    assert outcome.note == "HubSpot had this contact: the lead was added to it as a note."
    (contact,) = crm.contacts()
    assert contact["message"] == "Offer: Contoso Backup"
    assert contact["leadsite_id"] == key(1)
    (note,) = crm.notes_of(only_id(crm))
    assert "Message: Offer: Contoso Archive" in note


def test_a_lost_answer_leaves_one_note(crm: FakeHubSpot, connect: Connect) -> None:
    push(connect, ADA, 99)
    crm.next("drop", when=is_note)
    first = push(connect, ADA)
    assert isinstance(first, RetryLater)
    assert first.uncertain
    again = push(connect, ADA, retry=True)
    assert isinstance(again, Delivered)
    assert again.existed
    assert len(crm.notes_of(only_id(crm))) == 1


def test_two_workers_with_one_further_lead_leave_one_note(crm: FakeHubSpot, connect: Connect) -> None:
    """HubSpot keeps no note unique: the later of two takes its own away."""
    push(connect, ADA, 99)
    together = Barrier(2)

    def at_once(number: int) -> Outcome:
        together.wait()
        return push(connect, ADA, number)

    with ThreadPoolExecutor(2) as workers:
        for number in range(10):
            both = list(workers.map(at_once, [number, number]))
            assert kinds(both) == [Delivered] * 2
            assert len(crm.notes_of(only_id(crm))) == number + 1


def test_our_note_is_found_behind_many_others(crm: FakeHubSpot, connect: Connect) -> None:
    for number in range(6):
        push(connect, ADA, number)
    assert len(crm.notes_of(only_id(crm))) == 5
    for number in range(6):
        outcome = push(connect, ADA, number, retry=True)
        assert isinstance(outcome, Delivered)
        assert outcome.existed
    assert len(crm.notes_of(only_id(crm))) == 5


def test_text_of_a_lead_is_text_in_a_note(crm: FakeHubSpot, connect: Connect) -> None:
    push(connect, ADA)
    push(connect, {**ADA, "message": "<script>alert(1)</script>\n&", "hs_lead_name": "<b>"}, 2)
    (note,) = crm.notes_of(only_id(crm))
    assert "<strong>&lt;b&gt;</strong>" in note
    assert "&lt;script&gt;alert(1)&lt;/script&gt;<br>&amp;" in note


@pytest.mark.parametrize("letter", ["x", "&", "\n", "<"])
def test_a_note_keeps_within_hubspots_limit_and_ends_in_our_key(
    crm: FakeHubSpot, connect: Connect, letter: str
) -> None:
    push(connect, ADA)
    outcome = push(connect, {**ADA, "message": letter * 65_536}, 2)
    assert isinstance(outcome, Delivered), outcome
    (note,) = crm.notes_of(only_id(crm))
    assert len(note) <= 65_536
    assert note.endswith(f"…<br>Lead {key(2)}")
    assert isinstance(push(connect, ADA, 2, retry=True), Delivered)
    assert len(crm.notes_of(only_id(crm))) == 1


def test_a_contact_that_is_gone_when_it_is_looked_at_is_tried_again(
    crm: FakeHubSpot, connect: Connect
) -> None:
    crm.next(Answer(409, {"message": "Contact already exists. Existing ID: 77", "category": "CONFLICT"}))
    assert isinstance(push(connect, ADA), RetryLater)
    assert isinstance(push(connect, ADA), Delivered)


# --- Lead records -----------------------------------------------------------------------------------


def test_each_lead_can_be_a_lead_record_too(crm: FakeHubSpot, connect: Connect) -> None:
    for number in (1, 2):
        assert isinstance(push(connect, ADA, number, lead_as="lead"), Delivered)
    records = [record["properties"] for record in crm.kept["leads"].values()]
    assert records == [{"hs_lead_name": ADA["hs_lead_name"], "leadsite_id": key(number)} for number in (1, 2)]
    assert len(crm.contacts()) == len(crm.notes_of(only_id(crm))) == 1


def test_a_lost_answer_leaves_one_lead_record(crm: FakeHubSpot, connect: Connect) -> None:
    crm.next("drop", when=lambda request: request.path.endswith("/objects/leads"))
    first = push(connect, ADA, lead_as="lead")
    assert isinstance(first, RetryLater)
    assert first.uncertain
    assert isinstance(push(connect, ADA, retry=True, lead_as="lead"), Delivered)
    assert len(crm.kept["leads"]) == len(crm.contacts()) == 1


def test_lead_records_that_hubspot_does_not_keep_unique_are_not_written(
    crm: FakeHubSpot, connect: Connect
) -> None:
    crm.definitions["leads"]["leadsite_id"]["hasUniqueValue"] = False
    outcome = push(connect, ADA, lead_as="lead")
    assert isinstance(outcome, DestinationFault)
    assert "no lead property “leadsite_id” with unique values" in outcome.reason
    assert crm.kept["leads"] == {}


def test_a_plan_without_lead_records_stops_the_connection_until_it_has_them(
    crm: FakeHubSpot, connect: Connect
) -> None:
    crm.has_lead_records = False
    assert isinstance(push(connect, ADA, lead_as="lead"), DestinationFault)
    crm.has_lead_records = True
    assert isinstance(push(connect, ADA, lead_as="lead"), Delivered)
    assert len(crm.kept["leads"]) == len(crm.contacts()) == 1


# --- Do not contact ---------------------------------------------------------------------------------


def values(**more: str) -> dict[str, object]:
    return {"action": "INS", "offer_title": "Contoso Backup", **more}


def mapped(**more: str) -> dict[str, Any]:
    applied = apply(suggested_rules(HubSpotConnector.spec), values(**more))
    assert applied.problems == ()
    return applied.record


def test_who_must_not_be_contacted_is_unsubscribed(crm: FakeHubSpot, connect: Connect) -> None:
    for number, action in enumerate(("INS", "DNC")):
        record = mapped(action=action, email=f"{action}+x/y@fabrikam.example")
        assert isinstance(push(connect, record, number), Delivered)
    assert crm.opted_out == {"DNC+x/y@fabrikam.example"}
    assert len(crm.contacts()) == 2


def test_a_repeat_unsubscribes_whom_the_first_try_could_not(crm: FakeHubSpot, connect: Connect) -> None:
    crm.scopes.discard("communication_preferences.write")
    record = mapped(action="DNC", email="ada@fabrikam.example")
    outcome = push(connect, record)
    assert isinstance(outcome, DestinationFault)
    assert "communication_preferences.write" in outcome.reason
    crm.scopes.add("communication_preferences.write")
    again = push(connect, record)
    assert isinstance(again, Delivered)
    assert again.existed
    assert crm.opted_out == {"ada@fabrikam.example"}


def test_who_must_not_be_contacted_and_has_no_address_is_a_contact_all_the_same(
    crm: FakeHubSpot, connect: Connect
) -> None:
    assert isinstance(push(connect, mapped(action="DNC")), Delivered)
    assert crm.opted_out == set()


# --- The mapping and the fields -----------------------------------------------------------------------


def test_the_suggested_mapping_loses_nothing(crm: FakeHubSpot, connect: Connect) -> None:
    record = mapped(
        first_name="Zoë",
        last_name="Nagy",
        full_name="Zoë Nagy",
        email="zoe@fabrikam.example",
        phone="1",
        company="Fabrikam",
        title="CTO",
        country="HU",
        lead_source="AzureMarketplace-INS|contoso.backup",
        action_label="Acquired",
        description="Call me",
    )
    assert isinstance(push(connect, record), Delivered)
    (contact,) = crm.contacts()
    assert contact["message"] == (
        "Call me\n\nOffer: Contoso Backup\nAction: Acquired (INS)\nSource: AzureMarketplace-INS|contoso.backup"
    )
    assert contact["country"] == "Hungary"
    assert (contact["jobtitle"], contact["company"]) == ("CTO", "Fabrikam")
    assert record["hs_lead_name"] == "Contoso Backup: Zoë Nagy (INS)"


def test_a_lead_without_any_values_is_a_contact(crm: FakeHubSpot, connect: Connect) -> None:
    applied = apply(suggested_rules(HubSpotConnector.spec), {})
    assert isinstance(push(connect, applied.record), Delivered)
    assert crm.contacts() == [{"lastname": "Unknown", "leadsite_id": key(1)}]


def test_the_fields_are_the_properties_that_can_be_written(crm: FakeHubSpot, connect: Connect) -> None:
    fields = {field.name: field for field in connect().describe_fields()}
    assert fields["email"].type == "email"
    assert fields["phone"].type == "phone"
    assert fields["firstname"].max_length == 65_536
    assert fields["hs_lead_status"].choices == (("NEW", "New"), ("UNQUALIFIED", "Unqualified"))
    assert fields["numemployees"].type == "number"
    assert "hs_object_id" not in fields
    assert fields["hs_email_optout"].label == "Unsubscribe from all e-mail"
    assert fields["message"].suggested == connectors.get("hubspot").spec.fields[7].suggested


def test_every_value_is_sent_as_text_and_an_option_by_its_internal_value(
    crm: FakeHubSpot, connect: Connect
) -> None:
    fields = connect().describe_fields()
    record = {**ADA, "hs_lead_status": "Unqualified", "numemployees": "12"}
    assert isinstance(push(connect, record, fields=fields), Delivered)
    (contact,) = crm.contacts()
    assert (contact["hs_lead_status"], contact["numemployees"]) == ("UNQUALIFIED", "12")


def test_a_text_that_is_too_long_is_cut_and_told(crm: FakeHubSpot, connect: Connect) -> None:
    outcome = push(connect, {**ADA, "message": "x" * 70_000})
    assert isinstance(outcome, Delivered)
    assert "“Message” was cut from 70,000 to 65,536 characters" in outcome.note
    assert len(crm.contacts()[0]["message"]) == 65_536


@pytest.mark.parametrize(
    ("record", "field"),
    [
        ({**ADA, "favourite_colour": "red"}, "favourite_colour"),
        ({**ADA, "hs_lead_status": "LOST"}, "hs_lead_status"),
        ({**ADA, "hs_object_id": "1"}, "hs_object_id"),
        ({**ADA, "email": "ada at fabrikam"}, "email"),
    ],
)
def test_a_refusal_names_the_property(
    crm: FakeHubSpot, connect: Connect, record: dict[str, str], field: str
) -> None:
    outcome = push(connect, record)
    assert isinstance(outcome, Rejected)
    assert outcome.field == field
    assert crm.contacts() == []


# --- Backlogs -----------------------------------------------------------------------------------------


def items(*records: dict[str, Any]) -> list[Item]:
    return [Item(record, key(number), retry=False) for number, record in enumerate(records, 1)]


def of(name: str, **more: str) -> dict[str, str]:
    return {**ADA, "email": f"{name}@fabrikam.example", **more}


def kinds(outcomes: Any) -> list[type[Outcome]]:
    return [type(outcome) for outcome in outcomes]


def test_a_backlog_is_one_call_and_each_lead_has_its_own_outcome(crm: FakeHubSpot, connect: Connect) -> None:
    theirs = crm.add_contact(email="bob@fabrikam.example")
    batch = items(of("ada"), of("bob"), of("cid", hs_lead_status="LOST"), of("dot"), NOBODY)
    told = connect().push_many(batch)
    assert kinds(told) == [Delivered, Rejected, Rejected, Delivered, Delivered]
    assert isinstance(told[1], Rejected)
    assert told[1].duplicate_of == theirs
    assert isinstance(told[2], Rejected)
    assert told[2].field == "hs_lead_status"
    assert isinstance(told[0], Delivered)
    assert told[0].remote_url.endswith(f"/{told[0].remote_id}")
    assert len(crm.contacts()) == 4
    assert writes(crm).count("POST /crm/v3/objects/contacts/batch/create") == 1


def test_a_batch_whose_answer_was_lost_is_repeated_without_a_second_contact(
    crm: FakeHubSpot, connect: Connect
) -> None:
    batch = items(*(of(str(number)) for number in range(10)))
    crm.next("drop")
    first = connect().push_many(batch)
    assert all(isinstance(outcome, RetryLater) and outcome.uncertain for outcome in first)
    assert all(isinstance(outcome, Delivered) and outcome.existed for outcome in connect().push_many(batch))
    assert len(crm.contacts()) == 10
    assert crm.kept["notes"] == {}


def test_two_leads_of_one_person_in_a_batch_are_a_contact_and_a_note(
    crm: FakeHubSpot, connect: Connect
) -> None:
    told = connect().push_many(items(of("ada"), of("bob"), of("ADA", firstname="A.")))
    assert kinds(told) == [Delivered] * 3
    assert len(crm.contacts()) == 2
    assert len(crm.kept["notes"]) == 1


@pytest.mark.parametrize("status", [400, 404, 409])
def test_a_batch_that_hubspot_refuses_as_a_whole_goes_one_by_one(
    crm: FakeHubSpot, connect: Connect, status: int
) -> None:
    crm.next(Answer(status, {"message": "No.", "category": "VALIDATION_ERROR"}))
    told = connect().push_many(items(of("ada"), of("bob"), of("cid", hs_lead_status="LOST")))
    assert kinds(told) == [Delivered, Delivered, Rejected]


def test_a_record_of_a_batch_that_failed_for_no_fault_of_its_own_is_not_rejected(
    crm: FakeHubSpot, connect: Connect
) -> None:
    error = {"status": "error", "category": "INTERNAL_ERROR", "message": "Internal error"}
    errors = [{**error, "context": {"objectWriteTraceId": [key(number)]}} for number in (1, 2)]
    crm.next(Answer(207, {"status": "COMPLETE", "results": [], "numErrors": 2, "errors": errors}))
    assert kinds(connect().push_many(items(of("ada"), of("bob")))) == [Delivered] * 2


@pytest.mark.parametrize("properties", [None, [], "text", {"leadsite_id": 7}])
def test_a_contact_of_a_strange_shape_breaks_no_push(
    crm: FakeHubSpot, connect: Connect, properties: object
) -> None:
    crm.add_contact(email="ada@fabrikam.example", leadsite_id="7")
    answer = Answer(200, {"id": "512", "properties": properties})
    crm.next(answer, when=lambda request: request.path.endswith("/contacts/512"))
    assert isinstance(push(connect, ADA), Rejected | Delivered)


def test_a_limit_holds_a_whole_batch(crm: FakeHubSpot, connect: Connect) -> None:
    crm.next(Answer(429, {"message": "Limit.", "policyName": "TEN_SECONDLY_ROLLING"}))
    told = connect().push_many(items(of("ada"), of("bob")))
    assert kinds(told) == [Throttled] * 2
    assert crm.contacts() == []


def test_lead_records_of_a_backlog_are_made_one_by_one(crm: FakeHubSpot, connect: Connect) -> None:
    told = connect(lead_as="lead").push_many(items(of("ada"), of("bob")))
    assert kinds(told) == [Delivered] * 2
    assert len(crm.kept["leads"]) == 2


# --- Limits -------------------------------------------------------------------------------------------


def test_the_limit_of_the_day_ends_at_midnight_where_the_account_is(
    crm: FakeHubSpot, connect: Connect
) -> None:
    crm.next(Answer(429, {"message": "Limit.", "policyName": "DAILY"}))
    outcome = push(connect, ADA)
    assert isinstance(outcome, Throttled)
    assert outcome.delay is not None
    assert 0 < outcome.delay <= 24 * 3600


# --- The connection test --------------------------------------------------------------------------------


def test_the_connection_test_says_where_and_what(crm: FakeHubSpot, connect: Connect) -> None:
    check = connect().check()
    assert check.findings == (
        "Connected to the HubSpot account 62515 (app.hubspot.com).",
        "Can create contacts: yes.",
        "Can unsubscribe who must not be contacted: yes.",
        "The property leadsite_id is there, with unique values: contact.",
    )
    assert check.ok
    assert crm.contacts() == []


def test_the_connection_test_of_a_token_whose_scopes_hubspot_does_not_tell(
    crm: FakeHubSpot, connect: Connect
) -> None:
    crm.tells_scopes = False
    check = connect().check()
    assert check.ok
    assert (
        "Can read contacts: yes. HubSpot does not tell whether this token can create them." in check.findings
    )


def test_the_connection_test_names_each_missing_scope(crm: FakeHubSpot, connect: Connect) -> None:
    for tells in (True, False):
        crm.tells_scopes = tells
        missing = "crm.objects.contacts.write" if tells else "crm.objects.contacts.read"
        crm.scopes.discard(missing)
        check = connect().check()
        assert not check.ok
        assert isinstance(check.outcome, DestinationFault)
        assert missing in check.findings[0]
        crm.scopes.add(missing)
    crm.scopes.discard("communication_preferences.write")
    crm.tells_scopes = True
    assert "no, communication_preferences.write is missing." in connect().check().findings[2]


@pytest.mark.parametrize("kind", ["contacts", "leads"])
def test_the_connection_test_says_which_property_is_missing(
    crm: FakeHubSpot, connect: Connect, kind: str
) -> None:
    crm.definitions[kind]["leadsite_id"]["hasUniqueValue"] = False
    check = connect(lead_as="lead").check()
    assert isinstance(check.outcome, DestinationFault)
    assert f"HubSpot has no {kind[:-1]} property “leadsite_id” with unique values" in check.findings[0]
    crm.definitions[kind]["leadsite_id"]["hasUniqueValue"] = True
    assert connect(lead_as="lead").check().ok


def findings(url: str, token: str = TOKEN, **options: Any) -> tuple[str, ...]:
    with connecting(HubSpotConnector, {"url": url, "access_token": token}) as connect:
        check = connect(**options).check()
    assert not check.ok
    return check.findings


def test_the_connection_test_has_a_sentence_for_everything_that_can_be_wrong(crm: FakeHubSpot) -> None:
    assert "HubSpot does not know this access token: enter it anew" in findings(crm.url, "pat-na1-wrong")[0]
    assert "The access token has expired: enter a new one" in findings(crm.url, EXPIRED)[0]
    assert "The CRM knows nothing at this address (HTTP 404)" in findings(f"{crm.url}/wrong")[0]
    crm.next(Answer(503, "<title>Down</title>"), when=lambda request: True)
    assert findings(crm.url) == ("The CRM failed (HTTP 503): Down",)
    crm.scopes.clear()
    assert "crm.objects.contacts.read, crm.objects.contacts.write" in findings(crm.url)[0]


def test_the_connection_test_tells_another_server_from_hubspot() -> None:
    class Elsewhere(FakeCrm):
        def answer(self, request: Seen) -> Answer:
            return Answer(200, "<html>Welcome</html>")

    with Elsewhere() as other:
        told = findings(other.url)
    assert told == ("This address does not answer as HubSpot's API does: correct it.",)


def test_the_connection_test_distrusts_a_certificate_that_does_not_fit() -> None:
    with FakeHubSpot(tls=True) as crm:
        told = findings(crm.url)
    assert "The certificate of 127.0.0.1 was not accepted" in told[0]


def test_the_help_of_the_settings_names_the_scopes_that_are_checked() -> None:
    token, lead_as = (HubSpotConnector.spec.setting(name) for name in ("access_token", "lead_as"))
    assert token is not None
    assert lead_as is not None
    assert ", ".join(SCOPES) in token.help
    assert ", ".join(LEAD_SCOPES) in lead_as.help
