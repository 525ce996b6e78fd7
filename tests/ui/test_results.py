"""What the page says of a sweep: what has no figure, remarks, and other sweeps to set it beside."""

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from streamlit.testing.v1 import AppTest

from tests.vivit.benchmark.children import result, row
from vivit.benchmark.measurement import Cell, Latency, Measurement, Round
from vivit.benchmark.results import Result

EAGER, SDPA, MATH, FLASH = (Cell("m", a) for a in ("eager", "sdpa", "sdpa-math", "sdpa-flash"))
PLAIN = result(row(EAGER, *[(2.0, 2.0)] * 6), row(SDPA, *[(1.0, 1.0)] * 6), id="plain")
QUICK = result(
    row(EAGER, (2.0, 2.0), (2.0, 2.0)),
    row(SDPA, (1.0, 1.0)),
    replace(row(MATH, (3.0,)), latency=Latency((Round(3.0, (3.0,), warm=False),))),
    Measurement(FLASH, "cancelled", "Not begun: no time."),
    Measurement(replace(FLASH, precision="float16"), "cancelled", "Not begun: no time."),
    id="quick",
)


def page(shown: Result, *others: Result, tab: str = "Ratios") -> AppTest:
    def script(shown, others, tab):  # type: ignore[no-untyped-def]
        from ui.results import show_evidence, show_verdict
        from ui.visit import set_widget, widget

        if widget("evidence") is None:
            set_widget("evidence", tab)
        show_verdict(shown)
        show_evidence(shown, others)

    arguments = {"shown": shown, "others": list(others), "tab": tab}
    app = AppTest.from_function(script, kwargs=arguments, default_timeout=60).run()
    assert not app.exception
    return app


def missing(app: AppTest) -> list[Any]:
    return [e for e in app.expander if " of " in e.label]


def charts_texts(app: AppTest) -> list[str]:
    """What the charts of the evidence say, in their order."""
    figures = [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]
    traces = [trace for figure in figures[2:] for trace in figure["data"]]
    return [text.strip() for trace in traces if trace.get("name") == "values" for text in trace["text"]]


def test_what_has_no_figure_is_told_once_for_each_reason() -> None:
    (notes,) = missing(page(QUICK))
    assert notes.label == "2 of 5 cells were not measured"
    assert [m.value for m in notes.markdown] == ["- Not begun\\: no time\\."]
    (caption,) = notes.caption
    assert caption.value.replace("\\", "") == "sdpa-flash, float32, batch 1; sdpa-flash, float16, batch 1"


def test_what_was_not_begun_is_told_from_what_failed() -> None:
    def label(*statuses: str) -> str:
        rows = [Measurement(replace(FLASH, batch_size=k), status, "why") for k, status in enumerate(statuses, 2)]
        (notes,) = missing(page(result(*PLAIN.rows, *rows)))
        said: str = notes.label
        return said

    assert label("failed", "cancelled", "cancelled", "cancelled") == "3 of 6 cells were not measured, 1 failed"
    assert label("cancelled") == "1 of 3 cells was not measured"
    assert label("out-of-memory", "failed") == "1 of 4 cells failed, 1 did not fit into memory"
    assert label("unavailable", "unavailable") == "2 of 4 cells cannot run there"


def test_a_plain_sweep_has_a_verdict_and_no_remarks() -> None:
    app = page(PLAIN)
    assert "sdpa in float32 is 2.00 times as fast as eager in float32 (2.00 to 2.00)" in app.subheader[0].value.replace(
        "\\", ""
    )
    assert not missing(app)
    assert not [m for m in app.markdown if ":material/warning:" in m.value]


def test_figures_that_say_less_than_they_seem_are_remarked_on() -> None:
    app = page(QUICK)
    (remark,) = (m.value for m in app.markdown if ":material/warning:" in m.value)
    assert "cold" in remark.lower() and "one process" in remark


def test_sweeps_of_one_title_and_second_can_be_told_apart_by_machine() -> None:
    twins = [replace(PLAIN, id=name, machine=replace(PLAIN.machine, device_name=name)) for name in ("a", "b")]
    app = page(PLAIN, PLAIN, *twins, tab="Two sweeps")
    (box,) = (s for s in app.selectbox if s.label == "Beside")
    assert [option.split(" · ")[1] for option in box.options] == ["a", "b"]
    box.select("b").run()
    assert not app.exception
    first, second = (m.value.replace("\\", "") for m in app.markdown if m.value.startswith(("First", "Second")))
    when = PLAIN.created[:16].replace("T", " ")
    assert first == f"First, above: **a title**, Test Machine <1>, torch 2.13, 2 threads, {when} UTC"
    assert second == f"Second, paler: **a title**, b, torch 2.13, 2 threads, {when} UTC"


