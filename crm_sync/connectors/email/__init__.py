"""E-mail, through this installation's own mail server."""

from crm_sync.connectors.email.connector import EmailConnector

__all__ = ["EmailConnector"]
