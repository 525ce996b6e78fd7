"""Jobs in real workers' queues: their places, what replaces them, how long they will take, their limits and their cancel."""

import os
import re
import signal
import statistics
import time
from collections.abc import Callable

import pytest

from engine import Cancelled, Engine, jobs
from tests.engine.engines import LONG, ended, gone, running, works
from tests.patience import until


def test_progress_rises_with_its_note(engine: Engine) -> None:
    job = running(engine, "steps", "media")
    fractions: list[float] = []
    notes: set[str] = set()

    def seen() -> bool:
        fractions.append(job.progress)
        notes.add(job.note)
        return len(set(fractions)) > 4 and len(notes) > 2

    until(seen)
    assert fractions == sorted(fractions) and 0 <= fractions[0] <= fractions[-1] < 1
    assert all(re.fullmatch(r"step \d+", note) for note in notes)


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
    known = [ended(engine.submit("model", "steps", {"seconds": 0.3}, cost_key="known")) for _ in range(2)]
    cost = statistics.median(job.seconds_ran for job in known)
    assert known[0].estimate == (0.0, 0.0)
    first = running(engine, "steps", cost_key="known")
    second = engine.submit("model", "echo", cost_key="known")
    third = engine.submit("model", "echo", cost_key="never seen")
    fourth = engine.submit("model", "echo", cost_key="known")
    start, end = second.estimate
    assert start is not None and end is not None
    assert 0 <= start <= cost and end - start == pytest.approx(cost), "what is left of the first, and its own"
    assert first.estimate[0] == 0.0 and third.estimate[0] is not None and third.estimate[1] is None
    assert fourth.estimate == (None, None)


# Cancel and limits


def test_cancel_of_a_waiting_job_is_immediate(engine: Engine) -> None:
    running(engine, "steps")
    waiting = engine.submit("model", "echo")
    engine.cancel(waiting)
    assert waiting.finished and waiting.state == "cancelled" and waiting.seconds_ran == 0


def test_soft_cancel_keeps_the_process(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "CANCEL_GRACE", 60.0)  # however busy the machine is
    job = running(engine, "steps")
    before = engine.restarts("model")
    engine.cancel(job)
    assert ended(job).state == "cancelled"
    assert (job.error, job.result) == ("", {}) and job.note == "Cancelled."
    assert works(engine) and engine.restarts("model") == before


@pytest.mark.parametrize("task", ["deaf", "frozen", "swallows"])
def test_cancel_of_what_does_not_listen_ends_the_process(engine: Engine, task: str) -> None:
    job = running(engine, task)
    before, pid, asked = engine.restarts("model"), engine.hello("model"), time.monotonic()
    engine.cancel(job)
    assert ended(job).state == "cancelled" and time.monotonic() - asked >= jobs.CANCEL_GRACE
    assert works(engine) and engine.restarts("model") == before + 1 and engine.hello("model") != pid


def test_cancel_while_the_job_is_still_being_sent(engine: Engine) -> None:
    """A stopped process reads nothing: more than the socket holds stays with the server."""
    assert works(engine)
    os.kill((engine.hello("model") or {})["pid"], signal.SIGSTOP)
    job = engine.submit("model", "echo", {}, [bytes(50_000_000)])
    until(lambda: job.state == "running")
    engine.cancel(job)
    assert ended(job).state == "cancelled"
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
    assert job.seconds_ran >= 0.6
    assert ended(engine.submit("model", "echo", time_limit=90)).state == "done" and engine.restarts("model") == 1


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
