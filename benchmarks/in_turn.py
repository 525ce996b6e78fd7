"""Contestants of one process, which are timed in turn, and lines of the tables that say what came of it."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from vivit.benchmark.ratios import LOOKS, SHORT, Ratio, find_ratio
from vivit.benchmark.side_by_side import BUSY_SHARE

Told = TypeVar("Told")

# Numbers of rounds to choose from → the places, of sorted ratios, where their interval begins and ends.
ROUNDS: dict[int, tuple[int, int]] = {**SHORT, **LOOKS}


@dataclass
class Contestant(Generic[Told]):
    """One way to the answers.

    Args:
        name: as the table has it.
        run: does all there is to do once, and may tell where the time went.
        seconds: of wall time, one a round.
        told: what `run` told, likewise; empty for those that tell nothing.
    """

    name: str
    run: Callable[[], Told | None]
    seconds: list[float] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)

    def time(self) -> None:
        """Do it once more, and keep what it took."""
        begin = time.perf_counter()
        told = self.run()
        self.seconds.append(time.perf_counter() - begin)
        if told is not None:
            self.told.append(told)


def ratio_of(base: Sequence[float], ours: Sequence[float]) -> Ratio | None:
    """How many times as fast ours is. Args: base, ours: times, one a round, as many as a key of `ROUNDS`."""
    ratios = [theirs / mine for theirs, mine in zip(base, ours, strict=True)]
    return find_ratio(ratios, {len(ratios): ROUNDS[len(ratios)]})


def as_text(ratio: Ratio | None) -> str:
    """A ratio with its interval, for a table."""
    return f"{ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f})" if ratio else "–"


def about_ratios(rounds: int, note: str = "") -> str:
    """What ratios are and how far to trust them, in a sentence. Args: note: on which way they go, if that must be said."""
    low, high = ROUNDS[rounds]
    return (
        f"A ratio is the median of the rounds' ratios of times{note}; its interval goes from place {low} to place {high} of "
        "them sorted, and misses the truth in at most 5 % of cases."
    )


def if_busy(others_share: float | None) -> str:
    """A warning to end a sentence with, if other programs had much of the processors.

    Args:
        others_share: what they had, in [0, 1]; None if it is not known.

    Returns:
        the warning, or ''.
    """
    return " – the machine was busy, so take none of this for its speed" if (others_share or 0) > BUSY_SHARE else ""


def as_line(cells: Iterable[str]) -> str:
    """A line of a table in Markdown."""
    return f"| {' | '.join(cells)} |"
