"""The SQL of the moment a lead comes in, written out: Django's compiler costs more there than the database does."""

import json
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from enum import Enum
from functools import cache
from hashlib import sha256
from typing import Any

from django.db import connection, models, transaction

from leads.models import Endpoint, Lead, Offer, Submission
from leads.statements import Statement, as_json, insertion

_FIND_ENDPOINT = """
    SELECT e.id, e.expires_at, e.revoked_at, o.id, o.always_acknowledge, o.schema
    FROM leads_endpoint e JOIN leads_offer o ON o.id = e.offer_id
    WHERE e.key_digest = %s
"""
# Whether an endpoint still takes leads, and its offer still has them read as when it was looked up (SQLite).
_UNCHANGED = """
    SELECT 1 FROM leads_endpoint e JOIN leads_offer o ON o.id = e.offer_id
    WHERE e.id = %s AND e.revoked_at IS NULL AND (e.expires_at IS NULL OR e.expires_at > %s)
    AND o.always_acknowledge = %s AND o.schema IS %s
"""
_COPY = "SELECT 1 FROM leads_submission WHERE endpoint_id = %s AND body_digest = %s AND received_at > %s"
_TAKE_IN = "SELECT leads_take_in(%s::jsonb, %s, %s::jsonb, %s::bigint, %s, %s, %s::jsonb, %s)"
_LOCK = "SELECT pg_advisory_xact_lock(%s)"


class Written(Enum):
    """What became of a submission that was to be written."""

    STORED = "stored"
    REPEATED = "repeated"  # a copy is there already, nothing was written
    CHANGED = "changed"  # the endpoint is not as it was looked up, nothing was written


def endpoint_by_digest(digest: str) -> Endpoint | None:
    """The endpoint of a key, open or closed, with what intake needs of it and its offer.

    Every other field of the two is loaded when somebody asks for it.
    """
    with connection.cursor() as cursor:
        cursor.execute(_FIND_ENDPOINT, [digest])
        row = cursor.fetchone()
    if row is None:
        return None
    endpoint_id, expires_at, revoked_at, offer_id, always_acknowledge, schema = row
    endpoint = Endpoint.from_db(
        connection.alias,
        ["id", "offer_id", "expires_at", "revoked_at"],  # in the order of the model, which from_db relies on
        [endpoint_id, offer_id, _as_datetime(expires_at), _as_datetime(revoked_at)],
    )
    endpoint.offer = Offer.from_db(
        connection.alias,
        ["id", "always_acknowledge", "schema"],
        [offer_id, bool(always_acknowledge), schema and json.loads(schema)],
    )
    return endpoint


def write(submission: Submission, lead: Lead | None) -> None:
    """Write a submission and its lead, whatever else is there."""
    with transaction.atomic(), connection.cursor() as cursor:
        for sql, values in _insertion(submission, lead):
            cursor.execute(sql, values)


def write_once(
    submission: Submission, lead: Lead | None, *, since: datetime, only_if_unchanged: bool = False
) -> Written:
    """Write a submission and its lead, unless its endpoint got the same body after `since`.

    A sliding window is no unique constraint: copies of one body at one endpoint pass one after the other, also on
    different processes. `only_if_unchanged`: nor if the endpoint was closed, or its offer's schema changed, since
    it was looked up.
    """
    if connection.vendor == "postgresql":
        return _take_in(submission, lead, since, only_if_unchanged=only_if_unchanged)
    checks = _checks(submission, since) if only_if_unchanged else _copied(submission, since)
    statements = _insertion(submission, lead)
    return _group.run(lambda: _check_and_write(checks, statements))


