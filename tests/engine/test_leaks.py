"""Three hundred classifications: nothing grows, nothing is left over. And memory kept during a job is given back after it."""

import platform
import time
from dataclasses import dataclass, replace
from itertools import cycle, islice, product
from math import prod
from pathlib import Path

import psutil
import pytest

from engine import Engine
from engine.tasks import Classify, ReadFrames
from tests.clips import write_clip
from tests.engine.waiting import app_engine, done, worker
from ui.server import WORKERS
from vivit import VivitConfig, VivitForVideoClassification, VivitImageProcessor

RUNS, WARM_UP = 300, 20
ATTENTION = ("eager", "sdpa", "sdpa-math", "sdpa-flash")
PRECISION = ("float32", "float16-weights", "bfloat16")
GROWTH = 0.1  # of each process; a model left behind in each run would be a multiple of it


@dataclass(frozen=True)
class Held:
    """What the server's process and its workers hold at a moment.

    Args:
        memory, descriptors: process → resident bytes, and open files and sockets.
        files: in the folder for temporary ones.
    """

    memory: dict[psutil.Process, int]
    descriptors: dict[psutil.Process, int]
    files: list[Path]


def held(temporary: Path) -> Held:
    me = psutil.Process()
    processes = [me, *me.children(recursive=True)]
    memory = {process: process.memory_info().rss for process in processes}
    return Held(memory, {process: process.num_fds() for process in processes}, sorted(temporary.rglob("*")))


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Weights of 14 MB, so that a copy that is left behind shows."""
    config = VivitConfig(
        image_size=32, num_frames=4, hidden_size=384, num_hidden_layers=2, num_attention_heads=6, intermediate_size=1536
    )
    VivitForVideoClassification(config).save_pretrained(tmp_path / "model")
    processor = VivitImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    processor.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.full
def test_hundreds_of_runs_leave_nothing_behind(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))  # the workers'
    clip = write_clip(tmp_path / "clip.mp4", 12, size=(64, 48))
    with app_engine("media", "model") as engine:
        settings = islice(cycle(product(ATTENTION, PRECISION)), RUNS)
        for number, (attention, precision) in enumerate(settings):
            if number == WARM_UP:
                before = held(temporary)
            frames = done(engine.ask(ReadFrames(str(clip), str(checkpoint)), visitor="me"))
            request = Classify(str(checkpoint), attention, precision, "checkpoint", 3, frames.result.shape)
            done(engine.ask(request, [frames.blobs[0]], visitor="me"))
        after = held(temporary)
        names = {process: " ".join(process.cmdline()[1:4]) for process in after.memory}
        assert engine.restarts("media") == engine.restarts("model") == 0
    assert after.memory.keys() == before.memory.keys(), "no other process"
    growth = {names[process]: after.memory[process] / size - 1 for process, size in before.memory.items()}
    assert all(share <= GROWTH for share in growth.values()), growth
    assert after.descriptors == before.descriptors
    assert after.files == before.files


def resident_when_idle(checkpoint: Path, environment: dict[str, str]) -> tuple[int, int]:
    """A model worker's resident bytes, once they stay as they are: after a job by sdpa, and then after one by eager."""
    engine = Engine({"model": replace(WORKERS["model"], environment={**WORKERS["model"].environment, **environment})})
    engine.start()
    try:
        shape = (8, 112, 112, 3)
        pixels, found = bytes(prod(shape)), []
        for attention in ("sdpa", "eager"):  # the first has the model loaded
            done(engine.ask(Classify(str(checkpoint), attention, "float32", "checkpoint", 3, shape), [pixels]))
            model = worker("engine.model")
            sizes = [model.memory_info().rss]
            while len(sizes) < 10 or max(sizes[-10:]) - min(sizes[-10:]) > 2**20:  # it gives back after it has answered
                time.sleep(0.05)
                sizes.append(model.memory_info().rss)
            found.append(sizes[-1])
        return found[0], found[1]
    finally:
        engine.stop()


@pytest.mark.full
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="others keep nothing")
def test_an_idle_model_worker_gives_back_what_it_kept(tmp_path: Path) -> None:
    config = VivitConfig(
        image_size=112,
        num_frames=8,
        tubelet_size=(2, 8, 8),  # 785 tokens: 30 MB of scores, several times
        hidden_size=96,
        num_hidden_layers=2,
        num_attention_heads=12,
        intermediate_size=192,
    )
    VivitForVideoClassification(config).save_pretrained(tmp_path)
    VivitImageProcessor(size={"shortest_edge": 112}, crop_size={"height": 112, "width": 112}).save_pretrained(tmp_path)
    keeping = resident_when_idle(tmp_path, {"GLIBC_TUNABLES": ""})
    plain = resident_when_idle(tmp_path, {"GLIBC_TUNABLES": "glibc.malloc.mmap_max=65536"})
    # A third of one layer's scores: what two processes' imports, and threads that come and go, differ by is less.
    assert keeping[1] - keeping[0] < 10 * 2**20 and keeping[1] < plain[1] + 10 * 2**20, (keeping, plain)
