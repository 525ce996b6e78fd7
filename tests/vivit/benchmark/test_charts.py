"""What the charts of a sweep show: values, their texts, and the marks of figures that say less than they seem."""

import csv
import io
import math
import random
import re
from dataclasses import replace
from typing import Any

import pytest

from tests.vivit.benchmark.children import result, row
from vivit.benchmark import charts, documentation, report
from vivit.benchmark.charts import bars_of, by_precision
from vivit.benchmark.families import Gain, base_of, cell_name, families, gains
from vivit.benchmark.measurement import CAVEATS, Agreement, Cell, Measurement
from vivit.benchmark.presets import grid
from vivit.benchmark.results import Pair, Result, compare, find_ratio_of
from vivit.benchmark.scaling import scaling, tradeoff
from vivit.benchmark.side_by_side import Ratio
from vivit.benchmark.verdict import statement
from vivit.names import colour

EAGER, SDPA, HALF = Cell("m", "eager"), Cell("m", "sdpa"), Cell("m", "sdpa", "float16")
Rounds = list[tuple[float, ...]]
STEADY: Rounds = [(1.0,)] * 6
SHAKEN: Rounds = [(1.1,), (0.9,)] * 3


def times(ms: float, rounds: Rounds = STEADY) -> Rounds:
    return [tuple(ms * factor for factor in samples) for samples in rounds]


PLAIN = row(EAGER, *times(200.0), activations=900)
FAST = row(SDPA, *times(100.0), activations=150)
COLD = row(HALF, (40.0,), warm=False, activations=150)
NOISY = row(HALF, *times(50.0, SHAKEN), activations=150)
ALONE = row(Cell("m", "sdpa-math"), (300.0, 300.0), activations=900)


def texts(figure: Any, name: str = "values") -> list[str]:
    """What stands beyond the bars' ends or above the points, from top to bottom."""
    (values,) = (trace for trace in figure.data if trace.name == name)
    return [text.strip() for _, text in sorted(zip(values.y, values.text, strict=True))]


def points(figure: Any) -> list[tuple[float, float]]:
    """Place and value of every ratio, from top to bottom."""
    return sorted(p for trace in figure.data if trace.mode == "markers" for p in zip(trace.y, trace.x, strict=True))


def ratio_symbols(figure: Any) -> list[int]:
    return [symbol for trace in figure.data if trace.mode == "markers" for symbol in trace.marker.symbol]


def hover(figure: Any) -> str:
    return " ".join(text for trace in figure.data for text in trace.hovertext or ())


# Values and their texts


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


def test_a_ratio_has_the_agreement_of_its_answers_beside_it() -> None:
    near = Gain(FAST, PLAIN, Ratio(2.0, 1.9, 2.1), 0.25, Agreement(0.0234, 1e-4, True, 1.0))
    far = replace(near, agreement=Agreement(3.0, 1.0, False, 0.2))
    assert texts(charts.ratios([near])) == [
        "sdpa: 2.0 times as fast (1.9 to 2.1), 75 % less memory,<br>same first answer, largest logit difference 0.023"
    ]
    assert "another first answer, largest logit difference 3" in texts(charts.ratios([far]))[0]
    assert "same first answer" in texts(charts.ratios([near], documented=True))[0]


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


def test_ratios_in_words() -> None:
    sure = result(PLAIN, FAST, row(HALF, *times(200.0), activations=900), row(Cell("m", "sdpa-math"), *times(400.0)))
    assert texts(charts.ratios(gains(sure))) == [
        "sdpa: 2.00 times as fast (2.00 to 2.00), 75 % less memory",
        "sdpa-math: takes 2.00 times as long (2.00 to 2.00), 60 % less memory",
        "sdpa: as fast (1.00 to 1.00), the same memory",
    ]
    (tie,) = texts(charts.ratios(gains(result(PLAIN, row(SDPA, *times(200.0, SHAKEN))))))
    assert tie == "sdpa: no difference can be told (0.91 to 1.11), 60 % less memory (noisy)"
    (base,) = texts(charts.ratios(gains(result(row(EAGER, *times(200.0, SHAKEN)), FAST))))
    assert base == "sdpa: 2.0 times as fast (1.8 to 2.2), 38 % less memory (noisy)", "the base's noise is the ratio's"
    (large,) = texts(charts.ratios(gains(result(FAST, replace(PLAIN, cell=Cell("m", "sdpa-math"))))))
    assert large == "sdpa-math: takes 2.00 times as long (2.00 to 2.00), 4.0 times the memory"
    apart = result(PLAIN, row(SDPA, *times(100.0), first=6))
    assert texts(charts.ratios(gains(apart))) == ["sdpa: no ratio, not warm in enough of the same rounds"]


