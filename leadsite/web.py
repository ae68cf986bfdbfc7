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
    if lifeline.PARENT in os.environ:
        # Ctrl-C reaches every process, and the supervisor's SIGTERM comes on its heels: a granian worker that gets
        # two signals at once hangs. So this process and its workers leave Ctrl-C to the supervisor.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    lifeline.end_with_parent(GRACE)
    django.setup()
    from django.conf import settings

    os.environ.update(lifeline.environment())  # the workers end with this process, not with the supervisor
    os.register_at_fork(after_in_child=_stop_at_once)
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


def _stop_at_once() -> None:
    """Until a new worker has a handler of its own, it has this process's, which only sets a flag of this process:
    told to stop by then, the worker would go on."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


if __name__ == "__main__":
    main()
