"""The charts of a result, as plotly figures; plotly is imported only when one is drawn.

Each function returns a figure and the numbers in it, one dict a point, for the table below.
"""

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from vivit.benchmark.measurement import MIB, Measurement
from vivit.benchmark.results import Result, baseline_row, speedup
from vivit.names import colour

if TYPE_CHECKING:
    import plotly.graph_objects as go

Lines = list[dict[str, Any]]
Chart = tuple["go.Figure", Lines]


def _figure(rows: int, **layout: Any) -> "go.Figure":
    import plotly.graph_objects as go

    margin = {"l": 0, "r": 10, "t": 30, "b": 0}
    figure = go.Figure()
    figure.update_layout(
        height=130 + 26 * rows, margin=margin, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"}
    )
    figure.update_layout(**layout)
    figure.update_xaxes(automargin=True)
    figure.update_yaxes(automargin=True)
    return figure


def _measured(result: Result) -> list[Measurement]:
    return [r for r in result.rows if r.latency]


def latency(result: Result) -> Chart:
    """Median of each cell, hatched with a caveat, p5 to p95 as a line through its end, and what was predicted as a mark."""
    rows = _measured(result)[::-1]
    lines: Lines = [
        {
            "cell": r.cell.name,
            "median, ms": r.latency.median,
            "p5, ms": r.latency.p5,
            "p95, ms": r.latency.p95,
            "predicted, ms": r.estimate.latency_ms if r.estimate else None,
            "n": len(r.latency.samples_ms),
            "noise": r.latency.noise,
            "caveat": r.latency.caveat,
        }
        for r in rows
        if r.latency
    ]
    figure = _figure(len(rows))
    names, medians = [p["cell"] for p in lines], [p["median, ms"] for p in lines]
    spread = {
        "array": [p["p95, ms"] - p["median, ms"] for p in lines],
        "arrayminus": [p["median, ms"] - p["p5, ms"] for p in lines],
    }
    figure.add_bar(
        x=medians,
        y=names,
        orientation="h",
        error_x={"type": "data", **spread},
        name="median, p5 to p95; hatched with a caveat",
        marker={"color": _colours(rows), "pattern": {"shape": ["/" if p["caveat"] else "" for p in lines]}},
        hovertext=[
            f"{p['cell']}: median {p['median, ms']:,.4g} ms of {p['n']}, 90 % between {p['p5, ms']:,.4g} and "
            f"{p['p95, ms']:,.4g} ms" + "".join(f"<br><b>{text}</b>" for text in (p["caveat"], p["noise"]) if text)
            for p in lines
        ],
        hoverinfo="text",
    )
    _predicted(figure, [p["predicted, ms"] for p in lines], names)
    figure.update_xaxes(title="ms a call", rangemode="tozero")
    return figure, lines[::-1]


def memory(result: Result) -> Chart:
    """Weights and what is held beyond them at the peak, stacked, and what was predicted as a mark."""
    rows = [r for r in result.rows if r.memory][::-1]
    lines: Lines = [
        {
            "cell": r.cell.name,
            "weights, MiB": r.memory.weights / MIB,
            "activations, MiB": r.memory.activations / MIB,
            "peak, MiB": r.memory.peak / MIB,
            "predicted, MiB": r.estimate.peak / MIB if r.estimate else None,
        }
        for r in rows
        if r.memory
    ]
    figure = _figure(len(rows), barmode="stack")
    names = [p["cell"] for p in lines]
    for part in ("weights", "activations"):
        figure.add_bar(
            x=[p[f"{part}, MiB"] for p in lines],
            y=names,
            orientation="h",
            name=part,
            marker={"color": _colours(rows), "opacity": 1.0 if part == "activations" else 0.55},
            hovertemplate=f"%{{y}}: %{{x:,.4g}} MiB of {part}<extra></extra>",
        )
    _predicted(figure, [p["predicted, MiB"] for p in lines], names)
    figure.update_xaxes(title="MiB at the peak", rangemode="tozero")
    return figure, lines[::-1]


def _predicted(figure: "go.Figure", values: list[float | None], names: list[str]) -> None:
    # Dark with a light edge: it is seen on the bars and beside them.
    marker = {"symbol": "diamond-tall", "size": 15, "line": {"width": 1.5, "color": "white"}, "color": "#201a33"}
    hover = "%{y}: %{x:,.4g} predicted by the cost model<extra></extra>"
    figure.add_scatter(x=values, y=names, mode="markers", marker=marker, name="predicted", hovertemplate=hover)


def gains(result: Result, baseline: str = "eager", precision: str | None = None) -> Chart:
    """Speed-up and memory saved against a baseline, as the documentation defines them.

    Args:
        result: a sweep.
        baseline, precision: what each cell is compared with, see `results.baseline_row`.
    """
    lines: Lines = []
    for row in result.rows:
        base = baseline_row(result, row.cell, baseline, precision)
        gain = speedup(row, base) if base and base is not row else None
        if gain:
            lines.append(
                {
                    "cell": row.cell.name,
                    "speed-up, %": gain["speedup_percent"],
                    "memory saved, %": gain["memory_saved_percent"],
                    "× faster": gain["times_faster"],
                    "% less memory": gain["less_memory_percent"],
                }
            )
    figure = _figure(2 * len(lines), barmode="group")
    compared = [row for row in result.rows if row.cell.name in {p["cell"] for p in lines}]
    for name, opacity in (("memory saved, %", 0.55), ("speed-up, %", 1.0)):
        figure.add_bar(
            x=[p[name] for p in lines[::-1]],
            y=[p["cell"] for p in lines[::-1]],
            orientation="h",
            name=name,
            marker={"color": _colours(compared[::-1]), "opacity": opacity},
            hovertemplate=f"%{{y}}: %{{x:,.0f}} {name.rpartition(', ')[2]} {name.partition(',')[0]}<extra></extra>",
        )
    figure.update_xaxes(title=f"({' '.join(filter(None, (baseline, precision)))} / cell - 1) × 100, %")
    return figure, lines


