"""Chosen pictures of a video file, decoded side by side and no more of them than needed."""

import threading
from bisect import bisect_left, bisect_right
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain, groupby, pairwise
from operator import itemgetter

import av
import numpy as np

from vivit.video import webp
from vivit.video.container import (
    MEDIA_ERRORS,
    OpenVideo,
    VideoError,
    VideoLimits,
    VideoPacket,
    Watch,
    clock_of,
    open_video,
    read_packets,
    read_pictures,
)
from vivit.video.info import VideoInfo
from vivit.video.interlaced import with_neighbours
from vivit.video.picture import UPRIGHT, ToRgb, orientation_from

Transform = Callable[[np.ndarray], np.ndarray]

# Codecs in which a picture that its own header calls unreferenced can be skipped without changing any other. (HEVC's
# 'sub-layer non-reference' pictures may still be referenced from a higher layer.)
SKIPS_UNREFERENCED = {"h264", "mpeg2video"}

MAX_LANES = 4  # decoders at work at once
AHEAD = 32  # transformed, and so small, pictures that each decoder may have waiting
THREADED_PIXELS = 200_000  # for smaller pictures a decoder's threads cost more than they gain


class FramesMissingError(VideoError):
    """A frame that the packets promise does not come out of the decoder."""


@dataclass(frozen=True)
class Frame:
    """One decoded picture.

    Args:
        index: its place among the displayed pictures, from 0.
        seconds: its presentation time.
        image: (H, W, 3) uint8 RGB, as a viewer sees it: upright, square pixels, whole, in BT.709, on white.
        damaged: the decoder says that parts of it are guessed.
        deinterlaced: it was made of two fields.
    """

    index: int
    seconds: float
    image: np.ndarray
    damaged: bool = False
    deinterlaced: bool = False


def decode_frames(
    info: VideoInfo, indices: list[int], transform: Transform | None, limits: VideoLimits, watch: Watch
) -> Iterator[Frame]:
    """See `vivit.video.decode`; `watch` may have begun earlier."""
    if any(a > b for a, b in pairwise(indices)):
        raise ValueError(f"indices must ascend: {indices}")
    if indices and not 0 <= indices[0] <= indices[-1] < info.num_frames:
        raise ValueError(f"indices must lie in [0, {info.num_frames}): {indices}")
    repeats = Counter(indices)
    done = 0

    def poll() -> None:
        watch.tick(done / len(indices))

    if info.container == webp.NAME:
        frames = _decode_webp(info, list(repeats), transform, limits, watch)
    else:
        frames = _decode_lanes(info, _split_into_runs(info, list(repeats)), transform, limits, watch, poll)
    for frame in frames:
        for _ in range(repeats[frame.index]):
            done += 1
            poll()
            yield frame


def _decode_webp(
    info: VideoInfo, targets: list[int], transform: Transform | None, limits: VideoLimits, watch: Watch
) -> Iterator[Frame]:
    expected = iter(targets)
    for index, image in webp.decode(info.path, targets, limits, watch, info.geometry) if targets else ():
        yield Frame(next(expected), info.frame_seconds[index], transform(image) if transform else image)
    if (missing := next(expected, None)) is not None:
        raise _missing(missing, watch)


def _missing(index: int, watch: Watch, errors: Sequence[str] = ()) -> FramesMissingError:
    return FramesMissingError(
        f"Frame {index} of {watch.name!r} cannot be decoded; it is damaged or has changed, so get another copy.",
        *errors[:1],
    )


def _split_into_runs(info: VideoInfo, targets: list[int]) -> list[list[int]]:
    """Group ascending frame indices by the key frame from which they are decoded."""
    last_key = [bisect_right(info.keyframe_seconds, info.frame_seconds[target]) for target in targets]
    return [[target for _, target in run] for _, run in groupby(zip(last_key, targets, strict=True), itemgetter(0))]


