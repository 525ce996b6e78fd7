"""Sweeps on disk, reports of them, and the documentation's tables."""

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests import oracle
from tests.vivit.benchmark.children import MACHINE, MIB, result, row
from vivit.benchmark import documentation, report
from vivit.benchmark.families import families, gains
from vivit.benchmark.measurement import Cell, Latency, Measurement, Memory, Round
from vivit.benchmark.presets import grid
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
from vivit.benchmark.side_by_side import Ratio
from vivit.benchmark.sweep import Sweep
from vivit.benchmark.verdict import verdict
from vivit.config import VivitConfig
from vivit.errors import UserError
from vivit.names import PRECISIONS

EAGER, SDPA = Cell("m", "eager"), Cell("m", "sdpa")
SIX = tuple((100.0 + k,) for k in range(6))  # what each of six processes' one call took
TWICE = tuple((2 * ms,) for (ms,) in SIX)
WHOLE = result(
    row(EAGER, *TWICE, weights=100, activations=900, logits=(1.0, 2.0, 3.0), kernel="_softmax"),
    row(SDPA, *SIX, weights=100, activations=150, logits=(1.0, 2.0, 3.5), kernel="_scaled"),
    Measurement(Cell("m", "sdpa-cudnn"), "unavailable", "CUDA only", "No viable backend", estimate=None),
    row(replace(EAGER, batch_size=4), (800.0,), activations=3600),
    row(replace(SDPA, batch_size=4), (390.0,), activations=600, warm=False),
)


# As the documentation's preset measures them: 4 calls in each of six processes, or more.
DOCUMENTED = result(
    row(EAGER, *[(200.0, 210.0, 220.0, 210.0)] * 6, activations=900),
    row(SDPA, *[(100.0, 105.0, 110.0, 105.0)] * 6, activations=150),
    row(replace(EAGER, precision="float16"), (20.0,) * 20, (20.0,)),
    row(replace(SDPA, precision="float16"), (10.0,) * 17, (10.0,) * 4),
)


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
    recorded = PRECISIONS.keys() - {"tf32", "int8-dynamic"}  # the one is younger, the other no GPU's
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
    # Of the 36 ratios those beyond the fifth from either end: published tables of the rank test.
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


def test_json_has_the_promised_keys() -> None:
    measured, missing = (json.loads(json.dumps(report.as_json(WHOLE, WHOLE.rows[k]), allow_nan=False)) for k in (1, 2))
    keys = (
        "mode model attention precision execution batch_size status reason marks kernel latency_ms clips_per_second memory_mib "
        "estimate"
    )
    assert list(measured) == list(missing) == [*keys.split(), "agreement"]
    assert measured["latency_ms"] == {
        "median": 102.5,
        "mean": 102.5,
        "p5": pytest.approx(100.25),
        "p95": pytest.approx(104.75),
        "iqr": 2.5,
        "samples": [100.0, 101.0, 102.0, 103.0, 104.0, 105.0],
    }
    assert measured["memory_mib"] == {"weights": 100, "activations": 150, "peak": 250}
    assert measured["estimate"] == {"latency_ms": 5.0, "peak_mib": 250, "gflop": 900.0}
    assert set(measured["agreement"]) == {"max_logit_difference", "kl", "top1", "top5"}
    cold = report.as_json(WHOLE, WHOLE.rows[4])
    assert measured["marks"] == [] and cold["marks"] == ["cold"]
    assert (missing["status"], missing["reason"], missing["latency_ms"]) == ("unavailable", "CUDA only", None)


def test_a_line_has_its_ratio_and_what_it_is_compared_with() -> None:
    compared = ("compared with", "times as fast", "from", "to", "verdict", "% less memory")
    lines = [tuple(line[name] for name in compared) for line in report.table(WHOLE)]
    assert lines[1] == ("eager in float32", 2.0, 2.0, 2.0, "faster", 75.0)
    assert lines[0] == lines[2] == lines[3] == lines[4] == (None,) * 6, "the base, and what is compared with nothing"
    turned = [tuple(line[name] for name in compared) for line in report.table(WHOLE, "sdpa in float32")]
    assert turned[0] == ("sdpa in float32", 0.5, 0.5, 0.5, "slower", -300.0) and turned[1] == (None,) * 6


