"""Databases for tests whose threads each talk to one over a connection of their own.

The test run's own will not do: what a test writes there is never committed, and on SQLite it lives in memory.
"""

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path

from django.db import connection, connections


@contextmanager
def another_database(directory: Path) -> Iterator[None]:
    """A migrated database in place of the test run's, which is put back after; an SQLite file is in `directory`."""
    usual, options = connections["default"], connections.settings["default"]
    usual_name = options["NAME"]
    options["NAME"] = name = _copy(directory)
    del connections["default"]
    try:
        yield
    finally:
        connections["default"].close()
        options["NAME"] = usual_name
        connections["default"] = usual
        if usual.vendor == "postgresql":
            _administer(f'DROP DATABASE "{name}" WITH (FORCE)')


def _copy(directory: Path) -> str:
    connection.ensure_connection()
    if connection.vendor == "postgresql":
        name = f"{template()}_{secrets.token_hex(4)}"
        _administer(f'CREATE DATABASE "{name}" TEMPLATE "{template()}"')
        return name
    file = directory / "test.sqlite3"
    with closing(sqlite3.connect(file)) as copy:
        # Not a backup, which would wait for the end of the transaction that this test may be in.
        copy.executescript("\n".join(connection.connection.iterdump()))
    return str(file)


@cache
def template() -> str:
    """The name of a copy of the test run's PostgreSQL database as its migrations left it.

    First called when nobody is connected to that database, and its name is the settings' still.
    """
    usual = str(connection.settings_dict["NAME"])
    connection.close()
    _administer(f'DROP DATABASE IF EXISTS "{usual}_template"')
    _administer(f'CREATE DATABASE "{usual}_template" TEMPLATE "{usual}"')
    return f"{usual}_template"


def drop_template() -> None:
    _administer(f'DROP DATABASE "{template()}"')


def _administer(sql: str) -> None:
    with connection._nodb_cursor() as cursor:
        cursor.execute(sql)
