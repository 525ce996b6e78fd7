"""The charts of the page 'Look inside'."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from io import BytesIO

import numpy as np
import plotly.graph_objects as go
from PIL import Image

from ui import charts
from ui.escape import inert
from ui.inside_kept import MapChoice
from ui.visit import visit
from vivit.benchmark.figures import write_values
from vivit.explain.counterfactuals import NAMES, Answer, Counterfactuals
from vivit.explain.deletion import SHARES, Deletion
from vivit.explain.drawing import colour

ACROSS, DOWN, LEAST = 330, 260, 24  # pixels of all small maps side by side and below each other, and of one at least
APART = 0.4  # of a small map, between those of each layer and head and their means
MEAN = "mean"  # of all layers or heads, where others have a number
OTHER = 1  # which of the theme's colours another answer has


def small_maps(maps: np.ndarray, choice: MapChoice) -> go.Figure:
    """All maps in one picture, with a place to click on for each.

    Args:
        maps: (layers, heads, rows, columns), not negative.
        choice: which of them is marked.
    """
    every = np.concatenate([maps, maps.mean(1, keepdims=True)], 1)
    every = np.concatenate([every, every.mean(0, keepdims=True)])  # (layers + 1, heads + 1, …)
    layers, heads = every.shape[:2]
    tile = min(ACROSS // heads, max(LEAST, DOWN // layers))
    larger = charts.HIGHER if visit().present else 1
    figure = charts.blank(
        42 + tile * (layers + APART), width=round(46 * charts.scale() + tile * (heads + APART) * larger)
    )
    figure.update_layout(
        margin={"l": 42 * charts.scale(), "r": 4, "t": 36, "b": 6}, clickmode="event+select", dragmode=False
    )
    down, across = _places(layers), _places(heads)
    size = {"sizex": heads + APART, "sizey": layers + APART, "sizing": "stretch"}
    figure.add_layout_image(source=_picture(every), xref="x", yref="y", x=-0.5, y=-0.5, **size)
    figure.add_scatter(
        x=[*across.values()] * layers,
        y=np.repeat([*down.values()], heads).tolist(),
        customdata=[(layer, head) for layer in down for head in across],
        mode="markers",
        marker={"symbol": "square", "size": tile * larger, "opacity": 0},
        selected={"marker": {"opacity": 0}},
        unselected={"marker": {"opacity": 0}},
        hovertemplate="layer %{customdata[0]}, head %{customdata[1]}<extra></extra>",
    )
    figure.add_scatter(
        x=[across[MEAN if choice.head is None else str(choice.head)]],
        y=[down[MEAN if choice.layer is None else str(choice.layer)]],
        mode="markers",
        marker={
            "symbol": "square-open",
            "size": (tile - 2) * larger,
            "line": {"width": 3},
            "color": charts.palette()[1],
        },
        cliponaxis=False,
        hoverinfo="skip",
    )
    axis = {"showgrid": False, "zeroline": False, "fixedrange": True}
    figure.update_xaxes(
        axis, title={"text": "head", "standoff": 2}, side="top", range=[-0.5, heads - 0.5 + APART], tickangle=0
    )
    figure.update_yaxes(axis, title={"text": "layer", "standoff": 4}, range=[layers - 0.5 + APART, -0.5])
    for update, places in ((figure.update_xaxes, across), (figure.update_yaxes, down)):
        update(tickvals=[*places.values()], ticktext=[*places])
    return figure


def _places(count: int) -> dict[str, float]:
    """Where each layer or head is drawn, the mean of them in the end and a little apart. Args: count: the mean included."""
    return {str(k): float(k) for k in range(count - 1)} | {MEAN: count - 1 + APART}


def _picture(maps: np.ndarray) -> str:
    """Maps side by side, each by its own scale, as data in the page. Args: maps: (rows, columns, h, w)."""
    rows, columns = maps.shape[:2]
    side, gap = 2 * LEAST, 2  # for sharp screens
    down, across = ([round(place * side) for place in _places(count).values()] for count in (rows, columns))
    sheet = Image.new("RGBA", (across[-1] + side, down[-1] + side))
    for of_layer, y in zip(maps, down, strict=True):
        for one, x in zip(of_layer, across, strict=True):
            levels = Image.fromarray((one / (one.max() or 1)).astype(np.float32))
            smooth = levels.resize((side - 2 * gap, side - 2 * gap), Image.Resampling.BILINEAR)
            sheet.paste(Image.fromarray(colour(np.asarray(smooth))), (x + gap, y + gap))
    file = BytesIO()
    sheet.quantize(64, Image.Quantize.FASTOCTREE).save(file, "PNG")
    return f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"


def over_time(share: Sequence[float], seconds: Sequence[float], duration_seconds: float) -> go.Figure:
    """How much of a map lies in each time step, below where the sampled frames lie in the clip.

    Args:
        share: (L,) of each time step.
        seconds: (T,) when each frame is shown.
        duration_seconds: the clip's length.
    """
    steps = np.array_split(np.asarray(seconds), len(share))
    middles = [float(step.mean()) for step in steps]
    figure = charts.blank(250)
    figure.update_layout(margin={"t": 6, "b": 30, "l": 0})
    charts.mark_frames(figure, seconds, duration_seconds, yaxis="y2")
    figure.add_scatter(
        x=middles,
        y=list(share),
        mode="lines+markers",
        line={"width": 3, "color": charts.palette()[0]},
        marker={"size": 8},
        fill="tozeroy",
        customdata=[f"{step[0]:.2f} to {step[-1]:.2f} s" for step in steps],
        hovertemplate="%{customdata}: %{y:.1%}<extra></extra>",
    )
    figure.add_hline(1 / len(share), line={"color": charts.CONTROL, "dash": "dot"})
    figure.update_xaxes(ticksuffix=" s", fixedrange=True, showgrid=False)
    figure.update_yaxes(fixedrange=True, rangemode="tozero", tickformat=".0%", domain=[0, 0.8], nticks=5)
    figure.update_layout(yaxis2={"domain": [0.88, 1], "visible": False, "fixedrange": True, "range": [-1, 1]})
    return figure


def deletions(found: Deletion) -> go.Figure:
    """The answer's probability the more is deleted: of the map thick, of its controls thin, with their mean."""
    shares = [0.0, *SHARES]
    figure = charts.blank(300)
    figure.update_layout(
        showlegend=True, legend={"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0}, margin={"t": 30, "b": 44}
    )
    for number, curve in enumerate(found.controls):
        figure.add_scatter(
            x=shares,
            y=[found.whole, *curve],
            mode="lines",
            line={"width": 1, "color": charts.CONTROL},
            opacity=0.5,
            name=f"{len(found.controls)} controls",
            legendgroup="controls",
            showlegend=number == 0,
            hoverinfo="skip",
        )
    if found.controls:
        figure.add_scatter(
            x=shares,
            y=[found.whole, *found.control],
            mode="lines+markers",
            line={"width": 3, "dash": "dash", "color": charts.CONTROL},
            name="their mean",
            hovertemplate="%{x:.0%} deleted elsewhere: %{y:.1%} in the mean<extra></extra>",
        )
    figure.add_scatter(
        x=shares,
        y=[found.whole, *found.attended],
        mode="lines+markers",
        line={"width": 4, "color": charts.palette()[0]},
        marker={"size": 9},
        name="most attended",
        hovertemplate="%{x:.0%} most attended deleted: %{y:.1%}<extra></extra>",
    )
    figure.update_xaxes(
        title={"text": "share of the clip that is deleted", "standoff": 6},
        tickvals=shares,
        tickformat=".0%",
        fixedrange=True,
        showgrid=False,
    )
    figure.update_yaxes(tickformat=".0%", range=[0, 1.04], fixedrange=True, automargin=True)
    return figure


def answers(found: Counterfactuals) -> go.Figure:
    """The answers for a clip and its frames in other orders, with probabilities."""
    rows = answer_rows(found)[::-1]
    figure = charts.blank(10 + 27 * len(rows))
    places, scores = list(range(len(rows))), [answer.score for _, answer in rows]
    other = [answer.label != found.whole.label for _, answer in rows]
    figure.add_bar(
        x=scores,
        y=places,
        orientation="h",
        marker={
            "color": [charts.palette()[OTHER if changed else 0] for changed in other],
            "pattern": {
                "shape": ["/" if answer.familiar is False else "" for _, answer in rows],
                "fillmode": "replace",
            },
        },
        customdata=[(escape(name), escape(inert(answer.label, 40)), _more(answer)) for name, answer in rows],
        hovertemplate="%{customdata[0]}: %{customdata[1]}, %{x:.1%}%{customdata[2]}<extra></extra>",
    )
    texts = [f"{inert(answer.label, 24)} {answer.score:.0%}" for _, answer in rows]
    write_values(figure, places, scores, texts)
    if visit().present:  # whose larger names take more of the width, too
        figure.update_xaxes(range=[0, figure.layout.xaxis.range[1] * 1.3])
    figure.update_layout(margin={"t": 4, "b": 4, "r": 0}, bargap=0.25)
    figure.update_xaxes(visible=False, fixedrange=True)
    figure.update_yaxes(tickvals=places, ticktext=[name for name, _ in rows], automargin=True, fixedrange=True)
    return figure


def answer_rows(found: Counterfactuals) -> list[tuple[str, Answer]]:
    """What was shown → what was answered; the clip as it is first."""
    rows = [("as it is", found.whole)]
    for name, some in found.changed.items():
        rows += [(NAMES[name] + f", {k}" * (len(some) > 1), answer) for k, answer in enumerate(some, 1)]
    return rows


def _more(answer: Answer) -> str:
    unlike = "; unlike anything it was trained on" if answer.familiar is False else ""
    return f"; the clip's own answer {answer.same_score:.1%}{unlike}"
