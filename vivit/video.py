"""From a video file to the chosen pictures, with their true indices and presentation times.

`probe` lists every displayed picture, `choose_indices` picks some, `decode` decodes only those; `read_frames` does all
three. Counts and times come from the packets or from decoding, never from the header, which may be absent or wrong. Files
are taken to be hostile: only the given file is opened, and pictures, frames and time are bounded.

Letters: T chosen frames, H and W the height and width of one picture, upright and with square pixels.
"""

import os
import stat
import threading
import time
from bisect import bisect_left, bisect_right
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain, groupby, islice, pairwise
from operator import itemgetter

import av
import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import SideDataContainer
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from PIL import Image

Progress = Callable[[float], None]
Transform = Callable[[np.ndarray], np.ndarray]
SamplingRule = Callable[[int, int, int, int], list[int]]  # num_frames, total, stride, start

# Without this list a script (HLS, SDP, ffconcat) that is named like a video makes FFmpeg open the files it mentions.
# The sound formats are here so that the user hears 'no moving picture' and not 'not a video'.
FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,mpegts,mpeg,flv,ogg,asf,mp3,wav,flac,aac"

# Codecs whose every packet is one displayed picture. Not VP8 (hidden pictures travel alone) and not MPEG-4 Part 2
# (two pictures may share a packet): those are counted by decoding.
ONE_PICTURE_A_PACKET = {"h264", "hevc", "vp9", "av1", "mjpeg", "mpeg2video", "png", "ffv1", "prores", "gif"}

# Codecs in which a picture that its own header calls unreferenced can be skipped without changing any other. (HEVC's
# 'sub-layer non-reference' pictures may still be referenced from a higher layer.)
SKIPS_UNREFERENCED = {"h264", "mpeg2video"}

UPRIGHT = (1, 0, 0, 1)  # the orientation (a, b, c, d) that changes nothing

MAX_LANES = 4  # decoders at work at once
AHEAD = 32  # transformed, so small, pictures that each of them may have waiting
PROGRESS_SECONDS = 0.05  # between two calls of `progress`
THREADED_PIXELS = 200_000  # for smaller pictures a decoder's threads cost more than they gain

# What PyAV raises on bad input: its own errors, and these through it.
MEDIA_ERRORS = (av.FFmpegError, ArithmeticError, EOFError, LookupError, MemoryError, OSError, RuntimeError, ValueError)


class VideoError(ValueError):
    """A video that cannot be read, in one sentence for the user.

    Args:
        sentence: what is wrong and what to do; it is `str(error)`.
        details: FFmpeg's own words, may be empty.
    """

    expected = True

    def __init__(self, sentence: str, details: str = "") -> None:
        super().__init__(sentence)
        self.details = details


class FramesMissingError(VideoError):
    """A frame that the packets promise does not come out of the decoder."""


@dataclass(frozen=True)
class VideoLimits:
    """What one call may cost.

    Args:
        max_pixels: pixels of one picture.
        max_aspect_ratio: longer side by shorter side; a thin picture becomes huge once its short side is enlarged.
        max_frames: pictures in the clip, chosen or not.
        max_seconds: wall time of one call.
    Raises:
        ValueError: if one is not positive.
    """

    max_pixels: int = 40_000_000  # 8K UHD is 33 million
    max_aspect_ratio: float = 32.0
    max_frames: int = 1_000_000
    max_seconds: float = 120.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ValueError(f"{name} must be positive, not {value}")


