"""A camera that is classified live: how, the minute that was found, and a clip of it that is kept."""

from collections.abc import Sequence

import streamlit as st

from engine.live import Taken
from engine.tasks import EncodePictures, WindowsAsked
from ui import charts
from ui.chosen import Settings
from ui.clips import CAMERA_CLIP, CAMERA_SLOT, own_clip
from ui.escape import literal
from ui.jobs import ask
from ui.live_charts import in_words, minute
from ui.server import get_server
from ui.visit import visit, visitor
from vivit.checkpoint import Checkpoint
from vivit.timeline import STRIDE_SECONDS, Answered, Grid, find_segments
from vivit.timeline.trained import TrainedWindow, trained_window

LATE_SECONDS = 10.0  # of a pass: answers that come later are hardly of now
FASTEST_SECONDS = 0.04  # from one picture to the next: cameras give no more


def asked_of(settings: Settings, checkpoint: Checkpoint) -> WindowsAsked:
    """How a camera's pictures are classified: windows as long as the checkpoint's training clips."""
    seconds, frames = trained_window(checkpoint).seconds, checkpoint.config.num_frames
    stride = min(max(STRIDE_SECONDS, seconds / frames), seconds)
    return settings.windows(Grid(seconds, stride, frames))


def interval_seconds(grid: Grid) -> float:
    """From one picture to the next."""
    return max(grid.tick_seconds, FASTEST_SECONDS)


def show_window(asked: WindowsAsked, window: TrainedWindow, pass_seconds: float) -> None:
    """Say what is classified, and whether that takes long. Args: pass_seconds: an estimate of one pass."""
    grid = asked.grid
    st.caption(
        f"Every {grid.stride_seconds:g} s the last {grid.window_seconds:g} s are classified, as {grid.num_frames} frames; the "
        "frame sampling above is for clips. Nothing is kept unless you press 'Keep this clip'."
    )
    if not window.stated:
        st.caption(f":material/info: {literal(window.assumed)}")
    if pass_seconds > LATE_SECONDS:
        st.warning(
            f"A window will take about {pass_seconds:,.0f} s on this machine, an estimate from its measured speed, so "
            "answers come late, and most windows are dropped. A smaller checkpoint answers sooner.",
            icon=":material/hourglass_top:",
        )


@st.fragment(run_every=1.0)
def follow() -> None:
    """Draw the last minute, and the button that keeps a clip of what is seen now."""
    live = get_server().cameras.live(visitor())
    answers = [answer.answered for answer in list(live.answers)] if live else []
    st.subheader("The last minute")
    if live and answers:
        now = max(live.now_seconds(), answers[-1].end)
        segments = [segment for stretch in _stretches(answers) for segment in find_segments(stretch)]
        alt = f"What happened in the last minute: {in_words(segments, now, live.labels)}"
        charts.show(minute(segments, now, live.labels, ended=live.state != "running"), "minute", alt)
    else:
        st.markdown(":small[What is found is drawn here as it comes.]")
    pictures = live.last_pictures() if live else []
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Keep this clip", icon=":material/save:", disabled=not pictures, key="keep-clip") and pictures:
            _begin(pictures)
        _tell_kept()


def _stretches(answers: Sequence[Answered]) -> list[list[Answered]]:
    """Answers in groups between which nothing was looked at: where a pass takes longer than a window."""
    found: list[list[Answered]] = []
    for answer in answers:
        if found and answer.start <= found[-1][-1].end:
            found[-1].append(answer)
        else:
            found.append([answer])
    return found


def _begin(pictures: Sequence[Taken]) -> None:
    """Have a clip made of pictures that would otherwise go."""
    seconds = tuple((taken.taken_ms - pictures[0].taken_ms) / 1e3 for taken in pictures)
    job = ask(EncodePictures(seconds), [taken.jpeg for taken in pictures])
    visit().jobs[CAMERA_SLOT] = (seconds, job)
    job.wait(0.5)  # most are made by then


def _tell_kept() -> None:
    """Say what has come of the clip that was asked for, which once it is made is the visitor's own."""
    _, job = visit().jobs.get(CAMERA_SLOT, (None, None))
    own = own_clip()  # takes the clip up, once it is made
    if job is None:
        st.markdown(":small[It becomes your clip on the other pages.]", width="content")
    elif not job.finished:
        st.markdown(":small[Making the clip]", width="content")
    elif job.state != "done":
        st.error(literal(job.error or job.note), icon=":material/error:")
    elif note := visit().upload_note:
        st.error(note, icon=":material/error:")
    elif own and own.name == CAMERA_CLIP:
        st.markdown(
            ":small[:material/check_circle: Kept: it is your clip now, in the place of any other.]", width="content"
        )
        st.page_link("pages/classify.py", label="See it on Classify", icon=":material/movie:")
