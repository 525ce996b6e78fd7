"""Which cells of a sweep are measured in turn, and which of them come first. No torch is used."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vivit.benchmark.cost import paying_precision
from vivit.benchmark.measurement import Cell
from vivit.config import VivitConfig
from vivit.machine import Machine


@dataclass(frozen=True)
class Block:
    """Cells that are measured in turn, in rounds of their own.

    Args:
        cells: in the order in which they are begun, as far as there is time.
        base: cells of a first block. Of each checkpoint the first of these, the fastest and, where all `cells` are of one
            backend, that backend in float32 are measured again in these rounds, to compare with.
    """

    cells: tuple[Cell, ...]
    base: tuple[Cell, ...] = ()


@dataclass(frozen=True)
class Fitting:
    """What of a block there is time for. Args: cells: its base, then its own, or none; seconds: what they take at least."""

    cells: tuple[Cell, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Phase:
    """What is to come of some blocks. Args: queue: a cell a process; share: of their timed calls, as `Pace.timed` takes it."""

    queue: list[Cell]
    share: float


def in_blocks(
    cells: Sequence[Cell], configs: Mapping[str, VivitConfig], machine: Machine, *, whole: bool
) -> list[Block]:
    """Cells of one mode, length and batch size are compared with each other: the first of them, then the others.

    Those of several checkpoints go together, the fused backend first: one that all have is what they are compared by.

    Args:
        whole: make one block of them, so that all can be compared with all.
    """
    families: dict[tuple[str, int | None, int], list[Cell]] = {}
    for cell in cells:
        families.setdefault((cell.mode, cell.num_frames, cell.batch_size), []).append(cell)
    first, further = [], []
    for family in families.values():
        checkpoints = list(dict.fromkeys(cell.checkpoint for cell in family))
        usual = [
            cell for name in checkpoints for cell in _first_cells(family, name, configs[name], machine, whole=whole)
        ]
        begun = usual
        if len(checkpoints) > 1:  # in the models' order where these are the same
            begun = sorted(
                usual, key=lambda c: (c.attention != "sdpa", c.precision != "float32", c.attention, c.precision)
            )
        first.append(Block(tuple(begun)))
        if others := tuple(c for c in family if c not in usual):
            further.append(Block(others, tuple(usual)))
    return [*first, *further]


def _first_cells(
    family: list[Cell], checkpoint: str, config: VivitConfig, machine: Machine, *, whole: bool
) -> list[Cell]:
    """Of one checkpoint the cells that are measured before the others. Args: as `in_blocks`'."""
    ours = [cell for cell in family if cell.checkpoint == checkpoint]
    second = paying_precision(config, machine)
    order = [("eager", "float32"), ("sdpa", "float32"), ("sdpa", second), ("eager", second)]
    usual = [c for c in ours if (c.attention, c.precision) in order and c.execution == "plain"]
    usual.sort(key=lambda c: order.index((c.attention, c.precision)))
    if len(usual) < 2 or whole:
        usual += [c for c in ours if c not in usual][: None if whole else len(order) - len(usual)]
    return usual
