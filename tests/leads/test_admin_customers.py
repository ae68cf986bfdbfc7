"""Customers on screen: who may see and split them, what a stranger's text can do, and what it costs."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from leads.admin import customer_page as page
from leads.admin.customer_words import ordinal
from leads.models import Customer, Lead
from tests.leads.grouping import FABRIKAM, JANE, cared, make_offer
from tests.staff import make_searchable, person, signed_in

pytestmark = pytest.mark.django_db

CUSTOMERS = "/admin/leads/customer/"
TIED = {**FABRIKAM, "last_name": "Doe"}


def page_of(obj: Any) -> str:
    return reverse(f"admin:leads_{obj._meta.model_name}_change", args=[obj.pk])


def text_of(client: Any, url: str, **data: str) -> str:
    response = client.get(url, data)
    assert response.status_code == 200, f"{url}: {response.status_code}"
    return re.sub(r"\s+", " ", response.content.decode())


@pytest.fixture
def leads() -> list[Lead]:
    """Three of one company, for two offers; the last one is somebody else's."""
    backup, restore = make_offer(), make_offer("Contoso Restore")
    return [
        cared(offer, **TIED, email=f"{name}@fabrikam.example", first_name=name, action="PLT", source="SPZA")
        for name, offer in (("Ann", backup), ("Bob", restore), ("Cleo", backup))
    ]


@pytest.fixture
def customer(leads: list[Lead]) -> Customer:
    return Customer.objects.get()


def split(client: Any, customer: Customer, *leads: Lead, confirm: str = "yes") -> Any:
    url = reverse("admin:leads_customer_split", args=[customer.pk])
    data = {"lead": [str(lead.pk) for lead in leads]} | ({"confirm": confirm} if confirm else {})
    return client.post(url, data, follow=True)


# Seeing


def test_a_row_says_who_came_how_often_and_for_what(customer: Customer) -> None:
    text = text_of(signed_in("charlie"), CUSTOMERS)
    for words in ("Cleo Doe", "Fabrikam", "Cleo@fabrikam.example", ">3<", "Contoso Backup, Contoso Restore"):
        assert words in text


@pytest.mark.parametrize(("words", "found"), [("fabrikam", True), ("4255550134", True), ("nobody", False)])
def test_search_finds_a_customer(words: str, found: bool, customer: Customer) -> None:
    make_searchable()
    assert ("Cleo Doe" in text_of(signed_in("charlie"), CUSTOMERS, q=words)) is found


def test_an_empty_list_says_how_customers_come_about() -> None:
    assert "No customers yet" in text_of(signed_in("charlie"), CUSTOMERS)


def test_the_page_shows_the_way_of_a_customer_the_newest_first_each_with_its_reason(
    customer: Customer,
) -> None:
    text = text_of(signed_in("charlie"), page_of(customer))
    order = [text.index(f"{name} Doe, Fabrikam, pressed Contact me") for name in ("Cleo", "Bob", "Ann")]
    assert order == sorted(order)
    assert "for Contoso Restore" in text
    assert text.count("Same company and phone") == 2
    assert text.count("First lead of this customer") == 1
    assert "3 leads for 2 offers" in text
    assert "+1 425 555 0134" in text


@pytest.mark.parametrize("name", ["alice", "bob", "charlie", "dave", "erin"])
def test_everybody_with_a_role_sees_customers(name: str, customer: Customer) -> None:
    client = signed_in(name)
    assert str(customer) in text_of(client, CUSTOMERS)
    assert str(customer) in text_of(client, page_of(customer))


def test_who_may_not_see_customers_sees_neither_page_nor_menu(customer: Customer) -> None:
    client = signed_in("frank")
    assert client.get(CUSTOMERS).status_code == 403
    assert client.get(page_of(customer)).status_code == 403
    assert CUSTOMERS not in client.get("/admin/").content.decode()


def test_customers_are_neither_added_changed_nor_deleted_by_hand(customer: Customer) -> None:
    client = signed_in("alice")
    assert client.get(f"{CUSTOMERS}add/").status_code == 403
    assert client.get(f"{CUSTOMERS}{customer.pk}/delete/").status_code == 403
    assert client.post(page_of(customer), {"name": "x"}).status_code == 405
    assert client.get(f"{CUSTOMERS}999/change/").status_code == 404
    customer.refresh_from_db()
    assert customer.name == "Cleo Doe"


def test_what_a_stranger_wrote_is_escaped_and_clipped() -> None:
    lead = cared(make_offer(), email="x@contoso.com", first_name="<script>alert(1)</script>" + "x" * 5_000)
    client = signed_in("charlie")
    for url in (CUSTOMERS, page_of(lead.customer), page_of(lead)):
        text = client.get(url).content.decode()
        assert "<script>alert" not in text
        assert "x" * 1_000 not in text or url == page_of(lead)


def test_the_list_costs_the_same_for_many_customers_as_for_few(customer: Customer) -> None:
    client, offer = signed_in("charlie"), make_offer()

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            client.get(CUSTOMERS)
        return len(queries)

    client.get(CUSTOMERS)
    few = cost()
    for number in range(20):
        cared(offer, email=f"{number}@contoso.com")
    assert cost() == few


def test_a_customer_of_very_many_leads_has_a_page_that_ends(
    customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "MOST_LEADS", 2)
    text = text_of(signed_in("charlie"), page_of(customer))
    assert "Only the newest 2 are shown" in text
    assert "Ann Doe" not in text
    assert "3 leads for 2 offers" in text


# Splitting


