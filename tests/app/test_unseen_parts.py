"""Keys, the skip link and the status line: the components of which nothing is seen, on a page of their own."""

import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.app.aids import skip, status
from tests.app.conftest import serving_script
from ui.components import status_line
from ui.components.stamp import OVERTAKEN

pytestmark = pytest.mark.browser

SCRIPT = """
import time

import streamlit as st

from ui.components.keys import keys
from ui.components.skip_link import skip_link
from ui.components.status_line import announce

state = st.session_state
state["runs"] = state.get("runs", 0) + 1
heard = state.setdefault("heard", [])
time.sleep(float(st.query_params.get("seconds", 0)))
if "bare" not in st.query_params:
    skip_link()
    announce(state.get("said", ""))
    if "haste" in st.query_params and "said" not in state:
        state.said = "In haste"
        time.sleep(0.3)
        st.rerun()
    if not state.get("deaf"):
        heard.append(keys())
st.text(f"Heard: {' '.join(filter(None, heard))}.")
st.video("vivit/assets/clips/applauding.mp4", width=200, loop=True, muted=True)
st.text_input("Field")
st.button("Run again")
st.segmented_control("Segments", ["one", "two"], default="one", required=True)
st.slider("Slider", 1, 9, 5)
st.link_button("Link", "#nowhere")
st.checkbox("Deaf", key="deaf")
for word in ("Done", ""):
    st.button(f"Say '{word}'", on_click=state.update, kwargs={"said": word})
st.image("vivit/assets/clips/applauding.jpg")
with st.popover("Popover"):
    st.text("In the popover")
st.dialog("Dialog")(lambda: st.text("In the dialog"))() if st.button("Ask") else None
with st.container(key="controls"):
    st.button("Not now", disabled=True)
    st.selectbox("Control", ["a", "b"])
st.container(height=2000)
st.text(f"Runs: {state.runs}.")  # last, so that all the rest is there
"""
# Streamlit makes a URL of a component's script and imports that URL; the status line gets one that a test can hold back.
LATE = """
const [make, PlainBlob] = [URL.createObjectURL, Blob]
Blob = class extends PlainBlob {
    constructor(parts, options) {
        super(parts, options)
        this.late = String(parts[0]).includes('st-bidi-status_line')
    }
}
URL.createObjectURL = blob => blob.late ? new URL('/late.js', location).href : make.call(URL, blob)
"""
# The listener for keys is the one on the document that can be aborted.
LISTENS = """
const listen = document.addEventListener
document.addEventListener = function (kind, hear, options) {
    window.listens ||= kind === 'keydown' && Boolean(options?.signal)
    return listen.call(this, kind, hear, options)
}
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with a page of nothing but the parts."""
    with serving_script(SCRIPT, tmp_path_factory.mktemp("parts")) as url:
        yield url


@pytest.fixture
def parts(context: BrowserContext, url: str) -> Page:
    page = context.new_page()
    page.add_init_script(LISTENS)
    open_parts(page, url)
    return page


def open_parts(page: Page, url: str) -> None:
    """Open the small page, and wait until the scripts of all its parts have run."""
    page.goto(url)
    expect(page.get_by_text("Runs: 1.")).to_be_visible()
    expect(status(page)).to_be_attached()
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0)
    page.wait_for_function("window.listens")


def heard(page: Page, *names: str, runs: int) -> None:
    """These keys and no others were heard, and the page is at rest."""
    expect(page.get_by_text(f"Runs: {runs}.")).to_be_visible()
    page.wait_for_timeout(300)
    expect(page.get_by_text(f"Heard: {' '.join(names)}.")).to_be_visible()
    expect(page.get_by_text(f"Runs: {runs}.")).to_be_visible()


def test_the_parts_take_no_room(parts: Page, url: str) -> None:
    def top() -> float:
        box = parts.get_by_text("Heard:").bounding_box()
        assert box
        return box["y"]

    with_them = top()
    parts.goto(f"{url}?bare")
    expect(parts.get_by_text("Runs: 1.")).to_be_visible()
    assert with_them == top()


def test_the_skip_link_leads_to_the_first_control_that_can_be_used(parts: Page) -> None:
    skip(parts)
    expect(parts.get_by_role("combobox", name="Control")).to_be_focused()
    heard(parts, runs=1)


def test_what_is_announced_is_set_when_it_changes(parts: Page) -> None:
    expect(status(parts)).to_be_empty()
    box = status(parts).bounding_box()
    assert box and box["width"] <= 1 and box["height"] <= 1
    status(parts).evaluate("""node => {
        window.sets = []
        new MutationObserver(all => window.sets.push(node.textContent)).observe(node, { childList: true })
    }""")
    for runs, (name, said) in enumerate(
        (("Say 'Done'", "Done"), ("Run again", "Done"), ("Say ''", ""), ("Say 'Done'", "Done")), 2
    ):
        parts.get_by_role("button", name=name).click()
        expect(status(parts)).to_have_text(said)
        heard(parts, runs=runs)
    assert parts.evaluate("window.sets") == ["Done", "", "Done"]  # of the node that was there from the first


def test_what_has_been_overtaken_is_not_said(parts: Page) -> None:
    said = parts.evaluate(
        """async script => {
            const line = document.createElement('div')
            line.innerHTML = '<div role="status"></div>'
            const url = URL.createObjectURL(new Blob([script], { type: 'text/javascript' }))
            const { default: draw } = await import(url)
            return [[2, 'Done'], [1, ''], [2, 'Done'], [3, 'Next']].map(([stamp, text]) => {
                draw({ data: { stamp, text }, parentElement: line })
                return line.textContent
            })
        }""",
        OVERTAKEN + status_line.JS,
    )
    assert said == ["Done", "Done", "Done", "Next"]


