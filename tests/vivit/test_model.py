"""The model against transformers with the same weights: every output and every gradient, in float32 on the CPU."""

import weakref
from pathlib import Path
from typing import Any, cast

import pytest
import torch
import torch._dynamo
import transformers
from torch import Tensor

import vivit
from tests import oracle
from tests.vivit.model_pairs import assert_close, assert_same_gradients, both
from vivit.checkpoint.layout import published_name, published_tensors
from vivit.config import ACTIVATIONS

SHAPES: dict[str, dict[str, Any]] = {
    "odd": {},
    "square": {"image_size": 16, "tubelet_size": [2, 8, 8], "hidden_size": 32, "num_attention_heads": 4},
    "one-layer-one-head": {"num_hidden_layers": 1, "num_attention_heads": 1, "hidden_size": 9},
    "thin-tubelets": {"image_size": [12, 18], "num_frames": 3, "tubelet_size": [1, 4, 6], "num_channels": 1},
    "one-tubelet": {"image_size": [8, 4], "num_frames": 2},
    "no-qkv-bias": {"qkv_bias": False},
    "epsilon": {"layer_norm_eps": 1e-2},
    "pooler": {"pooler_output_size": 11, "pooler_act": "gelu"},
    **{act: {"hidden_act": act} for act in ACTIVATIONS if act != "gelu_fast"},
}


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_output_and_gradient(tmp_path: Path, shape: str, attention: str) -> None:
    ours, theirs = both(tmp_path, attention, **SHAPES[shape])
    pixel_values = oracle.clip(theirs.config, batch=3)
    labels = torch.tensor([0, 6, 2])
    options = {"labels": labels, "output_hidden_states": True, "output_attentions": attention == "eager"}
    mine, wanted = ours(pixel_values, **options), theirs(pixel_values, **options)
    assert_close(mine.logits, wanted.logits, "logits")
    assert_close(mine.loss, wanted.loss, "loss")
    assert len(mine.hidden_states) == len(wanted.hidden_states) == ours.config.num_hidden_layers + 1
    for k, (a, b) in enumerate(zip(mine.hidden_states, wanted.hidden_states, strict=True)):
        assert_close(a, b, f"hidden state {k}")
    if attention == "eager":
        assert len(mine.attentions) == ours.config.num_hidden_layers
        for k, (a, b) in enumerate(zip(mine.attentions, wanted.attentions, strict=True)):
            assert_close(a, b, f"attention {k}")
    else:
        assert mine.attentions is None
    mine.loss.backward()
    wanted.loss.backward()
    assert_same_gradients(ours, theirs)


@pytest.mark.parametrize("attention", ["eager", "sdpa", "sdpa-math"])
@pytest.mark.parametrize("shape", SHAPES)
def test_where_nothing_else_is_asked_for_the_last_layer_is_of_cls_alone(
    tmp_path: Path, shape: str, attention: str
) -> None:
    """Answers and every gradient are those of an oracle that computes the whole layer."""
    ours, theirs = both(tmp_path, "eager", **SHAPES[shape])
    ours.set_attn_implementation(attention)
    tokens: list[int] = []
    for layer in ours.vivit.layers:
        layer.output.register_forward_hook(lambda module, inputs, output: tokens.append(output.shape[1]))
    pixel_values = oracle.clip(theirs.config, batch=3)
    options = {"labels": torch.tensor([0, 6, 2])}
    mine, wanted = ours(pixel_values, **options), theirs(pixel_values, **options)
    assert tokens == [ours.config.num_tokens] * (ours.config.num_hidden_layers - 1) + [1]
    assert_close(mine.logits, wanted.logits, "logits")
    mine.loss.backward()
    wanted.loss.backward()
    assert_same_gradients(ours, theirs)


