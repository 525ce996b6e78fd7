"""Choosing a clip: a bundled one from the gallery, or a file of the visitor's own."""

import json
import logging
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import streamlit as st

from engine import Job
from engine.tasks import Frames, MakePreview, MakeThumbnail
from ui.chosen import ChosenClip
from ui.components.clip_strip import Tile, clip_strip
from ui.escape import inert, literal
from ui.jobs import ask, finished, job_for
from ui.player import why_not_played
from ui.server import get_engine, get_server
from ui.visit import visit, visitor, widget
from vivit.hub import ASSETS
from vivit.names import VIDEO_SUFFIXES

logger = logging.getLogger("ui")

UPRIGHT_HEIGHT = 225  # pixels
CAMERA_CLIP = "camera"  # what a clip of the visitor's own camera is called
CAMERA_SLOT = "keep-pictures"  # of the job that makes a clip of a camera's pictures
NO_ROOM = "The server's disk has no room for this clip now. Try a smaller one, or come back later."
THUMBNAIL_SECONDS = 2.0  # what all pictures of a page may keep it waiting
THUMBNAILS_AT_ONCE = 3  # that wait in the media worker's queue, where others' clips come behind them


@st.cache_data(show_spinner=False)
def bundled_clips() -> dict[str, ChosenClip]:
    """The clips that ship with the app, by name."""
    index = Path(ASSETS) / "clips" / "clips.json"
    if not index.is_file():
        return {}
    entries = json.loads(index.read_text(encoding="utf-8"))
    return {e["label"]: ChosenClip(str(index.parent / e["file"]), e["label"], e["label"]) for e in entries}


def thumbnails(wanted: Mapping[str, str]) -> dict[str, str]:
    """The pictures of clips on this machine, as data in the page itself; those that take too long come with a later run.

    Args:
        wanted: slot of a job → the file whose picture it makes.

    Returns:
        slot → the picture; '' where there is none yet, or never will be.
    """
    # Nobody's jobs: one visitor's jobs of one task would take each other's place in the queue.
    asked = {slot for slot, path in wanted.items() if visit().jobs.get(slot, (None,))[0] == path}
    jobs = {slot: visit().jobs[slot][1] for slot in asked}
    until = time.monotonic() + THUMBNAIL_SECONDS
    for slot, path in wanted.items():
        if slot in asked:
            continue
        coming = [job for job in jobs.values() if not job.finished]
        if len(coming) >= THUMBNAILS_AT_ONCE and not coming[0].wait(max(0.0, until - time.monotonic())):
            break  # the next run asks for the others
        jobs[slot] = job_for(slot, path, partial(get_engine().ask, MakeThumbnail(path)))
    for job in jobs.values():
        job.wait(max(0.0, until - time.monotonic()))
    return {
        slot: picture(jobs[slot].blobs[0]) if slot in jobs and jobs[slot].state == "done" else "" for slot in wanted
    }


@st.cache_data(show_spinner=False)
def _thumbnail(path: str) -> str:
    return picture(Path(path).with_suffix(".jpg").read_bytes())


def bundled_tiles() -> list[Tile]:
    """The bundled clips, as tiles for a strip."""
    return [Tile(name, name, _thumbnail(clip.path)) for name, clip in bundled_clips().items()]


def picture(jpeg: bytes) -> str:
    """A JPEG as data in the page itself: files of the media manager vanish if a rerun comes before they are fetched."""
    return f"data:image/jpeg;base64,{b64encode(jpeg).decode()}"


def neighbour(names: Sequence[str], chosen: str, step: int) -> str:
    """The name so many places on, round the end; the first if none is chosen.

    Args:
        names: at least one.
        chosen: one of them, else none is chosen.
        step: how many places, backwards if negative.
    """
    return names[(names.index(chosen) + step) % len(names)] if chosen in names else names[0]


def pick_clip(step: int = 0) -> ChosenClip | None:
    """Draw the gallery, and return the chosen clip; None if there is none yet. Args: step: how many places to go on."""
    clips = bundled_clips()
    asked = st.query_params.get("clip") or visit().clip or None
    chosen = asked or next(iter(clips), None)
    if clips and chosen not in clips:
        st.warning(
            f"There is no bundled clip '{literal(inert(chosen or ''))}'; showing another.", icon=":material/link_off:"
        )
        chosen = next(iter(clips))
    uploaded = own_clip()
    if asked in clips and uploaded is None:  # the address loses the clip on the way to another page and back
        st.query_params["clip"] = visit().clip = asked
    tiles = bundled_tiles()
    if not tiles:
        return uploaded
    clicked = clip_strip(tiles, "" if uploaded else chosen or "", key="bundled-clips", label="Bundled clips")
    if clicked or step:
        clicked = clicked or neighbour(list(clips), chosen or "", step)
        visit().clip = st.query_params["clip"] = clicked
        drop_upload()
        st.rerun()
    return uploaded or clips[chosen or ""]


