"""Connectors that sign in: one token for all pushes, renewed before its end, and once when it is refused."""

from collections.abc import Iterator
from typing import Any

import pytest

from crm_sync.connectors.base import Record, Request
from crm_sync.connectors.oauth import Token, TokenConnector
from crm_sync.outcomes import Delivered, DestinationFault, RetryLater
from crm_sync.recorder import Recorder
from crm_sync.spec import Setting, Spec, TargetField
from tests.connectors.laws import Connect, connecting, push
from tests.fakes.server import Answer, FakeCrm, Seen


class Signed(TokenConnector):
    """The least that signs in."""

    spec = Spec(
        slug="signed",
        label="Signed",
        settings=(Setting("url", "Address", kind="url"), Setting("secret", "Secret", kind="secret")),
        fields=(TargetField("email", "E-mail"),),
        idempotent_by="The key is in the address.",
    )

    def ask_token(self) -> Token:
        answer = self.call_unsigned(
            Request("POST", f"{self.settings['url']}/token", {}, {"secret": self.settings["secret"]})
        )
        return Token(answer.json_object()["token"], answer.json_object().get("seconds"))

    def requests(self, record: Record, *, key: str) -> list[Request]:
        return [Request("PUT", f"{self.settings['url']}/leads/{key}", {}, dict(record))]

    def examine(self) -> list[str]:
        self.call(Request("GET", f"{self.settings['url']}/me", {}), write=False)
        return ["It lets us in."]


class FakeSigned(FakeCrm):
    """Gives out token 1, token 2, ...; accepts the last `good` ones."""

    def __init__(self) -> None:
        self.given, self.seconds, self.good = 0, 3600.0, {"token 1", "token 2", "token 3"}
        super().__init__()

    def answer(self, request: Seen) -> Answer:
        if request.path == "/token":
            if request.json()["secret"] != "right":
                return Answer(
                    401, {"error": {"code": "wrong", "message": f"Not {request.json()['secret']}."}}
                )
            self.given += 1
            return Answer(200, {"token": f"token {self.given}", "seconds": self.seconds})
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.good:
            return Answer(401, {"error": {"code": "expired", "message": "The token is no good."}})
        return Answer(201, {"echo": request.headers["authorization"]})


@pytest.fixture
def crm() -> Iterator[FakeSigned]:
    with FakeSigned() as crm:
        yield crm


@pytest.fixture
def connect(crm: FakeSigned) -> Iterator[Connect]:
    with connecting(Signed, {"url": crm.url, "secret": "right"}) as connect:
        yield connect


def test_all_pushes_share_one_token(crm: FakeSigned, connect: Connect) -> None:
    for number in range(3):
        assert isinstance(push(connect, {}, number), Delivered)
    assert crm.given == 1


def test_a_token_is_renewed_a_minute_before_its_end(crm: FakeSigned, connect: Connect) -> None:
    crm.seconds = 60
    push(connect, {}, 1)
    push(connect, {}, 2)
    assert crm.given == 2


def test_a_refused_token_is_renewed_once_and_the_push_repeated(crm: FakeSigned, connect: Connect) -> None:
    crm.good = {"token 2"}
    assert isinstance(push(connect, {}), Delivered)
    assert [request.path.split("/")[1] for request in crm.requests] == ["token", "leads", "token", "leads"]


def test_a_second_refusal_is_a_fault_of_the_connection(crm: FakeSigned, connect: Connect) -> None:
    crm.good = set()
    outcome = push(connect, {})
    assert isinstance(outcome, DestinationFault)
    assert "The token is no good." in outcome.reason
    assert crm.given == 2


def test_other_credentials_are_another_account(crm: FakeSigned, connect: Connect) -> None:
    push(connect, {})
    outcome = push(connect, {}, secret="wrong")
    assert isinstance(outcome, DestinationFault)
    assert "The CRM does not accept the credentials" in outcome.reason
    assert "wrong." not in outcome.reason  # the secret, which the CRM quotes


def test_a_failure_to_sign_in_leaves_nothing_uncertain(crm: FakeSigned, connect: Connect) -> None:
    crm.next("hang up", when=lambda request: request.path == "/token")
    outcome = push(connect, {})
    assert isinstance(outcome, RetryLater)
    assert not outcome.uncertain


def test_no_token_is_kept_in_the_record_even_where_the_crm_echoes_it(
    crm: FakeSigned, connect: Connect
) -> None:
    recorder = Recorder()
    push(connect, {}, recorder=recorder)
    assert len(recorder.exchanges) == 2
    assert "token 1" not in str(recorder.exchanges)


class Granted(Signed):
    """Signs in with the form of a grant."""

    def ask_token(self) -> Token:
        told = self.ask_form(
            f"{self.settings['url']}/token", {"grant_type": "client_credentials"}, elsewhere="This is not it."
        )
        return Token(told["access_token"])


@pytest.fixture
def grant(crm: FakeSigned) -> Iterator[Connect]:
    with connecting(Granted, {"url": crm.url, "secret": "right"}) as connect:
        yield connect


def at_sign_in(crm: FakeSigned, status: int, body: Any) -> None:
    crm.next(Answer(status, body), when=lambda request: request.path == "/token")


def test_the_form_of_a_grant_is_answered_with_a_token(crm: FakeSigned, grant: Connect) -> None:
    at_sign_in(crm, 200, {"access_token": "token 1"})
    assert isinstance(push(grant, {}), Delivered)
    assert crm.requests[0].body == b"grant_type=client_credentials"


def test_of_a_refused_grant_no_lead_is_guilty(crm: FakeSigned, grant: Connect) -> None:
    at_sign_in(crm, 400, {"error": "invalid_client", "error_description": "Who are you?"})
    refused = "The CRM refuses this lead (HTTP 400): invalid_client: Who are you?"
    assert push(grant, {}) == DestinationFault(refused)
    at_sign_in(crm, 503, {"error": "temporarily_unavailable"})
    assert isinstance(push(grant, {}), RetryLater)


@pytest.mark.parametrize("body", ["<html>", [], {}, {"access_token": ""}, {"access_token": 7}])
def test_whoever_gives_no_token_is_somebody_else(crm: FakeSigned, grant: Connect, body: Any) -> None:
    at_sign_in(crm, 200, body)
    assert push(grant, {}) == DestinationFault("This is not it.")
