"""A real server and a real browser. Without a browser these tests fail; they are never skipped."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeVar
from urllib.request import urlopen

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    expect,
    sync_playwright,
)
from playwright.sync_api import TimeoutError as TooLate

from tests.hub_client import clean
from tests.shorter import some
from tests.y4m import write_y4m
from ui.server import ASK_FIRST, LOCAL_FOLDERS
from vivit.hub import ASSETS

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
PATIENCE = 180.0  # seconds that anything may take on a machine that does much else at the same time
LONG_MS = 300_000  # that what takes many passes of a model may take there
expect.set_options(timeout=PATIENCE * 1e3)
OPTIONS = ("--", LOCAL_FOLDERS, ASK_FIRST)
INSTALLED = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
FAKE = "--use-fake-device-for-media-stream"
FILMED = "side kick"  # whose clip is sure whichever 6 s of its endless repetition are taken
HARMLESS = r"/(benchmark|evaluate|inside|live|teach|timeline)/_stcore/|/media/\w+\.(mp4|webm)|Video source error - 404"
QUIET = """() => {
    const idle = document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'
    const working = [...document.querySelectorAll('button')].some(button => button.innerText.endsWith('Cancel'))
    if (!idle || working) window.busy = performance.now()
    return performance.now() - window.busy > 500
}"""


Scheme = Literal["light", "dark"]
SCHEMES = some(["light", "dark"], "light")


def apart(call: Callable[[], T]) -> T:
    """What a call returns that runs a loop of its own: after a browser test Playwright's loop runs in the tests' thread."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(call).result()


