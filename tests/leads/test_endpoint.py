"""`POST /in/<key>`: every row of the status table, and what is stored for it."""

import json
import logging
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.utils import timezone
from django.utils.translation import override
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from leads import views
from leads.models import Endpoint, Lead, Offer, Submission
from leads.ports import ports
from leads.samples import sample_body
from leads.vault import MaskingFormatter
from tests import pseudo

PAYLOADS = Path(__file__).parent.parent / "payloads"
EXPECTED: dict[str, dict[str, Any]] = json.loads((PAYLOADS / "expected.json").read_text(encoding="utf-8"))
LEAD = b'{"UserDetails": {"FirstName": "Ana"}, "LeadSource": "SPZA-PLT|contoso.backup"}'
JSON, PROBLEM = "application/json", "application/problem+json"


def post(to: Endpoint | str, body: bytes = LEAD, content_type: str = JSON, **more: Any) -> HttpResponse:
    path = to if isinstance(to, str) else to.path
    return Client().generic("POST", path, body, content_type=content_type, **more)


# New leads, repeats


def test_a_new_lead_is_accepted_with_its_id(endpoint: Endpoint) -> None:
    answer = post(endpoint)
    lead = Lead.objects.get()
    assert (answer.status_code, answer["Content-Type"]) == (201, JSON)
    assert answer.json() == {"status": "accepted", "id": str(lead.pk)}
    assert lead.first_name == "Ana"


def test_the_request_is_stored_exactly_as_it_came(endpoint: Endpoint) -> None:
    post(endpoint, LEAD, "text/plain; charset=x", REMOTE_ADDR="203.0.113.9", HTTP_X_MS_ID="7")
    stored = Submission.objects.get()
    assert bytes(stored.body) == LEAD
    assert (stored.content_type, stored.remote_addr) == ("text/plain; charset=x", "203.0.113.9")
    assert stored.headers["X-Ms-Id"] == "7"
    assert (stored.origin, stored.verdict, stored.times_received) == ("endpoint", "lead", 1)
    assert (stored.endpoint, stored.offer) == (endpoint, endpoint.offer)


def test_microsofts_test_lead_is_told_apart(endpoint: Endpoint) -> None:
    answer = post(endpoint, json.dumps(sample_body("test", endpoint.offer)).encode())
    assert (answer.status_code, answer.json()["status"]) == (201, "test")
    assert Lead.objects.get().is_test


def test_the_same_body_again_is_a_repeat_with_the_first_ones_id(endpoint: Endpoint) -> None:
    first, second, third = post(endpoint), post(endpoint), post(endpoint)
    assert [answer.status_code for answer in (first, second, third)] == [201, 200, 200]
    assert second.json() == third.json() == {"status": "repeated", "id": first.json()["id"]}
    assert Submission.objects.get().times_received == 3


def test_a_bad_body_again_gets_its_400_again_and_is_counted(endpoint: Endpoint) -> None:
    first, second = post(endpoint, b"[]"), post(endpoint, b"[]")
    assert (first.status_code, second.status_code) == (400, 400)
    assert first.json() == second.json()
    assert Submission.objects.get().times_received == 2


@pytest.mark.parametrize("name", EXPECTED)
def test_every_kind_of_body_becomes_a_lead_or_stands_in_quarantine(name: str, endpoint: Endpoint) -> None:
    body = (PAYLOADS / name).read_bytes()
    answer = post(endpoint, body, "application/x-www-form-urlencoded" if name.endswith(".form") else JSON)
    stored = Submission.objects.get()
    assert bytes(stored.body) == body
    if "fields" in EXPECTED[name]:
        assert answer.status_code == 201
        lead = Lead.objects.get()
        columns = {"publisher_id": "sent_publisher_id", "offer_id": "sent_offer_id"}
        told = {columns.get(field, field): value for field, value in EXPECTED[name]["fields"].items()}
        told = {field: value for field, value in told.items() if hasattr(lead, field)}  # two are not kept
        assert {field: getattr(lead, field) for field in told} == told
    else:
        assert answer.status_code == 400
        assert not Lead.objects.exists()
        assert (stored.verdict, stored.reason) == ("quarantined", EXPECTED[name]["unreadable"])
        assert answer.json()["errors"] == stored.problems == EXPECTED[name]["problems"]


# Bad bodies


