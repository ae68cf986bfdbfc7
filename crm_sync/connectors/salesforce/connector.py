"""Salesforce, through its REST API: a lead is upserted under a key field that is an External ID and Unique.

Facts: Salesforce's REST API Developer Guide, developer.salesforce.com/docs/platform/api-rest/guide (2026-11).
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from crm_sync.connectors import suggestions
from crm_sync.connectors.answers import Said
from crm_sync.connectors.base import Item, Record, Request, Stopped
from crm_sync.connectors.oauth import Token, TokenConnector
from crm_sync.connectors.references import References
from crm_sync.connectors.salesforce.declared import SPEC
from crm_sync.connectors.salesforce.errors import ERRORS, said
from crm_sync.connectors.salesforce.fields import ID, fields_of, key_problem, queries_for, quoted, target
from crm_sync.connectors.salesforce.signin import grant, problems
from crm_sync.connectors.shapes import items, object_in, objects
from crm_sync.http import NoAnswer, Response, Unreadable
from crm_sync.outcomes import Delivered, DestinationFault, Outcome, Rejected
from crm_sync.spec import TargetField
from leads.texts import gettext as _
from leads.texts import gettext_noop

API: Final = "services/data/v60.0"
KEYS_IN_ONE_QUERY: Final = (
    100  # of 36 characters: below the 8 KiB of an address that every proxy lets through
)
KNOWN_FOR: Final = 3600.0  # seconds that the id of a record given by its name is kept
LONGEST_NAME: Final = 255  # characters of any record's

_BLOCKS = gettext_noop(
    "The rule blocks even what is to be written all the same: in Setup > Duplicate Rules, set its Action On Create "
    "to Allow."
)


class SalesforceConnector(TokenConnector):
    """Upserts Leads by an external id; signs in with a client secret, or with a signed JWT."""

    spec = SPEC
    errors = ERRORS

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.references = References(self, self._named, seconds=KNOWN_FOR)

    # --- Settings and signing in ------------------------------------------------------------------

    @classmethod
    def clean(cls, settings: Mapping[str, str]) -> dict[str, str]:
        """What is missing of the two ways to sign in, and what cannot be an address, a key or a field."""
        return dict(problems(settings))

    def ask_token(self) -> Token:
        """Sign in by JWT where there is a private key, else by client credentials. The token holds until a 401."""
        for _name, problem in problems(self.settings):
            raise Stopped(DestinationFault(problem))
        url = f"{self._address()}/services/oauth2/token"
        elsewhere = _("{host} does not answer as Salesforce does: check the My Domain address.").format(
            host=urlsplit(url).hostname
        )
        told = self.ask_form(url, grant(self.settings, self.now()), elsewhere=elsewhere)
        instance = told.get("instance_url")
        url = instance.rstrip("/") if isinstance(instance, str) else self._address()
        return Token(told["access_token"], url=url)

    def _address(self) -> str:
        return self.settings["url"].rstrip("/")

    def _instance(self) -> str:
        """Where the organization is, once somebody signed in; until then, the address of the settings."""
        token: Token | None = self.known("token")
        return token.url if token else self._address()

    def _url(self, *parts: str) -> str:
        return "/".join((self._instance(), API, *parts))

    # --- Writing ----------------------------------------------------------------------------------

    def requests(self, record: Record, *, key: str) -> Sequence[Request]:
        """One upsert under the key."""
        url = self._url("sobjects/Lead", self._key_field, quote(key))
        return [Request("PATCH", url, self._headers(), self._body(self.fit(record, key=key)))]

    def send(self, record: Record, *, key: str, retry: bool) -> Outcome:
        """Upsert; but a retry that finds the key writes nothing, so that no salesperson's change is overwritten."""
        self.token()  # tells where the organization is
        if retry and (found := self._found([key])):
            return Delivered(found[key], existed=True)
        upsert = partial(super().send, self._with_ids(record), key=key, retry=retry)
        outcome = self.concluded(upsert)
        return self._unless_ours({key: outcome})[key]

    def send_many(self, items: Sequence[Item]) -> Sequence[Outcome]:
        """Upsert up to 200 in one call, but for those retries of which the key is found."""
        self.token()
        found = self._found([item.key for item in items if item.retry])
        outcomes: dict[str, Outcome] = {key: Delivered(lead, existed=True) for key, lead in found.items()}
        rest = [item for item in items if item.key not in found]
        records, refused = self.prepared(rest, lambda item: self._body(self._with_ids(item.record)))
        outcomes |= refused
        if records:
            outcomes |= self._unless_ours(self._upserted(records))
        return [outcomes[item.key] for item in items]

    def _upserted(self, records: Mapping[str, dict[str, Any]]) -> dict[str, Outcome]:
        """The outcomes of one call, by key."""
        ours = self._key_field
        lines = [{"attributes": {"type": "Lead"}, **values, ours: key} for key, values in records.items()]
        url = self._url("composite/sobjects/Lead", ours)
        request = Request("PATCH", url, self._headers(), {"allOrNone": False, "records": lines})
        results = self.call(request, write=True).json()
        if not isinstance(results, list) or len(results) != len(records):
            raise Unreadable(
                _("Salesforce did not answer with {number} results.").format(number=len(records)), sent=True
            )
        return {key: self._result(result, key) for key, result in zip(records, results, strict=True)}

    def _result(self, result: Any, key: str) -> Outcome:
        result = object_in(result)
        if result.get("success") is True and result.get("id"):
            return Delivered(str(result["id"]), existed=result.get("created") is False)
        errors = items(result.get("errors")) or [{}]
        return self.verdict(400, self._said(errors[0]), write=True, key=key)

    def delivered(self, response: Response, *, key: str) -> Delivered:
        """201 with the new id, or 200 with that of the lead that had the key; before API version 46, 204 and no id."""
        if response.status == 204:
            return Delivered(key, existed=True)
        body = response.json_object()
        if not body.get("id"):
            raise Unreadable(_("Salesforce does not name the id of the lead."), sent=True)
        return Delivered(str(body["id"]), existed=body.get("created") is False)

    def record_url(self, remote_id: str) -> str:
        """The lead's page. What a duplicate rule found may be of another kind, which the short address finds."""
        if not ID.fullmatch(remote_id):
            return ""
        page = f"lightning/r/Lead/{remote_id}/view" if remote_id.startswith("00Q") else remote_id
        return f"{self._instance()}/{page}"

    @property
    def _key_field(self) -> str:
        return self.settings["external_id_field"]

    def _headers(self) -> dict[str, str]:
        anyway = self.settings["duplicates"] == "create"
        return {"sforce-duplicate-rule-header": "allowSave=true"} if anyway else {}

    def _body(self, values: Record) -> dict[str, Any]:
        # Salesforce refuses an upsert that names its record in the body too.
        named = {"id", self._key_field.casefold()}
        return {name: value for name, value in values.items() if name.casefold() not in named}

    # --- Looking up -------------------------------------------------------------------------------

    def _found(self, keys: Sequence[str]) -> dict[str, str]:
        """The ids of the leads in Salesforce that carry these keys, by key. Raises Stopped or NoAnswer."""
        ours, found = self._key_field, dict[str, str]()
        if len(keys) == 1:
            url = self._url("sobjects/Lead", ours, quote(keys[0]))
            response = self.call(Request("GET", url, {}), write=False, accept={404})
            if response.status != 404:
                found[keys[0]] = str(response.json_object().get("Id") or keys[0])
            return found
        for start in range(0, len(keys), KEYS_IN_ONE_QUERY):
            some = ", ".join(quoted(key) for key in keys[start : start + KEYS_IN_ONE_QUERY])
            rows = self._query(f"SELECT Id, {ours} FROM Lead WHERE {ours} IN ({some})")  # noqa: S608
            found |= {str(row.get(ours)): str(row.get("Id")) for row in rows}
        return found

    def _unless_ours(self, outcomes: Mapping[str, Outcome]) -> dict[str, Outcome]:
        """The outcomes, where a supposed duplicate that is this very lead, written by another try, is delivered."""
        doubtful = [key for key, each in outcomes.items() if isinstance(each, Rejected) and each.duplicate_of]
        found: dict[str, str] = {}
        with suppress(Stopped, NoAnswer):  # then it stays a duplicate, and a person looks
            found = self._found(doubtful)
        return {**outcomes, **{key: Delivered(lead, existed=True) for key, lead in found.items()}}

    def _query(self, soql: str) -> list[dict[str, Any]]:
        address = f"{self._url('query')}?{urlencode({'q': soql})}"
        return objects(self.call(Request("GET", address, {}), write=False).json_object().get("records"))

    def _with_ids(self, record: Record) -> dict[str, Any]:
        """The record with the ids of those records that its fields point to by name. Raises Stopped or NoAnswer."""
        return {
            name: self.references.one(name, value) if self._is_name(name, value) else value
            for name, value in record.items()
        }

    def _is_name(self, field: str, value: Any) -> bool:
        known = self.fields.get(field)
        points = known is not None and known.type == "reference"
        return points and isinstance(value, str) and not ID.fullmatch(value)

    def _named(self, field: str, name: str) -> Sequence[str]:
        """The ids of what this field may point to under this name."""
        if len(name) > LONGEST_NAME:
            return ()
        lead = self.remembered(("lead",), lambda: (self._describe().json_object(), KNOWN_FOR))
        rows = [row for query in queries_for(lead, field, name) for row in self._query(query)]
        return [str(row["Id"]) for row in rows if row.get("Id")]

    # --- What staff ask ---------------------------------------------------------------------------

    def live_fields(self) -> Sequence[TargetField]:
        """The fields of Lead that this user may write when it creates one."""
        ours = {self._key_field.casefold()}
        targets = [
            target(field) for field in fields_of(self._describe().json_object()) if field.get("createable")
        ]
        return [field for field in targets if field.name.casefold() not in ours]

    def known_fields(self) -> Sequence[TargetField]:
        """As the base says, but for countries and sources that Salesforce takes from its own lists only."""
        fields = super().known_fields()
        types = {field.name: field.type for field in fields}
        suggested: dict[str, dict[str, object] | None] = {}
        if "CountryCode" in types:  # State and Country/Territory Picklists are on
            suggested |= {"CountryCode": suggestions.value("country_code"), "Country": None}
        if types.get("LeadSource") == "choice":  # it stands in the description, too
            suggested["LeadSource"] = None
        return [replace(field, suggested=suggested.get(field.name, field.suggested)) for field in fields]

    def _describe(self) -> Response:
        return self.call(Request("GET", self._url("sobjects/Lead/describe"), {}), write=False)

    def examine(self) -> Sequence[str]:
        """Sign in anew; read what the user may do, how the field of the key is set up, what is left of the calls."""
        self.forget("token")
        url = self.token().url
        signed_in = (
            _("Signed in to {url} as {user}.").format(url=url, user=self.settings["username"])
            if self.settings["private_key"]
            else _("Signed in to {url}.").format(url=url)
        )
        described = self._describe()
        if described.cut:  # of hundreds of custom fields
            unseen = _(
                "Lead has more fields than are read here: none could be looked at. Send a sample lead instead."
            )
            return [signed_in, unseen]
        lead = described.json_object()
        if not lead.get("createable"):
            raise Stopped(DestinationFault(
                _("The user that the app runs as may not create leads: give it Read, Create and Edit on Lead, in "
                  "Setup > Permission Sets > the user's own > Object Settings > Leads.")
            ))  # fmt: skip
        if problem := key_problem(lead, self._key_field):
            raise Stopped(DestinationFault(problem))
        may_edit = lead.get("updateable", True)
        editing = (
            _("Can edit leads: yes.")
            if may_edit
            else _("Can edit leads: no; Salesforce may ask for it, so give Edit on Lead too.")
        )
        key = _("{field} is an External ID and Unique: a repeated push finds the first lead.").format(
            field=self._key_field
        )
        return [signed_in, _("Can create leads: yes."), editing, key, *self._calls_left()]

    def _calls_left(self) -> Sequence[str]:
        # Salesforce tells it only to those who may “View Setup and Configuration”.
        response = self.call(Request("GET", self._url("limits"), {}), write=False, accept=range(400, 600))
        with suppress(Unreadable, KeyError, TypeError, ValueError):
            calls = response.json_object()["DailyApiRequests"]
            said = _("API calls left of 24 hours: {left:,} of {most:,}.")
            return [said.format(left=int(calls["Remaining"]), most=int(calls["Max"]))]
        return []

    # --- Refusals ---------------------------------------------------------------------------------

    def explain(self, response: Response) -> Said:
        """The first error of Salesforce's list; else as a sign-in is refused."""
        try:
            body = response.json()
        except Unreadable:
            return super().explain(response)
        if isinstance(body, list):  # of addresses, where several leads carry the key
            one = bool(body) and isinstance(body[0], dict)
            return self._said(body[0]) if one else Said(words=", ".join(map(str, body)))
        return super().explain(response)

    def _said(self, error: Any) -> Said:
        heard = said(error, self._key_field)
        if heard.code == "DUPLICATES_DETECTED" and self.settings["duplicates"] == "create":
            return replace(heard, words=f"{heard.words} {_(_BLOCKS)}")
        return heard
