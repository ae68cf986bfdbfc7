"""What was refused, in sentences with the next step: for whoever sets up an offer and wonders why nothing arrives."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Max, Q, Sum
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext_lazy

from leads.models import Offer, Refusal
from leads.wording import when

Reason = Refusal.Reason
DAY, HOUR, JUST_NOW = timedelta(days=1), timedelta(hours=1), timedelta(minutes=10)

# What they did, and what that means or what to do about it; of `times` requests, as %(number)s on screen.
# The first are what whoever sets up an offer most likely did.
SAID: dict[str, Any] = {
    Reason.UNKNOWN_KEY: ngettext_lazy(
        "%(number)s POST hit an unknown key: was the URL pasted completely?",
        "%(number)s POSTs hit an unknown key: was the URL pasted completely?",
        "times",
    ),
    Reason.CLOSED_KEY: ngettext_lazy(
        "%(number)s POST hit an old URL of this offer: "
        "it is revoked or has expired. Paste the new one in Partner Center.",
        "%(number)s POSTs hit an old URL of this offer: "
        "it is revoked or has expired. Paste the new one in Partner Center.",
        "times",
    ),
    Reason.TOO_FAST: ngettext_lazy(
        "%(number)s POST to this offer came faster than INTAKE_RATE allows: "
        "they are not stored. If they were real leads, raise INTAKE_RATE.",
        "%(number)s POSTs to this offer came faster than INTAKE_RATE allows: "
        "they are not stored. If they were real leads, raise INTAKE_RATE.",
        "times",
    ),
    Reason.UNAVAILABLE: ngettext_lazy(
        "%(number)s POST came while the database did not answer: they are not stored.",
        "%(number)s POSTs came while the database did not answer: they are not stored.",
        "times",
    ),
    Reason.BAD_LENGTH: ngettext_lazy(
        "%(number)s POST announced no length, or never came to an end: "
        "does a proxy in between cut requests off?",
        "%(number)s POSTs announced no length, or never came to an end: "
        "does a proxy in between cut requests off?",
        "times",
    ),
    Reason.STRANGER_TOO_FAST: ngettext_lazy(
        "%(number)s POST with unknown keys came too fast from one address: "
        "a wrong URL is called again and again, or somebody is guessing.",
        "%(number)s POSTs with unknown keys came too fast from one address: "
        "a wrong URL is called again and again, or somebody is guessing.",
        "times",
    ),
    Reason.TOO_LARGE: ngettext_lazy(
        "%(number)s POST had a body over MAX_BODY_BYTES: no lead is that large.",
        "%(number)s POSTs had a body over MAX_BODY_BYTES: no lead is that large.",
        "times",
    ),
    Reason.NOT_POST: ngettext_lazy(
        "%(number)s request did not post anything: "
        "somebody opened the URL in a browser, or a monitor looks at it. So this server can be reached.",
        "%(number)s requests did not post anything: "
        "somebody opened the URL in a browser, or a monitor looks at it. So this server can be reached.",
        "times",
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

    @property
    def lately(self) -> str:
        return _("In the last 10 minutes %(what)s") % {"what": self._sentence(self.just_now)}

    @property
    def in_the_last_hour(self) -> str:
        return _("In the last hour %(what)s") % {"what": self._sentence(self.hour)}

    def _sentence(self, times: int) -> str:
        return SAID[self.reason] % {"times": times, "number": f"{times:,}"}


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
        yield from (one.lately for one in refused if one.just_now)
    else:
        yield from (one.in_the_last_hour for one in refused if one.hour)
