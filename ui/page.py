"""What every page has around it: the skip link, the place of announcements, and presenter mode."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ui.components.keys import keys
from ui.components.skip_link import skip_link
from ui.visit import visit

# Streamlit has no element for a place in its header, for one without height, or for another size of text; until the scripts
# of what is out of sight have come, it greys their place, which is the title's. Its primary buttons and tags are white on the
# colour that the text of a chosen segment has, and in the dark no colour is fit for both.
PLACES = """<style>
[data-testid=stLayoutWrapper]:has(> .st-key-frame), .st-key-hush { position: absolute }
.st-key-frame [data-testid=stSkeleton] { display: none }
.st-key-present { position: fixed; top: 0.55rem; right: 3.5rem; width: auto; z-index: 1000000 }
[data-testid=stBaseButton-primary]:enabled, [data-testid=stMultiSelect] [data-tag] * { color: light-dark(#fff, #14111f) }
</style>"""
WANTED = "page"  # key of `Visit.wanted`: the page to go to
PRESENTED = """<style>
html { font-size: 150% }
[data-testid=stCaptionContainer] { display: none }
</style>"""


def frame() -> tuple[str, DeltaGenerator]:
    """Draw what every page has around it. To be called before anything else is drawn.

    Returns:
        What was pressed in this run in presenter mode: '1' to '9', 'left', 'right'; '' for nothing. And where to announce.
    """
    around = st.container(gap=None, key="frame")
    with around:
        skip_link()
        st.html(PLACES)
        voice = st.container()
    if "present" in st.query_params:
        visit().present = st.query_params["present"] == "1"
    on = visit().present
    with around, st.container(key="present"):
        st.button(
            "Leave (Esc)" if on else "Present",
            icon=":material/close_fullscreen:" if on else ":material/present_to_all:",
            help="Larger text for an audience. Keys: 1 to 9 for backends, arrows for clips, space for the video, Esc to leave.",
            on_click=_switch,
        )
    if not on:
        return "", voice
    st.query_params["present"] = "1"  # the address loses it when the page changes
    with around:
        st.html(PRESENTED)
        pressed = keys() or ""
    if pressed == "escape":
        _switch()
        st.rerun()
    return pressed, voice


def go_to(page: str) -> None:
    """Have `go_on` go to the page of that file name, with the values that its widgets have been given. For a callback."""
    visit().wanted[WANTED] = page


def go_on() -> None:
    """Go to the page that `go_to` named. To be called before any widget is drawn: its value would be taken along."""
    if page := visit().wanted.pop(WANTED, None):
        # Without `query_params` it would refuse to clear those parameters that this page's widgets have set.
        st.switch_page(f"pages/{page}.py", query_params={})


def _switch() -> None:
    visit().present = not visit().present
    st.query_params.pop("present", None)
