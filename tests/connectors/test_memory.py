"""What connectors remember: asked for once, for as long as it holds."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from crm_sync.connectors.memory import MOST, Busy, Memory


class Source:
    def __init__(self, seconds: float | None = None) -> None:
        self.asked, self.seconds = 0, seconds

    def __call__(self) -> tuple[int, float | None]:
        self.asked += 1
        return self.asked, self.seconds


def test_what_is_known_is_not_asked_again_until_its_time_is_over() -> None:
    now = [0.0]
    memory, source = Memory(lambda: now[0]), Source(60)
    assert memory.get("a", source) == memory.get("a", source) == 1
    assert memory.peek("a") == 1
    now[0] = 60
    assert memory.peek("a") is None
    assert memory.get("a", source) == 2


def test_of_many_threads_one_asks() -> None:
    memory, source = Memory(), Source()
    together = threading.Barrier(8)

    def ask(_: int) -> int:
        together.wait()
        return memory.get("a", source)

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(ask, range(8))) == {1}
    assert source.asked == 1


def test_who_waits_too_long_for_another_gives_up() -> None:
    memory = Memory()
    asking, answered = threading.Event(), threading.Event()

    def slow() -> tuple[str, None]:
        asking.set()
        assert answered.wait(5)
        return "value", None

    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(memory.get, "a", slow)
        assert asking.wait(5)
        with pytest.raises(Busy):
            memory.get("a", slow, wait=0)
        answered.set()
        assert first.result() == "value"


def test_after_a_failure_nothing_is_known_and_the_next_asks() -> None:
    memory = Memory()

    def fail() -> tuple[int, None]:
        raise ValueError

    with pytest.raises(ValueError):
        memory.get("a", fail)
    assert memory.get("a", Source()) == 1


def test_only_the_value_that_was_found_wrong_is_forgotten() -> None:
    memory, source = Memory(), Source()
    memory.get("a", source)
    memory.forget("a", 0)  # another thread has renewed it meanwhile
    assert memory.get("a", source) == 1
    memory.forget("a", 1)
    assert memory.get("a", source) == 2


def test_the_oldest_goes_when_there_is_too_much() -> None:
    memory = Memory()
    for number in range(MOST + 1):
        memory.get(number, Source())
    assert memory.peek(0) is None
    assert memory.peek(MOST) == 1
