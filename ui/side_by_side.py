"""'Side by side': cells timed in turn on the clip at hand, and what they say."""

import math
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from html import escape
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from engine import Job, comparisons
from engine.tasks import Frames
from ui import charts
from ui.advice import in_a_sentence
from ui.checkpoints import pick_others
from ui.chosen import Settings
from ui.classified import Compared, Run
from ui.components.hush import hush
from ui.escape import inert, literal
from ui.following import cancel_button
from ui.server import compares_by_itself, get_engine, get_machine, get_server
from ui.taught import called
from ui.visit import visit, visitor
from ui.what_runs import estimate_seconds, first_call_seconds, missing_executions, runs_here
from vivit.benchmark.charts import Bar, Places
from vivit.benchmark.cost import compile_seconds, default_cells
from vivit.benchmark.families import explain_models, model_names
from vivit.benchmark.headline import headline
from vivit.benchmark.measurement import MIB, Cell
from vivit.benchmark.ratios import NO_DIFFERENCE, SHORT
from vivit.benchmark.results import Result
from vivit.benchmark.side_by_side import OVERHEAD_SECONDS, SLOT_SECONDS, Row, SideBySide
from vivit.benchmark.wording import agrees
from vivit.checkpoint import Checkpoint, open_checkpoint
from vivit.names import BACKENDS, EXECUTIONS, PRECISIONS

BUDGET_SECONDS = 5.0  # of a comparison that nobody has asked for
PATIENCE_SECONDS = 60.0  # of a comparison: four cells that take longer are made two
CHARTS = ("side-by-side-latency", "side-by-side-memory")
RECORDED = "h100-documentation-tables"  # a sweep that is kept with the app

Cells = tuple[Cell, ...]  # the first is what the others are compared with


def show_side_by_side(
    clip: str, frames: Job[Frames], settings: Settings, checkpoint: Checkpoint, run: Run | None
) -> str:
    """Draw the comparison of this clip, and begin it where it takes little; else offer it.

    Args:
        clip: its name. Of several views the first alone is compared, as is said behind the name.
        run: the answer with these settings; None while it is not there.

    Returns:
        What it says, once it has ended; '' before.
    """
    title, controls = st.columns([13, 11] if visit().present else [17, 7], vertical_alignment="center")
    with controls, st.container(horizontal=True, horizontal_alignment="right", gap="small", wrap=False):
        again, choose = st.container(width="content"), st.container(width="content")
    with choose:
        cells = _choose_cells(settings, checkpoint)
    views = frames.result.views.count
    if views > 1:
        clip = f"{clip}, view 1 of {views}"
    key = (frames.id, settings.checkpoint, settings.normalisation, cells)
    held = visit().compared
    ours = held if held and held.key == key else None
    with again:
        wanted = _wanted(key, _sound_seconds(cells, settings, run), run, ours)
    if wanted:
        _start(key, clip, frames, settings, cells)
        st.rerun()
    if held and not ours and _runs(held):
        held.running.cancel()  # a comparison that is not what is asked for here
    hush(_runs(ours))
    shown = ours or (held if held and _same_question(held, key) else None)
    if not shown:
        _show_nothing_yet(title, checkpoint)
        return ""
    if _runs(shown):
        with title:
            _follow(shown)
        _grow(shown)
        return ""
    with title:
        verdict = _show_verdict(shown, checkpoint, of="" if ours else f"Of '{inert(shown.clip)}': ")
    _show_bars(shown)
    return verdict if ours else ""


def _wanted(key: tuple[Any, ...], about: float, run: Run | None, ours: Compared | None) -> bool:
    """Draw the button that measures. Returns whether to begin: it was pressed, or so little time is taken unasked, once.

    Args:
        key: what is to be compared. about: how long that takes, in seconds.
        ours: the comparison of just that, where it was begun before.
    """
    label = "Measure again" if ours else f"Compare, about {math.ceil(about):,} s"
    asked = st.button(label, icon=":material/speed:", disabled=_runs(ours), key="compare", type="secondary")
    alone = compares_by_itself() and about <= BUDGET_SECONDS and run is not None and get_engine().idle("model")
    begins = asked or (not ours and alone and visit().wanted.get("comparison") != key)
    if begins:
        visit().wanted["comparison"] = key  # begun, once, by itself
    return begins


def _show_nothing_yet(title: DeltaGenerator, checkpoint: Checkpoint) -> None:
    """Bars that were recorded elsewhere, in the place of those to come. Args: title: where to say so."""
    result = next((r for r in get_server().sweeps.kept() if r.id == RECORDED), None)
    of = "" if checkpoint.config.factorization == "none" else "model 1, unfactorised, "
    where = f"{of}{'on ' * bool(of)}{result.machine.device_name}" if result else ""
    with title:
        st.subheader(f"Not measured here yet{f': these bars are of {where}' if result else ''}")
    if result:
        _show_recorded(result, of)


