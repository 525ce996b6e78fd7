"""Choosing a clip: a bundled one from the gallery, or a file of the visitor's own."""

import json
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from engine import Job
from ui.jobs import job_for
from ui.server import get_engine, get_server, visitor
from vivit.hub import ASSETS

TYPES = ["mp4", "mov", "mkv", "webm", "avi", "gif"]
# What browsers play: VP8, VP9 and AV1 in WebM, and with H.264 in MP4. The rest gets a preview.
PLAYS = {"webm": {"vp8", "vp9", "av1"}, "mp4": {"h264", "vp9", "av1"}}


@dataclass(frozen=True)
class Clip:
    """A clip to classify.

    Args:
        path: the file.
        name: what to call it on the page, on one line and shortened; Markdown in it is not yet escaped.
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


@st.cache_data(show_spinner=False)
def _thumbnail(path: str) -> str:
    return picture(Path(path).with_suffix(".jpg").read_bytes())


def picture(jpeg: bytes) -> str:
    """A JPEG as data in the page itself: files of the media manager vanish if a rerun comes before they are fetched."""
    return f"data:image/jpeg;base64,{b64encode(jpeg).decode()}"


def pick_clip() -> Clip | None:
    """Draw the gallery, and return the chosen clip; None if there is none yet."""
    clips = bundled_clips()
    chosen = st.query_params.get("clip", next(iter(clips), None))
    if clips and chosen not in clips:
        st.warning(
            f"There is no bundled clip '{literal(inert(chosen or ''))}'; showing another.", icon=":material/link_off:"
        )
        chosen = next(iter(clips))
    uploaded: Clip | None = st.session_state.get("upload")
    if clips:
        with st.container(horizontal=True, wrap=False, gap="small"):
            for name, clip in clips.items():
                with st.container(width=132, gap="xxsmall"):
                    st.image(_thumbnail(clip.path), width=132, alt="")
                    st.button(
                        name,
                        key=f"clip-{name}",
                        type="primary" if name == chosen and uploaded is None else "tertiary",
                        on_click=_choose,
                        args=[name],
                        width="stretch",
                    )
    return uploaded or (clips[chosen] if chosen else None)


def _choose(name: str) -> None:
    st.query_params["clip"] = name
    drop_upload()


def upload_clip() -> None:
    """Draw the place to drop a file of one's own."""
    uploaded: Clip | None = st.session_state.get("upload")
    with st.expander("Use your own clip", icon=":material/upload:", expanded=not bundled_clips() and uploaded is None):
        key = f"upload-{st.session_state.setdefault('upload-generation', 0)}"
        st.file_uploader("Video file", TYPES, key=key, on_change=_keep_upload, args=[key])
        if uploaded is not None:
            st.caption(f"Yours: {literal(uploaded.name)}")
            st.button("Delete it", on_click=drop_upload, icon=":material/delete:")


def _keep_upload(key: str) -> None:
    """Move the file from the server's memory to disk, and empty the widget, which would hold it in memory."""
    file = st.session_state[key]
    if file is not None:
        path = get_server().uploads.keep(visitor(), file.getbuffer())
        st.session_state["upload"] = Clip(str(path), inert(file.name))
        st.session_state["upload-generation"] += 1


def drop_upload() -> None:
    """Forget the visitor's own clip, on disk too."""
    if st.session_state.pop("upload", None) is not None:
        get_server().uploads.drop(visitor())


def play(clip: Clip, frames: Job) -> None:
    """Draw a player: the clip itself, a preview where browsers cannot play it, or a word that the frames stand in."""
    found, alt = frames.result, f"The chosen clip: {clip.name}"
    if found["codec"] in PLAYS.get(found["container"], ()):
        st.video(clip.path, format=f"video/{found['container']}", alt=alt, muted=True, loop=True)
        return
    job = job_for(
        "preview", clip.path, lambda: get_engine().submit("media", "preview", {"path": clip.path}, visitor=visitor())
    )
    job.wait(5.0)
    if job.state == "done":
        st.video(job.blobs[0], alt=alt, muted=True, loop=True)
        st.caption(f"Browsers cannot play {found['codec']} in {found['container']}: this is a preview of at most 10 s.")
    else:
        st.info("Your browser cannot play this clip; its frames below stand in.", icon=":material/movie_off:")


def inert(text: str, longest: int = 60) -> str:
    """A stranger's text on one line, without control characters or marks that turn the writing direction, shortened."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    return plain if len(plain) <= longest else f"{plain[: longest // 2]} … {plain[-longest // 2 :]}"


def literal(text: str) -> str:
    """Text as Markdown that shows just that text."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>()#+-.!|~$:" else c for c in text)
