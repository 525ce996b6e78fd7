"""What tests ask of an engine with the tasks of `tests.engine.tasks`."""

from typing import Any

import psutil

from engine import Engine, Job
from tests.patience import until

LONG = {"seconds": 600}


def ended(job: Job[Any]) -> Job[Any]:
    assert job.wait(90), f"still {job.state}"
    return job


def works(engine: Engine, worker: str = "model") -> bool:
    answer: dict[str, Any] = ended(engine.submit(worker, "echo", {"x": 1})).result
    return answer == answer | {"x": 1}


def running(engine: Engine, task: str, worker: str = "model", **options: Any) -> Job[Any]:
    """A job whose task has reported progress, so that it surely runs."""
    job = engine.submit(worker, task, LONG | {"stubborn": True}, **options)
    until(lambda: job.note or job.finished)
    assert job.state == "running", job
    return job


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