def lock_copies(endpoint_id: int, digest: str) -> None:
    """Let nobody else write that body at that endpoint until the transaction ends.

    SQLite's IMMEDIATE transactions take turns by themselves.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(_LOCK, [_lock_number(endpoint_id, digest)])


# PostgreSQL


def _take_in(
    submission: Submission, lead: Lead | None, since: datetime, *, only_if_unchanged: bool
) -> Written:
    """Lock, check and write in one call, see migration 0004: each further trip costs a fifth of the whole lead."""
    offer, body = submission.offer, submission.body
    values: list[Any] = [
        _rowas_json(submission, without="body"),
        body,
        None if lead is None else _rowas_json(lead),
        _lock_number(submission.endpoint_id, submission.body_digest),
        since,
        only_if_unchanged,
        json.dumps(offer.schema) if only_if_unchanged and offer.schema is not None else None,
        offer.always_acknowledge if only_if_unchanged else None,
    ]
    with connection.cursor() as cursor:
        cursor.execute(_TAKE_IN, values)
        return Written(cursor.fetchone()[0])


def _rowas_json(row: models.Model, without: str = "") -> str:
    """What `jsonb_populate_record` makes the row of again."""
    values = {column: getattr(row, name) for name, column in _named_columns(type(row)) if name != without}
    return as_json(values)


@cache
def _named_columns(model: type[models.Model]) -> Sequence[tuple[str, str]]:
    return [(field.attname, str(field.column)) for field in model._meta.concrete_fields]


def _lock_number(endpoint_id: int | None, digest: str) -> int:
    return int.from_bytes(sha256(f"{endpoint_id}:{digest}".encode()).digest()[:8], "big", signed=True)


# SQLite


def _checks(submission: Submission, since: datetime) -> Statement:
    """Whether the endpoint is as it was looked up, and whether it has a copy."""
    offer = submission.offer
    schema = offer.schema if offer.schema is None else json.dumps(offer.schema)
    sql, values = _copied(submission, since)
    unchanged = [submission.endpoint_id, _moment(submission.received_at), offer.always_acknowledge, schema]
    return sql.replace("SELECT 1,", f"SELECT EXISTS ({_UNCHANGED}),"), unchanged + values


def _copied(submission: Submission, since: datetime) -> Statement:
    values = [submission.endpoint_id, submission.body_digest, _moment(since)]
    return f"SELECT 1, EXISTS ({_COPY})", values


def _check_and_write(checks: Statement, statements: Sequence[Statement]) -> Written:
    with connection.cursor() as cursor:
        cursor.execute(*checks)
        unchanged, copied = cursor.fetchone()
        if not unchanged:
            return Written.CHANGED
        if copied:
            return Written.REPEATED
        for sql, values in statements:
            cursor.execute(sql, values)
    return Written.STORED


class _Ticket:
    """Some work that waits for its transaction."""

    def __init__(self, work: Callable[[], Written]) -> None:
        self.work = work
        self.result: Written | None = None
        self.error: BaseException | None = None


class _Group:
    """Lets the threads of a process share transactions: what waits while one commits goes into the next together.

    SQLite writes one transaction at a time, and each costs a write to the disk that nothing can hurry.
    """

    def __init__(self) -> None:
        self._waiting: list[_Ticket] = []
        self._queueing, self._leading = threading.Lock(), threading.Lock()

    def run(self, work: Callable[[], Written]) -> Written:
        """Do the work in a transaction, which may be shared. Raises what it raises; then nothing of it is written."""
        ticket = _Ticket(work)
        with self._queueing:
            self._waiting.append(ticket)
        with self._leading:
            if ticket.result is None and ticket.error is None:
                self._lead()
        if ticket.error is not None:
            raise ticket.error
        assert ticket.result is not None  # noqa: S101  one of the two is there once the ticket was taken
        return ticket.result

    def _lead(self) -> None:
        """Take everybody who waits, with this thread's connection."""
        taken: list[_Ticket] = []
        try:
            with transaction.atomic():  # who comes while it waits for its turn is taken along
                taken = self._take_all()
                results = [ticket.work() for ticket in taken]
        except BaseException as error:
            if len(taken) < 2:
                for ticket in taken or self._take_all():
                    ticket.error = error
                return
            for ticket in taken:  # one of them is at fault: each by itself
                self._alone(ticket)
        else:
            for ticket, result in zip(taken, results, strict=True):
                ticket.result = result

    def _take_all(self) -> list[_Ticket]:
        with self._queueing:
            taken, self._waiting = self._waiting, []
        return taken

    @staticmethod
    def _alone(ticket: _Ticket) -> None:
        try:
            with transaction.atomic():
                result = ticket.work()
        except BaseException as error:
            ticket.error = error
        else:
            ticket.result = result


_group = _Group()


# Both


def _moment(value: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(value)


def _as_datetime(value: Any) -> datetime | None:
    """Of what a raw query selects, SQLite's driver knows no time zone."""
    if value is not None and connection.vendor == "sqlite":
        value = connection.ops.convert_datetimefield_value(value, None, connection)  # type: ignore[attr-defined]
    return value


def _insertion(submission: Submission, lead: Lead | None) -> list[Statement]:
    """What writes a submission and its lead. Made before a transaction begins, so that nobody waits for it."""
    return [insertion(row) for row in (submission, lead) if row is not None]
