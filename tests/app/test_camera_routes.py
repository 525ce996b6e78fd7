"""The routes of a camera's pictures and recordings, by HTTP alone: who is refused, and what is kept."""

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from PIL import Image

from engine.live import BURST, MOST_A_SECOND, MOST_BYTES
from engine.uploads import PREFIX
from tests.app.conftest import Server, apart, serving
from tests.clips import write_clip
from tests.streamlit_client import Browser
from ui.camera_routes import MOST_RECORDING_BYTES

RELOAD = "This page is no longer known here; reload it."


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    """A server, and the folder that all visitors' files are kept below."""
    folder = tmp_path_factory.mktemp("camera")
    (folder / "files").mkdir()
    with serving(
        folder / "log", TMPDIR=str(folder / "files"), VIVIT_RESULTS=str(folder / "results"), VIVIT_DEVICE="cpu"
    ) as server:
        yield server, folder / "files"


@pytest.fixture(scope="module")
def jpeg() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("clip") / "clip.webm"
    return write_clip(path, 20, codec="libvpx", container="webm").read_bytes()


class Visitor:
    """A visitor's page, and what its camera would send.

    Args:
        http: their browser.
        token: of the page.
    """

    def __init__(self, http: httpx2.AsyncClient, token: str) -> None:
        self.http, self.token = http, token

    async def post(self, place: str, content: bytes = b"", **headers: str | None) -> httpx2.Response:
        """Send as the page does. Args: headers: in place of the page's own, with _ for -; None leaves a header out."""
        usual: dict[str, Any] = {
            "X-Camera-Token": self.token,
            "X-Camera-Taken": "1000",
            "Content-Type": "video/webm" if place == "recording" else "image/jpeg",
        }
        usual |= {name.replace("_", "-"): value for name, value in headers.items()}
        kept = {name: value for name, value in usual.items() if value is not None}
        return await self.http.post(f"/camera/{place}", content=content, headers=kept)


@asynccontextmanager
async def on_the_page(server: Server, page: str, query: str = "") -> AsyncIterator[Visitor]:
    async with Browser(server.url) as browser:
        tab = await browser.open(query)
        try:
            if page:
                await tab.turn_to(page)
            token = await tab.until(lambda: token_in(tab.elements("bidi_component")), "a camera")
            yield Visitor(browser.http, token)
        finally:
            await tab.close()


def token_in(components: Iterator[Any]) -> str:
    for component in components:
        if "camera" in component.component_name:
            return str(json.loads(component.json)["token"])
    return ""


def run(
    own: tuple[Server, Path], visit: Callable[[Visitor], Awaitable[None]], page: str = "live", query: str = ""
) -> None:
    async def come() -> None:
        async with on_the_page(own[0], page, query) as visitor:
            await visit(visitor)

    apart(lambda: asyncio.run(come()))


def files(own: tuple[Server, Path]) -> list[Path]:
    """What is kept of all visitors."""
    return [path for folder in own[1].glob(f"{PREFIX}*") for path in folder.iterdir()]


async def nothing_was_taken(visitor: Visitor, jpeg: bytes) -> None:
    """The next picture, though taken after all that were sent before, is the first that the server takes."""
    answer = await visitor.post("picture", jpeg, X_Camera_Taken="9000")
    assert answer.status_code == 200
    assert answer.json() == {"dropped": 0, "filled": 0.0, "error": ""}


def refused(answer: httpx2.Response, status: int, sentence: str) -> None:
    assert answer.status_code == status, answer.text
    assert sentence in answer.json()["error"]


@pytest.mark.full
def test_a_picture_is_taken_and_tells_how_much_of_a_window_is_there(own: tuple[Server, Path], jpeg: bytes) -> None:
    async def visit(visitor: Visitor) -> None:
        assert (await visitor.post("picture", jpeg)).json()["filled"] == 0.0
        later = (await visitor.post("picture", jpeg, X_Camera_Taken="4250")).json()
        assert 0.4 < later["filled"] < 0.6  # of 6.5 s
        assert (await visitor.post("off", X_Camera_Taken="5000")).json() == {}
        refused(await visitor.post("picture", jpeg, X_Camera_Taken="4900"), 409, "The camera is off.")
        await nothing_was_taken(visitor, jpeg)

    run(own, visit)
    assert not files(own)


@pytest.mark.parametrize("token", [None, "", "made up"])
def test_without_the_pages_token_nothing_is_taken(
    own: tuple[Server, Path], jpeg: bytes, recording: bytes, token: str | None
) -> None:
    async def visit(visitor: Visitor) -> None:
        for place, content in (("picture", jpeg), ("recording", recording), ("off", b"")):
            refused(await visitor.post(place, content, X_Camera_Token=token), 403, RELOAD)
        await nothing_was_taken(visitor, jpeg)

    run(own, visit)
    assert not files(own)


