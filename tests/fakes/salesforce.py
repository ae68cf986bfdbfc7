"""A Salesforce organization: signing in, Lead by id and by external id, collections, describe, queries, duplicate rules.

Proved by simple-salesforce and jsforce, which work with it unchanged (tests/independent). Error bodies are worded as
Salesforce words them.
"""

import base64
import re
import secrets
import string
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

import jwt

from tests.fakes.server import Answer, FakeCrm, Seen

CLIENT_ID, CLIENT_SECRET, USERNAME = "3MVG9_consumer_key", "consumer-secret-1", "integration@contoso.example"
ORGANIZATION = "00D5g00000AbCdEEAV"
ADA, QUEUE = "0055g00000Ada0AAAA", "00G5g00000QueueAAA"
_ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits


class Refused(Exception):  # noqa: N818 - named for what happened
    """What Salesforce answers instead."""

    def __init__(
        self, status: int, code: str, message: str, fields: list[str] | None = None, **more: Any
    ) -> None:
        super().__init__(code, message)
        self.status = status
        self.error = {"message": message, "errorCode": code, "fields": fields or [], **more}


def field(name: str, label: str, type: str, length: int = 0, **more: Any) -> dict[str, Any]:  # noqa: A002
    """A field as describe tells it."""
    values = more.pop("values", ())
    return {
        "name": name,
        "label": label,
        "type": type,
        "length": length,
        "createable": True,
        "updateable": True,
        "nillable": True,
        "defaultedOnCreate": type == "boolean",
        "externalId": False,
        "unique": False,
        "restrictedPicklist": False,
        "referenceTo": [],
        "picklistValues": [
            {"value": value, "label": text, "active": True, "defaultValue": False} for value, text in values
        ],
        **more,
    }


def lead_fields() -> dict[str, dict[str, Any]]:
    sources = (("Web", "Web"), ("Partner Referral", "Partner Referral"))
    fields = (
        field("Id", "Lead ID", "id", 18, createable=False, updateable=False, nillable=False),
        field("LastName", "Last Name", "string", 80, nillable=False),
        field("FirstName", "First Name", "string", 40),
        field("Company", "Company", "string", 255, nillable=False),
        field("Title", "Title", "string", 128),
        field("Email", "Email", "email", 80),
        field("Phone", "Phone", "phone", 40),
        field("Country", "Country", "string", 80),
        field("LeadSource", "Lead Source", "picklist", 255, values=sources),
        field("Industry", "Industry", "picklist", 255, values=(("IT", "Technology"),), restrictedPicklist=True),
        field("Description", "Description", "textarea", 32_000),
        field("DoNotCall", "Do Not Call", "boolean", nillable=False),
        field("HasOptedOutOfEmail", "Email Opt Out", "boolean", nillable=False),
        field("NumberOfEmployees", "Employees", "int"),
        field("OwnerId", "Owner ID", "reference", 18, nillable=False, defaultedOnCreate=True, referenceTo=["Group", "User"]),
        field("CreatedDate", "Created Date", "datetime", createable=False, updateable=False, nillable=False),
        field("Leadsite_Id__c", "Leadsite Id", "string", 36, externalId=True, unique=True),
    )  # fmt: skip
    return {each["name"]: each for each in fields}


