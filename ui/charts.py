"""The charts that pages share. Colours come from the theme, so both light and dark fit."""

from collections.abc import Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from engine.tasks import Prediction
from ui.escape import inert


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
    figure.update_layout(
        colorway=st.get_option(f"{theme}.chartCategoricalColors"), font_color=text, legend_font_color=text
    )
    axis = {"tickfont_color": text, "title_font_color": text}  # Streamlit's own grey is hard to read
    figure.update_xaxes(axis)
    figure.update_yaxes(axis)
    figure.update_traces(insidetextfont_color=background, error_x_color=text, selector={"type": "bar"})
    figure.update_traces(marker={"color": text, "line_color": background}, selector={"name": "predicted"})
    st.plotly_chart(figure, key=key, alt=alt, config={"displayModeBar": False})


def predictions(rows: Sequence[Prediction]) -> go.Figure:
    """Bars of the top-k, best on top. Args: rows: best first, scores in [0, 1]."""
    figure = _figure(48 + 36 * len(rows))
    # Plotly reads markup in labels, and would draw two classes of one name as one bar.
    labels, scores = [escape(inert(r.label, 40)) for r in rows][::-1], [r.score for r in rows][::-1]
    figure.add_bar(
        x=scores,
        y=list(range(len(rows))),
        orientation="h",
        text=[f"{s:.1%}" for s in scores],
        textposition="auto",
        customdata=labels,
        hovertemplate="%{customdata}: %{x:.2%}<extra></extra>",
    )
    figure.update_layout(margin_r=24)  # or the last tick, whose middle is the axis' end, is left out
    figure.update_xaxes(range=[0, 1], tickformat=".0%", fixedrange=True)
    figure.update_yaxes(tickvals=list(range(len(rows))), ticktext=labels, automargin=True, fixedrange=True)
    return figure


def timeline(seconds: Sequence[float], duration_seconds: float) -> go.Figure:
    """Where the sampled frames lie in the clip. Args: seconds: their times; duration_seconds: the clip's length."""
    figure = _figure(100)
    figure.update_layout(margin={"b": 30})
    figure.add_scatter(
        x=[0, duration_seconds], y=[0, 0], mode="lines", line={"width": 6}, opacity=0.25, hoverinfo="skip"
    )
    figure.add_scatter(
        x=list(seconds),
        y=[0] * len(seconds),
        mode="markers",
        marker={"symbol": "line-ns-open", "size": 22, "line": {"width": 2}},
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


def compare(names: list[str], values: list[float], unit: str) -> go.Figure:
    """Bars one below the other. Args: names, values: one a bar; unit: of the values, e.g. 'ms'."""
    figure = _figure(90 + 30 * len(names))
    figure.add_bar(
        x=values,
        y=names,
        orientation="h",
        text=[f"{v:,.1f}" if v < 100 else f"{v:,.0f}" for v in values],
        textposition="auto",
        hovertemplate=f"%{{y}}: %{{x:,.1f}} {unit}<extra></extra>",
    )
    figure.update_xaxes(title=unit, rangemode="tozero", fixedrange=True)
    figure.update_yaxes(automargin=True, fixedrange=True, type="category", autorange="reversed")
    return figure
