"""A device that does not count its memory, as Apple's: what is not known is said to be unknown, and is no 0."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.vivit.benchmark import children
from tests.vivit.benchmark.stepping import FOUND, TWO, drive
from vivit.benchmark import charts, measure, passes
from vivit.benchmark.child import measure_here
from vivit.benchmark.compare_command import as_text
from vivit.benchmark.headline import headline
from vivit.benchmark.measurement import Cell, Measurement, StoppingRule
from vivit.benchmark.report import as_json as row_as_json
from vivit.benchmark.side_by_side import Examined, SideBySide, as_json
from vivit.benchmark.sweep import PlannedRound
from vivit.benchmark.tables import table
from vivit.benchmark.wording import UNKNOWN
from vivit.checkpoint import open_checkpoint
from vivit.model import VivitForVideoClassification
from vivit.records import from_json

UNCOUNTED = replace(FOUND, activations=None, device="mps")


def uncounted(recording: Callable[..., Any]) -> Callable[..., Any]:
    """A recorder of `vivit.benchmark.measure` as it is there, its peak left out."""

    def recorder(*arguments: Any) -> Any:
        result, found = recording(*arguments)
        return result, replace(found, peak_bytes=None) if isinstance(found, measure.Record) else None

    return recorder


def test_a_measured_cell_has_its_time_and_no_memory(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "record", uncounted(measure.record))
    rule = StoppingRule(min_samples=2, max_samples=2, seconds=1.0, warm_up_seconds=0.0)
    row = measure_here(PlannedRound(Cell(str(checkpoint), "sdpa"), rule))
    assert row.status == "ok" and row.latency and row.kernel and row.memory is None, row.details
    whole = children.result(row)
    assert row_as_json(whole, row)["memory_mib"] is None and table(whole)[0]["peak, MiB"] is None
    (text,) = charts.memories(charts.bars_of([row])).data[-1].text
    assert text.strip() == UNKNOWN
    assert from_json(Measurement, json.loads(json.dumps(asdict(row)))) == row


def test_a_cell_that_is_looked_at_has_its_weights_alone(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "peak_memory", uncounted(measure.peak_memory))
    model = open_checkpoint(checkpoint).load(VivitForVideoClassification)
    config = model.config
    clip = np.zeros((config.num_frames, config.num_channels, *config.clip_size[1:]), np.float32)
    found = passes.examine(passes.enter(model, "sdpa", clip))
    assert found.activations is None and found.weights > 0 and found.pass_ms > 0
    assert from_json(Examined, json.loads(json.dumps(vars(found)))) == found


def test_a_comparison_says_what_it_does_not_know() -> None:
    comparison = SideBySide(TWO)
    drive(comparison, lambda place, number: (200.0, 100.0)[place], found=[UNCOUNTED, UNCOUNTED])
    assert "MPS events" in comparison.method and "PyTorch does not count them on 'mps'" in comparison.method
    assert "memory" not in headline(comparison, trained=False)
    row = comparison.rows()[1]
    assert row.peak is None
    memory = as_json(comparison, row, model="m", clip="c")["memory_mib"]
    assert memory == {"weights": 8.0, "activations": None, "peak": None}
    lines = [line for line in as_text(comparison) if line.startswith(("eager", "sdpa"))]
    assert len(lines) == 2 and all(line.count("not known") == 2 for line in lines)


@pytest.mark.parametrize(
    ("device", "clock", "recorder"),
    [
        ("cpu", "perf_counter", "PyTorch's profiler"),
        ("cuda", "CUDA events", "CUDA's allocator"),
        ("xpu", "XPU events", "XPU's allocator"),
    ],
)
def test_what_measured_is_named(device: str, clock: str, recorder: str) -> None:
    comparison = SideBySide(TWO)
    drive(comparison, found=[replace(FOUND, device=device)] * 2, others=1.0)
    assert f", {clock};" in comparison.method and f"most that {recorder} counted" in comparison.method
    assert comparison.busy is (device == "cpu"), "a GPU does not wait for processors"
