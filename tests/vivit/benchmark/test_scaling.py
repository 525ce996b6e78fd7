"""How time and memory grow, in small charts with the same axes, and the points of all cells."""

import math
import random
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from tests.vivit.benchmark.children import result, row
from vivit.benchmark.measurement import Cell, Estimate, Measurement
from vivit.benchmark.presets import grid
from vivit.benchmark.results import Result
from vivit.benchmark.scaling import grows, scaling, spread, tradeoff
from vivit.names import BACKENDS, EXECUTIONS, PRECISIONS

EAGER, SDPA, HALF = Cell("m", "eager"), Cell("m", "sdpa"), Cell("m", "sdpa", "float16")


def steady(cell: Cell, ms: float, activations: int = 150) -> Measurement:
    return row(cell, *[(ms,)] * 6, activations=activations)


def sizes(*cells: tuple[Cell, float]) -> Result:
    """Each of these in batch sizes 1 and 4, four times as slow in the latter."""
    rows = [steady(replace(cell, batch_size=n), ms * n, 100 * n) for cell, ms in cells for n in (1, 4)]
    return result(*rows)


def lines(figure: Any) -> dict[str, list[tuple[float, float]]]:
    """The name of each line → its points."""
    return {t.name: list(zip(t.x, t.y, strict=True)) for t in figure.data if t.mode == "lines+markers"}


def labels(figure: Any) -> Any:
    (trace,) = (trace for trace in figure.data if trace.name == "values")
    return trace


def test_there_is_a_chart_for_each_precision_and_mode_and_a_line_for_each_backend() -> None:
    training = replace(SDPA, mode="training")
    whole = sizes((EAGER, 200.0), (SDPA, 100.0), (HALF, 50.0), (training, 300.0))
    found = scaling(whole, "batch size", "ms")
    assert {title: lines(figure) for title, figure in found.items()} == {
        "float32": {"eager": [(1, 200.0), (4, 800.0)], "sdpa": [(1, 100.0), (4, 400.0)]},
        "float16": {"sdpa": [(1, 50.0), (4, 200.0)]},
        "float32, training": {"sdpa": [(1, 300.0), (4, 1200.0)]},
    }
    memory = scaling(whole, "batch size", "MiB")
    assert lines(memory["float16"]) == {"sdpa": [(1, 200.0), (4, 500.0)]}


def test_the_charts_of_one_kind_have_the_same_logarithmic_axes_that_hold_every_point() -> None:
    found = scaling(sizes((EAGER, 200.0), (HALF, 2.0)), "batch size", "ms").values()
    assert (
        len({(f.layout.xaxis.range, f.layout.yaxis.range, f.layout.yaxis.tickvals, f.layout.height) for f in found})
        == 1
    )
    for figure in found:
        (left, right), (low, high) = figure.layout.xaxis.range, figure.layout.yaxis.range
        assert figure.layout.xaxis.type == figure.layout.yaxis.type == "log" and figure.layout.xaxis.tickvals == (1, 4)
        for points in lines(figure).values():
            assert all(left < math.log10(x) < right and low < math.log10(y) < high for x, y in points)


def test_cells_of_one_size_are_in_no_chart() -> None:
    alone = steady(Cell("m", "sdpa-math"), 300.0)
    other = steady(replace(HALF, batch_size=4), 50.0)
    (figure,) = scaling(result(*sizes((SDPA, 100.0)).rows, alone, other), "batch size", "ms").values()
    assert list(lines(figure)) == ["sdpa"]
    assert grows(sizes((SDPA, 100.0)), "batch size") and not grows(sizes((SDPA, 100.0)), "tokens")
    assert not grows(result(alone, other), "batch size") and scaling(result(alone), "batch size", "ms") == {}
    assert scaling(result(), "tokens", "MiB") == {}


def test_growth_with_tokens_is_of_the_smallest_batch_and_sorted() -> None:
    rows = [
        replace(
            row(Cell("m", "eager", batch_size=n, num_frames=f), (f * 1.0,)), estimate=Estimate(f * 10, 1, 1.0, 1, 1)
        )
        for n in (1, 2)
        for f in (8, 4)
    ]
    assert grows(result(*rows), "tokens") and not grows(result(*rows), "batch size")
    (figure,) = scaling(result(*rows), "tokens", "ms").values()
    assert lines(figure) == {"eager": [(40, 4.0), (80, 8.0)]} and figure.layout.xaxis.title.text == "tokens"


def test_checkpoints_are_in_charts_of_their_own() -> None:
    whole = sizes((SDPA, 100.0), (replace(SDPA, checkpoint="n"), 50.0))
    assert list(scaling(whole, "batch size", "ms")) == ["float32, m", "float32, n"]


