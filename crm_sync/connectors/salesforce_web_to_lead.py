"""Salesforce Web-to-Lead: a form post for those without the API, as Microsoft's own writer makes it.

Facts: Salesforce Help, "Guidelines for Setting Up Web-to-Lead" and "Web-to-Lead FAQ" (2026-11).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

from crm_sync.connectors import suggestions
from crm_sync.connectors.base import Connector, Record, Request, Stopped
from crm_sync.connectors.suggestions import field
from crm_sync.http import Response
from crm_sync.outcomes import Delivered
from crm_sync.spec import Setting, Spec, TargetField
from leads.texts import gettext as _
from leads.texts import gettext_noop

_ORGANIZATION = re.compile(r"00D[a-zA-Z0-9]{12}(?:[a-zA-Z0-9]{3})?")


class SalesforceWebToLeadConnector(Connector):
    """Posts the form of Web-to-Lead. Salesforce answers 200 whatever becomes of it."""

    spec = Spec(
        slug="salesforce_web_to_lead",
        label=gettext_noop("Salesforce Web-to-Lead (form, without the API)"),
        settings=(
            Setting(
                "url",
                gettext_noop("Form address"),
                kind="url",
                required=False,
                help=gettext_noop(
                    "What stands after action= in the form of Setup > Web-to-Lead > Create Web-to-Lead Form. "
                    "A sandbox has test.salesforce.com in it."
                ),
                default="https://webto.salesforce.com/servlet/servlet.WebToLead?encoding=UTF-8",
            ),
            Setting(
                "oid",
                gettext_noop("Organization ID"),
                help=gettext_noop(
                    "Setup > Company Information > Salesforce.com Organization ID: 15 or 18 characters, from 00D on. "
                    "It is the value of oid in the form, too."
                ),
            ),
        ),
        fields=(
            TargetField(
                "last_name",
                gettext_noop("Last Name"),
                required=True,
                max_length=80,
                suggested=suggestions.LAST_NAME,
            ),
            TargetField(
                "company",
                gettext_noop("Company"),
                required=True,
                max_length=255,
                suggested=suggestions.COMPANY,
            ),
            field("first_name", gettext_noop("First Name"), "first_name", max_length=40),
            field("email", gettext_noop("Email"), "email", "email", max_length=80),
            field("phone", gettext_noop("Phone"), "phone", "phone", max_length=40),
            field("title", gettext_noop("Title"), "title", max_length=128),
            field("country", gettext_noop("Country"), "country", transform="country_name", max_length=80),
            TargetField(
                "country_code", gettext_noop("Country code, where country picklists are on"), max_length=10
            ),
            field("lead_source", gettext_noop("Lead Source"), "lead_source", max_length=255),
            TargetField(
                "description",
                gettext_noop("Description"),
                max_length=32_000,
                suggested=suggestions.DESCRIPTION,
            ),
            TargetField("doNotCall", gettext_noop("Do Not Call"), "flag", suggested=suggestions.DNC),
            TargetField("emailOptOut", gettext_noop("Email Opt Out"), "flag", suggested=suggestions.DNC),
        ),
        max_per_day=500,
        any_field=True,
    )

    @classmethod
    def clean(cls, settings: Mapping[str, str]) -> dict[str, str]:
        """The form of the organization's id: Salesforce would take a wrong one without a word."""
        if _ORGANIZATION.fullmatch(settings.get("oid", "")):
            return {}
        return {"oid": _("An organization ID has 15 or 18 letters and digits, and starts with 00D.")}

    def requests(self, record: Record, *, key: str) -> Sequence[Request]:
        """One post of the form."""
        fields = {name: _written(value) for name, value in self.fit(record, key=key).items()}
        form = {name: text for name, text in fields.items() if text} | {"oid": self.settings["oid"]}
        headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
        return [Request("POST", self.settings["url"], headers, urlencode(form, errors="replace"))]

    def delivered(self, response: Response, *, key: str) -> Delivered:
        """Salesforce names no lead, and does not say whether it made one."""
        return Delivered(
            key, note=_("Salesforce took the form. It does not say whether it made a lead of it.")
        )

    def examine(self) -> Sequence[str]:
        """See whether the host answers; nothing else can be seen without a lead."""
        response = self.http.request("HEAD", self.settings["url"])
        if response.status >= 300 and response.status != 405:
            raise Stopped(self.judge(response, write=False))
        host = urlsplit(self.settings["url"]).hostname
        silent = _(
            "Salesforce does not tell whether the organization ID is right, Web-to-Lead is on and reCAPTCHA is off: "
            "send a sample lead, and look for it in Salesforce."
        )
        return _("{host} can be reached: it answered HEAD with {status}. No lead was sent.").format(
            host=host, status=response.status
        ), silent


def _written(value: Any) -> str:
    """A value as a form has it: a box that is ticked is 1, one that is not is left out."""
    if isinstance(value, bool):
        return "1" if value else ""
    return str(value)
