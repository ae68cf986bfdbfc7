"""Implementations that this project did not write, and what it takes to speak to them. All of it on loopback."""

from pathlib import Path

import pytest

from tests.fakes.server import authority_file
from tests.node_tools import node_tools


@pytest.fixture(scope="session", name="node_tools")
def _node_tools() -> Path:
    """The directory of what only npm has."""
    return node_tools()


@pytest.fixture
def trusting_fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that insist on https trust the certificates of our fakes, and use no proxy."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", authority_file())
    monkeypatch.setenv("SSL_CERT_FILE", authority_file())
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
