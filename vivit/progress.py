"""How work that takes long says how far it is."""

import sys
from collections.abc import Callable

Progress = Callable[[float, str], None]  # the fraction done, 0 to 1, and a note; what it raises cancels the work


def show(note: str = "") -> None:
    """Say what is done now, in one line of a terminal, which is empty in the end. Args: note: '' for the end."""
    if sys.stderr.isatty():
        print(f"\r{note:79.79}", end="" if note else "\r", file=sys.stderr, flush=True)
