"""The app's own workers in tests: what is waited for, and the processes that are looked for."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar, overload

import psutil

from engine import Engine
from engine.jobs import Job
from engine.running import Running
from ui.server import WORKERS

Chain = TypeVar("Chain", bound=Running)


@contextmanager
def app_engine(*names: str) -> Iterator[Engine]:
    """An engine that has the app's own workers of these names."""
    engine = Engine({name: WORKERS[name] for name in names})
    engine.start()
    try:
        yield engine
    finally:
        engine.stop()


@overload
def done(work: Job[Any]) -> Job[Any]: ...
@overload
def done(work: Chain) -> Chain: ...
def done(work: Job[Any] | Running) -> Job[Any] | Running:
    """A piece of work, once it is done; fails if it takes minutes, or does not end well."""
    assert work.wait(180), f"still {work.state}"
    assert work.state == "done", (work.error, getattr(work, "details", ""))
    return work


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
