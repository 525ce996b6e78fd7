"""What the model answers, and what the answer cost."""

import streamlit as st

from ui import charts
from ui.classified import Run
from ui.escape import capitalised, inert, literal
from ui.taught import is_taught
from vivit.benchmark.wording import UNKNOWN

# What a slow run has not drawn yet Streamlit fades to a third. An answer stays as it is until it is known to be a former one,
# which does not answer what is asked.
STAYS = "<style>:is(.st-key-answer, .st-key-costs) [data-stale=true] { opacity: 1 !important }</style>"
FORMER = "<style>.st-key-answer, .st-key-costs { opacity: 0.8 }</style>"


def show_answer(run: Run, top_k: int, *, former: bool = False) -> None:
    """Draw the top-k as bars.

    Args:
        top_k: how many.
        former: whether the visitor has asked for another answer since, which is not there yet.
    """
    predictions = run.result.predictions
    st.html(STAYS + FORMER * (former and predictions is not None))
    of = literal(f"of '{run.clip}', {run.settings.how}")
    if predictions is None:
        st.info("Random weights predict nothing, so no answer is shown: only frames, time and memory are real.")
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.header(literal(inert(capitalised(predictions[0].label))), width="content")
        if former:
            st.markdown(f":grey[:material/history: the former answer, {of}]")
        elif run.result.truth:
            show_truth(run.result.truth, run.result.truth_rank)
    charts.show(
        charts.predictions(predictions[:top_k]), "predictions", "The most likely actions and their probabilities"
    )
    if run.result.familiar is False:
        warn_unfamiliar(run.settings.checkpoint)


def show_brief(run: Run) -> None:
    """How the latency was measured, or why it is not to be trusted."""
    if run.busy or not run.result.warm:
        st.markdown(f":small[:material/warning: {run.brief}]")
    else:
        st.caption(run.brief)


def show_costs(run: Run, before: Run | None) -> None:
    """Latency and memory. Args: before: the run that these are compared with, where that can be done."""
    if before and (not (run.result.warm and before.result.warm) or run.busy or before.busy):
        before = None  # a change that the machine may have made is none to show

    def change(now: float | None, then: float | None) -> str | None:
        return f"{now / then - 1:+.0%}" if now and then and abs(now / then - 1) >= 0.005 else None

    peak = run.peak_mib
    figures = (
        ("Latency", seconds(run.result.latency_ms), "latency_ms", run.how),
        (
            "Peak memory",
            UNKNOWN if peak is None else f"{peak:,.1f} MiB",
            "peak_bytes",
            f"Beyond the weights. {run.how}",
        ),
        ("Weights", f"{run.weights_mib:,.1f} MiB", "weights_bytes", f"As kept in {run.settings.precision}."),
    )
    with st.container(horizontal=True, gap="small"):
        for label, value, name, how in figures:
            delta = change(getattr(run.result, name), getattr(before.result, name)) if before else None
            than = f"than {before.settings.how}" if before and delta else None
            st.metric(label, value, delta, "inverse", help=how, delta_description=than)


def show_stages(run: Run, top_k: int) -> None:
    """Where the time went, and the answers as a table."""
    with st.expander("Where the time went", icon=":material/timer:"):
        charts.show(charts.waterfall(run.stages_ms), "stages", "Time of each stage, from file to answer")
        st.caption(f"Reading is timed once a clip, the forward pass anew with every setting. {run.how}")
    if run.result.predictions is not None:
        with st.expander("Answers as a table", icon=":material/table:"):
            rows = [
                {"rank": k, "action": inert(p.label), "probability": p.score}
                for k, p in enumerate(run.result.predictions[:top_k], 1)
            ]
            percent = {"probability": st.column_config.NumberColumn(format="percent")}
            st.dataframe(rows, hide_index=True, column_config=percent, alt="The most likely actions")


def warn_unfamiliar(checkpoint: str) -> None:
    """Say that a clip is none that this checkpoint could know. Args: checkpoint: its name."""
    st.warning(
        "**Outside what it was taught.** This clip is unlike all that it has seen, so the answer means little."
        if is_taught(checkpoint)
        else "**Outside what this model knows.** This clip is unlike those that this checkpoint was trained on, so the answer "
        "means little. For real videos choose the Kinetics-400 checkpoint, google/vivit-b-16x2-kinetics400.",
        icon=":material/travel_explore:",
    )


def show_truth(truth: str, rank: int | None) -> None:
    """What the clip shows, and where the answer has it. Args: rank: 1 the most likely; None for no class of that name."""
    shown = f"the clip shows '{literal(inert(truth.replace('_', ' ')))}'"
    if rank == 1:
        st.markdown(":green[:material/check_circle: Right]", help=f"Right: {shown}.")
    elif rank:
        st.markdown(f":orange[:material/cancel: Not right: {shown}, which comes at rank {rank}.]")
    else:
        st.markdown(f":grey[:material/help: Not comparable: {shown}, which is no class of this checkpoint.]")


def in_words(run: Run) -> str:
    """A run's answer, how it ran and its latency, to be read out."""
    best = run.result.predictions[0] if run.result.predictions else None
    said = f"{capitalised(best.label)}, {best.score:.1%}" if best else "No answer, the weights are random"
    return inert(f"{said}; {run.settings.how}: {seconds(run.result.latency_ms)}.", 200)


def seconds(milliseconds: float) -> str:
    """A time as people read it: 12.3 ms, 456 ms, 14.6 s."""
    if milliseconds >= 1e4:
        return f"{milliseconds / 1e3:,.1f} s"
    return f"{milliseconds:,.1f} ms" if milliseconds < 100 else f"{milliseconds:,.0f} ms"
