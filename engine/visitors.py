"""Who is looking, and what they leave when they go.

A visitor who stays away is forgotten; one whose connection was lost finds everything as it was; and one who reloads the
page, and so comes back as a stranger in the same browser, is that visitor again, with all that their visit holds. What stands
behind the first '-' in a visitor's name is their browser's.
"""

import threading
from collections.abc import Callable
from typing import Any


class Visitors:
    """Who is here, who has left, and who has come back.

    Args:
        gone: called with a visitor once they have been away for `grace` seconds.
        connected: whether a session has a connection: one may be lost or found again before the visitor is heard of.
        grace: seconds.
        timer: calls a function with its arguments, once, after so many seconds.
    """

    def __init__(
        self,
        gone: Callable[[str], None],
        connected: Callable[[str], bool] = lambda session: False,
        grace: float = 60.0,
        timer: Callable[[float, Callable[[str], None], list[str]], threading.Timer] = threading.Timer,
    ) -> None:
        self._gone = gone
        self._connected = connected
        self._grace = grace
        self._timer = timer
        self._sessions: dict[str, str] = {}  # visitor → session, of all who are not forgotten
        self._visits: dict[str, Any] = {}
        self._leaving: dict[str, threading.Timer] = {}
        self._lock = threading.Lock()

    def arrive(self, visitor: str, session: str = "", visit: Any = None) -> None:
        """The visitor is here, for the first time or again.

        Args:
            session: their connection's.
            visit: what is theirs again if they come back by a reload.
        """
        with self._lock:
            self._sessions[visitor] = session
            if visit is not None:
                self._visits[visitor] = visit
            if timer := self._leaving.pop(visitor, None):
                timer.cancel()

    def leave(self, visitor: str) -> None:
        """The visitor's connection has ended."""
        with self._lock:
            if visitor not in self._leaving:
                self._look_again_at(visitor)

    def here(self, visitor: str) -> bool:
        """Whether the visitor's page is open."""
        with self._lock:
            return visitor in self._sessions and not self._away(visitor)

    def come_back(self, browser: str, session: str) -> Any:
        """The visit of the visitor who left this browser last and is not forgotten; they are here again. None without one.

        Args:
            browser: what their name ends in; '' is nobody's.
            session: the connection that they have now.
        """
        with self._lock:
            # A reload may be here before it is heard that the page has gone, which then was the last to go.
            by_leaving = [*self._leaving, *(v for v in self._visits if v not in self._leaving)]
            theirs = [v for v in by_leaving if v in self._visits and browser and v.partition("-")[2] == browser]
            gone = [v for v in theirs if not self._connected(self._sessions[v])]
            if not gone:
                return None
            visitor = gone[-1]
            if timer := self._leaving.pop(visitor, None):
                timer.cancel()
            self._sessions[visitor] = session
            return self._visits[visitor]

    def _away(self, visitor: str) -> bool:
        return visitor in self._leaving and not self._connected(self._sessions.get(visitor, ""))

    def _look_again_at(self, visitor: str) -> None:
        timer = self._leaving[visitor] = self._timer(self._grace, self._forget, [visitor])
        timer.daemon = True
        timer.start()

    def _forget(self, visitor: str) -> None:
        with self._lock:
            if visitor not in self._leaving:
                return
            if not self._away(visitor):
                self._look_again_at(visitor)
                return
            del self._leaving[visitor]
            self._sessions.pop(visitor, None)
            self._visits.pop(visitor, None)
        self._gone(visitor)
