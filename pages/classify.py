"""Pick or upload a clip, see the frames the model gets, run, read the answer."""

import json

import streamlit as st

from engine import Job
from engine.tasks import Classification, Classify, ReadFrames
from ui.answer import show_answer
from ui.clip_sources import choose_clip
from ui.clips import play, upload_clip
from ui.escape import literal
from ui.frames import show_frames
from ui.jobs import ask, finished, job_for, ready
from ui.machine import show_machine
from ui.query_params import check_link, remember_link
from ui.reproduce import show_reproduce
from ui.runs import plan_runs, record, run_planned, show_runs
from ui.settings import CONTROLS, backends_here, estimate_seconds, pick_settings, unavailable
from ui.visit import Settings, visit, visitor
from vivit.benchmark.measurement import GLANCE
from vivit.checkpoint import open_checkpoint

SLOW_SECONDS = 2.0  # what takes longer waits for the visitor's word

visitor()  # is here: the first run after a lost connection may ask for nothing that would tell
remember_link("classify")

st.title("What is happening in this clip?")
st.caption(
    "ViViT, the Video Vision Transformer, looks at a few frames of a clip and names the action. "
    "Switch the attention backend or the precision and see what changes: the answer should not, latency and memory do. "
    "Uploads stay on this machine and are deleted when you leave."
)
with st.container():  # so that whatever it draws moves no widget below: one that moves is lost from the address
    clip = choose_clip()
left, right = st.columns([2, 3], gap="large")
with left:
    player = st.container()
    upload_clip()
    settings = pick_settings()
    check_link("classify", CONTROLS)
if clip is None:
    right.info(
        "Upload a clip of a few seconds that shows one action, or pick one above. You will see which frames the model "
        "gets, its answer, how long it took and how much memory.",
        title="Start here",
        icon=":material/arrow_back:",
    )
    show_machine()
    st.stop()
if not settings.checkpoint:
    right.info("The answer will stand here once the checkpoint is on this machine.", icon=":material/hourglass_empty:")
    st.header("This visit's runs")
    show_runs()
    show_machine()
    st.stop()
path, truth = clip.path, clip.truth


def classify(chosen: Settings, slot: str = "") -> Job[Classification]:
    request = Classify(
        chosen.checkpoint,
        chosen.attention,
        chosen.precision,
        chosen.normalisation,
        chosen.top_k,
        frames.result.shape,
        truth,
    )
    key = f"classify {chosen.checkpoint} {chosen.attention} {chosen.precision}"
    return ask(request, [frames.blobs[0]], cost_key=key, slot=slot)


to_read = ReadFrames(path, settings.checkpoint, settings.sampling, settings.stride)
frames = job_for("frames", to_read, lambda: ask(to_read))
with right:
    if not finished(frames, "frames", "Reading the clip"):
        st.stop()
with player:
    play(clip, frames)
run = None
with right:
    if not ready("model"):
        st.stop()
    if reason := unavailable(settings):
        st.error(reason, icon=":material/block:")
        st.stop()
    try:
        checkpoint = open_checkpoint(settings.checkpoint, here=True)
    except ValueError as error:  # the folder has gone or changed since its frames were made
        st.error(literal(str(error)), icon=":material/error:")
        st.stop()
    seconds = estimate_seconds(settings, checkpoint)
    if seconds < SLOW_SECONDS or visit().wanted.get("answer") == (frames.id, settings):
        job = job_for("answer", (frames.id, settings), lambda: classify(settings))
        if finished(job, "answer", "Classifying"):
            run = record(job, clip.name, settings, frames)
            show_answer(run)
    else:
        st.info(f"This will take about {seconds:,.0f} s on this machine, an estimate from its measured speed.")
        if st.button("Run", type="primary", icon=":material/play_arrow:"):
            visit().wanted["answer"] = (frames.id, settings)
            st.rerun()

st.header("What the model sees")
show_frames(frames)
st.header("This visit's runs")
everything = backends_here(settings)
about = sum(estimate_seconds(s, checkpoint) + GLANCE.seconds for s in everything)
with st.container(horizontal=True, vertical_alignment="center"):  # its progress beside it moves nothing below
    if st.button(f"Run all {len(everything)} backends on this clip (about {about:,.0f} s)", icon=":material/speed:"):
        plan_runs(frames, everything)
    run_planned(clip.name, frames, classify)
show_runs()
st.download_button(
    "Download this run as JSON",
    lambda: json.dumps(run.to_dict(), indent=2) if run else "",  # made when asked for, so there is no file to vanish
    "vivit-run.json",
    "application/json",
    on_click="ignore",
    icon=":material/download:",
    disabled=run is None,
)
show_reproduce(path if clip.truth else clip.name, settings)
show_machine()
