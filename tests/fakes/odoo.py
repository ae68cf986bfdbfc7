"""A fake Odoo with the CRM app: JSON-2 and JSON-RPC over one store, in the words of Odoo 19.0, which was run beside it.

What it enforces: keys and their ends, the database's name, groups ("own documents": one's own leads and nobody's), fields
and their types as `load` reads them, required fields, external ids with `noupdate`, all rows or none, and snapshots: of two
transactions that write one external id at once, the later fails.
"""

import inspect
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import date
from email.utils import parseaddr
from typing import Any

from tests.fakes.server import Answer, FakeCrm, Seen

BOT_KEY, ALL_KEY, NO_SALES_KEY, EXPIRED_KEY = ("b" * 40, "a" * 40, "c" * 40, "d" * 40)
TODAY = date(2026, 11, 26)

OWN = "sales_team.group_sale_salesman"
ALL = "sales_team.group_sale_salesman_all_leads"
MANAGER = "sales_team.group_sale_manager"
_GROUP_NAMES = {
    OWN: "Sales/User: Own Documents Only",
    ALL: "Sales/User: All Documents",
    MANAGER: "Sales/Administrator",
}


def _of(kind: str, label: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "string": label, "required": False, "readonly": False, **more}


NAME = {"name": _of("char", "Name", required=True)}
LEAD = {
    "name": _of("char", "Opportunity", required=True),
    "type": _of(
        "selection", "Type", required=True, selection=[["lead", "Lead"], ["opportunity", "Opportunity"]]
    ),
    "contact_name": _of("char", "Contact Name"),
    "partner_name": _of("char", "Company Name"),
    "email_from": _of("char", "Email"),
    "email_normalized": _of("char", "Normalized Email", readonly=True),
    "phone": _of("char", "Phone"),
    "function": _of("char", "Job Position"),
    "website": _of("char", "Website"),
    "referred": _of("char", "Referred By"),
    "x_studio_partner_code": _of("char", "Partner code", size=8),
    "x_studio_received": _of("datetime", "Received"),
    "description": _of("html", "Notes"),
    "expected_revenue": _of("monetary", "Expected Revenue"),
    "color": _of("integer", "Color Index"),
    "active": _of("boolean", "Active"),
    "date_deadline": _of("date", "Expected Closing"),
    "country_id": _of("many2one", "Country", relation="res.country"),
    "source_id": _of("many2one", "Source", relation="utm.source"),
    "medium_id": _of("many2one", "Medium", relation="utm.medium"),
    "campaign_id": _of("many2one", "Campaign", relation="utm.campaign"),
    "team_id": _of("many2one", "Sales Team", relation="crm.team"),
    "user_id": _of("many2one", "Salesperson", relation="res.users"),
    "tag_ids": _of("many2many", "Tags", relation="crm.tag"),
    "message_ids": _of("one2many", "Messages", relation="mail.message"),
    "message_partner_ids": _of("many2many", "Followers (Partners)", relation="res.partner"),
}
MODELS: dict[str, dict[str, Any]] = {
    "crm.lead": LEAD,
    "crm.tag": NAME,
    "crm.team": NAME,
    **dict.fromkeys(("utm.source", "utm.medium", "utm.campaign"), NAME),
    "res.country": {**NAME, "code": _of("char", "Country Code")},
    "res.users": {**NAME, "login": _of("char", "Login"), "lang": _of("char", "Language")},
    "res.users.apikeys": {"user_id": _of("many2one", "User"), "expiration_date": _of("datetime", "Ends")},
}
LABELS = {"crm.lead": "Lead", "crm.team": "Sales Team", "crm.tag": "CRM Tag"}
# Who may create and read; None: everybody who works in Odoo.
CREATES = {
    "crm.lead": {OWN, MANAGER},
    "crm.tag": {OWN, MANAGER},
    "crm.team": {MANAGER},
    "res.country": {MANAGER},
}
READS = {"crm.lead": {OWN, MANAGER}, "crm.tag": {OWN, MANAGER}}


class OdooError(Exception):
    """An exception of Odoo's. `status`: of JSON-2."""

    def __init__(self, name: str, message: str, status: int) -> None:
        super().__init__(message)
        self.name, self.message, self.status = name, message, status


def denied(model: str, what: str, groups: set[str]) -> OdooError:
    allowed = "".join(f"\n\t- {name}" for group, name in sorted(_GROUP_NAMES.items()) if group in groups)
    words = (
        f"You are not allowed to {what} '{LABELS.get(model, model)}' ({model}) records.\n\nThis operation is allowed "
        f"for the following groups:{allowed}\n\nContact your administrator to request access if necessary."
    )
    return OdooError("odoo.exceptions.AccessError", words, 403)


