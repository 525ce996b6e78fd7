"""The controls that say how a clip is classified."""

import streamlit as st

from ui.checkpoints import pick_checkpoint, taught_folder
from ui.chosen import Settings
from ui.escape import capitalised, inert, listed, literal
from ui.visit import set_widget, visit, widget
from ui.what_runs import first_calls_said, missing, missing_executions
from vivit.benchmark.measurement import Cell
from vivit.hub import embedded_checkpoints
from vivit.names import BACKENDS, EXECUTIONS, NORMALISATION, PRECISIONS, SAMPLING, WITHOUT_STRIDE
from vivit.views import Views

ATTENTION = {name: backend.explanation for name, backend in BACKENDS.items()}
PRECISION = {name: precision.explanation for name, precision in PRECISIONS.items()}
CONTROLS = {  # what the address says, and what to call it
    "checkpoint": "checkpoint",
    "model": "model",
    "attention": "attention backend",
    "precision": "precision",
    "execution": "execution",
    "views": "views",
    "sampling": "frame sampling",
    "stride": "stride",
    "normalisation": "pixel values",
    "top_k": "answers to show",
}
VIEWS = {
    "1x1": "the clip once, and of every frame the middle",
    "1x3": "the same frames, and of every frame three crops along its longer side",
    "4x1": "four stretches of the clip, which lie evenly over it",
    "4x3": "both, as the published figures are measured",
}
MOST_ANSWERS = 20  # that may be shown
EVENLY = "several stretches choose their frames themselves: every n-th one, from starts that lie evenly over the clip"


def pick_settings(pressed: str = "", several_views: bool = False, taught: bool = True) -> Settings:
    """Draw the controls and return what they say.

    Args:
        pressed: a key that was pressed; '1' chooses the first backend that runs here.
        several_views: whether a clip may be looked at more than once.
        taught: whether the checkpoint may be the one that the visitor has taught here.
    """
    backends = [name for name in ATTENTION if name not in missing("attention")]
    if pressed.isdigit() and int(pressed) <= len(backends):
        set_widget("attention", backends[int(pressed) - 1])
    with st.container(horizontal=True, gap="small", wrap=False):
        first, more = st.container(), st.container(width="content")
    with first:  # so that what is drawn here moves no widget below: a widget that moves is lost from the address
        checkpoint = pick_checkpoint(taught_folder() if taught else "")
    attention = _pick("Attention backend", "attention", ATTENTION, "sdpa", missing("attention"))
    precision = _pick("Precision", "precision", PRECISION, "float32", missing("precision"))
    execution = _pick_execution(checkpoint, attention, precision)
    with more, st.popover("Settings", icon=":material/settings:", help="Frames, pixels and answers"):
        views = _pick_views() if several_views else "1x1"
        sampling, stride = _pick_sampling(stretches=Views.parse(views).temporal > 1)
        normalisation = _pick_normalisation()
        top_k = st.slider("Answers to show", 1, MOST_ANSWERS, 5, key="top_k", bind="query-params")
    return Settings(checkpoint, attention, precision, sampling, stride, normalisation, top_k, execution, views)


def _pick_views() -> str:
    views = st.segmented_control(
        "Views",
        list(VIEWS),
        default="1x1",
        required=True,
        key="views",
        bind="query-params",
        help="How often the model looks at the clip, stretches of its time × crops of its frames; the logits are averaged, "
        f"and all views go through the model in one pass.\n\n{listed(VIEWS)}\n\nA model that was trained on frames of whole "
        "clips, as those embedded here, knows less of stretches.",
    )
    st.caption(f"{capitalised(VIEWS[views])}.")
    return views


def _pick_sampling(*, stretches: bool) -> tuple[str, int]:
    """Draw the sampling and the stride; returns both. Args: stretches: whether several stretches choose their frames."""
    sampling = st.segmented_control(
        "Frame sampling",
        list(SAMPLING),
        default="uniform",
        required=True,
        key="sampling",
        bind="query-params",
        help=listed(SAMPLING),
        disabled=stretches,
    )
    st.caption(f"{capitalised(EVENLY if stretches else SAMPLING[sampling])}.")
    stride = 1
    if stretches or sampling not in WITHOUT_STRIDE:
        stride = st.slider("Every n-th frame", 1, 8, 2, key="stride", bind="query-params")
    return "uniform" if stretches else sampling, stride


def _pick_normalisation() -> str:
    normalisation = st.segmented_control(
        "Pixel values",
        list(NORMALISATION),
        default="checkpoint",
        required=True,
        key="normalisation",
        bind="query-params",
        help="For the published checkpoints transformers normalises twice and feeds [-3, 1], which its published logits "
        "rest on; the original model was trained on [-1, 1]. Another range than a model was trained on costs accuracy.",
    )
    st.caption(f"{capitalised(NORMALISATION[normalisation])}.")
    return normalisation


def pick_settings_in_a_line(
    pressed: str = "", plain: str = "", several_views: bool = False, taught: bool = True
) -> Settings:
    """Draw the controls of `pick_settings` in one line that opens.

    Args:
        pressed, several_views, taught: as `pick_settings`'.
        plain: why what is chosen runs in its plain form all the same; '' where it does not.
    """
    usual = {"checkpoint": embedded_checkpoints()[0], "attention": "sdpa", "precision": "float32"}
    chosen = [widget(key) or st.query_params.get(key) or default for key, default in usual.items()]
    if several_views and (views := widget("views") or st.query_params.get("views") or "1x1") != "1x1":
        chosen.append(f"{views} views")
    opened = bool(widget("settings-line", visit().settings_open))
    # To Streamlit an expander with another label is another one, and would be shut.
    form = st.expander(
        literal(inert(" · ".join(chosen), 120)), opened, icon=":material/tune:", key="settings-line", on_change="rerun"
    )
    visit().settings_open = bool(form.open)
    with form:
        settings = pick_settings(pressed, several_views, taught)
        if plain and settings.execution != "plain":
            st.caption(plain)
    return settings


def _pick(label: str, key: str, options: dict[str, str], default: str, missing: dict[str, str]) -> str:
    """A choice of what runs here; `ui.advice` says why the rest does not."""
    here = [name for name in options if name not in missing]
    if (asked := widget(key, default)) in missing:
        st.warning(f"{missing[asked]} Using '{default}'.")
        set_widget(key, default)
    chosen = st.segmented_control(
        label,
        here,
        default=default,
        required=True,
        key=key,
        bind="query-params",
        help=listed(options),
        wrap=True,
        width="content",
        disabled=len(here) == 1,
    )
    return chosen or default


def _pick_execution(checkpoint: str, attention: str, precision: str) -> str:
    """Draw the choice of a way to run; beside it what a first call takes, or why nothing can be compiled here."""
    lacking = missing_executions()
    ways = EXECUTIONS | {name: f"{EXECUTIONS[name]}. Not here: {reason}" for name, reason in lacking.items()}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        execution = _pick("Execution", "execution", ways, "plain", lacking)
        if execution != "plain" and checkpoint:
            cell = Cell(checkpoint, attention, precision, execution=execution)
            st.caption(literal(first_calls_said([cell], "once whenever the model is loaded")))
        elif reason := lacking.get("compiled"):
            st.caption(literal(reason))
    return execution
