"""accept(): what is stored, what counts as a repeat, and that copies at once give one lead."""

import threading
from datetime import UTC, datetime, timedelta
from io import BytesIO
from random import Random

import pytest
from django.db import connection, transaction
from django.test import RequestFactory
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from leads import intake, views
from leads.intake import REPEAT_WINDOW, Accepted, Received, accept
from leads.models import Endpoint, Lead, Offer, Submission
from tests.leads.grouping import care
from tests.staff import body, make_offer, post

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LEAD = b'{"UserDetails": {"FirstName": "Ana"}}'
LIMIT = 300


def take(endpoint: Endpoint, body: bytes = LEAD, at: datetime = NOON) -> Accepted:
    return accept(endpoint.offer, Received(body=body), endpoint=endpoint, now=at)


# Repeats


def test_a_repeat_is_counted_on_the_row_of_the_first(endpoint: Endpoint) -> None:
    first = take(endpoint)
    again = take(endpoint, at=NOON + 5 * SECOND)
    assert (first.repeated, again.repeated) == (False, True)
    assert again.lead_id == first.lead_id
    stored = Submission.objects.get()
    assert stored.times_received == 2
    assert (stored.received_at, stored.last_received_at) == (NOON, NOON + 5 * SECOND)


def test_after_ten_minutes_the_same_body_is_a_new_lead(endpoint: Endpoint) -> None:
    first = take(endpoint)
    assert take(endpoint, at=NOON + REPEAT_WINDOW - SECOND).repeated
    later = take(endpoint, at=NOON + REPEAT_WINDOW)
    assert not later.repeated
    assert later.lead_id != first.lead_id
    assert take(endpoint, at=NOON + REPEAT_WINDOW + SECOND).lead_id == later.lead_id
    assert list(Submission.objects.order_by("received_at").values_list("times_received", flat=True)) == [2, 2]


def test_a_repeat_does_not_prolong_the_ten_minutes(endpoint: Endpoint) -> None:
    for minute in range(0, 25, 5):
        take(endpoint, at=NOON + timedelta(minutes=minute))
    assert Lead.objects.count() == 3


def test_the_same_body_at_another_endpoint_is_another_lead(offer: Offer) -> None:
    one, other = Endpoint.make(offer), Endpoint.make(offer)
    assert not take(one).repeated
    assert not take(other).repeated
    assert Lead.objects.count() == 2


def test_a_body_that_differs_in_one_byte_is_another_lead(endpoint: Endpoint) -> None:
    take(endpoint)
    assert not take(endpoint, LEAD + b" ").repeated


def test_a_repeated_bad_body_is_bad_again(endpoint: Endpoint) -> None:
    first, again = take(endpoint, b"hello"), take(endpoint, b"hello")
    assert (again.repeated, again.lead_id) == (True, None)
    assert again.submission.pk == first.submission.pk
    assert again.submission.problems == first.submission.problems != []


def test_a_truncated_body_is_no_repeat_of_a_whole_one(endpoint: Endpoint) -> None:
    cut = accept(endpoint.offer, Received(body=LEAD[:20], announced=len(LEAD)), endpoint=endpoint, now=NOON)
    assert cut.submission.reason == "truncated"
    assert not take(endpoint).repeated


def test_what_comes_without_an_endpoint_is_never_a_repeat(offer: Offer) -> None:
    for _ in range(2):
        assert not accept(offer, Received(body=LEAD), origin=Submission.Origin.SAMPLE, now=NOON).repeated
    assert set(Lead.objects.values_list("is_sample", flat=True)) == {True}


def test_all_or_nothing_is_stored(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(intake, "lead_of", bug)
    with pytest.raises(ZeroDivisionError):
        take(endpoint)
    assert not Submission.objects.exists()


@pytest.mark.usefixtures("own_database")
def test_copies_that_come_at_once_give_one_lead_and_are_all_counted() -> None:
    copies = 8
    offer = Offer.objects.create(publisher_id="contoso", offer_id="backup", title="Contoso Backup")
    endpoint = Endpoint.make(offer)
    path, key = endpoint.path, str(endpoint.key)
    together, answers = threading.Barrier(copies), []

    def send() -> None:
        try:
            request = RequestFactory().post(path, data=LEAD, content_type="application/json")
            together.wait(10)
            answers.append(views.EndpointView.as_view()(request, key=key).status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=send) for _ in range(copies)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(answers) == [200] * (copies - 1) + [201]
    assert Lead.objects.count() == 1
    assert Submission.objects.get().times_received == copies


# Any bytes

bodies = st.one_of(
    st.binary(max_size=LIMIT + 20),
    st.text(max_size=80).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.text(max_size=40).map(lambda text: text.encode("utf-16", "surrogatepass")),
    st.builds(lambda head, tail: head + b"{" + tail, st.binary(max_size=4), st.binary(max_size=40)),
    st.builds(
        lambda key, value: b'{"%s": %s}' % (key, value),
        st.sampled_from([b"UserDetails", b"LeadSource", b"description", b"x"]),
        st.sampled_from(
            [b"1e999", b"NaN", b"-0", b'"\\u0000"', b'"\\ud800"', b"9" * 60, b"[[]]", b"null", b"{}"]
        ),
    ),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=bodies,
    announced=st.booleans(),
    content_type=st.sampled_from(["", "application/json", "\xff", "a/b;c"]),
)
@example(body=b"", announced=False, content_type="")
@example(body=b" " * (LIMIT + 1), announced=True, content_type="")
@example(body=b" " * (LIMIT + 1), announced=False, content_type="")
def test_any_bytes_are_stored_exactly_once_or_are_too_large(
    body: bytes, announced: bool, content_type: str, endpoint: Endpoint
) -> None:
    request = RequestFactory().generic("POST", endpoint.path, b"", content_type=content_type)
    length = str(len(body)) if announced else ""
    request.META |= {"CONTENT_LENGTH": length, "wsgi.input": BytesIO(body), "wsgi.input_terminated": True}
    views._callers.cache_clear()
    with transaction.atomic(), pytest.MonkeyPatch.context() as patched:
        patched.setattr(views.settings, "MAX_BODY_BYTES", LIMIT)
        answer = views.EndpointView.as_view()(request, key=str(endpoint.key))
        stored = [bytes(submission.body) for submission in Submission.objects.all()]
        leads = Lead.objects.count()
        transaction.set_rollback(True)
    if len(body) > LIMIT:
        assert (answer.status_code, stored) == (413, [])
    else:
        assert answer.status_code in {201, 400}
        assert stored == [body]
        assert leads == (answer.status_code == 201)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "field",
    (
        [
            "FirstName",
            "LastName",
            "Email",
            "Phone",
            "Country",
            "Company",
            "Title",
            "LeadSource",
            "ActionCode",
            "OfferTitle",
            "Description",
        ]
    ),
)
def test_a_value_as_long_as_a_body_is_stored_whatever_field_it_is_in(field: str) -> None:
    """No index may hold it: PostgreSQL refuses a row whose key is longer than a third of a page."""
    long = Random(field).randbytes(50_000).hex()  # which no compression makes short
    sent = (
        body({field: long}) if field in body()["UserDetails"] or field == "Title" else body(**{field: long})
    )
    (lead,) = post(make_offer(), sent).leads.all()
    care(lead)
    lead.refresh_from_db()
    assert long in {str(value) for value in lead.values().values()} | {lead.lead_source}
