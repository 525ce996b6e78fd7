"""A sweep that has ended: the verdict, the bars, and the evidence in tabs."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from ui.charts import show, show_cells
from ui.escape import inert, literal
from ui.server import get_server
from ui.two_sweeps import show_two_sweeps
from ui.visit import set_widget, widget
from ui.why import show_why
from vivit.benchmark import charts, documentation, ratio_charts, report, scaling, tables
from vivit.benchmark.families import (
    Family,
    base_of,
    cell_name,
    explain_models,
    families,
    family_name,
    family_names,
    foremost,
    gains,
    model_gains,
    models_of,
    together,
    with_model,
)
from vivit.benchmark.measurement import CAVEATS
from vivit.benchmark.ratios import MARGIN
from vivit.benchmark.results import Result, to_dict
from vivit.benchmark.verdict import remarks, statement
from vivit.benchmark.wording import percent
from vivit.hub import split_name

USUAL = "the usual one"
NOT_MEASURED = {  # the status of a cell without a figure → what became of it
    "cancelled": "not measured",
    "failed": "failed",
    "out-of-memory": "did not fit into memory",
    "unavailable": "cannot run there",
}
AGREEMENT = ("cell", "marks", "same top 1", "shared top 5", "largest logit difference", "KL, nats")


def name(result: Result) -> str:
    """What tells a sweep from the others: when, where, of which model, and what was asked."""
    models = [named or split_name(of)[0] for of, named in models_of(result).items()]
    when = result.created[:19].replace("T", " ")
    return " · ".join((when, result.machine.device_name, ", ".join(models) or "no model", result.title))


def show_verdict(result: Result) -> None:
    """The sentence, and the bars of one mode and batch size."""
    found, models = together(result), models_of(result)
    of = _pick_family(result) if len(found) > 1 else next(iter(found), None)
    st.subheader(literal(statement(result, of)), help=f"{report.explain_ratios()} {report.MARKS}")
    if said := remarks(result, of):
        st.markdown(f":material/warning: {literal(' '.join(said))}")
    if of is not None:
        bars = charts.bars_of(found[of], models)
        clip = f"clip '{inert(result.clip)}'" if result.clip else "random numbers"
        of_what = ", ".join(filter(None, models.values())) or split_name(of[0])[0]
        words = f"{family_name(of)}, {clip}, {inert(of_what)}"
        show_cells(bars, ("bench-latency", "bench-memory"), words, charts.by_precision(bars))
        if explained := explain_models(models):
            st.caption(explained)
    _show_missing(result)


def _pick_family(result: Result) -> Family:
    names = {family_name(of): of for of in together(result)}
    usual = foremost(result)
    first = next(name for name, of in names.items() if of == usual)
    chosen = st.segmented_control(
        "Batch size and mode",
        list(names),
        default=first,
        required=True,
        key=f"family-{result.id}",
        label_visibility="collapsed",
    )
    return names[chosen or first]


def _show_missing(result: Result) -> None:
    """The cells without a figure: each reason once."""
    missing = [row for row in result.rows if not row.latency]
    if not missing:
        return
    reasons: dict[str, list[str]] = {}
    models = models_of(result)
    for row in missing:
        reasons.setdefault(row.reason or row.status, []).append(with_model(row.cell.name, row.cell, models))
    counts = Counter(row.status for row in missing)
    told = [(counts[status], what) for status, what in NOT_MEASURED.items() if counts[status]]
    count, what = told[0]
    were = f"{'was' if count == 1 else 'were'} " * (what == "not measured")
    first = f"{count} of {len(result.rows)} cells {were}{what}"
    label = ", ".join([first, *(f"{count} {what}" for count, what in told[1:])])
    with st.expander(label, icon=":material/info:"):
        for reason, cells in reasons.items():
            st.markdown(f"- {literal(reason)}")
            st.caption(literal("; ".join(cells)))


def show_evidence(result: Result, others: list[Result]) -> None:
    """Everything else there is to see of a sweep; only the tab that is open is drawn."""
    tabs: dict[str, Callable[[], None]] = {"Models": lambda: _show_models(result)} if len(models_of(result)) > 1 else {}
    tabs |= {
        "Ratios": lambda: _show_ratios(result),
        "Scaling": lambda: _show_scaling(result),
        "Agreement": lambda: _show_agreement(result),
        "Why": lambda: show_why(result),
        "Everything measured": lambda: _show_everything(result),
        "The documentation's tables": lambda: _show_documentation(result),
        "Two sweeps": lambda: show_two_sweeps(result, others, name),
    }
    for key in ("documented", f"base-{result.id}", f"other-{result.id}"):
        if widget(key) is not None:  # set again: the browser forgets what was chosen in a tab that is not drawn
            set_widget(key, widget(key))
    drawn = st.tabs(list(tabs), key="evidence", on_change="rerun")
    for tab, draw in zip(drawn, tabs.values(), strict=True):
        if tab.open:
            with tab:
                draw()


def _show_models(result: Result) -> None:
    """The other models beside the first, as measured and as predicted."""
    first = next(iter(models_of(result).values()))
    _show_table(tables.models_table(result), "Every cell of every model, measured and predicted")
    if found := model_gains(result):
        show(ratio_charts.ratios(found), "bench-models", f"How many times as fast as {first} each model is")
    st.caption(
        f"Each model beside {first} in the same backend and precision. GFLOP are a call's operations, multiply and add counted "
        "separately, from the model's shape; predicted is what the cost model said before anything ran. "
        + explain_models(models_of(result))
    )


def _show_ratios(result: Result) -> None:
    measured = families(result)
    sound = dict.fromkeys(cell_name(row.cell) for rows in measured.values() for row in rows if row.sound)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        as_documented = bool(widget("documented"))
        asked = st.selectbox(
            "Compared with", [USUAL, *sound], key=f"base-{result.id}", width=280, disabled=as_documented
        )
        documented = st.toggle("The documentation's percentages", key="documented")
    wanted = None if asked == USUAL else asked
    found = documentation.gains(result) if documented else gains(result, wanted)
    if wanted and not documented:
        names = family_names(result)
        if lacking := [names[of] for of, rows in measured.items() if not base_of(rows, wanted)]:
            st.caption(literal(f"Left out, since {wanted} has no sound figure there: {'; '.join(lacking)}."))
    if not found:
        st.info("There are no two cells to compare: a ratio needs six processes of each, warmed up.")
        return
    show(ratio_charts.ratios(found, documented=documented), "bench-ratios", "How many times as fast each cell is")
    if documented:
        st.caption(
            "Speed-up and memory saved as the model's documentation defines them, (eager / cell - 1) × 100, with eager in the "
            "same precision: 100 % is twice as fast, or half of the memory. The documentation divides means of one process's "
            "calls, and CUDA's largest allocation; here they are medians of six processes, and weights + activations, so that "
            "the two differ. Its own method is in its tables' tab."
        )
    st.caption(
        f"{report.explain_ratios()} The grey band is these {percent(MARGIN - 1)}; what is paler reaches into it."
    )


def _show_scaling(result: Result) -> None:
    shown = [by for by in scaling.SIZES if scaling.grows(result, by)]
    if not shown:
        st.info("This sweep has one size only. 'batch-size scaling' and 'number of tokens' measure several.")
        return
    drawn = [
        (f"{title} by {by}, {of}", figure)
        for by in shown
        for title, what in (("Latency in ms", "ms"), ("Memory in MiB", "MiB"))
        for of, figure in scaling.scaling(result, by, what).items()
    ]
    across = min(4 if len(models_of(result)) > 1 else 3, max(2, len(drawn) // (2 * len(shown))))
    for k in range(0, len(drawn), across):
        for place, (title, figure) in zip(st.columns(across), drawn[k : k + across], strict=False):
            with place:
                st.markdown(f"**{literal(title)}**")
                show(figure, f"bench-{title}", title)
    st.caption(
        "Both axes are logarithmic, and the same in all charts of a kind. Hollow points say less than they seem, as the words "
        "at the top of their chart and at the pointer say; memory is not timed and has none. Cells of one size are left out."
    )


def _show_table(lines: Sequence[dict[str, Any]], alt: str, *, decimals: int | None = None) -> None:
    """Draw a table, empty where a value is None. Args: decimals: of numbers that are no counts; three digits in all if None."""
    numbers = dict.fromkeys(name for line in lines for name, value in line.items() if isinstance(value, float))
    written = "%.10g" if decimals is None else f"%.{decimals}f"
    shown = [
        {name: report.rounded(value) if name in numbers and decimals is None else value for name, value in line.items()}
        for line in lines
    ]
    formats = dict.fromkeys(numbers, written) | {"shared top 5": "percent"}
    columns = {name: st.column_config.NumberColumn(format=text) for name, text in formats.items()}
    st.dataframe(shown, hide_index=True, column_config=columns, placeholder="", alt=alt)


def _show_agreement(result: Result) -> None:
    """How near each cell's answer to the clip is to that of eager float32."""
    models = models_of(result)
    lines = [
        ({"model": models[line["model"]]} if len(models) > 1 else {}) | {name: line[name] for name in AGREEMENT}
        for line in tables.table(result)
        if line["KL, nats"] is not None
    ]
    if not lines:
        st.info("There are no answers to compare: a training step gives none.")
        return
    _show_table(lines, "Agreement of each cell with eager float32")
    whose = " of the same model" * (len(models) > 1)
    st.caption(f"Each cell's answer beside that of eager attention in float32{whose} on the same clip.")


