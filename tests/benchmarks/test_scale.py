"""What many clips cost, from numbers whose answers are known."""

import pytest

from benchmarks.scale import hours, table


@pytest.mark.parametrize(
    ("decode_seconds", "expected"),
    [(0.1, 0.25), (0.08, 0.25), (0.2, 0.5)],  # 10, 12.5 and 5 clips decoded each second, for 10 of the model's
)
def test_the_slower_of_decoding_and_the_model_counts(decode_seconds: float, expected: float) -> None:
    assert hours(36_000, 4, decode_seconds, 10.0, cores=1) == pytest.approx(expected)


def test_the_table_adds_up() -> None:
    rows = [
        [float(cell.replace(",", "")) for cell in line.split("|")[1:-1]] for line in table(0.36, 50, 18).split("\n")[2:]
    ]
    assert [row[0] for row in rows] == [1, 8, 64]
    for gpus, cores, wall, gpu_hours, decoding in rows:
        assert cores == 18 * gpus and decoding == 100
        assert wall == pytest.approx(1e6 / (50 * gpus) / 3600, abs=0.005) and gpu_hours == pytest.approx(5.6)
