"""Fields that point to another record by its name: found once, remembered, or refused."""

from collections.abc import Callable, Sequence

import pytest

from crm_sync.addresses import Policy
from crm_sync.connectors.base import Connector, Record, Request, Stopped
from crm_sync.connectors.memory import memory
from crm_sync.connectors.references import References
from crm_sync.http import GuardedClient
from crm_sync.outcomes import Rejected, RetryLater
from crm_sync.spec import Setting, Spec, TargetField


class Pointing(Connector):
    """Leads that have an owner."""

    spec = Spec(
        slug="pointing",
        label="Acme",
        settings=(Setting("url", "Address"),),
        fields=(TargetField("owner", "Owner", "reference"),),
    )

    def requests(self, record: Record, *, key: str) -> list[Request]:
        return []

    def examine(self) -> list[str]:
        return []


OWNERS = {"Ada": ("7",), "Anna": ("8", "9")}
Find = Callable[[str, str], Sequence[str]]


def references(find: Find = lambda _, name: OWNERS.get(name, ()), url: str = "a") -> References[str]:
    return References(Pointing({"url": url}, GuardedClient(Policy())), find)


def refusal(subject: References[str], name: str, field: str = "owner") -> Rejected:
    with pytest.raises(Stopped) as stopped:
        subject.one(field, name)
    assert isinstance(stopped.value.outcome, Rejected)
    assert stopped.value.outcome.field == field
    return stopped.value.outcome


def test_a_record_is_asked_for_once_and_then_known_to_every_push() -> None:
    asked: list[tuple[str, str]] = []

    def find(field: str, name: str) -> Sequence[str]:
        asked.append((field, name))
        return OWNERS[name]

    assert references(find).known("owner", "Ada") is None
    assert [references(find).one("owner", "Ada") for _ in range(2)] == ["7", "7"]
    assert references(find).known("owner", "Ada") == "7"
    assert asked == [("owner", "Ada")]
    assert references(find, url="b").known("owner", "Ada") is None, "another account"


def test_no_record_of_a_name_and_several_of_one_are_refused_in_words() -> None:
    none = "Acme has no “Zoë” for “Owner”: create it there, or choose another in the mapping."
    assert refusal(references(), "Zoë").reason == none
    several = "Acme has several “Anna” for “Owner”: give the id of the one that is meant."
    assert refusal(references(), "Anna").reason == several
    assert "for “team”" in refusal(references(), "Zoë", "team").reason


def test_a_name_that_was_missed_may_be_found_the_next_time() -> None:
    refusal(references(lambda *_: ()), "Zoë")
    assert references(lambda *_: ("5",)).one("owner", "Zoë") == "5"


def test_a_record_that_is_gone_is_looked_up_anew() -> None:
    subject = references()
    subject.one("owner", "Ada")
    subject.forget("owner", "Ada")
    assert subject.known("owner", "Ada") is None
    assert references(lambda *_: ("6",)).one("owner", "Ada") == "6"


def test_what_stops_a_look_up_is_passed_on() -> None:
    def find(field: str, name: str) -> Sequence[str]:
        raise Stopped(RetryLater("The CRM is down."))

    with pytest.raises(Stopped) as stopped:
        references(find).one("owner", "Ada")
    assert stopped.value.outcome == RetryLater("The CRM is down.")


def test_a_name_as_long_as_a_lead_is_neither_kept_nor_quoted() -> None:
    long = "x" * 1_000_000
    assert len(refusal(references(), long).reason) < 200
    assert references(lambda *_: ("1",)).one("owner", long) == "1"
    assert long not in repr(list(memory._entries))
