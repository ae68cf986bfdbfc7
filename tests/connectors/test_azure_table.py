"""What a row of an Azure table is made of, and what can be told of a connection string or a SAS before it is used."""

import json
import subprocess
import sys
from datetime import UTC, date, datetime
from typing import Any

import httpx2
import pytest

from crm_sync import mapping
from crm_sync.addresses import Policy
from crm_sync.connectors.azure_table import AzureTableConnector
from crm_sync.connectors.values import length
from crm_sync.http import GuardedClient
from crm_sync.outcomes import Delivered, DestinationFault, Outcome, Rejected
from tests.connectors.laws import key

KEY = "AccountName=contoso;AccountKey=Y29udG9zby1hY2NvdW50LWtleQ=="
SAS = "sp=a&se=2027-11-22T00%3A00%3A00Z&sv=2019-02-02&tn=MarketplaceLeads&sig=bm90LWEtc2lnbmF0dXJl"
TABLE_URL = f"https://contoso.table.core.windows.net/MarketplaceLeads?{SAS}"


def connector(answer: httpx2.Response | None = None, **settings: str) -> AzureTableConnector:
    """One whose every request gets this answer. `seen` of it has the requests."""
    transport = httpx2.MockTransport(lambda _: answer or httpx2.Response(204))
    settings = settings or {"connection_string": KEY}
    now = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)
    return AzureTableConnector(settings, GuardedClient(Policy(), transport=transport), now=lambda: now)


def row(record: dict[str, Any], **settings: str) -> dict[str, Any]:
    """The row that a record becomes."""
    (request,) = connector(**settings).requests(record, key=key(1))
    assert isinstance(request.body, str)
    body = json.loads(request.body)
    return {name: value for name, value in body.items() if not name.endswith("@odata.type")}


def suggested(values: dict[str, Any]) -> dict[str, Any]:
    return mapping.apply(mapping.suggested_rules(AzureTableConnector.spec), values).record


def push(record: dict[str, Any], **settings: str) -> Outcome:
    return connector(**settings).push(record, key=key(1), retry=False)


# --- The keys -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("received", "iso", "microsofts"),
    [
        ("2026-11-22T10:15:28Z", "2026-11-22", "11:2F22:2F2026"),
        ("2018-09-28T23:30:00-02:00", "2018-09-29", "9:2F29:2F2018"),
        ("2018-09-28", "2018-09-28", "9:2F28:2F2018"),
        ("west/2026", "west:2F2026", "west:2F2026"),
        ("a#b\\c?d\ne", "a:23b:5Cc:3Fd:0Ae", "a:23b:5Cc:3Fd:0Ae"),
        ("", "undated", "undated"),
    ],
)
def test_the_partition_is_the_leads_day_in_utc_and_never_the_time_of_the_push(
    received: str, iso: str, microsofts: str
) -> None:
    record = {"PartitionKey": received} if received else {}
    assert row(record)["PartitionKey"] == iso
    assert row(record, connection_string=KEY, partition_format="microsoft")["PartitionKey"] == microsofts


def test_the_keys_stay_though_the_columns_are_mapped_anew() -> None:
    first = row(suggested({"id": "9b1d3c52", "received_at": "2026-11-22T10:15:28Z", "email": "a@b.example"}))
    later = row({"PartitionKey": "2026-11-22T10:15:28Z", "Note": "mapped anew"})
    assert (first["PartitionKey"], first["RowKey"]) == (later["PartitionKey"], later["RowKey"])
    assert first["RowKey"] == key(1)


def test_a_mapping_that_does_not_name_the_partition_still_has_the_leads_day() -> None:
    rules = mapping.completed(
        [mapping.Rule("Description", "field", source="description")], AzureTableConnector.spec
    )
    applied = mapping.apply(rules, {"description": "Call me", "received_at": "2026-11-22T10:15:28Z"})
    assert row(applied.record)["PartitionKey"] == "2026-11-22"
    assert row(applied.record)["Description"] == "Call me"


def test_a_mapping_that_names_the_partition_decides_it() -> None:
    by_offer = mapping.Rule("PartitionKey", "field", source="offer_id")
    assert mapping.completed([by_offer], AzureTableConnector.spec) == (by_offer,)
    of_some = mapping.Rule("PartitionKey", "omit", when={"action": ("DNC",)})
    assert [rule.kind for rule in mapping.completed([of_some], AzureTableConnector.spec)] == ["omit", "field"]


