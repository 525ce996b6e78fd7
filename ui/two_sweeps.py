"""Two sweeps beside each other."""

from collections.abc import Callable

import streamlit as st

from ui.beside import pick_beside
from ui.charts import show
from ui.escape import literal
from vivit.benchmark import ratio_charts, report
from vivit.benchmark.results import Result, compare


def show_two_sweeps(result: Result, others: list[Result], name: Callable[[Result], str]) -> None:
    """Another sweep's figures for the cells that both measured. Args: name: tells sweeps apart."""
    known = {r.id: r for r in others if r.id != result.id}
    other = pick_beside(f"other-{result.id}", known, "Another sweep", name)
    if other is None:
        st.info("Choose another sweep: the cells that both measured are drawn beside each other.")
        return
    found = compare(result, other)
    if not found:
        st.info(
            "The two sweeps have no cell in common: it takes the same checkpoint, backend, precision and batch size."
        )
        return
    for which, sweep in (("First, above", result), ("Second, paler", other)):
        st.markdown(f"{which}: **{literal(sweep.title or 'a sweep')}**, {literal(report.origin(sweep))}")
    for place, (what, title) in zip(st.columns(2), (("ms", "Latency"), ("MiB", "Peak memory")), strict=True):
        with place:
            st.markdown(f"**{title}, {what}**")
            show(ratio_charts.pairs(found, what), f"pairs-{what}", f"{title} of both sweeps")
    st.caption(
        "How the first compares with the second, as two sweeps of different times: the interval, by the Mann-Whitney rank test "
        "on the medians of their processes, says that their figures differ, not why; another load of the machine would show "
        "in it, too."
    )
