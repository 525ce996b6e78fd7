"""Cameras: who may send what, and what is held of it and for how long."""

import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from engine import live
from engine.live import (
    BURST,
    LATE_SHARE,
    MOST_A_SECOND,
    MOST_BYTES,
    RECORDING_PAUSE,
    Cameras,
    RefusedPicture,
    RunningLive,
    Taken,
)
from engine.tasks import WindowsAsked
from tests.engine.cameras import ASKED, GRID, JPEG, STEP, Clock, assert_empty
from tests.patience import until


class NoEngine:
    """In the place of an engine, and of its jobs, which never end."""

    def __init__(self) -> None:
        self.asked: list[object] = []
        self.cancelled = 0

    def ask(self, request: object, *rest: object, **options: object) -> "NoEngine":
        self.asked.append(request)
        return self

    def wait(self, seconds: float) -> bool:
        time.sleep(seconds)
        return False

    def cancel(self, job: object) -> None:
        self.cancelled += 1


@pytest.fixture
def cameras(clock: Clock) -> Iterator[Cameras]:
    found = Cameras(NoEngine(), clock)  # type: ignore[arg-type]
    yield found
    for visitor in [*found._tokens.values()]:
        found.forget(visitor)
    until(lambda: not running_threads())


def running_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("live-")]


def refused(act: Callable[[], object]) -> int:
    with pytest.raises(RefusedPicture) as caught:
        act()
    assert str(caught.value).endswith(".")
    return caught.value.status


def test_a_token_is_a_visitors_own_and_nobody_guesses_it(cameras: Cameras) -> None:
    ann, bob = cameras.token("ann"), cameras.token("bob")
    assert ann != bob and len(ann) >= 32 and cameras.token("ann") == ann
    assert (cameras.visitor_of(ann), cameras.visitor_of(bob)) == ("ann", "bob")
    assert cameras.visitor_of("") == cameras.visitor_of("ann") == cameras.visitor_of(ann[:-1]) == ""
    cameras.forget("ann")
    assert cameras.visitor_of(ann) == "" and cameras.visitor_of(bob) == "bob"
    assert cameras.token("ann") != ann


def test_what_is_refused_is_not_held(cameras: Cameras, clock: Clock) -> None:
    token = cameras.token("ann")
    assert refused(lambda: cameras.picture("made up", Taken(0, JPEG))) == 403
    assert refused(lambda: cameras.picture("", Taken(0, JPEG))) == 403
    assert refused(lambda: cameras.picture(token, Taken(0, JPEG))) == 409, "her page expects none"
    cameras.expect("ann", ASKED)
    assert refused(lambda: cameras.picture(token, Taken(0, JPEG + bytes(MOST_BYTES)))) == 413
    assert refused(lambda: cameras.picture(token, Taken(0, b"\x89PNG" + bytes(100)))) == 415
    assert refused(lambda: cameras.picture(token, Taken(0, b""))) == 415
    assert cameras.live("ann") is None and not running_threads()
    clock.now += 60
    assert cameras.picture(token, Taken(0, JPEG)).pictures == 1


def test_another_visitors_camera_is_another(cameras: Cameras) -> None:
    for visitor in ("ann", "bob"):
        cameras.expect(visitor, ASKED)
        cameras.picture(cameras.token(visitor), Taken(1.0, JPEG + visitor.encode()))
    ann, bob = cameras.live("ann"), cameras.live("bob")
    assert ann and bob and ann is not bob
    assert [taken.jpeg[-3:] for taken in ann._ring] == [b"ann"]
    cameras.off("bob", 2.0)
    assert bob.wait(90) and ann.state == "running"


def test_pictures_that_come_too_fast_are_refused_until_time_has_passed(cameras: Cameras, clock: Clock) -> None:
    token = cameras.token("ann")
    cameras.expect("ann", ASKED)

    def send(taken_ms: float) -> None:
        cameras.may_send("ann")  # before the picture is read
        cameras.picture(token, Taken(taken_ms, JPEG))

    for number in range(BURST):
        send(number * STEP)
    running = cameras.live("ann")
    assert refused(lambda: send(1e6)) == 429
    assert running and running.pictures == BURST
    clock.now += 1.01 / MOST_A_SECOND
    send(1e6)
    assert refused(lambda: send(2e6)) == 429
    sent, begin = 0, clock.now
    while clock.now < begin + 10:  # whoever hammers gets no more than the rate, and a burst
        clock.now += 0.001
        try:
            send(3e6 + sent * STEP)
            sent += 1
        except RefusedPicture as error:
            assert error.status == 429
    assert sent == pytest.approx(10 * MOST_A_SECOND, rel=0.1)
    clock.now += 1000
    assert sum(_taken(cameras, token, 9e6 + k * STEP) for k in range(3 * BURST)) == BURST, "silence saves up no more"