@pytest.mark.parametrize("asked", ["output_hidden_states", "output_attentions"])
@pytest.mark.parametrize("by_config", [False, True])
def test_who_asks_for_more_gets_it_of_every_token(tmp_path: Path, asked: str, by_config: bool) -> None:
    ours, theirs = both(tmp_path, "eager")
    pixel_values, tokens = oracle.clip(theirs.config), ours.config.num_tokens
    if by_config:
        setattr(ours.config, asked, True)
    found = ours(pixel_values) if by_config else ours(pixel_values, **{asked: True})
    last = found.hidden_states[-1] if asked == "output_hidden_states" else found.attentions[-1]
    assert last.shape[-2] == tokens
    assert_close(found.logits, theirs(pixel_values).logits, "logits")
    bare = ours.vivit(pixel_values)
    assert bare.last_hidden_state.shape[1] == tokens
    assert_close(
        ours.vivit(pixel_values, cls_only=not by_config).last_hidden_state[:, 0], bare.last_hidden_state[:, 0], "[CLS]"
    )


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("shape", SHAPES)
def test_bare_model_with_pooler(tmp_path: Path, shape: str, attention: str) -> None:
    ours, theirs = both(tmp_path, attention, "VivitModel", **SHAPES[shape])
    pixel_values = oracle.clip(theirs.config)
    mine, wanted = ours(pixel_values), theirs(pixel_values)
    assert_close(mine.last_hidden_state, wanted.last_hidden_state, "last_hidden_state")
    assert_close(mine.pooler_output, wanted.pooler_output, "pooler_output")
    assert mine.hidden_states is None and mine.attentions is None
    for output in (mine, wanted):
        (output.pooler_output.square().sum() + output.last_hidden_state.square().mean()).backward()
    assert_same_gradients(ours, theirs)


@pytest.mark.parametrize(
    ("num_labels", "labels"),
    [
        pytest.param(1, torch.tensor([0.25, -3.0]), id="regression"),
        pytest.param(1, torch.tensor([[0.25], [-3.0]]), id="regression, a column"),
        pytest.param(7, torch.tensor([[1.0, 0, 0, 1, 0, 0, 1], [0, 0, 0.5, 0, 0, 0, 0]]), id="several labels"),
        pytest.param(7, torch.tensor([6, 0]), id="one label"),
        pytest.param(7, torch.tensor([[6], [0]]), id="one label, a column"),
        pytest.param(7, torch.tensor([-100, 0]), id="one label, one ignored"),
    ],
)
def test_losses(tmp_path: Path, num_labels: int, labels: Tensor) -> None:
    ours, theirs = both(tmp_path, "sdpa", num_labels=num_labels)
    pixel_values = oracle.clip(theirs.config)
    mine, wanted = ours(pixel_values, labels=labels).loss, theirs(pixel_values, labels=labels).loss
    assert mine.shape == ()
    assert_close(mine, wanted, "loss")
    mine.backward()
    wanted.backward()
    assert_same_gradients(ours, theirs)


def test_problem_type_of_the_config_decides_the_loss(tmp_path: Path) -> None:
    ours, theirs = both(tmp_path, "sdpa", problem_type="regression")
    pixel_values, labels = oracle.clip(theirs.config), torch.linspace(-1, 1, 14).view(2, 7)
    assert_close(ours(pixel_values, labels=labels).loss, theirs(pixel_values, labels=labels).loss, "loss")


def test_features_are_what_the_head_sees(tmp_path: Path) -> None:
    ours, theirs = both(tmp_path, "sdpa")
    pixel_values = oracle.clip(theirs.config)
    with torch.inference_mode():
        features = ours.features(pixel_values)
        assert_close(features, theirs.vivit(pixel_values).last_hidden_state[:, 0], "[CLS]")
        assert torch.equal(ours.classifier(features), ours(pixel_values).logits)
        longer = torch.cat([pixel_values, pixel_values], 1)
        with pytest.raises(ValueError, match="interpolate_pos_encoding"):
            ours.features(longer)
        features = ours.features(longer, interpolate_pos_encoding=True)
        assert torch.equal(ours.classifier(features), ours(longer, interpolate_pos_encoding=True).logits)


def test_results_do_not_depend_on_the_rest_of_the_batch(tmp_path: Path) -> None:
    ours, theirs = both(tmp_path, "sdpa")
    pixel_values = oracle.clip(theirs.config, batch=3)
    with torch.inference_mode():
        alone = torch.cat([ours(one[None]).logits for one in pixel_values])
        assert_close(ours(pixel_values).logits, alone, "logits")


@pytest.mark.parametrize("maps", [False, True])
def test_dropout_in_training_is_the_oracles(tmp_path: Path, maps: bool) -> None:
    """The same seed draws the same masks in the same order, so even these results agree; maps are those after dropout."""
    ours, theirs = both(tmp_path, "eager", hidden_dropout_prob=0.3, attention_probs_dropout_prob=0.4)
    pixel_values, labels = oracle.clip(theirs.config), torch.tensor([3, 1])
    results = []
    for model in (ours, theirs):
        model.train()
        torch.manual_seed(5)
        results.append(model(pixel_values, labels=labels, output_hidden_states=True, output_attentions=maps))
        results[-1].loss.backward()
    mine, wanted = results
    for k, (a, b) in enumerate(zip(mine.hidden_states, wanted.hidden_states, strict=True)):
        assert_close(a, b, f"hidden state {k}")
    assert_close(mine.logits, wanted.logits, "logits")
    if maps:
        for k, (a, b) in enumerate(zip(mine.attentions, wanted.attentions, strict=True)):
            assert 0.35 < (a == 0).float().mean() < 0.45, "the rate of dropout, of 1920 draws in a layer"
            assert_close(a, b, f"attention {k}")
    assert_same_gradients(ours, theirs)


