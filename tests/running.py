"""Decoders that this process has running."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil


def decoders() -> list[psutil.Process]:
    """The decoders among this process's children that live."""
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.Error):
            if "decoders" in " ".join(child.cmdline()[1:3]):
                found.append(child)
    return found


@contextmanager
def no_child_left() -> Iterator[None]:
    """Assert that all children that begin within this context have ended and been waited for. Earlier ones do not count."""
    before = set(psutil.Process().children())
    yield
    assert not set(psutil.Process().children()) - before