def test_the_table_and_the_chart_have_one_base() -> None:
    half = row(replace(SDPA, precision="float16"), *[(ms / 2,) for (ms,) in SIX])
    whole = replace(WHOLE, rows=(*WHOLE.rows, half))
    for base, expected in ((None, 4.0), ("sdpa in float32", 2.0)):
        (gain,) = (g for g in gains(whole, base) if g.row is half)
        assert gain.ratio and gain.ratio.value == expected
        (line,) = (line for line in report.table(whole, base) if line["precision"] == "float16")
        assert line["times as fast"] == expected and line["compared with"] == (base or "eager in float32")


def test_a_line_has_its_marks_and_caveats() -> None:
    lines = report.table(WHOLE)
    assert [line["marks"] for line in lines] == [None, None, None, "one process", "cold"]
    assert [line["caveats"] for line in lines[3:]] == ["1 call of one process", "one cold call"]
    noisy = result(row(SDPA, (1.0, 2.0, 3.0)))
    (line,) = report.table(noisy)
    assert line["marks"] == "one process, noisy"
    assert line["caveats"] == "3 calls of one process; half of the calls spread over 50% of the median"
    assert "one process, noisy" in report.as_csv(noisy) and "one process, noisy" in report.as_html(noisy)


def test_csv_has_a_line_a_cell() -> None:
    lines = list(csv.DictReader(io.StringIO(report.as_csv(WHOLE))))
    assert [line["attention"] for line in lines] == ["eager", "sdpa", "sdpa-cudnn", "eager", "sdpa"]
    assert lines[1]["median, ms"] == "102.5" and lines[1]["times as fast"] == "2.0" and lines[1]["n"] == "6"
    assert lines[2]["status"] == "unavailable" and lines[2]["median, ms"] == ""
    assert lines[4]["marks"] == "cold" and lines[4]["times as fast"] == ""


def test_text_has_a_line_a_cell_and_the_reasons() -> None:
    lines = report.as_text(WHOLE).splitlines()
    assert "Test Machine" in lines[0] and len([line for line in lines if re.search(r"  (ok|unavailable)", line)]) == 5
    assert "sdpa-cudnn, float32, batch 1: CUDA only" in lines
    assert lines[5].endswith("  ok, one process") and lines[6].endswith("  ok, cold")
    assert (
        "eager, float32, batch 4: 1 call of one process" in lines and "sdpa, float32, batch 4: one cold call" in lines
    )
    first, second = families(WHOLE)
    assert lines[-3:] == [
        report.explain_ratios(),
        f"batch size 1: {verdict(WHOLE, first)}",
        f"batch size 4: {verdict(WHOLE, second)}",
    ]


def test_text_has_a_reason_once() -> None:
    rows = [Measurement(Cell("m", name), "unavailable", "CUDA only") for name in ("sdpa-cudnn", "sdpa-efficient")]
    lines = report.as_text(result(*rows)).splitlines()
    assert "sdpa-cudnn, float32, batch 1; sdpa-efficient, float32, batch 1: CUDA only" in lines and len(lines) == 7


def test_html_stands_alone_and_holds_the_samples() -> None:
    hostile = replace(WHOLE, title="</script><b>x", clip="<img src=x>")
    page = report.as_html(hostile)
    assert not re.search(r"<(script|link|img)[^>]*\s(src|href)=", page)
    assert "<b>x" not in page and "&lt;b&gt;x" in page and page.count("plotly-graph-div") >= 6
    assert (
        "Hatched bars and hollow points" in page and "one cold call" in page and "2.00 times as fast as eager" in page
    )
    raw = re.search(r'<script type="application/json" id="result">(.*?)</script>', page, re.DOTALL)
    assert raw and json.loads(raw[1])["rows"][1]["latency"]["rounds"][1]["samples_ms"] == [101.0]
    assert "recorded on Test Machine &lt;1&gt;" in page
    assert documentation.FAULTS[1][:30] not in page  # too few calls for the documentation's table
    assert documentation.FAULTS[1].split(" (")[0] in report.as_html(DOCUMENTED)


def test_an_empty_result_can_be_reported() -> None:
    empty = result()
    assert report.as_csv(empty) == "\n" and "title" in report.as_text(empty) and "<h1>" in report.as_html(empty)


