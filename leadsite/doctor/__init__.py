"""What is wrong with this installation, and the exact fix of each: `manage.py doctor`, and the page Health.

Each check is a small function from a scene to a finding. The command and the page only show what is found here.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext

from django.db import Error
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from leadsite.doctor import address, database, machine, sending
from leadsite.doctor.finding import Check, Finding, Level, Scene, warning, wrong

__all__ = ["CHECKS", "Check", "Finding", "Level", "Scene", "examine", "summary"]

logger = logging.getLogger(__name__)

CHECKS = (
    Check("address", gettext_lazy("Public address"), address.public_address, asks_network=True),
    Check("proxy", gettext_lazy("TLS proxy"), address.proxy, asks_network=True),
    Check("last_post", gettext_lazy("Last request"), address.last_post, needs_database=True),
    Check("database", gettext_lazy("Database"), database.answers),
    Check("migrations", gettext_lazy("Tables"), database.migrations, needs_database=True),
    Check("spool", gettext_lazy("Spool"), machine.spooled),
    Check("disk", gettext_lazy("Disk"), machine.disk),
    Check("clock", gettext_lazy("Clock"), database.same_time, needs_database=True),
    Check("worker", gettext_lazy("Worker"), sending.worker, needs_database=True),
    Check("unrouted", gettext_lazy("Leads not looked at"), sending.unrouted, needs_database=True),
    Check("sendings", gettext_lazy("Oldest sending"), sending.oldest_sending, needs_database=True),
    Check("connections", gettext_lazy("CRM connections"), sending.connections, needs_database=True),
    Check("mail", gettext_lazy("Mail"), sending.mail, asks_network=True),
    Check("secrets", gettext_lazy("Stored secrets"), machine.stored_secrets, needs_database=True),
    Check("secret_key", gettext_lazy("SECRET_KEY"), machine.secret_key),
    Check("debug", gettext_lazy("DEBUG"), machine.debug),
    Check("files", gettext_lazy("File permissions"), machine.files),
    Check("password", gettext_lazy("First password"), machine.first_password, needs_database=True),
)


def examine(
    scene: Scene, chosen: Callable[[Check], bool] = lambda check: True
) -> Iterator[tuple[Check, Finding]]:
    """Each chosen check with what it found, in order. Never raises: a check that fails is a finding too."""
    for check in CHECKS:
        if chosen(check):
            yield check, _look(check, scene)


def summary(levels: Mapping[Level, int]) -> str:
    """How many findings there are, in a sentence."""
    bad, warnings = levels.get(Level.WRONG, 0), levels.get(Level.WARNING, 0)
    said = (
        ngettext("%(number)d thing is wrong", "%(number)d things are wrong", bad) % {"number": bad}
        if bad
        else _("Nothing is wrong")
    )
    if not warnings:
        return f"{said}."
    more = ngettext("%(number)d warning", "%(number)d warnings", warnings) % {"number": warnings}
    return f"{said}; {more}."


def _look(check: Check, scene: Scene) -> Finding:
    if check.needs_database and scene.database:
        return warning(
            _("Cannot be told while the database does not answer."), _("See to the database first.")
        )
    try:
        with nullcontext() if scene.database else database.in_time():
            return check.look(scene)
    except Error as error:
        return wrong(
            _("The database did not answer this: %(said)s") % {"said": type(error).__name__},
            _("See to the finding on the database, or on its tables, first."),
        )
    except Exception as error:
        logger.exception("The check %s failed", check.name)
        return wrong(
            _("This check itself failed (%(said)s): an error of this software.")
            % {"said": type(error).__name__},
            _("Report it with the traceback that the log has."),
        )
