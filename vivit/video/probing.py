"""A video file → every picture that it shows and when, from its packets or, where those do not tell, by decoding."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice, pairwise

import av
from av.container import InputContainer
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from vivit.video.container import (
    VideoError,
    VideoLimits,
    Watch,
    clock_of,
    open_video,
    read_packets,
    read_pictures,
    video_streams,
)
from vivit.video.picture import UPRIGHT, orientation_of, to_rgb

# Codecs whose every packet is one displayed picture. Not VP8 (hidden pictures travel alone) and not MPEG-4 Part 2
# (two pictures may share a packet): those are counted by decoding.
ONE_PICTURE_A_PACKET = {"h264", "hevc", "vp9", "av1", "mjpeg", "mpeg2video", "png", "ffv1", "prores", "gif"}


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


def list_frames(path: str, limits: VideoLimits, watch: Watch, *, promised: int | None = None) -> VideoInfo:
    """List the pictures from packets, or, where those do not tell or `promised` too much, by decoding."""
    info = _list_packets(path, limits, watch) if promised is None else None
    return info or _list_pictures(path, limits, watch, promised or 0)


def _list_packets(path: str, limits: VideoLimits, watch: Watch) -> VideoInfo | None:
    """List a stream's pictures from its packets; None if they cannot be trusted."""
    with open_video(path, limits, watch, threads=1) as (container, stream):
        if stream.codec_context.codec.canonical_name not in ONE_PICTURE_A_PACKET:
            return None
        size = os.path.getsize(path)
        promised = _promised_packets(stream)
        errors: list[str] = []
        clock = clock_of(stream)
        packets = read_packets(container, stream, errors, lambda packet: watch.tick((packet.pos or 0) / size))
        lead: list[av.Packet] = []  # packets that it took to get the first picture

        def leading() -> Iterator[av.Packet]:
            for packet in islice(packets, 100):
                lead.append(packet)
                yield packet

        first = next(read_pictures(stream.codec_context, leading(), errors), None)
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


def _list_pictures(path: str, limits: VideoLimits, watch: Watch, promised: int) -> VideoInfo:
    """List a stream's pictures by decoding them all."""
    threads = min(os.cpu_count() or 1, 8)
    with open_video(path, limits, watch, threads=threads) as (container, stream):
        size = os.path.getsize(path)
        header_promises = _promised_packets(stream)
        errors: list[str] = []
        clock = clock_of(stream)
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

        for picture in read_pictures(stream.codec_context, read_packets(container, stream, errors, step), errors):
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
    height, width, _ = to_rgb(first, stream, VideoReformatter(), os.path.basename(path), limits).shape
    orientation = orientation_of(first)
    if orientation is None:
        warnings.append("The file's rotation is unusable, so its pictures are shown as they are stored.")
    a, b, c, d = orientation or UPRIGHT
    mirrored = a * d - b * c < 0
    quarter_turns = [(1, 0), (0, 1), (-1, 0), (0, -1)].index((-a, -b) if mirrored else (a, b))
    num_streams = len(video_streams(container))
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
