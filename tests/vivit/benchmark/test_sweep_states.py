"""What holds of a sweep whatever happens to it: rounds fast and slow, cells that fail, others between, a cancel."""

from dataclasses import replace

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.vivit.benchmark.children import MACHINE
from tests.vivit.benchmark.made_up import CONFIGS, at, machine_of
from vivit.benchmark.budget import PATIENCE
from vivit.benchmark.measurement import Cell, Measurement, Round
from vivit.benchmark.presets import grid
from vivit.benchmark.sweep import PlannedRound, Sweep

# A call of the big model takes about a second there, and the memory is the machine's own, not what is free here and now.
GPU = replace(at(1e12), device="cuda")
CELLS = grid("big", ("sdpa-math", "eager", "sdpa", "sdpa-flash"), ("float32", "float16-weights"), (1, 2))
SMALL = 2 * 10**9  # bytes: some of the cells do not fit


class AnySweep(RuleBasedStateMachine):
    """A sweep, and beside it what was planned and recorded."""

    @initialize(
        cells=st.lists(st.sampled_from(CELLS), min_size=2, max_size=10),
        budget=st.sampled_from([None, 4.0, 15.0, 60.0, 300.0]),
        rounds=st.integers(1, 3),
        memory=st.sampled_from([SMALL, MACHINE.memory_bytes]),
        steady=st.booleans(),
    )
    def asked_for(self, cells: list[Cell], budget: float | None, rounds: int, memory: int, steady: bool) -> None:
        machine = replace(GPU, memory_bytes=memory)
        cells.sort(
            key=lambda cell: cell.batch_size
        )  # batch size 1 first, the reference's: no cell runs for its answer alone and then again
        self.sweep = Sweep(cells, CONFIGS, machine, budget_seconds=budget, rounds=rounds)
        self.budget = float("inf") if budget is None else budget
        self.short = bool(self.sweep._forced())  # not even the first cell fits: it gets as many rounds as do
        self.planned: PlannedRound | None = None
        self.begun: set[int] = set()  # blocks, the first of which is 0
        self.order: dict[int, list[Cell]] = {}  # number of a round → the cells of it, as they were planned
        self.kept: dict[Cell, list[Round]] = {}  # what was measured
        self.failed: set[Cell] = set()  # at the first try
        self.seconds: list[float] = []
        self.at_its_end = False
        self.told_progress = 0.0
        self.steady = steady  # whether every round takes what the cost model says, and none fails

    @precondition(lambda self: self.planned is None and not self.at_its_end)
    @rule()
    def next(self) -> None:
        """A round is begun, and whatever follows comes while it runs."""
        spent, known = self.sweep.spent_seconds, set(self.sweep.rows)
        self.planned = self.sweep.next()
        if self.planned is None:
            self.at_its_end = True
            self.check_end()
            return
        self.check_progress()
        cell, number = self.planned.cell, self.planned.number
        assert self.sweep.current == cell
        assert spent < self.budget * (1.0 if self.short else PATIENCE) or not spent
        if number // self.sweep.rounds not in self.begun:
            assert spent <= self.budget, "no block is begun beyond the budget"
            self.begun.add(number // self.sweep.rounds)
        if cell in self.sweep.cells:
            assert self.planned.record == (cell not in known) and cell not in self.failed
            self.check_order(cell, number)
        else:
            assert cell == cell.reference and not self.planned.record, "for its answer alone"

    def check_order(self, cell: Cell, number: int) -> None:
        """Rounds come one after the other and hold each of their cells once; those before are whole."""
        assert not self.order or max(self.order) <= number
        assert cell not in self.order.get(number, ())
        self.order.setdefault(number, []).append(cell)
        before = [n for n in self.order if n < number]
        if before and before[-1] // self.sweep.rounds == number // self.sweep.rounds:
            assert before[-1] == number - 1
            assert cell in self.order[number - 1], "cells of a block are begun in its first round"
            if len(self.order[number]) == 1:
                self.check_whole(number - 1)
        elif before:
            self.check_block(before[-1])

    def check_whole(self, number: int) -> None:
        """A round of a block that goes on holds all that the one before held, but what has failed."""
        if number % self.sweep.rounds:
            before, now = self.order[number - 1], self.order[number]
            assert set(now) == {cell for cell in before if cell not in self.failed}

    def check_block(self, last: int) -> None:
        """A block is whole: it has had all of its rounds, or all of its cells have failed. Args: last: its last round begun."""
        self.check_whole(last)
        assert (last + 1) % self.sweep.rounds == 0 or set(self.order[last]) <= self.failed

    def check_progress(self) -> None:
        """Where all goes as the cost model says, what has been told is never taken back."""
        assert 0 <= self.sweep.progress <= 1
        assert self.sweep.progress >= self.told_progress - 1e-9 or not self.steady
        self.told_progress = self.sweep.progress

    def check_end(self) -> None:
        out_of_time = self.sweep.spent_seconds >= self.budget * (1.0 if self.short else PATIENCE)
        if self.order and not self.sweep.cancelled and not out_of_time:
            self.check_block(max(self.order))
        assert self.sweep.finished and self.sweep.progress == 1.0 and self.sweep.seconds_left == 0.0
        assert set(self.sweep.rows) == set(self.sweep.cells), "every cell has its row"

    @precondition(lambda self: not self.at_its_end)
    @rule(pace=st.sampled_from([0.3, 0.9, 1.0, 1.1, 3.0, 10.0]), times=st.sampled_from([40, 12, 3, 1]))
    def measured(self, pace: float, times: int) -> None:
        """Some rounds, which take what the cost model says, or much more or less."""
        for _ in range(times):
            if self.planned is None and not self.at_its_end:
                self.next()
            if self.planned:
                self.record(*machine_of(self.sweep, 1.0 if self.steady else pace)(self.planned))

    @precondition(lambda self: self.planned is not None and not self.steady)
    @rule(status=st.sampled_from(["failed", "out-of-memory"]), seconds=st.floats(0.0, 30.0))
    def fails(self, status: str, seconds: float) -> None:
        assert self.planned
        self.record(Measurement(self.planned.cell, status, "It was told why."), seconds)

    def record(self, measurement: Measurement, seconds: float) -> None:
        cell = measurement.cell
        self.sweep.record(measurement, seconds)
        self.seconds.append(seconds)
        self.planned = None
        self.check_progress()
        if measurement.latency:
            self.kept.setdefault(cell, []).extend(measurement.latency.rounds)
        elif cell not in self.kept:
            self.failed.add(cell)

    @rule()
    def others_go_between(self) -> None:
        """What others take is not the sweep's, however long; and who looks at it changes nothing."""
        sweep, told = self.sweep, (self.sweep.progress, self.sweep.seconds_left, self.sweep.begins)
        assert (sweep.progress, sweep.seconds_left, sweep.begins) == told
        assert sweep.whole_seconds >= 0 <= sweep.sound_seconds and isinstance(sweep.refused, str)
        assert sweep.current == (self.planned.cell if self.planned else None)

    @precondition(lambda self: not self.at_its_end)
    @rule(chance=st.integers(0, 4))
    def cancelled(self, chance: int) -> None:
        if chance < 4:  # now and then: else few sweeps would come to their end
            return
        before = dict(self.sweep.rows)
        self.sweep.cancel("No more.")
        self.planned, self.at_its_end = None, True
        assert {cell: self.sweep.rows[cell] for cell in before} == before, "what was there is kept"
        assert {row.reason for cell, row in self.sweep.rows.items() if cell not in before} <= {"No more."}
        assert self.sweep.next() is None
        self.check_end()

    @invariant()
    def what_was_measured_is_kept(self) -> None:
        for cell, row in self.sweep.rows.items():
            assert list(row.latency.rounds if row.latency else ()) == self.kept.get(cell, [])
            assert (row.status == "ok") == (cell in self.kept) and row.estimate
        assert self.sweep.spent_seconds == sum(self.seconds) and self.sweep.rounds_done == len(self.seconds)

    @invariant()
    def what_is_told_is_possible(self) -> None:
        self.check_progress()
        assert self.sweep.seconds_left >= 0
        assert self.sweep.progress == 1.0 or not self.sweep.finished
        assert set(self.kept) & set(self.sweep.cells) <= set(self.sweep.begins) <= set(self.sweep.cells)


TestAnySweep = AnySweep.TestCase
TestAnySweep.settings = settings(
    max_examples=30,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # to look for a shorter story takes minutes
)
