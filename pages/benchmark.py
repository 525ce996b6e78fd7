"""Attention backends × precisions × batch sizes: latency, memory, and whether the answers agree."""

import streamlit as st

from engine.tasks import ReadFrames
from ui.clips import bundled_clips, own_clip
from ui.components.status_line import announce
from ui.escape import literal
from ui.jobs import ask, finished, job_for, ready
from ui.page import frame
from ui.query_params import check_link, remember_link
from ui.results import show_result
from ui.server import get_machine, get_server
from ui.sweep_form import Selection, pick_cells
from ui.sweeps import find_running, follow
from ui.visit import set_widget, visit, visitor, widget
from vivit.benchmark.sweep import Sweep
from vivit.checkpoint import open_checkpoint

UPLOADED = "an uploaded clip"  # whose name is not for the other visitors, who see every sweep

server, me = get_server(), visitor()
remember_link("benchmark")
_, voice = frame()

st.title("Which attention backend, and at what price?")
st.caption(
    "Every cell is measured in processes of its own, round after round in shuffled order, and nothing else of this app "
    "runs meanwhile. You can leave this page: the sweep goes on, and you will find it here."
)


def plan(selection: Selection) -> Sweep:
    machine = get_machine()
    assert machine is not None  # the page has waited for it
    try:
        config = open_checkpoint(selection.checkpoint, weights=False, here=True).config
    except ValueError as error:
        st.error(literal(f"This checkpoint cannot be measured: {error}"), icon=":material/error:")
        st.stop()
    return Sweep(
        selection.cells,
        {selection.checkpoint: config},
        machine,
        budget_seconds=selection.budget_seconds,
        rule=selection.rule,
    )


with voice:
    announce(f"{ended.title}: {ended.state}." if (ended := server.sweeps.get(visit().shown)) else "")
running = find_running()
if running is not None:
    st.header(f"Running: {running.title}")
    follow(running.id)
    st.divider()
if error := visit().sweep_error:
    st.error(literal(error), icon=":material/error:")

# Drawn while a sweep runs, too: of what is not drawn the browser forgets what the visitor has chosen.
with st.container(key="controls"):
    selection = pick_cells()
check_link("benchmark", {"preset": "the selection"})
own = own_clip()
clips = ({UPLOADED: own} if own else {}) | bundled_clips()
clip = st.selectbox("Clip", list(clips), key="clip-to-measure", width=320) if clips else None
path = clips[clip].path if clip else ""
if not ready("model"):
    st.stop()
if not selection.cells:
    st.info("Choose at least one attention backend, one precision and one batch size.", icon=":material/tune:")
    st.stop()
sweep = plan(selection)
estimate, count = sweep.seconds_left, len(sweep.cells)
with st.container(horizontal=True, vertical_alignment="center"):
    label = f"Measure {count} cell{'s' * (count != 1)}"
    if st.button(label, type="primary", icon=":material/play_arrow:", disabled=running is not None):
        visit().wanted["sweep"] = (selection, path)
    st.markdown(f"about {estimate:.0f} s for this selection")
if running is not None:
    st.stop()
if visit().wanted.get("sweep") == (selection, path):
    pixels = {}
    if path:
        request = ReadFrames(path, selection.checkpoint)
        frames = job_for("sweep-frames", request, lambda: ask(request))
        if not finished(frames, "sweep-frames", "Reading the clip"):
            st.stop()
        pixels = {selection.checkpoint: (frames.result.shape, frames.blobs[0])}
    del visit().wanted["sweep"]
    server.sweeps.start(sweep, title=selection.title, clip=clip or "", pixels=pixels, visitor=me)
    st.rerun()
visit().wanted.pop("sweep", None)  # asked for another selection or clip than this

kept = server.sweeps.kept()
st.divider()
if not kept:
    st.info("No sweep has been made yet. Choose what to measure above.", icon=":material/speed:")
    st.stop()
by_id = {r.id: r for r in kept}
ids = list(by_id)
# Said again where it is the same: of a list that has grown meanwhile the browser would show the first.
shown, visit().shown = visit().shown or widget("sweep"), ""
if shown in by_id:
    set_widget("sweep", shown)
chosen = st.selectbox(
    "Sweep",
    ids,
    key="sweep",
    bind="query-params",
    format_func=lambda id: f"{by_id[id].title}, {by_id[id].label} ({id})",
)
show_result(by_id[chosen], kept)
