"""The media worker's tasks: open, sample, decode, resize and crop. No torch."""

import math
import time
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from engine.benchmark import hold
from engine.checkpoints import read_checkpoint
from engine.worker import Progress
from vivit.clip import prepare_clip
from vivit.preview import encode_mp4
from vivit.video import VideoError, VideoInfo, VideoLimits, decode, probe

# One call ends with a sentence of its own before the worker's 30 s end its process.
LIMITS = VideoLimits(max_seconds=25.0, max_frames=300_000)  # 3 hours at 25 frames a second
PREVIEW_SECONDS, PREVIEW_FPS = 10.0, 60.0  # at most
THUMBNAIL = (264, 198)  # pixels: twice as many as it takes on the page, for sharp screens


def read(arguments: dict[str, Any], blobs: list[bytes], progress: Progress) -> tuple[dict[str, Any], list[bytes]]:
    """Read the frames a model gets.

    Args:
        arguments: path; checkpoint; sampling, and its stride.
        blobs: none.
        progress: called as frames arrive.
    Returns:
        What is known of the clip and its frames; the pixels (T, H, W, 3) uint8, then each frame as a JPEG to look at.
    """
    config, processor = read_checkpoint(arguments["checkpoint"])
    with _called_this_clip(arguments["path"]):
        clip = prepare_clip(
            arguments["path"],
            config.num_frames,
            processor,
            sampling=arguments["sampling"],
            stride=arguments["stride"],
            limits=LIMITS,
            progress=lambda fraction: progress(fraction, "reading frames"),
        )
    sampled, info = clip.sampled, clip.sampled.info
    result = {
        "shape": clip.pixels.shape,
        "indices": sampled.indices,
        "seconds": sampled.seconds,
        "num_frames": info.num_frames,
        "duration_seconds": info.duration_seconds,
        "fps": info.fps,
        "width": info.width,
        "height": info.height,
        "codec": info.codec,
        "container": _container(info, Path(arguments["path"])),
        "warnings": sampled.warnings,
        "crop_box": processor.crop_box(info.height, info.width),
        "timings_ms": clip.timings_ms,
    }
    pictures: dict[int, bytes] = {}
    for index, pixels in zip(sampled.indices, clip.pixels, strict=True):
        if index not in pictures:
            file = BytesIO()
            Image.fromarray(pixels).save(file, "JPEG", quality=90)
            pictures[index] = file.getvalue()
    return result, [clip.pixels.tobytes(), *(pictures[index] for index in sampled.indices)]


def _container(info: VideoInfo, path: Path) -> str:
    """FFmpeg has one name for MP4 and MOV, and one for Matroska and WebM; browsers play only one of the latter two."""
    if info.container.startswith("matroska"):
        with path.open("rb") as file:
            return "webm" if b"webm" in file.read(64) else "mkv"
    return "mp4" if "mp4" in info.container else info.container


def preview(arguments: dict[str, Any], blobs: list[bytes], progress: Progress) -> tuple[dict[str, Any], list[bytes]]:
    """Make a clip that every browser plays: H.264 in MP4, at most 10 s and 360 pixels high.

    Args:
        arguments: path.
        blobs: none.
        progress: called as frames arrive.
    Returns:
        Nothing, and the MP4.
    """
    begin = time.monotonic()
    with _called_this_clip(arguments["path"]):
        info = probe(arguments["path"], limits=LIMITS)
        last = bisect_right(info.frame_seconds, info.frame_seconds[0] + PREVIEW_SECONDS)
        step = math.ceil(info.fps / PREVIEW_FPS) or 1
        frames = decode(
            info,
            range(0, last, step),
            limits=_rest(begin),
            progress=lambda fraction: progress(fraction, "making a preview"),
        )
        return {}, [encode_mp4((frame.image for frame in frames), fps=info.fps / step or 1.0, height=360)]


def thumbnail(arguments: dict[str, Any], blobs: list[bytes], progress: Progress) -> tuple[dict[str, Any], list[bytes]]:
    """The first frame of a clip as a small JPEG, cut to 4:3.

    Args:
        arguments: path.
        blobs: none.
        progress: not called.
    Returns:
        Nothing, and the JPEG.
    """
    begin = time.monotonic()
    with _called_this_clip(arguments["path"]):
        info = probe(arguments["path"], limits=LIMITS)
        first = next(iter(decode(info, [0], limits=_rest(begin))))
    file = BytesIO()
    ImageOps.fit(Image.fromarray(first.image), THUMBNAIL).save(file, "JPEG", quality=80)
    return {}, [file.getvalue()]


def _rest(begin: float) -> VideoLimits:
    """What a call may still cost that began at `begin`, by `time.monotonic`."""
    return replace(LIMITS, max_seconds=max(1.0, begin + LIMITS.max_seconds - time.monotonic()))


@contextmanager
def _called_this_clip(path: str) -> Iterator[None]:
    """Put 'this clip' in the place of the file's name in errors: on disk it has one that means nothing to the visitor."""
    try:
        yield
    except VideoError as error:
        sentence = str(error).replace(repr(Path(path).name), "this clip")
        details = error.details.replace(path, "this clip")
        raise VideoError(sentence[0].upper() + sentence[1:], details) from error


TASKS = {"read": read, "preview": preview, "thumbnail": thumbnail, "hold": hold}
