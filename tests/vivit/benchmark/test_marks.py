"""The marks of figures that say less than they seem, and strangers' names, in every chart, table and report."""

import csv
import io
import re
from dataclasses import replace
from typing import Any

import pytest

from tests.vivit.benchmark.charted import (
    ALONE,
    COLD,
    FAST,
    HALF,
    NOISY,
    PLAIN,
    hover,
    ratio_symbols,
    texts,
    times,
)
from tests.vivit.benchmark.children import result, row
from vivit.benchmark import charts, ratio_charts, report
from vivit.benchmark.charts import bars_of
from vivit.benchmark.families import gains
from vivit.benchmark.measurement import CAVEATS, Cell, Measurement
from vivit.benchmark.results import Result, compare
from vivit.benchmark.scaling import scaling, tradeoff


def larger(*rows: Measurement) -> list[Measurement]:
    """The same, and each once more with twice the batch size."""
    return [*rows, *(replace(r, cell=replace(r.cell, batch_size=2)) for r in rows)]


def grown(whole: Result) -> list[Any]:
    """The lines of a sweep's growth."""
    figures = scaling(result(*larger(*whole.rows)), "batch size", "ms").values()
    return [trace for figure in figures for trace in figure.data if trace.mode == "lines+markers"]


def tradeoff_points(whole: Result) -> list[Any]:
    figure = tradeoff(whole)
    assert figure
    return [trace for trace in figure.data if trace.hovertext]


def marked() -> dict[str, list[bool]]:
    """Whether each chart has marks at a plain figure and at a noisy one."""
    whole = result(PLAIN, NOISY)
    hatches = charts.latencies(bars_of(whole.rows)).data[0].marker.pattern.shape
    tradeoff = [symbol >= 100 for trace in tradeoff_points(whole) for symbol in trace.marker.symbol]
    ratios = [
        symbol >= 100
        for rows in (whole, result(PLAIN, FAST))
        for symbol in ratio_symbols(ratio_charts.ratios(gains(rows)))
    ]
    pairs = [trace for trace in ratio_charts.pairs(compare(whole, whole), "ms").data if trace.type == "bar"]
    return {
        "latency": [shape == "/" for shape in hatches],
        "scaling": [symbol >= 100 for line in grown(whole) for symbol in line.marker.symbol[:1]],
        "trade-off": tradeoff,
        "ratio": ratios[::-1],
        "pairs, first": [shape == "/" for shape in pairs[0].marker.pattern.shape],
        "pairs, second": [shape == "/" for shape in pairs[1].marker.pattern.shape],
    }


def test_the_same_figures_are_marked_in_every_chart() -> None:
    assert marked() == {chart: [False, True] for chart in marked()}


@pytest.mark.parametrize(("bad", "mark"), [(COLD, "cold"), (ALONE, "one process"), (NOISY, "noisy")])
def test_every_kind_of_mark_has_its_words_in_every_chart_table_and_report(bad: Measurement, mark: str) -> None:
    whole, (words,) = result(PLAIN, FAST, bad), bad.caveats.values()
    assert list(bad.caveats) == [mark] and mark in CAVEATS
    assert [text.count(f"({mark})") for text in texts(charts.latencies(bars_of(whole.rows)))] == [0, 0, 1]
    figures = {"latency": charts.latencies(bars_of(whole.rows)), "trade-off": tradeoff(whole)}
    figures |= {"pairs": ratio_charts.pairs(compare(whole, whole)[2:], "ms")}
    growth = scaling(result(*larger(*whole.rows)), "batch size", "ms")
    figures["scaling"] = growth["float16" if bad.cell == HALF else "float32"]
    if bad.sound:
        figures["ratio"] = ratio_charts.ratios(gains(whole))
    for name, figure in figures.items():
        assert f"<b>{words}</b>" in hover(figure), name
    for name in ("trade-off", "scaling"):
        legend = [trace.name for trace in figures[name].data if trace.showlegend is not False]
        assert f"hollow: {mark}" in legend and figures[name].layout.showlegend, "for who cannot point at them"
    beside = texts(ratio_charts.pairs(compare(whole, whole), "ms"))
    assert [text.endswith(f"({mark})") for text in beside] == [False, False, True]
    if bad.sound:
        assert [text.endswith(f"({mark})") for text in texts(ratio_charts.ratios(gains(whole)))] == [False, True]
    line = list(csv.DictReader(io.StringIO(report.as_csv(whole))))[2]
    assert (line["marks"], line["caveats"]) == (mark, words)
    page = report.as_html(whole)
    assert f"<td>{mark}</td>" in page and f"<td>{words}</td>" in page and report.MARKS in page


def test_memory_is_not_marked_since_it_is_not_timed() -> None:
    whole = result(COLD, NOISY)
    for bars in ratio_charts.pairs(compare(whole, whole), "MiB").data:
        assert bars.type != "bar" or list(bars.marker.pattern.shape) == ["", ""]
    assert all("noisy" not in text and "cold" not in text for text in texts(charts.memories(bars_of(whole.rows))))
    for figure in scaling(result(*larger(*whole.rows)), "batch size", "MiB").values():
        assert "noisy" not in hover(figure) and not figure.layout.showlegend
        assert all(symbol < 100 for trace in figure.data for symbol in trace.marker.symbol or ())


HOSTILE = "<a href='//x'>&"


def test_hostile_names_are_escaped_everywhere() -> None:
    """Sweeps are files that others may have written, and plotly takes texts for HTML."""
    rows = [row(Cell(HOSTILE, f"{HOSTILE}{k}", HOSTILE), *times(100.0 + k)) for k in range(2)]
    whole = result(*rows, row(replace(rows[0].cell, batch_size=2), (1.0,)))
    bars = bars_of(rows)
    figures = dict(report.charts_of(whole)) | {
        "no places": charts.latencies(bars),
        "no places for memory": charts.memories(bars),
        "pairs": ratio_charts.pairs(compare(whole, whole), "ms"),
        "documented": ratio_charts.ratios(gains(whole), documented=True),
    }
    for name, figure in figures.items():
        shown = [*(figure.layout.yaxis.ticktext or ()), *(text for trace in figure.data for text in trace.text or ())]
        shown += [trace.name or "" for trace in figure.data]
        assert "<a" not in " ".join([*shown, hover(figure)]), name
    page = report.as_html(whole)
    assert "<a href" not in re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL) and "&lt;a href" in page
