"""Several clips in one call of a pipeline: batches, threads that read ahead, iterators, and faults in their turn."""

import gc
import io
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from threading import Barrier, Timer
from typing import Any

import numpy as np
import pytest
import torch

from tests.clips import write_clip
from tests.serving import Stalling, running
from tests.shorter import some
from tests.vivit.answers import assert_same_predictions, decode_all, their_pipeline
from vivit import VideoClassificationPipeline, pipeline
from vivit.errors import UserError
from vivit.familiarity import Familiarity
from vivit.scores import top_predictions
from vivit.video import VideoError


@pytest.fixture(params=[0, 1], ids=["", "a pass ahead"])
def passes_ahead(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """As on an accelerator, which is given a pass before the answers of the one before are read; and as on a CPU."""
    ahead: int = request.param
    if ahead:
        monkeypatch.setattr("vivit.pipelines.passes_ahead", lambda _, workers: int(workers > 0))
    return ahead


@pytest.fixture
def several(clip_path: Path, short_clip_path: Path) -> list[Any]:
    """Seven clips of many kinds, no two alike."""
    frames = decode_all(clip_path)
    return [
        clip_path,
        str(short_clip_path),
        frames[3:] / 255,
        frames[5:13],
        short_clip_path.read_bytes(),
        frames[:9],
        frames,
    ]


def assert_same_answers(ours: list[Any], wanted: list[Any]) -> None:
    for one, other in zip(ours, wanted, strict=True):
        assert_same_predictions(one, other)  # other sums than alone may be rounded otherwise
        assert (one.indices, one.seconds, one.warnings) == (other.indices, other.seconds, other.warnings)


@pytest.mark.parametrize(("batch_size", "num_workers"), [(1, 1), (2, 0), (3, 2), (7, 1), (16, 9)])
def test_batches_and_threads_answer_the_same(
    checkpoint: Path,
    classify: VideoClassificationPipeline,
    several: list[Any],
    passes_ahead: int,
    batch_size: int,
    num_workers: int,
) -> None:
    wanted = [classify(clip) for clip in several]
    options: dict[str, Any] = {"batch_size": batch_size, "num_workers": num_workers}
    passes: list[int] = []
    with classify.model.vivit.register_forward_hook(lambda _, inputs, __: passes.append(len(inputs[0]))):
        assert_same_answers(classify(several, **options), wanted)
    assert passes == [min(batch_size, 7 - k) for k in range(0, 7, batch_size)]
    assert_same_answers(classify(tuple(several), **options), wanted)
    assert_same_answers([*classify((clip for clip in several), **options)], wanted)
    assert_same_answers(pipeline("video-classification", checkpoint, top_k=7, **options)(several), wanted)
    assert_same_predictions(classify(several[0], **options), wanted[0])


@pytest.mark.parametrize(
    "kind", [list, iter, lambda paths: (path for path in paths)], ids=["list", "iter", "generator"]
)
def test_several_are_classified_as_by_transformers(
    checkpoint: Path, clip_path: Path, tmp_path: Path, kind: Any
) -> None:
    """transformers' pipeline does not take an iterator that is no generator."""
    paths = [str(clip_path), str(write_clip(tmp_path / "numbers.mp4", 20)), str(clip_path)]
    options: dict[str, Any] = {"batch_size": 2, "frame_sampling_rate": 2}
    theirs = their_pipeline(checkpoint)(paths if kind is iter else kind(paths), **options)
    ours = pipeline("video-classification", checkpoint)(kind(paths), **options)
    assert isinstance(ours, list) == isinstance(theirs, list) or kind is iter
    for one, other in zip(ours, theirs, strict=True):
        assert_same_predictions(one, other)


@pytest.mark.parametrize("known", [False, True], ids=["", "familiarity"])
def test_one_pass_gives_the_models_logits(classify: VideoClassificationPipeline, clip_path: Path, known: bool) -> None:
    """Where features are wanted too, and where not: then the model itself is called, as one that is compiled must be."""
    ones = np.ones((1, 2), np.float32)
    statistics = Familiarity(
        np.zeros((1, 35), np.float32), np.eye(35, dtype=np.float32)[None, :2], ones, ones[:, 0], 1e9
    )
    classify.familiarity = statistics if known else None
    passes: list[torch.Tensor] = []
    calls: list[int] = []
    with (
        classify.model.vivit.register_forward_hook(lambda _, inputs, __: passes.append(inputs[0])),
        classify.model.register_forward_hook(lambda *_: calls.append(1)),
    ):
        result = classify(clip_path, function_to_apply="none")
    (pixel_values,) = passes
    assert result.warnings == [] and len(calls) == (not known)
    with torch.inference_mode():
        logits = classify.model(pixel_values).logits[0]
    assert result == top_predictions(logits, classify.model.config.id2label, 7, "none")


@pytest.mark.parametrize(("batch_size", "num_workers"), [(1, 0), (2, 0), (4, 0), (3, 2), (1, 3)])
def test_a_generator_is_read_as_answers_are_asked_for(
    classify: VideoClassificationPipeline, clip_path: Path, passes_ahead: int, batch_size: int, num_workers: int
) -> None:
    taken, further = 0, batch_size * passes_ahead * (num_workers > 0)

    def endless() -> Iterator[Path]:
        nonlocal taken
        while True:
            taken += 1
            yield clip_path

    answers = classify(endless(), batch_size=batch_size, num_workers=num_workers)
    assert taken == 0
    wanted = classify(clip_path)
    for asked in range(9):
        assert_same_predictions(next(answers), wanted)
        assert taken == (asked // batch_size + 1) * batch_size + num_workers + further
    answers.close()
    assert not reading_threads()


class Meeting(io.BytesIO):
    """A file whose reader waits until as many are being read at the same time."""

    def __init__(self, content: bytes, barrier: Barrier) -> None:
        super().__init__(content)
        self.barrier = barrier
        self.reader = ""

    def read(self, size: int | None = -1) -> bytes:
        if not self.reader:
            self.reader = threading.current_thread().name
            self.barrier.wait(timeout=60)
        return super().read(size)


def test_threads_read_side_by_side(classify: VideoClassificationPipeline, clip_path: Path) -> None:
    barrier = Barrier(3)
    files = [Meeting(clip_path.read_bytes(), barrier) for _ in range(3)]
    assert classify(files, num_workers=3) == [classify(clip_path)] * 3
    assert len({file.reader for file in files}) == 3 and all("vivit-read" in file.reader for file in files)
    alone = Meeting(clip_path.read_bytes(), Barrier(1))
    classify([alone])
    assert alone.reader == threading.current_thread().name


@pytest.mark.parametrize(("batch_size", "num_workers"), [(1, 0), (4, 0), (2, 3)])
def test_a_bad_clip_is_raised_in_its_turn(
    classify: VideoClassificationPipeline, clip_path: Path, passes_ahead: int, batch_size: int, num_workers: int
) -> None:
    clips = [clip_path, clip_path, b"bad", clip_path]
    options = {"batch_size": batch_size, "num_workers": num_workers}
    with pytest.raises(VideoError):
        classify(clips, **options)
    answers, wanted = classify((clip for clip in clips), **options), classify(clip_path)
    for _ in range(2):
        assert_same_predictions(next(answers), wanted)
    with pytest.raises(VideoError):
        next(answers)


@pytest.mark.parametrize("num_workers", [0, 1, 3])
@pytest.mark.parametrize("batch_size", [1, 2, 4])
def test_a_source_that_breaks_off_costs_no_answer(
    classify: VideoClassificationPipeline, clip_path: Path, passes_ahead: int, batch_size: int, num_workers: int
) -> None:
    def breaking() -> Iterator[Path]:
        for _ in range(3):
            yield clip_path
        raise ZeroDivisionError

    answers, wanted = classify(breaking(), batch_size=batch_size, num_workers=num_workers), classify(clip_path)
    for _ in range(3):
        assert_same_predictions(next(answers), wanted)
    with pytest.raises(ZeroDivisionError):
        next(answers)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_pass_that_fails_is_raised_in_its_turn(
    classify: VideoClassificationPipeline, clip_path: Path, passes_ahead: int, num_workers: int
) -> None:
    """Before what is wrong with a clip after it."""
    passes: list[int] = []

    def fail(*_: Any) -> None:
        passes.append(1)
        if len(passes) == 3:
            raise ZeroDivisionError

    wanted = classify(clip_path)
    with classify.model.vivit.register_forward_hook(fail):
        answers = classify(iter([clip_path] * 5 + [b"bad"]), batch_size=2, num_workers=num_workers)
        for _ in range(4):
            assert_same_predictions(next(answers), wanted)
        with pytest.raises(ZeroDivisionError):
            next(answers)
    assert not reading_threads()


def reading_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("vivit-read")]


def test_no_thread_outlives_a_fault_that_is_kept(classify: VideoClassificationPipeline, clip_path: Path) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    with classify.model.vivit.register_forward_hook(fail), pytest.raises(ZeroDivisionError) as kept:
        classify([clip_path] * 5, num_workers=3)
    assert kept.value.__traceback__ and not reading_threads()


@pytest.mark.parametrize("num_workers", some([0, 2], 2))
@pytest.mark.parametrize("kind", ["bytes", "address"])
def test_a_fault_that_is_forgotten_is_gone(
    classify: VideoClassificationPipeline,
    clip_path: Path,
    clip_address: str,
    passes_ahead: int,
    kind: str,
    num_workers: int,
) -> None:
    """With the clips that its traceback holds, and not when garbage is collected some day."""
    gc.collect()
    gc.disable()
    try:
        bad = b"bad" if kind == "bytes" else f"{clip_address}x"
        answers = classify(iter([clip_path, bad]), batch_size=4, num_workers=num_workers)
        next(answers)
        try:
            next(answers)
        except UserError as error:
            fault = weakref.ref(error)
        del answers
        assert fault() is None
    finally:
        gc.enable()


def test_transfers_are_broken_off_with_the_iterator(
    classify: VideoClassificationPipeline, clip_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Stalling()
    late = Timer(20, server.over.set)  # of the 60 s that a transfer may take
    late.daemon = True
    with running(server) as base:
        late.start()
        try:
            answers = classify(iter([clip_path, f"{base}/a.mp4", f"{base}/b.mp4"]), num_workers=2)
            assert len(next(answers)) == 7 and server.begun.wait(15)
            answers.close()
            assert not server.over.is_set() and not reading_threads()
        finally:
            late.cancel()
            server.over.set()


class Numbered(torch.utils.data.Dataset[Any]):
    """As PyTorch's are: with items and a length, and no end that an iteration would meet."""

    def __init__(self, clip: Any) -> None:
        self.clip = clip
        self.taken: list[int] = []

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Any:
        self.taken.append(index)
        return self.clip


def test_a_dataset_is_an_iterator(classify: VideoClassificationPipeline, clip_path: Path) -> None:
    clips = Numbered({"video": clip_path})
    answers, wanted = classify(clips), classify(clip_path)
    assert clips.taken == [] and next(answers) == wanted and clips.taken == [0]
    assert [*answers] == [wanted, wanted] and clips.taken == [0, 1, 2]
    assert classify({clip_path}) == classify(np.array([str(clip_path)])) == [wanted]
    assert [*classify(iter([]))] == classify(()) == []


def test_a_dataset_without_an_end_is_refused(classify: VideoClassificationPipeline, clip_path: Path) -> None:
    class Endless(torch.utils.data.Dataset[Path]):
        def __getitem__(self, index: int) -> Path:
            return clip_path

    with pytest.raises(ValueError, match="Endless without __len__"):
        classify(Endless())