def test_maps_of_attention_carry_gradients(tmp_path: Path) -> None:
    """A loss of the maps alone has the gradients that it has in transformers."""
    ours, theirs = both(tmp_path, "eager")
    pixel_values = oracle.clip(theirs.config)
    for model in (ours, theirs):
        attentions = torch.stack(model(pixel_values, output_attentions=True).attentions)
        weights = torch.linspace(-1, 1, attentions.numel()).reshape(attentions.shape)
        (attentions * weights).sum().backward()
    mine = published_tensors(ours, of=lambda p: cast(Tensor, p.grad))  # None behind the last maps
    wanted = {published_name(name): p.grad for name, p in theirs.named_parameters() if p.grad is not None}
    assert len(wanted) > 30 and any("query" in name and g.abs().max() > 1e-3 for name, g in wanted.items())
    for name, gradient in wanted.items():
        assert_close(mine[name], gradient, name)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("which", ["hidden_dropout_prob", "attention_probs_dropout_prob"])
def test_dropout_only_in_training(tmp_path: Path, which: str, attention: str) -> None:
    dropping: dict[str, Any] = {which: 0.5}
    ours, theirs = both(tmp_path, attention, **dropping)
    pixel_values = oracle.clip(theirs.config)

    def logits(seed: int) -> Tensor:
        torch.manual_seed(seed)
        found: Tensor = ours(pixel_values).logits
        return found

    with torch.no_grad():
        assert torch.equal(logits(1), logits(2)), "evaluation mode must not drop anything"
        assert_close(logits(1), theirs(pixel_values).logits, "logits")
        ours.train()
        assert torch.equal(logits(1), logits(1))
        assert (logits(1) - logits(2)).abs().max() > 1e-3
        ours.eval()
        assert torch.equal(logits(1), logits(2))


def test_dropout_of_the_embeddings_has_the_stated_rate() -> None:
    config = vivit.VivitConfig(
        image_size=32, num_frames=8, tubelet_size=(2, 4, 4), hidden_size=64, num_attention_heads=4,
        num_hidden_layers=0, hidden_dropout_prob=0.3,
    )  # fmt: skip
    model = vivit.VivitModel(config)
    oracle.randomise(model)
    pixel_values = oracle.clip(config)
    torch.manual_seed(0)
    with torch.no_grad():
        kept = model.eval()(pixel_values, output_hidden_states=True).hidden_states[0]
        dropped = model.train()(pixel_values, output_hidden_states=True).hidden_states[0]
    zero = dropped == 0
    # 32,896 draws: the standard error of the rate is 0.0025, five of them 0.013.
    assert zero.float().mean().item() == pytest.approx(0.3, abs=0.013)
    assert_close(dropped[~zero], kept[~zero] / 0.7, "kept values")


def test_attentions_only_of_eager(tmp_path: Path) -> None:
    ours, theirs = both(tmp_path, "sdpa")
    pixel_values = oracle.clip(theirs.config)
    with pytest.raises(ValueError, match=r"'sdpa'.*eager"):
        ours(pixel_values, output_attentions=True)
    ours.set_attn_implementation("eager")
    attentions = ours(pixel_values, output_attentions=True).attentions
    assert_close(torch.stack(attentions).sum(-1), torch.ones(3, 2, 5, ours.config.num_tokens), "rows of attentions")


@pytest.mark.parametrize(
    ("shape", "named"),
    [
        ((8, 3, 24, 20), "(8, 3, 24, 20)"),
        ((1, 8, 1, 24, 20), "3 channels"),
        ((1, 6, 3, 24, 20), "(6, 24, 20)"),
        ((1, 8, 3, 20, 24), "(8, 20, 24)"),
    ],
)
def test_wrong_shapes_are_named(shape: tuple[int, ...], named: str) -> None:
    model = vivit.VivitModel(vivit.VivitConfig(**oracle.TINY))
    with pytest.raises(ValueError) as caught:
        model(torch.zeros(shape))
    assert named in str(caught.value)


