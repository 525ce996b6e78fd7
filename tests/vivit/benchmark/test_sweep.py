"""Which cells run, in which order and for how long, with a machine whose times are made up."""

import random
from collections import Counter
from dataclasses import replace

import pytest

from tests import oracle
from tests.vivit.benchmark.children import MACHINE, row
from vivit.benchmark import sweep as module
from vivit.benchmark.measurement import Cell, Measurement, StoppingRule
from vivit.benchmark.sweep import PRESETS, PlannedRound, Sweep, grid, run_all
from vivit.config import VivitConfig
from vivit.names import BACKENDS

TINY = VivitConfig(**oracle.TINY)
CONFIGS = {"m": TINY, "big": VivitConfig(num_labels=400)}
CELLS = grid("m", ("eager", "sdpa", "sdpa-math"), ("float32", "float16"), (1, 2))


def quick(planned: PlannedRound) -> tuple[Measurement, float]:
    return row(planned.cell, (1.0,) * 5, logits=(1.0, 2.0)), 0.5


def ran(sweep: Sweep, execute=quick) -> list[PlannedRound]:
    """Every run of a sweep that is run to its end."""
    runs: list[PlannedRound] = []
    run_all(sweep, lambda run: (runs.append(run), execute(run))[1])
    return runs


def test_every_cell_runs_once_a_round_in_an_order_of_its_own() -> None:
    runs = ran(Sweep(CELLS, CONFIGS, MACHINE, rounds=3))
    assert [run.number for run in runs] == [0] * 12 + [1] * 12 + [2] * 12
    orders = [[run.cell for run in runs if run.number == n] for n in range(3)]
    assert all(Counter(order) == Counter(CELLS) for order in orders)
    assert orders[0] != CELLS and orders[0] != orders[1] != orders[2]


def test_the_order_is_the_seeds() -> None:
    first, again, other = ([r.cell for r in ran(Sweep(CELLS, CONFIGS, MACHINE, seed=s))] for s in (1, 1, 2))
    assert first == again != other


def test_memory_is_recorded_once_and_rounds_are_kept_apart() -> None:
    sweep = Sweep(CELLS[:2], CONFIGS, MACHINE)
    assert [run.record for run in ran(sweep)] == [True, True, False, False]
    assert [len(r.latency.rounds) for r in sweep.rows.values() if r.latency] == [2, 2]
    assert sweep.finished and sweep.progress == 1.0 and sweep.seconds_left == 0.0
    assert sweep.spent_seconds == 2.0 and sweep.rounds_done == 4


def test_what_cannot_run_is_a_row_and_is_not_tried_again() -> None:
    bad = {"sdpa": "unavailable", "sdpa-math": "failed"}

    def execute(planned: PlannedRound) -> tuple[Measurement, float]:
        status = bad.get(planned.cell.attention)
        return (Measurement(planned.cell, status, "why"), 0.1) if status else quick(planned)

    sweep = Sweep(CELLS, CONFIGS, MACHINE)
    runs = ran(sweep, execute)
    assert Counter(run.cell.attention for run in runs) == {"eager": 8, "sdpa": 4, "sdpa-math": 4}
    assert {r.cell: r.status for r in sweep.rows.values()} == {c: bad.get(c.attention, "ok") for c in CELLS}


def test_the_reference_runs_first_where_it_is_not_among_the_cells() -> None:
    cells = [Cell("m", "sdpa"), Cell("m", "sdpa", num_frames=4), Cell("m", "sdpa", mode="training")]
    sweep = Sweep(cells, CONFIGS, MACHINE)
    runs = ran(sweep)
    extra = [Cell("m", "eager"), Cell("m", "eager", num_frames=4)]
    assert [run.cell for run in runs[:2]] == extra and [run.record for run in runs[:2]] == [False, False]
    assert runs[0].rule.seconds == 0  # one call is enough for an answer
    assert list(sweep.references) == extra and set(sweep.rows) == set(cells)
    own = Sweep(CELLS, CONFIGS, MACHINE)
    assert len(ran(own)) == 24 and list(own.references) == [Cell("m", "eager")]


def test_a_budget_ends_the_sweep_and_every_cell_has_a_row() -> None:
    def slow(planned: PlannedRound) -> tuple[Measurement, float]:
        return row(planned.cell, (2000.0,)), 7.0

    sweep = Sweep(CELLS, CONFIGS, MACHINE, budget_seconds=30.0)
    runs = ran(sweep, slow)
    assert len(runs) == 5 and sweep.spent_seconds == 35.0
    assert set(sweep.rows) == set(CELLS)
    statuses = Counter(r.status for r in sweep.rows.values())
    assert statuses == {"ok": 5, "cancelled": 7}
    left_out = next(r for r in sweep.rows.values() if r.status == "cancelled")
    assert "the budget of 30 s" in left_out.reason and "'full'" in left_out.reason


def test_a_budget_is_shared_by_what_is_left() -> None:
    generous, tight = (Sweep(CELLS, CONFIGS, MACHINE, budget_seconds=s) for s in (1000.0, 30.0))
    assert generous.next().rule.seconds == StoppingRule().seconds  # type: ignore[union-attr]
    first = tight.next()
    assert first and first.rule.seconds < StoppingRule().seconds and first.limit_seconds == 15.0
    # Nobody else is left: the last run may have what remains.
    alone = Sweep(CELLS[:1], CONFIGS, MACHINE, budget_seconds=20.0, rounds=1)
    last = alone.next()
    assert last and last.rule.seconds == StoppingRule().seconds and last.limit_seconds == 20.0


