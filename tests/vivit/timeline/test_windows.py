"""Windows over a film and the ring under them, against lists that hold the whole film."""

import re
from collections.abc import Iterator

import numpy as np
import pytest

from vivit.errors import UserError
from vivit.film import Tick
from vivit.timeline.windows import Batch, Grid, Ring

GRIDS = [
    Grid(6.5, 0.5, 32, cuts=False),
    Grid(2.56, 0.5, 32, cuts=False),
    Grid(2.56, 0.08, 32, cuts=False),  # a stride of one picture
    Grid(2.56, 2.56, 32, cuts=False),  # windows side by side
    Grid(1.0, 0.377, 5, cuts=False),
    Grid(1.0, 0.3, 4, cuts=False),  # 1.2 pictures
    Grid(3.0, 3.0, 1, cuts=False),
    Grid(2.0, 1.5, 2, cuts=False),
]


def tick(number: int, seconds: float | None = None) -> Tick:
    return Tick(number, number * 0.1 if seconds is None else seconds, np.full((2, 3, 3), number % 256, np.uint8))


def expected(grid: Grid, length: int) -> list[tuple[int, list[int]]]:
    """(where it begins, its pictures) of each window over a film of so many pictures, written down plainly."""
    size, found, k = grid.num_frames, [], 0
    while (begin := round(k * grid.stride_seconds * grid.num_frames / grid.window_seconds)) + size <= length:
        found.append((begin, list(range(begin, begin + size))))
        k += 1
    if length and (not found or found[-1][1][-1] < length - 1):
        begin = max(0, length - size)
        count = length - begin
        found.append((begin, [begin + n * count // size for n in range(size)]))
    return found


def batches(grid: Grid, length: int, at_once: int) -> Iterator[tuple[Batch, Ring]]:
    ring = Ring(grid)
    for number in range(length):
        ring.add(tick(number))
        while ring.ready >= at_once:
            yield ring.take(at_once), ring  # type: ignore[misc]
    ring.close()
    while (batch := ring.take(at_once)) is not None:
        yield batch, ring


@pytest.mark.parametrize("at_once", [1, 3, 16])
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_every_window_has_its_pictures(grid: Grid, at_once: int) -> None:
    size = grid.num_frames
    for length in {0, 1, 2, size - 1, size, size + 1, 2 * size - 1, 2 * size, 3 * size + 1, 150}:
        found = []
        for batch, _ in batches(grid, length, at_once):
            assert 1 <= len(batch.windows) <= at_once and batch.frames.dtype == np.uint8
            numbers = batch.frames[:, 0, 0, 0].tolist()
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "each picture once"
            for window in batch.windows:
                pictures = [numbers[row] for row in window.rows]
                found.append((window.first_tick, pictures))
                assert window.seconds == tuple(0.1 * n for n in pictures)
                assert window.start == pytest.approx(window.first_tick * grid.tick_seconds)
                assert window.end == pytest.approx((pictures[-1] + 1) * grid.tick_seconds)
        assert found == expected(grid, length), length


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_the_whole_film_is_covered_and_windows_begin_near_their_strides(grid: Grid) -> None:
    windows = [window for batch, _ in batches(grid, 200, 4) for window in batch.windows]
    assert windows[0].start == 0 and windows[-1].end == pytest.approx(200 * grid.tick_seconds)
    for k, window in enumerate(windows[:-1]):
        assert abs(window.start - k * grid.stride_seconds) <= grid.tick_seconds / 2 + 1e-9
    begins = [window.first_tick for window in windows]
    assert begins == sorted(set(begins)), "no window twice"


@pytest.mark.parametrize("at_once", [1, 4, 32])
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_no_more_is_held_than_windows_to_come_need(grid: Grid, at_once: int) -> None:
    bound = grid.num_frames + at_once * (grid.stride_seconds / grid.tick_seconds + 1)
    ring, most = Ring(grid), 0
    for number in range(3000):
        ring.add(tick(number))
        most = max(most, len(ring))
        while ring.ready >= at_once:
            ring.take(at_once)
            assert ring.ready or len(ring) <= grid.num_frames + 1
    assert grid.num_frames <= most <= bound + 1, "the newest is not decided on"


def test_pictures_are_held_by_reference_and_let_go() -> None:
    """One picture that is on screen at several times is one object."""
    ring, image = Ring(Grid(2.0, 1.0, 4, cuts=False)), np.zeros((2, 3, 3), np.uint8)
    for number in range(4):
        ring.add(Tick(number, 0.0, image))
    assert len(ring) == 4
    assert all(held.image is image for held in ring._ticks)
    for number in range(4, 20):
        ring.add(Tick(number, 0.4 * number, np.zeros_like(image)))
    batch = ring.take(1)
    assert batch is not None and batch.frames.shape == (4, 2, 3, 3) and not np.shares_memory(batch.frames, image)
    while ring.take(1):
        pass
    assert not any(held.image is image for held in ring._ticks)


def test_no_window_ends_after_the_film() -> None:
    for length, ends in ((9, [2.0, 3.0, 4.0, 4.35]), (3, [1.4])):
        ring = Ring(Grid(2.0, 1.0, 4, cuts=False))
        for number in range(length):
            ring.add(tick(number))
        ring.close(ends[-1])
        batch = ring.take(9)
        assert batch is not None and [window.end for window in batch.windows] == ends


def moving(pictures: int, times: int) -> Iterator[Tick]:
    """A stripe that moves fast, each picture on screen at so many times of the grid."""
    whole = np.random.default_rng(0).integers(0, 256, (64, 64 + 8 * pictures, 3), np.uint8)
    for number in range(pictures * times):
        shown = number // times
        yield Tick(number, shown * times * 0.1, whole[:, 8 * shown : 8 * shown + 64])


@pytest.mark.parametrize("times", [1, 2, 4])
def test_a_pan_of_few_pictures_a_second_has_no_cuts(times: int) -> None:
    ring = Ring(Grid(0.8, 0.4, 8))
    for one in moving(40, times):
        ring.add(one)
    ring.close(40 * times * 0.1)
    windows = batch.windows if (batch := ring.take(1000)) else ()
    assert [window.first_tick for window in windows] == list(range(0, 40 * times - 7, 4)), "of one shot"


def test_nothing_is_taken_of_an_empty_film_or_before_a_window_is_there() -> None:
    ring = Ring(Grid(2.0, 1.0, 4, cuts=False))
    assert ring.take(8) is None
    ring.add(tick(0))
    assert ring.ready == 0 and ring.take(8) is None and len(ring) == 1
    empty = Ring(Grid(2.0, 1.0, 4, cuts=False))
    empty.close()
    assert empty.ready == 0 and empty.take(1) is None


@pytest.mark.parametrize(
    ("window", "stride", "said"),
    [
        (0.0, 0.5, "A window of 0 s"),
        (-2.0, 0.5, "A window of -2 s"),
        (float("nan"), 0.5, "A window of nan s"),
        (601.0, 0.5, "at most 600 s"),
        (2.0, 2.1, "from 0.0625 to 2 s"),
        (2.0, 0.06, "A stride of 0.06 s"),
        (2.0, 0.0, "A stride of 0 s"),
        (2.0, float("nan"), "A stride of nan s"),
    ],
)
def test_impossible_grids_are_a_sentence(window: float, stride: float, said: str) -> None:
    with pytest.raises(UserError, match=re.escape(said)) as caught:
        Grid(window, stride, 32)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    ("window", "frames", "stride"), [(2.1, 3, 0.7), (1.1, 5, 0.22), (6.5, 32, 6.5), (2.56, 32, 0.08)]
)
def test_a_stride_of_one_picture_or_a_window_is_possible(window: float, frames: int, stride: float) -> None:
    grid = Grid(window, stride, frames)
    begins = [grid.first_tick(k) for k in range(1000)]
    assert begins == [k * begins[1] for k in range(1000)] and begins[1] in (1, frames)


def scene(number: int, colour: int) -> Tick:
    """A picture of one scene: a noise that changes a little from one to the next, on a colour of its own."""
    noise = np.random.default_rng(number).integers(0, 8, (32, 32, 3))
    return Tick(number, number * 0.1, (noise + colour).astype(np.uint8))


def windows_of(grid: Grid, shots: list[tuple[int, int]], at_once: int = 3) -> list[tuple[int, int]]:
    """(first picture, one after the last) of each window over shots of (pictures, colour)."""
    ring, number = Ring(grid), 0
    found: list[tuple[int, int]] = []

    def take() -> None:
        while batch := ring.take(at_once):
            places = [round(window.seconds[0] * 10) for window in batch.windows]
            found.extend((w.first_tick, round(w.end / grid.tick_seconds)) for w in batch.windows)
            assert places == [w.first_tick for w in batch.windows]

    for length, colour in shots:
        for _ in range(length):
            ring.add(scene(number, colour))
            number += 1
            if ring.ready >= at_once:
                take()
    ring.close()
    take()
    return found


def test_windows_keep_within_shots() -> None:
    grid = Grid(0.8, 0.2, 8)  # a picture every 0.1 s, a window every two
    assert windows_of(grid, [(11, 10), (8, 120), (5, 230), (9, 60)]) == [
        (0, 8),
        (2, 10),
        (3, 11),
        (11, 19),
        (19, 24),  # a shot that is shorter than a window
        (24, 32),
        (25, 33),
    ]


def test_a_shot_shorter_than_a_window_has_its_pictures_spread_over_it() -> None:
    ring = Ring(Grid(0.8, 0.2, 8))
    for number in range(5):
        ring.add(scene(number, 10))
    ring.close()
    batch = ring.take(1)
    assert batch is not None and batch.windows[0].rows == (0, 0, 1, 1, 2, 3, 3, 4)
    assert batch.windows[0].start == 0.0 and batch.windows[0].end == pytest.approx(0.5)


def test_what_is_too_short_for_a_shot_is_none() -> None:
    """A flash of one picture is part of the shot beside it."""
    grid = Grid(0.8, 0.2, 8)
    assert windows_of(grid, [(1, 200), (15, 10)]) == windows_of(Grid(0.8, 0.2, 8, cuts=False), [(16, 10)])


def test_shots_are_told_apart_only_where_that_is_wanted() -> None:
    shots = [(11, 10), (8, 120)]
    assert windows_of(Grid(0.8, 0.2, 8, cuts=False), shots) == windows_of(Grid(0.8, 0.2, 8), [(19, 10)])
