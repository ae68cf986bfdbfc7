"""Credentials: a lost key stops one connection alone, new ones count from the next push on, none is kept in plain."""

import shutil
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db import connection

from crm_sync import claiming, connectors, delivery, health, pushing
from crm_sync.engine import embedded
from crm_sync.models import Delivery, Destination
from crm_sync.outcomes import RetryLater
from leads import ports
from leads.vault import ClosedDict
from tests.crm_sync.engines import Gate, running, wait_until
from tests.crm_sync.screens import press, text_of, url_of
from tests.crm_sync.sending import (
    Clock,
    Crm,
    drain,
    install,
    make_destination,
    make_lead,
    make_offer,
    make_route,
    state_of,
    take,
)
from tests.crm_sync.test_admin_connections import SECRET, hook, save
from tests.staff import signed_in

pytestmark = pytest.mark.django_db

KEY_WORDS = "FIELD_ENCRYPTION_KEYS does not hold the key"


@pytest.fixture
def crm(monkeypatch: pytest.MonkeyPatch) -> Crm:
    return install(monkeypatch)


@pytest.fixture(autouse=True)
def _no_bell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports.ports, "bell", [])


def lose_the_key(settings: Any, destination: Destination) -> None:
    """What this connection's secrets are encrypted with is not in the list any more; all others are untouched."""
    kept = settings.FIELD_ENCRYPTION_KEYS
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    Destination.objects.filter(pk=destination.pk).update(secrets={"account": "hunter2"})
    settings.FIELD_ENCRYPTION_KEYS = kept


def owe(destination: Destination, clock: Clock) -> Delivery:
    route = destination.routes.first() or make_route(make_offer(), destination)
    lead = make_lead(route.offer, routed_at=clock.now)
    return Delivery.objects.create(lead=lead, route=route, destination=destination, due_at=clock.now)


# --- A key that is lost --------------------------------------------------------------------------------------


def test_a_lost_key_stops_its_connection_in_words_and_no_other(crm: Crm, settings: Any) -> None:
    clock = Clock()
    lost, well = make_destination(), make_destination(secrets={"account": "s3cret"})
    owed, other = owe(lost, clock), owe(well, clock)
    lose_the_key(settings, lost)
    drain(lost, clock)
    drain(well, clock)
    owed.refresh_from_db()
    other.refresh_from_db()
    assert (owed.state, owed.tries, owed.lease_token) == ("waiting", 0, None)
    assert other.state == "delivered"
    assert state_of(lost).state == "stopped"
    assert KEY_WORDS in state_of(lost).reason
    assert state_of(well).state == "working"
    assert [settings["account"] for settings in crm.settings] == ["s3cret"]


def test_with_the_key_back_it_goes_on_by_itself(crm: Crm, settings: Any) -> None:
    clock = Clock()
    destination = make_destination()
    owed = owe(destination, clock)
    lose_the_key(settings, destination)
    drain(destination, clock)
    Destination.objects.filter(pk=destination.pk).update(secrets={"account": "found"})
    clock.pass_(hours=2)
    drain(destination, clock)
    owed.refresh_from_db()
    assert owed.state == "delivered"
    assert crm.settings[-1]["account"] == "found"


def test_what_was_on_its_way_as_the_key_was_lost_is_settled_all_the_same(crm: Crm, settings: Any) -> None:
    clock = Clock()
    destination, other = make_destination(), make_destination()
    arrived, failed, dead, elsewhere = (owe(each, clock) for each in (destination,) * 3 + (other,))
    claims = {claim.delivery.pk: claim for claim in take(destination, clock.now, slots=3)}
    assert take(other, clock.now)
    lose_the_key(settings, destination)
    assert delivery.settle(claims[arrived.pk], pushing.Delivered("1"), at=clock.now)
    assert delivery.settle(claims[failed.pk], RetryLater("Busy.", uncertain=True), at=clock.now)
    assert delivery.expire_leases(at=clock.pass_(seconds=claiming.LEASE.total_seconds())) == 2
    states = {each.pk: each.state for each in Delivery.objects.all()}
    assert states == {
        arrived.pk: "delivered",
        failed.pk: "waiting",
        dead.pk: "waiting",
        elsewhere.pk: "waiting",
    }


