"""A result for people and programs: a table as text, CSV, JSON, and one HTML file with the charts. No torch is used."""

import html
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from vivit.benchmark import charts, documentation, ratio_charts, scaling
from vivit.benchmark.families import (
    explain_models,
    family_name,
    gains,
    model_gains,
    models_of,
    together,
    with_model,
)
from vivit.benchmark.measurement import MIB, Measurement
from vivit.benchmark.ratios import MARGIN, NARROW, SHORT
from vivit.benchmark.results import Result, to_dict
from vivit.benchmark.tables import beside_the_first, models_table, table
from vivit.benchmark.verdict import verdict
from vivit.benchmark.wording import percent, three_digits
from vivit.csv_lines import csv_lines

if TYPE_CHECKING:
    import plotly.graph_objects as go


def as_json(result: Result, row: Measurement) -> dict[str, Any]:
    """One row as the command line prints it; what is not known is null."""
    latency, memory, estimate = row.latency, row.memory, row.estimate
    found = result.agreement(row)
    statistics = ("median", "mean", "p5", "p95", "iqr")
    return {
        "mode": row.cell.mode,
        "model": row.cell.checkpoint,
        "attention": row.cell.attention,
        "precision": row.cell.precision,
        "execution": row.cell.execution,
        "batch_size": row.cell.batch_size,
        "status": row.status,
        "reason": row.reason,
        "marks": list(row.caveats),
        "kernel": row.kernel,
        "latency_ms": {s: getattr(latency, s) for s in statistics} | {"samples": latency.samples_ms}
        if latency
        else None,
        "clips_per_second": row.clips_per_second,
        "memory_mib": {k: getattr(memory, k) / MIB for k in ("weights", "activations", "peak")} if memory else None,
        "estimate": {
            "latency_ms": estimate.latency_ms,
            "peak_mib": estimate.peak / MIB,
            "gflop": estimate.flops / 1e9,
        }
        if estimate
        else None,
        "agreement": asdict(found) if found else None,
    }


def as_csv(result: Result) -> str:
    """The table, one line a cell, and in each what it was measured on, and when."""
    versions = result.machine.versions
    share = _others_share(result)
    origin = {
        "others' share of the processors, %": None if share is None else 100 * share,
        "machine": result.machine.device_name,
        "torch": versions.get("torch"),
        "driver": versions.get("driver"),
        "date": result.created,
    }
    models = models_of(result)
    lines = []
    for row, line in zip(result.rows, table(result), strict=True):
        if len(models) > 1:
            line = {"model": line["model"], **line, **beside_the_first(result, row)}
        lines.append(line | origin)
    return csv_lines([lines[0] if lines else [], *(line.values() for line in lines)])


COLUMNS = {
    "attention": "attention",
    "precision": "precision",
    "batch size": "batch",
    "median, ms": "median ms",
    "IQR, ms": "IQR ms",
    "n": "n",
    "predicted, ms": "predicted ms",
    "clips/s": "clips/s",
    "TFLOP/s": "TFLOP/s",
    "weights, MiB": "weights MiB",
    "activations, MiB": "activations MiB",
    "times as fast": "× as fast",
    "from": "from",
    "to": "to",
    "largest logit difference": "logits differ",
    "same top 1": "top 1",
}


