"""Cells timed in turn, round after round in random order: in which order, and how long to go on. No torch is used.

Why what the rounds say holds: `vivit.benchmark.ratios`.

while step := comparison.next():
    comparison.examined(step, …) or comparison.timed(step, …)  # by `vivit.benchmark.passes`, or by a job in a worker
"""

import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from vivit.benchmark.measurement import MIB, Agreement, Cell, agreement
from vivit.benchmark.ratios import LOOKS, SHORT, Looks, Ratio, find_ratio

if TYPE_CHECKING:
    from vivit.checkpoint import Checkpoint

BUSY_SHARE = 0.25  # of the processors in others' hands, from which on figures are not this model's alone
OVERHEAD_SECONDS = 0.1  # of a round, beside its slots
SLOT_SECONDS = 0.05
SECONDS = 20.0


def other_input(first: "Checkpoint", other: "Checkpoint", **changes: Any) -> str:
    """What another checkpoint takes of a clip and the first does not: 'takes …'; '' where the same frames serve both.

    Args:
        changes: fields of both processors that are set to something else.

    Raises:
        vivit.errors.UserError: if a processor's files cannot be used.
    """
    ours, theirs = first.config.clip_size, other.config.clip_size
    if ours != theirs:
        return f"takes {_size(theirs)}, not {_size(ours)}"
    a, b = (replace(checkpoint.processor, **changes, extra=None) for checkpoint in (first, other))
    unused = () if a.do_normalize or b.do_normalize else ("image_mean", "image_std")
    differ = [f.name for f in fields(a) if f.name not in unused and getattr(a, f.name) != getattr(b, f.name)]
    return f"has an image processor with another {', '.join(differ)}" if differ else ""


def _size(clip: tuple[int, int, int]) -> str:
    return f"{clip[0]} frames of {clip[1]} × {clip[2]} pixels"


def instruments(device: str) -> tuple[str, str]:
    """What times a call on a type of device, and what counts its memory."""
    name = device.upper()
    return ("perf_counter", "PyTorch's profiler") if device == "cpu" else (f"{name} events", f"{name}'s allocator")


@dataclass(frozen=True)
class Examined:
    """What the passes before the rounds told of a cell.

    Args:
        pass_ms: how long a pass takes, about.
        weights, activations: bytes, as in `vivit.benchmark.measurement.Memory`, of a pass that is not timed; activations None
            where PyTorch does not count them, as on Apple's GPUs.
        logits: (num_labels,); None if they were not finite.
        device: its type as PyTorch names it, 'cpu', 'cuda', …
        weights_kept_in: as in `Memory`.
        first_seconds: what the first call, which compiled or captured, took beyond a pass; None where nothing was made.
    """

    pass_ms: float
    weights: int
    activations: int | None
    logits: tuple[float, ...] | None
    device: str
    weights_kept_in: dict[str, int] = field(default_factory=dict, hash=False)
    first_seconds: float | None = None


@dataclass(frozen=True)
class TimedRound:
    """What a round told.

    Args:
        slots_ms: of each cell, in the order they were timed.
        wall_seconds: how long they took together.
        others_seconds: of processor time that other programs had meanwhile, of all processors together.
        processors: how many there are.
    """

    slots_ms: tuple[float, ...]
    wall_seconds: float
    others_seconds: float
    processors: int


@dataclass(frozen=True)
class Examine:
    """The next step is to load a cell, warm it up and look at its memory and answer. Args: place: the cell's."""

    place: int


@dataclass(frozen=True)
class Time:
    """The next step is a round. Args: places: of its cells, in the order to time them; number: from 0."""

    places: tuple[int, ...]
    number: int


@dataclass(frozen=True)
class Row:
    """What is known of one cell.

    Args:
        samples_ms: what its slots took, one a round.
        found: what the passes before them told.
        ratio: the latency of the first cell over this one's; None for the first, and where the rounds were too few.
        agreement: how near its answer is to that of the first cell with the same weights; None for that one, and where there
            are not both.
    """

    cell: Cell
    samples_ms: tuple[float, ...]
    found: Examined
    ratio: Ratio | None
    agreement: Agreement | None

    @property
    def median(self) -> float:
        """In ms; NaN before the first round."""
        return statistics.median(self.samples_ms) if self.samples_ms else math.nan

    @property
    def p5(self) -> float:
        return float(np.percentile(self.samples_ms, 5)) if self.samples_ms else math.nan

    @property
    def p95(self) -> float:
        return float(np.percentile(self.samples_ms, 95)) if self.samples_ms else math.nan

    @property
    def peak(self) -> int | None:
        """Weights and activations, in bytes; None where these are not known."""
        return None if self.found.activations is None else self.found.weights + self.found.activations


