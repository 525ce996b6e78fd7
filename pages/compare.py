"""Attention backends × precisions × batch sizes: latency, memory, and whether the answers agree."""

import streamlit as st

from ui.cells import Selection, pick_cells
from ui.clips import bundled_clips, own_clip
from ui.jobs import finished, job_for, ready
from ui.links import check_link, remember_link
from ui.results import show_result
from ui.server import get_server, visitor
from ui.sweeps import find_running, follow
from ui.text import literal
from vivit.benchmark.sweep import Sweep
from vivit.hub import HubError
from vivit.random_weights import read_config

UPLOADED = "an uploaded clip"  # whose name is not for the other visitors, who see every sweep

server, me = get_server(), visitor()
remember_link("compare")

st.title("Which attention backend, and at what price?")
st.caption(
    "Every cell is measured in processes of its own, round after round in shuffled order, and nothing else of this app "
    "runs meanwhile. You can leave this page: the sweep goes on, and you will find it here."
)


def plan(selection: Selection) -> Sweep:
    machine = server.engine.hello("model")
    assert machine is not None  # the page has waited for it
    try:
        config = read_config(selection.checkpoint)
    except (HubError, ValueError) as error:
        st.error(literal(f"This checkpoint cannot be measured: {error}"), icon=":material/error:")
        st.stop()
    return Sweep(
        selection.cells,
        {selection.checkpoint: config},
        machine,
        budget_seconds=selection.budget_seconds,
        rule=selection.rule,
    )


running = find_running()
if running is not None:
    st.header(f"Running: {running.title}")
    follow(running.id)
    st.stop()
if error := st.session_state.get("sweep-error"):
    st.error(literal(error), icon=":material/error:")

selection = pick_cells()
check_link("compare", {"preset": "the selection"})
own = own_clip()
clips = ({UPLOADED: own} if own else {}) | bundled_clips()
clip = st.selectbox("Clip", list(clips), key="clip-to-measure", width=320) if clips else None
if not ready("model"):
    st.stop()
if not selection.cells:
    st.info("Choose at least one attention backend, one precision and one batch size.", icon=":material/tune:")
    st.stop()
sweep = plan(selection)
estimate = sweep.seconds_left
with st.container(horizontal=True, vertical_alignment="center"):
    if st.button(f"Measure {len(sweep.cells)} cells", type="primary", icon=":material/play_arrow:"):
        st.session_state["measure"] = True
    st.markdown(f"about {estimate:.0f} s for this selection")
if st.session_state.get("measure"):
    pixels = {}
    if clip is not None:
        arguments = {"path": clips[clip].path, "checkpoint": selection.checkpoint, "sampling": "uniform", "stride": 1}
        frames = job_for(
            "sweep-frames",
            (clips[clip].path, selection.checkpoint),
            lambda: server.engine.submit("media", "read", arguments, visitor=me),
        )
        if not finished(frames, "sweep-frames", "Reading the clip"):
            st.stop()
        pixels = {selection.checkpoint: (frames.result["shape"], frames.blobs[0])}
    del st.session_state["measure"]
    server.sweeps.start(sweep, title=selection.title, clip=clip or "", pixels=pixels, visitor=me)
    st.rerun()

kept = server.sweeps.kept()
st.divider()
if not kept:
    st.info("No sweep has been made yet. Choose what to measure above.", icon=":material/speed:")
    st.stop()
by_id = {r.id: r for r in kept}
ids = list(by_id)
# Said again where it is the same: of a list that has grown meanwhile the browser would show the first.
if (shown := st.session_state.pop("shown", st.session_state.get("sweep"))) in by_id:
    st.session_state["sweep"] = shown
chosen = st.selectbox(
    "Sweep",
    ids,
    key="sweep",
    bind="query-params",
    format_func=lambda id: f"{by_id[id].title}, {by_id[id].label} ({id})",
)
show_result(by_id[chosen], kept)
