"""Which cells a sweep runs, in which order, and what it tells on the way, with a machine whose times are made up."""

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from tests.vivit.benchmark.children import MACHINE, row
from tests.vivit.benchmark.made_up import BASES, BY_SIZE, CELLS, CONFIGS, at, machine_of, quick, ran
from vivit.benchmark.cost import FIRST_SECONDS
from vivit.benchmark.families import family
from vivit.benchmark.measurement import Cell, Measurement
from vivit.benchmark.presets import PRESETS, grid
from vivit.benchmark.results import find_ratio_of, snapshot
from vivit.benchmark.sweep import ROUNDS, PlannedRound, Sweep, run_all
from vivit.benchmark.verdict import statement
from vivit.names import PRECISIONS

# Which cells, in which order


def test_the_first_cells_have_all_their_rounds_before_any_other_is_begun() -> None:
    runs = ran(Sweep(CELLS, CONFIGS, MACHINE))
    first = {size: {cell for cell in BY_SIZE[size] if cell.attention in ("eager", "sdpa")} for size in BY_SIZE}
    blocks = [first[1], first[2]]
    blocks += [{BASES[size], *BY_SIZE[size]} - (first[size] - {BASES[size]}) for size in (1, 2)]
    expected = [cells for cells in blocks for _ in range(ROUNDS)]
    rounds = [[run.cell for run in runs if run.number == number] for number in range(len(expected))]
    assert [set(order) for order in rounds] == expected and sum(map(len, rounds)) == len(runs) == 84
    assert all(len(order) == len(set(order)) for order in rounds), "once a round"
    assert [run.number for run in runs] == sorted(run.number for run in runs)
    assert len({tuple(order) for order in rounds[:ROUNDS]}) > 1, "each round has an order of its own"


def test_the_first_cells_of_a_gpu_are_those_of_its_precision() -> None:
    cells = grid("m", ("eager", "sdpa"), tuple(PRECISIONS))
    gpu = replace(MACHINE, device="cuda")
    first = {run.cell.precision for run in ran(Sweep(cells, CONFIGS, gpu)) if run.number < ROUNDS}
    assert first == {"float32", "float16"}


def test_without_a_budget_a_family_is_one_block() -> None:
    runs = ran(Sweep(CELLS, CONFIGS, MACHINE, budget_seconds=None))
    rounds = [{run.cell for run in runs if run.number == number} for number in range(2 * ROUNDS)]
    assert rounds == [set(BY_SIZE[1])] * ROUNDS + [set(BY_SIZE[2])] * ROUNDS and len(runs) == 72


@pytest.mark.parametrize("budget", [120.0, None])
def test_every_cell_can_be_compared_with_the_base_of_its_family(budget: float | None) -> None:
    sweep = Sweep(CELLS, CONFIGS, MACHINE, budget_seconds=budget)
    ran(sweep)
    bases = {family(cell): sweep.rows[cell] for cell in BASES.values()}
    for cell, found in sweep.rows.items():
        assert found.sound and find_ratio_of(found, bases[family(cell)]), cell


def test_the_base_of_further_rounds_is_the_first_cell_that_was_measured_well() -> None:
    def execute(planned: PlannedRound) -> tuple[Measurement, float]:
        if planned.cell == BASES[1]:
            return Measurement(planned.cell, "failed", "why"), 0.1
        return quick(planned)

    sweep = Sweep(BY_SIZE[1], CONFIGS, MACHINE)
    further = {run.cell for run in ran(sweep, execute) if run.number >= ROUNDS}
    assert further == {Cell("m", "sdpa"), *(c for c in BY_SIZE[1] if c.attention == "sdpa-math")}
    assert find_ratio_of(sweep.rows[Cell("m", "sdpa-math")], sweep.rows[Cell("m", "sdpa")])


def test_the_fastest_of_the_first_rounds_is_measured_again_with_the_others() -> None:
    """So that the best of all cells has a ratio with the best of the first ones."""
    ms = {"eager": 200.0, "sdpa": 100.0, "sdpa-math": 100.0, "sdpa-flash": 300.0}
    shake = random.Random(0)

    def execute(planned: PlannedRound) -> tuple[Measurement, float]:
        once = (
            ms[planned.cell.attention] * (1 + 0.2 * (planned.cell.precision != "float32")) * shake.uniform(0.97, 1.03)
        )
        return row(planned.cell, (once,) * 5, logits=(1.0, 2.0), first=planned.number), 0.5

    cells = grid("m", tuple(ms), ("float32", "float16-weights"))
    for best, others in ((100.0, "no difference"), (50.0, "first"), (180.0, "leader")):
        ms["sdpa-math"] = best
        sweep = Sweep(cells, CONFIGS, MACHINE)
        runs = ran(sweep, execute)
        again = Counter(run.cell for run in runs if run.number >= ROUNDS)
        leader, base, math_ = (Cell("m", name) for name in ("sdpa", "eager", "sdpa-math"))
        assert set(again) == {base, leader, *(c for c in cells if c.attention in ("sdpa-math", "sdpa-flash"))}
        assert set(again.values()) == {ROUNDS}
        ratio = find_ratio_of(sweep.rows[math_], sweep.rows[leader])
        assert ratio and ratio.low < 100.0 / best < ratio.high
        said = statement(snapshot(sweep))
        if others == "no difference":
            ends = ("sdpa-math in float32", "sdpa in float32")
            assert any(f"{a} is" in said and f"between it and {b} (" in said for a, b in (ends, ends[::-1]))
        else:
            winner = {"first": "SDPA-math", "leader": "SDPA"}[others]
            assert f", {winner.lower()} in float32 is" in said and "between it and" not in said
        assert "rounds as sdpa in float32" not in said and "rounds as eager in float32" not in said


