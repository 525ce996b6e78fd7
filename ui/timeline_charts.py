"""The chart of a timeline: what a film shows where that is known, what it is answered, and how probable that is."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from ui import charts
from ui.escape import inert
from ui.timeline_kept import Found, Shown, Timeline
from vivit.film import clock
from vivit.timeline import UNKNOWN, Segment
from vivit.timeline.segments import Moments

# Text of the background's colour can be read on each. Labels that are not among those of most seconds are grey.
COLOURS = {
    "light": [
        "#5b3fd6",
        "#ad4f05",
        "#0f766e",
        "#b0286b",
        "#5f6b13",
        "#1d64c0",
        "#a02a2a",
        "#2b7a35",
        "#7c4a2c",
        "#00607a",
    ],
    "dark": [
        "#a48bff",
        "#f2a365",
        "#4cc9b8",
        "#ee7fae",
        "#b9c95a",
        "#7fb0ff",
        "#ff8f85",
        "#86cf8a",
        "#cfa887",
        "#67c6dd",
    ],
}
GREY = {"light": "#6b6675", "dark": "#a39eb0"}
NAME, BETWEEN = 17, 7  # pixels of a row's name above it, and below a row
ROWS = {"shown": 22, "answered": 52, "probable": 84}  # pixels
WORDS = {"shown": "What it shows", "answered": "What the model says", "probable": "How probable that is"}
AXIS, SIDE = 24, 14  # pixels of the times below, and for half a time beside
MOST_POINTS = 2000  # of the curve
ROOM = 0.13  # of the film that a segment takes whose name is written beside a pattern
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400)  # seconds between ticks
MOST_TICKS = 10


def keep_colours(timeline: Timeline, segments: Sequence[Segment], labels: Mapping[int, str]) -> None:
    """Give a colour to the labels that take most of a film; a label keeps its colour as long as it is among these.

    Args:
        segments: so far.
        labels: class index → name.
    """
    seconds = {piece.label: float("inf") for piece in timeline.film.truth}
    for segment in segments:
        if segment.label is not None:
            name = labels[segment.label]
            seconds[name] = seconds.get(name, 0.0) + segment.end - segment.start
    number = len(COLOURS["light"])
    most = set(sorted(seconds, key=lambda name: -seconds[name])[:number])
    kept = {name: place for name, place in timeline.colours.items() if name in most}
    free = iter(sorted({*range(number)} - {*kept.values()}))
    timeline.colours = kept | {name: next(free) for name in seconds if name in most and name not in kept}


def timeline_chart(timeline: Timeline, found: Found, labels: Mapping[int, str], chosen: int | None) -> go.Figure:
    """The chart, as far as there is something to draw.

    Args:
        found: so far.
        labels: class index → name.
        chosen: the place of the segment that is marked.
    """
    truth = timeline.film.truth
    rows = {name: height for name, height in ROWS.items() if name != "shown" or truth}
    height = sum(rows.values()) + len(rows) * NAME + (len(rows) - 1) * BETWEEN
    end = _end(timeline, found.segments)
    figure = charts.blank(height + AXIS, clickmode="event+select", dragmode=False, barmode="overlay")
    figure.update_layout(
        margin={"l": SIDE, "r": 3 * SIDE, "t": 0, "b": AXIS}, uniformtext={"minsize": 10, "mode": "hide"}
    )
    top = float(height)
    for place, (name, tall) in enumerate(rows.items(), 1):
        axis = f"y{place if place > 1 else ''}"
        domain = [(top - NAME - tall) / height, (top - NAME) / height]
        _set_axis(figure, axis, domain=domain, fixedrange=True)
        _name_row(figure, WORDS[name], domain[1])
        if name == "shown":
            _add_truth(figure, timeline, truth, axis)
        elif name == "answered":
            _add_segments(figure, timeline, found.segments, labels, end, axis)
        else:
            _add_curve(figure, found, labels, axis)
            figure.update_layout(xaxis_anchor=axis)
        top -= NAME + tall + BETWEEN
    if chosen is not None:
        _mark(figure, found.segments[chosen])
    _set_time(figure, end)
    return figure


def _name_row(figure: go.Figure, text: str, bottom: float) -> None:
    """Write what a row shows above it. Args: bottom: of the text, a share of the figure's height."""
    figure.add_annotation(
        text=text,
        x=0,
        y=bottom,
        xref="paper",
        yref="paper",
        xanchor="left",
        yanchor="bottom",
        showarrow=False,
    )


