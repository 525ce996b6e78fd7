"""Where clips come from: the app, the camera, or a dataset of the Hugging Face Hub, browsed and downloaded clip by clip."""

from pathlib import Path

import streamlit as st

from engine.tasks import DownloadClip, ListClips
from ui.chosen import ChosenClip
from ui.clips import drop_upload, neighbour, own_clip, pick_clip, thumbnails, upload_clip
from ui.components.camera_recorder import camera_recorder
from ui.components.clip_strip import Tile, clip_strip
from ui.escape import inert, literal
from ui.hub import LOOK_UP_SECONDS, REPOSITORY, on_demand, want, warn_offline
from ui.jobs import ask, finished, job_for, ready
from ui.server import get_server
from ui.visit import visit, visitor
from vivit.hub import KINETICS_MINI, Clip, ClipList, megabytes

BUNDLED, KINETICS, OTHER, CAMERA = "Bundled", "Kinetics-mini", "Dataset…", "Camera"
TILES = 8  # clips a page of the gallery


def choose_clip(step: int = 0, title: str = "What is happening in this clip?") -> ChosenClip | None:
    """Draw where clips come from, the gallery of that source, and the place to drop a file of one's own.

    Args:
        step: how many places to go on in the gallery.
        title: the page's.

    Returns:
        The visitor's own clip, else the chosen one; None without either.
    """
    left, middle, right = st.columns([395, 685, 270], gap="small")
    with left, st.container(gap=None):
        st.title(title, anchor=False)
        source = st.segmented_control(
            "Where clips come from",
            [BUNDLED, KINETICS, OTHER, CAMERA],
            default=BUNDLED,
            required=True,
            key="source",
            bind="query-params",
            label_visibility="collapsed",
            on_change=_leave_clip,
        )
    with right:
        upload_clip()
    with middle:
        if source == BUNDLED:
            return pick_clip(step)
        if source == CAMERA:
            camera_recorder(get_server().cameras.token(visitor()))
            return own_clip()
        dataset = _name_dataset() if source == OTHER else KINETICS_MINI
        clip = _browse(dataset, step) if dataset and ready("hub") and ready("download-clip") else None
        return own_clip() or clip


def _name_dataset() -> str:
    """Draw the box for a dataset's name; returns the name, or '' where the box is empty or holds no such name."""
    dataset = st.text_input(
        "Dataset repository",
        placeholder="owner/name",
        key="dataset",
        bind="query-params",
        on_change=_leave_clip,
        help="Any dataset of video files; the folders they lie in are their classes.",
        width=420,
    ).strip()
    if dataset and not REPOSITORY.fullmatch(dataset):
        st.error(f"A dataset repository is written owner/name, such as {KINETICS_MINI}.", icon=":material/error:")
        return ""
    return dataset


def _leave_clip() -> None:
    st.query_params.pop("file", None)
    visit().listed = ("", "")


def _browse(dataset: str, step: int) -> ChosenClip | None:
    """Draw a dataset's clips; returns the chosen one once it is on this machine."""
    warn_offline()
    listing = job_for("listing", dataset, lambda: ask(ListClips(dataset), time_limit=LOOK_UP_SECONDS))
    if not finished(listing, "listing", f"Listing the clips of {literal(dataset)}"):
        if listing.state == "failed":
            st.caption("The bundled clips and your own need no network.")
        return None
    listed = listing.result
    for notice in listed.notices:
        st.caption(f":material/info: {literal(notice)}")
    if "file" not in st.query_params and visit().listed[0] == listed.dataset:
        st.query_params["file"] = visit().listed[1]  # the address loses the clip on the way to another page and back
    _show_tiles(listed, step)
    file = st.query_params.get("file")
    if file is None:
        st.caption("Pick a clip: it is downloaded once. Only clips on this machine have a picture.")
        return None
    chosen = next((c for c in listed.clips if c.file == file), None)
    if chosen is None:
        st.warning(
            f"'{literal(dataset)}' has no clip '{literal(inert(file))}'. Pick another.", icon=":material/link_off:"
        )
        return None
    return _fetch(listed, chosen)


def _show_tiles(listed: ClipList, step: int) -> None:
    """Draw the choice of split and class, and one page of its clips."""
    everything = listed.clips
    with st.container(horizontal=True, vertical_alignment="bottom"):
        splits = sorted({c.split for c in everything})
        split = st.selectbox("Split", splits, key="split", bind="query-params", width=160)
        clips = [c for c in everything if c.split == split]
        labels = sorted({c.label for c in clips})
        label = st.selectbox("Class", labels, format_func=_readable, key="class", bind="query-params", width=260)
        clips = [c for c in clips if c.label == label]
        pages = -(-len(clips) // TILES)
        page = st.pagination(pages, key=f"page-{split}-{label}") if pages > 1 else 1
    clips = clips[(page - 1) * TILES : page * TILES]
    paths = [str(Path(listed.folder, c.file)) for c in clips]
    pictures = thumbnails({f"thumbnail-{k}": path for k, path in enumerate(paths) if Path(path).is_file()})
    tiles = [
        Tile(
            clip.file,
            inert(Path(clip.file).stem, 24),
            pictures.get(f"thumbnail-{k}", ""),
            megabytes(clip.size_bytes),
        )
        for k, clip in enumerate(clips)
    ]
    chosen = "" if own_clip() else st.query_params.get("file", "")
    clicked = clip_strip(tiles, chosen, key=f"clips-{split}-{label}-{page}", label=f"Clips of {_readable(label)}")
    if clicked or (step and tiles):
        clicked = clicked or neighbour([tile.name for tile in tiles], chosen, step)
        st.query_params["file"] = clicked
        want("clip", (listed.dataset, listed.commit, clicked))
        drop_upload()
        st.rerun()


def _readable(label: str) -> str:
    return inert(label.replace("_", " "))


def _fetch(listed: ClipList, clip: Clip) -> ChosenClip | None:
    """The clip once it is on this machine; fetched at once if the visitor has clicked on it or it is here already."""
    visit().listed = (listed.dataset, clip.file)
    key = (listed.dataset, listed.commit, clip.file)
    if clip.cached:
        want("clip", key)
    request = DownloadClip(listed.dataset, clip.file, listed.commit, listed.asked)
    job = on_demand(
        "clip",
        key,
        f"Download this clip, {megabytes(clip.size_bytes)}",
        f"Downloading {literal(inert(Path(clip.file).name))}",
        lambda: ask(request, cost_key=f"download {key}"),  # it takes as long as its own bytes do
    )
    return ChosenClip(job.result.path, inert(clip.file), job.result.clip.label) if job else None
