"""Maps of what a model looked at, beside eager's whole matrices and the textbook's products of them.

Letters as in `vivit.explain.attention`: B clips, A heads, N tokens; L time steps of H × W tubelets, S of them a step.
"""

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
import torch
from torch import Tensor

from tests import oracle
from tests.factorized_models import KINDS, ORDERED, RUN_ON_CPU, made, randomise
from vivit import VivitConfig, VivitForVideoClassification, VivitModel
from vivit.benchmark.measure import peak_memory
from vivit.explain import MapUnavailable, attention, axis_attention, cls_attention, look, methods, rollout
from vivit.explain.kinds import METHODS, refuse
from vivit.names import PRECISIONS

FLOAT32: dict[str, Any] = {"rtol": 0.0, "atol": 1e-6}  # shares of one, each of few sums
ROLLED: dict[str, Any] = {"rtol": 0.0, "atol": 1e-5}
# Beside eager's row in the same precision, whose probabilities are rounded to its dtype (2⁻¹¹ and 2⁻⁸ of at most 1) and whose
# hidden states went through other sums; in 8 bit another sum may tip a number over to the next of 127 steps.
TOLERANCES = {"float32": 1e-6, "float16-weights": 1e-6, "float16": 2e-3, "bfloat16": 1.6e-2}
TOLERANCES |= {"int8-dynamic": 1e-3, "int8-bitsandbytes": 1e-3}


def matrices(model: Any, clips: Tensor) -> tuple[Any, ...]:
    """Eager's attention matrices, of each layer."""
    before = model.base_model.attn_implementation
    model.set_attn_implementation("eager")
    with torch.no_grad():
        found: tuple[Any, ...] = model(clips, output_attentions=True).attentions
    model.set_attn_implementation(before)
    return found


def grid_of(model: Any) -> tuple[int, int, int]:
    grid: tuple[int, int, int] = model.config.grid_size
    return grid


@pytest.mark.parametrize("backend", RUN_ON_CPU)
def test_the_row_of_cls_is_eagers_under_any_backend(backend: str) -> None:
    model = made("none", backend)
    clips = oracle.clip(model.config, 2)
    wanted = torch.stack([layer[:, :, 0, 1:] for layer in matrices(model, clips)]).unflatten(-1, grid_of(model))
    found = cls_attention(model, clips)
    assert found.shape == (3, 2, 4, 6, 3, 5) and found.dtype == torch.float32
    torch.testing.assert_close(found, wanted, **FLOAT32)
    assert model.base_model.attn_implementation == backend


def test_it_is_the_row_of_transformers_too(tmp_path: Any) -> None:
    reference = oracle.save(tmp_path)
    model = VivitForVideoClassification.from_pretrained(tmp_path)
    clips = oracle.clip(reference.config, 2)
    with torch.no_grad():
        wanted = torch.stack([a[:, :, 0, 1:] for a in reference(clips, output_attentions=True).attentions])
    torch.testing.assert_close(cls_attention(model, clips), wanted.unflatten(-1, grid_of(model)), **FLOAT32)


@pytest.mark.parametrize("precision", [p for p in PRECISIONS if p != "tf32"])  # which needs a GPU
def test_in_every_precision_to_its_own_tolerance(tmp_path: Any, precision: str) -> None:
    made("none").save_pretrained(tmp_path)
    model = VivitForVideoClassification.from_pretrained(tmp_path, dtype=precision)
    clips = oracle.clip(model.config, 1)
    wanted = torch.stack([layer[:, :, 0, 1:] for layer in matrices(model, clips)]).unflatten(-1, grid_of(model))
    found = cls_attention(model, clips)
    torch.testing.assert_close(found, wanted.float(), rtol=0.0, atol=TOLERANCES[precision])
    exact = VivitForVideoClassification.from_pretrained(tmp_path)
    if precision not in ("float32", "float16-weights"):  # the row is the precision's own, not float32's
        assert not torch.equal(found, cls_attention(exact, clips))


