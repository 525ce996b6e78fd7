"""Workers that fail, die, or send nonsense, and a server that goes: what it costs, and that nothing is left behind."""

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from engine import Engine, Job, process
from tests.engine.engines import ended, gone, running, works
from tests.engine.typed import Add, Sum
from tests.patience import until


def test_expected_errors_speak_for_themselves(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "engine")
    job = ended(engine.submit("media", "fail", {"expected": True}))
    assert (job.state, job.error) == ("failed", "This clip has no video. Choose another.")
    assert job.details == "BadClip: no stream of type video" and "Traceback" not in caplog.text


@pytest.mark.parametrize(
    ("task", "name", "message"),
    [
        ("fail", "LookupError", "codec 99 in a place nobody foresaw"),
        ("not_finite", "ValueError", "Out of range float values are not JSON compliant: nan"),
        ("no such task", "KeyError", "'no such task'"),
    ],
)
def test_unexpected_errors(
    engine: Engine, caplog: pytest.LogCaptureFixture, task: str, name: str, message: str
) -> None:
    job = ended(engine.submit("media", task, {"expected": False}))
    assert job.error == (
        f"Something went wrong inside the app ({name}). "
        "It has been logged; try again, or choose another clip or setting."
    )
    assert job.state == "failed" and job.details == f"{name}: the server's log has the rest"
    assert "Traceback (most recent call last)" in caplog.text and f"{name}: {message[:30]}" in caplog.text
    assert works(engine, "media")


@pytest.mark.parametrize("bad", [{"x": float("inf")}, {"x": {1, 2}}])
def test_arguments_that_are_not_json_are_refused_at_once(engine: Engine, bad: dict[str, object]) -> None:
    with pytest.raises((TypeError, ValueError)):
        engine.submit("model", "echo", bad)
    with pytest.raises(TypeError):
        engine.submit("model", "echo", {}, ["text"])  # type: ignore[list-item]
    with pytest.raises(KeyError):
        engine.submit("nobody", "echo")


@pytest.mark.parametrize(
    ("task", "arguments", "sentence", "details"),
    [
        ("die", {"signal": signal.SIGKILL}, "most likely for want of memory", "WorkerSignal: SIGKILL"),
        ("die", {"signal": signal.SIGTERM}, "was ended from outside", "WorkerSignal: SIGTERM"),
        ("die", {"signal": signal.SIGABRT}, "crashed (an internal check that failed)", "WorkerSignal: SIGABRT"),
        ("segfault", {}, "crashed (a bad memory access)", "WorkerSignal: SIGSEGV"),
        ("leave", {}, "ended unexpectedly", "WorkerExit: exit status 3"),
        ("orphan", {}, "ended unexpectedly", "WorkerExit: exit status 4"),
    ],
)
def test_death_of_the_process(
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
    task: str,
    arguments: dict[str, int],
    sentence: str,
    details: str,
) -> None:
    monkeypatch.setattr(process, "PATIENCE", 60.0)  # however long the system takes to end it
    before = engine.restarts("model")
    job = engine.submit("model", task, arguments)
    next_in_line = engine.submit("model", "echo", {"x": 1})
    assert ended(job).state == "failed" and sentence in job.error and "recovered" in job.error
    assert job.details == details
    assert ended(next_in_line).result["x"] == 1 and engine.restarts("model") == before + 1


def test_killed_from_outside_in_the_middle_of_a_job_and_while_idle(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "PATIENCE", 60.0)  # however long the system takes to end it
    job = running(engine, "deaf")
    os.kill((engine.hello("model") or {})["pid"], signal.SIGKILL)
    assert ended(job).state == "failed" and "The system ended the process" in job.error
    assert works(engine)
    before = engine.restarts("model")
    os.kill((engine.hello("model") or {})["pid"], signal.SIGKILL)
    until(lambda: engine.restarts("model") > before)
    assert works(engine) and engine.alive()["model"]


def frame(header: object, size: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if size is None else size).to_bytes(4, "big") + text


@pytest.mark.parametrize(
    "answer",
    [
        b"\x80\x04" + bytes(100),
        frame({}, 2**32 - 1),
        frame(b"[" * 200_000),
        frame([1]),
        frame({"kind": "progress", "blobs": [2**60]}),
        frame({"kind": "progress", "blobs": [0] * 20_000}),
        frame({"kind": "progress", "blobs": [-1]}),
        frame({"kind": "progress", "blobs": [True]}),
        frame({"kind": "reply", "job": -1, "state": "done", "result": {}, "blobs": []}),
        frame({"kind": "progress", "job": "JOB", "progress": "much", "note": "", "blobs": []}),
        frame({"kind": "reply", "job": "JOB", "state": "done", "result": {"x": float("nan")}, "blobs": []}),
        frame({"kind": "reply", "job": "JOB", "state": "done", "result": [], "blobs": []}),
        frame({"kind": "reply", "job": "JOB", "state": "failed", "blobs": []}),
        frame({"kind": "reply", "job": "JOB", "state": "queued", "blobs": []}),
    ],
    ids=range(14),
)
def test_nonsense_from_a_worker_costs_it_its_life_and_nothing_else(engine: Engine, answer: bytes) -> None:
    assert works(engine)
    number = str(next(engine._ids) + 1).encode()
    if b'"JOB"' in answer:
        answer = frame(answer[4:].replace(b'"JOB"', number))
    job = ended(engine.submit("model", "raw", {}, [answer]))
    assert str(job.id).encode() == number
    assert job.state == "failed" and "sent no usable answer" in job.error and job.result == {}
    assert works(engine)


