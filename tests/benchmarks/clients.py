"""Which HTTP client pushes best: each in threads against a CRM that takes 100 ms, beside the ideal and with its CPU.

*ours* is a whole push: the webhook connector over crm_sync/http.py, with its guard, deadlines and record. The others
only send the same bytes and read the answer. Each runs in a process of its own
(`python -m tests.benchmarks.clients NAME THREADS LEADS URL`), where `--profile` shows what the time went on.
"""

import argparse
import cProfile
import json
import pstats
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from tests import stub_crm
from tests.benchmarks.load import DESCRIPTION
from tests.benchmarks.rows import ROOT, Row

SECONDS = 2.0
THREADS = (20, 50)
RECORD = {
    "first_name": "Jane",
    "last_name": "Doe",
    "full_name": "Jane Doe",
    "email": "jane@contoso.example",
    "phone": "+1 425 555 0134",
    "company": "Contoso Ltd",
    "title": "IT director",
    "country": "US",
    "offer_title": "Contoso Backup",
    "description": DESCRIPTION,
}
Send = Callable[[str], None]


def clients() -> list[Row]:
    """Every client at every number of threads, in turns."""
    with stub_crm.running() as crm:
        return [row for threads in THREADS for name in COMPARED for row in _rows(name, threads, crm.url)]


def _rows(name: str, threads: int, url: str) -> list[Row]:
    ideal = threads / stub_crm.LATENCY
    said = _measure(name, threads, round(ideal * SECONDS), url)
    row = f"client.{name}.{threads}"
    return [
        Row(row, said["rate"], "rps", ideal, said["rate"] / ideal),
        Row(f"{row}.cpu", said["cpu"] * 1000, "ms", None, None),
    ]


def _measure(name: str, threads: int, leads: int, url: str) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.clients", name, str(threads), str(leads), url]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    return json.loads(ended.stdout)


# --- The clients: each makes, once a process, what sends one lead from any thread ------------------------------


def ours(url: str) -> Send:
    from crm_sync.addresses import Policy
    from crm_sync.connectors.webhook import WebhookConnector
    from crm_sync.http import Pool
    from crm_sync.outcomes import Delivered
    from crm_sync.recorder import Recorder

    pool = Pool(Policy(allow_private=True))

    def send(key: str) -> None:
        http = pool.client(recorder=Recorder(), deadline=45.0)
        outcome = WebhookConnector({"url": url}, http).push(RECORD | {"id": key}, key=key, retry=False)
        if not isinstance(outcome, Delivered):
            raise TypeError(outcome)

    return send


def guarded(url: str) -> Send:
    """Our client without the connector."""
    from crm_sync.addresses import Policy
    from crm_sync.http import Pool

    pool = Pool(Policy(allow_private=True))
    return lambda key: _check(
        pool.client(deadline=45.0).request("POST", url, headers=_headers(key), content=_body(key)).status
    )


def httpx2(url: str) -> Send:
    import httpx2

    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=50)
    client = httpx2.Client(trust_env=False, limits=limits, timeout=30)
    return lambda key: _check(client.post(url, content=_body(key), headers=_headers(key)).status_code)


def httpcore2(url: str) -> Send:
    """What httpx2 stands on, by itself."""
    import httpcore2

    pool = httpcore2.ConnectionPool(max_connections=None, max_keepalive_connections=50)
    host = urlsplit(url).netloc

    def send(key: str) -> None:
        body = _body(key)
        headers = _headers(key) | {"host": host, "content-length": str(len(body))}
        _check(pool.request("POST", url, headers=headers, content=body).status)

    return send


def requests(url: str) -> Send:
    """A session a thread: it does not say that several may share one."""
    import requests

    mine = threading.local()

    def send(key: str) -> None:
        if not hasattr(mine, "session"):
            mine.session = requests.Session()
            mine.session.trust_env = False
        _check(mine.session.post(url, data=_body(key), headers=_headers(key), timeout=30).status_code)

    return send


def urllib3(url: str) -> Send:
    import urllib3

    pool = urllib3.PoolManager(maxsize=50)
    return lambda key: _check(
        pool.request("POST", url, body=_body(key), headers=_headers(key), timeout=30).status
    )


def http_client(url: str) -> Send:
    """The standard library's, a connection a thread."""
    parts, mine = urlsplit(url), threading.local()

    def send(key: str) -> None:
        if not hasattr(mine, "connection"):
            mine.connection = HTTPConnection(parts.netloc, timeout=30)
        mine.connection.request("POST", parts.path, _body(key), _headers(key))
        answer = mine.connection.getresponse()
        answer.read()
        _check(answer.status)

    return send


CLIENTS = {make.__name__: make for make in (ours, guarded, httpx2, httpcore2, requests, urllib3, http_client)}

COMPARED = ("ours", "httpx2", "requests", "urllib3", "http_client")


def _body(key: str) -> bytes:
    data = RECORD | {"id": key}
    return json.dumps({"type": "lead", "timestamp": "2026-11-22T10:00:00Z", "data": data}).encode()


def _headers(key: str) -> dict[str, str]:
    return {"content-type": "application/json", "webhook-id": key, "user-agent": "leadsite"}


def _check(status: int) -> None:
    if status != 200:
        raise RuntimeError(f"HTTP {status}")


# --- One run ---------------------------------------------------------------------------------------------------


def run(send: Send, threads: int, leads: int) -> dict[str, float]:
    """Push that many leads; a rate, and seconds of CPU a lead."""
    with ThreadPoolExecutor(threads) as executor:
        list(executor.map(send, _keys(threads)))  # connections are made before the clock runs
        started, cpu = time.perf_counter(), time.process_time()
        list(executor.map(send, _keys(leads)))
        took, used = time.perf_counter() - started, time.process_time() - cpu
    return {"rate": leads / took, "cpu": used / leads}


def _keys(count: int) -> list[str]:
    return [uuid.uuid4().hex for _ in range(count)]


def profile(send: Send, leads: int) -> None:
    """Print where one thread's CPU goes."""
    send("first")
    profiler = cProfile.Profile(time.thread_time)
    profiler.enable()
    for key in _keys(leads):
        send(key)
    profiler.disable()
    pstats.Stats(profiler).sort_stats("cumulative").print_stats(60).sort_stats("tottime").print_stats(40)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=CLIENTS)
    parser.add_argument("threads", type=int)
    parser.add_argument("leads", type=int)
    parser.add_argument("url")
    parser.add_argument("--profile", action="store_true")
    asked: Any = parser.parse_args()
    send = CLIENTS[asked.name](asked.url)
    if asked.profile:
        profile(send, asked.leads)
    else:
        print(json.dumps(run(send, asked.threads, asked.leads)))  # noqa: T201


if __name__ == "__main__":
    main()


BENCHES: dict[str, Callable[[], list[Row]]] = {"client": clients}
