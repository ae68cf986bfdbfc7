"""Keys are changed under a running site: nothing is lost, nothing is undone, and what cannot be opened is named."""

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import connection

from crm_sync.models import Destination
from leads import reencryption
from leads.models import Endpoint, Offer
from leads.vault import ClosedDict, VaultError, key_of

pytestmark = pytest.mark.django_db

OLD, OLDER, NEW, LOST = (Fernet.generate_key().decode() for _ in range(4))


@pytest.fixture
def under(settings: Any) -> Callable[..., None]:
    def use(*keys: str) -> None:
        settings.FIELD_ENCRYPTION_KEYS = list(keys)

    return use


def make_destination(name: str, **secrets: str) -> Destination:
    return Destination.objects.create(name=name, connector="webhook", secrets=secrets)


def stored() -> dict[str, str]:
    """What the database holds, by the name of its row."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, secrets FROM crm_sync_destination")
        return dict(cursor.fetchall())


def run(**options: Any) -> str:
    out = StringIO()
    call_command("reencrypt", stdout=out, **options)
    return out.getvalue()


def test_every_encrypted_field_of_every_model_is_found() -> None:
    found = {(column.model.__name__, column.name) for column in reencryption.columns()}
    assert found == {("Endpoint", "key"), ("Destination", "secrets")}


def test_afterwards_the_first_key_alone_opens_everything(offer: Offer, under: Callable[..., None]) -> None:
    under(OLDER)
    make_destination("oldest", secret="first")
    under(OLD, OLDER)
    made = Endpoint.make(offer)
    make_destination("old", secret="second")
    make_destination("without secrets")
    under(NEW, OLD, OLDER)
    make_destination("new", secret="third")

    said = run()
    assert said.splitlines()[:4] == [
        *("Key 1: 1 secret.", "Key 2: 2 secrets.", "Key 3: 1 secret."),
        "Re-encrypted with key 1: 3 secrets.",
    ]
    assert "may be removed" in said
    assert "backups made before need them still" in said

    under(NEW)
    assert {d.name: dict(d.secrets) for d in Destination.objects.all()} == {
        "oldest": {"secret": "first"},
        "old": {"secret": "second"},
        "new": {"secret": "third"},
        "without secrets": {},
    }
    assert Endpoint.objects.get().key == made.key
    assert stored()["without secrets"] == ""


def test_done_twice_it_changes_nothing_the_second_time(under: Callable[..., None]) -> None:
    under(OLD)
    make_destination("hook", secret="first")
    under(NEW, OLD)
    run()
    before = stored()
    assert "Re-encrypted with key 1: 0 secrets." in run()
    assert stored() == before


def test_check_says_which_key_is_still_needed_and_changes_nothing(under: Callable[..., None]) -> None:
    under(OLD)
    make_destination("hook", secret="first")
    under(NEW, OLD)
    before = stored()
    out = StringIO()
    with pytest.raises(CommandError, match="1 secret still under an old key"):
        call_command("reencrypt", check=True, stdout=out)
    assert out.getvalue() == "Key 1: 0 secrets.\nKey 2: 1 secret.\n"
    assert stored() == before
    run()
    assert "may be removed" in run(check=True)


def test_with_one_key_there_is_nothing_to_remove(under: Callable[..., None]) -> None:
    under(NEW)
    make_destination("hook", secret="first")
    assert run(check=True) == "Key 1: 1 secret.\n"


@pytest.mark.parametrize("check", [False, True])
def test_rows_that_no_key_opens_are_named_and_the_others_are_moved(
    check: bool, offer: Offer, under: Callable[..., None]
) -> None:
    under(LOST)
    make_destination("Lost CRM", secret="hunter2")
    Endpoint.make(offer)
    under(OLD)
    make_destination("hook", secret="first")
    under(NEW, OLD)
    before = stored()
    with pytest.raises(CommandError) as error:
        run(check=check)
    said = str(error.value)
    assert error.value.returncode == 1
    assert "No key opens 2 secrets" in said
    assert "CRM connection: Lost CRM" in said
    assert f"endpoint URL: Endpoint {Endpoint.objects.get_queryset().defer('key').get().pk} of" in said
    assert before["Lost CRM"] not in said
    assert stored()["Lost CRM"] == before["Lost CRM"]
    assert key_of(stored()["hook"]) == (1 if check else 0)


def meanwhile(monkeypatch: pytest.MonkeyPatch, *deeds: Callable[[], Any]) -> None:
    """Do these, one at each look, between what the command reads and what it writes."""
    left, reseal = list(deeds), reencryption.reseal

    def look(sealed: str) -> str:
        fresh = reseal(sealed)
        if left:
            left.pop(0)()
        return fresh

    monkeypatch.setattr(reencryption, "reseal", look)


def test_credentials_that_a_person_saves_at_that_moment_win(
    under: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    under(OLD)
    made = make_destination("hook", secret="stale")
    under(NEW, OLD)

    def save() -> None:
        Destination.objects.filter(pk=made.pk).update(secrets={"secret": "fresh"})

    meanwhile(monkeypatch, save)
    run()
    under(NEW)
    assert Destination.objects.get().secrets == {"secret": "fresh"}


def test_what_a_process_with_the_old_keys_saves_at_that_moment_is_moved_as_well(
    under: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    under(OLD)
    made = make_destination("hook", secret="stale")
    under(NEW, OLD)

    def save() -> None:
        under(OLD)
        Destination.objects.filter(pk=made.pk).update(secrets={"secret": "fresh"})
        under(NEW, OLD)

    meanwhile(monkeypatch, save, save)
    run()
    under(NEW)
    assert Destination.objects.get().secrets == {"secret": "fresh"}


def test_a_row_that_is_deleted_or_emptied_at_that_moment_needs_no_key(
    under: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    under(OLD)
    made = [make_destination(name, secret="stale") for name in ("a", "b")]
    under(NEW, OLD)
    meanwhile(
        monkeypatch,
        Destination.objects.filter(pk=made[0].pk).delete,
        lambda: Destination.objects.filter(pk=made[1].pk).update(secrets={}),
    )
    assert "may be removed" in run()
    assert stored() == {"b": ""}


def test_many_rows_are_read_in_slices_and_none_is_left_out(
    under: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reencryption, "SLICE", 2)
    under(OLD)
    for number in range(5):
        make_destination(f"hook {number}", secret=str(number))
    under(NEW, OLD)
    run()
    assert {key_of(sealed) for sealed in stored().values()} == {0}


def test_secrets_that_no_key_opens_are_carried_along_unharmed(under: Callable[..., None]) -> None:
    under(LOST)
    make_destination("hook", secret="hunter2")
    before = stored()
    under(NEW)
    found = Destination.objects.get()
    assert isinstance(found.secrets, ClosedDict)
    found.full_clean()
    found.name = "renamed"
    found.save()
    assert stored() == {"renamed": before["hook"]}
    under(LOST)
    assert Destination.objects.get().secrets == {"secret": "hunter2"}


def test_whoever_looks_into_secrets_that_no_key_opens_is_told_loudly(under: Callable[..., None]) -> None:
    under(LOST)
    make_destination("hook", secret="hunter2")
    under(NEW)
    closed = Destination.objects.get().secrets
    for look in (
        lambda: closed["secret"],
        lambda: closed.get("secret"),
        lambda: "secret" in closed,
        lambda: {**closed},
        lambda: list(closed),
        lambda: len(closed),
        lambda: list(closed.items()),
    ):
        with pytest.raises(VaultError, match="FIELD_ENCRYPTION_KEYS"):
            look()
    assert closed == Destination.objects.get().secrets
    assert closed != {}
    assert hash(closed)
    assert bool(closed)
    assert list(closed.values()) == []
    assert "hunter2" not in repr(closed)
