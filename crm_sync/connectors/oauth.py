"""Connectors that sign in: a token is asked for once, kept until shortly before its end, and renewed once on a 401."""

from abc import abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from crm_sync.connectors.answers import Said
from crm_sync.connectors.base import Connector, Request, Stopped
from crm_sync.connectors.memory import memory
from crm_sync.connectors.shapes import part
from crm_sync.http import Response, Unreadable
from crm_sync.outcomes import DestinationFault, Rejected

EARLY = 60.0  # seconds before its end that a token is renewed


@dataclass(frozen=True, slots=True)
class Token:
    """An access token. `seconds` until its end, None where the CRM does not tell; `url`: where it is to be used,
    where the CRM says that with it."""

    value: str
    seconds: float | None = None
    url: str = ""


class TokenConnector(Connector):
    """A connector whose every call carries an access token."""

    @abstractmethod
    def ask_token(self) -> Token:
        """Sign in. Raises Stopped or NoAnswer; calls the CRM through `call_unsigned`."""

    def token(self) -> Token:
        """The token of this account, known or asked for now. Raises Stopped or NoAnswer."""
        token = self.remembered(("token",), self._ask)
        self.http.mask(token.value)
        return token

    def call(self, request: Request, *, write: bool, accept: Collection[int] = (), key: str = "") -> Response:
        """Send one request with the token; where that is refused, once more with a new one."""
        token = self.token()
        response = self.exchange(_signed(request, token), write=write)
        if response.status == 401:
            memory.forget(self.account("token"), token)
            response = self.exchange(_signed(request, self.token()), write=write)
        return self.accepted(response, write=write, accept=accept, key=key)

    def call_unsigned(self, request: Request) -> Response:
        """Send one request without a token, such as the one that asks for it. Raises Stopped."""
        return super().call(request, write=False)

    def ask_form(self, url: str, form: Mapping[str, str], *, elsewhere: str) -> dict[str, Any]:
        """What is answered to the form of a grant: an `access_token`, and what the CRM says besides.

        RFC 6749, sections 4 and 5 (rfc-editor.org/rfc/rfc6749, 2026-11). Raises Stopped or NoAnswer; `elsewhere`: the
        sentence where whoever answers gives no token.
        """
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        try:
            body = self.call_unsigned(Request("POST", url, headers, urlencode(form))).json_object()
        except Stopped as refused:
            if isinstance(refused.outcome, Rejected):  # of a sign-in no lead is guilty
                raise Stopped(DestinationFault(refused.outcome.reason)) from None
            raise
        except Unreadable:
            body = {}
        token = body.get("access_token")
        if not isinstance(token, str) or not token:
            raise Stopped(DestinationFault(elsewhere))
        return body

    def explain(self, response: Response) -> Said:
        """Of a refused grant, its `error` and `error_description`; else the common shapes."""
        try:
            body = response.json()
        except Unreadable:
            body = {}
        if isinstance(error := part(body, "error"), str) and error:
            return Said(code=error, words=str(body.get("error_description") or ""))
        return super().explain(response)

    def _ask(self) -> tuple[Token, float | None]:
        token = self.ask_token()
        return token, None if token.seconds is None else max(token.seconds - EARLY, 0.0)


def _signed(request: Request, token: Token) -> Request:
    return replace(request, headers={"authorization": f"Bearer {token.value}", **request.headers})
