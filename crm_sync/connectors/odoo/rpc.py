"""Odoo by its two protocols: JSON-2 from Odoo 19 on, JSON-RPC before."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from crm_sync.connectors.answers import Said
from crm_sync.connectors.base import Connector, Request, Stopped
from crm_sync.connectors.odoo.errors import ERRORS, read
from crm_sync.http import Response, Unreadable
from crm_sync.outcomes import DestinationFault, RetryLater
from leads.texts import gettext as _
from leads.texts import gettext_noop

T = TypeVar("T")

HOUR = 3600.0  # seconds that what Odoo says of itself is remembered
JSON2 = 19  # the first release that speaks it
_ELSEWHERE = gettext_noop(
    "Something answers at this address, but not Odoo: enter where you sign in, up to /odoo or /web."
)


class OdooApi(Connector):
    """What every connector to Odoo needs, whatever it writes."""

    errors = ERRORS

    # Calls

    def _ask(
        self,
        kind: type[T],
        model: str,
        method: str,
        named: Mapping[str, Any],
        ids: Sequence[int] = (),
        *,
        write: bool = False,
    ) -> T:
        """What a method of Odoo returns, which is of that kind. Raises Stopped."""
        version = self._version()
        uid = 0 if version >= JSON2 else self._uid()
        request = self._request(model, method, named, ids, version=version, uid=uid)
        result = self._result(self.call(request, write=write), write=write)
        if not isinstance(result, kind):
            words = _("The answer of {model}.{method} is not what Odoo documents.").format(
                model=model, method=method
            )
            raise Stopped(RetryLater(words, uncertain=write))
        return result

    def _request(
        self, model: str, method: str, named: Mapping[str, Any], ids: Sequence[int], *, version: int, uid: int
    ) -> Request:
        database, key = self.settings["database"].strip(), self.settings["api_key"].strip()
        if version < JSON2:
            args = [database, uid, key, model, method, [[*ids]] if ids else [], named]
            return self._rpc("jsonrpc", service="object", method="execute_kw", args=args)
        headers = {"authorization": f"bearer {key}", "x-odoo-database": database}
        body = {**named, "ids": [*ids]} if ids else {**named}
        return Request("POST", f"{self._url}/json/2/{model}/{method}", headers, body)

    def _rpc(self, path: str, **params: Any) -> Request:
        body = {"jsonrpc": "2.0", "method": "call", "params": params}
        return Request("POST", f"{self._url}/{path}", {}, body)

    @property
    def _url(self) -> str:
        # Of an address copied from the browser, what stands before the page.
        return re.split(r"/(?:odoo|web)(?:[/?#]|$)", self.settings["url"].strip())[0].rstrip("/")

    # Answers

    def _result(self, answer: Response, *, write: bool = False) -> Any:
        try:
            body = answer.json()
        except Unreadable as error:
            raise Stopped(self._outcome(error, write=write)) from None
        return body.get("result") if isinstance(body, dict) and body.get("jsonrpc") else body

    def accepted(self, response: Response, **options: Any) -> Response:
        """JSON-RPC answers errors with 200."""
        response = super().accepted(response, **options)
        is_error = b'"jsonrpc"' in response.content[:100] and b'"error"' in response.content
        if is_error and self.explain(response).code:
            raise Stopped(self.judge(response, write=options["write"]))
        return response

    def explain(self, response: Response) -> Said:
        """The exception that Odoo tells of."""
        return read(response)

    # Whom we speak to, and as whom

    def _version(self) -> int:
        """The number of the release: 19 for 19.0 and for saas~19.2."""
        return self.remembered(("version",), lambda: (self._ask_version(), HOUR))

    def _ask_version(self) -> int:
        answer = self.call(self._rpc("web/webclient/version_info"), write=False)
        with suppress(Unreadable, LookupError, TypeError):
            if number := re.search(r"\d+", str(answer.json_object()["result"]["server_version_info"][0])):
                return int(number[0])
        raise Stopped(DestinationFault(_(_ELSEWHERE)))

    def _uid(self) -> int:
        """The number of the user of this connection."""
        return self.remembered(("uid",), lambda: (self._ask_uid(), HOUR))

    def _ask_uid(self) -> int:
        if self._version() >= JSON2:
            return int(self._ask(dict, "res.users", "context_get", {}).get("uid") or 0)
        if not self.settings["username"]:
            raise Stopped(DestinationFault(_("This Odoo is older than 19: enter the user name too.")))
        args = [*(self.settings[name].strip() for name in ("database", "username", "api_key")), {}]
        request = self._rpc("jsonrpc", service="common", method="authenticate", args=args)
        uid = self._result(self.call(request, write=False))
        if not isinstance(uid, int) or not uid:
            raise Stopped(self.verdict(200, Said("AccessDenied", "no such user."), write=False))
        return uid

    def _me(self) -> Mapping[str, Any]:
        """`name`, `login` and `lang` of that user."""
        return self.remembered(("me",), lambda: (self._ask_me(), HOUR))

    def _ask_me(self) -> Mapping[str, Any]:
        search = {"domain": [["id", "=", self._uid()]], "fields": ["name", "login", "lang"]}
        return {
            name: value
            for me in self._ask(list, "res.users", "search_read", search)
            for name, value in me.items()
        }

    def _language(self) -> Mapping[str, Any]:
        return {"lang": self._me().get("lang") or "en_US"}