def _decode_lanes(
    info: VideoInfo,
    runs: list[list[int]],
    transform: Transform | None,
    limits: VideoLimits,
    watch: Watch,
    poll: Callable[[], None],
) -> Iterator[Frame]:
    """Decode runs side by side, in lanes of a decoder and a thread each, and yield their frames in order.

    One decoder with many threads would gain less, and every seek to another key frame would empty it.
    """
    num_lanes = min(len(runs), limits.cores, MAX_LANES)
    threads = 1 if info.width * info.height < THREADED_PIXELS else min(8, limits.cores // max(1, num_lanes))
    if num_lanes <= 1:
        yield from _decode_runs(info, runs, transform, limits, watch, lambda packet: poll(), threads)
        return
    stop = threading.Event()

    def step(packet: VideoPacket) -> None:
        watch.check()
        if stop.is_set():
            raise VideoError("Cancelled.")

    shares, lane_of_run = _share_out(info, runs, num_lanes)
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
        for lane in (lane for run, lane in zip(runs, lane_of_run, strict=True) for _ in run):
            future = upcoming[lane].popleft()
            while not wait([future], 0.05).done:
                poll()
            frame = future.result()
            upcoming[lane].append(submits[lane]())
            yield frame


def _share_out(info: VideoInfo, runs: list[list[int]], num_lanes: int) -> tuple[list[list[list[int]]], list[int]]:
    """Each run to the lane that has the fewest pictures to decode so far: the runs of each lane, and the lane of each run."""
    shares: list[list[list[int]]] = [[] for _ in range(num_lanes)]
    lane_of_run = []
    loads = [0] * num_lanes
    for run in runs:
        lane = loads.index(min(loads))
        shares[lane].append(run)
        lane_of_run.append(lane)
        key = info.keyframe_seconds[bisect_right(info.keyframe_seconds, info.frame_seconds[run[0]]) - 1]
        loads[lane] += run[-1] - bisect_left(info.frame_seconds, key) + 1
    return shares, lane_of_run


def _decode_runs(
    info: VideoInfo,
    runs: list[list[int]],
    transform: Transform | None,
    limits: VideoLimits,
    watch: Watch,
    step: Callable[[VideoPacket], None],
    threads: int,
) -> Iterator[Frame]:
    """Decode one run of frame indices after the other with one decoder."""
    with open_video(info.path, limits, watch, threads=threads, stream_index=info.stream_index) as video:
        # In an animated PNG only the first picture says how all are turned.
        usual = orientation_from(info.rotation, info.mirrored) if info.codec == "apng" else UPRIGHT
        to_rgb = ToRgb(video.stream, watch.name, limits, usual, info.geometry)
        for run in runs:
            errors: list[str] = []
            if info.keyframe_seconds:
                numbered = _pictures_by_time(info, run, video, errors, step)
            else:
                numbered = enumerate(read_pictures(video.codec, read_packets(video, errors, step), errors))
            remaining = iter(run)
            index = next(remaining, None)
            beside = with_neighbours(numbered) if info.interlaced else ((n, p, None, None) for n, p in numbered)
            for number, picture, before, after in beside:
                if number == index:
                    # A picture whose references were not decoded after a seek is flagged as corrupt.
                    if picture.is_corrupt and info.keyframe_seconds:
                        break
                    image = to_rgb(picture, before, after)
                    if transform:
                        image = transform(image)
                    seconds, woven = info.frame_seconds[index], picture.interlaced_frame and info.geometry == "upright"
                    yield Frame(index, seconds, image, picture.is_corrupt, woven)
                    index = next(remaining, None)
                    if index is None:
                        break
            if index is not None:
                watch.check()
                raise _missing(index, watch, errors)


def _pictures_by_time(
    info: VideoInfo,
    run: Sequence[int],
    video: OpenVideo,
    errors: list[str],
    step: Callable[[VideoPacket], None],
) -> Iterator[tuple[int, av.VideoFrame]]:
    """Decode from a key frame no later than a run of indices until its last picture: (index, picture), told by their times."""
    if info.interlaced:  # a picture is deinterlaced with those beside it
        run = sorted({i + side for i in run for side in (-1, 0, 1) if 0 <= i + side < info.num_frames})
    indices = {info.frame_seconds[i]: i for i in run}
    codec = video.codec
    clock = clock_of(video.stream)
    skips = codec.codec.canonical_name in SKIPS_UNREFERENCED

    def wanted_packets() -> Iterator[VideoPacket]:
        unseen = set(indices)
        for packet in _packets_from_key(info, run[0], video, errors, step):
            seconds = clock(packet.pts)
            if skips:
                codec.skip_frame = "DEFAULT" if seconds in unseen else "NONREF"
            unseen.discard(seconds)
            yield packet
            if not unseen:
                return

    for picture in read_pictures(codec, wanted_packets(), errors):
        seconds = clock(picture.pts)
        if seconds in indices:
            yield indices[seconds], picture


def _packets_from_key(
    info: VideoInfo,
    target: int,
    video: OpenVideo,
    errors: list[str],
    step: Callable[[VideoPacket], None],
) -> Iterator[VideoPacket]:
    """The packets from a key frame that is shown no later than the target; none if it cannot be reached."""
    seconds = info.frame_seconds[target]
    keys = info.keyframe_seconds
    before = bisect_right(keys, seconds)
    # Many formats seek by decoding time, and MPEG-TS to a place after the time asked for: the key frame found may then come
    # after the target. So look further back, at last from before the start of the clip.
    for key in (*(keys[before - back] for back in (1, 2, 4, 8) if back <= before), keys[0] - 10):
        with suppress(*MEDIA_ERRORS):
            video.seek(key)
        packets = read_packets(video, errors, step)
        first = next((packet for packet in packets if packet.is_keyframe), None)
        found = first and clock_of(video.stream)(first.pts)
        if found in keys[:before]:
            yield from chain((first,), packets)
            return
