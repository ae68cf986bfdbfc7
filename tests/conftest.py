"""For every test: what a site has before it serves anything, and which of the two runs it belongs to.

`make test` runs the tests on SQLite, and those to which the database makes a difference again on PostgreSQL. A test
that is about one of the two says so: `@pytest.mark.sqlite`, `@pytest.mark.postgresql`.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from pytest_django.plugin import DjangoDbBlocker

from crm_sync.connectors.memory import memory
from crm_sync.models import destinations
from tests import databases

ON_ONE = {"sqlite", "postgresql"}
# Whoever asks for one of these, or for a fixture that does, gets at the database.
DATABASE_FIXTURES = {"db", "transactional_db", "django_db_setup"}


@pytest.fixture(scope="session", autouse=True)
def _static_files_have_a_place() -> None:
    """WhiteNoise warns of a missing directory, and a warning is an error here."""
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Keeps a copy of the new PostgreSQL database, for `own_database`."""
    if connection.vendor != "postgresql":
        yield
        return
    with django_db_blocker.unblock():
        databases.template()
    yield
    with django_db_blocker.unblock():
        databases.drop_template()


@pytest.fixture
def own_database(django_db_setup: None, django_db_blocker: DjangoDbBlocker, tmp_path: Path) -> Iterator[None]:
    """A migrated database for this test alone, which commits, and which its threads may use at once."""
    with django_db_blocker.unblock(), databases.another_database(tmp_path):
        yield


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is for the other database; and on PostgreSQL also what would only say again what it said."""
    chosen = [item for item in items if _belongs(item)]
    if len(chosen) < len(items):
        config.hook.pytest_deselected(items=[item for item in items if not _belongs(item)])
        items[:] = chosen


def _belongs(item: pytest.Item) -> bool:
    marks = {mark.name for mark in item.iter_markers()}
    if only := marks & ON_ONE:
        return connection.vendor in only
    if connection.vendor == "sqlite":
        return True
    if "looks" in marks:
        return False
    return bool(marks & {"django_db", "e2e"}) or not DATABASE_FIXTURES.isdisjoint(
        getattr(item, "fixturenames", ())
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> pytest.TestReport:
    """Under REQUIRE_ALL=1 whoever skips fails, with the reason."""
    report: pytest.TestReport = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("REQUIRE_ALL") == "1":
        report.outcome, report.longrepr = "failed", f"skipped under REQUIRE_ALL=1: {report.longrepr}"
    return report


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    """Of tokens and fields that another test's connector asked for."""
    destinations._described.clear()
    memory.clear()


@pytest.fixture(autouse=True)
def _fresh_tally(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts that nobody else wrote, and no thread that writes them behind a test's back: `tally.flush()` does."""
    from leads import tally

    monkeypatch.setattr(tally, "_tally", tally.Tally(interval=None))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell the figures that tests recorded of themselves."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties if report.when == "call" else ():
            terminalreporter.write_line(f"{name}: {value}")
