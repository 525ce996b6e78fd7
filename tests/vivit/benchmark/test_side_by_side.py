"""Whether the intervals hold on made-up machines, when a comparison ends, and whether its sentence is true of its numbers."""

import itertools
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from vivit.benchmark.headline import headline
from vivit.benchmark.measurement import MIB, Cell
from vivit.benchmark.side_by_side import (
    BUSY_SHARE,
    FASTER,
    LOOKS,
    NO_DIFFERENCE,
    SHORT,
    SLOWER,
    Examine,
    Examined,
    Ratio,
    SideBySide,
    Time,
    TimedRound,
    as_json,
    find_ratio,
)

PAIRS = 2_000
SLOTS = 2 * max(LOOKS)
FOUND = Examined(pass_ms=100.0, weights=8 * MIB, activations=12 * MIB, logits=None, device="cpu")
TWO = (Cell("m", "eager"), Cell("m", "sdpa"))

# Made-up machines


@dataclass(frozen=True)
class Machine:
    """What a machine makes of slots that would take 100 ms each. Both (pairs, slots), in the order they are timed.

    Args:
        factor: by which a slot is slower.
        stolen: ms that something else took of it, however short it is.
    """

    factor: np.ndarray
    stolen: np.ndarray | float = 0.0

    def take(self, work: np.ndarray) -> np.ndarray:
        """ms of slots with that much work."""
        return (
            work * self.factor[:, : work.shape[1]] + np.broadcast_to(self.stolen, self.factor.shape)[:, : work.shape[1]]
        )


def jitter(random: np.random.Generator, shape: tuple[int, int], size: float) -> np.ndarray:
    return np.exp(size * random.standard_normal(shape))


def drift(random: np.random.Generator, shape: tuple[int, int]) -> Machine:
    """Each machine becomes faster or slower all the time, by up to some two times in all."""
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


@pytest.mark.parametrize("true", [1.1, 2.0])
@pytest.mark.parametrize("kind", MACHINES)
def test_intervals_hold_the_true_ratio_and_no_verdict_is_the_wrong_way_round(kind: str, true: float) -> None:
    told = compared(kind, true, seconds=1e9, seed=int(10 * true))
    assert share(ratio.low <= true <= ratio.high for ratio in told) >= 0.95
    # Where there are two kinds of rounds, as many as one another, whichever misses the truth misses it by far.
    lopsided = kind == "second is slower" and true < 1.3
    assert share(ratio.verdict == SLOWER for ratio in told) <= (0.025 if lopsided else 0.0)


@pytest.mark.parametrize("kind", MACHINES)
def test_six_rounds_hold_too(kind: str) -> None:
    """Both ends miss together in 2 · 2⁻⁶ = 3.1 % ± 0.4 % (of 2,000): 5 % is beyond chance."""
    told = compared(kind, 1.0, seconds=2.0)
    assert share(not ratio.low <= 1 <= ratio.high for ratio in told) <= 0.05
    told = compared(kind, 1.1, seconds=2.0, seed=1)
    assert share(ratio.low <= 1.1 <= ratio.high for ratio in told) >= 0.95


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
    """That the true median lies below the low-th or above the high-th of so many: so many coins, thrown fairly."""
    ways = [math.comb(rounds, k) for k in range(rounds + 1)]
    return (sum(ways[:low]) + sum(ways[high:])) / 2**rounds


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


# Stepping


def drive(
    comparison: SideBySide,
    slot_ms: Callable[[int, int], float] = lambda place, number: 100.0,
    *,
    found: Sequence[Examined] = (),
    seconds: float = 0.3,
    others: float = 0.0,
    rounds: int | None = None,
) -> list[tuple[int, ...]]:
    """Step a comparison to its end, or end it after so many rounds; returns the rounds' orders.

    Args:
        slot_ms: what a slot takes. Args: the cell's place, the round's number.
        found: of each cell.
        seconds: of a round. others: processor seconds of other programs meanwhile, of 2 processors and 1 s.
    """
    orders: list[tuple[int, ...]] = []
    while step := comparison.next():
        if isinstance(step, Examine):
            comparison.examined(step, found[step.place] if found else FOUND)
            continue
        if step.number == rounds:
            comparison.end()
            break
        assert isinstance(step, Time) and step.number == len(orders)
        orders.append(step.places)
        slots = tuple(slot_ms(place, step.number) for place in step.places)
        comparison.timed(step, TimedRound(slots, 1.0, others, 2), seconds)
    assert comparison.ended and comparison.next() is None
    return orders


