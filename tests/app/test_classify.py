"""The Classify page, in a real browser against the real server and its real workers."""

import json
import re
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.sync_api import BrowserContext, Locator, Page, Route, expect

from tests.app.conftest import PATIENCE, Server, answered, settled, tiles
from tests.clips import write_clip
from vivit.config import VivitConfig

pytestmark = pytest.mark.browser

# format → how to write it, and whether browsers play it as it is
FORMATS: dict[str, tuple[dict[str, Any], bool]] = {
    "clip.mp4": ({"codec": "libx264"}, True),
    "clip.mov": ({"codec": "libx264"}, True),
    "clip.mkv": ({"codec": "libx264"}, False),
    "clip.webm": ({"codec": "libvpx-vp9", "codec_options": {"deadline": "realtime", "cpu-used": "8"}}, True),
    "clip.avi": ({"codec": "mpeg4"}, False),
    "clip.gif": ({"codec": "gif", "pix_fmt": "rgb8"}, False),
}
RANDOM = "?checkpoint=vivit-b-16x2-random"


def metric(page: Page, label: str) -> str:
    return page.get_by_test_id("stMetric").filter(has_text=label).get_by_test_id("stMetricValue").inner_text()


def choose(page: Page, option: str) -> None:
    page.get_by_role("radio", name=option, exact=True).click()


def answer(page: Page) -> Locator:
    return page.get_by_test_id("stMain").get_by_role("heading", level=2).first