@pytest.mark.parametrize("backend", ["eager", "sdpa"])
def test_the_factorised_encoder_has_rows_of_both_encoders_and_their_product(backend: str) -> None:
    model = made("encoder", backend)
    clips, (steps, height, width) = oracle.clip(model.config, 2), grid_of(model)
    every = matrices(model, clips)
    over_space = torch.stack([layer[..., 0, 1:].transpose(1, 2) for layer in every[:3]])  # (layers, B, A, L, S)
    over_time = torch.stack([layer[:, :, 0, 1:] for layer in every[3:]])  # (layers, B, A, L)
    found = look(model, clips)
    assert [*found.maps] == ["attention", "space", "time"]
    torch.testing.assert_close(found.maps["space"], over_space.unflatten(-1, (height, width)), **FLOAT32)
    torch.testing.assert_close(found.maps["time"], over_time[..., None, None], **FLOAT32)
    both = over_space * over_time[-1].mean(1)[None, :, None, :, None]
    torch.testing.assert_close(cls_attention(model, clips), both.unflatten(-1, (height, width)), **FLOAT32)
    torch.testing.assert_close(axis_attention(model, clips, "space"), found.maps["space"], rtol=0, atol=0)
    assert axis_attention(model, clips, "time").shape == (2, 2, 4, steps, 1, 1)


