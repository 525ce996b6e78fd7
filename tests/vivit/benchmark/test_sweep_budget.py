"""What a budget does to a sweep: what is begun, for how long, and what is told before, with times that are made up."""

import math
from functools import partial
from itertools import product

import pytest

from tests.vivit.benchmark.children import MACHINE
from tests.vivit.benchmark.made_up import CELLS, CONFIGS, at, machine_of, quick, ran
from vivit.benchmark import refusals
from vivit.benchmark import sweep as module
from vivit.benchmark.budget import KEPT_WORD, PATIENCE
from vivit.benchmark.cost import compile_seconds
from vivit.benchmark.measure import repeat
from vivit.benchmark.measurement import Cell
from vivit.benchmark.pace import LEAST_CALLS, LEAST_SECONDS, START_SECONDS
from vivit.benchmark.presets import PRESETS, grid
from vivit.benchmark.sweep import ROUNDS, Sweep, run_all, sound_sweep

SPEEDS = {"0.1 s": 1e13, "1 s": 1e12, "9 s": 1e11}  # what a call of the big model takes, about, and FLOP/s for that
BUDGETS = (20.0, 45.0, 120.0, 600.0)


def preset_at(name: str, speed: str, budget: float | None) -> Sweep:
    preset = PRESETS[name]
    return Sweep(preset.cells("big"), CONFIGS, at(SPEEDS[speed]), budget_seconds=budget, rule=preset.rule)


@pytest.fixture
def roomy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that no cell is too large for."""
    monkeypatch.setattr(refusals, "free_bytes", lambda machine: 1e15)


def least_calls(sweep: Sweep, cell: Cell) -> int:
    """In each process of a cell, but for the one that records: the first, the warm-up, as few timed ones as there may be."""
    once, rule = (sweep.estimates[cell].latency_ms or 0.0) / 1e3, sweep.rule
    fixed = rule.min_samples == rule.max_samples
    most = math.ceil(rule.seconds / once)
    least = most if fixed else max(math.ceil(LEAST_SECONDS / once), min(LEAST_CALLS, most))
    timed = min(rule.max_samples, least)
    return 1 + math.ceil(rule.warm_up_seconds / once) + timed


def least_seconds(sweep: Sweep, cell: Cell, record: bool = True) -> float:
    """For all processes of a cell. Args: record: whether one of these makes one call more."""
    once = (sweep.estimates[cell].latency_ms or 0.0) / 1e3
    process = START_SECONDS["cpu"] + compile_seconds(cell.attention) + once * least_calls(sweep, cell)
    return ROUNDS * process + once * record


def fits(name: str, speed: str, budget: float) -> bool:
    """Whether any cell does, on a machine that none is too large for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(refusals, "free_bytes", lambda machine: 1e15)
        sweep = preset_at(name, speed, budget)
    runs = [cell for cell in sweep.cells if cell not in sweep.rows]
    return any(least_seconds(sweep, cell) <= budget for cell in runs)


CASES = [*product(PRESETS, SPEEDS, BUDGETS)]


@pytest.mark.parametrize(("name", "speed", "budget"), [case for case in CASES if fits(*case)])
@pytest.mark.usefixtures("roomy")
def test_what_fits_is_begun_and_sound_and_takes_what_was_told_before(name: str, speed: str, budget: float) -> None:
    sweep = preset_at(name, speed, budget)
    execute = machine_of(sweep)
    told, begins = sweep.seconds_left, sweep.begins
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


@pytest.mark.parametrize(("name", "speed", "budget"), [case for case in CASES if not fits(*case)])
@pytest.mark.usefixtures("roomy")
def test_where_nothing_fits_the_first_cell_is_measured_as_well_as_can_be(name: str, speed: str, budget: float) -> None:
    sweep = preset_at(name, speed, budget)
    execute, cell = machine_of(sweep), sweep.cells[0]
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
    """Calls that were to take 1 s and take 3, 10 or 30 have figures all the same."""
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
    sweep = Sweep(grid("big", ("eager",), executions=("compiled",)), CONFIGS, MACHINE, budget_seconds=20.0)
    assert not any(run.record_first for run in ran(sweep, machine_of(sweep)))


