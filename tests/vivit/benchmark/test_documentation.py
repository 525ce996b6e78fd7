"""The documentation's tables: filled by its method, left out where that tells nothing, and with the faults we say."""

from dataclasses import replace

import pytest

from tests.vivit.benchmark.children import MIB, result, row
from tests.vivit.benchmark.swept import DOCUMENTED, WHOLE
from vivit.benchmark import documentation, report
from vivit.benchmark.measurement import Cell, Latency, Measurement, Memory, Round


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
