"""The charts of an evaluation: shares with their intervals, what is taken for what, and how sure a model may be."""

from collections import Counter
from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go
import streamlit as st

from ui import charts
from ui.escape import inert, literal
from vivit.benchmark.wording import UNKNOWN
from vivit.evaluate.calibration import Calibration
from vivit.evaluate.kept import Times
from vivit.evaluate.report import share_text
from vivit.evaluate.summary import Share, Summary
from vivit.names import colour

MOST_CLASSES = 40  # of the matrix, those with most mistakes
ROW, AXIS = 26, 26  # pixels of a share, and of the axis below
SQUARE, LABELS = 15, 130  # pixels of a class in the matrix, and of its names
FEW = 10  # clips, of fewer than which no percentage is told
FAINTEST = 0.35  # opacity of the rarest clips of a class


def shares(rows: Sequence[tuple[str, Share, str]], *, zoom: bool = False) -> go.Figure:
    """Shares as dots with their intervals.

    Args:
        rows: (name, share, colour as CSS or '' for the usual one), from top to bottom.
        zoom: whether the axis holds no more than the intervals; else it is the whole.
    """
    figure = charts.blank(len(rows) * ROW + AXIS)
    figure.update_layout(margin={"t": 0, "b": AXIS})
    places = [*range(len(rows))][::-1]
    known = [
        (name, share, tint, place)
        for (name, share, tint), place in zip(rows, places, strict=True)
        if share.value is not None
    ]
    figure.add_scatter(
        x=[share.value for _, share, *_ in known],
        y=[place for *_, place in known],
        mode="markers",
        marker={
            "size": 9,
            "color": [tint or charts.palette()[0] for *_, tint, _ in known],
            "line": {"width": 1, "color": charts.CONTROL},
        },
        error_x={
            "type": "data",
            "array": [share.high - (share.value or 0.0) for _, share, *_ in known],
            "arrayminus": [(share.value or 0.0) - share.low for _, share, *_ in known],
            "thickness": 1.5,
            "width": 4,
        },
        customdata=[f"{escape(inert(name, 60))}: {share_text(share)}" for name, share, *_ in known],
        hovertemplate="%{customdata}<extra></extra>",
    )
    ends = [end for _, share, *_ in known for end in (share.low, share.high)] if zoom else [0.0, 1.0]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    room = 0.02 * (high - low)
    figure.update_xaxes(range=[low - room, high + room], tickformat=".0%", nticks=8, zeroline=False, fixedrange=True)
    figure.update_yaxes(
        tickvals=places,
        ticktext=[escape(inert(name, 46)) for name, *_ in rows],
        range=[-0.6, len(rows) - 0.4],
        automargin=True,
        fixedrange=True,
        showgrid=False,
    )
    return figure


def portion(share: float, clips: int) -> str:
    """'66.7%', of few clips '2 of 3'."""
    return f"{share:.1%}" if clips >= FEW else f"{round(share * clips)} of {clips}"


def show_share(label: str, share: Share, clips: int, how: str, *, chosen: bool = False) -> None:
    """A share as a figure, never without its interval.

    Args:
        clips: how many the share is of.
        how: what the share is, as Markdown.
        chosen: whether the clips were chosen by how they are answered, so that an interval would tell nothing.
    """
    known = share.value is not None
    interval = "chosen clips" if chosen else f"{100 * share.low:.1f} to {100 * share.high:.1f} %"
    st.metric(
        literal(label),
        UNKNOWN if share.value is None else portion(share.value, clips),
        interval if known else None,
        "off",
        help=how,
        delta_arrow="off",
    )


def with_clips(name: str, clips: int) -> str:
    """A row's name with how many clips its share is of."""
    return f"{name}, {clips:,} clip{'s' * (clips != 1)}"


def cell_colour(attention: str, precision: str) -> str:
    """A cell's colour, as in the other charts."""
    return colour(attention, precision)


def matrix_classes(summary: Summary) -> list[int]:
    """The classes of the matrix, those with most mistakes first: all that there are clips or answers of, up to a bound."""
    mistakes: Counter[int] = Counter()
    for target, answer, clips in summary.confusion:
        mistakes[target] += clips * (target != answer)
        mistakes[answer] += clips * (target != answer)
    return [index for index, _ in mistakes.most_common(MOST_CLASSES)]


