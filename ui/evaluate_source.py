"""Choosing labelled clips: those that ship with the app, a dataset of the Hub, a folder or a list on this machine."""

import os
from pathlib import Path

import streamlit as st

from engine.evaluations import ToEvaluate
from engine.tasks import FindClips, ListClips
from ui.escape import inert, literal
from ui.hub import LOOK_UP_SECONDS, REPOSITORY, warn_offline
from ui.jobs import ask, finished, job_for, ready
from ui.server import offers_folders
from ui.visit import visit
from vivit.evaluate.sources import Found, found_in
from vivit.hub import KINETICS_MINI, as_path, megabytes
from vivit.hub.clips import ClipList

BUNDLED, KINETICS, OTHER, HERE = "Bundled", "Kinetics-mini", "Dataset…", "Folder or list"
CONTROLS = {"labelled": "source of the clips", "dataset": "dataset", "part": "split", "limit": "clips at most"}
WHOLE = "all splits"
TRAINING = "train"  # splits that begin so are what models learn from
VALIDATION = ("val", "validation", "test")  # splits that models were not trained on, the usual one first


def choose_clips() -> tuple[Found | None, int | None]:
    """Draw where labelled clips come from; returns them, None without, and how many of them at most, None for all."""
    sources = [BUNDLED, KINETICS, OTHER, *[HERE] * offers_folders()]
    left, middle, right = st.columns([400, 640, 180], gap="medium")
    with left, st.container(gap=None):
        st.title("How often is it right?", anchor=False)
        source = st.segmented_control(
            "Where labelled clips come from",
            sources,
            default=BUNDLED,
            required=True,
            key="labelled",
            bind="query-params",
            label_visibility="collapsed",
        )
    with middle:
        found = {BUNDLED: _bundled, KINETICS: _kinetics, OTHER: _other, HERE: _here}[source]()
    with right:
        limit = st.number_input(
            "Clips at most",
            min_value=1,
            value=None,
            step=10,
            key="limit",
            bind="query-params",
            placeholder="all",
            help="The first of every class, then the second of every class and so on: a fair part of all.",
        )
    return found, limit


def _bundled() -> Found | None:
    found = _find("bundled", "the bundled clips")
    if found:
        st.caption(
            "Rendered clips of one figure that ship with the app, one of each action that the embedded models know."
        )
    return found


def _kinetics() -> Found | None:
    return _listed(KINETICS_MINI)


def _other() -> Found | None:
    dataset = st.text_input(
        "Dataset repository",
        placeholder=f"owner/name of a dataset whose folders are its classes, such as {KINETICS_MINI}",
        key="dataset",
        bind="query-params",
        label_visibility="collapsed",
    ).strip()
    if dataset and not REPOSITORY.fullmatch(dataset):
        st.error(f"A dataset repository is written owner/name, such as {KINETICS_MINI}.", icon=":material/error:")
        return None
    return _listed(dataset) if dataset else None


def _listed(dataset: str) -> Found | None:
    """The clips of a dataset of the Hub, of one of its splits or all; none is downloaded before it is needed."""
    if not (ready("hub") and ready("download-clip")):
        return None
    warn_offline()
    listing = job_for("labelled", dataset, lambda: ask(ListClips(dataset), time_limit=LOOK_UP_SECONDS))
    if not finished(listing, "labelled", f"Listing the clips of {literal(dataset)}"):
        return None
    listed = listing.result
    splits = sorted({clip.split for clip in listed.clips if clip.split})
    part = WHOLE
    if splits:
        usual = next((split for split in VALIDATION if split in splits), WHOLE)
        options = [*splits, WHOLE]
        part = st.selectbox(
            "Split",
            options,
            index=options.index(usual),
            key="part",
            bind="query-params",
            width=220,
            label_visibility="collapsed",
        )
    if part.startswith(TRAINING) or (part == WHOLE and any(split.startswith(TRAINING) for split in splits)):
        st.caption(
            ":material/info: Clips for training are among them. A model may have learned from these very clips, and then is "
            "right on them more often than on others."
        )
    try:
        found = found_in(listed, "" if part == WHOLE else part)
    except ValueError as error:
        st.error(literal(str(error)), icon=":material/error:")
        return None
    return _tell(found)


def show_download(what: ToEvaluate) -> None:
    """Say how many bytes an evaluation downloads first, of a dataset that `choose_clips` has listed."""
    _, job = visit().jobs.get("labelled", (None, None))
    if not (what.found.dataset and job and isinstance(job.result, ClipList)):
        return
    wanted = {path for path, _ in what.clips}
    absent = [clip for clip in job.result.clips if clip.file in wanted and not clip.cached]
    absent = [clip for clip in absent if not os.path.isfile(what.found.place(clip.file))]  # it may have come since
    if absent:
        size = megabytes(sum(clip.size_bytes for clip in absent))
        st.caption(f":material/download: {size} to download, of {len(absent):,} clip{'s' * (len(absent) != 1)}.")


def _here() -> Found | None:
    """A folder or a list where the server runs. Not in the address: a link is not to name what is opened here."""
    typed = st.text_input(
        "Path of a folder of class folders, or of a CSV of paths and labels",
        key="labelled-path",
        placeholder="/path/to/a/folder of class folders, or /path/to/a/list.csv",
        label_visibility="collapsed",
        help="Clips lie in folders that are named as what they show, at any depth; or a CSV has a path and a label in each "
        "line. They are read where they lie.",
    ).strip()
    return _find(str(as_path(typed).absolute()), literal(inert(Path(typed).name))) if typed else None


def _find(source: str, what: str) -> Found | None:
    job = job_for("labelled", source, lambda: ask(FindClips(source)))
    return _tell(job.result) if finished(job, "labelled", f"Looking for {what}") else None


def _tell(found: Found) -> Found:
    classes = len({label for _, label in found.clips})
    words = f"{len(found.clips):,} clip{'s' * (len(found.clips) != 1)} of {classes:,} label{'s' * (classes != 1)}"
    with st.container(gap=None):
        st.markdown(f"**{literal(inert(found.name))}**: {words}")
        for notice in found.notices:
            st.caption(f":material/info: {literal(notice)}")
    return found
