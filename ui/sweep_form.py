"""Choosing what to measure: a preset, or any combination. It begins with what Classify had chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from ui.advice import in_a_sentence
from ui.checkpoints import checkpoints_here, pick_others
from ui.chosen import ChosenClip
from ui.clips import bundled_clips, own_clip
from ui.escape import inert, literal
from ui.taught import called
from ui.visit import set_widget, visit, widget
from ui.what_runs import first_calls_said
from vivit.benchmark.measurement import MODES, Cell, StoppingRule
from vivit.benchmark.presets import PRESETS, grid
from vivit.benchmark.refusals import runs_here
from vivit.benchmark.sweep import BUDGET_SECONDS
from vivit.checkpoint import RANDOM_CONFIGS
from vivit.machine import Machine
from vivit.names import BACKENDS, EXECUTIONS, PRECISIONS

CUSTOM = "my own selection"
BUDGETS = {"45 s": 45.0, "2 min": 120.0, "10 min": 600.0, "full": None}
SIZES = (1, 2, 4, 8, 16, 32)
UPLOADED = "an uploaded clip"  # whose name is not for the other visitors, who see every sweep
CHECKPOINT, CLIP, BACKENDS_KEY, PRECISIONS_KEY = "bench-checkpoint", "clip-to-measure", "b-attention", "b-precision"
EXECUTIONS_KEY, MODELS_KEY = "b-execution", "b-models"
KEPT = (
    *("preset", CHECKPOINT, MODELS_KEY, CLIP, BACKENDS_KEY, PRECISIONS_KEY, "b-sizes", "b-mode", EXECUTIONS_KEY),
    *(f"budget-{name}" for name in (*PRESETS, CUSTOM)),
)


@dataclass(frozen=True)
class Selection:
    """What to measure.

    Args:
        title: in a few words.
        checkpoints: as `vivit.checkpoint.open_checkpoint` takes them on this machine; the first one's frames are those of all.
        cells: those that run here.
        rule: None for the usual one.
        budget_seconds: None for 'full'.
        clip: its name, '' for random numbers; path: the file.
    """

    title: str
    checkpoints: tuple[str, ...]
    cells: tuple[Cell, ...]
    rule: StoppingRule | None
    budget_seconds: float | None
    clip: str
    path: str


def clips_here() -> dict[str, ChosenClip]:
    """The clips that can be measured, by the name that everybody may see."""
    own = own_clip()
    return ({UPLOADED: own} if own else {}) | bundled_clips()


def pick_cells(machine: Machine) -> Selection:
    """Draw the choice, one line that opens."""
    clips = clips_here()
    _begin_with(clips)
    names = [*PRESETS, CUSTOM]
    preset = widget("preset") or st.query_params.get("preset")
    preset = preset if preset in names else names[0]
    given = PRESETS[preset].checkpoints if preset in PRESETS else ()  # the preset's own, whatever is chosen
    asked = widget(CHECKPOINT) or checkpoints_here()[0]
    # To Streamlit an expander with another label is another one, and would be shut.
    form = st.expander(
        literal(inert(_in_a_line(preset, "" if given else asked, clips), 120)),
        visit().form_open,
        icon=":material/tune:",
        key="form",
        on_change="rerun",
    )
    visit().form_open = bool(form.open)
    with form:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            name = st.selectbox("What to measure", names, key="preset", bind="query-params", width=300)
            checkpoint = asked if given else _pick_checkpoint()
            clip = st.selectbox("Clip", list(clips), key=CLIP, width=220) if clips else None
            budget_seconds = _pick_budget(name)
        checkpoints = given or (checkpoint, *pick_others(checkpoint, MODELS_KEY, "original"))
        if all(name in RANDOM_CONFIGS for name in checkpoints):
            whose = " of the same model" * (len(checkpoints) > 1)
            st.caption(f"Random weights, for timing only: no predictions, only the agreement between cells{whose}.")
        if name in PRESETS:
            st.caption(PRESETS[name].title)
            cells, rule = PRESETS[name].cells(*checkpoints), PRESETS[name].rule
        else:
            cells, rule = _pick_grid(checkpoints), None
        runs = _leave_out(_chosen_first(cells), machine)
        if said := first_calls_said(runs, "in every process"):
            st.caption(literal(said))
    visit().form |= {key: widget(key) for key in KEPT if widget(key) is not None}
    path = clips[clip].path if clip else ""
    return Selection(name, checkpoints, tuple(runs), rule, budget_seconds, clip or "", path)


def _in_a_line(preset: str, checkpoint: str, clips: Mapping[str, ChosenClip]) -> str:
    """What is chosen. Args: checkpoint: the first; '' where they are the preset's own, which have random weights."""
    more = f" and {count} more" if (count := len(widget(MODELS_KEY) or ())) else ""
    of = f"{called(checkpoint)}{more}" if checkpoint else "random weights"
    return f"{preset} · {of} · clip '{widget(CLIP) or next(iter(clips), 'random numbers')}'"


