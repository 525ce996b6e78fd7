"""The documentation's tables on a GPU, beside transformers in the same run.

    python -m benchmarks.speed_gpu OUT [--model NAME|DIR] [--seconds 200]

Writes two sweeps, ours and transformers' (same cells, so that the page and `results.compare` set them side by side), and
prints a table of medians. Exit status 1 if one of our cells was slower. What does not fit into the time is left out and
says so. Needs neither av nor plotly nor streamlit.
"""

import argparse
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from vivit.benchmark import measure
from vivit.benchmark.child import ChildEnded, in_child, measure_in_child
from vivit.benchmark.measurement import Cell, Latency, Measurement, Memory, StoppingRule
from vivit.benchmark.probes import describe
from vivit.benchmark.report import as_text
from vivit.benchmark.results import Result, save, snapshot
from vivit.benchmark.sweep import Sweep, grid
from vivit.checkpoint import RANDOM, open_checkpoint
from vivit.device import default_device
from vivit.machine import Machine
from vivit.records import from_json

# Two rounds of ours make the documentation's 20 batches and 100 steps.
INFERENCE = StoppingRule(spread=0, min_samples=10, max_samples=10, seconds=60, warm_up_seconds=0)
TRAINING = StoppingRule(spread=0, min_samples=50, max_samples=50, seconds=60, warm_up_seconds=0)
SIZES = (1, 2, 4, 8)


def transformers_cells(cells: list[Cell], rule: StoppingRule) -> dict[str, Any]:
    """Cells of one attention, precision and mode with transformers' model, in this process."""
    import transformers

    device, first = default_device(), cells[0]
    torch.manual_seed(0)
    if first.checkpoint == RANDOM:
        config = transformers.VivitConfig(num_labels=400)
        config._attn_implementation = first.attention
        with torch.device(device):
            model = transformers.VivitForVideoClassification(config)
    else:
        model = transformers.VivitForVideoClassification.from_pretrained(
            first.checkpoint, attn_implementation=first.attention
        )
    model = model.to(device, getattr(torch, first.precision)).train(first.mode == "training")
    return {"rows": [asdict(transformers_cell(model, cell, rule)) for cell in cells]}


def transformers_cell(model: Any, cell: Cell, rule: StoppingRule) -> Measurement:
    """One cell, timed and recorded just as ours are."""
    device, config = default_device(), model.config
    size = config.image_size if isinstance(config.image_size, list | tuple) else [config.image_size] * 2
    pixels = torch.randn(1, config.num_frames, 3, *size, device=device, dtype=model.dtype)
    pixels = pixels.expand(cell.batch_size, -1, -1, -1, -1).contiguous()
    labels = torch.randint(config.num_labels, (cell.batch_size,), device=device)
    optimiser = torch.optim.AdamW(model.parameters()) if cell.mode == "training" else None

    def call() -> None:
        if optimiser is None:
            model(pixel_values=pixels)
        else:
            model(pixel_values=pixels, labels=labels).loss.backward()
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)

    def time_call() -> float:
        return measure.timed(call, device)[1]

    with torch.inference_mode(optimiser is None):
        timing = measure.repeat(time_call, rule)
        _, recorded = measure.record(time_call, device)
    cuda = device.type == "cuda"
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    allocated = torch.cuda.max_memory_allocated(device) if cuda else None
    reserved = torch.cuda.max_memory_reserved(device) if cuda else None
    memory = Memory(weights, allocated - weights if allocated else recorded.peak_bytes, allocated, reserved, 0)
    kernels = {"kernel": recorded.kernel, "device_kernels": recorded.device_kernels}
    return Measurement(cell, "ok", latency=Latency((timing,)), memory=memory, **kernels)


