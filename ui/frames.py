"""'What the model sees': the sampled frames, where they lie in the clip, and the crop."""

import streamlit as st

from engine import Job
from engine.tasks import Frames
from ui import charts
from ui.clips import picture


def show_frames(job: Job[Frames]) -> None:
    """Draw the frames of a finished media job, with index and time under each."""
    clip = job.result
    for warning in clip.warnings:
        st.warning(warning, icon=":material/warning:")
    left, top, right, bottom = clip.crop_box
    count, height, width, _ = clip.shape
    repeated = f", the last repeated to make {count}" if count > clip.num_frames else ""
    st.caption(
        f"{min(count, clip.num_frames)} of {clip.num_frames} frames over {clip.duration_seconds:.2f} s{repeated}, "
        f"each {width} × {height} pixels, "
        f"cut from ({left:.0f}, {top:.0f}) to ({right:.0f}, {bottom:.0f}) of {clip.width} × {clip.height} "
        f"({clip.codec} in {clip.container}). These pictures are what the model gets, as JPEG here."
    )
    labels = [f"#{i} · {s:.2f} s" for i, s in zip(clip.indices, clip.seconds, strict=True)]
    st.image(
        [picture(jpeg) for jpeg in job.blobs[1:]], caption=labels, width=96, alt=[f"Frame {label}" for label in labels]
    )


def show_marks(job: Job[Frames]) -> None:
    """Draw where the sampled frames of a finished media job lie in the clip."""
    charts.show(
        charts.timeline(job.result.seconds, job.result.duration_seconds),
        "timeline",
        "The clip's length with a mark at the time of every sampled frame",
    )
