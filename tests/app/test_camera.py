"""A camera in a real browser: Chromium's fake one films a bundled clip, again and again from wherever it is."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, Request, Response, Route, expect

from tests.app.axe import violations
from tests.app.conftest import FLAGS, HARMLESS, INSTALLED, SCHEMES, Server, serving, settled, watched
from tests.y4m import write_y4m
from vivit.hub import ASSETS

pytestmark = pytest.mark.browser

ACTION = "side kick"  # whose clip is sure whichever 6 s of its endless repetition are taken
# Keeps what the camera gave, and counts how often it was asked for.
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
# A page that goes tells nobody of its last request.
REMEMBER = """
const send = window.fetch
window.fetch = (address, options) => {
    if (String(address).endsWith('/camera/off') && options.keepalive) localStorage.off = Number(localStorage.off ?? 0) + 1
    return send(address, options)
}
"""
BROKEN = "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', '%s') }"
START = "Start the camera"
FAKE = "--use-fake-device-for-media-stream"


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    clip = Path(ASSETS) / "clips" / f"{ACTION.replace(' ', '_')}.mp4"
    return write_y4m(clip, tmp_path_factory.mktemp("camera") / "camera.y4m")


@contextmanager
def another(browser: Browser, *flags: str) -> Iterator[Browser]:
    """A browser with a fake camera. Args: flags: what it films, or that there is none."""
    found = browser.browser_type.launch(executable_path=INSTALLED, args=[*FLAGS, FAKE, *flags])
    yield found
    found.close()


@pytest.fixture(scope="module")
def with_camera(browser: Browser, film: Path) -> Iterator[Browser]:
    with another(browser, f"--use-file-for-fake-video-capture={film}") as found:
        yield found


@contextmanager
def a_page(browser: Browser, *permissions: str, meant: str = HARMLESS, **options: Any) -> Iterator[Page]:
    """A tab of its own profile. Args: meant: as `watched`'s; options: the profile's."""
    context = browser.new_context(
        **{"viewport": {"width": 1440, "height": 900}, "permissions": [*permissions]} | options
    )
    context.set_default_timeout(60_000)
    context.add_init_script(WATCH)
    with watched(context, meant):
        yield context.new_page()
    context.close()


@pytest.fixture
def page(with_camera: Browser) -> Iterator[Page]:
    """A tab that may have the camera."""
    with a_page(with_camera, "camera") as page:
        yield page


def heard(page: Page, kind: str) -> list[Request]:
    """The requests to a route of the camera's, as they come."""
    found: list[Request] = []
    page.on("request", lambda request: found.append(request) if request.url.endswith(f"/camera/{kind}") else None)
    return found


def told(page: Page) -> list[dict[str, Any]]:
    """What the server answers to pictures, as it comes."""
    found: list[dict[str, Any]] = []

    def hear(response: Response) -> None:
        if response.url.endswith("/camera/picture") and response.ok:
            found.append(response.json() | {"taken": float(response.request.headers["x-camera-taken"])})

    page.on("response", hear)
    return found


