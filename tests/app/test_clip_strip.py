"""The strip of pictures in a page of its own, in a real browser."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.app.conftest import Scheme, serving_script

pytestmark = pytest.mark.browser

SCRIPT = """
import time

import streamlit as st

from ui.components.clip_strip import Tile, clip_strip

PICTURE = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
state, asked = st.session_state, st.query_params
state.setdefault("chosen", asked.get("chosen", ""))
state.setdefault("reports", [])
state["runs"] = state.get("runs", 0) + 1
time.sleep(float(asked.get("seconds", 0)))
tiles = [Tile(f"t{i}", f"Clip {i} of these", PICTURE) for i in range(int(asked.get("tiles", 8)))]
tiles[3] = Tile("t3", "<b>bold</b><img src=x onerror=alert(1)>", "https://example.org/a.png", "1.2 MB")
tiles[6] = Tile("t6", "Clip that is refused", PICTURE)
if state.get("more"):
    tiles = [Tile("new", "Clip that came later", PICTURE), *tiles[:2], *tiles[3:][::-1]]
if not state.get("without"):
    clicked = clip_strip(tiles, state.chosen, key="strip", label="Clips")
    if clicked is not None:
        state.reports.append(clicked)
        state.chosen = state.chosen if clicked == "t6" else clicked
        st.rerun()
st.text(f"Reported: {' '.join(state.reports)}.")
st.button("Run again")
st.checkbox("Other tiles", key="more")
st.checkbox("Without", key="without")
st.button("Choose t1", on_click=lambda: state.update(chosen="t1"))
st.container(height=2000)
st.text(f"Runs: {state.runs}.")  # last, so that all the rest is there
"""
CONTRAST = """node => {
    const rgb = text => {
        const canvas = new OffscreenCanvas(1, 1).getContext('2d')
        canvas.fillStyle = text
        canvas.fillRect(0, 0, 1, 1)
        return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3)
    }
    const luminance = text => rgb(text)
        .map(c => c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0)
    const style = getComputedStyle(node)
    const color = style.outlineStyle === 'none' ? style.color : style.outlineColor
    for (; getComputedStyle(node).backgroundColor === 'rgba(0, 0, 0, 0)'; node = node.parentNode.host ?? node.parentNode);
    const both = [color, getComputedStyle(node).backgroundColor].map(luminance).sort((a, b) => b - a)
    return (both[0] + 0.05) / (both[1] + 0.05)
}"""
SEEN = """node => {
    const [row, tile] = [node.parentNode.getBoundingClientRect(), node.getBoundingClientRect()]
    return tile.left >= row.left && tile.right <= row.right && tile.width > 0
}"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with a page of nothing but the strip."""
    with serving_script(SCRIPT, tmp_path_factory.mktemp("strip")) as url:
        yield url


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


def tile(page: Page, i: int) -> Locator:
    return page.get_by_role("radio", name=f"Clip {i} of these", exact=True)


def opened(page: Page, address: str) -> Page:
    page.goto(address)
    expect(tile(page, 0)).to_be_attached()
    expect(page.get_by_text("Runs: 1.")).to_be_visible()
    return page


def reported(page: Page, *names: str, runs: int) -> None:
    """These clicks and no others were reported, and the page is at rest."""
    expect(page.get_by_text(f"Runs: {runs}.")).to_be_visible()
    page.wait_for_timeout(300)
    expect(page.get_by_text(f"Reported: {' '.join(names)}.")).to_be_visible()
    expect(page.get_by_text(f"Runs: {runs}.")).to_be_visible()


def checked(page: Page) -> str:
    names = page.get_by_role("radio", checked=True).evaluate_all("nodes => nodes.map(node => node.dataset.name)")
    return " ".join(names)


def focused(page: Page) -> str:
    """The name of the tile that has the focus, else the label of the element that has it."""
    name: str = page.evaluate(
        "() => { let n = document.activeElement; n = n.shadowRoot?.activeElement ?? n;"
        " return n.dataset.name ?? n.ariaLabel ?? n.innerText }"
    )
    return name


def test_a_click_chooses_and_is_reported_once(page: Page, url: str) -> None:
    opened(page, url)
    expect(page.get_by_role("radiogroup", name="Clips")).to_be_visible()
    expect(page.get_by_role("searchbox")).to_be_hidden()
    assert checked(page) == ""
    tile(page, 2).click()
    reported(page, "t2", runs=3)  # the click's run, and that of `st.rerun`
    assert checked(page) == "t2"
    tile(page, 2).click()  # which is chosen already
    page.get_by_role("button", name="Run again").click()
    reported(page, "t2", runs=4)
    page.get_by_role("button", name="Choose t1").click()
    reported(page, "t2", runs=5)
    assert checked(page) == "t1"


