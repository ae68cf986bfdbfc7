"""Fills a database with leads by the million, as routing, the worker and a busy team leave them.

    DATABASE_URL=postgres://... python -m tests.benchmarks.fill --leads 1000000

on a migrated database: offers, customers, requests (some in quarantine), leads with their texts, sendings. The same
number makes the same rows, but that they end now: no chance is in it but that of a seed.
"""

import argparse
import json
import os
import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

from tests.benchmarks.people import CITIES, COMPANIES, FIRST_NAMES, LAST_NAMES, SENTENCES, TITLES

BATCH = 20_000
DAYS = 1000
OFFERS = 40
QUARANTINED = 300  # one in so many requests could not be read
COUNTRIES = [
    ("US", 40),
    ("DE", 14),
    ("GB", 12),
    ("FR", 9),
    ("IN", 8),
    ("BR", 6),
    ("JP", 5),
    ("NO", 0.5),
    ("IS", 0.02),
]
ACTIONS = [("INS", 50), ("PLT", 25), ("StartTestDrive", 15), ("Create", 7), ("DNC", 1), ("XYZ", 0.05)]
SOURCES = {"INS": "AzureMarketplace", "PLT": "SPZA", "StartTestDrive": "TestDrive", "Create": "AzurePortal"}
STATUSES = [("closed", 60), ("qualified", 12), ("working", 3), ("new", 25)]
SENDINGS = [
    ("delivered", 88),
    ("rejected", 0.7),
    ("held", 0.3),
    ("waiting", 0.2),
    ("cancelled", 0.8),
    ("", 10),
]
# Words of the texts whose searches are measured: every lead, one in a hundred, those of two weeks two years ago, one.
EVERYWHERE, FREQUENT, CLUMPED = "contoso", "pharmacovigilance", "hannover-expo"


def rare(leads: int) -> str:
    """What one lead of so many says."""
    return f"unmistakable{leads // 3}"


