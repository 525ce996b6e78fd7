"""How long a process of a cell takes: by the cost model, put right by what has been measured. No torch is used."""

import statistics
from collections.abc import Mapping
from math import ceil

from vivit.benchmark.cost import compile_seconds
from vivit.benchmark.measurement import Cell, Estimate, Measurement, StoppingRule
from vivit.machine import Machine

START_SECONDS = {"cpu": 0.3, "gpu": 1.0}  # until a process has its model and, on a GPU, its context and profiler
LEAST_SECONDS = 0.15  # of timed calls a process, where a budget leaves no more …
LEAST_CALLS = 3  # … and so many, unless they take longer than the rule wants: of one call each, processes seem noisy


class Pace:
    """What cells take on one machine, in seconds.

    Args:
        estimates: of every cell that is asked about, by the cost model.
        rows: what the sweep has measured so far; it grows meanwhile, and is only read here.
        machine: what they are measured on.
        rule: when the timed calls of a process are enough.
        rounds: processes a cell, one of which records memory and kernel.
        known: cells → ms of a call, as this machine has measured them before.
        first_calls: cells → seconds that their first call took beyond another, likewise.
    """

    def __init__(
        self,
        estimates: Mapping[Cell, Estimate],
        rows: Mapping[Cell, Measurement],
        machine: Machine,
        rule: StoppingRule,
        rounds: int,
        known: Mapping[Cell, float],
        first_calls: Mapping[Cell, float],
    ) -> None:
        self._estimates, self._rows, self._known = estimates, rows, dict(known)
        self._first_calls = dict(first_calls)
        self._machine, self._rule, self._rounds = machine, rule, rounds
        self._overheads: list[float] = []  # seconds of processes beside their calls
        self._scales = self._find_scales()

    def learn(self, measurement: Measurement, seconds: float) -> None:
        """Take in what a process found, once it is among the rows, and how long the process took in all."""
        if latency := measurement.latency:
            calls = sum(r.first_ms * r.warm + sum(r.samples_ms) for r in latency.rounds) / 1e3
            once = latency.median / 1e3 if latency.warm else 0.0  # else the first call is all that there is
            warm_up = self._warm_up(once) * latency.warm
            recorded = once if measurement.memory else 0.0
            self._overheads.append(max(0.0, seconds - calls - warm_up - recorded))
        self._scales = self._find_scales()

    def latency(self, cell: Cell) -> float:
        """Of one call: as measured, in this sweep or before; else by the cost model, as far off as it was for other cells."""
        row = self._rows.get(cell)
        if row and row.latency:
            return row.latency.median / 1e3
        if cell in self._known:
            return self._known[cell] / 1e3
        scale = self._scales.get(cell.precision) or self._scales.get("", 1.0)
        return scale * (self._estimates[cell].latency_ms or 0.0) / 1e3

    def least(self, cell: Cell) -> float:
        """Of a process with the least that will do."""
        return self.whole(cell, 0.0)

    def most(self, cell: Cell) -> float:
        """Of a process with all calls that the rule wants."""
        return self.whole(cell, 1.0)

    def whole(self, cell: Cell, share: float) -> float:
        """Of a process. Args: share: as `timed`'s."""
        return self.untimed(cell) + self.timed(cell, share)

    def untimed(self, cell: Cell) -> float:
        """What a process takes beside its timed calls."""
        once = self.latency(cell)
        first = once + compile_seconds(cell.attention, cell.execution, self._first_calls.get(cell))
        if cell.prepares and (row := self._rows.get(cell)) and row.latency:
            first = statistics.median(r.first_ms for r in row.latency.rounds) / 1e3
        start = (
            statistics.median(self._overheads)
            if self._overheads
            else START_SECONDS["gpu" if self._machine.on_gpu else "cpu"]
        )
        recorded = 0.0 if cell in self._rows else once / self._rounds  # one of them records
        return start + first + self._warm_up(once) + recorded

    def timed(self, cell: Cell, share: float) -> float:
        """Of a process's timed calls. Args: share: 0 for the least that will do, 1 for all that the rule wants."""
        once, rule = self.latency(cell), self._rule
        if not once:
            return 0.0
        most = min(rule.seconds, 10 * once) if rule.spread > 0 else rule.seconds  # it ends early where calls agree
        least = most if rule.min_samples == rule.max_samples else min(LEAST_SECONDS, most)
        least_calls, most_calls = (  # calls are whole
            max(1, min(rule.max_samples, ceil(seconds / once - 1e-6))) for seconds in (least, most)
        )
        least_calls = min(max(least_calls, LEAST_CALLS), most_calls)
        return once * (least_calls + int(share * (most_calls - least_calls) + 1e-6))

    def _warm_up(self, once: float) -> float:
        wanted = self._rule.warm_up_seconds
        return once * ceil(wanted / once - 1e-6) if once else wanted  # calls are whole

    def _find_scales(self) -> dict[str, float]:
        """By how much the cost model is off here: precision → measured over estimated, '' for all precisions."""
        measured = self._known | {c: r.latency.median for c, r in self._rows.items() if r.latency and r.latency.warm}
        found: dict[str, list[float]] = {}
        for cell, ms in measured.items():
            if cell in self._estimates and (estimated := self._estimates[cell].latency_ms):
                for key in (cell.precision, ""):
                    found.setdefault(key, []).append(ms / estimated)
        return {key: statistics.median(ratios) for key, ratios in found.items()}
