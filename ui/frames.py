"""'What the model sees': the sampled frames, where they lie in the clip, the crop, and the tubelets they are cut into."""

from base64 import b64encode
from collections.abc import Sequence

import streamlit as st

from engine import Job
from engine.tasks import Frames
from ui import charts
from ui.clips import picture
from vivit.benchmark.measurement import MIB
from vivit.config import VivitConfig

WIDTH = 96  # pixels of a frame on the page
LINES = "#ffffff"
EDGE = "#5b3fd6"


def show_frames(job: Job[Frames], config: VivitConfig) -> None:
    """Draw the frames of a finished media job, those of one tubelet together, with index and time under each.

    Of several views one is drawn, which the visitor chooses.
    """
    clip = job.result
    for warning in clip.warnings:
        st.warning(warning, icon=":material/warning:")
    count, height, width, _ = clip.shape
    different = len(set(clip.indices))
    repeated = f", some repeated to make {count}" if different < count else ""
    cuts = _listed([f"({x:.0f}, {y:.0f}) to ({right:.0f}, {bottom:.0f})" for x, y, right, bottom in clip.crop_boxes])
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            f"{different} of {clip.num_frames} frames over {clip.duration_seconds:.2f} s{repeated}, "
            f"each {width} × {height} pixels, "
            f"cut from {cuts} of {clip.width} × {clip.height} "
            f"({clip.codec} in {clip.container}). These pictures are what the model gets, as JPEG here.",
            width="stretch",
        )
        tubelets = st.toggle("Tubelets", key="tubelets", help="The cells that become one token each.")
    st.caption(f":material/grid_on: {_tokens(config, count)}")
    stretch, crop = _pick_view(clip)
    first = (stretch * clip.views.spatial + crop) * count
    shown = job.blobs[1:][first : first + count]
    pictures = [_gridded(jpeg, config) if tubelets else picture(jpeg) for jpeg in shown]
    of_view = slice(stretch * count, (stretch + 1) * count)
    labels = [f"#{i} · {s:.2f} s" for i, s in zip(clip.indices[of_view], clip.seconds[of_view], strict=True)]
    show_strip(pictures, labels, config.tubelet_size[0])


def _pick_view(clip: Frames) -> tuple[int, int]:
    """Draw the choice of a view where there are several. Returns which temporal view, and which of its crops."""
    views, count = clip.views, clip.shape[0]
    if views.count == 1:
        return 0, 0
    times = [
        f"{clip.seconds[k * count]:.2f} s to {clip.seconds[(k + 1) * count - 1]:.2f} s" for k in range(views.temporal)
    ]
    down = clip.crop_boxes[0][1] < clip.crop_boxes[-1][1]
    sides = ("top", "bottom") if down else ("left", "right")
    crops = [sides[0], *["middle"] * (views.spatial - 2), sides[1]] if views.spatial > 1 else [""]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        stretch = _pick("Temporal view", times)
        crop = _pick("Crop", crops)
        st.caption(
            f"{views.count} views of {count} frames each: {views.temporal} in time × {views.spatial} along the longer side. "
            "The answer is of the mean of their logits."
        )
    return stretch, crop


def _pick(label: str, names: Sequence[str]) -> int:
    """Draw a choice where there is one. Returns a place, since names may repeat."""
    if len(names) == 1:
        return 0
    key = f"shown-{label}-{len(names)}"
    return st.segmented_control(
        label, range(len(names)), default=0, required=True, key=key, format_func=lambda k: names[k], width="content"
    )


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def show_strip(pictures: Sequence[str], labels: Sequence[str], together: int) -> None:
    """Draw pictures with a label under each. Args: together: how many stay side by side, those of one tubelet."""
    with st.container(horizontal=True, gap="small", key="frames"):
        for first in range(0, len(pictures), together):
            part = slice(first, first + together)
            st.image(
                list(pictures[part]),
                list(labels[part]),
                width=WIDTH,
                alt=[f"Frame {label}" for label in labels[part]],
            )


def _tokens(config: VivitConfig, frames: int) -> str:
    """Why eager attention grows: from frames to the scores of a layer."""
    time, height, width = config.grid_size
    depth, rows, columns = config.tubelet_size
    heads, space = config.num_attention_heads, height * width
    grid = f"{frames} frames in tubelets of {depth} × {rows} × {columns} → {time} × {height} × {width}"

    def held(scores: int) -> str:
        return f"{scores * 4 / MIB:,.1f} MiB"

    over_time, over_space = f"{space} × {time}² over time", f"{time} × {space}² over space"
    eager = "eager holds them, a fused kernel never does."
    match config.factorization:
        case "none":
            tokens = config.num_tokens
            return (
                f"{grid} + 1 = {tokens:,} tokens → {tokens:,}² scores a head, of {heads} heads = {held(heads * tokens**2)} a "
                f"layer in float32: {eager}"
            )
        case "encoder":
            step = space + 1
            return (
                f"{grid} tubelets: {time} steps of {height} × {width} + 1 = {step} tokens → {time} × {step}² scores a head, of "
                f"{heads} heads = {held(heads * time * step**2)} a layer in float32: {eager} Then {config.num_temporal_layers} "
                f"layers over the steps' [CLS], {time} + 1 = {time + 1} tokens."
            )
        case "self_attention":
            parts = [(over_time, space * time**2), (over_space, time * space**2)]
            (first, before), (then, after) = parts if config.attention_order == "time_space" else parts[::-1]
            return (
                f"{grid} = {time * space:,} tokens → {first}, then {then} scores a head, of {heads} heads = "
                f"{held(heads * before)} and {held(heads * after)} a layer in float32: {eager}"
            )
    half = heads // 2
    return (
        f"{grid} = {time * space:,} tokens → {over_time} scores for each of {half} heads, {over_space} for each of the other "
        f"{half} = {held(half * (space * time**2 + time * space**2))} a layer in float32: {eager}"
    )


def _gridded(jpeg: bytes, config: VivitConfig) -> str:
    """A frame with the edges of its tubelets on it, as data in the page."""
    _, rows, columns = config.tubelet_size
    _, height, width = config.clip_size
    lines = [f"M{x} 0V{height}" for x in range(columns, width, columns)]
    lines += [f"M0 {y}H{width}" for y in range(rows, height, rows)]
    path = f'<path d="{"".join(lines)}" fill="none"'
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"><image width="{width}" height="{height}" '
        f'href="{picture(jpeg)}"/>{path} stroke="{EDGE}" stroke-width="2.5"/>{path} stroke="{LINES}"/></svg>'
    )
    return f"data:image/svg+xml;base64,{b64encode(text.encode()).decode()}"


def show_marks(job: Job[Frames]) -> None:
    """Draw where the sampled frames of a finished media job lie in the clip."""
    charts.show(
        charts.timeline(job.result.seconds, job.result.duration_seconds),
        "timeline",
        "The clip's length with a mark at the time of every sampled frame",
    )
