"""Cameras with the app's own workers: the right label for a bundled clip, others between, and pictures that are bad."""

import io
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import numpy as np
import pytest
from PIL import Image

from engine import Engine, Job, live
from engine.live import (
    Cameras,
    RunningLive,
    Taken,
)
from engine.tasks import Classify, ReadFrames
from mannequin.film import CLIPS
from tests.engine.cameras import ASKED, GRID, JPEG, STEP, Clock, assert_empty
from tests.engine.waiting import app_engine, done, state_of
from tests.patience import until
from tests.shorter import some
from ui.server import WORKERS
from vivit.video import decode, probe


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with app_engine("media", "model") as engine:
        classify(engine)  # so that the model is loaded: meanwhile these cameras would fall silent
        yield engine


def classify(engine: Engine) -> Job[Any]:
    """What another visitor asks for."""
    frames = done(engine.ask(ReadFrames(str(CLIPS / "jogging.mp4"), "vivit-mannequin")))
    job: Job[Any] = engine.ask(
        Classify("vivit-mannequin", "sdpa", "float32", "checkpoint", 3, frames.result.shape), [frames.blobs[0]]
    )
    done(job)
    return job


def jpegs(label: str) -> list[bytes]:
    """A clip as a camera's pictures, one a step, shown twice over."""
    info = probe(CLIPS / f"{label}.mp4")
    count = int(info.duration_seconds / GRID.tick_seconds)
    found = []
    for frame in decode(info, [int(k * GRID.tick_seconds * 25 + 1e-6) for k in range(count)]):
        file = io.BytesIO()
        Image.fromarray(frame.image).save(file, "JPEG", quality=90)
        found.append(file.getvalue())
    return found * 2


def show(cameras: Cameras, clock: Clock, visitor: str, pictures: list[bytes], begin: int = 0) -> RunningLive:
    """Send them as a browser would, faster than it is."""
    token = cameras.token(visitor)
    for number, jpeg in enumerate(pictures, begin):
        clock.now += GRID.tick_seconds
        running = cameras.picture(token, Taken(5e11 + number * STEP, jpeg))
        time.sleep(0.01)
    return running


@pytest.mark.parametrize("label", some(["hula_hooping", "jogging"], "jogging"))
def test_the_right_label_and_what_is_late_is_dropped(engine: Engine, clock: Clock, label: str) -> None:
    cameras = Cameras(engine, clock)
    cameras.expect("ann", ASKED)
    pictures = jpegs(label)
    running = show(cameras, clock, "ann", pictures)
    last = 5e11 + (len(pictures) - 1) * STEP
    until(lambda: running.answers and running.due == len(running.answers) + running.dropped)  # none is at work
    assert running.answers[-1].newest_ms > last - 500 - STEP
    newest = running.newest
    assert newest and running.labels[newest.answered.label] == label.replace("_", " ")
    assert [answer.number for answer in running.answers] == list(range(len(running.answers)))
    ends = [answer.answered.end for answer in running.answers]
    strides = [int((end - ends[0] + STEP / 2e3) / GRID.stride_seconds) for end in ends]
    assert strides == sorted(set(strides)), "one a stride at most, on a schedule that a late answer does not move"
    assert running.dropped > 0
    assert running.due == pytest.approx((len(pictures) - GRID.num_frames) * GRID.tick_seconds / 0.5, abs=2)
    assert newest.answered.seconds[-1] == pytest.approx(running.now_seconds(), abs=0.5 + STEP / 1e3)
    assert len(running._pixels) <= GRID.num_frames and len(running.last_pictures()) <= GRID.num_frames + 2
    cameras.off("ann", 1e12)
    assert running.wait(90)
    assert_empty(running)
    assert running.answers, "what was answered is no picture, and stays"


def test_only_the_last_minute_is_remembered(engine: Engine, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "REMEMBERED_SECONDS", 3.0)
    cameras = Cameras(engine, clock)
    cameras.expect("ann", ASKED)
    pictures = jpegs("hula_hooping")
    begins = count(0, len(pictures))
    running = show(cameras, clock, "ann", pictures, next(begins))

    def answered() -> bool:
        """A busy machine answers few windows of so many pictures: they go on until there are enough."""
        show(cameras, clock, "ann", pictures, next(begins))
        return len(running.answers) > 0 and running.answers[-1].number > 2

    until(answered)
    ends = [answer.answered.end for answer in running.answers]
    assert ends[-1] - ends[0] <= 3.0
    cameras.off("ann", 1e12)
    assert running.wait(90)


def test_others_go_between(engine: Engine, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "SILENCE_SECONDS", 600.0)  # no more pictures come, however long the others take
    cameras = Cameras(engine, clock)
    for visitor in ("ann", "bob"):
        cameras.expect(visitor, ASKED)
    pictures = jpegs("jogging")
    begins = count(0, len(pictures))

    def both() -> list[RunningLive]:
        """The cameras, after some more pictures of each."""
        begin = next(begins)
        return [show(cameras, clock, visitor, pictures, begin) for visitor in ("ann", "bob")]

    cameras_on = both()
    until(lambda: all(running.answers for running in cameras_on))
    before = [running.answers[-1].number for running in cameras_on]
    with ThreadPoolExecutor(1) as thread:
        other = thread.submit(classify, engine)
        until(lambda: both() == cameras_on and other.done())  # windows fall due all the while
    assert other.result().state == "done" and all(state_of(running) == "running" for running in cameras_on)
    until(lambda: all(running.answers[-1].number > n for running, n in zip(cameras_on, before, strict=True)))
    for visitor, running in zip(("ann", "bob"), cameras_on, strict=True):
        cameras.forget(visitor)
        assert running.wait(90)


@pytest.mark.parametrize("kind", ["damaged", "huge", "bomb"])
def test_a_picture_that_cannot_be_read_is_a_sentence_and_ends_it(engine: Engine, clock: Clock, kind: str) -> None:
    file = io.BytesIO()
    size = (4000, 16) if kind == "huge" else (16, 16)
    Image.fromarray(np.zeros((*size[::-1], 3), np.uint8)).save(file, "JPEG")
    bad = bytearray(file.getvalue())
    if kind == "bomb":  # its header says 65 500 × 65 500 pixels
        at = bad.index(b"\xff\xc0") + 5
        bad[at : at + 4] = b"\xff\xdc" * 2
    cameras = Cameras(engine, clock)
    cameras.expect("ann", ASKED)
    pictures = jpegs("jogging")[: GRID.num_frames]
    pictures[9] = JPEG if kind == "damaged" else bytes(bad)
    running = show(cameras, clock, "ann", pictures)
    assert running.wait(180) and running.state == "failed"
    assert running.error.startswith("A camera's picture") and running.error.endswith(".")
    assert_empty(running)
    assert engine.restarts("media") == 0
    cameras.off("ann", 5e11 + 999 * STEP)
    again = show(cameras, clock, "ann", jpegs("jogging")[: GRID.num_frames + 4], begin=1000)
    until(lambda: again.answers)
    cameras.forget("ann")
    assert again.wait(90)


def test_no_workers_no_answers(clock: Clock) -> None:
    stopped = Engine({name: WORKERS[name] for name in ("media", "model")})
    stopped.stop()
    cameras = Cameras(stopped, clock)
    cameras.expect("ann", ASKED)
    running = show(cameras, clock, "ann", [JPEG] * GRID.num_frames)
    assert running.wait(90) and running.state == "failed" and running.error == live.NOT_WORKING
