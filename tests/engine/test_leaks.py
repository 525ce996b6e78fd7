"""Three hundred classifications: nothing grows, nothing is left over."""

from dataclasses import dataclass
from itertools import cycle, islice, product
from pathlib import Path

import psutil
import pytest

from engine import Engine
from engine.tasks import Classify, ReadFrames
from tests.clips import write_clip
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
    size = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    VivitImageProcessor(**size).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_hundreds_of_runs_leave_nothing_behind(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))  # the workers'
    clip = write_clip(tmp_path / "clip.mp4", 12, size=(64, 48))
    engine = Engine({name: WORKERS[name] for name in ("media", "model")})
    engine.start()
    try:
        settings = islice(cycle(product(ATTENTION, PRECISION)), RUNS)
        for number, (attention, precision) in enumerate(settings):
            if number == WARM_UP:
                before = held(temporary)
            frames = engine.ask(ReadFrames(str(clip), str(checkpoint)), visitor="me")
            assert frames.wait(60) and frames.state == "done", frames.error
            request = Classify(str(checkpoint), attention, precision, "checkpoint", 3, frames.result.shape)
            job = engine.ask(request, [frames.blobs[0]], visitor="me")
            assert job.wait(60) and job.state == "done", job.error
        after = held(temporary)
        names = {process: " ".join(process.cmdline()[1:4]) for process in after.memory}
        assert engine.restarts("media") == engine.restarts("model") == 0
    finally:
        engine.stop()
    assert after.memory.keys() == before.memory.keys(), "no other process"
    growth = {names[process]: after.memory[process] / size - 1 for process, size in before.memory.items()}
    assert all(share <= GROWTH for share in growth.values()), growth
    assert after.descriptors == before.descriptors
    assert after.files == before.files
