"""A machine that is busy with something else."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from tests.patience import until

SPIN = "import time\nend = time.monotonic() + 900\nwhile time.monotonic() < end: pass"  # 900 s, even if nobody ends it
AWAY = (
    "import subprocess, sys; quiet = subprocess.DEVNULL; "
    "print(subprocess.Popen([sys.executable, '-c', sys.argv[1]], stdout=quiet, stderr=quiet).pid)"
)


@contextmanager
def busy(*, outside: bool = False) -> Iterator[None]:
    """As many programs that do nothing but compute as there are processors, and at least two.

    Args:
        outside: whether they are no descendants of this process.
    """
    running: list[int] = []
    try:
        for _ in range(max(2, os.cpu_count() or 1)):
            if outside:
                command = [sys.executable, "-c", AWAY, SPIN]
                running.append(int(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
            else:
                running.append(subprocess.Popen([sys.executable, "-c", SPIN]).pid)
        until(lambda: all(psutil.Process(pid).cpu_times().user > 0.2 for pid in running))  # they have begun
        yield
    finally:
        for pid in running:
            os.kill(pid, 9)
            if not outside:
                os.waitpid(pid, 0)
