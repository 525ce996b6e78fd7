"""The choice of what is to stand beside what is shown."""

from collections.abc import Callable, Mapping
from typing import TypeVar

import streamlit as st

from ui.visit import set_widget, widget

Thing = TypeVar("Thing")


def pick_beside(key: str, known: Mapping[str, Thing], placeholder: str, name: Callable[[Thing], str]) -> Thing | None:
    """Draw the choice of another thing; returns it, None until one is chosen.

    Args:
        key: of the widget.
        known: id → what can be chosen.
        placeholder: what to choose, in words.
        name: what tells one from the others, in words.
    """
    if widget(key) not in known:  # deleted meanwhile
        set_widget(key, None)
    chosen = st.selectbox(
        "Beside",
        list(known),
        index=None,
        key=key,
        placeholder=placeholder,
        format_func=lambda id: name(known[id]),
    )
    return known[chosen] if chosen else None
