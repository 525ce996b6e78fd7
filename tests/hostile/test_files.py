"""Generated bad files through the real media worker: every one ends in frames or in one clear sentence."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest

from engine import Engine
from tests.hostile.clips import HOLLOW, with_hole_after
from tests.hostile.files import EXHAUSTING, FILES
from tests.hostile.promise import Memory, broken_promise, submit
from tests.hostile.scripts import SCRIPTS
from tests.shorter import some
from ui.server import WORKERS
from vivit.video import VideoError, VideoLimits, read_frames
from vivit.video.container import READABLE

TASKS = ("read", "preview", "thumbnail")
LIMITS = WORKERS["media"]
assert LIMITS.time_limit and LIMITS.memory_limit_bytes
TIME_LIMIT, MEMORY_LIMIT = LIMITS.time_limit, LIMITS.memory_limit_bytes

# Pictures of up to 40 million pixels are accepted. One takes 4 bytes a pixel in the decoder, which keeps two of them,
# and 3 bytes as RGB, of which a preview holds two copies and PIL's: 17 bytes a pixel, and room for the allocator.
MOST_BYTES = 2**30
# Between jobs the worker holds Python, PyAV, numpy and PIL, and what the allocator keeps of 1,000 jobs.
IDLE_BYTES = 400 * 2**20


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine({"media": LIMITS})
    engine.start()
    path = Path(__file__)
    assert submit(engine, "thumbnail", path).wait(180)  # the worker is up
    yield engine
    engine.stop()


@pytest.fixture(scope="module")
def memory(engine: Engine) -> Memory:
    return Memory()


def test_there_are_many_files_and_no_two_are_the_same(tmp_path: Path) -> None:
    contents = set()
    for write in FILES.values():
        path = tmp_path / "file"
        write(path)
        with path.open("rb") as file:
            contents.add((path.stat().st_size, file.read(2**21)))
        path.unlink()
    assert len(contents) == len(FILES) >= 60


@pytest.mark.parametrize("name", some(FILES, *list(FILES)[::5]))
def test_every_file_gives_frames_or_one_clear_sentence(
    engine: Engine, memory: Memory, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "5ca1ab1e.clip"  # as an upload is named: the name tells nothing of the format
    FILES[name](path)
    restarts = engine.restarts("media")
    memory.forget_peak()
    jobs = [submit(engine, task, path) for task in TASKS]
    for job in jobs:
        assert job.wait(len(jobs) * TIME_LIMIT), f"{job.task} hangs"
        assert broken_promise(job, path, tmp_path) == "", job.task
    assert engine.restarts("media") == restarts and engine.state("media") == "ready" and engine.alive()["media"]
    assert memory.peak_bytes < MOST_BYTES


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_no_videos(engine: Engine, tmp_path: Path, name: str) -> None:
    path = tmp_path / "5ca1ab1e.clip"
    SCRIPTS[name](path)
    job = submit(engine, "read", path)
    assert job.wait(TIME_LIMIT) and job.state == "failed"
    named = "plain text|a playlist|a list of files|a web page|a drawing|an XML file|not a video that can be read here"
    refusal = rf"This clip is ({named}).*; give a whole {READABLE}\.|This clip holds no moving picture; .*"
    assert re.fullmatch(refusal, job.error), job.error


@pytest.mark.parametrize("name", EXHAUSTING)
def test_files_that_would_fill_the_memory_meet_the_workers_limit(
    engine: Engine, memory: Memory, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "5ca1ab1e.clip"
    EXHAUSTING[name](path)
    assert path.stat().st_size < 2000
    job = submit(engine, "read", path)
    assert job.wait(TIME_LIMIT + 5)  # and time to end a process that does not listen
    assert broken_promise(job, path, tmp_path) == ""
    assert memory.peak_bytes < MEMORY_LIMIT


@pytest.mark.parametrize("name", HOLLOW)
def test_a_search_through_gigabytes_ends_with_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = tmp_path / "hollow.clip"
    with_hole_after(name, 8 * 2**30)(path)
    seconds = 0.5
    opened, av_open = list[tuple[float, float]](), av.open

    def open_and_note(*args: Any, **options: Any) -> Any:
        opened.append((time.monotonic(), options["timeout"]))
        return av_open(*args, **options)

    monkeypatch.setattr(av, "open", open_and_note)
    used = time.process_time()
    try:
        sampled = read_frames(path, 4, limits=VideoLimits(max_seconds=seconds))
        assert len(sampled.frames) == 4
    except VideoError as error:
        assert f"took longer than {seconds} s" in str(error) or "not a video" in str(error)
    assert opened and opened[-1][0] <= sum(opened[0]), "a new search began after the time was up"
    assert time.process_time() - used < 10 * seconds, "of the processor, whatever others take: far from a whole search"


def test_the_memory_is_free_again(engine: Engine, memory: Memory, tmp_path: Path) -> None:
    path = tmp_path / "5ca1ab1e.clip"
    FILES["one frame: h264.mp4"](path)
    job = submit(engine, "read", path)
    assert job.wait(TIME_LIMIT) and job.state == "done"
    assert memory.bytes < IDLE_BYTES
