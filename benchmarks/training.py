"""A training step of ViViT-B/16x2 on a GPU, ours beside transformers: bfloat16 autocast, sdpa, AdamW, random labels.

    python -m benchmarks.training [--batch-size 8] [--rounds 8]

Both are loaded, and in each round, in fresh random order, each makes as many steps as fill a slot and gives their median. A
ratio is the median of the rounds' ratios of times, with the interval of the side-by-side comparison.
"""

import argparse
import random
import statistics
import tempfile
from collections.abc import Callable
from typing import Any

import torch
import transformers

from benchmarks.in_turn import ROUNDS, as_text, ratio_of
from benchmarks.theirs import random_model
from vivit.benchmark.measure import peak_memory, timed
from vivit.benchmark.measurement import MIB
from vivit.model import VivitForVideoClassification

SLOT_MS = 300.0


def stepping(model: Any, pixel_values: torch.Tensor, labels: torch.Tensor) -> Callable[[], None]:
    """What makes one step."""
    optimiser = torch.optim.AdamW(model.train().parameters(), lr=1e-5)

    def step() -> None:
        with torch.autocast("cuda", torch.bfloat16):
            loss = model(pixel_values=pixel_values, labels=labels).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    return step


def main() -> None:
    """Measure and print a table of markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=8, metavar="N")
    parser.add_argument("--rounds", type=int, default=8, choices=ROUNDS)
    options = parser.parse_args()
    device, batch = torch.device("cuda"), options.batch_size
    torch.manual_seed(0)
    pixel_values = torch.randn(batch, 32, 3, 224, 224, device=device)
    labels = torch.randint(400, (batch,), device=device)
    with tempfile.TemporaryDirectory() as folder:
        random_model(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0).save_pretrained(folder)
        theirs: Any = transformers.VivitForVideoClassification.from_pretrained(folder, attn_implementation="sdpa")
        theirs = theirs.to(device)
        plain, compiled = (
            VivitForVideoClassification.from_pretrained(folder, device=device, execution=e)
            for e in ("plain", "compiled")
        )
    models = {"transformers, sdpa": theirs, "ours, sdpa": plain, "ours, sdpa, compiled": compiled}
    steps = {name: stepping(model, pixel_values, labels) for name, model in models.items()}
    peaks = {}
    for name, step in steps.items():
        step()  # which compiles, and makes AdamW's moments
        _, peaks[name] = peak_memory(step, device)
    slots: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(options.rounds):
        for name in random.sample(list(steps), len(steps)):
            taken: list[float] = []
            while sum(taken) < SLOT_MS:
                taken.append(timed(steps[name], device)[1])
            slots[name].append(statistics.median(taken))
    base = next(iter(slots))
    print(
        f"{torch.cuda.get_device_name()}, torch {torch.__version__}, transformers {transformers.__version__}, "
        f"batch size {batch}"
    )
    print(
        "| model | ms a clip | ÷ transformers | beyond weights and moments, MiB | ÷ transformers |\n"
        "| --- | --- | --- | --- | --- |"
    )
    for name, taken in slots.items():
        found = None if name == base else ratio_of(slots[base], taken)
        ratio = as_text(found.inverse) if found else "1"
        held = f"{(peaks[name] or 0) / MIB:,.0f} | {(peaks[name] or 0) / (peaks[base] or 1):.2f}"
        print(f"| {name} | {statistics.median(taken) / batch:.2f} | {ratio} | {held} |")


if __name__ == "__main__":
    main()
