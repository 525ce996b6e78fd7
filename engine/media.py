"""The media worker's tasks: open, sample, decode, resize and crop. No torch."""

import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from engine.clips import called_this_clip, container_name
from engine.holding import hold
from engine.tasks import (
    ClipPixels,
    DecodePictures,
    DrawInside,
    EncodePictures,
    FindClips,
    Frames,
    Hold,
    MakePreview,
    MakeThumbnail,
    Nothing,
    Pictures,
    ReadClip,
    ReadFrames,
    ReadTimings,
)
from engine.worker import typed
from vivit.checkpoint import open_checkpoint
from vivit.errors import UserError
from vivit.evaluate.sources import Found, find_clips
from vivit.explain.drawing import strip_png
from vivit.explain.export import overlay_mp4
from vivit.film import end_of
from vivit.preparing import prepare_clip
from vivit.progress import Progress
from vivit.video import VideoInfo, VideoLimits, examined
from vivit.video.jpeg import decode_jpeg
from vivit.video.preview import encode_mp4
from vivit.views import Views

# One call ends with a sentence of its own before the worker's 30 s end its process.
LIMITS = VideoLimits(max_seconds=25.0, max_frames=300_000)  # 3 hours at 25 frames a second
PREVIEW_SECONDS, PREVIEW_FPS = 10.0, 60.0  # at most
ROUNDING_SECONDS = 0.002  # by which file formats make frames come too soon
BUNDLED = "bundled"  # what `find_clips` calls the clips that ship with the app
KEPT_HEIGHT = 720  # pixels at most, of a clip that a camera's pictures make
THUMBNAIL = (264, 198)  # pixels: twice as many as it takes on the page, for sharp screens


def read(request: ReadFrames, blobs: list[bytes], progress: Progress) -> tuple[Frames, list[bytes]]:
    """Read the frames a model gets; progress is called as they arrive."""
    checkpoint, views = open_checkpoint(request.checkpoint, weights=False, here=True), Views.parse(request.views)
    with called_this_clip(request.path):
        clip = prepare_clip(
            request.path,
            checkpoint.config.num_frames,
            checkpoint.processor,
            views,
            sampling=request.sampling,
            stride=request.stride,
            limits=LIMITS,
            progress=lambda fraction: progress(fraction, "reading frames"),
        )
    sampled, info = clip.sampled, clip.sampled.info
    frames = Frames(
        shape=clip.pixels.shape[1:],
        indices=sampled.indices,
        seconds=sampled.seconds,
        num_frames=info.num_frames,
        duration_seconds=info.duration_seconds,
        fps=info.fps,
        width=info.width,
        height=info.height,
        codec=info.codec,
        container=container_name(info.container, Path(request.path)),
        plain=info.plain and not sampled.deinterlaced,
        warnings=sampled.warnings,
        crop_boxes=tuple(
            checkpoint.processor.crop_box(info.height, info.width, crop, views.spatial) for crop in range(views.spatial)
        ),
        timings_ms=ReadTimings(**clip.timings_ms),
    )
    pictures: dict[tuple[int, int], bytes] = {}  # (crop, index) → JPEG
    shown, length = [], frames.shape[0]
    for view, of_view in enumerate(clip.pixels):
        stretch, crop = divmod(view, views.spatial)
        for index, pixels in zip(sampled.indices[stretch * length :][:length], of_view, strict=True):
            if (crop, index) not in pictures:
                file = BytesIO()
                Image.fromarray(pixels).save(file, "JPEG", quality=90)
                pictures[crop, index] = file.getvalue()
            shown.append(pictures[crop, index])
    return frames, [clip.pixels.tobytes(), *shown]


def find(request: FindClips, blobs: list[bytes], progress: Progress) -> tuple[Found, list[bytes]]:
    """Find labelled clips; progress is not called. Raises UserError if the path is not whole: it may name a dataset."""
    if request.source != BUNDLED and not Path(request.source).is_absolute():
        raise UserError(f"'{request.source}' is no whole path. Type the whole path of a folder or a list.")
    return find_clips(request.source), []


def read_clip(request: ReadClip, blobs: list[bytes], progress: Progress) -> tuple[ClipPixels, list[bytes]]:
    """Read a clip that is to be classified; progress is called as its frames arrive."""
    begin = time.process_time()
    checkpoint = open_checkpoint(request.checkpoint, weights=False, here=True)
    with called_this_clip(request.path):
        clip = prepare_clip(
            request.path,
            checkpoint.config.num_frames,
            checkpoint.processor,
            Views.parse(request.views),
            sampling=request.sampling,
            stride=request.stride,
            limits=LIMITS,
            progress=lambda fraction: progress(fraction, "reading a clip"),
        )
    seconds = time.process_time() - begin
    read = ClipPixels(clip.pixels.shape, seconds, clip.sampled.info.duration_seconds)
    return read, [clip.pixels.tobytes()]


def preview(request: MakePreview, blobs: list[bytes], progress: Progress) -> tuple[Nothing, list[bytes]]:
    """Make a clip that every browser plays; progress is called as frames arrive."""
    with called_this_clip(request.path):
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
    with called_this_clip(request.path):
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


def decode_pictures(request: DecodePictures, blobs: list[bytes], progress: Progress) -> tuple[Pictures, list[bytes]]:
    """Decode a camera's JPEGs; progress is not called."""
    processor = open_checkpoint(request.checkpoint, weights=False, here=True).processor
    pixels = np.stack([processor.resize_and_crop(decode_jpeg(file)) for file in blobs])
    return Pictures(pixels.shape), [pixels.tobytes()]


def encode_pictures(request: EncodePictures, blobs: list[bytes], progress: Progress) -> tuple[Nothing, list[bytes]]:
    """Make a clip of a camera's JPEGs; progress is called as they are read."""

    def pictures() -> Iterator[tuple[float, np.ndarray]]:
        for k, (seconds, file) in enumerate(zip(request.seconds, blobs, strict=True)):
            progress(k / len(blobs), "making a clip")
            yield seconds, decode_jpeg(file)

    return Nothing(), [encode_mp4(pictures(), end_seconds=end_of(request.seconds), height=KEPT_HEIGHT)]


TASKS = typed(
    {
        ReadFrames: read,
        FindClips: find,
        ReadClip: read_clip,
        MakePreview: preview,
        MakeThumbnail: thumbnail,
        DrawInside: draw,
        DecodePictures: decode_pictures,
        EncodePictures: encode_pictures,
        Hold: hold,
    }
)
