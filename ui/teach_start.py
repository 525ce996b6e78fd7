"""Teaching is begun, followed and cancelled; before that, why it cannot begin, and about how long it takes."""

from collections.abc import Sequence

import streamlit as st

from engine.lessons import RunningTeaching, TaughtClass, TeachAsked
from ui.escape import capitalised, inert, literal
from ui.server import get_server
from ui.settings import estimate_seconds, unavailable
from ui.teach_classes import called, count, refuse, show_refused
from ui.visit import Settings, visitor
from vivit.benchmark.wording import duration
from vivit.checkpoint import Checkpoint
from vivit.errors import UserError
from vivit.hub import KINETICS_CHECKPOINT, embedded_checkpoints, split_name

TEACH = "teach"  # the button's key
READ_SECONDS = 0.1  # about what reading a clip of a few seconds takes
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


def show_base(settings: Settings) -> None:
    """Say what a model that is taught keeps, and which one is for what."""
    name = split_name(settings.checkpoint)[0]
    if not name:
        return
    said = f"**{literal(inert(name))}** is frozen: only a new head is fitted to what it sees. "
    if name in embedded_checkpoints():
        said += (
            "It is a demonstration that has seen one rendered figure. For real videos choose "
            f"**{literal(KINETICS_CHECKPOINT)}** above, a download of 356 MB."
        )
    st.caption(said)


def show_button(classes: Sequence[TaughtClass], settings: Settings, checkpoint: Checkpoint | None, fault: str) -> None:
    """Draw it, and why it cannot be pressed or how long it will take."""
    filled = [one for one in classes if one.examples]
    reason = why_not(classes) or fault or unavailable(settings)
    if not reason and checkpoint is None:
        reason = "The checkpoint is not on this machine yet: download it above."
    clips = sum(len(one.examples) for one in filled)
    words = f"Teach {len(filled)} classes, {count(clips)}" if clips else "Teach"
    pressed = st.button(
        words, type="primary", icon=":material/school:", disabled=bool(reason), key=TEACH, width="stretch"
    )
    if reason or checkpoint is None:
        st.markdown(f":small[:material/info: {literal(reason)}]")
        return
    empty = [called(one.name) for one in classes if not one.examples]
    without = f" Without {', '.join(empty)}, which {'have' if len(empty) > 1 else 'has'} no clip." * bool(empty)
    st.markdown(f":small[About {duration(seconds_of(filled, settings, checkpoint))}.{without}]")
    show_refused(TEACH)
    if pressed:
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
    """About how long it takes: features that were taken for the last checkpoint are not taken again."""
    taught = get_server().lessons.taught(visitor())
    known = {clip.id for clip in taught.examples} if taught and taught.asked == asked_of(settings) else set()
    new = sum(clip.id not in known for one in classes for clip in one.examples)
    return new * (READ_SECONDS + estimate_seconds(settings, checkpoint, first=False)) + FIT_SECONDS


@st.fragment(run_every=0.5)
def follow() -> None:
    """Draw how far it is until it ends, and its cancel."""
    running = get_server().lessons.running(visitor())
    if running is None or running.state != "running":
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(running.progress, literal(capitalised(running.note)))
        if st.button("Cancel", key="teach-cancel", icon=":material/cancel:"):
            running.cancel()
            running.wait(2.5)
            st.rerun()


def show_ended(running: RunningTeaching | None) -> None:
    """Why the last one ended early, if it did."""
    if running and running.error:
        st.error(literal(running.error), icon=":material/error:")
    if running and running.state == "cancelled":
        st.markdown(":small[:material/cancel: Cancelled. What was found of each clip until then is kept.]")


def show_faults(running: RunningTeaching | None, classes: Sequence[TaughtClass]) -> None:
    """Which clips could not be used, and why; of those that are still there."""
    here = {clip.id: clip.name for one in classes for clip in one.examples}
    faults = [(here[id], why) for id, why in dict(running.faults if running else {}).items() if id in here]
    if faults:
        lines = [f"{literal(inert(name))}: {literal(why)}" for name, why in faults]
        st.warning("\n\n".join([f"{count(len(faults))} could not be used.", *lines]), icon=":material/broken_image:")
