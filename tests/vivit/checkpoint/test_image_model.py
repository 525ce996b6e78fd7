"""VivitForVideoClassification.from_image_model, beside transformers' ViT on clips of one picture."""

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from tests import oracle
from tests.vivit.checkpoint.folders import memory_names
from vivit import VivitConfig, VivitForVideoClassification
from vivit.checkpoint.layout import published_tensors
from vivit.errors import UserError
from vivit.names import FACTORIZATIONS

# 3 × 5 patches of 8 × 4 pixels, none of it square; heads of an odd width, an even number of them for model 4.
TINY: dict[str, Any] = {
    "image_size": [24, 20],
    "patch_size": [8, 4],
    "hidden_size": 36,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 44,
}
SHAPE = {name: value for name, value in TINY.items() if name != "patch_size"} | {
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "num_labels": 7,
}


def save_vit(folder: Path, kind: str = "ViTModel", **changes: Any) -> Any:
    """Write a tiny random ViT with transformers, and return it in evaluation mode."""
    model = getattr(transformers, kind)(transformers.ViTConfig(**TINY | changes)).eval()
    oracle.randomise(model)
    model.save_pretrained(folder)
    return model


def config_of(factorization: str = "none", frames: int = 6, tubelet: int = 2, **changes: Any) -> VivitConfig:
    values = SHAPE | {"num_frames": frames, "tubelet_size": (tubelet, 8, 4), "num_temporal_layers": 2}
    return VivitConfig(**values | {"factorization": factorization} | changes)


def begin(folder: Path | str, config: VivitConfig, **options: Any) -> VivitForVideoClassification:
    """`from_image_model`, with eager attention unless told otherwise. Its one warning is that of every call."""
    options = {"attn_implementation": "eager"} | options
    with pytest.warns(UserWarning, match="classification head is new") as said:
        model = VivitForVideoClassification.from_image_model(folder, config, **options)
    assert len(said) == 1 and said[0].filename == __file__, "told by the line that asked for it"
    return model


def pictures(count: int = 2, height: int = 24, width: int = 20) -> Tensor:
    """(count, C, H, W)"""
    return torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(1))


def still(picture: Tensor, frames: int = 6) -> Tensor:
    """(B, C, H, W) → (B, frames, C, H, W), the same on each."""
    return picture[:, None].expand(-1, frames, -1, -1, -1)


def run_vit(vit: Any, picture: Tensor, cls: bool = True) -> list[Tensor]:
    """The embeddings, every layer's output, and the last one normalised, each (B, tokens, E). Args: cls: with [CLS]."""
    with torch.inference_mode():
        x = vit.embeddings(picture)
        found = [x if cls else x[:, 1:]]
        for layer in vit.layers:
            x = layer(found[-1])
            found.append(x if isinstance(x, Tensor) else x[0])
        found.append(vit.layernorm(found[-1]))
        if cls:
            torch.testing.assert_close(found[-1], vit(picture).last_hidden_state, **oracle.EXACT)
    return found


def every_state(model: VivitForVideoClassification, pixel_values: Tensor) -> list[Tensor]:
    with torch.inference_mode():
        found = model.vivit(pixel_values, output_hidden_states=True)
    return [*found.hidden_states, found.last_hidden_state]


def compare(ours: list[Tensor], theirs: list[Tensor]) -> None:
    assert len(ours) == len(theirs)
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(our, their, **oracle.EXACT)


@pytest.fixture(scope="module")
def vit_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vit")
    save_vit(folder)
    return folder


@pytest.fixture(scope="module")
def vit(vit_folder: Path) -> Any:
    return transformers.ViTModel.from_pretrained(vit_folder).eval()


@pytest.mark.parametrize("tubelets", ["central_frame", "average"])
def test_model_1_of_one_step_is_the_image_model(vit: Any, vit_folder: Path, tubelets: str) -> None:
    model = begin(vit_folder, config_of(frames=3, tubelet=3), tubelets=tubelets)
    assert not model.training
    compare(every_state(model, still(pictures(), 3)), run_vit(vit, pictures()))