def restless(place: int, number: int) -> float:
    """Two cells that no number of rounds can tell apart."""
    return 100.0 * (1.0, 2.0)[(number + place) % 2]


def test_orders_are_uniform_and_independent_of_the_one_before() -> None:
    cells = [Cell("m", name) for name in ("eager", "sdpa", "sdpa-math")]
    runs = [drive(SideBySide(cells, seconds=1e9, seed=seed), restless) for seed in range(100)]
    assert {len(run) for run in runs} == {64}

    def chi_square(counts: Counter, kinds: int) -> float:
        expected = counts.total() / kinds
        return (kinds - len(counts)) * expected + sum((n - expected) ** 2 / expected for n in counts.values())

    # Beyond these it would be by chance one time in a thousand, of 5 and of 35 degrees of freedom.
    assert chi_square(Counter(itertools.chain(*runs)), 6) < 20.5
    assert chi_square(Counter(pair for run in runs for pair in itertools.pairwise(run)), 36) < 66.6
    # A thousand first rounds: seeds next to one another give other orders too.
    assert chi_square(Counter(drive(SideBySide(cells, seed=seed), rounds=1)[0] for seed in range(1000)), 6) < 20.5


def test_the_same_seed_gives_the_same_orders_and_another_seed_others() -> None:
    first, again, other = (drive(SideBySide(TWO, seconds=1e9, seed=seed), restless) for seed in (5, 5, 6))
    assert first == again != other


def test_a_quiet_pair_ends_at_the_first_look_and_a_restless_one_at_the_last() -> None:
    assert len(drive(SideBySide(TWO, seconds=1e9))) == 8
    assert len(drive(SideBySide(TWO, seconds=1e9), restless)) == 64
    three = [*TWO, Cell("m", "sdpa-math")]
    one_restless = SideBySide(three, seconds=1e9)
    assert len(drive(one_restless, lambda place, number: restless(place, number) if place == 2 else 100.0)) == 64


def test_it_ends_at_the_look_from_which_on_every_interval_is_narrow() -> None:
    """One wild round in the first 8; of 16 the two outermost on each side do not count."""
    comparison = SideBySide(TWO, seconds=1e9)
    assert len(drive(comparison, lambda place, number: 150.0 if (place, number) == (1, 3) else 100.0)) == 16
    assert comparison.ratio(1) == Ratio(1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("seconds", "rounds"),
    [(1e9, 64), (19.3, 64), (19.1, 32), (9.7, 32), (9.5, 16), (4.9, 16), (4.7, 8), (2.5, 8), (2.3, 6), (1.9, 6)],
)
def test_it_ends_at_the_last_look_that_the_time_allows(seconds: float, rounds: int) -> None:
    """Rounds of 0.3 s, of which a look is reached or not begun for."""
    comparison = SideBySide(TWO, seconds=seconds)
    assert len(drive(comparison, restless)) == rounds
    assert comparison.ratio(1) and comparison.looks == (SHORT if rounds == 6 else LOOKS)


@pytest.mark.parametrize(("seconds", "rounds"), [(0.01, 1), (0.7, 2), (1.7, 5)])
def test_fewer_than_six_rounds_tell_no_ratio(seconds: float, rounds: int) -> None:
    comparison = SideBySide(TWO, seconds=seconds)
    assert len(drive(comparison)) == rounds
    assert comparison.ratio(1) is None and [row.ratio for row in comparison.rows()] == [None, None]
    assert [row.median for row in comparison.rows()] == [100.0, 100.0]
    found = as_json(comparison, comparison.rows()[1], model="m", clip="c")
    assert found["ratio"] == {"value": None, "low": None, "high": None, "verdict": None} and found["rounds"] == rounds


def test_a_sound_one_makes_six_rounds_whatever_they_take() -> None:
    comparison = SideBySide(TWO, seconds=0.01, sound=True)
    assert len(drive(comparison)) == 6 and comparison.ratio(1)
    assert len(drive(SideBySide(TWO, seconds=1e9, sound=True), restless)) == 64, "it takes nothing away"


def test_the_looks_stay_as_they_were_fixed_where_rounds_turn_out_slower_or_faster() -> None:
    slower = SideBySide(TWO, seconds=2.5)
    assert len(drive(slower, restless, seconds=30.0)) == 8
    faster = SideBySide(TWO, seconds=2.0)
    assert len(drive(faster, restless, seconds=0.001)) == 6 and faster.ratio(1)


