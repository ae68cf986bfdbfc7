"""The admin's pages on where leads go, a module each, and what they add to the pages of leads and offers."""

from crm_sync import alerts
from crm_sync.admin import demo, destinations, routes, sendings
from leads.ports import Ports

__all__ = ["demo", "destinations", "plug_in", "routes", "sendings"]


def plug_in(ports: Ports) -> None:
    """Register what pages of leads and offers show about sending."""
    ports.lead_panels.append(sendings.lead_panel)
    ports.lead_columns.append(sendings.SendingColumn())
    ports.lead_filters.append(sendings.SendingFilter)
    ports.lead_actions.append(sendings.retry_leads)
    ports.timeline.append(sendings.timeline)
    ports.offer_panels.append(routes.offer_panel)
    ports.notices.append(alerts.notices)
