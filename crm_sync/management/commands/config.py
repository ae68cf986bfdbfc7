"""The configuration as a file: apply one, or write the present one down."""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from crm_sync import clock, config
from crm_sync.config import ConfigError
from leads.vault import VaultError


class Command(BaseCommand):
    help = "Apply a configuration file, or export the configuration as one. JSON alone on standard output."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="export | apply")
        verbs.add_parser("export", help="Print offers, CRM connections and routes, without secrets.")
        apply = verbs.add_parser("apply", help="Make them what a file says; print the endpoint URLs.")
        apply.add_argument("file", metavar="FILE", help="A JSON file; - for standard input.")
        apply.add_argument(
            "--send-waiting", action="store_true", help="Also send the leads that wait for the file's routes."
        )

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        try:
            result = config.export() if verb == "export" else _apply(options["file"], options["send_waiting"])
        except VaultError as error:
            raise CommandError(str(error)) from error
        for note in result.notes:
            self.stderr.write(note, self.style.NOTICE)
        self.stdout.write(json.dumps(result.document, indent=2, ensure_ascii=False))


def _apply(file: str, send_waiting: bool) -> config.Result:
    try:
        source = _standard_input() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}.") from error
    try:
        return config.apply(source, clock.now(), send_waiting=send_waiting)
    except ConfigError as error:
        name = "standard input" if file == "-" else file
        raise CommandError(f"{name} cannot be applied; nothing was changed.\n{error}") from error


def _standard_input() -> bytes | str:
    return getattr(sys.stdin, "buffer", sys.stdin).read()
