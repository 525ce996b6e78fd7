"""The model worker's tasks: it owns the device and the loaded models."""

import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch

from engine.checkpoints import RANDOM, read_checkpoint
from engine.worker import Progress
from vivit.benchmark.measure import peak_memory, timed
from vivit.config import VivitConfig
from vivit.machine import default_device, describe, memory_bytes
from vivit.model import VideoClassifierOutput, VivitForVideoClassification
from vivit.pipeline import top_predictions
from vivit.precision import set_precision

SLOW_SECONDS = 3.0  # a pass that takes longer is not repeated for a better figure
REPEAT_SECONDS = 1.0  # how long faster ones are repeated
MEMORY_SHARE = 0.25  # of the device's memory that loaded models may take

_loaded: dict[tuple[str, str], VivitForVideoClassification] = {}  # (checkpoint, precision) → model, last used last


class OutOfMemory(RuntimeError):
    """The model did not fit."""

    expected = True


def start() -> dict[str, Any]:
    """What this machine has and can do."""
    return describe()


def classify(arguments: dict[str, Any], blobs: list[bytes], progress: Progress) -> tuple[dict[str, Any], list[bytes]]:
    """Classify one clip and measure it.

    Args:
        arguments: checkpoint, attention, precision, normalisation, top_k, and the shape of the pixels.
        blobs: the pixels, (T, H, W, 3) uint8.
        progress: called after every layer.
    Returns:
        predictions (None where the weights are random), latency_ms with its samples and how they were measured,
        peak_bytes beyond the weights, weights_bytes, load_ms, preprocess_ms, device.
    """
    checkpoint, precision = arguments["checkpoint"], arguments["precision"]
    config, processor = read_checkpoint(checkpoint, arguments["normalisation"])
    device = default_device()
    try:
        begin = time.perf_counter()
        progress(0.0, "Loading the model")
        model = _load(checkpoint, precision, config, device)
        model.set_attn_implementation(arguments["attention"])
        loaded = time.perf_counter()
        pixels = np.frombuffer(blobs[0], np.uint8).reshape(arguments["shape"])
        pixel_values = torch.from_numpy(processor.normalise(pixels))[None].to(device)
        prepared = time.perf_counter()
        output, measured = _run(model, pixel_values, progress)
    except (MemoryError, torch.OutOfMemoryError) as error:
        _loaded.clear()
        raise OutOfMemory(
            f"'{checkpoint}' with '{arguments['attention']}' in {precision} does not fit into this machine's memory. "
            "Try sdpa, a half precision, or a smaller checkpoint."
        ) from error
    known = checkpoint != RANDOM
    return {
        "predictions": top_predictions(output.logits[0], config.id2label, arguments["top_k"]) if known else None,
        "load_ms": (loaded - begin) * 1e3,
        "preprocess_ms": (prepared - loaded) * 1e3,
        "weights_bytes": _bytes(model),
        "device": device.type,
        **measured,
    }, []


def _run(
    model: VivitForVideoClassification, pixel_values: torch.Tensor, progress: Progress
) -> tuple[VideoClassifierOutput, dict[str, Any]]:
    """One pass that records memory, warms up and can be cancelled between layers; then, if that was quick, timed ones."""
    layers = model.vivit.layers

    def forward() -> VideoClassifierOutput:
        return model(pixel_values)

    def after(k: int) -> Callable[..., None]:
        return lambda *_: progress((k + 1) / len(layers) * 0.9, f"Layer {k + 1} of {len(layers)}")

    with torch.inference_mode():
        with ExitStack() as hooks:
            for k, layer in enumerate(layers):
                hooks.callback(layer.register_forward_hook(after(k)).remove)
            (output, first_ms), peak = peak_memory(lambda: timed(forward, model.device), model.device)
        samples: list[float] = []
        # Nothing else happens in these: no hooks, no recorder.
        while first_ms < SLOW_SECONDS * 1e3 and sum(samples) < REPEAT_SECONDS * 1e3 and len(samples) < 20:
            samples.append(timed(forward, model.device)[1])
    return output, {
        "latency_ms": statistics.median(samples or [first_ms]),
        "samples_ms": samples or [first_ms],
        "warm": bool(samples),
        "first_ms": first_ms,
        "peak_bytes": peak,
    }


def _load(checkpoint: str, precision: str, config: VivitConfig, device: torch.device) -> VivitForVideoClassification:
    """The loaded model, or a freshly loaded one, after making room for it."""
    key = (checkpoint, precision)
    if key in _loaded:
        _loaded[key] = _loaded.pop(key)
        return _loaded[key]
    for other in [k for k in _loaded if k[0] == checkpoint]:  # never two copies of the same weights
        del _loaded[other]
    with torch.device("meta"):
        needed = _bytes(set_precision(VivitForVideoClassification(config), precision))
    while _loaded and needed + sum(map(_bytes, _loaded.values())) > MEMORY_SHARE * memory_bytes(device):
        del _loaded[next(iter(_loaded))]
    if checkpoint == RANDOM:
        torch.manual_seed(0)
        with torch.device(device):
            model = set_precision(VivitForVideoClassification(config).eval(), precision)
    else:
        model = VivitForVideoClassification.from_pretrained(checkpoint, dtype=precision, device=device)
    _loaded[key] = model
    return model


def _bytes(model: torch.nn.Module) -> int:
    return sum(p.numel() * p.element_size() for p in model.parameters())


TASKS = {"classify": classify}
