"""Leads that wait for a CRM, by the thousand, as after an outage. Runs with a site's settings, on its database:

    python -m tests.benchmarks.backlog --offer backup --leads 2000 --in-flight 20

makes them, and has them sent as *send the 2,000 waiting* does, at most so many at once.
"""

import argparse
import os
import uuid
from typing import Any

BATCH = 1000


def make(offer_id: str, leads: int, in_flight: int) -> None:
    from django.utils import timezone

    from crm_sync import routing
    from crm_sync.models import Destination, Route
    from leads.models import Lead, Offer, Submission
    from tests.benchmarks.load import body

    now, offer = timezone.now(), Offer.objects.get(offer_id=offer_id)
    common: dict[str, Any] = {"offer": offer, "received_at": now}
    for first in range(0, leads, BATCH):
        marks = [uuid.uuid4().hex for _ in range(min(BATCH, leads - first))]
        submissions = Submission.objects.bulk_create(
            Submission(**common, body=body(mark), body_digest=mark, content_type="application/json")
            for mark in marks
        )
        Lead.objects.bulk_create(
            Lead(**common, **_values(mark), submission=submission, routed_at=now)
            for mark, submission in zip(marks, submissions, strict=True)
        )
    route = Route.objects.get(offer=offer)
    if in_flight:
        Destination.objects.filter(pk=route.destination_id).update(max_in_flight=in_flight)
    routing.send_waiting(route, now)


def _values(mark: str) -> dict[str, str]:
    from tests.benchmarks.load import DESCRIPTION

    return {
        "first_name": "Jane",
        "last_name": "Doe",
        "email": f"jane.{mark}@contoso.example",
        "phone": "+1 425 555 0134",
        "company": "Contoso Ltd",
        "title": "IT director",
        "country": "US",
        "lead_source": "AzureMarketplace-INS|contoso.backup",
        "source": "AzureMarketplace",
        "action": "INS",
        "offer_title": "Contoso Backup",
        "description": DESCRIPTION,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--offer", required=True)
    parser.add_argument("--leads", type=int, required=True)
    parser.add_argument("--in-flight", type=int, default=0)
    asked = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leadsite.settings")
    import django

    django.setup()
    make(asked.offer, asked.leads, asked.in_flight)


if __name__ == "__main__":
    main()
