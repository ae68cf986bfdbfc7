"""simple-salesforce (PyPI) works with our fake unchanged, and what it wrote our connector finds."""

import base64
from collections.abc import Iterator

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import (
    SalesforceAuthenticationFailed,
    SalesforceExpiredSession,
    SalesforceMalformedRequest,
    SalesforceMoreThanOneRecord,
    SalesforceResourceNotFound,
)
from simple_salesforce.login import token_login

from crm_sync.connectors.salesforce import SalesforceConnector
from crm_sync.outcomes import Delivered
from tests.connectors.laws import connecting, key, push
from tests.fakes.salesforce import CLIENT_ID, CLIENT_SECRET, USERNAME, FakeSalesforce

RECORD = {"LastName": "Nagy", "Company": "Fabrikam", "Email": "zoe.nagy@fabrikam.example"}


@pytest.fixture
def crm(trusting_fakes: None) -> Iterator[FakeSalesforce]:
    with FakeSalesforce(tls=True) as fake:
        yield fake


def login(crm: FakeSalesforce, secret: str = CLIENT_SECRET) -> tuple[str, str]:
    """Its client credentials flow, as `SalesforceLogin` calls it; that would add .salesforce.com to the host."""
    basic = base64.b64encode(f"{CLIENT_ID}:{secret}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}"}
    form = {"grant_type": "client_credentials"}
    return token_login(f"{crm.url}/services/oauth2/token", form, "contoso", CLIENT_ID, headers, None)


@pytest.fixture
def client(crm: FakeSalesforce) -> Iterator[Salesforce]:
    token, instance = login(crm)
    client = Salesforce(session_id=token, instance=instance, version="60.0")
    yield client
    client.session.close()


def test_it_signs_in_and_is_refused_as_by_salesforce(crm: FakeSalesforce) -> None:
    token, instance = login(crm)
    assert token in crm.tokens
    assert crm.url == f"https://{instance}"
    with pytest.raises(SalesforceAuthenticationFailed, match=r"invalid_client.*invalid client credentials"):
        login(crm, "wrong")


def test_it_signs_in_with_the_assertion_of_its_jwt_flow(crm: FakeSalesforce) -> None:
    private = rsa.generate_private_key(65537, 2048)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    crm.public_key = public.decode()
    claims = {"iss": CLIENT_ID, "sub": USERNAME, "aud": "https://login.salesforce.com", "exp": 4_000_000_000}
    grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    form = {"grant_type": grant, "assertion": jwt.encode(claims, private, algorithm="RS256")}
    token, _ = token_login(f"{crm.url}/services/oauth2/token", form, "login", CLIENT_ID, None, None)
    assert token in crm.tokens


def test_it_describes_and_reads_limits(client: Salesforce) -> None:
    described = client.Lead.describe()
    assert described["createable"] is True
    key_field = next(field for field in described["fields"] if field["name"] == "Leadsite_Id__c")
    assert (key_field["externalId"], key_field["unique"]) == (True, True)
    assert client.limits()["DailyApiRequests"]["Max"] == 15_000
    assert client.api_usage["api-usage"].total == 15_000


def test_it_upserts_by_external_id_and_reads_what_it_wrote(crm: FakeSalesforce, client: Salesforce) -> None:
    path = f"Leadsite_Id__c/{key(1)}"
    assert client.Lead.upsert(path, RECORD) == 201
    assert client.Lead.upsert(path, {"LastName": "Kiss"}) == 200
    assert client.Lead.get_by_custom_id("Leadsite_Id__c", key(1))["LastName"] == "Kiss"
    found = client.query(f"SELECT Id, LastName FROM Lead WHERE Leadsite_Id__c IN ('{key(1)}')")
    assert [row["LastName"] for row in found["records"]] == ["Kiss"]
    assert client.Lead.get(found["records"][0]["Id"])["Company"] == "Fabrikam"
    assert len(crm.leads) == 1


def test_it_upserts_a_collection_of_which_some_fail(crm: FakeSalesforce, client: Salesforce) -> None:
    records = [
        {"attributes": {"type": "Lead"}, "Leadsite_Id__c": key(1), **RECORD},
        {"attributes": {"type": "Lead"}, "Leadsite_Id__c": key(2), "LastName": "Kiss"},
    ]
    told = client.restful(
        "composite/sobjects/Lead/Leadsite_Id__c",
        method="PATCH",
        json={"allOrNone": False, "records": records},
    )
    assert [each["success"] for each in told] == [True, False]
    assert told[1]["errors"][0]["statusCode"] == "REQUIRED_FIELD_MISSING"
    assert len(crm.leads) == 1


def test_it_reads_the_refusals_as_salesforces(crm: FakeSalesforce, client: Salesforce) -> None:
    created = client.Lead.create({**RECORD, "Leadsite_Id__c": key(1)})
    assert created["success"]
    with pytest.raises(SalesforceMalformedRequest, match="DUPLICATE_VALUE"):
        client.Lead.create({**RECORD, "Leadsite_Id__c": key(1)})
    crm.rule = "alert"
    with pytest.raises(SalesforceMalformedRequest, match="DUPLICATES_DETECTED"):
        client.Lead.create(RECORD)
    anyway = {"Sforce-Duplicate-Rule-Header": "allowSave=true"}
    assert client.Lead.create(RECORD, headers=anyway)["success"]
    with pytest.raises(SalesforceResourceNotFound):
        client.Lead.get_by_custom_id("Leadsite_Id__c", key(7))
    twin = {**crm.lead(key(1)), "Id": "00Q5g00000TwinAAAA"}
    crm.leads[twin["Id"]] = twin
    with pytest.raises(SalesforceMoreThanOneRecord):
        client.Lead.upsert(f"Leadsite_Id__c/{key(1)}", RECORD)
    crm.expire_tokens()
    with pytest.raises(SalesforceExpiredSession):
        client.limits()


def test_what_it_wrote_our_connector_finds(crm: FakeSalesforce, client: Salesforce) -> None:
    client.Lead.upsert(f"Leadsite_Id__c/{key(1)}", RECORD)
    settings = {"url": crm.url, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    with connecting(SalesforceConnector, settings) as connect:  # trusts the fake, as the client does
        outcome = push(connect, RECORD, retry=True)
        assert isinstance(outcome, Delivered), outcome
        assert outcome.existed
        push(connect, RECORD, 2)
    assert client.Lead.get_by_custom_id("Leadsite_Id__c", key(2))["Email"] == RECORD["Email"]
