"""A result for people and programs: a table as text, CSV, JSON, and one HTML file with the charts. No torch is used."""

import csv
import html
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from vivit.benchmark import documentation
from vivit.benchmark.measurement import MIB, Measurement
from vivit.benchmark.results import Result, baseline_row, speedup, to_dict


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
        "batch_size": row.cell.batch_size,
        "status": row.status,
        "reason": row.reason,
        "kernel": row.kernel,
        "latency_ms": {s: getattr(latency, s) for s in statistics} | {"samples": latency.samples_ms}
        if latency
        else None,
        "clips_per_second": row.clips_per_second,
        "memory_mib": {k: getattr(memory, k) / MIB for k in ("weights", "activations", "peak")} if memory else None,
        "estimate": {"latency_ms": estimate.latency_ms, "peak_mib": estimate.peak / MIB} if estimate else None,
        "agreement": asdict(found) if found else None,
    }


def table(result: Result, baseline: str = "eager", precision: str | None = None) -> list[dict[str, Any]]:
    """Every row with everything that is known of it, as plain numbers; None where nothing is.

    Args:
        result: a sweep.
        baseline, precision: what each cell is compared with, see `results.baseline_row`.
    """
    return [_line(result, row, baseline_row(result, row.cell, baseline, precision)) for row in result.rows]


def _line(result: Result, row: Measurement, base: Measurement | None) -> dict[str, Any]:
    cell, latency, memory, estimate = row.cell, row.latency, row.memory, row.estimate
    found, share = result.agreement(row), result.matrix_share(row)
    gain = speedup(row, base) if base else None
    rounds = latency.round_medians if latency else []
    return {
        "mode": cell.mode,
        "model": cell.checkpoint,
        "attention": cell.attention,
        "precision": cell.precision,
        "batch size": cell.batch_size,
        "frames": cell.num_frames,
        "tokens": estimate.num_tokens if estimate else None,
        "compiled": cell.compiled,
        "status": row.status,
        "reason": row.reason,
        "kernel": " / ".join([row.kernel, *row.device_kernels]) if row.kernel else None,
        "median, ms": latency.median if latency else None,
        "mean, ms": latency.mean if latency else None,
        "p5, ms": latency.p5 if latency else None,
        "p95, ms": latency.p95 if latency else None,
        "IQR, ms": latency.iqr if latency else None,
        "n": len(latency.samples_ms) if latency else None,
        "warm": latency.warm if latency else None,
        "rounds, ms": " ".join(f"{ms:.4g}" for ms in rounds) or None,
        "noise": latency.noise if latency else None,
        "first call, ms": latency.first_ms if latency else None,
        "predicted, ms": estimate.latency_ms if estimate else None,
        "clips/s": row.clips_per_second,
        "TFLOP/s": row.flops_per_second / 1e12 if row.flops_per_second else None,
        "of matrix rate, %": 100 * share if share else None,
        "weights, MiB": memory.weights / MIB if memory else None,
        "activations, MiB": memory.activations / MIB if memory else None,
        "peak, MiB": memory.peak / MIB if memory else None,
        "predicted peak, MiB": estimate.peak / MIB if estimate else None,
        "allocated, MiB": memory.allocated / MIB if memory and memory.allocated else None,
        "reserved, MiB": memory.reserved / MIB if memory and memory.reserved else None,
        "resident, MiB": memory.resident / MIB if memory else None,
        "speed-up, %": gain["speedup_percent"] if gain else None,
        "memory saved, %": gain["memory_saved_percent"] if gain else None,
        "× faster": gain["times_faster"] if gain else None,
        "% less memory": gain["less_memory_percent"] if gain else None,
        "largest logit difference": found.max_logit_difference if found else None,
        "KL, nats": found.kl if found else None,
        "same top 1": found.top1 if found else None,
        "shared top 5": found.top5 if found else None,
    }


