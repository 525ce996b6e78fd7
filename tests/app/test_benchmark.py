"""The Benchmark page in a real browser: a sweep from the button to its verdict, its tabs, two sweeps, deleting, reloading."""

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.app.conftest import Server, answered, choose_in, serving_script, settled
from tests.clips import write_clip
from tests.shorter import some
from tests.vivit.benchmark.children import result, row
from vivit.benchmark.measurement import Cell
from vivit.benchmark.results import save
from vivit.dynamic_int8 import has_vnni

pytestmark = pytest.mark.browser

BUTTON = re.compile(r"^Measure \d+ (of \d+ )?cells?, about \d+ (s|minutes)$")
AGAIN = re.compile(r"^Measure this again, about \d+ (s|minutes)$")
ROWS = re.compile(r"\d+ of \d+ cells have figures, about")
VERDICT = re.compile(r"^On .*, .* (times as|as fast as|no difference in speed can be told)")


def form(page: Page) -> Locator:
    return page.locator(".st-key-form")


def open_form(page: Page) -> None:
    if not page.get_by_label("What to measure").is_visible():
        form(page).locator("summary").click()
    expect(page.get_by_label("What to measure")).to_be_visible()
    settled(page)  # drawing the page again would shut an open list


def open_page(page: Page, server: Server, preset: str = "my own selection") -> None:
    page.goto(f"{server.url}/benchmark?preset={preset}")
    expect(page.get_by_role("button", name=BUTTON)).to_be_visible()
    settled(page)


def measure(page: Page) -> None:
    page.get_by_role("button", name=BUTTON).click()
    expect(page.get_by_text(ROWS)).to_be_visible()


def ended(page: Page) -> None:
    expect(page.get_by_role("button", name=AGAIN)).to_be_visible(timeout=300_000)
    expect(page.get_by_text(ROWS)).to_have_count(0)
    settled(page)


def open_tab(page: Page, name: str) -> None:
    tab = page.get_by_role("tab", name=name, exact=True)
    tab.click()
    expect(tab).to_have_attribute("aria-selected", "true")
    settled(page)


def show(page: Page, name: str) -> None:
    """Choose a sweep that is kept."""
    choose_in(page, page.get_by_label("Sweep", exact=True), re.compile(name))
    settled(page)


def saved(page: Page, label: str) -> str:
    """What a download button gives."""
    if not page.get_by_role("button", name=label, exact=True).is_visible():
        page.get_by_role("button", name="Take along").click()
    with page.expect_download() as download:
        page.get_by_role("button", name=label, exact=True).click()
    return Path(download.value.path()).read_text(encoding="utf-8")


def verdict(page: Page) -> Locator:
    return page.get_by_role("heading", name=VERDICT)


def on_the_first_screen(page: Page, part: Locator) -> None:
    box, size = part.bounding_box(), page.viewport_size
    assert box and size and box["y"] >= 0 and box["y"] + box["height"] <= size["height"], (box, size)


def test_a_small_sweep_ends_in_a_verdict_and_can_be_taken_along(page: Page, server: Server) -> None:
    open_page(page, server)
    open_form(page)
    choose_in(page, page.get_by_label("Clip", exact=True), "clapping")
    page.get_by_role("button", name="sdpa-math", exact=True).click()
    expect(page.get_by_role("button", name=re.compile("^Measure 3 cells"))).to_be_visible()
    page.get_by_role("button", name="sdpa", exact=True).click()
    expect(page.get_by_role("button", name=re.compile("^Measure 2 cells"))).to_be_visible()
    settled(page)
    measure(page)
    so_far = page.locator(".st-key-live-latency").get_by_role("figure", name="Latency of each in milliseconds")
    expect(so_far).to_be_visible()
    ended(page)
    # What was chosen is chosen still, and the next click measures it.
    expect(form(page).locator("summary")).to_contain_text("my own selection · vivit-mannequin · clip 'clapping'")
    expect(page.get_by_role("button", name=re.compile("^Measure 2 cells"))).to_be_enabled()
    expect(verdict(page)).to_contain_text("eager in float32")
    for part in (verdict(page), *page.get_by_role("figure").all()[:2]):
        on_the_first_screen(page, part)
    expect(page.locator(".st-key-status-line").get_by_role("status")).to_contain_text("eager in float32")
    lines = list(csv.DictReader(saved(page, "CSV").splitlines()))
    assert {(line["attention"], line["status"]) for line in lines} == {("eager", "ok"), ("sdpa-math", "ok")}
    assert all(float(line["median, ms"]) > 0 and float(line["peak, MiB"]) > 0 for line in lines)
    assert all(line["same top 1"] == "True" for line in lines), "both classified the clip"
    (math,) = (line for line in lines if line["attention"] == "sdpa-math")
    assert float(math["from"]) <= float(math["times as fast"]) <= float(math["to"])
    assert math["compared with"] == "eager in float32" and math["marks"] in ("", "noisy")
    kept = json.loads(saved(page, "JSON with raw samples"))
    rounds = [row["latency"]["rounds"] for row in kept["rows"]]
    assert [[r["number"] for r in row] for row in rounds] == [[*range(6)], [*range(6)]]
    assert all(r["warm"] and r["others_share"] is not None for row in rounds for r in row)
    report = saved(page, "HTML report")
    assert "<script" in report and not re.search(r"<(script|link|img)[^>]* (src|href)=", report), (
        "it needs no other file"
    )