@pytest.mark.parametrize(
    ("body", "title"),
    [
        (b"", "Empty body"),
        (b"hello", "Not JSON"),
        (b"[1]", "JSON, but not an object"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "Nested too deep"),
        (b'{"UserDetails": 7}', "Against the offer's schema"),
    ],
)
def test_a_refused_body_says_where_and_why_and_is_kept(body: bytes, title: str, endpoint: Endpoint) -> None:
    answer = post(endpoint, body)
    problem = answer.json()
    stored = Submission.objects.get()
    assert (answer.status_code, answer["Content-Type"]) == (400, PROBLEM)
    assert (problem["title"], problem["status"], problem["submission"]) == (title, 400, str(stored.pk))
    assert problem["detail"]
    assert problem["errors"]
    assert all(set(error) == {"pointer", "line", "column", "message"} for error in problem["errors"])
    assert stored.in_quarantine
    assert not Lead.objects.exists()


def test_the_faqs_broken_sample_is_refused_with_line_and_column(endpoint: Endpoint) -> None:
    error = post(endpoint, (PAYLOADS / "faq_sample_broken.json").read_bytes()).json()["errors"][0]
    assert (error["line"], error["column"]) == (14, 5)
    assert Submission.objects.get().in_quarantine


def test_an_offers_own_schema_decides(offer: Offer, endpoint: Endpoint) -> None:
    offer.schema = {"type": "object", "required": ["Budget"]}
    offer.save()
    assert post(endpoint).status_code == 400
    assert Submission.objects.get().reason == "schema"


def test_an_offer_may_acknowledge_everything(offer: Offer, endpoint: Endpoint) -> None:
    offer.always_acknowledge = True
    offer.save()
    answer = post(endpoint, b"hello")
    stored = Submission.objects.get()
    assert (answer.status_code, answer["Content-Type"]) == (202, JSON)
    assert answer.json() == {"status": "quarantined", "submission": str(stored.pk)}
    assert stored.in_quarantine
    assert post(endpoint, b"hello").status_code == 202
    assert post(endpoint).status_code == 201


def on_the_wire(endpoint: Endpoint, body: bytes, length: int | None, **environ: Any) -> HttpResponse:
    """Post without the test client, which insists that body and Content-Length agree."""
    request = RequestFactory().generic("POST", endpoint.path, b"", content_type=JSON)
    request.META |= {"CONTENT_LENGTH": "" if length is None else str(length), "wsgi.input": BytesIO(body)}
    request.META |= environ
    return views.EndpointView.as_view()(request, key=str(endpoint.key))


def test_fewer_bytes_than_announced_are_kept_as_truncated(endpoint: Endpoint) -> None:
    answer = on_the_wire(endpoint, LEAD, 500)
    assert answer.status_code == 400
    stored = Submission.objects.get()
    assert (bytes(stored.body), stored.reason) == (LEAD, "truncated")


# Who may send


def test_an_offer_that_is_off_still_takes_its_leads(offer: Offer, endpoint: Endpoint) -> None:
    offer.enabled = False
    offer.save()
    assert post(endpoint).status_code == 201
    assert Lead.objects.count() == 1


def test_unknown_revoked_and_expired_keys_look_alike_and_store_nothing(
    offer: Offer, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    past = timezone.now() - timedelta(seconds=1)
    revoked, expired = Endpoint.make(offer), Endpoint.make(offer)
    Endpoint.objects.filter(pk=revoked.pk).update(revoked_at=past)
    Endpoint.objects.filter(pk=expired.pk).update(expires_at=past)
    answers = []
    for path in ("/in/unknown", revoked.path, expired.path):
        with django_assert_num_queries(1):  # the same work, so the same time
            answers.append(post(path))
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    assert len({str(answer.headers) for answer in answers}) == 1
    assert not Submission.objects.exists()


def test_a_key_that_expires_later_is_open(offer: Offer, endpoint: Endpoint) -> None:
    Endpoint.objects.update(expires_at=timezone.now() + timedelta(minutes=1))
    assert post(endpoint).status_code == 201


@pytest.mark.parametrize(
    "key", ["%00", "%FF%FE", "a%0D%0Ab", "%25", "%F0%9F%92%A9", ".", "a" * 5000, "%ED%A0%80"]
)
def test_a_nonsense_key_is_unknown(key: str, db: None) -> None:
    assert post(f"/in/{key}").status_code == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH", "TRACE"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_any_other_method_is_refused_whether_the_key_is_known_or_not(
    method: str, slash: str, endpoint: Endpoint
) -> None:
    known = Client().generic(method, endpoint.path + slash)
    unknown = Client().generic(method, "/in/unknown" + slash)
    assert known.status_code == unknown.status_code == 405
    assert known["Allow"] == unknown["Allow"] == "POST"
    assert known.content == unknown.content
    assert not Submission.objects.exists()


def test_another_method_is_refused_without_a_database() -> None:
    assert Client().get("/in/unknown").status_code == 405  # pytest-django would fail this test


# How much