def test_opens_on_a_bundled_clip_with_its_answer_and_everything_has_a_name(page: Page, server: Server) -> None:
    page.goto(server.url)
    answered(page)
    chosen = page.get_by_role("radiogroup", name="Bundled clips").get_by_role("radio", checked=True)
    assert answer(page).inner_text().lower() == chosen.inner_text().lower()
    frames = VivitConfig.from_pretrained("vivit-mannequin").num_frames
    expect(page.get_by_alt_text(re.compile(r"^Frame #\d+ · "))).to_have_count(frames)
    assert all(
        picture.evaluate("i => i.naturalWidth > 0") for picture in page.get_by_alt_text(re.compile("^Frame ")).all()
    )
    # The timeline has a mark for every sampled frame.
    expect(page.locator(".st-key-timeline .scatterlayer .trace .points path")).to_have_count(frames)
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('[data-testid=stMain] :is(button, input, select, textarea, video, img)')]
        .filter(e => e.offsetParent && !(e.ariaLabel || e.textContent.trim() || e.labels?.length || e.hasAttribute('alt')
            || e.getAttribute('aria-labelledby') || e.title))
        .map(e => e.outerHTML.slice(0, 200))"""
    )
    assert nameless == [], "of controls and pictures"


@pytest.mark.full
def test_picks_another_clip_and_says_so_in_the_address(page: Page, server: Server) -> None:
    page.goto(server.url)
    answered(page)
    name = tiles(page).nth(1).inner_text()
    tiles(page).nth(1).click()
    expect(answer(page)).to_have_text(name.capitalize())
    assert "clip=" in page.url


@pytest.mark.full
@pytest.mark.parametrize("name", FORMATS)
def test_takes_a_file_of_every_format_and_plays_it(page: Page, server: Server, tmp_path: Path, name: str) -> None:
    options, plays = FORMATS[name]
    page.goto(server.url)
    answered(page)
    page.locator("input[type=file]").set_input_files(write_clip(tmp_path / name, 40, size=(320, 240), **options))
    expect(page.get_by_text(re.compile("of 40 frames over"))).to_be_visible()
    answered(page)
    video = page.locator("video").first
    expect(video).to_have_js_property("videoHeight", 240)
    expect(page.get_by_text("this is a preview")).to_have_count(0 if plays else 1)


@pytest.mark.full
def test_switches_backend_and_precision(page: Page, server: Server) -> None:
    page.goto(server.url)
    answered(page)
    first, weights = answer(page).inner_text(), float(metric(page, "Weights").split()[0])
    peak = float(metric(page, "Peak memory").split()[0])
    choose(page, "eager")
    answered(page)
    expect(page.get_by_role("radio", name="eager", exact=True)).to_be_checked()
    assert float(metric(page, "Peak memory").split()[0]) > peak, "eager holds the score matrices"
    choose(page, "float16-weights")
    # Most of the weights are matrices, which are kept in half.
    expect(page.get_by_test_id("stMetric").filter(has_text="Weights")).not_to_contain_text(f"{weights:.1f}")
    answered(page)
    assert 0.45 < float(metric(page, "Weights").split()[0]) / weights < 0.65
    assert answer(page).inner_text() == first
    assert "attention=eager" in page.url and "precision=float16-weights" in page.url


@pytest.mark.full
def test_several_views_are_a_choice_that_shows_its_frames(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/?stride=1&sampling=center")
    answered(page)
    page.get_by_role("button", name="Settings").click()
    choose(page, "4x3")
    expect(page.get_by_text("every n-th one, from starts that lie evenly over the clip")).to_be_visible()
    expect(page.get_by_role("radiogroup", name="Frame sampling").get_by_role("radio").first).to_be_disabled()
    page.keyboard.press("Escape")
    run = page.get_by_role("button", name="Run", exact=True)
    expect(run.or_(page.get_by_text("of all 12 views")).first).to_be_visible()
    if run.is_visible():
        run.click()
    expect(page.get_by_text("of all 12 views").first).to_be_visible()
    answered(page)
    assert "views=4x3" in page.url
    frames = VivitConfig.from_pretrained("vivit-mannequin").num_frames
    expect(page.locator(".st-key-timeline .scatterlayer .trace .points path")).to_have_count(4 * frames)
    pictures = page.get_by_alt_text(re.compile(r"^Frame #\d+ · "))
    ways = page.get_by_role("radiogroup", name="Temporal view").get_by_role("radio")
    for way in (ways.nth(3), *(page.get_by_role("radio", name=crop, exact=True) for crop in ("right", "middle"))):
        before = pictures.first.get_attribute("src")
        way.click()
        expect(pictures.first).not_to_have_attribute("src", before or "")
        settled(page)
    expect(pictures).to_have_count(frames)
    start = float(ways.nth(3).inner_text().split()[0])
    expect(pictures.first).to_have_attribute("alt", re.compile(rf"^Frame #\d+ · {start:.2f} s$"))
    assert start > 0
    page.get_by_text("Reproduce").click()
    expect(page.get_by_text("--views 4x3")).to_be_visible()
    page.get_by_role("link", name="Look inside").click()
    expect(page.get_by_role("radiogroup", name="Views")).to_have_count(0)


@pytest.mark.full
def test_how_it_runs_is_a_choice_that_tells_what_its_first_call_takes(
    page: Page, server: Server, context: BrowserContext
) -> None:
    page.goto(server.url)
    answered(page)
    before = answer(page).inner_text()
    ways = page.get_by_role("radiogroup", name="Execution").get_by_role("radio")
    assert [way.inner_text() for way in ways.all()] == ["plain", "compiled"], "a CPU has no graphs"
    choose(page, "compiled")
    expect(page.get_by_text("Compiling takes seconds to a minute, once whenever the model is loaded")).to_be_visible()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_text(re.compile(r"Compiling the model, about \d+ s"))).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="sdpa, float32, compiled")).to_have_count(1)
    answered(page)
    expect(page.get_by_text(re.compile(r"Compiling took \d+(\.\d)? s here on 20\d\d-"))).to_be_visible()
    assert answer(page).inner_text() == before and "execution=compiled" in page.url
    page.get_by_text("Reproduce").click()
    expect(page.get_by_text("--execution compiled")).to_be_visible()
    tiles(page).nth(1).click()  # the run waits for no click: the model has been compiled
    expect(answer(page)).not_to_have_text(before)
    answered(page)
    other = context.new_page()
    other.goto(page.url)
    expect(other.get_by_role("radio", name="compiled", exact=True)).to_be_checked()


@pytest.mark.full
def test_shows_what_this_machine_lacks_with_the_reason(page: Page, server: Server) -> None:
    page.goto(server.url)
    answered(page)
    # The fastest cell is told only if the machine was quiet at the start, the leanest in any case.
    expect(page.get_by_text(re.compile("the leanest.* 5 backends do not run here"))).to_be_visible()
    page.get_by_role("button", name="All cells").click()
    said = page.get_by_test_id("stPopoverBody")
    for name in ("sdpa-efficient", "sdpa-cudnn"):
        expect(said).to_contain_text(f"'{name}' runs on CUDA GPUs only")
    expect(said).to_contain_text("'captured' is a CUDA graph, and there is none on 'cpu'")
    for number, package in ((2, "flash-attn"), (3, "flash-attn-3"), (4, "flash-attn-4")):
        wanted = rf"'flash_attention_{number}' needs a CUDA GPU .this model is on 'cpu'., .*the package {package} \("
        expect(said).to_contain_text(re.compile(wanted))
    expect(said.get_by_text("estimates from rates that were measured when the model worker started")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_text("About this machine").click()
    expect(page.get_by_text("runs on CUDA GPUs only").first).to_be_visible()


@pytest.mark.full
def test_a_shared_link_shows_the_same_to_another_visitor(page: Page, server: Server, context: BrowserContext) -> None:
    page.goto(server.url)
    answered(page)
    tiles(page).nth(2).click()
    choose(page, "sdpa-math")
    answered(page)
    page.wait_for_url(re.compile("clip=.*attention=sdpa-math|attention=sdpa-math.*clip="))
    assert context.browser is not None
    stranger = context.browser.new_context().new_page()
    stranger.set_default_timeout(PATIENCE * 1e3)
    stranger.goto(page.url)
    answered(stranger)
    expect(answer(page)).to_have_text(answer(stranger).inner_text())  # a tab that never showed an older answer
    expect(stranger.get_by_role("radio", name="sdpa-math", exact=True)).to_be_checked()
    stranger.context.close()


@pytest.mark.full
def test_a_link_with_invented_values_falls_back_with_a_notice(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/?clip=no_such_*clip*&attention=psychic&precision=float99&top_k=1000")
    expect(page.get_by_text("There is no bundled clip 'no_such_*clip*'; showing another.")).to_be_visible()
    answered(page)
    notice = page.get_by_text("The link asks for what is not to be had here")
    for wrong in ("attention backend 'psychic', so 'sdpa' is used", "precision 'float99'", "answers to show '1000'"):
        expect(notice).to_contain_text(wrong)
    expect(page.get_by_role("radio", name="sdpa", exact=True)).to_be_checked()
    choose(page, "eager")
    expect(notice).to_have_count(0)


@pytest.mark.full
def test_the_run_downloads_as_json(page: Page, server: Server) -> None:
    held: list[Route] = []
    # The button's script is held back, as in a slow browser, where the button comes some runs late.
    page.route(re.compile(r"/DownloadButton\.\w+\.js"), lambda route: held.append(route))
    page.goto(server.url)
    answered(page)
    for attention in ("eager", "sdpa", "eager", "sdpa"):
        choose(page, attention)
    for request in held:
        request.continue_()
    answered(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Runs as JSON").click()
    kept = json.loads(Path(download.value.path()).read_text())
    assert kept.keys() >= {"machine", "versions", "revision", "date"} and all(kept.values())
    run = kept["runs"][-1]
    assert held and run["settings"]["attention"] == "sdpa" and run["result"]["samples_ms"]
    assert run["result"]["predictions"][0]["label"].lower() == answer(page).inner_text().lower()
    assert len(run["frames"]["indices"]) == VivitConfig.from_pretrained("vivit-mannequin").num_frames


@pytest.mark.full
def test_random_weights_show_time_but_no_answer_and_cancel_stops_them(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/{RANDOM}&attention=eager")
    expect(page.get_by_text("It predicts nothing")).to_be_visible()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_text(re.compile("Layer [1-9]"))).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Classifying: cancelled.")).to_be_visible()
    expect(page.locator(".st-key-predictions")).to_have_count(0)


@pytest.mark.full
def test_a_second_visitor_sees_their_place_in_the_queue(page: Page, server: Server, context: BrowserContext) -> None:
    page.goto(f"{server.url}/{RANDOM}&attention=eager")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_text(re.compile("Layer [1-9]"))).to_be_visible()
    other = context.new_page()
    other.goto(server.url)
    expect(other.get_by_text("number 1 in the queue")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    answered(other)


@pytest.mark.full
def test_a_killed_worker_costs_one_sentence_and_the_next_run_works(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/{RANDOM}&attention=eager")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_text(re.compile("Layer [1-9]"))).to_be_visible()
    workers = psutil.Process(server.process.pid).children(recursive=True)
    next(w for w in workers if "engine.model" in w.cmdline()).kill()
    expect(page.get_by_text("The system ended the process that worked on this")).to_be_visible()
    page.goto(server.url)
    answered(page)


@pytest.mark.full
def test_a_bad_file_costs_one_sentence(page: Page, server: Server) -> None:
    page.goto(server.url)
    answered(page)
    for name, content, sentence in (
        ("notes.mp4", b"these are notes, not pictures", "This clip is plain text"),
        ("empty.webm", b"", "This clip is empty"),
        ("script.mp4", b"ffconcat version 1.0\nfile /etc/passwd\n", "This clip is a list of files"),
    ):
        page.locator("input[type=file]").set_input_files({"name": name, "mimeType": "video/mp4", "buffer": content})
        expect(page.get_by_text(f"Yours: {name}")).to_be_visible()
        expect(page.get_by_text(sentence)).to_be_visible()
        settled(page)  # until only the next place to drop a file is there
    page.get_by_role("button", name="Delete it").click()
    answered(page)


@pytest.mark.full
def test_no_other_navigation_flashes_up(page: Page, server: Server) -> None:
    page.add_init_script(
        "window.flashed = false; new MutationObserver(() => {"
        " if (document.querySelector('[data-testid=stSidebarNav]')) window.flashed = true"
        "}).observe(document, {subtree: true, childList: true})"
    )
    page.goto(server.url)
    answered(page)
    assert page.evaluate("window.flashed") is False