@pytest.mark.parametrize(("ended", "counts"), [(0, None), (5, None), (8, 8), (9, 8), (31, 16), (33, 32), (63, 32)])
def test_ended_early_the_last_look_that_was_reached_counts(ended: int, counts: int | None) -> None:
    comparison = SideBySide(TWO, seconds=1e9)
    ms = np.random.default_rng(0).lognormal(4, 0.4, (2, 64)).tolist()
    drive(comparison, lambda place, number: ms[place][number], rounds=ended)
    assert comparison.rounds == ended and comparison.progress == 1.0 and comparison.seconds_left == 0.0
    ratios = [a / b for a, b in zip(*ms, strict=True)]
    assert comparison.ratio(1) == (find_ratio(ratios[:counts], LOOKS) if counts else None)


def test_a_ratio_is_the_first_cells_latency_over_the_others() -> None:
    comparison = SideBySide(TWO)
    drive(comparison, lambda place, number: (300.0, 100.0)[place])
    assert comparison.ratio(1) == Ratio(3.0, 3.0, 3.0) and comparison.rows()[1].ratio == comparison.ratio(1)
    assert comparison.ratio(0, 1) == Ratio(1 / 3, 1 / 3, 1 / 3)
    first, second = comparison.rows()
    assert first.ratio is None and (first.median, second.median, first.p5, second.p95) == (300.0, 100.0, 300.0, 100.0)


def progress(comparison: SideBySide) -> list[float]:
    """Its progress whenever a slot is timed, of rounds that tell nothing."""
    seen = []

    def slot(place: int, number: int) -> float:
        seen.append(comparison.progress)
        return restless(place, number)

    drive(comparison, slot)
    return seen


def test_progress_begins_with_a_tenth_for_the_passes_before_and_ends_with_all() -> None:
    comparison = SideBySide(TWO, seconds=2.5)
    assert comparison.progress == 0.0
    seen = progress(comparison)
    assert seen == sorted(seen) and seen[0] == pytest.approx(0.1) and seen[-1] < comparison.progress == 1.0


def test_the_same_cell_may_come_twice() -> None:
    comparison = SideBySide([TWO[0], TWO[0]])
    drive(comparison)
    assert [row.cell for row in comparison.rows()] == [TWO[0]] * 2 and comparison.ratio(1) == Ratio(1.0, 1.0, 1.0)


def test_one_cell_alone_is_timed_and_none_is_refused() -> None:
    alone = SideBySide(TWO[:1])
    assert len(drive(alone)) == 8 and alone.rows()[0].ratio is None
    with pytest.raises(ValueError, match="at least one cell"):
        SideBySide([])


def test_what_others_took_is_told_once_there_is_enough_to_tell_it_by() -> None:
    comparison = SideBySide(TWO)
    assert comparison.others_share is None and not comparison.busy
    drive(comparison, others=1.0, rounds=1)
    assert comparison.others_share == 0.5 and comparison.busy
    for others, busy in ((2 * BUSY_SHARE, False), (2 * BUSY_SHARE + 0.01, True), (5.0, True), (-0.1, False)):
        comparison = SideBySide(TWO)
        drive(comparison, others=others)
        assert comparison.busy == busy and 0 <= (comparison.others_share or 0) <= 1
    on_gpu = SideBySide(TWO)
    drive(on_gpu, others=2.0, found=[replace(FOUND, device="cuda")] * 2)
    assert on_gpu.others_share == 1.0 and not on_gpu.busy, "a GPU's kernels do not wait for processors"


