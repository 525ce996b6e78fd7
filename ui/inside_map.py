"""Which map is looked at: the method, the layer and the head, by name or among small pictures of all of them."""

from functools import partial

import numpy as np
import streamlit as st

from ui import charts
from ui.escape import listed, literal
from ui.inside_charts import MEAN, small_maps
from ui.inside_kept import Insight, MapChoice
from ui.visit import set_widget, unset_widget, widget
from vivit.explain import METHODS, MapUnavailable, methods
from vivit.explain.kinds import has_heads, refuse

OPACITY = 50  # % at first
CONTROLS = {
    "method": "map",
    "layer": "layer",
    "head": "head",
    "opacity": "opacity",
}  # in the address, and what they are called


def pick_map(insight: Insight) -> MapChoice:
    """Draw the choice of the method, the layer and the head."""
    here = methods(insight.config)
    lacking = _lacking(insight)
    if (asked := widget("method")) in lacking:
        st.warning(f"{literal(lacking[asked])} This is '{here[0]}'.", icon=":material/block:")
        unset_widget("method")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        method = st.segmented_control(
            "Map",
            here,
            default=here[0],
            required=True,
            key="method",
            bind="query-params",
            help=listed({name: literal(METHODS[name]) for name in here}),
        )
        if lacking:
            with st.popover("Others", type="tertiary", help="Maps that this checkpoint has not, and why"):
                for reason in lacking.values():
                    st.markdown(f"- {literal(reason)}")
    single = not has_heads(method)  # the boxes stay where they are, and what was chosen in them
    layers, heads = insight.maps[here[0] if single else method].shape[:2]
    left, right = st.columns(2, gap="small")
    with left:
        layer = _pick(f"Layer, 0 to {layers - 1}", "layer", [MEAN, *map(str, range(layers))], disabled=single)
    with right:
        head = _pick(f"Head, 0 to {heads - 1}", "head", [MEAN, *map(str, range(heads))], disabled=single)
    if single:
        st.markdown(":small[One map, made of all layers and heads.]")
        return MapChoice(method)
    return MapChoice(method, *(None if part == MEAN else int(part) for part in (layer, head)))


def _lacking(insight: Insight) -> dict[str, str]:
    """The maps that a checkpoint has not → why."""
    found = {}
    for method in METHODS:
        try:
            refuse(insight.config, method)
        except MapUnavailable as reason:
            found[method] = str(reason)
    return found


def _pick(label: str, key: str, options: list[str], *, disabled: bool) -> str:
    """Draw a choice; back to the first option where what was chosen is of another checkpoint or map, which has more."""
    if widget(key) not in (None, *options):
        unset_widget(key)
    return st.selectbox(label, options, key=key, bind="query-params", disabled=disabled)


def pick_opacity() -> float:
    """Draw the slider; returns 0 to 1."""
    percent = st.slider("Opacity", 0, 100, OPACITY, 5, format="%d %%", key="opacity", bind="query-params", width=200)
    return percent / 100


def show_small_maps(insight: Insight, choice: MapChoice) -> None:
    """Draw every layer's and head's map; a click on one chooses it."""
    maps = insight.maps[choice.method]
    if not has_heads(choice.method):
        return
    # The key has the choice in it: else a map that was clicked on, left by the boxes and clicked on again would be let go.
    key = f"small-maps-{choice.method}-{choice.layer}-{choice.head}"
    with st.container(key="small-maps"):
        figure = small_maps(_small(maps, choice.method), choice)
        charts.show(
            figure,
            key,
            f"A small map for each of {maps.shape[0]} layers and {maps.shape[1]} heads, and their means; the boxes Layer "
            "and Head choose the same",
            on_select=partial(_choose, key),
            selection_mode="points",
            width=figure.layout.width,
        )
    what = "time, from left to right" if choice.method == "time" else "the mean over time"
    st.caption(f"Every layer and head, {what}, each by its own scale. Click one to see it over the frames.")


def _small(maps: np.ndarray, method: str) -> np.ndarray:
    """(layers, heads, rows, columns). Of 'time' the steps are drawn: each place's sum over them is always 1."""
    small: np.ndarray = maps.mean((3, 4))[:, :, None] if method == "time" else maps.mean(2)
    return small


def _choose(key: str) -> None:
    """Take over what was clicked on. Args: key: the chart's."""
    match widget(key):
        case {"selection": {"points": [{"customdata": [str(layer), str(head)]}, *_]}}:  # browsers can send anything
            set_widget("layer", layer)
            set_widget("head", head)