@pytest.mark.full
def test_a_cancelled_sweep_keeps_what_is_done(page: Page, server: Server) -> None:
    open_page(page, server, "this clip, all backends")
    measure(page)
    expect(page.get_by_text(re.compile(r"^[1-9]\d* of \d+ cells have"))).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    ended(page)
    expect(
        page.get_by_role("heading", name=re.compile("^(No ratio can be told|Nothing can be compared)"))
    ).to_be_visible()
    lines = list(csv.DictReader(saved(page, "CSV").splitlines()))
    statuses = [line["status"] for line in lines]
    assert {"cancelled", "ok"} <= set(statuses) and "unavailable" not in statuses
    assert all(line["reason"] for line in lines if line["status"] != "ok"), "every row that is not ok says why"
    assert not any(line["times as fast"] for line in lines), "too few rounds to tell a ratio"


@pytest.mark.full
def test_a_sweep_outlives_a_reload_and_another_visitor_may_only_watch(
    page: Page, server: Server, context: BrowserContext
) -> None:
    open_page(page, server, "this clip, all backends")
    measure(page)
    page.reload()
    expect(page.get_by_text(ROWS)).to_be_visible()
    other = context.new_page()
    open_page(other, server)
    other.get_by_role("button", name="Watch it").click()
    expect(other.get_by_text(ROWS)).to_be_visible()
    expect(other.get_by_role("button", name="Cancel")).to_have_count(0)
    other.close()
    page.get_by_role("button", name="Cancel").click()
    ended(page)


@pytest.mark.full
def test_an_own_selection_outlives_a_reload(page: Page, server: Server) -> None:
    open_page(page, server)
    open_form(page)
    page.get_by_role("button", name="sdpa-math", exact=True).click()
    expect(page.get_by_role("button", name=re.compile("^Measure 3 cells"))).to_be_visible()
    choose_in(page, page.get_by_label("Clip", exact=True), "clapping")
    expect(form(page).locator("summary")).to_contain_text("clip 'clapping'")
    page.get_by_role("radio", name="10 min").click()
    expect(page.get_by_role("radio", name="10 min")).to_be_checked()
    settled(page)
    page.reload()
    expect(page.get_by_role("button", name=re.compile("^Measure 3 cells"))).to_be_visible()
    expect(form(page).locator("summary")).to_contain_text("my own selection · vivit-mannequin · clip 'clapping'")
    open_form(page)
    expect(page.get_by_role("radio", name="10 min")).to_be_checked()