@pytest.mark.parametrize(("kind", "order"), [pair for pair in ORDERED if pair[0] in ("self_attention", "dot_product")])
@pytest.mark.parametrize("block", [attention.BLOCK, 1, 100])
def test_models_without_cls_have_a_map_over_space_and_one_over_time(
    kind: str, order: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mean over all queries, whatever the blocks that it is made in."""
    monkeypatch.setattr(attention, "BLOCK", block)
    model = made(kind, "sdpa", attention_order=order)
    clips, (_, height, width) = oracle.clip(model.config, 2), grid_of(model)
    every = matrices(model, clips)
    first_over_time = kind == "dot_product" or order == "time_space"
    over_time = torch.stack([layer[not first_over_time] for layer in every])  # (layers, B, S, A, L, L)
    over_space = torch.stack([layer[first_over_time] for layer in every])  # (layers, B, L, A, S, S)
    by_step = over_space.mean(-2).transpose(2, 3)
    by_place = over_time.mean(-2).permute(0, 1, 3, 4, 2)
    found = look(model, clips).maps
    assert [*found] == ["space", "time"]
    torch.testing.assert_close(found["space"], by_step.unflatten(-1, (height, width)), **FLOAT32)
    torch.testing.assert_close(found["time"], by_place.unflatten(-1, (height, width)), **FLOAT32)
    torch.testing.assert_close(found["space"].sum((-2, -1)), torch.ones(found["space"].shape[:-2]), **FLOAT32)
    torch.testing.assert_close(axis_attention(model, clips, "time"), found["time"], rtol=0, atol=0)


def textbook(model: Any, clips: Tensor) -> Tensor:
    """Attention rollout as the paper has it: (½ I + ½ Ā) of every layer, multiplied as matrices over all tokens."""
    (steps, height, width), kind = grid_of(model), model.config.factorization
    every, places = matrices(model, clips), height * width
    if kind == "none":
        from_cls = product([half(layer.mean(1)) for layer in every])[:, 0, 1:]
        return from_cls.reshape(-1, steps, height, width)
    if kind == "encoder":
        over_time = product([half(layer.mean(1)) for layer in every[3:]])[:, 0, 1:]  # (B, L)
        over_space = product([half(layer.mean(2)) for layer in every[:3]])[:, :, 0, 1:]  # (B, L, S)
        return (over_time[..., None] * over_space).reshape(-1, steps, height, width)

    def spread(some: Tensor) -> Tensor:
        """Attention over an axis as a matrix over all tokens: (B, G, A, n, n) → (B, N, N)."""
        groups, size = some.shape[1], some.shape[-1]
        whole = torch.zeros(len(some), steps * places, steps * places)
        for group in range(groups):
            at = torch.arange(size) * places + group if groups == places else group * places + torch.arange(size)
            whole[:, at[:, None], at] = some[:, group].mean(1)
        return whole

    layers: list[Tensor] = []
    for parts in every:
        matrices_of = [spread(part) for part in parts]
        layers += [half((matrices_of[0] + matrices_of[1]) / 2)] if kind == "dot_product" else map(half, matrices_of)
    return product(layers).mean(1).reshape(-1, steps, height, width)


def half(matrix: Tensor) -> Tensor:
    return 0.5 * torch.eye(matrix.shape[-1]) + 0.5 * matrix


def product(matrices_of: list[Tensor]) -> Tensor:
    found = matrices_of[0]
    for matrix in matrices_of[1:]:
        found = matrix @ found
    return found


@pytest.mark.parametrize(("kind", "order"), ORDERED)
@pytest.mark.parametrize("block", [attention.BLOCK, 1, 1000])
def test_rollout_is_the_textbooks(kind: str, order: str, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "BLOCK", block)
    model = made(kind, "sdpa", attention_order=order)
    clips = oracle.clip(model.config, 2)
    found = rollout(model, clips)
    assert found.shape == (2, 6, 3, 5) and found.dtype == torch.float32
    torch.testing.assert_close(found, textbook(model, clips), **ROLLED)
    left = 1 - found.sum((1, 2, 3))  # on [CLS], of models that have one
    assert (left > 0.01).all() if model.config.has_cls else (left.abs() < 1e-5).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_pass_answers_as_any_other_and_leaves_the_model_as_it_was(kind: str) -> None:
    model = made(kind, "sdpa", hidden_dropout_prob=0.5).train()
    model.base_model.layers[0].eval()  # somebody's choice
    training = [module.training for module in model.modules()]
    clips = oracle.clip(model.config, 2)
    found = look(model, clips, rollout=True)
    assert [module.training for module in model.modules()] == training
    assert not any(module._forward_hooks for module in model.modules())
    with torch.no_grad():
        wanted = model.eval().features(clips)
    torch.testing.assert_close(found.features, wanted, rtol=1e-5, atol=1e-5)  # sums in another order
    assert [*found.maps] == [*methods(model.config)[:-1], *(["time"] if kind == "encoder" else [])]
    assert found.rollout is not None
    assert not any(some.requires_grad for some in (found.features, found.rollout, *found.maps.values()))


def test_a_bare_model_and_other_sizes_have_maps() -> None:
    model = randomise(VivitModel(VivitConfig(**oracle.TINY), attn_implementation="sdpa"))
    wide = torch.randn(1, 8, 3, 32, 20, generator=torch.Generator().manual_seed(1))
    with pytest.raises(ValueError, match="interpolate_pos_encoding"):
        cls_attention(model, wide)
    found = cls_attention(model, wide, interpolate_pos_encoding=True)
    assert found.shape == (3, 1, 5, 4, 4, 5)
    with torch.no_grad():
        model.set_attn_implementation("eager")
        every = model(wide, interpolate_pos_encoding=True, output_attentions=True).attentions
    wanted = torch.stack([layer[:, :, 0, 1:] for layer in every]).unflatten(-1, (4, 4, 5))
    torch.testing.assert_close(found, wanted, **FLOAT32)


def test_progress_counts_attentions_and_ends_at_one() -> None:
    for kind, count in (("none", 3), ("encoder", 5), ("self_attention", 6), ("dot_product", 3)):
        for rolled in (False, True):
            told: list[float] = []
            model = made(kind, "sdpa")

            def tell(share: float, note: str, told: list[float] = told) -> None:
                told.append(share)

            look(model, oracle.clip(model.config), rollout=rolled, progress=tell)
            assert told == pytest.approx([(k + 1) / (count * (1 + rolled)) for k in range(count * (1 + rolled))])


def test_what_progress_raises_ends_the_pass_and_takes_the_hooks_away() -> None:
    model = made("none", "sdpa")

    def give_up(share: float, note: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        look(model, oracle.clip(model.config), progress=give_up)
    assert not any(module._forward_hooks for module in model.modules())


def test_a_map_that_does_not_exist_is_refused_with_those_that_do() -> None:
    for kind, refused in (
        ("none", {"space": "space and time at once", "time": "space and time at once"}),
        ("encoder", {"time": "of whole steps"}),
        ("self_attention", {"attention": "no \\[CLS\\]"}),
        ("dot_product", {"attention": "no \\[CLS\\]"}),
    ):
        model = made(kind, "sdpa")
        for method, why in refused.items():
            with pytest.raises(MapUnavailable, match=why):
                refuse(model.config, method)
        assert {*methods(model.config), *refused} == {*METHODS}
    clips = oracle.clip(model.config)
    with pytest.raises(MapUnavailable, match="Choose 'space', 'time' or 'rollout'"):
        cls_attention(model, clips)
    with pytest.raises(MapUnavailable, match="at once"):
        axis_attention(made("none", "sdpa"), clips, "space")
    with pytest.raises(ValueError, match="known are space, time"):
        axis_attention(model, clips, "colour")
    with pytest.raises(ValueError, match="known are attention"):
        refuse(model.config, "saliency")
    empty = made("none", "sdpa", num_hidden_layers=0)
    with pytest.raises(MapUnavailable, match="no layers"):
        rollout(empty, oracle.clip(empty.config))
    model.vivit.layers[1] = torch.nn.Identity()
    with pytest.raises(MapUnavailable, match="exchanged"):
        look(model, clips)


def test_what_other_threads_run_meanwhile_is_not_looked_at() -> None:
    model = made("none", "sdpa")
    clips = oracle.clip(model.config, 2)
    wanted = cls_attention(model, clips)
    ended = Event()

    def others() -> None:
        with torch.no_grad():
            while not ended.is_set():
                model(clips)

    with ThreadPoolExecutor(3) as pool:
        busy = pool.submit(others)
        try:
            found = [*pool.map(lambda _: cls_attention(model, clips), range(20))]
        finally:
            ended.set()
        busy.result()
    for maps in found:
        torch.testing.assert_close(maps, wanted, **FLOAT32)


@pytest.mark.parametrize("which", ["the encoder", "its layers"])
def test_what_was_compiled_by_itself_is_looked_into_as_it_is(which: str) -> None:
    """And stays compiled, by PyTorch's compiler with its backend 'eager', which only traces."""
    model = made("none", "sdpa")
    clips = oracle.clip(model.config, 2)
    wanted = cls_attention(model, clips)
    modules = [model.vivit] if which == "the encoder" else [*model.vivit.layers]
    for module in modules:
        module.compile(backend="eager")
    with torch.no_grad():
        before = model(clips).logits
        torch.testing.assert_close(cls_attention(model, clips), wanted, **FLOAT32)
        torch.testing.assert_close(model(clips).logits, before, rtol=0, atol=0)
    assert all(module._compiled_call_impl for module in modules)


def test_layers_that_are_one_and_the_same_are_refused() -> None:
    model = made("none", "sdpa")
    model.vivit.layers[1] = model.vivit.layers[0]
    with pytest.raises(MapUnavailable, match="one and the same"):
        cls_attention(model, oracle.clip(model.config))


def peak_bytes(frames: int, rolled: bool) -> tuple[int, int]:
    """What a look takes beyond the pass that it is made in, and the number of tokens."""
    shape: dict[str, Any] = {"image_size": 64, "num_frames": frames, "tubelet_size": (2, 8, 8), "hidden_size": 64}
    config = VivitConfig(**shape, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64)
    torch.manual_seed(0)
    model = VivitForVideoClassification(config).eval()
    clips = torch.randn(1, frames, 3, 64, 64)
    _, plain = peak_memory(lambda: model.features(clips), torch.device("cpu"))
    _, looked = peak_memory(lambda: look(model, clips, rollout=rolled), torch.device("cpu"))
    assert plain is not None and looked is not None
    return looked - plain, config.num_tokens


def test_memory_grows_with_the_tokens_and_not_with_their_square() -> None:
    """Measured, at two sizes: four times as many tokens take at most about four times as much, not sixteen times."""
    (small, few), (large, many) = peak_bytes(16, False), peak_bytes(64, False)
    assert many / few > 3.9
    assert large < 4.4 * max(small, 2**18)  # beside a floor of what any call takes
    assert large < 4 * many**2 / 4, "less than a quarter of one matrix of one head"


def test_a_rollout_holds_queries_and_keys_and_a_block() -> None:
    extra, tokens = peak_bytes(64, True)
    kept = 2 * 2 * tokens * 64 * 4  # two layers' queries and keys
    assert extra < kept + 4 * 4 * attention.BLOCK  # a block's scores and probabilities, and room for their making
    assert extra < 2 * 4 * tokens**2 * 4, "the matrices of both layers' heads would be larger"
