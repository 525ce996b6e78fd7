"""The media worker's tasks: open, sample, decode, resize and crop. No torch."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from engine.tasks import DrawInside, Frames, Hold, MakePreview, MakeThumbnail, Nothing, ReadFrames, ReadTimings
from engine.worker import typed
from vivit.checkpoint import open_checkpoint
from vivit.explain.drawing import strip_png
from vivit.explain.export import overlay_mp4
from vivit.preparing import prepare_clip
from vivit.progress import Progress
from vivit.video import VideoError, VideoInfo, VideoLimits, examined
from vivit.video.preview import encode_mp4

# One call ends with a sentence of its own before the worker's 30 s end its process.
LIMITS = VideoLimits(max_seconds=25.0, max_frames=300_000)  # 3 hours at 25 frames a second
PREVIEW_SECONDS, PREVIEW_FPS = 10.0, 60.0  # at most
ROUNDING_SECONDS = 0.002  # by which file formats make frames come too soon
HOLD_SECONDS = 0.05  # between two looks for a cancel
THUMBNAIL = (264, 198)  # pixels: twice as many as it takes on the page, for sharp screens


def read(request: ReadFrames, blobs: list[bytes], progress: Progress) -> tuple[Frames, list[bytes]]:
    """Read the frames a model gets; progress is called as they arrive."""
    checkpoint = open_checkpoint(request.checkpoint, weights=False, here=True)
    with _called_this_clip(request.path):
        clip = prepare_clip(
            request.path,
            checkpoint.config.num_frames,
            checkpoint.processor,
            sampling=request.sampling,
            stride=request.stride,
            limits=LIMITS,
            progress=lambda fraction: progress(fraction, "reading frames"),
        )
    sampled, info = clip.sampled, clip.sampled.info
    frames = Frames(
        shape=clip.pixels.shape,  # type: ignore[arg-type]
        indices=sampled.indices,
        seconds=sampled.seconds,
        num_frames=info.num_frames,
        duration_seconds=info.duration_seconds,
        fps=info.fps,
        width=info.width,
        height=info.height,
        codec=info.codec,
        container=_container(info, Path(request.path)),
        plain=info.plain and not sampled.deinterlaced,
        warnings=sampled.warnings,
        crop_box=checkpoint.processor.crop_box(info.height, info.width),
        timings_ms=ReadTimings(**clip.timings_ms),
    )
    pictures: dict[int, bytes] = {}
    for index, pixels in zip(sampled.indices, clip.pixels, strict=True):
        if index not in pictures:
            file = BytesIO()
            Image.fromarray(pixels).save(file, "JPEG", quality=90)
            pictures[index] = file.getvalue()
    return frames, [clip.pixels.tobytes(), *(pictures[index] for index in sampled.indices)]


def _container(info: VideoInfo, path: Path) -> str:
    """FFmpeg has one name for MP4 and MOV, and one for Matroska and WebM; browsers play only one of the latter two."""
    if info.container.startswith("matroska"):
        with path.open("rb") as file:
            return "webm" if b"webm" in file.read(64) else "mkv"
    return "mp4" if "mp4" in info.container else info.container


def preview(request: MakePreview, blobs: list[bytes], progress: Progress) -> tuple[Nothing, list[bytes]]:
    """Make a clip that every browser plays; progress is called as frames arrive."""
    with _called_this_clip(request.path):
        made = examined(
            request.path,
            _previewed,
            lambda info, frames: encode_mp4(
                ((frame.seconds, frame.image) for frame in frames),
                end_seconds=min(info.end_seconds, info.frame_seconds[0] + PREVIEW_SECONDS),
                height=360,
            ),
            limits=LIMITS,
            progress=lambda fraction: progress(fraction, "making a preview"),
        )
    return Nothing(), [made.result]


def _previewed(info: VideoInfo) -> list[int]:
    """The frames of a preview: all of the first seconds, but for those that come faster than screens show them."""
    first = info.frame_seconds[0]
    chosen: list[int] = []
    due = first
    for index, seconds in enumerate(info.frame_seconds):
        if seconds - first >= PREVIEW_SECONDS and chosen:
            break
        if seconds >= due - ROUNDING_SECONDS:
            chosen.append(index)
            due = max(due, seconds - 1 / PREVIEW_FPS) + 1 / PREVIEW_FPS
    return chosen


def thumbnail(request: MakeThumbnail, blobs: list[bytes], progress: Progress) -> tuple[Nothing, list[bytes]]:
    """Take the first frame of a clip; progress is not called."""
    with _called_this_clip(request.path):
        first = examined(request.path, lambda info: [0], lambda info, frames: next(frames).image, limits=LIMITS).result
    file = BytesIO()
    ImageOps.fit(Image.fromarray(first), THUMBNAIL).save(file, "JPEG", quality=80)
    return Nothing(), [file.getvalue()]


def draw(request: DrawInside, blobs: list[bytes], progress: Progress) -> tuple[Nothing, list[bytes]]:
    """Draw a map over the frames that it is of; progress is called between the two pictures."""
    frames = np.frombuffer(blobs[0], np.uint8).reshape(request.shape)
    weights = np.frombuffer(blobs[1], np.float32).reshape(request.grid)
    progress(0.0, "drawing")
    strip = strip_png(frames, weights, request.seconds, request.opacity)
    progress(0.3, "making a video")
    return Nothing(), [
        strip,
        overlay_mp4(frames, request.seconds, request.end_seconds, weights, request.opacity),
    ]


def hold(request: Hold, blobs: list[bytes], progress: Progress) -> tuple[Nothing, list[bytes]]:
    """Do nothing until cancelled."""
    while True:
        progress(0.0, "waiting while a benchmark is timed")
        time.sleep(HOLD_SECONDS)


@contextmanager
def _called_this_clip(path: str) -> Iterator[None]:
    """Put 'this clip' in the place of the file's name in errors: on disk it has one that means nothing to the visitor."""
    try:
        yield
    except VideoError as error:
        sentence = str(error).replace(repr(Path(path).name), "this clip")
        details = error.details.replace(path, "this clip")
        raise VideoError(sentence[0].upper() + sentence[1:], details) from error


TASKS = typed({ReadFrames: read, MakePreview: preview, MakeThumbnail: thumbnail, DrawInside: draw, Hold: hold})
