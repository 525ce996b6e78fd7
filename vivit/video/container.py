"""A video file, opened alone and within limits: its packets, its pictures and their clock.

Files are taken to be hostile: only the given file is opened, and what a call may cost is bounded.
"""

import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from vivit.errors import UserError
from vivit.video import alpha
from vivit.video.signature import is_encrypted, name_kind

if TYPE_CHECKING:
    VideoPacket = av.Packet[VideoStream]
else:
    VideoPacket = av.Packet

TellFraction = Callable[[float], None]  # how much is done, 0 to 1; what it raises cancels

# Without this list a script (HLS, SDP, ffconcat) that is named like a video makes FFmpeg open the files it mentions.
# None of these formats can. The sound formats are here so that the user hears 'no moving picture' and not 'not a video'.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,apng,mpegts,mpeg,flv,ogg,asf,mxf,dv,ivf,yuv4mpegpipe,"
    "h264,hevc,av1,obu,mpegvideo,m4v,mjpeg,mp3,wav,flac,aac"
)
READABLE = "MP4, MOV, MKV, WebM, AVI, MPEG, WMV, FLV, OGV, GIF, WebP, animated PNG or a raw H.264 stream"

ENCRYPTED = "is encrypted (copy-protected); use an unprotected copy."

PROGRESS_SECONDS = 0.05  # between two calls of `progress`

# What PyAV raises on bad input: its own errors, and Python's that come through it.
MEDIA_ERRORS = (av.FFmpegError, ArithmeticError, EOFError, LookupError, MemoryError, OSError, RuntimeError, ValueError)


class VideoError(UserError):
    """A video that cannot be read; `details` has FFmpeg's own words."""


@dataclass(frozen=True)
class VideoLimits:
    """What one call may cost.

    Args:
        max_pixels: pixels of one picture.
        max_aspect_ratio: longer side by shorter side; a thin picture becomes huge once its short side is enlarged.
        max_frames: pictures in the clip, chosen or not.
        max_seconds: wall time of one call.
        max_cores: how many threads may decode at once; as many as there are processors if None.

    Raises:
        ValueError: if a limit is not positive.
    """

    max_pixels: int = 40_000_000  # 8K UHD is 33 million
    max_aspect_ratio: float = 32.0
    max_frames: int = 1_000_000
    max_seconds: float = 120.0
    max_cores: int | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be positive, not {value}")

    @property
    def cores(self) -> int:
        """How many threads may decode at once."""
        return self.max_cores or os.cpu_count() or 1


Decoder = VideoCodecContext | alpha.AlphaDecoder


@dataclass(frozen=True)
class OpenVideo:
    """A file that is open, the stream of it that is read, and the stream's decoder."""

    container: InputContainer
    stream: VideoStream
    codec: Decoder

    def seek(self, seconds: float) -> None:
        """Go to a key frame at a time of the stream or before it, as far as the format can."""
        self.container.seek(round(seconds / (self.stream.time_base or 1)), stream=self.stream)
        self.codec.flush_buffers()  # the container empties only the stream's own decoder, not one for alpha


class Watch:
    """Ends a call that takes too long, and passes its progress on at most 20 times a second."""

    def __init__(self, path: str | os.PathLike[str], limits: VideoLimits, progress: TellFraction | None) -> None:
        self.name = os.path.basename(os.fspath(path))
        self.limit = limits.max_seconds
        self.deadline = time.monotonic() + limits.max_seconds
        self.progress = progress
        self.span = (0.0, 1.0)
        self.furthest = 0.0
        self.next_call = 0.0

    @property
    def seconds_left(self) -> float:
        """Until the limit, not below 0."""
        return max(0.0, self.deadline - time.monotonic())

    def renew(self, seconds: float) -> None:
        """Put the limit at so many seconds from this call on."""
        self.limit, self.deadline = seconds, time.monotonic() + seconds

    def check(self) -> None:
        """Raise VideoError once time is up."""
        if time.monotonic() > self.deadline:
            raise _too_slow(self.name, self.limit)

    def tick(self, fraction: float) -> None:
        """As `check`, and say how much of `span` is done."""
        self.check()
        if self.progress and (now := time.monotonic()) >= self.next_call:
            self.next_call = now + PROGRESS_SECONDS
            first, last = self.span
            # Packets need not lie in the file in the order in which they are read.
            self.furthest = max(self.furthest, first + (last - first) * min(1.0, fraction))
            self.progress(self.furthest)


def _too_slow(name: str, max_seconds: float) -> VideoError:
    return VideoError(
        f"Reading {name!r} took longer than {max_seconds:g} s, the limit; use a shorter or smaller video."
    )


def check_file(path: str) -> None:
    """Raise VideoError for what is no ordinary file with something in it."""
    name = os.path.basename(path)
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise VideoError(f"There is no file {name!r}; check its name and folder.", str(error)) from error
    except (OSError, ValueError) as error:
        raise VideoError(f"{name!r} cannot be opened; check its name and permissions.", str(error)) from error
    if stat.S_ISDIR(status.st_mode):
        raise VideoError(f"{name!r} is a folder; give a video file.")
    if not stat.S_ISREG(status.st_mode):
        raise VideoError(f"{name!r} is not an ordinary file; give a video file.")
    if not status.st_size:
        raise VideoError(f"{name!r} is empty; copy or upload it again.")