def test_a_token_is_good_in_its_own_browser_alone(own: tuple[Server, Path], jpeg: bytes, recording: bytes) -> None:
    async def visit(visitor: Visitor) -> None:
        async with (
            on_the_page(own[0], "live") as other,
            httpx2.AsyncClient(base_url=own[0].url, trust_env=False) as bare,
        ):
            assert other.token != visitor.token
            for thief in (Visitor(other.http, visitor.token), Visitor(bare, visitor.token)):
                for place, content in (("picture", jpeg), ("recording", recording), ("off", b"")):
                    refused(await thief.post(place, content), 403, RELOAD)
            await nothing_was_taken(other, jpeg)
        await nothing_was_taken(visitor, jpeg)

    run(own, visit)
    assert not files(own)


def test_pictures_of_a_wrong_size_type_or_time_are_refused(own: tuple[Server, Path], jpeg: bytes) -> None:
    async def visit(visitor: Visitor) -> None:
        too_large = jpeg + bytes(MOST_BYTES)
        refused(await visitor.post("picture", too_large), 413, "At most 0.4 MB are taken.")
        refused(await visitor.post("picture", in_pieces(too_large)), 413, "At most 0.4 MB are taken.")  # type: ignore[arg-type]
        for kind in ("image/png", "text/plain", "multipart/form-data", None):
            refused(await visitor.post("picture", jpeg, Content_Type=kind), 415, "as JPEG")
        refused(await visitor.post("picture", b"\x89PNG\r\n\x1a\n"), 415, "as JPEG")
        refused(await visitor.post("picture", b""), 415, "as JPEG")
        for taken in (None, "", "soon", "nan", "-1", "inf", "1e99"):
            refused(await visitor.post("picture", jpeg, X_Camera_Taken=taken), 400, "in milliseconds")
        await nothing_was_taken(visitor, jpeg)

    run(own, visit)


async def in_pieces(content: bytes) -> AsyncIterator[bytes]:
    """A body whose length no header tells."""
    for begin in range(0, len(content), 50_000):
        yield content[begin : begin + 50_000]


def test_pictures_that_come_too_often_are_refused(own: tuple[Server, Path], jpeg: bytes) -> None:
    async def visit(visitor: Visitor) -> None:
        begin, statuses = time.monotonic(), [0]
        while 429 not in statuses:
            assert time.monotonic() - begin < 120
            # All of one time: no window of them is classified, which would take the server's time.
            answers = await asyncio.gather(*(visitor.post("picture", jpeg) for _ in range(50)))
            statuses += [answer.status_code for answer in answers]
        assert {*statuses} == {0, 200, 429}
        assert statuses.count(200) <= BURST + MOST_A_SECOND * (time.monotonic() - begin) + 1

    run(own, visit)


def test_pictures_are_taken_for_the_page_live_alone(own: tuple[Server, Path], jpeg: bytes) -> None:
    async def visit(visitor: Visitor) -> None:
        refused(await visitor.post("picture", jpeg), 409, "open the page 'Live'")

    run(own, visit, page="", query="source=Camera")


@pytest.mark.full
def test_recordings_of_a_wrong_size_or_type_are_refused_and_not_kept(
    own: tuple[Server, Path], recording: bytes
) -> None:
    async def visit(visitor: Visitor) -> None:
        for kind in ("image/jpeg", "text/html", "video/quicktime", None):
            refused(await visitor.post("recording", recording, Content_Type=kind), 415, "as WebM or MP4")
        for content, status, said in (
            (recording[:4] + bytes(MOST_RECORDING_BYTES), 413, "At most 60 MB are taken."),
            (b"", 400, "is empty"),
            (b"<html>", 415, "as WebM or MP4"),
        ):
            refused(await when_not_too_fast(visitor, content), status, said)
            assert not files(own)

    run(own, visit, page="", query="source=Camera")


async def when_not_too_fast(visitor: Visitor, content: bytes) -> httpx2.Response:
    while (answer := await visitor.post("recording", content)).status_code == 429:
        await asyncio.sleep(0.1)
    return answer


def test_a_recording_is_kept_and_the_next_not_at_once(own: tuple[Server, Path], recording: bytes) -> None:
    async def visit(visitor: Visitor) -> None:
        answers = await asyncio.gather(*(visitor.post("recording", recording) for _ in range(3)))
        assert sorted(answer.status_code for answer in answers) == [200, 429, 429]
        (kept,) = files(own)
        assert kept.read_bytes() == recording
        assert (await when_not_too_fast(visitor, recording + b"\0")).status_code == 200
        (kept,) = files(own)  # in the place of the former one
        assert kept.read_bytes() == recording + b"\0"

    run(own, visit, page="", query="source=Camera")
