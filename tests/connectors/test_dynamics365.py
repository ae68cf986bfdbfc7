"""Dynamics 365 against the fake of Dataverse."""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_sync import mapping
from crm_sync.addresses import Policy
from crm_sync.connectors.base import Item
from crm_sync.connectors.dynamics365 import Dynamics365Connector
from crm_sync.connectors.dynamics365 import fields as metadata
from crm_sync.outcomes import Delivered, DestinationFault, Rejected, RetryLater, Throttled
from crm_sync.spec import TargetField
from tests.connectors.laws import (
    LOOPBACK,
    Connect,
    assert_a_lost_answer_leaves_one_record,
    connecting,
    key,
    push,
)
from tests.fakes.dynamics365 import CLIENT, USER, FakeDynamics365
from tests.fakes.server import Answer, Seen

LEAD = {"subject": "Contoso Backup: Zoë Nagy", "lastname": "Nagy", "emailaddress1": "zoe@fabrikam.example"}


@pytest.fixture
def crm() -> Iterator[FakeDynamics365]:
    with FakeDynamics365() as crm:
        yield crm


@pytest.fixture
def connect(crm: FakeDynamics365) -> Iterator[Connect]:
    with connecting(Dynamics365Connector, crm.settings()) as connect:
        yield connect


def only_lead(crm: FakeDynamics365) -> dict[str, Any]:
    (lead,) = crm.leads.values()
    return lead


def live(connect: Connect) -> list[TargetField]:
    return list(connect().known_fields())


def by_name(fields: list[TargetField]) -> dict[str, TargetField]:
    return {field.name: field for field in fields}


def reads_of(crm: FakeDynamics365, entity_set: str) -> int:
    return sum(seen.method == "GET" and seen.path.endswith(f"/{entity_set}") for seen in crm.requests)


def writes(crm: FakeDynamics365) -> list[Seen]:
    return [seen for seen in crm.requests if seen.method == "PATCH"]


# --- Once -----------------------------------------------------------------------------------------


def test_a_lost_answer_leaves_one_record(crm: FakeDynamics365, connect: Connect) -> None:
    assert connect().check().ok  # signed in: the write that is lost is the lead's
    nobody = {"subject": "Contoso Backup", "lastname": "Unknown"}
    assert_a_lost_answer_leaves_one_record(crm, connect, nobody, lambda: len(crm.leads))


def test_a_repeated_push_is_no_duplicate_of_itself(crm: FakeDynamics365, connect: Connect) -> None:
    assert connect().check().ok
    crm.next("drop")
    assert push(connect, LEAD).uncertain  # type: ignore[union-attr]
    again = push(connect, LEAD, retry=True)
    assert isinstance(again, Delivered)
    assert again.existed
    assert len(crm.leads) == 1


def test_a_repeated_push_overwrites_nothing_that_a_salesperson_changed(
    crm: FakeDynamics365, connect: Connect
) -> None:
    push(connect, LEAD)
    crm.store.entities("leads")[0].set_property("subject", "Called: wants a demo")
    again = push(connect, LEAD, retry=True)
    assert isinstance(again, Delivered)
    assert again.existed
    assert only_lead(crm)["subject"] == "Called: wants a demo"


def test_a_lead_has_the_key_of_its_delivery_as_its_id_and_a_link(
    crm: FakeDynamics365, connect: Connect
) -> None:
    outcome = push(connect, LEAD)
    url = f"{crm.url}/main.aspx?etn=lead&pagetype=entityrecord&id={key(1)}"
    assert outcome == Delivered(key(1), url)
    assert set(crm.leads) == {key(1)}


def test_an_address_pasted_from_the_browser_is_understood(crm: FakeDynamics365, connect: Connect) -> None:
    pasted = f"{crm.url}/main.aspx?appid=0b1c&pagetype=dashboard"
    assert isinstance(push(connect, LEAD, url=pasted), Delivered)
    assert isinstance(push(connect, LEAD, 2, duplicates="create", url=f"{crm.url}/"), Delivered)


def test_who_answers_otherwise_than_dataverse_has_not_taken_the_lead(
    crm: FakeDynamics365, connect: Connect
) -> None:
    crm.next(Answer(200, "<title>Sign in to the network</title>"), when=lambda seen: seen.method == "PATCH")
    outcome = push(connect, LEAD)
    assert isinstance(outcome, RetryLater)
    assert outcome.uncertain
    other = Answer(204, headers={"OData-EntityId": f"{crm.url}/api/data/v9.2/leads({uuid4()})"})
    crm.next(other, when=lambda seen: seen.method == "PATCH")
    assert isinstance(push(connect, LEAD), RetryLater)


