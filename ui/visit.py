"""What a visit is, and all that it keeps from one run of a page to the next, the values of its widgets included."""

import uuid
from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any, NamedTuple, TypeVar

import numpy as np
import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.web.server.starlette.starlette_app_utils import decode_xsrf_token_string
from streamlit.web.server.starlette.starlette_server_config import XSRF_COOKIE_NAME

from engine import Job
from engine.checks import RunningCheck
from engine.comparisons import RunningComparison
from engine.tasks import Classification, Frames, LookedInside, LookInside, WindowsAsked
from engine.timelines import RunningTimeline
from ui.server import get_server
from ui.taught import called
from vivit.benchmark.measurement import MIB, Cell
from vivit.benchmark.side_by_side import BUSY_SHARE, instruments
from vivit.config import VivitConfig
from vivit.explain.counterfactuals import Counterfactuals
from vivit.explain.deletion import Deletion
from vivit.film import FilmInfo
from vivit.hub import split_name
from vivit.timeline import Grid, Segment
from vivit.timeline.segments import Moments
from vivit.views import Views


@dataclass(frozen=True)
class ChosenClip:
    """A clip to classify.

    Args:
        path: the file.
        name: what to call it on the page, on one line and shortened; Markdown in it is not yet escaped.
        truth: the action it shows, '' if that is not known.
    """

    path: str
    name: str
    truth: str = ""


@dataclass(frozen=True)
class Settings:
    """How a clip is classified.

    Args:
        checkpoint: as `vivit.checkpoint.open_checkpoint` takes it on this machine; '' while none is here.
        attention, precision, sampling, normalisation: keys of `BACKENDS`, `PRECISIONS`, `SAMPLING` and `NORMALISATION` in
            `vivit.names`.
        stride: every n-th frame, where the sampling has a stride.
        top_k: how many classes to report.
        execution: a key of `EXECUTIONS` there.
        views: how often a clip is looked at, such as '4x3'.
    """

    checkpoint: str
    attention: str
    precision: str
    sampling: str
    stride: int
    normalisation: str
    top_k: int
    execution: str = "plain"
    views: str = "1x1"

    @property
    def cell(self) -> Cell:
        """What runs, all views of one clip at a time."""
        views = Views.parse(self.views).count
        return Cell(self.checkpoint, self.attention, self.precision, views, execution=self.execution)

    def windows(self, grid: Grid) -> WindowsAsked:
        """The same for windows of a film or a camera. Args: grid: how they lie."""
        return WindowsAsked(self.checkpoint, self.attention, self.precision, self.normalisation, self.execution, grid)

    @property
    def how(self) -> str:
        """'sdpa, float32', and how it runs and in how many views where that is not 'plain' and one."""
        views = f", {self.views} views" * (self.cell.batch_size > 1)
        return f"{self.attention}, {self.precision}{self.cell.manner}{views}"


