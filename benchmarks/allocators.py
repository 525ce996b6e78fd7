"""What keeps freed memory, and what it is worth: ViViT-B/16x2, float32, sdpa, one clip on the CPU, ours and transformers'.

    python -m benchmarks.allocators [--layers 12] [--repeats 4] [LIBRARY.so ...]

prints the table of docs/PERFORMANCE.md: fresh processes in random order, in each both models in turn, in random order. The
libraries, of jemalloc and the like, are preloaded, each in a row of its own. With fewer layers a busy machine is done sooner;
the tensors stay as large. Times are the clock's and, in brackets, the processor's for the calling thread, which other programs
disturb far less, and which leaves out what OpenMP's other threads take longer. Needs transformers.
"""

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from benchmarks.contest import KEPT, TUNABLES
from vivit.threads import waiting

NEVER = "oversize_threshold:1,dirty_decay_ms:-1,muzzy_decay_ms:-1"  # jemalloc's way to keep everything
AS_IT_COMES, OURS = "as it comes", "vivit.heap.keep()"
CHOICES = {
    AS_IT_COMES: {},
    OURS: {},
    "GLIBC_TUNABLES, both thresholds 4 GiB": {TUNABLES: KEPT},
    "THP_MEM_ALLOC_ENABLE=1": {"THP_MEM_ALLOC_ENABLE": "1"},
}
ROUNDS = 3


def measure(choice: str, layers: int) -> dict[str, list[float]]:
    """Passes of both in turn in this process.

    Returns:
        'ours' and 'theirs' → ms of each pass; with ', thread' those of the calling thread's processor; with ', cleared' the MiB
        that the system had to clear. 'peak' → the most MiB resident.
    """
    import torch

    from benchmarks.theirs import random_model
    from vivit import heap
    from vivit.checkpoint import RANDOM, open_checkpoint
    from vivit.model import VivitForVideoClassification

    if choice == OURS and not heap.keep():
        raise SystemExit("this C library cannot be told to")
    theirs = random_model(num_hidden_layers=layers)
    ours = VivitForVideoClassification(replace(open_checkpoint(RANDOM).config, num_hidden_layers=layers)).eval()
    pixels = torch.randn(1, 32, 3, 224, 224)
    calls = {"ours": lambda: ours(pixels), "theirs": lambda: theirs(pixel_values=pixels)}
    found: dict[str, list[float]] = {name + what: [] for name in calls for what in ("", ", thread", ", cleared")}
    with torch.inference_mode():
        for number in range(1 + ROUNDS):
            for name in random.sample(list(calls), 2):
                begin, thread, pages = time.perf_counter(), time.thread_time(), _faults()
                calls[name]()
                if number:  # the first warms up
                    found[name].append((time.perf_counter() - begin) * 1e3)
                    found[f"{name}, thread"].append((time.thread_time() - thread) * 1e3)
                    found[f"{name}, cleared"].append((_faults() - pages) * resource.getpagesize() / 2**20)
    return {**found, "peak": [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]}


def _faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def main(layers: int, repeats: int, libraries: list[str]) -> None:
    """Print the table."""
    choices = dict(CHOICES)
    for library in libraries:
        choices[Path(library).name] = {"LD_PRELOAD": library}
        if "jemalloc" in library:
            choices[f"{Path(library).name}, {NEVER}"] = {"LD_PRELOAD": library, "MALLOC_CONF": NEVER}
    runs: dict[str, list[dict[str, list[float]]]] = {choice: [] for choice in choices}
    for _ in range(repeats):
        for choice in random.sample(list(choices), len(choices)):
            command = [sys.executable, "-m", "benchmarks.allocators", "--layers", str(layers), "--measure", choice]
            environment = {**os.environ, **waiting(), **choices[choice]}
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
            runs[choice].append(json.loads(done.stdout))
            print(choice, runs[choice][-1], file=sys.stderr, flush=True)
    print("| | transformers, ms | ours, ms | ours / transformers | cleared a pass, MiB, of each | peak, MiB |")
    print("| --- | --- | --- | --- | --- | --- |")
    for choice, found in runs.items():
        ratio = f"{_ratio(found, '')} ({_ratio(found, ', thread')})"
        cleared = ", ".join(f"{_middle(found, f'{name}, cleared'):.0f}" for name in ("theirs", "ours"))
        cells = choice, _ms(found, "theirs"), _ms(found, "ours"), ratio, cleared, f"{_middle(found, 'peak'):.0f}"
        print(f"| {' | '.join(cells)} |")


def _middle(runs: list[dict[str, list[float]]], name: str) -> float:
    return statistics.median(value for run in runs for value in run[name])


def _ms(runs: list[dict[str, list[float]]], name: str) -> str:
    return f"{_middle(runs, name):.0f} ({_middle(runs, f'{name}, thread'):.0f})"


def _ratio(runs: list[dict[str, list[float]]], what: str) -> str:
    """The median of the processes' ratios, and the smallest and the largest."""
    ratios = sorted(statistics.median(run[f"ours{what}"]) / statistics.median(run[f"theirs{what}"]) for run in runs)
    return f"{statistics.median(ratios):.2f}, {ratios[0]:.2f} to {ratios[-1]:.2f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("libraries", nargs="*")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure, options.layers)))
    else:
        main(options.layers, options.repeats, options.libraries)