@dataclass(frozen=True)
class VideoInfo:
    """What a video file holds; every field can be written as JSON.

    Args:
        path: the file.
        container: FFmpeg's name of the container format.
        codec: FFmpeg's name of the codec.
        stream_index: which of the file's streams was read.
        num_streams: video streams in the file, cover art not counted.
        width, height: of the first picture, in pixels, upright and with square pixels.
        rotation: degrees clockwise by which stored pictures were turned: 0, 90, 180 or 270.
        mirrored: whether they were mirrored left to right before that.
        frame_seconds: presentation time of every displayed picture as the file gives it, ascending, in seconds.
        keyframe_seconds: presentation times at which decoding can start, ascending; empty if the packets could not be
            trusted, and then pictures are found by counting from the start.
        warnings: sentences for the user.
    """

    path: str
    container: str
    codec: str
    stream_index: int
    num_streams: int
    width: int
    height: int
    rotation: int
    mirrored: bool
    frame_seconds: tuple[float, ...]
    keyframe_seconds: tuple[float, ...]
    warnings: tuple[str, ...]

    @property
    def num_frames(self) -> int:
        return len(self.frame_seconds)

    @property
    def fps(self) -> float:
        """Mean frame rate; 0 if there is only one frame."""
        span = self.frame_seconds[-1] - self.frame_seconds[0]
        return (self.num_frames - 1) / span if span > 0 else 0.0

    @property
    def duration_seconds(self) -> float:
        """From the first frame to one mean frame interval after the last; 0 if there is only one frame."""
        return self.num_frames / self.fps if self.fps else 0.0


@dataclass(frozen=True)
class Frame:
    """One decoded picture.

    Args:
        index: its place among the displayed pictures, from 0.
        seconds: its presentation time.
        image: (H, W, 3) uint8 RGB, upright, square pixels.
        damaged: the decoder says that parts of it are guessed.
    """

    index: int
    seconds: float
    image: np.ndarray
    damaged: bool = False


@dataclass(frozen=True)
class SampledFrames:
    """The chosen pictures of one clip.

    Args:
        frames: (T, H, W, 3) uint8 RGB, or whatever size the transform gave.
        indices: (T,) true frame indices, ascending; the last repeats if the clip is too short.
        seconds: (T,) presentation times.
        info: what the file holds.
        warnings: sentences for the user, `info.warnings` included.
        timings_ms: "probe" and "decode" (the transform included), wall time in ms.
    """

    frames: np.ndarray
    indices: tuple[int, ...]
    seconds: tuple[float, ...]
    info: VideoInfo
    warnings: tuple[str, ...]
    timings_ms: dict[str, float]


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


