"""What is written and read of each of the four models, their config, and copies of them."""

import copy
import json
import pickle
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file
from torch import nn

import vivit.model
from tests import factorized, oracle
from tests.factorized_models import (
    FLOAT32,
    KINDS,
    NEW,
    ORDERED,
    TINY,
    config_of,
    load,
    logits_of,
    made,
    randomise,
    same,
)
from vivit import VivitConfig, VivitForVideoClassification, VivitModel
from vivit.checkpoint import open_checkpoint
from vivit.checkpoint.layout import published_tensors
from vivit.checkpoint.random_weights import RANDOM_CONFIGS
from vivit.config import ATTENTION_ORDERS
from vivit.errors import UserError
from vivit.hub import ASSETS
from vivit.names import FACTORIZATIONS


@pytest.mark.parametrize(("kind", "order"), ORDERED)
def test_written_and_read_and_written(tmp_path: Path, kind: str, order: str) -> None:
    model = made(kind, attention_order=order)
    model.save_pretrained(tmp_path / "first")
    again = load(tmp_path / "first", attn_implementation="eager")
    again.save_pretrained(tmp_path / "second")
    for file in ("model.safetensors", "config.json"):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()
    assert replace(again.config, extra={}) == model.config and torch.equal(logits_of(again), logits_of(model))
    tensors = load_file(tmp_path / "first" / "model.safetensors")
    assert tensors.keys() == names_on_disk(kind)
    of_file = {name.removeprefix("vivit."): tensor for name, tensor in tensors.items()}
    answer = factorized.answer(of_file, model.config, oracle.clip(model.config))
    same(logits_of(again), answer.logits, torch.float32, **FLOAT32)

    written = json.loads((tmp_path / "first" / "config.json").read_text())
    assert written.get("factorization") == (None if kind == "none" else kind)
    assert written["num_temporal_layers"] == 2, "which is not the usual, so that it is not lost"
    assert written.get("attention_order") == (order if kind == "self_attention" else None)


def names_on_disk(kind: str) -> set[str]:
    """The published names of a classifier's tensors."""

    def pairs(*stems: str) -> set[str]:
        return {f"{stem}.{part}" for stem in stems for part in ("weight", "bias")}

    def encoder(prefix: str, layers: int, attentions: tuple[str, ...], norms: tuple[str, ...]) -> set[str]:
        found = pairs(f"{prefix}layernorm")
        for layer in (f"{prefix}encoder.layer.{k}" for k in range(layers)):
            found |= pairs(
                *(f"{layer}.{norm}" for norm in norms), f"{layer}.intermediate.dense", f"{layer}.output.dense"
            )
            for attention in attentions:
                found |= pairs(*(f"{layer}.{attention}.attention.{part}" for part in ("query", "key", "value")))
                found |= pairs(f"{layer}.{attention}.output.dense")
        return found

    two, over_time = kind == "self_attention", ("layernorm_before", "layernorm_after")
    attentions = ("attention", "attention_time") if two else ("attention",)
    found = encoder("", 3, attentions, (*over_time, "layernorm_time") if two else over_time)
    found |= pairs("embeddings.patch_embeddings.projection") | {"embeddings.position_embeddings"}
    if kind in ("none", "encoder"):
        found |= {"embeddings.cls_token"}
    if kind == "encoder":
        found |= encoder("temporal.", 2, ("attention",), over_time)
        found |= {"temporal.cls_token", "temporal.position_embeddings"}
    return {f"vivit.{name}" for name in found} | pairs("classifier")


def test_the_embedded_checkpoint_of_model_1_is_written_as_it_is(tmp_path: Path) -> None:
    theirs = ASSETS / "vivit-mannequin"
    load("vivit-mannequin").save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").read_bytes() == (theirs / "model.safetensors").read_bytes()
    mine, wanted = (json.loads((where / "config.json").read_text()) for where in (tmp_path, theirs))
    assert mine == wanted | {"architectures": ["VivitForVideoClassification"], "dtype": "float32"}
    assert not {"factorization", "num_temporal_layers", "attention_order"} & mine.keys()