@pytest.mark.parametrize(
    "name", ["RowKey", "Timestamp", "utm source", "campaign.utm_source", "2nd", "x" * 256]
)
def test_what_cannot_be_a_column_is_refused_with_its_name(name: str) -> None:
    outcome = push({name: "x"})
    assert isinstance(outcome, Rejected)
    assert outcome.field == name


# --- The columns ----------------------------------------------------------------------------------


def test_a_row_has_microsofts_six_columns_and_flat_ones() -> None:
    values = {
        "id": "9b1d3c52-0a6e-4f0b-8a55-1f6f0a1c7d10",
        "first_name": "Zoë",
        "last_name": 'Nagy "Z"',
        "company": "Fabrikam",
        "action": "DNC",
        "lead_source": "AzureMarketplace-DNC|contoso.backup",
        "offer_title": "Contoso Backup",
        "received_at": "2026-11-22T10:15:28Z",
    }
    written = row(suggested(values))
    assert json.loads(written.pop("CustomerInfo")) == {
        "FirstName": "Zoë",
        "LastName": 'Nagy "Z"',
        "Title": "",
        "Company": "Fabrikam",
        "Email": "",
        "Phone": "",
        "Country": "",
    }
    assert written == {
        "PartitionKey": "2026-11-22",
        "RowKey": key(1),
        "LeadSource": "AzureMarketplace-DNC|contoso.backup",
        "ActionCode": "DNC",
        "OfferDisplayName": "Contoso Backup",
        "CreatedTime": "2026-11-22T10:15:28Z",
        "FirstName": "Zoë",
        "LastName": 'Nagy "Z"',
        "Company": "Fabrikam",
        "OfferTitle": "Contoso Backup",
        "LeadId": "9b1d3c52-0a6e-4f0b-8a55-1f6f0a1c7d10",
    }


def test_a_customer_info_of_its_own_is_left_alone() -> None:
    assert row({"CustomerInfo": "VIP"})["CustomerInfo"] == "VIP"


@pytest.mark.parametrize("letter", ["x", "😀", '"', "\u0001"])
def test_texts_are_cut_to_what_a_column_holds_and_customer_info_stays_json(letter: str) -> None:
    record = dict.fromkeys(("FirstName", "LastName", "Company", "Description"), letter * 40_000)
    written = row(record)
    assert all(length(str(value), "utf-16") <= 32_768 for value in written.values())
    customer = json.loads(written["CustomerInfo"])
    assert customer["FirstName"].startswith(letter * 500)
    outcome = push(record)
    assert isinstance(outcome, Delivered)
    assert "“Description” was cut" in outcome.note


# --- The credentials ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {"connection_string": KEY},
        {"connection_string": f"DefaultEndpointsProtocol=https;{KEY};EndpointSuffix=core.chinacloudapi.cn"},
        {
            "connection_string": f"{KEY};TableEndpoint=https://x.table.cosmos.azure.com:443/;",
            "table": "leads-eu",
        },
        {
            "connection_string": f"TableEndpoint=https://contoso.table.core.windows.net;SharedAccessSignature={SAS}"
        },
        {"connection_string": "UseDevelopmentStorage=true"},
        {"sas_url": TABLE_URL},
        {"sas_url": TABLE_URL, "table": "marketplaceleads"},
        {
            "sas_url": f"https://contoso.table.core.windows.net/?{SAS.replace('tn=MarketplaceLeads', 'ss=t&srt=o')}"
        },
        {
            "sas_url": "https://contoso.table.core.windows.net/Leads?si=writers&tn=Leads&sig=abc",
            "table": "Leads",
        },
    ],
)
def test_credentials_of_every_form_are_taken(settings: dict[str, str]) -> None:
    assert AzureTableConnector.clean(settings) == {}
    (request,) = connector(**settings).requests({}, key=key(1))
    table = settings.get("table", "MarketplaceLeads")
    assert request.url.partition("?")[0].endswith(f"/{table}")
    assert request.url.count(table) <= 2  # in the path once, and as the SAS's tn


