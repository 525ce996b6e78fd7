"""The model worker's tasks: it owns the device and the loaded models."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import torch

from engine import evaluating, inside, teaching, windows
from engine.loaded import LOADED, fitting, held_bytes, load, normalising, unload
from engine.tasks import (
    Classification,
    Classify,
    ExamineCell,
    MeasuredRound,
    MeasureRound,
    Prediction,
    TimeCells,
)
from engine.worker import Task, typed
from vivit import heap
from vivit.benchmark import first_calls
from vivit.benchmark.child import measure_in_child
from vivit.benchmark.cost import compile_seconds
from vivit.benchmark.measure import peak_memory, repeat, timed
from vivit.benchmark.measurement import GLANCE, Cell, Round
from vivit.benchmark.passes import (
    Contestant,
    beyond,
    choose,
    examine,
    make_ready,
    renew,
    telling,
    time_round,
    unmade,
)
from vivit.benchmark.probes import called, describe
from vivit.benchmark.side_by_side import Examined, TimedRound
from vivit.checkpoint import Checkpoint, open_checkpoint
from vivit.crossing import cross
from vivit.device import default_device
from vivit.errors import UserError
from vivit.hub import same_label
from vivit.machine import Machine, OtherWork
from vivit.model import VivitForVideoClassification
from vivit.progress import Progress
from vivit.scores import top_predictions

_last_comparison = 0  # number of the comparison whose round ran last, with no other job since; 0 for none


def start() -> Machine:
    """Settle what becomes of freed memory, then tell what this machine has and can do."""
    heap.keep()
    return describe()


def classify(request: Classify, blobs: list[bytes], progress: Progress) -> tuple[Classification, list[bytes]]:
    """Classify one clip and measure it; progress is called after every layer."""
    _interrupt()
    checkpoint = open_checkpoint(request.checkpoint, here=True)
    processor, device = normalising(checkpoint, request.normalisation), default_device()
    with fitting(request.attention, request.precision):
        begin = perf_counter()
        progress(0.0, "Loading the model")
        model = load(checkpoint, request.precision, device)
        choose(model, request.attention, request.execution)
        loaded = perf_counter()
        views = [*np.frombuffer(blobs[0], np.uint8).reshape(request.views, *request.shape)]
        pixel_values, preprocess_ms = timed(lambda: cross(views, processor, device, model.dtype), device)
        cell = Cell(checkpoint.name, request.attention, request.precision, len(views), execution=request.execution)
        _tell_what_is_made(checkpoint, cell, model, progress)
        of_each, features, found = _run(model, pixel_values, progress)
        logits = of_each.float().mean(0)
        _keep_first_call(checkpoint, cell, found.first_seconds)
    labels, known = checkpoint.labels, checkpoint.trained
    best = top_predictions(logits, labels, request.top_k) if known else None
    familiarity = checkpoint.familiarity()
    return Classification(
        predictions=None if best is None else tuple(Prediction(**prediction) for prediction in best),
        familiar=familiarity.is_familiar(features.float().mean(0).cpu().numpy()) if familiarity else None,
        truth=request.truth,
        truth_rank=_rank(logits, labels, request.truth) if known and request.truth else None,
        latency_ms=statistics.median(found.passes.samples_ms),
        samples_ms=found.passes.samples_ms,
        warm=found.passes.warm,
        first_ms=found.passes.first_ms,
        others_share=found.others_share if found.passes.warm else None,
        peak_bytes=found.peak_bytes,
        weights_bytes=held_bytes(model),
        load_ms=(loaded - begin) * 1e3,
        preprocess_ms=preprocess_ms,
        device=device.type,
    ), []


def _rank(logits: torch.Tensor, id2label: Mapping[int, str], label: str) -> int | None:
    """The place of a class among all, 1 the most likely; None if there is none of that name."""
    index = next((i for i, name in id2label.items() if same_label(name, label)), None)
    return None if index is None else int((logits > logits[index]).sum()) + 1


@dataclass(frozen=True)
class _Passes:
    """What the passes of a clip took.

    Args:
        passes: the timed ones.
        others_share, peak_bytes: as in `Classification`.
        first_seconds: as in `Examined`.
    """

    passes: Round
    others_share: float | None
    peak_bytes: int | None
    first_seconds: float | None


def _tell_what_is_made(
    checkpoint: Checkpoint, cell: Cell, model: VivitForVideoClassification, progress: Progress
) -> None:
    """Where a first call is still to come, say what it compiles or captures, and about how long that takes."""
    if making := unmade(model):
        known = first_calls.recall(*_place(model.device), checkpoint.config, cell)
        seconds = compile_seconds(cell.attention, cell.execution, known.seconds if known else None)
        # No time is told for an attention alone: whether an earlier model has had it compiled is not known.
        about = f", about {seconds:.0f} s" if seconds >= 1 and cell.execution != "plain" else ""
        progress(0.0, f"{making[0].upper()}{making[1:]}{about}")


def _keep_first_call(checkpoint: Checkpoint, cell: Cell, seconds: float | None) -> None:
    if seconds is not None:
        first_calls.keep(*_place(default_device()), checkpoint.config, cell, seconds)


def _place(device: torch.device) -> tuple[str, str]:
    """The device and the version of PyTorch, by which first calls are kept."""
    return called(device), torch.__version__


def _run(
    model: VivitForVideoClassification, pixel_values: torch.Tensor, progress: Progress
) -> tuple[torch.Tensor, torch.Tensor, _Passes]:
    """One pass that records memory, warms up and can be cancelled between layers; then, if that was quick, timed ones.

    Args:
        pixel_values: (V, T, C, H, W), all views of a clip.

    Returns:
        Logits (V, num_labels), features (V, E), and what it took.
    """
    device = model.device
    peak: int | None = None
    found, others = None, OtherWork()

    def forward() -> tuple[torch.Tensor, torch.Tensor]:
        features = model.features(pixel_values)
        return model.classifier(features), features

    def first_pass() -> float:
        nonlocal peak, found, others
        with telling(model, lambda fraction, note: progress(0.9 * fraction, note)):
            (found, ms), peak = peak_memory(lambda: timed(forward, device), device)
        others = OtherWork()
        return ms

    def timed_pass() -> float:
        # In the passes after the first nothing else happens: no hooks, no recorder.
        return first_pass() if found is None else timed(forward, device)[1]

    made_seconds = make_ready(model, pixel_values)
    with torch.inference_mode():
        passes = repeat(timed_pass, GLANCE)
        share = others.share()
        if device.type != "cpu":  # the device's libraries may have taken memory in the first pass that they keep
            renew(model)
            _, peak = peak_memory(forward, device)
    assert found is not None
    if peak is not None:
        peak += pixel_values.nbytes  # the clip lay there before the pass, so it was not counted
    seconds = beyond(made_seconds, model, statistics.median(passes.samples_ms))
    return *found, _Passes(passes, share, peak, seconds)


def examine_cell(request: ExamineCell, blobs: list[bytes], progress: Progress) -> tuple[Examined, list[bytes]]:
    """Load a cell, warm it up and look at it; progress is called after every layer."""
    _interrupt()
    progress(0.0, "Loading the model")
    with fitting(request.cell.attention, request.cell.precision):
        (contestant,) = _enter([request.cell], request, blobs[0])
        checkpoint = open_checkpoint(request.cell.checkpoint, weights=False, here=True)
        contestant.choose()
        _tell_what_is_made(checkpoint, request.cell, contestant.model, progress)
        found = examine(contestant, progress)
        _keep_first_call(checkpoint, request.cell, found.first_seconds)
        return found, []


def time_cells(request: TimeCells, blobs: list[bytes], progress: Progress) -> tuple[TimedRound, list[bytes]]:
    """Time some cells once each; progress is called between them, and after every layer of slow ones."""
    global _last_comparison
    attention, precision = {c.attention: 0 for c in request.cells}, {c.precision: 0 for c in request.cells}
    with fitting(" and ".join(attention), " and ".join(precision)):
        contestants = _enter(request.cells, request, blobs[0])
        interrupted, _last_comparison = _last_comparison != request.comparison, request.comparison
        return time_round(contestants, interrupted=interrupted, slow=request.slow, progress=progress), []


def _enter(cells: Sequence[Cell], request: ExamineCell | TimeCells, pixels: bytes) -> list[Contestant]:
    """Load the models of some cells, all together, and their clips. Raises UserError if not all fit into memory."""
    device, frames = default_device(), np.frombuffer(pixels, np.uint8).reshape(request.shape)
    opened = {name: open_checkpoint(name, here=True) for name in dict.fromkeys(cell.checkpoint for cell in cells)}
    kinds = dict.fromkeys((cell.checkpoint, cell.precision) for cell in cells)
    models = {kind: load(opened[kind[0]], kind[1], device) for kind in kinds}
    if any(model not in LOADED.values() for model in models.values()):
        fewer = "models or precisions" if len(opened) > 1 else "precisions"
        raise UserError(
            f"The weights of these cells do not fit into this machine's memory together. Compare fewer {fewer} at a time."
        )
    processors = {name: normalising(checkpoint, request.normalisation) for name, checkpoint in opened.items()}
    clips = {kind: cross([frames], processors[kind[0]], device, model.dtype) for kind, model in models.items()}
    found = [(cell, (cell.checkpoint, cell.precision)) for cell in cells]
    return [Contestant(models[kind], cell.attention, clips[kind], cell.execution) for cell, kind in found]


def _interrupt() -> None:
    """Note that a job other than a round has run, so that the next round of a comparison counts as interrupted."""
    global _last_comparison
    _last_comparison = 0


def measure(request: MeasureRound, blobs: list[bytes], progress: Progress) -> tuple[MeasuredRound, list[bytes]]:
    """Measure one round of a cell in a fresh process, with nothing else loaded; progress is called 20 times a second."""
    _interrupt()
    unload()
    planned, pixel_values = request.planned, None
    if request.shape:
        checkpoint = open_checkpoint(planned.cell.checkpoint, weights=False, here=True)
        pixels = np.frombuffer(blobs[0], np.uint8).reshape(request.shape)
        pixel_values = normalising(checkpoint, request.normalisation).normalise(pixels)
    note = f"measuring {planned.cell.name}"
    row, seconds = measure_in_child(planned, pixel_values, tick=lambda: progress(0.0, note))
    if row.cell.prepares and row.status == "ok":
        config = open_checkpoint(row.cell.checkpoint, weights=False, here=True).config
        first_calls.keep_row(*_place(default_device()), config, row)
    return MeasuredRound(row, seconds), []


def _between(task: Task) -> Task:
    """A task of another module, with a note that it came between two rounds of a comparison."""

    def run(arguments: dict[str, Any], blobs: list[bytes], progress: Progress) -> tuple[Any, list[bytes]]:
        _interrupt()
        return task(arguments, blobs, progress)

    return run


TASKS = typed({Classify: classify, ExamineCell: examine_cell, TimeCells: time_cells, MeasureRound: measure})
OTHERS = inside.TASKS | windows.TASKS | evaluating.TASKS | teaching.TASKS
TASKS |= {name: _between(task) for name, task in typed(OTHERS).items()}
