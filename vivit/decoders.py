"""Clips read ahead by processes of their own, each with one thread. No torch is used, here or in them.

Letters: V views of a clip, T frames of each, H × W pixels.
"""

from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from vivit.inputs import ReadyClip
from vivit.processing import VivitImageProcessor
from vivit.video.container import VideoLimits
from vivit.views import Views


@dataclass(frozen=True)
class Reading:
    """How clips are read: all that a decoder needs to know, so that every engine reads a clip alike.

    Args:
        num_frames: T.
        processor: its resize and crop.
        views: how often a clip is looked at.
        sampling, stride, start: see `vivit.video.sampling.choose_views`.
        geometry: a key of `vivit.names.GEOMETRY`.
        limits: what reading one file may cost; the usual if None.
    """

    num_frames: int
    processor: VivitImageProcessor
    views: Views = field(default_factory=Views)
    sampling: str = "uniform"
    stride: int | None = None
    start: int = 0
    geometry: str = "upright"
    limits: VideoLimits | None = None


def read_clip(path: str | Path, reading: Reading) -> ReadyClip:
    """A file → (V, T, H, W, 3) uint8, in this process and with one thread.

    Raises:
        vivit.video.VideoError: if the file cannot be used.
    """
    raise NotImplementedError


def decode_ahead(
    paths: Iterable[str | Path], reading: Reading, processes: int, ahead: int
) -> Generator[ReadyClip | Exception, None, None]:
    """`read_clip` of every file in their order, by processes that go on while the caller uses what is there.

    Args:
        paths: taken as they are needed.
        reading: how.
        processes: how many, 1 or more.
        ahead: how many clips may be ready or in work beyond the one that is asked for.
    Yields:
        What `read_clip` returns, or the exception that it raises; a process that ends in the middle of a clip is replaced, and
        a clip that ends two of them is one that cannot be read, a `vivit.video.VideoError` which says so.
    """
    raise NotImplementedError
