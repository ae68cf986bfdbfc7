"""How the site stops, and what becomes of it when a part of it is killed."""

import json
import os
import re
import signal
import socket
import time
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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_in_progress_is_answered_and_then_the_site_stops_with_0(
    number: signal.Signals, start_site: StartSite
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
        os.kill(site.pid, number)
        wait_until(lambda: not accepts_connections(site), what="closing the port")
        link.sendall(body)
        assert answers.readline().startswith(b"HTTP/1.1 201")
    site.stop(number)  # a second time; asserts 0 and that nothing is left
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


def test_ctrl_c_which_reaches_every_process_stops_the_site_cleanly(start_site: StartSite) -> None:
    site = start_site()
    asked = time.monotonic()
    os.killpg(site.pid, signal.SIGINT)
    site.stop(signal.SIGINT)
    assert time.monotonic() - asked < AT_ONCE
    assert "Traceback" not in site.log()


def test_nothing_outlives_a_killed_supervisor_and_the_data_can_be_served_again(start_site: StartSite) -> None:
    site = start_site()
    assert takes_leads(site)
    os.kill(site.pid, signal.SIGKILL)
    wait_until(lambda: not site.processes(), what="the end of every process")
    again = start_site(again=site)
    assert again.endpoint_url == site.endpoint_url
    assert again.password == ""  # shown once
    assert takes_leads(again)


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


def test_it_gets_ready_whatever_its_public_name_and_without_any_proxy(start_site: StartSite) -> None:
    nowhere = "http://127.0.0.1:9"
    site = start_site(
        HOST="127.0.0.2", PUBLIC_URL="https://leads.example.com", http_proxy=nowhere, HTTP_PROXY=nowhere
    )
    assert site.endpoint_url.startswith("https://leads.example.com/in/")
    assert "DisallowedHost" not in site.log()
