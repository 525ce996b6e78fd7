"""Work of the server's that a page follows: whose it is, and the buttons that end it or begin to follow it."""

import streamlit as st

from engine.running import Running

CANCEL_SECONDS = 2.5  # in which what was cancelled has ended


def cancel_button(running: Running, key: str, label: str = "Cancel", icon: str = ":material/cancel:") -> None:
    """Draw the button that ends some work; the page is drawn anew once that has ended. Args: key: the button's."""
    if st.button(label, key=key, icon=icon):
        running.cancel()
        running.wait(CANCEL_SECONDS)
        st.rerun()


def whose(*, here: bool) -> str:
    """Whose another visitor's work is, in words. Args: here: whether that visitor is here."""
    return "another visitor's" if here else "of a visitor who has left"


def watch_button(id: str, *, here: bool) -> bool:
    """Draw the button that follows another visitor's work; returns whether it was pressed. Args: here: as `whose`'s."""
    return st.button("Watch it" if here else "Take it over", key=f"watch-{id}", icon=":material/visibility:")
