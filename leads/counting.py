"""How many rows there are, as far as that can be told at once.

A list says "50+" rather than let somebody wait for a number: rare rows among a million take a second to count.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.models import QuerySet

MOST = 10_000  # above it nobody cares how many
PATIENCE = 0.04  # seconds that the number may cost
_STEPS = 1_000  # of SQLite's machine, between two looks at the clock


class Count(int):
    """A number that says of itself whether there are more: "10,000+"."""

    and_more = False

    @classmethod
    def at_least(cls, number: int) -> "Count":
        count = cls(number)
        count.and_more = True
        return count

    def __str__(self) -> str:
        return f"{int(self):,}{'+' if self.and_more else ''}"


def count(queryset: QuerySet[Any], *, at_least: int = 0) -> Count:
    """How many rows, up to MOST; `at_least`, which the caller knows, where counting them takes too long."""
    try:
        with _patiently():
            return up_to_most(queryset)
    except _TakesTooLong:
        return Count.at_least(at_least)


def up_to_most(queryset: QuerySet[Any]) -> Count:
    """How many rows, up to MOST: for those that an index finds one after the other."""
    number = queryset.order_by()[: MOST + 1].count()
    return Count.at_least(MOST) if number > MOST else Count(number)


class _TakesTooLong(Exception):  # noqa: N818  named for what it says
    pass


@contextmanager
def _patiently() -> Iterator[None]:
    with _on_postgres() if connection.vendor == "postgresql" else _on_sqlite():
        yield


@contextmanager
def _on_postgres() -> Iterator[None]:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {PATIENCE * 1000:.0f}")
            yield
            cursor.execute("SET LOCAL statement_timeout TO DEFAULT")  # where the transaction goes on
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", "") != "57014":  # query_canceled
            raise
        raise _TakesTooLong from None


@contextmanager
def _on_sqlite() -> Iterator[None]:
    deadline = time.monotonic() + PATIENCE
    connection.ensure_connection()
    connection.connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
    try:
        yield
    except OperationalError as error:
        if "interrupted" not in str(error):
            raise
        raise _TakesTooLong from None
    finally:
        connection.connection.set_progress_handler(None, 0)