# --- Signing in -----------------------------------------------------------------------------------


def tokens_asked(crm: FakeDynamics365) -> int:
    return sum(seen.path.endswith("/token") for seen in crm.requests)


def test_a_token_is_asked_for_once_and_renewed_once_when_it_is_refused(
    crm: FakeDynamics365, connect: Connect
) -> None:
    for number in range(3):
        push(connect, {"lastname": "Nagy"}, number)
    assert tokens_asked(crm) == 1
    crm.expire_tokens()
    assert isinstance(push(connect, {"lastname": "Nagy"}, 4), Delivered)
    assert tokens_asked(crm) == 2
    crm.next(Answer(401), when=lambda seen: seen.method == "PATCH")
    crm.next(Answer(401), when=lambda seen: seen.method == "PATCH")
    assert isinstance(push(connect, {"lastname": "Nagy"}, 5), DestinationFault)
    assert tokens_asked(crm) == 3


@pytest.mark.parametrize("body", [{}, {"access_token": None}, {"access_token": 7}, [], "<html>", b"\xff"])
def test_a_sign_in_without_a_token_is_the_addresss_fault(
    crm: FakeDynamics365, connect: Connect, body: Any
) -> None:
    crm.next(Answer(200, body))
    assert "gives no token" in push(connect, LEAD).reason  # type: ignore[union-attr]
    crm.next(Answer(400, body))
    assert isinstance(push(connect, LEAD), DestinationFault)


# --- Fields ---------------------------------------------------------------------------------------


def test_fields_come_from_the_environment_with_types_lengths_levels_and_choices(connect: Connect) -> None:
    fields = by_name(live(connect))
    assert fields["lastname"].required
    assert not fields["ownerid"].required, "the system fills it"
    assert (fields["subject"].type, fields["subject"].max_length) == ("text", 300)
    assert (fields["description"].type, fields["description"].max_length) == ("text", 2000)
    assert fields["emailaddress1"].type == "email"
    assert (fields["mobilephone"].type, fields["mobilephone"].max_length) == ("phone", 20)
    assert fields["websiteurl"].type == "url"
    assert fields["budgetamount"].type == fields["numberofemployees"].type == "number"
    assert fields["leadsourcecode"].choices[7] == ("8", "Web")
    assert fields["leadqualitycode"].choices[0] == ("1", "Hot"), "a global choice"
    assert fields["statuscode"].choices == (("1", "New"), ("2", "Contacted"))
    assert fields["donotemail"].type == "flag"
    assert fields["donotemail"].choices == (("true", "Do Not Allow"), ("false", "Allow"))
    assert {fields[name].type for name in ("ownerid", "campaignid", "new_partnerid")} == {"reference"}
    assert fields["estimatedclosedate"].type == "date"
    assert not fields.keys() & {"leadid", "fullname", "statecode", "createdon", "createdby", "owneridname"}
    assert fields["subject"].suggested


def test_owners_and_campaigns_are_offered_by_name_where_they_may_be_read(
    crm: FakeDynamics365, connect: Connect
) -> None:
    anna = crm.add("systemusers", fullname="Anna Kovács", isdisabled=False, accessmode=0)
    crm.add("systemusers", fullname="Béla Left", isdisabled=True, accessmode=0)
    west = crm.add("teams", name="Sales West", teamtype=0)
    autumn = crm.add("campaigns", name="Autumn", statecode=0)
    fields = by_name(live(connect))
    assert fields["ownerid"].choices == (
        (f"systemusers({anna})", "Anna Kovács (user)"),
        (f"teams({west})", "Sales West (team)"),
    )
    assert fields["campaignid"].choices == ((autumn, "Autumn"),)
    for value in (f"systemusers({anna})", f"teams({west})"):
        push(connect, {"lastname": "N", "ownerid": value}, hash(value) % 1000)
    assert sorted(lead["ownerid"] for lead in crm.leads.values()) == [
        f"systemusers({anna})",
        f"teams({west})",
    ]
    crm.privileges -= {"prvReadUser", "prvReadCampaign"}
    fields = by_name(live(connect))
    assert fields["ownerid"].choices == ((f"teams({west})", "Sales West (team)"),)
    assert fields["campaignid"].choices == ()


