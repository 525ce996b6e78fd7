"""A video file → every picture that it shows and when, from its packets or, where those do not tell, by decoding."""

import math
import os
from collections.abc import Iterator
from itertools import chain, islice, pairwise
from statistics import median

import av
from av.video.stream import VideoStream

from vivit.names import GEOMETRY
from vivit.video import webp
from vivit.video.alpha import promises_alpha
from vivit.video.container import (
    ENCRYPTED,
    OpenVideo,
    VideoError,
    VideoLimits,
    VideoPacket,
    Watch,
    check_count,
    check_file,
    clock_of,
    open_video,
    read_packets,
    read_pictures,
    video_streams,
)
from vivit.video.info import VideoInfo
from vivit.video.picture import UPRIGHT, ToRgb, describe_orientation, has_alpha, orientation_of
from vivit.video.signature import is_encrypted
from vivit.video.tone_mapping import colours_of

# Codecs whose every packet is one displayed picture. Not VP8 (hidden pictures travel alone) and not MPEG-4 Part 2
# (two pictures may share a packet): those are counted by decoding.
ONE_PICTURE_A_PACKET = {"h264", "hevc", "vp9", "av1", "mjpeg", "mpeg2video", "png", "ffv1", "prores", "gif"}

# Streams without a container: FFmpeg makes up the time stamps that it gives for them.
BARE = {"h264", "hevc", "av1", "obu", "mpegvideo", "m4v", "mjpeg"}
USUAL_RATE = 25.0  # frames a second, where nothing tells
RATES = (0.01, 10_000.0)  # frames a second that a file is believed
# Broadcasts cut together go on with other time stamps; FFmpeg's own tools, too, take a longer step for such a cut.
JUMPS = {"mpegts", "mpeg"}
JUMP_SECONDS = 10.0
# What browsers' players show as it is stored.
PLAIN_FORMATS = {"yuv420p", "yuvj420p", "nv12"}

DEINTERLACED = "The clip is interlaced; its pictures were deinterlaced."


def list_frames(
    path: str, limits: VideoLimits, watch: Watch, *, promised: int | None = None, geometry: str = "upright"
) -> VideoInfo:
    """List the pictures from packets; by decoding where those do not tell, or where they told of `promised` ones wrongly."""
    if geometry not in GEOMETRY:
        raise ValueError(f"geometry must be one of {', '.join(GEOMETRY)}, not {geometry!r}")
    check_file(path)
    if webp.is_webp(path):
        return _list_webp(path, limits, watch, geometry)
    info = _list_packets(path, limits, watch, geometry) if promised is None else None
    return info or _list_pictures(path, limits, watch, promised or 0, geometry)


def _list_webp(path: str, limits: VideoLimits, watch: Watch, geometry: str) -> VideoInfo:
    listing = webp.list_pictures(path, limits, watch)
    rotation, mirrored = describe_orientation(UPRIGHT if geometry == "stored" else listing.orientation)
    width, height = (listing.width, listing.height)[:: -1 if rotation % 180 else 1]
    return VideoInfo(
        path=path,
        container=webp.NAME,
        codec=webp.NAME,
        stream_index=0,
        num_streams=1,
        width=width,
        height=height,
        rotation=rotation,
        mirrored=mirrored,
        frame_seconds=listing.seconds,
        end_seconds=listing.end_seconds,
        plain=False,
        interlaced=False,
        keyframe_seconds=(),
        warnings=listing.warnings,
        geometry=geometry,
    )


def _list_packets(path: str, limits: VideoLimits, watch: Watch, geometry: str) -> VideoInfo | None:
    """List a stream's pictures from its packets; None if they cannot be trusted."""
    with open_video(path, limits, watch, threads=1, geometry=geometry) as video:
        container, stream, codec = video.container, video.stream, video.codec
        if codec.codec.canonical_name not in ONE_PICTURE_A_PACKET or container.format.name in BARE:
            return None
        size = os.path.getsize(path)
        promised = _promised_packets(stream)
        errors: list[str] = []
        clock = clock_of(stream)
        packets = read_packets(video, errors, lambda packet: watch.tick((packet.pos or 0) / size))
        lead: list[VideoPacket] = []  # packets that it took to get the first picture

        def leading() -> Iterator[VideoPacket]:
            for packet in islice(packets, 100):
                lead.append(packet)
                yield packet

        first = next(read_pictures(codec, leading(), errors), None)
        if lead and lead[0].has_sidedata("encryption_info"):
            raise VideoError(f"{watch.name!r} {ENCRYPTED}", *errors[:1])
        if first is None:
            return None

        shown = _PacketTimes(video)
        for packet in chain(lead, packets):
            if not shown.add(packet):
                return None
            check_count(watch.name, shown.num_packets, limits)
        times, keys = sorted(shown.times), sorted(shown.keys)
        unique = all(a < b for a, b in pairwise(times))
        if errors or not keys or not times or not unique or clock(first.pts) != times[0] or _jumps(video, times):
            return None
        warnings = []
        if promised > shown.num_packets:
            warnings.append(f"The file promises {promised} frames; {shown.num_packets} are there.")
        # Where pictures are stored in another order, a packet's length is that from one decoding time to the next.
        hold = shown.last[1] if shown.times == times else 0.0
        return _describe(path, video, [first], limits, times, hold, keys, warnings, geometry)