def _center(num_frames: int, total: int, stride: int, start: int) -> list[int]:
    span = (num_frames - 1) * stride + 1
    return _consecutive(num_frames, total, stride, max(0, (total - span) // 2))


SAMPLING: dict[str, SamplingRule] = {
    "uniform": _uniform,  # the whole clip, first and last frame included
    "consecutive": _consecutive,  # from `start`, every `stride`-th
    "transformers": _transformers,  # as its pipeline: from the first frame, evenly over `num_frames * stride` of them
    "center": _center,  # a window in the middle, every `stride`-th
}


def choose_indices(
    num_frames: int, *, total: int, sampling: str = "uniform", stride: int = 1, start: int = 0
) -> list[int]:
    """Choose which frames of a clip the model gets.

    Args:
        num_frames: how many to choose, > 0.
        total: frames in the clip, > 0; if the rule finds fewer than `num_frames`, the last index found repeats.
        sampling: a name in `SAMPLING`.
        stride: distance between chosen frames, > 0; "uniform" ignores it.
        start: first frame, in [0, total); only "consecutive" uses it.
    Returns:
        `num_frames` indices, ascending, each in [0, total).
    Raises:
        ValueError: if an argument is outside its range.
        VideoError: if `start` lies beyond the clip's end.
    """
    if num_frames < 1 or total < 1 or stride < 1 or start < 0:
        raise ValueError(
            f"num_frames={num_frames}, total={total} and stride={stride} must be at least 1, start={start} at least 0"
        )
    if sampling not in SAMPLING:
        raise ValueError(f"sampling must be one of {', '.join(SAMPLING)}, not {sampling!r}")
    if sampling == "consecutive" and start >= total:
        raise VideoError(f"The clip has {total} frames, so it cannot start at frame {start}; choose an earlier start.")
    indices = SAMPLING[sampling](num_frames, total, stride, start)
    return indices + indices[-1:] * (num_frames - len(indices))


def probe(
    path: str | os.PathLike[str], *, limits: VideoLimits | None = None, progress: Progress | None = None
) -> VideoInfo:
    """List every displayed picture of a video file.

    The packets are read, which is fast, and one picture is decoded; where packets do not tell, everything is decoded.

    Args:
        path: the file.
        limits: what the call may cost.
        progress: called with the fraction done, up to 20 times a second; may raise to cancel.
    Returns:
        What the file holds, with at least one frame.
    Raises:
        VideoError: if it cannot be read, in one sentence.
    """
    limits = limits or VideoLimits()
    return _probe(os.fspath(path), limits, _Watch(path, limits, progress))


def decode(
    info: VideoInfo,
    indices: Iterable[int],
    *,
    transform: Transform | None = None,
    limits: VideoLimits | None = None,
    progress: Progress | None = None,
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
    return _decode(info, list(indices), transform, limits, _Watch(info.path, limits, progress))


def read_frames(
    path: str | os.PathLike[str],
    num_frames: int,
    *,
    sampling: str = "uniform",
    stride: int = 1,
    start: int = 0,
    transform: Transform | None = None,
    limits: VideoLimits | None = None,
    progress: Progress | None = None,
) -> SampledFrames:
    """Choose and decode frames of a video file.

    If decoding shows that the packets promised too much, the clip is counted by decoding and chosen from again.

    Args:
        path: the file.
        num_frames: how many frames to choose, > 0.
        sampling, stride, start: see `choose_indices`.
        transform: (H, W, 3) uint8 picture to the picture to keep, applied as pictures arrive, in the decoders' threads,
            so that large ones are never held together. Without it, pictures that differ in size from the first chosen
            one are resized to it.
        limits: what the call may cost, probing included.
        progress: called with the fraction done, up to 20 times a second; may raise to cancel.
    Returns:
        The frames with their indices and times.
    Raises:
        VideoError: if the file cannot be read, in one sentence.
        ValueError: see `choose_indices`.
    """
    limits = limits or VideoLimits()
    watch = _Watch(path, limits, progress)
    choose_indices(num_frames, total=max(1, start + 1), sampling=sampling, stride=stride, start=start)
    watch.span = (0.0, 0.4)
    begin = time.perf_counter()
    info = _probe(os.fspath(path), limits, watch)
    probed = time.perf_counter()
    for attempt in ("packets", "decoding"):
        indices = choose_indices(num_frames, total=info.num_frames, sampling=sampling, stride=stride, start=start)
        try:
            watch.span = (0.4, 1.0)
            frames, warnings = _collect(_decode(info, indices, transform, limits, watch), num_frames, transform)
            break
        except FramesMissingError:
            if attempt == "decoding" or not info.keyframe_seconds:
                raise
            watch.span = (0.4, 0.4)
            info = _probe(info.path, limits, watch, promised=info.num_frames)
    timings_ms = {"probe": (probed - begin) * 1e3, "decode": (time.perf_counter() - probed) * 1e3}
    if info.num_frames < num_frames or len(set(indices)) < num_frames:
        warnings.append(
            f"The clip has too few frames for this choice ({info.num_frames}), so the last one is repeated."
        )
    seconds = tuple(info.frame_seconds[i] for i in indices)
    return SampledFrames(frames, tuple(indices), seconds, info, (*info.warnings, *warnings), timings_ms)


def _collect(pictures: Iterator[Frame], num_frames: int, transform: Transform | None) -> tuple[np.ndarray, list[str]]:
    frames: np.ndarray = np.empty(0, np.uint8)  # (T, H, W, 3) once the first picture is here
    damaged: list[int] = []
    resized = False
    for row, picture in enumerate(pictures):
        image = picture.image
        if row == 0:
            frames = np.empty((num_frames, *image.shape), image.dtype)
        if transform is None and image.shape != frames.shape[1:]:
            height, width = frames.shape[1:3]
            image = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))
            resized = True
        frames[row] = image
        if picture.damaged and picture.index not in damaged:
            damaged.append(picture.index)
    warnings = []
    if resized:
        warnings.append("The picture size changes within the clip; frames were resized to the first one's size.")
    if damaged:
        warnings.append(
            f"The file is damaged: {len(damaged)} of the chosen frames are partly guessed ({damaged[0]} first)."
        )
    return frames, warnings


class _Watch:
    """Ends a call that takes too long, and passes its progress on at most 20 times a second."""

    def __init__(self, path: str | os.PathLike[str], limits: VideoLimits, progress: Progress | None) -> None:
        self.name = os.path.basename(os.fspath(path))
        self.limit = limits.max_seconds
        self.deadline = time.monotonic() + limits.max_seconds
        self.progress = progress
        self.span = (0.0, 1.0)
        self.furthest = 0.0
        self.next_call = 0.0

    @property
    def seconds_left(self) -> float:
        return max(0.0, self.deadline - time.monotonic())

    def check(self) -> None:
        if time.monotonic() > self.deadline:
            raise _too_slow(self.name, self.limit)

    def tick(self, fraction: float) -> None:
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


def _check_file(path: str) -> None:
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
def _open(
    path: str, limits: VideoLimits, watch: _Watch, *, threads: int, stream_index: int | None = None
) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file, and nothing but it, and choose its best video stream."""
    _check_file(path)
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
        raise VideoError(
            f"{name!r} is not a video that can be read here, or not all of it; give a whole MP4, MOV, MKV, WebM or AVI file.",
            str(error),
        ) from error
    with container:
        if stream_index is None:
            stream = _choose_stream(container, name)
        elif same := [s for s in _video_streams(container) if s.index == stream_index and s.codec_context]:
            (stream,) = same
        else:
            raise VideoError(f"{name!r} has changed since it was examined; open it again.")
        codec = stream.codec_context
        if codec.width and codec.height:  # else unknown until a picture is decoded
            _check_size(name, codec.width, codec.height, limits)
        codec.options = {"max_pixels": str(limits.max_pixels)}
        codec.thread_type = "AUTO" if threads > 1 else "SLICE"
        codec.thread_count = threads
        yield container, stream


def _video_streams(container: InputContainer) -> list[VideoStream]:
    return [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]


def _choose_stream(container: InputContainer, name: str) -> VideoStream:
    streams = _video_streams(container)
    readable = [s for s in streams if s.codec_context is not None]
    if not streams:
        raise VideoError(f"{name!r} holds no moving picture; choose a video file.")
    if not readable:
        raise VideoError(f"{name!r} is coded in a way for which there is no decoder here; convert it to H.264 in MP4.")
    best = container.streams.best("video")
    return next((s for s in readable if best is not None and s.index == best.index), readable[0])


def _check_size(name: str, width: int, height: int, limits: VideoLimits) -> None:
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


def _packets(
    container: InputContainer, stream: VideoStream, errors: list[str], step: Callable[[av.Packet], None]
) -> Iterator[av.Packet]:
    """The stream's packets in file order up to the first error, which is added to `errors`."""
    packets = container.demux(stream)
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


def _pictures(codec: VideoCodecContext, packets: Iterable[av.Packet], errors: list[str]) -> Iterator[av.VideoFrame]:
    """Decode packets to their end, or to the first error after a picture, which is added to `errors`.

    A recording may start between key frames, so errors before the first picture do not count.
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


def _clock(stream: VideoStream) -> Callable[[int | None], float | None]:
    """From a time stamp of this stream to seconds; always the same floats, so times can be compared with `==`."""
    if not stream.time_base:
        return lambda pts: None
    numerator, denominator = stream.time_base.as_integer_ratio()
    return lambda pts: None if pts is None else pts * numerator / denominator


def _probe(path: str, limits: VideoLimits, watch: _Watch, *, promised: int | None = None) -> VideoInfo:
    """List the pictures from packets, or, where those do not tell or `promised` too much, by decoding."""
    info = _list_packets(path, limits, watch) if promised is None else None
    return info or _list_pictures(path, limits, watch, promised or 0)


def _list_packets(path: str, limits: VideoLimits, watch: _Watch) -> VideoInfo | None:
    """List a stream's pictures from its packets; None if they cannot be trusted."""
    with _open(path, limits, watch, threads=1) as (container, stream):
        if stream.codec_context.codec.canonical_name not in ONE_PICTURE_A_PACKET:
            return None
        size = os.path.getsize(path)
        promised = _promised_packets(stream)
        errors: list[str] = []
        clock = _clock(stream)
        packets = _packets(container, stream, errors, lambda packet: watch.tick((packet.pos or 0) / size))
        lead: list[av.Packet] = []  # packets that it took to get the first picture

        def leading() -> Iterator[av.Packet]:
            for packet in islice(packets, 100):
                lead.append(packet)
                yield packet

        first = next(_pictures(stream.codec_context, leading(), errors), None)
        if lead and lead[0].has_sidedata("encryption_info"):
            raise VideoError(f"{watch.name!r} is encrypted (copy-protected); use an unprotected copy.", *errors[:1])
        if first is None:
            return None

        times: list[float] = []
        keys: list[float] = []
        num_packets = 0
        last_dts = None
        for packet in chain(lead, packets):
            num_packets += 1
            seconds = clock(packet.pts)
            if (
                seconds is None
                or packet.is_corrupt
                or (last_dts is not None and packet.dts is not None and packet.dts <= last_dts)
                or (container.format.name == "avi" and packet.pts != packet.dts)  # AVI stores no presentation times
            ):
                return None
            last_dts = packet.dts if packet.dts is not None else last_dts
            if packet.is_keyframe:
                keys.append(seconds)
            if not packet.is_discard:
                times.append(seconds)
            _check_count(watch.name, num_packets, limits)
        times.sort()
        keys.sort()
        unique = all(a < b for a, b in pairwise(times))
        if errors or not keys or not times or not unique or clock(first.pts) != times[0]:
            return None
        warnings = []
        if promised > num_packets:
            warnings.append(f"The file promises {promised} frames; {num_packets} are there.")
        return _describe(path, container, stream, first, limits, times, keys, warnings)


def _list_pictures(path: str, limits: VideoLimits, watch: _Watch, promised: int) -> VideoInfo:
    """List a stream's pictures by decoding them all."""
    threads = min(os.cpu_count() or 1, 8)
    with _open(path, limits, watch, threads=threads) as (container, stream):
        size = os.path.getsize(path)
        header_promises = _promised_packets(stream)
        errors: list[str] = []
        clock = _clock(stream)
        times: list[float | None] = []
        first: av.VideoFrame | None = None
        num_discarded = 0
        reordered_avi = False
        encrypted = False

        def step(packet: av.Packet) -> None:
            nonlocal num_discarded, reordered_avi, encrypted
            watch.tick((packet.pos or 0) / size)
            num_discarded += packet.is_discard
            reordered_avi |= container.format.name == "avi" and packet.pts != packet.dts
            encrypted |= packet.has_sidedata("encryption_info")

        for picture in _pictures(stream.codec_context, _packets(container, stream, errors, step), errors):
            first = first or picture
            times.append(clock(picture.pts))
            _check_count(watch.name, len(times), limits)
        watch.check()  # one packet can take a long search through the file, which ends with the time
        promised = max(promised, header_promises - num_discarded)
        if first is None:
            if encrypted:
                raise VideoError(f"{watch.name!r} is encrypted (copy-protected); use an unprotected copy.", *errors[:1])
            promise = f", though its header promises {promised}" if promised > 0 else ""
            raise VideoError(
                f"No picture of {watch.name!r} can be decoded{promise}; it is damaged, incomplete or has pictures of more "
                f"than {limits.max_pixels} pixels, so get another copy.",
                *errors[:1],
            )
        warnings = []
        if promised > len(times):
            warnings.append(f"The file promises {promised} frames; {len(times)} could be decoded.")
        elif errors:
            warnings.append(f"The file is damaged; the first {len(times)} frames could be decoded.")
        seconds = [s for s in times if s is not None]
        ascending = all(a < b for a, b in pairwise(seconds))
        if reordered_avi or len(seconds) < len(times) or not ascending:
            rate = stream.average_rate or stream.guessed_rate or 25
            seconds = [i / float(rate) for i in range(len(times))]
            if not reordered_avi:
                warnings.append(f"The file's frame times are unusable; {float(rate):g} frames per second are assumed.")
        return _describe(path, container, stream, first, limits, seconds, [], warnings)


def _promised_packets(stream: VideoStream) -> int:
    """How many packets the header promises, 0 if it does not say; asked before the first one is read.

    The index counts for less than `stream.frames` where an edit list leaves frames out.
    """
    return min(stream.frames, len(stream.index_entries))


def _check_count(name: str, count: int, limits: VideoLimits) -> None:
    if count > limits.max_frames:
        raise VideoError(f"{name!r} has more than {limits.max_frames} frames; cut out a shorter piece.")


def _describe(
    path: str,
    container: InputContainer,
    stream: VideoStream,
    first: av.VideoFrame,
    limits: VideoLimits,
    times: list[float],
    keys: list[float],
    warnings: list[str],
) -> VideoInfo:
    height, width, _ = _to_rgb(first, stream, VideoReformatter(), os.path.basename(path), limits).shape
    orientation = _orientation(first)
    if orientation is None:
        warnings.append("The file's rotation is unusable, so its pictures are shown as they are stored.")
    a, b, c, d = orientation or UPRIGHT
    mirrored = a * d - b * c < 0
    quarter_turns = [(1, 0), (0, 1), (-1, 0), (0, -1)].index((-a, -b) if mirrored else (a, b))
    num_streams = len(_video_streams(container))
    if num_streams > 1:
        warnings.append(f"The file has {num_streams} video streams; stream {stream.index} ({width}x{height}) is used.")
    return VideoInfo(
        path=path,
        container=container.format.name,
        codec=stream.codec_context.codec.canonical_name,
        stream_index=stream.index,
        num_streams=num_streams,
        width=width,
        height=height,
        rotation=90 * quarter_turns,
        mirrored=mirrored,
        frame_seconds=tuple(times),
        keyframe_seconds=tuple(keys),
        warnings=tuple(warnings),
    )


def _orientation(picture: av.VideoFrame) -> tuple[int, int, int, int] | None:
    """How to show a stored picture: pixel (x, y) goes to (a x + c y, b x + d y), up to a shift.

    Returns:
        (a, b, c, d), each -1, 0 or 1; None if the file's matrix does not turn by a multiple of 90 degrees.
    Source:
        ISO/IEC 14496-12, 8.3.2: the matrix of the track header.
    """
    # `picture.side_data` would tie the picture into a reference cycle, and so keep its memory until a garbage collection.
    side_data = SideDataContainer(picture).get("DISPLAYMATRIX")  # type: ignore[call-arg]
    if side_data is None:
        return UPRIGHT
    matrix = np.frombuffer(bytes(side_data), np.int32).reshape(3, 3)[:2, :2].astype(np.int64)
    large = np.abs(matrix) > 0.01 * np.abs(matrix).max()
    a, b, c, d = (np.sign(matrix) * large).ravel().tolist()
    return (a, b, c, d) if (a and d and not b and not c) or (b and c and not a and not d) else None


def _to_rgb(
    picture: av.VideoFrame, stream: VideoStream, reformatter: VideoReformatter, name: str, limits: VideoLimits
) -> np.ndarray:
    """A decoded picture as (H, W, 3) uint8 RGB, upright and with square pixels."""
    width = max(1, round(picture.width * (stream.sample_aspect_ratio or 1)))
    _check_size(name, width, picture.height, limits)
    try:
        # The same bytes as `picture.to_ndarray(format="rgb24")`, which sets up a new converter with threads every time.
        image = reformatter.reformat(picture, width=width, format="rgb24", threads=1).to_ndarray()
    except MEDIA_ERRORS as error:
        raise VideoError(
            f"The pictures of {name!r} cannot be turned into RGB; convert the video.", str(error)
        ) from error
    a, b, c, d = _orientation(picture) or UPRIGHT
    if b:
        image = image.transpose(1, 0, 2)
    return np.ascontiguousarray(image[:: b + d, :: a + c])


def _decode(
    info: VideoInfo, indices: list[int], transform: Transform | None, limits: VideoLimits, watch: _Watch
) -> Iterator[Frame]:
    """See `decode`."""
    if any(a > b for a, b in pairwise(indices)):
        raise ValueError(f"indices must ascend: {indices}")
    if indices and not 0 <= indices[0] <= indices[-1] < info.num_frames:
        raise ValueError(f"indices must lie in [0, {info.num_frames}): {indices}")
    repeats = Counter(indices)
    done = 0

    def poll() -> None:
        watch.tick(done / len(indices))

    for frame in _decode_lanes(info, _split_into_runs(info, list(repeats)), transform, limits, watch, poll):
        for _ in range(repeats[frame.index]):
            done += 1
            poll()
            yield frame


def _split_into_runs(info: VideoInfo, targets: list[int]) -> list[list[int]]:
    """Group ascending frame indices by the key frame from which they are decoded."""
    last_key = [bisect_right(info.keyframe_seconds, info.frame_seconds[target]) for target in targets]
    return [[target for _, target in run] for _, run in groupby(zip(last_key, targets, strict=True), itemgetter(0))]


def _decode_lanes(
    info: VideoInfo,
    runs: list[list[int]],
    transform: Transform | None,
    limits: VideoLimits,
    watch: _Watch,
    poll: Callable[[], None],
) -> Iterator[Frame]:
    """Decode runs side by side, in lanes of a decoder and a thread each, and yield their frames in order.

    One decoder with many threads gains less, and where the clip is sought in it would be emptied at every key frame.
    """
    cores = os.cpu_count() or 1
    num_lanes = min(len(runs), cores, MAX_LANES)
    threads = 1 if info.width * info.height < THREADED_PIXELS else min(8, cores // max(1, num_lanes))
    if num_lanes <= 1:
        yield from _decode_runs(info, runs, transform, limits, watch, lambda packet: poll(), threads)
        return
    stop = threading.Event()

    def step(packet: av.Packet) -> None:
        watch.check()
        if stop.is_set():
            raise VideoError("Cancelled.")

    shares: list[list[list[int]]] = [[] for _ in range(num_lanes)]
    lane_of_run = []
    loads = [0] * num_lanes
    for run in runs:
        lane = loads.index(min(loads))
        shares[lane].append(run)
        lane_of_run.append(lane)
        key = info.keyframe_seconds[bisect_right(info.keyframe_seconds, info.frame_seconds[run[0]]) - 1]
        loads[lane] += run[-1] - bisect_left(info.frame_seconds, key) + 1

    with ExitStack() as stack:
        submits = []
        for share in shares:
            # A thread for each lane, because a generator cannot run in two.
            pool = stack.enter_context(ThreadPoolExecutor(1))
            frames = _decode_runs(info, share, transform, limits, watch, step, threads)
            submits.append(partial(pool.submit, partial(next, frames)))
        stack.callback(stop.set)
        ahead = AHEAD if transform else 1
        upcoming = [deque(submit() for _ in range(ahead)) for submit in submits]
        for run, lane in zip(runs, lane_of_run, strict=True):
            for _ in run:
                future = upcoming[lane].popleft()
                while not wait([future], 0.05).done:
                    poll()
                frame = future.result()
                upcoming[lane].append(submits[lane]())
                yield frame


def _decode_runs(
    info: VideoInfo,
    runs: list[list[int]],
    transform: Transform | None,
    limits: VideoLimits,
    watch: _Watch,
    step: Callable[[av.Packet], None],
    threads: int,
) -> Iterator[Frame]:
    """Decode one run of frame indices after the other with one decoder."""
    with _open(info.path, limits, watch, threads=threads, stream_index=info.stream_index) as (container, stream):
        reformatter = VideoReformatter()
        for run in runs:
            errors: list[str] = []
            if info.keyframe_seconds:
                numbered = _pictures_by_time(info, run, container, stream, errors, step)
            else:
                numbered = enumerate(_pictures(stream.codec_context, _packets(container, stream, errors, step), errors))
            remaining = iter(run)
            index = next(remaining, None)
            for number, picture in numbered:
                if number == index:
                    # A picture that seeking left without what it refers to is flagged so.
                    if picture.is_corrupt and info.keyframe_seconds:
                        break
                    image = _to_rgb(picture, stream, reformatter, watch.name, limits)
                    if transform:
                        image = transform(image)
                    yield Frame(index, info.frame_seconds[index], image, picture.is_corrupt)
                    index = next(remaining, None)
                    if index is None:
                        break
            if index is not None:
                watch.check()
                raise FramesMissingError(
                    f"Frame {index} of {watch.name!r} cannot be decoded; it is damaged or has changed, so get another copy.",
                    *errors[:1],
                )


def _pictures_by_time(
    info: VideoInfo,
    run: Sequence[int],
    container: InputContainer,
    stream: VideoStream,
    errors: list[str],
    step: Callable[[av.Packet], None],
) -> Iterator[tuple[int, av.VideoFrame]]:
    """Decode from the last key frame before a run of indices until all of them are out, numbered by their times."""
    indices = {info.frame_seconds[i]: i for i in run}
    codec = stream.codec_context
    clock = _clock(stream)
    skips = codec.codec.canonical_name in SKIPS_UNREFERENCED

    def wanted_packets() -> Iterator[av.Packet]:
        unseen = set(indices)
        for packet in _packets_from_key(info, run[0], container, stream, errors, step):
            seconds = clock(packet.pts)
            if skips:
                codec.skip_frame = "DEFAULT" if seconds in unseen else "NONREF"
            unseen.discard(seconds)
            yield packet
            if not unseen:
                return

    for picture in _pictures(codec, wanted_packets(), errors):
        seconds = clock(picture.pts)
        if seconds in indices:
            yield indices[seconds], picture


def _packets_from_key(
    info: VideoInfo,
    target: int,
    container: InputContainer,
    stream: VideoStream,
    errors: list[str],
    step: Callable[[av.Packet], None],
) -> Iterator[av.Packet]:
    """The packets from a key frame that is shown no later than the target; none if it cannot be reached."""
    seconds = info.frame_seconds[target]
    keys = info.keyframe_seconds
    before = bisect_right(keys, seconds)
    # Many formats seek by decoding time, and MPEG-TS to a place after it: the key frame found may then lie behind the
    # target. So look further back, at last from before the start of the clip.
    for key in (*(keys[before - back] for back in (1, 2, 4, 8) if back <= before), keys[0] - 10):
        with suppress(*MEDIA_ERRORS):
            container.seek(round(key / (stream.time_base or 1)), stream=stream)
        packets = _packets(container, stream, errors, step)
        first = next((packet for packet in packets if packet.is_keyframe), None)
        found = first and _clock(stream)(first.pts)
        if found in keys[:before]:
            yield from chain((first,), packets)
            return
