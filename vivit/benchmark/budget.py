"""The time that a sweep may take: what is left, and for whom. No torch is used."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

from vivit.benchmark.measurement import Cell

LEAST_LIMIT_SECONDS = 15.0  # no process is ended before that
KEPT_WORD = 1.15  # times what was told: nothing else is begun that would end later, though the budget may be larger
PATIENCE = 1.5  # times the budget: what has been begun is ended even then


@dataclass
class Budget:
    """What a sweep may take, counted in seconds that its rounds took.

    Args:
        seconds: for everything; None: as many as it takes.
        spent_seconds: so far.
        told: the cells that were told of before the first was begun.
        kept_seconds: kept from all other cells, so that the sweep ends about when it was said to.
        exceeded: whether what runs does not fit; then it has what is left, and nothing more is begun.
    """

    seconds: float | None
    spent_seconds: float = 0.0
    told: frozenset[Cell] = frozenset()
    kept_seconds: float = 0.0
    exceeded: bool = False

    @property
    def left(self) -> float:
        """Seconds; less than 0 once more was spent."""
        return inf if self.seconds is None else self.seconds - self.spent_seconds

    @property
    def ended(self) -> bool:
        """Whether even what has been begun is given up."""
        if self.seconds is None or not self.spent_seconds:
            return False
        return self.spent_seconds >= self.seconds * (1.0 if self.exceeded else PATIENCE)

    def keep_word(self, cells: Iterable[Cell], seconds: float) -> None:
        """Tell which cells the sweep begins and what they take: from then on others begin only if that holds about."""
        if self.seconds is not None:
            self.told = frozenset(cells)
            self.kept_seconds = max(0.0, self.seconds - KEPT_WORD * seconds)

    def fits(self, cell: Cell, need: float, seconds: float) -> bool:
        """Whether a cell may be begun. Args: need: of it and those before it; seconds: that are left for all of them."""
        return need <= seconds - (0.0 if cell in self.told else self.kept_seconds)

    def limit(self, seconds: float, *, first: bool) -> float | None:
        """Seconds after which a process is ended; None: never.

        Args:
            seconds: what it is to take.
            first: whether it is its cell's first, of which nothing but the cost model is known, which may be far off.
        """
        if self.seconds is None:
            return None
        if self.exceeded:
            return self.left
        limit = max(LEAST_LIMIT_SECONDS, 4 * seconds)
        return max(limit, PATIENCE * self.seconds - self.spent_seconds) if first else limit
