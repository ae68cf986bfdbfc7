"""A lead starts a flow: in the body that Microsoft's own sender posts, and never with a null."""

from collections.abc import Iterator
from typing import Any

import pytest

from crm_sync import mapping
from crm_sync.connectors.power_automate import PowerAutomateConnector
from crm_sync.outcomes import Delivered, DestinationFault, Rejected, RetryLater
from crm_sync.recorder import Recorder
from tests.connectors.laws import Connect, connecting, key, push
from tests.fakes.power_automate import PATH, SIGNATURE, STRICT, FakeFlow
from tests.fakes.server import Answer

ZOE = {
    "id": "9b1d3c52-0a6e-4f0b-8a55-1f6f0a1c7d10",
    "first_name": "Zoë",
    "last_name": "Nagy",
    "email": "zoe.nagy@fabrikam.example",
    "lead_source": "AzureMarketplace-INS|contoso.backup",
    "action": "INS",
    "offer_title": "Contoso Backup",
}


def record(values: dict[str, Any]) -> dict[str, Any]:
    return mapping.apply(mapping.suggested_rules(PowerAutomateConnector.spec), values).record


@pytest.fixture
def flow() -> Iterator[FakeFlow]:
    with FakeFlow() as flow:
        yield flow


@pytest.fixture
def connect(flow: FakeFlow) -> Iterator[Connect]:
    with connecting(PowerAutomateConnector, {"url": flow.trigger}) as connect:
        yield connect


def test_a_lead_starts_the_flow_with_microsofts_own_body_and_our_id(flow: FakeFlow, connect: Connect) -> None:
    outcome = push(connect, record(ZOE))
    assert outcome == Delivered("08584512345678901234567890001CU27")
    assert flow.runs == [
        {
            "UserDetails": {
                "FirstName": "Zoë",
                "LastName": "Nagy",
                "Email": "zoe.nagy@fabrikam.example",
                "Phone": "",
                "Country": "",
                "Company": "",
                "Title": "",
            },
            "LeadSource": "AzureMarketplace-INS|contoso.backup",
            "ActionCode": "INS",
            "OfferTitle": "Contoso Backup",
            "Description": "",
            "LeadId": ZOE["id"],
        }
    ]
    assert flow.requests[0].headers["x-ms-client-tracking-id"] == key(1)


@pytest.mark.parametrize("values", [{}, ZOE])
def test_a_flow_whose_schema_requires_every_name_takes_every_lead(
    flow: FakeFlow, connect: Connect, values: dict[str, Any]
) -> None:
    flow.schema = STRICT
    assert isinstance(push(connect, record(values)), Delivered)
    assert flow.runs[0]["LeadId"] == values.get("id", key(1))


def test_a_field_that_microsoft_does_not_have_stands_beside_the_others(
    flow: FakeFlow, connect: Connect
) -> None:
    push(connect, {**record(ZOE), "utm_source": "newsletter", "test": False, "Description": True})
    assert flow.runs[0]["utm_source"] == "newsletter"
    assert flow.runs[0]["test"] is False
    assert flow.runs[0]["Description"] == "true"


def test_a_do_not_contact_lead_says_so_in_its_action(flow: FakeFlow, connect: Connect) -> None:
    push(connect, record({**ZOE, "action": "DNC"}))
    assert flow.runs[0]["ActionCode"] == "DNC"


def test_a_flow_that_answers_itself_counts_as_delivered(flow: FakeFlow, connect: Connect) -> None:
    flow.responds = True
    assert isinstance(push(connect, record(ZOE)), Delivered)


def test_a_lost_answer_is_uncertain_and_a_repeat_starts_the_flow_again_with_the_same_lead_id(
    flow: FakeFlow, connect: Connect
) -> None:
    flow.next("drop")
    first = push(connect, record(ZOE))
    assert isinstance(first, RetryLater)
    assert first.uncertain
    assert PowerAutomateConnector.spec.idempotent_by == ""  # so a person decides
    assert isinstance(push(connect, record(ZOE), retry=True), Delivered)
    assert [run["LeadId"] for run in flow.runs] == [ZOE["id"]] * 2


def test_a_web_page_is_no_flow(flow: FakeFlow, connect: Connect) -> None:
    flow.next(Answer(200, "<html><title>Sign in</title></html>"))
    outcome = push(connect, record(ZOE))
    assert isinstance(outcome, RetryLater)
    assert outcome.uncertain
    assert "web page" in outcome.reason


