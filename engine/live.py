"""A camera's pictures, classified again and again as they come. No torch, and no picture outlives its window.

A visitor's browser sends JPEGs at the steps of the window's grid. A window falls due a stride after the last one; the newest is
classified as soon as the one before is answered, and the others that fell due meanwhile are dropped and counted.
"""

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf

import numpy as np

from engine.answering import score_windows
from engine.engine import Engine
from engine.running import TICK, Running, Stopped
from engine.tasks import DecodePictures, WindowsAsked
from vivit.timeline.segments import Answered

REMEMBERED_SECONDS = 60.0  # of answers
SILENCE_SECONDS = 4.0  # without a picture until the camera is taken to be off
MOST_BYTES = 400_000  # of a picture
MOST_A_SECOND = 30.0  # pictures, on average
BURST = 15  # pictures that may come at once
RECORDING_PAUSE = 2.0  # seconds between two recordings of a visitor
# Of a step, by which a window's picture may be later than its time, which is counted from the newest picture back.
LATE_SHARE = 0.25
UNKNOWN_PAGE = "This page is no longer known here; reload it."
NOT_WORKING = "The camera's pictures are no longer classified; start the camera again."


@dataclass(frozen=True)
class Taken:
    """A camera's picture. Args: taken_ms: when, by the browser's clock; jpeg: the file's bytes."""

    taken_ms: float
    jpeg: bytes = field(repr=False)


@dataclass(frozen=True)
class LiveAnswer:
    """A window's answer.

    Args:
        answered: the answer; its times are in seconds from the first picture on, by the browser's clock.
        newest_ms: when its newest picture was taken, by the browser's clock.
        number: how many were answered before.
    """

    answered: Answered
    newest_ms: float
    number: int


