"""The segments of a timeline, as a chart and as a table: either chooses one."""

from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st
from pandas import DataFrame

from ui import charts
from ui.answer import FORMER, STAYS
from ui.escape import inert, literal
from ui.timeline import choose, chosen_segment, found_in, labels_of
from ui.timeline_charts import in_words, keep_colours, segment_colour, timeline_chart
from ui.timeline_kept import Timeline
from ui.visit import widget
from vivit.film import clock
from vivit.timeline import Segment

SECONDS = 1.0  # between two looks at a timeline that runs


def show_chart(timeline: Timeline, smoothing: str, *, lives: bool, former: bool) -> None:
    """Draw the chart; a click on a bar chooses its segment.

    Args:
        lives: whether it is drawn again by itself, since more is to come.
        former: whether it is the timeline before, shown until the new one has windows.
    """
    st.html(STAYS + FORMER * former)
    if former:
        st.markdown(f":grey[:material/history: the former timeline, of '{literal(timeline.film.name)}']")
    _draw_or_live(_show_chart, timeline, smoothing, lives=lives)


def show_table(timeline: Timeline, smoothing: str, *, lives: bool) -> None:
    """Draw the table; its rows can be chosen. Args: lives: as `show_chart`'s."""
    _draw_or_live(_show_table, timeline, smoothing, lives=lives)


def _draw_or_live(show: Callable[[Timeline, str], None], timeline: Timeline, smoothing: str, *, lives: bool) -> None:
    moment = timeline.moment

    def draw() -> None:
        if timeline.moment != moment:  # all else on the page depends on it
            st.rerun()
        show(timeline, smoothing)

    st.fragment(draw, run_every=SECONDS)() if lives else draw()


def _show_chart(timeline: Timeline, smoothing: str) -> None:
    found, labels = found_in(timeline, smoothing), labels_of(timeline)
    keep_colours(timeline, found.segments, labels)
    key = _key(timeline, "chart")
    charts.show(
        timeline_chart(timeline, found, labels, chosen_segment(timeline, found.segments)),
        key,
        "What happens when: a band of segments over time, and the probability of each segment's label below it; the table "
        "has the same",
        on_select=partial(_choose_bar, timeline, key),
        selection_mode="points",
    )


def _choose_bar(timeline: Timeline, key: str) -> None:
    match widget(key):  # browsers can send anything
        case {"selection": {"points": [{"customdata": [int() | float() as moment, *_]}, *_]}}:
            choose(timeline, float(moment), by_chart=True)
        case _:
            choose(timeline, None, by_chart=True)


def _show_table(timeline: Timeline, smoothing: str) -> None:
    segments, labels = found_in(timeline, smoothing).segments, labels_of(timeline)
    if not segments:
        return
    chosen = chosen_segment(timeline, segments)
    selected = [] if chosen is None else [chosen]
    match widget(_key(timeline, "table")):
        case {"selection": {"rows": now}} if now != selected:  # another part has chosen, or there are other segments
            timeline.redrawn["table"] += 1
    key = _key(timeline, "table")
    rows = [
        {
            "start": clock(segment.start),
            "end": clock(segment.end),
            "label": inert(segment.name(labels), 40),
            "probability": None if segment.score is None else round(segment.score, 2),
        }
        for segment in segments
    ]
    colours = [segment_colour(timeline, segment, labels) for segment in segments]
    table = DataFrame(rows).style.apply(lambda column: [f"color: {colour}" for colour in colours], subset=["label"])
    st.dataframe(
        table,
        hide_index=True,
        key=key,
        column_config={"probability": st.column_config.NumberColumn(format="percent")},
        on_select=partial(_choose_row, timeline, segments, key),
        selection_mode="single-row",
        placeholder="–",
        selection_default={"selection": {"rows": selected}},
        alt="The segments: start, end, label and mean probability",
    )


def _key(timeline: Timeline, part: str) -> str:
    """The key of a part's widget; a widget of another key has forgotten what was chosen."""
    return f"timeline-{part}-{timeline.running.began}-{timeline.redrawn[part]}"


def _choose_row(timeline: Timeline, segments: Sequence[Segment], key: str) -> None:
    match widget(key):
        case {"selection": {"rows": [int() as row, *_]}} if 0 <= row < len(segments):  # browsers can send anything
            choose(timeline, (segments[row].start + segments[row].end) / 2)
        case _:
            choose(timeline, None)


def timeline_in_words(timeline: Timeline, smoothing: str) -> str:
    """A timeline to be read out: the segment that was chosen, else all; '' while it runs."""
    segments, labels = found_in(timeline, smoothing).segments, labels_of(timeline)
    if timeline.running.state == "running":
        return ""
    place = chosen_segment(timeline, segments)
    if place is not None:
        return f"Segment {place + 1} of {len(segments)}: {in_words(segments[place], labels)}."
    listed = "; ".join(in_words(segment, labels) for segment in segments)
    return inert(f"{len(segments)} segment{'s' * (len(segments) != 1)}. {listed}.", 700)
