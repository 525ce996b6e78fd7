"""A film of any length: decoded once, in order, and looked at on a grid of times, with no more held than two pictures to come.

What `probe` finds by reading the whole file first is found here on the way: a film that is damaged in the middle gives what
comes before and after, and warnings say what is missing.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from math import inf

import av
import numpy as np

from vivit.film import FilmInfo, Tick, clock
from vivit.video import webp
from vivit.video.container import (
    ENCRYPTED,
    MEDIA_ERRORS,
    OpenVideo,
    TellFraction,
    VideoError,
    VideoLimits,
    VideoPacket,
    Watch,
    check_count,
    clock_of,
    open_video,
    read_packets,
)
from vivit.video.decoding import Transform, decode_frames
from vivit.video.interlaced import with_neighbours
from vivit.video.picture import UPRIGHT, ToRgb, orientation_of
from vivit.video.probing import (
    BARE,
    DEINTERLACED,
    JUMP_SECONDS,
    JUMPS,
    PLAIN_FORMATS,
    RATES,
    USUAL_RATE,
    done_to_pictures,
    list_frames,
)
from vivit.video.signature import is_encrypted
from vivit.video.tone_mapping import colours_of

FILM_LIMITS = VideoLimits(max_seconds=7 * 86_400.0, max_frames=10_000_000)  # 46 hours at 60 frames a second
CLOSE = 1e-6  # seconds by which two times are the same
# Formats that seek to key frames by presentation time. Not MPEG-TS, whose clock may leap, and not AVI, whose pictures are
# counted.
SEEKS_WELL = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "flv", "mxf")
# Seconds before a wanted time at which a key frame is looked for, one after the other. Never at that time: an interlaced
# picture needs the one before it.
BEFORE = (0.1, 4.0, 16.0)
# Formats in which a decoded picture does not carry its own time; those of the packets, in order, are the pictures'.
BY_PACKETS = {"avi", "asf"}
MOST_BETWEEN = 64  # packets that a decoder holds before their pictures come
MOST_PLACES = 3  # damaged places that are named
HOLE_SECONDS = 1.0  # without a picture before the user is told; and longer than so many pictures take:
HOLE_PICTURES = 10
STILL_SECONDS = 3600.0  # that a picture may be on screen; one bit of a damaged time stamp can be a thousand years
LONGEST_SECONDS = 7 * 86_400.0  # of a film
UNUSABLE = 0.02  # the share of pictures without a usable time above which the user is told


@dataclass
class Film:
    """A film that is open. What has been found grows while `ticks` is read.

    Args:
        info: what it holds.
        decoded: pictures that came out of the decoder, each counted once.
        end_seconds: when the last of them has been shown.
        ended: whether the file's end has been reached.
    """

    info: FilmInfo
    decoded: int = 0
    end_seconds: float = 0.0
    ended: bool = False

    _pictures: "Iterator[_Shown]" = field(kw_only=True, repr=False)
    _watch: Watch = field(kw_only=True, repr=False)
    _notes: "_Notes" = field(kw_only=True, repr=False)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences for the user."""
        said = self._notes.sentences(self.info, self.decoded)
        promised = 0.0 if self._notes.jumped else self.info.promised_seconds
        # Sound may be longer than the pictures.
        if self.ended and promised - self.end_seconds > min(10.0, max(2.0, 0.02 * promised)):
            said.append(
                f"The file promises {clock(promised)}, and ends after {clock(self.end_seconds)}: it is damaged or incomplete."
            )
        return tuple(said)

    def grant(self, seconds: float, progress: TellFraction | None = None) -> None:
        """Bound the wall time from this call on; before, `open_film`'s limit holds. Args: progress: as `open_film` takes it."""
        self._watch.renew(seconds)
        self._watch.progress = progress

    def ticks(self, tick_seconds: float, transform: Transform, first: int = 0) -> Iterator[Tick]:
        """The picture on screen at each time of a grid; only those are converted, once each.

        Args:
            tick_seconds: between two times, > 0.
            transform: (H, W, 3) uint8 picture to the smaller picture to keep.
            first: the number of the first time.

        Yields:
            Ticks, ascending without gaps, to the end of the film.

        Raises:
            VideoError: if a picture is too large, the film too long, or time is up.
        """
        number = first
        for shown in self._pictures:
            self.decoded += 1
            self.end_seconds = shown.until
            if shown.until > LONGEST_SECONDS:
                days = LONGEST_SECONDS / 86_400
                raise VideoError(f"{self._watch.name!r} lasts longer than {days:g} days; cut out a shorter piece.")
            image: np.ndarray | None = None
            while number * tick_seconds < shown.until - CLOSE:
                if image is None:
                    image = transform(shown.image())
                yield Tick(number, shown.seconds, image)
                number += 1
        self.ended = True


