"""What must hold of the database after any fault: every acknowledged lead is stored, exactly once."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from uuid import UUID

from tests.drills.senders import Promises
from tests.e2e.conftest import Site

STORED = """
    SELECT s.body, s.id, s.verdict, s.times_received, l.id
    FROM leads_submission s LEFT JOIN leads_lead l ON l.submission_id = s.id WHERE s.origin IN ('endpoint', 'spool')
"""
# A POST is tried again on a fresh connection, and then spooled, when the database went away before it could say that
# it had committed: so it may count more than once, though it is stored once.
COUNTED = 3
ORPHANS = """
    SELECT count(*) FROM leads_lead l LEFT JOIN leads_submission s ON s.id = l.submission_id WHERE s.id IS NULL
"""


def problems(site: Site, promises: Promises) -> list[str]:
    """Every broken promise, in a sentence."""
    rows = defaultdict(list)
    for body, *row in site.rows(STORED):
        rows[bytes(body)].append(row)
    found = [*_broken(promises, rows), *_half_written(rows)]
    if orphans := site.rows(ORPHANS)[0][0]:
        found.append(f"{orphans} leads have no submission")
    if not site.settings.get("DATABASE_URL") and (said := site.rows("PRAGMA integrity_check")) != [("ok",)]:
        found.append(f"SQLite's integrity check says {said}")
    return found


def _broken(promises: Promises, rows: dict[bytes, list[list[object]]]) -> Iterator[str]:
    for body, answer in promises.acknowledged.items():
        stored = rows.get(body, [])
        if len(stored) != 1:
            yield f"{answer} was acknowledged and is stored {len(stored)} times"
            continue
        [[submission, _, times_received, lead]] = stored
        if "id" in answer and UUID(answer["id"]).hex != lead:
            yield f"{answer} was acknowledged, and its lead is {lead}"
        # A spooled copy of a body that was stored already, its answer lost, is counted on the first one's row.
        spooled = answer.get("status") == "spooled"
        if spooled and UUID(answer["submission"]).hex != submission and times_received == 1:
            yield f"{answer} was spooled and not taken in"
        if answer.get("status") == "repeated" and times_received == 1:
            yield f"{answer} was said to be repeated and is counted once"
    for body in rows.keys() & promises.sent.keys():
        times, sent = rows[body][0][2], promises.sent[body]
        if not isinstance(times, int) or times > sent * COUNTED:
            yield f"a body was sent {sent} times and counted {times} times"


def _half_written(rows: dict[bytes, list[list[object]]]) -> Iterable[str]:
    for body, stored in rows.items():
        if len(stored) > 1:
            yield f"{body[:80]!r} is stored {len(stored)} times"
        for submission, verdict, _, lead in stored:
            if (verdict == "lead") != (lead is not None):
                yield f"submission {submission} has the verdict {verdict} and the lead {lead}"
