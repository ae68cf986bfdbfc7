"""What becomes of a request in quarantine by each decision, and that it is decided once."""

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connections
from django.utils import timezone

from leads import quarantine
from leads.models import Lead, Offer, Submission
from leads.payload import Unreadable
from leads.ports import ports
from leads.quarantine import AlreadyDecidedError, StillUnreadableError
from tests.staff import make_offer, person, post

pytestmark = pytest.mark.django_db

FAQ = (Path(__file__).parent.parent / "payloads" / "faq_sample_broken.json").read_bytes()
MENDED = FAQ.decode().replace('"Contoso Test"', '"Contoso Test",')
STRICT = {"required": ["ActionCode"]}
EVIDENCE = (
    "body",
    "body_digest",
    "headers",
    "reason",
    "problems",
    "received_at",
    "content_type",
    "times_received",
)


def evidence(submission: Submission) -> list[Any]:
    row = Submission.objects.get(pk=submission.pk)
    return [bytes(row.body) if name == "body" else getattr(row, name) for name in EVIDENCE]


def history(obj: Any) -> list[str]:
    log = LogEntry.objects.filter(object_id=str(obj.pk)).select_related("user").order_by("pk")
    return [f"{entry.user}: {entry.get_change_message()}" for entry in log]


def verdict(submission: Submission) -> str:
    return Submission.objects.get(pk=submission.pk).verdict


# Reading again


def test_a_request_becomes_a_lead_once_the_schema_lets_it() -> None:
    offer = make_offer(schema=STRICT)
    submission = post(offer, b'{"FirstName": "Ana"}')
    before, now = evidence(submission), timezone.now()
    assert quarantine.reread(submission, person("bob"), now) is None
    assert (verdict(submission), history(submission)) == ("quarantined", [])

    offer.schema = None
    offer.save()
    lead = quarantine.reread(Submission.objects.get(pk=submission.pk), person("bob"), now)
    assert lead is not None
    row = Submission.objects.get(pk=submission.pk)
    assert (row.verdict, row.decided_by, row.decided_at, row.repaired) == ("released", person("bob"), now, "")
    assert list(row.leads.all()) == [lead]
    assert lead.first_name == "Ana"
    assert history(row) == history(lead) == ["bob: Released from quarantine, read again as it came."]
    assert evidence(submission) == before


def test_what_was_cut_off_is_not_whole_because_it_can_be_read() -> None:
    submission = post(make_offer(), b"{")
    Submission.objects.filter(pk=submission.pk).update(reason="truncated", body=b'{"FirstName": "Ana"}')
    submission.refresh_from_db()
    assert quarantine.reread(submission, person("bob"), timezone.now()) is None
    text = quarantine.text_of(submission)
    [lead] = quarantine.release(submission, text, person("bob"), timezone.now())
    assert lead.first_name == "Ana"


def test_many_are_read_again_and_counted() -> None:
    offer = make_offer(schema=STRICT)
    for number in range(3):
        post(offer, b'{"FirstName": "Ana %d"}' % number)
    broken = post(offer, b"{")
    discarded = post(offer, b'{"FirstName": "Discarded"}')
    quarantine.discard(discarded, person("bob"), timezone.now())
    offer.schema = None
    offer.save()
    done = quarantine.reread_many(Submission.objects.all(), person("bob"), timezone.now())
    assert done == quarantine.Reread(leads=3, unreadable=1, left=0)
    assert (verdict(broken), verdict(discarded)) == ("quarantined", "discarded")
    assert Lead.objects.count() == 3


def test_no_more_are_read_at_once_than_somebody_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "MOST_AT_ONCE", 2)
    offer = make_offer()
    for number in range(5):
        post(offer, b"{" + b" " * number)
    done = quarantine.reread_many(Submission.objects.all(), person("bob"), timezone.now())
    assert done == quarantine.Reread(leads=0, unreadable=2, left=3)


# Release


