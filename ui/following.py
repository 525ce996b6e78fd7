"""Work of the server's that a page follows: whose it is, and the buttons that end it or begin to follow it."""

from typing import Protocol

import streamlit as st

from engine.running import Running
from ui.server import get_server
from ui.visit import visitor

CANCEL_SECONDS = 2.5  # in which what was cancelled has ended


def cancel_button(running: Running, key: str, label: str = "Cancel", icon: str = ":material/cancel:") -> None:
    """Draw the button that ends some work; the page is drawn anew once that has ended. Args: key: the button's."""
    if st.button(label, key=key, icon=icon):
        running.cancel()
        running.wait(CANCEL_SECONDS)
        st.rerun()


class Followed(Protocol):
    """Work that any visitor may follow."""

    id: str
    visitor: str  # whose it is


def offer(running: Followed, kind: str, more: str, *, watch: bool = True) -> bool:
    """Draw that another visitor's work runs, and a button that follows it. Work of one who has left becomes the presser's.

    Args:
        kind: 'A sweep' or 'An evaluation'.
        more: Markdown, behind the word whose it is.
        watch: whether there is a button.

    Returns:
        Whether the button was pressed.
    """
    here = get_server().visitors.here(running.visitor)
    whose = "another visitor's" if here else "of a visitor who has left"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"{kind} is running, {whose}: {more}")
        label = "Watch it" if here else "Take it over"
        pressed = watch and st.button(label, key=f"watch-{running.id}", icon=":material/visibility:")
    if pressed and not here:
        running.visitor = visitor()
    return pressed
