"""Laws that each connector proves against the fake of its CRM, with real connections on loopback."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid5

from crm_sync.addresses import Policy
from crm_sync.connectors.base import Connector, Site
from crm_sync.connectors.memory import memory
from crm_sync.http import Pool
from crm_sync.outcomes import Delivered, Outcome, RetryLater
from crm_sync.recorder import Recorder
from crm_sync.spec import TargetField
from tests.fakes.server import FakeCrm

SITE = Site(url="https://leads.contoso.example", lead_path="/admin/leads/lead/{id}/change/")
LOOPBACK = Policy(allow_private=True, connect_timeout=2, read_timeout=5, deadline=10)
_NAMESPACE = UUID("7f0c3f0e-6d0e-4c0a-9d55-2f6f3e0c9b11")


def key(number: int) -> str:
    """The key of a delivery, the same for the same number."""
    return str(uuid5(_NAMESPACE, str(number)))


Connect = Callable[..., Connector]


@contextmanager
def connecting(
    kind: type[Connector], settings: Mapping[str, str], policy: Policy = LOOPBACK
) -> Iterator[Connect]:
    """Makes connectors, each for one push as a worker does, over one pool of connections that is closed at the end."""
    pool = Pool(policy)

    def connect(
        *, recorder: Recorder | None = None, fields: Sequence[TargetField] | None = None, **other: str
    ) -> Connector:
        chosen = {**settings, **other}
        return kind(
            chosen, pool.client(recorder=recorder or Recorder(), deadline=20), fields=fields, site=SITE
        )

    yield connect
    pool.close()
    memory.clear()


def push(
    connect: Connect, record: Mapping[str, Any], number: int = 1, *, retry: bool = False, **other: Any
) -> Outcome:
    """Push one record under the key of that number."""
    return connect(**other).push(record, key=key(number), retry=retry)


def assert_a_lost_answer_leaves_one_record(
    crm: FakeCrm, connect: Connect, record: Mapping[str, Any], count: Callable[[], int]
) -> None:
    """The retry test: the far side writes and hangs up; the second try finds what the first wrote; so do two at once.

    `count`: how many records the far side holds.
    """
    crm.next("drop")
    first = push(connect, record)
    assert isinstance(first, RetryLater), first
    assert first.uncertain
    assert count() == 1

    second = push(connect, record, retry=True)
    assert isinstance(second, Delivered), second
    assert count() == 1

    with ThreadPoolExecutor(2) as workers:
        both = list(workers.map(lambda _: push(connect, record, retry=True), range(2)))
    assert all(isinstance(outcome, Delivered | RetryLater) for outcome in both), both
    assert any(isinstance(outcome, Delivered) for outcome in both), both
    assert count() == 1

    with ThreadPoolExecutor(2) as workers:
        new = list(workers.map(lambda _: push(connect, record, 2), range(2)))
    assert any(isinstance(outcome, Delivered) for outcome in new), new
    assert count() == 2
