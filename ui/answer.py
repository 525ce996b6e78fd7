"""What the model answers, and what the answer cost."""

import streamlit as st

from ui import charts
from ui.escape import capitalised, inert, literal
from ui.visit import Run


def show_answer(run: Run) -> None:
    """Draw a run: the top-k as bars and as a table, latency and memory, and where the time went."""
    predictions = run.result.predictions
    if predictions is None:
        st.info("Random weights predict nothing, so no answer is shown: only frames, time and memory are real.")
    else:
        if run.result.familiar is False:
            st.warning(
                "This clip is unlike those that this checkpoint was trained on, so the answer below means little. "
                "For real videos choose the Kinetics-400 checkpoint, google/vivit-b-16x2-kinetics400.",
                title="Outside what this model knows",
                icon=":material/travel_explore:",
            )
        st.header(literal(inert(capitalised(predictions[0].label))))
        if run.result.truth:
            _show_truth(run.result.truth, run.result.truth_rank)
        charts.show(charts.predictions(predictions), "predictions", "The most likely actions and their probabilities")
    with st.container(horizontal=True):
        st.metric("Latency", seconds(run.result.latency_ms), border=True, help=run.how)
        st.metric("Peak memory", f"{run.peak_mib:,.1f} MiB", border=True, help=f"Beyond the weights. {run.how}")
        st.metric("Weights", f"{run.weights_mib:,.1f} MiB", border=True, help=f"As kept in {run.settings.precision}.")
    st.caption(run.how)
    with st.expander("Where the time went", icon=":material/timer:"):
        charts.show(charts.waterfall(run.stages_ms), "stages", "Time of each stage, from file to answer")
        st.caption("Reading is timed once a clip, the forward pass anew with every setting.")
    if predictions is not None:
        with st.expander("Answers as a table", icon=":material/table:"):
            rows = [{"rank": k, "action": inert(p.label), "probability": p.score} for k, p in enumerate(predictions, 1)]
            percent = {"probability": st.column_config.NumberColumn(format="percent")}
            st.dataframe(rows, hide_index=True, column_config=percent, alt="The most likely actions")


def _show_truth(truth: str, rank: int | None) -> None:
    """What the clip shows, and where the answer has it. Args: rank: 1 the most likely; None for no class of that name."""
    shown = f"the clip shows '{literal(inert(truth.replace('_', ' ')))}'"
    if rank == 1:
        st.markdown(f":green[:material/check_circle: Right: {shown}.]")
    elif rank:
        st.markdown(f":orange[:material/cancel: Not right: {shown}, which comes at rank {rank}.]")
    else:
        st.markdown(f":grey[:material/help: Not comparable: {shown}, which is no class of this checkpoint.]")


def seconds(milliseconds: float) -> str:
    """A time as people read it: 12.3 ms, 456 ms, 14.6 s."""
    if milliseconds >= 1e4:
        return f"{milliseconds / 1e3:,.1f} s"
    return f"{milliseconds:,.1f} ms" if milliseconds < 100 else f"{milliseconds:,.0f} ms"