class Refused(Exception):  # noqa: N818 - named for what happened
    """A message of `load`."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.message, self.field = message, field


@dataclass
class User:
    """`keys`: when each ends."""

    id: int
    name: str
    login: str
    groups: set[str]
    keys: dict[str, str]
    lang: str = "en_US"


@dataclass
class Transaction:
    """`begun`: how many had been committed when it came."""

    user: User
    context: Mapping[str, Any]
    begun: int


class FakeOdoo(FakeCrm):
    """`version`: (19, 0) speaks both protocols, one before only JSON-RPC. `uses_leads`: the setting *Leads* of the CRM app."""

    def __init__(self, *, version: tuple[Any, int] = (19, 0), tls: bool = False) -> None:
        self.version, self.database, self.uses_leads = version, "contoso", False
        self.models = deepcopy(MODELS)
        self.users = [
            User(
                5,
                "Leads bot",
                "bot@contoso.example",
                {OWN},
                {BOT_KEY: "2027-02-14", EXPIRED_KEY: "2026-11-25"},
            ),
            User(6, "All bot", "all@contoso.example", {OWN, ALL}, {ALL_KEY: "2027-02-14"}),
            User(7, "No sales", "nosales@contoso.example", set(), {NO_SALES_KEY: "2027-02-14"}),
            User(8, "Alice", "alice@contoso.example", {OWN}, {}),
        ]
        self.records: dict[str, dict[int, dict[str, Any]]] = {model: {} for model in MODELS}
        self.records["res.users"] = {
            user.id: {"name": user.name, "login": user.login, "lang": user.lang} for user in self.users
        }
        self.records["res.country"] = {
            38: {"name": "Canada", "code": "CA"},
            233: {"name": "United States", "code": "US"},
        }
        self.records["crm.team"] = {1: {"name": "Sales"}, 2: {"name": "Twins"}, 3: {"name": "Twins"}}
        self.records["res.users.apikeys"] = {
            number: {"user_id": user.id, "expiration_date": f"{end} 10:00:00"}
            for number, (user, end) in enumerate(
                ((user, end) for user in self.users for end in user.keys.values()), 1
            )
        }
        # (model, id, noupdate, the commit that made it) by external id
        self.external: dict[str, tuple[str, int, bool, int]] = {}
        self.commits = 0
        self.together: threading.Barrier | None = None  # loads of leads wait for one another
        self._begun = threading.local()
        super().__init__(tls=tls)

    @property
    def fields(self) -> dict[str, Any]:
        return self.models["crm.lead"]

    @property
    def leads(self) -> dict[int, dict[str, Any]]:
        return self.records["crm.lead"]

    def calls(self, method: str) -> list[Seen]:
        """The requests that called this method, in either protocol."""
        return [
            request
            for request in self.requests
            if request.path.endswith(f"/{method}") or f'"{method}"'.encode() in request.body
        ]

    # Protocols

    def handle(self, request: Seen) -> Answer | None:
        self._begun.commits = self.commits
        if self.together and b"__leadsite__.lead_" in request.body:
            self.together.wait(5)
        return super().handle(request)

    def answer(self, request: Seen) -> Answer:
        major, minor = self.version
        if request.path == "/web/webclient/version_info":
            info = {
                "server_version": f"{major}.{minor}",
                "server_version_info": [major, minor, 0, "final", 0, ""],
            }
            return Answer(200, {"jsonrpc": "2.0", "id": None, "result": info})
        if request.path == "/jsonrpc":
            return self._rpc(request)
        called = re.fullmatch(r"/json/2/([\w.]+)/(\w+)", request.path)
        if called and isinstance(major, int) and major >= 19 and request.method == "POST":
            return self._json2(request, called[1], called[2])
        return Answer(404, "<!doctype html>\n<title>404 Not Found</title>\n<h1>Not Found</h1>")

    def _json2(self, request: Seen, model: str, method: str) -> Answer:
        if request.headers.get("x-odoo-database", self.database) != self.database:
            words = (
                "No database is selected and the requested URL was not found in the server-wide controllers."
            )
            return Answer(
                404, f"<!DOCTYPE html>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n<p>{words}</p>"
            )
        try:
            kind, _, key = request.headers.get("authorization", "").partition(" ")
            user = self._user_of(key) if kind.lower() == "bearer" else None
            if user is None:
                raise OdooError("werkzeug.exceptions.Unauthorized", "Invalid apikey", 401)
            named = request.json()
            ids, context = named.pop("ids", []), named.pop("context", {})
            if model not in self.models:
                raise OdooError("werkzeug.exceptions.NotFound", f"the model '{model}' does not exist", 404)
            return Answer(200, self._call(user, model, method, ids, [], named, context))
        except OdooError as error:
            return Answer(error.status, _data(error))

    def _rpc(self, request: Seen) -> Answer:
        asked = request.json()
        params = asked["params"]
        try:
            result = getattr(self, f"_{params['service']}_{params['method']}")(*params["args"])
        except OdooError as error:
            said = {"code": 0, "message": "Odoo Server Error", "data": _data(error)}
            return Answer(200, {"jsonrpc": "2.0", "id": asked.get("id"), "error": said})
        return Answer(200, {"jsonrpc": "2.0", "id": asked.get("id"), "result": result})

    def _common_authenticate(self, database: str, login: str, key: str, _: Any) -> int | bool:
        self._check_database(database)
        user = self._user_of(key)
        return user.id if user and user.login == login else False

    def _common_login(self, database: str, login: str, key: str) -> int | bool:
        return self._common_authenticate(database, login, key, {})

    def _object_execute_kw(
        self,
        database: str,
        uid: int,
        key: str,
        model: str,
        method: str,
        args: list[Any],
        named: Mapping[str, Any] = {},
    ) -> Any:
        self._check_database(database)
        user = self._user_of(key)
        if user is None or user.id != uid:
            raise OdooError("odoo.exceptions.AccessDenied", "Access Denied", 403)
        if model not in self.models:
            raise OdooError("odoo.exceptions.UserError", f"Object {model} doesn't exist", 422)
        named, args, ids = dict(named), list(args), []
        context = named.pop("context", {})
        if method in ON_RECORDS:
            if not args:
                raise OdooError("builtins.IndexError", "list index out of range", 500)
            ids = args.pop(0)
        return self._call(user, model, method, [ids] if isinstance(ids, int) else ids, args, named, context)

    def _check_database(self, name: str) -> None:
        if name != self.database:
            words = f'connection to server failed: FATAL:  database "{name}" does not exist\n'
            raise OdooError("psycopg2.OperationalError", words, 500)

    def _user_of(self, key: str) -> User | None:
        return next((user for user in self.users if user.keys.get(key, "") >= TODAY.isoformat()), None)

    def _call(
        self,
        user: User,
        model: str,
        method: str,
        ids: Sequence[int],
        args: Sequence[Any],
        named: Mapping[str, Any],
        context: Mapping[str, Any],
    ) -> Any:
        function: Callable[..., Any] | None = getattr(self, f"do_{method}", None)
        if function is None:
            raise OdooError(
                "werkzeug.exceptions.NotFound", f"The method '{model}.{method}' does not exist", 404
            )
        work = Transaction(user, context, self._begun.commits)
        before = [work, model, ids] if method in ON_RECORDS else [work, model]
        try:
            inspect.signature(function).bind(*before, *args, **named)
        except TypeError as error:
            raise OdooError("werkzeug.exceptions.UnprocessableEntity", str(error), 422) from None
        return function(*before, *args, **named)

    # Methods of models

    def do_context_get(self, work: Transaction, model: str) -> dict[str, Any]:
        return {"lang": work.user.lang, "tz": False, "uid": work.user.id}

    def do_has_access(self, work: Transaction, model: str, operation: str) -> bool:
        return operation == "create" and _may(work.user, model, CREATES)

    def do_check_access_rights(
        self, work: Transaction, model: str, operation: str, raise_exception: bool = True
    ) -> bool:
        return self.do_has_access(work, model, operation)

    def do_has_group(self, work: Transaction, model: str, ids: Sequence[int], group_ext_id: str) -> bool:
        return all(group_ext_id in user.groups for user in self.users if user.id in ids)

    def do_fields_get(
        self, work: Transaction, model: str, allfields: Sequence[str] = (), attributes: Sequence[str] = ()
    ) -> dict[str, Any]:
        return {
            name: {key: value for key, value in about.items() if not attributes or key in attributes}
            for name, about in self.models[model].items()
            if not allfields or name in allfields
        }

    def do_search_read(
        self,
        work: Transaction,
        model: str,
        domain: Sequence[Any] = (),
        fields: Sequence[str] = (),
        offset: int = 0,
        limit: Any = None,
        order: Any = None,
    ) -> list[dict[str, Any]]:
        ids = self.do_search(work, model, domain, offset, limit, order)
        return [self._shown(model, number, fields) for number in ids]

    def do_search(
        self,
        work: Transaction,
        model: str,
        domain: Sequence[Any] = (),
        offset: int = 0,
        limit: Any = None,
        order: Any = None,
    ) -> list[int]:
        if not _may(work.user, model, READS):
            raise denied(model, "access", READS[model])
        ids = [number for number in self.records[model] if self._sees(work.user, model, number)]
        for name, operator, value in domain:
            if name != "id" and name not in self.models[model]:
                raise OdooError("builtins.ValueError", f"Invalid field {model}.{name} in condition", 500)
            matches = {"=": lambda is_, to: is_ == to, "in": lambda is_, to: is_ in to}[operator]
            ids = [n for n in ids if matches(n if name == "id" else self.records[model][n].get(name), value)]
        ids.sort(reverse=order == "id desc")
        return ids[offset:][: limit or None]

    def do_read(
        self, work: Transaction, model: str, ids: Sequence[int], fields: Sequence[str] = ()
    ) -> list[dict[str, Any]]:
        for number in ids:
            self._check_sight(work.user, model, number, "read")
        return [self._shown(model, number, fields) for number in ids]

    def do_write(self, work: Transaction, model: str, ids: Sequence[int], vals: Mapping[str, Any]) -> bool:
        for number in ids:
            self._check_sight(work.user, model, number, "write")
            self._update(model, self.records[model][number], vals)
        return True

    def do_name_search(
        self,
        work: Transaction,
        model: str,
        name: str = "",
        domain: Any = None,
        operator: str = "ilike",
        limit: int = 100,
    ) -> list[list[Any]]:
        assert operator == "="
        ids = self.do_search(work, model)
        keys = {"res.users": ("name", "login"), "res.country": ("name", "code")}.get(model, ("name",))
        found = [number for number in ids if name in [self.records[model][number].get(key) for key in keys]]
        return [[number, self.records[model][number]["name"]] for number in found[:limit]]

    def do_get_external_id(self, work: Transaction, model: str, ids: Sequence[int]) -> dict[str, str]:
        known = {(of, number): name for name, (of, number, *_) in self.external.items()}
        return {str(number): known.get((model, number), "") for number in ids}

    def do_load(
        self, work: Transaction, model: str, fields: Sequence[str], data: Sequence[Sequence[Any]]
    ) -> dict[str, Any]:
        for column in fields:
            if column.split("/")[0] not in {"id", *self.models[model]}:
                raise OdooError("builtins.ValueError", f"Invalid field name '{column}'", 500)
        before = deepcopy((self.records, self.external))
        ids, messages = [], []
        for number, row in enumerate(data):
            try:
                ids.append(self._loaded(work, model, dict(zip(fields, row, strict=True))))
            except Refused as refused:
                where = {"rows": {"from": number, "to": number}, "record": number, "type": "error"}
                named = {"field": refused.field} if refused.field else {}
                messages.append({**where, "message": refused.message, **named})
        if messages:
            self.records, self.external = before
            return {"ids": False, "messages": messages, "nextrow": 0}
        self.commits += 1
        return {"ids": ids, "messages": [], "nextrow": 0}

    def _loaded(self, work: Transaction, model: str, row: dict[str, Any]) -> int:
        external_id = row.pop("id")
        values: dict[str, Any] = {}
        for column, cell in row.items():
            name, _, by = column.partition("/")
            values[name] = self._converted(self.models[model][name], name, by, cell)
        if known := self.external.get(external_id):
            of, number, noupdate, commit = known
            assert of == model
            if commit > work.begun:
                raise Refused("could not serialize access due to concurrent update\n")
            if not (work.context.get("mode") == "update" and noupdate):
                self._check_in_load(work.user, model, number, "write")
                self._update(model, self.records[model][number], values)
            return number
        number = self._created(work, model, values)
        self.external[external_id] = (model, number, bool(work.context.get("noupdate")), self.commits + 1)
        return number

    def _converted(self, about: Mapping[str, Any], name: str, by: str, cell: Any) -> Any:
        kind, label = about["type"], about["string"]
        if cell is False or cell == "":
            return False
        if cell is True or (kind == "many2many" and not isinstance(cell, str)):
            words = f"'{type(cell).__name__}' object has no attribute 'split'"
            raise OdooError("builtins.AttributeError", words, 500)
        if kind in ("many2one", "many2many"):
            return self._related(about, name, by, cell)
        if kind == "selection" and cell.lower() not in [
            word.lower() for pair in about["selection"] for word in pair
        ]:
            raise Refused(f"Value '{cell}' not found in selection field '{label}'", name)
        if kind == "boolean" and cell.lower() not in ("true", "false", "1", "0", "yes", "no"):
            raise Refused(f"Unknown value '{cell}' for boolean field '{label}'", name)
        if kind in ("integer", "float", "monetary"):
            try:
                return float(cell)
            except ValueError:
                raise Refused(f"'{cell}' does not seem to be a number for field '{label}'", name) from None
        if kind == "datetime" and not re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", cell):
            raise Refused(f"'{cell}' does not seem to be a valid datetime for field '{label}'", name)
        return cell.lower() in ("true", "1", "yes") if kind == "boolean" else cell

    def _related(self, about: Mapping[str, Any], name: str, by: str, cell: Any) -> Any:
        records = self.records[about["relation"]]
        ids = []
        for part in str(cell).split(","):
            if by == ".id":
                found = [number for number in records if str(number) == part]
                words = f"No matching record found for database id '{part}' in field '{about['string']}'"
            else:
                found = [number for number, record in records.items() if record["name"] == part]
                words = f"No matching record found for name '{part}' in field '{about['string']}'"
            if not found:
                raise Refused(words, name)
            ids.append(found[0])
        return ids if about["type"] == "many2many" else ids[0]

    def _created(self, work: Transaction, model: str, values: dict[str, Any]) -> int:
        if not _may(work.user, model, CREATES):
            raise Refused(denied(model, "create", CREATES[model]).message)
        if model == "crm.lead":
            kind = "lead" if self.uses_leads else "opportunity"
            values = {"user_id": work.user.id, "type": kind, "active": True, **values}
            if not work.context.get("mail_create_nosubscribe"):
                values["message_partner_ids"] = [work.user.id]
        for name, about in self.models[model].items():
            if about["required"] and not values.get(name):
                label = LABELS.get(model, model)
                words = f"Missing required value for the field '{about['string']}' ({name}).\nModel: '{label}' ({model})\n"
                raise Refused(words, name)
        if model == "crm.tag" and values["name"] in [tag["name"] for tag in self.records[model].values()]:
            raise Refused("Tag name already exists!", "name")
        number = max(self.records[model], default=0) + 1
        self._update(model, self.records[model].setdefault(number, {}), values)
        self._check_in_load(work.user, model, number, "create")
        return number

    def _update(self, model: str, record: dict[str, Any], values: Mapping[str, Any]) -> None:
        record.update(values)
        if model == "crm.lead":
            record["email_normalized"] = parseaddr(record.get("email_from") or "")[1].lower() or False

    def _shown(self, model: str, number: int, fields: Sequence[str]) -> dict[str, Any]:
        record = self.records[model][number]
        return {"id": number, **{name: record.get(name, False) for name in fields or self.models[model]}}

    def _sees(self, user: User, model: str, number: int) -> bool:
        record = self.records[model][number]
        if model == "res.users.apikeys":
            return bool(record["user_id"] == user.id)
        return model != "crm.lead" or ALL in user.groups or record.get("user_id") in (False, None, user.id)

    def _check_sight(self, user: User, model: str, number: int, what: str) -> None:
        if not self._sees(user, model, number):
            words = (
                "Uh-oh! Looks like you have stumbled upon some top-secret records.\n\n"
                f"Sorry, {user.name} (id={user.id}) doesn't have '{what}' access to:\n- {LABELS[model]} ({model})\n"
            )
            raise OdooError("odoo.exceptions.AccessError", words, 403)

    def _check_in_load(self, user: User, model: str, number: int, what: str) -> None:
        try:
            self._check_sight(user, model, number, what)
        except OdooError as error:
            raise Refused(error.message) from None


ON_RECORDS = frozenset({"read", "write", "has_group", "get_external_id"})


def _may(user: User, model: str, who: Mapping[str, set[str]]) -> bool:
    return model not in who or bool(user.groups & who[model])


def _data(error: OdooError) -> dict[str, Any]:
    debug = f'Traceback (most recent call last):\n  File "/opt/odoo/http.py"\n{error.name}: {error.message}'
    return {
        "name": error.name,
        "message": error.message,
        "arguments": [error.message],
        "context": {},
        "debug": debug,
    }
