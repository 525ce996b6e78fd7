"""Whether a cell is right as often as its probabilities say."""

import streamlit as st

from ui import charts
from ui.evaluate_charts import FEW, portion, reliability
from ui.evaluate_figures import calibration_of
from vivit.evaluate.kept import Kept

LITTLE = 100  # clips, of fewer than which the error says little


def show_calibration(kept: Kept, place: int) -> None:
    """Draw the reliability curve and its table. Args: place: of the cell."""
    found = calibration_of(kept, place)
    if found is None or found.error is None:
        st.info("There are no probabilities to look at: no clip was classified, or this model's scores are none.")
        return
    clips = f"{found.clips:,} clip{'s' * (found.clips != 1)} in {len(found.bins)} equally wide bins"
    if found.clips < FEW:
        st.markdown(f"There are {clips}: too few for an expected calibration error.")
    else:
        few = " So few clips say little of it: a perfect model would have an error above 0 too."
        st.markdown(
            f"Expected calibration error **{found.error:.1%}**, of {clips}: the mean distance between how sure the answers of "
            f"a bin are and how often they are right.{few * (found.clips < LITTLE)}"
        )
    left, right = st.columns([6, 5], gap="medium")
    with left:
        charts.show(
            reliability(found),
            f"reliability-{kept.id}-{place}",
            "How often answers are right by how sure they are, and how many there are of each; the table has the same",
        )
    with right:
        rows = [
            {
                "sure, from": one.low,
                "to": one.high,
                "clips": one.clips,
                "mean": one.confidence,
                "right": portion(one.accuracy or 0.0, one.clips),
                "95 % from": one.interval[0],
                "95 % to": one.interval[1],
            }
            for one in found.bins
            if one.clips
        ]
        percent = st.column_config.NumberColumn(format="percent")
        shown = {name: percent for name in rows[0] if name not in ("clips", "right")}
        st.dataframe(rows, hide_index=True, column_config=shown, alt="The bins that have clips")
        st.caption(
            "Above the line the model is right more often than it says, below it is too sure. The error depends on the bins. "
            "Source: Guo et al. 2017."
        )