@dataclass(frozen=True)
class Run:
    """One classification of this visit, with everything it reported. Args: job: its number, which no two runs share."""

    job: int
    clip: str
    settings: Settings
    frames: Frames
    result: Classification

    @property
    def peak_mib(self) -> float | None:
        """The most memory the pass held beyond the weights, in MiB; None where that is not known."""
        return None if self.result.peak_bytes is None else self.result.peak_bytes / MIB

    @property
    def weights_mib(self) -> float:
        """The weights, in MiB."""
        return self.result.weights_bytes / MIB

    @property
    def stages_ms(self) -> dict[str, float]:
        """Where the time went, from file to answer."""
        read = self.frames.timings_ms
        return {
            "open": read.probe,
            "decode": read.decode,
            "resize and crop": read.preprocess,
            "normalise and copy": self.result.preprocess_ms,
            "forward": self.result.latency_ms,
        }

    @property
    def others_share(self) -> float:
        """What other programs took of the processors meanwhile; 0 on a GPU, whose work they do not hold up."""
        return (self.result.others_share or 0.0) * (self.result.device == "cpu")

    @property
    def busy(self) -> bool:
        """Whether others took so much that the latency is not this model's alone."""
        return self.others_share > BUSY_SHARE

    @property
    def how(self) -> str:
        """How latency and memory were measured."""
        clock, recorder = instruments(self.result.device)
        n = len(self.result.samples_ms)
        if self.result.warm:
            passes = f"median of {n} forward pass{'es' * (n > 1)} after one to warm up"
            memory = "in the warm-up pass"
        else:
            passes = "one forward pass, the first, with the memory recorder on (slow passes are not repeated)"
            memory = "in that pass"
        if self.settings.execution == "captured":
            memory = "in a pass that captures the graph, since a replay takes none"
        note = (
            f" Other programs took {self.others_share:.0%} of the processors meanwhile: run it again when it is quieter."
        ) * self.busy
        peak = f"the clip, and the most that {recorder} counted beyond it and the weights {memory}"
        if self.result.peak_bytes is None:
            peak = f"not known, since PyTorch does not count it on '{self.result.device}'"
        views = self.settings.cell.batch_size
        batch = f"all {views} views of the clip in each, as one batch" if views > 1 else "batch size 1"
        return f"Latency: {passes}; {batch}, {clock}, {self.result.device}. Peak memory: {peak}.{note}"

    @property
    def brief(self) -> str:
        """The same in few words, or that the figure is not to be trusted."""
        n, views = len(self.result.samples_ms), self.settings.cell.batch_size
        of = f" of all {views} views" * (views > 1)
        if self.busy:
            then = f"during the pass{of}" if of else "meanwhile"
            return (
                f"Latency: other programs took {self.others_share:.0%} of the processors {then}, so it "
                "is not this model's alone."
            )
        return (
            f"Latency: the median of {n} forward pass{'es' * (n > 1)}{of} one after the other, warmed up. Memory: of another "
            "pass."
            if self.result.warm
            else f"Latency: one forward pass{of}, the first, with the memory recorder on."
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON; a checkpoint of the Hub by its name and commit."""
        _, revision = split_name(self.settings.checkpoint)
        settings = asdict(self.settings) | {"checkpoint": called(self.settings.checkpoint), "revision": revision or ""}
        return asdict(self) | {"settings": settings, "measured": self.how}


@dataclass(frozen=True)
class Compared:
    """A comparison side by side that was begun.

    Args:
        key: of what: the frames' job, the checkpoint, the normalisation, the cells.
        clip: the clip's name.
        running: the comparison, ended or not.
    """

    key: tuple[Any, ...]
    clip: str
    running: RunningComparison


@dataclass(frozen=True)
class MapChoice:
    """One map of many. Args: method: a key of `vivit.explain.METHODS`; layer, head: from 0; None for the mean of all."""

    method: str
    layer: int | None = None
    head: int | None = None


@dataclass(eq=False)
class Insight:
    """What was seen inside a model with one clip, and what its checks have found.

    Args:
        key: of what: pixels, checkpoint, how it ran.
        clip: the clip; settings: how it ran.
        config: the checkpoint's.
        frames: those that the model got; pictures: each as a JPEG.
        look, pixels, looked: what was asked and answered.
        maps: method → (layers, heads, L, H, W).
        deletions: a map → its check, where one was begun.
        orders: the check of time; None before it is begun.
    """

    key: tuple[Any, ...]
    clip: ChosenClip
    settings: Settings
    config: VivitConfig
    frames: Frames
    pictures: list[bytes] = field(repr=False)
    look: LookInside
    pixels: bytes = field(repr=False)
    looked: LookedInside
    maps: dict[str, np.ndarray] = field(repr=False)
    deletions: dict[MapChoice, RunningCheck[Deletion]] = field(default_factory=dict)
    orders: RunningCheck[Counterfactuals] | None = None

    @property
    def checks(self) -> list[RunningCheck[Any]]:
        """All that were begun."""
        return [*self.deletions.values(), *([self.orders] if self.orders else [])]


@dataclass
class Looked:
    """What a visitor looks at in an evaluation.

    Args:
        evaluation: its id, and the place of the cell.
        confused: (class, answer) of the clips that were chosen; None without.
        redrawn: part of the page → how often its own selection was to be forgotten, since another part has chosen.
    """

    evaluation: tuple[str, int] = ("", 0)
    confused: tuple[int, int] | None = None
    redrawn: Counter[str] = field(default_factory=Counter)


@dataclass
class Lesson:
    """What a visitor looks at and is told where classes are taught.

    Args:
        clip: the id of the example that is chosen; '' without.
        filled: the id of the class that is filled; '' before.
        generation: counts the uploads, since a new widget takes each.
        refused: part of the page → sentences on what could not be done there at the last attempt.
        pictured_again: slots of pictures that are not asked for once more where a process ended.
        faults: as `RunningTeaching.faults`, of the last run that was done.
        added: the tried clip that was made an example last: its file, and the example's id.
        heard: what there was to announce when the page was drawn last; said: what was announced.
    """

    clip: str = ""
    filled: str = ""
    generation: int = 0
    refused: dict[str, list[str]] = field(default_factory=dict)
    pictured_again: set[str] = field(default_factory=set)
    faults: dict[str, str] = field(default_factory=dict)
    added: tuple[str, str] = ("", "")
    heard: list[tuple[Hashable, str]] = field(default_factory=list, repr=False)
    said: str = ""


@dataclass(frozen=True)
class Drawing:
    """A map as files. Args: key: of which map over which frames, and how."""

    key: tuple[Any, ...]
    png: bytes = field(repr=False)
    mp4: bytes = field(repr=False)


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
        key: of what: file, checkpoint, how it ran, grid; () once another took its place before it had ended.
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


Kept = TypeVar("Kept", "Insight", "Timeline")


def recall(kept: list[Kept], key: tuple[Any, ...]) -> Kept | None:
    """What is of this key among what is kept, if anything; from now on it is what was wanted last, in the list's end."""
    found = next((one for one in kept if one.key == key), None)
    if found:
        kept.remove(found)
        kept.append(found)
    return found


@dataclass
class Visit:
    """Everything that a visit keeps, beside the values of its widgets.

    Args:
        visitor: one name a browser tab, which ends in what all tabs of a browser share.
        clip: the bundled clip that was chosen; '' before.
        listed: the clip that was chosen of a dataset: the dataset, and its file there; '' before.
        upload: the visitor's own clip; upload_note: what became of it, if there is anything to say.
        upload_generation: counts the uploads, since a new widget takes each.
        jobs: what for → (what exactly, the job), for jobs that pages follow.
        wanted: what for → what exactly the visitor has asked for, where a page waits for their word.
        runs: finished, oldest first.
        compared: the comparison that was begun last.
        insights: what was seen inside models, what was looked at last in the end.
        drawing: the map that was drawn last.
        timelines: of films, what was asked for last in the end.
        links: page → what the address asked for when the visit first opened it.
        refused: page → (what of that is not to be had, the controls' values when that was found).
        watched: a sweep of another visitor that is followed here; shown: one to show once it has ended.
        measured: a sweep begun here → the file of its clip.
        sweep_error: what to say of a sweep that has ended.
        followed: an evaluation of another visitor that is followed here.
        evaluation: the one that ended last of those; evaluation_to_show: one to show once.
        looked: at what of an evaluation.
        lesson: at what of the classes that are taught.
        settings: what was chosen last, on Classify or where a clip is looked into; settings_open: whether that choice is in
            sight there.
        form: the Benchmark page's choices, a widget's key → its value; form_from: what of Classify's they began with;
            form_open: whether they are in sight.
        present: whether presenter mode is on.
    """

    visitor: str
    clip: str = ""
    listed: tuple[str, str] = ("", "")
    upload: ChosenClip | None = None
    upload_note: str = ""
    upload_generation: int = 0
    jobs: dict[str, tuple[Hashable, Job[Any]]] = field(default_factory=dict)
    wanted: dict[str, Hashable] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    compared: Compared | None = None
    insights: list[Insight] = field(default_factory=list)
    drawing: Drawing | None = None
    timelines: list[Timeline] = field(default_factory=list)
    links: dict[str, dict[str, str]] = field(default_factory=dict)
    refused: dict[str, tuple[dict[str, str], dict[str, str]]] = field(default_factory=dict)
    watched: str = ""
    shown: str = ""
    measured: dict[str, str] = field(default_factory=dict)
    sweep_error: str = ""
    followed: str = ""
    evaluation: str = ""
    evaluation_to_show: str = ""
    looked: Looked = field(default_factory=Looked)
    lesson: Lesson = field(default_factory=Lesson)
    settings: Settings | None = None
    settings_open: bool = False
    form: dict[str, Any] = field(default_factory=dict)
    form_from: tuple[str, ...] = ()
    form_open: bool = False
    present: bool = False


def visit() -> Visit:
    """The visit that this page is drawn for: a new one, or after a reload the one that was left in this browser."""
    if "visit" not in st.session_state:
        browser = _browser()
        left = get_server().visitors.come_back(browser, _session())
        st.session_state["visit"] = _again(left) if left else Visit(f"{uuid.uuid4().hex}-{browser}")
    one: Visit = st.session_state["visit"]
    return one


def _again(left: Visit) -> Visit:
    """The address of a page that is opened anew says which bundled clip, and what else, is wanted now."""
    left.links, left.refused, left.present, left.listed = {}, {}, False, ("", "")
    if left.upload and "clip" in st.query_params:
        left.upload, left.upload_note = None, ""
        get_server().uploads.drop(left.visitor)
    return left


def visitor() -> str:
    """Who is looking."""
    return _present(visit().visitor)


def widget(key: str, default: Any = None) -> Any:
    """The value of the widget of that key, where it has been drawn."""
    return st.session_state.get(key, default)


def set_widget(key: str, value: Any) -> None:
    """Give a widget another value, before it is drawn."""
    st.session_state[key] = value


def unset_widget(key: str) -> None:
    """Let a widget have its default again, before it is drawn."""
    st.session_state.pop(key, None)


# Released when the connection is lost; and then not made anew before the visitor's next click, if they reconnect.
@st.cache_resource(scope="session", show_spinner=False, on_release=lambda visitor: get_server().visitors.leave(visitor))
def _present(visitor: str) -> str:
    get_server().visitors.arrive(visitor, _session(), visit())
    return visitor


def _session() -> str:
    """The name of the connection."""
    context = get_script_run_ctx()
    return context.session_id if context else ""


def _browser() -> str:
    return browser_of(st.context.cookies)


def browser_of(cookies: Mapping[str, str]) -> str:
    """A name for the browser with these cookies, made of the secret that Streamlit gives each against forged requests."""
    token, _ = decode_xsrf_token_string(cookies.get(XSRF_COOKIE_NAME, ""))
    return sha256(token).hexdigest()[:8] if token else ""


def browser_in(visitor: str) -> str:
    """The name of the browser that a visitor came with; '' where it had none."""
    return visitor.partition("-")[2]
