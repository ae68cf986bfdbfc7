"""Long pieces of work that a person starts: taken up by one worker at a time, slice by slice, wherever they stood.

A slice and the cursor that says so are written in one transaction, and only under the lease: whatever becomes of a
worker, the next one goes on where the last slice ended, and nothing is done twice. A job at which one worker after
another ends at the same place fails, until a person has it go on.
"""

import logging
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db import InterfaceError, OperationalError, close_old_connections, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from leads import ports
from leads.models import Job
from leads.ports import JobFailed, JobKind, Step

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=90)
AGAIN_AFTER = timedelta(seconds=10)  # when the database could not do a slice
MOST_TAKE_UPS = 5  # without getting on: what ends that many workers in a row ends the next one too
KEPT = timedelta(days=90)  # after its end, with its result
State = Job.State
OPEN = (State.WAITING, State.LEASED)
ENDED = (State.FINISHED, State.CANCELLED, State.FAILED)


def start(kind: str, arguments: dict[str, Any], user: Any) -> Job:
    """Have a piece of work done. Raises KeyError for a kind that nobody registered.

    `arguments["about"]`, where there is one, is the line by which people know it.
    """
    ports.ports.job_kinds[kind]
    job = Job.objects.create(kind=kind, arguments=arguments, created_by=user)
    transaction.on_commit(ports.ring)
    return job


def kind_of(job: Job) -> JobKind | None:
    """What a job's kind registered; None for one that this version does not have."""
    return ports.ports.job_kinds.get(job.kind)


# --- Cancel --------------------------------------------------------------------------------------------------


def may_cancel(job: Job) -> bool:
    """Whether cancelling would still do something: it is open, or its kind can take back what it did."""
    if job.cancel_requested_at or job.state == State.CANCELLED:
        return False
    kind = kind_of(job)
    return job.state in OPEN or bool(kind and kind.undo)


def cancel(job: Job, at: datetime | None = None) -> bool:
    """Ask for an end before the next slice. One that has ended is taken up again to be undone, if its kind can.

    Returns whether this call did it.
    """
    at = at or timezone.now()
    asked = Job.objects.filter(pk=job.pk, cancel_requested_at=None)
    never_begun = asked.filter(state=State.WAITING, started_at=None)
    if never_begun.update(state=State.CANCELLED, cancel_requested_at=at, finished_at=at):
        return True
    done = asked.filter(state__in=OPEN).update(cancel_requested_at=at, taken_up=0)
    if not done and (kind := kind_of(job)) and kind.undo:
        ended = asked.filter(state__in=[State.FINISHED, State.FAILED])
        done = ended.update(state=State.WAITING, cancel_requested_at=at, finished_at=None, taken_up=0)
    if done:
        transaction.on_commit(ports.ring)
    return bool(done)


# --- Go on ---------------------------------------------------------------------------------------------------


def may_go_on(job: Job) -> bool:
    """Whether a person can have it go on: it failed, and what made it fail may be mended by now."""
    return job.state == State.FAILED and kind_of(job) is not None


def go_on(job: Job) -> bool:
    """Have a job that failed taken up where it stood. Returns whether this call did it."""
    if kind_of(job) is None:
        return False
    failed = Job.objects.filter(pk=job.pk, state=State.FAILED)
    done = failed.update(state=State.WAITING, error="", finished_at=None, taken_up=0)
    if done:
        transaction.on_commit(ports.ring)
    return bool(done)


# --- Work ----------------------------------------------------------------------------------------------------


def work(worker: str, *, stopping: Callable[[], bool], now: Callable[[], datetime] = timezone.now) -> bool:
    """Take up one job and work on it until it has ended or `stopping()`. Returns whether there was one.

    For any number of workers; `now` must be a clock that they share.
    """
    job = _claim(now())
    if job is None:
        return False
    if job.taken_up > MOST_TAKE_UPS:
        _give_up(job, now())
        return True
    kind = ports.ports.job_kinds[job.kind]
    logger.info("Job %s (%s): taken up by %s at %s", job.pk, job.kind, worker, job.done)
    try:
        while not stopping():
            if not _slice(job, kind, now):
                return True
        _let_go(job)
    except (OperationalError, InterfaceError):
        # A lock, a deadlock, a database that restarts: no fault of the job's.
        logger.exception("Job %s (%s): the database failed; it goes on later", job.pk, job.kind)
        _come_back(job, now)
    except Exception as error:
        logger.exception("Job %s (%s) failed at %s of %s", job.pk, job.kind, job.done, job.total)
        _fail(job, error, now())
    return True


def waiting(at: datetime) -> QuerySet[Job]:
    """Jobs to take up, oldest first: nobody works on them, or whoever did let the lease run out."""
    open_ = Job.objects.filter(Q(state=State.WAITING) | Q(state=State.LEASED, lease_expires_at__lte=at))
    return open_.filter(kind__in=list(ports.ports.job_kinds)).order_by("id")


