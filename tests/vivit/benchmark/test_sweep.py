"""Which cells run, in which order and for how long, with a machine whose times are made up."""

import math
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests import oracle
from tests.vivit.benchmark.children import MACHINE, row
from vivit.benchmark import sweep as module
from vivit.benchmark.families import family
from vivit.benchmark.measure import repeat
from vivit.benchmark.measurement import Cell, Latency, Measurement, Memory, Round
from vivit.benchmark.pace import LEAST_CALLS, LEAST_SECONDS, START_SECONDS
from vivit.benchmark.presets import PRESETS, grid
from vivit.benchmark.results import find_ratio_of, snapshot
from vivit.benchmark.sweep import PATIENCE, ROUNDS, PlannedRound, Sweep, run_all, runs_here, sound_sweep
from vivit.benchmark.verdict import statement
from vivit.config import VivitConfig
from vivit.machine import Machine
from vivit.names import BACKENDS, PRECISIONS

TINY = VivitConfig(**oracle.TINY)
CONFIGS = {"m": TINY, "big": VivitConfig(num_labels=400)}
# On this machine the precision that pays is float16-weights, so that eight of these twelve are the first of their families.
CELLS = grid("m", ("sdpa-math", "eager", "sdpa"), ("float32", "float16-weights"), (1, 2))
BY_SIZE = {size: [cell for cell in CELLS if cell.batch_size == size] for size in (1, 2)}
BASES = {size: Cell("m", "eager", batch_size=size) for size in (1, 2)}

Execute = Callable[[PlannedRound], tuple[Measurement, float]]


def quick(planned: PlannedRound) -> tuple[Measurement, float]:
    return row(planned.cell, (1.0,) * 5, logits=(1.0, 2.0), first=planned.number), 0.5


def ran(sweep: Sweep, execute: Execute = quick) -> list[PlannedRound]:
    """Every run of a sweep that is run to its end."""
    runs: list[PlannedRound] = []
    run_all(sweep, lambda run: (runs.append(run), execute(run))[1])
    return runs


def at(speed: float) -> Machine:
    """The machine with so many FLOP/s; a pass of the big model takes some 1e12 of them."""
    support = tuple(replace(s, flops_per_second=speed * bool(s.flops_per_second)) for s in MACHINE.support)
    rates = dict.fromkeys(MACHINE.flops_per_second, speed)
    return replace(MACHINE, support=support, flops_per_second=rates, bytes_per_second=speed / 10)


def machine_of(sweep: Sweep, factor: float = 1.0, start: float = START_SECONDS["cpu"], spread: float = 0.0) -> Execute:
    """A machine that takes what the cost model says.

    Args:
        sweep: whose model it is.
        factor: by which a call takes longer.
        start: seconds of a process until its first call.
        spread: standard deviation of a call's time, as a share of it.
    """
    chance = random.Random(0)

    def execute(planned: PlannedRound) -> tuple[Measurement, float]:
        took = []

        def call() -> float:
            ms = factor * (sweep.estimates[planned.cell].latency_ms or 0.0) * (1 + spread * chance.gauss(0, 1))
            took.append(ms)
            return ms

        if planned.record_first:
            timed = Round(call(), tuple(took), warm=False)
        else:
            timed = repeat(call, planned.rule)
            if planned.record:
                call()
        seconds = start + sum(took) / 1e3
        if planned.limit_seconds is not None and seconds > planned.limit_seconds:
            return Measurement(planned.cell, "cancelled", "Stopped after it."), planned.limit_seconds
        memory = Memory(100, 300, None, None, 1000) if planned.record else None
        latency = Latency((replace(timed, number=planned.number),))
        return Measurement(planned.cell, "ok", latency=latency, memory=memory, logits=(1.0, 2.0)), seconds

    return execute


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
    """So that the best of all has a ratio with it, whichever is the best."""
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
    left_out = {"sdpa-efficient", "sdpa-cudnn"}
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


# What a budget does

SPEEDS = {"0.1 s": 1e13, "1 s": 1e12, "9 s": 1e11}  # what a call of the big model takes, about, and FLOP/s for that
BUDGETS = (20.0, 45.0, 120.0, 600.0)


def preset_at(name: str, speed: str, budget: float | None) -> Sweep:
    preset = PRESETS[name]
    return Sweep(preset.cells("big"), CONFIGS, at(SPEEDS[speed]), budget_seconds=budget, rule=preset.rule)


