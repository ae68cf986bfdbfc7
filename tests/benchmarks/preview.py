"""How long whoever edits a field mapping waits for its preview, beside an empty page of the admin of the same site.

Forty rules of every kind, three leads: the rows are sent as a script does while somebody types, once for each lead, and
the three answers together count. One connection that stays open, nothing else going on.
"""

import json
import statistics
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import httpx2

from tests.benchmarks.ingest import machines
from tests.benchmarks.load import body
from tests.benchmarks.rows import Row
from tests.e2e.conftest import Site
from tests.inputs import Inputs

ROUNDS = 40
MOST = 50.0  # ms
EMPTY = "/admin/password_change/"

RULES: list[dict[str, Any]] = [
    *({"target": f"field_{number}", "kind": "field", "source": "company"} for number in range(20)),
    *({"target": f"fixed_{number}", "kind": "constant", "value": "lead"} for number in range(8)),
    *(
        {
            "target": f"text_{number}",
            "kind": "template",
            "template": "{{ offer_title }}: {{ full_name }}{% if phone %}, {{ phone | digits }}{% endif %}",
        }
        for number in range(8)
    ),
    *(
        {
            "target": f"list_{number}",
            "kind": "lookup",
            "source": "country_code",
            "table": {"US": "United States", "DE": "Germany", "FR": "France"},
            "when": {"action": ["PLT", "INS"]},
        }
        for number in range(4)
    ),
]
CONFIG = {
    "offers": [{"publisher_id": "contoso", "offer_id": "preview", "title": "Contoso Preview"}],
    "destinations": [
        {
            "name": "hook",
            "connector": "webhook",
            "settings": {"url": "https://example.com/leads"},
            "mapping": [],
        }
    ],
    "routes": [{"offer": "contoso.preview", "destination": "hook", "mapping": RULES}],
}


def preview() -> list[Row]:
    """Milliseconds for the three leads, the median of the rounds."""
    with machines() as machine:
        site = machine.ours_on_sqlite()
        leads = _set_up(site)
        with httpx2.Client(trust_env=False, timeout=30, base_url=site.base_url) as client:
            _sign_in(client, site)
            ask = _asking(client, site, leads)
            turns = [(sum(_ms(each) for each in ask), _ms(lambda: client.get(EMPTY))) for _ in range(ROUNDS)]
    ours, theirs = (statistics.median(column) for column in zip(*turns[5:], strict=True))
    return [Row("mapping.preview", ours, "ms", theirs, ours / theirs, f"<= {MOST:.0f} ms", ours <= MOST)]


def _set_up(site: Site) -> list[str]:
    """Forty rules that are live, and the ids of three leads."""
    applied = json.loads(site.manage("config", "apply", "-", input=json.dumps(CONFIG)).stdout)
    url = applied["offers"][0]["endpoint_url"]
    with httpx2.Client(trust_env=False) as client:
        return [client.post(url, content=body(number)).json()["id"] for number in range(3)]


def _sign_in(client: httpx2.Client, site: Site) -> None:
    page = "/admin/login/?next=/admin/"
    client.get(page)
    token = client.cookies["csrftoken"]
    said = client.post(
        page, data={"username": "admin", "password": site.password, "csrfmiddlewaretoken": token}
    )
    if said.status_code != 302:
        raise RuntimeError(f"Signing in was answered with {said.status_code}")


def _asking(client: httpx2.Client, site: Site, leads: list[str]) -> list[Callable[[], Any]]:
    """A request for each lead, with the rows as the page has them."""
    ((route,),) = site.rows(
        "SELECT r.id FROM crm_sync_route r JOIN leads_offer o ON o.id = r.offer_id WHERE o.offer_id = ?",
        "preview",
    )
    url = f"/admin/crm_sync/route/{route}/mapping/"
    inputs = Inputs(client.get(url).text)
    if inputs.data["rows"] != [str(len(RULES))]:
        raise RuntimeError(f"The page has not {len(RULES)} rows: {inputs.data.get('rows')}")
    headers = {
        "HX-Request": "true",
        "Content-Type": "application/x-www-form-urlencoded",
        "Referer": f"{site.base_url}{url}",
    }

    def asking(lead: str) -> Callable[[], Any]:
        content = urlencode(inputs.data | {"lead": [lead]}, doseq=True).encode()

        def ask() -> None:
            answer = client.post(url, content=content, headers=headers)
            if answer.status_code != 200 or "what hook would get" not in answer.text:
                raise RuntimeError(f"{answer.status_code}: {answer.text[:200]}")

        return ask

    return [asking(lead) for lead in leads]


def _ms(ask: Callable[[], Any]) -> float:
    started = time.perf_counter()
    ask()
    return (time.perf_counter() - started) * 1000


BENCHES: dict[str, Callable[[], list[Row]]] = {"mapping.preview": preview}
