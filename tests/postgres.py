"""A throw-away PostgreSQL on loopback, in a temporary directory.

    with cluster() as server:  # durable, as it comes
        url = server.create_database()
        server.kill()  # the postmaster, with SIGKILL
        server.start()  # on the same data and port

`python -m tests.postgres COMMAND...` runs a command with DATABASE_URL naming one that forgets at a power cut, and is
faster for it: so `make test` runs the tests a second time. It ends however the command ends, and on Ctrl-C and
SIGTERM too.
"""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

ROOT = Path(__file__).resolve().parents[1]
USER = "leads"
STARTED_WITHIN, STOPPED_WITHIN = 60.0, 30.0  # seconds
OPTIONS = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": "200"}
FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@cache
def programs() -> str:
    """The directory of PostgreSQL's programs; "" where there are none."""
    found = subprocess.run([ROOT / ".ci/postgres.sh"], stdout=subprocess.PIPE, text=True)
    return found.stdout.strip()


def server_of_this_run() -> "Server | None":
    """The server that these tests run on; None where they run on SQLite."""
    url = os.environ.get("DATABASE_URL", "")
    return Server(url) if url.startswith("postgres") else None


class Server:
    """A PostgreSQL whose user may make databases. `url` leads to one that is there already."""

    def __init__(self, url: str) -> None:
        self.url = url

    def create_database(self, *, template: str = "template0") -> str:
        """Make an empty one, or a copy of another; returns its URL."""
        name = f"leads_{secrets.token_hex(6)}"
        self.run(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    def drop_database(self, url: str) -> None:
        """Whoever is connected to it loses that connection."""
        self.run(f'DROP DATABASE IF EXISTS "{database_of(url)}" WITH (FORCE)')

    def run(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return rows(self.url, sql, *parameters)


def database_of(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")


def rows(url: str, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Ask a database, over a connection of its own."""
    with closing(psycopg.connect(url, autocommit=True, connect_timeout=10)) as connection:
        cursor = connection.execute(sql, parameters or None)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []


class Cluster(Server):
    """A server of our own, in a directory of its own. Use `cluster()`, which ends it."""

    def __init__(self, directory: Path, *, durable: bool = True) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port: int = probe.getsockname()[1]
        self._password = secrets.token_hex(16)
        super().__init__(f"postgres://{USER}:{self._password}@127.0.0.1:{self.port}/postgres")
        self.directory, self.data, self._log = directory, directory / "data", directory / "log"
        self._options = OPTIONS | {"port": str(self.port)} | ({} if durable else FORGETFUL)
        self._process: subprocess.Popen[bytes] | None = None

    def initialise(self) -> None:
        password = self.directory / "password"
        password.write_text(self._password)
        if os.geteuid() == 0:  # as whom PostgreSQL refuses to run
            shutil.chown(self.directory, "postgres", "postgres")
            shutil.chown(password, "postgres", "postgres")
        # Upper and lower case beyond ASCII, as a production database has it.
        locale = "en_US.UTF-8" if sys.platform == "darwin" else "C.UTF-8"
        made = subprocess.run(
            [
                *(f"{programs()}/initdb", "--pgdata", self.data, "--username", USER, "--pwfile", password),
                *("--auth=scram-sha-256", "--encoding=UTF8", f"--locale={locale}", "--no-sync"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **self._as_its_user(),
        )
        if made.returncode:
            raise RuntimeError(f"initdb failed:\n{made.stdout}")

    @property
    def pid(self) -> int:
        """The postmaster's."""
        if self._process is None:
            raise RuntimeError("PostgreSQL does not run")
        return self._process.pid

    def start(self) -> None:
        """Returns once it takes connections."""
        deadline = time.monotonic() + STARTED_WITHIN
        self._launch()
        while not self._answers():
            if time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"PostgreSQL did not start in {STARTED_WITHIN:.0f} s:\n{self.log()}")
            if self._process is None or self._process.poll() is not None:
                # Where it was killed, its children hold the shared memory for a moment more.
                time.sleep(0.2)
                self._launch()
            time.sleep(0.05)

    def stop(self) -> None:
        """Whoever is connected loses that connection."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGINT)  # "fast": it waits for nobody
        try:
            process.wait(STOPPED_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self) -> None:
        """SIGKILL the postmaster; its children end by themselves once they notice."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def backends(self) -> list[int]:
        """The ids of the processes that serve clients, but for the one asked."""
        found = self.run(
            "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return [pid for (pid,) in found]

    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""

    def _launch(self) -> None:
        settings = [part for name, value in self._options.items() for part in ("-c", f"{name}={value}")]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [f"{programs()}/postgres", "-D", self.data, *settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us, who then end it
                **self._as_its_user(),
            )

    def _answers(self) -> bool:
        try:
            self.run("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def _as_its_user(self) -> dict[str, Any]:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))
        }
        options: dict[str, Any] = {"cwd": self.directory, "env": environment}
        if os.geteuid() == 0:
            its = pwd.getpwnam("postgres")
            options |= {"user": its.pw_uid, "group": its.pw_gid, "extra_groups": []}
        return options


@contextmanager
def cluster(*, durable: bool = True) -> Iterator[Cluster]:
    """One that runs; `durable=False` where nobody will pull the plug. Needs `programs()`."""
    directory = Path(tempfile.mkdtemp(prefix="postgres-"))
    server = Cluster(directory, durable=durable)
    try:
        server.initialise()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


def main(command: list[str]) -> int:
    """Run a command on a cluster of its own; returns its exit code."""
    signal.signal(signal.SIGTERM, _give_up)
    with cluster(durable=False) as server:
        child = subprocess.Popen(command, env=os.environ | {"DATABASE_URL": server.url})
        while True:
            try:
                return child.wait()
            except KeyboardInterrupt:
                continue  # the command got it too, and ends in its own time
            except SystemExit:
                child.terminate()
                child.wait()
                raise


def _give_up(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
