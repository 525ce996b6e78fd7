"""Time and memory: real sleeps and known allocations."""

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


@pytest.mark.parametrize("seconds", [0.0, 0.02, 0.2])
def test_timed_is_wall_time_in_milliseconds(seconds: float) -> None:
    result, ms = timed(lambda: time.sleep(seconds) or "slept", CPU)
    assert result == "slept"
    # A sleep is never shorter than asked; on a busy machine it may be a good deal longer.
    assert seconds * 1e3 <= ms < seconds * 1e3 + 150


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
    assert peak_memory(call, CPU)[1] == pytest.approx(peak * MB, rel=0.02)


@pytest.mark.parametrize("size", [4, 50, 1000])
def test_peak_memory_is_exact_at_every_size(size: int) -> None:
    assert peak_memory(lambda: megabytes(size), CPU)[1] == pytest.approx(size * MB, rel=0.02)


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
    assert 0 <= peak_memory(call, CPU)[1] <= 40 * MB * 1.02


def test_nothing_allocated_is_nothing_held() -> None:
    assert peak_memory(lambda: 3, CPU) == (3, 0)


def test_memory_of_other_threads_counts() -> None:
    """A backward pass runs in a thread of its own."""
    x = torch.ones(5 * MB, requires_grad=True)
    _, peak = peak_memory(lambda: (x * x).sum().backward(), CPU)
    # The square (20 MB), then the gradient in parts; the square's gradient is an expanded scalar.
    assert 40 * MB * 0.98 <= peak <= 80 * MB * 1.02


def test_peak_memory_passes_errors_on_and_works_again() -> None:
    with pytest.raises(ZeroDivisionError):
        peak_memory(lambda: 1 / 0, CPU)
    assert peak_memory(lambda: megabytes(5), CPU)[1] == pytest.approx(5 * MB, rel=0.02)
