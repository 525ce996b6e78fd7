"""Sweeps: kept on disk and read again, compared with one another, and what is known of a machine by them."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests import oracle
from tests.vivit.benchmark.children import MACHINE, result, row
from tests.vivit.benchmark.swept import EAGER, SDPA, SIX, TWICE, WHOLE
from vivit.benchmark import documentation
from vivit.benchmark.measurement import Cell, Latency, Measurement
from vivit.benchmark.presets import grid
from vivit.benchmark.ratios import Ratio
from vivit.benchmark.results import (
    Result,
    compare,
    find_ratio_of,
    known_latencies,
    list_results,
    load,
    revision,
    save,
    snapshot,
)
from vivit.benchmark.sweep import Sweep
from vivit.config import VivitConfig
from vivit.errors import UserError
from vivit.names import PRECISIONS


def test_a_saved_result_is_loaded_as_it_was(tmp_path: Path) -> None:
    file = save(WHOLE, tmp_path / "new" / "folder")
    assert load(file) == WHOLE
    changed = replace(WHOLE, title="more")
    assert save(changed, file.parent) == file and [*file.parent.iterdir()] == [file]
    assert load(file).title == "more"


def test_results_are_listed_newest_first_and_broken_ones_left_out(tmp_path: Path) -> None:
    days = [f"2026-01-{day:02}T00:00:00+00:00" for day in (2, 3, 1)]
    for day in days:
        save(replace(result(), created=day, id=day[:10]), tmp_path)
    (tmp_path / "broken.sweep.json").write_text("{")
    (tmp_path / "later.sweep.json").write_text('{"format": 2}')
    (tmp_path / "other.json").write_text("{}")
    assert [r.created for r in list_results(tmp_path, tmp_path / "missing")] == sorted(days, reverse=True)


@pytest.mark.parametrize("text", [None, "", "[]", '{"format": 2}', '{"format": 1, "rows": [{}], "references": []}'])
def test_what_is_no_result_is_refused_by_name(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "x.sweep.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UserError, match=re.escape("'x.sweep.json' is no sweep")):
        load(file)


def test_what_is_checked_in_can_be_read_and_says_where_it_is_from() -> None:
    ours, theirs, kinds = sorted(
        list_results(Path(__file__).parents[3] / "docs" / "results"), key=lambda r: len(r.rows), reverse=True
    )
    assert kinds.label.startswith("recorded on NVIDIA H200,") and all(row.latency for row in kinds.rows)
    ran = {row.cell.attention: row.device_kernels for row in kinds.rows}
    assert "flash_fwd_sm90" in ran["flash_attention_4"][0] and "flex_attention" in ran["flex_attention"][0]
    recorded = PRECISIONS.keys() - {"tf32", "int8-dynamic"}  # tf32 came after the recording, int8-dynamic is no GPU's
    assert {line["cell"].split(", ")[1] for line in documentation.weights_table(kinds)} == recorded
    assert {r.label.partition(",")[0] for r in (ours, theirs)} == {"recorded on NVIDIA H100 80GB HBM3"}
    assert all(row.sound for found in (ours, theirs) for row in found.rows), "nothing cold or of one process"
    assert len(documentation.inference_table(ours)) == 9 and len(documentation.training_table(ours)) == 1
    assert len(compare(ours, theirs)) == 26


def test_a_snapshot_has_rows_in_reading_order(tmp_path: Path) -> None:
    cells = grid("m", ("eager", "sdpa"), batch_sizes=(1, 2))
    sweep = Sweep(cells, {"m": VivitConfig(**oracle.TINY)}, MACHINE)
    while run := sweep.next():
        sweep.record(row(run.cell, (1.0,), logits=(1.0, 2.0)), 0.1)
    taken = snapshot(sweep, "title", "clip", id="name")
    assert [r.cell for r in taken.rows] == cells and taken.id == "name"
    assert taken.agreement(taken.rows[1]) and taken.budget_seconds == 120
    assert all(r.estimate == sweep.estimates[r.cell] for r in taken.rows)
    assert load(save(taken, tmp_path)) == taken


def test_a_snapshot_can_have_rows_for_what_is_still_missing() -> None:
    cells = grid("m", ("eager", "sdpa"))
    sweep = Sweep(cells, {"m": VivitConfig(**oracle.TINY)}, MACHINE)
    run = sweep.next()
    assert run
    sweep.record(row(run.cell, (1.0,)), 0.1)
    assert [r.cell for r in snapshot(sweep).rows] == [run.cell]
    rows = {r.cell: r for r in snapshot(sweep, missing="The server ended.").rows}
    (other,) = set(cells) - {run.cell}
    assert list(rows) == cells and rows[run.cell].status == "ok"
    assert rows[other] == Measurement(other, "cancelled", "The server ended.", estimate=sweep.estimates[other])


def test_a_file_is_parsed_once_for_each_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []

    def counted(file: Path) -> Result:
        parsed.append(file.name)
        return load(file)

    monkeypatch.setattr("vivit.benchmark.results.load", counted)
    first, second = (save(replace(result(), id=name), tmp_path) for name in ("first", "second"))
    assert list_results(tmp_path) == list_results(tmp_path) and parsed == [first.name, second.name]
    save(replace(result(), id="second", title="changed"), tmp_path)
    assert [r.title for r in list_results(tmp_path)].count("changed") == 1 and parsed[2:] == [second.name]
    first.unlink()
    assert len(list_results(tmp_path)) == 1


def test_two_results_are_compared_where_both_were_measured() -> None:
    faster = result(
        row(SDPA, *[(50.0,)] * 6, activations=400),
        row(Cell("m", "sdpa", "float16"), (1.0,)),
        Measurement(EAGER, "failed"),
    )
    (pair,) = compare(faster, WHOLE)
    assert (pair.ours, pair.theirs) == (faster.rows[0], WHOLE.rows[1])
    # The sixth of the 36 ratios from either end: 5 is the critical value in published tables of the rank test.
    assert pair.ratio
    assert (pair.ratio.value, pair.ratio.low, pair.ratio.high) == pytest.approx((2.05, 2.0, 2.1))
    assert pair.memory_share == 2.0
    few = result(row(SDPA, *[(50.0,)] * 5), row(replace(SDPA, batch_size=4), *[(50.0,)] * 6))
    assert [pair.ratio for pair in compare(few, WHOLE)] == [None, None], "five processes, and one cold call"
    bare = replace(faster.rows[0], memory=None)
    assert [pair.memory_share for pair in compare(result(bare), WHOLE)] == [None]


def test_a_ratio_is_of_the_rounds_that_both_were_warm_in() -> None:
    slow, fast = row(EAGER, *TWICE), row(SDPA, *SIX)
    assert find_ratio_of(fast, slow) == Ratio(2.0, 2.0, 2.0) and find_ratio_of(slow, fast) == Ratio(0.5, 0.5, 0.5)
    # One process more, in a round of its own, is compared with nothing; and the rounds' order is the rounds' own.
    more = row(SDPA, *SIX, (1.0,))
    assert more.latency and find_ratio_of(more, slow) == Ratio(2.0, 2.0, 2.0)
    turned = replace(more, latency=Latency(more.latency.rounds[::-1]))
    assert find_ratio_of(turned, slow) == Ratio(2.0, 2.0, 2.0)
    assert find_ratio_of(row(SDPA, *SIX, first=1), slow) is None, "five rounds in common"
    assert find_ratio_of(row(SDPA, *SIX, warm=False), slow) is None
    assert find_ratio_of(Measurement(SDPA, "failed"), slow) is None


def test_what_others_had_is_the_median_of_the_rounds() -> None:
    assert WHOLE.others_share is None and not WHOLE.busy
    rows = [row(EAGER, *SIX, others=0.1), row(SDPA, *SIX, others=0.6), row(Cell("m", "sdpa-math"), *SIX, others=0.3)]
    whole = result(*rows)
    assert whole.others_share == 0.3 and whole.busy
    assert not replace(whole, machine=replace(MACHINE, device="cuda")).busy, (
        "a GPU's kernels do not wait for processors"
    )
    assert not result(*rows[:1], row(SDPA, *SIX, others=0.25)).busy


def test_what_a_machine_has_measured_before_is_known_if_it_was_quiet_and_sound() -> None:
    eager, sdpa, cold, single = (Cell("m", name) for name in ("eager", "sdpa", "sdpa-math", "sdpa-flash"))
    rows = [
        row(eager, *((200.0,) * 5,) * 6),
        row(sdpa, *((100.0,) * 5,) * 6),
        row(cold, (1.0,), (1.0,), warm=False),
        row(single, (1.0,) * 5),
    ]
    first = result(*rows, created="2026-01-01T00:00:00+00:00")
    later = result(row(sdpa, *((90.0,) * 5,) * 6), created="2026-01-02T00:00:00+00:00")
    busy = result(row(sdpa, *((300.0,) * 5,) * 6, others=0.5), created="2026-01-03T00:00:00+00:00")
    assert known_latencies([later, busy, first], MACHINE) == known_latencies([first, later], MACHINE)
    assert known_latencies([first, later], MACHINE) == {eager: 200.0, sdpa: 90.0}, "the newest"
    for other in (
        replace(MACHINE, versions={"torch": "3"}),
        replace(MACHINE, threads=1),
        replace(MACHINE, device_name="x"),
    ):
        assert known_latencies([first, later], other) == {}


def test_agreement_and_share_of_the_matrix_rate() -> None:
    found = WHOLE.agreement(WHOLE.rows[1])
    assert found and found.max_logit_difference == 0.5 and found.top1
    assert WHOLE.agreement(WHOLE.rows[2]) is None
    assert WHOLE.matrix_share(WHOLE.rows[0]) == pytest.approx(900e9 / 0.205 / 1e11)
    assert WHOLE.label == f"recorded on Test Machine <1>, {WHOLE.created[:10]}"
    assert re.fullmatch(r"[0-9a-f]{7,}\+?|unknown", revision())


@pytest.mark.parametrize(("compiled", "execution"), [(False, "plain"), (True, "compiled")])
def test_a_sweep_of_before_there_was_a_third_way_to_run_is_read(tmp_path: Path, compiled: bool, execution: str) -> None:
    cell = Cell("m", "eager", execution=execution)
    whole = replace(result(row(cell, (1.0, 2.0), logits=(1.0, 2.0))), references={cell: (1.0, 2.0)})
    values = json.loads(save(whole, tmp_path).read_text(encoding="utf-8"))
    for kept in (*values["rows"], *values["references"]):
        assert kept["cell"].pop("execution") == execution
        kept["cell"]["compiled"] = compiled
    del values["machine"]["executions"]
    former = tmp_path / "former.sweep.json"
    former.write_text(json.dumps(values), encoding="utf-8")
    assert load(former) == whole
    values["rows"][0]["cell"]["execution"] = "plain"
    former.write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(UserError, match="is no sweep that can be read"):
        load(former)
