"""Thousands of damaged clips through the real media worker: the same promise as for files that were built to be bad."""

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine import Engine, Job
from tests.hostile.mutations import SOURCES, mutate
from tests.hostile.promise import broken_promise, submit
from tests.shorter import some
from ui.server import WORKERS

SEEDS = range(500)
LANES = ("media", "media too")  # two media workers, so that the test takes half as long
AHEAD = 20  # jobs that wait for each


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine(dict.fromkeys(LANES, WORKERS["media"]))
    engine.start()
    yield engine
    engine.stop()


@pytest.mark.parametrize("kind", some(SOURCES, *list(SOURCES)[::3]))
def test_damaged_clips_give_frames_or_one_clear_sentence(engine: Engine, tmp_path: Path, kind: str) -> None:
    jobs: deque[tuple[int, Path, Job[Any]]] = deque()
    states = []

    def finish_one() -> None:
        seed, path, job = jobs.popleft()
        which = f"mutate({kind!r}, {seed})"
        assert job.wait(180), f"{which} hangs"
        assert broken_promise(job, path, tmp_path) == "", which
        assert engine.restarts(job.worker) == 0, f"{which} or one of the {AHEAD} after it ended the worker"
        states.append(job.state)
        path.unlink()

    for seed in SEEDS:
        path = tmp_path / f"5ca1ab1e{seed}.clip"
        path.write_bytes(mutate(kind, seed))
        jobs.append((seed, path, submit(engine, "read", path, LANES[seed % 2])))
        if len(jobs) == AHEAD * len(LANES):
            finish_one()
    while jobs:
        finish_one()
    assert all(engine.alive().values())
    # Damage that is always noticed, or never, would test little.
    assert states.count("done") > 50 and states.count("failed") > 50
