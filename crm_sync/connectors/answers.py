"""From a CRM's refusing answer to an outcome: the default table, and the rows with which a connector corrects it."""

import email.utils
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from crm_sync.http import Response, Unreadable
from crm_sync.outcomes import Delivered, DestinationFault, Outcome, Rejected, RetryLater, Throttled
from leads.texts import gettext_noop

WORDS_LIMIT = 500
SHORTEST_DELAY = 1.0
LONGEST_DELAY = 24 * 3600.0
UNNAMED = "?"  # the id of a record that the CRM does not name


@dataclass(frozen=True, slots=True)
class Said:
    """What a refusing answer says, as the CRM spells it: its error code, its words, the field it names.

    `other`: the id of the record that the CRM's own duplicate or uniqueness rule found.
    """

    code: str = ""
    words: str = ""
    field: str = ""
    other: str = ""


@dataclass(frozen=True, slots=True)
class Complaint:
    """A refusing answer, ready to become an outcome. `delay`: seconds of Retry-After.

    `uncertain`: it answers a write, so a failure on the far side may have come after the record was made.
    `key`: the delivery's. `other`: as in `Said`.
    """

    reason: str
    field: str = ""
    delay: float | None = None
    uncertain: bool = False
    key: str = ""
    other: str = ""


Verdict = Callable[[Complaint], Outcome]


def already_there(complaint: Complaint) -> Outcome:
    """The CRM's uniqueness rule found our own key: an earlier try wrote the record."""
    return Delivered(remote_id=complaint.other or complaint.key, existed=True)


def duplicate(complaint: Complaint) -> Outcome:
    """The CRM's own duplicate rule found another record. What follows is the connection's choice (`base.push`)."""
    return Rejected(complaint.reason, duplicate_of=complaint.other or UNNAMED)


def rejected(complaint: Complaint) -> Outcome:
    """This lead is refused, or the field that the CRM names."""
    return Rejected(complaint.reason, field=complaint.field)


def later(complaint: Complaint) -> Outcome:
    """Nothing was written; it is worth trying again."""
    return RetryLater(complaint.reason, delay=complaint.delay)


def uncertain(complaint: Complaint) -> Outcome:
    """It is worth trying again, but a write may have gone through."""
    return RetryLater(complaint.reason, delay=complaint.delay, uncertain=complaint.uncertain)


def throttled(complaint: Complaint) -> Outcome:
    """Over a limit: the whole destination waits."""
    return Throttled(complaint.reason, delay=complaint.delay)


def fault(complaint: Complaint) -> Outcome:
    """The destination itself must be mended."""
    return DestinationFault(complaint.reason)


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """One row of a connector's own error table, asked before the defaults; the first that fits decides.

    `pattern`: regular expression searched for in "<code> <words>", empty for any. `page`: the vendor's page
    and the month it was read. `meaning`: the sentence for staff, where the CRM's words alone do not say it; marked, and
    translated when it is said.
    `delay`: seconds to wait where the answer itself names none.
    """

    status: int | None
    pattern: str
    verdict: Verdict
    page: str
    meaning: str = ""
    delay: float | None = None

    def fits(self, status: int, said: Said) -> bool:
        """Whether an answer of this status and these words is meant."""
        return self.status in (None, status) and bool(re.search(self.pattern, f"{said.code} {said.words}"))


_TITLE = re.compile(r"<title[^>]*+>([^<]*+)", re.IGNORECASE)


def common(response: Response) -> Said:
    """What a refusing answer says in one of the common shapes of JSON errors; of an HTML page, its title."""
    try:
        body = response.json()
    except Unreadable:
        title = _TITLE.search(response.text)
        return Said(words=title[1] if title else response.text)
    error = (body.get("error") or body) if isinstance(body, dict) else body
    if not isinstance(error, dict):
        return Said(words=str(error))
    words = next((error[name] for name in ("message", "detail", "title") if error.get(name)), "")
    code, field = error.get("code") or "", error.get("field") or ""
    return Said(code=str(code), words=str(words or response.text), field=str(field))


_MOVED = gettext_noop("The address answers with a redirect, which is not followed: enter the final address")
_DEFAULTS: Mapping[int, tuple[Verdict, str]] = {
    401: (fault, gettext_noop("The CRM does not accept the credentials")),
    402: (fault, gettext_noop("The CRM's plan does not allow this")),
    403: (fault, gettext_noop("The CRM denies permission")),
    404: (fault, gettext_noop("The CRM knows nothing at this address")),
    405: (fault, gettext_noop("The address does not take this kind of request")),
    407: (fault, gettext_noop("A proxy in between asks for credentials")),
    408: (later, gettext_noop("The CRM waited too long for the request")),
    410: (fault, gettext_noop("The address is switched off for good")),
    415: (fault, gettext_noop("The address does not take JSON of this kind")),
    423: (later, gettext_noop("The record is locked in the CRM")),
    425: (later, gettext_noop("The CRM asks to try again")),
    429: (throttled, gettext_noop("The CRM's limit is reached")),
}


def default(status: int, delay: float | None) -> tuple[Verdict, str]:
    if status in _DEFAULTS:
        return _DEFAULTS[status]
    if 300 <= status < 400:
        return fault, _MOVED
    if 400 <= status < 500:
        return rejected, gettext_noop("The CRM refuses this lead")
    # A server that says when to come again has not begun.
    if status == 503 and delay is not None:
        return later, gettext_noop("The CRM is not available")
    return uncertain, gettext_noop("The CRM failed")


# The field, not the destination, is at fault where a refusal names one; these say nothing about a field.
NEVER_ABOUT_A_FIELD = frozenset({401, 408, 425, 429})


def retry_after(value: str, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks for, between a second and a day; None where it says nothing.

    `value` is a number of seconds or an HTTP date, which is compared with `now`.
    """
    value = value.strip()
    if re.fullmatch(r"\d+(\.\d+)?", value, re.ASCII):
        seconds = float(value)
    else:
        try:
            when = email.utils.parsedate_to_datetime(value)
        except ValueError:
            return None
        # RFC 9110 knows GMT only; "-0000" parses to a naive time and means the same.
        seconds = (when.replace(tzinfo=when.tzinfo or UTC) - now).total_seconds()
    return min(max(seconds, SHORTEST_DELAY), LONGEST_DELAY)


def plain(text: str) -> str:
    """The text on one line, without control and formatting characters, at most 500 characters long."""
    # Far more than is kept, so that a megabyte of noise costs nothing.
    start = text[: 20 * WORDS_LIMIT]
    visible = "".join(" " if unicodedata.category(c)[0] == "C" else c for c in start)
    return " ".join(visible.split())[:WORDS_LIMIT]
