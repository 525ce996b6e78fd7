"""A timeline as files to take along, and the command that makes the same."""

from collections.abc import Callable, Mapping
from functools import partial

import streamlit as st

from ui.reproduce import timeline_command
from ui.timeline import found_in, labels_of
from ui.timeline_kept import Timeline
from vivit.timeline import report


def show_exports(timeline: Timeline, smoothing: str) -> None:
    """Draw the downloads and the command. Args: smoothing: of the segments, a key of `SMOOTHING`."""
    labels = labels_of(timeline)

    def segments() -> list[report.Row]:
        return [report.segment_row(segment, labels) for segment in found_in(timeline, smoothing).segments]

    def windows() -> list[report.Row]:
        return [report.window_row(window, labels) for window in timeline.running.windows[:]]

    kinds: Mapping[str, Callable[[], list[report.Row]]] = {"segments": segments, "windows": windows}
    with st.container(horizontal=True):
        for kind, rows in kinds.items():
            for suffix, write, mime in (("csv", report.as_csv, "text/csv"), ("json", _as_json, "application/json")):
                st.download_button(  # made when it is asked for, so there is no file to vanish
                    f"{kind.capitalize()}, {suffix.upper()}",
                    partial(_write, write, rows),
                    f"timeline-{kind}.{suffix}",
                    mime,
                    on_click="ignore",
                    icon=":material/download:",
                )
    with st.expander("Reproduce", icon=":material/terminal:"):
        film = timeline.film
        path = film.path if film.bundled else film.name
        command = timeline_command(path, timeline.settings, timeline.running.asked.grid, smoothing)
        st.code(command, language=None, wrap_lines=True)


def _write(write: Callable[[list[report.Row]], str], rows: Callable[[], list[report.Row]]) -> str:
    return write(rows())


def _as_json(rows: list[report.Row]) -> str:
    """One object a line in a list, so that it is one document of JSON."""
    return "[\n" + ",\n".join(map(report.as_json, rows)) + "\n]\n"
