"""Engines of the tests' own tasks, and a clock. Tests of the app's workers have an `engine` of their own."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from engine import Engine, WorkerSpec
from tests.engine.cameras import Clock
from tests.patience import until

SPEC = WorkerSpec("tests.engine.tasks", environment={"COLOUR": "green"})


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

    def start(module: str = "tests.engine.tasks", **spec: Any) -> Engine:
        engines.append(Engine({"model": WorkerSpec(module, **spec)}))
        engines[-1].start()
        return engines[-1]

    yield start
    for engine in engines:
        engine.stop()


@pytest.fixture
def clock() -> Clock:
    return Clock()
