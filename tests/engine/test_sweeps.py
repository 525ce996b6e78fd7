"""Sweeps of the server, with real workers: cells one job at a time, others between them, kept, found and cancelled."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from engine import Engine, jobs
from engine.lately import UNSAVED
from engine.sweeps import NOT_MEASURED, Pixels, RunningSweep, Sweeps
from engine.tasks import Classify, MakePreview
from tests.engine.waiting import app_engine, done, state_of
from tests.patience import until
from tests.vivit.benchmark.children import MACHINE
from vivit.benchmark.measurement import Cell, StoppingRule
from vivit.benchmark.presets import grid
from vivit.benchmark.results import load, save
from vivit.benchmark.sweep import Sweep
from vivit.config import VivitConfig

RULE = StoppingRule(min_samples=5, max_samples=5, warm_up_seconds=0.001)
ENDLESS = StoppingRule(spread=0, min_samples=10**9, max_samples=10**9, seconds=600)


@pytest.fixture(scope="module")
def checkpoint(classifier: Path) -> str:
    return str(classifier)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with app_engine("media", "model") as engine:
        yield engine


@pytest.fixture
def sweeps(engine: Engine, tmp_path: Path) -> Iterator[Sweeps]:
    built = Sweeps(engine, tmp_path / "kept", [tmp_path / "recorded"])
    yield built
    while running := built.running():  # of a test that failed: the next one's would wait behind it
        built.cancel(running.id)
        assert running.wait(90)
    until(lambda: not measuring(engine))  # a process that is killed is there for a moment longer


def build(checkpoint: str, *attention: str, sizes: tuple[int, ...] = (1,), **options: Any) -> Sweep:
    configs = {checkpoint: VivitConfig.from_pretrained(checkpoint)}
    cells = grid(checkpoint, attention, batch_sizes=sizes)
    return Sweep(cells, configs, MACHINE, **{"rule": RULE, "budget_seconds": None, **options})


def endless(checkpoint: str) -> Sweep:
    """A sweep of two cells, neither of which ends while a test waits."""
    sweep = build(checkpoint, "eager", "sdpa")
    sweep.rule = ENDLESS
    return sweep


def measuring(engine: Engine) -> list[psutil.Process]:
    """Processes that measure a cell now: grandchildren of workers, whose own children are fork servers."""
    found = []
    for worker in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):  # one has ended meanwhile
            for server in worker.children():
                if "forkserver" in " ".join(server.cmdline()):
                    found += server.children()
    return found


def clip(checkpoint: str) -> dict[str, Pixels]:
    shape = (8, 24, 20, 3)
    return {checkpoint: (shape, np.random.default_rng(0).integers(0, 256, shape, np.uint8).tobytes())}


def started(sweeps: Sweeps, sweep: Sweep, **options: Any) -> RunningSweep:
    return sweeps.start(sweep, title="a sweep", clip="a clip", **options)


def test_a_sweep_runs_to_its_end_and_is_kept(sweeps: Sweeps, checkpoint: str, tmp_path: Path) -> None:
    running = started(sweeps, build(checkpoint, "eager", "sdpa", "sdpa-cudnn"), pixels=clip(checkpoint), visitor="v")
    assert sweeps.get(running.id) is running and sweeps.running("v") is running and sweeps.running("w") is None
    file = tmp_path / "kept" / f"{running.id}.sweep.json"
    until(file.exists)
    until(lambda: "ok" in [r.status for r in load(file).rows])  # already, after one cell
    assert state_of(running) == "running"
    done(running)
    eager, sdpa, cudnn = running.result.rows
    assert (eager.status, sdpa.status, cudnn.status) == ("ok", "ok", "unavailable")
    assert eager.latency and len(eager.latency.rounds) == 6 and eager.kernel == "_softmax" and eager.memory
    found = running.result.agreement(sdpa)
    assert found and found.top1 and 0 <= found.max_logit_difference < 1e-4
    (kept,) = sweeps.kept()
    assert kept == replace(running.result, created=kept.created) and kept.clip == "a clip"
    assert sweeps.running() is None and sweeps.get(running.id) is running


@pytest.mark.full
def test_other_jobs_go_between_cells_and_the_media_worker_waits(
    sweeps: Sweeps, engine: Engine, checkpoint: str
) -> None:
    running = started(sweeps, build(checkpoint, "eager", "sdpa", "sdpa-math", sizes=(1, 2)))
    until(lambda: measuring(engine))
    shape, pixels = clip(checkpoint)[checkpoint]
    classify = Classify(checkpoint, "sdpa", "float32", "checkpoint", 2, shape)
    other = engine.ask(classify, [pixels], visitor="w")
    read = engine.ask(MakePreview("/nowhere"), visitor="w")
    done(other)
    assert state_of(running) == "running", "it should still have had cells to run"
    assert read.wait(180) and read.state == "failed"  # it got its turn, and there was no such file
    assert running.wait(120) and {r.status for r in running.result.rows} == {"ok"}


def test_nothing_runs_in_the_media_worker_while_a_cell_is_timed(
    sweeps: Sweeps, engine: Engine, checkpoint: str
) -> None:
    running = started(sweeps, endless(checkpoint))
    until(lambda: measuring(engine))
    read = engine.ask(MakePreview("/nowhere"))
    assert not read.wait(0.5) and state_of(read) == "queued"
    sweeps.cancel(running.id)
    assert read.wait(90) and read.state == "failed"
    assert running.wait(90)


def test_a_cancelled_sweep_ends_and_the_worker_lives_on(
    sweeps: Sweeps, engine: Engine, checkpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "CANCEL_GRACE", 60.0)  # however busy the machine is
    sweep = build(checkpoint, "sdpa-cudnn", "sdpa")
    sweep.rule = ENDLESS
    running = started(sweeps, sweep)
    until(lambda: Cell(checkpoint, "sdpa-cudnn") in sweep.rows or "sdpa," in running.note)
    until(lambda: measuring(engine))
    restarts = engine.restarts("model")
    sweeps.cancel(running.id)
    assert running.wait(90) and running.state == "cancelled"
    until(lambda: not measuring(engine))
    assert {r.cell.attention: r.status for r in running.result.rows}["sdpa"] == "cancelled"
    assert len(running.result.rows) == 2
    assert engine.restarts("model") == restarts
    follow_up = started(sweeps, build(checkpoint, "sdpa", rounds=1))
    assert follow_up.wait(180) and follow_up.result.rows[0].status == "ok"


def test_what_a_cancelled_sweep_has_measured_is_kept(sweeps: Sweeps, checkpoint: str) -> None:
    running = started(sweeps, build(checkpoint, "eager", "sdpa", rounds=10_000))
    until(lambda: any(row.latency for row in [*running.sweep.rows.values()]))
    sweeps.cancel(running.id)
    assert running.wait(90) and running.state == "cancelled" and not running.empty
    (kept,) = sweeps.kept()
    assert kept.rows == running.result.rows and len(kept.rows) == 2


def test_of_a_sweep_that_is_cancelled_before_it_has_a_figure_nothing_is_kept(
    sweeps: Sweeps, engine: Engine, checkpoint: str, tmp_path: Path
) -> None:
    sweep = build(checkpoint, "eager")
    sweep.rule = ENDLESS
    running = started(sweeps, sweep)
    until(lambda: measuring(engine))
    assert list((tmp_path / "kept").glob("*")), "from its beginning on, since the server may be killed"
    sweeps.cancel(running.id)
    assert running.wait(90) and running.state == "cancelled" and running.empty
    assert sweeps.kept() == [] and not list((tmp_path / "kept").glob("*"))


def test_a_killed_cell_is_a_row_and_the_sweep_goes_on(sweeps: Sweeps, engine: Engine, checkpoint: str) -> None:
    sweep = build(checkpoint, "eager", "sdpa-math", rounds=1)
    sweep.rule = ENDLESS
    running = started(sweeps, sweep)

    def all_killed() -> bool:
        for process in measuring(engine):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        return len(sweep.rows) == 2

    until(all_killed)
    done(running)
    assert {r.status for r in running.result.rows} == {"failed"} and "killed" in running.result.rows[0].reason


def test_a_dead_worker_is_a_row_and_the_sweep_goes_on(sweeps: Sweeps, engine: Engine, checkpoint: str) -> None:
    sweep = build(checkpoint, "eager", "sdpa-cudnn", rounds=1)
    sweep.rule = ENDLESS
    running = started(sweeps, sweep)
    until(lambda: running.note.startswith("round 1: eager") and measuring(engine))
    (server,) = [measuring(engine)[0].parent()]
    worker = server.parent() if server else None
    assert worker
    worker.kill()
    done(running)
    assert {r.cell.attention: r.status for r in running.result.rows} == {"eager": "failed", "sdpa-cudnn": "unavailable"}


def test_a_visitors_second_sweep_takes_the_place_of_the_first(sweeps: Sweeps, checkpoint: str) -> None:
    first = started(sweeps, endless(checkpoint), visitor="v")
    second = started(sweeps, build(checkpoint, "sdpa-cudnn", rounds=1), visitor="v")
    assert first.wait(90) and first.state == "cancelled"
    done(second)


@pytest.mark.full
def test_closing_the_page_does_not_end_a_sweep(sweeps: Sweeps, engine: Engine, checkpoint: str) -> None:
    running = started(sweeps, build(checkpoint, "eager", rounds=1), visitor="v")
    engine.forget("v")
    assert running.wait(180) and running.state == "done" and running.result.rows[0].status == "ok"


@pytest.mark.full
def test_without_a_disk_a_sweep_runs_to_its_end_and_is_held_in_memory(
    engine: Engine, checkpoint: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    sweeps = Sweeps(engine, tmp_path / "file")
    first = started(sweeps, build(checkpoint, "eager", rounds=1))
    assert first.wait(180) and first.state == "done" and first.result.rows[0].status == "ok"
    assert "download them" in first.error and str(tmp_path) not in first.error
    later = [started(sweeps, build(checkpoint, "sdpa-cudnn", rounds=1)) for _ in range(UNSAVED)]
    assert all(sweep.wait(180) for sweep in later)
    assert {r.id for r in sweeps.kept()} == {first.id, *(sweep.id for sweep in later)}
    last = started(sweeps, build(checkpoint, "sdpa-cudnn", rounds=1))
    assert last.wait(180) and first.id not in {r.id for r in sweeps.kept()}


def test_a_sweep_is_deleted_once_it_has_ended_and_one_that_is_recorded_stays(
    sweeps: Sweeps, engine: Engine, checkpoint: str, tmp_path: Path
) -> None:
    running = started(sweeps, endless(checkpoint))
    until(lambda: measuring(engine))
    sweeps.delete(running.id)
    assert running.state == "running" and not sweeps.deletable(running.id)
    sweeps.cancel(running.id)
    assert running.wait(90)
    recorded = save(replace(running.result, id="recorded"), tmp_path / "recorded")
    for id in (running.id, "recorded"):
        sweeps.delete(id)
    assert [r.id for r in sweeps.kept()] == ["recorded"] and recorded.is_file()
    assert not list((tmp_path / "kept").iterdir())


def test_a_disk_that_has_room_again_takes_the_sweep(engine: Engine, checkpoint: str, tmp_path: Path) -> None:
    folder, sweep = tmp_path / "kept", build(checkpoint, "eager")
    running = RunningSweep("id", "a sweep", "", sweep, "v")
    folder.write_text("")
    running.save(folder)
    assert not running.saved and running.error
    folder.unlink()
    running.save(folder)
    assert running.saved and not running.error and load(folder / "id.sweep.json").id == "id"


def test_a_server_that_is_killed_leaves_a_row_for_every_cell(
    sweeps: Sweeps, engine: Engine, checkpoint: str, tmp_path: Path
) -> None:
    running = started(sweeps, endless(checkpoint))
    until(lambda: measuring(engine))
    left = load(tmp_path / "kept" / f"{running.id}.sweep.json")  # all that there would be
    assert {r.cell for r in left.rows} == set(running.sweep.cells)
    missing = [r for r in left.rows if r.cell not in running.sweep.rows]
    assert missing and {(r.status, r.reason) for r in missing} == {("cancelled", NOT_MEASURED)}
    assert not sweeps.kept(), "while it runs it is shown as running, and nowhere else"
    sweeps.cancel(running.id)
    assert running.wait(90)