def test_no_two_lines_of_a_chart_look_alike_even_without_colour_and_one_backend_has_one_colour() -> None:
    """With as many lines as a sweep may have: every backend in every precision, in every way to run and in training too."""
    cells = grid("m", tuple(BACKENDS), tuple(PRECISIONS), (1, 2), ("inference", "training"), tuple(EXECUTIONS))
    found = scaling(result(*(row(cell, (1.0,), (1.0,)) for cell in cells)), "batch size", "ms")
    assert len(found) == 2 * len(PRECISIONS)
    for figure in found.values():
        drawn = [trace for trace in figure.data if trace.mode == "lines+markers"]
        assert len({(trace.marker.symbol[0], trace.line.dash) for trace in drawn}) == len(drawn) == 3 * len(BACKENDS)
        assert {trace.name.partition(",")[0]: trace.line.color for trace in drawn} == {
            name: backend.colour for name, backend in BACKENDS.items()
        }


def test_every_line_has_its_name_at_its_end_and_no_two_names_overlap() -> None:
    cells = [(Cell("m", name), 100.0 + k) for k, name in enumerate(BACKENDS)]
    (figure,) = scaling(sizes(*cells), "batch size", "ms").values()
    found, (low, high) = labels(figure), figure.layout.yaxis.range
    assert [text.strip() for text in found.text] == list(BACKENDS) and set(found.x) == {4}
    heights = sorted(math.log10(y) for y in found.y)
    plot = figure.layout.height - 60  # the axis below takes the rest
    assert min(b - a for a, b in pairwise(heights)) / (high - low) * plot > 12
    assert low <= heights[0] and heights[-1] <= high
    assert [name for _, name in sorted(zip(found.y, found.text, strict=True))] == list(found.text), (
        "in the lines' order"
    )


@pytest.mark.parametrize("seed", range(20))
def test_places_are_spread_no_further_than_they_must(seed: int) -> None:
    chance = random.Random(seed)
    at = [chance.uniform(0, 10) for _ in range(chance.randint(1, 6))]
    placed = spread(at, 1.0, 0.0, 10.0)
    order = sorted(range(len(at)), key=at.__getitem__)
    steps = [placed[b] - placed[a] for a, b in pairwise(order)]
    assert all(step >= 1.0 - 1e-9 for step in steps) and min(placed) >= 0.0 and max(placed) <= 10.0 + 1e-9
    far = [b - a for a, b in pairwise(sorted(at))]
    if all(step >= 1.0 for step in far):
        assert placed == pytest.approx(at)


def test_places_that_would_be_one_are_around_it_and_none_is_beyond_the_ends() -> None:
    assert spread([5.0, 5.0, 5.0], 1.0, 0.0, 10.0) == [4.0, 5.0, 6.0]
    assert spread([10.0, 10.0], 1.0, 0.0, 10.0) == [9.0, 10.0] and spread([0.0, 0.0], 1.0, 0.0, 10.0) == [0.0, 1.0]
    assert spread([], 1.0, 0.0, 10.0) == []


def test_the_trade_off_has_a_point_a_cell_and_what_its_colours_and_shapes_mean() -> None:
    whole = result(
        steady(replace(EAGER, batch_size=4), 200.0, 900), steady(SDPA, 100.0), row(HALF, *[(45.0, 55.0)] * 6)
    )
    figure = tradeoff(whole)
    assert figure
    points = {trace.marker.color: (list(trace.x), list(trace.y)) for trace in figure.data if trace.hovertext}
    assert points == {
        BACKENDS["eager"].colour: ([50.0], [1000.0]),
        BACKENDS["sdpa"].colour: ([100.0, 50.0], [250.0, 400.0]),
    }
    legend = {trace.name: (trace.marker.color, trace.marker.symbol) for trace in figure.data if not trace.hovertext}
    assert legend == {
        "eager": (BACKENDS["eager"].colour, None),
        "sdpa": (BACKENDS["sdpa"].colour, None),
        "float32": ("grey", 0),
        "float16": ("grey", 1),
        "hollow: noisy": ("grey", 100),
    }


@pytest.mark.parametrize("ms", [1.0, 3.3, 456.0, 9.9])
def test_an_axis_has_a_number_even_if_all_points_are_one(ms: float) -> None:
    figure = tradeoff(result(steady(SDPA, ms)))
    assert figure
    for axis in (figure.layout.xaxis, figure.layout.yaxis):
        low, high = axis.range
        assert any(low <= math.log10(value) <= high for value in axis.tickvals)
