"""How the server may be started, and what that lets visitors do. Real servers, and tabs without a browser."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.app.conftest import ROOT, Server
from tests.hub_client import clean
from tests.streamlit_client import Browser
from ui.server import DEVICE, LOCAL_FOLDERS, check_options
from ui.settings import FOLDER


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "127.0.0.2"])
def test_folders_are_refused_where_others_can_reach_the_server(address: str) -> None:
    """In one sentence, and before anybody is served."""
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless", "true", "--server.port", "0"]
    command += ["--server.address", address, "--", LOCAL_FOLDERS]
    done = subprocess.run(command, cwd=ROOT, env=clean(), capture_output=True, text=True, timeout=60, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 1 and "Traceback" not in said, said
    (sentence,) = [line for line in said.splitlines() if LOCAL_FOLDERS in line]
    assert sentence.endswith("Leave one of the two away.") and "--server.address 127.0.0.1 alone" in sentence


@pytest.mark.parametrize(("options", "offered"), [((), False), (("--", LOCAL_FOLDERS), True)])
def test_folders_are_offered_only_where_the_server_was_told_to(
    options: Sequence[str], offered: bool, tmp_path: Path
) -> None:
    server = Server(tmp_path / "log", options, VIVIT_RESULTS=str(tmp_path / "results"))

    async def choices() -> list[str]:
        async with Browser(server.url) as browser:
            tab = await browser.open()
            box = await tab.until(
                lambda: next((s for s in tab.elements("selectbox") if s.label == "Checkpoint"), None), "the controls"
            )
            await tab.close()
            assert box
            return list(box.options)

    try:
        server.wait_until_up()
        with ThreadPoolExecutor(1) as thread:  # since this one has playwright's loop, if browser tests came before
            found = thread.submit(asyncio.run, choices()).result()
        assert "vivit-mannequin" in found and (FOLDER in found) is offered
    finally:
        server.stop()


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
        deadline = time.monotonic() + 60
        while "could not start" not in (said := server.log.read_text()) and time.monotonic() < deadline:
            time.sleep(0.1)
        (line, *_) = [line for line in said.splitlines() if "could not start" in line]
        assert "The device 'cuda:7' (of --device or VIVIT_DEVICE) is not on this machine: PyTorch sees cpu here" in line
        assert "Traceback" not in said
        while True:  # the log has it a moment before
            try:
                urlopen(f"{server.url}/healthz", timeout=30).close()
            except HTTPError as answer:
                assert answer.code == 503 and answer.read() == b"down: model"
                break
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        server.stop()


def test_a_probe_is_answered_and_a_checkpoint_sent_below_a_base_path(tmp_path: Path) -> None:
    server = Server(tmp_path / "log", ("--server.baseUrlPath", "demo/of/ours"))
    try:
        server.wait_until_up()
        for path in ("healthz", "demo/of/ours/healthz"):
            with urlopen(f"{server.url}/{path}", timeout=30) as answer:
                assert answer.read() == b"ok"
        for path in ("teach/checkpoint.zip", "demo/of/ours/teach/checkpoint.zip"):
            with pytest.raises(HTTPError, match="403"):
                urlopen(f"{server.url}/{path}", timeout=30)
    finally:
        server.stop()