def test_no_more_owners_are_offered_than_a_person_reads(crm: FakeDynamics365, connect: Connect) -> None:
    for number in range(230):
        crm.add("systemusers", fullname=f"User {number:03}", isdisabled=False, accessmode=0)
    assert len(by_name(live(connect))["ownerid"].choices) == 200


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["Value", "Label", "Options", "TrueOption", "UserLocalizedLabel", "LocalizedLabels"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
_row = st.fixed_dictionaries(
    {"LogicalName": st.sampled_from(["a", "b"]), "IsValidForCreate": st.just(True)},
    optional={
        "AttributeType": st.sampled_from(["String", "Picklist", "Boolean", "DateTime", "Owner"]) | _json,
        **dict.fromkeys(
            ("DisplayName", "RequiredLevel", "MaxLength", "FormatName", "DateTimeBehavior"), _json
        ),
        **dict.fromkeys(("OptionSet", "GlobalOptionSet", "AttributeOf"), _json),
    },
)


@given(st.lists(_row, max_size=4), st.lists(_row, max_size=4), _json)
def test_no_description_of_columns_does_harm(
    columns: list[dict[str, Any]], details: list[dict[str, Any]], odd: Any
) -> None:
    for field in metadata.fields(columns, details, {}):
        assert field.label
        assert field.max_length >= 0
    relationships = [{"ReferencingAttribute": odd, "ReferencedEntity": odd}]
    assert metadata.lookups(metadata.related(relationships), columns) is not None


# --- Values ---------------------------------------------------------------------------------------


def test_a_text_is_cut_in_utf_16_units_with_a_note(crm: FakeDynamics365, connect: Connect) -> None:
    outcome = push(connect, {"lastname": "😀" * 30, "subject": "x" * 300})
    assert isinstance(outcome, Delivered)
    assert "“Last Name” was cut from 60 to 50 characters" in outcome.note
    assert only_lead(crm)["lastname"] == "😀" * 24 + "…"
    assert only_lead(crm)["subject"] == "x" * 300


def test_choices_go_as_numbers_and_flags_as_flags_whether_named_by_value_or_label(
    crm: FakeDynamics365, connect: Connect
) -> None:
    fields = live(connect)
    labels = {"leadsourcecode": "web", "leadqualitycode": "Hot", "donotemail": "Do Not Allow"}
    values = {"leadsourcecode": "8", "leadqualitycode": "1", "donotemail": "true"}
    for number, record in enumerate((labels, values)):
        push(connect, record, number, fields=fields)
    assert (
        list(crm.leads.values())
        == [
            {"leadsourcecode": 8, "leadqualitycode": 1, "donotemail": True},
        ]
        * 2
    )


@pytest.mark.parametrize(
    ("record", "field"),
    [
        ({"leadsourcecode": "Billboard"}, "leadsourcecode"),
        ({"leadsourcecode": "77"}, "leadsourcecode"),
        ({"donotemail": "perhaps"}, "donotemail"),
        ({"numberofemployees": "many"}, "numberofemployees"),
        ({"estimatedclosedate": "soon"}, "estimatedclosedate"),
        ({"telephone1": "0" * 51}, "telephone1"),
        ({"new_colour": "red"}, "new_colour"),
        ({"FirstName": "Zoë"}, "FirstName"),
    ],
)
def test_a_refusal_names_the_field(
    crm: FakeDynamics365, connect: Connect, record: dict[str, str], field: str
) -> None:
    outcome = push(connect, record, fields=live(connect))
    assert isinstance(outcome, Rejected)
    assert outcome.field == field
    assert crm.leads == {}


def test_dates_go_with_or_without_a_time_as_the_column_has_them(
    crm: FakeDynamics365, connect: Connect
) -> None:
    fields = live(connect)
    for number, day in enumerate(("2026-12-01", "2026-12-01T10:30:00Z")):
        record = {"estimatedclosedate": day, "new_trialends": day}
        assert isinstance(push(connect, record, number, fields=fields), Delivered)
    first, second = crm.leads.values()
    assert str(first["estimatedclosedate"]) == str(second["estimatedclosedate"]) == "2026-12-01"
    assert first["new_trialends"].isoformat() == "2026-12-01T00:00:00+00:00"
    assert second["new_trialends"].isoformat() == "2026-12-01T10:30:00+00:00"


def test_nothing_empty_is_written(crm: FakeDynamics365, connect: Connect) -> None:
    push(
        connect, {"lastname": "Nagy", "firstname": "", "leadsourcecode": "", "ownerid": "", "jobtitle": None}
    )
    assert writes(crm)[-1].json() == {"lastname": "Nagy"}


def test_text_of_any_kind_arrives_as_it_is(crm: FakeDynamics365, connect: Connect) -> None:
    text = "<script>'\"\\\r\n--batch\r\n\t{{ x }} ½ 漢字 😀 %27 "
    push(connect, {"lastname": "Nagy", "description": text})
    items = [Item({"description": text}, key(number), retry=False) for number in (2, 3)]
    connect().push_many(items)
    assert {lead["description"] for lead in crm.leads.values()} == {text}


# --- The suggested mapping ------------------------------------------------------------------------

FULL = {
    "id": "9b1d3c52-0a6e-4f0b-8a55-1f6f0a1c7d10",
    "first_name": "Zoë",
    "last_name": "Nagy",
    "full_name": "Zoë Nagy",
    "email": "zoe@fabrikam.example",
    "phone": "+36 1 555 0100",
    "company": "Fabrikam",
    "title": "Buyer",
    "country": "Hungary",
    "lead_source": "AzureMarketplace-INS|contoso.backup",
    "source": "AzureMarketplace",
    "action": "INS",
    "action_label": "Acquired",
    "offer_title": "Contoso Backup",
    "description": "Needs 40 seats.",
}


def suggested(values: Mapping[str, object]) -> dict[str, object]:
    applied = mapping.apply(mapping.suggested_rules(Dynamics365Connector.spec), values)
    assert not applied.problems
    return applied.record


def test_the_suggested_mapping_places_all_that_a_lead_says(crm: FakeDynamics365, connect: Connect) -> None:
    assert isinstance(push(connect, suggested(FULL), fields=live(connect)), Delivered)
    lead = only_lead(crm)
    assert lead["subject"] == "Contoso Backup: Zoë Nagy (INS)"
    assert lead["leadsourcecode"] == 8
    assert lead["description"] == (
        "Offer: Contoso Backup\nAction: Acquired (INS)\nSource: AzureMarketplace-INS|contoso.backup\n\nNeeds 40 seats."
    )
    assert lead["address1_country"] == "Hungary"
    assert "donotemail" not in lead
    written = " ".join(str(value) for value in lead.values())
    for name in ("first_name", "last_name", "email", "phone", "company", "title", "country", "lead_source"):
        assert str(FULL[name]) in written


@pytest.mark.parametrize(
    ("values", "last_name", "topic"),
    [
        ({}, "Unknown", "Marketplace lead: Unknown"),
        ({"email": "zoe.nagy@fabrikam.example"}, "zoe.nagy", "Marketplace lead: zoe.nagy@fabrikam.example"),
        ({"company": "Fabrikam", "offer_title": "Backup"}, "Unknown", "Backup: Fabrikam"),
    ],
)
def test_a_lead_that_says_little_or_nothing_makes_a_record_all_the_same(
    crm: FakeDynamics365, connect: Connect, values: dict[str, str], last_name: str, topic: str
) -> None:
    assert isinstance(push(connect, suggested(values), fields=live(connect)), Delivered)
    lead = only_lead(crm)
    assert (lead["lastname"], lead["subject"]) == (last_name, topic)


def test_who_is_not_to_be_contacted_is_marked_so(crm: FakeDynamics365, connect: Connect) -> None:
    push(connect, suggested({**FULL, "action": "DNC"}), fields=live(connect))
    lead = only_lead(crm)
    assert lead["donotemail"] is lead["donotphone"] is lead["donotbulkemail"] is True


def test_values_of_any_length_still_make_a_record(crm: FakeDynamics365, connect: Connect) -> None:
    """What is an address or a number and too long is the CRM's to refuse."""
    long = {name: "ä" * 20_000 for name in FULL if name not in ("email", "phone", "id")}
    outcome = push(connect, suggested({**FULL, **long}), fields=live(connect))
    assert isinstance(outcome, Delivered), outcome
    assert "“Description” was cut" in outcome.note


# --- Records that a lead points to ----------------------------------------------------------------


def test_an_owner_a_campaign_and_any_other_record_are_picked_by_name(
    crm: FakeDynamics365, connect: Connect
) -> None:
    team = crm.add("teams", name="Sales O'Hara & Söhne", teamtype=0)
    campaign = crm.add("campaigns", name="Autumn", statecode=0)
    partner = crm.add("accounts", name="Northwind")
    record = {
        **LEAD,
        "ownerid": "Sales O'Hara & Söhne",
        "campaignid": " Autumn ",
        "new_partnerid": "Northwind",
    }
    assert isinstance(push(connect, record, fields=live(connect)), Delivered)
    lead = only_lead(crm)
    assert lead["ownerid"] == f"teams({team})"
    assert lead["campaignid"] == f"campaigns({campaign})"
    assert lead["new_PartnerId"] == f"accounts({partner})"


def test_an_id_is_taken_as_it_is(crm: FakeDynamics365, connect: Connect) -> None:
    team = crm.add("teams", name="Sales West", teamtype=0)
    campaign = crm.add("campaigns", name="Autumn", statecode=0)
    push(connect, {"ownerid": team, "campaignid": f"{{{campaign.upper()}}}"})
    lead = only_lead(crm)
    assert lead["ownerid"] == f"teams({team})"
    assert lead["campaignid"] == f"campaigns({campaign.upper()})"
    assert reads_of(crm, "campaigns") == 0, "there is only one table that it can be in"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "Nobody",
            "Dynamics 365 Sales has no “Nobody” for “Owner”: create it there, or choose another in the mapping.",
        ),
        ("Anna", "has several “Anna” for “Owner”: give the id of the one that is meant."),
        ("Béla", "has no “Béla”"),
        ("' or 1 eq 1 or name eq '", "has no"),
        ("x" * 5_000, "has no"),
        (str(UUID(int=5)), "has no"),
        (f"accounts({UUID(int=5)})", "has no"),
    ],
)
def test_a_name_that_is_not_there_or_not_unique_is_refused_in_words(
    crm: FakeDynamics365, connect: Connect, name: str, words: str
) -> None:
    crm.add("systemusers", fullname="Anna", isdisabled=False, accessmode=0)
    crm.add("teams", name="Anna", teamtype=0)
    crm.add("systemusers", fullname="Béla", isdisabled=True, accessmode=0)
    outcome = push(connect, {**LEAD, "ownerid": name})
    assert isinstance(outcome, Rejected)
    assert outcome.field == "ownerid"
    assert words in outcome.reason
    assert crm.leads == {}