@pytest.mark.full
def test_what_is_clicked_is_marked_at_once_and_what_is_refused_is_not_for_long(page: Page, url: str) -> None:
    opened(page, f"{url}?chosen=t0&seconds=5")
    page.get_by_role("radio", name="refused").click()
    assert checked(page) == "t6"
    expect(tile(page, 0)).to_be_checked()
    reported(page, "t6", runs=3)
    assert checked(page) == "t0"


def test_tab_enters_once_and_leaves_once(page: Page, url: str) -> None:
    opened(page, f"{url}?tiles=40&chosen=t5")
    page.get_by_role("searchbox", name="Filter the clips").focus()
    page.keyboard.press("Tab")
    assert focused(page) == "t5"
    page.keyboard.press("Tab")
    assert focused(page) == "Run again"
    page.keyboard.press("Shift+Tab")
    assert focused(page) == "t5"
    page.get_by_role("searchbox").fill("clip 7")  # this hides the chosen tile, so Tab enters at the first shown
    page.keyboard.press("Tab")
    assert focused(page) == "t7"
    page.keyboard.press("Tab")
    assert focused(page) == "Run again"
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Space")
    reported(page, "t7", runs=3)


def test_arrows_choose_and_the_focus_stays(page: Page, url: str) -> None:
    opened(page, f"{url}?chosen=t0")
    tile(page, 0).focus()
    runs = 1
    steps = {"ArrowRight": "t1", "ArrowDown": "t2", "ArrowLeft": "t1", "ArrowUp": "t0", "End": "t7", "Home": "t0"}
    for k, (key, name) in enumerate(steps.items()):
        page.keyboard.press(key)
        runs += 2
        reported(page, *list(steps.values())[: k + 1], runs=runs)
        assert checked(page) == focused(page) == name
    page.keyboard.press("ArrowLeft")
    reported(page, *steps.values(), "t7", runs=runs + 2)
    assert focused(page) == "t7"


@pytest.mark.full
def test_a_hurried_hand_sees_no_step_back(page: Page, url: str) -> None:
    opened(page, f"{url}?chosen=t0&seconds=0.3")
    tile(page, 0).focus()
    page.get_by_role("radiogroup").evaluate("""group => {
        window.seen = []
        const look = () => window.seen.push(group.querySelector('[aria-checked=true]').dataset.name)
        new MutationObserver(look).observe(group, {subtree: true, attributeFilter: ['aria-checked']})
    }""")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(150)
    expect(page.get_by_text(re.compile(r"Reported: .*t5\."))).to_be_visible()
    page.wait_for_timeout(1000)
    seen = page.evaluate("window.seen")
    assert seen == sorted(seen) and seen[-1] == "t5"
    assert checked(page) == focused(page) == "t5"


def test_the_chosen_one_is_in_view_and_the_page_stays(page: Page, url: str) -> None:
    page.set_viewport_size({"width": 420, "height": 500})
    opened(page, f"{url}?tiles=40&chosen=t30")
    scroller = page.locator("[data-testid=stMain]")
    assert scroller.evaluate("node => node.scrollHeight > node.clientHeight + 500")
    assert tile(page, 30).evaluate(SEEN) and not tile(page, 5).evaluate(SEEN)
    tile(page, 30).focus()
    page.keyboard.press("End")
    assert tile(page, 39).evaluate(SEEN)
    reported(page, "t39", runs=3)
    page.keyboard.press("Home")
    reported(page, "t39", "t0", runs=5)
    assert tile(page, 0).evaluate(SEEN)
    page.get_by_role("radiogroup").evaluate("group => group.scrollLeft = 1000")
    page.get_by_text("Other tiles").click()
    reported(page, "t39", "t0", runs=6)
    assert not tile(page, 0).evaluate(SEEN)  # who looks elsewhere is left there
    assert scroller.evaluate("node => node.scrollTop") == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    box = page.locator("[data-testid=stBidiComponentIsolated]").bounding_box()
    assert box and box["height"] <= 100


