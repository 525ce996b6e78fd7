"""A camera whose pictures are classified as they come: what it sees, and what is found, large."""

import streamlit as st

from ui.components.camera import CAMERA, CAMERA_CSS
from ui.components.stamp import OVERTAKEN, stamped

HTML = """
<div class="camera">
  <div class="seen">
    <div class="picture">
      <video class="eye" muted playsinline aria-label="What the camera sees"></video>
      <p class="off">The camera is off.</p>
      <p class="light">Camera on</p>
    </div>
    <button type="button" class="primary">Start the camera</button>
  </div>
  <div class="said">
    <p class="fault" role="alert"></p>
    <p class="label" role="status"></p>
    <p class="score"></p>
    <p class="note"></p>
    <p class="lag"></p>
    <p class="means"></p>
    <p class="counts"></p>
  </div>
</div>
"""

CSS = (
    CAMERA_CSS
    + """
.camera { display: grid; grid-template-columns: minmax(0, 22rem) minmax(0, 1fr); gap: 1.5rem; align-items: start; }
.seen { display: grid; gap: 0.6rem; }
.off { position: absolute; inset: 0; display: grid; place-items: center; }
.camera.on .off { display: none; }
.label {
  font-size: clamp(2.4rem, 6vw, 6rem); line-height: 1.05; font-weight: 700; min-height: 1.05em; overflow-wrap: anywhere;
}
.label::first-letter { text-transform: uppercase; }
.score { font-size: clamp(1.6rem, 3.5vw, 3.5rem); line-height: 1.2; min-height: 1.2em; font-variant-numeric: tabular-nums; }
.note { font-size: 1.1rem; min-height: 1.4em; }
.lag, .means, .counts { font-size: 0.875rem; }
.said { display: grid; gap: 0.3rem; }
.camera.presented { grid-template-columns: minmax(0, 14rem) minmax(0, 1fr); }
.presented .label { font-size: min(max(6rem, 8vw), 15vw); }
.presented .score { font-size: min(max(4rem, 5vw), 12vw); }
.presented .means { display: none; }
@media (max-width: 640px) {
  .camera, .camera.presented { grid-template-columns: minmax(0, 1fr); }
}
"""
)

