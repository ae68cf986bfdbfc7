"""How the site stops, and what becomes of it when a part of it is killed."""

import json
import os
import re
import signal
import socket
import time
from collections.abc import Callable
from itertools import count

import httpx2
import pytest

from tests.e2e.conftest import Site, StartSite, wait_until

pytestmark = pytest.mark.e2e
WEB, WORKER = "leadsite.web", "leadsite.worker"
AT_ONCE = 8.0  # seconds; a stop that waits for a time-out takes 20 or more
numbers = count()


def lead() -> bytes:
    return json.dumps({"UserDetails": {"FirstName": f"No {next(numbers)}"}, "LeadSource": "x"}).encode()


def running(site: Site, name: str) -> list[int]:
    return sorted(number for number, command in site.processes().items() if command.endswith(name))


def takes_leads(site: Site) -> bool:
    try:
        return httpx2.post(site.endpoint_url, content=lead(), timeout=5).status_code == 201
    except httpx2.TransportError:
        return False


def delivered(site: Site) -> int:
    return site.rows("SELECT count(*) FROM crm_sync_demorecord")[0][0]


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda site: os.kill(site.pid, signal.SIGTERM), id="SIGTERM"),
        pytest.param(lambda site: os.killpg(site.pid, signal.SIGINT), id="Ctrl-C"),  # reaches every process
    ],
)
def test_a_request_in_progress_is_answered_and_then_the_site_stops_with_0(
    ask: Callable[[Site], None], start_site: StartSite
) -> None:
    site = start_site()
    body = lead()
    head = (
        f"POST {site.path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    )
    with (
        socket.create_connection(("127.0.0.1", site.port), timeout=20) as link,
        socket.create_connection(("127.0.0.1", site.port), timeout=20),  # an idle one must hold up nothing
        link.makefile("rb") as answers,
    ):
        link.sendall(head.encode())
        assert answers.readline().startswith(b"HTTP/1.1 100")  # now it waits for the body
        assert answers.readline() == b"\r\n"
        asked = time.monotonic()
        ask(site)
        wait_until(lambda: not accepts_connections(site), what="closing the port")
        link.sendall(body)
        assert answers.readline().startswith(b"HTTP/1.1 201")
    site.stop()  # asked a second time; it must end with 0 and leave nothing
    assert time.monotonic() - asked < AT_ONCE
    assert site.rows("SELECT count(*) FROM leads_submission WHERE body = ?", body) == [(1,)]
    assert "Traceback" not in site.log()
    assert "Killing" not in site.log()


def accepts_connections(site: Site) -> bool:
    try:
        socket.create_connection(("127.0.0.1", site.port), timeout=1).close()
    except OSError:
        return False
    return True


def test_nothing_outlives_a_killed_supervisor(start_site: StartSite) -> None:
    site = start_site()
    os.kill(site.pid, signal.SIGKILL)
    wait_until(lambda: not site.processes(), what="the end of every process")
    assert not accepts_connections(site)


def test_whatever_is_killed_comes_back_and_goes_on(start_site: StartSite) -> None:
    site = start_site()
    server, *workers = running(site, WEB)
    assert len(workers) == 2

    os.kill(workers[0], signal.SIGKILL)
    wait_until(lambda: len({*running(site, WEB)} - {workers[0]}) == 3, what="a new web worker")
    wait_until(lambda: takes_leads(site), what="taking leads")

    os.kill(server, signal.SIGKILL)
    wait_until(
        lambda: len(running(site, WEB)) == 3 and not {server, *workers} & {*running(site, WEB)},
        what="a new web server without the old one's workers",
    )
    wait_until(lambda: takes_leads(site), what="taking leads")

    [worker] = running(site, WORKER)
    os.kill(worker, signal.SIGKILL)
    before = delivered(site)
    assert takes_leads(site)
    wait_until(lambda: delivered(site) > before, what="the delivery of a lead")
    assert running(site, WORKER) != [worker]
    assert "The web server ended with -9" in site.log()
    assert "The worker ended with -9" in site.log()


def test_a_taken_port_is_told_in_one_line_with_the_remedy(start_site: StartSite) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        site = start_site(ready=False, PORT=port)
        wait_until(lambda: not site.is_running(), what="giving up")
    site.kill()
    [line] = site.log().splitlines()
    assert re.search(rf"Port {port} .*taken.*PORT={port + 1} make run", line)