class FakeSalesforce(FakeCrm):
    """`leads`: by id. What may be switched: `fields`, the permissions, `rule`, `public_key`, `countries`."""

    def __init__(self, *, tls: bool = False) -> None:
        super().__init__(tls=tls)
        self.leads: dict[str, dict[str, Any]] = {}
        self.fields = lead_fields()
        self.tokens: set[str] = set()
        self.secret, self.run_as, self.public_key = CLIENT_SECRET, USERNAME, ""
        self.may_see, self.may_create, self.may_view_setup = True, True, True
        self.rule = ""  # of duplicates by e-mail address: "alert" or "block"
        self.racing = False  # an upsert does not see what another has just written
        self.unknown_conflicts = (
            False  # a conflict names neither field nor record, as where nobody may see it
        )
        self.calls_left = 14_998
        self.instance_url = self.url
        self.others: dict[str, list[dict[str, Any]]] = {
            "User": [{"Id": ADA, "Name": "Ada O'Hara", "IsActive": True}, {"Id": "0055g00000Gone0AAA", "Name": "Ada Gone", "IsActive": False}],
            "Group": [{"Id": QUEUE, "Name": "Inbound", "Type": "Queue"}],
        }  # fmt: skip

    def lead(self, key: str) -> dict[str, Any]:
        """The one lead with this key."""
        (lead,) = self._with("Leadsite_Id__c", key)
        return lead

    def expire_tokens(self) -> None:
        with self.lock:
            self.tokens.clear()

    def countries_from_a_list(self) -> None:
        """State and Country/Territory Picklists are switched on."""
        values = (("US", "United States"), ("HU", "Hungary"))
        self.fields["CountryCode"] = field("CountryCode", "Country Code", "picklist", 10, values=values, restrictedPicklist=True)  # fmt: skip

    # --- HTTP -------------------------------------------------------------------------------------

    def answer(self, request: Seen) -> Answer:
        if request.path == "/services/oauth2/token":
            return self._token(request)
        found = re.fullmatch(r"/services/data/v(\d\d)\.0/?(.*)", request.path)
        if request.path.rstrip("/") == "/services/data":
            return Answer(200, [{"label": "Winter '24", "url": "/services/data/v60.0", "version": "60.0"}])
        if not found:
            return Answer(404, "<html><head><title>URL No Longer Exists</title></head></html>")
        try:
            self._signed_in(request)
            limits = {"sforce-limit-info": f"api-usage={15_000 - self.calls_left}/15000"}
            answer = self._served(request, [unquote(part) for part in found[2].split("/") if part])
        except Refused as refused:
            return Answer(refused.status, [refused.error])
        return Answer(answer.status, answer.body, {**answer.headers, **limits})

    def _signed_in(self, request: Seen) -> None:
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            raise Refused(401, "INVALID_SESSION_ID", "Session expired or invalid")
        if self.calls_left <= 0:
            raise Refused(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
        self.calls_left -= 1

    def _served(self, request: Seen, parts: list[str]) -> Answer:
        match request.method, parts:
            case "GET", ["limits"]:
                if not self.may_view_setup:
                    raise Refused(403, "FUNCTIONALITY_NOT_ENABLED", "This feature is not currently enabled for this user type or org.")  # fmt: skip
                return Answer(200, {"DailyApiRequests": {"Max": 15_000, "Remaining": self.calls_left}})
            case "GET", ["query"]:
                return Answer(200, self._query(request.query["q"]))
            case _, ["sobjects", *rest]:
                return self._sobjects(request, rest)
            case "POST", ["composite", "sobjects"]:
                return self._collection(request, lambda record: self._create(request, record))
            case "PATCH", ["composite", "sobjects", "Lead", name]:
                return self._collection(request, lambda record: self._upserted(request, name, record))
        raise Refused(404, "NOT_FOUND", "The requested resource does not exist")

    def _sobjects(self, request: Seen, parts: list[str]) -> Answer:
        match request.method, parts:
            case "GET", ["Lead", "describe"]:
                self._visible("Lead")
                return Answer(200, self._describe())
            case "POST", ["Lead"]:
                lead, _ = self._create(request, request.json())
                return Answer(201, {"id": lead["Id"], "success": True, "errors": []})
            case _, [kind, id_]:
                self._visible(kind)
                return self._by_id(request, id_)
            case "GET", [kind, name, value]:
                self._visible(kind)
                return self._one_of(self._with(self._key(name), value))
            case "PATCH", [kind, name, value]:
                self._visible(kind)
                return self._upsert(request, name, value)
        raise Refused(404, "NOT_FOUND", "The requested resource does not exist")

    # --- Signing in -------------------------------------------------------------------------------

    def _token(self, request: Seen) -> Answer:
        form = request.form()
        if basic := request.headers.get("authorization", "").removeprefix("Basic "):
            form["client_id"], _, form["client_secret"] = base64.b64decode(basic).decode().partition(":")
        if problem := self._sign_in_problem(form):
            error, description = problem
            return Answer(400, {"error": error, "error_description": description})
        token = f"{ORGANIZATION[:15]}!{secrets.token_urlsafe(40)}"
        self.tokens.add(token)
        return Answer(200, {
            "access_token": token,
            "signature": secrets.token_urlsafe(32),
            "instance_url": self.instance_url,
            "id": f"https://login.salesforce.com/id/{ORGANIZATION}/{ADA}",
            "token_type": "Bearer",
            "issued_at": "1764180000000",
        })  # fmt: skip

    def _sign_in_problem(self, form: Mapping[str, str]) -> tuple[str, str] | None:
        match form.get("grant_type"):
            case "client_credentials":
                if form.get("client_id") != CLIENT_ID:
                    return "invalid_client_id", "client identifier invalid"
                if form.get("client_secret") != self.secret:
                    return "invalid_client", "invalid client credentials"
                return None if self.run_as else ("invalid_grant", "no client credentials user enabled")
            case "urn:ietf:params:oauth:grant-type:jwt-bearer":
                return self._assertion_problem(form["assertion"])
        return "unsupported_grant_type", "grant type not supported"

    def _assertion_problem(self, assertion: str) -> tuple[str, str] | None:
        audiences = ["https://login.salesforce.com", "https://test.salesforce.com"]
        try:
            claims = jwt.decode(assertion, self.public_key, algorithms=["RS256"], audience=audiences, options={"require": ["iss", "sub", "aud", "exp"]})  # fmt: skip
        except jwt.InvalidTokenError:
            return "invalid_grant", "invalid assertion"
        if claims["iss"] != CLIENT_ID:
            return "invalid_client_id", "client identifier invalid"
        return (
            None if claims["sub"] == self.run_as else ("invalid_grant", "user hasn't approved this consumer")
        )

    # --- Lead -------------------------------------------------------------------------------------

    def _visible(self, kind: str) -> None:
        if kind != "Lead" or not self.may_see:
            raise Refused(404, "NOT_FOUND", "The requested resource does not exist")

    def _describe(self) -> dict[str, Any]:
        return {
            "name": "Lead",
            "label": "Lead",
            "createable": self.may_create,
            "updateable": self.may_create,
            "fields": list(self.fields.values()),
        }

    def _with(self, name: str, value: str) -> list[dict[str, Any]]:
        return [
            lead for lead in self.leads.values() if str(lead.get(name) or "").casefold() == value.casefold()
        ]

    def _key(self, name: str) -> str:
        known = {each.casefold(): each for each, described in self.fields.items() if described["externalId"]}
        if name.casefold() not in known:
            raise Refused(
                404, "NOT_FOUND", f"Provided external ID field does not exist or is not accessible: {name}"
            )
        return known[name.casefold()]

    def _one_of(self, leads: list[dict[str, Any]]) -> Answer:
        if not leads:
            raise Refused(404, "NOT_FOUND", "The requested resource does not exist")
        if len(leads) > 1:
            return Answer(300, [f"/services/data/v60.0/sobjects/Lead/{lead['Id']}" for lead in leads])
        return Answer(200, {"attributes": {"type": "Lead"}, **leads[0]})

    def _by_id(self, request: Seen, id_: str) -> Answer:
        if id_ not in self.leads:
            raise Refused(
                404, "NOT_FOUND", f"Provided external ID field does not exist or is not accessible: {id_}"
            )
        if request.method == "GET":
            return Answer(200, {"attributes": {"type": "Lead"}, **self.leads[id_]})
        if request.method == "DELETE":
            del self.leads[id_]
        else:
            self._update(self.leads[id_], request.json(), request)
        return Answer(204)

    def _upsert(self, request: Seen, name: str, value: str) -> Answer:
        key, record = self._key(name), request.json()
        if {each.casefold() for each in record} & {"id", key.casefold()}:
            raise Refused(
                400, "INVALID_FIELD", f"The {key} field should not be specified in the sobject data."
            )
        leads = [] if self.racing else self._with(key, value)
        if len(leads) > 1:
            return self._one_of(leads)
        if leads:
            self._update(leads[0], record, request)
            return Answer(200, {"id": leads[0]["Id"], "success": True, "errors": [], "created": False})
        lead, _ = self._create(request, {**record, key: value})
        return Answer(201, {"id": lead["Id"], "success": True, "errors": [], "created": True})

    def _upserted(self, request: Seen, name: str, record: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        key = self._key(name)
        leads = self._with(key, record[key])
        if len(leads) > 1:
            raise Refused(
                400, "DUPLICATE_EXTERNAL_ID", f"{key}: more than one record found for external id field"
            )
        if not leads:
            return self._create(request, record)
        self._update(leads[0], {name: value for name, value in record.items() if name != key}, request)
        return leads[0], False

    def _collection(self, request: Seen, write: Any) -> Answer:
        records = request.json()["records"]
        if len(records) > 200:
            raise Refused(400, "EXCEEDED_ID_LIMIT", "record limit reached. cannot submit more than 200 records into this call")  # fmt: skip
        results = []
        for record in records:
            values = {name: value for name, value in record.items() if name != "attributes"}
            assert record["attributes"]["type"] == "Lead"
            try:
                lead, created = write(values)
            except Refused as refused:
                error = {"statusCode": refused.error["errorCode"], **{name: refused.error[name] for name in ("message", "fields")}}  # fmt: skip
                results.append({"success": False, "errors": [error]})
            else:
                results.append({"id": lead["Id"], "success": True, "errors": [], "created": created})
        return Answer(200, results)

    def _create(self, request: Seen, record: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        if not self.may_create:
            raise Refused(403, "INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on object")
        self._checked(record)
        missing = [n for n, f in self.fields.items() if f["createable"] and not (f["nillable"] or f["defaultedOnCreate"]) and not record.get(n)]  # fmt: skip
        if missing:
            raise Refused(
                400, "REQUIRED_FIELD_MISSING", f"Required fields are missing: [{', '.join(missing)}]", missing
            )
        self._no_duplicate(request, record)
        self._unique(record)
        id_ = "00Q5g" + "".join(secrets.choice(_ALPHABET) for _ in range(13))
        self.leads[id_] = {"Id": id_, "IsConverted": False, **record}
        return self.leads[id_], True

    def _update(self, lead: dict[str, Any], record: dict[str, Any], request: Seen) -> None:
        if lead["IsConverted"]:
            raise Refused(400, "CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead")
        self._checked(record)
        lead |= record

    def _checked(self, record: dict[str, Any]) -> None:
        for name, value in record.items():
            known = self.fields.get(name)
            if known is None:
                raise Refused(400, "INVALID_FIELD", f"No such column '{name}' on sobject of type Lead")
            if not known["createable"]:
                raise Refused(400, "INVALID_FIELD_FOR_INSERT_UPDATE", f"Unable to create/update fields: {name}. Please check the security settings of this field and verify that it is read/write for your profile or permission set.", [name])  # fmt: skip
            _check_value(known, value)
        listed = self.fields.get("CountryCode", {}).get("picklistValues")
        if listed and record.get("Country") not in (None, *(each["label"] for each in listed)):
            raise Refused(400, "FIELD_INTEGRITY_EXCEPTION", "There's a problem with this country, even though it may appear correct. Please select a country/territory from the list of valid countries.: Country", ["Country"])  # fmt: skip

    def _unique(self, record: dict[str, Any]) -> None:
        for name, described in self.fields.items():
            if not (described["unique"] and record.get(name)):
                continue
            for lead in self._with(name, record[name]):
                what, which = (
                    ("<unknown>", "<unknown>") if self.unknown_conflicts else (name, lead["Id"][:15])
                )
                raise Refused(400, "DUPLICATE_VALUE", f"duplicate value found: {what} duplicates value on record with id: {which}")  # fmt: skip

    def _no_duplicate(self, request: Seen, record: dict[str, Any]) -> None:
        allowed = "allowSave=true" in request.headers.get("sforce-duplicate-rule-header", "")
        if not self.rule or (self.rule == "alert" and allowed) or not record.get("Email"):
            return
        if same := self._with("Email", record["Email"]):
            matches = [
                {"additionalInformation": [], "fieldDiffs": [], "matchConfidence": 100.0, "record": {"attributes": {"type": "Lead", "url": f"/services/data/v60.0/sobjects/Lead/{lead['Id']}"}, "Id": lead["Id"]}}
                for lead in same
            ]  # fmt: skip
            result = {
                "allowSave": self.rule == "alert",
                "duplicateRule": "Standard_Lead_Duplicate_Rule",
                "duplicateRuleEntityType": "Lead",
                "errorMessage": "Use one of these records?",
                "matchResults": [{"entityType": "Lead", "errors": [], "matchEngine": "FuzzyMatchEngine", "matchRecords": matches, "rule": "Standard_Lead_Match_Rule_v1_0", "size": len(matches), "success": True}],
            }  # fmt: skip
            raise Refused(400, "DUPLICATES_DETECTED", "Use one of these records?", duplicateResut=result)

    # --- Queries ----------------------------------------------------------------------------------

    def _query(self, soql: str) -> dict[str, Any]:
        parsed = re.fullmatch(r"SELECT (?P<names>[\w, ]+?) FROM (?P<kind>\w+)(?: WHERE (?P<where>.+?))?(?: LIMIT (?P<most>\d+))?", soql)  # fmt: skip
        if not parsed:
            raise Refused(400, "MALFORMED_QUERY", f"unexpected token: {soql}")
        names = [name.strip() for name in parsed["names"].split(",")]
        rows = self.leads.values() if parsed["kind"] == "Lead" else self.others.get(parsed["kind"], [])
        tests = list(_tests(parsed["where"] or ""))
        if parsed["kind"] == "Lead":
            for name in {*names, *(name for name, _ in tests)} - {"IsConverted"}:
                if name not in self.fields:
                    raise Refused(400, "INVALID_FIELD", f"\nERROR at Row:1:Column:8\nNo such column '{name}' on entity 'Lead'.")  # fmt: skip
        chosen = [row for row in rows if all(row.get(name) in values for name, values in tests)]
        chosen = chosen[: int(parsed["most"] or 2000)]
        records = [
            {"attributes": {"type": parsed["kind"]}, **{name: row.get(name) for name in names}}
            for row in chosen
        ]
        return {"totalSize": len(records), "done": True, "records": records}


_LITERAL = r"'(?:[^'\\]|\\.)*'|true|false"


def _tests(where: str) -> Iterator[tuple[str, list[Any]]]:
    """The tests of a WHERE: a field, and the values that it may have."""
    for name, one, many in re.findall(
        rf"(\w+) (?:= ({_LITERAL})|IN \(((?:{_LITERAL})(?:, ?(?:{_LITERAL}))*)\))", where
    ):
        yield name, [_literal(text) for text in re.findall(_LITERAL, many or one)]


def _literal(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def _check_value(known: Mapping[str, Any], value: Any) -> None:
    name, type_ = known["name"], known["type"]
    wanted: dict[str, type | tuple[type, ...]] = {"boolean": bool, "int": int}
    if not isinstance(value, wanted.get(type_, str)):
        raise Refused(400, "JSON_PARSER_ERROR", f"Cannot deserialize instance of {type_} from VALUE_STRING value {value} or request may be missing a required field at [line:1, column:1]")  # fmt: skip
    if isinstance(value, str) and known["length"] and len(value) > known["length"]:
        raise Refused(400, "STRING_TOO_LONG", f"{known['label']}: data value too large: {value[:80]} (max length={known['length']})", [name])  # fmt: skip
    if type_ == "email" and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", value):
        raise Refused(
            400, "INVALID_EMAIL_ADDRESS", f"{known['label']}: invalid email address: {value}", [name]
        )
    if known["restrictedPicklist"] and value not in [each["value"] for each in known["picklistValues"]]:
        raise Refused(400, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", f"{known['label']}: bad value for restricted picklist field: {value}", [name])  # fmt: skip


class FakeWebToLead(FakeCrm):
    """The form's far side: answers 200 whatever comes, and makes leads of what is right."""

    def __init__(self, *, tls: bool = False) -> None:
        super().__init__(tls=tls)
        self.leads: list[dict[str, str]] = []
        self.form_url = f"{self.url}/servlet/servlet.WebToLead?encoding=UTF-8"

    def answer(self, request: Seen) -> Answer:
        if request.path != "/servlet/servlet.WebToLead":
            return Answer(404, "<html><title>File not found</title></html>")
        if request.method == "POST":
            form = request.form()
            if form.get("oid") == ORGANIZATION and form.get("last_name") and form.get("company"):
                self.leads.append(form)
        return Answer(200, "")