class Filler:
    """Rows by number, for both databases alike: what drivers would make of ids, times and JSON is made here."""

    def __init__(self, leads: int, offers: Sequence[Any], route: Any, users: Sequence[int]) -> None:
        self.leads, self.offers, self.route, self.users = leads, offers, route, users
        self.chance = random.Random(7)
        self.end = datetime.now(UTC)
        self.customers = max(1, leads * 7 // 10)

    def rows(self, numbers: Iterable[int]) -> Iterator[dict[str, dict[str, Any]]]:
        """What comes with each number: rows by table."""
        for number in numbers:
            yield self._unreadable(number) if number % QUARANTINED == 1 else self._lead(number)

    def at(self, number: int) -> datetime:
        return self.end - timedelta(days=DAYS) * ((self.leads - number) / self.leads)

    def _unreadable(self, number: int) -> dict[str, dict[str, Any]]:
        body = '{"UserDetails": {"FirstName": "Jane"\n "Email": "jane@contoso.example"}}'
        problem = [{"pointer": "", "line": 2, "column": 2, "message": 'A comma is missing before "Email".'}]
        request = self._request(number, self.chance.choice(self.offers), body)
        # Nearly all of them were dealt with.
        verdict = (
            "quarantined" if number > self.leads * 0.99 else self.chance.choice(["discarded", "released"])
        )
        return {
            "leads_submission": request
            | {"verdict": verdict, "reason": "not_json", "problems": json.dumps(problem)}
        }

    def _lead(self, number: int) -> dict[str, dict[str, Any]]:
        chance = self.chance
        offer = self.offers[min(int(chance.expovariate(0.2)), len(self.offers) - 1)]
        # The same person comes again with the same name.
        customer = (
            chance.randrange(number % self.customers + 1)
            if chance.random() < 0.3
            else number % self.customers
        )
        person = self._person(customer)
        action = picked(chance, ACTIONS)
        source = SOURCES.get(action, "SPZA")
        age = self.leads - number
        description = " ".join(chance.sample(SENTENCES, 3))
        if chance.random() < 0.01:
            description += f" It is about {FREQUENT}."
        if 720 < age * DAYS / self.leads < 734:
            description += f" We met at {CLUMPED}."
        if number == self.leads // 3 + (self.leads // 3 % QUARANTINED == 1):
            description += f" {rare(self.leads)}"
        details = {
            "FirstName": person["first_name"],
            "LastName": person["last_name"],
            "Email": person["email"],
            "Phone": person["phone"],
            "Country": person["country"],
            "Company": person["company"],
            "Title": person["title"],
        }
        said = {
            "LeadSource": f"{source}-{action}|{offer.publisher_id}.{offer.offer_id}",
            "ActionCode": action,
            "OfferTitle": offer.title,
            "Description": description,
        }
        body = json.dumps({"UserDetails": details} | said, indent=1)
        request = self._request(number, offer, body)
        lead = person | {
            "id": request["id"],
            "submission_id": request["id"],
            "offer_id": offer.pk,
            "received_at": request["received_at"],
            "lead_source": said["LeadSource"],
            "source": source,
            "action": action,
            "offer_title": offer.title,
            "sent_publisher_id": offer.publisher_id,
            "sent_offer_id": offer.offer_id,
            "description": description,
            "is_test": chance.random() < 0.002,
            "routed_at": request["received_at"],
            "customer_id": customer + 1,
            "grouped_by": "",
            # The team is a week behind with what it works on.
            "status": "new" if age * DAYS / self.leads < 7 else picked(chance, STATUSES),
            "owner_id": chance.choice(self.users) if chance.random() < 0.4 else None,
        }
        rows = {"leads_submission": request, "leads_lead": lead, "leads_leadtext": _text(lead, body)}
        if state := picked(chance, SENDINGS):
            rows["crm_sync_delivery"] = self._sending(number, lead, state)
        return rows

    def _request(self, number: int, offer: Any, body: str) -> dict[str, Any]:
        at = self.at(number)
        return {
            "id": f"{int(at.timestamp() * 1000):012x}7000{0x8000000000000000 | number:016x}",
            "offer_id": offer.pk,
            "endpoint_id": offer.endpoint_id,
            "received_at": moment(at),
            "remote_addr": "203.0.113.7",
            "headers": '{"User-Agent": "fill"}',
            "content_type": "application/json",
            "body": body.encode(),
            "body_digest": f"{number:064x}",
        }

    def _person(self, number: int) -> dict[str, Any]:
        of = random.Random(number)
        first, last = of.choice(FIRST_NAMES), of.choice(LAST_NAMES)
        company = f"{of.choice(COMPANIES)} {of.choice(CITIES)}"
        host = company.replace(" ", "-").lower()
        country, digits = picked(of, COUNTRIES), f"{of.randrange(10**7):07d}"
        email = f"{first}.{last}.{number}@{host}.example".lower()
        return {
            "first_name": first,
            "last_name": last,
            "email": email,
            "phone": f"+1 425 {digits[:3]} {digits[3:]}",
            "company": company,
            "title": of.choice(TITLES),
            "country": country,
            "tidy_email": email,
            "tidy_phone": f"+1425{digits}",
            "tidy_country": country,
        }

    def customer(self, number: int) -> dict[str, Any]:
        person = self._person(number)
        name = f"{person['first_name']} {person['last_name']}"
        said = {
            "name": name,
            "email": person["email"],
            "company": person["company"],
            "phone": person["tidy_phone"],
        }
        return said | {"id": number + 1, "created_at": moment(self.at(number))}

    def _sending(self, number: int, lead: dict[str, Any], state: str) -> dict[str, Any]:
        at, settled = lead["received_at"], state in ("delivered", "rejected", "cancelled")
        reason = "The CRM refused the e-mail address." if state == "rejected" else ""
        return {
            "lead_id": lead["id"],
            "route_id": self.route[lead["offer_id"]].pk,
            "destination_id": self.route[lead["offer_id"]].destination_id,
            "state": state,
            "held_reason": "approval" if state == "held" else "",
            # What waits is not due while the benchmark lasts.
            "due_at": moment(self.end + timedelta(days=30)) if state == "waiting" else at,
            "tries": 1,
            "reason": reason,
            "reason_group": reason,
            "remote_id": str(number) if state == "delivered" else "",
            "created_at": at,
            "settled_at": at if settled else None,
        }


def _text(lead: dict[str, Any], body: str) -> dict[str, Any]:
    """As leads.searchable makes it: a test holds it to that."""
    digits = "".join(filter(str.isdigit, lead["phone"]))
    text = "\n".join([body, lead["tidy_phone"], digits]).casefold()
    return {"lead_id": lead["id"], "text": text}


def picked(chance: random.Random, weighted: Sequence[tuple[str, float]]) -> str:
    values, weights = zip(*weighted, strict=True)
    return chance.choices(values, weights)[0]


def moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S.%f}"


