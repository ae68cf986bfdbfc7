"""Samples: sent from an offer's page, from here or through the public URL, and never taken for a customer's lead."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.signing import TimestampSigner
from django.test import Client
from django.urls import reverse

from leads import samples
from leads.models import Endpoint, Lead, Offer, Submission
from leads.ports import Answered, ports
from tests.crm_sync.screens import press, text_of
from tests.staff import make_offer, post, signed_in

pytestmark = pytest.mark.django_db

URL = "https://leads.contoso.example"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """No CRM, and nothing that leaves this machine."""
    settings.PUBLIC_URL = URL
    for name in ("ways", "post_to_ourselves", "bell", "notices"):
        monkeypatch.setattr(ports, name, [])


def page(offer: Offer) -> str:
    return reverse("admin:leads_offer_sample", args=[offer.pk])


def walks(answer: Answered) -> list[tuple[str, bytes, Mapping[str, str]]]:
    """Whoever POSTs to ourselves gets this answer; what was sent."""
    sent: list[tuple[str, bytes, Mapping[str, str]]] = []

    def walk(url: str, body: bytes, headers: Mapping[str, str]) -> Answered:
        sent.append((url, body, headers))
        return answer

    ports.post_to_ourselves.append(walk)
    return sent


def to_the_endpoint(url: str, body: bytes, headers: Mapping[str, str]) -> Answered:
    """The endpoint of this very process."""
    response = Client().post(
        url.removeprefix(URL), body, content_type="application/json", headers=dict(headers)
    )
    return Answered(response.status_code, response.content)


# The mark


def test_a_post_with_our_mark_is_a_sample_from_the_first_moment_on() -> None:
    offer = make_offer()
    endpoint = offer.endpoints.get()
    headers = {samples.MARK: samples.mark(endpoint.pk)}
    answer = Client().post(
        endpoint.path, samples.as_posted("INS", offer), content_type="application/json", headers=headers
    )
    assert answer.json()["status"] == "accepted"
    lead = Lead.objects.get()
    assert lead.is_sample
    assert lead.submission.origin == Submission.Origin.SAMPLE
    assert lead.submission.endpoint == endpoint


@pytest.mark.parametrize(
    "mark",
    [
        "",
        "sample",
        samples.mark(10**9),  # of another endpoint
        TimestampSigner(salt="another").sign("1"),
        samples.mark(1).swapcase(),  # its signature is another then
    ],
    ids=["none", "no signature", "of another endpoint", "with another salt", "with another signature"],
)
def test_nobody_else_can_make_the_mark(mark: str) -> None:
    offer = make_offer()
    endpoint = offer.endpoints.get()
    Client().post(
        endpoint.path,
        samples.as_posted("INS", offer),
        content_type="application/json",
        headers={samples.MARK: mark},
    )
    assert Lead.objects.get().is_sample is False


def test_an_old_mark_counts_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    mark = samples.mark(7)
    assert samples.origin_of({samples.MARK: mark}, 7) == Submission.Origin.SAMPLE
    monkeypatch.setattr(samples, "_FRESH", -samples._FRESH)
    assert samples.origin_of({samples.MARK: mark}, 7) == Submission.Origin.ENDPOINT
    assert samples.origin_of(None, 7) == Submission.Origin.ENDPOINT


# The page


def test_it_says_of_each_kind_where_it_goes() -> None:
    ports.ways.append(lambda lead: [f"To the moon: {lead.action}, test {lead.is_test}, {lead.offer.title}."])
    offer = make_offer()
    text = text_of(signed_in("bob"), page(offer))
    for said in ("INS, test False", "DNC, test False", "StartTestDrive, test False", "INS, test True"):
        assert f"To the moon: {said}, Contoso Backup." in text
    assert "Get it now (INS)" in text
    assert "Through the public URL" not in text, "nobody is there who could walk it"
    assert not Lead.objects.exists()


def test_without_a_crm_it_says_that_the_sample_stays_here() -> None:
    assert "Nowhere: it stays here" in text_of(signed_in("bob"), page(make_offer()))


def test_the_offers_own_schema_may_forbid_the_sample() -> None:
    offer, client = make_offer(schema={"required": ["Budget"]}), signed_in("bob")
    assert "To quarantine: the schema of this offer forbids it." in text_of(client, page(offer))
    assert "The sample is in quarantine" in press(client, page(offer), kind="INS")
    assert Submission.objects.get().in_quarantine


@pytest.mark.parametrize("kind", samples.KINDS)
def test_the_chosen_kind_is_stored_as_a_sample_and_its_lead_is_shown(kind: str) -> None:
    offer = make_offer()
    ports.ways.append(lambda lead: ["It goes nowhere."])
    text = press(signed_in("bob"), page(offer), kind=kind, way="here")
    assert "The sample lead is stored. It goes nowhere." in text
    lead = Lead.objects.get()
    assert (lead.is_sample, lead.is_test) == (True, kind == "test")
    assert not Lead.objects.counted().exists()
    assert LogEntry.objects.get().change_message == f"Sent a sample lead: {kind}."


def test_an_unknown_kind_sends_nothing() -> None:
    offer = make_offer()
    press(signed_in("bob"), page(offer), kind="<b>")
    assert not Submission.objects.exists()


@pytest.mark.parametrize("name", ["charlie", "dave", "frank"])
def test_it_is_for_those_who_may_change_offers(name: str) -> None:
    offer, client = make_offer(), signed_in(name)
    assert client.get(page(offer)).status_code == 403
    assert client.post(page(offer), {"kind": "INS"}).status_code == 403
    assert not Submission.objects.exists()
    if name != "frank":
        assert "Send a sample lead" not in text_of(
            client, reverse("admin:leads_offer_change", args=[offer.pk])
        )


# Through the public URL


def test_through_the_public_url_it_comes_in_as_a_sample() -> None:
    offer = make_offer()
    ports.post_to_ourselves.append(to_the_endpoint)
    text = press(signed_in("bob"), page(offer), kind="PLT", way="outside")
    assert f"The sample went from this server to {URL} and came in there, like any lead." in text
    lead = Lead.objects.get()
    assert (lead.is_sample, lead.submission.endpoint) == (True, offer.endpoints.get())
    assert "is counted here, and not sent again" in press(
        signed_in("bob"), page(offer), kind="PLT", way="outside"
    )
    assert Lead.objects.count() == 1
    assert "through the public URL" in LogEntry.objects.latest("pk").change_message


def test_it_posts_to_the_current_url_of_the_offer_alone() -> None:
    offer = make_offer()
    sent = walks(Answered(problem="No."))
    press(signed_in("bob"), page(offer), kind="INS", way="outside")
    ((url, content, headers),) = sent
    assert url == offer.endpoints.get().url
    assert json.loads(content)["ActionCode"] == "INS"
    assert set(headers) == {"Content-Type", samples.MARK}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answered(problem=f"Nothing listens at {URL}/in/secret-key."), "Nothing listens at"),
        (Answered(502, b"<html>"), f"{URL} answered 502 instead of 201."),
        (Answered(404, b"{}"), f"{URL} answered 404 instead of 201."),
        (Answered(200, b"<html>Welcome"), "answered, but not as this server does."),
        (Answered(201, b'{"id": "x"}'), "answered, but not as this server does."),
        (Answered(201, b"[1]"), "answered, but not as this server does."),
    ],
)
def test_what_stands_in_the_way_is_told_and_nothing_is_believed(answer: Answered, said: str) -> None:
    walks(answer)
    text = press(signed_in("bob"), page(make_offer()), kind="INS", way="outside")
    assert said in text
    assert "secret-key" not in text


def test_the_answer_must_name_a_sample_of_ours() -> None:
    offer = make_offer()
    real = post(offer).leads.get()
    walks(Answered(201, json.dumps({"id": str(real.pk)}).encode()))
    assert "not as this server does" in press(signed_in("bob"), page(offer), kind="INS", way="outside")


def test_without_a_url_nothing_is_sent() -> None:
    offer = make_offer()
    Endpoint.objects.all().delete()
    sent = walks(Answered(201))
    client = signed_in("bob")
    assert "Through the public URL" not in text_of(client, page(offer))
    assert "this offer has no URL" in press(client, page(offer), kind="INS", way="outside")
    assert not sent
