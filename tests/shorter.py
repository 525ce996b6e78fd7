"""What `make test` leaves to `make test-full`."""

from collections.abc import Iterable
from typing import Any

import pytest


def some(values: Iterable[Any], *here: Any) -> list[Any]:
    """Parameters of which all but some are marked 'full'.

    Args:
        values: one for each test; a tuple for several names.
        here: the values that `make test` tests too.
    """

    def marked(value: Any) -> Any:
        return pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.full)

    return [value if value in here else marked(value) for value in values]
