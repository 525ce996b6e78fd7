"""How time and memory grow with the size, and what one costs in the other: charts on log axes."""

import math
from collections.abc import Sequence
from html import escape
from statistics import fmean
from typing import TYPE_CHECKING, Any

from vivit.benchmark.families import model_names, short_name, with_model
from vivit.benchmark.figures import caveats_of, new_figure, steps, symbol, value_of
from vivit.benchmark.measurement import Measurement
from vivit.benchmark.results import Result
from vivit.benchmark.wording import three_digits
from vivit.names import BACKENDS, colour

if TYPE_CHECKING:
    import plotly.graph_objects as go

SIZES = ("batch size", "tokens")
HEIGHT = 260  # pixels of a chart
DASHES = {"plain": "solid", "compiled": "dash", "captured": "dot"}
GAP = 0.09  # of its y axis, between two labels
Lines = dict[str, list[Measurement]]  # what a line is of → its rows, the smallest first


def scaling(result: Result, by: str, what: str) -> "dict[str, go.Figure]":
    """Growth: a chart for each precision and mode, a line in it for each backend, and the same axes in all of them.

    Args:
        by: 'batch size', or 'tokens' at the smallest batch size there is.
        what: 'ms', the median, or 'MiB', the peak.

    Returns:
        'float32, training' or so → its chart; cells of one size only are in none.
    """
    charts = _charts(result, by, what)
    rows = [row for lines in charts.values() for line in lines.values() for row in line]
    sizes, values = [_size(row, by) for row in rows], [value_of(row, what) for row in rows]
    if not rows:
        return {}
    longest = max(len(name) for lines in charts.values() for name in lines)
    smallest, largest = math.log10(min(sizes)), math.log10(max(sizes))
    right = (largest - smallest) / (0.95 - 0.018 * min(longest, 35))  # room for the labels
    low, high = _around(values)
    found = {}
    for title, lines in charts.items():
        figure = found[title] = _chart(lines, by, what, low, high)
        ticks = _apart(sizes)
        figure.update_xaxes(type="log", title=by, tickvals=ticks, ticktext=[f"{size:,}" for size in ticks])
        figure.update_xaxes(range=[smallest - 0.05 * right, smallest + right])
        figure.update_yaxes(type="log", tickvals=steps(values), range=[low, high])
    return found


def _apart(sizes: Sequence[int]) -> list[int]:
    """Sizes as labels of an axis: of those that lie on each other, as of models with and without a [CLS], the smallest."""
    kept: list[int] = []
    for size in sorted(set(sizes)):
        if not kept or size > 1.05 * kept[-1]:
            kept.append(size)
    return kept


def grows(result: Result, by: str) -> bool:
    """Whether there are several sizes to draw lines through. Args: as `scaling`'s."""
    return bool(_charts(result, by, "ms"))


def _charts(result: Result, by: str, what: str) -> dict[str, Lines]:
    """What each chart is of → the lines in it, of two sizes at least."""
    rows = [row for row in result.rows if row.latency and row.estimate and (row.memory or what == "ms")]
    smallest = min((row.cell.batch_size for row in rows), default=1)
    models = model_names(row.cell.checkpoint for row in rows)
    charts: dict[str, Lines] = {}
    order = list(models)
    for row in sorted(rows, key=lambda row: (order.index(row.cell.checkpoint), _size(row, by))):
        cell = row.cell
        if cell.batch_size != smallest if by == "tokens" else cell.num_frames is not None:
            continue
        words = (
            [cell.precision] + [cell.mode] * (cell.mode != "inference") + [models[cell.checkpoint]] * (len(models) > 1)
        )
        line = short_name(cell)
        charts.setdefault(", ".join(words), {}).setdefault(line, []).append(row)
    long = {
        title: {name: line for name, line in lines.items() if _size(line[0], by) < _size(line[-1], by)}
        for title, lines in charts.items()
    }
    return {title: lines for title, lines in long.items() if lines}


def _size(row: Measurement, by: str) -> int:
    return row.estimate.num_tokens if by == "tokens" and row.estimate else row.cell.batch_size


