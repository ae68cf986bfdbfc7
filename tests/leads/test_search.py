"""A search finds what contains every word of it, whatever is in the words, and nothing else."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm_sync.models import Delivery, Destination, Route
from leads import search
from leads.models import Customer, Lead, LeadText, Offer, Submission
from tests.leads.grouping import START, cared, make_lead, make_offer
from tests.staff import make_offer as offer_with_a_url
from tests.staff import make_searchable, post

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_is_common(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A handful of leads would all be looked through row by row."""
    if "common" not in request.fixturenames:
        monkeypatch.setattr(search, "COMMON", 1_000)


@pytest.fixture
def common(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever occurs at all is common."""
    monkeypatch.setattr(search, "COMMON", 1)


def say(offer: Offer, *texts: str) -> list[Lead]:
    leads = [make_lead(offer) for _ in texts]
    rows = zip(leads, texts, strict=True)
    LeadText.objects.bulk_create(LeadText(lead=lead, text=text.casefold()) for lead, text in rows)
    return leads


def found(question: str) -> list[Lead]:
    return list(search.matching(Lead.objects.all(), question))


# What is found

HOSTILE = [
    "%",
    "_",
    "\\",
    '"',
    "'",
    "*",
    "(",
    ")",
    "^",
    "-",
    "+",
    ":",
    "{",
    "}",
    "~",
    "NEAR",
    "AND",
    "OR",
    "NOT",
    "\n",
]
pieces = st.one_of(
    st.sampled_from([*"abcABC 123ßİéЖ東京😀", *HOSTILE]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=3),
)
texts = st.lists(pieces, max_size=30).map("".join)


@pytest.mark.parametrize("way", ["rare", "common"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_search_finds_exactly_what_contains_its_words(
    way: str, data: st.DataObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "COMMON", 1_000 if way == "rare" else 1)
    LeadText.objects.all().delete()
    offer = Offer.objects.first() or make_offer()
    said = data.draw(st.lists(texts, min_size=1, max_size=4))
    leads = say(offer, *said)
    start, length = data.draw(st.integers(0, 40)), data.draw(st.integers(1, 12))
    question = data.draw(st.one_of(texts, st.just(said[0][start : start + length])))
    words = question.casefold().split()
    expected = [
        lead for lead, text in zip(leads, said, strict=True) if all(word in text.casefold() for word in words)
    ]
    asked = search.matching(Lead.objects.filter(pk__in=[lead.pk for lead in leads]), question)
    assert list(asked) == expected[::-1]


@pytest.mark.parametrize(
    "question",
    [
        '"',
        "'",
        "100%",
        "a_b",
        "back\\slash",
        "NEAR(a b)",
        "text:x",
        "a* OR b",
        "{x}",
        "-x",
        "東京",
        "li",
        "%",
        "\0",
    ],
)
def test_signs_of_query_languages_are_plain_text(offer: Offer, question: str) -> None:
    (named, _) = say(offer, f"<{question}>".replace("\0", "\ufffd"), "something else")
    assert found(question) == [named]


def test_a_question_of_blanks_finds_everything(offer: Offer) -> None:
    leads = say(offer, "one", "two")
    assert found("  ") == leads[::-1]


def test_a_question_of_very_many_words_is_asked_with_its_first(offer: Offer) -> None:
    (lead, _) = say(offer, " ".join(f"word{number}" for number in range(20)), "word1")
    assert found(" ".join(f"word{number}" for number in range(5_000))) == [lead]


@pytest.mark.usefixtures("common")
def test_a_very_long_word_finds_nothing_and_breaks_nothing(offer: Offer) -> None:
    say(offer, "x" * 100)
    assert found("x" * 60_000) == []
    assert len(found("x" * 90)) == 1


def test_short_words_are_looked_for_in_the_newest_leads(
    offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "NEWEST_FOR_SHORT", 2)
    _, second, third = say(offer, "li", "li", "wu li")
    assert found("li") == [third, second]
    assert found("wu li") == [third]


# In which order


@pytest.mark.parametrize("way", ["rare", "common"])
def test_what_is_found_stays_in_the_order_of_its_list(
    offer: Offer, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "COMMON", 1_000 if way == "rare" else 1)
    leads = say(offer, "alpha", "beta", "alpha", "alpha")
    Lead.objects.filter(pk=leads[0].pk).update(received_at=START + timedelta(days=900))
    asked = search.matching(Lead.objects.order_by("-received_at", "-id"), "alpha")
    assert list(asked) == [leads[0], leads[3], leads[2]]
    assert list(asked.reverse()) == [leads[2], leads[3], leads[0]]
    assert list(asked[:1]) == [leads[0]]
    assert asked.count() == 3


# Beside leads


@pytest.fixture
def sendings(offer: Offer) -> list[Delivery]:
    destination = Destination.objects.create(name="hook", connector="webhook")
    route = Route.objects.create(offer=offer, destination=destination)
    leads = say(offer, "jane doe", "john roe", "jane roe")
    return [
        Delivery.objects.create(lead=lead, route=route, destination=destination, created_at=START)
        for lead in leads
    ]


@pytest.mark.parametrize("way", ["rare", "common"])
def test_sendings_are_found_by_their_leads(
    sendings: list[Delivery], way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "COMMON", 1_000 if way == "rare" else 1)
    asked = search.matching(Delivery.objects.order_by("-id"), "jane", lead="lead")
    assert list(asked) == [sendings[2], sendings[0]]


@pytest.mark.parametrize("way", ["rare", "common"])
def test_customers_are_found_by_any_of_their_leads(
    offer: Offer, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "COMMON", 1_000 if way == "rare" else 1)
    jane = cared(offer, email="jane@contoso.com").customer
    cared(offer, email="jane@contoso.com", description="about Restore")
    john = cared(offer, email="john@contoso.com").customer
    make_searchable()

    def customers(question: str) -> list[Customer]:
        return list(search.customers_matching(Customer.objects.order_by("-id"), question))

    assert customers("restore") == [jane]
    assert customers("contoso") == [john, jane]
    assert customers("nobody") == []
    assert customers(" ") == [john, jane]


@pytest.mark.parametrize("way", ["rare", "common"])
def test_requests_are_found_by_their_lead_or_by_a_body_that_is_none(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "COMMON", 1_000 if way == "rare" else 1)
    offer = offer_with_a_url()
    lead, broken, discarded = post(offer), post(offer, b'{"Fabrikam": "\xfcber"'), post(offer, b"[FABRIKAM")
    Submission.objects.filter(pk=discarded.pk).update(verdict="discarded")
    make_searchable()

    def requests(question: str, **only: Any) -> set[Any]:
        asked = search.requests_matching(Submission.objects.filter(**only), question)
        return {request.pk for request in asked}

    assert requests("fabrikam") == {lead.pk, broken.pk, discarded.pk}
    assert requests("über fabrikam") == {broken.pk}
    assert requests("fabrikam", verdict="quarantined") == {broken.pk}
    assert requests("") == {lead.pk, broken.pk, discarded.pk}