def test_the_fastest_is_not_measured_twice_a_round_where_it_is_the_first() -> None:
    sweep = Sweep(BY_SIZE[1], CONFIGS, MACHINE)
    runs = ran(sweep, lambda run: (row(run.cell, (9.0 - 8.0 * (run.cell == BASES[1]),), first=run.number), 0.5))
    rounds = [[run.cell for run in runs if run.number == number] for number in range(ROUNDS, 2 * ROUNDS)]
    assert [set(order) for order in rounds] == [
        {BASES[1], *(c for c in BY_SIZE[1] if c.attention == "sdpa-math")}
    ] * ROUNDS
    assert all(len(order) == 3 for order in rounds)


def test_a_family_of_other_cells_has_first_ones_all_the_same() -> None:
    cells = grid("m", ("sdpa-math", "sdpa-flash"), ("bfloat16", "float16", "float32"))
    runs = ran(Sweep(cells, CONFIGS, MACHINE))
    assert {run.cell for run in runs if run.number < ROUNDS and run.cell in cells} == set(cells[:4])
    assert {run.cell for run in runs if run.number >= ROUNDS} == {cells[0], *cells[4:]}


def test_the_order_is_the_seeds() -> None:
    first, again, other = ([r.cell for r in ran(Sweep(CELLS, CONFIGS, MACHINE, seed=s))] for s in (1, 1, 2))
    assert first == again != other


def test_memory_is_recorded_once_and_rounds_are_kept_apart() -> None:
    cells = grid("m", ("eager", "sdpa"))
    sweep = Sweep(cells, CONFIGS, MACHINE)
    assert [run.record for run in ran(sweep)] == [True] * 2 + [False] * 10
    for found in sweep.rows.values():
        assert found.latency and [r.number for r in found.latency.rounds] == [*range(ROUNDS)]
    assert sweep.finished and sweep.progress == 1.0 and sweep.seconds_left == 0.0
    assert sweep.spent_seconds == 6.0 and sweep.rounds_done == 12


def test_the_reference_runs_first_where_it_is_not_among_the_cells() -> None:
    cells = [Cell("m", "sdpa"), Cell("m", "sdpa", num_frames=4), Cell("m", "sdpa", mode="training")]
    sweep = Sweep(cells, CONFIGS, MACHINE)
    runs = ran(sweep)
    extra = [Cell("m", "eager"), Cell("m", "eager", num_frames=4)]
    answers = [run for run in runs if run.cell in extra]
    assert [run.cell for run in answers] == extra and not any(run.record for run in answers)
    for answer in answers:
        assert runs[runs.index(answer) + 1].cell == replace(answer.cell, attention="sdpa")
        assert answer.rule.seconds == 0 and answer.rule.too_slow(0.001), "one call is enough for an answer"
    assert list(sweep.references) == extra and set(sweep.rows) == set(cells)
    own = Sweep(CELLS, CONFIGS, MACHINE)
    assert {run.cell for run in ran(own)} == set(CELLS) and list(own.references) == [Cell("m", "eager")]


def test_repeated_cells_count_once() -> None:
    assert len(Sweep([*CELLS, *CELLS], CONFIGS, MACHINE).cells) == 12


# What is told on the way


def test_cancelling_keeps_what_is_done() -> None:
    done: list[Cell] = []

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


def test_what_is_to_be_begun_is_known_before_and_stays_known() -> None:
    sweep = Sweep(CELLS, CONFIGS, MACHINE, budget_seconds=40.0)
    begins = sweep.begins
    assert set(begins[:8]) == {c for c in CELLS if c.attention != "sdpa-math"} and len(begins) < len(CELLS)
    execute = machine_of(sweep)
    while run := sweep.next():
        assert set(sweep.begins) >= set(begins), "while one runs"
        sweep.record(*execute(run))
        assert set(sweep.begins) >= set(begins)
    assert set(sweep.begins) == {cell for cell, found in sweep.rows.items() if found.sound}


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
    told = []
    while run := sweep.next():
        sweep.record(quick(run)[0], 20.0)
        told.append((sweep.progress, sweep.seconds_left))
    assert [p for p, _ in told] == sorted(p for p, _ in told) and all(seconds >= 0 for _, seconds in told)
    assert sweep.finished and sweep.progress == 1.0 and sweep.seconds_left == 0
    assert sweep.spent_seconds == 60.0, "one after 1.5 times the budget would be too many"


def test_what_a_first_call_takes_is_as_it_was_here_or_guessed() -> None:
    compiled = Cell("m", "sdpa", execution="compiled")

    def told(**options: Any) -> float:
        return Sweep([compiled], CONFIGS, MACHINE, budget_seconds=None, **options).seconds_left

    guessed, known = told(), told(first_calls={compiled: 3.0})
    assert guessed - known == pytest.approx(ROUNDS * (FIRST_SECONDS["compiled"] - 3.0))


def test_precisions_of_one_backend_are_compared_with_its_float32() -> None:
    cells = PRESETS["memory of the weights: float32, half, 8 bit"].cells("big")
    sweep = Sweep(cells, CONFIGS, at(1e14), budget_seconds=600.0)
    run_all(sweep, machine_of(sweep))
    plain = sweep.rows[Cell("big", "sdpa", "float32")]
    for cell in cells[2:]:
        ratio = find_ratio_of(sweep.rows[cell], plain)
        assert ratio is not None, cell.name
