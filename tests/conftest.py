"""For every test: what a site has before it serves anything."""

from pathlib import Path

import pytest
from django.conf import settings


@pytest.fixture(scope="session", autouse=True)
def _static_files_have_a_place() -> None:
    """WhiteNoise warns of a missing directory, and a warning is an error here."""
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)
