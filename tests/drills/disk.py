"""The full disk: what becomes of leads when SQLite can write no more, and after there is room again.

    python -m tests.drills.disk

POSTs get a 503 with Retry-After, nothing is half-written, and with room again leads are taken without a restart.
Where the machine lets us mount one, the disk is a small file system of our own, in a namespace of its own; elsewhere
SQLite is told that the database may have no more pages, and the room comes with a restart.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from tests.drills import ledger
from tests.drills.senders import Promises, Reply, lead, post_once
from tests.e2e.conftest import ROOT, Site

SIZE = "64m"
FEW, MANY = (
    20,
    400,
)  # leads; what is left of the write-ahead log takes some before the disk is felt to be full
ROOM_WITHIN = 60.0  # seconds
MOUNT = ["unshare", "--map-root-user", "--mount"]


class Disk(Protocol):
    """Where the site's data is."""

    site: Site

    def fill(self) -> None: ...
    def make_room(self) -> None: ...
    def remove(self) -> None: ...


class SmallDisk:
    """A file system in memory at the site's data directory."""

    def __init__(self, directory: Path) -> None:
        data = directory / "data"
        data.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", data], check=True)
        self.site = Site(directory, {"INTAKE_RATE": 1_000_000})
        self._ballast = data / "ballast"

    def fill(self) -> None:
        try:
            with self._ballast.open("wb", buffering=0) as file:
                while True:
                    file.write(b"x" * 4096)
        except OSError as error:
            print(f"the disk is full: {error.strerror}", flush=True)  # noqa: T201

    def make_room(self) -> None:
        self._ballast.unlink()

    def remove(self) -> None:
        subprocess.run(["umount", "--lazy", self._ballast.parent], check=True)


class FewPages:
    """A database whose number of pages is limited."""

    def __init__(self, directory: Path) -> None:
        self.site = Site(directory, {"INTAKE_RATE": 1_000_000})

    def fill(self) -> None:
        [(pages,)] = self.site.rows("PRAGMA page_count")
        self._restart(DJANGO_SETTINGS_MODULE="tests.drills.few_pages", MAX_PAGES=str(pages))
        print(f"the database may have {pages} pages, as many as it has", flush=True)  # noqa: T201

    def make_room(self) -> None:
        self._restart(DJANGO_SETTINGS_MODULE="leadsite.settings")

    def remove(self) -> None:
        """Nothing but files."""

    def _restart(self, **settings: str) -> None:
        self.site.stop()
        self.site = Site(self.site.directory, self.site.settings | settings)
        self.site.wait_for_ready()


@contextmanager
def disk(kind: type[SmallDisk] | type[FewPages]) -> Iterator[Disk]:
    with tempfile.TemporaryDirectory(prefix="disk-") as directory:
        made = kind(Path(directory))
        try:
            made.site.wait_for_ready()
            yield made
        finally:
            made.site.kill()
            made.remove()


def run(disk: Disk) -> list[str]:
    """Fill it, and make room again. Returns what did not hold, in sentences."""
    promises, url = Promises(), disk.site.endpoint_url
    found = [f"before: {reply}" for reply in _post(url, promises, FEW) if reply.status != 201]
    disk.fill()
    refused = [reply for reply in _post(url, promises, MANY) if reply.status != 201]
    print(f"{len(refused)} of {MANY} leads refused", flush=True)  # noqa: T201
    if not refused:
        found.append("no lead was refused by a full disk")
    found += [
        f"full: {reply}" for reply in refused if reply.status != 503 or "retry-after" not in reply.headers
    ]
    found += ledger.problems(disk.site, promises)
    disk.make_room()
    deadline = time.monotonic() + ROOM_WITHIN
    while _post(url, promises, 1)[0].status != 201:
        if time.monotonic() > deadline:
            return [*found, f"with room again, no lead was taken within {ROOM_WITHIN} s"]
        time.sleep(0.2)
    found += [f"after: {reply}" for reply in _post(url, promises, FEW) if reply.status != 201]
    return found + ledger.problems(disk.site, promises)


def _post(url: str, promises: Promises, how_many: int) -> list[Reply]:
    replies = []
    for _ in range(how_many):
        body = lead(f"disk-{len(promises.sent)}")
        promises.sent[body] = 1
        reply = post_once(url, body)
        if reply is None:
            raise RuntimeError("A lead got no answer")
        if 200 <= reply.status < 300:
            promises.acknowledged[body] = reply.json()
        replies.append(reply)
    return replies


def may_mount() -> bool:
    """Whether this machine lets us mount a file system that only we see."""
    try:
        tried = subprocess.run([*MOUNT, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True)
    except OSError:
        return False
    return tried.returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--few-pages", action="store_true", help="limit the database's pages, not the disk")
    asked = parser.parse_args()
    os.environ.pop("DATABASE_URL", None)  # this is about SQLite
    if not asked.inside and not asked.few_pages and may_mount():
        command = [*MOUNT, sys.executable, "-m", "tests.drills.disk", "--inside"]
        return subprocess.run(command, cwd=ROOT).returncode
    with disk(SmallDisk if asked.inside else FewPages) as made:
        found = run(made)
    for problem in found:
        print(f"BROKEN: {problem}", flush=True)  # noqa: T201
    return min(len(found), 1)


if __name__ == "__main__":
    sys.exit(main())
