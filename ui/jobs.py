"""Following a job from the page that asked for it."""

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import streamlit as st

from engine import Job
from engine.messages import Reply, Request
from ui.escape import literal
from ui.server import get_engine
from ui.visit import visit, visitor


def ask(request: Request[Reply], blobs: Sequence[bytes] = (), **options: Any) -> Job[Reply]:
    """Queue a request of this visitor's. Arguments as `Engine.ask`'s."""
    return get_engine().ask(request, blobs, visitor=visitor(), **options)


def job_for(slot: str, key: Hashable, submit: Callable[[], Job[Reply]]) -> Job[Reply]:
    """The visitor's job for `key` in this slot: the one they have, or a new one; the slot's former job is cancelled.

    Args:
        slot: what for; a visitor has one job at a time in each.
        key: what exactly; with another one there is a new job.
        submit: queues it.
    """
    held_key, job = visit().jobs.get(slot, (None, None))
    if job is None or held_key != key:
        if job is not None:
            get_engine().cancel(job)
        job = submit()
        visit().jobs[slot] = (key, job)
    return job


def ready(worker: str) -> bool:
    """Whether a worker is up; if not, says so and looks again by itself."""
    if get_engine().hello(worker) is None:
        _starting(worker)
        return False
    return True


@st.fragment(run_every=0.3)
def _starting(worker: str) -> None:
    if get_engine().hello(worker) is not None:
        st.rerun()
    if get_engine().state(worker) == "failing":
        st.error(
            f"The {worker} worker cannot start; the server's log says why. It keeps trying.", icon=":material/error:"
        )
    else:
        st.progress(0.0, f"The {worker} worker is starting: a few seconds, once")


def finished(job: Job[Any], slot: str, what: str) -> bool:
    """Draw a job's progress until it ends, then what went wrong, if anything did; True once it has succeeded.

    Args:
        job: as `job_for` returned it.
        slot: its own, as `job_for`'s.
        what: is done, in words for the page, such as 'Reading the clip'.
    """
    if not job.finished:
        # Most jobs end within a moment: waiting for those here saves the visitor a flicker.
        job.wait(0.3)
    if not job.finished:
        _progress(slot, what)
    elif job.state == "done":
        return True
    else:
        if job.state == "cancelled":
            st.info(f"{what}: cancelled.", icon=":material/cancel:")
        else:
            st.error(literal(job.error), icon=":material/error:")
            if job.details:
                with st.expander("Details"):
                    st.code(job.details, language=None, wrap_lines=True)
        if st.button("Try again", key=f"{slot}-again", icon=":material/refresh:"):
            del visit().jobs[slot]
            st.rerun()
    return False


@st.fragment(run_every=0.3)
def _progress(slot: str, what: str) -> None:
    _, job = visit().jobs.get(slot, (None, None))
    if job is None or job.finished:
        st.rerun()
    starts, ends = job.estimate
    if job.state == "queued":
        text = f"{what}: number {job.position} in the queue"
        text += f", starts in about {starts:.0f} s" if starts else ""
    else:
        text = f"{what}: {job.note or 'working'}"
        text += f", about {ends:.0f} s left" if ends and ends > 1 else ""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(job.progress, text)
        if st.button("Cancel", key=f"{slot}-cancel", icon=":material/cancel:"):
            get_engine().cancel(job)
            job.wait(2.5)
            st.rerun()
