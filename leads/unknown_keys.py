"""Fields that Microsoft sent and this software does not know: counted for each offer, so that staff hear of them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice

from django.db import connection

from leads.models import Lead, UnknownKey

LONGEST_NAME = 200  # characters, as the column holds them; of a longer name the beginning
MOST_NAMES = 100  # an offer; whoever has its URL could send millions

# Added to in one statement, because several workers count at a time. Both databases read it the same way.
_ADD = """
    INSERT INTO leads_unknownkey (offer_id, name, leads, first_seen_at, last_seen_at)
    VALUES {rows}
    ON CONFLICT (offer_id, name) DO UPDATE
    SET leads = leads_unknownkey.leads + excluded.leads, last_seen_at = excluded.last_seen_at
"""


def count(leads: Sequence[Lead], now: datetime) -> None:
    """Remember the unknown fields of real leads: one statement, and one more for each offer that has any.

    What comes after the first MOST_NAMES names of an offer is not counted; workers that find new ones at the same
    moment may each add to that.
    """
    found = _found(leads)
    if not found:
        return
    known: dict[int, set[str]] = {}
    for offer_id, name in UnknownKey.objects.filter(offer__in=found).values_list("offer_id", "name"):
        known.setdefault(offer_id, set()).add(name)
    for offer_id in sorted(found):  # everywhere in one order, so that no two workers wait for each other
        names = _within_bounds(found[offer_id], known.get(offer_id, set()))
        if names:
            _add(offer_id, names, now)


def _found(leads: Iterable[Lead]) -> dict[int, Counter[str]]:
    """By offer: how many of the leads bring each name."""
    found: dict[int, Counter[str]] = {}
    for lead in leads:
        if lead.extra and not lead.is_test and not lead.is_sample:
            names = dict.fromkeys(name[:LONGEST_NAME] for name in lead.extra)  # in their order, each once
            found.setdefault(lead.offer_id, Counter()).update(names.keys())
    return found


def _within_bounds(names: Mapping[str, int], known: set[str]) -> dict[str, int]:
    """The names that are known already, and of the new ones as many as there is room for."""
    new = islice((name for name in names if name not in known), max(MOST_NAMES - len(known), 0))
    return {name: names[name] for name in (*(name for name in names if name in known), *new)}


def _add(offer_id: int, names: Mapping[str, int], now: datetime) -> None:
    moment = connection.ops.adapt_datetimefield_value(now)
    values = [value for name in sorted(names) for value in (offer_id, name, names[name], moment, moment)]
    with connection.cursor() as cursor:
        cursor.execute(_ADD.format(rows=", ".join(["(%s, %s, %s, %s, %s)"] * len(names))), values)
