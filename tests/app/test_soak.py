"""Eight visitors for half a minute: the short form of `make soak`."""

import pytest

from benchmarks.soak import soak
from benchmarks.soak_visitors import Tally
from tests.app.conftest import apart

# What the server itself may grow by after the warm-up of 6 s: 2 to 20 MiB were measured. Frames take 1.6 MiB a clip, and
# Streamlit keeps a closed tab's session, frames too, for two minutes: up to 20 visits, and as much again for what is sent.
GROWTH_MIB = 80
# What a worker may grow by: PyTorch's kernels, the checkpoint in each precision and eager's score matrices are first needed
# after the warm-up; 70 to 245 MiB were measured. Twice that is a leak, or a model too many.
WORKER_GROWTH_MIB = 500


def enough(tally: Tally) -> bool:
    """Whether bad files, a camera and a film were among what the visitors did."""
    return bool(tally.sentences and tally.actions["show a camera"] and tally.actions["look at a film"])


@pytest.mark.full
def test_visitors_come_and_go_and_leave_nothing_behind() -> None:
    report = apart(lambda: soak(seconds=30, visitors=8, seed=0, enough=enough))
    told = "\n".join(report.lines())
    assert not report.failures, told
    assert not report.leftovers, told
    assert report.jobs.get("read done") and report.jobs.get("classify done"), told
    assert report.tally.sentences, told
    # A camera's pictures and a film's were among them; how far they came in so short a time depends on the machine.
    assert report.tally.actions["show a camera"] and report.tally.actions["look at a film"], told
    growth = {name: report.end.rss_mib[name] - size for name, size in report.warm.rss_mib.items()}
    assert growth.pop("server") < GROWTH_MIB, told
    assert all(size < WORKER_GROWTH_MIB for size in growth.values()), told
