"""Fields that Microsoft sent and this software does not know, on Home and on the page of an offer.

A partner manager came because Home says that there is a new one. So each stands with how many leads brought it, since
when and what is in it; then one click maps it, and another says that it is no news. What is mapped or ignored stays
in sight, and ignoring can be undone.
"""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from leads.models import Lead, Offer, UnknownKey
from leads.ports import Notice, ports
from leads.unknown_keys import LONGEST_NAME, MOST_NAMES
from leads.wording import as_text, clip, when

IGNORE = "leads.change_offer"
RECENT = 50  # leads that are looked through for examples: each may be as long as a body
MOST_OFFERS = 50  # offers that Home looks at
AT_MOST = 5  # notices on Home
NAMED = 3  # fields in a notice
NAME, EXAMPLE = 80, 200  # characters


def value_name(key: str) -> str:
    """The name of a field among the values of a lead, as mappings write it."""
    return f"extra.{key}"


@dataclass(frozen=True, slots=True)
class MapLink:
    """Where a click maps a field."""

    label: str
    url: str


def map_links(request: HttpRequest, offer: Offer, key: str) -> list[MapLink]:
    """Every place where this user can map the field; none that maps it already."""
    # A name of that length may be the beginning of a longer one, which no mapping could find.
    if len(key) >= LONGEST_NAME:
        return []
    return [MapLink(*link) for source in ports.map_links for link in source(request, offer, value_name(key))]


def mapped_values(offers: Sequence[Offer]) -> dict[int, AbstractSet[str]]:
    """By offer id: the lead values that its mappings name."""
    found: dict[int, AbstractSet[str]] = {offer.pk: frozenset() for offer in offers}
    for source in ports.mapped_values:
        for offer_id, names in source(offers).items():
            found[offer_id] = found.get(offer_id, frozenset()) | names
    return found


# --- On Home -------------------------------------------------------------------------------------------------


def notices(request: HttpRequest) -> Iterator[Notice]:
    """The fields that nobody has mapped or ignored, for users who may do so."""
    if request.path != reverse("admin:index") or not request.user.has_perm(IGNORE):
        return
    news = UnknownKey.objects.filter(ignored_at=None)
    offers = list(Offer.objects.filter(pk__in=news.values("offer"))[:MOST_OFFERS])
    mapped = mapped_values(offers)
    told = 0
    for offer in offers:
        keys = [key for key in news.filter(offer=offer) if value_name(key.name) not in mapped[offer.pk]]
        if keys:
            yield _notice(offer, keys)
            told += 1
        if told == AT_MOST:
            return


def _notice(offer: Offer, keys: Sequence[UnknownKey]) -> Notice:
    named = ", ".join(f"{clip(key.name, NAME)} ({_leads(key)})" for key in keys[:NAMED])
    if len(keys) > NAMED:
        named = _("%(fields)s and %(number)s more") % {"fields": named, "number": len(keys) - NAMED}
    return Notice(
        "warning",
        ngettext(
            "Microsoft sent a field we do not know for %(offer)s: %(fields)s.",
            "Microsoft sent %(number)s fields we do not know for %(offer)s: %(fields)s.",
            len(keys),
        )
        % {
            "number": len(keys),
            "offer": _("%(offer)s (demo)") % {"offer": offer.title} if offer.is_demo else offer.title,
            "fields": named,
        },
        f"{reverse('admin:leads_offer_change', args=[offer.pk])}#unknown-fields",
        _("Map or ignore"),
    )


def _leads(key: UnknownKey) -> str:
    return ngettext("%(number)s lead", "%(number)s leads", key.leads) % {"number": f"{key.leads:,}"}


# --- On the page of an offer ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ShownKey:
    """A field, ready for the screen."""

    id: int
    name: str
    leads: str
    first_seen: SafeString
    example: str
    mapped: bool
    ignored: str  # when, and by whom
    links: Sequence[MapLink]


