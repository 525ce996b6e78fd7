"""A class is filled with clips: recorded one after the other, uploaded several at once, or picked."""

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from engine.teachings import Example, TaughtClass
from ui.clips import bundled_clips, bundled_tiles
from ui.components.camera_recorder import camera_recorder
from ui.components.clip_strip import clip_strip
from ui.escape import inert
from ui.server import get_server
from ui.teach_classes import FILLED, bounds, refuse, show_refused, shown, try_anew
from ui.visit import set_widget, visit, visitor, widget
from vivit.errors import UserError
from vivit.names import VIDEO_SUFFIXES

EXAMPLE_SECONDS = 3  # of a recording
MOST_FILE_MB = 100  # of an upload, which is held in memory until it is a clip
RECORD, UPLOAD, BUNDLED = "Record", "Upload", "Bundled"


def fill(classes: Sequence[TaughtClass]) -> None:
    """Draw which class is filled, and where its clips come from."""
    named = {one.id: one for one in classes}
    if not named:
        st.info("Name a class first. Then record, upload or pick a few clips that show it.", icon=":material/videocam:")
        return
    if widget(FILLED) not in named:  # also after a reload, or another page
        last = visit().lesson.filled
        set_widget(FILLED, last if last in named else next(iter(named)))
    filled = st.pills(
        "Class to fill",
        list(named),
        key=FILLED,
        required=True,
        format_func=lambda id: f"{shown(named[id].name)} · {len(named[id].examples)}",
        label_visibility="collapsed",
        wrap=True,
        on_change=try_anew,
        args=[FILLED],
    )
    one = named[filled or next(iter(named))]
    visit().lesson.filled = one.id
    source = pick_source("teach-from", "Where its clips come from")
    {RECORD: _record, UPLOAD: _upload, BUNDLED: _pick}[source](one)
    show_refused(FILLED)
    st.caption(bounds())


def pick_source(key: str, label: str) -> str:
    """Draw the choice of where a clip comes from: `RECORD`, `UPLOAD` or `BUNDLED`."""
    return st.segmented_control(
        label,
        [RECORD, UPLOAD, BUNDLED],
        default=RECORD,
        required=True,
        key=key,
        label_visibility="collapsed",
    )


def _record(one: TaughtClass) -> None:
    token = get_server().cameras.token(visitor())
    camera_recorder(token, class_id=one.id, class_name=inert(one.name), usual=EXAMPLE_SECONDS, key="teach-recorder")


def _upload(one: TaughtClass) -> None:
    key = f"teach-upload-{one.id}-{visit().lesson.generation}"  # with another class files on their way are let go
    st.file_uploader(
        "Clips of this class",
        VIDEO_SUFFIXES,
        accept_multiple_files=True,
        key=key,
        on_change=_keep,
        args=[key, one.id],
        max_upload_size=MOST_FILE_MB,
        label_visibility="collapsed",
    )


def _keep(key: str, class_id: str) -> None:
    """Move the files from the server's memory to disk, and empty the widget, which would hold them in memory."""
    try_anew(FILLED)
    for file in widget(key) or []:
        try:
            get_server().lessons.add(visitor(), class_id, inert(file.name), file.getbuffer())
        except UserError as error:
            refuse(FILLED, f"{inert(file.name)}: {error}")
    visit().lesson.generation += 1


def _pick(one: TaughtClass) -> None:
    st.caption("A click adds a clip of the one figure that the embedded models know.")
    clicked = clip_strip(bundled_tiles(), "", key=f"teach-bundled-{one.id}", label="Bundled clips", acts=True)
    if clicked:
        clip = bundled_clips()[clicked]
        add_example(FILLED, one.id, clip.name, Path(clip.path))
        st.rerun()


def add_example(part: str, class_id: str, name: str, path: Path) -> Example | None:
    """Make a file's copy an example; where that cannot be done, None, and it is told in that part of the page.

    Args:
        part: of the page, as `refuse`'s.
        class_id: whose example it becomes.
        name: what to call the clip.
        path: the file.
    """
    try_anew(part)
    try:
        return get_server().lessons.add(visitor(), class_id, name, path)
    except UserError as error:
        refuse(part, str(error))
        return None
