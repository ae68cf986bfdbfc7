"""The SQL of the moment a lead comes in, written out: Django's compiler costs more there than the database does.

The columns and their values still come from the models, so that a new field needs no word here.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from django.db import connection, models

from leads.models import Endpoint, Lead, Offer, Submission

_FIND_ENDPOINT = """
    SELECT e.id, o.id, o.always_acknowledge, o.schema
    FROM leads_endpoint e JOIN leads_offer o ON o.id = e.offer_id
    WHERE e.key_digest = %s AND e.revoked_at IS NULL AND (e.expires_at IS NULL OR e.expires_at > %s)
"""
_FIND_COPY = """
    SELECT 1 FROM leads_submission WHERE endpoint_id = %s AND body_digest = %s AND received_at > %s LIMIT 1
"""


Statement = tuple[str, list[Any]]


def insertion(submission: Submission, lead: Lead | None) -> list[Statement]:
    """What writes a submission and its lead: one statement where the database can.

    Made before the transaction begins, so that nobody waits for it.
    """
    first, first_values = _insert(submission)
    if lead is None:
        return [(first, first_values)]
    second, second_values = _insert(lead)
    if connection.vendor == "postgresql":
        return [(f"WITH submission AS ({first}) {second}", first_values + second_values)]
    return [(first, first_values), (second, second_values)]


def run(statements: Sequence[Statement]) -> None:
    """Run them, in the caller's transaction."""
    with connection.cursor() as cursor:
        for sql, values in statements:
            cursor.execute(sql, values)


def endpoint_by_digest(digest: str, now: datetime) -> Endpoint | None:
    """The endpoint of a key, neither revoked nor expired, with what intake needs of its offer.

    Every other field of the two is loaded when somebody asks for it.
    """
    with connection.cursor() as cursor:
        cursor.execute(_FIND_ENDPOINT, [digest, _moment(now)])
        row = cursor.fetchone()
    if row is None:
        return None
    endpoint_id, offer_id, always_acknowledge, schema = row
    endpoint = Endpoint.from_db(connection.alias, ["id", "offer_id"], [endpoint_id, offer_id])
    endpoint.offer = Offer.from_db(
        connection.alias,
        ["id", "always_acknowledge", "schema"],
        [offer_id, bool(always_acknowledge), schema and json.loads(schema)],
    )
    return endpoint


def has_copy(endpoint: Endpoint, digest: str, since: datetime) -> bool:
    """Whether the endpoint got a body of that digest after a moment."""
    with connection.cursor() as cursor:
        cursor.execute(_FIND_COPY, [endpoint.pk, digest, _moment(since)])
        return cursor.fetchone() is not None


def _moment(value: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(value)


def _insert(row: models.Model) -> Statement:
    sql, plain, prepared = _insert_sql(type(row))
    values = [getattr(row, name) for name in plain]
    return sql, values + [
        field.get_db_prep_save(getattr(row, field.attname), connection) for field in prepared
    ]


# What these hold goes into the database as it is; asking each field again costs as much as a query.
_PLAIN = (models.CharField, models.TextField, models.BooleanField, models.PositiveIntegerField)


@cache
def _insert_sql(model: type[models.Model]) -> tuple[str, Sequence[str], Sequence[Any]]:
    plain = [field for field in model._meta.concrete_fields if type(field) in _PLAIN]
    prepared = [field for field in model._meta.concrete_fields if type(field) not in _PLAIN]
    columns = ", ".join(f'"{field.column}"' for field in (*plain, *prepared))
    places = ", ".join(["%s"] * (len(plain) + len(prepared)))
    sql = f'INSERT INTO "{model._meta.db_table}" ({columns}) VALUES ({places})'  # noqa: S608  our own names
    return sql, [field.attname for field in plain], prepared
