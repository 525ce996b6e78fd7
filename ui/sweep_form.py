"""Choosing what to measure: a preset, or any combination."""

from dataclasses import dataclass

import streamlit as st

from vivit.benchmark.measurement import MODES, Cell, StoppingRule
from vivit.benchmark.sweep import PRESETS, grid
from vivit.checkpoint import RANDOM
from vivit.hub import cached_checkpoints, embedded_checkpoints, split_name
from vivit.names import BACKENDS, PRECISIONS

CUSTOM = "my own selection"
BUDGETS = {"45 s": 45.0, "2 min": 120.0, "10 min": 600.0, "full": None}


@dataclass(frozen=True)
class Selection:
    """What to measure. Args: title: in a few words; cells; rule: None for the usual one; budget_seconds: None for 'full'."""

    title: str
    checkpoint: str
    cells: list[Cell]
    rule: StoppingRule | None
    budget_seconds: float | None


def pick_cells() -> Selection:
    """Draw the choice of checkpoint, cells and time budget."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        checkpoint = st.selectbox(
            "Checkpoint",
            [
                *embedded_checkpoints(),
                *(f"{name}@{commit}" for name, commit in cached_checkpoints().items()),
                RANDOM,
            ],
            key="bench-checkpoint",
            format_func=lambda name: split_name(name)[0],
            width=320,
            help="Those on this machine: one of the Hub is here once the page Classify has downloaded it.",
        )
        name = st.selectbox("What to measure", [*PRESETS, CUSTOM], key="preset", bind="query-params", width=320)
        budget = st.segmented_control(
            "Time budget",
            list(BUDGETS),
            default="45 s" if name in PRESETS and PRESETS[name].budget_seconds < 60 else "2 min",
            required=True,
            key=f"budget-{name}",
            help="Cells that do not fit into it become rows that say so; 'full' runs all of it.",
        )
    if checkpoint == RANDOM:
        st.caption(
            "ViViT-B/16x2 with random weights, for timing only: no predictions, only the agreement between cells."
        )
    if name in PRESETS:
        st.caption(PRESETS[name].title)
        cells, rule = PRESETS[name].cells(checkpoint), PRESETS[name].rule
    else:
        cells, rule = _pick_grid(checkpoint), None
    return Selection(name, checkpoint, cells, rule, BUDGETS[budget])


def _pick_grid(checkpoint: str) -> list[Cell]:
    with st.container(border=True):
        attention = st.pills(
            "Attention", list(BACKENDS), selection_mode="multi", default=["eager", "sdpa"], key="b-attention"
        )
        precision = st.pills(
            "Precision", list(PRECISIONS), selection_mode="multi", default=["float32"], key="b-precision"
        )
        with st.container(horizontal=True):
            sizes = st.pills("Batch size", [1, 2, 4, 8], selection_mode="multi", default=[1], key="b-sizes")
            mode = st.segmented_control("Mode", list(MODES), default="inference", required=True, key="b-mode")
            compiled = st.pills("Compiled", ["no", "yes"], selection_mode="multi", default=["no"], key="b-compiled")
    return grid(checkpoint, attention, precision, sizes, [mode], [choice == "yes" for choice in compiled])
