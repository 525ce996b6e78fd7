"""Keeps a component from being drawn with data that has been overtaken.

Streamlit calls a component's script for every change of its data, and imports it each time. Chromium answers two imports of one
script that is still loading in either order, so on a page that has just opened the first data may come after the second.
"""

import time
from typing import Any

from ui.visit import set_widget, widget

# Goes in front of a component's script, whose function begins with: if (overtaken(parentElement, data)) return
OVERTAKEN = """
const drawn = new WeakMap()
function overtaken(parentElement, { stamp }) {
  if (stamp < (drawn.get(parentElement) ?? 0)) return true
  drawn.set(parentElement, stamp)
  return false
}
"""


def stamped(key: str, data: dict[str, Any]) -> dict[str, Any]:
    """Data for a component, with 'stamp', the time of its last change in seconds since 1970.

    Args:
        key: the component's; '<key>-stamped' is its own, too.
        data: JSON; as long as it is the same, so is the stamp, and the browser need not be sent it again.
    """
    former, stamp = widget(f"{key}-stamped", (None, 0.0))
    if data != former:
        stamp = max(time.time(), stamp + 0.001)  # whatever the clock does: what is older would never be drawn again
        set_widget(f"{key}-stamped", (data, stamp))
    return {**data, "stamp": stamp}
