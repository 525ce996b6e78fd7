"""Which windows of a camera fall due, which are dropped, and what is held meanwhile, by the pictures' own times. No workers."""

import pytest

from engine.live import BURST, LATE_SHARE, MOST_BYTES, Cameras, RefusedPicture, RunningLive, Taken, _next_window
from engine.running import Stopped
from engine.tasks import WindowsAsked
from vivit.timeline import Grid

JPEG = b"\xff\xd8\xff"
GRID = Grid(6.4, 0.5, 32)  # a picture every 200 ms
STEP = 200.0


def asked(grid: Grid = GRID) -> WindowsAsked:
    return WindowsAsked("nothing", "sdpa", "float32", "checkpoint", "plain", grid)


def live_after(pictures: int, step: float = STEP, begin: float = 1000.0, grid: Grid = GRID) -> RunningLive:
    live = RunningLive(asked(grid))
    for k in range(pictures):
        live.add(Taken(begin + k * step, JPEG))
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


def test_pictures_that_come_faster_than_any_window_needs_are_not_held() -> None:
    live = live_after(20_000, 1.0)
    assert len(live.last_pictures()) <= 2 * 32 + 1


def test_what_was_overtaken_on_its_way_is_left_out() -> None:
    live = live_after(3)
    live.add(Taken(1100.0, JPEG))
    assert live.pictures == 3 and live.now_seconds() == pytest.approx(2 * STEP / 1e3)


def test_without_pictures_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.live.SILENCE_SECONDS", 0.1)
    with pytest.raises(Stopped):
        _next_window(live_after(2))


class Nobody:
    """In the place of an engine that is asked for nothing."""


def ended(live: RunningLive) -> None:
    assert live.wait(60)
    assert not live.last_pictures() and live.filled == 0.0


@pytest.fixture
def cameras() -> Cameras:
    now = iter(range(100_000))
    return Cameras(Nobody(), lambda: float(next(now)))  # type: ignore[arg-type]


def test_putting_the_camera_out_takes_no_older_picture_and_keeps_none(cameras: Cameras) -> None:
    token = cameras.token("somebody")
    cameras.expect("somebody", asked())
    live = cameras.picture(token, Taken(1000.0, JPEG))
    cameras.off("somebody", 1500.0)
    with pytest.raises(RefusedPicture, match="off"):
        cameras.picture(token, Taken(1400.0, JPEG))
    ended(live)
    live.add(Taken(1600.0, JPEG))
    assert live.filled == 0.0 and live.pictures == 1
    again = cameras.picture(token, Taken(1700.0, JPEG))
    assert again is not live and again.pictures == 1
    cameras.forget("somebody")
    ended(again)
    with pytest.raises(RefusedPicture, match="reload"):
        cameras.picture(token, Taken(1800.0, JPEG))


def test_what_has_failed_begins_again_once_the_camera_was_out(cameras: Cameras) -> None:
    token = cameras.token("somebody")
    cameras.expect("somebody", asked())
    live = cameras.picture(token, Taken(1000.0, JPEG))
    live.cancel()
    assert live.wait(60)
    live.state, live.error = "failed", "No."
    assert cameras.picture(token, Taken(1200.0, JPEG)).error == "No."
    cameras.off("somebody", 1300.0)
    assert cameras.picture(token, Taken(1400.0, JPEG)).error == ""
    cameras.forget("somebody")


def test_other_settings_begin_anew_and_none_end_it(cameras: Cameras) -> None:
    token = cameras.token("somebody")
    cameras.expect("somebody", asked())
    first = cameras.picture(token, Taken(1000.0, JPEG))
    cameras.expect("somebody", asked())
    assert cameras.picture(token, Taken(1200.0, JPEG)) is first
    cameras.expect("somebody", asked(Grid(6.4, 1.0, 32)))
    ended(first)
    second = cameras.picture(token, Taken(1400.0, JPEG))
    assert second is not first
    cameras.expect("somebody", None)
    ended(second)
    with pytest.raises(RefusedPicture, match="No camera is expected") as refusal:
        cameras.picture(token, Taken(1600.0, JPEG))
    assert refusal.value.status == 409


def test_a_picture_is_bounded_in_size_type_and_rate() -> None:
    cameras = Cameras(Nobody(), lambda: 0.0)  # type: ignore[arg-type]
    token = cameras.token("somebody")
    cameras.expect("somebody", asked())
    for content, status in ((JPEG + bytes(MOST_BYTES), 413), (b"GIF89a", 415)):
        with pytest.raises(RefusedPicture) as refusal:
            cameras.picture(token, Taken(1000.0, content))
        assert refusal.value.status == status
    for k in range(BURST):
        cameras.may_send("somebody")
        cameras.picture(token, Taken(1000.0 + k * STEP, JPEG))
    with pytest.raises(RefusedPicture) as refusal:
        cameras.may_send("somebody")
    assert refusal.value.status == 429
    live = cameras.live("somebody")
    assert live and live.pictures == BURST
    cameras.forget("somebody")
    assert live.wait(90) and live.state == "cancelled"
