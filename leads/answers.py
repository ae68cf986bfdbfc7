"""Answers by e-mail: which text suits a lead, the lead's values in it, and the link that opens a mail program with it.

No text leaves this machine from here. A colleague's own mail program sends it, from the colleague's own address.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop

from leads import countries
from leads.models import AnswerTemplate, Lead
from leads.people import name_of

# Windows opens no longer address than 2,083 characters.
LONGEST_LINK = 2_000
LONGEST_SUBJECT, LONGEST_BODY = 200, 10_000
LONGEST_VALUE = 2_000  # a stranger's value may be as long as a body
_PLACE = re.compile(r"( ?)\{\{ *([A-Za-z0-9_.]+) *\}\}")
_LINES = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]+")

# What a text may name, and what that is.
NAMES: Mapping[str, Any] = {
    "first_name": gettext_lazy("first name"),
    "last_name": gettext_lazy("last name"),
    "full_name": gettext_lazy("first and last name"),
    "company": gettext_lazy("company"),
    "title": gettext_lazy("job title"),
    "country": gettext_lazy("country, in English"),
    "offer_title": gettext_lazy("title of the offer"),
    "description": gettext_lazy("what the customer wrote"),
    "my_name": gettext_lazy("name of who answers"),
}


# --- Filling in ----------------------------------------------------------------------------------------------


def wrong_names(text: str) -> list[str]:
    """What stands in double braces and is no value of a lead."""
    found = [name for _space, name in _PLACE.findall(text) if name not in NAMES]
    rest = _PLACE.sub("", text)
    return [*found, *re.findall(r"\{\{.{0,40}|.{0,40}\}\}", rest)]


def filled(text: str, values: Mapping[str, str]) -> str:
    """A text with the values in it. An empty one takes the space before it along: "Hello {{ first_name }}," greets
    somebody without a name "Hello,". What a value says is never read as a text with places again.
    """

    def value(place: re.Match[str]) -> str:
        said = values.get(place[2], "")
        return f"{place[1]}{said}" if said else ""

    return _PLACE.sub(value, text)


def one_line(text: str) -> str:
    """A text without line breaks and other control characters, which would begin a header of its own."""
    return _LINES.sub(" ", text).strip()


def values_of(lead: Lead, user: Any) -> dict[str, str]:
    """What a text may name, of this lead and for this colleague."""
    said = {
        "first_name": lead.first_name,
        "last_name": lead.last_name,
        "full_name": lead.full_name,
        "company": lead.company,
        "title": lead.title,
        "country": countries.country_name(lead.tidy_country) or lead.country,
        "offer_title": lead.offer.title,
        "description": "" if lead.campaign else lead.description,
        "my_name": name_of(user),
    }
    return {name: value.strip()[:LONGEST_VALUE] for name, value in said.items()}


@dataclass(frozen=True, slots=True)
class Draft:
    """An answer before it is sent. `empty`: the names in it of which the lead says nothing."""

    subject: str
    body: str
    empty: Sequence[str] = ()


def draft(subject: str, body: str, values: Mapping[str, str]) -> Draft:
    """A template with the values of a lead in it."""
    named = dict.fromkeys(name for _space, name in _PLACE.findall(f"{subject}\n{body}"))
    return Draft(
        one_line(filled(subject, {name: one_line(value) for name, value in values.items()}))[
            :LONGEST_SUBJECT
        ],
        filled(body, values)[:LONGEST_BODY],
        [name for name in named if not values.get(name)],
    )


# --- Choosing ------------------------------------------------------------------------------------------------


def for_lead(lead: Lead) -> list[AnswerTemplate]:
    """The texts for such a lead, the most special first: of its action and offer, of its action, of its offer, any.

    Where nobody has written one for its action, the suggested text comes before those for any action.
    """
    suiting = AnswerTemplate.objects.filter(
        Q(offer=None) | Q(offer=lead.offer_id), action__in={"", lead.action}
    ).select_related("offer")
    found = sorted(suiting, key=lambda text: (bool(text.action), text.offer_id is not None), reverse=True)
    suggested = suggestion(lead.action)
    if suggested and not any(text.action for text in found):
        found.insert(0, suggested)
    return found or [suggestion("")]  # type: ignore[list-item]  # there is one for any action


def suggestion(action: str) -> AnswerTemplate | None:
    """The suggested text for an action, not saved; None where there is none."""
    if action not in SUGGESTED:
        return None
    name, subject, paragraphs = SUGGESTED[action]
    body = "\n\n".join(map(_, paragraphs))
    return AnswerTemplate(action=action, name=_(name), subject=_(subject), body=body)


def missing_suggestions() -> list[AnswerTemplate]:
    """The suggested texts for actions that nobody has written a text for."""
    written = set(AnswerTemplate.objects.filter(offer=None).values_list("action", flat=True))
    return [text for action in SUGGESTED if action not in written and (text := suggestion(action))]


# By action, "" for any other: what the text is called, its subject and its paragraphs, to be translated.
SUGGESTED: Mapping[str, tuple[str, str, Sequence[str]]] = {
    "PLT": (
        gettext_noop("Contact me"),
        gettext_noop("Your request about {{ offer_title }}"),
        (
            gettext_noop("Hello {{ first_name }},"),
            gettext_noop(
                "thank you for asking us about {{ offer_title }} on Microsoft's marketplace. "
                "I am glad to help."
            ),
            gettext_noop(
                "When would a short call suit you? If you would rather write, just answer this e-mail: what do you "
                "want to use {{ offer_title }} for, and for how many people?"
            ),
            gettext_noop("Kind regards\n{{ my_name }}"),
        ),
    ),
    "INS": (
        gettext_noop("Get it now"),
        gettext_noop("Getting started with {{ offer_title }}"),
        (
            gettext_noop("Hello {{ first_name }},"),
            gettext_noop(
                "thank you for choosing {{ offer_title }}. I am your contact here, for questions of any kind."
            ),
            gettext_noop(
                "Is everything running as you expected? If you like, "
                "I show you the first steps in a short call."
            ),
            gettext_noop("Kind regards\n{{ my_name }}"),
        ),
    ),
    "StartTestDrive": (
        gettext_noop("Test drive"),
        gettext_noop("Your test drive of {{ offer_title }}"),
        (
            gettext_noop("Hello {{ first_name }},"),
            gettext_noop(
                "you are trying out {{ offer_title }}. May I show you what others look at first? "
                "Half an hour is enough."
            ),
            gettext_noop("If something does not work as it should, just answer this e-mail."),
            gettext_noop("Kind regards\n{{ my_name }}"),
        ),
    ),
    "Create": (
        gettext_noop("Created in Azure"),
        gettext_noop("{{ offer_title }} in your Azure subscription"),
        (
            gettext_noop("Hello {{ first_name }},"),
            gettext_noop(
                "{{ offer_title }} has been deployed in your Azure subscription. I am your contact here."
            ),
            gettext_noop(
                "Does it run as you expected? I am glad to help with the set-up, "
                "or to answer questions about licences."
            ),
            gettext_noop("Kind regards\n{{ my_name }}"),
        ),
    ),
    "": (
        gettext_noop("Any action"),
        "{{ offer_title }}",
        (
            gettext_noop("Hello {{ first_name }},"),
            gettext_noop("thank you for your interest in {{ offer_title }}. How can I help you?"),
            gettext_noop("Kind regards\n{{ my_name }}"),
        ),
    ),
}


# --- The link ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MailLink:
    """What opens a mail program. `whole`: whether the text is in it; else it is to be pasted."""

    url: str
    whole: bool


def mail_link(mailto: str, subject: str, body: str) -> MailLink:
    """`mailto`: the link to the address alone, as `wording.mail_link` makes it."""
    bare = f"{mailto}?subject={quote(one_line(subject), safe='')}"
    lines = "\r\n".join(body.splitlines())
    full = f"{bare}&body={quote(lines, safe='')}"
    return MailLink(full, True) if len(full) <= LONGEST_LINK else MailLink(bare, False)


def names_in_words(names: Iterable[str]) -> str:
    return ", ".join(str(NAMES[name]) for name in names)


def explained() -> list[tuple[str, str]]:
    """What may stand in a text: as it is written, and what it is."""
    return [(f"{{{{ {name} }}}}", str(label)) for name, label in NAMES.items()]
