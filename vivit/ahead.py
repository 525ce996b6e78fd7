"""What is done ahead of its use: by threads, in order, and by an accelerator. Imports nothing of ours."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

Read = TypeVar("Read")


def read_ahead(
    read: Callable[..., Read], things: Iterator[Any], workers: int, ahead: int | None = None
) -> Generator[Read, None, None]:
    """`map(read, things)`, with threads that read the next ones meanwhile.

    Args:
        read: of a thing and, in a thread, a future that is done once nobody waits for it any more.
        things: what they raise is raised after the things before it.
        workers: how many threads; without threads if 0.
        ahead: how many things they are ahead at most; as many as there are threads if None.
    """
    if not workers:
        yield from map(read, things)
        return
    ahead = workers if ahead is None else ahead
    begun: deque[Future[Read]] = deque()
    given_up: Future[None] = Future()
    ended = False
    with ThreadPoolExecutor(workers, "vivit-read") as threads:
        try:
            while True:
                while not ended and len(begun) <= ahead:
                    try:
                        begun.append(threads.submit(read, next(things), given_up))
                    except StopIteration:
                        ended = True
                    except Exception as error:
                        ended = True
                        begun.append(Future())
                        begun[-1].set_exception(error)
                if not begun:
                    return
                yield begun.popleft().result()
        finally:
            given_up.set_result(None)
            threads.shutdown(wait=False, cancel_futures=True)


def in_groups(things: Iterable[Read], full: Callable[[list[Read]], bool]) -> Iterator[list[Read]]:
    """Things in lists, in order. What they raise is raised after the list of those before it.

    Args:
        things: taken one by one, when a list is asked for.
        full: whether a list is long enough; the last may be shorter. Lists are the caller's, to empty too.
    """
    things = iter(things)
    while True:
        group = []
        try:
            for thing in things:
                group.append(thing)
                if full(group):
                    break
        except Exception:
            if group:
                yield group
            raise
        if not group:
            return
        yield group


def kept_back(things: Iterable[Read], number: int) -> Iterator[Read]:
    """The same things, each once so many more have been begun. What they raise is raised after all those before it."""
    back: deque[Read] = deque()
    try:
        for thing in things:
            back.append(thing)
            del thing
            if len(back) > number:
                yield back.popleft()
    except Exception:
        while back:
            yield back.popleft()
        raise
    while back:
        yield back.popleft()


def passes_ahead(device: str, workers: int) -> int:
    """How many passes have begun before the answers of one are waited for: an accelerator's next if clips are read ahead.

    Args:
        device: the type of the model's, 'cpu' or another.
        workers: how many read ahead.
    """
    return int(workers > 0 and device != "cpu")  # a CPU would make the answers that it has wait
