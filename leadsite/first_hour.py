"""The first hour: whoever set this up came to see Microsoft's first lead arrive, and in the CRM.

Four steps, each with what is so by now and the one thing to do next. Home shows them until all are done; this page
stays, and says more of the first: the line in `.env`, how to start again, and whether the address leads here.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from crm_sync import wording as words
from crm_sync.models import Destination, MappingVersion, Route
from leads import mailing
from leads.models import Lead, Offer, Submission
from leads.wording import clip
from leadsite import envfile, reach, settings_page

EXAMPLE = "https://leads.example.com"


@dataclass(frozen=True, slots=True)
class Step:
    """One of the four: what is so, and where the next thing is done; "" for those who may not.

    `other_url`: what can be done instead, or first.
    """

    number: int
    title: str
    text: str
    url: str
    link: str
    done: bool
    other_url: str = ""
    other_link: str = ""


def may_view(request: HttpRequest) -> bool:
    """Whoever can take at least one of the steps."""
    return request.user.has_perm("leads.change_offer") or settings_page.may_view(request)


def steps(request: HttpRequest) -> list[Step]:
    """The four steps as they stand. Asks the database a few short questions and no network."""
    offers = Offer.objects.filter(is_demo=False)
    first = offers.first()
    return [
        _address(request),
        _offer(request, offers, first),
        _crm(request, offers, first),
        _test(first),
    ]


def _address(request: HttpRequest) -> Step:
    url = reverse("admin:set-up") if may_view(request) else ""
    if settings.PUBLIC_URL.startswith("https://"):
        text = _("PUBLIC_URL is %(url)s: there Microsoft and your staff are to reach this server.") % {
            "url": settings.PUBLIC_URL
        }
        return Step(1, _("Public address"), text, url, _("Check it"), done=True)
    text = _("Microsoft cannot reach %(url)s. You need a public HTTPS address.") % {
        "url": settings.PUBLIC_URL
    }
    return Step(1, _("Public address"), text, url, _("How"), done=False)


def _offer(request: HttpRequest, offers: QuerySet[Offer], first: Offer | None) -> Step:
    number = offers.order_by()[:1000].count()
    if first is not None:
        text = clip(first.title, 80)
        if number > 1:
            text = ngettext("%(number)s offer.", "%(number)s offers.", number) % {"number": number}
        return Step(2, _("Offer"), text, reverse("admin:leads_offer_changelist"), _("Offers"), done=True)
    may_add = request.user.has_perm("leads.add_offer")
    text = _(
        "Add your offer as it is listed in Partner Center, and get the URL that Microsoft sends its leads to."
    )
    if not may_add:
        text = _("There is no offer yet. A partner manager adds the first one.")
    return Step(
        2,
        _("Offer"),
        text,
        reverse("admin:leads_offer_add") if may_add else "",
        _("Add an offer"),
        done=False,
    )


def _crm(request: HttpRequest, offers: QuerySet[Offer], offer: Offer | None) -> Step:
    """Done once one offer sends to a CRM of one's own by a published mapping."""
    published = MappingVersion.objects.published().filter(route=OuterRef("pk")).order_by()
    routes = Route.objects.filter(offer__in=offers).annotate(
        to_demo=Q(destination__connector="demo"), is_live=Exists(published)
    )
    routes = routes.select_related("offer", "destination").defer("destination__secrets")
    if route := routes.filter(to_demo=False, is_live=True).first():
        text = _("Leads of %(offer)s go to %(crm)s.") % _named(route)
        return Step(3, _("CRM"), text, words.route_url(route.pk), _("Open"), done=True)
    route = routes.order_by("to_demo", "-is_live", "pk").first()
    if route and not route.to_demo:
        text = _(
            "%(offer)s sends to %(crm)s once its field mapping is published. Until then its leads wait here."
        )
        return Step(
            3,
            _("CRM"),
            text % _named(route),
            words.mapping_url(route),
            _("Look at it and publish"),
            done=False,
        )
    may = request.user.has_perm
    kinds = set(Destination.objects.order_by().values_list("connector", flat=True).distinct())
    new_route = (
        f"{reverse('admin:crm_sync_route_add')}?offer={offer.pk}"
        if offer and may("crm_sync.add_route")
        else ""
    )
    if offer and new_route and kinds - {"demo"}:
        text = _("Say which CRM the leads of %(offer)s go to.") % {"offer": clip(offer.title, 80)}
        return Step(3, _("CRM"), text, new_route, _("Send to a CRM"), done=False)
    text, other_url, other_link = _demo_meanwhile(route, new_route if "demo" in kinds else "")
    return Step(
        3,
        _("CRM"),
        text,
        reverse("admin:crm_sync_destination_add") if may("crm_sync.add_destination") else "",
        _("Add a CRM connection"),
        done=False,
        other_url=other_url,
        other_link=other_link,
    )


