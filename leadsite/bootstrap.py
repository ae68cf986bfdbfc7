"""From nothing to a site that runs: database, static files, first account, demo."""

import hashlib
import secrets
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import OutputWrapper
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from crm_sync import demo_data
from leads.models import Offer

ADMIN = "admin"
ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # without what is read wrong: 0 and O, 1 and I


def prepare(out: OutputWrapper | IO[str]) -> str:
    """Bring database and static files up to date; on an empty database also make the first account and the demo.

    Returns the first account's password where it was made just now, else "".
    """
    if pending_migrations():
        if copy := copy_database():
            out.write(f"Database copied to {copy} before it is changed.\n")
        call_command("migrate", interactive=False, verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    users = get_user_model()._default_manager
    if users.exists():
        return ""
    password = new_password()
    _note_given(users.create_superuser(ADMIN, password=password))
    if not Offer.objects.exists():
        demo_data.seed(timezone.now())
    return password


def pending_migrations() -> bool:
    """Whether the database is behind the code."""
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def copy_database() -> Path | None:
    """Copy an SQLite file that holds anything; None where there is nothing to copy."""
    if connection.vendor != "sqlite" or not connection.introspection.table_names():
        return None
    source = Path(str(connection.settings_dict["NAME"]))
    copy = source.with_name(f"{source.name}.{timezone.now():%Y%m%d-%H%M%S}.bak")
    # SQLite's own backup: a plain copy of the file would miss what is still in the write-ahead log.
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(copy)) as new:
        old.backup(new)
    copy.chmod(0o600)
    return copy


def new_password() -> str:
    """Four groups of four, easy to read from one screen and type on another; 80 bits."""
    return "-".join("".join(secrets.choice(ALPHABET) for _ in range(4)) for _ in range(4))


def reset_password() -> str:
    """Give the first account a new password; makes the account where it is gone."""
    users = get_user_model()._default_manager
    password = new_password()
    user = users.filter(username=ADMIN).first()
    if user is None:
        user = users.create_superuser(ADMIN, password=password)
    else:
        user.set_password(password)
        user.is_active = user.is_staff = user.is_superuser = True
        user.save()
    _note_given(user)
    return password


def has_given_password() -> bool:
    """Whether the first account still has a password that was printed for it, as far as this machine knows."""
    given = _given()
    user = get_user_model()._default_manager.filter(username=ADMIN, is_active=True).first()
    return user is not None and given.is_file() and given.read_text(encoding="ascii") == _mark(user)


def _given() -> Path:
    return Path(settings.DATA_DIR) / "given-password"


def _note_given(user: Any) -> None:
    _given().write_text(_mark(user), encoding="ascii")


def _mark(user: Any) -> str:
    """Tells one stored password from another, and nothing about either."""
    return hashlib.sha256(user.password.encode()).hexdigest()