def test_the_filter_hides_and_outlives_a_run(page: Page, url: str) -> None:
    opened(page, f"{url}?tiles=40&chosen=t30")
    box = page.get_by_role("searchbox")
    page.evaluate("addEventListener('keydown', () => { window.heard = true })")
    box.press_sequentially("CLIP 1")
    assert not page.evaluate("window.heard")
    expect(page.get_by_role("radio")).to_have_count(11)
    page.get_by_role("button", name="Run again").click()
    reported(page, runs=2)
    assert box.input_value() == "CLIP 1"
    expect(page.get_by_role("radio")).to_have_count(11)
    tile(page, 10).focus()
    page.keyboard.press("End")  # the last tile that is shown
    reported(page, "t19", runs=4)
    box.fill("")
    box.press_sequentially("rc?")  # 'r' and 'c' are Streamlit's shortcuts
    expect(page.get_by_text("No clip of that name")).to_be_visible()
    expect(page.get_by_role("radio")).to_have_count(0)
    box.fill("")
    expect(page.get_by_role("radio")).to_have_count(40)
    assert tile(page, 19).evaluate(SEEN)
    expect(page.get_by_text("No clip of that name")).to_be_hidden()
    reported(page, "t19", runs=4)
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_strangers_text_is_text(page: Page, url: str) -> None:
    opened(page, url)
    label = "<b>bold</b><img src=x onerror=alert(1)>"
    stranger = page.get_by_role("radio", name=label)
    expect(stranger.get_by_text(label)).to_have_attribute("title", label)
    expect(stranger.get_by_text("1.2 MB")).to_be_visible()
    expect(stranger.locator("b")).to_have_count(0)
    expect(stranger.locator("img[src]")).to_have_count(0)
    expect(tile(page, 2).locator("img")).to_have_js_property("naturalWidth", 1)


@pytest.mark.full
def test_nodes_are_kept_by_name_and_so_is_the_focus(page: Page, url: str) -> None:
    opened(page, f"{url}?chosen=t4&seconds=0.5")
    page.get_by_role("radio").evaluate_all("nodes => nodes.forEach(node => { node.mine = node.dataset.name })")
    page.get_by_text("Other tiles").click()
    tile(page, 4).focus()  # before the others come
    order = ["new", "t0", "t1", "t7", "t6", "t5", "t4", "t3"]
    expect(tile(page, 2)).to_have_count(0)
    reported(page, runs=2)
    nodes = page.get_by_role("radio").evaluate_all("nodes => nodes.map(node => [node.dataset.name, node.mine])")
    assert nodes == [["new", None], *([name, name] for name in order[1:])]
    assert focused(page) == "t4"
    page.keyboard.press("ArrowLeft")
    reported(page, "t5", runs=4)
    assert focused(page) == "t5"


def test_what_is_taken_off_the_page_no_longer_listens(page: Page, url: str) -> None:
    opened(page, url)
    tile(page, 2).evaluate("node => { window.old = node }")
    page.get_by_role("button", name="Choose t1").click()
    expect(tile(page, 1)).to_be_checked()
    page.get_by_text("Without").click()
    expect(page.get_by_role("radiogroup")).to_have_count(0)
    reported(page, runs=3)
    page.evaluate("old.click()")
    assert page.evaluate("old.ariaChecked") == "false"
    page.get_by_text("Without").click()
    tile(page, 5).click()
    reported(page, "t5", runs=6)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_labels_and_the_focus_can_be_seen(page: Page, url: str, scheme: Scheme) -> None:
    page.emulate_media(color_scheme=scheme)
    opened(page, f"{url}?tiles=40&chosen=t2")
    for text in ("Clip 1 of these", "Clip 2 of these", "1.2 MB"):
        assert page.get_by_text(text, exact=True).evaluate(CONTRAST) >= 4.5
    background = page.locator("[data-testid=stApp]").evaluate("node => getComputedStyle(node).backgroundColor")
    assert background == {"light": "rgb(253, 252, 250)", "dark": "rgb(20, 17, 31)"}[scheme]
    page.get_by_role("searchbox").focus()
    assert page.get_by_role("searchbox").evaluate(CONTRAST) >= 3
    page.keyboard.press("Tab")
    assert tile(page, 2).evaluate("node => getComputedStyle(node).outline").endswith("solid 2px")
    assert tile(page, 2).evaluate(CONTRAST) >= 3
    chosen = tile(page, 2).locator(".frame")
    assert chosen.evaluate("node => getComputedStyle(node).outline").endswith("solid 3px")
    assert chosen.evaluate(CONTRAST) >= 3
    assert page.get_by_text("Clip 2 of these").evaluate("node => getComputedStyle(node).fontWeight") == "700"