def test_who_may_not_read_owners_breaks_one_mapping_and_not_the_connection(
    crm: FakeDynamics365, connect: Connect
) -> None:
    crm.privileges.discard("prvReadUser")
    outcome = push(connect, {**LEAD, "ownerid": "Anna"})
    assert isinstance(outcome, Rejected)
    assert outcome.field == "ownerid"
    assert "prvReadUser" in outcome.reason
    crm.member = False
    assert isinstance(push(connect, {**LEAD, "ownerid": "Anna"}), DestinationFault)


def test_a_record_is_looked_up_once_for_many_leads_and_again_when_it_is_gone(
    crm: FakeDynamics365, connect: Connect
) -> None:
    crm.add("teams", name="Sales West", teamtype=0)
    for number in range(4):
        push(connect, {"ownerid": "Sales West"}, number)
    assert reads_of(crm, "teams") == 1
    assert reads_of(crm, "ManyToOneRelationships") == 1
    crm.store.set_entities("teams", [])
    gone = push(connect, {"ownerid": "Sales West"}, 5)
    assert isinstance(gone, Rejected)
    assert gone.field == "ownerid"
    new = crm.add("teams", name="Sales West", teamtype=0)
    assert isinstance(push(connect, {"ownerid": "Sales West"}, 5), Delivered)
    assert crm.leads[key(5)]["ownerid"] == f"teams({new})"


