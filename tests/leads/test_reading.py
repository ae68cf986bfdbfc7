"""What Microsoft's documents say of a lead, sentence by sentence, on the lead and on the screen."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from leads import offer_states, wording
from leads.admin import wrong_offer
from leads.lead_source import sent_at, source_label
from leads.models import Lead, Offer, Submission
from leads.payload import Fields, read
from leads.wording import badges, span, written
from tests.staff import body, lead_of, make_offer, post, signed_in

TEST = "MSFT_TEST_636573304831318844"
WRONG = (
    "LeadSource says offer contoso.analytics, but it came to the URL of contoso.backup. "
    "Was the URL pasted in the wrong offer?"
)


def fields(**content: Any) -> Fields:
    result = read(json.dumps(content).encode())
    assert isinstance(result, Fields)
    return result


def ticks(moment: datetime) -> int:
    since = moment - datetime(1, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 10_000_000 + since.microseconds * 10


def marked(at: datetime, **more: Any) -> dict[str, Any]:
    return body({"FirstName": f"MSFT_TEST_{ticks(at)}"}, **more)


def text_of(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return response.content.decode()


def page_of(row: Any) -> str:
    return reverse(f"admin:leads_{row._meta.model_name}_change", args=[row.pk])


def texts(lead: Lead) -> list[str]:
    return [badge.text for badge in badges(lead)]


# Test leads


@pytest.mark.parametrize(
    "spelling", [TEST, TEST.lower(), f" {TEST}", f"{TEST}@test.com", "MSFT_TEST_n", "Msft_Test"]
)
@pytest.mark.parametrize(
    "key",
    [
        *("FirstName", "LastName", "Email", "Phone", "Country", "Company", "Title"),
        *("LeadSource", "ActionCode", "OfferTitle", "Description"),
    ],
)
def test_the_mark_at_the_beginning_of_any_field_makes_a_test(key: str, spelling: str) -> None:
    assert fields(**{key: spelling}).is_test
    assert fields(**{key.lower(): spelling}).is_test


@pytest.mark.parametrize(
    "source",
    [
        f"{TEST}-{TEST}|Contoso Backup",
        f"{TEST} - {TEST} | Contoso Backup",
        f"SPZA-{TEST}|contoso.backup",
        f"AzureMarketplace-INS|{TEST}",
    ],
)
def test_the_mark_in_any_part_of_lead_source_makes_a_test(source: str) -> None:
    found = fields(LeadSource=source)
    assert found.is_test
    assert found.test_sent_at == datetime(2018, 3, 22, 15, 48, 3, 131884, tzinfo=UTC)


@pytest.mark.parametrize(
    "content",
    [
        {"Phone": "1234567890"},
        {"Email": "someone@test.com"},
        {"Description": f"what is {TEST}?"},
        {"LeadSource": "SPZA-INS|contoso.MSFT_TEST"},
        {"Company": "MSFT_TESTERS Ltd"},
    ],
)
def test_what_only_looks_like_one_is_a_lead(content: dict[str, str]) -> None:
    assert not fields(**content).is_test


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.2, "less than a second"),
        (1.6, "2 s"),
        (90, "90 s"),
        (600, "10 min"),
        (7200, "2 h"),
        (86_400, "24 h"),
    ],
)
def test_a_span_is_said_to_the_unit_that_matters(seconds: float, said: str) -> None:
    assert span(seconds) == said


def test_the_first_mark_with_a_time_tells_it() -> None:
    assert sent_at(["MSFT_TEST_n", TEST, "MSFT_TEST_1"]) == datetime(
        2018, 3, 22, 15, 48, 3, 131884, tzinfo=UTC
    )
    assert sent_at(["Jane", "MSFT_TEST_n"]) is None


@pytest.mark.django_db
def test_the_page_of_a_test_tells_how_long_it_took_from_microsoft_to_us() -> None:
    now = timezone.now()
    lead = lead_of(post(make_offer(), marked(now - timedelta(seconds=2)), at=now))
    said = "Microsoft wrote this test lead 2 s before it arrived."
    assert written(lead) == said
    assert said in text_of(signed_in("bob"), page_of(lead))


@pytest.mark.django_db
@pytest.mark.parametrize("off", [timedelta(seconds=-5), timedelta(days=1, seconds=1), timedelta(days=900)])
def test_a_delay_that_cannot_be_one_is_only_a_date(off: timedelta) -> None:
    now = timezone.now()
    lead = lead_of(post(make_offer(), marked(now - off), at=now))
    assert written(lead) == f"Microsoft wrote this test lead on {(now - off).astimezone(UTC):%Y-%m-%d}."


@pytest.mark.django_db
@pytest.mark.parametrize("number", ["0", "1", "3155378975999999999", "9" * 19, "9" * 30, "n", ""])
def test_no_number_in_a_mark_breaks_the_page(number: str) -> None:
    lead = lead_of(post(make_offer(), body({"Company": f"MSFT_TEST_{number}"})))
    assert "Jane Doe" in text_of(signed_in("bob"), page_of(lead))


@pytest.mark.django_db
def test_only_microsofts_tests_are_said_to_be_written_by_microsoft() -> None:
    offer = make_offer()
    sample = post(offer, body({"FirstName": TEST}), origin=Submission.Origin.SAMPLE)
    assert written(lead_of(sample)) == ""
    assert written(lead_of(post(offer, body(Description=f"about {TEST}")))) == ""


# Sources and actions


@pytest.mark.parametrize(
    "source", ["SPZA", "spza", "AppSource", "AppSource (SPZA)", "AppSource(SPZA)", " appsource  (spza) "]
)
def test_appsource_has_one_name_in_all_its_spellings(source: str) -> None:
    assert source_label(source) == "AppSource"


@pytest.mark.django_db
@pytest.mark.parametrize("source", ["SPZA-PLT", "AppSource (SPZA)-PLT", "AppSource-PLT"])
def test_appsource_is_found_by_the_filter_in_all_its_spellings(source: str) -> None:
    post(make_offer(), body(LeadSource=f"{source}|contoso.backup"))
    assert "Jane Doe" in text_of(signed_in("bob"), "/admin/leads/lead/?source=appsource")


@pytest.mark.django_db
def test_a_test_drive_is_warm_for_24_hours() -> None:
    offer, now = make_offer(), timezone.now()
    said = body(ActionCode="starttestdrive", LeadSource="TestDrive-StartTestDrive|contoso.backup")
    lead = lead_of(post(offer, said, at=now - timedelta(hours=23)))
    assert texts(lead) == ["warm"]
    for url in ("/admin/", "/admin/leads/lead/", page_of(lead)):
        assert ">warm<" in text_of(signed_in("charlie"), url)
    lead.received_at = now - timedelta(hours=24, seconds=1)
    assert texts(lead) == []


@pytest.mark.django_db
def test_who_pressed_contact_me_is_answered_first_until_somebody_begins() -> None:
    lead = lead_of(post(make_offer()))
    assert texts(lead) == ["answer first"]
    lead.status = Lead.Status.WORKING
    assert texts(lead) == []


@pytest.mark.django_db
def test_an_unknown_action_is_stored_and_flagged_in_the_list_too() -> None:
    lead = lead_of(post(make_offer(), body(ActionCode="Renew", LeadSource="SPZA")))
    assert (lead.action, texts(lead)) == ("Renew", ["unknown action"])
    assert ">unknown action<" in text_of(signed_in("charlie"), "/admin/leads/lead/")


@pytest.mark.django_db
@pytest.mark.parametrize("action", ["PLT", "StartTestDrive", "Renew"])
def test_a_test_lead_asks_for_nothing(action: str) -> None:
    lead = lead_of(post(make_offer(), body({"FirstName": TEST}, ActionCode=action, LeadSource="SPZA")))
    assert texts(lead) == ["test"]


# The words


def test_the_words_are_those_that_were_agreed() -> None:
    assert wording.EDU == (
        "Microsoft withholds personal data of .edu users. You may have had an e-mail about this lead. "
        "To get the contact, open a Partner Center support ticket."
    )
    assert wording.NO_EMAIL == "This lead has no e-mail. Some offer types and privacy rules cause this."
    assert (
        offer_states.NOT_PROVEN.sentence
        == "No lead has ever reached this URL. Press Validate in Partner Center."
    )
    assert (
        offer_states.TESTED.sentence
        == "Microsoft's test lead arrived. Real leads start after the offer is published."
    )
    assert wording.repeats(2) == "Received twice within 10 minutes; shown once."
    assert wording.DNC == (
        "Do not contact. Microsoft sent this for information: the customer asked for another partner on your page."
    )


@pytest.mark.django_db
@pytest.mark.parametrize("email", ["kim@contoso.edu", "KIM@CONTOSO.EDU", "kim@cs.contoso.edu "])
def test_a_lead_of_an_edu_user_is_explained_with_what_to_do(email: str) -> None:
    lead = lead_of(post(make_offer(), body({"Email": email})))
    assert str(wording.EDU) in text_of(signed_in("charlie"), page_of(lead))


@pytest.mark.django_db
def test_campaign_parameters_stand_by_themselves() -> None:
    said = '{"mktcmpid":"1234","partnerid":"98765","utm_source":"<b>x</b>"}'
    lead = lead_of(post(make_offer(), body(Description=said)))
    text = text_of(signed_in("charlie"), page_of(lead))
    for words in ("<h3>Campaign</h3>", "<dt>mktcmpid</dt>", "<dd>1234</dd>", "<dd>&lt;b&gt;x&lt;/b&gt;</dd>"):
        assert words in text


@pytest.mark.django_db
def test_the_names_of_all_headers_and_the_user_agent_are_shown_of_what_could_be_read_and_of_what_could_not() -> (
    None
):
    offer = make_offer()
    headers = {"User-Agent": "Microsoft <b>Azure</b>/1", "X-Ms-Request-Id": "7", "Accept": "*/*"}
    readable, broken = post(offer, **headers), post(offer, b"{", **headers)
    for url in (page_of(lead_of(readable)), page_of(broken)):
        text = text_of(signed_in("bob"), url)
        assert "Headers (3)" in text
        for name in headers:
            assert f"<dt>{name}</dt>" in text
        assert text.count("Microsoft &lt;b&gt;Azure&lt;/b&gt;/1") == 2, "by itself, and among the headers"


# The wrong offer


def astray(offer: Offer, named: str = "contoso.analytics", **more: Any) -> Lead:
    return lead_of(post(offer, body(LeadSource=f"SPZA-PLT|{named}"), **more))


@pytest.mark.django_db
def test_a_url_pasted_in_the_wrong_offer_is_told_everywhere() -> None:
    offer = make_offer()
    lead = astray(offer)
    for url in ("/admin/", "/admin/leads/offer/", page_of(offer), page_of(lead)):
        assert WRONG in text_of(signed_in("bob"), url), url
    assert ">other offer<" in text_of(signed_in("bob"), "/admin/leads/offer/")
    assert WRONG not in text_of(signed_in("charlie"), "/admin/"), "who can change nothing is not worried"
    assert WRONG in text_of(signed_in("charlie"), page_of(offer))


@pytest.mark.django_db
@pytest.mark.parametrize("named", ["contoso.backup", "CONTOSO.Backup", "Contoso Analytics", "analytics", ""])
def test_the_right_offer_in_any_case_and_a_mere_name_are_no_reason(named: str) -> None:
    offer = make_offer()
    astray(offer, named)
    for url in ("/admin/", "/admin/leads/offer/", page_of(offer)):
        assert "wrong offer" not in text_of(signed_in("bob"), url)


@pytest.mark.django_db
def test_it_is_told_while_it_goes_on() -> None:
    offer, now = make_offer(), timezone.now()
    lead = astray(offer, at=now - timedelta(days=6, hours=23))
    assert WRONG in text_of(signed_in("bob"), "/admin/")
    Lead.objects.filter(pk=lead.pk).update(received_at=now - timedelta(days=7, minutes=1))
    for url in ("/admin/", "/admin/leads/offer/", page_of(offer)):
        assert "wrong offer" not in text_of(signed_in("bob"), url)


@pytest.mark.django_db
def test_tests_and_samples_are_no_reason() -> None:
    offer = make_offer()
    astray(offer, origin=Submission.Origin.SAMPLE)
    post(offer, body({"FirstName": TEST}, LeadSource="SPZA-PLT|contoso.analytics"))
    assert "wrong offer" not in text_of(signed_in("bob"), "/admin/")


@pytest.mark.django_db
def test_it_holds_nothing_and_what_is_named_is_a_strangers_text() -> None:
    offer = make_offer()
    astray(offer, "a<b>.x" + "y" * 900)
    text = text_of(signed_in("bob"), "/admin/")
    assert "a&lt;b&gt;.xyy" in text
    assert "y" * 200 not in text


@pytest.mark.django_db
def test_only_the_newest_leads_of_an_offer_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrong_offer, "NEWEST", 3)
    offer, now = make_offer(), timezone.now()
    astray(offer, at=now - timedelta(hours=1))
    for number in range(3):
        assert "wrong offer" in text_of(signed_in("bob"), "/admin/")
        post(offer, body({"FirstName": f"Number {number}"}), at=now)
    assert "wrong offer" not in text_of(signed_in("bob"), "/admin/")


@pytest.mark.django_db
def test_one_query_asks_for_all_offers_and_finds_leads_by_an_index() -> None:
    with CaptureQueriesContext(connection) as queries:
        for number in range(5):
            make_offer(f"offer{number}")
        before = len(queries)
        found = list(wrong_offer.with_offer_named(Offer.objects.all()))
        assert len(queries) == before + 1
    assert [offer.named_instead for offer in found] == [None] * 5
    if connection.vendor == "sqlite":  # PostgreSQL reads a table as small as this one whole
        plan = wrong_offer.with_offer_named(Offer.objects.all()).explain()
        assert "lead_of_offer" in plan
        assert "SCAN leads_lead" not in plan