def test_the_faqs_sample_is_repaired_released_and_still_microsofts_test(
    django_capture_on_commit_callbacks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[bool] = []
    monkeypatch.setattr(ports, "bell", [lambda: rung.append(True)])
    received, now = timezone.now() - timedelta(days=2), timezone.now()
    submission = post(make_offer(), FAQ, at=received)
    before = evidence(submission)
    suggested = quarantine.suggestion(submission)
    assert suggested is not None
    assert suggested.text == MENDED
    with django_capture_on_commit_callbacks(execute=True):
        # A browser sends every line break as two characters.
        [lead] = quarantine.release(submission, MENDED.replace("\n", "\r\n"), person("bob"), now)
        assert rung == []
    assert rung == [True]
    row = Submission.objects.get(pk=submission.pk)
    assert (row.verdict, row.decided_by, row.decided_at) == ("released", person("bob"), now)
    assert row.repaired == MENDED
    assert (lead.submission, lead.offer, lead.received_at, lead.routed_at) == (row, row.offer, received, None)
    assert (lead.is_test, lead.offer_title) == (True, "Contoso Test")
    said = 'bob: Released from quarantine, repaired. Line 14: a comma was missing before "Description".'
    assert history(row) == history(lead) == [said]
    assert evidence(submission) == before


def test_a_list_becomes_a_lead_each() -> None:
    submission = post(make_offer(), b'[{"FirstName": "Ana"}, {"FirstName": "Bea"}]')
    text = quarantine.text_of(submission)
    leads = quarantine.release(submission, text, person("bob"), timezone.now())
    assert [lead.first_name for lead in leads] == ["Ana", "Bea"]
    assert {lead.received_at for lead in leads} == {submission.received_at}
    row = Submission.objects.get(pk=submission.pk)
    assert (row.leads.count(), row.repaired) == (2, "")
    assert history(leads[1]) == ["bob: Released from quarantine, as it came."]


def test_what_a_person_wrote_is_said_to_be_theirs() -> None:
    submission = post(make_offer(), b"hello")
    [lead] = quarantine.release(submission, '{"FirstName": "Ana"}', person("bob"), timezone.now())
    assert history(lead) == ["bob: Released from quarantine, edited by hand."]


def test_what_the_schema_forbids_passes_only_by_a_persons_word() -> None:
    submission = post(make_offer(schema=STRICT), b'{"FirstName": "Ana"}')
    text, now = quarantine.text_of(submission), timezone.now()
    assert isinstance(quarantine.preview(submission, text), Unreadable)
    with pytest.raises(StillUnreadableError) as caught:
        quarantine.release(submission, text, person("bob"), now)
    assert caught.value.verdict.reason == "schema"
    assert (verdict(submission), Lead.objects.count()) == ("quarantined", 0)
    [lead] = quarantine.release(submission, text, person("bob"), now, without_schema=True)
    assert history(lead) == ["bob: Released from quarantine, as it came, against the offer's schema."]


def test_what_is_no_json_passes_by_nobodys_word() -> None:
    submission = post(make_offer(), b"hello")
    with pytest.raises(StillUnreadableError):
        quarantine.release(submission, "hello", person("bob"), timezone.now(), without_schema=True)
    assert verdict(submission) == "quarantined"


def test_a_sample_in_quarantine_becomes_a_sample() -> None:
    submission = post(make_offer(), FAQ, origin=Submission.Origin.SAMPLE)
    [lead] = quarantine.release(submission, MENDED, person("bob"), timezone.now())
    assert lead.is_sample


def test_what_no_database_stores_is_stored_as_a_mark() -> None:
    submission = post(make_offer(), b"hello")
    text = '{"FirstName": "A\x00na \udc00"}'
    [lead] = quarantine.release(submission, text, person("bob"), timezone.now())
    assert lead.first_name == "A\ufffdna ?"
    assert Submission.objects.get(pk=submission.pk).repaired == '{"FirstName": "A\ufffdna ?"}'


# Discard, and each of them once


def test_what_is_discarded_can_be_put_back_and_keeps_its_history() -> None:
    submission = post(make_offer(), FAQ)
    before, now = evidence(submission), timezone.now()
    quarantine.discard(submission, person("bob"), now)
    row = Submission.objects.get(pk=submission.pk)
    assert (row.verdict, row.decided_by, row.decided_at) == ("discarded", person("bob"), now)
    quarantine.restore(submission, person("erin"))
    row.refresh_from_db()
    assert (row.verdict, row.decided_by, row.decided_at) == ("quarantined", None, None)
    assert history(row) == ["bob: Discarded.", "erin: Put back into quarantine."]
    assert evidence(submission) == before


def test_many_are_discarded_at_once_but_not_what_was_released() -> None:
    offer = make_offer()
    released, *others = [post(offer, FAQ + b" " * number) for number in range(4)]
    quarantine.release(released, MENDED, person("bob"), timezone.now())
    assert quarantine.discard_many(Submission.objects.all(), person("erin"), timezone.now()) == 3
    assert [verdict(row) for row in (released, *others)] == ["released", *["discarded"] * 3]
    assert history(others[0]) == ["erin: Discarded."]
    assert quarantine.discard_many(Submission.objects.all(), person("erin"), timezone.now()) == 0


@pytest.mark.parametrize("first", ["release", "reread", "discard"])
def test_what_is_decided_is_decided(first: str) -> None:
    offer = make_offer(schema=STRICT)
    submission = post(offer, b'{"FirstName": "Ana"}')
    offer.schema = None
    offer.save()
    fresh = [Submission.objects.select_related("offer").get(pk=submission.pk) for _ in range(5)]
    bob, erin, now = person("bob"), person("erin"), timezone.now()
    decide: dict[str, Callable[[Submission, Any], object]] = {
        "release": lambda row, by: quarantine.release(row, '{"FirstName": "Bea"}', by, now),
        "reread": lambda row, by: quarantine.reread(row, by, now),
        "discard": lambda row, by: quarantine.discard(row, by, now),
    }
    decide[first](fresh[0], bob)
    leads = Lead.objects.count()
    for row, later in zip(fresh[1:], decide.values(), strict=False):
        with pytest.raises(AlreadyDecidedError) as caught:
            later(row, erin)
        assert caught.value.submission.decided_by == bob
    if first != "discard":
        with pytest.raises(AlreadyDecidedError):
            quarantine.restore(fresh[4], erin)
    assert Lead.objects.count() == leads
    assert len(history(submission)) == 1


@pytest.mark.usefixtures("own_database")
def test_of_ten_who_press_at_once_one_makes_the_lead() -> None:
    offer = Offer.objects.create(publisher_id="contoso", offer_id="race", title="Race")
    submission = post(offer, FAQ, origin=Submission.Origin.SAMPLE)
    bob, now = person("bob"), timezone.now()
    released: list[Lead] = []
    refused: list[AlreadyDecidedError] = []
    start = threading.Barrier(10)

    def press() -> None:
        try:
            mine = Submission.objects.select_related("offer").get(pk=submission.pk)
            start.wait(10)
            released.extend(quarantine.release(mine, MENDED, bob, now))
        except AlreadyDecidedError as error:
            refused.append(error)
        finally:
            connections["default"].close()

    threads = [threading.Thread(target=press) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(released), len(refused)) == (1, 9)
    assert Lead.objects.filter(submission=submission).count() == 1
