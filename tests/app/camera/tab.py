"""A tab that may have the camera: what is done in the tab, and what it sends to the server."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Locator, Page, Request, Response, expect

from tests.app.conftest import HARMLESS, PATIENCE, Server, settled, watched

# Keeps the tracks that the camera gave, and counts how often the page asked for the camera.
WATCH = """
window.asked = 0
window.tracks = []
if (navigator.mediaDevices) {
    const give = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices)
    navigator.mediaDevices.getUserMedia = async (wanted) => {
        window.asked += 1
        const stream = await give(wanted)
        window.tracks.push(...stream.getTracks())
        return stream
    }
}
"""
START = "Start the camera"


@contextmanager
def a_page(browser: Browser, *permissions: str, meant: str = HARMLESS, **options: Any) -> Iterator[Page]:
    """A tab of its own profile. Args: meant: as `watched`'s; options: the profile's."""
    context = browser.new_context(
        **{"viewport": {"width": 1440, "height": 900}, "permissions": [*permissions]} | options
    )
    context.set_default_timeout(PATIENCE * 1e3)
    context.add_init_script(WATCH)
    with watched(context, meant):
        yield context.new_page()
    context.close()


def heard(page: Page, kind: str) -> list[Request]:
    """The requests to a route of the camera's: a list that grows as they are sent."""
    found: list[Request] = []
    page.on("request", lambda request: found.append(request) if request.url.endswith(f"/camera/{kind}") else None)
    return found


def told(page: Page) -> list[dict[str, Any]]:
    """What the server answers to pictures, with the time each was taken, in ms: a list that grows as answers come."""
    found: list[dict[str, Any]] = []

    def hear(response: Response) -> None:
        if response.url.endswith("/camera/picture") and response.ok:
            found.append(response.json() | {"taken": float(response.request.headers["x-camera-taken"])})

    page.on("response", hear)
    return found


def open_live(page: Page, server: Server, query: str = "") -> None:
    page.goto(f"{server.url}/live{query}")
    expect(page.get_by_role("button", name=START)).to_be_visible()
    settled(page)


def start(page: Page) -> None:
    page.get_by_role("button", name=START).click()
    expect(page.get_by_text("Camera on", exact=True)).to_be_visible()


def label(page: Page) -> Locator:
    return page.locator(".said .label")


def until(page: Page, there: Callable[[], object]) -> None:
    """Wait until something is so, and let the browser's events in meanwhile."""
    for _ in range(1200):
        if there():
            return
        page.wait_for_timeout(100)
    raise AssertionError("did not happen in time")


def is_off(page: Page) -> None:
    """Every track has ended, and no picture is sent any more."""
    page.wait_for_function("window.tracks.length && window.tracks.every(track => track.readyState === 'ended')")
    sent = heard(page, "picture")
    page.wait_for_timeout(1000)  # five pictures' time
    assert not sent


def open_recorder(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/?source=Camera")
    expect(page.get_by_role("button", name="Record 6 s")).to_be_visible()
    settled(page)
