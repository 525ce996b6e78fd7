"""The frames that a model got, with heat over them, and what the colours mean."""

from base64 import b64encode

import numpy as np
import streamlit as st

from ui.clips import picture
from ui.inside_kept import Insight
from ui.visit import visit
from vivit.explain.drawing import heat_png
from vivit.explain.maps import shares

WIDTH = 92  # pixels of a frame on the page: two by two on a phone
PRESENTED = 1.25  # times that for an audience


def show_legend(weights: np.ndarray) -> None:
    """The colours of all frames, with numbers. Args: weights: (L, H, W)."""
    most = float(shares(weights).max())
    said = f"{100 * most:.3g} % of the map a tubelet, {most * weights.size:.1f} × an even share"
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="legend"):
        st.markdown(":small[0 %]", width="content")
        scale = _svg(256, 14, [[("png", heat_png(np.linspace(0, 1, 256)[None], 1.0), 1.0)]])
        st.image(scale, width=200, alt=f"The scale of colours of all frames, from 0 % to {said}")
        st.markdown(f":small[{said}]", width="content")


def show_heat(insight: Insight, weights: np.ndarray, opacity: float) -> None:
    """Every sampled frame with heat over it, those of one time step side by side. Args: weights: (L, H, W); opacity: 0 to 1."""
    count, height, width, _ = insight.frames.shape
    together, most, share = count // len(weights), float(weights.max()), shares(weights).sum((1, 2))
    width_here = round(WIDTH * (PRESENTED if visit().present else 1))
    with st.container(horizontal=True, gap="small", key="heat"):
        for step, of_step in enumerate(weights):
            part = slice(step * together, (step + 1) * together)
            heat = heat_png(of_step, most)
            layers = [[("jpeg", jpeg, 1.0), ("png", heat, opacity)] for jpeg in insight.pictures[part]]
            time = _listed([f"{seconds:.2f}" for seconds in insight.frames.seconds[part]])
            alt = f"Frames at {time} s: {share[step]:.1%} of the map"
            st.image(_svg(width, height, layers), f"{time} s", width=width_here * together, alt=alt)


def _listed(words: list[str]) -> str:
    return " and ".join(words) if len(words) < 3 else f"{words[0]} to {words[-1]}"


def _svg(width: int, height: int, pictures: list[list[tuple[str, bytes, float]]]) -> str:
    """Pictures side by side, as data in the page. Args: pictures: of each (kind of file, file, opacity), the lowest first."""
    images = "".join(
        f'<image x="{place * width}" width="{width}" height="{height}" preserveAspectRatio="none" opacity="{opacity:g}" '
        f'href="{picture(data) if kind == "jpeg" else f"data:image/png;base64,{b64encode(data).decode()}"}"/>'
        for place, layers in enumerate(pictures)
        for kind, data, opacity in layers
    )
    size = f'viewBox="0 0 {len(pictures) * width} {height}"'
    text = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{images}</svg>'
    return f"data:image/svg+xml;base64,{b64encode(text.encode()).decode()}"