@pytest.mark.full
def test_a_link_names_a_sweep_and_one_that_is_gone_is_told(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/benchmark?sweep=gone")
    expect(page.get_by_text("The link asks for what is not to be had here: the sweep 'gone'")).to_be_visible()
    page.goto(f"{server.url}/benchmark?sweep=h100-documentation-tables")
    expect(page.get_by_label("Sweep", exact=True)).to_have_value(re.compile("NVIDIA H100.*tables, ours"))
    expect(page.get_by_text("The link asks")).to_have_count(0)
    show(page, "NVIDIA H100.*tables, transformers")
    expect(page).to_have_url(re.compile("sweep=h100-documentation-tables-transformers"))


@pytest.mark.full
def test_every_tab_of_a_recorded_sweep_is_there_on_any_machine(page: Page, server: Server) -> None:
    open_page(page, server)
    show(page, "NVIDIA H100.*tables, ours")
    expect(
        page.get_by_role("heading", name=re.compile("^On NVIDIA H100 80GB HBM3, .* times as fast as eager"))
    ).to_be_visible()
    expect(page.get_by_role("button", name="Delete")).to_have_count(0)
    page.get_by_role("radio", name="batch size 8", exact=True).click()
    expect(
        page.get_by_role("heading", name=re.compile(r"^On NVIDIA H100 80GB HBM3 \(batch size 8\), "))
    ).to_be_visible()
    expect(page.get_by_role("figure", name="How many times as fast each cell is")).to_be_visible()
    page.get_by_text("The documentation's percentages").click()
    expect(page.get_by_text("100 % is twice as fast")).to_be_visible()
    open_tab(page, "Scaling")
    for title in ("Latency in ms by batch size, float32", "Memory in MiB by batch size, float16"):
        expect(page.get_by_role("figure", name=title)).to_be_visible()
    open_tab(page, "Agreement")
    expect(page.get_by_role("region", name="Agreement of each cell with eager float32")).to_be_visible()
    open_tab(page, "Why")
    for question in (
        "Which kernel ran?",
        "Where do eager's time and memory go",
        "Why are float16 and bfloat16 fast here?",
    ):
        expect(page.get_by_text(question).first).to_be_visible()
    open_tab(page, "Everything measured")
    expect(page.get_by_role("region", name="Every cell with every figure")).to_be_visible()
    expect(page.get_by_role("figure", name="Latency and memory of every cell")).to_be_visible()
    open_tab(page, "The documentation's tables")
    for mode in ("inference", "training"):
        expect(page.get_by_role("heading", name=f"The documentation's {mode} table")).to_be_visible()
    expect(page.get_by_text("has its two memory columns swapped").first).to_be_visible()
    open_tab(page, "Two sweeps")
    choose_in(page, page.get_by_label("Beside", exact=True), re.compile("transformers"))
    both = page.get_by_role("figure", name="Latency of both sweeps")
    expect(both).to_be_visible()
    expect(page.get_by_role("figure", name="Peak memory of both sweeps")).to_be_visible()
    expect(page.get_by_text("as two sweeps of different times")).to_be_visible()
    open_tab(page, "Ratios")
    expect(page.get_by_text("100 % is twice as fast")).to_be_visible()  # the toggle is as it was left
    open_tab(page, "Two sweeps")
    expect(both).to_be_visible()


@pytest.mark.full
@pytest.mark.parametrize("size", [(1440, 900), (1920, 1080)])
def test_sixteen_cells_and_their_verdict_are_on_the_first_screen(
    page: Page, server: Server, size: tuple[int, int]
) -> None:
    backends = ("eager", "sdpa", "sdpa-math", "sdpa-flash")
    cells = [Cell("m", a, p) for p in ("float32", "float16", "bfloat16", "float16-weights") for a in backends]
    rows = [row(cell, *[(100.0 + 10 * k,)] * 6) for k, cell in enumerate(cells)]
    file = save(result(*rows, id="sixteen"), server.log.parent / "results")
    try:
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.goto(f"{server.url}/benchmark?sweep=sixteen")
        charts = page.get_by_role("figure")
        expect(charts.nth(1)).to_be_visible()
        settled(page)
        for part in (verdict(page), charts.nth(0), charts.nth(1)):
            on_the_first_screen(page, part)
    finally:
        file.unlink()


CHARTS = """
import streamlit as st

from ui.charts import show_cells
from ui.visit import visit
from vivit.benchmark.charts import Bar, by_precision

st.set_page_config(layout="wide")
visit().present = "present" in st.query_params
BARS = [
    Bar(f"{attention} in {precision}", attention, precision, ms, ms / 2, 1.3 * ms, 900.0, 4000.0, "", mark, mark, attention)
    for precision in ("float32", "float16")
    for attention, ms, mark in (("eager", 1260.0, "cold, one process"), ("sdpa", 260.0, "noisy"), ("sdpa-math", 1260.0, ""))
]
show_cells(BARS, ("a", "b"), "batch size 1", by_precision(BARS))
show_cells(BARS, ("c", "d"), "batch size 1")
"""


@pytest.fixture(scope="module")
def charts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with a page of nothing but charts."""
    with serving_script(CHARTS, tmp_path_factory.mktemp("charts")) as url:
        yield url


@pytest.mark.full
@pytest.mark.parametrize(
    ("width", "mode"), some([(420, ""), (1440, ""), (1440, "?present"), (1920, "?present")], (420, ""))
)
def test_no_value_is_cut_off_and_bars_have_room(context: BrowserContext, charts: str, width: int, mode: str) -> None:
    page = context.new_page()
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(charts + mode)
    expect(page.locator(".js-plotly-plot")).to_have_count(4)
    settled(page)
    cut_off = page.locator(".js-plotly-plot").evaluate_all(
        """charts => charts.flatMap(chart => {
            const edge = chart.getBoundingClientRect().right
            return [...chart.querySelectorAll('text')].filter(text => text.getBoundingClientRect().right > edge + 0.5)
        }).map(text => text.textContent)"""
    )
    assert page.locator(".js-plotly-plot text").count() > 40
    shares = page.locator(".js-plotly-plot").evaluate_all(
        """charts => charts.map(chart => {
            const widths = [...chart.querySelectorAll('.bars .point')].map(bar => bar.getBoundingClientRect().width)
            return Math.max(...widths) / chart.querySelector('.bglayer, .plot').closest('svg').clientWidth
        })"""
    )
    assert not cut_off
    assert min(shares) > 0.1 and min(shares[1::2]) > 0.25, "of the chart's width: latencies with long marks, memories"


@pytest.mark.full
def test_a_sweep_is_measured_again_and_deleted(page: Page, server: Server) -> None:
    open_page(page, server)
    open_form(page)
    page.get_by_role("button", name="sdpa", exact=True).click()
    expect(page.get_by_role("button", name=re.compile("^Measure 1 cell,"))).to_be_visible()
    settled(page)
    measure(page)
    ended(page)
    expect(page.get_by_role("heading", name="One cell alone")).to_be_visible()
    names = page.get_by_label("Sweep", exact=True)
    first = names.input_value()
    page.get_by_role("button", name=AGAIN).click()
    expect(page.get_by_text(ROWS)).to_be_visible()
    ended(page)
    expect(names).not_to_have_value(first)
    second = names.input_value()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Delete this sweep").click()
    expect(names).not_to_have_value(second)
    settled(page)
    names.click()
    expect(page.get_by_role("option", name=first)).to_be_visible()
    expect(page.get_by_role("option", name=second)).to_have_count(0)


@pytest.mark.full
def test_it_begins_with_what_classify_has_chosen(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/?clip=clapping&attention=sdpa-math&precision=float16-weights")
    answered(page)
    page.get_by_role("link", name="Benchmark").click()
    expect(form(page).locator("summary")).to_contain_text("vivit-mannequin · clip 'clapping'")
    open_form(page)
    choose_in(page, page.get_by_label("What to measure"), "my own selection")
    for name in ("sdpa-math", "float16-weights"):
        expect(page.get_by_role("button", name=name, exact=True)).to_have_attribute("aria-pressed", "true")


@pytest.mark.full
def test_what_does_not_run_here_is_named_once_and_not_measured(page: Page, server: Server) -> None:
    open_page(page, server, "this clip, all backends")
    open_form(page)
    count = 40 if has_vnni() else 45  # without VNNI, those of 'int8-dynamic' do not run either
    expect(page.get_by_text(f"{count} of 70 cells do not run here and are left out.")).to_be_visible()
    expect(page.get_by_text("'sdpa-cudnn' runs on CUDA GPUs only")).to_have_count(1)


@pytest.mark.full
def test_an_empty_selection_teaches(page: Page, server: Server) -> None:
    open_page(page, server)
    open_form(page)
    for name in ("eager", "sdpa"):
        page.get_by_role("button", name=name, exact=True).click()
    expect(page.get_by_text("Choose at least one attention backend")).to_be_visible()


@pytest.mark.full
def test_a_visitors_own_clip_can_be_measured(page: Page, server: Server, tmp_path: Path) -> None:
    page.goto(server.url)
    page.locator("input[type=file]").set_input_files(write_clip(tmp_path / "secret name.mp4", 40, size=(320, 240)))
    expect(page.get_by_text("Yours: secret name.mp4")).to_be_visible()
    page.get_by_role("link", name="Benchmark").click()
    expect(form(page).locator("summary")).to_contain_text("clip 'an uploaded clip'")
    settled(page)
    measure(page)
    expect(page.get_by_text(re.compile(r"^[1-9]\d* of \d+ cells have"))).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    ended(page)
    kept = json.loads(saved(page, "JSON with raw samples"))
    assert kept["clip"] == "an uploaded clip", "its name is not for those who open the sweep"
    page.get_by_role("link", name="Classify").click()
    page.locator("input[type=file]").set_input_files(write_clip(tmp_path / "another.mp4", 40, size=(320, 240)))
    expect(page.get_by_text("Yours: another.mp4")).to_be_visible()
    page.get_by_role("link", name="Benchmark").click()
    expect(page.get_by_role("button", name="Measure this again", exact=True)).to_be_disabled()  # the clip is another
