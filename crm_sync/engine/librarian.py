"""Makes leads searchable, behind all else that a worker does."""

import threading
import time
from collections.abc import Callable

from django.db import connection

from leads import searchable

EVERY = 2.0  # seconds between looks when nobody wakes it
LATER = 0.3  # seconds after leads came: what is on its way to a CRM goes first
SHARE = 4  # of its time it rests all but one part: a flood of leads needs the machine for intake


class Librarian(threading.Thread):
    """Writes what leads are found by, whenever it is woken and every two seconds. `survive` does what may fail."""

    def __init__(self, survive: Callable[[Callable[[], object]], None]) -> None:
        super().__init__(name="librarian", daemon=True)
        self._survive = survive
        self._woken, self._ended = threading.Event(), threading.Event()

    def wake(self) -> None:
        self._woken.set()

    def stop(self) -> None:
        self._ended.set()
        self._woken.set()

    def run(self) -> None:
        try:
            while not self._ended.is_set():
                if self._woken.wait(EVERY):
                    self._ended.wait(LATER)
                self._woken.clear()
                self._survive(self._work)
        finally:
            connection.close()

    def _work(self) -> None:
        owed = searchable.SLICE
        while owed == searchable.SLICE and not self._ended.is_set():
            started = time.monotonic()
            owed = searchable.fill()
            self._ended.wait((time.monotonic() - started) * (SHARE - 1))
