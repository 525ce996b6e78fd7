"""The keyboard, for a hand that is on no control."""

from functools import partial

import streamlit as st

from ui.visit import set_widget, widget

KEYS = {"left", "right", "escape", *"123456789"}

# Each call ends the one before: Streamlit calls for the mount and for every change of theme, but calls only the last
# cleanup. Events are heard on their way down: what is open shuts on Escape, and is no longer to be seen afterwards.
JS = """
const NAMES = { ArrowLeft: 'left', ArrowRight: 'right', Escape: 'escape' }
const OPEN = '[role=dialog], [role=alertdialog], [role=menu], [role=listbox]'
const FIELD = [
  'input:not([type=radio], [type=checkbox], [type=range], [type=button], [type=file])', 'textarea', 'select',
  '[contenteditable]:not([contenteditable=false])',
  ...['textbox', 'searchbox', 'combobox', 'spinbutton'].map((role) => `[role=${role}]`),
].join()
let listening = new AbortController()

const covered = () => [...document.querySelectorAll(OPEN)].some((node) => node.checkVisibility())
  || [...document.querySelectorAll('[data-testid=stFullScreenFrame]')]
    .some((node) => getComputedStyle(node).position === 'fixed')
const focused = () => {
  let node = document.activeElement ?? document.body
  while (node.shadowRoot?.activeElement) node = node.shadowRoot.activeElement
  return node
}

export default function ({ setTriggerValue }) {
  listening.abort()
  const own = listening = new AbortController()
  const heed = (event) => {
    const { key, ctrlKey, altKey, metaKey, repeat } = event
    const node = focused()
    if (ctrlKey || altKey || metaKey || covered() || node.closest(FIELD)) return
    // A click beside everything gives the focus to <main>.
    if (key !== 'Escape' && node.closest('[tabindex]:not(main), a, button, input, video, audio, summary, iframe')) return
    const video = key === ' ' ? document.querySelector('video') : null
    if (video) event.preventDefault()  // it would scroll
    if (repeat) return
    if (video?.paused) video.play().catch(() => {})
    else video?.pause()
    const name = /^[1-9]$/.test(key) ? key : NAMES[key]
    if (name) setTriggerValue('pressed', name)
  }
  document.addEventListener('keydown', heed, { capture: true, signal: own.signal })
  return () => own.abort()
}
"""

# Of several lines, or Streamlit takes the style for the name of a file.
CSS = """
[data-testid=stElementContainer]:has(.keys) {
  position: absolute;
}
"""

# Not isolated, so that the style reaches Streamlit's wrapper, which would leave a gap on the page.
_KEYS = st.components.v2.component("keys", html='<span class="keys"></span>', css=CSS, js=JS, isolate_styles=False)


def _hear(key: str) -> None:
    """Note what was pressed even if the run is cut short before it comes to the keys. Args: key: the component's."""
    match widget(key):
        case {"pressed": str(name)} if name in KEYS:  # browsers can send anything
            set_widget(f"{key}-heard", name)


def keys(*, key: str = "keys") -> str | None:
    """Listen for keys, and let the space bar start and stop the page's first video.

    Keys that belong to a control are left to it: all that are pressed while a control has the focus, but for Escape, and all
    while something is open above the page.

    Args:
        key: unique on the page; '<key>-heard' is the component's own, too.

    Returns:
        What was pressed, in the one run that tells: '1' to '9', 'left', 'right' or 'escape'; else None.
    """
    _KEYS(key=key, on_pressed_change=partial(_hear, key))
    pressed: str | None = widget(f"{key}-heard")
    set_widget(f"{key}-heard", None)
    return pressed
