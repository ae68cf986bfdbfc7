"""What was refused, in sentences with the next step: for whoever sets up an offer and wonders why nothing arrives."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Max, Q, Sum
from django.utils.safestring import SafeString

from leads.models import Offer, Refusal
from leads.wording import when

Reason = Refusal.Reason
DAY, HOUR, JUST_NOW = timedelta(days=1), timedelta(hours=1), timedelta(minutes=10)

# What they did, and what that means or what to do about it.
# The first are what whoever sets up an offer most likely did.
SAID: dict[str, tuple[str, str]] = {
    Reason.UNKNOWN_KEY: ("hit an unknown key", "was the URL pasted completely?"),
    Reason.CLOSED_KEY: (
        "hit an old URL of this offer",
        "it is revoked or has expired. Paste the new one in Partner Center.",
    ),
    Reason.TOO_FAST: (
        "to this offer came faster than INTAKE_RATE allows",
        "they are not stored. If they were real leads, raise INTAKE_RATE.",
    ),
    Reason.UNAVAILABLE: ("came while the database did not answer", "they are not stored."),
    Reason.BAD_LENGTH: (
        "announced no length, or never came to an end",
        "does a proxy in between cut requests off?",
    ),
    Reason.STRANGER_TOO_FAST: (
        "with unknown keys came too fast from one address",
        "a wrong URL is called again and again, or somebody is guessing.",
    ),
    Reason.TOO_LARGE: ("had a body over MAX_BODY_BYTES", "no lead is that large."),
    Reason.NOT_POST: (
        "did not post anything",
        "somebody opened the URL in a browser, or a monitor looks at it. So this server can be reached.",
    ),
}
_ORDER = list(SAID)


@dataclass(frozen=True, slots=True)
class Refused:
    """How many requests of the last day were refused for one reason, and when the last of them came."""

    reason: str
    day: int
    hour: int
    just_now: int
    last: datetime

    @property
    def line(self) -> str:
        return self._sentence(self.day)

    @property
    def when(self) -> SafeString:
        return when(self.last)

    def hint(self, times: int, span: str) -> str:
        return f"In the last {span} {self._sentence(times)}"

    def _sentence(self, times: int) -> str:
        did, advice = SAID[self.reason]
        noun = "request" if self.reason == Reason.NOT_POST else "POST"
        return f"{times:,} {noun}{'' if times == 1 else 's'} {did}: {advice}"


def of_the_last_day(offer: Offer, now: datetime) -> list[Refused]:
    """What was refused at this offer's URLs, and what nobody can tell the offer of."""
    found: Iterable[Any] = (
        Refusal.objects.since(now - DAY)
        .filter(Q(endpoint=None) | Q(endpoint__offer=offer))
        .order_by()
        .values("reason")
        .annotate(
            day=Sum("times"),
            hour=Sum("times", filter=Q(minute__gte=now - HOUR), default=0),
            just_now=Sum("times", filter=Q(minute__gte=now - JUST_NOW), default=0),
            last=Max("minute"),
        )
    )
    return sorted((Refused(**row) for row in found), key=lambda refused: _ORDER.index(refused.reason))


def hints(refused: Sequence[Refused]) -> Iterator[str]:
    """Why a URL that nothing has reached may be waiting in vain: the last minutes, or else the last hour."""
    if any(one.just_now for one in refused):
        yield from (one.hint(one.just_now, "10 minutes") for one in refused if one.just_now)
    else:
        yield from (one.hint(one.hour, "hour") for one in refused if one.hour)
