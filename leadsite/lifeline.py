"""A child of `manage.py serve` ends when its parent is gone, however that died."""

import os
import signal
import threading
import time

INTERVAL = 0.5  # seconds


def end_with_parent() -> None:
    """Ask this process to stop, as SIGTERM would, once its parent is no longer the one it has now.

    Polling, because a parent's death gives no signal on macOS.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(INTERVAL)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()
