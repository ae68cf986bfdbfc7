"""Works on one destination while anything is due: claims, pushes, settles."""

import itertools
import logging
import queue
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime

from django.db import DatabaseError, close_old_connections, transaction
from django.db.models import Exists, OuterRef, Q

from crm_sync import claiming, clock, delivery, health, limits
from crm_sync.models import Delivery, Destination, DestinationState
from crm_sync.pushing import Claim, Push, Result, prepare, push, push_many

logger = logging.getLogger(__name__)

SETTLE_AGAIN = 1.0  # seconds until the database is tried again with what could not be written down
_LEASE = claiming.LEASE.total_seconds()


def destinations_due(at: datetime) -> set[int]:
    """Ids of destinations that have something due and may be sent to, or are stopped and due for a check."""
    ready = DestinationState.objects.exclude(state=DestinationState.State.PAUSED).exclude(until__gt=at)
    with_work = Exists(Delivery.objects.due(at).filter(destination_id=OuterRef("pk")).order_by())
    return set(ready.filter(Q(state=DestinationState.State.STOPPED) | with_work).values_list("pk", flat=True))


@dataclass(frozen=True, slots=True)
class _Given:
    """Leases that somebody else took for this drain, and the slots that he reserved for them."""

    leases: Sequence[Claim]
    slots: int


@dataclass(frozen=True, slots=True)
class _Ended:
    """A call that is over: what was pushed in it, and what became of each."""

    pushes: Sequence[Push]
    results: Sequence[Result]


