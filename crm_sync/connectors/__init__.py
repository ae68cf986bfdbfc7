"""The registry: every kind of CRM there is. A new one: its module or package, a line here, its recorded exchanges."""

from collections.abc import Mapping
from types import MappingProxyType

from crm_sync.connectors.azure_table import AzureTableConnector
from crm_sync.connectors.base import Connector
from crm_sync.connectors.demo import DemoConnector
from crm_sync.connectors.dynamics365 import Dynamics365Connector
from crm_sync.connectors.email import EmailConnector
from crm_sync.connectors.hubspot import HubSpotConnector
from crm_sync.connectors.odoo import OdooConnector
from crm_sync.connectors.power_automate import PowerAutomateConnector
from crm_sync.connectors.salesforce import SalesforceConnector
from crm_sync.connectors.salesforce_web_to_lead import SalesforceWebToLeadConnector
from crm_sync.connectors.settings import validate_settings
from crm_sync.connectors.webhook import WebhookConnector
from leads.texts import gettext as _

__all__ = ["REGISTRY", "Connector", "UnknownConnector", "all", "get", "validate_settings"]

REGISTRY: Mapping[str, type[Connector]] = MappingProxyType(
    {
        connector.spec.slug: connector
        for connector in (
            Dynamics365Connector,
            SalesforceConnector,
            HubSpotConnector,
            OdooConnector,
            AzureTableConnector,
            SalesforceWebToLeadConnector,
            PowerAutomateConnector,
            EmailConnector,
            WebhookConnector,
            DemoConnector,
        )
    }
)


class UnknownConnector(ValueError):  # noqa: N818 - named for what happened
    """No connector has this slug; the message lists those there are."""


def get(slug: str) -> type[Connector]:
    """The connector of that slug. Raises UnknownConnector."""
    try:
        return REGISTRY[slug]
    except KeyError:
        known = ", ".join(sorted(REGISTRY))
        raise UnknownConnector(
            _("There is no connector {slug!r}; there are {known}.").format(slug=slug, known=known)
        ) from None


def all() -> tuple[type[Connector], ...]:  # noqa: A001 - read as connectors.all()
    """Every connector, in the order in which staff are offered them."""
    return tuple(REGISTRY.values())
