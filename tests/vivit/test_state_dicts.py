"""State dicts that are loaded, and what a user adds to a model and how it is written."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor, nn

import vivit
from tests import oracle
from tests.vivit.checkpoint.folders import HEAD, equal_tensors, logits_agree, memory_names, rewrite, tensors_of
from vivit import VivitConfig, VivitForVideoClassification, VivitModel
from vivit.checkpoint.layout import published_name, published_tensors
from vivit.errors import UserError

pytestmark = pytest.mark.usefixtures("no_warning")
load = VivitForVideoClassification.from_pretrained


@pytest.mark.parametrize("layout", [dict, memory_names], ids=["transformers 4", "transformers 5"])
@pytest.mark.parametrize("kind", ["VivitForVideoClassification", "VivitModel"])
@pytest.mark.parametrize("options", [{}, {"assign": True}, {"strict": False}], ids=str)
def test_a_state_dict_of_transformers_loads_whole(
    layout: Any, kind: str, options: dict[str, Any], tmp_path: Path
) -> None:
    theirs = oracle.save(tmp_path, kind)
    state = layout(tensors_of(tmp_path))
    assert layout is dict or state.keys() == theirs.state_dict().keys()
    ours = getattr(vivit, kind)(VivitConfig.from_pretrained(tmp_path)).eval()
    before = list(state)
    told = ours.load_state_dict(state, **options)
    assert not told.missing_keys and not told.unexpected_keys and list(state) == before
    equal_tensors(ours, tensors_of(tmp_path))
    pixels = oracle.clip(theirs.config)
    with torch.inference_mode():
        field = "logits" if kind == "VivitForVideoClassification" else "pooler_output"
        torch.testing.assert_close(getattr(ours(pixels), field), getattr(theirs(pixels), field), **oracle.EXACT)


def test_a_state_dict_of_ones_own_goes_round(classifier: Path) -> None:
    ours, again = load(classifier), VivitForVideoClassification(VivitConfig.from_pretrained(classifier))
    again.load_state_dict(ours.state_dict())
    for name, tensor in ours.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name


LAYER = "vivit.encoder.layer.1."
FAULTS: dict[str, tuple[Callable[[dict[str, Tensor]], Any], set[str], set[str]]] = {
    "a tensor too many": (lambda s: s.update({"vivit.foo": torch.zeros(1)}), set(), {"vivit.foo"}),
    "a tensor too few": (lambda s: s.pop("classifier.bias"), {"classifier.bias"}, set()),
    "a third of query, key and value": (
        lambda s: s.pop(f"{LAYER}attention.attention.key.weight"),
        {"vivit.layers.1.attention.qkv.weight"},
        {f"{LAYER}attention.attention.{part}.weight" for part in ("query", "value")},
    ),
    "parts of other shapes": (
        lambda s: s.update({f"{LAYER}attention.attention.key.weight": torch.zeros(35, 3)}),
        {"vivit.layers.1.attention.qkv.weight"},
        {f"{LAYER}attention.attention.{part}.weight" for part in ("query", "key", "value")},
    ),
    "a pooler": (lambda s: s.update({"vivit.pooler.dense.bias": torch.zeros(35)}), set(), {"vivit.pooler.dense.bias"}),
    "two names for one": (
        lambda s: s.update({"vivit.layers.1.mlp.fc1.bias": torch.zeros(44)}),
        set(),
        {"vivit.layers.1.mlp.fc1.bias"},
    ),
    "two names for a key": (
        lambda s: s.update({"vivit.layers.1.attention.k_proj.bias": torch.zeros(35)}),
        set(),
        {"vivit.layers.1.attention.k_proj.bias"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_what_does_not_fit_in_a_state_dict_is_told_by_the_names_it_has(fault: str, classifier: Path) -> None:
    change, missing, unexpected = FAULTS[fault]
    state = tensors_of(classifier)
    change(state)
    with pytest.raises(RuntimeError) as caught:
        load(classifier).load_state_dict(state)
    assert all(f'"{name}"' in str(caught.value) for name in missing | unexpected)
    ours = VivitForVideoClassification(VivitConfig.from_pretrained(classifier))
    told = ours.load_state_dict(state, strict=False)
    assert (set(told.missing_keys), set(told.unexpected_keys)) == (missing, unexpected)
    kept = {published_name(name) for name in missing}
    for name, tensor in published_tensors(ours).items():
        if not (name in kept or (missing and "layer.1.attention.attention" in name)):
            on_disk = name if name in HEAD else f"vivit.{name}"
            assert torch.equal(tensor, tensors_of(classifier)[on_disk]), name


def test_a_tensor_of_another_shape_in_a_state_dict_is_told(classifier: Path) -> None:
    state = tensors_of(classifier) | {f"{LAYER}intermediate.dense.bias": torch.zeros(3)}
    for strict in (True, False):
        with pytest.raises(RuntimeError, match=r"layers\.1\.intermediate\.bias.*\[3\].*\[44\]"):
            load(classifier).load_state_dict(state, strict=strict)


# What a user adds to a model, and how it is written


class Derived(VivitForVideoClassification):
    """As users of transformers write them."""

    scale: Tensor
    steps: Tensor

    def __init__(self, config: VivitConfig) -> None:
        super().__init__(config)
        self.projection = nn.Linear(config.hidden_size, 4)
        self.register_buffer("scale", torch.full((2,), 3.0))
        self.register_buffer("steps", torch.arange(5), persistent=False)
        self.post_init()


def test_a_derived_class_loads_and_its_own_layers_are_new(classifier: Path, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"has no projection\.bias, projection\.weight, scale: this model's are new"):
        model = Derived.from_pretrained(classifier, attn_implementation="eager")
    assert model.attn_implementation == "eager" and not model.training
    theirs = transformers.VivitForVideoClassification.from_pretrained(classifier)
    equal_tensors(model, dict(theirs.named_parameters()), but=("projection.weight", "projection.bias", "scale"))
    assert 0.01 < model.projection.weight.std() < 0.03 and torch.equal(model.projection.bias, torch.zeros(4))
    assert model.scale.tolist() == [3, 3] and model.steps.tolist() == [0, 1, 2, 3, 4]
    with torch.no_grad():
        model.projection.weight.fill_(7)
    model.save_pretrained(tmp_path)
    written = tensors_of(tmp_path)
    assert {"projection.weight", "projection.bias", "scale", "classifier.weight"} < set(written)
    assert all(
        name.startswith("vivit.") for name in written if name.split(".")[0] not in ("projection", "scale", "classifier")
    )
    again = Derived.from_pretrained(tmp_path)  # without a warning
    assert torch.equal(again.projection.weight, torch.full((4, 35), 7.0))
    with pytest.raises(UserError, match="3 unexpected"):
        load(tmp_path)


def test_parts_that_were_replaced_are_written_by_their_names(classifier: Path, tmp_path: Path) -> None:
    model: Any = load(classifier)
    model.classifier = nn.Sequential(nn.Dropout(0.1), nn.Linear(35, 7))
    model.vivit.pooler = nn.Identity()
    model.save_pretrained(tmp_path)
    assert {name for name in tensors_of(tmp_path) if not name.startswith("vivit.")} == {
        "classifier.1.weight",
        "classifier.1.bias",
    }
    model.layernorm = nn.LayerNorm(3)  # as that of the transformer is called
    with pytest.raises(ValueError, match=r"'layernorm\.weight' another name"):
        model.save_pretrained(tmp_path)


@pytest.mark.parametrize("kind", [VivitForVideoClassification, VivitModel])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod."])
def test_a_state_dict_of_ours_is_a_checkpoint_too(kind: Any, prefix: str, headless: Path, tmp_path: Path) -> None:
    """As transformers' Trainer writes it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = kind.from_pretrained(headless)
    rewrite(tmp_path, {prefix + name: tensor for name, tensor in model.state_dict().items()})
    model.config.save_pretrained(tmp_path)
    again = kind.from_pretrained(tmp_path)
    for (name, mine), read in zip(model.named_parameters(), again.parameters(), strict=True):
        assert torch.equal(mine, read), name


