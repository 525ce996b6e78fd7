"""Charts of cells, as plotly figures, for the pages and for the report; plotly is imported only when one is drawn.

What a figure wants is marked the same way in all: a bar is hatched, a point is hollow, and the words stand beside it.
"""

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

from vivit.benchmark.families import Family, Gain, cell_name, family, family_name, full_name, model_names, shared
from vivit.benchmark.measurement import MIB, Cell, Measurement
from vivit.benchmark.results import Pair
from vivit.benchmark.side_by_side import FASTER, MARGIN, NO_DIFFERENCE, SLOWER, Ratio
from vivit.benchmark.wording import agrees, memory, plain, times
from vivit.names import BACKENDS, PRECISIONS, colour

if TYPE_CHECKING:
    import plotly.graph_objects as go

PIXELS, LEAST_PIXELS = 26, 18  # of a bar and the gap below it
THICK = 12  # of one of two bars that belong together
LINE = 17  # of a line of text
AXIS = 48  # of an axis with its title
LETTER, GAP = 5.6, 14  # how wide one is in text of the usual size, and what stands before the first
NARROWEST, MOST_TEXT = 260, 0.8  # a chart without its labels on a phone; the share of it that text may take
UNKNOWN = "not known"
LONGEST = 72  # letters that a phone's width holds


