"""Many cells: in which order, for how long each, and what became of them. Runs nothing itself. No torch is used.

while planned := sweep.next():
    sweep.record(measurement, seconds)  # by `vivit.benchmark.child.measure_in_child`, or by a job in a worker
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil

from vivit.benchmark.blocks import Block, Fitting, Phase, in_blocks
from vivit.benchmark.budget import LEAST_LIMIT_SECONDS, Budget
from vivit.benchmark.cost import estimate
from vivit.benchmark.measurement import Cell, Estimate, Measurement, StoppingRule
from vivit.benchmark.pace import Pace
from vivit.benchmark.ratios import SHORT
from vivit.benchmark.refusals import too_large, unavailable
from vivit.config import VivitConfig
from vivit.machine import Machine

# A process times its calls for so long whatever their spread: the processes' medians are what is compared.
DEFAULT_RULE = StoppingRule(spread=-1, seconds=0.5, warm_up_seconds=0.2)
FULL_RULE = StoppingRule(spread=-1, max_samples=200, seconds=2.0, warm_up_seconds=0.3)  # where there is no budget
BUDGET_SECONDS = 120.0
ROUNDS = min(SHORT)  # processes a cell: as many as an interval takes
NEVER = 1e9  # seconds


@dataclass(frozen=True)
class PlannedRound:
    """One round of one cell, which takes a process of its own.

    Args:
        cell: what it measures.
        rule: when its timed calls are enough.
        record: whether it also finds memory and kernel, in a call of their own …
        record_first: … or in the first, which is then the sample: for what is too slow to be called twice.
        limit_seconds: after which it is ended; None: never.
        number: which round of the sweep, from 0; the processes of one round run one after the other.
    """

    cell: Cell
    rule: StoppingRule = DEFAULT_RULE
    record: bool = True
    record_first: bool = False
    limit_seconds: float | None = None
    number: int = 0


class Sweep:
    """Cells in blocks, each block in rounds of one process a cell, in shuffled order: a machine that drifts hurts all alike.

    First come {eager, sdpa} × {float32, the second precision that pays}; no other cell is begun before all rounds of these
    are there, with all calls that their rule wants, and none whose rounds do not fit into the budget. `rows` holds one
    `Measurement` for every cell that has been tried; after `cancel` or the end, for every cell.

    Args:
        cells: what to measure; repeated ones count once.
        configs: checkpoint → its shape.
        machine: what its cells are measured on.
        budget_seconds: for everything, counted in seconds that rounds took; None: 'full'. What has been begun may take
            half as much again to end, and where not even the first cell fits, it gets as many rounds as do.
        rounds: processes a cell.
        rule: when the timed calls of one round are enough; a budget may make them fewer.
        known: cells → ms of a call, as this machine has measured them before: what they will take is not to be estimated.
        first_calls: cells → seconds that their first call took here beyond another, likewise.
        seed: of the order.
    """

    def __init__(
        self,
        cells: Sequence[Cell],
        configs: Mapping[str, VivitConfig],
        machine: Machine,
        *,
        budget_seconds: float | None = BUDGET_SECONDS,
        rounds: int = ROUNDS,
        rule: StoppingRule | None = None,
        known: Mapping[Cell, float] | None = None,
        first_calls: Mapping[Cell, float] | None = None,
        seed: int = 0,
    ) -> None:
        self.cells = tuple(dict.fromkeys(cells))
        self.machine = machine
        self.budget = Budget(budget_seconds)
        self.rounds = rounds
        self.rule = rule or (FULL_RULE if budget_seconds is None else DEFAULT_RULE)
        self.rows: dict[Cell, Measurement] = {}
        self.references: dict[Cell, tuple[float, ...]] = {}
        self.rounds_done = 0
        self.cancelled = False
        asked = dict.fromkeys(c.reference for c in self.cells if c.mode == "inference")
        self.estimates: dict[Cell, Estimate] = {
            c: estimate(c, configs[c.checkpoint], machine) for c in dict.fromkeys((*self.cells, *asked))
        }
        self._random = random.Random(seed)
        self._number = 0
        self._current: Cell | None = None
        self._in_further_block = False  # whether what runs is not of a first block
        self._pace = Pace(self.estimates, self.rows, machine, self.rule, rounds, known or {}, first_calls or {})
        self._todo: list[tuple[Cell, int]] = []
        for cell in self.cells:
            if row := unavailable(cell, machine):
                self._keep(row)
        here = [cell for cell in self.cells if cell not in self.rows]
        self._blocks = in_blocks(here, configs, machine, whole=budget_seconds is None)
        self._first = self._blocks[0] if self._blocks else Block(())
        self.budget.keep_word(self.begins, self.seconds_left)
        fitting = [cell for cell in self._first.cells if not self._refusal(cell)]
        self._sound_seconds = sum(map(self._pace.least, fitting[:2])) * rounds

    @property
    def budget_seconds(self) -> float | None:
        """What all of it may take; None: 'full'."""
        return self.budget.seconds

    @property
    def spent_seconds(self) -> float:
        """What the rounds took so far."""
        return self.budget.spent_seconds

    @property
    def begins(self) -> list[Cell]:
        """The cells that are to be begun, by what is known now, in the order of blocks, and those that have been."""
        planned = [cell for phase in self._phases() for cell in phase.queue] or self._forced()
        waiting = [c for c in planned if c in self.cells and c not in self.rows]
        return list(dict.fromkeys([*(c for c, row in [*self.rows.items()] if row.latency), *waiting]))

    @property
    def refused(self) -> str:
        """Why nothing of it can be measured now; '' where something can or has been."""
        if self.begins:
            return ""
        return next((refused.reason for cell in self.cells if (refused := self._refusal(cell))), "")

    @property
    def current(self) -> Cell | None:
        """What is being measured."""
        return self._current

    @property
    def sound_seconds(self) -> float:
        """What all rounds of the first two cells take, by the cost model: with less time nothing can be compared."""
        return self._sound_seconds

    @property
    def whole_seconds(self) -> float:
        """What all rounds of all cells take at least, by what is known now."""
        return self.rounds * sum(self._pace.least(c) for c in self.cells if self.estimates[c].latency_ms is not None)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do and nothing is being done."""
        return not self._blocks and not self._todo and self._current is None

    @property
    def progress(self) -> float:
        """How much is done, in [0, 1]."""
        done, left = self.spent_seconds, self.seconds_left
        return 1.0 if self.finished else done / ((done + left) or 1.0)

    @property
    def seconds_left(self) -> float:
        """How much longer it will take, by the cost model until a cell has been measured, by its latency after that."""
        if self.budget.exceeded or self._forced():
            queue = [*self._queue(), *self._forced() * self.rounds]
            return min(sum(map(self._pace.most, queue)), max(0.0, self.budget.left))
        return sum(self._pace.whole(cell, phase.share) for phase in self._phases() for cell in phase.queue)

    def next(self) -> PlannedRound | None:
        """What to measure now, and to `record` before the next; cells that would not fit become rows here. None at the end."""
        while True:
            if planned := self._next_queued():
                return planned
            self._drop_queued()
            if not self._blocks:
                return None
            self._begin(self._blocks[0])
            self._blocks.pop(0)  # not before its cells wait elsewhere: others read meanwhile

    def record(self, measurement: Measurement, seconds: float) -> None:
        """Take in what the planned round gave, and how long it took in all."""
        self.budget.spent_seconds += seconds
        self.rounds_done += 1
        self._current = None
        self._keep(measurement)
        self._pace.learn(measurement, seconds)

    def cancel(self, reason: str = "Cancelled before it ran.") -> None:
        """Give up what has not run; what has been measured is kept."""
        self.cancelled = True
        self._blocks, self._todo, self._current = [], [], None
        for cell in self.cells:
            if cell not in self.rows:
                self._keep(Measurement(cell, "cancelled", reason))

    def _keep(self, measurement: Measurement) -> None:
        cell = measurement.cell
        measurement = replace(measurement, estimate=self.estimates[cell])
        if measurement.logits and cell == cell.reference:
            self.references.setdefault(cell, measurement.logits)
        if cell in self.cells:
            self.rows[cell] = self.rows[cell].joined(measurement) if cell in self.rows else measurement

    def _next_queued(self) -> PlannedRound | None:
        """The next of what has been begun; None where nothing waits, or there is no time for it."""
        while self._todo and not self.budget.ended:
            cell, number = self._todo.pop(0)
            if cell not in self.rows or self.rows[cell].status == "ok":
                self._current = cell
                return self._plan(cell, number)
        return None

    def _drop_queued(self) -> None:
        """Give up what has been begun and had no time; cells without a single round become rows."""
        for cell in (c for c, _ in self._todo if c in self.cells and c not in self.rows):
            spent = f"Not begun: the budget of {self.budget_seconds or 0.0:.0f} s was spent before its turn came."
            self._keep(Measurement(cell, "cancelled", f"{spent} Give it more, or 'full'."))
        self._todo.clear()

    def _begin(self, block: Block) -> None:
        """Queue the rounds of the cells that fit; the others become rows."""
        for cell in block.cells:
            if refused := self._refusal(cell):
                self._keep(refused)
        cells = list(self._fitting(block, self.budget.left).cells)
        waiting = [cell for cell in block.cells if cell not in self.rows]
        self.budget.exceeded = not cells and not self._number and bool(waiting)
        cells = waiting[:1] if self.budget.exceeded else cells
        self._leave_out([cell for cell in waiting if cell not in cells], block)
        self._in_further_block = bool(block.base)
        self._queue_rounds(cells)

    def _leave_out(self, cells: list[Cell], block: Block) -> None:
        """Make rows of the cells of a block that are not begun, which say whether the budget or what was told is why."""
        in_budget = self._fitting(block, self.budget.left + self.budget.kept_seconds).cells
        processes = f"Not begun: {self.rounds} processes of it"
        longer = f"{processes} would have taken longer than was told before. Measure it in a sweep of its own."
        no_room = (
            f"{processes} did not fit into what was left of the budget of {self.budget_seconds or 0.0:.0f} s. "
            "Give it more, or 'full'."
        )
        for cell in cells:
            self._keep(Measurement(cell, "cancelled", longer if cell in in_budget else no_room))

    def _queue_rounds(self, cells: list[Cell]) -> None:
        """Queue every round of some cells, in shuffled order, and before them the references whose answers are missing."""
        asked = dict.fromkeys(c.reference for c in cells if c.mode == "inference")
        self._todo = [(c, self._number) for c in asked if c not in (*cells, *self.references)]  # for its answer alone
        for number in range(self._number, self._number + self.rounds):
            self._todo += [(c, number) for c in self._random.sample(cells, len(cells))]
        self._number += self.rounds * bool(cells)

    def _fitting(self, block: Block, seconds: float) -> Fitting:
        """What of a block fits into so many seconds, with the least timed calls that will do."""
        base = self._measured_again(block)
        need = self.rounds * sum(map(self._pace.least, base))
        recorded = [self._pace.latency(cell) for cell in base if cell not in self.rows]
        need -= sum(recorded)  # by then these calls have been made, in an earlier block
        waiting = [cell for cell in block.cells if cell not in self.rows and not self._refusal(cell)]
        chosen: list[Cell] = []
        for cell in waiting:
            with_it = need + self.rounds * self._pace.least(cell)
            if self.budget.fits(cell, with_it, seconds):
                chosen.append(cell)
                need = with_it
        # A cell that nothing is measured beside is not begun, unless it is all that there can be.
        alone = len([*base, *chosen]) == 1 < len(waiting) and block is not self._first
        return Fitting((*base, *chosen), need) if chosen and not alone else Fitting()

    def _measured_again(self, block: Block) -> list[Cell]:
        """Whom the cells of a block are compared with, as `Block.base` says."""
        backends = {cell.attention for cell in block.cells}  # of one, only the precisions differ
        base: list[Cell] = []
        for checkpoint in dict.fromkeys(cell.checkpoint for cell in block.cells):
            ours = [c for c in block.base if c.checkpoint == checkpoint]
            known = [c for c in ours if c not in self.rows or self.rows[c].status == "ok"]
            plain = [c for c in known if {c.attention} == backends and c.precision == "float32"]
            base += dict.fromkeys([*known[:1], *plain[:1], *sorted(known, key=self._pace.latency)[:1]])
        return base

    def _queue(self) -> list[Cell]:
        """What is being measured and what has been begun, a process each."""
        current = self._current  # read once: another thread may be recording it
        return [*([current] if current else []), *(cell for cell, _ in [*self._todo])]

    def _phases(self) -> list[Phase]:
        """What is to come of the first blocks, and then of the others with the time that these leave."""
        left, phases = self.budget.left, []
        for further in (False, True):
            phase = self._phase(further, left)
            left -= sum(self._pace.whole(cell, phase.share) for cell in phase.queue)
            phases.append(phase)
        return phases

    def _phase(self, further: bool, seconds: float) -> Phase:
        """What is to come of the first blocks or of the further ones, if they have so many seconds."""
        queue = self._queue() if self._in_further_block == further else []
        need = sum(map(self._pace.least, queue))
        for block in [block for block in [*self._blocks] if bool(block.base) == further]:
            fitting = self._fitting(block, seconds - need)
            queue = queue + list(fitting.cells) * self.rounds
            need += fitting.seconds
        most = sum(map(self._pace.most, queue))
        share = min(1.0, max(0.0, (seconds - need) / (most - need))) if most > need else 1.0
        return Phase(queue, share)

    def _forced(self) -> list[Cell]:
        """The first cell, where nothing fits and nothing has been begun: so that there is something."""
        begun = self._number or any(phase.queue for phase in self._phases())
        waiting = [c for block in self._blocks[:1] for c in block.cells if c not in self.rows and not self._refusal(c)]
        return waiting[: 0 if begun else 1]

    def _refusal(self, cell: Cell) -> Measurement | None:
        return too_large(cell, self.estimates[cell], self.machine)

    def _plan(self, cell: Cell, number: int) -> PlannedRound:
        record = cell not in self.rows
        if cell not in self.cells:  # a reference: one call is enough
            limit = None if self.budget_seconds is None else max(LEAST_LIMIT_SECONDS, self.budget.left)
            return PlannedRound(cell, replace(self.rule, seconds=0.0), record=False, limit_seconds=limit, number=number)
        if self.budget_seconds is None:
            return PlannedRound(cell, replace(self.rule, slow_seconds=NEVER), record, number=number)
        once, timed = self._pace.latency(cell), self._pace.timed(cell, self._phases()[self._in_further_block].share)
        whole = self._pace.untimed(cell) + timed
        cold = self.budget.exceeded and self.budget.left < whole + once * record
        rule = self._rule_for(once, timed)
        return PlannedRound(
            cell,
            rule if cold else replace(rule, slow_seconds=NEVER),  # what has been begun ends warm
            record,
            record_first=cold and record and not cell.prepares,
            limit_seconds=self.budget.limit(whole, first=record),
            number=number,
        )

    def _rule_for(self, once: float, timed: float) -> StoppingRule:
        """The rule by which timed calls end that may take so many seconds in all. Args: once: of a call, in seconds."""
        if self.rule.min_samples == self.rule.max_samples:
            return self.rule
        return replace(self.rule, seconds=max(timed - once / 2, once / 2))  # before the call that would be one too many


