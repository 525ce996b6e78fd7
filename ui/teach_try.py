"""What was taught is tried at once on a new clip, which becomes an example if it was named wrong."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import streamlit as st

from engine import Job
from engine.tasks import Classification, Classify, Frames, ReadFrames
from engine.teachings import Taught, TaughtClass
from ui import charts
from ui.answer import warn_unfamiliar
from ui.chosen import ChosenClip
from ui.clips import own_clip, pick_clip, upload_clip
from ui.components.camera_recorder import camera_recorder
from ui.escape import capitalised, inert, literal
from ui.jobs import ask, finished, job_for
from ui.server import get_server
from ui.teach_classes import show_refused
from ui.teach_fill import BUNDLED, EXAMPLE_SECONDS, UPLOAD, add_example, pick_source
from ui.visit import visit, visitor, widget
from vivit.benchmark.wording import percent

ANSWERS = 5
ADDED = "try-class"  # the widget that says to which class a clip is added


def try_it(taught: Taught, classes: Sequence[TaughtClass]) -> str:
    """Draw where a clip comes from, and what the taught checkpoint says of it; returns that in words, '' without."""
    st.subheader("Try it", anchor=False)
    source = pick_source("try-from", "Where the clip comes from")
    if source == BUNDLED:
        clip = pick_clip()
    elif source == UPLOAD:
        upload_clip()
        clip = own_clip()
    else:
        camera_recorder(get_server().cameras.token(visitor()), usual=EXAMPLE_SECONDS)
        clip = own_clip()
    if clip is None:
        return ""
    asked = taught.asked
    to_read = ReadFrames(clip.path, taught.folder, asked.sampling, asked.stride)
    frames = job_for("frames", to_read, lambda: ask(to_read))
    if not finished(frames, "frames", "Reading the clip"):
        return ""
    job = job_for("tried", (frames.id, taught.folder), partial(_classify, taught, frames))
    if not finished(job, "tried", "Classifying"):
        return ""
    said = _show_answer(clip, taught, job.result)
    _offer_to_add(clip, classes)
    return said


def _classify(taught: Taught, frames: Job[Frames]) -> Job[Classification]:
    asked = taught.asked
    request = Classify(
        taught.folder,
        asked.attention,
        asked.precision,
        "checkpoint",
        ANSWERS,
        frames.result.shape,
        execution=asked.execution,
    )
    return ask(request, [frames.blobs[0]])


def _show_answer(clip: ChosenClip, taught: Taught, found: Classification) -> str:
    answers = found.predictions or ()
    best = answers[0]
    with st.container(gap="xxsmall"):
        st.markdown(f"### {literal(inert(capitalised(best.label)))}")
        st.caption(f"{percent(best.score)}, of '{literal(clip.name)}'")
    charts.show(charts.predictions(answers), "tried-answers", "The most likely classes and their probabilities")
    unlike = found.familiar is False
    if unlike:
        warn_unfamiliar(taught.folder)
    return f"{capitalised(inert(best.label))}, {percent(best.score)}{', but outside what it was taught' * unlike}."


def _offer_to_add(clip: ChosenClip, classes: Sequence[TaughtClass]) -> None:
    names = {one.id: inert(one.name) for one in classes}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        to = st.selectbox(
            "Was it wrong? Add the clip to",
            list(names),
            None,
            key=ADDED,
            format_func=lambda id: names[id],
            placeholder="Choose its class",
            width=280,
        )
        st.button("Add it", icon=":material/add:", disabled=to is None, on_click=_add, args=[clip])
    show_refused(ADDED)
    path, id = visit().lesson.added
    if path == clip.path and any(id == example.id for one in classes for example in one.examples):
        st.markdown(":small[:material/check_circle: It is an example now. Teach again to take it in.]")


def _add(clip: ChosenClip) -> None:
    if example := add_example(ADDED, widget(ADDED), clip.name, Path(clip.path)):
        visit().lesson.added = clip.path, example.id
