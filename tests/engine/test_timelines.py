"""Timelines with real workers: the same as in one process, others between, cancelled, broken, and a worker killed."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from engine import Engine, Job, jobs
from engine.tasks import Classify, ReadFrames, WindowsAsked
from engine.timelines import RunningTimeline, start_timeline
from mannequin.film import join_clips
from tests.clips import write_clip
from tests.engine.waiting import app_engine, done, state_of, worker
from tests.patience import until
from tests.vivit.video.test_reading import CLOSED_GOP
from ui.server import WORKERS
from vivit.checkpoint import open_checkpoint
from vivit.hub import ASSETS
from vivit.model import VivitForVideoClassification
from vivit.timeline import Answered, Grid
from vivit.timeline.whole import WindowClassifier, classify_film

MANNEQUIN = "vivit-mannequin"
CLIP = str(Path(ASSETS) / "clips" / "clean_and_jerk.mp4")
GRID = Grid(6.5, 0.5, 32)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with app_engine("media", "film", "model") as engine:
        yield engine


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two actions, one after the other."""
    path = tmp_path_factory.mktemp("films") / "film.mp4"
    join_clips(["clean and jerk", "jogging"], path)
    return path


@pytest.fixture(scope="module")
def long_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten minutes, which nobody waits for."""
    return write_clip(tmp_path_factory.mktemp("films") / "long.mp4", 3000, rate=5, codec_options=CLOSED_GOP)


@pytest.fixture(scope="module")
def frames(engine: Engine) -> Job[Any]:
    return done(engine.ask(ReadFrames(CLIP, MANNEQUIN)))


def asked(path: Path, grid: Grid = GRID, checkpoint: str = MANNEQUIN) -> tuple[str, WindowsAsked]:
    return str(path), WindowsAsked(checkpoint, "sdpa", "float32", "checkpoint", "plain", grid)


def held(path: Path) -> bool:
    return any(file.path == str(path) for file in worker("engine.films").open_files())


def assert_same(found: list[Answered], wanted: list[Answered]) -> None:
    assert [(w.start, w.end, w.seconds, w.familiar) for w in found] == [
        (w.start, w.end, w.seconds, w.familiar) for w in wanted
    ]
    for ours, theirs in zip(found, wanted, strict=True):
        # A worker has as many threads as there are processors, and batches of other sizes: sums are taken in other orders.
        np.testing.assert_allclose(ours.scores, theirs.scores, rtol=0, atol=2e-5)


@pytest.fixture(scope="module")
def whole(engine: Engine, film: Path) -> RunningTimeline:
    return done(start_timeline(engine, *asked(film)))


def test_it_is_the_same_as_in_one_process(whole: RunningTimeline, film: Path) -> None:
    checkpoint = open_checkpoint(MANNEQUIN)
    model = checkpoint.load(VivitForVideoClassification, dtype="float32", device="cpu")
    classifier = WindowClassifier(model, checkpoint.processor, checkpoint.familiarity())
    with classify_film(film, classifier, GRID, at_once=4) as running:
        wanted = [answer for batch in running.answers for answer in batch]
        info, decoded, end = running.film.info, running.film.decoded, running.film.end_seconds
    assert_same(whole.windows, wanted)
    assert whole.info == replace(info, container="mp4"), "by the name that browsers have for it"
    assert (whole.decoded, whole.end_seconds) == (decoded, end)
    assert whole.labels == tuple(checkpoint.labels[k] for k in range(len(checkpoint.labels)))
    assert {whole.labels[w.label] for w in whole.windows} >= {"clean and jerk", "jogging"}


def test_what_an_ended_timeline_says(whole: RunningTimeline, film: Path) -> None:
    assert whole.note == whole.error == "" and whole.warnings == () and not held(film)
    assert whole.progress == pytest.approx(1, abs=0.02) and whole.seconds_left == pytest.approx(0, abs=0.1)
    assert whole.rate > 0 and whole.reopened == 0 and whole.ended_at is not None and whole.ended_at > whole.began
    assert 0 <= whole.waits.model_share <= 1 and 0 <= whole.waits.decoder_share <= 1


def test_others_go_between_and_a_cancel_keeps_what_is_done(
    engine: Engine, long_film: Path, frames: Job[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "CANCEL_GRACE", 60.0)  # however busy the machine is
    running = start_timeline(engine, *asked(long_film))
    until(lambda: len(running.windows) >= 8)
    assert running.labels and running.info and 0 < running.progress < 1  # type: ignore[operator]
    before = len(running.windows)
    request = Classify(MANNEQUIN, "sdpa", "float32", "checkpoint", 3, frames.result.shape)
    for _ in range(2):
        done(engine.ask(request, [frames.blobs[0]]))
    assert state_of(running) == "running", "they wait for one batch, not for the film"
    until(lambda: len(running.windows) > before)
    running.cancel()
    assert running.wait(90)
    assert running.state == "cancelled" and running.error == "" and before < len(running.windows) < 1000
    kept, ended_at = list(running.windows), running.ended_at
    until(lambda: not held(long_film))
    assert running.windows == kept and running.ended_at == ended_at, "nothing of it goes on"
    assert engine.restarts("model") == engine.restarts("film") == 0, "nor was a process ended for it"


def test_a_cancel_before_anything_is_there(engine: Engine, long_film: Path) -> None:
    running = start_timeline(engine, *asked(long_film))
    running.cancel()
    assert running.wait(90) and running.state == "cancelled" and running.windows == []
    assert running.progress is None or running.progress == 0
    assert running.rate == 0 and running.seconds_left is None


def test_two_films_at_once(engine: Engine, film: Path, long_film: Path, whole: RunningTimeline) -> None:
    long = start_timeline(engine, *asked(long_film))
    until(lambda: long.windows)
    short = done(start_timeline(engine, *asked(film)))
    assert_same(short.windows, whole.windows)
    assert long.state == "running"
    long.cancel()
    assert long.wait(90)


@pytest.mark.full
def test_a_film_worker_that_is_killed_is_begun_again_where_it_was(engine: Engine, long_film: Path) -> None:
    """Its windows are those of an undisturbed run: the new worker seeks its place in the film."""
    grid = Grid(16.0, 16.0, 32)
    wanted = done(start_timeline(engine, *asked(long_film, grid)))
    running = start_timeline(engine, *asked(long_film, grid))
    until(lambda: running.decoded > 200)
    worker("engine.films").kill()
    done(running)
    assert_same(running.windows, wanted.windows)
    assert running.warnings == () and wanted.decoded == 3000 <= running.decoded < 3300, (
        "and what was decoded twice is counted"
    )


def test_a_film_that_ends_its_worker_each_time_is_given_up(
    engine: Engine, long_film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, asks = engine.ask, list[Job[Any]]()

    def deadly(request: object, *blobs: object, **options: object) -> Job[Any]:
        job = ask(request, *blobs, **options)  # type: ignore[arg-type, var-annotated]
        if type(request).__name__ == "ReadFilm":
            asks.append(job)
            until(lambda: job.state != "queued")
            worker("engine.films").kill()
        return job

    monkeypatch.setattr(engine, "ask", deadly)
    running = start_timeline(engine, *asked(long_film, Grid(320.0, 10.0, 32)))
    assert running.wait(180) and running.state == "failed" and running.error.endswith(".") and len(asks) == 2


def test_a_model_worker_that_dies_ends_it_with_a_sentence_and_keeps_what_is_done(
    engine: Engine, long_film: Path
) -> None:
    running = start_timeline(engine, *asked(long_film))
    until(lambda: running.windows)

    def struck() -> bool:
        """Kill the worker in the middle of a job: one that is killed between two jobs is replaced, and nobody need know."""
        if not engine.idle("model"):
            with suppress(StopIteration, psutil.NoSuchProcess):  # it is being replaced
                worker("engine.model").kill()
        return running.state != "running"

    until(struck)
    assert running.wait(180) and running.state == "failed"
    assert running.error.endswith(".") and running.windows and running.note == ""
    until(lambda: not held(long_film))


@pytest.mark.parametrize("kind", ["notes", "gone", "checkpoint"])
def test_what_cannot_be_used_is_a_sentence(engine: Engine, tmp_path: Path, film: Path, kind: str) -> None:
    (tmp_path / "notes.mp4").write_text("these are notes\n" * 50)
    asks = {
        "notes": asked(tmp_path / "notes.mp4"),
        "gone": asked(tmp_path / "gone.mp4"),
        "checkpoint": asked(film, checkpoint="/nowhere"),
    }
    running = start_timeline(engine, *asks[kind])
    assert running.wait(180) and running.state == "failed" and running.windows == []
    said = {"notes": "This clip is plain text", "gone": "There is no file this clip", "checkpoint": "nowhere"}[kind]
    assert said in running.error and running.error.endswith(".")


@pytest.mark.full
def test_of_a_broken_film_what_is_good_is_answered_and_it_is_said(engine: Engine, film: Path, tmp_path: Path) -> None:
    data = bytearray(film.read_bytes())
    data[len(data) // 3 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 3)
    (tmp_path / "broken.mp4").write_bytes(data)
    running = done(start_timeline(engine, *asked(tmp_path / "broken.mp4", Grid(2.0, 1.0, 32))))
    assert running.windows[-1].end == pytest.approx(12.4, abs=0.5)
    assert any("damaged" in warning for warning in running.warnings)


def test_a_short_film_is_one_window(engine: Engine, film: Path) -> None:
    running = done(start_timeline(engine, *asked(film, Grid(60.0, 2.0, 32))))
    assert len(running.windows) == 1 and running.windows[0].start == 0


def test_a_stopped_engine_ends_it_with_a_sentence(long_film: Path) -> None:
    built = Engine({name: WORKERS[name] for name in ("film", "model")})
    built.start()
    running = start_timeline(built, *asked(long_film))
    until(lambda: running.info)
    built.stop()
    assert running.wait(90) and running.state == "failed" and running.error.endswith(".")
