"""A process below `manage.py serve` ends when the one that started it is gone, however that died."""

import os
import signal
import threading
import time

INTERVAL = 0.5  # seconds
PARENT = "LEADSITE_PARENT"  # who started this process, by its id


def environment() -> dict[str, str]:
    """The environment for a process that shall end with this one."""
    return os.environ | {PARENT: str(os.getpid())}


def end_with_parent(grace: float) -> None:
    """Ask this process to stop, as SIGTERM would, once its parent is gone, and kill it `grace` seconds later.

    Polling, because a parent's death gives no signal on macOS. The parent is told by name: one that died before
    this was called would never be missed. Does nothing in a process that was started by hand.
    """
    parent = os.environ.get(PARENT)
    if parent is not None:
        threading.Thread(target=_watch, args=[int(parent), grace], name="lifeline", daemon=True).start()


def _watch(parent: int, grace: float) -> None:
    while os.getppid() == parent:
        time.sleep(INTERVAL)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace)
    os.kill(os.getpid(), signal.SIGKILL)
