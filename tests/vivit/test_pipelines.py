"""From a file to named classes: transformers' pipeline on the same clip and weights, and the published examples."""

import gc
import io
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Barrier, Timer
from typing import Any

import av
import numpy as np
import pytest
import torch
import transformers
from PIL import Image

import vivit
from tests import oracle
from tests.clips import write_clip
from tests.serving import Stalling, running, serving
from vivit import (
    VideoClassificationPipeline,
    VivitConfig,
    VivitForVideoClassification,
    VivitImageProcessor,
    VivitVideoProcessor,
    pipeline,
)
from vivit.checkpoint import open_checkpoint
from vivit.errors import UserError
from vivit.familiarity import Familiarity
from vivit.fetching import FetchError
from vivit.pipelines import UNFAMILIAR
from vivit.preparing import prepare_clip
from vivit.scores import top_predictions
from vivit.video import VideoError, VideoLimits, read_frames

# Probabilities: the logits agree to 1e-5, and softmax moves by no more than they do.
CLOSE = 1e-5


def assert_same_predictions(ours: list[dict], theirs: list[dict]) -> None:
    assert [p["label"] for p in ours] == [p["label"] for p in theirs]
    assert [p["score"] for p in ours] == pytest.approx([p["score"] for p in theirs], abs=CLOSE)
    assert all(type(p["score"]) is float and p.keys() == {"label", "score"} for p in ours)


def their_pipeline(checkpoint: Path) -> Any:
    return transformers.pipeline(
        "video-classification",
        model=transformers.VivitForVideoClassification.from_pretrained(checkpoint),
        image_processor=transformers.VivitImageProcessor.from_pretrained(checkpoint),
    )


@pytest.mark.parametrize("rate", [1, 2, 5])
@pytest.mark.parametrize("function", ["softmax", "sigmoid", "none"])
def test_consecutive_frames_are_classified_as_by_transformers(
    checkpoint: Path, clip_path: Path, rate: int, function: str
) -> None:
    options = {"frame_sampling_rate": rate, "function_to_apply": function, "top_k": 7}
    ours = pipeline("video-classification", model=checkpoint)(clip_path, **options)
    # Not every rate-th: transformers spreads the frames up to the end of the last stride.
    assert ours.indices == np.linspace(0, 8 * rate - 1, 8, dtype=int).tolist()
    assert_same_predictions(ours, their_pipeline(checkpoint)(str(clip_path), **options))


def decode_all(path: Path) -> np.ndarray:
    with av.open(path) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.mark.parametrize(
    "options", [{}, {"frame_sampling_rate": 3}, {"sampling": "center", "stride": 2}, {"num_frames": 8}]
)
def test_any_sampling_is_classified_as_those_frames_by_transformers(
    checkpoint: Path, clip_path: Path, options: dict[str, Any]
) -> None:
    ours = pipeline("video-classification", model=checkpoint, top_k=7)(clip_path, **options)
    frames = decode_all(clip_path)[ours.indices]
    inputs = transformers.VivitImageProcessor.from_pretrained(checkpoint)(list(frames), return_tensors="pt")
    theirs = transformers.VivitForVideoClassification.from_pretrained(checkpoint)
    with torch.inference_mode():
        wanted = theirs(**inputs).logits[0].softmax(-1)
    order = wanted.argsort(descending=True)
    names = theirs.config.id2label
    assert_same_predictions(ours, [{"label": names[int(k)], "score": float(wanted[k])} for k in order])


def test_frames_are_spread_over_the_whole_clip_by_default(checkpoint: Path, clip_path: Path) -> None:
    result = pipeline("video-classification", model=checkpoint)(clip_path)
    assert result.indices == [0, 6, 13, 19, 25, 31, 38, 44]
    assert result.seconds == pytest.approx([k / 10 for k in result.indices])
    assert result.warnings == []
    assert len(result) == 5 and sum(p["score"] for p in result) < 1
    assert [p["score"] for p in result] == sorted((p["score"] for p in result), reverse=True)


def test_timings_are_parts_of_the_total(checkpoint: Path, clip_path: Path) -> None:
    timings = pipeline("video-classification", model=checkpoint)(clip_path).timings_ms
    assert list(timings) == ["probe", "decode", "preprocess", "forward", "total"]
    assert all(ms > 0 for ms in timings.values())
    parts = sum(ms for name, ms in timings.items() if name != "total")
    assert 0.5 * timings["total"] < parts <= timings["total"]


def test_timings_stay_parts_where_lanes_work_side_by_side(tmp_path: Path) -> None:
    """Every picture is a key frame and enlarging it takes longer than decoding it: all lanes' work exceeds the wall time."""
    path = write_clip(tmp_path / "small.avi", 64, codec="mjpeg", pix_fmt="yuvj420p", size=(64, 48))
    start = time.perf_counter()
    timings = prepare_clip(path, 32, VivitImageProcessor()).timings_ms
    total = (time.perf_counter() - start) * 1e3
    assert list(timings) == ["probe", "decode", "preprocess"]
    assert all(ms > 0 for ms in timings.values()) and sum(timings.values()) <= total


