"""What a pipeline may be given: what of that is one clip, and a clip of any kind → what the model takes. No torch is used.

Letters: V views, S of them in time, T frames of each, C channels, H × W pixels.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vivit.errors import UserError
from vivit.fetching import MOST_BYTES, fetched, file_name, is_address
from vivit.preparing import ReadyClip, prepare_clip
from vivit.processing import VivitImageProcessor
from vivit.temporary import temporary_folder
from vivit.video.sampling import choose_views, too_few, too_short
from vivit.views import ONE, Views

KINDS = (
    "a path, an address of http:// or https://, bytes, a binary file, frames as an array or a tensor of 4 dimensions, a list "
    "of pictures, or a dict that has one of these as 'video'"
)
BYTES = bytes | bytearray | memoryview
PIECE_BYTES = 2**20


def is_clip(value: Any) -> bool:
    """Whether this is taken for one clip, whether or not it can be classified; else it may hold several."""
    if isinstance(value, str | os.PathLike | Mapping | Image.Image | BYTES) or hasattr(value, "read"):
        return True
    if hasattr(value, "ndim"):
        return value.ndim not in (1, 5)  # names, or clips
    return _is_frames(value)


def is_path(value: Any) -> bool:
    """Whether this is a clip given as the path of a file."""
    return isinstance(value, os.PathLike) or (isinstance(value, str) and not is_address(value))


def _is_frames(value: Any) -> bool:
    """Whether this is a clip given as its pictures."""
    if hasattr(value, "ndim"):
        return bool(value.ndim == 4)
    return (
        isinstance(value, list | tuple)
        and bool(value)
        and all(isinstance(frame, Image.Image) or getattr(frame, "ndim", 0) == 3 for frame in value)
    )


def prepare(
    clip: Any,
    num_frames: int,
    processor: VivitImageProcessor,
    *,
    sampling: str = "uniform",
    stride: int | None = None,
    start: int = 0,
    views: Views = ONE,
    given_up: Future[None] | None = None,
    **reading: Any,
) -> ReadyClip:
    """A clip of any kind, read, resized and cropped.

    Args:
        clip: one of `KINDS`. A dict may be one that `datasets` makes of an undecoded video too: {"bytes": …, "path": …}.
        num_frames: how many frames the model takes. Pictures that are just as many are taken as they are by one temporal view.
        processor: its resize and crop.
        sampling, stride, start, views: see `vivit.video.sampling.choose_views`.
        given_up: see `vivit.fetching.fetched`.
        reading: options of `vivit.video.read_frames` for a clip in a file: geometry, limits, progress.

    Raises:
        vivit.video.VideoError: if a file cannot be used.
        vivit.fetching.FetchError: if an address cannot be fetched.
        ValueError: for what is no clip, or an impossible choice of frames or views.
    """
    begin, name = time.perf_counter(), "clip"
    while isinstance(clip, Mapping):
        name, clip = file_name(str(clip.get("path") or name)), _inside(clip)
    choice: dict[str, Any] = {"sampling": sampling, "stride": stride, "start": start, "views": views}
    if _is_frames(clip):
        indices, pixels = _choose_pictures(clip, num_frames, processor, choice)
        few = [too_few(len(clip))] if len(set(indices)) < num_frames else []
        few += too_short(indices, len(clip), views)
        timings = {"preprocess": (time.perf_counter() - begin) * 1e3}
        return ReadyClip(pixels, indices, [], few, timings)
    with _as_file(clip, name, given_up) as path:
        here = time.perf_counter()
        read = prepare_clip(path, num_frames, processor, **choice, **reading)
    timings = {"fetch": (here - begin) * 1e3} if isinstance(clip, str) and is_address(clip) else {}
    return read.ready(timings)


def _inside(clip: Mapping[Any, Any]) -> Any:
    for key in ("video", "bytes", "path"):
        if clip.get(key) is not None:
            return clip[key]
    raise ValueError(f"a dict needs a clip as 'video', or 'bytes' or 'path', not only {', '.join(map(repr, clip))}")


def _choose_pictures(
    frames: Sequence[Any], num_frames: int, processor: VivitImageProcessor, choice: dict[str, Any]
) -> tuple[list[int], np.ndarray]:
    """The indices of the pictures to take, (S·T,), and their `ReadyClip.pixels`."""
    if not len(frames):
        raise ValueError("a clip of no frames cannot be classified")
    views: Views = choice["views"]
    as_they_are = len(frames) == num_frames and views.temporal == 1
    indices = [*range(num_frames)] if as_they_are else choose_views(num_frames, total=len(frames), **choice)
    distinct = sorted(set(indices))
    small = [processor.small(_here(frames[i]), crops=views.spatial) for i in distinct]
    if len(shapes := {picture.shape[1:] for picture in small}) > 1:
        raise ValueError(f"pictures of different sizes cannot be one clip: {sorted(shapes)}")
    made = np.stack([picture if picture.dtype == np.uint8 else picture.astype(np.float32) for picture in small])
    return indices, views.in_order(made[np.searchsorted(distinct, indices)])


def _here(frame: Any) -> Any:
    """A picture as numpy can read it: a tensor may be on a GPU, have a gradient, or be in bfloat16, which numpy lacks."""
    if not hasattr(frame, "detach"):
        return frame
    frame = frame.detach().cpu()
    return (frame.float() if frame.is_floating_point() else frame).numpy()


@contextmanager
def _as_file(clip: Any, name: str, given_up: Future[None] | None) -> Iterator[Path]:
    """The file that a clip is in, or a temporary one of this name with its content."""
    if isinstance(clip, str) and is_address(clip):
        with fetched(clip, given_up=given_up) as path:
            yield path
    elif isinstance(clip, str | os.PathLike):
        yield Path(clip)
    elif isinstance(clip, BYTES) or hasattr(clip, "read"):
        with temporary_folder() as folder:
            path = folder / name
            with path.open("wb") as file:
                # A memoryview may be of every second byte, and files take none of those.
                for piece in [bytes(clip)] if isinstance(clip, BYTES) else _pieces(clip):
                    file.write(piece)
            yield path
    else:
        shape = f" of shape {tuple(clip.shape)}" if hasattr(clip, "shape") else ""
        raise ValueError(f"a {type(clip).__name__}{shape} is no clip; give {KINDS}")


def _pieces(file: Any) -> Iterator[bytes]:
    """What is left of a binary file, piece by piece. Raises UserError beyond `MOST_BYTES`, since its end may never come."""
    size = 0
    while piece := file.read(PIECE_BYTES):
        if not isinstance(piece, BYTES):
            raise ValueError("a file must be open in binary mode, 'rb', to be classified")
        size += len(piece)
        if size > MOST_BYTES:
            raise UserError(f"The file is larger than {MOST_BYTES / 2**20:g} MB, the limit; give its path instead.")
        yield bytes(piece)