@pytest.fixture
def roomy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that no cell is too large for."""
    monkeypatch.setattr(module, "_free_bytes", lambda machine: 1e15)


def least_calls(sweep: Sweep, cell: Cell) -> int:
    """Of each of its processes, but for the one that records: the first, the warm-up, as few timed ones as there may be."""
    once, rule = (sweep.estimates[cell].latency_ms or 0.0) / 1e3, sweep.rule
    fixed = rule.min_samples == rule.max_samples
    most = math.ceil(rule.seconds / once)
    least = most if fixed else max(math.ceil(LEAST_SECONDS / once), min(LEAST_CALLS, most))
    timed = min(rule.max_samples, least)
    return 1 + math.ceil(rule.warm_up_seconds / once) + timed


def least_seconds(sweep: Sweep, cell: Cell, record: bool = True) -> float:
    """Of all its processes. Args: record: whether one of them has one call more."""
    once = (sweep.estimates[cell].latency_ms or 0.0) / 1e3
    return ROUNDS * (START_SECONDS["cpu"] + once * least_calls(sweep, cell)) + once * record


def nothing_fits(sweep: Sweep) -> bool:
    runs = [cell for cell in sweep.cells if cell not in sweep.rows]
    return all(least_seconds(sweep, cell) > (sweep.budget_seconds or math.inf) for cell in runs)


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.usefixtures("roomy")
def test_what_fits_is_begun_and_sound_and_takes_what_was_told_before(name: str, speed: str, budget: float) -> None:
    sweep = preset_at(name, speed, budget)
    execute = machine_of(sweep)
    told, begins = sweep.seconds_left, sweep.begins
    if nothing_fits(sweep):
        assert begins == [sweep.cells[0]] and told == budget, "not even the first cell fits: see the next test"
        return
    blocks: dict[int, set[Cell]] = {}  # what is measured in six rounds → …
    left: dict[int, float] = {}  # … what there was for them
    while run := sweep.next():
        left.setdefault(run.number // ROUNDS, budget - sweep.spent_seconds)
        blocks.setdefault(run.number // ROUNDS, set()).add(run.cell)
        assert set(begins) <= set(sweep.begins), "what was told to be begun is not taken back"
        sweep.record(*execute(run))
    begun: set[Cell] = set()
    for number, cells in blocks.items():
        assert sum(least_seconds(sweep, cell, cell not in begun) for cell in cells) <= 1.001 * left[number]
        begun |= cells
    for cell, found in sweep.rows.items():
        if cell in begun:
            assert found.sound and found.latency and len(found.latency.rounds) % ROUNDS == 0
        else:
            assert found.status == "unavailable" or found.reason.startswith("Not begun: 6 processes of it did not fit")
    assert set(sweep.rows) == set(sweep.cells) and sweep.spent_seconds <= 1.01 * budget
    assert set(begins) <= begun and len(begun) <= len(begins) + 1, "on a machine that takes what the cost model says"
    assert told == pytest.approx(sweep.spent_seconds, rel=0.2)
    assert sweep.sound_seconds <= 1.001 * told or len(begun) == 1


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.usefixtures("roomy")
def test_where_nothing_fits_the_first_cell_is_measured_as_well_as_can_be(name: str, speed: str, budget: float) -> None:
    sweep = preset_at(name, speed, budget)
    execute, cell = machine_of(sweep), sweep.cells[0]
    if not nothing_fits(sweep):
        return
    once = (sweep.estimates[cell].latency_ms or 0.0) / 1e3
    assert sweep.begins == [cell] and sweep.seconds_left == budget
    while run := sweep.next():
        assert sweep.begins == [cell] and run.cell == cell
        assert sweep.spent_seconds + sweep.seconds_left == pytest.approx(budget)
        assert sweep.progress == pytest.approx(sweep.spent_seconds / budget)
        sweep.record(*execute(run))
    assert sweep.finished and sweep.spent_seconds == pytest.approx(budget), "what is told before is what it takes"
    found = sweep.rows[cell].latency
    assert (found is not None) == (START_SECONDS["cpu"] + once <= budget), "one call is better than none"
    first = START_SECONDS["cpu"] + once * (least_calls(sweep, cell) + 1)
    assert found is None or found.warm == (first <= budget), "a warm round wherever one fits"
    if found and found.warm:
        each = START_SECONDS["cpu"] + once * least_calls(sweep, cell)
        assert sum(r.warm for r in found.rounds) == 1 + int((budget - first) / each)
    assert {r.reason[:12] for c, r in sweep.rows.items() if c != cell} <= {"Not begun: 6", "CUDA only"}


@pytest.mark.usefixtures("roomy")
def test_of_calls_of_nine_seconds_a_usual_budget_has_warm_rounds() -> None:
    cells = grid("big", ("eager", "sdpa"))
    sweep = Sweep(cells, CONFIGS, at(1e11), budget_seconds=120.0)
    runs = ran(sweep, machine_of(sweep))
    found = sweep.rows[cells[0]]
    assert 9.0 < found.latency.median / 1e3 < 13.0 if found.latency else False
    assert found.sound and found.memory, "two warm processes, one of which recorded in a call of its own"
    assert not any(run.record_first for run in runs) and runs[0].record and not runs[0].rule.too_slow(1e6)


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("budget", BUDGETS[:3])
@pytest.mark.usefixtures("roomy")
def test_noise_of_two_per_cent_changes_by_one_cell_what_is_begun_and_not_how_long_it_takes(
    name: str, speed: str, budget: float
) -> None:
    sweep = preset_at(name, speed, budget)
    begins, first = sweep.begins, sweep.cells[0]
    ran(sweep, machine_of(sweep, spread=0.02))
    assert sweep.spent_seconds <= 1.05 * budget
    measured = {cell for cell, found in sweep.rows.items() if found.latency}
    once = (sweep.estimates[first].latency_ms or 0.0) / 1e3
    assert len(measured ^ set(begins)) <= 1 or START_SECONDS["cpu"] + once > budget


def test_a_family_that_is_too_large_for_the_machine_does_not_take_the_turn_of_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So that there is something, even if it does not fit into the budget."""
    monkeypatch.setattr(module, "_free_bytes", lambda machine: 4 * 2**30)
    cells = [*grid("big", ("eager",), batch_sizes=(8,)), *grid("big", ("eager", "sdpa"))]
    sweep = Sweep(cells, CONFIGS, at(1e12), budget_seconds=10.0)
    runs = ran(sweep, machine_of(sweep))
    assert sweep.rows[cells[0]].status == "out-of-memory" and {run.cell for run in runs} == {cells[1]}
    assert sweep.rows[cells[1]].latency and sweep.spent_seconds == pytest.approx(10.0, abs=1.0)


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.usefixtures("roomy")
def test_full_takes_what_is_told_before_or_what_calls_that_never_agree_make_of_it(name: str, speed: str) -> None:
    took = {}
    for spread in (0.0, 0.05):
        sweep = preset_at(name, speed, None)
        told = sweep.seconds_left
        runs = ran(sweep, machine_of(sweep, spread=spread))
        assert {run.cell for run in runs} == {c for c, found in sweep.rows.items() if found.sound} == set(sweep.begins)
        took[spread] = sweep.spent_seconds
    if PRESETS[name].rule:  # a number of calls
        assert told == pytest.approx(took[0.0], rel=0.3)
    else:
        assert took[0.0] / 1.3 <= told <= 1.3 * max(took.values())


