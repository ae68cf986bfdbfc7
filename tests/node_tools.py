"""What only npm has, installed: see tests/tools."""

import os
import subprocess
from functools import cache
from pathlib import Path

import pytest


@cache
def directory() -> str:
    tools = os.environ.get("NODE_TOOLS")
    if tools is None:  # not under `make test`
        script = Path(__file__).parents[1] / ".ci/node_tools.sh"
        tools = subprocess.run([script], stdout=subprocess.PIPE, text=True, check=False).stdout.strip()
    return tools


def node_tools() -> Path:
    """The directory of what `.ci/node_tools.sh` installed. Skips the test where there is none."""
    if not directory():
        pytest.skip("needs Node.js and npm: on Debian, apt-get install nodejs npm")
    return Path(directory())
