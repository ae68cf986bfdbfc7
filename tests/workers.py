"""Worker processes beside a site or instead of its own, each as on a machine of its own: what `manage.py deliver` does.

`python -m tests.workers --slots 10` is such a process, with fewer pushes at once than it would make.
"""

import argparse
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tests.e2e.conftest import ROOT, Site

STOPPED_WITHIN = 60.0  # seconds


class Worker:
    """One `deliver` process on a site's database; on SQLite in its directory, elsewhere in one of its own."""

    def __init__(self, site: Site, name: str = "worker", *, slots: int = 0) -> None:
        own = {"DATA_DIR": str(site.directory / name)} if site.settings.get("DATABASE_URL") else {}
        command = ["-m", "tests.workers", f"--slots={slots}"] if slots else ["manage.py", "deliver"]
        self._log = site.directory / f"{name}.log"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                env=site.environment | own,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for whoever started it, who then ends it
            )
        self.pid = self._process.pid

    def cpu(self) -> float:
        """Seconds of CPU that it has used so far, its own and the system's (Linux)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def is_running(self) -> bool:
        return self._process.poll() is None

    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """As an operator does; must end with 0. One that does not end is killed."""
        if self.is_running():
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(STOPPED_WITHIN)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RuntimeError(
                f"A worker did not stop within {STOPPED_WITHIN:.0f} s:\n{self.log()[-3000:]}"
            ) from None
        if code not in {0, -signal.SIGKILL}:
            raise RuntimeError(f"A worker ended with {code}:\n{self.log()[-3000:]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slots", type=int, required=True)
    slots = parser.parse_args().slots
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leadsite.settings")
    import django

    django.setup()
    from django.core.management import call_command

    from crm_sync.engine import crew

    crew.SLOTS = slots
    call_command("deliver")


if __name__ == "__main__":
    main()
