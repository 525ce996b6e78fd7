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
from vivit.benchmark import charts, documentation, report
from vivit.benchmark.measurement import Cell, Estimate, Latency, Measurement, Memory, Round
from vivit.benchmark.results import Result, compare, list_results, load, revision, save, snapshot
from vivit.benchmark.sweep import Sweep, grid
from vivit.config import VivitConfig
from vivit.errors import UserError
from vivit.names import BACKENDS, PRECISIONS

EAGER, SDPA = Cell("m", "eager"), Cell("m", "sdpa")
WHOLE = result(
    row(EAGER, (200.0, 210.0), (220.0,), weights=100, activations=900, logits=(1.0, 2.0, 3.0), kernel="_softmax"),
    row(SDPA, (100.0, 105.0), (110.0,), weights=100, activations=150, logits=(1.0, 2.0, 3.5), kernel="_scaled"),
    Measurement(Cell("m", "sdpa-cudnn"), "unavailable", "CUDA only", "No viable backend", estimate=None),
    row(replace(EAGER, batch_size=4), (800.0,), activations=3600),
    row(replace(SDPA, batch_size=4), (390.0,), activations=600),
)


# As the documentation's preset measures them: 20 calls in each process.
DOCUMENTED = result(
    row(EAGER, (200.0, 210.0, 220.0, 210.0) * 5, (210.0,) * 20, activations=900),
    row(SDPA, (100.0, 105.0, 110.0, 105.0) * 5, (105.0,) * 20, activations=150),
    row(replace(EAGER, precision="float16"), (20.0,) * 20),
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
    ours, theirs = sorted(
        list_results(Path(__file__).parents[3] / "docs" / "results"), key=lambda r: len(r.rows), reverse=True
    )
    assert {r.label.partition(",")[0] for r in (ours, theirs)} == {"recorded on NVIDIA H100 80GB HBM3"}
    assert len(documentation.inference_table(ours)) == 8 and len(documentation.training_table(ours)) == 1
    assert len(compare(ours, theirs)) == 18


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
    faster = result(row(SDPA, (50.0,)), row(Cell("m", "sdpa", "float16"), (1.0,)), Measurement(EAGER, "failed"))
    (only,) = compare(faster, WHOLE)
    assert only["cell"] == SDPA and only["latency_ms"] == (50.0, 105.0) and only["times_faster"] == 2.1
    assert only["peak_bytes"] == (400 * MIB, 250 * MIB)


def test_agreement_and_share_of_the_matrix_rate() -> None:
    found = WHOLE.agreement(WHOLE.rows[1])
    assert found and found.max_logit_difference == 0.5 and found.top1
    assert WHOLE.agreement(WHOLE.rows[2]) is None
    assert WHOLE.matrix_share(WHOLE.rows[0]) == pytest.approx(900e9 / 0.21 / 1e11)
    assert WHOLE.label == f"recorded on Test Machine <1>, {WHOLE.created[:10]}"
    assert re.fullmatch(r"[0-9a-f]{7,}\+?|unknown", revision())


def test_json_has_the_promised_keys() -> None:
    measured, missing = (json.loads(json.dumps(report.as_json(WHOLE, WHOLE.rows[k]), allow_nan=False)) for k in (1, 2))
    keys = (
        "mode model attention precision batch_size status reason kernel latency_ms clips_per_second memory_mib estimate"
    )
    assert list(measured) == list(missing) == [*keys.split(), "agreement"]
    assert measured["latency_ms"] == {
        "median": 105.0,
        "mean": 105.0,
        "p5": pytest.approx(100.5),
        "p95": pytest.approx(109.5),
        "iqr": 5.0,
        "samples": [100.0, 105.0, 110.0],
    }
    assert measured["memory_mib"] == {"weights": 100, "activations": 150, "peak": 250}
    assert measured["estimate"] == {"latency_ms": 5.0, "peak_mib": 250}
    assert set(measured["agreement"]) == {"max_logit_difference", "kl", "top1", "top5"}
    assert (missing["status"], missing["reason"], missing["latency_ms"]) == ("unavailable", "CUDA only", None)


def test_speed_up_by_both_definitions() -> None:
    gain = report.speedup(WHOLE.rows[1], WHOLE.rows[0])
    assert gain == {
        "speedup_percent": pytest.approx(100.0),
        "memory_saved_percent": pytest.approx(300.0),
        "times_faster": 2.0,
        "less_memory_percent": 75.0,
    }
    assert report.speedup(WHOLE.rows[2], WHOLE.rows[0]) is None
    half = replace(SDPA, precision="float16")
    assert report.baseline_row(WHOLE, half, "sdpa", "float32") == WHOLE.rows[1]
    assert report.baseline_row(WHOLE, half) is None


def test_the_table_and_the_chart_have_one_baseline() -> None:
    half = row(replace(SDPA, precision="float16"), (52.5,))
    whole = replace(WHOLE, rows=(*WHOLE.rows, row(replace(EAGER, precision="float16"), (60.0,)), half))
    for precision, expected in ((None, 60 / 52.5), ("float32", 4.0)):
        (bar,) = (p for p in charts.gains(whole, "eager", precision)[1] if p["cell"] == half.cell.name)
        assert report.table(whole, "eager", precision)[-1]["× faster"] == bar["× faster"] == expected


def test_csv_has_a_line_a_cell() -> None:
    lines = list(csv.DictReader(io.StringIO(report.as_csv(WHOLE))))
    assert [line["attention"] for line in lines] == ["eager", "sdpa", "sdpa-cudnn", "eager", "sdpa"]
    assert lines[1]["median, ms"] == "105.0" and lines[1]["× faster"] == "2.0" and lines[1]["n"] == "3"
    assert lines[2]["status"] == "unavailable" and lines[2]["median, ms"] == ""


def test_text_has_a_line_a_cell_and_the_reasons() -> None:
    lines = report.as_text(WHOLE).splitlines()
    assert "Test Machine" in lines[0] and len([line for line in lines if re.search(r"(ok|unavailable)", line)]) == 5
    assert "sdpa-cudnn, float32, batch 1: CUDA only" in lines
    assert any("noisy" in line for line in report.as_text(result(row(SDPA, (1.0, 2.0, 3.0)))).splitlines())


def test_html_stands_alone_and_holds_the_samples() -> None:
    hostile = replace(WHOLE, title="</script><b>x", clip="<img src=x>")
    page = report.as_html(hostile)
    assert not re.search(r"<(script|link|img)[^>]*\s(src|href)=", page)
    assert "<b>x" not in page and "&lt;b&gt;x" in page and page.count("plotly-graph-div") >= 6
    raw = re.search(r'<script type="application/json" id="result">(.*?)</script>', page, re.DOTALL)
    assert raw and json.loads(raw[1])["rows"][1]["latency"]["rounds"][1]["samples_ms"] == [110.0]
    assert "recorded on Test Machine &lt;1&gt;" in page
    assert documentation.FAULTS[1][:30] not in page  # too few calls for the documentation's table
    assert documentation.FAULTS[1].split(" (")[0] in report.as_html(DOCUMENTED)


def test_charts_show_what_there_is() -> None:
    drawn = {title: (figure, lines) for title, figure, lines in charts.all_charts(WHOLE)}
    assert list(drawn) == [
        "Latency",
        "Memory",
        "Speed-up and memory saved against eager",
        "Latency by batch size",
        "Memory by batch size",
        "Latency and memory",
    ]
    latency, lines = drawn["Latency"]
    assert list(latency.data[0].x) == [line["median, ms"] for line in lines][::-1] == [390.0, 800.0, 105.0, 210.0]
    memory, _ = drawn["Memory"]
    assert [trace.name for trace in memory.data] == ["weights", "activations", "predicted"]
    growth, _ = drawn["Latency by batch size"]
    assert growth.layout.xaxis.type == growth.layout.yaxis.type == "log"
    assert {t.name: list(t.y) for t in growth.data} == {"eager, float32": [210, 800], "sdpa, float32": [105, 390]}


def test_no_two_lines_look_alike_and_one_backend_has_one_colour() -> None:
    """With as many lines as a sweep may have: every backend in every precision, plain and in training."""
    cells = grid("m", tuple(BACKENDS), tuple(PRECISIONS), (1, 2), ("inference", "training"))
    figure, _ = charts.scaling(result(*(row(cell, (1.0, 2.0)) for cell in cells)))
    looks = [(line.line.color, line.marker.symbol) for line in figure.data]
    assert len(looks) == len(set(looks)) == len(BACKENDS) * len(PRECISIONS) * 2
    assert {line.name.partition(",")[0]: line.line.color for line in figure.data} == {
        name: backend.colour for name, backend in BACKENDS.items()
    }


def test_growth_with_tokens() -> None:
    rows = [
        replace(row(Cell("m", "eager", num_frames=f), (f * 1.0,)), estimate=Estimate(f * 10, 1, 1.0, 1, 1))
        for f in (4, 8)
    ]
    titles = [title for title, *_ in charts.all_charts(result(*rows))]
    assert "Latency by tokens" in titles and "Latency by batch size" not in titles
    figure, lines = charts.scaling(result(*rows), "tokens")
    assert list(figure.data[0].x) == [40, 80] and lines[1] == {
        "line": "eager, float32",
        "tokens": 80,
        "median, ms": 8.0,
    }


def test_an_empty_result_can_be_reported() -> None:
    empty = result()
    assert report.as_csv(empty) == "\n" and "title" in report.as_text(empty) and "<h1>" in report.as_html(empty)


def test_the_documentations_columns_are_filled_by_its_method() -> None:
    (one, half) = documentation.inference_table(DOCUMENTED)
    assert list(one) == list(documentation.PUBLISHED_INFERENCE[0])
    assert one == {
        "num_batches": "2 × 20",
        "batch_size": 1,
        "is cuda": False,
        "is half": False,
        "Speedup (%)": pytest.approx(100 * (210 / 105 - 1)),
        "Mem eager (MB)": 1000 * MIB / 1e6,
        "Mem BT (MB)": 250 * MIB / 1e6,
        "Mem saved (%)": pytest.approx(300.0),
    }
    assert (half["num_batches"], half["is half"]) == ("1 × 20", True) and documentation.training_table(WHOLE) == []
    allocated = [
        replace(row(Cell("m", a, mode="training"), (ms,)), memory=Memory(1, 1, mb * 10**6, 1, 1))
        for a, ms, mb in (("eager", 30.0, 600), ("sdpa", 20.0, 200))
    ]
    (training,) = documentation.training_table(result(*allocated))
    assert list(training) == list(documentation.PUBLISHED_TRAINING[0])
    assert list(training.values()) == ["1 × 1", 1, False, pytest.approx(50.0), 600.0, 200.0, pytest.approx(200.0)]


def test_what_the_documentations_columns_cannot_tell_is_left_out() -> None:
    def pair(*rounds: tuple[float, ...], **cell: str) -> list[Measurement]:
        return [row(Cell("m", a, **cell), *rounds) for a in ("eager", "sdpa")]  # type: ignore[arg-type]

    enough = (1.0,) * 20
    for precision in ("bfloat16", "float16-weights"):
        assert documentation.inference_table(result(*pair(enough, precision=precision))) == []
    assert documentation.training_table(result(*pair(enough, precision="float16", mode="training"))) == []
    assert documentation.inference_table(result(*pair(enough[1:]))) == []
    (line,) = documentation.inference_table(result(*pair(enough[:17], enough[:4])))
    assert line["num_batches"] == "17 + 4"
    cold = [replace(r, latency=Latency((Round(9.0, (9.0,), warm=False),))) for r in pair(enough, mode="training")]
    assert documentation.training_table(result(*cold)) == []


def test_cold_bars_are_hatched() -> None:
    cold = replace(WHOLE.rows[0], latency=Latency((Round(9.0, (9.0,), warm=False),)))
    figure, lines = charts.latency(result(cold, row(SDPA, (1.0,), (1.0,))))
    assert [line["caveat"] for line in lines] == ["one cold call", ""]
    assert list(figure.data[0].marker.pattern.shape) == ["", "/"] and "one cold call" in figure.data[0].hovertext[1]


def test_the_published_tables_have_the_faults_we_say() -> None:
    for line in documentation.PUBLISHED_INFERENCE:
        saved = (line["Mem eager (MB)"] / line["Mem BT (MB)"] - 1) * 100
        assert line["Mem saved (%)"] == pytest.approx(saved, abs=0.01)
    (line,) = documentation.PUBLISHED_TRAINING
    swapped = (line["sdpa peak mem (MB)"] / line["Eager peak mem (MB)"] - 1) * 100
    assert line["Mem saving (%)"] == pytest.approx(swapped, abs=0.01)
    assert documentation.PUBLISHED_INFERENCE[0]["Mem BT (MB)"] < 88_954_000 * 4 / 1e6
