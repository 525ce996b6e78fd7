"""A camera that records a few seconds: once, which stay in the browser until their visitor keeps them, or again and again."""

import streamlit as st

from ui.components.camera import CAMERA, CAMERA_CSS
from ui.components.stamp import OVERTAKEN, stamped

LEAST, USUAL, MOST = 2, 6, 10  # seconds

HTML = """
<div class="camera">
  <div class="picture" hidden>
    <video class="eye" muted playsinline aria-label="What the camera sees"></video>
    <video class="recording" muted playsinline loop aria-label="What was recorded" hidden></video>
    <p class="light">Camera on</p>
    <p class="count" aria-hidden="true"></p>
  </div>
  <div class="choices">
    <label class="length"><span>Length</span> <input type="range" step="1"> <output></output></label>
    <button type="button" class="record primary"></button>
    <button type="button" class="stop" hidden>Stop (Esc)</button>
    <button type="button" class="keep primary" hidden>Keep this clip</button>
    <button type="button" class="again" hidden>Again</button>
    <p class="state" role="status"></p>
    <p class="fault" role="alert"></p>
  </div>
</div>
"""

CSS = (
    CAMERA_CSS
    + """
.camera { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; }
.picture { flex: none; width: min(100%, 300px); }
.recording { position: absolute; inset: 0; }
.count {
  position: absolute; inset: 0; display: grid; place-items: center; font-size: 5rem; font-weight: 700; color: #fff;
  text-shadow: 0 0 0.5rem #000, 0 0 0.2rem #000;
}
.choices { flex: 1 1 16rem; display: flex; flex-wrap: wrap; gap: 0.6rem; align-items: center; }
.length { display: flex; align-items: center; gap: 0.5rem; }
.length input { accent-color: var(--st-primary-color); width: 8rem; margin: 0; }
.choices p { flex: 1 1 100%; font-size: 0.875rem; }
"""
)

