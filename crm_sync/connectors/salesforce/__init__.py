"""Salesforce, by its REST API."""

from crm_sync.connectors.salesforce.connector import SalesforceConnector

__all__ = ["SalesforceConnector"]
