"""What tests of sending share: a clock to move, a CRM that answers as told, and rows made in one line."""

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crm_sync import claiming, connectors, draining, publishing, pushing
from crm_sync.connectors.base import Check, Connector, Request
from crm_sync.mapping import Rule
from crm_sync.models import Attempt, Delivery, Destination, DestinationState, Route
from crm_sync.outcomes import Delivered, Outcome
from crm_sync.spec import Setting, Spec, TargetField
from leads.models import Lead, Offer, Submission

START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
FIELDS = tuple(
    TargetField(name, name, suggested={"kind": "field", "source": name}) for name in ("last_name", "title")
)
_numbers = itertools.count(1)


class Clock:
    """Time that passes when told."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, seconds: float = 0, **units: float) -> datetime:
        self.now += timedelta(seconds=seconds, **units)
        return self.now


class Inline(Executor):
    """Does at once what it is given, in this thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


class Crm:
    """A CRM that answers as told: the next of `answers`, else `always`. An exception is raised.

    It remembers what it was sent. `healthy` is what a connection test finds.
    """

    def __init__(self, slug: str, *, idempotent: bool = True) -> None:
        self.always: Outcome | Exception | Callable[[dict[str, Any]], Outcome] = Delivered("1")
        self.answers: list[Outcome | Exception] = []
        self.records: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.retries: list[bool] = []
        self.settings: list[dict[str, str]] = []
        self.healthy, self.checks = True, 0
        self.spec = Spec(
            slug=slug,
            label=slug,
            settings=(Setting("account", "Account", required=False),),
            fields=FIELDS,
            idempotent_by="The key is the record's id." if idempotent else "",
        )

    def answer(self, record: dict[str, Any]) -> Outcome:
        said = self.answers.pop(0) if self.answers else self.always
        if isinstance(said, Exception):
            raise said
        return said(record) if callable(said) else said

    def connector(crm) -> type[Connector]:  # noqa: N805 - "self" is the connector inside
        class Scripted(Connector):
            spec = crm.spec

            def requests(self, record: Any, *, key: str) -> Sequence[Request]:
                return []

            def push(self, record: Any, *, key: str, retry: bool) -> Outcome:
                crm.records.append(dict(record))
                crm.keys.append(key)
                crm.retries.append(retry)
                crm.settings.append(self.settings)
                return crm.answer(dict(record))

            def examine(self) -> Sequence[str]:
                return ()

            def check(self) -> Check:
                crm.checks += 1
                return Check(ok=crm.healthy, findings=() if crm.healthy else ("The key is wrong.",))

        return Scripted


def install(
    monkeypatch: pytest.MonkeyPatch, slug: str = "scripted", *, idempotent: bool = True, **declared: Any
) -> Crm:
    """A CRM of a kind of its own, in the registry for the length of a test. `declared`: what else its spec says."""
    crm = Crm(slug, idempotent=idempotent)
    crm.spec = replace(crm.spec, **declared)
    monkeypatch.setattr(connectors, "REGISTRY", {**connectors.REGISTRY, slug: crm.connector()})
    return crm


def make_offer(**values: Any) -> Offer:
    number = next(_numbers)
    named = {"publisher_id": "contoso", "offer_id": f"offer-{number}", "title": f"Offer {number}"}
    return Offer.objects.create(**named | values)


def make_destination(connector: str = "scripted", **values: Any) -> Destination:
    return Destination.objects.create(**{"name": f"CRM {next(_numbers)}", "connector": connector} | values)


def make_route(
    offer: Offer, destination: Destination, rules: Sequence[Rule] | None = (), **values: Any
) -> Route:
    """A route with these rules published; None: with nothing published."""
    route = Route.objects.create(offer=offer, destination=destination, **values)
    if rules is not None:
        publishing.publish_rules(route, rules, START)
    return route


def make_lead(offer: Offer, **values: Any) -> Lead:
    at = values.pop("received_at", START)
    submission = Submission.objects.create(offer=offer, body=b"{}", body_digest="", received_at=at)
    named = {"last_name": f"Lead {next(_numbers)}", "title": "Buyer", "action": "INS"}
    return Lead.objects.create(submission=submission, offer=offer, received_at=at, **named | values)


def state_of(destination: Destination) -> DestinationState:
    return DestinationState.objects.get(pk=destination.pk)


def attempts_of(sending: Delivery) -> list[Attempt]:
    return list(Attempt.objects.filter(delivery=sending).order_by("number"))


def take(destination: Destination, at: datetime, slots: int = 1) -> list[pushing.Claim]:
    return list(claiming.claim(destination.pk, slots, at=at).leases)


def drain(destination: Destination, clock: Clock, slots: int = 50) -> int:
    """One round of work on a destination, in this thread."""
    return draining.Drain(destination.pk, Inline(), slots=slots, clock=clock).run()
