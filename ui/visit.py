"""What a visit is, and all that it keeps from one run of a page to the next, the values of its widgets included."""

import uuid
from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.web.server.starlette.starlette_app_utils import decode_xsrf_token_string
from streamlit.web.server.starlette.starlette_server_config import XSRF_COOKIE_NAME

from engine import Job
from ui.chosen import ChosenClip, Settings
from ui.classified import Compared, Run
from ui.inside_kept import Drawing, Insight
from ui.server import get_server
from ui.timeline_kept import Timeline

Kept = TypeVar("Kept", Insight, Timeline)


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


@dataclass(frozen=True)
class Refused:
    """What a link asked a page for that is not to be had.

    Args:
        asked: key of each control for which the link asked in vain → the value that it asked for.
        used: key of each control of the page → its value when that was found.
    """

    asked: dict[str, str]
    used: dict[str, str]


@dataclass
class LessonView:
    """What a visitor looks at and is told where classes are taught.

    Args:
        clip: the id of the example that is chosen; '' without.
        filled: the id of the class that is filled; '' before.
        generation: counts the uploads, since a new widget takes each.
        refused: part of the page → sentences on what could not be done there at the last attempt.
        pictured_again: slots of pictures that were asked for twice, since a process had ended: there is no third time.
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


def recall(kept: list[Kept], key: tuple[Any, ...]) -> Kept | None:
    """The one of this key among what is kept, if there is one; it is moved to the list's end, as what was wanted last."""
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
        insights: what was seen inside models; what was looked at last comes last.
        drawing: the map that was drawn last.
        timelines: of films; what was asked for last comes last.
        links: page → what the address asked for when the visit first opened it.
        refused: page → what of that is not to be had.
        watched: a sweep of another visitor that is followed here; shown: one to show once it has ended.
        measured: a sweep begun here → the file of its clip.
        sweep_error: what to say of a sweep that has ended, or could not begin.
        followed: an evaluation of another visitor that is followed here.
        evaluation: the evaluation that was seen to end last; evaluation_to_show: one to choose, once, in the list.
        looked: what the visitor looks at in an evaluation.
        lesson: what they look at where classes are taught.
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
    refused: dict[str, Refused] = field(default_factory=dict)
    watched: str = ""
    shown: str = ""
    measured: dict[str, str] = field(default_factory=dict)
    sweep_error: str = ""
    followed: str = ""
    evaluation: str = ""
    evaluation_to_show: str = ""
    looked: Looked = field(default_factory=Looked)
    lesson: LessonView = field(default_factory=LessonView)
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
    """A visit that goes on after a reload: the address of the page says which bundled clip, and what else, is wanted now."""
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
