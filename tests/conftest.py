"""What every test shares."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

# Nothing here may reach a network: the oracle and the hub client would otherwise try.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
# Threads that wait for one another sleep: on a machine that is busy elsewhere they would spin for minutes.
os.environ["OMP_WAIT_POLICY"] = "passive"


RESULTS = pytest.StashKey[TemporaryDirectory[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """What the tests presume of the process that they run in."""
    # A shell that starts the tests in the background has them, and all that they start, ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # What is measured here does not belong among the user's results.
    config.stash[RESULTS] = TemporaryDirectory(prefix="vivit-results-")
    os.environ["VIVIT_RESULTS"] = config.stash[RESULTS].name
    # The oracle's figures are the CPU's, and so are the kernels: a GPU is for the tests that are about it.
    if config.option.markexpr != "gpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        os.environ["VIVIT_DEVICE"] = "cpu"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what a processor without VNNI cannot run; that it is refused there is tested everywhere."""
    from vivit.dynamic_int8 import has_vnni

    if has_vnni():
        return
    for item in items:
        runs_it = "int8-dynamic" in item.nodeid or "test_dynamic_int8" in item.nodeid
        elsewhere = "tests/gpu/" in item.nodeid or "test_names" in item.nodeid  # test_names only reads the name
        if runs_it and not elsewhere:
            item.add_marker(pytest.mark.skip(reason="this processor has no VNNI, which 'int8-dynamic' needs"))


@pytest.fixture(autouse=True)
def main_module() -> Iterator[None]:
    """AppTest leaves its script as the main module, which later tests' child processes would import."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture(scope="module")
def workers() -> Iterator[None]:
    """What a page that AppTest draws needs: this process's server, whose workers end with the module."""
    from ui import server

    yield
    server.get_server().engine.stop()
    server.get_server().uploads.clear()
    server.get_server().lessons.clear()
    server._start_server.cache_clear()  # the next module starts its own


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny classifier as transformers saves it. Not to be written to."""
    from tests import oracle  # which not every test needs

    folder = tmp_path_factory.mktemp("checkpoints") / "classifier"
    oracle.save(folder)
    return folder


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the folder of what was measured."""
    config.stash[RESULTS].cleanup()
