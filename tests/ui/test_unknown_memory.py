"""A classification on a device that does not count its memory: what the page says of it."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import engine.model as worker
from engine.loaded import unload
from engine.tasks import Classification, Classify, Frames, ReadTimings
from ui.chosen import Settings
from ui.classified import Run
from ui.visit import Visit
from vivit.benchmark.measure import peak_memory
from vivit.benchmark.wording import UNKNOWN
from vivit.checkpoint import open_checkpoint
from vivit.machine import Machine
from vivit.records import from_json

MANNEQUIN = "vivit-mannequin"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(worker, "peak_memory", lambda *arguments: (peak_memory(*arguments)[0], None))
    frames, height, width = open_checkpoint(MANNEQUIN).config.clip_size
    shape = (frames, height, width, 3)
    request = Classify(MANNEQUIN, "sdpa", "float32", "checkpoint", 5, shape)
    found, _ = worker.classify(request, [np.zeros(shape, np.uint8).tobytes()], lambda *_: None)
    unload()
    assert found.peak_bytes is None and from_json(Classification, json.loads(json.dumps(asdict(found)))) == found
    times = tuple(k / 10 for k in range(frames))
    box = (0.0, 0.0, float(width), float(height))
    read = Frames(
        shape, tuple(range(frames)), times, frames, 1.0, 10.0, width, height, "h264", "mp4", True, (), (box,),
        ReadTimings(1.0, 1.0, 1.0),
    )  # fmt: skip
    settings = Settings(MANNEQUIN, "sdpa", "float32", "uniform", 1, "checkpoint", 5)
    return Run(1, "clip.mp4", settings, read, replace(found, device="mps"))


def test_costs_and_runs_say_that_it_is_not_known(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def script(run: "Run") -> None:
        from ui.answer import show_costs
        from ui.runs import show_runs

        show_costs(run, run)
        show_runs(None)

    visit = Visit("somebody", runs=[run])
    monkeypatch.setattr("ui.charts.visit", lambda: visit)
    monkeypatch.setattr("ui.runs.visit", lambda: visit)
    monkeypatch.setattr("ui.runs.get_machine", lambda: None)
    app = AppTest.from_function(script, kwargs={"run": run}, default_timeout=60).run()
    assert not app.exception
    assert {m.label: m.value for m in app.metric}["Peak memory"] == UNKNOWN
    assert app.dataframe[0].value["peak, MiB"].tolist() == [UNKNOWN]
    assert any(UNKNOWN in chart.proto.spec for chart in app.get("plotly_chart"))
    assert "MPS events" in run.how and "not known, since PyTorch does not count it on 'mps'" in run.how
    assert json.loads(json.dumps(run.to_dict()))["result"]["peak_bytes"] is None


def test_the_panel_names_the_chosen_device_and_all_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus = tuple(f"cuda:{k} NVIDIA H{k}00" for k in (0, 1))
    machine = Machine("cuda", "NVIDIA H100", 2**30, 2, 2, "AVX2", "Linux", {}, (), {}, 1.0, index=1, devices=gpus)
    monkeypatch.setattr("ui.machine.get_machine", lambda: machine)

    def script() -> None:
        from ui.machine import show_machine

        show_machine()

    app = AppTest.from_function(script, default_timeout=60).run()
    assert "**NVIDIA H100** (cuda:1; GPUs here: cuda:0 NVIDIA H000, cuda:1 NVIDIA H100), 1 GiB" in app.markdown[0].value
    former = replace(machine, index=None, devices=())
    assert former.place == "cuda" and former.on_gpu, "as sweeps that were recorded before have it"
