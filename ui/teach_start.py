"""Teaching is begun, followed and cancelled; before that, why it cannot begin, and about how long it takes."""

from collections.abc import Mapping, Sequence

import streamlit as st

from engine.teachings import RunningTeaching, TaughtClass, TeachAsked
from ui.checkpoints import FOLDER, REPOSITORY
from ui.chosen import Settings
from ui.escape import capitalised, inert, literal
from ui.following import cancel_button
from ui.server import get_server
from ui.taught import TAUGHT
from ui.teach_classes import count, refuse, show_refused, shown, try_anew
from ui.visit import set_widget, visit, visitor, widget
from ui.what_runs import READ_SECONDS, estimate_seconds, unavailable
from vivit.benchmark.wording import duration
from vivit.checkpoint import Checkpoint
from vivit.errors import UserError
from vivit.hub import KINETICS_CHECKPOINT, as_path, cached_checkpoints, embedded_checkpoints, split_name
from vivit.names import WITHOUT_STRIDE

TEACH = "teach"  # the button's key
FIT_SECONDS = 1.0  # about what the rest takes


def asked_of(settings: Settings) -> TeachAsked:
    """By which model features are taken, and how."""
    return TeachAsked(
        settings.checkpoint,
        settings.attention,
        settings.precision,
        settings.execution,
        settings.normalisation,
        settings.sampling,
        settings.stride,
    )


def ask_again(asked: TeachAsked) -> None:
    """Where the controls name the taught checkpoint, have them say what it was made of: it is not taught from itself."""
    link = visit().links["teach"]
    if TAUGHT not in (widget("checkpoint"), link.get("checkpoint")):
        return
    link.clear()  # the link was of the page where the taught checkpoint was chosen
    name, revision = split_name(asked.checkpoint)
    if as_path(name).is_absolute():
        wanted = {"checkpoint": FOLDER, "folder": name}
    elif name in (*embedded_checkpoints(), KINETICS_CHECKPOINT):
        wanted = {"checkpoint": name}
    else:
        wanted = {"checkpoint": REPOSITORY, "repository": name, "revision": revision or ""}
    for key in ("attention", "precision", "execution", "normalisation", "sampling"):
        wanted[key] = getattr(asked, key)
    for key, value in wanted.items():
        set_widget(key, value)
    if asked.sampling not in WITHOUT_STRIDE:
        set_widget("stride", asked.stride)


def show_base(settings: Settings) -> None:
    """Say what is fitted when this model is taught, and which model real videos need."""
    name = split_name(settings.checkpoint)[0]
    if not name:
        return
    said = f"**{literal(inert(name))}** is frozen: only a new head is fitted to what it sees. "
    if name in embedded_checkpoints():
        size = ", a download of 356 MB" * (KINETICS_CHECKPOINT not in cached_checkpoints())
        said += (
            "It is a demonstration that has seen one rendered figure. For real videos choose "
            f"**{literal(KINETICS_CHECKPOINT)}** above{size}."
        )
    st.caption(said)


def show_button(classes: Sequence[TaughtClass], settings: Settings, checkpoint: Checkpoint | None, fault: str) -> None:
    """Draw the button that begins, and why it cannot be pressed or how long teaching will take.

    Args:
        classes: what is to be taught.
        settings, checkpoint: by which model; no checkpoint while none is here.
        fault: why the checkpoint cannot be used; '' where it can.
    """
    filled = [one for one in classes if one.examples]
    reason = why_not(classes) or fault or unavailable(settings)
    if not reason and checkpoint is None:
        named = widget("checkpoint") == KINETICS_CHECKPOINT or widget("repository")
        reason = (
            "The checkpoint is not on this machine yet: download it above." if named else "Choose a checkpoint above."
        )
    clips = sum(len(one.examples) for one in filled)
    words = f"Teach {len(filled)} classes, {count(clips)}" if len(filled) > 1 else "Teach"
    pressed = st.button(
        words, type="primary", icon=":material/school:", disabled=bool(reason), key=TEACH, width="stretch"
    )
    show_refused(TEACH)
    if reason or checkpoint is None:
        st.markdown(f":small[:material/info: {literal(reason)}]")
        return
    empty = [shown(one.name) for one in classes if not one.examples]
    without = f" Without {', '.join(empty)}, which {'have' if len(empty) > 1 else 'has'} no clip." * bool(empty)
    st.markdown(f":small[About {duration(seconds_of(filled, settings, checkpoint))}.{without}]")
    if pressed:
        try_anew(TEACH)
        try:
            get_server().lessons.teach(visitor(), asked_of(settings))
        except UserError as error:
            refuse(TEACH, str(error))
        st.rerun()


def why_not(classes: Sequence[TaughtClass]) -> str:
    """What there must be before anything can be taught; '' where it is there."""
    filled = [one for one in classes if one.examples]
    if len(classes) < 2:
        return "Two classes are needed, each with a clip." if not classes else "A second class is needed."
    if len(filled) < 2:
        empty = [f"'{inert(one.name)}'" for one in classes if not one.examples]
        return f"Two classes with a clip each are needed; there is none yet of {', '.join(empty)}."
    return ""


def seconds_of(classes: Sequence[TaughtClass], settings: Settings, checkpoint: Checkpoint) -> float:
    """About how long teaching takes: features that were taken for the last checkpoint are not taken again."""
    taught = get_server().lessons.taught(visitor())
    known = {clip.id for clip in taught.examples} if taught and taught.asked == asked_of(settings) else set()
    new = sum(clip.id not in known for one in classes for clip in one.examples)
    return new * (READ_SECONDS + estimate_seconds(settings, checkpoint, first=False)) + FIT_SECONDS


@st.fragment(run_every=0.5)
def follow() -> None:
    """Draw how far teaching is until it ends, and its cancel."""
    running = get_server().lessons.running(visitor())
    if running is None or running.state != "running":
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(running.progress, literal(capitalised(running.note)))
        cancel_button(running, "teach-cancel")


def show_ended(running: RunningTeaching | None) -> None:
    """Why the last one ended early, if it did."""
    if running and running.error:
        st.error(literal(running.error), icon=":material/error:")
    if running and running.state == "cancelled":
        st.markdown(":small[:material/cancel: Cancelled. What was found of each clip until then is kept.]")


def faults_of(running: RunningTeaching | None) -> dict[str, str]:
    """The ids of clips that could not be used → why: in the run that was begun last, and in the last that was done."""
    if running and running.state == "done":
        visit().lesson.faults = running.faults
    return visit().lesson.faults | (running.faults if running else {})


def show_faults(faults: Mapping[str, str], classes: Sequence[TaughtClass]) -> None:
    """Which clips could not be used, and why; of those that are still there."""
    here = {clip.id: clip.name for one in classes for clip in one.examples}
    lines = [f"{literal(inert(here[id]))}: {literal(why)}" for id, why in faults.items() if id in here]
    if lines:
        st.warning("\n\n".join([f"{count(len(lines))} could not be used.", *lines]), icon=":material/broken_image:")
