"""How the server may be started, and what its options let visitors do. Real servers, and tabs without a browser."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.app.conftest import PATIENCE, ROOT, Server, apart, serving
from tests.hub_client import clean
from tests.streamlit_client import Browser
from ui.checkpoints import FOLDER
from ui.server import DEVICE, LOCAL_FOLDERS, check_options

BELOW = "demo/of/ours"


def test_folders_are_refused_where_others_can_reach_the_server() -> None:
    """In one sentence, and before anybody is served."""
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless", "true", "--server.port", "0"]
    command += ["--server.address", "0.0.0.0", "--", LOCAL_FOLDERS]
    done = subprocess.run(command, cwd=ROOT, env=clean(), capture_output=True, text=True, timeout=PATIENCE, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 1 and "Traceback" not in said, said
    (sentence,) = [line for line in said.splitlines() if LOCAL_FOLDERS in line]
    assert sentence.endswith("Leave one of the two away.") and "--server.address 127.0.0.1 alone" in sentence


@pytest.mark.parametrize("address", [None, "", "::", "127.0.0.2"])
def test_no_other_address_that_others_can_reach_goes_with_folders(
    address: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["app.py", LOCAL_FOLDERS])
    monkeypatch.setattr("streamlit.get_option", {"server.address": address}.get)
    with pytest.raises(SystemExit, match=f"not with {address or 'every address'}"):
        check_options()


@pytest.fixture(scope="module")
def below(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that is told nothing but a base path."""
    folder = tmp_path_factory.mktemp("below")
    with serving(folder / "log", ("--server.baseUrlPath", BELOW), VIVIT_RESULTS=str(folder / "results")) as server:
        yield server


async def checkpoints(url: str) -> list[str]:
    """The checkpoints that the page at this address offers."""
    async with Browser(url) as browser:
        tab = await browser.open()
        box = await tab.until(
            lambda: next((s for s in tab.elements("selectbox") if s.label == "Checkpoint"), None), "the controls"
        )
        await tab.close()
        assert box
        return list(box.options)


def test_folders_are_offered_only_where_the_server_was_told_to(server: Server, below: Server) -> None:
    for url, offered in ((server.url, True), (f"{below.url}/{BELOW}", False)):
        found = apart(partial(asyncio.run, checkpoints(url)))
        assert "vivit-mannequin" in found and (FOLDER in found) is offered


def test_a_device_is_chosen_for_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVIT_DEVICE", "cpu")
    monkeypatch.setattr(sys, "argv", ["app.py", DEVICE, "cuda:1", LOCAL_FOLDERS])
    monkeypatch.setattr("streamlit.get_option", {"server.address": "127.0.0.1"}.get)
    check_options()
    assert os.environ["VIVIT_DEVICE"] == "cuda:1"
    for words in ((), ("--ask-first",)):
        monkeypatch.setattr(sys, "argv", ["app.py", DEVICE, *words])
        with pytest.raises(SystemExit, match="--device wants the name of a device after it"):
            check_options()


def test_a_device_that_is_not_there_is_one_sentence_in_the_log_and_no_health(tmp_path: Path) -> None:
    server = Server(tmp_path / "log", ("--", DEVICE, "cuda:7"))
    try:
        deadline = time.monotonic() + PATIENCE
        while "could not start" not in (said := server.log.read_text()) and time.monotonic() < deadline:
            time.sleep(0.1)
        (line, *_) = [line for line in said.splitlines() if "could not start" in line]
        assert "The device 'cuda:7' (of --device or VIVIT_DEVICE) is not on this machine: PyTorch sees cpu here" in line
        assert "Traceback" not in said
        while True:  # the log has the sentence a moment before the route knows
            try:
                urlopen(f"{server.url}/healthz", timeout=PATIENCE).close()
            except HTTPError as answer:
                assert answer.code == 503 and answer.read() == b"down: model"
                break
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        server.stop()


def test_a_probe_is_answered_and_a_checkpoint_sent_below_a_base_path(below: Server) -> None:
    for path in ("healthz", f"{BELOW}/healthz"):
        with urlopen(f"{below.url}/{path}", timeout=PATIENCE) as answer:
            assert answer.read() == b"ok"
    for path in ("teach/checkpoint.zip", f"{BELOW}/teach/checkpoint.zip"):
        with pytest.raises(HTTPError, match="403"):
            urlopen(f"{below.url}/{path}", timeout=PATIENCE)
