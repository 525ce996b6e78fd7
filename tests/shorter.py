"""What `make test` leaves to `make test-full`."""

from collections.abc import Iterable
from typing import Any

import pytest


def some(values: Iterable[Any], *here: Any) -> list[Any]:
    """Parameters, tuples for several names, of which only some are tested without `make test-full`. Args: here: those."""

    def marked(value: Any) -> Any:
        return pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.full)

    return [value if value in here else marked(value) for value in values]
