"""Windows that slide over a film, on a grid of times, and the ring of pictures that they still need. No torch is used.

Letters: T frames of a window, H × W pixels; n pictures of a batch, B windows.
"""

from collections import deque
from dataclasses import dataclass
from math import inf

import numpy as np

from vivit.errors import UserError
from vivit.film import Tick
from vivit.timeline.cuts import Cuts

STRIDE_SECONDS = 0.5  # the usual one
LONGEST_SECONDS = 600.0  # of a window
STILL_TICKS = 8  # at which a picture is on screen until it is taken for a still
SHORTEST_SHOT = 0.25  # of a window; what is shorter is no shot of its own
ROUNDING = 1e-9  # of a stride: a third of 2.1 s is not to be refused for it


@dataclass(frozen=True)
class Grid:
    """How windows lie over a film: each has T pictures, one in the beginning of each of T equal parts.

    All windows begin at times of one grid, so that a picture serves every window that it is in: window k begins at the time of
    the grid that is nearest to k strides.

    Args:
        window_seconds: how long a window is.
        stride_seconds: from one to the next, on average.
        num_frames: T.
        cuts: whether each shot is treated as a film of its own: windows do not reach over a cut, and a shot that is shorter
            than a window gets one of its own length.

    Raises:
        UserError: for impossible values.
    """

    window_seconds: float
    stride_seconds: float
    num_frames: int
    cuts: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.window_seconds <= LONGEST_SECONDS:
            raise UserError(
                f"A window of {self.window_seconds:g} s cannot be used; choose more than 0 and at most {LONGEST_SECONDS:g} s."
            )
        # Not below the grid, or two windows would be one; not above a window, or pictures would be passed over.
        if not self.tick_seconds * (1 - ROUNDING) <= self.stride_seconds <= self.window_seconds * (1 + ROUNDING):
            raise UserError(
                f"A stride of {self.stride_seconds:g} s cannot be used with windows of {self.window_seconds:g} s and "
                f"{self.num_frames} frames; choose one from {self.tick_seconds:.3g} to {self.window_seconds:g} s."
            )

    @property
    def tick_seconds(self) -> float:
        """From one picture of a window to the next."""
        return self.window_seconds / self.num_frames

    def first_tick(self, k: int) -> int:
        """Where window k begins, in steps from the beginning of its shot."""
        return round(k * self.stride_seconds / self.tick_seconds)


@dataclass(frozen=True)
class Window:
    """A stretch of a film.

    Args:
        first_tick: where it begins on the grid.
        start, end: in seconds from the film's first picture on.
        seconds: (T,) the times of its pictures; some repeat if the film or the shot is shorter than a window.
        rows: (T,) its pictures, as places in those of its `Batch`.
    """

    first_tick: int
    start: float
    end: float
    seconds: tuple[float, ...]
    rows: tuple[int, ...]


@dataclass(frozen=True)
class Batch:
    """Windows to classify together. Args: frames: (n, H, W, 3) uint8, each once; windows: of these."""

    frames: np.ndarray
    windows: tuple[Window, ...]


class Ring:
    """The pictures that windows to come still need, and the windows that are complete.

    Args:
        grid: how windows lie.
    """

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self._ticks: deque[Tick] = deque()
        self._cuts = Cuts()
        self._pending: list[Tick] = []  # one picture, of which it is not yet known whether it begins a shot
        self._end = inf  # of the film, in seconds
        self._first: int | None = None
        self._shot = 0  # where the shot begins
        self._k = 0  # the window of the shot that comes next
        self._covered = 0  # to where a window reaches
        self._ready: deque[tuple[int, int]] = deque()  # where complete windows begin, and how many steps they last

    def __len__(self) -> int:
        """How many pictures are held."""
        return len(self._ticks) + len(self._pending)

    @property
    def ready(self) -> int:
        """How many windows are complete and not yet taken."""
        return len(self._ready)

    def add(self, tick: Tick) -> None:
        """Take in the next picture, and decide whether the one before it begins a shot.

        A picture that is on screen at several times of the grid is looked at once: a second look would find no change, and what
        moves would seem to leap after it. A still is looked at again every `STILL_TICKS` times.
        """
        if self._pending and self._pending[0].seconds == tick.seconds and len(self._pending) < STILL_TICKS:
            self._pending.append(tick)
            return
        self._decide(self.grid.cuts and self._cuts.add(tick.image))
        self._pending = [tick]

    def close(self, end_seconds: float = inf) -> None:
        """The film has ended. Args: end_seconds: when."""
        self._end = end_seconds
        self._decide(False)
        self._pending = []
        self._end_shot()

    def _decide(self, begins: bool) -> None:
        for number, tick in enumerate(self._pending):
            self._append(tick, begins and not number)

    def _append(self, tick: Tick, begins: bool = False) -> None:
        """Args: begins: whether it is the first of another shot."""
        if self._first is None:
            self._first = self._shot = self._covered = tick.number
        if begins and tick.number - self._shot >= SHORTEST_SHOT * self.grid.num_frames:
            self._end_shot()
            self._shot, self._k = tick.number, 0
        self._ticks.append(tick)
        while self._next + self.grid.num_frames <= tick.number + 1:
            self._ready.append((self._next, self.grid.num_frames))
            self._covered = tick.number + 1
            self._k += 1

    def _end_shot(self) -> None:
        """What no window covers gets one that ends with the shot."""
        end = self._ticks[-1].number + 1 if self._ticks else 0
        if end > self._covered:
            begin = max(self._shot, end - self.grid.num_frames)
            self._ready.append((begin, end - begin))
            self._covered = end

    @property
    def _next(self) -> int:
        return self._shot + self.grid.first_tick(self._k)

    def take(self, most: int) -> Batch | None:
        """The next windows, at most so many, with their pictures; None if none is complete."""
        taken = [self._ready.popleft() for _ in range(min(most, len(self._ready)))]
        if not taken:
            return None
        base, end = taken[0][0], max(begin + count for begin, count in taken)
        held = {tick.number: tick for tick in self._ticks}
        windows = tuple(self._window(begin, count, held, base) for begin, count in taken)
        frames = np.stack([held[number].image for number in range(base, end)])
        newest = self._ticks[-1].number
        # The last window's pictures stay: one that ends with the shot may need them.
        still = (
            self._ready[0][0] if self._ready else max(self._shot, min(self._next, newest + 1 - self.grid.num_frames))
        )
        while self._ticks and self._ticks[0].number < still:
            self._ticks.popleft()
        return Batch(frames, windows)

    def _window(self, begin: int, count: int, held: dict[int, Tick], base: int) -> Window:
        frames, step = self.grid.num_frames, self.grid.tick_seconds
        numbers = [begin + j * count // frames for j in range(frames)]
        return Window(
            begin,
            begin * step,
            min((begin + count) * step, self._end),
            tuple(held[number].seconds for number in numbers),
            tuple(number - base for number in numbers),
        )
