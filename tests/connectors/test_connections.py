"""Pushes share a connection to their CRM."""

import pytest

from crm_sync.addresses import Policy
from crm_sync.connectors.base import Connector
from crm_sync.http import Pool
from crm_sync.outcomes import Delivered
from tests.benchmarks.adapters import Redirected, Replay
from tests.connectors.laws import SITE
from tests.crm_sync.test_contract import HTTP, Recording

KINDS = [kind for kind in HTTP if kind.spec.slug != "demo"]


@pytest.mark.parametrize("kind", KINDS, ids=[kind.spec.slug for kind in KINDS])
def test_one_push_after_the_other_goes_over_one_connection(kind: type[Connector]) -> None:
    recording = Recording.read(kind.spec.slug)
    with Replay(recording) as crm:
        transport = Redirected(crm.port)
        pool = Pool(Policy(allow_private=True), transport=transport)
        for _ in range(5):
            connector = kind(recording.settings, pool.client(), fields=recording.known_fields(), site=SITE)
            outcome = connector.push(recording.record, key=recording.key, retry=False)
            assert isinstance(outcome, Delivered), outcome
        transport.close()
    assert crm.connections == 1