def _set_axis(figure: go.Figure, axis: str, **options: Any) -> None:
    """Args: axis: as a trace names it, 'y' or 'y2'; options: as plotly's."""
    figure.update_layout({axis.replace("y", "yaxis"): options})


def _set_time(figure: go.Figure, end: float) -> None:
    """Let time run from 0 to `end` seconds, with as many ticks as can be read."""
    every = next((step for step in STEPS if end / step <= MOST_TICKS), STEPS[-1])
    ticks = np.arange(0, end + 1e-6, every).tolist()
    figure.update_xaxes(
        range=[0, end],
        fixedrange=True,
        showgrid=False,
        zeroline=False,
        tickvals=ticks,
        ticktext=[clock(tick).removesuffix(".0") for tick in ticks],
    )


def _end(timeline: Timeline, segments: Sequence[Segment]) -> float:
    """Seconds of the axis: what the film promises, or what it was once it is done."""
    running = timeline.running
    ended = running.state == "done"
    promised = 0.0 if ended else timeline.info.promised_seconds
    return max(promised, running.end_seconds, segments[-1].end if segments else 0.0, 1.0)


def segment_colour(timeline: Timeline, segment: Segment, labels: Mapping[int, str]) -> str:
    """A segment's colour as CSS, in which its name can be read too. Args: labels: class index → name."""
    return _colour(timeline, segment.name(labels))


def _colour(timeline: Timeline, label: str) -> str:
    scheme = st.context.theme.type or "light"
    place = timeline.colours.get(label)
    return GREY[scheme] if place is None else COLOURS[scheme][place]


def _add_bars(
    figure: go.Figure,
    pieces: Sequence[tuple[float, float]],
    axis: str,
    texts: Sequence[str],
    hover: Sequence[str],
    marker: dict[str, Any],
) -> None:
    """Stretches of time side by side. Args: pieces: start and end of each; texts: on them, as HTML; hover: what each is."""
    figure.add_bar(
        x=[end - start for start, end in pieces],
        base=[start for start, _ in pieces],
        y=[0] * len(pieces),
        width=1,
        orientation="h",
        yaxis=axis,
        text=texts,
        textposition="inside",
        insidetextanchor="middle",
        textangle=0,
        customdata=[((start + end) / 2, escape(said)) for (start, end), said in zip(pieces, hover, strict=True)],
        hovertemplate="%{customdata[1]}<extra></extra>",
        selected={"marker": {"opacity": 1}},
        unselected={"marker": {"opacity": 1}},
        marker=marker,
    )


def _add_truth(figure: go.Figure, timeline: Timeline, truth: Sequence[Shown], axis: str) -> None:
    _add_bars(
        figure,
        [(piece.start, piece.end) for piece in truth],
        axis,
        [escape(inert(piece.label, 24)) for piece in truth],
        [f"{_between(piece.start, piece.end)}: {piece.label}" for piece in truth],
        {"color": [_colour(timeline, piece.label) for piece in truth]},
    )
    _hide(figure, axis)


