"""HubSpot CRM, API v3: developers.hubspot.com/docs/api-reference (read 2026-11).

HubSpot knows persons. The first lead of a person makes the contact. It is created, never upserted: an upsert by e-mail
would overwrite what salespeople wrote, before anybody could be asked. A further lead becomes a note on the contact.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from crm_sync.connectors.answers import Said
from crm_sync.connectors.base import Connector, Item, Record, Request, Stopped
from crm_sync.connectors.hubspot import bodies
from crm_sync.connectors.hubspot.bodies import Portal, Values, identifier
from crm_sync.connectors.hubspot.declared import LEAD_SCOPES, OWN, SCOPES, SPEC
from crm_sync.connectors.hubspot.errors import ERRORS, NO_KEY, TAKEN, read
from crm_sync.connectors.hubspot.fields import KEY, OPT_OUT, fields
from crm_sync.connectors.shapes import objects, part
from crm_sync.http import NoAnswer, Response, Unreadable
from crm_sync.outcomes import Delivered, DestinationFault, Outcome, RetryLater
from crm_sync.spec import TargetField
from leads.texts import gettext as _

# The same resources, with the same bodies, are also filed by date: /crm/objects/2026-03/contacts.
CRM = "/crm/v3"
CONTACTS, LEADS, NOTES = f"{CRM}/objects/contacts", f"{CRM}/objects/leads", f"{CRM}/objects/notes"
DAY = 24 * 3600.0

_UNSUBSCRIBE = {"communication_preferences.write", "communication_preferences.read_write"}


class HubSpotConnector(Connector):
    """Creates contacts, and adds to a contact its further leads."""

    spec = SPEC
    errors = ERRORS

    # What would be sent

    def requests(self, record: Record, *, key: str) -> Sequence[Request]:
        """The creation of the contact, and of the lead record where there is one."""
        values = self.fit(record, key=key)
        requests = [self._request("POST", CONTACTS, bodies.new_contact(values, key))]
        if self._makes_leads:
            requests.append(
                self._request("POST", LEADS, bodies.lead_record("(the contact's id)", values, key))
            )
        return requests

    @property
    def _makes_leads(self) -> bool:
        return self.settings["lead_as"] == "lead"

    def _request(self, method: str, path: str, body: dict[str, Any] | str = "") -> Request:
        url = self.settings["url"].rstrip("/") + path
        return Request(method, url, {"authorization": f"Bearer {self.settings['access_token']}"}, body)

    def _note(self, contact: str, values: Values, key: str) -> Request:
        lines = [(self._label(name), words) for name, words in bodies.properties(values).items()]
        return self._request("POST", NOTES, bodies.note(contact, values, lines, key, self.now()))

    def _label(self, name: str) -> str:
        return self.fields[name].label if name in self.fields else name

    # A push: each step finds what an earlier try has done

    def send(self, record: Record, *, key: str, retry: bool) -> Outcome:
        """Make the contact or add to it."""
        values = self.fit(record, key=key)
        self._portal()  # its address is asked for before anything is written
        return self._write(values, key)

    def _write(self, values: Values, key: str) -> Delivered:
        if not values.get("email"):
            self._require_key("contact")
        made, taken = self._create(CONTACTS, bodies.new_contact(values, key), key)
        contact = self._add(taken, values, key) if taken else Delivered(made)
        if self._makes_leads:
            self._require_key("lead")
            self._create(LEADS, bodies.lead_record(contact.remote_id, values, key), key)
        if values.get(OPT_OUT) is True and values.get("email"):
            address = quote(str(values["email"]), safe="")
            path = f"/communication-preferences/v4/statuses/{address}/unsubscribe-all?channel=EMAIL"
            self.call(self._request("POST", path), write=True, key=key)
        return contact

    def _create(self, path: str, body: dict[str, Any], key: str) -> tuple[str, Said | None]:
        """The id of a new record, or what HubSpot says of the one in its place. Raises Stopped."""
        response = self.call(self._request("POST", path, body), write=True, accept={400, 409}, key=key)
        if response.status < 400:
            return identifier(response.json_object()), None
        said = self.explain(response)
        if not TAKEN.fits(response.status, said):
            raise Stopped(self.verdict(response.status, said, write=True, key=key))
        return "", said

    def _add(self, taken: Said, values: Values, key: str) -> Delivered:
        """Go on with the contact in the way: with our own, or with one that may get this lead. Raises Stopped."""
        contact, held = self._contact(taken, values, key)
        if held.get(KEY) == key:
            return Delivered(contact, existed=True)
        if not held.get(KEY) and self.settings["duplicates"] != "create":
            raise Stopped(self.verdict(409, replace(taken, other=contact), write=True, key=key))
        existed = self._add_note(contact, values, key)
        # Only what is empty: nobody's work is overwritten, however often this is repeated.
        blank = {name: words for name, words in bodies.properties(values, key).items() if not held.get(name)}
        if blank:
            path = f"{CONTACTS}/{contact}"
            self.call(self._request("PATCH", path, {"properties": blank}), write=True, key=key)
        note = _("HubSpot had this contact: the lead was added to it as a note.")
        return Delivered(contact, existed=existed, note=note)

    def _contact(self, taken: Said, values: Values, key: str) -> tuple[str, Mapping[str, Any]]:
        """Id and properties of the contact that HubSpot names, or has under this e-mail address or our key."""
        names = quote(",".join(bodies.properties(values, key)))
        unnamed = [(str(values.get("email") or ""), "&idProperty=email"), (key, f"&idProperty={KEY}")]
        for which, by in [(taken.other, "")] if taken.other else unnamed:
            path = f"{CONTACTS}/{quote(which, safe='')}?properties={names}{by}"
            answer = self.call(self._request("GET", path), write=False, accept={404}) if which else None
            if answer and answer.status != 404:
                body = answer.json_object()
                held = body.get("properties")
                return identifier(body), held if isinstance(held, dict) else {}
        lost = _("HubSpot says that it has this contact, and does not find it (HTTP 404).")
        raise Stopped(RetryLater(lost))

    # Notes: none of them is unique to HubSpot, and its search lags. What a contact is associated with does not.

    def _add_note(self, contact: str, values: Values, key: str) -> bool:
        """Put the lead on the contact, once; whether it was there already.

        Of two tries at the same moment the later takes its own note away.
        """
        if self._bearing(contact, key):
            return True
        own = identifier(self.call(self._note(contact, values, key), write=True, key=key).json_object())
        first = min((own, *self._bearing(contact, key)), key=lambda each: (len(each), each))  # as numbers go
        if own != first:
            self.call(self._request("DELETE", f"{NOTES}/{own}"), write=True, accept={404})
        return False

    def _bearing(self, contact: str, key: str) -> list[str]:
        """Ids of the contact's notes that bear our key."""
        ids = self._note_ids(contact)
        found: list[str] = []
        for start in range(0, len(ids), 100):
            chunk = ids[start : start + 100]
            body = {"properties": ["hs_note_body"], "inputs": [{"id": each} for each in chunk]}
            answer = self.call(self._request("POST", f"{NOTES}/batch/read", body), write=False)
            notes = objects(answer.json_object().get("results"))
            found += [
                identifier(note) for note in notes if key in str(part(note, "properties", "hs_note_body"))
            ]
        return found

    def _note_ids(self, contact: str) -> list[str]:
        ids: list[str] = []
        after = ""
        while True:
            path = f"/crm/v4/objects/contacts/{contact}/associations/notes?limit=500{after}"
            page = self.call(self._request("GET", path), write=False).json_object()
            ids += [str(each.get("toObjectId")) for each in objects(page.get("results"))]
            following = part(page, "paging", "next", "after")
            if not following:
                return ids
            after = f"&after={quote(str(following), safe='')}"

    # A backlog

    def send_many(self, items: Sequence[Item]) -> Sequence[Outcome]:
        """Create the contacts in one call; whatever that call cannot do or tell, one by one."""
        self._portal()
        made, refused = self._create_many({} if self._makes_leads else _plain(items))
        return [self._one_of_many(item, made.get(item.key, ""), refused.get(item.key)) for item in items]

    def _create_many(self, items: Mapping[str, Item]) -> tuple[dict[str, str], dict[str, Said]]:
        """Ids of new contacts and refusals, by key. Whoever is in neither was not dealt with."""
        # With a trace id HubSpot answers for each record, and does not refuse all for one.
        inputs = [
            {**bodies.new_contact(item.record, item.key), "objectWriteTraceId": item.key}
            for item in items.values()
        ]
        if not inputs:
            return {}, {}
        request = self._request("POST", f"{CONTACTS}/batch/create", {"inputs": inputs})
        answer = self.call(request, write=True, accept={400, 404, 405, 409})
        return bodies.batch(answer.json_object(), KEY) if answer.status < 400 else ({}, {})

    def _one_of_many(self, item: Item, made: str, refused: Said | None) -> Outcome:
        if made:
            return Delivered(made)
        if refused and refused.field and not TAKEN.fits(400, refused):
            return self.verdict(400, refused, write=True, key=item.key)
        # Alone it gets a status of its own; and it finds what the call for all may have written.
        return self.concluded(lambda: self._write(item.record, item.key))

    # What HubSpot tells

    def explain(self, response: Response) -> Said:
        """HubSpot's words, those of the first detail where it gives one."""
        try:
            return read(response.json_object())
        except Unreadable:
            return super().explain(response)

    def verdict(
        self, status: int, said: Said, *, write: bool, key: str = "", delay: float | None = None
    ) -> Outcome:
        """As the base says it, with the wait that HubSpot documents where an answer names none."""
        if delay is None and status in (423, 429):
            delay = 2.0 if status == 423 else self._pause(said.code)
        return super().verdict(status, said, write=write, key=key, delay=delay)

    def _pause(self, limit: str) -> float:
        """Seconds: a rolling limit's own, or until midnight where the account is."""
        if not limit.startswith("DAILY"):
            return 10.0
        portal = self.known("portal")
        return DAY - (self.now().timestamp() + (portal.offset if portal else 0)) % DAY

    def record_url(self, remote_id: str) -> str:
        """The contact's page, where the account tells its address."""
        portal = self._portal()
        return f"https://{portal.domain}/contacts/{portal.id}/record/0-1/{remote_id}" if portal else ""

    def live_fields(self) -> Sequence[TargetField]:
        """The contact properties that can be written, and what is ours."""
        answer = self.call(self._request("GET", f"{CRM}/properties/contacts"), write=False)
        return [*fields(answer.json_object().get("results")), *OWN]

    def _portal(self) -> Portal | None:
        return self.remembered(("portal",), self._try_portal)

    def _try_portal(self) -> tuple[Portal | None, float]:
        try:
            return self._ask_portal(), DAY
        except (Stopped, NoAnswer):
            return None, 60.0  # it is for links: no lead waits for it

    def _ask_portal(self) -> Portal:
        answer = self.call(self._request("GET", "/account-info/v3/details"), write=False)
        try:
            return bodies.portal(answer.json_object())
        except Unreadable:
            reason = _("This address does not answer as HubSpot's API does: correct it.")
            raise Stopped(DestinationFault(reason)) from None

    def _require_key(self, kind: str) -> None:
        """Raise Stopped unless HubSpot keeps our key unique among the records of this kind."""
        if not self.remembered(("key", kind), lambda: self._ask_key(kind)):
            raise Stopped(DestinationFault(f"{_(NO_KEY[kind])}."))

    def _ask_key(self, kind: str) -> tuple[bool, float]:
        request = self._request("GET", f"{CRM}/properties/{kind}s/{KEY}")
        answer = self.call(request, write=False, accept={404})
        unique = answer.status != 404 and answer.json_object().get("hasUniqueValue") is True
        return unique, DAY if unique else 0.0

    # The connection test

    def examine(self) -> Sequence[str]:
        """The account, the scopes and the property for our key."""
        portal = self._ask_portal()
        rights = self._rights()
        kinds = ("contact", "lead") if self._makes_leads else ("contact",)
        for kind in kinds:
            self._require_key(kind)
        account = _("Connected to the HubSpot account {id} ({domain}).")
        keys = _("The property leadsite_id is there, with unique values: {kinds}.")
        both = f" {_('and')} ".join(kinds)
        return (account.format(id=portal.id, domain=portal.domain), *rights, keys.format(kinds=both))

    def _rights(self) -> Sequence[str]:
        """What the token may do, where HubSpot tells that. Raises Stopped where it may not write."""
        asked = {"tokenKey": self.settings["access_token"]}
        request = self._request("POST", "/oauth/v2/private-apps/get/access-token-info", asked)
        answer = self.call(request, write=False, accept=range(400, 500))
        scopes = answer.json_object().get("scopes") if answer.status == 200 else None
        if not isinstance(scopes, list):
            self.call(self._request("GET", f"{CONTACTS}?limit=1"), write=False)
            return (_("Can read contacts: yes. HubSpot does not tell whether this token can create them."),)
        needed = (*SCOPES, *LEAD_SCOPES) if self._makes_leads else SCOPES
        if missing := [scope for scope in needed if scope not in scopes]:
            reason = _("The access token lacks {scopes}: add it in HubSpot.")
            raise Stopped(DestinationFault(reason.format(scopes=", ".join(missing))))
        can = _("Can unsubscribe who must not be contacted: no, {scope} is missing.")
        if _UNSUBSCRIBE.intersection(scopes):
            can = _("Can unsubscribe who must not be contacted: yes.")
        return (_("Can create contacts: yes."), can.format(scope=min(_UNSUBSCRIBE, key=len)))


def _plain(items: Sequence[Item]) -> dict[str, Item]:
    """By key, those whose contact is all there is to write; of one e-mail address the first."""
    by_email: dict[str, Item] = {}
    for item in items:
        email = str(item.record.get("email") or "").casefold()
        if email and not item.record.get(OPT_OUT):
            by_email.setdefault(email, item)
    return {item.key: item for item in by_email.values()}
