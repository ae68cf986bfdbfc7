"""Django's SQLite backend, with writers taking turns outside the database.

SQLite lets one transaction write at a time, and lets the others wait by sleeping and asking again, ever longer, up to
a tenth of a second. Eight threads that do so starve one another: some wait for a second while others pass. So the
threads of a process take turns in memory, and the processes by a file lock that is asked for every half millisecond.
Whoever does not take part, such as a statement outside any transaction, still waits in SQLite's own way.
"""

import fcntl
import os
import threading
import time

from django.db import OperationalError
from django.db.backends.sqlite3 import base

INTERVAL = 0.0005  # seconds

_among_threads = threading.Lock()
_files: dict[tuple[int, str], int] = {}


class DatabaseWrapper(base.DatabaseWrapper):
    """Takes the turn before BEGIN IMMEDIATE, gives it back after COMMIT or ROLLBACK."""

    _turn: int | None = None

    def _start_transaction_under_autocommit(self) -> None:
        if not self.is_in_memory_db():
            self._turn = _take_turn(
                f"{self.settings_dict['NAME']}-turn", self.settings_dict["OPTIONS"]["timeout"]
            )
        try:
            super()._start_transaction_under_autocommit()  # type: ignore[misc]
        except BaseException:
            self._give_back()
            raise

    def commit(self) -> None:
        super().commit()
        self._give_back()

    def rollback(self) -> None:
        try:
            super().rollback()
        finally:
            self._give_back()

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._give_back()

    def _give_back(self) -> None:
        if (file := self._turn) is not None:
            self._turn = None
            fcntl.flock(file, fcntl.LOCK_UN)
            _among_threads.release()


def _take_turn(path: str, timeout: float) -> int:
    """Wait for the turn, at most `timeout` seconds. Raises OperationalError, as SQLite does."""
    deadline = time.monotonic() + timeout
    if not _among_threads.acquire(timeout=timeout):
        raise OperationalError("database is locked")
    try:
        # One file a process: a fork shares its parent's, and with it the lock.
        key = os.getpid(), path
        file = _files.get(key)
        if file is None:
            file = _files[key] = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise OperationalError("database is locked") from None
                time.sleep(INTERVAL)
            else:
                return file
    except BaseException:
        _among_threads.release()
        raise
