"""The worker process: `manage.py deliver`, held by a lifeline. `manage.py serve` starts it."""

import os

from django.core.management import execute_from_command_line

from leadsite.lifeline import end_with_parent

GRACE = 60  # seconds that pushes in progress have to be settled once the supervisor is gone
NICE = 10  # intake goes first: what is pushed a moment later is late, what cannot be stored is lost


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leadsite.settings")
    os.nice(NICE)
    end_with_parent(GRACE)
    execute_from_command_line(["manage.py", "deliver"])


if __name__ == "__main__":
    main()
