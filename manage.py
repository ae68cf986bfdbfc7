#!/usr/bin/env python3
"""Django's command line, with one line instead of a traceback for a broken configuration."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leadsite.settings")
    from leadsite import envfile

    if "bootstrap" in sys.argv[1:2] or "--bootstrap" in sys.argv:
        envfile.write_if_absent()
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"Configuration: {error}")


if __name__ == "__main__":
    main()