def test_a_text_too_long_for_a_phone_takes_two_lines_and_what_follows_is_lower() -> None:
    noisy = row(Cell("m", "sdpa-efficient", execution="compiled"), *times(200.0, SHAKEN))
    below = row(Cell("m", "sdpa-cudnn"), *times(100.0))
    figure = charts.ratios(gains(result(PLAIN, noisy, below)))
    long, other = texts(figure)
    first, second = long.split("<br>")
    assert first == "sdpa-efficient, compiled: no difference can be told (0.91 to 1.11),"
    assert second == "60 % less memory (noisy)" and "<br>" not in other
    (values,) = (trace for trace in figure.data if trace.name == "values")
    (top, _), (bottom, _) = points(figure)
    assert min(values.y) + charts.LINE < top < max(values.y) - charts.LINE / 2 < bottom < figure.layout.yaxis.range[0]


@pytest.mark.parametrize("first", ["vivit-mannequin", "google/vivit-b-16x2-kinetics400"])
def test_models_of_long_names_stand_above_how_they_compare(first: str) -> None:
    other = row(Cell("vivit-mannequin-fe", "sdpa"), *times(100.0))
    (text,) = texts(charts.ratios([Gain(other, row(Cell(first, "sdpa"), *times(200.0)), Ratio(2.0, 1.9, 2.1), None)]))
    name, said = text.split("<br>")
    assert name == f"vivit-mannequin-fe beside {first}, sdpa:" and said.startswith("2.0 times as fast (1.9")
    folder = "/".join(["a folder of a very long name"] * 4)
    (text,) = texts(charts.ratios([Gain(other, row(Cell(folder, "sdpa"), *times(200.0)), Ratio(2.0, 1.9, 2.1), None)]))
    assert max(map(len, text.split("<br>"))) <= charts.LONGEST


def test_ratios_as_the_documentation_writes_them() -> None:
    found = gains(result(PLAIN, FAST, replace(NOISY, memory=None)))
    assert texts(charts.ratios(found, documented=True)) == [
        "sdpa: speed-up +100 % (+100 to +100), memory saved +300 %",
        "sdpa: speed-up +304 % (+264 to +344) (noisy)",
    ]
    (slower,) = texts(charts.ratios(gains(result(PLAIN, row(SDPA, *times(400.0), activations=1900))), documented=True))
    assert slower == "sdpa: speed-up -50 % (-50 to -50), memory saved -50 %"


def test_ratios_have_a_heading_a_precision_of_each_family_and_intervals() -> None:
    large = [replace(r, cell=replace(r.cell, batch_size=8)) for r in (PLAIN, NOISY, FAST)]
    figure = charts.ratios(gains(result(PLAIN, FAST, *large)))
    assert texts(figure, "headings") == [
        "<b>batch size 1, float32</b>",
        "<b>batch size 8, float32</b>",
        "<b>batch size 8, float16</b>",
    ]
    (told,) = (trace for trace in figure.data if trace.name == "told")
    assert [value for _, value in points(figure)] == pytest.approx([2.0, 2.0, 4.0404], rel=1e-3)
    by_value = dict(zip(told.x, zip(told.error_x.arrayminus, told.error_x.array, strict=True), strict=True))
    assert by_value[2.0] == (0.0, 0.0) and by_value[max(told.x)] == pytest.approx((0.4040, 0.4040), rel=1e-3)


def test_half_and_twice_are_equally_far_from_one_and_the_ends_of_intervals_are_seen() -> None:
    def axis(*ends: float) -> Any:
        found = [Gain(FAST, PLAIN, Ratio(1.5, *ends), None)]
        return charts.ratios(found).layout.xaxis

    plain = axis(1.4, 1.6)
    assert plain.type == "log" and plain.range[0] == pytest.approx(-plain.range[1]) and {0.5, 1, 2} <= {*plain.tickvals}
    wide = axis(0.1, 30.0)
    assert wide.range[0] < -1.0 and wide.range[1] > 1.47


