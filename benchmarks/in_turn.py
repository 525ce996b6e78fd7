"""Contestants of one process, which are timed in turn, and lines of the tables that say what came of it."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from vivit.benchmark.ratios import LOOKS, SHORT

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


def as_line(cells: Iterable[str]) -> str:
    """A line of a table in Markdown."""
    return f"| {' | '.join(cells)} |"
