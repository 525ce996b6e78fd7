"""The first screen is the demo: where things are, a switch, the comparison, presenter mode, a reload."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, WebSocketRoute, expect

from tests.app.aids import OVERHANG
from tests.app.conftest import ROOT, SCHEMES, Scheme, Server, answered, serving, settled, tiles
from tests.clips import write_clip
from ui.side_by_side import RECORDED
from vivit.benchmark.results import list_results
from vivit.names import colour

pytestmark = pytest.mark.browser

PLAY = "video => video.play()"  # Streamlit plays a clip by itself once, and not when it comes back
VERDICT = re.compile(r"sdpa|SDPA")


def box(place: Locator) -> dict[str, float]:
    found = place.first.bounding_box()
    assert found, place
    return {**found, "bottom": found["y"] + found["height"], "right": found["x"] + found["width"]}  # type: ignore[dict-item]


def parts(page: Page) -> dict[str, Locator]:
    return {
        "strip": page.get_by_role("radiogroup", name="Bundled clips"),
        "video": page.locator("video"),
        "answer": page.locator(".st-key-answer"),
        "costs": page.locator(".st-key-costs"),
        "controls": page.locator(".st-key-controls"),
        "latency": page.locator(".st-key-side-by-side-latency"),
        "memory": page.locator(".st-key-side-by-side-memory"),
    }


def beyond(page: Page, width: int, height: int) -> dict[str, dict[str, float]]:
    """The parts that do not lie wholly on a screen of this size."""
    found = {name: box(place) for name, place in parts(page).items()}
    return {
        name: where
        for name, where in found.items()
        if where["y"] < 0 or where["bottom"] > height or where["x"] < 0 or where["right"] > width
    }


@pytest.mark.parametrize("scheme", SCHEMES)
def test_everything_is_on_the_first_screen_and_on_a_phone_in_order(
    context: BrowserContext, server: Server, scheme: Scheme
) -> None:
    page = context.new_page()
    page.emulate_media(color_scheme=scheme)
    page.goto(server.url)
    answered(page)
    for width, height in ((1440, 900), (1920, 1080)):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(1000)  # until charts have found their new width
        for _ in range(60):  # charts take longer on a busy machine
            if not (outside := beyond(page, width, height)):
                break
            page.wait_for_timeout(1000)
        assert not outside
        assert box(page.get_by_role("button", name=re.compile("^Compare, about")))["bottom"] <= height
        assert box(parts(page)["video"])["width"] == pytest.approx(300, abs=110)
        assert page.evaluate(OVERHANG) == 0
    page.set_viewport_size({"width": 420, "height": 900})
    page.wait_for_function(f"{OVERHANG} === 0")
    tops = [box(place)["y"] for place in parts(page).values()]
    assert tops == sorted(tops)
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0)


def test_a_switch_keeps_the_old_answer_and_the_progress_is_where_the_click_was(page: Page, server: Server) -> None:
    page.goto(server.url)
    answered(page)
    page.evaluate(
        """() => {
        window.seen = {least: 1, without: 0, progress: []}
        const look = () => {
            const answer = document.querySelector('.st-key-answer'), heading = answer?.querySelector('h2')
            if (!heading) window.seen.without += 1
            for (let node = heading; node; node = node.parentElement)
                window.seen.least = Math.min(window.seen.least, Number(getComputedStyle(node).opacity))
            const bar = [...document.querySelectorAll('[data-testid=stProgress]')]
                .find(bar => bar.innerText.includes('Classifying'))
            if (bar) window.seen.progress.push(bar.getBoundingClientRect().toJSON())
            requestAnimationFrame(look)
        }
        look()
        }"""
    )
    page.get_by_role("radio", name="eager", exact=True).click()
    expect(page.get_by_role("status").filter(has_text="eager, float32")).to_have_count(1)
    answered(page)
    seen = page.evaluate("window.seen")
    assert seen["without"] == 0, "the answer was gone for a while"
    assert seen["least"] >= 0.75
    last = box(page.get_by_role("radio", name="plain", exact=True))
    # Right below the choices, of which the first was clicked.
    assert seen["progress"] and all(0 < bar["y"] - last["bottom"] < 50 for bar in seen["progress"])
    expect(page.get_by_text("the former answer")).to_have_count(0)


@pytest.mark.full
def test_the_answer_does_not_fade_where_a_run_is_slow(page: Page, server: Server) -> None:
    """Streamlit fades what a run has not reached yet; here a run begins, and none of its later messages comes."""
    passed: list[Any] = []
    still = False

    def forward(socket: WebSocketRoute) -> None:
        def hear(message: str | bytes) -> None:
            if still:
                passed.append(message)
            if len(passed) <= 2:  # those that say that the run has begun
                socket.send(message)

        socket.connect_to_server().on_message(hear)

    page.route_web_socket("**/_stcore/stream", forward)
    page.goto(server.url)
    answered(page)
    settled(page)
    still = True
    page.get_by_role("radio", name="eager", exact=True).click()
    stale = page.locator(".st-key-answer [data-stale=true], .st-key-costs [data-stale=true]")
    expect(stale.first).to_be_attached()
    page.wait_for_function(  # others have faded
        "[...document.querySelectorAll('[data-stale=true]')].some(node => Number(getComputedStyle(node).opacity) < 0.4)"
    )
    opacities = stale.evaluate_all("nodes => nodes.map(node => Number(getComputedStyle(node).opacity))")
    assert opacities and set(opacities) == {1}


def test_a_comparison_says_what_it_found_and_the_video_stands_still_meanwhile(page: Page, server: Server) -> None:
    [result] = [r for r in list_results(ROOT / "docs" / "results") if r.id == RECORDED]
    page.goto(server.url)
    answered(page)
    recorded = page.get_by_role(
        "heading", name=f"Not measured here yet: these bars are of {result.machine.device_name}"
    )
    expect(recorded).to_be_visible()
    page.locator("video").first.evaluate(PLAY)
    page.get_by_role("button", name=re.compile("^Compare, about")).click()
    expect(page.get_by_text("Side by side, no verdict yet")).to_be_visible()
    expect(page.locator("video").first).to_have_js_property("paused", True)
    assert page.get_by_role("heading", name=VERDICT).count() == 0
    expect(page.get_by_role("button", name="Stop")).to_have_count(0, timeout=300_000)
    expect(page.get_by_role("heading", name=VERDICT)).to_be_visible()
    expect(recorded).to_have_count(0)
    for name, place in parts(page).items():
        assert box(place)["bottom"] <= 900, (name, box(place))
    expect(page.get_by_role("heading", name=re.compile("all give the same five answers"))).to_be_visible()
    expect(page.locator("video").first).to_have_js_property("paused", False)
    bars = page.locator(".st-key-side-by-side-latency .bars .point path")
    expect(bars).to_have_count(4)
    # Bars are hatched where other programs were at work meanwhile; the colour is the same.
    fills = page.locator(".st-key-side-by-side-latency .js-plotly-plot").evaluate("chart => chart.data[0].marker.color")
    labels = page.locator(".st-key-side-by-side-latency .ytick text").all_text_contents()
    assert fills == [colour(*label.split(" · ")) for label in labels] and len(set(fills)) == 4
    expect(page.locator(".st-key-side-by-side-latency path.xerror")).not_to_have_count(0)
    expect(page.locator(".st-key-side-by-side-latency .textpoint")).to_have_count(4)
    bars.nth(1).hover(force=True)  # the layer that plotly has above it hears of it
    hover = page.locator(".st-key-side-by-side-latency .hoverlayer")
    expect(hover).to_contain_text("90 % between")
    expect(hover).to_contain_text("vivit-mannequin")
    assert "%{" not in (hover.text_content() or "") and "trace" not in (hover.text_content() or "")


@pytest.mark.full
def test_a_comparison_begins_by_itself_where_it_takes_little(context: BrowserContext, tmp_path: Path) -> None:
    with serving(tmp_path / "log", options=(), VIVIT_RESULTS=str(tmp_path / "results")) as server:
        page = context.new_page()
        page.goto(server.url)
        asked = page.get_by_role("button", name=re.compile(r"^Compare, about \d+ s"))
        begun = page.get_by_role("button", name=re.compile("^(Stop|Measure again)"))
        expect(asked.or_(begun).first).to_be_visible()
        answered(page)
        if asked.count():  # the machine is too slow just now: the app offers a comparison, and says how long it takes
            assert int(re.findall(r"\d+", asked.inner_text())[0]) > 5
        else:
            expect(page.get_by_role("heading", name=VERDICT)).to_be_visible(timeout=300_000)
        page.goto("about:blank")


@pytest.mark.full
def test_answers_to_show_does_not_run_the_model_again(page: Page, server: Server) -> None:
    page.goto(server.url)
    answered(page)
    ran = server.log.read_text().count('"task": "classify"')
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("slider", name="Answers to show").press("ArrowRight")
    expect(page.locator(".st-key-predictions .ytick text")).to_have_count(6)
    assert server.log.read_text().count('"task": "classify"') == ran


@pytest.mark.full
def test_a_reload_brings_back_upload_and_runs(page: Page, server: Server, tmp_path: Path) -> None:
    page.goto(server.url)
    answered(page)
    page.locator("input[type=file]").set_input_files(write_clip(tmp_path / "mine.mp4", 40, size=(320, 240)))
    expect(page.get_by_text("of 40 frames over")).to_be_visible()
    answered(page)
    page.reload()
    expect(page.get_by_text("Yours: mine.mp4")).to_be_visible()
    answered(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Runs as JSON").click()
    runs = json.loads(Path(download.value.path()).read_text())["runs"]
    assert [run["clip"] for run in runs][1:] == ["mine.mp4"] and len(runs) == 2


@pytest.mark.full
def test_a_reload_finds_a_slow_run_in_progress(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/?checkpoint=vivit-b-16x2-random&attention=eager")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_text(re.compile("Layer [2-9]"))).to_be_visible()
    page.reload()
    expect(page.get_by_text(re.compile(r"Layer ([3-9]|1\d)"))).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Classifying: cancelled.")).to_be_visible()


@pytest.mark.full
def test_a_rejected_file_takes_the_former_ones_error_away(page: Page, server: Server) -> None:
    page.goto(server.url)
    answered(page)
    for content, said, other in (
        (b"no video", "This clip is plain text", "This clip is empty"),
        (b"", "This clip is empty", "This clip is plain text"),
    ):
        page.locator("input[type=file]").set_input_files(
            {"name": "bad.mp4", "mimeType": "video/mp4", "buffer": content}
        )
        expect(page.get_by_text(said)).to_be_visible()
        expect(page.get_by_text(other)).to_have_count(0)
        settled(page)  # until only the next place to drop a file is there


@pytest.mark.full
def test_presenter_mode_is_larger_and_obeys_keys(page: Page, server: Server) -> None:
    page.goto(server.url)
    answered(page)

    heading = page.locator(".st-key-answer h2").first
    ticks = page.locator(".st-key-predictions .ytick text").first
    expect(heading).to_have_css("font-size", "25.6px")
    expect(ticks).to_have_css("font-size", "12px")
    page.get_by_role("button", name="Present").click()
    expect(page.get_by_role("button", name="Leave (Esc)")).to_be_visible()
    expect(heading).to_have_css("font-size", f"{1.5 * 25.6:.1f}px")
    expect(ticks).to_have_css("font-size", "20px")
    assert "present=1" in page.url
    expect(page.get_by_test_id("stCaptionContainer").first).to_be_hidden()
    body = page.locator("body")
    page.evaluate("document.activeElement.blur()")
    body.press("1")
    expect(page.get_by_role("radio", name="eager", exact=True)).to_be_checked()
    chosen = page.get_by_role("radiogroup", name="Bundled clips").get_by_role("radio", checked=True)
    before = chosen.inner_text()
    settled(page)
    body.press("ArrowRight")
    expect(chosen).not_to_have_text(before)
    body.press("ArrowLeft")
    expect(chosen).to_have_text(before)
    settled(page)  # with the player of this clip, and not of the one before
    page.locator("video").first.evaluate(PLAY)
    body.press(" ")
    expect(page.locator("video").first).to_have_js_property("paused", True)
    page.get_by_role("link", name="Benchmark").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Benchmark")
    expect(page.get_by_role("button", name="Leave (Esc)")).to_be_visible()
    page.wait_for_url(re.compile("present=1"))
    page.evaluate("document.activeElement.blur()")
    body.press("Escape")
    expect(page.get_by_role("button", name="Present")).to_be_visible()
    assert "present" not in page.url


@pytest.mark.full
def test_the_theme_is_chosen_in_streamlits_menu_in_presenter_mode_too(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/?present=1")
    expect(page.get_by_role("button", name="Leave (Esc)")).to_be_visible()
    colours = {}
    page.get_by_test_id("stMainMenu").get_by_role("button").click()
    for theme in ("Light", "Dark", "System"):  # the last as it was, since the profile is all tests'
        page.get_by_role("menuitemradio", name=theme).click()
        settled(page)
        colours[theme] = page.get_by_test_id("stApp").evaluate("app => getComputedStyle(app).backgroundColor")
    assert colours["Light"] == colours["System"] != colours["Dark"], colours
    expect(page.get_by_role("button", name="Leave (Esc)")).to_be_visible()


@pytest.mark.full
def test_the_skip_link_leads_to_the_controls_within_ten_tab_stops(page: Page, server: Server) -> None:
    page.goto(server.url)
    answered(page)
    page.evaluate(
        "document.querySelectorAll('video').forEach(video => video.pause())"
    )  # or any two screenshots would differ
    link = page.get_by_role("link", name="Skip to the controls")
    link.focus()
    link.press("Enter")
    focused = "document.activeElement"
    assert page.evaluate(f"!!{focused}.closest('.st-key-controls')")
    reached, seen = set(), page.screenshot()
    for _ in range(10):
        reached.add(page.evaluate(f"{focused}.closest('[role=radiogroup]')?.getAttribute('aria-label')"))
        page.keyboard.press("Tab")
        before, seen = seen, page.screenshot()
        assert seen != before, "where the focus is cannot be seen"
    assert {"Attention backend", "Precision"} <= reached, reached


@pytest.mark.full
def test_what_is_new_is_announced(page: Page, server: Server) -> None:
    page.goto(server.url)
    answered(page)
    status = page.get_by_role("status").filter(has_text="sdpa, float32")
    expect(status).to_have_count(1)
    page.evaluate("document.querySelector('[role=status]').dataset.mark = 'same'")
    page.get_by_role("radio", name="eager", exact=True).click()
    expect(page.locator("[role=status][data-mark=same]").filter(has_text="eager, float32")).to_have_count(1)


@pytest.mark.full
def test_reproduce_gives_lines_that_work_in_a_plain_shell(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/?clip=squat&attention=eager&precision=float16-weights&top_k=3")
    answered(page)
    page.get_by_text("Reproduce").click()
    codes = page.get_by_test_id("stExpander").filter(has_text="Reproduce").locator("code")
    expect(codes).to_have_count(2)
    best = page.locator(".st-key-answer h2").inner_text().lower()
    for code in codes.all_inner_texts():
        assert str(ROOT) not in code, "nothing of this machine's folders"
        # Where no environment lies in the checkout, the shell finds the Python that runs these tests.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        done = subprocess.run(
            ["sh", "-c", code], cwd=ROOT, env=os.environ | {"PATH": path}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert best in done.stdout.lower()


@pytest.mark.full
def test_runs_of_another_clip_are_not_drawn_in_the_same_chart(page: Page, server: Server) -> None:
    page.goto(server.url)
    answered(page)
    page.get_by_role("radio", name="eager", exact=True).click()
    answered(page)
    expect(page.locator(".st-key-latencies .bars .point path")).to_have_count(2)
    tiles(page).nth(4).click()
    answered(page)
    expect(page.locator(".st-key-latencies .bars .point path")).to_have_count(1)
    with page.expect_download() as download:
        page.get_by_role("button", name="Runs as CSV").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert len(lines) == 4 and {"machine", "versions", "revision", "date"} <= set(lines[0].split(","))
    page.get_by_role("button", name="Clear").click()
    answered(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Runs as CSV").click()
    assert len(Path(download.value.path()).read_text().splitlines()) == 2
