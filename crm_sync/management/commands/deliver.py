"""The worker: routes leads and pushes them to their CRMs. Once, or until it is told to stop."""

import os
import signal
import socket
import time
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from crm_sync import clock, draining
from crm_sync.engine import crew, embedded
from crm_sync.models import Delivery, Worker
from leads.models import Lead

PAUSE = 0.2  # seconds between looks at what other workers do


class Command(BaseCommand):
    help = "Deliver leads until SIGTERM or Ctrl-C. `manage.py serve` runs this beside the web server."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--drain", action="store_true", help="Do once what a worker does, as for cron, and exit."
        )

    def handle(self, *args: Any, drain: bool, **options: Any) -> None:
        alone = settings.DELIVERY_ENGINE == "embedded"
        if drain:
            said = _drain_alone() if alone else _drain_beside_others()
            self.stdout.write(f"{said}, {Delivery.objects.owed().count()} still owed.")
        elif alone:
            _work_alone()
        else:
            _work_beside_others()


def _work_alone() -> None:
    with embedded.only_worker() as alone:
        if not alone:
            raise CommandError("A worker is at work on this data directory already.")
        engine = embedded.Engine()
        _stop_on_signal(engine.stop)
        engine.run()


def _work_beside_others() -> None:
    from crm_sync.engine import procrastinate  # installed where it is the engine

    engine = procrastinate.Engine()
    _stop_on_signal(engine.stop)
    engine.run()


def _stop_on_signal(stop: Callable[[], None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop())


def _name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _drain_alone() -> str:
    """Do it here, or, where a worker is at work already, wait until it has."""
    while True:
        with embedded.only_worker() as alone:
            if alone:
                embedded.take_back()
                return f"{crew.work_once(_name())} pushed"
        embedded.ring()
        if not _anything_due():
            return "The running worker did it"
        time.sleep(PAUSE)


def _anything_due() -> bool:
    at = clock.now()
    return (
        Lead.objects.unrouted().exists()
        or bool(draining.destinations_due(at))
        or Delivery.objects.in_flight(at).exists()
    )


def _drain_beside_others() -> str:
    """Do here what is due, and wait for what other workers that are alive have on its way."""
    pushed = crew.work_once(_name())
    while Delivery.objects.in_flight(clock.now()).exists() and Worker.objects.exists():
        time.sleep(PAUSE)
        pushed += crew.drain_once()
    return f"{pushed} pushed"