def _taken(cameras: Cameras, token: str, taken_ms: float) -> bool:
    try:
        cameras.may_send(cameras.visitor_of(token))
        cameras.picture(token, Taken(taken_ms, JPEG))
    except RefusedPicture:
        return False
    return True


def test_refused_pictures_cost_others_nothing(cameras: Cameras) -> None:
    ann, bob = cameras.token("ann"), cameras.token("bob")
    for visitor in ("ann", "bob"):
        cameras.expect(visitor, ASKED)
    assert sum(_taken(cameras, ann, k * STEP) for k in range(100)) == BURST
    assert _taken(cameras, bob, 0.0)


def test_recordings_have_a_pause_between_them_and_are_taken_up_once(cameras: Cameras, clock: Clock) -> None:
    def record(visitor: str) -> None:
        with cameras.recording(visitor):
            clock.now += 60  # on its way
            assert refused(lambda: cameras.recording(visitor).__enter__()) == 429, "one at a time"

    record("ann")
    assert refused(lambda: record("ann")) == 429
    record("bob")
    clock.now += RECORDING_PAUSE
    record("ann")
    assert cameras.recorded("ann", "/a")
    assert (cameras.take_recording("bob"), cameras.take_recording("ann"), cameras.take_recording("ann")) == (
        "",
        "/a",
        "",
    )
    assert cameras.recorded("ann", "/b")
    cameras.forget("ann")
    assert cameras.take_recording("ann") == ""


def test_a_recording_of_a_visitor_who_has_left_meanwhile_is_nobodys(cameras: Cameras) -> None:
    with cameras.recording("ann"):
        cameras.forget("ann")
        assert not cameras.recorded("ann", "/a")
    assert cameras.take_recording("ann") == ""
    with cameras.recording("ann"):
        pass


def fresh() -> RunningLive:
    return RunningLive(ASKED)


def test_no_more_than_a_window_is_held() -> None:
    running = fresh()
    for number in range(1000):
        running.add(Taken(number * STEP, JPEG))
        held = running._ring
        assert held[-1].taken_ms - held[0].taken_ms <= (GRID.window_seconds + GRID.tick_seconds) * 1e3
    assert GRID.num_frames <= len(held) <= GRID.num_frames + 2 and running.pictures == 1000
    assert running.filled == 1.0 and running.now_seconds() == pytest.approx(999 * STEP / 1e3)


def test_times_that_hardly_go_on_do_not_fill_the_memory() -> None:
    running = fresh()
    for number in range(5000):
        running.add(Taken(1000 + number * 1e-3, JPEG))
    assert len(running._ring) <= 2
    for number in range(5000):
        running.add(Taken(2000 + number * STEP * LATE_SHARE, JPEG))
        assert len(running._ring) <= 2 * GRID.num_frames + 1


def test_pictures_that_were_overtaken_and_times_of_another_day() -> None:
    running = fresh()
    for taken_ms in (1000.0, 1000.0, 900.0, 1000.0 + STEP, 950.0):
        running.add(Taken(taken_ms, JPEG))
    assert [taken.taken_ms for taken in running._ring] == [1000.0, 1000.0 + STEP]
    assert running.pictures == 2 and running.now_seconds() == pytest.approx(STEP / 1e3)
    running.add(Taken(1e14, JPEG))  # the clock was set
    assert running._ring[-1].taken_ms == 1e14 and len(running._ring) <= 2


