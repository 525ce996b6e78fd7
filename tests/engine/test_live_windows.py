"""Which windows of a camera fall due, which are dropped, and what is held meanwhile, by the pictures' own times. No workers."""

import pytest

from engine.live import LATE_SHARE, RunningLive, Taken, _next_window
from engine.tasks import WindowsAsked
from vivit.timeline import Grid

JPEG = b"\xff\xd8\xff"
GRID = Grid(6.4, 0.5, 32)  # a picture every 200 ms
STEP = 200.0


def live_after(pictures: int, step: float = STEP) -> RunningLive:
    live = RunningLive(WindowsAsked("nothing", "sdpa", "float32", "checkpoint", "plain", GRID))
    for k in range(pictures):
        live.add(Taken(1000 + k * step, JPEG))
    return live


def taken_of(live: RunningLive) -> list[float]:
    """When the pictures of the next window were taken."""
    return [taken.taken_ms for taken in _next_window(live)]


def test_the_first_window_fills_and_then_one_falls_due_a_stride() -> None:
    live = live_after(31)
    assert live.due == 0 and live.filled == pytest.approx(30 / (31 - LATE_SHARE)) and not live.last_pictures()
    live.add(Taken(1000 + 31 * STEP, JPEG))
    assert (live.due, live.dropped, live.filled) == (1, 0, 1.0)
    assert taken_of(live) == [1000 + k * STEP for k in range(32)]
    for k in range(32, 57):  # 5 s
        before = live.due
        live.add(Taken(1000 + k * STEP, JPEG))
        if live.due > before:
            assert taken_of(live)[-1] == 1000 + k * STEP
    assert live.due == 11 and live.dropped == 0


def test_those_that_fall_due_while_one_is_at_work_are_dropped_but_for_the_newest() -> None:
    live = live_after(32)
    taken_of(live)  # is at work
    for k in range(32, 32 + 25):
        live.add(Taken(1000 + k * STEP, JPEG))
    assert (live.due, live.dropped) == (11, 9)
    assert taken_of(live)[-1] == 1000 + 56 * STEP, "the newest pictures there are"
    for k in range(57, 60):
        live.add(Taken(1000 + k * STEP, JPEG))
    assert live.due - live.dropped == 3  # answered, at work, next


def test_windows_for_which_no_picture_came_are_dropped_too() -> None:
    live = live_after(32)
    taken_of(live)
    live.add(Taken(1000 + 31 * STEP + 2000, JPEG))
    assert (live.due, live.dropped) == (5, 3)


@pytest.mark.parametrize("step", [100.0, 130.0, 250.0, 350.0, 700.0])
def test_pictures_at_another_rate_give_windows_on_the_grid_and_no_more_are_held_than_it_needs(step: float) -> None:
    live = live_after(200, step)
    times = taken_of(live)
    newest = 1000 + 199 * step
    assert len(times) == 32 and times == sorted(times)
    for k, ms in enumerate(times):
        wanted = newest - (31 - k) * STEP
        assert wanted - max(step, STEP) < ms <= wanted + LATE_SHARE * STEP
    held = [taken.taken_ms for taken in live.last_pictures()]
    assert held[0] <= newest - (31 - LATE_SHARE) * STEP < held[1]
