"""'Is it true?' and 'Does it use time?': what the checks have found, how far they are, and their cancel."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import streamlit as st

from engine.checks import Found, RunningCheck
from ui import charts
from ui.escape import literal
from ui.following import cancel_button
from ui.inside import DELETIONS, ORDERS, about_seconds, check_map, check_orders
from ui.inside_charts import answers, deletions
from ui.inside_kept import Insight, MapChoice
from vivit.explain.deletion import Deletion


def map_in_words(insight: Insight, choice: MapChoice) -> str:
    """What the map's check says, or that it has not been made."""
    return _in_words(insight.deletions.get(choice), lambda found: found.sentence, "Whether this map is true")


def time_in_words(insight: Insight) -> str:
    """What the check of time says, or that it has not been made."""
    return _in_words(insight.orders, lambda found: found.sentence, "Whether time is used")


def _in_words(check: RunningCheck[Found] | None, say: Callable[[Found], str], what: str) -> str:
    if check is None:
        return f"{what} has not been checked yet."
    if check.state == "running":
        return f"{what} is being checked."
    return say(check.found) if check.found else f"{what} is not known: the check has ended before it found anything."


def show_map_check(insight: Insight, choice: MapChoice, weights: np.ndarray, *, former: bool) -> None:
    """Deletion beside its controls. Args: weights: (L, H, W), the chosen map; former: whether nothing new may be begun."""
    st.header(
        "Is it true?",
        help="The most attended tubelets are replaced by the clip's mean colour. The controls are the same map shifted in "
        "time, row and column: they delete as much, as scattered or as clustered. Of 20 maps without meaning one beats all.",
    )
    check = insight.deletions.get(choice)
    if check is None:
        about = math.ceil(about_seconds(insight, DELETIONS))
        st.markdown(
            f"Does the answer need what this map points at? {DELETIONS} changed clips tell, in about {about:,} s."
        )
    _drive(check, "deletion", "Deleting", lambda: check_map(insight, choice, weights), former=former)
    if check and check.state == "running":
        st.fragment(_show_deletions, run_every=1.0)(check, "deletion-live")
    elif check and check.found:
        st.markdown(f"**{literal(check.found.sentence)}**")
        _show_deletions(check, "deletion")


def _show_deletions(check: RunningCheck[Deletion], key: str) -> None:
    if check.found:
        alt = "The answer's probability by the share that is deleted, of the map and its controls"
        charts.show(deletions(check.found), key, alt)


def show_time_check(insight: Insight, *, former: bool) -> None:
    """The frames in other orders. Args: former: whether nothing new may be begun."""
    st.header(
        "Does it use time?",
        help="The same frames reversed, shuffled, frozen, at half speed, and every other one dropped. Only reversed and "
        "shuffled are the same pictures in another order: what is said of time rests on these.",
    )
    check = insight.orders
    if check is None:
        about = math.ceil(about_seconds(insight, ORDERS))
        st.markdown(
            f"What does it answer when the frames come in another order? {ORDERS} changed clips tell, in about {about:,} s."
        )
    _drive(check, "orders", "Changing the order", lambda: check_orders(insight), former=former)
    if check and check.found and check.state != "running":
        found = check.found
        st.markdown(f"**{literal(found.sentence)}**")
        charts.show(answers(found), "orders", "The answer to each changed clip and its probability")
        hatched = (
            "Another colour is another answer; what is hatched is unlike anything it was trained on. Reversed and shuffled are "
            "the same pictures in another order, and decide alone; the others are other clips, with each frame twice."
        )
        st.markdown(f":small[{hatched} {literal(found.frozen_sentence)}]")


def _drive(check: RunningCheck[Any] | None, key: str, what: str, begin: Callable[[], None], *, former: bool) -> None:
    """A check's progress, why it failed, or the button that begins it."""
    if check and check.state == "running":
        st.fragment(_follow, run_every=0.4)(check, key, what)
        return
    if check and check.error:
        st.error(literal(check.error), icon=":material/error:")
    if check and check.state == "cancelled" and check.found:
        st.markdown(":small[:material/cancel: Cancelled: what was done until then is kept.]")
    if check is None or check.state != "done":
        label = "Check" if check is None else "Check again"
        if st.button(label, key=f"{key}-begin", icon=":material/fact_check:", disabled=former):
            begin()
            st.rerun()


def _follow(check: RunningCheck[Any], key: str, what: str) -> None:
    if check.state != "running":
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(check.progress, f"{what}: {check.note}")
        cancel_button(check, f"{key}-cancel")
