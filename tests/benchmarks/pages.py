"""Times pages of the admin in this process, as somebody who may see everything gets them. Prints JSON.

    DATABASE_URL=... python -m tests.benchmarks.pages --leads 1000000

migrates the database and fills it, then asks for each page of CASES several times: milliseconds by name, whole
requests through Django's test client. `--there` leaves out the first two.
"""

import argparse
import json
import os
import re
import statistics
import sys
import time
from html import unescape
from typing import Any

ROUNDS = 9
LEADS, CUSTOMERS = "/admin/leads/lead/?view=all", "/admin/leads/customer/"
REQUESTS, SENDINGS = "/admin/leads/submission/", "/admin/crm_sync/delivery/"


def cases(leads: int) -> dict[str, str]:
    """Addresses by name. The first six are the issue's; the others are what lists offer besides."""
    from django.contrib.auth.models import User

    from leads.models import Offer
    from tests.benchmarks import fill

    owner = User.objects.get(username="filled-0").pk
    offer = dict(Offer.objects.values_list("offer_id", "pk"))
    return {
        "first": LEADS,
        "next": "",  # found on the first one
        "search_frequent": f"{LEADS}&q={fill.FREQUENT}",
        "search_rare": f"{LEADS}&q={fill.rare(leads)}",
        "search_none": f"{LEADS}&q=zzyzxnobody",
        "filter_offer": f"{LEADS}&offer__id__exact={offer['filled-3']}",
        "needs_me": "/admin/leads/lead/?view=needs_me",
        "oldest": f"{LEADS}&before=end",
        "search_everywhere": f"{LEADS}&q={fill.EVERYWHERE}",
        "search_clumped": f"{LEADS}&q={fill.CLUMPED}",
        "search_two_words": f"{LEADS}&q=jane+{fill.FREQUENT[:8]}",
        "search_short": f"{LEADS}&q=zz",
        "filter_rare_offer": f"{LEADS}&offer__id__exact={offer['filled-30']}",
        "filter_state": f"{LEADS}&status__exact=working",
        "filter_new": f"{LEADS}&status__exact=new",
        "filter_action": f"{LEADS}&action=DNC",
        "filter_no_action": f"{LEADS}&action=none",
        "filter_source": f"{LEADS}&source=portal",
        "filter_other_source": f"{LEADS}&source=other",
        "filter_tests": f"{LEADS}&kind=test",
        "filter_samples": f"{LEADS}&kind=sample",
        "filter_dates": f"{LEADS}&received=quarter",
        "filter_owner": f"{LEADS}&owner={owner}",
        "filter_country": f"{LEADS}&country=NO",
        "filter_rare_country": f"{LEADS}&country=IS",
        "filter_unanswered": f"{LEADS}&answer=open",
        "filter_late": f"{LEADS}&answer=late",
        "filter_follow_up": f"{LEADS}&follow_up=due",
        "filter_archived": f"{LEADS}&archived=only",
        "filter_repeated": f"{LEADS}&repeat=request",
        "filter_returning": f"{LEADS}&repeat=customer",
        "filter_rejected": f"{LEADS}&sending=rejected",
        "filter_delivered": f"{LEADS}&sending=delivered",
        "filter_unsent": f"{LEADS}&sending=none",
        "customers": CUSTOMERS,
        "customers_search": f"{CUSTOMERS}?q={fill.rare(leads)}",
        "customers_search_frequent": f"{CUSTOMERS}?q={fill.FREQUENT}",
        "quarantine": REQUESTS,
        "quarantine_search": f"{REQUESTS}?q=email",
        "quarantine_everything": f"{REQUESTS}?verdict=all",
        "quarantine_discarded": f"{REQUESTS}?verdict=discarded",
        "sendings": SENDINGS,
        "sendings_rejected": f"{SENDINGS}?state=rejected",
        "sendings_search": f"{SENDINGS}?q={fill.rare(leads)}",
        "sendings_offer": f"{SENDINGS}?offer={offer['filled-30']}",
        "offers": "/admin/leads/offer/",
        "home": "/admin/",
        "reports": "/admin/reports/",
    }


def measure(leads: int) -> dict[str, float]:
    from django.contrib.auth.models import User
    from django.test import Client

    who = User.objects.get_or_create(username="reader", is_staff=True, is_superuser=True)[0]
    client = Client(SERVER_NAME="localhost")
    client.force_login(who)
    asked, found = cases(leads), {}
    older = re.search(r'<a href="([^"]*)" rel="next">', client.get(LEADS).content.decode())
    asked["next"] = LEADS.partition("?")[0] + unescape(older[1] if older else "")
    for name, address in asked.items():
        _ask(client, address)  # its plans and pages are in memory where somebody looks every minute
        found[name] = statistics.median(_ask(client, address) for _ in range(ROUNDS))
    return found


def _ask(client: Any, address: str) -> float:
    started = time.perf_counter()
    response = client.get(address)
    took = (time.perf_counter() - started) * 1000
    if response.status_code != 200:
        raise RuntimeError(f"{address} was answered with {response.status_code}")
    return took


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--leads", type=int, required=True)
    parser.add_argument("--there", action="store_true")
    asked = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django
    from django.core.management import call_command

    django.setup()
    from django.conf import settings

    from tests.benchmarks import fill

    settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
    if not asked.there:
        call_command("migrate", verbosity=0)
        fill.fill(asked.leads)
    json.dump(measure(asked.leads), sys.stdout)


if __name__ == "__main__":
    main()
