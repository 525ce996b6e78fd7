"""What this server runs and has run lately: sweeps, or evaluations, by their ids. No torch."""

import threading
from typing import Generic, Protocol, TypeVar

UNSAVED = 5  # chains that ended and could not be written, held in memory: the last so many


class Saved(Protocol):
    """A chain of jobs that is somebody's and is written to disk.

    Args:
        id: names it, and its file.
        visitor: whose it is.
        state: 'running', or how it ended.
        saved: whether it is on disk as it is now.
    """

    @property
    def id(self) -> str: ...
    @property
    def visitor(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def saved(self) -> bool: ...


One = TypeVar("One", bound=Saved)


class Lately(Generic[One]):
    """Chains that run, and those that have ended: until the next begins, or for longer if unsaved. Any thread may ask."""

    def __init__(self) -> None:
        self._ones: dict[str, One] = {}
        self._lock = threading.Lock()

    def add(self, one: One) -> None:
        """Take up a chain that begins; forget those that have ended, but for the last `UNSAVED` that are not on disk."""
        with self._lock:
            unsaved = [k for k, v in self._ones.items() if v.state != "running" and not v.saved][-UNSAVED:]
            self._ones = {k: v for k, v in self._ones.items() if v.state == "running" or k in unsaved}
            self._ones[one.id] = one

    def get(self, id: str) -> One | None:
        """The one of that id, if it has been run lately."""
        with self._lock:
            return self._ones.get(id)

    def all(self) -> list[One]:
        """Every one, the latest last."""
        with self._lock:
            return [*self._ones.values()]

    def running(self, visitor: str | None = None) -> list[One]:
        """Those that run now, the latest last. Args: visitor: whose; None for everybody's."""
        return [one for one in self.all() if one.state == "running" and visitor in (None, one.visitor)]

    def drop(self, id: str) -> None:
        """Forget one."""
        with self._lock:
            self._ones.pop(id, None)