def test_a_reply_of_another_kind_than_was_asked_for_is_no_answer(engine: Engine) -> None:
    """The task 'echo' of `tests.engine.tasks`, which `Add` names, answers with more than a `Sum`."""
    assert works(engine)
    before = engine.restarts("model")
    job = ended(engine.ask(Add(1)))
    assert job.state == "failed" and "sent no usable answer" in job.error and "Sum has no" in job.details
    assert works(engine) and engine.restarts("model") == before + 1


def test_a_request_comes_back_as_its_kind_of_reply(build: Callable[..., Engine]) -> None:
    engine = build(module="tests.engine.typed")
    job: Job[Sum] = ended(engine.ask(Add(2), [b"abc"]))
    assert job.state == "done" and job.result == Sum(5)
    wrong = ended(engine.ask(Add("two")))  # type: ignore[arg-type]
    assert wrong.state == "failed" and "ValueError" in wrong.details, "a worker takes nothing on trust either"


def test_a_hello_of_another_kind_is_no_start(build: Callable[..., Engine]) -> None:
    engine = build(hello=Sum)
    job = ended(engine.submit("model", "echo", {"x": 1}))
    assert job.state == "failed" and "('model') could not start" in job.error and engine.hello("model") is None


def test_half_an_answer_does_not_hold_up_a_cancel(engine: Engine) -> None:
    job = engine.submit("model", "raw", {}, [frame(b"{", 1000)])
    until(lambda: job.state == "running")
    engine.cancel(job)
    assert ended(job).state == "cancelled"
    assert works(engine)


# Nothing is left behind


def test_a_workers_own_children_end_with_it(engine: Engine) -> None:
    def kill(job: Job[Any]) -> None:
        os.kill((engine.hello("model") or {})["pid"], signal.SIGKILL)

    for end in (engine.cancel, kill):
        job = running(engine, "family")
        child = int(job.note.split()[1])
        assert not gone(child)
        end(job)
        ended(job)
        until(lambda: gone(child))  # noqa: B023


def test_stop_leaves_no_child_no_thread_and_cancels_what_is_left(build: Callable[..., Engine]) -> None:
    engine = build()
    job, waiting = running(engine, "family"), engine.submit("model", "echo")
    pids = [(engine.hello("model") or {})["pid"], int(job.note.split()[1])]
    engine.stop()
    assert (job.state, waiting.state) == ("cancelled", "cancelled")
    assert "stopping" in job.note and "stopping" in waiting.note
    assert engine.state("model") == "stopped" and engine.alive() == {"model": False}
    assert not psutil.pid_exists(pids[0]) and not set(pids) & {p.pid for p in psutil.Process().children(recursive=True)}
    until(lambda: gone(pids[1]))
    with pytest.raises(RuntimeError):
        engine.submit("model", "echo")
    engine.stop()


@pytest.mark.parametrize("task", ["family", "deaf", "frozen"])
def test_workers_end_when_the_server_is_killed(task: str) -> None:
    command = [sys.executable, "-m", "tests.engine.server", task]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        pids = [int(word) for word in server.stdout.readline().split()]
        assert len(pids) == (3 if task == "family" else 2) and not any(map(gone, pids))
        server.kill()
    until(lambda: all(map(gone, pids)))


def test_workers_end_when_the_server_leaves_without_stopping_them() -> None:
    command = [sys.executable, "-m", "tests.engine.server", "family", "leave"]
    pids = [int(word) for word in subprocess.check_output(command, text=True, timeout=120).split()]
    assert len(pids) == 3
    until(lambda: all(map(gone, pids)))


def test_ten_restarts_leave_no_descriptor_no_zombie_and_no_thread(build: Callable[..., Engine]) -> None:
    engine = build()
    assert works(engine)
    me = psutil.Process()
    before = (me.num_fds(), me.num_threads(), len(me.children(recursive=True)))
    for _ in range(10):
        assert ended(engine.submit("model", "die", {"signal": signal.SIGKILL})).state == "failed"
    assert works(engine) and engine.restarts("model") == 10
    until(lambda: (me.num_fds(), me.num_threads(), len(me.children(recursive=True))) == before)
    assert not any(child.status() == psutil.STATUS_ZOMBIE for child in me.children(recursive=True))


def test_a_worker_inherits_nothing_but_its_own_connection(engine: Engine) -> None:
    """Else one worker would keep another's connection open after the server's death."""
    assert works(engine) and works(engine, "media")
    names = [
        {Path(f"/proc/{(engine.hello(worker) or {})['pid']}/fd/{fd.name}").resolve().name for fd in fds}
        for worker in ("model", "media")
        for fds in [list(Path(f"/proc/{(engine.hello(worker) or {})['pid']}/fd").iterdir())]
    ]
    sockets = [{name for name in found if name.startswith("socket:")} for found in names]
    assert [len(found) for found in sockets] == [1, 1] and not sockets[0] & sockets[1]
