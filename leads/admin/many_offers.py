"""Forty offers at once, and their URLs in one table.

Adding: a partner manager came with a list from a spreadsheet. So it may be pasted or uploaded as it is; what is wrong
is named by line and column before anything is made; then all are added, or none.

The URLs: the same person came to register them at Microsoft, one after the other or by a script. So they stand in one
table to copy or to take away as a file. A URL is a secret: the file is for those who may see URLs, and it is logged.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from leads import offer_list, sheet
from leads.models import Endpoint, Offer
from leads.offer_list import OfferList, Row
from leads.ports import ports
from leads.vault import VaultError

MOST_BYTES = 500_000
SHOWN = 1_000  # offers of the table
REVEAL = "leads.reveal_endpoint"


class ListForm(forms.Form):
    """A list that was pasted, or a file in its place."""

    listed = forms.CharField(
        label=gettext_lazy("Offers, one a line"),
        required=False,
        strip=False,
        max_length=MOST_BYTES,
        widget=forms.Textarea(
            attrs={"rows": 12, "class": "code", "spellcheck": "false", "aria-describedby": "list-help"}
        ),
    )
    file = forms.FileField(label=gettext_lazy("Or a CSV file"), required=False, allow_empty_file=True)

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file and file.size > MOST_BYTES:
            raise ValidationError(
                _("The file is too large: 500 offers take less than %(size)s kB.") % {"size": 500}
            )
        return file

    @property
    def text(self) -> str:
        """What was given; a file wins, for choosing one is the later act."""
        file = self.cleaned_data.get("file")
        return offer_list.decode(file.read()) if file else self.cleaned_data.get("listed", "")


@dataclass(frozen=True, slots=True)
class Preview:
    """What a list would do. `known`: offers that are there already, and stay as they are."""

    found: OfferList
    new: Sequence[Row]
    known: Sequence[Row]

    @property
    def can_add(self) -> bool:
        return bool(self.new) and not self.found.problems


def add(pages: ModelAdmin, request: HttpRequest) -> HttpResponse:
    """The list, what it would do, and the button that does it."""
    if not pages.has_add_permission(request):
        raise PermissionDenied
    form, preview = ListForm(), None
    if request.method == "POST":
        given = ListForm(request.POST, request.FILES)
        form = given
        if given.is_valid():
            text = given.text
            preview = look(text)
            if preview.can_add and "add" in request.POST:
                return _add_all(pages, request, preview)
            form = ListForm(initial={"listed": text})  # a file's text too: what is looked at is what is added
    context = {"form": form, "preview": preview, "most": offer_list.MOST_ROWS, "standing": _standing(preview)}
    return _page(pages, request, "many", _("Add many offers"), **context)


def look(text: str) -> Preview:
    """What would be added, what is there already, and what is wrong."""
    found = offer_list.read(text, _problem)
    there = {
        (publisher.casefold(), offer.casefold())
        for publisher, offer in Offer.objects.values_list("publisher_id", "offer_id")
    }
    known = [row for row in found.rows if row.key in there]
    return Preview(found, [row for row in found.rows if row.key not in there], known)


def _problem(name: str, value: str) -> str:
    try:
        Offer._meta.get_field(name).clean(value, None)  # type: ignore[union-attr]
    except ValidationError as error:
        return " ".join(error.messages)
    if name == "title" and "\x00" in value:
        return _("The title holds a character that nobody can see.")
    return ""


def _standing(preview: Preview | None) -> str:
    """How the list stands, in a sentence."""
    if preview is None:
        return ""
    if preview.found.problems:
        number = len(preview.found.problems) + preview.found.more
        said = ngettext("%(number)s line needs mending.", "%(number)s things need mending.", number)
        return f"{said % {'number': number}} {_('Nothing is added until the whole list is right.')}"
    if not preview.new:
        return _("Each of these offers is there already. Nothing is to be added.")
    said = ngettext("%(number)s offer will be added.", "%(number)s offers will be added.", len(preview.new))
    return said % {"number": len(preview.new)}


def _add_all(pages: ModelAdmin, request: HttpRequest, preview: Preview) -> HttpResponse:
    now = timezone.now()
    with transaction.atomic():
        offers = [_made(row, now) for row in preview.new]
        for offer in offers:
            pages.log_addition(request, offer, _("Added from a list."))
        messages.success(request, _added(len(offers), len(preview.known)))
        tell_of(request, offers)
    return HttpResponseRedirect(
        f"{reverse('admin:leads_offer_urls')}?{urlencode({'added': now.isoformat()})}"
    )


def _added(new: int, known: int) -> str:
    said = ngettext("%(number)s offer is added.", "%(number)s offers are added.", new) % {"number": new}
    if not known:
        return said
    skipped = ngettext(
        "%(number)s was there already and stays as it was.",
        "%(number)s were there already and stay as they were.",
        known,
    )
    return f"{said} {skipped % {'number': known}}"


def _made(row: Row, now: datetime) -> Offer:
    offer = Offer.objects.create(
        publisher_id=row.publisher_id, offer_id=row.offer_id, title=row.title, created_at=now
    )
    Endpoint.make(offer)
    return offer


def tell_of(request: HttpRequest, offers: Sequence[Offer]) -> None:
    """Let others do their part with new offers, and tell the user what they did."""
    for part in ports.offers_added:
        for notice in part(request, offers):
            link = format_html(' <a href="{}">{}</a>', notice.url, notice.link) if notice.url else ""
            messages.info(request, format_html("{}{}", notice.text, link))


# The URLs


@dataclass(frozen=True, slots=True)
class Line:
    """An offer and its current URL; "" where it has none."""

    offer: Offer
    url: str


def urls(pages: ModelAdmin, request: HttpRequest) -> HttpResponse:
    """The URLs of all offers, or of those that were added together; as a file, where that is asked for."""
    if not pages.has_view_permission(request) or not request.user.has_perm(REVEAL):
        raise PermissionDenied
    added = _moment(request.GET.get("added", ""))
    offers = Offer.objects.filter(is_demo=False)
    offers = offers.filter(created_at=added) if added else offers
    try:
        lines = list(_lines(offers[: SHOWN + 1]))
    except VaultError as error:
        messages.error(request, str(error))
        return HttpResponseRedirect(reverse("admin:leads_offer_changelist"))
    if request.method == "POST":
        return _file(request, lines)
    title = _("The URLs of the new offers") if added else _("The URLs of all offers")
    context = {
        "lines": lines[:SHOWN],
        "more": len(lines) > SHOWN,
        "table": "\n".join("\t".join(cells) for cells in _rows(lines[:SHOWN])),
        "added": added,
    }
    return _page(pages, request, "urls", title, **context)


def _moment(text: str) -> datetime | None:
    try:
        moment = parse_datetime(text)
    except ValueError:
        return None
    return moment if moment and timezone.is_aware(moment) else None


def _lines(offers: Sequence[Offer] | QuerySet[Offer]) -> Iterator[Line]:
    """Raises VaultError where no key opens what is stored."""
    offers = list(offers)
    usable = Endpoint.objects.open(timezone.now()).filter(offer__in=offers).current_first()
    current: dict[int, Endpoint] = {}
    for endpoint in usable:
        current.setdefault(endpoint.offer_id, endpoint)
    for offer in offers:
        yield Line(offer, current[offer.pk].url if offer.pk in current else "")


def _rows(lines: Sequence[Line]) -> Iterator[Sequence[str]]:
    """As a sheet: what a spreadsheet would run is made harmless."""
    yield _("Publisher ID"), _("Offer ID"), _("Title"), _("Endpoint URL")
    for line in lines:
        cells = (line.offer.publisher_id, line.offer.offer_id, line.offer.title, line.url)
        yield [sheet.cell(" ".join(cell.split())) for cell in cells]


def _file(request: HttpRequest, lines: Sequence[Line]) -> HttpResponse:
    said = ngettext(
        "Took away the endpoint URL of %(number)s offer in a file.",
        "Took away the endpoint URLs of %(number)s offers in a file.",
        len(lines),
    ) % {"number": len(lines)}
    LogEntry.objects.create(
        user_id=request.user.pk,  # type: ignore[misc]  # who may see URLs is signed in
        content_type=ContentType.objects.get_for_model(Offer),
        object_repr=", ".join(line.offer.slug for line in lines)[:200],
        action_flag=CHANGE,
        change_message=said,
    )
    content = "".join(sheet.lines([list(cells) for cells in _rows(lines)]))
    headers = {"Content-Disposition": 'attachment; filename="endpoint-urls.csv"', "Cache-Control": "no-store"}
    return HttpResponse(content, content_type="text/csv; charset=utf-8", headers=headers)


def _page(pages: ModelAdmin, request: HttpRequest, name: str, title: str, **more: Any) -> HttpResponse:
    context = {
        **pages.admin_site.each_context(request),
        "opts": pages.opts,
        "media": pages.media,
        "title": title,
        **more,
    }
    request.current_app = pages.admin_site.name
    return TemplateResponse(request, f"admin/leads/offer/{name}.html", context)
