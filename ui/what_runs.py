"""What runs on this machine and what does not, and how long it takes."""

from collections.abc import Iterable
from typing import Literal

from ui.chosen import Settings
from ui.escape import capitalised
from ui.server import get_machine
from vivit.benchmark import cost, first_calls
from vivit.benchmark.measurement import Cell
from vivit.checkpoint import Checkpoint, open_checkpoint

SLOW_SECONDS = 2.0  # what takes longer waits for the visitor's word
READ_SECONDS = 0.1  # about what reading a clip of a few seconds takes


def missing(kind: Literal["attention", "precision"]) -> dict[str, str]:
    """Names that run in no combination here → why. Empty until the model worker has looked."""
    machine = get_machine()
    support = machine.support if machine else ()
    runs = {getattr(s, kind) for s in support if not s.reason}
    found: dict[str, str] = {}
    for one in support:  # the first reason counts: a later one may be of what another precision or backend alone lacks
        if getattr(one, kind) not in runs:
            found.setdefault(getattr(one, kind), one.reason)
    return found


def missing_executions() -> dict[str, str]:
    """Ways to run a model that there are not here → why. Empty until the model worker has looked."""
    machine = get_machine()
    return {name: reason for name, reason in machine.executions.items() if reason} if machine else {}


def runs_here(attention: str, precision: str) -> bool:
    """Whether this backend is known to run in this precision here."""
    machine = get_machine()
    found = machine.find(attention, precision) if machine else None
    return found is not None and not found.reason


def unavailable(settings: Settings) -> str:
    """Why this backend does not run in this precision and this way here; '' if it does or that is not known yet."""
    machine = get_machine()
    found = machine.find(settings.attention, settings.precision) if machine else None
    return (found.reason if found else "") or missing_executions().get(settings.execution, "")


def estimate_seconds(settings: Settings, checkpoint: Checkpoint, *, first: bool = True) -> float:
    """How long one pass over a clip's views will take here, for a backend that runs here once the model worker is up.

    Args: first: as `cost.estimate_seconds`'.
    """
    machine = get_machine()
    assert machine is not None
    return cost.estimate_seconds(
        checkpoint.config,
        machine,
        settings.attention,
        settings.precision,
        settings.execution,
        batch_size=settings.cell.batch_size,
        first=first,
        measured=first_call_seconds(settings.cell, checkpoint),
    )


def first_call_seconds(cell: Cell, checkpoint: Checkpoint) -> float | None:
    """Seconds that a cell's first call took here beyond a later one; None if that has not been measured."""
    machine = get_machine()
    known = first_calls.known(machine, checkpoint.config, cell) if machine else None
    return known.seconds if known else None


def first_calls_said(cells: Iterable[Cell], often: str) -> str:
    """What the first calls of cells compile and capture, the longest of each; '' where they make nothing.

    Args:
        often: when there is a first call, such as 'in every process'.
    """
    machine = get_machine()
    kinds: dict[bool, list[Cell]] = {}
    for cell in cells:
        if cell.prepares:
            kinds.setdefault(cell.compiles, []).append(cell)
    if machine is None or not kinds:
        return ""
    found = [cell for group in kinds.values() for cell in group]
    try:
        configs = {
            name: open_checkpoint(name, weights=False, here=True).config
            for name in dict.fromkeys(cell.checkpoint for cell in found)
        }
    except ValueError:  # which the page itself tells
        return ""
    words = []
    for group in kinds.values():
        calls = [call for cell in group if (call := first_calls.known(machine, configs[cell.checkpoint], cell))]
        longest = max(calls, key=lambda call: call.seconds, default=None)
        words.append(first_calls.said(longest, group[0], often))
    return capitalised(f"{'; '.join(words)}.")
