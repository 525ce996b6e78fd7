"""8 bit with tokens rounded as they come, against the same rounding in float64."""

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor, nn

import vivit
from tests import oracle
from vivit import VivitForVideoClassification, VivitModel, dynamic_int8
from vivit.checkpoint import open_checkpoint
from vivit.checkpoint.layout import published_tensors
from vivit.dynamic_int8 import DynamicInt8Linear, DynamicInt8Unavailable, product, quantise, why_not
from vivit.errors import UserError
from vivit.precision import DYNAMIC_INT8, kept_bytes, set_precision

load = VivitForVideoClassification.from_pretrained


def layers(model: nn.Module) -> list[DynamicInt8Linear]:
    return [module for module in model.modules() if isinstance(module, DynamicInt8Linear)]


def logits(model: Any, seed: int = 0) -> Tensor:
    with torch.inference_mode():
        found: Tensor = model(oracle.clip(model.config, seed=seed)).logits
    return found


def rounded_to_256(x: Tensor) -> Tensor:
    """Every row as one of 256 numbers spread evenly over its range and 0, float64."""
    x = x.double()
    least, greatest = x.amin(-1, keepdim=True).clamp(max=0), x.amax(-1, keepdim=True).clamp(min=0)
    step = (greatest - least) / 255
    return torch.where(step > 0, least + step * ((x - least) / step).round(), 0.0)


