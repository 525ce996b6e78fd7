"""How cells compare, as plotly figures: a line of text for each, and below it its ratio or the bars of two sweeps."""

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from vivit.benchmark.families import Family, Gain, family, family_name, full_name, model_names, shared, short_name
from vivit.benchmark.figures import PIXELS, caveats_of, marks_of, new_figure, steps, symbol, usual_order, value_of
from vivit.benchmark.measurement import Cell
from vivit.benchmark.ratios import FASTER, MARGIN, NO_DIFFERENCE, SLOWER, Ratio
from vivit.benchmark.results import Pair
from vivit.benchmark.wording import UNKNOWN, agrees, memory, plain, three_digits, times
from vivit.names import colour

if TYPE_CHECKING:
    import plotly.graph_objects as go

THICK = 12  # of one of two bars that belong together
LINE = 17  # of a line of text
LONGEST = 72  # letters that a phone's width holds
AXIS = 48  # of an axis with its title


def ratios(found: Sequence[Gain], *, documented: bool = False) -> "go.Figure":
    """How many times as fast each cell is as the one that it is compared with, its interval as a line.

    Args:
        found: a place each; those without a ratio say so.
        documented: write (baseline / cell - 1) × 100 of time and memory, as the model's documentation does.
    """
    ends = [end for gain in found if gain.ratio for end in (gain.ratio.low, gain.ratio.high)]
    low, high = min([0.5, *ends]) / 1.1, max([2.0, *ends]) * 1.1
    models = model_names(row.cell.checkpoint for gain in found for row in (gain.base, gain.row))
    across = any(gain.row.cell.checkpoint != gain.base.cell.checkpoint for gain in found)
    texts = [_gain_in_words(gain, documented, models if across else {}) for gain in found]
    figure, at = _listed([gain.row.cell for gain in found], texts, low, PIXELS, {} if across else models)
    _ratio_axis(figure, low, high)
    drawn = [_Drawn(gain, gain.ratio, place) for gain, place in zip(found, at, strict=True) if gain.ratio]
    for one in drawn:  # how far each is from 1
        thin = {"width": 1, "color": "grey"}
        figure.add_shape(x0=1, x1=one.ratio.value, y0=one.place, y1=one.place, line=thin, layer="below")
    told = [one for one in drawn if one.ratio.verdict != NO_DIFFERENCE]
    _ratio_points(figure, told, models, name="told", opacity=1.0)
    untold = [one for one in drawn if one.ratio.verdict == NO_DIFFERENCE]
    _ratio_points(figure, untold, models, name=NO_DIFFERENCE, opacity=0.5)
    return figure


@dataclass(frozen=True)
class _Drawn:
    """A gain whose ratio is drawn, and where on the y axis."""

    gain: Gain
    ratio: Ratio
    place: float


def _ratio_axis(figure: "go.Figure", low: float, high: float) -> None:
    """An axis above the chart on which half and twice are equally far from 1, and the margin within which nothing is told."""
    shown = {"type": "log", "range": [math.log10(low), math.log10(high)], "tickvals": steps([low, high])}
    figure.update_xaxes(shown | {"visible": True, "side": "top", "title": "times as fast", "showgrid": True})
    figure.update_layout(height=figure.layout.height + AXIS, margin_t=AXIS)
    figure.add_vrect(1 / MARGIN, MARGIN, line_width=0, fillcolor="grey", opacity=0.3, layer="below")


def _ratio_points(
    figure: "go.Figure", drawn: Sequence[_Drawn], models: Mapping[str, str], *, name: str, opacity: float
) -> None:
    """Ratios as points with their intervals as lines. Args: models: as `vivit.benchmark.families.model_names` gives them."""
    colours = [colour(one.gain.row.cell.attention, one.gain.row.cell.precision) for one in drawn]
    figure.add_scatter(
        x=[one.ratio.value for one in drawn],
        y=[one.place for one in drawn],
        mode="markers",
        error_x={
            "type": "data",
            "array": [one.ratio.high - one.ratio.value for one in drawn],
            "arrayminus": [one.ratio.value - one.ratio.low for one in drawn],
            "thickness": 3,
            "width": 7,
        },
        marker={
            "size": 14,
            "color": colours,
            "symbol": [symbol(0, one.gain.row, one.gain.base) for one in drawn],
            "line": {"width": 3, "color": colours},
        },
        opacity=opacity,
        hovertext=[_pointed_at(one.gain, one.ratio, models) for one in drawn],
        hoverinfo="text",
        name=name,
    )


def _pointed_at(gain: Gain, ratio: Ratio, models: Mapping[str, str]) -> str:
    row, base = (escape(full_name(found.cell, models)) for found in (gain.row, gain.base))
    return f"{row} beside {base}: {_speed(ratio)}{caveats_of(gain.row, gain.base)}"


def _gain_in_words(gain: Gain, documented: bool, models: Mapping[str, str]) -> str:
    """The text of one place. Args: models: names of checkpoints, where cells of several are compared; else {}."""
    name, ratio, share, marks = short_name(gain.row.cell), gain.ratio, gain.memory_share, marks_of(gain.row, gain.base)
    same = agrees(gain.agreement)
    if models:
        name = f"{models[gain.row.cell.checkpoint]} beside {models[gain.base.cell.checkpoint]}, {name}"
    if ratio is None:
        return _line(f"{name}: no ratio, not warm in enough of the same rounds", marks=marks)
    if documented:
        saved = f"memory saved {(1 / share - 1) * 100:+.0f} %" if share else ""
        value, low, high = (f"{(end - 1) * 100:+.0f}" for end in (ratio.value, ratio.low, ratio.high))
        untold = f", {NO_DIFFERENCE}" * (ratio.verdict == NO_DIFFERENCE)
        return _line(f"{name}: speed-up {value} % ({low} to {high}){untold}", saved, same, marks=marks)
    return _line(f"{name}: {_speed(ratio)}", memory(share).removeprefix("takes ") if share else "", same, marks=marks)


