"""Models 1 to 4 against the paper's formulas, and all else that is done with a model, done with each of the four."""

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
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import vivit.model
from tests import factorized, oracle
from vivit import VivitConfig, VivitForVideoClassification, VivitModel
from vivit.attention import ATTENTION, AttentionUnavailable
from vivit.checkpoint import open_checkpoint
from vivit.checkpoint.layout import published_tensors
from vivit.checkpoint.random_weights import RANDOM_CONFIGS
from vivit.config import ATTENTION_ORDERS
from vivit.dynamic_int8 import DynamicInt8Linear
from vivit.eight_bit import Int8Linear
from vivit.errors import UserError
from vivit.hub import ASSETS
from vivit.names import FACTORIZATIONS
from vivit.precision import DTYPES, TF32
from vivit.tf32 import Tf32Unavailable

# 6 × (3, 5) tubelets: no two sizes alike, nor any of them like the heads, their width (9 or 18) or the layers.
TINY = oracle.TINY | {"num_frames": 12, "hidden_size": 36, "num_attention_heads": 4, "num_temporal_layers": 2}
KINDS = ("none", "encoder", "self_attention", "dot_product")
NEW = KINDS[1:]
ORDERED = [*((kind, "time_space") for kind in KINDS), ("self_attention", "space_time")]
RUN_ON_CPU = ("eager", "sdpa", "sdpa-math", "sdpa-flash")
FLOAT32 = {"rtol": 1e-5, "atol": 1e-5}  # sums of some 40 terms of about 1, through three to five layers
FLOAT64 = {"rtol": 1e-12, "atol": 1e-12}

load = VivitForVideoClassification.from_pretrained


def config_of(kind: str, **changes: Any) -> VivitConfig:
    return VivitConfig(**TINY | {"factorization": kind} | changes)


def randomise(model: Any, seed: int = 0) -> Any:
    """As the oracle's weights, by the names on disk: no bias, position, [CLS] or LayerNorm is left at 0 or 1."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in sorted(published_tensors(model).items()):
        tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.1 + ("norm" in name and "weight" in name))
    return model.eval()


def made(kind: str, attention: str = "eager", **changes: Any) -> Any:
    """A classifier with random weights."""
    return randomise(VivitForVideoClassification(config_of(kind, **changes), attn_implementation=attention))


def wanted_of(model: Any, pixel_values: Tensor, config: VivitConfig | None = None) -> factorized.Answer:
    tensors = {name.removeprefix("vivit."): tensor for name, tensor in published_tensors(model).items()}
    return factorized.answer(tensors, config or model.config, pixel_values)


def logits_of(model: Any, pixel_values: Tensor | None = None, **options: Any) -> Tensor:
    with torch.no_grad():
        return model(oracle.clip(model.config) if pixel_values is None else pixel_values, **options).logits


def flat(values: Any) -> list[Tensor]:
    return [values] if isinstance(values, Tensor) else [tensor for value in values for tensor in flat(value)]


def same(mine: Any, wanted: Any, dtype: torch.dtype, **tolerance: float) -> None:
    """Tensors or nested tuples of them: as many, of one shape, of the dtype, and near."""
    assert isinstance(mine, Tensor) == isinstance(wanted, Tensor)
    if isinstance(mine, Tensor):
        assert mine.dtype == dtype
        torch.testing.assert_close(mine.double(), wanted, **tolerance)
        return
    assert isinstance(mine, tuple)
    for one, other in zip(mine, wanted, strict=True):
        same(one, other, dtype, **tolerance)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A checkpoint of each kind. Not to be written to."""
    where = tmp_path_factory.mktemp("checkpoints")
    for kind in KINDS:
        made(kind).save_pretrained(where / kind)
    return {kind: where / kind for kind in KINDS}


# Right


