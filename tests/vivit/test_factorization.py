"""Models 1 to 4 against the paper's formulas: every backend and precision, every size, and which tokens see which."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from tests import factorized, oracle
from tests.factorized_models import (
    FLOAT32,
    FLOAT64,
    KINDS,
    ORDERED,
    RUN_ON_CPU,
    config_of,
    flat,
    load,
    logits_of,
    made,
    randomise,
    same,
    wanted_of,
)
from vivit import VivitConfig, VivitForVideoClassification, VivitModel
from vivit.attention import ATTENTION
from vivit.checkpoint.layout import published_tensors
from vivit.checkpoint.random_weights import RANDOM_CONFIGS
from vivit.dynamic_int8 import DynamicInt8Linear
from vivit.eight_bit import Int8Linear
from vivit.errors import AttentionUnavailable, UserError
from vivit.names import FACTORIZATIONS
from vivit.precision import DTYPES, TF32
from vivit.tf32 import Tf32Unavailable

# Answers


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


@pytest.mark.full
def test_flex_attention_over_both_axes() -> None:
    """In one case alone, for compiling takes its time."""
    model = made("dot_product", "flex_attention", num_hidden_layers=1)
    wanted = wanted_of(model, oracle.clip(model.config)).logits
    same(logits_of(model), wanted, torch.float32, **FLOAT32)


@pytest.mark.parametrize("precision", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_precision(kinds: dict[str, Path], kind: str, precision: str) -> None:
    if precision == TF32:
        with pytest.raises(Tf32Unavailable):
            load(kinds[kind], dtype=precision)
        return
    model, exact = load(kinds[kind], dtype=precision), load(kinds[kind])
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
    return int(counter.get_total_flops()) // 2


@pytest.mark.parametrize("attention", RUN_ON_CPU)
@pytest.mark.parametrize("kind", KINDS)
def test_cls_alone_is_the_same_and_less_work(kind: str, attention: str) -> None:
    model = made(kind, attention)
    pixel_values = oracle.clip(model.config)
    with torch.no_grad():
        whole = model(pixel_values, output_hidden_states=True).logits
    torch.testing.assert_close(logits_of(model), whole, rtol=1e-6, atol=1e-6)  # products of other sizes round otherwise
    if attention != "eager":  # of eager alone every product is counted
        return
    batch, (steps, height, width) = len(pixel_values), model.config.grid_size
    size: int = model.config.hidden_size
    wide: int = model.config.intermediate_size

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
    steps: Tensor = pixel_values.unflatten(1, (-1, 2))
    return steps[:, order].flatten(1, 2)


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
def test_clips_of_another_size(kinds: dict[str, Path], kind: str, sizes: dict[str, Any]) -> None:
    model, config = load(kinds[kind]), config_of(kind, **sizes)
    pixel_values = oracle.clip(config)
    wanted = factorized.answer(resized(published_tensors(model), model.config, config), config, pixel_values).logits
    with pytest.raises(ValueError, match="interpolate_pos_encoding=True"):
        model(pixel_values)
    same(logits_of(model, pixel_values, interpolate_pos_encoding=True), wanted, torch.float32, **FLOAT32)
    usual = oracle.clip(model.config)
    assert torch.equal(logits_of(model, usual, interpolate_pos_encoding=True), logits_of(model, usual))


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_loaded_for_another_size(kinds: dict[str, Path], kind: str, sizes: dict[str, Any]) -> None:
    model, config = load(kinds[kind]), config_of(kind, **sizes)
    with pytest.raises(UserError, match="position_embeddings"):
        load(kinds[kind], **sizes)
    with pytest.warns(UserWarning):
        other = load(kinds[kind], **sizes, ignore_mismatched_sizes=True)
    pixel_values = oracle.clip(config)
    wanted = logits_of(model, pixel_values, interpolate_pos_encoding=True)
    torch.testing.assert_close(logits_of(other, pixel_values), wanted, rtol=1e-6, atol=1e-6)
    if kind == "encoder":  # either positions change with their own sizes alone
        before, after = published_tensors(model), published_tensors(other)
        for name, changes in (("embeddings", "image_size" in sizes), ("temporal", "num_frames" in sizes)):
            name = f"{name}.position_embeddings"
            assert torch.equal(before[name], after[name]) != changes


@pytest.mark.parametrize("kind", KINDS)
def test_no_clips_have_no_answers(kind: str) -> None:
    model = made(kind)
    nothing = oracle.clip(model.config)[:0]
    assert logits_of(model, nothing).shape == (0, model.config.num_labels)
    maps = model(nothing, output_attentions=True).attentions
    assert len(maps) >= model.config.num_hidden_layers and all(each.shape[0] == 0 for each in flat(maps))
