"""This visit's runs: what was measured, kept by clip and checkpoint."""

import json
import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
import streamlit as st

from engine import Job
from engine.tasks import Classification, Frames
from ui import charts
from ui.chosen import Settings
from ui.classified import Run
from ui.escape import inert
from ui.server import get_machine
from ui.taught import called
from ui.visit import visit
from vivit.benchmark.charts import Bar
from vivit.benchmark.results import revision
from vivit.benchmark.wording import UNKNOWN
from vivit.csv_lines import csv_lines

SHOWN = 5  # answers of a run in the table
DIFFER = (
    "execution",
    "views",
    "sampling",
    "stride",
    "normalisation",
)  # settings that have a column where two runs differ in them


def record(job: Job[Classification], clip: str, settings: Settings, frames: Job[Frames]) -> Run:
    """Keep a finished run, once, and return it.

    Args:
        job: has succeeded.
        clip: its name.
        settings: how it ran.
        frames: the job that read its frames.
    """
    runs = visit().runs
    known = next((r for r in runs if r.job == job.id), None)
    if known is None:
        known = Run(job.id, clip, settings, frames.result, job.result)
        runs.append(known)
        del runs[:-100]
    return known


def run_before(run: Run) -> Run | None:
    """The run on the same frames with the same checkpoint that came before this one; None if there is none."""
    runs = visit().runs
    return next((r for r in reversed(runs[: runs.index(run)]) if _group(r) == _group(run)), None)


def has_run(settings: Settings) -> bool:
    """Whether this visit has run such a cell, so that what its first call makes is there."""
    return any(run.settings.cell == settings.cell for run in visit().runs)


def show_runs(again: Run | None) -> bool:
    """Draw every run of this visit, those of one clip and checkpoint together, and the charts of the latest of them.

    Args:
        again: the run that 'Measure again' is about; None while there is none.

    Returns:
        Whether the visitor wants that one measured again.
    """
    runs = visit().runs
    if not runs:
        st.caption("Runs of this visit will stand here side by side.")
        return False
    groups: dict[Any, list[Run]] = {}
    for run in reversed(runs):
        groups.setdefault(_group(run), []).append(run)
    latest = list({_cell(run): run for run in reversed(next(iter(groups.values())))}.values())
    _show_charts(latest)
    rows = [_row(run, runs) for group in groups.values() for run in _latest_first(group)]
    differ = [name for name in DIFFER if len({row[name] for row in rows}) > 1]
    shown = [{k: v for k, v in row.items() if k not in DIFFER or k in differ} for row in rows]
    st.dataframe(shown, hide_index=True, alt="This visit's runs")
    with st.container(horizontal=True):
        wanted = st.button("Measure this one again", icon=":material/refresh:", disabled=again is None)
        if st.button("Clear", icon=":material/delete:"):
            visit().runs = [again] if again else []
            st.rerun()
        # Made when asked for, so there is no file to vanish.
        for label, make, name, kind in (
            ("Runs as CSV", lambda: _as_csv(rows), "vivit-runs.csv", "text/csv"),
            ("Runs as JSON", lambda: _as_json(runs), "vivit-runs.json", "application/json"),
        ):
            st.download_button(label, make, name, kind, on_click="ignore", icon=":material/download:")
    return wanted


def _group(run: Run) -> tuple[Any, ...]:
    return run.clip, run.frames.seconds, run.frames.crop_boxes, run.frames.shape, run.settings.checkpoint


def _cell(run: Run) -> tuple[Any, ...]:
    return run.settings.attention, run.settings.precision, *(getattr(run.settings, name) for name in DIFFER)


def _latest_first(group: list[Run]) -> list[Run]:
    """The latest run of each cell, and below these the earlier ones. Args: group: newest first."""
    latest = {_cell(run): run for run in reversed(group)}.values()
    return [run for run in group if run in latest] + [run for run in group if run not in latest]


def _show_charts(runs: list[Run]) -> None:
    checkpoint = called(runs[0].settings.checkpoint)
    views = f" in {runs[0].settings.views} views" * (runs[0].frames.views.count > 1)
    of = f"clip '{inert(runs[0].clip)}'{views}, {inert(checkpoint)}"
    bars = []
    for run in runs:
        samples = run.result.samples_ms
        cold = "" if run.result.warm else "the first pass, cold"
        busy = f"other programs held {run.others_share:.0%} of the processors" if run.busy else ""
        bars.append(
            Bar(
                f"{_number(run)} · {run.settings.attention} · {run.settings.precision}{run.settings.cell.manner}",
                run.settings.attention,
                run.settings.precision,
                run.result.latency_ms,
                float(np.percentile(samples, 5)),
                float(np.percentile(samples, 95)),
                run.weights_mib,
                math.nan if run.peak_mib is None else run.peak_mib,
                f"median of {len(samples)} passes one after the other, not in turn with others; {of}",
                "; ".join(filter(None, (cold, busy))),
            )
        )
    charts.show_cells(bars, ("latencies", "peaks"), of)


def _number(run: Run) -> int:
    return visit().runs.index(run) + 1


def _row(run: Run, runs: list[Run]) -> dict[str, Any]:
    settings = run.settings
    return {
        "run": _number(run),
        "attention": settings.attention,
        "precision": settings.precision,
        "same answers?": _agreement(runs, run),
        "latency, ms": round(run.result.latency_ms, 1),
        "peak, MiB": UNKNOWN if run.peak_mib is None else round(run.peak_mib, 1),
        "weights, MiB": round(run.weights_mib, 1),
        "clip": run.clip,
        "checkpoint": called(settings.checkpoint),
        **{name: getattr(settings, name) for name in DIFFER},
        "passes": len(run.result.samples_ms),
        "busy": f"{run.others_share:.0%}" if run.busy else "",
        "top answers": ", ".join(inert(p.label, 40) for p in (run.result.predictions or [])[:SHOWN]) or "not shown",
    }


def _about() -> dict[str, Any]:
    """What the figures were measured on and with."""
    machine = get_machine()
    return {
        "machine": machine.device_name if machine else "",
        "versions": machine.versions_text if machine else "",
        "revision": revision(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _as_csv(rows: list[dict[str, Any]]) -> str:
    about = _about()
    return csv_lines([rows[0] | about, *((row | about).values() for row in rows)])


def _as_json(runs: list[Run]) -> str:
    return json.dumps({**_about(), "runs": [run.to_dict() for run in runs]}, indent=2)


def _agreement(runs: list[Run], run: Run) -> str:
    """Whether a run gave the same answers in the same order as the first on the same pixels with the same weights."""

    def same_input(other: Run) -> bool:
        return _group(other) == _group(run) and other.settings.normalisation == run.settings.normalisation

    k, first = next((k, r) for k, r in enumerate(runs, 1) if same_input(r))
    ours, theirs = first.result.predictions, run.result.predictions
    if first is run or not (ours and theirs):
        return "–"
    shared = min(len(ours), len(theirs), SHOWN)
    same = [a.label for a in ours[:shared]] == [b.label for b in theirs[:shared]]
    known = {b.label: b.score for b in theirs}
    gap = max((abs(a.score - known[a.label]) for a in ours[:shared] if a.label in known), default=1.0)
    scores = f"scores within {gap:.0e}" if gap else "equal scores"
    return f"{'as' if same else 'not as'} run {k}: top {shared}, {scores}"
