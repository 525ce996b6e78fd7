"""The names by which transformers finds a class: each gives ours, from the same calls."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import transformers

import vivit
from tests import oracle
from tests.hub_client import ROOT, clean
from tests.vivit.checkpoint.folders import logits_agree
from vivit import (
    AutoConfig,
    AutoImageProcessor,
    AutoModel,
    AutoModelForVideoClassification,
    AutoVideoProcessor,
    VideoClassificationPipeline,
    VivitConfig,
    VivitForVideoClassification,
    VivitImageProcessor,
    VivitModel,
    VivitVideoProcessor,
    pipeline,
)


def test_every_public_name_is_there_and_transformers_has_it_too() -> None:
    for name in vivit.__all__:
        assert getattr(vivit, name).__module__.startswith("vivit."), name
        assert hasattr(transformers, name), name
    assert set(vivit.__all__) == set(vivit._ROOM)
    with pytest.raises(AttributeError, match="no attribute 'AutoTokenizer'"):
        _ = vivit.AutoTokenizer


def test_each_gives_ours(checkpoint: Path) -> None:
    model = AutoModelForVideoClassification.from_pretrained(checkpoint, attn_implementation="eager")
    assert type(model) is VivitForVideoClassification and model.attn_implementation == "eager"
    logits_agree(model, transformers.AutoModelForVideoClassification.from_pretrained(checkpoint))
    config = AutoConfig.from_pretrained(checkpoint, num_labels=3)
    assert type(config) is VivitConfig and config == VivitConfig.from_pretrained(checkpoint, num_labels=3)
    assert transformers.AutoConfig.from_pretrained(checkpoint, num_labels=3).num_labels == config.num_labels == 3
    processor = AutoImageProcessor.from_pretrained(checkpoint, do_normalize=False)
    assert type(processor) is VivitImageProcessor and processor.backend == "pil" and not processor.do_normalize
    video = AutoVideoProcessor.from_pretrained(checkpoint, do_normalize=False)
    assert type(video) is VivitVideoProcessor and video.backend == "torchvision" and not video.do_normalize
    assert (video.size, video.crop_size) == (processor.size, processor.crop_size)
    assert type(pipeline("video-classification", checkpoint)) is VideoClassificationPipeline


def test_the_bare_model_of_a_name_and_of_a_config(tmp_path: Path) -> None:
    theirs = oracle.save(tmp_path, "VivitModel")
    ours = AutoModel.from_pretrained(tmp_path, attn_implementation="eager")
    assert type(ours) is VivitModel and ours.attn_implementation == "eager" and not ours.training
    clip = oracle.clip(ours.config)
    with torch.no_grad():
        mine, wanted = (m(clip) for m in (ours, transformers.AutoModel.from_pretrained(tmp_path).eval()))
    for name in ("last_hidden_state", "pooler_output"):  # rounding in another order
        torch.testing.assert_close(mine[name], wanted[name], rtol=1e-5, atol=2e-6)
    made = AutoModel.from_config(ours.config, add_pooling_layer=False)
    assert type(made) is VivitModel and made.pooler is None and made.training
    wanted = transformers.AutoModel.from_config(theirs.config, add_pooling_layer=False)
    assert made.num_parameters() == wanted.num_parameters() < AutoModel.from_config(ours.config).num_parameters()


@pytest.mark.parametrize("auto", ["AutoModel", "AutoModelForVideoClassification"])
def test_a_model_of_a_config_may_be_of_another_dtype(auto: str) -> None:
    for options in ({}, {"dtype": torch.float16}, {"dtype": "bfloat16"}):
        ours = getattr(vivit, auto).from_config(VivitConfig(**oracle.TINY), **options)
        theirs = getattr(transformers, auto).from_config(transformers.VivitConfig(**oracle.TINY), **options)
        assert ours.dtype == theirs.dtype == next(ours.parameters()).dtype
    with pytest.raises(ValueError, match="float99"):
        getattr(vivit, auto).from_config(VivitConfig(**oracle.TINY), dtype="float99")


def test_a_model_of_a_config_is_random_and_in_training(checkpoint: Path) -> None:
    torch.manual_seed(0)
    model = AutoModelForVideoClassification.from_config(
        AutoConfig.from_pretrained(checkpoint), attn_implementation="eager"
    )
    theirs = transformers.AutoModelForVideoClassification.from_config(
        transformers.AutoConfig.from_pretrained(checkpoint)
    )
    assert model.training is theirs.training is True and model.attn_implementation == "eager"
    assert model.num_parameters() == theirs.num_parameters()
    torch.manual_seed(1)
    other = AutoModelForVideoClassification.from_config(VivitConfig(**oracle.TINY))
    assert not torch.equal(other.classifier.weight, model.classifier.weight)


def test_a_warning_points_at_whoever_asked_the_automatic_class(tmp_path: Path) -> None:
    oracle.save(tmp_path, "VivitModel")
    with pytest.warns(UserWarning, match="no classification head") as told:
        AutoModelForVideoClassification.from_pretrained(tmp_path)
    assert [w.filename for w in told] == [__file__]


def test_only_the_model_needs_torch() -> None:
    code = (
        "import sys, vivit\n"
        "vivit.AutoConfig, vivit.AutoImageProcessor, vivit.AutoVideoProcessor, vivit.AutoModelForVideoClassification\n"
        "vivit.AutoModel\n"
        "vivit.AutoImageProcessor.from_pretrained('vivit-mannequin'), vivit.AutoConfig.from_pretrained('vivit-mannequin')\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], env=clean(HF_HUB_OFFLINE="1"), cwd=ROOT, check=True)