def _claim(at: datetime) -> Job | None:
    if not waiting(at).exists():  # without SQLite's write lock, which would be taken at every sweep
        return None
    with transaction.atomic():
        job = waiting(at).select_for_update(skip_locked=True).first()
        if job is None:
            return None
        token = uuid.uuid4()
        taken = Job.objects.filter(pk=job.pk, state=job.state, lease_token=job.lease_token).update(
            state=State.LEASED,
            lease_token=token,
            lease_expires_at=at + LEASE,
            started_at=job.started_at or at,
            taken_up=job.taken_up + 1,
        )
        if not taken:
            return None
        job.refresh_from_db()
    return job


def _slice(job: Job, kind: JobKind, now: Callable[[], datetime]) -> bool:
    """One slice, with the cursor that says so. Returns whether there is more for this worker to do."""
    found = None if job.cancel_requested_at else kind.prepare(job)
    with transaction.atomic():
        held = Job.objects.select_for_update().filter(pk=job.pk, lease_token=job.lease_token).first()
        if held is None:
            logger.warning("Job %s (%s): another worker has it by now", job.pk, job.kind)
            return False
        at = now()
        if held.cancel_requested_at and not job.cancel_requested_at:
            job.cancel_requested_at = held.cancel_requested_at
            return True  # what was prepared is not done
        step = _undone(job, kind, at) if job.cancel_requested_at else kind.step(job, found, at)
        job.cursor, job.done, job.total = step.cursor, step.done, step.total
        job.result = job.result if step.result is None else step.result
        job.lease_expires_at, job.taken_up = at + LEASE, 1  # by this worker, where it stands now
        if step.finished:
            _end(job, State.CANCELLED if job.cancel_requested_at else State.FINISHED, at)
        job.save(update_fields=_WRITTEN)
    return not step.finished


_WRITTEN = (
    "cursor",
    "done",
    "total",
    "result",
    "state",
    "error",
    "lease_token",
    "lease_expires_at",
    "taken_up",
    "finished_at",
)


def _undone(job: Job, kind: JobKind, at: datetime) -> Step:
    if kind.undo is None:
        return Step(job.cursor, job.done, job.total, finished=True)
    return kind.undo(job, at)


def _end(job: Job, state: str, at: datetime) -> None:
    job.state, job.finished_at = state, at
    job.lease_token = job.lease_expires_at = None


def _let_go(job: Job) -> None:
    """This worker stops: the next may have it at once."""
    Job.objects.filter(pk=job.pk, lease_token=job.lease_token).update(
        state=State.WAITING, lease_token=None, lease_expires_at=None, taken_up=_unharmed(job)
    )
    ports.ring()


def _come_back(job: Job, now: Callable[[], datetime]) -> None:
    close_old_connections()
    try:
        Job.objects.filter(pk=job.pk, lease_token=job.lease_token).update(
            lease_expires_at=now() + AGAIN_AFTER, taken_up=_unharmed(job)
        )
    except (OperationalError, InterfaceError):
        logger.info("Job %s: taken up again when its lease has run out", job.pk)


def _unharmed(job: Job) -> int:
    """How many workers took it up in vain, but for this one, which lives."""
    return max(job.taken_up - 1, 0)


def _give_up(job: Job, at: datetime) -> None:
    logger.error("Job %s (%s): %s workers ended at %s", job.pk, job.kind, MOST_TAKE_UPS, job.done)
    why = _("Its worker ended %(number)s times at the same place, so it is not taken up again by itself.")
    todo = _("Have somebody look into the server's log, then press “Go on”.")
    _end_failed(job, why % {"number": MOST_TAKE_UPS}, todo, at)


def _fail(job: Job, error: Exception, at: datetime) -> None:
    """Nothing of the slice that failed was written; what went before stays done."""
    if isinstance(error, JobFailed):
        _end_failed(job, str(error), "", at)
    else:
        where = _("The server's log has the details; please report it.")
        _end_failed(job, _("An error of this software stopped it."), where, at)


def _end_failed(job: Job, why: str, todo: str, at: datetime) -> None:
    so_far = f"{job.done:,}"
    if job.total:
        so_far = _("%(done)s of %(total)s") % {"done": so_far, "total": f"{job.total:,}"}
    stays = _("Done by then: %(done)s; that stays.") % {"done": so_far}
    Job.objects.filter(pk=job.pk, lease_token=job.lease_token).update(
        state=State.FAILED,
        error=f"{why} {stays} {todo}".strip(),
        lease_token=None,
        lease_expires_at=None,
        finished_at=at,
    )


# --- Old ones ------------------------------------------------------------------------------------------------


def prune(now: datetime) -> int:
    """Delete jobs that ended more than KEPT ago, with their results, one at a time. Returns how many."""
    old = Job.objects.filter(state__in=ENDED, finished_at__lt=now - KEPT).defer("cursor", "result")
    return sum(_forget(old, pk) for pk in list(old.values_list("pk", flat=True)))


def _forget(old: QuerySet[Job], pk: int) -> bool:
    with transaction.atomic():
        job = old.select_for_update().filter(pk=pk).first()  # unless a person has just had it go on
        if job is not None:
            job.delete()
    return job is not None
