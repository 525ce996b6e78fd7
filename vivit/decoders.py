"""Clips read ahead by processes of their own, each with one thread. No torch is used, here or in them.

A decoder is a fresh interpreter and not a child of `multiprocessing`, which would import the caller's main module: scripts
need no guard, and servers and notebooks can do the same. Its stdin gets a line of JSON that says how to read, and then one
for each file; its stdout gives a line once it can begin, and then one for each file, followed by its pixels' bytes.

Letters: V views of a clip, T frames of each, H × W pixels, C channels.
"""

import builtins
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Generator, Iterable
from concurrent.futures import Future
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np

from vivit.ahead import read_ahead
from vivit.errors import UserError
from vivit.preparing import ReadyClip, prepare_clip
from vivit.processing import VivitImageProcessor
from vivit.video import FramesMissingError, VideoError, VideoLimits
from vivit.views import ONE, Views

# The caller's own path, since its current folder may hold anything; and last where `vivit` lies, for what is relative to a
# folder that the caller has left.
START = "import sys; sys.path[:] = sys.argv[1:]; from vivit.decoders import serve; serve()"
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # NumPy's threads would only be in the way
PIPE_BYTES = 2**20  # the most that Linux gives to any user, unless its administrator has changed that
GRACE_SECONDS = 30.0  # beyond the limit of a clip, after which its decoder is taken to hang
READY = "ready"
FOREVER_MS = 2**31 - 1
# On a CPU the model goes before decoders: its threads wait for one another, so one that waits for a decoder holds up all.
# Decoders have what the model leaves, and all processors while it waits for clips. If they were nicer, other programs would
# starve them.
NICENESS = 10
MOST_PROCESSES = 16  # each takes a quarter of a second to start, and 70 MB
KINDS = {kind.__name__: kind for kind in (FramesMissingError, VideoError, UserError)}


@dataclass(frozen=True)
class Reading:
    """How clips are read: all that a decoder needs to know, so that every engine reads a clip alike.

    Args:
        num_frames: T.
        processor: its resize and crop.
        views: how often a clip is looked at.
        sampling, stride, start: see `vivit.video.sampling.choose_views`.
        geometry: a key of `vivit.names.GEOMETRY`.
        limits: what reading one file may cost; the usual if None.
        picture: (H, W, C) that the model takes; whatever comes out if None.
    """

    num_frames: int
    processor: VivitImageProcessor
    views: Views = ONE
    sampling: str = "uniform"
    stride: int | None = None
    start: int = 0
    geometry: str = "upright"
    limits: VideoLimits | None = None
    picture: tuple[int, int, int] | None = None


def read_clip(path: str | Path, reading: Reading) -> ReadyClip:
    """A file → (V, T, H, W, 3) uint8, in this process and with one thread.

    Returns:
        The clip; 'cpu' among its timings is the processor time of all of it.

    Raises:
        vivit.video.VideoError: if the file cannot be used.
        ValueError: if its frames are not of the size that the model takes, or for an impossible choice of frames.
    """
    begin = time.thread_time()
    read = prepare_clip(
        path,
        reading.num_frames,
        reading.processor,
        reading.views,
        sampling=reading.sampling,
        stride=reading.stride,
        start=reading.start,
        geometry=reading.geometry,
        limits=replace(reading.limits or VideoLimits(), max_cores=1),
    )
    fits(read.pixels.shape[2:], reading.picture)
    cpu = (time.thread_time() - begin) * 1e3
    return replace(read.ready(), timings_ms=read.timings_ms | {"cpu": cpu})


def fits(made: tuple[int, ...], taken: tuple[int, ...] | None) -> None:
    """Raise ValueError if a clip's pictures are of another (H, W, C) than a model takes, which is any for None."""
    if taken is not None and made != taken:
        raise ValueError(
            f"the image processor makes frames of (height, width, channels) = {made}, and the model takes {taken}"
        )


