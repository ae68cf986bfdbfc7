"""Whose a new lead becomes: the first rule that takes it gives it to the next of its people, in turns.

The worker assigns in the transaction that routes the lead. It never takes a lead away from somebody: whoever took it
in the meantime keeps it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, override

from leads import statements
from leads.countries import country_in_words
from leads.lead_source import action_in_words
from leads.models import AssignmentRule, Lead
from leads.people import name_of
from leads.statements import Prepared
from leads.work import wants_answer

LONGEST_REASON = 200  # characters of Lead.assigned_because
# Translators: begin with a word, never with the name of the rule: a rule's reason is told from others by it.
REASON = gettext_noop("Rule “%(rule)s”: %(what)s; %(turn)s")


# --- Deciding ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a rule takes; an empty condition takes everything."""

    offers: frozenset[int] = frozenset()
    countries: frozenset[str] = frozenset()
    actions: frozenset[str] = frozenset()

    def take(self, offer: int, country: str, action: str) -> bool:
        return (
            (not self.offers or offer in self.offers)
            and (not self.countries or country in self.countries)
            and (not self.actions or action in self.actions)
        )


def next_in_turn(people: Sequence[int], last: int | None) -> int:
    """The index of whose turn it is after `last`, who need not be among them any more. `people`: ids, ascending."""
    return next((index for index, person in enumerate(people) if last is not None and person > last), 0)


def because(rule: str, taken_for: Sequence[str], person: str, of: int, *, tried: bool = False) -> str:
    """Why a lead is somebody's: the rule, what of the lead it looked at in words, and whose turn it was.

    `tried`: why it would be.
    """
    what = ", ".join(taken_for) or _("any lead")
    turn = (
        (_("%(person)s is next of %(of)s") if tried else _("%(person)s was next of %(of)s"))
        % {"person": person, "of": of}
        if of > 1
        else _("all of these go to %(person)s") % {"person": person}
    )
    said = _(REASON) % {"rule": rule, "what": what, "turn": turn}
    return said if len(said) <= LONGEST_REASON else f"{said[: LONGEST_REASON - 1]}…"


def is_a_rules(because: str) -> bool:
    """Whether such a reason is a rule's, and no colleague's."""
    with override(settings.LANGUAGE_CODE):  # in which the worker writes it, whoever reads it
        written = _(REASON)
    # The worker may have written it in English, before the installation spoke another language.
    begins = {text.partition("%(rule)s")[0] for text in (written, REASON)}
    return because.startswith(tuple(begins - {""}))


# --- Rules ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Rule:
    """An enabled rule with the people who are there, by id, and who had the last turn."""

    row: AssignmentRule
    conditions: Conditions
    people: Sequence[AbstractBaseUser]

    def takes(self, lead: Lead) -> bool:
        return self.conditions.take(lead.offer_id, lead.tidy_country, lead.action)

    def taken_for(self, lead: Lead) -> list[str]:
        """What of the lead the rule looks at, in words: "Contoso Backup", "Portugal", "Contact me"."""
        found = []
        if self.conditions.offers:
            found.append(lead.offer.title)
        if self.conditions.countries:
            found.append(country_in_words(lead.tidy_country) or lead.tidy_country)
        if self.conditions.actions:
            found.append(action_in_words(lead.action))
        return found

    @property
    def next_person(self) -> AbstractBaseUser:
        return self.people[next_in_turn([person.pk for person in self.people], self.row.last_person_id)]

    def because(self, lead: Lead, *, tried: bool = False) -> str:
        person = name_of(self.next_person)
        return because(self.row.name, self.taken_for(lead), person, len(self.people), tried=tried)


def with_people(rows: Iterable[AssignmentRule]) -> list[Rule]:
    """These rules as they decide now. One whose people have all left takes nothing: the next one is asked."""
    found = []
    for row in rows:
        people = sorted(
            (person for person in row.people.all() if person.is_active and person.is_staff),
            key=lambda person: person.pk,
        )
        offers = frozenset(offer.pk for offer in row.offers.all())
        conditions = Conditions(offers, frozenset(row.countries), frozenset(row.actions))
        found.append(Rule(row, conditions, people))
    return found


def current() -> list[Rule]:
    """The enabled rules in the order in which they are asked."""
    return with_people(AssignmentRule.objects.filter(enabled=True).prefetch_related("offers", "people"))


def first_that_takes(rules: Iterable[Rule], lead: Lead) -> Rule | None:
    return next((rule for rule in rules if rule.people and rule.takes(lead)), None)


# --- Assigning -----------------------------------------------------------------------------------------------


# Asked for every batch of leads, and most installations have none.
_enabled = Prepared(lambda: AssignmentRule.objects.filter(enabled=True).only("pk"))


def assign(leads: Sequence[Lead], now: datetime) -> None:
    """Give each of these leads that nobody owns to somebody, in the caller's transaction, which has locked them."""
    wanted = [lead for lead in leads if lead.owner_id is None and wants_answer(lead)]
    if not wanted or not _enabled():
        return
    # Every rule, always in one order: two workers never wait for each other, and nobody has two turns at once.
    locked = AssignmentRule.objects.filter(enabled=True).order_by("pk").select_for_update(no_key=True)
    rules = with_people(
        sorted(locked.prefetch_related("offers", "people"), key=lambda row: (row.position, row.pk))
    )
    # Read again under the lock: a colleague may have taken one since.
    free = set(
        Lead.objects.filter(pk__in=[lead.pk for lead in wanted], owner=None).values_list("pk", flat=True)
    )
    given = []
    for lead in wanted:
        rule = first_that_takes(rules, lead) if lead.pk in free else None
        if rule is not None:
            lead.assigned_because = rule.because(lead)
            lead.owner_id = rule.row.last_person_id = rule.next_person.pk
            given.append((lead, rule))
    statements.update([lead for lead, _rule in given], ("owner", "assigned_because"))
    for row in {rule.row.pk: rule.row for _lead, rule in given}.values():
        row.save(update_fields=["last_person"])
