"""What every connector promises, run over the registry.

A connector's recorded exchanges are `tests/exchanges/<slug>/<event>.json`: settings, record, key and time,
the requests it then sends with the answer to each, and the outcome; `source` says where the answers are from, an
independent implementation or the contract. `fields` may add what is known of the CRM's fields. `delivered.json` is the
one that the general laws build on: they answer its last request differently; its `on_retry` are what a repeated push
asks besides. A `batch_*.json` has `items` for the
record and `outcomes` for the outcome.

Of a connector that speaks to a mail server an exchange is a `dialogue`, and `site` names that server. What no HTTP
answer can put to the test, `test_contract_smtp.py` does.
"""

import base64
import copy
import json
import re
import threading
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_sync import connectors, outcomes
from crm_sync.addresses import Policy
from crm_sync.connectors.answers import (
    ErrorRow,
    Said,
    already_there,
    fault,
    later,
    plain,
    rejected,
    retry_after,
    throttled,
    uncertain,
)
from crm_sync.connectors.base import (
    Check,
    Connector,
    Item,
    MailServer,
    Record,
    Request,
    Site,
    outcome_reason,
)
from crm_sync.connectors.memory import memory
from crm_sync.connectors.settings import validate_settings
from crm_sync.http import GuardedClient
from crm_sync.outcomes import Delivered, DestinationFault, Outcome, Rejected, RetryLater, Throttled
from crm_sync.recorder import Recorder
from crm_sync.spec import Setting, Spec, TargetField
from tests.crm_sync.mail_stage import MailStage

ROOT = Path(__file__).parents[2]
EXCHANGES = ROOT / "tests/exchanges"
RECORDINGS = sorted(path for path in EXCHANGES.glob("*/*.json") if not path.stem.startswith("batch_"))
BATCHES = sorted(EXCHANGES.glob("*/batch_*.json"))

Answer = Callable[[httpx2.Request], httpx2.Response]
every_connector = pytest.mark.parametrize("connector", connectors.all(), ids=list(connectors.REGISTRY))
HTTP = [connector for connector in connectors.all() if connector.protocol == "HTTP"]
every_http_connector = pytest.mark.parametrize("connector", HTTP, ids=[each.spec.slug for each in HTTP])
REFUSED_CREDENTIALS = {"HTTP": 401, "SMTP": 535}


@dataclass
class Recording:
    """One recorded push."""

    source: str
    settings: dict[str, str]
    now: str
    exchanges: list[dict[str, Any]]
    record: dict[str, Any] = field(default_factory=dict)
    key: str = ""
    outcome: dict[str, Any] = field(default_factory=dict)
    items: list[dict[str, Any]] = field(default_factory=list)
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    fields: list[dict[str, Any]] | None = None
    site: dict[str, Any] | None = None
    retry: bool = False
    on_retry: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def read(cls, slug: str, event: str = "delivered") -> "Recording":
        return cls(**json.loads((EXCHANGES / slug / f"{event}.json").read_text("utf-8")))

    def expected(self) -> Outcome:
        return _outcome(self.outcome)

    def last_status(self) -> int:
        """What the last thing that was sent is answered with."""
        last = self.exchanges[-1]
        return int(last["dialogue"][-1][1][:3]) if "dialogue" in last else int(last["response"]["status"])

    def installation(self) -> Site:
        if self.site is None:
            return Site()
        return Site(**{**self.site, "mail": MailServer(**self.site["mail"])})

    def known_fields(self) -> list[TargetField] | None:
        if self.fields is None:
            return None
        return [
            TargetField(**{**each, "choices": tuple((a, b) for a, b in each.get("choices", ()))})
            for each in self.fields
        ]


def _outcome(stored: dict[str, Any]) -> Outcome:
    fields = dict(stored)
    outcome: Outcome = getattr(outcomes, fields.pop("is"))(**fields)
    return outcome


class Stage(httpx2.BaseTransport):
    """Answers each request as the recording does, those to one address in turn; `last` in place of its last answer."""

    def __init__(self, recording: Recording, last: Answer | None = None) -> None:
        self.recording = recording
        self.last = last
        self.seen: list[httpx2.Request] = []
        self._played = Counter[tuple[str, str]]()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.seen.append(request)
        address = (request.method, str(request.url))
        exchanges = [*self.recording.exchanges, *self.recording.on_retry]
        numbers = [
            number
            for number, exchange in enumerate(exchanges)
            if (exchange["request"]["method"], exchange["request"]["url"]) == address
        ]
        assert numbers, f"not recorded: {address}"
        number = numbers[self._played[address] % len(numbers)]
        self._played[address] += 1
        if self.last and number == len(self.recording.exchanges) - 1:
            return self.last(request)
        return _response(exchanges[number]["response"])


