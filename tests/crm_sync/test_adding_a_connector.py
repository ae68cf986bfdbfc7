"""docs/adding-a-connector.md, followed to the letter: what stands there works."""

import inspect
import re
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from crm_sync import connectors
from crm_sync.connectors.base import Connector
from tests.crm_sync import test_contract as contract

GUIDE = (Path(__file__).parents[2] / "docs/adding-a-connector.md").read_text("utf-8")
LAWS = {
    name: law
    for name, law in vars(contract).items()
    if name.startswith("test_") and list(inspect.signature(law).parameters) == ["connector"]
}
# The guide shows two recordings, and says that there must be more.
NOT_YET = {"test_a_connector_has_recordings_of_what_matters"}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[Connector]:
    """The connector of the guide, with its registry line and its recordings."""
    [source] = blocks("python")
    path = tmp_path / "acme.py"
    path.write_text(source, "utf-8")
    spec = spec_from_file_location("crm_sync.connectors.acme", path)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)

    recordings = tmp_path / "exchanges" / "acme"
    recordings.mkdir(parents=True)
    for name, text in zip(("delivered", "locked"), blocks("json"), strict=True):
        (recordings / f"{name}.json").write_text(text, "utf-8")
    monkeypatch.setattr(contract, "EXCHANGES", recordings.parent)
    monkeypatch.setattr(contract, "RECORDINGS", sorted(recordings.glob("*.json")))
    monkeypatch.setattr(contract, "BATCHES", [])
    registry = MappingProxyType({**connectors.REGISTRY, "acme": module.AcmeConnector})
    monkeypatch.setattr(connectors, "REGISTRY", registry)
    connector: type[Connector] = module.AcmeConnector
    return connector


@pytest.mark.parametrize("name", sorted(LAWS.keys() - NOT_YET))
def test_the_connector_of_the_guide_keeps_each_law(name: str, acme: type[Connector]) -> None:
    LAWS[name](acme)
    assert connectors.get("acme") is acme


def test_the_contract_suite_names_what_the_guide_leaves_to_do(acme: type[Connector]) -> None:
    with pytest.raises(AssertionError):
        contract.test_a_connector_has_recordings_of_what_matters(acme)


@pytest.mark.parametrize("number", [0, 1])
def test_its_recordings_play_as_recorded(number: int, acme: type[Connector]) -> None:
    path = contract.RECORDINGS[number]
    contract.test_a_recorded_push_sends_and_concludes_what_was_recorded(path)
    contract.test_a_recording_says_where_its_answers_are_from(path)
    assert path.parent.name == acme.spec.slug


@pytest.mark.parametrize(("answer", "expected"), contract.NO_ANSWER.values(), ids=list(contract.NO_ANSWER))
def test_it_says_whether_a_record_may_exist(answer: Any, expected: Any, acme: type[Connector]) -> None:
    contract.test_without_an_answer_the_outcome_says_whether_the_record_may_exist(acme, answer, expected)
    assert acme.spec.idempotent_by


def test_it_is_short_and_knows_no_django() -> None:
    [source] = blocks("python")
    assert len(source.splitlines()) <= 300
    assert "django" not in source
