"""Home: what needs attention, and the last leads."""

from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from leads.models import Lead, Offer
from leads.ports import ports


def context(request: HttpRequest) -> dict[str, Any]:
    """What the home page shows a user, who sees only what they may."""
    may_see_leads = request.user.has_perm("leads.view_lead")
    today = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    counted = Lead.objects.counted()
    return {
        "attention": [notice for source in ports.notices for notice in source(request)],
        "may_see_leads": may_see_leads,
        "last_leads": list(Lead.objects.filter(is_test=False).select_related("offer")[:10])
        if may_see_leads
        else [],
        "leads_today": counted.filter(received_at__gte=today).count(),
        "leads_this_month": counted.filter(received_at__gte=today.replace(day=1)).count(),
        "has_demo": Offer.objects.filter(is_demo=True).exists(),
        "has_offer": Offer.objects.filter(is_demo=False).exists(),
    }
