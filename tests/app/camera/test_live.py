"""The page 'Live' in a real browser: Chromium's fake camera films a bundled clip, again and again from wherever it is."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Response, Route, expect

from tests.app.aids import OVERHANG
from tests.app.axe import violations
from tests.app.camera.tab import START, a_page, heard, is_off, label, open_live, open_recorder, start, told, until
from tests.app.conftest import FILMED, SCHEMES, Scheme, Server, serving, settled

pytestmark = pytest.mark.browser

# Playwright does not hear of a request that a page sends while it is left: the page itself counts them.
REMEMBER = """
const send = window.fetch
window.fetch = (address, options) => {
    if (String(address).endsWith('/camera/off') && options.keepalive) localStorage.off = Number(localStorage.off ?? 0) + 1
    return send(address, options)
}
"""


def of_the_last_run(answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The answers since windows were last counted from 0: the server begins anew where a busy browser sent nothing for long."""
    found = [said for said in answers if "number" in said]
    began = [k for k, said in enumerate(found) if k and said["number"] < found[k - 1]["number"]]
    return found[began[-1] if began else 0 :]


def test_the_camera_is_asked_for_on_a_click_and_the_action_is_named(page: Page, server: Server) -> None:
    pictures, answers = heard(page, "picture"), told(page)
    open_live(page, server)
    expect(page.get_by_text("The camera is off.")).to_be_visible()
    assert page.evaluate("window.asked") == 0 and not pictures
    start(page)
    expect(page.get_by_text("Filling the first window")).to_be_visible()
    expect(label(page)).to_have_text(FILMED)
    assert label(page).get_attribute("role") == "status"
    expect(page.locator(".score")).to_have_text(re.compile(r"^[89]\d\.\d %$"))
    expect(page.locator(".lag")).to_have_text(re.compile(r"^[\d.]+ s from the newest picture to the answer on screen"))
    expect(page.locator(".st-key-minute .barlayer")).to_contain_text(FILMED)
    assert page.evaluate("window.asked") == 1

    # However busy the machine is, no window waits for another: all windows that fell due are over, but for the last few.
    until(page, lambda: len(of_the_last_run(answers)) > 30)
    found = of_the_last_run(answers)
    due = (found[-1]["taken"] - found[0]["newest_ms"]) / 500
    assert due - 3 <= found[-1]["number"] + found[-1]["dropped"] <= due + 1
    # And a window is as new as what was there when the former answer came: that answer's picture, or the two before it.
    taken = [said["taken"] for said in answers]
    first = [said for k, said in enumerate(found) if k == 0 or said["number"] > found[k - 1]["number"]]
    for former, said in pairwise(first):
        assert said["newest_ms"] >= taken[max(0, taken.index(former["taken"]) - 2)]
    newest = [said["newest_ms"] for said in found]
    assert newest == sorted(newest) and all(said["newest_ms"] <= said["taken"] for said in found)
    assert {said["label"] for said in found} == {FILMED}


@pytest.mark.full
def test_one_picture_is_on_its_way_at_most(page: Page, server: Server) -> None:
    most = 0

    def slowly(route: Route) -> None:
        nonlocal most
        most = max(most, len(sent) - len(answers))
        page.wait_for_timeout(700)
        route.continue_()

    sent, answers = heard(page, "picture"), list[Response]()
    page.on("response", lambda answer: answers.append(answer) if answer.request in sent else None)
    open_live(page, server)
    page.route("**/camera/picture", slowly)
    start(page)
    until(page, lambda: len(answers) > 4)
    assert most == 1
    expect(page.locator(".counts")).to_contain_text(re.compile(r"[1-9]\d* pictures left out"))
    page.unroute_all(behavior="ignoreErrors")  # one request is still held


