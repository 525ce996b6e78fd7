"""A film through a model in this process: joined clips with known boundaries, each window against `pipeline`."""

import threading
from itertools import groupby
from pathlib import Path

import numpy as np
import psutil
import pytest

from mannequin.film import join_clips
from mannequin.timeline import boundary_errors
from vivit import pipeline
from vivit.checkpoint import open_checkpoint
from vivit.model import VivitForVideoClassification
from vivit.timeline import Grid, Segment, find_segments
from vivit.timeline.segments import Answered
from vivit.timeline.whole import WindowClassifier, classify_film
from vivit.video import VideoError, decode, probe

LABELS = ["clean and jerk", "jogging", "hula hooping"]
GRID = Grid(6.5, 0.5, 32, cuts=False)


@pytest.fixture(scope="module")
def classifier() -> WindowClassifier:
    checkpoint = open_checkpoint("vivit-mannequin")
    model = checkpoint.load(VivitForVideoClassification, dtype="float32", device="cpu")
    return WindowClassifier(model, checkpoint.processor, checkpoint.familiarity())


Film = tuple[Path, list[tuple[float, float, str]]]  # and what happens in it: from, to, label


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    path = tmp_path_factory.mktemp("film") / "joined.mp4"
    return path, join_clips(LABELS, path)


@pytest.fixture(scope="module")
def answers(classifier: WindowClassifier, film: Film) -> list[Answered]:
    with classify_film(film[0], classifier, GRID, at_once=4) as running:
        found = [answer for batch in running.answers for answer in batch]
        assert running.film.decoded == probe(film[0]).num_frames, "each picture once"
        assert running.film.ended and running.film.warnings == ()
        assert running.waits.total > 0
    return found


def test_windows_lie_half_a_second_apart_and_cover_the_film(answers: list[Answered], film: Film) -> None:
    end = film[1][-1][1]
    assert answers[0].start == 0 and answers[-1].end == pytest.approx(end)
    steps = np.diff([answer.start for answer in answers])
    assert steps[:-1] == pytest.approx(0.5, abs=GRID.tick_seconds) and (steps > 0).all()
    for answer in answers:
        assert answer.end == pytest.approx(min(answer.start + 6.5, end)) and len(answer.seconds) == 32


def test_a_windows_answer_is_the_pipelines_on_the_same_frames(answers: list[Answered], film: Film) -> None:
    classify = pipeline(model="vivit-mannequin", dtype="float32", device="cpu", top_k=1000)
    labels, info = classify.model.config.id2label, probe(film[0])
    for answer in answers[::7]:
        # The picture on screen at each of 32 times, 6.5 / 32 s apart, counted by hand: 25 a second.
        wanted = [int((answer.start + k * 6.5 / 32) * 25 + 1e-6) for k in range(32)]
        assert answer.seconds == pytest.approx([index / 25 for index in wanted])
        frames = [frame.image for frame in decode(info, wanted)]
        scores = {p["label"]: p["score"] for p in classify(frames)}
        np.testing.assert_allclose(answer.scores, [scores[labels[k]] for k in range(len(labels))], rtol=0, atol=1e-5)


def test_what_happens_when_is_found(film: Film, classifier: WindowClassifier) -> None:
    with classify_film(film[0], classifier, Grid(6.5, 0.5, 32), at_once=4) as running:
        answers = [answer for batch in running.answers for answer in batch]
    number = {name: k for k, name in classifier.model.config.id2label.items()}
    truth = [Segment(start, end, number[label], None) for start, end, label in film[1]]
    found = find_segments(answers)
    told = [label for label, _ in groupby(segment.label for segment in found if segment.label is not None)]
    assert told == [segment.label for segment in truth]
    assert max(boundary_errors(found, truth)) <= 0.25


def test_a_film_shorter_than_a_window_is_one(classifier: WindowClassifier, tmp_path: Path) -> None:
    join_clips(["situp"], tmp_path / "one.mp4")
    with classify_film(
        tmp_path / "one.mp4", classifier, Grid(60.0, 0.5 * 60 / 16, 32, cuts=False), at_once=4
    ) as running:
        (answer,) = [answer for batch in running.answers for answer in batch]
    assert answer.start == 0 and len({*answer.seconds}) < len(answer.seconds) == 32, "pictures repeat"


def test_who_leaves_early_leaves_no_thread_and_no_open_file(classifier: WindowClassifier, film: Film) -> None:
    grid = Grid(0.5, 0.25, 32)  # of which the film has more than may be read ahead
    with classify_film(film[0], classifier, grid, at_once=1) as running:
        next(running.answers)
        assert str(film[0]) in {file.path for file in psutil.Process().open_files()}
    assert not any(thread.name == "vivit-film" for thread in threading.enumerate())
    assert not running.film.ended and str(film[0]) not in {file.path for file in psutil.Process().open_files()}


def test_a_file_that_is_no_film_is_a_sentence(classifier: WindowClassifier, tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("notes")
    with pytest.raises(VideoError, match="plain text"), classify_film(tmp_path / "notes.mp4", classifier, GRID, 1):
        pass
