"""Waiting for what is to happen, however busy the machine is."""

import time
from collections.abc import Callable


def until(condition: Callable[[], object], seconds: float = 90.0) -> None:
    """Wait until something is so; fails if that takes longer."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.002)
