"""A recording of the page 'Classify' in a real browser, with Chromium's fake camera."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.app.camera.tab import heard, is_off, open_recorder
from tests.app.conftest import Server

pytestmark = pytest.mark.browser


@pytest.mark.full
def test_what_is_recorded_stays_here_until_it_is_kept_and_is_then_named(page: Page, server: Server) -> None:
    sent = heard(page, "recording")
    open_recorder(page, server)
    assert page.evaluate("window.asked") == 0
    page.get_by_role("button", name="Record 6 s").click()
    expect(page.get_by_text("Camera on", exact=True)).to_be_visible()
    expect(page.get_by_text(re.compile(r"Recording: \d s left"))).to_be_visible()
    expect(page.get_by_text("6 s are recorded. The camera is off.")).to_be_visible()
    is_off(page)
    page.wait_for_function(
        "document.querySelector('[data-testid=stMain]') && [...function* deep(node) {"
        "  if (node.tagName === 'VIDEO') yield node;"
        "  for (const child of [...node.children, ...(node.shadowRoot?.children ?? [])]) yield* deep(child)"
        "}(document.body)].some(video => video.src.startsWith('blob:') && video.currentTime > 0.2)"
    )
    assert not sent
    expect(page.get_by_text("Yours:")).to_have_count(0)
    page.get_by_role("button", name="Keep this clip").click()
    expect(page.get_by_text("Yours: camera")).to_be_visible()
    expect(page.get_by_role("heading", name=re.compile("^side kick", re.IGNORECASE))).to_be_visible()
    assert len(sent) == 1
    # A recording has no length in its header: the times of its frames tell.
    seconds = re.search(r"frames over ([\d.]+) s", page.locator("[data-testid=stMain]").inner_text())
    assert seconds and float(seconds[1]) > 5
    expect(page.get_by_role("button", name="Record 6 s")).to_be_visible()


@pytest.mark.full
def test_a_recording_is_broken_off_by_escape_and_made_again(page: Page, server: Server) -> None:
    sent = heard(page, "recording")
    open_recorder(page, server)
    page.get_by_label("Length").fill("10")  # so that none is whole before it is broken off
    record = page.get_by_role("button", name="Record 10 s")
    for moment in ("Get ready.", "Recording 10 s."):
        record.click()
        expect(page.get_by_text(moment)).to_be_visible()
        page.keyboard.press("Escape")
        expect(record).to_be_visible()
        is_off(page)
        expect(page.get_by_role("button", name="Keep this clip")).to_be_hidden()
    page.get_by_label("Length").fill("2")
    page.get_by_role("button", name="Record 2 s").click()
    for _ in range(2):
        expect(page.get_by_text("2 s are recorded. The camera is off.")).to_be_visible()
        page.get_by_role("button", name="Again").click()
        expect(page.get_by_text("Camera on", exact=True)).to_be_visible()
    page.get_by_role("link", name="Benchmark").click()
    is_off(page)
    assert not sent


def test_a_browser_that_records_nothing_is_told(page: Page, server: Server) -> None:
    page.add_init_script("MediaRecorder.isTypeSupported = () => false")
    open_recorder(page, server)
    page.get_by_role("button", name="Record 6 s").click()
    expect(page.get_by_text("This browser names no type of video that it records.")).to_be_visible()
    assert page.evaluate("window.asked") == 0
