"""Checkpoints: names, files and faults, against what transformers writes and reads."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import nn

import vivit
from tests import oracle
from tests.vivit.checkpoint.folders import faults, logits_agree, memory_names, rewrite, tensors_of
from vivit import VivitConfig, VivitForVideoClassification, VivitModel
from vivit.checkpoint import open_checkpoint
from vivit.checkpoint.layout import published_name, published_tensors
from vivit.errors import UserError


def test_transformers_writes_the_published_names(tmp_path: Path) -> None:
    """If a newer transformers changes what it writes, this fails before everything else puzzles."""
    oracle.save(tmp_path, num_hidden_layers=1)
    linear = ["attention.attention.query", "attention.attention.key", "attention.attention.value"]
    linear += ["attention.output.dense", "intermediate.dense", "output.dense", "layernorm_before", "layernorm_after"]
    parts = [f"vivit.encoder.layer.0.{name}" for name in linear]
    parts += ["vivit.embeddings.patch_embeddings.projection", "vivit.layernorm", "classifier"]
    wanted = {f"{part}.{kind}" for part in parts for kind in ("weight", "bias")}
    wanted |= {"vivit.embeddings.cls_token", "vivit.embeddings.position_embeddings"}
    assert set(tensors_of(tmp_path)) == wanted


@pytest.mark.parametrize("kind", ["VivitForVideoClassification", "VivitModel"])
def test_every_name_in_memory_has_its_name_on_disk(tmp_path: Path, kind: str) -> None:
    theirs = oracle.save(tmp_path, kind)
    on_disk = tensors_of(tmp_path)
    in_memory = {published_name(name): tensor for name, tensor in theirs.state_dict().items()}
    assert in_memory.keys() == {name.removeprefix("vivit.") for name in on_disk}
    for name, tensor in on_disk.items():
        assert published_name(name) == name.removeprefix("vivit.")
        assert torch.equal(in_memory[name.removeprefix("vivit.")], tensor), name
    assert memory_names(on_disk).keys() == theirs.state_dict().keys()


@pytest.mark.parametrize("kind", ["VivitForVideoClassification", "VivitModel"])
@pytest.mark.parametrize("qkv_bias", [True, False])
def test_both_layouts_load(tmp_path: Path, kind: str, qkv_bias: bool) -> None:
    oracle.save(tmp_path, kind, qkv_bias=qkv_bias)
    on_disk = tensors_of(tmp_path)
    ours = getattr(vivit, kind)
    for tensors in (on_disk, memory_names(on_disk)):
        rewrite(tmp_path, tensors)
        loaded = published_tensors(ours.from_pretrained(tmp_path))
        assert loaded.keys() == {name.removeprefix("vivit.") for name in on_disk}
        for name, tensor in on_disk.items():
            assert torch.equal(loaded[name.removeprefix("vivit.")], tensor), name


@pytest.mark.parametrize("kind", ["VivitForVideoClassification", "VivitModel"])
def test_our_files_are_theirs(tmp_path: Path, kind: str) -> None:
    theirs = oracle.save(tmp_path / "theirs", kind)
    ours = getattr(vivit, kind)
    ours.from_pretrained(tmp_path / "theirs").save_pretrained(tmp_path / "ours")
    written, wanted = tensors_of(tmp_path / "ours"), tensors_of(tmp_path / "theirs")
    assert written.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert torch.equal(written[name], tensor) and written[name].dtype == tensor.dtype, name
    back, report = getattr(transformers, kind).from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(report[fault] for fault in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    for name, tensor in back.state_dict().items():
        assert torch.equal(tensor, theirs.state_dict()[name]), name


def test_a_model_made_here_is_read_by_transformers(tmp_path: Path) -> None:
    torch.manual_seed(0)
    ours = VivitForVideoClassification(VivitConfig(**oracle.TINY)).eval()
    oracle.randomise(ours)
    ours.save_pretrained(tmp_path)
    logits_agree(ours, transformers.VivitForVideoClassification.from_pretrained(tmp_path))


def test_half_precision_files_stay_half(tmp_path: Path) -> None:
    oracle.save(tmp_path)
    VivitForVideoClassification.from_pretrained(tmp_path, dtype="bfloat16").save_pretrained(tmp_path / "half")
    assert {t.dtype for t in tensors_of(tmp_path / "half").values()} == {torch.bfloat16}
    back = transformers.VivitForVideoClassification.from_pretrained(tmp_path / "half", dtype=torch.bfloat16)
    logits_agree(VivitForVideoClassification.from_pretrained(tmp_path / "half", dtype="float32"), back.float().eval())


@pytest.mark.parametrize(
    ("precision", "saved"),
    [("float32", "float32"), ("float16", "float16"), ("bfloat16", "bfloat16"), ("float16-weights", "float32")],
)
def test_the_config_says_what_holds_every_saved_tensor(tmp_path: Path, precision: str, saved: str) -> None:
    oracle.save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    stale = {"dtype": "float64", "torch_dtype": "float64", "architectures": ["VivitModel"], "my_own_key": 3}
    (tmp_path / "config.json").write_text(json.dumps(config | stale))
    ours = VivitForVideoClassification.from_pretrained(tmp_path, dtype=precision)
    ours.save_pretrained(tmp_path / "again")
    written = json.loads((tmp_path / "again" / "config.json").read_text())
    assert written["dtype"] == saved and "torch_dtype" not in written and written["my_own_key"] == 3
    assert written["architectures"] == ["VivitForVideoClassification"]
    theirs = transformers.VivitForVideoClassification.from_pretrained(tmp_path / "again")
    assert theirs.dtype == getattr(torch, saved)
    kept = {published_name(name): tensor for name, tensor in theirs.state_dict().items()}
    for name, tensor in published_tensors(ours).items():
        assert torch.equal(kept[name], tensor.to(theirs.dtype)), name
    assert VivitForVideoClassification.from_pretrained(tmp_path / "again").dtype == torch.float32


def test_views_are_the_models_memory() -> None:
    model: Any = VivitForVideoClassification(VivitConfig(**oracle.TINY))
    with torch.no_grad():
        for k, view in enumerate(published_tensors(model).values()):
            view.fill_(k + 1)
    assert all((p != 0).all() for p in model.parameters())
    weight = model.vivit.layers[0].attention.qkv.weight
    assert len({weight[n * 35, 0].item() for n in range(3)}) == 3, "query, key and value are three parts"


# Faults of fit


def test_missing_extra_and_misshapen_tensors_are_all_listed(tmp_path: Path) -> None:
    oracle.save(tmp_path)
    tensors = tensors_of(tmp_path)
    del tensors["vivit.encoder.layer.1.attention.attention.key.bias"]
    del tensors["vivit.layernorm.weight"]
    tensors["vivit.encoder.layer.9.output.dense.bias"] = torch.zeros(3)
    tensors["vivit.embeddings.position_embeddings"] = torch.zeros(1, 5, 35)
    rewrite(tmp_path, tensors)
    message = faults(tmp_path)
    assert "2 missing" in message and "1 unexpected" in message and "1 of another shape" in message
    for name in (
        "encoder.layer.1.attention.attention.key.bias",
        "layernorm.weight",
        "encoder.layer.9.output.dense.bias",
    ):
        assert name in message
    assert "(1, 5, 35)" in message and "(1, 61, 35)" in message


@pytest.mark.parametrize("change", [{"num_hidden_layers": 2}, {"num_hidden_layers": 4}, {"intermediate_size": 45}])
def test_a_config_of_another_model_does_not_fit(tmp_path: Path, change: dict[str, int]) -> None:
    oracle.save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    assert "config.json" in faults(tmp_path)


def test_bias_where_the_config_has_none(tmp_path: Path) -> None:
    oracle.save(tmp_path)
    assert "9 unexpected" in faults(tmp_path, qkv_bias=False)


@pytest.mark.parametrize("kind", [VivitForVideoClassification, VivitModel])
@pytest.mark.parametrize(
    "name", ["classifier.foo", "classifier.dense.weight", "pooler.foo", "pooler.dense.bias", "vivit.pooler.foo"]
)
def test_what_is_no_whole_head_or_pooler_is_unexpected(tmp_path: Path, kind: Any, name: str) -> None:
    oracle.save(tmp_path)
    rewrite(tmp_path, tensors_of(tmp_path) | {name: torch.zeros(3)})
    message = faults(tmp_path, kind)
    assert name in message and ("1 unexpected" in message or name == "pooler.dense.bias")


def test_half_a_head_is_unexpected_in_a_bare_model(tmp_path: Path) -> None:
    oracle.save(tmp_path)
    tensors = tensors_of(tmp_path)
    del tensors["classifier.bias"]
    rewrite(tmp_path, tensors)
    assert "unexpected: classifier.weight" in faults(tmp_path, VivitModel)


def test_a_whole_pooler_is_dropped_by_a_classifier(tmp_path: Path) -> None:
    theirs = oracle.save(tmp_path)
    pooler = {"vivit.pooler.dense.weight": torch.zeros(35, 35), "vivit.pooler.dense.bias": torch.zeros(35)}
    rewrite(tmp_path, tensors_of(tmp_path) | pooler)
    logits_agree(VivitForVideoClassification.from_pretrained(tmp_path), theirs)


@pytest.mark.parametrize("layout", ["another layout", "another prefix"])
def test_a_tensor_under_two_names_is_a_fault(tmp_path: Path, layout: str) -> None:
    oracle.save(tmp_path)
    tensors = tensors_of(tmp_path)
    name = "vivit.encoder.layer.1.intermediate.dense.bias"
    [other] = memory_names({name: tensors[name]}) if layout == "another layout" else [name.removeprefix("vivit.")]
    rewrite(tmp_path, tensors | {other: torch.zeros(44)})
    message = faults(tmp_path)
    assert "1 there twice" in message and name in message and other in message.replace(name, "")


@pytest.mark.parametrize("part", ["pooler", "head"])
@pytest.mark.parametrize("ignore", [False, True])
def test_a_part_that_is_there_twice_is_never_settled(tmp_path: Path, part: str, ignore: bool) -> None:
    """A pooler is dropped by a classifier, and a head of another size replaced, but not where two names contradict."""
    oracle.save(tmp_path)
    if part == "pooler":
        names = {"pooler.dense.weight": (35, 35), "pooler.dense.bias": (35,)}
    else:
        names = {"classifier.weight": (3, 35), "classifier.bias": (3,)}
    tensors = {n: t for n, t in tensors_of(tmp_path).items() if "classifier" not in n or part == "pooler"}
    both = {prefix + n: torch.zeros(shape) for n, shape in names.items() for prefix in ("", "vivit.")}
    rewrite(tmp_path, tensors | both)
    message = faults(tmp_path, ignore_mismatched_sizes=ignore)
    assert "2 there twice" in message and "ignore_mismatched_sizes" not in message


@pytest.mark.parametrize("ignore", [False, True])
def test_a_fault_outside_the_head_is_never_ignored(tmp_path: Path, ignore: bool) -> None:
    oracle.save(tmp_path)
    tensors = tensors_of(tmp_path)
    del tensors["vivit.layernorm.weight"]
    tensors["classifier.weight"] = torch.zeros(2, 35)
    rewrite(tmp_path, tensors)
    message = faults(tmp_path, ignore_mismatched_sizes=ignore)
    assert "layernorm.weight" in message and "ignore_mismatched_sizes" not in message


@pytest.mark.parametrize("num_labels", [1, 3, 12])
def test_a_head_of_another_size_needs_the_callers_word(tmp_path: Path, num_labels: int) -> None:
    theirs = oracle.save(tmp_path)
    message = faults(tmp_path, num_labels=num_labels)
    assert "classifier.weight" in message and f"({num_labels}, 35)" in message and "(7, 35)" in message
    assert "ignore_mismatched_sizes=True" in message
    torch.manual_seed(3)
    with pytest.warns(UserWarning, match=f"does not fit {num_labels} classes"):
        ours = VivitForVideoClassification.from_pretrained(
            tmp_path, num_labels=num_labels, ignore_mismatched_sizes=True
        )
    assert ours.classifier.weight.shape == (num_labels, 35) and len(ours.config.id2label) == num_labels
    assert 0 < ours.classifier.weight.abs().max() < 6 * ours.config.initializer_range
    assert not ours.classifier.bias.any()
    pixel_values = oracle.clip(theirs.config)
    with torch.inference_mode():
        wanted = theirs.vivit(pixel_values).last_hidden_state
        torch.testing.assert_close(ours.vivit(pixel_values).last_hidden_state, wanted, **oracle.EXACT)


def test_ignoring_sizes_changes_nothing_where_they_fit(tmp_path: Path) -> None:
    theirs = oracle.save(tmp_path)
    logits_agree(VivitForVideoClassification.from_pretrained(tmp_path, ignore_mismatched_sizes=True), theirs)


def test_a_head_of_another_size_in_half_precision(tmp_path: Path) -> None:
    oracle.save(tmp_path)
    options = {"num_labels": 3, "ignore_mismatched_sizes": True}
    with pytest.warns(UserWarning, match="does not fit 3 classes"):
        ours = VivitForVideoClassification.from_pretrained(tmp_path, dtype="float16-weights", **options)
    assert ours.classifier.weight.dtype == torch.float16 and ours.classifier.weight.isfinite().all()


@pytest.mark.parametrize("options", [{}, {"num_labels": 5}, {"num_labels": 5, "ignore_mismatched_sizes": True}])
def test_a_classifier_from_a_bare_model(tmp_path: Path, options: dict[str, Any]) -> None:
    theirs = oracle.save(tmp_path, "VivitModel")
    with pytest.warns(UserWarning, match="no classification head"):
        ours = VivitForVideoClassification.from_pretrained(tmp_path, **options)
    assert ours.classifier.out_features == options.get("num_labels", 7)
    pixel_values = oracle.clip(theirs.config)
    with torch.inference_mode():
        wanted = theirs(pixel_values).last_hidden_state
        torch.testing.assert_close(ours.vivit(pixel_values).last_hidden_state, wanted, **oracle.EXACT)


def test_a_bare_model_that_is_opened_to_answer_is_refused(tmp_path: Path) -> None:
    oracle.save(tmp_path, "VivitModel")
    with pytest.raises(UserError) as caught:
        open_checkpoint(tmp_path).load(VivitForVideoClassification)
    first, _, rest = str(caught.value).partition("\n")
    assert f"'{tmp_path.name}' is a ViViT without a classification head" in first and first.endswith(".")
    assert "ignore_mismatched_sizes" not in first
    assert "classifier.weight" in rest and "ignore_mismatched_sizes=True" in rest


def test_a_bare_model_from_a_classifier_has_no_pooler(tmp_path: Path) -> None:
    theirs = oracle.save(tmp_path)
    ours = VivitModel.from_pretrained(tmp_path)
    pixel_values = oracle.clip(theirs.config)
    with torch.inference_mode():
        mine, wanted = ours(pixel_values), theirs.vivit(pixel_values)
    assert ours.pooler is None and mine.pooler_output is None
    torch.testing.assert_close(mine.last_hidden_state, wanted.last_hidden_state, **oracle.EXACT)


def test_half_a_pooler_is_a_fault(tmp_path: Path) -> None:
    oracle.save(tmp_path, "VivitModel")
    tensors = tensors_of(tmp_path)
    del tensors["pooler.dense.bias"]
    rewrite(tmp_path, tensors)
    assert "pooler.dense.bias" in faults(tmp_path, VivitModel)


def test_a_misshapen_pooler_is_a_fault(tmp_path: Path) -> None:
    oracle.save(tmp_path, "VivitModel")
    assert "pooler.dense.weight" in faults(tmp_path, VivitModel, pooler_output_size=4)


def test_models_without_a_pooler_save_none(tmp_path: Path) -> None:
    VivitModel(VivitConfig(**oracle.TINY), add_pooling_layer=False).save_pretrained(tmp_path)
    assert not [name for name in tensors_of(tmp_path) if "pooler" in name]
    assert VivitModel.from_pretrained(tmp_path).pooler is None


# What from_pretrained returns


def test_a_loaded_model_is_ready_to_answer_and_to_learn(tmp_path: Path) -> None:
    oracle.save(tmp_path, hidden_dropout_prob=0.5)
    ours = VivitForVideoClassification.from_pretrained(tmp_path, attn_implementation="eager")
    assert not any(module.training for module in ours.modules())
    assert ours.attn_implementation == ours.vivit.attn_implementation == "eager"
    assert all(p.requires_grad and p.is_leaf and p.isfinite().all() for p in ours.parameters())
    assert {p.device.type for p in ours.parameters()} == {"cpu"}


def test_loading_leaves_the_callers_random_numbers_alone(tmp_path: Path) -> None:
    oracle.save(tmp_path)
    torch.manual_seed(0)
    wanted = torch.rand(3)
    torch.manual_seed(0)
    VivitForVideoClassification.from_pretrained(tmp_path)
    assert torch.equal(torch.rand(3), wanted)


def test_a_config_given_is_used_instead(tmp_path: Path) -> None:
    theirs = oracle.save(tmp_path)
    config = VivitConfig.from_pretrained(tmp_path, id2label={k: f"name {k}" for k in range(7)})
    ours = VivitForVideoClassification.from_pretrained(tmp_path, config=config)
    assert ours.config.id2label[3] == "name 3"
    logits_agree(ours, theirs)
    with pytest.raises(ValueError, match=r"num_labels would be ignored"):
        VivitForVideoClassification.from_pretrained(tmp_path, config=config, num_labels=3)


@pytest.mark.parametrize("options", [{}, {"dtype": "float16"}, {"dtype": torch.float16}])
def test_the_older_spelling_of_dtype(tmp_path: Path, options: dict[str, Any]) -> None:
    oracle.save(tmp_path)
    load = VivitForVideoClassification.from_pretrained
    assert load(tmp_path, torch_dtype=torch.float16, **options).dtype == torch.float16
    with pytest.raises(ValueError, match=r"dtype=float32 and torch_dtype=float16 contradict"):
        load(tmp_path, dtype="float32", torch_dtype="float16")


def test_state_survives_a_round_trip_through_training(tmp_path: Path) -> None:
    oracle.save(tmp_path)
    ours = VivitForVideoClassification.from_pretrained(tmp_path)
    optimiser = torch.optim.SGD(ours.parameters(), lr=0.1)
    ours(oracle.clip(ours.config), labels=torch.tensor([1, 2])).loss.backward()
    optimiser.step()
    ours.save_pretrained(tmp_path / "trained")
    again = VivitForVideoClassification.from_pretrained(tmp_path / "trained")
    before = dict(VivitForVideoClassification.from_pretrained(tmp_path).named_parameters())
    for name, parameter in again.named_parameters():
        assert torch.equal(parameter, ours.get_parameter(name)), name
    assert any(not torch.equal(p, before[name]) for name, p in again.named_parameters())
    assert isinstance(again.classifier, nn.Linear)


# Names that other tools put something before


@pytest.mark.parametrize("kind", ["VivitForVideoClassification", "VivitModel"])
@pytest.mark.parametrize("layout", [dict, memory_names])
@pytest.mark.parametrize(
    "prefix",
    [
        "module.",
        "_orig_mod.",
        "module._orig_mod.",
        "_orig_mod.module.",
        "module.module.",
        "_orig_mod._orig_mod.",
        "_fsdp_wrapped_module.",
    ],
)
def test_names_of_wrapped_models_load(tmp_path: Path, prefix: str, layout: Any, kind: str) -> None:
    oracle.save(tmp_path, kind)
    ours = getattr(vivit, kind)
    wanted = published_tensors(ours.from_pretrained(tmp_path))
    rewrite(tmp_path, {f"{prefix}{name}": tensor for name, tensor in layout(tensors_of(tmp_path)).items()})
    loaded = published_tensors(ours.from_pretrained(tmp_path))
    assert loaded.keys() == wanted.keys() and all(torch.equal(loaded[name], wanted[name]) for name in wanted)


def test_parts_that_were_compiled_alone_load(tmp_path: Path) -> None:
    """As `model.vivit = torch.compile(model.vivit)` and a compiled layer name them, and DataParallel around both."""
    theirs = oracle.save(tmp_path)
    inside = {
        f"module.{name.replace('vivit.', 'vivit._orig_mod.').replace('layer.1.', 'layer.1._orig_mod.')}": tensor
        for name, tensor in tensors_of(tmp_path).items()
    }
    assert any("layer.1._orig_mod." in name for name in inside)
    rewrite(tmp_path, inside)
    logits_agree(VivitForVideoClassification.from_pretrained(tmp_path, attn_implementation="eager"), theirs)


def test_what_compile_and_data_parallel_write_loads(tmp_path: Path) -> None:
    theirs = oracle.save(tmp_path)
    compiled: Any = torch.compile(theirs)
    wrapped: Any = torch.compile(nn.DataParallel(compiled))
    assert next(iter(wrapped.state_dict())).startswith("_orig_mod.module._orig_mod.")
    (tmp_path / "model.safetensors").unlink()
    torch.save(wrapped.state_dict(), tmp_path / "pytorch_model.bin")
    logits_agree(VivitForVideoClassification.from_pretrained(tmp_path, attn_implementation="eager"), theirs)


def test_two_names_for_one_tensor_are_both_told(tmp_path: Path) -> None:
    oracle.save(tmp_path)
    tensors = tensors_of(tmp_path)
    rewrite(tmp_path, tensors | {"module.classifier.bias": tensors["classifier.bias"].clone()})
    said = faults(tmp_path)
    assert "1 there twice" in said and "classifier.bias and module.classifier.bias" in said
