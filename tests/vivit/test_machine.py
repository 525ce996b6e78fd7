"""vivit.machine: what a machine is, and what other programs take of it."""

import os
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from tests.patience import until
from tests.vivit.benchmark.children import MACHINE
from vivit.machine import OtherWork

CORES = os.cpu_count() or 1


def others(*readings: tuple[float, float, float]) -> OtherWork:
    """With these readings of (wall time, busy time of all processors, this process's part), one a look."""
    following: Iterator[tuple[float, float, float]] = iter(readings)
    return OtherWork(lambda: next(following))


def test_the_share_is_what_others_took_of_all_processors() -> None:
    begin = (100.0, 5000.0, 40.0)
    assert others(begin, (101.0, 5000.0 + CORES, 40.0)).share() == pytest.approx(1.0)
    assert others(begin, (102.0, 5000.0 + 1.5, 40.5)).share() == pytest.approx(1.0 / (2 * CORES))
    assert others(begin, (101.0, 5000.0 + CORES, 40.0 + CORES)).share() == 0.0, "our own work is none of theirs"


def test_the_share_stays_between_nothing_and_all() -> None:
    begin = (100.0, 5000.0, 40.0)
    assert others(begin, (101.0, 5000.0, 40.5)).share() == 0.0, "the counters of the two advance apart"
    assert others(begin, (101.0, 6000.0, 40.0)).share() == 1.0


def test_too_short_a_time_tells_nothing() -> None:
    begin = (100.0, 5000.0, 40.0)
    assert others(begin, (100.19, 5000.1, 40.0)).share() is None
    assert others(begin, (100.21, 5000.1, 40.0)).share() is not None


def test_the_systems_own_readings_see_another_program() -> None:
    seen = OtherWork()
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as spinning:
        try:
            until(lambda: sum(psutil.Process(spinning.pid).cpu_times()[:2]) > 0.5, 120)
            # However busy the machine is: the spinning program alone had as much, by a counter that is finer than this one.
            wall, others, processors = seen.seconds()
            assert wall > 0.5 and others > 0.25 and processors == CORES
            assert 0.0 < (seen.share() or 0) <= 1.0
        finally:
            spinning.kill()


def test_what_is_known_of_a_backend_is_found_by_its_names() -> None:
    runs, refused = MACHINE.find("sdpa", "float16"), MACHINE.find("sdpa-cudnn", "float16")
    assert runs and runs.flops_per_second == 1e11
    assert refused and refused.reason == "CUDA only"
    assert MACHINE.find("sdpa", "float8") is None
    assert MACHINE.versions_text == "python 3.11, torch 2.13, cuda none, driver none"
