"""How a film is looked at: the window, the stride and the smoothing, and what cannot be used for it."""

import streamlit as st

from ui.escape import listed, literal
from vivit.checkpoint import Checkpoint
from vivit.errors import UserError
from vivit.timeline import SMOOTHING, STRIDE_SECONDS, Grid
from vivit.timeline.trained import TrainedWindow, trained_window
from vivit.timeline.windows import LONGEST_SECONDS

# In the address, and what they are called.
CONTROLS = {"window": "window", "every": "stride", "smoothing": "smoothing", "cuts": "cuts"}

ACROSS = "across"
CUTS = {
    "within": "each shot is a film of its own, and no window shows two",
    ACROSS: "windows pass over cuts, and may show two scenes",
}


def pick_grid(checkpoint: Checkpoint | None) -> tuple[Grid | None, str]:
    """Draw the window, the stride, the smoothing and what happens at cuts.

    Args:
        checkpoint: None where there is none; the form is the same, without a trained window.

    Returns:
        How windows lie, None without a checkpoint or for impossible values; and the smoothing, a key of `SMOOTHING`.
    """
    trained = trained_window(checkpoint) if checkpoint else None
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        window = st.number_input(
            "Window, seconds",
            min_value=0.04,
            max_value=LONGEST_SECONDS,
            value=None,
            step=0.5,
            format="%g",
            placeholder=f"{trained.seconds:g}, as trained" if trained else "as trained",
            key="window",
            bind="query-params",
            width=190,
            help="How much of the film is one question to the model. Left empty it is what the checkpoint was trained on.",
        )
        stride = st.number_input(
            "Stride, seconds",
            min_value=0.01,
            max_value=LONGEST_SECONDS,
            value=STRIDE_SECONDS,
            step=0.5,
            format="%g",
            key="every",
            bind="query-params",
            width=150,
            help="From one window to the next. Windows overlap; half the stride is twice the work.",
        )
        smoothing = st.segmented_control(
            "Smoothing",
            list(SMOOTHING),
            default=next(iter(SMOOTHING)),
            required=True,
            key="smoothing",
            bind="query-params",
            help=listed(SMOOTHING),
        )
        cuts = st.segmented_control(
            "At cuts",
            list(CUTS),
            default=next(iter(CUTS)),
            required=True,
            key="cuts",
            bind="query-params",
            help=listed(CUTS),
        )
    if checkpoint is None or trained is None:
        return None, smoothing
    seconds = trained.seconds if window is None else window
    return _grid(trained, seconds, stride, checkpoint, cuts != ACROSS), smoothing


def _grid(trained: TrainedWindow, window: float, stride: float, checkpoint: Checkpoint, cuts: bool) -> Grid | None:
    try:
        grid = Grid(window, stride, checkpoint.config.num_frames, cuts)
    except UserError as error:
        st.error(literal(str(error)), icon=":material/error:")
        return None
    if said := trained.outside(window):
        st.warning(literal(said), icon=":material/straighten:")
    return grid
