"""What a visit keeps of films: which was chosen, and what was found in it."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from engine.timelines import RunningTimeline
from ui.chosen import Settings
from vivit.film import FilmInfo
from vivit.timeline import Segment
from vivit.timeline.segments import Moments


class Shown(NamedTuple):
    """What a film is known to show. Args: start, end: in seconds from its first picture on."""

    start: float
    end: float
    label: str


@dataclass(frozen=True)
class ChosenFilm:
    """A film of any length.

    Args:
        path, name: as `ChosenClip`'s.
        bundled: whether it ships with the app.
        truth: what it shows when; empty where that is not known.
    """

    path: str
    name: str
    bundled: bool = False
    truth: tuple[Shown, ...] = ()


class Found(NamedTuple):
    """What happens when, out of the windows of a film that are answered. Args: moments: None before there is a window."""

    segments: list[Segment]
    moments: Moments | None


@dataclass(eq=False)
class Timeline:
    """A film that a visitor has had looked through, or has now.

    Args:
        key: of what: file, checkpoint, how it ran, grid; () once it is to be begun anew, having ended early.
        film: the film; info: what it holds.
        settings: how it ran.
        running: the work, ended or not, with all windows.
        moment: a second in the segment that was chosen; None without.
        redrawn: part of the page → how often its own selection was to be forgotten, since another part has chosen.
        colours: label → which colour it has.
        found: smoothing → (of how many windows, what was found).
    """

    key: tuple[Any, ...]
    film: ChosenFilm
    info: FilmInfo
    settings: Settings
    running: RunningTimeline
    moment: float | None = None
    redrawn: Counter[str] = field(default_factory=Counter)
    colours: dict[str, int] = field(default_factory=dict)
    found: dict[str, tuple[int, Found]] = field(default_factory=dict, repr=False)
