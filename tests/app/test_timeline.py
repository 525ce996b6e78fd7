"""'Timeline' in a real browser: the bundled film, a segment that is chosen, files taken along, others served meanwhile."""

import csv
import io
import json
import re
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.app.aids import OVERHANG
from tests.app.axe import violations
from tests.app.conftest import LONG_MS, SCHEMES, Scheme, Server, answered, settled
from ui.timeline_films import bundled_films

pytestmark = pytest.mark.browser


def open_timeline(page: Page, server: Server, query: str = "") -> None:
    """Open the page, and wait for the end of the bundled film."""
    page.goto(f"{server.url}/timeline{query}")
    ended(page)


def ended(page: Page) -> None:
    expect(page.get_by_role("heading", name="Take along")).to_be_visible(timeout=LONG_MS)
    settled(page)


def bars(page: Page, row: int) -> Locator:
    """The chart's bars of a row. Args: row: 0 for what the film shows, 1 for segments with a label, 2 for those 'unknown'."""
    return page.locator(".stPlotlyChart .barlayer .trace").nth(row).locator(".point path")


def click(page: Page, bar: Locator) -> None:
    """Click on a bar's place on the screen: the layer with which plotly listens lies above all bars."""
    box = bar.bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(0, 0)
    page.mouse.move(x, y)
    expect(
        page.locator(".stPlotlyChart .hoverlayer .hovertext").first
    ).to_be_visible()  # before this plotly hears no click of the mouse
    page.mouse.click(x, y)


def download(page: Page, label: str) -> str:
    with page.expect_download() as file:
        page.get_by_role("button", name=label).click()
    return file.value.path().read_text(encoding="utf-8")


