"""The web server process: granian with `leadsite.rsgi`. `manage.py serve` starts it."""

import gc
import os
import signal

import django
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels

from leadsite import lifeline

WORKERS = 2  # more buy nothing on two cores (measured)
GRACE = 20  # seconds that requests in progress have to be answered


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leadsite.settings")
    lifeline.end_with_parent(GRACE)
    _load_everything()
    from django.conf import settings

    os.environ.update(lifeline.environment())  # the workers end with this process, not with the supervisor
    os.register_at_fork(after_in_child=_stop_at_once)
    Granian(
        "leadsite.rsgi:make_application",
        factory=True,
        address=settings.HOST,
        port=settings.PORT,
        interface=Interfaces.RSGI,
        http=HTTPModes.auto,
        websockets=False,  # an upgrade is answered like any other request
        workers=WORKERS,
        respawn_failed_workers=True,
        respawn_interval=0.5,
        workers_kill_timeout=GRACE,
        log_level=LogLevels.warning,
        log_access=False,  # its paths would hold endpoint keys
    ).serve()


def _load_everything() -> None:
    """Here rather than in each worker, so that they share the memory of it, and start at once after a crash."""
    django.setup()
    from django.urls import get_resolver

    import leadsite.wsgi  # noqa: F401  its application, with all middleware

    get_resolver().url_patterns  # noqa: B018  reading it imports every view
    gc.freeze()  # a collection in a worker would write to pages that it shares


def _stop_at_once() -> None:
    """Until a new worker has a handler of its own, it has this process's, which only sets a flag of this process:
    told to stop by then, the worker would go on."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


if __name__ == "__main__":
    main()
