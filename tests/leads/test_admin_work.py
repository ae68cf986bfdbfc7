"""The work on a lead, on its page: one click each, said on the timeline, and only for who may and where it is done here."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse
from django.utils import timezone

from leads import work
from leads.admin.work import clock_of
from leads.models import AnswerTemplate, Lead, Note, Offer, WorkingHours
from tests.staff import body, lead_of, make_offer, person, post, signed_in

pytestmark = pytest.mark.django_db

BUTTONS = {
    "answered": {},
    "take": {},
    "qualify": {},
    "reopen": {},
    "close": {"reason": "Bought"},
    "follow_up": {"on": "2199-01-01"},
}
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)  # a Wednesday


@pytest.fixture
def lead() -> Lead:
    return lead_of(post(make_offer()))


def url(lead: Lead, name: str, *more: Any) -> str:
    return reverse(f"admin:leads_lead_{name}", args=[lead.pk, *more])


def press(lead: Lead, name: str, who: str = "charlie", **data: str) -> str:
    """Press a button; the text of the page that comes after it."""
    response = signed_in(who).post(url(lead, name), data, follow=True)
    assert response.status_code == 200, response.status_code
    lead.refresh_from_db()
    return response.content.decode()


def page(lead: Lead, who: str = "charlie") -> str:
    return signed_in(who).get(url(lead, "change")).content.decode()


# The clock


@pytest.mark.parametrize(
    ("values", "said", "kind"),
    [
        ({}, "Not answered yet.", "plain"),
        (
            {"answer_due_at": NOW + timedelta(hours=1)},
            "Due 2026-11-25 13:00, in 60 min of working time",
            "warning",
        ),
        (
            {"answer_due_at": NOW - timedelta(days=1)},
            "late: it was due 2026-11-24 12:00, 8 h of working",
            "error",
        ),
        (
            {"status": "closed", "answer_due_at": NOW - timedelta(days=1)},
            "Closed without an answer.",
            "plain",
        ),
        ({"answered_at": NOW - timedelta(hours=3)}, "Answered 3 h ago, before the clock began", "well"),
        ({"answered_at": NOW - timedelta(hours=1)}, "Answered 1 h ago, after 2 h of working time.", "well"),
    ],
)
def test_the_clock_says_in_working_time_how_things_stand(
    lead: Lead, values: dict[str, Any], said: str, kind: str
) -> None:
    lead.received_at = NOW - timedelta(hours=3)
    for name, value in values.items():
        setattr(lead, name, value)
    clock = clock_of(lead, NOW, WorkingHours())
    assert clock is not None
    assert said in clock.text
    assert clock.kind == kind


@pytest.mark.parametrize("values", [{"action": "DNC"}, {"is_test": True}, {"email": "", "phone": ""}])
def test_nobody_waits_for_an_answer_who_is_not_to_have_one(lead: Lead, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(lead, name, value)
    assert clock_of(lead, NOW, WorkingHours()) is None


def test_a_call_stops_the_clock_once_and_begins_the_work(lead: Lead) -> None:
    assert "The clock has stopped." in press(lead, "answered")
    first = lead.answered_at
    assert first is not None
    assert lead.status == Lead.Status.WORKING
    assert "once more" in press(lead, "answered")
    assert lead.answered_at == first
    text = page(lead)
    assert "charlie: Answered by phone. Status: New → Working" in text
    assert "Answered just now" in text


# Deciding


def test_a_lead_is_qualified_in_one_click(lead: Lead) -> None:
    assert "Qualified." in press(lead, "qualify")
    assert lead.status == Lead.Status.QUALIFIED
    assert "charlie: Status: New → Qualified" in page(lead)


@pytest.mark.parametrize("given", [{"reason": "No budget"}, {"other": "No budget"}])
def test_a_lead_is_closed_with_a_reason_from_the_list_or_written(lead: Lead, given: dict[str, str]) -> None:
    assert "Closed: No budget." in press(lead, "close", **given)
    assert (lead.status, lead.closed_reason) == (Lead.Status.CLOSED, "No budget")
    assert "charlie: Status: New → Closed: No budget" in page(lead)


@pytest.mark.parametrize("given", [{}, {"other": "  "}, {"other": "x" * 201}])
def test_a_lead_is_not_closed_without_a_reason(lead: Lead, given: dict[str, str]) -> None:
    assert "Not closed: choose a reason" in press(lead, "close", **given)
    assert lead.status == Lead.Status.NEW


def test_closing_ends_the_reminder_of_before(lead: Lead) -> None:
    press(lead, "follow_up", on="2199-01-01")
    press(lead, "close", reason="Bought")
    assert lead.follow_up_on is None
    press(lead, "follow_up", on="2199-01-01")
    assert lead.follow_up_on is not None


def test_a_closed_lead_is_opened_again_before_it_is_qualified(lead: Lead) -> None:
    assert "Open it again" not in page(lead)
    assert "This lead is open already." in press(lead, "reopen")
    press(lead, "close", reason="Bought")
    text = page(lead)
    assert ">Qualify<" not in text
    assert ">Open it again<" in text
    assert "This lead is closed. Open it again first." in press(lead, "qualify")
    assert (lead.status, lead.closed_reason) == (Lead.Status.CLOSED, "Bought")
    assert "Open again: it is being worked on." in press(lead, "reopen")
    assert (lead.status, lead.closed_reason) == (Lead.Status.WORKING, "")
    assert "charlie: Status: Closed → Working" in page(lead)


def test_a_lead_that_was_closed_meanwhile_is_not_qualified(lead: Lead) -> None:
    charlie, now = person("charlie"), timezone.now()
    work.set_status(Lead.objects.get(pk=lead.pk), Lead.Status.CLOSED, charlie, now, "Spam")
    assert lead.status == Lead.Status.NEW, "as read before"
    with pytest.raises(work.OtherState):
        work.set_status(lead, Lead.Status.QUALIFIED, charlie, now, leaving=work.OPEN)
    lead.refresh_from_db()
    assert (lead.status, lead.closed_reason) == (Lead.Status.CLOSED, "Spam")
    assert "Closed → Qualified" not in page(lead)


def test_a_lead_that_was_opened_and_qualified_meanwhile_stays_so(lead: Lead) -> None:
    charlie, now = person("charlie"), timezone.now()
    work.set_status(lead, Lead.Status.CLOSED, charlie, now, "Spam")
    lead.refresh_from_db()
    work.set_status(Lead.objects.get(pk=lead.pk), Lead.Status.QUALIFIED, charlie, now)
    with pytest.raises(work.OtherState):
        work.set_status(lead, Lead.Status.WORKING, charlie, now, leaving=[Lead.Status.CLOSED])
    lead.refresh_from_db()
    assert lead.status == Lead.Status.QUALIFIED
    assert "This lead is open already." in press(lead, "reopen")


def test_a_second_press_changes_and_logs_nothing(lead: Lead) -> None:
    for _ in range(2):
        press(lead, "qualify")
        press(lead, "take")
        press(lead, "follow_up", on="2199-01-01")
    text = page(lead)
    for line in ("Status: New → Qualified", "Owner: charlie", "Remind on 2199-01-01."):
        assert text.count(f"charlie: {line}") == 1, line


# Owner


def test_who_takes_a_lead_owns_it_and_the_page_says_why(lead: Lead) -> None:
    lead.owner, lead.assigned_because = person("bob"), "Rule “All”: any lead; bob's turn of 2"
    lead.save()
    assert "Why did they get this?" in page(lead)
    assert "Why did I get this?" in page(lead, "bob")
    assert "Rule “All”: any lead; bob&#x27;s turn of 2" in page(lead, "bob")
    assert "This lead is yours now." in press(lead, "take")
    assert str(lead.owner) == "charlie"
    assert "Taken by charlie" in page(lead)


def test_an_owner_chosen_in_the_form_is_no_rules_doing(lead: Lead) -> None:
    lead.owner, lead.assigned_because = person("bob"), "Rule “All”: any lead; bob's turn of 2"
    lead.save()
    data = {"status": "new", "owner": str(person("erin").pk), "closed_reason": ""}
    signed_in("charlie").post(url(lead, "change"), data)
    lead.refresh_from_db()
    assert (str(lead.owner), lead.assigned_because) == ("erin", "Given by charlie")


def test_only_who_sees_the_rules_is_led_to_them(lead: Lead) -> None:
    lead.owner, lead.assigned_because = person("bob"), "Rule “All”"
    lead.save()
    assert f"try/?lead={lead.pk}" in page(lead, "bob")
    assert "try/?lead=" not in page(lead, "charlie")


# Reminders


def test_a_reminder_is_set_and_forgotten(lead: Lead) -> None:
    assert "comes up again on 2199-01-01" in press(lead, "follow_up", on="2199-01-01")
    assert str(lead.follow_up_on) == "2199-01-01"
    assert "Reminder on 2199-01-01." in page(lead)
    assert "The reminder is gone." in press(lead, "follow_up", forget="yes")
    assert lead.follow_up_on is None


@pytest.mark.parametrize("on", ["", "tomorrow", "2020-01-01", "2026-02-30"])
def test_a_day_that_is_none_or_over_is_refused(lead: Lead, on: str) -> None:
    assert "Choose a day" in press(lead, "follow_up", on=on)
    assert lead.follow_up_on is None


def test_the_buttons_name_the_next_working_days(lead: Lead) -> None:
    shown = signed_in("charlie").get(url(lead, "change")).context["work"]
    assert shown.tomorrow > timezone.localdate()
    assert {shown.tomorrow.weekday(), shown.next_week.weekday()} <= {0, 1, 2, 3, 4}
    press(lead, "follow_up", on=timezone.localdate().isoformat())
    assert signed_in("charlie").get(url(lead, "change")).context["work"].is_due


# Answering by e-mail


def answer(lead: Lead, who: str = "charlie", **data: str) -> Any:
    form = {"subject": "Your request", "body": "Hello Jane,\r\n\r\nwhen may I call?", **data}
    response = signed_in(who).post(url(lead, "answer"), form)
    lead.refresh_from_db()
    return response


def test_the_answer_begins_with_the_text_for_the_action(lead: Lead) -> None:
    text = signed_in("charlie").get(url(lead, "answer")).content.decode()
    assert "Hello Jane," in text
    assert "Your request about Contoso Backup" in text
    assert "jane@fabrikam.example" in text
    assert "Call me." in text  # what the customer wrote
    assert lead.answered_at is None


def test_another_template_is_chosen_without_scripts(lead: Lead) -> None:
    AnswerTemplate.objects.create(name="Ours", action="PLT", subject="S", body="For {{ title }}.")
    AnswerTemplate.objects.create(name="Any", subject="S", body="Any text")
    first, second = (
        signed_in("charlie").get(url(lead, "answer"), {"text": number}).content.decode() for number in "01"
    )
    assert "For." in first
    assert "This lead does not say: job title." in first
    assert "Any text" in second
    assert "For." in signed_in("charlie").get(url(lead, "answer"), {"text": "99"}).content.decode()


def test_an_answer_stops_the_clock_is_kept_and_opens_the_mail_program(lead: Lead) -> None:
    response = answer(lead)
    note = Note.objects.get()
    assert response.url == url(lead, "written", note.pk)
    assert lead.answered_at == note.created_at
    assert lead.status == Lead.Status.WORKING
    text = signed_in("charlie").get(response.url).content.decode()
    mail = "mailto:jane@fabrikam.example?subject=Your%20request&amp;body=Hello%20Jane%2C%0D%0A%0D%0Awhen%20may%20I%20call%3F"
    assert mail in text
    assert "charlie: Answered by e-mail. Status: New → Working" in page(lead)
    assert "charlie: E-mail to jane@fabrikam.example" in page(lead)
    assert note.text == "E-mail to jane@fabrikam.example\nYour request\n\nHello Jane,\n\nwhen may I call?"


def test_an_answer_that_never_left_is_taken_back(lead: Lead) -> None:
    client, written = signed_in("charlie"), answer(lead).url
    said = client.post(f"{written}not-sent/", follow=True).content.decode()
    assert "not answered yet, and its clock goes on" in said
    lead.refresh_from_db()
    assert lead.answered_at is None
    press(lead, "answered")
    called = lead.answered_at
    second = answer(lead).url
    assert "I did not send it" not in client.get(second).content.decode()
    assert "clock stays stopped" in client.post(f"{second}not-sent/", follow=True).content.decode()
    lead.refresh_from_db()
    assert lead.answered_at == called


@pytest.mark.parametrize(
    "data", [{"subject": ""}, {"body": ""}, {"subject": "x" * 201}, {"body": "x" * 10_001}]
)
def test_an_answer_without_subject_or_text_is_not_kept(lead: Lead, data: dict[str, str]) -> None:
    assert answer(lead, **data).status_code == 200
    assert lead.answered_at is None
    assert not Note.objects.exists()


def test_a_subject_stays_one_line(lead: Lead) -> None:
    answer(lead, subject="Hello\r\nBcc: all@example.com")
    assert Note.objects.get().text.splitlines()[1] == "Hello Bcc: all@example.com"


def test_a_long_answer_is_left_for_pasting(lead: Lead) -> None:
    text = signed_in("charlie").get(answer(lead, body="x" * 5_000).url).content.decode()
    assert "too long for a link" in text
    assert "body=" not in text


@pytest.mark.parametrize(
    ("user", "more", "said"),
    [
        ({}, {"ActionCode": "DNC"}, "Do not contact"),
        ({"FirstName": "MSFT_TEST_636573304831318844"}, {}, "Microsoft&#x27;s test"),
        ({"Email": ""}, {}, "no e-mail address"),
        ({"Email": "nonsense"}, {}, "no e-mail address"),
    ],
)
def test_who_cannot_or_may_not_be_written_to_gets_no_answer(
    user: dict[str, Any], more: dict[str, Any], said: str
) -> None:
    lead = lead_of(post(make_offer(), body(user, **more)))
    client = signed_in("charlie")
    for response in (
        client.get(url(lead, "answer"), follow=True),
        client.post(url(lead, "answer"), follow=True),
    ):
        assert said in response.content.decode()
    lead.refresh_from_db()
    assert lead.answered_at is None


def test_do_not_contact_leads_have_no_answer_buttons() -> None:
    lead = lead_of(post(make_offer(), body(ActionCode="DNC")))
    text = page(lead)
    assert "Answer by e-mail" not in text
    assert "I answered by phone" not in text
    assert "Do not contact" in press(lead, "answered")
    assert lead.answered_at is None


@pytest.mark.parametrize(
    ("user", "offered"),
    [
        ({"Email": ""}, (False, True)),
        ({"Phone": ""}, (True, False)),
        ({"Email": "", "Phone": ""}, (False, False)),
    ],
)
def test_only_those_ways_to_answer_are_offered_that_there_are(
    user: dict[str, str], offered: tuple[bool, bool]
) -> None:
    text = page(lead_of(post(make_offer(), body(user))))
    assert ("Answer by e-mail" in text, "I answered by phone" in text) == offered
    assert ("there is nobody to answer" in text) is not any(offered)
    assert ("answer first" in text) is any(offered)


def test_a_colleagues_answer_is_nobody_elses_to_take_back(lead: Lead) -> None:
    written = answer(lead).url
    for address in (written, f"{written}not-sent/"):
        client = signed_in("bob")
        response = client.post(address) if "not-sent" in address else client.get(address)
        assert response.status_code == 404


# Where leads are worked on in the CRM


def test_in_the_crm_hides_all_of_it_and_old_pages_do_nothing(lead: Lead) -> None:
    Offer.objects.update(worked_in=Offer.WorkedIn.CRM)
    text = page(lead)
    assert "leads are worked on in the CRM." in text
    for word in (
        "Owner",
        "Not answered",
        "Answer by e-mail",
        "Qualify",
        "Remind",
        "Add a note",
        "answer first",
    ):
        assert word not in text, word
    for name, data in BUTTONS.items():
        assert "leads are worked on in the CRM" in press(lead, name, **data), name
    said = signed_in("charlie").get(url(lead, "answer"), follow=True).content.decode()
    assert "leads are worked on in the CRM" in said
    signed_in("charlie").post(url(lead, "note"), {"text": "Hello"})
    assert signed_in("alice").post(url(lead, "change"), {"status": "working"}).status_code == 403
    lead.refresh_from_db()
    assert (lead.status, lead.owner, lead.answered_at, lead.follow_up_on) == ("new", None, None, None)
    assert not Note.objects.exists()


# Who may


@pytest.mark.parametrize("who", ["dave", "frank"])
@pytest.mark.parametrize("name", [*BUTTONS, "answer"])
def test_who_may_not_change_leads_presses_none_of_it(lead: Lead, name: str, who: str) -> None:
    assert signed_in(who).post(url(lead, name), BUTTONS.get(name, {})).status_code == 403
    lead.refresh_from_db()
    assert (lead.status, lead.owner, lead.answered_at, lead.follow_up_on) == ("new", None, None, None)


def test_an_auditor_sees_how_things_stand_and_no_buttons(lead: Lead) -> None:
    text = page(lead, "dave")
    assert "Not answered yet." in text
    for button in ("Answer by e-mail", "I answered by phone", "Qualify", "Make it mine", "Remind me"):
        assert button not in text, button


def test_taking_a_lead_needs_the_permission_to_assign(lead: Lead) -> None:
    charlie = person("charlie")
    charlie.groups.first().permissions.remove(Permission.objects.get(codename="assign_lead"))
    assert signed_in("charlie").post(url(lead, "take")).status_code == 403
    assert "Make it mine" not in page(lead)


@pytest.mark.parametrize("name", BUTTONS)
def test_a_button_is_no_link(lead: Lead, name: str) -> None:
    assert signed_in("charlie").get(url(lead, name)).status_code == 405


def test_the_way_back_to_the_filtered_list_is_kept(lead: Lead) -> None:
    query = "?_changelist_filters=status%3Dnew"
    response = signed_in("charlie").post(f"{url(lead, 'qualify')}{query}")
    assert response.url == f"{url(lead, 'change')}{query}#work"
    text = signed_in("charlie").get(f"{url(lead, 'change')}{query}").content.decode()
    assert f"{url(lead, 'close')}{query}" in text


def test_reasons_to_close_are_ready_to_be_stored() -> None:
    assert all(0 < len(str(reason)) <= 200 for reason in work.REASONS)


def test_a_lead_is_given_only_to_those_who_can_work_on_it(lead: Lead) -> None:
    for name in ("bob", "dave", "frank"):
        person(name)

    def offered() -> set[str]:
        form = signed_in("alice").get(url(lead, "change")).context["adminform"].form
        return {user.username for user in form.fields["owner"].queryset}

    assert offered() == {"alice", "bob"}
    Lead.objects.update(owner=person("dave"))
    assert offered() == {"alice", "bob", "dave"}, "who has it already"
