"""An offer with its endpoint URL, and fresh rate guards for every test."""

import pytest

from leads import intake, views
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


@pytest.fixture(autouse=True)
def _no_remembered_endpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process remembers what it looked up; a test begins as a process does."""
    monkeypatch.setattr(intake, "_known", {})
