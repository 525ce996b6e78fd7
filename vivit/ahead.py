"""What is done ahead of its use: by threads, in order, and by an accelerator. Imports nothing of ours."""

from collections import deque
from collections.abc import Callable, Generator, Iterator
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


def passes_ahead(device: str, workers: int) -> int:
    """How many passes have begun before the answers of one are waited for: an accelerator's next if clips are read ahead.

    Args:
        device: the type of the model's, 'cpu' or another.
        workers: how many read ahead.
    """
    return int(workers > 0 and device != "cpu")  # a CPU would make the answers that it has wait
