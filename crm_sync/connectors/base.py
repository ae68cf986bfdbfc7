"""What every connector shares. Here alone transport errors and HTTP statuses become outcomes."""

import email.utils
import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from crm_sync.http import (
    GuardedClient,
    NoAnswer,
    Policy,
    Refused,
    Response,
    Unreadable,
    Untrusted,
    address_problem,
)
from crm_sync.outcomes import Delivered, DestinationFault, Outcome, Rejected, RetryLater, Throttled
from crm_sync.recorder import mask_literals
from crm_sync.spec import Setting, Spec, TargetField

WORDS_LIMIT = 500
SHORTEST_DELAY = 1.0
LONGEST_DELAY = 24 * 3600.0

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Check:
    """What a connection test found: sentences and, where it failed, the outcome that a push would have."""

    ok: bool
    findings: tuple[str, ...]
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request as it will be sent, unmasked. A dict is sent as JSON, text exactly as it is."""

    method: str
    url: str
    headers: dict[str, str]
    body: dict[str, Any] | str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """One record of a batch. `key`: the delivery's UUID; `retry`: an earlier try may have written."""

    record: Record
    key: str
    retry: bool


# --- From an answer to an outcome -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Said:
    """What a refusing answer says, as the CRM spells it: its error code, its words, the field it names."""

    code: str = ""
    words: str = ""
    field: str = ""


@dataclass(frozen=True, slots=True)
class Complaint:
    """A refusing answer, ready to become an outcome. `delay`: seconds of Retry-After.

    `uncertain`: it answers a write, so a failure on the far side may have come after the record was made.
    """

    reason: str
    field: str = ""
    delay: float | None = None
    uncertain: bool = False