@pytest.mark.parametrize("known", [True, False])
def test_a_body_over_the_limit_is_refused_and_not_stored(
    known: bool, endpoint: Endpoint, settings: Settings
) -> None:
    settings.MAX_BODY_BYTES = 100
    answer = post(endpoint if known else "/in/unknown", b" " * 101)
    assert (answer.status_code, answer["Content-Type"]) == (413, PROBLEM)
    assert "100 bytes" in answer.json()["detail"]
    assert not Submission.objects.exists()


def test_a_body_of_exactly_the_limit_is_accepted(endpoint: Endpoint, settings: Settings) -> None:
    settings.MAX_BODY_BYTES = len(LEAD)
    assert post(endpoint).status_code == 201


ENDED = {"wsgi.input_terminated": True}  # what granian says: the body ends by itself


def test_without_a_length_the_body_is_read_to_its_end(endpoint: Endpoint) -> None:
    assert on_the_wire(endpoint, LEAD, None, **ENDED).status_code == 201
    assert bytes(Submission.objects.get().body) == LEAD


def test_without_a_length_the_limit_holds_too(endpoint: Endpoint, settings: Settings) -> None:
    settings.MAX_BODY_BYTES = len(LEAD)
    assert on_the_wire(endpoint, LEAD + b" ", None, **ENDED).status_code == 413
    assert on_the_wire(endpoint, LEAD, None, **ENDED).status_code == 201


def test_where_the_server_cannot_tell_the_end_a_length_is_demanded(endpoint: Endpoint) -> None:
    answer = on_the_wire(endpoint, LEAD, None, HTTP_TRANSFER_ENCODING="chunked")
    assert (answer.status_code, answer["Content-Type"]) == (411, PROBLEM)
    assert not Submission.objects.exists()


# How fast


def test_a_known_key_far_above_any_real_rate_is_slowed_and_alarmed(
    endpoint: Endpoint, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.INTAKE_RATE = 1
    statuses = [post(endpoint, b'{"n": %d}' % number).status_code for number in range(views.BURST_SECONDS)]
    assert set(statuses) == {201}
    with caplog.at_level(logging.ERROR, logger="leads"):
        answer = post(endpoint, b'{"n": "one more"}')
    assert (answer.status_code, answer["Content-Type"]) == (429, PROBLEM)
    assert int(answer["Retry-After"]) >= 1
    assert "INTAKE_RATE" in caplog.text
    assert endpoint.key not in caplog.text
    assert Submission.objects.count() == views.BURST_SECONDS


def test_one_endpoint_above_the_rate_slows_no_other(offer: Offer, settings: Settings) -> None:
    settings.INTAKE_RATE = 1
    busy, quiet = Endpoint.make(offer), Endpoint.make(offer)
    for number in range(views.BURST_SECONDS + 1):
        last = post(busy, b'{"n": %d}' % number)
    assert last.status_code == 429
    assert post(quiet).status_code == 201


def test_five_hundred_leads_at_once_are_all_stored(endpoint: Endpoint) -> None:
    statuses = [post(endpoint, b'{"n": %d}' % number).status_code for number in range(500)]
    assert set(statuses) == {201}
    assert Lead.objects.count() == 500


def test_guessing_keys_is_slowed_for_that_address_only(endpoint: Endpoint) -> None:
    guesses = [post(f"/in/guess{number}") for number in range(views.STRANGER_BURST + 1)]
    assert {answer.status_code for answer in guesses[:-1]} == {404}
    assert (guesses[-1].status_code, guesses[-1].has_header("Retry-After")) == (429, True)
    assert post("/in/guess", REMOTE_ADDR="203.0.113.9").status_code == 404
    assert post(endpoint).status_code == 201  # who knows a key is no stranger, whatever his neighbours do


def test_behind_our_proxy_it_is_the_senders_address_that_counts(db: None, settings: Settings) -> None:
    settings.TRUSTED_PROXIES = ["127.0.0.1"]
    for number in range(views.STRANGER_BURST + 1):
        last = post(f"/in/guess{number}", HTTP_X_FORWARDED_FOR="198.51.100.7")
    assert last.status_code == 429
    assert post("/in/guess", HTTP_X_FORWARDED_FOR="198.51.100.8").status_code == 404


# What stands before a lead: nothing


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("{}/", {}),
        ("{}?format=xyz", {}),
        ("{}", {"HTTP_HOST": "evil.example"}),
        ("{}", {"HTTP_HOST": "not a host"}),
        ("{}", {"HTTP_ACCEPT": "application/xml"}),
        ("{}", {"HTTP_ACCEPT": "nonsense"}),
        ("{}", {"HTTP_COOKIE": "leadsite_session=x; csrftoken=y"}),
        ("{}", {"HTTP_AUTHORIZATION": "Basic nonsense"}),
        ("{}", {"HTTP_ORIGIN": "https://evil.example"}),
        ("{}", {"CONTENT_TYPE": ""}),
        ("{}", {"CONTENT_TYPE": "multipart/form-data; boundary=x"}),
        ("{}", {"CONTENT_TYPE": "application/xml; charset=nonsense"}),
        ("{}", {"HTTP_CONTENT_ENCODING": "identity"}),
        ("{}", {"HTTP_X_HTTP_METHOD_OVERRIDE": "DELETE"}),
    ],
)
def test_nothing_but_the_body_decides(path: str, headers: dict[str, str], endpoint: Endpoint) -> None:
    client = Client(enforce_csrf_checks=True)
    answer = client.generic("POST", path.format(endpoint.path), LEAD, **headers)
    assert answer.status_code == 201
    assert not answer.cookies


