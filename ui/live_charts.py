"""The chart of the page 'Live': what happened in the last minute."""

from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go

from engine.live import REMEMBERED_SECONDS
from ui import charts
from ui.escape import inert
from vivit.timeline import UNKNOWN, Segment

TINT = 0.3  # of a segment's colour within its edges
TICKS = 4


def minute(segments: Sequence[Segment], now: float, labels: Sequence[str], *, ended: bool = False) -> go.Figure:
    """Segments side by side, the newest on the right.

    Args:
        segments: in seconds, ascending.
        now: when the newest picture was taken, in the same seconds.
        labels: the names of the classes.
        ended: whether the camera is off, so that its newest picture is not of now.
    """
    figure = charts.blank(96)
    names = [_name(segment, labels) for segment in segments]
    palette = charts.palette()
    colours = [charts.CONTROL if s.label is None else palette[s.label % len(palette)] for s in segments]
    ink = charts.of_theme("textColor")  # read on every tint of both schemes
    figure.add_bar(
        y=[0] * len(segments),
        x=[segment.end - segment.start for segment in segments],
        base=[segment.start - now for segment in segments],
        orientation="h",
        width=1,
        marker={
            "color": [f"rgba{(*bytes.fromhex(colour[1:]), TINT)}" for colour in colours],
            "line": {"width": 2, "color": colours},
        },
        text=[f'<span style="color: {ink}">{escape(name)}</span>' for name in names],
        textposition="inside",
        insidetextanchor="middle",
        textangle=0,
        customdata=[
            (
                escape(name),
                f"{now - s.start:.0f} to {max(0.0, now - s.end):.0f} s {'before it went off' if ended else 'ago'}",
                _score(s),
            )
            for name, s in zip(names, segments, strict=True)
        ],
        hovertemplate="%{customdata[0]}%{customdata[2]}, %{customdata[1]}<extra></extra>",
    )
    step = REMEMBERED_SECONDS / TICKS
    ticks = [-step * k for k in range(TICKS, -1, -1)]
    figure.update_xaxes(
        range=[-REMEMBERED_SECONDS, 0],
        tickvals=ticks,
        ticktext=[
            f"{-tick:g} s {'before' if ended else 'ago'}" if tick else "off" if ended else "now" for tick in ticks
        ],
        fixedrange=True,
        showgrid=False,
        zeroline=False,
    )
    figure.update_yaxes(visible=False, fixedrange=True, range=[-0.5, 0.5])
    figure.update_layout(
        margin={"l": 26, "r": 26, "t": 4, "b": 26}, bargap=0, uniformtext={"mode": "hide", "minsize": 10}
    )
    return figure


def in_words(segments: Sequence[Segment], now: float, labels: Sequence[str]) -> str:
    """Segments to be read out, the newest first. Args: as `minute`'s."""
    said = [f"{_name(s, labels)}{_score(s)}, from {now - s.start:.0f} s ago" for s in reversed(segments)]
    return "; ".join(said)


def _name(segment: Segment, labels: Sequence[str]) -> str:
    return UNKNOWN if segment.label is None else inert(labels[segment.label], 40)


def _score(segment: Segment) -> str:
    return "" if segment.score is None else f" {segment.score:.0%}"
