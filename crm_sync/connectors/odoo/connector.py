"""Odoo's CRM app: JSON-2 from Odoo 19 on, JSON-RPC before.

Sources: odoo.com/documentation, External JSON-2 API (19.0) and External API (18.0); Odoo 19.0 itself, read and run
(2026-11).
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date
from email.utils import parseaddr
from typing import Any

from crm_sync.connectors.answers import Said
from crm_sync.connectors.base import Item, Record, Request, Stopped
from crm_sync.connectors.odoo import fields
from crm_sync.connectors.odoo.declared import SPEC
from crm_sync.connectors.odoo.rpc import HOUR, JSON2, OdooApi
from crm_sync.connectors.references import References
from crm_sync.connectors.values import clipped
from crm_sync.outcomes import Delivered, DestinationFault, Outcome, Rejected, RetryLater
from crm_sync.spec import TargetField
from leads.texts import gettext as _
from leads.texts import ngettext

# Odoo's own screens make a new one of these of any name that is typed.
_MADE_WHEN_MISSING = frozenset({"utm.source", "utm.medium", "utm.campaign", "crm.tag", "crm.lead.tag"})


class OdooConnector(OdooApi):
    """Loads each lead under an external id of its own, so that the second try finds the first."""

    spec = SPEC
    _key_ends: date | None = None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.references = References(self, self._matching)

    # What is sent

    def requests(self, record: Record, *, key: str) -> Sequence[Request]:
        """One `load`, with names in place of the ids that were not looked up yet."""
        columns = self.known("columns") or {}
        load = fields.loaded([_row(self.fit(record, key=key), key, columns, self.references.known)])
        version, uid = self.known("version") or JSON2, self.known("uid") or 0
        return [self._request("crm.lead", "load", load, (), version=version, uid=uid)]

    def send(self, record: Record, *, key: str, retry: bool) -> Outcome:
        """The same whether an earlier try may have written or not."""
        return self.send_many([Item(self.fit(record, key=key), key, retry)])[0]

    def send_many(self, items: Sequence[Item]) -> Sequence[Outcome]:
        """One search for all the persons, and a `load` for each set of columns: a cell left blank empties its field."""
        columns = self._columns()
        rows, outcomes = self.prepared(
            items, lambda item: _row(item.record, item.key, columns, self.references.one)
        )
        outcomes |= self._persons(rows)
        alike: dict[tuple[str, ...], list[str]] = {}
        for key, row in rows.items():
            if key not in outcomes:
                alike.setdefault(tuple(row), []).append(key)
        for keys in alike.values():
            outcomes |= zip(keys, self._load([rows[key] for key in keys]), strict=True)
        return [outcomes[item.key] for item in items]

    def _load(self, rows: Sequence[dict[str, Any]]) -> list[Outcome]:
        """Load rows of the same columns: all of them, or none where one is refused."""
        try:
            answer = self._ask(dict, "crm.lead", "load", fields.loaded(rows), write=True)
        except Stopped as stopped:
            refused = stopped.outcome
            if len(rows) > 1 and isinstance(refused, Rejected) and not refused.field:
                return self._one_by_one(rows)
            return [refused] * len(rows)
        if ids := fields.ids(answer, len(rows)):
            return [Delivered(str(number)) for number in ids]
        refusals = self._refusals(answer)
        if not refusals:
            unclear = RetryLater(_("The answer does not say what became of the lead."), uncertain=True)
            return [unclear] * len(rows)
        for outcome in refusals.values():
            if len(rows) == 1 or not isinstance(outcome, Rejected):
                return [outcome] * len(rows)
        # Nothing was written. Where Odoo names a field it names the right row, too; else perhaps another.
        named = {row: each for row, each in refusals.items() if isinstance(each, Rejected) and each.field}
        rest = [row for number, row in enumerate(rows) if number not in named]
        if len(named) < len(refusals) or len(rest) == len(rows):
            return self._one_by_one(rows)
        told = iter(self._load(rest) if rest else ())
        return [named.get(number) or next(told) for number in range(len(rows))]

    def _one_by_one(self, rows: Sequence[dict[str, Any]]) -> list[Outcome]:
        return [self._load([row])[0] for row in rows]

    def _refusals(self, answer: Mapping[str, Any]) -> dict[Any, Outcome]:
        """Why rows were refused, by their number."""
        outcomes: dict[Any, Outcome] = {}
        for message in answer.get("messages") or () if answer.get("ids") is False else ():
            if isinstance(message, dict) and message.get("type") == "error":
                said = Said("load", str(message.get("message")), str(message.get("field") or ""))
                outcomes.setdefault(message.get("record", 0), self.verdict(200, said, write=False))
        return outcomes

    # Persons that Odoo has already

    def _persons(self, rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Outcome]:
        """What becomes of those of whose person the bot sees a lead: their own, of an earlier try, or another."""
        emails = {key: parseaddr(str(row.get("email_from", "")))[1].lower() for key, row in rows.items()}
        wanted = sorted(set(filter(None, emails.values())))
        if self.settings["duplicates"] == "create" or not wanted:
            return {}
        name = "email_normalized" if self._version() >= 13 else "email_from"
        search = {"domain": [[name, "in", wanted]], "fields": [name], "order": "id desc", "limit": 1000}
        found = self._ask(list, "crm.lead", "search_read", search)
        if not found:
            return {}
        leads = {each["id"]: each[name].lower() for each in found}
        external = self._ask(dict, "crm.lead", "get_external_id", {}, [*leads])
        own = {external_id: number for number, external_id in external.items()}
        outcomes: dict[str, Outcome] = {}
        for key, email in emails.items():
            other = next((number for number, address in leads.items() if address == email), None)
            if mine := own.get(rows[key]["id"]):
                outcomes[key] = Delivered(str(mine), existed=True)
            elif other is not None:
                words = _("Odoo has a lead of this person already, number {number}.").format(number=other)
                outcomes[key] = Rejected(words, duplicate_of=str(other))
        return outcomes

    # What is looked up, and remembered

    def _columns(self) -> Mapping[str, Any]:
        """Type and model of the lead's fields, by their names."""
        named = {"attributes": ["type", "relation"]}
        return self.remembered(("columns",), lambda: (self._ask(dict, "crm.lead", "fields_get", named), HOUR))

    def _matching(self, field: str, name: str) -> Sequence[int]:
        """The records of that name, as the bot reads it; of a country the code will do, of a user the login."""
        model = str(self._columns()[field]["relation"])
        named = {"name": name, "operator": "=", "limit": 2, "context": self._language()}
        if found := self._ask(list, model, "name_search", named):
            return [int(each[0]) for each in found]
        if name.isdecimal() and len(name) < 10:
            return [int(name)]
        return [self._make(model, name, field)] if model in _MADE_WHEN_MISSING else []

    def _make(self, model: str, name: str, field: str) -> int:
        """A new source, tag or the like, under an external id, so that two at once make one."""
        mark = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:32]
        row = {"id": f"__leadsite__.{model.replace('.', '_')}_{mark}", "name": name}
        answer = self._ask(dict, model, "load", fields.loaded([row]))
        if ids := fields.ids(answer, 1):
            return ids[0]
        outcome = self._refusals(answer).get(0) or RetryLater(_("Odoo does not say what became of it."))
        if isinstance(outcome, Rejected | DestinationFault):
            outcome = Rejected(
                _("Odoo has no “{name}”, and could not make it. {reason}").format(
                    name=clipped(name), reason=outcome.reason
                ),
                field,
            )
        raise Stopped(outcome)

    # What staff ask

    def live_fields(self) -> Sequence[TargetField]:
        """The fields of a lead that this user may write."""
        named = {"attributes": [*fields.ATTRIBUTES], "context": self._language()}
        return fields.described(self._ask(dict, "crm.lead", "fields_get", named))

    def record_url(self, remote_id: str) -> str:
        """The lead's form; its address changed with Odoo 18."""
        if (self.known("version") or JSON2) >= 18:
            return f"{self._url}/odoo/crm/{remote_id}"
        return f"{self._url}/web#id={remote_id}&model=crm.lead&view_type=form"

    def examine(self) -> Sequence[str]:
        """Who we are, and whether leads can be created."""
        version, me = self._version(), self._me()
        who = f"{me.get('name')} ({me.get('login')})"
        asked: dict[str, Any] = {"operation": "create"}
        if version >= JSON2:
            may = self._ask(bool, "crm.lead", "has_access", asked)
        else:
            may = self._ask(bool, "crm.lead", "check_access_rights", asked | {"raise_exception": False})
        if not may:
            words = _(
                "{user} may not create leads: in Odoo, under Settings > Users & Companies > Users, give this user "
                "“User: Own Documents Only” for Sales."
            )
            raise Stopped(DestinationFault(words.format(user=who)))
        api = "JSON-2" if version >= JSON2 else "JSON-RPC"
        return (
            _("Connected to Odoo {version} over {api} as {user}. Can create leads: yes.").format(
                version=version, api=api, user=who
            ),
            self._sight(version),
            self._end_of_key(),
        )

    def _sight(self, version: int) -> str:
        if self.settings["duplicates"] == "create":
            return _("Does not look for persons that Odoo has already.")
        named = {"group_ext_id": "sales_team.group_sale_salesman_all_leads"}
        if version >= 18 and self._ask(bool, "res.users", "has_group", named, [self._uid()]):
            return _("Looks for persons that Odoo has already among all leads.")
        return _(
            "Looks for persons that Odoo has already among the leads that this user may see: with “Own Documents Only” "
            "its own and those without a salesperson."
        )

    def _end_of_key(self) -> str:
        """Users may read when their own keys end, but not which key is which."""
        search = {"domain": [["user_id", "=", self._uid()]], "fields": ["expiration_date"]}
        ends: list[str] = []
        with suppress(Stopped):
            keys = self._ask(list, "res.users.apikeys", "search_read", search)
            ends = sorted(str(each["expiration_date"])[:10] for each in keys if each["expiration_date"])
        ends = [end for end in ends if end >= self.now().date().isoformat()]
        if not ends:
            return _("Odoo does not tell when the API key ends: note the date.")
        self._key_ends = date.fromisoformat(ends[0])
        said = ngettext(
            "The API key of this user ends on {day}.",
            "The first of the {number} API keys of this user ends on {day}.",
            len(ends),
        )
        return said.format(day=ends[0], number=len(ends))

    def expires_on(self) -> date | None:
        """When the API key ends, once `examine` has asked."""
        return self._key_ends


def _row(
    values: Record,
    key: str,
    columns: Mapping[str, Mapping[str, Any]],
    find: Callable[[str, str], int | None],
) -> dict[str, Any]:
    """The lead by the columns of `load`. `columns`: what Odoo says of them; `find`: the id of a record by its name."""
    own = {"id": f"__leadsite__.lead_{key.replace('-', '')}"}
    cells = (_cell(name, value, columns.get(name) or {}, find) for name, value in values.items())
    row: dict[str, Any] = own | dict(cells) | own
    if row.keys().isdisjoint({"user_id", "user_id/.id"}):
        row["user_id/.id"] = False  # or the bot becomes everybody's salesperson
    return row


def _cell(
    name: str, value: Any, column: Mapping[str, Any], find: Callable[[str, str], int | None]
) -> tuple[str, Any]:
    """A column of `load`, and what stands in it."""
    kind = column.get("type")
    if isinstance(value, bool) or not column.get("relation"):
        return name, fields.cell(name, value, kind)
    names = [part.strip() for part in str(value).split(",")] if kind == "many2many" else [str(value)]
    ids = [find(name, each) for each in names if each]
    if None in ids:
        return name, value
    return f"{name}/.id", ids[0] if kind == "many2one" else ",".join(map(str, ids))
