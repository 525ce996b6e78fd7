"""Who is looking. A visitor who stays away is forgotten, one who comes back in time (a lost connection) is not."""

import threading
from collections.abc import Callable


class Visitors:
    """Args: gone: called with a visitor once they have been away for `grace` seconds."""

    def __init__(self, gone: Callable[[str], None], grace: float = 15.0) -> None:
        self._gone = gone
        self._grace = grace
        self._leaving: dict[str, threading.Timer] = {}
        self._lock = threading.Lock()

    def arrive(self, visitor: str) -> None:
        """The visitor is here, for the first time or again."""
        with self._lock:
            if timer := self._leaving.pop(visitor, None):
                timer.cancel()

    def leave(self, visitor: str) -> None:
        """The visitor's connection has ended."""
        with self._lock:
            if visitor not in self._leaving:
                timer = self._leaving[visitor] = threading.Timer(self._grace, self._forget, [visitor])
                timer.daemon = True
                timer.start()

    def _forget(self, visitor: str) -> None:
        with self._lock:
            if self._leaving.pop(visitor, None) is None:
                return
        self._gone(visitor)
