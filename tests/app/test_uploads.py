"""Files of a visitor's own, as phones, cameras and recorders name them: taken, shown, answered."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.app.conftest import Server, answered
from tests.clips import cut_out, draw_number, write_clip
from tests.shorter import some
from vivit.names import VIDEO_SUFFIXES

pytestmark = pytest.mark.browser


def _webp(path: Path) -> Path:
    first, *others = [Image.fromarray(draw_number(number)) for number in range(40)]
    first.save(path, "WEBP", save_all=True, append_images=others, duration=50)
    return path


def _alpha(path: Path) -> Path:
    figures = [cut_out(draw_number(number)) for number in range(40)]
    options = {"auto-alt-ref": "0", "deadline": "realtime"}
    return write_clip(
        path, codec="libvpx-vp9", container="webm", pix_fmt="yuva420p", codec_options=options, pictures=figures
    )


# file name → how the file is written, what is said under the player, what is said of its frames
UPLOADS: dict[str, tuple[Callable[[Path], Path], str, str]] = {
    "IMG_0001.M4V": (
        lambda path: write_clip(path, 40, codec="mpeg4", container="mp4"),
        "This player takes no mpeg4 in mp4",
        "",
    ),
    "00001.MTS": (lambda path: write_clip(path, 40, container="mpegts"), "This player takes no h264 in mpegts", ""),
    "raspberry.h264": (
        lambda path: write_clip(path, 40, container="h264", rate=25),
        "This player takes no h264 in h264",
        "The file stores no times, so 25 frames per second are assumed.",
    ),
    "sticker.WebP": (_webp, "This player takes no webp in webp", ""),
    "figure.webm": (_alpha, "This player would show the clip as it is stored", ""),
}


@pytest.mark.full
def test_the_uploader_offers_what_can_be_read(page: Page, server: Server) -> None:
    page.goto(server.url)
    answered(page)
    accepted = page.locator("input[type=file]").get_attribute("accept") or ""
    assert set(VIDEO_SUFFIXES) <= set(re.split(r",\s*", accepted))


@pytest.mark.parametrize("name", some(UPLOADS, "00001.MTS"))
def test_an_upload_is_answered_and_plays(page: Page, server: Server, tmp_path: Path, name: str) -> None:
    write, under_player, of_frames = UPLOADS[name]
    page.goto(server.url)
    answered(page)
    content = write(tmp_path / "clip").read_bytes()
    page.locator("input[type=file]").set_input_files({"name": name, "mimeType": "", "buffer": content})
    expect(page.get_by_text(f"Yours: {name}")).to_be_visible()
    expect(page.get_by_text(under_player)).to_be_visible()
    answered(page)
    if of_frames:
        expect(page.get_by_text(of_frames)).to_be_attached()
    page.wait_for_function("[...document.querySelectorAll('video')].some(v => v.readyState >= 2 && v.videoWidth)")


def test_a_refusal_names_the_file_and_what_would_be_read(page: Page, server: Server) -> None:
    page.goto(server.url)
    answered(page)
    content = b"%PDF-1.7\n" + np.random.default_rng(0).bytes(2000)
    page.locator("input[type=file]").set_input_files({"name": "slides.mp4", "mimeType": "", "buffer": content})
    expect(page.get_by_text("This clip is a PDF document; give a whole MP4, MOV, MKV, WebM")).to_be_visible()
