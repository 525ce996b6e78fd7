"""How a camera is classified, what is drawn of its last minute, and how a clip of it becomes the visitor's own."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from engine.live import LiveAnswer, RunningLive, Taken
from engine.tasks import EncodePictures, WindowsAsked
from ui import clips, live
from ui.chosen import ChosenClip, Settings
from ui.live_charts import in_words
from ui.visit import Visit
from vivit.checkpoint import open_checkpoint
from vivit.timeline import Answered, Grid, Segment
from vivit.timeline.trained import TrainedWindow

SETTINGS = Settings("vivit-mannequin", "sdpa", "float32", "uniform", 1, "checkpoint", 5)
JPEG = b"\xff\xd8\xff"


@dataclass
class Made:
    """In the place of a job that makes a clip."""

    state: str = "done"
    blobs: list[bytes] = field(default_factory=lambda: [b"a clip"])
    error: str = ""
    note: str = ""

    @property
    def finished(self) -> bool:
        return self.state != "running"

    def wait(self, timeout: float) -> bool:
        return self.finished


@dataclass
class Stage:
    """What stands in the place of a server and its visit while the page is drawn.

    Args:
        folder: of kept files.
        job: what makes the next clip.
        asked: the requests for clips so far, each with its pictures.
        full: whether the disk has no room for a file.
        recorded: the path of a recording that has come; '' for none.
    """

    folder: Path
    visit: Visit = field(default_factory=lambda: Visit("somebody"))
    live: RunningLive | None = None
    job: Made = field(default_factory=Made)
    asked: list[tuple[EncodePictures, list[bytes]]] = field(default_factory=list)
    full: bool = False
    recorded: str = ""

    def keep(self, visitor: str, content: bytes) -> Path:
        if self.full:
            raise OSError("no room")
        assert visitor == "somebody"
        (self.folder / "kept").write_bytes(content)
        return self.folder / "kept"

    def ask(self, request: EncodePictures, blobs: list[bytes]) -> Made:
        self.asked.append((request, blobs))
        return self.job


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    one = Stage(tmp_path)
    cameras = SimpleNamespace(live=lambda visitor: one.live, take_recording=lambda visitor: one.recorded)
    uploads = SimpleNamespace(keep=one.keep, touch=lambda visitor: True)
    server = SimpleNamespace(cameras=cameras, uploads=uploads)
    for name, value in {
        "visit": lambda: one.visit,
        "visitor": lambda: one.visit.visitor,
        "get_server": lambda: server,
    }.items():
        monkeypatch.setattr(live, name, value)
        monkeypatch.setattr(clips, name, value)
    monkeypatch.setattr(live, "ask", one.ask)
    monkeypatch.setattr("ui.charts.visit", lambda: one.visit)
    monkeypatch.setattr("streamlit.page_link", lambda page, **_: None)  # there is no other page here
    yield one


def page() -> AppTest:
    return AppTest.from_string("from ui.live import follow\nfollow()", default_timeout=60).run()


def said(app: AppTest) -> str:
    assert not app.exception
    return " ".join(element.value for kind in (app.markdown, app.error, app.warning, app.caption) for element in kind)


def charts_of(app: AppTest) -> list[dict[str, Any]]:
    return [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]


def filmed(*labels: int, seconds: float = 6.5) -> RunningLive:
    """A camera that has run for a while. Args: labels: of its answers, 0.5 s apart, -1 for 'unknown'; seconds: of a window."""
    grid = Grid(seconds, 0.5, 32)
    asked = WindowsAsked("nothing", "sdpa", "float32", "checkpoint", "plain", grid)
    running = RunningLive(asked, ("walking <b>", "falling"))
    for k in range(33 + 3 * len(labels)):
        running.add(Taken(k * grid.tick_seconds * 1e3, JPEG))
    for k, label in enumerate(labels):
        scores = np.array([0.9, 0.1] if label < 1 else [0.2, 0.8], np.float32)
        answered = Answered(k * 0.5, k * 0.5 + 6.5, scores, label >= 0)
        running.answers.append(LiveAnswer(answered, answered.end * 1e3, k))
    return running


def test_the_window_is_that_of_the_training_clips_and_a_stride_fits_it() -> None:
    checkpoint = open_checkpoint("vivit-mannequin", here=True)
    grid = live.asked_of(SETTINGS, checkpoint).grid
    assert (grid.window_seconds, grid.stride_seconds, grid.num_frames) == (6.5, 0.5, 32)
    assert live.interval_seconds(grid) == 6.5 / 32
    for said_seconds, stride in ((64.0, 2.0), (0.3, 0.3)):  # at least a picture's time, at most a window's
        config = replace(checkpoint.config, extra={**checkpoint.config.extra, "clip_seconds": said_seconds})
        other = live.asked_of(SETTINGS, replace(checkpoint, config=config)).grid
        assert (other.window_seconds, other.stride_seconds) == (said_seconds, stride)
    assert live.interval_seconds(other) == live.FASTEST_SECONDS, "no more than cameras give"


def test_what_takes_long_or_is_not_stated_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, list[str]] = {"caption": [], "warning": []}
    for name, texts in told.items():
        monkeypatch.setattr(st, name, lambda text, texts=texts, **_: texts.append(text))
    asked = filmed().asked
    live.show_window(asked, TrainedWindow(6.5, True), 0.05)
    assert len(told["caption"]) == 1 and "Every 0.5 s the last 6.5 s" in told["caption"][0] and not told["warning"]
    live.show_window(asked, TrainedWindow(6.5, False), 12.4)
    assert "does not say how long its training clips were" in told["caption"][-1]
    assert "about 12 s" in told["warning"][0]


def test_without_a_camera_nothing_is_drawn_or_can_be_kept(stage: Stage) -> None:
    app = page()
    assert "What is found is drawn here" in said(app) and not charts_of(app)
    assert app.button(key="keep-clip").disabled


def test_the_last_minute_is_drawn_by_how_long_ago_it_was(stage: Stage) -> None:
    stage.live = filmed(*[0] * 30, *[1] * 30)
    (chart,) = charts_of(page())
    (bars,) = chart["data"]
    now = stage.live.now_seconds()
    ends = [start + length for start, length in zip(bars["base"], bars["x"], strict=True)]
    assert len(bars["x"]) == 2 and bars["base"][0] == pytest.approx(-now)
    assert ends == pytest.approx([bars["base"][1], 59 * 0.5 + 6.5 - now]), "side by side"
    assert ["walking &lt;b&gt;" in bars["text"][0], "falling" in bars["text"][1]] == [True, True]
    assert chart["layout"]["xaxis"]["range"] == [-60, 0]
    assert chart["layout"]["xaxis"]["ticktext"][0::4] == ["60 s ago", "now"]
    stage.live.state = "cancelled"
    stage.live._ring.clear()
    (still,) = charts_of(page())  # of a camera that is off
    assert still["data"][0]["base"] == pytest.approx(bars["base"])
    assert still["layout"]["xaxis"]["ticktext"][0::4] == ["60 s before", "off"]


def test_nothing_is_said_of_what_no_window_saw(stage: Stage) -> None:
    stage.live = filmed(*[0] * 5)
    late = replace(stage.live.answers[-1].answered, start=30.0, end=36.5)
    stage.live.answers.append(LiveAnswer(late, 36_500.0, 5))
    (chart,) = charts_of(page())
    (bars,) = chart["data"]
    ends = [start + length for start, length in zip(bars["base"], bars["x"], strict=True)]
    assert len(ends) == 2 and ends[1] == pytest.approx(0) and bars["base"][1] == pytest.approx(-6.5)
    assert bars["base"][1] - ends[0] == pytest.approx(30 - stage.live.answers[4].answered.end)


def test_what_is_not_known_is_called_so(stage: Stage) -> None:
    stage.live = filmed(*[-1] * 10)
    (chart,) = charts_of(page())
    assert "unknown" in chart["data"][0]["text"][0]
    segments = [Segment(0, 4, 1, 0.75), Segment(4, 9, None, None)]
    assert in_words(segments, 10, ("a", "b")) == "unknown, from 6 s ago; b 75%, from 10 s ago"


def test_a_clip_is_made_of_the_windows_pictures_and_becomes_the_visitors_own(stage: Stage) -> None:
    stage.live = filmed(0)
    stage.visit.jobs["frames"] = ("of the former clip", Made())  # type: ignore[assignment]
    app = page()
    assert not stage.asked
    app.button(key="keep-clip").click().run()
    ((request, files),) = stage.asked
    assert len(files) == len(request.seconds) and {*files} == {JPEG}
    assert request.seconds[0] == 0 and 6.2 < request.seconds[-1] < 6.9
    assert stage.visit.upload == ChosenClip(str(stage.folder / "kept"), "camera")
    assert (stage.folder / "kept").read_bytes() == b"a clip"
    assert "frames" not in stage.visit.jobs and not stage.job.blobs, "is held once"
    assert "Kept: it is your clip now" in said(app)
    stage.visit.upload = None  # deleted
    assert "Kept" not in said(app.run())


def test_a_clip_that_is_not_made_yet_is_kept_once_it_is(stage: Stage) -> None:
    stage.live, stage.job = filmed(0), Made("running")
    app = page()
    app.button(key="keep-clip").click().run()
    assert "Making the clip" in said(app) and stage.visit.upload is None
    stage.job.state = "done"
    assert "Kept" in said(app.run())


def test_what_was_kept_is_the_visitors_clip_wherever_they_go_first(stage: Stage) -> None:
    stage.visit.jobs[clips.CAMERA_SLOT] = ("pictures", Made())  # type: ignore[assignment]
    assert clips.own_clip() == ChosenClip(str(stage.folder / "kept"), "camera")
    stage.recorded = "/recorded"
    assert clips.own_clip() == ChosenClip("/recorded", "camera") == stage.visit.upload


@pytest.mark.parametrize(
    ("state", "error", "full", "sentence"),
    [("failed", "It broke.", False, "It broke"), ("done", "", True, "disk has no room for this clip")],
)
def test_what_cannot_be_kept_is_said(stage: Stage, state: str, error: str, full: bool, sentence: str) -> None:
    stage.live, stage.job, stage.full = filmed(0), Made(state, error=error), full
    app = page()
    app.button(key="keep-clip").click().run()
    assert sentence in said(app) and stage.visit.upload is None
