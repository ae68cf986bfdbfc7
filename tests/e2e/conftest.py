"""A real site for end-to-end tests: what `make run` starts, each in a directory of its own, on loopback; where the
tests run on PostgreSQL, with a database of its own there.

`site` is one that the whole session shares: never stop it, never count what is in it. `start_site` starts one
for a single test, with settings of its own:

    def test_something(start_site):
        site = start_site(ALLOW_PRIVATE_DESTINATIONS="true", INTAKE_RATE=1000)

A site has `base_url`, `endpoint_url` (the demo offer's), `password` (of the account `admin`), `pid` (the
supervisor's), `directory`, `data_dir` and `output` (what it printed until Ready, and since). `manage()` runs a
command of manage.py on the same data, `rows()` asks its database, `log()` is all that it ever wrote to its
terminal. `stop()` ends it as an operator does and insists on a clean end; `kill()` ends every process of it with
SIGKILL; `start_site(again=site)` starts it once more on the same data and port. Whatever a test leaves
running is stopped after it, and must then exit with 0.
"""

import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from tests import postgres

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.e2e.browser import Desk

ROOT = Path(__file__).resolve().parents[2]
PAYLOADS = ROOT / "tests" / "payloads"
READY_WITHIN, STOPPED_WITHIN = 60.0, 30.0  # seconds; a loaded machine starts slowly
INHERITED = (
    "PATH",
    "HOME",
    "LANG",
    "TMPDIR",
    "COVERAGE_PROCESS_START",
)  # nothing of the test run's own settings


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def wait_until(holds: Callable[[], Any], within: float = 15.0, what: str = "it") -> Any:
    """For what no event tells, such as the end of a process that is not our child. Returns what `holds` did."""
    deadline = time.monotonic() + within
    while not (result := holds()):
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not happen within {within} s")
        time.sleep(0.02)
    return result


class Site:
    """One running site; see the module's docstring."""

    def __init__(self, directory: Path, settings: dict[str, Any]) -> None:
        self.directory, self.data_dir = directory, directory / "data"
        self.port = int(settings.get("PORT") or free_port())
        self.settings = {name: str(value) for name, value in settings.items()} | {"PORT": str(self.port)}
        self._server = None if "DATABASE_URL" in self.settings else postgres.server_of_this_run()
        if self._server:
            self.settings["DATABASE_URL"] = self._server.create_database()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.endpoint_url = self.password = self.output = ""
        self._ready, self._killed = threading.Event(), False
        self._stderr = directory / "stderr.log"
        with self._stderr.open("ab") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, str(ROOT / "manage.py"), "serve", "--bootstrap"],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                start_new_session=True,  # a process group of its own, so that all of it can be ended by one id
            )
        self.pid = self._process.pid
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def environment(self) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        return inherited | {
            "LEADSITE_ENV_FILE": str(self.directory / ".env"),
            "DATA_DIR": str(self.data_dir),
            **self.settings,
        }

    @property
    def path(self) -> str:
        """The path of the endpoint, `/in/<key>`."""
        return urlsplit(self.endpoint_url).path

    def wait_for_ready(self) -> None:
        ready = self._ready.wait(READY_WITHIN)
        if not ready or "Ready." not in self.output:
            self.kill()
            pytest.fail(f"The site did not get ready:\n{self.log()}")
        if match := re.search(r"URL +(http\S+/in/\S+)", self.output):
            self.endpoint_url = match[1]
        if match := re.search(r"admin / (\S+)", self.output):
            self.password = match[1]

    def wait_until_it_answers(self) -> None:
        """For a site whose web server was killed: until its successor listens."""
        wait_until(self._answers, READY_WITHIN, "an answer")

    def _answers(self) -> bool:
        try:
            with urlopen(f"{self.base_url}/livez", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def is_running(self) -> bool:
        return self._process.poll() is None

    def processes(self) -> dict[int, str]:
        """The command line of each process of this site, by its id."""
        listing = subprocess.run(["ps", "-A", "-o", "pid=,pgid=,stat=,args="], capture_output=True, text=True)
        rows = (line.split(None, 3) for line in listing.stdout.splitlines())
        return {int(row[0]): row[3] for row in rows if row[1] == str(self.pid) and not row[2].startswith("Z")}

    def manage(self, *arguments: str, input: str = "") -> subprocess.CompletedProcess[str]:  # noqa: A002
        """Run manage.py with this site's settings and data; the caller looks at its return code."""
        return subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *arguments],
            cwd=ROOT,
            env=self.environment,
            input=input,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Ask the database, with `?` for each parameter. Ids come as 32 hexadecimal digits, as SQLite keeps them."""
        return ask(self.data_dir, self.settings.get("DATABASE_URL", ""), sql, *parameters)

    def log(self) -> str:
        return self.output + self._stderr.read_text(encoding="utf-8", errors="replace")

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Ask the supervisor, and only it, to stop. It must end with 0, and nothing of it may be left."""
        if self.is_running():
            os.kill(self.pid, number)
        try:
            self._process.wait(STOPPED_WITHIN)
        except subprocess.TimeoutExpired:
            left = self.processes()
            self.kill()
            pytest.fail(f"The site did not stop within {STOPPED_WITHIN} s; left: {left}\n{self.log()}")
        left = self.processes()
        self.kill()
        assert self._process.returncode == 0, self.log()
        assert not left, f"left behind: {left}"

    def kill(self) -> None:
        """SIGKILL every process of this site at once, as a power cut would end it."""
        if self._killed:
            return  # that id may be somebody else's by now
        self._killed = True
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait(STOPPED_WITHIN)
        self._reader.join(STOPPED_WITHIN)
        if self._process.stdout:
            self._process.stdout.close()

    def forget(self) -> None:
        """Remove its directory, and the database that was made for it."""
        shutil.rmtree(self.directory, ignore_errors=True)
        if self._server:
            self._server.drop_database(self.settings["DATABASE_URL"])

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.output += line
            if line.startswith(("  Only this computer", "  Microsoft and your staff")):
                self._ready.set()
        self._ready.set()  # it ended