@pytest.mark.parametrize("factor", [3, 10, 30])
@pytest.mark.parametrize("speed", ["0.1 s", "1 s"])
@pytest.mark.usefixtures("roomy")
def test_a_sweep_of_a_machine_that_is_slower_than_its_model_ends_by_its_patience(factor: float, speed: str) -> None:
    for name in PRESETS:
        for budget in BUDGETS[:3]:
            sweep = preset_at(name, speed, budget)
            execute = machine_of(sweep, factor)
            while run := sweep.next():
                assert sweep.spent_seconds < PATIENCE * budget and run.limit_seconds
                sweep.record(*execute(run))
                assert sweep.spent_seconds <= PATIENCE * budget + run.limit_seconds
            assert set(sweep.rows) == set(sweep.cells) and sweep.finished, "those, too, whose turn never came"
            warm = [found.latency.warm for found in sweep.rows.values() if found.latency]
            assert all(warm) or preset_at(name, speed, budget)._forced()


@pytest.mark.parametrize(("factor", "sound"), [(3, 2), (10, 1), (30, 0)])
@pytest.mark.parametrize("name", ["this clip, all backends", "batch-size scaling", "documentation's inference table"])
@pytest.mark.usefixtures("roomy")
def test_a_cost_model_that_is_far_off_has_no_first_process_ended(factor: float, sound: int, name: str) -> None:
    """Calls that were to take 1 s and take 10 or 30 have figures all the same."""
    sweep = preset_at(name, "1 s", 120.0)
    execute = machine_of(sweep, factor)
    seen = set()
    while run := sweep.next():
        if run.record:
            assert run.limit_seconds and run.limit_seconds >= PATIENCE * 120.0 - sweep.spent_seconds
            seen.add(run.cell)
        sweep.record(*execute(run))
    rows = list(sweep.rows.values())
    assert sum(found.sound for found in rows) >= sound and sum(found.latency is not None for found in rows) >= 1
    assert factor > 10 or not [found.reason for found in rows if "Stopped after" in found.reason]
    assert all(found.latency for cell, found in sweep.rows.items() if cell in seen) or factor > 10


