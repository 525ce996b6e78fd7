"""Several views of a clip are the mean of single ones, made here by hand: frames by number, PIL's resize, slices, the model."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.clips import draw_number
from tests.vivit.answers import decode_all
from tests.vivit.conftest import film
from vivit import VideoClassificationPipeline, VivitImageProcessor, pipeline
from vivit.__main__ import main
from vivit.errors import UserError
from vivit.familiarity import Familiarity
from vivit.pipelines import UNFAMILIAR
from vivit.video.sampling import choose_views
from vivit.views import MOST, Views

CLOSE = 1e-6  # of logits of about 1, in float32
FRAMES, CROP, EDGE = 8, (24, 20), 28  # of the tiny checkpoint


def resized(frame: np.ndarray) -> np.ndarray:
    height, width = frame.shape[:2]
    size = (int(EDGE * width / height), EDGE) if height < width else (EDGE, int(EDGE * height / width))
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR))


def by_hand(model: Any, frames: np.ndarray, starts: list[int], stride: int, crops: int) -> tuple[torch.Tensor, Any]:
    """The mean logits over views, and the mean features. Args: frames: all of the clip; starts: one a temporal view."""
    logits, features = [], []
    for start in starts:
        chosen = [*range(start, len(frames), stride)][:FRAMES]
        chosen += chosen[-1:] * (FRAMES - len(chosen))
        whole = np.stack([resized(frames[k]) for k in chosen])
        spare = [whole.shape[1] - CROP[0], whole.shape[2] - CROP[1]]
        longer = int(whole.shape[2] >= whole.shape[1])
        for k in range(crops):
            at = [space // 2 for space in spare]
            if crops > 1:
                at[longer] = int(np.floor(k * spare[longer] / (crops - 1)))
            view = whole[:, at[0] : at[0] + CROP[0], at[1] : at[1] + CROP[1]]
            pixels = ((view / 127.5 - 1) - 0.5) / 0.5
            with torch.inference_mode():
                seen = model.features(torch.from_numpy(pixels).float().movedim(-1, 1)[None])
                features.append(seen[0].numpy())
                logits.append(model.classifier(seen)[0])
    return torch.stack(logits).mean(0), np.mean(features, 0)


def logits_of(model: Any, answer: Any) -> torch.Tensor:
    """An answer's scores in the order of the classes."""
    found = {p["label"]: p["score"] for p in answer}
    return torch.tensor([found[model.config.id2label[k]] for k in range(model.config.num_labels)])


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory, clip_path: Path, short_clip_path: Path) -> dict[str, Path]:
    """Landscape, portrait, and one of 5 frames."""
    tall = film(tmp_path_factory.mktemp("clips") / "tall.mp4", 39, size=(48, 64))
    return {"landscape": clip_path, "portrait": tall, "short": short_clip_path}


# Views → the first frame of each temporal view, of clips of 45, 39 and 5 frames.
STARTS = {
    "4x3": ([0, 9, 19, 29], [0, 7, 15, 23], [0] * 4),
    "3x1": ([0, 14, 29], [0, 11, 23], [0] * 3),
    "2x2": ([0, 29], [0, 23], [0] * 2),
}


@pytest.mark.parametrize("views", STARTS)
@pytest.mark.parametrize("clip", ["landscape", "portrait", "short"])
@pytest.mark.parametrize("given", ["path", "pictures"])
def test_views_are_averaged(
    classify: VideoClassificationPipeline, clips: dict[str, Path], views: str, clip: str, given: str
) -> None:
    frames = decode_all(clips[clip])
    starts = STARTS[views][[*clips].index(clip)]
    wanted, _ = by_hand(classify.model, frames, starts, 2, int(views[-1]))
    found = classify(clips[clip] if given == "path" else frames, views=views, function_to_apply="none")
    assert torch.allclose(logits_of(classify.model, found), wanted, rtol=0, atol=CLOSE)
    assert [found.indices[k] for k in range(0, len(found.indices), FRAMES)] == starts
    assert len(found.indices) == FRAMES * len(starts) and len(found.seconds) == len(found.indices) * (given == "path")
    said = " ".join(found.warnings)
    assert (f"all {len(starts)} are the same" in said) is ("last one is repeated" in said) is (clip == "short")