def tokens(rows: int, width: int, seed: int = 0) -> Tensor:
    """(rows, width) float32 of many ranges, none so near to the middle of two steps that another rounding could tip it over."""
    generator = torch.Generator().manual_seed(seed)
    whole = torch.randint(0, 256, (rows, width), generator=generator).double()
    whole[:, 0], whole[:, -1] = 0, 255
    off = torch.rand(rows, width, generator=generator, dtype=torch.float64) * 0.8 - 0.4
    off[:, 0] = off[:, -1] = 0
    below = torch.randint(0, 256, (rows, 1), generator=generator)  # how many of the steps are below 0
    below[: rows // 4], below[rows // 4 : rows // 2] = 0, 255  # no number below 0, and none above
    size = 10 ** (4 * torch.rand(rows, 1, generator=generator, dtype=torch.float64) - 3)
    x = (((whole + off).clamp(0, 255) - below) * size / 255).float()
    x[rows // 3] = 0
    return x


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("at_a_time", [1, 7, 512])
@pytest.mark.parametrize(("rows", "made", "width"), [(1, 3, 2), (17, 7, 35), (100, 44, 35), (61, 192, 768)])
def test_a_product_is_that_of_rounded_numbers(
    monkeypatch: pytest.MonkeyPatch, rows: int, made: int, width: int, at_a_time: int, biased: bool
) -> None:
    monkeypatch.setattr(dynamic_int8, "ROWS_AT_A_TIME", at_a_time)
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(made, width, generator=generator)
    bias = torch.randn(made, generator=generator) if biased else None
    x, (whole, scales) = tokens(rows, width), quantise(weight)
    found = product(x[None], whole, scales, bias)
    meant = whole.double() * scales.double()[:, None] / 127
    wanted = rounded_to_256(x) @ meant.T + (0 if bias is None else bias.double())
    assert found.dtype == torch.float32 and found.shape == (1, rows, made)
    # The whole numbers are the same and their sums exact; three float32 terms of this size are then added, each rounded.
    size = (x.abs().amax(-1, keepdim=True).double() * meant.abs().sum(1)) + (0 if bias is None else bias.abs().double())
    assert ((found[0] - wanted).abs() <= 4 * torch.finfo(torch.float32).eps * size).all()


def test_a_matrix_is_rounded_by_rows_and_once() -> None:
    weight = torch.randn(44, 35, generator=torch.Generator().manual_seed(0))
    weight[3] = 0
    whole, scales = quantise(weight)
    largest = weight.abs().amax(1)
    assert ((scales >= largest) & (scales <= largest * (1 + 2**-15))).all(), "up to 16 bits"
    step = scales.double()[:, None] / 127
    # A quotient's own rounding may tip a number over whose neighbours are equally far.
    assert ((whole * step - weight).abs() <= step * (0.5 + 1e-5)).all()
    again = quantise((whole.float() * scales[:, None]).div(127))
    assert torch.equal(again[0], whole) and torch.equal(again[1], scales)
    assert whole[3].eq(0).all() and scales[3] == 0
    meta = quantise(weight.to("meta"))
    assert [(t.shape, t.dtype) for t in meta] == [(whole.shape, torch.int8), (scales.shape, torch.float32)]


def test_a_model_is_one_whose_tokens_and_matrices_are_rounded(classifier: Path) -> None:
    model, exact = load(classifier, dtype=DYNAMIC_INT8), load(classifier)
    assert len(layers(model)) == 4 * 3 and model.dtype == torch.float32
    kept = {name for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    assert kept == {"vivit.embeddings.projection", "classifier"}

    class Plain(nn.Module):
        def __init__(self, layer: DynamicInt8Linear) -> None:
            super().__init__()
            self.layer, self.meant = layer, layer.weight.double() * layer.SCB.double()[:, None] / 127

        def forward(self, x: Tensor) -> Tensor:
            assert self.layer.bias is not None
            return (rounded_to_256(x) @ self.meant.T + self.layer.bias).float()

    plain = copy.deepcopy(model)
    for parent in [*plain.vivit.layers.modules()]:
        for name, child in parent.named_children():
            if isinstance(child, DynamicInt8Linear):
                setattr(parent, name, Plain(child))
    differences = [(logits(model, seed) - logits(plain, seed)).abs().max().item() for seed in range(8)]
    # As in 8 bit of bitsandbytes: where a number tips over, what follows is off by a step of some token, by chance.
    assert sorted(differences)[3] <= 1e-5 and max(differences) <= 2e-2, differences
    assert 1e-4 < (logits(model) - logits(exact)).abs().max() < 5e-2, "rounded, and near"


def test_bytes_of_weights(classifier: Path) -> None:
    model = load(classifier, dtype=DYNAMIC_INT8)
    kept = kept_bytes(model)
    assert sum(kept.values()) == sum(t.numel() * t.element_size() for t in model.state_dict().values())
    assert kept["int8"] == 3 * (4 * 35 * 35 + 2 * 35 * 44)
    assert kept["float32"] == 4 * (model.num_parameters() - kept["int8"] + 3 * (5 * 35 + 44))
    with torch.device("meta"):
        large = VivitModel(vivit.VivitConfig())
    whole = sum(kept_bytes(large).values())
    assert sum(kept_bytes(set_precision(large, DYNAMIC_INT8)).values()) < 0.3 * whole


# What is done with a model


def test_copies_and_files_and_state_dicts_answer_alike(tmp_path: Path, classifier: Path) -> None:
    model = load(classifier, dtype=DYNAMIC_INT8)
    wanted = logits(model)
    model.save_pretrained(tmp_path)
    other = set_precision(VivitForVideoClassification(model.config).eval(), DYNAMIC_INT8)
    for copied in (
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        load(tmp_path, dtype=DYNAMIC_INT8),
        set_precision(load(classifier), DYNAMIC_INT8),
        set_precision(model, DYNAMIC_INT8),
    ):
        assert torch.equal(logits(copied), wanted)
    for state in (model.state_dict(), load(classifier).state_dict(), oracle.reference().state_dict()):
        other.load_state_dict(set_precision(VivitForVideoClassification(model.config), DYNAMIC_INT8).state_dict())
        assert not torch.equal(logits(other), wanted)
        other.load_state_dict(state)
        assert torch.equal(logits(other), wanted)


def test_it_is_saved_in_float32_and_read_by_anyone(tmp_path: Path, classifier: Path) -> None:
    model = load(classifier, dtype=DYNAMIC_INT8)
    model.save_pretrained(tmp_path)
    written = json.loads((tmp_path / "config.json").read_text())
    assert written["dtype"] == "float32" and "quantization_config" not in written
    theirs = transformers.VivitForVideoClassification.from_pretrained(tmp_path)
    ours = load(tmp_path)
    pixel_values = oracle.clip(ours.config)
    with torch.inference_mode():
        torch.testing.assert_close(ours(pixel_values).logits, theirs(pixel_values).logits, rtol=1e-5, atol=1e-5)
    own = published_tensors(model)
    for name, tensor in published_tensors(ours).items():
        scales = own.get(name.removesuffix("weight") + "SCB")
        meant = own[name] if scales is None else own[name].float().mul(scales[:, None]).div(127)
        assert torch.equal(tensor, meant), name


def test_scales_survive_what_changes_dtypes(classifier: Path) -> None:
    model = load(classifier, dtype=DYNAMIC_INT8)
    wanted = logits(model)
    scales = [layer.SCB.clone() for layer in layers(model)]
    for change, step in (("half", 2**-10), ("bfloat16", 2**-7)):
        other = getattr(copy.deepcopy(model), change)()
        assert all(torch.equal(layer.SCB, before) for layer, before in zip(layers(other), scales, strict=True))
        found = logits(other)
        assert found.dtype == other.dtype
        torch.testing.assert_close(found.float(), wanted, rtol=0, atol=16 * step)  # activations are of that dtype


def test_another_precision_cannot_be_set_afterwards(classifier: Path) -> None:
    model = load(classifier, dtype=DYNAMIC_INT8)
    for name in ("float32", "float16-weights", "int8-bitsandbytes"):
        with pytest.raises(ValueError, match=f"in 8 bit, and cannot be made {name}"):
            set_precision(model, name)
    eight = load(classifier, load_in_8bit=True)
    with pytest.raises(ValueError, match="in 8 bit, and cannot be made int8-dynamic"):
        set_precision(eight, DYNAMIC_INT8)
    with pytest.raises(ValueError, match="contradict"):
        load(classifier, load_in_8bit=True, dtype=DYNAMIC_INT8)


def test_it_is_called_as_usual_and_not_trained(classifier: Path) -> None:
    model = load(classifier, dtype=DYNAMIC_INT8)
    pixel_values = oracle.clip(model.config)
    output = model(pixel_values, labels=torch.tensor([1, 2]))  # gradients are on, as they are unless turned off
    assert torch.equal(output.logits, logits(model))
    with pytest.raises(DynamicInt8Unavailable, match="cannot be trained"):
        output.loss.backward()


def test_compiled_as_one_graph(classifier: Path) -> None:
    model = load(classifier, dtype=DYNAMIC_INT8)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(logits(compiled), logits(model), rtol=0, atol=2e-2)  # a number or two tips over


# Where it does not run


def test_another_device(classifier: Path) -> None:
    model = load(classifier, dtype=DYNAMIC_INT8).to("meta")
    with pytest.raises(DynamicInt8Unavailable, match=r"moved to 'meta'\. Move it back with model\.cpu\(\)"):
        model(oracle.clip(model.config).to("meta"))
    assert "runs on CPUs alone" in why_not(torch.device("cuda"))[0]
    with pytest.raises(DynamicInt8Unavailable, match="runs on CPUs alone, and this is 'cuda'"):
        VivitModel.without_weights(model.config, attn_implementation="sdpa", dtype=DYNAMIC_INT8, device="cuda")


def test_a_processor_without_vnni(monkeypatch: pytest.MonkeyPatch, classifier: Path) -> None:
    assert why_not(torch.device("cpu")) == ("", ""), "this machine has it"
    monkeypatch.setattr(dynamic_int8, "has_vnni", lambda: False)
    for call in (
        lambda: load(classifier, dtype=DYNAMIC_INT8),
        lambda: set_precision(VivitModel(vivit.VivitConfig(**oracle.TINY)), DYNAMIC_INT8),
        lambda: open_checkpoint("vivit-mannequin").load(VivitForVideoClassification, dtype=DYNAMIC_INT8),
    ):
        with pytest.raises(UserError, match="needs a processor with VNNI"):
            call()


def test_a_pytorch_without_such_products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch, "_int_mm")
    assert torch.__version__ in why_not(torch.device("cpu"))[0]
