"""Many cells: in which order, for how long each, and what became of them. Runs nothing itself. No torch is used.

while planned := sweep.next():
    sweep.record(measurement, seconds)  # by `vivit.benchmark.child.measure_in_child`, or by a job in a worker
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import psutil

from vivit.benchmark.cost import estimate
from vivit.benchmark.measurement import Cell, Estimate, Measurement, StoppingRule
from vivit.config import VivitConfig
from vivit.machine import Machine
from vivit.names import BACKENDS, PRECISIONS

DEFAULT_RULE = StoppingRule()
BUDGET_SECONDS = 120.0
ROUNDS = 2
FULL_SECONDS = 60.0  # of timed calls, a cell and round, where no budget says less
START_SECONDS = {"cpu": 0.7, "cuda": 1.0}  # until a process has its model and, on a GPU, its context and profiler
LEAST_LIMIT_SECONDS = 15.0  # no process is ended for its share of the budget before that


@dataclass(frozen=True)
class PlannedRound:
    """One round of one cell, which takes a process of its own.

    Args:
        cell: what it measures.
        rule: when its timed calls are enough.
        record: whether it also finds memory and kernel, in a call of their own …
        record_first: … or in the first, which is then the sample: for what is too slow to be called twice.
        limit_seconds: after which it is ended; None: never.
        number: which round, from 0.
    """

    cell: Cell
    rule: StoppingRule = DEFAULT_RULE
    record: bool = True
    record_first: bool = False
    limit_seconds: float | None = None
    number: int = 0


class Sweep:
    """Cells in shuffled order, round after round, so that a machine that drifts hurts all of them alike.

    `rows` holds one `Measurement` for every cell that has been tried; after `cancel` or the end, for every cell.

    Args:
        cells: what to measure; repeated ones count once.
        configs: checkpoint → its shape.
        machine: what its cells are measured on.
        budget_seconds: for everything, counted in seconds that rounds took; None: 'full'.
        rounds: processes a cell.
        rule: when the timed calls of one round are enough; a budget may make them fewer.
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
        seed: int = 0,
    ) -> None:
        self.cells = tuple(dict.fromkeys(cells))
        self.machine = machine
        self.budget_seconds = budget_seconds
        self.rule = rule or DEFAULT_RULE
        if budget_seconds is None:
            self.rule = replace(self.rule, seconds=max(self.rule.seconds, FULL_SECONDS))
        self.rows: dict[Cell, Measurement] = {}
        self.references: dict[Cell, tuple[float, ...]] = {}
        self.spent_seconds = 0.0
        self.rounds_done = 0
        self.cancelled = False
        asked = dict.fromkeys(c.reference for c in self.cells if c.mode == "inference")
        extra = [c for c in asked if c not in self.cells]
        self.estimates: dict[Cell, Estimate] = {
            c: estimate(c, configs[c.checkpoint], machine) for c in (*self.cells, *extra)
        }
        shuffle = random.Random(seed)
        self._current: Cell | None = None
        self._todo = [(c, 0) for c in extra]  # only for its answers, which the others are compared with
        for number in range(rounds):
            self._todo += [(c, number) for c in shuffle.sample(self.cells, len(self.cells))]

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do and nothing is being done."""
        return not self._todo and self._current is None

    @property
    def progress(self) -> float:
        """How much is done, in [0, 1]."""
        done, left = self.spent_seconds, self.seconds_left
        return 1.0 if self.finished else done / ((done + left) or 1.0)

    @property
    def seconds_left(self) -> float:
        """How much longer it will take, by the cost model until a cell has been measured, by its latency after that."""
        current = self._current  # read once: another thread may be recording it
        cells = [current] if current else []
        cells += [cell for cell, number in [*self._todo] if self._wanted(cell, number)]
        need = sum(map(self._expected_seconds, cells))
        return need if self.budget_seconds is None else min(need, max(0.0, self.budget_seconds - self.spent_seconds))

    def next(self) -> PlannedRound | None:
        """What to measure now, and to `record` before the next; cells that would not fit become rows here. None at the end."""
        while self._todo:
            cell, number = self._todo.pop(0)
            if not self._wanted(cell, number):
                continue
            if (refused := self._refusal(cell)) is None:
                self._current = cell
                return self._plan(cell, number)
            if number == 0:
                self._keep(refused)
        return None

    def record(self, measurement: Measurement, seconds: float) -> None:
        """Take in what the planned round gave, and how long it took in all."""
        self.spent_seconds += seconds
        self.rounds_done += 1
        self._current = None
        self._keep(measurement)

    def cancel(self, reason: str = "Cancelled before it ran.") -> None:
        """Give up what has not run; what has been measured is kept."""
        self.cancelled = True
        self._todo.clear()
        self._current = None
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

    def _wanted(self, cell: Cell, number: int) -> bool:
        return number == 0 or cell not in self.rows or self.rows[cell].status == "ok"

    def _latency_seconds(self, cell: Cell) -> float:
        row = self.rows.get(cell)
        if row and row.latency:
            return row.latency.median / 1e3
        return (self.estimates[cell].latency_ms or 0.0) / 1e3

    def _expected_seconds(self, cell: Cell) -> float:
        latency = self._latency_seconds(cell)
        timed = min(10 * latency, max(self.rule.seconds, latency))
        return START_SECONDS[self.machine.device] + 2 * latency + self.rule.warm_up_seconds + timed

    def _refusal(self, cell: Cell) -> Measurement | None:
        needed, free = self.estimates[cell].peak, _free_bytes(self.machine)
        if needed > free:
            reason = (
                f"Not run: it would need about {needed / 2**30:.1f} GiB, and this machine has {free / 2**30:.1f} GiB free. "
                "Choose a smaller batch, a half precision or a fused attention."
            )
            return Measurement(cell, "out-of-memory", reason)
        if self.budget_seconds is None:
            return None
        left, once = self.budget_seconds - self.spent_seconds, self._latency_seconds(cell)
        if once < left and left > 0:
            return None
        reason = (
            f"Not run: one call would take about {once:.0f} s, and {max(0.0, left):.0f} s of the budget of "
            f"{self.budget_seconds:.0f} s were left. Give it more, or 'full'."
        )
        return Measurement(cell, "cancelled", reason)

    def _plan(self, cell: Cell, number: int) -> PlannedRound:
        record = cell not in self.rows
        if cell not in self.cells:  # a reference: one call is enough
            return PlannedRound(
                cell, replace(self.rule, seconds=0.0), record=False, limit_seconds=self._left(), number=number
            )
        if self.budget_seconds is None:
            return PlannedRound(cell, self.rule, record, number=number)
        waiting = [self._expected_seconds(c) for c, n in self._todo if self._wanted(c, n)]
        mine = self._expected_seconds(cell)
        left = self._left()
        assert left is not None
        share = left * mine / (mine + sum(waiting))
        once = self._latency_seconds(cell)
        overhead = START_SECONDS[self.machine.device] + (2 + record) * once + self.rule.warm_up_seconds
        return PlannedRound(
            cell,
            replace(self.rule, seconds=min(self.rule.seconds, max(once / 2, share - overhead))),
            record,
            record_first=record and not cell.compiled and share < 3 * once,
            limit_seconds=min(left, max(LEAST_LIMIT_SECONDS, 4 * share, 4 * once)),
            number=number,
        )

    def _left(self) -> float | None:
        return None if self.budget_seconds is None else max(1.0, self.budget_seconds - self.spent_seconds)


def _free_bytes(machine: Machine) -> float:
    if not machine.on_gpu:
        return psutil.virtual_memory().available
    return 0.95 * machine.memory_bytes


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


@dataclass(frozen=True)
class Preset:
    """A ready choice of cells.

    Args:
        title: what it answers.
        attention, precision, batch_sizes, mode, num_frames: every combination is a cell.
        rule: when timed calls are enough.
        budget_seconds: what it takes unless told otherwise.
    """

    title: str
    attention: tuple[str, ...]
    precision: tuple[str, ...] = ("float32",)
    batch_sizes: tuple[int, ...] = (1,)
    mode: str = "inference"
    num_frames: tuple[int | None, ...] = (None,)
    rule: StoppingRule = DEFAULT_RULE
    budget_seconds: float = BUDGET_SECONDS

    def cells(self, checkpoint: str) -> list[Cell]:
        """Its cells, in reading order."""
        return grid(
            checkpoint, self.attention, self.precision, self.batch_sizes, (self.mode,), (False,), self.num_frames
        )


def grid(
    checkpoint: str,
    attention: Sequence[str],
    precision: Sequence[str] = ("float32",),
    batch_sizes: Sequence[int] = (1,),
    modes: Sequence[str] = ("inference",),
    compiled: Sequence[bool] = (False,),
    num_frames: Sequence[int | None] = (None,),
) -> list[Cell]:
    """Every combination, in reading order."""
    return [
        Cell(checkpoint, a, p, b, m, c, f)
        for m in modes
        for p in precision
        for c in compiled
        for f in num_frames
        for b in batch_sizes
        for a in attention
    ]


# As the documentation measured: one call to warm up, then so many, whatever their spread.
INFERENCE_RULE = StoppingRule(spread=0, min_samples=20, max_samples=20, seconds=FULL_SECONDS, warm_up_seconds=0)
TRAINING_RULE = StoppingRule(spread=0, min_samples=100, max_samples=100, seconds=FULL_SECONDS, warm_up_seconds=0)

PRESETS: dict[str, Preset] = {
    "this clip, all backends": Preset(
        "Which backend is fastest on this clip, and do the answers agree?",
        tuple(BACKENDS),
        tuple(PRECISIONS),
        rule=StoppingRule(seconds=1.0),
        budget_seconds=45.0,
    ),
    "batch-size scaling": Preset(
        "How do time and memory grow with the batch?", ("eager", "sdpa"), batch_sizes=(1, 2, 4, 8)
    ),
    "number of tokens": Preset(
        "How do time and memory grow with the length of the clip?", ("eager", "sdpa"), num_frames=(4, 8, 16, 32)
    ),
    "documentation's inference table": Preset(
        "Eager beside sdpa as the model's documentation measured them: 20 batches, batch sizes 1 to 8.",
        ("eager", "sdpa"),
        ("float32", "float16"),
        (1, 2, 4, 8),
        rule=INFERENCE_RULE,
    ),
    "documentation's training table": Preset(
        "A training step with eager beside sdpa as the model's documentation measured them: 100 steps, batch size 1.",
        ("eager", "sdpa"),
        mode="training",
        rule=TRAINING_RULE,
    ),
}
