"""Leads that are worked on in the CRM: of what people did with them here before, no page, list or file says anything.

One test for each place. Nothing is lost: where the offer's leads are worked on here again, all of it shows again.
"""

from datetime import date, timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from leads import bulk, customers, work
from leads.assignment import because
from leads.models import AnswerTemplate, Lead, Note, Offer, SavedView
from tests.leads.test_admin import LEADS, page_of
from tests.leads.test_assignment import rule
from tests.leads.test_inbox import a_lead, html_of, rows, tabs, words
from tests.leads.test_inbox_actions import ask, press, text_at
from tests.leads.test_inbox_export import as_csv, as_excel
from tests.staff import make_offer, person, signed_in

pytestmark = pytest.mark.django_db

WORKED = (
    "Sally",
    "No budget",
    "Rang twice",
    "Our price",
    "Answered",
    "Remind",
    "Follow",
    "Closed",
    "Status",
    "Owner",
)
VIEWS = ("owner=me", "owner=nobody", "status__exact=closed", "answer=given", "answer=open", "follow_up=due")


@pytest.fixture
def lead() -> Lead:
    """A lead on which Sally worked from its assignment to its end, of an offer that has moved to the CRM since."""
    now = timezone.now()
    sally = person("charlie")
    sally.first_name, sally.last_name = "Sally", "Smith"
    sally.save()
    said = because("EMEA", ["Portugal"], "Sally Smith", 2)
    lead = a_lead(
        make_offer("crm"), assigned_because=said, owner=sally, routed_at=now, answer_due_at=now + timedelta(1)
    )
    work.answered_by_mail(lead, sally, now, lead.email, "Our price", "It is 100.")
    Note.objects.create(lead=lead, author=sally, text="Rang twice")
    work.set_status(lead, Lead.Status.CLOSED, sally, now, "No budget")
    work.follow_up(lead, date(2026, 1, 2), sally, now)
    bulk.carry_out(bulk.archive(now), [lead.pk], person("bob"), now)
    bulk.carry_out(bulk.bring_back(), [lead.pk], person("bob"), now)
    Offer.objects.update(worked_in=Offer.WorkedIn.CRM)
    lead.refresh_from_db()
    return lead


@pytest.fixture
def other() -> Lead:
    """A lead of another offer, which is worked on here."""
    return a_lead(make_offer("here"), "Kim")


def assert_silent(text: str, *also: str) -> None:
    for word in (*WORKED, *also):
        assert word not in text, word


# The page of a lead


def test_the_page_of_a_lead_worked_on_in_the_crm_says_nothing_of_our_work(lead: Lead) -> None:
    text = text_at(signed_in("alice"), page_of(lead))
    assert_silent(text.partition("Call me.")[2], "Rule", "answer first")
    assert "bob: Archived." in text, "what is no work on it stays"
    assert "bob: Brought back from the archive." in text


def test_the_page_of_a_lead_worked_on_here_again_says_all_of_it(lead: Lead) -> None:
    Offer.objects.update(worked_in=Offer.WorkedIn.HERE)
    text = text_at(signed_in("alice"), page_of(lead))
    for said in (
        "Assigned. Rule “EMEA”: Portugal; Sally Smith was next of 2",
        "Sally Smith: E-mail to jane@fabrikam.example Our price",
        "Sally Smith: Answered by e-mail.",
        "First answer to the customer.",
        "Sally Smith: Rang twice",
        "Sally Smith: Status: Working → Closed: No budget",
        "Sally Smith: Remind on 2026-01-02.",
        "bob: Archived.",
    ):
        assert said in text, said


def test_what_the_form_of_a_lead_changed_is_work_on_it_too(lead: Lead) -> None:
    Offer.objects.update(worked_in=Offer.WorkedIn.HERE)
    client = signed_in("alice")
    client.post(page_of(lead), {"status": "working", "owner": "", "closed_reason": ""})
    assert "alice: Status: Closed → Working" in text_at(client, page_of(lead))
    Offer.objects.update(worked_in=Offer.WorkedIn.CRM)
    assert "alice" not in text_at(client, page_of(lead)).partition("Timeline")[2]


