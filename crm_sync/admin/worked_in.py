"""Where people work on the leads of an offer: asked of whoever publishes its first field mapping.

With that, leads begin to reach a CRM. Whether anybody looks at them here as well is for the offer's people to say, and
there is no telling it from what is stored.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext as _

from crm_sync.mapping_owner import Owner
from leads.models import Offer

MAY_DECIDE = "leads.change_offer"


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


def is_asked(request: HttpRequest, owner: Owner) -> bool:
    """Whether this publication is the first of an offer for which nobody has said it."""
    route = owner.route
    return (
        route is not None
        and owner.live is None
        and not route.offer.worked_in
        and request.user.has_perm(MAY_DECIDE)
    )


def decide(page: admin.ModelAdmin, request: HttpRequest, owner: Owner) -> bool:
    """Keep what was chosen. Returns whether anything was."""
    chosen = request.POST.get("worked_in", "")
    if owner.route is None or chosen not in Offer.WorkedIn.values:
        return False
    offer = owner.route.offer
    offer.worked_in = chosen
    offer.save(update_fields=["worked_in"])
    where = next(each.label for each in choices() if each.value == chosen)
    page.log_change(request, offer, _("Leads are worked on: %(where)s") % {"where": where})
    return True
