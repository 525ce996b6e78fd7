"""Choosing a clip: a bundled one from the gallery, or a file of the visitor's own."""

import json
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from ui.server import get_server, visitor
from vivit.hub import ASSETS

TYPES = ["mp4", "mov", "mkv", "webm", "avi", "gif"]


@dataclass(frozen=True)
class Clip:
    """A clip to classify.

    Args:
        path: the file.
        name: what to call it on the page; for an upload, its own name, shortened and inert.
        truth: the action it shows, '' if that is not known.
    """

    path: str
    name: str
    truth: str = ""


@st.cache_data(show_spinner=False)
def bundled_clips() -> dict[str, Clip]:
    """The clips that ship with the app, by name."""
    index = Path(ASSETS) / "clips" / "clips.json"
    if not index.is_file():
        return {}
    entries = json.loads(index.read_text(encoding="utf-8"))
    return {e["label"]: Clip(str(index.parent / e["file"]), e["label"], e["label"]) for e in entries}


def pick_clip() -> Clip | None:
    """Draw the gallery and the upload, and return the chosen clip; None if there is none yet."""
    clips = bundled_clips()
    uploaded: Clip | None = st.session_state.get("upload")
    if uploaded is None and clips:
        name = st.selectbox("Clip", list(clips), key="clip", bind="query-params", format_func=str.capitalize)
        clip: Clip | None = clips[name]
    else:
        clip = uploaded
    with st.expander("Use your own clip", icon=":material/upload:", expanded=clip is None):
        generation = st.session_state.setdefault("upload-generation", 0)
        key = f"upload-{generation}"
        st.file_uploader(
            "Video file",
            TYPES,
            key=key,
            on_change=_keep_upload,
            args=[key],
            help="At most 200 MB. The first 10 minutes count.",
        )
        st.caption("Uploads stay on this machine and are deleted when you leave.")
        if uploaded is not None and clips:
            st.button("Back to the bundled clips", on_click=_drop_upload, icon=":material/arrow_back:")
    return clip


def _keep_upload(key: str) -> None:
    """Move the file from the server's memory to disk, and empty the widget, which would hold it in memory."""
    file = st.session_state[key]
    if file is None:
        return
    path = get_server().uploads.keep(visitor(), file.getbuffer())
    st.session_state["upload"] = Clip(str(path), inert(file.name))
    st.session_state["upload-generation"] += 1


def _drop_upload() -> None:
    get_server().uploads.drop(visitor())
    del st.session_state["upload"]


def inert(text: str, longest: int = 60) -> str:
    """A stranger's text on one line, without control characters or Markdown, and shortened."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    plain = plain if len(plain) <= longest else f"{plain[: longest // 2]} … {plain[-longest // 2 :]}"
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>()#+-.!|~$:" else c for c in plain)