def test_a_dry_run_asks_nothing_and_shows_a_record_by_its_name(
    crm: FakeDynamics365, connect: Connect
) -> None:
    team = crm.add("teams", name="Sales West", teamtype=0)
    (shown,) = connect().requests({"ownerid": "Sales West"}, key=key(1))
    assert shown.body == {"ownerid@odata.bind": "(the id of “Sales West”)"}
    assert crm.requests == []
    push(connect, {"ownerid": "Sales West"})
    (shown,) = connect().requests({"ownerid": "Sales West"}, key=key(1))
    assert shown.body == {"ownerid@odata.bind": f"/teams({team})"}


# --- Duplicates -----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [412, 500])
def test_a_person_who_is_there_already_is_asked_about_created_or_skipped(
    crm: FakeDynamics365, connect: Connect, status: int
) -> None:
    crm.duplicate_status = status
    push(connect, LEAD)
    asked = push(connect, LEAD, 2)
    assert isinstance(asked, Rejected)
    assert asked.duplicate_of == key(1)
    skipped = push(connect, LEAD, 2, duplicates="skip")
    assert isinstance(skipped, Delivered)
    assert skipped.remote_id == key(1)
    assert skipped.note
    assert len(crm.leads) == 1
    created = push(connect, LEAD, 2, duplicates="create")
    assert isinstance(created, Delivered)
    assert created.remote_id == key(2)
    assert len(crm.leads) == 2


