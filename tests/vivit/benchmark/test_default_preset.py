"""The default preset, measured for real while two other programs keep the processors busy: it ends in sound figures."""

from pathlib import Path

import pytest

from tests import oracle
from tests.busy import busy
from vivit.benchmark import ratio_charts, tables
from vivit.benchmark.child import measure_in_child
from vivit.benchmark.families import cell_name, gains
from vivit.benchmark.presets import PRESETS
from vivit.benchmark.probes import describe
from vivit.benchmark.refusals import runs_here
from vivit.benchmark.results import Result, snapshot
from vivit.benchmark.sweep import Sweep, run_all
from vivit.benchmark.verdict import verdict
from vivit.checkpoint import open_checkpoint

PRESET = next(iter(PRESETS.values()))


def measured(checkpoint: str, budget_seconds: float, *precisions: str) -> Result:
    machine, config = describe(), open_checkpoint(checkpoint).config
    asked = [cell for cell in PRESET.cells(checkpoint) if not precisions or cell.precision in precisions]
    cells, reasons = runs_here(asked, machine)
    assert cells and reasons, "a CPU has not all of them"
    sweep = Sweep(cells, {checkpoint: config}, machine, budget_seconds=budget_seconds, rule=PRESET.rule)
    run_all(sweep, measure_in_child)
    return snapshot(sweep, "default")


def check(result: Result) -> None:
    """Every figure is sound, and every one but the base's has a ratio, in the table and in the chart."""
    figures = [row for row in result.rows if row.latency]
    assert len(figures) >= 2 and not [row for row in result.rows if row.status == "unavailable"]
    assert all(row.sound and row.latency and len(row.latency.round_medians) >= 6 for row in figures)
    found = gains(result)
    assert len(found) == len(figures) - 1 and all(gain.ratio and gain.base.sound and gain.row.sound for gain in found)
    lines = [line for line in tables.table(result) if line["median, ms"]]
    compared = [line for line in lines if line["compared with"]]
    assert len(compared) == len(found) and all(line["from"] <= line["times as fast"] <= line["to"] for line in compared)
    assert not any("cold" in (line["marks"] or "") for line in lines)
    points = [trace for trace in ratio_charts.ratios(found).data if trace.mode == "markers"]
    assert sum(len(trace.x) for trace in points) == len(found), "all of them are drawn"
    said = verdict(result)
    assert result.busy and "while other programs held" in said and result.machine.device_name in said


@pytest.mark.full
def test_a_small_one_beside_two_busy_programs(tmp_path: Path) -> None:
    oracle.save(tmp_path)
    with busy():
        result = measured(str(tmp_path), 30.0, "float32")  # time enough however slowly processes start
    check(result)
    first = [cell_name(row.cell) for row in result.rows if row.latency]
    assert {"eager in float32", "sdpa in float32"} <= set(first)


@pytest.mark.full
def test_three_times_beside_two_busy_programs() -> None:
    for _ in range(3):
        with busy():
            result = measured("vivit-mannequin", PRESET.budget_seconds)
        check(result)
        assert len([row for row in result.rows if row.latency]) >= 4, "eager and sdpa in both precisions"
