"""Rate guards of one process: token buckets in memory. They count abuse; they never slow a real sender."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable


class Buckets:
    """One token bucket per key: `rate` tokens a second, at most `burst` at once.

    The least recently used buckets beyond `size` are forgotten, so that a flood of keys costs bounded memory.
    """

    def __init__(
        self, rate: float, burst: float, *, size: int = 10_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.rate, self.burst, self.size, self.clock = rate, burst, size, clock
        self._levels: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: Hashable) -> float:
        """Take one token. Returns 0.0 if there was one, else the seconds until there will be."""
        with self._lock:
            now = self.clock()
            level, seen = self._levels.pop(key, (self.burst, now))
            level = min(self.burst, level + (now - seen) * self.rate)
            allowed = level >= 1
            self._levels[key] = (level - 1 if allowed else level, now)
            if len(self._levels) > self.size:
                self._levels.popitem(last=False)
            return 0.0 if allowed else (1 - level) / self.rate
