"""Whose a new lead becomes: the first rule that takes it, each of its people in turn, and nobody loses one."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils.translation import override

from crm_sync import routing
from leads import assignment
from leads.assignment import Conditions, because, is_a_rules, next_in_turn
from leads.models import AssignmentRule, Lead, Offer, WorkingHours
from tests import pseudo
from tests.leads.grouping import JANE, START, care, cared, make_lead, make_offer
from tests.staff import person

DE = {"country": "Germany"}
PLT = {"action": "PLT", "phone": "+1 425 555 0134"}


# Deciding


@pytest.mark.parametrize(
    ("conditions", "taken"),
    [
        (Conditions(), True),
        (Conditions(offers=frozenset({1, 2})), True),
        (Conditions(offers=frozenset({2})), False),
        (Conditions(countries=frozenset({"DE", "AT"})), True),
        (Conditions(countries=frozenset({"FR"})), False),
        (Conditions(actions=frozenset({"PLT"})), True),
        (Conditions(actions=frozenset({"INS"})), False),
        (Conditions(frozenset({1}), frozenset({"DE"}), frozenset({"PLT"})), True),
        (Conditions(frozenset({1}), frozenset({"DE"}), frozenset({"INS"})), False),
    ],
)
def test_a_rule_takes_what_meets_all_its_conditions(conditions: Conditions, taken: bool) -> None:
    assert conditions.take(1, "DE", "PLT") is taken


@pytest.mark.parametrize(
    ("people", "last", "index"),
    [([3, 5, 9], None, 0), ([3, 5, 9], 3, 1), ([3, 5, 9], 9, 0), ([3, 9], 5, 1), ([3, 5], 9, 0), ([5], 5, 0)],
)
def test_turns_go_round_also_after_the_last_one_has_left(
    people: list[int], last: int | None, index: int
) -> None:
    assert next_in_turn(people, last) == index


@pytest.mark.parametrize(
    ("taken_for", "of", "said"),
    [
        (["Germany", "Contact me"], 3, "Rule “EMEA”: Germany, Contact me; Bob was next of 3"),
        ([], 1, "Rule “EMEA”: any lead; all of these go to Bob"),
    ],
)
def test_the_reason_says_what_was_looked_at_and_whose_turn_it_was(
    taken_for: list[str], of: int, said: str
) -> None:
    assert because("EMEA", taken_for, "Bob", of) == said
    assert is_a_rules(said)
    assert len(because("E" * 100, ["Germany"] * 30, "Bob" * 50, of)) == 200


def test_a_rules_reason_is_known_in_every_language(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    pseudo.speak(monkeypatch, settings)
    said = because("EMEA", [], "Bob", 1)
    with override(pseudo.LANGUAGE):  # of the reader; the worker spoke that of the installation
        assert is_a_rules(said)
        assert not is_a_rules("Given by alice")


def test_a_reason_of_before_the_language_changed_is_still_a_rules(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    said = because("EMEA", [], "Bob", 1)
    pseudo.speak(monkeypatch, settings)
    assert is_a_rules(said)
    assert not is_a_rules("Given by alice")


def test_what_a_colleague_did_is_no_rules_reason() -> None:
    assert not is_a_rules("Given by alice")
    assert not is_a_rules("")


# Assigning


def rule(name: str, *people: str, **more: Any) -> AssignmentRule:
    offers = more.pop("offers", ())
    made = AssignmentRule.objects.create(name=name, **more)
    made.people.set([person(each) for each in people])
    made.offers.set(offers)
    return made


def owner_of(lead: Lead) -> str:
    lead.refresh_from_db()
    return str(lead.owner or "")


@pytest.mark.django_db
def test_the_first_rule_that_takes_a_lead_gives_it_away(offer: Offer) -> None:
    other = make_offer("Contoso Mail")
    rule("Last", "erin", position=9)
    rule("Germany", "bob", countries=["DE"], actions=["PLT"], position=2)
    rule("Mail", "charlie", offers=[other], position=1)
    german = cared(offer, **JANE, **DE, **PLT)
    assert owner_of(german) == "bob"
    assert german.assigned_because == "Rule “Germany”: Germany, Contact me; all of these go to bob"
    assert owner_of(cared(other, **DE, **PLT)) == "charlie"
    assert owner_of(cared(offer, **DE)) == "erin"


@pytest.mark.django_db
def test_people_have_turns_through_batches(offer: Offer) -> None:
    names = sorted(["bob", "charlie", "erin"], key=lambda name: person(name).pk)
    rule("All", *names)
    first = [make_lead(offer, **PLT) for _ in range(4)]
    care(*first)
    last = cared(offer, **PLT)
    assert [owner_of(lead) for lead in [*first, last]] == [*names, names[0], names[1]]
    assert last.assigned_because == f"Rule “All”: any lead; {names[1]} was next of 3"


@pytest.mark.django_db
def test_who_has_left_has_no_turn_and_a_rule_with_nobody_left_is_passed_over(offer: Offer) -> None:
    rule("Germany", "bob", "charlie", countries=["DE"])
    rule("Rest", "erin", position=1)
    User.objects.filter(username="bob").update(is_active=False)
    assert [owner_of(cared(offer, **DE)) for _ in range(2)] == ["charlie", "charlie"]
    User.objects.filter(username="charlie").update(is_active=False)
    assert owner_of(cared(offer, **DE)) == "erin"


@pytest.mark.django_db
def test_a_rule_that_is_off_gives_nothing_away(offer: Offer) -> None:
    rule("Off", "bob", enabled=False)
    assert owner_of(cared(offer, **PLT)) == ""


@pytest.mark.django_db
@pytest.mark.parametrize(
    "lead", [{"is_test": True}, {"is_sample": True}, {"action": "DNC"}, {"action": "dnc"}], ids=str
)
def test_only_real_customers_who_may_be_answered_are_given_away_and_have_a_clock(
    offer: Offer, lead: dict[str, Any]
) -> None:
    rule("All", "bob")
    made = cared(offer, **lead)
    assert owner_of(made) == ""
    assert made.answer_due_at is None


@pytest.mark.django_db
@pytest.mark.parametrize("offer_values", [{"worked_in": "crm"}, {"is_demo": True}], ids=str)
def test_leads_that_are_worked_on_in_the_crm_are_left_alone(
    offer: Offer, offer_values: dict[str, Any]
) -> None:
    rule("All", "bob")
    Offer.objects.update(**offer_values)
    made = cared(Offer.objects.get(), **PLT)
    assert owner_of(made) == ""
    assert made.answer_due_at is None


@pytest.mark.django_db
def test_an_owner_is_never_overwritten(offer: Offer) -> None:
    """Neither one that the lead had, nor one who took it while the worker was about to route it."""
    rule("All", "bob")
    taken, about_to_be = make_lead(offer, owner=person("erin")), make_lead(offer)
    Lead.objects.filter(pk=about_to_be.pk).update(owner=person("charlie"))
    care(taken, about_to_be)
    assert (owner_of(taken), owner_of(about_to_be)) == ("erin", "charlie")
    assert about_to_be.assigned_because == ""


@pytest.mark.django_db
def test_a_lead_that_cannot_be_assigned_goes_its_way_and_the_others_get_owners(
    offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule("All", "bob")
    real = assignment.first_that_takes

    def fails(rules: Any, lead: Lead) -> Any:
        if lead.first_name == "poison":
            raise RuntimeError("as planned")
        return real(rules, lead)

    monkeypatch.setattr(assignment, "first_that_takes", fails)
    leads = [make_lead(offer, first_name=name, **PLT) for name in ("a", "poison", "c")]
    routing.route_everything(START + timedelta(days=1))
    assert [owner_of(lead) for lead in leads] == ["bob", "", "bob"]
    assert all(lead.routed_at for lead in leads)


@pytest.mark.django_db
def test_without_rules_routing_asks_one_more_question(
    offer: Offer, django_assert_max_num_queries: Any
) -> None:
    leads = [make_lead(offer) for _ in range(3)]
    care(*leads[:1])
    with django_assert_max_num_queries(1):
        assignment.assign(leads[1:], START)


# The clock


@pytest.mark.django_db
def test_the_worker_says_by_when_a_lead_should_be_answered(offer: Offer) -> None:
    """From the moment it came, however late the worker is."""
    friday = START.replace(day=20, hour=15)
    lead = make_lead(offer, received_at=friday, **PLT)
    care(lead, now=friday + timedelta(hours=5))
    lead.refresh_from_db()
    assert lead.answer_due_at == START.replace(day=23, hour=15)  # 8 hours of 9 to 17, UTC


@pytest.mark.django_db
def test_hours_of_ones_own_hold_for_leads_from_then_on(offer: Offer) -> None:
    before = cared(offer, **PLT, received_at=START.replace(day=20, hour=15))
    WorkingHours.objects.create(answer_within=1)
    after = cared(offer, **PLT, received_at=START.replace(day=20, hour=15))
    WorkingHours.objects.update(answer_within=None)
    off = cared(offer)
    for lead in (before, after, off):
        lead.refresh_from_db()
    assert [before.answer_due_at, after.answer_due_at, off.answer_due_at] == [
        START.replace(day=23, hour=15),
        START.replace(day=20, hour=16),
        None,
    ]


@pytest.mark.django_db
def test_a_clock_that_cannot_be_read_holds_up_nothing(offer: Offer) -> None:
    WorkingHours.objects.create(time_zone="Nowhere/Else")
    rule("All", "bob")
    lead = cared(offer, **JANE)
    assert owner_of(lead) == "bob"
    assert (lead.answer_due_at, lead.tidy_email) == (None, "jane@contoso.com")


# Several workers at once


def test_several_workers_share_the_turns_fairly(own_database: None) -> None:
    offer = make_offer()
    names = ["bob", "charlie", "erin"]
    rule("All", *names)
    rule("Never", *names, countries=["FR"], position=1)
    leads = [make_lead(offer, **PLT) for _ in range(60)]
    start, failures = threading.Barrier(4), []

    def worker() -> None:
        try:
            start.wait()
            while routing.route_waiting(START, batch=5).leads:
                pass
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    workers = [threading.Thread(target=worker) for _ in range(4)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    routing.route_everything(START)
    assert failures == []
    owners = [owner_of(lead) for lead in leads]
    assert {name: owners.count(name) for name in names} == dict.fromkeys(names, 20)
