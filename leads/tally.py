"""Counts of requests: what was refused, and what reached each endpoint URL.

They live in the memory of the process and are written every two seconds, so that a request costs no query for them
and a flood costs no more than a trickle. A killed process takes the counts of its last seconds with it; leads are
counted elsewhere, by their rows.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing.util import Finalize

from django.db import connection, transaction
from django.db.models import DateTimeField, F, Value
from django.db.models.functions import Coalesce, Greatest

from leads.models import Endpoint, Refusal

logger = logging.getLogger(__name__)

INTERVAL = 2.0  # seconds from a count to its row
MOST = 5_000  # refusals that differ in minute, reason or URL, while they cannot be written: most of a day
KEPT = timedelta(days=30)
EXIT_PATIENCE = 5.0  # seconds that the end of a process waits for a write that is under way

Key = tuple[int, str, int | None]  # minute since 1970, reason, id of the endpoint


@dataclass(slots=True)
class Counts:
    """What is not written yet. `hits`, by endpoint: how many, and when the last came, in seconds since 1970."""

    refused: dict[Key, int] = field(default_factory=dict)
    hits: dict[int, tuple[int, float]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.refused or self.hits)

    def refuse(self, key: Key, times: int = 1) -> None:
        self.refused[key] = self.refused.get(key, 0) + times
        if len(self.refused) > MOST:
            del self.refused[next(iter(self.refused))]  # the oldest: help is asked about the last minutes

    def hit(self, endpoint_id: int, at: float, times: int = 1) -> None:
        # Only as many as the table has rows.
        before, last = self.hits.get(endpoint_id, (0, at))
        self.hits[endpoint_id] = before + times, max(last, at)

    def add(self, later: "Counts") -> None:
        for key, times in later.refused.items():
            self.refuse(key, times)
        for endpoint_id, (times, last) in later.hits.items():
            self.hit(endpoint_id, last, times)


class Ledger:
    """Writes counts into the tables, in one short transaction.

    It remembers its rows of the last minute: so a process writes one row a minute, reason and URL, not thirty.
    """

    def __init__(self) -> None:
        self._rows: dict[Key, int] = {}

    def __call__(self, counts: Counts) -> None:
        with transaction.atomic():
            refused = self._still_there(counts.refused)
            new = {key: times for key, times in refused.items() if not self._raise(key, times)}
            rows = Refusal.objects.bulk_create([_row(key, times) for key, times in new.items()])
            # In the order of ids, as rotation does it: no deadlock.
            for endpoint_id, (times, last) in sorted(counts.hits.items()):
                _count_hits(endpoint_id, times, datetime.fromtimestamp(last, UTC))
        # Only now: what was rolled back is no row.
        self._remember(refused, zip(new, rows, strict=True))

    def _still_there(self, refused: dict[Key, int]) -> dict[Key, int]:
        """Without those of endpoints that were deleted since, which no row can refer to."""
        named = {endpoint_id for _, _, endpoint_id in refused if endpoint_id is not None}
        known = set(Endpoint.objects.filter(pk__in=named).values_list("pk", flat=True)) if named else set()
        return {key: times for key, times in refused.items() if key[2] is None or key[2] in known}

    def _raise(self, key: Key, times: int) -> int:
        row = self._rows.get(key)
        return Refusal.objects.filter(pk=row).update(times=F("times") + times) if row else 0

    def _remember(self, refused: dict[Key, int], new: Iterable[tuple[Key, Refusal]]) -> None:
        latest = max((minute for minute, _, _ in refused), default=0)
        self._rows |= {key: row.pk for key, row in new}
        self._rows = {key: row for key, row in self._rows.items() if key[0] >= latest}


def _row(key: Key, times: int) -> Refusal:
    minute, reason, endpoint_id = key
    at = datetime.fromtimestamp(minute * 60, UTC)
    return Refusal(minute=at, reason=reason, endpoint_id=endpoint_id, times=times)


def _count_hits(endpoint_id: int, times: int, last: datetime) -> None:
    at = Value(last, output_field=DateTimeField())
    # Another process may have written a later one already.
    latest = Greatest(Coalesce("last_hit_at", at), at)
    Endpoint.objects.filter(pk=endpoint_id).update(hits=F("hits") + times, last_hit_at=latest)


class Tally:
    """Counts in memory, and writes from a thread that lives only while there is something to write.

    So an idle process keeps neither a thread nor a database connection for it. `interval` None: only `flush` writes.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        interval: float | None = INTERVAL,
        ledger: Callable[[], Callable[[Counts], None]] = Ledger,
    ) -> None:
        self._clock, self._interval, self._ledger = clock, interval, ledger
        self._write = ledger()
        self._counts = Counts()
        self._counting, self._writing = threading.Lock(), threading.Lock()
        self._writer: threading.Thread | None = None
        self._flushes_at_exit = self._failing = False

    def again(self) -> "Tally":
        """One that is set up alike and has counted nothing."""
        return Tally(clock=self._clock, interval=self._interval, ledger=self._ledger)

    def refused(self, reason: str, endpoint_id: int | None = None) -> None:
        """Count a request that was refused, at the endpoint whose key it had, if any had."""
        with self._counting:
            self._counts.refuse((int(self._clock() // 60), str(reason), endpoint_id))
            self._see_to_writing()

    def hit(self, endpoint_id: int) -> None:
        """Count a request that an endpoint took."""
        with self._counting:
            self._counts.hit(endpoint_id, self._clock())
            self._see_to_writing()

    def flush(self) -> None:
        """Write what was counted. If that fails it stays in memory; raises what the database raised.

        Of a connection that breaks while it commits nobody knows whether it did: those counts are written again.
        """
        with self._writing:
            with self._counting:
                counts, self._counts = self._counts, Counts()
            if not counts:
                return
            try:
                self._write(counts)
            except BaseException:
                with self._counting:
                    counts.add(self._counts)
                    self._counts = counts
                raise

    def _see_to_writing(self) -> None:
        """Have a thread that writes. The caller holds `_counting`."""
        if self._interval is None or self._writer is not None:
            return
        if not self._flushes_at_exit:
            self._flushes_at_exit = True
            # Not atexit: the web server's processes are multiprocessing's, which end without it. This serves both.
            Finalize(None, self._flush_at_exit, exitpriority=0)
        writer = threading.Thread(target=self._write_until_done, name="tally", daemon=True)
        try:
            writer.start()
        except RuntimeError:  # no more threads, or the process ends: the next count tries again
            return
        self._writer = writer

    def _write_until_done(self) -> None:
        try:
            while self._is_owing():
                time.sleep(self._interval or 0)
                self._try_to_flush()
        finally:
            connection.close()

    def _is_owing(self) -> bool:
        with self._counting:
            if not self._counts:
                self._writer = None  # under the lock: whoever counts next starts another
            return bool(self._counts)

    def _try_to_flush(self) -> None:
        try:
            self.flush()
        except Exception:
            if not self._failing:  # once an outage, not every two seconds of it
                logger.warning("Counts of requests cannot be written; they are kept in memory", exc_info=True)
            self._failing = True
            connection.close()
        else:
            self._failing = False

    def _flush_at_exit(self) -> None:
        if self._writing.acquire(timeout=EXIT_PATIENCE):
            self._writing.release()
            self._try_to_flush()
            connection.close()


_tally = Tally()


def _start_anew() -> None:
    """After a fork: the counts so far are the parent's to write, and its thread did not come along."""
    global _tally
    _tally = _tally.again()


os.register_at_fork(after_in_child=_start_anew)


def refused(reason: str, endpoint_id: int | None = None) -> None:
    """Count a request that was refused. Never raises, and asks no database."""
    _tally.refused(reason, endpoint_id)


def hit(endpoint_id: int) -> None:
    """Count a request that an endpoint took, whether a lead or not. Never raises, and asks no database."""
    _tally.hit(endpoint_id)


def flush() -> None:
    """Write what this process has counted, for tests and for whoever cannot wait two seconds."""
    _tally.flush()


def prune(now: datetime) -> int:
    """Forget refusals that are more than 30 days old. Returns how many rows."""
    return Refusal.objects.filter(minute__lt=now - KEPT).delete()[0]
