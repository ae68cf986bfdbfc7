"""Assignment rules, answer templates and working hours on screen: who may change them, and what the pages say."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from leads.models import AnswerTemplate, AssignmentRule, Lead, Offer, WorkingHours
from tests.leads.test_assignment import rule
from tests.staff import body, lead_of, make_offer, person, post, signed_in

pytestmark = pytest.mark.django_db

RULES, TRY = "/admin/leads/assignmentrule/", "/admin/leads/assignmentrule/try/"
TEMPLATES, HOURS = "/admin/leads/answertemplate/", "/admin/leads/workinghours/"
GIVEN = {
    "name": "EMEA contact me",
    "enabled": "on",
    "position": "1",
    "actions": ["PLT"],
    "countries": ["DE", "AT"],
}
TEXT = {
    "name": "Ours",
    "action": "PLT",
    "offer": "",
    "subject": "{{ offer_title }}",
    "body": "Hello {{ first_name }}",
}
TIMES = {
    "days": ["0", "4"],
    "opens": "08:30",
    "closes": "16:00",
    "time_zone": "Europe/Berlin",
    "answer_within": "4",
}


def text_of(url: str, who: str = "bob", **query: str) -> str:
    response = signed_in(who).get(url, query)
    assert response.status_code == 200, response.status_code
    return response.content.decode()


def send(url: str, data: dict[str, Any], who: str = "bob") -> str:
    response = signed_in(who).post(url, data, follow=True)
    assert response.status_code == 200, response.status_code
    return response.content.decode()


# Rules


def test_without_rules_the_list_says_what_becomes_of_leads_and_what_to_do() -> None:
    make_offer()
    assert "No rules yet: a new lead is nobody" in text_of(RULES)
    assert "Add the first rule" in text_of(RULES)
    assert "Add the first rule" not in text_of(RULES, "dave")


def test_a_rule_is_added_by_ticking_boxes_and_comes_last() -> None:
    offer = make_offer()
    rule("First", "erin", position=4)
    people = sorted(person(name).pk for name in ("bob", "charlie"))
    position = signed_in("bob").get(f"{RULES}add/").context["adminform"].form.initial["position"]
    said = send(f"{RULES}add/", {**GIVEN, "position": position, "offers": [offer.pk], "people": people})
    assert "EMEA contact me" in said
    made = AssignmentRule.objects.get(name="EMEA contact me")
    assert (made.position, made.actions, made.countries) == (5, ["PLT"], ["DE", "AT"])
    assert [str(each) for each in made.offers.all()] == ["Contoso Backup"]
    assert "Contoso Backup; Contact me; Germany, Austria" in said
    assert ", ".join(str(User.objects.get(pk=pk)) for pk in people) in said


def test_a_rule_offers_people_who_can_work_on_leads_and_no_action_that_nobody_may_answer() -> None:
    people = [person(name) for name in ("alice", "bob", "charlie", "dave", "erin", "frank")]
    User.objects.filter(username="erin").update(is_active=False)
    form = signed_in("bob").get(f"{RULES}add/").context["adminform"].form
    assert [str(user) for user in form.fields["people"].queryset] == ["alice", "bob", "charlie"]
    assert "DNC" not in dict(form.fields["actions"].choices)
    assert people


def test_a_rule_needs_somebody() -> None:
    assert "Tick at least one person." in send(f"{RULES}add/", GIVEN)
    assert not AssignmentRule.objects.exists()


def test_a_rule_says_its_place_among_the_others_on_its_page() -> None:
    made = rule("First", "bob", position=4)
    form = signed_in("bob").get(f"{RULES}{made.pk}/change/").context["adminform"].form
    assert form["position"].value() == 4
    send(f"{RULES}{made.pk}/change/", {**GIVEN, "position": "9", "people": [person("bob").pk]})
    made.refresh_from_db()
    assert made.position == 9


def test_the_order_is_changed_in_the_list() -> None:
    first, second = rule("First", "bob", position=1), rule("Second", "bob", position=2)
    data = {
        "form-TOTAL_FORMS": "2",
        "form-INITIAL_FORMS": "2",
        "form-0-id": str(first.pk),
        "form-0-position": "3",
        "form-0-enabled": "on",
        "form-1-id": str(second.pk),
        "form-1-position": "2",
        "_save": "Save",
    }
    send(RULES, data)
    assert [(each.name, each.enabled) for each in AssignmentRule.objects.all()] == [
        ("Second", False),
        ("First", True),
    ]


def test_saving_a_rule_leaves_whose_turn_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker gave a lead away while somebody had the page open."""
    made = rule("All", "bob", "charlie")
    real = AssignmentRule.save

    def save(row: AssignmentRule, *args: Any, **kwargs: Any) -> None:
        AssignmentRule.objects.update(last_person=person("charlie"))
        real(row, *args, **kwargs)

    monkeypatch.setattr(AssignmentRule, "save", save)
    send(f"{RULES}{made.pk}/change/", {**GIVEN, "people": [person("bob").pk]})
    made.refresh_from_db()
    assert (made.name, str(made.last_person)) == ("EMEA contact me", "charlie")


