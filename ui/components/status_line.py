"""Says aloud, to those who cannot see the page, what has come of a run."""

import streamlit as st

from ui.components.stamp import OVERTAKEN, stamped

_CSS = """
.st-key-status-line { position: absolute; }
.st-key-status-line [role="status"] {
  position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap;
}
"""

JS = """
export default function ({ data, parentElement }) {
  if (overtaken(parentElement, data)) return
  const line = parentElement.querySelector('[role=status]')
  if (line.textContent !== data.text) line.textContent = data.text  // set again, it would be said again
}
"""

# Not isolated, so that the style reaches Streamlit's wrapper, which would leave a gap on the page.
_LINE = st.components.v2.component(
    "status_line", html='<div role="status"></div>', css=_CSS, js=OVERTAKEN + JS, isolate_styles=False
)


def announce(text: str) -> None:
    """Let screen readers say what is new.

    Call it in every run, once: what is said must have been on the page before, empty or with another text.

    Args:
        text: said when it is another than before; nothing is for ''.
    """
    _LINE(key="status-line", data=stamped("status-line", {"text": text}))
