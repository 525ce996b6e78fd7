"""What a worker does while a job of another one is timed: nothing. No torch."""

import time

from engine.messages import Request
from engine.tasks import Nothing
from vivit.progress import Progress

LOOK_SECONDS = 0.05  # between two looks for a cancel


def hold(request: Request[Nothing], blobs: list[bytes], progress: Progress) -> tuple[Nothing, list[bytes]]:
    """Do nothing until cancelled: the task of `Hold` and of `HoldFilms`."""
    while True:
        progress(0.0, "waiting while a benchmark is timed")
        time.sleep(LOOK_SECONDS)
