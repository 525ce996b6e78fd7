"""What tests of real workers wait for, and the processes that they look for."""

from contextlib import suppress
from typing import Any

import psutil

from engine.jobs import Job
from engine.running import Running


def state_of(work: Job[Any] | Running) -> str:
    """The state of a piece of work now. A call: for type checkers an attribute stays what it was last compared with."""
    return work.state


def worker(module: str) -> psutil.Process:
    """The child process that runs a worker: the youngest such child, since tests of other files may have left theirs.

    Args:
        module: the worker's module, such as 'engine.model'.

    Raises:
        StopIteration: if no child runs it now.
    """
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            if module in child.cmdline():
                found.append(child)
    return next(reversed(sorted(found, key=psutil.Process.create_time)))
