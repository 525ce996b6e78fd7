"""A head on the model whose features it was fitted to: written, read by transformers, and no trace in the model given."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from tests.factorized_models import made as made_factorized
from tests.oracle import TINY, randomise
from vivit.config import VivitConfig
from vivit.errors import UserError
from vivit.familiarity import load
from vivit.model import VivitForVideoClassification
from vivit.processing import VivitImageProcessor
from vivit.teach import fit_head
from vivit.timeline.trained import KEY as CLIP_SECONDS

PROCESSOR = VivitImageProcessor(size={"shortest_edge": 24}, crop_size={"height": 24, "width": 20})


def tiny(**changes: Any) -> VivitForVideoClassification:
    model = VivitForVideoClassification(VivitConfig(**TINY | changes))
    randomise(model)
    return model.eval()


def clips(
    model: VivitForVideoClassification, each: int = 4, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
    """Clips of two classes, which differ in how bright they are: pixel values, features and names."""
    chance = torch.Generator().manual_seed(seed)
    frames, channels = model.config.num_frames, model.config.num_channels
    pixel_values = torch.randn(2 * each, frames, channels, *model.config.clip_size[1:], generator=chance) / 4
    labels = ["dark", "bright"] * each
    pixel_values[1::2] += 0.5
    with torch.inference_mode():
        return pixel_values, model.features(pixel_values), labels


def test_a_written_head_answers_alike_here_and_in_transformers(tmp_path: Path) -> None:
    model = tiny()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    _, features, labels = clips(model)
    taught = fit_head(model, features, labels)
    taught.save(tmp_path / "taught", PROCESSOR, 3.2)
    assert model.config.num_labels == 7 and all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert taught.model.vivit is model.vivit, "the encoder is shared, not copied"
    assert taught.report.classes == {"dark": 4, "bright": 4} and taught.report.accuracy == 1.0

    theirs = transformers.VivitForVideoClassification.from_pretrained(tmp_path / "taught").eval()
    ours = VivitForVideoClassification.from_pretrained(tmp_path / "taught")
    assert theirs.config.id2label == {0: "dark", 1: "bright"} == ours.config.id2label
    new, _, names = clips(model, seed=1)
    with torch.inference_mode():
        want, got, now = theirs(new).logits, ours(new).logits, taught.model(new).logits
    torch.testing.assert_close(got, want, atol=1e-4, rtol=1e-4)  # two implementations in float32
    torch.testing.assert_close(now, got)
    assert [theirs.config.id2label[k] for k in want.argmax(1).tolist()] == names
    processor = transformers.AutoImageProcessor.from_pretrained(tmp_path / "taught")
    assert dict(processor.crop_size) == {"height": 24, "width": 20}
    assert json.loads((tmp_path / "taught" / "config.json").read_text())[CLIP_SECONDS] == 3.2


def test_what_is_outside_is_written_with_it(tmp_path: Path) -> None:
    model = tiny()
    pixel_values, features, labels = clips(model, each=10)
    taught = fit_head(model, features, labels)
    taught.save(tmp_path / "taught", PROCESSOR)
    familiarity = load(tmp_path / "taught")
    assert familiarity and taught.familiarity and taught.report.outside == pytest.approx(1 / 21)
    with torch.inference_mode():
        away = model.features(pixel_values[:1] * 0 + torch.linspace(-40, 40, 20))[0].numpy()
    known = [familiarity.is_familiar(one) for one in features.numpy()]
    assert np.mean(known) >= 0.9 and not familiarity.is_familiar(away)
    few = fit_head(model, features[:4], labels[:4])
    few.model.config = few.model.config.changed(
        extra={CLIP_SECONDS: 6.5}
    )  # the length of the clips that the given model was trained on
    few.save(tmp_path / "few", PROCESSOR)
    assert CLIP_SECONDS not in json.loads((tmp_path / "few" / "config.json").read_text())
    assert few.familiarity is None and few.report.outside is None and load(tmp_path / "few") is None


@pytest.mark.parametrize("factorization", ["encoder", "self_attention"])
def test_factorized_models_are_taught_alike(factorization: str, tmp_path: Path) -> None:
    model = made_factorized("VivitForVideoClassification", "sdpa", factorization=factorization)
    pixel_values, features, labels = clips(model)
    taught = fit_head(model, features, labels)
    height, width = model.config.clip_size[1:]
    taught.save(tmp_path, VivitImageProcessor(crop_size={"height": height, "width": width}))
    ours = VivitForVideoClassification.from_pretrained(tmp_path)
    with torch.inference_mode():
        torch.testing.assert_close(ours(pixel_values).logits, taught.model(pixel_values).logits)
        torch.testing.assert_close(ours.classifier(features), ours(pixel_values).logits, atol=1e-5, rtol=1e-5)


def test_a_head_for_several_labels_becomes_one_of_probabilities() -> None:
    model = tiny(problem_type="multi_label_classification")
    _, features, labels = clips(model)
    assert fit_head(model, features, labels).model.config.problem_type == "single_label_classification"


def test_what_cannot_be_fitted_is_a_sentence(tmp_path: Path) -> None:
    model = tiny()
    _, features, labels = clips(model)
    with pytest.raises(UserError, match=r"are \(8, 35\), not \(8, 34\)"):
        fit_head(model, features[:, 1:], labels)
    with pytest.raises(UserError, match="one class alone, 'dark'"):
        fit_head(model, features[::2], labels[::2])
    broken = features.clone()
    broken[3, 2] = torch.nan
    broken[5, 0] = torch.inf
    with pytest.raises(UserError, match="2 of 8 clips are infinite or no numbers"):
        fit_head(model, broken, labels)
    taught = fit_head(model, features.numpy(), tuple(labels))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(UserError, match="is not empty"):
        taught.save(tmp_path / "full", PROCESSOR)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is a file"):
        taught.save(tmp_path / "file", PROCESSOR)
