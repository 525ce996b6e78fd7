"""The page 'Timeline', drawn by AppTest with the real workers behind it, and the parts that it is drawn from."""

import json
from collections.abc import Iterator
from math import inf
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from engine.tasks import HoldFilms, WindowsAsked
from engine.timelines import RunningTimeline
from mannequin.film import join_clips
from tests.drawn import until
from ui import query_params, timeline, timeline_charts, timeline_films
from ui.chosen import Settings
from ui.server import get_server
from ui.timeline_films import BUNDLED, HERE, OWN
from ui.timeline_kept import ChosenFilm, Shown, Timeline
from ui.visit import Visit
from vivit.film import clock
from vivit.timeline import Answered, Segment, find_segments
from vivit.timeline.segments import Moments

PAGE = Path(__file__).parents[2] / "pages" / "timeline.py"
LABELS = ["cartwheeling", "deadlifting", "jogging"]

pytestmark = pytest.mark.usefixtures("workers")


@pytest.fixture(scope="module")
def assets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of bundled films, with one film of three actions."""
    folder = tmp_path_factory.mktemp("assets")
    (folder / "films").mkdir()
    truth = join_clips(LABELS, folder / "films" / "three.mp4")
    pieces = [{"start": start, "end": end, "label": label} for start, end, label in truth]
    entries = [{"file": "three.mp4", "name": "three actions", "truth": pieces}]
    (folder / "films" / "films.json").write_text(json.dumps(entries))
    return folder


@pytest.fixture
def app(assets: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    monkeypatch.setattr(timeline_films, "ASSETS", assets)
    st.cache_data.clear()
    yield AppTest.from_file(str(PAGE), default_timeout=60)
    for running in get_server().timelines.values():
        running.cancel()
        assert running.wait(180)
    st.cache_data.clear()


def timelines(app: AppTest) -> list[Timeline]:
    found: list[Timeline] = app.session_state["visit"].timelines
    return found


def table(app: AppTest) -> Any:
    """The segments as a data frame; None before there are some."""
    return next((frame.value for frame in app.dataframe if "label" in frame.value), None)


def ended(app: AppTest) -> bool:
    return bool(timelines(app)) and timelines(app)[-1].running.state == "done" and table(app) is not None


def begun(app: AppTest) -> bool:
    running = bool(timelines(app)) and timelines(app)[-1].running
    return bool(running and running.windows and running.state == "running") and table(app) is not None


def said(app: AppTest, words: str) -> bool:
    return any(words in e.value.replace("\\", "") for e in (*app.markdown, *app.warning, *app.error, *app.info))


@pytest.mark.full
def test_the_bundled_film_begins_by_itself_and_ends_with_its_segments(app: AppTest) -> None:
    until(app, ended)
    app.run()  # the last drawing may be of a moment before the film's end
    shown = timelines(app)[-1]
    segments = find_segments(shown.running.windows)
    names = dict(enumerate(shown.running.labels))
    assert table(app)["label"].tolist() == [segment.name(names) for segment in segments]
    rounded = [float("nan") if s.score is None else round(s.score, 2) for s in segments]
    assert table(app)["probability"].tolist() == pytest.approx(rounded, nan_ok=True)
    end = shown.film.truth[-1].end
    assert shown.running.windows[0].start == 0 and shown.running.windows[-1].end == pytest.approx(end, abs=0.21)
    assert said(app, f"{len(shown.running.windows)} windows of 6.5 s every 0.5 s")
    assert said(app, "The model waited for pictures") and not app.error and not app.warning


def test_another_window_warns_and_what_was_found_stays_until_there_is_something_new(app: AppTest) -> None:
    until(app, ended)
    former = timelines(app)[-1]
    engine = get_server().engine
    held = engine.ask(HoldFilms(), time_limit=inf)  # so that there is nothing new before this is cancelled
    try:
        app.number_input(key="window").set_value(3.0)
        app.run()
        assert said(
            app, "A window of 3 s is outside what this checkpoint knows: it was trained on clips of about 6.5 s"
        )
        now = timelines(app)[-1]
        assert now is not former and now.running.asked.grid.window_seconds == 3.0
        assert said(app, "the former timeline, of 'three actions'") and table(app) is not None
    finally:
        engine.cancel(held)
    until(app, ended)
    assert not said(app, "the former timeline")
    app.number_input(key="window").set_value(None)
    app.run()
    assert timelines(app)[-1] is former, "it is not made again"


@pytest.mark.parametrize(("window", "stride", "words"), [(6.5, 9.0, "A stride of 9 s"), (3.0, 0.02, "choose one from")])
def test_an_impossible_grid_is_refused_in_a_sentence(app: AppTest, window: float, stride: float, words: str) -> None:
    app.query_params |= {"window": str(window), "every": str(stride)}
    app.run()
    assert not app.exception and any(words in e.value for e in app.error)
    assert not timelines(app)


def test_cancel_keeps_what_is_done_and_it_can_be_begun_again(app: AppTest) -> None:
    app.query_params["every"] = "0.21"
    until(app, begun)
    app.button(key="timeline-cancel").click().run()
    shown = timelines(app)[-1]
    assert shown.running.wait(180) and shown.running.state == "cancelled"
    app.run()
    kept = len(shown.running.windows)
    assert kept and said(app, "Cancelled: what was found until then is kept.")
    assert len(table(app)) == len(find_segments(shown.running.windows))
    next(b for b in app.button if b.label == "Begin again").click().run()
    assert timelines(app)[-1] is not shown and timelines(app)[-1].running.asked == shown.running.asked
    until(app, ended)
    assert len(timelines(app)[-1].running.windows) > kept


def test_another_smoothing_asks_for_no_window(app: AppTest) -> None:
    until(app, ended)
    shown = timelines(app)[-1]
    for name in reversed(app.button_group(key="smoothing").options):
        app.button_group(key="smoothing").set_value([name]).run()
        assert timelines(app) == [shown] and get_server().engine.idle("model")
        names = dict(enumerate(shown.running.labels))
        expected = [segment.name(names) for segment in find_segments(shown.running.windows, name)]
        assert table(app)["label"].tolist() == expected


def test_a_chosen_segment_has_its_player_its_frames_and_its_answer(app: AppTest) -> None:
    until(app, ended)
    assert said(app, "Choose a segment") and not app.get("image")
    shown = timelines(app)[-1]
    segments = find_segments(shown.running.windows)
    place = next(k for k, segment in enumerate(segments) if segment.start > 2)
    timeline.choose(shown, segments[place].start + 0.01)
    until(app, lambda app: len(app.get("image")) == 16)
    window = timeline.middle_window(shown, segments[place])
    captions = [picture.caption for group in app.get("image") for picture in group.proto.imgs]
    assert captions == [clock(seconds) for seconds in window.seconds]
    assert segments[place].start - 1 < app.get("video")[0].proto.start_time < segments[place].end
    assert said(app, f"The window in its middle, {clock(window.start)} to {clock(window.end)}")
    assert not said(app, "Choose a segment")


@pytest.mark.parametrize("allowed", [False, True])
def test_files_of_this_machine_are_offered_where_that_was_allowed_alone(
    app: AppTest, allowed: bool, assets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeline_films, "offers_folders", lambda: allowed)
    app.query_params["film_from"] = HERE
    app.run()
    assert app.button_group(key="film_from").options == [BUNDLED, OWN, *[HERE] * allowed]
    if not allowed:
        assert any("is not to be had here" in warning.value for warning in app.warning)
        return
    assert not timelines(app)

    def typed(path: str) -> AppTest:
        return app.text_input(key="path").set_value(path).run()  # a run replaces the element

    typed(str(assets / "none.mp4"))
    assert any("There is no such file on this machine" in error.value for error in app.error)
    typed(str(assets))
    assert any("That is no file" in error.value for error in app.error)
    typed("x" * 5000)
    assert not app.exception and len(app.error) == 1
    typed(str(assets / "films" / "films.json"))
    until(app, lambda app: any("This clip is plain text" in error.value for error in app.error))
    typed(str(assets / "films" / "three.mp4"))
    until(app, lambda app: any(button.label == "Begin" for button in app.button))
    assert not timelines(app), "it waits for a word"
    next(button for button in app.button if button.label == "Begin").click()
    until(app, ended)
    assert not any(button.label == "Begin" for button in app.button)


def test_the_bound_of_an_upload_is_said_before_it_and_the_same_file_is_there_for_classify(
    app: AppTest, assets: Path
) -> None:
    app.query_params["film_from"] = OWN
    app.run()
    assert said(app, f"in a file of at most {st.get_option('server.maxUploadSize')} MB")
    app.file_uploader[0].upload("mine [*].mp4", (assets / "films" / "three.mp4").read_bytes(), "video/mp4").run()
    until(app, lambda app: any(button.label == "Begin" for button in app.button))
    assert app.session_state["visit"].upload.name == "mine [*].mp4"
    assert said(app, "0:2") and not timelines(app)


def test_random_weights_are_refused_in_a_sentence(app: AppTest) -> None:
    app.query_params["checkpoint"] = "vivit-b-16x2-random"
    app.run()
    assert not app.exception and not timelines(app)
    assert [error.value.replace("\\", "") for error in app.error] == [
        "vivit-b-16x2-random has random weights, which know no action. Choose a trained checkpoint."
    ]


def test_a_new_timeline_ends_the_visitors_former_one(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    server = SimpleNamespace(timelines={})
    began: list[WindowsAsked] = []

    def start(engine: None, path: str, asked: WindowsAsked) -> RunningTimeline:
        began.append(asked)
        return RunningTimeline(path, asked)

    for name, value in {
        "visit": lambda: visit,
        "visitor": lambda: visit.visitor,
        "get_server": lambda: server,
        "get_engine": lambda: None,
        "start_timeline": start,
    }.items():
        monkeypatch.setattr(timeline, name, value)
    first = begin(1)
    assert server.timelines == {"somebody": first.running}
    assert timeline.find((1,)) is first and timeline.former_of(first) is None
    second = begin(2)
    assert first.running._cancel.is_set() and not second.running._cancel.is_set()
    assert server.timelines == {"somebody": second.running}
    assert timeline.find((1,)) is None, "nobody has cancelled it, so it is begun anew"
    first.running.windows.append(answered(0, 6.5))
    assert timeline.former_of(second) is first
    second.running.state = "done"
    for number in range(3, 7):
        begin(number).running.state = "done"
    assert [one.key for one in visit.timelines] == [(3,), (4,), (5,), (6,)]
    assert timeline.find((4,)) is visit.timelines[-1]
    assert len(began) == 6


@pytest.fixture
def visit() -> Visit:
    return Visit("somebody")


def begin(number: int) -> Timeline:
    anything: Any = None
    settings = Settings("vivit-mannequin", "sdpa", "float32", "uniform", 1, "checkpoint", 5)
    return timeline.begin((number,), ChosenFilm("film.mp4", "film"), anything, settings, anything)


def answered(start: float, end: float) -> Answered:
    return Answered(start, end, np.full(3, 1 / 3, np.float32), True)


def a_timeline(truth: tuple[Shown, ...] = ()) -> Timeline:
    anything: Any = None
    return Timeline((), ChosenFilm("film.mp4", "film", True, truth), *[anything] * 3)


def test_what_takes_most_of_a_film_has_a_colour_and_keeps_it() -> None:
    most = len(timeline_charts.COLOURS["light"])
    assert most == len(timeline_charts.COLOURS["dark"]) == len(set(timeline_charts.COLOURS["dark"])) >= 10
    shown = a_timeline((Shown(0, 1, "label 3"),))
    labels = {k: f"label {k}" for k in range(2 * most)}
    few = [Segment(k, k + 1, k, 0.9) for k in range(most)]
    timeline_charts.keep_colours(shown, few, labels)
    assert sorted(shown.colours.values()) == list(range(most)) and shown.colours["label 3"] == 0
    before = dict(shown.colours)
    # Two labels with more time come, and two of the others go; the label that the film is known to show stays.
    more = [*few, Segment(20, 30, 12, 0.9), Segment(30, 40, 13, 0.9), Segment(40, 50, None, None)]
    more += [Segment(50 + k, 51 + k, k, 0.9) for k in range(most - 2)]
    timeline_charts.keep_colours(shown, more, labels)
    assert {"label 12", "label 13", "label 3"} < shown.colours.keys() and len(shown.colours) == most
    assert all(shown.colours[name] == place for name, place in before.items() if name in shown.colours)
    assert "unknown" not in shown.colours


def test_the_curve_is_of_each_segments_own_label_and_has_no_value_where_that_is_unknown() -> None:
    count = 3 * timeline_charts.MOST_POINTS
    scores = np.zeros((count, 2))
    scores[: count // 2, 0], scores[count // 2 :, 1] = np.linspace(0.2, 0.4, count // 2), 0.7
    moments = Moments(np.linspace(0, 60, count + 1), scores, np.ones(count, bool))
    segments = [Segment(0, 30, 0, 0.3), Segment(30, 40, None, None), Segment(40, 60, 1, 0.7)]
    edges, values, names = timeline_charts._curve(moments, segments, {0: "a", 1: "b"})
    assert len(edges) == len(values) + 1 == len(names) + 1 <= timeline_charts.MOST_POINTS + 3
    middle = (np.array(edges[1:]) + np.array(edges[:-1])) / 2
    assert all((value is None) == (30 < time < 40) for value, time in zip(values, middle, strict=True))
    first = [value for value, time in zip(values, middle, strict=True) if time < 30]
    expected = np.interp(middle[middle < 30], [0, 30], [0.2, 0.4])
    assert first == pytest.approx(expected, abs=1e-3)  # a moment's own score is of its place, not of its middle
    assert all(value == pytest.approx(0.7) for value, time in zip(values, middle, strict=True) if time > 40)
    assert names[0].endswith(", a") and names[-1].endswith(", b") and "unknown" in names[len(first)]


def test_a_segment_that_was_chosen_is_found_again_whatever_the_segments_are_now() -> None:
    shown = a_timeline()
    segments = [Segment(0, 5, 0, 0.9), Segment(5, 9, None, None), Segment(9, 12, 1, 0.8)]
    assert timeline.chosen_segment(shown, segments) is None
    for moment, place in ((0.0, 0), (4.9, 0), (5.0, 1), (11.9, 2), (50.0, 2)):
        timeline.choose(shown, moment)
        assert timeline.chosen_segment(shown, segments) == place
    assert timeline.chosen_segment(shown, []) is None
    timeline.choose(shown, None)
    timeline.move(shown, segments, 1)
    assert timeline.chosen_segment(shown, segments) == 0, "the first, where none was chosen"
    for steps, place in ((1, 1), (1, 2), (1, 2), (-1, 1), (0, 1)):
        timeline.move(shown, segments, steps)
        assert timeline.chosen_segment(shown, segments) == place
    assert timeline_charts.in_words(segments[1], {}) == "0:05.0 to 0:09.0: unknown"
    assert timeline_charts.in_words(segments[2], {1: "jogging"}) == "0:09.0 to 0:12.0: jogging, 80%"


def test_a_number_in_a_link_is_the_same_however_it_is_written() -> None:
    assert query_params._same("3", "3.0") and query_params._same("none", "none")
    assert not query_params._same("3", "3.5") and not query_params._same("3", "none")
