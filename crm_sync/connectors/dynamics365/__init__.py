"""Dynamics 365 Sales, by the Dataverse Web API."""

from crm_sync.connectors.dynamics365.connector import Dynamics365Connector

__all__ = ["Dynamics365Connector"]
