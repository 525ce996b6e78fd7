"""What a line of a table says of a cell: its ratio, what it is compared with, its marks."""

from dataclasses import replace

from tests.vivit.benchmark.children import result, row
from tests.vivit.benchmark.swept import SDPA, SIX, WHOLE
from vivit.benchmark import report, tables
from vivit.benchmark.families import gains


def test_a_line_has_its_ratio_and_what_it_is_compared_with() -> None:
    compared = ("compared with", "times as fast", "from", "to", "verdict", "% less memory")
    lines = [tuple(line[name] for name in compared) for line in tables.table(WHOLE)]
    assert lines[1] == ("eager in float32", 2.0, 2.0, 2.0, "faster", 75.0)
    assert lines[0] == lines[2] == lines[3] == lines[4] == (None,) * 6, "the base, and what is compared with nothing"
    turned = [tuple(line[name] for name in compared) for line in tables.table(WHOLE, "sdpa in float32")]
    assert turned[0] == ("sdpa in float32", 0.5, 0.5, 0.5, "slower", -300.0) and turned[1] == (None,) * 6


def test_the_table_and_the_chart_have_one_base() -> None:
    half = row(replace(SDPA, precision="float16"), *[(ms / 2,) for (ms,) in SIX])
    whole = replace(WHOLE, rows=(*WHOLE.rows, half))
    for base, expected in ((None, 4.0), ("sdpa in float32", 2.0)):
        (gain,) = (g for g in gains(whole, base) if g.row is half)
        assert gain.ratio and gain.ratio.value == expected
        (line,) = (line for line in tables.table(whole, base) if line["precision"] == "float16")
        assert line["times as fast"] == expected and line["compared with"] == (base or "eager in float32")


def test_a_line_has_its_marks_and_caveats() -> None:
    lines = tables.table(WHOLE)
    assert [line["marks"] for line in lines] == [None, None, None, "one process", "cold"]
    assert [line["caveats"] for line in lines[3:]] == ["1 call of one process", "one cold call"]
    noisy = result(row(SDPA, (1.0, 2.0, 3.0)))
    (line,) = tables.table(noisy)
    assert line["marks"] == "one process, noisy"
    assert line["caveats"] == "3 calls of one process; half of the calls spread over 50% of the median"
    assert "one process, noisy" in report.as_csv(noisy) and "one process, noisy" in report.as_html(noisy)
