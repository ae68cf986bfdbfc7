"""Dataverse by its Web API, v9.2: signing in, asking for records and columns, finding the records that a lead names."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any
from urllib.parse import quote

from crm_sync.connectors.answers import Said
from crm_sync.connectors.base import Request, Stopped
from crm_sync.connectors.dynamics365 import fields, queries
from crm_sync.connectors.dynamics365.errors import ERRORS, NO_PRIVILEGE, read
from crm_sync.connectors.dynamics365.fields import Lookups, Target
from crm_sync.connectors.dynamics365.queries import literal
from crm_sync.connectors.oauth import Token, TokenConnector
from crm_sync.connectors.references import References
from crm_sync.connectors.shapes import objects
from crm_sync.http import Response, Unreadable
from crm_sync.outcomes import DestinationFault
from crm_sync.spec import TargetField
from leads.texts import gettext as _

KNOWN_FOR = 600.0  # seconds that the tables are remembered to which a lead may point
LONGEST_NAME = 200  # characters of any record's that a lead may point to
MOST_RECORDS = 200  # of users, teams, campaigns each, that are offered as choices
HEADERS = {"accept": "application/json", "odata-version": "4.0", "odata-maxversion": "4.0"}

_GUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_SPELLED = re.compile(rf"(?:/?(?P<set>\w+)\()?\{{?(?P<id>{_GUID})\}}?\)?")
# Records that are offered: people who sign in, teams that may own, campaigns under way.
_OFFERED: Mapping[str, str] = {
    "systemuser": "isdisabled eq false and accessmode eq 0",
    "team": "teamtype ne 1",
    "campaign": "statecode eq 0",
}


@dataclass(frozen=True, slots=True)
class Bound:
    """A record that a lead points to: its table, and the property of the lead's JSON that says so."""

    table: str
    name: str
    value: str


class DataverseConnector(TokenConnector):
    """What every connector to Dataverse needs, whatever it writes."""

    errors = ERRORS

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.url = re.split(r"/(?:main\.aspx|api/data)\b|\?", self.settings["url"].strip())[0].rstrip("/")
        self.api = f"{self.url}/api/data/v9.2/"
        self.references = References(self, self._matching)

    # --- Calls ------------------------------------------------------------------------------------

    def ask_token(self) -> Token:
        """By client credentials: learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow."""
        authority, tenant = self.settings["authority"].rstrip("/"), self.settings["tenant_id"].strip()
        form = {
            "grant_type": "client_credentials",
            "client_id": self.settings["client_id"].strip(),
            "client_secret": self.settings["client_secret"].strip(),
            "scope": f"{self.url}/.default",
        }
        url = f"{authority}/{quote(tenant, safe='')}/oauth2/v2.0/token"
        told = self.ask_form(
            url, form, elsewhere=_("The sign-in address answers, but gives no token: check it.")
        )
        seconds = told.get("expires_in")
        return Token(told["access_token"], float(seconds) if isinstance(seconds, int) else None)

    def _read(self, question: str) -> Request:
        return Request("GET", f"{self.api}{question}", dict(HEADERS))

    def _rows(self, question: str, *, field: str = "") -> list[dict[str, Any]]:
        """The records or descriptions asked for. Raises Stopped, with the refusal of `field` where they may not be
        read for its sake."""
        answer = self.call(self._read(question), write=False, accept={403} if field else ())
        if answer.status == 403:
            said = self.explain(answer)
            named = replace(said, field=field) if said.code in NO_PRIVILEGE else said
            raise Stopped(self.verdict(answer.status, named, write=False))
        return self._listed(answer)

    def _listed(self, answer: Response) -> list[dict[str, Any]]:
        rows = answer.json_object().get("value")
        if not isinstance(rows, list):
            raise Unreadable(
                _("The answer (HTTP {status}) is not of Dynamics 365.").format(status=answer.status)
            )
        return objects(rows)

    def explain(self, response: Response) -> Said:
        """Dataverse's `{"error": {"code", "message"}}`, with the field it names, or Microsoft Entra's refusal."""
        return read(super().explain(response))

    def live_fields(self) -> Sequence[TargetField]:
        """The columns of a lead, with lengths and choices; of owners and campaigns those that there are now."""
        columns = self._rows(queries.COLUMNS)
        details = list(chain.from_iterable(map(self._rows, queries.DETAILS)))
        lookups, offered = self._lookups(), {}
        for name in ("ownerid", "campaignid"):
            targets = lookups.get(name, ())
            several = len(targets) > 1
            offered[name] = [pair for each in targets for pair in self._choices(each, several=several)]
        return fields.fields(columns, details, offered)

    def _choices(self, target: Target, *, several: bool) -> list[tuple[str, str]]:
        """Records of a table as choices; none where nobody may read them."""
        question = queries.path(
            target.entity_set,
            select=f"{target.id_column},{target.name_column}",
            filter=_OFFERED[target.table],
            orderby=target.name_column,
            top=str(MOST_RECORDS),
        )
        try:
            rows = self._rows(question)
        except Stopped as refused:
            if isinstance(refused.outcome, DestinationFault):
                return []
            raise
        spelled, named = (
            (f"{target.entity_set}({{}})", f"{{}} ({target.called})") if several else ("{}", "{}")
        )
        return [
            (spelled.format(row.get(target.id_column)), named.format(row.get(target.name_column)))
            for row in rows
        ]

    # --- Records that a lead points to ------------------------------------------------------------

    def _matching(self, field: str, text: str) -> Sequence[Bound]:
        """The records that a field may point to under this name or id, as it then says so."""
        targets = self._lookups().get(field, ())
        if spelled := _SPELLED.fullmatch(text.strip()):
            targets = tuple(each for each in targets if spelled["set"] in (None, each.entity_set))
            sure = len(targets) == 1
            found = [
                (each, spelled["id"]) for each in targets if sure or self._has(each, spelled["id"], field)
            ]
        else:
            found = [(each, id_) for each in targets for id_ in self._named(each, text.strip(), field)]
        return [
            Bound(target.table, f"{target.navigation}@odata.bind", f"/{target.entity_set}({id_})")
            for target, id_ in found
        ]

    def _named(self, target: Target, name: str, field: str) -> list[str]:
        where = f"{target.name_column} eq {literal(name)}"
        if target.table == "systemuser":
            where += " and isdisabled eq false"
        if not target.name_column or len(name) > LONGEST_NAME:
            return []
        question = queries.path(target.entity_set, select=target.id_column, filter=where, top="2")
        return [str(row.get(target.id_column)) for row in self._rows(question, field=field)]

    def _has(self, target: Target, id_: str, field: str) -> bool:
        where = f"{target.id_column} eq {id_}"
        question = queries.path(target.entity_set, select=target.id_column, filter=where, top="1")
        return bool(self._rows(question, field=field))

    def _lookups(self) -> Lookups:
        return self.remembered(("lookups",), lambda: (self._ask_lookups(), KNOWN_FOR))

    def _ask_lookups(self) -> Lookups:
        pointing = fields.related(self._rows(queries.RELATIONSHIPS))
        names = {table for targets in pointing.values() for table, _ in targets}
        return fields.lookups(pointing, self._rows(queries.tables(names)) if names else ())
