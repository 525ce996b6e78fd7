"""The charts that pages share. Colours come from the theme, so both light and dark fit."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import isnan
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from engine.tasks import Prediction
from ui.escape import inert, literal
from ui.visit import visit
from vivit.names import colour

PRESENTED = 20  # pixels of a chart's text, 12 otherwise


def _figure(height: int, **layout: Any) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(
        height=height, margin={"l": 0, "r": 10, "t": 10, "b": 0}, showlegend=False, bargap=0.3, **layout
    )
    return figure


def show(figure: go.Figure, key: str, alt: str) -> None:
    """Draw a figure in the theme's colours and without Plotly's tool bar.

    Args:
        key: unique on the page.
        alt: what it shows, for those who cannot see.
    """
    theme = f"theme.{st.context.theme.type or 'light'}"
    text, background = st.get_option(f"{theme}.textColor"), st.get_option(f"{theme}.backgroundColor")
    if visit().present:  # for those in the last row
        scale, margin = PRESENTED / 12, figure.layout.margin
        figure.update_layout(font_size=PRESENTED, height=figure.layout.height * scale, margin_b=margin.b * scale)
        figure.update_xaxes(tickfont_size=PRESENTED, title_font_size=PRESENTED)
        figure.update_yaxes(tickfont_size=PRESENTED, title_font_size=PRESENTED)
    figure.update_layout(
        colorway=st.get_option(f"{theme}.chartCategoricalColors"), font_color=text, legend_font_color=text
    )
    axis = {"tickfont_color": text, "title_font_color": text}  # Streamlit's own grey is hard to read
    figure.update_xaxes(axis)
    figure.update_yaxes(axis)
    figure.update_traces(insidetextfont_color=background, error_x_color=text, selector={"type": "bar"})
    figure.update_traces(textfont_color=text, selector={"name": "values"})
    figure.update_traces(marker={"color": text, "line_color": background}, selector={"name": "predicted"})
    st.plotly_chart(figure, key=key, alt=alt, config={"displayModeBar": False})


def predictions(rows: Sequence[Prediction]) -> go.Figure:
    """Bars of the top-k, best on top. Args: rows: best first, scores in [0, 1]."""
    figure = _figure(8 + 28 * len(rows))
    # Plotly reads markup in labels, and would draw two classes of one name as one bar.
    labels, scores = [escape(inert(r.label, 40)) for r in rows][::-1], [r.score for r in rows][::-1]
    places = list(range(len(rows)))
    figure.add_bar(
        x=scores,
        y=places,
        orientation="h",
        customdata=labels,
        hovertemplate="%{customdata}: %{x:.2%}<extra></extra>",
    )
    _values(figure, places, scores, [f"{score:.1%}" for score in scores])
    figure.update_layout(margin={"t": 4, "b": 4, "r": 0}, bargap=0.25)
    figure.update_xaxes(range=[0, 1.16 if not visit().present else 1.35], visible=False, fixedrange=True)
    figure.update_yaxes(tickvals=places, ticktext=labels, automargin=True, fixedrange=True)
    return figure


def timeline(seconds: Sequence[float], duration_seconds: float) -> go.Figure:
    """Where the sampled frames lie in the clip. Args: seconds: their times; duration_seconds: the clip's length."""
    figure = _figure(56)
    figure.update_layout(margin={"t": 0, "b": 22})
    figure.add_scatter(
        x=[0, duration_seconds], y=[0, 0], mode="lines", line={"width": 6}, opacity=0.25, hoverinfo="skip"
    )
    figure.add_scatter(
        x=list(seconds),
        y=[0] * len(seconds),
        mode="markers",
        marker={"symbol": "line-ns-open", "size": 16, "line": {"width": 2}},
        customdata=list(range(1, len(seconds) + 1)),
        hovertemplate="frame %{customdata} of the model: %{x:.2f} s<extra></extra>",
    )
    figure.update_xaxes(ticksuffix=" s", fixedrange=True)
    figure.update_yaxes(visible=False, fixedrange=True)
    return figure


def waterfall(timings_ms: dict[str, float]) -> go.Figure:
    """One bar a stage, each beginning where the one before ended. Args: timings_ms: stage → ms, in order."""
    figure = _figure(48 + 34 * len(timings_ms))
    stages, times = list(timings_ms), list(timings_ms.values())
    figure.add_bar(
        y=stages[::-1],
        x=times[::-1],
        base=[sum(times[:k]) for k in range(len(times))][::-1],
        orientation="h",
        text=[f"{t:,.0f} ms" for t in times][::-1],
        textposition="auto",
        hovertemplate="%{y}: %{text}<extra></extra>",
    )
    figure.update_xaxes(ticksuffix=" ms", fixedrange=True)
    figure.update_yaxes(automargin=True, fixedrange=True)
    return figure


@dataclass(frozen=True)
class Bar:
    """What a chart shows of one cell.

    Args:
        label: in a few words, unique in its chart.
        attention, precision: of which it has its colour.
        ms, low, high: the median, and the 5th and 95th percentile.
        weights_mib, activations_mib: of the memory.
        words: what a bar tells when it is pointed at: how many rounds or passes, on what clip, with which checkpoint.
        caveat: why the figure says less than it seems, '' if it does not; such bars are hatched.
    """

    label: str
    attention: str
    precision: str
    ms: float
    low: float
    high: float
    weights_mib: float
    activations_mib: float
    words: str
    caveat: str = ""


