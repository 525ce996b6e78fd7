"""How far a timeline is, how fast it goes, who waits for whom, and its cancel."""

import streamlit as st

from engine.timelines import RunningTimeline
from ui.chosen import Settings
from ui.escape import capitalised, literal
from ui.following import cancel_button
from ui.timeline import about_seconds, again
from ui.timeline_kept import Timeline
from vivit.benchmark.wording import duration
from vivit.checkpoint import Checkpoint
from vivit.film import FilmInfo, clock
from vivit.timeline import Grid, report

FEW_SECONDS = 5.0  # what takes no longer needs no estimate


def asked_to_begin(info: FilmInfo, settings: Settings, checkpoint: Checkpoint, grid: Grid) -> bool:
    """Draw how long a film is, what it will take, and the button to begin; returns whether it was pressed."""
    about = about_seconds(info, settings, checkpoint, grid)
    if about is None:
        said = "The file does not say how long it is, so nobody knows how long this will take; it can be cancelled."
    else:
        said = f"{clock(info.promised_seconds)} of film. "
        said += f"This will take about {duration(about)}, an estimate." if about > FEW_SECONDS else ""
    with st.container(horizontal=True, vertical_alignment="center"):
        pressed = st.button("Begin", type="primary", icon=":material/play_arrow:")
        st.markdown(said, width="content")
    return pressed


def show_progress(timeline: Timeline, *, waits: bool) -> None:
    """Draw how far a timeline is, for a fragment that comes again by itself while the timeline runs.

    Args:
        waits: whether the page shows another timeline until this one has its first windows.
    """
    running = timeline.running
    if running.state != "running" or (waits and running.windows):
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center"):
        with st.container(gap="xxsmall"):
            st.progress(running.progress or 0.0, f"{_so_far(timeline)}: {literal(running.note)}")
            st.markdown(f":small[{_waits(running)}]")
        cancel_button(running, "timeline-cancel")


def _so_far(timeline: Timeline) -> str:
    running = timeline.running
    words = [clock(running.answered_seconds)]
    if promised := timeline.info.promised_seconds:
        words = [f"{words[0]} of {clock(promised)}"]
    if running.rate:
        words.append(f"{running.rate:.3g} times real time")
    if (left := running.seconds_left) is not None:
        words.append(f"about {duration(left)} left")
    return ", ".join(words)


def _waits(running: RunningTimeline) -> str:
    return f"{capitalised(report.waits_text(running.waits))}."


def show_ended(timeline: Timeline) -> None:
    """What became of a timeline that has ended, and what there is to say of its film."""
    running, grid = timeline.running, timeline.running.asked.grid
    if running.error:
        st.error(literal(running.error), icon=":material/error:")
    for warning in running.warnings:
        st.warning(literal(warning), icon=":material/warning:")
    if running.state != "done":
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            if running.state == "cancelled":
                st.markdown(":small[:material/cancel: Cancelled: what was found until then is kept.]", width="content")
            if st.button("Begin again", icon=":material/refresh:"):
                again(timeline)
                st.rerun()
    if running.windows:
        short = literal(report.shortened(running.windows, grid))
        st.markdown(f":small[:material/speed: {_speed(running)} {_waits(running)} {short}]")


def _speed(running: RunningTimeline) -> str:
    grid, rate = running.asked.grid, f"{running.rate:.3g} times real time: " * (running.rate > 0)
    windows = f"{len(running.windows):,} window{'s' * (len(running.windows) > 1)} of {grid.window_seconds:g} s"
    again = f"decoded, some again, since the film had to be opened {running.reopened + 1:,} times"
    decoded = f"{running.decoded:,} pictures {again if running.reopened else ', each decoded once'}".replace(" ,", ",")
    return f"{rate}{windows} every {grid.stride_seconds:g} s, {decoded}."
