"""Times as players write them."""

import pytest

from vivit.film import clock


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0:00.0"),
        (2.34, "0:02.3"),
        (59.94, "0:59.9"),
        (59.96, "1:00.0"),
        (61.25, "1:01.2"),
        (754.0, "12:34.0"),
        (3599.94, "59:59.9"),
        (3599.96, "1:00:00"),
        (3723.9, "1:02:03"),
        (36_000, "10:00:00"),
        (360_000, "100:00:00"),
    ],
)
def test_a_time_is_read_as_on_a_player(seconds: float, said: str) -> None:
    assert clock(seconds) == said
