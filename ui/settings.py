"""The controls that say how a clip is classified, and what this machine cannot do."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Literal

import streamlit as st

from ui.escape import capitalised, inert, literal
from ui.hub import hub_checkpoint, pick_repository
from ui.server import get_machine, get_server, offers_folders
from ui.taught import TAUGHT, called, is_taught
from ui.visit import Settings, set_widget, visit, visitor, widget
from vivit.benchmark import cost, first_calls
from vivit.benchmark.measurement import Cell
from vivit.benchmark.side_by_side import other_input
from vivit.checkpoint import RANDOM, RANDOM_CONFIGS, Checkpoint, open_checkpoint, random_name
from vivit.hub import KINETICS_CHECKPOINT, as_path, cached_checkpoints, embedded_checkpoints
from vivit.names import BACKENDS, EXECUTIONS, FACTORIZATIONS, NORMALISATION, PRECISIONS, SAMPLING, WITHOUT_STRIDE
from vivit.processing import NORMALISATIONS
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
REPOSITORY = "another repository of the Hugging Face Hub…"
MODELS = {  # the paper's four by what is factorised, in words that the address has as they are → the factorisation
    "1 · unfactorised": "none",
    "2 · encoder": "encoder",
    "3 · self-attention": "self_attention",
    "4 · dot-product": "dot_product",
}
MODEL_LABELS = {random_name(name): f"model {label} (random weights)" for label, name in MODELS.items()}
VIEWS = {
    "1x1": "the clip once, and of every frame the middle",
    "1x3": "the same frames, and of every frame three crops along its longer side",
    "4x1": "four stretches of the clip, which lie evenly over it",
    "4x3": "both, as the published figures are measured",
}
MOST_ANSWERS = 20  # that may be shown
SLOW_SECONDS = 2.0  # what takes longer waits for the visitor's word
READ_SECONDS = 0.1  # about what reading a clip of a few seconds takes
FOLDER = "a folder on this machine…"
EVENLY = "several stretches choose their frames themselves: every n-th one, from starts that lie evenly over the clip"


def pick_settings(pressed: str = "", several_views: bool = False, taught: bool = True) -> Settings:
    """Draw the controls and return what they say.

    Args:
        pressed: a key, '1' for the first backend that runs here.
        several_views: whether a clip may be looked at more than once.
        taught: whether the checkpoint may be the one that the visitor has taught here.
    """
    backends = [name for name in ATTENTION if name not in missing("attention")]
    if pressed.isdigit() and int(pressed) <= len(backends):
        set_widget("attention", backends[int(pressed) - 1])
    with st.container(horizontal=True, gap="small", wrap=False):
        first, more = st.container(), st.container(width="content")
    with first:  # so that whatever it draws moves no widget below: one that moves is lost from the address
        checkpoint = _pick_checkpoint(taught_folder() if taught else "")
    attention = _pick("Attention backend", "attention", ATTENTION, "sdpa", missing("attention"))
    precision = _pick("Precision", "precision", PRECISION, "float32", missing("precision"))
    execution = _pick_execution(checkpoint, attention, precision)
    with more, st.popover("Settings", icon=":material/settings:", help="Frames, pixels and answers"):
        views = _pick_views() if several_views else "1x1"
        stretches = Views.parse(views).temporal > 1
        sampling = st.segmented_control(
            "Frame sampling",
            list(SAMPLING),
            default="uniform",
            required=True,
            key="sampling",
            bind="query-params",
            help=_list(SAMPLING),
            disabled=stretches,
        )
        st.caption(f"{capitalised(EVENLY if stretches else SAMPLING[sampling])}.")
        stride = 1
        if stretches or sampling not in WITHOUT_STRIDE:
            stride = st.slider("Every n-th frame", 1, 8, 2, key="stride", bind="query-params")
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
        top_k = st.slider("Answers to show", 1, MOST_ANSWERS, 5, key="top_k", bind="query-params")
    sampling = "uniform" if stretches else sampling
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
        f"and all views go through the model in one pass.\n\n{_list(VIEWS)}\n\nA model that was trained on frames of whole "
        "clips, as those embedded here, knows less of stretches.",
    )
    st.caption(f"{capitalised(VIEWS[views])}.")
    return views


def pick_settings_in_a_line(
    pressed: str = "", plain: str = "", several_views: bool = False, taught: bool = True
) -> Settings:
    """The same in one line that opens.

    Args:
        pressed, several_views, taught: as `pick_settings`'.
        plain: why what is chosen runs in its plain form all the same; '' where it does not.
    """
    usual = {"checkpoint": embedded_checkpoints()[0], "attention": "sdpa", "precision": "float32"}
    chosen = [widget(key) or st.query_params.get(key) or default for key, default in usual.items()]
    if several_views and (views := widget("views") or st.query_params.get("views") or "1x1") != "1x1":
        chosen.append(f"{views} views")
    opened = bool(widget("settings-line", visit().settings_open))
    # With another label it is another to Streamlit, and would shut.
    form = st.expander(
        literal(inert(" · ".join(chosen), 120)), opened, icon=":material/tune:", key="settings-line", on_change="rerun"
    )
    visit().settings_open = bool(form.open)
    with form:
        settings = pick_settings(pressed, several_views, taught)
        if plain and settings.execution != "plain":
            st.caption(plain)
    return settings


def taught_folder() -> str:
    """The folder of the checkpoint that the visitor has taught; '' while there is none."""
    taught = get_server().lessons.taught(visitor())
    return taught.folder if taught else ""


def _pick_checkpoint(taught: str) -> str:
    """Draw the choice. Args: taught: the folder of the visitor's own; '' where there is none."""
    others = [KINETICS_CHECKPOINT, REPOSITORY, *[FOLDER] * offers_folders(), RANDOM]
    options = [*embedded_checkpoints(), *[TAUGHT] * bool(taught), *others]
    beside = st.container(horizontal=True, gap="small")
    chosen = beside.selectbox(
        "Checkpoint",
        options,
        key="checkpoint",
        bind="query-params",
        label_visibility="collapsed",
        help=f"What is embedded, {' and '.join(embedded_checkpoints())}, is small and our own, trained on rendered clips of "
        "one figure: it knows 36 actions of that figure and nothing of real videos.",
    )
    if chosen == TAUGHT:
        return taught
    if chosen == FOLDER:
        folder = st.text_input("Folder", key="folder", placeholder="/path/to/a/folder/with/config.json").strip()
        if not folder:
            st.info("Type the folder of a model written by `save_pretrained`.", icon=":material/folder:")
        return str(as_path(folder).absolute()) if folder else ""
    if chosen in (KINETICS_CHECKPOINT, REPOSITORY):
        name, revision = (chosen, "") if chosen == KINETICS_CHECKPOINT else pick_repository()
        return hub_checkpoint(name, revision) if name else ""
    if chosen == RANDOM:
        with beside:
            model = _pick_model()
        st.caption(
            f"{capitalised(FACTORIZATIONS[model])}. Random weights: for timing and memory only. It predicts nothing, so "
            "nothing is shown."
        )
        return random_name(model)
    return chosen


