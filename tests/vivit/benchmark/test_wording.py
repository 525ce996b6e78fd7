"""Figures in words."""

import pytest

from vivit.benchmark.ratios import Ratio
from vivit.benchmark.wording import duration, memory, names, times


@pytest.mark.parametrize(
    ("ratio", "said"),
    [
        (Ratio(4.4, 4.3, 4.5), ("4.4", "4.3 to 4.5")),
        (Ratio(12.3, 11.2, 13.4), ("12", "11 to 13")),
        (Ratio(1.234, 1.2, 1.25), ("1.23", "1.20 to 1.25")),
        (Ratio(4.38, 4.36, 4.41), ("4.38", "4.36 to 4.41")),
        (Ratio(2.0, 1.04, 3.0), ("2.00", "1.04 to 3.00")),  # an end that is not 1 is not to be read as 1
        (Ratio(12.31, 12.28, 12.34), ("12.3", "12.3 to 12.3")),  # three digits are enough
    ],
)
def test_a_ratio_has_as_many_digits_as_its_interval_tells(ratio: Ratio, said: tuple[str, str]) -> None:
    assert times(ratio) == said


def test_names_are_told_once_with_commas() -> None:
    assert names(["a"]) == names(["a", "a"]) == "a"
    assert names(["a", "b"]) == "a and b" and names(["a", "b", "a", "c"]) == "a, b and c"


def test_a_duration_is_told_in_the_unit_that_people_use() -> None:
    said = {45.4: "45 s", 119: "119 s", 125: "2 minutes", 600: "10 minutes", 10_000: "2.8 hours"}
    assert {seconds: duration(seconds) for seconds in said} == said


def test_memory_is_told_as_a_share_or_as_a_multiple() -> None:
    said = {0.24: "takes 76 % less memory", 1.004: "takes the same memory", 1.5: "takes 50 % more memory"}
    assert {share: memory(share) for share in said} == said and memory(4.44) == "takes 4.4 times the memory"
