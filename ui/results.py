"""A sweep's rows and charts, as it runs and once it is kept."""

import json
from collections.abc import Sequence

import streamlit as st

from ui.charts import show
from ui.text import capitalised, literal
from vivit.benchmark import charts, documentation, report
from vivit.benchmark.cell import Cell
from vivit.benchmark.results import Result, compare, to_dict

WIDE = (
    "attention",
    "precision",
    "batch size",
    "status",
    "median, ms",
    "IQR, ms",
    "n",
    "predicted, ms",
    "clips/s",
    "peak, MiB",
)
OWN = "each cell's own"


def show_rows(result: Result, cells: Sequence[Cell]) -> None:
    """What a sweep that still runs has of its cells, all of which have their place from the start: nothing moves."""
    lines, names = report.table(result), [cell.name for cell in cells][::-1]
    columns = {name: [line[name] for line in lines] for name in WIDE}
    height = 38 + 35 * min(len(cells), 6)
    st.dataframe(columns, hide_index=True, height=height, alt="Cells measured so far")
    for place, (title, (figure, _)) in zip(
        st.columns(2), (("Latency", charts.latency(result)), ("Memory", charts.memory(result))), strict=True
    ):
        figure.update_layout(height=130 + 22 * len(names))
        figure.update_yaxes(categoryorder="array", categoryarray=names, range=[-0.5, len(names) - 0.5])
        with place:
            show(figure, f"live-{title}", f"{title} of the cells measured so far")


def show_result(result: Result, others: list[Result]) -> None:
    """Everything there is to see of a sweep, with a table under every chart."""
    machine = result.machine
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    st.caption(
        f"{capitalised(literal(result.label))}; {machine['platform']}; {versions}; {machine['threads']} threads; "
        f"revision {result.revision}; clip: {literal(result.clip) or 'random numbers'}."
    )
    _show_notes(result)
    names = list(dict.fromkeys(r.cell.attention for r in result.rows if r.latency))
    if not names:
        st.info("Nothing was measured in this sweep.", icon=":material/hourglass_empty:")
        return
    with st.container(horizontal=True):
        # A choice of each sweep's own: kept from one to the next, the browser would show another than is used.
        usual = names.index("eager") if "eager" in names else 0
        baseline = st.selectbox("Baseline", names, usual, key=f"baseline-{result.id}", width=200)
        precisions = list(dict.fromkeys(r.cell.precision for r in result.rows if r.latency))
        of = st.selectbox("in precision", [OWN, *precisions], key=f"precision-{result.id}", width=200)
    drawn = charts.all_charts(result, baseline, None if of == OWN else of)
    for number, (title, figure, lines) in enumerate(drawn):
        st.header(title)
        show(figure, f"bench-{number}", title)
        with st.expander("As a table"):
            st.dataframe(lines, hide_index=True, alt=f"{title}, as a table")
    st.caption(
        "Speed-up and memory saved are the documentation's (baseline / cell - 1) × 100; × faster is baseline / cell, "
        "% less memory is (1 - cell / baseline) × 100. A bar is the median of n calls after a warm-up, in at least two "
        "processes per cell and in shuffled order; the line through its end goes from the 5th to the 95th percentile. "
        "Memory comes from a call that is not timed. The diamond is what the cost model predicted."
    )
    st.header("Everything that was measured")
    st.dataframe(report.table(result, baseline), hide_index=True, alt="Every cell with every figure")
    _show_documentation(result)
    _show_comparison(result, others)
    with st.container(horizontal=True):
        for label, data, suffix, mime in (
            ("CSV", lambda: report.as_csv(result), "csv", "text/csv"),
            ("JSON with raw samples", lambda: _json(result), "json", "application/json"),
            ("HTML report", lambda: report.as_html(result), "html", "text/html"),
        ):
            st.download_button(
                label, data, f"{result.id}.{suffix}", mime, on_click="ignore", icon=":material/download:"
            )


def _show_notes(result: Result) -> None:
    """Cells without a figure and why, those with one reason together; then those whose figure is not to be trusted."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for row in result.rows:
        if row.status != "ok":
            reasons.setdefault((row.status, row.reason), []).append(row.cell.name)
    noisy = [row for row in result.rows if row.latency and row.latency.noise]
    missing = sum(map(len, reasons.values()))
    if not (missing or noisy):
        return
    counts = [f"{n} {what}" for n, what in ((missing, "not measured"), (len(noisy), "noisy")) if n]
    with st.expander(f"Of {len(result.rows)} cells: {', '.join(counts)}", icon=":material/info:"):
        for (status, reason), names in reasons.items():
            st.markdown(f"- **{status}**: {literal(reason)}")
            st.caption("; ".join(names))
        for row in noisy:
            st.markdown(f"- **noisy**: {row.latency.noise if row.latency else ''}")
            st.caption(row.cell.name)


def _json(result: Result) -> str:
    return json.dumps(to_dict(result), indent=1)


def _show_documentation(result: Result) -> None:
    """The tables of the model's documentation, where this sweep has their cells, beside the published ones."""
    for mode, ours, published in (
        ("inference", documentation.inference_table(result), documentation.PUBLISHED_INFERENCE),
        ("training", documentation.training_table(result), documentation.PUBLISHED_TRAINING),
    ):
        if ours:
            st.header(f"The documentation's {mode} table, on this sweep's machine")
            checkpoints = ", ".join(dict.fromkeys(r.cell.checkpoint for r in result.rows))
            st.markdown(f"Measured on {result.machine['device_name']} with {literal(checkpoints)}:")
            st.dataframe(ours, hide_index=True, alt=f"The {mode} table, measured here")
            st.markdown("As published, on an A100 40GB with PyTorch 2.3 and ViViT-B/16x2:")
            st.dataframe(published, hide_index=True, alt=f"The {mode} table, as published")
            for fault in documentation.FAULTS:
                if mode in fault.partition(" table")[0]:
                    st.caption(f":material/report: {fault}")


def _show_comparison(result: Result, others: list[Result]) -> None:
    """Another sweep's figures for the cells that both measured."""
    known = {f"{r.title}, {r.label}": r for r in others if r.id != result.id}
    chosen = st.selectbox("Compare with another sweep", list(known), index=None, key="other-sweep", placeholder="None")
    if chosen:
        rows = [
            {
                "cell": pair["cell"].name,
                "this, ms": pair["latency_ms"][0],
                "the other, ms": pair["latency_ms"][1],
                "× faster than the other": pair["times_faster"],
            }
            for pair in compare(result, known[chosen])
        ]
        if rows:
            st.dataframe(rows, hide_index=True, alt="Cells measured in both sweeps")
        else:
            st.caption("The two sweeps have no cell in common.")
