"""'Evaluate' in a real browser: from a folder of labelled clips to those of one square, and on to Classify."""

import json
import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.app.aids import OVERHANG
from tests.app.axe import violations
from tests.app.conftest import LONG_MS, SCHEMES, Scheme, Server, answered, settled
from vivit.hub import ASSETS

pytestmark = pytest.mark.browser

CLIPS = Path(ASSETS) / "clips"
MANY = 2_000  # clips, which no machine is done with before it is told to stop


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four labels, one of which is no class of the checkpoint; one clip has a wrong label, and one file is no clip."""
    root = tmp_path_factory.mktemp("labelled")
    for label, files in {
        "applauding": ["applauding", "jogging"],
        "cartwheeling": ["cartwheeling"],
        "jogging": ["jogging"],
        "lion taming": ["yawning"],
    }.items():
        (root / label).mkdir()
        for file in files:
            shutil.copy(CLIPS / f"{file}.mp4", root / label)
    (root / "jogging" / "notes.mp4").write_text("these are notes\n" * 50)
    return root


def start_button(page: Page) -> Locator:
    return page.get_by_role("button", name=re.compile("^Evaluate "))


def choose_folder(page: Page, folder: Path) -> None:
    page.get_by_role("radio", name="Folder or list").click()
    path = page.get_by_role("textbox", name="Path of a folder")
    path.fill(str(folder))
    path.press("Enter")


def evaluate(page: Page, server: Server, folder: Path) -> None:
    """Have the clips of a folder classified by sdpa and eager in float32."""
    page.goto(f"{server.url}/evaluate")
    choose_folder(page, folder)
    expect(
        page.get_by_text("1 clip left out, since 1 label is no class of this checkpoint: 'lion taming' (1).")
    ).to_be_visible()
    expect(start_button(page)).to_have_text(re.compile("5 clips × 2 cells"))
    start_button(page).click()
    expect(page.get_by_role("heading", name="of 4 clips")).to_be_visible(timeout=LONG_MS)
    settled(page)


def square(page: Page, trace: int) -> Locator:
    """A square of the matrix. Args: trace: 0 for answers that are right, 1 for the others."""
    return page.locator("[class*=st-key-matrix] .scatterlayer .trace").nth(trace).locator(".point").first


def test_from_a_folder_to_the_clips_of_a_square_and_on_to_classify(page: Page, server: Server, folder: Path) -> None:
    evaluate(page, server, folder)
    expect(
        page.get_by_role("heading", name=re.compile("is right on 75.0 % of 4 clips .*no answer changes from eager"))
    ).to_be_visible()
    expect(page.locator(".st-key-status-line").get_by_role("status")).to_contain_text("right on 75.0 %")
    page.get_by_role("tab", name="Confusion").click()
    settled(page)
    wrong = square(page, 1)
    wrong.scroll_into_view_if_needed()  # the mouse clicks on a place of the window
    box = wrong.bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.get_by_role("heading", name="applauding, taken for jogging: 1 clip")).to_be_visible()
    settled(page)
    page.get_by_role("button", name="Take along").click()
    with page.expect_download() as file:
        page.get_by_role("button", name="JSON").click()
    told = json.loads(file.value.path().read_text(encoding="utf-8"))
    assert [len(cell["records"]) for cell in told["evaluations"]] == [5, 5]
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Open in Classify").click()
    answered(page)
    expect(page.get_by_role("heading", name="Jogging")).to_be_visible()
    expect(page.get_by_text("the clip shows 'applauding'")).to_be_visible()


@pytest.mark.full
def test_it_is_cancelled_kept_shown_again_and_deleted(page: Page, server: Server, tmp_path: Path) -> None:
    (tmp_path / "jogging").mkdir()
    for k in range(MANY):
        (tmp_path / "jogging" / f"{k}.mp4").symlink_to(CLIPS / "jogging.mp4")
    page.goto(f"{server.url}/evaluate")
    choose_folder(page, tmp_path)
    expect(start_button(page)).to_have_text(re.compile(f"{MANY:,} clips"))
    start_button(page).click()
    expect(page.get_by_text(re.compile(rf"^[1-9][\d,]* of {MANY:,} clips"))).to_be_visible(timeout=LONG_MS)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Cancelled: what was found until then is kept.")).to_be_visible()
    expect(page.get_by_text("It ended after")).to_be_visible()
    settled(page)
    address = page.url
    page.reload()
    expect(page.get_by_text("It ended after")).to_be_visible()
    assert page.url == address and "evaluation=" in address
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete this evaluation").click()
    expect(page.get_by_text("It ended after")).to_have_count(0)


@pytest.mark.full
@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_has_nothing_against_it(context: BrowserContext, server: Server, folder: Path, scheme: Scheme) -> None:
    page = context.new_page()
    page.emulate_media(color_scheme=scheme)
    evaluate(page, server, folder)
    for tab in ("Confusion", "Calibration", "Agreement", "Clips", "Speed", "Two evaluations"):
        page.get_by_role("tab", name=tab).click()
        settled(page)
        assert not (found := violations(page)), "\n\n".join((tab, *found))
    page.set_viewport_size({"width": 420, "height": 900})
    settled(page)
    assert page.evaluate(OVERHANG) == 0
