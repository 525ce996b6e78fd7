"""vivit.threads: how PyTorch's threads wait, wherever something is computed."""

import os
import subprocess
import sys

import pytest

from vivit import threads

SHOW = """
import os
from vivit.__main__ import main
from vivit.benchmark.child import ENVIRONMENT
from ui.server import WORKERS
main(["classify", "no such clip.mp4"])
print(os.environ.get("GOMP_SPINCOUNT"), ENVIRONMENT.get("GOMP_SPINCOUNT"), WORKERS["model"].environment.get("GOMP_SPINCOUNT"))
"""


@pytest.mark.parametrize("own", [{}, {"OMP_WAIT_POLICY": "active"}, {"GOMP_SPINCOUNT": "7"}])
def test_whoever_has_settled_it_has_their_own(own: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in threads.OWN_WORD:
        monkeypatch.delenv(name, raising=False)
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    assert threads.waiting() == ({} if own else threads.WAITING)


@pytest.mark.full
def test_command_line_model_worker_and_measuring_processes_start_with_it() -> None:
    plain = {name: value for name, value in os.environ.items() if name not in threads.OWN_WORD}
    done = subprocess.run([sys.executable, "-c", SHOW], env=plain, capture_output=True, text=True, timeout=120)
    assert done.stdout.split()[-3:] == [threads.WAITING["GOMP_SPINCOUNT"]] * 3, done.stderr
