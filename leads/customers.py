"""Customers: leads of the same person or company, across offers, under one roof, each with the reason it is there.

A lead's customer is the one that its e-mail leads to, else its company and phone together, else a new one. What it is
recognised by then leads to that customer too, unless it already leads to another.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction
from django.db.models import Max, QuerySet
from django.utils.translation import ngettext

from leads import statements
from leads.models import Customer, CustomerKey, Lead

Key = tuple[str, str]  # its kind and its value

RECOGNISED_BY = ("tidy_email", "tidy_phone", "company")
SHOWN = ("name", "email", "company", "phone")
LONGEST_SHOWN = 200  # characters of what a stranger calls himself
_LONGEST_COMPANY = 1_000  # characters of it that are looked at
_LONGEST_VALUE = 400  # as the column is
TRIES = 5
# The leads of a customer are asked for the latest of them only if this one is older: worker and importer handle leads
# in the order of time, and somebody's ten thousandth lead must not cost more than the second.
FRESH = timedelta(hours=1)
RECENT = 200  # leads of a customer, at most, that are read to say what it is called

# Written out: for the one lead that somebody waits for, Django's compiler would cost ten times what the database does.
_FIND_KEYS = """
    SELECT k.kind, k.value, c.id, c.name, c.email, c.company, c.phone
    FROM leads_customerkey k JOIN leads_customer c ON c.id = k.customer_id
    WHERE k.kind IN ('email', 'company_phone') AND k.value IN ({})
"""
_INSERT_KEYS = "INSERT INTO leads_customerkey (kind, value, customer_id) VALUES {} ON CONFLICT DO NOTHING"


class NothingToSplitError(Exception):
    """The leads are not the customer's, or all that it has."""


def group(leads: Sequence[Lead], now: datetime) -> None:
    """Find or make the customer of each lead that can have one and has none. Call it in a transaction.

    Customers and their keys are saved. On the leads `customer` and `grouped_by` are set; saving them is left to the
    caller, who has other columns to write. Microsoft's tests, samples and leads that were split off stay as they are.
    """
    waiting = [
        (lead, found)
        for lead in sorted(leads, key=lambda lead: (lead.received_at, lead.pk))
        if _wants_customer(lead) and (found := keys(lead))
    ]
    wanted = {key for _, found in waiting for key in found}
    for _ in range(TRIES if waiting else 0):
        plan = _plan(waiting, _owners(wanted), now)
        if _carried_out(plan, now):
            for lead, customer, reason in plan.places:
                lead.customer, lead.grouped_by = customer, reason
            return
    if waiting:
        raise RuntimeError(f"Other workers took keys of these leads {TRIES} times in a row")


def keys(lead: Lead) -> list[Key]:
    """What the lead's customer is recognised by, the surest first. Needs its tidied fields."""
    found = []
    if lead.tidy_email:
        found.append((CustomerKey.Kind.EMAIL.value, lead.tidy_email.casefold()[:_LONGEST_VALUE]))
    company = " ".join(lead.company[:_LONGEST_COMPANY].casefold().split())
    if company and lead.tidy_phone:
        value = f"{lead.tidy_phone} {company}"[:_LONGEST_VALUE]
        found.append((CustomerKey.Kind.COMPANY_PHONE.value, value))
    return found


def _wants_customer(lead: Lead) -> bool:
    if lead.is_test or lead.is_sample:
        return False
    return lead.customer_id is None and lead.grouped_by != Lead.GroupedBy.SPLIT


@dataclass(slots=True)
class _Plan:
    """Where each lead goes and why, and the keys that nobody had. A customer without an id is still to be made."""

    places: list[tuple[Lead, Customer, str]] = field(default_factory=list)
    keys: dict[Key, Customer] = field(default_factory=dict)


def _owners(wanted: Collection[Key]) -> dict[Key, Customer]:
    """Which of these keys lead to whom."""
    sql = _FIND_KEYS.format(", ".join(["%s"] * len(wanted)))
    with connection.cursor() as cursor:
        cursor.execute(sql, [value for _, value in wanted])
        rows = cursor.fetchall()
    customers: dict[int, Customer] = {}  # one object for each, whichever of its keys led there
    for _, _, *said in rows:
        customers.setdefault(said[0], Customer.from_db(connection.alias, ["id", *SHOWN], said))
    return {(kind, value): customers[customer_id] for kind, value, customer_id, *_ in rows}


def _plan(waiting: Iterable[tuple[Lead, list[Key]]], owners: Mapping[Key, Customer], now: datetime) -> _Plan:
    plan, owners = _Plan(), dict(owners)
    for lead, found in waiting:
        known = next((key for key in found if key in owners), None)
        customer = owners[known] if known else Customer(created_at=now)
        plan.places.append((lead, customer, known[0] if known else ""))
        for key in found:
            if key not in owners:
                owners[key] = plan.keys[key] = customer
    return plan


def _carried_out(plan: _Plan, now: datetime) -> bool:
    """Save what was planned; False, and nothing made, where another worker was faster with one of the keys."""
    changed = _show(plan.places, now)
    made = [customer for _, customer, reason in plan.places if not reason]
    Customer.objects.bulk_create(made)
    if not _insert(plan.keys):
        Customer.objects.filter(pk__in=[customer.pk for customer in made]).delete()
        return False
    statements.update(sorted(changed, key=lambda customer: customer.pk), SHOWN)
    return True


