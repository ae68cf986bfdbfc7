"""From Microsoft's POST to the receiver, through real processes, some of which are killed on the way."""

import json
import threading
import uuid
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.e2e.conftest import Site, StartSite, wait_until
from tests.e2e.receiver import SECRET, Receiver, receiving

pytestmark = pytest.mark.e2e
PAYLOADS = Path(__file__).resolve().parents[1] / "payloads"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as server:
        yield server


@pytest.fixture
def site(start_site: StartSite) -> Site:
    return start_site(ALLOW_PRIVATE_DESTINATIONS="true")


def connect(site: Site, receiver: Receiver) -> str:
    """Apply a configuration file that sends an offer's leads to the receiver. Returns the endpoint's URL."""
    document = {
        "offers": [{"publisher_id": "contoso", "offer_id": "backup", "title": "Contoso Backup"}],
        "destinations": [
            {"name": "hook", "connector": "webhook", "settings": {"url": receiver.url, "secret": SECRET}}
        ],
        "routes": [{"offer": "contoso.backup", "destination": "hook"}],
    }
    file = site.directory / "config.json"
    file.write_text(json.dumps(document))
    applied = site.manage("config", "apply", str(file))
    assert applied.returncode == 0, applied.stderr
    return json.loads(applied.stdout)["offers"][0]["endpoint_url"]


def post(client: httpx2.Client, url: str, body: bytes) -> str:
    """Post a lead; returns the id of the answer, by which its sender may hold us to it."""
    answer = client.post(url, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 201, answer.text
    assert answer.json()["status"] == "accepted"
    return answer.json()["id"]


def lead(mark: str) -> bytes:
    return json.dumps({"UserDetails": {"LastName": mark, "Email": f"{mark}@contoso.com"}}).encode()


def states(site: Site) -> list[tuple[Any, ...]]:
    """State and tries of each sending to the receiver."""
    return site.rows(
        "SELECT d.state, d.tries FROM crm_sync_delivery d "
        "JOIN crm_sync_destination c ON c.id = d.destination_id WHERE c.name = 'hook'"
    )


def all_delivered(site: Site, count: int) -> bool:
    found = states(site)
    return len(found) == count and all(state == "delivered" for state, _ in found)


def let_leases_run_out(site: Site) -> None:
    """On PostgreSQL a new worker waits for that, a minute and a half: the old one may be at work on another machine."""
    if site.settings.get("DATABASE_URL"):
        ran_out = "Delivery.objects.filter(state='leased').update(lease_expires_at=now())"
        done = site.manage(
            "shell",
            "-c",
            f"from django.utils.timezone import now\nfrom crm_sync.models import Delivery\n{ran_out}",
        )
        assert done.returncode == 0, done.stderr


def ids_by_lead(receiver: Receiver) -> dict[str, set[str]]:
    """The webhook-ids under which each lead came, by the lead's own id."""
    found = defaultdict(set)
    for request in receiver.received:
        found[request.verified()["data"]["id"]].add(request.id)
    return found


def test_microsofts_sample_arrives_once_in_either_spelling(site: Site, receiver: Receiver) -> None:
    url = connect(site, receiver)
    with httpx2.Client(trust_env=False) as client:
        accepted = [
            post(client, url, (PAYLOADS / name).read_bytes())
            for name in ("sample_pascal.json", "sample_camel.json")
        ]
    receiver.wait_until(lambda received: len(received) == 2)
    wait_until(lambda: all_delivered(site, 2), what="the settling of both")

    assert len(receiver.received) == 2
    assert len({request.id for request in receiver.received}) == 2
    said = {request.verified()["data"]["id"]: request.verified() for request in receiver.received}
    assert set(said) == set(accepted)
    for event in said.values():
        assert event["type"] == "lead"
        assert event["data"]["email"] == "someone@contoso.com"
        assert event["data"]["phone"] == "16175555555"
        assert event["data"]["country_code"] == "US"
        assert event["data"]["offer_title"] == "Test Microsoft"
        assert event["data"]["publisher_id"] == "contoso"
    assert all(tries == 1 for _, tries in states(site))


def test_what_was_acknowledged_before_a_sigkill_in_mid_push_arrives_under_one_id_each(
    site: Site, start_site: StartSite, receiver: Receiver
) -> None:
    url = connect(site, receiver)
    receiver.answering.clear()  # every push stays in the middle
    acknowledged: list[str] = []
    enough = threading.Event()

    def keep_posting() -> None:
        with httpx2.Client(trust_env=False) as client:
            try:
                while len(acknowledged) < 2000:
                    acknowledged.append(post(client, url, lead(uuid.uuid4().hex)))
                    if len(acknowledged) >= 40:
                        enough.set()
            except httpx2.TransportError:
                return  # the site is gone, in the middle of a request perhaps

    poster = threading.Thread(target=keep_posting)
    poster.start()
    assert enough.wait(30)
    receiver.wait_until(lambda received: len(received) >= 3)
    site.kill()
    poster.join(30)
    pushed_before = len(receiver.received)
    receiver.answering.set()

    let_leases_run_out(site)
    again = start_site(again=site)
    stored = len(
        again.rows("SELECT 1 FROM leads_lead l JOIN leads_offer o ON o.id = l.offer_id WHERE NOT o.is_demo")
    )
    assert stored >= len(acknowledged)  # one more may be stored whose answer was never sent
    wait_until(lambda: all_delivered(again, stored), within=60, what="the delivery of every stored lead")

    arrived = ids_by_lead(receiver)
    assert set(acknowledged) <= set(arrived)
    assert all(len(ids) == 1 for ids in arrived.values())
    assert len({next(iter(ids)) for ids in arrived.values()}) == len(arrived)
    assert pushed_before >= 3
    lost = again.rows("SELECT COUNT(*) FROM crm_sync_attempt WHERE outcome = 'lost'")
    assert lost[0][0] >= 3  # the interrupted tries stand in the record as what they were


def test_a_receiver_that_takes_the_lead_and_hangs_up_gets_it_again_under_the_same_id(
    site: Site, receiver: Receiver
) -> None:
    url = connect(site, receiver)
    receiver.dropping = True
    with httpx2.Client(trust_env=False) as client:
        accepted = post(client, url, lead("dropped"))
        receiver.wait_until(lambda received: len(received) == 1)
        receiver.dropping = False
        wait_until(lambda: all_delivered(site, 1), within=45, what="the second try")
    assert ids_by_lead(receiver) == {accepted: {receiver.received[0].id}}
    assert len(receiver.received) == 2


def test_a_push_in_progress_is_settled_before_a_stop_is_complete(site: Site, receiver: Receiver) -> None:
    url = connect(site, receiver)
    receiver.answering.clear()
    with httpx2.Client(trust_env=False) as client:
        post(client, url, lead("last"))
        receiver.wait_until(lambda received: len(received) == 1)
        stopping = threading.Thread(target=site.stop)
        stopping.start()
        wait_until(lambda: not _answers(client, site), what="the end of the web server")
        assert states(site) == [("leased", 1)]
        receiver.answering.set()
        stopping.join(30)
    assert not site.is_running()
    assert states(site) == [("delivered", 1)]
    assert len(receiver.received) == 1


def _answers(client: httpx2.Client, site: Site) -> bool:
    try:
        return client.get(f"{site.base_url}/livez").status_code == 200
    except httpx2.TransportError:
        return False