def own_clip() -> ChosenClip | None:
    """The visitor's own clip, if they have one; leaves them a note if it had to make room for others'."""
    _take_from_camera()
    if visit().upload is not None and not get_server().uploads.touch(visitor()):
        visit().upload = None
        visit().upload_note = (
            "Your clip was deleted to make room for other visitors' clips, since yours had not been used for longest. "
            "Upload it again to go on with it."
        )
    return visit().upload


def _take_from_camera() -> None:
    """What the visitor has kept of their camera becomes their own clip: a recording, or pictures that a clip was made of."""
    path: str | Path = get_server().cameras.take_recording(visitor())
    _, job = visit().jobs.get(CAMERA_SLOT, (None, None))
    if job and job.state == "done" and job.blobs:
        made, job.blobs = job.blobs[0], []
        try:
            path = get_server().uploads.keep(visitor(), made)
        except OSError as error:
            logger.warning("a camera's clip could not be kept: %s", error)
            visit().upload, visit().upload_note = None, NO_ROOM
    if path:
        visit().jobs.pop("frames", None)  # with whatever was wrong with the former file
        visit().upload, visit().upload_note = ChosenClip(str(path), CAMERA_CLIP), ""
        st.query_params.pop("clip", None)  # or a reload would bring the bundled clip back


def upload_clip() -> None:
    """Draw the place to drop a file of one's own."""
    uploaded = own_clip()
    key = f"upload-{visit().upload_generation}"
    st.file_uploader(
        "Your own clip", VIDEO_SUFFIXES, key=key, on_change=_keep_upload, args=[key], label_visibility="collapsed"
    )
    if note := visit().upload_note:
        st.warning(note, icon=":material/delete:")
    if uploaded is not None:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption(f"Yours: {literal(uploaded.name)}", width="content")
            st.button("Delete it", on_click=drop_upload, icon=":material/delete:", type="tertiary")


def _keep_upload(key: str) -> None:
    """Move the file from the server's memory to disk, and empty the widget, which would hold it in memory."""
    file = widget(key)
    if file is None:
        return
    visit().upload_generation += 1
    visit().jobs.pop("frames", None)  # with whatever was wrong with the former file
    drop_upload()
    try:
        path = get_server().uploads.keep(visitor(), file.getbuffer())
    except OSError as error:
        logger.warning("an upload could not be kept: %s", error)
        visit().upload_note = NO_ROOM
    else:
        visit().upload = ChosenClip(str(path), inert(file.name))
        st.query_params.pop("clip", None)  # or a reload would bring the bundled clip back


def drop_upload() -> None:
    """Forget the visitor's own clip, on disk too, and what there was to say about it."""
    visit().upload_note = ""
    if visit().upload is not None:
        visit().upload = None
        get_server().uploads.drop(visitor())


def play(clip: ChosenClip, frames: Job[Frames]) -> None:
    """Draw a player: the clip itself, a preview where browsers cannot play it, or a word that the frames stand in."""
    found, alt = frames.result, f"The chosen clip: {clip.name}"
    height = found.height
    # A clip that is higher than wide is drawn narrower, to leave room for what is below it.
    size: int | Literal["stretch"] = round(UPRIGHT_HEIGHT * found.width / height) if height > found.width else "stretch"
    try:
        reason = why_not_played(clip.path, found, "clip")
    except OSError:
        st.info(
            "The file is no longer there, so it cannot be played; its frames below stand in.",
            icon=":material/movie_off:",
        )
        return
    if not reason:
        st.video(
            clip.path, format=f"video/{found.container}", alt=alt, muted=True, loop=True, autoplay=True, width=size
        )
        return
    job = job_for("preview", clip.path, lambda: ask(MakePreview(clip.path)))
    job.wait(0.5)
    if job.state in ("failed", "cancelled"):
        st.info("This clip cannot be played here; its frames below stand in.", icon=":material/movie_off:")
    elif finished(job, "preview", "Making a preview that browsers play"):
        st.video(job.blobs[0], alt=alt, muted=True, loop=True, autoplay=True, width=size)
        st.caption(f"{reason}: this is a preview of at most 10 s.")