def test_a_list_of_paths(checkpoint: Path, clip_path: Path, short_clip_path: Path) -> None:
    classify = pipeline("video-classification", model=checkpoint)
    both = classify([str(clip_path), short_clip_path])
    assert isinstance(both, list) and len(both) == 2
    assert both[0] == classify(clip_path) and both[1] == classify(str(short_clip_path))
    assert both[0].indices != both[1].indices
    assert classify([clip_path]) == [both[0]]
    assert classify([]) == []


@pytest.mark.parametrize(("top_k", "returned"), [(1, 1), (7, 7), (8, 7), (100, 7)])
def test_top_k(checkpoint: Path, clip_path: Path, top_k: int, returned: int) -> None:
    classify = pipeline("video-classification", model=checkpoint, top_k=3)
    assert len(classify(clip_path)) == 3
    result = classify(clip_path, top_k=top_k)
    assert len(result) == returned
    assert len({p["label"] for p in result}) == returned


@pytest.mark.parametrize("options", [{}, {"frame_sampling_rate": 1}, {"frame_sampling_rate": 3}])
def test_too_few_frames_repeat_the_last_and_say_so(
    checkpoint: Path, short_clip_path: Path, options: dict[str, int]
) -> None:
    result = pipeline("video-classification", model=checkpoint)(short_clip_path, **options)
    if "frame_sampling_rate" not in options:
        assert result.indices == [0, 1, 2, 3, 4, 4, 4, 4]
    assert len(result.indices) == 8 and result.indices[-1] == result.indices[-2] <= 4
    assert any("too few frames" in text and "repeated" in text for text in result.warnings)


@pytest.mark.parametrize("num_frames", [2, 4, 12, 32])
def test_another_number_of_frames_interpolates_positions(checkpoint: Path, clip_path: Path, num_frames: int) -> None:
    classify = pipeline("video-classification", model=checkpoint, top_k=7)
    result = classify(clip_path, num_frames=num_frames)
    assert len(result.indices) == num_frames
    frames = read_frames(clip_path, num_frames).frames
    inputs = VivitImageProcessor.from_pretrained(checkpoint)(list(frames), return_tensors="pt")
    with torch.inference_mode():
        logits = classify.model(**inputs, interpolate_pos_encoding=True).logits[0]
    assert_same_predictions(result, top_predictions(logits, classify.model.config.id2label, 7))


def test_a_processor_that_does_not_fit_the_model_is_refused(checkpoint: Path, clip_path: Path) -> None:
    """Frames of another size would be classified with interpolated positions, which nobody asked for."""
    processor = VivitImageProcessor.from_pretrained(checkpoint, crop_size={"height": 16, "width": 16})
    classify = pipeline("video-classification", model=checkpoint, image_processor=processor)
    for num_frames in (8, 12):
        with pytest.raises(ValueError, match=r"16, 16"):
            classify(clip_path, num_frames=num_frames)


@pytest.mark.parametrize("problem", ["regression", "multi_label_classification", "single_label_classification"])
def test_scores_follow_the_problem_type_of_the_config(tmp_path: Path, clip_path: Path, problem: str) -> None:
    oracle.save(tmp_path, problem_type=problem)
    ours = pipeline("video-classification", model=tmp_path)(clip_path, frame_sampling_rate=1)
    assert_same_predictions(ours, their_pipeline(tmp_path)(str(clip_path)))


def test_models_and_processors_may_be_objects_names_or_paths(checkpoint: Path, clip_path: Path) -> None:
    model = VivitForVideoClassification.from_pretrained(checkpoint)
    processor = VivitImageProcessor.from_pretrained(checkpoint)
    wanted = pipeline("video-classification", model=str(checkpoint))(clip_path)
    for image_processor in (processor, checkpoint, str(checkpoint)):
        for given in (model, checkpoint, str(checkpoint)):
            assert pipeline("video-classification", model=given, image_processor=image_processor)(clip_path) == wanted
    with pytest.raises(ValueError, match="image_processor"):
        pipeline("video-classification", model=model)


@pytest.mark.parametrize(
    "option", [{"dtype": "float32"}, {"torch_dtype": "float32"}, {"attn_implementation": "eager"}, {"revision": "main"}]
)
def test_a_model_object_has_what_is_decided_on_loading(checkpoint: Path, option: dict[str, str]) -> None:
    model = VivitForVideoClassification.from_pretrained(checkpoint)
    processor = VivitImageProcessor.from_pretrained(checkpoint)
    with pytest.raises(ValueError, match=rf"{next(iter(option))} would not.*from_pretrained"):
        pipeline("video-classification", model=model, image_processor=processor, **option)