def of_the_last_run(answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What came since windows were counted anew: the server does so where a browser on a busy machine sent none for long."""
    found = [said for said in answers if "number" in said]
    began = [k for k, said in enumerate(found) if k and said["number"] < found[k - 1]["number"]]
    return found[began[-1] if began else 0 :]


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
    """Wait, and let the browser's news in meanwhile."""
    for _ in range(1200):
        if there():
            return
        page.wait_for_timeout(100)
    raise AssertionError("did not happen in time")


def is_off(page: Page) -> None:
    """No track goes on, and nothing is sent any more."""
    page.wait_for_function("window.tracks.length && window.tracks.every(track => track.readyState === 'ended')")
    sent = heard(page, "picture")
    page.wait_for_timeout(1000)  # five pictures' time
    assert not sent


def test_the_camera_is_asked_for_on_a_click_and_the_action_is_named(page: Page, server: Server) -> None:
    pictures, answers = heard(page, "picture"), told(page)
    open_live(page, server)
    expect(page.get_by_text("The camera is off.")).to_be_visible()
    assert page.evaluate("window.asked") == 0 and not pictures
    start(page)
    expect(page.get_by_text("Filling the first window")).to_be_visible()
    expect(label(page)).to_have_text(ACTION)
    assert label(page).get_attribute("role") == "status"
    expect(page.locator(".score")).to_have_text(re.compile(r"^[89]\d\.\d %$"))
    expect(page.locator(".lag")).to_have_text(re.compile(r"^[\d.]+ s from the newest picture to the answer on screen"))
    expect(page.locator(".st-key-minute .barlayer")).to_contain_text(ACTION)
    assert page.evaluate("window.asked") == 1

    # Whatever the machine does else, no window waits for another: of those that fell due all but the last are over.
    until(page, lambda: len(of_the_last_run(answers)) > 60)
    found = of_the_last_run(answers)
    due = (found[-1]["taken"] - found[0]["newest_ms"]) / 500
    assert due - 3 <= found[-1]["number"] + found[-1]["dropped"] <= due + 1
    # And none is older than what was there when the last answer came: the picture that brought it, and the two before.
    taken = [said["taken"] for said in answers]
    first = [said for k, said in enumerate(found) if k == 0 or said["number"] > found[k - 1]["number"]]
    for former, said in pairwise(first):
        assert said["newest_ms"] >= taken[max(0, taken.index(former["taken"]) - 2)]
    newest = [said["newest_ms"] for said in found]
    assert newest == sorted(newest) and all(said["newest_ms"] <= said["taken"] for said in found)
    assert {said["label"] for said in found} == {ACTION}


def test_one_picture_is_on_its_way_at_most(page: Page, server: Server) -> None:
    most = 0

    def slowly(route: Route) -> None:
        nonlocal most
        most = max(most, len(sent) - len(answers))
        page.wait_for_timeout(700)
        route.continue_()

    sent, answers = heard(page, "picture"), told(page)
    open_live(page, server)
    page.route("**/camera/picture", slowly)
    start(page)
    until(page, lambda: len(answers) > 4)
    assert most == 1
    expect(page.locator(".counts")).to_contain_text(re.compile(r"[1-9]\d* pictures left out"))
    page.unroute_all(behavior="ignoreErrors")  # one is still held


def test_escape_puts_the_camera_out_first_and_then_leaves_presenter_mode(page: Page, server: Server) -> None:
    open_live(page, server, "?present=1")
    off = heard(page, "off")
    start(page)
    expect(label(page)).to_have_text(ACTION)
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
    expect(label(page)).to_have_text(ACTION)


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
    expect(label(page)).to_have_text(ACTION)
    page.locator(".st-key-settings-line summary").click()
    settled(page)
    page.get_by_role("radio", name="eager", exact=True).click()
    expect(page.get_by_text("Filling the first window")).to_be_visible()
    expect(label(page)).to_have_text(ACTION)
    assert page.evaluate("window.asked") == 1


def test_a_live_clip_is_kept_on_a_click_and_is_the_visitors_own(page: Page, server: Server) -> None:
    open_live(page, server)
    keep = page.get_by_role("button", name="Keep this clip")
    expect(keep).to_be_disabled()
    start(page)
    expect(label(page)).to_have_text(ACTION)
    expect(keep).to_be_enabled()
    keep.click()
    expect(page.get_by_text("Kept: it is your clip now")).to_be_visible()
    page.get_by_role("link", name="See it on Classify").click()
    expect(page.get_by_text("Yours: camera")).to_be_visible()
    expect(page.get_by_role("heading", name=re.compile("^side kick", re.IGNORECASE))).to_be_visible()
    is_off(page)


def open_recorder(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/?source=Camera")
    expect(page.get_by_role("button", name="Record 6 s")).to_be_visible()
    settled(page)


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
    # It has no length in its header.
    seconds = re.search(r"frames over ([\d.]+) s", page.locator("[data-testid=stMain]").inner_text())
    assert seconds and float(seconds[1]) > 5
    expect(page.get_by_role("button", name="Record 6 s")).to_be_visible()


@pytest.mark.full
def test_a_recording_is_broken_off_by_escape_and_made_again(page: Page, server: Server) -> None:
    sent = heard(page, "recording")
    open_recorder(page, server)
    page.get_by_label("Length").fill("2")
    record = page.get_by_role("button", name="Record 2 s")
    for moment in ("Get ready.", "Recording 2 s."):
        record.click()
        expect(page.get_by_text(moment)).to_be_visible()
        page.keyboard.press("Escape")
        expect(record).to_be_visible()
        is_off(page)
        expect(page.get_by_role("button", name="Keep this clip")).to_be_hidden()
    record.click()
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


def no_camera(page: Page, server: Server, sentence: str) -> None:
    """Both places say so, and nothing is sent."""
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


def test_absent(browser: Browser, server: Server) -> None:
    with another(browser, f"{FAKE}=device-count=0") as without, a_page(without, "camera") as page:
        no_camera(page, server, "There is no camera on this device.")


def test_taken(page: Page, server: Server) -> None:
    page.add_init_script(BROKEN % "NotReadableError")
    no_camera(page, server, "Another program has the camera")


def test_away_from_this_machine_without_https(page: Page, server: Server) -> None:
    page.add_init_script("Object.defineProperty(Navigator.prototype, 'mediaDevices', { get: () => undefined })")
    no_camera(page, server, "Browsers give a camera only to pages over https or on this machine itself.")


def test_a_camera_that_is_pulled_out(page: Page, server: Server) -> None:
    open_live(page, server)
    start(page)
    page.evaluate("for (const track of window.tracks) track.dispatchEvent(new Event('ended'))")
    expect(page.get_by_role("alert").filter(has_text="The camera has gone.")).to_be_visible()
    is_off(page)


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


@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_has_nothing_against_it(with_camera: Browser, server: Server, scheme: str) -> None:
    with a_page(with_camera, "camera", color_scheme=scheme) as page:
        open_live(page, server)
        found = violations(page)
        start(page)
        expect(label(page)).to_have_text(ACTION)
        settled(page)
        found += violations(page)
        open_recorder(page, server)
        found += violations(page)
        page.get_by_role("button", name="Record 6 s").click()
        expect(page.get_by_text("Camera on", exact=True)).to_be_visible()
        found += violations(page)
        page.keyboard.press("Escape")
    assert not found, "\n\n".join(found)


def test_the_answer_is_on_the_first_screen_and_nothing_is_wider_than_it(page: Page, server: Server) -> None:
    open_live(page, server)
    start(page)
    expect(label(page)).to_have_text(ACTION)
    for width, height in ((1440, 900), (1920, 1080)):
        page.set_viewport_size({"width": width, "height": height})
        settled(page)
        for place in (label(page), page.locator(".score"), page.locator(".lag"), page.locator(".st-key-minute")):
            box = place.bounding_box()
            assert box and box["y"] + box["height"] <= height, (width, box)
    page.set_viewport_size({"width": 420, "height": 900})
    settled(page)
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