@dataclass(frozen=True)
class Bar:
    """What a chart shows of one cell.

    Args:
        label: in a few words, unique in its chart.
        attention, precision: of which it has its colour.
        ms, low, high: the median, and the 5th and 95th percentile.
        weights_mib, activations_mib: of the memory; NaN where that was not found.
        words: what a bar tells when it is pointed at: how many rounds or passes, on what clip, with which checkpoint.
        caveat: why the figure says less than it seems, '' if it does not; such bars are hatched.
        mark: the same in a word or two.
        text: its label where a heading tells the rest; `label` if ''.
        predicted_ms, predicted_mib: what the cost model had said.
        kept_in: dtype → MiB of the weights; {} where that is not known.
        group: the heading that it stands under in `by_precision`; its precision if ''.
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
    mark: str = ""
    text: str = ""
    predicted_ms: float | None = None
    predicted_mib: float | None = None
    kept_in: Mapping[str, float] = field(default_factory=dict)
    group: str = ""

    @property
    def colour(self) -> str:
        return colour(self.attention, self.precision)

    @property
    def peak_mib(self) -> float:
        return self.weights_mib + self.activations_mib


# What weights are kept in → how its part of a bar is filled; the last is for sweeps that did not say.
KEPT = {"int8": "x", "float16": ".", "bfloat16": ".", "float32": "", "a dtype that was not kept": ""}


def _kept(bar: Bar) -> Mapping[str, float]:
    return bar.kept_in or {list(KEPT)[-1]: bar.weights_mib}


def memory_heading(bars: "Sequence[Bar]") -> str:
    """What a chart of `memories` shows, with what the fillings mean that are in it."""
    fillings = {"x": "crossed 8 bits", ".": "dotted 16"}
    found = dict.fromkeys(KEPT[kind] for kind in KEPT if any(kind in bar.kept_in for bar in bars))
    said = ", ".join(fillings[shape] for shape in found if shape in fillings)
    return f"Memory at the peak, weights{f' ({said})' if said else ''} + activations"


Places = list[tuple[str, str]]  # from top to bottom: a bar's label, '' for a heading, and the text beside it


def bars_of(rows: Sequence[Measurement], models: Mapping[str, str] | None = None) -> list[Bar]:
    """Of measured rows that are shown together. Args: models: as `vivit.benchmark.families.model_names` gives them."""
    models = models or {}
    return [
        Bar(
            full_name(row.cell, models),
            row.cell.attention,
            row.cell.precision,
            row.latency.median,
            row.latency.p5,
            row.latency.p95,
            row.memory.weights / MIB if row.memory else math.nan,
            row.memory.activations / MIB if row.memory else math.nan,
            f"{len(row.latency.samples_ms):,} calls of {len(row.latency.round_medians)} processes; "
            + family_name(family(row.cell)),
            "; ".join(row.caveats.values()),
            ", ".join(row.caveats),
            models.get(row.cell.checkpoint) or short_name(row.cell),
            row.estimate.latency_ms if row.estimate else None,
            row.estimate.peak / MIB if row.estimate else None,
            {kind: size / MIB for kind, size in row.memory.weights_kept_in.items()} if row.memory else {},
            cell_name(row.cell) if models.get(row.cell.checkpoint) else "",
        )
        for row in rows
        if row.latency
    ]


def by_precision(bars: Sequence[Bar]) -> Places:
    """Bars under a heading for each precision, or for what is the same in several models, in the usual order."""
    places: Places = []
    for bar in sorted(bars, key=lambda bar: (*_usual(bar.precision, bar.attention), bar.group)):
        heading = ("", f"<b>{escape(bar.group or bar.precision)}</b>")
        places += [heading] * (heading not in places)
        places.append((bar.label, escape(bar.text or bar.label)))
    return places


def latencies(bars: Sequence[Bar], places: Places | None = None) -> "go.Figure":
    """Median of each cell, a line from the 5th to the 95th percentile, and the value beyond its end.

    Args:
        places: what has a place, whether it has a bar yet or not; the bars' labels if None.
    """
    places = places or [(bar.label, escape(bar.label)) for bar in bars]
    figure = _cells(places)
    drawn = [bar for bar in bars if not math.isnan(bar.ms)]
    at = _at(drawn, places)
    spread = {
        "type": "data",
        "array": [bar.high - bar.ms for bar in drawn],
        "arrayminus": [bar.ms - bar.low for bar in drawn],
    }
    figure.add_bar(
        x=[bar.ms for bar in drawn],
        y=at,
        orientation="h",
        error_x=spread | {"thickness": 1.5, "width": 4},
        marker={"color": [bar.colour for bar in drawn], "pattern": {"shape": _hatches(drawn)}},
        hovertext=[
            f"{escape(bar.label)}: {three_digits(bar.ms)} ms, "
            f"90 % between {three_digits(bar.low)} and {three_digits(bar.high)} ms;<br>{escape(bar.words)}"
            + f"<br><b>{escape(bar.caveat)}</b>"
            * bool(bar.caveat)
            for bar in drawn
        ],
        hoverinfo="text",
    )
    _predicted(figure, at, [bar.predicted_ms for bar in drawn], "ms")
    ends = [max(bar.high, bar.predicted_ms or 0.0) for bar in drawn]
    write_values(figure, at, ends, [f"median {plain(bar.ms)} ms{_mark(bar)}" for bar in drawn])
    return figure


def memories(bars: Sequence[Bar], places: Places | None = None) -> "go.Figure":
    """Weights, paler, by what they are kept in, and activations of each cell, stacked, and their sum beyond the end.

    Args: as `latencies`'.
    """
    places = places or [(bar.label, escape(bar.label)) for bar in bars]
    figure = _cells(places)
    figure.update_layout(barmode="stack")
    unknown = [bar for bar in bars if math.isnan(bar.peak_mib)]
    bars = [bar for bar in bars if not math.isnan(bar.peak_mib)]
    at = _at(bars, places)
    parts = [(f"weights in {kind}", [_kept(bar).get(kind, 0.0) for bar in bars], shape) for kind, shape in KEPT.items()]
    parts = [part for part in parts if any(part[1])]
    for part, values, shape in [*parts, ("activations", [bar.activations_mib for bar in bars], "")]:
        figure.add_bar(
            x=values,
            y=at,
            orientation="h",
            marker={
                "color": [bar.colour for bar in bars],
                "opacity": 1.0 if part == "activations" else 0.55,
                "pattern": {"shape": shape, "size": 5, "solidity": 0.4},
            },
            hovertext=[
                f"{escape(bar.label)}: {three_digits(value)} MiB of {part};<br>{escape(bar.words)}"
                for bar, value in zip(bars, values, strict=True)
            ],
            hoverinfo="text",
        )
    _predicted(figure, at, [bar.predicted_mib for bar in bars], "MiB")
    texts = [f"{plain(bar.weights_mib)} + {plain(bar.activations_mib)} = {plain(bar.peak_mib)} MiB" for bar in bars]
    ends = [max(bar.peak_mib, bar.predicted_mib or 0.0) for bar in bars]
    at, ends, texts = at + _at(unknown, places), ends + [0.0] * len(unknown), texts + [UNKNOWN] * len(unknown)
    write_values(figure, at, ends, texts)
    return figure


def ratios(found: Sequence[Gain], *, documented: bool = False) -> "go.Figure":
    """How many times as fast each cell is as the one that it is compared with, its interval as a line.

    Args:
        found: a place each; those without a ratio say so.
        documented: write (baseline / cell - 1) × 100 of both, as the model's documentation does.
    """
    ends = [end for gain in found if gain.ratio for end in (gain.ratio.low, gain.ratio.high)]
    low, high = min([0.5, *ends]) / 1.1, max([2.0, *ends]) * 1.1
    models = model_names(row.cell.checkpoint for gain in found for row in (gain.base, gain.row))
    across = any(gain.row.cell.checkpoint != gain.base.cell.checkpoint for gain in found)
    texts = [_gain_in_words(gain, documented, models if across else {}) for gain in found]
    figure, at = _listed([gain.row.cell for gain in found], texts, low, PIXELS, {} if across else models)
    shown = {"type": "log", "range": [math.log10(low), math.log10(high)], "tickvals": steps([low, high])}
    figure.update_xaxes(shown | {"visible": True, "side": "top", "title": "times as fast", "showgrid": True})
    figure.update_layout(height=figure.layout.height + AXIS, margin_t=AXIS)
    figure.add_vrect(1 / MARGIN, MARGIN, line_width=0, fillcolor="grey", opacity=0.3, layer="below")
    for gain, place in zip(found, at, strict=True):  # how far each is from 1
        if gain.ratio:
            thin = {"width": 1, "color": "grey"}
            figure.add_shape(x0=1, x1=gain.ratio.value, y0=place, y1=place, line=thin, layer="below")
    for name, opacity in (("told", 1.0), (NO_DIFFERENCE, 0.5)):
        known = [
            (gain, gain.ratio, place)
            for gain, place in zip(found, at, strict=True)
            if gain.ratio and (gain.ratio.verdict == NO_DIFFERENCE) == (name == NO_DIFFERENCE)
        ]
        colours = [colour(gain.row.cell.attention, gain.row.cell.precision) for gain, *_ in known]
        figure.add_scatter(
            x=[ratio.value for _, ratio, _ in known],
            y=[place for *_, place in known],
            mode="markers",
            error_x={
                "type": "data",
                "array": [ratio.high - ratio.value for _, ratio, _ in known],
                "arrayminus": [ratio.value - ratio.low for _, ratio, _ in known],
                "thickness": 3,
                "width": 7,
            },
            marker={
                "size": 14,
                "color": colours,
                "symbol": [symbol(0, gain.row, gain.base) for gain, *_ in known],
                "line": {"width": 3, "color": colours},
            },
            opacity=opacity,
            hovertext=[
                f"{escape(full_name(gain.row.cell, models))} beside {escape(full_name(gain.base.cell, models))}: "
                + _speed(ratio)
                + caveats_of(gain.row, gain.base)
                for gain, ratio, _ in known
            ],
            hoverinfo="text",
            name=name,
        )
    return figure


def _gain_in_words(gain: Gain, documented: bool, models: Mapping[str, str]) -> str:
    """Args: models: where several are compared with one."""
    name, ratio, share, marks = short_name(gain.row.cell), gain.ratio, gain.memory_share, _marks(gain.row, gain.base)
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
    return _line(f"{name}: {values}", speed, marks=_marks(pair.ours, pair.theirs))


def value_of(row: Measurement, what: str) -> float:
    """A row's median in 'ms', or its peak in 'MiB'; NaN where that was not measured."""
    if what == "ms":
        return row.latency.median if row.latency else math.nan
    return row.memory.peak / MIB if row.memory else math.nan


