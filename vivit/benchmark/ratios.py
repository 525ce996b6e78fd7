"""What ratios say: of rounds that were timed in turn, and of two sets of times; intervals and verdicts. No torch is used.

Why it holds: where two cells are equally fast, which of them is faster in a round is a fair coin, whatever the machine does
meanwhile. So the signs of the logarithms of the rounds' ratios are fair coins, and the chance that the true ratio lies outside
two of the sorted ratios is the binomial distribution's. It is looked at after numbers of rounds that are fixed beforehand, and
an error of 1.25 % at each of four looks is 5 % at most in all, whenever it ends.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

Looks = Mapping[int, tuple[int, int]]  # rounds → the places, from 1, of the interval's ends among the sorted ratios
LOOKS: Looks = {8: (1, 8), 16: (3, 14), 32: (9, 24), 64: (22, 43)}
SHORT: Looks = {6: (1, 6)}  # one look: both ends are exceeded with a chance of 2 · 2⁻⁶ = 3.1 %
MARGIN = 1.02  # two copies of one model differ by as much, by where they lie in memory
NARROW = 0.05  # of the ratio: an interval that reaches no further is enough

FASTER, SLOWER, NO_DIFFERENCE = "faster", "slower", "no difference can be told"
AS_FAST = "as fast"  # which is said in the place of the last where the interval is narrow


@dataclass(frozen=True)
class Ratio:
    """How many times as fast one cell is as another, with an interval that misses the truth in at most 5 % of cases."""

    value: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """'faster', 'slower', or 'no difference can be told'."""
        if self.low > MARGIN:
            return FASTER
        return SLOWER if self.high < 1 / MARGIN else NO_DIFFERENCE

    @property
    def inverse(self) -> "Ratio":
        """How many times as long it takes."""
        return Ratio(1 / self.value, 1 / self.high, 1 / self.low)

    @property
    def narrow(self) -> bool:
        """Whether more rounds would tell little more."""
        return self.value / (1 + NARROW) <= self.low and self.high <= self.value * (1 + NARROW)

    @property
    def said(self) -> str:
        """The verdict, or 'as fast' where the two are the same."""
        return AS_FAST if self.same else self.verdict

    @property
    def same(self) -> bool:
        """Whether the two are equally fast for all that matters, which is more than that no difference can be told."""
        return 1 / (1 + NARROW) <= self.low <= 1 <= self.high <= 1 + NARROW


def find_ratio(ratios: Sequence[float], looks: Looks) -> Ratio | None:
    """The median of the rounds' ratios and its interval, at the last look that they reach.

    Args:
        ratios: one a round, in the order they were made.
        looks: at which numbers of rounds they may be looked at, fixed beforehand.

    Returns:
        None before the first look.
    """
    reached = [n for n in looks if n <= len(ratios)]
    if not reached:
        return None
    n = max(reached)
    low, high = looks[n]
    ordered = sorted(ratios[:n])
    return Ratio(statistics.median(ordered), ordered[low - 1], ordered[high - 1])


def find_ratio_between(first: Sequence[float], second: Sequence[float]) -> Ratio | None:
    """How many times as long the first of two sets of times is as the second, where nothing was measured in turn.

    The ratios of all pairs, sorted: which of them are the ends is told by the Mann-Whitney rank test, whatever the times'
    distribution (H. B. Mann and D. R. Whitney, 1947). It says that the sets differ, not that the cells do: a machine that has
    changed between them makes them differ, too.

    Args:
        first, second: one time a process, 6 of each at least.

    Returns:
        The median of the ratios and an interval that misses the truth in at most 5 % of cases; None for fewer times.
    """
    if min(len(first), len(second)) < min(SHORT):
        return None
    ratios = sorted(a / b for a in first for b in second)
    low = _mann_whitney(len(first), len(second))
    return Ratio(statistics.median(ratios), ratios[low], ratios[-1 - low])


@cache
def _mann_whitney(n: int, m: int) -> int:
    """The largest u for which at most u of the n · m pairs are the wrong way round in at most 2.5 % of cases."""
    # ways[u]: in how many orders of the first i of n and all m values u pairs are the wrong way round.
    table = [[[1] for _ in range(m + 1)] for _ in range(n + 1)]
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            ways = [0] * (i * j + 1)
            for u, count in enumerate(table[i - 1][j]):  # where the largest of all is of the first set: beyond j others
                ways[u + j] += count
            for u, count in enumerate(table[i][j - 1]):  # where it is of the second
                ways[u] += count
            table[i][j] = ways
    allowed, total, u = 0.025 * math.comb(n + m, n), table[n][m][0], 0
    while (total := total + table[n][m][u + 1]) <= allowed:
        u += 1
    return u
