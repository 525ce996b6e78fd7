"""The way past the clips for those who go by the Tab key."""

import streamlit as st

_CSS = """
.st-key-skip-link { position: absolute; z-index: 1; }
.st-key-skip-link a:not(:focus) { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.st-key-skip-link a {
  display: block; width: max-content; padding: 6px 12px; border-radius: var(--st-base-radius);
  color: var(--st-text-color); background: var(--st-background-color);
  outline: 2px solid var(--st-primary-color); outline-offset: -2px;
}
"""

# What cannot have the focus, hidden or disabled, does not take it.
_JS = """
export default function ({ parentElement }) {
  parentElement.querySelector('a').onclick = (event) => {
    event.preventDefault()
    const controls = document.querySelectorAll(
      '.st-key-controls :is(a[href], button, input, select, summary, textarea, [tabindex]):not([tabindex="-1"])')
    for (const control of controls) {
      control.focus()
      if (document.activeElement === control) return
    }
  }
}
"""

# Not isolated, so that the style reaches Streamlit's wrapper, which would leave a gap on the page.
_LINK = st.components.v2.component(
    "skip_link", html='<a href="#controls">Skip to the controls</a>', css=_CSS, js=_JS, isolate_styles=False
)


def skip_link() -> None:
    """Draw the link to the container of key 'controls', which is seen while it has the focus. Call it before all else."""
    _LINK(key="skip-link")
