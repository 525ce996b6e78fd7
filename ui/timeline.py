"""Timelines of films: what they are of, how they begin, what is found out of them, and which are kept."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from engine.timelines import start_timeline
from ui.chosen import Settings
from ui.server import get_engine, get_server
from ui.timeline_kept import ChosenFilm, Found, Timeline
from ui.visit import recall, visit, visitor
from ui.what_runs import estimate_seconds
from vivit.checkpoint import Checkpoint
from vivit.film import FilmInfo
from vivit.timeline import Answered, Grid, Segment, group, moments

MOST = 4  # timelines that are kept
GROWN = 1.02  # times as many windows there are before a timeline that runs is drawn anew: of hours that takes a while

Key = tuple[Any, ...]


def key_of(film: ChosenFilm, settings: Settings, checkpoint: Checkpoint, grid: Grid) -> Key:
    """What a timeline is of: as long as that is the same, there is nothing new to be found."""
    how = settings.attention, settings.precision, settings.normalisation, settings.execution
    return file_key(film), checkpoint.name, checkpoint.written_ns, *how, grid


def file_key(film: ChosenFilm) -> Key:
    """A file as it is now."""
    try:
        found = Path(film.path).stat()
    except OSError:  # whoever opens the film says so
        return (film.path,)
    return film.path, found.st_size, found.st_mtime_ns


def find(key: Key) -> Timeline | None:
    """The timeline of this key, if one was begun before; it is then what was asked for last."""
    return recall(visit().timelines, key)


def former_of(timeline: Timeline | None) -> Timeline | None:
    """What is shown until a timeline has its first windows: the one before it that has some."""
    return next((one for one in reversed(visit().timelines) if one is not timeline and one.running.windows), None)


def begin(key: Key, film: ChosenFilm, info: FilmInfo, settings: Settings, grid: Grid) -> Timeline:
    """Begin a timeline; the visitor's former one ends, and what was found of it is kept.

    Args:
        key: as `key_of` made it.
        film: the file; info: what it holds.
        settings: how windows are classified; grid: how they lie.
    """
    held = get_server().timelines
    if running := held.pop(visitor(), None):
        running.cancel()
    for other in visit().timelines:
        if other.running.state == "running":
            other.key = ()  # nobody has cancelled it: who asks for it again has it begun again
    held[visitor()] = running = start_timeline(get_engine(), film.path, settings.windows(grid))
    timeline = Timeline(key, film, info, settings, running)
    visit().timelines.append(timeline)
    del visit().timelines[:-MOST]
    return timeline


def again(timeline: Timeline) -> None:
    """Let a timeline that has ended early be begun anew; what was found is shown until then."""
    visit().wanted["timeline"] = timeline.key
    timeline.key = ()


def about_seconds(info: FilmInfo, settings: Settings, checkpoint: Checkpoint, grid: Grid) -> float | None:
    """What a film's windows will take here, one after the other; None where the file does not say how long it is."""
    if not info.promised_seconds:
        return None
    windows = 1 + max(0, math.ceil((info.promised_seconds - grid.window_seconds) / grid.stride_seconds))
    return windows * estimate_seconds(settings, checkpoint, first=False)


def found_in(timeline: Timeline, smoothing: str) -> Found:
    """What happens when, as far as it is answered; asks no model. Args: smoothing: a key of `SMOOTHING`."""
    windows = timeline.running.windows[:]  # which grow meanwhile
    count, found = timeline.found.get(smoothing, (-1, Found([], None)))
    lives = timeline.running.state == "running"
    if len(windows) > count * (GROWN if lives else 1):
        if windows:
            of_each = moments(windows, smoothing)
            found = Found(group(of_each), of_each)
        timeline.found[smoothing] = len(windows), found
    return found


def labels_of(timeline: Timeline) -> dict[int, str]:
    """Class index → name."""
    return dict(enumerate(timeline.running.labels))


def chosen_segment(timeline: Timeline, segments: list[Segment]) -> int | None:
    """The place of the segment that was chosen; None without."""
    if timeline.moment is None or not segments:
        return None
    place = int(np.searchsorted([segment.end for segment in segments], timeline.moment, "right"))
    return min(place, len(segments) - 1)


def choose(timeline: Timeline, moment: float | None, *, by_chart: bool = False) -> None:
    """Choose the segment of a moment. Args: moment: in seconds; None for no segment; by_chart: by a click on the chart."""
    timeline.moment = moment
    timeline.redrawn["chart"] += not by_chart  # or a click on the bar that the chart has as chosen would let that go


def move(timeline: Timeline, segments: list[Segment], steps: int) -> None:
    """Choose a segment so many places on; the first where none was chosen."""
    if steps and segments:
        place = chosen_segment(timeline, segments)
        segment = segments[0 if place is None else min(max(place + steps, 0), len(segments) - 1)]
        choose(timeline, (segment.start + segment.end) / 2)


def middle_window(timeline: Timeline, segment: Segment) -> Answered:
    """The window that lies nearest to the middle of a segment."""
    middle = segment.start + segment.end
    return min(timeline.running.windows, key=lambda window: abs(window.start + window.end - middle))