# --- Writing -------------------------------------------------------------------------------------------------


def fill(leads: int) -> None:
    """Put that many requests, and what came of them, into the database of the settings."""
    from django.db import connection, transaction

    write = _copy if connection.vendor == "postgresql" else _insert
    with transaction.atomic(), connection.cursor() as cursor:
        filler = Filler(leads, *_what_they_refer_to())
        for statement in BEFORE[connection.vendor]:
            cursor.execute(statement)
        for first in range(0, filler.customers, BATCH):
            numbers = range(first, min(first + BATCH, filler.customers))
            write(cursor, "leads_customer", map(filler.customer, numbers))
        for first in range(1, leads + 1, BATCH):
            found = list(filler.rows(range(first, min(first + BATCH, leads + 1))))
            for table in ("leads_submission", "leads_lead", "leads_leadtext", "crm_sync_delivery"):
                write(cursor, table, (rows[table] for rows in found if table in rows))
        for statement in AFTER[connection.vendor]:
            cursor.execute(statement)
    with connection.cursor() as cursor:
        cursor.execute(
            "VACUUM ANALYZE" if connection.vendor == "postgresql" else "PRAGMA wal_checkpoint(TRUNCATE)"
        )


_search = import_module("leads.migrations.0008_search")
# An index made at once takes a tenth of the time, and what refers to what need not be asked four million times.
BEFORE = {
    "postgresql": ["SET LOCAL session_replication_role = replica", "DROP INDEX leads_leadtext_trigrams"],
    "sqlite": ["DROP TRIGGER leads_leadtext_inserted"],
}
AFTER = {
    "postgresql": [
        _search.INDEX,
        "SELECT setval(pg_get_serial_sequence('leads_customer', 'id'), max(id)) FROM leads_customer",
    ],
    "sqlite": [
        "INSERT INTO leads_leadtext_fts(leads_leadtext_fts) VALUES ('rebuild')",
        _search.INSERTED,
    ],
}


def _what_they_refer_to() -> tuple[list[Any], dict[int, Any], list[int]]:
    """Offers with an endpoint, their routes by offer, and colleagues."""
    from django.contrib.auth.models import User

    from crm_sync.models import Destination, Route
    from leads.models import Endpoint, Offer

    destination = Destination.objects.create(name="Filled CRM", connector="demo")
    offers: list[Any] = []
    for number in range(OFFERS):
        offer: Any = Offer.objects.create(
            publisher_id="contoso", offer_id=f"filled-{number}", title=f"Contoso {COMPANIES[number]} Cloud"
        )
        offer.endpoint_id = Endpoint.make(offer).pk
        offers.append(offer)
    routes = {offer.pk: Route.objects.create(offer=offer, destination=destination) for offer in offers}
    users = [
        User.objects.get_or_create(username=f"filled-{number}", is_staff=True)[0].pk for number in range(8)
    ]
    return offers, routes, users


def _columns(table: str) -> tuple[list[str], list[Any]]:
    """The columns of a table, and what stands in each unless a row says otherwise."""
    from django.apps import apps

    (model,) = (model for model in apps.get_models() if model._meta.db_table == table)
    fields = [
        field
        for field in model._meta.concrete_fields
        if not (field.primary_key and field.has_default() is False)
    ]
    if table == "leads_customer":
        fields = list(model._meta.concrete_fields)
    defaults = [_plain(field.get_default()) for field in fields]
    return [str(field.column) for field in fields], defaults


def _plain(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict | list) else value


def _values(table: str, rows: Iterable[dict[str, Any]]) -> tuple[list[str], Iterator[list[Any]]]:
    columns, defaults = _columns(table)
    together = list(zip(columns, defaults, strict=True))
    return columns, ([row.get(column, default) for column, default in together] for row in rows)


def _copy(cursor: Any, table: str, rows: Iterable[dict[str, Any]]) -> None:
    columns, values = _values(table, rows)
    with cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
        for row in values:
            copy.write_row(row)


def _insert(cursor: Any, table: str, rows: Iterable[dict[str, Any]]) -> None:
    columns, values = _values(table, rows)
    places = ", ".join(["%s"] * len(columns))
    cursor.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})", values)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--leads", type=int, required=True)
    asked = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leadsite.settings")
    import django

    django.setup()
    fill(asked.leads)


if __name__ == "__main__":
    main()
