"""The model worker on an NVIDIA GPU: its answers, what it holds and gives back, and which GPU it takes."""

import os
from dataclasses import asdict
from time import monotonic, perf_counter
from typing import Any

import numpy as np
import pytest
import torch

import engine.model as worker
from engine import Engine, Job, WorkerSpec, loaded
from engine.tasks import Classify, ExamineCell, MeasureRound, TimeCells
from tests.gpu.here import ANY_PRECISION, HERE, MANNEQUIN, RULE
from tests.vivit.benchmark import children
from vivit import VivitForVideoClassification, VivitImageProcessor
from vivit.benchmark.child import in_child, measure_here, measure_in_child
from vivit.benchmark.measure import peak_memory, timed
from vivit.benchmark.measurement import Cell, StoppingRule
from vivit.benchmark.ratios import FASTER
from vivit.benchmark.side_by_side import Examine, SideBySide
from vivit.benchmark.sweep import PlannedRound
from vivit.checkpoint import RANDOM, open_checkpoint
from vivit.device import default_device
from vivit.errors import UserError

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("exact_products")]


def question(checkpoint: str, attention: str, precision: str) -> tuple[Classify, list[bytes]]:
    """A classification of random pixels."""
    frames, height, width = open_checkpoint(checkpoint).config.clip_size
    shape = (frames, height, width, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    return Classify(checkpoint, attention, precision, "checkpoint", 5, shape), [pixels.tobytes()]


def test_the_model_worker_answers_as_the_cpu_does() -> None:
    engine = Engine({"model": WorkerSpec("engine.model")})
    engine.start()

    def done(job: Job[Any]) -> Any:
        assert job.wait(120) and job.state == "done", (job.state, job.error, job.details)
        return job.result

    try:
        request, blobs = question(MANNEQUIN, "sdpa", "float32")
        pixels = np.frombuffer(blobs[0], np.uint8).reshape(request.shape)
        pixel_values = torch.from_numpy(VivitImageProcessor.from_pretrained(MANNEQUIN).normalise(pixels))[None]
        with torch.no_grad():
            logits = VivitForVideoClassification.from_pretrained(MANNEQUIN).eval()(pixel_values).logits
        wanted = logits.softmax(-1).topk(5).values[0].tolist()
        for precision, off in (("float32", 1e-5), ("float16-weights", 5e-3), ("float16", 2e-2), ("bfloat16", 1e-1)):
            for attention in (
                HERE if precision in ("float16", "bfloat16") else ANY_PRECISION
            ):  # the others compute in float32
                found = done(engine.ask(*question(MANNEQUIN, attention, precision)))
                assert found.device == "cuda" and found.warm and found.peak_bytes > 0
                scores = [p.score for p in found.predictions]
                assert scores == pytest.approx(wanted, abs=off), (attention, precision)
        rule = StoppingRule(min_samples=3, max_samples=3, seconds=20.0)
        planned = PlannedRound(Cell(MANNEQUIN, "sdpa", "float16"), rule)
        row = done(engine.ask(MeasureRound(planned, None))).measurement
        assert row.status == "ok" and row.memory.allocated
    finally:
        engine.stop()


def test_cells_side_by_side() -> None:
    """ViViT-B by the worker's functions. A sweep's child, with nothing else loaded, measures the same memory to 2 %."""
    request, blobs = question(RANDOM, "eager", "float32")
    cells = [
        Cell(RANDOM, attention, precision) for precision in ("float32", "float16") for attention in ("eager", "sdpa")
    ]
    comparison = SideBySide(cells, seconds=10.0, sound=True)
    while step := comparison.next():
        if isinstance(step, Examine):
            examine = ExamineCell(cells[step.place], request.shape)
            comparison.examined(step, worker.examine_cell(examine, blobs, lambda *_: None)[0])
        else:
            begin = monotonic()
            time = TimeCells(1, tuple(cells[place] for place in step.places), request.shape)
            timed, _ = worker.time_cells(time, blobs, lambda *_: None)
            comparison.timed(step, timed, monotonic() - begin)
    loaded.unload()
    rows = comparison.rows()
    assert rows[3].ratio and rows[3].ratio.verdict == FASTER, rows[3].ratio
    assert comparison.rounds >= 6 and not comparison.busy and "CUDA events" in comparison.method
    for row in rows:
        assert row.found.device == "cuda" and row.found.logits
        alone, _ = measure_in_child(PlannedRound(row.cell, RULE))
        assert alone.memory and alone.memory.weights == row.found.weights, alone.details
        assert row.found.activations == pytest.approx(alone.memory.activations, rel=0.02), row.cell


def test_one_copy_of_a_model_in_each_precision_and_nothing_left_over() -> None:
    def beyond_weights() -> list[int]:
        """What is held after each setting beyond the weights of every model that is loaded, in bytes."""
        held = []
        for precision in ("float32", "float16", "bfloat16"):
            for attention in ("eager", "sdpa", "sdpa-efficient"):
                worker.classify(*question(MANNEQUIN, attention, precision), lambda *_: None)
                held.append(torch.cuda.memory_allocated() - sum(map(loaded.held_bytes, loaded.LOADED.values())))
        return held

    beyond_weights()  # cuBLAS takes its work space, once
    assert len(loaded.LOADED) == 3
    first, *_, last = (beyond_weights() for _ in range(20))
    assert last == first
    assert max(first) - min(first) < 2**20, "a second copy takes 4.7 MB"
    loaded.unload()


def cramped() -> dict[str, Any]:
    """Two classifications with 1 GiB: eager in float32 needs 1.4 GB, sdpa in float16 0.3."""
    torch.cuda.set_per_process_memory_fraction(2**30 / torch.cuda.get_device_properties(0).total_memory)
    try:
        worker.classify(*question(RANDOM, "eager", "float32"), lambda *_: None)
        sentence = ""
    except UserError as error:
        sentence = str(error)
    found, _ = worker.classify(*question(RANDOM, "sdpa", "float16"), lambda *_: None)
    return {"sentence": sentence, "latency_ms": found.latency_ms}


def test_what_does_not_fit_into_the_gpu_says_what_to_try_and_the_next_job_runs() -> None:
    found = in_child(cramped)
    assert "does not fit into this machine's memory. Try sdpa" in found["sentence"]
    assert found["latency_ms"] > 0


def described() -> dict[str, Any]:
    return asdict(worker.start())


def test_a_gpu_that_others_have_filled_is_described_all_the_same() -> None:
    torch.cuda.empty_cache()
    others = torch.empty(torch.cuda.mem_get_info()[0] - 5 * 2**29, dtype=torch.uint8, device="cuda")
    found = in_child(described)
    assert found["device"] == "cuda" and found["flops_per_second"]["float16"] > 0 and found["bytes_per_second"] > 0
    del others
    torch.cuda.empty_cache()


def chosen(name: str) -> dict[str, Any]:
    """Everything on the GPU that VIVIT_DEVICE names, and what each GPU has held at most."""
    os.environ["VIVIT_DEVICE"] = name
    device, megabytes = default_device(), 400
    _, peak = peak_memory(lambda: torch.empty(megabytes * children.MB, dtype=torch.uint8, device=device), device)
    matrix = torch.randn(8192, 8192, device=device)
    timed(lambda: matrix @ matrix, device)
    begin = perf_counter()
    _, ms = timed(lambda: matrix @ matrix, device)
    wall_ms = (perf_counter() - begin) * 1e3
    machine = worker.start()
    answer, _ = worker.classify(*question(MANNEQUIN, "sdpa", "float16"), lambda *_: None)
    row = measure_here(PlannedRound(Cell(MANNEQUIN, "sdpa", "float16"), RULE))
    assert row.memory and row.memory.allocated, row.details
    return {
        "place": machine.place,
        "devices": machine.devices,
        "peak_megabytes": peak and peak / children.MB,
        "ms": ms,
        "wall_ms": wall_ms,
        "classified": answer.peak_bytes,
        "measured": row.memory.activations,
        "held": [torch.cuda.max_memory_allocated(k) for k in range(torch.cuda.device_count())],
    }


@pytest.mark.parametrize("index", [0, 1])
def test_one_gpu_of_several_is_chosen_and_no_other_is_touched(index: int) -> None:
    if index >= (count := torch.cuda.device_count()):
        pytest.skip(f"PyTorch sees {count} GPU here, and this test wants another one")
    found = in_child(chosen, f"cuda:{index}")
    assert found["place"] == f"cuda:{index}" and len(found["devices"]) == count
    assert found["peak_megabytes"] == pytest.approx(400, rel=0.02)
    # A product takes 20 ms and more: events of another GPU's stream would pass each other at once.
    assert 0.5 * found["wall_ms"] < found["ms"] <= found["wall_ms"], found
    assert found["classified"] > 0 < found["measured"]
    held = found["held"]
    assert held.pop(index) > 0 and not any(held), "the others have held nothing"


def test_the_gpu_is_seen() -> None:
    """Were it hidden, every test above would have run on the CPU or failed for that reason."""
    assert torch.cuda.is_available(), os.environ.get("CUDA_VISIBLE_DEVICES", "no CUDA_VISIBLE_DEVICES")
    assert worker.start().device == "cuda"