@pytest.mark.parametrize("size", [(7, 24, 20), (8, 25, 20), (8, 24, 22), (1, 24, 20), (0, 24, 20)])
def test_interpolation_needs_whole_tubelets(size: tuple[int, int, int]) -> None:
    model = vivit.VivitModel(vivit.VivitConfig(**oracle.TINY))
    with pytest.raises(ValueError, match="tubelet_size"):
        model(torch.zeros(1, size[0], 3, *size[1:]), interpolate_pos_encoding=True)


def test_random_weights_are_the_oracles_kind() -> None:
    torch.manual_seed(0)
    model = vivit.VivitForVideoClassification(
        vivit.VivitConfig(num_hidden_layers=1, image_size=64, num_frames=4, initializer_range=0.05)
    )
    for name, tensor in published_tensors(model).items():
        if name.endswith("bias") or name.endswith("cls_token"):
            assert not tensor.any(), name
        elif "layernorm" in name:
            assert (tensor == 1).all(), name
        else:
            # At least 1536 draws, so the spread is known to 2 %; five times that.
            assert tensor.std().item() == pytest.approx(0.05, rel=0.1), name


def test_every_weight_is_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    normal = torch.nn.init.normal_

    def draw(tensor: Tensor, **options: Any) -> Tensor:
        drawn.append(id(tensor))
        return normal(tensor, **options)

    monkeypatch.setattr(torch.nn.init, "normal_", draw)
    model = vivit.VivitForVideoClassification(vivit.VivitConfig(**oracle.TINY))
    matrices = [p for n, p in model.named_parameters() if n.endswith("position_embeddings") or p.ndim == 2]
    assert sorted(drawn) == sorted(map(id, matrices))


@pytest.mark.parametrize("compiler", [False, True])
@pytest.mark.parametrize("wanted", [False, True])
def test_the_embeddings_are_let_go_unless_they_are_asked_for(wanted: bool, compiler: bool) -> None:
    model = vivit.VivitForVideoClassification(vivit.VivitConfig(**oracle.TINY)).eval()
    held: list[weakref.ref[Tensor]] = []
    seen: list[bool] = []
    model.vivit.embeddings.register_forward_hook(lambda module, inputs, output: held.append(weakref.ref(output)))
    model.vivit.layers[1].register_forward_pre_hook(lambda module, inputs: seen.append(held[0]() is not None))
    clip = oracle.clip(model.config)

    def run() -> None:
        model(clip, output_hidden_states=wanted)

    # Where PyTorch's compiler looks at every call, a caller holds what it passes for as long as the call takes.
    with torch.inference_mode():
        (torch._dynamo.run(run) if compiler else run)()
    assert seen == [wanted]


@pytest.fixture
def vivit_b(usual_threads: int) -> tuple[Any, Any, Tensor]:
    """ViViT-B/16x2 with the same random weights on both sides, and a clip."""
    torch.set_num_threads(usual_threads)
    config = transformers.VivitConfig(num_labels=400)  # type: ignore[call-arg]
    config._attn_implementation = "sdpa"
    with torch.device("meta"):
        theirs = transformers.VivitForVideoClassification(config)
    theirs.to_empty(device="cpu")
    torch.manual_seed(0)
    with torch.device("meta"):
        ours = vivit.VivitForVideoClassification(vivit.VivitConfig(num_labels=400))
    ours.to_empty(device="cpu").eval()
    views = published_tensors(ours)
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            parameter.normal_(std=0.02)  # the scale that ViViT-B is initialised at
            if "layernorm" in name and name.endswith("weight"):
                parameter.add_(1)
            views[published_name(name)].copy_(parameter)
    return ours, theirs.eval(), oracle.clip(config, batch=1)


def test_vivit_b_forward(vivit_b: tuple[Any, Any, Tensor]) -> None:
    ours, theirs, pixel_values = vivit_b
    assert sum(p.numel() for p in ours.parameters()) == 88_954_000
    with torch.inference_mode():
        mine, wanted = ours(pixel_values).logits, theirs(pixel_values).logits
    assert wanted.std() > 0.1
    assert_close(mine, wanted, "logits")


@pytest.mark.full
def test_vivit_b_gradients(vivit_b: tuple[Any, Any, Tensor]) -> None:
    ours, theirs, pixel_values = vivit_b
    labels = torch.tensor([116])
    for model in (theirs, ours):
        model(pixel_values, labels=labels).loss.backward()
    assert_same_gradients(ours, theirs)