def test_a_test_of_such_a_connection_says_what_is_wrong(crm: Crm, settings: Any) -> None:
    destination = make_destination()
    lose_the_key(settings, destination)
    destination.refresh_from_db()
    result = health.check(destination, at=Clock().now)
    assert not result.ok
    assert KEY_WORDS in result.findings[0]
    assert "error of this software" not in result.findings[0]


def test_every_page_still_opens_and_new_credentials_can_be_entered(settings: Any) -> None:
    clock = Clock()
    destination = hook()
    owe(destination, clock)
    lose_the_key(settings, destination)
    drain(destination, clock)
    for who in ("alice", "erin", "dave"):
        for url in (
            "/admin/",
            "/admin/crm_sync/destination/",
            "/admin/crm_sync/delivery/",
            url_of(destination),
        ):
            assert "Hook" in text_of(signed_in(who), url)
    assert KEY_WORDS in text_of(signed_in("erin"), url_of(destination))
    assert "No key of FIELD_ENCRYPTION_KEYS opens" in text_of(signed_in("erin"), url_of(destination))
    assert KEY_WORDS in press(signed_in("erin"), url_of(destination, "test"))
    save("erin", destination, setting_secret=SECRET)
    destination.refresh_from_db()
    assert destination.secrets == {"secret": SECRET}


def test_saving_something_else_keeps_secrets_whose_key_may_come_back(settings: Any) -> None:
    destination = hook()
    lose_the_key(settings, destination)
    destination.refresh_from_db()
    before = destination.secrets, destination.credentials_changed_at
    save("erin", destination, name="Renamed")
    destination.refresh_from_db()
    assert destination.name == "Renamed"
    assert isinstance(destination.secrets, ClosedDict)
    assert (destination.secrets, destination.credentials_changed_at) == before


# --- Credentials that are changed ----------------------------------------------------------------------------


@pytest.fixture
def short_data_dir(settings: Any) -> Iterator[None]:
    """A directory of its own with a short path, as a Unix socket needs it."""
    path = Path(tempfile.mkdtemp(prefix="secrets-"))
    settings.DATA_DIR = path
    yield
    shutil.rmtree(path)


@pytest.mark.usefixtures("own_database", "short_data_dir")
def test_new_credentials_count_from_the_next_push_on_while_the_worker_is_busy(
    crm: Crm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The drain that pushed with the old secret is still at work, on a pool of connections that is kept."""
    pool = pushing._pool(is_demo=False)
    gate = Gate(crm, open=False)
    destination = make_destination(max_in_flight=1, secrets={"account": "old"})
    route = make_route(make_offer(), destination)
    for _ in range(2):
        make_lead(route.offer)
    with running(embedded):
        gate.wait_for_a_lead()
        Destination.objects.filter(pk=destination.pk).update(secrets={"account": "new"})
        gate.may_answer.set()
        gate.wait_for_a_lead()
        wait_until(lambda: Delivery.objects.filter(state="delivered").count() == 2)
    assert [settings["account"] for settings in crm.settings] == ["old", "new"]
    assert pushing._pool(is_demo=False) is pool


# --- Nothing in plain ----------------------------------------------------------------------------------------


def everything_stored() -> str:
    stored = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            stored += [
                bytes(value) if isinstance(value, memoryview) else value for row in cursor for value in row
            ]
    return repr(stored)


def test_no_table_holds_a_secret_in_plain_after_it_was_saved_used_and_changed(
    monkeypatch: pytest.MonkeyPatch, crm: Crm
) -> None:
    """The form, its history, the log of tries, the state of the connection: whatever quotes it, quotes it masked."""
    first, second = SECRET, "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    save("erin", name="Hook", setting_secret=first)
    destination = Destination.objects.get()
    scripted = connectors.get("scripted")
    monkeypatch.setitem(connectors.REGISTRY, "webhook", scripted)
    clock = Clock()
    for number, secret in enumerate((first, second)):
        Destination.objects.filter(pk=destination.pk).update(secrets={"secret": secret})
        owe(destination, clock)
        crm.always = ZeroDivisionError(f"{secret} is wrong") if number else pushing.Delivered("1")
        drain(destination, clock)
        clock.pass_(seconds=timedelta(days=1).total_seconds())
    assert len(crm.settings) == 2
    stored = everything_stored()
    assert "Traceback" in stored
    for secret in (first, second, first.removeprefix("whsec_")):
        assert secret not in stored
