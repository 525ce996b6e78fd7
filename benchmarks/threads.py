"""How OpenMP's threads wait: eager and sdpa in turn, in fresh processes, quiet and beside two busy loops.

`python -m benchmarks.threads` prints tables as in docs/PERFORMANCE.md, of `CHOICES`; it takes about ten minutes on 2 cores.
"""

import json
import os
import random
import subprocess
import sys
import time

import numpy as np

CHOICES = {
    "as PyTorch comes": {},
    "GOMP_SPINCOUNT=1000": {"GOMP_SPINCOUNT": "1000"},
    "GOMP_SPINCOUNT=10000": {"GOMP_SPINCOUNT": "10000"},
    "GOMP_SPINCOUNT=100000": {"GOMP_SPINCOUNT": "100000"},
    "OMP_WAIT_POLICY=passive": {"OMP_WAIT_POLICY": "passive"},
}
REPEATS, SECONDS = 8, 3.0
BACKENDS = ("sdpa", "eager")


def measure(seconds: float) -> dict[str, list[float]]:
    """Passes of both backends in turn, in random order, in this process. Returns backend → ms."""
    import torch

    from vivit.checkpoint import open_checkpoint
    from vivit.model import VivitForVideoClassification

    checkpoint = open_checkpoint("vivit-mannequin")
    model = checkpoint.load(VivitForVideoClassification)
    frames, height, width = checkpoint.config.clip_size
    clip = torch.randn(1, frames, checkpoint.config.num_channels, height, width)
    found: dict[str, list[float]] = {name: [] for name in BACKENDS}

    def timed(name: str) -> float:
        model.set_attn_implementation(name)
        begin = time.perf_counter()
        model(clip)
        return (time.perf_counter() - begin) * 1e3

    with torch.inference_mode():
        for name in BACKENDS * 3:
            timed(name)
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            for name in random.sample(BACKENDS, len(BACKENDS)):
                found[name].append(timed(name))
    return found


def main() -> None:
    """Print the table."""
    plain = {k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    for busy in (0, 2):
        loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
        found: dict[str, dict[str, list[float]]] = {c: {name: [] for name in BACKENDS} for c in CHOICES}
        try:
            for _ in range(REPEATS):
                for choice in random.sample(list(CHOICES), len(CHOICES)):
                    command = [sys.executable, "-m", "benchmarks.threads", "measure"]
                    done = subprocess.run(command, env=plain | CHOICES[choice], capture_output=True, check=True)
                    for name, samples in json.loads(done.stdout).items():
                        found[choice][name] += samples
        finally:
            for loop in loops:
                loop.kill()
                loop.wait()
        print(f"\n{busy} busy loops | sdpa, ms | eager, ms | eager / sdpa, p10 to p90\n--- | --- | --- | ---")
        for choice, samples in found.items():
            ratios = [eager / sdpa for eager, sdpa in zip(samples["eager"], samples["sdpa"], strict=True)]
            low, middle, high = np.percentile(ratios, [10, 50, 90])
            sdpa, eager = (np.median(samples[name]) for name in BACKENDS)
            print(f"{choice} | {sdpa:.0f} | {eager:.0f} | {middle:.2f} ({low:.2f} to {high:.2f})", flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["measure"]:
        print(json.dumps(measure(SECONDS)))
    else:
        main()
