"""Clips of dataset repositories on the Hugging Face Hub: listed, browsed by split and class, downloaded one at a time."""

from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from engine import Job
from ui.clips import Clip, drop_upload, own_clip, pick_clip, picture
from ui.hub import LOOK_UP_SECONDS, REPOSITORY, on_demand, submit, want, warn_offline
from ui.jobs import finished, job_for, ready
from ui.server import get_engine
from ui.text import inert, literal
from vivit.fetch import megabytes
from vivit.hub import KINETICS_MINI

BUNDLED, KINETICS, OTHER = "Bundled", "Kinetics-mini (Hugging Face Hub)", "Another dataset…"
TILES = 8  # clips a page of the gallery
THUMBNAIL_SECONDS = 2.0  # what all of them may keep the page waiting


def choose_clip() -> Clip | None:
    """Draw where clips come from and its gallery; returns the visitor's own clip or else the chosen one, None without."""
    source = st.segmented_control(
        "Where clips come from",
        [BUNDLED, KINETICS, OTHER],
        default=BUNDLED,
        required=True,
        key="source",
        bind="query-params",
        label_visibility="collapsed",
        on_change=_leave_clip,
    )
    if source == BUNDLED:
        return pick_clip()
    dataset = KINETICS_MINI
    if source == OTHER:
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
            dataset = ""
    clip = _browse(dataset) if dataset and ready("hub") and ready("download-clip") else None
    return own_clip() or clip


def _leave_clip() -> None:
    st.query_params.pop("file", None)


def _browse(dataset: str) -> Clip | None:
    """Draw a dataset's clips; returns the chosen one once it is on this machine."""
    warn_offline()
    arguments = {"dataset": dataset, "revision": None}
    listing = job_for("listing", dataset, lambda: submit("hub", "list_clips", arguments, LOOK_UP_SECONDS))
    if not finished(listing, "listing", f"Listing the clips of {literal(dataset)}"):
        if listing.state == "failed":
            st.caption("The bundled clips and your own need no network.")
        return None
    found = listing.result
    for notice in found["notices"]:
        st.caption(f":material/info: {literal(notice)}")
    _show_tiles(found)
    file = st.query_params.get("file")
    if file is None:
        st.caption("Pick a clip: it is downloaded once. Only clips on this machine have a picture.")
        return None
    chosen = next((c for c in found["clips"] if c["file"] == file), None)
    if chosen is None:
        st.warning(
            f"'{literal(dataset)}' has no clip '{literal(inert(file))}'. Pick another.", icon=":material/link_off:"
        )
        return None
    return _fetch(found, chosen)


def _show_tiles(found: dict[str, Any]) -> None:
    """Draw the choice of split and class, and one page of its clips."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        split = st.selectbox("Split", _values(found["clips"], "split"), key="split", bind="query-params", width=160)
        clips = [c for c in found["clips"] if c["split"] == split]
        labels = _values(clips, "label")
        label = st.selectbox("Class", labels, format_func=_readable, key="class", bind="query-params", width=260)
        clips = [c for c in clips if c["label"] == label]
        pages = -(-len(clips) // TILES)
        page = st.pagination(pages, key=f"page-{split}-{label}") if pages > 1 else 1
    clips = clips[(page - 1) * TILES : page * TILES]
    pictures = _thumbnails([str(Path(found["folder"], c["file"])) for c in clips])
    with st.container(horizontal=True, wrap=False, gap="small"):
        for clip, job in zip(clips, pictures, strict=True):
            with st.container(width=132, gap="xxsmall"):
                if job and job.state == "done":
                    st.image(picture(job.blobs[0]), width=132, alt="")
                else:
                    with st.container(
                        border=True, height=99, horizontal_alignment="center", vertical_alignment="center"
                    ):
                        st.caption(megabytes(clip["size_bytes"]), text_alignment="center")
                st.button(
                    literal(f"{inert(Path(clip['file']).stem)[:12]}…"),
                    key=f"file-{clip['file']}",
                    type="primary" if clip["file"] == st.query_params.get("file") else "tertiary",
                    on_click=_choose,
                    args=[found, clip["file"]],
                    width="stretch",
                    help=literal(clip["file"]),
                )


def _values(clips: list[dict[str, Any]], name: str) -> list[str]:
    return sorted({c[name] for c in clips})


def _readable(label: str) -> str:
    return inert(label.replace("_", " "))


def _choose(found: dict[str, Any], file: str) -> None:
    st.query_params["file"] = file
    want("clip", (found["dataset"], found["commit"], file))
    drop_upload()


def _thumbnails(paths: list[str]) -> list[Job | None]:
    """A job for the picture of each clip that is on this machine, most of them finished."""
    jobs = [
        # Nobody's jobs: one visitor's jobs of one task would take each other's place in the queue.
        job_for(f"thumbnail-{k}", path, partial(get_engine().submit, "media", "thumbnail", {"path": path}))
        if Path(path).is_file()
        else None
        for k, path in enumerate(paths)
    ]
    for job in filter(None, jobs):
        job.wait(THUMBNAIL_SECONDS / TILES)
    return jobs


def _fetch(found: dict[str, Any], clip: dict[str, Any]) -> Clip | None:
    """The clip once it is on this machine; what a click on it or its presence allows is fetched at once."""
    key, file = (found["dataset"], found["commit"], clip["file"]), clip["file"]
    if clip["cached"]:
        want("clip", key)
    arguments = {"dataset": found["dataset"], "file": file, "revision": found["commit"]}
    job = on_demand(
        "clip",
        key,
        f"Download this clip, {megabytes(clip['size_bytes'])}",
        f"Downloading {literal(inert(Path(file).name))}",
        lambda: submit("download-clip", "download_clip", arguments),
    )
    return Clip(job.result["path"], inert(file), job.result["label"]) if job else None
