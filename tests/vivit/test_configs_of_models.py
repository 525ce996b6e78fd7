"""Each model has a config of its own, whose labels may be named and whose shape may not be changed."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from tests import oracle
from tests.vivit.checkpoint.folders import equal_tensors
from vivit import VivitConfig, VivitForVideoClassification, VivitModel
from vivit.checkpoint import open_checkpoint
from vivit.checkpoint.layout import published_tensors

pytestmark = pytest.mark.usefixtures("no_warning")
load = VivitForVideoClassification.from_pretrained


def test_a_models_config_lets_its_labels_be_named_and_its_shape_be(classifier: Path) -> None:
    ours = load(classifier)
    names = {k: f"action {k}" for k in range(7)}
    ours.config.id2label = names
    assert ours.config.label2id == {name: k for k, name in names.items()} and ours.num_labels == 7
    ours.config.label2id = {"other": 3}
    ours.config.problem_type = "multi_label_classification"
    labels = torch.eye(7)[:2]
    wanted = F.binary_cross_entropy_with_logits(ours(oracle.clip(ours.config)).logits, labels)
    torch.testing.assert_close(ours(oracle.clip(ours.config), labels=labels).loss, wanted, rtol=0, atol=0)
    for field, value in {"num_labels": 3, "num_frames": 4, "hidden_size": 70}.items():
        with pytest.raises(ValueError, match=f"{field} of a model's config cannot be set: its weights"):
            setattr(ours.config, field, value)
    with pytest.raises(ValueError, match=r"must name the 7 classes of the model .*num_labels=2"):
        ours.config.id2label = {0: "yes", 1: "no"}
    with pytest.raises(ValueError, match="clustering"):
        ours.config.problem_type = "clustering"
    assert ours.config.id2label == names and ours.config.num_frames == 8, "what was refused changed nothing"


COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "changed": lambda config: config.changed(),
}


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_of_a_models_config_is_free(how: str, classifier: Path) -> None:
    ours = load(classifier)
    free = COPIES[how](ours.config)
    assert free == ours.config and free is not ours.config
    free.num_labels = 3
    assert free.num_labels == 3 and ours.num_labels == len(ours.config.id2label) == 7


@pytest.mark.parametrize("how", ["deepcopy", "pickle"])
@pytest.mark.parametrize("kind", [VivitForVideoClassification, VivitModel])
def test_the_config_in_a_copy_of_a_model_is_settled(how: str, kind: Any, classifier: Path) -> None:
    ours = kind.from_pretrained(classifier)
    copied = COPIES[how](ours)
    assert copied.config is not ours.config and copied.base_model.embeddings.config is copied.config
    with pytest.raises(ValueError, match="num_frames of a model's config"):
        copied.config.num_frames = 4
    copied.config.problem_type = "regression"
    assert ours.config.problem_type is None
    equal_tensors(copied, {name: t for name, t in published_tensors(ours).items()})


def test_a_model_has_a_settled_copy_of_the_config_that_it_was_made_of() -> None:
    config = VivitConfig(**oracle.TINY)
    config.num_labels = 4
    first, second = VivitForVideoClassification(config), VivitForVideoClassification(config)
    assert first.config == config and first.config is first.vivit.config is first.vivit.embeddings.config
    with pytest.raises(ValueError, match="its weights were made for 4"):
        first.config.num_labels = 5
    first.config.id2label = dict(enumerate("abcd"))
    assert first.vivit.config.id2label[3] == "d" and second.config.id2label[3] == config.id2label[3] == "LABEL_3"
    config.num_labels = 5
    assert VivitForVideoClassification(config).classifier.out_features == 5


def test_models_of_one_checkpoint_have_configs_of_their_own(classifier: Path) -> None:
    checkpoint = open_checkpoint(classifier)
    first, second = (checkpoint.load(VivitForVideoClassification) for _ in range(2))
    first.config.id2label = dict(enumerate("abcdefg"))
    assert second.config.id2label == checkpoint.labels != first.config.id2label
