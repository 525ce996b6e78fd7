"""From a video file to the chosen pictures, with their true indices and presentation times.

`probe` lists every displayed picture, `choose_views` picks some, `decode` decodes only those; `read_frames` does all
three. Counts and times come from the packets or from decoding, never from the header, which may be absent or wrong. Files
are taken to be hostile: only the given file is opened, and pictures, frames and time are bounded.

Letters: T chosen frames of each of S temporal views, H and W the height and width of one picture as a viewer sees it.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from PIL import Image

from vivit.video.container import TellFraction, VideoLimits, Watch
from vivit.video.decoding import Frame, FramesMissingError, Transform, decode_frames
from vivit.video.info import VideoInfo
from vivit.video.probing import DEINTERLACED, list_frames
from vivit.video.sampling import choose_views, comes_evenly, too_few, too_short
from vivit.views import ONE, Views

Result = TypeVar("Result")


@dataclass(frozen=True)
class SampledFrames:
    """The chosen pictures of one clip.

    Args:
        frames: (S·T, H, W, 3) uint8 RGB, or whatever shape the transform gave.
        indices: (S·T,) true frame indices, ascending within a view; the last repeats if the clip is too short.
        seconds: (S·T,) presentation times from the clip's first frame on.
        info: what the file holds.
        warnings: sentences for the user, `info.warnings` included.
        deinterlaced: whether one of them was made of two fields.
        timings_ms: "probe" and "decode" (the transform included), wall time in ms.
    """

    frames: np.ndarray
    indices: tuple[int, ...]
    seconds: tuple[float, ...]
    info: VideoInfo
    warnings: tuple[str, ...]
    deinterlaced: bool
    timings_ms: dict[str, float]


def probe(
    path: str | os.PathLike[str],
    *,
    geometry: str = "upright",
    limits: VideoLimits | None = None,
    progress: TellFraction | None = None,
) -> VideoInfo:
    """List every displayed picture of a video file.

    The packets are read, which is fast, and one picture is decoded; where packets do not tell, everything is decoded.

    Args:
        path: the file.
        geometry: a key of `vivit.names.GEOMETRY`, by which its pictures are to be read.
        limits: what the call may cost.
        progress: called with the fraction done, up to 20 times a second; may raise to cancel.

    Returns:
        What the file holds, with at least one frame.

    Raises:
        VideoError: if it cannot be read, in one sentence.
        ValueError: for another geometry.
    """
    limits = limits or VideoLimits()
    return list_frames(os.fspath(path), limits, Watch(path, limits, progress), geometry=geometry)


def decode(
    info: VideoInfo,
    indices: Iterable[int],
    *,
    transform: Transform | None = None,
    limits: VideoLimits | None = None,
    progress: TellFraction | None = None,
) -> Iterator[Frame]:
    """Decode chosen pictures, and no more than they need, one after the other.

    Pictures that start from different key frames are decoded side by side, by at most `MAX_LANES` decoders, each of them
    one picture ahead, or more with a `transform`.

    Args:
        info: from `probe`.
        indices: in [0, info.num_frames), ascending; one that repeats is decoded once and yielded again.
        transform: (H, W, 3) uint8 picture to the smaller picture to yield; runs in the decoders' threads.
        limits: what the call may cost; the caller's own time between two pictures counts too.
        progress: called in the caller's thread with the fraction done, up to 20 times a second; may raise to cancel.

    Yields:
        One `Frame` per index, each of its own size should the size change within the clip.

    Raises:
        FramesMissingError: if a picture that `probe` found in the packets cannot be decoded.
        VideoError: if the file cannot be read, in one sentence.
        ValueError: if the indices do not ascend or are out of range.
    """
    limits = limits or VideoLimits()
    return decode_frames(info, list(indices), transform, limits, Watch(info.path, limits, progress))


def read_frames(
    path: str | os.PathLike[str],
    num_frames: int,
    *,
    sampling: str = "uniform",
    stride: int | None = None,
    start: int = 0,
    views: Views = ONE,
    geometry: str = "upright",
    transform: Transform | None = None,
    limits: VideoLimits | None = None,
    progress: TellFraction | None = None,
) -> SampledFrames:
    """Choose and decode frames of a video file, each once.

    If decoding shows that the packets promised too much, the clip is counted by decoding and chosen from again.

    Args:
        path: the file.
        num_frames: T, how many frames to choose of a temporal view, > 0.
        sampling, stride, start, views: see `choose_views`.
        geometry: how pictures are read, a key of `vivit.names.GEOMETRY`.
        transform: (H, W, 3) uint8 picture to the picture to keep, applied as pictures arrive, in the decoders' threads,
            so that large ones are never held together. Without it, pictures that differ in size from the first chosen
            one are resized to it.
        limits: what the call may cost, probing included.
        progress: called with the fraction done, up to 20 times a second; may raise to cancel.

    Returns:
        The frames with their indices and times.

    Raises:
        VideoError: if the file cannot be read, in one sentence.
        ValueError: see `choose_views`, or for another geometry.
        UserError: see `choose_views`.
    """
    limits = limits or VideoLimits()
    choice: dict[str, Any] = {"views": views, "sampling": sampling, "stride": stride, "start": start}
    choose_views(num_frames, total=max(1, start + 1), **choice)

    def choose(info: VideoInfo) -> list[int]:
        return choose_views(num_frames, total=info.num_frames, edges=info.edge_seconds, **choice)

    read = examined(
        path,
        lambda info: sorted({*choose(info)}),
        lambda info, pictures: _collect(pictures, choose(info), transform),
        transform,
        limits,
        progress,
        geometry,
    )
    info, indices, (frames, warnings) = read.info, choose(read.info), read.result
    if sampling == "uniform" and views.temporal == 1 and not comes_evenly(info.edge_seconds):
        warnings.append(
            "The clip's frames come unevenly, so they were chosen evenly in time: the one on screen at each."
        )
    elif len(set(indices)) < num_frames:
        warnings.append(too_few(info.num_frames))
    warnings += too_short(indices, info.num_frames, views)
    seconds = tuple(info.frame_seconds[i] - info.frame_seconds[0] for i in indices)
    return SampledFrames(
        frames=frames,
        indices=tuple(indices),
        seconds=seconds,
        info=info,
        warnings=tuple(dict.fromkeys((*info.warnings, *warnings))),
        deinterlaced=DEINTERLACED in warnings,
        timings_ms=read.timings_ms,
    )


@dataclass(frozen=True)
class Examined(Generic[Result]):
    """What was made of a clip's frames.

    Args:
        info: what the file holds.
        indices: which frames were chosen.
        result: what was made of them.
        timings_ms: "probe" and "decode", wall time in ms.
    """

    info: VideoInfo
    indices: Sequence[int]
    result: Result
    timings_ms: dict[str, float]


def examined(
    path: str | os.PathLike[str],
    choose: Callable[[VideoInfo], Sequence[int]],
    use: Callable[[VideoInfo, Iterator[Frame]], Result],
    transform: Transform | None = None,
    limits: VideoLimits | None = None,
    progress: TellFraction | None = None,
    geometry: str = "upright",
) -> Examined[Result]:
    """Probe a file, choose frames and use them; where the packets promised too much, once more with what decoding finds.

    Args:
        path: the file.
        choose: from what the file holds to ascending indices.
        use: what to make of the frames, which come one after the other; called anew if a promised one is not there.
        transform, progress, geometry: as `read_frames` takes them.
        limits: what all of it may cost together.

    Returns:
        What `use` made, of which frames, and the time it took.

    Raises:
        VideoError: if the file cannot be read, in one sentence.
        ValueError: if the chosen indices do not ascend or are out of range, or for another geometry.
    """
    limits = limits or VideoLimits()
    watch = Watch(path, limits, progress)
    watch.span = (0.0, 0.4)
    begin = time.perf_counter()
    info = list_frames(os.fspath(path), limits, watch, geometry=geometry)
    probed = time.perf_counter()
    for attempt in ("packets", "decoding"):
        indices = choose(info)
        try:
            watch.span = (0.4, 1.0)
            result = use(info, decode_frames(info, list(indices), transform, limits, watch))
            break
        except FramesMissingError:
            if attempt == "decoding" or not info.keyframe_seconds:
                raise
            watch.span = (0.4, 0.4)
            info = list_frames(info.path, limits, watch, promised=info.num_frames, geometry=geometry)
    timings_ms = {"probe": (probed - begin) * 1e3, "decode": (time.perf_counter() - probed) * 1e3}
    return Examined(info, indices, result, timings_ms)


def _collect(
    pictures: Iterator[Frame], indices: Sequence[int], transform: Transform | None
) -> tuple[np.ndarray, list[str]]:
    """A frame for each of the indices, of pictures that come once each."""
    frames: np.ndarray = np.empty(0, np.uint8)  # (S·T, H, W, 3) once the first picture is here
    damaged: list[int] = []
    resized = deinterlaced = False
    for picture in pictures:
        image = picture.image
        if not len(frames):
            frames = np.empty((len(indices), *image.shape), image.dtype)
        if transform is None and image.shape != frames.shape[1:]:
            height, width = frames.shape[1:3]
            image = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))
            resized = True
        frames[np.equal(indices, picture.index)] = image
        deinterlaced |= picture.deinterlaced
        if picture.damaged:
            damaged.append(picture.index)
    warnings = [DEINTERLACED] if deinterlaced else []
    if resized:
        warnings.append("The picture size changes within the clip; frames were resized to the first one's size.")
    if damaged:
        warnings.append(
            f"The file is damaged: {len(damaged)} of the chosen frames are partly guessed ({damaged[0]} first)."
        )
    return frames, warnings