def test_djangos_own_history_of_a_lead_leads_to_its_timeline(lead: Lead) -> None:
    page = reverse("admin:leads_lead_history", args=[lead.pk])
    response = signed_in("alice").get(page)
    assert response["Location"] == f"{page_of(lead)}#timeline"


def test_an_answer_to_a_lead_worked_on_in_the_crm_is_neither_read_nor_taken_back(lead: Lead) -> None:
    note = Note.objects.get(text__contains="Our price")
    client = signed_in("charlie")
    written = reverse("admin:leads_lead_written", args=[lead.pk, note.pk])
    response = client.get(written, follow=True)
    assert "Our price" not in response.content.decode()
    assert "leads are worked on in the CRM" in response.content.decode()
    client.post(reverse("admin:leads_lead_not_sent", args=[lead.pk, note.pk]))
    lead.refresh_from_db()
    assert lead.answered_at is not None


# The inbox


def test_a_row_of_a_lead_worked_on_in_the_crm_says_nothing_of_our_work(lead: Lead, other: Lead) -> None:
    found = [row for row in rows(signed_in("bob"), "view=all") if "Jane" in row]
    assert len(found) == 1
    assert_silent(found[0])


@pytest.mark.parametrize("query", ["view=needs_me", *VIEWS])
def test_no_filter_by_work_finds_a_lead_worked_on_in_the_crm(lead: Lead, other: Lead, query: str) -> None:
    assert not [row for row in rows(signed_in("charlie"), query) if "Jane" in row]


@pytest.mark.parametrize("query", ["view=needs_me", *VIEWS])
def test_where_all_is_worked_on_in_the_crm_an_old_filter_by_work_is_none(lead: Lead, query: str) -> None:
    client = signed_in("charlie")
    response = client.get(f"{LEADS}?{query}&country=none", follow=True)
    assert response.redirect_chain[-1][0] == f"{LEADS}?country=none"
    assert len(rows(client, query)) == 1
    assert_silent(words(html_of(client, query)).partition("Filters")[2])


def test_views_by_work_rest_while_all_is_worked_on_in_the_crm(lead: Lead) -> None:
    SavedView.objects.create(name="My desk", query="owner=me", owner=person("charlie"))
    SavedView.objects.create(name="Portugal", query="country=PT", owner=person("charlie"))
    client = signed_in("charlie")
    assert tabs(client) == ["All", "Portugal"]
    Offer.objects.update(worked_in=Offer.WorkedIn.HERE)
    assert tabs(client) == ["Needs me", "Mine", "Unanswered", "All", "My desk", "Portugal"]


def test_what_is_done_to_work_is_not_offered_where_all_is_worked_on_in_the_crm(lead: Lead) -> None:
    html = html_of(signed_in("bob"), "view=all")
    assert 'value="archive"' in html
    for name in ("assign", "set_state"):
        assert f'value="{name}"' not in html


def test_nothing_done_to_many_touches_a_lead_worked_on_in_the_crm(lead: Lead, other: Lead) -> None:
    client = signed_in("bob")
    text = text_at(client, ask(client, "assign", [lead, other]))
    assert "Assign 1 lead?" in text
    assert "Left out: 1, worked on in the CRM, not here." in text
    press(client, "assign", [lead, other], owner="")
    lead.refresh_from_db()
    assert lead.owner == person("charlie")


# Files


def test_a_file_says_nothing_of_work_on_a_lead_worked_on_in_the_crm(lead: Lead, other: Lead) -> None:
    client = signed_in("bob")
    columns = ("State", "Closed reason", "Owner", "Answer due", "Answered", "Follow-up")
    (row,) = (row for row in as_csv(client) if row["First name"] == "Jane")
    assert [row[name] for name in columns] == [""] * 6
    (cells,) = (row for row in as_excel(client) if row["First name"].value == "Jane")
    assert [cells[name].value for name in columns] == [None] * 6


