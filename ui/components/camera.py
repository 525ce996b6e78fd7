"""What components with a camera share: asking for it, showing that it is on, putting it out, and sending to our own routes.

The camera is asked for on a click alone. It goes off on Escape, on leaving the page, when the component goes, when another one
on the page is started, and when it is lost.
"""

# Goes in front of a component's script. The window hears keys before the document does: while the camera is on or is being
# asked for, Escape puts it out and does nothing else.
CAMERA = """
const FAULTS = {
  NotAllowedError: 'The camera was refused. Allow it for this page, in the browser\\'s address bar, and start it again.',
  NotFoundError: 'There is no camera on this device. Connect one and start it again, or take a clip from a file.',
  NotReadableError: 'Another program has the camera, or it does not answer. Close that program and start it again.',
}
const AWAY = 'Browsers give a camera only to pages over https or on this machine itself. Open the page by such an address.'
const WANTED = { audio: false, video: { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } } }

const now = () => performance.timeOrigin + performance.now()
const inWords = (error) => FAULTS[error.name] ?? `The camera cannot be used (${error.name}). Start it again.`

// Relative to the page, which may lie below a base path that nobody here knows.
const post = (name, token, headers, body, more) => fetch(new URL(`camera/${name}`, location.href), {
  method: 'POST', headers: { 'X-Camera-Token': token, 'X-Camera-Taken': now(), ...headers }, body, ...more,
})

class Camera {
  #stream = null
  #turn = 0  // one that was asked for before is not wanted any longer
  #listeners = new AbortController()

  constructor(root, changed) {
    this.root = root
    this.video = root.querySelector('.eye')
    this.changed = changed
  }

  get on() {
    return this.#stream !== null
  }

  // Resolves to whether it is on; rejects with a sentence.
  async start() {
    this.putOut()
    if (!navigator.mediaDevices?.getUserMedia) throw new Error(AWAY)
    dispatchEvent(new Event('camera-starts'))  // to all others of this page
    const turn = this.#turn
    const { signal } = this.#listeners = new AbortController()
    addEventListener('camera-starts', () => this.putOut(), { signal })
    addEventListener('pagehide', () => this.putOut(), { signal })
    addEventListener('keydown', (event) => {
      if (event.key !== 'Escape') return
      event.preventDefault()
      event.stopImmediatePropagation()
      this.putOut()
    }, { capture: true, signal })
    let stream
    try {
      stream = await navigator.mediaDevices.getUserMedia(WANTED)
    } catch (error) {
      if (turn !== this.#turn) return false
      this.putOut()
      throw new Error(inWords(error))
    }
    if (turn !== this.#turn || !this.root.isConnected) {
      for (const track of stream.getTracks()) track.stop()
      return false
    }
    this.#stream = stream
    for (const track of stream.getTracks()) {
      track.addEventListener('ended', () => this.putOut('The camera has gone. Connect it and start it again.'), { signal })
    }
    this.video.srcObject = stream
    this.root.classList.add('on')
    this.changed('')
    await this.video.play().catch(() => {})
    return turn === this.#turn
  }

  // Args: why: a sentence, where it was not asked for.
  putOut(why = '') {
    this.#turn += 1
    this.#listeners.abort()
    const stream = this.#stream
    this.#stream = null
    if (!stream) return
    for (const track of stream.getTracks()) track.stop()
    this.video.srcObject = null
    this.root.classList.remove('on')
    this.changed(why)
  }

  get stream() {
    return this.#stream
  }
}
"""

CAMERA_CSS = """
[hidden] { display: none !important; }
.camera { font: 1rem/1.4 var(--st-font); color: var(--st-text-color); }
.camera p { margin: 0; }
.picture {
  position: relative; aspect-ratio: 4 / 3; overflow: hidden; border-radius: var(--st-base-radius);
  background: var(--st-secondary-background-color);
}
video { width: 100%; height: 100%; object-fit: contain; display: block; }
.eye { transform: scaleX(-1); }  /* as a mirror shows it; what is sent is as it is */
.light {
  position: absolute; top: 0.5rem; left: 0.5rem; padding: 0.1rem 0.6rem; border-radius: 1rem;
  font-size: 0.875rem; color: #fff; background: rgb(0 0 0 / 75%);
}
.light::before { content: '●'; margin-right: 0.4rem; color: #ff5a5a; }
.camera:not(.on) :is(.light, .eye) { display: none; }
button {
  font: 0.875rem/1.4 var(--st-font); padding: 0.45rem 0.9rem; cursor: pointer;
  color: inherit; background: var(--st-background-color);
  border: 1px solid var(--st-widget-border-color); border-radius: var(--st-button-radius);
}
button.primary {
  color: light-dark(#fff, #14111f); background: var(--st-primary-color); border-color: var(--st-primary-color);
}
button:hover { border-color: var(--st-primary-color); }
:is(button, input):focus-visible { outline: 2px solid var(--st-text-color); outline-offset: 2px; }
[role="alert"]:not(:empty) {
  padding: 0.6rem 0.9rem; border-radius: var(--st-base-radius);
  background: color-mix(in srgb, #d33 14%, var(--st-background-color));
}
"""