def _pick_model() -> str:
    """Which of the paper's four, where the weights are random; a key of `FACTORIZATIONS`."""
    chosen = st.selectbox(
        "Model",
        list(MODELS),
        key="model",
        bind="query-params",
        label_visibility="collapsed",
        help="What is factorised, in the paper's numbers:\n\n"
        + _list({label: FACTORIZATIONS[name].partition(": ")[2] for label, name in MODELS.items()}),
    )
    return MODELS[chosen]


def checkpoints_here() -> list[str]:
    """The checkpoints that can be measured: those on this machine, folders among them that this visit has used."""
    names = [*embedded_checkpoints(), *(f"{name}@{commit}" for name, commit in cached_checkpoints().items())]
    used = [settings.checkpoint for settings in (visit().settings, *(run.settings for run in visit().runs)) if settings]
    used = [name for name in used if not is_taught(name)]  # it goes when there is another
    return list(dict.fromkeys(name for name in (*names, taught_folder(), *used, *RANDOM_CONFIGS) if name))


def pick_others(name: str, key: str, normalisation: str, *, trained: bool = False) -> list[str]:
    """Draw the choice of checkpoints that are to stand beside one on the same clip; those that take another have a reason.

    Args:
        name: the one.
        key: the widget's.
        normalisation: a key of `NORMALISATION`, which all run with.
        trained: whether they must know something: random weights do not.
    """
    fitting, reasons = _others(name, normalisation)
    if trained:
        fitting = [other for other in fitting if other not in RANDOM_CONFIGS]
        reasons = {other: why for other, why in reasons.items() if other not in RANDOM_CONFIGS}
    if kept := [other for other in widget(key) or [] if other in fitting]:
        set_widget(key, kept)  # of another checkpoint some may have fitted that do not now
    elif widget(key):
        set_widget(key, [])
    compared = (
        "How often each is right is compared, and which answers change."
        if trained
        else "Time and memory are compared with those of the first; answers of other weights are not."
    )
    chosen = st.multiselect(
        "Models beside it",
        fitting,
        key=key,
        format_func=_called,
        placeholder=f"Other checkpoints on {'these clips' if trained else 'this clip'}",
        disabled=not fitting,
        help=f"Each runs the same cells on the same frames. {compared}",
    )
    for reason in dict.fromkeys(reasons.values()):
        names = [_called(other) for other, why in reasons.items() if why == reason]
        each = "each of " * (len(names) > 1)
        st.caption(f":material/block: Not beside it: {each}{literal(', '.join(names))} {literal(reason)}.")
    return chosen


