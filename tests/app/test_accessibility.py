"""What those need who see little or nothing, or use no mouse, on the pages of the app itself."""

import re
import threading

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.app.aids import CONTRAST, skip, status
from tests.app.axe import violations
from tests.app.conftest import SCHEMES, Scheme, Server, answered, settled
from tests.shorter import some

pytestmark = pytest.mark.browser

CAPTIONS = "[data-testid=stCaptionContainer] p"
PRIMARY = "[data-testid=stBaseButton-primary]:enabled p"
CHOSEN = "[role=radiogroup] button[aria-checked=true] p"


def open_page(page: Page, server: Server, path: str) -> None:
    """Open a page of the app, and wait until it is at rest and the scripts that draw its parts have come."""
    page.goto(server.url + path)
    if path == "/":
        answered(page)
    else:
        expect(page.get_by_label("Sweep", exact=True)).to_be_visible()
        settled(page)
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    ("path", "kinds"),
    some([("/", [CAPTIONS, CHOSEN]), ("/benchmark", [CAPTIONS, PRIMARY, CHOSEN])], ("/", [CAPTIONS, CHOSEN])),
    ids=["/", "/benchmark"],
)
def test_axe_has_nothing_against_the_pages_which_can_be_read_and_skip_to_their_controls(
    context: BrowserContext, server: Server, path: str, kinds: list[str], scheme: Scheme
) -> None:
    page = context.new_page()
    page.emulate_media(color_scheme=scheme)
    open_page(page, server, path)
    found = violations(page)
    for tab in page.get_by_role("tab").all()[1:]:
        tab.click()
        expect(tab).to_have_attribute("aria-selected", "true")
        settled(page)
        expect(page.get_by_test_id("stSkeleton")).to_have_count(0)
        found += violations(page)
    for kind in kinds:
        ratios = page.locator(kind).evaluate_all(f"nodes => nodes.map({CONTRAST})")
        assert ratios, f"no {kind}"
        found += [f"a contrast of {ratio:.2f}: {kind}" for ratio in ratios if ratio < 4.5]
    assert not found, "\n\n".join(found)
    if path == "/":
        expect(status(page)).not_to_be_empty()  # it says the answer
    skip(page)


@pytest.mark.full
def test_what_draws_a_page_may_come_late_and_greys_no_title_meanwhile(context: BrowserContext, server: Server) -> None:
    page = context.new_page()
    held: list[Route] = []
    come = threading.Event()
    page.route(
        re.compile(r"/(BidiComponent|Button)\.[^/]*\.js$"),
        lambda route: route.continue_() if come.is_set() else held.append(route),
    )
    page.goto(server.url + "/benchmark")
    expect(page.get_by_label("Sweep", exact=True)).to_be_visible()
    settled(page)
    greys = page.locator(".st-key-frame [data-testid=stSkeleton]")
    expect(greys).to_have_count(3)
    for grey in greys.all():
        expect(grey).to_be_hidden()
    assert page.locator(PRIMARY).count() == 0
    come.set()
    for route in held:
        route.continue_()
    expect(page.locator(PRIMARY)).to_have_count(1)


def test_axe_sees_what_is_wrong(context: BrowserContext) -> None:
    page = context.new_page()
    page.set_content(
        "<html lang=en><title>A</title><main><h1>B</h1><p style='color: #aaa'>Not to be read</p><input></main>"
    )
    assert [found.split()[0] for found in violations(page)] == ["color-contrast", "label"]
    assert page.locator("p").evaluate(CONTRAST) == pytest.approx(2.32, abs=0.01)
