"""Whatever strangers send: a thousand hostile bodies, everything that the OpenAPI document allows and forbids, and
values that want to be more than text. The long run is `python -m tests.drills.hostile`.
"""

import json
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from io import StringIO
from typing import Any
from urllib.parse import urljoin, urlsplit
from uuid import UUID

import httpx2
import pytest
import schemathesis
from django.core.management import call_command
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.e2e.conftest import Site, _sites, wait_until
from tests.e2e.hostile import attack
from tests.e2e.receiver import Receiver, receiving

pytestmark = pytest.mark.e2e
BODIES, WARM_UP, SEED = 1_000, 400, 20_261_122
MOST_GROWTH = 32.0  # MB of one process; a leak of one body in ten would be more
CONFORMS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with _sites() as start:
        yield start(INTAKE_RATE=1_000_000, ALLOW_PRIVATE_DESTINATIONS="true")


def test_a_thousand_hostile_bodies_are_answered_at_once_and_stored_as_promised(site: Site) -> None:
    report = attack(site, SEED, BODIES, warm_up=WARM_UP, most_growth=MOST_GROWTH)
    assert report.problems == [], str(report)
    # The seed makes leads and bad bodies, or the attack proves little.
    assert min(report.statuses[201], report.statuses[400]) > BODIES / 10, str(report)


def test_no_sending_of_a_hostile_lead_comes_upon_a_bug(site: Site) -> None:
    owed = "SELECT count(*) FROM leads_lead WHERE routed_at IS NULL"
    under_way = "SELECT count(*) FROM crm_sync_delivery WHERE state IN ('waiting', 'leased')"
    wait_until(lambda: site.rows(owed) == site.rows(under_way) == [(0,)], within=60, what="sending them")
    assert site.rows("SELECT DISTINCT held_reason FROM crm_sync_delivery WHERE held_reason = 'bug'") == []
    assert "Traceback" not in site.log()