@contextmanager
def open_video(
    path: str,
    limits: VideoLimits,
    watch: Watch,
    *,
    threads: int,
    stream_index: int | None = None,
    geometry: str = "upright",
) -> Iterator[OpenVideo]:
    """Open a file, and nothing but it, and the stream given: if None, its best video stream, or for 'stored' the first."""
    check_file(path)
    watch.check()
    name = watch.name
    # `max_pixels` here bounds what FFmpeg decodes to guess the stream's properties; the decoder needs its own, below.
    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file", "max_pixels": str(limits.max_pixels)}
    try:
        # An absolute path cannot be read as a protocol such as 'concat:'.
        container = av.open(
            os.path.abspath(path), options=options, metadata_errors="replace", timeout=watch.seconds_left
        )
    except av.ExitError as error:
        raise _too_slow(name, limits.max_seconds) from error
    except PermissionError as error:
        raise VideoError(f"{name!r} may not be read; check its permissions.", str(error)) from error
    except MEDIA_ERRORS as error:
        if is_encrypted(path):
            raise VideoError(f"{name!r} {ENCRYPTED}", str(error)) from error
        kind = name_kind(path)
        what = f"{name!r} is {kind}" if kind else f"{name!r} is not a video that can be read here, or not all of it"
        raise VideoError(f"{what}; give a whole {READABLE}.", str(error)) from error
    with container:
        # Some decoders make pictures even of encrypted data, so encryption is looked for first.
        if container.format.name.startswith("matroska") and is_encrypted(path):
            raise VideoError(f"{name!r} {ENCRYPTED}")
        if stream_index is None:
            stream = _choose_stream(container, name, geometry)
        elif same := [s for s in container.streams.video if s.index == stream_index and s.codec_context]:
            (stream,) = same
        else:
            raise VideoError(f"{name!r} has changed since it was examined; open it again.")
        codec = stream.codec_context
        if codec.width and codec.height:  # else unknown until a picture is decoded
            check_size(name, codec.width, codec.height, limits)
        codec.options = {"max_pixels": str(limits.max_pixels)}
        codec.thread_type = "AUTO" if threads > 1 else "SLICE"
        codec.thread_count = threads
        transparent = codec.codec.canonical_name in alpha.CODECS and alpha.promises_alpha(stream)
        yield OpenVideo(container, stream, alpha.AlphaDecoder(codec) if transparent else codec)


def video_streams(container: InputContainer) -> list[VideoStream]:
    """A file's video streams, without cover art."""
    return [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]


def _choose_stream(container: InputContainer, name: str, geometry: str) -> VideoStream:
    streams = video_streams(container) if geometry == "upright" else [*container.streams.video[:1]]
    readable = [s for s in streams if s.codec_context is not None]
    if not streams:
        raise VideoError(f"{name!r} holds no moving picture; choose a video file.")
    if not readable:
        if is_encrypted(container.name):
            raise VideoError(f"{name!r} {ENCRYPTED}")
        raise VideoError(f"{name!r} is coded in a way for which there is no decoder here; convert it to H.264 in MP4.")
    best = container.streams.best("video") if geometry == "upright" else None
    return next((s for s in readable if best is not None and s.index == best.index), readable[0])


def check_size(name: str, width: int, height: int, limits: VideoLimits) -> None:
    """Raise VideoError for pictures of more pixels, or thinner, than the limits admit."""
    if width * height > limits.max_pixels:
        raise VideoError(
            f"The pictures of {name!r} have {width}x{height} pixels and at most {limits.max_pixels} are accepted; "
            "scale the video down."
        )
    if max(width, height) > limits.max_aspect_ratio * min(width, height):
        raise VideoError(
            f"The pictures of {name!r} are {width}x{height}, more than {limits.max_aspect_ratio:g} times as long as "
            "wide; crop the video."
        )


def check_count(name: str, count: int, limits: VideoLimits) -> None:
    """Raise VideoError for more pictures than the limits admit."""
    if count > limits.max_frames:
        raise VideoError(f"{name!r} has more than {limits.max_frames} frames; cut out a shorter piece.")


def read_packets(video: OpenVideo, errors: list[str], step: Callable[[VideoPacket], None]) -> Iterator[VideoPacket]:
    """The stream's packets in file order up to the first error, which is added to `errors`."""
    packets = video.container.demux(video.stream)
    while True:
        try:
            packet = next(packets, None)
        except MEDIA_ERRORS as error:
            errors.append(str(error))
            return
        if packet is None:
            return
        step(packet)
        if packet.size:  # an empty packet would tell the decoder that the stream ends
            yield packet


def read_pictures(codec: Decoder, packets: Iterable[VideoPacket], errors: list[str]) -> Iterator[av.VideoFrame]:
    """Decode packets to their end, or to the first error after a picture; every error is added to `errors`.

    A recording may start between key frames, so errors before the first picture do not end the decoding.
    """
    started = False
    for packet in chain(packets, (None,)):
        try:
            pictures = codec.decode(packet)
        except MEDIA_ERRORS as error:
            errors.append(str(error))
            if started:
                return
            continue
        if pictures:
            started = True
            yield from pictures


def clock_of(stream: VideoStream) -> Callable[[int | None], float | None]:
    """From a time stamp of this stream to seconds; always the same floats, so times can be compared with `==`."""
    if not stream.time_base:
        return lambda pts: None
    numerator, denominator = stream.time_base.as_integer_ratio()
    return lambda pts: None if pts is None else pts * numerator / denominator
