"""Pure: where an offer stands on its way to leads, from what has reached its URL: in one word, and in a sentence."""

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy


@dataclass(frozen=True, slots=True)
class OfferState:
    """`slug` is for code, `label` the word for a badge; `kind` is its colour: plain, notice, alarm or well."""

    slug: str
    label: Any
    sentence: Any
    kind: str = "plain"


DEMO = OfferState(
    "demo", gettext_lazy("demo"), gettext_lazy("Part of the demo: nothing at Microsoft points here.")
)
NO_URL = OfferState(
    "no_url", gettext_lazy("no URL"), gettext_lazy("No URL: nothing can reach this offer."), "alarm"
)
NOT_PROVEN = OfferState(
    "not_proven",
    gettext_lazy("not proven"),
    gettext_lazy("No lead has ever reached this URL. Press Validate in Partner Center."),
    "notice",
)
UNREADABLE = OfferState(
    "unreadable",
    gettext_lazy("not readable"),
    gettext_lazy("Something has reached this URL, but it could not be read: see Quarantine."),
    "notice",
)
TESTED = OfferState(
    "tested",
    gettext_lazy("tested"),
    gettext_lazy("Microsoft's test lead arrived. Real leads start after the offer is published."),
    "notice",
)
LIVE = OfferState("live", gettext_lazy("live"), gettext_lazy("Live: real leads arrive."), "well")


def silent(told: str) -> OfferState:
    """It was live; `told` says for how long no lead has come."""
    return OfferState("silent", gettext_lazy("silent"), _("Silent: %(told)s") % {"told": told}, "alarm")


def of(
    *, has_url: bool, is_live: bool, was_tested: bool, was_reached: bool, is_demo: bool, silence: str = ""
) -> OfferState:
    """The state of an offer. `is_live`: a real lead has come from outside; `silence`: that none comes any more."""
    if not has_url:
        return NO_URL
    if is_live:
        return silent(silence) if silence else LIVE
    if was_tested:
        return TESTED
    if was_reached:
        return UNREADABLE
    return DEMO if is_demo else NOT_PROVEN