class _PacketTimes:
    """When pictures are shown, as packets of one picture each say it, in the order in which they are stored."""

    def __init__(self, video: OpenVideo) -> None:
        self.times: list[float] = []
        self.keys: list[float] = []
        self.num_packets = 0
        self.last = (-math.inf, 0.0)  # of the picture that is shown last: when, and for how long
        self._clock = clock_of(video.stream)
        self._avi = video.container.format.name == "avi"
        self._last_dts: int | None = None

    def add(self, packet: VideoPacket) -> bool:
        """Count a packet in. Returns whether what it says can be trusted."""
        self.num_packets += 1
        seconds = self._clock(packet.pts)
        if seconds is None or packet.is_corrupt:
            return False
        if packet.dts is not None:
            if self._last_dts is not None and packet.dts <= self._last_dts:
                return False
            self._last_dts = packet.dts
        if self._avi and packet.pts != packet.dts:  # AVI stores no presentation times
            return False
        if packet.is_keyframe:
            self.keys.append(seconds)
        if not packet.is_discard:
            self.times.append(seconds)
            self.last = max(self.last, (seconds, self._clock(packet.duration) or 0.0))
        return True


class _Tally:
    """What the packets of a stream say while its pictures are decoded."""

    def __init__(self, video: OpenVideo) -> None:
        self.avi = video.container.format.name == "avi"
        self.places: list[int] = []  # of an AVI file's packets: it numbers its chunks and stores no other times
        self.in_order = True  # as pictures are shown, so are they stored
        self.discarded = 0
        self.encrypted = False
        self._latest = -math.inf

    def add(self, packet: VideoPacket) -> None:
        if packet.pts is not None:
            self.in_order &= packet.pts > self._latest
            self._latest = packet.pts
        if self.avi and packet.size and packet.dts is not None:
            self.places.append(packet.dts)
            self.in_order &= packet.pts == packet.dts
        self.discarded += packet.is_discard
        self.encrypted |= packet.has_sidedata("encryption_info")


def _list_pictures(path: str, limits: VideoLimits, watch: Watch, promised: int, geometry: str) -> VideoInfo:
    """List a stream's pictures by decoding them all."""
    threads = min(limits.cores, 8)
    with open_video(path, limits, watch, threads=threads, geometry=geometry) as video:
        size = os.path.getsize(path)
        header_promises = _promised_packets(video.stream)
        errors: list[str] = []
        clock = clock_of(video.stream)
        times: list[float | None] = []
        examined: list[av.VideoFrame] = []  # the first picture, and the first that is interlaced
        hold = 0.0
        tally = _Tally(video)

        def step(packet: VideoPacket) -> None:
            watch.tick((packet.pos or 0) / size)
            tally.add(packet)

        for picture in read_pictures(video.codec, read_packets(video, errors, step), errors):
            if not examined or (picture.interlaced_frame and not examined[-1].interlaced_frame):
                examined.append(picture)
            times.append(clock(picture.pts))
            hold = clock(picture.duration) or 0.0
            check_count(watch.name, len(times), limits)
        watch.check()  # a long search for a packet that runs out of time ends as an error of the file does
        promised = max(promised, header_promises - tally.discarded)
        if not examined:
            if tally.encrypted or is_encrypted(path):
                raise VideoError(f"{watch.name!r} {ENCRYPTED}", *errors[:1])
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
        seconds = _usable_times(video, times, tally)
        if seconds is None:
            rate = _assumed_rate(video, times, tally)
            seconds, hold = [i / rate for i in range(len(times))], 1 / rate
            how = "stores no times, so" if video.container.format.name in BARE else "has unusable frame times;"
            warnings.append(f"The file {how} {rate:g} frames per second are assumed.")
        elif not tally.in_order:
            hold = 0.0
        return _describe(path, video, examined, limits, seconds, hold, [], warnings, geometry)