@pytest.mark.parametrize(
    ("gone", "said"),
    [(["bob"], "bob has left and is skipped."), (["bob", "charlie"], "Nobody of this rule is left")],
)
def test_a_rule_warns_of_who_has_left(gone: list[str], said: str) -> None:
    made = rule("All", "bob", "charlie")
    User.objects.filter(username__in=gone).update(is_active=False)
    for url in (RULES, f"{RULES}{made.pk}/change/"):
        assert said in text_of(url, "erin")
    assert "bob (has left)" in text_of(f"{RULES}{made.pk}/change/", "erin")


# Trying


def test_trying_says_of_each_lead_which_rule_would_take_it_and_changes_nothing() -> None:
    offer, crm = make_offer(), make_offer("mail", worked_in=Offer.WorkedIn.CRM)
    rule("Germany", "bob", "charlie", countries=["DE"])
    german = lead_of(post(offer, body({"Country": "Deutschland", "FirstName": "Anna"})))
    post(offer, body({"Country": "FR"}))
    post(offer, body(ActionCode="DNC"))
    post(crm)
    text = text_of(TRY)
    turn = min(person("bob"), person("charlie"), key=lambda each: each.pk)
    assert f"Rule “Germany”: Germany; {turn} is next of 2" in text
    for words in ("No rule takes it", "Do not contact: nobody gets it.", "are worked on in the CRM"):
        assert words in text
    assert not Lead.objects.exclude(owner=None).exists()
    assert AssignmentRule.objects.get().last_person is None
    alone = text_of(TRY, lead=str(german.pk))
    assert "Anna" in alone
    assert "No rule takes it" not in alone


@pytest.mark.parametrize("lead", ["", "nonsense", "00000000-0000-0000-0000-000000000000"])
def test_trying_without_a_lead_says_so(lead: str) -> None:
    text = text_of(TRY, lead=lead)
    assert "There is no lead yet" in text
    assert "No rule is switched on." in text


def test_trying_costs_the_same_for_many_leads_as_for_few() -> None:
    offer, client = make_offer(), signed_in("bob")
    rule("Germany", "bob", "charlie", countries=["DE"], offers=[offer])

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            client.get(TRY)
        return len(queries)

    post(offer)
    cost()
    few = cost()
    for number in range(10):
        post(offer, body({"FirstName": f"Number {number}"}))
    assert cost() == few


# Templates


def test_a_template_is_written_with_the_values_of_a_lead() -> None:
    post(make_offer())
    assert "Ours" in send(f"{TEMPLATES}add/", TEXT)
    made = AnswerTemplate.objects.get()
    text = text_of(f"{TEMPLATES}{made.pk}/change/")
    assert "{{ my_name }}" in text
    assert "As saved, for Jane Doe" in text
    assert "Hello Jane" in text


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"body": "Hello {{ frist_name }}"}, "“frist_name” is no value of a lead. There are: first_name,"),
        ({"subject": "{{ offer_title"}, "“{{ offer_title” is no value of a lead."),
        ({"body": ""}, "This field is required."),
        ({"action": "DNC"}, "not one of the available choices"),
    ],
)
def test_a_template_that_cannot_work_is_refused(given: dict[str, str], said: str) -> None:
    assert said in send(f"{TEMPLATES}add/", {**TEXT, **given})
    assert not AnswerTemplate.objects.exists()


def test_the_suggested_texts_become_templates_once() -> None:
    make_offer()
    AnswerTemplate.objects.create(name="Ours", action="PLT", subject="S", body="B")
    assert "There are suggested texts for: Get it now, Test drive, Created in Azure, Any action" in text_of(
        TEMPLATES
    )
    assert "4 templates added." in send(f"{TEMPLATES}suggest/", {})
    assert "Use the suggested texts" not in text_of(TEMPLATES)
    assert "0 templates added." in send(f"{TEMPLATES}suggest/", {})
    assert AnswerTemplate.objects.count() == 5


# Working hours


def test_the_menu_opens_the_form_and_saving_makes_the_one_row() -> None:
    make_offer()
    text = text_of(HOURS)
    assert (
        "Monday, Tuesday, Wednesday, Thursday, Friday, 09:00 to 17:00, UTC; answer within 8 working hours"
        in text
    )
    assert not WorkingHours.objects.exists()
    said = send(HOURS, TIMES)
    assert "It holds for leads that come from now on." in said
    assert "Monday, Friday, 08:30 to 16:00, Europe/Berlin; answer within 4 working hours" in said
    send(HOURS, {**TIMES, "days": ["6"]})
    assert [each.days for each in WorkingHours.objects.all()] == ["6"]