@dataclass(frozen=True)
class _Shown:
    """A picture, from when until when it is on screen, and a way to have it in RGB."""

    seconds: float
    until: float
    image: Callable[[], np.ndarray]


class _Notes:
    """What is found on the way through a film, and the sentences that tell of it."""

    def __init__(self, done: tuple[str, ...] = ()) -> None:
        self.done = list(done)  # sentences on what is done to the pictures
        self.damaged: list[float] = []  # when, in seconds; only as many as are named
        self.holes: list[float] = []  # after which seconds no picture comes for long
        self.unusable = 0  # pictures without a time that could be used
        self.jumped = False  # whether the file's clock leapt
        self.in_order = True  # as pictures are shown, so are they stored

    def damage(self, seconds: float) -> None:
        _add_place(self.damaged, seconds)

    def hole(self, seconds: float) -> None:
        _add_place(self.holes, seconds)

    def sentences(self, info: FilmInfo, decoded: int) -> list[str]:
        said = list(self.done)
        if self.damaged:
            said.append(f"The film is damaged (near {_listed(self.damaged)}); what could be decoded was used.")
        if self.holes:
            said.append(
                f"For more than {HOLE_SECONDS:g} s the film has no new picture (after {_listed(self.holes)}); the one before "
                "was used."
            )
        how = "stores no times, so" if info.container in BARE else "has unusable frame times;"
        if self.jumped or self.unusable > UNUSABLE * decoded:
            said.append(f"The file {how} {info.fps:g} frames per second are assumed.")
        return said


def _add_place(places: list[float], seconds: float) -> None:
    if len(places) < MOST_PLACES and (not places or seconds > places[-1] + 1):
        places.append(seconds)


def _listed(places: list[float]) -> str:
    return ", ".join(clock(place) for place in places)


@contextmanager
def open_film(
    path: str | os.PathLike[str],
    *,
    from_seconds: float = 0.0,
    begin_seconds: float | None = None,
    geometry: str = "upright",
    limits: VideoLimits = FILM_LIMITS,
    progress: TellFraction | None = None,
) -> Iterator[Film]:
    """Open a film, its first picture decoded.

    Args:
        path: the file.
        from_seconds: from when on pictures are wanted, counted from the first one: the film is read from a key frame before
            then where the format seeks well, else from its beginning.
        begin_seconds: the first picture's time in the file, where it is known from an earlier opening and `from_seconds` is
            not 0; if None, the film is read from its beginning.
        geometry: how pictures are read, a key of `vivit.names.GEOMETRY`.
        limits: what a picture may cost, and how many pictures and how much time there may be.
        progress: called at most 20 times a second as the file is read, what is passed over before `from_seconds` as well; what
            it raises ends the reading.

    Raises:
        VideoError: if it cannot be read, in one sentence.
    """
    name = os.fspath(path)
    watch = Watch(name, limits, progress)
    if webp.is_webp(name):
        yield _open_webp(name, limits, watch, geometry)
        return
    threads = min(limits.cores, 8)
    places = [from_seconds - before for before in BEFORE] if from_seconds > 0 and begin_seconds is not None else []
    for place in [*(place for place in places if place > 0), None]:
        with open_video(name, limits, watch, threads=threads, geometry=geometry) as video:
            if place is not None:
                if video.container.format.name not in SEEKS_WELL:
                    continue
                try:
                    video.seek(place + (begin_seconds or 0.0))
                except MEDIA_ERRORS:
                    continue
            film, seconds = _begin(video, watch, limits, geometry, begin_seconds if places else None)
            if place is not None and (film is None or seconds > from_seconds + CLOSE):
                continue
            if film is None:
                raise VideoError(
                    f"{watch.name!r} {ENCRYPTED}"
                    if is_encrypted(name)
                    else f"No picture of {watch.name!r} can be decoded; it is damaged, incomplete or has pictures of more "
                    f"than {limits.max_pixels} pixels, so get another copy."
                )
            yield film
            return


