"""What cannot be measured on a machine, and why: kernels that it has not, memory that is not free. No torch is used."""

from collections.abc import Sequence

import psutil

from vivit.benchmark.measurement import Cell, Estimate, Measurement
from vivit.machine import Machine
from vivit.names import BACKENDS, PRECISIONS

NOT_TRAINED = "Weights in 8 bit cannot be trained: they are whole numbers, and have no gradients."
NOT_CAPTURED = "A training step cannot be 'captured': a CUDA graph has no gradients. Choose 'plain' or 'compiled'."


def untrainable(cell: Cell, machine: Machine) -> str:
    """Why a cell that is to be trained cannot be on a machine; '' if it can."""
    if cell.mode != "training":
        return ""
    if PRECISIONS[cell.precision].weights == "int8":
        return NOT_TRAINED
    if cell.execution == "captured":
        return NOT_CAPTURED
    if BACKENDS[cell.attention].compiled and not machine.on_gpu:
        return f"'{cell.attention}' has no gradients on a CPU."
    return ""


def runs_here(cells: Sequence[Cell], machine: Machine) -> tuple[list[Cell], dict[str, list[str]]]:
    """The cells that run on a machine, and why the others do not: a reason → the backends and precisions, or executions."""
    runs: list[Cell] = []
    reasons: dict[str, dict[str, None]] = {}
    for cell in cells:
        found = machine.find(cell.attention, cell.precision)
        reason = (found.reason if found else "") or untrainable(cell, machine)
        way = machine.executions.get(cell.execution, "") or reason * (reason == NOT_CAPTURED)
        if way:
            reasons.setdefault(way, {})[f"'{cell.execution}'"] = None
        elif reason:
            reasons.setdefault(reason, {})[f"{cell.attention} in {cell.precision}"] = None
        else:
            runs.append(cell)
    return runs, {reason: list(names) for reason, names in reasons.items()}


def unavailable(cell: Cell, machine: Machine) -> Measurement | None:
    """The row of a cell whose kernel, or whose way to run, a machine has not; None where it has both."""
    found = machine.find(cell.attention, cell.precision)
    if found and found.reason:
        return Measurement(cell, "unavailable", found.reason, found.details)
    if reason := machine.executions.get(cell.execution, ""):
        return Measurement(cell, "unavailable", reason)
    return None


def too_large(cell: Cell, estimate: Estimate, machine: Machine) -> Measurement | None:
    """The row of a cell that needs more memory, as estimated, than is free now; None where it fits."""
    needed, free = estimate.peak, free_bytes(machine)
    if needed <= free:
        return None
    reason = (
        f"Not run: it would need about {needed / 2**30:.1f} GiB, and this machine has {free / 2**30:.1f} GiB free. "
        "Choose a smaller batch, a half precision or a fused attention."
    )
    return Measurement(cell, "out-of-memory", reason)


def free_bytes(machine: Machine) -> float:
    """Free memory where a machine computes: on a GPU nearly all of it, since what else the program held is unloaded first."""
    if not machine.on_gpu:
        return psutil.virtual_memory().available
    return 0.95 * machine.memory_bytes