@pytest.mark.parametrize("changes", [{}, {"num_attention_heads": 2}, {"qkv_bias": False}], ids=["4", "2", "no bias"])
@pytest.mark.parametrize(("kind", "order"), ORDERED)
def test_all_that_the_eager_model_answers(kind: str, order: str, changes: dict[str, Any]) -> None:
    model = made(kind, attention_order=order, **changes)
    pixel_values = oracle.clip(model.config)
    wanted = wanted_of(model, pixel_values)
    for dtype, tolerance in ((torch.float32, FLOAT32), (torch.float64, FLOAT64)):
        model = model.to(dtype)
        with torch.no_grad():
            found = model(pixel_values.to(dtype), output_attentions=True, output_hidden_states=True)
            last = model.vivit(pixel_values.to(dtype)).last_hidden_state
        same(last, wanted.last_hidden_state, dtype, **tolerance)
        for name in ("logits", "hidden_states", "attentions"):
            same(getattr(found, name), getattr(wanted, name), dtype, **tolerance)


@pytest.mark.parametrize(("kind", "order"), ORDERED)
def test_float64_to_its_last_digits(kind: str, order: str) -> None:
    model = made(kind, "sdpa-math", attention_order=order).double()
    pixel_values = oracle.clip(model.config).double()
    wanted = wanted_of(model, pixel_values)
    with torch.no_grad():
        found = model(pixel_values, output_hidden_states=True)
    same(found.logits, wanted.logits, torch.float64, **FLOAT64)
    same(found.hidden_states, wanted.hidden_states, torch.float64, **FLOAT64)
    same(logits_of(model, pixel_values), wanted.logits, torch.float64, **FLOAT64)


def test_the_shapes_of_what_is_asked_for() -> None:
    b, a, l, s, e = 2, 4, 6, 15, 36  # noqa: E741
    space, time = (b, l, a, s, s), (b, s, a, l, l)
    steps, whole = (b, l, 1 + s, e), (b, l * s, e)
    table: dict[tuple[str, str], Any] = {
        ("none", "time_space"): ([(b, 1 + l * s, e)] * 4, [(b, a, 1 + l * s, 1 + l * s)] * 3),
        ("encoder", "time_space"): (
            [steps] * 4 + [(b, 1 + l, e)] * 3,
            [(b, l, a, 1 + s, 1 + s)] * 3 + [(b, a, 1 + l, 1 + l)] * 2,
        ),
        ("self_attention", "time_space"): ([whole] * 4, [time, space] * 3),
        ("self_attention", "space_time"): ([whole] * 4, [space, time] * 3),
        ("dot_product", "time_space"): ([whole] * 4, [(b, s, 2, l, l), (b, l, 2, s, s)] * 3),
    }
    assert table.keys() == {*ORDERED}
    for (kind, order), (states, maps) in table.items():
        model = made(kind, attention_order=order)
        with torch.no_grad():
            found = model(oracle.clip(model.config), output_attentions=True, output_hidden_states=True)
        assert [tuple(t.shape) for t in found.hidden_states] == states, kind
        assert [tuple(t.shape) for t in flat(found.attentions)] == maps, kind
        for rows in flat(found.attentions):
            torch.testing.assert_close(rows.sum(-1), torch.ones(rows.shape[:-1]))
        for attention in [name for name in ATTENTION if name != "eager"]:
            model.set_attn_implementation(attention)
            with pytest.raises(ValueError, match=f"'{attention}' never holds the attention probabilities"):
                model(oracle.clip(model.config), output_attentions=True)