class SideBySide:
    """A comparison of cells on one clip.

    Args:
        cells: at least one; the others are compared with the first. The same cell may come twice.
        seconds: for the rounds. Where 8 do not seem to fit it makes 6 and no more, and of these as many as fit.
        seed: of the orders.
        sound: make 6 rounds, or the first 8, whatever they take.
    """

    def __init__(self, cells: Sequence[Cell], *, seconds: float = SECONDS, seed: int = 0, sound: bool = False) -> None:
        if not cells:
            raise ValueError("nothing to compare: give at least one cell")
        self.cells = tuple(cells)
        self.seconds = seconds
        self.seed = seed
        self.sound = sound
        self.found: list[Examined] = []
        self.samples_ms: list[list[float]] = [[] for _ in cells]
        self.spent_seconds = 0.0
        self.ended = False
        self._random = random.Random(seed)
        self._wall = self._processor_seconds = self._others = 0.0
        self._looks: Looks = {}
        self._orders = 0

    @property
    def rounds(self) -> int:
        """How many are done."""
        return len(self.samples_ms[-1])

    @property
    def looks(self) -> Looks:
        """At which numbers of rounds there may be a verdict, fixed before the first round; none before that."""
        return self._looks

    @property
    def round_seconds(self) -> float:
        """What a round takes: as those so far, or by the passes before them; 0 before these."""
        if self.rounds:
            return self.spent_seconds / self.rounds
        if len(self.found) < len(self.cells):
            return 0.0
        return OVERHEAD_SECONDS + sum(max(SLOT_SECONDS, found.pass_ms / 1e3) for found in self.found)

    @property
    def progress(self) -> float:
        """How much is done, in [0, 1], by the time that may be spent: a tenth of it before the rounds. It may end early."""
        if self.ended:
            return 1.0
        if len(self.found) < len(self.cells):
            return 0.1 * len(self.found) / len(self.cells)
        share = self.rounds / min(SHORT) if self._looks == SHORT else self.spent_seconds / self.seconds
        return 0.1 + 0.85 * min(1.0, max(share, self.rounds / max(LOOKS)))

    @property
    def seconds_left(self) -> float:
        """Of the rounds until the next look, as far as is known."""
        following = min((n for n in self._looks if n > self.rounds), default=self.rounds)
        return 0.0 if self.ended else (following - self.rounds) * self.round_seconds

    @property
    def sound_seconds(self) -> float:
        """What the rounds of a comparison with a verdict take; 0 before that is known."""
        return min(SHORT) * self.round_seconds

    @property
    def others_share(self) -> float | None:
        """What other programs had of the processors while slots were timed, in [0, 1]; None before 0.2 s of them."""
        return min(max(self._others / self._processor_seconds, 0.0), 1.0) if self._wall >= 0.2 else None

    @property
    def busy(self) -> bool:
        """Whether others had so much of the processors that the ratios may be other ones on a quiet machine."""
        on_gpu = any(found.device != "cpu" for found in self.found)
        return not on_gpu and (self.others_share or 0.0) > BUSY_SHARE

    def next(self) -> Examine | Time | None:
        """What to do now, and to report before the next; None at the end."""
        if self.ended:
            return None
        if len(self.found) < len(self.cells):
            return Examine(len(self.found))
        if self.rounds == 0 and not self._looks:
            self._looks = LOOKS if self.seconds / self.round_seconds >= min(LOOKS) else SHORT
        if self._enough():
            self.ended = True
            return None
        self._orders += 1
        order = self._random.sample(range(len(self.cells)), len(self.cells))
        return Time(tuple(order), self.rounds)

    def examined(self, step: Examine, found: Examined) -> None:
        """Take in what the passes of a cell told."""
        assert step.place == len(self.found)
        self.found.append(found)

    def timed(self, step: Time, timed: TimedRound, seconds: float) -> None:
        """Take in a round. Args: seconds: what it took in all."""
        for place, ms in zip(step.places, timed.slots_ms, strict=True):
            self.samples_ms[place].append(ms)
        self.spent_seconds += seconds
        self._wall += timed.wall_seconds
        self._processor_seconds += timed.wall_seconds * timed.processors
        self._others += timed.others_seconds

    def end(self) -> None:
        """Leave it at the rounds that are done."""
        self.ended = True

    def _enough(self) -> bool:
        n = self.rounds
        following = min((k for k in self._looks if k > n), default=None)
        if following is None:
            return True
        if n in self._looks:  # a look of `LOOKS`, the first of which is always reached
            narrow = all(row.ratio.narrow for row in self.rows() if row.ratio)
            return narrow or self.spent_seconds + (following - n) * self.round_seconds > self.seconds
        short_of_time = self.spent_seconds + self.round_seconds > self.seconds
        return self._looks == SHORT and not self.sound and n > 0 and short_of_time

    def ratio(self, place: int, base: int = 0) -> Ratio | None:
        """How many times as fast one cell is as another; None before the first look."""
        ratios = [b / ms for b, ms in zip(self.samples_ms[base], self.samples_ms[place], strict=True)]
        return find_ratio(ratios, self._looks)

    def rows(self) -> list[Row]:
        """What is known of every cell that has been looked at, in the cells' order."""
        firsts: dict[str, int] = {}  # other weights have other answers
        rows = []
        for place, (cell, found) in enumerate(zip(self.cells, self.found, strict=False)):
            base = firsts.setdefault(cell.checkpoint, place)
            first = self.found[base].logits
            agreed = agreement(found.logits, first) if place != base and found.logits and first else None
            ratio = self.ratio(place) if place else None
            rows.append(Row(cell, tuple(self.samples_ms[place]), found, ratio, agreed))
        return rows

    @property
    def method(self) -> str:
        """How latency, ratio and memory were measured."""
        device = self.found[0].device if self.found else "cpu"
        clock, recorder = instruments(device)
        memory = f"the most that {recorder} counted beyond them in a pass that is not timed, the clip included"
        if any(cell.execution == "captured" for cell in self.cells):
            memory += "; where a graph is captured, in the pass that captures it, since a replay takes none"
        if any(found.activations is None for found in self.found):
            memory = f"activations are not known: PyTorch does not count them on '{device}'"
        n = self.rounds
        if n and (reached := [look for look in self._looks if look <= n]):
            low, high = self._looks[max(reached)]
            ratio = (
                f"the ratio is the median of the first {max(reached)} rounds' ratios, its interval from their {_nth(low)} "
                f"to their {_nth(high)}, which misses the truth in at most 5 % of cases"
            )
        else:
            ratio = f"no ratio: {n} round{'s' * (n != 1)} cannot tell one, it takes {min(self._looks or SHORT)} here"
        return (
            f"{n} round{'s' * (n != 1)} in random order (seed {self.seed}), after a warm-up; in each round every cell makes as "
            f"many passes as fill {SLOT_SECONDS * 1e3:.0f} ms and gives their median; batch size 1, {clock}; {ratio}. "
            f"Memory: weights, and {memory}."
        )