def ask(data_dir: Path, database_url: str, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """What a site's database answers, in the same types whichever it is."""
    if database_url.startswith("postgres"):
        answer = postgres.rows(database_url, sql.replace("?", "%s"), *parameters)
        return [
            tuple(value.hex if isinstance(value, uuid.UUID) else value for value in row) for row in answer
        ]
    with closing(sqlite3.connect(f"file:{data_dir}/leads.sqlite3?mode=ro", uri=True)) as database:
        return database.execute(sql, parameters).fetchall()


StartSite = Callable[..., Site]


@contextmanager
def _sites() -> Iterator[StartSite]:
    sites: list[Site] = []

    def start(*, again: Site | None = None, ready: bool = True, **settings: Any) -> Site:
        if again is None:
            # Not tmp_path: a Unix socket's path may have about 100 characters.
            directory = Path(tempfile.mkdtemp(prefix="site-"))
        else:
            directory, settings = again.directory, again.settings | settings
        site = Site(directory, settings)
        sites.append(site)
        if ready:
            site.wait_for_ready()
        return site

    try:
        yield start
        for site in sites:
            if site.is_running():
                site.stop()
    finally:
        for site in sites:
            site.kill()
        for site in sites:
            site.forget()


@pytest.fixture
def start_site() -> Iterator[StartSite]:
    """Start sites for this test: `start_site(**settings)`; `ready=False` returns at once, without waiting."""
    with _sites() as start:
        yield start


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """One site for all tests that leave it as it is."""
    with _sites() as start:
        yield start()


@pytest.fixture(scope="module")
def start_sites() -> Iterator[StartSite]:
    """Start sites that the tests of a module share: its `site`, which may be stopped and counted in."""
    with _sites() as start:
        yield start


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    from tests.e2e.browser import browsing  # not everybody who tests a site has one

    with browsing() as browser:
        yield browser


@pytest.fixture(scope="module")
def desk(site: Site, browser: "Browser") -> Iterator["Desk"]:
    """Somebody at a screen, signed in."""
    from tests.e2e.browser import signed_in

    with signed_in(browser, site) as desk:
        yield desk