@pytest.mark.parametrize(
    ("settings", "name", "sentence"),
    [
        ({}, "connection_string", "one of the two is required"),
        ({"connection_string": "AccountName=contoso;AccountKey=Y29"}, "connection_string", "not complete"),
        ({"connection_string": "AccountKey=Y29udG9zbw=="}, "connection_string", "not complete"),
        (
            {"connection_string": "Endpoint=sb://x.servicebus.windows.net/"},
            "connection_string",
            "not complete",
        ),
        (
            {"sas_url": "https://contoso.table.core.windows.net/MarketplaceLeads?sp=a"},
            "sas_url",
            "not complete",
        ),
        ({"sas_url": TABLE_URL.replace("sp=a", "sp=r")}, "sas_url", "may not add rows (sp=r)"),
        (
            {"sas_url": f"https://x?{SAS}&ss=bf&srt=o"},
            "sas_url",
            "the service Table and the resource type Object",
        ),
        (
            {"sas_url": f"https://x?{SAS}&ss=bt&srt=sc"},
            "sas_url",
            "the service Table and the resource type Object",
        ),
        ({"sas_url": TABLE_URL, "table": "Leads"}, "table", "The SAS is for the table “MarketplaceLeads”"),
        ({"connection_string": KEY, "table": "marketplace-leads"}, "table", "3 to 63 letters and digits"),
    ],
)
def test_credentials_that_cannot_work_are_refused_with_what_to_do(
    settings: dict[str, str], name: str, sentence: str
) -> None:
    assert sentence in AzureTableConnector.clean(settings)[name]


@pytest.mark.parametrize(
    "connection_string",
    ["", "s3cr3t", "AccountKey=s3cr3t-key-text", "AccountName=contoso;AccountKey=s", f"{KEY};s3cr3t"],
)
def test_credentials_that_nobody_checked_stop_the_connection_without_being_quoted(
    connection_string: str,
) -> None:
    outcome = push({}, connection_string=connection_string)
    assert isinstance(outcome, DestinationFault)
    assert "s3cr3t" not in outcome.reason


def test_the_sas_url_is_used_where_there_are_both() -> None:
    (request,) = connector(connection_string=KEY, sas_url=TABLE_URL).requests({}, key=key(1))
    assert request.url == TABLE_URL


@pytest.mark.parametrize(
    ("settings", "end"),
    [
        ({"sas_url": TABLE_URL}, date(2027, 11, 22)),
        ({"sas_url": TABLE_URL.replace("2027-11-22T00%3A00%3A00Z", "2027-11-23")}, date(2027, 11, 23)),
        ({"sas_url": TABLE_URL.replace("2027-11-22T00%3A00%3A00Z", "2027-11-23T08:00Z")}, date(2027, 11, 23)),
        ({"connection_string": f"TableEndpoint=https://x;SharedAccessSignature={SAS}"}, date(2027, 11, 22)),
        ({"connection_string": KEY}, None),
        ({"sas_url": TABLE_URL.replace("se=", "nope=")}, None),
    ],
)
def test_a_sas_tells_when_it_ends(settings: dict[str, str], end: date | None) -> None:
    assert connector(**settings).expires_on() == end


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"connection_string": KEY}, "Can add leads: yes, an account key may do everything."),
        ({"sas_url": TABLE_URL}, "Can add leads: yes, the SAS says so."),
        ({"sas_url": TABLE_URL.replace("sp=a", "sp=raud")}, "It may do more than that (sp=raud)"),
        ({"sas_url": TABLE_URL.replace("sp=a", "si=writers")}, "its stored access policy says so or not"),
    ],
)
def test_the_connection_test_says_what_the_credential_may(settings: dict[str, str], sentence: str) -> None:
    check = connector(httpx2.Response(200, json={"value": []}), **settings).check()
    assert check.ok
    assert sentence in check.findings[1]


@pytest.mark.parametrize(
    "answer", [httpx2.Response(200, text="<html>Welcome"), httpx2.Response(200, json={})]
)
def test_whatever_answers_without_being_a_table_fails_the_connection_test(answer: httpx2.Response) -> None:
    check = connector(answer).check()
    assert isinstance(check.outcome, DestinationFault)
    assert "but not as an Azure table does" in check.findings[0]


def test_a_process_that_pushes_no_row_does_not_load_the_sdk() -> None:
    program = "import crm_sync.connectors, sys; sys.exit('azure.core' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
