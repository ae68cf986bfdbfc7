"""An action of a Power Automate flow becomes rows of a field mapping; what cannot, is listed."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_sync import mapping
from crm_sync.from_flow import FlowError, Reading, read
from crm_sync.mapping import Rule

BODY = "triggerBody()"


def action(**items: Any) -> str:
    """What *Code view* of "Add a new row" shows."""
    return json.dumps(
        {
            "type": "OpenApiConnection",
            "inputs": {
                "host": {"connectionName": "shared_commondataserviceforapps", "operationId": "CreateRecord"},
                "parameters": {
                    "entityName": "leads",
                    **{f"item/{name}": value for name, value in items.items()},
                },
                "authentication": "@parameters('$authentication')",
            },
            "runAfter": {},
        }
    )


def rule(value: Any) -> Rule:
    reading = read(action(subject=value))
    assert not reading.unread, reading.unread
    [only] = reading.rules
    assert mapping.problems(only, (), any_field=True) == []
    return only


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("@triggerBody()?['OfferTitle']", Rule("subject", "field", source="offer_title")),
        ("@{triggerBody()?['UserDetails']?['FirstName']}", Rule("subject", "field", source="first_name")),
        ("@triggerBody()['userDetails']['last_name']", Rule("subject", "field", source="last_name")),
        ("@triggerBody()?['UserDetails/Email']", Rule("subject", "field", source="email")),
        ("@triggerOutputs()?['body/UserDetails/Phone']", Rule("subject", "field", source="phone")),
        ("@triggerOutputs()?['body']?['ActionCode']", Rule("subject", "field", source="action")),
        ("@body('Parse_JSON')?['LeadSource']", Rule("subject", "field", source="lead_source")),
        ("@outputs('Parse_JSON')?['body/Description']", Rule("subject", "field", source="description")),
        ("@triggerBody().UserDetails.Company", Rule("subject", "field", source="company")),
        ("@triggerBody()?['Notes']", Rule("subject", "field", source="extra.Notes")),
        ("New lead", Rule("subject", "constant", value="New lead")),
        ("mail@@contoso.example", Rule("subject", "constant", value="mail@contoso.example")),
        (8, Rule("subject", "constant", value="8")),
        (True, Rule("subject", "constant", value="true")),
        ("", Rule("subject", "omit")),
        (
            "@toLower(triggerBody()?['UserDetails']?['Email'])",
            Rule("subject", "field", source="email", transform="lower"),
        ),
        (
            "@coalesce(triggerBody()?['UserDetails']?['LastName'], 'Unknown')",
            Rule("subject", "field", source="last_name", fallback="Unknown"),
        ),
        (
            "@if(empty(triggerBody()?['UserDetails']?['Company']), 'It''s unknown', triggerBody()?['UserDetails']?['Company'])",
            Rule("subject", "field", source="company", fallback="It's unknown"),
        ),
        (
            "Lead for @{triggerBody()?['OfferTitle']}: @{triggerBody()?['UserDetails']?['FirstName']}",
            Rule("subject", "template", template="Lead for {{ offer_title }}: {{ first_name }}"),
        ),
        (
            "@concat(triggerBody()?['OfferTitle'], ' (', toUpper(triggerBody()?['ActionCode']), ')')",
            Rule("subject", "template", template="{{ offer_title }} ({{ action | upcase }})"),
        ),
        (
            "@concat('From ', coalesce(triggerBody()?['UserDetails']?['Company'], triggerBody()?['UserDetails']?['Email'], 'x'))",
            Rule("subject", "template", template='From {{ company | default: email | default: "x" }}'),
        ),
        (
            "@if(equals(triggerBody()?['UserDetails']?['Country'],'US'),'United States',if(equals(triggerBody()?['UserDetails']?['Country'],'DE'),'Germany','Other'))",
            Rule(
                "subject",
                "lookup",
                source="country",
                table={"US": "United States", "DE": "Germany"},
                fallback="Other",
            ),
        ),
    ],
)
def test_what_a_flow_sets_a_field_to_becomes_a_rule(value: Any, expected: Rule) -> None:
    assert rule(value) == expected


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("@utcNow()", "There is no counterpart of “utcNow”."),
        ("@variables('Country')", "no counterpart of “variables”"),
        ("@concat('a', guid())", "no counterpart of “guid”"),
        ("@triggerBody()?['UserDetails']?['Address']?['City']", "no value of the lead"),
        ("@if(greater(length(triggerBody()?['Phone']),5),'a','b')", "Its condition cannot be read."),
        ("@triggerBody()?[", "cannot be read"),
        ("@{triggerBody()?['OfferTitle']", "not closed"),
        ("@concat('{{ x }}', triggerBody()?['OfferTitle'])", "braces"),
        ("@" + "concat(" * 99 + ")" * 99, "nested too deep"),
        (["a"], "not set to a text"),
        (None, "not set to a text"),
    ],
)
def test_what_cannot_be_read_is_listed_with_the_reason(value: Any, why: str) -> None:
    reading = read(action(subject=value, lastname="@triggerBody()?['UserDetails']?['LastName']"))
    assert [rule.target for rule in reading.rules] == ["lastname"]
    [unread] = reading.unread
    assert unread.target == "subject"
    assert why in unread.why


def test_a_reference_to_another_record_is_taken_by_its_id() -> None:
    guid = "0f8fad5b-d9cb-469f-a165-70867728950e"
    reading = read(action(**{"ownerid@odata.bind": f"/systemusers({guid})"}))
    assert reading == Reading((Rule("ownerid", "constant", value=guid),), ())
    [unread] = read(action(**{"ownerid@odata.bind": "@variables('owner')"})).unread
    assert "by its name" in unread.why


@pytest.mark.parametrize(
    "document",
    [
        {"inputs": {"parameters": {"table": "Lead", "item": {"LastName": "Doe"}}}},
        {
            "inputs": {
                "method": "post",
                "path": "/datasets/default/tables/leads/items",
                "body": {"LastName": "Doe"},
            }
        },
        {
            "definition": {
                "actions": {"If": {"actions": {"Add": {"inputs": {"parameters": {"item/LastName": "Doe"}}}}}}
            }
        },
        [{"inputs": {"parameters": {"item/LastName": "Doe"}}}],
    ],
)
def test_the_action_is_found_wherever_it_stands(document: Any) -> None:
    assert read(json.dumps(document)).rules == (Rule("LastName", "constant", value="Doe"),)


@pytest.mark.parametrize(
    "text", ["", "subject: x", "[]", "{}", "7", '{"inputs": {"parameters": {}}}', "[" * 100_000]
)
def test_what_is_no_action_is_refused_with_what_to_copy(text: str) -> None:
    with pytest.raises(FlowError, match=r"Code view \(Peek code\)"):
        read(text)


@given(st.text(max_size=60))
def test_no_expression_breaks_the_reader(text: str) -> None:
    reading = read(action(a=f"@{text}", b=f"x @{{{text}}}", c=text))
    assert len(reading.rules) + len(reading.unread) == 3


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=9), lambda each: st.lists(each, max_size=3) | st.dictionaries(st.sampled_from(["item", "item/a", "parameters", "body", "path", "x"]), each, max_size=4), max_leaves=20))  # fmt: skip
def test_no_document_breaks_the_reader(document: Any) -> None:
    try:
        assert read(json.dumps(document))
    except FlowError as refused:
        assert str(refused)
