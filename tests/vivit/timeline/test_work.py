"""A film's windows classified while the next are decoded: order, faults, ends and waits, without a film or a model."""

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pytest

from tests.patience import until
from vivit.film import Tick
from vivit.timeline.segments import Answered
from vivit.timeline.windows import Batch, Grid
from vivit.timeline.work import AHEAD, Waits, follow

GRID = Grid(2.0, 0.5, 8, cuts=False)  # 4 pictures a second, a window every 2


class Film:
    """Pictures that carry their numbers.

    Args:
        count: how many.
        broken: raised in the place of the picture after the last.
        wait: called before each picture.
    """

    def __init__(
        self, count: int, broken: BaseException | None = None, wait: Callable[[], object] = lambda: None
    ) -> None:
        self.count, self.broken, self.wait = count, broken, wait
        self.read = 0
        self.closed_in = ""

    def ticks(self) -> Iterator[Tick]:
        try:
            for number in range(self.count):
                self.wait()
                self.read += 1
                yield Tick(number, number / 4, np.full((2, 2, 3), number % 256, np.uint8))
            if self.broken:
                raise self.broken
        finally:
            self.closed_in = threading.current_thread().name


def answers(batch: Batch) -> list[Answered]:
    """A window's answer is the mean of its pictures' numbers."""
    return [
        Answered(w.start, w.end, np.array([batch.frames[list(w.rows)].mean()]), None, w.seconds) for w in batch.windows
    ]


def reading() -> bool:
    return any(thread.name == "vivit-film" for thread in threading.enumerate())


@pytest.mark.parametrize("at_once", [1, 3, 100])
@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 60, 61])
def test_answers_come_in_order_and_no_batch_is_larger_than_asked(count: int, at_once: int) -> None:
    film, waits = Film(count), Waits()
    batches = list(follow(film.ticks(), GRID, answers, lambda: at_once, waits))
    found = [answer for batch in batches for answer in batch]
    assert all(1 <= len(batch) <= at_once for batch in batches)
    begins = [*range(0, count - 7, 2)] or [0] * (count > 0)
    if count > 8 and (count - 8) % 2:
        begins.append(count - 8)
    assert [answer.start * 4 for answer in found] == begins
    # Of a film that is shorter than a window some pictures are taken again, evenly.
    means = [np.mean([begin + j * min(8, count) // 8 for j in range(8)]) for begin in begins]
    assert [answer.scores[0] for answer in found] == pytest.approx(means)
    assert film.read == count and film.closed_in == "vivit-film" and not reading()


def test_how_many_at_once_is_asked_before_every_batch() -> None:
    sizes = [1, 2, 4, 0, -5]
    batches = list(follow(Film(26).ticks(), GRID, answers, lambda: sizes.pop(0) if sizes else 1))
    assert [len(batch) for batch in batches] == [1, 2, 4, 1, 1, 1]


def test_a_readers_fault_comes_after_what_was_before_it() -> None:
    film, found = Film(13, broken=KeyError("gone")), []
    with pytest.raises(KeyError, match="gone"):
        for batch in follow(film.ticks(), GRID, answers, lambda: 2):
            found += batch
    assert [answer.start * 4 for answer in found] == [0, 2, 4, 5], "the last ends where the good part ends"
    assert not reading()


def test_a_classifiers_fault_comes_at_once_and_the_reader_is_closed() -> None:
    film = Film(10_000)

    def broken(batch: Batch) -> list[Answered]:
        raise LookupError("no model")

    with pytest.raises(LookupError, match="no model"):
        next(follow(film.ticks(), GRID, broken, lambda: 1))
    assert film.closed_in == "vivit-film" and film.read <= 8 + AHEAD + 2 and not reading()


def test_who_leaves_early_closes_the_reader() -> None:
    film = Film(10_000)
    following = follow(film.ticks(), GRID, answers, lambda: 1)
    next(following)
    assert reading()
    following.close()
    assert film.closed_in == "vivit-film" and film.read < 10_000 and not reading()


def test_who_never_asks_starts_nothing() -> None:
    film = Film(10)
    following = follow(film.ticks(), GRID, answers, lambda: 1)
    following.close()
    assert film.read == 0 and not reading()


def test_a_fast_reader_does_not_run_ahead() -> None:
    film = Film(100_000)
    following = follow(film.ticks(), GRID, answers, lambda: 2)
    for k in range(4):
        next(following)
        taken = 8 + 2 * (2 * (k + 1) - 1) + 1  # pictures of the windows so far, and the one that follows them
        until(partial(lambda taken: film.read >= taken + AHEAD, taken))
        time.sleep(0.05)
        assert film.read <= taken + AHEAD + 1, "one more is in its hand"
    following.close()


def test_classifying_goes_on_in_the_callers_thread_while_the_next_are_read() -> None:
    film, threads = Film(400), set()

    def slow(batch: Batch) -> list[Answered]:
        threads.add(threading.current_thread().name)
        before = film.read
        until(lambda: film.read > before or film.read == 400 or film.read >= before + AHEAD)
        return answers(batch)

    assert sum(len(batch) for batch in follow(film.ticks(), GRID, slow, lambda: 1)) == 197
    assert threads == {threading.current_thread().name}


def test_waits_are_whose_they_are_and_no_more_than_the_whole() -> None:
    pause = 0.004
    slow_film, slow_model = Waits(), Waits()
    seen: list[float] = []

    def decoded() -> None:
        time.sleep(pause)
        seen.append(slow_film.model_share)  # as a page does that shows it meanwhile

    sizes = iter([1])
    list(follow(Film(60, wait=decoded).ticks(), GRID, answers, lambda: next(sizes, 16), slow_film))
    assert max(seen) <= 1

    def slow(batch: Batch) -> list[Answered]:
        time.sleep(pause)
        return answers(batch)

    list(follow(Film(600).ticks(), GRID, slow, lambda: 1, slow_model))
    assert slow_film.model > slow_film.decoder and slow_model.decoder > slow_model.model
    for waits in (slow_film, slow_model):
        assert 0 <= waits.model_share <= 1 and 0 <= waits.decoder_share <= 1
        # They never wait for one another at once, but for the moment of handing over.
        assert waits.model + waits.decoder <= waits.total * 1.05 + 0.05
    assert Waits().model_share == Waits().decoder_share == 0


def test_ticks_need_not_be_a_generator() -> None:
    ticks = list(Film(20).ticks())
    assert sum(len(batch) for batch in follow(iter(ticks), GRID, answers, lambda: 1)) == 7
