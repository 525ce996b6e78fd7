"""Pauses the page's own videos while something is timed: the browser is often on the same machine, and decodes them there."""

import streamlit as st

from ui.components.stamp import OVERTAKEN, stamped

_SCRIPT = """
export default function ({ data, parentElement }) {
    if (overtaken(parentElement, data)) return
    const held = (window.vivitHeld ??= new Set())
    window.vivitQuiet = data.quiet
    const hold = (video) => {
        if (!window.vivitQuiet) return
        video.pause()
        held.add(video)
    }
    for (const video of document.querySelectorAll("video")) {
        if (!data.quiet || video.paused) continue
        // One that waits for its data is asked to stop once it plays: whoever started it would be told of an error.
        if (video.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA) hold(video)
        else video.addEventListener("playing", () => hold(video), { once: true })
    }
    if (!data.quiet) {
        for (const video of held) if (video.isConnected) video.play().catch(() => {})
        held.clear()
    }
}
"""

_hush = st.components.v2.component("vivit_hush", html="<span></span>", js=OVERTAKEN + _SCRIPT)


def hush(quiet: bool) -> None:
    """Pause every video that plays, or let those that were so paused go on."""
    _hush(key="hush", data=stamped("hush", {"quiet": quiet}), height=1)
