"""The engine with real processes: jobs and requests that come back, starts that fail, and what the log says."""

import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from engine import Engine, process
from tests.engine.engines import ended, works
from tests.patience import until
from tests.shorter import some


def test_answer_comes_back_with_its_blobs(engine: Engine) -> None:
    assert works(engine)  # so that the other worker is known too
    blobs = [b"", bytes(range(256)) * 40_000, b"\xff"]
    arguments = {"text": "naïve \u202e\udc80", "number": 0.1, "none": None, "nested": [{"a": [1, 2]}]}
    job = ended(engine.submit("media", "echo", arguments, blobs, visitor="v"))
    assert job.state == "done" and job.finished and (job.error, job.details) == ("", "")
    assert {name: job.result[name] for name in arguments} == arguments
    assert job.result["sizes"] == [0, 10_240_000, 1] and job.blobs == blobs[::-1]
    assert job.result["pid"] not in (os.getpid(), (engine.hello("model") or {})["pid"])
    assert job.started_at is not None and job.ended_at is not None
    assert job.queued_at <= job.started_at <= job.ended_at and job.progress == 1.0
    assert job.seconds_queued + job.seconds_ran == pytest.approx(job.ended_at - job.queued_at)


def test_jobs_submitted_before_the_worker_is_ready_wait_for_it(build: Callable[..., Engine]) -> None:
    engine = build(environment={"COLOUR": "blue"})
    job = engine.submit("model", "echo", {"x": 2})
    assert (engine.state("model"), engine.hello("model"), job.state) == ("starting", None, "queued")
    assert ended(job).result["x"] == 2
    assert engine.state("model") == "ready" and engine.alive() == {"model": True} and engine.restarts("model") == 0
    assert engine.hello("model") == {"pid": job.result["pid"], "colour": "blue"}


def test_the_server_imports_nothing_of_the_tasks(engine: Engine) -> None:
    assert works(engine)
    code = "import sys, engine; print(*sys.modules)"
    loaded = set(subprocess.check_output([sys.executable, "-c", code], text=True).split())
    assert not loaded & {"torch", "av", "streamlit", "numpy", "engine.tasks"}
    assert {name for name in loaded if name.startswith("vivit.")} == {"vivit.records"}
    assert "tests.engine.tasks" not in sys.modules


# Starts that fail


@pytest.mark.parametrize("trouble", some(["raise", "segfault", "hang"], "segfault"))
def test_a_module_that_cannot_start_fails_its_jobs_until_it_can(
    build: Callable[..., Engine],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    trouble: str,
) -> None:
    monkeypatch.setattr(process, "PATIENCE", 60.0)  # however long the system takes to end it
    switch = tmp_path / "switch"
    switch.write_text(trouble)
    limit = 0.8 if trouble == "hang" else 180.0
    engine = build(module="tests.engine.switched", environment={"SWITCH": str(switch)}, start_time_limit=limit)
    job = ended(engine.submit("model", "echo", {"x": 1}))
    assert job.state == "failed" and "('model') could not start" in job.error and job.started_at is None
    assert engine.alive() == {"model": False} and engine.hello("model") is None
    until(lambda: engine.state("model") == "failing")
    assert ended(engine.submit("model", "echo")).error == job.error
    why = {"raise": "ImportError: libmissing.so", "segfault": "SIGSEGV", "hang": "not ready after 0.8 s"}[trouble]
    assert why in caplog.text and caplog.text.count("could not start") <= engine.restarts("model") + 1
    switch.write_text("work")
    supervised = engine._workers["model"]
    supervised.spec = replace(supervised.spec, start_time_limit=90.0)  # however busy the machine is
    until(lambda: engine.state("model") == "ready")
    assert engine.alive() == {"model": True} and works(engine)


# Logs


def test_one_structured_line_a_job(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "engine")
    visitor = "0123456789abcdef"
    job = ended(engine.submit("media", "echo", {"path": "/home/somebody/secret.mp4"}, [b"secret"], visitor=visitor))
    ended(engine.submit("media", "fail", {"expected": True}, visitor=visitor))
    done, failed = (json.loads(record.getMessage()) for record in caplog.records if record.levelno == logging.INFO)
    assert {name: done[name] for name in ("worker", "task", "visitor", "state", "error")} == {
        "worker": "media", "task": "echo", "visitor": "01234567", "state": "done", "error": ""
    }  # fmt: skip
    assert failed["state"] == "failed" and failed["error"] == "BadClip"
    assert (done["queued_s"], done["ran_s"]) == (round(job.seconds_queued, 3), round(job.seconds_ran, 3))
    assert "secret" not in caplog.text


def test_what_a_worker_prints_goes_to_the_servers_stderr() -> None:
    """In a process of its own, since pytest's capture is not the server's stderr."""
    code = (
        "from engine import Engine, WorkerSpec\n"
        "engine = Engine({'w': WorkerSpec('tests.engine.tasks')}); engine.start()\n"
        "engine.submit('w', 'segfault').wait(90); engine.stop()"
    )
    server = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert server.returncode == 0 and server.stdout == ""
    assert re.search(r"Segmentation fault.*in segfault", server.stderr, re.DOTALL), server.stderr