def test_the_older_spelling_of_dtype(checkpoint: Path) -> None:
    classify = pipeline("video-classification", model=checkpoint, torch_dtype=torch.bfloat16)
    assert classify.model.dtype == torch.bfloat16
    with pytest.raises(ValueError, match="contradict"):
        pipeline("video-classification", model=checkpoint, dtype="float16", torch_dtype=torch.bfloat16)


def test_a_clip_unlike_the_training_data_is_told_where_that_is_known(tmp_path: Path, clip_path: Path) -> None:
    oracle.save(tmp_path)
    classify = pipeline("video-classification", model=tmp_path)
    assert classify(clip_path).warnings == []
    inputs = VivitImageProcessor.from_pretrained(tmp_path)(list(read_frames(clip_path, 8).frames), return_tensors="pt")
    with torch.inference_mode():
        features = classify.model.features(**inputs)[0].numpy()
    directions, ones = np.eye(35, dtype=np.float32)[None, :2], np.ones((1, 2), np.float32)
    # Of one class, whose mean is this clip; then of one whose mean is not.
    for away, warnings in ((0.0, []), (2.0, [UNFAMILIAR])):
        Familiarity(features[None] + away, directions, ones, ones[:, 0], threshold=1.0).save(tmp_path)
        assert pipeline("video-classification", model=tmp_path)(clip_path).warnings == warnings


@pytest.mark.parametrize("device", [None, -1, "cpu", torch.device("cpu")])
def test_devices(checkpoint: Path, clip_path: Path, device: Any) -> None:
    classify = pipeline("video-classification", model=checkpoint, device=device, dtype="float16-weights")
    assert classify.model.device.type == ("cpu" if device is not None or not torch.cuda.is_available() else "cuda")
    assert classify.model.classifier.weight.dtype == torch.float16
    assert len(classify(clip_path)) == 5


def test_a_model_in_training_mode_is_put_to_use(checkpoint: Path, clip_path: Path) -> None:
    model = VivitForVideoClassification.from_pretrained(checkpoint, hidden_dropout_prob=0.5).train()
    classify = pipeline("video-classification", model=model, image_processor=checkpoint)
    assert classify(clip_path) == classify(clip_path)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"top_k": 0}, "top_k"),
        ({"function_to_apply": "argmax"}, "argmax"),
        ({"num_frames": 7}, "7"),
        ({"num_frames": -2}, "-2"),
        ({"num_frames": 0}, "0"),
        ({"frame_sampling_rate": 0}, "0"),
        ({"sampling": "every"}, "every"),
    ],
    ids=str,
)
def test_impossible_options_are_named(checkpoint: Path, clip_path: Path, options: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError) as caught:
        pipeline("video-classification", model=checkpoint)(clip_path, **options)
    assert named in str(caught.value)


def test_none_means_the_default(checkpoint: Path, clip_path: Path) -> None:
    classify = pipeline("video-classification", model=checkpoint)
    options = dict.fromkeys(("top_k", "num_frames", "frame_sampling_rate", "function_to_apply"))
    assert classify(clip_path, **options) == classify(clip_path)


def test_another_task_is_refused(checkpoint: Path) -> None:
    with pytest.raises(ValueError, match="image-classification"):
        pipeline("image-classification", model=checkpoint)