def test_a_window_fills() -> None:
    running, filled = fresh(), []
    assert running.filled == 0 and running.now_seconds() == 0 and running.newest is None
    for number in range(GRID.num_frames):
        running.add(Taken(number * STEP, JPEG))
        filled.append(running.filled)
    assert (
        filled == sorted(filled) and filled[-1] == 1.0 and filled[GRID.num_frames // 2] == pytest.approx(0.53, abs=0.05)
    )


@pytest.mark.parametrize("jitter", [0.0, 0.2])
def test_the_windows_pictures_are_those_at_its_times(jitter: float) -> None:
    """Each is the last that was taken by its time, or `LATE_SHARE` of a step later; found here one by one."""
    random, running = np.random.default_rng(0), fresh()
    times = [number * STEP + jitter * STEP * random.uniform(-1, 1) for number in range(50)]
    for taken_ms in times:
        running.add(Taken(taken_ms, b"%f" % taken_ms))
    chosen = [taken.taken_ms for taken in live._next_window(running)]
    newest = times[-1]
    wanted = [newest - (GRID.num_frames - 1 - k) * STEP for k in range(GRID.num_frames)]
    assert chosen == [max(t for t in times if t <= moment + LATE_SHARE * STEP) for moment in wanted]
    assert len(chosen) == GRID.num_frames and chosen[-1] == newest and chosen == sorted(chosen)


def test_a_picture_that_is_missing_is_that_before_it() -> None:
    running, times = fresh(), [number * STEP for number in range(40) if number not in (20, 21)]
    for taken_ms in times:
        running.add(Taken(taken_ms, JPEG))
    chosen = [round(taken.taken_ms / STEP) for taken in live._next_window(running)]
    assert chosen == [*range(8, 20), 19, 19, *range(22, 40)]


def test_off_ends_it_and_empties_it(cameras: Cameras) -> None:
    token = cameras.token("ann")
    cameras.expect("ann", ASKED)
    running = cameras.picture(token, Taken(0.0, JPEG))
    assert running_threads() and running._ring
    cameras.off("ann", 10.0)
    assert refused(lambda: cameras.picture(token, Taken(9.0, JPEG))) == 409, "it was on its way"
    assert running.wait(90) and running.state == "cancelled" and running.error == ""
    assert_empty(running)
    running.add(Taken(1e5, JPEG))
    assert_empty(running)
    assert running.filled == 0.0 and running.pictures == 1
    cameras.off("ann", 10.0)
    cameras.off("nobody", 10.0)
    again = cameras.picture(token, Taken(1e6, JPEG))
    assert again is not running and cameras.live("ann") is again, "the camera was put on again"
    assert again.pictures == 1


def test_what_has_failed_begins_again_once_the_camera_was_out(cameras: Cameras) -> None:
    token = cameras.token("ann")
    cameras.expect("ann", ASKED)
    running = cameras.picture(token, Taken(1000.0, JPEG))
    running.cancel()
    assert running.wait(90)
    running.state, running.error = "failed", "No."
    assert cameras.picture(token, Taken(1200.0, JPEG)).error == "No."
    cameras.off("ann", 1300.0)
    assert cameras.picture(token, Taken(1400.0, JPEG)).error == ""


def test_silence_ends_it(cameras: Cameras, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "SILENCE_SECONDS", 0.3)
    cameras.expect("ann", ASKED)
    running = cameras.picture(cameras.token("ann"), Taken(0.0, JPEG))
    assert running.wait(90) and running.state == "cancelled"
    assert_empty(running)


def test_leaving_the_page_or_the_server_ends_it(cameras: Cameras) -> None:
    token = cameras.token("ann")
    cameras.expect("ann", ASKED)
    running = cameras.picture(token, Taken(0.0, JPEG))
    cameras.expect("ann", ASKED)
    assert not running._cancel.is_set(), "the page was only drawn again"
    cameras.expect("ann", WindowsAsked("vivit-mannequin", "eager", "float32", "checkpoint", "plain", GRID))
    assert running.wait(90) and cameras.live("ann") is None
    other = cameras.picture(token, Taken(5.0, JPEG))
    assert other is not running and other.asked.attention == "eager"
    cameras.expect("ann", None)
    assert other.wait(90) and refused(lambda: cameras.picture(token, Taken(9.0, JPEG))) == 409
    cameras.expect("ann", ASKED)
    last = cameras.picture(token, Taken(10.0, JPEG))
    cameras.forget("ann")
    assert last.wait(90) and refused(lambda: cameras.picture(token, Taken(11.0, JPEG))) == 403


def test_a_job_at_work_is_cancelled_with_it(cameras: Cameras, clock: Clock) -> None:
    token = cameras.token("ann")
    cameras.expect("ann", ASKED)
    for number in range(40):
        clock.now += 0.2
        running = cameras.picture(token, Taken(number * STEP, JPEG))
    engine = cameras._engine
    until(lambda: engine.asked)  # type: ignore[attr-defined]
    cameras.off("ann", 1e9)
    assert running.wait(90) and running.state == "cancelled"
    assert engine.cancelled == 1  # type: ignore[attr-defined]
    assert_empty(running)
