"""The signed webhook at a real receiver, whose library is not ours."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from standardwebhooks import Webhook, WebhookVerificationError
from werkzeug import Request as Received
from werkzeug import Response as Answered

from crm_sync.addresses import Policy
from crm_sync.connectors.webhook import WebhookConnector
from crm_sync.http import Pool
from crm_sync.outcomes import Delivered, DestinationFault, RetryLater

SECRET = "whsec_c2lnbmVkIGFuZCBzZWFsZWQgYW5kIGRlbGl2ZXJlZA=="
KEY = "3f2b8c1e-5d47-4a90-9e61-7c0f4d2ab815"
LEAD = {"first_name": "Zoë", "company": "Fabrikam </script>", "note": "line\u2028break", "is_test": False}

MakePool = Callable[..., Pool]
Send = Callable[..., Any]


@pytest.fixture
def inbox(httpserver: HTTPServer) -> list[Received]:
    """What the receiver at /leads was sent."""
    received: list[Received] = []

    def take(request: Received) -> Answered:
        request.get_data()
        received.append(request)
        return Answered(status=204)

    httpserver.expect_request("/leads").respond_with_handler(take)
    return received


@pytest.fixture
def webhook(httpserver: HTTPServer, pool: MakePool) -> Callable[..., WebhookConnector]:
    """A connector that posts to the receiver."""
    shared = pool()

    def make(*, path: str = "/leads", secret: str = SECRET, **options: Any) -> WebhookConnector:
        settings = {"url": httpserver.url_for(path), "secret": secret}
        return WebhookConnector(settings, shared.client(), **options)

    return make


def verify(received: Received, body: bytes | None = None, secret: str = SECRET) -> Any:
    return Webhook(secret).verify(received.get_data() if body is None else body, dict(received.headers))


def test_the_official_library_accepts_the_signature(webhook: Send, inbox: list[Received]) -> None:
    outcome = webhook().push(LEAD, key=KEY, retry=False)
    assert outcome == Delivered(remote_id="msg_3f2b8c1e5d474a909e617c0f4d2ab815")
    (received,) = inbox
    assert verify(received) == {"type": "lead", "timestamp": verify(received)["timestamp"], "data": LEAD}
    assert received.headers["Content-Type"] == "application/json"
    assert received.headers["User-Agent"] == "leadsite"


def test_an_altered_body_or_another_secret_is_refused(webhook: Send, inbox: list[Received]) -> None:
    webhook().push(LEAD, key=KEY, retry=False)
    with pytest.raises(WebhookVerificationError):
        verify(inbox[0], body=inbox[0].get_data().replace(b"Fabrikam", b"Contoso"))
    with pytest.raises(WebhookVerificationError):
        verify(inbox[0], secret="whsec_" + "a" * 43)


def test_an_old_request_cannot_be_replayed(webhook: Send, inbox: list[Received]) -> None:
    long_ago = datetime.now(UTC) - timedelta(minutes=6)
    webhook(now=lambda: long_ago).push(LEAD, key=KEY, retry=False)
    with pytest.raises(WebhookVerificationError, match="too old"):
        verify(inbox[0])


def test_a_retry_keeps_its_id_and_renews_its_time(webhook: Send, inbox: list[Received]) -> None:
    now = datetime.now(UTC)
    webhook(now=lambda: now - timedelta(seconds=90)).push(LEAD, key=KEY, retry=False)
    webhook(now=lambda: now).push(LEAD, key=KEY, retry=True)
    first, second = inbox
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 90
    assert verify(first)
    assert verify(second)


def test_without_a_secret_nothing_is_signed(webhook: Send, inbox: list[Received]) -> None:
    webhook(secret="").push(LEAD, key=KEY, retry=False)
    assert "webhook-signature" not in inbox[0].headers
    assert inbox[0].headers["webhook-id"]


@pytest.mark.parametrize(
    ("received_at", "timestamp"),
    [
        ("2026-11-22T10:15:28Z", "2026-11-22T10:15:28Z"),
        ("2026-11-22T12:15:28.5+02:00", "2026-11-22T10:15:28.500000Z"),
        ("2026-11-22T10:15:28", "2026-11-22T11:00:00Z"),
        ("yesterday", "2026-11-22T11:00:00Z"),
        ("", "2026-11-22T11:00:00Z"),
        (None, "2026-11-22T11:00:00Z"),
    ],
)
def test_the_event_happened_when_the_lead_came_in(
    received_at: str | None, timestamp: str, webhook: Send
) -> None:
    now = datetime(2026, 11, 22, 11, tzinfo=UTC)
    (request,) = webhook(now=lambda: now).requests({"received_at": received_at}, key=KEY)
    assert json.loads(request.body)["timestamp"] == timestamp


def test_a_check_reaches_the_address_and_sends_no_lead(webhook: Send, inbox: list[Received]) -> None:
    check = webhook().check()
    assert check.ok
    assert check.findings == (
        "localhost can be reached: it answered HEAD with 204. No lead was sent.",
        "Leads are signed.",
    )
    assert [request.method for request in inbox] == ["HEAD"]
    assert inbox[0].get_data() == b""


def test_a_check_is_content_with_an_answer_to_head_that_is_a_refusal(
    webhook: Send, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/post-only").respond_with_data(status=405)
    check = webhook(path="/post-only", secret="").check()
    assert check.ok
    assert "not signed" in check.findings[1]


@pytest.mark.parametrize("status", [301, 308, 410])
def test_a_check_fails_where_every_push_would(status: int, webhook: Send, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/gone").respond_with_data(status=status)
    check = webhook(path="/gone").check()
    assert not check.ok
    assert isinstance(check.outcome, DestinationFault)


def test_a_check_says_why_an_address_cannot_be_used(pool: MakePool) -> None:
    refused = WebhookConnector({"url": "https://127.0.0.1/leads"}, pool(Policy()).client()).check()
    assert isinstance(refused.outcome, DestinationFault)
    assert "ALLOW_PRIVATE_DESTINATIONS" in refused.findings[0]

    closed = WebhookConnector({"url": "http://127.0.0.1:9/leads"}, pool().client()).check()
    assert isinstance(closed.outcome, RetryLater)
    assert not closed.ok


def test_a_receiver_that_reads_the_lead_and_hangs_up_leaves_it_uncertain(
    pool: MakePool, far_side: Callable[..., Any]
) -> None:
    server = far_side(lambda connection: connection.close())
    outcome = WebhookConnector({"url": server.url}, pool().client()).push(LEAD, key=KEY, retry=False)
    assert isinstance(outcome, RetryLater)
    assert outcome.uncertain
    assert b"Fabrikam" in server.requests[0]
