"""How fast an evaluation was, and where the time went."""

import numpy as np
import streamlit as st

from ui import charts
from ui.escape import literal
from ui.evaluate_charts import times
from ui.evaluate_figures import summary_of
from vivit.evaluate.kept import Kept


def clips_per_second(kept: Kept) -> float | None:
    """Clips that all cells together classified a second, loading included; None where no clip was."""
    classified = classified_by(kept)
    return classified / kept.times.total if classified and kept.times.total else None


def classified_by(kept: Kept) -> int:
    """How many clips the cells classified, those that failed left out."""
    found = [summary_of(kept, place) for place in range(len(kept.evaluations))]
    return max(summary.clips - summary.failed for summary in found)


def show_speed(kept: Kept) -> None:
    """Draw how fast an evaluation was, and where the time went."""
    spent, pace = kept.times, clips_per_second(kept)
    if pace is None:
        st.info("No clip was classified.")
        return
    cells = len(kept.evaluations)
    by = f" by {cells} cells" * (cells > 1)
    st.markdown(
        literal(
            f"{classified_by(kept):,} clips in {spent.total:,.1f} s, {pace:.3g} a second{by}. The models worked "
            f"{spent.model / spent.total:.0%} of the time; they waited for clips {spent.clips / spent.total:.0%}, for other "
            f"visitors' work {spent.others / spent.total:.0%}, and the rest went into loading them and moving pixels."
        )
    )
    charts.show(
        times(spent), f"times-{kept.id}", "Where the time went: models, waiting for clips and for others, the rest"
    )
    rows = []
    for name, evaluation in zip(kept.names, kept.evaluations, strict=True):
        passes = [1e3 * r.model_seconds for r in evaluation.records if r.model_seconds]
        reading = [1e3 * r.decode_seconds for r in evaluation.records if r.decode_seconds]
        rows.append(
            {
                "cell": name,
                "model, ms a clip": _median(passes),
                "5th percentile": _percentile(passes, 5),
                "95th percentile": _percentile(passes, 95),
                "reading, core-ms a clip": _median(reading),
                "views of a pass": evaluation.asked.batch_size,
                "device": evaluation.asked.device,
            }
        )
    st.dataframe(rows, hide_index=True, alt="How long a clip takes in each cell")
    st.caption(
        "Medians. Other visitors' work, and reading the next clips, went on beside the passes: for figures that compare cells' "
        "speed use the page Benchmark."
    )


def _median(values: list[float]) -> float | None:
    return _percentile(values, 50)


def _percentile(values: list[float], percent: float) -> float | None:
    return round(float(np.percentile(values, percent)), 1) if values else None