@pytest.mark.parametrize("content", [None, b"", b"not a video"])
def test_a_bad_file_is_a_sentence(checkpoint: Path, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "bad.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(VideoError, match=r"bad\.mp4.*\."):
        pipeline("video-classification", model=checkpoint)(path)


def test_predictions_in_half_precision_are_floats_that_add_up() -> None:
    logits = torch.tensor([1.0, -2.0, 3.0, 0.5], dtype=torch.bfloat16)
    best = top_predictions(logits, {k: f"class {k}" for k in range(4)}, 4)
    assert [p["label"] for p in best] == ["class 2", "class 0", "class 3", "class 1"]
    assert sum(p["score"] for p in best) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("first", ["vivit.pipelines", "vivit.model", "vivit.processing", "engine.model"])
def test_the_public_name_is_the_function_whatever_was_imported_before(first: str) -> None:
    code = f"import {first}; from vivit import pipeline; import vivit; assert callable(pipeline) and callable(vivit.pipeline)"
    subprocess.run([sys.executable, "-c", code], check=True)


# What a call may be given. Every kind is compared with the path of the same clip, or with transformers on the same frames.


@pytest.fixture
def classify(checkpoint: Path) -> VideoClassificationPipeline:
    return pipeline("video-classification", model=checkpoint, top_k=7)


@pytest.fixture
def clip_address(clip_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The clip on a web server."""
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


FILES: dict[str, Callable[[Path], Any]] = {
    "path": lambda path: path,
    "text": str,
    "bytes": lambda path: path.read_bytes(),
    "bytearray": lambda path: bytearray(path.read_bytes()),
    "memoryview": lambda path: memoryview(path.read_bytes()),
    "every second byte": lambda path: memoryview(np.frombuffer(path.read_bytes(), np.uint8).repeat(2))[::2],
    "file": lambda path: path.open("rb"),
    "unnamed file": lambda path: io.BytesIO(path.read_bytes()),
    "a dict": lambda path: {"video": path, "label": 3},
    "datasets' bytes": lambda path: {"video": {"bytes": path.read_bytes(), "path": "elsewhere/moving.mp4"}},
    "datasets' path": lambda path: {"video": {"bytes": None, "path": str(path)}},
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_of_any_kind(classify: VideoClassificationPipeline, clip_path: Path, temporary: Path, kind: str) -> None:
    wanted = classify(clip_path)
    for result in (classify(FILES[kind](clip_path)), classify([FILES[kind](clip_path)])[0]):
        assert result == wanted
        assert (result.indices, result.seconds, result.warnings) == (wanted.indices, wanted.seconds, wanted.warnings)
        assert list(result.timings_ms) == ["probe", "decode", "preprocess", "forward", "total"]


@pytest.mark.parametrize("kind", [str, lambda address: {"video": address}], ids=["text", "a dict"])
def test_an_address(
    checkpoint: Path,
    classify: VideoClassificationPipeline,
    clip_path: Path,
    clip_address: str,
    temporary: Path,
    kind: Any,
) -> None:
    result = classify(kind(clip_address))
    assert result == classify(clip_path)
    assert list(result.timings_ms) == ["fetch", "probe", "decode", "preprocess", "forward", "total"]
    theirs = their_pipeline(checkpoint)(clip_address, frame_sampling_rate=2, top_k=7)
    assert_same_predictions(classify(kind(clip_address), frame_sampling_rate=2), theirs)
    with pytest.raises(FetchError, match="404"):
        classify(kind(clip_address + "x"))


def test_an_address_of_another_kind_is_no_path(classify: VideoClassificationPipeline, clip_path: Path) -> None:
    for address in (f"file://{clip_path}", "ftp://host/clip.mp4"):
        with pytest.raises(FetchError, match="https://"):
            classify(address)


def test_a_file_is_read_from_where_it_is(
    classify: VideoClassificationPipeline, clip_path: Path, tmp_path: Path, temporary: Path
) -> None:
    (tmp_path / "prefixed").write_bytes(b"x" * 1000 + clip_path.read_bytes())
    with (tmp_path / "prefixed").open("rb") as file:
        file.seek(1000)
        assert classify(file) == classify(clip_path)
        with pytest.raises(VideoError, match="empty"):
            classify(file)  # which is at its end now


def test_a_file_without_end_is_refused(
    classify: VideoClassificationPipeline, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vivit.inputs.MOST_BYTES", 3 * 2**20)
    with Path("/dev/zero").open("rb") as file, pytest.raises(UserError, match="larger than 3 MB"):
        classify(file)


def test_a_file_of_text_is_refused(classify: VideoClassificationPipeline, clip_path: Path, temporary: Path) -> None:
    with clip_path.open(encoding="latin-1") as file, pytest.raises(ValueError, match="binary"):
        classify(file)


@pytest.mark.parametrize("name", ["clip.mp4", None])
def test_a_bad_file_of_bytes_is_a_sentence(
    classify: VideoClassificationPipeline, temporary: Path, name: str | None
) -> None:
    with pytest.raises(VideoError, match=re.escape(f"'{name or 'clip'}'")) as caught:
        classify({"bytes": b"not a video", "path": name and f"/their/{name}"})
    assert str(temporary) not in str(caught.value)


PICTURES: dict[str, Callable[[np.ndarray], Any]] = {  # of (T, H, W, 3) uint8
    "channels last": lambda frames: frames,
    "channels first": lambda frames: frames.transpose(0, 3, 1, 2),
    "whole numbers as floats": lambda frames: frames.astype(np.float64),
    "tensor": torch.from_numpy,
    "tensor, channels first": lambda frames: torch.from_numpy(frames).permute(0, 3, 1, 2),
    "tensor with a gradient": lambda frames: torch.from_numpy(frames).float().requires_grad_(),
    "half tensor": lambda frames: torch.from_numpy(frames).to(torch.bfloat16),
    "PIL images": lambda frames: [Image.fromarray(frame) for frame in frames],
    "tuple of arrays": tuple,
    "list of tensors": lambda frames: [*torch.from_numpy(frames).to(torch.bfloat16)],
    "a dict": lambda frames: {"video": frames},
}


@pytest.mark.parametrize("kind", PICTURES)
def test_frames_of_any_kind(classify: VideoClassificationPipeline, clip_path: Path, kind: str) -> None:
    """They are sampled as those of a file are, unless they are just as many as the model takes."""
    frames = decode_all(clip_path)
    for options in ({}, {"frame_sampling_rate": 3}, {"sampling": "consecutive", "stride": 2, "start": 5}):
        wanted, result = classify(clip_path, **options), classify(PICTURES[kind](frames), **options)
        assert result == wanted and result.indices == wanted.indices
        assert (result.seconds, result.warnings) == ([], [])
        assert list(result.timings_ms) == ["preprocess", "forward", "total"]
        exactly = classify(PICTURES[kind](frames[wanted.indices]), **options)
        assert exactly == wanted and exactly.indices == [*range(8)]


def test_frames_are_classified_as_by_transformers(
    classify: VideoClassificationPipeline, checkpoint: Path, clip_path: Path
) -> None:
    frames = decode_all(clip_path)[10:18]
    for clip in (frames, torch.from_numpy(frames).permute(0, 3, 1, 2) / 255):
        inputs = transformers.VivitImageProcessor.from_pretrained(checkpoint)(list(clip), return_tensors="pt")
        with torch.inference_mode():
            theirs = transformers.VivitForVideoClassification.from_pretrained(checkpoint)(**inputs).logits[0]
        assert_same_predictions(classify(clip), top_predictions(theirs, classify.model.config.id2label, 7))


def test_too_few_frames_repeat_as_those_of_a_file(classify: VideoClassificationPipeline, short_clip_path: Path) -> None:
    wanted, result = classify(short_clip_path), classify(decode_all(short_clip_path))
    assert result == wanted and result.indices == wanted.indices == [0, 1, 2, 3, 4, 4, 4, 4]
    assert result.warnings == wanted.warnings and len(wanted.warnings) == 1


def test_a_batch_of_frames(classify: VideoClassificationPipeline, clip_path: Path) -> None:
    frames = decode_all(clip_path)
    wanted = [classify(frames[:20]), classify(frames[20:40])]
    both = frames[:40].reshape(2, 20, *frames.shape[1:])
    for batch in (both, torch.from_numpy(both), [*both], tuple(both), [list(clip) for clip in both]):
        result = classify(batch)
        assert isinstance(result, list) and result == wanted and wanted[0] != wanted[1]


@pytest.mark.parametrize(
    "given",
    [
        None,
        3,
        np.zeros((48, 64, 3), np.uint8),
        np.zeros((48, 64), np.uint8),
        np.zeros((1, 1, 8, 48, 64, 3), np.uint8),
        np.zeros((0, 48, 64, 3), np.uint8),
        np.zeros((8, 48, 64, 5), np.uint8),
        Image.new("RGB", (64, 48)),
        [None],
        [[]],
        {"label": 3},
        {"video": None},
        {"video": [np.zeros((8, 48, 64, 3), np.uint8)]},
    ],
    ids=lambda value: f"{type(value).__name__} {getattr(value, 'shape', value)}",
)
def test_what_is_no_clip_is_refused(classify: VideoClassificationPipeline, given: Any) -> None:
    with pytest.raises(ValueError, match=r"clip|channels"):
        classify(given)


@pytest.fixture
def several(clip_path: Path, short_clip_path: Path) -> list[Any]:
    """Seven clips of many kinds, no two alike."""
    frames = decode_all(clip_path)
    return [clip_path, str(short_clip_path), frames[3:], frames[5:13], short_clip_path.read_bytes(), frames[:9], frames]


def assert_same_answers(ours: list[Any], wanted: list[Any]) -> None:
    for one, other in zip(ours, wanted, strict=True):
        assert_same_predictions(one, other)  # other sums than alone may be rounded otherwise
        assert (one.indices, one.seconds, one.warnings) == (other.indices, other.seconds, other.warnings)


@pytest.mark.parametrize(("batch_size", "num_workers"), [(1, 1), (2, 0), (3, 2), (7, 1), (16, 9)])
def test_batches_and_threads_answer_the_same(
    checkpoint: Path, classify: VideoClassificationPipeline, several: list[Any], batch_size: int, num_workers: int
) -> None:
    wanted, options = [classify(clip) for clip in several], {"batch_size": batch_size, "num_workers": num_workers}
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
    """An iterator that is no generator theirs does not take."""
    paths = [str(clip_path), str(write_clip(tmp_path / "numbers.mp4", 20)), str(clip_path)]
    options: dict[str, Any] = {"batch_size": 2, "frame_sampling_rate": 2}
    theirs = their_pipeline(checkpoint)(paths if kind is iter else kind(paths), **options)
    ours = pipeline("video-classification", checkpoint)(kind(paths), **options)
    assert isinstance(ours, list) == isinstance(theirs, list) or kind is iter
    for one, other in zip(ours, theirs, strict=True):
        assert_same_predictions(one, other)


@pytest.mark.parametrize("known", [False, True], ids=["", "familiarity"])
def test_one_pass_gives_the_models_logits(classify: VideoClassificationPipeline, clip_path: Path, known: bool) -> None:
    """Where features are wanted too, and where not; then it is by a call, as a compiled model needs it."""
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
    classify: VideoClassificationPipeline, clip_path: Path, batch_size: int, num_workers: int
) -> None:
    taken = 0

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
        assert taken == (asked // batch_size + 1) * batch_size + num_workers
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
    classify: VideoClassificationPipeline, clip_path: Path, batch_size: int, num_workers: int
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
    classify: VideoClassificationPipeline, clip_path: Path, batch_size: int, num_workers: int
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


def reading_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("vivit-read")]


def test_no_thread_outlives_a_fault_that_is_kept(classify: VideoClassificationPipeline, clip_path: Path) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    with classify.model.vivit.register_forward_hook(fail), pytest.raises(ZeroDivisionError) as kept:
        classify([clip_path] * 5, num_workers=3)
    assert kept.value.__traceback__ and not reading_threads()


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("kind", ["bytes", "address"])
def test_a_fault_that_is_forgotten_is_gone(
    classify: VideoClassificationPipeline, clip_path: Path, clip_address: str, kind: str, num_workers: int
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


class Numbered(torch.utils.data.Dataset):
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
    class Endless(torch.utils.data.Dataset):
        def __getitem__(self, index: int) -> Path:
            return clip_path

    with pytest.raises(ValueError, match="Endless without __len__"):
        classify(Endless())


TURNED = (0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)  # a quarter turn, as phones write it


def test_geometry_is_that_of_files(classify: VideoClassificationPipeline, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "turned.mp4", 8, display_matrix=TURNED)
    stored = decode_all(path)
    assert classify(path, geometry="stored") == classify(stored) != classify(path)
    assert classify(path) == classify(path, geometry="upright")
    assert classify(stored, geometry="upright") == classify(stored, geometry="stored")


def test_limits_and_progress_reach_the_reader(
    checkpoint: Path, classify: VideoClassificationPipeline, clip_path: Path
) -> None:
    with pytest.raises(VideoError, match="10"):
        classify(clip_path, limits=VideoLimits(max_frames=10))
    told: list[float] = []
    limited = pipeline("video-classification", checkpoint, progress=told.append)
    limited([clip_path, clip_path], num_workers=1)
    assert told and all(0 <= fraction <= 1 for fraction in told)


@pytest.mark.parametrize(
    ("option", "meant"),
    [("topk", "top_k"), ("frame_rate", "frame_sampling_rate"), ("batchsize", "batch_size"), ("devices", "device")],
)
def test_an_unknown_option_is_named_with_the_nearest(
    checkpoint: Path, clip_path: Path, option: str, meant: str
) -> None:
    with pytest.raises(ValueError, match=f"'{option}', the nearest being '{meant}'"):
        pipeline("video-classification", checkpoint, **{option: 1})
    if meant != "device":  # which is no option of the call
        with pytest.raises(ValueError, match=f"'{option}', the nearest being '{meant}'"):
            pipeline("video-classification", checkpoint)(clip_path, **{option: 1})


@pytest.mark.parametrize(
    "option",
    [
        {"top_k": 0},
        {"top_k": 2.5},
        {"top_k": True},
        {"num_frames": 0},
        {"frame_sampling_rate": 0},
        {"stride": 0},
        {"start": -1},
        {"batch_size": 0},
        {"num_workers": -1},
        {"function_to_apply": "argmax"},
        {"sampling": "random"},
        {"geometry": "sideways"},
        {"geometry": ["stored"]},
        {"limits": 3},
        {"progress": 3},
    ],
    ids=str,
)
def test_an_impossible_option_is_refused_before_anything_is_read(checkpoint: Path, option: dict[str, Any]) -> None:
    (name, value) = next(iter(option.items()))
    for attempt in (
        lambda: pipeline("video-classification", "no/such-checkpoint", **option),
        lambda: pipeline("video-classification", checkpoint)("no such clip", **option),
    ):
        with pytest.raises(ValueError, match=rf"{name}.*{re.escape(str(value))}"):
            attempt()


# What the pipeline itself may be given.


def test_what_a_pipeline_has(checkpoint: Path) -> None:
    classify = pipeline(model=str(checkpoint), device="cpu", dtype="bfloat16")
    assert isinstance(classify, VideoClassificationPipeline) and classify.task == "video-classification"
    assert classify.image_processor is classify.video_processor
    assert classify.device == torch.device("cpu") and classify.dtype == classify.torch_dtype == torch.bfloat16


@pytest.mark.parametrize("place", ["auto", "cpu", -1, {"": "cpu"}, torch.device("cpu")])
def test_a_device_map(checkpoint: Path, place: Any) -> None:
    assert pipeline("video-classification", checkpoint, device_map=place).device == torch.device("cpu")
    assert pipeline(model=checkpoint, model_kwargs={"device_map": place}).device == torch.device("cpu")
    model = VivitForVideoClassification.from_pretrained(checkpoint)
    assert pipeline(model=model, image_processor=checkpoint, device_map=place).model is model
    with pytest.raises(ValueError, match="contradict"):
        pipeline("video-classification", checkpoint, device="meta", device_map=place)


def test_the_dtype_that_the_checkpoint_is_in(checkpoint: Path, tmp_path: Path) -> None:
    shutil.copytree(checkpoint, tmp_path, dirs_exist_ok=True)
    VivitForVideoClassification.from_pretrained(checkpoint, dtype="bfloat16").save_pretrained(tmp_path)
    for options in ({"dtype": "auto"}, {"torch_dtype": "auto"}, {"model_kwargs": {"dtype": "auto"}}):
        assert pipeline(model=tmp_path, **options).dtype == torch.bfloat16
    assert pipeline(model=tmp_path).dtype == torch.float32
    with pytest.raises(ValueError, match="'auto'"):
        pipeline(model=tmp_path, dtype="auto", torch_dtype="float16")
    assert pipeline(model=open_checkpoint(tmp_path), model_kwargs={"torch_dtype": torch.float16}).dtype == torch.float16


def test_options_of_loading_reach_it(checkpoint: Path, clip_path: Path, tmp_path: Path) -> None:
    shutil.copytree(checkpoint, tmp_path / "inner")
    kwargs = {"subfolder": "inner", "attn_implementation": "eager", "low_cpu_mem_usage": True, "cache_dir": None}
    classify = pipeline(model=tmp_path, model_kwargs=kwargs, trust_remote_code=True, use_fast=False)
    assert classify.model.attn_implementation == "eager" and len(classify(clip_path)) == 5
    with pytest.raises(UserError, match=r"\.bin|tensors|weights"):
        pipeline(model=checkpoint, model_kwargs={"use_safetensors": False})
    with pytest.raises(ValueError, match="token must be"):
        pipeline(model=checkpoint, token=3.5)  # type: ignore[arg-type]
    processor = pipeline(model=tmp_path, image_processor=tmp_path, model_kwargs=kwargs).image_processor
    assert processor.output_size == (24, 20)


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"num_labels": 3}, "'num_labels'"),
        ({"revison": "main"}, "'revision'"),
        ({"revision": "main"}, "revision is given beside model_kwargs"),
    ],
)
def test_options_of_loading_that_cannot_be(checkpoint: Path, kwargs: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        pipeline(model=checkpoint, revision="main", model_kwargs=kwargs)


def test_what_is_open_already_is_not_looked_for_again(checkpoint: Path) -> None:
    for option in ({"revision": "main"}, {"token": "x"}, {"model_kwargs": {"subfolder": "inner"}}):
        with pytest.raises(ValueError, match="would not change"):
            pipeline(model=open_checkpoint(checkpoint), **option)


def test_where_to_look_is_for_what_is_given_by_name(checkpoint: Path, tmp_path: Path) -> None:
    """Beside a model or a checkpoint that is at hand."""
    shutil.copytree(checkpoint, tmp_path / "inner")
    VivitConfig.from_pretrained(checkpoint, problem_type="regression").save_pretrained(tmp_path / "inner")
    options: dict[str, Any] = {"token": "x", "model_kwargs": {"subfolder": "inner"}}
    model, opened = VivitForVideoClassification.from_pretrained(checkpoint), open_checkpoint(checkpoint)
    for option in ("image_processor", "video_processor"):
        for given in (model, opened):
            assert pipeline(model=given, **{option: tmp_path}, **options).image_processor.output_size == (24, 20)
    assert pipeline(model=opened, config=tmp_path, **options).model.config.problem_type == "regression"
    with pytest.raises(ValueError, match=r"^attn_implementation, config would not change"):
        pipeline(
            model=model, image_processor=tmp_path, config=model.config, revision="main", attn_implementation="eager"
        )


def test_a_config_of_another_name_is_looked_for_without_the_models_folder(checkpoint: Path, tmp_path: Path) -> None:
    shutil.copytree(checkpoint, tmp_path / "theirs" / "inner")
    shutil.copytree(checkpoint, tmp_path / "other")
    VivitConfig.from_pretrained(checkpoint, problem_type="regression").save_pretrained(tmp_path / "other")
    options: dict[str, Any] = {"model_kwargs": {"subfolder": "inner", "local_files_only": True}}
    for config, kind in (("other", "regression"), ("theirs", None)):
        classify = pipeline(model=tmp_path / "theirs", config=tmp_path / config, **options)
        assert classify.model.config.problem_type == kind


def test_a_config_of_ones_own(checkpoint: Path, clip_path: Path, tmp_path: Path) -> None:
    names = {k: f"class {k}" for k in range(7)}
    config = VivitConfig.from_pretrained(
        checkpoint, id2label=names, label2id={v: k for k, v in names.items()}, problem_type="regression"
    )
    config.save_pretrained(tmp_path)
    shutil.copy(checkpoint / "model.safetensors", tmp_path)
    wanted = pipeline(model=checkpoint)(clip_path, function_to_apply="none")
    for given in (config, str(tmp_path), tmp_path):
        result = pipeline(model=checkpoint, config=given)(clip_path)
        assert [p["score"] for p in result] == [p["score"] for p in wanted]
        assert {p["label"] for p in result} < {*names.values()}
    with pytest.raises(UserError, match="does not fit"):
        pipeline(model=checkpoint, config=VivitConfig.from_pretrained(checkpoint, num_hidden_layers=2))


def test_a_processor_by_its_other_name(checkpoint: Path, clip_path: Path) -> None:
    processor = VivitImageProcessor.from_pretrained(checkpoint, do_normalize=False)
    ours, other = (pipeline(model=checkpoint, **{f"{k}_processor": processor}) for k in ("image", "video"))
    assert other.image_processor is processor and other(clip_path) == ours(clip_path)
    assert isinstance(pipeline(model=checkpoint, video_processor=checkpoint).image_processor, VivitVideoProcessor)
    with pytest.raises(ValueError, match="one of them"):
        pipeline(model=checkpoint, image_processor=processor, video_processor=processor)
    with pytest.raises(ValueError, match="image_processor must be"):
        pipeline(model=checkpoint, image_processor=transformers.VivitImageProcessor())


@pytest.mark.parametrize("model", [None, 3, torch.nn.Linear(2, 2)], ids=lambda value: type(value).__name__)
def test_a_model_that_is_none(model: Any) -> None:
    with pytest.raises(ValueError, match="model must be"):
        pipeline("video-classification", model)


def test_what_is_wrong_is_named_and_not_shown(checkpoint: Path) -> None:
    linear = torch.nn.Linear(2, 2)
    for model in (linear, torch.compile(linear)):
        with pytest.raises(ValueError, match=r"not Linear$"):
            pipeline(model=model)
    with pytest.raises(ValueError, match=r"not Linear$"):
        pipeline(model=checkpoint, image_processor=linear)  # type: ignore[arg-type]


def test_a_compiled_model_is_used_as_compiled(checkpoint: Path, clip_path: Path) -> None:
    model, processor = (kind.from_pretrained(checkpoint) for kind in (VivitForVideoClassification, VivitImageProcessor))
    passes: list[int] = []

    def backend(graph: torch.fx.GraphModule, _: Any) -> Callable[..., Any]:
        return lambda *inputs: passes.append(1) or graph(*inputs)  # type: ignore[func-returns-value]

    torch.compiler.reset()
    compiled = torch.compile(model.train(), backend=backend)
    classify = pipeline(model=compiled, image_processor=processor, device="cpu")
    assert classify.model is compiled and not model.training and classify.device == torch.device("cpu")
    assert_same_predictions(classify(clip_path), pipeline(model=checkpoint)(clip_path))
    assert passes
    torch.compiler.reset()


def test_a_pipeline_by_its_class_moves_the_model(checkpoint: Path, clip_path: Path) -> None:
    model = VivitForVideoClassification.from_pretrained(checkpoint)
    processor = VivitImageProcessor.from_pretrained(checkpoint)
    for device in (-1, None, "cpu"):
        classify = VideoClassificationPipeline(model=model, image_processor=processor, device=device)
        assert classify.model is model and classify(clip_path) == pipeline(model=checkpoint)(clip_path)
    assert VideoClassificationPipeline(model, processor, device="meta").device == torch.device("meta")
    with pytest.raises(ValueError, match="'devices', the nearest being 'device'"):
        VideoClassificationPipeline(model, processor, devices=-1)


def test_a_checkpoint_without_a_head_is_refused(tmp_path: Path) -> None:
    oracle.save(tmp_path, "VivitModel")
    with pytest.raises(UserError, match="without a classification head"):
        pipeline(model=tmp_path)


# The two examples of the model's published documentation, with the imports changed, `model_name` and `video_path` defined,
# and PyAV in place of torchvision's reader.


def test_published_pipeline_example(checkpoint: Path, clip_path: Path) -> None:
    model_name, video_path = str(checkpoint), str(clip_path)
    image_processor = VivitImageProcessor.from_pretrained(model_name)
    p = pipeline(task="video-classification", model=model_name, image_processor=image_processor)
    result = p(video_path)
    assert len(result) == 5
    assert set(result[0]) == {"label", "score"} and result[0]["label"] in p.model.config.label2id


def test_published_model_example(checkpoint: Path, clip_path: Path) -> None:
    model_name, video_path = str(checkpoint), str(clip_path)
    results = []
    for library in (vivit, transformers):
        processor = library.VivitImageProcessor.from_pretrained(model_name)
        model = library.VivitForVideoClassification.from_pretrained(model_name).eval()
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        model.to(device)

        video = decode_all(Path(video_path))
        num_frames = model.config.num_frames
        indices = np.linspace(0, len(video) - 1, num_frames, dtype=int)
        frames = [Image.fromarray(video[i]).resize((224, 224)) for i in indices]

        inputs = processor(frames, return_tensors="pt").to(device)
        with torch.no_grad():
            logits = model(pixel_values=inputs["pixel_values"]).logits
        probs = torch.nn.functional.softmax(logits, dim=-1)
        scores, ids = probs.topk(3)
        results.append(
            [
                {"label": model.config.id2label[i.item()], "score": s.item()}
                for s, i in zip(scores[0], ids[0], strict=True)
            ]
        )
    assert_same_predictions(*results)