def test_the_base_can_be_chosen() -> None:
    app = page(PLAIN)
    (box,) = (s for s in app.selectbox if s.label == "Compared with")
    assert box.options == ["the usual one", "eager in float32", "sdpa in float32"]
    box.select("sdpa in float32").run()
    assert not app.exception
    said = [c.value for c in app.caption if c.value.startswith("A ratio is")]
    assert len(said) == 1 and "further from 1" in said[0] and "2 %" in said[0]


def test_what_a_chosen_base_leaves_out_is_told() -> None:
    app = page(result(*PLAIN.rows, *(row(replace(c, batch_size=2), *[(2.0,)] * 6) for c in (EAGER, MATH))))
    app.selectbox[0].select("sdpa in float32").run()
    assert not app.exception
    told = [c.value.replace("\\", "") for c in app.caption if c.value.startswith("Left out")]
    assert told == ["Left out, since sdpa in float32 has no sound figure there: batch size 2."]
    app.selectbox[0].select("eager in float32").run()
    assert not [c for c in app.caption if c.value.startswith("Left out")]


def test_the_documentations_percentages_are_with_eager_in_the_same_precision() -> None:
    app = page(
        result(
            row(EAGER, *[(8.0,)] * 6),
            *(row(replace(c, precision="float16"), *[(ms,)] * 6) for c, ms in ((EAGER, 4.0), (SDPA, 1.0))),
        )
    )
    app.toggle[0].set_value(True).run()
    assert not app.exception and app.selectbox[0].disabled
    assert charts_texts(app) == ["sdpa: speed-up +300 % (+300 to +300), memory saved +0 %"]
    assert any("with eager in the same precision" in c.value for c in app.caption)


def test_a_table_shows_no_none_and_three_digits() -> None:
    app = page(QUICK, tab="Everything measured")
    (table,) = app.dataframe
    shown = table.value
    assert list(shown.columns)[:4] == ["cell", "median, ms", "marks", "times as fast"]
    assert list(shown["marks"].fillna("")) == ["", "one process", "cold", "", ""]
    assert table.proto.placeholder == ""
    noisy = result(row(EAGER, *[(123.456,)] * 6), row(SDPA, *[(1.23456,)] * 6))
    (table,) = page(noisy, tab="Everything measured").dataframe
    assert list(table.value["median, ms"]) == [123.0, 1.23]


def test_answers_that_agree_differ_by_zero_and_marks_stand_beside_them() -> None:
    logits = (1.0, 2.0, 3.0)
    whole = result(row(EAGER, *[(2.0,)] * 6, logits=logits), row(SDPA, (1.0,), logits=(1.0, 2.0, 3.00012345)))
    (table,) = page(whole, tab="Agreement").dataframe
    assert list(table.value.columns) == [
        "cell",
        "marks",
        "same top 1",
        "shared top 5",
        "largest logit difference",
        "KL, nats",
    ]
    assert list(table.value["largest logit difference"]) == [0.0, 0.000123]
    assert list(table.value["marks"].fillna("")) == ["", "one process"]
    assert '"format": "%.10g"' in table.proto.columns


def test_scaling_has_a_chart_for_each_precision_and_says_what_hollow_means() -> None:
    cells = [replace(cell, batch_size=n) for cell in (EAGER, replace(SDPA, precision="float16")) for n in (1, 2)]
    app = page(result(*(row(cell, *[(2.0,)] * 6) for cell in cells)), tab="Scaling")
    titles = [m.value.strip("*").replace("\\", "") for m in app.markdown if " by batch size" in m.value]
    assert titles == [
        f"{what} by batch size, {precision}"
        for what in ("Latency in ms", "Memory in MiB")
        for precision in ("float32", "float16")
    ]
    assert any("Hollow points" in c.value for c in app.caption)


def test_what_is_deleted_is_named_and_the_question_is_asked_anew_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    class Sweeps:
        deleted: ClassVar[list[str]] = []

        def deletable(self, id: str) -> bool:
            return id != "plain"

        def delete(self, id: str) -> None:
            self.deleted.append(id)

    monkeypatch.setattr("ui.results.get_server", lambda: SimpleNamespace(sweeps=Sweeps()))

    def script(shown):  # type: ignore[no-untyped-def]
        from ui.results import show_take_along

        show_take_along(shown)

    def drawn(shown: Result) -> AppTest:
        app = AppTest.from_function(script, kwargs={"shown": shown}, default_timeout=60).run()
        assert not app.exception
        return app

    first, second = (replace(PLAIN, id=id, created="2026-03-04T12:31:05+00:00") for id in ("first", "second"))
    app = drawn(first)
    said = [m.value.replace("\\", "") for m in app.markdown]
    assert said[0] == "Delete 'a title', made 2026-03-04 12:31 UTC on Test Machine <1>?"
    (button,) = app.button
    assert drawn(second).button[0].key != button.key
    button.click().run()
    assert Sweeps.deleted == ["first"] and not drawn(PLAIN).button
