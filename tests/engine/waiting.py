"""What tests of real workers wait for, and the processes that they look for."""

import time
from collections.abc import Callable

import psutil


def until(condition: Callable[[], object], seconds: float = 90.0) -> None:
    """Wait until something is so; fails if that takes longer."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.002)


def worker(module: str) -> psutil.Process:
    """The process of this one's that runs a worker. Args: module: the worker's, such as 'engine.model'."""
    return next(child for child in psutil.Process().children() if module in child.cmdline())
