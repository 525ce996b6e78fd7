"""A sweep while it runs: whose it is, how far it has come, and its cancel."""

from typing import NoReturn

import streamlit as st

from engine.sweeps import RunningSweep
from ui.escape import literal
from ui.results import show_rows
from ui.server import get_server
from ui.visit import visit, visitor


def find_running() -> RunningSweep | None:
    """The sweep to follow: the visitor's own, or one that they chose to watch here."""
    server, me = get_server(), visitor()
    running = server.sweeps.all_running()
    for sweep in reversed(running):
        if sweep.visitor == me:
            return sweep
    for sweep in running:
        if visit().watched == sweep.id:
            return sweep
        here = server.visitors.here(sweep.visitor)
        whose = "another visitor's" if here else "of a visitor who has left"
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(
                f"A sweep is running, {whose}: '{literal(sweep.title)}'. Your cells would go between its cells."
            )
            if st.button("Watch it" if here else "Take it over", key=f"watch-{sweep.id}", icon=":material/visibility:"):
                visit().watched = sweep.id
                if not here:
                    server.sweeps.take_over(sweep.id, me)
                st.rerun()
    return None


@st.fragment(run_every=1.0)  # seldom, since what draws takes time from what is measured
def follow(id: str) -> None:
    """Draw a sweep's progress and its rows so far until it ends; its own visitor can cancel it."""
    sweeps, me = get_server().sweeps, visitor()
    running = sweeps.get(id)
    if running is None or running.state != "running":
        _show_ended(id)
    done, total = len(running.sweep.rows), len(running.sweep.cells)
    left = running.sweep.seconds_left
    with st.container(horizontal=True, vertical_alignment="center"):
        # On the left, since the table's tool bar comes up over what is above its right corner.
        if running.visitor == me and st.button("Cancel", icon=":material/cancel:", key="cancel-sweep"):
            sweeps.cancel(id)
            running.wait(3.0)
            _show_ended(id)
        st.progress(running.sweep.progress, f"{done} of {total} cells, about {left:.0f} s left: {running.note}")
    show_rows(running.result, running.sweep.cells)


def _show_ended(id: str) -> NoReturn:
    ended = get_server().sweeps.get(id)
    visit().shown = id
    visit().sweep_error = ended.error if ended else ""
    st.rerun()
