"""What a model looked at in a clip, whether that is true, and whether it used time at all."""

from dataclasses import replace
from typing import NoReturn

import streamlit as st

from engine.tasks import ReadFrames
from ui.clip_sources import choose_clip
from ui.components.status_line import announce
from ui.escape import literal
from ui.inside import ask_to_look, begin_checks, find, keep, key_of, report_of, weights_of
from ui.inside_answer import insight_in_words, show_insight, show_over_time, show_sentences, show_top
from ui.inside_checks import show_map_check, show_time_check
from ui.inside_files import show_exports, show_video
from ui.inside_frames import show_heat, show_legend
from ui.inside_kept import Insight
from ui.inside_map import CONTROLS as MAP_CONTROLS
from ui.inside_map import pick_map, pick_opacity, show_small_maps
from ui.jobs import ask, finished, job_for, ready
from ui.machine import show_machine
from ui.page import frame
from ui.query_params import check_link, remember_link
from ui.settings import CONTROLS, pick_settings_in_a_line
from ui.visit import visit, visitor
from ui.what_runs import SLOW_SECONDS, estimate_seconds, unavailable
from vivit.checkpoint import open_checkpoint
from vivit.explain import MapUnavailable
from vivit.explain.kinds import refuse

WITH_MAPS = 2.0  # passes: a look takes about as long as so many, for the way back of a rollout
PLAIN = "Maps are made by the plain form: what is compiled or captured cannot be watched."

visitor()  # tells the server that they are here: the first run after a lost connection may ask for nothing else that does
remember_link("inside")
remember_link("inside-map")
pressed, voice = frame()

with st.container():  # so that what is drawn here moves no widget below: a widget that moves is lost from the address
    clip = choose_clip({"left": -1, "right": 1}.get(pressed, 0), "What did it look at?")
with st.container(key="controls"):
    settings = pick_settings_in_a_line(pressed, PLAIN)
    check_link("inside", CONTROLS)
with st.container(key="answer"):
    left, right = st.columns([500, 840], gap="medium")
with left:
    progress, answer, choices = st.container(), st.container(), st.container()
below = st.container()


def draw(insight: Insight, *, former: bool) -> None:
    """Everything there is to see of a clip. Args: former: whether it is the one before, shown until the new one is there."""
    with choices:
        choice = pick_map(insight)
        show_small_maps(insight, choice)
    weights = weights_of(insight, choice)
    if not former:
        begin_checks(insight, choice, weights)
    with answer:
        show_insight(insight, former=former)
        show_sentences(insight, choice)
    with right:
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            show_legend(weights)
            opacity = pick_opacity()
        check_link("inside-map", MAP_CONTROLS)
        show_heat(insight, weights, opacity)
    with voice:
        announce("" if former else insight_in_words(insight, choice))
    with below:
        moving, when = st.columns([3, 2], gap="medium")
        with moving:
            st.subheader("In motion: the clip, and the map over it")
            drawing = show_video(insight, choice, weights, opacity)
        with when:
            show_over_time(insight, choice, weights)
            show_top(insight, weights)
        true, timed = st.columns(2, gap="medium")
        with true:
            show_map_check(insight, choice, weights, former=former)
        with timed:
            show_time_check(insight, former=former)
        st.header("Take along")
        show_exports(insight, choice, drawing, lambda: report_of(insight, choice, weights))
        show_machine()


def stop() -> NoReturn:
    """End the run of the page; while there is no answer, the former one stays."""
    if visit().insights:
        draw(visit().insights[-1], former=True)
    else:
        with voice:
            announce("")
        with below:
            show_machine()
    st.stop()


if clip is None:
    answer.info("Upload a clip, or pick one above.", title="Start here", icon=":material/arrow_upward:")
    stop()
if not settings.checkpoint:
    answer.info("The answer will stand here once the checkpoint is on this machine.", icon=":material/hourglass_empty:")
    stop()
visit().settings = settings
to_read = ReadFrames(clip.path, settings.checkpoint, settings.sampling, settings.stride)
frames = job_for("frames", to_read, lambda: ask(to_read))
with progress:
    if not finished(frames, "frames", "Reading the clip"):
        stop()
    if not ready("model"):
        stop()
    if reason := unavailable(plain := replace(settings, execution="plain")):
        st.error(reason, icon=":material/block:")
        stop()
    try:
        checkpoint = open_checkpoint(settings.checkpoint, here=True)
        refuse(checkpoint.config, "rollout")  # the map of every model that has layers
    except (MapUnavailable, ValueError) as error:  # or the folder has gone or changed since the frames were read
        st.error(literal(str(error)), icon=":material/error:")
        stop()
    key = key_of(clip, frames, settings, checkpoint)
    insight = find(key)
    seconds = estimate_seconds(plain, checkpoint) * WITH_MAPS
    if insight is None and (seconds < SLOW_SECONDS or visit().wanted.get("look") == key):
        job = job_for("look", key, lambda: ask_to_look(frames, settings, checkpoint))
        if finished(job, "look", "Looking inside"):
            insight = keep(key, job, clip, frames, settings, checkpoint)
        elif job.state == "cancelled":
            visit().wanted.pop("look", None)  # the next slow look waits for a click again
    elif insight is None:
        st.markdown(f"This will take about {seconds:,.0f} s on this machine, an estimate from its measured speed.")
        if st.button("Look inside", type="primary", icon=":material/visibility:"):
            visit().wanted["look"] = key
            visit().jobs.pop("look", None)  # a cancelled job for the same key
            st.rerun()
if insight is None:
    stop()
draw(insight, former=False)
