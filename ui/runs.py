"""This visit's runs: what was measured, kept side by side."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import streamlit as st

from engine import Job
from ui import charts
from ui.hub import hub_name
from ui.jobs import finished, job_for
from ui.settings import Settings
from ui.text import inert

BUSY_SHARE = 0.25  # of the processors in others' hands, from which on a latency is not this model's alone


@dataclass(frozen=True)
class Run:
    """One classification of this visit, with everything it reported. Args: job: its number, which no two runs share."""

    job: int
    clip: str
    settings: Settings
    frames: dict[str, Any]
    result: dict[str, Any]

    @property
    def peak_mib(self) -> float:
        """The most memory the pass held beyond the weights, in MiB."""
        return self.result["peak_bytes"] / charts.MIB

    @property
    def weights_mib(self) -> float:
        """The weights, in MiB."""
        return self.result["weights_bytes"] / charts.MIB

    @property
    def stages_ms(self) -> dict[str, float]:
        """Where the time went, from file to answer."""
        read = self.frames["timings_ms"]
        return {
            "open": read["probe"],
            "decode": read["decode"],
            "resize and crop": read["preprocess"],
            "normalise and copy": self.result["preprocess_ms"],
            "forward": self.result["latency_ms"],
        }

    @property
    def others_share(self) -> float:
        """What other programs took of the processors meanwhile; 0 on a GPU, whose work they do not hold up."""
        return (self.result["others_share"] or 0.0) * (self.result["device"] != "cuda")

    @property
    def how(self) -> str:
        """How latency and memory were measured."""
        on_gpu = self.result["device"] == "cuda"
        clock, recorder = ("CUDA events", "CUDA's allocator") if on_gpu else ("perf_counter", "PyTorch's profiler")
        n = len(self.result["samples_ms"])
        if self.result["warm"]:
            passes = f"median of {n} forward pass{'es' * (n > 1)} after one to warm up"
            memory = "in the warm-up pass"
        else:
            passes = "one forward pass, the first, with the memory recorder on (slow passes are not repeated)"
            memory = "in that pass"
        busy = self.others_share > BUSY_SHARE
        note = (
            f" Other programs took {self.others_share:.0%} of the processors meanwhile: run it again when it is quieter."
        ) * busy
        return (
            f"Latency: {passes}; batch size 1, {clock}, {self.result['device']}. "
            f"Peak memory: the clip, and the most that {recorder} counted beyond it and the weights {memory}.{note}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON; a checkpoint of the Hub by its name and commit, which others can use too."""
        checkpoint, revision = hub_name(self.settings.checkpoint)
        settings = asdict(self.settings) | {"checkpoint": checkpoint, "revision": revision}
        return asdict(self) | {"settings": settings, "measured": self.how}


def record(job: Job, clip: str, settings: Settings, frames: Job) -> Run:
    """Keep a finished run, once, and return it."""
    runs: list[Run] = st.session_state.setdefault("runs", [])
    known = next((r for r in runs if r.job == job.id), None)
    if known is None:
        known = Run(job.id, clip, settings, frames.result, job.result)
        runs.append(known)
        del runs[:-100]
    return known


def plan_runs(frames: Job, settings: list[Settings]) -> None:
    """Plan to run all of these on the same frames, in the place of what was planned before."""
    st.session_state["plan"] = (frames.id, settings)
    st.session_state.pop("planned", None)


def run_planned(clip: str, frames: Job, submit: Callable[[Settings, str], Job]) -> None:
    """Work through what 'Run all backends' planned for these frames, one job at a time, other visitors' between them."""
    planned_frames, plan = st.session_state.get("plan", (frames.id, []))
    if not plan or planned_frames != frames.id:
        st.session_state.pop("plan", None)
        return
    settings: Settings = plan[0]
    job = job_for("planned", (frames.id, settings, len(plan)), lambda: submit(settings, "planned"))
    if finished(job, "planned", f"{settings.attention}, {len(plan) - 1} more to come"):
        record(job, clip, settings, frames)
        del plan[0]
        st.rerun()


def show_runs() -> None:
    """Draw latency and memory of every run of this visit, and whether the answers agree."""
    runs: list[Run] = st.session_state.get("runs", [])
    if not runs:
        st.caption("Runs of this visit will stand here side by side.")
        return
    names = [f"{k}: {r.settings.attention}, {r.settings.precision}" for k, r in enumerate(runs, 1)]
    left, right = st.columns(2)
    with left:
        charts.show(
            charts.compare(names, [r.result["latency_ms"] for r in runs], "ms"),
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
            "checkpoint": hub_name(r.settings.checkpoint)[0],
            "attention": r.settings.attention,
            "precision": r.settings.precision,
            "latency, ms": round(r.result["latency_ms"], 1),
            "passes": len(r.result["samples_ms"]),
            "peak, MiB": round(r.peak_mib, 1),
            "weights, MiB": round(r.weights_mib, 1),
            "top answers": ", ".join(inert(p["label"], 40) for p in r.result["predictions"] or []) or "not shown",
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
        return alike and (other.clip, other.frames["seconds"]) == (run.clip, run.frames["seconds"])

    k, first = next((k, r) for k, r in enumerate(runs, 1) if same_input(r))
    ours, theirs = first.result["predictions"], run.result["predictions"]
    if first is run or not (ours and theirs):
        return "–"
    shared = min(len(ours), len(theirs))
    same = [a["label"] for a in ours[:shared]] == [b["label"] for b in theirs[:shared]]
    known = {b["label"]: b["score"] for b in theirs}
    gap = max((abs(a["score"] - known[a["label"]]) for a in ours[:shared] if a["label"] in known), default=1.0)
    scores = f"scores within {gap:.0e}" if gap else "equal scores"
    return f"{'as' if same else 'not as'} run {k}: top {shared}, {scores}"
