"""What is said of what does not run here."""

from dataclasses import replace

from tests.vivit.benchmark.children import MACHINE
from ui.machine import _reasons


def test_a_precision_that_runs_with_no_backend_is_told_once() -> None:
    support = tuple(
        replace(s, flops_per_second=0.0, reason="needs a package", details="No module")
        if s.precision == "int8-bitsandbytes"
        else s
        for s in MACHINE.support
    )
    found = _reasons(replace(MACHINE, support=support))
    backends = {s.attention for s in MACHINE.support if s.reason == "CUDA only"}
    assert {name for name, *_ in found} == backends | {"int8-bitsandbytes"} and len(found) == len(backends) + 1
    assert ("int8-bitsandbytes", "needs a package", "") in found
    assert {name for name, *_ in _reasons(MACHINE)} == backends