class RefusedPicture(Exception):
    """A picture that is not taken. Args: status: HTTP's; sentence: for the visitor."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(eq=False)
class RunningLive(Running):
    """A camera that is being classified; read it freely, from any thread.

    Args:
        asked: how its windows are classified.
        labels: the names of the classes; empty before the first answer.
        answers: those of the last minute, oldest first.
        due: windows that fell due; each is answered, dropped, at work, or next.
        dropped: those of them that a newer one has overtaken.
        pictures: how many were taken in.
        off_ms: when the camera was put out, by the browser's clock; None while it is on.
    """

    asked: WindowsAsked
    labels: tuple[str, ...] = ()
    answers: deque[LiveAnswer] = field(default_factory=deque, repr=False)
    due: int = 0
    dropped: int = 0
    pictures: int = 0
    off_ms: float | None = None
    _ring: deque[Taken] = field(default_factory=deque, repr=False)
    _pixels: dict[float, np.ndarray] = field(default_factory=dict, repr=False)
    _began_ms: float = 0.0
    _newest_ms: float = 0.0
    _first_due_ms: float = 0.0
    _waiting: bool = False  # whether a window is due that is not yet at work
    _heard: float = field(default_factory=time.monotonic, repr=False)
    _came: threading.Condition = field(default_factory=threading.Condition, repr=False)

    @property
    def newest(self) -> LiveAnswer | None:
        """The last answer."""
        return self.answers[-1] if self.answers else None

    def now_seconds(self) -> float:
        """The newest picture's time from the first picture on, by the browser's clock."""
        return (self._newest_ms - self._began_ms) / 1e3

    def last_pictures(self) -> list[Taken]:
        """The pictures of the newest window, for whoever wants to keep them; none before there is a whole one."""
        with self._came:
            return list(self._ring) if self._whole else []

    def add(self, taken: Taken) -> None:
        """Take in a picture, unless it comes too soon after the last; pictures from before its window go."""
        with self._came:
            if self._cancel.is_set():
                return
            least = self.asked.grid.tick_seconds * 1e3 / 2
            if self._ring and taken.taken_ms < self._ring[-1].taken_ms + least:
                return  # overtaken on its way, or more than a window needs
            self._heard = time.monotonic()
            if not self.pictures:
                self._began_ms = taken.taken_ms
            self._newest_ms = taken.taken_ms
            self.pictures += 1
            self._ring.append(taken)
            # A picture that is older than a window stays as long as the next picture is too young to begin the window.
            while len(self._ring) > 1 and self._ring[1].taken_ms <= self._oldest_ms:
                self._ring.popleft()
            if self._whole:
                self._fall_due(taken.taken_ms)
            self._came.notify_all()

    def _fall_due(self, now_ms: float) -> None:
        """Count the windows that a picture of that time completes: from the first one on, one a stride."""
        grid = self.asked.grid
        if not self.due:
            self._first_due_ms = now_ms
        since = now_ms - self._first_due_ms + grid.tick_seconds * 1e3 / 2  # each ends with the picture next to its end
        more = 1 + int(since / (grid.stride_seconds * 1e3)) - self.due
        if more > 0:
            self.dropped += more - 1 + self._waiting
            self.due += more
            self._waiting = True

    @property
    def _oldest_ms(self) -> float:
        """By when the first picture of a window that ends now must have been taken."""
        grid = self.asked.grid
        return self._ring[-1].taken_ms - (grid.num_frames - 1 - LATE_SHARE) * grid.tick_seconds * 1e3

    @property
    def _whole(self) -> bool:
        return bool(self._ring) and self._ring[0].taken_ms <= self._oldest_ms

    @property
    def filled(self) -> float:
        """How much of a window is there, 0 to 1."""
        with self._came:
            if not self._ring:
                return 0.0
            newest = self._ring[-1].taken_ms
            return min(1.0, (newest - self._ring[0].taken_ms) / (newest - self._oldest_ms))


class Cameras:
    """Whose cameras are on. A visitor proves who they are by a token that only their page has.

    Args:
        engine: has the workers 'media' and 'model'.
        clock: in seconds.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._clock = clock
        self._tokens: dict[str, str] = {}  # token → visitor
        self._expected: dict[str, WindowsAsked] = {}  # visitor → how theirs are to be classified
        self._live: dict[str, RunningLive] = {}
        self._allowance: dict[str, tuple[float, float]] = {}  # visitor → pictures they may still send, as of when
        self._next_recording: dict[str, float] = {}  # visitor → when they may send one
        self._recordings: dict[str, str] = {}  # visitor → a file that their page has not taken up
        self._guard = threading.Lock()

    def token(self, visitor: str) -> str:
        """The visitor's token."""
        with self._guard:
            for token, other in self._tokens.items():
                if other == visitor:
                    return token
            token = secrets.token_urlsafe(24)
            self._tokens[token] = visitor
            return token

    def visitor_of(self, token: str) -> str:
        """Whose token it is; '' for nobody's."""
        with self._guard:
            return self._tokens.get(token, "")

    def expect(self, visitor: str, asked: WindowsAsked | None) -> None:
        """Be ready for the visitor's pictures, classified as `asked`; None: take none. A camera that runs otherwise ends."""
        with self._guard:
            if asked is None:
                self._expected.pop(visitor, None)
            else:
                self._expected[visitor] = asked
            live = self._live.get(visitor)
            if live is not None and live.asked != asked:
                live.cancel()
                del self._live[visitor]

    def live(self, visitor: str) -> RunningLive | None:
        """What runs for the visitor, or ran last."""
        with self._guard:
            return self._live.get(visitor)

    def off(self, visitor: str, off_ms: float = 0.0) -> None:
        """The camera has been put out: no picture of it is held any longer, and none from before is taken.

        Args:
            off_ms: when, by the browser's clock.
        """
        with self._guard:
            if live := self._live.get(visitor):
                live.off_ms = off_ms
                live.cancel()

    def forget(self, visitor: str) -> None:
        """The visitor has gone."""
        self.expect(visitor, None)
        with self._guard:
            self._live.pop(visitor, None)
            for kept in (self._allowance, self._next_recording, self._recordings):
                kept.pop(visitor, None)
            self._tokens = {token: other for token, other in self._tokens.items() if other != visitor}

    def picture(self, token: str, taken: Taken) -> RunningLive:
        """Take in a picture; the first begins the work.

        Returns:
            What runs, or what has failed: a failed one is replaced only once the camera has been put out.

        Raises:
            RefusedPicture: without a known token, when nothing is expected, if the picture is too large or no JPEG, or if it
                was taken before the camera was put out.
        """
        visitor = self.visitor_of(token)
        if not visitor:
            raise RefusedPicture(403, UNKNOWN_PAGE)
        if len(taken.jpeg) > MOST_BYTES:
            raise RefusedPicture(413, f"A picture has more than {MOST_BYTES // 1000} kB.")
        if not taken.jpeg.startswith(b"\xff\xd8\xff"):
            raise RefusedPicture(415, "A camera's pictures come as JPEG.")
        with self._guard:
            asked = self._expected.get(visitor)
            if asked is None:
                raise RefusedPicture(409, "No camera is expected; open the page 'Live'.")
            live = self._live.get(visitor)
            if live is not None and live.off_ms is not None and taken.taken_ms <= live.off_ms:
                raise RefusedPicture(409, "The camera is off.")
            if live is not None and live.state == "failed" and live.off_ms is None:
                return live
            if live is None or live.state != "running" or live.off_ms is not None:
                live = self._live[visitor] = RunningLive(asked)
                begun = live
                live.begin(lambda: _run(self._engine, begun), f"live-{visitor[:8]}", NOT_WORKING)
        live.add(taken)
        return live

    def may_send(self, visitor: str) -> None:
        """Count a picture of the visitor's, before it is read; raise RefusedPicture where it comes too soon."""
        with self._guard:
            left, since = self._allowance.get(visitor, (float(BURST), self._clock()))
            left = min(float(BURST), left + (self._clock() - since) * MOST_A_SECOND)
            if left < 1:
                raise RefusedPicture(429, "Pictures come too fast.")
            self._allowance[visitor] = (left - 1, self._clock())

    @contextmanager
    def recording(self, visitor: str) -> Iterator[None]:
        """Receive one recording of the visitor's within this context.

        Raises:
            RefusedPicture: where another recording is on its way, or came a moment ago.
        """
        with self._guard:
            if self._clock() < self._next_recording.get(visitor, 0.0):
                raise RefusedPicture(429, "Recordings come too fast; wait a moment.")
            self._next_recording[visitor] = inf
        try:
            yield
        finally:
            with self._guard:
                if visitor in self._next_recording:
                    self._next_recording[visitor] = self._clock() + RECORDING_PAUSE

    def recorded(self, visitor: str, path: str) -> bool:
        """The visitor has a recording. Args: path: its file. Returns: False if they have left meanwhile."""
        with self._guard:
            if visitor not in self._next_recording:
                return False
            self._recordings[visitor] = path
            return True

    def take_recording(self, visitor: str) -> str:
        """The file of a recording that has come since this was asked last; '' for none."""
        with self._guard:
            return self._recordings.pop(visitor, "")