def rows(page: Page, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(download(page, f"{kind}, JSON"))
    return found


def overlap(row: dict[str, Any], start: float, end: float) -> float:
    return min(float(row["end"]), end) - max(float(row["start"]), start)


def test_what_the_film_shows_is_what_the_table_says_and_files_say_the_same(page: Page, server: Server) -> None:
    open_timeline(page, server)
    (film,) = bundled_films().values()
    segments, windows = rows(page, "Segments"), rows(page, "Windows")
    for piece in film.truth:
        found = [row for row in segments if row["label"] == piece.label and overlap(row, *piece[:2]) > 0]
        assert found, (piece, segments)
    expect(page.get_by_test_id("stDataFrame").locator("canvas").first).to_be_visible()
    for piece in film.truth:  # the cells lie within the canvas that draws them, for readers of screens alone
        cell = page.get_by_test_id("stDataFrame").locator("[role=gridcell]", has_text=piece.label).first
        expect(cell).to_be_attached()
    expect(page.get_by_text(f"{len(windows)} windows of 6.5 s every 0.5 s")).to_be_visible()
    expect(bars(page, 0)).to_have_count(len(film.truth))
    expect(bars(page, 1)).to_have_count(sum(row["label"] != "unknown" for row in segments))
    for kind, listed in (("Segments", segments), ("Windows", windows)):
        written = list(csv.DictReader(io.StringIO(download(page, f"{kind}, CSV"))))
        assert [float(row["start"]) for row in written] == [row["start"] for row in listed]
        assert [row["label"] for row in written] == [row["label"] for row in listed]


@pytest.mark.full
def test_a_segment_that_is_chosen_moves_the_player_and_shows_its_frames(page: Page, server: Server) -> None:
    open_timeline(page, server)
    before, segments = server.model_jobs(), rows(page, "Segments")
    frames = page.locator(".st-key-frames img")
    expect(frames).to_have_count(0)
    known = [row for row in segments if row["label"] != "unknown"]
    last = known[-1]
    click(page, bars(page, 1).last)
    expect(page.get_by_role("heading", name=re.compile(rf"^{last['label']} \d+%$", re.IGNORECASE))).to_be_visible()
    expect(frames).to_have_count(32)
    page.wait_for_function(f"document.querySelector('video').currentTime >= {int(last['start'])}")
    expect(page.locator(".st-key-predictions .ytick")).to_have_count(5)
    settled(page)
    expect(page.locator(".st-key-status-line").get_by_role("status")).to_contain_text(
        f"Segment {segments.index(last) + 1} of {len(segments)}: "
    )
    # In the table, where the last segment is chosen too, choose the first; then choose the last in the chart again.
    pictures = frames.evaluate_all("all => all.map(one => one.src)")
    table = page.get_by_test_id("stDataFrame").first
    box = table.bounding_box()
    assert box
    page.mouse.click(box["x"] + 16, box["y"] + 35 * 1.5)  # the box beside the first row
    status = page.locator(".st-key-status-line").get_by_role("status")
    expect(status).to_contain_text(f"Segment 1 of {len(segments)}: ")
    settled(page)
    assert frames.evaluate_all("all => all.map(one => one.src)") != pictures
    page.wait_for_function(f"document.querySelector('video').currentTime < {int(last['start'])}")
    click(page, bars(page, 1).last)
    expect(status).to_contain_text(f"Segment {segments.index(last) + 1} of {len(segments)}: ")
    settled(page)
    assert server.model_jobs() == before, "no window is classified again"


@pytest.mark.full
def test_it_fills_while_it_runs_and_others_are_answered_meanwhile(
    context: BrowserContext, page: Page, server: Server
) -> None:
    before = len(server.model_jobs())
    page.goto(f"{server.url}/timeline?every=0.21&cuts=across")  # 160 windows
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    expect(bars(page, 1).or_(bars(page, 2)).first).to_be_visible(timeout=LONG_MS)
    other = context.new_page()
    other.goto(f"{server.url}/?clip=cheerleading")
    answered(other)
    tasks = server.model_jobs()[before:]
    assert tasks.index("classify") > tasks.index("classify_windows")
    expect(page.get_by_text("times real time")).to_be_visible(timeout=LONG_MS)
    expect(page.get_by_text("The model waited for pictures")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Cancelled: what was found until then is kept.")).to_be_visible()
    ended(page)
    assert 0 < len(rows(page, "Windows")) < 160
    expect(page.get_by_role("button", name="Begin again")).to_be_visible()


@pytest.mark.full
def test_another_page_and_back_and_nothing_is_classified_twice(page: Page, server: Server) -> None:
    open_timeline(page, server)
    made = server.model_jobs()
    page.get_by_role("link", name="Benchmark").click()
    expect(page.get_by_label("Sweep", exact=True)).to_be_visible()
    page.get_by_role("link", name="Timeline").click()
    ended(page)
    page.get_by_role("radio", name="none", exact=True).click()
    settled(page)
    expect(page).to_have_url(re.compile("smoothing=none"))
    assert server.model_jobs() == made


@pytest.mark.full
def test_the_arrows_go_from_segment_to_segment_for_an_audience(page: Page, server: Server) -> None:
    open_timeline(page, server, "?present=1")
    count = len(rows(page, "Segments"))
    status = page.locator(".st-key-status-line").get_by_role("status")
    page.evaluate("document.activeElement.blur()")
    for k in (1, 2):
        page.keyboard.press("ArrowRight")
        expect(status).to_contain_text(f"Segment {k} of {count}: ")
        settled(page)
    page.keyboard.press("ArrowLeft")
    expect(status).to_contain_text(f"Segment 1 of {count}: ")


@pytest.mark.full
@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_has_nothing_against_it(context: BrowserContext, server: Server, scheme: Scheme) -> None:
    page = context.new_page()
    page.emulate_media(color_scheme=scheme)
    open_timeline(page, server)
    click(page, bars(page, 1).first)
    expect(page.locator(".st-key-frames img")).to_have_count(32)
    settled(page)
    assert not (found := violations(page)), "\n\n".join(found)


@pytest.mark.full
def test_what_happens_when_is_on_the_first_screen(context: BrowserContext, server: Server) -> None:
    page = context.new_page()
    open_timeline(page, server)
    for width, height in ((1440, 900), (1920, 1080)):
        page.set_viewport_size({"width": width, "height": height})
        settled(page)
        box = page.locator(".st-key-answer .stPlotlyChart").bounding_box()
        assert box and box["y"] + box["height"] <= 0.75 * height, (width, box)
    page.set_viewport_size({"width": 420, "height": 900})
    settled(page)
    assert page.evaluate(OVERHANG) == 0
    box = page.locator(".st-key-answer .stPlotlyChart").bounding_box()
    assert box and box["y"] + box["height"] <= 900, box