def test_what_has_been_begun_is_ended_beyond_the_budget_and_nothing_is_begun_there() -> None:
    sweep = Sweep(CELLS, CONFIGS, MACHINE, budget_seconds=40.0)
    runs = ran(sweep, lambda planned: (quick(planned)[0], 2.0))
    assert len(runs) == 4 * ROUNDS and sweep.spent_seconds == 48.0
    others = [found for cell, found in sweep.rows.items() if cell not in {run.cell for run in runs}]
    assert len(others) == 8 and {found.status for found in others} == {"cancelled"}
    assert {found.reason for found in others} == {
        "Not begun: 6 processes of it did not fit into what was left of the budget of 40 s. Give it more, or 'full'."
    }


def test_where_the_first_cell_does_not_fit_it_gets_as_many_rounds_as_do() -> None:
    sweep = Sweep(grid("big", ("eager", "sdpa")), CONFIGS, at(1e12), budget_seconds=10.0)
    assert sweep.sound_seconds > 10
    runs = ran(sweep, machine_of(sweep))
    assert {run.cell for run in runs} == {Cell("big", "eager")} and 1 <= len(runs) <= ROUNDS
    assert sweep.spent_seconds - 3.0 < 10.0 and sweep.rows[Cell("big", "sdpa")].reason.startswith("Not begun: 6")
    assert all(run.limit_seconds and run.limit_seconds <= 10.0 for run in runs)


def test_what_is_too_slow_for_a_second_call_is_recorded_in_its_first() -> None:
    cells = grid("big", ("eager", "sdpa"))  # about 12 s a call
    for budget, calls in ((20.0, 1), (45.0, 3)):  # a warm process, four calls, fits in neither
        slow = Sweep(cells, CONFIGS, MACHINE, budget_seconds=budget)
        runs = ran(slow, machine_of(slow))
        assert [(run.record, run.record_first) for run in runs][:2] == [(True, True), (False, False)]
        found = slow.rows[cells[0]]
        assert found.latency and len(found.latency.rounds) == calls and found.memory
        assert found.caveats.keys() == {"cold"} and slow.rows[cells[1]].status == "cancelled"
    for budget in (60.0, 120.0, 600.0):
        sound = Sweep(cells, CONFIGS, MACHINE, budget_seconds=budget)
        assert not any(run.record_first for run in ran(sound, machine_of(sound))), "warm where that can be"
        assert sound.rows[cells[0]].latency and "cold" not in sound.rows[cells[0]].caveats


@pytest.mark.usefixtures("roomy")
def test_a_compiled_cell_is_never_recorded_in_its_first_call() -> None:
    sweep = Sweep(grid("big", ("eager",), compiled=(True,)), CONFIGS, MACHINE, budget_seconds=20.0)
    assert not any(run.record_first for run in ran(sweep, machine_of(sweep)))


@pytest.mark.usefixtures("roomy")
def test_a_budget_shortens_the_timed_calls() -> None:
    cells = grid("big", ("eager", "sdpa"))

    def calls(budget: float) -> int:
        """Of 0.1 s, in the first process."""
        sweep = Sweep(cells, CONFIGS, at(1e13), budget_seconds=budget)
        run = sweep.next()
        assert run and run.rule.spread == module.DEFAULT_RULE.spread
        once = (sweep.estimates[run.cell].latency_ms or 0.0) / 1e3
        steady = repeat(lambda: 1e3 * once, run.rule).samples_ms
        for factor in (0.95, 1.05):  # the rule ends between calls, so that calls a little quicker are as many
            quicker = 1e3 * once * factor
            assert len(repeat(lambda ms=quicker: ms, run.rule).samples_ms) == len(steady)
        return len(steady)

    least = Sweep(cells, CONFIGS, at(1e13)).sound_seconds
    found = [calls(least * more) for more in (1.01, 1.2, 1.4, 10.0)]
    assert found == sorted(found) and found[0] == 3 < found[-1], "three calls and 0.5 s, in whole calls"
    assert found[-1] in (5, 6)


