"""Ctrl-C that waits."""

import signal
import threading

import pytest

from vivit.interrupts import interrupts_wait, one_interrupt


def test_an_interrupt_counts_at_the_end() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), interrupts_wait():
        signal.raise_signal(signal.SIGINT)
        done.append("the rest")
    assert done == ["the rest"]


def test_an_interrupt_counts_once_where_it_is_heeded() -> None:
    with pytest.raises(KeyboardInterrupt), interrupts_wait() as heed:
        heed()
        signal.raise_signal(signal.SIGINT)
        heed()
        raise AssertionError("not reached")


def test_an_interrupt_that_is_ignored_stays_so() -> None:
    """As of a command that a shell script has put in the background."""
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupts_wait() as heed:
            signal.raise_signal(signal.SIGINT)
            heed()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, former)


def test_the_former_handler_is_back_and_another_thread_changes_none() -> None:
    former = signal.getsignal(signal.SIGINT)
    seen = []

    def elsewhere() -> None:
        with interrupts_wait() as heed:
            heed()
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    with interrupts_wait():
        assert signal.getsignal(signal.SIGINT) is not former
    assert seen == [former] and signal.getsignal(signal.SIGINT) is former


def test_a_second_interrupt_does_what_it_did_before() -> None:
    """While what the first one has left open is being closed."""
    seen: list[int] = []
    usual = signal.signal(signal.SIGINT, lambda number, _: seen.append(number))
    ours = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(KeyboardInterrupt), one_interrupt():
            try:
                signal.raise_signal(signal.SIGINT)
            finally:
                assert not seen
                signal.raise_signal(signal.SIGINT)
        assert seen == [signal.SIGINT] and signal.getsignal(signal.SIGINT) is ours
        with one_interrupt():
            assert signal.getsignal(signal.SIGINT) is not ours
        assert signal.getsignal(signal.SIGINT) is ours
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with one_interrupt():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, usual)
