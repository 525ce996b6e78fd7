"""From a file to named classes: transformers' pipeline on the same clip and weights, and the published examples."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

import vivit
from tests import oracle
from tests.clips import write_clip
from tests.shorter import some
from tests.vivit.answers import assert_same_predictions, decode_all, their_pipeline
from vivit import (
    VideoClassificationPipeline,
    VivitForVideoClassification,
    VivitImageProcessor,
    pipeline,
    pipelines,
)
from vivit.decoders import decode_ahead, usual_processes
from vivit.errors import UserError
from vivit.familiarity import Familiarity
from vivit.pipelines import UNFAMILIAR
from vivit.preparing import prepare_clip
from vivit.scores import top_predictions
from vivit.video import VideoError, read_frames


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
    names: Any = theirs.config.id2label
    assert_same_predictions(ours, [{"label": names[int(k)], "score": float(wanted[k])} for k in order])


def test_frames_are_spread_over_the_whole_clip_by_default(checkpoint: Path, clip_path: Path) -> None:
    result = pipeline("video-classification", model=checkpoint)(clip_path)
    assert result.indices == [0, 6, 13, 19, 25, 31, 38, 44]
    assert result.seconds == pytest.approx([k / 10 for k in result.indices])
    assert result.warnings == []
    assert len(result) == 5 and sum(p["score"] for p in result) < 1
    assert [p["score"] for p in result] == sorted((p["score"] for p in result), reverse=True)


def test_timings_are_parts_of_the_total(checkpoint: Path, clip_path: Path) -> None:
    classify = pipeline("video-classification", model=checkpoint)
    several = [classify(clip_path).timings_ms for _ in range(8)]
    shares = []
    for timings in several:
        assert list(timings) == ["probe", "decode", "preprocess", "forward", "total"]
        assert all(ms > 0 for ms in timings.values())
        shares.append(sum(ms for name, ms in timings.items() if name != "total") / timings["total"])
    # Nothing that takes long lies between the parts; another program may come between them in one call, but not in all.
    assert 0.5 < max(shares) <= 1


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
    "option",
    [
        {"dtype": "float32"},
        {"torch_dtype": "float32"},
        {"attn_implementation": "eager"},
        {"execution": "compiled"},
        {"revision": "main"},
    ],
)
def test_a_model_object_has_what_is_decided_on_loading(checkpoint: Path, option: dict[str, Any]) -> None:
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


@pytest.mark.parametrize(
    "first", some(["vivit.pipelines", "vivit.model", "vivit.processing", "engine.model"], "engine.model")
)
def test_the_public_name_is_the_function_whatever_was_imported_before(first: str) -> None:
    code = f"import {first}; from vivit import pipeline; import vivit; assert callable(pipeline) and callable(vivit.pipeline)"
    subprocess.run([sys.executable, "-c", code], check=True)


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


def test_a_list_of_files_is_read_by_processes(
    checkpoint: Path, clip_path: Path, short_clip_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same answers to the bit as without processes; none where they do not pay, or would call the caller's own code."""
    classify = pipeline("video-classification", model=checkpoint, top_k=7, batch_size=2)
    started: list[int] = []
    usual = decode_ahead
    monkeypatch.setattr(
        pipelines,
        "decode_ahead",
        lambda *given: started.append(given[2]) or usual(*given),  # type: ignore[func-returns-value]
    )
    paths = [clip_path, str(short_clip_path), clip_path, clip_path, short_clip_path]
    wanted = classify(paths, num_workers=0)
    assert not started
    for options, processes in (({}, usual_processes()), ({"num_workers": 1}, 1), ({"sampling": "center"}, None)):
        found = classify(paths, **options)
        assert started.pop() == (processes or usual_processes())
        for one, other in zip(found, wanted if processes else classify(paths, num_workers=0, **options), strict=True):
            assert one == other and vars(one).keys() == vars(other).keys()
            assert (one.indices, one.seconds, one.warnings) == (other.indices, other.seconds, other.warnings)
            assert list(one.timings_ms) == list(other.timings_ms)
            assert sum(one.timings_ms.values()) == pytest.approx(2 * one.timings_ms["total"])

    class Own(VivitImageProcessor):
        pass

    classify(paths[:2])
    classify(paths, batch_size=1)
    classify(paths, progress=lambda fraction: None)
    list(classify(path for path in paths))
    classify([*paths, clip_path.read_bytes()])
    classify.image_processor = Own.from_pretrained(checkpoint)
    classify(paths)
    assert not started


def test_what_is_wrong_with_a_file_is_raised_by_the_call(checkpoint: Path, clip_path: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_text("no video")
    classify = pipeline("video-classification", model=checkpoint, batch_size=2)
    with pytest.raises(VideoError, match=r"bad\.mp4"):
        classify([clip_path, clip_path, tmp_path / "bad.mp4", clip_path])
    classify.image_processor.crop_size = {"height": 16, "width": 16}
    with pytest.raises(ValueError, match="the model takes"):
        classify([clip_path] * 3)
