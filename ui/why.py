"""'Why': what an expert would ask of a sweep, answered from what was measured and from the cost model."""

import streamlit as st

from ui.escape import literal
from vivit.benchmark.results import Result
from vivit.benchmark.why import explain


def show_why(result: Result) -> None:
    """A card for each question that this sweep has an answer to."""
    cards = list(explain(result))
    if not cards:
        st.info("Nothing was measured that would tell.")
    for card in cards:
        with st.container(border=True):
            st.markdown(f"**{card.question}**")
            st.markdown(literal(card.answer))
            if card.lines:
                st.dataframe(list(card.lines), hide_index=True, alt=card.question)
