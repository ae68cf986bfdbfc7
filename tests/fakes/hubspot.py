"""A HubSpot account: contacts, notes and lead records, with HubSpot's rules and its words for what it refuses.

Proved by HubSpot's own client, which works against it unchanged (tests/independent/test_hubspot_api_client.py).
"""

import json
import re
from collections.abc import Iterable, Mapping
from itertools import count
from typing import Any
from urllib.parse import unquote

from tests.fakes.server import Answer, FakeCrm, Seen

TOKEN = "pat-na1-11111111-2222-4333-8444-555555555555"
EXPIRED = "pat-na1-99999999-2222-4333-8444-555555555555"
PORTAL = 62515
SCOPES = (
    "communication_preferences.write",
    "crm.objects.contacts.read",
    "crm.objects.contacts.write",
    "crm.objects.leads.read",
    "crm.objects.leads.write",
    "crm.schemas.contacts.read",
    "crm.schemas.leads.read",
)
TIME = "2026-11-22T10:15:30.123Z"
TIES = {"notes": 202, "leads": 578}
TEXT_LIMIT = 65_536
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[a-z]{2,}", re.IGNORECASE)


def _property(name: str, label: str, type: str = "string", **more: Any) -> dict[str, Any]:  # noqa: A002
    return {
        "name": name,
        "label": label,
        "type": type,
        "fieldType": more.pop("fieldType", "text"),
        "groupName": "contactinformation",
        "description": "",
        "options": [
            {"value": value, "label": words, "hidden": False, "displayOrder": place}
            for place, (value, words) in enumerate(more.pop("options", ()))
        ],
        "hasUniqueValue": more.pop("hasUniqueValue", False),
        "archived": False,
        "hidden": more.pop("hidden", False),
        "calculated": False,
        "createdAt": TIME,
        "updatedAt": TIME,
        "modificationMetadata": {
            "archivable": True,
            "readOnlyDefinition": True,
            "readOnlyValue": more.pop("readOnly", False),
        },
    }


KEY = _property("leadsite_id", "Leadsite id", hasUniqueValue=True)
_STATUS = (("NEW", "New"), ("UNQUALIFIED", "Unqualified"))
_PROPERTIES = {
    "contacts": [
        _property("email", "Email", hasUniqueValue=True),
        _property("firstname", "First name"),
        _property("lastname", "Last name"),
        _property("phone", "Phone number", fieldType="phonenumber"),
        _property("company", "Company name"),
        _property("jobtitle", "Job title"),
        _property("country", "Country/Region"),
        _property("message", "Message", fieldType="textarea"),
        _property("hs_lead_status", "Lead status", "enumeration", fieldType="radio", options=_STATUS),
        _property("numemployees", "Number of employees", "number", fieldType="number"),
        _property("hs_email_optout", "Unsubscribed from all email", "bool", readOnly=True),
        _property("hs_object_id", "Record ID", "number", readOnly=True),
        KEY,
    ],
    "notes": [_property("hs_note_body", "Note body"), _property("hs_timestamp", "Activity date", "datetime")],
    "leads": [_property("hs_lead_name", "Lead name"), KEY],
}


