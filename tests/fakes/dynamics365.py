"""A Dataverse environment with leads, and the sign-in of Microsoft Entra.

Addresses, query options, bodies, preconditions and batches are parsed by an OData server that others wrote (odatapy),
by the model in `dataverse_model`; here are Dataverse's own rules and words.
"""

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

from odatapy.data import Entity, ValueType
from odatapy.errors import DeserializerException, ODataApplicationException, ODataError
from odatapy.server import OData
from odatapy.server.adapters.common import build_request, decode_path
from odatapy.server.handler import ODataHandler
from odatapy.server.inmemory import InMemoryDataStore, InMemoryProcessor

from tests.fakes import dataverse_model as model
from tests.fakes.server import Answer, FakeCrm, Seen

API = "/api/data/v9.2/"
TENANT = "0b1c2d3e-4f50-4a61-8b72-93a4b5c6d7e8"
CLIENT = "5f6e7d8c-9b0a-4c1d-8e2f-3a4b5c6d7e8f"
SECRET = "dyn8Q~wrong-to-guess-this-secret-value-0123"
USER = UUID("00aa11bb-22cc-43dd-8eff-000000000001")
EVERY_PRIVILEGE = frozenset(
    {
        *(f"prv{what}Lead" for what in ("Create", "Read", "Write", "Assign", "Append")),
        *("prvReadUser", "prvReadTeam", "prvReadCampaign", "prvReadAccount", "prvReadDuplicateRule"),
    }
)
_PRIVILEGE_OF = {"systemuser": "prvReadUser", "duplicaterule": "prvReadDuplicateRule"}
_BOUND = re.compile(r"/?(\w+)\(([0-9a-fA-F-]{36})\)")