@pytest.mark.parametrize("tubelets", ["central_frame", "average"])
def test_model_2_is_the_image_model_at_every_step(vit: Any, vit_folder: Path, tubelets: str) -> None:
    model = begin(vit_folder, config_of("encoder"), tubelets=tubelets)
    spatial = every_state(model, still(pictures()))[:4]  # (B, L, S, E) each
    theirs = [state[:, None].expand(-1, 3, -1, -1) for state in run_vit(vit, pictures())]
    with torch.inference_mode():
        compare([*spatial, model.vivit.layernorm(spatial[-1])], theirs)


def test_model_2_begins_as_the_mean_over_time(vit: Any, vit_folder: Path) -> None:
    model = begin(vit_folder, config_of("encoder"))
    seen = pictures(6)  # the middle pictures are those of frames 1, 3 and 5
    cls = run_vit(vit, seen[1::2])[-1][:, 0]
    normalised = F.layer_norm(cls, cls.shape[-1:], eps=1e-12)
    expected = F.layer_norm(normalised.mean(0, keepdim=True), cls.shape[-1:], eps=1e-12)
    with torch.inference_mode():
        torch.testing.assert_close(model.features(seen[None]), expected, **oracle.EXACT)
    embedded = every_state(model, seen[None])[4]
    assert embedded.std(-1).min() > 1e-3, (
        "at zero the gradient of a LayerNorm of epsilon 1e-12 is a million times too large"
    )


@pytest.mark.parametrize("order", ["time_space", "space_time"])
@pytest.mark.parametrize("tubelets", ["central_frame", "average"])
def test_model_3_is_the_image_model_without_cls(vit: Any, vit_folder: Path, tubelets: str, order: str) -> None:
    model = begin(vit_folder, config_of("self_attention", attention_order=order), tubelets=tubelets)
    theirs = [state.repeat(1, 3, 1) for state in run_vit(vit, pictures(), cls=False)]  # step by step, each the same
    compare(every_state(model, still(pictures())), theirs)


def test_model_3_looks_at_each_step_alone_at_first(vit: Any, vit_folder: Path) -> None:
    model = begin(vit_folder, config_of("self_attention"))
    seen = pictures(6)
    theirs = [state.flatten(0, 1)[None] for state in run_vit(vit, seen[1::2], cls=False)]
    compare(every_state(model, seen[None]), theirs)


def test_half_of_the_heads_of_model_4_are_the_image_models_over_space(tmp_path: Path) -> None:
    """Of a still clip all steps are alike, so over time every head gives its token's own value."""
    vit = save_vit(tmp_path)
    model = begin(tmp_path, config_of("dot_product"))
    x = run_vit(vit, pictures(), cls=False)[0]
    with torch.inference_mode():
        for layer in vit.layers:
            normed = layer.layernorm_before(x)
            attention = layer.attention
            query, key, value = (
                product(normed).unflatten(-1, (4, 9)).transpose(1, 2)
                for product in (attention.q_proj, attention.k_proj, attention.v_proj)
            )
            over_space = (query @ key.mT / 3).softmax(-1) @ value
            heads = torch.cat([value[:, :2], over_space[:, 2:]], dim=1).transpose(1, 2).flatten(2)
            x = x + attention.o_proj(heads)
            x = x + layer.mlp(layer.layernorm_after(x))
        expected = vit.layernorm(x).repeat(1, 3, 1)
    torch.testing.assert_close(every_state(model, still(pictures()))[-1], expected, **oracle.EXACT)


