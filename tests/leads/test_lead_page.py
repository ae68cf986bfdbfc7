"""The page of one lead: the person, the customer's way, the timeline, the original, our work on it, and who sees what."""

import json
from datetime import timedelta
from urllib.parse import quote

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from leads.admin.timeline import FIRST, NEWEST
from leads.models import Lead, Note, Offer
from leads.ports import ports
from tests.leads.grouping import JANE, START, cared, make_lead
from tests.leads.grouping import make_offer as listing
from tests.staff import body, lead_of, make_offer, make_searchable, person, post, signed_in

pytestmark = pytest.mark.django_db
UNKNOWN = "019a0000-0000-7000-8000-000000000000"


def page_of(lead: Lead) -> str:
    return reverse("admin:leads_lead_change", args=[lead.pk])


def text_of(client: Client, url: str, **data: str) -> str:
    response = client.get(url, data)
    assert response.status_code == 200, f"{url}: {response.status_code}"
    return response.content.decode()


def sees_leads_only(name: str = "frank") -> Client:
    person(name).user_permissions.add(Permission.objects.get(codename="view_lead"))
    return signed_in(name)


# The person


def test_the_person_comes_first_with_their_own_words_and_the_way_to_reach_them() -> None:
    offer = listing()
    lead = cared(
        offer, **JANE, phone="(425) 555-0134", country="US", action="PLT", description="Call me at noon."
    )
    text = text_of(signed_in("charlie"), page_of(lead))
    for words in (
        'href="mailto:jane@contoso.com"',
        'href="tel:+14255550134"',
        "Local time",
        "PLT: The customer pressed Contact me and waits for an answer.",
    ):
        assert words in text
    assert text.index("Call me at noon.") < text.index("Contact</h2>") < text.index("Our work on it")
    assert text.count("Call me at noon.") == 1, "said once"


def test_who_is_not_to_be_contacted_has_no_link_and_no_local_time() -> None:
    lead = cared(listing(), **JANE, phone="+1 425 555 0134", country="US", action="DNC")
    text = text_of(signed_in("charlie"), page_of(lead))
    for words in ("tel:", "mailto:", "Local time"):
        assert words not in text


def test_a_number_that_cannot_be_dialled_is_no_link() -> None:
    text = text_of(signed_in("charlie"), page_of(cared(listing(), **JANE, phone="javascript:alert(1)")))
    assert "tel:" not in text
    assert 'href="javascript' not in text


def test_a_phone_number_of_another_country_says_whose_time_it_is() -> None:
    lead = cared(listing(), **JANE, phone="+44 20 7946 0000", country="JP")
    assert "United Kingdom, by the phone number" in text_of(signed_in("charlie"), page_of(lead))


def test_long_words_stand_in_full_further_down() -> None:
    lead = cared(listing(), **JANE, description="word " * 200)
    text = text_of(signed_in("charlie"), page_of(lead))
    assert "<dt>Description</dt>" in text
    assert "<dt>Description</dt>" not in text_of(
        signed_in("charlie"), page_of(cared(listing(), **JANE, description="short"))
    )


# The customer's way


def test_the_journey_stands_in_the_order_of_time_across_offers_with_this_lead_marked() -> None:
    backup, drive = listing("Contoso Backup"), listing("Contoso Drive")
    asked = cared(backup, **JANE, action="PLT")
    tried = cared(drive, **JANE, action="StartTestDrive")
    bought = cared(drive, **JANE, action="INS")
    text = text_of(signed_in("charlie"), page_of(tried))
    strip = text[text.index('id="journey"') : text.index("</ol>", text.index('id="journey"'))]
    assert strip.index("Contact me") < strip.index("Test drive") < strip.index("Get it now")
    assert strip.count("aria-current") == 1
    assert page_of(asked) in strip
    assert page_of(bought) in strip
    assert page_of(tried) not in strip, "no link to where one is"
    assert "Same e-mail" in strip