def _insert(new: Mapping[Key, Customer]) -> bool:
    """Insert the keys that nobody has; False if somebody has one by now.

    Sorted: two workers with the same keys wait for each other once, not for ever.
    """
    if not new:
        return True
    rows = [
        (kind, value, customer.pk)
        for (kind, value), customer in sorted(new.items(), key=lambda item: item[0])
    ]
    with connection.cursor() as cursor:
        places = ", ".join(["(%s, %s, %s)"] * len(rows))
        cursor.execute(_INSERT_KEYS.format(places), [value for row in rows for value in row])
        return cursor.rowcount == len(rows)


# What a customer is called


def _show(places: Sequence[tuple[Lead, Customer, str]], now: datetime) -> list[Customer]:
    """Give each customer the name, e-mail, company and phone of its latest lead that has them.

    Returns those that are in the database already and differ from it now.
    """
    old = {customer.pk for lead, customer, _ in places if customer.pk and now - lead.received_at > FRESH}
    latest: dict[Any, datetime] = (
        dict(Lead.objects.filter(customer__in=old).values_list("customer").annotate(Max("received_at")))
        if old
        else {}
    )
    changed: dict[int, Customer] = {}
    for lead, customer, _ in places:
        is_latest = latest.get(customer.pk, lead.received_at) <= lead.received_at
        if _take_over(customer, lead, replace=is_latest) and customer.pk:
            changed[customer.pk] = customer
    return list(changed.values())


def _take_over(customer: Customer, lead: Lead, *, replace: bool) -> bool:
    """Show what the lead says, or without `replace` only what nothing is known of yet. Returns whether that is new."""
    said = {
        "name": lead.full_name,
        "email": lead.tidy_email or lead.email,
        "company": lead.company,
        "phone": lead.tidy_phone or lead.phone,
    }
    new = {
        name: clipped
        for name, value in said.items()
        if (clipped := value[:LONGEST_SHOWN].strip())
        and clipped != getattr(customer, name)
        and (replace or not getattr(customer, name))
    }
    for name, value in new.items():
        setattr(customer, name, value)
    return bool(new)


def _show_again(customer: Customer) -> None:
    """Look anew at the customer's leads, the latest first, for what it is called."""
    for name in SHOWN:
        setattr(customer, name, "")
    read = ("first_name", "last_name", "email", "tidy_email", "company", "phone", "tidy_phone")
    for lead in customer.leads.only(*read).order_by("-received_at", "-id")[:RECENT]:
        _take_over(customer, lead, replace=False)
    customer.save(update_fields=SHOWN)


# Splitting


def split(customer: Customer, leads: Iterable[Lead], by: Any, now: datetime) -> Customer:
    """Move leads that are somebody else's to a new customer, for good: no worker groups them again.

    What only they are recognised by moves along, so that later leads follow them. Raises NothingToSplitError for leads
    that are not the customer's, or all it has.
    """
    with transaction.atomic():
        # No key: a worker that gives this customer a lead meanwhile need not wait.
        customer = Customer.objects.select_for_update(no_key=True).get(pk=customer.pk)
        chosen = customer.leads.filter(pk__in=[lead.pk for lead in leads])
        moving = list(chosen.only("customer", *RECOGNISED_BY))
        moving_ids = [lead.pk for lead in moving]
        staying = customer.leads.exclude(pk__in=moving_ids)
        if not moving or not staying.exists():
            raise NothingToSplitError
        other = Customer.objects.create(created_at=now)
        _move_keys(customer, other, moving, staying)
        Lead.objects.filter(pk__in=moving_ids).update(customer=other, grouped_by=Lead.GroupedBy.SPLIT)
        _show_again(customer)
        _show_again(other)
        many = len(moving)
        gave = ngettext(
            "Split off %(number)s lead, now of customer %(other)s",
            "Split off %(number)s leads, now of customer %(other)s",
            many,
        )
        got = ngettext(
            "Made from %(number)s lead of customer %(other)s",
            "Made from %(number)s leads of customer %(other)s",
            many,
        )
        _log(by, customer, gave % {"number": many, "other": other.pk}, now)
        _log(by, other, got % {"number": many, "other": customer.pk}, now)
    return other


def _move_keys(customer: Customer, other: Customer, moving: Iterable[Lead], staying: QuerySet[Lead]) -> None:
    gone = {key for lead in moving for key in keys(lead)}
    kept = staying.only("customer", *RECOGNISED_BY).iterator(chunk_size=1000)
    gone.difference_update(key for lead in kept for key in keys(lead))
    for kind, value in sorted(gone):
        CustomerKey.objects.filter(customer=customer, kind=kind, value=value).update(customer=other)


def _log(by: Any, customer: Customer, message: str, now: datetime) -> None:
    LogEntry.objects.create(
        user_id=by.pk,
        content_type=ContentType.objects.get_for_model(Customer),
        object_id=str(customer.pk),
        object_repr=str(customer)[:200],
        action_flag=CHANGE,
        change_message=message,
        action_time=now,
    )