def test_a_state_dict_of_ours_that_does_not_fit_is_told(classifier: Path, tmp_path: Path) -> None:
    state = load(classifier).state_dict()
    state["vivit.layers.0.attention.qkv.weight"] = torch.zeros(100, 35)
    state["vivit.layers.1.attention.qkv.bias"] = torch.tensor(1.0)
    state["vivit.embeddings.projection.weight"] = torch.zeros(35, 7)
    rewrite(tmp_path, state)
    load(classifier).config.save_pretrained(tmp_path)
    with pytest.raises(UserError, match="6 missing") as caught:
        load(tmp_path)
    assert "projection.weight is (35, 7)" in caught.value.details


@pytest.mark.parametrize(
    "options",
    [
        {"safe_serialization": True, "push_to_hub": False, "max_shard_size": "5GB"},
        {"is_main_process": True, "save_function": print},
    ],
)
def test_saving_takes_the_options_that_ask_for_what_is_done(
    options: dict[str, Any], classifier: Path, tmp_path: Path
) -> None:
    model = load(classifier)
    model.save_pretrained(save_directory=tmp_path, **options)
    logits_agree(load(tmp_path), model)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"safe_serialization": False}, "only safe_serialization=True"),
        ({"push_to_hub": True}, "only push_to_hub=False"),
        ({"max_shards": 1}, "no option 'max_shards', the nearest being 'max_shard_size'"),
        ({"state_dict": {}}, "state_dict lacks"),
    ],
)
def test_saving_refuses_what_is_not_done(option: dict[str, Any], said: str, classifier: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=said):
        load(classifier).save_pretrained(tmp_path / "new", **option)
    assert not (tmp_path / "new").exists()


def test_a_gathered_state_dict_is_written_in_place_of_the_models_own(classifier: Path, tmp_path: Path) -> None:
    model = load(classifier)
    model.save_pretrained(tmp_path, state_dict={name: tensor + 1 for name, tensor in model.state_dict().items()})
    for name, tensor in tensors_of(classifier).items():
        assert torch.equal(tensors_of(tmp_path)[name], tensor + 1), name
    model.save_pretrained(tmp_path / "other", is_main_process=False)
    assert not (tmp_path / "other").exists()
