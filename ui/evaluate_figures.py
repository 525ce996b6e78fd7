"""What the records of an evaluation come to, each found once: a page is drawn again with every click."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import streamlit as st

from vivit.evaluate.agreement import Agreement, agree
from vivit.evaluate.calibration import Calibration, calibrate
from vivit.evaluate.headline import statement
from vivit.evaluate.kept import Kept
from vivit.evaluate.summary import Summary, summarise

_STATE: dict[str | type[Any], Callable[[Any], Any]] = {Kept: lambda kept: (kept.id, kept.done)}


@st.cache_resource(show_spinner=False, max_entries=64, hash_funcs=_STATE)
def summary_of(kept: Kept, place: int) -> Summary:
    """What a cell's records come to. Args: place: of the cell."""
    evaluation = kept.evaluations[place]
    return summarise(evaluation.records, evaluation.id2label)


@st.cache_resource(show_spinner=False, max_entries=64, hash_funcs=_STATE)
def calibration_of(kept: Kept, place: int) -> Calibration | None:
    """A cell's reliability curve; None where its scores are no probabilities."""
    with suppress(ValueError):
        return calibrate(kept.evaluations[place].records)
    return None


@st.cache_resource(show_spinner=False, max_entries=64, hash_funcs=_STATE)
def agreement_of(kept: Kept, place: int, other: Kept, other_place: int) -> Agreement:
    """How a cell's answers go with another's, of this evaluation or another one.

    Args:
        kept, place: an evaluation, and the place of its cell.
        other, other_place: the other one's.
    """
    return agree(kept.evaluations[place].records, other.evaluations[other_place].records)


@st.cache_resource(show_spinner=False, max_entries=64, hash_funcs=_STATE)
def statement_of(kept: Kept, place: int = 0) -> str:
    """What a cell comes to in a sentence."""
    return statement(kept, place)
