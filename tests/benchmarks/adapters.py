"""What each kind of CRM costs: processor time of one push, beside that of the bare client's POST of the same body.

The far side answers as the connector's recording `tests/exchanges/<slug>/delivered.json` does, in a process of its own.
Both run in one thread of this process, in turns, over kept connections; a token is asked for once. Time that goes by
while the far side answers is nobody's. Of a mail, the bare client is the standard library's, and both connect anew.
"""

import json
import smtplib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx2

from crm_sync import connectors
from crm_sync.addresses import Policy
from crm_sync.connectors.base import MailServer
from crm_sync.http import GuardedTransport, Pool
from crm_sync.outcomes import Delivered
from crm_sync.recorder import Recorder
from tests.benchmarks.rows import ROOT, Row
from tests.connectors.laws import SITE
from tests.crm_sync.test_contract import HTTP, Recording
from tests.fakes.email import Postbox
from tests.fakes.server import Answer, FakeCrm, Seen

ROUNDS, PUSHES = 7, 150  # in turns; 7 x 150 of each
MOST = 1.0  # ms above the bare client
ONLY_REPORTED = frozenset({"azure_table", "email"})


class Replay(FakeCrm):
    """Answers as a recording does, whoever asks."""

    def __init__(self, recording: Recording) -> None:
        self.answers = {}
        for exchange in recording.exchanges:
            request, response = exchange["request"], exchange["response"]
            url = urlsplit(request["url"])
            self.answers[request["method"], url.path] = Answer(
                response["status"], response["body"], response["headers"]
            )
        super().__init__()

    def answer(self, request: Seen) -> Answer:
        self.requests.clear()
        return self.answers[request.method, request.path]


class Redirected(httpx2.BaseTransport):
    """The guarded transport, with every request sent to one port of this machine."""

    def __init__(self, port: int) -> None:
        self.port, self.below = port, GuardedTransport(Policy(allow_private=True))

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        request.url = request.url.copy_with(scheme="http", host="127.0.0.1", port=self.port)
        return self.below.handle_request(request)

    def close(self) -> None:
        self.below.close()


def adapter(slug: str) -> list[Row]:
    """One row: milliseconds of processor time a lead."""
    recording = Recording.read(slug)
    with _far_side(slug) as port:
        transport = Redirected(port)
        send = partial(_push, slug, recording, Pool(Policy(allow_private=True), transport=transport))
        bare = _bare(recording, port)
        for warm in (send, bare):
            _cpu(warm)
        turns = [(_cpu(send), _cpu(bare)) for _ in range(ROUNDS)]
        transport.close()
    return _rows(slug, turns)


def mail_adapter() -> list[Row]:
    """One row: milliseconds of processor time a mail."""
    recording = Recording.read("email")
    with _far_side("email") as port:
        send = partial(
            _push, "email", recording, Pool(Policy(allow_private=True)), MailServer("127.0.0.1", port)
        )
        bare = partial(_bare_mail, recording.exchanges[0]["request"], port)
        for warm in (send, bare):
            _cpu(warm)
        return _rows("email", [(_cpu(send), _cpu(bare)) for _ in range(ROUNDS)])


def _rows(slug: str, turns: list[tuple[float, float]]) -> list[Row]:
    ours, theirs = (statistics.median(column) for column in zip(*turns, strict=True))
    if slug in ONLY_REPORTED:
        return [Row(f"adapter.{slug}", ours, "ms", theirs, ours / theirs)]
    target, holds = f"bare + {MOST:.0f} ms", ours <= theirs + MOST
    return [Row(f"adapter.{slug}", ours, "ms", theirs, ours / theirs, target, holds)]


def _push(slug: str, recording: Recording, pool: Pool, mail: MailServer | None = None) -> None:
    recorder = Recorder()
    http = pool.client(recorder=recorder, deadline=45.0)
    site = replace(SITE, mail=mail, sender="leads@contoso.example")
    connector = connectors.get(slug)(recording.settings, http, fields=recording.known_fields(), site=site)
    outcome = connector.push(recording.record, key=recording.key, retry=False)
    if not isinstance(outcome, Delivered):
        raise TypeError(outcome)


def _bare(recording: Recording, port: int) -> Callable[[], None]:
    """The last request of the recording, by the bare client."""
    request = recording.exchanges[-1]["request"]
    url = urlsplit(request["url"])._replace(scheme="http", netloc=f"127.0.0.1:{port}").geturl()
    client = httpx2.Client(trust_env=False, timeout=30)

    def send() -> None:
        body: Any = request["body"]
        content = json.dumps(body).encode() if isinstance(body, dict) else body.encode()
        client.request(request["method"], url, headers=request["headers"], content=content).read()

    return send


def _bare_mail(request: dict[str, Any], port: int) -> None:
    with smtplib.SMTP("127.0.0.1", port, local_hostname="leads.contoso.example") as client:
        client.sendmail(request["headers"]["mail-from"], request["headers"]["rcpt-to"], request["body"])


def _cpu(send: Callable[[], None]) -> float:
    """Milliseconds of processor time of one call."""
    started = time.process_time()
    for _ in range(PUSHES):
        send()
    return (time.process_time() - started) / PUSHES * 1000


@contextmanager
def _far_side(slug: str) -> Iterator[int]:
    command = [sys.executable, "-m", "tests.benchmarks.adapters", slug]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as served:
        assert served.stdout
        yield int(served.stdout.readline())
        served.communicate("")  # it ends with its input


def main() -> None:
    slug = sys.argv[1]
    with Postbox() if slug == "email" else Replay(Recording.read(slug)) as far_side:
        print(far_side.port, flush=True)  # noqa: T201
        sys.stdin.read()


if __name__ == "__main__":
    main()


BENCHES: dict[str, Callable[[], list[Row]]] = {
    f"adapter.{kind.spec.slug}": partial(adapter, kind.spec.slug) for kind in HTTP if kind.spec.slug != "demo"
} | {"adapter.email": mail_adapter}