# A recorder's later pieces are no files of their own, so there is one piece: the whole.
JS = """
const cameras = new WeakMap()
const TYPES = ['video/webm;codecs=vp9', 'video/webm;codecs=vp8', 'video/webm', 'video/mp4']
const COUNT_DOWN = 3  // seconds to step back
const TRIES = 3  // to send a recording that comes too soon after another
const PAUSE = 2500  // ms between them
const NO_TYPE = 'This browser names no type of video that it records. Use another one, or take a clip from a file.'
const BROKEN_OFF = 'The recording broke off. Record again.'
const LOST = 'The server does not answer, so the recording is not kept. Try again.'
const ANOTHER = 'Recording has stopped, since another class is chosen now.'

function make(root) {
  const [picture, recording, light, count, length, output, record, stop, keep, again, state, fault] = [
    '.picture', '.recording', '.light', '.count', 'input', 'output', '.record', '.stop', '.keep', '.again', '.state', '.fault',
  ].map((selector) => root.querySelector(selector))
  const type = globalThis.MediaRecorder && TYPES.find((name) => MediaRecorder.isTypeSupported(name))
  let data, say, recorder, timer, clip = null, kept = 0, last = '', run = 0

  const write = (node, text) => {
    if (node.textContent !== text) node.textContent = text
  }
  const forget = () => {
    if (clip) URL.revokeObjectURL(recording.src)
    recording.removeAttribute('src')
    clip = null
  }
  const idle = () => data.class
    ? 'Again and again, until you stop it. Each recording is sent and kept as soon as it is over.'
    : 'Nothing leaves this browser before you keep it.'
  const show = (told = idle()) => {
    const focused = root.getRootNode().activeElement
    picture.hidden = !camera.on && !clip
    recording.hidden = !clip
    length.parentElement.hidden = record.hidden = camera.on || Boolean(clip)
    stop.hidden = !camera.on
    keep.hidden = again.hidden = !clip
    if (focused?.hidden) [stop, keep, record].find((button) => !button.hidden).focus({ preventScroll: true })
    write(output, `${length.value} s`)
    write(record, `Record ${length.value} s${data.class ? ', again and again' : ''}`)
    write(state, told)
  }

  const camera = new Camera(root, (why) => {
    clearInterval(timer)
    write(count, '')
    write(light, 'Camera on')
    if (why) write(fault, why)
    if (!camera.on && recorder) {
      recorder.ondataavailable = null  // it was broken off
      recorder = null
    }
    show(camera.on ? 'Get ready.' : last || idle())
  })

  const pause = (milliseconds) => new Promise((over) => setTimeout(over, milliseconds))
  const each = (seconds, heed) => new Promise((over) => {
    let left = seconds
    heed(left)
    timer = setInterval(() => {
      left -= 1
      if (left > 0) return heed(left)
      clearInterval(timer)
      over()
    }, 1000)
  })

  const begin = async () => {
    forget()
    write(fault, '')
    if (!type) return write(fault, NO_TYPE)
    last = ''
    run += 1
    try {
      if (await camera.start()) await take(Number(length.value), run, data.class)
    } catch (error) {
      write(fault, error.message)
    }
  }

  // Args: into: the id of a class, '' for none.
  const take = async (seconds, ofRun, into) => {
    write(state, last ? `${last} Get ready.` : 'Get ready.')
    await each(COUNT_DOWN, (left) => write(count, left))
    write(count, '')
    write(state, `Recording ${seconds} s.`)
    let own
    try {
      own = recorder = new MediaRecorder(camera.stream, { mimeType: type })
      own.start()
    } catch {
      return camera.putOut(BROKEN_OFF)
    }
    own.ondataavailable = async ({ data: whole }) => {
      recorder = null
      const recorded = new Blob([whole], { type })
      write(light, 'Camera on')
      if (into) {
        const why = await send(recorded, into)
        if (ofRun !== run) return  // it was stopped, and another is under way
        if (why) {
          camera.putOut()
          write(fault, why)
        } else if (camera.on) take(seconds, ofRun, into)
        else show(last)
        return
      }
      clip = recorded
      recording.src = URL.createObjectURL(clip)
      camera.putOut()
      show(`${seconds} s are recorded. The camera is off.`)
      recording.play().catch(() => {})
    }
    own.onerror = () => camera.putOut(BROKEN_OFF)
    await each(seconds, (left) => write(light, `Recording: ${left} s left`))
    own.stop()
  }

  // Args: into: as above. Resolves to why it is not kept, '' if it is.
  const send = async (whole, into) => {
    const [ofRun, name] = [run, data.name]
    const headers = { 'Content-Type': type.split(';')[0], ...(into ? { 'X-Camera-Class': into } : {}) }
    try {
      let answer
      for (let left = TRIES; left && (!answer || answer.status === 429); left -= 1) {
        if (answer) await pause(PAUSE)
        answer = await post('recording', data.token, headers, whole)
      }
      const said = await answer.json()
      if (!answer.ok || said.error) throw new Error(said.error)
      kept += 1
      if (into && ofRun === run) last = `Kept in '${name}', ${said.clips} clip${said.clips === 1 ? '' : 's'}.`
      say('kept', kept)
      return ''
    } catch (error) {
      return error instanceof TypeError || error instanceof SyntaxError ? LOST : error.message
    }
  }

  const keepIt = async () => {
    keep.disabled = again.disabled = true
    write(fault, '')
    write(state, 'Keeping it')
    const why = await send(clip, '')
    if (why) {
      write(fault, why)
      write(state, '')
    } else {
      forget()
      show('Kept: it is your clip now.')
    }
    keep.disabled = again.disabled = false
  }

  length.oninput = () => show(state.textContent)
  record.onclick = again.onclick = begin
  stop.onclick = () => camera.putOut()
  keep.onclick = keepIt
  return {
    heed(given, setTriggerValue) {
      if (!data) Object.assign(length, { min: given.least, max: given.most, value: given.usual })
      const another = data && data.class !== given.class
      data = given
      say = setTriggerValue
      if (another) {  // a recording is of the class that was seen when it was begun
        run += 1
        last = camera.on ? ANOTHER : ''
        camera.putOut()
        write(state, last)
      }
      show(state.textContent || idle())
    },
    leave() {
      camera.putOut()
      forget()
    },
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector('.camera')
  if (!cameras.has(root)) cameras.set(root, make(root))
  const camera = cameras.get(root)
  if (!overtaken(parentElement, data)) camera.heed(data, setTriggerValue)
  return camera.leave
}
"""

_RECORDER = st.components.v2.component("camera_recorder", html=HTML, css=CSS, js=OVERTAKEN + CAMERA + JS)


def camera_recorder(
    token: str, *, class_id: str = "", class_name: str = "", usual: int = USUAL, key: str = "camera-recorder"
) -> None:
    """Draw a camera that records; what is kept goes to the route `camera/recording`, and the page runs again.

    Args:
        token: the visitor's.
        class_id: of the class that recordings are examples of: one follows the other until it is stopped, and each is kept
            as soon as it is over; '' for one recording, which the visitor keeps or not. With another class it stops.
        class_name: what that class is called, a stranger's text.
        usual: seconds that a recording takes unless the visitor says otherwise.
        key: unique on the page.
    """
    data = {"token": token, "least": LEAST, "usual": usual, "most": MOST, "class": class_id, "name": class_name}
    _RECORDER(key=key, data=stamped(key, data), on_kept_change=_heard)


def _heard() -> None:
    """What was kept is taken up by whoever asks for the visitor's own clip, or for the class's."""