def show_cells(bars: Sequence[Bar], keys: tuple[str, str], of: str, names: Sequence[str] = ()) -> None:
    """Draw latency and memory of cells side by side.

    Args:
        keys: of the two charts, unique on the page.
        of: what all bars are of: clip, checkpoint, machine; Markdown in it is not yet escaped.
        names: as `latencies`'.
    """
    left, right = st.columns(2)
    with left:
        st.markdown(f":small[Latency, median and 5th to 95th percentile: {literal(of)}]")
        show(latencies(bars, names), keys[0], "Latency of each in milliseconds")
    with right:
        st.markdown(":small[Memory at the peak, weights + activations]")
        show(memories(bars, names), keys[1], "Memory of each in MiB")


def latencies(bars: Sequence[Bar], names: Sequence[str] = ()) -> go.Figure:
    """Median of each cell, a line from the 5th to the 95th percentile, and the value beyond its end.

    Args:
        names: labels that have a place, whether they have a bar yet or not; the bars' if empty.
    """
    names = names or [bar.label for bar in bars]
    figure = _cells(names)
    drawn = [bar for bar in bars if not isnan(bar.ms)]
    spread = {
        "type": "data",
        "array": [bar.high - bar.ms for bar in drawn],
        "arrayminus": [bar.ms - bar.low for bar in drawn],
    }
    figure.add_bar(
        x=[bar.ms for bar in drawn],
        y=_places(drawn, names),
        orientation="h",
        error_x=spread | {"thickness": 1.5, "width": 4},
        marker={"color": _colours(drawn), "pattern": {"shape": ["/" if bar.caveat else "" for bar in drawn]}},
        hovertext=[
            f"{bar.label}: {bar.ms:,.4g} ms, 90 % between {bar.low:,.4g} and {bar.high:,.4g} ms;<br>{bar.words}"
            + f"<br><b>{escape(bar.caveat)}</b>" * bool(bar.caveat)
            for bar in drawn
        ],
        hoverinfo="text",
    )
    _values(
        figure, _places(drawn, names), [bar.high for bar in drawn], [f"median {_plain(bar.ms)} ms" for bar in drawn]
    )
    return figure


def memories(bars: Sequence[Bar], names: Sequence[str] = ()) -> go.Figure:
    """Weights, paler, and activations of each cell, stacked, and their sum beyond the end. Args: as `latencies`'."""
    names = names or [bar.label for bar in bars]
    figure = _cells(names)
    figure.update_layout(barmode="stack")
    for part, values in (
        ("weights", [bar.weights_mib for bar in bars]),
        ("activations", [bar.activations_mib for bar in bars]),
    ):
        figure.add_bar(
            x=values,
            y=_places(bars, names),
            orientation="h",
            marker={"color": _colours(bars), "opacity": 1.0 if part == "activations" else 0.55},
            hovertext=[
                f"{bar.label}: {value:,.4g} MiB of {part};<br>{bar.words}"
                for bar, value in zip(bars, values, strict=True)
            ],
            hoverinfo="text",
        )
    peaks = [bar.weights_mib + bar.activations_mib for bar in bars]
    texts = [
        f"{_plain(bar.weights_mib)} + {_plain(bar.activations_mib)} = {_plain(peak)} MiB"
        for bar, peak in zip(bars, peaks, strict=True)
    ]
    _values(figure, _places(bars, names), peaks, texts)
    return figure


def _cells(names: Sequence[str]) -> go.Figure:
    figure = _figure(16 + 30 * len(names))
    figure.update_layout(margin={"t": 4, "b": 4, "r": 0}, bargap=0.25)
    figure.update_xaxes(visible=False, fixedrange=True)
    # As numbers: what has no bar yet keeps its place.
    figure.update_yaxes(
        automargin=True,
        fixedrange=True,
        tickvals=list(range(len(names))),
        ticktext=list(names),
        range=[len(names) - 0.5, -0.5],
    )
    return figure


def _values(figure: go.Figure, places: Sequence[int], ends: Sequence[float], texts: Sequence[str]) -> None:
    """Write each bar's value beyond its end, and leave room for it."""
    longest = max(map(len, texts), default=0)
    figure.add_scatter(
        x=list(ends),
        y=list(places),
        mode="text",
        text=[f"  {text}" for text in texts],
        textposition="middle right",
        hoverinfo="skip",
        name="values",
        cliponaxis=False,
    )
    letters = longest * (PRESENTED / 12 if visit().present else 1)
    figure.update_xaxes(range=[0, max(ends, default=1.0) * (1.1 + 0.025 * letters)])


def _places(bars: Sequence[Bar], names: Sequence[str]) -> list[int]:
    return [names.index(bar.label) for bar in bars]


def _colours(bars: Sequence[Bar]) -> list[str]:
    return [colour(bar.attention, bar.precision) for bar in bars]


def _plain(value: float) -> str:
    """Two or three digits, as people read them."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