def _response(response: dict[str, Any]) -> httpx2.Response:
    body = response["body"]
    content = {"text": body} if isinstance(body, str) else {"json": body}
    return httpx2.Response(response["status"], headers=response["headers"], **content)


def staged(recording: Recording) -> Stage | MailStage:
    """The far side of a recording."""
    return MailStage(recording.exchanges) if "dialogue" in recording.exchanges[0] else Stage(recording)


def build(
    connector: type[Connector],
    recording: Recording,
    far_side: httpx2.BaseTransport | MailStage,
    **options: Any,
) -> Connector:
    if isinstance(far_side, MailStage):
        http = far_side.client(**options)
    else:
        http = GuardedClient(Policy(), transport=far_side, **options)
    now = datetime.fromisoformat(recording.now)
    return connector(
        recording.settings,
        http,
        fields=recording.known_fields(),
        site=recording.installation(),
        now=lambda: now,
    )


def push(connector: type[Connector], last: Answer, *, retry: bool = False, **options: Any) -> Outcome:
    """The outcome of the recorded delivery where the last request is answered so."""
    recording = Recording.read(connector.spec.slug)
    subject = build(connector, recording, Stage(recording, last), **options)
    return subject.push(recording.record, key=recording.key, retry=retry)


# --- Declarations ---------------------------------------------------------------------------------


@every_connector
def test_a_connector_declares_all_that_the_screens_show(connector: type[Connector]) -> None:
    spec = connector.spec
    assert re.fullmatch(r"[a-z][a-z0-9_]*", spec.slug)
    assert spec.label
    assert spec.batch_size >= 1
    assert connector.__doc__
    assert spec.idempotent_by.endswith(".") or not spec.idempotent_by
    assert spec.fields or spec.any_field
    for setting in spec.settings:
        assert setting.label
        assert setting.help, f"{setting.name} has no help"
        assert (setting.kind == "choice") == bool(setting.choices)


@every_connector
def test_a_connector_declares_each_name_once(connector: type[Connector]) -> None:
    for declared in (connector.spec.settings, connector.spec.fields):
        declared_names = [each.name for each in declared]
        assert len(declared_names) == len(set(declared_names))


@every_connector
def test_required_fields_are_part_of_the_suggested_mapping(connector: type[Connector]) -> None:
    for target in connector.spec.fields:
        assert target.label
        assert target.suggested or not target.required, f"{target.name} is required but not suggested"
        assert target.suggested is None or (target.suggested["kind"] and "target" not in target.suggested)


@every_connector
def test_each_error_row_names_the_vendors_page_and_when_it_was_read(connector: type[Connector]) -> None:
    for row in connector.errors:
        assert re.search(r"https://\S+, 20\d\d-\d\d", row.page), row


def test_the_registry_finds_connectors_by_slug() -> None:
    assert {"webhook", "demo"} <= set(connectors.REGISTRY)
    for slug, connector in connectors.REGISTRY.items():
        assert connectors.get(slug) is connector
        assert connector.spec.slug == slug


def test_an_unknown_slug_is_answered_with_those_there_are() -> None:
    with pytest.raises(connectors.UnknownConnector, match=r"no connector 'fax'; there are .*demo.*webhook"):
        connectors.get("fax")


# --- The house ------------------------------------------------------------------------------------


def test_no_module_of_the_connectors_is_long() -> None:
    """One reason each, in 300 lines; what all of them share has 420."""
    house = Path(connectors.__file__).parent
    lines = {
        path.relative_to(house).as_posix(): len(path.read_text("utf-8").splitlines())
        for path in house.rglob("*.py")
    }
    assert {"base.py", "webhook.py", "odoo/connector.py"} <= lines.keys()
    assert {name: n for name, n in lines.items() if n > (420 if name == "base.py" else 300)} == {}


def test_each_connector_stands_under_its_slug_and_imports_no_other() -> None:
    """What stands under the slug is a module or a package; import-linter holds each that the contract names."""
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    [named] = [each["modules"] for each in stated if each["name"] == "No connector imports another"]
    assert sorted(named) == sorted(f"{connectors.__name__}.{slug}" for slug in connectors.REGISTRY)
    for module, connector in zip(
        named, map(connectors.get, (each.split(".")[-1] for each in named)), strict=True
    ):
        assert f"{connector.__module__}.".startswith(f"{module}.")


# --- Recorded exchanges ---------------------------------------------------------------------------


@every_connector
def test_a_connector_has_recordings_of_what_matters(connector: type[Connector]) -> None:
    slug = connector.spec.slug
    kinds = {
        (recording.outcome["is"], recording.last_status())
        for recording in (Recording.read(slug, path.stem) for path in RECORDINGS if path.parent.name == slug)
    }
    assert {"Delivered", "Rejected", "Throttled", "DestinationFault"} <= {kind for kind, _ in kinds}
    refused = REFUSED_CREDENTIALS[connector.protocol]
    assert ("DestinationFault", refused) in kinds, "no refused credentials"


