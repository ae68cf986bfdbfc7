"""The web server process: granian with our WSGI application. `manage.py serve` starts it."""

import os
import signal

import django
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels

from leadsite import lifeline

WORKERS, BLOCKING_THREADS = 2, 4  # more of either buys nothing on two cores (measured)
GRACE = 20  # seconds that requests in progress have to be answered


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leadsite.settings")
    lifeline.end_with_parent(GRACE)
    django.setup()
    from django.conf import settings

    os.environ.update(lifeline.environment())  # the workers end with this process, not with the supervisor
    os.register_at_fork(after_in_child=_stop_on_a_signal)
    Granian(
        "leadsite.wsgi:application",
        address=settings.HOST,
        port=settings.PORT,
        interface=Interfaces.WSGI,
        http=HTTPModes.auto,
        workers=WORKERS,
        blocking_threads=BLOCKING_THREADS,
        respawn_failed_workers=True,
        respawn_interval=0.5,
        workers_kill_timeout=GRACE,
        log_level=LogLevels.warning,
        log_access=False,  # its paths would hold endpoint keys
    ).serve()


def _stop_on_a_signal() -> None:
    """Until a new worker has handlers of its own, it has this process's, which only set a flag of this process:
    told to stop by then, it would go on."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


if __name__ == "__main__":
    main()
