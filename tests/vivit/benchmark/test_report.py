"""What a report, a CSV file and the documentation's tables say of a sweep as a whole: origin, verdicts, marks, digits."""

import csv
import io
import re
from dataclasses import replace

import pytest

from tests.vivit.benchmark.children import MACHINE, result, row
from vivit.benchmark import documentation, report, tables
from vivit.benchmark.families import families
from vivit.benchmark.measurement import Cell, Measurement
from vivit.benchmark.verdict import verdict

EAGER, SDPA = Cell("m", "eager"), Cell("m", "sdpa")
HALF = [replace(cell, precision="float16") for cell in (EAGER, SDPA)]
SHAKEN = [(1.1,), (0.9,)] * 3
SLOW, FAST = row(EAGER, *[(200.0,)] * 6, others=0.123), row(SDPA, *[(100.0,)] * 6, others=0.123)
LARGE = [replace(r, cell=replace(r.cell, batch_size=4)) for r in (SLOW, FAST)]
WHOLE = result(SLOW, FAST, *LARGE, created="2026-03-04T12:31:05+00:00")


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_every_line_of_a_csv_file_says_where_and_when_and_beside_how_much_else() -> None:
    names = ["others' share of the processors, %", "machine", "torch", "driver", "date"]
    for line in rows_of(report.as_csv(WHOLE)):
        assert [line[name] for name in names] == ["12.3", "Test Machine <1>", "2.13", "none", WHOLE.created]
    on_gpu = replace(WHOLE, machine=replace(MACHINE, device="cuda"))
    assert {line[names[0]] for line in rows_of(report.as_csv(on_gpu))} == {""}


def test_a_line_has_the_operations_of_a_call_as_they_are_predicted() -> None:
    whole = result(row(EAGER, (1.0,)), row(replace(SDPA, batch_size=4), (1.0,)), Measurement(SDPA, "unavailable"))
    assert [line["predicted, GFLOP"] for line in tables.table(whole)] == [900, 3600, None]
    assert [line["predicted, GFLOP"] for line in rows_of(report.as_csv(whole))] == ["900.0", "3600.0", ""]


def test_the_origin_in_words() -> None:
    said = "Test Machine <1>, torch 2.13, 2 threads, 2026-03-04 12:31 UTC"
    assert report.origin(WHOLE) == f"{said}, other programs held 12 % of the processors"
    with_driver = replace(MACHINE, device="cuda", versions=MACHINE.versions | {"driver": "580"})
    assert report.origin(replace(WHOLE, machine=with_driver)) == said.replace("2.13", "2.13, driver 580")
    assert report.origin(result(row(SDPA, (1.0,)), created=WHOLE.created)) == said
    about = report.about(WHOLE)
    for words in (said, "Linux-test", "python 3.11", "revision abc1234", "budget of 120 s", "clip: clip.mp4"):
        assert words in about
    assert "without a time budget" in report.about(replace(WHOLE, budget_seconds=None))


def test_a_report_has_the_verdict_of_every_family_by_its_name() -> None:
    page = report.as_html(WHOLE)
    found = re.findall(r"<p><b>(.*?)</b></p>", page)
    assert [said.partition(":")[0] for said in found] == ["batch size 1", "batch size 4"]
    for of, said in zip(families(WHOLE), found, strict=True):
        assert verdict(WHOLE, of).replace("<1>", "&lt;1&gt;") in said
    (alone,) = re.findall(r"<p><b>(.*?)</b></p>", report.as_html(result(SLOW, FAST)))
    assert alone == verdict(result(SLOW, FAST)).replace("<1>", "&lt;1&gt;")


def test_cells_of_several_checkpoints_stand_together_under_what_is_the_same_of_both() -> None:
    both = result(SLOW, FAST, *(replace(r, cell=replace(r.cell, checkpoint="n")) for r in (SLOW, FAST)))
    (title, latencies), _, (across, ratios), *_ = report.charts_of(both)
    assert (title, across) == ("Latency, batch size 1", "Models: how many times as fast")
    named = ["<b>eager in float32</b>", "m", "n", "<b>sdpa in float32</b>", "m", "n"]
    assert list(latencies.layout.yaxis.ticktext) == named
    values = next(trace for trace in ratios.data if trace.name == "values")
    assert [text.partition(":")[0] for text in values.text] == ["n beside m, eager", "n beside m, sdpa"]
    headings = next(trace for trace in ratios.data if trace.name == "headings")
    assert list(headings.text) == ["<b>batch size 1, float32</b>"]


