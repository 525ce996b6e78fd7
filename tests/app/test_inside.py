"""'Look inside' in a real browser: every map drawn, the video played, files taken along, both checks, and nothing run twice."""

import io
import json
import re
from pathlib import Path

import av
import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.app.aids import OVERHANG
from tests.app.axe import violations
from tests.app.conftest import LONG_MS, SCHEMES, Scheme, Server, choose_in, settled
from tests.shorter import some
from vivit.checkpoint import open_checkpoint
from vivit.explain import methods

pytestmark = pytest.mark.browser


def heat(page: Page) -> Locator:
    return page.locator(".st-key-heat img")


def open_inside(page: Page, server: Server, query: str = "") -> None:
    page.goto(f"{server.url}/inside{query}")
    expect(heat(page)).to_have_count(16)
    settled(page)


def pictures(page: Page) -> list[str]:
    """The frames with the map over them, as data."""
    sources: list[str] = heat(page).evaluate_all("all => all.map(one => one.src)")
    return sources


def choose(page: Page, box: str, option: str) -> None:
    choose_in(page, page.get_by_role("combobox", name=re.compile(f"^{box}, 0 to")), option)
    settled(page)


def said(page: Page, text: str | re.Pattern[str]) -> Locator:
    """Text to be read on the page, and not the status line's."""
    return page.get_by_test_id("stMarkdown").filter(has_text=text)


@pytest.mark.parametrize("checkpoint", some(["vivit-mannequin", "vivit-mannequin-fe"], "vivit-mannequin-fe"))
def test_each_map_is_drawn(page: Page, server: Server, checkpoint: str) -> None:
    open_inside(page, server, f"?checkpoint={checkpoint}")
    expect(page.get_by_role("heading", name=re.compile(r"^Applauding [\d.]+%"))).to_be_visible()
    here = methods(open_checkpoint(checkpoint, weights=False, here=True).config)
    before, drawn = server.model_jobs(), []
    for method in here:
        page.get_by_role("radio", name=method, exact=True).click()
        settled(page)
        drawn.append(pictures(page))
        assert len(drawn[-1]) == 16
        expect(page.locator(".st-key-small-maps")).to_have_count(0 if method == "rollout" else 1)
        for part in (".st-key-over-time", "video", "[data-testid=stDataFrame]"):
            expect(page.locator(part).first).to_be_visible()
    assert len({tuple(one) for one in drawn}) == len(here), "each another picture"
    assert server.model_jobs() == before, "all of one pass"
    page.get_by_role("button", name="Others").click()
    expect(page.get_by_text("This checkpoint has no map 'time'")).to_be_visible()


@pytest.mark.full
def test_layer_head_and_opacity_change_the_picture_and_ask_no_pass(page: Page, server: Server) -> None:
    open_inside(page, server)
    before, seen = server.model_jobs(), [pictures(page)]
    choose(page, "Layer", "0")
    seen.append(pictures(page))
    choose(page, "Head", "1")
    seen.append(pictures(page))
    expect(page).to_have_url(re.compile("layer=0"))
    # The first of the small maps, of layer 0 and head 0.
    maps = page.locator(".st-key-small-maps .nsewdrag").first
    box = maps.bounding_box()
    assert box
    maps.click(position={"x": box["width"] * 0.5 / 4.4, "y": box["height"] * 0.5 / 6.4})
    expect(page.get_by_role("combobox", name=re.compile("^Head"))).to_have_value("0")
    settled(page)
    seen.append(pictures(page))
    page.get_by_role("slider", name="Opacity").press("ArrowRight")
    settled(page)
    seen.append(pictures(page))
    assert len({tuple(one) for one in seen}) == len(seen)
    assert server.model_jobs() == before


@pytest.mark.full
def test_the_video_plays_and_the_files_are_what_they_say(page: Page, server: Server, tmp_path: Path) -> None:
    open_inside(page, server, "?clip=cartwheeling&layer=2&head=0")
    page.locator("video").evaluate("video => video.play()")
    page.wait_for_function("document.querySelector('video').currentTime > 0.3")
    files = {}
    for label in ("PNG strip", "MP4", "JSON with raw numbers"):
        with page.expect_download() as download:
            page.get_by_role("button", name=label).click()
        files[label] = tmp_path / download.value.suggested_filename
        download.value.save_as(files[label])
    names = [file.name for file in files.values()]
    assert names == [f"cartwheeling-attention-layer-2-head-0.{suffix}" for suffix in ("png", "mp4", "json")]
    strip, video, numbers = (file.read_bytes() for file in files.values())
    assert Image.open(io.BytesIO(strip)).convert("RGB").size[0] > 1000
    with av.open(io.BytesIO(video), "r") as container:
        frames = [(frame.width, frame.height) for frame in container.decode(video=0)]
    assert len(frames) == 32 and frames[0][0] > 2 * frames[0][1] - 2, "both side by side"
    report = json.loads(numbers)
    assert (report["method"], report["layer"], report["head"]) == ("attention", 2, 0)
    assert sum(report["time"]) == pytest.approx(1, abs=1e-6)  # shares that JSON writes in full
    flat = [weight for step in report["weights"] for row in step for weight in row]
    assert len(flat) == 16 * 8 * 8 and max(flat) / sum(flat) == pytest.approx(report["top"][0]["weight"], rel=1e-5)


