"""Web server and worker under one supervisor."""

import json
import shlex
from argparse import ArgumentParser
from ipaddress import ip_address
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from leads.models import Endpoint
from leads.samples import sample_body
from leadsite import bootstrap, supervisor


class Command(BaseCommand):
    help = "Serve the site and deliver leads until SIGTERM or Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--bootstrap", action="store_true", help="First do what `bootstrap` does.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            taken = supervisor.port_is_taken(settings.HOST, settings.PORT)
        except OSError as error:
            raise CommandError(f"HOST={settings.HOST} PORT={settings.PORT}: {error.strerror}.") from error
        if taken:
            raise CommandError(
                f"Port {settings.PORT} on {settings.HOST} is taken. Stop what listens there, "
                f"or choose another: PORT={settings.PORT + 1} make run"
            )
        password = bootstrap.prepare(self.stdout) if options["bootstrap"] else ""

        def announce() -> None:
            self.stdout.write(announcement(password))
            self.stdout.flush()  # into a pipe or a file too, where Python would keep it until the end

        supervisor.run(settings.HOST, settings.PORT, on_ready=announce)


def announcement(password: str) -> str:
    """What the start ends with: where to sign in, and the first thing to try. `password` only where it is new."""
    account = (
        f"admin / {password}  (shown once; change it at first sign-in)"
        if password
        else "forgotten the password? .venv/bin/python manage.py bootstrap --reset-password"
    )
    lines = ["Ready. Ctrl-C stops it.", f"  Admin  {settings.PUBLIC_URL}/admin/  {account}"]
    usable = Endpoint.objects.open(timezone.now())
    endpoint = usable.order_by("-offer__is_demo", "offer_id", "-pk").first()
    if endpoint is None:
        lines.append(f"  URL    none yet: add an offer at {settings.PUBLIC_URL}/admin/leads/offer/add/")
    else:
        body = shlex.quote(json.dumps(sample_body("INS", endpoint.offer), separators=(",", ":")))
        lines += [
            f"  URL    {endpoint.url}",
            f"  Try    curl -H 'Content-Type: application/json' -d {body} {endpoint.url}",
            '         pasted again within 10 minutes: 200 "repeated"',
        ]
    if settings.PUBLIC_URL.startswith("https://"):
        lines.append(f"  Microsoft and your staff reach it at {settings.PUBLIC_URL} through your TLS proxy.")
    elif ip_address(settings.HOST).is_loopback:
        lines.append("  Only this computer can reach this. To go live: README")
    else:
        lines.append("  Microsoft needs a public https address. To go live: README")
    return "\n".join(lines)