def test_a_duplicate_of_which_nobody_tells_the_id_is_one_all_the_same(
    crm: FakeDynamics365, connect: Connect
) -> None:
    push(connect, LEAD)
    crm.next(Answer(503), when=lambda seen: seen.path.endswith("/leads"))
    outcome = push(connect, LEAD, 2)
    assert isinstance(outcome, Rejected)
    assert outcome.duplicate_of == "?"
    by_name = Answer(412, {"error": {"code": "0x80040333", "message": "A duplicate."}})
    crm.next(by_name, when=lambda seen: seen.method == "PATCH")
    outcome = push(connect, {"lastname": "Nagy"}, 2)
    assert isinstance(outcome, Rejected)
    assert outcome.duplicate_of == "?"


def test_where_nobody_tells_whose_a_unique_value_is_the_lead_counts_as_written(
    crm: FakeDynamics365, connect: Connect
) -> None:
    """The value may be this lead's own: only a lead that is certainly not there was refused."""
    crm.unique_email = True
    push(connect, LEAD)
    crm.next(Answer(503), when=lambda seen: seen.method == "GET")
    outcome = push(connect, LEAD, 2)
    assert isinstance(outcome, Delivered)
    assert outcome.existed


def test_a_value_that_must_be_unique_and_is_anothers_is_no_sign_that_this_lead_arrived(
    crm: FakeDynamics365, connect: Connect
) -> None:
    crm.unique_email = True
    assert isinstance(push(connect, LEAD), Delivered)
    refused = push(connect, LEAD, 2, duplicates="create")
    assert isinstance(refused, Rejected)
    assert refused.duplicate_of == key(1)
    assert set(crm.leads) == {key(1)}


# --- Batches --------------------------------------------------------------------------------------


def items(records: list[dict[str, Any]], *, first: int = 1) -> list[Item]:
    return [Item(record, key(first + number), retry=False) for number, record in enumerate(records)]


def test_a_batch_creates_its_leads_in_one_call_and_tells_of_each(
    crm: FakeDynamics365, connect: Connect
) -> None:
    push(connect, LEAD, 50)
    team = crm.add("teams", name="Sales West", teamtype=0)
    crm.requests.clear()
    told = connect().push_many(
        items(
            [
                {"lastname": "One", "ownerid": "Sales West"},
                {"lastname": "x" * 60},
                {"lastname": "Three", "new_colour": "red"},
                LEAD,
                {"lastname": "Five", "ownerid": "Nobody"},
                {"leadsourcecode": "Billboard"},
                {},
            ]
        )
    )
    one, two, three, four, five, six, seven = told
    assert isinstance(one, Delivered)
    assert one.remote_url.endswith(f"id={key(1)}")
    assert crm.leads[key(1)] == {"lastname": "One", "ownerid": f"teams({team})"}
    assert isinstance(two, Delivered)
    assert "was cut" in two.note
    assert isinstance(three, Rejected)
    assert three.field == "new_colour"
    assert isinstance(four, Rejected)
    assert four.duplicate_of == key(50)
    assert isinstance(five, Rejected)
    assert five.field == "ownerid"
    assert isinstance(six, Rejected)
    assert isinstance(seven, Delivered)
    assert sum(seen.path.endswith("$batch") for seen in crm.requests) == 1
    assert writes(crm) == []


def test_a_batch_without_a_lead_that_can_be_sent_sends_nothing(
    crm: FakeDynamics365, connect: Connect
) -> None:
    told = connect().push_many(items([{"ownerid": "Nobody"}, {"leadsourcecode": "Billboard"}]))
    assert [outcome.field for outcome in told] == ["ownerid", "leadsourcecode"]  # type: ignore[union-attr]
    assert not any(seen.path.endswith("$batch") for seen in crm.requests)


def test_a_batch_whose_answer_was_lost_leaves_each_lead_once(crm: FakeDynamics365, connect: Connect) -> None:
    leads = items([{"lastname": f"Lead {number}"} for number in range(100)])
    crm.next("drop", when=lambda seen: seen.path.endswith("$batch"))
    told = connect().push_many(leads)
    assert all(isinstance(outcome, RetryLater) and outcome.uncertain for outcome in told)
    again = connect().push_many(leads)
    assert all(isinstance(outcome, Delivered) and outcome.existed for outcome in again)
    assert len(crm.leads) == 100