def _called(name: str) -> str:
    """A checkpoint in a list: a model by its label, a folder by its last part."""
    path = as_path(name)
    return MODEL_LABELS.get(name) or inert(path.name if path.is_absolute() else called(name))


def _others(name: str, normalisation: str) -> tuple[list[str], dict[str, str]]:
    """The checkpoints here that take the same frames as one of that name, and why the others cannot be beside it."""
    fitting, reasons = [], {}
    changes = NORMALISATIONS.get(normalisation, {})
    for other in checkpoints_here():
        if other == name:
            continue
        with suppress(ValueError):  # what cannot be used says so on the page Classify, where it is chosen
            first, found = (open_checkpoint(each, weights=False, here=True) for each in (name, other))
            if differs := other_input(first, found, **changes):
                reasons[other] = differs
            else:
                fitting.append(other)
    return fitting, reasons


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
        help=_list(options),
        wrap=True,
        width="content",
        disabled=len(here) == 1,
    )
    return chosen or default


def _pick_execution(checkpoint: str, attention: str, precision: str) -> str:
    """The same of the ways to run; beside it what a first call takes, or that nothing can be compiled here."""
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


def _list(options: dict[str, str]) -> str:
    return "\n".join(f"- **{name}**: {text}" for name, text in options.items())


def missing(kind: Literal["attention", "precision"]) -> dict[str, str]:
    """Names that run in no combination here → why. Empty until the model worker has looked."""
    machine = get_machine()
    support = machine.support if machine else ()
    runs = {getattr(s, kind) for s in support if not s.reason}
    found: dict[str, str] = {}
    for one in support:  # the first reason is of float32, the last may be of what only the other is lacking
        if getattr(one, kind) not in runs:
            found.setdefault(getattr(one, kind), one.reason)
    return found


def missing_executions() -> dict[str, str]:
    """Ways to run a model that there are not here → why. Empty until the model worker has looked."""
    machine = get_machine()
    return {name: reason for name, reason in machine.executions.items() if reason} if machine else {}


def first_calls_said(cells: Iterable[Cell], often: str) -> str:
    """What the first calls of cells compile and capture, the longest of each; '' where they make nothing.

    Args:
        often: when there is one.
    """
    machine = get_machine()
    kinds: dict[bool, list[Cell]] = {}
    for cell in cells:
        if cell.prepares:
            kinds.setdefault(cell.compiles, []).append(cell)
    if machine is None or not kinds:
        return ""
    found = [cell for group in kinds.values() for cell in group]
    try:
        configs = {
            name: open_checkpoint(name, weights=False, here=True).config
            for name in dict.fromkeys(cell.checkpoint for cell in found)
        }
    except ValueError:  # which the page itself tells
        return ""
    words = []
    for group in kinds.values():
        calls = [call for cell in group if (call := first_calls.known(machine, configs[cell.checkpoint], cell))]
        longest = max(calls, key=lambda call: call.seconds, default=None)
        words.append(first_calls.said(longest, group[0], often))
    return capitalised(f"{'; '.join(words)}.")


def runs_here(attention: str, precision: str) -> bool:
    """Whether this backend is known to run in this precision here."""
    machine = get_machine()
    found = machine.find(attention, precision) if machine else None
    return found is not None and not found.reason


def unavailable(settings: Settings) -> str:
    """Why this backend does not run in this precision here; '' if it does or that is not known yet."""
    machine = get_machine()
    found = machine.find(settings.attention, settings.precision) if machine else None
    return (found.reason if found else "") or missing_executions().get(settings.execution, "")


def estimate_seconds(settings: Settings, checkpoint: Checkpoint, *, first: bool = True) -> float:
    """How long one pass over a clip's views will take here, for a backend that runs here once the model worker is up.

    Args: first: as `cost.estimate_seconds`'.
    """
    machine = get_machine()
    assert machine is not None
    return cost.estimate_seconds(
        checkpoint.config,
        machine,
        settings.attention,
        settings.precision,
        settings.execution,
        batch_size=settings.cell.batch_size,
        first=first,
        measured=first_call_seconds(settings.cell, checkpoint),
    )


def first_call_seconds(cell: Cell, checkpoint: Checkpoint) -> float | None:
    """What a cell's first call took here beyond a later one; None if that has not been measured."""
    machine = get_machine()
    known = first_calls.known(machine, checkpoint.config, cell) if machine else None
    return known.seconds if known else None


def open_trained(settings: Settings) -> tuple[Checkpoint | None, str]:
    """The checkpoint that was chosen, or why nothing can be predicted by it; neither while none is here."""
    if not settings.checkpoint:
        return None, ""
    try:
        checkpoint = open_checkpoint(settings.checkpoint, here=True)
    except ValueError as error:
        return None, str(error)
    if not checkpoint.trained:
        return None, f"{called(checkpoint.name)} has random weights, which know no action. Choose a trained checkpoint."
    return checkpoint, ""
