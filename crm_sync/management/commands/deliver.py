"""The worker: routes leads and pushes them to their CRMs."""

import signal
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from crm_sync import delivery
from crm_sync.engine import embedded
from crm_sync.models import Delivery
from leads.models import Lead


class Command(BaseCommand):
    help = "Deliver leads until SIGTERM or Ctrl-C. `manage.py serve` runs this beside the web server."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--drain", action="store_true", help="Push what is due and exit.")

    def handle(self, *args: Any, drain: bool, **options: Any) -> None:
        if drain:
            self._drain()
            return
        with embedded.only_worker() as alone:
            if not alone:
                raise CommandError("A worker is at work on this data directory already.")
            engine = embedded.Engine()
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: engine.stop())
            engine.run()

    def _drain(self) -> None:
        """Do it here, or, where a worker is at work already, wait until it has."""
        while True:
            with embedded.only_worker() as alone:
                if alone:
                    embedded.take_back()
                    settled = embedded.drain_once()
                    self.stdout.write(f"{settled} pushed, {Delivery.objects.owed().count()} still owed.")
                    return
            embedded.ring()
            if not _anything_due():
                self.stdout.write(f"The running worker did it, {Delivery.objects.owed().count()} still owed.")
                return
            time.sleep(0.2)


def _anything_due() -> bool:
    at = delivery.now()
    return (
        Lead.objects.unrouted().exists()
        or bool(delivery.destinations_due(at))
        or Delivery.objects.in_flight(at).exists()
    )
