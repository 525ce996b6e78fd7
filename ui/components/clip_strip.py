"""A film strip: a row of pictures of which one is chosen."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial

import streamlit as st

from ui.components.stamp import OVERTAKEN, stamped
from ui.visit import set_widget, widget

HTML = """
<div class="strip">
  <input type="search" placeholder="Filter" aria-label="Filter the clips" autocomplete="off" spellcheck="false" hidden>
  <div role="radiogroup"></div>
  <p role="status"></p>
  <template>
    <div role="radio" tabindex="-1">
      <span class="label"></span>
      <span class="frame"><img alt="" draggable="false" hidden><span class="note"></span></span>
    </div>
  </template>
</div>
"""

CSS = """
[hidden] { display: none !important; }
.strip {
  display: flex; align-items: flex-start; gap: 6px; height: 100px; position: relative;
  font: 12px/15px var(--st-font); color: var(--st-text-color);
}
input {
  flex: none; box-sizing: border-box; width: clamp(84px, 20%, 132px); height: 32px; margin: 21px 0 0; padding: 0 8px;
  font: 14px var(--st-font); color: inherit; background: var(--st-secondary-background-color);
  border: 1px solid var(--st-widget-border-color); border-radius: var(--st-base-radius);
}
input::placeholder { color: inherit; opacity: 0.7; }
input:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 1px; }
[role="radiogroup"] {
  flex: 1; min-width: 0; display: flex; padding: 2px; position: relative;
  overflow: auto hidden; scrollbar-width: thin;
  scrollbar-color: color-mix(in srgb, var(--st-text-color) 35%, transparent) transparent;
}
input[hidden] + [role="radiogroup"] { margin-left: -4px; }
[role="radio"] {
  flex: none; display: flex; flex-direction: column-reverse; align-items: center; gap: 4px;
  padding: 3px 4px 0; border-radius: 6px; cursor: pointer; user-select: none;
}
[role="radio"]:focus-visible { outline: 2px solid var(--st-text-color); outline-offset: 0; }
.label { width: 88px; text-align: center; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.frame {
  width: 85px; height: 64px; border-radius: 4px; overflow: hidden; background: var(--st-secondary-background-color);
  display: flex; align-items: center; justify-content: center; text-align: center;
}
img { width: 100%; height: 100%; object-fit: cover; }
[role="radio"]:hover .frame { outline: 2px solid color-mix(in srgb, var(--st-primary-color) 55%, transparent); }
[role="radio"][aria-checked="true"] .frame { outline: 3px solid var(--st-primary-color); }
[role="radio"][aria-checked="true"] .label { font-weight: 700; }
[role="status"] { position: absolute; left: calc(clamp(84px, 20%, 132px) + 20px); top: 29px; margin: 0; }
"""

# Streamlit calls the script for the mount and for every change of data or theme, but calls only the last cleanup, and late
# that of a call that was overtaken: so each call has a controller of its own, and begins by ending the one before.
JS = """
const strips = new WeakMap()

export default function ({ data, parentElement, setTriggerValue }) {
  if (overtaken(parentElement, data)) return
  const [filter, group, none, template] = ['input', '[role=radiogroup]', '[role=status]', 'template'].map(
    (selector) => parentElement.querySelector(selector))
  if (!strips.has(group)) strips.set(group, { clicks: data.answered, pending: null })
  const strip = strips.get(group)
  strip.listeners?.abort()
  const listeners = strip.listeners = new AbortController()
  const on = (node, kind, heed) => node.addEventListener(kind, heed, { signal: listeners.signal })

  const before = new Map([...group.children].map((tile) => [tile.dataset.name, tile]))
  const tiles = data.tiles.map(({ name, label, picture, note }) => {
    const tile = before.get(name) ?? template.content.firstElementChild.cloneNode(true)
    const [text, img, stand] = ['.label', 'img', '.note'].map((selector) => tile.querySelector(selector))
    tile.dataset.name = name
    text.textContent = text.title = label
    img.hidden = !picture.startsWith('data:image/')
    if (!img.hidden && img.getAttribute('src') !== picture) img.src = picture
    stand.textContent = img.hidden ? note : ''
    return tile
  })
  const focused = group.getRootNode().activeElement
  for (const tile of before.values()) if (!tiles.includes(tile)) tile.remove()
  tiles.forEach((tile, at) => {
    if (group.children[at] !== tile) group.insertBefore(tile, group.children[at])
  })
  if (tiles.includes(focused)) focused.focus({ preventScroll: true })  // a node that is moved loses it

  const shown = () => tiles.filter((tile) => !tile.hidden)
  const reveal = (tile) => {
    const left = tile.offsetLeft - group.scrollLeft
    if (left < 0 || left + tile.offsetWidth > group.clientWidth) {
      group.scrollLeft = tile.offsetLeft - (group.clientWidth - tile.offsetWidth) / 2
    }
  }
  const mark = () => {
    const chosen = tiles.find((tile) => tile.dataset.name === strip.chosen)
    const focused = data.acts && shown().find((tile) => tile === group.getRootNode().activeElement)
    const stop = focused || (chosen && !chosen.hidden ? chosen : shown()[0])
    for (const tile of tiles) {
      tile.setAttribute('aria-checked', tile === chosen)
      tile.tabIndex = tile === stop ? 0 : -1
    }
    if (chosen && !chosen.hidden && strip.revealed !== chosen) reveal(chosen)
    strip.revealed = chosen?.hidden ? null : chosen
  }
  const sift = () => {
    const wanted = filter.hidden ? '' : filter.value.trim().toLowerCase()
    for (const tile of tiles) {
      tile.hidden = !tile.querySelector('.label').textContent.toLowerCase().includes(wanted)
    }
    none.textContent = wanted && !shown().length ? 'No clip of that name' : ''
    mark()
  }
  const choose = (tile) => {
    tile.focus({ preventScroll: true })
    if (tile.dataset.name === strip.chosen && strip.pending === null) return
    strip.chosen = tile.dataset.name
    strip.pending = ++strip.clicks
    mark()
    setTriggerValue('picked', [strip.chosen, strip.pending])
  }

  // What does not know of the last click yet would undo it for a moment.
  if (data.answered === strip.pending) strip.pending = null
  if (strip.pending === null) strip.chosen = data.chosen
  group.setAttribute('aria-label', data.label)
  filter.hidden = tiles.length <= 12
  sift()

  on(filter, 'input', () => {
    strip.revealed = null
    sift()
  })
  // Whoever listens outside sees the shadow root alone, not that it is typing, and single letters are shortcuts there.
  on(filter, 'keydown', (event) => event.stopPropagation())
  on(group, 'click', (event) => {
    const tile = event.target.closest('[role=radio]')
    if (tile) choose(tile)
  })
  on(group, 'keydown', (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return
    const row = shown()
    const at = row.indexOf(event.target)
    const to = {
      ArrowLeft: at - 1, ArrowUp: at - 1, ArrowRight: at + 1, ArrowDown: at + 1, Home: 0, End: -1, Enter: at, ' ': at,
    }[event.key]
    if (at < 0 || to === undefined) return
    event.preventDefault()
    const tile = row[(to + row.length) % row.length]
    if (!data.acts || to === at) return choose(tile)
    tile.focus({ preventScroll: true })
    reveal(tile)
    mark()
  })
  return () => listeners.abort()
}
"""

_STRIP = st.components.v2.component("clip_strip", html=HTML, css=CSS, js=OVERTAKEN + JS)


@dataclass(frozen=True)
class Tile:
    """One picture of the strip.

    Args:
        name: what is returned when it is clicked, unique.
        label: what to call it, a stranger's text.
        picture: a data: URI, '' for none yet.
        note: stands in a picture's place ('1.2 MB').
    """

    name: str
    label: str
    picture: str = ""
    note: str = ""


@dataclass
class _Heard:
    """The last click. Args: name: of its tile, until it is reported; count: how many there were, says the browser."""

    name: str | None = None
    count: int = 0


def _hear(key: str) -> None:
    """Note the click even if the run is cut short before it comes to the strip. Args: key: the strip's."""
    match widget(key):
        case {"picked": [str(name), int(count)]}:  # browsers can send anything
            set_widget(f"{key}-heard", _Heard(name, count))


def clip_strip(tiles: Sequence[Tile], chosen: str, *, key: str, label: str, acts: bool = False) -> str | None:
    """Draw a row of pictures of which one is chosen; returns the one that was clicked in this run, None otherwise.

    The browser marks what was clicked at once. Rerun after a click, or the strip shows one that was not accepted.

    Args:
        tiles: from left to right.
        chosen: the name of the chosen one, '' for none.
        key: unique on the page; '<key>-heard' is the strip's own, too.
        label: what the row is, for those who cannot see.
        acts: whether a choice does something that is not undone by the next: arrow keys then go from one to another without
            choosing it, which Enter, Space and a click do.
    """
    heard: _Heard = widget(f"{key}-heard", _Heard())
    clicked = heard.name if any(tile.name == heard.name for tile in tiles) else None
    _STRIP(
        key=key,
        data=stamped(
            key,
            {
                "tiles": [asdict(tile) for tile in tiles],
                "chosen": chosen if clicked is None else clicked,
                "answered": heard.count,
                "label": label,
                "acts": acts,
            },
        ),
        on_picked_change=partial(_hear, key),
    )
    heard.name = None  # not before: a run that is cut short leaves the click to the next
    return clicked
