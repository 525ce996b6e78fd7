"""The charts that pages share. Colours come from the theme, so both light and dark fit."""

from collections.abc import Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from engine.tasks import Prediction
from ui.escape import inert, literal
from ui.visit import visit
from vivit.benchmark.charts import Bar, Places, latencies, memories, memory_heading
from vivit.benchmark.figures import write_values

PRESENTED = 20  # pixels of a chart's text in presenter mode, 12 otherwise
CONTROL = "#8a8594"  # the colour of what is no answer, in both schemes
HIGHER = 1.4  # times as high a chart is in presenter mode: grown as much as its text it would not fit the screen


def blank(height: int, **layout: Any) -> go.Figure:
    """A figure without anything in it. Args: height: in pixels; layout: as plotly's."""
    figure = go.Figure()
    figure.update_layout(
        height=height, margin={"l": 0, "r": 10, "t": 10, "b": 0}, showlegend=False, bargap=0.3, **layout
    )
    return figure


def show(figure: go.Figure, key: str, alt: str, **options: Any) -> None:
    """Draw a figure in the theme's colours and without Plotly's tool bar.

    Args:
        key: unique on the page.
        alt: what it shows, for those who cannot see.
        options: more, as `st.plotly_chart`'s.
    """
    text, background = of_theme("textColor"), of_theme("backgroundColor")
    if visit().present:  # for those in the last row
        margin = figure.layout.margin
        figure.update_layout(font_size=PRESENTED, legend_font_size=PRESENTED, height=figure.layout.height * HIGHER)
        figure.update_layout(margin_t=margin.t * scale(), margin_b=margin.b * scale())
        figure.update_xaxes(tickfont_size=PRESENTED, title_font_size=PRESENTED)
        figure.update_yaxes(tickfont_size=PRESENTED, title_font_size=PRESENTED)
    figure.update_layout(colorway=palette(), font_color=text, legend_font_color=text)
    axis = {"tickfont_color": text, "title_font_color": text}  # Streamlit's own grey is hard to read
    figure.update_xaxes(axis)
    figure.update_yaxes(axis)
    figure.update_traces(error_x_color=text)
    figure.update_traces(insidetextfont_color=background, selector={"type": "bar"})
    figure.update_traces(textfont_color=text, selector={"mode": "text"})
    figure.update_traces(marker={"color": text, "line_color": background}, selector={"name": "predicted"})
    st.plotly_chart(figure, key=key, alt=alt, config={"displayModeBar": False}, **options)


def palette() -> list[str]:
    """The theme's colours for what is told apart, the main one first."""
    colours: list[str] = of_theme("chartCategoricalColors")
    return colours


def of_theme(option: str) -> Any:
    """An option of the theme, light or dark as this visitor has it. Args: option: its name in Streamlit's configuration."""
    return st.get_option(f"theme.{st.context.theme.type or 'light'}.{option}")


def predictions(rows: Sequence[Prediction]) -> go.Figure:
    """Bars of the top-k, best on top. Args: rows: best first, scores in [0, 1]."""
    figure = blank(8 + 28 * len(rows))
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
    write_values(figure, places, scores, [f"{score:.1%}" for score in scores])
    figure.update_layout(margin={"t": 4, "b": 4, "r": 0}, bargap=0.25)
    figure.update_xaxes(range=[0, 1.16 if not visit().present else 1.35], visible=False, fixedrange=True)
    figure.update_yaxes(tickvals=places, ticktext=labels, automargin=True, fixedrange=True)
    return figure


def timeline(seconds: Sequence[float], duration_seconds: float) -> go.Figure:
    """Where the sampled frames lie in the clip. Args: seconds: their times; duration_seconds: the clip's length."""
    figure = blank(56)
    figure.update_layout(margin={"t": 0, "b": 22})
    mark_frames(figure, seconds, duration_seconds)
    figure.update_xaxes(ticksuffix=" s", fixedrange=True)
    figure.update_yaxes(visible=False, fixedrange=True)
    return figure


def mark_frames(figure: go.Figure, seconds: Sequence[float], duration_seconds: float, **place: Any) -> None:
    """Draw the clip as a line, and a mark on it for each sampled frame. Args: as `timeline`'s; place: the traces' axes."""
    figure.add_scatter(
        x=[0, duration_seconds], y=[0, 0], mode="lines", line={"width": 6}, opacity=0.25, hoverinfo="skip", **place
    )
    figure.add_scatter(
        x=list(seconds),
        y=[0] * len(seconds),
        mode="markers",
        marker={"symbol": "line-ns-open", "size": 16, "line": {"width": 2}},
        customdata=list(range(1, len(seconds) + 1)),
        hovertemplate="frame %{customdata} of the model: %{x:.2f} s<extra></extra>",
        **place,
    )


def waterfall(timings_ms: dict[str, float]) -> go.Figure:
    """One bar a stage, each beginning where the one before ended. Args: timings_ms: stage → ms, in order."""
    figure = blank(48 + 34 * len(timings_ms))
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


def show_cells(bars: Sequence[Bar], keys: tuple[str, str], of: str, places: Places | None = None) -> None:
    """Draw latency and memory of cells side by side.

    Args:
        keys: of the two charts, unique on the page.
        of: what all bars are of: clip, checkpoint, machine; Markdown in it is not yet escaped.
        places: as `vivit.benchmark.charts.latencies`'.
    """
    left, right = st.columns(2, vertical_alignment="bottom")  # one of the headings may take two lines
    with left:
        st.markdown(f":small[Latency, median and 5th to 95th percentile: {literal(of)}]")
        show(latencies(bars, places), keys[0], "Latency of each in milliseconds")
    with right:
        st.markdown(f":small[{memory_heading(bars)}]")
        show(memories(bars, places), keys[1], "Memory of each in MiB")


def scale() -> float:
    """How much larger a chart's text is in presenter mode."""
    return PRESENTED / 12 if visit().present else 1.0
