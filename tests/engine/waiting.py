"""What tests of real workers wait for, and the processes that they look for."""

from typing import Any

import psutil

from engine.jobs import Job
from engine.running import Running


def state_of(work: Job[Any] | Running) -> str:
    """How it is now. A call, since type checkers take an attribute for what it was when it was last looked at."""
    return work.state


def worker(module: str) -> psutil.Process:
    """The process of this one's that runs a worker: the youngest, since tests of other files may have left theirs.

    Args:
        module: the worker's, such as 'engine.model'.

    Raises:
        StopIteration: if there is none now.
    """
    found = [child for child in psutil.Process().children() if module in child.cmdline()]
    return next(reversed(sorted(found, key=psutil.Process.create_time)))
