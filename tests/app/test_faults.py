"""What goes wrong, and what strangers bring along, in a real browser: a sentence, and the app goes on."""

import asyncio
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Page, expect
from streamlit.proto.BackMsg_pb2 import BackMsg

from tests.app.conftest import Server, answered, apart, tiles
from tests.clips import write_clip
from tests.small import save_small
from tests.streamlit_client import Browser
from ui.checkpoints import FOLDER
from vivit.hub import ASSETS, KINETICS_CHECKPOINT

pytestmark = pytest.mark.browser

# Markup of every kind that something on the way might read, an entity, a mark that turns the writing direction, and a bell.
HOSTILE = "<img src=x &lt; onerror=alert(1)><b>b</b> **bold** [link](javascript:alert(1)) $x^2$ :red[r] \u202egpj\x07"
SHOWN = "<img src=x &lt; onerror=alert("  # how every shortened form of HOSTILE begins


def workers(server: Server, module: str) -> list[psutil.Process]:
    """The processes that run a module's tasks, without their own children, such as a fork server."""
    children = psutil.Process(server.process.pid).children()
    return [worker for worker in children if module in worker.cmdline()]


@contextmanager
def at_work(server: Server, module: str) -> Iterator[None]:
    """Stop the workers of a module, so that a task they are given stays at work within this context; then kill them."""
    stopped = workers(server, module)
    assert stopped
    for worker in stopped:
        worker.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for worker in stopped:
            os.kill(worker.pid, signal.SIGKILL)


def upload(page: Page, name: str, content: bytes) -> None:
    page.locator("input[type=file]").set_input_files({"name": name, "mimeType": "video/mp4", "buffer": content})


def test_a_media_worker_killed_at_work_costs_a_sentence_and_the_next_clip_is_read(page: Page, server: Server) -> None:
    page.goto(server.url)
    answered(page)
    with at_work(server, "engine.media"):
        tiles(page).nth(3).click()
        expect(page.get_by_text("Reading the clip: working")).to_be_visible()
    expect(page.get_by_text("The system ended the process that worked on this")).to_be_visible()
    page.get_by_role("button", name="Try again").click()
    answered(page)


@pytest.mark.full
def test_a_visitor_who_clears_the_caches_harms_nobody(server: Server) -> None:
    """Streamlit obeys the message that clears all caches from any browser."""
    everything = BackMsg()
    everything.clear_cache = True
    before = workers(server, "engine.model")

    async def visit() -> None:
        async with Browser(server.url) as owner, Browser(server.url) as stranger:
            mine = await owner.open()
            await mine.until(lambda: len(list(mine.elements("metric"))) == 3, "an answer")
            await mine.upload("mine.mp4", (ASSETS / "clips" / "clapping.mp4").read_bytes())
            await mine.until(lambda: mine.says("Yours:"), "the upload")
            tab = await stranger.open()
            await tab.until(lambda: len(list(tab.elements("metric"))) == 3, "an answer")
            await tab._send(everything)
            await tab.rerun()
            await asyncio.sleep(62)  # longer than the server waits for visitors who have gone
            await mine.rerun()
            await mine.until(lambda: mine.says("Yours:") or mine.alerts("WARNING"), "the page")
            assert not mine.alerts("WARNING") and mine.says("Yours:")
            await tab.close()
            await mine.close()

    apart(lambda: asyncio.run(visit()))
    assert workers(server, "engine.model") == before


def test_a_hub_worker_killed_at_work_costs_a_sentence_and_the_next_one_looks(page: Page, server: Server) -> None:
    with at_work(server, "engine.hub"):
        page.goto(f"{server.url}/?checkpoint={KINETICS_CHECKPOINT}")
        expect(page.get_by_text(f"Looking at {KINETICS_CHECKPOINT}: working")).to_be_visible()
    expect(page.get_by_text("The system ended the process that worked on this")).to_be_visible()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("is not on this machine, and HF_HUB_OFFLINE is set")).to_be_visible()


def nothing_was_read_as_markup(page: Page) -> None:
    assert page.locator("[src='x'], [href^='javascript']").count() == 0
    before, mark, _ = page.content().partition("\u202e")
    assert not mark, before[-300:]


@pytest.mark.full
def test_a_hostile_file_name_is_shown_as_text_and_shortened(page: Page, server: Server, tmp_path: Path) -> None:
    page.goto(server.url)
    answered(page)
    upload(page, f"{HOSTILE}{'x' * 150}.mp4", write_clip(tmp_path / "clip.mp4", 40).read_bytes())
    shown = page.get_by_text(re.compile("^Yours: "))
    expect(shown).to_contain_text(SHOWN)
    assert len(shown.inner_text()) < 100
    answered(page)
    expect(page.get_by_test_id("stFileChip")).to_have_count(0)  # Streamlit's own, until the file has been taken
    nothing_was_read_as_markup(page)


def test_hostile_labels_are_shown_as_text(page: Page, server: Server, tmp_path: Path) -> None:
    labels = dict(enumerate([HOSTILE, HOSTILE + "x" * 4000, "\x00", "", HOSTILE]))
    # With weights so small all classes are equally likely, and all are shown.
    save_small(tmp_path, num_labels=5, id2label=labels, initializer_range=1e-4)
    page.goto(f"{server.url}/?checkpoint={FOLDER}")
    page.get_by_label("Folder").fill(str(tmp_path))
    page.get_by_label("Folder").press("Enter")
    answered(page)
    ticks = page.locator(".st-key-predictions .ytick text")
    expect(ticks).to_have_count(5)  # labels of one name are still classes of their own
    assert sum(text.startswith("<img src=x") for text in ticks.all_text_contents()) == 3
    assert page.locator(".st-key-predictions svg a").count() == 0
    page.get_by_text("Answers as a table").click()
    nothing_was_read_as_markup(page)
