"""What cannot be measured is told before: what no kernel computes, and what memory has no room for."""

from collections import Counter
from dataclasses import replace

import pytest

from tests.vivit.benchmark.children import MACHINE
from tests.vivit.benchmark.made_up import CELLS, CONFIGS, at, machine_of, quick, ran
from vivit.benchmark import refusals
from vivit.benchmark.measurement import Cell, Measurement
from vivit.benchmark.presets import grid
from vivit.benchmark.refusals import NOT_CAPTURED, NOT_TRAINED, runs_here, untrainable
from vivit.benchmark.sweep import ROUNDS, PlannedRound, Sweep, sound_sweep
from vivit.names import BACKENDS

CAPTURED_NOT_HERE = {"plain": "", "compiled": "", "captured": "no graphs here"}


def test_a_family_that_is_too_large_for_the_machine_does_not_take_the_turn_of_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So that there is something, even if it does not fit into the budget."""
    monkeypatch.setattr(refusals, "free_bytes", lambda machine: 4 * 2**30)
    cells = [*grid("big", ("eager",), batch_sizes=(8,)), *grid("big", ("eager", "sdpa"))]
    sweep = Sweep(cells, CONFIGS, at(1e12), budget_seconds=10.0)
    runs = ran(sweep, machine_of(sweep))
    assert sweep.rows[cells[0]].status == "out-of-memory" and {run.cell for run in runs} == {cells[1]}
    assert sweep.rows[cells[1]].latency and sweep.spent_seconds == pytest.approx(10.0, abs=1.0)


def test_what_does_not_fit_into_memory_is_not_told_to_be_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "free_bytes", lambda machine: 4 * 2**30)
    sweep = Sweep(grid("big", ("eager", "sdpa"), batch_sizes=(1, 8)), CONFIGS, at(1e13), budget_seconds=120.0)
    told, begins = sweep.seconds_left, sweep.begins
    ran(sweep, machine_of(sweep))
    measured = [cell for cell, row in sweep.rows.items() if row.latency]
    assert sorted(begins, key=str) == sorted(measured, key=str) and len(measured) == 3
    assert sweep.spent_seconds == pytest.approx(told, rel=0.1)


def test_where_nothing_fits_into_memory_nothing_is_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "free_bytes", lambda machine: 4 * 2**30)
    large = grid("big", ("eager",), batch_sizes=(32,))
    sweep = sound_sweep(large, CONFIGS, at(1e13), budget_seconds=120.0)
    assert sweep.begins == [] and sweep.seconds_left == 0 and sweep.budget_seconds == 120.0
    assert sweep.refused.startswith("Not run: it would need about 30.5 GiB")
    some = sound_sweep([*large, *grid("big", ("sdpa",))], CONFIGS, at(1e13), budget_seconds=120.0)
    assert some.begins == grid("big", ("sdpa",)) and not some.refused and some.budget_seconds == 120.0


def test_what_cannot_fit_is_refused_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "free_bytes", lambda machine: 4 * 2**30)
    sweep = Sweep(grid("big", ("eager", "sdpa"), batch_sizes=(1, 8)), CONFIGS, MACHINE, budget_seconds=None)
    runs = ran(sweep)
    refused = sweep.rows[Cell("big", "eager", batch_size=8)]
    assert refused.status == "out-of-memory" and "GiB, and this machine has 4.0 GiB free" in refused.reason
    assert refused.estimate and refused.estimate.peak > 4 * 2**30
    assert {run.cell for run in runs} == {c for c in sweep.cells if c != refused.cell}


def test_free_memory_of_a_gpu_is_nearly_all_of_it() -> None:
    assert refusals.free_bytes(replace(MACHINE, device="cuda", memory_bytes=100)) == 95
    assert 0 < refusals.free_bytes(MACHINE) < 10**15


def test_what_cannot_run_is_a_row_and_is_not_tried_again() -> None:
    bad = {"sdpa": "unavailable", "sdpa-math": "failed"}

    def execute(planned: PlannedRound) -> tuple[Measurement, float]:
        status = bad.get(planned.cell.attention)
        return (Measurement(planned.cell, status, "why"), 0.1) if status else quick(planned)

    sweep = Sweep(CELLS, CONFIGS, MACHINE, budget_seconds=None)
    runs = ran(sweep, execute)
    assert Counter(run.cell.attention for run in runs) == {"eager": 4 * ROUNDS, "sdpa": 4, "sdpa-math": 4}
    assert {r.cell: r.status for r in sweep.rows.values()} == {c: bad.get(c.attention, "ok") for c in CELLS}


def test_what_is_known_not_to_run_is_a_row_before_anything_runs() -> None:
    cells = grid("m", tuple(BACKENDS))
    sweep = Sweep(cells, CONFIGS, MACHINE)
    left_out = {name for name, backend in BACKENDS.items() if backend.cuda_only}
    assert {c.attention: (r.status, r.reason) for c, r in sweep.rows.items()} == dict.fromkeys(
        left_out, ("unavailable", "CUDA only")
    )
    assert not left_out & {run.cell.attention for run in ran(sweep)} and set(sweep.rows) == set(cells)
    none = Sweep(grid("m", ("sdpa-cudnn",)), CONFIGS, MACHINE)
    assert none.finished and none.next() is None and none.progress == 1.0
    assert none.seconds_left == none.sound_seconds == 0.0 and none.begins == []


def test_what_runs_here_is_told_before() -> None:
    cells = grid("m", ("sdpa", "sdpa-cudnn", "sdpa-efficient"), ("float32", "float16"), (1, 2))
    runs, reasons = runs_here(cells, MACHINE)
    assert runs == [cell for cell in cells if cell.attention == "sdpa"]
    assert reasons == {
        "CUDA only": [f"{a} in {p}" for p in ("float32", "float16") for a in ("sdpa-cudnn", "sdpa-efficient")]
    }
    untried = replace(MACHINE, support=())
    assert runs_here(cells, untried) == (cells, {})


def test_what_cannot_be_trained_is_told_before_it_is_begun() -> None:
    cells = grid("m", ("sdpa", "flex_attention"), ("float32", "int8-bitsandbytes", "int8-dynamic"), modes=("training",))
    runs, reasons = runs_here(cells, MACHINE)
    assert [(c.attention, c.precision) for c in runs] == [("sdpa", "float32")]
    assert reasons == {
        "'flex_attention' has no gradients on a CPU.": ["flex_attention in float32"],
        NOT_TRAINED: [
            f"{attention} in {precision}"
            for precision in ("int8-bitsandbytes", "int8-dynamic")
            for attention in ("sdpa", "flex_attention")
        ],
    }
    assert runs_here([replace(cell, mode="inference") for cell in cells], MACHINE)[1] == {}
    assert untrainable(cells[1], replace(MACHINE, device="cuda")) == ""


def test_a_way_to_run_that_there_is_not_is_told_before_and_is_a_row() -> None:
    machine = replace(MACHINE, executions=CAPTURED_NOT_HERE)
    cells = grid("m", ("sdpa",), executions=("plain", "captured", "compiled"))
    runs, reasons = runs_here(cells, machine)
    assert [cell.execution for cell in runs] == ["plain", "compiled"]
    assert reasons == {"no graphs here": ["'captured'"]}
    sweep = Sweep(cells, CONFIGS, machine)
    assert sweep.rows == {cells[1]: replace(sweep.rows[cells[1]], status="unavailable", reason="no graphs here")}
    assert runs_here(cells, MACHINE) == (cells, {}), "a machine that was recorded before there was a choice"


def test_a_training_step_is_not_captured() -> None:
    cells = grid("m", ("eager", "sdpa"), modes=("training",), executions=("captured", "compiled"))
    runs, reasons = runs_here(cells, replace(MACHINE, device="cuda"))
    assert {cell.execution for cell in runs} == {"compiled"}
    assert reasons == {NOT_CAPTURED: ["'captured'"]}