def _pick_checkpoint() -> str:
    return st.selectbox(
        "Checkpoint",
        checkpoints_here(),
        key=CHECKPOINT,
        format_func=lambda name: inert(called(name)),
        width=280,
        help="Those on this machine: one of the Hub is here once the page Classify has downloaded it.",
    )


def _pick_budget(preset: str) -> float | None:
    """The seconds that a sweep may take, None for 'full'; at first what its preset needs."""
    least = PRESETS[preset].budget_seconds if preset in PRESETS else BUDGET_SECONDS
    usual = next(label for label, seconds in BUDGETS.items() if seconds is None or seconds >= least)
    if widget(f"budget-{preset}") is None:
        set_widget(f"budget-{preset}", usual)
    budget = st.segmented_control(
        "Time budget",
        list(BUDGETS),
        required=True,
        key=f"budget-{preset}",
        help="Cells whose six processes do not fit into it are not begun; 'full' measures all, and longer.",
    )
    return BUDGETS[budget or usual]


def _leave_out(cells: Sequence[Cell], machine: Machine) -> list[Cell]:
    """The cells that run here; why the others do not is said."""
    runs, reasons = runs_here(cells, machine)
    if reasons:
        st.caption(f"{len(cells) - len(runs)} of {len(cells)} cells do not run here and are left out.")
        for reason, which in reasons.items():
            named = reason.startswith(which[0])  # the reason begins with the cell
            st.caption(f"{', '.join(_named(which))}: " * (not named) + literal(reason))
    return runs


def _named(cells: Sequence[str]) -> list[str]:
    """What to call cells 'backend in precision': the precision, where several backends share one; else the backends."""
    attention, precision = (dict.fromkeys(cell.partition(" in ")[k] for cell in cells) for k in (0, 2))
    return list(precision if len(precision) == 1 < len(attention) else attention)


def shut() -> None:
    """Make the form one line again. To be called before it is drawn."""
    visit().form_open = False
    set_widget("form", False)


def _begin_with(clips: dict[str, ChosenClip]) -> None:
    """Give the widgets what they had when the page was left, or what Classify has chosen since then."""
    begun: dict[str, Any] = {}
    settings = visit().settings
    clip = UPLOADED if UPLOADED in clips else visit().clip
    chosen = (settings.checkpoint, settings.attention, settings.precision, settings.execution, clip) if settings else ()
    if settings and chosen != visit().form_from:
        visit().form_from = chosen
        begun = {
            CHECKPOINT: settings.checkpoint,
            CLIP: clip,
            BACKENDS_KEY: list(dict.fromkeys(("eager", "sdpa", settings.attention))),
            PRECISIONS_KEY: list(dict.fromkeys(("float32", settings.precision))),
            EXECUTIONS_KEY: list(dict.fromkeys(("plain", settings.execution))),
        }
    known = {CHECKPOINT: checkpoints_here(), CLIP: list(clips), "preset": [*PRESETS, CUSTOM]}
    for key, value in (visit().form | begun).items():
        asked = key == "preset" and "preset" in st.query_params
        if (widget(key) is None or key in begun) and not asked and value in known.get(key, [value]):
            set_widget(key, value)


def _chosen_first(cells: Sequence[Cell]) -> list[Cell]:
    """The cells with the backend that Classify had chosen before the others, since what comes late may not be begun."""
    settings = visit().settings
    wanted = (settings.attention, settings.precision, settings.execution) if settings else ()
    return sorted(cells, key=lambda cell: (cell.attention, cell.precision, cell.execution) != wanted)


def _pick_grid(checkpoints: Sequence[str]) -> list[Cell]:
    with st.container(border=True):
        attention = _pills("Attention", list(BACKENDS), ["eager", "sdpa"], BACKENDS_KEY)
        precision = _pills("Precision", list(PRECISIONS), ["float32"], PRECISIONS_KEY)
        with st.container(horizontal=True):
            sizes = _pills("Batch size", list(SIZES), [1], "b-sizes")
            mode = st.segmented_control("Mode", list(MODES), default="inference", required=True, key="b-mode")
            executions = _pills("Execution", list(EXECUTIONS), ["plain"], EXECUTIONS_KEY)
        st.caption(in_a_sentence(checkpoints[0]))
    return [cell for name in checkpoints for cell in grid(name, attention, precision, sizes, [mode], executions)]


def _pills(label: str, options: list[Any], usual: list[Any], key: str) -> list[Any]:
    if widget(key) is None:
        set_widget(key, usual)
    return st.pills(label, options, selection_mode="multi", key=key)
