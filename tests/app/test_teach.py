"""'Teach' in a real browser: from two names to a checkpoint that answers, with a fake camera and files."""

import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.app.aids import OVERHANG
from tests.app.axe import violations
from tests.app.camera.tab import a_page, heard
from tests.app.conftest import LONG_MS, SCHEMES, Server, choose_in, settled
from vivit.hub import ASSETS

pytestmark = pytest.mark.browser

CLIPS = Path(ASSETS) / "clips"
KICK, JUMP = "side *kick* 🦵", "سكوت"  # names are the visitor's own, in any letters
UPLOADED = ["jogging", "yawning"]
MODEL = "vivit-mannequin-fe"  # not the default


@pytest.fixture(params=SCHEMES)
def page(with_camera: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    with a_page(with_camera, "camera", color_scheme=request.param) as page:
        yield page


def name_class(page: Page, name: str) -> None:
    box = page.get_by_role("textbox", name="Name of a new class")
    box.fill(name)
    box.press("Enter")
    expect(page.get_by_role("radio", name=f"{name} · 0")).to_be_checked()
    settled(page)


def clips_of(page: Page, name: str) -> Locator:
    return page.get_by_role("radiogroup", name=f"Clips of {name}").get_by_role("radio")


def verdict(page: Page, clips: int) -> Locator:
    return page.get_by_role(
        "heading", name=re.compile(rf"^\d+ of {clips} clips named right by heads that had not seen them")
    )


def record_again_and_again(page: Page) -> int:
    """One recording of a class follows the other until they are stopped. Returns how many were kept, each by itself."""
    sent = heard(page, "recording")
    page.get_by_label("Length").fill("2")
    page.get_by_role("button", name="Record 2 s, again and again").click()
    stop = page.get_by_role("button", name="Stop (Esc)")
    expect(stop).to_be_focused()
    expect(clips_of(page, KICK).nth(1)).to_be_visible()
    page.keyboard.press("Escape")
    expect(stop).to_be_hidden()
    expect(page.get_by_role("button", name="Record 2 s, again and again")).to_be_focused()
    answers = [request.response() for request in sent]  # the last may still be on its way
    kept = sum(answer is not None and answer.ok for answer in answers)
    assert kept >= 2
    expect(page.get_by_text(f"Kept in '{KICK}', {kept} clips.")).to_be_visible()
    expect(clips_of(page, KICK)).to_have_count(kept)
    return kept


def upload_two_and_one_that_is_refused(page: Page, folder: Path) -> None:
    """The one that is there already, under another name, holds up no other."""
    page.get_by_role("radio", name="Upload", exact=True).first.click()
    (folder / "again.mp4").write_bytes((CLIPS / f"{UPLOADED[0]}.mp4").read_bytes())
    files = [*(CLIPS / f"{name}.mp4" for name in UPLOADED), folder / "again.mp4"]
    page.locator("input[type=file]").first.set_input_files(files)
    expect(page.get_by_role("alert").filter(has_text=re.compile("again.mp4: .* already"))).to_be_visible()
    expect(clips_of(page, JUMP)).to_have_count(2)
    expect(clips_of(page, JUMP).first.locator("img")).to_be_visible()


def try_a_clip_and_add_it(page: Page) -> None:
    """What was wrong becomes an example."""
    page.get_by_role("radio", name="Bundled", exact=True).last.click()
    page.get_by_role("radiogroup", name="Bundled clips").get_by_role("radio", name="side kick").click()
    expect(page.get_by_text("of 'side kick'")).to_be_visible()
    expect(page.get_by_role("heading", name=re.compile(re.escape(KICK), re.IGNORECASE))).to_be_visible()
    settled(page)
    choose_in(page, page.get_by_role("combobox", name="Was it wrong?"), KICK)
    page.get_by_role("button", name="Add it").click()
    expect(page.get_by_text("1 clip was added since: teach again.")).to_be_visible()
    settled(page)


def take_it_along(page: Page) -> None:
    with page.expect_download() as download:
        page.get_by_role("link", name=re.compile("^Download the checkpoint")).click()
    packed = ZipFile(BytesIO(download.value.path().read_bytes()))
    assert any(name.endswith("config.json") for name in packed.namelist())


def add_by_keys(page: Page) -> None:
    """Arrow keys add nothing. Enter adds to the class that was chosen, and looking at a clip chooses no other class."""
    page.get_by_role("radio", name="Bundled", exact=True).first.click()
    strips = page.get_by_role("radiogroup", name="Bundled clips")
    expect(strips).to_have_count(2)
    bundled = strips.first.get_by_role("radio")
    bundled.first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(bundled.nth(2)).to_be_focused()
    settled(page)
    expect(clips_of(page, JUMP)).to_have_count(2)
    page.keyboard.press("Enter")
    expect(clips_of(page, JUMP)).to_have_count(3)
    clips_of(page, KICK).first.click()
    expect(page.get_by_role("button", name="Look at it")).to_be_visible()
    expect(page.get_by_role("radio", name=f"{JUMP} · 3")).to_be_checked()


def end_recordings(page: Page, kicks: int) -> None:
    """A recording ends when another class is chosen, and when another recorder begins."""
    page.get_by_role("radio", name="Record", exact=True).first.click()
    page.get_by_role("radio", name="Record", exact=True).last.click()
    page.get_by_label("Length").first.fill("10")  # so that none is whole before it ends
    record = page.get_by_role("button", name="Record 10 s, again and again")
    record.click()
    expect(record).to_be_hidden()
    page.get_by_role("radio", name=f"{KICK} · {kicks}").click()
    expect(page.get_by_text("Recording has stopped, since another class is chosen now.")).to_be_visible()
    record.click()
    expect(record).to_be_hidden()
    page.get_by_role("button", name="Record 3 s", exact=True).click()
    expect(record).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Stop (Esc)")).to_be_hidden()


def test_two_classes_are_named_filled_taught_tried_and_found_again(page: Page, server: Server, tmp_path: Path) -> None:
    page.goto(f"{server.url}/teach?checkpoint={MODEL}")
    teach = page.get_by_role("button", name=re.compile("^Teach( |$)"))
    expect(teach).to_be_disabled()
    expect(page.get_by_text("Two classes are needed, each with a clip.")).to_be_visible()
    name_class(page, KICK)
    kicks = record_again_and_again(page)
    name_class(page, JUMP)
    upload_two_and_one_that_is_refused(page, tmp_path)
    found = violations(page)

    teach.click()
    expect(verdict(page, kicks + 2)).to_be_visible(timeout=LONG_MS)
    settled(page)
    try_a_clip_and_add_it(page)
    found += violations(page)
    take_it_along(page)
    add_by_keys(page)
    end_recordings(page, kicks + 1)

    page.reload()
    expect(verdict(page, kicks + 2)).to_be_visible()
    expect(clips_of(page, KICK)).to_have_count(kicks + 1)
    page.set_viewport_size({"width": 420, "height": 900})
    settled(page)
    assert page.evaluate(OVERHANG) == 0
    page.set_viewport_size({"width": 1440, "height": 900})
    page.get_by_role("button", name="Classify with it").click()
    expect(page.get_by_role("heading", name=re.compile(re.escape(KICK), re.IGNORECASE))).to_be_visible()
    settled(page)
    assert "/tmp" not in page.locator("[data-testid=stMain]").inner_text()
    page.get_by_role("link", name="Teach").click()
    expect(verdict(page, kicks + 2)).to_be_visible()
    expect(page.get_by_text(f"{MODEL} · sdpa · float32")).to_be_visible()
    expect(page.get_by_text("The link asks for")).to_be_hidden()
    assert not found, "\n\n".join(found)