def panel(request: HttpRequest, offer: Offer) -> SafeString:
    """The unknown fields of an offer; nothing where there are none."""
    keys = list(offer.unknown_keys.select_related("ignored_by"))
    if not keys:
        return SafeString("")
    mapped = mapped_values([offer])[offer.pk]
    examples = _examples(offer, keys) if request.user.has_perm("leads.view_lead") else {}
    shown = [_shown(request, offer, key, mapped, examples) for key in keys]
    context = {
        "news": [key for key in shown if not key.mapped and not key.ignored],
        "mapped": [key for key in shown if key.mapped],
        "ignored": [key for key in shown if key.ignored and not key.mapped],
        "sees_examples": request.user.has_perm("leads.view_lead"),
        "may_ignore": request.user.has_perm(IGNORE),
        "most": MOST_NAMES if len(keys) >= MOST_NAMES else 0,
    }
    return render_to_string("admin/leads/offer/unknown_keys.html", context, request)


def _shown(
    request: HttpRequest,
    offer: Offer,
    key: UnknownKey,
    mapped: AbstractSet[str],
    examples: dict[str, str],
) -> ShownKey:
    return ShownKey(
        id=key.pk,
        name=clip(key.name, NAME),
        leads=_leads(key),
        first_seen=when(key.first_seen_at),
        example=examples.get(key.name, ""),
        mapped=value_name(key.name) in mapped,
        ignored=_ignored(key),
        links=map_links(request, offer, key.name),
    )


def _ignored(key: UnknownKey) -> str:
    """When a field was ignored, and by whom; "" where nobody did."""
    if not key.ignored_at:
        return ""
    day = f"{timezone.localtime(key.ignored_at):%Y-%m-%d}"
    return _("%(day)s by %(person)s") % {"day": day, "person": key.ignored_by} if key.ignored_by else day


def _examples(offer: Offer, keys: Sequence[UnknownKey]) -> dict[str, str]:
    """By field: what the newest lead that brought it has in it."""
    wanted = {key.name for key in keys}
    real = Lead.objects.filter(offer=offer).order_by("-received_at")
    found: dict[str, str] = {}
    for extra in real.values_list("extra", flat=True)[:RECENT]:
        for name in wanted & extra.keys():
            if name not in found and (text := as_text(extra[name]).strip()):
                found[name] = clip(text, EXAMPLE)
    return found


# --- The buttons ---------------------------------------------------------------------------------------------


@admin.register(UnknownKey)
class UnknownKeyAdmin(admin.ModelAdmin):
    """No page of its own: two buttons on the page of the offer."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        return [
            path(
                f"<int:pk>/{name}/",
                self.admin_site.admin_view(require_POST(press)),
                name=f"leads_unknownkey_{name}",
            )
            for name, press in (("ignore", self.ignore), ("restore", self.restore))
        ]

    def ignore(self, request: HttpRequest, pk: int) -> HttpResponse:
        key = self._key(request, pk)
        key.ignored_at, key.ignored_by_id = timezone.now(), request.user.pk
        told = _("%(field)s is ignored: it is still kept with each lead.") % {"field": clip(key.name, NAME)}
        return self._decided(request, key, told, _("Ignored the field %(field)s."))

    def restore(self, request: HttpRequest, pk: int) -> HttpResponse:
        key = self._key(request, pk)
        key.ignored_at = key.ignored_by = None
        told = _("%(field)s is news again.") % {"field": clip(key.name, NAME)}
        return self._decided(request, key, told, _("No longer ignores the field %(field)s."))

    def _key(self, request: HttpRequest, pk: int) -> Any:
        if not request.user.has_perm(IGNORE):
            raise PermissionDenied
        return get_object_or_404(UnknownKey.objects.select_related("offer"), pk=pk)

    def _decided(self, request: HttpRequest, key: UnknownKey, told: str, logged: str) -> HttpResponse:
        # Not the row's other columns: a worker may count at this moment.
        key.save(update_fields=["ignored_at", "ignored_by"])
        self.log_change(request, key.offer, logged % {"field": clip(key.name, NAME)})
        messages.success(request, told)
        url = reverse("admin:leads_offer_change", args=[key.offer_id])
        return HttpResponseRedirect(f"{url}#unknown-fields")
