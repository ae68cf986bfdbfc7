"""Send a sample lead on the way that Microsoft's take, from the endpoint on."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from leads.intake import Received, accept
from leads.models import Offer, Submission
from leads.samples import KINDS, as_posted


class Command(BaseCommand):
    help = "Store a sample lead as if Microsoft had posted it; it goes where the offer's leads go."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--offer", default="", metavar="publisher.offer", help="Default: the only offer.")
        parser.add_argument("--action", default="INS", help=f"One of {', '.join(KINDS)}. Default: INS.")

    def handle(self, *args: Any, offer: str, action: str, **options: Any) -> None:
        kind = next((known for known in KINDS if known.casefold() == action.casefold()), None)
        if kind is None:
            raise CommandError(f"--action {action}: not one of {', '.join(KINDS)}.")
        chosen = _find_offer(offer)
        body = as_posted(kind, chosen)
        received = Received(body=body, content_type="application/json", announced=len(body))
        accepted = accept(chosen, received, origin=Submission.Origin.SAMPLE)
        self.stdout.write(f"{accepted.lead_id}")
        self.stderr.write(f"Sample lead {kind} stored for {chosen.slug}.")


def _find_offer(slug: str) -> Offer:
    offers = {offer.slug: offer for offer in Offer.objects.order_by("pk")}
    if not slug and len(offers) == 1:
        return next(iter(offers.values()))
    if slug not in offers:
        known = ", ".join(offers) or "none yet; add one in the admin"
        raise CommandError(f"--offer {slug or 'is needed'}: the offers are {known}.")
    return offers[slug]
