"""Odoo's CRM app."""

from crm_sync.connectors.odoo.connector import OdooConnector

__all__ = ["OdooConnector"]