def test_every_recording_belongs_to_a_connector() -> None:
    assert {path.parent.name for path in RECORDINGS} == set(connectors.REGISTRY)


@pytest.mark.parametrize("path", RECORDINGS, ids=[f"{path.parent.name}-{path.stem}" for path in RECORDINGS])
def test_a_recorded_push_sends_and_concludes_what_was_recorded(path: Path) -> None:
    connector = connectors.get(path.parent.name)
    recording = Recording.read(path.parent.name, path.stem)
    stage = staged(recording)
    subject = build(connector, recording, stage)
    outcome = subject.push(recording.record, key=recording.key, retry=recording.retry)

    assert outcome == recording.expected()
    assert len(stage.seen) == len(recording.exchanges)
    for seen, exchange in zip(stage.seen, recording.exchanges, strict=True):
        assert_sent(seen, Request(**exchange["request"]))


def assert_sent(seen: httpx2.Request | Request, request: Request) -> None:
    if isinstance(seen, Request):
        assert seen == request
        return
    assert (seen.method, str(seen.url)) == (request.method, request.url)
    assert {name: seen.headers.get(name) for name in request.headers} == request.headers
    body = json.loads(seen.content) if isinstance(request.body, dict) else seen.content.decode()
    assert body == request.body


# --- What would be sent ---------------------------------------------------------------------------


@every_connector
def test_the_dry_run_sends_nothing_and_shows_what_a_push_sends(connector: type[Connector]) -> None:
    recording = Recording.read(connector.spec.slug)
    stage = staged(recording)
    subject = build(connector, recording, stage)
    record = copy.deepcopy(recording.record)

    shown = subject.requests(record, key=recording.key)
    assert subject.requests(record, key=recording.key) == shown
    assert stage.seen == []
    assert record == recording.record

    subject.push(record, key=recording.key, retry=False)
    for seen, request in zip(stage.seen[-len(shown) :], shown, strict=True):
        assert_sent(seen, request)


@every_connector
def test_pushing_many_is_pushing_each(connector: type[Connector]) -> None:
    recording = Recording.read(connector.spec.slug)
    subject = build(connector, recording, staged(recording))
    items = [Item(recording.record, recording.key, retry=False)]
    assert list(subject.push_many(items)) == [recording.expected()]
    if connector.spec.batch_size == 1:
        assert list(subject.push_many(items * 2)) == [recording.expected()] * 2


@pytest.mark.parametrize("path", BATCHES, ids=[f"{path.parent.name}-{path.stem}" for path in BATCHES])
def test_a_recorded_batch_sends_and_concludes_what_was_recorded(path: Path) -> None:
    connector = connectors.get(path.parent.name)
    recording = Recording.read(path.parent.name, path.stem)
    stage = staged(recording)
    items = [Item(**{"retry": False, **item}) for item in recording.items]
    told = build(connector, recording, stage).push_many(items)

    assert list(told) == [_outcome(stored) for stored in recording.outcomes]
    assert len(stage.seen) == len(recording.exchanges)
    for seen, exchange in zip(stage.seen, recording.exchanges, strict=True):
        assert_sent(seen, Request(**exchange["request"]))


@every_connector
def test_a_connector_with_a_batch_call_has_recordings_of_one(connector: type[Connector]) -> None:
    slug = connector.spec.slug
    recorded = [Recording.read(slug, path.stem) for path in BATCHES if path.parent.name == slug]
    assert bool(recorded) == (connector.spec.batch_size > 1)
    if recorded:
        kinds = [{outcome["is"] for outcome in recording.outcomes} for recording in recorded]
        assert any(len(each) > 1 for each in kinds), "no batch of which some failed"


