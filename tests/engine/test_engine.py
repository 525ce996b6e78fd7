"""The engine with real processes: what it promises when all is well, and when a worker or the server is not."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from engine import Cancelled, Engine, Job, WorkerSpec
from tests.engine.typed import Add, Sum
from tests.engine.waiting import until

SPEC = WorkerSpec("tests.engine.tasks", environment={"COLOUR": "green"})
LONG = {"seconds": 600}


@pytest.fixture(scope="module")
def shared() -> Iterator[Engine]:
    engine = Engine({"media": SPEC, "model": SPEC})
    engine.start()
    yield engine
    engine.stop()


@pytest.fixture
def engine(shared: Engine) -> Iterator[Engine]:
    """The shared engine, left without jobs."""
    yield shared
    for worker in shared._workers.values():
        with worker.queue.changed:
            for job in [*worker.queue.waiting, *filter(None, [worker.queue.running])]:
                worker.queue.cancel(job)
    until(lambda: not any(worker.queue.running for worker in shared._workers.values()))


@pytest.fixture
def build() -> Iterator[Callable[..., Engine]]:
    """Builds engines with one worker, 'model', of a given spec, and stops them."""
    engines: list[Engine] = []

    def start(**spec: object) -> Engine:
        engines.append(Engine({"model": WorkerSpec(**{"module": "tests.engine.tasks", **spec})}))  # type: ignore[arg-type]
        engines[-1].start()
        return engines[-1]

    yield start
    for engine in engines:
        engine.stop()


def ended(job: Job[Any], seconds: float = 10.0) -> Job[Any]:
    assert job.wait(seconds), f"still {job.state}"
    return job


def works(engine: Engine, worker: str = "model") -> bool:
    answer: dict[str, Any] = ended(engine.submit(worker, "echo", {"x": 1})).result
    return answer == answer | {"x": 1}


def running(engine: Engine, task: str, worker: str = "model", **options: object) -> Job[Any]:
    """A job whose task has reported progress, so that it surely runs."""
    job = engine.submit(worker, task, LONG | {"stubborn": True}, **options)  # type: ignore[arg-type]
    until(lambda: job.note or job.finished)
    assert job.state == "running", job
    return job


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


# A job's good life


def test_answer_comes_back_with_its_blobs(engine: Engine) -> None:
    blobs = [b"", bytes(range(256)) * 40_000, b"\xff"]
    arguments = {"text": "naïve \u202e\udc80", "number": 0.1, "none": None, "nested": [{"a": [1, 2]}]}
    job = ended(engine.submit("media", "echo", arguments, blobs, visitor="v"))
    assert job.state == "done" and job.finished and (job.error, job.details) == ("", "")
    assert {name: job.result[name] for name in arguments} == arguments
    assert job.result["sizes"] == [0, 10_240_000, 1] and job.blobs == blobs[::-1]
    assert job.result["pid"] not in (os.getpid(), engine.hello("model"))
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


def test_progress_rises_with_its_note(engine: Engine) -> None:
    job = engine.submit("media", "steps", {"seconds": 0.8})
    seen: list[tuple[float, str]] = []
    while not job.finished:
        if not seen or seen[-1] != (job.progress, job.note):
            seen.append((job.progress, job.note))
        time.sleep(0.005)
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions) and len(set(fractions)) > 4
    assert "step 3" in {note for _, note in seen}
    assert job.state == "done" and job.progress == 1.0


def test_reports_on_a_job_that_has_ended_are_passed_over(engine: Engine) -> None:
    job = ended(engine.submit("media", "chatty"))
    later = ended(engine.submit("media", "steps", {"seconds": 0.3}))
    assert (job.state, job.progress) == ("done", 1.0) and later.result["pid"] == job.result["pid"]
    assert later.note.startswith("step")


def test_two_visitors_see_their_places_and_the_workers_do_not_wait_for_each_other(engine: Engine) -> None:
    first = running(engine, "steps", visitor="a")
    second = engine.submit("model", "echo", {"n": 2}, visitor="b")
    third = engine.submit("model", "echo", {"n": 3}, visitor="a")
    assert [job.position for job in (first, second, third)] == [0, 1, 2]
    assert works(engine, "media")
    engine.cancel(first)
    assert [ended(job).state for job in (first, second, third)] == ["cancelled", "done", "done"]
    assert [job.position for job in (first, second, third)] == [0, 0, 0]
    assert second.started_at is not None and third.started_at is not None and second.started_at < third.started_at


def test_submitting_again_replaces_ones_own_waiting_job_and_no_other(engine: Engine) -> None:
    running(engine, "steps", visitor="a")
    old = engine.submit("model", "echo", {"n": "old"}, visitor="b")
    kept = [
        engine.submit("model", "echo", {"n": 1}, visitor="c"),
        engine.submit("model", "fail", {"expected": True}, visitor="b"),
        engine.submit("model", "echo", {"n": 2}),
        engine.submit("model", "echo", {"n": 3}),
        engine.submit("media", "echo", {"n": 4}, visitor="b"),
    ]
    new = engine.submit("model", "echo", {"n": "new"}, visitor="b")
    assert (old.state, old.note) == ("cancelled", "Replaced by your newer request.") and old.finished
    assert new.position == 1, "the newer job takes the older one's place"
    assert all(job.state != "cancelled" for job in kept)
    engine.cancel(engine._workers["model"].queue.running)  # type: ignore[arg-type]
    assert ended(new).result["n"] == "new"
    assert [ended(job).state for job in kept] == ["done", "failed", "done", "done", "done"]


def test_a_running_job_is_not_replaced(engine: Engine) -> None:
    first = running(engine, "steps", visitor="a")
    second = engine.submit("model", "steps", LONG, visitor="a")
    assert (first.state, second.state, second.position) == ("running", "queued", 1)


def test_estimates_come_from_jobs_of_the_same_cost(engine: Engine) -> None:
    assert engine.submit("model", "steps", {"seconds": 0.2}, cost_key="new").estimate[1] is None
    for _ in range(2):
        known = ended(engine.submit("model", "steps", {"seconds": 0.4}, cost_key="known"))
    assert known.estimate == (0.0, 0.0)
    first = engine.submit("model", "steps", {"seconds": 0.4}, cost_key="known")
    until(lambda: first.note)
    second = engine.submit("model", "steps", {"seconds": 0.4}, cost_key="known")
    third = engine.submit("model", "echo", cost_key="never seen")
    fourth = engine.submit("model", "steps", {"seconds": 0.4}, cost_key="known")
    cost = known.seconds_ran
    start, end = second.estimate
    assert start is not None and end is not None and 0 < start < 1.5 * cost and 0.5 * cost < end - start < 1.5 * cost
    assert first.estimate[0] == 0.0 and third.estimate[0] is not None and third.estimate[1] is None
    assert fourth.estimate == (None, None)


# Cancel and limits


def test_cancel_of_a_waiting_job_is_immediate(engine: Engine) -> None:
    running(engine, "steps")
    waiting = engine.submit("model", "echo")
    engine.cancel(waiting)
    assert waiting.finished and waiting.state == "cancelled" and waiting.seconds_ran == 0


def test_soft_cancel_keeps_the_process(engine: Engine) -> None:
    job = running(engine, "steps")
    before, asked = engine.restarts("model"), time.monotonic()
    engine.cancel(job)
    assert ended(job).state == "cancelled" and time.monotonic() - asked < 0.9
    assert (job.error, job.result) == ("", {}) and job.note == "Cancelled."
    assert works(engine) and engine.restarts("model") == before


@pytest.mark.parametrize("task", ["deaf", "frozen", "swallows"])
def test_cancel_of_what_does_not_listen_ends_the_process(engine: Engine, task: str) -> None:
    job = running(engine, task)
    before, pid, asked = engine.restarts("model"), engine.hello("model"), time.monotonic()
    engine.cancel(job)
    assert ended(job).state == "cancelled" and 0.9 < time.monotonic() - asked < 2.0
    assert works(engine) and engine.restarts("model") == before + 1 and engine.hello("model") != pid


def test_cancel_while_the_job_is_still_being_sent(engine: Engine) -> None:
    """A stopped process reads nothing: more than the socket holds stays with the server."""
    assert works(engine)
    os.kill((engine.hello("model") or {})["pid"], signal.SIGSTOP)
    job = engine.submit("model", "echo", {}, [bytes(50_000_000)])
    until(lambda: job.state == "running")
    asked = time.monotonic()
    engine.cancel(job)
    assert ended(job).state == "cancelled" and time.monotonic() - asked < 2.0
    assert works(engine)


def test_cancelled_is_no_exception_and_finished_jobs_stay_as_they_are(engine: Engine) -> None:
    assert not issubclass(Cancelled, Exception)
    job = ended(engine.submit("model", "echo"))
    engine.cancel(job)
    engine.forget("")
    assert job.state == "done" and works(engine)


def test_forget_drops_a_visitors_jobs_on_every_worker_and_nobody_elses(engine: Engine) -> None:
    mine = [running(engine, "steps", visitor="a"), engine.submit("model", "echo", visitor="a")]
    mine.append(running(engine, "steps", "media", visitor="a"))
    other = engine.submit("media", "echo", visitor="b")
    engine.forget("a")
    assert [ended(job).state for job in mine] == ["cancelled"] * 3
    assert ended(other).state == "done"


@pytest.mark.parametrize("own", [True, False])
def test_time_limit(build: Callable[..., Engine], own: bool) -> None:
    engine = build(time_limit=None if own else 0.6)
    job = ended(engine.submit("model", "deaf", time_limit=0.6 if own else None))
    assert (job.state, job.error.partition(".")[0]) == ("failed", "This took longer than 0")
    assert job.error.startswith("This took longer than 0.6 s and was stopped.") and job.details == "TimeLimit: 0.6 s"
    assert 0.5 < job.seconds_ran < 2 and works(engine) and engine.restarts("model") == 1


def test_memory_limit(build: Callable[..., Engine]) -> None:
    engine = build(memory_limit_bytes=600 * 2**20)
    job = ended(engine.submit("model", "allocate", {"bytes": 700 * 2**20}))
    assert job.state == "failed" and "more memory than the app may use" in job.error
    assert job.details.startswith("MemoryError")
    assert ended(engine.submit("model", "allocate", {"bytes": 50 * 2**20})).result == {"bytes": 50 * 2**20}
    assert engine.restarts("model") == 0


def test_processor_time_limit_holds_for_each_job_and_all_threads(build: Callable[..., Engine]) -> None:
    engine = build(cpu_limit_seconds=1)
    for _ in range(3):  # together more than the limit, each of them less
        assert ended(engine.submit("model", "burn", {"seconds": 0.6, "threads": 1})).state == "done"
    pid = (engine.hello("model") or {})["pid"]
    job = ended(engine.submit("model", "burn", {"seconds": 20, "threads": 2}))
    assert job.state == "failed" and "more processor time than the app may spend" in job.error
    assert job.details == "WorkerSignal: SIGXCPU" and works(engine) and gone(pid)


# Faults of a task or its process


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
    engine: Engine, task: str, arguments: dict[str, int], sentence: str, details: str
) -> None:
    before = engine.restarts("model")
    job = engine.submit("model", task, arguments)
    next_in_line = engine.submit("model", "echo", {"x": 1})
    assert ended(job).state == "failed" and sentence in job.error and "recovered" in job.error
    assert job.details == details
    assert ended(next_in_line).result["x"] == 1 and engine.restarts("model") == before + 1


def test_killed_from_outside_in_the_middle_of_a_job_and_while_idle(engine: Engine) -> None:
    job = running(engine, "deaf")
    os.kill((engine.hello("model") or {})["pid"], signal.SIGKILL)
    assert ended(job, 2).state == "failed" and "The system ended the process" in job.error
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
    """Other tasks of that name answer with more than a `Sum`."""
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
    time.sleep(0.1)
    asked = time.monotonic()
    engine.cancel(job)
    assert ended(job).state == "cancelled" and time.monotonic() - asked < 2
    assert works(engine)


# Starts that fail


@pytest.mark.parametrize("trouble", ["raise", "segfault", "hang"])
def test_a_module_that_cannot_start_fails_its_jobs_until_it_can(
    build: Callable[..., Engine], tmp_path: Path, caplog: pytest.LogCaptureFixture, trouble: str
) -> None:
    switch = tmp_path / "switch"
    switch.write_text(trouble)
    limit = 0.8 if trouble == "hang" else 180.0
    engine = build(module="tests.engine.switched", environment={"SWITCH": str(switch)}, start_time_limit=limit)
    job = ended(engine.submit("model", "echo", {"x": 1}))
    assert job.state == "failed" and "('model') could not start" in job.error and job.started_at is None
    assert engine.alive() == {"model": False} and engine.state("model") == "failing" and engine.hello("model") is None
    at_once = engine.submit("model", "echo")
    assert at_once.wait(0.5) and at_once.error == job.error
    why = {"raise": "ImportError: libmissing.so", "segfault": "SIGSEGV", "hang": "not ready after 0.8 s"}[trouble]
    assert why in caplog.text and caplog.text.count("could not start") <= 3
    switch.write_text("work")
    until(lambda: engine.state("model") == "ready")
    assert engine.alive() == {"model": True} and works(engine)


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
        until(lambda: gone(child), 1)  # noqa: B023


def test_stop_leaves_no_child_no_thread_and_cancels_what_is_left(build: Callable[..., Engine]) -> None:
    engine = build()
    job, waiting = running(engine, "family"), engine.submit("model", "echo")
    pids = [(engine.hello("model") or {})["pid"], int(job.note.split()[1])]
    began = time.monotonic()
    engine.stop()
    assert time.monotonic() - began < 2 and (job.state, waiting.state) == ("cancelled", "cancelled")
    assert "stopping" in job.note and "stopping" in waiting.note
    assert engine.state("model") == "stopped" and engine.alive() == {"model": False}
    assert not psutil.pid_exists(pids[0]) and not set(pids) & {p.pid for p in psutil.Process().children(recursive=True)}
    until(lambda: gone(pids[1]), 1)
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
    until(lambda: all(map(gone, pids)), 2)


def test_workers_end_when_the_server_leaves_without_stopping_them() -> None:
    command = [sys.executable, "-m", "tests.engine.server", "family", "leave"]
    pids = [int(word) for word in subprocess.check_output(command, text=True, timeout=20).split()]
    assert len(pids) == 3
    until(lambda: all(map(gone, pids)), 1)


def test_ten_restarts_leave_no_descriptor_no_zombie_and_no_thread(build: Callable[..., Engine]) -> None:
    engine = build()
    assert works(engine)
    me = psutil.Process()
    before = (me.num_fds(), me.num_threads(), len(me.children(recursive=True)))
    for _ in range(10):
        assert ended(engine.submit("model", "die", {"signal": signal.SIGKILL})).state == "failed"
    assert works(engine) and engine.restarts("model") == 10
    assert (me.num_fds(), me.num_threads(), len(me.children(recursive=True))) == before
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
        "engine.submit('w', 'segfault').wait(10); engine.stop()"
    )
    server = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert server.returncode == 0 and server.stdout == ""
    assert re.search(r"Segmentation fault.*in segfault", server.stderr, re.DOTALL), server.stderr
