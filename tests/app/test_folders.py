"""Folders of this machine as checkpoints, in a real browser: used as they say, or refused in one sentence."""

import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.app.conftest import Server, answered
from tests.shorter import some
from tests.small import save_small
from tests.unusable import UNUSABLE, stating
from ui.checkpoints import FOLDER

pytestmark = pytest.mark.browser


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_small(tmp_path / "theirs", num_labels=3)


def choose(page: Page, server: Server, folder: str) -> None:
    page.goto(f"{server.url}/?checkpoint={FOLDER}")
    page.get_by_label("Folder").fill(folder)
    page.get_by_label("Folder").press("Enter")


@pytest.mark.parametrize(
    "fault", some(["a processor left at 224", "one channel", "an unknown activation", "another class"], "one channel")
)
def test_a_folder_that_cannot_be_used_says_so_and_is_used_once_it_is_mended(
    page: Page, server: Server, folder: Path, fault: str, tmp_path: Path
) -> None:
    whole = shutil.copytree(folder, tmp_path / "whole")
    change, words = UNUSABLE[fault]
    change(folder)
    choose(page, server, str(folder))
    alert = page.get_by_role("alert").filter(has_text="theirs")
    for word in words:
        expect(alert).to_contain_text(word)
    expect(page.get_by_text("Something went wrong")).to_have_count(0)
    shutil.copytree(whole, folder, dirs_exist_ok=True)
    page.get_by_role("button", name="Try again").click()
    answered(page)


@pytest.mark.full
def test_without_a_processor_and_with_labels_from_1_a_folder_is_used(page: Page, server: Server, folder: Path) -> None:
    (folder / "preprocessor_config.json").unlink()
    stating("config.json", id2label={"1": "waltz", "2": "tango", "3": "polka"}, label2id=None)(folder)
    choose(page, server, str(folder))
    answered(page)
    ticks = page.locator(".st-key-predictions .ytick text")
    expect(ticks).to_have_count(3)
    assert {re.sub(r"\W", "", text) for text in ticks.all_text_contents()} == {"waltz", "tango", "polka"}


def test_a_file_asks_for_its_folder(page: Page, server: Server, folder: Path) -> None:
    choose(page, server, str(folder / "model.safetensors"))
    expect(page.get_by_role("alert").filter(has_text=f"Give the folder that it is in, '{folder}'.")).to_be_visible()
