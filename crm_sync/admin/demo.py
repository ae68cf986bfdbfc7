"""The CRM inside this app: its records, the switch that makes it fail, and the button that removes the demo."""

import json
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from crm_sync import connection_words, connectors, demo_data
from crm_sync import wording as words
from crm_sync.admin.pages import EvidencePage, require, tell
from crm_sync.forms import SwitchForm
from crm_sync.models import Delivery, DemoRecord, DemoSwitch, Destination
from leads import ports
from leads.models import Lead, Offer, Submission
from leads.wording import clip

SWITCH = "crm_sync.switch_demo"
REMOVE = "crm_sync.remove_demo"
EXPLAINED = {
    DemoSwitch.Mode.WORKING: gettext_lazy("takes every lead"),
    DemoSwitch.Mode.THROTTLED: gettext_lazy("the connection slows down and tries again by itself"),
    DemoSwitch.Mode.DOWN: gettext_lazy(
        "each lead is tried again by itself; after some failures the connection slows down"
    ),
    DemoSwitch.Mode.REFUSING_FIELD: gettext_lazy(
        "that lead is refused; from the second in a row the mapping is marked broken and its leads are held"
    ),
    DemoSwitch.Mode.WRONG_CREDENTIALS: gettext_lazy("the connection stops and is checked again by itself"),
    DemoSwitch.Mode.SLOW: gettext_lazy("leads take longer, that is all"),
    DemoSwitch.Mode.ANSWER_LOST: gettext_lazy("the lead is sent again and found there: no second record"),
}


@admin.register(DemoRecord)
class DemoRecordAdmin(EvidencePage):
    list_display = ("who", "holds", "received", "created")
    list_display_links = ("who",)
    search_fields = ("key", "record")
    search_help_text = gettext_lazy("Anything in a record.")
    list_per_page = 50
    show_full_result_count = False
    change_list_template = "admin/crm_sync/demorecord/change_list.html"
    page_template = "admin/crm_sync/demorecord/page.html"

    def get_urls(self) -> list[URLPattern]:
        own = [
            path("switch/", self.admin_site.admin_view(self.switch), name="crm_sync_switch_demo"),
            path("remove/", self.admin_site.admin_view(self.remove), name="crm_sync_remove_demo"),
        ]
        return [*own, *super().get_urls()]

    # The list

    @admin.display(description=gettext_lazy("Record"))
    def who(self, obj: DemoRecord) -> str:
        return clip(str(obj), 120)

    @admin.display(description=gettext_lazy("Fields"))
    def holds(self, obj: DemoRecord) -> SafeString:
        pairs = [(label, value) for name, label, value in _labelled(obj.record) if name != "topic"]
        return format_html(
            '<span class="quiet">{}</span>', clip(" · ".join(f"{a}: {b}" for a, b in pairs), 300)
        )

    @admin.display(description=gettext_lazy("Times received"), ordering="times_received")
    def received(self, obj: DemoRecord) -> str:
        return f"{obj.times_received:,}"

    @admin.display(description=gettext_lazy("Made"), ordering="created_at")
    def created(self, obj: DemoRecord) -> SafeString | str:
        return words.ago(obj.created_at)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        switch = DemoSwitch.current()
        context = {
            "switch": switch,
            "effect": EXPLAINED[DemoSwitch.Mode(switch.mode)],
            "switch_form": SwitchForm(instance=switch) if request.user.has_perm(SWITCH) else None,
            "effects": [(mode.value, mode.label, EXPLAINED[mode]) for mode in DemoSwitch.Mode],
            "may_remove": request.user.has_perm(REMOVE),
            "has_anything": any(number for _what, number in _counts()),
            "connections": _connections() if request.user.has_perm("crm_sync.view_destination") else (),
        }
        return super().changelist_view(request, {**context, **(extra_context or {})})

    # One record

    def page_context(self, request: HttpRequest, obj: DemoRecord) -> dict[str, Any]:
        return {
            "title": clip(str(obj), 120),
            "record": obj,
            "rows": [(label, value) for _name, label, value in _labelled(obj.record)],
        }

    # The buttons

    def switch(self, request: HttpRequest) -> HttpResponse:
        """Make the demo CRM behave otherwise."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        require(request, SWITCH)
        form = SwitchForm(request.POST, instance=DemoSwitch.current())
        if not form.is_valid():
            sentences = " ".join(str(error) for errors in form.errors.values() for error in errors)
            tell(request, _("Not switched: %(why)s") % {"why": sentences}, messages.ERROR)
            return HttpResponseRedirect(reverse("admin:crm_sync_demorecord_changelist"))
        switch = form.save()
        mode = DemoSwitch.Mode(switch.mode)
        ports.ring()
        said = _("The demo CRM is switched to “%(mode)s”: %(effect)s.")
        tell(request, said % {"mode": mode.label, "effect": EXPLAINED[mode]})
        return HttpResponseRedirect(reverse("admin:crm_sync_demorecord_changelist"))

    def remove(self, request: HttpRequest) -> HttpResponse:
        """Remove the demo, after a page that says what goes."""
        require(request, REMOVE)
        if request.method == "POST":
            gone = demo_data.remove()
            tell(request, _gone(gone["leads"], gone["records"]))
            return HttpResponseRedirect(reverse("admin:index"))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Remove all demo data?"),
            "counts": [(what, number) for what, number in _counts() if number],
            "kept": Lead.objects.filter(offer__is_demo=False, deliveries__destination__connector="demo")
            .distinct()
            .count(),
            "media": self.media,
        }
        return TemplateResponse(request, "admin/crm_sync/demorecord/remove.html", context)


def _connections() -> list[tuple[Destination, str]]:
    """The connections to the demo CRM, and how each stands."""
    found = Destination.objects.filter(connector="demo").select_related("state")
    return [
        (connection, connection_words.connection_standing(connection.state).label) for connection in found
    ]


def _gone(leads: int, records: int) -> str:
    requests = ngettext("%(number)s received request", "%(number)s received requests", leads)
    kept = ngettext("%(number)s record", "%(number)s records", records)
    return _("The demo is removed: %(requests)s and %(records)s of the demo CRM are gone.") % {
        "requests": requests % {"number": f"{leads:,}"},
        "records": kept % {"number": f"{records:,}"},
    }


def _counts() -> list[tuple[str, int]]:
    """What goes with the demo."""
    return [
        (_("Demo offers, with their URLs"), Offer.objects.filter(is_demo=True).count()),
        (
            _("Received requests and leads of these offers"),
            Submission.objects.filter(offer__is_demo=True).count(),
        ),
        (_("Connections to the demo CRM"), Destination.objects.filter(connector="demo").count()),
        (_("Sendings to it"), Delivery.objects.filter(destination__connector="demo").count()),
        (_("Records in it"), DemoRecord.objects.count()),
    ]


def _labelled(record: dict[str, Any]) -> list[tuple[str, str, str]]:
    labels = {target.name: target.label for target in connectors.get("demo").spec.in_words().fields}
    return [
        (
            name,
            labels.get(name, name),
            value if isinstance(value, str) else json.dumps(value, ensure_ascii=False),
        )
        for name, value in record.items()
    ]