def test_a_cells_json_has_what_was_promised_and_nothing_that_json_cannot_hold() -> None:
    comparison = SideBySide([*TWO, Cell("m", "sdpa", "float16")], seed=7)
    logits = (4.0, 3.0, 2.0, 1.0, 0.5, 0.0)
    overflowing = replace(FOUND, weights=4 * MIB)
    drive(
        comparison,
        lambda place, number: (200.0, 100.0, 50.0)[place],
        found=[replace(FOUND, logits=logits), replace(FOUND, logits=(4.0, 3.0, 2.0, 1.0, 0.0, 0.25)), overflowing],
    )
    first, second, third = (
        json.loads(json.dumps(as_json(comparison, row, model="model", clip="clip.mp4"), allow_nan=False))
        for row in comparison.rows()
    )
    promised = "attention precision model clip rounds latency_ms memory_mib ratio agreement others_share method"
    for found in (first, second, third):
        assert set(promised.split()) <= set(found) and (found["model"], found["clip"]) == ("model", "clip.mp4")
        assert set(found["latency_ms"]) == {"median", "p5", "p95", "samples"} and found["seed"] == 7
        assert len(found["latency_ms"]["samples"]) == found["rounds"] == 8 and "seed 7" in found["method"]
    assert first["ratio"] == {"value": None, "low": None, "high": None, "verdict": None}
    assert first["agreement"] == {"max_logit_difference": None, "top1": None, "top5": None}
    assert second["ratio"] == {"value": 2.0, "low": 2.0, "high": 2.0, "verdict": "faster"}
    assert second["agreement"] == {"max_logit_difference": 0.5, "top1": True, "top5": False}
    assert third["agreement"] == {"max_logit_difference": None, "top1": None, "top5": None}, "it has no answer"
    assert third["memory_mib"] == {"weights": 4.0, "activations": 12.0, "peak": 16.0}
    assert (third["attention"], third["precision"], third["others_share"]) == ("sdpa", "float16", 0.0)


def test_before_the_first_round_json_has_nulls_and_no_nan() -> None:
    comparison = SideBySide(TWO)
    drive(comparison, rounds=0)
    found = as_json(comparison, comparison.rows()[1], model="m", clip="c")
    assert found["latency_ms"] == {"median": None, "p5": None, "p95": None, "samples": []}
    assert found["rounds"] == 0 and found["others_share"] is None and json.dumps(found, allow_nan=False)


# The sentence


def said(
    cells: Sequence[str],
    ms: Sequence[float],
    *,
    shaken: float = 0.0,
    found: Sequence[Examined] = (),
    trained: bool = True,
    rounds: int | None = None,
    **more: float,
) -> str:
    """The headline on cells 'attention/precision' that take these ms.

    Args:
        shaken: every other round all but the first cell take this share less, and in the rounds between more.
        found: of each cell; by default no answer, and as large as one another.
        rounds, more: as `drive`'s.
    """
    round_seconds = 0.1 * (len(cells) + 1)
    named = [Cell("m", attention, precision) for attention, _, precision in (cell.partition("/") for cell in cells)]
    comparison = SideBySide(named, seconds=8.5 * round_seconds)

    def slot(place: int, number: int) -> float:
        return ms[place] * (1 + shaken if number % 2 else 1 / (1 + shaken)) ** (place > 0)

    drive(comparison, slot, found=found, rounds=rounds, seconds=round_seconds, **more)
    return headline(comparison, trained=trained)


ANSWER = (9.0, 8.0, 7.0, 6.0, 5.0, 0.0, 0.0)


def sizes(*sizes: tuple[float, float], logits: Sequence[Sequence[float]] = ()) -> list[Examined]:
    """Weights and activations of each cell, in MiB; its answer."""
    answers = logits or [ANSWER] * len(sizes)
    return [
        Examined(100.0, int(weights * MIB), int(activations * MIB), tuple(answer), "cpu")
        for (weights, activations), answer in zip(sizes, answers, strict=True)
    ]


FULL, HALF, HALF_STORED = (100.0, 900.0), (50.0, 450.0), (50.0, 900.0)
EAGER_AND_SDPA = ["eager/float32", "sdpa/float32"]


def test_a_clear_win() -> None:
    assert said(EAGER_AND_SDPA, [300.0, 100.0], found=sizes(FULL, (100.0, 300.0))) == (
        "SDPA is 3.0 times as fast as eager (3.0 to 3.0) and takes 60 % less memory; all give the same five answers."
    )
    assert said(EAGER_AND_SDPA, [115.0, 100.0], shaken=0.06, found=sizes(FULL, FULL)) == (
        "SDPA is 1.15 times as fast as eager (1.08 to 1.22) and takes the same memory; all give the same five answers."
    )
    assert said(EAGER_AND_SDPA, [2000.0, 100.0]).startswith("SDPA is 20 times as fast as eager (20 to 20) and")


def test_a_loss() -> None:
    assert said(EAGER_AND_SDPA, [100.0, 150.0], shaken=0.02, found=sizes(FULL, (100.0, 1100.0))) == (
        "SDPA takes 1.50 times as long as eager (1.47 to 1.53) and takes 20 % more memory; all give the same five answers."
    )


