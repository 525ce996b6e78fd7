"""vivit.machine: what other programs take of this machine."""

import os
import subprocess
import sys
import time

from vivit.machine import OtherWork

CORE = 1 / (os.cpu_count() or 1)


def busy() -> float:
    """The others' share while this process works alone for 0.4 s."""
    others, ends = OtherWork(), time.monotonic() + 0.4
    while time.monotonic() < ends:
        pass
    share = others.share()
    assert share is not None
    return share


def test_other_programs_are_seen_and_our_own_work_is_none_of_theirs() -> None:
    others = OtherWork()
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as spinning:
        assert others.share() is None, "too short to tell"
        time.sleep(1.0)
        seen = others.share()
        spinning.kill()
    assert seen and 0.5 * CORE < seen <= 1.0
    assert min(busy() for _ in range(5)) < 0.5 * CORE  # the quietest of some, since the machine may have other work
