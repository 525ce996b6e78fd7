"""The commands that find the same as an evaluation."""

import os

import streamlit as st

from ui.chosen import Settings
from ui.evaluate_kept import is_bundled
from ui.reproduce import evaluate_command
from vivit.evaluate.kept import Kept
from vivit.evaluate.records import Asked
from vivit.evaluate.sources import LISTS


def show_reproduce(kept: Kept, place: int) -> None:
    """An expander with a line for a cell, and one for the cell that its answers are compared with. Args: place: of the cell."""
    cells, source, limit = [evaluation.asked for evaluation in kept.evaluations], _source(kept), kept.clips
    reference = cells[kept.reference]
    with st.expander("Reproduce", icon=":material/terminal:"):
        lines = [evaluate_command(source, limit, _settings(cells[place]))]
        if place != kept.reference:
            folder = f"{reference.attention}-{reference.precision}"
            first = evaluate_command(source, limit, _settings(reference), {"--out": folder})
            lines = [first, evaluate_command(source, limit, _settings(cells[place]), {"--against": folder})]
        st.code("\n".join(lines), language=None, wrap_lines=True)


def _source(kept: Kept) -> str:
    """Where the clips are from, as the command takes it."""
    source = kept.evaluations[0].source
    if is_bundled(kept):
        return "bundled"
    if kept.dataset:
        return source.name
    listed = source.name.lower().endswith(LISTS)  # a file, and not the folder that it lies in
    return os.path.join(source.root, source.name) if listed else source.root


def _settings(asked: Asked) -> Settings:
    how = asked.attention, asked.precision, asked.sampling, asked.stride or 1, asked.normalisation
    return Settings(asked.model, *how, top_k=1, execution=asked.execution, views=asked.views)