def test_ratios_that_tell_nothing_are_paler_and_the_margin_is_drawn() -> None:
    found = [
        Gain(FAST, PLAIN, Ratio(1.1, low, 1.2), None) for low in (1.021, 1.019)
    ]  # two copies of one model differ by 2 %
    figure = charts.ratios(found)
    told, untold = (trace for trace in figure.data if trace.mode == "markers")
    assert (told.name, untold.name) == ("told", "no difference can be told") and untold.opacity < told.opacity
    assert len(told.x) == len(untold.x) == 1
    assert (figure.layout.shapes[0].x0, figure.layout.shapes[0].x1) == (1 / 1.02, 1.02)
    assert [text.partition(" (")[0] for text in texts(figure)] == [
        "sdpa: 1.10 times as fast",
        "sdpa: no difference can be told",
    ]


def test_cells_of_two_checkpoints_have_places_of_their_own() -> None:
    """A sweep may hold the same cells of two checkpoints, whose names say nothing of them."""
    other = [
        replace(r, cell=replace(r.cell, checkpoint="n")) for r in (PLAIN, row(SDPA, *times(50.0), activations=900))
    ]
    found = gains(result(PLAIN, FAST, *other))
    figure = charts.ratios(found)
    assert texts(figure, "headings") == ["<b>batch size 1, float32, m</b>", "<b>batch size 1, float32, n</b>"]
    assert [value for _, value in points(figure)] == pytest.approx([2.0, 4.0])
    assert [text[-27:] for text in texts(figure)] == [
        "2.00 to 2.00), 75 % less memory"[-27:],
        "4.00 to 4.00), the same memory"[-27:],
    ]
    assert [value for _, value in points(charts.ratios(found[::-1]))] == pytest.approx([4.0, 2.0])
    without = charts.ratios([replace(found[0], ratio=None), found[1]])
    assert [text[:14] for text in texts(without)] == ["sdpa: no ratio", "sdpa: 4.00 tim"] and len(points(without)) == 1


def test_pairs_in_words() -> None:
    def said(ours: Measurement, theirs: Measurement, what: str = "ms") -> str:
        (text,) = texts(charts.pairs(compare(result(ours), result(theirs)), what))
        return text.replace("<br>", " ")

    slow = replace(PLAIN, cell=SDPA)
    assert said(FAST, slow) == "sdpa: 100 and 200 ms, 2.00 times as fast (2.00 to 2.00)"
    assert said(slow, FAST) == "sdpa: 200 and 100 ms, takes 2.00 times as long (2.00 to 2.00)"
    assert (
        said(FAST, replace(NOISY, cell=SDPA)) == "sdpa: 100 and 50.0 ms, takes 2.0 times as long (1.8 to 2.2) (noisy)"
    )
    tie = said(slow, row(SDPA, *times(200.0, SHAKEN)))
    assert tie == "sdpa: 200 and 200 ms, no difference can be told (0.90 to 1.10) (noisy)"
    assert said(slow, slow) == "sdpa: 200 and 200 ms, as fast (1.00 to 1.00)"
    assert said(FAST, row(SDPA, *times(200.0)[:5])) == "sdpa: 100 and 200 ms, no ratio, too few processes"
    once = replace(COLD, cell=SDPA)
    assert said(FAST, once) == "sdpa: 100 and 40.0 ms, no ratio, too few processes (cold)"
    assert said(once, row(SDPA, *times(50.0, SHAKEN))).endswith("processes (cold, noisy)")
    assert said(slow, FAST, "MiB") == "sdpa: 1,000 and 250 MiB, 4.0 times the memory"
    assert said(FAST, slow, "MiB") == "sdpa: 250 and 1,000 MiB, 75 % less memory"
    assert said(replace(FAST, memory=None), slow, "MiB") == "sdpa: not known and 1,000 MiB"


def test_pairs_have_two_bars_below_their_text_under_headings() -> None:
    whole = result(PLAIN, FAST, NOISY)
    figure = charts.pairs(compare(whole, whole), "ms")
    values, _, first, second = figure.data
    assert texts(figure, "headings") == ["<b>batch size 1, float32</b>", "<b>batch size 1, float16</b>"]
    assert list(first.x) == list(second.x) == pytest.approx([200.0, 100.0, 50.0])
    for text, above, below in zip(values.y, first.y, second.y, strict=True):
        assert text + charts.LINE / 2 <= above - first.width / 2 < above + first.width / 2 <= below - second.width / 2
    assert set(values.x) == {0.0} and figure.layout.xaxis.range == (0, 200.0)


