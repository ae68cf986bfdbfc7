"""When to try again: pure functions of how often it failed."""

import random
from collections.abc import Callable

FIRST = 15.0  # seconds
CAP = 3600.0
PROBE_CAP = 300.0  # a destination that works again is found so within five minutes
MAX_STRIKES = 150  # with full jitter about three days; a test adds them up
BREAKER_AFTER = 5  # failures in a row at a destination


def ceiling(strikes: int) -> float:
    """The longest wait after so many failures, in seconds: doubles from 15 s to one hour."""
    return min(CAP, FIRST * 2.0 ** min(max(strikes, 1) - 1, 30))


def wait(strikes: int, *, asked: float | None = None, rng: Callable[[], float] = random.random) -> float:
    """Seconds until the next try: full jitter below the ceiling, never sooner than the CRM asked for.

    Full jitter, because leads that failed together must not come back together.
    """
    return max(ceiling(strikes) * rng(), asked or 0.0)


def probe(failures: int, *, asked: float | None = None, rng: Callable[[], float] = random.random) -> float:
    """Seconds until a sick destination is probed with its next lead: as `wait`, but five minutes at the longest."""
    return max(min(PROBE_CAP, ceiling(failures)) * rng(), asked or 0.0)
