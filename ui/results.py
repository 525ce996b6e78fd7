"""A sweep's rows and charts, as it runs and once it is kept."""

import json
from collections.abc import Sequence

import streamlit as st

from ui.charts import show
from ui.escape import capitalised, literal
from vivit.benchmark import charts, documentation, report
from vivit.benchmark.measurement import Cell, Measurement
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
KINDS = ("not measured", "cold", "of one process only", "noisy", "with a remark")
CAVEATS = {
    "cold": "The figure is the first call of a process, without a warm-up, so it holds what happens only once. "
    "Measure it with more time, or 'full'.",
    "of one process only": "All its calls ran in one process, so nothing tells whether the machine changed meanwhile. "
    "Measure it with more time, or 'full'.",
}


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
    st.caption(
        f"{capitalised(literal(result.label))}; {machine.platform}; {machine.versions_text}; {machine.threads} threads; "
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
    precision = None if of == OWN else of
    drawn = charts.all_charts(result, baseline, precision)
    for number, (title, figure, lines) in enumerate(drawn):
        st.header(title)
        show(figure, f"bench-{number}", title)
        with st.expander("As a table"):
            st.dataframe(lines, hide_index=True, alt=f"{title}, as a table")
        if number == 0:
            _show_agreement(result)
    st.caption(
        "Speed-up and memory saved are the documentation's (baseline / cell - 1) × 100; × faster is baseline / cell, "
        f"% less memory is (1 - cell / baseline) × 100. {_explain_bars(result)} The line through its end goes from the "
        "5th to the 95th percentile. Memory comes from a call that is not timed. The diamond is what the cost model "
        "predicted."
    )
    st.header("Everything that was measured")
    st.dataframe(report.table(result, baseline, precision), hide_index=True, alt="Every cell with every figure")
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


def _show_agreement(result: Result) -> None:
    """How near each cell's answer to the clip is to that of eager float32."""
    found = [(row.cell.name, result.agreement(row)) for row in result.rows]
    lines = [
        {
            "cell": name,
            "same top 1": agreement.top1,
            "shared top 5": agreement.top5,
            "largest logit difference": agreement.max_logit_difference,
            "KL divergence, nats": agreement.kl,
        }
        for name, agreement in found
        if agreement
    ]
    if lines:
        st.header("Do the answers agree?")
        formats = {"shared top 5": "percent"} | dict.fromkeys(list(lines[0])[3:], "scientific")
        columns = {name: st.column_config.NumberColumn(format=text) for name, text in formats.items()}
        st.dataframe(lines, hide_index=True, column_config=columns, alt="Agreement of each cell with eager float32")
        st.caption("Each cell's answer beside that of eager attention in float32 on the same clip.")


def _explain_bars(result: Result) -> str:
    """What a bar of the latency chart is, which is not the same in a sweep that had little time."""
    caveats = [row.latency.caveat for row in result.rows if row.latency]
    if not any(caveats):
        return (
            "A bar is the median of n calls after a warm-up, in at least two processes per cell and in shuffled order."
        )
    return (
        "A bar is the median of n calls, in shuffled order; after a warm-up and in at least two processes for "
        f"{caveats.count('')} of {len(caveats)} cells. The notes at the top name the others; their bars are hatched."
    )


def _show_notes(result: Result) -> None:
    """Cells without a figure and why; then those whose figure says less than it seems. Those of one kind together."""
    notes = [(note, row.cell.name) for row in result.rows for note in _notes(row)]
    kinds = {kind: sum(note[0] == kind for note, _ in notes) for kind in KINDS}
    counts = [f"{n} {kind}" for kind, n in kinds.items() if n]
    if not counts:
        return
    with st.expander(f"Of {len(result.rows)} cells: {', '.join(counts)}", icon=":material/info:"):
        for note in sorted(dict.fromkeys(note for note, _ in notes), key=lambda note: KINDS.index(note[0])):
            _, heading, sentence = note
            st.markdown(f"- **{heading}**: {literal(sentence)}")
            st.caption("; ".join(name for other, name in notes if other == note))


def _notes(row: Measurement) -> list[tuple[str, str, str]]:
    """(one of `KINDS`, heading, sentence) of everything there is to say about a row."""
    if row.status != "ok":
        return [("not measured", row.status, row.reason)]
    notes, latency = [], row.latency
    if latency and latency.caveat:
        kind = "of one process only" if latency.warm else "cold"
        notes.append((kind, latency.caveat, CAVEATS[kind]))
    if latency and latency.noise:
        notes.append(("noisy", "noisy", latency.noise))
    if row.reason:
        notes.append(("with a remark", "remark", row.reason))
    return notes


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
            st.markdown(f"Measured on {result.machine.device_name} with {literal(checkpoints)}:")
            st.dataframe(ours, hide_index=True, alt=f"The {mode} table, measured here")
            st.markdown("As published, on an A100 40GB with PyTorch 2.3 and ViViT-B/16x2:")
            st.dataframe(published, hide_index=True, alt=f"The {mode} table, as published")
            for fault in documentation.FAULTS:
                if mode in fault.partition(" table")[0]:
                    st.caption(f":material/report: {fault}")


def _show_comparison(result: Result, others: list[Result]) -> None:
    """Another sweep's figures for the cells that both measured."""
    known = {r.id: r for r in others if r.id != result.id}
    chosen = st.selectbox(
        "Compare with another sweep",
        list(known),
        index=None,
        key=f"other-{result.id}",
        placeholder="None",
        format_func=lambda id: f"{known[id].title}, {known[id].label} ({id})",
    )
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
