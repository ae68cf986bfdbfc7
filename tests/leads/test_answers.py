"""Answers by e-mail: the text that suits the lead, its values in it, and a link that a stranger cannot bend."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leads import answers, lead_source
from leads.models import AnswerTemplate, Offer
from leads.wording import mail_link
from tests.leads.grouping import JANE, make_lead, make_offer
from tests.staff import person

VALUES = {"first_name": "Jane", "offer_title": "Contoso Backup", "my_name": "Bob"}


# Filling in


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("Hello {{ first_name }},", "Hello Jane,"),
        ("Hello {{first_name}},", "Hello Jane,"),
        ("Hello {{ company }},", "Hello,"),
        ("{{ company }}{{ first_name }}", "Jane"),
        ("No place", "No place"),
        ("{ first_name } {% if x %}", "{ first_name } {% if x %}"),
    ],
)
def test_values_stand_where_the_text_names_them(text: str, filled: str) -> None:
    assert answers.filled(text, VALUES) == filled


@given(st.text())
def test_what_a_stranger_wrote_is_never_read_as_a_place(said: str) -> None:
    values = {"first_name": said, "my_name": "SECRET"}
    assert answers.filled("{{ first_name }}", values) == said
    assert (
        answers.filled("Hi {{ first_name }}", {**values, "first_name": "{{ my_name }}"}) == "Hi {{ my_name }}"
    )


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("Hello {{ first_name }} of {{ offer_title }}", []),
        ("Hello {{ frist_name }}", ["frist_name"]),
        ("{{ first name }}", ["{{ first name }}"]),
        ("{{ first_name", ["{{ first_name"]),
        ("first_name }}", ["first_name }}"]),
        ("{{ first_name|upper }}", ["{{ first_name|upper }}"]),
        ("{{ email.__class__ }}", ["email.__class__"]),
    ],
)
def test_what_is_no_value_of_a_lead_is_named(text: str, wrong: list[str]) -> None:
    assert answers.wrong_names(text) == wrong


def test_a_subject_is_one_line_whatever_its_values_say() -> None:
    hostile = {"first_name": "Jane\r\nBcc: all@example.com\u2028x\x00y"}
    made = answers.draft("For {{ first_name }}", "For {{ first_name }}", hostile)
    assert made.subject == "For Jane Bcc: all@example.com x y"
    assert made.body == "For Jane\r\nBcc: all@example.com\u2028x\x00y"


def test_what_the_lead_does_not_say_is_told() -> None:
    made = answers.draft("{{ company }}", "{{ first_name }} {{ title }} {{ company }}", VALUES)
    assert made.empty == ["company", "title"]
    assert answers.names_in_words(made.empty) == "company, job title"


# Choosing


def template(name: str, action: str = "", offer: Offer | None = None) -> AnswerTemplate:
    return AnswerTemplate.objects.create(name=name, action=action, offer=offer, subject=name, body=name)


@pytest.mark.django_db
def test_the_most_special_text_is_offered_first(offer: Offer) -> None:
    template("any"), template("of the offer", offer=offer), template("of the action", "PLT")
    template("of both", "PLT", offer), template("of another", "INS"), template("else", "PLT", make_offer())
    lead = make_lead(offer, action="PLT")
    assert [str(text) for text in answers.for_lead(lead)] == [
        "of both",
        "of the action",
        "of the offer",
        "any",
    ]


@pytest.mark.django_db
def test_nobody_has_to_write_a_text_before_the_first_answer(offer: Offer) -> None:
    assert [str(text) for text in answers.for_lead(make_lead(offer, action="PLT"))] == ["Contact me"]
    assert [str(text) for text in answers.for_lead(make_lead(offer, action="New"))] == ["Any action"]
    template("ours")
    assert [str(text) for text in answers.for_lead(make_lead(offer, action="PLT"))] == ["Contact me", "ours"]
    assert [str(text) for text in answers.for_lead(make_lead(offer, action="New"))] == ["ours"]


@pytest.mark.django_db
def test_suggested_texts_fill_in_for_every_action_but_do_not_contact(offer: Offer) -> None:
    assert set(answers.SUGGESTED) == {"", *lead_source.ACTIONS} - {"DNC"}
    for action in answers.SUGGESTED:
        text = answers.suggestion(action)
        assert text is not None
        text.full_clean(exclude=["offer"])
        assert answers.wrong_names(f"{text.subject}{text.body}") == []
        lead = make_lead(offer, action=action, **JANE)
        made = answers.draft(text.subject, text.body, answers.values_of(lead, person("bob")))
        assert made.empty == []
        assert "{{" not in f"{made.subject}{made.body}"
        assert made.body.startswith("Hello Jane,")
        assert made.body.endswith("bob")


@pytest.mark.django_db
def test_only_suggestions_for_actions_without_a_text_are_missing(offer: Offer) -> None:
    template("ours", "PLT"), template("of one offer", "INS", offer)
    assert [text.action for text in answers.missing_suggestions()] == ["INS", "StartTestDrive", "Create", ""]


# The link


def test_the_link_opens_a_mail_with_subject_and_text() -> None:
    link = answers.mail_link(mail_link("jane@contoso.com"), "50% off & more", "Hello Jane,\n\nü?\n")
    assert link.whole
    url = urlsplit(link.url)
    assert (url.scheme, url.path) == ("mailto", "jane@contoso.com")
    assert parse_qs(url.query) == {"subject": ["50% off & more"], "body": ["Hello Jane,\r\n\r\nü?"]}


@given(st.text(max_size=200), st.text(max_size=500))
def test_no_text_adds_a_recipient_or_a_header(subject: str, body: str) -> None:
    link = answers.mail_link("mailto:jane@contoso.com", subject, body)
    assert set(parse_qs(urlsplit(link.url).query)) <= {"subject", "body"}
    assert link.url.count("&") <= 1
    assert "%0A" not in link.url.partition("&")[0]


def test_a_text_too_long_for_a_link_is_left_for_pasting() -> None:
    link = answers.mail_link("mailto:jane@contoso.com", "Offer", "ü" * 1_000)
    assert (link.url, link.whole) == ("mailto:jane@contoso.com?subject=Offer", False)


@pytest.mark.django_db
def test_values_are_those_of_the_lead_and_of_who_answers(offer: Offer) -> None:
    bob: Any = person("bob")
    bob.first_name, bob.last_name = "Bob", "Berg"
    lead = make_lead(offer, **JANE, country="USA", tidy_country="US", description="x" * 5_000)
    values = answers.values_of(lead, bob)
    assert set(values) == set(answers.NAMES)
    assert (values["my_name"], values["country"], values["offer_title"]) == (
        "Bob Berg",
        "United States",
        offer.title,
    )
    assert len(values["description"]) == answers.LONGEST_VALUE
