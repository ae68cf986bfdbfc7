"""The OpenAPI document: for staff alone, valid, and complete about the endpoint. What a running server answers is
held to it in tests/e2e/test_hostile.py."""

import json
from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client

from leads.models import Submission
from leads.openapi import EXAMPLE
from tests.staff import make_offer, person, signed_in

pytestmark = pytest.mark.django_db
ADDRESS = "/api/schema/"


def document():
    return json.loads(signed_in("bob").get(ADDRESS, {"format": "json"}).content)


def post_lead():
    return document()["paths"]["/in/{key}"]["post"]


def test_the_document_is_valid_and_made_without_a_warning():
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=StringIO())


@pytest.mark.parametrize("name", ["alice", "bob", "charlie", "dave", "erin"])
def test_staff_may_read_the_document(name):
    assert signed_in(name).get(ADDRESS).status_code == 200


def test_nobody_else_may_read_the_document():
    stranger = person("george")
    stranger.is_staff = False
    stranger.save()
    client = Client()
    assert client.get(ADDRESS).status_code == 403
    client.force_login(stranger)
    assert client.get(ADDRESS).status_code == 403


def test_every_answer_of_the_endpoint_is_described():
    answers = post_lead()["responses"]
    assert set(answers) == {"200", "201", "202", "400", "404", "405", "411", "413", "429", "503"}
    refusals = {
        status for status, answer in answers.items() if "application/problem+json" in answer["content"]
    }
    assert refusals == {status for status in answers if status >= "400"}
    assert {status for status, answer in answers.items() if "Retry-After" in answer.get("headers", {})} == {
        "429",
        "503",
    }
    assert "Allow" in answers["405"]["headers"]


def test_every_reason_of_quarantine_is_described():
    titles = document()["components"]["schemas"]["UnreadableLead"]["properties"]["title"]["enum"]
    assert titles == list(Submission.REASONS.values())


def test_the_endpoint_asks_for_no_authentication():
    assert post_lead()["security"] == []


def test_the_example_is_a_lead():
    offer = make_offer()
    answer = Client().post(offer.endpoints.get().path, EXAMPLE, content_type="application/json")
    assert (answer.status_code, answer.json()["status"]) == (201, "accepted")


def test_no_key_stands_in_the_document():
    key = make_offer().endpoints.get().key
    assert key not in json.dumps(document())
