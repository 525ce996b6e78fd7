"""A sweep while it runs: whose it is, how far it has come, and its cancel."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NoReturn

import streamlit as st

from engine.sweeps import RunningSweep
from ui.charts import show_cells
from ui.escape import inert, literal
from ui.following import offer
from ui.server import get_server
from ui.taught import called, is_taught, public_name
from ui.visit import visit, visitor
from vivit.benchmark.charts import Bar, bars_of, by_precision
from vivit.benchmark.families import cell_name, family, family_name, full_name, model_names, shared, short_name
from vivit.benchmark.measurement import Cell
from vivit.benchmark.results import Result
from vivit.benchmark.wording import duration


def find_running() -> RunningSweep | None:
    """The sweep to follow: the visitor's own, or one that they chose to watch here."""
    me, running = visitor(), get_server().sweeps.all_running()
    for sweep in reversed(running):
        if sweep.visitor == me:
            return sweep
    for sweep in running:
        if visit().watched == sweep.id:
            return sweep
        if offer(sweep, "A sweep", f"'{literal(sweep.title)}'. Your cells would go between its cells."):
            visit().watched = sweep.id
            st.rerun()
    return None


# Seldom, since what draws takes time from what is measured.
@st.fragment(run_every=3.0)
def follow(id: str) -> None:
    """Draw a sweep's progress until it ends; its own visitor can cancel it."""
    sweeps, me = get_server().sweeps, visitor()
    running = sweeps.get(id)
    if running is None or running.state != "running":
        _show_ended(id)
    sweep = running.sweep
    done, begun = sum(row.latency is not None for row in [*sweep.rows.values()]), len(sweep.begins)
    with st.container(horizontal=True, vertical_alignment="center"):
        if running.visitor == me and st.button("Cancel", icon=":material/cancel:", key="cancel-sweep"):
            sweeps.cancel(id)
            running.wait(3.0)
            _show_ended(id)
        left = duration(sweep.seconds_left)
        st.progress(sweep.progress, f"{done} of {begun} cells have figures, about {left} left: {running.note}")


@st.fragment(run_every=6.0)
def follow_cells(id: str) -> None:
    """Draw the cells that have figures so far, and a place for each that is to have some."""
    running = get_server().sweeps.get(id)
    if running is None or running.state != "running":
        return
    result, models = running.result, model_names(cell.checkpoint for cell in running.sweep.cells)
    what = shared if len(models) > 1 else family
    rows = [row for row in result.rows if row.latency]
    measured = {row.cell for row in rows}
    waiting = [cell for cell in running.sweep.begins if cell not in running.sweep.rows]
    current = running.sweep.current or next(iter(waiting), None)
    of = what(current) if current else what(rows[-1].cell) if rows else None
    if of is None:
        return
    bars = bars_of([row for row in rows if what(row.cell) == of], models)
    cells = [cell for cell in running.sweep.cells if what(cell) == of and (cell in measured or cell in waiting)]
    of_what = ", ".join(filter(None, models.values())) or called(of[0])
    words = f"so far, {family_name(of)}, clip '{inert(result.clip or 'random numbers')}', {inert(of_what)}"
    places = by_precision([_place(cell, models) for cell in cells])
    show_cells(bars, ("live-latency", "live-memory"), words, places)


def without_folders(result: Result) -> Result:
    """A sweep whose checkpoints that visitors have taught go by their public names, not by their folders."""
    if not any(is_taught(row.cell.checkpoint) for row in result.rows):
        return result
    named = [replace(row.cell, checkpoint=public_name(row.cell.checkpoint)) for row in result.rows]
    return replace(result, rows=tuple(replace(row, cell=cell) for row, cell in zip(result.rows, named, strict=True)))


def _place(cell: Cell, models: Mapping[str, str]) -> Bar:
    """A bar without figures, for a cell's name and its place in the charts. Args: models: as `bars_of`'s."""
    model = models[cell.checkpoint]
    text, group = (model, cell_name(cell)) if model else (short_name(cell), "")
    name = full_name(cell, models)
    return Bar(name, cell.attention, cell.precision, 0.0, 0.0, 0.0, 0.0, 0.0, "", text=text, group=group)


def _show_ended(id: str) -> NoReturn:
    ended = get_server().sweeps.get(id)
    visit().shown = id
    visit().sweep_error = ended.error if ended else ""
    st.rerun()
