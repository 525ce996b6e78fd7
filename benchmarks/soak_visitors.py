"""What the visitors of the soak test do, and how they judge what they see."""

import asyncio
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
from PIL import Image

from tests.clips import write_clip
from tests.streamlit_client import PATIENCE, Browser, Fault, Tab
from vivit.hub import ASSETS
from vivit.video import decode, probe

ATTENTION, PRECISION = "Attention backend", "Precision"
CHOICES = {ATTENTION: ["eager", "sdpa", "sdpa-math", "sdpa-flash"], PRECISION: ["float32", "float16-weights"]}
DEFAULTS = {ATTENTION: "sdpa", PRECISION: "float32"}
STAYING = 0.85  # how likely a visitor does something more
INVENTED = (
    "clip=no_such_clip&attention=psychic&precision=float99&sampling=backwards&top_k=1000&stride=x&checkpoint=mine"
)
COMPARISON_PATIENCE = 240.0  # s for a verdict while seven others ask; it took a minute and more
SEEN_LIVE = "hula hooping"  # what is held before a camera: a bundled clip that is longer than a window
CAMERA_RATE = 25.0  # its pictures a second
CAMERA_HASTE = 4.0  # times as fast as a camera is: its pictures come by its own clock


@dataclass
class Files:
    """What visitors upload.

    Args:
        good: name → content and number of frames.
        bad: name → content.
        camera: what their cameras see, `CAMERA_RATE` JPEGs a second.
    """

    good: dict[str, tuple[bytes, int]]
    bad: dict[str, bytes]
    camera: list[bytes]


