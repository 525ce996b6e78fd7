"""Whether the intervals of ratios hold, on made-up machines and by the binomial distribution."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pytest

from tests.shorter import some
from tests.vivit.benchmark.stepping import FOUND, TWO
from vivit.benchmark.ratios import (
    FASTER,
    LOOKS,
    NO_DIFFERENCE,
    SHORT,
    SLOWER,
    Ratio,
    _mann_whitney,
    find_ratio,
    find_ratio_between,
)
from vivit.benchmark.side_by_side import Examine, SideBySide, TimedRound

PAIRS = 2_000
SLOTS = 2 * max(LOOKS)


@dataclass(frozen=True)
class Machine:
    """What a machine makes of slots that would take 100 ms each. Both arrays (pairs, slots), in the order slots are timed.

    Args:
        factor: by which a slot is slower.
        stolen: ms that something else takes during a slot, however short the slot is.
    """

    factor: np.ndarray
    stolen: np.ndarray | float = 0.0

    def take(self, work: np.ndarray) -> np.ndarray:
        """ms of slots. Args: work: ms that each would take, (pairs, slots)."""
        rounds = work.shape[1]
        stolen = np.broadcast_to(self.stolen, self.factor.shape)[:, :rounds]
        taken: np.ndarray = work * self.factor[:, :rounds] + stolen
        return taken


def jitter(random: np.random.Generator, shape: tuple[int, int], size: float) -> np.ndarray:
    return np.exp(size * random.standard_normal(shape))


def drift(random: np.random.Generator, shape: tuple[int, int]) -> Machine:
    """Each machine becomes faster or slower all the time, most of them by less than two times in all."""
    slope = random.normal(0, 0.5, (shape[0], 1))
    return Machine(np.exp(slope * np.linspace(0, 1, shape[1])) * jitter(random, shape, 0.01))


def spikes(random: np.random.Generator, shape: tuple[int, int]) -> Machine:
    """Every tenth slot loses some 50 ms to something else."""
    return Machine(jitter(random, shape, 0.03), (random.random(shape) < 0.1) * random.exponential(50, shape))


def autocorrelated(random: np.random.Generator, shape: tuple[int, int]) -> Machine:
    levels = 0.2 * random.standard_normal(shape)
    for k in range(1, shape[1]):
        levels[:, k] = 0.9 * levels[:, k - 1] + math.sqrt(1 - 0.9**2) * levels[:, k]
    return Machine(np.exp(levels))


def two_states(random: np.random.Generator, shape: tuple[int, int]) -> Machine:
    """Another program comes and goes, and takes nearly half of the machine while it is there."""
    busy = np.cumsum(random.random(shape) < 0.1, axis=1) % 2
    return Machine(np.where(busy, 1.8, 1.0) * jitter(random, shape, 0.03))


def second_is_slower(random: np.random.Generator, shape: tuple[int, int]) -> Machine:
    """Whatever comes second in a round finds the machine worse; a fixed order would take that for a difference."""
    return Machine(np.where(np.arange(shape[1]) % 2, 1.3, 1.0) * jitter(random, shape, 0.02))


MACHINES: dict[str, Callable[[np.random.Generator, tuple[int, int]], Machine]] = {
    "quiet": lambda random, shape: Machine(jitter(random, shape, 0.002)),
    "drift": drift,
    "spikes": spikes,
    "autocorrelated": autocorrelated,
    "two states": two_states,
    "skewed, lognormal": lambda random, shape: Machine(jitter(random, shape, 0.4)),
    "skewed, gamma": lambda random, shape: Machine(0.8 + random.gamma(0.5, 0.5, shape)),
    "second is slower": second_is_slower,
}
NOISY = [name for name in MACHINES if name != "quiet"]


def compared(kind: str, ratio: float, *, seconds: float, seed: int = 0) -> list[Ratio]:
    """What 2,000 comparisons of two cells, of 100 · ratio and 100 ms, say on as many machines of a kind."""
    number = list(MACHINES).index(kind)
    machine = MACHINES[kind](np.random.default_rng([seed, number]), (PAIRS, SLOTS))
    work = (100.0 * ratio, 100.0)
    cost = {place: machine.take(np.full((PAIRS, SLOTS), work[place])).tolist() for place in (0, 1)}
    told = []
    for pair in range(PAIRS):
        comparison = SideBySide(TWO, seconds=seconds, seed=(seed * len(MACHINES) + number) * PAIRS + pair)
        first, second = cost[0][pair], cost[1][pair]
        while step := comparison.next():
            if isinstance(step, Examine):
                comparison.examined(step, FOUND)
                continue
            k = 2 * step.number
            slots = (first[k], second[k + 1]) if step.places == (0, 1) else (second[k], first[k + 1])
            comparison.timed(step, TimedRound(slots, 0.2, 0.0, 2), 0.3)
        found = comparison.ratio(1)
        assert found
        told.append(found)
    return told


def share(found: Iterable[bool]) -> float:
    return float(np.mean(list(found)))


@pytest.mark.parametrize("kind", MACHINES)
def test_equal_pairs_are_hardly_ever_told_apart(kind: str) -> None:
    told = compared(kind, 1.0, seconds=1e9)
    assert share(ratio.verdict != NO_DIFFERENCE for ratio in told) <= 0.03
    # The four looks' errors add to less, see below, and the seed is fixed.
    assert share(not ratio.low <= 1 <= ratio.high for ratio in told) <= 0.05


@pytest.mark.parametrize("true", some([1.1, 2.0], 1.1))
@pytest.mark.parametrize("kind", MACHINES)
def test_intervals_hold_the_true_ratio_and_no_verdict_is_the_wrong_way_round(kind: str, true: float) -> None:
    told = compared(kind, true, seconds=1e9, seed=int(10 * true))
    assert share(ratio.low <= true <= ratio.high for ratio in told) >= 0.95
    # Where rounds are of two kinds, about as many of each, an interval that misses the truth misses it by far.
    lopsided = kind == "second is slower" and true < 1.3
    assert share(ratio.verdict == SLOWER for ratio in told) <= (0.025 if lopsided else 0.0)


@pytest.mark.parametrize("kind", MACHINES)
def test_six_rounds_hold_too(kind: str) -> None:
    """One end or the other misses in 2 · 2⁻⁶ = 3.1 % ± 0.4 % (of 2,000): 5 % is beyond chance."""
    told = compared(kind, 1.0, seconds=2.0)
    assert share(not ratio.low <= 1 <= ratio.high for ratio in told) <= 0.05
    told = compared(kind, 1.1, seconds=2.0, seed=1)
    assert share(ratio.low <= 1.1 <= ratio.high for ratio in told) >= 0.95


@pytest.mark.full
@pytest.mark.parametrize("kind", NOISY)
def test_the_made_up_machines_do_deceive_a_bootstrap_that_looks_after_every_round(kind: str) -> None:
    """A positive control: the usual interval of the same median, looked at until it tells something."""
    random = np.random.default_rng([2, list(MACHINES).index(kind)])
    pairs, most = 300, 40
    slots = MACHINES[kind](random, (pairs, 2 * most)).take(np.full((pairs, 2 * most), 100.0)).reshape(pairs, most, 2)
    turned = random.random((pairs, most)) < 0.5
    ratios = np.where(turned, slots[..., 1] / slots[..., 0], slots[..., 0] / slots[..., 1])
    undecided = np.ones(pairs, bool)
    for n in range(5, most + 1):
        again = random.integers(0, n, (200, n))
        medians = np.median(ratios[undecided][:, again], axis=2)
        low, high = np.percentile(medians, [2.5, 97.5], axis=1)
        undecided[undecided] = (low <= 1) & (high >= 1)
    assert 1 - undecided.mean() > 0.06


# What holds exactly


def chance_to_miss(rounds: int, low: int, high: int) -> float:
    """The chance that the true median lies below the low-th or above the high-th of so many ratios, by as many fair coins."""
    ways = [math.comb(rounds, k) for k in range(rounds + 1)]
    return (sum(ways[:low]) + sum(ways[high:])) / 2.0**rounds


def test_every_looks_error_is_small_and_they_are_five_per_cent_at_most_in_all() -> None:
    errors = {n: chance_to_miss(n, *places) for n, places in LOOKS.items()}
    assert list(errors) == [8, 16, 32, 64] and all(error <= 0.0125 for error in errors.values())
    assert sum(errors.values()) <= 0.05
    assert {n: chance_to_miss(n, *places) for n, places in SHORT.items()} == {6: 2 * 2.0**-6}


def test_the_ends_are_the_sorted_ratios_of_the_last_look() -> None:
    ratios = [1.0, 9.0, 2.0, 8.0, 3.0, 7.0, 4.0, 6.0, *[100.0] * 7]
    assert find_ratio(ratios[:7], LOOKS) is None and find_ratio(ratios, {}) is None
    assert find_ratio(ratios, LOOKS) == Ratio(5.0, 1.0, 9.0), "rounds after the last look do not count"
    numbers = [float(k) for k in np.random.default_rng(0).permutation(64) + 1]
    assert find_ratio(numbers, LOOKS) == Ratio(32.5, 22.0, 43.0)
    assert find_ratio(numbers[:6], SHORT) == Ratio(float(np.median(numbers[:6])), min(numbers[:6]), max(numbers[:6]))


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (1.021, 1.3, FASTER),
        (1.02, 1.3, NO_DIFFERENCE),
        (0.7, 0.98, SLOWER),
        (0.7, 1 / 1.02, NO_DIFFERENCE),
        (0.9, 1.1, NO_DIFFERENCE),
        (0.5, 2.0, NO_DIFFERENCE),
    ],
)
def test_a_verdict_needs_the_whole_interval_beyond_two_per_cent(low: float, high: float, verdict: str) -> None:
    assert Ratio((low + high) / 2, low, high).verdict == verdict


# Two sweeps, whose processes ran at other times


@pytest.mark.parametrize(("n", "m", "published"), [(6, 6, 5), (6, 8, 8), (8, 8, 13), (10, 10, 23)])
def test_the_rank_tests_critical_values_are_the_published_ones(n: int, m: int, published: int) -> None:
    """Of Mann and Whitney's U, two-sided, 5 %."""
    assert _mann_whitney(n, m) == _mann_whitney(m, n) == published