def three_digits(value: float) -> str:
    """A number in three digits, or more where they stand before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


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


def _cells(places: Places) -> "go.Figure":
    pixels = min(PIXELS, max(LEAST_PIXELS, 400 / max(1, len(places))))  # many stay on the first screen
    figure = new_figure(16 + pixels * len(places), margin={"l": 0, "t": 4, "b": 4, "r": 0})
    figure.update_xaxes(visible=False)
    # As numbers: what has no bar yet keeps its place.
    texts = [text for _, text in places]
    figure.update_yaxes(tickvals=list(range(len(places))), ticktext=texts, range=[len(places) - 0.5, -0.5])
    return figure


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
    usual = [(found.index(of(cell)), *_usual(cell.precision, cell.attention)) for cell in cells]
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


def _usual(precision: str, attention: str) -> tuple[int, int]:
    """Sorts precisions, and backends within one, in the usual order; what another version measured comes last."""
    known, backends = list(PRECISIONS), list(BACKENDS)
    return (
        known.index(precision) if precision in known else len(known),
        backends.index(attention) if attention in backends else len(backends),
    )


def short_name(cell: Cell) -> str:
    """A cell's name where a heading tells the rest."""
    return cell.attention + cell.manner


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


def _at(bars: Sequence[Bar], places: Places) -> list[int]:
    labels = [label for label, _ in places]
    return [labels.index(bar.label) for bar in bars]


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