class Refusal(ODataApplicationException):
    """An error as Dataverse words it."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message, status, code=code or "none")


def _server(processor: InMemoryProcessor) -> ODataHandler:
    odata = OData.new_instance(strict_deserialization=True)
    handler = odata.create_handler(odata.create_service_metadata(model.Model(), service_version="4.0"))
    handler.set_error_formatter(_error)
    handler.register(processor)
    return handler


@cache
def _described(without: str = "") -> InMemoryDataStore:
    """A store with Dataverse's description of itself, which the server makes of the bodies that it is sent.

    `without`: a column that somebody has deleted.
    """
    store = InMemoryDataStore()
    server = _server(InMemoryProcessor(store))
    for description in model.described(tuple(each for each in model.COLUMNS if each.name != without)):
        request = build_request(
            method="POST",
            odata_path="EntityDefinitions",
            query_string=None,
            base_uri="https://contoso.crm4.dynamics.com/api/data/v9.2",
            headers={"content-type": "application/json"},
            body=json.dumps(description).encode(),
        )
        assert server.process(request).status_code == 201
    return store


class FakeDynamics365(FakeCrm):
    """One environment, one app that may sign in to it. `leads` are what it holds, by their ids."""

    def __init__(self, *, tls: bool = False) -> None:
        self.secret, self.expired_secret = SECRET, "dyn8Q~a-secret-that-was-good-last-year"
        self.privileges = set(EVERY_PRIVILEGE)
        self.member = True
        self.tokens: set[str] = set()
        self.left: int | None = None  # requests until the limit of the five minutes
        self.duplicate_status = 412
        self.unique_email = False  # an alternate key on emailaddress1
        self.store = InMemoryDataStore()
        self._describe()
        self._handler = _server(Rules(self))
        super().__init__(tls=tls)
        self.add("systemusers", USER, fullname="Marketplace leads", isdisabled=False, accessmode=4)

    # --- What a test arranges and looks at

    def add(self, entity_set: str, id_: UUID | None = None, **values: Any) -> str:
        """Put a record there; its id."""
        key = next(key for _, name, key, _ in model.TABLES if name == entity_set)
        entity = Entity()
        for name, value in {key: id_ or uuid4(), **values}.items():
            entity.set_property(name, value, ValueType.PRIMITIVE)
        self.store.insert_entity(entity_set, entity)
        return str(entity.get_value(key))

    @property
    def leads(self) -> dict[str, dict[str, Any]]:
        with self.lock:
            return {
                str(entity.get_value("leadid")): {
                    each.name: each.value
                    for each in entity.properties
                    if each.value is not None and each.name != "leadid"
                }
                for entity in self.store.entities("leads")
            }

    def delete_column(self, name: str) -> None:
        """Somebody deletes a column of the table of leads."""
        with self.lock:
            self._describe(without=name)

    def _describe(self, without: str = "") -> None:
        self.store.data |= _described(without).data
        self.store.relations |= _described(without).relations

    def settings(self, **other: str) -> dict[str, str]:
        """The settings of a connection to it."""
        own = {"url": self.url, "authority": self.url, "tenant_id": TENANT, "client_id": CLIENT}
        return {**own, "client_secret": SECRET, **other}

    def expire_tokens(self) -> None:
        self.tokens.clear()

    # --- The far side

    def answer(self, request: Seen) -> Answer:
        if request.path.endswith("/oauth2/v2.0/token"):
            return self._token(request)
        if not request.path.startswith(API):
            return Answer(404, "<html><title>404 - File or directory not found.</title></html>")
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return Answer(401, headers={"www-authenticate": "Bearer authorization_uri=..."})
        if not self.member:
            return _refused(403, "0x80072560", "The user is not a member of the organization.")
        if self.left == 0:
            message = "Number of requests exceeded the limit of 6000 over time window of 300 seconds."
            answer = _refused(429, "0x80072322", message)
            return Answer(429, answer.body, {"Retry-After": "35"})
        self.left = None if self.left is None else self.left - 1
        query = "&".join(f"{quote(name)}={quote(value, safe='')}" for name, value in request.query.items())
        return self._odata(
            request.method, decode_path(request.path.removeprefix(API)), query, request.headers, request.body
        )

    def _odata(
        self,
        method: str,
        path: str,
        query: str,
        headers: Mapping[str, str],
        content: bytes,
    ) -> Answer:
        told = self._handler.process(
            build_request(
                method=method,
                odata_path=path,
                query_string=query or None,
                base_uri=f"{self.url}{API}".rstrip("/"),
                headers=dict(headers),
                body=content,
            )
        )
        names = {name.lower(): value for name, value in told.headers.items()}
        names.pop("content-length", None)
        return Answer(told.status_code, told.body_bytes(), names)

    def _token(self, request: Seen) -> Answer:
        form = request.form()
        problems = {
            "AADSTS90002": request.path != f"/{TENANT}/oauth2/v2.0/token",
            "AADSTS700016": form.get("client_id") != CLIENT,
            "AADSTS7000222": form.get("client_secret") == self.expired_secret,
            "AADSTS7000215": form.get("client_secret") != self.secret,
            "AADSTS500011": form.get("scope") != f"{self.url}/.default",
            "AADSTS70003": form.get("grant_type") != "client_credentials",
        }
        for code, holds in problems.items():
            if holds:
                return _entra(code)
        token = f"eyJ0eXAiOiJKV1QifQ.{uuid4()}.signature"
        self.tokens.add(token)
        return Answer(200, {"token_type": "Bearer", "expires_in": 3599, "access_token": token})


_ENTRA = {
    "AADSTS90002": (400, "invalid_request", "Tenant not found. Check to make sure you have the tenant ID."),
    "AADSTS700016": (400, "unauthorized_client", "Application was not found in the directory 'Contoso'."),
    "AADSTS7000222": (401, "invalid_client", "The provided client secret keys for the app are expired."),
    "AADSTS7000215": (
        401,
        "invalid_client",
        "Invalid client secret provided. Ensure that it is the client secret value, not the client secret ID.",
    ),
    "AADSTS500011": (
        400,
        "invalid_resource",
        "The resource principal named https://... was not found in the tenant.",
    ),
    "AADSTS70003": (400, "unsupported_grant_type", "The app requested an unsupported grant type."),
}


def _entra(code: str) -> Answer:
    status, error, message = _ENTRA[code]
    described = f"{code}: {message} Trace ID: 1\r\nCorrelation ID: 2\r\nTimestamp: 2026-11-22 10:00:00Z"
    number = int(code.removeprefix("AADSTS"))
    return Answer(
        status,
        {"error": error, "error_description": described, "error_codes": [number], "correlation_id": "2"},
    )


def _refused(status: int, code: str, message: str) -> Answer:
    return Answer(status, {"error": {"code": code, "message": message}})


def _error(error: ODataError, status: int, request: Any) -> dict[str, Any]:
    """What the OData server refuses by itself, under Dataverse's codes; Dataverse's own refusals as they are."""
    code, message = error.code, error.message
    if isinstance(error.exception, DeserializerException):
        code = "0x80048d19"
        message = (
            "Error identified in Payload provided by the user for Entity :'leads', For more information on this error "
            f"please follow this help link ----> InnerException : {message}"
        )
    elif not isinstance(error.exception, Refusal):
        code = {404: "0x8006088a"}.get(status, "0x80060888")
    return {"error": {"code": "" if code == "none" else code, "message": message}}


class Rules(InMemoryProcessor):
    """What Dataverse does beyond OData: privileges, lengths, choices, duplicates, records that a lead points to."""

    def __init__(self, crm: FakeDynamics365) -> None:
        super().__init__(crm.store)
        self.crm = crm

    # --- Reading

    def read_entity_collection(self, request: Any, response: Any, uri_info: Any, ct: Any) -> None:
        self._may_read(uri_info)
        super().read_entity_collection(request, response, uri_info, ct)

    def read_entity(self, request: Any, response: Any, uri_info: Any, ct: Any) -> None:
        self._may_read(uri_info)
        try:
            super().read_entity(request, response, uri_info, ct)
        except ODataApplicationException as error:
            if error.status_code == 404:
                table, id_ = self._addressed(uri_info)
                raise Refusal(404, "0x80040217", f"{table} With Id = {id_} Does Not Exist") from None
            raise

    def process_function_complex(self, request: Any, response: Any, uri_info: Any, ct: Any) -> None:
        part = uri_info.last_resource
        if part.name.endswith("WhoAmI"):
            body: dict[str, Any] = {"UserId": str(USER)}
        else:
            asked = json.loads(part.parameters["PrivilegeNames"])
            held = [name for name in asked if name in self.crm.privileges]
            body = {"RolePrivileges": [{"Depth": "Global", "PrivilegeName": name} for name in held]}
        response.set_content(json.dumps(body), "application/json")

    def _may_read(self, uri_info: Any) -> None:
        part = uri_info.resource_parts[0]
        table = model.TABLE_OF.get(getattr(getattr(part, "entity_set", None), "name", ""))
        if table:
            self._require(_PRIVILEGE_OF.get(table, f"prvRead{table.title()}"))

    def _require(self, privilege: str) -> None:
        if privilege not in self.crm.privileges:
            message = f"Principal user (Id={USER}, type=8) is missing {privilege} privilege (Id=...) on OTC=4"
            raise Refusal(403, "0x80040220", message)

    def _addressed(self, uri_info: Any) -> tuple[str, UUID]:
        part = uri_info.resource_parts[0]
        id_: UUID = next(iter(self._keys_of(part.entity_set.entity_type, part).values()))
        return model.TABLE_OF[part.entity_set.name], id_

    # --- Writing

    def create_entity(self, request: Any, response: Any, uri_info: Any, request_ct: Any, ct: Any) -> None:
        part = uri_info.resource_parts[0]
        if part.entity_set.name != "leads":
            super().create_entity(request, response, uri_info, request_ct, ct)
            return
        values = self._values(request, part.entity_set.entity_type)
        self._create(request, response, values.pop("leadid", None) or uuid4(), values)

    def update_entity(self, request: Any, response: Any, uri_info: Any, request_ct: Any, ct: Any) -> None:
        """An upsert, unless a precondition forbids the one or the other."""
        _, id_ = self._addressed(uri_info)
        there = self._lead(id_)
        if there and (request.if_none_match or "").strip() == "*":
            raise Refusal(412, "0x80040237", "A record with matching key values already exists.")
        if not there and (request.if_match or "").strip() == "*":
            raise Refusal(404, "0x80040217", f"lead With Id = {id_} Does Not Exist")
        values = self._values(request, uri_info.resource_parts[0].entity_set.entity_type)
        if not there:
            self._create(request, response, id_, values)
            return
        self._require("prvWriteLead")
        for name, value in values.items():
            there.set_property(name, value, ValueType.PRIMITIVE)
        self._written(request, response, id_)

    def _create(self, request: Any, response: Any, id_: UUID, values: dict[str, Any]) -> None:
        self._require("prvCreateLead")
        email = values.get("emailaddress1")
        same = [
            each
            for each in self.store.entities("leads")
            if email and each.get_value("emailaddress1") == email
        ]
        if same and self.crm.unique_email:
            message = (
                "A record that has the attribute values Email already exists. The entity key Email requires that this "
                "set of attributes contains unique values. Select unique values and try again."
            )
            raise Refusal(412, "0x80060892", message)
        if same and request.get_header("MSCRM.SuppressDuplicateDetection") == "false":
            message = "A record was not created or updated because a duplicate of the current record already exists."
            raise Refusal(self.crm.duplicate_status, "0x80040333", message)
        entity = Entity()
        for name, value in {"leadid": id_, **values}.items():
            entity.set_property(name, value, ValueType.PRIMITIVE)
        self.store.insert_entity("leads", entity)
        self._written(request, response, id_)

    def _written(self, request: Any, response: Any, id_: UUID) -> None:
        response.set_status(204)
        response.set_header("OData-EntityId", f"{self._base(request)}leads({id_})")

    def _lead(self, id_: UUID) -> Entity | None:
        return next((each for each in self.store.entities("leads") if each.get_value("leadid") == id_), None)

    def _values(self, request: Any, entity_type: Any) -> dict[str, Any]:
        """The columns of a body, each as Dataverse allows it."""
        self._known_names(json.loads(request.body or b"null"), entity_type)
        incoming = self.odata.create_deserializer().entity(
            self.service_metadata.edm, entity_type, request.body
        )
        values = {each.name: each.value for each in incoming.properties}
        for name, value in values.items():
            _check(model.BY_NAME[name], value)
        for link in incoming.navigation_links:
            values[link.title] = self._bound(link.title, link.bind_links[0])
        return values

    def _known_names(self, body: Any, entity_type: Any) -> None:
        for name in body if isinstance(body, dict) else ():
            plain, _, annotation = name.partition("@")
            if annotation == "odata.bind":
                if entity_type.get_navigation_property(plain) is None:
                    message = (
                        f"An undeclared property '{plain}' which only has property annotations in the payload but no "
                        "property value was found in the payload. In OData, only declared navigation properties and "
                        "declared named streams can be represented as properties without values."
                    )
                    raise Refusal(400, "0x80048d19", message)
            elif plain and entity_type.get_structural_property(plain) is None:
                message = f"Invalid property '{plain}' was found in entity 'Microsoft.Dynamics.CRM.lead'."
                raise Refusal(400, "0x80048d19", message)

    def _bound(self, navigation: str, link: str) -> str:
        spelled = _BOUND.fullmatch(link)
        targets = {"systemuser", "team"}
        if navigation != "ownerid":
            targets = {table for _, table, name in model.RELATIONSHIPS if name == navigation}
        table = model.TABLE_OF.get(spelled[1], "") if spelled else ""
        if spelled is None or table not in targets:
            raise Refusal(400, "0x80060888", f"Bad Request - Error in query syntax: '{link}'.")
        key = next(key for name, _, key, _ in model.TABLES if name == table)
        if not any(each.get_value(key) == UUID(spelled[2]) for each in self.store.entities(spelled[1])):
            raise Refusal(404, "0x80040217", f"{table} With Id = {spelled[2]} Does Not Exist")
        if navigation == "ownerid":
            self._require("prvAssignLead")
        return f"{spelled[1]}({spelled[2]})"


def _check(column: model.Column, value: Any) -> None:
    if column.name == "statecode":
        raise Refusal(400, "0x80040203", "The statecode of a new lead cannot be set.")
    if isinstance(value, str) and column.max_length:
        length = len(value.encode("utf-16-le")) // 2
        if length > column.max_length:
            message = (
                f"A validation error occurred. The length of the '{column.name}' attribute of the 'lead' entity "
                f"exceeded the maximum allowed length of '{column.max_length}'."
            )
            raise Refusal(400, "0x80044331", message)
    if column.kind in ("Picklist", "Status") and value not in [number for number, _ in column.choices]:
        accepted = ",".join(str(number) for number, _ in column.choices)
        message = (
            f"A validation error occurred. The value {value} of '{column.name}' on record of type 'lead' is outside "
            f"the valid range. Accepted Values: {accepted}"
        )
        raise Refusal(400, "0x8004431a", message)