def confusion(
    summary: Summary, classes: Sequence[int], labels: dict[int, str], chosen: tuple[int, int] | None
) -> go.Figure:
    """A square for every class and answer that there are clips of; a heat map would give no points back.

    Args:
        summary: says which.
        classes: that are shown, from top to bottom and from left to right.
        labels: class index → name.
        chosen: (class, answer) of the square that is marked.
    """
    at = {index: place for place, index in enumerate(classes)}
    short = [escape(inert(labels[index], 20)) for index in classes]
    names = [name if short.count(name) == 1 else f"{name} ({k})" for name, k in zip(short, classes, strict=True)]
    height = len(classes) * SQUARE + LABELS
    figure = charts.blank(height, clickmode="event+select", dragmode=False)
    of_class = {one.target: one.clips for one in summary.per_class}
    squares = [square for square in summary.confusion if square[0] in at and square[1] in at]
    for right, tint in ((True, charts.palette()[0]), (False, charts.palette()[1])):
        some = [square for square in squares if (square[0] == square[1]) == right]
        marked = [square[:2] == chosen for square in some]
        figure.add_scatter(
            x=[names[at[answer]] for _, answer, _ in some],
            y=[-at[target] for target, *_ in some],
            mode="markers",
            marker={
                "symbol": "square",
                "size": SQUARE - 3,
                "color": tint,
                "opacity": [FAINTEST + (1 - FAINTEST) * clips / of_class[target] for target, _, clips in some],
                "line": {"width": [3 if mark else 0 for mark in marked], "color": charts.CONTROL},
            },
            customdata=[
                [target, answer, escape(_square(labels[target], labels[answer], clips, of_class[target]))]
                for target, answer, clips in some
            ],
            hovertemplate="%{customdata[2]}<extra></extra>",
            selected={"marker": {"opacity": 1}},
            unselected={"marker": {"opacity": 0.6}},
        )
    # As categories: of these plotly leaves out the names that have no room.
    figure.update_xaxes(
        type="category", categoryarray=names, range=[-0.7, len(classes) - 0.3], side="top", tickangle=-60
    )
    figure.update_xaxes(categoryorder="array", title="answered")
    figure.update_yaxes(tickvals=[-place for place in range(len(classes))], ticktext=names, title="shown")
    figure.update_yaxes(range=[-len(classes) + 0.3, 0.7])
    for axis in (figure.update_xaxes, figure.update_yaxes):
        axis(fixedrange=True, zeroline=False, automargin=True, tickfont_size=11, griddash="dot")
    return figure


def _square(label: str, answer: str, clips: int, of: int) -> str:
    if label == answer:
        return f"{inert(label, 40)}: {clips:,} of {of:,} right"
    return f"{inert(label, 40)}, taken for {inert(answer, 40)}: {clips:,} of {of:,}"


def reliability(found: Calibration) -> go.Figure:
    """How often answers of a bin are right beside how sure they are, with intervals; and how many there are, below."""
    bins = [one for one in found.bins if one.clips]
    figure = charts.blank(360)
    figure.update_layout(margin={"t": 4, "b": 44})
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"dash": "dot", "color": charts.CONTROL}, hoverinfo="skip"
    )
    figure.add_scatter(
        x=[one.confidence for one in bins],
        y=[one.accuracy for one in bins],
        mode="markers",
        marker={"size": 9, "color": charts.palette()[0]},
        error_y={
            "type": "data",
            "array": [one.interval[1] - (one.accuracy or 0.0) for one in bins],
            "arrayminus": [(one.accuracy or 0.0) - one.interval[0] for one in bins],
            "thickness": 1.5,
            "width": 4,
        },
        customdata=[
            f"{one.clips:,} clips, {one.confidence:.1%} sure in the mean: {portion(one.accuracy or 0.0, one.clips)} right "
            f"({one.interval[0]:.1%} to {one.interval[1]:.1%})"
            for one in bins
        ],
        hovertemplate="%{customdata}<extra></extra>",
    )
    figure.add_bar(
        x=[(one.low + one.high) / 2 for one in bins],
        y=[one.clips for one in bins],
        width=0.9 / len(found.bins),
        yaxis="y2",
        marker={"color": charts.CONTROL},
        hovertemplate="%{y:,} clips<extra></extra>",
    )
    figure.update_layout(
        yaxis={"domain": [0.3, 1], "range": [-0.02, 1.04], "tickformat": ".0%", "title": "right", "fixedrange": True},
        yaxis2={"domain": [0, 0.2], "title": "clips", "fixedrange": True, "rangemode": "tozero", "nticks": 3},
    )
    figure.update_xaxes(range=[-0.02, 1.02], tickformat=".0%", title="how sure", fixedrange=True, anchor="y2")
    return figure


def times(spent: Times) -> go.Figure:
    """Where the wall time went, as parts of one bar."""
    parts = {
        "models": spent.model,
        "waiting for clips": spent.clips,
        "waiting for others": spent.others,
        "loading and moving": spent.rest,
    }
    figure = charts.blank(44 + AXIS, barmode="stack")
    figure.update_layout(margin={"t": 0, "b": AXIS})
    for (name, seconds), tint in zip(parts.items(), charts.palette(), strict=False):
        share = seconds / spent.total if spent.total else 0.0
        figure.add_bar(
            x=[seconds],
            y=[""],
            orientation="h",
            name=name,
            marker={"color": tint},
            text=[f"{name} {share:.0%}" if share > 0.12 else ""],
            textposition="inside",
            insidetextanchor="middle",
            hovertemplate=f"{name}: {seconds:,.1f} s, {share:.1%}<extra></extra>",
        )
    figure.update_xaxes(ticksuffix=" s", fixedrange=True)
    figure.update_yaxes(visible=False, fixedrange=True)
    return figure