def _runs(held: Compared | None) -> bool:
    return held is not None and held.running.state == "running"


def _choose_cells(settings: Settings, checkpoint: Checkpoint) -> Cells:
    """Draw the choice of cells. Returns those that run here, what the others are compared with in front."""
    machine = get_machine()
    assert machine is not None
    usual = [(*cell, "plain") for cell in default_cells(checkpoint.config, machine)]
    if _seconds([Cell(settings.checkpoint, a, p) for a, p, _ in usual], settings) * min(SHORT) > PATIENCE_SECONDS:
        usual = usual[:2]
    with st.popover("Choose cells…", icon=":material/tune:"):
        attention = _pick("Attention", [a for a in BACKENDS if any(runs_here(a, p) for p in PRECISIONS)], usual, 0)
        precision = _pick("Precision", [p for p in PRECISIONS if any(runs_here(a, p) for a in BACKENDS)], usual, 1)
        execution = _pick("Execution", [e for e in EXECUTIONS if e not in missing_executions()], usual, 2)
        st.caption(
            "The others are compared with the first backend in the first precision, run in the first way; of other models each "
            "cell with the same one of this checkpoint."
        )
        models = [settings.checkpoint, *pick_others(settings.checkpoint, "cells-models", settings.normalisation)]
        st.caption(in_a_sentence(settings.checkpoint))
    chosen = [(a, p, e) for e in execution for p in precision for a in attention if runs_here(a, p)]
    return tuple(Cell(name, a, p, execution=e) for a, p, e in chosen or usual for name in models)


def _pick(label: str, names: Sequence[str], usual: Sequence[tuple[str, str, str]], part: int) -> list[str]:
    """Draw a choice of several. Args: usual: cells whose part, 0 to 2, is chosen at first; their number is in the key."""
    chosen = list(dict.fromkeys(cell[part] for cell in usual))
    return st.pills(label, names, selection_mode="multi", default=chosen, key=f"cells-{label}-{len(usual)}")


def _seconds(cells: Sequence[Cell], settings: Settings, scale: float = 1.0) -> float:
    """Seconds that a round of these takes, by the cost model, whose passes are scaled by a factor."""
    passes = [_estimate(cell, settings) * scale for cell in cells]
    return OVERHEAD_SECONDS + sum(max(SLOT_SECONDS, seconds) for seconds in passes)


def _estimate(cell: Cell, settings: Settings) -> float:
    chosen = replace(
        settings, checkpoint=cell.checkpoint, attention=cell.attention, precision=cell.precision, views="1x1"
    )
    return estimate_seconds(chosen, _opened(cell), first=False)


def _opened(cell: Cell) -> Checkpoint:
    return open_checkpoint(cell.checkpoint, weights=False, here=True)


def _sound_seconds(cells: Cells, settings: Settings, run: Run | None) -> float:
    """Seconds of the first calls and of as many rounds as give a ratio; by what a pass of the run took, where there is one."""
    scale = 1.0
    if run is not None:
        known = _estimate(run.settings.cell, settings)
        scale = run.result.latency_ms / 1e3 / run.frames.views.count / known
    first = [compile_seconds(c.attention, c.execution, first_call_seconds(c, _opened(c))) for c in cells]
    return sum(first) + min(SHORT) * _seconds(cells, settings, scale)


def _same_question(held: Compared, key: tuple[Any, ...]) -> bool:
    """Whether what is there compares the same checkpoint and pixel values: if so, it stays until the new one is there."""
    return held.key[1:3] == key[1:3] and bool(held.running.comparison.rounds)


def _start(key: tuple[Any, ...], clip: str, frames: Job[Frames], settings: Settings, cells: Cells) -> None:
    if former := visit().compared:
        former.running.cancel()
    comparison = SideBySide(cells, seconds=BUDGET_SECONDS, seed=secrets.randbits(32), sound=True)
    shape = frames.result.shape
    pixels = frames.blobs[0][: math.prod(shape)]  # of the first view
    running = comparisons.start(get_engine(), comparison, shape, pixels, settings.normalisation)
    get_server().comparisons[visitor()] = running
    visit().compared = Compared(key, clip, running)


@st.fragment(run_every=1.0)  # seldom, since what draws takes time from what is measured
def _follow(held: Compared) -> None:
    running = held.running
    if running.state != "running":
        st.rerun()
    seconds = running.comparison.seconds_left
    left = f", about {seconds:.0f} s to the next look" if seconds else ""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(running.comparison.progress, f"Side by side, no verdict yet: {running.note}{left}")
        cancel_button(running, "comparison-stop", "Stop", ":material/stop:")


@st.fragment(run_every=2.0)
def _grow(held: Compared) -> None:
    _show_bars(held)