@pytest.mark.parametrize("frames", [12, 2])
@pytest.mark.parametrize("kind", NEW)
def test_transformers_refuses_what_it_would_misread(tmp_path: Path, kind: str, frames: int) -> None:
    made(kind, num_frames=frames).save_pretrained(tmp_path)
    with warnings.catch_warnings(), pytest.raises(RuntimeError, match="mismatch"):
        warnings.simplefilter("ignore")
        transformers.VivitForVideoClassification.from_pretrained(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("other", KINDS)
def test_a_checkpoint_of_another_model(kinds: dict[str, Path], kind: str, other: str) -> None:
    if kind == other:
        load(kinds[kind], factorization=other)
        return
    lacking = {
        *(name.removeprefix("vivit.") for name in names_on_disk(other) - names_on_disk(kind)),
        "embeddings.position_embeddings",
    }
    if {kind, other} == {"self_attention", "dot_product"}:
        lacking.remove("embeddings.position_embeddings")  # of one shape in both
    left_over = {name.removeprefix("vivit.") for name in names_on_disk(kind) - names_on_disk(other)}
    for ignore in (False, True):
        with pytest.raises(UserError) as caught:
            load(kinds[kind], factorization=other, ignore_mismatched_sizes=ignore)
        assert all(name in str(caught.value) for name in lacking | left_over)
        assert "does not fit" in str(caught.value).splitlines()[0]


def test_other_numbers_of_layers_over_time(kinds: dict[str, Path]) -> None:
    for layers, kind, name in (
        (3, "missing", "temporal.encoder.layer.2"),
        (1, "unexpected", "temporal.encoder.layer.1"),
    ):
        with pytest.raises(UserError, match=rf"16 {kind} \((vivit\.)?{name}"):
            load(kinds["encoder"], num_temporal_layers=layers, ignore_mismatched_sizes=True)


@pytest.mark.parametrize("kind", KINDS)
def test_copies_and_state_dicts(kind: str) -> None:
    model = made(kind)
    wanted = logits_of(model)
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(logits_of(copied), wanted) and copied.config == model.config
    own, published = model.state_dict(), published_tensors(model)
    states = {
        "own": own,
        "published": {name: tensor.clone() for name, tensor in published.items()},
        "a part compiled": {name.replace("layers.1.", "layers.1._orig_mod."): tensor for name, tensor in own.items()},
    }
    for name, state in states.items():
        other = randomise(VivitForVideoClassification(config_of(kind), attn_implementation="eager"), seed=1)
        assert not torch.equal(logits_of(other), wanted)
        if name == "published":
            state = {(key if key.startswith("classifier") else f"vivit.{key}"): t for key, t in state.items()}
        other.load_state_dict(state)
        assert torch.equal(logits_of(other), wanted), name


@pytest.mark.parametrize("wrapper", ["torch.compile", "DataParallel", "both"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_a_wrapped_model(tmp_path: Path, kinds: dict[str, Path], kind: str, wrapper: str) -> None:
    model = load(kinds[kind])
    wrapped: Any = model
    if wrapper != "DataParallel":
        wrapped = torch.compile(wrapped)
    if wrapper != "torch.compile":
        wrapped = nn.DataParallel(wrapped)
    assert all(name.startswith(("_orig_mod.", "module.")) for name in wrapped.state_dict())
    (tmp_path / "config.json").write_bytes((kinds[kind] / "config.json").read_bytes())
    torch.save(wrapped.state_dict(), tmp_path / "pytorch_model.bin")
    assert torch.equal(logits_of(load(tmp_path)), logits_of(model))


@pytest.mark.parametrize("kind", KINDS)
def test_8_bit_written_and_read(tmp_path: Path, kinds: dict[str, Path], kind: str) -> None:
    model = load(kinds[kind], load_in_8bit=True)
    model.save_pretrained(tmp_path / "first")
    again = load(tmp_path / "first")
    again.save_pretrained(tmp_path / "second")
    assert torch.equal(logits_of(again), logits_of(model))
    for file in ("model.safetensors", "config.json"):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()
    tensors = load_file(tmp_path / "first" / "model.safetensors")
    dense = {
        name for name in names_on_disk(kind) if ".layer." in name and name.endswith(".weight") and "norm" not in name
    }
    assert {name for name, tensor in tensors.items() if tensor.dtype == torch.int8} == dense
    assert {name for name in tensors if name.endswith("SCB")} == {name.removesuffix("weight") + "SCB" for name in dense}
    floating = load(tmp_path / "first", dtype="float32")
    # Weights are off by half of 1/127 of the largest in their row.
    torch.testing.assert_close(logits_of(floating), logits_of(load(kinds[kind])), rtol=0, atol=5e-2)


@pytest.mark.parametrize("kind", KINDS)
def test_random_checkpoints_by_name(kind: str) -> None:
    name = {"none": "vivit-b-16x2-random"}.get(kind, f"vivit-b-16x2-{kind.replace('_', '-')}-random")
    assert RANDOM_CONFIGS[name].factorization == kind and len(RANDOM_CONFIGS) == 4
    assert open_checkpoint(name).config == RANDOM_CONFIGS[name]


# The three fields of the config, and bad input


def test_the_fields_of_the_config() -> None:
    usual = VivitConfig()
    assert (usual.factorization, usual.num_temporal_layers, usual.attention_order) == ("none", 4, "time_space")
    assert not {"factorization", "num_temporal_layers", "attention_order"} & usual.to_dict().keys()
    for kind, order in ORDERED:
        config = config_of(kind, attention_order=order)
        assert VivitConfig.from_dict(config.to_dict()) == config
        assert VivitConfig.from_dict(json.loads(config.to_json_string())) == config
        assert VivitConfig.from_dict(config.to_diff_dict()) == config
        assert config.grid_size == (6, 3, 5) and config.has_cls == (kind in ("none", "encoder"))
        assert config.num_tokens == {"none": 91, "encoder": 96}.get(kind, 90)
    meaningful: dict[str, dict[str, Any]] = {
        "encoder": {"num_temporal_layers": 4},
        "self_attention": {"attention_order": "time_space"},
    }
    for kind in NEW:
        written = VivitConfig(factorization=kind).to_dict()
        assert written == usual.to_dict() | {"factorization": kind} | meaningful.get(kind, {})


NO_FACTORIZATION: list[Any] = ["", "model 2", "factorised", None, 3, True, ["encoder"], {}]
NO_ORDER: list[Any] = ["", "time", "time-space", None, 3, True, ["time", "space"], {}]
BAD: list[tuple[dict[str, Any], str]] = [
    *(({"num_temporal_layers": n}, "num_temporal_layers") for n in (0, -1, True, None, 2.0, "4", 10**9)),
    *(({"factorization": v}, "factorization") for v in NO_FACTORIZATION),
    *(({"attention_order": v}, "attention_order") for v in NO_ORDER),
    ({"factorization": "dot_product", "num_attention_heads": 3}, "num_attention_heads=3 must be even"),
    ({"factorization": "dot_product", "num_attention_heads": 1}, "num_attention_heads=1 must be even"),
]


@pytest.mark.parametrize(("values", "named"), BAD)
def test_what_cannot_be_is_named(tmp_path: Path, values: dict[str, Any], named: str) -> None:
    for call in (
        lambda: VivitConfig(**TINY | values),
        lambda: config_of("encoder").update(values),
        lambda: VivitConfig.from_dict(config_of("encoder").to_dict() | values),
        lambda: config_of("encoder").changed(**values),
    ):
        with pytest.raises(ValueError) as caught:
            call()
        assert named in str(caught.value) and len(str(caught.value).splitlines()) == 1
        assert all(repr(value) in str(caught.value) or name == "factorization" for name, value in values.items())
    made("encoder").save_pretrained(tmp_path)
    file = tmp_path / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))
    with pytest.raises(UserError, match="describes no model that can be made here"):
        load(tmp_path)


def test_the_known_are_listed() -> None:
    for name, known in (("factorization", FACTORIZATIONS), ("attention_order", ATTENTION_ORDERS)):
        unknown: dict[str, Any] = {name: "spacetime"}
        with pytest.raises(ValueError) as caught:
            VivitConfig(**unknown)
        assert "'spacetime'" in str(caught.value) and all(one in str(caught.value) for one in known)


@pytest.mark.parametrize("kind", KINDS)
def test_a_models_config_is_settled(kind: str) -> None:
    model = made(kind)
    for name, value in (
        ("factorization", "encoder" if kind != "encoder" else "none"),
        ("num_temporal_layers", 3),
        ("attention_order", "space_time"),
    ):
        before = getattr(model.config, name)
        with pytest.raises(ValueError, match=f"{name} of a model's config cannot be set"):
            setattr(model.config, name, value)
        assert getattr(model.config, name) == before
        setattr(model.config, name, before)
        free = copy.copy(model.config)
        setattr(free, name, value)
        assert getattr(free, name) == value and getattr(model.config, name) == before


def test_configs_pickled_before_there_was_a_choice() -> None:
    old = VivitConfig(**{name: value for name, value in TINY.items() if name != "num_temporal_layers"})
    for name in ("factorization", "num_temporal_layers", "attention_order"):
        del old.__dict__[name]
    config = pickle.loads(pickle.dumps(old))
    assert not {"factorization", "num_temporal_layers"} & config.__dict__.keys()
    assert (config.factorization, config.num_temporal_layers, config.attention_order) == ("none", 4, "time_space")
    assert config == VivitConfig.from_dict(config.to_dict()) and "factorization" not in config.to_dict()
    config.num_labels = 3
    model = randomise(VivitModel(config, attn_implementation="eager"))
    pixel_values = oracle.clip(config)
    with torch.no_grad():
        wanted = model(pixel_values).pooler_output
    for part in (*model.modules(), model.config):  # and so models, pickled whole
        for name in ("factorization", "num_temporal_layers", "attention_order", "axes", "has_cls"):
            part.__dict__.pop(name, None)
    with torch.no_grad():
        assert torch.equal(pickle.loads(pickle.dumps(model))(pixel_values).pooler_output, wanted)


def test_the_name_of_what_is_compiled_in_older_pickles() -> None:
    assert vivit.model.cls_features is vivit.model.head_features


@pytest.mark.parametrize("kind", ["encoder", "self_attention"])
def test_a_config_that_lost_its_factorization_is_told_so(tmp_path: Path, kind: str) -> None:
    made(kind).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({k: v for k, v in config.items() if k != "factorization"}))
    with pytest.raises(UserError, match=f"Some are those of factorization='{kind}': set it in that file"):
        load(tmp_path)