@pytest.mark.usefixtures("roomy")
def test_first_cells_have_all_their_calls_before_others_are_begun() -> None:
    """Of one call a process, whose time is a little longer now and then, every figure would seem noisy."""
    sweep = Sweep(PRESETS["this clip, all backends"].cells("big"), CONFIGS, at(1e13), budget_seconds=90.0)
    execute, calls = machine_of(sweep), {}
    while run := sweep.next():
        answer, seconds = execute(run)
        if answer.latency and run.cell in sweep.cells:
            calls.setdefault(run.number // ROUNDS, []).append((run.cell, len(answer.latency.rounds[0].samples_ms)))
        sweep.record(answer, seconds)
    first, *further = calls.values()
    assert len({cell for cell, _ in first}) == 4 and further, "and others are begun"
    for cell, count in first:
        assert count >= 0.5 / ((sweep.estimates[cell].latency_ms or 0.0) / 1e3) - 1
    assert all(count >= LEAST_CALLS for calls in further for _, count in calls)


@pytest.mark.usefixtures("roomy")
def test_what_the_machine_has_shown_corrects_what_the_cost_model_says() -> None:
    """Rates that were found beside other work are wrong for as long as the server lives."""
    cells = [*grid("big", ("eager", "sdpa")), *grid("big", ("eager", "sdpa"), batch_sizes=(2,))]
    slow = at(0.5e12)  # half of what the machine does
    truth = Sweep(cells, CONFIGS, at(1e12), budget_seconds=600.0)
    execute = machine_of(truth)
    sweep = Sweep(cells, CONFIGS, slow, budget_seconds=600.0)
    while run := sweep.next():
        if run.cell.batch_size == 2 and run.cell not in sweep.rows:
            told = sweep._pace.latency(run.cell)
            assert 1e3 * told == pytest.approx(truth.estimates[run.cell].latency_ms, rel=0.01)
        sweep.record(*execute(run))
    known = {cell: found.latency.median for cell, found in sweep.rows.items() if found.latency}
    again = Sweep(cells, CONFIGS, slow, budget_seconds=600.0, known=known)
    assert again.seconds_left == pytest.approx(truth.seconds_left, rel=0.02)
    half = Sweep(cells, CONFIGS, slow, budget_seconds=600.0, known={cells[0]: known[cells[0]]})
    assert half.seconds_left == pytest.approx(truth.seconds_left, rel=0.02), (
        "and what is known of one tells of the others"
    )
    assert again.estimates == sweep.estimates, "what the charts draw is the cost model's own"


@pytest.mark.usefixtures("roomy")
def test_a_sound_sweep_takes_more_than_its_budget_where_two_cells_do() -> None:
    cells = grid("big", ("eager", "sdpa"), batch_sizes=(1, 2))
    for budget in (5.0, 60.0):
        sweep = sound_sweep(cells, CONFIGS, at(1e12), budget_seconds=budget)
        told = sweep.seconds_left
        assert (sweep.budget_seconds or 0.0) >= sweep.sound_seconds > 20 and len(sweep.begins) >= 2
        ran(sweep, machine_of(sweep))
        assert sum(row.sound for row in sweep.rows.values()) >= 2 and sweep.spent_seconds == pytest.approx(
            told, rel=0.2
        )
    assert sound_sweep(cells, CONFIGS, at(1e12), budget_seconds=600.0).budget_seconds == 600.0
    assert sound_sweep(cells, CONFIGS, at(1e12), budget_seconds=None).budget_seconds is None
    assert len(sound_sweep(cells[:1], CONFIGS, at(1e13), budget_seconds=60.0).begins) == 1
    far = grid("big", ("sdpa",), batch_sizes=(1, 32))
    assert sound_sweep(far, CONFIGS, at(1e13), budget_seconds=60.0).budget_seconds == 60.0, "never less than asked for"


def test_what_does_not_fit_into_memory_is_not_told_to_be_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_free_bytes", lambda machine: 4 * 2**30)
    sweep = Sweep(grid("big", ("eager", "sdpa"), batch_sizes=(1, 8)), CONFIGS, at(1e13), budget_seconds=120.0)
    told, begins = sweep.seconds_left, sweep.begins
    ran(sweep, machine_of(sweep))
    measured = [cell for cell, row in sweep.rows.items() if row.latency]
    assert sorted(begins, key=str) == sorted(measured, key=str) and len(measured) == 3
    assert sweep.spent_seconds == pytest.approx(told, rel=0.1)


def test_where_nothing_fits_into_memory_nothing_is_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_free_bytes", lambda machine: 4 * 2**30)
    large = grid("big", ("eager",), batch_sizes=(32,))
    sweep = sound_sweep(large, CONFIGS, at(1e13), budget_seconds=120.0)
    assert sweep.begins == [] and sweep.seconds_left == 0 and sweep.budget_seconds == 120.0
    assert sweep.refused.startswith("Not run: it would need about 31.4 GiB")
    some = sound_sweep([*large, *grid("big", ("sdpa",))], CONFIGS, at(1e13), budget_seconds=120.0)
    assert some.begins == grid("big", ("sdpa",)) and not some.refused and some.budget_seconds == 120.0


@pytest.mark.usefixtures("roomy")
def test_what_is_told_is_what_it_takes_though_the_machine_is_faster() -> None:
    """A presenter has said how long; what else there would be time for says why it was not begun."""
    reasons = set()
    for factor in (0.2, 0.4, 0.6, 0.8):
        sweep = preset_at("this clip, all backends", "0.1 s", 45.0)
        told, begins = sweep.seconds_left, set(sweep.begins)
        ran(sweep, machine_of(sweep, factor=factor))
        assert sweep.spent_seconds <= module.KEPT_WORD * told
        assert begins <= {cell for cell, row in sweep.rows.items() if row.latency}
        reasons |= {row.reason.partition("of it ")[2][:10] for row in sweep.rows.values() if row.status == "cancelled"}
    assert reasons == {"would have", "did not fi"}, "told before, or the budget"


@pytest.mark.usefixtures("roomy")
def test_a_process_may_take_much_longer_than_expected_but_not_for_ever() -> None:
    sweep = Sweep(grid("big", ("eager", "sdpa")), CONFIGS, at(1e12), budget_seconds=600.0)
    execute, limits = machine_of(sweep), {True: [], False: []}
    while run := sweep.next():
        limits[run.record].append((run.limit_seconds or 0.0) + sweep.spent_seconds * run.record)
        sweep.record(*execute(run))
    assert limits[True] == [pytest.approx(PATIENCE * 600.0)] * 2, "of the first ones nothing is known yet"
    assert all(15 <= limit < 30 for limit in limits[False]) and len(limits[False]) == 10
    quickly = Sweep(CELLS, CONFIGS, MACHINE)
    limits = [run.limit_seconds for run in ran(quickly) if not run.record]
    assert limits and set(limits) == {15.0}


def test_full_has_no_limit_and_more_time() -> None:
    runs = ran(Sweep(CELLS, CONFIGS, MACHINE, budget_seconds=None), lambda run: (quick(run)[0], 1e5))
    assert len(runs) == 72
    assert {(run.limit_seconds, run.rule.seconds) for run in runs} == {(None, module.FULL_RULE.seconds)}
    assert not any(run.rule.too_slow(1e6) or run.record_first for run in runs), "no call is too slow for a second"


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


# What is told on the way


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


@pytest.mark.parametrize("preset", ["batch-size scaling", "documentation's inference table"])
@pytest.mark.usefixtures("roomy")
def test_what_a_process_takes_beside_its_calls_is_learned(preset: str) -> None:
    sweep = preset_at(preset, "0.1 s", None)
    execute = machine_of(sweep, factor=2.0, start=4.0)
    told, spent = [], []
    run_all(sweep, execute, lambda: (told.append(sweep.seconds_left), spent.append(sweep.spent_seconds)))
    half = len(told) // 2
    assert told[0] < 0.6 * spent[-1], "nobody could know before"
    assert told[half] == pytest.approx(spent[-1] - spent[half], rel=0.4)


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
    random.seed(0)
    for preset, documented in ((inference, 20), (training, 100)):
        assert preset.rule and preset.rule.max_samples * ROUNDS >= documented > (preset.rule.max_samples - 1) * ROUNDS
        noisy = [random.uniform(1, 9) for _ in range(preset.rule.max_samples - 1)]
        assert not preset.rule.satisfied(noisy) and preset.rule.satisfied([*noisy, 1.0])
        steady = [1.0] * (preset.rule.max_samples - 1)
        assert not preset.rule.satisfied(steady) and not preset.rule.too_slow(9e3)
