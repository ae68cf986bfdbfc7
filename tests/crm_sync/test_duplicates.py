"""When the CRM already has this person: ask, write all the same, or skip."""

from collections.abc import Sequence
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry

from crm_sync import by_hand, connectors
from crm_sync.connectors.base import Connector, Record, Request
from crm_sync.models import Delivery, Destination
from crm_sync.outcomes import Delivered, Outcome, Rejected
from crm_sync.spec import DUPLICATES, Spec, TargetField
from tests.crm_sync.screens import press, text_of, url_of
from tests.crm_sync.sending import START, Clock, attempts_of, drain, make_destination, make_offer, make_route
from tests.crm_sync.test_delivery import fresh, make_sending
from tests.staff import signed_in

pytestmark = pytest.mark.django_db

FOUND = Rejected("The CRM found a duplicate (HTTP 412): Ada Lovelace.", duplicate_of="7")


class Choosy(Connector):
    """Knows everybody, and writes a second record only if it is told to."""

    spec = Spec(
        slug="choosy",
        label="Choosy",
        settings=(DUPLICATES,),
        fields=(TargetField("last_name", "Last name"),),
        idempotent_by="The key is the record's id.",
    )
    written: list[Record] = []

    def requests(self, record: Record, *, key: str) -> Sequence[Request]:
        return []

    def send(self, record: Record, *, key: str, retry: bool) -> Outcome:
        if self.settings["duplicates"] != "create":
            return FOUND
        self.written.append(record)
        return Delivered("8")

    def record_url(self, remote_id: str) -> str:
        return f"https://crm.example/{remote_id}"

    def examine(self) -> Sequence[str]:
        return ()


@pytest.fixture(autouse=True)
def _choosy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connectors, "REGISTRY", {**connectors.REGISTRY, "choosy": Choosy})
    monkeypatch.setattr(Choosy, "written", [])


def sent(duplicates: str = "", **values: Any) -> Delivery:
    settings = {"duplicates": duplicates} if duplicates else {}
    destination = make_destination("choosy", name="Fabrikam CRM", settings=settings)
    sending = make_sending(make_route(make_offer(), destination))
    drain(destination, Clock())
    return fresh(sending)


def test_unless_told_otherwise_somebody_is_asked() -> None:
    sending = sent()
    assert (sending.state, sending.duplicate_of, Choosy.written) == ("rejected", "7", [])
    text = text_of(signed_in("bob"), url_of(sending))
    assert "Fabrikam CRM has this person already, as its record 7. Nothing was written." in text
    assert "Write it all the same" in text


def test_skip_writes_nothing_and_says_what_the_crm_has() -> None:
    sending = sent("skip")
    assert (sending.state, sending.remote_id, Choosy.written) == ("delivered", "7", [])
    assert sending.remote_url == "https://crm.example/7"
    assert "The CRM has this person already. Nothing was written" in sending.reason
    assert "Nothing was written" in text_of(signed_in("bob"), url_of(sending))
    assert "Nothing was written" in attempts_of(sending)[0].reason


def test_create_writes_all_the_same() -> None:
    sending = sent("create")
    assert (sending.state, sending.remote_id, len(Choosy.written)) == ("delivered", "8", 1)


def test_whoever_was_asked_may_have_it_written_all_the_same() -> None:
    sending = sent()
    text = press(signed_in("bob"), url_of(sending, "retry"))
    assert "It is tried again now" in text
    assert LogEntry.objects.latest("pk").get_change_message() == (
        "Written though the CRM has this person already."
    )
    drain(sending.destination, Clock(fresh(sending).due_at))
    assert (fresh(sending).state, len(Choosy.written)) == ("delivered", 1)


def test_a_replay_asks_again_rather_than_decide_for_somebody() -> None:
    sending = sent()
    by_hand.retry([sending.pk], at=START)
    drain(sending.destination, Clock())
    assert (fresh(sending).state, Choosy.written) == ("rejected", [])


def test_the_decision_is_about_this_lead_alone() -> None:
    sending = sent()
    other = make_sending(sending.route)
    by_hand.retry([sending.pk], at=START, duplicates=True)
    drain(Destination.objects.get(), Clock())
    assert (fresh(sending).state, fresh(other).state) == ("delivered", "rejected")
