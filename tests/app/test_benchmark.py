"""The Benchmark page in a real browser: a small sweep runs, is cancelled, found again, downloaded; a recorded one is opened."""

import csv
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.app.conftest import Server
from tests.clips import write_clip

pytestmark = pytest.mark.browser

ROWS = re.compile(r"\d+ of \d+ cells, about")


def open_page(page: Page, server: Server, preset: str = "my own selection") -> None:
    page.goto(f"{server.url}/benchmark?preset={preset}")
    expect(page.get_by_role("button", name=re.compile(r"^Measure \d+ cells$"))).to_be_visible()


def measure(page: Page) -> None:
    page.get_by_role("button", name=re.compile(r"^Measure \d+ cells$")).click()
    expect(page.get_by_text(ROWS)).to_be_visible()


def ended(page: Page) -> None:
    expect(page.get_by_label("Sweep", exact=True)).to_be_visible()
    expect(page.get_by_text(ROWS)).to_have_count(0)


def saved(page: Page, label: str) -> str:
    """What a download button gives."""
    with page.expect_download() as download:
        page.get_by_role("button", name=label, exact=True).click()
    return Path(download.value.path()).read_text(encoding="utf-8")


def test_a_small_sweep_fills_rows_and_charts_and_can_be_taken_along(page: Page, server: Server) -> None:
    open_page(page, server)
    expect(page.get_by_text(re.compile(r"about \d+ s for this selection"))).to_be_visible()
    page.get_by_label("Clip", exact=True).click()
    page.get_by_role("option", name="clapping", exact=True).click()
    page.get_by_role("button", name="sdpa-math", exact=True).click()
    expect(page.get_by_role("button", name="Measure 3 cells")).to_be_visible()
    page.get_by_role("button", name="sdpa", exact=True).click()
    expect(page.get_by_role("button", name="Measure 2 cells")).to_be_visible()
    measure(page)
    rows = page.get_by_label("Cells measured so far").locator("table[role=grid]")
    expect(rows).to_have_attribute("aria-rowcount", "2")  # the head, and the first cell to be ready
    ended(page)
    # What was chosen is chosen still, and the next click measures it.
    expect(page.get_by_label("Clip", exact=True)).to_have_value("clapping")
    expect(page.get_by_role("button", name="sdpa-math", exact=True)).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("button", name="sdpa", exact=True)).to_have_attribute("aria-pressed", "false")
    for title in ("Latency", "Memory", "Speed-up and memory saved against eager", "Latency and memory"):
        expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible()
        expect(page.get_by_role("figure", name=title, exact=True)).to_be_visible()
    lines = list(csv.DictReader(saved(page, "CSV").splitlines()))
    assert {(line["attention"], line["status"]) for line in lines} == {("eager", "ok"), ("sdpa-math", "ok")}
    assert all(float(line["median, ms"]) > 0 and float(line["peak, MiB"]) > 0 for line in lines)
    assert all(line["same top 1"] == "True" for line in lines), "both classified the clip"
    rounds = [row["latency"]["rounds"] for row in json.loads(saved(page, "JSON with raw samples"))["rows"]]
    assert [len(r) for r in rounds] == [2, 2]
    report = saved(page, "HTML report")
    assert "<script" in report and not re.search(r"<(script|link|img)[^>]* (src|href)=", report), (
        "it needs no other file"
    )


def test_a_cancelled_sweep_keeps_what_is_done(page: Page, server: Server) -> None:
    open_page(page, server, "this clip, all backends")
    measure(page)
    expect(page.get_by_text(re.compile(r"^[6-9] of \d+ cells"))).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    ended(page)
    expect(page.get_by_text(re.compile(r"Of 24 cells: \d+ not measured"))).to_be_visible()
    expect(page.get_by_text("Recorded on NVIDIA")).to_have_count(0)
    lines = list(csv.DictReader(saved(page, "CSV").splitlines()))
    statuses = [line["status"] for line in lines]
    assert len(lines) == 24 and "cancelled" in statuses and {"ok", "unavailable"} & set(statuses)
    assert all(line["reason"] for line in lines if line["status"] != "ok"), "every row that is not ok says why"


def test_a_sweep_outlives_a_reload_and_another_visitor_may_only_watch(
    page: Page, server: Server, context: BrowserContext
) -> None:
    open_page(page, server, "this clip, all backends")
    measure(page)
    page.reload()  # the only page of this browser: of two that go at once a reload could find the other's visit
    expect(page.get_by_text(ROWS)).to_be_visible()
    other = context.new_page()
    open_page(other, server)
    other.get_by_role("button", name="Watch it").click()
    expect(other.get_by_text(ROWS)).to_be_visible()
    expect(other.get_by_role("button", name="Cancel")).to_have_count(0)
    other.close()
    page.get_by_role("button", name="Cancel").click()
    ended(page)


def test_a_recorded_sweep_is_opened_on_any_machine(page: Page, server: Server) -> None:
    open_page(page, server)
    page.get_by_label("Sweep", exact=True).click()
    page.get_by_role("option", name=re.compile("The documentation's tables, ours")).click()
    expect(page.get_by_text("Recorded on NVIDIA H100").first).to_be_visible()
    for mode in ("inference", "training"):
        expect(page.get_by_role("heading", name=f"The documentation's {mode} table", exact=False)).to_be_visible()
    expect(page.get_by_text("has its two memory columns swapped").first).to_be_visible()
    other = page.get_by_label("Compare with another sweep")
    for chart in page.get_by_role("figure").all():
        chart.scroll_into_view_if_needed()
        expect(chart.locator("svg").first).to_be_visible()
    option = page.get_by_role("option", name=re.compile("transformers"))
    for _ in range(50):  # an open list shuts when a chart above it is drawn and moves it
        if not option.is_visible():
            other.press("ArrowDown")
            page.wait_for_timeout(200)
    option.click()
    expect(page.get_by_label("Cells measured in both sweeps").first).to_be_visible()


def test_an_empty_selection_teaches(page: Page, server: Server) -> None:
    open_page(page, server)
    for name in ("eager", "sdpa"):
        page.get_by_role("button", name=name, exact=True).click()
    expect(page.get_by_text("Choose at least one attention backend")).to_be_visible()


def test_a_visitors_own_clip_can_be_measured(page: Page, server: Server, tmp_path: Path) -> None:
    page.goto(server.url)
    page.locator("input[type=file]").set_input_files(write_clip(tmp_path / "secret name.mp4", 40, size=(320, 240)))
    expect(page.get_by_text("Yours: secret name.mp4")).to_be_visible()
    page.get_by_role("link", name="Benchmark").click()
    expect(page.get_by_label("Clip", exact=True)).to_have_value("an uploaded clip")
    measure(page)
    expect(page.get_by_text(re.compile(r"^[1-9]\d* of \d+ cells"))).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    ended(page)
    kept = json.loads(saved(page, "JSON with raw samples"))
    assert kept["clip"] == "an uploaded clip", "its name is not for those who open the sweep"
