"""The bars of a sweep that runs: each cell keeps its place from the first to the last."""

import json
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from tests.vivit.benchmark.children import result, row
from vivit.benchmark.measurement import Cell

CELLS = tuple(Cell(name, attention) for name in ("first", "second", "third") for attention in ("eager", "sdpa"))


@pytest.mark.parametrize("done", [(), (3, 4), (5, 0, 1), (0, 1, 2, 3, 4, 5)])
def test_models_stand_in_their_order_whichever_was_measured_first(
    done: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = {CELLS[k]: row(CELLS[k], (2.0, 2.0)) for k in done}
    sweep = SimpleNamespace(cells=CELLS, rows=rows, begins=[*rows, *(c for c in CELLS if c not in rows)], current=None)
    running = SimpleNamespace(state="running", sweep=sweep, result=result(*rows.values()))
    server = SimpleNamespace(sweeps=SimpleNamespace(get=lambda id: running))
    monkeypatch.setattr("ui.sweeps.get_server", lambda: server)

    def script() -> None:
        from ui.sweeps import follow_cells

        follow_cells("id")

    app = AppTest.from_function(script, default_timeout=60).run()
    assert not app.exception
    names = ["first", "second", "third"]
    charts = app.get("plotly_chart")
    assert len(charts) == 2
    for chart in charts:
        drawn = json.loads(chart.proto.spec)
        axis = drawn["layout"]["yaxis"]
        assert axis["ticktext"] == ["<b>eager in float32</b>", *names, "<b>sdpa in float32</b>", *names]
        places = dict(zip(sorted(CELLS, key=lambda cell: cell.attention), (1, 2, 3, 5, 6, 7), strict=True))
        measured = {places[CELLS[k]] for k in done}
        assert all({*bar["y"]} == measured for bar in drawn["data"] if bar["type"] == "bar")
