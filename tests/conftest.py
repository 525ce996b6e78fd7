"""What every test shares."""

import os
import signal

import pytest

# Nothing here may reach a network: the oracle and the hub client would otherwise try.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
# Threads that wait for one another sleep: on a machine that is busy elsewhere they would spin for minutes.
os.environ["OMP_WAIT_POLICY"] = "passive"


def pytest_configure(config: pytest.Config) -> None:
    """What the tests presume of the process that they run in."""
    # A shell that starts the tests in the background has them, and all that they start, pass Ctrl-C over.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # The oracle's figures are the CPU's, and so are the kernels: a GPU is for the tests that are about it.
    if config.option.markexpr != "gpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        os.environ["VIVIT_DEVICE"] = "cpu"