def sound_sweep(
    cells: Sequence[Cell],
    configs: Mapping[str, VivitConfig],
    machine: Machine,
    *,
    budget_seconds: float | None,
    rule: StoppingRule | None = None,
    known: Mapping[Cell, float] | None = None,
    first_calls: Mapping[Cell, float] | None = None,
) -> Sweep:
    """A sweep that ends in a comparison: with a larger budget than was asked for, if all rounds of two cells take that.

    Args: as `Sweep`'s.
    """
    sweep_in = partial(Sweep, cells, configs, machine, rule=rule, known=known, first_calls=first_calls)
    sweep = sweep_in(budget_seconds=budget_seconds)
    if budget_seconds is None or budget_seconds >= sweep.sound_seconds:
        return sweep
    return sweep_in(budget_seconds=ceil(1.1 * sweep.sound_seconds))


Measure = Callable[[PlannedRound], tuple[Measurement, float]]


def run_all(sweep: Sweep, measure: Measure, changed: Callable[[], object] = lambda: None) -> None:
    """Run a sweep to its end.

    Args:
        sweep: what to do.
        measure: measures one round; returns its row and the seconds it took. What it raises cancels the rest and is
            passed on.
        changed: called whenever there is something new to show.
    """
    try:
        while planned := sweep.next():
            changed()
            sweep.record(*measure(planned))
            changed()
    except BaseException:
        sweep.cancel()
        raise
    finally:
        changed()