# Marks


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
        symbol >= 100 for rows in (whole, result(PLAIN, FAST)) for symbol in ratio_symbols(charts.ratios(gains(rows)))
    ]
    pairs = [trace for trace in charts.pairs(compare(whole, whole), "ms").data if trace.type == "bar"]
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
    figures |= {"pairs": charts.pairs(compare(whole, whole)[2:], "ms")}
    growth = scaling(result(*larger(*whole.rows)), "batch size", "ms")
    figures["scaling"] = growth["float16" if bad.cell == HALF else "float32"]
    if bad.sound:
        figures["ratio"] = charts.ratios(gains(whole))
    for name, figure in figures.items():
        assert f"<b>{words}</b>" in hover(figure), name
    for name in ("trade-off", "scaling"):
        legend = [trace.name for trace in figures[name].data if trace.showlegend is not False]
        assert f"hollow: {mark}" in legend and figures[name].layout.showlegend, "for who cannot point at them"
    beside = texts(charts.pairs(compare(whole, whole), "ms"))
    assert [text.endswith(f"({mark})") for text in beside] == [False, False, True]
    if bad.sound:
        assert [text.endswith(f"({mark})") for text in texts(charts.ratios(gains(whole)))] == [False, True]
    line = list(csv.DictReader(io.StringIO(report.as_csv(whole))))[2]
    assert (line["marks"], line["caveats"]) == (mark, words)
    page = report.as_html(whole)
    assert f"<td>{mark}</td>" in page and f"<td>{words}</td>" in page and report.MARKS in page


def test_memory_is_not_marked_since_it_is_not_timed() -> None:
    whole = result(COLD, NOISY)
    for bars in charts.pairs(compare(whole, whole), "MiB").data:
        assert bars.type != "bar" or list(bars.marker.pattern.shape) == ["", ""]
    assert all("noisy" not in text and "cold" not in text for text in texts(charts.memories(bars_of(whole.rows))))
    for figure in scaling(result(*larger(*whole.rows)), "batch size", "MiB").values():
        assert "noisy" not in hover(figure) and not figure.layout.showlegend
        assert all(symbol < 100 for trace in figure.data for symbol in trace.marker.symbol or ())


def test_a_ratio_is_hollow_if_its_base_is_noisy() -> None:
    noisy_base = row(EAGER, *times(200.0, SHAKEN))
    (symbol,) = ratio_symbols(charts.ratios(gains(result(noisy_base, FAST))))
    assert symbol >= 100


# Strangers' names

HOSTILE = "<a href='//x'>&"


def test_hostile_names_are_escaped_everywhere() -> None:
    """Sweeps are files that others may have written, and plotly takes texts for HTML."""
    rows = [row(Cell(HOSTILE, f"{HOSTILE}{k}", HOSTILE), *times(100.0 + k)) for k in range(2)]
    whole = result(*rows, row(replace(rows[0].cell, batch_size=2), (1.0,)))
    bars = bars_of(rows)
    figures = dict(report.charts_of(whole)) | {
        "no places": charts.latencies(bars),
        "no places for memory": charts.memories(bars),
        "pairs": charts.pairs(compare(whole, whole), "ms"),
        "documented": charts.ratios(gains(whole), documented=True),
    }
    for name, figure in figures.items():
        shown = [*(figure.layout.yaxis.ticktext or ()), *(text for trace in figure.data for text in trace.text or ())]
        shown += [trace.name or "" for trace in figure.data]
        assert "<a" not in " ".join([*shown, hover(figure)]), name
    page = report.as_html(whole)
    assert "<a href" not in re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL) and "&lt;a href" in page


# Whatever the rows

KINDS = ("sound", "sound", "noisy", "cold", "one process", "failed", "few")


def random_row(chance: random.Random, cell: Cell) -> Measurement:
    kind, ms, first = chance.choice(KINDS), chance.uniform(1, 500), chance.choice((0, 0, 0, 6))
    logits = tuple(chance.uniform(-1, 1) for _ in range(7)) if chance.random() < 0.8 else None
    if kind == "failed":
        return Measurement(cell, chance.choice(("failed", "cancelled", "unavailable", "out-of-memory")), "why")
    spread = 0.5 if kind == "noisy" else 0.01
    processes = {"one process": 1, "few": chance.randint(2, 5), "cold": chance.randint(1, 8)}.get(
        kind, chance.randint(6, 12)
    )
    samples = [tuple(ms * chance.uniform(1 - spread, 1 + spread) for _ in range(3)) for _ in range(processes)]
    found = row(cell, *samples, first=first, warm=kind != "cold", logits=logits, others=chance.random())
    return replace(found, memory=None) if chance.random() < 0.1 else found


def random_result(chance: random.Random) -> Result:
    cells = grid("m", ("eager", "sdpa", "sdpa-math"), ("float32", "float16"), (1, 2), ("inference", "training"))
    return result(*(random_row(chance, cell) for cell in chance.sample(cells, chance.randint(1, len(cells)))))