def make_files(seed: int) -> Files:
    """Small clips that browsers play and that they do not, and files that are no clips at all."""
    formats: dict[str, tuple[int, dict[str, Any]]] = {
        "mine.mp4": (40, {}),
        "mine.mkv": (36, {}),
        "mine.gif": (20, {"codec": "gif", "pix_fmt": "rgb8"}),
    }
    good: dict[str, tuple[bytes, int]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (frames, options) in formats.items():
            good[name] = write_clip(Path(folder, name), frames, **options).read_bytes(), frames
    whole = good["mine.mp4"][0]
    bad = {
        "notes.mp4": b"these are notes, not pictures\n" * 20,
        "empty.webm": b"",
        "cut.mp4": whole[: len(whole) // 2],
        "script.mp4": b"ffconcat version 1.0\nfile /etc/passwd\n",
        "playlist.mov": b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n#EXT-X-ENDLIST\n",
        "noise.avi": random.Random(seed).randbytes(20_000),
    }
    return Files(good, bad, _camera())


def _camera() -> list[bytes]:
    info = probe(Path(ASSETS, "clips", f"{SEEN_LIVE.replace(' ', '_')}.mp4"))
    pictures = []
    for frame in decode(info, range(info.num_frames)):
        file = BytesIO()
        Image.fromarray(frame.image).save(file, "JPEG", quality=85)
        pictures.append(file.getvalue())
    return pictures


@dataclass
class Tally:
    """What all the visitors did and saw."""

    visits: int = 0
    actions: Counter[str] = field(default_factory=Counter)
    answers: int = 0
    dropped: int = 0  # bad files
    sentences: Counter[str] = field(default_factory=Counter)  # what was said of bad files
    cancels: Counter[str] = field(default_factory=Counter)
    shown: Counter[str] = field(
        default_factory=Counter
    )  # labels of what a camera saw, clips of it kept, whole timelines
    waits: list[float] = field(default_factory=list)  # seconds from asking to the answer
    closed: list[float] = field(default_factory=list)  # when each tab was closed, by time.monotonic()
    faults: list[str] = field(default_factory=list)


class Visitor:
    """One person at one browser, who comes and goes until told to stop.

    Args:
        number: which; it and the seed decide what they do.
        url: the server's address.
        seed: of their choices.
        files: what they upload.
        tally: where they write down what happened.
    """

    def __init__(self, number: int, url: str, seed: int, files: Files, tally: Tally) -> None:
        self._number, self._url, self._files, self._tally = number, url, files, tally
        self._random = random.Random(f"{seed} {number}")
        self._clips: dict[str, str] = {
            clip["label"]: clip["file"] for clip in json.loads(Path(ASSETS, "clips", "clips.json").read_text())
        }
        self._doing = ""

    async def come_and_go(self) -> None:
        """One visit after the other, until cancelled; a visit that goes wrong is written down, and the next begins."""
        acts: dict[Callable[[], Awaitable[bool]], int] = {
            self._upload_a_bad_file: 4,
            self._switch: 5,
            self._cancel: 3,
            self._upload: 3,
            self._leave_at_work: 2,
            self._show_a_camera: 2,
            self._compare: 1,
            self._look_at_a_film: 2,
            self._pick_a_clip: 4,
        }
        # Each visitor has an act of their own to begin with, and every second one no patience, so that a short soak on a slow
        # machine sees something of everything.
        act, patient = list(acts)[self._number % len(acts)], self._number % 2 == 0
        while True:
            async with Browser(self._url) as browser:
                self._tally.visits += 1
                self._http = browser.http
                self._tab: Tab | None = None
                try:
                    await self._arrive(browser, patient)
                    staying = True
                    while staying:
                        self._note(act.__name__.strip("_").replace("_", " "))
                        staying = await act() and self._random.random() < STAYING
                        act = self._random.choices(list(acts), list(acts.values()))[0]
                except Exception as error:
                    what = str(error) if isinstance(error, Fault) else repr(error)
                    self._tally.faults.append(f"visitor {self._number}, {self._doing}: {what}")
                finally:
                    if self._tab:
                        await self._tab.close(abruptly=self._random.random() < 0.3)
                        self._tally.closed.append(time.monotonic())
            patient = self._random.random() < 0.5

    @property
    def tab(self) -> Tab:
        """The tab that is open."""
        assert self._tab is not None
        return self._tab

    def _note(self, action: str) -> None:
        self._doing = action
        self._tally.actions[action] += 1

    # What they do. Every act of `come_and_go` returns whether the visitor stays.

    async def _arrive(self, browser: Browser, patient: bool) -> None:
        """Open the page, by its plain address, a shared link, or one with invented values; wait for the answer, if patient."""
        self._chosen, self._clip = dict(DEFAULTS), next(iter(self._clips.values()))
        way = self._random.choice(["plainly", "by a shared link", "by an invented link"])
        self._note(f"arrive {way}")
        query = ""
        if way == "by a shared link":
            label, self._clip = self._random.choice(list(self._clips.items()))
            self._chosen[ATTENTION] = self._random.choice(CHOICES[ATTENTION])
            query = urlencode({"clip": label, "attention": self._chosen[ATTENTION]})
        elif way == "by an invented link":
            query = INVENTED
        self._bundled = self._clip
        begin = time.monotonic()
        self._tab = await browser.open(query)
        if patient:
            await self._answer(begin)
        if query == INVENTED and not any("no_such_clip" in w for w in self.tab.alerts("WARNING")):
            raise Fault(f"an invented clip was passed over in silence: {self.tab.summary()}")

    async def _pick_a_clip(self) -> bool:
        label, self._clip = self._random.choice([pair for pair in self._clips.items() if pair[1] != self._clip])
        self._bundled = self._clip
        await self.tab.pick(label)
        await self._answer()
        return True

    async def _switch(self) -> bool:
        await self._choose_another()
        await self._answer()
        return True

    async def _upload(self) -> bool:
        name = self._random.choice(list(self._files.good))
        content, frames = self._files.good[name]
        begin = time.monotonic()
        await self.tab.upload(name, content)
        self._clip = name
        await self.tab.until(lambda: self.tab.says(f"of {frames} frames over"), f"the frames of {name}")
        await self._answer(begin)
        if self._random.random() < 0.5:
            await self._delete_it()
        return True

    async def _upload_a_bad_file(self) -> bool:
        name = self._random.choice(list(self._files.bad))
        self._tally.dropped += 1
        await self.tab.upload(name, self._files.bad[name])
        said = await self.tab.until(lambda: self.tab.alerts("ERROR"), f"a word on {name}")
        if len(said) != 1 or not said[0].endswith(".") or "inside the app" in said[0]:
            raise Fault(f"of {name} the page says {said}")
        self._tally.sentences[said[0]] += 1
        await self._delete_it()
        return True

    async def _cancel(self) -> bool:
        """Ask for something and cancel it, at once or when it runs, unless the answer comes first; then ask again."""
        await self._choose_another()
        at_once = self._random.random() < 0.5
        await self._see(lambda: self._answered() or self._at_work(at_once), "a job to cancel")
        if self.tab.button("Cancel"):
            waiting = not self._at_work(False)
            await self.tab.click("Cancel")
            if await self.tab.until(lambda: self.tab.button("Try again") or self._answered(), "the cancel") is not True:
                if not any(text.endswith("cancelled.") for text in self.tab.alerts("INFO")):
                    raise Fault(f"cancelled, but the page shows {self.tab.summary()}")
                self._tally.cancels["waiting" if waiting else "running"] += 1
                await self.tab.click("Try again")
        await self._answer()
        return True

    async def _leave_at_work(self) -> bool:
        """Ask for something and close the tab in the middle of it."""
        await self._choose_another()
        await asyncio.sleep(self._random.uniform(0, 1.5))
        return False

    async def _compare(self) -> bool:
        """Side by side on this clip, unless that has been done; half of the time they stop it."""
        await self._see(self._answered, "an answer")
        if not self.tab.button("Compare.*|Measure again"):
            return True
        begin = time.monotonic()
        await self.tab.click("Compare.*|Measure again")
        if self._random.random() < 0.5:
            await self._see(lambda: self.tab.button("Stop"), "the button 'Stop'")
            await self.tab.click("Stop")
        # Between its rounds go all the others' jobs, and the page says how long it takes to the next look.
        verdict = "a verdict", begin, COMPARISON_PATIENCE
        await self._expect(lambda: self.tab.button("Measure again") and not self.tab.button("Stop"), *verdict)
        return True

    async def _show_a_camera(self) -> bool:
        """Hold a clip before a camera until it is named, keep it perhaps, and leave, the camera out or not."""
        await self.tab.turn_to("live")
        live = await self.tab.until(lambda: self.tab.component("live_camera"), "a camera")
        assert live
        if (refused := await self._post("picture", "made up", 0.0, self._files.camera[0])).status_code != 403:
            raise Fault(f"a picture with a token that nobody has: {refused.status_code}")
        taken = await self._be_named(live["token"], live["interval_ms"])
        self._tally.shown["camera"] += 1
        if self._random.random() < 0.5:
            await self._keep_the_clip()
        elif self._random.random() < 0.5 and (await self._post("off", live["token"], taken)).status_code != 200:
            raise Fault("a camera could not be put out")
        return False

    async def _be_named(self, token: str, step: float) -> float:
        """Send a camera's pictures until the page names the clip before it.

        Args:
            token: the camera's.
            step: between two pictures, ms.

        Returns:
            when the next picture would have been taken, ms of the camera's clock.
        """
        begin, taken, said = time.monotonic(), 0.0, dict[str, Any]()
        while said.get("label") != SEEN_LIVE:
            if time.monotonic() > begin + PATIENCE:
                raise Fault(f"waited {PATIENCE:g} s for '{SEEN_LIVE}' before a camera; it was told {said}")
            number = round(taken * CAMERA_RATE / 1e3) % len(self._files.camera)
            answer = await self._post("picture", token, taken, self._files.camera[number])
            if answer.status_code == 200:
                said, taken = answer.json(), taken + step
            if answer.status_code not in (200, 429) or said.get("error"):
                raise Fault(f"a camera's picture: {answer.status_code} {answer.text[:200]}")
            await asyncio.sleep(step / 1e3 / CAMERA_HASTE)
        return taken

    async def _keep_the_clip(self) -> None:
        await self.tab.until(lambda: self.tab.button("Keep this clip"), "the button 'Keep this clip'")
        await self.tab.click("Keep this clip")
        # Meanwhile no more pictures come, and what is silent for long is put out: what was asked for is kept all the same.
        await self.tab.until(lambda: self.tab.says("Kept: it is your clip now"), "the clip")
        self._tally.shown["kept"] += 1

    async def _look_at_a_film(self) -> bool:
        """Have the bundled film looked through, to its end or not."""
        self.tab.query = urlencode({"every": self._random.choice(["1", "2"])})
        await self.tab.turn_to("timeline")
        await self.tab.until(
            lambda: self.tab.button("Begin|Cancel") or self._looked_through(), "a timeline", COMPARISON_PATIENCE
        )
        if self.tab.button("Begin"):
            await self.tab.click("Begin")
        how = self._random.choice(["whole", "whole", "cancelled", "left"])
        if how == "left":
            await asyncio.sleep(self._random.uniform(0, 3))
            return False
        if how == "cancelled" and await self._cancel_the_timeline():
            return False
        seen = await self.tab.until(
            lambda: self.tab.alerts("ERROR") or self._looked_through(), "the timeline", COMPARISON_PATIENCE
        )
        if seen is not True:
            raise Fault(f"in the place of a timeline: {seen}")
        self._tally.shown["timeline"] += 1
        return False

    async def _cancel_the_timeline(self) -> bool:
        """Cancel it, unless it comes to its end before; returns whether it was cancelled."""
        await self.tab.until(lambda: self.tab.button("Cancel") or self._looked_through(), "the button 'Cancel'")
        if not self.tab.button("Cancel"):
            return False
        await self.tab.click("Cancel")
        await self.tab.until(lambda: self.tab.button("Begin again") or self._looked_through(), "the cancel")
        self._tally.cancels["timeline"] += 1
        return True

    async def _post(self, place: str, token: str, taken_ms: float, content: bytes = b"") -> httpx2.Response:
        """Send what a page's camera would."""
        headers = {"X-Camera-Token": token, "X-Camera-Taken": str(taken_ms), "Content-Type": "image/jpeg"}
        return await self._http.post(f"/camera/{place}", content=content, headers=headers)

    async def _choose_another(self) -> None:
        control = self._random.choice(list(CHOICES))
        here = [name for name in CHOICES[control] if name in self.tab.options(control)]
        self._chosen[control] = self._random.choice([name for name in here if name != self._chosen[control]])
        await self.tab.choose(control, self._chosen[control])

    async def _delete_it(self) -> None:
        """Delete the upload; the bundled clip that was chosen before it is back."""
        await self.tab.click("Delete it")
        self._clip = self._bundled
        await self._answer()

    # What they see.

    def _answered(self) -> bool:
        """Whether the page answers what was asked last: this clip, this backend, this precision, and nothing under way."""
        settings = (f"--attention {self._chosen[ATTENTION]} --precision {self._chosen[PRECISION]} ", self._clip)
        reproduced = any(all(s in code.code_text for s in settings) for code in self.tab.elements("code"))
        return reproduced and self.tab.says("Latency:") and not self.tab.button("Cancel")

    def _looked_through(self) -> bool:
        """Whether the page shows a timeline that has come to its end."""
        return self.tab.says("pictures, each decoded once") and not self.tab.button("Begin again")

    def _at_work(self, or_queued: bool) -> bool:
        """Whether a job runs. Args: or_queued: whether one that waits will do too."""
        queued = any("in the queue" in progress.text for progress in self.tab.elements("progress"))
        return self.tab.button("Cancel") is not None and (or_queued or not queued)

    async def _answer(self, begin: float | None = None) -> None:
        """Wait for the answer, look at the player, count. Args: begin: when it was asked for, if not just now."""
        await self._expect(self._answered, "the answer", begin or time.monotonic())
        if len(list(self.tab.elements("metric"))) != 3:
            raise Fault(f"an answer without its figures: {self.tab.summary()}")
        await self.tab.play()

    async def _expect(self, there: Callable[[], object], what: str, begin: float, patience: float = PATIENCE) -> None:
        """Wait for something that a run brings; count the answer and the wait."""
        seen = await self._see(lambda: self.tab.alerts("ERROR") or there(), what, patience)
        if seen is not True:
            raise Fault(f"in the place of {what}: {seen}")
        wait = time.monotonic() - begin
        if wait > patience:
            raise Fault(f"waited {wait:.0f} s for {what}")
        self._tally.answers += 1
        if patience == PATIENCE:
            self._tally.waits.append(wait)

    async def _see(self, there: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
        """Wait for something, and press 'Run' where the page asks for a word first."""
        seen = await self.tab.until(lambda: self.tab.button("Run") or there(), what, patience)
        if self.tab.button("Run"):
            await self.tab.click("Run")
            seen = await self.tab.until(there, what, patience)
        return seen
