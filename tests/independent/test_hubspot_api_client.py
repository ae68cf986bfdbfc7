"""HubSpot's own client works against our fake of HubSpot, unchanged, and sees there what our connector wrote."""

from collections.abc import Iterator
from typing import Any

import pytest
from hubspot import HubSpot
from hubspot.crm.associations.v4.exceptions import ApiException as AssociationsException
from hubspot.crm.contacts import (
    BatchInputSimplePublicObjectBatchInputForCreate,
    BatchInputSimplePublicObjectBatchInputUpsert,
    SimplePublicObjectBatchInputForCreate,
    SimplePublicObjectBatchInputUpsert,
    SimplePublicObjectInput,
    SimplePublicObjectInputForCreate,
)
from hubspot.crm.contacts.exceptions import ApiException
from hubspot.crm.objects import leads, notes
from hubspot.crm.properties import PropertyCreate

from crm_sync.connectors.hubspot import HubSpotConnector
from crm_sync.outcomes import Delivered, Rejected
from tests.connectors.laws import connecting, key, push
from tests.fakes.hubspot import TIME, TOKEN, FakeHubSpot

ADA = {"email": "ada@fabrikam.example", "firstname": "Ada", "hs_lead_name": "Contoso Backup: Ada"}


@pytest.fixture
def crm() -> Iterator[FakeHubSpot]:
    with FakeHubSpot() as crm:
        yield crm


@pytest.fixture
def client(crm: FakeHubSpot) -> HubSpot:
    return HubSpot(access_token=TOKEN, host=crm.url)


def new(**properties: str) -> Any:
    return SimplePublicObjectInputForCreate(properties=properties, associations=[])


def test_a_contact_is_created_changed_and_read(client: HubSpot) -> None:
    api = client.crm.contacts.basic_api
    made = api.create(new(email="ada@fabrikam.example", firstname="Ada"))
    api.update(made.id, SimplePublicObjectInput(properties={"firstname": "A."}))
    read = api.get_by_id("ada@fabrikam.example", id_property="email", properties=["firstname"])
    assert (read.id, read.properties["firstname"]) == (made.id, "A.")
    assert [contact.id for contact in api.get_page(limit=10).results] == [made.id]


def test_a_second_contact_of_one_address_is_a_conflict(client: HubSpot) -> None:
    made = client.crm.contacts.basic_api.create(new(email="ada@fabrikam.example"))
    with pytest.raises(ApiException) as refused:
        client.crm.contacts.basic_api.create(new(email="ADA@fabrikam.example"))
    assert refused.value.status == 409
    assert f"Existing ID: {made.id}" in refused.value.body


@pytest.mark.parametrize("name", ["email", "leadsite_id"])
def test_a_batch_upsert_makes_and_changes(client: HubSpot, name: str) -> None:
    def upsert(firstname: str) -> list[bool]:
        inputs = [
            SimplePublicObjectBatchInputUpsert(
                id=each, id_property=name, properties={name: each, "firstname": firstname}
            )
            for each in ("ada@fabrikam.example", "bob@fabrikam.example")
        ]
        body = BatchInputSimplePublicObjectBatchInputUpsert(inputs=inputs)
        return [result.new for result in client.crm.contacts.batch_api.upsert(body).results]

    assert upsert("A.") == [True, True]
    assert upsert("B.") == [False, False]


def test_a_batch_of_which_some_fail_is_answered_record_by_record(client: HubSpot) -> None:
    inputs = [
        SimplePublicObjectBatchInputForCreate(
            properties=properties, associations=[], object_write_trace_id=trace
        )
        for trace, properties in (("1", {"email": "ada@fabrikam.example"}), ("2", {"email": "none"}))
    ]
    body = BatchInputSimplePublicObjectBatchInputForCreate(inputs=inputs)
    answer = client.crm.contacts.batch_api.create(body)
    assert [result.object_write_trace_id for result in answer.results] == ["1"]
    assert [error.context["objectWriteTraceId"] for error in answer.errors] == [["2"]]


