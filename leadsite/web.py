"""The web server process: granian with our WSGI application. `manage.py serve` starts it."""

import os

import django
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels

from leadsite.lifeline import end_with_parent

WORKERS, BLOCKING_THREADS = 2, 4  # more of either buys nothing on two cores (measured)
GRACE = 20  # seconds that requests in progress have to be answered


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leadsite.settings")
    django.setup()
    from django.conf import settings

    end_with_parent()
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


if __name__ == "__main__":
    main()
