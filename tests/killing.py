"""Commands that are killed in the middle of their work."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

import psutil


def kill_once(running: subprocess.Popen[Any], condition: Callable[[], bool]) -> None:
    """Kill a command by SIGKILL, which it cannot catch, once a condition holds; its descendants must end by themselves."""
    until = time.monotonic() + 120
    while not condition():
        assert running.poll() is None and time.monotonic() < until
        time.sleep(0.005)
    children = psutil.Process(running.pid).children(recursive=True)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    _, alive = psutil.wait_procs(children, 60)
    assert not alive, "decoders end with the run"