def test_a_long_journey_shows_what_is_near_and_leads_to_the_rest() -> None:
    offer = listing()
    leads = [cared(offer, **JANE) for _ in range(30)]
    client = signed_in("charlie")
    for place, (earlier, later) in {0: (0, 18), 4: (0, 18), 15: (7, 11), 29: (18, 0)}.items():
        text = text_of(client, page_of(leads[place]))
        strip = text[text.index('id="journey"') : text.index("</ol>", text.index('id="journey"'))]
        assert strip.count("<time") == 12
        assert (f"{earlier} more before these" in strip) is bool(earlier)
        assert (f"{later} more after these" in strip) is bool(later)
        assert reverse("admin:leads_customer_change", args=[leads[0].customer_id]) in strip


def test_a_lonely_lead_has_no_journey() -> None:
    assert 'id="journey"' not in text_of(signed_in("charlie"), page_of(cared(listing(), **JANE)))


def test_who_may_not_see_customers_sees_no_journey() -> None:
    offer = listing()
    lead = [cared(offer, **JANE) for _ in range(2)][-1]
    text = text_of(sees_leads_only(), page_of(lead))
    assert 'id="journey"' not in text
    assert "ustomer" not in text[text.index("Timeline</h2>") :]


# The timeline


def test_the_timeline_tells_from_receiving_to_the_last_note() -> None:
    offer, now = make_offer(), timezone.now()
    lead = lead_of(post(offer, body({"Country": "USA"}, Notes="x"), at=now))
    post(offer, body({"Country": "USA"}, Notes="x"), at=now + timedelta(minutes=1))
    Lead.objects.filter(pk=lead.pk).update(
        routed_at=now + timedelta(seconds=2),
        tidy_country="US",
        assigned_because="Rule “Europe”: bob's turn of 3",
        answered_at=now + timedelta(hours=1),
    )
    Note.objects.create(lead=lead, author=person("bob"), text="Sold.", created_at=now + timedelta(hours=2))
    text = text_of(signed_in("charlie"), page_of(lead))
    told = [
        "bob: Sold.",
        "First answer to the customer.",
        "Received twice within 10 minutes",
        "Assigned. Rule “Europe”: bob&#x27;s turn of 3",
        "Tidied: country.",
        "Received. Posted to the endpoint URL. Read. 9 fields recognised, 1 that we do not know.",
    ]
    timeline = text[text.index("Timeline</h2>") :]
    places = [timeline.index(words) for words in told]
    assert places == sorted(places), "the newest first"


def test_a_long_timeline_is_folded_in_the_middle() -> None:
    lead = lead_of(post(make_offer()))
    for number in range(40):
        at = lead.received_at + timedelta(minutes=number + 1)
        Note.objects.create(lead=lead, author=person("bob"), text=f"Note {number:02}", created_at=at)
    text = text_of(signed_in("charlie"), page_of(lead))
    between = 41 - NEWEST - FIRST
    assert f"{between} more in between" in text
    folded = text[text.index("more in between") :]
    folded = folded[: folded.index("</details>")]
    assert folded.count("<time") == between
    assert "Note 39" not in folded
    assert "Received." not in folded


def test_notes_are_for_who_may_read_them() -> None:
    lead = lead_of(post(make_offer()))
    Note.objects.create(lead=lead, author=person("bob"), text="Not for everybody")
    assert "Not for everybody" not in text_of(sees_leads_only(), page_of(lead))


# The original request