class Server:
    """`streamlit run` as `make run` starts it, on a port that Streamlit chooses, with its output in a log.

    With the default options the app compares nothing unasked: that would take time from this test and from the next.

    Args:
        log: the file that the server's output goes to.
        options: for Streamlit, and after '--' for the app.
        script: what is served; the working directory is the project's, for the theme.
        environment: variables added to the tests' own.
    """

    def __init__(self, log: Path, options: Sequence[str] = OPTIONS, script: str = "app.py", **environment: str) -> None:
        self.log = log
        command = [sys.executable, "-m", "streamlit", "run", script, "--server.headless", "true"]
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [*command, "--server.port", "0", *options],
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=clean(**{"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT), **environment}),
            )
        try:
            self.url = self._until(self._address, "say where it is")
        except BaseException:
            self.stop()
            raise

    def _address(self) -> str:
        """The address that the log names, without a path; '' before there is one."""
        said = re.search(r"URL: (http://127\.0\.0\.1:\d+)\S*\n", self.log.read_text())
        return said[1] if said else ""

    def wait_until_up(self, health: str = "healthz") -> None:
        """Wait until a route answers 'ok'. Args: health: the route; the app's own does so once the workers live."""

        def is_up() -> bool:
            try:
                with urlopen(f"{self.url}/{health}", timeout=30) as answer:
                    return bool(answer.read() == b"ok")
            except OSError:
                return False

        self._until(is_up, "come up")

    def model_jobs(self) -> list[str]:
        """The tasks of the jobs that the model worker has ended, in order, whoever asked."""
        whole, _, _ = self.log.read_text().rpartition("\n")  # the last line may be on its way
        lines = [line for line in whole.splitlines() if '"worker": "model"' in line]
        return [json.loads(line[line.index("{") :])["task"] for line in lines]

    def _until(self, there: Callable[[], T], what: str) -> T:
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < deadline:
            if found := there():
                return found
            time.sleep(0.1)
        raise AssertionError(f"the server did not {what}:\n{self.log.read_text()}")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()  # in vain where it has ended


@contextmanager
def serving(
    log: Path,
    options: Sequence[str] = OPTIONS,
    script: str = "app.py",
    health: str = "healthz",
    **environment: str,
) -> Iterator[Server]:
    """A server that must end without having logged a warning or a traceback.

    Args:
        log, options, script, environment: as `Server`'s.
        health: as `Server.wait_until_up`'s.
    """
    server = Server(log, options, script, **environment)
    try:
        server.wait_until_up(health)
        yield server
    finally:
        server.stop()
    # Whatever a test has a visitor do must leave no warning and no traceback in the log.
    bad = [line for line in server.log.read_text().splitlines() if "WARNING" in line or "Traceback" in line]
    assert not bad, server.log.read_text()


@contextmanager
def serving_script(script: str, folder: Path) -> Iterator[str]:
    """A server with one small page; gives its address.

    Args:
        script: the page's source.
        folder: where the page and the log go.
    """
    (folder / "page.py").write_text(script, encoding="utf-8")
    with serving(folder / "log", (), str(folder / "page.py"), "_stcore/health") as server:
        yield f"{server.url}/"


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    with serving(folder / "log", VIVIT_RESULTS=str(folder / "results")) as server:
        yield server


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=INSTALLED, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def another(browser: Browser, *flags: str) -> Iterator[Browser]:
    """A browser with a fake camera. Args: flags: Chromium's, such as what the camera films, or that there is none."""
    found = browser.browser_type.launch(executable_path=INSTALLED, args=[*FLAGS, FAKE, *flags])
    yield found
    found.close()


@pytest.fixture(scope="package")
def with_camera(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser whose camera films `FILMED` again and again; a page sees it from wherever the film is just then."""
    clip = ASSETS / "clips" / f"{FILMED.replace(' ', '_')}.mp4"
    film = write_y4m(clip, tmp_path_factory.mktemp("camera") / "camera.y4m")
    with another(browser, f"--use-file-for-fake-video-capture={film}") as found:
        yield found


@pytest.fixture(scope="package")
def profile(browser: Browser) -> Iterator[BrowserContext]:
    """One profile for all tests, so that the browser reads Streamlit's scripts once; every tab is a visitor of its own."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(PATIENCE * 1e3)
    yield context
    context.close()


@pytest.fixture
def context(profile: BrowserContext) -> Iterator[BrowserContext]:
    """Opens a test's tabs, and closes them."""
    with watched(profile):
        yield profile


@contextmanager
def watched(profile: BrowserContext, meant: str = HARMLESS) -> Iterator[None]:
    """Watch a profile's tabs, and close them in the end. An error on a console fails the test, and so does a broken video.

    A console also tells of what is no fault: on a deep link Streamlit's client looks for the server under the page's
    own path first, and a video that the next run replaced may be gone before a slow browser asks for it.

    Args:
        profile: whose tabs.
        meant: what else is no fault: a regular expression.
    """
    faults: list[str] = []
    harmless = re.compile(f"{HARMLESS}|{meant}")

    def heard(message: ConsoleMessage) -> None:
        fault = f"{message.text} ({message.location['url']})"
        if message.type == "error" and not harmless.search(fault):
            faults.append(fault)

    def watch(page: Page) -> None:
        page.on("console", heard)
        page.on("pageerror", lambda error: faults.append(str(error)))

    profile.clear_cookies()  # to the server this is another browser than the last test's
    profile.on("page", watch)
    yield
    profile.remove_listener("page", watch)
    for page in profile.pages:
        broken = "[...document.querySelectorAll('video')].filter(v => v.error).map(v => v.error.message)"
        faults += page.evaluate(broken)
        page.close()
    assert not faults, faults


@pytest.fixture
def page(context: BrowserContext, server: Server) -> Page:
    return context.new_page()


def tiles(page: Page) -> Locator:
    """The pictures of the clips."""
    return page.get_by_role("radiogroup", name=re.compile("^(Bundled clips|Clips of)")).get_by_role("radio")


def answered(page: Page) -> None:
    """Wait until an answer is on the page, and then as `settled` does: a click takes a moment to be heard."""
    expect(page.get_by_text("Latency:").first).to_be_visible()
    settled(page)


def choose_in(page: Page, box: Locator, option: str | re.Pattern[str]) -> None:
    """Choose an option of a list, which shuts whenever Streamlit draws it anew: it is opened until the choice is made.

    Args:
        page: which has the list.
        box: what opens the list.
        option: the option's whole name, or what its name matches; the first such option is chosen.
    """
    found = page.get_by_role("option", name=option, exact=True).first
    deadline = time.monotonic() + PATIENCE
    while True:
        if not found.is_visible():
            box.click()
        try:
            return found.click(timeout=5e3)
        except TooLate:
            if time.monotonic() > deadline:
                raise


def settled(page: Page) -> None:
    """Wait until for half a second no script has run and no job that can be cancelled is on the page."""
    page.evaluate("window.busy = performance.now()")
    page.wait_for_function(QUIET)
