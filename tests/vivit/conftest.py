"""What the library's tests share."""

import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from tests import oracle
from tests.factorized_models import write_kinds
from tests.serving import running, serving
from tests.vivit.eight_bit_models import write_with_large_numbers
from vivit import VideoClassificationPipeline, pipeline


@pytest.fixture(autouse=True)
def usual_threads() -> Iterator[int]:
    """Tiny tensors on one thread: waiting for a second one takes longer than the work. Yields the usual number."""
    usual = torch.get_num_threads()
    torch.set_num_threads(1)
    yield usual
    torch.set_num_threads(usual)


def film(path: Path, frames: int, fps: int = 10, size: tuple[int, int] = (64, 48)) -> Path:
    """Write an H.264 clip in which everything moves. Args: size: (width, height)."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        (stream.width, stream.height), stream.pix_fmt = size, "yuv420p"
        rows, columns = np.mgrid[: size[1], : size[0]]
        for k in range(frames):
            picture = np.stack([rows * 3 + 4 * k, columns * 3 - 5 * k, (rows + columns) * 2 + 9 * k], axis=-1) % 256
            frame = av.VideoFrame.from_ndarray(picture.astype(np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="session")
def clip_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4.5 seconds, 45 frames."""
    return film(tmp_path_factory.mktemp("clips") / "moving.mp4", 45)


@pytest.fixture(scope="session")
def short_clip_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five frames, fewer than the tiny model takes."""
    return film(tmp_path_factory.mktemp("clips") / "short.mp4", 5)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random checkpoint with named classes, as transformers writes it. Not to be written to."""
    folder = tmp_path_factory.mktemp("checkpoint")
    names = ["walking", "running", "jumping", "sitting down", "waving", "dancing", "résumé reading"]
    labels: dict[str, Any] = {"id2label": dict(enumerate(names)), "label2id": {name: k for k, name in enumerate(names)}}
    oracle.save(folder, num_labels=7, **labels)
    return folder


@pytest.fixture
def classify(checkpoint: Path) -> VideoClassificationPipeline:
    """A pipeline of `checkpoint` that gives all seven classes."""
    return pipeline("video-classification", model=checkpoint, top_k=7)


@pytest.fixture(scope="session")
def headless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model without a head, with a pooler, as transformers saves it. Not to be written to."""
    folder = tmp_path_factory.mktemp("checkpoints") / "headless"
    oracle.save(folder, "VivitModel")
    return folder


@pytest.fixture(scope="session")
def large_numbers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny classifier whose layers see large numbers, each of them in its own columns. Not to be written to."""
    return write_with_large_numbers(tmp_path_factory.mktemp("checkpoints") / "classifier")


@pytest.fixture(scope="session")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A checkpoint of each way to factorise. Not to be written to."""
    return write_kinds(tmp_path_factory.mktemp("checkpoints"))


@pytest.fixture
def no_warning() -> Iterator[None]:
    """A warning of ours that no test expects is an error."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", category=UserWarning, module=r"vivit|tests")
        yield


@pytest.fixture
def fresh_compiler() -> Iterator[None]:
    """What `torch.compile` has made in this process is forgotten, before and after."""
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.fixture
def clip_address(clip_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of the clip on a web server."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with running(serving(clip_path.parent)) as base:
        yield f"{base}/{clip_path.name}"


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder for temporary files, of which none may be left."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    yield tmp_path / "temporary"
    assert not [*(tmp_path / "temporary").iterdir()]
