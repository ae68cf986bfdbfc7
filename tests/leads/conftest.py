"""An offer with its endpoint URL, fresh rate guards for every test, and a database that threads can share."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connections

from leads import views
from leads.models import Endpoint, Offer
from leads.ports import ports
from leads.rates import Buckets


@pytest.fixture(autouse=True)
def _fresh_rate_guards(monkeypatch: pytest.MonkeyPatch) -> None:
    """They live as long as the process, and keys of rows come again in the next test."""
    monkeypatch.setattr(views, "_strangers", Buckets(views.STRANGER_RATE, views.STRANGER_BURST))
    views._callers.cache_clear()


@pytest.fixture(autouse=True)
def _no_bell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens, and who rings keeps a socket open."""
    monkeypatch.setattr(ports, "bell", [])


@pytest.fixture
def offer(db: None) -> Offer:
    return Offer.objects.create(publisher_id="contoso", offer_id="backup", title="Contoso Backup")


@pytest.fixture
def endpoint(offer: Offer) -> Endpoint:
    return Endpoint.make(offer)


@pytest.fixture
def connect(
    request: pytest.FixtureRequest, django_db_blocker: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Callable[[], None]]:
    """A database that several threads write to, each over a connection of its own.

    A thread calls this first. On SQLite it is a file: the test run's own database lives in memory, where nobody
    waits for anybody.
    """
    usual = connections["default"]
    if usual.vendor != "sqlite":
        request.getfixturevalue("transactional_db")
        yield lambda: None
        return
    shared = usual.copy()
    shared.settings_dict["NAME"] = str(tmp_path / "leads.sqlite3")

    def connect() -> None:
        connections["default"] = shared.copy()

    with django_db_blocker.unblock():
        connect()
        try:
            call_command("migrate", verbosity=0)
            yield connect
        finally:
            connections["default"].close()
            connections["default"] = usual
