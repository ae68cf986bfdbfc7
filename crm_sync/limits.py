"""How much a destination may be given at one moment: its slots, its breaker, its limits a second and a day.

Asked and used up under the lock on its state row, so that all workers together keep them.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from crm_sync import connectors
from crm_sync.models import Destination, DestinationState
from leads import statements

SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many leads may be leased now, `batch` of them to a call, and how many calls may go now in all.

    `probe`: the one that shows whether a sick destination works again. `busy`: no slot is free until a push ends.
    `again`: when the limit a second lets the next call go. `spent`: the limit a day is reached. `check`: the
    destination is stopped, and to be checked now.
    """

    leads: int = 0
    batch: int = 1
    most: int = 0
    probe: bool = False
    busy: bool = False
    again: datetime | None = None
    spent: bool = False
    check: bool = False

    def calls(self, leads: int) -> int:
        """How many calls so many leads take."""
        return -(-leads // self.batch)


def allowance(state: DestinationState, at: datetime, *, slots: int, in_flight: int) -> Allowance:
    """What may go now. `slots`: calls that the asking worker can make; `in_flight`: calls of all that are under way."""
    if state.state == state.State.PAUSED or (state.until and state.until > at):
        return Allowance()
    if state.state == state.State.STOPPED:
        return Allowance(check=True)
    destination, probe = state.destination, state.state != state.State.WORKING
    free = min(slots, (1 if probe else destination.max_in_flight) - in_flight)
    if free <= 0:
        return Allowance(busy=True)
    left = left_today(state, at)
    if left <= 0:
        return Allowance(spent=True)
    paced, again = _paced(state, at)
    if paced <= 0:
        return Allowance(again=again)
    most, batch = min(free, left, paced), batch_size(destination)
    calls = 1 if batch > 1 else most  # what one claim takes of a batch goes into one call
    return Allowance(leads=1 if probe else calls * batch, batch=batch, most=most, probe=probe, again=again)


def use(state: DestinationState, at: datetime, calls: int) -> None:
    """Note that so many calls go now, where there is a limit to keep. Writes the state's own columns for that."""
    destination = state.destination
    if not calls or not (destination.max_per_second or destination.max_per_day):
        return
    if destination.max_per_second:
        each, _ = _rhythm(destination.max_per_second)
        state.paced_until = _paced_from(state, at) + each * calls
    state.pushed_today = pushed_today(state, at) + calls
    state.day = _day(at)
    statements.update([state], ["paced_until", "pushed_today", "day"])


def left_today(state: DestinationState, at: datetime) -> int:
    """Calls that the limit a day still lets go; very many where there is none."""
    most = state.destination.max_per_day
    return most - pushed_today(state, at) if most else 1_000_000


def pushed_today(state: DestinationState, at: datetime) -> int:
    """Calls of this day, in UTC, as far as they are counted: only where there is a limit."""
    return state.pushed_today if state.day == _day(at) else 0


def next_day(at: datetime) -> datetime:
    """When the limit a day starts anew."""
    return datetime.combine(_day(at) + timedelta(days=1), time(0), UTC)


def batch_size(destination: Destination) -> int:
    """How many leads the connector takes in one call."""
    try:
        return max(1, destination.spec.batch_size)
    except connectors.UnknownConnector:
        return 1  # the push will say what is wrong


def _day(at: datetime) -> date:
    return at.astimezone(UTC).date()


def _rhythm(per_second: int) -> tuple[timedelta, int]:
    """The time from call to call, and how many may go at once, so that no second ever sees more than the limit."""
    at_once = max(1, per_second // 10)
    steady = per_second if at_once == 1 else per_second - at_once
    return SECOND / steady, at_once


def _paced_from(state: DestinationState, at: datetime) -> datetime:
    each, at_once = _rhythm(state.destination.max_per_second or 1)
    earliest = at - each * (at_once - 1)
    paced = state.paced_until
    # Further ahead than its rhythm can take it: the clock was set back.
    if paced is None or paced < earliest or paced > at + each * (at_once + 1):
        return earliest
    return paced


def _paced(state: DestinationState, at: datetime) -> tuple[int, datetime | None]:
    """How many calls the limit a second lets go now, and when the one after them."""
    if not state.destination.max_per_second:
        return 1_000_000, None
    each, at_once = _rhythm(state.destination.max_per_second)
    start = _paced_from(state, at)
    if start > at:
        return 0, start
    calls = min(at_once, (at - start) // each + 1)
    return calls, start + each * calls