def test_a_batch_over_the_limit_makes_the_connection_wait(crm: FakeDynamics365, connect: Connect) -> None:
    push(connect, LEAD, 50)
    crm.left = 0
    assert {type(outcome) for outcome in connect().push_many(items([{}, {}]))} == {Throttled}
    crm.left = None
    assert {type(outcome) for outcome in connect().push_many(items([{}, {}]))} == {Delivered}


def test_of_a_batch_that_is_refused_as_such_each_lead_goes_alone(
    crm: FakeDynamics365, connect: Connect
) -> None:
    crm.next(
        Answer(400, {"error": {"code": "0x80060888", "message": "Bad batch."}}),
        when=lambda seen: seen.path.endswith("$batch"),
    )
    told = connect().push_many(items([{"lastname": "One"}, {"new_colour": "red"}]))
    assert [type(outcome) for outcome in told] == [Delivered, Rejected]
    assert len(writes(crm)) == 2


MANY = "multipart/mixed; boundary=b"


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, "<html>Sign in</html>"),
        Answer(200, {}),
        Answer(200, b"", {"content-type": MANY}),
        Answer(200, b"--b\r\n\r\n--b--", {"content-type": MANY}),
        Answer(
            200,
            b"--b\r\ncontent-type: application/http\r\n\r\nHTTP/1.1 999 ?\r\n\r\n--b--",
            {"content-type": MANY},
        ),
        Answer(200, b"--b\r\ncontent-type: application/http\r\n\r\nHTTP/1.1 204 No", {"content-type": MANY}),
        Answer(
            200,
            b"--b\r\ncontent-type: application/http\r\n\r\nHTTP/1.1 200 OK\r\n\r\n<html>\r\n" * 2 + b"--b--",
            {"content-type": MANY},
        ),
        Answer(
            200,
            b"--b\r\ncontent-type: application/http\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n" * 3 + b"--b--",
            {"content-type": MANY},
        ),
    ],
)
def test_a_batch_that_is_answered_strangely_is_uncertain(
    crm: FakeDynamics365, connect: Connect, answer: Answer
) -> None:
    crm.next(answer, when=lambda seen: seen.path.endswith("$batch"))
    told = connect().push_many(items([{"lastname": "One"}, {"lastname": "Two"}]))
    assert len(told) == 2
    assert all(isinstance(outcome, RetryLater) and outcome.uncertain for outcome in told)


# --- Limits ---------------------------------------------------------------------------------------


def test_a_limit_is_waited_for_as_long_as_dynamics_says(crm: FakeDynamics365, connect: Connect) -> None:
    push(connect, LEAD)
    crm.left = 0
    outcome = push(connect, {}, 2)
    assert isinstance(outcome, Throttled)
    assert outcome.delay == 35


# --- The connection test --------------------------------------------------------------------------


def sentence(connect: Connect, **other: str) -> str:
    check = connect(**other).check()
    assert check.findings
    return " ".join(check.findings)


def test_a_connection_that_works_says_who_it_is_and_what_it_may(
    crm: FakeDynamics365, connect: Connect
) -> None:
    crm.add("duplicaterules", name="Leads with the same e-mail", baseentityname="lead", statuscode=2)
    check = connect().check()
    assert check.ok
    assert check.findings == (
        "Connected to 127.0.0.1 as “Marketplace leads”.",
        "Can read leads: yes. Can create leads: yes.",
    )
    assert crm.leads == {}
    assert [seen.method for seen in crm.requests if not seen.path.endswith("/token")] == ["GET"] * 5


def test_what_a_connection_can_do_without_is_told(crm: FakeDynamics365, connect: Connect) -> None:
    crm.privileges -= {"prvAssignLead", "prvAppendLead", "prvReadUser"}
    check = connect().check()
    assert check.ok
    said = " ".join(check.findings)
    assert str(USER) in said
    assert "Cannot give a lead to another owner: the security role lacks prvAssignLead." in said
    assert "Cannot connect a lead with a campaign: the security role lacks prvAppendLead." in said
    assert "no published duplicate detection rule for leads" in said
    assert "duplicate" not in " ".join(connect(duplicates="create").check().findings)


def test_where_privileges_are_not_told_the_test_says_so(crm: FakeDynamics365, connect: Connect) -> None:
    crm.next(Answer(404), when=lambda seen: "RetrieveUserSet" in seen.path)
    assert "Whether it can create them, Dynamics 365 does not tell." in sentence(connect)
    crm.next(Answer(200, {"RolePrivileges": "?"}), when=lambda seen: "RetrieveUserSet" in seen.path)
    assert "does not tell" in sentence(connect)


