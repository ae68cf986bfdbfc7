"""Where leads are kept: whether it answers, keeps what it was given, and fits this version."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from crm_sync.models import Worker
from leads.wording import clip, clock, span
from leadsite import bootstrap
from leadsite.doctor.finding import MANAGE, Finding, Scene, ok, warning, wrong

OLDEST = 15  # PostgreSQL
AHEAD, FAR_AHEAD = 2.0, 30.0  # seconds that two clocks may differ


@contextmanager
def in_time() -> Iterator[None]:
    """No question of ours may keep a busy PostgreSQL, or us, for longer. SQLite would have to be locked for that."""
    if connection.vendor != "postgresql":
        yield
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = '5s'")
        yield


def answers(scene: Scene) -> Finding:
    if scene.database:
        said = clip(str(scene.database).strip().partition("\n")[0] or type(scene.database).__name__, 300)
        return wrong(
            _("The database does not answer: %(said)s") % {"said": said},
            _("Is the disk of DATA_DIR full, or the file locked or unreadable?")
            if settings.ON_SQLITE
            else _("Start PostgreSQL, or correct DATABASE_URL in .env and start again."),
        )
    return _sqlite() if connection.vendor == "sqlite" else _postgresql()


def _ask(sql: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        row = cursor.fetchone()
    return row[0] if row else None


def _sqlite() -> Finding:
    version, journal, synchronous = (
        _ask("SELECT sqlite_version()"),
        _ask("PRAGMA journal_mode"),
        _ask("PRAGMA synchronous"),
    )
    shown = {"version": version, "journal": str(journal).upper(), "synchronous": synchronous}
    if journal == "wal" and synchronous == 2:
        return ok(_("SQLite %(version)s; each lead is on the disk before it is answered.") % shown)
    return wrong(
        _(
            "SQLite %(version)s runs with journal_mode=%(journal)s and synchronous=%(synchronous)s: a power cut can "
            "cost leads that were answered."
        )
        % shown,
        _("Put DATA_DIR on a local disk: network file systems do not carry a write-ahead log."),
    )


def _postgresql() -> Finding:
    number = int(_ask("SHOW server_version_num"))
    shown = {"version": _ask("SHOW server_version"), "oldest": OLDEST, "number": number // 10_000}
    if number < OLDEST * 10_000:
        return wrong(
            _("PostgreSQL %(version)s is too old: %(oldest)d or later is needed.") % shown,
            _("Upgrade PostgreSQL (pg_upgrade), or name a newer server in DATABASE_URL."),
        )
    careless = [
        name for name in ("fsync", "full_page_writes", "synchronous_commit") if _ask(f"SHOW {name}") == "off"
    ]
    if careless:
        return wrong(
            _("PostgreSQL %(version)s runs with %(name)s=off: a crash can cost leads that were answered.")
            % {**shown, "name": careless[0]},
            f"psql -c 'ALTER SYSTEM SET {careless[0]} = on' -c 'SELECT pg_reload_conf()'",
        )
    return ok(_("PostgreSQL %(version)s; each lead is on the disk before it is answered.") % shown)


def migrations(scene: Scene) -> Finding:
    if bootstrap.pending_migrations():
        return wrong(
            _("The database is older than this version: leads may not be stored."),
            _("Stop the server, run %(manage)s bootstrap, and start again.") % {"manage": MANAGE},
        )
    return ok(_("The database fits version %(version)s.") % {"version": settings.VERSION})


def same_time(scene: Scene) -> Finding:
    """This machine's clock against the database's and, on SQLite, against what was written here before."""
    if connection.vendor == "postgresql":
        before = timezone.now()
        theirs: datetime = _ask("SELECT clock_timestamp()")
        apart = abs((theirs - before).total_seconds())
        if apart <= AHEAD:
            return ok(_("This machine and the database have the same time."))
        said = _("The clocks of this machine and of the database are %(span)s apart.") % {"span": span(apart)}
        fix = _("On both machines: timedatectl set-ntp true")
        return wrong(said, fix) if apart > FAR_AHEAD else warning(said, fix)
    seen = Worker.objects.order_by("-seen_at").values_list("seen_at", flat=True).first()
    if seen and (seen - scene.now).total_seconds() > FAR_AHEAD:
        return wrong(
            _("The clock was set back: the worker reported at %(time)s, which is still to come.")
            % {"time": clock(seen)},
            "timedatectl set-ntp true",
        )
    return ok(_("This machine's clock has not gone back. It says %(time)s.") % {"time": clock(scene.now)})
