"""Azurite, Microsoft's own emulator, takes our rows as Azure does; Microsoft's SDK reads them from it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from crm_sync import mapping
from crm_sync.addresses import Policy
from crm_sync.connectors.azure_table import AzureTableConnector
from crm_sync.outcomes import Delivered, DestinationFault, Rejected, RetryLater, Throttled
from crm_sync.recorder import Recorder
from tests.connectors.laws import (
    LOOPBACK,
    Connect,
    assert_a_lost_answer_leaves_one_record,
    connecting,
    key,
    push,
)
from tests.fakes.azure_table import KEY, InFrontOfAzurite, azurite
from tests.fakes.server import Answer

ZOE = {
    "id": "9b1d3c52-0a6e-4f0b-8a55-1f6f0a1c7d10",
    "first_name": "Zoë",
    "last_name": "Nagy",
    "email": "zoe.nagy@fabrikam.example",
    "lead_source": "AzureMarketplace-INS|contoso.backup",
    "action": "INS",
    "offer_title": "Contoso Backup",
    "description": "Two hundred seats, please. 😀",
    "received_at": "2026-11-22T10:15:28Z",
}
WRONG_KEY = KEY[:-4] + "AA=="


def record(values: dict[str, Any]) -> dict[str, Any]:
    return mapping.apply(mapping.suggested_rules(AzureTableConnector.spec), values).record


@pytest.fixture(scope="module")
def port(node_tools: Path) -> Iterator[int]:
    with azurite(node_tools) as port:
        yield port


@pytest.fixture
def azure(port: int) -> Iterator[InFrontOfAzurite]:
    with InFrontOfAzurite(port) as azure:
        azure.new_table("MarketplaceLeads")
        yield azure


@pytest.fixture
def connect(azure: InFrontOfAzurite) -> Iterator[Connect]:
    """With a SAS that may only add."""
    with connecting(AzureTableConnector, {"sas_url": azure.sas_url("a")}) as connect:
        yield connect


# --- Rows -----------------------------------------------------------------------------------------


def test_a_lead_becomes_a_row(azure: InFrontOfAzurite, connect: Connect) -> None:
    assert push(connect, record(ZOE)) == Delivered(key(1))
    (row,) = azure.rows()
    assert (row["PartitionKey"], row["RowKey"]) == ("2026-11-22", key(1))
    assert row["Description"] == ZOE["description"]
    assert row["LeadId"] == ZOE["id"]
    assert azure.customer()["FirstName"] == "Zoë"


def test_microsofts_own_partition_is_taken(azure: InFrontOfAzurite, connect: Connect) -> None:
    push(connect, record(ZOE), partition_format="microsoft")
    assert azure.rows()[0]["PartitionKey"] == "11:2F22:2F2026"


def test_a_lead_without_any_value_becomes_a_row(azure: InFrontOfAzurite, connect: Connect) -> None:
    assert isinstance(push(connect, record({})), Delivered)
    assert azure.customer()["Email"] == ""


def test_the_account_key_signs_as_well(azure: InFrontOfAzurite, connect: Connect) -> None:
    by_key = {"sas_url": "", "connection_string": azure.connection_string()}
    assert push(connect, record(ZOE), **by_key) == Delivered(key(1))
    by_account_sas = f"TableEndpoint={azure.endpoint};SharedAccessSignature={azure.account_sas('a')}"
    assert push(connect, record(ZOE), 2, sas_url="", connection_string=by_account_sas) == Delivered(key(2))
    assert push(connect, record(ZOE), 3, sas_url=f"{azure.endpoint}/?{azure.account_sas('a')}") == Delivered(
        key(3)
    )
    assert len(azure.rows()) == 3


def test_what_a_row_holds_at_most_is_what_a_text_is_cut_to(azure: InFrontOfAzurite, connect: Connect) -> None:
    outcome = push(connect, {**record(ZOE), "Description": "😀" * 20_000, "LastName": '"' * 40_000})
    assert isinstance(outcome, Delivered)
    assert "“Description” was cut from 40,000 to 32,768" in outcome.note
    (row,) = azure.rows()
    assert row["Description"] == "😀" * 16_383 + "…"
    assert azure.customer()["LastName"].startswith('"' * 1_000)


def test_a_text_that_is_too_long_for_a_column_of_ones_own_is_rejected(
    azure: InFrontOfAzurite, connect: Connect
) -> None:
    outcome = push(connect, {**record(ZOE), "Everything": "x" * 32_769})
    assert isinstance(outcome, Rejected)
    assert "PropertyValueTooLarge" in outcome.reason
    assert azure.rows() == []


def test_text_of_any_kind_arrives_as_it_was(azure: InFrontOfAzurite, connect: Connect) -> None:
    hostile = "<script>alert(1)</script>\r\n\t'\"\\ \u202e {{ x }} =1+1"
    push(connect, {**record(ZOE), "FirstName": hostile, "Description": hostile, "PartitionKey": hostile[:40]})
    (row,) = azure.rows()
    assert row["Description"] == row["FirstName"] == azure.customer()["FirstName"] == hostile


# --- The retry ------------------------------------------------------------------------------------


def test_a_lost_answer_leaves_one_row(azure: InFrontOfAzurite, connect: Connect) -> None:
    assert_a_lost_answer_leaves_one_record(azure, connect, record(ZOE), lambda: len(azure.rows()))


def test_a_repeat_tells_that_the_row_was_there_and_leaves_what_a_colleague_wrote(
    azure: InFrontOfAzurite, connect: Connect
) -> None:
    push(connect, record(ZOE))
    again = push(connect, record(ZOE | {"description": "Changed"}), retry=True)
    assert again == Delivered(key(1), existed=True)
    assert azure.rows()[0]["Description"] == ZOE["description"]


def test_nothing_is_tried_again_behind_our_back(azure: InFrontOfAzurite, connect: Connect) -> None:
    for answer in (Answer(500), Answer(503), Answer(429), Answer(408)):
        azure.next(answer)
        azure.requests.clear()
        assert isinstance(push(connect, record(ZOE)), RetryLater | Throttled)
        assert len(azure.requests) == 1


# --- Nothing leaves by another way ------------------------------------------------------------------


def test_the_guard_and_the_recorder_see_what_the_sdk_wrote(azure: InFrontOfAzurite, connect: Connect) -> None:
    recorder = Recorder([azure.sas_url("a")])
    push(connect, record(ZOE), recorder=recorder)
    (exchange,) = recorder.exchanges
    assert exchange.status == 204
    assert "sig=****" in exchange.url
    assert "Zo" in exchange.request_body
    azure.requests.clear()
    with connecting(
        AzureTableConnector, {"connection_string": azure.connection_string()}, Policy()
    ) as guarded:
        outcome = push(guarded, record(ZOE))
        assert isinstance(outcome, DestinationFault)
        assert "ALLOW_PRIVATE_DESTINATIONS" in outcome.reason
        assert not guarded().check().ok
    assert azure.requests == []


def test_the_sdk_writes_no_log(
    azure: InFrontOfAzurite, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG", logger="azure"):
        push(connect, record(ZOE))
        connect().check()
    assert [line for line in caplog.records if line.name.startswith("azure")] == []


# --- The connection test ----------------------------------------------------------------------------


def test_a_sas_that_may_only_add_passes_and_says_what_stays_unseen(
    azure: InFrontOfAzurite, connect: Connect
) -> None:
    check = connect().check()
    assert check.findings == (
        "127.0.0.1 accepts the SAS. It may not read, so whether there is a table MarketplaceLeads shows with the first lead.",
        "Can add leads: yes, the SAS says so.",
    )
    assert check.ok
    assert check.expires_on is not None
    assert azure.rows() == []


def test_an_account_key_sees_the_table(azure: InFrontOfAzurite, connect: Connect) -> None:
    check = connect(sas_url="", connection_string=azure.connection_string()).check()
    assert check.findings[0] == "The table MarketplaceLeads at 127.0.0.1 can be read."
    assert check.expires_on is None


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        ("wrong key", "Azure does not accept the key or the SAS"),
        ("forged SAS", "Azure does not accept the key or the SAS"),
        ("expired SAS", "The SAS has expired: make a new one and enter its URL"),
        ("no such table", "There is no such table: create it in the Azure portal"),
        ("no such account", "There is no such table"),
    ],
)
def test_the_connection_test_says_what_is_wrong_and_so_does_a_push(
    azure: InFrontOfAzurite, connect: Connect, case: str, sentence: str
) -> None:
    nowhere = f"Leads{uuid4().hex}"
    settings = {
        "wrong key": {"sas_url": "", "connection_string": azure.connection_string(WRONG_KEY)},
        "forged SAS": {"sas_url": azure.sas_url("a").replace("sp=a", "sp=raud")},
        "expired SAS": {"sas_url": azure.sas_url("a", days=-1)},
        "no such table": {"sas_url": "", "connection_string": azure.connection_string(), "table": nowhere},
        "no such account": {"sas_url": azure.sas_url("a").replace("devstoreaccount1", "contoso")},
    }[case]
    check = connect(**settings).check()
    assert not check.ok
    assert isinstance(check.outcome, DestinationFault)
    assert sentence in check.findings[0]
    outcome = push(connect, record(ZOE), **settings)
    assert isinstance(outcome, DestinationFault)
    assert sentence in outcome.reason


def test_a_sas_that_may_not_add_is_told_before_anything_is_sent(
    azure: InFrontOfAzurite, connect: Connect
) -> None:
    outcome = push(connect, record(ZOE), sas_url=azure.sas_url("r"))
    assert isinstance(outcome, DestinationFault)
    assert "This SAS may not add rows (sp=r)" in outcome.reason
    assert azure.requests == []


def test_a_missing_table_shows_with_the_first_lead_of_a_sas_that_may_only_add(
    azure: InFrontOfAzurite, connect: Connect
) -> None:
    nowhere = {"sas_url": f"{azure.endpoint}?{azure.account_sas('a')}", "table": f"Leads{uuid4().hex}"}
    assert connect(**nowhere).check().ok
    outcome = push(connect, record(ZOE), **nowhere)
    assert isinstance(outcome, DestinationFault)
    assert "There is no such table" in outcome.reason


def test_the_connection_test_says_that_azure_is_down_or_not_to_be_trusted(port: int) -> None:
    with InFrontOfAzurite(port) as gone:
        settings = {"connection_string": gone.connection_string()}
    with connecting(AzureTableConnector, settings) as connect:
        down = connect().check()
    assert isinstance(down.outcome, RetryLater)
    assert "No connection could be made" in down.findings[0]
    with InFrontOfAzurite(port, tls=True) as azure:
        settings = {"connection_string": azure.connection_string()}
        with connecting(AzureTableConnector, settings, LOOPBACK) as connect:
            untrusted = connect().check()
    assert isinstance(untrusted.outcome, DestinationFault)
    assert "certificate" in untrusted.findings[0]
