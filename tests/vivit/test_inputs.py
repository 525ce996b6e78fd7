"""What a call of a pipeline may be given: every kind of clip against its path, or transformers on the same frames."""

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from tests.clips import write_clip
from tests.vivit.answers import assert_same_predictions, decode_all, their_pipeline
from vivit import VideoClassificationPipeline, VivitImageProcessor
from vivit.errors import UserError
from vivit.fetching import FetchError
from vivit.inputs import prepare
from vivit.scores import top_predictions
from vivit.video import VideoError

FILES: dict[str, Callable[[Path], Any]] = {
    "path": lambda path: path,
    "text": str,
    "bytes": lambda path: path.read_bytes(),
    "bytearray": lambda path: bytearray(path.read_bytes()),
    "memoryview": lambda path: memoryview(path.read_bytes()),
    "every second byte": lambda path: memoryview(np.frombuffer(path.read_bytes(), np.uint8).repeat(2).data)[::2],
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


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        *((kind, np.uint8) for kind in PICTURES),
        ("in [0, 1]", np.float32),
        ("tensor in [0, 1]", np.float32),
        ("one of them in [0, 1]", np.float32),
        ("not resized", np.float32),
    ],
)
def test_what_was_bytes_stays_bytes(checkpoint: Path, clip_path: Path, kind: str, dtype: Any) -> None:
    """Until the clip is where the model is; and its pixels are normalised as the processor alone would do it."""
    frames = decode_all(clip_path)
    others: dict[str, Callable[[np.ndarray], Any]] = {
        "in [0, 1]": lambda frames: frames / 255,
        "tensor in [0, 1]": lambda frames: torch.from_numpy(frames / 255),
        "one of them in [0, 1]": lambda frames: [frames[0] / 255, *frames[1:]],
        "not resized": lambda frames: frames[:, 10:34, 10:30].astype(np.float64) + 0.3,
    }
    processor = VivitImageProcessor.from_pretrained(checkpoint, do_resize=kind != "not resized")
    given = (PICTURES | others)[kind](frames)
    clip = prepare(given, 8, processor)
    pictures = given["video"] if isinstance(given, dict) else given
    if isinstance(pictures, torch.Tensor) or isinstance(pictures[0], torch.Tensor):
        pictures = [picture.detach().float().numpy() for picture in pictures]
    wanted = processor([pictures[k] for k in clip.indices], return_tensors="np").pixel_values[0]
    assert clip.pixels.dtype == dtype and np.array_equal(processor.normalise(clip.pixels[0]), wanted)


def test_a_file_stays_bytes(checkpoint: Path, clip_path: Path) -> None:
    clip = prepare(clip_path, 8, VivitImageProcessor.from_pretrained(checkpoint))
    assert clip.pixels.dtype == np.uint8 and clip.pixels.shape == (1, 8, 24, 20, 3)


def test_pictures_of_two_sizes_are_refused(checkpoint: Path) -> None:
    processor = VivitImageProcessor.from_pretrained(checkpoint, do_resize=False, do_center_crop=False)
    pictures = [np.zeros((24, width, 3), np.uint8) for width in (20, 20, 21)]
    with pytest.raises(ValueError, match=r"different sizes.*20.*21"):
        prepare(pictures, 3, processor)


def test_pictures_of_other_channels_are_refused_in_their_turn(
    classify: VideoClassificationPipeline, clip_path: Path
) -> None:
    frames = decode_all(clip_path)
    answers = classify(iter([clip_path, frames[..., :1]]), batch_size=2)
    assert_same_predictions(next(answers), classify(clip_path))
    with pytest.raises(ValueError, match=r"\(24, 20, 1\), and the model takes \(24, 20, 3\)"):
        next(answers)


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
    ids=lambda value: f"{type(value).__name__} {getattr(value, 'shape', getattr(value, 'size', value))}",
)
def test_what_is_no_clip_is_refused(classify: VideoClassificationPipeline, given: Any) -> None:
    with pytest.raises(ValueError, match=r"clip|channels"):
        classify(given)


TURNED = (0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)  # a quarter turn, as phones write it


def test_geometry_is_that_of_files(classify: VideoClassificationPipeline, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "turned.mp4", 8, display_matrix=TURNED)
    stored = decode_all(path)
    assert classify(path, geometry="stored") == classify(stored) != classify(path)
    assert classify(path) == classify(path, geometry="upright")
    assert classify(stored, geometry="upright") == classify(stored, geometry="stored")