def _usable_times(video: OpenVideo, times: list[float | None], tally: _Tally) -> list[float] | None:
    """When decoded pictures are shown, ascending; None if the file does not say."""
    seconds = [s for s in times if s is not None]
    if video.container.format.name in BARE:
        return None
    if tally.avi and not tally.in_order:  # the decoder can give pictures no times; empty chunks leave gaps
        seconds = [clock_of(video.stream)(place) or 0.0 for place in sorted(tally.places)]
    elif len(set(seconds)) == len(seconds) and sum(a > b for a, b in pairwise(seconds)) * 10 > len(seconds):
        seconds.sort()  # some formats give a picture the time of the packet that it came out with
    ascending = all(a < b for a, b in pairwise(seconds))
    return seconds if len(seconds) == len(times) and ascending and not _jumps(video, seconds) else None


def _jumps(video: OpenVideo, seconds: list[float]) -> bool:
    """Whether times leap as where two recordings were joined."""
    return video.container.format.name in JUMPS and any(b - a > JUMP_SECONDS for a, b in pairwise(seconds))


def _assumed_rate(video: OpenVideo, times: list[float | None], tally: _Tally) -> float:
    """Frames a second of a stream whose times cannot be used, or whose format stores none."""
    stream = video.stream
    found: list[float] = []
    if tally.avi and not tally.in_order:
        if stream.duration and stream.time_base:
            found.append(len(times) / float(stream.duration * stream.time_base))
    elif video.container.format.name not in BARE:
        steps = [b - a for a, b in pairwise(times) if a is not None and b is not None and b > a]
        if len(steps) * 2 > len(times):
            found.append(float(f"{1 / median(steps):.6g}"))
    found += [float(rate) for rate in (stream.guessed_rate, stream.average_rate) if rate]
    return next((rate for rate in found if RATES[0] <= rate <= RATES[1]), USUAL_RATE)


def _promised_packets(stream: VideoStream) -> int:
    """How many packets the header promises, 0 if it does not say; asked before the first one is read.

    The index counts for less than `stream.frames` where an edit list leaves frames out.
    """
    return min(stream.frames, len(stream.index_entries))


def done_to_pictures(
    video: OpenVideo, examined: list[av.VideoFrame], size: tuple[int, int], geometry: str
) -> list[str]:
    """A sentence on everything that is done to a stream's pictures.

    Args:
        video: the file.
        examined: pictures as they are decoded, the first one and others that may be unlike it.
        size: (width, height) of the first as it is read.
        geometry: how pictures are read, a key of `vivit.names.GEOMETRY`.
    """
    first, stored = examined[0], geometry == "stored"
    said = []
    if not stored and orientation_of(first) is None:
        said.append("The file's rotation is unusable, so its pictures are shown as they are stored.")
    num_streams = len(video_streams(video.container))
    if num_streams > 1:
        used = f"stream {video.stream.index} ({size[0]}x{size[1]}) is used"
        said.append(f"The file has {num_streams} video streams; {used}.")
    if not stored and (colours := colours_of(first)):
        said.append(f"The clip is in {colours}; it was tone-mapped to BT.709, the colours of ordinary video.")
    if not stored and any(picture.interlaced_frame for picture in examined):
        said.append(DEINTERLACED)
    if promises_alpha(video.stream) and not has_alpha(first.format):
        said.append(
            "The clip is partly transparent, which the decoder here drops: the ground may not be as in a player."
        )
    return said


def _describe(
    path: str,
    video: OpenVideo,
    examined: list[av.VideoFrame],
    limits: VideoLimits,
    times: list[float],
    hold: float,
    keys: list[float],
    warnings: list[str],
    geometry: str,
) -> VideoInfo:
    """Put together what was found, with a sentence on everything that is done to the pictures."""
    first, stream, stored = examined[0], video.stream, geometry == "stored"
    height, width, _ = ToRgb(stream, os.path.basename(path), limits, geometry=geometry)(first).shape
    warnings += done_to_pictures(video, examined, (width, height), geometry)
    rotation, mirrored = describe_orientation(UPRIGHT if stored else orientation_of(first) or UPRIGHT)
    interlaced = not stored and any(picture.interlaced_frame for picture in examined)
    if hold <= 0 and len(times) > 1:  # the file does not say
        hold = (times[-1] - times[0]) / (len(times) - 1)
    return VideoInfo(
        path=path,
        container=video.container.format.name,
        codec=video.codec.codec.canonical_name,
        stream_index=stream.index,
        num_streams=len(video_streams(video.container)),
        width=width,
        height=height,
        rotation=rotation,
        mirrored=mirrored,
        frame_seconds=tuple(times),
        end_seconds=times[-1] + hold,
        plain=first.format.name in PLAIN_FORMATS and not (interlaced or (not stored and colours_of(first))),
        interlaced=interlaced,
        keyframe_seconds=tuple(keys),
        warnings=tuple(warnings),
        geometry=geometry,
    )
