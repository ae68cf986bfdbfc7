"""Three `manage.py deliver` on one PostgreSQL: they share the work, and any of them may die."""

import uuid
from collections.abc import Iterator

import httpx2
import pytest

from tests.e2e.conftest import Site, StartSite, wait_until
from tests.e2e.receiver import Receiver, receiving
from tests.e2e.test_delivery import (
    all_delivered,
    connect,
    ids_by_lead,
    lead,
    let_leases_run_out,
    post,
    states,
)
from tests.workers import Worker

pytestmark = [pytest.mark.e2e, pytest.mark.postgresql]
# More than any two of the workers push at once, which is 50 for the site's own and this for each of the two beside it.
LEADS, SLOTS = 65, 10


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as server:
        yield server


@pytest.fixture
def site(start_site: StartSite) -> Site:
    return start_site(ALLOW_PRIVATE_DESTINATIONS="true")


@pytest.fixture
def others(site: Site) -> Iterator[list[Worker]]:
    """Two more workers, each with a directory of its own, as on another machine."""
    workers = [Worker(site, f"other{number}", slots=SLOTS) for number in (1, 2)]
    try:
        wait_until(lambda: len(alive(site)) == 3, within=60, what="the report of three workers")
        yield workers
    finally:
        for worker in workers:
            worker.stop()


def alive(site: Site) -> list[str]:
    return [name for (name,) in site.rows("SELECT name FROM crm_sync_worker")]


def shares(site: Site) -> dict[str, int]:
    """How many leads each worker pushed to the receiver, by the process id in its name."""
    found = site.rows(
        "SELECT a.worker, COUNT(*) FROM crm_sync_attempt a JOIN crm_sync_delivery d ON d.id = a.delivery_id "
        "JOIN crm_sync_destination c ON c.id = d.destination_id WHERE c.name = 'hook' GROUP BY a.worker"
    )
    return {name.rpartition(":")[2]: count for name, count in found}


def post_leads(url: str, count: int) -> list[str]:
    with httpx2.Client(trust_env=False) as client:
        return [post(client, url, lead(uuid.uuid4().hex)) for _ in range(count)]


def open_wide(site: Site) -> None:
    """Let the connection take as many leads at once as there are."""
    done = site.manage(
        "shell",
        "-c",
        f"from crm_sync.models import Destination\nDestination.objects.update(max_in_flight={LEADS})",
    )
    assert done.returncode == 0, done.stderr


def test_each_lead_arrives_once_every_worker_has_a_share_and_one_that_stops_signs_off(
    site: Site, others: list[Worker], receiver: Receiver
) -> None:
    url = connect(site, receiver)
    open_wide(site)
    receiver.answering.clear()  # whoever has its hands full leaves the rest to others
    accepted = post_leads(url, LEADS)
    wait_until(lambda: len(shares(site)) == 3, what="a share for each worker")
    receiver.answering.set()
    wait_until(lambda: all_delivered(site, LEADS), within=60, what="the settling of all")

    assert set(ids_by_lead(receiver)) == set(accepted)
    assert len(receiver.received) == LEADS
    found = shares(site)
    assert sum(found.values()) == LEADS
    assert {str(worker.pid) for worker in others} < set(found)

    for worker in others:
        worker.stop()  # with 0
        assert "Traceback" not in worker.log()
    assert len(alive(site)) == 1
    drained = site.manage("deliver", "--drain")
    assert drained.stdout.startswith("0 pushed, "), drained.stderr


def test_with_two_of_three_killed_in_mid_push_all_still_arrives_under_one_id_each(
    site: Site, others: list[Worker], receiver: Receiver
) -> None:
    url = connect(site, receiver)
    open_wide(site)
    receiver.answering.clear()
    accepted = post_leads(url, LEADS)
    wait_until(lambda: len(shares(site)) == 3, what="a share for each worker")
    for worker in others:
        worker.kill()
    receiver.answering.set()
    wait_until(
        lambda: left_by(site, others) == on_their_way(site) > 0, what="the settling of what the third has"
    )
    let_leases_run_out(site)
    wait_until(lambda: all_delivered(site, LEADS), within=60, what="the delivery of every lead")

    arrived = ids_by_lead(receiver)
    assert set(arrived) == set(accepted)
    assert all(len(ids) == 1 for ids in arrived.values())  # what was repeated came under the same id
    [survivor] = set(shares(site)) - {str(worker.pid) for worker in others}
    lost = site.rows("SELECT COUNT(*) FROM crm_sync_attempt WHERE outcome = 'lost'")[0][0]
    assert lost >= 2
    assert shares(site)[survivor] == LEADS  # the others settled none


def on_their_way(site: Site) -> int:
    return sum(state == "leased" for state, _ in states(site))


def left_by(site: Site, workers: list[Worker]) -> int:
    """How many tries of theirs have no end."""
    open_ = site.rows("SELECT worker FROM crm_sync_attempt WHERE finished_at IS NULL")
    return sum(name.endswith(tuple(f":{worker.pid}" for worker in workers)) for (name,) in open_)
