"""Short forms of the drills (`make drill-intake` has the long ones): what is killed or full loses no lead."""

import subprocess
import sys

import pytest

from tests.drills import disk, intake
from tests.e2e.conftest import ROOT

pytestmark = pytest.mark.e2e
ROUNDS, SEED = 3, 20261122
AT_ONCE = 3.0  # seconds; the drill itself demands less, of a machine that does nothing else


@pytest.mark.parametrize(
    ("database", "spool"),
    [
        pytest.param("sqlite", False, marks=pytest.mark.sqlite),
        pytest.param("postgresql", False, marks=pytest.mark.postgresql, id="postgresql"),
        pytest.param("postgresql", True, marks=pytest.mark.postgresql, id="postgresql-with-a-spool"),
    ],
)
def test_whatever_is_killed_every_acknowledged_lead_is_stored_exactly_once(
    database: str, spool: bool
) -> None:
    report = intake.run(database, ROUNDS, seed=SEED, spool=spool, at_once=AT_ONCE)
    assert not report.problems, report
    assert report.rounds == ROUNDS


@pytest.mark.sqlite
def test_a_full_disk_refuses_leads_half_writes_none_and_takes_them_when_there_is_room() -> None:
    kind = [] if disk.may_mount() else ["--few-pages"]
    ended = subprocess.run(
        [sys.executable, "-m", "tests.drills.disk", *kind], cwd=ROOT, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