def test_a_tie_that_is_known_to_be_one() -> None:
    assert said(EAGER_AND_SDPA, [100.0, 100.0], shaken=0.01, found=sizes(FULL, FULL)) == (
        "SDPA is as fast as eager (0.99 to 1.01) and takes the same memory; all give the same five answers."
    )


def test_a_tie_that_only_cannot_be_told() -> None:
    assert said(EAGER_AND_SDPA, [100.0, 100.0], shaken=0.3, found=sizes(FULL, (100.0, 400.0))) == (
        "Between sdpa and eager no difference in speed can be told (0.77 to 1.30); sdpa takes 50 % less memory; "
        "all give the same five answers."
    )


def test_a_precision_beside_the_usual_one() -> None:
    cells = ["eager/float32", "sdpa/float32", "eager/float16", "sdpa/float16"]
    found = sizes(FULL, (100.0, 300.0), HALF, (50.0, 150.0))
    assert said(cells, [300.0, 100.0, 200.0, 50.0], found=found) == (
        "SDPA is 3.0 times as fast as eager (3.0 to 3.0) and takes 60 % less memory; "
        "float16 is 2.0 times as fast as float32 (2.0 to 2.0) and halves the weights; all give the same five answers."
    )
    assert said(cells, [300.0, 100.0, 900.0, 250.0], found=found) == (
        "SDPA is 3.0 times as fast as eager (3.0 to 3.0) and takes 60 % less memory; "
        "float16 takes 2.5 times as long as float32 (2.5 to 2.5) and halves the weights; all give the same five answers."
    )


def test_a_precision_that_is_as_fast_and_one_of_which_that_is_not_known() -> None:
    cells = ["sdpa/float32", "sdpa/float16-weights"]
    found = sizes(FULL, HALF_STORED)
    assert said(cells, [100.0, 100.0], found=found) == (
        "Float16-weights halves the weights at the same speed; all give the same five answers."
    )
    assert said(cells, [100.0, 100.0], shaken=0.3, found=found) == (
        "Float16-weights halves the weights, and no difference in speed can be told (0.77 to 1.30); "
        "all give the same five answers."
    )
    assert said(cells, [100.0, 100.0], found=sizes(FULL, FULL)).startswith("Float16-weights keeps the weights as large")


def test_a_pair_that_differs_in_both() -> None:
    assert said(["eager/float32", "sdpa/bfloat16"], [300.0, 100.0], found=sizes(FULL, (50.0, 450.0))) == (
        "SDPA in bfloat16 is 3.0 times as fast as eager in float32 (3.0 to 3.0) and takes 50 % less memory; "
        "all give the same five answers."
    )


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((9.0, 8.0, 7.0, 6.0, 0.0, 5.0, 0.0), "sdpa in float32 gives the same first answer, but not all the others."),
        ((0.0, 8.0, 7.0, 6.0, 5.0, 4.0, 0.0), "sdpa in float32 gives another first answer."),
    ],
)
def test_other_answers_are_told_with_whose_they_are(answer: tuple[float, ...], sentence: str) -> None:
    found = sizes(FULL, FULL, logits=[ANSWER, answer])
    assert said(EAGER_AND_SDPA, [300.0, 100.0], found=found) == (
        "SDPA is 3.0 times as fast as eager (3.0 to 3.0) and takes the same memory; "
        f"not all give the same five answers: {sentence}"
    )


def test_few_classes_are_counted_as_few_answers() -> None:
    found = sizes(FULL, FULL, logits=[(2.0, 1.0)] * 2)
    assert said(EAGER_AND_SDPA, [300.0, 100.0], found=found).endswith("; all give the same two answers.")


def test_answers_that_mean_nothing_are_not_mentioned() -> None:
    assert said(EAGER_AND_SDPA, [300.0, 100.0], trained=False, found=sizes(FULL, FULL)) == (
        "SDPA is 3.0 times as fast as eager (3.0 to 3.0) and takes the same memory."
    )


def test_a_busy_machine_is_told() -> None:
    assert said(EAGER_AND_SDPA, [300.0, 100.0], others=0.8, trained=False) == (
        "SDPA is 3.0 times as fast as eager (3.0 to 3.0) and takes the same memory. "
        "Measured while other programs held 40 % of the processors, which changes the ratios."
    )


def test_too_few_rounds_say_how_long_it_would_take() -> None:
    comparison = SideBySide(TWO, seconds=100.0)
    drive(comparison, seconds=40.0, found=[replace(FOUND, pass_ms=20_000.0)] * 2)
    assert headline(comparison) == ("No ratio can be told from 2 rounds: it takes 6, here about 240 s.")
    drive(comparison := SideBySide(TWO, seconds=0.1))
    assert headline(comparison) == "No ratio can be told from 1 round: it takes 6, here about 2 s."


