"""How work that takes long says how far it is."""

from collections.abc import Callable

Progress = Callable[[float, str], None]  # the fraction done, 0 to 1, and a note; what it raises cancels the work
