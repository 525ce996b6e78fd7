"""What the charts of cells show: their values, and the texts beside them."""

import math
from dataclasses import replace

import pytest

from tests.vivit.benchmark.charted import FAST, NOISY, PLAIN, SDPA, hover, texts
from vivit.benchmark import charts
from vivit.benchmark.charts import bars_of, by_precision
from vivit.benchmark.measurement import Measurement
from vivit.names import colour


def test_bars_have_their_figures_and_what_was_predicted() -> None:
    first, second = bars_of([PLAIN, Measurement(SDPA, "failed"), NOISY])
    assert (first.label, first.text, first.ms, first.low, first.high) == (
        "eager in float32",
        "eager",
        200.0,
        200.0,
        200.0,
    )
    assert (first.weights_mib, first.activations_mib, first.peak_mib) == (100.0, 900.0, 1000.0)
    assert (first.predicted_ms, first.predicted_mib) == (5.0, 1000.0) and first.colour == colour("eager")
    assert first.words == "6 calls of 6 processes; batch size 1" and (first.caveat, first.mark) == ("", "")
    assert (
        second.mark == "noisy" and second.low < second.ms < second.high and second.colour == colour("sdpa", "float16")
    )
    (bare,) = bars_of([replace(FAST, memory=None, estimate=None, cell=replace(SDPA, execution="compiled"))])
    assert math.isnan(bare.peak_mib) and bare.predicted_ms is None and bare.text == "sdpa, compiled"


def kept(row: Measurement, **mebibytes: int) -> Measurement:
    assert row.memory
    return replace(row, memory=replace(row.memory, weights_kept_in={k: v * 2**20 for k, v in mebibytes.items()}))


def test_weights_are_stacked_by_what_they_are_kept_in() -> None:
    int8 = replace(FAST.cell, precision="int8-bitsandbytes")
    bars = bars_of([kept(PLAIN, float32=100), kept(replace(FAST, cell=int8), int8=80, float32=20)])
    assert bars[1].kept_in == {"int8": 80.0, "float32": 20.0} and bars[1].weights_mib == 100.0
    figure = charts.memories(bars)
    parts = {
        trace.hovertext[1].partition(" MiB of ")[2].partition(";")[0]: trace
        for trace in figure.data
        if trace.type == "bar"
    }
    assert list(parts) == ["weights in int8", "weights in float32", "activations"]
    assert list(parts["weights in int8"].x) == [0.0, 80.0] and list(parts["weights in float32"].x) == [100.0, 20.0]
    assert parts["weights in int8"].marker.pattern.shape == "x" and not parts["weights in float32"].marker.pattern.shape
    assert [sum(trace.x[k] for trace in parts.values()) for k in (0, 1)] == [bar.peak_mib for bar in bars]
    assert charts.memory_heading(bars) == "Memory at the peak, weights (crossed 8 bits) + activations"
    assert charts.memory_heading(bars[:1]) == "Memory at the peak, weights + activations"


def test_weights_of_a_sweep_that_did_not_say_are_one_part() -> None:
    figure = charts.memories(bars_of([PLAIN]))
    assert [trace.x[0] for trace in figure.data if trace.type == "bar"] == [100.0, 900.0]
    assert "MiB of weights in a dtype that was not kept" in hover(figure)


def test_bars_stand_under_headings_of_their_precisions() -> None:
    bars = bars_of([NOISY, PLAIN, FAST])
    assert by_precision(bars) == [
        ("", "<b>float32</b>"),
        ("eager in float32", "eager"),
        ("sdpa in float32", "sdpa"),
        ("", "<b>float16</b>"),
        ("sdpa in float16", "sdpa"),
    ]
    figure = charts.latencies(bars, by_precision(bars))
    assert list(figure.layout.yaxis.ticktext) == ["<b>float32</b>", "eager", "sdpa", "<b>float16</b>", "sdpa"]
    assert dict(zip(figure.data[0].y, figure.data[0].x, strict=True)) == {1: 200.0, 2: 100.0, 4: 50.0}


def test_latencies_have_median_spread_and_prediction() -> None:
    figure = charts.latencies(bars_of([PLAIN, NOISY]))
    (bar, predicted, _) = figure.data
    assert list(bar.x) == [200.0, 50.0] and predicted.name == "predicted" and list(predicted.x) == [5.0, 5.0]
    assert list(bar.error_x.array) == pytest.approx([0.0, 5.0]) and list(bar.error_x.arrayminus) == pytest.approx(
        [0.0, 5.0]
    )
    assert texts(figure) == ["median 200 ms", "median 50.0 ms (noisy)"]
    assert figure.layout.xaxis.range[1] > 200.0


def test_memories_are_stacked_and_summed() -> None:
    figure = charts.memories(bars_of([PLAIN, FAST]))
    assert [list(trace.x) for trace in figure.data[:2]] == [[100.0, 100.0], [900.0, 150.0]]
    assert figure.layout.barmode == "stack" and texts(figure) == ["100 + 900 = 1,000 MiB", "100 + 150 = 250 MiB"]
    unknown = charts.memories(bars_of([PLAIN, replace(FAST, memory=None)]))
    assert texts(unknown) == ["100 + 900 = 1,000 MiB", "not known"] and len(unknown.data[0].x) == 1, "and no bar"