# The OpenAPI document


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_every_answer_is_as_the_openapi_document_says(mode: GenerationMode, site: Site) -> None:
    text = StringIO()
    call_command("spectacular", "--format", "openapi-json", stdout=text)
    operation = schemathesis.openapi.from_dict(json.loads(text.getvalue()))["/in/{key}"]["POST"]
    key = site.path.removeprefix("/in/")
    checks = [*CONFORMS, positive_data_acceptance] if mode == GenerationMode.POSITIVE else CONFORMS
    statuses: Counter[int] = Counter()

    @settings(
        max_examples=60,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def conforms(case: Any) -> None:
        case.path_parameters["key"] = key
        response = case.call(base_url=site.base_url)
        statuses[response.status_code] += 1
        case.validate_response(response, checks=checks)

    conforms()
    assert set(statuses) <= {200, 201, 400}
    assert statuses[201 if mode == GenerationMode.POSITIVE else 400] > 10, statuses


# Text stays text

FIELDS = ("FirstName", "LastName", "Email", "Phone", "Company", "Title")
TEXTS = ("LeadSource", "OfferTitle", "Description", "Notes")


def evil(name: str) -> str:
    return f'=HYPERLINK("http://evil.example")\'"></textarea></title><script>evil()</script><x-evil onclick=evil()>{name}'


class Tags(HTMLParser):
    """What of a page is not text."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.wrong: list[str] = []
        self._in_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self._in_script = tag == "script"
        if tag in ("x-evil", "iframe", "object", "style") or any(name.startswith("on") for name in values):
            self.wrong.append(f"<{tag} {values}>")
        address = (values.get("href") or values.get("src") or values.get("action") or "").strip()
        if address.lower().startswith(("javascript:", "data:")):
            self.wrong.append(address)
        if tag == "a" and address:
            self.links.append(address)

    def handle_data(self, data: str) -> None:
        if self._in_script and data.strip():
            self.wrong.append(f"a script on the page: {data[:80]}")

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def staff(site: Site) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=site.base_url, trust_env=False, timeout=30, follow_redirects=True) as client:
        form = client.get("/admin/login/").text
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)
        assert token
        answer = client.post(
            "/admin/login/?next=/admin/",
            data={"username": "admin", "password": site.password, "csrfmiddlewaretoken": token[1]},
            headers={"Referer": f"{site.base_url}/admin/login/"},
        )
        assert "Needs attention" in answer.text
        yield client


@pytest.fixture(scope="module")
def sent(site: Site, receiver: Receiver) -> dict[str, Any]:
    """A lead whose every value wants to be a formula, a script and a tag; and one like it in quarantine."""
    config = {
        "offers": [{"publisher_id": "contoso", "offer_id": "hostile", "title": "Hostile"}],
        "destinations": [{"name": "hook", "connector": "webhook", "settings": {"url": receiver.url}}],
        "routes": [{"offer": "contoso.hostile", "destination": "hook"}],
    }
    applied = site.manage("config", "apply", "-", input=json.dumps(config))
    assert applied.returncode == 0, applied.stderr
    (offer,) = json.loads(applied.stdout)["offers"]
    url = urljoin(site.base_url, urlsplit(offer["endpoint_url"]).path)
    lead: dict[str, Any] = {name: evil(name) for name in TEXTS}
    lead |= {evil("key"): evil("value"), "ActionCode": evil("ActionCode")}
    lead["UserDetails"] = {name: evil(name) for name in FIELDS} | {"Country": evil("Country")}
    with httpx2.Client(trust_env=False, timeout=30) as client:
        headers = {"User-Agent": evil("agent"), "X-Evil": evil("header"), "Content-Type": evil("type")}
        assert client.post(url, content=json.dumps(lead), headers=headers).status_code == 201
        broken = json.dumps(lead) + evil("after")
        assert client.post(url, content=broken, headers=headers).status_code == 400
        against_the_schema = {**lead, "LeadSource": {evil("object"): evil("object")}}
        assert client.post(url, content=json.dumps(against_the_schema), headers=headers).status_code == 400
    return lead


def test_a_webhook_gets_every_value_as_it_was_sent(sent: dict[str, Any], receiver: Receiver) -> None:
    receiver.wait_until(lambda received: len(received) == 1)
    data = json.loads(receiver.received[0].body)["data"]
    names = {"FirstName": "first_name", "LastName": "last_name"}
    got = {name: data[names.get(name, name.lower())] for name in FIELDS}
    assert got == {name: sent["UserDetails"][name] for name in FIELDS}
    assert data["country"] == sent["UserDetails"]["Country"]
    assert (data["lead_source"], data["offer_title"]) == (sent["LeadSource"], sent["OfferTitle"])
    assert (data["description"], data["action"]) == (sent["Description"], sent["ActionCode"])
    assert (data["extra.Notes"], data[f"extra.{evil('key')}"]) == (sent["Notes"], evil("value"))


def test_on_every_page_what_strangers_wrote_is_text(
    site: Site, staff: httpx2.Client, sent: dict[str, Any], receiver: Receiver
) -> None:
    receiver.wait_until(lambda received: len(received) == 1)
    ours = pages_of_the_offer(site)
    seen: dict[str, str] = {}
    wrong: dict[str, list[str]] = {}
    for address in crawl(staff, [*ours, "/admin/"], seen):
        page = Tags()
        page.feed(seen[address])
        if page.wrong:
            wrong[address] = page.wrong
    assert wrong == {}
    # What they wrote could be read on each of these, so that it was there to be escaped.
    silent = [
        address for address, shows in ours.items() if shows and "&lt;x-evil onclick" not in seen[address]
    ]
    assert silent == []
    for part in (
        "",
        "leads/lead/",
        "leads/submission/",
        "leads/offer/",
        "crm_sync/delivery/",
        "crm_sync/demorecord/",
    ):
        assert f"/admin/{part}" in seen
    assert any(re.fullmatch(r"/admin/crm_sync/route/\d+/change/.*", address) for address in seen)


def pages_of_the_offer(site: Site) -> dict[str, bool]:
    """The pages about what was sent, and whether they show some of it."""
    ((offer, route),) = site.rows(
        "SELECT o.id, r.id FROM leads_offer o JOIN crm_sync_route r ON r.offer_id = o.id WHERE o.offer_id = 'hostile'"
    )
    pages = {
        "/admin/leads/lead/": True,
        f"/admin/leads/submission/?offer__id__exact={offer}": False,
        f"/admin/leads/offer/{offer}/change/": False,
        "/admin/crm_sync/delivery/": True,
        f"/admin/crm_sync/route/{route}/mapping/": True,
    }
    for table, part in (("leads_lead", "leads/lead"), ("leads_submission", "leads/submission")):
        for (key,) in site.rows(f"SELECT id FROM {table} WHERE offer_id = ?", offer):
            pages[f"/admin/{part}/{UUID(key)}/change/"] = True
    for (key,) in site.rows("SELECT id FROM crm_sync_delivery WHERE route_id = ?", route):
        pages[f"/admin/crm_sync/delivery/{key}/change/"] = True
    return pages


def crawl(staff: httpx2.Client, start: Iterable[str], seen: dict[str, str], alike: int = 2) -> Iterator[str]:
    """These pages, then every page that links lead to; of those that differ in an id or a query, the first few."""
    chosen = list(start)
    waiting, kinds = deque(chosen), Counter[str]()
    while waiting:
        address = waiting.popleft()
        kind = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d+", "#", address.partition("?")[0])
        if address in seen or "logout" in address or (kinds[kind] >= alike and address not in chosen):
            continue
        answer = staff.get(address)
        assert answer.status_code == 200, address
        kinds[kind] += 1
        seen[address] = answer.text if "html" in answer.headers["content-type"] else ""
        page = Tags()
        page.feed(seen[address])
        links = (urlsplit(urljoin(f"http://here{address}", link)) for link in page.links)
        waiting.extend(
            f"{link.path}?{link.query}".rstrip("?")
            for link in links
            if link.netloc == "here" and link.path.startswith("/admin/")
        )
        yield address