def _nth(number: int) -> str:
    return f"{number}{'th' if 10 < number % 100 < 14 else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def as_json(comparison: SideBySide, row: Row, *, model: str, clip: str) -> dict[str, Any]:
    """One cell as the command line prints it; what is not known is null. Args: model, clip: as the user named the cell's."""
    ratio, found, timed = row.ratio, row.agreement, bool(row.samples_ms)
    return {
        "attention": row.cell.attention,
        "precision": row.cell.precision,
        "execution": row.cell.execution,
        "model": model,
        "clip": clip,
        "rounds": len(row.samples_ms),
        "latency_ms": {name: getattr(row, name) if timed else None for name in ("median", "p5", "p95")}
        | {"samples": list(row.samples_ms)},
        "memory_mib": {
            "weights": row.found.weights / MIB,
            "activations": None if row.found.activations is None else row.found.activations / MIB,
            "peak": None if row.peak is None else row.peak / MIB,
        },
        "ratio": {
            "value": ratio and ratio.value,
            "low": ratio and ratio.low,
            "high": ratio and ratio.high,
            "verdict": ratio and ratio.verdict,
        },
        "agreement": {
            "max_logit_difference": found and found.max_logit_difference,
            "top1": found and found.top1,
            "top5": found and found.top5 == 1.0,
        },
        "others_share": comparison.others_share,
        "method": comparison.method,
        "device": row.found.device,
        "seed": comparison.seed,
    }
