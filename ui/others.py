"""What other programs take of this machine's processors just now."""

import os
import time

import psutil
import streamlit as st

from ui.server import get_machine
from ui.visit import set_widget, widget
from vivit.benchmark.side_by_side import BUSY_SHARE
from vivit.benchmark.wording import percent
from vivit.machine import OtherWork

SECONDS = 2.0  # between two looks


def _readings() -> tuple[float, float, float]:
    """As `OtherWork` takes them; this server's workers are not others."""
    times, ours = psutil.cpu_times(), time.process_time()
    for child in psutil.Process(os.getpid()).children(recursive=True):
        try:
            used = child.cpu_times()
            ours += used.user + used.system + used.children_user + used.children_system  # what measures ends soon
        except psutil.Error:  # it has ended meanwhile
            continue
    return time.monotonic(), times.user + times.nice + times.system, ours


@st.fragment(run_every=SECONDS)
def tell_others() -> None:
    """Say so while other programs hold so much of the processors that a sweep's figures would not be this model's alone."""
    machine = get_machine()
    if machine is None or machine.on_gpu:
        return
    (seen, before), now = widget("others-work", (0.0, None)), time.monotonic()
    set_widget("others-work", (now, OtherWork(_readings)))
    share = before.share() if before and now - seen < 3 * SECONDS else None  # of now, not of an hour
    if share is not None and share > BUSY_SHARE:
        st.markdown(
            f":material/warning: **Other programs hold {percent(share)} of this machine's processors now**: times and ratios "
            "will be other ones than on a quiet machine."
        )