def test_a_split_is_asked_for_twice_and_leads_to_the_new_customer(
    customer: Customer, leads: list[Lead]
) -> None:
    client = signed_in("charlie")
    assert "Split off the selected" in text_of(client, page_of(customer))
    asked = split(client, customer, leads[2], confirm="").content.decode()
    assert "Split off this lead?" in asked
    assert "Cleo Doe" in asked
    assert "Bob Doe" not in asked
    assert Customer.objects.count() == 1  # nothing has changed yet
    answer = split(client, customer, leads[2])
    leads[2].refresh_from_db()
    assert answer.redirect_chain == [(page_of(leads[2].customer), 302)]
    text = answer.content.decode()
    assert "1 lead is split off. This is its customer now." in text
    assert "Split off by a colleague" in text
    assert f"charlie: Made from 1 lead of customer {customer.pk}" in text
    assert "Split off the selected" not in text  # one lead alone cannot be split


def test_a_split_needs_its_permission(customer: Customer, leads: list[Lead]) -> None:
    for name in ("dave", "frank"):
        client = signed_in(name)
        assert split(client, customer, leads[2]).status_code == 403
    assert "Split off the selected" not in text_of(signed_in("dave"), page_of(customer))
    assert 'type="checkbox"' not in text_of(signed_in("dave"), page_of(customer))
    assert Customer.objects.count() == 1


@pytest.mark.parametrize("name", ["bob", "charlie", "erin"])
def test_sales_and_all_above_may_split(name: str, customer: Customer, leads: list[Lead]) -> None:
    split(signed_in(name), customer, leads[2])
    assert Customer.objects.count() == 2


@pytest.mark.parametrize("confirm", ["", "yes"])
def test_a_split_of_nothing_of_all_or_of_nonsense_says_what_to_do(
    confirm: str, customer: Customer, leads: list[Lead]
) -> None:
    client = signed_in("charlie")
    url = reverse("admin:leads_customer_split", args=[customer.pk])
    stranger = cared(make_offer(), **JANE)
    for chosen in ([], leads, [stranger]):
        assert "leave at least one" in split(client, customer, *chosen, confirm=confirm).content.decode()
    answer = client.post(url, {"lead": ["nonsense"], "confirm": confirm}, follow=True)
    assert "leave at least one" in answer.content.decode()
    assert Customer.objects.count() == 2


def test_a_split_that_a_colleague_made_first_says_so(
    customer: Customer, leads: list[Lead], monkeypatch: pytest.MonkeyPatch
) -> None:
    def faster(*args: Any) -> None:
        raise page.customers.NothingToSplitError

    monkeypatch.setattr(page.customers, "split", faster)
    text = split(signed_in("charlie"), customer, leads[2]).content.decode()
    assert "these leads have moved in the meantime" in text


def test_a_split_is_no_link(customer: Customer) -> None:
    assert signed_in("charlie").get(f"{CUSTOMERS}{customer.pk}/split/").status_code == 405
    assert signed_in("charlie").post(f"{CUSTOMERS}999/split/").status_code == 404


# On the page of a lead


def test_a_lead_says_which_of_its_customers_leads_it_is_and_why(
    customer: Customer, leads: list[Lead]
) -> None:
    client = signed_in("charlie")
    url = page_of(customer)
    assert f'<a href="{url}">3rd lead of this customer: same company and phone</a>' in text_of(
        client, page_of(leads[2])
    )
    assert f'<a href="{url}">1st of 3 leads of this customer</a>' in text_of(client, page_of(leads[0]))
    only = cared(make_offer(), **JANE)
    assert "First lead of this customer, and the only one so far" in text_of(client, page_of(only))


def test_a_lead_without_a_customer_says_nothing_of_one() -> None:
    lead = cared(make_offer(), first_name="Jane")
    assert "<dt>Customer</dt>" not in text_of(signed_in("charlie"), page_of(lead))


def test_who_may_not_see_customers_reads_nothing_of_them_on_a_lead(leads: list[Lead]) -> None:
    person("frank").user_permissions.add(Permission.objects.get(codename="view_lead"))
    assert "of this customer" not in text_of(signed_in("frank"), page_of(leads[2]))


@pytest.mark.parametrize(
    ("sent", "there", "not_there"),
    [
        ({"phone": "(425) 555-0134", "country": "US"}, ["+1 425 555 0134", "sent as (425) 555-0134"], []),
        ({"phone": "+1-425-555-0134"}, ["+1-425-555-0134"], ["sent as"]),
        ({"phone": "at noon"}, ["at noon"], ["sent as"]),
        (
            {"email": "Jane <jane@CONTOSO.com>"},
            ['"mailto:jane@contoso.com">jane@contoso.com<', "sent as Jane &lt;jane@CONTOSO.com&gt;"],
            [],
        ),
        ({"email": "jane@contoso.com"}, ["jane@contoso.com"], ["sent as"]),
        ({"email": "nobody at all"}, ["nobody at all"], ["sent as"]),
    ],
)
def test_a_tidied_value_stands_before_what_was_sent_where_they_differ(
    sent: dict[str, str], there: list[str], not_there: list[str]
) -> None:
    text = text_of(signed_in("charlie"), page_of(cared(make_offer(), **sent)))
    assert all(words in text for words in there)
    assert not any(words in text for words in not_there)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (1, "1st"),
        (2, "2nd"),
        (3, "3rd"),
        (4, "4th"),
        (11, "11th"),
        (12, "12th"),
        (21, "21st"),
        (113, "113th"),
    ],
)
def test_numbers_are_counted_as_people_do(number: int, words: str) -> None:
    assert ordinal(number) == words
