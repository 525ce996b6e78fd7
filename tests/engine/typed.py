"""A module whose tasks are given as requests, and answered in kind."""

from dataclasses import dataclass

from engine.messages import Request
from engine.worker import typed
from vivit.progress import Progress


@dataclass(frozen=True)
class Sum:
    x: int


@dataclass(frozen=True)
class Add(Request[Sum]):
    """A number and how many bytes come with it."""

    WORKER, TASK, REPLY = "model", "echo", Sum

    x: int


def add(request: Add, blobs: list[bytes], progress: Progress) -> tuple[Sum, list[bytes]]:
    return Sum(request.x + len(blobs[0])), []


TASKS = typed({Add: add})
