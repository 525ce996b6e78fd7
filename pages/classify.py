"""Pick or upload a clip, see the frames the model gets, run, read the answer."""

import json
from dataclasses import asdict

import streamlit as st

from engine import Job
from ui import charts
from ui.clips import pick_clip
from ui.frames import show_frames
from ui.jobs import finished, job_for, ready
from ui.machine import show_machine
from ui.runs import record, show_runs
from ui.server import get_engine, visitor
from ui.settings import estimate_seconds, pick_settings, unavailable

SLOW_SECONDS = 8.0  # what takes longer waits for the visitor's word

me, engine = visitor(), get_engine()

st.title("What is happening in this clip?")
st.caption(
    "ViViT, the Video Vision Transformer, looks at a few frames of a clip and names the action. "
    "Switch the attention backend or the precision and see what changes: the answer should not, latency and memory do. "
    "Uploads stay on this machine and are deleted when you leave."
)
left, right = st.columns([2, 3], gap="large")
with left:
    clip = pick_clip()
    if clip is not None:
        st.video(clip.path, alt=f"The chosen clip: {clip.name}", muted=True, loop=True)
    settings = pick_settings()
if clip is None:
    right.info(
        "Upload a clip of a few seconds that shows one action. You will see which frames the model gets, its answer, "
        "how long it took and how much memory.",
        title="Start here",
        icon=":material/arrow_back:",
    )
    show_machine()
    st.stop()
assert clip is not None


def read_frames() -> Job:
    return engine.submit("media", "read", {"path": clip.path} | asdict(settings), visitor=me)


def classify() -> Job:
    key = f"classify {settings.checkpoint} {settings.attention} {settings.precision}"
    arguments = asdict(settings) | {"shape": frames.result["shape"]}
    return engine.submit("model", "classify", arguments, [frames.blobs[0]], visitor=me, cost_key=key)


with right:
    answer = st.container()
frames = job_for("frames", (clip.path, settings.checkpoint, settings.sampling, settings.stride), read_frames)
with answer:
    if not finished(frames, "frames", "Reading the clip"):
        st.stop()
    if not ready("model"):
        st.stop()
    if reason := unavailable(settings):
        st.error(reason, icon=":material/block:")
        st.stop()
    seconds = estimate_seconds(settings)
    wanted = st.session_state.get("wanted") == (frames.id, settings)
    if seconds > SLOW_SECONDS and not wanted:
        st.info(f"This will take about {seconds:,.0f} s on this machine, an estimate from its measured speed.")
        if st.button("Run", type="primary", icon=":material/play_arrow:"):
            st.session_state["wanted"] = (frames.id, settings)
            st.rerun()
        job = None
    else:
        job = job_for("answer", (frames.id, settings), classify)
    if job is not None and finished(job, "answer", "Classifying"):
        run = record(job, clip.name, settings, frames)
        if run.result["predictions"] is None:
            st.info("Random weights predict nothing, so no answer is shown: only frames, time and memory are real.")
        else:
            st.subheader(run.result["predictions"][0]["label"].capitalize())
            st.plotly_chart(
                charts.predictions(run.result["predictions"]),
                alt="The most likely actions and their probabilities",
                config={"displayModeBar": False},
                key="predictions",
            )
        with st.container(horizontal=True):
            st.metric("Latency", f"{run.result['latency_ms']:,.0f} ms", border=True, help=run.how)
            st.metric("Peak memory", f"{run.peak_mib:,.0f} MiB", border=True, help="Beyond the weights. " + run.how)
            st.metric("Weights", f"{run.weights_mib:,.0f} MiB", border=True, help=f"As kept in {settings.precision}.")
        st.caption(run.how)
        st.plotly_chart(
            charts.waterfall(run.stages_ms),
            alt="Time of each stage from file to answer",
            config={"displayModeBar": False},
            key="stages",
        )
        st.download_button(
            "Download this run",
            json.dumps(run.to_dict(), indent=2),
            "vivit-run.json",
            "application/json",
            on_click="ignore",
        )

st.subheader("What the model sees")
show_frames(frames)
st.subheader("This visit's runs")
show_runs()
show_machine()
