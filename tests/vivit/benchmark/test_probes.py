"""vivit.benchmark.probes: what is said of the probes is what was run."""

import sys

import pytest
import torch
from torch import Tensor

from vivit import dynamic_int8
from vivit.benchmark import probes
from vivit.benchmark.cost import default_cells, estimate
from vivit.benchmark.measurement import Cell
from vivit.config import VivitConfig
from vivit.machine import Probes
from vivit.names import BACKENDS, DYNAMIC_INT8, PRECISIONS, TF32

# What no CPU runs, or not the one that the tests run on, and what its reason says.
LACKS = {TF32: "this is a CPU"} | ({} if dynamic_int8.has_vnni() else {DYNAMIC_INT8: "VNNI"})


def test_the_sizes_that_are_told_are_those_that_were_run(monkeypatch: pytest.MonkeyPatch) -> None:
    attended, multiplied = set(), set()

    def attend(query: Tensor, key: Tensor, value: Tensor, dropout_p: float) -> Tensor:
        attended.add(tuple(query.shape[1:3]))
        return query

    def multiply(x: Tensor, weight: Tensor) -> Tensor:
        multiplied.update([tuple(x.shape), tuple(weight.shape)])
        return x

    monkeypatch.setattr(probes, "ATTENTION", dict.fromkeys(BACKENDS, attend))
    monkeypatch.setattr(probes, "linear", multiply)
    machine = probes.describe(torch.device("cpu"))
    assert machine.probes is not None
    assert attended == {(machine.probes.heads, machine.probes.tokens)}
    assert multiplied == {(machine.probes.size, machine.probes.size)}


def test_every_backend_is_tried_in_every_precision() -> None:
    found = probes.check_support(torch.device("cpu"), Probes(tokens=16, heads=2, size=8), head_size=8)
    assert [(s.attention, s.precision) for s in found] == [(a, p) for p in PRECISIONS for a in BACKENDS]
    for one in found:
        if one.precision in LACKS:
            assert LACKS[one.precision] in one.reason and not one.flops_per_second
        elif BACKENDS[one.attention].compiled:
            assert not one.flops_per_second and not one.reason, "it runs, and is not compiled to find out how fast"
        else:
            assert bool(one.flops_per_second) != bool(one.reason)


@pytest.mark.full
def test_without_its_package_8_bit_has_a_reason_and_no_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    there = probes.describe(torch.device("cpu"))
    assert there.flops_per_second.keys() == PRECISIONS.keys() - LACKS.keys()
    assert there.training_flops_per_second.keys() == PRECISIONS.keys() - {TF32, DYNAMIC_INT8, "int8-bitsandbytes"}
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    without = probes.describe(torch.device("cpu"))
    reasons = {s.reason for s in without.support if s.precision == "int8-bitsandbytes"}
    assert len(reasons) == 1 and "pip install bitsandbytes" in reasons.pop()
    assert without.flops_per_second.keys() == PRECISIONS.keys() - LACKS.keys() - {"int8-bitsandbytes"}
    config = VivitConfig()
    for machine, runs in ((there, True), (without, False)):
        estimated = estimate(Cell("m", "sdpa", "int8-bitsandbytes"), config, machine)
        assert (estimated.latency_ms is not None) == runs
        assert default_cells(config, machine)


def test_without_vnni_dynamic_int8_has_a_reason_and_no_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dynamic_int8, "has_vnni", lambda: False)
    machine = probes.describe(torch.device("cpu"))
    reasons = {s.reason for s in machine.support if s.precision == DYNAMIC_INT8}
    assert len(reasons) == 1 and "VNNI" in reasons.pop()
    assert DYNAMIC_INT8 not in machine.flops_per_second
    assert estimate(Cell("m", "sdpa", DYNAMIC_INT8), VivitConfig(), machine).latency_ms is None