def test_a_new_lead_costs_four_queries_and_opens_no_secret(
    endpoint: Endpoint, settings: Settings, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    path = endpoint.path
    settings.FIELD_ENCRYPTION_KEYS = []
    with django_assert_max_num_queries(6):  # savepoint and its release belong to the test's own transaction
        assert post(path).status_code == 201


def test_a_ring_that_fails_refuses_no_lead(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        raise RuntimeError("no bell")

    rung: list[bool] = []
    monkeypatch.setattr(ports, "bell", [broken, lambda: rung.append(True)])
    with caplog.at_level(logging.ERROR, logger="leads"):
        assert post(endpoint).status_code == 201
    assert rung == [True]
    assert "no bell" in caplog.text


def test_the_bell_rings_for_leads_only(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    rung: list[bool] = []
    monkeypatch.setattr(ports, "bell", [lambda: rung.append(True)])
    post(endpoint, b"hello")
    assert rung == []
    post(endpoint)
    assert rung == [True]


# The database


class Outage:
    """Fails the next queries, as a database would; the one seam is Django's own execute_wrapper."""

    def __init__(self, error: Exception, failures: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.error, self.failures = error, failures
        self.reconnected = 0
        monkeypatch.setattr(connection, "close", self._close)

    def __call__(self, execute: Callable[..., Any], *arguments: Any) -> Any:
        if self.failures:
            self.failures -= 1
            raise self.error
        return execute(*arguments)

    def _close(self) -> None:
        self.reconnected += 1


ERRORS = [OperationalError("server closed the connection"), InterfaceError("connection already closed")]


@pytest.mark.parametrize("error", ERRORS)
def test_a_stale_connection_is_tried_again_once_on_a_fresh_one(
    error: Exception, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, outage = endpoint.path, Outage(error, 1, monkeypatch)
    with connection.execute_wrapper(outage):
        assert post(path).status_code == 201
    assert outage.reconnected == 1
    assert Lead.objects.count() == 1


def test_a_locked_database_has_been_waited_for_and_is_not_waited_for_again(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, outage = endpoint.path, Outage(OperationalError("database is locked"), 1, monkeypatch)
    with connection.execute_wrapper(outage):
        assert post(path).status_code == 503


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("error", [*ERRORS, DatabaseError("database disk image is malformed")])
def test_while_the_database_is_down_the_sender_is_told_to_come_again(
    error: Exception,
    known: bool,
    endpoint: Endpoint,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = endpoint.path if known else "/in/unknown"
    outage = Outage(error, 1000, monkeypatch)
    with connection.execute_wrapper(outage), caplog.at_level(logging.ERROR, logger="leads"):
        answer = post(path)
    assert (answer.status_code, answer["Content-Type"]) == (503, PROBLEM)
    assert int(answer["Retry-After"]) >= 1
    assert 1000 - outage.failures <= 2
    assert str(error) in caplog.text
    written = [MaskingFormatter().format(record) for record in caplog.records]
    assert endpoint.key not in "".join(written)
    assert not Submission.objects.exists()


def test_a_bug_is_not_called_an_outage(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*arguments: Any, **more: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(views.intake, "accept", bug)
    with pytest.raises(ZeroDivisionError):
        post(endpoint)


def test_what_is_stored_and_answered_is_in_the_language_of_the_installation(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    pseudo.speak(monkeypatch, settings)
    with override(pseudo.LANGUAGE):  # as whoever asked this thread for a page before
        answer = post(endpoint, b"", headers={"accept-language": pseudo.LANGUAGE})
        assert answer.json()["errors"][0]["message"] == "The request has no content."
        settings.LANGUAGE_CODE = pseudo.LANGUAGE
        with override("en"):
            post(endpoint, b"[]")
    messages = [row.problems[0]["message"] for row in Submission.objects.order_by("id")]
    assert messages == [
        "The request has no content.",
        "«A lead is an object in braces, »{...}«, but »«a list»« came.»",
    ]