def test_a_report_has_every_chart_that_has_something_to_show() -> None:
    titles = [title for title, _ in report.charts_of(result(*WHOLE.rows, Measurement(HALF[0], "failed")))]
    assert titles == [
        "Latency, batch size 1",
        "Memory, batch size 1",
        "Latency, batch size 4",
        "Memory, batch size 4",
        "How many times as fast",
        "Latency by batch size, float32: ms",
        "Memory by batch size, float32: MiB",
        "Latency and memory",
    ]
    one = [title for title, _ in report.charts_of(result(SLOW))]
    assert one == ["Latency, batch size 1", "Memory, batch size 1", "Latency and memory"]
    assert report.charts_of(result()) == report.charts_of(result(Measurement(EAGER, "failed"))) == []


def test_what_matters_most_stands_first_in_a_line() -> None:
    assert list(tables.table(WHOLE)[0])[:6] == ["cell", "median, ms", "marks", "times as fast", "from", "to"]


def test_ratios_are_explained_with_the_margin_below_which_they_tell_nothing() -> None:
    said = report.explain_ratios()
    for words in ("faster or slower only where the whole interval is further from 1", "up to 2 %", "no further", "5 %"):
        assert words in said


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.0, "0"), (1305.4, "1,305"), (36.512, "36.5"), (5.8651, "5.87"), (0.01234, "0.0123"), (5.59e-13, "5.59e-13")],
)
def test_a_number_has_three_digits(value: float, written: str) -> None:
    assert report.short(value) == written and report.rounded(value) == float(written.replace(",", ""))


def test_no_number_and_counts_are_as_they_are() -> None:
    assert [report.short(value) for value in (None, True, False, 3137, "x")] == ["-", "yes", "no", "3137", "x"]
    assert report.rounded(None) is None


# The documentation's way

HALF_SLOW, HALF_FAST = (
    row(cell, *[(ms * f, ms * f, ms * f, ms * f) for (f,) in SHAKEN], activations=held)
    for cell, ms, held in zip(HALF, (80.0, 20.0), (300, 100), strict=True)
)


def test_the_documentations_tables_have_their_marks_and_two_decimals_in_a_report() -> None:
    plain = [row(r.cell, *[(r.latency.median,) * 4] * 6) for r in (SLOW, FAST) if r.latency]
    whole = result(*plain, HALF_SLOW, HALF_FAST)
    ((mode, ours, published),) = documentation.tables(whole)
    assert (mode, published) == ("inference", documentation.PUBLISHED_INFERENCE)
    assert list(ours[0])[:-1] == list(published[0]) and [line["marks"] for line in ours] == [None, "noisy"]
    page = report.as_html(whole)
    assert "<td>100.00</td>" in page and "<td>715.81</td>" in page and "<td>253.39</td>" in page
    (table,) = re.findall(r"table, here</h2>(.*?)</table>", page)
    assert "<th>marks</th>" in table and table.count("<td>noisy</td>") == 1
    assert list(documentation.tables(result(SLOW))) == []


def test_the_documentation_compares_with_eager_in_the_same_precision() -> None:
    compiled = row(replace(SDPA, execution="compiled"), *[(50.0,)] * 6)
    found = documentation.gains(result(SLOW, FAST, *LARGE, HALF_SLOW, HALF_FAST, compiled))
    pairs = [(gain.row.cell, gain.base.cell) for gain in found]
    assert pairs == [(SDPA, EAGER), (LARGE[1].cell, LARGE[0].cell), (HALF[1], HALF[0])], "and eager with itself never"
    ratios = [gain.ratio.value for gain in found if gain.ratio]
    assert ratios == pytest.approx([2.0, 2.0, 4.0]) and found[2].memory_share == 0.5
    cold = row(EAGER, (200.0,), warm=False)
    assert documentation.gains(result(cold, FAST)) == []
