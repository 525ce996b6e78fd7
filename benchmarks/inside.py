"""What a look inside takes beside a pass: `python -m benchmarks.inside`, ViViT-B/16x2 with random weights.

Passes, [CLS] maps of all layers, and these with a rollout, in turn: ratios of the rounds, and the memory beyond the weights.
"""

import argparse
import json
import statistics
from collections.abc import Callable

import torch

from vivit.benchmark.measure import peak_memory, timed
from vivit.benchmark.measurement import MIB
from vivit.checkpoint import RANDOM, open_checkpoint
from vivit.device import default_device
from vivit.explain import cls_attention, rollout
from vivit.model import VivitForVideoClassification


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inside", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--attention", default="sdpa")
    options = parser.parse_args()
    device = default_device()
    model = open_checkpoint(RANDOM).load(VivitForVideoClassification, dtype=options.precision, device=device)
    model.set_attn_implementation(options.attention)
    frames, height, width = model.config.clip_size
    clip = torch.randn(1, frames, 3, height, width, generator=torch.Generator().manual_seed(0)).to(device, model.dtype)
    kinds: dict[str, Callable[[], object]] = {
        "pass": lambda: model(clip),
        "maps": lambda: cls_attention(model, clip),
        "maps and rollout": lambda: rollout(model, clip),
    }
    peaks = {}
    for name, call in kinds.items():
        call()
        peak = peak_memory(call, device)[1]
        assert peak is not None, "this accelerator's allocator counts nothing"
        peaks[name] = peak / MIB
    rounds = [{name: timed(call, device)[1] for name, call in kinds.items()} for _ in range(options.rounds)]
    found = {
        name: {
            "ms": [round(one[name], 2) for one in rounds],
            "of_a_pass": round(statistics.median(one[name] / one["pass"] for one in rounds), 3),
            "least": round(min(one[name] / one["pass"] for one in rounds), 3),
            "most": round(max(one[name] / one["pass"] for one in rounds), 3),
            "mib": round(peaks[name], 1),
            "mib_beyond_a_pass": round(peaks[name] - peaks["pass"], 1),
        }
        for name in kinds
    }
    print(json.dumps({"device": device.type, "torch": torch.__version__, **vars(options), "found": found}, indent=1))


if __name__ == "__main__":
    main()