@pytest.mark.parametrize(("tubelet", "middle"), [(1, 0), (2, 1), (3, 1), (4, 2)])
@pytest.mark.parametrize("factorization", FACTORIZATIONS)
def test_of_a_tubelet_the_central_frame_counts(vit_folder: Path, factorization: str, tubelet: int, middle: int) -> None:
    model = begin(vit_folder, config_of(factorization, 2 * tubelet, tubelet))
    clip = pictures(2 * tubelet)[None]
    others = clip.clone()
    others[:, [k for k in range(2 * tubelet) if k % tubelet != middle]] = 7
    changed = clip.clone()
    changed[:, middle] = 7
    with torch.inference_mode():
        logits = model(clip).logits
        assert torch.equal(model(others).logits, logits) and not torch.allclose(model(changed).logits, logits)


def test_the_average_is_of_all_frames(vit: Any, vit_folder: Path) -> None:
    model = begin(vit_folder, config_of(frames=4, tubelet=4), tubelets="average")
    clip = pictures(4)
    compare(every_state(model, clip[None]), run_vit(vit, clip.mean(0, keepdim=True)))


@pytest.mark.parametrize("factorization", FACTORIZATIONS)
def test_positions_are_repeated_over_time(vit: Any, vit_folder: Path, factorization: str) -> None:
    tensors = published_tensors(begin(vit_folder, config_of(factorization)))
    stored = vit.embeddings.position_embeddings.data
    expected = {
        "none": torch.cat([stored[:, :1], stored[:, 1:], stored[:, 1:], stored[:, 1:]], dim=1),
        "encoder": stored,
    }.get(factorization, torch.cat([stored[:, 1:]] * 3, dim=1))
    assert torch.equal(tensors["embeddings.position_embeddings"], expected)
    assert ("embeddings.cls_token" in tensors) == (factorization in ("none", "encoder"))


@pytest.mark.parametrize("factorization", FACTORIZATIONS)
def test_another_image_size(vit: Any, vit_folder: Path, factorization: str) -> None:
    model = begin(vit_folder, config_of(factorization, image_size=(48, 12)))  # 6 × 3 patches
    grid = vit.embeddings.position_embeddings.data[:, 1:].unflatten(1, (3, 5)).movedim(-1, 1)
    resized = F.interpolate(grid, size=(6, 3), mode="bilinear", align_corners=False).flatten(2).mT
    found = published_tensors(model)["embeddings.position_embeddings"][:, -18:]
    torch.testing.assert_close(found, resized, rtol=0, atol=1e-6)
    assert torch.isfinite(model(still(pictures(1, 48, 12))).logits).all()


@pytest.mark.parametrize("factorization", FACTORIZATIONS)
def test_fresh_is_what_a_new_model_has(vit: Any, vit_folder: Path, factorization: str) -> None:
    config = config_of(factorization)
    torch.manual_seed(3)
    fresh = published_tensors(begin(vit_folder, config, temporal="fresh"))
    torch.manual_seed(3)
    new = published_tensors(VivitForVideoClassification(config))
    theirs = {f"encoder.layer.{k}.layernorm_before.weight" for k in range(3)}
    for name, tensor in fresh.items():
        over_time = name.startswith("temporal.") or "_time." in name
        assert not over_time or torch.equal(tensor, new[name]), name
    assert all(not torch.equal(fresh[name], new[name]) for name in theirs)
    torch.manual_seed(3)
    zero = published_tensors(begin(vit_folder, config))
    differ = {name for name, tensor in zero.items() if not torch.equal(tensor, fresh[name])}
    if factorization == "encoder":
        assert differ and all(name.startswith("temporal.") for name in differ)
    elif factorization == "self_attention":
        assert differ == {f"encoder.layer.{k}.attention_time.output.dense.weight" for k in range(3)}
        assert not any(zero[name].any() for name in differ)
    else:
        assert not differ