class Drain:
    """Works on one destination while anything is due: claims, pushes concurrently, settles.

    One thread, that of `run`, talks to the database; the executor's threads only push. A slot is a call under way.
    From any thread: `wake()` makes it look again while pushes are under way, `give()` hands it leases that were
    taken elsewhere, `stop()` makes it claim nothing more and settle what is on its way.
    """

    def __init__(
        self,
        destination_id: int,
        executor: Executor,
        *,
        slots: int,
        worker: str = "",
        clock: Callable[[], datetime] = clock.now,
    ) -> None:
        self.destination_id, self.executor, self.slots = destination_id, executor, slots
        self.worker, self.clock = worker, clock
        self.under_way = self._reserved = 0  # calls, and slots kept free for leases that will be given
        self._counting = threading.Lock()
        self._inbox: queue.SimpleQueue[_Given | _Ended | None] = queue.SimpleQueue()
        self._known: claiming.Rows = {}
        self._look = False
        self._again: datetime | None = None
        self._unsettled: list[tuple[Claim, delivery.Settlement]] = []
        self._given_up: dict[uuid.UUID, float] = {}  # when, on the monotonic clock, by the token of the lease
        self._numbers = itertools.count()
        self._stopping = False

    # From any thread

    def wake(self) -> None:
        self._inbox.put(None)

    def stop(self) -> None:
        self._stopping = True
        self.wake()

    def reserve(self) -> int:
        """Take every free slot, for leases that `give` will bring. Returns how many."""
        with self._counting:
            free = 0 if self._stopping else max(0, self._free)
            self._reserved += free
        return free

    def give(self, leases: Sequence[Claim], slots: int) -> None:
        """Push these, and free the rest of the reserved slots."""
        if leases:
            self._inbox.put(_Given(leases, slots))
        else:
            self._count(reserved=-slots)

    @property
    def _free(self) -> int:
        return self.slots - self.under_way - self._reserved

    # The thread that works

    def run(self, *, look: bool = True) -> int:
        """Work until nothing is due or under way. Returns how many pushes were settled.

        `look`: claim what is due, woken or not.
        """
        self._look = look
        settled = self._turn(self._take_in(block=False))  # what was given goes first: somebody waits for it
        while self.under_way or self._unsettled or self._again is not None:
            settled += self._turn(self._take_in(block=True))
        return settled

    def _turn(self, ended: Sequence[_Ended]) -> int:
        """Settle what has ended and fill the slots again. Returns how many were settled."""
        self._collect(ended)
        looks = self._look and not self._stopping
        if not self._unsettled or not looks:
            settled = self._write_down()
        else:
            settled, claimed = self._settle_and_claim()
            looks = self._hand_out(claimed) if claimed else self._look
        if looks:
            self._claim_all()
        return settled

    def _settle_and_claim(self) -> tuple[int, claiming.Claimed | None]:
        """Both in one transaction: two would cost the time of two, and the slots are empty meanwhile."""
        waiting, self._unsettled = self._unsettled, []
        try:
            with transaction.atomic():
                at = self.clock()
                self._settle_together(waiting, at)
                claimed = self._claim(at)
        except Exception:
            # Whichever of the two it was: what has ended is written down first, and then it looks again.
            self._unsettled, self._look = waiting, True
            return self._write_down(), None
        return len(waiting), claimed

    def _claim_all(self) -> None:
        """Claim and hand out as many pushes as there are slots."""
        while not self._stopping and (claimed := self._claim(self.clock())) is not None:
            if not self._hand_out(claimed):
                return

    def _claim(self, at: datetime) -> claiming.Claimed | None:
        """Claim for every free slot; None where there is none."""
        if (free := self._free) <= 0:
            return None
        self._look, self._again = False, None
        claimed = claiming.claim(self.destination_id, free, at=at, worker=self.worker, known=self._known)
        self._look, self._again = claimed.more, claimed.again
        return claimed

    def _hand_out(self, claimed: claiming.Claimed) -> bool:
        """Start what was claimed. Returns whether to claim again at once."""
        if claimed.check:
            self._check()
            return True
        all_left = self._start(claimed.leases)
        return claimed.more and bool(claimed.leases) and (claimed.room or not all_left)

    def _check(self) -> None:
        """Test a stopped destination. Either it is no longer stopped then, or it waits for its next check."""
        health.check(Destination.objects.get(pk=self.destination_id), at=self.clock())

    def _start(self, leases: Sequence[Claim]) -> bool:
        """Start a call for each lease, or one for all of them. Returns whether each had something to send."""
        prepared = [(lease, prepare(lease)) for lease in leases]
        ready = [item for _, item in prepared if isinstance(item, Push)]
        self._unsettled += [
            (lease, delivery.Settlement(lease.token, item))
            for lease, item in prepared
            if not isinstance(item, Push)
        ]
        self._write_down()
        calls = _calls(ready)
        self._count(calls=len(calls))
        for call in calls:
            self.executor.submit(self._push, call)
        return len(ready) == len(prepared)

    def _push(self, pushes: Sequence[Push]) -> None:
        results = [push(pushes[0])] if len(pushes) == 1 else push_many(pushes)
        self._inbox.put(_Ended(pushes, results))

    def _take_in(self, *, block: bool) -> list[_Ended]:
        """What has ended. Waits for the first news, or until the limit a second lets the next call go."""
        ended = []
        for item in self._news(block=block):
            if isinstance(item, _Ended):
                ended.append(item)
            elif isinstance(item, _Given):
                self._start(item.leases)
                self._count(reserved=-item.slots)
            else:
                self._look = True
        return ended

    def _news(self, *, block: bool) -> Iterable[_Given | _Ended | None]:
        if block:
            try:
                yield self._inbox.get(timeout=self._patience())
            except queue.Empty:
                self._again = None
                yield None
        while not self._inbox.empty():
            yield self._inbox.get()

    def _collect(self, ended: Sequence[_Ended]) -> None:
        self._count(calls=-len(ended))
        for call in ended:
            number = next(self._numbers)
            self._unsettled += [
                (ready.claim, _settlement(ready, result, number))
                for ready, result in zip(call.pushes, call.results, strict=True)
            ]

    def _write_down(self) -> int:
        """Settle everything together or, where that fails, each by itself; what fails then waits for its next turn."""
        waiting, self._unsettled = self._unsettled, []
        if not waiting:
            return 0
        try:
            self._settle_together(waiting, self.clock())
        except Exception:
            logger.warning("Settling %s sendings failed; trying each by itself", len(waiting), exc_info=True)
            close_old_connections()
        else:
            self._given_up.clear()
            return len(waiting)
        return sum(self._write_down_alone(*item) for item in waiting)

    def _settle_together(self, waiting: Sequence[tuple[Claim, delivery.Settlement]], at: datetime) -> None:
        in_order = sorted(
            waiting, key=lambda item: item[0].delivery.pk
        )  # the order in which people lock them
        settlements = [settlement for _, settlement in in_order]
        delivery.settle_all(self.destination_id, settlements, at=at)

    def _write_down_alone(self, lease: Claim, settlement: delivery.Settlement) -> bool:
        try:
            delivery.settle_all(self.destination_id, [settlement], at=self.clock())
        except DatabaseError:
            close_old_connections()
            self._put_off(lease, settlement)
            return False
        except Exception:
            # The lease runs out, and the idempotent path finds the record.
            logger.exception("What became of sending %s could not be written down", lease.delivery.pk)
            return False
        self._given_up.pop(lease.token, None)
        return True

    def _put_off(self, lease: Claim, settlement: delivery.Settlement) -> None:
        """Keep what is known until the database is back, as long as the lease is ours."""
        if time.monotonic() < self._given_up.setdefault(lease.token, time.monotonic() + _LEASE):
            self._unsettled.append((lease, settlement))
        else:
            del self._given_up[lease.token]
            logger.error("What became of sending %s could not be written down in time", lease.delivery.pk)

    def _patience(self) -> float | None:
        """Seconds to wait for news at the longest."""
        waits = [SETTLE_AGAIN] if self._unsettled else []
        if self._again is not None:
            waits.append(max((self._again - self.clock()).total_seconds(), 0.001))
        return min(waits, default=None)

    def _count(self, *, calls: int = 0, reserved: int = 0) -> None:
        with self._counting:
            self.under_way += calls
            self._reserved += reserved


def _settlement(ready: Push, result: Result, call: int) -> delivery.Settlement:
    lease = ready.claim
    return delivery.Settlement(lease.token, result, ready.recorder.exchanges, call, lease.delivery)


def _calls(ready: Sequence[Push]) -> list[Sequence[Push]]:
    """What goes into each call: one lead, or all of them where the connector takes batches."""
    if ready and limits.batch_size(ready[0].claim.delivery.destination) > 1:
        return [ready]
    return [[item] for item in ready]
