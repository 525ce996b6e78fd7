"""What all charts share: an empty figure, values that are written beside bars, marks, and the steps of a log axis.

What a figure lacks is marked the same way in all: a bar is hatched, a point is hollow, and the words stand beside it.
"""

import math
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from vivit.benchmark.measurement import MIB, Measurement
from vivit.names import BACKENDS, PRECISIONS

if TYPE_CHECKING:
    import plotly.graph_objects as go

PIXELS = 26  # of a bar and the gap below it
LETTER, GAP = 5.6, 14  # pixels: of a letter in text of the usual size, and before the first of them
NARROWEST, MOST_TEXT = 260, 0.8  # a chart without its labels on a phone; the share of it that text may take


def new_figure(height: float, **layout: Any) -> "go.Figure":
    """An empty one. Args: height: in pixels, at the usual size of text."""
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.update_layout(
        height=height,
        margin={"l": 0, "r": 10, "t": 10, "b": 0},
        bargap=0.25,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"},
    )
    figure.update_layout({"showlegend": False, **layout})
    figure.update_xaxes(automargin=True, fixedrange=True)
    figure.update_yaxes(automargin=True, fixedrange=True)
    return figure


def write_values(figure: "go.Figure", at: Sequence[int], ends: Sequence[float], texts: Sequence[str]) -> None:
    """Write each bar's value beyond its end, and leave room for it where a chart is as narrow as on a phone.

    Larger text takes the same share of a chart that is wider by as much, as in presenter mode.

    Args:
        at: places.
        ends: of the bars, in the x axis' unit.
        texts: what to write.
    """
    widest = GAP + LETTER * max(map(len, texts), default=0)
    figure.add_scatter(
        x=list(ends),
        y=list(at),
        mode="text",
        text=[f"\u00a0\u00a0\u00a0{escape(text)}" for text in texts],
        textposition="middle right",
        hoverinfo="skip",
        name="values",
        cliponaxis=False,
    )
    figure.update_xaxes(range=[0, max(ends, default=1.0) / (1 - min(MOST_TEXT, widest / NARROWEST))])


def value_of(row: Measurement, what: str) -> float:
    """A row's median in 'ms', or its peak in 'MiB'; NaN where that was not measured."""
    if what == "ms":
        return row.latency.median if row.latency else math.nan
    return row.memory.peak / MIB if row.memory else math.nan


def usual_order(precision: str, attention: str) -> tuple[int, int]:
    """Sorts precisions, and backends within one, in the usual order; what another version measured comes last."""
    known, backends = list(PRECISIONS), list(BACKENDS)
    return (
        known.index(precision) if precision in known else len(known),
        backends.index(attention) if attention in backends else len(backends),
    )


def symbol(number: int, *rows: Measurement) -> int:
    """Plotly's symbol of that number, hollow where a figure says less than it seems."""
    return number + 100 * any(row.caveats for row in rows)


def marks_of(*rows: Measurement) -> str:
    """What figures lack, in brackets."""
    kinds = dict.fromkeys(kind for row in rows for kind in row.caveats)
    return f" ({', '.join(kinds)})" if kinds else ""


def caveats_of(*rows: Measurement) -> str:
    """What figures lack, in sentences, for what is pointed at."""
    return "".join(f"<br><b>{escape(text)}</b>" for row in rows for text in row.caveats.values())


def steps(values: Sequence[float]) -> list[float]:
    """1, 2, 5, 10, 20, … around some values, for a log axis: plotly writes the first digit alone between powers of ten."""
    if not values:
        return []
    low, high = min(values) / 2, max(values) * 2
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)))
    return [v for v in (digit * 10.0**k for k in powers for digit in (1, 2, 5)) if low <= v <= high]