def _add_segments(
    figure: go.Figure, timeline: Timeline, segments: Sequence[Segment], labels: Mapping[int, str], end: float, axis: str
) -> None:
    known = [segment for segment in segments if segment.label is not None]
    unknown = [segment for segment in segments if segment.label is None]
    _add_bars(
        figure,
        [(segment.start, segment.end) for segment in known],
        axis,
        [escape(inert(segment.name(labels), 24)).replace(" ", "<br>") for segment in known],
        [in_words(segment, labels) for segment in known],
        {"color": [segment_colour(timeline, segment, labels) for segment in known]},
    )
    _add_bars(
        figure,
        [(segment.start, segment.end) for segment in unknown],
        axis,
        [""] * len(unknown),
        [in_words(segment, labels) for segment in unknown],
        {
            "color": charts.CONTROL,
            "pattern": {"shape": "/", "fillmode": "replace", "size": 7, "solidity": 0.15},
            "line": {"width": 0},
        },
    )
    wide = [segment for segment in unknown if segment.end - segment.start >= ROOM * end]
    figure.add_scatter(  # the bars' own would have the background's colour
        x=[(segment.start + segment.end) / 2 for segment in wide],
        y=[0] * len(wide),
        yaxis=axis,
        mode="text",
        text=[UNKNOWN] * len(wide),
        hoverinfo="skip",
    )
    _hide(figure, axis)


def _hide(figure: go.Figure, axis: str) -> None:
    _set_axis(figure, axis, visible=False, range=[-0.5, 0.5])


def _add_curve(figure: go.Figure, found: Found, labels: Mapping[int, str], axis: str) -> None:
    """The probability of each segment's label at each moment, without a line where it is unknown."""
    _set_axis(figure, axis, range=[0, 1.04], tickvals=[0, 0.5, 1], tickformat=".0%", side="right", zeroline=False)
    if found.moments is None:
        return
    edges, scores, names = _curve(found.moments, found.segments, labels)
    figure.add_scatter(
        x=edges,
        y=[*scores, scores[-1]],
        yaxis=axis,
        mode="lines",
        line={"width": 2.5, "shape": "hv", "color": charts.palette()[0]},
        customdata=[*names, names[-1]],
        hovertemplate="%{customdata}: %{y:.1%}<extra></extra>",
    )


def _curve(
    moments: Moments, segments: Sequence[Segment], labels: Mapping[int, str]
) -> tuple[list[float], list[float | None], list[str]]:
    """(m + 1,) edges, (m,) probabilities, None where it is unknown, and (m,) when and what; of long films means of several."""
    edges = moments.edges
    middle = (edges[1:] + edges[:-1]) / 2
    ends = [segment.end for segment in segments]
    places = np.minimum(np.searchsorted(ends, middle, "right"), len(segments) - 1)
    label = np.array([-1 if segment.label is None else segment.label for segment in segments])[places]
    score = np.where(label < 0, np.nan, moments.scores[np.arange(len(middle)), label])
    # Moments between which a segment has its edge are not put together.
    several = -(-len(middle) // MOST_POINTS)
    first = np.unique([*range(0, len(middle), several), *np.flatnonzero(np.diff(places)) + 1])
    lengths = np.diff(edges)
    mean = np.add.reduceat(score * lengths, first) / np.add.reduceat(lengths, first)
    last = [*first[1:], len(middle)]
    names = [
        f"{_between(edges[a], edges[b])}, {escape(inert(segments[places[a]].name(labels), 40))}"
        for a, b in zip(first, last, strict=True)
    ]
    return edges[[*first, len(middle)]].tolist(), [None if np.isnan(one) else float(one) for one in mean], names


def _mark(figure: go.Figure, segment: Segment) -> None:
    figure.add_shape(
        type="rect",
        xref="x",
        yref="paper",
        x0=segment.start,
        x1=segment.end,
        y0=-0.01,
        y1=1,
        line={"color": charts.of_theme("textColor"), "width": 2},
        layer="above",
    )


def in_words(segment: Segment, labels: Mapping[int, str]) -> str:
    """'0:05.8 to 0:12.5: cartwheeling, 95 %'. Args: labels: class index → name."""
    score = "" if segment.score is None else f", {segment.score:.0%}"
    return f"{_between(segment.start, segment.end)}: {inert(segment.name(labels), 40)}{score}"


def _between(start: float, end: float) -> str:
    return f"{clock(start)} to {clock(end)}"
