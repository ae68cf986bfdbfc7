"""How long whoever looks at lists waits where a great many leads are, beside the same pages with ten thousand."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.rows import ROOT, Row
from tests.postgres import cluster

FEW = 10_000
ON_POSTGRES, ON_SQLITE = 1_000_000, 100_000
POSTGRES_WITHIN, SQLITE_WITHIN = 200.0, 300.0  # ms
AT_MOST_SLOWER = 2.0
COMPARED = {"first", "next", "search_frequent", "search_rare", "search_none", "filter_offer"}


def postgres() -> list[Row]:
    with cluster() as server, tempfile.TemporaryDirectory() as directory:
        few = _pages(server.create_database(), FEW, Path(directory))
        many = _pages(server.create_database(), ON_POSTGRES, Path(directory))
    return _rows("inbox.postgres", many, few, POSTGRES_WITHIN)


def sqlite() -> list[Row]:
    with tempfile.TemporaryDirectory() as directory:
        few = _pages(f"sqlite:///{directory}/few.sqlite3", FEW, Path(directory))
        many = _pages(f"sqlite:///{directory}/many.sqlite3", ON_SQLITE, Path(directory))
    return _rows("inbox.sqlite", many, few, SQLITE_WITHIN)


def _pages(database: str, leads: int, directory: Path) -> dict[str, float]:
    """Milliseconds by case: in a process of its own, whose settings name that database."""
    environment = os.environ | {
        "DATABASE_URL": database,
        "DATA_DIR": str(directory),
        "DJANGO_SETTINGS_MODULE": "tests.settings",
    }
    command = [sys.executable, "-m", "tests.benchmarks.pages", "--leads", str(leads)]
    ended = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(ended.stdout)


def _rows(name: str, many: dict[str, float], few: dict[str, float], within: float) -> list[Row]:
    return [_row(f"{name}.{case}", case, value, few[case], within) for case, value in many.items()]


def _row(name: str, case: str, value: float, reference: float, within: float) -> Row:
    """With ten thousand leads other pages may have fewer rows to show: only those named are held to their ratio."""
    ratio, target, holds = value / reference, f"<= {within:.0f} ms", value <= within
    if case in COMPARED:
        target, holds = f"{target}, <= {AT_MOST_SLOWER:.0f}x", holds and ratio <= AT_MOST_SLOWER
    return Row(name, value, "ms", reference, ratio, target, holds)


BENCHES: dict[str, Callable[[], list[Row]]] = {"inbox.postgres": postgres, "inbox.sqlite": sqlite}