def _begin(
    video: OpenVideo, watch: Watch, limits: VideoLimits, geometry: str, begin_seconds: float | None
) -> tuple[Film | None, float]:
    """Decode the first picture: the film, None where no picture can be decoded, and the first picture's time in seconds."""
    notes = _Notes()
    stream, codec, container = video.stream, video.codec, video.container
    rate = next(
        (float(r) for r in (stream.guessed_rate, stream.average_rate) if r and RATES[0] <= r <= RATES[1]), USUAL_RATE
    )
    times = _Times(1 / rate, container.format.name in JUMPS, notes, begin_seconds)
    decoded = _decoded(video, watch, limits, times, notes)
    first = next(decoded, None)
    if first is None:
        return None, 0.0
    picture, seconds = first
    usual = orientation_of(picture) if codec.codec.canonical_name == "apng" else UPRIGHT
    to_rgb = ToRgb(stream, watch.name, limits, usual, geometry)
    height, width, _ = to_rgb(picture).shape
    notes.done += done_to_pictures(video, [picture], (width, height), geometry)
    promised = float((stream.duration or 0) * (stream.time_base or 0)) or (container.duration or 0) / av.time_base
    if container.format.name.startswith("matroska") and promised > times.begin_seconds > 0:
        promised -= times.begin_seconds  # Matroska promises the time at which the last picture ends
    info = FilmInfo(
        container=container.format.name,
        codec=codec.codec.canonical_name,
        width=width,
        height=height,
        fps=rate,
        promised_seconds=promised if 0 < promised <= LONGEST_SECONDS else 0.0,
        begin_seconds=times.begin_seconds,
        plain=picture.format.name in PLAIN_FORMATS and not colours_of(picture) and not picture.interlaced_frame,
    )
    shown = _with_durations(chain((first,), decoded), to_rgb, rate, clock_of(stream), notes, geometry)
    return Film(info, _pictures=shown, _watch=watch, _notes=notes), seconds


class _Times:
    """The times of pictures, from the first one on and ascending, whatever is wrong with those that the file has for them.

    Args:
        step: seconds from one picture to the next where the file does not say.
        may_jump: whether the file's clock may leap.
        begin_seconds: the file's time of the first picture; None: that of the first that comes.
    """

    def __init__(self, step: float, may_jump: bool, notes: _Notes, begin_seconds: float | None) -> None:
        self.begin_seconds = begin_seconds or 0.0
        self.last = -step
        self.count = 0
        self._step = step
        self._may_jump = may_jump
        self._notes = notes
        self._to_film = None if begin_seconds is None else -begin_seconds  # what makes the film's time of the file's

    def add(self, stamped: float | None, coming: float | None) -> float:
        """The next picture's time. Args: stamped: the file's; coming: the file's of the picture after it. None without one."""
        if self._to_film is None:
            self.begin_seconds = stamped or 0.0
            self._to_film = -self.begin_seconds
        first = not self.count
        self.count += 1
        usual = self.last + self._step
        seconds = None if stamped is None else stamped + self._to_film
        if seconds is not None and self._may_jump and abs(seconds - self.last) > JUMP_SECONDS and not first:
            self._notes.jumped = True
            self._to_film += usual - seconds
            seconds = usual
        astray = seconds is not None and coming is not None and self.last < coming + self._to_film < seconds
        if seconds is None or astray or not (first or self.last < seconds <= self.last + STILL_SECONDS):
            self._notes.unusable += 1
            seconds = usual
        if not first and seconds - self.last > max(HOLE_SECONDS, HOLE_PICTURES * self._step):
            self._notes.hole(self.last)
        self.last = seconds
        return seconds


