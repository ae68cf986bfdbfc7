"""What tests of the engines share: one that runs in a thread, and a CRM that says when a lead has come."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection

from crm_sync.engine import crew
from crm_sync.outcomes import Delivered, Outcome
from tests.crm_sync.sending import Crm

SOON = 20.0  # seconds; nothing waits that long unless it is broken


@contextmanager
def running(kind: Any) -> Iterator[Any]:
    """An engine in a thread of its own; stopped and waited for at the end. `kind` is its module."""
    engine = kind.Engine()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            engine.run()
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield engine
    finally:
        engine.stop()
        thread.join(SOON)
    assert not thread.is_alive()
    assert errors == []


def sweep_every(seconds: float, kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the engine look around that often, and at no other time unless it is rung."""
    monkeypatch.setattr(crew, "SWEEP", seconds)
    if hasattr(kind, "OWN_SWEEP"):
        monkeypatch.setattr(kind, "OWN_SWEEP", seconds)
        monkeypatch.setattr(kind, "SWEEPS", "0 0 29 2 *")


class Gate:
    """A CRM that says when a lead has come, and answers when it is told."""

    def __init__(self, crm: Crm, *, open: bool = True) -> None:  # noqa: A002
        self.came, self.may_answer = threading.Semaphore(0), threading.Event()
        if open:
            self.may_answer.set()
        crm.always = self

    def __call__(self, record: dict[str, Any]) -> Outcome:
        self.came.release()
        assert self.may_answer.wait(SOON)
        return Delivered("1")

    def wait_for_a_lead(self) -> None:
        assert self.came.acquire(timeout=SOON)


def wait_until(holds: Callable[[], Any]) -> None:
    """For what no event tells, such as what another thread has committed."""
    pause = threading.Event()
    for _ in range(round(SOON / 0.02)):
        if holds():
            return
        pause.wait(0.02)
    pytest.fail("It did not happen.")


def ring_on_procrastinate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module of that engine, with a bell that ends with the test."""
    from crm_sync.engine import procrastinate

    bell = procrastinate.Bell()
    monkeypatch.setattr(procrastinate, "_bell", bell)
    yield procrastinate
    bell.close()
    assert bell._thread is None or not bell._thread.is_alive()