@every_connector
def test_every_row_of_an_error_table_is_shown_by_a_recording(
    connector: type[Connector], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[ErrorRow | None] = []
    verdict = Connector.verdict

    def noting(self: Connector, status: int, said: Said, **options: Any) -> Outcome:
        shown.append(next((row for row in self.errors if row.fits(status, said)), None))
        return verdict(self, status, said, **options)

    monkeypatch.setattr(Connector, "verdict", noting)
    slug = connector.spec.slug
    for path in (path for path in (*RECORDINGS, *BATCHES) if path.parent.name == slug):
        memory.clear()
        recording = Recording.read(slug, path.stem)
        subject = build(connector, recording, staged(recording))
        if recording.items:
            subject.push_many([Item(**{"retry": False, **item}) for item in recording.items])
        else:
            subject.push(recording.record, key=recording.key, retry=recording.retry)
    missing = [row for row in connector.errors if row not in shown]
    assert not missing, "\n".join(map(str, missing))


@pytest.mark.parametrize("path", [*RECORDINGS, *BATCHES], ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_recording_says_where_its_answers_are_from(path: Path) -> None:
    source = json.loads(path.read_text("utf-8"))["source"]
    assert re.match(r"(recorded from \S+ \d|written from )\S+", source), source


# --- No answer, and any answer --------------------------------------------------------------------


class Stream(httpx2.SyncByteStream):
    """A body made piece by piece."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return self.pieces


def raising(error: Exception) -> Answer:
    def answer(_: httpx2.Request) -> httpx2.Response:
        raise error

    return answer


def broken_stream() -> Iterator[bytes]:
    yield b'{"id": '
    raise httpx2.ReadError("connection reset by peer")


CERTAIN = RetryLater("", uncertain=False)
UNCERTAIN = RetryLater("", uncertain=True)


NO_ANSWER: dict[str, tuple[Answer, Outcome]] = {
    "connection refused": (raising(httpx2.ConnectError("connection refused")), CERTAIN),
    "name unknown": (raising(httpx2.ConnectError("crm.example was not found in DNS")), CERTAIN),
    "connect time-out": (raising(httpx2.ConnectTimeout("timed out")), CERTAIN),
    "no connection free": (raising(httpx2.PoolTimeout("")), CERTAIN),
    "read time-out": (raising(httpx2.ReadTimeout("timed out")), UNCERTAIN),
    "write time-out": (raising(httpx2.WriteTimeout("timed out")), UNCERTAIN),
    "reset before the answer": (raising(httpx2.ReadError("connection reset by peer")), UNCERTAIN),
    "reset in the answer": (lambda _: httpx2.Response(200, stream=Stream(broken_stream())), UNCERTAIN),
    "no HTTP": (raising(httpx2.RemoteProtocolError("illegal status line")), UNCERTAIN),
    "redirect": (
        lambda _: httpx2.Response(302, headers={"location": "https://elsewhere.example"}),
        DestinationFault(""),
    ),
}


@every_http_connector
@pytest.mark.parametrize(("answer", "expected"), NO_ANSWER.values(), ids=list(NO_ANSWER))
def test_without_an_answer_the_outcome_says_whether_the_record_may_exist(
    connector: type[Connector], answer: Answer, expected: Outcome
) -> None:
    outcome = push(connector, answer)
    assert type(outcome) is type(expected)
    assert outcome_reason(outcome)
    assert getattr(outcome, "uncertain", False) == getattr(expected, "uncertain", False)


@every_http_connector
def test_one_byte_a_second_ends_at_the_deadline(connector: type[Connector]) -> None:
    clock = [0.0]

    def drip() -> Iterator[bytes]:
        while True:
            clock[0] += 1
            yield b" "

    outcome = push(connector, lambda _: httpx2.Response(200, stream=Stream(drip())), clock=lambda: clock[0])
    assert isinstance(outcome, RetryLater)
    assert outcome.uncertain
    assert clock[0] <= 61


@every_http_connector
@pytest.mark.parametrize(
    "body", [b" " * 2_000_000, b"\xff\x00garbage", b"[]", b"null", b"{}", b'"text"', b"[" * 99_999, b"<html>"]
)
def test_a_success_with_a_strange_body_is_delivered_or_uncertain(
    connector: type[Connector], body: bytes
) -> None:
    outcome = push(connector, lambda _: httpx2.Response(200, content=body))
    assert isinstance(outcome, Delivered) or (isinstance(outcome, RetryLater) and outcome.uncertain)


@every_http_connector
@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"error": null}', b'{"error": {"code": 7}}', b"[[]]", b"\xff\x00"]
)
def test_every_status_has_an_outcome(connector: type[Connector], body: bytes) -> None:
    for status in range(200, 600):
        outcome = push(connector, lambda _, status=status: httpx2.Response(status, content=body))  # type: ignore[misc]
        assert isinstance(outcome, get_args(Outcome))
        assert 200 <= status < 300 or not isinstance(outcome, Delivered)
        assert 200 <= status < 300 or f"HTTP {status}" in outcome_reason(outcome)


@every_http_connector
def test_a_check_ends_in_sentences_whatever_is_answered(connector: type[Connector]) -> None:
    recording = Recording.read(connector.spec.slug)
    for answer in (
        lambda _: httpx2.Response(200, json={}),
        lambda _: httpx2.Response(401),
        lambda _: httpx2.Response(503),
        raising(httpx2.ConnectError("connection refused")),
    ):
        check = build(connector, recording, httpx2.MockTransport(answer)).check()
        assert check.findings
        assert all(finding.endswith(".") for finding in check.findings)
        assert check.ok == (check.outcome is None)
    assert not check.ok


@every_connector
def test_fields_are_described_even_where_the_crm_does_not_answer(connector: type[Connector]) -> None:
    recording = Recording.read(connector.spec.slug)
    unreachable = httpx2.MockTransport(raising(httpx2.ConnectError("connection refused")))
    assert build(connector, recording, unreachable).describe_fields() == connector.spec.fields


# --- Secrets --------------------------------------------------------------------------------------


@every_http_connector
def test_no_secret_reaches_the_record_or_the_reason(connector: type[Connector]) -> None:
    """Though the far side, refusing it, quotes each in full."""
    recording = Recording.read(connector.spec.slug)
    secrets = [recording.settings.get(name, "") for name in connector.spec.secret_names]
    assert all(secrets), "delivered.json sets every secret"
    recorder = Recorder(secrets)
    words = " ".join(["Not accepted:", *secrets])
    outcome = push(connector, lambda _: httpx2.Response(400, json={"message": words}), recorder=recorder)

    assert recorder.exchanges
    for secret in secrets:
        assert secret not in str(recorder.exchanges)
        assert secret not in outcome_reason(outcome)


# --- The retry ------------------------------------------------------------------------------------


class FarSide:
    """A CRM that holds one record for each key it is shown, and hangs up after the first write."""

    def __init__(self, recording: Recording) -> None:
        self.response = recording.exchanges[-1]["response"]
        self.key = re.compile(recording.key.replace("-", "-?"))
        self.records: set[str] = set()
        self.writes = 0
        self._lock = threading.Lock()

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        with self._lock:
            self.writes += 1
            told = f"{request.url} {list(request.headers.items())} {request.content.decode()}"
            found = self.key.search(told)
            self.records.add(found[0] if found else f"nobody's, number {self.writes}")
            if self.writes == 1:
                raise httpx2.ReadError("connection reset by peer")
        return _response(self.response)


@every_http_connector
def test_a_write_whose_answer_was_lost_leaves_one_record_when_repeated(connector: type[Connector]) -> None:
    recording = Recording.read(connector.spec.slug)
    far_side = FarSide(recording)

    first = push(connector, far_side)
    assert isinstance(first, RetryLater)
    assert first.uncertain
    if not connector.spec.idempotent_by:
        return  # it cannot recognise a repeated push, and says so: a person decides

    assert isinstance(push(connector, far_side, retry=True), Delivered)
    assert len(far_side.records) == 1

    with ThreadPoolExecutor(2) as workers:
        both = list(workers.map(lambda _: push(connector, far_side, retry=True), range(2)))
    assert all(isinstance(outcome, Delivered) for outcome in both)
    assert far_side.writes == 4
    assert len(far_side.records) == 1


# --- The default table ----------------------------------------------------------------------------


class Plain(Connector):
    """The least that a connector can be."""

    spec = Spec(
        slug="plain",
        label="Plain",
        settings=(
            Setting("url", "Address", kind="url"),
            Setting("token", "Token", kind="secret", required=False),
            Setting("mode", "Mode", kind="choice", default="a", choices=(("a", "A"), ("b", "B"))),
            Setting("quiet", "Quiet", kind="flag", required=False),
        ),
        fields=(TargetField("email", "E-mail"),),
    )

    def requests(self, record: Record, *, key: str) -> list[Request]:
        return [
            Request("POST", f"{self.settings['url']}/{step}", {}, dict(record)) for step in ("one", "two")
        ]

    def examine(self) -> list[str]:
        return [
            f"Found {self.call(Request('GET', self.settings['url'], {}), write=False, accept={404}).status}."
        ]


NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
SETTINGS = {"url": "https://crm.example"}


def plain_connector(*answers: httpx2.Response, connector: type[Connector] = Plain) -> Connector:
    remaining = list(answers)
    transport = httpx2.MockTransport(lambda _: remaining.pop(0) if len(remaining) > 1 else remaining[0])
    return connector(SETTINGS, GuardedClient(Policy(), transport=transport), now=lambda: NOW)


def judged(status: int, *, connector: type[Connector] = Plain, **answer: Any) -> Outcome:
    return plain_connector(httpx2.Response(status, **answer), connector=connector).push(
        {}, key="k", retry=False
    )


@pytest.mark.parametrize(
    ("statuses", "kind"),
    [
        ((200, 201, 202, 204, 207), Delivered),
        ((300, 301, 302, 303, 304, 307, 308), DestinationFault),
        ((400, 409, 412, 413, 414, 422, 431, 451), Rejected),
        ((401, 402, 403, 404, 405, 407, 410, 415), DestinationFault),
        ((408, 423, 425, 500, 501, 502, 503, 504, 599), RetryLater),
        ((429,), Throttled),
    ],
)
def test_a_status_that_nobody_explains_is_read_by_the_default_table(
    statuses: tuple[int, ...], kind: type[Outcome]
) -> None:
    for status in statuses:
        assert type(judged(status)) is kind, status


def test_only_a_failing_server_leaves_a_write_uncertain() -> None:
    assert judged(500) == RetryLater("The CRM failed (HTTP 500).", uncertain=True)
    assert judged(408) == RetryLater("The CRM waited too long for the request (HTTP 408).")
    again = judged(503, headers={"retry-after": "90"})
    assert again == RetryLater("The CRM is not available (HTTP 503).", delay=90)


def test_a_failing_read_is_never_uncertain() -> None:
    lost = httpx2.Response(200, stream=Stream(broken_stream()))
    for answer in (httpx2.Response(500), httpx2.Response(503), lost):
        check = plain_connector(answer).check()
        assert isinstance(check.outcome, RetryLater)
        assert not check.outcome.uncertain
    assert plain_connector(httpx2.Response(404)).check() == Check(ok=True, findings=("Found 404.",))


def test_the_first_refusal_ends_a_push_of_several_requests() -> None:
    outcome = plain_connector(httpx2.Response(200), httpx2.Response(422)).push({}, key="k", retry=False)
    assert outcome == Rejected("The CRM refuses this lead (HTTP 422).")
    outcome = plain_connector(httpx2.Response(422), httpx2.Response(200)).push({}, key="k", retry=False)
    assert isinstance(outcome, Rejected)


def test_a_reason_says_gone_for_good_or_moved_in_words() -> None:
    assert "switched off" in outcome_reason(judged(410))
    assert "redirect" in outcome_reason(judged(307))


def test_a_refusal_that_names_a_field_rejects_that_field_whatever_the_status() -> None:
    error = {"error": {"code": "no_such_field", "message": "Unknown.", "field": "colour"}}
    for status in (400, 403, 404, 422):
        outcome = judged(status, json=error)
        assert outcome == Rejected(
            f"The CRM refuses a field (HTTP {status}): no_such_field: Unknown.", field="colour"
        )
    assert isinstance(judged(401, json=error), DestinationFault)
    assert isinstance(judged(429, json=error), Throttled)


class Together(Plain):
    """Sends two in one call."""

    spec = replace(
        Plain.spec,
        batch_size=2,
        fields=(TargetField("name", "Name", max_length=4), TargetField("n", "N", "number")),
    )

    def requests(self, record: Record, *, key: str) -> list[Request]:
        return [Request("POST", f"{self.settings['url']}/leads/{key}", {}, dict(self.fit(record, key=key)))]

    def send_many(self, items: Sequence[Item]) -> list[Outcome]:
        ready, outcomes = self.prepared(items, self.looked_up)
        body = {key: dict(record) for key, record in ready.items()}
        self.call(Request("POST", f"{self.settings['url']}/batch", {}, body), write=True)
        return [outcomes.get(item.key) or Delivered(item.key) for item in items]

    def looked_up(self, item: Item) -> Record:
        self.call(Request("GET", f"{self.settings['url']}/owners/{item.key}", {}), write=False)
        return item.record


def pushed_together(
    answers: dict[str, httpx2.Response], records: Sequence[Record] = ({"name": "Ada"}, {"name": "Grace"})
) -> tuple[list[Outcome], list[str]]:
    """The outcomes, and what was asked, where these addresses are not answered with 200."""
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.path)
        return answers.get(request.url.path) or httpx2.Response(200, json={})

    connector = Together(SETTINGS, GuardedClient(Policy(), transport=httpx2.MockTransport(answer)))
    items = [Item(record, str(number), retry=False) for number, record in enumerate(records)]
    return list(connector.push_many(items)), asked


def test_a_batch_that_is_refused_as_a_whole_goes_one_by_one() -> None:
    """Of the call no lead in it is guilty; what was cut is told all the same."""
    refused = {"/batch": httpx2.Response(400), "/leads/0": httpx2.Response(422)}
    outcomes, asked = pushed_together(refused)
    assert asked == ["/owners/0", "/owners/1", "/batch", "/leads/0", "/leads/1"]
    assert outcomes[0] == Rejected("The CRM refuses this lead (HTTP 422).")
    assert isinstance(outcomes[1], Delivered)
    assert "“Name” was cut from 5 to 4 characters" in outcomes[1].note


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(401),
        httpx2.Response(429),
        httpx2.Response(500),
        httpx2.Response(400, json={"error": {"message": "Unknown.", "field": "name"}}),
    ],
)
def test_a_batch_that_fails_for_more_than_its_leads_is_not_tried_one_by_one(answer: httpx2.Response) -> None:
    outcomes, asked = pushed_together({"/batch": answer})
    assert asked[-1] == "/batch"
    assert outcomes[0] == outcomes[1]
    assert not isinstance(outcomes[0], Delivered)


def test_a_lead_of_a_batch_that_cannot_be_sent_leaves_the_others_alone() -> None:
    outcomes, _ = pushed_together({}, [{"n": "many"}, {"n": "7"}])
    assert outcomes == [Rejected("“N” takes a number, and gets “many”.", field="n"), Delivered("1")]
    outcomes, asked = pushed_together({"/owners/0": httpx2.Response(500)}, [{"n": "6"}, {"n": "7"}])
    assert asked == ["/owners/0", "/owners/1", "/batch"]
    assert outcomes == [RetryLater("The CRM failed (HTTP 500)."), Delivered("1")]


@pytest.mark.parametrize("status", [401, 429])
def test_what_stops_the_destination_stops_the_batch(status: int) -> None:
    outcomes, asked = pushed_together({"/owners/0": httpx2.Response(status)})
    assert asked == ["/owners/0"]
    assert outcomes[0] == outcomes[1]


class Particular(Plain):
    """Explains some refusals in its own way."""

    errors = (
        ErrorRow(400, "^LOCKED", later, "https://crm.example/errors, 2026-11"),
        ErrorRow(
            None, "quota|limit", throttled, "https://crm.example/limits, 2026-11", "The day's quota is used"
        ),
        ErrorRow(500, "wrong field", rejected, "https://crm.example/errors, 2026-11"),
        ErrorRow(409, "BUSY", uncertain, "https://crm.example/errors, 2026-11"),
        ErrorRow(422, "plan", fault, "https://crm.example/errors, 2026-11"),
        ErrorRow(403, "^DAILY", throttled, "https://crm.example/limits, 2026-11", delay=3600),
        ErrorRow(409, "^TAKEN", already_there, "https://crm.example/errors, 2026-11"),
    )


def test_a_connectors_own_rows_are_asked_before_the_defaults() -> None:
    def said(status: int, code: str, words: str) -> Outcome:
        return judged(status, connector=Particular, json={"code": code, "message": words})

    assert said(400, "LOCKED", "row") == RetryLater("HTTP 400: LOCKED: row")
    assert said(400, "OTHER", "row") == Rejected("The CRM refuses this lead (HTTP 400): OTHER: row")
    assert said(403, "X", "over quota") == Throttled("The day's quota is used (HTTP 403): X: over quota")
    assert said(500, "", "wrong field") == Rejected("HTTP 500: wrong field")
    assert said(409, "BUSY", "now") == RetryLater("HTTP 409: BUSY: now", uncertain=True)
    assert said(422, "", "not in your plan") == DestinationFault("HTTP 422: not in your plan")


def test_a_rows_delay_stands_in_where_the_answer_names_none() -> None:
    daily = {"code": "DAILY", "message": "used up"}
    assert judged(403, connector=Particular, json=daily) == Throttled("HTTP 403: DAILY: used up", 3600)
    hurried = judged(403, connector=Particular, json=daily, headers={"retry-after": "7"})
    assert hurried == Throttled("HTTP 403: DAILY: used up", 7)


def test_what_is_already_there_goes_by_its_own_id_where_the_crm_names_it() -> None:
    subject = plain_connector(httpx2.Response(200), connector=Particular)
    for other, remote_id in (("17", "17"), ("", "k")):
        outcome = subject.verdict(409, Said("TAKEN", other=other), write=True, key="k")
        assert outcome == Delivered(remote_id, existed=True)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error": {"code": "C", "message": "M", "field": "F"}}', Said("C", "M", "F")),
        (b'{"code": 7, "detail": "D"}', Said("7", "D")),
        (b'{"title": "T"}', Said("", "T")),
        (b'{"error": "text"}', Said("", "text")),
        (b'{"strange": 1}', Said("", '{"strange": 1}')),
        (b"[1]", Said("", "[1]")),
        (b"<!DOCTYPE html><html><title>Bad gateway</title>", Said("", "Bad gateway")),
        (b"plain text", Said("", "plain text")),
        (b"", Said()),
    ],
)
def test_the_crms_own_words_are_found_in_the_usual_places(body: bytes, said: Said) -> None:
    subject = plain_connector(httpx2.Response(200))
    answer = subject.http.request("GET", "https://crm.example")
    assert subject.explain(type(answer)(400, {}, body)) == said


def test_the_crms_own_words_are_one_clean_line_of_at_most_500_characters() -> None:
    assert plain("a\r\n\tb\x00\x1b[31mc\u202ed\ud800 e") == "a b [31mc d e"
    assert plain("x" * 10_000) == "x" * 500
    assert len(outcome_reason(judged(400, text="y" * 10_000))) < 600


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        *(("120", 120), (" 7 ", 7), ("0.5", 1), ("0", 1), ("999999999999", 86400), ("9" * 400, 86400)),
        *(("Sun, 22 Nov 2026 10:02:00 GMT", 120), ("Sun, 22 Nov 2026 10:02:00 -0000", 120)),
        *(("Sun, 22 Nov 2026 09:00:00 GMT", 1), ("Sun, 22 Nov 2099 09:00:00 GMT", 86400)),
        *(("", None), ("soon", None), ("-5", None), ("nan", None), ("Sun, 99 Nov 2026 10:00:00 GMT", None)),
    ],
)
def test_retry_after_is_seconds_or_a_date_between_a_second_and_a_day(
    value: str, seconds: float | None
) -> None:
    assert retry_after(value, NOW) == seconds


@given(st.text())
def test_no_retry_after_can_do_harm(value: str) -> None:
    delay = retry_after(value, NOW)
    assert delay is None or 1 <= delay <= 86400


class Live(Plain):
    """Asks the CRM for its fields."""

    spec = replace(Plain.spec, describes=True)

    def live_fields(self) -> list[TargetField]:
        answer = self.call(Request("GET", self.settings["url"], {}), write=False)
        return [TargetField(name, name.title()) for name in answer.json_object()]


def test_fields_come_from_the_crm_where_it_tells_them() -> None:
    live = plain_connector(httpx2.Response(200, json={"colour": 1}), connector=Live)
    assert live.describe_fields() == [TargetField("colour", "Colour")]
    for answer in (httpx2.Response(500), httpx2.Response(200, json=[])):
        assert plain_connector(answer, connector=Live).describe_fields() == Plain.spec.fields


# --- Settings -------------------------------------------------------------------------------------


def test_settings_that_are_right_have_no_problems() -> None:
    assert validate_settings(Plain.spec, SETTINGS, Policy()) == {}
    every = {"url": "https://crm.example", "token": "t", "mode": "b", "quiet": "true"}
    assert validate_settings(Plain.spec, every, Policy()) == {}


@pytest.mark.parametrize(
    ("settings", "name", "words"),
    [
        ({}, "url", "Address is required"),
        ({"url": "  "}, "url", "Address is required"),
        ({"url": "http://crm.example"}, "url", "ALLOW_PRIVATE_DESTINATIONS"),
        ({"url": "crm.example"}, "url", "must start with https://"),
        ({"url": "https://10.0.0.7"}, "url", "ALLOW_PRIVATE_DESTINATIONS"),
        ({"url": "https://localhost/leads"}, "url", "ALLOW_PRIVATE_DESTINATIONS"),
        ({"url": "https://[::1]/leads"}, "url", "ALLOW_PRIVATE_DESTINATIONS"),
        ({"url": "https://169.254.169.254/latest"}, "url", "ALLOW_PRIVATE_DESTINATIONS"),
        ({**SETTINGS, "mode": "c"}, "mode", "one of a, b"),
        ({**SETTINGS, "quiet": "maybe"}, "quiet", "one of true, false"),
        ({**SETTINGS, "colour": "red"}, "colour", "no such setting"),
    ],
)
def test_a_wrong_setting_is_named_with_a_sentence(settings: dict[str, str], name: str, words: str) -> None:
    problems = validate_settings(Plain.spec, settings, Policy())
    assert list(problems) == [name]
    assert words in problems[name]


def test_plain_http_is_accepted_where_private_destinations_are() -> None:
    assert validate_settings(Plain.spec, {"url": "http://127.0.0.1:8000"}, Policy(allow_private=True)) == {}


def test_a_default_stands_in_for_an_empty_setting() -> None:
    assert plain_connector(httpx2.Response(200)).settings == {
        **SETTINGS,
        "token": "",
        "mode": "a",
        "quiet": "",
    }


@every_connector
def test_the_recorded_settings_are_valid(connector: type[Connector]) -> None:
    settings = Recording.read(connector.spec.slug).settings
    assert validate_settings(connector.spec, settings, Policy()) == {}
    assert connector.clean(settings) == {}


@pytest.mark.parametrize(
    ("secret", "right"),
    [
        *(("", True), ("whsec_" + base64.b64encode(b"k" * 24).decode(), True)),
        *(("whsec_" + base64.b64encode(b"k" * 64).decode(), True), ("whsec_" + "a" * 43, True)),
        *(("whsec_" + base64.b64encode(b"k" * 23).decode(), False), ("whsec_", False)),
        *(("whsec_" + base64.b64encode(b"k" * 65).decode(), False), ("whsec_" + "!" * 40, False)),
        *((base64.b64encode(b"k" * 32).decode(), False), ("whsec_é" + "a" * 40, False), ("whsec_a", False)),
    ],
)
def test_a_webhook_secret_is_whsec_and_24_to_64_bytes(secret: str, right: bool) -> None:
    problems = connectors.get("webhook").clean({"url": "https://x.example", "secret": secret})
    assert (problems == {}) is right
