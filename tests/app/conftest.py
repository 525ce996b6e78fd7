"""A real server and a real browser. Without a browser these tests fail; they are never skipped."""

import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, expect, sync_playwright

from tests.hub_client import clean
from ui.server import ASK_FIRST, LOCAL_FOLDERS

ROOT = Path(__file__).parents[2]
expect.set_options(timeout=60_000)  # a machine that does much else at the same time is slow
OPTIONS = ("--", LOCAL_FOLDERS, ASK_FIRST)
INSTALLED = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
HARMLESS = r"/(benchmark|evaluate|inside|live|teach|timeline)/_stcore/|/media/\w+\.(mp4|webm)|Video source error - 404"
QUIET = """() => {
    const idle = document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'
    const working = [...document.querySelectorAll('button')].some(button => button.innerText.endsWith('Cancel'))
    if (!idle || working) window.busy = performance.now()
    return performance.now() - window.busy > 500
}"""


def some(values: Iterable[Any], *here: Any) -> list[Any]:
    """Parameters, tuples for several names, of which only some are tested without `make test-full`. Args: here: those."""

    def marked(value: Any) -> Any:
        return pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.full)

    return [value if value in here else marked(value) for value in values]


Scheme = Literal["light", "dark"]
SCHEMES = some(["light", "dark"], "light")


class Server:
    """`streamlit run app.py` on a port of its own, as `make run` does it, and what it says on its output.

    It compares nothing unasked: that would take time from whatever is tested, and from the next test.

    Args:
        log: where its output goes.
        options: for Streamlit, and after '--' for the app.
        environment: variables added to the tests' own.
    """

    def __init__(self, log: Path, options: Sequence[str] = OPTIONS, **environment: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless", "true"]
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [*command, "--server.port", str(self.port), *options],
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=clean(**{"HF_HUB_OFFLINE": "1", **environment}),
            )

    def wait_until_up(self, seconds: float = 60.0) -> None:
        """Wait for the health route of our own, which answers 'ok' once the workers live."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                with urlopen(f"{self.url}/healthz", timeout=5) as answer:
                    if answer.read() == b"ok":
                        return
            except OSError:
                time.sleep(0.1)
        raise AssertionError(f"the server did not come up:\n{self.log.read_text()}")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(20)


@contextmanager
def serving(log: Path, options: Sequence[str] = OPTIONS, **environment: str) -> Iterator[Server]:
    """A server that must end without having logged a warning or a traceback. Args: as `Server`'s."""
    server = Server(log, options, **environment)
    try:
        server.wait_until_up()
        yield server
    finally:
        server.stop()
    # Whatever the tests did, visitors' doings must leave no warning and no traceback behind.
    bad = [line for line in server.log.read_text().splitlines() if "WARNING" in line or "Traceback" in line]
    assert not bad, server.log.read_text()


@contextmanager
def serving_script(script: str, folder: Path) -> Iterator[str]:
    """A Streamlit server with one small page; gives its address. It must log no warning and no traceback.

    Args:
        script: the page's source.
        folder: where it and the log go.
    """
    (folder / "page.py").write_text(script, encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(folder / "page.py")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--server.headless", "true", "--server.port", str(port)],
            cwd=ROOT,  # for the theme
            stdout=log,
            stderr=subprocess.STDOUT,
            env=clean(PYTHONPATH=str(ROOT)),
        )
    deadline = time.monotonic() + 60
    try:
        while True:
            try:
                urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)
    assert not re.search("WARNING|Traceback", said := (folder / "log").read_text()), said


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


@pytest.fixture(scope="package")
def profile(browser: Browser) -> Iterator[BrowserContext]:
    """One for all tests, so that the browser reads Streamlit's scripts once; every tab is a visitor of its own."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(60_000)
    yield context
    context.close()


@pytest.fixture
def context(profile: BrowserContext) -> Iterator[BrowserContext]:
    """Opens a test's tabs, and closes them."""
    with watched(profile):
        yield profile


@contextmanager
def watched(profile: BrowserContext, meant: str = HARMLESS) -> Iterator[None]:
    """Tabs, which are closed in the end. An error on a tab's console fails the test, and so does a broken video.

    A console also tells of what is no fault: on a deep link Streamlit's client looks for the server under the page's
    own path first, and a video that the next run replaced may be gone before a slow browser asks for it.

    Args:
        meant: what else is no fault, a regular expression.
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

    profile.clear_cookies()  # another browser than the last test's, whose visits are not this one's
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
    """Wait until a run is on the page and, for half a second, nothing on its way: a click takes a moment to be heard."""
    expect(page.get_by_text("Latency:").first).to_be_visible()
    settled(page)


def settled(page: Page) -> None:
    """Wait until for half a second nothing is on its way."""
    page.evaluate("window.busy = performance.now()")
    page.wait_for_function(QUIET)
