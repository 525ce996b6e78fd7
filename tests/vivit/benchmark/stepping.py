"""Comparisons stepped with made-up slots, for tests."""

from collections.abc import Callable, Sequence

from vivit.benchmark.measurement import MIB, Cell
from vivit.benchmark.side_by_side import (
    Examine,
    Examined,
    SideBySide,
    Time,
    TimedRound,
)

FOUND = Examined(pass_ms=100.0, weights=8 * MIB, activations=12 * MIB, logits=None, device="cpu")
TWO = (Cell("m", "eager"), Cell("m", "sdpa"))


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
        found: what the passes before the rounds told of each cell; `FOUND` of all if empty.
        seconds: of a round.
        others: processor seconds that other programs had in a round, of 1 s on 2 processors.
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
