"""transformers' ViViT in the place of ours: it is measured by the very code that measures ours.

The fork server is to preload this module, since importing transformers takes seconds. The import does not start CUDA.
"""

from collections.abc import Callable
from dataclasses import asdict
from time import monotonic
from typing import Any
from unittest.mock import patch

import torch
from transformers import VivitConfig, VivitForVideoClassification

from vivit.benchmark import child
from vivit.benchmark.measurement import Measurement
from vivit.benchmark.sweep import PlannedRound
from vivit.checkpoint import Checkpoint, open_checkpoint
from vivit.records import from_json


class TheirCheckpoint(Checkpoint):
    """A checkpoint of ours, which loads into transformers' model; random weights are of the same shape."""

    def load(self, kind: Any, *, attn_implementation: str = "sdpa", dtype: Any = "float32", device: Any = "cpu") -> Any:
        torch.manual_seed(0)
        if self.folder:
            model = VivitForVideoClassification.from_pretrained(self.folder, attn_implementation=attn_implementation)
        else:
            config = VivitConfig()
            config.num_labels = self.config.num_labels
            config._attn_implementation = attn_implementation
            with torch.device(device):
                model = VivitForVideoClassification(config)
        return model.eval().to(device, getattr(torch, dtype))


def _open(name: str, **options: Any) -> TheirCheckpoint:
    found = open_checkpoint(name, **options)
    return TheirCheckpoint(found.name, found.config, found.folder)


def _measure(planned: PlannedRound) -> dict[str, Any]:
    with patch.object(child, "open_checkpoint", _open):
        return asdict(child.measure_here(planned))


def measure_theirs(planned: PlannedRound, tick: Callable[[], object] = lambda: None) -> tuple[Measurement, float]:
    """As `vivit.benchmark.child.measure_in_child`, with transformers' model."""
    begin = monotonic()
    try:
        row = from_json(Measurement, child.in_child(_measure, planned, tick=tick, seconds=planned.limit_seconds))
    except child.ChildEnded as ended:
        row = Measurement(planned.cell, "failed", f"Its process ended unexpectedly ({ended}).")
    return row, monotonic() - begin