@pytest.mark.usefixtures("roomy")
def test_a_budget_shortens_the_timed_calls() -> None:
    cells = grid("big", ("eager", "sdpa"))

    def calls(budget: float) -> int:
        """How many timed calls, of 0.1 s each, the first process makes."""
        sweep = Sweep(cells, CONFIGS, at(1e13), budget_seconds=budget)
        run = sweep.next()
        assert run and run.rule.spread == module.DEFAULT_RULE.spread
        once = (sweep.estimates[run.cell].latency_ms or 0.0) / 1e3
        steady = repeat(lambda: 1e3 * once, run.rule).samples_ms
        for factor in (0.95, 1.05):  # the rule ends between calls, so that calls a little quicker are as many
            quicker = 1e3 * once * factor
            assert len(repeat(partial(float, quicker), run.rule).samples_ms) == len(steady)
        return len(steady)

    least = Sweep(cells, CONFIGS, at(1e13)).sound_seconds
    found = [calls(least * more) for more in (1.01, 1.2, 1.4, 10.0)]
    assert found == sorted(found) and found[0] == 3 < found[-1], "three calls and 0.5 s, in whole calls"
    assert found[-1] in (5, 6)


@pytest.mark.usefixtures("roomy")
def test_first_cells_have_all_their_calls_before_others_are_begun() -> None:
    """With one call a process, some a little longer than others, every figure would seem noisy."""
    sweep = Sweep(PRESETS["this clip, all backends"].cells("big"), CONFIGS, at(1e13), budget_seconds=90.0)
    execute = machine_of(sweep)
    calls: dict[int, list[tuple[Cell, int]]] = {}
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


@pytest.mark.usefixtures("roomy")
def test_what_is_told_is_what_it_takes_though_the_machine_is_faster() -> None:
    """A presenter has said how long; what else there would be time for says why it was not begun."""
    reasons = set()
    for factor in (0.2, 0.4, 0.6, 0.8):
        sweep = preset_at("this clip, all backends", "0.1 s", 45.0)
        told, begins = sweep.seconds_left, set(sweep.begins)
        ran(sweep, machine_of(sweep, factor=factor))
        assert sweep.spent_seconds <= KEPT_WORD * told
        assert begins <= {cell for cell, row in sweep.rows.items() if row.latency}
        reasons |= {row.reason.partition("of it ")[2][:10] for row in sweep.rows.values() if row.status == "cancelled"}
    assert reasons == {"would have", "did not fi"}, "told before, or the budget"


@pytest.mark.usefixtures("roomy")
def test_a_process_may_take_much_longer_than_expected_but_not_for_ever() -> None:
    sweep = Sweep(grid("big", ("eager", "sdpa")), CONFIGS, at(1e12), budget_seconds=600.0)
    execute = machine_of(sweep)
    limits: dict[bool, list[float]] = {True: [], False: []}
    while run := sweep.next():
        limits[run.record].append((run.limit_seconds or 0.0) + sweep.spent_seconds * run.record)
        sweep.record(*execute(run))
    assert limits[True] == [pytest.approx(PATIENCE * 600.0)] * 2, "of the first ones nothing is known yet"
    assert all(15 <= limit < 30 for limit in limits[False]) and len(limits[False]) == 10
    quickly = Sweep(CELLS, CONFIGS, MACHINE)
    assert {run.limit_seconds for run in ran(quickly) if not run.record} == {15.0}


def test_full_has_no_limit_and_more_time() -> None:
    runs = ran(Sweep(CELLS, CONFIGS, MACHINE, budget_seconds=None), lambda run: (quick(run)[0], 1e5))
    assert len(runs) == 72
    assert {(run.limit_seconds, run.rule.seconds) for run in runs} == {(None, module.FULL_RULE.seconds)}
    assert not any(run.rule.too_slow(1e6) or run.record_first for run in runs), "no call is too slow for a second"


@pytest.mark.parametrize("preset", ["batch-size scaling", "documentation's inference table"])
@pytest.mark.usefixtures("roomy")
def test_what_a_process_takes_beside_its_calls_is_learned(preset: str) -> None:
    sweep = preset_at(preset, "0.1 s", None)
    execute = machine_of(sweep, factor=2.0, start=4.0)
    seen: list[tuple[float, float]] = []
    run_all(sweep, execute, lambda: seen.append((sweep.seconds_left, sweep.spent_seconds)))
    told, spent = zip(*seen, strict=True)
    half = len(told) // 2
    assert told[0] < 0.6 * spent[-1], "nobody could know before"
    assert told[half] == pytest.approx(spent[-1] - spent[half], rel=0.4)
