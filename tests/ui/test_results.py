"""What the page says of a sweep: its notes, its caption, and other sweeps to compare it with."""

import sys
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from tests.vivit.benchmark.children import result, row
from vivit.benchmark.measurement import Cell, Latency, Measurement, Round
from vivit.benchmark.results import Result

EAGER, SDPA, MATH, FLASH = (Cell("m", a) for a in ("eager", "sdpa", "sdpa-math", "sdpa-flash"))
PLAIN = result(row(EAGER, (2.0, 2.0), (2.0, 2.0)), row(SDPA, (1.0, 1.0), (1.0, 1.0)), id="plain")
QUICK = result(
    row(EAGER, (2.0, 2.0), (2.0, 2.0), reason="Its logits are not finite."),
    row(SDPA, (1.0, 1.0)),
    replace(row(MATH, (3.0,)), latency=Latency((Round(3.0, (3.0,), warm=False),))),
    Measurement(FLASH, "unavailable", "CUDA only"),
    id="quick",
)


@pytest.fixture(autouse=True)
def main_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """AppTest leaves its script as the main module, which later tests' child processes would import."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])


def page(shown: Result, *others: Result) -> AppTest:
    def script(shown, others):  # type: ignore[no-untyped-def]
        from ui.results import show_result

        show_result(shown, others)

    app = AppTest.from_function(script, kwargs={"shown": shown, "others": list(others)}, default_timeout=60).run()
    assert not app.exception
    return app


def test_what_is_not_a_median_of_warm_calls_in_two_processes_is_told() -> None:
    app = page(QUICK)
    (notes,) = (e for e in app.expander if e.label.startswith("Of "))
    assert notes.label == "Of 4 cells: 1 not measured, 1 cold, 1 of one process only, 1 with a remark"
    told = {m.value.partition(":")[0]: c.value for m, c in zip(notes.markdown, notes.caption, strict=True)}
    cells = {"unavailable": FLASH, "one cold call": MATH, "one process only": SDPA, "remark": EAGER}
    assert told == {f"- **{heading}**": cell.name for heading, cell in cells.items()}
    assert "not finite" in notes.markdown[-1].value
    assert any("for 1 of 3 cells" in c.value for c in app.caption)


def test_a_plain_sweep_has_no_notes_and_the_plain_caption() -> None:
    app = page(PLAIN)
    assert not [e for e in app.expander if e.label.startswith("Of ")]
    assert any("after a warm-up, in at least two processes per cell" in c.value for c in app.caption)


def test_sweeps_of_one_title_and_day_can_all_be_compared_with() -> None:
    twins = [replace(PLAIN, id=name) for name in ("a", "b")]
    app = page(PLAIN, PLAIN, *twins)
    (box,) = (s for s in app.selectbox if s.label == "Compare with another sweep")
    assert [option[-4:] for option in box.options] == [" (a)", " (b)"]
    box.select("b").run()
    assert not app.exception


def test_the_table_follows_the_precision_that_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    half = [row(replace(c, precision="float16"), (ms, ms), (ms, ms)) for c, ms in ((EAGER, 0.6), (SDPA, 0.5))]
    app = page(replace(PLAIN, rows=(*PLAIN.rows, *half)))
    app.selectbox(key="precision-plain").select("float32").run()
    (table,) = (d.value for d in app.dataframe if "noise" in d.value and "first call, ms" in d.value)
    assert list(table["× faster"]) == [1.0, 2.0, pytest.approx(2 / 0.6), 4.0]
