"""Laws of Web-to-Lead, against a fake that says as little as Salesforce does."""

from collections.abc import Iterator

import pytest

from crm_sync.connectors.salesforce_web_to_lead import SalesforceWebToLeadConnector
from crm_sync.mapping import apply, suggested_rules
from crm_sync.outcomes import Delivered, DestinationFault, RetryLater
from tests.connectors.laws import Connect, connecting, key, push
from tests.fakes.salesforce import ORGANIZATION, FakeWebToLead
from tests.fakes.server import Answer

RULES = suggested_rules(SalesforceWebToLeadConnector.spec)
VALUES = {
    "first_name": "Zoë",
    "last_name": "O'Nagy & Sons",
    "email": "zoe.nagy@fabrikam.example",
    "company": "Fabrikam",
    "country": "HU",
    "lead_source": "AzureMarketplace-PLT|contoso.backup",
    "action": "PLT",
    "action_label": "Contact me",
    "offer_title": "Contoso Backup",
    "description": "Please call\nafter 3 pm.",
}
RECORD = apply(RULES, VALUES).record


@pytest.fixture
def form() -> Iterator[FakeWebToLead]:
    with FakeWebToLead() as fake:
        yield fake


@pytest.fixture
def connect(form: FakeWebToLead) -> Iterator[Connect]:
    with connecting(SalesforceWebToLeadConnector, {"url": form.form_url, "oid": ORGANIZATION}) as connect:
        yield connect


def test_a_lead_is_posted_as_the_form_would_post_it(form: FakeWebToLead, connect: Connect) -> None:
    assert isinstance(push(connect, RECORD), Delivered)
    (lead,) = form.leads
    assert lead == {
        "oid": ORGANIZATION,
        "last_name": "O'Nagy & Sons",
        "company": "Fabrikam",
        "first_name": "Zoë",
        "email": "zoe.nagy@fabrikam.example",
        "country": "Hungary",
        "lead_source": "AzureMarketplace-PLT|contoso.backup",
        "description": RECORD["description"],
    }
    assert "Contact me (PLT)" in lead["description"]
    assert "Please call\nafter 3 pm." in lead["description"]
    assert form.requests[0].query == {"encoding": "UTF-8"}


def test_a_lead_without_any_value_still_makes_a_lead(form: FakeWebToLead, connect: Connect) -> None:
    push(connect, apply(RULES, {}).record)
    assert form.leads == [{"last_name": "Unknown", "company": "Unknown", "oid": ORGANIZATION}]


def test_custom_fields_go_by_their_id_and_the_organization_cannot_be_mapped(
    form: FakeWebToLead, connect: Connect
) -> None:
    push(connect, {**RECORD, "00N5g00000AbCdE": "x" * 40, "oid": "00D000000000000", "doNotCall": False})
    assert form.leads[0]["00N5g00000AbCdE"] == "x" * 40
    assert form.leads[0]["oid"] == ORGANIZATION
    assert "doNotCall" not in form.leads[0]


def test_a_customer_who_is_not_to_be_contacted_is_marked_so(form: FakeWebToLead, connect: Connect) -> None:
    push(connect, apply(RULES, {**VALUES, "action": "DNC"}).record)
    assert (form.leads[0]["doNotCall"], form.leads[0]["emailOptOut"]) == ("1", "1")


def test_a_text_that_is_too_long_is_cut_and_the_outcome_says_so(
    form: FakeWebToLead, connect: Connect
) -> None:
    outcome = push(connect, {**RECORD, "title": "é" * 129})
    assert form.leads[0]["title"] == "é" * 127 + "…"
    assert isinstance(outcome, Delivered)
    assert "“Title” was cut from 129 to 128" in outcome.note


def test_what_salesforce_does_not_say_is_not_claimed(form: FakeWebToLead, connect: Connect) -> None:
    """It answers 200 to an organization that does not exist, too."""
    outcome = push(connect, RECORD, oid="00D000000000000")
    assert isinstance(outcome, Delivered)
    assert "does not say whether it made a lead" in outcome.note
    assert outcome.remote_url == ""
    assert form.leads == []


def test_a_lost_answer_is_uncertain_and_nothing_tells_a_repeat(form: FakeWebToLead, connect: Connect) -> None:
    form.next("drop")
    outcome = push(connect, RECORD)
    assert isinstance(outcome, RetryLater)
    assert outcome.uncertain
    assert len(form.leads) == 1
    assert SalesforceWebToLeadConnector.spec.idempotent_by == ""


def test_what_was_never_sent_is_tried_again(connect: Connect) -> None:
    outcome = push(connect, RECORD, url="http://127.0.0.1:9/servlet/servlet.WebToLead")
    assert isinstance(outcome, RetryLater)
    assert not outcome.uncertain


def test_the_connection_test_says_how_little_it_can_see(form: FakeWebToLead, connect: Connect) -> None:
    check = connect().check()
    assert check.ok
    reached, silent = check.findings
    assert reached == "127.0.0.1 can be reached: it answered HEAD with 200. No lead was sent."
    assert silent.startswith("Salesforce does not tell whether the organization ID is right")
    assert form.leads == []


@pytest.mark.parametrize(
    ("answer", "outcome", "words"),
    [
        (Answer(404), DestinationFault, "knows nothing at this address"),
        (Answer(302, headers={"location": "https://www.salesforce.com"}), DestinationFault, "redirect"),
        (Answer(503), RetryLater, "HTTP 503"),
    ],
)
def test_an_address_where_no_form_is_taken_is_told(
    form: FakeWebToLead, connect: Connect, answer: Answer, outcome: type, words: str
) -> None:
    form.next(answer, when=lambda request: True)
    check = connect().check()
    assert isinstance(check.outcome, outcome)
    assert words in check.findings[0]


def test_a_certificate_that_nobody_vouches_for_is_told() -> None:
    with FakeWebToLead(tls=True) as form:
        settings = {"url": form.form_url, "oid": ORGANIZATION}
        with connecting(SalesforceWebToLeadConnector, settings) as connect:
            assert "certificate of 127.0.0.1 was not accepted" in connect().check().findings[0]


@pytest.mark.parametrize(
    ("oid", "right"),
    [
        (ORGANIZATION, True),
        (ORGANIZATION[:15], True),
        ("", False),
        ("00Q5g00000AbCdE", False),
        ("00D5g", False),
    ],
)
def test_an_organization_id_has_15_or_18_characters_from_00d_on(oid: str, right: bool) -> None:
    assert (SalesforceWebToLeadConnector.clean({"oid": oid}) == {}) is right


def test_the_key_is_all_that_is_known_of_the_lead(connect: Connect) -> None:
    outcome = push(connect, RECORD)
    assert isinstance(outcome, Delivered)
    assert outcome.remote_id == key(1)
