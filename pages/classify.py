"""Pick or upload a clip, see the frames the model gets, run, read the answer, and what each backend takes for it."""

from dataclasses import replace
from typing import NoReturn

import streamlit as st

from engine import Job
from engine.tasks import Classification, Classify, ReadFrames
from ui.advice import show_advice
from ui.answer import in_words, show_answer, show_brief, show_costs, show_stages
from ui.chosen import Settings
from ui.classified import Run
from ui.clip_sources import choose_clip
from ui.clips import play
from ui.components.status_line import announce
from ui.escape import literal
from ui.frames import show_frames, show_marks
from ui.jobs import ask, finished, job_for, ready
from ui.machine import show_machine
from ui.page import frame
from ui.query_params import check_link, remember_link
from ui.reproduce import show_reproduce
from ui.runs import has_run, record, run_before, show_runs
from ui.settings import CONTROLS, MOST_ANSWERS, pick_settings
from ui.side_by_side import show_side_by_side
from ui.visit import visit, visitor
from ui.what_runs import SLOW_SECONDS, estimate_seconds, unavailable
from vivit.checkpoint import open_checkpoint

visitor()  # tells the server that they are here: the first run after a lost connection may ask for nothing else that does
remember_link("classify")
pressed, voice = frame()

with st.container():  # so that what is drawn here moves no widget below: a widget that moves is lost from the address
    clip = choose_clip({"left": -1, "right": 1}.get(pressed, 0))
player, right = st.columns([300, 1060], gap="medium")
with right:
    left, controls = st.columns([47, 53], gap="medium")
with left:
    answer, costs, hints = st.container(), st.container(key="costs"), st.container()
with controls, st.container(key="controls"):
    settings = pick_settings(pressed, several_views=True)
    check_link("classify", CONTROLS)
    progress = st.container()
if clip is None:
    answer.info(
        "Upload or record a clip of a few seconds that shows one action, or pick one above. You will see which frames the "
        "model gets, its answer, how long it took and how much memory.",
        title="Start here",
        icon=":material/arrow_upward:",
    )
    show_machine()
    st.stop()
if not settings.checkpoint:
    answer.info("The answer will stand here once the checkpoint is on this machine.", icon=":material/hourglass_empty:")
    show_machine()
    st.stop()
visit().settings = settings
with hints:
    show_advice(settings.checkpoint)
former = visit().runs[-1] if visit().runs else None
path, truth = clip.path, clip.truth


def draw(run: Run | None) -> None:
    """Draw an answer and what it cost; while there is none, those of the former run."""
    if shown := run or former:
        with answer, st.container(key="answer"):
            show_answer(shown, settings.top_k, former=run is None)
        with costs:
            show_costs(shown, run_before(shown))


def stop() -> NoReturn:
    with voice:
        announce("")
    draw(None)
    st.stop()


def classify(chosen: Settings) -> Job[Classification]:
    request = Classify(
        chosen.checkpoint,
        chosen.attention,
        chosen.precision,
        chosen.normalisation,
        MOST_ANSWERS,
        frames.result.shape,
        truth,
        chosen.execution,
        frames.result.views.count,
    )
    key = f"classify {chosen.checkpoint} {chosen.how}"
    return ask(request, [frames.blobs[0]], cost_key=key)


to_read = ReadFrames(path, settings.checkpoint, settings.sampling, settings.stride, settings.views)
frames = job_for("frames", to_read, lambda: ask(to_read))
with progress:
    if not finished(frames, "frames", "Reading the clip"):
        stop()
with player:
    play(clip, frames)
    show_marks(frames)
with progress:
    if not ready("model"):
        stop()
    if reason := unavailable(settings):
        st.error(reason, icon=":material/block:")
        stop()
    try:
        checkpoint = open_checkpoint(settings.checkpoint, here=True)
    except ValueError as error:  # the folder has gone or changed since the frames were read
        st.error(literal(str(error)), icon=":material/error:")
        stop()
    run = None
    key = (frames.id, replace(settings, top_k=MOST_ANSWERS))  # fewer of the same answers are no other question
    seconds = estimate_seconds(settings, checkpoint, first=not has_run(settings))
    if seconds < SLOW_SECONDS or visit().wanted.get("answer") == key:
        job = job_for("answer", key, lambda: classify(settings))
        if finished(job, "answer", "Classifying"):
            run = record(job, clip.name, settings, frames)
            show_brief(run)
        elif job.state == "cancelled":
            visit().wanted.pop("answer", None)  # the next slow run waits for a click again
    else:
        st.caption(f"This will take about {seconds:,.0f} s on this machine, an estimate from its measured speed.")
        if st.button("Run", type="primary", icon=":material/play_arrow:"):
            visit().wanted["answer"] = key
            visit().jobs.pop("answer", None)  # a cancelled job for the same key
            st.rerun()
draw(run)
verdict = show_side_by_side(clip.name, frames, settings, checkpoint, run)
with voice:
    announce(verdict or (in_words(run) if run else ""))

st.header("What the model sees")
show_frames(frames, checkpoint.config)
if run:
    show_stages(run, settings.top_k)
st.header("This visit's runs")
if show_runs(run):
    del visit().jobs["answer"]
    st.rerun()
show_reproduce(path if clip.truth else clip.name, settings)
show_machine()