def test_the_history_of_hours_is_in_english_whoever_saves_them(settings: Any) -> None:
    settings.LANGUAGES = [("en", "English"), ("de", "Deutsch")]
    data = {
        "days": ["0"],
        "opens": "08:00",
        "closes": "16:00",
        "time_zone": "Europe/Berlin",
        "answer_within": "4",
    }
    answer = signed_in("bob").post(HOURS, data, headers={"accept-language": "de"}, follow=True)
    assert "Montag" in answer.content.decode()
    logged = LogEntry.objects.get().get_change_message()
    assert logged == "Monday, 08:00 to 16:00, Europe/Berlin; answer within 4 working hours"


def test_an_empty_clock_is_off() -> None:
    assert "The clock is off" in send(HOURS, {**TIMES, "answer_within": ""})
    assert WorkingHours.current().answer_within is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"days": []}, "Tick at least one day."),
        ({"closes": "08:00"}, "Work ends after it has begun"),
        ({"time_zone": "Mars/Base"}, "not one of the available choices"),
        ({"answer_within": "0"}, "greater than or equal to 1"),
        ({"opens": "nine"}, "Enter a valid time."),
    ],
)
def test_hours_that_cannot_be_are_refused(given: dict[str, Any], said: str) -> None:
    assert said in send(HOURS, {**TIMES, **given})
    assert not WorkingHours.objects.exists()


def test_there_is_no_other_page_of_hours() -> None:
    row = WorkingHours.objects.create()
    assert signed_in("alice").get(reverse("admin:leads_workinghours_change", args=[row.pk])).url == HOURS
    assert signed_in("alice").get(f"{HOURS}add/").status_code == 403


# Where all leads are worked on in the CRM


@pytest.mark.parametrize("url", [RULES, TEMPLATES, HOURS])
def test_pages_without_effect_say_so(url: str) -> None:
    make_offer()
    assert "nothing here has an effect" not in text_of(url)
    Offer.objects.update(worked_in=Offer.WorkedIn.CRM)
    assert "nothing here has an effect" in text_of(url)


# Who may


@pytest.mark.parametrize(
    ("url", "seen_by", "hidden_from"),
    [
        (RULES, ["bob", "erin", "dave"], ["charlie", "frank"]),
        (TRY, ["bob", "erin", "dave"], ["charlie", "frank"]),
        (TEMPLATES, ["bob", "erin", "dave", "charlie"], ["frank"]),
        (HOURS, ["bob", "erin", "dave", "charlie"], ["frank"]),
    ],
)
def test_each_page_is_for_its_people(url: str, seen_by: list[str], hidden_from: list[str]) -> None:
    assert [name for name in seen_by if signed_in(name).get(url).status_code != 200] == []
    assert [name for name in hidden_from if signed_in(name).get(url).status_code != 403] == []


@pytest.mark.parametrize("who", ["charlie", "dave", "frank"])
def test_who_may_only_look_changes_nothing(who: str) -> None:
    made, text = rule("All", "bob"), AnswerTemplate.objects.create(name="Ours", subject="S", body="B")
    changes: list[tuple[str, dict[str, Any]]] = [
        (f"{RULES}add/", {**GIVEN, "people": [person("bob").pk]}),
        (f"{RULES}{made.pk}/change/", {**GIVEN, "people": [person("bob").pk]}),
        (f"{TEMPLATES}add/", TEXT),
        (f"{TEMPLATES}{text.pk}/change/", {**TEXT, "name": "Other"}),
        (f"{TEMPLATES}suggest/", {}),
        (HOURS, TIMES),
    ]
    client = signed_in(who)
    assert [url for url, data in changes if client.post(url, data).status_code != 403] == []
    assert list(AssignmentRule.objects.values_list("name", flat=True)) == ["All"]
    assert list(AnswerTemplate.objects.values_list("name", flat=True)) == ["Ours"]
    assert not WorkingHours.objects.exists()


def test_who_may_only_look_sees_no_form_of_hours() -> None:
    assert "Change it" not in text_of(HOURS, "dave")
    assert "09:00 to 17:00" in text_of(HOURS, "dave")


def test_who_may_only_look_reads_a_rule_in_words() -> None:
    made = rule("EMEA contact me", "charlie", countries=["DE"], actions=["PLT"])
    text = text_of(f"{RULES}{made.pk}/change/", "dave")
    assert "Contact me; Germany" in text
    assert "PLT" not in text
    assert "charlie" in text
