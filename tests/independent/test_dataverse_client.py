"""Microsoft's own Python client of Dataverse works with the fake as it is, and finds what the connector wrote."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from azure.core.credentials import AccessToken
from PowerPlatform.Dataverse.client import DataverseClient
from PowerPlatform.Dataverse.core.errors import HttpError

from crm_sync.connectors.dynamics365 import Dynamics365Connector
from crm_sync.http import GuardedClient, GuardedTransport
from crm_sync.outcomes import Delivered
from tests.connectors.laws import LOOPBACK, key
from tests.fakes.dynamics365 import CLIENT, SECRET, TENANT, FakeDynamics365
from tests.fakes.server import authority_file

pytestmark = pytest.mark.usefixtures("trusting_fakes")


class Credential:
    """Signs in at the fake's own address, where azure-identity would insist on Microsoft's."""

    def __init__(self, crm: FakeDynamics365) -> None:
        self.crm = crm

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        form = {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": SECRET}
        answer = requests.post(
            f"{self.crm.url}/{TENANT}/oauth2/v2.0/token", data={**form, "scope": scopes[0]}, timeout=5
        )
        answer.raise_for_status()
        return AccessToken(answer.json()["access_token"], 2**31)


@pytest.fixture
def crm() -> Iterator[FakeDynamics365]:
    with FakeDynamics365(tls=True) as crm:
        yield crm


@pytest.fixture
def client(crm: FakeDynamics365) -> Iterator[DataverseClient]:
    with DataverseClient(crm.url, Credential(crm)) as client:
        yield client


LEAD = {"subject": "Contoso Backup", "lastname": "Nagy", "firstname": "Zoë", "leadsourcecode": 8}


def test_it_creates_reads_and_updates_a_lead(crm: FakeDynamics365, client: DataverseClient) -> None:
    lead_id = client.records.create("lead", LEAD)
    assert set(crm.leads) == {lead_id}
    assert client.records.retrieve("lead", lead_id, select=["firstname"])["firstname"] == "Zoë"
    client.records.update("lead", lead_id, {"jobtitle": "Buyer"})
    assert crm.leads[lead_id] == {**LEAD, "jobtitle": "Buyer"}
    found = list(client.records.list("lead", filter="lastname eq 'Nagy'", select=["subject", "jobtitle"]))
    assert [(lead["subject"], lead["jobtitle"]) for lead in found] == [("Contoso Backup", "Buyer")]


def test_it_turns_labels_into_the_numbers_of_the_fakes_choices(
    crm: FakeDynamics365, client: DataverseClient
) -> None:
    lead_id = client.records.create("lead", {**LEAD, "leadsourcecode": "Web"})
    assert crm.leads[lead_id]["leadsourcecode"] == 8


def test_it_reads_the_fakes_refusals(crm: FakeDynamics365, client: DataverseClient) -> None:
    for record, code in (
        ({"new_colour": "red"}, "0x80048d19"),
        ({"subject": "x" * 301}, "0x80044331"),
        ({"leadsourcecode": 77}, "0x8004431a"),
        ({"ownerid@odata.bind": f"/teams({key(7)})"}, "0x80040217"),
    ):
        with pytest.raises(HttpError) as refused:
            client.records.create("lead", record)
        assert refused.value.details["service_error_code"] == code
    crm.privileges.discard("prvCreateLead")
    with pytest.raises(HttpError, match="prvCreateLead"):
        client.records.create("lead", LEAD)
    assert crm.leads == {}


def test_its_batches_are_answered(crm: FakeDynamics365, client: DataverseClient) -> None:
    batch = client.batch.new()
    for record in (LEAD, {"new_colour": "red"}, LEAD):
        batch.records.create("lead", record)
    told = batch.execute(continue_on_error=True)
    assert [each.status_code for each in told.responses] == [204, 400, 204]
    assert len(crm.leads) == 2


def test_it_finds_what_the_connector_wrote_and_the_connector_never_overwrites_it(
    crm: FakeDynamics365, client: DataverseClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", authority_file())
    transport = GuardedTransport(LOOPBACK)
    http = GuardedClient(LOOPBACK, transport=transport)
    connector = Dynamics365Connector(crm.settings(), http)
    record = {**LEAD, "leadsourcecode": "Web", "donotemail": "true"}
    assert isinstance(connector.push(record, key=key(1), retry=False), Delivered)
    lead = client.records.retrieve("lead", key(1), select=["firstname", "leadsourcecode", "donotemail"])
    assert (lead["firstname"], lead["leadsourcecode"], lead["donotemail"]) == ("Zoë", 8, True)

    client.records.update("lead", key(1), {"subject": "Called: wants a demo"})
    again = connector.push(record, key=key(1), retry=True)
    assert isinstance(again, Delivered)
    assert again.existed
    assert client.records.retrieve("lead", key(1), select=["subject"])["subject"] == "Called: wants a demo"
    transport.close()
