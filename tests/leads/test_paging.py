"""Turning the pages of a list shows every row once, in order, whatever comes in meanwhile and whatever is typed."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import chain
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from crm_sync.models import Delivery, Destination, Route
from leads import counting
from leads.admin.customers import CustomerAdmin
from leads.admin.leads import LeadAdmin
from leads.admin.quarantine import QuarantineAdmin
from leads.models import Customer, Lead, Offer, Submission
from tests.leads.grouping import START, make_lead
from tests.staff import make_searchable, signed_in

pytestmark = pytest.mark.django_db

LEADS = "/admin/leads/lead/"
SIZE = 4


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    for page in (LeadAdmin, CustomerAdmin, QuarantineAdmin):
        monkeypatch.setattr(page, "list_per_page", SIZE)
    monkeypatch.setattr(counting, "PATIENCE", 5.0)  # however busy the machine


@pytest.fixture
def client() -> Client:
    return signed_in("alice")


@pytest.fixture
def leads(offer: Offer) -> list[Lead]:
    """Ten, the newest first; four of them came at one moment."""
    moments = [START + timedelta(hours=hours) for hours in (1, 2, 3, 4, 4, 4, 4, 5, 6, 7)]
    made = [make_lead(offer, last_name=f"No {n}", received_at=at) for n, at in enumerate(moments)]
    return sorted(made, key=lambda lead: (lead.received_at, lead.pk), reverse=True)


def list_at(client: Client, address: str) -> Any:
    response = client.get(address)
    assert response.status_code == 200, address
    return response.context["cl"]


def walk(client: Client, address: str, way: str = "older") -> Iterator[list[Any]]:
    """Page after page, by one of the links."""
    base = address.partition("?")[0]
    for _ in range(20):
        shown = list_at(client, address)
        yield [row.pk for row in shown.result_list]
        link = getattr(shown.pages, way)
        if not link:
            return
        address = base + link
    pytest.fail("It never ends")


def keys(leads: list[Lead]) -> list[Any]:
    return [lead.pk for lead in leads]


def test_older_leads_to_every_row_once_and_in_order(client: Client, leads: list[Lead]) -> None:
    pages = list(walk(client, LEADS))
    assert [len(page) for page in pages] == [4, 4, 2]
    assert [*chain(*pages)] == keys(leads)


def test_newer_leads_back_to_a_full_first_page(client: Client, leads: list[Lead]) -> None:
    pages = list(walk(client, f"{LEADS}?before=end", "newer"))
    assert [len(page) for page in pages] == [4, 4, 4]
    assert pages[0] == keys(leads)[-4:]
    assert pages[1] == keys(leads)[-8:-4]
    assert pages[2] == keys(leads)[:4]


def test_the_first_page_has_no_newer_and_the_last_no_older(client: Client, leads: list[Lead]) -> None:
    first, last = list_at(client, LEADS).pages, list_at(client, f"{LEADS}?before=end").pages
    assert (first.newest, first.newer) == ("", "")
    assert (last.older, last.oldest) == ("", "")
    assert first.older
    assert first.oldest == "?before=end&view=needs_me"
    assert last.newest == "?view=all"
    text = client.get(LEADS).content.decode()
    assert 'rel="next">Older</a>' in text
    assert '<span class="quiet">Newer</span>' in text


def test_what_fits_on_one_page_has_no_links(client: Client, offer: Offer) -> None:
    make_lead(offer)
    text = client.get(LEADS).content.decode()
    assert "Older" not in text
    assert "1 lead" in text
    assert list_at(client, f"{LEADS}?before=end").result_count == 1


def test_what_comes_in_meanwhile_moves_no_page(client: Client, leads: list[Lead], offer: Offer) -> None:
    older = LEADS + list_at(client, LEADS).pages.older
    make_lead(offer, received_at=START + timedelta(days=900))
    assert [row.pk for row in list_at(client, older).result_list] == keys(leads)[4:8]


def test_a_page_is_found_though_its_row_is_deleted(client: Client, leads: list[Lead]) -> None:
    older = LEADS + list_at(client, LEADS).pages.older
    leads[3].delete()
    assert [row.pk for row in list_at(client, older).result_list] == keys(leads)[4:8]


def test_filters_and_searches_go_along_and_a_page_does_not_go_with_them(
    client: Client, leads: list[Lead]
) -> None:
    make_searchable()
    asked = f"{LEADS}?q=no&status__exact=new&kind=all"
    assert [*chain(*walk(client, asked))] == keys(leads)
    second = list_at(client, LEADS + list_at(client, asked).pages.older)
    assert "q=no" in second.pages.older
    assert "status__exact=new" in second.pages.newest
    # Another filter begins with its first page.
    assert "after" not in second.get_query_string({"status__exact": "closed"})
    text = client.get(LEADS + list_at(client, asked).pages.older).content.decode()
    assert 'name="after"' not in text


@pytest.mark.parametrize("name", ["after", "before"])
@pytest.mark.parametrize(
    "value",
    [
        "nonsense",
        "~",
        "a~b",
        "2026-11-22~x",
        "2026-11-22T10:00:00~0193575702ab70008000000000040f11",
        "0001-01-01T00:00:00+23:59~0193575702ab70008000000000040f11",
        "9999-12-31T23:59:59-23:59~0193575702ab70008000000000040f11",
        "' OR 1=1 --~'",
        "\0~\0",
        "9" * 5_000,
        "~".join("abc"),
    ],
)
def test_what_names_no_page_leads_to_the_first(
    client: Client, leads: list[Lead], name: str, value: str
) -> None:
    shown = list_at(client, f"{LEADS}?{urlencode({name: value, 'view': 'all'})}")
    assert [row.pk for row in shown.result_list] == keys(leads)[:4]


@pytest.mark.parametrize("value", ["x", "-1", "9" * 30, "1.5", "1~2"])
def test_numbers_that_are_no_ids_lead_to_the_first_page(client: Client, value: str) -> None:
    made = [Customer.objects.create(name=f"No {n}").pk for n in range(6)]
    shown = list_at(client, f"/admin/leads/customer/?{urlencode({'after': value})}")
    assert [row.pk for row in shown.result_list] == made[::-1][:4]


def test_after_the_end_is_the_first_page(client: Client, leads: list[Lead]) -> None:
    at = (START - timedelta(days=999)).isoformat()
    shown = list_at(client, f"{LEADS}?{urlencode({'after': f'{at}~{leads[0].pk}'})}")
    assert [row.pk for row in shown.result_list] == keys(leads)[:4]


def test_columns_are_not_sorted_by(client: Client, leads: list[Lead]) -> None:
    shown = list_at(client, f"{LEADS}?o=2.-1")
    assert [row.pk for row in shown.result_list] == keys(leads)[:4]
    assert "sortable" not in client.get(LEADS).content.decode()


def test_the_number_is_told_up_to_a_limit(
    client: Client, leads: list[Lead], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "10 leads" in client.get(LEADS).content.decode()
    monkeypatch.setattr(counting, "MOST", 7)
    assert "7+ leads" in client.get(LEADS).content.decode()


def test_an_action_on_all_that_match_gets_them_all(
    client: Client, leads: list[Lead], monkeypatch: pytest.MonkeyPatch
) -> None:
    got: list[Any] = []

    def note(page: Any, request: Any, queryset: Any) -> None:
        got.extend(queryset.values_list("pk", flat=True))

    monkeypatch.setattr(LeadAdmin, "actions", [note])
    make_searchable()
    second = LEADS + list_at(client, f"{LEADS}?q=no").pages.older
    data = {"action": "note", "_selected_action": [str(leads[0].pk)], "index": "0"}
    client.post(second, data | {"select_across": "1"})
    assert got == keys(leads)
    got.clear()
    client.post(second, data | {"select_across": "0"})
    assert got == [leads[0].pk]


def test_a_page_reads_its_rows_by_key_and_skips_none(client: Client, leads: list[Lead]) -> None:
    older = LEADS + list_at(client, LEADS).pages.older
    with CaptureQueriesContext(connection) as queries:
        client.get(older)
    assert not any("OFFSET" in query["sql"] for query in queries)


# The other lists


def test_customers_turn_pages(client: Client) -> None:
    made = [Customer.objects.create(name=f"No {n}").pk for n in range(6)]
    assert list(walk(client, "/admin/leads/customer/")) == [made[::-1][:4], made[::-1][4:]]


@pytest.mark.parametrize("verdict", ["", "all", "discarded"])
def test_requests_turn_pages(client: Client, offer: Offer, verdict: str) -> None:
    made = [
        Submission.objects.create(
            id=UUID(int=n + 1),
            offer=offer,
            received_at=START + timedelta(hours=n),
            body=b"{",
            body_digest=str(n),
            verdict="discarded" if verdict == "discarded" else "quarantined",
            reason="not_json",
        ).pk
        for n in range(6)
    ]
    address = "/admin/leads/submission/" + (f"?verdict={verdict}" if verdict else "")
    assert list(walk(client, address)) == [made[::-1][:4], made[::-1][4:]]


@pytest.mark.parametrize("state", ["", "waiting"])
def test_sendings_turn_pages(
    client: Client, offer: Offer, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from crm_sync.admin.sendings import DeliveryAdmin

    monkeypatch.setattr(DeliveryAdmin, "list_per_page", SIZE)
    destination = Destination.objects.create(name="hook", connector="webhook")
    route = Route.objects.create(offer=offer, destination=destination)
    made = [
        Delivery.objects.create(
            lead=make_lead(offer), route=route, destination=destination, created_at=START + timedelta(hours=n)
        ).pk
        for n in range(6)
    ]
    address = "/admin/crm_sync/delivery/" + (f"?state={state}" if state else "")
    assert list(walk(client, address)) == [made[::-1][:4], made[::-1][4:]]
