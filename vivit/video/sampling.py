"""Which frames of a clip the model gets."""

from collections.abc import Callable, Sequence

import numpy as np

from vivit.video.container import VideoError
from vivit.views import STRIDE, Views

SamplingRule = Callable[[int, int, int, int], list[int]]  # num_frames, total, stride, start


def _uniform(num_frames: int, total: int, stride: int, start: int) -> list[int]:
    if num_frames == 1:
        return [(total - 1) // 2]
    gaps = num_frames - 1
    return [(i * (total - 1) + gaps // 2) // gaps for i in range(num_frames)] if total > num_frames else [*range(total)]


def _consecutive(num_frames: int, total: int, stride: int, start: int) -> list[int]:
    return [*range(start, total, stride)][:num_frames]


def _transformers(num_frames: int, total: int, stride: int, start: int) -> list[int]:
    wanted = np.linspace(0, num_frames * stride - 1, num_frames, dtype=np.int64).tolist()
    return [index for index in wanted if index < total]


def _parts(num_frames: int, total: int, stride: int, start: int) -> list[int]:
    return [i * total // num_frames for i in range(num_frames)]


def _center(num_frames: int, total: int, stride: int, start: int) -> list[int]:
    span = (num_frames - 1) * stride + 1
    return _consecutive(num_frames, total, stride, max(0, (total - span) // 2))


SAMPLING: dict[str, SamplingRule] = {
    "uniform": _uniform,  # the whole clip, first and last frame included; evenly in time, see `choose_indices`
    "consecutive": _consecutive,  # from `start`, every `stride`-th
    # As the pipeline of transformers: without torchvision from the first frame, evenly over `num_frames * stride` frames;
    # with torchvision (since 5) the first of each of `num_frames` parts of the clip.
    "transformers": _transformers,
    "transformers-torchvision": _parts,
    "center": _center,  # a window in the middle, every `stride`-th
}


HELD = 0.05  # of a clip's length: a last picture that is shown for so much longer than others is held


def comes_evenly(edges: Sequence[float]) -> bool:
    """Whether frames come at a constant rate: none more than half a frame from where the best such grid has it.

    So times may be rounded and a frame may be missing. A picture that is held at the end makes a clip uneven.

    Args:
        edges: (total + 1,) times at which the frames are shown, ascending, and the time at which the last one has been.

    Returns:
        Whether they do; one frame alone does.

    Example:
        >>> comes_evenly([0.0, 0.04, 0.08, 0.12])
        True
        >>> comes_evenly([0.0, 0.033, 0.067, 0.1])
        True
        >>> comes_evenly([0.0, 0.04, 0.08, 1.0])
        False
    """
    seconds, end = np.asarray(edges[:-1]), edges[-1]
    if len(seconds) < 2:
        return True
    interval = (seconds[-1] - seconds[0]) / (len(seconds) - 1)
    off = seconds - interval * np.arange(len(seconds))
    held = end - seconds[-1] - interval
    return bool(np.ptp(off) <= interval * 1.001 and held <= max(interval / 2, HELD * (end - seconds[0])))


def on_screen(edges: Sequence[float], num_frames: int) -> list[int]:
    """Which frame is on screen at each of `num_frames` times that are spread evenly over the clip, both ends included.

    Args:
        edges: as `comes_evenly`'s.
        num_frames: how many times, > 0; one is the middle of the clip.

    Returns:
        `num_frames` indices, ascending.

    Example:
        >>> on_screen([0.0, 0.1, 0.2, 1.0], 6)
        [0, 2, 2, 2, 2, 2]
        >>> on_screen([0.0, 0.1, 0.2, 1.0], 1)
        [2]
    """
    times = np.linspace(edges[0], edges[-1], num_frames) if num_frames > 1 else [(edges[0] + edges[-1]) / 2]
    # A frame that is due at the very time counts, whichever way either was rounded.
    indices: list[int] = (np.searchsorted(edges[:-1], np.asarray(times) + 1e-6, side="right") - 1).tolist()
    return indices


def too_few(total: int) -> str:
    """What to tell the user where a rule finds fewer frames than it should."""
    return f"The clip has too few frames for this choice ({total}), so the last one is repeated."


def choose_indices(
    num_frames: int,
    *,
    total: int,
    sampling: str = "uniform",
    stride: int = 1,
    start: int = 0,
    edges: Sequence[float] | None = None,
) -> list[int]:
    """Choose which frames of a clip the model gets.

    Args:
        num_frames: how many to choose, > 0.
        total: frames in the clip, > 0; if the rule finds fewer than `num_frames`, the last index found repeats.
        sampling: a name in `SAMPLING`.
        stride: distance between chosen frames, > 0; `vivit.names.WITHOUT_STRIDE` ignore it.
        start: first frame, in [0, total); only "consecutive" uses it.
        edges: times of the frames and of the clip's end, as `comes_evenly` takes them. Where they come unevenly, "uniform"
            takes the frame on screen at each of `num_frames` evenly spread times.

    Returns:
        `num_frames` indices, ascending, each in [0, total).

    Raises:
        ValueError: if an argument is outside its range.
        VideoError: if `start` lies beyond the clip's end.

    Example:
        Four of ten frames by each rule.

        >>> choose_indices(4, total=10)
        [0, 3, 6, 9]
        >>> choose_indices(4, total=10, sampling="consecutive", stride=2, start=1)
        [1, 3, 5, 7]
        >>> choose_indices(4, total=10, sampling="center", stride=2)
        [1, 3, 5, 7]
        >>> choose_indices(4, total=10, sampling="transformers", stride=2)
        [0, 2, 4, 7]
        >>> choose_indices(4, total=10, sampling="transformers-torchvision")
        [0, 2, 5, 7]

        A clip that is too short, and one whose last frame is held for as long as all others take.

        >>> choose_indices(4, total=3)
        [0, 1, 2, 2]
        >>> choose_indices(4, total=4, edges=[0.0, 0.1, 0.2, 0.3, 0.6])
        [0, 2, 3, 3]
    """
    if num_frames < 1 or total < 1 or stride < 1 or start < 0:
        raise ValueError(
            f"num_frames={num_frames}, total={total} and stride={stride} must be at least 1, start={start} at least 0"
        )
    if sampling not in SAMPLING:
        raise ValueError(f"sampling must be one of {', '.join(SAMPLING)}, not {sampling!r}")
    if sampling == "consecutive" and start >= total:
        raise VideoError(f"The clip has {total} frames, so it cannot start at frame {start}; choose an earlier start.")
    if sampling == "uniform" and edges is not None and not comes_evenly(edges):
        return on_screen(edges, num_frames)
    indices = SAMPLING[sampling](num_frames, total, stride, start)
    return indices + indices[-1:] * (num_frames - len(indices))


def choose_views(
    num_frames: int,
    *,
    total: int,
    views: Views,
    sampling: str = "uniform",
    stride: int | None = None,
    start: int = 0,
    edges: Sequence[float] | None = None,
) -> list[int]:
    """Choose the frames of every temporal view of a clip.

    Args:
        num_frames: T, frames of each view, > 0.
        views: of one temporal view the frames are those of `choose_indices`; several begin at `Views.starts`, and each has
            every `stride`-th frame from there on, as with "consecutive".
        stride: see `choose_indices`; if None it is 1, and `vivit.views.STRIDE` for several temporal views.
        total, sampling, start, edges: see `choose_indices`.

    Returns:
        (S·T,) indices, those of one temporal view after the other; they ascend within each.

    Raises:
        UserError: for another sampling than "uniform", or a start, with several temporal views.
        and what `choose_indices` raises.

    Example:
        Two views of three frames, every second one, that share a clip.

        >>> choose_views(3, total=12, views=Views(temporal=2), stride=2)
        [0, 2, 4, 6, 8, 10]
    """
    views.check(sampling, start)
    if views.temporal == 1:
        step = 1 if stride is None else stride
        return choose_indices(num_frames, total=total, sampling=sampling, stride=step, start=start, edges=edges)
    step = STRIDE if stride is None else stride
    chosen = (
        choose_indices(num_frames, total=total, sampling="consecutive", stride=step, start=first)
        for first in views.starts(total, num_frames, step)
    )
    return [index for indices in chosen for index in indices]


def too_short(indices: Sequence[int], total: int, views: Views) -> list[str]:
    """What to tell the user where the clip is too short for views that differ: a sentence, or none.

    Args:
        indices: (S·T,) as `choose_views` returns them.
        total: frames in the clip.
        views: what was asked for.
    """
    size = len(indices) // views.temporal
    if views.temporal == 1 or indices[:size] != indices[-size:]:
        return []
    return [
        f"The clip is too short for temporal views that differ ({total} frames), so all {views.temporal} are the same."
    ]
