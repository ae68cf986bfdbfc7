"""What every connector shares. Here alone transport errors and HTTP statuses become outcomes."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import partial
from typing import Any, ClassVar, Literal, TypeVar

from crm_sync.connectors import answers
from crm_sync.connectors.answers import Complaint, ErrorRow, Said, Verdict, plain, retry_after
from crm_sync.connectors.memory import Busy, memory
from crm_sync.connectors.values import UnfitField, fitted
from crm_sync.http import (
    GuardedClient,
    NoAnswer,
    Refused,
    Response,
    TooSlow,
    Untrusted,
)
from crm_sync.outcomes import Delivered, DestinationFault, Outcome, Rejected, RetryLater, Throttled
from crm_sync.recorder import mask_literals
from crm_sync.spec import Spec, TargetField
from leads.texts import gettext as _
from leads.texts import gettext_noop

Record = Mapping[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Check:
    """What a connection test found: sentences and, where it failed, the outcome that a push would have.

    `expires_on`: when the credentials end, where the CRM or the credential itself tells it.
    """

    ok: bool
    findings: tuple[str, ...]
    outcome: Outcome | None = None
    expires_on: date | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it will be sent, unmasked. A dict is sent as JSON, text exactly as it is.

    Of a mail, the method is SMTP, the URL names the server, the headers are the envelope.
    """

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


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where this installation hands in mail. `security`: "starttls", "tls" or "" for neither."""

    host: str
    port: int
    security: str = ""
    username: str = ""
    password: str = ""


@dataclass(frozen=True, slots=True)
class Site:
    """What a connector may know of this installation. `url`: PUBLIC_URL; `lead_path`: of a lead's page, {id} its id."""

    url: str = ""
    lead_path: str = ""
    mail: MailServer | None = None
    sender: str = ""


# --- The connector --------------------------------------------------------------------------------