def test_properties_are_described_and_a_unique_one_is_made(crm: FakeHubSpot, client: HubSpot) -> None:
    del crm.definitions["contacts"]["leadsite_id"]
    crm.scopes.add("crm.schemas.contacts.write")
    api = client.crm.properties.core_api
    wanted = PropertyCreate(
        name="leadsite_id",
        label="Leadsite id",
        type="string",
        field_type="text",
        group_name="contactinformation",
        has_unique_value=True,
    )
    api.create("contacts", wanted)
    assert api.get_by_name("contacts", "leadsite_id").has_unique_value
    told = {each.name: each for each in api.get_all("contacts").results}
    assert told["hs_email_optout"].modification_metadata.read_only_value
    assert [option.value for option in told["hs_lead_status"].options] == ["NEW", "UNQUALIFIED"]


def test_a_note_and_a_lead_record_are_tied_to_their_contact(client: HubSpot) -> None:
    contact = client.crm.contacts.basic_api.create(new(email="ada@fabrikam.example")).id

    def tie(kind: int) -> list[dict[str, Any]]:
        types = [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": kind}]
        return [{"to": {"id": contact}, "types": types}]

    note = client.crm.objects.notes.basic_api.create(
        notes.SimplePublicObjectInputForCreate(
            properties={"hs_note_body": "Called her.", "hs_timestamp": TIME}, associations=tie(202)
        )
    )
    client.crm.objects.leads.basic_api.create(
        leads.SimplePublicObjectInputForCreate(
            properties={"hs_lead_name": "Contoso Backup: Ada"}, associations=tie(578)
        )
    )
    tied = client.crm.associations.v4.basic_api.get_page("contacts", contact, "notes", limit=500)
    assert [each.to_object_id for each in tied.results] == [note.id]
    read = client.crm.objects.notes.batch_api.read(
        notes.BatchReadInputSimplePublicObjectId(
            inputs=[{"id": note.id}], properties=["hs_note_body"], properties_with_history=[]
        )
    )
    assert [each.properties["hs_note_body"] for each in read.results] == ["Called her."]
    client.crm.objects.notes.basic_api.archive(note.id)
    assert client.crm.associations.v4.basic_api.get_page("contacts", contact, "notes").results == []


def test_a_wrong_token_is_refused(crm: FakeHubSpot) -> None:
    with pytest.raises(AssociationsException) as refused:
        HubSpot(access_token="pat-na1-wrong", host=crm.url).crm.associations.v4.basic_api.get_page(
            "contacts", "1", "notes"
        )
    assert refused.value.status == 401


def test_the_client_sees_what_the_connector_wrote(crm: FakeHubSpot, client: HubSpot) -> None:
    theirs = client.crm.contacts.basic_api.create(new(email="bob@fabrikam.example")).id
    settings = {"url": crm.url, "access_token": TOKEN, "lead_as": "lead"}
    with connecting(HubSpotConnector, settings) as connect:
        first, further = push(connect, ADA), push(connect, ADA, 2)
        duplicate = push(connect, {**ADA, "email": "bob@fabrikam.example"}, 3)
    assert isinstance(first, Delivered)
    assert isinstance(further, Delivered)
    assert isinstance(duplicate, Rejected)
    assert duplicate.duplicate_of == theirs

    contact = client.crm.contacts.basic_api.get_by_id(key(1), id_property="leadsite_id", properties=["email"])
    assert (contact.id, contact.properties["email"]) == (first.remote_id, "ada@fabrikam.example")
    tied = client.crm.associations.v4.basic_api.get_page("contacts", contact.id, "notes").results
    (note,) = [
        client.crm.objects.notes.basic_api.get_by_id(each.to_object_id, properties=["hs_note_body"])
        for each in tied
    ]
    assert note.properties["hs_note_body"].endswith(f"Lead {key(2)}")
    names = [lead.properties["leadsite_id"] for lead in client.crm.objects.leads.basic_api.get_page().results]
    assert names == [key(1), key(2)]