def test_cells_too_slow_for_a_warm_up_are_recorded_in_their_first_call() -> None:
    cells = grid("big", ("eager", "sdpa"))  # about 9 s a call on this machine
    runs = ran(Sweep(cells, CONFIGS, MACHINE, budget_seconds=60.0), lambda run: (row(run.cell, (9000.0,)), 9.0))
    assert [run.record_first for run in runs[:2]] == [True, True]
    assert [run.record for run in runs] == [True, True, False, False]
    assert not any(run.record_first for run in ran(Sweep(cells, CONFIGS, MACHINE, budget_seconds=1000.0)))


def test_full_has_no_limit_and_more_time() -> None:
    runs = ran(Sweep(CELLS, CONFIGS, MACHINE, budget_seconds=None), lambda run: (row(run.cell, (1.0,)), 1e5))
    assert len(runs) == 24
    assert {(run.limit_seconds, run.rule.seconds) for run in runs} == {(None, module.FULL_SECONDS)}


def test_what_cannot_fit_is_refused_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_free_bytes", lambda machine: 4 * 2**30)
    sweep = Sweep(grid("big", ("eager", "sdpa"), batch_sizes=(1, 8)), CONFIGS, MACHINE, budget_seconds=None)
    runs = ran(sweep)
    refused = sweep.rows[Cell("big", "eager", batch_size=8)]
    assert refused.status == "out-of-memory" and "GiB, and this machine has 4.0 GiB free" in refused.reason
    assert refused.estimate and refused.estimate.peak > 4 * 2**30
    assert {run.cell for run in runs} == {c for c in sweep.cells if c != refused.cell}


def test_free_memory_of_a_gpu_is_nearly_all_of_it() -> None:
    assert module._free_bytes(replace(MACHINE, device="cuda", memory_bytes=100)) == 95
    assert 0 < module._free_bytes(MACHINE) < 10**15


def test_cancelling_keeps_what_is_done() -> None:
    done = []

    def execute(planned: PlannedRound) -> tuple[Measurement, float]:
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(planned.cell)
        return quick(planned)

    sweep, seen = Sweep(CELLS, CONFIGS, MACHINE), []
    with pytest.raises(KeyboardInterrupt):
        run_all(sweep, execute, lambda: seen.append(len(sweep.rows)))
    assert {c for c, r in sweep.rows.items() if r.status == "ok"} == set(done)
    assert {r.status for c, r in sweep.rows.items() if c not in done} == {"cancelled"} and len(sweep.rows) == 12
    assert sweep.finished and sweep.cancelled and sweep.next() is None and seen[-1] == 12


def test_progress_and_time_left_run_towards_the_end() -> None:
    sweep = Sweep(CELLS, CONFIGS, MACHINE)
    assert 0 < sweep.seconds_left <= 120 and sweep.progress == 0
    seen = []
    run_all(sweep, quick, lambda: seen.append((sweep.progress, sweep.seconds_left)))
    assert [p for p, _ in seen] == sorted(p for p, _ in seen) and seen[-1] == (1.0, 0.0)
    assert seen[0][1] > seen[len(seen) // 2][1] > seen[-3][1]


def test_a_run_that_is_being_measured_counts_as_not_done() -> None:
    sweep = Sweep([Cell("m", mode="training")], CONFIGS, MACHINE, rounds=1)
    seconds = sweep.seconds_left
    run = sweep.next()
    assert run and sweep.seconds_left == seconds > 0 and sweep.progress == 0 and not sweep.finished
    sweep.record(*quick(run))
    assert sweep.finished and sweep.progress == 1.0 and sweep.seconds_left == 0


def test_the_time_left_is_told_while_another_thread_records(monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = Sweep(CELLS[:1], CONFIGS, MACHINE, rounds=1)
    looks = iter([sweep.cells[0]])  # it is being measured at the first look, and recorded before any other
    monkeypatch.setattr(Sweep, "_current", property(lambda sweep: next(looks, None)), raising=False)
    assert sweep.seconds_left > 0


def test_a_spent_budget_is_no_step_back() -> None:
    sweep = Sweep(CELLS, CONFIGS, MACHINE, budget_seconds=30.0)
    run = sweep.next()
    assert run
    sweep.record(quick(run)[0], 40.0)
    assert not sweep.finished and sweep.seconds_left == 0 and sweep.progress == 1.0


def test_repeated_cells_count_once() -> None:
    assert len(Sweep([*CELLS, *CELLS], CONFIGS, MACHINE).cells) == 12


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_cells_of_known_backends(name: str) -> None:
    preset = PRESETS[name]
    cells = preset.cells("m")
    assert len(cells) == len(set(cells)) and preset.budget_seconds <= 120
    assert {c.attention for c in cells} <= BACKENDS.keys()
    configs = {"m": replace(TINY, num_frames=32)}
    sweep = Sweep(cells, configs, MACHINE, budget_seconds=preset.budget_seconds, rule=preset.rule)
    assert sweep.seconds_left <= preset.budget_seconds


def test_documentation_presets_are_its_tables() -> None:
    inference = PRESETS["documentation's inference table"]
    assert {(c.batch_size, c.precision) for c in inference.cells("m")} >= {(b, "float32") for b in (1, 2, 4, 8)}
    training = PRESETS["documentation's training table"]
    assert [(c.mode, c.attention, c.batch_size) for c in training.cells("m")] == [
        ("training", "eager", 1),
        ("training", "sdpa", 1),
    ]
    assert (inference.rule.max_samples, training.rule.max_samples) == (20, 100)
    random.seed(0)
    noisy = [random.uniform(1, 9) for _ in range(19)]
    assert not inference.rule.satisfied(noisy) and inference.rule.satisfied([*noisy, 1.0])