def test_a_lead_that_the_flows_schema_refuses_is_rejected_in_its_words(
    flow: FakeFlow, connect: Connect
) -> None:
    flow.schema = {"required": ["Budget"]}
    outcome = push(connect, record(ZOE))
    assert isinstance(outcome, Rejected)
    assert "'Budget' is a required property" in outcome.reason


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ({"enabled": False}, "The flow is switched off or was deleted: turn it on"),
        ({"exists": False}, "There is no flow at this URL any more: copy the HTTP URL of its trigger again"),
        ({"anyone": False}, "Who can trigger the flow? says Anyone"),
    ],
)
def test_a_flow_that_cannot_start_stops_the_connection_and_says_what_to_do(
    flow: FakeFlow, connect: Connect, state: dict[str, bool], sentence: str
) -> None:
    vars(flow).update(state)
    outcome = push(connect, record(ZOE))
    assert isinstance(outcome, DestinationFault)
    assert sentence in outcome.reason
    assert flow.runs == []


def test_the_signature_is_in_no_reason_and_no_record_though_the_answer_quotes_it(
    flow: FakeFlow, connect: Connect
) -> None:
    wrong = SIGNATURE.swapcase()
    recorder = Recorder([flow.trigger.replace(SIGNATURE, wrong)])
    outcome = push(connect, record(ZOE), url=flow.trigger.replace(SIGNATURE, wrong), recorder=recorder)
    assert isinstance(outcome, DestinationFault)
    assert "does not accept the signature in the URL" in outcome.reason
    assert wrong not in outcome.reason
    assert wrong not in str(recorder.exchanges)


# --- The connection test ---------------------------------------------------------------------------


def test_the_connection_test_reaches_the_flow_and_starts_nothing(flow: FakeFlow, connect: Connect) -> None:
    check = connect().check()
    assert check.ok
    assert (
        check.findings[0]
        == "127.0.0.1 can be reached: it answered HTTP 401 to a request without the signature."
    )
    assert "was not started" in check.findings[1]
    assert [(seen.method, "sig" in seen.query) for seen in flow.requests] == [("GET", False)]
    assert flow.runs == []


def test_a_url_without_a_signature_is_open_to_all(flow: FakeFlow, connect: Connect) -> None:
    check = connect(url=flow.trigger.partition("&sig=")[0]).check()
    assert "no signature" in check.findings[1]


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (Answer(400, {"error": {"code": "WorkflowTriggerIsNotEnabled", "message": "x"}}), "switched off"),
        (
            Answer(404, {"error": {"code": "WorkflowNotFound", "message": "x"}}),
            "There is no flow at this URL",
        ),
        (Answer(404, "<html><title>Not found</title></html>"), "knows nothing at this address"),
        (Answer(200, "<html><title>Welcome</title></html>"), "answers with a web page"),
        (Answer(302, b"", {"location": "https://login.example"}), "redirect"),
        (Answer(503), "The CRM failed (HTTP 503)"),
    ],
)
def test_the_connection_test_says_what_is_wrong(
    flow: FakeFlow, connect: Connect, answer: Answer, sentence: str
) -> None:
    flow.next(answer, when=lambda _: True)
    check = connect().check()
    assert not check.ok
    assert sentence in check.findings[0]


def test_a_refusal_of_another_method_shows_that_somebody_is_there(flow: FakeFlow, connect: Connect) -> None:
    flow.next(
        Answer(400, {"error": {"code": "TriggerRequestMethodNotValid", "message": "POST."}}),
        when=lambda _: True,
    )
    assert connect().check().ok


def test_the_connection_test_says_that_the_flow_is_down_or_not_to_be_trusted() -> None:
    with FakeFlow() as gone:
        pass
    with connecting(PowerAutomateConnector, {"url": gone.trigger}) as connect:
        down = connect().check()
    assert isinstance(down.outcome, RetryLater)
    assert "No connection could be made" in down.findings[0]
    with FakeFlow(tls=True) as flow, connecting(PowerAutomateConnector, {"url": flow.trigger}) as connect:
        untrusted = connect().check()
    assert isinstance(untrusted.outcome, DestinationFault)
    assert "certificate" in untrusted.findings[0]


@pytest.mark.parametrize(
    "host", ["prod-27.westeurope.logic.azure.com:443", "x.d4.environment.api.powerplatform.com"]
)
def test_a_url_of_microsofts_must_be_whole(host: str) -> None:
    cut = f"https://{host}{PATH}?api-version=1&sp=%2Ftriggers"
    assert "copy it again" in PowerAutomateConnector.clean({"url": cut})["url"]
    assert PowerAutomateConnector.clean({"url": f"{cut}&sig={SIGNATURE}"}) == {}
    assert PowerAutomateConnector.clean({"url": "https://gateway.fabrikam.example/leads"}) == {}
