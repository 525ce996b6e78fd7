"""Ctrl-C where it must not cut into what is under way."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def interrupts_wait() -> Iterator[Callable[[], None]]:
    """Ctrl-C counts once this has ended, or where the yielded function is called. Where Ctrl-C is ignored it stays so.

    A blocked signal would not do: another thread of ours, such as one of NumPy's, would take it.

    Yields:
        A function for places where the work may stop.

    Raises:
        KeyboardInterrupt: from that function, if Ctrl-C has been pressed; at the end whatever the former handler makes of it.
    """
    interrupts: list[int] = []

    def heed() -> None:
        if interrupts:
            interrupts.clear()
            raise KeyboardInterrupt

    elsewhere = threading.current_thread() is not threading.main_thread()
    if elsewhere or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # no interrupt is raised here
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


@contextmanager
def one_interrupt() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt, since there is something to keep; a second one does what Ctrl-C did before.

    So what the first one leaves open can be closed, and whoever cannot wait for that need not.
    """
    former = signal.getsignal(signal.SIGINT)
    elsewhere = threading.current_thread() is not threading.main_thread()
    if elsewhere or former is signal.SIG_IGN:
        yield
        return

    def heed(*_: object) -> None:
        signal.signal(signal.SIGINT, former)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, heed)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)