def test_the_body_stands_there_line_by_line_and_as_it_came_and_can_be_copied_and_downloaded() -> None:
    raw = b'{"UserDetails":{"FirstName":"Jane"},"ActionCode":"PLT","Price":1.10}'
    lead = lead_of(post(make_offer(), raw))
    client = signed_in("charlie")
    text = text_of(client, page_of(lead))
    assert "\n    &quot;FirstName&quot;: &quot;Jane&quot;\n" in text
    assert "{&quot;UserDetails&quot;:{&quot;FirstName&quot;:" in text, "as it came"
    assert 'data-copy="body-as-it-came"' in text
    answer = client.get(reverse("admin:leads_lead_original", args=[lead.pk]))
    assert answer.content == raw
    assert answer["Content-Type"] == "text/plain"
    assert answer["Content-Disposition"].startswith("attachment; ")
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_a_huge_body_is_clipped_on_the_page_and_whole_in_the_file() -> None:
    raw = json.dumps(body(Description="x" * 200_000)).encode()
    lead = lead_of(post(make_offer(), raw))
    client = signed_in("charlie")
    text = text_of(client, page_of(lead))
    assert "Only the first 65,536 of" in text
    assert "data-copy" not in text, "a part of it is no copy"
    assert len(text) < 250_000
    assert client.get(reverse("admin:leads_lead_original", args=[lead.pk])).content == raw


def test_the_original_is_closed_to_who_may_not_see_requests() -> None:
    lead = lead_of(post(make_offer()))
    url = reverse("admin:leads_lead_original", args=[lead.pk])
    assert sees_leads_only().get(url).status_code == 403
    assert "original/" not in text_of(sees_leads_only(), page_of(lead))
    only_requests = person("erin")
    only_requests.groups.clear()
    only_requests.user_permissions.add(Permission.objects.get(codename="view_submission"))
    assert signed_in("erin").get(url).status_code == 403
    assert signed_in("dave").get(url).status_code == 200
    assert signed_in("dave").post(url).status_code == 405
    assert signed_in("dave").get(url.replace(str(lead.pk), UNKNOWN)).status_code == 404


# Our work on it


@pytest.fixture
def elsewhere() -> Lead:
    """A lead of an offer whose leads are worked on in the CRM."""
    return lead_of(post(make_offer(worked_in=Offer.WorkedIn.CRM)))


def test_what_is_worked_on_in_the_crm_has_no_form_here_but_the_way_there(
    elsewhere: Lead, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "lead_records", [lambda request, lead: [("HubSpot", "https://hub.example/1")]])
    text = text_of(signed_in("charlie"), page_of(elsewhere))
    assert "leads are worked on in the CRM." in text
    assert 'href="https://hub.example/1"' in text
    assert "Open it in HubSpot" in text
    for button in ('value="Save"', 'value="Add note"', 'name="status"', 'name="owner"'):
        assert button not in text


def test_nobody_works_here_on_what_is_worked_on_in_the_crm(elsewhere: Lead) -> None:
    client = signed_in("alice")
    assert client.post(page_of(elsewhere), {"status": "closed", "closed_reason": "x"}).status_code == 403
    assert (
        client.post(reverse("admin:leads_lead_note", args=[elsewhere.pk]), {"text": "x"}).status_code == 403
    )
    elsewhere.refresh_from_db()
    assert elsewhere.status == "new"
    assert not Note.objects.exists()


def test_without_a_record_there_it_says_so(elsewhere: Lead, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "lead_records", [])
    assert "No record of this one is known there yet." in text_of(signed_in("dave"), page_of(elsewhere))


# The way through the list


@pytest.fixture
def row_of_leads() -> list[Lead]:
    """The oldest first; the third is for another offer."""
    backup, other = listing("Contoso Backup"), listing("Contoso Drive")
    return [make_lead(other if number == 2 else backup, last_name=f"No {number}") for number in range(5)]


def near(text: str) -> dict[str, str]:
    found = {}
    for rel in ("prev", "next"):
        before, mark, _ = text.partition(f'" rel="{rel}"')
        if mark:
            found[rel] = before.rpartition('href="')[2]
    return found


def test_previous_is_the_newer_lead_and_next_the_older(row_of_leads: list[Lead]) -> None:
    client = signed_in("charlie")
    oldest, *_, last = row_of_leads
    middle = row_of_leads[3]
    assert near(text_of(client, page_of(middle))) == {"prev": page_of(last), "next": page_of(row_of_leads[2])}
    assert near(text_of(client, page_of(last))) == {"next": page_of(middle)}, "absent at the end"
    assert near(text_of(client, page_of(oldest))) == {"prev": page_of(row_of_leads[1])}