@pytest.mark.parametrize("attention", [name for name in ATTENTION if name != "flex_attention"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_backend(kind: str, attention: str) -> None:
    model = made(kind, attention)
    pixel_values = oracle.clip(model.config)
    if attention not in RUN_ON_CPU:
        with pytest.raises(AttentionUnavailable, match=attention):
            model(pixel_values)
        return
    wanted = wanted_of(model, pixel_values)
    same(logits_of(model), wanted.logits, torch.float32, **FLOAT32)
    with torch.no_grad():
        found = model(pixel_values, output_hidden_states=True).hidden_states
    same(found, wanted.hidden_states, torch.float32, **FLOAT32)


def test_flex_attention_over_both_axes() -> None:
    """In one case alone, for it compiles."""
    model = made("dot_product", "flex_attention", num_hidden_layers=1)
    wanted = wanted_of(model, oracle.clip(model.config)).logits
    same(logits_of(model), wanted, torch.float32, **FLOAT32)


@pytest.mark.parametrize("precision", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_precision(folders: dict[str, Path], kind: str, precision: str) -> None:
    if precision == TF32:
        with pytest.raises(Tf32Unavailable):
            load(folders[kind], dtype=precision)
        return
    model, exact = load(folders[kind], dtype=precision), load(folders[kind])
    pixel_values = oracle.clip(model.config)
    wanted = wanted_of(exact, pixel_values).logits
    compute = DTYPES[precision].compute
    # As of model 1 in `test_precision`: activations rounded to the dtype, weights by up to 2⁻¹¹ of themselves; in 8 bit as in
    # `test_dynamic_int8`.
    most = {torch.int8: 5e-2, torch.float16: 4 * 2**-11}.get(DTYPES[precision].weights, 1e-5)
    most = max(most, 8 * torch.finfo(compute).eps)
    for attention in RUN_ON_CPU:
        model.set_attn_implementation(attention)
        same(logits_of(model), wanted, compute, rtol=0, atol=most)
    if precision != "float32":
        assert (logits_of(model) - wanted).abs().max() > 1e-6, "it is rounded"
    matrices = [m for m in model.modules() if isinstance(m, Int8Linear | DynamicInt8Linear)]
    layers = {"none": 4 * 3, "encoder": 4 * (3 + 2), "self_attention": 6 * 3, "dot_product": 4 * 3}[kind]
    assert len(matrices) == (layers if DTYPES[precision].weights == torch.int8 else 0)


def test_parameters_and_operations_of_the_papers_table() -> None:
    table = {  # parameters, and multiply-adds in G, here and in table 2
        "none": (88_954_000, 451.5, 455),
        "encoder": (115_062_928, 283.3, 284),
        "self_attention": (117_319_312, 371.1, 372),
        "dot_product": (88_952_464, 276.2, 277),
    }
    assert {config.factorization for config in RANDOM_CONFIGS.values()} == table.keys() == FACTORIZATIONS.keys()
    for config in RANDOM_CONFIGS.values():
        parameters, operations, papers = table[config.factorization]
        with torch.device("meta"):
            model = VivitForVideoClassification(config, attn_implementation="eager").eval()
            clip = torch.empty(1, 32, 3, 224, 224)
        assert model.num_parameters() == parameters
        # With hidden states, as no [CLS] token is then computed alone.
        found = multiply_adds(model, clip, output_hidden_states=True) / 1e9
        assert found == pytest.approx(operations, abs=0.1) and found == pytest.approx(papers, rel=0.01)


def multiply_adds(model: Any, pixel_values: Tensor, **options: Any) -> int:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(pixel_values, **options)
    return counter.get_total_flops() // 2


@pytest.mark.parametrize("attention", RUN_ON_CPU)
@pytest.mark.parametrize("kind", KINDS)
def test_cls_alone_is_the_same_and_less_work(kind: str, attention: str) -> None:
    model = made(kind, attention)
    pixel_values = oracle.clip(model.config)
    with torch.no_grad():
        whole = model(pixel_values, output_hidden_states=True).logits
    torch.testing.assert_close(logits_of(model), whole, rtol=1e-6, atol=1e-6)  # products of other sizes round otherwise
    if attention != "eager":  # whose products are counted one by one
        return
    batch, (steps, height, width) = len(pixel_values), model.config.grid_size
    size, wide = model.config.hidden_size, model.config.intermediate_size

    def spared(tokens: int) -> int:
        """Of one encoder's last layer: queries, scores, sums, outputs and MLPs of all tokens but the first."""
        return (tokens - 1) * (2 * size * size + 2 * tokens * size + 2 * size * wide)

    expected = {
        "none": spared(1 + steps * height * width),
        "encoder": steps * spared(1 + height * width) + spared(1 + steps),
    }
    every = multiply_adds(model, pixel_values, output_hidden_states=True)
    assert every - multiply_adds(model, pixel_values) == batch * expected.get(kind, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_bare_model_and_its_pooler(kind: str, tmp_path: Path) -> None:
    model = randomise(VivitModel(config_of(kind, pooler_output_size=10), attn_implementation="eager"))
    pixel_values = oracle.clip(model.config)
    tensors = published_tensors(model) | {"classifier.weight": torch.eye(36), "classifier.bias": torch.zeros(36)}
    answer = factorized.answer(tensors, model.config, pixel_values)
    pooled = factorized.linear({k: v.double() for k, v in tensors.items()}, "pooler.dense", answer.logits).tanh()
    with torch.no_grad():
        found = model(pixel_values)
    same(found.last_hidden_state, answer.last_hidden_state, torch.float32, **FLOAT32)
    same(found.pooler_output, pooled, torch.float32, **FLOAT32)
    model.save_pretrained(tmp_path)
    again = VivitModel.from_pretrained(tmp_path, attn_implementation="eager")
    with torch.no_grad():
        assert torch.equal(again(pixel_values).pooler_output, found.pooler_output)
    with torch.no_grad():
        bare = VivitModel.from_pretrained(tmp_path, attn_implementation="eager", add_pooling_layer=False)(pixel_values)
    assert bare.pooler_output is None and torch.equal(bare.last_hidden_state, found.last_hidden_state)


# Which tokens see which


def test_model_3_without_attention_over_time_sees_each_step_alone() -> None:
    model = made("self_attention")
    alone = made("self_attention", num_frames=2)  # one time step
    for name, tensor in published_tensors(model).items():
        if "attention_time.output" in name:
            tensor.zero_()
        elif name != "embeddings.position_embeddings":
            published_tensors(alone)[name].copy_(tensor)
    for name, tensor in published_tensors(alone).items():
        if "attention_time.output" in name:
            tensor.zero_()
    pixel_values = oracle.clip(model.config)
    positions = published_tensors(model)["embeddings.position_embeddings"].unflatten(1, (6, -1))
    with torch.no_grad():
        whole = model.vivit(pixel_values).last_hidden_state.unflatten(1, (6, -1))
        for step in range(6):
            published_tensors(alone)["embeddings.position_embeddings"].copy_(positions[:, step])
            found = alone.vivit(pixel_values[:, 2 * step : 2 * step + 2]).last_hidden_state
            torch.testing.assert_close(found, whole[:, step], **FLOAT32)


def permuted(pixel_values: Tensor, order: list[int]) -> Tensor:
    """Tubelet steps, of two frames each, in another order."""
    return pixel_values.unflatten(1, (-1, 2))[:, order].flatten(1, 2)


@pytest.mark.parametrize(("kind", "order"), ORDERED)
def test_the_order_of_steps_is_known_by_positions_alone(kind: str, order: str) -> None:
    model = made(kind, attention_order=order)
    pixel_values = oracle.clip(model.config)
    steps = [4, 2, 0, 5, 3, 1]
    tensors = published_tensors(model)

    def change() -> float:
        return (logits_of(model, permuted(pixel_values, steps)) - logits_of(model, pixel_values)).abs().max().item()

    assert change() > 1e-3, "with positions"
    if kind == "encoder":
        kept = tensors["temporal.position_embeddings"].clone()
        tensors["temporal.position_embeddings"].zero_()
        assert change() < 1e-5, "those over space are alike in all steps"
        tensors["temporal.position_embeddings"].copy_(kept)
        tensors["embeddings.position_embeddings"].zero_()
        assert change() > 1e-3, "those over time are enough"
        tensors["temporal.position_embeddings"].zero_()
    tensors["embeddings.position_embeddings"].zero_()
    assert change() < 1e-5, "none"
    if kind == "encoder":
        return
    with torch.no_grad():
        first, then = (model.vivit(clip).last_hidden_state for clip in (pixel_values, permuted(pixel_values, steps)))
    first, then = (t[:, model.config.has_cls :].unflatten(1, (6, -1)) for t in (first, then))
    torch.testing.assert_close(first[:, steps], then, **FLOAT32)


# Other sizes


def between(old: int, new: int) -> Tensor:
    """The matrix (new, old) of linear interpolation along an axis, by centres of cells, the ends repeated."""
    matrix = torch.zeros(new, old, dtype=torch.float64)
    for k in range(new):
        place = min(max((k + 0.5) * old / new - 0.5, 0), old - 1)
        low = min(int(place), old - 1)
        matrix[k, low] += 1 - (place - low)
        matrix[k, min(low + 1, old - 1)] += place - low
    return matrix


def resized(tensors: dict[str, Tensor], old: VivitConfig, new: VivitConfig) -> dict[str, Tensor]:
    """Tensors in float64, the positions interpolated from one config's grids to another's; those of [CLS] as they are."""
    found = {name.removeprefix("vivit."): tensor.double() for name, tensor in tensors.items()}
    of, to = old.grid_size, new.grid_size
    grids = {"embeddings.position_embeddings": (of, to)}
    if old.factorization == "encoder":
        grids["embeddings.position_embeddings"] = ((1, *of[1:]), (1, *to[1:]))
        grids["temporal.position_embeddings"] = ((of[0], 1, 1), (to[0], 1, 1))
    for name, (a, b) in grids.items():
        first = 1 if old.factorization in ("none", "encoder") else 0
        grid = found[name][:, first:].reshape(*a, -1)
        matrices = [between(m, n) for m, n in zip(a, b, strict=True)]
        moved = torch.einsum("lt,hy,wx,tyxe->lhwe", *matrices, grid)
        found[name] = torch.cat([found[name][:, :first], moved.reshape(1, -1, moved.shape[-1])], 1)
    return found


SIZES: list[dict[str, Any]] = [
    {"num_frames": 4},
    {"num_frames": 18},
    {"image_size": (32, 20)},
    {"image_size": (40, 12)},  # (5, 3) tubelets: as many as (3, 5)
    {"num_frames": 2, "image_size": (16, 28)},
]


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_clips_of_another_size(folders: dict[str, Path], kind: str, sizes: dict[str, Any]) -> None:
    model, config = load(folders[kind]), config_of(kind, **sizes)
    pixel_values = oracle.clip(config)
    wanted = factorized.answer(resized(published_tensors(model), model.config, config), config, pixel_values).logits
    with pytest.raises(ValueError, match="interpolate_pos_encoding=True"):
        model(pixel_values)
    same(logits_of(model, pixel_values, interpolate_pos_encoding=True), wanted, torch.float32, **FLOAT32)
    usual = oracle.clip(model.config)
    assert torch.equal(logits_of(model, usual, interpolate_pos_encoding=True), logits_of(model, usual))


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_loaded_for_another_size(folders: dict[str, Path], kind: str, sizes: dict[str, Any]) -> None:
    model, config = load(folders[kind]), config_of(kind, **sizes)
    with pytest.raises(UserError, match="position_embeddings"):
        load(folders[kind], **sizes)
    with pytest.warns(UserWarning):
        other = load(folders[kind], **sizes, ignore_mismatched_sizes=True)
    pixel_values = oracle.clip(config)
    wanted = logits_of(model, pixel_values, interpolate_pos_encoding=True)
    torch.testing.assert_close(logits_of(other, pixel_values), wanted, rtol=1e-6, atol=1e-6)
    if kind == "encoder":  # either positions change with their own sizes alone
        before, after = published_tensors(model), published_tensors(other)
        for name, changes in (("embeddings", "image_size" in sizes), ("temporal", "num_frames" in sizes)):
            name = f"{name}.position_embeddings"
            assert torch.equal(before[name], after[name]) != changes


# Training


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize(("kind", "order"), ORDERED)
def test_gradients_of_every_parameter(kind: str, order: str, attention: str) -> None:
    model = made(kind, attention, attention_order=order).train()
    pixel_values, labels = oracle.clip(model.config), torch.tensor([1, 4])
    leaves = {name: tensor.double().requires_grad_() for name, tensor in published_tensors(model).items()}
    tensors = {name.removeprefix("vivit."): leaf for name, leaf in leaves.items()}
    exact = nn.functional.cross_entropy(factorized.answer(tensors, model.config, pixel_values).logits, labels)
    wanted = dict(zip(leaves, torch.autograd.grad(exact, [*leaves.values()]), strict=True))

    def gradients() -> dict[str, Tensor]:
        model.zero_grad()
        loss = model(pixel_values, labels=labels).loss
        torch.testing.assert_close(loss.double(), exact, **FLOAT32)
        loss.backward()
        return {name: tensor.clone() for name, tensor in published_tensors(model, lambda p: p.grad).items()}

    plain = gradients()
    assert plain.keys() == wanted.keys()
    for name, gradient in wanted.items():
        torch.testing.assert_close(plain[name].double(), gradient, rtol=1e-4, atol=1e-5)  # float32 sums, there and back
        # The same number on all scores of a query leaves their softmax as it is, and a key's bias is one.
        assert plain[name].isfinite().all() and (plain[name].abs().max() > 1e-5) != name.endswith("key.bias"), name
    for every in (1, 2):
        model.gradient_checkpointing_enable(every_n_layers=every)
        assert model.is_gradient_checkpointing
        for name, gradient in gradients().items():
            torch.testing.assert_close(gradient, plain[name], rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_layers_are_computed_twice_where_that_is_asked_for(kind: str) -> None:
    model, ran = made(kind).train(), []
    for layer in model.vivit.encoder_layers():
        layer.intermediate.register_forward_hook(lambda module, *_: ran.append(module))
    assert len(model.vivit.encoder_layers()) == (5 if kind == "encoder" else 3)

    def times() -> list[int]:
        ran.clear()
        model(oracle.clip(model.config)).logits.sum().backward()
        return [ran.count(layer.intermediate) for layer in model.vivit.encoder_layers()]

    assert set(times()) == {1}
    model.gradient_checkpointing_enable()
    assert set(times()) == {2}
    model.gradient_checkpointing_enable(every_n_layers=2)
    assert times()[:3] == [2, 1, 2]
    model.gradient_checkpointing_disable()
    assert set(times()) == {1}


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("dropout", ["hidden_dropout_prob", "attention_probs_dropout_prob"])
@pytest.mark.parametrize("kind", KINDS)
def test_dropout_in_training_alone(kind: str, dropout: str, attention: str) -> None:
    model = made(kind, attention, **{dropout: 0.2})
    wanted = wanted_of(model, oracle.clip(model.config)).logits
    same(logits_of(model), wanted, torch.float32, **FLOAT32)
    model.train()
    ran: set[nn.Module] = set()
    dropouts = {module for module in model.modules() if isinstance(module, nn.Dropout)}
    assert len(dropouts) == 1 + 3 + (1 + 2 if kind == "encoder" else 0)  # of the embeddings, and one for each layer
    for module in dropouts:
        module.register_forward_hook(lambda module, *_: ran.add(module))
    first, second = logits_of(model), logits_of(model)
    assert ran == dropouts
    assert (first - second).abs().max() > 1e-4 and (first - wanted).abs().max() > 1e-4
    same(logits_of(model.eval()), wanted, torch.float32, **FLOAT32)


@pytest.mark.parametrize("kind", KINDS)
def test_a_few_steps_of_training(kind: str) -> None:
    torch.manual_seed(0)
    model = VivitForVideoClassification(config_of(kind)).train()
    pixel_values, labels = oracle.clip(model.config, batch=4), torch.tensor([0, 1, 2, 3])
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(12):
        optimizer.zero_grad()
        loss = model(pixel_values, labels=labels).loss
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2, losses


@pytest.mark.parametrize("kind", KINDS)
def test_new_weights_are_as_everywhere(kind: str) -> None:
    torch.manual_seed(0)
    for name, tensor in published_tensors(VivitForVideoClassification(config_of(kind))).items():
        if "norm" in name:
            assert (tensor == (1 if name.endswith("weight") else 0)).all(), name
        elif name.endswith((".bias", "cls_token")):
            assert (tensor == 0).all(), name
        else:
            assert tensor.std() == pytest.approx(0.02, rel=0.25), name  # of 200 numbers or more


@pytest.mark.parametrize(("kind", "order"), ORDERED)
def test_one_graph_without_breaks(kind: str, order: str) -> None:
    model = made(kind, "sdpa", attention_order=order, num_hidden_layers=2, num_temporal_layers=1)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(logits_of(compiled, oracle.clip(model.config)), logits_of(model), rtol=1e-6, atol=1e-6)
    model.train()
    for trained in (compiled, model):
        trained(oracle.clip(model.config), labels=torch.tensor([1, 4])).loss.backward()
        if trained is compiled:
            found = {name: p.grad.clone() for name, p in model.named_parameters()}
            model.zero_grad()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, rtol=1e-5, atol=1e-6)
    torch.compiler.reset()


def test_execution_compiled() -> None:
    """In one case alone, for it takes its time: the factorised encoder has most parts."""
    model = made("encoder", "sdpa", num_hidden_layers=1, num_temporal_layers=1)
    wanted = wanted_of(model, oracle.clip(model.config)).logits
    model.set_execution("compiled")
    same(logits_of(model), wanted, torch.float32, **FLOAT32)
    with pytest.raises(ValueError, match="execution='plain'"):
        model(oracle.clip(model.config), output_hidden_states=True)


# Files and copies


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
def test_a_checkpoint_of_another_model(folders: dict[str, Path], kind: str, other: str) -> None:
    if kind == other:
        load(folders[kind], factorization=other)
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
            load(folders[kind], factorization=other, ignore_mismatched_sizes=ignore)
        assert all(name in str(caught.value) for name in lacking | left_over)
        assert "does not fit" in str(caught.value).splitlines()[0]


def test_other_numbers_of_layers_over_time(folders: dict[str, Path]) -> None:
    for layers, kind, name in (
        (3, "missing", "temporal.encoder.layer.2"),
        (1, "unexpected", "temporal.encoder.layer.1"),
    ):
        with pytest.raises(UserError, match=rf"16 {kind} \((vivit\.)?{name}"):
            load(folders["encoder"], num_temporal_layers=layers, ignore_mismatched_sizes=True)


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
def test_a_file_of_a_wrapped_model(tmp_path: Path, folders: dict[str, Path], kind: str, wrapper: str) -> None:
    wrapped = model = load(folders[kind])
    if wrapper != "DataParallel":
        wrapped = torch.compile(wrapped)
    if wrapper != "torch.compile":
        wrapped = nn.DataParallel(wrapped)
    assert all(name.startswith(("_orig_mod.", "module.")) for name in wrapped.state_dict())
    (tmp_path / "config.json").write_bytes((folders[kind] / "config.json").read_bytes())
    torch.save(wrapped.state_dict(), tmp_path / "pytorch_model.bin")
    assert torch.equal(logits_of(load(tmp_path)), logits_of(model))


@pytest.mark.parametrize("kind", KINDS)
def test_8_bit_written_and_read(tmp_path: Path, folders: dict[str, Path], kind: str) -> None:
    model = load(folders[kind], load_in_8bit=True)
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
    torch.testing.assert_close(logits_of(floating), logits_of(load(folders[kind])), rtol=0, atol=5e-2)


@pytest.mark.parametrize("kind", KINDS)
def test_random_checkpoints_by_name(kind: str) -> None:
    name = {"none": "vivit-b-16x2-random"}.get(kind, f"vivit-b-16x2-{kind.replace('_', '-')}-random")
    assert RANDOM_CONFIGS[name].factorization == kind and len(RANDOM_CONFIGS) == 4
    assert open_checkpoint(name).config == RANDOM_CONFIGS[name]


# One field of the config, and bad input


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
    meaningful = {"encoder": {"num_temporal_layers": 4}, "self_attention": {"attention_order": "time_space"}}
    for kind in NEW:
        written = VivitConfig(factorization=kind).to_dict()
        assert written == usual.to_dict() | {"factorization": kind} | meaningful.get(kind, {})


BAD: list[tuple[dict[str, Any], str]] = [
    *(({"num_temporal_layers": n}, "num_temporal_layers") for n in (0, -1, True, None, 2.0, "4", 10**9)),
    *(({"factorization": v}, "factorization") for v in ("", "model 2", "factorised", None, 3, True, ["encoder"], {})),
    *(
        ({"attention_order": v}, "attention_order")
        for v in ("", "time", "time-space", None, 3, True, ["time", "space"], {})
    ),
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
        with pytest.raises(ValueError) as caught:
            VivitConfig(**{name: "spacetime"})
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


@pytest.mark.parametrize("kind", KINDS)
def test_no_clips_have_no_answers(kind: str) -> None:
    model = made(kind)
    nothing = oracle.clip(model.config)[:0]
    assert logits_of(model, nothing).shape == (0, model.config.num_labels)
    maps = model(nothing, output_attentions=True).attentions
    assert len(maps) >= model.config.num_hidden_layers and all(each.shape[0] == 0 for each in flat(maps))


def test_the_name_of_what_is_compiled_in_older_pickles() -> None:
    assert vivit.model.cls_features is vivit.model.head_features


@pytest.mark.parametrize("kind", ["encoder", "self_attention"])
def test_a_config_that_lost_its_factorization_is_told_so(tmp_path: Path, kind: str) -> None:
    made(kind).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({k: v for k, v in config.items() if k != "factorization"}))
    with pytest.raises(UserError, match=f"Some are those of factorization='{kind}': set it in that file"):
        load(tmp_path)
