"""Time and memory: a clock handed in, a real sleep, and known allocations."""

import time
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from vivit.benchmark.measure import peak_memory, timed

CPU = torch.device("cpu")
MB = 1_000_000


def megabytes(count: int) -> Tensor:
    return torch.empty(count * MB, dtype=torch.uint8)


def peak_of(call: Callable[[], object]) -> int:
    _, peak = peak_memory(call, CPU)
    assert peak is not None
    return peak


def test_timed_is_what_passes_on_the_clock_during_the_call_in_milliseconds() -> None:
    now = 100.0

    def call() -> str:
        nonlocal now
        now += 0.25
        return "done"

    assert timed(call, CPU, clock=lambda: now) == ("done", 250.0)
    assert timed(lambda: "at once", CPU, clock=lambda: now) == ("at once", 0.0)


def test_the_clock_is_the_walls() -> None:
    """A sleep takes no processor time, and is never shorter than asked."""
    _, ms = timed(lambda: time.sleep(0.02), CPU)
    assert ms >= 20


def test_timed_passes_errors_on() -> None:
    with pytest.raises(ZeroDivisionError):
        timed(lambda: 1 / 0, CPU)


def one_after_the_other() -> None:
    for _ in range(5):
        megabytes(30)


def together() -> list[Tensor]:
    return [megabytes(30) for _ in range(5)]


def peak_in_the_middle() -> Tensor:
    small = megabytes(10)
    large = megabytes(100)
    del large
    return small


def freed_pages_used_again() -> None:
    megabytes(80)
    megabytes(80)


def computed() -> Tensor:
    x = torch.ones(5 * MB)  # 20 MB, and 20 more for each result
    return (x + 1) * 2


@pytest.mark.parametrize(
    ("call", "peak"),
    [
        pytest.param(call, peak, id=call.__name__)
        for call, peak in [
            (one_after_the_other, 30),
            (together, 150),
            (peak_in_the_middle, 110),
            (freed_pages_used_again, 80),
            (computed, 60),
        ]
    ],
)
def test_peak_memory_of_known_allocations(call: Callable[[], object], peak: int) -> None:
    assert peak_of(call) == pytest.approx(peak * MB, rel=0.02)


@pytest.mark.parametrize("size", [4, 50, 1000])
def test_peak_memory_is_exact_at_every_size(size: int) -> None:
    assert peak_of(lambda: megabytes(size)) == pytest.approx(size * MB, rel=0.02)


def test_peak_memory_is_beyond_what_was_held_before() -> None:
    before = megabytes(200)
    result, peak = peak_memory(lambda: (before[:10].clone(), megabytes(20)), CPU)
    assert peak == pytest.approx(20 * MB, rel=0.02)
    assert torch.equal(result[0], before[:10])


def test_memory_freed_from_before_is_not_counted_against_the_peak() -> None:
    held = [megabytes(100)]

    def call() -> Tensor:
        held.clear()
        return megabytes(40)

    # 40 MB are new, though 100 MB were given back: never more was held than before.
    assert 0 <= peak_of(call) <= 40 * MB * 1.02


def test_nothing_allocated_is_nothing_held() -> None:
    assert peak_memory(lambda: 3, CPU) == (3, 0)


def test_memory_of_other_threads_counts() -> None:
    """A backward pass runs in a thread of its own."""
    x = torch.ones(5 * MB, requires_grad=True)
    peak = peak_of(lambda: (x * x).sum().backward())
    # The square (20 MB), then the gradient in parts; the square's gradient is an expanded scalar.
    assert 40 * MB * 0.98 <= peak <= 80 * MB * 1.02


def test_peak_memory_passes_errors_on_and_works_again() -> None:
    with pytest.raises(ZeroDivisionError):
        peak_memory(lambda: 1 / 0, CPU)
    assert peak_of(lambda: megabytes(5)) == pytest.approx(5 * MB, rel=0.02)
