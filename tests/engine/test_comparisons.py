"""Comparisons side by side, with real workers: rounds one job at a time, others between them, cancelled and broken off."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from engine import Engine
from engine.comparisons import RunningComparison, start
from engine.tasks import Classify, DescribeFilm, MakePreview
from tests.engine.waiting import app_engine, done, state_of, worker
from tests.patience import until
from ui.server import WORKERS
from vivit.benchmark.measurement import Cell
from vivit.benchmark.ratios import FASTER, NO_DIFFERENCE, SLOWER
from vivit.benchmark.side_by_side import SideBySide
from vivit.checkpoint import open_checkpoint

MANNEQUIN = "vivit-mannequin"
SIZE = open_checkpoint(MANNEQUIN).config.clip_size
SHAPE = (*SIZE, 3)
PIXELS = np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8).tobytes()
EAGER, SDPA, FLASH = (Cell(MANNEQUIN, attention) for attention in ("eager", "sdpa", "sdpa-flash"))


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with app_engine("media", "film", "model") as engine:
        yield engine


def started(engine: Engine, *cells: Cell, seconds: float = 600.0) -> RunningComparison:
    """A comparison of these cells, of at least 6 rounds however busy the machine is."""
    return start(engine, SideBySide(cells, seconds=seconds, sound=True), SHAPE, PIXELS)


def test_a_comparison_runs_to_its_end(engine: Engine) -> None:
    running = started(engine, EAGER, SDPA, FLASH, seconds=3.0)
    assert state_of(running) == "running"
    done(running)
    comparison = running.comparison
    assert comparison.rounds >= 6 and comparison.progress == 1.0 and running.note == running.error == ""
    eager, sdpa, flash = comparison.rows()
    assert eager.ratio is None and sdpa.ratio and flash.ratio
    assert {len(row.samples_ms) for row in (eager, sdpa, flash)} == {comparison.rounds}
    # Eager takes about twice as long; how plainly that can be told is the machine's affair.
    assert sdpa.ratio.verdict in (FASTER, NO_DIFFERENCE) and flash.ratio.verdict != SLOWER
    between = comparison.ratio(2, 1)
    assert between and between.verdict == NO_DIFFERENCE, "two names of one kernel"
    assert sdpa.agreement and sdpa.agreement.top5 == 1 and sdpa.agreement.max_logit_difference < 1e-3
    assert sdpa.found.weights == eager.found.weights and sdpa.found.weights
    assert 0 < (sdpa.found.activations or 0) < (eager.found.activations or 0)
    assert comparison.others_share is not None and sdpa.found.device == "cpu"


def running_tasks(engine: Engine) -> tuple[str, str, str]:
    """What the model worker runs, and what the media and the film worker run at that time; '' for nothing."""
    model, *others = (engine._workers[name].queue for name in ("model", "media", "film"))
    first = model.running
    media, film = (queue.running for queue in others)
    same = model.running is first  # else this was between two jobs
    return first.task if first and same else "", media.task if media else "", film.task if film else ""


def test_others_go_between_its_rounds_and_nothing_is_decoded_while_one_is_timed(engine: Engine) -> None:
    running = started(engine, EAGER, SDPA, Cell(MANNEQUIN, "sdpa-math"), FLASH)
    seen = set()

    def watch(condition: Callable[[], bool]) -> None:
        def looked() -> bool:
            seen.add(running_tasks(engine))
            return condition()

        until(looked)

    watch(lambda: running.comparison.rounds >= 1)
    classify = Classify(MANNEQUIN, "sdpa", "float32", "checkpoint", 2, SHAPE)
    other = engine.ask(classify, [PIXELS], visitor="w")
    read, film = (engine.ask(request("/nowhere"), visitor="w") for request in (MakePreview, DescribeFilm))
    watch(lambda: other.finished and read.finished and film.finished)
    assert other.state == "done" and state_of(running) == "running", "it should still have had rounds to make"
    assert read.state == film.state == "failed"  # they got their turns, and there was no such file
    rounds = running.comparison.rounds
    watch(lambda: running.comparison.rounds > rounds or running.state != "running")
    running.cancel()
    assert running.wait(90) and running.state == "cancelled", running.error
    assert {("examine", "hold", "hold_films"), ("time", "hold", "hold_films")} <= seen
    timed = {(media, film) for model, media, film in seen if model in ("examine", "time")}
    assert timed == {("hold", "hold_films")}, "nothing else ran there meanwhile"


def test_two_comparisons_at_once_take_turns(engine: Engine) -> None:
    first, second = (started(engine, cell, FLASH) for cell in (SDPA, EAGER))
    until(lambda: first.comparison.rounds >= 2 and second.comparison.rounds >= 2)
    assert first.state == second.state == "running", "neither had to wait for the other's end"
    for running in (first, second):
        running.cancel()
    assert first.wait(90) and second.wait(90) and first.number != second.number


@pytest.mark.full
def test_a_place_in_the_queue_is_told_once_and_no_longer_than_it_is_waited(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.comparisons.LONG_SECONDS", 0.0)  # cell by cell: many jobs of one round
    monkeypatch.setattr("engine.undisturbed.TICK", 0.002)
    running = [started(engine, EAGER, SDPA, FLASH) for _ in range(2)]
    notes: set[str] = set()

    def looked() -> bool:
        notes.update(each.note for each in running)
        return all(each.comparison.rounds >= 4 for each in running)

    until(looked)
    for each in running:
        each.cancel()
    assert all(each.wait(90) for each in running)
    assert any(note.startswith("round") and "in the queue" in note for note in notes)
    assert not [note for note in notes if note.count("in the queue") > 1]


@pytest.mark.parametrize("rounds", [0, 2])
def test_a_cancelled_one_ends_and_keeps_the_rounds_that_are_done(engine: Engine, rounds: int) -> None:
    running = started(engine, EAGER, SDPA)
    until(lambda: running.comparison.rounds >= rounds and running_tasks(engine)[0] in ("examine", "time"))
    running.cancel()
    assert running.wait(90)
    comparison = running.comparison
    assert (running.state, running.error, running.note) == ("cancelled", "", "")
    assert comparison.ended and rounds <= comparison.rounds and (comparison.rounds >= 6 or comparison.ratio(1) is None)
    assert all(len(row.samples_ms) == comparison.rounds for row in comparison.rows())
    # What was given up has ended too, and the worker, whether it lives on or was replaced, takes the next.
    until(lambda: not engine._workers["model"].queue.running)
    until(lambda: not engine._workers["media"].queue.running)


def test_a_cell_that_cannot_run_ends_it_with_a_sentence(engine: Engine) -> None:
    running = started(engine, SDPA, Cell(MANNEQUIN, "sdpa-cudnn"))
    assert running.wait(180) and running.state == "failed"
    assert running.error == "'sdpa-cudnn' runs on CUDA GPUs only, and this model is on 'cpu'. Choose 'sdpa'."
    (row,) = running.comparison.rows()
    assert row.cell == SDPA and running.comparison.ended and running.comparison.rounds == 0


def test_a_checkpoint_that_is_not_there_ends_it_with_a_sentence(engine: Engine) -> None:
    running = started(engine, Cell("/nowhere/at/all", "sdpa"))
    assert running.wait(180) and running.state == "failed" and "nowhere" in running.error


@pytest.mark.full
def test_a_killed_worker_ends_it_with_a_sentence_and_the_rounds_that_are_done(engine: Engine) -> None:
    running = started(engine, EAGER, SDPA)
    until(lambda: running.comparison.rounds >= 2 and running_tasks(engine)[0] == "time")
    worker("engine.model").kill()
    assert running.wait(90) and running.state == "failed"
    assert running.error.startswith("The system ended the process") and running.error.endswith(".")
    assert running.comparison.rounds >= 2
    until(lambda: not engine._workers["media"].queue.running)
    follow_up = started(engine, SDPA)
    until(lambda: follow_up.comparison.rounds >= 1)
    follow_up.cancel()
    assert follow_up.wait(90) and follow_up.state == "cancelled"


def test_a_stopped_server_ends_it() -> None:
    engine = Engine({name: WORKERS[name] for name in ("media", "model")})  # never started
    running = started(engine, SDPA)
    until(lambda: engine._workers["media"].queue.waiting)
    engine.stop()
    assert running.wait(90) and running.state == "failed" and running.error.endswith(".")