def _show_everything(result: Result) -> None:
    st.caption(literal(report.about(result)))
    _show_table(tables.table(result), "Every cell with every figure")
    if both := scaling.tradeoff(result):
        st.markdown("**Latency and memory**")
        show(both, "bench-tradeoff", "Latency and memory of every cell")
    st.caption(f"{report.MARKS} {' '.join(CAVEATS.values())}")


def _show_documentation(result: Result) -> None:
    """The tables of the model's documentation, where this sweep has their cells, beside the published ones."""
    shown = list(documentation.tables(result))
    checkpoints = ", ".join(dict.fromkeys(r.cell.checkpoint for r in result.rows))
    for mode, ours, published in shown:
        st.subheader(f"The documentation's {mode} table, on this sweep's machine")
        st.markdown(f"Measured on {literal(result.machine.device_name)} with {literal(checkpoints)}:")
        _show_table(ours, f"The {mode} table, measured here", decimals=2)
        st.markdown("As published, on an A100 40GB with PyTorch 2.3 and ViViT-B/16x2:")
        _show_table(published, f"The {mode} table, as published", decimals=2)
    if kept := documentation.weights_table(result):
        st.subheader("The documentation's paragraph on quantisation, on this sweep's machine")
        st.markdown(documentation.QUANTISATION)
        _show_table(kept, "What the weights take in each precision")
    if not (shown or kept):
        st.info(
            "This sweep has not the cells of these tables. The presets 'documentation's …' and 'memory of the weights …' "
            "measure them."
        )
    for fault in documentation.FAULTS:
        st.caption(f":material/report: {fault}")


def show_take_along(result: Result) -> None:
    """Download or delete a sweep."""
    with st.popover("Take along", icon=":material/download:"):
        for label, data, suffix, mime in (
            ("CSV", lambda: report.as_csv(result), "csv", "text/csv"),
            ("JSON with raw samples", lambda: json.dumps(to_dict(result), indent=1), "json", "application/json"),
            ("HTML report", lambda: report.as_html(result), "html", "text/html"),
        ):
            st.download_button(
                label, data, f"{result.id}.{suffix}", mime, on_click="ignore", icon=":material/download:"
            )
    sweeps = get_server().sweeps
    if sweeps.deletable(result.id):
        # The key has the sweep in it: else a popover that is open over one sweep stays open over the next.
        with st.popover("Delete", icon=":material/delete:", key=f"delete-{result.id}"):
            made = f"{result.created[:16].replace('T', ' ')} UTC on {result.machine.device_name}"
            st.markdown(f"Delete '{literal(result.title or 'a sweep')}', made {literal(made)}?")
            st.markdown("It will be gone for everybody who uses this server.")
            st.button(
                "Delete this sweep",
                key=f"delete-now-{result.id}",
                type="primary",
                on_click=sweeps.delete,
                args=(result.id,),
            )
