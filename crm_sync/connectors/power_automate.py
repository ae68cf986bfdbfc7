"""A flow of Power Automate, or a workflow of Logic Apps, that starts when an HTTP request is received.

The body is the one that Microsoft's own sender posts to such a flow, so that flows made for it go on working:
https://learn.microsoft.com/partner-center/referrals/commercial-marketplace-lead-management-instructions-https, 2026-11.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs, urlencode, urlsplit

from crm_sync.connectors.answers import ErrorRow, fault, plain, rejected, uncertain
from crm_sync.connectors.base import Connector, Record, Request, Stopped
from crm_sync.connectors.suggestions import field
from crm_sync.http import Response, Unreadable
from crm_sync.outcomes import Delivered, DestinationFault, Rejected
from crm_sync.spec import Setting, Spec
from crm_sync.transforms import as_text
from leads.texts import gettext as _
from leads.texts import gettext_noop

_PAGE = "https://learn.microsoft.com/azure/logic-apps/logic-apps-http-endpoint, 2026-11"
_ACCESS = "https://learn.microsoft.com/power-automate/oauth-authentication, 2026-11"

_USER = ("FirstName", "LastName", "Email", "Phone", "Country", "Company", "Title")
_LEAD = ("LeadSource", "ActionCode", "OfferTitle", "Description")
_MICROSOFTS = (".logic.azure.com", ".api.powerplatform.com")


class PowerAutomateConnector(Connector):
    """Posts each lead to the flow's own URL; the flow starts anew with every request that it accepts."""

    spec = Spec(
        slug="power_automate",
        label=gettext_noop("Power Automate or Logic Apps"),
        settings=(
            Setting(
                "url",
                gettext_noop("HTTP URL of the flow"),
                kind="url",
                help=gettext_noop(
                    "In the flow, open the trigger When an HTTP request is received and copy its HTTP URL, once the "
                    "flow is saved. Who can trigger the flow? must say Anyone: the signature in the URL is the key."
                ),
                secret=True,
            ),
        ),
        fields=(
            field("FirstName", "UserDetails: FirstName", "first_name"),
            field("LastName", "UserDetails: LastName", "last_name"),
            field("Email", "UserDetails: Email", "email", "email"),
            field("Phone", "UserDetails: Phone", "phone", "phone"),
            field("Country", "UserDetails: Country", "country"),
            field("Company", "UserDetails: Company", "company"),
            field("Title", "UserDetails: Title", "title"),
            field("LeadSource", "LeadSource", "lead_source"),
            field("ActionCode", "ActionCode", "action"),
            field("OfferTitle", "OfferTitle", "offer_title"),
            field("Description", "Description", "description"),
            field("LeadId", "LeadId", "id"),
        ),
        any_field=True,
    )
    errors = (
        ErrorRow(
            400,
            "^WorkflowTriggerIsNotEnabled",
            fault,
            _PAGE,
            gettext_noop(
                "The flow is switched off or was deleted: turn it on (Power Automate: My flows > the flow > Turn on)"
            ),
        ),
        ErrorRow(
            404,
            "^Workflow.*NotFound",
            fault,
            _PAGE,
            gettext_noop("There is no flow at this URL any more: copy the HTTP URL of its trigger again"),
        ),
        ErrorRow(
            None,
            "^DirectApi|[Ss]ignature",
            fault,
            _ACCESS,
            gettext_noop(
                "The flow does not accept the signature in the URL: copy the HTTP URL of its trigger again, and "
                "see that Who can trigger the flow? says Anyone"
            ),
        ),
        ErrorRow(
            400,
            "^TriggerInputSchemaMismatch",
            rejected,
            _PAGE,
            gettext_noop("The JSON schema of the flow's trigger refuses this lead"),
        ),
        ErrorRow(
            502,
            "^NoResponse",
            uncertain,
            _PAGE,
            gettext_noop("The flow started, and ended before its Response action: look at its runs"),
        ),
    )

    @classmethod
    def clean(cls, settings: Mapping[str, str]) -> dict[str, str]:
        """A URL of Microsoft's has its signature; one of a gateway or a test need not."""
        url = urlsplit(settings.get("url", ""))
        if (url.hostname or "").endswith(_MICROSOFTS) and "sig" not in parse_qs(url.query):
            return {
                "url": _(
                    "The URL has no signature (sig=...): copy it again, from its first letter to its last."
                )
            }
        return {}

    def requests(self, record: Record, *, key: str) -> Sequence[Request]:
        """One POST. What a lead does not have is sent as "".

        A null, and where the flow's schema says "required" a missing name too, would have the lead refused; and many
        expressions of flows fail on what is not there.
        """
        values = self.fit(record, key=key)
        body = {
            "UserDetails": {name: as_text(values.pop(name, "")) for name in _USER},
            **{name: as_text(values.pop(name, "")) for name in _LEAD},
            "LeadId": as_text(values.pop("LeadId", "")) or key,
            **values,
        }
        return [Request("POST", self.settings["url"], {"x-ms-client-tracking-id": key}, body)]

    def delivered(self, response: Response, *, key: str) -> Delivered:
        """202, or what the flow's Response action says, with the id of the run.

        A page for people without one is a sign-in or a parked address. Raises Unreadable for it.
        """
        run = plain(response.headers.get("x-ms-workflow-run-id", ""))
        if not run and _is_page(response):
            raise Unreadable(_(_NO_FLOW).format(status=response.status), sent=True)
        return Delivered(remote_id=run or key)

    def examine(self) -> Sequence[str]:
        """Ask the flow's address without its signature, and not by POST, so that no flow can start.

        Nearly any refusal of such a request shows that somebody is there.
        """
        url = urlsplit(self.settings["url"])
        query = parse_qs(url.query, keep_blank_values=True)
        signature = query.pop("sig", None)
        unsigned = url._replace(query=urlencode(query, doseq=True)).geturl()
        response = self.exchange(Request("GET", unsigned, {}), write=False)
        succeeded = 200 <= response.status < 300
        if succeeded and _is_page(response):
            raise Stopped(DestinationFault(_(_NO_FLOW).format(status=response.status)))
        if not succeeded and response.status not in (401, 403, 405):
            outcome = self.judge(response, write=False)
            if not isinstance(outcome, Rejected):
                raise Stopped(outcome)
        return (
            _("{host} can be reached: it answered HTTP {status} to a request without the signature.").format(
                host=url.hostname, status=response.status
            ),
            _("The flow was not started, so whether it takes leads shows with the first: send one sample.")
            if signature
            else _("The URL carries no signature, so whoever knows it can start the flow."),
        )


_NO_FLOW = gettext_noop(
    "The address answers with a web page (HTTP {status}), not as a flow does: copy the HTTP URL again."
)


def _is_page(response: Response) -> bool:
    return "html" in response.headers.get("content-type", "")
