"""Checkpoints of the original release: what the original code answers, other shapes, and what is no such checkpoint."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
import torch

from tests.oracle import Tolerance
from tests.vivit.checkpoint.flax_files import (
    SCENIC,
    Tree,
    bfloat16,
    chunked,
    model,
    packed,
    tree_of,
    write,
)
from tests.vivit.checkpoint.scenic_reading import CLIP, refused
from vivit import VivitConfig, VivitForVideoClassification
from vivit.checkpoint import scenic
from vivit.checkpoint.layout import published_tensors, read_into
from vivit.hub import kinetics400_labels, kinetics600_labels

MODELS = ("none", "encoder", "self_attention", "dot_product")


def loaded(path: Path, **clip: Any) -> VivitForVideoClassification:
    config, tensors = scenic.read(path, **clip)
    made = VivitForVideoClassification(config).eval()
    assert read_into(published_tensors(made), tensors) == []
    return made


def same_weights(one: VivitForVideoClassification, other: VivitForVideoClassification) -> None:
    assert one.config == other.config
    theirs = published_tensors(other)
    for name, tensor in published_tensors(one).items():
        assert torch.equal(tensor, theirs[name]), name


@pytest.mark.parametrize("name", MODELS)
def test_answers_are_those_of_the_original_code(name: str) -> None:
    made = loaded(SCENIC / f"{name}.msgpack", num_frames=8, image_size=32)
    assert made.config.factorization == name
    pixels = torch.from_numpy(np.load(SCENIC / "pixels.npy").astype(np.float32)).permute(0, 1, 4, 2, 3)
    wanted = torch.from_numpy(np.load(SCENIC / f"{name}.logits.npy"))
    with torch.inference_mode():
        logits = made(pixels).logits
    assert wanted.std() > 0.1
    # float32 of another library: sums in another order.
    torch.testing.assert_close(logits, wanted, atol=1e-5, rtol=0)


SHAPES: dict[str, dict[str, Any]] = {
    "as usual": {},
    "one head": {"num_attention_heads": 1},
    "heads wider than many": {"num_attention_heads": 12},
    "other tubelets": {"tubelet_size": (4, 4, 10)},
    "frames alone": {"tubelet_size": (1, 24, 20)},
    "one layer": {"num_hidden_layers": 1},
    "eleven layers": {"num_hidden_layers": 11},  # encoderblock_10 comes before encoderblock_2
    "other widths": {"hidden_size": 20, "intermediate_size": 12, "num_attention_heads": 10},
    "one class": {"num_labels": 1},
}


@pytest.mark.parametrize("changes", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("name", MODELS)
def test_other_shapes(tmp_path: Path, name: str, changes: dict[str, Any]) -> None:
    if name == "dot_product" and changes.get("num_attention_heads") == 1:
        changes = {"num_attention_heads": 4}
    if name == "encoder":
        changes = {"num_temporal_layers": 3} | changes
    if name == "self_attention":
        changes = {"attention_order": "space_time"} | changes
    theirs = model(factorization=name, **changes)
    file = write(tmp_path / "checkpoint", {"params": tree_of(theirs)})
    same_weights(loaded(file, **CLIP, attention_order="space_time"), theirs)


@pytest.mark.parametrize("temporal", [1, 4, 12])
def test_temporal_layers_are_counted(tmp_path: Path, temporal: int) -> None:
    theirs = model(factorization="encoder", num_temporal_layers=temporal)
    file = write(tmp_path / "checkpoint", {"params": tree_of(theirs)})
    assert loaded(file, **CLIP).config.num_temporal_layers == temporal


LAYOUTS: dict[str, Callable[[Tree], Tree]] = {
    "flax.optim": lambda tree: {"optimizer": {"target": tree, "state": {"step": 3}}, "global_step": 3},
    "flax.optim, variables": lambda tree: {"optimizer": {"target": {"params": tree}}},
    "params": lambda tree: {"global_step": 1, "opt_state": {"0": {"mu": {"a": packed(np.ones(3))}}}, "params": tree},
    "params and no optimizer": lambda tree: {"optimizer": None, "params": tree},
    "variables": lambda tree: {"params": {"params": tree}},
    "nothing else": lambda tree: tree,
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_layouts(tmp_path: Path, layout: Callable[[Tree], Tree]) -> None:
    theirs = model()
    same_weights(loaded(write(tmp_path / "checkpoint_7", layout(tree_of(theirs))), **CLIP), theirs)


def test_what_is_not_of_the_model_is_never_decoded(tmp_path: Path) -> None:
    theirs = model()
    state = {
        "moments": packed(np.ones((2, 2))),  # float64
        "one that lies": msgpack.ExtType(1, msgpack.packb(([10**6, 10**6], "float32", b"1234"))),
        "an object": msgpack.ExtType(42, b"os.system"),
        "things": [1, None, {"a": 2.5}, b"\0\1"],
    }
    tree = {"optimizer": {"target": tree_of(theirs), "state": state}}
    same_weights(loaded(write(tmp_path / "checkpoint", tree), **CLIP), theirs)


@pytest.mark.parametrize("size", [1, 7, 1000, 10**6])
def test_arrays_in_pieces(tmp_path: Path, size: int) -> None:
    theirs = model()
    tree = tree_of(theirs)
    tree["embedding"]["kernel"] = chunked(tree["embedding"]["kernel"], size if size > 1 else 13)
    tree["cls"] = chunked(tree["cls"], size)
    tree["cls"]["shape"] = list(theirs.vivit.embeddings.cls_token.shape)  # a shape is a list, or a map as in `chunked`
    same_weights(loaded(write(tmp_path / "checkpoint", {"params": tree}), **CLIP), theirs)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precisions_become_float32(tmp_path: Path, dtype: str) -> None:
    theirs = model()
    tree = tree_of(theirs)

    def half(tree: Tree) -> Tree:
        pack = bfloat16 if dtype == "bfloat16" else lambda array: packed(array.astype(np.float16))
        return {name: half(node) if isinstance(node, dict) else pack(node) for name, node in tree.items()}

    made = loaded(write(tmp_path / "checkpoint", {"params": half(tree)}), **CLIP)
    # bfloat16 has 8 significant bits, and was cut rather than rounded.
    tolerance: Tolerance = {"rtol": 2**-7 if dtype == "bfloat16" else 2**-10, "atol": 1e-6}
    mine, wanted = published_tensors(made), published_tensors(theirs)
    for name, tensor in mine.items():
        assert tensor.dtype == torch.float32
        torch.testing.assert_close(tensor, wanted[name], **tolerance)
    assert not torch.equal(mine["classifier.weight"], wanted["classifier.weight"])


@pytest.mark.parametrize(
    ("classes", "labels"),
    [
        (400, kinetics400_labels()),
        (600, kinetics600_labels()),
        (7, tuple(f"LABEL_{k}" for k in range(7))),
    ],
)
def test_classes_are_named_where_their_number_tells_which_they_are(
    tmp_path: Path, classes: int, labels: tuple[str, ...]
) -> None:
    config, _ = scenic.read(write(tmp_path / "checkpoint", {"params": tree_of(model(num_labels=classes))}), **CLIP)
    assert tuple(config.id2label.values()) == labels


def test_the_classes_of_kinetics_600() -> None:
    labels = kinetics600_labels()
    assert len(set(labels)) == 600 and list(labels) == sorted(labels)
    assert len(set(labels) & set(kinetics400_labels())) == 368  # as the data set's paper says of its overlap


# Clips that the positions are not for


@pytest.mark.parametrize(
    ("changes", "clip", "fits"),
    [
        ({}, {"num_frames": 16}, "--num-frames 8 or --num-frames 60 --image-size 8"),
        ({}, {"image_size": (48, 40)}, "--num-frames 2, --image-size 24 20 or --num-frames 60 --image-size 8"),
        ({"image_size": 40, "tubelet_size": (2, 8, 8)}, {"num_frames": 16, "image_size": 40}, "--num-frames 8, "),
        ({"image_size": 40, "tubelet_size": (2, 8, 8)}, {"image_size": 8}, ", --image-size 40, "),
        (
            {"image_size": (8, 4), "tubelet_size": (1, 8, 2)},
            {"num_frames": 3, "image_size": (8, 6)},
            "; --num-frames 4 ",
        ),
        ({"factorization": "dot_product"}, {"num_frames": 14}, "; --num-frames 8 or"),
        ({"factorization": "self_attention"}, {"num_frames": 22, "image_size": 56}, "; --num-frames 60 --image-size 8"),
        ({"factorization": "encoder"}, {"num_frames": 16}, "; --num-frames 8 would"),
        ({"factorization": "encoder"}, {"image_size": (48, 40)}, "; --image-size 24 20 would"),
        ({"factorization": "encoder"}, {"num_frames": 4, "image_size": 8}, "--num-frames 8 --image-size 24 20 would"),
    ],
    ids=str,
)
def test_a_clip_that_does_not_fit_is_told_one_that_does(
    tmp_path: Path, changes: dict[str, Any], clip: dict[str, Any], fits: str
) -> None:
    file = write(tmp_path / "checkpoint", {"params": tree_of(model(**changes))})
    said = str(refused(file, **clip))
    assert "positions in 'checkpoint' are for" in said and fits in said, said
    for choice in said.partition("; ")[2].removesuffix(" would fit.").replace(" or ", ", ").split(", "):
        frames, _, size = f"{choice} ".partition("--image-size ")
        asked = CLIP | clip
        if frames.strip():
            asked["num_frames"] = int(frames.split()[1])
        if size:
            sides = [int(n) for n in size.split()]
            asked["image_size"] = (sides[0], sides[-1])
        assert scenic.read(file, **asked)[0].num_frames == asked["num_frames"]


@pytest.mark.parametrize("clip", [{"num_frames": 9}, {"image_size": (24, 21)}, {"image_size": 25}])
def test_a_clip_of_no_whole_tubelets(tmp_path: Path, clip: dict[str, Any]) -> None:
    said = str(refused(write(tmp_path / "checkpoint", {"params": tree_of(model())}), **clip))
    assert "2 × 8 × 4 (frames × height × width)" in said


@pytest.mark.parametrize("clip", [{"num_frames": 0}, {"image_size": -1}, {"attention_order": "space"}])
def test_an_impossible_clip_is_named(clip: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(clip))):
        scenic.read(SCENIC / "none.msgpack", **CLIP | clip)


# Other models, and parts that are not there


def set_in(tree: Tree, path: str, value: Any) -> None:
    *parts, last = path.split("/")
    for part in parts:
        tree = tree[part]
    if value is None:
        del tree[last]
    else:
        tree[last] = value


BLOCK, ATTENTION = "Transformer/encoderblock_1", "MultiHeadDotProductAttention_0"
FIRST = f"Transformer/encoderblock_0/{ATTENTION}"
FAULTS: dict[str, tuple[dict[str, Any], dict[str, Any], list[str]]] = {
    # what the model is, what is changed in its tree, what is said
    "missing": ({}, {f"{BLOCK}/LayerNorm_0/bias": None}, [f"1 missing ({BLOCK}/LayerNorm_0/bias)"]),
    "unexpected": ({}, {"Transformer/extra": np.ones(3, "f")}, ["1 unexpected (Transformer/extra)"]),
    "pre_logits": ({}, {"pre_logits": {"kernel": np.ones((24, 24), "f")}}, ["1 unexpected (pre_logits/kernel)"]),
    "of another shape": (
        {},
        {f"{BLOCK}/{ATTENTION}/key/kernel": np.ones((24, 4, 6), "f")},
        [f"1 of another shape ({BLOCK}/{ATTENTION}/key/kernel is (24, 4, 6), not (24, 2, 12))"],
    ),
    "several": (
        {},
        {"cls": np.ones((1, 24), "f"), f"{BLOCK}/LayerNorm_0": None, "Transformer/x": np.ones(1, "f")},
        ["2 missing (", ", …)", "1 unexpected (Transformer/x)", "1 of another shape (cls is (1, 24), not (1, 1, 24))"],
    ),
    "a gap": ({"num_hidden_layers": 3}, {BLOCK: None}, ["16 missing (", "16 unexpected (Transformer/encoderblock_2/"]),
    "no head": ({}, {"output_projection": None}, ["missing (output_projection/kernel, …)"]),
    "no first layer": ({}, {"Transformer/encoderblock_0": None}, ["missing (Transformer/encoderblock_0/"]),
    "no layers": ({}, {"Transformer": {"encoder_norm": {}}}, ["missing (Transformer/encoderblock_0/"]),
    "no transformer": ({}, {"Transformer": np.ones(3, "f")}, ["missing (Transformer/encoderblock_0/"]),
    "no positions": ({}, {"Transformer/posembed_input": None}, ["missing (Transformer/posembed_input/pos_embedding"]),
    "no embedding": ({}, {"embedding": None}, ["of another model", "Transformer"]),
    "pictures": ({}, {"embedding/kernel": np.ones((8, 4, 3, 24), "f")}, ["(8, 4, 3, 24)", "(t, h, w, C, E)"]),
    "one channel": ({}, {"embedding/kernel": np.ones((2, 8, 4, 1, 24), "f")}, ["1 channel", "red, green and blue"]),
    "two heads": (
        {},
        {"output_projection": None, "output_projection_noun": np.ones(3), "output_projection_verb": np.ones(3)},
        ["2 heads (output_projection_noun, output_projection_verb)", "Epic Kitchens"],
    ),
    "Epic Kitchens": ({"num_labels": 397}, {}, ["two heads of Epic Kitchens", "300 nouns and 97 verbs"]),
    "flat query": ({}, {f"{FIRST}/query/kernel": np.ones((24, 24), "f")}, ["(24, 24)", "(E, A, D)"]),
    "heads that do not divide": ({}, {f"{FIRST}/query/kernel": np.ones((24, 7, 3), "f")}, ["num_attention_heads=7"]),
    "[CLS] in model 3": (
        {"factorization": "self_attention"},
        {"cls": np.ones((1, 1, 24), "f")},
        ["1 unexpected (cls)"],
    ),
    "one head in model 4": (
        {"factorization": "none", "num_attention_heads": 1},
        {"cls": None, "Transformer/posembed_input/pos_embedding": np.ones((1, 60, 24), "f")},
        ["num_attention_heads=1 must be even"],
    ),
    "model 2 by the mean": (
        {"factorization": "encoder"},
        {"cls_SpatialTransformer": None, "cls_TemporalTransformer": None},
        ["without [CLS]", "pools by the mean", "classifier='token'"],
    ),
    "model 2, half a [CLS]": (
        {"factorization": "encoder"},
        {"cls_TemporalTransformer": None},
        ["1 missing (cls_TemporalTransformer)"],
    ),
    "space alone": ({"factorization": "encoder"}, {"TemporalTransformer": None}, ["no TemporalTransformer"]),
    "no temporal layers": (
        {"factorization": "encoder", "num_temporal_layers": 1},
        {"TemporalTransformer/encoderblock_0": None},
        ["num_temporal_layers", "not 0"],
    ),
    "other temporal heads": (
        {"factorization": "encoder", "num_temporal_layers": 1},
        {f"TemporalTransformer/encoderblock_0/{ATTENTION}/query/kernel": np.ones((24, 4, 6), "f")},
        ["1 of another shape (TemporalTransformer", "(24, 4, 6), not (24, 2, 12)"],
    ),
    "float64": ({}, {"output_projection/bias": np.ones(7)}, ["output_projection/bias", "'float64'", "bfloat16"]),
    "whole numbers": ({}, {"cls": np.ones((1, 1, 24), np.int32)}, ["cls", "'int32'"]),
    "a dtype that imports": ({}, {"cls": packed(np.ones(2), "os.system('true')")}, ["cls", "os.system"]),
    "a number": ({}, {"cls": 3}, ["cls", "no array of numbers"]),
    "a list": ({}, {"cls": [1.0, 2.0]}, ["cls", "no array of numbers"]),
    "a complex number": ({}, {"cls": msgpack.ExtType(2, msgpack.packb((1.0, 2.0)))}, ["cls", "no array of numbers"]),
    "an object": ({}, {"cls": msgpack.ExtType(7, b"cos\nsystem\n")}, ["cls", "no array of numbers"]),
    "an enormous shape": (
        {},
        {"cls": msgpack.ExtType(1, msgpack.packb(([10**6] * 8, "float32", b"1234")))},
        ["cls", "no array of numbers"],
    ),
    "a negative shape": (
        {},
        {"cls": msgpack.ExtType(1, msgpack.packb(([-1, -1, 24], "float32", bytes(96))))},
        ["cls", "no array of numbers"],
    ),
    "a shape of words": (
        {},
        {"cls": msgpack.ExtType(1, msgpack.packb((["a"], "float32", bytes(96))))},
        ["cls", "no array of numbers"],
    ),
    "too few bytes": (
        {},
        {"cls": msgpack.ExtType(1, msgpack.packb(([1, 1, 24], "float32", bytes(95))))},
        ["cls", "no array of numbers"],
    ),
    "bytes of its neighbours": (
        {},
        {"cls": msgpack.ExtType(1, msgpack.packb(([1, 1, 24], "float32", bytes(96)))[:-50])},
        ["cls", "no array of numbers"],
    ),
    "no bytes at all": ({}, {"cls": msgpack.ExtType(1, msgpack.packb(([1, 1, 24],)))}, ["cls", "no array of numbers"]),
    "an empty extension": ({}, {"cls": msgpack.ExtType(1, b"")}, ["cls", "no array of numbers"]),
    "pieces that lie": (
        {},
        {"cls": chunked(np.ones((1, 1, 24), "f"), 5) | {"shape": {"0": 10**9}}},
        ["cls", "no array"],
    ),
    "pieces without shape": ({}, {"cls": {"__msgpack_chunked_array__": True, "chunks": {}}}, ["cls", "no array"]),
    "pieces that are lost": (
        {},
        {"cls": chunked(np.ones((1, 1, 24), "f"), 5) | {"chunks": {"0": packed(np.ones(24, "f")), "7": 3}}},
        ["cls", "no array"],
    ),
}


@pytest.mark.parametrize(("shape", "changes", "words"), FAULTS.values(), ids=FAULTS)
def test_what_does_not_fit_is_told(
    tmp_path: Path, shape: dict[str, Any], changes: dict[str, Any], words: list[str]
) -> None:
    tree = tree_of(model(**shape))
    for path, value in changes.items():
        set_in(tree, path, value)
    file = write(tmp_path / "checkpoint", {"params": tree})
    said = str(refused(file)).partition("\n")[0]
    assert "'checkpoint'" in said and all(word in said for word in words), said


def test_everything_that_does_not_fit_is_in_the_details(tmp_path: Path) -> None:
    tree = tree_of(model())
    set_in(tree, f"{BLOCK}/LayerNorm_0", None)
    tree["Transformer"]["x"] = np.ones(1, "f")
    error = refused(write(tmp_path / "checkpoint", {"params": tree}))
    assert error.details.splitlines() == [
        f"missing: {BLOCK}/LayerNorm_0/scale",
        f"missing: {BLOCK}/LayerNorm_0/bias",
        "unexpected: Transformer/x",
    ]


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"params": {"bert": {"embeddings": {"word": np.ones(3, "f")}}, "pooler": {}}}, ["parts are bert, pooler"]),
        ({"params": {}}, ["no parameters"]),
        ({}, ["no parameters"]),
        ({"optimizer": {"target": 3}}, ["of another model", "optimizer"]),
        ({"a": 1}, ["of another model: its parts are a,"]),
    ],
    ids=str,
)
def test_other_models(tmp_path: Path, tree: Tree, words: list[str]) -> None:
    said = str(refused(write(tmp_path / "checkpoint", tree)))
    assert all(word in said for word in words), said


def test_the_config_is_that_of_the_original(tmp_path: Path) -> None:
    """What the tensors do not say."""
    config, _ = scenic.read(write(tmp_path / "checkpoint", {"params": tree_of(model())}), **CLIP)
    assert config == VivitConfig(
        **CLIP,
        tubelet_size=(2, 8, 4),
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=44,
        num_labels=7,
    )
    assert (config.hidden_act, config.layer_norm_eps, config.qkv_bias) == ("gelu_fast", 1e-6, True)
    assert config.hidden_dropout_prob == config.attention_probs_dropout_prob == 0