NAMES = [None, "eager in float32", "sdpa in float16"]
COMPARED = ("compared with", "times as fast", "from", "to", "verdict", "% less memory")


@pytest.mark.parametrize("seed", range(30))
def test_no_ratio_is_ever_formed_with_a_figure_that_is_not_sound(seed: int) -> None:
    chance = random.Random(seed)
    whole, other = random_result(chance), random_result(chance)
    for rows in families(whole).values():
        pairs = [(first, second) for first in rows for second in rows if find_ratio_of(first, second)]
        assert all(first.sound and second.sound for first, second in pairs)
        assert all(base is None or base.sound for base in (base_of(rows, name) for name in NAMES))
    for name in NAMES:
        found = gains(whole, name)
        assert all(gain.row.sound and gain.base.sound for gain in found)
        figure = charts.ratios(found)
        drawn = sum("no ratio" not in text for text in texts(figure))
        assert drawn == len(points(figure)) == sum(gain.ratio is not None for gain in found)
        for line, measured in zip(report.table(whole, name), whole.rows, strict=True):
            assert measured.sound or all(line[key] is None for key in COMPARED)
    both = compare(whole, other)
    in_their_order = charts.pairs(both, "ms").data[0].text
    for pair, text in zip(both, in_their_order, strict=True):
        assert text.startswith(f"{pair.ours.cell.attention}: ")
        assert (pair.ratio is None) == ("no ratio" in text)
        assert pair.ratio is None or (pair.ours.sound and pair.theirs.sound)
    for of, rows in families(whole).items():
        sound = {cell_name(found.cell) for found in rows if found.sound}
        said = statement(whole, of)
        compared = re.findall(r"(\S+ in \S+) (?:is|takes) \S+ times as \w+ as (\S+ in \S+)", said)
        compared += re.findall(r"(\S+ in \S+) is as fast as (\S+ in \S+)", said)
        compared += re.findall(r"between (\S+ in \S+) and (\S+ in \S+) no difference", said)
        assert compared or said.startswith(("No ratio", "Nothing can be compared", "One cell alone", "Only one"))
        assert {name for pair in compared for name in pair} <= sound


@pytest.mark.parametrize("seed", range(30))
def test_figures_that_are_not_sound_change_nothing_in_what_is_told_of_others(seed: int) -> None:
    whole = random_result(random.Random(seed))
    without = replace(whole, rows=tuple(found for found in whole.rows if found.sound))
    for name in NAMES:
        of_sound = {g.row.cell: (g.base.cell, g.ratio, g.memory_share) for g in gains(without, name)}
        assert {g.row.cell: (g.base.cell, g.ratio, g.memory_share) for g in gains(whole, name)} == of_sound
    for table in (documentation.inference_table, documentation.training_table):
        assert table(whole) == table(without)


def test_the_random_rows_are_of_every_kind_and_some_can_be_compared() -> None:
    results = [random_result(random.Random(seed)) for seed in range(30)]
    rows = [found for whole in results for found in whole.rows]
    assert {kind for found in rows for kind in found.caveats} == set(CAVEATS)
    told = [statement(whole, of) for whole in results for of in families(whole)]
    for words in (
        "times as fast as",
        "times as long as",
        "no difference",
        "No ratio",
        "Nothing can be compared",
        "Only one of",
    ):
        assert any(words in said for said in told), words
    assert any(documentation.inference_table(whole) for whole in results)
    assert any(documentation.training_table(whole) for whole in results)


def test_a_page_of_any_rows_can_be_written() -> None:
    for seed in range(2):
        assert "<h1>" in report.as_html(random_result(random.Random(seed)))


def test_a_chart_of_a_gain_without_a_ratio_keeps_its_place() -> None:
    with_one, without = Gain(FAST, PLAIN, Ratio(2.0, 1.9, 2.1), 0.25), Gain(NOISY, PLAIN, None, None)
    figure = charts.ratios([without, with_one])
    assert texts(figure) == [
        "sdpa: 2.0 times as fast (1.9 to 2.1), 75 % less memory",
        "sdpa: no ratio, not warm in enough of the same rounds (noisy)",
    ]
    assert len(points(figure)) == 1 and len(texts(figure, "headings")) == 2
    (text,) = texts(charts.pairs([Pair(FAST, PLAIN, None)], "ms"))
    assert text == "sdpa: 100 and 200 ms, no ratio, too few processes"
