"""Azure Table storage, and the Table API of Cosmos DB."""

from crm_sync.connectors.azure_table.connector import AzureTableConnector

__all__ = ["AzureTableConnector"]