def test_the_filter_of_the_list_comes_along(row_of_leads: list[Lead]) -> None:
    offer, client = row_of_leads[0].offer, signed_in("charlie")
    carried = f"offer__id__exact={offer.pk}&kind=all"
    text = text_of(client, page_of(row_of_leads[3]), _changelist_filters=carried)
    query = f"?_changelist_filters={quote(carried, safe='')}"
    assert near(text) == {
        "prev": page_of(row_of_leads[4]) + query,
        "next": page_of(row_of_leads[1]) + query,  # the one between is of another offer
    }
    assert f'href="/admin/leads/lead/?{carried.replace("&", "&amp;")}"' in text
    assert client.get(f"/admin/leads/lead/?{carried}").status_code == 200


def test_leads_of_one_moment_are_neighbours_by_their_ids() -> None:
    offer = listing()
    leads = sorted((make_lead(offer, received_at=START) for _ in range(3)), key=lambda lead: lead.pk)
    found = near(text_of(signed_in("charlie"), page_of(leads[1])))
    assert found == {"prev": page_of(leads[2]), "next": page_of(leads[0])}


def test_whoever_saves_or_notes_something_stays_in_the_list_they_came_from(row_of_leads: list[Lead]) -> None:
    client, lead = signed_in("charlie"), row_of_leads[3]
    query = f"?_changelist_filters={quote('kind=all', safe='')}"
    saved = client.post(page_of(lead) + query, {"status": "working", "closed_reason": ""})
    assert saved["Location"] == page_of(lead) + query
    note = reverse("admin:leads_lead_note", args=[lead.pk]) + query
    assert f'action="{note}"' in text_of(client, page_of(lead) + query)
    assert client.post(note, {"text": "x"})["Location"] == f"{page_of(lead)}{query}#timeline"


@pytest.mark.parametrize(
    "carried",
    [
        "nonsense=1",
        "offer__id__exact=x",
        "submission__body__contains=x",
        "p=x&o=..&all=&e=1",
        "\x00",
        "q=%00",
        "&&==%",
        "_to_field=email",
        '"><script>alert(1)</script>',
        "owner__password__startswith=a",
    ],
)
def test_a_filter_that_the_list_would_refuse_counts_as_none(carried: str, row_of_leads: list[Lead]) -> None:
    text = text_of(signed_in("charlie"), page_of(row_of_leads[3]), _changelist_filters=carried)
    assert "<script>alert" not in text
    assert near(text)["next"].startswith(page_of(row_of_leads[2]))


def test_a_search_comes_along(row_of_leads: list[Lead]) -> None:
    make_searchable()
    text = text_of(signed_in("charlie"), page_of(row_of_leads[3]), _changelist_filters="q=No+1")
    assert set(near(text)) == {"next"}
    assert near(text)["next"].startswith(page_of(row_of_leads[1]))


# Who may, what is not there, and what it costs


def test_an_address_of_no_lead_is_not_found_and_says_so() -> None:
    client = signed_in("charlie")
    for wrong in (UNKNOWN, "7", "x"):
        answer = client.get(f"/admin/leads/lead/{wrong}/change/")
        assert answer.status_code == 404
        assert "There is nothing here" in answer.content.decode()
    assert signed_in("frank").get(f"/admin/leads/lead/{UNKNOWN}/change/").status_code == 403


def test_a_lead_costs_the_same_with_much_behind_it_as_with_little() -> None:
    offer, client, bob = listing(), signed_in("charlie"), person("bob")
    lead = cared(offer, **JANE)
    cared(offer, **JANE)

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            client.get(page_of(lead))
        return len(queries)

    client.get(page_of(lead))
    few = cost()
    for number in range(9):
        cared(offer, **JANE)
        Note.objects.create(lead=lead, author=bob, text=f"{number}")
        LogEntry.objects.create(
            user=bob,
            content_type=ContentType.objects.get_for_model(Lead),
            object_id=str(lead.pk),
            action_flag=CHANGE,
            change_message="x",
        )
    assert cost() == few
    assert few <= 24