def test_the_documentations_columns_are_filled_by_its_method() -> None:
    (one, half) = documentation.inference_table(DOCUMENTED)
    assert list(one) == [*documentation.PUBLISHED_INFERENCE[0], "marks"]
    assert one == {
        "num_batches": "6 × 4",
        "batch_size": 1,
        "is cuda": False,
        "is half": False,
        "Speedup (%)": pytest.approx(100 * (210 / 105 - 1)),
        "Mem eager (MB)": 1000 * MIB / 1e6,
        "Mem BT (MB)": 250 * MIB / 1e6,
        "Mem saved (%)": pytest.approx(300.0),
        "marks": None,
    }
    assert (half["num_batches"], half["is half"]) == ("20 + 1", True) and documentation.training_table(WHOLE) == []
    allocated = [
        replace(row(Cell("m", a, mode="training"), (ms,), (ms,)), memory=Memory(1, 1, mb * 10**6, 1, 1))
        for a, ms, mb in (("eager", 30.0, 600), ("sdpa", 20.0, 200))
    ]
    (training,) = documentation.training_table(result(*allocated))
    assert list(training) == [*documentation.PUBLISHED_TRAINING[0], "marks"]
    figures = list(training.values())
    assert figures == ["2 × 1", 1, False, pytest.approx(50.0), 600.0, 200.0, pytest.approx(200.0), None]


def test_what_the_documentations_columns_cannot_tell_is_left_out() -> None:
    def pair(*rounds: tuple[float, ...], **cell: str) -> list[Measurement]:
        return [row(Cell("m", a, **cell), *rounds) for a in ("eager", "sdpa")]  # type: ignore[arg-type]

    enough = (1.0,) * 19
    for precision in ("bfloat16", "float16-weights"):
        assert documentation.inference_table(result(*pair(enough, enough, precision=precision))) == []
    assert documentation.training_table(result(*pair(enough, enough, precision="float16", mode="training"))) == []
    assert documentation.inference_table(result(*pair(enough[:10], enough[:9]))) == []
    assert documentation.inference_table(result(*pair((1.0,) * 99))) == [], (
        "one process tells no ratio, its columns neither"
    )
    (line,) = documentation.inference_table(result(*pair(enough[:17], enough[:4])))
    assert line["num_batches"] == "17 + 4"
    cold = [
        replace(r, latency=Latency((Round(9.0, (9.0,), warm=False),))) for r in pair(enough, enough, mode="training")
    ]
    assert documentation.training_table(result(*cold)) == []


def test_the_published_tables_have_the_faults_we_say() -> None:
    for line in documentation.PUBLISHED_INFERENCE:
        saved = (line["Mem eager (MB)"] / line["Mem BT (MB)"] - 1) * 100
        assert line["Mem saved (%)"] == pytest.approx(saved, abs=0.01)
    (line,) = documentation.PUBLISHED_TRAINING
    swapped = (line["sdpa peak mem (MB)"] / line["Eager peak mem (MB)"] - 1) * 100
    assert line["Mem saving (%)"] == pytest.approx(swapped, abs=0.01)
    assert documentation.PUBLISHED_INFERENCE[0]["Mem BT (MB)"] < 88_954_000 * 4 / 1e6


def test_what_the_weights_take_stands_in_a_table_beside_float32() -> None:
    def measured(precision: str, ms: float, weights: int, attention: str = "sdpa", **mebibytes: int) -> Measurement:
        made = row(Cell("m", attention, precision), *[(ms,) * 5] * 6, weights=weights, logits=(1.0, 2.0))
        assert made.memory
        kept_in = {name: size * MIB for name, size in mebibytes.items()}
        return replace(made, memory=replace(made.memory, weights_kept_in=kept_in))

    rows = [
        measured("int8-bitsandbytes", 20.0, 30, int8=20, float32=10),
        measured("float32", 50.0, 100, "eager", float32=100),
        measured("float32", 10.0, 100, float32=100),
        replace(measured("float16", 10.0, 50), cell=Cell("m", "sdpa", "float16", execution="compiled")),
    ]
    first, second = documentation.weights_table(result(*rows))
    assert (first["cell"], second["cell"]) == ("sdpa, float32, batch 1", "sdpa, int8-bitsandbytes, batch 1")
    assert second["kept in (MB)"] == "21.0 int8, 10.5 float32" and second["of float32 (%)"] == 30.0
    assert second["weights (MB)"] == 30 * MIB / 1e6 and second["peak (MB)"] == 330 * MIB / 1e6
    assert first["times as fast as float32"] is None and second["times as fast as float32"] == "0.50 (0.50 to 0.50)"
    assert second["same top 1"] is True and second["largest logit difference"] == 0.0
    assert documentation.weights_table(result(rows[2])) == [] == documentation.weights_table(result(rows[0]))
    page = report.as_html(result(*rows))
    assert documentation.QUANTISATION[:40] in page and "21.0 int8" in page


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
