"""Where people work on the leads of an offer: asked of whoever publishes its first field mapping.

With that, leads begin to reach a CRM. Whether anybody looks at them here as well is for the offer's people to say, and
there is no telling it from what is stored.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext as _

from crm_sync.mapping_owner import Owner
from leads.models import Offer
from leads.wording import clip

MAY_DECIDE = "leads.change_offer"
# In English: the log is for readers of every language.
_LOGGED = {Offer.WorkedIn.CRM.value: "In the CRM", Offer.WorkedIn.HERE.value: "Here"}


@dataclass(frozen=True, slots=True)
class Choice:
    value: str
    label: str
    help: str


def choices() -> Sequence[Choice]:
    return (
        Choice(
            Offer.WorkedIn.CRM,
            _("In the CRM"),
            _(
                "People watch leads there. Here they only see what came and where it went: no owner, state or answer."
            ),
        ),
        Choice(
            Offer.WorkedIn.HERE,
            _("Here"),
            _(
                "Leads have an owner, a state, notes, reminders, a clock until the first answer, and answers by "
                "e-mail. The CRM gets them too."
            ),
        ),
    )


def first_of(owner: Owner) -> list[Offer]:
    """The offer whose first mapping this would be, if it is one."""
    return [owner.route.offer] if owner.route and owner.live is None else []


def undecided(request: HttpRequest, offers: Iterable[Offer]) -> list[Offer]:
    """Those of these offers for which nobody has said it, if this user may."""
    return [offer for offer in offers if not offer.worked_in] if request.user.has_perm(MAY_DECIDE) else []


def question(request: HttpRequest, offers: Iterable[Offer]) -> dict[str, Any]:
    """What the page asks; nothing where there is nothing to ask."""
    asked = undecided(request, offers)
    if not asked:
        return {"where": None}
    title = (
        _("Where do people work on the leads of %(offer)s?") % {"offer": clip(asked[0].title, 80)}
        if len(asked) == 1
        else _("Where do people work on the leads of these offers?")
    )
    return {"where": {"question": title, "choices": choices()}}


def decide(page: admin.ModelAdmin, request: HttpRequest, offers: Iterable[Offer]) -> None:
    """Keep what was chosen for the offers that were asked about. Nothing chosen: it is asked again next time."""
    chosen = request.POST.get("worked_in", "")
    if chosen not in Offer.WorkedIn.values:
        return
    for offer in undecided(request, offers):
        offer.worked_in = chosen
        offer.save(update_fields=["worked_in"])
        page.log_change(request, offer, f"Leads are worked on: {_LOGGED[chosen]}")
