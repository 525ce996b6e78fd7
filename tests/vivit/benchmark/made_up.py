"""Sweeps on a machine whose times are made up: cells, shapes, and what takes the place of a process."""

import random
from collections.abc import Callable
from dataclasses import replace

from tests import oracle
from tests.vivit.benchmark.children import MACHINE, row
from vivit.benchmark.cost import compile_seconds
from vivit.benchmark.measure import repeat
from vivit.benchmark.measurement import Cell, Latency, Measurement, Memory, Round
from vivit.benchmark.pace import START_SECONDS
from vivit.benchmark.presets import grid
from vivit.benchmark.sweep import PlannedRound, Sweep, run_all
from vivit.checkpoint import RANDOM_CONFIGS
from vivit.config import VivitConfig
from vivit.machine import Machine

TINY = VivitConfig(**oracle.TINY)
CONFIGS = {"m": TINY, "big": VivitConfig(num_labels=400), **RANDOM_CONFIGS}
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

    def keep(run: PlannedRound) -> tuple[Measurement, float]:
        runs.append(run)
        return execute(run)

    run_all(sweep, keep)
    return runs


def at(speed: float) -> Machine:
    """The machine with so many FLOP/s; a pass of the big model takes some 1e12 of them."""
    support = tuple(replace(s, flops_per_second=speed * bool(s.flops_per_second)) for s in MACHINE.support)
    rates = dict.fromkeys(MACHINE.flops_per_second, speed)
    return replace(MACHINE, support=support, flops_per_second=rates, bytes_per_second=speed / 10)


def machine_of(sweep: Sweep, factor: float = 1.0, start: float = START_SECONDS["cpu"], spread: float = 0.0) -> Execute:
    """A machine that takes what the cost model says.

    Args:
        sweep: whose estimates say it.
        factor: by which a call takes longer.
        start: seconds of a process until its first call.
        spread: standard deviation of a call's time, as a share of it.
    """
    chance = random.Random(0)

    def execute(planned: PlannedRound) -> tuple[Measurement, float]:
        took: list[float] = []

        def call() -> float:
            ms = factor * (sweep.estimates[planned.cell].latency_ms or 0.0) * (1 + spread * chance.gauss(0, 1))
            ms += 0.0 if took else 1e3 * compile_seconds(planned.cell.attention)
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
