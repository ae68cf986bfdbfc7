"""`make run` itself: what it prints, what the printed curl line does, and that Ctrl-C ends all of it."""

import json
import os
import re
import signal
import subprocess
import tempfile
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import postgres
from tests.e2e.conftest import INHERITED, ROOT, ask, free_port, wait_until

pytestmark = pytest.mark.e2e

LAST_LINES = """\
Ready. Ctrl-C stops it.
  Admin  http://127.0.0.1:{port}/admin/  admin / ****-****-****-****  (shown once; change it at first sign-in)
  URL    http://127.0.0.1:{port}/in/****
  Try    curl ****
         pasted again within 10 minutes: 200 "repeated"
  Only this computer can reach this. To go live: README
"""


class Run:
    """A running `make run`, with its output so far."""

    def __init__(self, directory: Path) -> None:
        self.port, self.output, self.data_dir = free_port(), "", directory / "data"
        self.server = postgres.server_of_this_run()
        self.database_url = self.server.create_database() if self.server else ""
        environment = {name: os.environ[name] for name in INHERITED if name in os.environ} | {
            "LEADSITE_ENV_FILE": str(directory / ".env"),
            "DATA_DIR": str(self.data_dir),
            "PORT": str(self.port),
            "DATABASE_URL": self.database_url,
        }
        self.process = subprocess.Popen(
            ["make", "run"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line

    def press_ctrl_c(self) -> int:
        """SIGINT to the whole process group, as a terminal sends it. Returns make's exit code."""
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(30)
        self._reader.join(30)  # ends when the last process that holds the output has ended
        assert not self._reader.is_alive()
        return self.process.returncode

    def end(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(30)
        self._reader.join(30)
        if self.process.stdout:
            self.process.stdout.close()
        if self.server:
            self.server.drop_database(self.database_url)


@pytest.fixture
def run() -> Iterator[Run]:
    with tempfile.TemporaryDirectory(prefix="run-") as directory:
        started = Run(Path(directory))
        try:
            wait_until(lambda: "To go live" in started.output, 120, "Ready")
            yield started
        finally:
            started.end()


def pasted(command: str) -> tuple[str, dict[str, str]]:
    """Paste a line into a shell; returns the status and the answer."""
    ended = subprocess.run(
        ["sh", "-c", f"{command} --noproxy '*' -s -w '\\n%{{http_code}}'"],
        capture_output=True,
        text=True,
        timeout=30,
    )
    body, _, status = ended.stdout.rpartition("\n")
    return status, json.loads(body)


def test_make_run_prints_what_to_try_and_it_works(run: Run) -> None:
    masked = re.sub(r"(admin / )\S+", r"\1****-****-****-****", run.output)
    masked = re.sub(r"(/in/)[\w-]{32,}$", r"\1****", masked, flags=re.MULTILINE)
    masked = re.sub(r"(curl ).*", r"\1****", masked)
    assert masked.endswith(LAST_LINES.format(port=run.port))
    assert re.search(r"admin / ([2-9A-Z]{4}-){3}[2-9A-Z]{4}  ", run.output)

    command = re.search(r"Try    (curl .*)", run.output)
    assert command is not None
    status, answer = pasted(command[1])
    assert (status, answer["status"]) == ("201", "accepted")
    wait_until(lambda: _arrived(run, answer["id"]), within=5, what="the record in the demo CRM")
    assert pasted(command[1]) == ("200", {"status": "repeated", "id": answer["id"]})

    run.press_ctrl_c()
    assert "Traceback" not in run.output


def _arrived(run: Run, lead_id: str) -> bool:
    delivered = (
        "SELECT 1 FROM crm_sync_delivery d JOIN crm_sync_demorecord r ON r.key = d.remote_id "
        "WHERE d.lead_id = ? AND d.state = 'delivered'"
    )
    return bool(ask(run.data_dir, run.database_url, delivered, uuid.UUID(lead_id).hex))