@pytest.mark.parametrize("factorization", FACTORIZATIONS)
def test_every_weight_is_trained_within_a_few_steps(vit_folder: Path, factorization: str) -> None:
    torch.manual_seed(0)
    model = begin(vit_folder, config_of(factorization)).train()
    before = {name: tensor.detach().clone() for name, tensor in model.named_parameters()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0)
    clip, labels = pictures(24).unflatten(0, (4, 6)), torch.arange(4)
    losses = []
    for _ in range(4):
        loss = model(clip, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert [n for n, p in model.named_parameters() if torch.equal(p, before[n])] == []


@pytest.mark.parametrize("where", ["head", "bin", "memory", "wrapped", "float16"])
def test_every_layout_of_a_vit(tmp_path: Path, vit_folder: Path, where: str) -> None:
    theirs = save_vit(tmp_path, "ViTForImageClassification", num_labels=5)
    file = tmp_path / "model.safetensors"
    tensors = load_file(file)
    if where != "head":
        file.unlink()
        if where != "bin":
            tensors = {k: v.half() for k, v in tensors.items()} if where == "float16" else memory_names(tensors)
        if where == "wrapped":
            tensors = {f"module.{name}": tensor for name, tensor in tensors.items()}
        torch.save(tensors, tmp_path / "pytorch_model.bin")
    if where == "memory":
        assert tensors.keys() == theirs.state_dict().keys()
    with pytest.warns(UserWarning, match=r"Not used of '.*': classifier\.bias, classifier\.weight\.$"):
        model = VivitForVideoClassification.from_image_model(tmp_path, config_of(frames=2))
    if where == "float16":
        theirs = theirs.half().float()
    compare(every_state(model, still(pictures(), 2)), run_vit(theirs.vit, pictures()))


def test_what_is_not_used_is_listed(vit_folder: Path) -> None:
    for factorization, more in (("encoder", ""), ("dot_product", r"embeddings\.cls_token, ")):
        with pytest.warns(UserWarning, match=rf"': {more}pooler\.dense\.bias, pooler\.dense\.weight\.$"):
            VivitForVideoClassification.from_image_model(vit_folder, config_of(factorization))


def test_a_repository_of_the_hub(tmp_path: Path, vit_folder: Path) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--tiny--vit"
    (repository / "snapshots").mkdir(parents=True)
    (repository / "snapshots" / commit).symlink_to(vit_folder)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    torch.manual_seed(0)
    found = begin("tiny/vit", config_of(), cache_dir=tmp_path, local_files_only=True)
    torch.manual_seed(0)
    compare([*found.state_dict().values()], [*begin(vit_folder, config_of()).state_dict().values()])


def test_backend_and_precision(vit_folder: Path) -> None:
    model = begin(vit_folder, config_of("encoder"), attn_implementation=None, dtype=torch.bfloat16, device="cpu")
    assert model.attn_implementation == "sdpa" and {p.dtype for p in model.parameters()} == {torch.bfloat16}
    assert model.config.id2label[6] == "LABEL_6"


def test_what_the_layers_were_trained_with_is_told(vit_folder: Path) -> None:
    config = config_of(hidden_act="gelu_fast", layer_norm_eps=1e-6)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        VivitForVideoClassification.from_image_model(vit_folder, config)
    texts = [str(warning.message) for warning in said]
    assert len(texts) == 3
    assert "hidden_act='gelu'" in texts[0] and "'gelu_fast'" in texts[0]
    assert "layer_norm_eps=1e-12" in texts[1] and "1e-06" in texts[1]


def refusal(folder: Path, config: VivitConfig) -> str:
    with pytest.raises(UserError) as caught:
        VivitForVideoClassification.from_image_model(folder, config)
    sentence = str(caught.value)
    assert sentence.endswith(".") and "\n" not in sentence
    return sentence


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hidden_size": 40}, ["hidden_size=36", "40"]),
        ({"num_hidden_layers": 2}, ["num_hidden_layers=3", "2"]),
        ({"num_attention_heads": 6}, ["num_attention_heads=4", "6"]),
        ({"intermediate_size": 45}, ["intermediate_size=44", "45"]),
        ({"num_channels": 1}, ["num_channels=3", "1"]),
        ({"qkv_bias": False}, ["qkv_bias=True", "False"]),
        ({"tubelet_size": (2, 8, 5)}, ["patch_size=[8, 4]", "(2, 8, 5)"]),
    ],
)
def test_another_shape_names_both_values(vit_folder: Path, changes: dict[str, Any], words: list[str]) -> None:
    sentence = refusal(vit_folder, config_of(**changes))
    assert all(word in sentence for word in words), sentence


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"model_type": "vivit"}, "a 'vivit' model, not a ViT"),
        ({"model_type": "deit"}, "a 'deit' model, not a ViT"),
        ({"model_type": None}, "does not say its type"),
        ({"image_size": "large"}, "image_size='large'"),
        ({"image_size": [24, 20, 3]}, "image_size=[24, 20, 3]"),
        ({"image_size": [4, 20]}, "image_size=[4, 20]"),
        ({"image_size": 10**12}, "image_size=1000000000000"),
        ({"image_size": 999_999}, "embeddings.position_embeddings is (1, 16, 36)"),
        ({"patch_size": None}, "patch_size=None"),
        ({"hidden_size": "wide"}, "hidden_size='wide'"),
    ],
)
def test_a_config_of_something_else(tmp_path: Path, vit_folder: Path, values: dict[str, Any], words: str) -> None:
    config = json.loads((vit_folder / "config.json").read_text()) | values
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").symlink_to(vit_folder / "model.safetensors")
    assert words in refusal(tmp_path, config_of())