def as_text(result: Result) -> str:
    """The most important columns, for a terminal; below them what there is to know about rows that are not plain."""
    lines, models = table(result), models_of(result)
    several = len(models) > 1
    columns = _of_models(COLUMNS, next(iter(models.values()))) if several else COLUMNS
    notes: dict[str, list[str]] = {}
    cells = [[*columns.values(), "status"]]
    for row, line in zip(result.rows, lines, strict=True):
        flops = row.estimate.flops / 1e9 if row.estimate else None
        if several:  # what is asked is how models differ, not how backends do
            share = dict(zip(("times as fast", "from", "to"), beside_the_first(result, row).values(), strict=True))
            line = line | {"model": models[row.cell.checkpoint], "GFLOP": flops} | share
        cells.append([short(line[name]) for name in columns] + [", ".join((row.status, *row.caveats))])
        for note in filter(None, (row.reason, *row.caveats.values())):
            notes.setdefault(note, []).append(with_model(row.cell.name, row.cell, models))
    widths = [max(len(line[k]) for line in cells) for k in range(len(cells[0]))]
    text = [
        "  ".join(
            c.rjust(w) if k > 1 + several else c.ljust(w) for k, (c, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in cells
    ]
    told = [f"{'; '.join(cells)}: {note}" for note, cells in notes.items()]
    said = [*[explain_ratios()] * (not several), *filter(None, [explain_models(models)]), *_verdicts(result)]
    return "\n".join([f"{result.title or 'sweep'}: {origin(result)}", *(line.rstrip() for line in text), *told, *said])


def _of_models(columns: dict[str, str], first: str) -> dict[str, str]:
    """The columns of a sweep of several models, whose ratios are shares of the first one's time."""
    return {
        "model": "model",
        **(columns | {"times as fast": f"of {first}'s time"}),
        "frames": "frames",
        "GFLOP": "GFLOP",
    }


MARKS = (
    "Hatched bars and hollow points are figures that say less than they seem: cold, of one process only, or noisy, as the "
    "words beside them say. The line through a bar's end goes from the 5th to the 95th percentile; the diamond is what the "
    "cost model predicted. Memory comes from a call that is not timed; of a captured cell, from the one that captures, "
    "since a replay takes none."
)


def explain_ratios() -> str:
    """How ratios and their intervals come about, and when a cell is called faster, for whoever reads them."""
    return (
        f"A ratio is the median of the first {min(SHORT)} rounds' ratios of process medians, its interval from the least to "
        "the most of them, which misses the truth in at most 5 % of cases. Two copies of one model differ by up to "
        f"{percent(MARGIN - 1)}: a cell is called faster or slower only where the whole interval is further from 1 than that. "
        f"It is called as fast where the interval holds 1 and goes no further from it than {percent(NARROW)}; in all other "
        "cases no difference can be told."
    )


def origin(result: Result) -> str:
    """What a sweep was measured on, with what, when, and beside how much else."""
    machine, share = result.machine, _others_share(result)
    driver = machine.versions.get("driver", "none")
    words = [machine.device_name, f"torch {machine.versions.get('torch', 'unknown')}"]
    words += [f"driver {driver}"] * (driver != "none") + [f"{machine.threads} threads"]
    words.append(f"{result.created[:16].replace('T', ' ')} UTC")
    return ", ".join(words + ([] if share is None else [f"other programs held {percent(share)} of the processors"]))


def about(result: Result) -> str:
    """`origin` and all else that a reader may ask of a sweep as a whole."""
    machine, budget = result.machine, result.budget_seconds
    return (
        f"This sweep was recorded on {origin(result)}; {machine.platform}, python {machine.versions.get('python', 'unknown')}; "
        f"revision {result.revision}; {'without a time budget' if budget is None else f'in a budget of {budget:.0f} s'}; "
        f"clip: {result.clip or 'random numbers'}."
    )


def _others_share(result: Result) -> float | None:
    """None on a GPU, too, whose kernels do not wait for processors."""
    return None if result.machine.on_gpu else result.others_share


def rounded(value: float | None) -> float | None:
    """In three digits, or more where they stand before the point."""
    if value is None:
        return None
    return float(f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}")


def short(value: Any) -> str:
    """A value in few characters."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return three_digits(value) if isinstance(value, float) else str(value)


def charts_of(result: Result) -> "list[tuple[str, go.Figure]]":
    """(title, figure) of every chart that this result has something to show in."""
    drawn: list[tuple[str, go.Figure]] = []
    models = models_of(result)
    for of, rows in together(result).items():
        bars, name = charts.bars_of(rows, models), family_name(of)
        places = charts.by_precision(bars)
        drawn += [
            (f"Latency, {name}", charts.latencies(bars, places)),
            (f"Memory, {name}", charts.memories(bars, places)),
        ]
    if found := model_gains(result):
        drawn.append(("Models: how many times as fast", ratio_charts.ratios(found)))
    if found := gains(result):
        drawn.append(("How many times as fast", ratio_charts.ratios(found)))
    for by in scaling.SIZES:
        for title, what in (("Latency", "ms"), ("Memory", "MiB")):
            growth = scaling.scaling(result, by, what)
            drawn += [(f"{title} by {by}, {of}: {what}", figure) for of, figure in growth.items()]
    if both := scaling.tradeoff(result):
        drawn.append(("Latency and memory", both))
    return drawn


STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em}"
    "div.wide{overflow-x:auto}table{border-collapse:collapse;font-size:13px}"
    "td,th{padding:3px 8px;border-bottom:1px solid #ccc;text-align:right;white-space:nowrap}"
)


def as_html(result: Result) -> str:
    """One file that needs no other: charts, tables, the documentation's tables where they apply, and the raw samples."""
    from importlib.util import find_spec

    title = html.escape(result.title or "Sweep")
    parts = [f"<h1>{title}</h1><p>{html.escape(about(result))}</p>"]
    parts += [f"<p><b>{html.escape(said)}</b></p>" for said in _verdicts(result)]
    parts.append(f"<p>{explain_ratios()}</p>")
    if find_spec("plotly"):
        script: bool = True
        for name, figure in charts_of(result):
            # Where Streamlit runs it makes its own template the default, which is black outside its pages.
            figure.update_layout(template="plotly_white")
            chart = figure.to_html(full_html=False, include_plotlyjs=script, config={"displaylogo": False})
            parts += [f"<h2>{html.escape(name)}</h2>", chart]
            script = False
        parts.append(f"<p>{MARKS}</p>")
    else:
        parts.append("<p>Charts are left out: plotly was not installed where this was written.</p>")
    if compared := models_table(result):
        parts += ["<h2>Models</h2>", f"<p>{html.escape(explain_models(models_of(result)))}</p>", _html_table(compared)]
    parts += ["<h2>Everything</h2>", _html_table(table(result))]
    for mode, ours, published in documentation.tables(result):
        parts += [f"<h2>The documentation's {mode} table, here</h2>", _html_table(ours, _two_decimals)]
        parts += [f"<h3>As published, on an A100 40GB</h3>{_html_table(published, _two_decimals)}"]
        parts += [f"<p>{html.escape(fault)}</p>" for fault in documentation.FAULTS if mode in fault]
    if kept := documentation.weights_table(result):
        parts += ["<h2>What the weights take</h2>", f"<p>{html.escape(documentation.QUANTISATION)}</p>"]
        parts += [_html_table(kept)]
    # '<' as an escape: no text in the data can end the element
    raw = json.dumps(to_dict(result), allow_nan=False).replace("<", "\\u003c")
    parts.append(f'<script type="application/json" id="result">{raw}</script>')
    viewport = "<meta name='viewport' content='width=device-width'>"
    head = f"<meta charset='utf-8'>{viewport}<title>{title}</title><style>{STYLE}</style>"
    return f"<!doctype html><html lang='en'><head>{head}</head><body>{''.join(parts)}</body></html>"


def _verdicts(result: Result) -> list[str]:
    """Of every family, named where there are several."""
    found = together(result)
    if len(found) < 2:
        return [verdict(result)]
    return [f"{family_name(of)}: {verdict(result, of)}" for of in found]


def _two_decimals(value: Any) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else short(value)


def _html_table(lines: Sequence[dict[str, Any]], written: Callable[[Any], str] = short) -> str:
    if not lines:
        return ""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in lines[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(written(v))}</td>" for v in line.values()) + "</tr>" for line in lines
    )
    return f"<div class='wide'><table><tr>{head}</tr>{body}</table></div>"
