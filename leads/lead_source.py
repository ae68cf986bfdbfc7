"""Pure: what `LeadSource`, the action code and Microsoft's test mark say about a lead."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Literal

from leads.texts import gettext as _
from leads.texts import gettext_noop


@dataclass(frozen=True, slots=True)
class LeadSource:
    """The parts of `Source-Action|Offer`; a part that is not there is "".

    `source` is kept as sent (`source_label` makes it readable), `action` has Microsoft's spelling.
    The offer is either `publisher_id` and `offer_id`, or an `offer_name`.
    """

    source: str
    action: str
    publisher_id: str
    offer_id: str
    offer_name: str


@dataclass(frozen=True, slots=True)
class Action:
    """One of Microsoft's action codes.

    `label` names it, `what` says in a sentence what the customer did, `verb` stands in "Jane Doe <verb> Contoso
    Backup": in English, to be translated where they are shown. `default` says whether such a lead is pushed or held.
    """

    code: str
    label: str
    what: str
    verb: str
    default: Literal["push", "hold"]


# Microsoft Learn, "Customer leads from your commercial marketplace offer", "Understand lead data".
ACTIONS: Mapping[str, Action] = MappingProxyType(
    {
        action.code: action
        for action in (
            Action(
                "INS",
                gettext_noop("Get it now"),
                gettext_noop("The customer acquired the offer."),
                gettext_noop("acquired"),
                "push",
            ),
            Action(
                "PLT",
                gettext_noop("Contact me"),
                gettext_noop("The customer pressed Contact me and waits for an answer."),
                gettext_noop("pressed Contact me for"),
                "push",
            ),
            Action(
                "DNC",
                gettext_noop("Do not contact"),
                gettext_noop(
                    "Do not contact. Microsoft sent this for information: the customer asked for another "
                    "partner on your page."
                ),
                gettext_noop("asked for another partner on the page of"),
                "hold",
            ),
            Action(
                "Create",
                gettext_noop("Created in Azure"),
                gettext_noop("The customer bought or deployed the offer in the Azure portal."),
                gettext_noop("bought or deployed"),
                "push",
            ),
            Action(
                "StartTestDrive",
                gettext_noop("Test drive"),
                gettext_noop("The customer began a test drive."),
                gettext_noop("began a test drive of"),
                "push",
            ),
        )
    }
)

_SPELLING = {code.casefold(): code for code in ACTIONS}


@dataclass(frozen=True, slots=True)
class Source:
    """A place that leads come from: its label on screen, and how it is spelled, in capitals and without spaces."""

    label: str
    spellings: tuple[str, ...]


# Names of products, the same in every language. SPZA is Microsoft's internal name for AppSource. An open set: the
# marketplaces were merged since.
SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        "marketplace": Source("Azure Marketplace", ("AZUREMARKETPLACE",)),
        "appsource": Source("AppSource", ("SPZA", "APPSOURCE", "APPSOURCE(SPZA)")),
        "portal": Source("Azure portal", ("AZUREPORTAL",)),
        "testdrive": Source("Test Drive", ("TESTDRIVE",)),
    }
)

_SOURCE_OF = {spelling: key for key, source in SOURCES.items() for spelling in source.spellings}

# An action that is not known yet is one short word. A piece of an offer id or a GUID, which begins
# with a digit, is none, nor is anything with a space in it.
_SHORT_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}")

# The mark begins a test lead's fields. Only there: a customer who writes about MSFT_TEST in the middle
# of a sentence is a customer.
_TEST_MARK = re.compile(r"\s*MSFT_TEST(?:_([0-9]{1,19}(?![0-9]))?|\b)", re.IGNORECASE)


def parse(text: str) -> LeadSource:
    """Read `Source-Action|Offer`, any part of which may be missing. Never raises, and loses nothing.

    The action is parted off at the last dash of the left side, and only if it looks like an action,
    because sources and offer ids hold dashes too. In the offer the first dot parts the publisher,
    which cannot hold one, from the offer id, which can; without a dot it is an offer's name.
    """
    left, _, right = text.partition("|")
    source, action = _source_and_action(left.strip())
    publisher_id, offer_id, offer_name = _offer(right.strip())
    return LeadSource(source, action, publisher_id, offer_id, offer_name)


def canonical_action(text: str) -> str:
    """Microsoft's spelling of a known action code in any case; an unknown one as sent, stripped."""
    code = text.strip()
    return _SPELLING.get(code.casefold(), code)


def action_label(code: str) -> str:
    """The words for an action, in English whoever reads them: CRMs get them. An unknown code stands for itself."""
    action = ACTIONS.get(canonical_action(code))
    return action.label if action else code.strip()


def source_key(source: str) -> str:
    """Which of SOURCES that is, however it is spelled; "" for one that is not known."""
    return _SOURCE_OF.get(source.strip().replace(" ", "").upper(), "")


def action_in_words(code: str) -> str:
    """The words for an action on screen, in the language of who reads them; an unknown code stands for itself."""
    action = ACTIONS.get(canonical_action(code))
    return _(action.label) if action else code.strip()


def source_label(source: str) -> str:
    """The words for a source on screen, "AppSource" for SPZA; an unknown one stands for itself."""
    key = source_key(source)
    return SOURCES[key].label if key else source.strip()


def has_test_mark(text: str) -> bool:
    """Whether a field begins with the MSFT_TEST that Microsoft's test leads carry."""
    return _TEST_MARK.match(text) is not None


def marked_ticks(text: str) -> int | None:
    """The <n> of a field that begins with MSFT_TEST_<n>: .NET ticks; None without one."""
    mark = _TEST_MARK.match(text)
    return int(mark[1]) if mark and mark[1] else None


def sent_at(texts: Iterable[str]) -> datetime | None:
    """When Microsoft wrote a test lead with these fields: what the first MSFT_TEST_<n> among them says, if any."""
    ticks = next((ticks for text in texts if (ticks := marked_ticks(text)) is not None), None)
    return None if ticks is None else ticks_to_datetime(ticks)


def ticks_to_datetime(ticks: int) -> datetime | None:
    """.NET ticks (100 ns since the year 1, UTC) as a time, rounded down to the microsecond.

    None where the number lies outside the years 1 to 9999.
    """
    if ticks < 0:
        return None
    try:
        return datetime(1, 1, 1, tzinfo=UTC) + timedelta(microseconds=ticks // 10)
    except OverflowError:
        return None


def _source_and_action(left: str) -> tuple[str, str]:
    source, dash, piece = left.rpartition("-")
    action = piece.strip()
    if dash and _SHORT_WORD.fullmatch(action):
        return source.strip(), canonical_action(action)
    return left, ""


def _offer(right: str) -> tuple[str, str, str]:
    publisher_id, dot, offer_id = right.partition(".")
    # An offer's name may hold a dot as well ("Contoso 2.0 for Teams"), but an id never holds a space.
    if dot and publisher_id and offer_id and not any(map(str.isspace, right)):
        return publisher_id, offer_id, ""
    return "", "", right