def as_csv(result: Result) -> str:
    """The table, one line a cell."""
    lines = table(result)
    file = io.StringIO()
    writer = csv.DictWriter(file, list(lines[0]) if lines else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return file.getvalue()


SHORT = {
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
    "× faster": "× faster",
    "largest logit difference": "logits differ",
    "same top 1": "top 1",
}


def as_text(result: Result) -> str:
    """The most important columns, for a terminal; below them what there is to know about rows that are not plain."""
    lines, notes = table(result), []
    cells = [[*SHORT.values(), "status"]]
    for row, line in zip(result.rows, lines, strict=True):
        noisy = row.latency is not None and bool(row.latency.noise)
        cold = row.latency is not None and not row.latency.warm
        status = row.status + ", noisy" * noisy + ", cold" * cold
        cells.append([short(line[name]) for name in SHORT] + [status])
        notes += [f"{row.cell.name}: {note}" for note in (row.reason, row.latency.noise if row.latency else "") if note]
    widths = [max(len(line[k]) for line in cells) for k in range(len(cells[0]))]
    text = [
        "  ".join(c.rjust(w) if k > 1 else c.ljust(w) for k, (c, w) in enumerate(zip(line, widths, strict=True)))
        for line in cells
    ]
    machine = result.machine
    about = f"{machine.device_name}, torch {machine.versions['torch']}, {machine.threads} threads"
    return "\n".join([f"{result.title or 'sweep'}: {about}", *(line.rstrip() for line in text), *notes])


def short(value: Any) -> str:
    """A value in few characters."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return (
        f"{value:.4g}"
        if isinstance(value, float) and abs(value) < 1e4
        else f"{value:,.0f}"
        if isinstance(value, float)
        else str(value)
    )


STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em}"
    "div.wide{overflow-x:auto}table{border-collapse:collapse;font-size:13px}"
    "td,th{padding:3px 8px;border-bottom:1px solid #ccc;text-align:right;white-space:nowrap}"
)


def as_html(result: Result) -> str:
    """One file that needs no other: charts, tables, the documentation's tables where they apply, and the raw samples."""
    from importlib.util import find_spec

    machine = result.machine
    budget = (
        "without a time budget" if result.budget_seconds is None else f"in a budget of {result.budget_seconds:.0f} s"
    )
    parts = [
        f"<h1>{html.escape(result.title or 'Sweep')}</h1>",
        f"<p>This sweep was {html.escape(result.label)}; {html.escape(machine.platform)}; "
        f"{html.escape(machine.versions_text)}; "
        f"{machine.threads} threads; revision {html.escape(result.revision)}; {budget}; "
        f"clip: {html.escape(result.clip or 'random numbers')}.</p>",
    ]
    if find_spec("plotly"):
        from vivit.benchmark import charts

        script: bool = True
        for title, figure, lines in charts.all_charts(result):
            # Where Streamlit runs it makes its own template the default, which is black outside its pages.
            figure.update_layout(template="plotly_white")
            chart = figure.to_html(full_html=False, include_plotlyjs=script, config={"displaylogo": False})
            parts += [f"<h2>{html.escape(title)}</h2>", chart, _html_table(lines)]
            script = False
    else:
        parts.append("<p>Charts are left out: plotly was not installed where this was written.</p>")
    parts += ["<h2>Everything</h2>", _html_table(table(result))]
    for title, ours, published in (
        ("inference", documentation.inference_table(result), documentation.PUBLISHED_INFERENCE),
        ("training", documentation.training_table(result), documentation.PUBLISHED_TRAINING),
    ):
        if ours:
            parts += [f"<h2>The documentation's {title} table, here</h2>", _html_table(ours)]
            parts += [f"<h3>As published, on an A100 40GB</h3>{_html_table(published)}"]
            parts += [f"<p>{html.escape(fault)}</p>" for fault in documentation.FAULTS if title in fault]
    # '<' as an escape: no text in the data can end the element
    raw = json.dumps(to_dict(result), allow_nan=False).replace("<", "\\u003c")
    parts.append(f'<script type="application/json" id="result">{raw}</script>')
    title = html.escape(result.title or "Sweep")
    viewport = "<meta name='viewport' content='width=device-width'>"
    head = f"<meta charset='utf-8'>{viewport}<title>{title}</title><style>{STYLE}</style>"
    return f"<!doctype html><html lang='en'><head>{head}</head><body>{''.join(parts)}</body></html>"


def _html_table(lines: Sequence[dict[str, Any]]) -> str:
    if not lines:
        return ""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in lines[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(short(v))}</td>" for v in line.values()) + "</tr>" for line in lines
    )
    return f"<div class='wide'><table><tr>{head}</tr>{body}</table></div>"
