"""What a pipeline itself may be given: where from, in which dtype, on which device, with which parts."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch
import transformers

from tests.vivit.answers import assert_same_predictions
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
    with pytest.raises(ValueError, match="dtype=auto and torch_dtype=float16 contradict"):
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
        named: dict[str, Any] = {option: tmp_path}
        for given in (model, opened):
            assert pipeline(model=given, **named, **options).image_processor.output_size == (24, 20)
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
    ours = pipeline(model=checkpoint, image_processor=processor)
    other = pipeline(model=checkpoint, video_processor=processor)
    assert other.image_processor is processor and other(clip_path) == ours(clip_path)
    assert isinstance(pipeline(model=checkpoint, video_processor=checkpoint).image_processor, VivitVideoProcessor)
    with pytest.raises(ValueError, match="one of them"):
        pipeline(model=checkpoint, image_processor=processor, video_processor=processor)
    with pytest.raises(ValueError, match="image_processor must be"):
        pipeline(model=checkpoint, image_processor=cast(Any, transformers.VivitImageProcessor()))


@pytest.mark.parametrize("model", [None, 3, torch.nn.Linear(2, 2)], ids=lambda value: type(value).__name__)
def test_a_model_that_is_none(model: Any) -> None:
    with pytest.raises(ValueError, match="model must be"):
        pipeline("video-classification", model)


def test_what_is_wrong_is_named_and_not_shown(checkpoint: Path) -> None:
    linear: Any = torch.nn.Linear(2, 2)
    compiled: Any = torch.compile(linear)
    for model in (linear, compiled):
        with pytest.raises(ValueError, match=r"not Linear$"):
            pipeline(model=model)
    with pytest.raises(ValueError, match=r"not Linear$"):
        pipeline(model=checkpoint, image_processor=linear)


def test_a_compiled_model_is_used_as_compiled(checkpoint: Path, clip_path: Path) -> None:
    model = VivitForVideoClassification.from_pretrained(checkpoint)
    processor = VivitImageProcessor.from_pretrained(checkpoint)
    passes: list[int] = []

    def backend(graph: torch.fx.GraphModule, _: Any) -> Callable[..., Any]:
        return lambda *inputs: passes.append(1) or graph(*inputs)  # type: ignore[func-returns-value]

    torch.compiler.reset()
    compiled: Any = torch.compile(model.train(), backend=backend)
    classify = pipeline(model=compiled, image_processor=processor, device="cpu")
    assert classify.model is compiled and not model.training and classify.device == torch.device("cpu")
    assert_same_predictions(classify(clip_path), pipeline(model=checkpoint)(clip_path))
    assert passes
    torch.compiler.reset()
