"""How an offer's URL is made known to Microsoft without Partner Center's pages: a request to the Product Ingestion API.

Microsoft Learn, "Product Ingestion API for the commercial marketplace", "Configure lead management", and its list of
resources (customer-leads 2022-03-01-preview3, since December 2022), read in November 2026. A preview: nobody here has
sent this request.
"""

import json

from leads.texts import gettext_noop

API = "https://graph.microsoft.com/rp/product-ingestion"
VERSION = "2022-03-01-preview2"
SCHEMAS = "https://schema.mp.microsoft.com/schema"
PRODUCT = "PRODUCT-ID"  # stands for the id that only Microsoft knows
AS_OF = gettext_noop("December 2022")

CONFIGURE = f"{API}/configure?$version={VERSION}"


def find_product(offer_id: str) -> str:
    """The address that tells the id of an offer's product."""
    return f"{API}/product?externalId={offer_id}&$version={VERSION}"


def configuration(url: str) -> str:
    """The body that makes this URL the lead destination of the product, as JSON to look at and to copy."""
    body = {
        "$schema": f"{SCHEMAS}/configure/{VERSION}",
        "resources": [
            {
                "$schema": f"{SCHEMAS}/customer-leads/2022-03-01-preview3",
                "id": f"customer-leads/{PRODUCT}",
                "product": f"product/{PRODUCT}",
                "leadDestination": "httpsEndpoint",
                "httpsEndpointLeadConfiguration": {"httpsEndpointUrl": url},
            }
        ],
    }
    return json.dumps(body, indent=2)
