"""Cells of a sweep on an NVIDIA GPU: times, memory and answers, and why there are none."""

import math

import numpy as np
import pytest
import torch

from tests import oracle
from tests.gpu.here import MANNEQUIN, RULE
from tests.vivit.benchmark import children
from vivit import VivitForVideoClassification
from vivit.benchmark.child import in_child, measure_here, measure_in_child
from vivit.benchmark.measurement import Cell
from vivit.benchmark.sweep import PlannedRound
from vivit.checkpoint import RANDOM, open_checkpoint
from vivit.dynamic_int8 import DynamicInt8Unavailable

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("exact_products")]


def test_a_fresh_child_has_not_touched_cuda() -> None:
    assert in_child(children.state)["cuda"] is False


@pytest.mark.parametrize("megabytes", [400, 4000])
def test_a_known_allocation_is_reported(megabytes: int) -> None:
    assert in_child(children.allocate, megabytes)["peak_bytes"] == pytest.approx(megabytes * children.MB, rel=0.02)


def test_a_cell_in_tf32() -> None:
    rows = [
        measure_in_child(PlannedRound(Cell(MANNEQUIN, "sdpa", name, batch_size=2, execution=e), RULE))[0]
        for name, e in (("float32", "plain"), ("tf32", "plain"), ("tf32", "compiled"), ("tf32", "captured"))
    ]
    assert all(row.status == "ok" and row.logits for row in rows), [row.details for row in rows]
    exact, *rounded = (torch.tensor(row.logits) for row in rows)
    for logits in rounded:
        assert 1e-5 < (logits - exact).abs().max() < 5e-2  # logits reach 7, in an encoder of 192 numbers
    step, _ = measure_in_child(PlannedRound(Cell(MANNEQUIN, "sdpa", "tf32", mode="training"), RULE))
    assert step.status == "ok", step.details


def test_dynamic_int8_is_refused_on_a_gpu() -> None:
    with pytest.raises(DynamicInt8Unavailable, match="runs on CPUs alone"):
        VivitForVideoClassification.from_pretrained(MANNEQUIN, dtype="int8-dynamic", device="cuda")
    row, _ = measure_in_child(PlannedRound(Cell(MANNEQUIN, "sdpa", "int8-dynamic"), RULE))
    assert row.status == "unavailable" and "runs on CPUs alone" in row.reason
    model = VivitForVideoClassification.from_pretrained(MANNEQUIN, dtype="int8-dynamic").to("cuda")
    with pytest.raises(DynamicInt8Unavailable, match="moved to 'cuda'"):
        model(oracle.clip(model.config).to("cuda"))


def test_a_cell_of_flex_compiles_in_its_first_call() -> None:
    row, _ = measure_in_child(PlannedRound(Cell(MANNEQUIN, "flex_attention", "float16", batch_size=2), RULE))
    assert row.status == "ok" and row.latency and row.logits and row.device_kernels, row.details
    assert row.latency.first_ms > 10 * row.latency.median


@pytest.mark.parametrize("attention", ["sdpa-flash", "sdpa-cudnn"])
def test_what_is_unavailable_is_a_row(attention: str) -> None:
    row, _ = measure_in_child(PlannedRound(Cell(RANDOM, attention), RULE))
    assert row.status == "unavailable" and "computes in float16 and bfloat16 only" in row.reason


def test_what_does_not_fit_is_a_row() -> None:
    row, _ = measure_in_child(PlannedRound(Cell(RANDOM, "eager", batch_size=256), RULE))
    assert row.status == "out-of-memory" and "does not fit" in row.reason


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_a_measured_cell(attention: str) -> None:
    row, _ = measure_in_child(PlannedRound(Cell(MANNEQUIN, attention, "float16", batch_size=2), RULE))
    assert row.status == "ok" and row.latency and row.latency.median > 0 and row.logits, row.details
    memory = row.memory
    assert memory and memory.allocated and memory.reserved and row.device_kernels
    # What CUDA's libraries keep for themselves is allocated, and no activation.
    assert memory.activations > 0 and memory.peak <= memory.allocated <= memory.reserved


def test_a_compiled_cell_answers_alike() -> None:
    compiled, plain = (
        measure_in_child(PlannedRound(Cell(MANNEQUIN, "sdpa", execution=e), RULE))[0] for e in ("compiled", "plain")
    )
    assert compiled.latency and plain.latency and plain.logits and compiled.status == "ok", compiled.details
    assert compiled.latency.first_ms > 10 * compiled.latency.median
    np.testing.assert_allclose(compiled.logits or (), plain.logits, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_captured_cell_answers_alike_and_its_memory_is_a_passs(precision: str) -> None:
    captured, plain = (
        measure_in_child(PlannedRound(Cell(MANNEQUIN, "sdpa", precision, 2, execution=e), RULE))[0]
        for e in ("captured", "plain")
    )
    assert captured.status == "ok" and captured.latency and captured.latency.warm, captured.details
    assert captured.memory and plain.memory and captured.kernel
    # The pass that captures holds what a pass holds. The rest is the graph's own copy of its input, and what cuBLAS takes to
    # work in on a stream that it has not seen, 32 MiB on chips of 9.0 and 8 elsewhere.
    copy = 2 * 3 * math.prod(open_checkpoint(MANNEQUIN).config.clip_size) * (2 if precision == "bfloat16" else 4)
    more = captured.memory.activations - plain.memory.activations
    assert -0.1 * plain.memory.activations < more < copy + 34 * 2**20, more
    # In a graph a sum and its LayerNorm are one kernel whatever their size, which is another order through all layers;
    # bfloat16 has 8 bits.
    off = 0.1 if precision == "bfloat16" else 1e-4
    np.testing.assert_allclose(captured.logits or (), plain.logits or (), rtol=off, atol=off)


def test_a_captured_training_step_is_a_row() -> None:
    row = measure_here(PlannedRound(Cell(MANNEQUIN, "sdpa", mode="training", execution="captured"), RULE))
    assert row.status == "unavailable" and "no gradients" in row.reason
