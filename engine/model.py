"""The model worker's tasks: it owns the device and the loaded models."""

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch

from engine.checkpoints import RANDOM, read_checkpoint
from engine.worker import Progress
from vivit.benchmark.cell import REPEAT_SECONDS, Cell, StoppingRule
from vivit.benchmark.measure import peak_memory, timed
from vivit.benchmark.run import run_cell
from vivit.benchmark.sweep import Run
from vivit.config import VivitConfig
from vivit.familiarity import load as load_familiarity
from vivit.hub import find_checkpoint, same_label
from vivit.machine import OtherWork, default_device, describe, memory_bytes, out_of_memory
from vivit.model import VideoClassifierOutput, VivitForVideoClassification
from vivit.pipelines import top_predictions
from vivit.precision import set_precision
from vivit.random_weights import load_model

SLOW_SECONDS = 3.0  # a pass that takes longer is not repeated for a better figure
MEMORY_SHARE = 0.25  # of the device's memory that loaded models may take

# (checkpoint, precision, when it was written) → model, last used last
_loaded: dict[tuple[str, str, int], VivitForVideoClassification] = {}


class OutOfMemory(RuntimeError):
    """The model did not fit."""

    expected = True


def start() -> dict[str, Any]:
    """What this machine has and can do."""
    return describe()


def classify(arguments: dict[str, Any], blobs: list[bytes], progress: Progress) -> tuple[dict[str, Any], list[bytes]]:
    """Classify one clip and measure it.

    Args:
        arguments: checkpoint, attention, precision, normalisation, top_k, and the shape of the pixels; truth, the action
            that the clip shows, '' or left out where that is not known.
        blobs: the pixels, (T, H, W, 3) uint8.
        progress: called after every layer.
    Returns:
        truth as it was given, and truth_rank, its place among the classes, 1 the most likely; None for none of them;
        predictions (None where the weights are random), familiar (whether the clip is like the training clips, None where
        the checkpoint has no statistics of them), latency_ms with its samples and how they were measured, others_share
        (what other programs took of the processors meanwhile, None where that was too short to tell), peak_bytes beyond the
        weights, weights_bytes, load_ms, preprocess_ms, device.
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
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        _unload()
        raise OutOfMemory(
            f"This checkpoint with '{arguments['attention']}' in {precision} does not fit into this machine's memory. "
            "Try sdpa, a half precision, or a smaller checkpoint."
        ) from None  # whose frames would keep what has been made so far
    known, truth = checkpoint != RANDOM, arguments.get("truth", "")
    familiarity = load_familiarity(find_checkpoint(checkpoint)) if known else None
    features = output.last_hidden_state[0, 0].float().cpu().numpy()
    return {
        "familiar": familiarity.is_familiar(features) if familiarity else None,
        "predictions": top_predictions(output.logits[0], config.id2label, arguments["top_k"]) if known else None,
        "truth": truth,
        "truth_rank": _rank(output.logits[0], config.id2label, truth) if known and truth else None,
        "load_ms": (loaded - begin) * 1e3,
        "preprocess_ms": (prepared - loaded) * 1e3,
        "weights_bytes": _bytes(model),
        "device": device.type,
        **measured,
    }, []


def _rank(logits: torch.Tensor, id2label: Mapping[int, str], label: str) -> int | None:
    """The place of a class among all, 1 the most likely; None if there is none of that name."""
    index = next((i for i, name in id2label.items() if same_label(name, label)), None)
    return None if index is None else int((logits > logits[index]).sum()) + 1


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
        others = OtherWork()
        # Nothing else happens in these: no hooks, no recorder.
        while first_ms < SLOW_SECONDS * 1e3 and sum(samples) < REPEAT_SECONDS * 1e3 and len(samples) < 20:
            samples.append(timed(forward, model.device)[1])
    return output, {
        "latency_ms": statistics.median(samples or [first_ms]),
        "samples_ms": samples or [first_ms],
        "warm": bool(samples),
        "first_ms": first_ms,
        "others_share": others.share() if samples else None,
        "peak_bytes": peak + pixel_values.numel() * pixel_values.element_size(),  # the clip was there before
    }


def _load(checkpoint: str, precision: str, config: VivitConfig, device: torch.device) -> VivitForVideoClassification:
    """The loaded model, or a freshly loaded one, after making room for it."""
    newest = 0 if checkpoint == RANDOM else max(f.stat().st_mtime_ns for f in find_checkpoint(checkpoint).iterdir())
    key = (checkpoint, precision, newest)  # of a folder that was written again what is loaded is no longer true
    if key in _loaded:
        _loaded[key] = _loaded.pop(key)
        return _loaded[key]
    for other in [k for k in _loaded if k[0] == checkpoint]:  # never two copies of the same weights
        del _loaded[other]
    with torch.device("meta"):
        needed = _bytes(set_precision(VivitForVideoClassification(config), precision))
    while _loaded and needed + sum(map(_bytes, _loaded.values())) > MEMORY_SHARE * memory_bytes(device):
        del _loaded[next(iter(_loaded))]
    _loaded[key] = load_model(checkpoint, attn_implementation="sdpa", dtype=precision, device=device)
    return _loaded[key]


def measure(arguments: dict[str, Any], blobs: list[bytes], progress: Progress) -> tuple[dict[str, Any], list[bytes]]:
    """Measure one benchmark cell in a fresh process, with nothing else loaded and nothing else running here.

    Args:
        arguments: run, a `Run` as a dict; shape of the pixels, or None for random numbers; normalisation.
        blobs: the pixels, (T, H, W, 3) uint8, if there is a shape.
        progress: called 20 times a second.
    Returns:
        measurement, a `Measurement` as a dict: one that failed, too; seconds, what it took in all.
    """
    _unload()
    values = arguments["run"]
    run = Run(**values | {"cell": Cell(**values["cell"]), "rule": StoppingRule(**values["rule"])})
    pixel_values = None
    if arguments["shape"]:
        _, processor = read_checkpoint(run.cell.checkpoint, arguments["normalisation"])
        pixel_values = processor.normalise(np.frombuffer(blobs[0], np.uint8).reshape(arguments["shape"]))
    row, seconds = run_cell(run, pixel_values, tick=lambda: progress(0.0, f"measuring {run.cell.name}"))
    return {"measurement": row.to_dict(), "seconds": seconds}, []


def _unload() -> None:
    """Give back all the memory that models take."""
    _loaded.clear()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _bytes(model: torch.nn.Module) -> int:
    return sum(p.numel() * p.element_size() for p in model.parameters())


TASKS = {"classify": classify, "measure": measure}
