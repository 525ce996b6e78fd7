"""A class is filled with clips: recorded one after the other, uploaded several at once, or picked."""

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from engine.lessons import TaughtClass
from ui.clips import bundled_clips, bundled_tiles
from ui.components.camera_recorder import camera_recorder
from ui.components.clip_strip import clip_strip
from ui.escape import inert
from ui.server import get_server
from ui.teach_classes import FILLED, bounds, called, refuse, show_refused
from ui.visit import set_widget, visit, visitor, widget
from vivit.errors import UserError
from vivit.names import VIDEO_SUFFIXES

EXAMPLE_SECONDS = 3  # of a recording
RECORD, UPLOAD, BUNDLED = "Record", "Upload", "Bundled"


def fill(classes: Sequence[TaughtClass]) -> None:
    """Draw which class is filled, and where its clips come from."""
    names = {one.id: f"{called(one.name)} · {len(one.examples)}" for one in classes}
    if not names:
        st.info("Name a class first. Then record, upload or pick a few clips that show it.", icon=":material/videocam:")
        return
    if widget(FILLED) not in names:
        set_widget(FILLED, next(iter(names)))
    filled = st.pills(
        "Class to fill",
        list(names),
        key=FILLED,
        required=True,
        format_func=lambda id: names[id],
        label_visibility="collapsed",
        wrap=True,
    )
    source = st.segmented_control(
        "Where its clips come from",
        [RECORD, UPLOAD, BUNDLED],
        default=RECORD,
        required=True,
        key="teach-from",
        label_visibility="collapsed",
    )
    {RECORD: _record, UPLOAD: _upload, BUNDLED: _pick}[source](filled or next(iter(names)))
    show_refused(FILLED)
    st.caption(bounds())


def _record(class_id: str) -> None:
    token = get_server().cameras.token(visitor())
    camera_recorder(token, class_id=class_id, usual=EXAMPLE_SECONDS, key="teach-recorder")


def _upload(class_id: str) -> None:
    key = f"teach-upload-{visit().lesson.generation}"
    st.file_uploader(
        "Clips of this class",
        VIDEO_SUFFIXES,
        accept_multiple_files=True,
        key=key,
        on_change=_keep,
        args=[key, class_id],
        label_visibility="collapsed",
    )


def _keep(key: str, class_id: str) -> None:
    """Move the files from the server's memory to disk, and empty the widget, which would hold them in memory."""
    for file in widget(key) or []:
        try:
            get_server().lessons.add(visitor(), class_id, inert(file.name), file.getbuffer())
        except UserError as error:
            refuse(FILLED, f"{inert(file.name)}: {error}")
    visit().lesson.generation += 1


def _pick(class_id: str) -> None:
    st.caption("A click adds a clip of the one figure that the embedded models know.")
    clicked = clip_strip(bundled_tiles(), "", key=f"teach-bundled-{class_id}", label="Bundled clips")
    if clicked:
        clip = bundled_clips()[clicked]
        add_example(FILLED, class_id, clip.name, Path(clip.path))
        st.rerun()


def add_example(part: str, class_id: str, name: str, path: Path) -> bool:
    """Make a file's copy an example; returns whether that could be done, and else has it told in that part of the page."""
    try:
        get_server().lessons.add(visitor(), class_id, name, path)
    except UserError as error:
        refuse(part, str(error))
        return False
    return True