@pytest.mark.full
def test_the_checks_end_with_their_sentences_and_are_not_made_again(page: Page, server: Server) -> None:
    open_inside(page, server)
    expect(said(page, "Whether time is used has not been checked yet.")).to_be_visible()
    before = server.model_jobs()
    page.locator(".st-key-orders-begin").get_by_role("button").click()
    order = said(page, "the order of the frames matters")
    expect(order).to_have_count(2, timeout=LONG_MS)  # beside the answer, and beside the chart
    expect(page.locator(".st-key-orders")).to_be_visible()
    expect(said(page, "A frozen clip is unlike anything it was trained on")).to_be_visible()
    page.locator(".st-key-deletion-begin").get_by_role("button").click()
    expect(said(page, re.compile(r"With the most attended 5, 10 and 20 % .*\(p = "))).to_have_count(2, timeout=LONG_MS)
    expect(page.locator(".st-key-deletion")).to_be_visible()
    settled(page)
    expect(page.locator(".st-key-status-line").get_by_role("status")).to_contain_text("With the most attended")
    made = server.model_jobs()
    assert len(made) > len(before)
    # Another page and back, another map and back: all is still there.
    page.get_by_role("link", name="Benchmark").click()
    expect(page.get_by_label("Sweep", exact=True)).to_be_visible()
    page.get_by_role("link", name="Look inside").click()
    expect(heat(page)).to_have_count(16)
    settled(page)
    expect(order).to_have_count(2)
    choose(page, "Layer", "0")
    expect(said(page, "Whether this map is true has not been checked yet.")).to_be_visible()
    choose(page, "Layer", "mean")
    expect(said(page, "With the most attended 5, 10")).to_have_count(2)
    assert server.model_jobs() == made


@pytest.mark.full
def test_a_check_that_is_cancelled_keeps_what_is_done(page: Page, server: Server) -> None:
    open_inside(page, server, "?attention=eager&clip=celebrating")
    page.locator(".st-key-deletion-begin").get_by_role("button").click()
    expect(page.locator(".st-key-deletion-live .scatterlayer").first).to_be_visible(timeout=LONG_MS)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Cancelled: what was done until then is kept.")).to_be_visible()
    expect(page.locator(".st-key-deletion .scatterlayer").first).to_be_visible()
    expect(page.get_by_role("button", name="Check again")).to_be_visible()


@pytest.mark.full
def test_what_classify_has_chosen_is_looked_into(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/?clip=cheerleading&checkpoint=vivit-mannequin-fe")
    expect(page.get_by_text("Latency:").first).to_be_visible()
    settled(page)
    page.get_by_role("link", name="Look inside").click()
    expect(page.get_by_role("heading", name=re.compile("^Cheerleading "))).to_be_visible()
    expect(page.locator(".st-key-settings-line summary")).to_contain_text("vivit-mannequin-fe · sdpa · float32")


@pytest.mark.full
def test_random_weights_wait_for_a_word_and_mean_nothing(page: Page, server: Server) -> None:
    open_inside(page, server)
    page.locator(".st-key-settings-line summary").click()
    settled(page)  # opening the form makes another run of the page, which would shut a list
    choose_in(page, page.get_by_role("combobox", name="Checkpoint"), "vivit-b-16x2-random")
    settled(page)
    expect(page.get_by_text("the former answer, of 'applauding'")).to_be_visible()
    page.get_by_role("button", name="Look inside").click()
    alert = page.get_by_role("alert").filter(has_text="These weights are random: the answer means nothing.")
    expect(alert).to_be_visible(timeout=LONG_MS)


@pytest.mark.full
@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_has_nothing_against_it(context: BrowserContext, server: Server, scheme: Scheme) -> None:
    page = context.new_page()
    page.emulate_media(color_scheme=scheme)
    open_inside(page, server)
    page.locator(".st-key-orders-begin").get_by_role("button").click()
    expect(page.locator(".st-key-orders .barlayer").first).to_be_visible(timeout=LONG_MS)
    settled(page)
    assert not (found := violations(page)), "\n\n".join(found)


@pytest.mark.full
def test_the_answer_and_what_it_looked_at_are_on_the_first_screen(context: BrowserContext, server: Server) -> None:
    page = context.new_page()
    open_inside(page, server)
    for width, height in ((1440, 900), (1920, 1080)):
        page.set_viewport_size({"width": width, "height": height})
        settled(page)
        for place in (page.get_by_role("heading", name=re.compile("^Applauding")), page.locator(".st-key-heat")):
            box = place.bounding_box()
            assert box and box["y"] + box["height"] <= height, (width, box)
    page.set_viewport_size({"width": 420, "height": 900})
    settled(page)
    assert page.evaluate(OVERHANG) == 0
