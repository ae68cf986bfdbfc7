"""The machine and its secrets: disk, files, keys, and what must never be switched on where strangers come."""

import os
import shutil
import stat
from pathlib import Path

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from leads import reencryption, spool
from leads.alerts import LATE as SPOOLED_LATE
from leads.wording import clip
from leadsite import bootstrap, envfile
from leadsite.doctor.finding import MANAGE, Finding, Scene, ok, warning, wrong

GB = 1_000_000_000
LITTLE, TOO_LITTLE = 2 * GB, GB // 5
NAMED = 5  # secrets, in one sentence
# What Django's own check asks of a key (security.W009).
LONG_ENOUGH, DIFFERENT_ENOUGH = 50, 5


def disk(scene: Scene) -> Finding:
    places = {
        "DATA_DIR": settings.DATA_DIR,
        **({"SPOOL_DIR": settings.SPOOL_DIR} if settings.SPOOL_DIR else {}),
    }
    free = {name: shutil.disk_usage(place).free for name, place in places.items()}
    name, least = min(free.items(), key=lambda pair: pair[1])
    shown = {"size": _size(least), "name": name, "place": places[name]}
    if least < TOO_LITTLE:
        return wrong(
            _("Only %(size)s are free in %(name)s (%(place)s): soon no lead can be stored.") % shown,
            _("Free or add space now: du -xh --max-depth=2 %(place)s") % shown,
        )
    if least < LITTLE:
        return warning(
            _("Only %(size)s are free in %(name)s (%(place)s).") % shown,
            _("Free or add space: du -xh --max-depth=2 %(place)s") % shown,
        )
    return ok(
        "; ".join(_("%(size)s free in %(name)s") % {"size": _size(free[name]), "name": name} for name in free)
        + "."
    )


def _size(number: int) -> str:
    return f"{number / GB:,.1f} GB" if number >= GB else f"{number / 1_000_000:,.0f} MB"


def spooled(scene: Scene) -> Finding:
    if settings.SPOOL_DIR is None:
        return warning(
            _(
                "There is no spool: while the database is away, leads are refused, and Microsoft does not send them "
                "again."
            ),
            f"SPOOL_DIR={settings.DATA_DIR / 'spool'}",
        )
    if failed := spool.failed():
        return wrong(
            ngettext(
                "%(number)d spooled request could not be taken in: %(file)s",
                "%(number)d spooled requests could not be taken in: %(file)s, for one",
                len(failed),
            )
            % {"number": len(failed), "file": failed[0]},
            _("The worker's log says why. After mending that: mv %(file)s %(again)s")
            % {"file": failed[0], "again": failed[0].with_suffix(spool.WAITING)},
        )
    late = [path for path in spool.waiting() if spool.received_at(path) < timezone.now() - SPOOLED_LATE]
    if late:
        return wrong(
            ngettext(
                "%(number)d request waits in the spool to be taken in.",
                "%(number)d requests wait in the spool to be taken in.",
                len(late),
            )
            % {"number": len(late)},
            _("Start the database and the worker; the worker takes them in within seconds."),
        )
    if not os.access(settings.SPOOL_DIR, os.R_OK | os.W_OK | os.X_OK):
        return wrong(
            _("This user may not write to the spool, %(place)s.") % {"place": settings.SPOOL_DIR},
            f"chown {os.getuid()} {settings.SPOOL_DIR} && chmod 700 {settings.SPOOL_DIR}",
        )
    return ok(_("The spool is empty, and ready for a database that is away."))


# --- Secrets -------------------------------------------------------------------------------------------------


def stored_secrets(scene: Scene) -> Finding:
    found = reencryption.look()
    if found.closed:
        return wrong(
            ngettext(
                "No key of FIELD_ENCRYPTION_KEYS opens %(number)d stored secret: %(names)s",
                "No key of FIELD_ENCRYPTION_KEYS opens %(number)d stored secrets: %(names)s",
                len(found.closed),
            )
            % {
                "number": len(found.closed),
                "names": clip("; ".join(found.closed[:NAMED]), 300)
                + (" …" if len(found.closed) > NAMED else ""),
            },
            _(
                "Put the lost key back, at the end of FIELD_ENCRYPTION_KEYS in .env. If it is gone for good: enter the "
                "CRM's credentials again at %(url)s/admin/crm_sync/destination/, and rotate the URL of the offer at "
                "%(url)s/admin/leads/offer/."
            )
            % {"url": settings.PUBLIC_URL},
        )
    old = found.total - found.under[0]
    if old:
        return warning(
            ngettext(
                "%(number)d stored secret is under an old key.",
                "%(number)d stored secrets are under an old key.",
                old,
            )
            % {"number": old},
            f"{MANAGE} reencrypt",
        )
    return ok(
        ngettext("%(number)d stored secret opens.", "All %(number)d stored secrets open.", found.total)
        % {"number": found.total}
        if found.total
        else _("No secret is stored yet.")
    )


def secret_key(scene: Scene) -> Finding:
    key = settings.SECRET_KEY
    if len(key) >= LONG_ENOUGH and len(set(key)) >= DIFFERENT_ENOUGH:
        return ok(_("SECRET_KEY is long enough."))
    return warning(
        _("SECRET_KEY is weak: who guesses it can sign in as anybody."),
        _("In .env, SECRET_KEY= with what this prints; everybody signs in again: %(command)s")
        % {"command": '.venv/bin/python -c "import secrets; print(secrets.token_urlsafe(48))"'},
    )


def debug(scene: Scene) -> Finding:
    if settings.DEBUG:
        return wrong(_("DEBUG is on: error pages show settings and leads to everybody."), "DEBUG=false")
    return ok(_("DEBUG is off."))


def files(scene: Scene) -> Finding:
    """Whether other users of this machine can read the secrets or the leads."""
    env = envfile.path()
    if env.is_file() and _others_may(env):
        return wrong(
            _("Other users of this machine can read %(file)s, and all secrets in it.") % {"file": env},
            f"chmod 600 {env}",
        )
    if _others_may(settings.DATA_DIR):
        return wrong(
            _("Other users of this machine can read the leads in %(place)s.") % {"place": settings.DATA_DIR},
            f"chmod 700 {settings.DATA_DIR}",
        )
    return ok(_("Nobody else on this machine can read the settings or the leads."))


def _others_may(place: Path) -> bool:
    return bool(place.stat().st_mode & (stat.S_IROTH | stat.S_IXOTH | stat.S_IWOTH))


def first_password(scene: Scene) -> Finding:
    if bootstrap.has_given_password():
        return warning(
            _(
                "The account %(name)s still has the password that was printed for it: logs and terminals may show it."
            )
            % {"name": bootstrap.ADMIN},
            _("Sign in as %(name)s and choose another: %(url)s/admin/password_change/")
            % {"name": bootstrap.ADMIN, "url": settings.PUBLIC_URL},
        )
    return ok(_("No account has a password that was printed for it."))