def test_damaged_tensors(tmp_path: Path, vit_folder: Path) -> None:
    (tmp_path / "config.json").symlink_to(vit_folder / "config.json")
    whole = load_file(vit_folder / "model.safetensors")
    file = tmp_path / "model.safetensors"
    query = "encoder.layer.1.attention.attention.query.weight"
    cases = [
        ({n: t for n, t in whole.items() if n != query}, f"missing: {query}."),
        ({n: t for n, t in whole.items() if "layer.2" not in n}, "missing: encoder.layer.2."),
        ({n: t for n, t in whole.items() if "cls_token" not in n}, "missing: embeddings.cls_token."),
        (whole | {"encoder.layer.3.layernorm_before.bias": torch.zeros(36)}, "unexpected: encoder.layer.3."),
        (whole | {query: torch.zeros(36, 35)}, f"of another shape: {query} is (36, 35), not (36, 36)."),
        (
            whole | {"embeddings.patch_embeddings.projection.weight": torch.zeros(36, 3, 8, 8)},
            "is (36, 3, 8, 8), not (36, 3, 8, 4).",
        ),
        (whole | {"vit.layernorm.bias": torch.zeros(36)}, "there twice: layernorm.bias"),
    ]
    for tensors, words in cases:
        save_file(tensors, file)
        assert words in refusal(tmp_path, config_of()), words
    file.write_bytes((vit_folder / "model.safetensors").read_bytes()[:-100])
    assert "model.safetensors is damaged" in refusal(tmp_path, config_of())
    file.unlink()
    assert "has no model.safetensors" in refusal(tmp_path, config_of())
    assert "There is no folder" in refusal(tmp_path / "nowhere", config_of())


def test_what_cannot_be_asked_for(vit_folder: Path) -> None:
    for options, words in (
        ({"tubelets": "mean"}, "tubelets='mean' is unknown; known are central_frame, average"),
        ({"temporal": "none"}, "temporal='none' is unknown; known are zero, fresh"),
        ({"tublets": "average"}, "no option 'tublets', the nearest being 'tubelets'"),
        ({"attn_implementation": "sdap"}, "sdap"),
        ({"dtype": "float17"}, "float17"),
    ):
        with pytest.raises(ValueError, match=words):
            VivitForVideoClassification.from_image_model(vit_folder, config_of(), **options)