class Refusal(Exception):  # noqa: N818
    """What HubSpot answers instead."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        self.status = status
        self.body = {"status": "error", "correlationId": "b5ff9f1c-0000-4000-8000-000000000000", **body}


def invalid(name: str, code: str, words: str) -> Refusal:
    """As HubSpot words it: the detail is JSON inside the message."""
    detail = [{"isValid": False, "message": words, "error": code, "name": name, "portalId": PORTAL}]
    message = f"Property values were not valid: {json.dumps(detail)}"
    return Refusal(400, {"message": message, "category": "VALIDATION_ERROR"})


class FakeHubSpot(FakeCrm):
    """One account. `kept`: its records by kind and id; `definitions`: its properties by kind and name."""

    def __init__(self, *, tls: bool = False) -> None:
        self.scopes = set(SCOPES)
        self.tells_scopes = True  # of a private app's token; not of every kind of token
        self.has_lead_records = True  # Sales Hub Professional
        self.definitions = {kind: {p["name"]: dict(p) for p in all_} for kind, all_ in _PROPERTIES.items()}
        self.kept: dict[str, dict[str, dict[str, Any]]] = {"contacts": {}, "notes": {}, "leads": {}}
        self.ties: list[tuple[str, str, str]] = []  # kind and id of a record, id of its contact
        self.opted_out: set[str] = set()
        self._ids = count(512)
        super().__init__(tls=tls)

    def add_contact(self, **properties: str) -> str:
        """A contact that salespeople made."""
        with self.lock:
            return str(self._store("contacts", properties)["id"])

    def contacts(self) -> list[dict[str, str]]:
        with self.lock:
            return [record["properties"] for record in self.kept["contacts"].values()]

    def notes_of(self, contact: str) -> list[str]:
        with self.lock:
            ids = [own for kind, own, to in self.ties if kind == "notes" and to == contact]
            return [
                self.kept["notes"][own]["properties"]["hs_note_body"]
                for own in ids
                if own in self.kept["notes"]
            ]

    # Requests

    def answer(self, request: Seen) -> Answer:
        try:
            self._sign_in(request)
            for method, pattern, needed, act in _ROUTES:
                found = re.fullmatch(pattern, request.path)
                if found and method == request.method:
                    self._need(needed, found.groupdict().get("kind", ""))
                    return act(self, request, *map(unquote, found.groups()))
        except Refusal as refusal:
            return Answer(refusal.status, refusal.body)
        return Answer(404, "<html><head><title>404 Not Found</title></head></html>")

    def _sign_in(self, request: Seen) -> None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token == EXPIRED:
            words = "The OAuth token used to make this call expired 2 hour(s) ago."
            raise Refusal(401, {"message": words, "category": "EXPIRED_AUTHENTICATION"})
        if token != TOKEN:
            words = "Authentication credentials not found. This API supports OAuth 2.0 authentication."
            raise Refusal(401, {"message": words, "category": "INVALID_AUTHENTICATION"})

    def _need(self, scope: str, kind: str) -> None:
        if kind in ("notes", "contact", "contacts"):
            kind = "contacts"  # notes go with the scopes of contacts
        scope = scope.format(kind=kind)
        if scope and scope not in self.scopes:
            detail = {
                "message": "One or more of the following scopes are required.",
                "context": {"requiredGranularScopes": [scope]},
            }
            words = "This app hasn't been granted all required scopes to make this call."
            raise Refusal(403, {"message": words, "category": "MISSING_SCOPES", "errors": [detail]})

    def account(self, request: Seen) -> Answer:
        told = {"portalId": PORTAL, "accountType": "STANDARD", "timeZone": "US/Eastern"}
        return Answer(
            200,
            told | {"uiDomain": "app.hubspot.com", "utcOffset": "-05:00", "utcOffsetMilliseconds": -18000000},
        )

    def token_info(self, request: Seen) -> Answer:
        if not self.tells_scopes:
            return Answer(
                404, {"status": "error", "message": "unknown token", "category": "OBJECT_NOT_FOUND"}
            )
        assert request.json() == {"tokenKey": TOKEN}
        return Answer(200, {"userId": 1, "hubId": PORTAL, "appId": 7, "scopes": sorted(self.scopes)})

    # Properties

    def list_properties(self, request: Seen, kind: str) -> Answer:
        return Answer(200, {"results": list(self.definitions[kind].values())})

    def read_property(self, request: Seen, kind: str, name: str) -> Answer:
        if name not in self.definitions[kind]:
            words = f'Unable to find property "{name}"'
            raise Refusal(404, {"message": words, "category": "OBJECT_NOT_FOUND"})
        return Answer(200, self.definitions[kind][name])

    def create_property(self, request: Seen, kind: str) -> Answer:
        body = request.json()
        if body["name"] in self.definitions[kind]:
            words = f"Property {body['name']} already exists"
            raise Refusal(409, {"message": words, "category": "OBJECT_ALREADY_EXISTS"})
        definition = {**_property(body["name"], body["label"], body["type"]), **body}
        self.definitions[kind][body["name"]] = definition
        return Answer(201, definition)

    def _check(self, kind: str, properties: Mapping[str, Any]) -> None:
        for name, value in properties.items():
            definition = self.definitions[kind].get(name)
            if not isinstance(value, str):
                raise Refusal(
                    400,
                    {"message": f"Invalid input JSON: {name} is no string", "category": "VALIDATION_ERROR"},
                )
            if definition is None:
                raise invalid(name, "PROPERTY_DOESNT_EXIST", f'Property "{name}" does not exist')
            if definition["modificationMetadata"]["readOnlyValue"]:
                raise invalid(name, "READ_ONLY_VALUE", f'"{name}" is a read only property')
            options = [option["value"] for option in definition["options"]]
            if options and value not in options:
                raise invalid(
                    name, "INVALID_OPTION", f"{value} was not one of the allowed options: {options}"
                )
            if definition["type"] == "number" and not re.fullmatch(r"-?\d+(\.\d+)?", value):
                raise invalid(name, "INVALID_INTEGER", f"{value} was not a valid number.")
            if name == "email" and not _EMAIL.fullmatch(value):
                raise invalid(name, "INVALID_EMAIL", f"Email address {value} is invalid")
            if len(value) > TEXT_LIMIT:
                raise invalid(name, "VALUE_TOO_LONG", f"The value is longer than {TEXT_LIMIT} characters")

    # Records

    def _taken(self, kind: str, properties: Mapping[str, str], but: str = "") -> None:
        """Raise Refusal where another record has a value that only one may have."""
        for name, definition in self.definitions[kind].items():
            value = properties.get(name, "").casefold()
            if not (value and definition["hasUniqueValue"]):
                continue
            for own, record in self.kept[kind].items():
                if own == but or record["properties"].get(name, "").casefold() != value:
                    continue
                if name == "email":
                    words = f"Contact already exists. Existing ID: {own}"
                    raise Refusal(409, {"message": words, "category": "CONFLICT"})
                detail = {
                    "message": f"Cannot set PropertyValueCoordinates{{propertyName={name}}}. {own} already has that value.",
                    "code": "CONFLICTING_UNIQUE_VALUE",
                    "context": {"propertyName": [name]},
                }
                message = f"Property values were not valid: {detail['message']}"
                raise Refusal(400, {"message": message, "category": "VALIDATION_ERROR", "errors": [detail]})

    def _store(self, kind: str, properties: Mapping[str, str]) -> dict[str, Any]:
        own = str(next(self._ids))
        record = {
            "id": own,
            "properties": dict(properties),
            "createdAt": TIME,
            "updatedAt": TIME,
            "archived": False,
        }
        self.kept[kind][own] = record
        return record

    def _make(self, kind: str, body: Mapping[str, Any]) -> dict[str, Any]:
        properties = body["properties"]
        contacts = [tie["to"]["id"] for tie in body.get("associations", [])]
        self._check(kind, properties)
        if kind == "contacts" and not {"email", "firstname", "lastname"} & properties.keys():
            words = "At least one of email, firstname and lastname is required"
            raise Refusal(400, {"message": words, "category": "VALIDATION_ERROR"})
        if kind == "notes" and "hs_timestamp" not in properties:
            raise invalid("hs_timestamp", "REQUIRED_PROPERTY", "hs_timestamp is required")
        if kind == "leads":
            self._check_lead(properties, contacts)
        for tie in body.get("associations", []):
            expected = [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": TIES[kind]}]
            if tie["types"] != expected or tie["to"]["id"] not in self.kept["contacts"]:
                raise Refusal(400, {"message": f"Invalid association {tie}", "category": "VALIDATION_ERROR"})
        self._taken(kind, properties)
        record = self._store(kind, properties)
        self.ties += [(kind, record["id"], contact) for contact in contacts]
        return record

    def _check_lead(self, properties: Mapping[str, str], contacts: Iterable[str]) -> None:
        if not self.has_lead_records:
            words = "This portal does not have access to leads"
            raise Refusal(403, {"message": words, "category": "MISSING_SCOPES"})
        if not properties.get("hs_lead_name") or not contacts:
            words = "A lead needs hs_lead_name and an associated contact or company"
            raise Refusal(400, {"message": words, "category": "VALIDATION_ERROR"})

    def create(self, request: Seen, kind: str) -> Answer:
        return Answer(201, self._make(kind, request.json()))

    def create_many(self, request: Seen, kind: str) -> Answer:
        inputs = self._inputs(request)
        made, errors = [], []
        for each in inputs:
            try:
                trace = {name: each[name] for name in ("objectWriteTraceId",) if name in each}
                made.append({**self._make(kind, each), **trace})
            except Refusal as refusal:
                if "objectWriteTraceId" not in each:
                    raise
                errors.append(
                    {**refusal.body, "context": {"objectWriteTraceId": [each["objectWriteTraceId"]]}}
                )
        return _batch(made, errors, 201)

    def upsert_many(self, request: Seen, kind: str) -> Answer:
        inputs = self._inputs(request)
        if len({each["id"].casefold() for each in inputs}) < len(inputs):
            raise Refusal(
                400, {"message": "Duplicate IDs found in batch input", "category": "VALIDATION_ERROR"}
            )
        results, errors = [], []
        for each in inputs:
            try:
                results.append(self._upsert(kind, each))
            except Refusal as refusal:
                errors.append({**refusal.body, "context": {"id": [each["id"]]}})
        return _batch(results, errors, 200)

    def _upsert(self, kind: str, each: Mapping[str, Any]) -> dict[str, Any]:
        name, properties = each["idProperty"], each["properties"]
        if not self.definitions[kind].get(name, {}).get("hasUniqueValue"):
            words = f"Property {name} does not have unique values"
            raise Refusal(400, {"message": words, "category": "VALIDATION_ERROR"})
        found = self._by(kind, name, each["id"])
        if found is None:
            return {**self._make(kind, {"properties": {name: each["id"], **properties}}), "new": True}
        self._change(kind, found["id"], properties)
        return {**found, "new": False}

    def _inputs(self, request: Seen) -> list[dict[str, Any]]:
        inputs: list[dict[str, Any]] = request.json()["inputs"]
        if not 0 < len(inputs) <= 100:
            raise Refusal(400, {"message": "Batch size must be 1 to 100", "category": "VALIDATION_ERROR"})
        return inputs

    def _by(self, kind: str, name: str, value: str) -> dict[str, Any] | None:
        if name == "id":
            return self.kept[kind].get(value)
        return next(
            (
                record
                for record in self.kept[kind].values()
                if record["properties"].get(name, "").casefold() == value.casefold()
            ),
            None,
        )

    def read(self, request: Seen, kind: str, which: str) -> Answer:
        record = self._by(kind, request.query.get("idProperty", "id"), which)
        if record is None:
            raise Refusal(404, {"message": "resource not found", "category": "OBJECT_NOT_FOUND"})
        names = request.query.get("properties", "").split(",")
        return Answer(200, {**record, "properties": {name: record["properties"].get(name) for name in names}})

    def read_many(self, request: Seen, kind: str) -> Answer:
        body = request.json()
        records = [self.kept[kind].get(each["id"]) for each in self._inputs(request)]
        found = [
            {**record, "properties": {name: record["properties"].get(name) for name in body["properties"]}}
            for record in records
            if record
        ]
        return _batch(found, [], 200)

    def list_records(self, request: Seen, kind: str) -> Answer:
        return Answer(200, {"results": list(self.kept[kind].values())[: int(request.query.get("limit", 10))]})

    def change(self, request: Seen, kind: str, which: str) -> Answer:
        return Answer(200, self._change(kind, which, request.json()["properties"]))

    def _change(self, kind: str, which: str, properties: Mapping[str, str]) -> dict[str, Any]:
        self._check(kind, properties)
        self._taken(kind, properties, but=which)
        record = self.kept[kind][which]
        record["properties"].update(properties)
        return record

    def archive(self, request: Seen, kind: str, which: str) -> Answer:
        self.kept[kind].pop(which, None)
        return Answer(204)

    def associated(self, request: Seen, kind: str, which: str, others: str) -> Answer:
        """In pages of two, so that whoever reads them must turn the page."""
        ids = [
            own
            for other, own, to in self.ties
            if other == others and to == which and own in self.kept[others]
        ]
        start = int(request.query.get("after", 0))
        results = [
            {
                "toObjectId": int(own),
                "associationTypes": [
                    {"category": "HUBSPOT_DEFINED", "typeId": TIES[others] - 1, "label": None}
                ],
            }
            for own in ids[start : start + 2]
        ]
        following = {"paging": {"next": {"after": str(start + 2)}}} if len(ids) > start + 2 else {}
        return Answer(200, {"results": results, **following})

    def unsubscribe(self, request: Seen, email: str) -> Answer:
        if request.query.get("channel") != "EMAIL":
            raise Refusal(400, {"message": "channel is required", "category": "VALIDATION_ERROR"})
        self.opted_out.add(email)
        return Answer(200, {"status": "COMPLETE", "results": [], "startedAt": TIME, "completedAt": TIME})


def _batch(results: list[dict[str, Any]], errors: list[dict[str, Any]], status: int) -> Answer:
    body: dict[str, Any] = {"status": "COMPLETE", "results": results, "startedAt": TIME, "completedAt": TIME}
    if errors:
        body |= {"numErrors": len(errors), "errors": errors}
    return Answer(207 if errors else status, body)


_KIND = r"/crm/v3/objects/(?P<kind>contacts|notes|leads)"
_SCHEMA = r"/crm/v3/properties/(?P<kind>contacts|notes|leads)"
_READ, _WRITE = "crm.objects.{kind}.read", "crm.objects.{kind}.write"
_ROUTES = (
    ("GET", "/account-info/v3/details", "", FakeHubSpot.account),
    ("POST", "/oauth/v2/private-apps/get/access-token-info", "", FakeHubSpot.token_info),
    ("GET", _SCHEMA, "crm.schemas.{kind}.read", FakeHubSpot.list_properties),
    ("POST", _SCHEMA, "crm.schemas.{kind}.write", FakeHubSpot.create_property),
    ("GET", f"{_SCHEMA}/([^/]+)", "crm.schemas.{kind}.read", FakeHubSpot.read_property),
    ("GET", _KIND, _READ, FakeHubSpot.list_records),
    ("POST", _KIND, _WRITE, FakeHubSpot.create),
    ("POST", f"{_KIND}/batch/create", _WRITE, FakeHubSpot.create_many),
    ("POST", f"{_KIND}/batch/upsert", _WRITE, FakeHubSpot.upsert_many),
    ("POST", f"{_KIND}/batch/read", _READ, FakeHubSpot.read_many),
    ("GET", f"{_KIND}/([^/]+)", _READ, FakeHubSpot.read),
    ("PATCH", f"{_KIND}/([^/]+)", _WRITE, FakeHubSpot.change),
    ("DELETE", f"{_KIND}/([^/]+)", _WRITE, FakeHubSpot.archive),
    (
        "GET",
        r"/crm/v4/objects/(?P<kind>contacts?)/([^/]+)/associations/(notes|leads)",
        _READ,
        FakeHubSpot.associated,
    ),
    (
        "POST",
        r"/communication-preferences/v4/statuses/([^/]+)/unsubscribe-all",
        "communication_preferences.write",
        FakeHubSpot.unsubscribe,
    ),
)