@pytest.mark.parametrize("clip", ["landscape", "portrait"])
def test_crops_alone_leave_the_frames_as_they_are(
    classify: VideoClassificationPipeline, clips: dict[str, Path], clip: str
) -> None:
    how: dict[str, Any] = {"sampling": "center", "stride": 3, "function_to_apply": "none"}
    once = classify(clips[clip], **how)
    assert classify(clips[clip], views="1x1", **how) == once == classify(clips[clip], views=Views(), **how)
    frames = decode_all(clips[clip])
    for views, crops in (("1x1", 1), ("1x3", 3)):
        found = classify(clips[clip], views=views, **how)
        wanted, _ = by_hand(classify.model, frames, [once.indices[0]], 3, crops)
        assert found.indices == once.indices and found.seconds == once.seconds
        assert torch.allclose(logits_of(classify.model, found), wanted, rtol=0, atol=CLOSE)
    assert logits_of(classify.model, found).ne(logits_of(classify.model, once)).any()


def test_passes_hold_no_more_views_than_a_batch(classify: VideoClassificationPipeline, clips: dict[str, Path]) -> None:
    """Several clips share a pass: the answers stay those of each clip, and so does what is said of its features."""
    sizes: list[int] = []
    paths = [clips["landscape"], clips["portrait"], clips["short"]]
    hook = classify.model.vivit.register_forward_pre_hook(lambda module, given: sizes.append(len(given[0])))
    alone = [classify(path, views="2x3", function_to_apply="none") for path in paths]
    assert sizes == [1] * 18
    sizes.clear()
    together = classify(paths, views="2x3", batch_size=4, num_workers=1, function_to_apply="none")
    hook.remove()
    assert sizes == [4, 4, 4, 4, 2]
    for found, one in zip(together, alone, strict=True):
        # Another size of batch sums in another order.
        pair = (logits_of(classify.model, answer) for answer in (found, one))
        torch.testing.assert_close(*pair, rtol=0, atol=1e-5)
    _, mean = by_hand(classify.model, decode_all(paths[0]), [0, 29], 2, 3)
    spread = np.ones((1, 1), np.float32)
    near = Familiarity(mean[None], np.eye(1, len(mean), dtype=np.float32)[None], spread, spread[0], threshold=1e-9)
    classify.familiarity = near
    told = [UNFAMILIAR in answer.warnings for answer in classify(paths, views="2x3", batch_size=4)]
    assert told == [False, True, True]