def _colours(rows: list[Measurement]) -> list[str]:
    return [colour(r.cell.attention, r.cell.precision) for r in rows]


def scaling(result: Result, by: str = "batch size", what: str = "median, ms") -> Chart:
    """Growth on log axes, a line for each attention, precision and mode.

    Args:
        result: a sweep.
        by: 'batch size', or 'tokens' at the smallest batch size there is.
        what: 'median, ms' or 'peak, MiB'.
    """
    rows = [r for r in _measured(result) if r.memory and r.estimate]
    smallest = min((r.cell.batch_size for r in rows), default=1)
    lines: Lines = []
    for r in rows:
        if (by == "tokens" and r.cell.batch_size != smallest) or (by != "tokens" and r.cell.num_frames):
            continue
        assert r.latency and r.memory and r.estimate
        words = [r.cell.attention, r.cell.precision, "compiled" * r.cell.compiled]
        words.append(r.cell.mode if r.cell.mode != "inference" else "")
        x = r.estimate.num_tokens if by == "tokens" else r.cell.batch_size
        y = r.latency.median if what == "median, ms" else r.memory.peak / MIB
        lines.append({"line": ", ".join(filter(None, words)), by: x, what: y})
    figure = _figure(10)
    drawn: Counter[str] = Counter()  # backend → its lines so far, which have its colour, so symbols tell them apart
    for name in dict.fromkeys(p["line"] for p in lines):
        points = sorted((p[by], p[what]) for p in lines if p["line"] == name)
        x_values, y_values = [p[0] for p in points], [p[1] for p in points]
        attention = name.partition(",")[0]
        style = {"marker": {"symbol": drawn[attention], "size": 9}, "line_color": colour(attention)}
        drawn[attention] += 1
        hover = f"{name}, {by} %{{x:,}}: %{{y:,.4g}} {what.rpartition(', ')[2]}<extra></extra>"
        figure.add_scatter(x=x_values, y=y_values, mode="lines+markers", name=name, hovertemplate=hover, **style)
    figure.update_xaxes(type="log", title=by, tickvals=sorted({p[by] for p in lines}))
    figure.update_yaxes(type="log", title=what, tickvals=_steps([p[what] for p in lines]))
    return figure, lines


def tradeoff(result: Result) -> Chart:
    """Memory over latency, a point a cell, colour by attention and shape by precision: the best lie at the lower left."""
    rows = [r for r in _measured(result) if r.memory]
    lines: Lines = [
        {"cell": r.cell.name, "ms a clip": r.latency.median / r.cell.batch_size, "peak, MiB": r.memory.peak / MIB}
        for r in rows
        if r.latency and r.memory
    ]
    precisions = list(dict.fromkeys(r.cell.precision for r in rows))
    figure = _figure(12)
    for attention in dict.fromkeys(r.cell.attention for r in rows):
        chosen = [(p, r.cell) for p, r in zip(lines, rows, strict=True) if r.cell.attention == attention]
        figure.add_scatter(
            x=[p["ms a clip"] for p, _ in chosen],
            y=[p["peak, MiB"] for p, _ in chosen],
            text=[cell.name for _, cell in chosen],
            mode="markers",
            name=attention,
            marker={
                "size": 11,
                "color": colour(attention),
                "symbol": [precisions.index(cell.precision) for _, cell in chosen],
            },
            hovertemplate="%{text}: %{x:.4g} ms a clip, %{y:,.0f} MiB<extra></extra>",
        )
    for number, precision in enumerate(precisions):  # no points, only what the shapes mean
        marker = {"size": 11, "symbol": number, "color": "grey"}
        figure.add_scatter(x=[None], y=[None], mode="markers", name=precision, marker=marker)
    for update, name in ((figure.update_xaxes, "ms a clip"), (figure.update_yaxes, "peak, MiB")):
        update(type="log", title=name, tickvals=_steps([p[name] for p in lines]))
    return figure, lines


def _steps(values: list[float]) -> list[float]:
    """1, 2, 5, 10, 20, … around some values, for a log axis: plotly writes the first digit alone between powers of ten."""
    if not values:
        return []
    low, high = min(values) / 2, max(values) * 2
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)))
    return [v for v in (digit * 10.0**k for k in powers for digit in (1, 2, 5)) if low <= v <= high]


def all_charts(
    result: Result, baseline: str = "eager", precision: str | None = None
) -> list[tuple[str, "go.Figure", Lines]]:
    """(title, figure, numbers) of every chart that this result has something to show in. Args: as `gains`'."""
    cells = [r.cell for r in _measured(result)]
    tokens = {r.estimate.num_tokens for r in _measured(result) if r.estimate}
    charts = [("Latency", latency(result)), ("Memory", memory(result))]
    against = " ".join(filter(None, (baseline, precision)))
    charts.append((f"Speed-up and memory saved against {against}", gains(result, baseline, precision)))
    for by, shown in (("batch size", len({c.batch_size for c in cells}) > 1), ("tokens", len(tokens) > 1)):
        if shown:
            charts += [
                (f"{name} by {by}", scaling(result, by, what))
                for name, what in (("Latency", "median, ms"), ("Memory", "peak, MiB"))
            ]
    charts.append(("Latency and memory", tradeoff(result)))
    return [(title, figure, lines) for title, (figure, lines) in charts if lines]
