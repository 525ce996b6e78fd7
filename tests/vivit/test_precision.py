"""Precisions mean what they are called: the dtype of every weight and of every activation."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor, nn

import vivit
from tests import oracle
from tests.factorized_models import RUN_ON_CPU
from vivit.benchmark.measure import peak_memory
from vivit.names import BACKENDS
from vivit.precision import DTYPES, TF32, compute_dtype, get_precision, set_precision
from vivit.rounded import RoundedLinear

HALVES = {"float16": torch.float16, "bfloat16": torch.bfloat16}
ON_CPU = [name for name in DTYPES if name != TF32]  # which a CPU has not: see `test_tf32`


def matrices(model: nn.Module) -> dict[str, Tensor]:
    return {f"{name}.weight": m.weight for name, m in model.named_modules() if isinstance(m, nn.Linear | RoundedLinear)}


def dtypes_seen(model: Any, pixel_values: Tensor) -> set[torch.dtype]:
    """The dtype of everything that goes into or comes out of any part of the model, attention included."""
    seen: set[torch.dtype] = set()

    def look(values: Any) -> None:
        for value in values if isinstance(values, tuple | list) else [values]:
            if isinstance(value, Tensor):
                seen.add(value.dtype)

    def watch(module: nn.Module, inputs: Any, output: Any) -> None:
        look(inputs)
        look(output)

    parts = [m for name, m in model.named_modules() if name not in ("", "vivit", "embeddings", "vivit.embeddings")]
    handles = [part.register_forward_hook(watch) for part in parts]
    for module in parts:
        if hasattr(module, "attend"):
            attend = module.attend

            def attending(*inputs: Any, attend: Any = attend) -> Tensor:
                look(inputs)
                attended: Tensor = attend(*inputs)
                look(attended)
                return attended

            module.attend = attending
    with torch.inference_mode():
        look(model(pixel_values).logits)
    for handle in handles:
        handle.remove()
    return seen


@pytest.mark.parametrize("attention", RUN_ON_CPU)
@pytest.mark.parametrize("precision", ON_CPU)
def test_weights_and_activations_have_the_dtype_named(tmp_path: Path, precision: str, attention: str) -> None:
    oracle.save(tmp_path)
    ours = vivit.VivitForVideoClassification.from_pretrained(tmp_path, dtype=precision, attn_implementation=attention)
    weights, compute = DTYPES[precision].weights, DTYPES[precision].compute
    large = matrices(ours)
    assert len(large) == 2 + 4 * 3
    kept = {"vivit.embeddings.projection.weight", "classifier.weight"} if weights == torch.int8 else set()
    for name, parameter in ours.named_parameters():
        assert parameter.dtype == (weights if name in large.keys() - kept else compute), name
    assert ours.dtype == compute
    assert dtypes_seen(ours, oracle.clip(ours.config)) == {compute}


def test_precisions_are_what_they_are_called() -> None:
    single, half, brain = torch.float32, torch.float16, torch.bfloat16
    table = {name: (p.weights, p.compute) for name, p in DTYPES.items()}
    assert table == {
        "float32": (single, single),
        "tf32": (single, single),
        "float16": (half, half),
        "bfloat16": (brain, brain),
        "float16-weights": (half, single),
        "int8-bitsandbytes": (torch.int8, single),
        "int8-dynamic": (torch.int8, single),
    }
    for name in DTYPES:
        assert compute_dtype(name, "cpu") == compute_dtype(name, torch.device("mps")) == DTYPES[name].compute
        assert compute_dtype(name, "cuda:1") == (half if name == "int8-bitsandbytes" else DTYPES[name].compute)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("precision", HALVES)
def test_half_precision_answers_as_the_oracle_in_half(tmp_path: Path, precision: str, attention: str) -> None:
    theirs = oracle.save(tmp_path, attention=attention).to(HALVES[precision])
    ours = vivit.VivitForVideoClassification.from_pretrained(
        tmp_path, attn_implementation=attention, dtype=HALVES[precision]
    )
    pixel_values = oracle.clip(theirs.config)
    with torch.inference_mode():
        mine, wanted = ours(pixel_values), theirs(pixel_values.to(HALVES[precision]), output_hidden_states=True)
        exact = oracle.reference()(pixel_values).logits
    assert mine.logits.dtype == HALVES[precision]
    # Both round every activation, of up to about 3 here, to the dtype, not always at the same place: a few steps of it.
    step = torch.finfo(HALVES[precision]).eps
    torch.testing.assert_close(mine.logits, wanted.logits, rtol=0, atol=4 * step)
    # And neither is farther from float32 than rounding explains.
    torch.testing.assert_close(mine.logits.float(), exact, rtol=0, atol=8 * step)


def test_published_half_precision_call(tmp_path: Path) -> None:
    theirs = oracle.save(tmp_path, "VivitModel", attention="sdpa")
    ours = vivit.VivitModel.from_pretrained(tmp_path, attn_implementation="sdpa", dtype=torch.float16)
    assert ours.dtype == torch.float16 and ours.attn_implementation == "sdpa"
    pixel_values = oracle.clip(theirs.config)
    with torch.inference_mode():
        mine, wanted = ours(pixel_values.half()), theirs(pixel_values)
    assert mine.last_hidden_state.dtype == torch.float16
    # LayerNormed values of about 1 after three layers whose activations are each rounded to 2⁻¹¹.
    torch.testing.assert_close(mine.last_hidden_state.float(), wanted.last_hidden_state, rtol=0, atol=1e-2)


@pytest.mark.parametrize("attention", RUN_ON_CPU)
def test_float16_weights_is_float32_with_rounded_matrices(tmp_path: Path, attention: str) -> None:
    """Nothing but the matrices is rounded, so a float32 model with those very matrices says the same."""
    theirs = oracle.save(tmp_path, attention="eager")
    ours = vivit.VivitForVideoClassification.from_pretrained(
        tmp_path, attn_implementation=attention, dtype="float16-weights"
    )
    pixel_values = oracle.clip(theirs.config)
    rounded = copy.deepcopy(theirs)
    for module in rounded.modules():
        if isinstance(module, nn.Linear | nn.Conv3d):
            module.weight.data = module.weight.data.half().float()
    with torch.inference_mode():
        mine = ours(pixel_values).logits
        torch.testing.assert_close(mine, rounded(pixel_values).logits, rtol=1e-5, atol=1e-5)
        difference = (mine - theirs(pixel_values).logits).abs().max()
    # Weights are off by up to 2⁻¹¹ of themselves, and answers, of about 1, by that times a few.
    assert 1e-6 < difference < 4 * 2**-11


def test_float16_weights_hold_half_the_memory() -> None:
    with torch.device("meta"):
        model = vivit.VivitForVideoClassification(vivit.VivitConfig(num_labels=400))
    before = sum(p.numel() * p.element_size() for p in model.parameters())
    set_precision(model, "float16-weights")
    after = sum(p.numel() * p.element_size() for p in model.parameters())
    assert before == 355_816_000
    # All but the position embeddings (3137 × 768), biases and LayerNorms: 2.9 % of the parameters.
    assert after / before == pytest.approx(0.5, abs=0.015)


def test_float16_weights_are_cast_one_matrix_at_a_time() -> None:
    config = vivit.VivitConfig(
        image_size=8,
        num_frames=2,
        tubelet_size=(2, 8, 8),
        hidden_size=256,
        num_attention_heads=4,
        intermediate_size=1024,
    )
    torch.manual_seed(0)
    model = set_precision(vivit.VivitForVideoClassification(config).eval(), "float16-weights")
    pixel_values = oracle.clip(config, batch=1)
    with torch.inference_mode():
        _, peak = peak_memory(lambda: model(pixel_values), torch.device("cpu"))
    largest = max(m.numel() for m in matrices(model).values()) * 4
    # Two tokens: activations are a few kilobytes each, a float32 copy of the largest matrix is 1 MiB, of all of them 36 MiB.
    assert peak is not None and largest <= peak < 1.2 * largest


def test_float16_weights_can_be_trained_from(tmp_path: Path) -> None:
    oracle.save(tmp_path)
    ours = vivit.VivitForVideoClassification.from_pretrained(tmp_path, dtype="float16-weights")
    exact = vivit.VivitForVideoClassification.from_pretrained(tmp_path)
    for model in (ours, exact):
        model(oracle.clip(model.config), labels=torch.tensor([1, 2])).loss.backward()
    for name, parameter in exact.named_parameters():
        gradient = oracle.gradient(ours.get_parameter(name))
        # Gradients reach 1; the weights behind them, and those of matrices themselves, are rounded to 2⁻¹¹.
        torch.testing.assert_close(gradient.float(), parameter.grad, rtol=1e-2, atol=2e-3)


@pytest.mark.parametrize("precision", ON_CPU)
def test_input_of_any_dtype_is_taken(tmp_path: Path, precision: str) -> None:
    oracle.save(tmp_path)
    ours = vivit.VivitForVideoClassification.from_pretrained(tmp_path, dtype=precision)
    pixel_values = oracle.clip(ours.config)
    with torch.inference_mode():
        wanted = ours(pixel_values).logits
        assert torch.equal(ours(pixel_values.double()).logits, wanted)
        assert ours(pixel_values.half()).logits.dtype == wanted.dtype


@pytest.mark.parametrize("frames", [4, 8, 16])
@pytest.mark.parametrize("precision", ["float16", "bfloat16", "float16-weights"])
def test_interpolated_positions_keep_the_precision(tmp_path: Path, precision: str, frames: int) -> None:
    oracle.save(tmp_path)
    ours = vivit.VivitForVideoClassification.from_pretrained(tmp_path, dtype=precision)
    exact = vivit.VivitForVideoClassification.from_pretrained(tmp_path)
    pixel_values = torch.randn(1, frames, 3, 24, 20, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        mine = ours(pixel_values, interpolate_pos_encoding=True).logits
        wanted = exact(pixel_values, interpolate_pos_encoding=True).logits
    compute = DTYPES[precision].compute
    assert mine.dtype == compute
    torch.testing.assert_close(mine.float(), wanted, rtol=0, atol=8 * torch.finfo(compute).eps + 4 * 2**-11)


@pytest.mark.parametrize("name", ["int4", "float64", torch.float64, "half", "", "torch.int8"])
def test_an_unknown_precision_lists_the_known(tmp_path: Path, name: Any) -> None:
    with pytest.raises(ValueError) as caught:
        get_precision(name)
    assert all(known in str(caught.value) for known in DTYPES)
    oracle.save(tmp_path)
    with pytest.raises(ValueError, match="precision"):
        vivit.VivitModel.from_pretrained(tmp_path, dtype=name)


def test_dtypes_are_names_too() -> None:
    for name in ("float32", "float16", "bfloat16"):
        assert get_precision(getattr(torch, name)) == get_precision(name) == name


@pytest.mark.parametrize("attention", RUN_ON_CPU)
def test_every_backend_agrees_in_float32(tmp_path: Path, attention: str) -> None:
    theirs = oracle.save(tmp_path)
    ours = vivit.VivitForVideoClassification.from_pretrained(tmp_path)
    ours.set_attn_implementation(attention)
    pixel_values = oracle.clip(theirs.config)
    with torch.inference_mode():
        torch.testing.assert_close(ours(pixel_values).logits, theirs(pixel_values).logits, rtol=1e-5, atol=1e-5)


def test_unavailable_kernels_fail_in_the_model_too(tmp_path: Path) -> None:
    oracle.save(tmp_path)
    for name in [name for name, backend in BACKENDS.items() if backend.cuda_only]:
        ours = vivit.VivitModel.from_pretrained(tmp_path, attn_implementation=name)
        with pytest.raises(RuntimeError, match=name):
            ours(oracle.clip(ours.config))


def test_an_unknown_backend_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    theirs = oracle.save(tmp_path)
    with pytest.raises(ValueError, match="flash_attention_5"):
        vivit.VivitModel.from_pretrained(tmp_path, attn_implementation="flash_attention_5")
    ours = vivit.VivitForVideoClassification.from_pretrained(tmp_path, attn_implementation="eager")
    with pytest.raises(ValueError, match="sdpa_flash"):
        ours.set_attn_implementation("sdpa_flash")
    assert ours.attn_implementation == "eager"
    assert isinstance(theirs, transformers.VivitForVideoClassification)
    assert len(ours(oracle.clip(theirs.config), output_attentions=True).attentions) == 3