def _predicted(figure: "go.Figure", at: Sequence[int], values: Sequence[float | None], unit: str) -> None:
    known = [(value, place) for value, place in zip(values, at, strict=True) if value is not None]
    if not known:
        return
    # Dark with a light edge: it is seen on the bars and beside them.
    marker = {"symbol": "diamond-tall", "size": 12, "line": {"width": 1.5, "color": "white"}, "color": "#201a33"}
    figure.add_scatter(
        x=[value for value, _ in known],
        y=[place for _, place in known],
        mode="markers",
        marker=marker,
        name="predicted",
        hovertext=[f"{three_digits(value)} {unit} predicted by the cost model" for value, _ in known],
        hoverinfo="text",
    )


def _hatches(bars: Sequence[Bar]) -> list[str]:
    return ["/" if bar.caveat else "" for bar in bars]


def _mark(bar: Bar) -> str:
    return f" ({bar.mark})" if bar.mark else ""


def symbol(number: int, *rows: Measurement) -> int:
    """Plotly's symbol of that number, hollow where a figure says less than it seems."""
    return number + 100 * any(row.caveats for row in rows)


def _marks(*rows: Measurement) -> str:
    """What figures want, in brackets."""
    kinds = dict.fromkeys(kind for row in rows for kind in row.caveats)
    return f" ({', '.join(kinds)})" if kinds else ""


def caveats_of(*rows: Measurement) -> str:
    """What figures want, in sentences, for what is pointed at."""
    return "".join(f"<br><b>{escape(text)}</b>" for row in rows for text in row.caveats.values())


def steps(values: Sequence[float]) -> list[float]:
    """1, 2, 5, 10, 20, … around some values, for a log axis: plotly writes the first digit alone between powers of ten."""
    if not values:
        return []
    low, high = min(values) / 2, max(values) * 2
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)))
    return [v for v in (digit * 10.0**k for k in powers for digit in (1, 2, 5)) if low <= v <= high]