def test_each_picture_is_read_once(clips: dict[str, Path], checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where temporal views overlap."""
    counted, crops = [], VivitImageProcessor.crops

    def count(self: VivitImageProcessor, frame: np.ndarray, number: int = 1) -> np.ndarray:
        counted.append(number)
        return crops(self, frame, number)

    monkeypatch.setattr(VivitImageProcessor, "crops", count)
    answer = pipeline("video-classification", checkpoint, views="4x3")(clips["landscape"], stride=1)
    assert answer.indices[0::8] == [0, 12, 24, 37] and len(counted) == 32
    counted.clear()
    answer = pipeline("video-classification", checkpoint, views="8x2")(clips["landscape"])
    assert counted == [2] * len(set(answer.indices)) and len(counted) < len(answer.indices) == 64


@pytest.mark.parametrize("size", [(48, 85), (85, 48), (60, 60), (16, 6000), (10, 10)], ids=str)
@pytest.mark.parametrize("backend", ["pil", "torchvision"])
def test_crops_lie_evenly_along_the_longer_side(size: tuple[int, int], backend: str) -> None:
    """Of the picture that is resized once; a huge one is computed in parts, which rounds otherwise by one level."""
    processor = VivitImageProcessor(size={"shortest_edge": 40}, crop_size={"height": 32, "width": 36}, backend=backend)
    frame = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    height, width = processor.resized(*size)
    whole = VivitImageProcessor(
        size={"height": height, "width": width}, do_center_crop=False, backend=backend
    ).resize_and_crop(frame)
    assert np.array_equal(processor.crops(frame)[0], processor.resize_and_crop(frame))
    middle = [(height - 32) // 2, (width - 36) // 2]
    for count in (1, 2, 3, 5):
        found = processor.crops(frame, count)
        assert found.shape == (count, 32, 36, 3)
        for k, crop in enumerate(found):
            top, left = middle
            if count > 1 and height > width:
                top = k * (height - 32) // (count - 1)
            elif count > 1:
                left = k * (width - 36) // (count - 1)
            wanted = whole[top : top + 32, left : left + 36].astype(int)
            assert np.abs(crop - wanted).max() <= int(height * width > 4 * 1024**2)
            across, down = width / size[1], height / size[0]
            box = [x * scale for x, scale in zip(processor.crop_box(*size, k, count), [across, down] * 2, strict=True)]
            assert box == pytest.approx([left, top, left + 36, top + 32])


@pytest.mark.parametrize("text", ["", "4", "x3", "4x", "4x3x1", "-1x3", "0x1", "1x0", "four", f"{MOST}x2", 4])
def test_what_is_no_views_is_refused_before_anything_is_read(checkpoint: Path, text: Any) -> None:
    for attempt in (
        lambda: pipeline("video-classification", "no/such-checkpoint", views=text),
        lambda: pipeline("video-classification", checkpoint)("no such clip", views=text),
    ):
        with pytest.raises(UserError, match=r"views wants|choose from") as caught:
            attempt()
        assert str(text) in str(caught.value)


@pytest.mark.parametrize("option", [{"sampling": "center"}, {"start": 3}, {"frame_sampling_rate": 2}], ids=str)
def test_several_temporal_views_choose_their_frames_themselves(checkpoint: Path, option: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"4x3 views lie evenly over the clip.*1x3"):
        pipeline("video-classification", "no/such-checkpoint", views="4x3", **option)
    with pytest.raises(UserError, match="4x3 views"):
        choose_views(8, total=99, views=Views(4, 3), sampling="center")
    assert pipeline("video-classification", checkpoint, views="1x3", **option).defaults.reading["views"] == Views(1, 3)


def test_a_processor_that_takes_the_whole_picture_has_one_crop(
    checkpoint: Path, clip_path: Path, classify: VideoClassificationPipeline
) -> None:
    whole = VivitImageProcessor.from_pretrained(checkpoint, size=CROP, do_center_crop=False)
    squeezed = pipeline("video-classification", checkpoint, image_processor=whole, top_k=7)
    assert squeezed(clip_path, views="3x1") != classify(clip_path, views="3x1")
    for clip in (clip_path, [draw_number(k) for k in range(9)]):
        with pytest.raises(UserError, match=r"3 crops of a picture cannot be had.*4x1"):
            squeezed(clip, views="1x3")


def test_the_command_looks_as_often(checkpoint: Path, clip_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    usual = ["classify", str(clip_path), "--model", str(checkpoint), "--views"]
    assert main([*usual, "2x3", "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    wanted = pipeline("video-classification", checkpoint)(clip_path, views="2x3")
    assert found["views"] == "2x3" and found["predictions"] == wanted
    assert [frame["index"] for frame in found["frames"]] == wanted.indices
    for words, said in ((["2x"], "views wants"), (["2x3", "--sampling", "center"], "2x3 views lie evenly")):
        assert main([*usual, *words]) == 2
        assert said in capsys.readouterr().err
