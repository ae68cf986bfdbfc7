"""Change the key that secrets are encrypted with."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from leads import reencryption
from leads.reencryption import Found


class Command(BaseCommand):
    help = (
        "Encrypt every stored secret with the first key of FIELD_ENCRYPTION_KEYS; the site may run meanwhile."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--check",
            action="store_true",
            help="Change nothing; say which keys are still needed, and exit 1 if an old one is.",
        )

    def handle(self, *args: Any, check: bool, **options: Any) -> None:
        found = reencryption.look() if check else reencryption.reencrypt()
        for place in range(len(settings.FIELD_ENCRYPTION_KEYS)):
            self.stdout.write(f"Key {place + 1}: {_number(found.under[place])}.")
        if not check:
            self.stdout.write(f"Re-encrypted with key 1: {_number(found.moved)}.")
        if found.closed:
            raise CommandError(_closed(found))
        old = found.total - found.under[0] - found.moved
        if old:
            raise CommandError(
                f"{_number(old)} still under an old key: run this without --check before you remove one."
                if check
                else f"{_number(old)} still under an old key: run this again."
            )
        if len(settings.FIELD_ENCRYPTION_KEYS) > 1:
            self.stdout.write(
                "No stored secret needs any key but the first. The others may be removed once every process "
                "runs with the new list; backups made before need them still."
            )


def _number(secrets: int) -> str:
    return f"{secrets} secret" + ("" if secrets == 1 else "s")


def _closed(found: Found) -> str:
    advice = (
        f"No key opens {_number(len(found.closed))}. Put the key back, at the end of FIELD_ENCRYPTION_KEYS; where it "
        "is lost, enter the credentials again, and rotate the endpoint URL:"
    )
    return "\n  ".join([advice, *found.closed])
