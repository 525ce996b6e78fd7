"""What the page tells of other programs: this server's own work does not count, nor that of a child that has ended."""

import subprocess
import sys

from tests.busy import busy
from tests.patience import until
from ui.others import _readings
from vivit.machine import OtherWork

BURN = "import time\nend = time.process_time() + 1.5\nwhile time.process_time() < end: pass"


def test_the_work_of_a_child_that_has_ended_is_ours() -> None:
    _, _, before = _readings()
    burns = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]]); print(flush=True); input()"
    child = subprocess.Popen(
        [sys.executable, "-c", burns, BURN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout and child.stdout.readline(), "its own child has ended"
        _, _, after = _readings()
    finally:
        child.communicate("\n")
    assert after - before >= 1.4, "1.5 s of a processor, of a descendant of this process"


def test_the_work_of_others_is_told() -> None:
    with busy(outside=True):
        before = OtherWork(_readings)
        until(lambda: (before.share() or 0) > 0.5)