def usual_processes() -> int:
    """How many decoders feed a model best; on a CPU too, where they have all processors while the model waits for clips."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(here, MOST_PROCESSES)


def decode_ahead(
    paths: Iterable[str | Path], reading: Reading, processes: int, ahead: int
) -> Generator[ReadyClip | Exception, None, None]:
    """`read_clip` of every file in their order, by processes that go on while the caller uses what is there.

    The processes are gone once this has ended, or is closed, or the caller's process has ended in whatever way.

    Args:
        paths: taken as they are needed.
        reading: how.
        processes: how many, 1 or more.
        ahead: how many clips may be ready or in work beyond the one that is asked for.

    Yields:
        What `read_clip` returns, or the exception that it raises; a process that ends in the middle of a clip is replaced, and
        a clip that ends two of them is one that cannot be read, a `vivit.video.VideoError` which says so.

    Raises:
        UserError: if no process can be started.
        and what `paths` raises, after the clips before it.
    """
    started: list[_Decoder] = []
    mine = threading.local()  # each thread has a decoder

    def read(path: str | Path, given_up: Future[None]) -> ReadyClip | Exception:
        name = os.fsdecode(path)
        for _ in range(2):
            decoder: _Decoder | None = getattr(mine, "decoder", None)
            if decoder is None:
                decoder = mine.decoder = _Decoder(reading)
                started.append(decoder)
                given_up.add_done_callback(decoder.kill)
            try:
                return decoder.read(name)
            except EOFError:
                mine.decoder, how, began = None, decoder.end(), decoder.ready
        if not began:
            raise _not_started(how)
        return VideoError(
            f"Reading {os.path.basename(name)!r} ended its process twice; the file is damaged, or needs more memory or time "
            "than there is, so get another copy.",
            how,
        )

    try:
        with closing(read_ahead(read, iter(paths), processes, ahead)) as clips:
            yield from clips
    finally:
        for decoder in started:
            decoder.end()


class _Decoder:
    """A process that reads clips, as its parent sees it."""

    def __init__(self, reading: Reading) -> None:
        limits = reading.limits or VideoLimits()
        self._seconds = limits.max_seconds + GRACE_SECONDS
        try:
            # A group of its own, so that Ctrl-C is the parent's, who ends it. Not a session: a system that shares the
            # processors among sessions would not heed how nice it is to the parent.
            self._process = subprocess.Popen(
                [sys.executable, "-c", START, *sys.path, str(Path(__file__).parents[1])],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                process_group=0,
                env={**os.environ, **ENVIRONMENT},
            )
        except OSError as error:
            raise _not_started(str(error)) from error
        assert self._process.stdin and self._process.stdout
        self._requests, self._clips = self._process.stdin, self._process.stdout
        with suppress(AttributeError, OSError):  # Linux has it, up to a bound for each user
            fcntl.fcntl(self._clips, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._arrivals = select.poll()
        self._arrivals.register(self._clips, select.POLLIN)
        self._reading, self.ready = reading, False

    def read(self, path: str) -> ReadyClip | Exception:
        """What `read_clip` returns or raises there.

        Raises:
            EOFError: if the process ended first, or had to be.
        """
        # The decoder may have been started in another folder. The path is not changed otherwise: its last part names the file.
        whole = os.path.join(os.getcwd(), path) if path and not os.path.isabs(path) else path
        try:
            if not self.ready:
                self._ask(_as_json(self._reading))
                self.ready = self._line() == READY
            self._ask(whole)
        except BrokenPipeError:
            raise EOFError from None
        told = self._line()
        if "mro" in told:
            return _as_error(told)
        pixels = np.empty(told.pop("shape"), np.uint8)
        if self._clips.readinto(memoryview(pixels).cast("B")) < pixels.nbytes:  # type: ignore[attr-defined, arg-type]
            raise EOFError
        return ReadyClip(pixels, **told)

    def _ask(self, value: Any) -> None:
        self._requests.write(json.dumps(value, default=np.generic.item).encode() + b"\n")
        self._requests.flush()

    def _line(self) -> Any:
        if not self._arrivals.poll(min(self._seconds * 1e3, FOREVER_MS)):
            self.kill()
        line = self._clips.readline()
        try:
            return json.loads(line)
        except ValueError:  # the process has ended, or something else in it wrote to its stdout
            raise EOFError from None

    def kill(self, *_: object) -> None:
        """End the process, whatever it does; whoever waits for an answer gets EOFError."""
        self._process.kill()

    def end(self) -> str:
        """End the process, if it has not ended, and close its pipes. Returns how it ended. May be called again."""
        self.kill()
        status = self._process.wait()
        with suppress(BrokenPipeError):  # closing writes what is left in the buffer
            self._requests.close()
        self._clips.close()
        return f"signal {-status}" if status < 0 else f"exit status {status}"


def _not_started(why: str) -> UserError:
    return UserError(
        "No process for reading clips could be started; free memory or end other programs, and try again.", why
    )


def _as_json(reading: Reading) -> dict[str, Any]:
    # `extra`, on which no pixel depends, may hold what JSON cannot.
    return asdict(replace(reading, processor=replace(reading.processor, extra=None)))


def _as_reading(told: dict[str, Any]) -> Reading:
    made: dict[str, Any] = {"processor": VivitImageProcessor(**told["processor"]), "views": Views(**told["views"])}
    made["limits"] = told["limits"] and VideoLimits(**told["limits"])
    made["picture"] = told["picture"] and tuple(told["picture"])
    return Reading(**told | made)


def _as_error(told: dict[str, Any]) -> Exception:
    """The exception that a decoder told of, of the nearest kind that can be made here."""
    for name in told["mro"]:
        kind = KINDS.get(name) or vars(builtins).get(name)
        if kind is None:
            continue
        with suppress(TypeError):  # some take more than words
            error = kind(told["words"], told["details"]) if name in KINDS else kind(*told["system"] or [told["words"]])
            if told["trace"]:
                error.add_note(told["trace"])
            return error
    raise AssertionError(told)


def _told(error: Exception) -> dict[str, Any]:
    """JSON of an exception."""
    known = isinstance(error, UserError)
    return {
        "mro": [kind.__name__ for kind in type(error).__mro__],
        "words": str(error),
        "details": getattr(error, "details", ""),
        "system": [error.errno, error.strerror, error.filename and str(error.filename)]
        if isinstance(error, OSError) and error.errno
        else [],
        "trace": "" if known else traceback.format_exc(),
    }


def serve() -> None:
    """Be a decoder, until the parent has no more to ask or has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # a parent that is gone is no error
    os.nice(NICENESS)
    with suppress(OSError):  # if memory runs out, this process goes first, and is replaced
        Path("/proc/self/oom_score_adj").write_text("500")
    requests: SimpleQueue[str] = SimpleQueue()

    def listen() -> None:
        for line in sys.stdin.buffer:
            requests.put(json.loads(line))
        os._exit(0)  # in the middle of a clip too, for which nobody waits

    with open(os.dup(1), "wb") as clips:
        os.dup2(2, 1)  # whatever a codec has to say is no clip

        def answer(told: Any, pixels: bytes | memoryview = b"") -> None:
            clips.write(json.dumps(told, default=np.generic.item).encode() + b"\n")
            clips.write(pixels)
            clips.flush()

        if not (asked := sys.stdin.buffer.readline()):  # a parent that has ended already
            return
        reading = _as_reading(json.loads(asked))
        threading.Thread(target=listen, daemon=True).start()
        answer(READY)
        while True:
            try:
                clip = read_clip(requests.get(), reading)
            except Exception as error:
                answer(_told(error))
                continue
            told = vars(clip) | {"shape": clip.pixels.shape}
            del told["pixels"]
            answer(told, np.ascontiguousarray(clip.pixels).data)