@pytest.mark.full
def test_the_last_text_stands_even_if_the_script_comes_late(context: BrowserContext, url: str) -> None:
    def late(route: Route) -> None:
        time.sleep(1)  # both texts have come by then, and the browser may draw either first
        route.fulfill(body=OVERTAKEN + status_line.JS, content_type="text/javascript")

    for _ in range(3):
        page = context.new_page()
        page.add_init_script(LATE)
        page.route("**/late.js", late)
        page.goto(f"{url}?haste")
        expect(page.get_by_text("Runs: 2.")).to_be_visible()
        expect(status(page)).to_have_text("In haste")
        page.close()


def test_keys_are_heard_once(parts: Page) -> None:
    names = {"1": "1", "9": "9", "ArrowLeft": "left", "ArrowRight": "right", "Escape": "escape"}
    for runs, key in enumerate(names, 2):
        parts.keyboard.press(key)
        heard(parts, *list(names.values())[: runs - 1], runs=runs)
    for key in ("0", "q", "ArrowUp", "Control+1", "Alt+2", "Meta+3"):
        parts.keyboard.press(key)
    heard(parts, *names.values(), runs=6)
    parts.locator("main").click(position={"x": 5, "y": 300})  # which gives <main> the focus
    parts.keyboard.down("Escape")
    for _ in range(3):
        parts.keyboard.down("Escape")  # as a key that is held repeats
    heard(parts, *names.values(), "escape", runs=7)
    parts.emulate_media(color_scheme="dark")
    parts.wait_for_timeout(500)
    parts.keyboard.press("2")
    heard(parts, *names.values(), "escape", "2", runs=8)
    parts.get_by_text("Deaf").click()
    heard(parts, *names.values(), "escape", "2", runs=9)
    parts.evaluate("document.activeElement.blur()")
    parts.keyboard.press("3")
    heard(parts, *names.values(), "escape", "2", runs=9)


@pytest.mark.full
def test_a_key_is_heard_even_if_its_run_is_cut_short(parts: Page, url: str) -> None:
    open_parts(parts, f"{url}?seconds=1")
    parts.keyboard.press("1")
    parts.wait_for_function("document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'running'")
    parts.get_by_role("button", name="Run again").click()
    heard(parts, "1", runs=3)


def test_the_space_bar_starts_and_stops_the_video(parts: Page) -> None:
    video = parts.locator("video")
    for paused in (False, True, False):
        parts.keyboard.press("Space")
        expect(video).to_have_js_property("paused", paused)
    parts.locator("main").focus()
    parts.keyboard.press("Space")
    expect(video).to_have_js_property("paused", True)
    heard(parts, runs=1)
    assert parts.locator("main").evaluate("node => node.scrollTop") == 0
    parts.get_by_role("button", name="Run again").focus()
    parts.keyboard.press("Space")  # a press of the button
    heard(parts, runs=2)
    expect(video).to_have_js_property("paused", True)


@pytest.mark.full
def test_keys_are_left_to_the_control_with_the_focus(parts: Page) -> None:
    controls = [
        parts.get_by_role("button", name="Run again"),
        parts.get_by_role("radio", name="one"),
        parts.get_by_role("link", name="Link"),
        parts.locator("video"),
        parts.get_by_role("checkbox"),
        parts.get_by_role("slider"),
    ]
    for control in controls:
        control.focus()
        expect(control).to_be_focused()
        parts.keyboard.press("1")
    parts.locator("video").focus()
    parts.keyboard.press("ArrowRight")
    heard(parts, runs=1)
    names = []
    for runs, control in enumerate(controls, 2):
        control.focus()
        parts.keyboard.press("Escape")  # which says nothing to them
        names.append("escape")
        heard(parts, *names, runs=runs)
    for control in (parts.get_by_role("textbox", name="Field"), parts.get_by_role("combobox", name="Control")):
        control.focus()
        parts.keyboard.press("1")
        parts.keyboard.press("Escape")
        control.blur()
    expect(parts.get_by_role("textbox", name="Field")).to_have_value("1")
    expect(parts.get_by_text(re.compile(r"Heard: (escape ?){6}\."))).to_be_visible()


def test_what_is_open_has_the_keys(parts: Page) -> None:
    parts.get_by_role("button", name="Popover").click()
    inside = parts.get_by_text("In the popover")
    expect(inside).to_be_visible()
    parts.keyboard.press("1")
    parts.keyboard.press("Escape")
    expect(inside).to_be_hidden()
    parts.get_by_test_id("stMainMenu").get_by_role("button").click()
    inside = parts.get_by_text("Print")
    expect(inside).to_be_visible()
    parts.keyboard.press("Escape")
    expect(inside).to_be_hidden()
    parts.get_by_test_id("stImage").hover()
    parts.get_by_role("button", name="Fullscreen").click()
    inside = parts.get_by_role("button", name="Close fullscreen")
    expect(inside).to_be_attached()
    parts.keyboard.press("Escape")
    expect(inside).to_have_count(0)
    heard(parts, runs=1)
    parts.get_by_role("button", name="Ask").click()
    inside = parts.get_by_text("In the dialog")
    expect(inside).to_be_visible()
    parts.keyboard.press("1")
    parts.keyboard.press("Escape")
    expect(inside).to_be_hidden()
    heard(parts, runs=2)
    parts.keyboard.press("Escape")
    heard(parts, "escape", runs=3)
