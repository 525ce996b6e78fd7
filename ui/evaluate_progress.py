"""An evaluation while it runs: whose it is, how far it has come, how often its cells are right so far, and its cancel."""

from typing import NoReturn

import streamlit as st

from engine.evaluations import RunningEvaluation
from ui.escape import inert, literal
from ui.evaluate_charts import show_share
from ui.evaluate_kept import may_see
from ui.following import offer
from ui.server import get_server
from ui.visit import visit, visitor
from vivit.benchmark.wording import duration
from vivit.evaluate.kept import cell_names

SECONDS = 0.5  # between two looks


def find_running() -> RunningEvaluation | None:
    """The evaluation to follow: the visitor's own, or one that they chose to watch here."""
    evaluations = get_server().evaluations
    if own := evaluations.running(visitor()):
        return own
    for running in evaluations.all_running():
        if visit().followed == running.id:
            return running
        seen = may_see(running.kept)
        name = inert(running.what.source.name) if seen else "labelled clips"
        if offer(running, "An evaluation", f"{literal(name)}. Yours would take turns with it.", watch=seen):
            visit().followed = running.id
            st.rerun()
    return None


@st.fragment(run_every=SECONDS)
def follow(id: str) -> None:
    """Draw an evaluation's progress until it ends; its own visitor can cancel it."""
    running = get_server().evaluations.get(id)
    if running is None or running.state != "running":
        _ended(id)
    clips = len(running.what.clips)
    left = "" if running.seconds_left is None else f", about {duration(running.seconds_left)} left"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(running.progress, f"{running.done:,} of {clips:,} clips{left}: {literal(running.note)}")
        if running.visitor == visitor() and st.button("Cancel", key="cancel-evaluation", icon=":material/cancel:"):
            running.cancel()
            running.wait(3.0)
            _ended(id)
    with st.container(horizontal=True, gap="small"):
        for name, cell in zip(cell_names([cell.asked for cell in running.cells]), running.cells, strict=True):
            known, says = cell.tally.clips - cell.tally.failed, "Right so far, and its 95 % interval"
            show_share(f"{name}, so far", cell.tally.top1, known, literal(cell.error) or says)


def _ended(id: str) -> NoReturn:
    visit().evaluation = visit().evaluation_to_show = id
    st.rerun()


def show_ended() -> None:
    """What there is to say of the evaluation that ended last here."""
    ended = get_server().evaluations.get(visit().evaluation)
    if ended is None or ended.state == "running":
        return
    if ended.error:
        st.error(literal(ended.error), icon=":material/error:")
    if ended.state == "cancelled":
        kept = "nothing was found before, so nothing is kept" if ended.empty else "what was found until then is kept"
        st.markdown(f":small[:material/cancel: Cancelled: {kept}.]")
