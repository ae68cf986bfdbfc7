"""Set up the site without serving it."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from leadsite import bootstrap


class Command(BaseCommand):
    help = "Write .env, migrate, make the first account, seed the demo on an empty database."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--reset-password",
            action="store_true",
            help="Give the account `admin` a new password and show it.",
        )

    def handle(self, *args: Any, reset_password: bool, **options: Any) -> None:
        password = bootstrap.prepare(self.stdout)
        if reset_password and not password:
            password = bootstrap.reset_password()
        if password:
            self.stdout.write(f"{bootstrap.ADMIN} / {password}  (shown once; change it at first sign-in)")
        else:
            self.stdout.write("Up to date.")
