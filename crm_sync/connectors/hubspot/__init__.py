"""HubSpot CRM, by its API, v3."""

from crm_sync.connectors.hubspot.connector import HubSpotConnector

__all__ = ["HubSpotConnector"]