def _run(engine: Engine, live: RunningLive) -> None:
    try:
        while True:
            _answer(engine, live, _next_window(live))
    finally:
        with live._came:  # no picture is kept, and none is taken in from now on
            live.cancel()
            live._ring.clear()
            live._pixels.clear()


def _next_window(live: RunningLive) -> list[Taken]:
    """Wait until a window is due; returns the pictures of the newest one, one a step of the grid. Raises Stopped."""
    grid = live.asked.grid
    step = grid.tick_seconds * 1e3
    with live._came:
        while not live._waiting:
            live._came.wait(TICK)
            if live._cancel.is_set() or time.monotonic() - live._heard > SILENCE_SECONDS:
                raise Stopped
        live._waiting = False
        ring = list(live._ring)
    times = np.array([taken.taken_ms for taken in ring])
    wanted = times[-1] - step * np.arange(grid.num_frames - 1, -1, -1)
    places = np.searchsorted(times, wanted + step * LATE_SHARE, "right") - 1
    return [ring[place] for place in places]


def _answer(engine: Engine, live: RunningLive, chosen: list[Taken]) -> None:
    """Decode what is new, classify, and remember."""
    asked = live.asked
    unique = list(dict.fromkeys(taken.taken_ms for taken in chosen))
    files = {taken.taken_ms: taken.jpeg for taken in chosen}
    if new := [ms for ms in unique if ms not in live._pixels]:
        job = engine.ask(DecodePictures(asked.checkpoint), [files[ms] for ms in new], cost_key="decode_pictures")
        shape = live.reply_to(engine, job).shape
        for ms, pixels in zip(new, np.frombuffer(job.blobs[0], np.uint8).reshape(shape), strict=True):
            live._pixels[ms] = pixels
    for ms in [ms for ms in live._pixels if ms < unique[0]]:
        del live._pixels[ms]
    frames = np.stack([live._pixels[ms] for ms in unique])
    place = {ms: row for row, ms in enumerate(unique)}
    found = score_windows(engine, live, asked, frames, [tuple(place[taken.taken_ms] for taken in chosen)])
    live.labels = live.labels or found.answers.labels
    seconds = tuple((taken.taken_ms - live._began_ms) / 1e3 for taken in chosen)
    answered = Answered(seconds[0], seconds[-1], found.scores[0], found.answers.familiar[0], seconds)
    number = live.answers[-1].number + 1 if live.answers else 0
    live.answers.append(LiveAnswer(answered, chosen[-1].taken_ms, number))
    while live.answers[0].answered.end < answered.end - REMEMBERED_SECONDS:
        live.answers.popleft()