@pytest.mark.full
def test_escape_puts_the_camera_out_first_and_then_leaves_presenter_mode(page: Page, server: Server) -> None:
    open_live(page, server, "?present=1")
    off = heard(page, "off")
    start(page)
    expect(label(page)).to_have_text(FILMED)
    size = label(page).evaluate("node => parseFloat(getComputedStyle(node).fontSize)")
    rem = page.evaluate("parseFloat(getComputedStyle(document.documentElement).fontSize)")
    assert rem > 16 and size >= 6 * rem
    page.keyboard.press("Escape")
    expect(page.get_by_text("The camera is off.")).to_be_visible()
    is_off(page)
    assert len(off) == 1
    settled(page)
    expect(page.get_by_role("button", name="Leave (Esc)")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Present")).to_be_visible()


@pytest.mark.full
def test_the_camera_goes_off_by_its_button_and_on_again(page: Page, server: Server) -> None:
    open_live(page, server)
    start(page)
    expect(page.get_by_text("Filling the first window")).to_be_visible()
    page.get_by_role("button", name="Stop the camera").click()
    is_off(page)
    expect(page.get_by_role("button", name="Keep this clip")).to_be_disabled()
    start(page)
    expect(label(page)).to_have_text(FILMED)


def test_leaving_the_page_puts_the_camera_out(page: Page, server: Server) -> None:
    page.add_init_script(REMEMBER)
    open_live(page, server)
    start(page)
    page.get_by_role("link", name="Benchmark").click()
    expect(page.get_by_label("Sweep", exact=True)).to_be_visible()
    is_off(page)
    assert page.evaluate("localStorage.off") == "1"
    page.get_by_role("link", name="Live").click()
    expect(page.get_by_text("The camera is off.")).to_be_visible()
    assert page.evaluate("window.asked") == 1
    start(page)
    page.goto(f"{server.url}/healthz")
    assert page.evaluate("localStorage.off") == "2"


@pytest.mark.full
def test_other_settings_leave_the_camera_on(page: Page, server: Server) -> None:
    open_live(page, server)
    start(page)
    expect(label(page)).to_have_text(FILMED)
    page.locator(".st-key-settings-line summary").click()
    settled(page)
    page.get_by_role("radio", name="eager", exact=True).click()
    expect(page.get_by_text("Filling the first window")).to_be_visible()
    expect(label(page)).to_have_text(FILMED)
    assert page.evaluate("window.asked") == 1


@pytest.mark.full
def test_a_live_clip_is_kept_on_a_click_and_is_the_visitors_own(page: Page, server: Server) -> None:
    open_live(page, server)
    keep = page.get_by_role("button", name="Keep this clip")
    expect(keep).to_be_disabled()
    start(page)
    expect(label(page)).to_have_text(FILMED)
    expect(keep).to_be_enabled()
    keep.click()
    expect(page.get_by_text("Kept: it is your clip now")).to_be_visible()
    page.get_by_role("link", name="See it on Classify").click()
    expect(page.get_by_text("Yours: camera")).to_be_visible()
    expect(page.get_by_role("heading", name=re.compile("^side kick", re.IGNORECASE))).to_be_visible()
    is_off(page)


def test_random_weights_have_nothing_to_say(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/live?checkpoint=vivit-b-16x2-random")
    expect(page.get_by_text("has random weights, which know no action. Choose a trained checkpoint.")).to_be_visible()
    settled(page)
    expect(page.get_by_role("button", name=START)).to_have_count(0)


@pytest.mark.full
def test_below_a_base_path_pictures_go_below_it_too(with_camera: Browser, tmp_path: Path) -> None:
    options = ("--server.baseUrlPath", "demo")
    with (
        serving(tmp_path / "log", options, VIVIT_RESULTS=str(tmp_path / "results")) as server,
        a_page(with_camera, "camera") as page,
    ):
        answers = told(page)
        sent = heard(page, "picture")
        page.goto(f"{server.url}/demo/live")
        start(page)
        until(page, lambda: len(answers) > 2)
        assert {request.url for request in sent} == {f"{server.url}/demo/camera/picture"}


@pytest.mark.full
@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_has_nothing_against_it_and_its_answer_is_on_the_first_screen(
    with_camera: Browser, server: Server, scheme: Scheme
) -> None:
    with a_page(with_camera, "camera", color_scheme=scheme) as page:
        open_live(page, server)
        found = violations(page)
        start(page)
        expect(label(page)).to_have_text(FILMED)
        settled(page)
        found += violations(page)
        for width, height in ((1440, 900), (1920, 1080)):
            page.set_viewport_size({"width": width, "height": height})
            settled(page)
            for place in (label(page), page.locator(".score"), page.locator(".lag"), page.locator(".st-key-minute")):
                box = place.bounding_box()
                assert box and box["y"] + box["height"] <= height, (width, box)
        page.set_viewport_size({"width": 420, "height": 900})
        settled(page)
        assert page.evaluate(OVERHANG) == 0
        page.set_viewport_size({"width": 1440, "height": 900})
        open_recorder(page, server)
        found += violations(page)
        page.get_by_role("button", name="Record 6 s").click()
        expect(page.get_by_text("Camera on", exact=True)).to_be_visible()
        found += violations(page)
        page.keyboard.press("Escape")
    assert not found, "\n\n".join(found)
