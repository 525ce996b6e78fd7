"""Who is looking, and which jobs are theirs.

A visitor who stays away is forgotten; one whose connection was lost finds everything as it was; and one who reloads the
page, and so comes back as a stranger in the same browser, takes over the jobs that they left. What stands behind the first
'-' in a visitor's name is their browser's.
"""

import threading
from collections.abc import Callable, Hashable

from engine.jobs import Job


class Visitors:
    """Args:
    gone: called with a visitor once they have been away for `grace` seconds.
    connected: asked whether the session of a visitor of whom no more was heard than that they left is connected again.
    """

    def __init__(
        self, gone: Callable[[str], None], connected: Callable[[str], bool] = lambda session: False, grace: float = 15.0
    ) -> None:
        self._gone = gone
        self._connected = connected
        self._grace = grace
        self._sessions: dict[str, str] = {}  # of every visitor who is not forgotten
        self._leaving: dict[str, threading.Timer] = {}
        self._jobs: dict[tuple[str, Hashable], Job] = {}  # (visitor, what the job is for)
        self._lock = threading.Lock()

    def arrive(self, visitor: str, session: str = "") -> None:
        """The visitor is here, for the first time or again; `session` is their connection's."""
        with self._lock:
            self._sessions[visitor] = session
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

    def comes_back_as(self, former: str, visitor: str) -> bool:
        """Whether a visitor may be one who has just left, come back by a reload: they have the same browser."""
        with self._lock:
            return self._may_be(former, visitor)

    def _may_be(self, former: str, visitor: str) -> bool:
        return self._away(former) and former.partition("-")[2] == visitor.partition("-")[2]

    def _away(self, visitor: str) -> bool:
        return visitor in self._leaving and not self._connected(self._sessions.get(visitor, ""))

    def _look_again_at(self, visitor: str) -> None:
        timer = self._leaving[visitor] = threading.Timer(self._grace, self._forget, [visitor])
        timer.daemon = True
        timer.start()

    def own(self, key: Hashable, job: Job) -> None:
        """Remember what a visitor's job is for. Those that have ended need no new owner and are dropped."""
        with self._lock:
            self._jobs = {k: j for k, j in self._jobs.items() if not j.finished or k[0] in self._leaving}
            self._jobs[job.visitor, key] = job

    def adopt(self, key: Hashable, visitor: str) -> Job | None:
        """The job for the same thing of a visitor who has just left, now this visitor's; None if there is none."""
        with self._lock:
            for owner, what in self._jobs:
                if what == key and self._may_be(owner, visitor):
                    job = self._jobs.pop((owner, what))
                    if job.state in ("failed", "cancelled"):
                        return None
                    job.visitor = visitor
                    return job
        return None

    def _forget(self, visitor: str) -> None:
        with self._lock:
            if visitor not in self._leaving:
                return
            if not self._away(visitor):
                self._look_again_at(visitor)
                return
            del self._leaving[visitor]
            self._sessions.pop(visitor, None)
            self._jobs = {k: j for k, j in self._jobs.items() if k[0] != visitor}
        self._gone(visitor)