def _decoded(
    video: OpenVideo, watch: Watch, limits: VideoLimits, times: _Times, notes: _Notes
) -> Iterator[tuple[av.VideoFrame, float]]:
    """Every picture and its time from the first one on, ascending; what cannot be decoded is left out."""
    ahead = chain(_stamped(video, watch, notes, lambda: times.last), (None,))
    coming = next(ahead)
    while coming is not None:
        picture, stamped = coming
        coming = next(ahead)
        check_count(watch.name, times.count + 1, limits)
        seconds = times.add(stamped, coming[1] if coming else None)
        if picture.is_corrupt and times.count > 1:  # the decoder has guessed parts of it
            notes.damage(seconds)
        yield picture, seconds


def _stamped(
    video: OpenVideo, watch: Watch, notes: _Notes, reached: Callable[[], float]
) -> Iterator[tuple[av.VideoFrame, float | None]]:
    """Every picture and the time that the file has for it; what cannot be decoded is left out. Args: reached: seconds."""
    read = clock_of(video.stream)
    container = video.container.format.name
    by_packets: deque[int | None] | None = deque(maxlen=MOST_BETWEEN) if container in BY_PACKETS else None
    count, latest = 0, -inf
    demuxing: list[str] = []

    def step(packet: VideoPacket) -> None:
        nonlocal latest
        watch.tick(0.0)
        if not count and packet.has_sidedata("encryption_info"):  # of which some decoders make pictures
            raise VideoError(f"{watch.name!r} {ENCRYPTED}")
        if packet.pts is not None and packet.size:
            notes.in_order &= packet.pts > latest
            latest = packet.pts
        if by_packets is not None and packet.size:
            by_packets.append(packet.dts if container == "avi" else packet.pts)

    for packet in chain(read_packets(video, demuxing, step), (None,)):
        try:
            pictures = video.codec.decode(packet)
        except MEDIA_ERRORS:
            if count:  # a recording may start between key frames
                notes.damage(max(0.0, reached()))
            if by_packets:
                by_packets.pop()
            continue
        for picture in pictures:
            count += 1
            stamp = by_packets.popleft() if by_packets else picture.pts
            yield picture, None if container in BARE else read(stamp)
    if demuxing:
        notes.damage(max(0.0, reached()))
    watch.check()


def _with_durations(
    decoded: Iterator[tuple[av.VideoFrame, float]],
    to_rgb: ToRgb,
    rate: float,
    read: Callable[[int | None], float | None],
    notes: _Notes,
    geometry: str,
) -> Iterator[_Shown]:
    """Pictures with how long each is on screen: until the next one comes; the last as it says itself, or the mean."""
    times: dict[int, float] = {}
    start: float | None = None

    def numbered() -> Iterator[tuple[int, av.VideoFrame]]:
        for number, (picture, seconds) in enumerate(decoded):
            times[number] = seconds
            yield number, picture

    for number, picture, before, after in with_neighbours(numbered()):
        seconds = times.pop(number)
        start = seconds if start is None else start
        if picture.interlaced_frame and geometry == "upright" and DEINTERLACED not in notes.done:
            notes.done.append(DEINTERLACED)
        mean = (seconds - start) / number if number else 1 / rate
        # Where pictures are stored in another order, a packet's length is that from one decoding time to the next.
        own = (read(picture.duration) or 0.0) if notes.in_order and not notes.unusable else 0.0
        until = times.get(number + 1, seconds + (own if 0 < own <= STILL_SECONDS else mean))
        yield _Shown(seconds, until, lambda p=picture, b=before, a=after: to_rgb(p, b, a))  # type: ignore[misc]


def _open_webp(path: str, limits: VideoLimits, watch: Watch, geometry: str) -> Film:
    """An animation, which is listed as a whole: it is small."""
    found = list_frames(path, limits, watch, geometry=geometry)
    begin, edges = found.frame_seconds[0], found.edge_seconds
    frames = decode_frames(found, list(range(found.num_frames)), None, limits, watch)
    info = FilmInfo(
        container=found.container,
        codec=found.codec,
        width=found.width,
        height=found.height,
        fps=found.fps,
        promised_seconds=found.duration_seconds,
        begin_seconds=begin,
        plain=False,
    )
    shown = (
        _Shown(f.seconds - begin, edges[f.index + 1] - begin, lambda image=f.image: image)  # type: ignore[misc]
        for f in frames
    )
    return Film(info, _pictures=shown, _watch=watch, _notes=_Notes(found.warnings))