Verdict = Callable[[Complaint], Outcome]


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
    and the month it was read. `meaning`: the sentence for staff, where the CRM's words alone do not say it.
    """

    status: int | None
    pattern: str
    verdict: Verdict
    page: str
    meaning: str = ""

    def fits(self, status: int, said: Said) -> bool:
        """Whether an answer of this status and these words is meant."""
        return self.status in (None, status) and bool(re.search(self.pattern, f"{said.code} {said.words}"))


_MOVED = "The address answers with a redirect, which is not followed: enter the final address"
_DEFAULTS: Mapping[int, tuple[Verdict, str]] = {
    401: (fault, "The CRM does not accept the credentials"),
    402: (fault, "The CRM's plan does not allow this"),
    403: (fault, "The CRM denies permission"),
    404: (fault, "The CRM knows nothing at this address"),
    405: (fault, "The address does not take this kind of request"),
    407: (fault, "A proxy in between asks for credentials"),
    408: (later, "The CRM waited too long for the request"),
    410: (fault, "The address is switched off for good"),
    415: (fault, "The address does not take JSON of this kind"),
    423: (later, "The record is locked in the CRM"),
    425: (later, "The CRM asks to try again"),
    429: (throttled, "The CRM's limit is reached"),
}


def _default(status: int, delay: float | None) -> tuple[Verdict, str]:
    if status in _DEFAULTS:
        return _DEFAULTS[status]
    if 300 <= status < 400:
        return fault, _MOVED
    if 400 <= status < 500:
        return rejected, "The CRM refuses this lead"
    # A server that says when to come again has not begun.
    if status == 503 and delay is not None:
        return later, "The CRM is not available"
    return uncertain, "The CRM failed"


# The field, not the destination, is at fault where a refusal names one; these say nothing about a field.
_NEVER_ABOUT_A_FIELD = frozenset({401, 408, 425, 429})


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


# --- The connector --------------------------------------------------------------------------------


class Stopped(Exception):  # noqa: N818 - named for what happened
    """Carries an outcome out of the middle of a push or a check."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class Connector(ABC):
    """One kind of CRM. A subclass declares `spec`, says what it would send and reads the answer.

    It overrides `requests` and `examine`, mostly `delivered`; `send` where one request depends on the answer
    to another; `explain` and `errors` where the CRM words its refusals in its own way. One object serves one
    push. `settings` by name, defaults filled in; `now` is the wall clock, aware.
    """

    spec: ClassVar[Spec]
    errors: ClassVar[Sequence[ErrorRow]] = ()

    def __init__(
        self,
        settings: Mapping[str, str],
        http: GuardedClient,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.settings = {s.name: settings.get(s.name) or s.default for s in self.spec.settings}
        self.http = http
        self.now = now

    @classmethod
    def clean(cls, settings: Mapping[str, str]) -> dict[str, str]:
        """What else is wrong with settings that passed `validate_settings`: sentences by setting name."""
        return {}

    # What staff ask

    def describe_fields(self) -> Sequence[TargetField]:
        """The fields of the CRM's record: live where it can tell and is reachable, else the declared ones."""
        try:
            return self.live_fields()
        except (Stopped, NoAnswer):
            return self.spec.fields

    def check(self) -> Check:
        """Test the connection. Creates nothing in the CRM."""
        try:
            findings = self.examine()
        except (Stopped, NoAnswer) as error:
            outcome = self._outcome(error, write=False)
            return Check(ok=False, findings=(outcome_reason(outcome),), outcome=outcome)
        return Check(ok=True, findings=tuple(findings))

    @abstractmethod
    def requests(self, record: Record, *, key: str) -> Sequence[Request]:
        """What `push` would send. Sends nothing and changes nothing."""

    # What the worker asks

    def push(self, record: Record, *, key: str, retry: bool) -> Outcome:
        """Send one record. `key`: the same UUID on every try; `retry`: an earlier try may have written."""
        try:
            return self.send(record, key=key, retry=retry)
        except (Stopped, NoAnswer) as error:
            return self._outcome(error, write=True)

    def push_many(self, items: Sequence[Item]) -> Sequence[Outcome]:
        """Send several records; one outcome each, in their order."""
        return [self.push(item.record, key=item.key, retry=item.retry) for item in items]

    # What a subclass fills in

    @abstractmethod
    def examine(self) -> Sequence[str]:
        """Findings of a connection test that succeeds. Raises Stopped or NoAnswer."""

    def live_fields(self) -> Sequence[TargetField]:
        """The fields as the CRM describes them now. Raises Stopped or NoAnswer."""
        return self.spec.fields

    def send(self, record: Record, *, key: str, retry: bool) -> Outcome:
        """Send the requests in their order and read the last answer. Raises Stopped or NoAnswer."""
        *earlier, last = self.requests(record, key=key)
        for request in earlier:
            self.call(request, write=True)
        return self.delivered(self.call(last, write=True), key=key)

    def delivered(self, response: Response, *, key: str) -> Delivered:
        """What a successful answer says. Raises Unreadable where it does not say it."""
        return Delivered(remote_id=key)

    def explain(self, response: Response) -> Said:
        """The CRM's own words in a refusing answer; by default the common shapes of JSON errors."""
        try:
            body = response.json()
        except Unreadable:
            return Said(words=_page_text(response.text))
        error = (body.get("error") or body) if isinstance(body, dict) else body
        if not isinstance(error, dict):
            return Said(words=str(error))
        words = next((error[name] for name in ("message", "detail", "title") if error.get(name)), "")
        code, field = error.get("code") or "", error.get("field") or ""
        return Said(code=str(code), words=str(words or response.text), field=str(field))

    # What a subclass calls

    def call(self, request: Request, *, write: bool, accept: Collection[int] = ()) -> Response:
        """Send one request and return its answer of status 2xx, or one in `accept`.

        `write`: it may create or change a record. Raises Stopped with the outcome of anything else.
        """
        body = {"json": request.body} if isinstance(request.body, dict) else {"content": request.body}
        try:
            response = self.http.request(request.method, request.url, headers=request.headers, **body)
        except NoAnswer as error:
            raise Stopped(self._outcome(error, write=write)) from error
        if 200 <= response.status < 300 or response.status in accept:
            return response
        raise Stopped(self.judge(response, write=write))

    def judge(self, response: Response, *, write: bool) -> Outcome:
        """The outcome of a refusing answer: by the connector's own rows, the field it names, the defaults."""
        said = self.explain(response)
        delay = retry_after(response.headers.get("retry-after", ""), self.now())
        verdict, meaning = _default(response.status, delay)
        row = next((row for row in self.errors if row.fits(response.status, said)), None)
        field = plain(said.field)
        if row:
            verdict, meaning = row.verdict, row.meaning
        elif field and 400 <= response.status < 500 and response.status not in _NEVER_ABOUT_A_FIELD:
            verdict, meaning = rejected, "The CRM refuses a field"
        words = ": ".join(filter(None, (plain(said.code), plain(said.words))))
        heading = f"{meaning} (HTTP {response.status})" if meaning else f"HTTP {response.status}"
        reason = f"{heading}: {words}" if words else f"{heading}."
        return verdict(Complaint(self._masked(reason), field, delay, uncertain=write))

    def _outcome(self, error: Stopped | NoAnswer, *, write: bool) -> Outcome:
        if isinstance(error, Stopped):
            return error.outcome
        reason = self._masked(plain(error.reason))
        if isinstance(error, Refused | Untrusted):
            return DestinationFault(reason)
        return RetryLater(reason, uncertain=error.sent and write)

    def _masked(self, text: str) -> str:
        # A CRM may quote the credential it refuses, and reasons are shown and stored.
        return mask_literals(text, (self.settings[name] for name in self.spec.secret_names))


def outcome_reason(outcome: Outcome) -> str:
    """The sentence of an outcome that did not deliver; empty for one that did."""
    return "" if isinstance(outcome, Delivered) else outcome.reason


_TITLE = re.compile(r"<title[^>]*+>([^<]*+)", re.IGNORECASE)


def _page_text(text: str) -> str:
    """The title of an HTML error page, which says more than its markup; else the text itself."""
    title = _TITLE.search(text)
    return title[1] if title else text


# --- Settings -------------------------------------------------------------------------------------


def validate_settings(spec: Spec, settings: Mapping[str, str], policy: Policy) -> dict[str, str]:
    """What is wrong with a destination's settings: a sentence by setting name; empty where all is well.

    `policy` says which addresses are allowed.
    """
    problems = {name: "There is no such setting." for name in settings if spec.setting(name) is None}
    for setting in spec.settings:
        if problem := _setting_problem(setting, settings.get(setting.name, ""), policy):
            problems[setting.name] = problem
    return problems


def _setting_problem(setting: Setting, value: str, policy: Policy) -> str:
    value = value or setting.default
    if not value.strip():
        return f"{setting.label} is required." if setting.required else ""
    if setting.kind == "url":
        return address_problem(value, policy)
    choices = ("true", "false") if setting.kind == "flag" else tuple(name for name, _ in setting.choices)
    if setting.kind in ("choice", "flag") and value not in choices:
        return f"{setting.label} must be one of {', '.join(choices)}."
    return ""
