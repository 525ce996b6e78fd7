"""What happens when in a film of any length, and what the model saw there."""

from typing import NoReturn

import streamlit as st

from engine.tasks import DescribeFilm
from ui.checkpoints import open_trained
from ui.components.status_line import announce
from ui.escape import literal
from ui.jobs import ask, finished, job_for, ready
from ui.machine import show_machine
from ui.page import frame
from ui.query_params import check_link, remember_link
from ui.settings import CONTROLS, pick_settings_in_a_line
from ui.timeline import begin, chosen_segment, file_key, find, former_of, found_in, key_of, middle_window, move
from ui.timeline_files import show_exports
from ui.timeline_films import CONTROLS as FILM_CONTROLS
from ui.timeline_films import choose_film
from ui.timeline_form import CONTROLS as FORM_CONTROLS
from ui.timeline_form import pick_grid
from ui.timeline_kept import Timeline
from ui.timeline_moment import show_answer, show_player, show_window_frames
from ui.timeline_progress import asked_to_begin, show_ended, show_progress
from ui.timeline_segments import show_chart, show_table, timeline_in_words
from ui.visit import visit, visitor
from ui.what_runs import SLOW_SECONDS, estimate_seconds, unavailable

visitor()  # tells the server that they are here: the first run after a lost connection may ask for nothing else that does
remember_link("timeline")
pressed, voice = frame()

with st.container():  # so that what is drawn here moves no widget below: a widget that moves is lost from the address
    film = choose_film()
with st.container(key="controls"):
    settings = pick_settings_in_a_line(pressed)
    checkpoint, fault = open_trained(settings)
    grid, smoothing = pick_grid(checkpoint)
    check_link("timeline", CONTROLS | FILM_CONTROLS | FORM_CONTROLS)
progress, chart = st.container(), st.container(key="answer")
below = st.container()


def draw(timeline: Timeline, *, former: bool) -> None:
    """Everything there is to see of a film. Args: former: whether it is the one before, shown until the new one has windows."""
    segments = found_in(timeline, smoothing).segments
    move(timeline, segments, {"left": -1, "right": 1}.get(pressed, 0))
    place = chosen_segment(timeline, segments)
    segment = None if place is None else segments[place]
    lives = timeline.running.state == "running" and not former
    with chart:
        show_chart(timeline, smoothing, lives=lives, former=former)
    with voice:
        announce("" if former or lives else timeline_in_words(timeline, smoothing))
    with below:
        table, player, answer = st.columns([4, 3, 4], gap="medium")
        with table:
            show_table(timeline, smoothing, lives=lives)
        with player:
            show_player(timeline, segment)
        if segment:
            window = middle_window(timeline, segment)
            with answer:
                show_answer(timeline, segment, window)
            show_window_frames(timeline, window)
        else:
            answer.info(
                "Choose a segment, in the chart or in the table: the player goes there, and the frames of the window in its "
                "middle and its answer stand here.",
                icon=":material/touch_app:",
            )
        if segments and not lives:
            st.header("Take along")
            show_exports(timeline, smoothing)
        show_machine()


def stop() -> NoReturn:
    """End the run of the page; while there is no timeline, the former one stays."""
    if former := former_of(None):
        draw(former, former=True)
    else:
        with voice:
            announce("")
        with below:
            show_machine()
    st.stop()


with progress:
    if film is None:
        st.info("Choose a film above.", title="Start here", icon=":material/arrow_upward:")
        stop()
    if fault:
        st.error(literal(fault), icon=":material/block:")
        stop()
    if checkpoint is None or grid is None:
        stop()
    visit().settings = settings
    if not (ready("film") and ready("model")):
        stop()
    if reason := unavailable(settings):
        st.error(reason, icon=":material/block:")
        stop()
    to_describe = DescribeFilm(film.path)
    described = job_for("film", file_key(film), lambda: ask(to_describe))
    if not finished(described, "film", "Opening the film"):
        stop()
    key = key_of(film, settings, checkpoint, grid)
    timeline = find(key)
    if timeline is None:
        by_itself = film.bundled and estimate_seconds(settings, checkpoint) < SLOW_SECONDS
        if not by_itself and visit().wanted.get("timeline") != key:
            if asked_to_begin(described.result, settings, checkpoint, grid):
                visit().wanted["timeline"] = key
                st.rerun()
            stop()
        timeline = begin(key, film, described.result, settings, grid)
    shown = timeline if timeline.running.windows else former_of(timeline) or timeline
    if timeline.running.state == "running":
        st.fragment(show_progress, run_every=0.5)(timeline, waits=shown is not timeline)
    else:
        show_ended(timeline)
draw(shown, former=shown is not timeline)
