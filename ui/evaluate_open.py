"""A clip of an evaluation is opened in Classify, with the cell that classified it."""

from pathlib import Path

import streamlit as st

from ui.checkpoints import FOLDER, REPOSITORY, taught_folder
from ui.chosen import ChosenClip
from ui.clips import NO_ROOM, bundled_clips, drop_upload
from ui.escape import inert, literal
from ui.page import go_to
from ui.server import get_server, offers_folders
from ui.taught import TAUGHT, is_taught
from ui.visit import set_widget, visit, visitor
from vivit.evaluate.records import Asked, Record
from vivit.hub import embedded_checkpoints, split_name


def offer_classify(path: Path, record: Record, asked: Asked, key: str) -> None:
    """Draw the button. Args: path: the clip's; record: what was found of it; asked: how; key: the button's."""
    st.button("Open in Classify", key=key, icon=":material/movie:", on_click=_open, args=[path, record, asked])


def _open(path: Path, record: Record, asked: Asked) -> None:
    """Have Classify find this clip and this cell."""
    bundled = {clip.path: name for name, clip in bundled_clips().items()}
    drop_upload()
    if name := bundled.get(str(path)):
        visit().clip = name
        set_widget("source", "Bundled")
    elif not _take(path, record.label):
        return
    for control in ("attention", "precision", "execution", "sampling", "stride", "normalisation", "views"):
        set_widget(control, getattr(asked, control))
    if not choose(asked):
        called = literal(inert(Path(asked.model).name))
        st.toast(f"Classify answers by the checkpoint chosen there: {called}, of this evaluation, cannot be chosen.")
    go_to("classify")


def choose(asked: Asked) -> bool:
    """Choose the checkpoint of an evaluation in the widgets of `ui.settings`; returns whether that can be done."""
    name, revision = split_name(asked.model, asked.revision)
    if name in embedded_checkpoints():
        set_widget("checkpoint", name)
    elif is_taught(name) and name == taught_folder():
        set_widget("checkpoint", TAUGHT)
    elif Path(name).is_absolute():
        if not (offers_folders() and Path(name).is_dir()):
            return False
        set_widget("checkpoint", FOLDER)
        set_widget("folder", name)
    elif revision:
        set_widget("checkpoint", REPOSITORY)
        set_widget("repository", name)
        set_widget("revision", revision)
    else:
        return False
    return True


def _take(path: Path, label: str) -> bool:
    """Make a copy of a clip the visitor's own; returns whether that could be done."""
    most = st.get_option("server.maxUploadSize") * 1_000_000
    try:
        size = path.stat().st_size
        copy = get_server().uploads.keep(visitor(), path.read_bytes()) if size <= most else None
    except OSError:
        copy, size = None, 0
    if copy is None:
        st.toast(f"The clip has {size / 1e6:,.0f} MB, more than can be opened there." if size else NO_ROOM)
        return False
    visit().jobs.pop("frames", None)  # with whatever was wrong with the former file
    visit().upload, visit().upload_note = ChosenClip(str(copy), inert(path.name), label), ""
    return True
