"""The routes that take clips of a class and send a taught checkpoint, by HTTP alone, with this process's own server."""

import asyncio
import io
import zipfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette
from streamlit.web.server.starlette.starlette_app_utils import generate_xsrf_token_string
from streamlit.web.server.starlette.starlette_server_config import XSRF_COOKIE_NAME

from engine.teachings import TeachAsked
from tests.app.conftest import apart
from tests.clips import write_clip
from ui import server
from ui.camera_routes import CAMERA_ROUTES
from ui.lesson_routes import LESSON_ROUTES
from ui.visit import browser_of
from vivit.checkpoint import open_checkpoint

COOKIES = {XSRF_COOKIE_NAME: generate_xsrf_token_string()}
ME = f"1-{browser_of(COOKIES)}"
RELOAD = "This page is no longer known here; reload it."

pytestmark = pytest.mark.usefixtures("workers")


def run(visit: Callable[[httpx2.AsyncClient], Awaitable[None]]) -> None:
    """Make a visit to the routes, with the visitor's own cookies."""

    async def come() -> None:
        app = Starlette(routes=[*CAMERA_ROUTES, *LESSON_ROUTES])
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app), base_url="http://here", cookies=COOKIES
        ) as http:
            await visit(http)

    apart(lambda: asyncio.run(come()))


async def record(http: httpx2.AsyncClient, content: bytes, class_id: str) -> httpx2.Response:
    token = server.get_server().cameras.token(ME)
    headers = {"X-Camera-Token": token, "X-Camera-Class": class_id, "Content-Type": "video/webm"}
    while (answer := await http.post("/camera/recording", content=content, headers=headers)).status_code == 429:
        await asyncio.sleep(0.1)
    return answer


@pytest.mark.full
def test_recordings_become_clips_of_a_class_and_what_they_teach_is_sent_to_their_visitor_alone(tmp_path: Path) -> None:
    lessons, cameras = server.get_server().lessons, server.get_server().cameras
    clips = [
        write_clip(tmp_path / f"{k}.webm", 20 + k, codec="libvpx", container="webm").read_bytes() for k in range(3)
    ]
    here, there = (lessons.add_class(ME, name).id for name in ("here", "there"))

    async def visit(http: httpx2.AsyncClient) -> None:
        path = f"/teach/checkpoint.zip?token={cameras.token(ME)}"
        answer = await http.get(path)
        assert answer.status_code == 404 and "no checkpoint yet" in answer.text
        for content, class_id, count in ((clips[0], here, 1), (clips[1], here, 2), (clips[2], there, 1)):
            assert (await record(http, content, class_id)).json() == {"kept": True, "clips": count}
        answer = await record(http, clips[0], there)
        assert answer.status_code == 409 and "already, in the class 'here'" in answer.json()["error"]
        answer = await record(http, clips[0] + b"\0", "no class")
        assert answer.status_code == 409 and "no longer there" in answer.json()["error"]
        one, other = lessons.classes(ME)
        assert [clip.name for clip in one.examples + other.examples] == ["camera 1", "camera 2", "camera 3"]
        assert [Path(clip.path).read_bytes() for clip in one.examples + other.examples] == clips
        assert not cameras.take_recording(ME), "it is no clip to classify"

        running = lessons.teach(ME, TeachAsked("vivit-mannequin"))
        assert running.wait(120) and running.state == "done", running.error
        answer = await http.get(path)
        assert answer.status_code == 200 and answer.headers["content-type"] == "application/zip"
        assert answer.headers["content-disposition"] == 'attachment; filename="vivit-mannequin-taught.zip"'
        assert answer.headers["cache-control"] == "no-store"
        zipfile.ZipFile(io.BytesIO(answer.content)).extractall(tmp_path)
        assert [*open_checkpoint(tmp_path / "vivit-mannequin-taught").labels.values()] == ["here", "there"]
        for token in ("", "made up"):
            refused(await http.get(f"/teach/checkpoint.zip?token={token}"))
        http.cookies.clear()
        refused(await http.get(path))  # with the page's token, from another browser
        http.cookies.set(XSRF_COOKIE_NAME, generate_xsrf_token_string())
        refused(await http.get(path))

    run(visit)
    lessons.drop(ME)


def refused(answer: httpx2.Response) -> None:
    assert answer.status_code == 403 and answer.text == RELOAD