@pytest.mark.parametrize(("n", "m"), [(4, 4), (4, 7), (5, 5), (6, 6), (6, 8), (7, 5)])
def test_the_rank_tests_critical_values_are_those_of_all_orders(n: int, m: int) -> None:
    counts = [0] * (n * m + 1)
    for places in combinations(range(n + m), n):  # of the first set among all, sorted
        counts[sum(places) - n * (n - 1) // 2] += 1
    assert sum(counts) == math.comb(n + m, n)
    u = _mann_whitney(n, m)
    assert sum(counts[: u + 1]) <= 0.025 * sum(counts) < sum(counts[: u + 2])


def test_a_ratio_between_sets_is_of_all_pairs() -> None:
    first, second = [10.0, 11.0, 12.0, 13.0, 14.0, 15.0], [1.0] * 6
    assert find_ratio_between(first, second) == Ratio(12.5, 10.0, 15.0), "each of the six is there six times"
    inverse = find_ratio_between(second, first)
    assert inverse and (inverse.low, inverse.high) == (1 / 15, 1 / 10)
    assert inverse.value == pytest.approx(1 / 12.5, rel=0.01)
    primes = [2.0, 3.0, 5.0, 7.0, 11.0, 13.0]
    ratios = sorted(a / b for a in primes for b in primes)
    assert find_ratio_between(primes, primes) == Ratio(1.0, ratios[5], ratios[-6])
    assert find_ratio_between(first[:5], second) is None and find_ratio_between(first, second[:5]) is None


@pytest.mark.parametrize("true", [1.0, 1.3])
@pytest.mark.parametrize(("n", "m"), [(6, 6), (6, 12)])
def test_intervals_between_sets_hold_the_true_ratio(n: int, m: int, true: float) -> None:
    random = np.random.default_rng([3, n, m])
    kinds: list[Callable[[int], np.ndarray]] = [
        lambda size: np.exp(0.1 * random.standard_normal(size)),
        lambda size: 0.8 + random.gamma(0.5, 0.5, size),  # skewed
        lambda size: np.where(random.random(size) < 0.2, 1.8, 1.0) * np.exp(0.01 * random.standard_normal(size)),
    ]
    for jitter in kinds:
        missed = wrong = 0
        for _ in range(PAIRS):
            found = find_ratio_between((true * jitter(n)).tolist(), jitter(m).tolist())
            assert found
            missed += not found.low <= true <= found.high
            wrong += found.verdict == (SLOWER if true > 1 else FASTER)
        assert missed / PAIRS <= 0.05 and wrong / PAIRS <= 0.025
