"""This visit's runs: what was measured, kept side by side."""

from collections.abc import Callable

import streamlit as st

from engine import Job
from engine.tasks import Classification, Frames
from ui import charts
from ui.escape import inert
from ui.jobs import finished, job_for
from ui.visit import BUSY_SHARE, Run, Settings, visit
from vivit.hub import split_name


def record(job: Job[Classification], clip: str, settings: Settings, frames: Job[Frames]) -> Run:
    """Keep a finished run, once, and return it."""
    runs = visit().runs
    known = next((r for r in runs if r.job == job.id), None)
    if known is None:
        known = Run(job.id, clip, settings, frames.result, job.result)
        runs.append(known)
        del runs[:-100]
    return known


def plan_runs(frames: Job[Frames], settings: list[Settings]) -> None:
    """Plan to run all of these on the same frames, in the place of what was planned before."""
    visit().plan = (frames.id, settings)
    visit().jobs.pop("planned", None)


def run_planned(clip: str, frames: Job[Frames], submit: Callable[[Settings, str], Job[Classification]]) -> None:
    """Work through what 'Run all backends' planned for these frames, one job at a time, other visitors' between them."""
    planned_frames, plan = visit().plan or (frames.id, [])
    if not plan or planned_frames != frames.id:
        visit().plan = None
        return
    settings = plan[0]
    job = job_for("planned", (frames.id, settings, len(plan)), lambda: submit(settings, "planned"))
    if finished(job, "planned", f"{settings.attention}, {len(plan) - 1} more to come"):
        record(job, clip, settings, frames)
        del plan[0]
        st.rerun()


def show_runs() -> None:
    """Draw latency and memory of every run of this visit, and whether the answers agree."""
    runs = visit().runs
    if not runs:
        st.caption("Runs of this visit will stand here side by side.")
        return
    names = [f"{k}: {r.settings.attention}, {r.settings.precision}" for k, r in enumerate(runs, 1)]
    left, right = st.columns(2)
    with left:
        charts.show(
            charts.compare(names, [r.result.latency_ms for r in runs], "ms"),
            "latencies",
            "Latency of each run in milliseconds",
        )
    with right:
        charts.show(
            charts.compare(names, [r.peak_mib for r in runs], "MiB beyond weights"),
            "peaks",
            "Peak memory of each run beyond the weights, in MiB",
        )
    rows = [
        {
            "run": k,
            "clip": r.clip,
            "checkpoint": split_name(r.settings.checkpoint)[0],
            "attention": r.settings.attention,
            "precision": r.settings.precision,
            "latency, ms": round(r.result.latency_ms, 1),
            "passes": len(r.result.samples_ms),
            "peak, MiB": round(r.peak_mib, 1),
            "weights, MiB": round(r.weights_mib, 1),
            "top answers": ", ".join(inert(p.label, 40) for p in r.result.predictions or []) or "not shown",
            "busy": f"{r.others_share:.0%}" if r.others_share > BUSY_SHARE else "",
            "same answers?": _agreement(runs, r),
        }
        for k, r in enumerate(runs, 1)
    ]
    st.dataframe(rows, hide_index=True, alt="This visit's runs")


def _agreement(runs: list[Run], run: Run) -> str:
    """Whether a run gave the same answers in the same order as the first on the same pixels with the same weights."""

    def same_input(other: Run) -> bool:
        names = ("checkpoint", "sampling", "stride", "normalisation")
        alike = all(getattr(run.settings, name) == getattr(other.settings, name) for name in names)
        return alike and (other.clip, other.frames.seconds) == (run.clip, run.frames.seconds)

    k, first = next((k, r) for k, r in enumerate(runs, 1) if same_input(r))
    ours, theirs = first.result.predictions, run.result.predictions
    if first is run or not (ours and theirs):
        return "–"
    shared = min(len(ours), len(theirs))
    same = [a.label for a in ours[:shared]] == [b.label for b in theirs[:shared]]
    known = {b.label: b.score for b in theirs}
    gap = max((abs(a.score - known[a.label]) for a in ours[:shared] if a.label in known), default=1.0)
    scores = f"scores within {gap:.0e}" if gap else "equal scores"
    return f"{'as' if same else 'not as'} run {k}: top {shared}, {scores}"
