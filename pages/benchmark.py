"""Attention backends × precisions × batch sizes: latency, memory, and whether the answers agree."""

import streamlit as st

from ui.components.status_line import announce
from ui.escape import literal
from ui.jobs import ready
from ui.others import tell_others
from ui.page import frame
from ui.query_params import check_link, remember_link
from ui.results import name, show_evidence, show_take_along, show_verdict
from ui.server import get_machine, get_server
from ui.sweep_form import Selection, pick_cells
from ui.sweep_start import begin, offer, offer_again
from ui.sweeps import find_running, follow, follow_cells, without_folders
from ui.visit import set_widget, visit, widget
from vivit.benchmark.results import Result
from vivit.benchmark.verdict import verdict

sweeps = get_server().sweeps
remember_link("benchmark")
_, voice = frame()
st.title(
    "Benchmark",
    help="Every cell is measured in six processes of its own, round after round in shuffled order, and nothing else of this "
    "app runs meanwhile. You can leave this page: the sweep goes on, and you will find it here.",
)


def choose(kept: list[Result]) -> Result:
    """Draw the list of sweeps; returns the one that is chosen."""
    by_id = {r.id: r for r in kept}
    # Set again even if it is the same: of a list that has grown meanwhile the browser would show the first sweep.
    shown, visit().shown = visit().shown or widget("sweep") or st.query_params.get("sweep"), ""
    if shown in by_id:
        set_widget("sweep", shown)
    chosen = st.selectbox(
        "Sweep", list(by_id), key="sweep", format_func=lambda id: name(by_id[id]), label_visibility="collapsed"
    )
    st.query_params["sweep"] = chosen
    return by_id[chosen]


ended = sweeps.get(visit().shown)
with voice:
    announce(verdict(ended.result) if ended and not ended.empty else "")
running = find_running()
if not ready("model"):
    st.stop()
machine = get_machine()
assert machine is not None  # since the model worker is ready
form, button = st.columns([16, 8], vertical_alignment="top")
notes = st.container(gap="small")
# Drawn while a sweep runs, too: the browser forgets the choices of widgets that are not drawn.
with form, st.container(key="controls"):
    selection = pick_cells(machine)
with button:
    offer(selection, machine, notes, running=running is not None)
if running is not None:
    st.header(f"Running: {literal(running.title)}")
    follow(running.id)
    follow_cells(running.id)
    st.stop()
with notes:
    tell_others()
error, visit().sweep_error = visit().sweep_error, ""  # told until the next click
if error:
    st.error(literal(error), icon=":material/error:")
if ended and ended.empty:
    st.info("Cancelled before a cell had a figure, so nothing of it is kept.", icon=":material/cancel:")
asked = visit().wanted.get("sweep")
if isinstance(asked, Selection):
    begin(asked, machine)
kept = [without_folders(result) for result in sweeps.kept()]
if not kept:
    st.info("No sweep has been made yet. Choose what to measure above.", icon=":material/speed:")
    st.stop()
with st.container(horizontal=True, vertical_alignment="center"):
    result = choose(kept)
    offer_again(result, machine)
    show_take_along(result)
check_link("benchmark", {"preset": "the selection", "sweep": "the sweep"})
show_verdict(result)
show_evidence(result, kept)
