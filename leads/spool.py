"""Leads that came while the database was away: each waits in a file of SPOOL_DIR until it can be taken in, once."""

import fcntl
import json
import logging
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError

from leads import intake, store, tally
from leads.models import Refusal, Submission, key_digest, new_id

logger = logging.getLogger(__name__)

WAITING, FAILED = ".lead", ".failed"
MICROSECONDS = 1_000_000


def is_on() -> bool:
    """Whether there is a SPOOL_DIR."""
    return settings.SPOOL_DIR is not None


def _directory() -> Path:
    return Path(settings.SPOOL_DIR or "")


def put(key: str, received: intake.Received, now: datetime) -> uuid.UUID:
    """Write a request into a file of its own, and return the id that its submission will have.

    It is on the disk when this returns. Raises OSError if it is not. The key itself is not written: its digest
    finds the endpoint later.
    """
    submission_id = new_id()
    head = {
        "id": str(submission_id),
        "key_digest": key_digest(key),
        "received_at": now.isoformat(),
        "content_type": received.content_type,
        "announced": received.announced,
        "headers": dict(received.headers or {}),
        "remote_addr": received.remote_addr,
    }
    # Named for its time: files are taken in by the order of their names.
    final = _directory() / f"{int(now.timestamp() * MICROSECONDS):020}-{submission_id}{WAITING}"
    part = final.with_suffix(".part")
    try:
        with open(part, "xb", opener=_for_us_alone) as file:
            file.write(json.dumps(head).encode() + b"\n" + received.body)
            file.flush()
            os.fsync(file.fileno())
        part.rename(final)
        _sync_directory(_directory())
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    return submission_id


def waiting() -> list[Path]:
    """The files that wait to be taken in, oldest first."""
    return sorted(_directory().glob(f"*{WAITING}")) if is_on() else []


def received_at(path: Path) -> datetime:
    """When the request of a file came, as its name says."""
    stamp = path.name.partition("-")[0]
    return datetime.fromtimestamp(int(stamp) / MICROSECONDS if stamp.isdecimal() else 0, UTC)


def failed() -> list[Path]:
    """The files that could not be taken in, for a reason other than the database's absence."""
    return sorted(_directory().glob(f"*{FAILED}")) if is_on() else []


def take_in() -> int:
    """Take in what waits, in order, each once, as if it had just come. Returns how many.

    Stops at the first sign that the database is still away. A file that cannot be taken in for any other reason is
    set aside, and holds up none behind it.
    """
    files = waiting()
    if not files:
        return 0
    with _only_one() as alone:
        taken = 0
        for path in files if alone else ():
            try:
                _take_in(path)
            except FileNotFoundError:
                continue  # another process took it between our look and our lock
            except (OperationalError, InterfaceError):
                logger.warning("The database is still away: %s spooled leads wait", len(files) - taken)
                break
            except Exception:
                logger.exception("Spooled lead %s cannot be taken in and is set aside", path.name)
                path.rename(path.with_suffix(FAILED))
            else:
                path.unlink()
                taken += 1
        return taken


def _take_in(path: Path) -> None:
    line, _, body = path.read_bytes().partition(b"\n")
    head: dict[str, Any] = json.loads(line)
    submission_id, received_at = uuid.UUID(head["id"]), datetime.fromisoformat(head["received_at"])
    if Submission.objects.filter(pk=submission_id).exists():
        return  # we died after its commit, and before its file was removed
    endpoint = store.endpoint_by_digest(head["key_digest"])
    if endpoint is None or not endpoint.is_open(received_at):
        # Strangers, whom nobody could tell from a sender while the database was away.
        if endpoint is None:
            tally.refused(Refusal.Reason.UNKNOWN_KEY)
        else:
            tally.refused(Refusal.Reason.CLOSED_KEY, endpoint.pk)
        return
    received = intake.Received(
        body=body,
        content_type=head["content_type"],
        announced=head["announced"],
        headers=head["headers"],
        remote_addr=head["remote_addr"],
    )
    intake.accept(
        endpoint.offer,
        received,
        endpoint=endpoint,
        origin=Submission.Origin.SPOOL,
        now=received_at,
        submission_id=submission_id,
    )
    tally.hit(endpoint.pk)


@contextmanager
def _only_one() -> Iterator[bool]:
    """Hold the right to take in; yields False if another process has it."""
    with (_directory() / "taking-in.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _for_us_alone(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _sync_directory(directory: Path) -> None:
    """Make a file's name last, too."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
