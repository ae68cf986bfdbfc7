"""How a lead is put into words on screen, wherever it appears: on Home, in the list, on its page.

Everything in a lead was written by a stranger: it is clipped to what a person can read, and escaped.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar
from urllib.parse import quote

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html, format_html_join, html_safe
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext_lazy, ngettext, override
from django.utils.translation import gettext as _

from leads import lead_source
from leads.models import Lead
from leads.payload import Fields

LINE = 160  # characters of a stranger's text in a list or a heading
FIELD = 2_000  # characters of one field on the lead's page

# What a lead may say, however many keys it came in.
FIELD_LABELS = {
    "first_name": gettext_lazy("First name"),
    "last_name": gettext_lazy("Last name"),
    "email": gettext_lazy("E-mail"),
    "phone": gettext_lazy("Phone"),
    "company": gettext_lazy("Company"),
    "title": gettext_lazy("Job title"),
    "country": gettext_lazy("Country"),
    "lead_source": "LeadSource",
    "action": gettext_lazy("Action"),
    "offer_title": gettext_lazy("Offer title"),
    "description": gettext_lazy("Description"),
}

FOR_INFORMATION = gettext_lazy(
    "Microsoft sent this for information: the customer asked for another partner on your page."
)
DNC = gettext_lazy(
    "Do not contact. Microsoft sent this for information: the customer asked for another partner on your page."
)
NO_EMAIL = gettext_lazy("This lead has no e-mail. Some offer types and privacy rules cause this.")
EDU = gettext_lazy(
    "Microsoft withholds personal data of .edu users. You may have had an e-mail about this lead. "
    "To get the contact, open a Partner Center support ticket."
)
ANSWER_FIRST = gettext_lazy("The customer pressed Contact me and waits for an answer.")
WARM = timedelta(hours=24)  # how long a test drive that began is on a customer's mind
REPEATED_TWICE = gettext_lazy("Received twice within 10 minutes; shown once.")


Piece = TypeVar("Piece")


def in_one_language(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """The pieces, each made in the language that is spoken now. What goes out in pieces is made once the request is
    over, by whichever thread is free, and that speaks the language of whoever asked it before."""
    return _made_in(get_language(), pieces)


def _made_in(language: str | None, pieces: Iterator[Piece]) -> Iterator[Piece]:
    while True:
        with override(language):
            try:
                piece = next(pieces)
            except StopIteration:
                return
        yield piece


def as_text(value: object) -> str:
    """A value of JSON as it is read: text as it stands, the rest as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def clip(text: str, length: int = LINE) -> str:
    """The beginning of a text, with an ellipsis where something was left out."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def clip_and_tell(text: str, length: int = FIELD) -> str:
    """The beginning of a text, and how much more there is."""
    left = len(text) - length
    if left <= 0:
        return text
    more = _("(%(number)s more characters: see the original request)") % {"number": f"{left:,}"}
    return f"{text[:length]}… {more}"


def ago(moment: datetime, now: datetime | None = None) -> str:
    """How long ago, as people say it; a date from a week on."""
    seconds = ((now or timezone.now()) - moment).total_seconds()
    if seconds < 60:
        return _("just now")
    if seconds < 3600:
        return _("%(number)s min ago") % {"number": f"{seconds // 60:.0f}"}
    if seconds < 86_400:
        return _("%(number)s h ago") % {"number": f"{seconds // 3600:.0f}"}
    days = int(seconds // 86_400)
    if days < 7:
        return ngettext("%(number)s day ago", "%(number)s days ago", days) % {"number": days}
    return f"{timezone.localtime(moment):%Y-%m-%d}"


def span(seconds: float) -> str:
    """How long something took, to the unit that matters."""
    if seconds < 1:
        return _("less than a second")
    if seconds < 120:
        return _("%(number)s s") % {"number": f"{seconds:.0f}"}
    if seconds < 7200:
        return _("%(number)s min") % {"number": f"{seconds // 60:.0f}"}
    return _("%(number)s h") % {"number": f"{seconds // 3600:.0f}"}


def midnight() -> datetime:
    """When today began, in the time zone of the screen."""
    return timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)


def clock(moment: datetime) -> str:
    """Local time, to the minute, in the one order that everybody reads alike."""
    return f"{timezone.localtime(moment):%Y-%m-%d %H:%M}"


def exactly(moment: datetime) -> str:
    """Local time to the second, and in which zone: CET, or America/Sao_Paulo where the zone has no letters."""
    local = timezone.localtime(moment)
    zone = local.tzname() or ""
    return f"{local:%Y-%m-%d %H:%M:%S} {zone if zone.isalpha() else local.tzinfo}"


def when(moment: datetime) -> SafeString:
    """How long ago, with the exact time on pointing at it and for screen readers."""
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(),
        exactly(moment),
        ago(moment),
    )


def repeats(times: int) -> str:
    """The sentence on a request that came more than once within the window."""
    if times == 2:
        return str(REPEATED_TWICE)
    return _("Received %(number)s times within 10 minutes; shown once.") % {"number": times}


CUSTOMER_FIELDS = (
    "first_name",
    "last_name",
    "email",
    "phone",
    "company",
    "title",
    "country",
)  # Microsoft's UserDetails


def customer_recognised(lead: Lead) -> str:
    """How much of what Microsoft tells of a customer was read: "7 of 7 fields recognised"."""
    known = sum(bool(getattr(lead, name)) for name in CUSTOMER_FIELDS)
    return _("%(number)s of %(all)s fields recognised") % {"number": known, "all": len(CUSTOMER_FIELDS)}


def recognised(said: Lead | Fields) -> str:
    """How many fields were read: "7 fields recognised, 1 that we do not know"."""
    known = sum(bool(getattr(said, name)) for name in FIELD_LABELS)
    words = ngettext("%(number)s field recognised", "%(number)s fields recognised", known) % {"number": known}
    if said.extra:
        words += _(", %(number)s that we do not know") % {"number": f"{len(said.extra):,}"}
    return words


@html_safe
@dataclass(frozen=True, slots=True)
class Badge:
    """One word on a lead, and the sentence behind it. `kind` is its colour: plain, notice or alarm."""

    text: str | Promise
    title: str | Promise
    kind: str = "plain"

    def __str__(self) -> str:
        return format_html('<span class="badge {}" title="{}">{}</span>', self.kind, self.title, self.text)


DEMO_BADGE = Badge(
    gettext_lazy("demo"), gettext_lazy("Part of the demo. It does not count, and goes with the demo.")
)


def badges(lead: Lead) -> list[Badge]:
    """What a reader must know about a lead before anything else. Needs its offer and submission."""
    times = lead.submission.times_received
    found = {
        DEMO_BADGE: lead.offer.is_demo,
        # Every lead of the demo is a sample: one badge says it.
        Badge(_("sample"), _("Made here for trying out. It does not count.")): lead.is_sample
        and not lead.offer.is_demo,
        Badge(
            _("test"), _("Microsoft's test lead. It stays out of the CRM and does not count.")
        ): lead.is_test,
        Badge(_("received %(number)s times") % {"number": times}, repeats(times)): times > 1,
        Badge(_("do not contact"), DNC, "alarm"): lead.action == "DNC",
        Badge(_("answer first"), ANSWER_FIRST, "notice"): lead.action == "PLT" and _waits(lead),
        Badge(_("warm"), _("The customer began a test drive in the last 24 hours."), "notice"): (
            lead.action == "StartTestDrive" and not lead.is_test and timezone.now() - lead.received_at < WARM
        ),
        Badge(_("unknown action"), _unknown_action(lead), "notice"): _unknown_action(lead),
    }
    return [badge for badge, applies in found.items() if applies]


def _waits(lead: Lead) -> bool:
    """Whether nobody has begun to work on a lead that is worked on here."""
    untouched = lead.status == lead.Status.NEW and lead.answered_at is None
    reachable = bool(lead.email or lead.phone)
    return untouched and reachable and not lead.is_test and lead.offer.works_here


def _unknown_action(lead: Lead) -> str:
    """What to know about an action code that Microsoft does not document; nothing about the others."""
    if not lead.action or lead.action in lead_source.ACTIONS or lead.is_test:
        return ""
    return _(
        "“%(action)s” is not among Microsoft's documented actions. The lead is kept and sent like any other."
    ) % {"action": clip(lead.action, 60)}


def badge_row(lead: Lead) -> SafeString:
    """The badges of a lead, in a row; nothing where there is none."""
    return format_html_join(" ", "{}", ((badge,) for badge in badges(lead)))


def explanations(lead: Lead) -> list[Badge]:
    """What is unusual about a lead, each with what it means and what to do."""
    return [
        *_about_the_action(lead),
        *about_the_person(lead),
        *about_the_offer(lead),
    ]


def _about_the_action(lead: Lead) -> list[Badge]:
    if lead.action == "DNC":
        return [Badge(_("Do not contact"), FOR_INFORMATION, "alarm")]
    found = []
    if unknown := _unknown_action(lead):
        found.append(Badge(_("Unknown action"), unknown, "notice"))
    in_source = lead_source.parse(lead.lead_source).action
    if in_source and in_source.casefold() != lead.action.casefold() and not lead.is_test:
        said = _("ActionCode says %(code)s, LeadSource says %(source)s. ActionCode counts.") % {
            "code": _named(lead.action),
            "source": _named(in_source),
        }
        found.append(Badge(_("Two actions"), said, "notice"))
    return found


def _named(code: str) -> str:
    label = lead_source.action_in_words(code)
    return clip(code if label == code else f"{code} ({label})", 60)


def about_the_person(lead: Lead) -> list[Badge]:
    """Why there may be nobody to write to."""
    anonymous = not (lead.full_name or lead.email or lead.phone or lead.company)
    if anonymous or lead.email.casefold().rstrip().endswith(".edu"):
        return [Badge(_("No contact") if anonymous else ".edu", EDU, "notice")]
    if not lead.email:
        return [Badge(_("No e-mail"), NO_EMAIL, "notice")]
    return []


def about_the_offer(lead: Lead) -> list[Badge]:
    """That it names another offer than the one whose URL it came to."""
    sent = f"{lead.sent_publisher_id}.{lead.sent_offer_id}"
    if not (lead.sent_publisher_id and lead.sent_offer_id) or sent.casefold() == lead.offer.slug.casefold():
        return []
    return [Badge(_("Other offer"), wrong_offer(sent, lead.offer.slug), "notice")]


def wrong_offer(sent: str, slug: str) -> str:
    """What to think of a lead that names one offer and came to the URL of another."""
    return _(
        "LeadSource says offer %(sent)s, but it came to the URL of %(offer)s. "
        "Was the URL pasted in the wrong offer?"
    ) % {"sent": clip(sent, 120), "offer": slug}


def written(lead: Lead) -> str:
    """When Microsoft wrote a test lead, as the mark in it says; "" where it says nothing.

    A delay only where it can be one: clocks differ, and anybody can write any number.
    """
    if not lead.is_test or lead.is_sample:
        return ""
    sent = lead_source.sent_at(
        (
            lead.first_name,
            lead.last_name,
            lead.email,
            lead.company,
            lead.title,
            lead.lead_source,
            lead.action,
            lead.offer_title,
            lead.description,
        )
    )
    if sent is None:
        return ""
    seconds = (lead.received_at - sent).total_seconds()
    if 0 <= seconds <= 86_400:
        return _("Microsoft wrote this test lead %(time)s before it arrived.") % {"time": span(seconds)}
    return _("Microsoft wrote this test lead on %(date)s.") % {"date": sent.date().isoformat()}


def mail_link(email: str) -> str:
    """A mailto: link for something that is an address and nothing else, else ""."""
    try:
        validate_email(email)
    except ValidationError:
        return ""
    # Quoted: a local part may hold a ?, and what follows it would fill in copies and a text.
    return f"mailto:{quote(email, safe='@')}"