def test_one_cell_has_nothing_beside_it() -> None:
    comparison = SideBySide(TWO[:1])
    drive(comparison)
    assert headline(comparison) == "One cell alone: there is nothing to compare it with."


def test_the_method_says_what_the_interval_is() -> None:
    comparison = SideBySide(TWO, seed=3)
    drive(comparison)
    assert comparison.method.startswith("8 rounds in random order (seed 3), after a warm-up;")
    assert "from their 1st to their 8th, which misses the truth in at most 5 % of cases" in comparison.method
    drive(comparison := SideBySide(TWO, seconds=1e9), restless, rounds=63)
    assert comparison.method.startswith("63 rounds") and "the first 32 rounds' ratios" in comparison.method
    assert "from their 9th to their 24th" in comparison.method
    drive(comparison := SideBySide(TWO, seconds=0.1))
    assert "no ratio: 1 round cannot tell one, it takes 6 here" in comparison.method


# What the sentences and the method do not get right yet


def test_an_interval_that_excludes_one_is_no_tie() -> None:
    sentence = said(EAGER_AND_SDPA, [104.5, 100.0], shaken=0.03, found=sizes(FULL, FULL))
    assert "is as fast as eager (1.01 to 1.08)" not in sentence


def test_seven_rounds_are_not_said_to_be_fewer_than_six() -> None:
    assert "from 7 rounds: it takes 8," in said(EAGER_AND_SDPA, [100.0, 100.0], rounds=7)


def test_rounds_that_turn_out_faster_are_not_made_for_nothing() -> None:
    comparison = SideBySide(TWO, seconds=100.0)
    drive(comparison, seconds=14.0, found=[replace(FOUND, pass_ms=10_000.0)] * 2)  # the first pass is a cold one
    assert comparison.rounds == 6 and comparison.ratio(1) and "can be told from" not in headline(comparison)


def test_cells_that_were_not_reached_are_not_denied() -> None:
    comparison = SideBySide([*TWO, Cell("m", "sdpa-math")])
    step = comparison.next()
    assert isinstance(step, Examine)
    comparison.examined(step, FOUND)
    comparison.end()
    assert "One cell alone" not in headline(comparison)


def test_a_round_that_nobody_has_timed_is_not_said_to_take_no_time() -> None:
    comparison = SideBySide([*TWO, Cell("m", "sdpa-math")])
    for _ in range(2):
        step = comparison.next()
        assert isinstance(step, Examine)
        comparison.examined(step, FOUND)
    comparison.end()
    assert "about 0 s" not in headline(comparison)


def test_another_first_answer_among_the_same_five_is_told() -> None:
    swapped = (8.0, 9.0, 7.0, 6.0, 5.0, 0.0, 0.0)
    found = sizes(FULL, FULL, logits=[ANSWER, swapped])
    assert not said(EAGER_AND_SDPA, [300.0, 100.0], found=found).endswith("all give the same five answers.")


def test_only_those_with_another_first_answer_are_said_to_have_one() -> None:
    fifth, first = (9.0, 8.0, 7.0, 6.0, 0.0, 5.0, 0.0), (0.0, 8.0, 7.0, 6.0, 5.0, 9.0, 0.0)
    found = sizes(FULL, FULL, FULL, logits=[ANSWER, fifth, first])
    sentence = said(["eager/float32", "sdpa/float32", "sdpa-math/float32"], [300.0, 100.0, 200.0], found=found)
    assert "sdpa in float32, sdpa-math in float32 with another first answer" not in sentence


def test_an_answer_that_overflows_is_told() -> None:
    cells = ["sdpa/float32", "sdpa/float16"]
    whole = sizes(FULL, HALF)
    sentence = said(cells, [300.0, 100.0], found=[whole[0], replace(whole[1], logits=None)])
    assert "finite" in sentence or "answer" in sentence


def test_an_interval_that_excludes_one_is_not_rounded_to_one() -> None:
    sentence = said(EAGER_AND_SDPA, [240.0, 100.0], shaken=1.3)
    assert "times as fast" in sentence and "(1.0 to " not in sentence


def test_progress_never_goes_back() -> None:
    seen = progress(SideBySide(TWO, seconds=1e9))
    assert seen == sorted(seen)
