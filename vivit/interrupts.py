"""Ctrl-C where it must not cut into what is under way."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def interrupts_wait() -> Iterator[Callable[[], None]]:
    """Ctrl-C counts once this has ended, or where the function that it gives is called: that raises KeyboardInterrupt.

    A blocked signal would not do: another thread of ours, such as one of NumPy's, would take it.
    """
    interrupts: list[int] = []

    def heed() -> None:
        if interrupts:
            interrupts.clear()
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # no interrupt is raised here
        yield heed
        return
    former = signal.signal(signal.SIGINT, lambda number, _: interrupts.append(number))
    try:
        yield heed
    finally:
        signal.signal(signal.SIGINT, former)
        if interrupts:
            signal.raise_signal(signal.SIGINT)


def heed_interrupts() -> None:
    """Let Ctrl-C raise KeyboardInterrupt from here on, since there is something to keep."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