def _speed(ratio: Ratio) -> str:
    """As `wording.speed`, without the other's name: '2.3 times as fast (2.2 to 2.4)'."""
    if ratio.verdict == SLOWER:
        value, interval = times(ratio.inverse)
        return f"takes {value} times as long ({interval})"
    value, interval = times(ratio)
    return f"{f'{value} times as fast' if ratio.verdict == FASTER else ratio.said} ({interval})"


def pairs(found: Sequence[Pair], what: str) -> "go.Figure":
    """Cells of two sweeps, the first's bar above the second's, which is paler; and how they compare.

    Args:
        found: cells that both measured.
        what: 'ms' or 'MiB'.
    """
    cells = [pair.ours.cell for pair in found]
    models = model_names(cell.checkpoint for cell in cells)
    figure, at = _listed(cells, [_pair_in_words(p, what) for p in found], 0.0, 2 * THICK, models)
    ends = []
    for number, rows in enumerate(([p.ours for p in found], [p.theirs for p in found])):
        values = [value_of(row, what) for row in rows]
        ends += values
        figure.add_bar(
            x=values,
            y=[place + (number - 0.5) * THICK for place in at],
            width=THICK - 1,
            orientation="h",
            marker={
                "color": [colour(row.cell.attention, row.cell.precision) for row in rows],
                "opacity": 0.5 if number else 1.0,
                "pattern": {"shape": ["/" if row.caveats and what == "ms" else "" for row in rows]},
            },
            hovertext=[
                f"{escape(row.cell.name)}: {three_digits(value)} {what}{caveats_of(row)}"
                for row, value in zip(rows, values, strict=True)
            ],
            hoverinfo="text",
            name=("first", "second")[number],
        )
    figure.update_layout(barmode="overlay")
    figure.update_xaxes(range=[0, max((end for end in ends if not math.isnan(end)), default=1.0)])
    return figure


def _pair_in_words(pair: Pair, what: str) -> str:
    ours, theirs = (
        plain(v) if not math.isnan(v := value_of(row, what)) else UNKNOWN for row in (pair.ours, pair.theirs)
    )
    values = f"{ours} and {theirs} {what}"
    name, share, ratio = short_name(pair.ours.cell), pair.memory_share, pair.ratio
    if what == "MiB":
        return _line(f"{name}: {values}", memory(share).removeprefix("takes ") if share else "")
    speed = _speed(ratio) if ratio else "no ratio, too few processes"
    return _line(f"{name}: {values}", speed, marks=marks_of(pair.ours, pair.theirs))


def _listed(
    cells: Sequence[Cell], texts: Sequence[str], left: float, pixels: int, models: Mapping[str, str]
) -> "tuple[go.Figure, list[float]]":
    """A list that fits a phone: a line of text for each cell, and below it a place as wide as the whole, under headings.

    Args:
        texts: one a cell, as HTML.
        left: where the texts begin on the x axis.
        pixels: the places' height.
        models: what headings call the checkpoints; {} where cells of all of them stand under one.

    Returns:
        The figure, and the middle of each cell's place on its y axis.
    """
    of: Callable[[Cell], Family] = family if models else shared
    found = list(dict.fromkeys(map(of, cells)))
    usual = [(found.index(of(cell)), *usual_order(cell.precision, cell.attention)) for cell in cells]
    headings: dict[str, float] = {}
    at_text, at = [0.0] * len(cells), [0.0] * len(cells)
    top = LINE / 2
    for k in sorted(range(len(cells)), key=usual.__getitem__):
        words = (family_name(family(cells[k])), cells[k].precision, models.get(cells[k].checkpoint))
        heading = ", ".join(filter(None, words))
        if heading not in headings:
            headings[heading] = top + PIXELS / 2
            top += PIXELS
        height = LINE * (1 + texts[k].count("<br>"))
        at_text[k], at[k] = top + height / 2, top + height + pixels / 2
        top += height + pixels + LINE / 2
    figure = new_figure(top + 4, margin={"l": 0, "t": 0, "b": 4, "r": 0})
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False, range=[top, 0])  # in pixels
    text: dict[str, Any] = {"mode": "text", "textposition": "middle right", "hoverinfo": "skip", "cliponaxis": False}
    figure.add_scatter(x=[left] * len(cells), y=at_text, text=list(texts), name="values", **text)
    bold = [f"<b>{escape(heading)}</b>" for heading in headings]
    figure.add_scatter(x=[left] * len(bold), y=list(headings.values()), text=bold, name="headings", **text)
    return figure, at


def _line(*parts: str, marks: str = "") -> str:
    """Text of one cell, in lines that a phone's width holds. Args: marks: in brackets, or ''."""
    said = [part for part in parts if part]
    said[-1] += marks
    name, _, first = said[0].rpartition(": ")
    begin = [said[0]] if len(said[0]) <= LONGEST or not name else [f"{name}:", first]
    lines = [line for part in begin for line in textwrap.wrap(part, LONGEST, break_on_hyphens=False)]
    for part in said[1:]:
        if len(lines[-1]) + len(part) <= LONGEST:
            lines[-1] += f", {part}"
        else:
            lines[-1] += ","
            lines.append(part)
    return "<br>".join(map(escape, lines))
