"""Cameras that tests put on: what they ask for, pictures of no use, and a clock that is wound by hand."""

from engine.live import RunningLive
from engine.tasks import WindowsAsked
from vivit.timeline import Grid

GRID = Grid(6.5, 0.5, 32)
ASKED = WindowsAsked("vivit-mannequin", "sdpa", "float32", "checkpoint", "plain", GRID)
JPEG = b"\xff\xd8\xff" + bytes(100)
STEP = GRID.tick_seconds * 1e3  # ms


class Clock:
    """A clock that goes on when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def assert_empty(running: RunningLive) -> None:
    """No picture of the camera is held, neither as it came nor decoded."""
    assert running.last_pictures() == [] and not running._ring and not running._pixels