def test_a_file_has_no_columns_for_work_where_all_is_worked_on_in_the_crm(lead: Lead) -> None:
    (row,) = as_csv(signed_in("bob"))
    assert {"First name", "Archived"} <= set(row)
    assert not {"State", "Closed reason", "Owner", "Answer due", "Answered", "Follow-up"} & set(row)


# Other pages


def test_home_counts_no_work_on_leads_worked_on_in_the_crm(lead: Lead, other: Lead) -> None:
    found = signed_in("charlie").get("/admin/").context["mine"]
    assert [one.number for one in found] == ["1", "0", "0"], "the other one's"


def test_no_figure_counts_an_answer_to_a_lead_worked_on_in_the_crm(lead: Lead) -> None:
    def measured() -> list[str]:
        return [one.label for one in signed_in("alice").get("/admin/").context["waited"]]

    assert "Arrival to first answer" not in measured()
    Offer.objects.update(worked_in=Offer.WorkedIn.HERE)
    assert "Arrival to first answer" in measured()


def test_the_customer_of_a_lead_worked_on_in_the_crm_shows_no_state(lead: Lead) -> None:
    lead.tidy_email = lead.email
    customers.group([lead], timezone.now())
    lead.save()
    text = text_at(signed_in("bob"), reverse("admin:leads_customer_change", args=[lead.customer_id]))
    assert "Jane" in text
    assert_silent(text)


def test_trying_the_rules_names_no_owner_of_a_lead_worked_on_in_the_crm(lead: Lead) -> None:
    rule("All", "bob")
    text = text_at(signed_in("bob"), reverse("admin:leads_assignmentrule_try"))
    assert "This offer's leads are worked on in the CRM." in text
    assert "Sally" not in text


def test_no_answer_template_is_for_an_offer_worked_on_in_the_crm(lead: Lead, other: Lead) -> None:
    add = reverse("admin:leads_answertemplate_add")
    assert "Contoso Here" in html(add)
    assert "Contoso Crm" not in html(add)
    text = AnswerTemplate.objects.create(name="Old", subject="S", body="{{ first_name }}", offer=lead.offer)
    page = html(reverse("admin:leads_answertemplate_change", args=[text.pk]))
    assert "Contoso Crm" in page, "what was chosen before"
    assert page_of(lead) not in page, "no lead to try it on"


def test_the_desk_of_a_colleague_has_no_leads_worked_on_in_the_crm(lead: Lead) -> None:
    Lead.objects.update(status=Lead.Status.WORKING)
    assert not work.open_leads_of(person("charlie")).exists()


def test_the_menu_says_nothing_of_work_where_all_is_worked_on_in_the_crm(lead: Lead) -> None:
    pages = ("Assignment rules", "Answer templates", "Working hours")
    assert not [page for page in pages if page in html("/admin/")]
    a_lead(make_offer("here"))
    assert [page for page in pages if page in html("/admin/")] == list(pages)


def html(url: str, who: str = "bob", **query: Any) -> str:
    response = signed_in(who).get(url, query)
    assert response.status_code == 200
    return response.content.decode()


# What is asked of the database


def test_work_is_found_by_the_offers_it_is_of_however_many_leads_others_have(lead: Lead, other: Lead) -> None:
    """A condition on those that are left out would be asked of each of their leads, for ever new."""
    a_lead(make_offer("demo", is_demo=True), "Demi")
    user, today = person("charlie"), timezone.localdate()
    for found in (
        Lead.objects.to_work_on(),
        Lead.objects.unanswered(),
        Lead.objects.needing(user, today),
    ):
        assert [each.pk for each in found] == [other.pk]
        assert f'"offer_id" IN ({other.offer_id})' in str(found.query)
    Offer.objects.update(is_demo=False, worked_in="")
    assert Lead.objects.to_work_on().count() == 3
    assert '"offer_id" IN' not in str(Lead.objects.to_work_on().query), "all of them need no condition"
    Offer.objects.update(worked_in=Offer.WorkedIn.CRM)
    assert not Lead.objects.to_work_on().exists()
