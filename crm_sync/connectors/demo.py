"""The demo CRM inside this app. It is spoken to over HTTP like any other, through a transport of its own."""

from collections.abc import Sequence

from crm_sync.connectors.base import Connector, Record, Request
from crm_sync.connectors.suggestions import field
from crm_sync.http import Response
from crm_sync.outcomes import Delivered
from crm_sync.spec import Spec, TargetField
from leads.texts import gettext as _
from leads.texts import gettext_noop

BASE_URL = "http://demo-crm.internal/api"


class DemoConnector(Connector):
    """Puts a lead under its own key, so that the second try finds the first."""

    spec = Spec(
        slug="demo",
        label=gettext_noop("Demo CRM (inside this app, for trying things out)"),
        settings=(),
        fields=(
            TargetField(
                "topic",
                gettext_noop("Topic"),
                required=True,
                max_length=300,
                suggested={"kind": "template", "template": "{{ offer_title }}: {{ full_name }}"},
            ),
            field("first_name", gettext_noop("First name"), "first_name"),
            field("last_name", gettext_noop("Last name"), "last_name"),
            field("email", gettext_noop("Email"), "email", "email"),
            field("phone", gettext_noop("Phone"), "phone", "phone"),
            field("company", gettext_noop("Company"), "company"),
            field("job_title", gettext_noop("Job title"), "title"),
            field("country", gettext_noop("Country"), "country", transform="country_name"),
            field("source", gettext_noop("Source"), "source"),
            field("action", gettext_noop("Action"), "action"),
            field("description", gettext_noop("Description"), "description"),
        ),
        idempotent_by=gettext_noop(
            "The record's own id is the delivery's key, and no second record can have it."
        ),
    )

    def requests(self, record: Record, *, key: str) -> Sequence[Request]:
        """One PUT to the record's own address."""
        return [Request("PUT", f"{BASE_URL}/leads/{key}", {}, dict(record))]

    def delivered(self, response: Response, *, key: str) -> Delivered:
        """201 with the id, or 200 with `existed` where the key was there already."""
        body = response.json_object()
        return Delivered(
            remote_id=str(body.get("id") or key),
            remote_url=f"/admin/crm_sync/demorecord/?q={key}",
            existed=body.get("existed") is True,
        )

    def examine(self) -> Sequence[str]:
        """Ask whether it would take leads."""
        self.call(Request("GET", f"{BASE_URL}/check", {}), write=False)
        return (_("The demo CRM inside this app is ready and takes leads."),)
