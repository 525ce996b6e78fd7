"""What factorising buys on a GPU: the four models of ViViT-B/16x2, timed in turn: `python -m benchmarks.factorization`.

Every round takes each model once, in random order; a ratio is the median of the rounds' ratios to model 1, with the 5th and
95th percentile. Peak memory is what a plain pass holds beyond the weights, which are random; a graph keeps its own.
"""

import argparse
import random
import statistics

import torch

from vivit.checkpoint import RANDOM, RANDOM_CONFIGS, open_checkpoint
from vivit.model import VivitForVideoClassification
from vivit.names import EXECUTIONS, FACTORIZATIONS

ROUNDS, WARM_UP = 40, 3


def timed(model: VivitForVideoClassification, clips: torch.Tensor) -> float:
    """Milliseconds of one pass, between two events on the GPU."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    model(clips)
    end.record()
    torch.cuda.synchronize()
    return float(start.elapsed_time(end))


def peak_mib(model: VivitForVideoClassification, clips: torch.Tensor) -> float:
    """What a pass holds at most beyond what was there before it."""
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    model(clips)
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.factorization", description=__doc__)
    parser.add_argument("--attention", nargs="+", default=["sdpa"])
    parser.add_argument("--precision", default="float16")
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--execution", nargs="+", default=["plain", "captured"], choices=EXECUTIONS)
    options = parser.parse_args()
    print(
        f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {options.precision}, {ROUNDS} rounds", flush=True
    )
    models = {
        name: open_checkpoint(name).load(VivitForVideoClassification, dtype=options.precision, device="cuda")
        for name in RANDOM_CONFIGS
    }
    print(
        f"{'model':16}{'attention':10}{'execution':10}{'batch':>6}{'ms a clip':>11}{'ratio':>8}{'5–95 %':>14}{'MiB':>8}"
    )
    for attention in options.attention:
        for execution in options.execution:
            for batch in options.batch_sizes:
                clips = torch.randn(batch, 32, 3, 224, 224, device="cuda", dtype=models[RANDOM].dtype)
                for model in models.values():
                    model.set_attn_implementation(attention)
                    model.set_execution("plain")
                    model.set_execution(execution)
                peaks = {}
                for name, model in models.items():
                    for _ in range(WARM_UP):
                        model(clips)
                    peaks[name] = peak_mib(model, clips)
                rounds = [
                    {name: timed(models[name], clips) for name in random.sample([*models], len(models))}
                    for _ in range(ROUNDS)
                ]
                for name, factorization in zip(models, FACTORIZATIONS, strict=True):
                    ratios = sorted(found[name] / found[RANDOM] for found in rounds)
                    low, high = ratios[round(0.05 * ROUNDS)], ratios[round(0.95 * ROUNDS) - 1]
                    ms = statistics.median(found[name] for found in rounds) / batch
                    print(
                        f"{factorization:16}{attention:10}{execution:10}{batch:6}{ms:11.2f}{statistics.median(ratios):8.3f}"
                        f"{f'{low:.3f}–{high:.3f}':>14}" + (f"{peaks[name]:8.0f}" if execution == "plain" else ""),
                        flush=True,
                    )


if __name__ == "__main__":
    main()
