"""How long a lead takes from its POST to its arrival at a webhook, at low load."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2

from tests.benchmarks.ingest import machines
from tests.benchmarks.load import body, percentile
from tests.benchmarks.rows import Row
from tests.e2e.conftest import Site

LEADS = 200


class Receiver(ThreadingHTTPServer):
    """A webhook that notes when each lead came."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.arrived: dict[str, float] = {}
        self.news = threading.Condition()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/leads"

    def wait_for(self, email: str) -> float:
        """When the lead with that address came, in seconds of time.perf_counter()."""
        with self.news:
            if not self.news.wait_for(lambda: email in self.arrived, 10):
                raise RuntimeError("A lead did not arrive within 10 s")
            return self.arrived[email]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def do_POST(self) -> None:
        lead = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.news:
            self.server.arrived[(lead.get("data") or lead["UserDetails"])["email"]] = time.perf_counter()
            self.server.news.notify_all()
        self.send_response(204)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Silent."""


def embedded() -> list[Row]:
    """POST to arrival with the engine of one machine, on SQLite, beside a POST straight to the webhook."""
    return _rows("latency.embedded", "sqlite", 0.010, 0.050)


def postgres() -> list[Row]:
    """The same with the engine for many machines, on PostgreSQL."""
    return _rows("latency.postgres", "postgresql", 0.025, None)


def _rows(name: str, database: str, p50_target: float, p99_target: float | None) -> list[Row]:
    ours, direct = _times(database)
    p50, p99, reference = percentile(ours, 0.5), percentile(ours, 0.99), percentile(direct, 0.5)
    target = f"p50 <= {p50_target * 1000:.0f} ms"
    p99_row = Row(f"{name}.p99", p99 * 1000, "ms")
    if p99_target is not None:
        p99_row = replace(p99_row, target=f"p99 <= {p99_target * 1000:.0f} ms", holds=p99 <= p99_target)
    return [
        Row(name, p50 * 1000, "ms", reference * 1000, p50 / reference, target, p50 <= p50_target),
        p99_row,
    ]


def _times(database: str) -> tuple[list[float], list[float]]:
    """Seconds through us and straight to the webhook, each in order of size."""
    settings: dict[str, Any] = {"ALLOW_PRIVATE_DESTINATIONS": "true"}
    receiver = Receiver()
    try:
        with machines() as machine, httpx2.Client(trust_env=False) as client:
            on_sqlite = database == "sqlite"
            site = (machine.ours_on_sqlite if on_sqlite else machine.ours_on_postgres)(**settings)
            url = _connect(site, receiver)
            ours = sorted(_through(client, url, receiver, f"ours{n}") for n in range(LEADS))
            direct = sorted(_direct(client, receiver, f"direct{n}") for n in range(LEADS))
            return ours, direct
    finally:
        receiver.shutdown()
        receiver.server_close()


def _connect(site: Site, receiver: Receiver) -> str:
    config = {
        "offers": [{"publisher_id": "contoso", "offer_id": "backup", "title": "Contoso Backup"}],
        "destinations": [{"name": "hook", "connector": "webhook", "settings": {"url": receiver.url}}],
        "routes": [{"offer": "contoso.backup", "destination": "hook"}],
    }
    applied = site.manage("config", "apply", "-", input=json.dumps(config))
    return json.loads(applied.stdout)["offers"][0]["endpoint_url"]


def _through(client: httpx2.Client, url: str, receiver: Receiver, mark: str) -> float:
    start = time.perf_counter()
    client.post(url, content=body(mark), headers={"Content-Type": "application/json"}).raise_for_status()
    return receiver.wait_for(f"jane.{mark}@contoso.example") - start


def _direct(client: httpx2.Client, receiver: Receiver, mark: str) -> float:
    start = time.perf_counter()
    email = f"jane.{mark}@contoso.example"
    client.post(receiver.url, json={"type": "lead", "data": {"email": email}}).raise_for_status()
    return receiver.wait_for(email) - start


BENCHES: dict[str, Callable[[], list[Row]]] = {"latency.embedded": embedded, "latency.postgres": postgres}
