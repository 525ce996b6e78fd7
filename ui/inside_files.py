"""A map over its clip as a video and as files to take along."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from engine.tasks import DrawInside
from ui.escape import inert
from ui.inside_kept import Drawing, Insight, MapChoice
from ui.jobs import ask, finished, job_for
from ui.visit import visit
from vivit.explain.kinds import has_heads
from vivit.film import end_of

Key = tuple[Any, ...]


def show_video(insight: Insight, choice: MapChoice, weights: np.ndarray, opacity: float) -> Drawing | None:
    """Draw the looping video, the former one until this one is made.

    Args:
        weights: (L, H, W), the chosen map; opacity: 0 to 1.

    Returns:
        This map's files, None while they are being made.
    """
    frames = insight.frames
    key = insight.key, choice, opacity
    request = DrawInside(frames.shape, weights.shape, frames.seconds, end_of(frames.seconds), opacity)
    drawing = visit().drawing
    place = st.empty()
    if drawing is None or drawing.key != key:
        job = job_for("drawing", key, lambda: ask(request, [insight.pixels, weights.tobytes()]))
        if finished(job, "drawing", "Drawing the map as a video"):
            drawing = visit().drawing = Drawing(key, *job.blobs)
    if drawing:
        place.video(
            drawing.mp4,
            alt=f"The clip '{inert(insight.clip.name)}' as the model got it, and beside it the same with the map over it",
            loop=True,
            autoplay=True,
            muted=True,
        )
    return drawing if drawing and drawing.key == key else None


def show_exports(
    insight: Insight, choice: MapChoice, drawing: Drawing | None, report: Callable[[], dict[str, Any]]
) -> None:
    """Draw the downloads. Args: drawing: None while it is being made; report: makes the JSON."""
    places = {"layer": choice.layer, "head": choice.head} if has_heads(choice.method) else {}
    of_map = [f"{name}-{'mean' if place is None else place}" for name, place in places.items()]
    stem = "-".join([Path(insight.clip.name).stem or "clip", choice.method, *of_map]).replace(" ", "-")
    files = (
        ("PNG strip", lambda: drawing.png if drawing else b"", "png", "image/png", drawing is None),
        ("MP4", lambda: drawing.mp4 if drawing else b"", "mp4", "video/mp4", drawing is None),
        ("JSON with raw numbers", lambda: json.dumps(report(), indent=1), "json", "application/json", False),
    )
    with st.container(horizontal=True):
        # Made when asked for, so there is no file to vanish.
        for label, make, suffix, kind, waits in files:
            st.download_button(
                label, make, f"{stem}.{suffix}", kind, on_click="ignore", icon=":material/download:", disabled=waits
            )