def test_a_wrong_secret_an_expired_one_and_wrong_ids_are_told_apart(
    crm: FakeDynamics365, connect: Connect
) -> None:
    assert "enter its Value, not its Secret ID" in sentence(connect, client_secret="0b1c2d3e")
    assert "The client secret has expired" in sentence(connect, client_secret=crm.expired_secret)
    assert "no app with this Application (client) ID" in sentence(connect, client_id=CLIENT[::-1])
    assert "no directory with this Directory (tenant) ID" in sentence(connect, tenant_id="contoso.example")
    wrong = f"http://localhost:{crm.port}"
    assert "knows no Dynamics 365 environment at this address" in sentence(connect, url=wrong)


def test_an_address_where_something_else_answers_is_told(crm: FakeDynamics365, connect: Connect) -> None:
    for strange in (Answer(200, "<html>Intranet</html>"), Answer(200, {"d": []}), Answer(200, [])):
        crm.next(strange, when=lambda seen: seen.path.endswith("WhoAmI"))
        assert "not Dynamics 365: check the address" in sentence(connect)
    crm.next(Answer(404, "<title>Not found</title>"), when=lambda seen: seen.path.endswith("WhoAmI"))
    assert "The CRM knows nothing at this address (HTTP 404)" in sentence(connect)
    elsewhere = Answer(302, headers={"location": "https://elsewhere.example"})
    crm.next(elsewhere, when=lambda seen: seen.path.endswith("WhoAmI"))
    assert "redirect" in sentence(connect)
    assert isinstance(connect(authority=f"{crm.url}/elsewhere").check().outcome, DestinationFault)


def test_a_missing_privilege_is_named(crm: FakeDynamics365, connect: Connect) -> None:
    crm.privileges.discard("prvCreateLead")
    check = connect().check()
    assert isinstance(check.outcome, DestinationFault)
    assert "the privilege Create on the table Lead (prvCreateLead)" in check.findings[0]
    outcome = push(connect, LEAD)
    assert isinstance(outcome, DestinationFault)
    assert "prvCreateLead" in outcome.reason
    crm.privileges.discard("prvReadLead")
    assert "prvReadLead" in sentence(connect)


def test_a_missing_application_user_is_told(crm: FakeDynamics365, connect: Connect) -> None:
    crm.member = False
    assert "The app is no user of this environment: add it" in sentence(connect)


def test_an_environment_without_sales_is_told(crm: FakeDynamics365, connect: Connect) -> None:
    crm.next(
        Answer(
            404, {"error": {"code": "0x8006088a", "message": "Resource not found for the segment 'leads'."}}
        ),
        when=lambda seen: seen.path.endswith("/leads"),
    )
    assert "Dynamics 365 Sales is not installed" in sentence(connect)


def test_dynamics_being_down_is_worth_another_try(crm: FakeDynamics365, connect: Connect) -> None:
    crm.next(
        Answer(503, "<title>Service Unavailable</title>"), when=lambda seen: seen.path.endswith("WhoAmI")
    )
    check = connect().check()
    assert isinstance(check.outcome, RetryLater)
    assert not check.outcome.uncertain
    assert "Service Unavailable" in check.findings[0]
    crm.next("hang up", when=lambda seen: seen.path.endswith("WhoAmI"))
    assert isinstance(connect().check().outcome, RetryLater)


def test_a_certificate_that_is_not_trusted_is_told() -> None:
    policy = Policy(**{name: getattr(LOOPBACK, name) for name in ("allow_private", "deadline")})
    with (
        FakeDynamics365(tls=True) as crm,
        connecting(Dynamics365Connector, crm.settings(), policy) as connect,
    ):
        check = connect().check()
        assert isinstance(check.outcome, DestinationFault)
        assert "The certificate of 127.0.0.1 was not accepted" in check.findings[0]
        assert crm.requests == []


def test_a_refusal_in_a_leads_own_words_is_not_taken_for_a_code(
    crm: FakeDynamics365, connect: Connect
) -> None:
    """A lead may say whatever it likes, and Dataverse quotes it."""
    for words in ("0x80040237 already exists", "AADSTS7000215: x", "0x80040333 duplicate"):
        body = {"error": {"code": "0x80040203", "message": f"Invalid value: {words}"}}
        crm.next(Answer(400, json.dumps(body)), when=lambda seen: seen.method == "PATCH")
        outcome = push(connect, LEAD)
        assert isinstance(outcome, Rejected)
        assert not outcome.duplicate_of
