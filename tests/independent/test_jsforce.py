"""jsforce (npm) works with our fake unchanged."""

import json
import os
import subprocess
from pathlib import Path

from tests.connectors.laws import key
from tests.fakes.salesforce import CLIENT_ID, CLIENT_SECRET, ORGANIZATION, FakeSalesforce

SCRIPT = Path(__file__).parents[1] / "tools/salesforce.mjs"


def test_it_signs_in_describes_upserts_queries_and_reads_refusals(node_tools: Path) -> None:
    with FakeSalesforce() as crm:
        ran = subprocess.run(
            ["node", SCRIPT, node_tools, crm.url, CLIENT_ID, CLIENT_SECRET, key(1), key(2)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={"PATH": os.environ["PATH"]},
        )
        assert ran.returncode == 0, ran.stderr
        told = json.loads(ran.stdout)
        lead, other = crm.lead(key(1)), crm.lead(key(2))

    assert told["organization"] == ORGANIZATION
    assert told["required"] == ["LastName", "Company"]
    assert told["first"] == {"id": lead["Id"], "success": True, "errors": [], "created": True}
    assert told["second"] == {"id": lead["Id"], "success": True, "errors": [], "created": False}
    assert [each["success"] for each in told["collection"]] == [True, False]
    assert told["collection"][0]["id"] == other["Id"]
    assert [each["success"] for each in told["created"]] == [True, False]
    assert told["query"] == ["Kiss", "Nagy"]
    assert told["retrieved"] == lead["LastName"] == "Kiss"
    assert told["calls"] == 15_000
    assert told["missing"] == "REQUIRED_FIELD_MISSING"
    assert told["taken"] == "DUPLICATE_VALUE"
    assert told["unknown"] == "INVALID_FIELD"
    assert told["refused"] == "invalid_client"
