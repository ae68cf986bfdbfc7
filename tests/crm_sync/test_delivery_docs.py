"""What docs/delivery.md says of numbers and connectors is what the code does."""

import re
from pathlib import Path

import pytest

from crm_sync import backoff, connectors
from crm_sync.connectors.answers import LONGEST_DELAY
from crm_sync.delivery import LEASE
from crm_sync.engine.crew import SWEEP
from crm_sync.models import Delivery, Destination
from crm_sync.policy import PUSH_DEADLINE, policy

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/delivery.md").read_text()
FLOWING = " ".join(TEXT.split())


def table(head: str) -> list[list[str]]:
    """The cells of the table whose head begins so."""
    lines = TEXT[TEXT.index(f"| {head} |") :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_it_leads_to_what_each_kind_of_crm_promises() -> None:
    assert "(connectors/README.md)" in TEXT
    told = (ROOT / "docs/connectors/README.md").read_text()
    assert all(f"[{each.spec.label}]" in told for each in connectors.all())


def test_it_explains_every_state() -> None:
    assert [row[0] for row in table("state")] == [str(label) for label in Delivery.State.labels]


@pytest.mark.parametrize(
    "words",
    [
        f"a **lease** of {LEASE.total_seconds():.0f} seconds",
        f"must be over within {PUSH_DEADLINE:.0f} seconds",
        f"{backoff.FIRST:.0f} seconds at most after the first failure, doubling to one hour",
        f"after {backoff.MAX_STRIKES} failures at a connection that works",
        f"pauses that grow to {backoff.PROBE_CAP / 60:.0f} minutes",
        f"as long as the CRM says, {LONGEST_DELAY / 3600:.0f} hours at most",
        f"({Destination._meta.get_field('keep_tries_days').default}; 0: never)",
        f"pushes at once ({Destination._meta.get_field('max_in_flight').default} unless you say otherwise)",
    ],
)
def test_its_numbers_are_those_of_the_code(words: str) -> None:
    assert words in FLOWING


def test_its_numbers_in_words_are_those_of_the_code() -> None:
    assert (backoff.CAP, backoff.BREAKER_AFTER, SWEEP) == (3600, 5, 2)
    assert "five times in a row" in FLOWING
    assert "looks every two seconds" in FLOWING
    assert policy().max_response_bytes == 1024 * 1024
    assert "at most 1 MiB is read" in FLOWING


def test_every_command_and_page_that_it_names_is_there() -> None:
    for command in re.findall(r"manage\.py (\w+)", TEXT):
        assert list(ROOT.glob(f"*/management/commands/{command}.py")), command
    for link in re.findall(r"\]\(([\w.-]+)\)", TEXT):
        assert (ROOT / "docs" / link).is_file(), link
