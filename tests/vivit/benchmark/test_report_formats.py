"""A sweep as JSON, CSV, text and HTML."""

import csv
import io
import json
import re
from dataclasses import replace

import pytest

from tests.vivit.benchmark.children import result
from tests.vivit.benchmark.swept import DOCUMENTED, WHOLE
from vivit.benchmark import documentation, report
from vivit.benchmark.families import families
from vivit.benchmark.measurement import Cell, Measurement
from vivit.benchmark.verdict import verdict


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
