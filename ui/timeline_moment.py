"""The segment that was chosen: the player there, and the window in its middle with its frames and its answer."""

import math

import streamlit as st

from engine import Job
from engine.tasks import EXTRACT_SECONDS, MakeExtract, MomentPictures, Prediction, ReadMoment
from ui import charts
from ui.answer import warn_unfamiliar
from ui.clips import picture
from ui.escape import capitalised, inert, literal
from ui.frames import show_strip
from ui.jobs import ask, finished, job_for
from ui.player import why_not_played
from ui.timeline import labels_of
from ui.timeline_charts import in_words
from ui.timeline_kept import Timeline
from vivit.checkpoint import open_checkpoint
from vivit.film import clock
from vivit.timeline import Answered, Grid, Segment


def show_player(timeline: Timeline, segment: Segment | None) -> None:
    """Draw the film from where the segment begins, or where that cannot be played the segment alone."""
    film, info = timeline.film, timeline.info
    alt = f"The film: {film.name}"
    try:
        reason = why_not_played(film.path, info, "film")
    except OSError:
        st.info("The file is no longer there, so it cannot be played.", icon=":material/movie_off:")
        return
    if not reason:
        begin = 0.0 if segment is None else segment.start
        # Players are told whole seconds: the next one, where that is still in the segment.
        second = math.ceil(begin) if segment and math.ceil(begin) < segment.end else math.floor(begin)
        st.video(film.path, format=f"video/{info.container}", start_time=second, alt=alt, muted=True, autoplay=True)
        return
    if segment is None:
        st.info(f"{reason}: choose a segment, and an extract of it is played here.", icon=":material/content_cut:")
        return
    request = MakeExtract(film.path, info.begin_seconds, segment.start, segment.end)
    job = job_for("extract", request, lambda: ask(request))
    if finished(job, "extract", "Making an extract that browsers play"):
        st.video(job.blobs[0], alt=f"{alt}, {in_words(segment, labels_of(timeline))}", muted=True, autoplay=True)
        most = f", its first {EXTRACT_SECONDS:g} s" * (segment.end - segment.start > EXTRACT_SECONDS)
        st.markdown(f":small[{literal(reason)}: this is an extract, the segment alone{most}.]")


def show_answer(timeline: Timeline, segment: Segment, window: Answered) -> None:
    """Draw what the model says of one window."""
    labels = labels_of(timeline)
    name = literal(inert(capitalised(segment.name(labels))))
    st.subheader(name if segment.score is None else f"{name} {segment.score:.0%}", anchor=False)
    st.markdown(f":small[The window in its middle, {clock(window.start)} to {clock(window.end)}:]")
    best = window.scores.argsort()[::-1][: timeline.settings.top_k]
    rows = [Prediction(labels[int(k)], float(window.scores[k])) for k in best]
    charts.show(charts.predictions(rows), "predictions", "The most likely actions of this window")
    if window.familiar is False:
        warn_unfamiliar(timeline.settings.checkpoint)


def show_window_frames(timeline: Timeline, window: Answered) -> None:
    """Draw the frames of one window, read again."""
    grid = timeline.running.asked.grid
    # Fewer pictures than frames in a short shot; the film may end within the last one's step.
    lasts = math.ceil((window.end - window.start) / grid.tick_seconds - 1e-6)
    job = _pictures_of(timeline, window, grid, lasts)
    st.header("What the model saw there")
    if finished(job, "moment", "Reading the window's frames"):
        config = open_checkpoint(timeline.settings.checkpoint, weights=False, here=True).config
        pictures = [picture(jpeg) for jpeg in job.blobs]
        if not pictures:
            st.info("The film has no picture there any longer, so the file has changed.", icon=":material/movie_off:")
            return
        places = [min(frame * lasts // grid.num_frames, len(pictures) - 1) for frame in range(grid.num_frames)]
        labels = [clock(job.result.seconds[place]) for place in places]
        show_strip([pictures[place] for place in places], labels, config.tubelet_size[0])


def _pictures_of(timeline: Timeline, window: Answered, grid: Grid, count: int) -> Job[MomentPictures]:
    request = ReadMoment(
        timeline.film.path,
        timeline.settings.checkpoint,
        grid.tick_seconds,
        timeline.info.begin_seconds,
        round(window.start / grid.tick_seconds),
        count,
    )
    return job_for("moment", request, lambda: ask(request))
