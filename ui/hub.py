"""Checkpoints of the Hugging Face Hub: looked at, downloaded when the visitor says so, then used by name and commit."""

import re
from collections.abc import Callable, Hashable
from typing import Any

import streamlit as st

from engine import Job
from engine.messages import Reply
from engine.tasks import DownloadCheckpoint, HubState, InspectCheckpoint
from ui.escape import inert, literal
from ui.jobs import ask, finished, job_for, ready
from ui.server import get_engine
from ui.visit import visit
from vivit.hub import KINETICS_CHECKPOINT, cached_checkpoints, embedded_checkpoints, megabytes

LOOK_UP_SECONDS = 120.0  # a Hub that is slower than that is as good as none
REPOSITORY = re.compile(r"\w[\w.-]{0,95}/\w[\w.-]{0,95}", re.ASCII)
REVISION = re.compile(r"[\w./-]{1,100}", re.ASCII)


def pick_repository() -> tuple[str, str]:
    """Draw the place to name a checkpoint's repository; returns (name, revision), name '' until it could be one."""
    left, right = st.columns([3, 2])
    name = left.selectbox(
        "Repository",
        list(cached_checkpoints()),
        index=None,
        accept_new_options=True,
        placeholder="owner/name",
        key="repository",
        bind="query-params",
        help="Any ViViT with a classification head; the list has those that are on this machine.",
    )
    revision = right.text_input(
        "Revision", placeholder="the newest", key="revision", bind="query-params", help="A branch, a tag or a commit."
    ).strip()
    name = (name or "").strip()
    if name and not REPOSITORY.fullmatch(name):
        st.error(f"A Hub repository is written owner/name, such as {KINETICS_CHECKPOINT}.", icon=":material/error:")
    elif revision and not REVISION.fullmatch(revision):
        st.error("A revision is a branch, a tag or a commit; leave it empty for the newest.", icon=":material/error:")
    else:
        return name, revision
    return "", ""


def hub_checkpoint(name: str, revision: str = "") -> str:
    """Draw what is known of a checkpoint on the Hub and a button to download it.

    Args:
        name: its repository.
        revision: a branch, a tag or a commit; '' for the newest.

    Returns:
        'owner/name@commit' once it is whole on this machine, '' before.
    """
    if not (ready("hub") and ready("download")):
        return ""
    warn_offline()
    key, shown = (name, revision), literal(name)
    question = InspectCheckpoint(name, revision or None)
    look = job_for("inspect", key, lambda: ask(question, time_limit=LOOK_UP_SECONDS))
    if not finished(look, "inspect", f"Looking at {shown}"):
        say_what_works(look)
        return ""
    found = look.result
    licence = literal(inert(found.licence)) if found.licence else "not stated"
    st.caption(
        f"**{shown}**, commit `{found.commit[:8]}`: {found.num_labels} classes, {megabytes(found.size_bytes)} in "
        f"{found.format}; licence: {licence}."
    )
    for notice in found.notices:
        st.caption(f":material/info: {literal(notice)}")
    if not found.cached:
        request = DownloadCheckpoint(name, revision or None)
        job = on_demand(
            "download",
            key,
            f"Download {megabytes(found.missing_bytes)}",
            f"Downloading {shown}",
            lambda: ask(request, cost_key=f"download {key}"),  # it takes as long as its own bytes do
        )
        found = job.result if job else found
    return f"{name}@{found.commit}" if found.cached else ""


def on_demand(slot: str, key: Hashable, label: str, what: str, begin: Callable[[], Job[Reply]]) -> Job[Reply] | None:
    """A job that waits for a click on a button; returns it once it has succeeded.

    Args:
        slot, key, begin: as `job_for`'s slot, key and submit.
        label: the button's.
        what: as `finished`'s.
    """
    if visit().wanted.get(slot) != key:
        st.button(
            label, key=f"{slot}-button", type="primary", icon=":material/download:", on_click=want, args=[slot, key]
        )
        return None
    job = job_for(slot, key, begin)
    if finished(job, slot, what):
        return job
    if job.state == "cancelled":
        st.caption("What has arrived is kept: trying again goes on from there.")
    return None


def want(slot: str, key: Hashable) -> None:
    """The visitor asks for what `on_demand` offers under this key."""
    visit().wanted[slot] = key


def warn_offline() -> None:
    """Say so where the server was told to leave the Hub alone."""
    state: HubState | None = get_engine().hello("hub")
    if state and state.offline:
        st.caption(
            ":material/cloud_off: HF_HUB_OFFLINE is set: nothing is asked of the Hub, only what is here is used."
        )


def say_what_works(job: Job[Any]) -> None:
    """After a look-up that failed: the checkpoints that need no network."""
    if job.state == "failed":
        here = [*embedded_checkpoints(), *cached_checkpoints()]
        st.caption(f"On this machine, whatever the network does: {', '.join(map(literal, here))}.")