def ours(cells: list[Cell], machine: Machine, rule: StoppingRule, rounds: int, ends: float) -> Result:
    """A sweep of ours, ended at `ends` (`time.monotonic`)."""
    configs = {c.checkpoint: open_checkpoint(c.checkpoint).config for c in cells}
    sweep = Sweep(cells, configs, machine, budget_seconds=None, rounds=rounds, rule=rule)
    while planned := sweep.next():
        if time.monotonic() > ends:
            break
        sweep.record(*measure_in_child(planned))
    sweep.cancel("Left out: the time of the run was up.")
    return snapshot(sweep)


def theirs(cells: list[Cell], rule: StoppingRule, ends: float) -> list[Measurement]:
    """The same cells with transformers: a process for each attention, precision and mode."""
    rows: list[Measurement] = []
    for key in dict.fromkeys((c.attention, c.precision, c.mode) for c in cells):
        if time.monotonic() > ends:
            break
        chosen = [c for c in cells if (c.attention, c.precision, c.mode) == key]
        try:
            rows += from_json(list[Measurement], in_child(transformers_cells, chosen, rule, seconds=90)["rows"])
        except ChildEnded as ended:
            print(f"transformers, {key}: {ended}", flush=True)
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default=RANDOM)
    parser.add_argument("--seconds", type=float, default=200.0)
    options = parser.parse_args()
    begin, failed = time.monotonic(), False
    ends = begin + options.seconds

    def note(text: str) -> None:
        print(f"[{time.monotonic() - begin:5.1f} s] {text}", flush=True)

    machine = describe()
    rates = {name: f"{rate / 1e12:.1f}" for name, rate in machine.flops_per_second.items()}
    note(f"{machine.device_name}: {rates} TFLOP/s, {machine.bytes_per_second / 1e12:.2f} TB/s")
    whole: Result | None = None
    beside: list[Measurement] = []

    def keep(part: Result | None, rows: list[Measurement]) -> None:
        """Written after every part, so that a run which is cut off has brought something."""
        nonlocal whole
        if part:
            whole = part if whole is None else replace(whole, rows=whole.rows + part.rows)
            whole = replace(whole, title="The documentation's tables, ours")
            save(whole, options.out)
        beside.extend(rows)
        if beside and whole:
            import transformers

            title = f"The documentation's tables, transformers {transformers.__version__}"
            estimates = {r.cell: r.estimate for r in whole.rows}
            rows = [replace(r, estimate=estimates.get(r.cell)) for r in beside]
            save(
                replace(whole, title=title, rows=tuple(rows), references={}, id=f"{whole.id}-transformers"), options.out
            )
        note("kept")

    inference = grid(options.model, ("eager", "sdpa"), ("float32", "float16"), SIZES)
    training = grid(options.model, ("eager", "sdpa"), modes=("training",))
    forced = grid(options.model, ("sdpa-flash", "sdpa-cudnn", "sdpa-efficient", "sdpa-math"), ("float16",), (1, 8))
    forced += grid(options.model, ("sdpa",), ("bfloat16",), (1, 8))
    keep(ours(inference, machine, INFERENCE, 2, ends - 60), [])
    keep(None, theirs(inference, INFERENCE, ends - 25))
    keep(ours(training, machine, TRAINING, 2, ends - 20), [])
    keep(None, theirs(training, replace(TRAINING, min_samples=30, max_samples=30), ends - 10))
    keep(ours(forced, machine, INFERENCE, 1, ends), [])

    assert whole
    print(as_text(whole))
    other = {r.cell: r for r in beside}
    print("\nmedian ms a call, peak MB allocated: ours, transformers', ours / transformers'")
    for row in whole.rows:
        if row.latency and row.memory and (their := other.get(row.cell)) and their.latency and their.memory:
            ratio = row.latency.median / their.latency.median
            failed |= ratio > 1
            print(
                f"{row.cell.name:45} {row.latency.median:9.3f} {their.latency.median:9.3f} {ratio:6.3f}   "
                f"{row.memory.peak / 1e6:8.0f} {their.memory.peak / 1e6:8.0f} {row.memory.peak / their.memory.peak:6.3f}"
                + "   SLOWER"
                * (ratio > 1)
            )
    note("done")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
