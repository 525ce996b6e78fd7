"""What is happening in front of the camera, again and again."""

from typing import NoReturn

import streamlit as st

from ui.checkpoints import open_trained
from ui.components.live_camera import live_camera
from ui.components.status_line import announce
from ui.escape import literal
from ui.jobs import ready
from ui.live import asked_of, follow, interval_seconds, show_window
from ui.machine import show_machine
from ui.page import frame
from ui.query_params import check_link, remember_link
from ui.server import get_server
from ui.settings import CONTROLS, pick_settings_in_a_line
from ui.visit import visit, visitor
from ui.what_runs import estimate_seconds, unavailable
from vivit.timeline.trained import trained_window

visitor()  # tells the server that they are here: the first run after a lost connection may ask for nothing else that does
remember_link("live")
pressed, voice = frame()
with voice:
    announce("")  # the camera says its answers itself

with st.container(gap="small"):
    st.title("What is happening now?", anchor=False)
with st.container(key="controls"):
    settings = pick_settings_in_a_line(pressed)
    check_link("live", CONTROLS)
page = st.container()


def stop() -> NoReturn:
    """End the run of the page: without a model that can answer, no camera is expected."""
    get_server().cameras.expect(visitor(), None)
    show_machine()
    st.stop()


with page:
    if not settings.checkpoint:
        st.info("The camera will stand here once the checkpoint is on this machine.", icon=":material/hourglass_empty:")
        stop()
    visit().settings = settings
    if not ready("model"):
        stop()
    if reason := unavailable(settings):
        st.error(reason, icon=":material/block:")
        stop()
    checkpoint, fault = open_trained(settings)
    if checkpoint is None:
        st.error(literal(fault), icon=":material/error:")
        stop()
    asked = asked_of(settings, checkpoint)
    get_server().cameras.expect(visitor(), asked)
    token = get_server().cameras.token(visitor())
    live_camera(token, interval_seconds(asked.grid), presented=visit().present)
    show_window(asked, trained_window(checkpoint), estimate_seconds(settings, checkpoint, first=False))
    follow()
show_machine()
