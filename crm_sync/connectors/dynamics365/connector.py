"""Dynamics 365 Sales: leads by the Dataverse Web API, v9.2.

A lead is created by `PATCH leads(<key of the delivery>)` with `If-None-Match: *`, so that a repeated push creates
nothing and overwrites nothing ("Use Upsert", "Perform conditional operations": learn.microsoft.com/power-apps/
developer/data-platform, 2026-11).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any
from urllib.parse import quote, urlsplit

from crm_sync.connectors.answers import Complaint, Said, duplicate, plain
from crm_sync.connectors.base import Item, Record, Request, Stopped
from crm_sync.connectors.dynamics365 import batch
from crm_sync.connectors.dynamics365.dataverse import HEADERS, Bound, DataverseConnector
from crm_sync.connectors.dynamics365.declared import SPEC
from crm_sync.connectors.dynamics365.errors import DUPLICATE_RULE, NOT_THERE, UNIQUE, missing_table
from crm_sync.connectors.dynamics365.fields import DATE_ONLY
from crm_sync.connectors.dynamics365.queries import literal, path
from crm_sync.connectors.values import clipped
from crm_sync.http import NoAnswer, Response, Unreadable
from crm_sync.outcomes import Delivered, DestinationFault, Outcome, Rejected, RetryLater
from leads.texts import gettext as _
from leads.texts import gettext_noop

_PRIVILEGES: Mapping[str, str] = {
    "prvAssignLead": gettext_noop(
        "Cannot give a lead to another owner: the security role lacks prvAssignLead."
    ),
    "prvAppendLead": gettext_noop(
        "Cannot connect a lead with a campaign: the security role lacks prvAppendLead."
    ),
}


class Dynamics365Connector(DataverseConnector):
    """Creates a lead once, under the key of its delivery."""

    spec = SPEC

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # Of the leads of this push, by their keys: what is asked for or blamed where one is refused.
        self._emails: dict[str, str] = {}
        self._bound: dict[str, dict[str, tuple[str, str]]] = {}

    # --- A lead -----------------------------------------------------------------------------------

    def requests(self, record: Record, *, key: str) -> Sequence[Request]:
        """One PATCH. A record that is named is shown by its name where nobody has looked it up yet."""
        return [self._write(self.fit(record, key=key), key, self._shown)]

    def send(self, record: Record, *, key: str, retry: bool) -> Outcome:
        """Look up the records that it names, and create the lead."""
        request = self._write(self.fit(record, key=key), key, self.references.one)
        return self.delivered(self.call(request, write=True, key=key), key=key)

    def send_many(self, items: Sequence[Item]) -> Sequence[Outcome]:
        """Create the leads in one call, each of which succeeds or fails alone."""
        writes, outcomes = self.prepared(
            items, lambda item: self._write(item.record, item.key, self.references.one)
        )
        if writes:
            outcomes |= self._together(writes)
        return [outcomes[item.key] for item in items]

    def fit(self, record: Record, *, key: str) -> dict[str, Any]:
        """As Dataverse takes it: a choice by its number, dates with or without a time, nothing empty."""
        values = super().fit(record, key=key)
        self._emails[key] = str(values.get("emailaddress1") or "")
        return {name: self._exact(name, value) for name, value in values.items() if value not in ("", None)}

    def _exact(self, name: str, value: Any) -> Any:
        field = self.fields.get(name)
        if field is None or not isinstance(value, str):
            return value
        if field.type == "choice":
            if not re.fullmatch(r"-?\d{1,10}", value.strip(), re.ASCII):
                raise Stopped(
                    Rejected(
                        _("“{label}” has no choice “{value}”.").format(
                            label=field.label, value=clipped(value)
                        ),
                        field=name,
                    )
                )
            return int(value)
        if field.type == "date":
            day, at = value[:DATE_ONLY], value[DATE_ONLY:]
            return day if field.max_length == DATE_ONLY else f"{day}{at or 'T00:00:00Z'}"
        return value

    def _write(self, values: Record, key: str, bind: Callable[[str, str], Bound]) -> Request:
        body: dict[str, Any] = {}
        for name, value in values.items():
            field = self.fields.get(name)
            if field and field.type == "reference":
                bound = bind(name, str(value))
                body[bound.name] = bound.value
                self._bound.setdefault(key, {})[bound.table] = name, str(value)
            else:
                body[name] = value
        headers = {**HEADERS, "content-type": "application/json", "if-none-match": "*"}
        if self.settings["duplicates"] != "create":
            headers["MSCRM.SuppressDuplicateDetection"] = "false"
        return Request("PATCH", f"{self.api}leads({key})", headers, body)

    def _together(self, writes: Mapping[str, Request]) -> dict[str, Outcome]:
        boundary = f"batch_{next(iter(writes))}"
        headers = {
            **HEADERS,
            "content-type": f"multipart/mixed; boundary={boundary}",
            "prefer": "odata.continue-on-error",
        }
        body = batch.written(writes.values(), boundary)
        answer = self.call(Request("POST", f"{self.api}$batch", headers, body), write=True)
        parts = batch.read(answer)
        if len(parts) > len(writes):
            raise Unreadable(_("The answer to a batch tells of more leads than were sent."), sent=True)
        return {key: self._told(part, key) for key, part in zip_longest(writes, parts)}

    def _told(self, part: Response | None, key: str) -> Outcome:
        if part is None:
            return RetryLater(_("The answer to a batch does not tell of this lead."), uncertain=True)
        return self.concluded(lambda: self.delivered(self.accepted(part, write=True, key=key), key=key))

    def _shown(self, field: str, text: str) -> Bound:
        return self.references.known(field, text) or Bound("", f"{field}@odata.bind", f"(the id of “{text}”)")

    def delivered(self, response: Response, *, key: str) -> Delivered:
        """Dataverse answers 204, or names the record; whoever else answers is not Dataverse."""
        named = response.headers.get("odata-entityid", "")
        if (named and key.lower() not in named.lower()) or not (named or response.status == 204):
            raise Unreadable(
                _("The answer (HTTP {status}) is not of Dynamics 365.").format(status=response.status),
                sent=True,
            )
        return Delivered(remote_id=key)

    def record_url(self, remote_id: str) -> str:
        """The lead's form in the model-driven app."""
        return f"{self.url}/main.aspx?etn=lead&pagetype=entityrecord&id={quote(remote_id)}"

    # --- Refusals ---------------------------------------------------------------------------------

    def verdict(
        self, status: int, said: Said, *, write: bool, key: str = "", delay: float | None = None
    ) -> Outcome:
        """By the table, once Dataverse was asked for what it does not say: whose record it is that is in the way."""
        if key and said.code == DUPLICATE_RULE:
            said = replace(said, other=self._same_email(key))
        if bound := self._bound.get(key, {}).get(missing_table(said)):
            self.references.forget(*bound)
            said = replace(said, field=bound[0])
        outcome = super().verdict(status, said, write=write, key=key, delay=delay)
        if key and said.code == UNIQUE and self._absent(key):
            reason = _("Another record of Dynamics 365 has a value that must be unique: {words}").format(
                words=plain(said.words)
            )
            return duplicate(Complaint(self.masked(reason), other=self._same_email(key)))
        if said.field and isinstance(outcome, DestinationFault) and status in (403, 404):
            # One mapping is at fault, not the connection.
            return Rejected(outcome.reason, field=plain(said.field))
        return outcome

    def _same_email(self, key: str) -> str:
        """The id of the newest lead with this lead's e-mail address; empty where there is none or nobody tells."""
        if not (email := self._emails.get(key)):
            return ""
        where = f"emailaddress1 eq {literal(email)}"
        question = path("leads", select="leadid", filter=where, orderby="createdon desc", top="1")
        try:
            rows = self._rows(question)
        except (Stopped, NoAnswer):
            return ""
        return str(rows[0].get("leadid") or "") if rows else ""

    def _absent(self, key: str) -> bool:
        """Whether Dataverse says that there is no lead of this key."""
        request = self._read(path(f"leads({key})", select="leadid"))
        try:
            answer = self.call(request, write=False, accept={404})
        except (Stopped, NoAnswer):
            return False
        return answer.status == 404 and self.explain(answer).code in NOT_THERE

    # --- What staff ask ---------------------------------------------------------------------------

    def examine(self) -> Sequence[str]:
        """Sign in, read, and ask whether the application user may create leads."""
        user = self._who_am_i()
        self._rows(path("leads", select="leadid", top="1"))
        findings = [
            _("Connected to {host} as {user}.").format(
                host=urlsplit(self.url).hostname, user=self._name_of(user)
            )
        ]
        privileges = self._privileges(user)
        if privileges is None:
            findings.append(_("Can read leads: yes. Whether it can create them, Dynamics 365 does not tell."))
        elif "prvCreateLead" not in privileges:
            raise Stopped(
                DestinationFault(
                    _(
                        "Signed in, and leads can be read, but not created: give the security role of the application "
                        "user the privilege Create on the table Lead (prvCreateLead)."
                    )
                )
            )
        else:
            findings.append(_("Can read leads: yes. Can create leads: yes."))
            for name, what in _PRIVILEGES.items():
                if name not in privileges:
                    findings.append(_(what))
        return (*findings, *self._about_duplicates())

    def _who_am_i(self) -> str:
        try:
            user = self.call(self._read("WhoAmI"), write=False).json_object().get("UserId")
        except Unreadable:
            user = None
        if not isinstance(user, str):
            raise Stopped(
                DestinationFault(
                    _(
                        "Something answers at the environment address, but not Dynamics 365: check the address; "
                        "it is one such as https://contoso.crm4.dynamics.com."
                    )
                )
            )
        return user

    def _name_of(self, user: str) -> str:
        name = self._if_told(path(f"systemusers({quote(user)})", select="fullname")).get("fullname")
        if isinstance(name, str) and name:
            return f"“{plain(name)}”"
        return _("the application user {user}").format(user=plain(user))

    def _privileges(self, user: str) -> set[str] | None:
        """Those that matter of what the user may do, by roles of its own or of its teams; None where nobody tells."""
        names = ",".join(f'"{name}"' for name in ("prvCreateLead", *_PRIVILEGES))
        function = "Microsoft.Dynamics.CRM.RetrieveUserSetOfPrivilegesByNames(PrivilegeNames=@names)"
        question = f"systemusers({quote(user)})/{function}?@names={quote(f'[{names}]', safe='')}"
        rows = self._if_told(question).get("RolePrivileges")
        if not isinstance(rows, list):
            return None
        return {str(row.get("PrivilegeName")) for row in rows if isinstance(row, dict)}

    def _about_duplicates(self) -> Sequence[str]:
        """Without a published rule Dynamics 365 takes nobody for a duplicate, whatever this connection asks."""
        where = "baseentityname eq 'lead' and statuscode eq 2"
        rules = self._if_told(path("duplicaterules", select="name", filter=where)).get("value")
        if rules != [] or self.settings["duplicates"] == "create":
            return ()
        said = _(
            "Dynamics 365 has no published duplicate detection rule for leads: it will find no duplicate."
        )
        return (said,)

    def _if_told(self, question: str) -> dict[str, Any]:
        """The answer to a question that Dynamics 365 may leave unanswered; empty where it does."""
        answer = self.call(self._read(question), write=False, accept={400, 403, 404, 405, 501})
        try:
            body = answer.json_object()
        except Unreadable:
            return {}
        return body if answer.status == 200 else {}
