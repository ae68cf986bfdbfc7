"""What screens have in common: times, names and numbers as they are read, and the ways to routes and field mappings."""

from datetime import datetime

from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from crm_sync import connectors
from crm_sync.mapping_owner import Owner
from crm_sync.models import Destination, MappingVersion, Route
from crm_sync.rule_words import anchor
from crm_sync.spec import Spec
from leads import wording as leads_wording


def clock(moment: datetime | None, now: datetime) -> str:
    """A time of day; with the date where that is not today."""
    if moment is None:
        return ""
    local, today = timezone.localtime(moment), timezone.localtime(now).date()
    if 0 < (moment - now).total_seconds() < 120:
        return f"{local:%H:%M:%S}"  # to the minute, "next try 17:10" reads like the past
    return f"{local:%H:%M}" if local.date() == today else leads_wording.clock(moment)


def ago(moment: datetime | None) -> SafeString | str:
    """How long ago, with the exact time behind it."""
    return leads_wording.when(moment) if moment else _("Never")


def sentence(text: str) -> str:
    """The text with a full stop at its end; nothing for nothing."""
    text = text.strip()
    return text if not text or text[-1] in ".!?…" else f"{text}."


def capped(number: int, cap: int) -> str:
    """A number that was counted up to one more than a cap: "10,000", and above it "10,000+"."""
    return f"{number:,}" if number <= cap else f"{cap:,}+"


def kind_of(destination: Destination) -> str:
    """The kind of CRM in words; the bare name of one that this version does not have."""
    try:
        return _(destination.spec.label)
    except connectors.UnknownConnector:
        return _("%(connector)s (not part of this version)") % {"connector": destination.connector}


def spec_of(destination: Destination) -> Spec | None:
    """What the connector declares, for reading; None where this version does not have it."""
    try:
        return destination.spec_in_words
    except connectors.UnknownConnector:
        return None


def demo_mark(is_demo: bool) -> str:
    """What stands behind the name of a demo, in texts without markup."""
    return f" {_('(demo)')}" if is_demo else ""


def name_of(destination: Destination) -> SafeString:
    return format_html("{} {}", destination.name, leads_wording.DEMO_BADGE if destination.is_demo else "")


def row_url(route_id: int, field: str) -> str:
    """To the row of a CRM field, for lists: whose row it is, is found out when somebody follows the link."""
    return f"{reverse('admin:crm_sync_route_row', args=[route_id])}?{urlencode({'field': field})}"


def route_url(route_id: int) -> str:
    """The page of a route: which leads it takes, and what waits for a decision."""
    return reverse("admin:crm_sync_route_change", args=[route_id])


def mapping_url(owner: Route | Destination, field: str = "") -> str:
    """The field mapping of a route or a connection, at the row of a CRM field where one is named.

    A route inherits rows that its connection published: the row of such a field stands on the connection's page.
    """
    if not field:
        return Owner(owner).url()
    if isinstance(owner, Route) and not _has_row(owner.live_mapping, field):
        theirs = owner.destination
        owner = theirs if _has_row(theirs.live_mapping, field) else owner
    return f"{Owner(owner).url()}#{anchor(field)}"


def _has_row(version: MappingVersion | None, field: str) -> bool:
    return version is not None and version.rules.filter(target=field).exists()


def safe_url(url: str) -> str:
    """The address of a record; nothing where it is none: it is the CRM's answer, so a stranger's."""
    return url if url.startswith(("https://", "http://", "/admin/")) else ""


def mapping_state(owner: Route | Destination) -> str:
    """What is live and what is being edited: "Draft of v3 · live v2"."""
    live, draft = owner.live_mapping, owner.draft
    if live and draft:
        return _("Draft of %(draft)s · live %(live)s") % {"draft": draft, "live": live}
    if live:
        return _("Live %(live)s") % {"live": live}
    if draft:
        return _("Draft of %(draft)s · nothing published yet") % {"draft": draft}
    return _("Nothing published yet")