class Stopped(Exception):  # noqa: N818 - named for what happened
    """Carries an outcome out of the middle of a push or a check."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class Connector(ABC):
    """One kind of CRM. A subclass declares `spec`, says what it would send and reads the answer.

    It overrides `requests` and `examine`, mostly `delivered` and `record_url`; `send` where one request depends on
    the answer to another; `send_many` where the CRM takes batches; `explain` and `errors` where the CRM words its
    refusals in its own way. One object serves one push. `protocol`: what it speaks, and so whose status a reason
    quotes.

    `settings` by name, defaults filled in. `fields`: what is known of the CRM's fields, its own description where
    there is one. `now` is the wall clock, aware.
    """

    spec: ClassVar[Spec]
    protocol: ClassVar[Literal["HTTP", "SMTP"]] = "HTTP"
    errors: ClassVar[Sequence[ErrorRow]] = ()

    def __init__(
        self,
        settings: Mapping[str, str],
        http: GuardedClient,
        *,
        fields: Sequence[TargetField] | None = None,
        site: Site = Site(),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.settings = {s.name: settings.get(s.name) or s.default for s in self.spec.settings}
        self.http = http
        self.fields = {field.name: field for field in (self.spec.fields if fields is None else fields)}
        self.site = site
        self.now = now
        self._notes: dict[str, str] = {}

    @classmethod
    def clean(cls, settings: Mapping[str, str]) -> dict[str, str]:
        """What else is wrong with settings that passed `validate_settings`: sentences by setting name."""
        return {}

    # What staff ask

    def describe_fields(self) -> Sequence[TargetField]:
        """The fields of the CRM's record: live where it can tell and is reachable, else the declared ones."""
        if not self.spec.describes:
            return self.spec.fields
        try:
            return self.known_fields()
        except (Stopped, NoAnswer):
            return self.spec.fields

    def known_fields(self) -> Sequence[TargetField]:
        """The fields as the CRM describes them now, each with what this connector suggests for it.

        Raises Stopped or NoAnswer.
        """
        suggested = {field.name: field.suggested for field in self.spec.fields}
        return [replace(field, suggested=suggested.get(field.name)) for field in self.live_fields()]

    def check(self) -> Check:
        """Test the connection. Creates nothing in the CRM."""
        try:
            findings = self.examine()
        except (Stopped, NoAnswer) as error:
            outcome = self._outcome(error, write=False)
            return Check(False, (outcome_reason(outcome),), outcome, self.expires_on())
        return Check(True, tuple(findings), expires_on=self.expires_on())

    def expires_on(self) -> date | None:
        """When the credentials end, where they themselves tell it."""
        return None

    @abstractmethod
    def requests(self, record: Record, *, key: str) -> Sequence[Request]:
        """What `push` would send, but for access tokens. Sends nothing and changes nothing.

        Raises Stopped where this record cannot be sent.
        """

    # What the worker asks

    def push(self, record: Record, *, key: str, retry: bool) -> Outcome:
        """Send one record. `key`: the same UUID on every try; `retry`: an earlier try may have written."""
        return self._finished(self.concluded(lambda: self.send(record, key=key, retry=retry)), key)

    def push_many(self, items: Sequence[Item]) -> Sequence[Outcome]:
        """Send several records; one outcome each, in their order."""
        if self.spec.batch_size == 1 or len(items) == 1:
            return [self.push(item.record, key=item.key, retry=item.retry) for item in items]
        ready, outcomes = self.prepared(
            items, lambda item: replace(item, record=self.fit(item.record, key=item.key))
        )
        if ready:
            outcomes |= zip(ready, self._many([*ready.values()]), strict=True)
        return [self._finished(outcomes[item.key], item.key) for item in items]

    def _many(self, items: Sequence[Item]) -> Sequence[Outcome]:
        try:
            return self.send_many(items)
        except (Stopped, NoAnswer) as error:
            outcome = self._outcome(error, write=True)
        if isinstance(outcome, Rejected) and not outcome.field:
            # The call as such is refused, of which no lead in it is guilty: each goes alone.
            return Connector.send_many(self, items)
        return [outcome] * len(items)

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
            self.call(request, write=True, key=key)
        return self.delivered(self.call(last, write=True, key=key), key=key)

    def send_many(self, items: Sequence[Item]) -> Sequence[Outcome]:
        """Send records that are fitted already; one outcome each, in their order.

        One by one, unless the CRM has a call for many. Raises Stopped or NoAnswer where that failed as a whole.
        """
        return [
            self.concluded(partial(self.send, item.record, key=item.key, retry=item.retry)) for item in items
        ]

    def delivered(self, response: Response, *, key: str) -> Delivered:
        """What a successful answer says. Raises Unreadable where it does not say it."""
        return Delivered(remote_id=key)

    def record_url(self, remote_id: str) -> str:
        """Where a person looks at that record; empty where the CRM has no such page."""
        return ""

    def explain(self, response: Response) -> Said:
        """The CRM's own words in a refusing answer; by default the common shapes of JSON errors."""
        return answers.common(response)

    # What a subclass calls

    def fit(self, record: Record, *, key: str) -> dict[str, Any]:
        """The record in the types and lengths of the CRM's fields. What was cut is told with the outcome.

        Raises Stopped with the refusal of a field that cannot hold its value.
        """
        try:
            values, note = fitted(record, self.fields, self.spec.length_unit)
        except UnfitField as error:
            raise Stopped(Rejected(error.sentence, field=error.field)) from None
        if note:  # what is fitted already has none
            self._notes[key] = note
        return values

    def prepared(
        self, items: Sequence[Item], prepare: Callable[[Item], T]
    ) -> tuple[dict[str, T], dict[str, Outcome]]:
        """What `prepare` makes of each item, by key, and the outcomes of those with which it was stopped.

        Raises Stopped with what concerns the whole destination, and NoAnswer.
        """
        ready: dict[str, T] = {}
        outcomes: dict[str, Outcome] = {}
        for item in items:
            try:
                ready[item.key] = prepare(item)
            except Stopped as stopped:
                if isinstance(stopped.outcome, DestinationFault | Throttled):
                    raise
                outcomes[item.key] = stopped.outcome
        return ready, outcomes

    def concluded(self, write: Callable[[], Outcome]) -> Outcome:
        """What a write comes to: what `write` returns, or the outcome with which it was stopped."""
        try:
            return write()
        except (Stopped, NoAnswer) as error:
            return self._outcome(error, write=True)

    def call(self, request: Request, *, write: bool, accept: Collection[int] = (), key: str = "") -> Response:
        """Send one request and return its answer of status 2xx, or one in `accept`.

        `write`: it may create or change a record, that of `key`. Raises Stopped with the outcome of anything else.
        """
        return self.accepted(self.exchange(request, write=write), write=write, accept=accept, key=key)

    def show(self, request: Request) -> None:
        """Put the request on record as it would be sent, but for access tokens. Sends nothing."""
        body = {"json": request.body} if isinstance(request.body, dict) else {"content": request.body}
        self.http.note(request.method, request.url, headers=request.headers, **body)

    def exchange(self, request: Request, *, write: bool) -> Response:
        """Send one request and return its answer, whatever the status. Raises Stopped where none came."""
        body = {"json": request.body} if isinstance(request.body, dict) else {"content": request.body}
        try:
            return self.http.request(request.method, request.url, headers=request.headers, **body)
        except NoAnswer as error:
            raise Stopped(self._outcome(error, write=write)) from error

    def accepted(
        self, response: Response, *, write: bool, accept: Collection[int] = (), key: str = ""
    ) -> Response:
        """The answer, if its status is 2xx or in `accept`. Raises Stopped with the outcome of anything else."""
        if 200 <= response.status < 300 or response.status in accept:
            return response
        raise Stopped(self.judge(response, write=write, key=key))

    def judge(self, response: Response, *, write: bool, key: str = "") -> Outcome:
        """The outcome of a refusing answer: by the connector's own rows, the field it names, the defaults."""
        said = self.explain(response)
        delay = retry_after(response.headers.get("retry-after", ""), self.now())
        return self.verdict(response.status, said, write=write, key=key, delay=delay)

    def verdict(
        self, status: int, said: Said, *, write: bool, key: str = "", delay: float | None = None
    ) -> Outcome:
        """The outcome of a refusal of this status in these words, of a whole answer or of one record of a batch."""
        verdict, meaning = self.default(status, said, delay)
        row = next((row for row in self.errors if row.fits(status, said)), None)
        field = plain(said.field)
        if row:
            verdict, meaning = row.verdict, row.meaning
            delay = row.delay if delay is None else delay
        elif field and 400 <= status < 500 and status not in answers.NEVER_ABOUT_A_FIELD:
            verdict, meaning = answers.rejected, gettext_noop("The CRM refuses a field")
        words = ": ".join(filter(None, (plain(said.code), plain(said.words))))
        answer = f"{self.protocol} {status}"
        heading = f"{_(meaning)} ({answer})" if meaning else answer
        reason = self.masked(f"{heading}: {words}" if words else f"{heading}.")
        return verdict(Complaint(reason, field, delay, uncertain=write, key=key, other=plain(said.other)))

    def default(self, status: int, said: Said, delay: float | None) -> tuple[Verdict, str]:
        """What a refusal means that no row of the connector's own explains, and the sentence for staff."""
        return answers.default(status, delay)

    def remembered(self, what: tuple[Hashable, ...], ask: Callable[[], tuple[T, float | None]]) -> T:
        """What this process knows of this account, or what `ask` returns: a value and the seconds that it holds.

        Raises Stopped or NoAnswer.
        """
        try:
            return memory.get(self.account(*what), ask, wait=self.http.seconds_left())
        except Busy:
            raise TooSlow(_("No time was left for this request.")) from None

    def known(self, *what: Hashable) -> Any:
        """What this process remembers of this account; None where it does not. Asks nobody."""
        return memory.peek(self.account(*what))

    def forget(self, *what: Hashable) -> None:
        """Ask for it anew the next time."""
        memory.forget(self.account(*what), self.known(*what))

    def account(self, *what: Hashable) -> Hashable:
        """The key of something remembered of this account: other credentials are another account."""
        settings = repr(sorted(self.settings.items())).encode("utf-8", "replace")
        return (self.spec.slug, hashlib.sha256(settings).digest(), *what)

    def masked(self, text: str) -> str:
        """The text without the secrets of this connection: a CRM may quote the credential that it refuses."""
        return mask_literals(text, (self.settings[name] for name in self.spec.secret_names))

    # What it comes to

    def _finished(self, outcome: Outcome, key: str) -> Outcome:
        """The outcome by the connection's choice about duplicates, with the record's address and the notes."""
        if (
            isinstance(outcome, Rejected)
            and outcome.duplicate_of
            and self.settings.get("duplicates") == "skip"
        ):
            other = outcome.duplicate_of if outcome.duplicate_of != answers.UNNAMED else ""
            note = _("The CRM has this person already. Nothing was written, as the connection says.")
            return Delivered(other, self.record_url(other) if other else "", note=note)
        if not isinstance(outcome, Delivered):
            return outcome
        url = outcome.remote_url or self.record_url(outcome.remote_id)
        note = " ".join(filter(None, (outcome.note, self._notes.get(key, ""))))
        return replace(outcome, remote_url=url, note=note)

    def _outcome(self, error: Stopped | NoAnswer, *, write: bool) -> Outcome:
        if isinstance(error, Stopped):
            return error.outcome
        reason = self.masked(plain(error.reason))
        if isinstance(error, Refused | Untrusted):
            return DestinationFault(reason)
        return RetryLater(reason, uncertain=error.sent and write)


def outcome_reason(outcome: Outcome) -> str:
    """The sentence of an outcome that did not deliver; empty for one that did."""
    return "" if isinstance(outcome, Delivered) else outcome.reason
