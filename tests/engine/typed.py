"""A module whose one task takes a typed request and gives a typed reply."""

from dataclasses import dataclass

from engine.messages import Request
from engine.worker import typed
from vivit.progress import Progress


@dataclass(frozen=True)
class Sum:
    x: int


@dataclass(frozen=True)
class Add(Request[Sum]):
    """A number, to which the size of the blob that comes with it is to be added."""

    WORKER, TASK, REPLY = "model", "echo", Sum

    x: int


def add(request: Add, blobs: list[bytes], progress: Progress) -> tuple[Sum, list[bytes]]:
    return Sum(request.x + len(blobs[0])), []


TASKS = typed({Add: add})
