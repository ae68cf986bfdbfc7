"""The request that registers an offer's URL at Microsoft."""

import json
import re

import pytest
from django.urls import reverse

from leads import registering
from leads.vault import MASK
from tests.staff import make_offer, signed_in

URL = "https://leads.contoso.example/in/key"


def test_the_request_is_the_one_that_microsoft_documents() -> None:
    """Microsoft Learn, Product Ingestion API, Configure lead management; read in November 2026."""
    body = json.loads(registering.configuration(URL))
    (resource,) = body["resources"]
    assert resource == {
        "$schema": "https://schema.mp.microsoft.com/schema/customer-leads/2022-03-01-preview3",
        "id": "customer-leads/PRODUCT-ID",
        "product": "product/PRODUCT-ID",
        "leadDestination": "httpsEndpoint",
        "httpsEndpointLeadConfiguration": {"httpsEndpointUrl": URL},
    }
    assert registering.CONFIGURE.endswith("/rp/product-ingestion/configure?$version=2022-03-01-preview2")
    assert "externalId=mail-archive&" in registering.find_product("mail-archive")


@pytest.mark.django_db
def test_the_offers_page_has_the_steps_and_the_request_for_those_who_may_see_the_url() -> None:
    offer = make_offer()
    page = reverse("admin:leads_offer_change", args=[offer.pk])
    html = signed_in("bob").get(page).content.decode()
    for said in ("Step by step in Partner Center", "Customer leads", "HTTPS endpoint URL", "Go live"):
        assert said in html
    assert re.search(rf"httpsEndpointUrl&quot;: &quot;{re.escape(offer.endpoints.get().url)}", html)
    html = signed_in("dave").get(page).content.decode()
    assert "httpsEndpointUrl" not in html
    assert MASK in html