# One picture is on its way at most: where the server is slow, those that would queue are left out.
JS = """
const cameras = new WeakMap()
const SIDE = 256  // pixels of a picture's shorter side: what the models known here are given at most
const QUALITY = 0.85
const REMEMBERED = 15  // answers whose lag is told
const PATIENCE = 15000  // ms without any answer
const UNSEEN = 30000  // ms that nobody looks at the page

const percent = (share) => `${(share * 100).toFixed(0)} %`

function make(root) {
  const [button, label, score, note, lag, means, counts, fault] = [
    'button', '.label', '.score', '.note', '.lag', '.means', '.counts', '.fault',
  ].map((selector) => root.querySelector(selector))
  const canvas = document.createElement('canvas')
  let data, timer, lags, newest, heard, seen, skipped, sending, run = 0

  const write = (node, text) => {
    if (node.textContent !== text) node.textContent = text  // set again, it would be said again
  }
  const clear = () => [label, score, note, lag, means, counts].forEach((node) => write(node, ''))

  const camera = new Camera(root, (why) => {
    clearInterval(timer)
    write(fault, why)
    button.textContent = camera.on ? 'Stop the camera (Esc)' : 'Start the camera'
    button.classList.toggle('primary', !camera.on)
    run += 1
    if (camera.on) begin()
    else {
      sending?.abort()
      clear()
      post('off', data.token, {}, null, { keepalive: true }).catch(() => {})
    }
  })

  const begin = () => {
    lags = []
    newest = null
    sending = null
    skipped = 0
    heard = seen = performance.now()
    write(note, 'Filling the first window: 0 %')
    timer = setInterval(() => take(run), data.interval_ms)
  }

  const draw = (said, ofRun) => {
    if (ofRun !== run) return
    if (said.newest_ms === undefined) {
      clear()
      newest = null
      write(note, said.filled < 1 ? `Filling the first window: ${percent(said.filled)}` : 'Classifying the first window')
      return
    }
    if (said.newest_ms === newest) return
    newest = said.newest_ms
    write(label, said.label)
    write(score, said.score === null ? '' : `${(said.score * 100).toFixed(1)} %`)
    write(note, said.score === null ? 'This is unlike what the checkpoint was trained on.' : '')
    lags = [...lags, now() - newest].slice(-REMEMBERED)
    const median = [...lags].sort((a, b) => a - b)[Math.floor(lags.length / 2)] / 1000
    write(lag, `${median.toFixed(2)} s from the newest picture to the answer on screen, the median of the last ${lags.length}.`)
    const step = (data.interval_ms / 1000).toFixed(2)
    write(means, `It includes sending and decoding the picture, waiting, the model, and up to ${step} s until the next picture `
      + 'asks for the answer; not what the camera itself takes.')
    write(counts, `${said.number + 1} windows answered, ${said.dropped} dropped since newer ones were there`
      + (skipped ? `; ${skipped} pictures left out while one was on its way.` : '.'))
  }

  const take = async (ofRun) => {
    const { video } = camera
    if (!root.isConnected) return camera.putOut()
    if (!document.hidden) seen = performance.now()
    else if (performance.now() - seen > UNSEEN) return camera.putOut('The camera went off, since this page was out of sight.')
    if (document.hidden || !video.videoWidth) return heard = performance.now()  // there is nothing to be asked
    if (performance.now() - heard > PATIENCE) return camera.putOut('The server does not answer. Start the camera again.')
    if (sending) return skipped += 1
    sending = new AbortController()
    const { signal } = sending
    try {
      const scale = Math.min(1, SIDE / Math.min(video.videoWidth, video.videoHeight))
      canvas.width = Math.round(video.videoWidth * scale)
      canvas.height = Math.round(video.videoHeight * scale)
      canvas.getContext('2d').drawImage(video, 0, 0, canvas.width, canvas.height)
      const taken = now()
      const jpeg = await new Promise((made) => canvas.toBlob(made, 'image/jpeg', QUALITY))
      if (ofRun !== run) return
      const headers = { 'Content-Type': 'image/jpeg', 'X-Camera-Taken': taken }
      const answer = await post('picture', data.token, headers, jpeg, { signal })
      const said = await answer.json()
      if (ofRun !== run) return
      heard = performance.now()
      if (answer.status === 429) return
      if (said.error) return camera.putOut(said.error)
      requestAnimationFrame(() => draw(said, ofRun))
    } catch {
      // It has been put out, or the network has: that is told once it lasts.
    } finally {
      if (ofRun === run) sending = null
    }
  }

  button.onclick = () => {
    if (camera.on) return camera.putOut()
    write(fault, '')
    camera.start().catch((error) => write(fault, error.message))
  }
  return {
    heed(given) {
      const slower = data && data.interval_ms !== given.interval_ms
      data = given
      root.classList.toggle('presented', data.presented)
      if (slower && camera.on) {
        clearInterval(timer)
        timer = setInterval(() => take(run), data.interval_ms)
      }
    },
    putOut: () => camera.putOut(),
  }
}

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector('.camera')
  if (!cameras.has(root)) cameras.set(root, make(root))
  const camera = cameras.get(root)
  if (!overtaken(parentElement, data)) camera.heed(data)
  return camera.putOut
}
"""

_CAMERA = st.components.v2.component("live_camera", html=HTML, css=CSS, js=OVERTAKEN + CAMERA + JS)


def live_camera(token: str, interval_seconds: float, *, presented: bool, key: str = "live-camera") -> None:
    """Draw a camera that is off; once it is on, its pictures go to the route `camera/picture`.

    Args:
        token: the visitor's.
        interval_seconds: from one picture to the next.
        presented: whether a room is to read the answer.
        key: unique on the page.
    """
    data = {"token": token, "interval_ms": round(interval_seconds * 1e3, 3), "presented": presented}
    _CAMERA(key=key, data=stamped(key, data))
