"""Which checkpoints there are here, and the choice of one, or of several that stand beside it."""

from contextlib import suppress

import streamlit as st

from ui.chosen import Settings
from ui.escape import capitalised, inert, listed, literal
from ui.hub import hub_checkpoint, pick_repository
from ui.server import get_server, offers_folders
from ui.taught import TAUGHT, called, is_taught
from ui.visit import set_widget, visit, visitor, widget
from vivit.benchmark.side_by_side import other_input
from vivit.checkpoint import RANDOM, RANDOM_CONFIGS, Checkpoint, open_checkpoint, random_name
from vivit.hub import KINETICS_CHECKPOINT, as_path, cached_checkpoints, embedded_checkpoints
from vivit.names import FACTORIZATIONS
from vivit.processing import NORMALISATIONS

REPOSITORY = "another repository of the Hugging Face Hub…"
FOLDER = "a folder on this machine…"
MODELS = {  # the paper's four by what is factorised, in words that the address has as they are → the factorisation
    "1 · unfactorised": "none",
    "2 · encoder": "encoder",
    "3 · self-attention": "self_attention",
    "4 · dot-product": "dot_product",
}
MODEL_LABELS = {random_name(name): f"model {label} (random weights)" for label, name in MODELS.items()}


def pick_checkpoint(taught: str) -> str:
    """Draw the choice of a checkpoint; returns its name, '' while none is here. Args: taught: the visitor's folder, or ''."""
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
        + listed({label: FACTORIZATIONS[name].partition(": ")[2] for label, name in MODELS.items()}),
    )
    return MODELS[chosen]


def taught_folder() -> str:
    """The folder of the checkpoint that the visitor has taught; '' while there is none."""
    taught = get_server().lessons.taught(visitor())
    return taught.folder if taught else ""


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


def checkpoints_here() -> list[str]:
    """The checkpoints that can be measured: those on this machine, folders among them that this visit has used."""
    names = [*embedded_checkpoints(), *(f"{name}@{commit}" for name, commit in cached_checkpoints().items())]
    used = [settings.checkpoint for settings in (visit().settings, *(run.settings for run in visit().runs)) if settings]
    used = [name for name in used if not is_taught(name)]  # a taught checkpoint goes when others are taught
    return list(dict.fromkeys(name for name in (*names, taught_folder(), *used, *RANDOM_CONFIGS) if name))


def pick_others(name: str, key: str, normalisation: str, *, trained: bool = False) -> list[str]:
    """Draw the choice of checkpoints to stand beside one on the same clip; why those with another input cannot is said.

    Args:
        name: the checkpoint that they stand beside.
        key: the widget's.
        normalisation: a key of `NORMALISATION`, which all run with.
        trained: whether they must know something: random weights do not.
    """
    fitting, reasons = _others(name, normalisation)
    if trained:
        fitting = [other for other in fitting if other not in RANDOM_CONFIGS]
        reasons = {other: why for other, why in reasons.items() if other not in RANDOM_CONFIGS}
    if kept := [other for other in widget(key) or [] if other in fitting]:
        set_widget(key, kept)  # some that fitted beside another checkpoint may not fit beside this one
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
