"""Charts of cells, as plotly figures, for the pages and for the report; plotly is imported only when one is drawn."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

from vivit.benchmark.families import cell_name, family, family_name, full_name, short_name
from vivit.benchmark.figures import PIXELS, new_figure, usual_order, write_values
from vivit.benchmark.measurement import MIB, Measurement
from vivit.benchmark.wording import UNKNOWN, plain, three_digits
from vivit.names import colour

if TYPE_CHECKING:
    import plotly.graph_objects as go

LEAST_PIXELS = 18  # of a bar and the gap below it, where there are many cells


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
    for bar in sorted(bars, key=lambda bar: (*usual_order(bar.precision, bar.attention), bar.group)):
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


def _cells(places: Places) -> "go.Figure":
    pixels = min(PIXELS, max(LEAST_PIXELS, 400 / max(1, len(places))))  # many stay on the first screen
    figure = new_figure(16 + pixels * len(places), margin={"l": 0, "t": 4, "b": 4, "r": 0})
    figure.update_xaxes(visible=False)
    # As numbers: what has no bar yet keeps its place.
    texts = [text for _, text in places]
    figure.update_yaxes(tickvals=list(range(len(places))), ticktext=texts, range=[len(places) - 0.5, -0.5])
    return figure


def _at(bars: Sequence[Bar], places: Places) -> list[int]:
    labels = [label for label, _ in places]
    return [labels.index(bar.label) for bar in bars]


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
