"""The paper's four models in a real browser: the choice among those with random weights, and several on one clip."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.app.conftest import Server, answered, choose_in, settled
from tests.four_models import write_four
from ui.checkpoints import FOLDER

pytestmark = pytest.mark.browser


@pytest.fixture
def two(page: Page, server: Server, tmp_path: Path) -> list[str]:
    """The names of two tiny checkpoints, models 1 and 2, that this visit has used; the page is left with the first."""
    four = write_four(tmp_path)
    page.goto(f"{server.url}/?checkpoint={FOLDER}")
    for kind in ("encoder", "none"):
        page.get_by_label("Folder").fill(str(four[kind]))
        page.get_by_label("Folder").press("Enter")
        expect(page.locator(".st-key-predictions")).to_be_visible()
        answered(page)
    return [four["none"].name, four["encoder"].name]


def choose_beside(page: Page, other: str) -> None:
    choose_in(page, page.get_by_role("combobox", name="Models beside it"), other)
    page.keyboard.press("Escape")  # shuts the list
    settled(page)


@pytest.mark.full
def test_a_model_is_chosen_beside_random_weights_and_outlasts_a_reload(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/?checkpoint=vivit-b-16x2-random")
    expect(page.get_by_text("3,137 tokens")).to_be_visible()
    choose_in(page, page.get_by_role("combobox", name="Model", exact=True), re.compile("^3 · self-attention"))
    steps = page.get_by_text("196 × 16² over time, then 16 × 196² over space scores a head")
    expect(steps).to_be_visible()
    settled(page)
    expect(page).to_have_url(re.compile("model=3.*self-attention"))
    box = page.get_by_role("combobox", name="Model", exact=True)
    expect(box).to_have_value("3 · self-attention")
    assert box.evaluate("box => box.scrollWidth <= box.clientWidth"), "the longest is not cut"
    page.reload()
    expect(steps).to_be_visible()
    expect(page.get_by_text("The link asks for")).to_have_count(0)


@pytest.mark.full
def test_a_trained_checkpoint_has_no_such_choice(page: Page, server: Server) -> None:
    page.goto(server.url)
    expect(page.get_by_text("Latency:").first).to_be_visible()
    expect(page.get_by_role("combobox", name="Model", exact=True)).to_have_count(0)


@pytest.mark.full
def test_two_models_side_by_side_are_told_apart_and_compared(page: Page, two: list[str]) -> None:
    first, second = two
    page.get_by_role("button", name="Choose cells…").click()
    choose_beside(page, second)
    # A checkpoint that takes other frames cannot be chosen, and the reason is given.
    expect(page.get_by_text("takes 32 frames of 128 × 128 pixels, not 4 frames of 32 × 32 pixels")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name=re.compile("^Compare, about")).click()
    said = page.get_by_role("heading", name=re.compile("^With sdpa in float32, "))
    expect(said).to_contain_text(first, timeout=300_000)
    expect(said).to_contain_text(f"{second} answers '")
    expect(said).not_to_contain_text("not all give")
    ticks = page.locator(".st-key-side-by-side-latency .ytick text")
    assert [text.strip() for text in ticks.all_text_contents()].count(second) == 4, "a bar in each of four cells"


@pytest.mark.full
def test_a_sweep_of_two_models_compares_them(page: Page, server: Server, two: list[str]) -> None:
    first, second = two
    page.get_by_role("link", name="Benchmark").click()
    form = page.locator(".st-key-form")
    form.locator("summary").click()
    expect(page.get_by_label("What to measure")).to_be_visible()
    settled(page)  # drawing the page again would shut an open list
    choose_in(page, page.get_by_label("What to measure"), "my own selection")
    settled(page)
    choose_beside(page, second)
    page.get_by_role("radio", name="10 min", exact=True).click()  # so that even a slow machine leaves no cell out
    page.get_by_role("button", name=re.compile("^Measure .*4 cells, about")).click()
    said = page.get_by_role("heading", name=re.compile(r"^On .* \(batch size 1\), sdpa in float32: "))
    expect(said).to_contain_text(second, timeout=600_000)
    settled(page)
    ticks = page.locator(".st-key-bench-latency .ytick text").all_text_contents()
    assert [text.strip() for text in ticks] == ["eager in float32", first, second, "sdpa in float32", first, second]
    page.get_by_role("tab", name="Models", exact=True).click()
    expect(page.locator(".st-key-bench-models")).to_contain_text(f"{second} beside {first}, sdpa")
