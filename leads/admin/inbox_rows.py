"""What a row of the inbox says: who did what in a sentence, their own words, what is special, and how far we are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db.models import Case, F, QuerySet, TextField, Value, When
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce, Left
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from leads import lead_source
from leads.admin.customer_words import ordinal
from leads.models import Lead
from leads.people import name_of
from leads.wording import Badge, about_the_offer, about_the_person, badges, clip, clock, when

# What a row does not show: a stranger may have filled each of them with as much as a body holds.
HEAVY = (
    "description",
    "extra",
    "campaign",
    "submission__body",
    "submission__headers",
    "submission__problems",
)
NAME, WORDS, CAMPAIGN = 120, 160, 40  # characters
MOST_COUNTED = 5_000  # leads of the customers on a page


def lean(leads: QuerySet[Any]) -> QuerySet[Any]:
    """These leads with what a row shows of the heavy columns, and no more of them."""
    named = Coalesce(KeyTextTransform("utm_campaign", "campaign"), KeyTextTransform("campaign", "campaign"))
    return leads.defer(*HEAVY).annotate(
        campaign_name=Left(Coalesce(named, Value("")), CAMPAIGN + 1),
        # What holds campaign parameters is no word of the customer's.
        own_words=Case(
            When(campaign={}, then=Left(F("description"), 2 * WORDS)),
            default=Value(""),
            output_field=TextField(),
        ),
    )


# What happened


def story(lead: Any, url: str) -> SafeString:
    """Who pressed what and when, what they wrote, and what is special about it."""
    who, did, what = lead.clauses
    said = " ".join(lead.own_words.split())
    return format_html(
        '<p class="story"><a href="{}"><span class="who">{}</span> {} {}</a>, <span class="quiet">{}</span></p>{}{}',
        url,
        clip(who, NAME),
        _emphasised(did, lead.action),
        clip(what, NAME),
        when(lead.received_at),
        format_html('<p class="own-words">“{}”</p>', clip(said, WORDS)) if said else "",
        _badge_line(
            [
                *badges(lead),
                *about_the_person(lead),
                *about_the_offer(lead),
                *_came_again(lead),
                *_campaign(lead),
            ]
        ),
    )


def _emphasised(did: str, code: str) -> SafeString | str:
    if code not in lead_source.ACTIONS:
        return did
    before, label, after = did.partition(lead_source.action_in_words(code))
    return format_html("{}<em>{}</em>{}", before, label, after) if label else format_html("<em>{}</em>", did)


def _badge_line(found: Sequence[Badge]) -> SafeString | str:
    return (
        format_html("<p>{}</p>", format_html_join(" ", "{}", ((badge,) for badge in found))) if found else ""
    )


def _came_again(lead: Any) -> list[Badge]:
    number = getattr(lead, "number", 1)
    if number < 2:
        return []
    said = _("%(ordinal)s event from this customer") % {"ordinal": ordinal(number)}
    return [Badge(said, _("Open the lead to see what the customer did before."))]


def _campaign(lead: Any) -> list[Badge]:
    if not lead.campaign_name:
        return []
    said = _("campaign: %(name)s") % {"name": clip(lead.campaign_name, CAMPAIGN)}
    return [Badge(said, _("The customer came from a link of this campaign."))]


def number_them(leads: Iterable[Any]) -> None:
    """Set on each of these leads the how many-th of its customer it is, in one query that is bounded.

    Where a customer has thousands, nothing is said: that is no customer, and counting it would hold up the list.
    """
    listed = [lead for lead in leads if lead.customer_id]
    ids = {lead.customer_id for lead in listed}
    if not ids:
        return
    rows = Lead.objects.filter(customer__in=ids).order_by("customer")
    times: dict[int, list[tuple[datetime, Any]]] = {}
    read = list(rows.values_list("customer", "received_at", "pk")[:MOST_COUNTED])
    for customer, at, pk in read:
        times.setdefault(customer, []).append((at, pk))
    if len(read) == MOST_COUNTED:
        times.pop(read[-1][0])  # it may have more
    for lead in listed:
        before = (lead.received_at, lead.pk)
        lead.number = sum(other <= before for other in times.get(lead.customer_id, ()))


# Our work


@dataclass(frozen=True, slots=True)
class Clock:
    """How it stands with the first answer, in words; `late` when its time is over."""

    said: str
    late: bool = False


def answer_clock(lead: Lead, now: datetime) -> Clock | None:
    """How it stands with the first answer to a lead; None where nobody waits for one."""
    if lead.answered_at:
        return Clock(_("Answered"))
    if lead.action == "DNC" or lead.status not in (Lead.Status.NEW, Lead.Status.WORKING):
        return None
    if lead.answer_due_at is None:
        return Clock(_("Not answered"))
    if lead.answer_due_at <= now:
        return Clock(_("Not answered, late since %(time)s") % {"time": clock(lead.answer_due_at)}, late=True)
    left = _in(int((lead.answer_due_at - now).total_seconds()))
    return Clock(_("Not answered, due %(in_time)s") % {"in_time": left})


def _in(seconds: int) -> str:
    minutes = -(-seconds // 60)
    if minutes < 60:
        return _("in %(minutes)s\u00a0min") % {"minutes": minutes}
    hours = minutes // 60
    if hours < 48:
        return _("in %(hours)s\u00a0h") % {"hours": hours}
    days = hours // 24
    return ngettext("in %(days)s day", "in %(days)s days", days) % {"days": days}


def follow_up(lead: Lead, today: date) -> str:
    """When somebody wants to come back to a lead; "" where nobody does."""
    if lead.follow_up_on is None:
        return ""
    if lead.follow_up_on > today:
        return _("Follow up on %(day)s") % {"day": lead.follow_up_on.isoformat()}
    return _("Follow-up due since %(day)s") % {"day": lead.follow_up_on.isoformat()}


def work(lead: Lead, now: datetime, today: date) -> SafeString | str:
    """State, owner, answer and follow-up of a lead that people work on here; nothing of any other."""
    if lead.is_test or not lead.offer.works_here:
        return ""
    state = lead.get_status_display()
    if lead.archived_at:
        state = _("%(state)s, archived") % {"state": state}
    owner = clip(name_of(lead.owner, _("Nobody's")), 40)
    lines = [("state-now", state), ("", owner)]
    if answer := answer_clock(lead, now):
        lines.append(("wrong" if answer.late else "quiet", answer.said))
    if due := follow_up(lead, today):
        lines.append(("quiet" if lead.follow_up_on and lead.follow_up_on > today else "due", due))
    return format_html_join("", '<span class="{}">{}</span>', lines)
