"""The answer of a clip that was looked into, what its checks say in a sentence each, and what stands out in its map."""

import numpy as np
import streamlit as st

from ui import charts
from ui.answer import FORMER, STAYS, show_truth, warn_unfamiliar
from ui.escape import capitalised, inert, literal
from ui.inside_charts import over_time
from ui.inside_checks import map_in_words, time_in_words
from ui.inside_kept import Insight, MapChoice
from ui.taught import called
from vivit.explain import maps
from vivit.hub import same_label

RANDOM = "These weights are random: the answer means nothing."


def show_insight(insight: Insight, *, former: bool) -> None:
    """Draw the answer. Args: former: whether the visitor has asked for another since, which is not there yet."""
    st.html(STAYS + FORMER * former)
    answer = insight.looked.answer
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        said = f"{literal(inert(capitalised(answer.label)))} {answer.score:.1%}"
        st.header(said if insight.looked.known else "Random weights", width="content", anchor=False)
        if former:
            st.markdown(
                f":grey[:material/history: the former answer, of '{literal(insight.clip.name)}' by {_model(insight)}]"
            )
        elif insight.looked.known and (truth := insight.clip.truth):
            right = same_label(answer.label, truth)
            known = any(same_label(label, truth) for label in insight.config.id2label.values())
            show_truth(truth, 1 if right else 2 if known else None)
    for warning in insight.frames.warnings:
        st.warning(literal(warning), icon=":material/warning:")
    if not insight.looked.known:
        st.warning(RANDOM, icon=":material/casino:")
    elif answer.familiar is False:
        warn_unfamiliar(insight.settings.checkpoint)
    elif answer.familiar:
        st.markdown(":small[:material/verified: A clip like those that this checkpoint was trained on.]")
    else:
        st.markdown(":small[Whether this clip is like those that it was trained on is not known.]")


def _model(insight: Insight) -> str:
    return literal(inert(called(insight.look.checkpoint)))


def show_sentences(insight: Insight, choice: MapChoice) -> None:
    """What both checks say, or how far they are."""
    st.markdown(f":material/fact_check: {literal(map_in_words(insight, choice))}")
    st.markdown(f":material/schedule: {literal(time_in_words(insight))}")


def insight_in_words(insight: Insight, choice: MapChoice) -> str:
    """An answer and what its checks found, to be read out."""
    answer = insight.looked.answer
    said = f"{capitalised(answer.label)}, {answer.score:.1%}." if insight.looked.known else RANDOM
    running = any(check.state == "running" for check in insight.checks)
    checked = "" if running else f" {map_in_words(insight, choice)} {time_in_words(insight)}"
    return inert(f"{said}{checked}", 700)


def show_over_time(insight: Insight, choice: MapChoice, weights: np.ndarray) -> None:
    """Draw how much of a map lies in each time step. Args: weights: (L, H, W), the chosen map."""
    st.subheader("When did it look?")
    instead = choice.method == "space" and "time" in insight.maps
    shown = maps.choose(insight.maps["time"]) if instead else weights
    charts.show(
        over_time(maps.over_time(shown), insight.frames.seconds, insight.frames.duration_seconds),
        "over-time",
        "The share of the map in each time step, below the times of the sampled frames in the clip",
    )
    st.markdown(":small[The dotted line is an even share.]")
    if instead:
        st.caption(
            "Over space each step has the same share, so this is the attention over time, in the mean of its layers and heads."
        )


def show_top(insight: Insight, weights: np.ndarray) -> None:
    """The tubelets of most weight as a table. Args: weights: (L, H, W)."""
    st.subheader("Where most?")
    depth = insight.config.tubelet_size[0]
    seconds, indices = insight.frames.seconds, insight.frames.indices
    rows = []
    for place in maps.top_tubelets(weights, insight.config.tubelet_size, seconds):
        first, last = place.step * depth, place.step * depth + depth - 1
        rows.append(
            {
                "time": f"{seconds[first]:.2f} to {seconds[last]:.2f} s" if depth > 1 else f"{seconds[first]:.2f} s",
                "weight": place.weight,
                "across": f"{place.x} to {place.x + place.width} px",
                "down": f"{place.y} to {place.y + place.height} px",
                "frames": f"{indices[first]} to {indices[last]}" if depth > 1 else str(indices[first]),
            }
        )
    percent = {"weight": st.column_config.NumberColumn(format="percent")}
    st.dataframe(
        rows,
        hide_index=True,
        column_config=percent,
        alt="The tubelets of most weight: frames, time, place, share of the map",
    )
