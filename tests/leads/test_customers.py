"""Leads of one person or company come together, with the reason; what does not belong together can be split."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from leads import aftercare, customers
from leads.models import Customer, CustomerKey, Lead, Offer
from tests.leads.grouping import FABRIKAM, JANE, START, care, cared, keys_of, make_lead, make_offer
from tests.staff import person

pytestmark = pytest.mark.django_db


# What brings leads together


def test_the_same_e_mail_brings_leads_of_two_offers_together_and_the_second_says_why(offer: Offer) -> None:
    first, second = cared(offer, **JANE), cared(make_offer(), **JANE)
    assert first.customer == second.customer is not None
    assert (first.grouped_by, second.grouped_by) == ("", "email")


@pytest.mark.parametrize(
    "spelled",
    ["JANE@CONTOSO.COM", " jane@contoso.com ", "Jane Doe <Jane@Contoso.com>", "mailto:jane@contoso.com"],
)
def test_an_e_mail_is_the_same_however_it_is_spelled(offer: Offer, spelled: str) -> None:
    first, second = cared(offer, **JANE), cared(offer, email=spelled)
    assert second.customer == first.customer
    assert second.email == spelled


def test_without_a_common_e_mail_company_and_phone_together_decide(offer: Offer) -> None:
    first = cared(offer, **JANE, **FABRIKAM)
    second = cared(
        offer, email="joe@contoso.com", company="  FABRIKAM ", phone="(425) 555-0134", country="US"
    )
    assert second.customer == first.customer
    assert second.grouped_by == "company_phone"


@pytest.mark.parametrize(
    "half",
    [{"company": "Fabrikam"}, {"phone": "+1 425 555 0134"}, {"company": "Fabrikam", "phone": "at noon"}],
)
def test_company_or_phone_alone_is_no_reason(offer: Offer, half: dict[str, str]) -> None:
    cared(offer, **FABRIKAM)
    alone = cared(offer, **half)
    assert (alone.customer, alone.grouped_by) == (None, "")


def test_the_e_mail_decides_before_company_and_phone(offer: Offer) -> None:
    jane = cared(offer, **JANE)
    fabrikam = cared(offer, **FABRIKAM)
    both = cared(offer, **JANE, **FABRIKAM)
    assert both.customer == jane.customer != fabrikam.customer
    assert keys_of(fabrikam.customer) == {
        "+14255550134 fabrikam"
    }  # a key that somebody has stays where it is


def test_what_a_lead_brings_that_nobody_has_leads_to_its_customer_too(offer: Offer) -> None:
    first = cared(offer, **JANE)
    cared(offer, **JANE, **FABRIKAM)
    third = cared(offer, email="joe@contoso.com", **FABRIKAM)
    fourth = cared(offer, email="joe@contoso.com")
    assert {third.customer, fourth.customer} == {first.customer}
    assert [third.grouped_by, fourth.grouped_by] == ["company_phone", "email"]


@pytest.mark.parametrize("nobody", [{}, {"email": "none"}, {"first_name": "Jane"}, {"company": "Fabrikam"}])
def test_a_lead_that_nobody_can_be_recognised_by_has_no_customer(
    offer: Offer, nobody: dict[str, str]
) -> None:
    assert cared(offer, **nobody).customer is None
    assert not Customer.objects.exists()


@pytest.mark.parametrize("kind", ["is_test", "is_sample"])
def test_tests_and_samples_are_nobodys_leads(offer: Offer, kind: str) -> None:
    cared(offer, **JANE)
    assert cared(offer, **JANE, **{kind: True}).customer is None
    assert Customer.objects.get().leads.count() == 1


def test_a_lead_that_has_a_customer_keeps_it(offer: Offer) -> None:
    lead = cared(offer, **JANE)
    first = lead.customer
    lead.email = "joe@contoso.com"
    care(lead)
    assert (lead.customer, lead.grouped_by) == (first, "")
    assert Customer.objects.count() == 1


def test_leads_in_one_batch_find_each_other_the_oldest_first(offer: Offer) -> None:
    leads = [make_lead(offer, **JANE), make_lead(offer, **JANE), make_lead(offer, email="joe@contoso.com")]
    care(*reversed(leads))
    assert [lead.grouped_by for lead in leads] == ["", "email", ""]
    assert leads[0].customer == leads[1].customer != leads[2].customer


def test_a_megabyte_of_company_is_still_a_company(offer: Offer) -> None:
    name = "x" * 1_000_000
    first = cared(offer, phone=FABRIKAM["phone"], company=name)
    second = cared(offer, phone=FABRIKAM["phone"], company=name)
    assert second.customer == first.customer
    assert len(Customer.objects.get().company) == customers.LONGEST_SHOWN


# What a customer is called


def shown(customer: Customer | None) -> tuple[str, str, str, str]:
    assert customer is not None
    customer.refresh_from_db()
    return customer.name, customer.email, customer.company, customer.phone


def test_a_customer_is_called_as_in_its_latest_lead_that_says_so(offer: Offer) -> None:
    lead = cared(offer, **JANE, **FABRIKAM)
    cared(offer, email="JANE@contoso.com", first_name="Jane", last_name="Doe-Roe")
    assert shown(lead.customer) == ("Jane Doe-Roe", "JANE@contoso.com", "Fabrikam", "+14255550134")


def test_an_old_lead_that_comes_late_tells_only_what_was_not_known(offer: Offer) -> None:
    lead = cared(offer, **JANE)
    old = make_lead(
        offer, **FABRIKAM, email=JANE["email"], first_name="J.", received_at=START - timedelta(days=9)
    )
    care(old, now=lead.received_at)
    assert shown(lead.customer) == ("Jane Doe", "jane@contoso.com", "Fabrikam", "+14255550134")


def test_a_lead_that_waited_long_is_still_the_latest_if_none_came_after_it(offer: Offer) -> None:
    first = cared(offer, **JANE)
    late = make_lead(offer, email=JANE["email"], first_name="Janet")
    care(late, now=late.received_at + timedelta(days=3))
    assert shown(first.customer)[0] == "Janet"


# Laws

PEOPLE = st.builds(
    dict,
    email=st.sampled_from(["", "a@contoso.com", "A@contoso.com", "b@contoso.com", "c@contoso.com"]),
    company=st.sampled_from(["", "Fabrikam", "fabrikam ", "Northwind"]),
    phone=st.sampled_from(["", "+1 425 555 0134", "+1 (425) 555-0134", "+1 425 555 0199"]),
)


class Laws(TestCase):
    @settings(max_examples=40, deadline=None)
    @given(st.lists(st.lists(PEOPLE, min_size=1, max_size=4), min_size=1, max_size=4))
    def test_in_whatever_batches_leads_come(self, batches: list[list[dict[str, str]]]) -> None:
        offer = make_offer()
        leads = []
        for batch in batches:
            made = [make_lead(offer, **values) for values in batch]
            care(*made)
            leads += made
        owner = {(key.kind, key.value): key.customer_id for key in CustomerKey.objects.all()}
        seen: set[int] = set()
        by_email: dict[str, Any] = {}
        for lead in leads:
            lead.refresh_from_db()
            found = customers.keys(lead)
            # Whoever can be recognised has a customer, and nobody else.
            assert (lead.customer_id is None) is (not found)
            # Every key leads somewhere, and the reason is true.
            assert all(key in owner for key in found)
            if lead.grouped_by:
                assert owner[next(key for key in found if key[0] == lead.grouped_by)] == lead.customer_id
            # The first of a customer, and only the first, has no reason.
            if lead.customer_id:
                assert (lead.grouped_by == "") is (lead.customer_id not in seen)
                seen.add(lead.customer_id)
            # One e-mail, one customer.
            if lead.tidy_email:
                assert by_email.setdefault(lead.tidy_email.casefold(), lead.customer_id) == lead.customer_id
        assert Customer.objects.count() == len(seen)


# Several workers


@pytest.mark.usefixtures("own_database")
def test_workers_that_group_at_once_make_one_customer_of_one_person() -> None:
    offer, workers, each = make_offer(), 4, 12
    batches = [
        [
            make_lead(
                offer, email=f"p{number}@contoso.com", company=f"C{number % 5}", phone=FABRIKAM["phone"]
            )
            for number in (range(each) if worker % 2 else reversed(range(each)))
        ]
        for worker in range(workers)
    ]
    gate = threading.Barrier(workers)

    def work(leads: list[Lead]) -> None:
        try:
            gate.wait(10)
            care(*leads)
        finally:
            connection.close()

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, batches))
    owner = {(key.kind, key.value): key.customer_id for key in CustomerKey.objects.all()}
    leads = list(Lead.objects.all())
    assert len(leads) == workers * each
    for lead in leads:
        assert lead.customer_id == owner["email", lead.email]
    used = {lead.customer_id for lead in leads}
    assert set(Customer.objects.values_list("pk", flat=True)) == used
    firsts = [lead.customer_id for lead in leads if not lead.grouped_by]
    assert len(firsts) == len(set(firsts))


def test_whoever_is_beaten_to_a_key_joins_the_winner_and_leaves_nothing_behind(
    offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    winner = cared(offer, **JANE)
    lead = make_lead(offer, **JANE, **FABRIKAM)
    real, asked = customers._owners, []

    def too_early(wanted: Any) -> Any:
        asked.append(wanted)
        return {} if len(asked) == 1 else real(wanted)  # the first time, the winner had not committed

    monkeypatch.setattr(customers, "_owners", too_early)
    care(lead)
    assert (lead.customer, lead.grouped_by) == (winner.customer, "email")
    assert keys_of(winner.customer) == {"jane@contoso.com", "+14255550134 fabrikam"}
    assert Customer.objects.count() == 1


# What it costs


def cost(*leads: Lead) -> int:
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        aftercare.care(leads, START)
        aftercare.save(leads, START)
    return len(queries)


def test_care_costs_as_many_statements_for_two_hundred_leads_as_for_one(offer: Offer) -> None:
    def leads(count: int) -> list[Lead]:
        return [
            make_lead(
                offer,
                email=f"{count}-{number}@contoso.com",
                company=f"C{count}",
                phone=f"+1 425 555 {number:04}",
            )
            for number in range(count)
        ]

    one = cost(*leads(1))
    # A savepoint, keys, customers, their keys, rows of the search, working hours, assignment rules, its end, the leads.
    assert cost(*leads(150)) == one <= 9
    returning = make_lead(offer, email="1-0@contoso.com", company="C1", phone="+1 425 555 0000")
    assert cost(returning) <= 7  # nothing new is known: neither customers nor their keys
    assert cost(make_lead(offer)) <= 6


# Splitting


def split(customer: Customer | None, *leads: Lead) -> Customer:
    assert customer is not None
    other = customers.split(customer, leads, person("charlie"), START)
    for lead in leads:
        lead.refresh_from_db()
    return other


def test_split_leads_are_a_customer_of_their_own_and_say_so(offer: Offer) -> None:
    first, second, third = (
        cared(offer, **FABRIKAM, email=f"{name}@contoso.com", first_name=name) for name in ("a", "b", "c")
    )
    old = first.customer
    other = split(old, second, third)
    assert {second.customer, third.customer} == {other} != {old}
    assert {second.grouped_by, third.grouped_by} == {"split"}
    assert shown(old) == ("a", "a@contoso.com", "Fabrikam", "+14255550134")
    assert shown(other)[:2] == ("c", "c@contoso.com")


def test_keys_that_only_they_had_go_with_them_and_later_leads_follow(offer: Offer) -> None:
    first = cared(offer, **FABRIKAM, email="a@contoso.com")
    second = cared(offer, **FABRIKAM, email="b@contoso.com")
    other = split(first.customer, second)
    assert keys_of(other) == {"b@contoso.com"}
    assert keys_of(first.customer) == {"a@contoso.com", "+14255550134 fabrikam"}  # what they share stays
    later = cared(offer, email="b@contoso.com")
    assert (later.customer, later.grouped_by) == (other, "email")


def test_a_lead_that_was_split_off_is_never_grouped_again(offer: Offer) -> None:
    first, second = cared(offer, **JANE), cared(offer, **JANE)
    other = split(first.customer, second)
    care(second)
    assert second.customer == other
    Lead.objects.filter(pk=second.pk).update(customer=None)
    second.refresh_from_db()
    care(second)
    assert second.customer is None


def test_a_split_is_in_the_history_of_both(offer: Offer) -> None:
    first, second = cared(offer, **JANE), cared(offer, **JANE)
    other = split(first.customer, second)
    log = {entry.object_id: entry for entry in LogEntry.objects.all()}
    assert set(log) == {str(first.customer_id), str(other.pk)}
    assert {entry.user.username for entry in log.values()} == {"charlie"}
    assert log[str(first.customer_id)].get_change_message() == f"Split off 1 lead, now of customer {other.pk}"
    assert log[str(other.pk)].get_change_message() == f"Made from 1 lead of customer {first.customer_id}"


@pytest.mark.parametrize("which", ["none", "all", "somebody else's"])
def test_a_split_that_parts_nothing_changes_nothing(offer: Offer, which: str) -> None:
    first, second = cared(offer, **JANE), cared(offer, **JANE)
    stranger = cared(offer, email="joe@contoso.com")
    leads = {"none": [], "all": [first, second], "somebody else's": [stranger]}[which]
    with pytest.raises(customers.NothingToSplitError):
        split(first.customer, *leads)
    assert Customer.objects.count() == 2
    assert not LogEntry.objects.exists()
