"""How often models are right about labelled clips, how sure they are, and which answers another cell changes."""

from typing import NoReturn

import streamlit as st

from ui.checkpoints import open_trained
from ui.components.status_line import announce
from ui.escape import literal
from ui.evaluate_figures import statement_of
from ui.evaluate_form import about, pick_cells, show_unknown, to_evaluate
from ui.evaluate_progress import find_running, follow, show_ended
from ui.evaluate_results import choose_kept, show_kept
from ui.evaluate_source import CONTROLS as SOURCE_CONTROLS
from ui.evaluate_source import choose_clips, show_download
from ui.jobs import ready
from ui.machine import show_machine
from ui.page import frame, go_on
from ui.query_params import check_link, remember_link
from ui.server import get_machine, get_server
from ui.settings import CONTROLS, pick_settings_in_a_line
from ui.visit import visit, visitor
from ui.what_runs import unavailable

visitor()  # tells the server that they are here: the first run after a lost connection may ask for nothing else that does
go_on()
remember_link("evaluate")
pressed, voice = frame()

with st.container():  # so that what is drawn here moves no widget below: a widget that moves is lost from the address
    found, limit = choose_clips()
with st.container(key="controls"):
    settings = pick_settings_in_a_line(pressed, several_views=True)
    checkpoint, fault = open_trained(settings)
    cells, button = pick_cells(settings) if ready("model") else ([], st.container())
    check_link("evaluate", CONTROLS | SOURCE_CONTROLS)
start = st.container()
below = st.container()


def stop() -> NoReturn:
    """End the run of the page; even where nothing can begin, evaluations that are kept can be looked at."""
    ended = get_server().evaluations.get(visit().evaluation)
    with voice:
        announce(statement_of(ended.kept) if ended and not ended.empty else "")
    with below:
        show_ended()
        if kept := choose_kept():
            show_kept(kept)
        show_machine()
    st.stop()


with start:
    if running := find_running():
        follow(running.id)
        stop()
    if found is None:
        st.info("Choose labelled clips above.", title="Start here", icon=":material/arrow_upward:")
        stop()
    if fault:
        st.error(literal(fault), icon=":material/block:")
        stop()
    machine = get_machine()
    if checkpoint is None or machine is None or not cells:  # the worker may have come up in between
        stop()
    visit().settings = settings
    if reason := unavailable(settings):
        st.error(reason, icon=":material/block:")
        stop()
    try:
        what = to_evaluate(found, limit, settings, cells, machine)
    except ValueError as error:
        st.error(literal(str(error)), icon=":material/label_off:")
        stop()
    show_unknown(what)
    show_download(what)
    with button:
        pressed_start = st.button(
            f"Evaluate {about(what)}", type="primary", icon=":material/play_arrow:", width="stretch"
        )
    if pressed_start:
        get_server().evaluations.start(what, visitor())
        st.rerun()
stop()
