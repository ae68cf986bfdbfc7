"""Laws of the Salesforce connector, against a fake that two vendors' clients prove (tests/independent)."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from crm_sync.connectors.base import Item
from crm_sync.connectors.salesforce import SalesforceConnector
from crm_sync.mapping import apply, suggested_rules, unmapped_required
from crm_sync.outcomes import Delivered, DestinationFault, Rejected, RetryLater, Throttled
from crm_sync.recorder import Recorder
from tests.connectors.laws import (
    Connect,
    assert_a_lost_answer_leaves_one_record,
    connecting,
    key,
    push,
)
from tests.fakes.salesforce import ADA, CLIENT_ID, CLIENT_SECRET, QUEUE, USERNAME, FakeSalesforce
from tests.fakes.server import Answer, Seen

VALUES = {
    "id": "0b9c4d4e-6f0a-4b57-9f3e-2a54c1d3e701",
    "first_name": "Zoë",
    "last_name": "Nagy",
    "email": "zoe.nagy@fabrikam.example",
    "phone": "+36 1 555 0100",
    "company": "Fabrikam",
    "title": "Head of IT",
    "country": "HU",
    "country_code": "HU",
    "lead_source": "AzureMarketplace-PLT|contoso.backup",
    "action": "PLT",
    "action_label": "Contact me",
    "offer_title": "Contoso Backup",
    "description": "Please call after 3 pm.",
}
RULES = suggested_rules(SalesforceConnector.spec)
RECORD = apply(RULES, VALUES).record
ANOTHER = {**RECORD, "Email": "ede.kiss@fabrikam.example"}


@pytest.fixture
def crm() -> Iterator[FakeSalesforce]:
    with FakeSalesforce() as fake:
        yield fake


@pytest.fixture
def connect(crm: FakeSalesforce) -> Iterator[Connect]:
    settings = {"url": crm.url, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    with connecting(SalesforceConnector, settings) as connect:
        yield connect


def writes(crm: FakeSalesforce) -> list[Seen]:
    return [request for request in crm.requests if request.is_write and "oauth2" not in request.path]


def sign_ins(crm: FakeSalesforce) -> int:
    return sum("oauth2" in request.path for request in crm.requests)


def private_key(kind: str = "rsa", passphrase: str = "") -> tuple[str, str]:
    """A private key and its public half, in PEM."""
    key = rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())
    locked = (
        serialization.BestAvailableEncryption(passphrase.encode())
        if passphrase
        else serialization.NoEncryption()
    )
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private.decode(), public.decode()


# --- What is written ------------------------------------------------------------------------------


def test_a_lead_arrives_with_all_that_it_says(crm: FakeSalesforce, connect: Connect) -> None:
    outcome = push(connect, RECORD)
    lead = crm.lead(key(1))
    assert outcome == Delivered(lead["Id"], f"{crm.url}/lightning/r/Lead/{lead['Id']}/view")
    assert {name: lead[name] for name in ("FirstName", "LastName", "Company", "Title", "Country")} == {
        "FirstName": "Zoë",
        "LastName": "Nagy",
        "Company": "Fabrikam",
        "Title": "Head of IT",
        "Country": "Hungary",
    }
    assert lead["LeadSource"] == "AzureMarketplace-PLT|contoso.backup"
    for said in (
        "Contoso Backup",
        "Contact me (PLT)",
        "AzureMarketplace-PLT",
        "HU",
        "Please call after 3 pm.",
    ):
        assert said in lead["Description"]
    assert "DoNotCall" not in lead


def test_a_lead_without_any_value_still_makes_a_record(crm: FakeSalesforce, connect: Connect) -> None:
    assert isinstance(push(connect, apply(RULES, {}).record), Delivered)
    lead = crm.lead(key(1))
    assert (lead["LastName"], lead["Company"]) == ("Unknown", "Unknown")
    assert "Description" not in lead


def test_a_lead_without_a_name_is_called_by_its_address() -> None:
    record = apply(RULES, {"email": "zoe.nagy@fabrikam.example"}).record
    assert (record["LastName"], record["Company"]) == ("zoe.nagy", "fabrikam.example")


def test_a_description_of_any_length_is_mapped() -> None:
    applied = apply(RULES, {**VALUES, "description": "x" * 40_000})
    assert not applied.problems
    assert 8_000 < len(str(applied.record["Description"])) <= 10_000


def test_a_customer_who_is_not_to_be_contacted_is_marked_so(crm: FakeSalesforce, connect: Connect) -> None:
    push(connect, apply(RULES, {**VALUES, "action": "DNC"}).record)
    lead = crm.lead(key(1))
    assert lead["DoNotCall"] is True
    assert lead["HasOptedOutOfEmail"] is True


def test_a_text_that_is_too_long_is_cut_and_the_outcome_says_so(
    crm: FakeSalesforce, connect: Connect
) -> None:
    outcome = push(connect, {**RECORD, "Title": "é" * 129})
    assert crm.lead(key(1))["Title"] == "é" * 127 + "…"
    assert isinstance(outcome, Delivered)
    assert "“Title” was cut from 129 to 128" in outcome.note


def test_the_key_is_never_written_in_the_body(crm: FakeSalesforce, connect: Connect) -> None:
    assert isinstance(push(connect, {**RECORD, "leadsite_id__c": "x", "Id": "y"}), Delivered)
    assert crm.lead(key(1))["LastName"] == "Nagy"


# --- Once only ------------------------------------------------------------------------------------


def test_a_lost_answer_leaves_one_lead(crm: FakeSalesforce, connect: Connect) -> None:
    connect().check()  # signs in, so that it is the lead's own answer that is lost
    assert_a_lost_answer_leaves_one_record(crm, connect, RECORD, lambda: len(crm.leads))


def test_a_retry_does_not_overwrite_what_a_salesperson_changed(crm: FakeSalesforce, connect: Connect) -> None:
    push(connect, RECORD)
    crm.lead(key(1))["LastName"] = "Nagy-Kovács"
    before = len(writes(crm))
    outcome = push(connect, RECORD, retry=True)
    assert isinstance(outcome, Delivered)
    assert (outcome.remote_id, outcome.existed) == (crm.lead(key(1))["Id"], True)
    assert crm.lead(key(1))["LastName"] == "Nagy-Kovács"
    assert len(writes(crm)) == before


def test_a_retry_of_what_never_arrived_writes_it(crm: FakeSalesforce, connect: Connect) -> None:
    outcome = push(connect, RECORD, retry=True)
    assert isinstance(outcome, Delivered)
    assert not outcome.existed
    assert len(crm.leads) == 1


@pytest.mark.parametrize("hidden", [False, True])
def test_of_two_at_once_the_slower_finds_the_lead_of_the_other(
    crm: FakeSalesforce, connect: Connect, hidden: bool
) -> None:
    """Also where Salesforce does not say which value is taken, and by whom."""
    push(connect, RECORD)
    crm.racing, crm.unknown_conflicts = True, hidden
    outcome = push(connect, RECORD)
    assert isinstance(outcome, Delivered)
    assert outcome.existed
    assert crm.lead(key(1))["Id"].startswith(outcome.remote_id)


def test_a_duplicate_rule_that_finds_the_very_lead_does_no_harm(
    crm: FakeSalesforce, connect: Connect
) -> None:
    push(connect, RECORD)
    crm.racing, crm.rule = True, "block"
    outcome = push(connect, RECORD)
    assert isinstance(outcome, Delivered)
    assert (outcome.remote_id, outcome.existed) == (crm.lead(key(1))["Id"], True)


def test_a_lead_that_was_converted_meanwhile_is_there(crm: FakeSalesforce, connect: Connect) -> None:
    push(connect, RECORD)
    crm.lead(key(1))["IsConverted"] = True
    for retry in (False, True):
        outcome = push(connect, RECORD, retry=retry)
        assert isinstance(outcome, Delivered)
        assert outcome.existed


def test_two_leads_with_one_key_are_told_in_words(crm: FakeSalesforce, connect: Connect) -> None:
    push(connect, RECORD)
    twin = {**crm.lead(key(1)), "Id": "00Q5g00000TwinAAAA"}
    crm.leads[twin["Id"]] = twin
    for retry in (False, True):
        outcome = push(connect, RECORD, retry=retry)
        assert isinstance(outcome, Rejected)
        assert "not Unique" in outcome.reason
        assert "00Q5g00000TwinAAAA" in outcome.reason


# --- Signing in -----------------------------------------------------------------------------------


def test_a_token_is_asked_for_once(crm: FakeSalesforce, connect: Connect) -> None:
    for number in range(3):
        push(connect, RECORD, number)
    assert sign_ins(crm) == 1


def test_a_token_that_ended_is_renewed_once(crm: FakeSalesforce, connect: Connect) -> None:
    push(connect, RECORD)
    crm.expire_tokens()
    assert isinstance(push(connect, ANOTHER, 2), Delivered)
    assert sign_ins(crm) == 2
    for _ in range(2):
        crm.next(
            Answer(401, [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]),
            when=lambda request: request.method == "PATCH",
        )
    refused = push(connect, ANOTHER, 3)
    assert isinstance(refused, DestinationFault)
    assert sign_ins(crm) == 3


def test_every_call_goes_to_the_instance_that_the_token_names(crm: FakeSalesforce, connect: Connect) -> None:
    with FakeSalesforce() as moved:
        crm.instance_url = moved.url
        moved.tokens = crm.tokens
        outcome = push(connect, RECORD)
        assert isinstance(outcome, Delivered)
        assert outcome.remote_url.startswith(moved.url)
        assert (len(crm.leads), len(moved.leads)) == (0, 1)


def test_a_sign_in_whose_answer_was_lost_wrote_nothing(crm: FakeSalesforce, connect: Connect) -> None:
    crm.next("drop")
    outcome = push(connect, RECORD)
    assert isinstance(outcome, RetryLater)
    assert not outcome.uncertain


def test_a_user_signs_in_with_a_private_key(crm: FakeSalesforce, connect: Connect) -> None:
    private, crm.public_key = private_key()
    signed = {"client_secret": "", "username": USERNAME, "private_key": private}
    assert isinstance(push(connect, RECORD, **signed), Delivered)
    assert isinstance(
        push(connect, RECORD, 2, **{**signed, "private_key": private.replace("\n", "\\n")}), Delivered
    )
    assert connect(**signed).check().findings[0] == f"Signed in to {crm.url} as {USERNAME}."
    stranger = push(connect, RECORD, 3, **{**signed, "username": "eve@contoso.example"})
    assert isinstance(stranger, DestinationFault)
    assert "admin approved users" in stranger.reason


def test_neither_secret_nor_token_nor_assertion_is_recorded(crm: FakeSalesforce, connect: Connect) -> None:
    private, crm.public_key = private_key()
    for signed in ({}, {"username": USERNAME, "private_key": private}):
        recorder = Recorder([CLIENT_SECRET])
        connect(recorder=recorder, **signed).push(RECORD, key=key(1), retry=False)
        assert len(recorder.exchanges) == 2
        told = str(recorder.exchanges)
        assert CLIENT_SECRET not in told
        assert not any(token in told for token in crm.tokens)
        form = crm.requests[-2].form()
        assert form.get("assertion", CLIENT_SECRET) not in told


@pytest.mark.parametrize(
    ("settings", "name", "words"),
    [
        ({}, "client_secret", "a consumer secret, or a user name and a private key"),
        ({"username": USERNAME}, "private_key", "needs a private key"),
        ({"private_key": private_key()[0]}, "username", "name of the user"),
        ({"username": USERNAME, "private_key": "MIIE"}, "private_key", "no RSA private key"),
        ({"username": USERNAME, "private_key": private_key("ec")[0]}, "private_key", "no RSA private key"),
        ({"username": USERNAME, "private_key": private_key(passphrase="x")[0]}, "private_key", "passphrase"),
        ({"client_secret": "s", "external_id_field": "Email"}, "external_id_field", "ends in __c"),
        ({"client_secret": "s", "external_id_field": "a/b__c"}, "external_id_field", "ends in __c"),
        ({"client_secret": "s", "url": "https://contoso.lightning.force.com"}, "url", ".my.salesforce.com"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, str], name: str, words: str) -> None:
    problems = SalesforceConnector.clean({"url": "https://contoso.my.salesforce.com", **settings})
    assert list(problems) == [name]
    assert words in problems[name]


def test_either_way_to_sign_in_is_complete() -> None:
    url = {"url": "https://contoso.my.salesforce.com", "client_id": "c"}
    assert SalesforceConnector.clean({**url, "client_secret": "s"}) == {}
    assert SalesforceConnector.clean({**url, "username": USERNAME, "private_key": private_key()[0]}) == {}


# --- Duplicates -----------------------------------------------------------------------------------


@pytest.fixture
def known(crm: FakeSalesforce, connect: Connect) -> str:
    """The id of a lead with the same e-mail address, in an organization whose rule warns."""
    push(connect, RECORD, 99)
    crm.rule = "alert"
    return crm.lead(key(99))["Id"]


def test_a_person_whom_salesforce_knows_is_asked_about(
    crm: FakeSalesforce, connect: Connect, known: str
) -> None:
    outcome = push(connect, RECORD)
    assert isinstance(outcome, Rejected)
    assert outcome.duplicate_of == known
    assert len(crm.leads) == 1


def test_a_person_whom_salesforce_knows_is_written_all_the_same(
    crm: FakeSalesforce, connect: Connect, known: str
) -> None:
    assert isinstance(push(connect, RECORD, duplicates="create"), Delivered)
    assert len(crm.leads) == 2


def test_a_rule_that_blocks_is_told_where_it_can_be_changed(
    crm: FakeSalesforce, connect: Connect, known: str
) -> None:
    crm.rule = "block"
    outcome = push(connect, RECORD, duplicates="create")
    assert isinstance(outcome, Rejected)
    assert "Setup > Duplicate Rules" in outcome.reason


def test_a_person_whom_salesforce_knows_is_skipped(crm: FakeSalesforce, connect: Connect, known: str) -> None:
    outcome = push(connect, RECORD, duplicates="skip")
    assert isinstance(outcome, Delivered)
    assert outcome.remote_url == f"{crm.url}/lightning/r/Lead/{known}/view"
    assert len(crm.leads) == 1


def test_another_kind_of_record_has_the_short_address(crm: FakeSalesforce, connect: Connect) -> None:
    assert connect().record_url("0035g00000BcDeFEAV") == f"{crm.url}/0035g00000BcDeFEAV"
    assert connect().record_url(key(1)) == ""


# --- Fields ---------------------------------------------------------------------------------------


def test_the_fields_are_salesforces_own(connect: Connect) -> None:
    fields = {field.name: field for field in connect().describe_fields()}
    assert not {"Id", "CreatedDate", "Leadsite_Id__c"} & fields.keys()
    assert {name for name, field in fields.items() if field.required} == {"LastName", "Company"}
    assert (fields["Title"].type, fields["Title"].max_length) == ("text", 128)
    assert (fields["DoNotCall"].type, fields["NumberOfEmployees"].type) == ("flag", "number")
    assert (fields["OwnerId"].type, fields["Email"].type) == ("reference", "email")
    assert (fields["Industry"].type, fields["Industry"].choices) == ("choice", (("IT", "Technology"),))
    # Salesforce takes a source that its list does not have, so the mapping does too.
    assert (fields["LeadSource"].type, len(fields["LeadSource"].choices)) == ("text", 2)
    assert fields["LastName"].suggested == SalesforceConnector.spec.fields[0].suggested


def suggestions(connect: Connect) -> tuple[dict[str, object], list[str]]:
    """What the suggested mapping makes of a lead in this organization, and which required fields it leaves out."""
    fields = tuple(connect().known_fields())
    rules = suggested_rules(replace(SalesforceConnector.spec, fields=fields))
    return apply(rules, VALUES).record, [field.name for field in unmapped_required(rules, fields)]


def test_countries_that_come_from_a_list_are_given_by_code(crm: FakeSalesforce, connect: Connect) -> None:
    assert suggestions(connect)[0]["Country"] == "Hungary"
    crm.countries_from_a_list()
    record, left_out = suggestions(connect)
    assert record["CountryCode"] == "HU"
    assert "Country" not in record
    assert left_out == []
    assert isinstance(push(connect, record, fields=tuple(connect().known_fields())), Delivered)


def test_a_source_that_comes_from_a_list_only_is_left_to_the_description(
    crm: FakeSalesforce, connect: Connect
) -> None:
    crm.fields["LeadSource"]["restrictedPicklist"] = True
    record, _ = suggestions(connect)
    assert "LeadSource" not in record
    assert "AzureMarketplace-PLT|contoso.backup" in str(record["Description"])


def test_a_field_that_the_user_may_not_see_is_not_suggested(crm: FakeSalesforce, connect: Connect) -> None:
    del crm.fields["HasOptedOutOfEmail"]
    assert "HasOptedOutOfEmail" not in {field.name for field in connect().known_fields()}


@pytest.mark.parametrize(
    ("name", "found"),
    [("Inbound", QUEUE), ("Ada O'Hara", ADA), (ADA, ADA), ("Ada Gone", None), ("x' OR Name != '", None)],
)
def test_an_owner_is_given_by_name_or_by_id(
    crm: FakeSalesforce, connect: Connect, name: str, found: str | None
) -> None:
    outcome = push(connect, {**RECORD, "OwnerId": name}, fields=tuple(connect().known_fields()))
    if found:
        assert isinstance(outcome, Delivered)
        assert crm.lead(key(1))["OwnerId"] == found
    else:
        assert isinstance(outcome, Rejected)
        assert outcome.field == "OwnerId"
        assert crm.leads == {}


def test_a_name_is_looked_up_once(crm: FakeSalesforce, connect: Connect) -> None:
    fields = tuple(connect().known_fields())
    for number in range(3):
        push(connect, {**RECORD, "OwnerId": "Inbound"}, number, fields=fields)
    assert sum(request.path.endswith("/query") for request in crm.requests) == 2  # a queue, and a user


def test_a_name_that_is_made_after_it_was_missed_is_found(crm: FakeSalesforce, connect: Connect) -> None:
    fields = tuple(connect().known_fields())
    assert isinstance(push(connect, {**RECORD, "OwnerId": "Outbound"}, fields=fields), Rejected)
    crm.others["Group"].append({"Id": "00G5g00000QueueBBB", "Name": "Outbound", "Type": "Queue"})
    assert isinstance(push(connect, {**RECORD, "OwnerId": "Outbound"}, fields=fields), Delivered)
    hostile = push(connect, {**RECORD, "OwnerId": "x" * 100_000}, 2, fields=fields)
    assert isinstance(hostile, Rejected)
    assert len(hostile.reason) < 200


def test_a_name_that_two_have_is_refused(crm: FakeSalesforce, connect: Connect) -> None:
    crm.others["User"].append({"Id": "0055g00000Ada2AAAA", "Name": "Inbound", "IsActive": True})
    outcome = push(connect, {**RECORD, "OwnerId": "Inbound"}, fields=tuple(connect().known_fields()))
    assert isinstance(outcome, Rejected)
    assert "Salesforce has several “Inbound” for “Owner ID”" in outcome.reason


@pytest.mark.parametrize(
    ("record", "field"),
    [
        ({"Colour__c": "blue"}, "Colour__c"),
        ({"CreatedDate": "2026-11-22T10:00:00Z"}, "CreatedDate"),
        ({"Email": "nobody"}, "Email"),
        ({"Phone": "1" * 41}, "Phone"),
        ({"Industry": "Fishing"}, "Industry"),
        ({"LastName": ""}, "LastName"),
        ({"NumberOfEmployees": "many"}, "NumberOfEmployees"),
    ],
)
def test_a_refused_field_is_named(connect: Connect, record: dict[str, object], field: str) -> None:
    outcome = push(connect, {**RECORD, **record}, fields=tuple(connect().known_fields()))
    assert isinstance(outcome, Rejected)
    assert outcome.field == field


# --- Batches --------------------------------------------------------------------------------------


def test_of_a_batch_only_what_is_wrong_fails(crm: FakeSalesforce, connect: Connect) -> None:
    records = [RECORD, {**RECORD, "Email": "nobody"}, {**RECORD, "OwnerId": "Nobody"}, ANOTHER]
    fields = tuple(connect().known_fields())
    before = len(writes(crm))
    told = connect(fields=fields).push_many([Item(r, key(n), retry=False) for n, r in enumerate(records)])
    assert [type(outcome) for outcome in told] == [Delivered, Rejected, Rejected, Delivered]
    assert [getattr(outcome, "field", "") for outcome in told] == ["", "Email", "OwnerId", ""]
    assert len(writes(crm)) - before == 1
    assert len(crm.leads) == 2
    assert isinstance(told[3], Delivered)
    assert told[3].remote_id == crm.lead(key(3))["Id"]


def test_a_batch_whose_answer_was_lost_leaves_one_lead_each_when_repeated(
    crm: FakeSalesforce, connect: Connect
) -> None:
    connect().check()
    items = [Item({**RECORD, "Email": f"{n}@fabrikam.example"}, key(n), retry=False) for n in range(200)]
    crm.next("drop")
    first = connect().push_many(items)
    assert all(isinstance(outcome, RetryLater) and outcome.uncertain for outcome in first)
    assert len(crm.leads) == 200

    crm.lead(key(7))["LastName"] = "Changed"
    del crm.leads[crm.lead(key(8))["Id"]]
    second = connect().push_many([replace(item, retry=True) for item in items])
    assert all(isinstance(outcome, Delivered) for outcome in second)
    assert [n for n, outcome in enumerate(second) if not getattr(outcome, "existed", None)] == [8]
    assert len(crm.leads) == 200
    assert crm.lead(key(7))["LastName"] == "Changed"


def test_of_a_batch_known_persons_follow_the_connections_choice(
    crm: FakeSalesforce, connect: Connect, known: str
) -> None:
    items = [Item(RECORD, key(1), retry=False), Item(ANOTHER, key(2), retry=False)]
    asked = connect().push_many(items)
    assert [type(outcome) for outcome in asked] == [Rejected, Delivered]
    skipped = connect(duplicates="skip").push_many(items)
    assert [type(outcome) for outcome in skipped] == [Delivered, Delivered]
    assert len(crm.leads) == 2
    written = connect(duplicates="create").push_many(items)
    assert [type(outcome) for outcome in written] == [Delivered, Delivered]
    assert len(crm.leads) == 3


def test_a_batch_that_meets_the_days_limit_waits_as_a_whole(crm: FakeSalesforce, connect: Connect) -> None:
    connect().check()
    crm.calls_left = 0
    told = connect().push_many([Item(RECORD, key(n), retry=False) for n in range(3)])
    assert [type(outcome) for outcome in told] == [Throttled] * 3
    assert {outcome.delay for outcome in told if isinstance(outcome, Throttled)} == {3600}


@pytest.mark.parametrize("body", [[], {"records": []}, [{"id": "00Q"}], ["x", None], "<html>"])
def test_a_batch_answer_that_makes_no_sense_is_uncertain_or_refused(
    crm: FakeSalesforce, connect: Connect, body: object
) -> None:
    connect().check()
    crm.next(Answer(200, body))
    told = connect().push_many([Item(RECORD, key(n), retry=False) for n in range(2)])
    assert len(told) == 2
    assert not any(isinstance(outcome, Delivered) for outcome in told)


# --- The connection test --------------------------------------------------------------------------


def finding(connect: Connect, **settings: str) -> str:
    """The one sentence of a connection test that fails."""
    check = connect(**settings).check()
    assert not check.ok
    (sentence,) = check.findings
    return sentence


def test_the_connection_test_says_what_will_work(crm: FakeSalesforce, connect: Connect) -> None:
    check = connect().check()
    assert check.ok, check.findings
    assert check.findings == (
        f"Signed in to {crm.url}.",
        "Can create leads: yes.",
        "Can edit leads: yes.",
        "Leadsite_Id__c is an External ID and Unique: a repeated push finds the first lead.",
        "API calls left of 24 hours: 14,996 of 15,000.",
    )
    assert crm.leads == {}
    assert all("oauth2" in request.path for request in crm.requests if request.is_write)


def test_the_connection_test_needs_no_right_to_see_the_setup(crm: FakeSalesforce, connect: Connect) -> None:
    crm.may_view_setup = False
    check = connect().check()
    assert check.ok
    assert len(check.findings) == 4


def test_an_organization_whose_description_is_too_large_still_passes(
    crm: FakeSalesforce, connect: Connect
) -> None:
    crm.fields["Description"]["inlineHelpText"] = "x" * 1_100_000
    check = connect().check()
    assert check.ok
    assert "Send a sample lead instead" in check.findings[-1]
    assert connect().describe_fields() == SalesforceConnector.spec.fields
    assert isinstance(push(connect, RECORD), Delivered)


def test_a_wrong_secret_is_told(connect: Connect) -> None:
    assert "does not accept the consumer secret" in finding(connect, client_secret="wrong")
    assert "no app with this consumer key" in finding(connect, client_id="wrong")


def test_a_secret_that_was_replaced_is_told_though_the_old_token_still_works(
    crm: FakeSalesforce, connect: Connect
) -> None:
    assert connect().check().ok
    crm.secret = "consumer-secret-2"
    assert "expired because a new one replaced it" in finding(connect)


def test_an_app_without_a_user_is_told(crm: FakeSalesforce, connect: Connect) -> None:
    crm.run_as = ""
    assert "Client Credentials Flow > Run As" in finding(connect)


@pytest.mark.parametrize(
    "answer", [Answer(200, "<html><title>Welcome</title></html>"), Answer(200, {"ok": True})]
)
def test_an_address_where_something_else_answers_is_told(
    crm: FakeSalesforce, connect: Connect, answer: Answer
) -> None:
    crm.next(answer)
    assert "does not answer as Salesforce does: check the My Domain address" in finding(connect)


def test_an_address_with_a_wrong_path_is_told(crm: FakeSalesforce, connect: Connect) -> None:
    assert "HTTP 404" in finding(connect, url=f"{crm.url}/lightning")


def test_a_user_who_may_not_create_leads_is_told(crm: FakeSalesforce, connect: Connect) -> None:
    crm.may_create = False
    assert "may not create leads: give it Read, Create and Edit on Lead" in finding(connect)
    assert isinstance(push(connect, RECORD), DestinationFault)
    crm.may_see = False
    assert "give it Read, Create and Edit on Lead" in finding(connect)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"externalId": False, "unique": False}, "must be marked as “External ID” and “Unique”"),
        ({"unique": False}, "tick “Unique”"),
        ({"length": 20}, "a key has 36"),
        ({"createable": False}, "Field-Level Security"),
    ],
)
def test_what_the_field_of_the_key_lacks_is_told(
    crm: FakeSalesforce, connect: Connect, change: dict[str, object], words: str
) -> None:
    crm.fields["Leadsite_Id__c"] |= change
    assert words in finding(connect)


def test_a_missing_field_of_the_key_is_told_with_how_to_make_it(
    crm: FakeSalesforce, connect: Connect
) -> None:
    del crm.fields["Leadsite_Id__c"]
    sentence = finding(connect)
    assert "Lead has no field Leadsite_Id__c" in sentence
    assert "choose Text, length 36" in sentence
    outcome = push(connect, RECORD)
    assert isinstance(outcome, DestinationFault)
    assert "press Test" in outcome.reason


def test_a_salesforce_that_is_down_is_told(crm: FakeSalesforce, connect: Connect) -> None:
    down = Answer(503, [{"errorCode": "SERVER_UNAVAILABLE", "message": "We are down for maintenance."}])
    crm.next(down, when=lambda request: request.path.endswith("/describe"))
    check = connect().check()
    assert isinstance(check.outcome, RetryLater)
    assert not check.outcome.uncertain
    assert "We are down for maintenance." in check.findings[0]


def test_a_certificate_that_nobody_vouches_for_is_told() -> None:
    with FakeSalesforce(tls=True) as crm:
        settings = {"url": crm.url, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        with connecting(SalesforceConnector, settings) as connect:
            assert "certificate of 127.0.0.1 was not accepted" in finding(connect)
            assert isinstance(push(connect, RECORD), DestinationFault)
