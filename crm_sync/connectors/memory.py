"""What connectors remember between pushes, in this process: tokens, ids that were looked up, what a CRM can do.

A connector lives for one push, so what is dear to ask for is kept here. Nothing of it is needed: a new process asks
again.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")

MOST = 10_000  # entries; the oldest go first


class Busy(Exception):  # noqa: N818 - named for what happened
    """Somebody else asks for the same, and did not finish in time."""


@dataclass(slots=True)
class _Entry:
    asking: threading.Lock = field(default_factory=threading.Lock)
    known: bool = False
    value: Any = None
    until: float | None = None


class Memory:
    """Values by key, each asked for once however many threads want it. `clock`: seconds, monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, ask: Callable[[], tuple[T, float | None]], *, wait: float = 45.0) -> T:
        """What is known under this key, or what `ask` returns: a value and the seconds that it holds, None: for ever.

        While one thread asks, others wait, at most `wait` seconds. Raises Busy, and whatever `ask` raises, after which
        nothing is known.
        """
        entry = self._entry(key)
        if self._holds(entry):
            return entry.value
        if not entry.asking.acquire(timeout=max(wait, 0.0)):
            raise Busy
        try:
            if not self._holds(entry):
                value, seconds = ask()
                entry.value, entry.known = value, True
                entry.until = None if seconds is None else self._clock() + seconds
            return entry.value
        finally:
            entry.asking.release()

    def peek(self, key: Hashable) -> Any:
        """What is known under this key; None where nothing is. Asks nobody."""
        entry = self._entries.get(key)
        return entry.value if entry and self._holds(entry) else None

    def forget(self, key: Hashable, value: Any) -> None:
        """Know it no more, if it is still this value: another thread may have renewed it."""
        entry = self._entries.get(key)
        if entry and entry.value == value:
            entry.known = False

    def clear(self) -> None:
        """Know nothing."""
        with self._lock:
            self._entries.clear()

    def _entry(self, key: Hashable) -> _Entry:
        with self._lock:
            entry = self._entries.setdefault(key, _Entry())
            self._entries.move_to_end(key)
            if len(self._entries) > MOST:
                self._entries.popitem(last=False)
            return entry

    def _holds(self, entry: _Entry) -> bool:
        return entry.known and (entry.until is None or self._clock() < entry.until)


memory = Memory()
