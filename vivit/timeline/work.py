"""A film's windows, classified while the next are decoded. Who decodes and who classifies is the caller's. No torch is used."""

import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from queue import Full, Queue

from vivit.film import Tick
from vivit.timeline.segments import Answered
from vivit.timeline.windows import Batch, Grid, Ring

AHEAD = 64  # pictures that are decoded and not yet taken in, beside the ring's own
TICK_SECONDS = 0.05  # between two looks at whether the other side has given up

Classify = Callable[[Batch], Sequence[Answered]]


@dataclass
class Waits:
    """Who waited for whom, in seconds of wall time.

    Args:
        model: the model, for pictures.
        decoder: the decoder, for room.
        total: since the beginning.
    """

    model: float = 0.0
    decoder: float = 0.0
    total: float = 0.0

    @property
    def model_share(self) -> float:
        """Of the time, 0 to 1."""
        return self.model / self.total if self.total else 0.0

    @property
    def decoder_share(self) -> float:
        """Of the time, 0 to 1."""
        return self.decoder / self.total if self.total else 0.0


def follow(
    ticks: Iterator[Tick],
    grid: Grid,
    classify: Classify,
    at_once: Callable[[], int],
    waits: Waits | None = None,
    end_seconds: Callable[[], float] = lambda: inf,
) -> Generator[list[Answered], None, None]:
    """Answers in the order of the windows, batch by batch.

    Args:
        ticks: the film, picture after picture; read in a thread of its own, and closed there once nobody wants more.
        grid: how windows lie.
        classify: a batch's windows; called in the caller's thread.
        at_once: how many windows the next batch may have.
        waits: is kept up to date.
        end_seconds: when the film has ended, once it has: no window is said to last longer.

    Raises:
        whatever `ticks` raises, once what came before it is answered; and `classify`, at once.
    """
    waits = waits if waits is not None else Waits()
    queue: Queue[Tick | BaseException | None] = Queue(AHEAD)
    given_up = threading.Event()
    begin = time.perf_counter()

    def put(thing: Tick | BaseException | None) -> None:
        asked = time.perf_counter()
        while not given_up.is_set():
            try:
                queue.put(thing, timeout=TICK_SECONDS)
                break
            except Full:
                continue
        waits.decoder += time.perf_counter() - asked

    def read() -> None:
        ended: BaseException | None = None
        try:
            for tick in ticks:
                put(tick)
                if given_up.is_set():
                    break
        except BaseException as error:
            ended = error
        finally:
            if close := getattr(ticks, "close", None):
                close()
        put(ended)

    thread = threading.Thread(target=read, name="vivit-film", daemon=True)
    thread.start()
    ring, fault = Ring(grid), None
    try:
        ended = False
        while not (ended and not ring.ready):
            wanted = max(1, at_once())
            while not ended and ring.ready < wanted:
                asked = time.perf_counter()
                thing = queue.get()
                waits.total = time.perf_counter() - begin
                waits.model += begin + waits.total - asked
                if isinstance(thing, Tick):
                    ring.add(thing)
                else:
                    ended, fault = True, thing
                    ring.close(end_seconds())
            if batch := ring.take(wanted):
                answers = list(classify(batch))
                del batch  # its pictures are not to wait for whoever takes the answers
                waits.total = time.perf_counter() - begin
                yield answers
        if fault is not None:
            raise fault
    finally:
        given_up.set()
        thread.join()
        waits.total = time.perf_counter() - begin
        del fault
