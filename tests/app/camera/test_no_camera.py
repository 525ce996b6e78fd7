"""A camera that is not to be had, is lost, or whose pictures the server refuses: a sentence says so."""

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.app.camera.tab import START, a_page, heard, is_off, open_live, start
from tests.app.conftest import FAKE, Server, another

pytestmark = pytest.mark.browser

BROKEN = "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', '%s') }"


def no_camera(page: Page, server: Server, sentence: str) -> None:
    """'Live' and the recorder of 'Classify' both say the sentence, and no picture is sent."""
    pictures = heard(page, "picture")
    for address, button in (("/live", START), ("/?source=Camera", "Record 6 s")):
        page.goto(server.url + address)
        page.get_by_role("button", name=button).click()
        expect(page.get_by_role("alert").filter(has_text=sentence)).to_be_visible()
        expect(page.get_by_role("button", name=button)).to_be_visible()
        expect(page.get_by_text("Camera on", exact=True)).to_be_hidden()
    assert not pictures


def test_refused(with_camera: Browser, server: Server) -> None:
    with a_page(with_camera) as page:
        no_camera(page, server, "The camera was refused. Allow it for this page")


@pytest.mark.full
def test_absent(browser: Browser, server: Server) -> None:
    with another(browser, f"{FAKE}=device-count=0") as without, a_page(without, "camera") as page:
        no_camera(page, server, "There is no camera on this device.")


@pytest.mark.full
def test_taken(page: Page, server: Server) -> None:
    page.add_init_script(BROKEN % "NotReadableError")
    no_camera(page, server, "Another program has the camera")


@pytest.mark.full
def test_away_from_this_machine_without_https(page: Page, server: Server) -> None:
    page.add_init_script("Object.defineProperty(Navigator.prototype, 'mediaDevices', { get: () => undefined })")
    no_camera(page, server, "Browsers give a camera only to pages over https or on this machine itself.")


@pytest.mark.full
def test_a_camera_that_is_pulled_out(page: Page, server: Server) -> None:
    open_live(page, server)
    start(page)
    page.evaluate("for (const track of window.tracks) track.dispatchEvent(new Event('ended'))")
    expect(page.get_by_role("alert").filter(has_text="The camera has gone.")).to_be_visible()
    is_off(page)


@pytest.mark.full
def test_what_the_server_refuses_puts_the_camera_out_with_its_sentence(with_camera: Browser, server: Server) -> None:
    with a_page(with_camera, "camera", meant=r"403 \(Forbidden\)") as page:
        open_live(page, server)
        page.route(
            "**/camera/picture",
            lambda route: route.continue_(headers=route.request.headers | {"x-camera-token": "none"}),
        )
        page.get_by_role("button", name=START).click()
        refusal = page.get_by_role("alert").filter(has_text="This page is no longer known here; reload it.")
        expect(refusal).to_be_visible()
        is_off(page)