def _show_verdict(held: Compared, checkpoint: Checkpoint, of: str) -> str:
    running = held.running
    if running.state == "failed":
        st.error(literal(running.error), icon=":material/error:")
        return running.error
    said = "Side by side on this clip: stopped before its first round."
    if running.comparison.rounds:
        said = headline(running.comparison, trained=checkpoint.trained, labels=_labels(running.comparison))
    st.subheader(literal(of + said), help=running.comparison.method)
    return said


def _labels(comparison: SideBySide) -> dict[str, Mapping[int, str]]:
    """The classes of the trained checkpoints that are still here."""
    found: dict[str, Mapping[int, str]] = {}
    for cell in comparison.cells:
        with suppress(ValueError):
            checkpoint = _opened(cell)
            if checkpoint.trained:
                found[cell.checkpoint] = checkpoint.labels
    return found


def _show_bars(held: Compared) -> None:
    comparison = held.running.comparison
    models = model_names(cell.checkpoint for cell in comparison.cells)
    checkpoint = ", ".join(filter(None, models.values())) or called(held.key[1])
    caveats = ["1 round only"] if comparison.rounds == 1 else []
    if comparison.busy:
        caveats.append(f"other programs held {comparison.others_share:.0%} of the processors")
    words = (
        f"median of {comparison.rounds} rounds, clip '{inert(held.clip)}', checkpoint {inert(checkpoint)}, batch size 1"
    )
    bars = [
        Bar(
            _label(row.cell, models),
            row.cell.attention,
            row.cell.precision,
            row.median,
            row.p5,
            row.p95,
            row.found.weights / MIB,
            math.nan if row.found.activations is None else row.found.activations / MIB,
            f"{words}; {_ratio_in_words(row, comparison)}",
            "; ".join(caveats),
            "1 round" * (comparison.rounds == 1) or "busy machine" * comparison.busy,
            kept_in={kind: size / MIB for kind, size in row.found.weights_kept_in.items()},
        )
        for row in comparison.rows()
    ]
    charts.show_cells(
        bars, CHARTS, f"clip '{inert(held.clip)}', {inert(checkpoint)}", _places(comparison.cells, models)
    )
    if explained := explain_models(models):
        st.caption(explained)


def _label(cell: Cell, models: Mapping[str, str]) -> str:
    return " · ".join(filter(None, (models[cell.checkpoint], cell.attention, f"{cell.precision}{cell.manner}")))


def _places(cells: Sequence[Cell], models: Mapping[str, str]) -> Places:
    """A place for each cell; of several models those of one backend, precision and way to run under a heading."""
    if len(models) == 1:
        return [(label, label) for label in (_label(cell, models) for cell in cells)]
    places: Places = []
    for cell in cells:
        heading = ("", f"<b>{cell.attention} · {cell.precision}{cell.manner}</b>")
        places += [heading] * (heading not in places)
        places.append((_label(cell, models), escape(inert(models[cell.checkpoint], 40))))
    return places


def _ratio_in_words(row: Row, comparison: SideBySide) -> str:
    if comparison.rounds and row.cell == comparison.cells[0]:
        return "what the others are compared with"
    if row.ratio is None:
        return "no ratio yet"
    interval = f"{row.ratio.low:.2f} to {row.ratio.high:.2f}"
    verdict = row.ratio.verdict
    said = verdict if verdict == NO_DIFFERENCE else f"{row.ratio.value:.2f} times as fast as the first"
    same = row.cell.checkpoint == comparison.cells[0].checkpoint
    answer = agrees(row.agreement) if same else "other weights, so its answers are not compared"
    return "; ".join(filter(None, (f"{said} ({interval})", answer)))


def _show_recorded(result: Result, of: str) -> None:
    """While there is nothing of this machine: the same of a large GPU, from a sweep that is kept with the app.

    Args:
        of: 'model 1, unfactorised, ' where another of the paper's four was chosen; else ''.
    """
    rows = [
        r
        for r in result.rows
        if r.cell.attention in ("eager", "sdpa")
        and r.cell.precision in ("float32", "float16")
        and (r.cell.batch_size, r.cell.mode, r.cell.execution) == (1, "inference", "plain")
        and r.latency
        and r.memory
    ]
    words = f"{of}{result.label}, {result.rows[0].cell.checkpoint}, batch size 1"
    bars = [
        Bar(
            f"{r.cell.attention} · {r.cell.precision}",
            r.cell.attention,
            r.cell.precision,
            r.latency.median,
            r.latency.p5,
            r.latency.p95,
            r.memory.weights / MIB,
            r.memory.activations / MIB,
            words,
            "; ".join(r.caveats.values()),
            ", ".join(r.caveats),
        )
        for r in rows
        if r.latency and r.memory
    ]
    charts.show_cells(bars, CHARTS, f"not here, but {of}{result.label}, {result.rows[0].cell.checkpoint}")
