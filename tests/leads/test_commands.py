"""send_sample_lead, as an operator types it."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from leads.lead_source import ACTIONS
from leads.models import Lead, Offer, Submission
from leads.ports import ports
from leads.samples import KINDS

pytestmark = pytest.mark.django_db


def send(*arguments: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("send_sample_lead", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_sample_becomes_a_lead_of_that_kind(kind: str, offer: Offer) -> None:
    out, err = send("--offer", "contoso.backup", "--action", kind)
    lead = Lead.objects.get()
    assert out == f"{lead.pk}\n"  # alone on standard output, for scripts
    assert "contoso.backup" in err
    assert lead.offer == offer
    assert lead.is_sample
    assert lead.is_test is (kind == "test")
    assert lead.action == ("INS" if kind == "test" else kind)
    assert lead.submission.origin == Submission.Origin.SAMPLE
    assert json.loads(lead.submission.body)["OfferTitle"] == offer.title


def test_a_sample_does_not_count_as_a_lead_in_figures(offer: Offer) -> None:
    send()
    assert not Lead.objects.counted().exists()


def test_the_only_offer_need_not_be_named(offer: Offer) -> None:
    send()
    assert Lead.objects.get().offer == offer


def test_the_same_sample_may_be_sent_again_at_once(offer: Offer) -> None:
    send()
    send()
    assert Lead.objects.count() == 2


def test_an_action_may_be_typed_in_any_case(offer: Offer) -> None:
    send("--action", "starttestdrive")
    assert Lead.objects.get().action == "StartTestDrive"


def test_the_worker_is_woken(offer: Offer, monkeypatch: pytest.MonkeyPatch) -> None:
    rung: list[bool] = []
    monkeypatch.setattr(ports, "bell", [lambda: rung.append(True)])
    send()
    assert rung == [True]


def test_an_unknown_action_is_refused_with_the_ones_there_are(offer: Offer) -> None:
    with pytest.raises(CommandError) as refusal:
        send("--action", "BUY")
    assert all(action in str(refusal.value) for action in ACTIONS)
    assert not Submission.objects.exists()


def test_an_unknown_offer_is_refused_with_the_ones_there_are(offer: Offer) -> None:
    with pytest.raises(CommandError, match=r"contoso\.backup"):
        send("--offer", "contoso.nothing")


def test_with_several_offers_one_must_be_named(offer: Offer) -> None:
    Offer.objects.create(publisher_id="contoso", offer_id="mail", title="Contoso Mail")
    with pytest.raises(CommandError, match=r"contoso\.backup, contoso\.mail"):
        send()


def test_without_an_offer_the_way_out_is_named() -> None:
    with pytest.raises(CommandError, match="add one in the admin"):
        send()