def _chart(lines: Lines, by: str, what: str, low: float, high: float) -> "go.Figure":
    """Lines with their names at their ends. Args: low, high: logarithms of the y axis' ends."""
    figure = new_figure(HEIGHT, legend={"x": 0, "y": 1, "yanchor": "top", "bgcolor": "rgba(0, 0, 0, 0)"})
    timed = what == "ms"  # memory is found in a call of its own, which these marks say nothing of
    known = list(dict.fromkeys([*BACKENDS, *(line[0].cell.attention for line in lines.values())]))
    for name, line in lines.items():
        cell = line[0].cell
        figure.add_scatter(
            x=[_size(row, by) for row in line],
            y=[value_of(row, what) for row in line],
            mode="lines+markers",
            name=escape(name),
            line={"color": colour(cell.attention), "dash": DASHES[cell.execution]},
            marker={
                "size": 9,
                "symbol": [symbol(known.index(cell.attention), *[row] * timed) for row in line],
                "line": {"width": 2, "color": colour(cell.attention)},
            },
            hovertext=[
                f"{escape(row.cell.name)}, {_size(row, by):,} {by}: {three_digits(value_of(row, what))} {what}"
                + caveats_of(*[row] * timed)
                for row in line
            ],
            hoverinfo="text",
            showlegend=False,
        )
    ends = [line[-1] for line in lines.values()]
    figure.add_scatter(
        x=[_size(row, by) for row in ends],
        y=[10**y for y in spread([math.log10(value_of(row, what)) for row in ends], GAP * (high - low), low, high)],
        mode="text",
        text=[f"\u00a0\u00a0\u00a0{escape(name)}" for name in lines],
        textposition="middle right",
        cliponaxis=False,
        hoverinfo="skip",
        name="values",
        showlegend=False,
    )
    if timed:
        _explain_hollow(figure, [row for line in lines.values() for row in line])
    return figure


def spread(at: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places as near to these as they can be if each is to be `gap` from the next and all between `low` and `high`."""
    order = sorted(range(len(at)), key=at.__getitem__)
    blocks: list[list[float]] = []  # of neighbours that touch, without the gaps between them
    for number, k in enumerate(order):
        blocks.append([at[k] - number * gap])
        while len(blocks) > 1 and fmean(blocks[-2]) > fmean(blocks[-1]):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    middles = [fmean(block) for block in blocks for _ in block]
    highest = high - (len(at) - 1) * gap
    placed = dict(zip(order, (max(low, min(middle, highest)) for middle in middles), strict=True))
    return [placed[k] + order.index(k) * gap for k in range(len(at))]


def _explain_hollow(figure: "go.Figure", rows: Sequence[Measurement]) -> None:
    """Say in the legend what hollow points lack, if there are any."""
    if kinds := dict.fromkeys(kind for row in rows for kind in row.caveats):
        _explain(figure, f"hollow: {', '.join(kinds)}", symbol=100)
        figure.update_layout(showlegend=True)


def _explain(figure: "go.Figure", name: str, **marker: Any) -> None:
    """A line of the legend, of no points."""
    marker = {"size": 11, "color": "grey", **marker}
    figure.add_scatter(x=[None], y=[None], mode="markers", name=escape(name), marker=marker)


def tradeoff(result: Result) -> "go.Figure | None":
    """Memory over latency, a point a cell: colour by attention, shape by precision and model. The best lie at the lower left.

    None where no cell has both.
    """
    rows = [r for r in result.rows if r.latency and r.memory]
    if not rows:
        return None
    models = model_names(r.cell.checkpoint for r in rows)

    def kind(row: Measurement) -> str:
        return with_model(row.cell.precision, row.cell, models)

    kinds = list(dict.fromkeys(map(kind, rows)))
    figure = new_figure(1.5 * HEIGHT, showlegend=True)
    each = {id(r): value_of(r, "ms") / r.cell.batch_size for r in rows}
    for attention in dict.fromkeys(r.cell.attention for r in rows):
        chosen = [r for r in rows if r.cell.attention == attention]
        figure.add_scatter(
            x=[each[id(r)] for r in chosen],
            y=[value_of(r, "MiB") for r in chosen],
            mode="markers",
            showlegend=False,
            marker={
                "size": 11,
                "color": colour(attention),
                "symbol": [symbol(kinds.index(kind(r)), r) for r in chosen],
                "line": {"width": 2, "color": colour(attention)},
            },
            hovertext=[
                f"{escape(with_model(r.cell.name, r.cell, models))}: "
                f"{three_digits(each[id(r)])} ms a clip, {three_digits(value_of(r, 'MiB'))} MiB" + caveats_of(r)
                for r in chosen
            ],
            hoverinfo="text",
        )
        _explain(figure, attention, color=colour(attention))
    for number, name in enumerate(kinds):
        _explain(figure, name, symbol=number)
    _explain_hollow(figure, rows)
    for update, name, values in (
        (figure.update_xaxes, "ms a clip", [*each.values()]),
        (figure.update_yaxes, "peak, MiB", [value_of(r, "MiB") for r in rows]),
    ):
        update(type="log", title=name, tickvals=steps(values), range=_around(values))
    return figure


def _around(values: Sequence[float]) -> tuple[float, float]:
    """Logarithms of an axis' ends, so far from each other that one of `steps` at least is between them."""
    return math.log10(min(values) / 1.6), math.log10(max(values) * 1.6)
