"""Odoo's laws, each against the fake in both protocols: JSON-2 of Odoo 19 and JSON-RPC of Odoo 17."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import pytest

from crm_sync import mapping
from crm_sync.connectors.base import Item
from crm_sync.connectors.memory import memory
from crm_sync.connectors.odoo import OdooConnector
from crm_sync.outcomes import Delivered, DestinationFault, Outcome, Rejected, RetryLater
from crm_sync.recorder import Recorder
from tests.connectors.laws import Connect, assert_a_lost_answer_leaves_one_record, connecting, key, push
from tests.fakes.odoo import ALL_KEY, BOT_KEY, EXPIRED_KEY, NO_SALES_KEY, FakeOdoo
from tests.fakes.server import Answer

ADA = {"name": "Contoso Backup: Ada", "email_from": "Ada@fabrikam.example", "description": "Please call"}
VALUES: dict[str, object] = {
    "first_name": "Ada",
    "last_name": "Lovelace",
    "full_name": "Ada Lovelace",
    "email": "ada@fabrikam.example",
    "phone": "+1 425 555 0100",
    "company": "Fabrikam",
    "title": "CTO",
    "country": "Canada",
    "country_code": "CA",
    "lead_source": "AzureMarketplace-DNC|contoso.backup",
    "source": "AzureMarketplace",
    "action": "DNC",
    "offer_title": "Contoso Backup",
    "description": "Please <b>call</b>\nR&D",
}
RULES = mapping.suggested_rules(OdooConnector.spec)


def settings(crm: FakeOdoo) -> dict[str, str]:
    return {
        "url": crm.url,
        "database": "contoso",
        "username": "bot@contoso.example",
        "api_key": BOT_KEY,
    }


@pytest.fixture(params=[(19, 0), (17, 0)], ids=["JSON-2", "JSON-RPC"])
def crm(request: pytest.FixtureRequest) -> Iterator[FakeOdoo]:
    with FakeOdoo(version=request.param) as crm:
        yield crm


@pytest.fixture
def connect(crm: FakeOdoo) -> Iterator[Connect]:
    with connecting(OdooConnector, settings(crm)) as connect:
        yield connect


def only(crm: FakeOdoo) -> dict[str, Any]:
    (lead,) = crm.leads.values()
    return lead


def see_all(crm: FakeOdoo) -> dict[str, str]:
    return {"api_key": ALL_KEY, "username": "all@contoso.example"}


# --- Once -----------------------------------------------------------------------------------------


def test_a_lead_whose_answer_was_lost_is_there_once(crm: FakeOdoo, connect: Connect) -> None:
    record = {"name": "Contoso Backup: somebody"}
    push(connect, record, 99)  # so that what is looked up is known, and the next request is the lead
    crm.leads.clear()
    crm.external.clear()
    assert_a_lost_answer_leaves_one_record(crm, connect, record, lambda: len(crm.leads))


def test_a_lead_of_a_person_whose_answer_was_lost_is_no_duplicate_of_itself(
    crm: FakeOdoo, connect: Connect
) -> None:
    crm.next("drop", when=lambda request: b"__leadsite__" in request.body)
    assert push(connect, ADA) == RetryLater(
        "The connection broke before the answer was complete: Server disconnected without sending a response.",
        uncertain=True,
    )
    again = push(connect, ADA, retry=True)
    assert again == Delivered("1", again.remote_url, existed=True)
    assert len(crm.leads) == 1


def test_a_repeated_push_changes_nothing_that_a_salesperson_changed(crm: FakeOdoo, connect: Connect) -> None:
    push(connect, ADA)
    crm.leads[1] |= {"name": "Ada, hot", "description": "Called on Monday"}
    for duplicates in ("ask", "create", "skip"):
        assert isinstance(push(connect, ADA, retry=True, duplicates=duplicates), Delivered)
    assert only(crm)["name"] == "Ada, hot"
    assert only(crm)["description"] == "Called on Monday"


def test_a_repeated_push_finds_a_lead_that_the_bot_may_no_longer_read(
    crm: FakeOdoo, connect: Connect
) -> None:
    push(connect, ADA)
    crm.leads[1]["user_id"] = 8  # Alice's now
    again = push(connect, ADA, retry=True)
    assert isinstance(again, Delivered), again
    assert again.remote_id == "1"
    assert only(crm)["user_id"] == 8


def test_of_two_that_write_one_lead_at_once_the_later_comes_again(crm: FakeOdoo, connect: Connect) -> None:
    push(connect, {"name": "first"})
    crm.together = threading.Barrier(2)
    with ThreadPoolExecutor(2) as workers:
        both = list(workers.map(lambda _: push(connect, {"name": "second"}, 2), range(2)))
    crm.together = None
    assert {type(outcome) for outcome in both} == {Delivered, RetryLater}
    refused = next(outcome for outcome in both if isinstance(outcome, RetryLater))
    assert not refused.uncertain
    assert "nothing was written" in refused.reason
    assert len(crm.leads) == 2


def test_no_mapping_can_give_a_lead_another_external_id(crm: FakeOdoo, connect: Connect) -> None:
    push(connect, {"name": "x", "id": "base.main_company"})
    assert list(crm.external) == [f"__leadsite__.lead_{key(1).replace('-', '')}"]


# --- What is written ------------------------------------------------------------------------------


def test_the_suggested_mapping_writes_the_whole_lead(crm: FakeOdoo, connect: Connect) -> None:
    outcome = push(connect, mapping.apply(RULES, VALUES).record)
    assert isinstance(outcome, Delivered), outcome
    lead = only(crm)
    assert lead["name"] == "Contoso Backup: Ada Lovelace (DNC)"
    assert lead["contact_name"] == "Ada Lovelace"
    assert (lead["partner_name"], lead["function"], lead["phone"]) == ("Fabrikam", "CTO", "+1 425 555 0100")
    assert lead["country_id"] == 38
    assert lead["referred"] == "AzureMarketplace-DNC|contoso.backup"
    assert crm.records["utm.source"][lead["source_id"]]["name"] == "Azure Marketplace"


def test_a_lead_not_to_be_contacted_has_a_tag_that_says_so(crm: FakeOdoo, connect: Connect) -> None:
    push(connect, mapping.apply(RULES, VALUES).record, 1)
    push(connect, mapping.apply(RULES, {**VALUES, "action": "PLT", "email": ""}).record, 2)
    assert crm.records["crm.tag"] == {1: {"name": "Do not contact"}}
    assert [lead.get("tag_ids") for lead in crm.leads.values()] == [[1], None]


def test_a_lead_with_no_values_at_all_is_written(crm: FakeOdoo, connect: Connect) -> None:
    assert isinstance(push(connect, mapping.apply(RULES, {}).record), Delivered)
    assert only(crm)["name"] == "Marketplace lead: Unknown"


def test_a_country_that_nobody_knows_is_not_lost(crm: FakeOdoo, connect: Connect) -> None:
    values = {**VALUES, "country": "Utopia", "country_code": ""}
    push(connect, mapping.apply(RULES, values).record)
    assert only(crm)["referred"] == "AzureMarketplace-DNC|contoso.backup (country: Utopia)"


def test_the_text_of_a_lead_is_text_in_odoos_html(crm: FakeOdoo, connect: Connect) -> None:
    push(connect, {"name": "<b>x</b>", "description": "<script>alert(1)</script>\nR&D"})
    assert only(crm)["description"] == "<p>&lt;script&gt;alert(1)&lt;/script&gt;<br>R&amp;D</p>"
    assert only(crm)["name"] == "<b>x</b>"  # no HTML in Odoo


def test_where_notes_are_plain_text_they_are_left_so() -> None:
    with FakeOdoo(version=(14, 0)) as crm, connecting(OdooConnector, settings(crm)) as connect:
        crm.fields["description"]["type"] = "text"
        push(connect, {"name": "x", "description": "R&D"})
        assert only(crm)["description"] == "R&D"


def test_the_bot_is_no_leads_salesperson_and_follows_none(crm: FakeOdoo, connect: Connect) -> None:
    push(connect, ADA)
    assert only(crm)["user_id"] is False
    assert "message_partner_ids" not in only(crm)


@pytest.mark.parametrize("uses_leads", [True, False])
def test_odoo_decides_whether_it_is_a_lead_or_an_opportunity(
    crm: FakeOdoo, connect: Connect, uses_leads: bool
) -> None:
    crm.uses_leads = uses_leads
    push(connect, {"name": "x"}, 1)
    push(connect, {"name": "x", "type": "Lead"}, 2, fields=connect().describe_fields())
    assert [lead["type"] for lead in crm.leads.values()] == ["lead" if uses_leads else "opportunity", "lead"]


def test_values_take_the_types_of_their_fields(crm: FakeOdoo, connect: Connect) -> None:
    record = {
        "name": "x",
        "expected_revenue": "12.50",
        "active": "no",
        "date_deadline": "2026-12-24",
        "x_studio_received": "2026-11-22T10:00:00Z",
    }
    outcome = push(connect, record, fields=connect().describe_fields())
    assert isinstance(outcome, Delivered), outcome
    lead = only(crm)
    assert (lead["expected_revenue"], lead["active"]) == (12.5, False)
    assert (lead["date_deadline"], lead["x_studio_received"]) == ("2026-12-24", "2026-11-22 10:00:00")


def test_a_text_is_cut_to_what_odoo_holds_and_the_outcome_says_so(crm: FakeOdoo, connect: Connect) -> None:
    record = {"name": "x", "x_studio_partner_code": "ABCDEFGHIJ"}
    outcome = push(connect, record, fields=connect().describe_fields())
    assert isinstance(outcome, Delivered)
    assert outcome.note.startswith("“Partner code” was cut from 10 to 8 characters")
    assert only(crm)["x_studio_partner_code"] == "ABCDEFG…"


@pytest.mark.parametrize(
    ("record", "field"),
    [
        ({"name": "x", "colour": "red"}, "colour"),
        ({"name": "x", "type": "customer"}, "type"),
        ({"name": "x", "expected_revenue": "a lot"}, "expected_revenue"),
        ({"name": "x", "team_id": "Nowhere"}, "team_id"),
        ({"name": "x", "team_id": "Twins"}, "team_id"),
        ({"name": "x", "team_id": "77"}, "team_id"),
        ({"name": "x", "team_id": "7" * 5_000}, "team_id"),
        ({"name": "x", "type": "load could not serialize access"}, "type"),
        ({"email_from": "ada@fabrikam.example"}, "name"),
    ],
)
def test_a_refusal_names_the_field_and_writes_nothing(
    crm: FakeOdoo, connect: Connect, record: dict[str, str], field: str
) -> None:
    outcome = push(connect, record)
    assert isinstance(outcome, Rejected), outcome
    assert outcome.field == field
    assert crm.leads == {}


# --- References -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "name", "number"),
    [
        ("team_id", "Sales", 1),
        ("team_id", "3", 3),
        ("country_id", "CA", 38),
        ("country_id", "Canada", 38),
    ],
)
def test_a_reference_is_given_by_its_name_or_number(
    crm: FakeOdoo, connect: Connect, field: str, name: str, number: int
) -> None:
    assert isinstance(push(connect, {"name": "x", field: name}), Delivered)
    assert only(crm)[field] == number


@pytest.mark.parametrize("who", ["Alice", "alice@contoso.example"])
def test_a_salesperson_is_given_by_name_or_by_what_she_signs_in_with(
    crm: FakeOdoo, connect: Connect, who: str
) -> None:
    assert isinstance(push(connect, {"name": "x", "user_id": who}, **see_all(crm)), Delivered)
    assert only(crm)["user_id"] == 8


def test_a_bot_with_own_documents_only_cannot_name_a_salesperson_and_is_told_so(
    crm: FakeOdoo, connect: Connect
) -> None:
    outcome = push(connect, {"name": "x", "user_id": "Alice"})
    assert isinstance(outcome, DestinationFault), outcome
    assert "to name a salesperson it needs “User: All Documents” for Sales" in outcome.reason


def test_several_of_one_name_are_told_apart_by_a_person(crm: FakeOdoo, connect: Connect) -> None:
    outcome = push(connect, {"name": "x", "team_id": "Twins"})
    words = "Odoo has several “Twins” for “Sales Team”: give the id of the one that is meant."
    assert outcome == Rejected(words, field="team_id")


def test_what_is_looked_up_is_remembered(crm: FakeOdoo, connect: Connect) -> None:
    record = {"name": "x", "team_id": "Sales", "country_id": "CA"}
    push(connect, record, 1)
    crm.requests.clear()
    push(connect, record, 2)
    assert len(crm.requests) == len(crm.calls("load")) == 1


def test_a_source_or_tag_that_is_missing_is_made_once(crm: FakeOdoo, connect: Connect) -> None:
    record = {"name": "x", "source_id": "Azure Marketplace", "tag_ids": "Partner, Do not contact"}
    push(connect, record, 1)
    memory.clear()  # another process
    push(connect, record, 2)
    assert list(crm.records["utm.source"].values()) == [{"name": "Azure Marketplace"}]
    assert [tag["name"] for tag in crm.records["crm.tag"].values()] == ["Partner", "Do not contact"]
    assert [lead["tag_ids"] for lead in crm.leads.values()] == [[1, 2], [1, 2]]


def test_two_processes_that_make_one_source_at_once_make_one(crm: FakeOdoo, connect: Connect) -> None:
    push(connect, {"name": "x"})
    makers = [connect(), connect(duplicates="create")]  # which remember nothing of one another
    with ThreadPoolExecutor(2) as workers:
        made = list(workers.map(lambda each: each._make("utm.source", "Azure", "source_id"), makers))
    assert made == [1, 1]
    assert len(crm.records["utm.source"]) == 1


def test_the_dry_run_shows_names_until_their_numbers_are_known(crm: FakeOdoo, connect: Connect) -> None:
    record = {"name": "x", "team_id": "Sales"}
    assert "Sales" in str(connect().requests(record, key=key(1)))
    assert crm.requests == []
    push(connect, record)
    (shown,) = connect().requests(record, key=key(1))
    assert "team_id/.id" in str(shown.body)
    assert crm.calls("load")[-1].json() | {"id": None} == {**shown.body, "id": None}


# --- Persons that Odoo has already ----------------------------------------------------------------


def test_a_person_that_odoo_has_already_is_asked_about(crm: FakeOdoo, connect: Connect) -> None:
    push(connect, ADA, 1)
    outcome = push(connect, {**ADA, "email_from": "ADA@fabrikam.example"}, 2)
    assert outcome == Rejected("Odoo has a lead of this person already, number 1.", duplicate_of="1")
    assert len(crm.leads) == 1


def test_a_person_that_odoo_has_already_is_written_all_the_same(crm: FakeOdoo, connect: Connect) -> None:
    push(connect, ADA, 1)
    assert isinstance(push(connect, ADA, 2, duplicates="create"), Delivered)
    assert len(crm.leads) == 2


def test_a_person_that_odoo_has_already_is_skipped(crm: FakeOdoo, connect: Connect) -> None:
    push(connect, ADA, 1)
    outcome = push(connect, ADA, 2, duplicates="skip")
    assert isinstance(outcome, Delivered)
    assert outcome.remote_id == "1"
    assert "Nothing was written" in outcome.note
    assert len(crm.leads) == 1


def test_a_bot_with_own_documents_only_does_not_see_the_leads_of_others(
    crm: FakeOdoo, connect: Connect
) -> None:
    push(connect, ADA, 1)
    crm.leads[1]["user_id"] = 8
    assert isinstance(push(connect, ADA, 2, **see_all(crm)), Rejected)
    assert isinstance(push(connect, ADA, 3), Delivered)


def test_a_lead_without_an_address_is_nobodys_duplicate(crm: FakeOdoo, connect: Connect) -> None:
    push(connect, {"name": "x"}, 1)
    assert isinstance(push(connect, {"name": "x"}, 2), Delivered)
    assert not crm.calls("search_read")


# --- Batches --------------------------------------------------------------------------------------


def batch(connect: Connect, records: dict[int, dict[str, Any]], **other: str) -> list[Outcome]:
    items = [Item(record, key(number), retry=False) for number, record in records.items()]
    return list(connect(**other).push_many(items))


def test_a_batch_is_loaded_at_once(crm: FakeOdoo, connect: Connect) -> None:
    records = {n: {"name": f"Lead {n}", "email_from": f"{n}@fabrikam.example"} for n in range(100)}
    outcomes = batch(connect, records)
    assert [outcome.remote_id for outcome in outcomes if isinstance(outcome, Delivered)] == [
        str(n) for n in range(1, 101)
    ]
    assert len(crm.calls("load")) == len(crm.calls("search_read")) == 1


def test_of_a_batch_only_those_that_odoo_refuses_are_refused(crm: FakeOdoo, connect: Connect) -> None:
    records: dict[int, dict[str, Any]] = {n: {"name": f"Lead {n}", "expected_revenue": n} for n in range(10)}
    records[3]["expected_revenue"] = "a lot"
    records[5]["name"] = ""
    records[7] = {"name": "Lead 7", "team_id": "Nowhere"}
    outcomes = batch(connect, records)
    refused = {n: outcome.field for n, outcome in enumerate(outcomes) if isinstance(outcome, Rejected)}
    assert refused == {3: "expected_revenue", 5: "name", 7: "team_id"}
    assert sorted(lead["name"] for lead in crm.leads.values()) == [
        f"Lead {n}" for n in range(10) if n not in refused
    ]
    assert len(crm.calls("load")) == 2  # the second without those that the first named


def test_where_odoo_names_no_field_each_lead_is_tried_alone(crm: FakeOdoo, connect: Connect) -> None:
    push(connect, {"name": "warm"}, 9)
    words = "A lead needs a phone number."
    message = {"type": "error", "record": 0, "message": words}  # of another row, as Odoo does
    answer = {"ids": False, "messages": [message], "nextrow": 0}
    refusal = Answer(200, answer if crm.version[0] == 19 else {"jsonrpc": "2.0", "id": 1, "result": answer})
    crm.next(refusal, when=lambda request: b"__leadsite__" in request.body)
    crm.next("hang up", when=lambda request: b'"Lead 2"' in request.body)
    outcomes = batch(connect, {n: {"name": f"Lead {n}"} for n in range(1, 4)})
    assert [type(outcome) for outcome in outcomes] == [Delivered, RetryLater, Delivered]
    assert len(crm.leads) == 3


def test_a_batch_whose_answer_was_lost_is_there_once(crm: FakeOdoo, connect: Connect) -> None:
    records = {n: {"name": f"Lead {n}"} for n in range(1, 6)}
    crm.next("drop", when=lambda request: b"__leadsite__" in request.body)
    first = batch(connect, records)
    assert all(isinstance(outcome, RetryLater) and outcome.uncertain for outcome in first)
    assert all(isinstance(outcome, Delivered) for outcome in batch(connect, records))
    assert len(crm.leads) == 5


def test_in_a_batch_too_each_person_is_looked_for(crm: FakeOdoo, connect: Connect) -> None:
    push(connect, ADA, 1)
    outcomes = batch(connect, {1: ADA, 2: ADA, 3: {"name": "x", "email_from": "bob@fabrikam.example"}})
    assert [type(outcome) for outcome in outcomes] == [Delivered, Rejected, Delivered]
    assert isinstance(outcomes[0], Delivered)
    assert outcomes[0].existed


# --- Both protocols -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "path"),
    [((19, 0), "/json/2/crm.lead/load"), ((17, 0), "/jsonrpc"), (("saas~18", 2), "/jsonrpc")],
)
def test_the_protocol_follows_from_the_version_which_is_asked_once(
    version: tuple[Any, int], path: str
) -> None:
    with FakeOdoo(version=version) as crm, connecting(OdooConnector, settings(crm)) as connect:
        for number in range(3):
            assert isinstance(push(connect, {"name": "x"}, number), Delivered)
        assert crm.requests[-1].path == path
        paths = [request.path for request in crm.requests]
        assert paths.count("/web/webclient/version_info") == 1
        assert len(crm.calls("authenticate")) == (0 if version[0] == 19 else 1)


@pytest.mark.parametrize(
    ("version", "page"),
    [
        ((19, 0), "/odoo/crm/1"),
        (("saas~18", 2), "/odoo/crm/1"),
        ((17, 0), "/web#id=1&model=crm.lead&view_type=form"),
    ],
)
def test_a_person_gets_a_link_to_the_lead(version: tuple[Any, int], page: str) -> None:
    with FakeOdoo(version=version) as crm, connecting(OdooConnector, settings(crm)) as connect:
        outcome = push(connect, {"name": "x"}, url=f"{crm.url}/odoo/discuss?x=1")
        assert isinstance(outcome, Delivered)
        assert outcome.remote_url == crm.url + page


def test_the_key_is_not_in_the_record(crm: FakeOdoo, connect: Connect) -> None:
    recorder = Recorder([BOT_KEY])
    push(connect, ADA, recorder=recorder)
    assert recorder.exchanges
    assert BOT_KEY not in str(recorder.exchanges)


def test_the_fields_are_those_of_this_odoo(connect: Connect) -> None:
    fields = {field.name: field for field in connect().describe_fields()}
    assert fields["name"].required
    assert not fields["type"].required  # Odoo fills it
    assert fields["type"].choices == (("lead", "Lead"), ("opportunity", "Opportunity"))
    assert fields["x_studio_partner_code"].max_length == 8
    assert {name: fields[name].type for name in ("email_from", "tag_ids", "active", "expected_revenue")} == {
        "email_from": "email",
        "tag_ids": "reference",
        "active": "flag",
        "expected_revenue": "number",
    }
    assert fields["source_id"].suggested
    assert fields.keys().isdisjoint({"email_normalized", "message_ids", "message_partner_ids"})


# --- The connection test --------------------------------------------------------------------------


def test_the_connection_test_says_who_we_are_and_writes_nothing(crm: FakeOdoo, connect: Connect) -> None:
    check = connect().check()
    assert check.ok
    api = "Odoo 19 over JSON-2" if crm.version[0] == 19 else "Odoo 17 over JSON-RPC"
    assert check.findings[0] == (
        f"Connected to {api} as Leads bot (bot@contoso.example). Can create leads: yes."
    )
    assert "Own Documents Only" in check.findings[1]
    assert not crm.calls("load")


def test_the_connection_test_says_when_the_key_ends(connect: Connect) -> None:
    check = connect(api_key=ALL_KEY, username="all@contoso.example").check()
    assert check.expires_on == date(2027, 2, 14)
    assert check.findings[-1] == "The API key of this user ends on 2027-02-14."


def test_the_connection_test_says_what_the_search_for_persons_sees() -> None:
    with FakeOdoo() as crm, connecting(OdooConnector, settings(crm)) as connect:
        assert "among all leads." in connect(**see_all(crm)).check().findings[1]
        assert "Does not look" in connect(duplicates="create").check().findings[1]


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"api_key": "f" * 40}, "Odoo does not accept the API key: it is wrong, deleted or expired"),
        ({"api_key": EXPIRED_KEY}, "Odoo does not accept the API key: it is wrong, deleted or expired"),
        ({"database": "elsewhere"}, "Odoo has no database of this name"),
        (
            {"api_key": NO_SALES_KEY, "username": "nosales@contoso.example"},
            "No sales (nosales@contoso.example) may not create leads: in Odoo, under Settings > Users & Companies",
        ),
    ],
    ids=["wrong secret", "expired secret", "wrong database", "no permission"],
)
def test_a_connection_that_a_person_must_mend_says_how(
    crm: FakeOdoo, connect: Connect, other: dict[str, str], words: str
) -> None:
    check = connect(**other).check()
    assert not check.ok
    assert words in check.findings[0]
    assert isinstance(check.outcome, DestinationFault)
    assert isinstance(push(connect, {"name": "x"}, **other), DestinationFault)


def test_a_database_without_the_crm_app_is_told(crm: FakeOdoo, connect: Connect, monkeypatch: Any) -> None:
    monkeypatch.delitem(crm.models, "crm.lead")
    assert "This database does not have the CRM app" in connect().check().findings[0]


@pytest.mark.parametrize("page", [Answer(404, "<title>Not Found</title>"), Answer(200, "<title>Hi</title>")])
def test_an_address_of_something_else_is_told(crm: FakeOdoo, connect: Connect, page: Answer) -> None:
    crm.next(page)
    check = connect().check()
    assert isinstance(check.outcome, DestinationFault)
    assert "at this address" in check.findings[0]


def test_an_odoo_that_is_down_is_waited_for(crm: FakeOdoo, connect: Connect) -> None:
    crm.next(Answer(503, "<title>Service Unavailable</title>"))
    check = connect().check()
    assert check.findings == ("The CRM failed (HTTP 503): Service Unavailable",)
    assert isinstance(check.outcome, RetryLater)
    assert not check.outcome.uncertain


def test_a_certificate_that_nobody_vouches_for_is_told() -> None:
    with FakeOdoo(tls=True) as crm, connecting(OdooConnector, settings(crm)) as connect:
        check = connect().check()
        assert isinstance(check.outcome, DestinationFault)
        assert "certificate of 127.0.0.1 was not accepted" in check.findings[0]
        assert crm.requests == []


def test_an_odoo_before_19_needs_the_user_name() -> None:
    with FakeOdoo(version=(16, 0)) as crm, connecting(OdooConnector, settings(crm)) as connect:
        check = connect(username="").check()
        assert check.findings == ("This Odoo is older than 19: enter the user name too.",)
    with FakeOdoo() as crm, connecting(OdooConnector, settings(crm)) as connect:
        assert connect(username="").check().ok