def _demo_meanwhile(route: Any, new_route: str) -> tuple[str, str, str]:
    """While there is no CRM but the demo's: what is so, and what can be done with that one, as URL and link.

    `route`: the one to the demo CRM, where there is one; `new_route`: where it is made, where it can be.
    """
    connect = _("Connect the CRM that leads go to. Until then they are kept here and wait; none is lost.")
    if route and route.is_live:
        said = _("Leads of %(offer)s go to %(crm)s, which is a part of this app. Connect a CRM of your own.")
        return said % _named(route), words.route_url(route.pk), _("Open")
    if route:
        return connect, words.mapping_url(route), _("Look at it and publish")
    return connect, new_route, _("Try it with the demo CRM first")


def _named(route: Route) -> Mapping[str, str]:
    return {"offer": clip(route.offer.title, 80), "crm": clip(route.destination.name, 60)}


def _test(first: Offer | None) -> Step:
    """Done once anything from outside became a lead: first that is Microsoft's test lead."""
    arrived = Lead.objects.filter(
        offer__is_demo=False, submission__origin__in=Submission.FROM_OUTSIDE
    ).order_by()
    some = arrived.select_related("offer").only("is_test", "offer__title")
    lead = some.filter(is_test=False).first() or some.first()
    offer = lead.offer if lead else first
    if offer is None:
        text = _(
            "The page of your offer has the URL for Partner Center, and waits for Microsoft's test lead."
        )
        return Step(4, _("Test"), text, "", "", done=False)
    url = f"{reverse('admin:leads_offer_change', args=[offer.pk])}#endpoint-url"
    if lead is None:
        text = _(
            "Paste the URL of the offer in Partner Center and press Validate: Microsoft sends a test lead."
        )
        return Step(4, _("Test"), text, url, _("Wait for the test lead"), done=False)
    text = _("Leads arrive.")
    if lead.is_test:
        text = _("Microsoft's test lead arrived. Real leads start after the offer is published.")
    return Step(4, _("Test"), text, url, clip(lead.offer.title, 60), done=True)


# The page


def view(request: HttpRequest) -> HttpResponse:
    """The four steps. `?check` asks the address at once, for a browser without scripts."""
    if not may_view(request):
        raise PermissionDenied
    found = steps(request)
    context = {
        **admin.site.each_context(request),
        "title": _("Welcome: 4 steps"),
        "steps": found,
        "left": sum(not step.done for step in found),
        "mails_are_sent": mailing.are_sent(),
        **_set_up(request),
        "reach": _asked() if "check" in request.GET else None,
    }
    return TemplateResponse(request, "admin/first_hour.html", context)


def address_view(request: HttpRequest) -> HttpResponse:
    """What asking the address said, for the page that is open already."""
    if not may_view(request):
        raise PermissionDenied
    if request.headers.get("HX-Request") != "true":
        return HttpResponseRedirect(f"{reverse('admin:set-up')}?check=1")
    return TemplateResponse(request, "admin/first_hour_address.html", {"reach": _asked()})


def _asked() -> reach.Reach:
    return reach.check(settings.PUBLIC_URL, timezone.now())


def _set_up(request: HttpRequest) -> dict[str, Any]:
    """Where the address is set and how the change takes effect, for those who may see settings."""
    is_public = settings.PUBLIC_URL.startswith("https://")
    return {
        "is_public": is_public,
        "may_see_settings": settings_page.may_view(request),
        "env_file": envfile.path(),
        "env_line": f"PUBLIC_URL={settings.PUBLIC_URL if is_public else EXAMPLE}",
        # systemd sets it for whatever it starts: https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html
        "is_service": "INVOCATION_ID" in os.environ,
        "may_add_offer": request.user.has_perm("leads.add_offer"),
    }
