"""Every number of Home and of the reports leads to the list that it counts, and that list shows just so many."""

import re
from collections.abc import Iterator
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from crm_sync.models import Delivery, Destination, Route
from leads import figures
from leads.models import Lead, Offer, Submission
from leads.ports import ports
from leads.wording import midnight
from leadsite import home_mine, reports
from tests.crm_sync.screens import a_worker_lives, may_only
from tests.crm_sync.sending import install, make_destination, make_route
from tests.staff import body, lead_of, make_offer, person, post, signed_in

pytestmark = pytest.mark.django_db

HOME, REPORTS = "/admin/", "/admin/reports/?period=7"
SPAN = re.compile(r"less than a second|[0-9]+ (s|min|h)")
NUMBER = re.compile(r"[0-9][0-9,]*\+?")
LISTS = ("/admin/leads/lead/?", "/admin/crm_sync/delivery/?")


class Numbers(HTMLParser):
    """The texts of a page's own part: those that are links to lists, and those that are bare numbers."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[tuple[str, str]] = []
        self.bare: list[str] = []
        self._href: str | None = None
        self._text = ""
        self.feed(html[html.index('id="content-main"') :])

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag == "a":
            self._href, self._text = dict(attrs).get("href") or "", ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._href is not None:
            if self._href.startswith(LISTS):
                self.links.append((" ".join(self._text.split()), self._href))
            self._href = None

    def handle_data(self, data: str) -> None:
        if self._href is not None:
            self._text += data
        elif NUMBER.fullmatch(data.strip()) and data.strip() != "0":
            self.bare.append(data.strip())


def numbers(client: Client, address: str) -> Numbers:
    response = client.get(address)
    assert response.status_code == 200
    return Numbers(response.content.decode())


def counted(found: Numbers) -> Iterator[tuple[str, str]]:
    """Each number and its list; the spans of time lead where the number beside them leads."""
    lists = {href for text, href in found.links if not SPAN.fullmatch(text)}
    for text, href in found.links:
        if SPAN.fullmatch(text):
            assert href in lists
        elif number := NUMBER.search(re.sub("^.*:", "", text)):
            yield number[0], href


def each_leads_to_its_list(client: Client, address: str) -> dict[str, str]:
    """Asserts that it does; returns the lists, and how many each shows."""
    page = numbers(client, address)
    found = list(counted(page))
    for number, href in found:
        assert str(client.get(href).context["cl"].result_count) == number, href
    assert page.bare == []
    return {href: number for number, href in found}


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.PUBLIC_URL = "https://leads.contoso.example"
    monkeypatch.setattr(ports, "bell", [])


@pytest.fixture
def offers() -> list[Offer]:
    return [make_offer(name) for name in "abcdefgh"]


@pytest.fixture
def crm(monkeypatch: pytest.MonkeyPatch, offers: list[Offer]) -> Destination:
    install(monkeypatch)
    destination = make_destination()
    for offer in offers:
        make_route(offer, destination)
    return destination


def a_lead(offer: Offer, content: dict[str, Any] | None = None, **values: Any) -> Lead:
    """One that came an hour ago, or as said, and with these values in the table."""
    origin = values.pop("origin", Submission.Origin.ENDPOINT)
    at = values.pop("at", timezone.now() - timedelta(hours=1))
    number = Lead.objects.count()
    lead = lead_of(post(offer, content or body({"FirstName": str(number)}), origin=origin, at=at))
    Lead.objects.filter(pk=lead.pk).update(routed_at=at, **values)
    lead.refresh_from_db()
    return lead


def sent(lead: Lead, state: str = Delivery.State.DELIVERED, **values: Any) -> Delivery:
    route = Route.objects.get(offer=lead.offer)
    settled = timezone.now() if state == Delivery.State.DELIVERED else None
    at = {"created_at": lead.received_at, "settled_at": settled}
    return Delivery.objects.create(
        lead=lead, route=route, destination=route.destination, state=state, **at | values
    )


def a_busy_week(offers: list[Offer]) -> None:
    """Leads of all kinds on several days: those that count, and those that do not."""
    now, today = timezone.now(), midnight()
    answered = {"answered_at": now, "status": Lead.Status.WORKING}
    for number, offer in enumerate(offers):
        for day in range(number + 1):
            sent(a_lead(offer, at=max(today - timedelta(days=day), now - timedelta(days=6))))
    first = offers[0]
    demo = make_offer("demo", is_demo=True)
    make_route(demo, make_destination("demo"))
    crm_offer = make_offer("crm", worked_in=Offer.WorkedIn.CRM)
    make_route(crm_offer, Destination.objects.exclude(connector="demo").get())
    sent(a_lead(first, archived_at=now, **answered))
    sent(a_lead(first, is_test=True, **answered))
    sent(a_lead(first, origin=Submission.Origin.SAMPLE, **answered))
    sent(a_lead(first, origin=Submission.Origin.IMPORT, **answered))
    sent(a_lead(demo, **answered))
    sent(a_lead(crm_offer, **answered))
    sent(a_lead(demo), Delivery.State.WAITING)
    sent(a_lead(first), Delivery.State.WAITING)
    sent(a_lead(first), Delivery.State.LEASED, lease_token="0" * 32, lease_expires_at=now)
    sent(a_lead(first), Delivery.State.HELD, held_reason=Delivery.Held.DNC)
    a_lead(first, owner=person("charlie"), follow_up_on=timezone.localdate(), answer_due_at=now)
    for again in (*Lead.AGAIN, Lead.GroupedBy.SPLIT):
        a_lead(first, grouped_by=again, tidy_country="DE")


# Home


@pytest.mark.parametrize("who", ["alice", "bob", "charlie"])
def test_every_number_of_home_links_to_the_list_it_counts(
    who: str, offers: list[Offer], crm: Destination
) -> None:
    a_busy_week(offers)
    found = each_leads_to_its_list(signed_in(who), HOME)
    waiting = f"/admin/crm_sync/delivery/?state=on_their_way&destination={crm.pk}"
    assert who == "charlie" or found[waiting] == "2"
    assert any("answer=timed" in href for href in found)
    assert any("leads=timed" in href for href in found)
    assert any("offer__id__exact=not%3A" in href for href in found), "that of the other offers"


def test_the_other_offers_are_those_that_are_not_named_however_many_they_are(offers: list[Offer]) -> None:
    """An address that named each of them would be cut."""
    for offer in offers:
        a_lead(offer)
    client = signed_in("charlie")
    found = each_leads_to_its_list(client, HOME)
    others, *_days = [href for href in found if "offer__id__exact=not%3A" in href]
    named = "%2C".join(str(offer.pk) for offer in offers[:5])
    assert others.endswith(f"&offer__id__exact=not%3A{named}")
    assert found[others] == "3"
    assert client.get(f"{others}&owner=", follow=True).context["cl"].result_count == 3, "and by the form"
    assert "All but Contoso A, Contoso B" in client.get(others).content.decode()


def test_what_is_on_its_way_is_said_with_a_link_to_it(offers: list[Offer], crm: Destination) -> None:
    a_worker_lives()
    sent(a_lead(offers[0]), Delivery.State.WAITING)
    found = each_leads_to_its_list(signed_in("charlie"), HOME)
    assert found["/admin/crm_sync/delivery/?state=on_their_way&destination=real"] == "1"
    assert "1 on its way" in signed_in("charlie").get(HOME).content.decode()


def test_a_number_whose_list_somebody_may_not_see_is_no_link(offers: list[Offer], crm: Destination) -> None:
    a_worker_lives()
    sent(a_lead(offers[0]))
    sent(a_lead(offers[0]), Delivery.State.WAITING)
    client = may_only("grace", "leads.view_lead", "crm_sync.view_destination")
    for address in (HOME, REPORTS):
        page = numbers(client, address)
        assert not [href for _text, href in page.links if "crm_sync" in href]
        assert page.bare, "plain text"
    assert "1 on its way" in client.get(HOME).content.decode()


@pytest.mark.parametrize("address", [HOME, REPORTS])
def test_of_many_spans_of_time_those_are_listed_that_were_measured(
    address: str, offers: list[Offer], crm: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "MOST_TIMES", 2)
    now = timezone.now()
    for hours in range(1, 6):
        sent(a_lead(offers[0], at=now - timedelta(hours=hours), answered_at=now))
    found = each_leads_to_its_list(signed_in("bob"), address)
    assert [number for href, number in found.items() if "timed" in href] == ["2", "2"]


def test_a_capped_number_links_to_a_list_of_at_least_so_many(
    offers: list[Offer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home_mine, "CAP", 2)
    for _ in range(4):
        a_lead(offers[0])
    client = signed_in("charlie")
    ((number, href), *_others) = counted(numbers(client, HOME))
    assert number == "2+"
    assert client.get(href).context["cl"].result_count == 4


# Reports


LONG = "long" * 100  # beyond what is told apart
NAMES = ["Contoso fair", "is:Contoso", "portal", "other", "none", "Ünïcode & <b>", LONG]


@pytest.mark.parametrize("cut", [False, True], ids=["all", "the newest"])
def test_every_number_of_the_reports_links_to_the_list_it_counts(
    cut: bool, offers: list[Offer], crm: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_busy_week(offers)
    for name in NAMES:
        said = {"Description": f'{{"utm_campaign": "{name}"}}'}
        for source in (name, name.upper()):
            a_lead(offers[0], body({"LastName": source}, LeadSource=f"{source}|x.y", ActionCode=name, **said))
    for source in ("spza", "AppSource (SPZA)", "azuremarketplace", "Azure Portal", "TestDrive", "XSPZAX", ""):
        a_lead(offers[1], body({"LastName": source}, LeadSource=f"{source}-DNC|x.y", ActionCode=""))
    if cut:
        monkeypatch.setattr(reports, "MOST_LEADS", 30)
    found = each_leads_to_its_list(signed_in("bob"), REPORTS)
    for said in ("repeat=customer", "action=is", "source=is", "source=appsource", "campaign=", "country=DE"):
        assert any(said in href for href in found), said


def test_what_strangers_made_up_too_much_of_links_to_all_of_it(
    offers: list[Offer], crm: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "MOST_ROWS", 3)
    a_busy_week(offers)
    for number in range(5):
        said = body({"LastName": str(number)}, LeadSource=f"S{number}|x.y", ActionCode=f"A{number}")
        a_lead(offers[0], said)
    found = each_leads_to_its_list(signed_in("bob"), REPORTS)
    for said in ("action=other", "source=other"):
        assert found[f"/admin/leads/lead/?kind=counted&archived=all&received=week&{said}"] == "5"


@pytest.mark.parametrize(
    "query",
    [
        "action=is%3A%00",
        "source=is%3A",
        "campaign=%00",
        "offer__id__exact=1%2C%00",
        "from=2026-11-27T99",
        "to=x",
    ],
)
def test_what_nobody_links_to_breaks_no_list(query: str, offers: list[Offer]) -> None:
    a_lead(offers[0])
    assert signed_in("charlie").get(f"/admin/leads/lead/?{query}").status_code == 200


@pytest.mark.parametrize(
    "query", ["from=2026-11-27T99", "to=0001-01-01T00:00%2B14:00", "leads=x", "state=x", "destination=x"]
)
def test_what_nobody_links_to_breaks_no_list_of_sendings(query: str, offers: list[Offer]) -> None:
    assert signed_in("bob").get(f"/admin/crm_sync/delivery/?{query}").status_code == 200


def test_the_list_of_measured_sendings_says_of_when_and_of_which_they_are(
    offers: list[Offer], crm: Destination
) -> None:
    sent(a_lead(offers[0]))
    client = signed_in("bob")
    (href,) = (href for _number, href in counted(numbers(client, HOME)) if "leads=timed" in href)
    text = client.get(href).content.decode()
    assert "Real leads, none imported" in text
    assert f"From {timezone.localtime() - timedelta(days=7):%Y-%m-%d}" in text
