"""From nothing to a site that runs, and what a second start leaves alone."""

import os
import re
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connections

from leads.models import Endpoint, Lead, Offer
from leadsite import bootstrap, envfile
from leadsite.management.commands.serve import announcement

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = re.compile(r"[2-9A-HJ-NP-Z]{4}(-[2-9A-HJ-NP-Z]{4}){3}")


@pytest.fixture
def out() -> StringIO:
    return StringIO()


# .env


@pytest.fixture
def env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LEADSITE_ENV_FILE", str(tmp_path / ".env"))
    return tmp_path / ".env"


def test_a_new_installation_gets_secrets_of_its_own_that_only_its_owner_reads(env_file: Path) -> None:
    assert envfile.write_if_absent()
    written = env_file.read_text(encoding="utf-8")
    assert re.search(r"^SECRET_KEY=\S{50,}$", written, re.MULTILINE)
    assert re.search(r"^FIELD_ENCRYPTION_KEYS=\S{44}$", written, re.MULTILINE)
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600
    env_file.unlink()
    assert envfile.write_if_absent()
    assert env_file.read_text(encoding="utf-8") != written


def test_an_env_file_that_is_there_stays_as_it_is(env_file: Path) -> None:
    env_file.write_text("PORT=8001\n", encoding="utf-8")
    assert not envfile.write_if_absent()
    assert env_file.read_text(encoding="utf-8") == "PORT=8001\n"


# The command, as `make run` uses it


def test_one_command_sets_everything_up_and_a_second_run_keeps_it(tmp_path: Path) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "LEADSITE_ENV_FILE": str(tmp_path / ".env"),
        "DATA_DIR": str(tmp_path / "data"),
    }

    def run(*arguments: str) -> str:
        command = [sys.executable, "manage.py", "bootstrap", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    first = run()
    assert PASSWORD.search(first)
    written = (tmp_path / ".env").read_bytes()
    assert (tmp_path / "data" / "static").is_dir()
    again = PASSWORD.search(run("--reset-password"))
    assert again
    assert again[0] not in first
    assert (tmp_path / ".env").read_bytes() == written


# What `prepare` does


@pytest.fixture
def nothing_to_collect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Static files are covered by the command above."""

    def call(name: str, *arguments: Any, **options: Any) -> None:
        if name != "collectstatic":
            call_command(name, *arguments, **options)

    monkeypatch.setattr(bootstrap, "call_command", call)


@pytest.mark.django_db
@pytest.mark.usefixtures("nothing_to_collect")
def test_an_empty_database_gets_an_administrator_and_the_demo(out: StringIO) -> None:
    password = bootstrap.prepare(out)
    assert PASSWORD.fullmatch(password)
    admin = get_user_model().objects.get()
    assert admin.username == "admin"
    assert admin.check_password(password)
    assert admin.is_superuser
    assert Offer.objects.get().is_demo
    assert Lead.objects.exists()
    assert out.getvalue() == ""


@pytest.mark.django_db
@pytest.mark.usefixtures("nothing_to_collect")
def test_where_somebody_works_already_nothing_is_added(out: StringIO) -> None:
    get_user_model().objects.create_user("alice")
    assert bootstrap.prepare(out) == ""
    assert get_user_model().objects.count() == 1
    assert not Offer.objects.exists()


@pytest.mark.django_db
@pytest.mark.usefixtures("nothing_to_collect")
def test_offers_of_ones_own_are_not_joined_by_the_demo(out: StringIO) -> None:
    Offer.objects.create(publisher_id="contoso", offer_id="backup", title="Contoso Backup")
    assert bootstrap.prepare(out)
    assert not Offer.objects.filter(is_demo=True).exists()


@pytest.mark.django_db
def test_a_new_password_opens_an_account_that_was_closed_or_is_gone() -> None:
    users = get_user_model().objects
    for prepare in (users.all().delete, lambda: users.update(is_active=False, is_staff=False)):
        prepare()
        password = bootstrap.reset_password()
        admin = users.get()
        assert admin.check_password(password)
        assert admin.is_active
        assert admin.is_staff
        assert admin.is_superuser


@pytest.fixture
def database_file(tmp_path: Path, django_db_blocker: Any) -> Iterator[Path]:
    """An SQLite file in place of the test run's database, which lives in memory."""
    usual, path = connections["default"], tmp_path / "leads.sqlite3"
    other = usual.copy()
    other.settings_dict["NAME"] = str(path)
    with django_db_blocker.unblock():
        connections["default"] = other
        try:
            yield path
        finally:
            other.close()
            connections["default"] = usual


@pytest.mark.sqlite
def test_there_is_nothing_to_copy_before_the_first_start(database_file: Path) -> None:
    assert bootstrap.copy_database() is None


@pytest.mark.sqlite
@pytest.mark.usefixtures("nothing_to_collect")
def test_a_database_that_is_behind_is_copied_before_it_is_changed(database_file: Path, out: StringIO) -> None:
    call_command("migrate", "leads", verbosity=0)
    with connections["default"].cursor() as cursor:
        # Still in the write-ahead log when the copy is made.
        cursor.execute("CREATE TABLE precious AS SELECT 42 AS answer")
    assert bootstrap.pending_migrations()
    bootstrap.prepare(out)
    assert not bootstrap.pending_migrations()
    [copy] = database_file.parent.glob("*.bak")
    assert str(copy) in out.getvalue()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with closing(sqlite3.connect(copy)) as old:
        assert old.execute("SELECT answer FROM precious").fetchall() == [(42,)]
        assert not old.execute("SELECT 1 FROM sqlite_master WHERE name = 'crm_sync_route'").fetchall()


# What the start ends with


@pytest.mark.django_db
def test_the_start_ends_with_everything_for_a_first_try() -> None:
    endpoint = Endpoint.make(Offer.objects.create(publisher_id="contoso", offer_id="backup", title="It's"))
    lines = announcement("7Q4M-AAAA-BBBB-CCCC").splitlines()
    assert lines[0] == "Ready. Ctrl-C stops it."
    account = "admin / 7Q4M-AAAA-BBBB-CCCC  (shown once; change it at first sign-in)"
    assert lines[1] == f"  Admin  {settings.PUBLIC_URL}/admin/  {account}"
    assert lines[2] == f"  URL    {endpoint.url}"
    assert lines[3].startswith("  Try    curl ")
    assert lines[4] == '         pasted again within 10 minutes: 200 "repeated"'
    assert lines[5] == "  Only this computer can reach this. To go live: README"


@pytest.mark.django_db
def test_a_later_start_says_how_to_get_a_new_password_and_how_to_add_an_offer() -> None:
    text = announcement("")
    assert "bootstrap --reset-password" in text
    assert "/admin/leads/offer/add/" in text
    assert "shown once" not in text
